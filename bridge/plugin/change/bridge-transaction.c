/* What clients change in one step, and what becomes of it.
 *
 * EXPUNGE goes to the store when the transaction is committed, before anything is
 * said of it: what the store has removed goes from the map and the index, what it
 * would not remove stays, and the client is told. Flags are the index's at once;
 * the next synchronisation takes them to the map and to the store
 * (bridge-sync-push.c). Saving: bridge-save.c. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-fault.h"
#include "bridge-mailbox.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"
#include "bridge-transaction.h"

#include "write.h"

struct bridge_transaction {
	struct mailbox_transaction_context t;
	const char *refused_text;	/* it tried what this store or mailbox
					   cannot; NULL = it did not */
	ARRAY_TYPE(uint32_t) expunges;	/* UIDs that a client wants gone */
	bool locked;
};

#define BRIDGE_TRANSACTION(x) \
	container_of(x, struct bridge_transaction, t)

struct mailbox_transaction_context *
bridge_transaction_begin(struct mailbox *box,
			 enum mailbox_transaction_flags flags,
			 const char *reason)
{
	struct bridge_transaction *bt = i_new(struct bridge_transaction, 1);

	i_array_init(&bt->expunges, 8);
	index_transaction_init(&bt->t, box, flags, reason);
	return &bt->t;
}

int bridge_transaction_lock(struct mailbox_transaction_context *t)
{
	struct bridge_transaction *bt = BRIDGE_TRANSACTION(t);

	if (bt->locked)
		return 0;
	if (bridge_sync_lock_in_step(BRIDGE_MAILBOX(t->box)) < 0)
		return -1;
	bt->locked = TRUE;
	return 0;
}

uint32_t bridge_transaction_next_uid(struct mailbox_transaction_context *t)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(t->box);
	uint32_t index_next = mail_index_get_header(t->box->view)->next_uid;

	return I_MAX(idmap_header(mbox->map)->next_uid, index_next);
}

/* --- what is not allowed ------------------------------------------------- */

/* Changes of a mail cannot fail by themselves: remember, and refuse the
   transaction. */
static void transaction_refuse_mail(struct mail *mail, const char *text)
{
	struct bridge_transaction *bt = BRIDGE_TRANSACTION(mail->transaction);

	bt->refused_text = text;
}

void bridge_transaction_expunge_mail(struct mail *mail)
{
	struct bridge_transaction *bt = BRIDGE_TRANSACTION(mail->transaction);
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (!bridge_mailbox_removes(mbox))
		transaction_refuse_mail(mail, "This mail store is "
			"read-only: messages cannot be removed");
	else
		array_push_back(&bt->expunges, &mail->uid);
}

/* A mailbox marked ro takes no flag. POP3 marks by itself what it reads, and
   would have to refuse a session that did nothing else. */
static bool transaction_takes_flags(struct mail *mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (!mbox->ro)
		return TRUE;
	if ((mail->box->flags & MAILBOX_FLAG_POP3_SESSION) == 0)
		transaction_refuse_mail(mail, "This mailbox is read-only: "
					"flags cannot be changed");
	return FALSE;
}

void bridge_transaction_update_flags(struct mail *mail,
				     enum modify_type modify_type,
				     enum mail_flags flags)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (!transaction_takes_flags(mail))
		return;
	/* whoever reads marks as read */
	if (modify_type != MODIFY_ADD || flags != MAIL_SEEN)
		mbox->flagged = TRUE;
	index_mail_update_flags(mail, modify_type, flags);
}

void bridge_transaction_update_keywords(struct mail *mail,
					enum modify_type modify_type,
					struct mail_keywords *keywords)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (!transaction_takes_flags(mail))
		return;
	mbox->flagged = TRUE;
	index_mail_update_keywords(mail, modify_type, keywords);
}

/* --- EXPUNGE ------------------------------------------------------------- */

/* When a MOVE within a mailbox fails, imap (2.3.19, cmd-copy.c) rolls the copies
   back, and commits what expunges the messages all the same. */
void bridge_transaction_spare(struct bridge_mailbox *mbox,
			      const ARRAY_TYPE(uint32_t) *uids)
{
	if (!array_is_created(&mbox->spared))
		i_array_init(&mbox->spared, array_count(uids));
	array_append_array(&mbox->spared, uids);
}

/* The transaction of the messages themselves: take back what was spared. */
static void bridge_transaction_take_spared(struct bridge_transaction *bt)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(bt->t.box);
	const uint32_t *spared;
	unsigned int i;

	if (!array_is_created(&mbox->spared) ||
	    array_count(&bt->expunges) == 0)
		return;
	array_foreach(&mbox->spared, spared) {
		for (i = array_count(&bt->expunges); i-- > 0; ) {
			if (*array_idx(&bt->expunges, i) == *spared)
				array_delete(&bt->expunges, i, 1);
		}
	}
	array_free(&mbox->spared);
}

struct transaction_expunge {
	struct bridge_mailbox *mbox;
	pool_t pool;
	ARRAY_TYPE(const_string) ids;	/* from the pool */
	unsigned int failed;
	struct fault fault;	/* of the first that failed */
};

/* The ids of the messages that the store still has, as far as we know. */
static int expunge_ids(struct bridge_transaction *bt,
		       struct transaction_expunge *ctx)
{
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	const char *id;
	uint32_t uid, seq;
	int ret = 0;

	array_foreach_elem(&bt->expunges, uid) {
		if (!mail_index_lookup_seq(bt->t.view, uid, &seq))
			continue;
		ret = bridge_map_entry(ctx->mbox, bt->t.view, seq, uid, &entry,
				       &buf, &ctx->fault);
		if (ret < 0)
			break;
		if (ret == 0)
			continue;
		id = p_strndup(ctx->pool, entry.id.p, entry.id.len);
		array_push_back(&ctx->ids, &id);
	}
	buf_free(&buf);
	return ret < 0 ? -1 : 0;
}

/* Ask the store for some of them, from the nth on. Those that are gone come to the
   front, behind the gone ones of before. Returns 0, -1 if the rest need not be
   asked for. */
static int expunge_some(struct transaction_expunge *ctx,
			struct write_item *items, unsigned int n,
			unsigned int count, unsigned int *gone)
{
	struct bridge_mailbox *mbox = ctx->mbox;
	const char **ids = array_front_modifiable(&ctx->ids), *id;
	struct fault fault;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++)
		items[i].id = view_of(ids[n + i]);
	ret = write_expunge(mbox->list->session, mbox->wire_name, items, count,
			    &fault);
	for (i = 0; i < count; i++) {
		if (items[i].status == WRITE_DONE ||
		    items[i].status == WRITE_GONE) {
			id = ids[n + i];
			ids[n + i] = ids[*gone];
			ids[(*gone)++] = id;
		} else if (ctx->failed++ == 0) {
			ctx->fault = *items[i].fault;
		}
	}
	write_items_free(items, count);
	return ret;
}

/* Ask the store. Afterwards ids are those that are gone. */
static void expunge_ask(struct transaction_expunge *ctx)
{
	unsigned int n = 0, some, gone = 0, count = array_count(&ctx->ids);
	struct write_item *items;
	int ret = 0;

	if (count == 0)
		return;
	items = i_new(struct write_item, I_MIN(count, BRIDGE_WRITE_MAX));
	for (; ret == 0 && n < count; n += some) {
		some = I_MIN(count - n, BRIDGE_WRITE_MAX);
		ret = expunge_some(ctx, items, n, some, &gone);
	}
	i_free(items);
	/* the others are still there, behind */
	array_delete(&ctx->ids, gone, count - gone);
}

/* Returns 0; -1 with the storage's error set: those that the store removed are
   gone all the same. */
static int bridge_transaction_expunge(struct bridge_transaction *bt)
{
	struct transaction_expunge ctx;
	int ret;

	i_zero(&ctx);
	ctx.mbox = BRIDGE_MAILBOX(bt->t.box);
	if (bridge_transaction_lock(&bt->t) < 0)
		return -1;
	ctx.pool = pool_alloconly_create("bridge expunge", 1024);
	i_array_init(&ctx.ids, 16);
	ret = expunge_ids(bt, &ctx);
	if (ret == 0) {
		expunge_ask(&ctx);
		if (array_count(&ctx.ids) > 0)
			ret = bridge_sync_gone(ctx.mbox, &ctx.ids);
		if (ctx.failed > 0)
			ret = bridge_fault_box(bt->t.box, &ctx.fault);
	} else {
		ret = bridge_fault_box(bt->t.box, &ctx.fault);
	}
	array_free(&ctx.ids);
	pool_unref(&ctx.pool);
	return ret;
}

/* --- commit -------------------------------------------------------------- */

/* For MAIL_ERROR_PERM imap (2.3.19) answers "OK Expunge ignored". The client
   asked for something that was not done: NO. */
static void bridge_transaction_set_error(struct mail_storage *storage,
					 enum mail_error error,
					 const char *text)
{
	if (error == MAIL_ERROR_PERM) {
		error = MAIL_ERROR_NOTPOSSIBLE;
		text = t_strconcat("[NOPERM] ", text, NULL);
	}
	mail_storage_set_error(storage, error, text);
}

static int bridge_transaction_refuse(struct bridge_transaction *bt)
{
	struct mailbox *box = bt->t.box;
	const char *text = bt->refused_text;

	bridge_transaction_rollback(&bt->t);
	bridge_transaction_set_error(box->storage, MAIL_ERROR_PERM, text);
	return -1;
}

int bridge_transaction_commit(struct mailbox_transaction_context *t,
			      struct mail_transaction_commit_changes *changes)
{
	struct bridge_transaction *bt = BRIDGE_TRANSACTION(t);
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(t->box);
	struct mail_storage *storage = t->box->storage;
	enum mail_error error = MAIL_ERROR_NONE;
	const char *text = NULL;
	int ret;

	if (bt->refused_text != NULL)
		return bridge_transaction_refuse(bt);
	bridge_transaction_take_spared(bt);
	if (array_count(&bt->expunges) > 0 &&
	    bridge_transaction_expunge(bt) < 0)
		text = t_strdup(mail_storage_get_last_error(storage, &error));
	array_free(&bt->expunges);
	ret = index_transaction_commit(t, changes);
	/* t is gone; the lock was taken for it alone */
	idmap_unlock(mbox->map);
	if (text != NULL) {
		bridge_transaction_set_error(storage, error, text);
		ret = -1;
	}
	return ret;
}

void bridge_transaction_rollback(struct mailbox_transaction_context *t)
{
	struct bridge_transaction *bt = BRIDGE_TRANSACTION(t);
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(t->box);

	bridge_transaction_take_spared(bt);
	array_free(&bt->expunges);
	index_transaction_rollback(t);
	idmap_unlock(mbox->map);
}
