/* What the configurations that imap and serve make for Dovecot have in common.
 * Both keep a store's state in the same way, so that they can share it. */
#ifndef BRIDGE_CONF_H
#define BRIDGE_CONF_H

#include "buf.h"

/* Append "key = value": a quote and a backslash are escaped, % is doubled
 * because Dovecot expands the value. */
void conf_value(struct buf *conf, const char *key, const char *value);
/* The same without doubling: the value may have % variables. */
void conf_raw_value(struct buf *conf, const char *key, const char *value);
/* Append what every configuration has: run is Dovecot's base_dir. Exits if the
 * plugin cannot be found. */
void conf_common(struct buf *conf, const char *state, const char *run);
/* Exits unless the argument of an -o is SETTING=VALUE. */
void conf_check_option(const char *arg);
/* The environment of a Dovecot program: a few of the caller's variables, USER
 * and HOME after tool_become. NULL-terminated, allocated. */
char **conf_environment(void);

#endif
