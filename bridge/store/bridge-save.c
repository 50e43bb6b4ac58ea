/* What a store without the write verbs answers to writes: NO [NOPERM], before
 * anything was changed. */
#include "lib.h"
#include "compat.h"
#include "bridge-storage.h"

int bridge_refuse(struct mailbox *box, const char *what)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_PERM,
		t_strdup_printf("This mail store is read-only: %s", what));
	return -1;
}

struct mail_save_context *
bridge_save_alloc(struct mailbox_transaction_context *t)
{
	struct mail_save_context *ctx = t->save_ctx;

	if (ctx == NULL) {
		ctx = i_new(struct mail_save_context, 1);
		ctx->transaction = t;
		t->save_ctx = ctx;
	}
	return ctx;
}

int bridge_save_begin(struct mail_save_context *ctx,
		      struct istream *input ATTR_UNUSED)
{
	return bridge_refuse(ctx->transaction->box,
			     "messages cannot be added");
}

int bridge_save_continue(struct mail_save_context *ctx ATTR_UNUSED)
{
	return -1;
}

int bridge_save_finish(struct mail_save_context *ctx)
{
	index_save_context_free(ctx);
	return -1;
}

void bridge_save_cancel(struct mail_save_context *ctx)
{
	index_save_context_free(ctx);
}

int bridge_transaction_save_commit_pre(struct mail_save_context *ctx)
{
	bridge_transaction_save_rollback(ctx);
	return -1;
}

void bridge_transaction_save_commit_post(
	struct mail_save_context *ctx,
	struct mail_index_transaction_commit_result *result ATTR_UNUSED)
{
	i_free(ctx);
}

void bridge_transaction_save_rollback(struct mail_save_context *ctx)
{
	ctx->transaction->save_ctx = NULL;
	i_free(ctx);
}

/* An expunge cannot fail by itself: remember it, and refuse the transaction. */
void bridge_mail_expunge(struct mail *mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	mbox->refused = mail->transaction;
}

int bridge_transaction_commit(struct mailbox_transaction_context *t,
			      struct mail_transaction_commit_changes *changes)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(t->box);
	struct mailbox *box = t->box;

	if (mbox->refused != t)
		return index_transaction_commit(t, changes);
	mbox->refused = NULL;
	index_transaction_rollback(t);
	/* For MAIL_ERROR_PERM imap (2.3.19) answers "OK Expunge ignored". The
	   client asked for something that was not done: NO. */
	mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
		"[NOPERM] This mail store is read-only: "
		"messages cannot be removed");
	return -1;
}

void bridge_transaction_rollback(struct mailbox_transaction_context *t)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(t->box);

	if (mbox->refused == t)
		mbox->refused = NULL;
	index_transaction_rollback(t);
}
