/* Dovecot 2.4.1 to 2.4.5. See compat.h. */
#ifndef BRIDGE_COMPAT_24_H
#define BRIDGE_COMPAT_24_H

/* Whether a text begins with another one. */
static inline bool compat_begins(const char *text, const char *with)
{
	return str_begins_with(text, with);
}

/* --- the location of a namespace ----------------------------------------- */

/* mail_path; "" = none. */
static inline const char *compat_list_path(const struct mailbox_list *list)
{
	return list->mail_set->mail_path;
}

/* mail_index_path = MEMORY. */
static inline bool compat_list_index_in_memory(const struct mailbox_list *list)
{
	return strcmp(list->mail_set->mail_index_path,
		      MAIL_INDEX_PATH_MEMORY) == 0;
}

/* mail_volatile_path, NULL = none. */
static inline const char *compat_list_volatile(const struct mailbox_list *list)
{
	const char *path = list->mail_set->mail_volatile_path;

	return *path == '\0' ? NULL : path;
}

/* Whether mail_control_path is another folder than mail_path. */
static inline bool compat_list_has_control(const struct mailbox_list *list)
{
	return *list->mail_set->mail_control_path != '\0';
}

static inline const char *
compat_list_subscriptions(const struct mailbox_list *list)
{
	return list->mail_set->mailbox_subscriptions_filename;
}

/* What an admin wrote, for errors. */
#define COMPAT_LOCATION "mail_driver = bridge"
#define COMPAT_INDEX_MEMORY "mail_index_path = MEMORY"
#define COMPAT_LAYOUT "mailbox_list_layout = "

/* The root of what has this type; FALSE if there is none. */
static inline bool
compat_list_root(struct mailbox_list *list,
		 enum mailbox_list_path_type type, const char **path_r)
{
	return mailbox_list_default_get_root_path(list, type, path_r);
}

/* What the mailboxes of a namespace are to Dovecot, whatever the admin says: names are
 * UTF-8 everywhere but on the IMAP wire, and a name never becomes a path (its folder is a
 * hash of it). The rest stands in settings-24-info.c, as defaults. */
static inline void compat_list_init(struct mailbox_list *list)
{
	const char *separator = list->ns->set->separator;
	struct mail_storage_settings *set;

	/* the list gives its pool back, not the struct */
	set = p_memdup(list->mail_set->pool, list->mail_set, sizeof(*set));
	set->mailbox_list_utf8 = TRUE;
	set->mailbox_list_validate_fs_names = FALSE;
	/* names are the store's: what escapes them for a file system would hide those
	   that have it in them */
	set->mailbox_list_storage_escape_char = "";
	/* with another separator, a name may contain it */
	if (*separator != '\0' && *separator != '/' &&
	    *set->mailbox_list_visible_escape_char == '\0')
		set->mailbox_list_visible_escape_char =
			*separator == '~' ? "^" : "~";
	list->mail_set = set;
}

/* Entries of the tables of a storage and of a list. */
#define COMPAT_STORAGE_VFUNCS
#define COMPAT_LIST_VFUNCS \
	.get_storage = mailbox_list_default_get_storage,

/* --- other plugins and services ------------------------------------------ */

/* Whether lazy_expunge may keep what is expunged. Its setting may differ for each
 * mailbox, and is its own: that it is loaded is enough. */
static inline bool compat_is_lazy(struct mail_user *user ATTR_UNUSED)
{
	return module_dir_find(mail_storage_service_modules,
			       "lazy_expunge") != NULL;
}

/* Who asks userdb. */
static inline void
compat_set_service(struct auth_user_info *info, const struct mail_user *user)
{
	info->protocol = user->protocol;
}

static inline const char *compat_index_error(struct mail_index *index)
{
	enum mail_index_error_code code;

	return mail_index_get_last_error(index, &code);
}

/* What a command of doveadm, which asks for its options and arguments by their names,
 * needs besides. */
#define COMPAT_DOVEADM_INIT_ARGS
#define COMPAT_DOVEADM_OPTIONS(ctx, letters)

/* --- streams ------------------------------------------------------------- */

/* A stream on a descriptor (-1 = on none) that reads from no other stream. */
static inline struct istream *
compat_stream_create(struct istream_private *stream, int fd,
		     enum istream_create_flag flags)
{
#if DOVECOT_PREREQ(2, 4, 5)
	return i_stream_create(stream, NULL, fd, ISTREAM_HIDDEN_INPUTS_NONE,
			       flags);
#else
	return i_stream_create(stream, NULL, fd, flags);
#endif
}

/* --- telling ------------------------------------------------------------- */

/* An event of what began so long ago and is over now: its start and duration are
 * told by Dovecot, from when it was created. */
static inline void compat_event_lasted(struct event *event, uint64_t usecs)
{
#if DOVECOT_PREREQ(2, 4, 3)
	timeval_sub_usecs(&event->tv_created, usecs);
#else
	timeval_sub_usecs(&event->tv_created, (suseconds_t)usecs);
#endif
}

#endif
