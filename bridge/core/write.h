/* The verbs that change a store (protocol.md, "Verbs", "Errors"): each function
 * says what the store has done, message by message, and never guesses.
 *
 * Requests with many ids are split at batch=N of the copy's caps and at the line
 * limit. box, dest and ids are as the backend spelt them. */
#ifndef BRIDGE_WRITE_H
#define BRIDGE_WRITE_H

#include "session.h"

enum write_status {
	WRITE_UNKNOWN,		/* not answered: see the fault */
	WRITE_DONE,
	WRITE_GONE,		/* the store says there is no such message */
	WRITE_FAILED		/* see the fault */
};

/* One message of a request, and what became of it. */
struct write_item {
	struct view id;

	enum write_status status;
	struct fault fault;	/* of UNKNOWN and FAILED */
	struct buf flags;	/* STORE: what they are now, if flags_said */
	bool flags_said;
	struct buf new_id;	/* COPY, MOVE: the id in dest */
	uint32_t uid;		/* COPY, MOVE: uid=, 0 = not said */
};

/* Release what a function put into the items; they may be used again. */
void write_items_free(struct write_item *items, size_t count);

/* STORE box change id...: change is "+\Seen,-$Work" in wire form. Returns 0 if
 * the store has answered for every message; -1 and a fault if a request failed
 * as a whole: the items answered before it keep their status, the others are
 * UNKNOWN with that fault. */
int write_flags(struct session *session, const char *box, const char *change,
		struct write_item *items, size_t count, struct fault *fault);

/* EXPUNGE box id...: returns as write_flags. DONE and GONE both mean that the
 * message is not there any more. */
int write_expunge(struct session *session, const char *box,
		  struct write_item *items, size_t count, struct fault *fault);

/* COPY or MOVE box dest id...: verb is VERB_COPY or VERB_MOVE. Returns as
 * write_flags; a DONE item has its new_id. UNKNOWN items of a request that was
 * in flight when the copy died may have been copied: their fault is
 * UNCERTAIN. */
int write_copy(struct session *session, enum verb_id verb, const char *box,
	       const char *dest, struct write_item *items, size_t count,
	       struct fault *fault);

/* CREATE box, DELETE box, RENAME box new: new is NULL but for RENAME. Returns 0,
 * -1 and a fault. */
int write_box(struct session *session, enum verb_id verb, const char *box,
	      const char *new, struct fault *fault);

/* --- APPEND ---------------------------------------------------------------- */

/* A message to be stored. */
struct append_message {
	int fd;			/* its bytes from offset 0; stays the
				   caller's, is not written to, and must be
				   open until append_end */
	uint64_t size;		/* bytes of it, at most WIRE_MESSAGE_MAX */
	const char *flags;	/* wire form list, "" = none */
	int64_t date;		/* seconds since the epoch, or
				   IDMAP_DATE_UNKNOWN */
	const char *key;	/* 22 to 64 of A-Z a-z 0-9 _ -: the same in each
				   try of one save */
};

/* What the store says about it. */
struct appended {
	struct buf id;		/* as the backend spells it */
	uint64_t size;		/* size= of a store that rewrites messages, else
				   IDMAP_SIZE_UNKNOWN */
	uint32_t uid;		/* uid=, 0 = not said */
};

/* An APPEND under way. */
struct append;

/* Put an APPEND in the queue. The message's file is linked into the copy's
 * BRIDGE_TMP under a new name (copied where it cannot be linked), or follows the
 * line where the backend said inline. With key, a copy that dies gets it again
 * in a fresh one, from the start; without, it is UNCERTAIN then. box and all of
 * msg but fd are copied. Returns NULL and a fault if it could not even be
 * queued. */
struct append *append_begin(struct session *session, const char *box,
			    const struct append_message *msg,
			    struct fault *fault);
/* Wait for the answer. Returns 0 and the id; -1 and a fault. */
int append_wait(struct append *append, struct appended *appended_r,
		struct fault *fault);
/* Release it; waits for the answer if there was none yet, for a write is never
 * abandoned. Removes what is left of its file. */
void append_end(struct append **append);
void appended_free(struct appended *appended);

#endif
