/* What the two kinds of lists have in common. */
#ifndef BRIDGE_LISTING_PRIVATE_H
#define BRIDGE_LISTING_PRIVATE_H

#include "listing.h"

/* An item of the other kind of list: ignored, but not without end. Returns 0 or -1. */
int listing_other(size_t *others, const struct wire_line *line,
		  struct wire_error *error_r);
/* A copy of text, to be freed. */
char *listing_dup(struct view view);

#endif
