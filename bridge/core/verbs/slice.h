/* What a line FILE names beside the path: a piece of the file, and which version of
 * it (protocol.md, "Messages: by path and by bytes"). */
#ifndef BRIDGE_SLICE_H
#define BRIDGE_SLICE_H

#include "wire.h"

#include <sys/stat.h>

/* version=INODE:SIZE:MTIME */
struct slice_version {
	uint64_t inode, size;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
};

struct slice {
	uint64_t offset;
	uint64_t length;	/* UINT64_MAX = to the end of the file */
	bool versioned;
	struct slice_version version;
};

/* The options of FILE id path [option...]. Returns 0, -1 and an error. */
int slice_parse(const struct wire_line *line, struct slice *slice_r,
		struct wire_error *error_r);
/* Whether that is the file that was meant; true if nothing was said of it. */
bool slice_is_of(const struct slice *slice, const struct stat *st);
/* How many of length bytes of fd from offset on are the header: to and including
 * the first empty line; length if there is none. Returns 0; -1 and errno, EIO if
 * the file ends before. */
int slice_header_length(int fd, uint64_t offset, uint64_t length,
			uint64_t *length_r);

#endif
