/* Dovecot 2.3.16 to 2.3.21. See compat.h. */
#ifndef BRIDGE_COMPAT_23_H
#define BRIDGE_COMPAT_23_H

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
		set->vname_escape_char =
			ns->set->separator[0] == '~' ? '^' : '~';
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

/* What an admin wrote, for errors. */
#define COMPAT_LOCATION "mail_location = bridge:PATH"
#define COMPAT_INDEX_MEMORY "INDEX=MEMORY"
#define COMPAT_LAYOUT "LAYOUT="

/* The root of what has this type; FALSE if there is none. */
static inline bool
compat_list_root(const struct mailbox_list *list,
		 enum mailbox_list_path_type type, const char **path_r)
{
	return mailbox_list_set_get_root_path(&list->set, type, path_r);
}

static inline void
compat_storage_get_list_settings(const struct mail_namespace *ns,
				 struct mailbox_list_settings *set)
{
	compat_list_defaults(ns, set, "bridge");
}

/* What is left to do about it when the list is made. */
static inline void compat_list_init(struct mailbox_list *list ATTR_UNUSED)
{
}

/* Entries of the tables of a storage and of a list. */
#define COMPAT_STORAGE_VFUNCS \
	.get_list_settings = compat_storage_get_list_settings,
#define COMPAT_LIST_VFUNCS

/* --- other plugins and services ------------------------------------------ */

struct doveadm_mail_cmd_context;

/* Whether lazy_expunge keeps what is expunged. */
static inline bool compat_is_lazy(struct mail_user *user)
{
	return mail_user_plugin_getenv(user, "lazy_expunge") != NULL;
}

/* Who asks userdb. */
static inline void
compat_set_service(struct auth_user_info *info, const struct mail_user *user)
{
	info->service = user->service;
}

static inline const char *compat_index_error(struct mail_index *index)
{
	return mail_index_get_error_message(index);
}

/* What a command of doveadm, which asks for its options and arguments by their names,
 * needs besides. */
#define COMPAT_DOVEADM_INIT_ARGS , const char *const args[] ATTR_UNUSED

static inline bool
compat_doveadm_parse_arg(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED,
			 int c ATTR_UNUSED)
{
	return TRUE;
}

#define COMPAT_DOVEADM_OPTIONS(ctx, letters) \
	STMT_START { \
		(ctx)->getopt_args = (letters); \
		(ctx)->v.parse_arg = compat_doveadm_parse_arg; \
	} STMT_END

/* --- streams ------------------------------------------------------------- */

/* A stream on a descriptor (-1 = on none) that reads from no other stream. */
static inline struct istream *
compat_stream_create(struct istream_private *stream, int fd,
		     enum istream_create_flag flags)
{
	return i_stream_create(stream, NULL, fd, flags);
}

/* --- telling ------------------------------------------------------------- */

/* An event of what began so long ago and is over now: its start and duration are
 * told by Dovecot, from when it was created. */
static inline void compat_event_lasted(struct event *event, uint64_t usecs)
{
	timeval_sub_usecs(&event->tv_created, (long long)usecs);
}


#endif
