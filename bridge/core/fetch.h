/* FETCH: one message, whole or not at all (protocol.md, "Data by path or by
 * bytes"). */
#ifndef BRIDGE_FETCH_H
#define BRIDGE_FETCH_H

#include "idmap.h"
#include "session.h"

#define FETCH_MEMORY_MAX (128 * 1024)	/* octets kept in memory; more go to an
					   unlinked file in tmp_dir */

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
	bool size_differs;	/* FAILED because the size is not the expected
				   one; size is what came */
};

/* FETCH box full id. box and id as the backend spelt them; expected is the
 * size that is known of the message, or IDMAP_SIZE_UNKNOWN. Returns 0 with
 * GONE, MEMORY or FILE; -1 with FAILED and a fault. Release the result with
 * fetched_free in any case. */
int fetch_message(struct session *session, const char *box, struct view id,
		  uint64_t expected, struct fetched *fetched_r,
		  struct fault *fault);
void fetched_free(struct fetched *fetched);

/* One of several messages. */
struct fetch_item {
	struct view id;		/* as the backend spelt it */
	uint64_t expected;	/* as for fetch_message */
	struct fetched fetched;
	struct fault fault;	/* when fetched.status is FETCH_FAILED */
};

/* FETCH box full id...: at most batch=N of the copy's caps. Returns 0 if the
 * request was answered: each item says what became of it; a file that was not
 * there is FAILED. -1 and a fault if it was not: nothing is known of any.
 * Release each item's fetched in any case. */
int fetch_messages(struct session *session, const char *box,
		   struct fetch_item *items, size_t count,
		   struct fault *fault);

/* Copy the whole message to a descriptor. Returns 0, -1 with errno; a file
 * that got shorter since it was opened is EIO. */
int fetched_copy(const struct fetched *fetched, int fd);

#endif
