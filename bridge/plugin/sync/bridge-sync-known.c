/* What is known before a list is compared with it: all that the map says; or, if
 * the index is in step with the map, only what a delta names. For that the records
 * of the index are searched for the hashes of the ids that are waiting (they are in
 * memory, 20 bytes each), and the lines of those that are found are read one by
 * one. */
#include "lib.h"
#include "compat.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"

/* --- what a delta names -------------------------------------------------- */

/* The waiting lines by hash: open addressing, at most half full. Ids come from
   the backend, but their hashes are not its to choose. */
struct line_table {
	const struct listing_msg *lines;
	uint32_t *slots;	/* line + 1, 0 = free */
	uint32_t mask;
};

static uint32_t hash_slot(const unsigned char *hash)
{
	uint32_t slot;

	memcpy(&slot, hash, sizeof(slot));
	return slot;
}

static void line_table_init(struct line_table *table,
			    const struct listing_msg *lines, size_t count)
{
	uint32_t size = 16, slot;
	size_t i;

	while (size < count * 2)
		size *= 2;
	table->lines = lines;
	table->slots = mem_new(size, sizeof(*table->slots));
	table->mask = size - 1;
	for (i = 0; i < count; i++) {
		slot = hash_slot(lines[i].hash) & table->mask;
		while (table->slots[slot] != 0)
			slot = (slot + 1) & table->mask;
		table->slots[slot] = (uint32_t)i + 1;
	}
}

static bool line_table_has(const struct line_table *table,
			   const unsigned char *hash)
{
	uint32_t slot = hash_slot(hash) & table->mask;

	for (; table->slots[slot] != 0; slot = (slot + 1) & table->mask) {
		if (memcmp(table->lines[table->slots[slot] - 1].hash, hash,
			   ID_HASH_SIZE) == 0)
			return TRUE;
	}
	return FALSE;
}

/* Read the map's line of a record. Returns 0; -1 if the record does not lead
   to it (then the whole map is to be read). */
static int
named_add(struct bridge_sync *sync, struct mail_index_view *view, uint32_t seq,
	  uint32_t uid, const struct bridge_index_record *rec)
{
	struct idmap *map = sync->mbox->map;
	struct idmap_known *known;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	struct fault fault;
	int ret = 0;

	i_zero(&entry);
	if (rec->offset != 0)
		ret = idmap_read_entry(map, idmap_header(map)->generation,
				       rec->offset, uid, &entry, &buf, &fault);
	if (ret > 0) {
		sync->known.named = mem_grow(sync->known.named,
			sync->known.count + 1, sizeof(*sync->known.named));
		sync->known.named_flags = mem_grow(sync->known.named_flags,
			sync->known.count + 1, sizeof(*sync->known.named_flags));
		known = &sync->known.named[sync->known.count++];
		i_zero(known);
		memcpy(known->hash, entry.hash, sizeof(known->hash));
		known->size = entry.size;
		known->offset = entry.offset;
		known->uid = uid;
		known->spelling = idmap_spelling(map, entry.id);
		sync->known.named_flags[sync->known.count - 1] =
			bridge_sync_index_set(sync, view, seq);
	}
	buf_free(&buf);
	return ret > 0 ? 0 : -1;
}

static int find_named(struct bridge_sync *sync,
		      struct mail_index_view *view)
{
	const struct bridge_index_record *rec;
	uint32_t seq, uid, count = mail_index_view_get_messages_count(view);
	struct line_table table;
	size_t stride = 0;
	int ret = 0;

	rec = compat_ext_records(view, sync->mbox->ext_id, sizeof(*rec),
				 &stride);
	if (count > 0 && rec == NULL)
		return -1;
	line_table_init(&table, sync->list.waiting, sync->list.waiting_count);
	for (seq = 1; ret == 0 && sync->list.waiting_count > 0 && seq <= count;
	     seq++, rec = CONST_PTR_OFFSET(rec, stride)) {
		if (!line_table_has(&table, rec->hash))
			continue;
		mail_index_lookup_uid(view, seq, &uid);
		ret = named_add(sync, view, seq, uid, rec);
	}
	free(table.slots);
	if (ret < 0) {
		sync->known.count = 0;
		return -1;
	}
	sync->known.msgs = sync->known.named;
	sync->known.partial = TRUE;
	return 0;
}

/* --- all of it ----------------------------------------------------------- */

/* UIDs are given out above all that the map or the index has seen. Where the store gives
   them, an index that has seen more than the map belongs to one that was lost. */
static void
bridge_sync_first_uid(struct bridge_sync *sync, struct mail_index_view *view)
{
	const struct mail_index_header *hdr = mail_index_get_header(view);
	const struct idmap_header *map = idmap_header(sync->mbox->map);

	sync->known.first_uid = map->next_uid;
	if (hdr->uid_validity == map->uidvalidity &&
	    hdr->next_uid > sync->known.first_uid) {
		if (sync->caps != NULL && sync->caps->uids)
			sync->known.index_is_other = TRUE;
		else
			sync->known.first_uid = hdr->next_uid;
	}
	sync->adds.next_uid = sync->known.first_uid;
}

int bridge_sync_begin(struct bridge_sync *sync, bool whole,
		      struct fault *fault)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct mail_index_view *view;
	uint32_t seq1, seq2;
	size_t n;
	int ret = -1;

	(void)mail_index_refresh(mbox->box.index);
	view = mail_index_view_open(mbox->box.index);
	bridge_sync_first_uid(sync, view);
	sync->known.behind = sync->known.index_is_other ||
		!bridge_map_is_in_step(mbox->map, mbox->ext_id, view);
	/* the index does not know the marks of what lines name */
	if (!whole && !sync->known.behind && (sync->list.waiting_count == 0 ||
					!bridge_map_has_marks(mbox, view)))
		ret = find_named(sync, view);
	sync->known.listed_uid = bridge_map_listed_uid(mbox, view);
	if (mail_index_lookup_seq_range(view, I_MAX(sync->known.listed_uid, 1),
					UINT32_MAX, &seq1, &seq2))
		sync->known.unlisted = seq2 - seq1 + 1;
	mail_index_view_close(&view);
	if (ret < 0) {
		if (idmap_load(mbox->map, fault) < 0)
			return -1;
		sync->known.msgs = idmap_known(mbox->map, &n);
		sync->known.count = n;
		if (sync->known.listed_uid == 0)
			sync->known.listed_uid = idmap_listed_uid(mbox->map);
		sync->known.unlisted = 0;
		for (; n > 0 && sync->known.msgs[n - 1].uid >=
		     sync->known.listed_uid; n--)
			sync->known.unlisted++;
	}
	sync->known.begun = TRUE;
	return 0;
}
