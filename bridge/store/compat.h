/* Every difference between Dovecot versions that this plugin has met: the only
 * file of store/ that asks for a version. Written for 2.3.19; 2.4 follows by
 * filling in the other branch (HACKING.md, "Not there yet"). Include it after
 * lib.h and before any other header of Dovecot. */
#ifndef BRIDGE_COMPAT_H
#define BRIDGE_COMPAT_H

#if !DOVECOT_PREREQ(2, 3, 0) || DOVECOT_PREREQ(2, 4, 0)
#  error "this version of the plugin is for Dovecot 2.3"
#endif

#include "settings-parser.h"
#include "mail-user.h"
#include "mail-storage-private.h"

/* A setting's value, NULL if it is not set. */
static inline const char *
compat_setting(struct mail_user *user, const char *name)
{
	return mail_user_plugin_getenv(user, name);
}

/* "5s", "2min" to milliseconds. Returns 0, -1 and an error. */
static inline int
compat_parse_msecs(const char *str, unsigned int *msecs_r,
		   const char **error_r)
{
	return settings_get_time_msecs(str, msecs_r, error_r);
}

/* "Hang in there": tells the client that we are alive. */
static inline void
compat_notify_alive(struct mailbox *box)
{
	struct mail_storage *storage = box->storage;

	if (storage->callbacks.notify_ok != NULL) {
		storage->callbacks.notify_ok(box, "Hang in there..",
					     storage->callback_context);
	}
}

#endif
