#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "time-util.h"
#include "mail-copy.h"
#include "bridge-fault.h"
#include "bridge-paths.h"
#include "bridge-identity.h"
#include "bridge-storage.h"
#include "bridge-ahead.h"
#include "bridge-kept.h"
#include "bridge-box.h"
#include "bridge-search.h"
#include "bridge-transaction.h"
#include "bridge-watch.h"

#include <sys/stat.h>

struct mailbox *
bridge_mailbox_alloc(struct mail_storage *storage, struct mailbox_list *list,
		     const char *vname, enum mailbox_flags flags)
{
	struct index_mailbox_context *ibox;
	struct bridge_mailbox *mbox;
	pool_t pool;

	pool = pool_alloconly_create("bridge mailbox", 1024 * 4);
	mbox = p_new(pool, struct bridge_mailbox, 1);
	mbox->box = bridge_mailbox;
	mbox->box.pool = pool;
	mbox->box.storage = storage;
	mbox->box.list = list;
	mbox->box.mail_vfuncs = &bridge_mail_vfuncs;
	mbox->list = BRIDGE_LIST(list);
	/* lazy_expunge would do without an index: but UIDs are kept, and what is
	   kept under them stands there */
	index_storage_mailbox_alloc(&mbox->box, vname, flags &
				    ENUM_NEGATE(MAILBOX_FLAG_NO_INDEX_FILES),
				    BRIDGE_INDEX_PREFIX);
	/* Dovecot goes on in memory when the index cannot be written, and answers
	   OK: for us what was changed there is lost with the session */
	ibox = INDEX_STORAGE_CONTEXT(&mbox->box);
	ibox->index_flags |= MAIL_INDEX_OPEN_FLAG_NEVER_IN_MEMORY;
	return &mbox->box;
}

/* What the backend lists under this name. Returns 0, -1 with the storage's
   error set. */
static int
bridge_mailbox_lookup(struct bridge_mailbox *mbox,
		      const struct listing_box **box_r)
{
	if (bridge_list_lookup(mbox->list, mbox->box.name, box_r) < 0) {
		mail_storage_copy_list_error(mbox->box.storage,
					     mbox->box.list);
		return -1;
	}
	return 0;
}

static bool bridge_box_is_selectable(const struct listing_box *lbox)
{
	return (bridge_list_box_flags(lbox) &
		(MAILBOX_NOSELECT | MAILBOX_NONEXISTENT)) == 0;
}

static bool
bridge_mailbox_has_children(struct bridge_mailbox *mbox)
{
	const char *prefix = t_strconcat(mbox->box.name, "/", NULL);
	const struct listing_boxes *boxes = mbox->list->boxes;
	size_t i;

	for (i = 0; boxes != NULL && i < boxes->count; i++) {
		if (*mbox->box.name == '\0' ||
		    str_begins(boxes->boxes[i].name, prefix))
			return TRUE;
	}
	return FALSE;
}

static int
bridge_mailbox_exists(struct mailbox *box, bool auto_boxes,
		      enum mailbox_existence *existence_r)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	const struct listing_box *lbox;

	if (auto_boxes && mailbox_is_autocreated(box)) {
		*existence_r = MAILBOX_EXISTENCE_SELECT;
		return 0;
	}
	/* the INBOX, which is always there, and the namespace's own prefix are
	   looked for with each list, which must not wait for the store
	   (bridge_list_show) */
	lbox = NULL;
	if (*box->name == '\0' || box->inbox_user)
		lbox = mbox->list->boxes == NULL ? NULL :
			listing_box_find(mbox->list->boxes, view_of(box->name));
	else if (bridge_mailbox_lookup(mbox, &lbox) < 0)
		return -1;
	if (lbox != NULL)
		*existence_r = bridge_box_is_selectable(lbox) ?
			MAILBOX_EXISTENCE_SELECT : MAILBOX_EXISTENCE_NOSELECT;
	else if (box->inbox_user)
		*existence_r = MAILBOX_EXISTENCE_SELECT;
	else
		*existence_r = bridge_mailbox_has_children(mbox) ?
			MAILBOX_EXISTENCE_NOSELECT : MAILBOX_EXISTENCE_NONE;
	return 0;
}

static int bridge_mailbox_open_map(struct bridge_mailbox *mbox)
{
	struct mailbox *box = &mbox->box;
	const char *dir;

	if (mailbox_create_missing_dir(box, MAILBOX_LIST_PATH_TYPE_CONTROL) < 0)
		return -1;
	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_CONTROL,
				&dir) <= 0) {
		mailbox_set_critical(box, "bridge: no folder for the map");
		return -1;
	}
	mbox->map = idmap_init(t_strconcat(dir, "/"BRIDGE_MAP_NAME, NULL));
	return 0;
}

static const enum mailbox_list_path_type folder_types[] = {
	MAILBOX_LIST_PATH_TYPE_CONTROL,
	MAILBOX_LIST_PATH_TYPE_INDEX,
};

/* Which folder it is kept in now: 0 and 0 if there is none. Returns 0, -1 if that cannot
   be told, with the storage's error set: the store is asked for the mailbox's id. */
static int
bridge_mailbox_find_folder(struct bridge_mailbox *mbox,
			   enum mailbox_list_path_type type,
			   struct bridge_folder_id *id_r)
{
	const char *path;
	struct stat st;

	i_zero(id_r);
	if (mailbox_get_path_to(&mbox->box, type, &path) <= 0)
		return -1;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		mailbox_set_critical(&mbox->box, "stat(%s) failed: %m", path);
		return -1;
	}
	id_r->dev = st.st_dev;
	id_r->ino = st.st_ino;
	return 0;
}

static int bridge_mailbox_find_folders(struct bridge_mailbox *mbox)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(folder_types); i++) {
		if (bridge_mailbox_find_folder(mbox, folder_types[i],
					       &mbox->folder_ids[i]) < 0)
			return -1;
	}
	return 0;
}

enum bridge_place bridge_mailbox_place(struct bridge_mailbox *mbox)
{
	enum bridge_place place = BRIDGE_PLACE_SAME;
	struct bridge_folder_id now;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(folder_types); i++) {
		if (bridge_mailbox_find_folder(mbox, folder_types[i], &now) < 0)
			return BRIDGE_PLACE_UNKNOWN;
		if (now.ino == 0)
			place = I_MAX(place, BRIDGE_PLACE_NONE);
		else if (now.dev != mbox->folder_ids[i].dev ||
			 now.ino != mbox->folder_ids[i].ino)
			place = BRIDGE_PLACE_OTHER;
	}
	return place;
}

/* Whether the store has the mailbox at the moment. If it does not, clients are
   shown what is known of it, read-only (boxes.c). */
static bool bridge_box_is_there(const struct listing_box *lbox)
{
	return lbox != NULL && lbox->missing_since == 0;
}

/* What the backend says of the mailbox. */
static void
bridge_mailbox_take(struct bridge_mailbox *mbox,
		    const struct listing_box *lbox)
{
	mbox->wire_name = p_strdup(mbox->box.pool, lbox->wire);
	mbox->box_id = p_strdup(mbox->box.pool, lbox->id);
	mbox->ro = lbox->ro;
}

/* Whether the store makes mailboxes. */
static bool bridge_mailbox_makes(struct bridge_mailbox *mbox)
{
	struct fault fault;
	const struct caps *caps = session_caps(mbox->list->session, &fault);

	return caps != NULL && caps->verbs[VERB_CREATE];
}

static int
bridge_mailbox_check(struct bridge_mailbox *mbox,
		     const struct listing_box *lbox)
{
	struct mailbox *box = &mbox->box;

	if (lbox == NULL && box->inbox_user) {
		/* the store has no inbox: an empty one, that takes nothing */
		mbox->ro = TRUE;
		return 0;
	}
	/* not NOTFOUND: Dovecot would try to make it, and take that for an
	   internal error */
	if (lbox == NULL && mailbox_is_autocreated(box) &&
	    !bridge_mailbox_makes(mbox))
		return bridge_refuse(box, "it has no such mailbox");
	if (lbox == NULL) {
		mail_storage_set_error(box->storage, MAIL_ERROR_NOTFOUND,
			T_MAIL_ERR_MAILBOX_NOT_FOUND(box->vname));
		return -1;
	}
	if (!bridge_box_is_selectable(lbox)) {
		mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
				       "Mailbox isn't selectable");
		return -1;
	}
	if (!bridge_box_is_there(lbox)) {
		mbox->ro = TRUE;
		return 0;
	}
	bridge_mailbox_take(mbox, lbox);
	if (lbox->state != NULL &&
	    timeval_cmp(&mbox->list->boxes_timeval, &ioloop_timeval) == 0) {
		i_free(mbox->open_state);
		mbox->open_state = i_strdup(lbox->state);
	}
	return 0;
}

int bridge_mailbox_believe(struct bridge_mailbox *mbox)
{
	if (mbox->wire_name != NULL ||
	    bridge_list_refresh(mbox->list, TRUE) == 0)
		return 0;
	mail_storage_copy_list_error(mbox->box.storage, mbox->box.list);
	return -1;
}

int bridge_mailbox_find(struct bridge_mailbox *mbox)
{
	const struct listing_box *lbox;
	struct fault fault;

	if (mbox->wire_name != NULL)
		return 1;
	if (bridge_mailbox_lookup(mbox, &lbox) < 0)
		return -1;
	if (!bridge_box_is_there(lbox) || !bridge_box_is_selectable(lbox))
		return 0;
	bridge_mailbox_take(mbox, lbox);
	if (bridge_identity_check_listed(mbox, &fault) < 0) {
		mbox->wire_name = NULL;
		return bridge_fault_box(&mbox->box, &fault);
	}
	return 1;
}

static int bridge_mailbox_open(struct mailbox *box)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	const struct listing_box *lbox;

	if (bridge_mailbox_lookup(mbox, &lbox) < 0 ||
	    bridge_mailbox_check(mbox, lbox) < 0 ||
	    bridge_identity_open(mbox) < 0)
		return -1;
	if (index_storage_mailbox_open(box, FALSE) < 0)
		return -1;
	if (bridge_mailbox_open_map(mbox) < 0 ||
	    bridge_mailbox_find_folders(mbox) < 0) {
		if (mbox->map != NULL)
			idmap_deinit(&mbox->map);
		index_storage_mailbox_close(box);
		box->opened = FALSE;
		return -1;
	}
	mbox->ext_id = mail_index_ext_register(box->index, "bridge",
		sizeof(struct bridge_index_header),
		sizeof(struct bridge_index_record), sizeof(uint32_t));
	mbox->size_ext_id = mail_index_ext_register(box->index, "bridge-size",
		0, sizeof(uint32_t), sizeof(uint32_t));
	mbox->losses_ext_id = mail_index_ext_register(box->index,
		"bridge-losses", 0, 0, 0);
	mbox->cache_ext_id = mail_index_ext_register(box->index, "bridge-cache",
		sizeof(uint32_t), 0, 0);
	return 0;
}

static void bridge_mailbox_close(struct mailbox *box)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);

	bridge_watch_stop(mbox);
	if (mbox->map != NULL)
		idmap_deinit(&mbox->map);
	i_free_and_null(mbox->open_state);
	if (array_is_created(&mbox->spared))
		array_free(&mbox->spared);
	bridge_ahead_flush(mbox);
	bridge_kept_flush(mbox);
	index_storage_mailbox_close(box);
}

int bridge_refuse(struct mailbox *box, const char *what)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_PERM,
		t_strdup_printf("This mail store is read-only: %s", what));
	return -1;
}

int bridge_refuse_uids(struct mailbox *box)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
			       "This mail store gives its own UIDs");
	return -1;
}

int bridge_mailbox_may_write(struct bridge_mailbox *mbox, enum verb_id verb,
			     const char *what, const struct caps **caps_r)
{
	struct fault fault;
	int ret;

	*caps_r = session_caps(mbox->list->session, &fault);
	if (*caps_r == NULL)
		return bridge_fault_box(&mbox->box, &fault);
	ret = bridge_mailbox_find(mbox);
	if (ret == 0 && (*caps_r)->verbs[VERB_CREATE])
		ret = bridge_mailbox_make(mbox);
	if (ret < 0)
		return -1;
	if (ret == 0 || mbox->ro ||
	    (verb != VERB_COUNT && !(*caps_r)->verbs[verb]))
		return bridge_refuse(&mbox->box, what);
	return 0;
}

bool bridge_mailbox_removes(struct bridge_mailbox *mbox)
{
	struct fault fault;
	const struct caps *caps = session_caps(mbox->list->session, &fault);

	/* while no copy starts, the attempt says why it fails */
	return (caps == NULL || caps->verbs[VERB_EXPUNGE]) && !mbox->ro;
}

bool bridge_mailbox_fsyncs(const struct bridge_mailbox *mbox)
{
	return mbox->box.storage->set->parsed_fsync_mode != FSYNC_MODE_NEVER;
}

static bool bridge_mailbox_is_readonly(struct mailbox *box)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);

	return mbox->ro || index_storage_is_readonly(box);
}

/* A client that has the mailbox open is told to log in again: its UIDs mean
   nothing any more. */
static bool bridge_mailbox_is_inconsistent(struct mailbox *box)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);

	return mbox->replaced || index_storage_is_inconsistent(box);
}

static int
bridge_mailbox_get_status(struct mailbox *box,
			  enum mailbox_status_items items,
			  struct mailbox_status *status_r)
{
	if (index_storage_get_status(box, items, status_r) < 0)
		return -1;
	status_r->have_guids = TRUE;
	return 0;
}

/* The mailbox's GUID is the map's, random and made once. */
static int
bridge_mailbox_get_guid(struct bridge_mailbox *mbox, guid_128_t guid_r)
{
	struct mailbox *box = &mbox->box;
	struct fault fault;
	int ret;

	if (!box->opened && mailbox_open(box) < 0)
		return -1;
	ret = idmap_open(mbox->map, &fault);
	if (ret == 0) {
		if (bridge_sync_lock(mbox) < 0)
			return -1;
		ret = bridge_sync_open_map(mbox, FALSE) < 0 ? -2 : 1;
		idmap_unlock(mbox->map);
	}
	if (ret == -1)
		return bridge_fault_box(box, &fault);
	if (ret < 0)
		return -1;
	memcpy(guid_r, idmap_header(mbox->map)->guid, GUID_128_SIZE);
	return 0;
}

static int
bridge_mailbox_get_metadata(struct mailbox *box,
			    enum mailbox_metadata_items items,
			    struct mailbox_metadata *metadata_r)
{
	if (items != MAILBOX_METADATA_GUID &&
	    index_mailbox_get_metadata(box, items &
				       ENUM_NEGATE(MAILBOX_METADATA_GUID),
				       metadata_r) < 0)
		return -1;
	if ((items & MAILBOX_METADATA_GUID) != 0)
		return bridge_mailbox_get_guid(BRIDGE_MAILBOX(box),
					       metadata_r->guid);
	return 0;
}

/* Changes by other sessions of this host show in the index log, those in the
   store are bridge-watch's. */
static void bridge_notify_changes(struct mailbox *box)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	const char *dir;

	if (box->notify_callback == NULL) {
		bridge_watch_stop(mbox);
		mailbox_watch_remove_all(box);
		return;
	}
	if (mbox->watch != NULL)
		return;
	bridge_watch_start(mbox);
	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_INDEX, &dir) <= 0)
		return;
	mailbox_watch_add(box,
		t_strconcat(dir, "/"BRIDGE_INDEX_PREFIX".log", NULL));
	/* imap-hibernate would watch that log alone, and the client would not
	   hear of the store. A file that is not there, and never will be, keeps
	   it from taking the client over (mailbox-watch.c, 2.3.19). */
	mailbox_watch_add(box, t_strconcat(dir, "/"BRIDGE_AWAKE_NAME, NULL));
}

struct mailbox bridge_mailbox = {
	.v = {
		.is_readonly = bridge_mailbox_is_readonly,
		.enable = index_storage_mailbox_enable,
		.exists = bridge_mailbox_exists,
		.open = bridge_mailbox_open,
		.close = bridge_mailbox_close,
		.free = index_storage_mailbox_free,
		.create_box = bridge_box_create,
		.update_box = bridge_box_update,
		.delete_box = bridge_box_delete,
		.rename_box = index_storage_mailbox_rename,
		.get_status = bridge_mailbox_get_status,
		.get_metadata = bridge_mailbox_get_metadata,
		.set_subscribed = index_storage_set_subscribed,
		.attribute_set = index_storage_attribute_set,
		.attribute_get = index_storage_attribute_get,
		.attribute_iter_init = index_storage_attribute_iter_init,
		.attribute_iter_next = index_storage_attribute_iter_next,
		.attribute_iter_deinit = index_storage_attribute_iter_deinit,
		.sync_init = bridge_sync_init,
		.sync_next = index_mailbox_sync_next,
		.sync_deinit = index_mailbox_sync_deinit,
		.notify_changes = bridge_notify_changes,
		.transaction_begin = bridge_transaction_begin,
		.transaction_commit = bridge_transaction_commit,
		.transaction_rollback = bridge_transaction_rollback,
		.mail_alloc = bridge_mail_alloc,
		.search_init = bridge_search_init,
		.search_deinit = bridge_search_deinit,
		.search_next_nonblock = index_storage_search_next_nonblock,
		.search_next_update_seq = bridge_search_next_update_seq,
		.search_next_match_mail = index_storage_search_next_match_mail,
		.save_alloc = bridge_save_alloc,
		.save_begin = bridge_save_begin,
		.save_continue = bridge_save_continue,
		.save_finish = bridge_save_finish,
		.save_cancel = bridge_save_cancel,
		.copy = bridge_copy,
		.transaction_save_commit_pre =
			bridge_transaction_save_commit_pre,
		.transaction_save_commit_post =
			bridge_transaction_save_commit_post,
		.transaction_save_rollback = bridge_transaction_save_rollback,
		.is_inconsistent = bridge_mailbox_is_inconsistent,
	}
};
