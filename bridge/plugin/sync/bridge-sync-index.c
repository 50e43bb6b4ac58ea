/* The second half of a synchronisation: what the list means is staged in the
 * map, the index is made to follow the map, and both are committed, the map
 * first.
 *
 * Index and map are walked side by side by UID:
 *
 *	in the map only		above everything the index ever had: appended,
 *				with the flags that the map keeps (the index
 *				was lost, or a crash came between the commits);
 *				below it: a UID cannot be put in between, so
 *				the message gets a new one
 *	in the index only	expunged
 *	in both			stays, unless the list says otherwise, with
 *				the flags that the map keeps
 *
 * Dovecot holds a transaction in memory several times over while it commits it.
 * A long list is therefore appended in several rounds. The map is committed in
 * the first of them, and only the last says that the index is in step with it:
 * if it does not come to that, the index lacks messages above all that it has,
 * and the next synchronisation appends them. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "ioloop.h"
#include "mailbox-recent-flags.h"
#include <malloc.h>
#include "bridge-fault.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#include "flags.h"

/* Messages that are appended in one round. Dovecot takes about 110 bytes for
   each until it is over. */
#define ROUND_MAX 125000

/* --- records ------------------------------------------------------------- */

/* Returns the new message's sequence number. */
static uint32_t
bridge_sync_append(struct bridge_sync *sync, uint32_t uid,
		   const struct bridge_index_record *rec, uint32_t flag_list)
{
	struct mail_index *index = sync->mbox->box.index;
	struct mail_keywords *keywords;
	ARRAY_TYPE(const_string) names;
	enum mail_flags flags;
	uint32_t seq;

	mail_index_append(sync->index.trans, uid, &seq);
	mail_index_update_ext(sync->index.trans, seq, sync->mbox->ext_id, rec,
			      NULL);
	mailbox_recent_flags_set_uid(&sync->mbox->box, uid);
	sync->index.last_uid = uid;
	if (flag_list != 0) T_BEGIN {
		t_array_init(&names, 8);
		bridge_sync_parse_flags(sync, idmap_flags_text(sync->mbox->map,
							       flag_list),
					&flags, &names);
		if (flags != 0)
			mail_index_update_flags(sync->index.trans, seq,
						MODIFY_REPLACE, flags);
		if (array_count(&names) > 0) {
			array_append_zero(&names);
			keywords = mail_index_keywords_create(index,
				array_front(&names));
			mail_index_update_keywords(sync->index.trans, seq,
						   MODIFY_REPLACE, keywords);
			mail_index_keywords_unref(&keywords);
		}
	} T_END;
	return seq;
}

/* With its GUID, which the log of the index keeps: dsync learns from it which
   message is gone. */
static void bridge_sync_expunge(struct bridge_sync *sync, uint32_t seq,
				uint32_t uid)
{
	struct idmap *map = sync->mbox->map;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	struct fault fault;
	guid_128_t guid;

	if (bridge_map_entry(sync->mbox, sync->index.view, seq, uid, &entry,
			     &buf, &fault) > 0) {
		idmap_guid(idmap_header(map)->guid, &entry, guid);
		mail_index_expunge_guid(sync->index.trans, seq, guid);
	} else {
		mail_index_expunge(sync->index.trans, seq);
	}
	buf_free(&buf);
	array_push_back(&sync->index.expunged_uids, &uid);
}

/* A UID that the index has passed without having it: the message is kept under
   a new one. Returns 0, or -1 with the storage's error set. */
static int
bridge_sync_renumber(struct bridge_sync *sync, const struct idmap_known *known)
{
	struct idmap *map = sync->mbox->map;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	struct fault fault;
	int ret;

	ret = idmap_lookup(map, known->uid, &entry, &buf, &fault);
	if (ret < 0)
		ret = bridge_fault_box(&sync->mbox->box, &fault);
	if (ret > 0) {
		idmap_gone(map, known->uid);
		bridge_adds_add(sync, &entry, 0);
	}
	buf_free(&buf);
	return ret < 0 ? -1 : 0;
}

/* --- what the map says --------------------------------------------------- */

/* Where the line of a known message stands: it may be a new one. Asked in the
   order of known. */
static uint64_t bridge_sync_moved(struct bridge_sync *sync, size_t known)
{
	if (sync->index.next_move == sync->list.moves_count ||
	    sync->list.moves[sync->index.next_move].known != known)
		return sync->known.msgs[known].offset;
	return sync->list.moves[sync->index.next_move++].offset;
}

/* A message that stays, and its index record (seq 0 = there is none). Returns
   0, or -1 with the storage's error set. */
static int
bridge_sync_keep(struct bridge_sync *sync, size_t k, uint32_t seq)
{
	const struct idmap_known *known = &sync->known.msgs[k];
	struct bridge_index_record rec;
	const void *data;

	if (seq == 0 && known->uid < sync->index.next_uid)
		return bridge_sync_renumber(sync, known);
	bridge_map_make_record(known->hash, bridge_sync_moved(sync, k), &rec);
	if (seq == 0) {
		(void)bridge_sync_append(sync, known->uid, &rec,
			idmap_known_flags(sync->mbox->map, known));
		return 0;
	}
	mail_index_lookup_ext(sync->index.view, seq, sync->mbox->ext_id, &data,
			      NULL);
	if (data == NULL || memcmp(data, &rec, sizeof(rec)) != 0)
		mail_index_update_ext(sync->index.trans, seq,
				      sync->mbox->ext_id, &rec, NULL);
	if (sync->known.behind)
		bridge_sync_follow_flags(sync, seq, known->uid,
			idmap_known_flags(sync->mbox->map, known));
	return 0;
}

/* An index that lags behind does not know whether there are marks. */
static void bridge_sync_look_for_marks(struct bridge_sync *sync,
				       const struct idmap_known *known)
{
	uint32_t set = idmap_known_flags(sync->mbox->map, known);

	if (sync->marks.found || set == sync->index.unmarked_set)
		return;
	sync->marks.found =
		flags_has_marks(idmap_flags_text(sync->mbox->map, set));
	sync->index.unmarked_set = set;
}

/* A message that the map knew. Returns the same. */
static int
bridge_sync_known(struct bridge_sync *sync, size_t k, uint32_t seq)
{
	enum reconcile_fate fate = sync->list.rec == NULL ? RECONCILE_KEEP :
		reconcile_fate(sync->list.rec, k);

	if (sync->known.behind)
		bridge_sync_look_for_marks(sync, &sync->known.msgs[k]);
	if (fate != RECONCILE_EXPUNGE && fate != RECONCILE_REPLACE)
		return bridge_sync_keep(sync, k, seq);
	if (seq != 0)
		bridge_sync_expunge(sync, seq, sync->known.msgs[k].uid);
	return 0;
}

/* Only what the list names; the index is in step, so the rest is right. */
static int bridge_sync_visit(struct bridge_sync *sync)
{
	uint32_t seq;
	size_t k;
	int ret = 0;

	sync->index.next_known = sync->known.count;
	for (k = 0; ret == 0 && k < sync->known.count; k++) {
		if (mail_index_lookup_seq(sync->index.view,
					  sync->known.msgs[k].uid, &seq))
			ret = bridge_sync_known(sync, k, seq);
	}
	return ret;
}

static int bridge_sync_move_cmp(const void *a, const void *b)
{
	const struct bridge_sync_move *move_a = a, *move_b = b;

	return move_a->known < move_b->known ? -1 :
		move_a->known > move_b->known;
}

/* All but what is to be appended: from next_known on. */
static int bridge_sync_walk(struct bridge_sync *sync, uint32_t count)
{
	uint32_t seq, uid;
	size_t k = 0;
	int ret = 0;

	if (sync->list.moves_count > 1)
		qsort(sync->list.moves, sync->list.moves_count,
		      sizeof(*sync->list.moves), bridge_sync_move_cmp);
	if (sync->known.partial)
		return bridge_sync_visit(sync);
	for (seq = 1; ret == 0 && seq <= count; seq++) {
		mail_index_lookup_uid(sync->index.view, seq, &uid);
		while (ret == 0 && k < sync->known.count &&
		       sync->known.msgs[k].uid < uid)
			ret = bridge_sync_known(sync, k++, 0);
		if (k < sync->known.count && sync->known.msgs[k].uid == uid)
			ret = bridge_sync_known(sync, k++, seq);
		else
			bridge_sync_expunge(sync, seq, uid);
	}
	while (ret == 0 && k < sync->known.count &&
	       sync->known.msgs[k].uid < sync->index.next_uid)
		ret = bridge_sync_known(sync, k++, 0);
	sync->index.next_known = k;
	return ret;
}

static void bridge_sync_append_add(struct bridge_sync *sync)
{
	uint32_t seq, uid = sync->uids.given != NULL ?
		sync->uids.given[sync->adds.next] :
		sync->known.first_uid + (uint32_t)sync->adds.next;
	struct bridge_sync_add add = bridge_adds_take(sync);

	seq = bridge_sync_append(sync, uid, &add.rec, add.flags);
	if (add.vsize != 0)
		mail_index_update_ext(sync->index.trans, seq,
				      sync->mbox->box.mail_vsize_ext_id,
				      &add.vsize, NULL);
}

/* What is in the map only, in the order of UIDs. Returns TRUE if that was all
   of it. */
static bool bridge_sync_append_round(struct bridge_sync *sync)
{
	unsigned int n = 0;

	for (; sync->index.next_known < sync->known.count && n < ROUND_MAX; n++)
		(void)bridge_sync_known(sync, sync->index.next_known++, 0);
	for (; sync->adds.next < sync->adds.count && n < ROUND_MAX; n++)
		bridge_sync_append_add(sync);
	return sync->index.next_known == sync->known.count &&
		sync->adds.next == sync->adds.count;
}

/* --- the index ----------------------------------------------------------- */

/* Returns how many messages of the index count: none, if it belongs to another
   UIDVALIDITY, or to a map that was lost. */
static uint32_t bridge_sync_header(struct bridge_sync *sync)
{
	const struct mail_index_header *hdr =
		mail_index_get_header(sync->index.view);
	const struct idmap_header *map = idmap_header(sync->mbox->map);
	uint32_t uid_validity = map->uidvalidity;

	sync->index.next_uid = hdr->next_uid;
	if (hdr->uid_validity == uid_validity && !sync->known.index_is_other)
		return hdr->messages_count;
	sync->known.index_is_other = FALSE;
	if (hdr->uid_validity != 0) {
		mail_index_reset(sync->index.trans);
		/* a client has asked for it, maybe a moment ago */
		if (mail_index_have_modseq_tracking(sync->mbox->box.index))
			compat_track_modseqs(sync->index.view,
					     sync->index.trans);
		mailbox_recent_flags_reset(&sync->mbox->box);
	}
	sync->index.next_uid = 1;
	mail_index_update_header(sync->index.trans,
		offsetof(struct mail_index_header, uid_validity),
		&uid_validity, sizeof(uid_validity), TRUE);
	return 0;
}

/* An index that is made anew begins with MODSEQ 1, but clients remember higher
   ones, and would be told of nothing below. So it begins above all that it ever
   gave: it gives fewer than one in a microsecond. In a transaction of its own,
   for what is appended gets the MODSEQ that was the highest before. Returns TRUE
   if there is need for that. */
static bool
bridge_sync_raise_modseq(struct bridge_sync *sync,
			 const struct mail_index_header *hdr)
{
	if (hdr->uid_validity != 0 || sync->known.first_uid == 1)
		return FALSE;
	mail_index_update_highest_modseq(sync->index.trans,
		(uint64_t)ioloop_timeval.tv_sec * 1000000 +
		(uint64_t)ioloop_timeval.tv_usec);
	return TRUE;
}

static bool bridge_sync_marks_are_left(struct bridge_sync *sync)
{
	if (array_is_created(&sync->queue.pushes) || sync->marks.left)
		return TRUE;
	if (sync->marks.pushed)
		return FALSE;
	return sync->known.behind ? sync->marks.found :
		bridge_map_has_marks(sync->mbox, sync->index.view);
}

/* After the map's commit: how far the index has taken it over. */
static void bridge_sync_ext_header(struct bridge_sync *sync, bool reset)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct mail_index_transaction *trans = sync->index.trans;
	uint32_t listed_uid = sync->list.listed ?
		idmap_header(mbox->map)->next_uid : sync->known.listed_uid;
	struct bridge_index_header hdr;
	const void *old;
	size_t old_size;

	bridge_map_make_header(mbox, sync->index.view,
			       bridge_sync_marks_are_left(sync), listed_uid,
			       &hdr);
	mail_index_get_header_ext(sync->index.view, mbox->ext_id, &old,
				  &old_size);
	if (old_size != sizeof(hdr))
		mail_index_ext_resize_hdr(trans, mbox->ext_id, sizeof(hdr));
	if (reset || old_size != sizeof(hdr) ||
	    memcmp(old, &hdr, sizeof(hdr)) != 0)
		mail_index_update_header_ext(trans, mbox->ext_id, 0, &hdr,
					     sizeof(hdr));
}

static void bridge_sync_finish_uids(struct bridge_sync *sync)
{
	uint32_t next_uid = sync->adds.next_uid;

	if (next_uid > sync->index.next_uid)
		mail_index_update_header(sync->index.trans,
			offsetof(struct mail_index_header, next_uid),
			&next_uid, sizeof(next_uid), FALSE);
}

/* What is appended is recent too; Dovecot wants to hear of the others first. */
static void bridge_sync_recent(struct bridge_sync *sync, uint32_t count)
{
	struct mailbox *box = &sync->mbox->box;
	const struct mail_index_header *hdr =
		mail_index_get_header(sync->index.view);
	uint32_t seq1, seq2;

	if (count > 0 &&
	    mail_index_lookup_seq_range(sync->index.view, hdr->first_recent_uid,
					hdr->next_uid, &seq1, &seq2))
		mailbox_recent_flags_set_seqs(box, sync->index.view, seq1,
					      seq2);
}

static int bridge_sync_commit_map(struct bridge_sync *sync)
{
	struct mailbox *box = &sync->mbox->box;
	bool durable = bridge_map_fsyncs(sync->mbox);
	struct fault fault;

	if (!idmap_has_changes(sync->mbox->map))
		return 0;
	if (idmap_commit(sync->mbox->map, durable, &fault) < 0)
		return bridge_fault_box(box, &fault);
	return 0;
}

static void bridge_sync_notify(struct bridge_sync *sync)
{
	struct mailbox *box = &sync->mbox->box;
	uint32_t uid;

	box->tmp_sync_view = sync->index.view;
	array_foreach_elem(&sync->index.expunged_uids, uid)
		mailbox_sync_notify(box, uid, MAILBOX_SYNC_TYPE_EXPUNGE);
	mailbox_sync_notify(box, 0, 0);
	box->tmp_sync_view = NULL;
}

/* UIDs were given out, and messages are appended, under the map's lock: the
   index has not gone on by itself. */
static int bridge_sync_check_uids(struct bridge_sync *sync)
{
	uint32_t uid = sync->index.next_uid;

	if (sync->index.last_uid == 0 ? uid <= sync->known.first_uid :
	    uid == sync->index.last_uid + 1)
		return 0;
	if (!sync->index.walked && sync->adds.count == 0) {
		sync->known.first_uid = sync->adds.next_uid = uid;
		return 0;
	}
	mailbox_set_critical(&sync->mbox->box, "bridge: the index was changed "
			     "without the map's lock: its next UID is %u", uid);
	return -1;
}

/* What is done once, in the first round. */
static int bridge_sync_apply(struct bridge_sync *sync, uint32_t count)
{
	bridge_sync_recent(sync, count);
	bridge_sync_check_cache(sync, count);
	bridge_sync_note_losses(sync);
	if (bridge_sync_walk(sync, count) < 0)
		return -1;
	bridge_sync_apply_updates(sync);
	idmap_set_next_uid(sync->mbox->map, sync->adds.next_uid);
	if (sync->list.bad_keywords > 0)
		e_warning(sync->mbox->box.event, "bridge: %s: %u keywords are "
			  "left out, they cannot be IMAP keywords",
			  sync->mbox->list->set.argv[0],
			  sync->list.bad_keywords);
	if (sync->list.excess_keywords > 0)
		e_warning(sync->mbox->box.event, "bridge: %s: %u keywords are "
			  "left out: a mailbox has at most %d, a message %d "
			  "bytes of flags", sync->mbox->list->set.argv[0],
			  sync->list.excess_keywords, BRIDGE_KEYWORDS_MAX,
			  WIRE_FLAGS_MAX);
	sync->index.walked = TRUE;
	return 0;
}

/* Before the last round Dovecot neither writes the index anew nor rotates its
   log: the one would take time in each, and of the other only one more file is
   kept, while other sessions learn from it what has come. */
static void bridge_sync_hold(struct bridge_sync *sync, bool hold)
{
	struct mail_index_optimization_settings set = sync->index.optimization;

	if (hold) {
		set.index.rewrite_min_log_bytes = UOFF_T_MAX;
		set.index.rewrite_max_log_bytes = UOFF_T_MAX;
		set.log.min_size = set.log.max_size = UOFF_T_MAX;
	}
	mail_index_set_optimization_settings(sync->mbox->box.index, &set);
}

/* Returns 1 if there is more to do, 0 if not, -1 with the storage's error set:
   then nothing may be committed. */
static int bridge_sync_round(struct bridge_sync *sync)
{
	uint32_t count;
	bool last;

	(void)mail_index_reset_fscked(sync->mbox->box.index);
	count = bridge_sync_header(sync);
	if (bridge_sync_raise_modseq(sync,
				     mail_index_get_header(sync->index.view)))
		return 1;
	bridge_sync_local_flags(sync);
	if (bridge_sync_check_uids(sync) < 0 ||
	    (!sync->index.walked && bridge_sync_apply(sync, count) < 0) ||
	    bridge_sync_commit_map(sync) < 0)
		return -1;
	bridge_sync_make_places(sync);
	last = bridge_sync_append_round(sync);
	bridge_sync_hold(sync, !last);
	if (last) {
		bridge_sync_finish_uids(sync);
		bridge_sync_ext_header(sync, count == 0);
	} else {
		/* what the list took; malloc() would keep it */
		(void)malloc_trim(0);
	}
	bridge_sync_notify(sync);
	return last ? 0 : 1;
}

/* Returns the same; -1 also if committing failed. */
static int
bridge_sync_commit(struct bridge_sync *sync, enum mail_index_sync_flags flags)
{
	struct mailbox *box = &sync->mbox->box;
	int ret;

	ret = index_storage_expunged_sync_begin(box, &sync->index.ctx,
						&sync->index.view,
						&sync->index.trans, flags);
	if (ret < 0) {
		mailbox_set_index_error(box);
	} else if (ret > 0) {
		ret = bridge_sync_round(sync);
		if (ret < 0) {
			mail_index_sync_rollback(&sync->index.ctx);
		} else if (mail_index_sync_commit(&sync->index.ctx) < 0) {
			mailbox_set_index_error(box);
			/* this process believes itself ahead of the log now, and
			   Dovecot drops the log for it, with the next change
			   that a client is told OK (2.3.19) */
			sync->mbox->replaced = sync->mbox->shown;
			ret = -1;
		}
	}
	index_storage_expunging_deinit(box);
	array_clear(&sync->index.expunged_uids);
	return ret;
}

int bridge_sync_index(struct bridge_sync *sync)
{
	enum mail_index_sync_flags flags =
		index_storage_get_sync_flags(&sync->mbox->box) |
		MAIL_INDEX_SYNC_FLAG_AVOID_FLAG_UPDATES;
	int ret;

	/* nothing to do but what clients may have changed */
	if (sync->known.partial && !sync->marks.pushed && !sync->force &&
	    !idmap_has_changes(sync->mbox->map) &&
	    bridge_sync_cache_is_ours(sync->mbox))
		flags |= MAIL_INDEX_SYNC_FLAG_REQUIRE_CHANGES;
	i_array_init(&sync->index.expunged_uids, 32);
	sync->index.optimization = sync->mbox->box.index->optimization_set;
	/* the one that marks the index as deleted is the last that it takes: what
	   else there is to do is done if the mailbox stays after all */
	do {
		ret = bridge_sync_commit(sync, flags);
	} while (ret > 0 && !sync->mbox->box.delete_sync_check);
	bridge_sync_hold(sync, FALSE);
	idmap_rollback(sync->mbox->map);
	array_free(&sync->index.expunged_uids);
	return ret < 0 ? -1 : 0;
}
