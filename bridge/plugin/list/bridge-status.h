/* What sessions with a backend look like from outside: a small file for each, in
 * the folder dovebridge-sessions below VOLATILEDIR, or CONTROL without one, for as
 * long as the session lasts. doveadm bridge status reads them.
 *
 * A file is lines "key value", mode 0600. It is written when a copy has answered
 * CAPS, when one breaks, when a request fails in another way than before, and else
 * at most once a second; always anew and renamed, never synced. One whose process
 * is gone is removed by whoever meets it: it names pid and start time of the process,
 * and the host. */
#ifndef BRIDGE_STATUS_H
#define BRIDGE_STATUS_H

#include "bridge-private.h"

/* As a file has it; unknown is 0 or "". */
struct bridge_status_seen {
	const char *host, *service, *session, *name_space, *program;
	const char *caps, *error;
	uint64_t pid, start;		/* of the process of Dovecot */
	uint64_t copy;
	uint64_t since, idle_since, requests, errors, starts, error_time;
	uint64_t pause_until;		/* UINT64_MAX = for ever */
};
ARRAY_DEFINE_TYPE(bridge_status_seen, struct bridge_status_seen);

void bridge_status_report(struct bridge_mailbox_list *list,
			  const struct session_report *report);
void bridge_status_deinit(struct bridge_mailbox_list *list);
/* This session's own; texts are as good as the list. */
void bridge_status_fill(struct bridge_mailbox_list *list,
			struct bridge_status_seen *seen_r);
/* Those of the other sessions with this store, from pool; removes what processes
 * that are gone have left. */
void bridge_status_find(struct bridge_mailbox_list *list, pool_t pool,
			ARRAY_TYPE(bridge_status_seen) *seen_r);

#endif
