/* The brake beyond one list (core/map/reconcile.c has what one list means).
 *
 * What goes with one list because it is little adds up: the header extension
 * "bridge-losses" of the index has how many messages have gone so since when, and a list
 * within bridge_brake_pause of that is judged with them.
 *
 * What the brake holds back is asked for, where that can settle it: when all ids of an
 * archive are others now, the messages would be there twice until the brake lets go.
 * They go at once if the list has none of those that are known and at least as many new
 * messages, some of these can be read, so that the store is alive, and the store says
 * GONE for the old ones. While some are listed, new mail and a disk that is away look
 * just like that: then the pause decides. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#include "fetch.h"

#define ASK_OLD_MAX 64		/* messages that are asked for: spread over all, and the
				   first and the last are among them */

/* --- what went with lists before ----------------------------------------- */

static void losses_read(struct bridge_sync *sync, struct mail_index_view *view,
			struct reconcile_losses *losses_r)
{
	const void *data;
	size_t size;

	i_zero(losses_r);
	mail_index_get_header_ext(view, sync->mbox->losses_ext_id, &data,
				  &size);
	if (size == sizeof(*losses_r))
		memcpy(losses_r, data, sizeof(*losses_r));
}

size_t bridge_sync_losses(struct bridge_sync *sync)
{
	struct mail_index_view *view =
		mail_index_view_open(sync->mbox->box.index);
	struct reconcile_losses losses;

	losses_read(sync, view, &losses);
	mail_index_view_close(&view);
	return reconcile_losses_now(&losses, sync->now,
				    sync->mbox->list->set.brake_pause_secs);
}

void bridge_sync_note_losses(struct bridge_sync *sync)
{
	const struct reconciler *rec = sync->list.rec;
	size_t lost = rec == NULL ? 0 : reconcile_lost(rec);
	uint32_t ext_id = sync->mbox->losses_ext_id;
	struct reconcile_losses losses;
	const void *data;
	size_t size;

	if (lost == 0)
		return;
	losses_read(sync, sync->index.view, &losses);
	reconcile_losses_add(&losses, lost, sync->now,
			     sync->mbox->list->set.brake_pause_secs);
	mail_index_get_header_ext(sync->index.view, ext_id, &data, &size);
	if (size != sizeof(losses))
		mail_index_ext_resize_hdr(sync->index.trans, ext_id,
					  sizeof(losses));
	mail_index_update_header_ext(sync->index.trans, ext_id, 0, &losses,
				     sizeof(losses));
}

/* --- what is held back is asked for -------------------------------------- */

/* Ask for headers, as many at once as may be. Returns TRUE if the store has answered
   each with this: GONE, or something to read. */
static bool brake_asks(struct bridge_sync *sync, const struct fetch_ask *asks,
		       size_t count, bool gone)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct fetched fetched;
	struct fetch *fetch;
	struct fault fault;
	bool as_wanted = TRUE;
	size_t i, n, some;

	for (i = 0; as_wanted && i < count; i += some) {
		some = I_MIN(count - i, sync->caps->batch);
		fetch = fetch_begin(mbox->list->session, mbox->wire_name,
				    FETCH_HEADER, asks + i, some);
		as_wanted = fetch_wait(fetch, &fault) == 0;
		for (n = 0; as_wanted && n < some; n++) {
			as_wanted = fetch_take(fetch, n, &fetched,
					       &fault) == 0 &&
				(fetched.status == FETCH_GONE) == gone;
			fetched_free(&fetched);
		}
		fetch_end(&fetch);
	}
	return as_wanted;
}

/* Some of the new messages can be read. */
static bool brake_is_alive(struct bridge_sync *sync)
{
	struct fetch_ask asks[BRIDGE_SYNC_SAMPLES];
	unsigned int i;

	for (i = 0; i < sync->adds.samples_count; i++) {
		asks[i].id = view_of_buf(&sync->adds.samples[i]);
		asks[i].expected = WIRE_SIZE_UNKNOWN;
	}
	return i > 0 && brake_asks(sync, asks, i, FALSE);
}

/* The store says that those held back are gone. */
static bool brake_are_gone(struct bridge_sync *sync)
{
	size_t held = reconcile_held(sync->list.rec), seen = 0, count = 0, k;
	size_t step = held <= ASK_OLD_MAX ? 1 : (held - 1) / (ASK_OLD_MAX - 1);
	struct fetch_ask *asks = i_new(struct fetch_ask, ASK_OLD_MAX + 1);
	struct buf *bufs = i_new(struct buf, ASK_OLD_MAX + 1);
	struct idmap_entry entry;
	struct fault fault;
	bool gone = TRUE;

	for (k = 0; gone && k < sync->known.count; k++) {
		if (reconcile_fate(sync->list.rec, k) != RECONCILE_SUSPECT)
			continue;
		if ((seen++ % step == 0 || seen == held) &&
		    count <= ASK_OLD_MAX) {
			gone = idmap_lookup(sync->mbox->map,
					    sync->known.msgs[k].uid, &entry,
					    &bufs[count], &fault) > 0;
			asks[count].id = entry.id;
			asks[count++].expected = WIRE_SIZE_UNKNOWN;
		}
	}
	gone = gone && brake_asks(sync, asks, count, TRUE);
	for (k = 0; k < count; k++)
		buf_free(&bufs[k]);
	i_free(bufs);
	i_free(asks);
	return gone;
}

void bridge_sync_ask_brake(struct bridge_sync *sync)
{
	struct idmap *map = sync->mbox->map;
	const struct reconciler *rec = sync->list.rec;
	size_t k, held = rec == NULL ? 0 : reconcile_held(rec);

	if (held == 0 || reconcile_has_listed(sync->list.rec) ||
	    sync->adds.count < held || !brake_is_alive(sync) ||
	    !brake_are_gone(sync))
		return;
	for (k = 0; k < sync->known.count; k++) {
		if (reconcile_fate(sync->list.rec, k) == RECONCILE_SUSPECT)
			idmap_gone(map, sync->known.msgs[k].uid);
	}
	reconcile_believe(sync->list.rec);
	e_info(sync->mbox->box.event, "bridge: %s: %zu messages of %s are others "
	       "now, and the store says that they are gone",
	       sync->mbox->list->set.argv[0], held, sync->mbox->wire_name);
	idmap_set_brake(map, 0);
	if (strcmp(sync->list.end.state, idmap_header(map)->state) != 0)
		idmap_set_state(map, sync->list.end.state);
}
