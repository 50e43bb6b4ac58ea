/* Saving: what comes in is spooled to a file of our own, and handed to the store
 * when the transaction is committed, so that a client that goes away in the
 * middle leaves nothing behind. One file for all messages: to make one for each,
 * and take it away again, costs more than to write the message.
 *
 * The commit, under the mailbox's lock, so that no list can see a message before
 * its UID is given out:
 *
 *	the store takes all messages and says their ids
 *	(if one fails, those before are taken back, where the store can)
 *	the map gets ids and UIDs, and is synced
 *	the index gets UIDs and records
 *
 * After a crash in between, the next list brings the messages in: under their
 * UIDs if the map has them, else as new ones. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "guid.h"
#include "ioloop.h"
#include "istream.h"
#include "istream-crlf.h"
#include "ostream.h"
#include "mail-copy.h"
#include "bridge-box.h"
#include "bridge-fault.h"
#include "bridge-flags.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-save.h"
#include "bridge-transaction.h"
#include "file.h"

#include <fcntl.h>
#include <unistd.h>
#include <sys/stat.h>

struct mail_save_context *
bridge_save_alloc(struct mailbox_transaction_context *t)
{
	struct bridge_save_context *ctx;

	if (t->save_ctx != NULL)
		return t->save_ctx;
	ctx = i_new(struct bridge_save_context, 1);
	ctx->ctx.transaction = t;
	ctx->mbox = BRIDGE_MAILBOX(t->box);
	ctx->spool_fd = -1;
	i_array_init(&ctx->saved, 8);
	i_array_init(&ctx->own_moves, 8);
	t->save_ctx = &ctx->ctx;
	return t->save_ctx;
}

static void bridge_saved_free(struct bridge_saved *saved)
{
	append_end(&saved->append);
	i_free(saved->flags);
	i_free(saved->src_id);
	i_free(saved->src_flags);
	i_free(saved->change);
	i_free(saved->id);
}

static void bridge_save_free(struct bridge_save_context *ctx)
{
	struct bridge_saved *saved;

	array_foreach_modifiable(&ctx->saved, saved)
		bridge_saved_free(saved);
	array_free(&ctx->saved);
	array_free(&ctx->own_moves);
	i_close_fd(&ctx->spool_fd);
	i_free(ctx->refused_text);
	i_free(ctx);
}

/* --- one message --------------------------------------------------------- */

struct bridge_saved *bridge_save_add(struct bridge_save_context *ctx)
{
	struct mailbox_transaction_context *t = ctx->ctx.transaction;
	struct mail_save_data *data = &ctx->ctx.data;
	struct bridge_saved *saved = array_append_space(&ctx->saved);

	saved->flags = i_strdup(data->keywords == NULL ?
		bridge_flags_list(t->box, data->flags, NULL, 0) :
		bridge_flags_list(t->box, data->flags, data->keywords->idx,
				  data->keywords->count));
	saved->wants_uid = data->uid != 0;
	saved->has_guid = data->guid != NULL && *data->guid != '\0';
	if (saved->has_guid)
		mail_generate_guid_128_hash(data->guid, saved->guid);
	saved->date = WIRE_DATE_UNKNOWN;
	saved->size = saved->stored_size = WIRE_SIZE_UNKNOWN;
	mail_index_append(t->itrans, data->uid, &saved->seq);
	mail_index_update_flags(t->itrans, saved->seq, MODIFY_REPLACE,
				data->flags & ENUM_NEGATE(MAIL_RECENT));
	if (data->keywords != NULL)
		mail_index_update_keywords(t->itrans, saved->seq,
					   MODIFY_REPLACE, data->keywords);
	if (data->min_modseq != 0)
		mail_index_update_modseq(t->itrans, saved->seq,
					 data->min_modseq);
	ctx->seq = saved->seq;
	return saved;
}

static void bridge_save_drop_last(struct bridge_save_context *ctx)
{
	index_storage_save_abort_last(&ctx->ctx, ctx->seq);
	bridge_saved_free(array_back_modifiable(&ctx->saved));
	array_pop_back(&ctx->saved);
}

/* Returns 0, -1 with the storage's error set. */
static int bridge_save_open(struct bridge_save_context *ctx)
{
	struct mailbox *box = &ctx->mbox->box;
	const char *dir = session_settings(ctx->mbox->list->session)->tmp_dir;

	if (ctx->spool_fd < 0)
		ctx->spool_fd = file_unnamed(dir);
	if (ctx->spool_fd >= 0)
		return 0;
	if (!mail_storage_set_error_from_errno(box->storage))
		mailbox_set_critical(box, "bridge: cannot make a file for "
				     "messages in %s: %m", dir);
	return -1;
}

/* A date that cannot be told to the store, nor be kept by Dovecot, is none: then
   INTERNALDATE is what it is of a message without one. */
static void bridge_save_dates(struct mail_save_context *_ctx,
			      struct bridge_saved *saved)
{
	struct mail_save_data *data = &_ctx->data;

	if (data->received_date == (time_t)-1)
		data->received_date = ioloop_time;
	if (data->received_date >= 0 &&
	    (uint64_t)data->received_date <= WIRE_DATE_MAX)
		saved->date = data->received_date;
	/* dsync tells it */
	if (data->save_date > 0)
		saved->saved_at = data->save_date;
}

int bridge_save_begin(struct mail_save_context *_ctx, struct istream *input)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	const struct caps *caps;
	struct bridge_saved *saved;
	struct istream *lines;

	ctx->failed = TRUE;
	if (bridge_box_may_write(ctx->mbox, VERB_APPEND,
				 "messages cannot be added", &caps) < 0 ||
	    bridge_save_open(ctx) < 0)
		return -1;
	saved = bridge_save_add(ctx);
	saved->spooled_at = ctx->spooled;
	guid_128_t guid;
	guid_128_generate(guid);
	(void)i_strocpy(saved->key, guid_128_to_string(guid),
			sizeof(saved->key));
	bridge_save_dates(_ctx, saved);
	mail_set_seq_saving(_ctx->dest_mail, saved->seq);
	lines = caps->crlf ? i_stream_create_crlf(input) :
		i_stream_create_lf(input);
	ctx->input = index_mail_cache_parse_init(_ctx->dest_mail, lines);
	i_stream_unref(&lines);
	_ctx->data.output = o_stream_create_fd_file(ctx->spool_fd,
						    saved->spooled_at, FALSE);
	o_stream_set_name(_ctx->data.output, "(message being saved)");
	o_stream_cork(_ctx->data.output);
	ctx->failed = FALSE;
	return 0;
}

int bridge_save_continue(struct mail_save_context *_ctx)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);

	if (!ctx->failed &&
	    index_storage_save_continue(_ctx, ctx->input,
					_ctx->dest_mail) < 0)
		ctx->failed = TRUE;
	return ctx->failed ? -1 : 0;
}

static void bridge_save_note_size(struct bridge_save_context *ctx)
{
	struct bridge_saved *saved = array_back_modifiable(&ctx->saved);
	uint64_t size = ctx->ctx.data.output->offset - saved->spooled_at;

	if (size > WIRE_MESSAGE_MAX) {
		mail_storage_set_error(ctx->mbox->box.storage,
			MAIL_ERROR_LIMIT, "The message is too large");
		ctx->failed = TRUE;
	} else {
		saved->size = size;
		ctx->spooled += size;
	}
}

static void bridge_save_flush(struct bridge_save_context *ctx)
{
	struct mail_save_context *_ctx = &ctx->ctx;
	struct mailbox *box = &ctx->mbox->box;

	if (ctx->failed) {
		o_stream_abort(_ctx->data.output);
	} else if (o_stream_finish(_ctx->data.output) >= 0) {
		bridge_save_note_size(ctx);
	} else {
		if (!mail_storage_set_error_from_errno(box->storage))
			mailbox_set_critical(box, "bridge: write(%s) failed: "
				"%s", o_stream_get_name(_ctx->data.output),
				o_stream_get_error(_ctx->data.output));
		ctx->failed = TRUE;
	}
	o_stream_unref(&_ctx->data.output);
}

int bridge_save_finish(struct mail_save_context *_ctx)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	const struct bridge_saved *saved;

	if (ctx->input != NULL) {
		bridge_save_flush(ctx);
		saved = array_back(&ctx->saved);
		index_mail_cache_parse_deinit(_ctx->dest_mail,
			saved->date == WIRE_DATE_UNKNOWN ? (time_t)-1 :
			(time_t)saved->date, !ctx->failed);
		if (ctx->failed)
			bridge_save_drop_last(ctx);
		i_stream_unref(&ctx->input);
	}
	index_save_context_free(_ctx);
	return ctx->failed ? -1 : 0;
}

void bridge_save_cancel(struct mail_save_context *_ctx)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);

	ctx->failed = TRUE;
	(void)bridge_save_finish(_ctx);
}

/* --- a message that is being saved is read ------------------------------- */

static const struct bridge_saved *
bridge_save_find(struct mail *mail)
{
	struct mail_save_context *_ctx = mail->transaction->save_ctx;
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	const struct bridge_saved *saved;

	array_foreach(&ctx->saved, saved) {
		if (saved->seq == mail->seq)
			return saved;
	}
	i_unreached();
}

/* How much of it is there: a part of it while it comes in. */
static uint64_t bridge_save_size_now(const struct bridge_saved *saved,
				     struct mail_save_context *_ctx)
{
	if (saved->src != NULL || _ctx->data.output == NULL ||
	    saved->size != WIRE_SIZE_UNKNOWN)
		return saved->size;
	(void)o_stream_flush(_ctx->data.output);
	return _ctx->data.output->offset - saved->spooled_at;
}

int bridge_save_get_size(struct mail *mail, uoff_t *size_r)
{
	*size_r = bridge_save_size_now(bridge_save_find(mail),
				       mail->transaction->save_ctx);
	if (*size_r != WIRE_SIZE_UNKNOWN)
		return 0;
	mail_storage_set_error(mail->box->storage, MAIL_ERROR_NOTPOSSIBLE,
			       "Size not known yet");
	return -1;
}

int bridge_save_get_stream(struct mail *mail, struct istream **input_r)
{
	struct mail_save_context *_ctx = mail->transaction->save_ctx;
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	const struct bridge_saved *saved = bridge_save_find(mail);
	struct istream *spool;
	uint64_t size = bridge_save_size_now(saved, _ctx);
	int fd;

	if (saved->src != NULL) {
		mail_storage_set_error(mail->box->storage,
			MAIL_ERROR_NOTPOSSIBLE, "Message not copied yet");
		return -1;
	}
	fd = fcntl(ctx->spool_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		mail_set_critical(mail, "bridge: dup() failed: %m");
		return -1;
	}
	spool = i_stream_create_fd_autoclose(&fd, MAIL_READ_FULL_BLOCK_SIZE);
	*input_r = i_stream_create_range(spool, saved->spooled_at, size);
	i_stream_unref(&spool);
	return 0;
}

/* --- commit -------------------------------------------------------------- */

/* A message that the store has, under its new UID. The map's side. */
static void
bridge_save_to_map(struct bridge_save_context *ctx, struct bridge_saved *saved)
{
	struct idmap_entry entry;

	i_zero(&entry);
	entry.uid = saved->uid;
	entry.id = view_of(saved->id);
	entry.has_guid = saved->has_guid;
	memcpy(entry.guid, saved->guid, sizeof(entry.guid));
	entry.size = saved->stored_size != WIRE_SIZE_UNKNOWN ?
		saved->stored_size : saved->size;
	entry.date = saved->date;
	entry.first_seen = saved->saved_at != 0 ? saved->saved_at :
		(int64_t)ioloop_time;
	entry.seen_before = saved->seen_before;
	entry.flags = view_of(bridge_save_map_flags(saved));
	saved->offset = idmap_add(ctx->mbox->map, &entry);
}

/* The index's side. */
static void
bridge_save_to_index(struct bridge_save_context *ctx,
		     const struct bridge_saved *saved)
{
	struct bridge_index_record rec;
	struct buf scratch = { NULL, 0, 0 };

	(void)id_hash_spelt(view_of(saved->id), &scratch, rec.hash);
	buf_free(&scratch);
	rec.offset = saved->offset <= UINT32_MAX ? (uint32_t)saved->offset : 0;
	mail_index_update_ext(ctx->ctx.transaction->itrans, saved->seq,
			      ctx->mbox->ext_id, &rec, NULL);
}

/* The store keeps other bytes than it was given: what was parsed is wrong. */
static void bridge_save_check_rewritten(struct bridge_save_context *ctx)
{
	struct mailbox_transaction_context *t = ctx->ctx.transaction;
	const struct bridge_saved *saved;
	const uint32_t not_known = 0;

	array_foreach(&ctx->saved, saved) {
		if (saved->stored_size == WIRE_SIZE_UNKNOWN ||
		    saved->stored_size == saved->size || saved->src != NULL)
			continue;
		mail_cache_transaction_reset(t->cache_trans);
		mail_index_update_ext(t->itrans, saved->seq,
				      t->box->mail_vsize_ext_id, &not_known,
				      NULL);
	}
}

static int bridge_saved_cmp(struct bridge_saved *const *a,
			    struct bridge_saved *const *b)
{
	return (*a)->uid < (*b)->uid ? -1 : (*a)->uid > (*b)->uid;
}

/* dsync asks for UIDs, and in any order; to the map they go in theirs. */
static void bridge_save_all_to_map(struct bridge_save_context *ctx)
{
	ARRAY(struct bridge_saved *) by_uid;
	struct bridge_saved *saved;

	i_array_init(&by_uid, array_count(&ctx->saved));
	array_foreach_modifiable(&ctx->saved, saved)
		array_push_back(&by_uid, &saved);
	array_sort(&by_uid, bridge_saved_cmp);
	array_foreach_elem(&by_uid, saved)
		bridge_save_to_map(ctx, saved);
	array_free(&by_uid);
}

/* Give out the UIDs, to the map first. Returns 0, -1 with the storage's error
   set. */
static int bridge_save_assign(struct bridge_save_context *ctx)
{
	struct mailbox_transaction_context *t = ctx->ctx.transaction;
	ARRAY_TYPE(seq_range) *uids = &t->changes->saved_uids;
	struct bridge_mailbox *mbox = ctx->mbox;
	struct bridge_saved *saved;
	struct seq_range_iter iter;
	struct fault fault;
	unsigned int n = 0;

	mail_index_append_finish_uids(t->itrans,
		bridge_transaction_next_uid(t), uids);
	seq_range_array_iter_init(&iter, uids);
	array_foreach_modifiable(&ctx->saved, saved) {
		if (!seq_range_array_iter_nth(&iter, n++, &saved->uid))
			i_unreached();
	}
	bridge_save_all_to_map(ctx);
	if (idmap_commit(mbox->map, bridge_map_fsyncs(mbox), &fault) < 0)
		return bridge_fault_box(&mbox->box, &fault);
	array_foreach_modifiable(&ctx->saved, saved)
		bridge_save_to_index(ctx, saved);
	bridge_map_stays_in_step(mbox, t->itrans, ctx->has_changes);
	bridge_save_check_rewritten(ctx);
	t->changes->uid_validity = idmap_header(mbox->map)->uidvalidity;
	return 0;
}

/* The UIDs are not known: the client gets no APPENDUID. LMTP (2.3.19, mail-deliver.c)
   takes for granted that there is one, to open the message (which it cannot:
   bridge_mail_set_uid). */
static void bridge_save_name_none(struct mailbox_transaction_context *t)
{
	if ((t->box->flags & MAILBOX_FLAG_POST_SESSION) != 0)
		seq_range_array_add(&t->changes->saved_uids,
				    mail_index_get_header(t->view)->next_uid);
}

/* A store with UIDs of its own: only its list brings the messages in. */
static void bridge_save_leave_to_list(struct bridge_save_context *ctx,
				      const struct caps *caps)
{
	struct mailbox_transaction_context *t = ctx->ctx.transaction;
	const struct bridge_saved *saved;
	bool all = TRUE;
	unsigned int i;

	/* backwards: those behind one that is dropped move up */
	for (i = array_count(&ctx->saved); i-- > 0; ) {
		saved = array_idx(&ctx->saved, i);
		mail_index_expunge(t->itrans, saved->seq);
	}
	mail_cache_transaction_reset(t->cache_trans);
	if (!bridge_save_settle(ctx, caps))
		ctx->mbox->relist = TRUE;
	array_foreach(&ctx->saved, saved)
		all = all && saved->uid != 0;
	if (!all) {
		bridge_save_name_none(t);
		return;
	}
	array_foreach(&ctx->saved, saved)
		seq_range_array_add(&t->changes->saved_uids, saved->uid);
	t->changes->uid_validity =
		idmap_header(ctx->mbox->map)->uidvalidity;
}

static int bridge_save_failed(struct mailbox *box, const struct fault *fault)
{
	const char *text;
	enum mail_error error;

	if (fault->code == FAULT_NONE) {
		/* imap answers NO [EXPUNGEISSUED] */
		mail_storage_set_error(box->storage, MAIL_ERROR_EXPUNGED,
			"Some of the messages no longer exist.");
		return -1;
	}
	(void)bridge_fault_box(box, fault);
	if (fault->code == FAULT_NOTFOUND &&
	    (box->flags & MAILBOX_FLAG_POST_SESSION) == 0) {
		/* it was there when the command began: imap does not say it */
		text = mail_storage_get_last_error(box->storage, &error);
		mail_storage_set_error(box->storage, error,
				t_strconcat("[TRYCREATE] ", text, NULL));
	}
	return -1;
}

/* dsync saves under UIDs that a store with its own does not give, and would move
   messages with each run to make up for it. Not refused before all is to be
   committed: dsync (2.3.19, dsync-mailbox-import.c) takes back what it was about to
   remove only if that fails. */
static int bridge_save_check(struct bridge_save_context *ctx)
{
	const struct bridge_saved *saved;
	const struct caps *caps;
	struct fault fault;

	if (ctx->refused_text != NULL) {
		mail_storage_set_error(ctx->mbox->box.storage,
				       ctx->refused_error, ctx->refused_text);
		return -1;
	}
	caps = session_caps(ctx->mbox->list->session, &fault);
	if (caps == NULL)
		return bridge_fault_box(&ctx->mbox->box, &fault);
	array_foreach(&ctx->saved, saved) {
		if (caps->uids && saved->wants_uid)
			return bridge_fault_own_uids(&ctx->mbox->box);
	}
	return 0;
}

int bridge_save_commit_pre(struct mail_save_context *_ctx)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);
	struct mailbox_transaction_context *t = _ctx->transaction;
	const struct caps *caps;
	struct fault fault;
	int ret;

	if (array_count(&ctx->saved) == 0 && ctx->refused_text == NULL)
		return 0;
	ret = bridge_save_check(ctx);
	if (ret == 0)
		ret = bridge_transaction_lock(t);
	if (ret == 0)
		bridge_save_note_flags(ctx, session_caps(
			ctx->mbox->list->session, &fault));
	if (ret == 0 && bridge_save_store(ctx, &fault) < 0)
		ret = bridge_save_failed(t->box, &fault);
	caps = ret < 0 ? NULL :
		session_caps(ctx->mbox->list->session, &fault);
	if (caps != NULL && caps->uids)
		bridge_save_leave_to_list(ctx, caps);
	else if (ret == 0)
		ret = bridge_save_assign(ctx);
	if (ret < 0)
		bridge_save_rollback(_ctx);
	return ret;
}

void bridge_save_commit_post(
	struct mail_save_context *_ctx,
	struct mail_index_transaction_commit_result *result ATTR_UNUSED)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);

	_ctx->transaction = NULL;	/* freed already */
	bridge_save_push(ctx);
	bridge_save_free(ctx);
}

void bridge_save_rollback(struct mail_save_context *_ctx)
{
	struct bridge_save_context *ctx = BRIDGE_SAVE(_ctx);

	if (ctx->input != NULL)
		bridge_save_cancel(_ctx);
	_ctx->transaction->save_ctx = NULL;
	if (array_count(&ctx->own_moves) > 0)
		bridge_transaction_spare(ctx->mbox, &ctx->own_moves);
	bridge_save_free(ctx);
}
