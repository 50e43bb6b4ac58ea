/* The configuration of serve's private Dovecot. */
#ifndef BRIDGE_SERVE_CONF_H
#define BRIDGE_SERVE_CONF_H

#include "buf.h"
#include "listen.h"

#define SERVE_PASSWORD_LEN 20	/* letters, each of 5 bits */

struct serve_conf {
	char **backend;
	const char *state;
	struct buf user, ours;		/* what -o asked for: of Dovecot, of us */
};

/* -o SETTING=VALUE. SETTING has the sections that it stands in before it, as
 * Dovecot's own -o takes it: "service/imap/vsz_limit", "plugin/sieve". Exits if
 * it cannot stand in a file. */
void serve_conf_option(struct serve_conf *conf, const char *arg);
/* Exit if the backend cannot be written into a file. */
void serve_conf_check(const struct serve_conf *conf);
/* After tool_become: exit if Dovecot would refuse this user. */
void serve_conf_check_user(void);
/* Write the files into dir, for this user alone. Returns the path of
 * dovecot.conf and, for its environment, that of the file which may have our settings,
 * both allocated; exits if they cannot be written. */
char *serve_conf_write(const struct serve_conf *conf,
		       const struct listen *listen, const char *dir,
		       const char *password, char **settings_r);

#endif
