/* What the fuzzers share. Each is one file fuzz-NAME.c with the one function that
 * libFuzzer calls; replay.c calls it for what is stored in corpus/NAME. They are
 * linked with core/ and, in place of core/session/proc, with world.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include "fault.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever comes in. */
#define must(cond) do { \
	if (!(cond)) { \
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, \
			__LINE__, #cond); \
		abort(); \
	} } while (0)

/* Bytes of an input that stand for something else. All others are what they are. */
#define FUZZ_NEXT 0x1e	/* the next part: the answer to the next request */
#define FUZZ_END 0x1f	/* the copy closes its stdout, and ends */
#define FUZZ_SLOW 0x1d	/* nothing more comes before the deadline */
#define FUZZ_STDERR 0x1c	/* what follows, up to LF, goes to stderr */
#define FUZZ_FOLDER 0x1b	/* the name of world_folder() */
#define FUZZ_UNBORN 0x1a	/* at the start of a part: no copy can be started */
#define FUZZ_MANY 0x16	/* the byte before, 257 times the byte after */

/* A folder for files; others may have left theirs in it. */
const char *world_folder(void);
/* A path in it; valid until the next call but three. */
const char *world_path(const char *name);
/* Put bytes into a file. */
void world_write(const char *path, struct view text);
/* From now on a backend says this. */
void world_begin(struct view answers);

/* Both texts are printable, and cut to their size. */
void fuzz_fault(const struct fault *fault);
/* Append a part of an input with what FUZZ_FOLDER and FUZZ_MANY stand for. */
void fuzz_expand(struct view part, struct buf *out);
/* Cut the next part off, up to FUZZ_NEXT. False if there is none. */
bool fuzz_part(struct view *input, struct view *part_r);

#endif
