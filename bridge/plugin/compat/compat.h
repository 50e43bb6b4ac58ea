/* Every difference between Dovecot versions that this plugin has met, but for the
 * reading of settings (bridge-settings.c) and the registration of doveadm's commands:
 * the only file of the plugin that asks for a version. Written for 2.3.19; 2.4 follows
 * by filling in the other branch (HACKING.md, "Not there yet"). Include it after
 * lib.h and before any other header of Dovecot. */
#ifndef BRIDGE_COMPAT_H
#define BRIDGE_COMPAT_H

#if !DOVECOT_PREREQ(2, 3, 0) || DOVECOT_PREREQ(2, 4, 0)
#  error "this version of the plugin is for Dovecot 2.3"
#endif

#include "array.h"
#include "time-util.h"
#include "lib-event-private.h"
#include "settings-parser.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mailbox-list-private.h"
#include "mail-index-private.h"
#include "mail-index-view-private.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "mail-index-alloc-cache.h"
#include "mail-index-modseq.h"
#include "mail-cache-private.h"

/* Whether a text begins with another one. */
static inline bool compat_begins(const char *text, const char *with)
{
	return str_begins(text, with);
}

/* --- the location of a namespace ----------------------------------------- */

/* What the mailboxes of a namespace are to Dovecot, where the admin says nothing else:
 * their list is that of this layout, names are UTF-8 everywhere but on the IMAP wire,
 * and a name never becomes a path (its folder is a hash of it). */
static inline void
compat_list_defaults(const struct mail_namespace *ns,
		     struct mailbox_list_settings *set, const char *layout)
{
	if (set->layout == NULL)
		set->layout = layout;
	if (set->subscription_fname == NULL)
		set->subscription_fname = "subscriptions";
	set->utf8 = TRUE;
	set->no_fs_validation = TRUE;
	/* with another separator, a name may contain it */
	if (ns->set->separator != NULL && ns->set->separator[0] != '\0' &&
	    ns->set->separator[0] != '/' && set->vname_escape_char == '\0')
		set->vname_escape_char = '~';
}

/* mail_location's path; NULL or "" = none. */
static inline const char *compat_list_path(const struct mailbox_list *list)
{
	return list->set.root_dir;
}

/* INDEX=MEMORY. */
static inline bool compat_list_index_in_memory(const struct mailbox_list *list)
{
	return list->set.index_dir != NULL && *list->set.index_dir == '\0';
}

/* VOLATILEDIR=, NULL = none. */
static inline const char *compat_list_volatile(const struct mailbox_list *list)
{
	return list->set.volatile_dir;
}

/* Whether CONTROL= is another folder than the location's. */
static inline bool compat_list_has_control(const struct mailbox_list *list)
{
	return list->set.control_dir != NULL;
}

static inline const char *
compat_list_subscriptions(const struct mailbox_list *list)
{
	return list->set.subscription_fname;
}

/* The root of what has this type; FALSE if there is none. */
static inline bool
compat_list_root(const struct mailbox_list *list,
		 enum mailbox_list_path_type type, const char **path_r)
{
	return mailbox_list_set_get_root_path(&list->set, type, path_r);
}

/* --- settings ------------------------------------------------------------ */

/* Whether what is committed goes to the disk at once (mail_fsync). */
static inline bool compat_fsyncs(const struct mail_storage *storage)
{
	return storage->set->parsed_fsync_mode != FSYNC_MODE_NEVER;
}

/* A setting's value, NULL if it is not set. */
static inline const char *
compat_setting(struct mail_user *user, const char *name)
{
	return mail_user_plugin_getenv(user, name);
}

/* The name of the nth setting of the plugin section, NULL beyond the last. */
static inline const char *
compat_setting_name(struct mail_user *user, unsigned int n)
{
	const ARRAY_TYPE(const_string) *envs =
		(const void *)&user->set->plugin_envs;

	if (!array_is_created(envs) || n * 2 >= array_count(envs))
		return NULL;
	return array_idx_elem(envs, n * 2);
}

/* "5s", "2min" to milliseconds. Returns 0, -1 and an error. */
static inline int
compat_parse_msecs(const char *str, unsigned int *msecs_r,
		   const char **error_r)
{
	return settings_get_time_msecs(str, msecs_r, error_r);
}

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
	return event_get_global_debug_send_filter() != NULL ||
		event_get_global_debug_log_filter() != NULL ||
		event_get_global_core_log_filter() != NULL ||
		event_want_debug_log(event);
}

/* An event of what began so long ago and is over now: its start and duration are
 * told by Dovecot, from when it was created. */
static inline void compat_event_lasted(struct event *event, uint64_t usecs)
{
	timeval_sub_usecs(&event->tv_created, (long long)usecs);
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
