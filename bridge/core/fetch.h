/* FETCH: messages, or their headers, each whole or not at all (protocol.md, "Data
 * by path or by bytes"). */
#ifndef BRIDGE_FETCH_H
#define BRIDGE_FETCH_H

#include "idmap.h"
#include "session.h"

/* Octets kept in memory; more go to an unlinked file in tmp_dir. */
#define FETCH_MEMORY_MAX (128 * 1024)

enum fetch_want {
	FETCH_FULL,
	FETCH_HEADER		/* a hint: the whole message may come */
};

enum fetch_status {
	FETCH_FAILED,		/* see the fault */
	FETCH_GONE,		/* the store says there is no such message */
	FETCH_MEMORY,		/* data, size */
	FETCH_FILE		/* size bytes of fd from offset */
};

struct fetched {
	enum fetch_status status;
	uint64_t size;
	struct buf data;
	int fd;			/* -1 unless FETCH_FILE */
	uint64_t offset;
	bool header_only;	/* part=header: the message goes on */
	bool size_differs;	/* FAILED because the size is not the expected
				   one; size is what came */
	bool missing;		/* FAILED because the path was not there when it
				   was opened: worth asking once more */
};

/* One message to ask for. */
struct fetch_ask {
	struct view id;		/* as the backend spelt it */
	uint64_t expected;	/* the size that is known, or
				   IDMAP_SIZE_UNKNOWN; a header is not held
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

/* One message, waited for; a path that is not there is asked for once more.
 * Returns as fetch_take. */
int fetch_message(struct session *session, const char *box,
		  enum fetch_want want, const struct fetch_ask *ask,
		  struct fetched *fetched_r, struct fault *fault);
void fetched_free(struct fetched *fetched);

/* Copy the whole message to a descriptor. Returns 0, -1 with errno; a file
 * that got shorter since it was opened is EIO. */
int fetched_copy(const struct fetched *fetched, int fd);

#endif
