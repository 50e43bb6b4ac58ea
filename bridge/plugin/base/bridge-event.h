/* Dovecot's events of what happens in sessions with backends (dovebridge.conf(5),
 * "Events"). */
#ifndef BRIDGE_EVENT_H
#define BRIDGE_EVENT_H

#include "session.h"

struct bridge_mailbox_list;

extern struct event_category event_category_bridge;

/* The parent of them, child of the user's: what they all have. */
struct event *bridge_event_create(struct bridge_mailbox_list *list);
void bridge_event_report(struct bridge_mailbox_list *list,
			 const struct session_report *report);

#endif
