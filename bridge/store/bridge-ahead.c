/* Reading ahead: never one round trip a message, where a client reads one
 * message after the other and the backend takes several ids in one FETCH.
 *
 * The third message in a row brings the next one along, the fourth three more,
 * and so on, up to AHEAD_MAX and AHEAD_BYTES_MAX. What came along is kept until it is
 * asked for, at most until the mailbox is synchronised or closed. It is a bet, so
 * nothing that goes wrong with it is an error: a message that failed, or that
 * broke the copy for all the others, is asked for again when its turn comes, by
 * itself, and what that brings is what the client is told. */
#include "lib.h"
#include "compat.h"
#include "bridge-storage.h"

#include "fetch.h"

#define AHEAD_MAX 32			/* messages in one FETCH */
#define AHEAD_BYTES_MAX (4 * 1024 * 1024)	/* of them together */
#define AHEAD_BYTES_GUESS (64 * 1024)	/* of one whose size is not known */

struct bridge_ahead {
	uint32_t last_seq;	/* read last */
	unsigned int streak;	/* so many in a row */
	uint32_t uids[AHEAD_MAX];
	struct fetched fetched[AHEAD_MAX];
	unsigned int count;
};

/* One FETCH being put together. */
struct ahead_batch {
	struct fetch_item items[AHEAD_MAX];
	uint32_t uids[AHEAD_MAX];
	struct buf ids[AHEAD_MAX];
	unsigned int count;
	uint64_t bytes;
};

void bridge_ahead_flush(struct bridge_mailbox *mbox)
{
	struct bridge_ahead *ahead = mbox->ahead;
	unsigned int i;

	if (ahead == NULL)
		return;
	for (i = 0; i < ahead->count; i++)
		fetched_free(&ahead->fetched[i]);
	i_free(mbox->ahead);
}

bool bridge_ahead_take(struct bridge_mailbox *mbox, uint32_t seq,
		       uint32_t uid, struct fetched *fetched_r)
{
	struct bridge_ahead *ahead = mbox->ahead;
	unsigned int i;

	if (ahead == NULL) {
		ahead = mbox->ahead = i_new(struct bridge_ahead, 1);
		ahead->last_seq = seq;
		return FALSE;
	}
	ahead->streak = seq == ahead->last_seq + 1 ? ahead->streak + 1 : 0;
	ahead->last_seq = seq;
	for (i = 0; i < ahead->count; i++) {
		if (ahead->uids[i] != uid)
			continue;
		*fetched_r = ahead->fetched[i];
		ahead->count--;
		memmove(&ahead->fetched[i], &ahead->fetched[i + 1],
			(ahead->count - i) * sizeof(ahead->fetched[0]));
		memmove(&ahead->uids[i], &ahead->uids[i + 1],
			(ahead->count - i) * sizeof(ahead->uids[0]));
		return TRUE;
	}
	return FALSE;
}

/* How many messages the next FETCH is to ask for. */
static unsigned int
ahead_want(struct bridge_mailbox *mbox, const struct bridge_ahead *ahead)
{
	const struct caps *caps;
	struct fault fault;
	unsigned int want = 1;

	if (ahead->streak < 2)
		return 1;
	while (want < AHEAD_MAX && want < 1U << (ahead->streak - 1))
		want *= 2;
	caps = session_caps(mbox->list->session, &fault);
	if (caps == NULL)
		return 1;
	return I_MIN(want, caps->batch);
}

/* Returns FALSE if the message does not go along, and so none behind it. */
static bool
ahead_add(struct bridge_mailbox *mbox, struct mail_index_view *view,
	  uint32_t seq, struct ahead_batch *batch)
{
	struct fetch_item *item = &batch->items[batch->count];
	struct idmap_entry entry;
	struct fault fault;
	uint32_t uid;

	mail_index_lookup_uid(view, seq, &uid);
	if (bridge_map_entry(mbox, view, seq, uid, &entry,
			     &batch->ids[batch->count], &fault) <= 0) {
		buf_free(&batch->ids[batch->count]);
		return FALSE;
	}
	item->id = entry.id;
	item->expected = entry.size != IDMAP_SIZE_UNKNOWN ? entry.size :
		bridge_map_seen_size(mbox, view, seq);
	batch->uids[batch->count] = uid;
	batch->bytes += item->expected != IDMAP_SIZE_UNKNOWN ?
		item->expected : AHEAD_BYTES_GUESS;
	batch->count++;
	return batch->bytes < AHEAD_BYTES_MAX;
}

static void
ahead_keep(struct bridge_ahead *ahead, struct ahead_batch *batch,
	   struct fetched *first_r)
{
	struct fetched *fetched;
	unsigned int i;

	*first_r = batch->items[0].fetched;
	for (i = 1; i < batch->count; i++) {
		fetched = &batch->items[i].fetched;
		if (fetched->status != FETCH_MEMORY &&
		    fetched->status != FETCH_FILE) {
			fetched_free(fetched);
			continue;
		}
		ahead->uids[ahead->count] = batch->uids[i];
		ahead->fetched[ahead->count++] = *fetched;
	}
}

bool bridge_ahead_fetch(struct bridge_mailbox *mbox,
			struct mail_index_view *view, uint32_t seq,
			struct fetched *fetched_r)
{
	uint32_t end = mail_index_view_get_messages_count(view);
	unsigned int i, want = ahead_want(mbox, mbox->ahead);
	struct ahead_batch *batch;
	struct fault fault;
	bool good = FALSE;

	if (want < 2)
		return FALSE;
	/* those that nobody came for: the client went elsewhere */
	for (i = 0; i < mbox->ahead->count; i++)
		fetched_free(&mbox->ahead->fetched[i]);
	mbox->ahead->count = 0;
	batch = i_new(struct ahead_batch, 1);
	for (; seq <= end && batch->count < want; seq++) {
		if (!ahead_add(mbox, view, seq, batch))
			break;
	}
	if (batch->count > 1 &&
	    fetch_messages(mbox->list->session, mbox->wire_name, batch->items,
			   batch->count, &fault) == 0) {
		ahead_keep(mbox->ahead, batch, fetched_r);
		good = fetched_r->status == FETCH_MEMORY ||
			fetched_r->status == FETCH_FILE;
		if (!good)
			fetched_free(fetched_r);
	} else if (batch->count > 1) {
		/* whoever of them it was: one by one for a while */
		e_debug(mbox->box.event, "bridge: read-ahead: %s", fault.log);
		mbox->ahead->streak = 0;
	}
	for (i = 0; i < batch->count; i++)
		buf_free(&batch->ids[i]);
	i_free(batch);
	return good;
}
