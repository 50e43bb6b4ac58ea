/* FETCH: messages, or their headers, each whole or not at all (protocol.md, "Data
 * by path or by bytes"). */
#ifndef BRIDGE_FETCH_H
#define BRIDGE_FETCH_H

#include "fetched.h"
#include "session.h"

enum fetch_want {
	FETCH_FULL,
	FETCH_HEADER		/* a hint: the whole message may come */
};

/* One message to ask for. */
struct fetch_ask {
	struct view id;		/* as the backend spelt it */
	uint64_t expected;	/* the size that is known, or
				   WIRE_SIZE_UNKNOWN; a header is not held
				   to it, only never larger */
};

/* A FETCH under way. */
struct fetch;

/* FETCH box want id...: put in the queue and sent as soon as it can be, not
 * waited for. box as the backend spelt it; at most batch=N asks of the copy's
 * caps, which are copied. */
struct fetch *fetch_begin(struct session *session, const char *box,
			  enum fetch_want want, const struct fetch_ask *asks,
			  size_t count);
/* Wait for the answer. Returns 0 if there was one, even if it says that each
 * message failed; -1 and a fault if nothing is known of any. */
int fetch_wait(struct fetch *fetch, struct fault *fault);
/* What came for the nth message, once; after fetch_wait returned 0. Returns 0
 * with GONE, MEMORY or FILE; -1 with FAILED and a fault. Release the result with
 * fetched_free in any case. */
int fetch_take(struct fetch *fetch, size_t n, struct fetched *fetched_r,
	       struct fault *fault);
/* Release it with all that was not taken. What is still to come is thrown away
 * as it comes. */
void fetch_end(struct fetch **fetch);

/* One message, waited for; a path that is not there, or leads to another file than was
 * meant, is asked for once more. Returns as fetch_take. */
int fetch_message(struct session *session, const char *box,
		  enum fetch_want want, const struct fetch_ask *ask,
		  struct fetched *fetched_r, struct fault *fault);

#endif
