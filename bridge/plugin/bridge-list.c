#include "lib.h"
#include "compat.h"
#include "str.h"
#include "hostpid.h"
#include "imap-match.h"
#include "mailbox-tree.h"
#include "subscription-file.h"
#include "bridge-box.h"
#include "bridge-event.h"
#include "bridge-identity.h"
#include "bridge-known.h"
#include "bridge-list.h"
#include "bridge-owner.h"
#include "bridge-paths.h"
#include "bridge-private.h"
#include "bridge-session.h"
#include "bridge-settings.h"
#include "bridge-status.h"
#include "bridge-watch.h"

struct bridge_list_iter {
	struct mailbox_list_iterate_context ctx;
	struct mailbox_tree_context *tree;
	struct mailbox_tree_iterate_context *iter;
	struct mailbox_info info;
	string_t *special_use;
};

static struct mailbox_list *bridge_list_alloc(void)
{
	struct bridge_mailbox_list *list;
	pool_t pool;

	pool = pool_alloconly_create("bridge mailbox list", 2048);
	list = p_new(pool, struct bridge_mailbox_list, 1);
	list->list = bridge_mailbox_list;
	list->list.pool = pool;
	list->global_temp_prefix = p_strdup_printf(pool, "temp.%s.%s.",
						   my_hostname, my_pid);
	list->temp_prefix = list->global_temp_prefix;
	return &list->list;
}

static int bridge_list_init(struct mailbox_list *_list, const char **error_r)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	struct session_settings set;

	if (bridge_owner_find(_list->ns, &list->owner, error_r) < 0 ||
	    bridge_settings_read(_list, &list->owner, &list->set,
				 error_r) < 0)
		return -1;
	if (compat_list_index_in_memory(_list)) {
		*error_r = COMPAT_INDEX_MEMORY" cannot be used: UIDs must be "
			"kept";
		return -1;
	}
	if (compat_list_path(_list) == NULL ||
	    *compat_list_path(_list) == '\0') {
		*error_r = COMPAT_LOCATION" needs a path, where UIDs and "
			"local flags are kept";
		return -1;
	}
	compat_list_init(_list);
	list->event = bridge_event_create(list);
	bridge_session_settings(list, &set);
	list->session = session_init(&set);
	return 0;
}

static void bridge_list_deinit(struct mailbox_list *_list)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);

	bridge_watch_deinit(list);
	session_deinit(&list->session);
	bridge_status_deinit(list);
	event_unref(&list->event);
	i_free(list->logged);
	boxes_deinit(&list->known);
	bridge_settings_free(&list->set);
	pool_unref(&list->list.pool);
}

/* --- names and paths ----------------------------------------------------- */

static char bridge_list_get_hierarchy_sep(struct mailbox_list *list ATTR_UNUSED)
{
	return '/';
}

static int
bridge_list_get_path(struct mailbox_list *_list, const char *name,
		     enum mailbox_list_path_type type, const char **path_r)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	const char *root, *folder;

	if (!compat_list_root(_list, type, &root)) {
		*path_r = NULL;
		return 0;
	}
	if (name == NULL || *name == '\0') {
		*path_r = root;
		return 1;
	}
	if (bridge_identity_folder(list, name, &folder) < 0) {
		*path_r = NULL;
		return -1;
	}
	*path_r = bridge_paths_mailbox(list, type, folder);
	return 1;
}

static const char *
bridge_list_get_temp_prefix(struct mailbox_list *_list, bool global)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);

	return global ? list->global_temp_prefix : list->temp_prefix;
}

static const char *
bridge_list_join_refpattern(struct mailbox_list *list ATTR_UNUSED,
			    const char *ref, const char *pattern)
{
	return t_strconcat(ref, pattern, NULL);
}

/* --- what the backend lists ---------------------------------------------- */

/* --- iteration ----------------------------------------------------------- */

static void
bridge_list_add_box(struct mailbox_list_iter_update_context *update,
		    struct mailbox_list *list, const char *name,
		    enum mailbox_info_flags flags)
{
	update->leaf_flags = flags;
	T_BEGIN {
		mailbox_list_iter_update(update,
			mailbox_list_get_vname(list, name));
	} T_END;
}

/* A user's inbox is always there. */
static bool bridge_list_has_inbox(const struct mailbox_list *list)
{
	return (list->ns->flags & NAMESPACE_FLAG_INBOX_USER) != 0;
}

/* A parent that the store does not list is shown all the same. */
static void
bridge_list_add_parents(struct mailbox_list_iter_update_context *update,
			struct mailbox_list *_list, const char *name)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	const char *parent, *p;

	for (p = name; (p = strchr(p, '/')) != NULL; p++) T_BEGIN {
		parent = t_strdup_until(name, p);
		if (listing_box_find(list->boxes, view_of(parent)) == NULL &&
		    (strcmp(parent, "INBOX") != 0 ||
		     !bridge_list_has_inbox(_list)))
			bridge_list_add_box(update, _list, parent,
					    MAILBOX_NONEXISTENT);
	} T_END;
}

static void bridge_list_build_tree(struct bridge_list_iter *ctx)
{
	struct mailbox_list *_list = ctx->ctx.list;
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	struct mailbox_list_iter_update_context update;
	const struct listing_box *box;
	size_t i;

	i_zero(&update);
	update.iter_ctx = &ctx->ctx;
	update.tree_ctx = ctx->tree;
	update.glob = ctx->ctx.glob;
	update.match_parents = TRUE;
	update.parent_flags = MAILBOX_CHILDREN;
	for (i = 0; i < list->boxes->count; i++) {
		box = &list->boxes->boxes[i];
		bridge_list_add_parents(&update, _list, box->name);
		bridge_list_add_box(&update, _list, box->name,
				    bridge_known_flags(box));
	}
	/* the store's own flags stand */
	if (bridge_list_has_inbox(_list) &&
	    listing_box_find(list->boxes, view_of("INBOX")) == NULL)
		bridge_list_add_box(&update, _list, "INBOX", 0);
}

/* A store that was never listed, and gives no list: a client whose INBOX is elsewhere is
   not kept from it. But dsync (2.3.19, dsync-mailbox-tree-fill.c, as nobody else asks)
   would remove elsewhere what is not listed; and who has the INBOX here has nothing
   else. */
static bool bridge_list_may_be_empty(const struct mailbox_list *list,
				     enum mailbox_list_iter_flags flags)
{
	const enum mailbox_list_iter_flags dsync =
		MAILBOX_LIST_ITER_SKIP_ALIASES |
		MAILBOX_LIST_ITER_NO_AUTO_BOXES;

	return !bridge_list_has_inbox(list) &&
		((flags & MAILBOX_LIST_ITER_RETURN_NO_FLAGS) != 0 ||
		 (flags & dsync) != dsync);
}

/* Subscriptions without a word of the mailboxes: these are known here. */
static bool bridge_list_wants_names(enum mailbox_list_iter_flags flags)
{
	const enum mailbox_list_iter_flags names =
		MAILBOX_LIST_ITER_SELECT_SUBSCRIBED |
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS;

	return (flags & names) == names;
}

static struct mailbox_list_iterate_context *
bridge_list_iter_init(struct mailbox_list *_list, const char *const *patterns,
		      enum mailbox_list_iter_flags flags)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	struct mailbox_list_iterate_context *sub_ctx =
		compat_list_subscribed_init(_list, patterns, flags);
	struct bridge_list_iter *ctx;
	char sep = mail_namespace_get_sep(_list->ns);
	bool names = bridge_list_wants_names(flags);
	pool_t pool;
	int ret = 0;

	if (sub_ctx == NULL || !names)
		ret = bridge_known_show(list);
	if (ret < 0 && (names || bridge_list_may_be_empty(_list, flags)))
		ret = 1;
	if (sub_ctx != NULL) {
		if (ret < 0)
			sub_ctx->failed = TRUE;
		return sub_ctx;
	}
	pool = pool_alloconly_create("mailbox list bridge iter", 1024);
	ctx = p_new(pool, struct bridge_list_iter, 1);
	ctx->ctx.pool = pool;
	ctx->ctx.list = _list;
	ctx->ctx.flags = flags;
	ctx->ctx.glob = imap_match_init_multiple(pool, patterns, TRUE, sep);
	array_create(&ctx->ctx.module_contexts, pool, sizeof(void *), 5);
	ctx->info.ns = _list->ns;
	ctx->special_use = str_new(pool, 64);
	ctx->tree = mailbox_tree_init(sep);
	mailbox_tree_set_parents_nonexistent(ctx->tree);
	if (ret == 0)
		bridge_list_build_tree(ctx);
	ctx->ctx.failed = ret < 0;
	ctx->iter = mailbox_tree_iterate_init(ctx->tree, NULL, 0);
	return &ctx->ctx;
}

static void
bridge_list_set_special_use(struct bridge_list_iter *ctx,
			    enum mailbox_info_flags flags)
{
	str_truncate(ctx->special_use, 0);
	bridge_known_special_use(flags, ctx->special_use);
	ctx->info.special_use = str_len(ctx->special_use) == 0 ? NULL :
		str_c(ctx->special_use);
}

/* A namespace's own prefix is no mailbox of the store. */
static bool
bridge_list_is_prefix(const struct mail_namespace *ns, const char *vname)
{
	return ns->prefix_len > 0 && strlen(vname) == ns->prefix_len - 1 &&
		strncmp(vname, ns->prefix, ns->prefix_len - 1) == 0;
}

static const struct mailbox_info *
bridge_list_iter_next(struct mailbox_list_iterate_context *_ctx)
{
	struct bridge_list_iter *ctx =
		container_of(_ctx, struct bridge_list_iter, ctx);
	struct mailbox_node *node;
	const char *vname;

	if (_ctx->failed)
		return NULL;
	if (compat_list_is_subscribed(_ctx))
		return compat_list_subscribed_next(_ctx);
	do {
		node = mailbox_tree_iterate_next(ctx->iter, &vname);
		if (node == NULL)
			return mailbox_list_iter_default_next(_ctx);
	} while ((node->flags & MAILBOX_MATCHED) == 0 ||
		 bridge_list_is_prefix(_ctx->list->ns, vname));
	ctx->info.vname = vname;
	ctx->info.flags = node->flags;
	if ((node->flags & MAILBOX_CHILDREN) == 0)
		ctx->info.flags |= MAILBOX_NOCHILDREN;
	compat_list_add_subscribed(_ctx, vname, &ctx->info.flags);
	bridge_list_set_special_use(ctx, node->flags);
	return &ctx->info;
}

static int bridge_list_iter_deinit(struct mailbox_list_iterate_context *_ctx)
{
	struct bridge_list_iter *ctx =
		container_of(_ctx, struct bridge_list_iter, ctx);
	int ret = _ctx->failed ? -1 : 0;

	if (compat_list_is_subscribed(_ctx))
		return compat_list_subscribed_deinit(_ctx);
	mailbox_tree_iterate_deinit(&ctx->iter);
	mailbox_tree_deinit(&ctx->tree);
	pool_unref(&_ctx->pool);
	return ret;
}

/* --- subscriptions are local --------------------------------------------- */

static int
bridge_list_set_subscribed(struct mailbox_list *list, const char *name,
			   bool set)
{
	enum mailbox_list_path_type type;
	const char *root, *path = bridge_paths_subscriptions(list, &root, &type);

	if (mailbox_list_mkdir_root(list, root, type) < 0)
		return -1;
	return subsfile_set_subscribed(list, path,
		bridge_list_get_temp_prefix(list, FALSE), name, set);
}

static int
bridge_list_delete_symlink(struct mailbox_list *list,
			   const char *name ATTR_UNUSED)
{
	mailbox_list_set_error(list, MAIL_ERROR_NOTPOSSIBLE, "Not supported");
	return -1;
}

struct mailbox_list bridge_mailbox_list = {
	.name = BRIDGE_LIST_NAME,
	.props = MAILBOX_LIST_PROP_NO_ROOT | MAILBOX_LIST_PROP_AUTOCREATE_DIRS |
		 MAILBOX_LIST_PROP_NO_LIST_INDEX,
	.mailbox_name_max_length = MAILBOX_LIST_NAME_MAX_LENGTH,

	.v = {
		COMPAT_LIST_VFUNCS
		.alloc = bridge_list_alloc,
		.init = bridge_list_init,
		.deinit = bridge_list_deinit,
		.get_hierarchy_sep = bridge_list_get_hierarchy_sep,
		.get_vname = mailbox_list_default_get_vname,
		.get_storage_name = mailbox_list_default_get_storage_name,
		.get_path = bridge_list_get_path,
		.get_temp_prefix = bridge_list_get_temp_prefix,
		.join_refpattern = bridge_list_join_refpattern,
		.iter_init = bridge_list_iter_init,
		.iter_next = bridge_list_iter_next,
		.iter_deinit = bridge_list_iter_deinit,
		.subscriptions_refresh = mailbox_list_subscriptions_refresh,
		.set_subscribed = bridge_list_set_subscribed,
		.delete_mailbox = bridge_box_delete_folders,
		.delete_dir = bridge_box_delete_dir,
		.delete_symlink = bridge_list_delete_symlink,
		.rename_mailbox = bridge_box_rename_mailbox,
	}
};
