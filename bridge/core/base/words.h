/* A command line in one string, as bridge_command and filters write it: words
 * are split at spaces and tabs; '...' keeps everything, "..." keeps everything
 * but \" and \\, a backslash outside quotes keeps the next byte. Nothing else
 * is special; no shell ever sees it. */
#ifndef BRIDGE_WORDS_H
#define BRIDGE_WORDS_H

#include "buf.h"

#define WORDS_MAX 65536

/* Split. Returns 0 and a NULL-terminated array, to be released with
 * words_free; -1 and a sentence in error_r (no word at all, an open quote, a
 * backslash at the end, more than WORDS_MAX words). */
int words_split(const char *line, char ***words_r, char *error_r,
		size_t error_size);
void words_free(char **words);
/* Append words so that words_split gives the same ones back. */
void words_join(const char *const *words, struct buf *out);

#endif
