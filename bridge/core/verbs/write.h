/* The verbs that change a store (protocol.md, "Verbs", "Errors"): each function
 * says what the store has done, message by message, and never guesses.
 *
 * Requests with many ids are split at batch=N of the copy's caps and at the line
 * limit, and pipeline=N of them are sent at once if they may be repeated. box,
 * dest and ids are as the backend spelt them; the new name of CREATE and RENAME
 * is in wire form too (wire_encode).
 *
 * A verb that the copy does not have is not sent: UNSUPPORTED. A copy that breaks
 * while it has a write makes that UNCERTAIN, whatever it said before (protocol.md,
 * 9.6): no item of it stands. If it died, STORE and EXPUNGE are asked once more
 * of a fresh copy before that; the others never are. */
#ifndef BRIDGE_WRITE_H
#define BRIDGE_WRITE_H

#include "session.h"

enum write_status {
	WRITE_UNKNOWN,		/* not answered: see the fault */
	WRITE_DONE,
	WRITE_GONE,		/* the store says there is no such message */
	WRITE_FAILED		/* see the fault */
};

/* One message of a request, and what became of it. All is zero but the id, which
 * must stay there until the function returns; no message stands there twice. */
struct write_item {
	struct view id;

	enum write_status status;
	struct fault *fault;	/* of UNKNOWN and FAILED, else NULL; it takes
				   more than 2 KiB */
	struct buf flags;	/* STORE: what they are now, if flags_said; at
				   most WIRE_FLAGS_MAX bytes, else not said */
	bool flags_said;
	struct buf new_id;	/* COPY, MOVE: the id in dest */
	uint32_t uid;		/* COPY, MOVE: uid=, 0 = not said */
};

/* Release what a function put into the items; they may be used again. */
void write_items_free(struct write_item *items, size_t count);

/* STORE box change id...: change is "+\Seen,-$Work" in wire form. Returns 0 if
 * the store has answered for every message; -1 and a fault if a request failed
 * as a whole: what was answered keeps its status, the others are UNKNOWN. Their
 * fault is that of their request; UNAVAILABLE instead of UNCERTAIN if they were
 * in no request that was sent, and so are certainly not changed. */
int write_flags(struct session *session, const char *box, const char *change,
		struct write_item *items, size_t count, struct fault *fault);

/* EXPUNGE box id...: returns as write_flags. DONE and GONE both mean that the
 * message is not there any more. */
int write_expunge(struct session *session, const char *box,
		  struct write_item *items, size_t count, struct fault *fault);

/* COPY or MOVE box dest id...: verb is VERB_COPY or VERB_MOVE. Returns as
 * write_flags; a DONE item has its new_id. UNKNOWN items whose fault is UNCERTAIN
 * may have been copied, all others were not. */
int write_copy(struct session *session, enum verb_id verb, const char *box,
	       const char *dest, struct write_item *items, size_t count,
	       struct fault *fault);

/* CREATE box, DELETE box, RENAME box new: new is NULL but for RENAME. Returns 0,
 * -1 and a fault. */
int write_box(struct session *session, enum verb_id verb, const char *box,
	      const char *new, struct fault *fault);

/* --- APPEND ---------------------------------------------------------------- */

#define APPEND_KEY_MIN 22	/* characters */
#define APPEND_KEY_MAX 64

/* A message to be stored. */
struct append_message {
	int fd;			/* its bytes are in this regular file; stays the
				   caller's, is not written to, by anybody any
				   more, and must be open until append_end */
	uint64_t offset;	/* where in it they begin */
	bool give_away;		/* the file is for this message alone: if there
				   is nothing else in it, the store may get it
				   itself, by another name, and not a copy */
	uint64_t size;		/* of the message, at most WIRE_MESSAGE_MAX */
	const char *flags;	/* wire form list, "" = none */
	int64_t date;		/* seconds since the epoch, or
				   WIRE_DATE_UNKNOWN */
	const char *key;	/* APPEND_KEY_MIN to _MAX of A-Z a-z 0-9 _ -:
				   the same in each try of one save */
};

/* What the store says about it. */
struct appended {
	struct buf id;		/* as the backend spells it */
	uint64_t size;		/* size= of a store that rewrites messages, else
				   WIRE_SIZE_UNKNOWN */
	uint32_t uid;		/* uid=, 0 = not said */
};

/* An APPEND under way. */
struct append;

/* Put an APPEND in the queue. The message's file is linked into the copy's
 * BRIDGE_TMP under a new name (copied where it cannot be linked), or follows the
 * line where the backend said inline. If the copy dies and had the feature key,
 * a fresh one gets it again, from the start; without, it is UNCERTAIN then. box
 * and all of msg but fd are copied. Returns NULL and a fault if it could not even
 * be queued: LIMIT for too large a message, INTERNAL for a key that is none. */
struct append *append_begin(struct session *session, const char *box,
			    const struct append_message *msg,
			    struct fault *fault);
/* Wait for the answer. Returns 0 and the id, once; -1 and a fault. UNCERTAIN: it
 * may have been stored, under an id that is not known; after any other fault it
 * was not. Release the result with appended_free in any case. */
int append_wait(struct append *append, struct appended *appended_r,
		struct fault *fault);
/* Release it. One that was not sent yet is taken back, one that was is waited
 * for: a write is never abandoned. Removes what is left of its file. */
void append_end(struct append **append);
void appended_free(struct appended *appended);

#endif
