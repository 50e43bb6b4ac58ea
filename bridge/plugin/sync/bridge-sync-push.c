/* Flags on their way to the store.
 *
 * What clients did to flags that the store keeps is written to the map first, the
 * change along with it: in a message's set of flags, "%+\Seen" says that +\Seen has
 * not been taken by the store yet (no flag is spelt so: in wire form two
 * hexadecimal digits follow a %). Then it is pushed:
 *
 *	done		the mark goes
 *	gone		the mark goes; the next list removes the message
 *	later		the mark stays, across sessions and processes, and what a
 *			list says of the message is seen through it
 *	never		the mark goes, and the flag goes back; not if the mailbox
 *			is not there under its name
 *
 * What is to be done to a message is one change, and messages with the same change
 * share a request.
 *
 * The header of the index says whether any mark is left, so that nobody has to
 * look for them in vain. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-fault.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#include "flags.h"
#include "listing.h"
#include "write.h"

/* Messages that get the same change. */
struct push_batch {
	struct bridge_sync *sync;
	struct mail_index_view *view;
	const char *change;	/* what was marked */
	const char *owned;	/* what of it is for the store */
	ARRAY(struct write_item) items;
	ARRAY_TYPE(uint32_t) seqs;
	ARRAY(char *) ids;
	bool had_marks;		/* this is not the first time */
	bool asked, there;	/* whether the store lists the mailbox */
	unsigned int failed, later;
	struct fault fault;	/* of the first that failed for good, else of
				   the first that is to be tried again */
};

/* Marks that earlier sessions left: with the map loaded. */
static void push_find_marks(struct bridge_sync *sync)
{
	const struct idmap_known *known;
	struct bridge_push *last;
	uint32_t last_uid = 0;
	size_t i, count;
	struct buf change = { NULL, 0, 0 };

	known = idmap_known(sync->mbox->map, &count);
	for (i = 0; i < count; i++) {
		buf_clear(&change);
		flags_marked(idmap_flags_text(sync->mbox->map,
				idmap_known_flags(sync->mbox->map, &known[i])),
			     &change);
		last = last_uid == 0 ? NULL : array_back_modifiable(
			&sync->queue.pushes);
		if (change.len == 0) {
			last_uid = 0;
			continue;
		}
		if (last != NULL && strcmp(last->change, buf_str(&change)) == 0)
			last->uid2 = known[i].uid;
		else
			bridge_queue_push(sync, known[i].uid, known[i].uid,
					  buf_str(&change));
		last_uid = known[i].uid;
	}
	buf_free(&change);
}

/* --- one push ------------------------------------------------------------ */

static void push_lift(struct bridge_sync *sync, uint32_t uid1, uint32_t uid2,
		      const char *change)
{
	struct buf lift = { NULL, 0, 0 };

	flags_unmark(view_of(change), &lift);
	idmap_flags(sync->mbox->map, uid1, uid2, buf_str(&lift));
	buf_free(&lift);
}

/* The store will never take it. The flag goes back at once; whether that is what
   the store has, only a full list tells: the change may have said again what was
   so before, and lists were seen through a mark that is old. */
static void push_back_out(struct push_batch *batch, uint32_t uid,
			  const struct fault *fault)
{
	struct idmap *map = batch->sync->mbox->map;
	struct buf back = { NULL, 0, 0 };

	bridge_fault_seen(&batch->sync->mbox->box, fault);
	flags_inverse(view_of(batch->owned), &back);
	if (batch->failed++ == 0)
		batch->fault = *fault;
	push_lift(batch->sync, uid, uid, batch->change);
	idmap_flags(map, uid, uid, buf_str(&back));
	bridge_sync_update_flags(batch->sync, uid, buf_str(&back));
	if (strcmp(idmap_header(map)->state, "-") != 0)
		idmap_set_state(map, "-");
	buf_free(&back);
}

/* Whether the store names the mailbox in its list, now. */
static bool push_mailbox_is_there(struct bridge_mailbox *mbox)
{
	const struct listing_box *lbox;
	struct listing_boxes boxes;
	struct fault fault;
	bool there;

	if (listing_boxes(mbox->list->session, &boxes, &fault) < 0)
		return FALSE;
	lbox = listing_box_find(&boxes, view_of(mbox->box.name));
	there = lbox != NULL && null_strcmp(lbox->id, mbox->box_id) == 0;
	listing_boxes_free(&boxes);
	return there;
}

/* Whether the store will never take it. If it does not find the mailbox somebody
   may just have renamed it, and what was not pushed goes with it. */
static bool push_is_refused(struct push_batch *batch, const struct fault *fault)
{
	if (fault_retry(fault->code) != FAULT_RETRY_NEVER)
		return FALSE;
	if (fault->code == FAULT_NOTFOUND && !batch->asked) {
		batch->asked = TRUE;
		batch->there = push_mailbox_is_there(batch->sync->mbox);
	}
	return fault->code != FAULT_NOTFOUND || batch->there;
}

static bool push_is_settled(const struct write_item *item)
{
	return item->status == WRITE_DONE || item->status == WRITE_GONE;
}

/* What the answer about one message means; a mark that is settled is lifted by
   the caller. */
static void push_result(struct push_batch *batch, const struct write_item *item,
			uint32_t seq, uint32_t uid)
{
	struct bridge_sync *sync = batch->sync;

	if (!push_is_settled(item)) {
		if (push_is_refused(batch, item->fault)) {
			push_back_out(batch, uid, item->fault);
			return;
		}
		sync->marks.left = TRUE;
		if (item->status == WRITE_FAILED && batch->later++ == 0 &&
		    batch->failed == 0)
			batch->fault = *item->fault;
	} else if (item->flags_said) {
		bridge_sync_listed_flags(sync, uid,
			bridge_sync_index_set(sync, batch->view, seq),
			view_of_buf(&item->flags));
	}
}

/* Those that are done come in ranges, of messages that follow each other. */
static void push_results(struct push_batch *batch)
{
	const struct write_item *items;
	const uint32_t *seqs;
	unsigned int i, count;
	uint32_t uid, first_uid = 0;

	items = array_get(&batch->items, &count);
	seqs = array_front(&batch->seqs);
	for (i = 0; i < count; i++) {
		mail_index_lookup_uid(batch->view, seqs[i], &uid);
		push_result(batch, &items[i], seqs[i], uid);
		if (!push_is_settled(&items[i]))
			continue;
		if (first_uid == 0)
			first_uid = uid;
		if (i + 1 < count && seqs[i + 1] == seqs[i] + 1 &&
		    push_is_settled(&items[i + 1]))
			continue;
		push_lift(batch->sync, first_uid, uid, batch->change);
		first_uid = 0;
	}
}

static void push_log(const struct push_batch *batch)
{
	struct event *event = batch->sync->mbox->box.event;

	if (batch->failed > 0)
		e_warning(event, "bridge: the change %s of %u messages was "
			  "refused for good, and is taken back: %s",
			  batch->owned, batch->failed, batch->fault.log);
	else if (batch->later > 0 && !batch->had_marks)
		e_warning(event, "bridge: the change %s of %u messages is kept "
			  "here until the store takes it: %s", batch->owned,
			  batch->later, batch->fault.log);
}

static void push_clear(struct push_batch *batch)
{
	struct write_item *items;
	unsigned int count;
	char *id;

	items = array_get_modifiable(&batch->items, &count);
	write_items_free(items, count);
	array_foreach_elem(&batch->ids, id)
		i_free(id);
	array_clear(&batch->items);
	array_clear(&batch->seqs);
	array_clear(&batch->ids);
}

/* Ask the store for what was collected. Returns 0, or -1 and a fault that is not
   one message's. */
static int push_ask(struct push_batch *batch, struct fault *fault)
{
	struct bridge_mailbox *mbox = batch->sync->mbox;
	struct write_item *items;
	unsigned int count;
	int ret;

	items = array_get_modifiable(&batch->items, &count);
	if (count == 0)
		return 0;
	ret = write_flags(mbox->list->session, mbox->wire_name, batch->owned,
			  items, count, fault);
	push_results(batch);
	push_clear(batch);
	/* refused for good: the next one may not be */
	return ret < 0 && !push_is_refused(batch, fault) ? -1 : 0;
}

/* Returns the same. */
static int push_message(struct push_batch *batch, uint32_t seq,
			struct fault *fault)
{
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	struct write_item *item;
	uint32_t uid;
	char *id;
	int ret;

	mail_index_lookup_uid(batch->view, seq, &uid);
	ret = bridge_map_entry(batch->sync->mbox, batch->view, seq, uid, &entry,
			       &buf, fault);
	if (ret > 0) {
		id = i_strndup(entry.id.p, entry.id.len);
		array_push_back(&batch->ids, &id);
		array_push_back(&batch->seqs, &seq);
		item = array_append_space(&batch->items);
		item->id = view_of(id);
	}
	buf_free(&buf);
	if (ret < 0)
		return -1;
	return array_count(&batch->items) < BRIDGE_WRITE_MAX ? 0 :
		push_ask(batch, fault);
}

/* count of them, with the same change. Returns the same. */
static int push_group(struct push_batch *batch, const struct bridge_push *push,
		      unsigned int count, struct fault *fault)
{
	uint32_t seq, seq2;
	int ret = 0;

	i_array_init(&batch->items, 64);
	i_array_init(&batch->seqs, 64);
	i_array_init(&batch->ids, 64);
	for (; ret == 0 && count > 0; push++, count--) {
		if (!mail_index_lookup_seq_range(batch->view, push->uid1,
						 push->uid2, &seq, &seq2))
			continue;
		for (; ret == 0 && seq <= seq2; seq++)
			ret = push_message(batch, seq, fault);
	}
	if (ret == 0)
		ret = push_ask(batch, fault);
	push_log(batch);
	push_clear(batch);
	array_free(&batch->ids);
	array_free(&batch->seqs);
	array_free(&batch->items);
	return ret;
}

/* --- all of them --------------------------------------------------------- */

/* What of a change is for the store; the rest was marked while nobody knew. */
static const char *
push_owned(struct bridge_sync *sync, const struct bridge_push *push)
{
	struct buf all = { NULL, 0, 0 }, owned = { NULL, 0, 0 };
	const char *change;

	flags_mark(sync->caps, view_of(push->change), &all, &owned);
	change = t_strdup(buf_str(&owned));
	buf_free(&all);
	buf_free(&owned);
	return change;
}

static int push_cmp(const struct bridge_push *a, const struct bridge_push *b)
{
	int ret = strcmp(a->change, b->change);

	return ret != 0 ? ret : a->uid1 < b->uid1 ? -1 : 1;
}

/* Returns 0, or -1 and a fault that is not one message's. */
static int push_all(struct bridge_sync *sync, struct mail_index_view *view,
		    bool had_marks, struct fault *fault)
{
	const struct bridge_push *push;
	unsigned int i, end, count;
	int ret = 0;

	array_sort(&sync->queue.pushes, push_cmp);
	push = array_get(&sync->queue.pushes, &count);
	for (i = 0; i < count; i = end) T_BEGIN {
		struct push_batch batch = {
			.sync = sync, .view = view, .had_marks = had_marks,
			.change = push[i].change,
			.owned = push_owned(sync, &push[i]),
		};

		for (end = i + 1; end < count &&
		     strcmp(push[end].change, push[i].change) == 0; end++) ;
		/* the mark of what is not the store's stays: it may be again */
		if (*batch.owned != '\0' && ret == 0)
			ret = push_group(&batch, push + i, end - i, fault);
	} T_END;
	return ret;
}

void bridge_sync_push(struct bridge_sync *sync, bool had_marks)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct mail_index_view *view;
	struct fault fault;
	int ret = 0;

	(void)mail_index_refresh(mbox->box.index);
	view = mail_index_view_open(mbox->box.index);
	sync->marks.left = FALSE;
	if (had_marks && idmap_load(mbox->map, &fault) == 0) {
		/* the new ones are among them */
		bridge_queue_free_pushes(sync);
		push_find_marks(sync);
	} else if (had_marks) {
		sync->marks.left = TRUE;
	}
	sync->marks.pushed = TRUE;
	if (mbox->wire_name == NULL) {
		/* the store does not have the mailbox at the moment */
		sync->marks.left = sync->marks.left ||
			array_is_created(&sync->queue.pushes);
	} else if (array_is_created(&sync->queue.pushes)) {
		sync->caps = session_caps(mbox->list->session, &fault);
		ret = sync->caps == NULL ? -1 :
			push_all(sync, view, had_marks, &fault);
	}
	if (ret < 0) {
		sync->marks.left = TRUE;
		/* said once: it is tried again with each synchronisation */
		if (!had_marks)
			e_error(mbox->box.event, "bridge: flags are kept here "
				"until the store takes them: %s", fault.log);
	}
	mail_index_view_close(&view);
	bridge_queue_free_pushes(sync);
}
