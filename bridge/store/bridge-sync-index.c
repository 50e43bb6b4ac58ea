/* The second half of a synchronisation: the map's changes are staged, the
 * index is made to follow the map, and both are committed, the map first.
 *
 * Index and map are walked side by side by UID:
 *
 *	in the map only		above everything the index ever had: appended,
 *				with the flags that the map keeps (the index
 *				was lost, or a crash came between the commits);
 *				below it: a UID cannot be put in between, so
 *				the message gets a new one
 *	in the index only	expunged
 *	in both			stays, unless the list says otherwise */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "str.h"
#include "mailbox-recent-flags.h"
#include "bridge-fault.h"
#include "bridge-sync.h"

static const struct {
	const char *name;
	enum mail_flags flag;
} mail_flag_names[] = {
	{ "\\Answered", MAIL_ANSWERED },
	{ "\\Flagged", MAIL_FLAGGED },
	{ "\\Deleted", MAIL_DELETED },
	{ "\\Seen", MAIL_SEEN },
	{ "\\Draft", MAIL_DRAFT },
};

/* --- flags ----------------------------------------------------------------- */

static void
change_add(string_t *change, char sign, const char *flag)
{
	struct buf encoded = { NULL, 0, 0 };

	wire_encode_elem(view_of(flag), &encoded);
	if (str_len(change) > 0)
		str_append_c(change, ',');
	str_append_c(change, sign);
	str_append(change, buf_str(&encoded));
	buf_free(&encoded);
}

static const char *
bridge_sync_change(struct bridge_sync *sync,
		   const struct mail_index_sync_rec *rec)
{
	const ARRAY_TYPE(keywords) *keywords =
		mail_index_get_keywords(sync->mbox->box.index);
	string_t *change = t_str_new(128);
	const char *keyword;
	unsigned int i;

	if (rec->type != MAIL_INDEX_SYNC_TYPE_FLAGS) {
		keyword = array_idx_elem(keywords, rec->keyword_idx);
		change_add(change, rec->type ==
			   MAIL_INDEX_SYNC_TYPE_KEYWORD_ADD ? '+' : '-',
			   keyword);
		return str_c(change);
	}
	for (i = 0; i < N_ELEMENTS(mail_flag_names); i++) {
		if ((rec->add_flags & mail_flag_names[i].flag) != 0)
			change_add(change, '+', mail_flag_names[i].name);
		if ((rec->remove_flags & mail_flag_names[i].flag) != 0)
			change_add(change, '-', mail_flag_names[i].name);
	}
	return str_c(change);
}

/* What clients did to flags since the last time: the map keeps it, so that it
   survives the index. */
static void bridge_sync_local_flags(struct bridge_sync *sync)
{
	struct mail_index_sync_rec rec;
	const char *change;

	while (mail_index_sync_next(sync->index_ctx, &rec)) T_BEGIN {
		if (rec.type != MAIL_INDEX_SYNC_TYPE_EXPUNGE) {
			change = bridge_sync_change(sync, &rec);
			if (*change != '\0')
				idmap_flags(sync->mbox->map, rec.uid1,
					    rec.uid2, change);
		}
	} T_END;
}

static void
bridge_sync_keyword(struct bridge_sync *sync, struct view elem,
		    ARRAY_TYPE(const_string) *keywords)
{
	struct buf decoded = { NULL, 0, 0 };
	const char *error, *name;

	if (wire_decode(elem, &decoded) == 0) {
		name = t_strndup(buf_str(&decoded), decoded.len);
		if (strlen(name) == decoded.len && name[0] != '\0' &&
		    mailbox_keyword_is_valid(&sync->mbox->box, name, &error))
			array_push_back(keywords, &name);
		else
			sync->bad_keywords++;
	}
	buf_free(&decoded);
}

/* A list of flags in wire form, as Dovecot has them. \Recent and unknown
   \flags are ignored; a keyword that is none is counted and left out. */
static void
bridge_sync_parse_flags(struct bridge_sync *sync, struct view list,
			enum mail_flags *flags_r,
			ARRAY_TYPE(const_string) *keywords)
{
	struct view elem;
	unsigned int i;

	*flags_r = 0;
	while (wire_list_next(&list, &elem)) {
		if (elem.len == 0)
			continue;
		if (elem.p[0] != '\\') {
			bridge_sync_keyword(sync, elem, keywords);
			continue;
		}
		for (i = 0; i < N_ELEMENTS(mail_flag_names); i++) {
			if (view_is_nocase(elem, mail_flag_names[i].name))
				*flags_r |= mail_flag_names[i].flag;
		}
	}
}

/* The flags that are kept of what a list says about a new message. */
static void
bridge_sync_seed(struct bridge_sync *sync, struct view list, struct buf *seed)
{
	ARRAY_TYPE(const_string) keywords;
	string_t *text = t_str_new(128);
	enum mail_flags flags;
	const char *keyword;
	unsigned int i;

	t_array_init(&keywords, 8);
	bridge_sync_parse_flags(sync, list, &flags, &keywords);
	for (i = 0; i < N_ELEMENTS(mail_flag_names); i++) {
		if ((flags & mail_flag_names[i].flag) != 0) {
			if (str_len(text) > 0)
				str_append_c(text, ',');
			str_append(text, mail_flag_names[i].name);
		}
	}
	buf_append_str(seed, str_c(text));
	array_foreach_elem(&keywords, keyword) {
		if (seed->len > 0)
			buf_append_c(seed, ',');
		wire_encode_elem(view_of(keyword), seed);
	}
}

/* --- records --------------------------------------------------------------- */

static void
bridge_sync_record(struct bridge_sync *sync, uint32_t seq,
		   const unsigned char *hash, uint64_t offset)
{
	struct bridge_index_record rec;

	memcpy(rec.hash, hash, sizeof(rec.hash));
	rec.offset = offset <= UINT32_MAX ? (uint32_t)offset : 0;
	mail_index_update_ext(sync->trans, seq, sync->mbox->ext_id, &rec, NULL);
}

/* RFC822.SIZE, where the list tells it: it spares reading the message. */
static void
bridge_sync_vsize(struct bridge_sync *sync, uint32_t seq,
		  const struct listing_msg *msg)
{
	uint64_t vsize = msg->vsize == IDMAP_SIZE_UNKNOWN && sync->crlf ?
		msg->size : msg->vsize;
	uint32_t value;

	if (vsize >= UINT32_MAX)
		return;
	value = (uint32_t)vsize + 1;
	mail_index_update_ext(sync->trans, seq,
			      sync->mbox->box.mail_vsize_ext_id, &value, NULL);
}

/* Returns the new message's sequence number. */
static uint32_t
bridge_sync_append(struct bridge_sync *sync, uint32_t uid,
		   const unsigned char *hash, uint64_t offset,
		   struct view flag_list)
{
	struct mail_index *index = sync->mbox->box.index;
	struct mail_keywords *keywords;
	ARRAY_TYPE(const_string) names;
	enum mail_flags flags;
	uint32_t seq;

	mail_index_append(sync->trans, uid, &seq);
	T_BEGIN {
		t_array_init(&names, 8);
		bridge_sync_parse_flags(sync, flag_list, &flags, &names);
		if (flags != 0)
			mail_index_update_flags(sync->trans, seq,
						MODIFY_REPLACE, flags);
		if (array_count(&names) > 0) {
			array_append_zero(&names);
			keywords = mail_index_keywords_create(index,
				array_front(&names));
			mail_index_update_keywords(sync->trans, seq,
						   MODIFY_REPLACE, keywords);
			mail_index_keywords_unref(&keywords);
		}
	} T_END;
	bridge_sync_record(sync, seq, hash, offset);
	array_push_back(&sync->appended_uids, &uid);
	return seq;
}

static void bridge_sync_expunge(struct bridge_sync *sync, uint32_t seq,
				uint32_t uid)
{
	mail_index_expunge(sync->trans, seq);
	array_push_back(&sync->expunged_uids, &uid);
}

/* A UID that the index has passed without having it: the message is kept under
   a new one. */
static void
bridge_sync_renumber(struct bridge_sync *sync, const struct idmap_entry *entry)
{
	struct idmap_entry again = *entry;
	uint64_t offset;

	again.uid = sync->next_uid++;
	idmap_gone(sync->mbox->map, entry->uid);
	offset = idmap_add(sync->mbox->map, &again);
	(void)bridge_sync_append(sync, again.uid, again.hash, offset, again.flags);
}

/* --- what the list says ---------------------------------------------------- */

static enum reconcile_fate
bridge_sync_fate(const struct bridge_sync *sync, size_t known)
{
	return sync->listed ? sync->result.fates[known] : RECONCILE_KEEP;
}

/* The id as the backend spells it now, and a size that became known. Returns
   the offset of the message's line. */
static uint64_t
bridge_sync_refresh_entry(struct bridge_sync *sync, size_t known)
{
	const struct idmap_entry *entry = &sync->known[known];
	struct idmap_entry update = *entry;
	const struct listing_msg *msg;
	size_t item;

	if (!sync->listed ||
	    (item = sync->result.item_of_known[known]) == RECONCILE_NONE)
		return entry->offset;
	msg = &sync->listing.msgs[item];
	update.id = listing_id(&sync->listing, msg);
	if (msg->size != IDMAP_SIZE_UNKNOWN)
		update.size = msg->size;
	if (view_equals(update.id, entry->id) && update.size == entry->size)
		return entry->offset;
	return idmap_update(sync->mbox->map, &update);
}

static void
bridge_sync_suspicion(struct bridge_sync *sync, size_t known,
		      enum reconcile_fate fate)
{
	const struct idmap_entry *entry = &sync->known[known];
	struct reconcile_policy policy = { .now = sync->now };
	int64_t since;

	if (!sync->listed)
		return;
	if (fate == RECONCILE_SUSPECT) {
		since = reconcile_suspect_since(entry->suspect_since, &policy);
		if (since != entry->suspect_since)
			idmap_suspect(sync->mbox->map, entry->uid, since);
	} else if (entry->suspect_since != 0 && fate == RECONCILE_KEEP &&
		   sync->result.item_of_known[known] != RECONCILE_NONE) {
		idmap_suspect(sync->mbox->map, entry->uid, 0);
	}
}

/* A message of the map, and its index record (seq 0 = there is none). */
static void
bridge_sync_known(struct bridge_sync *sync, size_t known, uint32_t seq)
{
	const struct idmap_entry *entry = &sync->known[known];
	enum reconcile_fate fate = bridge_sync_fate(sync, known);
	uint64_t offset;

	if (fate == RECONCILE_EXPUNGE || fate == RECONCILE_REPLACE) {
		idmap_gone(sync->mbox->map, entry->uid);
		if (seq != 0)
			bridge_sync_expunge(sync, seq, entry->uid);
		return;
	}
	offset = bridge_sync_refresh_entry(sync, known);
	bridge_sync_suspicion(sync, known, fate);
	if (seq == 0 && entry->uid >= sync->index_next_uid)
		(void)bridge_sync_append(sync, entry->uid, entry->hash, offset,
					 entry->flags);
	else if (seq == 0)
		bridge_sync_renumber(sync, entry);
	else if (sync->rewrite_records || offset != entry->offset)
		bridge_sync_record(sync, seq, entry->hash, offset);
}

/* Only what the list names; the index is in step, so the rest is right. */
static void bridge_sync_visit(struct bridge_sync *sync)
{
	uint32_t seq;
	size_t known;

	for (known = 0; known < sync->known_count; known++) {
		if (mail_index_lookup_seq(sync->view, sync->known[known].uid,
					  &seq))
			bridge_sync_known(sync, known, seq);
	}
}

static void bridge_sync_walk(struct bridge_sync *sync, uint32_t count)
{
	uint32_t seq, uid;
	size_t known = 0;

	if (sync->partial) {
		bridge_sync_visit(sync);
		return;
	}
	for (seq = 1; seq <= count; seq++) {
		mail_index_lookup_uid(sync->view, seq, &uid);
		while (known < sync->known_count &&
		       sync->known[known].uid < uid)
			bridge_sync_known(sync, known++, 0);
		if (known < sync->known_count &&
		    sync->known[known].uid == uid)
			bridge_sync_known(sync, known++, seq);
		else
			bridge_sync_expunge(sync, seq, uid);
	}
	while (known < sync->known_count)
		bridge_sync_known(sync, known++, 0);
}

static void
bridge_sync_add(struct bridge_sync *sync, const struct listing_msg *msg)
{
	struct buf seed = { NULL, 0, 0 };
	struct idmap_entry entry;
	uint64_t offset;
	uint32_t seq;

	i_zero(&entry);
	entry.uid = sync->next_uid++;
	memcpy(entry.hash, msg->hash, sizeof(entry.hash));
	entry.id = listing_id(&sync->listing, msg);
	entry.size = msg->size;
	entry.date = msg->date;
	entry.first_seen = sync->now;
	if (msg->flags != 0 && !sync->ignore_flags)
		bridge_sync_seed(sync,
			view_of(sync->listing.flags[msg->flags]), &seed);
	entry.flags = view_of_buf(&seed);
	offset = idmap_add(sync->mbox->map, &entry);
	seq = bridge_sync_append(sync, entry.uid, entry.hash, offset,
				 entry.flags);
	bridge_sync_vsize(sync, seq, msg);
	buf_free(&seed);
}

static void bridge_sync_list_adds(struct bridge_sync *sync)
{
	const char *state;
	size_t i;
	int64_t held_at;

	if (!sync->listed)
		return;
	for (i = 0; i < sync->result.adds_count; i++) T_BEGIN {
		bridge_sync_add(sync,
			&sync->listing.msgs[sync->result.adds[i]]);
	} T_END;
	held_at = sync->result.held ? sync->now : 0;
	if (held_at != idmap_brake(sync->mbox->map))
		idmap_set_brake(sync->mbox->map, held_at);
	/* what the brake holds back needs a second full list to be settled */
	state = sync->result.held ? "-" : sync->listing.state;
	if (strcmp(state, idmap_header(sync->mbox->map)->state) != 0)
		idmap_set_state(sync->mbox->map, state);
}

/* --- the index ------------------------------------------------------------- */

/* Returns how many messages of the index count: none, if it belongs to another
   UIDVALIDITY than the map. */
static uint32_t bridge_sync_header(struct bridge_sync *sync)
{
	const struct mail_index_header *hdr =
		mail_index_get_header(sync->view);
	const struct idmap_header *map = idmap_header(sync->mbox->map);
	uint32_t uid_validity = map->uidvalidity;

	sync->next_uid = map->next_uid;
	sync->index_next_uid = hdr->next_uid;
	if (hdr->uid_validity == uid_validity) {
		if (sync->next_uid < hdr->next_uid)
			sync->next_uid = hdr->next_uid;
		return hdr->messages_count;
	}
	if (hdr->uid_validity != 0) {
		mail_index_reset(sync->trans);
		mailbox_recent_flags_reset(&sync->mbox->box);
	}
	sync->index_next_uid = 1;
	mail_index_update_header(sync->trans,
		offsetof(struct mail_index_header, uid_validity),
		&uid_validity, sizeof(uid_validity), TRUE);
	return 0;
}

/* Whether the records' offsets are those of another map. */
static bool bridge_sync_wants_rewrite(struct bridge_sync *sync)
{
	const struct idmap_header *map = idmap_header(sync->mbox->map);
	const struct bridge_index_header *hdr;
	const void *data;
	size_t size;

	mail_index_get_header_ext(sync->view, sync->mbox->ext_id, &data,
				  &size);
	hdr = data;
	return size != sizeof(*hdr) || hdr->generation != map->generation ||
		memcmp(hdr->guid, map->guid, sizeof(hdr->guid)) != 0;
}

/* After the map's commit: how far the index has taken it over. */
static void bridge_sync_ext_header(struct bridge_sync *sync, bool reset)
{
	const struct idmap_header *map = idmap_header(sync->mbox->map);
	struct bridge_index_header hdr;
	const void *old;
	size_t old_size;

	i_zero(&hdr);
	memcpy(hdr.guid, map->guid, sizeof(hdr.guid));
	hdr.generation = map->generation;
	hdr.map_end = idmap_end(sync->mbox->map);
	mail_index_get_header_ext(sync->view, sync->mbox->ext_id, &old,
				  &old_size);
	if (reset || old_size != sizeof(hdr) ||
	    memcmp(old, &hdr, sizeof(hdr)) != 0)
		mail_index_update_header_ext(sync->trans, sync->mbox->ext_id,
					     0, &hdr, sizeof(hdr));
}

static void bridge_sync_finish_uids(struct bridge_sync *sync)
{
	uint32_t next_uid = sync->next_uid;

	idmap_set_next_uid(sync->mbox->map, next_uid);
	if (next_uid > sync->index_next_uid)
		mail_index_update_header(sync->trans,
			offsetof(struct mail_index_header, next_uid),
			&next_uid, sizeof(next_uid), FALSE);
}

static void bridge_sync_recent(struct bridge_sync *sync, uint32_t count)
{
	struct mailbox *box = &sync->mbox->box;
	const struct mail_index_header *hdr =
		mail_index_get_header(sync->view);
	uint32_t seq1, seq2, uid;

	if (count > 0 &&
	    mail_index_lookup_seq_range(sync->view, hdr->first_recent_uid,
					hdr->next_uid, &seq1, &seq2))
		mailbox_recent_flags_set_seqs(box, sync->view, seq1, seq2);
	array_foreach_elem(&sync->appended_uids, uid)
		mailbox_recent_flags_set_uid(box, uid);
}

static int bridge_sync_commit_map(struct bridge_sync *sync)
{
	struct mailbox *box = &sync->mbox->box;
	bool durable = box->storage->set->parsed_fsync_mode !=
		FSYNC_MODE_NEVER;
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

	box->tmp_sync_view = sync->view;
	array_foreach_elem(&sync->expunged_uids, uid)
		mailbox_sync_notify(box, uid, MAILBOX_SYNC_TYPE_EXPUNGE);
	mailbox_sync_notify(box, 0, 0);
	box->tmp_sync_view = NULL;
}

static int bridge_sync_apply(struct bridge_sync *sync)
{
	struct mailbox *box = &sync->mbox->box;
	uint32_t count;

	(void)mail_index_reset_fscked(box->index);
	count = bridge_sync_header(sync);
	sync->rewrite_records = bridge_sync_wants_rewrite(sync);
	bridge_sync_local_flags(sync);
	bridge_sync_walk(sync, count);
	bridge_sync_list_adds(sync);
	bridge_sync_finish_uids(sync);
	bridge_sync_recent(sync, count);
	if (sync->bad_keywords > 0)
		e_warning(box->event, "bridge: %s: %u keywords are left out, "
			  "they cannot be IMAP keywords",
			  sync->mbox->list->set.argv[0], sync->bad_keywords);
	if (bridge_sync_commit_map(sync) < 0) {
		mail_index_sync_rollback(&sync->index_ctx);
		return -1;
	}
	bridge_sync_ext_header(sync, count == 0);
	bridge_sync_notify(sync);
	if (mail_index_sync_commit(&sync->index_ctx) < 0) {
		mailbox_set_index_error(box);
		return -1;
	}
	return 0;
}

static bool bridge_sync_has_news(const struct bridge_sync *sync)
{
	return sync->listed &&
		(sync->result.adds_count > 0 ||
		 idmap_brake(sync->mbox->map) != 0 ||
		 strcmp(sync->listing.state,
			idmap_header(sync->mbox->map)->state) != 0);
}

int bridge_sync_index(struct bridge_sync *sync)
{
	struct mailbox *box = &sync->mbox->box;
	enum mail_index_sync_flags flags = index_storage_get_sync_flags(box) |
		MAIL_INDEX_SYNC_FLAG_AVOID_FLAG_UPDATES;
	int ret;

	/* nothing to do but what clients may have changed */
	if (sync->partial && sync->known_count == 0 &&
	    !bridge_sync_has_news(sync))
		flags |= MAIL_INDEX_SYNC_FLAG_REQUIRE_CHANGES;
	i_array_init(&sync->expunged_uids, 32);
	i_array_init(&sync->appended_uids, 32);
	ret = index_storage_expunged_sync_begin(box, &sync->index_ctx,
						&sync->view, &sync->trans,
						flags);
	if (ret < 0)
		mailbox_set_index_error(box);
	else if (ret > 0)
		ret = bridge_sync_apply(sync);
	idmap_rollback(sync->mbox->map);
	index_storage_expunging_deinit(box);
	array_free(&sync->expunged_uids);
	array_free(&sync->appended_uids);
	return ret;
}
