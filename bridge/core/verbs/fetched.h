/* The bytes of one message: in memory, or in a file. */
#ifndef BRIDGE_FETCHED_H
#define BRIDGE_FETCHED_H

#include "buf.h"

/* Octets kept in memory; more go to an unlinked file in tmp_dir. */
#define FETCH_MEMORY_MAX (128 * 1024)

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
	bool header_only;	/* part=header, or no more was taken of what is
				   there: the message goes on */
	bool size_differs;	/* FAILED because the size is not the expected
				   one; size is what came */
	bool again;		/* FAILED because what the path named was not
				   there when it was opened, or was another:
				   worth asking once more */
};

/* Make room for size bytes that fetched_add will bring: MEMORY or FILE. Returns 0;
 * -1 with errno, and FAILED. */
int fetched_begin(struct fetched *fetched, uint64_t size, const char *tmp_dir);
/* Bytes, behind those that are there. Returns 0, -1 with errno. */
int fetched_add(struct fetched *fetched, const char *data, size_t size);
/* All bytes of a FETCH_FILE. Returns as fetched_copy. */
int fetched_add_from(struct fetched *fetched, const struct fetched *from);
void fetched_free(struct fetched *fetched);

/* Copy the whole message to a descriptor. Returns 0, -1 with errno; a file
 * that got shorter since it was opened is EIO. */
int fetched_copy(const struct fetched *fetched, int fd);

#endif
