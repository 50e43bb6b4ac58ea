/* Synchronising a mailbox.
 *
 *	1. the mailbox's own lock (that of the map): no other session lists,
 *	   so no list can be older than another session's change
 *	2. LIST, the whole dialogue. Each line is reconciled with what the map
 *	   knows, and what it means is staged there (bridge-sync-list.c); half
 *	   a list is rolled back
 *	3. the index lock, for the commit only: the map is committed and synced,
 *	   then the index (bridge-sync-index.c)
 *
 * A crash between the two commits leaves a map that knows more than the index;
 * the next synchronisation brings the index up to it. */
#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "time-util.h"
#include "bridge-ahead.h"
#include "bridge-fault.h"
#include "bridge-identity.h"
#include "bridge-kept.h"
#include "bridge-lock.h"
#include "bridge-mailbox.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"
#include "bridge-watch.h"

/* Who only looks waits so long for those who write, and then gets what is known. */
#define READER_WAIT_MSECS 500

/* Whether the client may be shown what is known, as another session's APPEND, which
   may take the store minutes, has the lock: it looks, and will look again; it has
   changed nothing that would wait meanwhile; and messages were listed before. */
static bool
bridge_sync_may_postpone(struct bridge_mailbox *mbox,
			 enum mailbox_sync_flags flags)
{
	struct mailbox *box = &mbox->box;
	struct bridge_index_header hdr;

	if (box->storage->callbacks.notify_ok == NULL || mbox->flagged ||
	    mbox->watch != NULL || box->delete_sync_check || box->deleting ||
	    (flags & MAILBOX_SYNC_FLAG_FORCE_RESYNC) != 0)
		return FALSE;
	return bridge_map_latest_header(mbox, &hdr) && hdr.listed_uid > 1;
}

/* For one synchronisation. Of what was not shown yet there may be another one, when it
   is moved. */
static enum bridge_lock
bridge_sync_lock_or_postpone(struct bridge_mailbox *mbox,
			     enum mailbox_sync_flags flags)
{
	unsigned int wait_msecs = mbox->list->set.lock_timeout_msecs;
	bool may = bridge_sync_may_postpone(mbox, flags);
	enum bridge_lock lock;
	struct fault fault;

	lock = bridge_lock_try(mbox, may ?
		I_MIN(wait_msecs, READER_WAIT_MSECS) : wait_msecs, &fault);
	if (lock == BRIDGE_LOCK_MOVED && mbox->shown) {
		(void)bridge_lock_moved(mbox);
		return BRIDGE_LOCK_FAILED;
	}
	if (lock == BRIDGE_LOCK_BUSY && !may) {
		(void)bridge_fault_box(&mbox->box, &fault);
		return BRIDGE_LOCK_FAILED;
	}
	return lock;
}

/* --- the map ------------------------------------------------------------- */

static void bridge_sync_start(struct bridge_sync *sync,
			      struct bridge_mailbox *mbox)
{
	i_zero(sync);
	sync->mbox = mbox;
	sync->now = time(NULL);
}

static void bridge_sync_deinit(struct bridge_sync *sync)
{
	bridge_sync_list_free(sync);
	bridge_queue_free(sync);
}

/* --- the dialogue -------------------------------------------------------- */

/* Whether all that is known was in a list. */
static bool bridge_sync_is_listed(struct bridge_mailbox *mbox)
{
	struct mail_index_view *view = mail_index_view_open(mbox->box.index);
	uint32_t uid = bridge_map_listed_uid(mbox, view);

	mail_index_view_close(&view);
	return uid == idmap_header(mbox->map)->next_uid;
}

/* When the mailbox was opened just now, by this very command, LIST may have told
   its state: then there is nothing to ask. */
static bool bridge_sync_is_unchanged(struct bridge_sync *sync)
{
	struct bridge_mailbox *mbox = sync->mbox;
	const char *state = idmap_header(mbox->map)->state;

	return mbox->open_state != NULL && !sync->force &&
		!mbox->relist && !mbox->id_from_ok && strcmp(state, "-") != 0 &&
		timeval_cmp(&mbox->list->boxes_timeval,
			    &ioloop_timeval) == 0 &&
		strcmp(mbox->open_state, state) == 0 &&
		bridge_sync_is_listed(mbox);
}

/* Another synchronisation of the same kind. */
static void bridge_sync_start_again(const struct bridge_sync *sync,
				    struct bridge_sync *anew)
{
	bridge_sync_start(anew, sync->mbox);
	anew->caps = sync->caps;
	anew->force = sync->force;
	anew->crlf = sync->crlf;
}

/* It takes the place of the one before, and reads the whole list. Returns 0, or
   -1 and a fault. */
static int
bridge_sync_list_anew(struct bridge_sync *sync, const struct bridge_sync *anew,
		      struct fault *fault)
{
	bridge_sync_deinit(sync);
	*sync = *anew;
	return bridge_sync_read_list(sync, "-", fault);
}

/* Forget the list that was read, and read the whole list. Returns the same. */
static int bridge_sync_list_again(struct bridge_sync *sync, struct fault *fault)
{
	struct bridge_sync anew;

	bridge_sync_start_again(sync, &anew);
	idmap_rollback(sync->mbox->map);
	return bridge_sync_list_anew(sync, &anew, fault);
}

/* The store gives UIDs under another uidvalidity than the map has: nothing of it
   holds any more. A new map; a mailbox that was never listed is still the one
   whose GUID was told. Returns the same. */
static int bridge_sync_begin_anew(struct bridge_sync *sync, struct fault *fault)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct bridge_sync anew;
	guid_128_t guid;

	bridge_sync_start_again(sync, &anew);
	idmap_rollback(mbox->map);
	if (idmap_header(mbox->map)->next_uid == 1)
		memcpy(guid, idmap_header(mbox->map)->guid, sizeof(guid));
	else
		guid_128_generate(guid);
	if (bridge_adds_carry(&anew, fault) < 0 ||
	    idmap_create(mbox->map, sync->uids.new_uidvalidity, guid, 1,
			 fault) < 0 ||
	    idmap_open(mbox->map, fault) < 0) {
		bridge_sync_deinit(&anew);
		return -1;
	}
	return bridge_sync_list_anew(sync, &anew, fault);
}

/* The list was that of the mailbox that the map is of: another one may have its name by
   now. Returns 0, or -1 and a fault, or with sync->other. */
static int bridge_sync_is_same(struct bridge_sync *sync, struct fault *fault)
{
	int ret = bridge_identity_check(sync->mbox, sync->list.end.box_id,
					fault);

	sync->other = ret == 0;
	return ret > 0 ? 0 : -1;
}

/* Whether there is a store to ask for a list, and it may be asked now. */
static bool bridge_sync_may_list(struct bridge_mailbox *mbox, bool force)
{
	return mbox->wire_name != NULL &&
		(force || reconcile_may_list(idmap_brake(mbox->map), time(NULL),
					     mbox->list->set.brake_pause_secs));
}

/* Returns 1 if the backend was asked, 0 if there is no need for it, -1 and a
   fault. */
static int bridge_sync_list(struct bridge_sync *sync, struct fault *fault)
{
	struct bridge_mailbox *mbox = sync->mbox;
	const struct caps *caps;
	const char *state;

	if (bridge_sync_is_unchanged(sync))
		return 0;
	caps = session_caps(mbox->list->session, fault);
	if (caps == NULL)
		return -1;
	sync->caps = caps;
	sync->crlf = caps->crlf;
	/* a size that differs is for a full list to settle */
	state = caps->delta && !sync->force && !mbox->relist ?
		idmap_header(mbox->map)->state : "-";
	if (bridge_sync_read_list(sync, state, fault) < 0 &&
	    (sync->uids.new_uidvalidity == 0 ||
	     bridge_sync_is_same(sync, fault) < 0 ||
	     bridge_sync_begin_anew(sync, fault) < 0))
		return -1;
	if (sync->list.again && bridge_sync_list_again(sync, fault) < 0)
		return -1;
	if (bridge_sync_same_keeps(mbox, caps, fault) < 0 ||
	    bridge_sync_is_same(sync, fault) < 0)
		return -1;
	mbox->relist = FALSE;
	bridge_sync_ask_brake(sync);
	return 1;
}

static void bridge_sync_log_brake(struct bridge_sync *sync)
{
	struct bridge_mailbox *mbox = sync->mbox;

	if (sync->list.rec == NULL || reconcile_held(sync->list.rec) == 0)
		return;
	e_warning(mbox->box.event, "bridge: %s: %zu of %zu messages are "
		  "missing from its list of %s: they are kept until a list at "
		  "least %u s later lacks them too, or doveadm force-resync",
		  mbox->list->set.argv[0], reconcile_held(sync->list.rec),
		  sync->known.count, mbox->wire_name,
		  mbox->list->set.brake_pause_secs);
}

/* One comparison of map and index, with a list or without. Locked. Returns 0; 1 if
   it is another mailbox than was opened: nothing was shown of it yet, and the right
   one is remembered; -1 with the storage's error set. */
static int bridge_sync_pass(struct bridge_sync *sync, bool list)
{
	struct bridge_mailbox *mbox = sync->mbox;
	struct fault fault;

	if ((list && bridge_sync_list(sync, &fault) < 0) ||
	    (!sync->known.begun && bridge_sync_begin(sync, FALSE, &fault) < 0))
		return sync->other ? 1 : bridge_fault_box(&mbox->box, &fault);
	bridge_sync_log_brake(sync);
	if (bridge_sync_index(sync) < 0)
		return -1;
	if (idmap_wants_compaction(mbox->map) &&
	    idmap_compact(mbox->map, TRUE, &fault) < 0)
		e_error(mbox->box.event, "bridge: %s", fault.log);
	return 0;
}

/* What is to be pushed goes to the store, then what came of that to map and index.
   Locked. Returns the same. */
static int bridge_sync_push_pass(struct bridge_sync *sync, bool marks)
{
	struct bridge_sync outcome;
	int ret;

	bridge_sync_push(sync, marks);
	bridge_sync_start(&outcome, sync->mbox);
	outcome.queue.updates = sync->queue.updates;
	outcome.caps = sync->caps;
	outcome.marks.pushed = TRUE;
	outcome.marks.left = sync->marks.left;
	i_zero(&sync->queue.updates);
	ret = bridge_sync_pass(&outcome, FALSE);
	bridge_sync_deinit(&outcome);
	return ret;
}

/* What clients did to flags: to the map and the index, then to the store. Locked.
   Returns the same. */
static int bridge_sync_flags(struct bridge_mailbox *mbox, bool marks)
{
	struct bridge_sync sync;
	int ret;

	bridge_sync_start(&sync, mbox);
	ret = bridge_sync_pass(&sync, FALSE);
	if (ret == 0 && (marks || array_is_created(&sync.queue.pushes)))
		ret = bridge_sync_push_pass(&sync, marks);
	bridge_sync_deinit(&sync);
	return ret;
}

/* Locked, with the map open. */
static int
bridge_sync_locked(struct bridge_mailbox *mbox, bool full, bool force)
{
	struct mailbox *box = &mbox->box;
	struct bridge_sync sync;
	struct fault fault;
	bool asks, marks = bridge_map_index_has_marks(mbox);
	int keeps = 0, ret = 0;

	/* the index is being marked as deleted, which one round of Dovecot's
	   does, and the mailbox goes: nothing is pushed or listed any more */
	if (box->delete_sync_check) {
		bridge_sync_start(&sync, mbox);
		ret = bridge_sync_pass(&sync, FALSE);
		bridge_sync_deinit(&sync);
		return ret;
	}
	asks = full && bridge_sync_may_list(mbox, force);
	if (asks)
		keeps = bridge_sync_check_keeps(mbox, &fault);
	marks = marks || keeps > 0;
	if (marks || mail_index_sync_have_any(box->index,
					index_storage_get_sync_flags(box)))
		ret = bridge_sync_flags(mbox, marks);
	if (ret == 0 && keeps < 0)
		ret = bridge_fault_box(box, &fault);
	if (ret == 0 && full) {
		bridge_sync_start(&sync, mbox);
		sync.force = force;
		ret = bridge_sync_pass(&sync, asks);
		bridge_sync_deinit(&sync);
	}
	return ret;
}

static int
bridge_sync_run(struct bridge_mailbox *mbox, enum mailbox_sync_flags flags,
		bool full)
{
	bool force = (flags & MAILBOX_SYNC_FLAG_FORCE_RESYNC) != 0;
	enum bridge_lock lock;
	int ret;

	if (full)
		bridge_ahead_flush(mbox);
	if (force)
		bridge_kept_flush(mbox);
	if ((force && bridge_mailbox_believe(mbox) < 0) ||
	    (full && bridge_mailbox_find(mbox) < 0))
		return -1;
	lock = force && mbox->wire_name == NULL ?
		bridge_lock_opened(mbox) :
		bridge_sync_lock_or_postpone(mbox, flags);
	mbox->postponed = lock == BRIDGE_LOCK_BUSY;
	if (lock != BRIDGE_LOCKED)
		return lock == BRIDGE_LOCK_FAILED ? -1 : lock == BRIDGE_LOCK_MOVED;
	ret = bridge_map_open(mbox, force);
	if (ret == 0)
		ret = bridge_sync_locked(mbox, full, force);
	if (ret == 0)
		mbox->flagged = FALSE;
	idmap_unlock(mbox->map);
	return ret;
}

/* --- for transactions ---------------------------------------------------- */

int bridge_sync_lock_in_step(struct bridge_mailbox *mbox)
{
	struct mail_index_view *view;
	struct bridge_sync sync;
	bool in_step;
	int ret;

	if (bridge_lock_take(mbox) < 0)
		return -1;
	ret = bridge_map_open(mbox, FALSE);
	if (ret == 0) {
		(void)mail_index_refresh(mbox->box.index);
		view = mail_index_view_open(mbox->box.index);
		in_step = bridge_map_is_in_step(mbox->map, mbox->ext_id, view);
		mail_index_view_close(&view);
		if (!in_step) {
			bridge_sync_start(&sync, mbox);
			ret = bridge_sync_pass(&sync, FALSE);
			bridge_sync_deinit(&sync);
		}
	}
	if (ret < 0)
		idmap_unlock(mbox->map);
	return ret;
}

int bridge_sync_list_now(struct bridge_mailbox *mbox)
{
	struct bridge_sync sync;
	struct fault fault;
	int ret;

	if (!bridge_sync_may_list(mbox, FALSE)) {
		mail_storage_set_error(mbox->box.storage, MAIL_ERROR_TEMP,
				       "The mailbox cannot be listed now");
		return -1;
	}
	if (bridge_sync_check_keeps(mbox, &fault) < 0)
		return bridge_fault_box(&mbox->box, &fault);
	/* what the store said of it when it was opened is old */
	i_free_and_null(mbox->open_state);
	bridge_sync_start(&sync, mbox);
	ret = bridge_sync_pass(&sync, TRUE);
	bridge_sync_deinit(&sync);
	return ret == 0 ? 0 : -1;
}

int bridge_sync_change_flags(struct bridge_mailbox *mbox,
			     const ARRAY_TYPE(bridge_flag_update) *changes)
{
	const struct bridge_flag_update *change;
	struct bridge_sync sync;
	struct fault fault;
	int ret;

	bridge_sync_start(&sync, mbox);
	ret = bridge_sync_begin(&sync, FALSE, &fault);
	if (ret < 0) {
		(void)bridge_fault_box(&mbox->box, &fault);
	} else {
		array_foreach(changes, change) {
			bridge_sync_take_change(&sync, change->uid, change->uid,
						change->change);
			bridge_sync_update_flags(&sync, change->uid,
						 change->change);
		}
		ret = bridge_sync_pass(&sync, FALSE);
	}
	bridge_sync_deinit(&sync);
	return ret;
}

void bridge_sync_push_flags(struct bridge_mailbox *mbox,
			    const ARRAY_TYPE(bridge_flag_update) *changes,
			    bool had_marks)
{
	const struct bridge_flag_update *change;
	struct bridge_sync sync;

	bridge_sync_start(&sync, mbox);
	array_foreach(changes, change)
		bridge_queue_push(&sync, change->uid, change->uid,
				  change->change);
	(void)bridge_sync_push_pass(&sync, had_marks);
	bridge_sync_deinit(&sync);
}

int bridge_sync_gone(struct bridge_mailbox *mbox,
		     const ARRAY_TYPE(const_string) *ids)
{
	struct bridge_sync sync;
	struct fault fault;
	int ret;

	bridge_sync_start(&sync, mbox);
	ret = bridge_sync_stage_gone(&sync, ids, &fault);
	if (ret < 0)
		(void)bridge_fault_box(&mbox->box, &fault);
	else
		ret = bridge_sync_pass(&sync, FALSE);
	bridge_sync_deinit(&sync);
	return ret;
}

static int bridge_sync_restless(struct bridge_mailbox *mbox)
{
	struct fault fault;

	(void)fault_set(&fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
		"%s: gave the mailbox %s another id in each of %d lists",
		mbox->list->set.argv[0], mbox->wire_name,
		BRIDGE_SYNC_REOPEN_MAX + 1);
	return bridge_fault_box(&mbox->box, &fault);
}

/* Whether the index has anything new. */
static bool bridge_sync_has_any(struct bridge_mailbox *mbox)
{
	struct mailbox *box = &mbox->box;

	(void)mail_index_refresh(box->index);
	return mail_index_sync_have_any(box->index,
					index_storage_get_sync_flags(box));
}

struct mailbox_sync_context *
bridge_sync_init(struct mailbox *box, enum mailbox_sync_flags flags)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	unsigned int i;
	bool full;
	int ret = 0;

	if (!box->opened && mailbox_open(box) < 0)
		return index_mailbox_sync_init(box, flags, TRUE);
	full = (index_mailbox_want_full_sync(box, flags) &&
		bridge_watch_wants_list(mbox)) || mbox->relist ||
		mbox->postponed ||
		(flags & MAILBOX_SYNC_FLAG_FORCE_RESYNC) != 0;
	if (bridge_lock_place(mbox) == BRIDGE_PLACE_OTHER)
		ret = mbox->shown ? bridge_lock_moved(mbox) : 1;
	else if (full || bridge_sync_has_any(mbox))
		ret = bridge_sync_run(mbox, flags, full);
	for (i = 0; ret > 0 && i < BRIDGE_SYNC_REOPEN_MAX; i++) {
		if (bridge_identity_reopen(mbox) < 0)
			return index_mailbox_sync_init(box, flags, TRUE);
		ret = bridge_sync_run(mbox, flags, full);
	}
	if (ret > 0)
		ret = bridge_sync_restless(mbox);
	if (ret == 0)
		mbox->shown = TRUE;
	bridge_watch_synced(mbox, ret == 0);
	i_free_and_null(mbox->open_state);
	/* nobody has asked, and Dovecot would notify no more (cmd-idle.c,
	   2.3.19): it stands in the log, and the store is asked again */
	if (mbox->watch != NULL && !mailbox_is_inconsistent(box))
		ret = 0;
	return index_mailbox_sync_init(box, flags, ret < 0);
}
