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

/* Changes of a mail cannot fail by themselves: remember, and refuse the
   transaction. */
static void bridge_mail_refuse(struct mail *mail, const char *text)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	mbox->refused = mail->transaction;
	mbox->refused_text = text;
}

void bridge_mail_expunge(struct mail *mail)
{
	bridge_mail_refuse(mail, "[NOPERM] This mail store is read-only: "
			   "messages cannot be removed");
}

/* A mailbox marked ro takes no flag. POP3 marks by itself what it reads, and
   would have to refuse a session that did nothing else. */
static bool bridge_mail_takes_flags(struct mail *mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (!mbox->ro)
		return TRUE;
	if ((mail->box->flags & MAILBOX_FLAG_POP3_SESSION) == 0)
		bridge_mail_refuse(mail, "[NOPERM] This mailbox is read-only: "
				   "flags cannot be changed");
	return FALSE;
}

void bridge_mail_update_flags(struct mail *mail, enum modify_type modify_type,
			      enum mail_flags flags)
{
	if (bridge_mail_takes_flags(mail))
		index_mail_update_flags(mail, modify_type, flags);
}

void bridge_mail_update_keywords(struct mail *mail,
				 enum modify_type modify_type,
				 struct mail_keywords *keywords)
{
	if (bridge_mail_takes_flags(mail))
		index_mail_update_keywords(mail, modify_type, keywords);
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
			       mbox->refused_text);
	return -1;
}

void bridge_transaction_rollback(struct mailbox_transaction_context *t)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(t->box);

	if (mbox->refused == t)
		mbox->refused = NULL;
	index_transaction_rollback(t);
}
