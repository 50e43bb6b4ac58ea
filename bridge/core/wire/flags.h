/* Flags as text: sets, changes, and marks of changes that the store has not taken
 * yet. Pure functions.
 *
 * A set is a list in wire form, "\Seen,$Work"; a change is "+\Seen,-$Work"
 * (protocol.md, "STORE"). In a message's set in the map an element "%+\Seen" or
 * "%-\Seen" is a mark: that change is still to be pushed. No flag is spelt so, for
 * in wire form two hexadecimal digits follow a %. */
#ifndef BRIDGE_FLAGS_TEXT_H
#define BRIDGE_FLAGS_TEXT_H

#include "caps.h"

bool flags_is_mark(struct view elem);
/* A client's change: map_change is it with the marks that it makes and lifts,
 * push is the part that is for the store. caps NULL: all of it may be. Both are
 * appended to. */
void flags_mark(const struct caps *caps, struct view change,
		struct buf *map_change, struct buf *push);
/* A change and then another one, as one change, sorted by flag; what is said last of
 * a flag holds. */
void flags_then(struct view first, struct view second, struct buf *out);
/* The change that lifts the marks of a change. */
void flags_unmark(struct view change, struct buf *out);
/* The change that takes a change back. */
void flags_inverse(struct view change, struct buf *out);
/* The change that the marks in a set stand for; empty if there are none. */
void flags_marked(struct view set, struct buf *out);
bool flags_has_marks(struct view set);
/* A set without its marks. */
void flags_unmarked(struct view set, struct buf *out);
/* What becomes of a message's set when the store says it is listed: what the
 * store keeps is as it says, seen through the marks; the rest stays. */
void flags_listed(const struct caps *caps, struct view set,
		  struct view listed, struct buf *out);

/* A message is copied whose set in the map this is: the change of flags that the
 * store keeps from what it gave the copy (what is marked it does not know yet) to
 * those wanted. caps NULL: all are compared. Appended to. */
void flags_missing(const struct caps *caps, struct view set, struct view wanted,
		   struct buf *change);
/* A set without marks, and the marks of a change. Appended to. */
void flags_with_marks(struct view set, struct view change, struct buf *out);

/* The store keeps flags now that it did not keep before (caps_keeps): the change
 * that marks those of a set, to be pushed. Appended to. */
void flags_adopt(const struct caps *caps, uint32_t before, struct view set,
		 struct buf *change);

#endif
