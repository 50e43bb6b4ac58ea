/* The lock of a mailbox: that of its map. Who has it lists, and changes map and index; so
 * no list is older than another session's change. The mailbox may have been renamed or
 * removed meanwhile: it is looked whether what was locked is still what lies there. */
#ifndef BRIDGE_LOCK_H
#define BRIDGE_LOCK_H

#include "bridge-private.h"

/* Whether the folders that the mailbox was opened in are those that are there: they may
   have been renamed, or removed, and made again since. */
enum bridge_place {
	BRIDGE_PLACE_SAME,
	BRIDGE_PLACE_NONE,	/* there are none */
	BRIDGE_PLACE_OTHER,	/* Dovecot must not look at the index any more: it
				   would read another one, and call it damaged */
	BRIDGE_PLACE_UNKNOWN	/* with the storage's error set */
};
enum bridge_place bridge_lock_place(struct bridge_mailbox *mbox);
/* It is being opened: its folders are these. Returns 0, -1 with the storage's error
   set. */
int bridge_lock_note_place(struct bridge_mailbox *mbox);

enum bridge_lock {
	BRIDGE_LOCKED,
	BRIDGE_LOCK_MOVED,	/* what is kept of it is not there any more */
	BRIDGE_LOCK_BUSY,	/* see the fault */
	BRIDGE_LOCK_FAILED	/* with the storage's error set */
};
/* Wait at most so long for it. */
enum bridge_lock
bridge_lock_try(struct bridge_mailbox *mbox, unsigned int wait_msecs,
		struct fault *fault);
/* Take it. Returns 0, -1 with the storage's error set. */
int bridge_lock_take(struct bridge_mailbox *mbox);
/* That of what was kept of the mailbox when it was opened, though the store is believed
   that it has no such mailbox, and so nothing is at its name. */
enum bridge_lock bridge_lock_opened(struct bridge_mailbox *mbox);
/* Another session has renamed it: the client has to open it again. Always returns -1,
   with the storage's error set. */
int bridge_lock_moved(struct bridge_mailbox *mbox);

#endif
