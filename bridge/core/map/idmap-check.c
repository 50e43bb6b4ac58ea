/* Looking for all that can be wrong with a map. Nothing is changed. */
#include "idmap-private.h"

#include <inttypes.h>
#include <stdlib.h>

static int by_hash(const void *_a, const void *_b)
{
	const struct idmap_known *const *a = _a, *const *b = _b;
	int ret = memcmp((*a)->hash, (*b)->hash, ID_HASH_SIZE);

	if (ret != 0)
		return ret;
	return (*a)->uid < (*b)->uid ? -1 : (*a)->uid > (*b)->uid;
}

static void tell(void (*found)(void *context, const char *text), void *context,
		 uint32_t uid1, uint32_t uid2)
{
	struct buf text = { NULL, 0, 0 };

	buf_printf(&text, "UID %"PRIu32" and UID %"PRIu32" have the same id",
		   uid1, uid2);
	found(context, buf_str(&text));
	buf_free(&text);
}

int idmap_check(struct idmap *map, void (*found)(void *context, const char *text),
		void *context, struct fault *fault)
{
	const struct idmap_known **sorted;
	size_t i;
	int count = 0;

	idmap_unload(map);
	if (idmap_load(map, fault) < 0)
		return -1;
	if (map->count < 2)
		return 0;
	sorted = mem_new(map->count, sizeof(*sorted));
	for (i = 0; i < map->count; i++)
		sorted[i] = &map->known[i];
	qsort(sorted, map->count, sizeof(*sorted), by_hash);
	for (i = 1; i < map->count; i++) {
		if (memcmp(sorted[i - 1]->hash, sorted[i]->hash,
			   ID_HASH_SIZE) != 0)
			continue;
		tell(found, context, sorted[i - 1]->uid, sorted[i]->uid);
		count += count < INT32_MAX;
	}
	free(sorted);
	return count;
}
