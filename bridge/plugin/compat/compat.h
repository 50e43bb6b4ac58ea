/* Every difference between Dovecot versions that this plugin has met, but for its own
 * settings (settings-23.c, settings-24.c). What differs stands in compat-23.h and
 * compat-24.h under one name, what is private to Dovecot but the same in both, here.
 * Include it after lib.h and before any other header of Dovecot. */
#ifndef BRIDGE_COMPAT_H
#define BRIDGE_COMPAT_H

#include "array.h"
#include "module-dir.h"
#include "time-util.h"
#include "lib-event-private.h"
#include "istream-private.h"
#include "auth-master.h"
#include "settings-parser.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mailbox-list-private.h"
#include "mailbox-list-subscriptions.h"
#include "mail-index-private.h"
#include "mail-index-view-private.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "mail-storage-service.h"
#include "mail-index-alloc-cache.h"
#include "mail-index-modseq.h"
#include "mail-cache-private.h"

#if DOVECOT_PREREQ(2, 4, 0)
#  include "compat-24.h"
#else
#  include "compat-23.h"
#endif

/* Whether what is committed goes to the disk at once (mail_fsync). */
static inline bool compat_fsyncs(const struct mail_storage *storage)
{
	return storage->set->parsed_fsync_mode != FSYNC_MODE_NEVER;
}

/* --- subscriptions ------------------------------------------------------- */

#if DOVECOT_PREREQ(2, 4, 2)

/* The iteration over subscribed mailboxes alone; NULL = the list is iterated over as a
 * whole, and Dovecot selects. */
static inline struct mailbox_list_iterate_context *
compat_list_subscribed_init(struct mailbox_list *list ATTR_UNUSED,
			    const char *const *patterns ATTR_UNUSED,
			    enum mailbox_list_iter_flags flags ATTR_UNUSED)
{
	return NULL;
}

static inline bool
compat_list_is_subscribed(const struct mailbox_list_iterate_context *ctx
			  ATTR_UNUSED)
{
	return FALSE;
}

static inline const struct mailbox_info *
compat_list_subscribed_next(struct mailbox_list_iterate_context *ctx
			    ATTR_UNUSED)
{
	return NULL;
}

static inline int
compat_list_subscribed_deinit(struct mailbox_list_iterate_context *ctx
			      ATTR_UNUSED)
{
	return -1;
}

/* \Subscribed, where it was asked for. */
static inline void
compat_list_add_subscribed(struct mailbox_list_iterate_context *ctx ATTR_UNUSED,
			   const char *vname ATTR_UNUSED,
			   enum mailbox_info_flags *flags ATTR_UNUSED)
{
}

#else

static inline struct mailbox_list_iterate_context *
compat_list_subscribed_init(struct mailbox_list *list,
			    const char *const *patterns,
			    enum mailbox_list_iter_flags flags)
{
	return (flags & MAILBOX_LIST_ITER_SELECT_SUBSCRIBED) == 0 ? NULL :
		mailbox_list_subscriptions_iter_init(list, patterns, flags);
}

static inline bool
compat_list_is_subscribed(const struct mailbox_list_iterate_context *ctx)
{
	return (ctx->flags & MAILBOX_LIST_ITER_SELECT_SUBSCRIBED) != 0;
}

static inline const struct mailbox_info *
compat_list_subscribed_next(struct mailbox_list_iterate_context *ctx)
{
	return mailbox_list_subscriptions_iter_next(ctx);
}

static inline int
compat_list_subscribed_deinit(struct mailbox_list_iterate_context *ctx)
{
	return mailbox_list_subscriptions_iter_deinit(ctx);
}

static inline void
compat_list_add_subscribed(struct mailbox_list_iterate_context *ctx,
			   const char *vname, enum mailbox_info_flags *flags)
{
	if ((ctx->flags & MAILBOX_LIST_ITER_RETURN_SUBSCRIBED) != 0)
		mailbox_list_set_subscription_flags(ctx->list, vname, flags);
}

#endif

/* --- the index ----------------------------------------------------------- */

/* Do the records that this view sees have a place for an extension? */
static inline bool
compat_has_ext(struct mail_index_view *view, uint32_t ext_id)
{
	uint32_t idx;

	return mail_index_map_get_ext_idx(view->map, ext_id, &idx);
}

/* The extension that has the place of a message in dovecot.index.cache. (struct
 * mail_cache is private to lib-index; the same in 2.3 and 2.4.) */
static inline uint32_t compat_cache_ext(struct mailbox *box)
{
	return box->cache->ext_id;
}

/* An index that is reset in this transaction goes on to keep MODSEQs, above those that
 * it gave. (mail_index_modseq_enable() does nothing for an index that had them; the
 * same in 2.3 and 2.4.) */
static inline void
compat_track_modseqs(struct mail_index_view *view,
		     struct mail_index_transaction *trans)
{
	struct mail_index_modseq_header hdr;

	i_zero(&hdr);
	hdr.highest_modseq = mail_index_modseq_get_highest(view);
	mail_index_update_header_ext(trans, view->index->modseq_ext_id, 0,
				     &hdr, sizeof(hdr));
}

/* The records of an extension, of a view that was opened just now: one after
 * the other, *stride_r bytes apart, without a call for each. NULL if there are
 * none of at least this size. (MAIL_INDEX_REC_AT_SEQ and struct mail_index_ext
 * are private to lib-index; the same in 2.3 and 2.4.) */
static inline const void *
compat_ext_records(struct mail_index_view *view, uint32_t ext_id, size_t size,
		   size_t *stride_r)
{
	const struct mail_index_ext *ext;
	uint32_t idx;

	if (!mail_index_map_get_ext_idx(view->map, ext_id, &idx))
		return NULL;
	ext = array_idx(&view->map->extensions, idx);
	*stride_r = view->map->hdr.record_size;
	return ext->record_size < size ? NULL :
		CONST_PTR_OFFSET(view->map->rec_map->records,
				 ext->record_offset);
}

/* Whether the mailbox, which is closed, is thought to lie in a folder of this name, if
 * in any. */
static inline bool
compat_is_in_folder(const struct mailbox *box, const char *folder)
{
	const char *path = box->_index_path, *name;

	if (path == NULL)
		path = box->_path;
	if (path == NULL || (name = strrchr(path, '/')) == NULL)
		return TRUE;
	return strcmp(name + 1, folder) == 0;
}

/* The mailbox, which is closed, lies in another folder than was thought. */
static inline void compat_forget_folder(struct mailbox *box)
{
	if (box->index_pvt != NULL)
		mail_index_alloc_cache_unref(&box->index_pvt);
	if (box->index != NULL)
		mail_index_alloc_cache_unref(&box->index);
	i_zero(&box->_perm);
	box->_path = NULL;
	box->_index_path = NULL;
}

/* --- telling ------------------------------------------------------------- */

/* Does anybody listen to debug events that have a name? If not, none need be made.
 * (Of a filter only Dovecot knows what it wants: a process of a master always has
 * one, for stats.) */
static inline bool compat_event_may_be_wanted(struct event *event)
{
#if !DOVECOT_PREREQ(2, 4, 3)
	if (event_get_global_debug_send_filter() != NULL)
		return TRUE;
#endif
	return event_get_global_debug_log_filter() != NULL ||
		event_get_global_core_log_filter() != NULL ||
		event_want_debug_log(event);
}

/* "Hang in there": tells the client that we are alive. It may wait for no mailbox, but
 * for their list: of the one that is passed on, only whose it is is looked at. */
static inline void
compat_notify_alive(struct mail_storage *storage, struct mailbox_list *list)
{
	struct mailbox box;

	if (storage->callbacks.notify_ok == NULL)
		return;
	i_zero(&box);
	box.storage = storage;
	box.list = list;
	box.name = box.vname = "INBOX";
	storage->callbacks.notify_ok(&box, "Hang in there..",
				     storage->callback_context);
}

#endif
