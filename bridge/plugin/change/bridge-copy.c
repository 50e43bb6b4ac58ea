/* COPY and MOVE by the store itself, where both mailboxes are of one store and
 * it can; else the message goes through here, read and saved again. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "mail-copy.h"
#include "bridge-box.h"
#include "bridge-fault.h"
#include "bridge-flags.h"
#include "bridge-mailbox.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-save.h"

/* Whether the store is asked to move it. With lazy_expunge (2.3.19) the expunge that
   follows on the copy is what puts the message aside: by then it must be there. */
static bool bridge_copy_moves(const struct bridge_save_context *ctx,
			      const struct caps *caps)
{
	return ctx->ctx.moving && caps->verbs[VERB_MOVE] &&
		!compat_is_lazy(ctx->mbox->list->list.ns->user);
}

/* Whether the store is asked to. A message that must keep its UID or its GUID, or
   gets another date, is saved. */
static bool
bridge_copy_by_store(struct bridge_save_context *ctx, struct mail *mail)
{
	struct mailbox *src_box = mail->box;
	struct bridge_mailbox *src;
	const struct caps *caps;
	struct fault fault;

	if (!bridge_is_ours(src_box) || ctx->ctx.data.guid != NULL)
		return FALSE;
	src = BRIDGE_MAILBOX(src_box);
	if (src->list != ctx->mbox->list || src->wire_name == NULL)
		return FALSE;
	caps = session_caps(src->list->session, &fault);
	return caps != NULL &&
		(caps->verbs[VERB_COPY] || bridge_copy_moves(ctx, caps));
}

/* Whether the store knows all that the index says of flags in this mailbox. */
static bool bridge_copy_flags_are_told(struct bridge_mailbox *src)
{
	struct mailbox *box = &src->box;

	return !bridge_map_has_marks(src, box->view) &&
		!mail_index_sync_have_any(box->index,
					  index_storage_get_sync_flags(box));
}

/* What the store knows of its flags, as a set of the map. Returns 0, -1 and a fault. */
static int
bridge_copy_src_flags(struct mail *mail, struct bridge_saved *saved,
		      struct fault *fault)
{
	struct bridge_mailbox *src = saved->src;
	struct buf buf = { NULL, 0, 0 };
	struct idmap_entry entry;
	int ret;

	if (bridge_copy_flags_are_told(src)) {
		saved->src_flags = i_strdup(bridge_flags_of(mail->box,
					mail->box->view, mail->seq));
		return 0;
	}
	i_zero(&entry);
	ret = idmap_lookup(src->map, mail->uid, &entry, &buf, fault);
	if (ret >= 0)
		saved->src_flags = entry.flags.len == 0 ? i_strdup("") :
			i_strndup(entry.flags.p, entry.flags.len);
	buf_free(&buf);
	return ret < 0 ? -1 : 0;
}

/* Returns 1, 0 if the source does not know the message any more, -1 with the
   storage's error set. */
static int
bridge_copy_add(struct bridge_save_context *ctx, struct mail *mail)
{
	struct bridge_mailbox *src = BRIDGE_MAILBOX(mail->box);
	struct bridge_saved *saved;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	const struct caps *caps;
	struct fault fault;
	int ret;

	caps = session_caps(src->list->session, &fault);
	ret = caps == NULL ? -1 :
		bridge_map_entry(src, mail->transaction->view, mail->seq,
				 mail->uid, &entry, &buf, &fault);
	if (ret > 0) {
		saved = bridge_save_add(ctx);
		saved->src = src;
		saved->src_uid = mail->uid;
		saved->src_id = i_strndup(entry.id.p, entry.id.len);
		/* with a new UID it stays the message that it was */
		saved->has_guid = ctx->ctx.moving && src == ctx->mbox;
		idmap_guid(idmap_header(src->map)->guid, &entry, saved->guid);
		saved->moving = bridge_copy_moves(ctx, caps);
		saved->size = entry.size;
		saved->date = entry.date;
		if (entry.date == WIRE_DATE_UNKNOWN)
			saved->seen_before = entry.seen_before > 0 ?
				entry.seen_before : entry.first_seen;
		T_BEGIN {
			if (bridge_copy_src_flags(mail, saved, &fault) < 0)
				ret = -1;
		} T_END;
		mail_set_seq_saving(ctx->ctx.dest_mail, saved->seq);
		index_copy_cache_fields(&ctx->ctx, mail, saved->seq);
	}
	buf_free(&buf);
	return ret < 0 ? bridge_fault_box(&ctx->mbox->box, &fault) : ret;
}

static int bridge_copy_save(struct mail_save_context *_ctx, struct mail *mail)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	const struct caps *caps;
	int ret = 0;

	if (!bridge_copy_by_store(ctx, mail))
		return mail_storage_copy(_ctx, mail);
	ret = bridge_box_may_write(ctx->mbox, VERB_COUNT,
				   "messages cannot be added", &caps);
	if (ret == 0) {
		ret = bridge_copy_add(ctx, mail);
		if (ret == 0) {
			mail_set_expunged(mail);
			mail_storage_set_error(ctx->mbox->box.storage,
				MAIL_ERROR_EXPUNGED, "Message is gone");
			ret = -1;
		}
	}
	index_save_context_free(_ctx);
	return ret < 0 ? -1 : 0;
}

static int bridge_copy_may(struct mail_save_context *_ctx, struct mail *mail)
{
	if (!_ctx->moving || !bridge_is_ours(mail->box) ||
	    bridge_mailbox_removes(BRIDGE_MAILBOX(mail->box)))
		return 0;
	/* see bridge-guard.c */
	mail_storage_set_error(_ctx->transaction->box->storage,
		MAIL_ERROR_NOTPOSSIBLE, "[NOPERM] This mail store is "
		"read-only: messages cannot be removed");
	index_save_context_free(_ctx);
	return -1;
}

/* dsync (2.3.19, dsync-mailbox-import.c) gives messages other UIDs by moving them
   within the mailbox. If that fails it crashes, or removes the message; if the commit
   fails, it takes all back. */
static void bridge_copy_refuse_later(struct bridge_save_context *ctx)
{
	const char *text = mail_storage_get_last_error(ctx->mbox->box.storage,
						       &ctx->refused_error);

	i_free(ctx->refused_text);
	ctx->refused_text = i_strdup(text);
}

int bridge_copy(struct mail_save_context *_ctx, struct mail *mail)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	struct mailbox_transaction_context *t = _ctx->transaction;
	bool own_move = _ctx->moving && mail->box == &ctx->mbox->box;

	if (bridge_copy_may(_ctx, mail) < 0 ||
	    bridge_copy_save(_ctx, mail) < 0) {
		if (!own_move ||
		    (t->flags & MAILBOX_TRANSACTION_FLAG_ASSIGN_UIDS) == 0)
			return -1;
		bridge_copy_refuse_later(ctx);
		return 0;
	}
	if (own_move)
		array_push_back(&ctx->own_moves, &mail->uid);
	return 0;
}
