/* The session with a backend: see bridge-session.c. */
#ifndef BRIDGE_SESSION_PLUGIN_H
#define BRIDGE_SESSION_PLUGIN_H

#include "bridge-private.h"

/* What a session of this user and namespace is made of; its strings are as good
 * as the list. */
void bridge_session_settings(struct bridge_mailbox_list *list,
			     struct session_settings *set_r);

#endif
