/* Changes of flags on their way: to the store (pushes), and to the index (updates). */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-sync.h"

#include "flags.h"

static struct bridge_push *
push_insert(struct bridge_sync *sync, unsigned int at, uint32_t uid1,
	    uint32_t uid2, const char *change)
{
	struct bridge_push *push = array_insert_space(&sync->queue.pushes, at);

	push->uid1 = uid1;
	push->uid2 = uid2;
	push->change = i_strdup(change);
	return push;
}

static void push_then(struct bridge_push *push, const char *change)
{
	struct buf both = { NULL, 0, 0 };

	flags_then(view_of(push->change), view_of(change), &both);
	i_free(push->change);
	push->change = i_strdup(buf_str(&both));
	buf_free(&both);
}

/* The ranges are in order and do not overlap, so that a message gets all of its
   changes at once: the store's answer is then its last word. */
void bridge_queue_push(struct bridge_sync *sync, uint32_t uid1,
		       uint32_t uid2, const char *change)
{
	struct bridge_push *push;
	unsigned int i;

	if (!array_is_created(&sync->queue.pushes))
		i_array_init(&sync->queue.pushes, 8);
	for (i = array_count(&sync->queue.pushes); i > 0; i--) {
		push = array_idx_modifiable(&sync->queue.pushes, i - 1);
		if (push->uid2 < uid1)
			break;
	}
	for (; uid1 <= uid2; i++, uid1 = push->uid2 + 1) {
		push = i == array_count(&sync->queue.pushes) ? NULL :
			array_idx_modifiable(&sync->queue.pushes, i);
		if (push == NULL || push->uid1 > uid1) {
			/* up to the next one */
			push = push_insert(sync, i, uid1, push == NULL ? uid2 :
					   I_MIN(uid2, push->uid1 - 1), change);
			continue;
		}
		if (push->uid1 < uid1) {
			(void)push_insert(sync, i++, push->uid1, uid1 - 1,
					  push->change);
			push = array_idx_modifiable(&sync->queue.pushes, i);
			push->uid1 = uid1;
		}
		if (push->uid2 > uid2) {
			push->uid1 = uid2 + 1;
			push = push_insert(sync, i, uid1, uid2, push->change);
		}
		push_then(push, change);
	}
}

void bridge_queue_free_pushes(struct bridge_sync *sync)
{
	struct bridge_push *push;

	if (!array_is_created(&sync->queue.pushes))
		return;
	array_foreach_modifiable(&sync->queue.pushes, push)
		i_free(push->change);
	array_free(&sync->queue.pushes);
}

void bridge_queue_free(struct bridge_sync *sync)
{
	struct bridge_flag_update *update;

	bridge_queue_free_pushes(sync);
	if (array_is_created(&sync->queue.recs))
		array_free(&sync->queue.recs);
	if (!array_is_created(&sync->queue.updates))
		return;
	array_foreach_modifiable(&sync->queue.updates, update)
		i_free(update->change);
	array_free(&sync->queue.updates);
}
