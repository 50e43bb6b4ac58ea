#include "lib.h"
#include "compat.h"
#include "bridge-paths.h"
#include "bridge-private.h"

#define LIST_FILE "dovebridge-mailboxes"
#define STATUS_DIR "dovebridge-sessions"

/* Below a root. */
static const char *
paths_below(const struct bridge_mailbox_list *list, const char *root,
	    const char *rest)
{
	return t_strconcat(root, list->set.store_dir, rest, NULL);
}

static const char *paths_control_root(struct bridge_mailbox_list *list)
{
	return mailbox_list_get_root_forced(&list->list,
					    MAILBOX_LIST_PATH_TYPE_CONTROL);
}

const char *bridge_paths_control(struct bridge_mailbox_list *list)
{
	return paths_below(list, paths_control_root(list), NULL);
}

const char *bridge_paths_boxes(struct bridge_mailbox_list *list)
{
	return paths_below(list, paths_control_root(list), "/"LIST_FILE);
}

const char *bridge_paths_status(struct bridge_mailbox_list *list)
{
	const char *root = compat_list_volatile(&list->list);

	return paths_below(list, root != NULL ? root : paths_control_root(list),
			   "/"STATUS_DIR);
}

/* --- of all stores of the location --------------------------------------- */

const char *bridge_paths_uidvalidity(struct mailbox_list *list)
{
	return t_strconcat(mailbox_list_get_root_forced(list,
				MAILBOX_LIST_PATH_TYPE_CONTROL),
			   "/dovecot-uidvalidity", NULL);
}

const char *bridge_paths_watch(struct mailbox_list *list)
{
	return t_strconcat(mailbox_list_get_root_forced(list,
				MAILBOX_LIST_PATH_TYPE_CONTROL),
			   "/dovebridge-watch", NULL);
}

const char *bridge_paths_subscriptions(struct mailbox_list *list,
				       const char **root_r,
				       enum mailbox_list_path_type *type_r)
{
	*type_r = compat_list_has_control(list) ?
		MAILBOX_LIST_PATH_TYPE_CONTROL : MAILBOX_LIST_PATH_TYPE_DIR;
	*root_r = mailbox_list_get_root_forced(list, *type_r);
	return t_strconcat(*root_r, "/", compat_list_subscriptions(list), NULL);
}

/* --- of a mailbox -------------------------------------------------------- */

const char *bridge_paths_mailboxes(struct bridge_mailbox_list *list,
				   enum mailbox_list_path_type type)
{
	const char *root;

	if (!compat_list_root(&list->list, type, &root))
		return NULL;
	return paths_below(list, root, "/"BRIDGE_MAILBOXES_DIR);
}

const char *bridge_paths_mailbox(struct bridge_mailbox_list *list,
				 enum mailbox_list_path_type type,
				 const char *folder)
{
	const char *dir = bridge_paths_mailboxes(list, type);

	return dir == NULL ? NULL : t_strconcat(dir, "/", folder, NULL);
}

const char *bridge_paths_folder(struct bridge_mailbox_list *list,
				const char *folder)
{
	return t_strconcat(bridge_paths_control(list),
			   "/"BRIDGE_MAILBOXES_DIR"/", folder, NULL);
}
