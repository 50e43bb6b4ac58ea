/* The lines of a list, from the wire into the map.
 *
 * A mailbox may have millions of messages, so a list is never held: each line
 * is compared with what is known as it comes, and what is new goes to the map's
 * file. It is staged there and counts for nobody before the commit; a list that
 * ends badly is rolled back. In memory remain, for a new message, 28 bytes for
 * the index and what core/map/reconcile keeps.
 *
 * Lines are taken in batches. Only when the list ends is it known whether it
 * was full or a delta: if the backend was asked for the changes since a state,
 * mostly there is no second batch, and a delta of a few lines does not need the
 * whole map (bridge-sync-known.c). */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#define BATCH_MAX 1000		/* lines */
#define BATCH_TEXT_MAX (256 * 1024)	/* bytes of ids and flags */
#define AHEAD 16		/* lines that are looked for ahead */
/* About what a message takes in memory while it is listed: one that is known
   (struct idmap_known), or one that is new. */
#define MESSAGE_BYTES 72

/* --- one line ------------------------------------------------------------ */

/* The id as the backend spells it now, and a size that became known. */
static int
line_update(struct bridge_sync *sync, size_t known, const struct view *id,
	    uint64_t size)
{
	struct idmap *map = sync->mbox->map;
	struct bridge_sync_move *move;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	int ret;

	ret = idmap_read_entry(map, idmap_header(map)->generation,
			       sync->known.msgs[known].offset,
			       sync->known.msgs[known].uid, &entry, &buf,
			       &sync->list.fault);
	if (ret > 0) {
		if (sync->list.moves_count == sync->list.moves_alloc) {
			sync->list.moves_alloc +=
				sync->list.moves_alloc / 2 + 64;
			sync->list.moves = mem_grow(sync->list.moves,
						    sync->list.moves_alloc,
						    sizeof(*sync->list.moves));
		}
		move = &sync->list.moves[sync->list.moves_count++];
		entry.id = *id;
		entry.size = size;
		move->known = known;
		move->offset = idmap_update(map, &entry);
	} else if (ret == 0) {
		ret = fault_set(&sync->list.fault, FAULT_INTERNAL,
				FAULT_SCOPE_MAILBOX, "the map has no line of "
				"UID %u where it had one",
				sync->known.msgs[known].uid);
	}
	buf_free(&buf);
	return ret < 0 ? -1 : 0;
}

static int
line_listed(struct bridge_sync *sync, size_t known,
	    const struct listing_msg *msg)
{
	const struct idmap_known *entry = &sync->known.msgs[known];
	uint64_t size = msg->size == WIRE_SIZE_UNKNOWN ? entry->size :
		msg->size;

	if (entry->suspect_since != 0)
		idmap_suspect(sync->mbox->map, entry->uid, 0);
	if (msg->flags.p != NULL && (sync->caps->flags == CAPS_FLAGS_ALL ||
				     sync->caps->flags == CAPS_FLAGS_BACKEND))
		bridge_sync_listed_flags(sync, entry->uid, sync->known.partial ?
			sync->known.named_flags[known] :
			idmap_known_flags(sync->mbox->map, entry),
			msg->flags);
	if (size == entry->size && entry->spelling ==
	    idmap_spelling(sync->mbox->map, msg->id))
		return 0;
	return line_update(sync, known, &msg->id, size);
}

static int
line_take(struct bridge_sync *sync, const struct listing_msg *msg,
	  struct wire_error *error_r)
{
	struct reconcile_item item;
	enum reconcile_verdict verdict;
	size_t known;

	memcpy(item.hash, msg->hash, sizeof(item.hash));
	item.size = msg->size;
	item.gone = msg->gone;
	verdict = reconcile_line(sync->list.rec, &item, &known);
	if ((verdict == RECONCILE_LISTED || verdict == RECONCILE_OTHER ||
	     verdict == RECONCILE_GONE) &&
	    sync->known.msgs[known].uid >= sync->known.listed_uid)
		sync->known.unlisted--;
	switch (verdict) {
	case RECONCILE_TWICE:
		return listing_twice(msg, error_r);
	case RECONCILE_LISTED:
		if (sync->caps->uids)
			bridge_uids_check(sync, msg, sync->known.msgs[known].uid);
		return line_listed(sync, known, msg);
	case RECONCILE_NEW:
	case RECONCILE_OTHER:
		if (sync->caps->uids)
			bridge_uids_hold(sync, msg);
		else
			bridge_adds_line(sync, msg);
		break;
	case RECONCILE_GONE:
	case RECONCILE_NOTHING:
		break;
	}
	sync->list.bytes += MESSAGE_BYTES;
	return sync->list.bytes <= sync->list.bytes_max ? 0 :
		listing_too_big(error_r);
}

/* --- all lines ----------------------------------------------------------- */

static void list_forget(struct bridge_sync *sync)
{
	arena_free(&sync->list.waiting_text);
	sync->list.waiting_count = sync->list.waiting_bytes = 0;
}

static void list_start(struct bridge_sync *sync)
{
	reconcile_deinit(&sync->list.rec);
	sync->list.rec = reconcile_init(sync->known.msgs, sync->known.count);
	sync->list.bytes = sync->known.count * MESSAGE_BYTES;
	sync->list.bytes_max = listing_bytes_max();
}

/* Take the lines that are waiting. Something of ours that fails is no fault of
   the backend: the dialogue goes on to its end without us. */
static int
list_take(struct bridge_sync *sync, bool whole, struct wire_error *error_r)
{
	size_t i, count = sync->list.waiting_count;
	int ret = 0;

	if (!sync->known.begun &&
	    bridge_sync_begin(sync, whole, &sync->list.fault) == 0)
		list_start(sync);
	for (i = 0; ret == 0 && sync->known.begun && i < count; i++) {
		if (i + AHEAD < count)
			reconcile_expect(sync->list.rec,
					 sync->list.waiting[i + AHEAD].hash);
		ret = line_take(sync, &sync->list.waiting[i], error_r);
	}
	list_forget(sync);
	return sync->list.fault.code != FAULT_NONE ? 0 : ret;
}

static int
list_msg(void *context, const struct listing_msg *msg,
	 struct wire_error *error_r)
{
	struct bridge_sync *sync = context;
	struct listing_msg *copy;

	if (sync->list.fault.code != FAULT_NONE)
		return 0;
	if ((sync->list.waiting_count == BATCH_MAX ||
	     sync->list.waiting_bytes > BATCH_TEXT_MAX) &&
	    list_take(sync, TRUE, error_r) < 0)
		return -1;
	if (sync->list.waiting == NULL)
		sync->list.waiting = mem_new(BATCH_MAX,
					     sizeof(*sync->list.waiting));
	copy = &sync->list.waiting[sync->list.waiting_count++];
	*copy = *msg;
	copy->id = arena_add(&sync->list.waiting_text, msg->id);
	copy->flags = arena_add(&sync->list.waiting_text, msg->flags);
	sync->list.waiting_bytes += msg->id.len + msg->flags.len;
	return 0;
}

/* What is not known before all lines are: who is gone, and what the brake holds
   back. */
static void list_judge(struct bridge_sync *sync, const struct listing_end *end)
{
	struct idmap *map = sync->mbox->map;
	const struct idmap_known *known;
	struct reconcile_policy policy;
	int64_t since;
	size_t k;

	i_zero(&policy);
	policy.full = end->full;
	policy.force = sync->force;
	policy.now = sync->now;
	policy.brake_pause_secs = sync->mbox->list->set.brake_pause_secs;
	policy.lost = bridge_sync_losses(sync);
	reconcile_finish(sync->list.rec, &policy);
	for (k = 0; k < sync->known.count; k++) {
		known = &sync->known.msgs[k];
		switch (reconcile_fate(sync->list.rec, k)) {
		case RECONCILE_EXPUNGE:
		case RECONCILE_REPLACE:
			idmap_gone(map, known->uid);
			break;
		case RECONCILE_SUSPECT:
			since = reconcile_suspect_since(known->suspect_since,
							&policy);
			if (since != known->suspect_since)
				idmap_suspect(map, known->uid, since);
			break;
		case RECONCILE_KEEP:
			break;
		}
	}
}

static int
list_end(void *context, const struct listing_end *end,
	 struct wire_error *error_r)
{
	struct bridge_sync *sync = context;
	struct idmap *map = sync->mbox->map;
	const char *state;
	int64_t held_at;

	if (sync->list.fault.code == FAULT_NONE &&
	    list_take(sync, end->full, error_r) < 0)
		return -1;
	if (sync->caps->uids && (sync->list.fault.code == FAULT_NONE ||
				 end->uidvalidity != 0))
		bridge_uids_end(sync, end);
	if (sync->list.fault.code != FAULT_NONE)
		return 0;
	/* What the store was given since its state, a delta repeats. If it does
	   not, that may have come and gone between two of the store's looks, and
	   nothing would ever say so. */
	sync->list.again = !end->full && sync->known.unlisted > 0;
	sync->list.listed = TRUE;
	list_judge(sync, end);
	held_at = reconcile_held(sync->list.rec) > 0 ? sync->now : 0;
	if (held_at != idmap_brake(map))
		idmap_set_brake(map, held_at);
	/* what is suspect needs a second full list to be settled */
	state = reconcile_suspects(sync->list.rec) > 0 ? "-" : end->state;
	if (strcmp(state, idmap_header(map)->state) != 0)
		idmap_set_state(map, state);
	return 0;
}

static void list_free_samples(struct bridge_sync *sync)
{
	while (sync->adds.samples_count > 0)
		buf_free(&sync->adds.samples[--sync->adds.samples_count]);
}

static void list_reset(void *context)
{
	struct bridge_sync *sync = context;

	idmap_rollback(sync->mbox->map);
	list_forget(sync);
	bridge_adds_free(sync);
	sync->list.moves_count = 0;
	sync->list.bad_keywords = 0;
	sync->list.listed = sync->list.again = FALSE;
	list_free_samples(sync);
	sync->list.excess_keywords = 0;
	bridge_uids_free(sync);
	bridge_queue_free(sync);
	sync->adds.next_uid = sync->known.first_uid;
	if (sync->known.begun)
		list_start(sync);
}

static const struct listing_sink list_sink = {
	.msg = list_msg,
	.end = list_end,
	.reset = list_reset,
};

int bridge_sync_read_list(struct bridge_sync *sync, const char *state,
			  struct fault *fault)
{
	struct bridge_mailbox *mbox = sync->mbox;
	int ret;

	/* without a state the whole map is needed in any case */
	if (strcmp(state, "-") == 0) {
		if (bridge_sync_begin(sync, TRUE, fault) < 0)
			return -1;
		list_start(sync);
	}
	ret = listing_read(mbox->list->session, mbox->wire_name, state,
			   &list_sink, sync, &sync->list.end, fault);
	if (ret == 0 && sync->list.fault.code != FAULT_NONE) {
		*fault = sync->list.fault;
		ret = -1;
	}
	return ret;
}

int bridge_sync_stage_gone(struct bridge_sync *sync,
			   const ARRAY_TYPE(const_string) *ids,
			   struct fault *fault)
{
	struct listing_msg msg = { .gone = TRUE };
	struct listing_end end = { .full = FALSE };
	struct buf scratch = { NULL, 0, 0 };
	struct wire_error error;
	const char *id;
	int ret = 0;

	array_foreach_elem(ids, id) {
		msg.id = view_of(id);
		(void)id_hash_spelt(msg.id, &scratch, msg.hash);
		ret = list_msg(sync, &msg, &error);
		if (ret < 0)
			break;
	}
	buf_free(&scratch);
	if (ret == 0)
		ret = list_take(sync, FALSE, &error);
	if (ret < 0)
		return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
				 "removed messages: %s", error.text);
	if (sync->list.fault.code != FAULT_NONE) {
		*fault = sync->list.fault;
		return -1;
	}
	list_judge(sync, &end);
	/* A list that the brake holds may be one that was made while another
	   session moved these away: they leave the store before they leave the
	   map. So the next one need not wait: new mail would with it. What else is
	   suspect waits for its own time (reconcile.c). */
	if (idmap_brake(sync->mbox->map) != 0)
		idmap_set_brake(sync->mbox->map, 0);
	return 0;
}

void bridge_sync_list_free(struct bridge_sync *sync)
{
	list_free_samples(sync);
	reconcile_deinit(&sync->list.rec);
	bridge_uids_free(sync);
	listing_end_free(&sync->list.end);
	list_forget(sync);
	free(sync->list.waiting);
	bridge_adds_free(sync);
	free(sync->list.moves);
	free(sync->known.named);
	free(sync->known.named_flags);
	bridge_adds_carry_free(sync);
	sync->list.waiting = NULL;
	sync->list.moves = NULL;
	sync->known.named = NULL;
	sync->known.named_flags = NULL;
	sync->known.msgs = NULL;
	sync->list.moves_count = sync->known.count = 0;
}
