#include "lib.h"
#include "compat.h"
#include "bridge-ahead.h"
#include "bridge-box.h"
#include "bridge-event.h"
#include "bridge-fault.h"
#include "bridge-identity.h"
#include "bridge-kept.h"
#include "bridge-known.h"
#include "bridge-lock.h"
#include "bridge-mail.h"
#include "bridge-mailbox.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-save.h"
#include "bridge-search.h"
#include "bridge-storage.h"
#include "bridge-sync.h"
#include "bridge-transaction.h"
#include "bridge-vsize.h"
#include "bridge-watch.h"

#define BRIDGE_AWAKE_NAME "dovebridge-not-hibernated"	/* never made */

static struct mail_vfuncs bridge_mail_vfuncs;
static struct mailbox bridge_mailbox;

/* --- the storage --------------------------------------------------------- */

static struct mail_storage *bridge_storage_alloc(void)
{
	struct mail_storage *storage;
	pool_t pool;

	pool = pool_alloconly_create("bridge storage", 1024);
	storage = p_new(pool, struct mail_storage, 1);
	*storage = bridge_storage;
	storage->pool = pool;
	return storage;
}

static int
bridge_storage_create(struct mail_storage *storage, struct mail_namespace *ns,
		      const char **error_r)
{
	if (strcmp(ns->list->name, BRIDGE_LIST_NAME) != 0) {
		*error_r = t_strdup_printf(COMPAT_LAYOUT"%s cannot be used "
			"with bridge: the backend lists the mailboxes",
			ns->list->name);
		return -1;
	}
	/* One with the same root_dir has this storage, too: Dovecot wants that of
	   alias_for. What is asked of a backend is asked by way of the list, of
	   which each namespace has its own. */
	storage->unique_root_dir = p_strdup(storage->pool,
					    compat_list_path(ns->list));
	return 0;
}

/* --- a mailbox ----------------------------------------------------------- */

static struct mailbox *
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
	/* acl (2.3.19) asks next where it lies, for the rights to it, once for all: not
	   where another mailbox of this name lay. With each list this is done for the
	   other two, which stay where they are. */
	if (*mbox->box.name != '\0' && !mbox->box.inbox_user)
		bridge_known_expire(mbox->list);
	return &mbox->box;
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
	   (bridge_known_show) */
	lbox = NULL;
	if (*box->name == '\0' || box->inbox_user)
		lbox = mbox->list->boxes == NULL ? NULL :
			listing_box_find(mbox->list->boxes, view_of(box->name));
	else if (bridge_mailbox_lookup(mbox, &lbox) < 0)
		return -1;
	if (lbox != NULL)
		*existence_r = bridge_mailbox_is_selectable(lbox) ?
			MAILBOX_EXISTENCE_SELECT : MAILBOX_EXISTENCE_NOSELECT;
	else if (box->inbox_user)
		*existence_r = MAILBOX_EXISTENCE_SELECT;
	else
		*existence_r = bridge_mailbox_has_children(mbox) ?
			MAILBOX_EXISTENCE_NOSELECT : MAILBOX_EXISTENCE_NONE;
	return 0;
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
	if (bridge_map_init(mbox) < 0 ||
	    bridge_lock_note_place(mbox) < 0) {
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

/* The map is open, and made if there is none. Returns 0, -1 with the storage's error
   set. */
static int bridge_mailbox_want_map(struct bridge_mailbox *mbox)
{
	struct fault fault;
	int ret = idmap_open(mbox->map, &fault);

	if (ret < 0)
		return bridge_fault_box(&mbox->box, &fault);
	if (ret > 0)
		return 0;
	if (bridge_lock_take(mbox) < 0)
		return -1;
	ret = bridge_map_open(mbox, FALSE);
	idmap_unlock(mbox->map);
	return ret;
}

/* The mailbox's GUID is the map's, random and made once. */
static int
bridge_mailbox_get_guid(struct bridge_mailbox *mbox, guid_128_t guid_r)
{
	struct mailbox *box = &mbox->box;

	if ((!box->opened && mailbox_open(box) < 0) ||
	    bridge_mailbox_want_map(mbox) < 0)
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

/* --- the tables ---------------------------------------------------------- */

static struct mail_vfuncs bridge_mail_vfuncs = {
	.close = bridge_mail_close,
	.free = index_mail_free,
	.set_seq = index_mail_set_seq,
	.set_uid = bridge_mail_set_uid,
	.set_uid_cache_updates = index_mail_set_uid_cache_updates,
	.prefetch = bridge_mail_prefetch,
	.precache = index_mail_precache,
	.add_temp_wanted_fields = index_mail_add_temp_wanted_fields,
	.get_flags = index_mail_get_flags,
	.get_keywords = index_mail_get_keywords,
	.get_keyword_indexes = index_mail_get_keyword_indexes,
	.get_modseq = index_mail_get_modseq,
	.get_pvt_modseq = index_mail_get_pvt_modseq,
	.get_parts = bridge_mail_get_parts,
	.get_date = index_mail_get_date,
	.get_received_date = bridge_mail_get_received_date,
	.get_save_date = bridge_mail_get_save_date,
	.get_virtual_size = bridge_vsize_get,
	.get_physical_size = bridge_mail_get_physical_size,
	.get_first_header = index_mail_get_first_header,
	.get_headers = index_mail_get_headers,
	.get_header_stream = index_mail_get_header_stream,
	.get_stream = bridge_mail_get_stream,
	.get_binary_stream = index_mail_get_binary_stream,
	.get_special = bridge_mail_get_special,
	.get_backend_mail = index_mail_get_backend_mail,
	.update_flags = bridge_transaction_update_flags,
	.update_keywords = bridge_transaction_update_keywords,
	.update_modseq = index_mail_update_modseq,
	.update_pvt_modseq = index_mail_update_pvt_modseq,
	.expunge = bridge_transaction_expunge_mail,
	.set_cache_corrupted = index_mail_set_cache_corrupted,
	.istream_opened = index_mail_opened,
};

static struct mailbox bridge_mailbox = {
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
			bridge_save_commit_pre,
		.transaction_save_commit_post =
			bridge_save_commit_post,
		.transaction_save_rollback = bridge_save_rollback,
		.is_inconsistent = bridge_mailbox_is_inconsistent,
	}
};

struct mail_storage bridge_storage = {
	.name = BRIDGE_STORAGE_NAME,
	.class_flags = MAIL_STORAGE_CLASS_FLAG_NO_ROOT |
		       MAIL_STORAGE_CLASS_FLAG_UNIQUE_ROOT |
		       MAIL_STORAGE_CLASS_FLAG_HAVE_MAIL_GUIDS |
		       MAIL_STORAGE_CLASS_FLAG_HAVE_MAIL_SAVE_GUIDS |
		       MAIL_STORAGE_CLASS_FLAG_HAVE_MAIL_GUID128 |
		       MAIL_STORAGE_CLASS_FLAG_SECONDARY_INDEX,
	.event_category = &event_category_bridge,
	.v = {
		COMPAT_STORAGE_VFUNCS
		.alloc = bridge_storage_alloc,
		.create = bridge_storage_create,
		.destroy = index_storage_destroy,
		.mailbox_alloc = bridge_mailbox_alloc,
	}
};
