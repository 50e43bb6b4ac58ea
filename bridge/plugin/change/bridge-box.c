/* Mailboxes are made, removed and renamed by the store; what is kept here follows
 * it. */
#include "lib.h"
#include "compat.h"
#include "bridge-box.h"
#include "bridge-fault.h"
#include "bridge-identity.h"
#include "bridge-known.h"
#include "bridge-mailbox.h"
#include "bridge-map.h"
#include "bridge-paths.h"
#include "bridge-private.h"
#include "bridge-sync.h"
#include "unlink-directory.h"

#include "listing.h"
#include "names.h"
#include "write.h"

#include <stdio.h>
#include <unistd.h>

/* Whether the store has this verb. Returns 0, or -1 and a fault. */
static int bridge_box_may(struct bridge_mailbox_list *list, enum verb_id verb,
			  struct fault *fault)
{
	const struct caps *caps = session_caps(list->session, fault);

	if (caps == NULL)
		return -1;
	if (caps->verbs[verb])
		return 0;
	(void)fault_set(fault, FAULT_NOPERM, FAULT_SCOPE_MAILBOX,
			"%s: does not offer %s", list->set.argv[0],
			verb_info(verb)->name);
	fault_set_user(fault, view_of("This mail store is read-only: its "
				      "mailboxes cannot be changed"));
	fault->from_backend = TRUE;
	return -1;
}

/* A name that a client has made up, for the wire. Dovecot lets pass more than the
   store would be served with (protocol.md, 2.16 and 7.3), and then the mailbox was
   made, and is not there. NULL and a fault if the name is none. */
static const char *bridge_box_wire_new(const char *name, struct fault *fault)
{
	const char *why = names_fault(view_of(name));
	struct buf buf = { NULL, 0, 0 };
	const char *text;

	if (why == NULL) {
		wire_encode(view_of(name), &buf);
		text = t_strdup(buf_str(&buf));
		buf_free(&buf);
		return text;
	}
	text = t_strdup_printf("The mailbox name %s", why);
	(void)fault_set(fault, FAULT_CANNOT, FAULT_SCOPE_MAILBOX,
			"mailbox %s is not made: its name %s", name, why);
	fault_set_user(fault, view_of(text));
	fault->from_backend = TRUE;	/* no news for the admin */
	return NULL;
}

/* No mailbox is listed under this name. Returns -1, and the fault. */
static int bridge_box_none(const char *name, struct fault *fault)
{
	(void)fault_set(fault, FAULT_NOTFOUND, FAULT_SCOPE_MAILBOX,
			"no mailbox %s", name);
	fault->from_backend = TRUE;
	return -1;
}

/* Ask the store for one of CREATE, DELETE, RENAME. name_new is what a client has
   made up, NULL for DELETE; wire the mailbox that is there. Returns 0, or -1 and
   a fault. */
static int bridge_box_ask(struct bridge_mailbox_list *list, enum verb_id verb,
			  const char *wire, const char *name_new,
			  struct fault *fault)
{
	const char *wire_new = NULL;

	if (bridge_box_may(list, verb, fault) < 0)
		return -1;
	if (name_new != NULL) {
		wire_new = bridge_box_wire_new(name_new, fault);
		if (wire_new == NULL)
			return -1;
	}
	return wire == NULL ?
		write_box(list->session, verb, wire_new, NULL, fault) :
		write_box(list->session, verb, wire, wire_new, fault);
}

/* dsync gives a mailbox the GUID and the UIDs that it has elsewhere: the map's.
   The rest is the index's alone: dsync passes on what the other side caches, to
   one that it only reads from, too. */
int bridge_box_update(struct mailbox *box, const struct mailbox_update *update)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	struct mailbox_update index_update;
	const struct caps *caps;
	struct fault fault;
	int ret;

	if (guid_128_is_empty(update->mailbox_guid) &&
	    update->uid_validity == 0 && update->min_next_uid == 0)
		return index_storage_mailbox_update(box, update);
	if ((!box->opened && mailbox_open(box) < 0) ||
	    bridge_box_may_write(mbox, VERB_APPEND,
				 "mailboxes cannot be changed", &caps) < 0)
		return -1;
	if (caps->uids && update->uid_validity != 0)
		return bridge_fault_own_uids(box);
	if (bridge_sync_lock_in_step(mbox) < 0)
		return -1;
	ret = idmap_identify(mbox->map, update->uid_validity,
		guid_128_is_empty(update->mailbox_guid) ? NULL :
		update->mailbox_guid, caps->uids ? 0 : update->min_next_uid,
		bridge_map_fsyncs(mbox), &fault);
	if (ret < 0)
		(void)bridge_fault_box(box, &fault);
	idmap_unlock(mbox->map);
	/* and the index follows */
	if (ret == 0 && bridge_sync_lock_in_step(mbox) == 0)
		idmap_unlock(mbox->map);
	else
		ret = -1;
	index_update = *update;
	if (caps->uids)
		index_update.min_next_uid = 0;
	return ret < 0 ? -1 : index_storage_mailbox_update(box, &index_update);
}

/* A store may take CREATE of what it has for well done. It is asked for its
   mailboxes now: another session may just have deleted this one. Returns 1 if there is
   none, 0 if one is known that is missing or cannot be selected, -1 with the storage's
   error set. */
static int bridge_box_check_new(struct bridge_mailbox *mbox)
{
	const struct listing_box *lbox;

	if (bridge_known_refresh(mbox->list, FALSE) < 0) {
		mail_storage_copy_list_error(mbox->box.storage,
					     &mbox->list->list);
		return -1;
	}
	lbox = listing_box_find(mbox->list->boxes, view_of(mbox->box.name));
	if (lbox == NULL)
		return 1;
	if (lbox->missing_since != 0 || (bridge_known_flags(lbox) &
	     (MAILBOX_NOSELECT | MAILBOX_NONEXISTENT)) != 0)
		return 0;
	mail_storage_set_error(mbox->box.storage, MAIL_ERROR_EXISTS,
			       "Mailbox already exists");
	return -1;
}

/* --- what is kept here --------------------------------------------------- */

/* The folders that a mailbox may have, each once. */
static const enum mailbox_list_path_type path_types[] = {
	MAILBOX_LIST_PATH_TYPE_CONTROL,
	MAILBOX_LIST_PATH_TYPE_INDEX,
	MAILBOX_LIST_PATH_TYPE_INDEX_CACHE,
	MAILBOX_LIST_PATH_TYPE_LIST_INDEX,
};

/* The folder of a mailbox that is kept under its name; NULL if there is none of this
   type. */
static const char *
path_by_name(struct mailbox_list *list, const char *name,
	     enum mailbox_list_path_type type)
{
	return bridge_paths_mailbox(BRIDGE_LIST(list), type,
				    bridge_identity_name_folder(name));
}

static void bridge_box_remove_folder(struct mailbox_list *list,
				     const char *path)
{
	const char *error;

	if (unlink_directory(path, UNLINK_DIRECTORY_FLAG_RMDIR, &error) < 0 &&
	    errno != ENOENT)
		e_error(list->ns->user->event, "bridge: %s", error);
}

/* What a mailbox of this name left that is not the store's any more: its rights, among
   others, were given to that one. */
static void bridge_box_remove_earlier(struct mailbox_list *list,
				      const char *name)
{
	const char *path;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(path_types); i++) {
		path = path_by_name(list, name, path_types[i]);
		if (path != NULL)
			bridge_box_remove_folder(list, path);
	}
}

int bridge_box_delete_folders(struct mailbox_list *list, const char *name)
{
	const char *path;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(path_types); i++) {
		if (mailbox_list_get_path(list, name, path_types[i],
					  &path) > 0)
			bridge_box_remove_folder(list, path);
	}
	bridge_box_remove_earlier(list, name);
	return 0;
}

int bridge_box_delete_dir(struct mailbox_list *list ATTR_UNUSED,
			  const char *name ATTR_UNUSED)
{
	return 0;
}

/* --- CREATE -------------------------------------------------------------- */

int bridge_box_create(struct mailbox *box, const struct mailbox_update *update,
		      bool directory)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	const struct caps *caps;
	struct fault fault;
	int is_new;

	/* "CREATE a/" says that mailboxes below a will be made: a store needs no
	   a for that */
	if (directory)
		return 0;
	/* before there is a mailbox that dsync takes for another one */
	caps = session_caps(mbox->list->session, &fault);
	if (caps != NULL && caps->uids && update != NULL &&
	    update->uid_validity != 0)
		return bridge_fault_own_uids(box);
	is_new = bridge_box_check_new(mbox);
	if (is_new < 0)
		return -1;
	if (bridge_box_ask(mbox->list, VERB_CREATE, NULL, box->name,
			   &fault) < 0)
		return bridge_fault_box(box, &fault);
	mbox->list->boxes = NULL;
	/* not before the store has made it: one that is away may come back */
	if (is_new > 0 && !box->opened)
		bridge_box_remove_earlier(box->list, box->name);
	/* acl (2.3.19) puts the rights of the parent there before it is opened. The
	   store has it in any case; what fails is logged. */
	(void)mailbox_create_missing_dir(box, MAILBOX_LIST_PATH_TYPE_CONTROL);
	return update == NULL ? 0 : bridge_box_update(box, update);
}

int bridge_box_make(struct bridge_mailbox *mbox)
{
	if (bridge_box_create(&mbox->box, NULL, FALSE) < 0 &&
	    mailbox_get_last_mail_error(&mbox->box) != MAIL_ERROR_EXISTS)
		return -1;
	return bridge_mailbox_find(mbox);
}

/* --- DELETE -------------------------------------------------------------- */

static int bridge_box_check_empty(struct mailbox *box)
{
	struct mailbox_status status;

	if (!box->deleting_must_be_empty)
		return 0;
	if (mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	mailbox_get_open_status(box, STATUS_MESSAGES, &status);
	if (status.messages == 0)
		return 0;
	mail_storage_set_error(box->storage, MAIL_ERROR_EXISTS,
			       "Mailbox isn't empty");
	return -1;
}

/* The INBOX is never deleted. dsync does so where it finds another one than on the
   other side; if it is empty, only what is kept here of it goes. */
static int bridge_box_delete_inbox(struct mailbox *box)
{
	box->deleting_must_be_empty = TRUE;
	if (!box->opened || bridge_box_check_empty(box) < 0) {
		mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
				       "INBOX can't be deleted.");
		return -1;
	}
	if (mailbox_mark_index_deleted(box, TRUE) < 0)
		return -1;
	return index_storage_mailbox_delete_post(box);
}

/* The name as the store lists it: Dovecot also deletes what it could not open, by
   any name that the client says. NULL with the mailbox's error set. */
static const char *bridge_box_delete_wire(struct bridge_mailbox *mbox)
{
	const struct listing_box *box;
	struct fault fault;

	if (mbox->wire_name != NULL)
		return t_strdup(mbox->wire_name);
	if (bridge_known_lookup(mbox->list, mbox->box.name, &box) < 0) {
		mail_storage_copy_list_error(mbox->box.storage,
					     &mbox->list->list);
		return NULL;
	}
	if (box != NULL)
		return t_strdup(box->wire);
	(void)bridge_box_none(mbox->box.name, &fault);
	(void)bridge_fault_box(&mbox->box, &fault);
	return NULL;
}

/* One request, not one for each message: the index is marked as deleted first, so
   that other sessions leave it alone; if the store then refuses, it is marked
   back. */
int bridge_box_delete(struct mailbox *box)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);
	struct bridge_mailbox_list *list = mbox->list;
	const char *name = t_strdup(box->name), *wire;
	struct fault fault;
	bool opened = box->opened;
	int ret;

	if (strcmp(name, "INBOX") == 0)
		return bridge_box_delete_inbox(box);
	wire = bridge_box_delete_wire(mbox);
	if (wire == NULL)
		return -1;
	if (opened && (bridge_box_check_empty(box) < 0 ||
		       mailbox_mark_index_deleted(box, TRUE) < 0))
		return -1;
	ret = bridge_box_ask(list, VERB_DELETE, wire, NULL, &fault);
	if (ret < 0) {
		if (opened)
			(void)mailbox_mark_index_deleted(box, FALSE);
		list->boxes = NULL;
		return bridge_fault_box(box, &fault);
	}
	ret = opened ? index_storage_mailbox_delete_post(box) : 0;
	if (list->known != NULL)
		boxes_forget(list->known, name, FALSE);
	list->boxes = NULL;
	return ret;
}

/* --- RENAME -------------------------------------------------------------- */

/* What is kept under an id stays where it is; the folder of the name follows it. */
static void bridge_box_move_folders(struct mailbox_list *list,
				    const char *old, const char *new)
{
	const char *from, *to;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(path_types); i++) {
		from = path_by_name(list, old, path_types[i]);
		to = path_by_name(list, new, path_types[i]);
		if (from == NULL || to == NULL || access(from, F_OK) < 0)
			continue;
		/* what an earlier mailbox of that name left */
		bridge_box_remove_folder(list, to);
		if (rename(from, to) < 0)
			e_error(list->ns->user->event, "bridge: rename(%s, %s) "
				"failed: %m", from, to);
	}
}

static bool bridge_box_is_or_below(const char *name, const char *parent)
{
	size_t len = strlen(parent);

	return compat_begins(name, parent) &&
		(name[len] == '\0' || name[len] == '/');
}

/* Whether the store lists a mailbox between parent and this one. */
static bool bridge_box_has_listed_above(struct bridge_mailbox_list *list,
					const char *name, const char *parent)
{
	const char *p = name + strlen(parent) + 1;
	bool found = FALSE;

	while (!found && (p = strchr(p, '/')) != NULL) T_BEGIN {
		found = listing_box_find(list->boxes,
			view_of(t_strdup_until(name, p))) != NULL;
		p++;
	} T_END;
	return found;
}

/* One RENAME of the store, which takes the children along, and then what is kept of
   them: it may be the last that works. Returns 0, or -1 and a fault. */
static int
bridge_box_rename_one(struct bridge_mailbox_list *list,
		      const struct listing_box *top, const char *new,
		      struct fault *fault)
{
	const struct listing_box *box;
	size_t i;

	if (bridge_box_ask(list, VERB_RENAME, top->wire, new, fault) < 0)
		return -1;
	for (i = 0; i < list->boxes->count; i++) T_BEGIN {
		box = &list->boxes->boxes[i];
		if (bridge_box_is_or_below(box->name, top->name))
			bridge_box_move_folders(&list->list, box->name,
				t_strconcat(new, box->name + strlen(top->name),
					    NULL));
	} T_END;
	return 0;
}

/* A parent that is shown for its children's sake only is none of the store's: then
   each of them is renamed. Returns 0, or -1 and a fault. */
static int bridge_box_rename(struct bridge_mailbox_list *list,
			     const char *old, const char *new,
			     struct fault *fault)
{
	const struct listing_box *box;
	size_t i, renamed = 0;
	int ret = 0;

	box = listing_box_find(list->boxes, view_of(old));
	if (box != NULL)
		return bridge_box_rename_one(list, box, new, fault);
	for (i = 0; ret == 0 && i < list->boxes->count; i++) T_BEGIN {
		box = &list->boxes->boxes[i];
		if (bridge_box_is_or_below(box->name, old) &&
		    !bridge_box_has_listed_above(list, box->name, old)) {
			ret = bridge_box_rename_one(list, box,
				t_strconcat(new, box->name + strlen(old),
					    NULL), fault);
			renamed++;
		}
	} T_END;
	return ret == 0 && renamed == 0 ? bridge_box_none(old, fault) : ret;
}

/* A store may replace what has the new name already: it is not asked. The name and those
   below it are looked for as they were listed just now, or are known and missing.
   Returns 0, -1 with the list's error set. */
static int bridge_box_check_target(struct bridge_mailbox_list *list,
				   const char *old, const char *new)
{
	bool there = FALSE, taken = FALSE;
	const struct listing_box *box;
	size_t i;

	for (i = 0; !taken && i < list->boxes->count; i++) T_BEGIN {
		box = &list->boxes->boxes[i];
		if (bridge_box_is_or_below(box->name, old)) {
			there = TRUE;
			taken = listing_box_find(list->boxes,
				view_of(t_strconcat(new, box->name +
						    strlen(old), NULL))) != NULL;
		}
	} T_END;
	if (there && !taken)
		taken = listing_box_find(list->boxes, view_of(new)) != NULL;
	if (!taken)
		return 0;
	mailbox_list_set_error(&list->list, MAIL_ERROR_EXISTS,
			       "Target mailbox already exists");
	return -1;
}

/* The maps of the mailboxes that are renamed. */
struct box_locks {
	struct idmap **maps;
	size_t count;
};

/* A save that is in progress ends under the name that it began with, and nobody
   begins one meanwhile. In the order of names; everybody else holds one lock at
   the most. Returns 0, or -1 and a fault. */
static int bridge_box_lock(struct bridge_mailbox_list *list, const char *name,
			   struct box_locks *locks, struct fault *fault)
{
	struct idmap *map;
	const char *path;

	if (mailbox_list_get_path(&list->list, name,
				  MAILBOX_LIST_PATH_TYPE_CONTROL, &path) <= 0 ||
	    access(path, F_OK) < 0)
		return 0;
	map = idmap_init(t_strconcat(path, "/"BRIDGE_MAP_NAME, NULL));
	locks->maps[locks->count++] = map;
	return idmap_lock(map, list->set.lock_timeout_msecs, NULL, NULL, fault);
}

static int bridge_box_lock_all(struct bridge_mailbox_list *list,
			       const char *old, struct box_locks *locks,
			       struct fault *fault)
{
	size_t i;
	int ret = 0;

	locks->count = 0;
	locks->maps = i_new(struct idmap *, list->boxes->count + 1);
	for (i = 0; ret == 0 && i < list->boxes->count; i++) T_BEGIN {
		const char *name = list->boxes->boxes[i].name;

		if (bridge_box_is_or_below(name, old))
			ret = bridge_box_lock(list, name, locks, fault);
	} T_END;
	return ret;
}

static void bridge_box_unlock_all(struct box_locks *locks)
{
	while (locks->count > 0)
		idmap_deinit(&locks->maps[--locks->count]);
	i_free(locks->maps);
}

int bridge_box_rename_mailbox(struct mailbox_list *_list, const char *old,
			      struct mailbox_list *new_list, const char *new)
{
	struct bridge_mailbox_list *list = BRIDGE_LIST(_list);
	struct box_locks locks;
	struct fault fault;
	int ret;

	if (_list != new_list) {
		mailbox_list_set_error(_list, MAIL_ERROR_NOTPOSSIBLE,
			"Can't rename mailboxes across storages");
		return -1;
	}
	if (bridge_box_may(list, VERB_RENAME, &fault) < 0)
		return bridge_fault_list(_list, &fault);
	if (strcmp(old, "INBOX") == 0) {
		mailbox_list_set_error(_list, MAIL_ERROR_NOTPOSSIBLE,
			"Renaming INBOX isn't supported.");
		return -1;
	}
	/* ids and children as they are before */
	if (bridge_known_refresh(list, FALSE) < 0 ||
	    bridge_box_check_target(list, old, new) < 0)
		return -1;
	ret = bridge_box_lock_all(list, old, &locks, &fault);
	if (ret == 0)
		ret = bridge_box_rename(list, old, new, &fault);
	bridge_box_unlock_all(&locks);
	if (ret < 0) {
		list->boxes = NULL;
		return bridge_fault_list(_list, &fault);
	}
	boxes_forget(list->known, old, TRUE);
	list->boxes = NULL;
	return 0;
}

int bridge_box_may_write(struct bridge_mailbox *mbox, enum verb_id verb,
			 const char *what, const struct caps **caps_r)
{
	struct fault fault;
	int ret;

	*caps_r = session_caps(mbox->list->session, &fault);
	if (*caps_r == NULL)
		return bridge_fault_box(&mbox->box, &fault);
	ret = bridge_mailbox_find(mbox);
	if (ret == 0 && (*caps_r)->verbs[VERB_CREATE])
		ret = bridge_box_make(mbox);
	if (ret < 0)
		return -1;
	if (ret == 0 || mbox->ro ||
	    (verb != VERB_COUNT && !(*caps_r)->verbs[verb]))
		return bridge_fault_readonly(&mbox->box, what);
	return 0;
}
