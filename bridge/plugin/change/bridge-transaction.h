/* A transaction of a mailbox: what clients change in one step. */
#ifndef BRIDGE_TRANSACTION_H
#define BRIDGE_TRANSACTION_H

#include "bridge-private.h"

struct mailbox_transaction_context *
bridge_transaction_begin(struct mailbox *box,
			 enum mailbox_transaction_flags flags,
			 const char *reason);
int bridge_transaction_commit(struct mailbox_transaction_context *t,
			      struct mail_transaction_commit_changes *changes);
void bridge_transaction_rollback(struct mailbox_transaction_context *t);

/* Lock the mailbox until the end of the transaction, with the index in step with
 * its map. May be called again. Returns 0, -1 with the storage's error set. */
int bridge_transaction_lock(struct mailbox_transaction_context *t);
/* The next UID to give out, locked. */
uint32_t bridge_transaction_next_uid(struct mailbox_transaction_context *t);

/* These UIDs could not be moved within the mailbox. */
void bridge_transaction_spare(struct bridge_mailbox *mbox,
			      const ARRAY_TYPE(uint32_t) *uids);

void bridge_transaction_expunge_mail(struct mail *mail);
void bridge_transaction_update_flags(struct mail *mail,
				     enum modify_type modify_type,
				     enum mail_flags flags);
void bridge_transaction_update_keywords(struct mail *mail,
					enum modify_type modify_type,
					struct mail_keywords *keywords);

#endif
