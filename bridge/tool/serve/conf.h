/* What the configurations that imap and serve make for Dovecot have in common. Both keep
 * a store's state in the same way, so that they can share it. What Dovecot 2.3 and 2.4
 * want otherwise stands in conf-23.c and conf-24.c, one behind the other's back: which of
 * them it is, Dovecot is asked. */
#ifndef BRIDGE_CONF_H
#define BRIDGE_CONF_H

#include "buf.h"

struct conf_service {
	const char *service, *listener;	/* NULL = the end */
};

struct conf_dialect {
	const char *first;		/* the first lines */
	const char *plugins;		/* "mail_plugins = bridge" */
	bool ours_apart;		/* our settings stand in a file of their own,
					   for doveconf would want a module of ours
					   in Dovecot's folder */
	const char *environment;	/* who serves gets what CONF_KEEP names */
	const char *access;		/* a password may come in cleartext, and
					   the user's name stays as it is */
	const char *variable;		/* what a variable begins with */
	const char *listen;		/* the address of an inet_listener */
	const char *const *chroots;	/* services that have one; NULL = end */
	const struct conf_service *unused;	/* sockets that nobody asks */
	/* Append where the state is kept, a folder. */
	void (*location)(struct buf *conf, const char *folder);
	/* Append a setting of ours: for that file, or for the section "plugin". */
	void (*ours)(struct buf *out, const char *key, const char *value,
		     bool literal);
	/* Append the one user of this file of passwords. */
	void (*users)(struct buf *conf, const char *passwords);
	/* Append what -o asks for, "SECTION/NAME/KEY" and a value; exits if
	   that is no name. */
	void (*option)(struct buf *conf, const char *key, const char *value);
};

extern const struct conf_dialect conf_23, conf_24;

/* That of the Dovecot which is installed; exits if it is neither. If there is none, that
 * of 2.4: whoever runs it will say so. */
const struct conf_dialect *conf_dialect(void);

/* Append "key = value": the value as it is, whatever is in it. */
void conf_value(struct buf *conf, const char *key, const char *value);
/* The same, but Dovecot's variables in it are meant. */
void conf_raw_value(struct buf *conf, const char *key, const char *value);
/* Append what every configuration has: run is Dovecot's base_dir. Exits if the
 * plugin cannot be found. */
void conf_common(struct buf *conf, const char *state, const char *run);
/* Exits if what is to be a line is more than one. */
void conf_check_line(const char *what, const char *text);
/* Exits unless the argument of an -o is SETTING=VALUE. */
void conf_check_option(const char *arg);
/* Whether it sets one of our settings. */
bool conf_is_ours(const char *arg);
/* The environment of a Dovecot program: a few of the caller's variables, USER
 * and HOME after tool_become, and the file that has our settings (NULL = none).
 * NULL-terminated, allocated. */
char **conf_environment(const char *settings);
/* The names of what it keeps, besides USER and HOME, for import_environment. */
#define CONF_KEEP "PATH LANG LC_ALL TZ TMPDIR " CONF_SETTINGS_ENV
#define CONF_SETTINGS_ENV "DOVEBRIDGE_SETTINGS"

#endif
