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
 *	never		the mark goes, and the flag goes back
 *
 * The header of the index says whether any mark is left, so that nobody has to
 * look for them in vain. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "str.h"
#include "bridge-fault.h"
#include "bridge-sync.h"

#include "flags.h"
#include "write.h"

/* The messages of one push. */
struct push_batch {
	struct bridge_sync *sync;
	struct mail_index_view *view;
	ARRAY(struct write_item) items;
	ARRAY_TYPE(uint32_t) uids;
	ARRAY(char *) ids;
	unsigned int failed;	/* never */
	struct fault fault;	/* of the first of them */
};

struct bridge_push *
bridge_sync_add_push(struct bridge_sync *sync, uint32_t uid1, uint32_t uid2,
		     const char *change)
{
	struct bridge_push *push;

	if (!array_is_created(&sync->pushes))
		i_array_init(&sync->pushes, 8);
	push = array_append_space(&sync->pushes);
	push->uid1 = uid1;
	push->uid2 = uid2;
	push->change = i_strdup(change);
	return push;
}

static void bridge_sync_free_pushes(struct bridge_sync *sync)
{
	struct bridge_push *push;

	if (!array_is_created(&sync->pushes))
		return;
	array_foreach_modifiable(&sync->pushes, push)
		i_free(push->change);
	array_free(&sync->pushes);
}

void bridge_sync_free_flags(struct bridge_sync *sync)
{
	struct bridge_flag_update *update;

	bridge_sync_free_pushes(sync);
	if (array_is_created(&sync->recs))
		array_free(&sync->recs);
	if (!array_is_created(&sync->updates))
		return;
	array_foreach_modifiable(&sync->updates, update)
		i_free(update->change);
	array_free(&sync->updates);
}

/* Marks that earlier sessions left: with the map loaded. */
static void push_find_marks(struct bridge_sync *sync)
{
	const struct idmap_known *known;
	struct bridge_push *last = NULL;
	size_t i, count;
	struct buf change = { NULL, 0, 0 };

	known = idmap_known(sync->mbox->map, &count);
	for (i = 0; i < count; i++) {
		buf_clear(&change);
		flags_marked(idmap_flags_text(sync->mbox->map,
				idmap_known_flags(sync->mbox->map, &known[i])),
			     &change);
		if (change.len == 0)
			last = NULL;
		else if (last != NULL &&
			 strcmp(last->change, buf_str(&change)) == 0)
			last->uid2 = known[i].uid;
		else
			last = bridge_sync_add_push(sync, known[i].uid,
						    known[i].uid,
						    buf_str(&change));
	}
	buf_free(&change);
}

/* --- one push -------------------------------------------------------------- */

static int push_ids(struct push_batch *batch, struct mail_index_view *view,
		    const struct bridge_push *push, struct fault *fault)
{
	struct bridge_mailbox *mbox = batch->sync->mbox;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	struct write_item *item;
	uint32_t seq, seq1, seq2, uid;
	char *id;
	int ret = 0;

	if (!mail_index_lookup_seq_range(view, push->uid1, push->uid2, &seq1,
					 &seq2))
		return 0;
	for (seq = seq1; seq <= seq2 && ret >= 0; seq++) {
		mail_index_lookup_uid(view, seq, &uid);
		ret = bridge_map_entry(mbox, view, seq, uid, &entry, &buf,
				       fault);
		if (ret <= 0)
			continue;
		id = i_strndup(entry.id.p, entry.id.len);
		array_push_back(&batch->ids, &id);
		array_push_back(&batch->uids, &uid);
		item = array_append_space(&batch->items);
		item->id = view_of(id);
	}
	buf_free(&buf);
	return ret < 0 ? -1 : 0;
}

static void push_lift(struct bridge_sync *sync, uint32_t uid1, uint32_t uid2,
		      const char *change)
{
	struct buf lift = { NULL, 0, 0 };

	flags_unmark(view_of(change), &lift);
	idmap_flags(sync->mbox->map, uid1, uid2, buf_str(&lift));
	buf_free(&lift);
}

/* The store will never take it. */
static void push_back_out(struct push_batch *batch, uint32_t uid,
			  const char *change, const struct fault *fault)
{
	struct buf back = { NULL, 0, 0 };

	flags_inverse(view_of(change), &back);
	if (batch->failed++ == 0)
		batch->fault = *fault;
	push_lift(batch->sync, uid, uid, change);
	idmap_flags(batch->sync->mbox->map, uid, uid, buf_str(&back));
	bridge_sync_update_flags(batch->sync, uid, buf_str(&back));
	buf_free(&back);
}

/* What the answers mean. Those that are done come in ranges. */
static void push_results(struct push_batch *batch, const char *change)
{
	struct bridge_sync *sync = batch->sync;
	const struct write_item *items;
	const uint32_t *uids;
	unsigned int i, count, first = 0;
	uint32_t seq;

	items = array_get(&batch->items, &count);
	uids = array_front(&batch->uids);
	for (i = 0; i < count; i++) {
		bool settled = items[i].status == WRITE_DONE ||
			items[i].status == WRITE_GONE;

		if (!settled) {
			if (fault_retry(items[i].fault.code) ==
			    FAULT_RETRY_NEVER)
				push_back_out(batch, uids[i], change,
					      &items[i].fault);
			else
				sync->marks_left = TRUE;
		}
		if (settled && items[i].flags_said &&
		    mail_index_lookup_seq(batch->view, uids[i], &seq))
			bridge_sync_listed_flags(sync, uids[i],
				bridge_sync_index_set(sync, batch->view, seq),
				view_of_buf(&items[i].flags));
		if (settled && (i + 1 == count ||
				(items[i + 1].status != WRITE_DONE &&
				 items[i + 1].status != WRITE_GONE)))
			push_lift(sync, uids[first], uids[i], change);
		if (!settled || i + 1 == count)
			first = i + 1;
	}
}

static void push_log(struct push_batch *batch, const char *change)
{
	if (batch->failed > 0)
		e_warning(batch->sync->mbox->box.event, "bridge: the change "
			  "%s of %u messages was refused for good, and is "
			  "taken back: %s", change, batch->failed,
			  batch->fault.log);
}

static int push_one(struct bridge_sync *sync, struct mail_index_view *view,
		    const struct bridge_push *push, const char *change,
		    struct fault *fault)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct push_batch batch = { .sync = sync, .view = view };
	unsigned int count;
	struct write_item *items;
	char *id;
	int ret;

	i_array_init(&batch.items, 64);
	i_array_init(&batch.uids, 64);
	i_array_init(&batch.ids, 64);
	ret = push_ids(&batch, view, push, fault);
	items = array_get_modifiable(&batch.items, &count);
	if (ret == 0 && count > 0) {
		mbox->list->busy_box = &mbox->box;
		ret = write_flags(mbox->list->session, mbox->wire_name,
				  change, items, count, fault);
		mbox->list->busy_box = NULL;
		push_results(&batch, push->change);
		push_log(&batch, push->change);
		write_items_free(items, count);
	}
	array_foreach_elem(&batch.ids, id)
		i_free(id);
	array_free(&batch.ids);
	array_free(&batch.uids);
	array_free(&batch.items);
	return ret;
}

/* --- all of them ----------------------------------------------------------- */

bool bridge_sync_has_marks(struct bridge_mailbox *mbox,
			   struct mail_index_view *view)
{
	const struct bridge_index_header *hdr;
	const void *data;
	size_t size;

	mail_index_get_header_ext(view, mbox->ext_id, &data, &size);
	hdr = data;
	return size != sizeof(*hdr) || hdr->marks != 0;
}

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

/* Returns 0, or -1 and a fault that is not one message's. */
static int push_all(struct bridge_sync *sync, struct mail_index_view *view,
		    struct fault *fault)
{
	struct bridge_push *push;
	const char *owned;
	int ret = 0;

	array_foreach_modifiable(&sync->pushes, push) T_BEGIN {
		owned = push_owned(sync, push);
		if (*owned == '\0')
			push_lift(sync, push->uid1, push->uid2, push->change);
		else if (ret < 0)
			sync->marks_left = TRUE;
		else
			ret = push_one(sync, view, push, owned, fault);
		/* refused for good: the next one may not be */
		if (ret < 0 && fault_retry(fault->code) == FAULT_RETRY_NEVER)
			ret = 0;
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
	sync->marks_left = FALSE;
	if (had_marks && idmap_load(mbox->map, &fault) == 0) {
		/* the new ones are among them */
		bridge_sync_free_pushes(sync);
		push_find_marks(sync);
	} else if (had_marks) {
		sync->marks_left = TRUE;
	}
	sync->pushed = TRUE;
	if (array_is_created(&sync->pushes)) {
		sync->caps = session_caps(mbox->list->session, &fault);
		ret = sync->caps == NULL ? -1 :
			push_all(sync, view, &fault);
		if (ret < 0) {
			sync->marks_left = TRUE;
			e_error(mbox->box.event, "bridge: flags are kept here "
				"until the store takes them: %s", fault.log);
		}
	}
	mail_index_view_close(&view);
	bridge_sync_free_pushes(sync);
}
