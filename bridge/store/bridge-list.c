#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "str.h"
#include "hostpid.h"
#include "imap-match.h"
#include "mailbox-tree.h"
#include "mailbox-list-subscriptions.h"
#include "subscription-file.h"
#include "bridge-fault.h"
#include "bridge-paths.h"
#include "bridge-box.h"
#include "bridge-event.h"
#include "bridge-identity.h"
#include "bridge-list.h"
#include "bridge-watch.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef LIBEXECDIR
#  define LIBEXECDIR "/usr/lib/dovebridge"
#endif

/* How long a list of all mailboxes waits for one of several stores: that was never
   listed, that was, and that took too long a while ago. Later it is waited for anew: it
   may be slow now, and no more. */
#define LIST_FIRST_MSECS 15000
#define LIST_KNOWN_MSECS 3000
#define LIST_LATE_MSECS 200
#define LIST_LATE_SECS 60
#define LIST_LOG_AGAIN_SECS 60

struct bridge_list_iter {
	struct mailbox_list_iterate_context ctx;
	struct mailbox_tree_context *tree;
	struct mailbox_tree_iterate_context *iter;
	struct mailbox_info info;
	string_t *special_use;
};

static const struct {
	const char *name;
	enum mailbox_info_flags flag;
} box_flags[] = {
	{ "\\Noselect", MAILBOX_NOSELECT },
	{ "\\NonExistent", MAILBOX_NONEXISTENT },
	{ "\\Noinferiors", MAILBOX_NOINFERIORS },
	{ "\\All", MAILBOX_SPECIALUSE_ALL },
	{ "\\Archive", MAILBOX_SPECIALUSE_ARCHIVE },
	{ "\\Drafts", MAILBOX_SPECIALUSE_DRAFTS },
	{ "\\Flagged", MAILBOX_SPECIALUSE_FLAGGED },
	{ "\\Junk", MAILBOX_SPECIALUSE_JUNK },
	{ "\\Sent", MAILBOX_SPECIALUSE_SENT },
	{ "\\Trash", MAILBOX_SPECIALUSE_TRASH },
	{ "\\Important", MAILBOX_SPECIALUSE_IMPORTANT },
};

/* --- the session ----------------------------------------------------------- */

static void
bridge_list_log(void *context, enum session_log level, const char *text)
{
	struct bridge_mailbox_list *list = context;
	struct event *event = list->event;

	switch (level) {
	case SESSION_LOG_DEBUG:
		e_debug(event, "%s", text);
		break;
	case SESSION_LOG_INFO:
		e_info(event, "%s", text);
		break;
	case SESSION_LOG_WARNING:
		e_warning(event, "%s", text);
		break;
	case SESSION_LOG_ERROR:
		e_error(event, "%s", text);
		break;
	}
}

static void
bridge_list_report(void *context, const struct session_report *report)
{
	bridge_event_report(context, report);
	bridge_status_report(context, report);
}

/* Whatever the store is asked for, a client waits for it. */
static void bridge_list_alive(void *context)
{
	struct bridge_mailbox_list *list = context;

	if (list->list.ns->storage != NULL)
		compat_notify_alive(list->list.ns->storage, &list->list);
}

static bool str_array_equals(char *const *a, char *const *b)
{
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

/* The launcher lies beside this plugin when run from the build tree, else
   where it was installed. */
static const char *bridge_launcher_path(void)
{
	char plugin[PATH_MAX];
	const char *slash, *path;
	Dl_info info;

	/* a folder of plugins may hold a link to this one */
	if (dladdr(&bridge_mailbox_list, &info) != 0 &&
	    realpath(info.dli_fname, plugin) != NULL &&
	    (slash = strrchr(plugin, '/')) != NULL) {
		path = t_strdup_printf("%s/dovebridge-launch",
			t_strdup_until(plugin, slash));
		if (access(path, X_OK) == 0)
			return path;
	}
	return LIBEXECDIR"/dovebridge-launch";
}

void bridge_list_session_settings(struct bridge_mailbox_list *list,
				  struct session_settings *set_r)
{
	struct mail_user *user = list->list.ns->user;
	const char *home;

	i_zero(set_r);
	set_r->launcher = bridge_launcher_path();
	set_r->argv = (const char *const *)list->set.argv;
	set_r->user = list->owner.user->username;
	if (mail_user_get_home(list->owner.user, &home) > 0)
		set_r->home = home;
	set_r->cwd = list->set.directory;
	set_r->tmp_dir = user->set->mail_temp_dir;
	set_r->mode = user->service;
	set_r->timeout_msecs = list->set.timeout_msecs;
	set_r->caps_timeout_msecs = list->set.caps_timeout_msecs;
	set_r->grace_msecs = list->set.end_timeout_msecs;
	set_r->rawlog_dir = list->set.rawlog_dir;
	set_r->log = bridge_list_log;
	set_r->report = bridge_list_report;
	set_r->alive = bridge_list_alive;
	set_r->context = list;
}

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

/* Two programs would show each other's mail under one map. */
static int bridge_list_check_others(struct bridge_mailbox_list *list,
				    struct fault *fault)
{
	struct mail_namespace *ns = list->list.ns, *other;
	const char *dir = bridge_paths_control(list);
	struct bridge_mailbox_list *other_list;

	for (other = ns->user->namespaces; other != NULL; other = other->next) {
		if (other == ns || other->list == NULL ||
		    strcmp(other->list->name, BRIDGE_LIST_NAME) != 0)
			continue;
		other_list = BRIDGE_LIST(other->list);
		if (strcmp(bridge_paths_control(other_list), dir) != 0 ||
		    str_array_equals(list->set.argv, other_list->set.argv))
			continue;
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"the namespaces with prefix \"%s\" and \"%s\" keep what "
			"they know in one folder (%s) and have different "
			"bridge_commands: each store needs a path of its own",
			ns->prefix, other->prefix, dir);
	}
	return 0;
}

static int bridge_list_init(struct mailbox_list *_list, const char **error_r)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	struct session_settings set;

	if (bridge_owner_find(_list->ns, &list->owner, error_r) < 0 ||
	    bridge_settings_read(_list->ns, &list->owner, &list->set,
				 error_r) < 0)
		return -1;
	if (_list->set.index_dir != NULL && *_list->set.index_dir == '\0') {
		*error_r = "INDEX=MEMORY cannot be used: UIDs must be kept";
		return -1;
	}
	if (_list->set.root_dir == NULL || *_list->set.root_dir == '\0') {
		*error_r = "mail_location = bridge:PATH needs a path, where "
			"UIDs and local flags are kept";
		return -1;
	}
	list->event = bridge_event_create(list);
	bridge_list_session_settings(list, &set);
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

/* --- names and paths ------------------------------------------------------- */

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

	if (!mailbox_list_set_get_root_path(&_list->set, type, &root)) {
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

/* --- what the backend lists ------------------------------------------------ */

static void bridge_list_log_skipped(struct bridge_mailbox_list *list)
{
	size_t i;

	if (list->skipped_logged)
		return;
	for (i = 0; i < list->boxes->skipped_count; i++)
		bridge_list_log(list, SESSION_LOG_WARNING,
				list->boxes->skipped[i]);
	list->skipped_logged = list->boxes->skipped_count > 0;
}

static void bridge_list_warn(void *context, const char *text)
{
	bridge_list_log(context, SESSION_LOG_WARNING, text);
}

/* Where the list of mailboxes is kept. Its folder is made for it; if that fails
   the error is logged, and only this process knows the list. */
static void bridge_list_init_known(struct bridge_mailbox_list *list)
{
	if (mailbox_list_mkdir_root(&list->list, bridge_paths_control(list),
				    MAILBOX_LIST_PATH_TYPE_CONTROL) < 0)
		mailbox_list_clear_error(&list->list);
	list->known = boxes_init(bridge_paths_boxes(list), bridge_list_warn,
				 list);
}

/* A public namespace is everybody's; who starts imap by hand names the folder himself,
   and is called as the system calls him. */
static bool bridge_list_is_of_one_user(const struct bridge_mailbox_list *list)
{
	return list->list.ns->type != MAIL_NAMESPACE_TYPE_PUBLIC &&
		list->list.ns->user->userdb_fields != NULL;
}

/* Before the store is asked for its mailboxes: a namespace may have been added since,
   the owner stays. */
static int bridge_list_check_owner(struct bridge_mailbox_list *list,
				   struct fault *fault)
{
	int ret;

	T_BEGIN {
		ret = bridge_list_check_others(list, fault);
		if (ret == 0 && !list->owner_checked &&
		    bridge_list_is_of_one_user(list)) {
			ret = bridge_owner_check(&list->owner,
				bridge_paths_control(list), fault);
			list->owner_checked = ret == 0;
		}
	} T_END;
	return ret;
}

/* Returns 0, or -1 and a fault. */
static int bridge_list_prepare(struct bridge_mailbox_list *list,
			       struct fault *fault)
{
	if (list->known == NULL) T_BEGIN {
		bridge_list_init_known(list);
	} T_END;
	return bridge_list_check_owner(list, fault);
}

/* Returns 0 if the store has given its list, 1 if it has not in so much time, -1 and a
   fault. */
static int
bridge_list_ask(struct bridge_mailbox_list *list, bool force,
		unsigned int within_msecs, struct fault *fault)
{
	struct reconcile_policy policy;
	int ret;

	i_zero(&policy);
	policy.force = force;
	policy.now = time(NULL);
	policy.brake_pause_secs = list->set.brake_pause_secs;
	list->boxes = NULL;
	ret = boxes_ask_within(list->known, list->session, &policy,
			       within_msecs, fault);
	if (ret != 0)
		return ret;
	list->boxes = boxes_known(list->known);
	list->boxes_timeval = ioloop_timeval;
	list->boxes_time = ioloop_time;
	list->late_since = 0;
	i_free(list->logged);
	bridge_list_log_skipped(list);
	return 0;
}

static bool bridge_list_is_late(const struct bridge_mailbox_list *list)
{
	return list->late_since != 0 && ioloop_time >= list->late_since &&
		ioloop_time - list->late_since < LIST_LATE_SECS;
}

/* One command may ask for each mailbox (LIST with STATUS, NOTIFY): it waits once for a
   store that hangs. */
static int
bridge_list_refresh_once(struct bridge_mailbox_list *list, bool force,
			 struct fault *fault)
{
	uint64_t start = session_now_msecs();

	if (!force && timeval_cmp(&list->hung_timeval, &ioloop_timeval) == 0)
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: has not answered \"LIST\" for this command, and "
			"is not asked again", list->set.argv[0]);
	if (bridge_list_ask(list, force, UINT_MAX, fault) == 0)
		return 0;
	if (bridge_list_is_late(list) ||
	    session_now_msecs() - start >= LIST_KNOWN_MSECS)
		list->hung_timeval = ioloop_timeval;
	return -1;
}

int bridge_list_refresh(struct bridge_mailbox_list *list, bool force)
{
	struct fault fault;

	if (bridge_list_prepare(list, &fault) < 0 ||
	    bridge_list_refresh_once(list, force, &fault) < 0)
		return bridge_fault_list(&list->list, &fault);
	return 0;
}

/* How long a list of all mailboxes waits for this store. */
static unsigned int bridge_list_patience(struct bridge_mailbox_list *list)
{
	if (bridge_list_is_late(list))
		return LIST_LATE_MSECS;
	return boxes_are_known(list->known) ? LIST_KNOWN_MSECS :
		LIST_FIRST_MSECS;
}

/* As bridge_list_ask(). A store that hangs may be a fault, too, after a while. */
static int bridge_list_ask_patiently(struct bridge_mailbox_list *list,
				     struct fault *fault)
{
	unsigned int msecs = bridge_list_patience(list);
	uint64_t start = session_now_msecs();
	int ret = bridge_list_ask(list, FALSE, msecs, fault);

	if (ret > 0)
		(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
				"%s: has not answered \"LIST\" for %u ms",
				list->set.argv[0], msecs);
	if (ret != 0 && msecs != LIST_LATE_MSECS &&
	    session_now_msecs() - start >= LIST_KNOWN_MSECS)
		list->late_since = time(NULL);
	return ret;
}

/* Lists are asked for all the time: one line tells it, and another one a while later. */
static void bridge_list_log_fault(struct bridge_mailbox_list *list,
				  const struct fault *fault)
{
	if (null_strcmp(list->logged, fault->log) == 0 &&
	    ioloop_time - list->logged_time < LIST_LOG_AGAIN_SECS) {
		e_debug(list->event, "%s", fault->log);
		return;
	}
	i_free(list->logged);
	list->logged = i_strdup(fault->log);
	list->logged_time = ioloop_time;
	e_error(list->list.ns->user->event, "bridge: %s%s", fault->log,
		boxes_are_known(list->known) ? ": the mailboxes that are known "
		"are shown" : "");
}

/* A store that is all that the user has hides nothing: the client is told. */
static bool bridge_list_is_alone(const struct bridge_mailbox_list *list)
{
	const struct mail_namespace *ns;

	for (ns = list->list.ns->user->namespaces; ns != NULL; ns = ns->next) {
		if (ns != list->list.ns && ns->alias_for != list->list.ns)
			return FALSE;
	}
	return TRUE;
}

int bridge_list_show(struct bridge_mailbox_list *list)
{
	struct fault fault;
	int ret;

	if (bridge_list_is_alone(list))
		return bridge_list_refresh(list, FALSE);
	ret = bridge_list_prepare(list, &fault);
	if (ret < 0)
		return bridge_fault_list(&list->list, &fault);
	if (timeval_cmp(&list->failed_timeval, &ioloop_timeval) != 0) {
		if (bridge_list_ask_patiently(list, &fault) == 0)
			return 0;
		list->failed_timeval = ioloop_timeval;
		bridge_list_log_fault(list, &fault);
	}
	/* good for this list alone */
	list->boxes = NULL;
	if (boxes_are_known(list->known)) {
		list->boxes = boxes_known(list->known);
		list->boxes_time = 0;
		return 0;
	}
	mailbox_list_set_error(&list->list, MAIL_ERROR_UNAVAILABLE,
			       fault_code_text(FAULT_UNAVAILABLE));
	return -1;
}

int bridge_list_lookup(struct bridge_mailbox_list *list, const char *name,
		       const struct listing_box **box_r)
{
	if (list->boxes != NULL && list->boxes_time == ioloop_time) {
		*box_r = listing_box_find(list->boxes, view_of(name));
		if (*box_r != NULL && (*box_r)->missing_since == 0)
			return 0;
	}
	*box_r = NULL;
	if (bridge_list_refresh(list, FALSE) < 0)
		return -1;
	*box_r = listing_box_find(list->boxes, view_of(name));
	return 0;
}

enum mailbox_info_flags bridge_list_box_flags(const struct listing_box *box)
{
	enum mailbox_info_flags flags = 0;
	struct view rest, elem;
	unsigned int i;

	if (box->flags == NULL)
		return 0;
	rest = view_of(box->flags);
	while (wire_list_next(&rest, &elem)) {
		for (i = 0; i < N_ELEMENTS(box_flags); i++) {
			if (view_is_nocase(elem, box_flags[i].name))
				flags |= box_flags[i].flag;
		}
	}
	return flags;
}

/* --- iteration ------------------------------------------------------------- */

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
	for (i = 0; i < list->boxes->count; i++) {
		box = &list->boxes->boxes[i];
		bridge_list_add_parents(&update, _list, box->name);
		bridge_list_add_box(&update, _list, box->name,
				    bridge_list_box_flags(box));
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

static struct mailbox_list_iterate_context *
bridge_list_iter_init(struct mailbox_list *_list, const char *const *patterns,
		      enum mailbox_list_iter_flags flags)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	struct mailbox_list_iterate_context *sub_ctx;
	struct bridge_list_iter *ctx;
	char sep = mail_namespace_get_sep(_list->ns);
	pool_t pool;
	int ret = 0;

	if ((flags & MAILBOX_LIST_ITER_SELECT_SUBSCRIBED) == 0 ||
	    (flags & MAILBOX_LIST_ITER_RETURN_NO_FLAGS) == 0)
		ret = bridge_list_show(list);
	if (ret < 0 && bridge_list_may_be_empty(_list, flags))
		ret = 1;
	if ((flags & MAILBOX_LIST_ITER_SELECT_SUBSCRIBED) != 0) {
		sub_ctx = mailbox_list_subscriptions_iter_init(_list, patterns,
							       flags);
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
	unsigned int i;

	str_truncate(ctx->special_use, 0);
	for (i = 0; i < N_ELEMENTS(box_flags); i++) {
		if ((flags & box_flags[i].flag &
		     MAILBOX_SPECIALUSE_MASK) == 0)
			continue;
		if (str_len(ctx->special_use) > 0)
			str_append_c(ctx->special_use, ' ');
		str_append(ctx->special_use, box_flags[i].name);
	}
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
	if ((_ctx->flags & MAILBOX_LIST_ITER_SELECT_SUBSCRIBED) != 0)
		return mailbox_list_subscriptions_iter_next(_ctx);
	do {
		node = mailbox_tree_iterate_next(ctx->iter, &vname);
		if (node == NULL)
			return mailbox_list_iter_default_next(_ctx);
	} while ((node->flags & MAILBOX_MATCHED) == 0 ||
		 bridge_list_is_prefix(_ctx->list->ns, vname));
	ctx->info.vname = vname;
	ctx->info.flags = node->flags;
	if ((_ctx->flags & MAILBOX_LIST_ITER_RETURN_SUBSCRIBED) != 0)
		mailbox_list_set_subscription_flags(_ctx->list, vname,
						    &ctx->info.flags);
	bridge_list_set_special_use(ctx, node->flags);
	return &ctx->info;
}

static int bridge_list_iter_deinit(struct mailbox_list_iterate_context *_ctx)
{
	struct bridge_list_iter *ctx =
		container_of(_ctx, struct bridge_list_iter, ctx);
	int ret = _ctx->failed ? -1 : 0;

	if ((_ctx->flags & MAILBOX_LIST_ITER_SELECT_SUBSCRIBED) != 0)
		return mailbox_list_subscriptions_iter_deinit(_ctx);
	mailbox_tree_iterate_deinit(&ctx->iter);
	mailbox_tree_deinit(&ctx->tree);
	pool_unref(&_ctx->pool);
	return ret;
}

/* --- subscriptions are local ----------------------------------------------- */

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
		.delete_mailbox = bridge_list_delete_mailbox,
		.delete_dir = bridge_list_delete_dir,
		.delete_symlink = bridge_list_delete_symlink,
		.rename_mailbox = bridge_list_rename_mailbox,
	}
};
