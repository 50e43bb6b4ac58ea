/* What a delta names, without reading the map: the records of the index are
 * searched for the hashes of the listed ids (they are in memory, 20 bytes
 * each), and the lines of those that are found are read one by one.
 *
 * Only for an index that is in step with the map. */
#include "lib.h"
#include "compat.h"
#include "bridge-sync.h"

/* The listed items by hash: open addressing, at most half full. Ids come from
   the backend, but their hashes are not its to choose. */
struct item_table {
	const struct listing *listing;
	uint32_t *slots;	/* item + 1, 0 = free */
	uint32_t mask;
};

static uint32_t hash_slot(const unsigned char *hash)
{
	uint32_t slot;

	memcpy(&slot, hash, sizeof(slot));
	return slot;
}

static void item_table_init(struct item_table *table,
			    const struct listing *listing)
{
	uint32_t size = 16, slot;
	size_t i;

	while (size < listing->count * 2)
		size *= 2;
	table->listing = listing;
	table->slots = mem_new(size, sizeof(*table->slots));
	table->mask = size - 1;
	for (i = 0; i < listing->count; i++) {
		slot = hash_slot(listing->msgs[i].hash) & table->mask;
		while (table->slots[slot] != 0)
			slot = (slot + 1) & table->mask;
		table->slots[slot] = (uint32_t)i + 1;
	}
}

static bool item_table_has(const struct item_table *table,
			   const unsigned char *hash)
{
	uint32_t slot = hash_slot(hash) & table->mask;

	for (; table->slots[slot] != 0; slot = (slot + 1) & table->mask) {
		if (memcmp(table->listing->msgs[table->slots[slot] - 1].hash,
			   hash, IDMAP_HASH_SIZE) == 0)
			return TRUE;
	}
	return FALSE;
}

/* Read the map's line of a record. Returns 0; -1 if the record does not lead
   to it (then the whole map is to be read). */
static int
named_add(struct bridge_sync *sync, uint32_t uid,
	  const struct bridge_index_record *rec)
{
	struct idmap *map = sync->mbox->map;
	size_t count = sync->known_count;
	struct fault fault;

	sync->named = mem_grow(sync->named, count + 1, sizeof(*sync->named));
	sync->named_ids = mem_grow(sync->named_ids, count + 1,
				   sizeof(*sync->named_ids));
	i_zero(&sync->named_ids[count]);
	sync->known_count++;
	if (rec->offset == 0 ||
	    idmap_read_entry(map, idmap_header(map)->generation, rec->offset,
			     uid, &sync->named[count],
			     &sync->named_ids[count], &fault) <= 0)
		return -1;
	return 0;
}

int bridge_sync_find_named(struct bridge_sync *sync,
			   struct mail_index_view *view)
{
	const struct bridge_index_record *rec;
	uint32_t seq, uid, count = mail_index_view_get_messages_count(view);
	struct item_table table;
	const void *data;
	int ret = 0;

	if (sync->listing.count > UINT32_MAX / 4)
		return -1;
	item_table_init(&table, &sync->listing);
	for (seq = 1; ret == 0 && sync->listing.count > 0 && seq <= count;
	     seq++) {
		mail_index_lookup_ext(view, seq, sync->mbox->ext_id, &data,
				      NULL);
		rec = data;
		if (rec == NULL || !item_table_has(&table, rec->hash))
			continue;
		mail_index_lookup_uid(view, seq, &uid);
		ret = named_add(sync, uid, rec);
	}
	free(table.slots);
	if (ret < 0) {
		bridge_sync_free_named(sync);
		return -1;
	}
	sync->known = sync->named;
	sync->partial = TRUE;
	return 0;
}

void bridge_sync_free_named(struct bridge_sync *sync)
{
	size_t i;

	for (i = 0; sync->named != NULL && i < sync->known_count; i++)
		buf_free(&sync->named_ids[i]);
	free(sync->named);
	free(sync->named_ids);
	sync->named = NULL;
	sync->named_ids = NULL;
	sync->known = NULL;
	sync->known_count = 0;
}
