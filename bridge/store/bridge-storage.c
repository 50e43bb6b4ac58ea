#include "lib.h"
#include "compat.h"
#include "bridge-storage.h"

struct event_category event_category_bridge = {
	.name = BRIDGE_STORAGE_NAME,
	.parent = &event_category_storage,
};

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
		*error_r = t_strdup_printf("LAYOUT=%s cannot be used with "
			"bridge: the backend lists the mailboxes",
			ns->list->name);
		return -1;
	}
	/* One with the same root_dir has this storage, too: Dovecot wants that of
	   alias_for. What is asked of a backend is asked by way of the list, of
	   which each namespace has its own. */
	storage->unique_root_dir = p_strdup(storage->pool,
					    ns->list->set.root_dir);
	return 0;
}

static void
bridge_storage_get_list_settings(const struct mail_namespace *ns,
				 struct mailbox_list_settings *set)
{
	if (set->layout == NULL)
		set->layout = BRIDGE_LIST_NAME;
	if (set->subscription_fname == NULL)
		set->subscription_fname = "subscriptions";
	/* names are UTF-8 everywhere but on the IMAP wire */
	set->utf8 = TRUE;
	/* a name never becomes a path: its folder is a hash of it */
	set->no_fs_validation = TRUE;
	/* with another separator, a name may contain it */
	if (ns->set->separator != NULL && ns->set->separator[0] != '\0' &&
	    ns->set->separator[0] != '/' && set->vname_escape_char == '\0')
		set->vname_escape_char = '~';
}

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
		.alloc = bridge_storage_alloc,
		.create = bridge_storage_create,
		.destroy = index_storage_destroy,
		.get_list_settings = bridge_storage_get_list_settings,
		.mailbox_alloc = bridge_mailbox_alloc,
	}
};
