/* What a mailbox is kept under: its id, where the store gives one, else its name
 * (protocol.md, "Mailboxes and names"). The reasoning stands at the top of
 * bridge-identity.c. */
#ifndef BRIDGE_IDENTITY_H
#define BRIDGE_IDENTITY_H

#include "bridge-private.h"

/* The folder of the mailbox that has this name now, as far as is known: from the
 * data stack. Returns 0, -1 with the list's error set. */
int bridge_identity_folder(struct bridge_mailbox_list *list, const char *name,
			   const char **folder_r);

/* The folder of a mailbox of this name and the id that BOX gave it (NULL = none),
 * as far as is known; the store is not asked. From the data stack. */
const char *
bridge_identity_known_folder(struct bridge_mailbox_list *list, const char *name,
			     const char *box_id);
/* The name under which the mailbox of a folder was last seen; NULL if the folder
 * does not say it. From the data stack. */
const char *bridge_identity_last_name(struct bridge_mailbox_list *list,
				      const char *folder);

/* The folder of a name, where nothing has an id: from the data stack. */
const char *bridge_identity_name_folder(const char *name);

/* The mailbox is being opened, from the folder that is known. Returns 0, -1 with
 * the storage's error set. */
int bridge_identity_open(struct bridge_mailbox *mbox);

/* LIST has named a mailbox that it lacked when it was opened. Returns 0; -1 and
 * a fault if it is another one: the client has to open it anew. */
int bridge_identity_check_listed(struct bridge_mailbox *mbox,
				 struct fault *fault);
/* LIST box has told which mailbox it is: ok_id is the id= on its OK, NULL = none.
 * Returns 1 if it is the one that was opened; 0 if it is another one, which is
 * remembered, and nothing was shown of the one that was opened: see
 * bridge_identity_reopen(); -1 and a fault if the client has to open it anew, or
 * the id is another mailbox's, too. */
int bridge_identity_check(struct bridge_mailbox *mbox, const char *ok_id,
			  struct fault *fault);
/* Open the mailbox that is remembered now, in place of the one that is open. It is
 * not locked, and has no transactions. Fails if acl has other rights for the one than for
 * the other: it has looked for them already. Returns 0, -1 with the storage's error
 * set. */
int bridge_identity_reopen(struct bridge_mailbox *mbox);

#endif
