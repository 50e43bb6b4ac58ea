/* The mailbox list "bridge": what the backend lists, and the owner of the one
 * session of a user and namespace. */
#ifndef BRIDGE_LIST_H
#define BRIDGE_LIST_H

#include "mailbox-list-private.h"
#include "boxes.h"
#include "session.h"

#include "bridge-owner.h"
#include "bridge-settings.h"
#include "bridge-status.h"

#define BRIDGE_LIST_NAME "bridge"

struct bridge_mailbox_list {
	struct mailbox_list list;
	struct bridge_owner owner;
	struct bridge_settings set;
	struct session *session;
	struct event *event;		/* parent of the session's */
	struct bridge_status status;	/* what doveadm is told of it */
	struct bridge_ahead *ahead;	/* NULL = no mailbox is being read */
	struct bridge_kept *kept;	/* the message read last; NULL = none */
	struct bridge_watch_end *watch_ends;	/* copies that are ending */
	bool watch_unsupported;	/* a watching copy said so */
	bool watch_logged;	/* that watching does not work */
	bool pace_logged;	/* that a copy tells of changes all the time */

	struct boxes *known;	/* NULL before the first LIST */
	const struct listing_boxes *boxes;	/* what is known; NULL if the
						   last LIST failed */
	struct timeval boxes_timeval;	/* ioloop_timeval then: the same while
					   one command is carried out */
	time_t boxes_time;		/* ioloop_time of the last LIST */
	struct timeval failed_timeval;	/* ioloop_timeval when the store gave no list
					   in time; it is not asked again in the
					   same command */
	struct timeval hung_timeval;	/* of the command that waited in vain */
	time_t late_since;		/* it took too long then; 0 = it did not */
	char *logged;			/* what was logged last of that, ... */
	time_t logged_time;		/* ... and when */
	bool skipped_logged;
	bool owner_checked;
	const char *temp_prefix, *global_temp_prefix;
};

#define BRIDGE_LIST(s) \
	container_of(s, struct bridge_mailbox_list, list)

extern struct mailbox_list bridge_mailbox_list;

/* What a session of this user and namespace is made of; its strings are as good
 * as the list. */
void bridge_list_session_settings(struct bridge_mailbox_list *list,
				  struct session_settings *set_r);

/* The mailbox that is known under a storage name, NULL if there is none. If the
 * store does not list it at the moment, its missing_since is set. An answer of
 * this second that lists it is used again. Returns 0, -1 with the list's error set. */
int bridge_list_lookup(struct bridge_mailbox_list *list, const char *name,
		       const struct listing_box **box_r);
/* Ask the store for its mailboxes. force: what it does not list is gone. Returns
 * 0, -1 with the list's error set. */
int bridge_list_refresh(struct bridge_mailbox_list *list, bool force);
/* The mailboxes to be shown in a list: list->boxes are those that the store lists; if it
 * does not answer, and the user has other namespaces, too, those that are known. Returns
 * 0; -1 with the list's error set. */
int bridge_list_show(struct bridge_mailbox_list *list);
/* Dovecot's flags of a listed mailbox. */
enum mailbox_info_flags bridge_list_box_flags(const struct listing_box *box);

#endif
