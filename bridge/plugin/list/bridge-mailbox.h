/* What the store says of a mailbox. */
#ifndef BRIDGE_MAILBOX_H
#define BRIDGE_MAILBOX_H

#include "bridge-private.h"

/* As the store lists it: NULL if it does not. Returns 0, -1 with the storage's error
   set. */
int bridge_mailbox_lookup(struct bridge_mailbox *mbox,
			  const struct listing_box **box_r);
bool bridge_mailbox_is_selectable(const struct listing_box *lbox);
/* As far as is known. */
bool bridge_mailbox_has_children(struct bridge_mailbox *mbox);
/* It is to be opened, and this is how the store lists it: that is noted. Returns 0; -1
   with the storage's error set if it cannot be opened. */
int bridge_mailbox_check(struct bridge_mailbox *mbox,
			 const struct listing_box *lbox);
/* A mailbox that the store did not list may be there by now. Returns 1 if the
   backend has a name for it, 0 if not, -1 with the storage's error set. */
int bridge_mailbox_find(struct bridge_mailbox *mbox);
/* doveadm force-resync of a mailbox that the store did not list: ask again, and
   believe the answer. Returns 0, -1 with the storage's error set. */
int bridge_mailbox_believe(struct bridge_mailbox *mbox);
/* Whether messages can be removed from it. */
bool bridge_mailbox_removes(struct bridge_mailbox *mbox);

#endif
