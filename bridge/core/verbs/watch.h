/* WATCH: learn of changes while a client idles (protocol.md, "WATCH"). It runs in
 * a copy of its own, and none of these functions waits: they are called when
 * there is something to be read, or when it is time. */
#ifndef BRIDGE_WATCH_H
#define BRIDGE_WATCH_H

#include "session.h"

#define WATCH_SECS 600			/* what one WATCH asks for */
#define WATCH_GRACE_MSECS (60 * 1000)	/* and its deadline beyond that */
#define WATCH_AGAIN_MSECS 1000		/* without a state: list once more, so
					   long after it was asked */
#define WATCH_POLL_SECS 30		/* a look all the same, without poll= */
#define WATCH_BURST 8			/* answers at any speed; after them one
					   each WATCH_REST_MSECS */
#define WATCH_REST_MSECS 1000
#define WATCH_PAUSE_MIN_MSECS (5 * 1000)	/* after a failure, doubled
						   with each in a row */
#define WATCH_PAUSE_MAX_MSECS (10 * 60 * 1000)
#define WATCH_RETRY_MAX_SECS 86400	/* no client idles longer */

enum watch_status {
	WATCH_WAITING,
	WATCH_CHANGED,		/* the mailbox is not in that state any more */
	WATCH_SAME,		/* it still is, after WATCH_SECS */
	WATCH_FAILED		/* see the fault */
};

struct watch;

/* set is that of the user's session; its timeout_msecs is what a WATCH may take
 * beyond secs (WATCH_GRACE_MSECS). Copied; nothing is started yet. */
struct watch *watch_init(const struct session_settings *set, unsigned int secs);
/* Kills the copy if need be, waiting for its end (proc_stop); NULL is fine. */
void watch_deinit(struct watch **watch);

/* Ask: WATCH box secs state, box and state as the backend spells them. Not while
 * it is asked already. Nothing is moved before watch_turn. */
void watch_ask(struct watch *watch, const char *box, const char *state);
/* Move what can be moved; starts a copy if none runs. The first time that it does
 * not say WAITING is the answer to watch_ask. A copy that does not have the verb,
 * or says so, is UNSUPPORTED. */
enum watch_status watch_turn(struct watch *watch, struct fault *fault);
/* When to call watch_turn again, while it says WAITING (session_waits_for). */
void watch_waits_for(const struct watch *watch, struct session_waits *waits_r);
/* Whether the copy has the whole request. */
bool watch_is_asked(const struct watch *watch);

/* End the copy without waiting: session_end_begin and session_ended. */
void watch_end_begin(struct watch *watch);
bool watch_ended(struct watch *watch);

/* How often a copy may answer. Begins as zeroes. */
struct watch_pace {
	uint64_t full_at;	/* when all of WATCH_BURST is there again */
};
/* It has answered. Returns how many milliseconds to wait before it is asked
 * again. */
unsigned int watch_pace_msecs(struct watch_pace *pace, uint64_t now_msecs);
/* How long to do without after so many failures in a row (1 = the first). retry:
 * seconds that the backend asked for. */
unsigned int watch_pause_msecs(unsigned int failures, unsigned int retry_secs);

#endif
