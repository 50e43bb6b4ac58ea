/* Mailboxes made, removed and renamed: see bridge-box.c. */
#ifndef BRIDGE_BOX_H
#define BRIDGE_BOX_H

#include "bridge-private.h"

int bridge_box_create(struct mailbox *box, const struct mailbox_update *update,
		      bool directory);

int bridge_box_update(struct mailbox *box, const struct mailbox_update *update);
int bridge_box_delete(struct mailbox *box);

/* The list's part: the folders of a mailbox that the store has removed; RENAME,
 * whole. */
int bridge_box_delete_folders(struct mailbox_list *list, const char *name);
int bridge_box_delete_dir(struct mailbox_list *list, const char *name);
int bridge_box_rename_mailbox(struct mailbox_list *list, const char *old,
			      struct mailbox_list *new_list, const char *new);

/* Whether the mailbox can be written to by this verb (VERB_COUNT: by any); an
   INBOX that the store lacks is made. Returns 0 and what the store can do; -1
   with the storage's error set. what: "messages cannot be added". */
int bridge_box_may_write(struct bridge_mailbox *mbox, enum verb_id verb,
			 const char *what, const struct caps **caps_r);
/* Make the INBOX that the store lacks. Returns 1, 0 if it still lacks it, -1
 * with the storage's error set. */
int bridge_box_make(struct bridge_mailbox *mbox);

#endif
