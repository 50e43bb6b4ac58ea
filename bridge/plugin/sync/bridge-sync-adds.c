/* New messages: to the map at once, where they are staged, and kept for the index, in
 * blocks that are freed one by one. */
#include "lib.h"
#include "compat.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#include "flags.h"

static struct bridge_sync_add *add_new(struct bridge_sync *sync)
{
	size_t n = sync->adds.count++, block = n / BRIDGE_SYNC_BLOCK;

	if (n % BRIDGE_SYNC_BLOCK == 0) {
		sync->adds.blocks = mem_grow(sync->adds.blocks, block + 1,
					     sizeof(*sync->adds.blocks));
		sync->adds.blocks[block] = mem_grow(NULL, BRIDGE_SYNC_BLOCK,
						    sizeof(**sync->adds.blocks));
	}
	return &sync->adds.blocks[block][n % BRIDGE_SYNC_BLOCK];
}

struct bridge_sync_add bridge_adds_take(struct bridge_sync *sync)
{
	size_t n = sync->adds.next++, block = n / BRIDGE_SYNC_BLOCK;
	struct bridge_sync_add **blocks = sync->adds.blocks;
	struct bridge_sync_add add = blocks[block][n % BRIDGE_SYNC_BLOCK];

	if (sync->adds.next % BRIDGE_SYNC_BLOCK == 0) {
		free(blocks[block]);
		blocks[block] = NULL;
	}
	return add;
}

void bridge_adds_free(struct bridge_sync *sync)
{
	size_t i;

	for (i = 0; i < sync->adds.count; i += BRIDGE_SYNC_BLOCK)
		free(sync->adds.blocks[i / BRIDGE_SYNC_BLOCK]);
	free(sync->adds.blocks);
	sync->adds.blocks = NULL;
	sync->adds.count = sync->adds.next = 0;
}

void bridge_adds_add(struct bridge_sync *sync, struct idmap_entry *entry,
		     uint32_t vsize)
{
	struct bridge_sync_add *add = add_new(sync);
	uint64_t offset;

	entry->uid = sync->adds.next_uid++;
	offset = idmap_add(sync->mbox->map, entry);
	memcpy(add->rec.hash, entry->hash, sizeof(add->rec.hash));
	add->rec.offset = bridge_map_offset(offset);
	add->flags = idmap_flags_number(sync->mbox->map, entry->flags);
	if (add->flags > sync->adds.last_flags) {
		sync->adds.last_flags = add->flags;
		sync->list.bytes += entry->flags.len;
	}
	add->vsize = vsize;
}

/* --- flags of a map that another one takes the place of ------------------ */

static int carried_cmp(const void *_a, const void *_b)
{
	const struct bridge_carried *a = _a, *b = _b;

	return memcmp(a->hash, b->hash, sizeof(a->hash));
}

int bridge_adds_carry(struct bridge_sync *sync, struct fault *fault)
{
	struct idmap *map = sync->mbox->map;
	const struct idmap_known *known;
	struct bridge_carried *to;
	uint32_t set, last_set = 0;
	size_t i, count;

	if (idmap_load(map, fault) < 0)
		return -1;
	known = idmap_known(map, &count);
	sync->adds.carried = mem_grow(NULL, count, sizeof(*sync->adds.carried));
	for (i = 0; i < count; i++) {
		set = idmap_known_flags(map, &known[i]);
		if (set == 0)
			continue;
		to = &sync->adds.carried[sync->adds.carried_count++];
		memcpy(to->hash, known[i].hash, sizeof(to->hash));
		/* most have what the one before has */
		to->flags = set == last_set ? to[-1].flags :
			arena_add(&sync->adds.carried_text,
				  idmap_flags_text(map, set));
		last_set = set;
	}
	if (sync->adds.carried_count > 1)
		qsort(sync->adds.carried, sync->adds.carried_count,
		      sizeof(*sync->adds.carried), carried_cmp);
	return 0;
}

void bridge_adds_carry_free(struct bridge_sync *sync)
{
	free(sync->adds.carried);
	arena_free(&sync->adds.carried_text);
	sync->adds.carried = NULL;
	sync->adds.carried_count = 0;
}

bool bridge_adds_carried(struct bridge_sync *sync, const uint8_t *hash,
			 struct view listed, struct buf *set)
{
	struct bridge_carried key, *found;

	if (sync->adds.carried_count == 0)
		return FALSE;
	i_zero(&key);
	memcpy(key.hash, hash, sizeof(key.hash));
	found = bsearch(&key, sync->adds.carried, sync->adds.carried_count,
			sizeof(key), carried_cmp);
	if (found == NULL)
		return FALSE;
	flags_listed(sync->caps, found->flags, listed, set);
	if (flags_has_marks(found->flags))
		sync->marks.found = TRUE;
	return TRUE;
}

/* --- a line of a list ---------------------------------------------------- */

/* RFC822.SIZE, where the list tells it: it spares reading the message. */
static uint32_t
line_vsize(const struct bridge_sync *sync, const struct listing_msg *msg)
{
	uint64_t vsize = msg->vsize == WIRE_SIZE_UNKNOWN && sync->crlf ?
		msg->size : msg->vsize;

	return vsize >= UINT32_MAX ? 0 : (uint32_t)vsize + 1;
}

void bridge_adds_line(struct bridge_sync *sync,
		      const struct listing_msg *msg)
{
	struct buf seed = { NULL, 0, 0 }, carried = { NULL, 0, 0 };
	struct idmap_entry entry;

	i_zero(&entry);
	memcpy(entry.hash, msg->hash, sizeof(entry.hash));
	entry.id = msg->id;
	entry.size = msg->size;
	entry.date = msg->date;
	entry.first_seen = sync->now;
	if (msg->flags.len > 0 &&
	    sync->caps->flags != CAPS_FLAGS_LOCAL) T_BEGIN {
		bridge_sync_seed(sync, msg->flags, &seed);
	} T_END;
	entry.flags = view_of_buf(&seed);
	if (bridge_adds_carried(sync, entry.hash, entry.flags, &carried))
		entry.flags = view_of_buf(&carried);
	bridge_adds_add(sync, &entry, line_vsize(sync, msg));
	if (sync->adds.samples_count < BRIDGE_SYNC_SAMPLES)
		buf_append_view(&sync->adds.samples[sync->adds.samples_count++],
				msg->id);
	buf_free(&seed);
	buf_free(&carried);
}
