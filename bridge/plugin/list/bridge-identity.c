/* What a mailbox is kept under.
 *
 * Each mailbox has a folder below "mailboxes": "id=HASH" if it has an id, so that
 * it keeps its UIDs when it is renamed, and a new one under an old name has UIDs
 * of its own; else "NAME.HASH", made of its name.
 *
 * BOX tells an id with the list of mailboxes: then the folder is known. But the OK
 * of LIST box may give one, too, and that one decides: it comes when the mailbox
 * is open, and was listed under the lock that lies in its folder. So:
 *
 *   - the id that an OK gave is remembered, in "dovebridge-id" in the folder of
 *     the name, beside the id that BOX gave then: if BOX gives another one now,
 *     what is remembered is about another mailbox, and counts no more
 *   - a mailbox is opened from the folder that is known: by the id that is
 *     remembered, else by BOX's, else by its name
 *   - every synchronisation compares the id that the OK gives. If it is another
 *     one, nothing of the list is true for this folder: it is rolled back, and
 *     the id is remembered. As long as no client has seen anything of the mailbox,
 *     it is closed and opened again, from the right folder, and listed again.
 *     Later its UIDs have been shown: the client has to log in again
 *
 * Two names with one id would share a folder, and expunge each other's messages.
 * BOX cannot give one twice, which is checked with the list. For an id that an OK
 * gave, "dovebridge-name" in its folder is the name it was last seen under. If
 * that is another one, and still listed, the store is asked whose id it is. */
#include "lib.h"
#include "compat.h"
#include "str.h"
#include "hex-binary.h"
#include "mkdir-parents.h"
#include "bridge-fault.h"
#include "bridge-identity.h"
#include "bridge-known.h"
#include "bridge-paths.h"
#include "bridge-private.h"

#include "file.h"

#include <ctype.h>
#include <unistd.h>

#define READABLE_MAX 32		/* bytes of a name that a folder's name shows */
#define ID_FILE "dovebridge-id"
#define NAME_FILE "dovebridge-name"
#define RIGHTS_FILE "dovecot-acl"	/* of the plugin acl */
#define FILE_BYTES_MAX (6 * WIRE_ID_MAX + 2)	/* two words, all encoded */

/* --- folders ------------------------------------------------------------- */

/* Every name and id fits into a file name, and none can lead anywhere. Of a name
   it shows what is plain ASCII, for people; it never has a "=". */
static const char *folder_of(const char *name, const char *id)
{
	unsigned char hash[ID_HASH_SIZE];
	string_t *dir = t_str_new(128);
	const char *p;

	for (p = name; id == NULL && *p != '\0' &&
	     str_len(dir) < READABLE_MAX; p++) {
		if (i_isalnum(*p) || *p == '_')
			str_append_c(dir, *p);
		else if (str_len(dir) > 0 &&
			 str_c(dir)[str_len(dir) - 1] != '-')
			str_append_c(dir, '-');
	}
	str_append(dir, id != NULL ? "id=" : ".");
	id_hash(view_of(id != NULL ? id : name), hash);
	binary_to_hex_append(dir, hash, sizeof(hash));
	return str_c(dir);
}

const char *bridge_identity_name_folder(const char *name)
{
	return folder_of(name, NULL);
}

static const char *
control_path(struct bridge_mailbox_list *list, const char *folder,
	     const char *file)
{
	return t_strconcat(bridge_paths_folder(list, folder), "/", file, NULL);
}

/* --- what is remembered -------------------------------------------------- */

static int file_fault(const char *path, const char *what, struct fault *fault)
{
	return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
			 "%s: %s: %s", path, what, strerror(errno));
}

/* Replace a file of a folder, which is made; NULL removes it. Returns 0, -1 and a
   fault. */
static int
write_file(struct bridge_mailbox_list *list, const char *folder,
	   const char *file, const char *text, struct fault *fault)
{
	const char *path = control_path(list, folder, file);
	const char *dir = control_path(list, folder, "");
	int fd, ret;

	if (text == NULL) {
		if (unlink(path) < 0 && errno != ENOENT)
			return file_fault(path, "cannot be removed", fault);
		return 0;
	}
	if (mkdir_parents(dir, 0700) < 0 && errno != EEXIST)
		return file_fault(dir, "cannot be made", fault);
	fd = file_lock(t_strconcat(bridge_paths_boxes(list), ".lock", NULL),
		       BOXES_LOCK_WAIT_MSECS);
	if (fd < 0)
		return file_fault(path, "cannot be locked", fault);
	ret = file_replace(path, view_of(text), NULL);
	if (ret < 0)
		(void)file_fault(path, "cannot be written", fault);
	i_close_fd(&fd);
	return ret;
}

/* The words of a file of a folder, separated by one space, with LF at the end;
   NULL if there is none. One that is not such a line is not used, and warned
   of. */
static const char *const *
read_words(struct bridge_mailbox_list *list, const char *folder,
	   const char *file, unsigned int count)
{
	const char *path = control_path(list, folder, file);
	const char *const *words = NULL;
	struct buf text = { NULL, 0, 0 }, decoded = { NULL, 0, 0 };
	unsigned int i;
	int ret;

	ret = file_read(path, FILE_BYTES_MAX, &text, NULL);
	if (ret > 0 && text.len > 0 && strlen(text.p) == text.len &&
	    strchr(text.p, '\n') == text.p + text.len - 1) {
		words = t_strsplit(t_strndup(text.p, text.len - 1), " ");
		for (i = 0; i < count && words[i] != NULL; i++) {
			if (*words[i] == '\0' ||
			    wire_decode(view_of(words[i]), &decoded) < 0)
				break;
		}
		if (i < count || words[i] != NULL)
			words = NULL;
	}
	if (ret != 0 && words == NULL)
		e_warning(list->list.ns->user->event,
			  "bridge: %s: cannot be used: %s", path,
			  ret < 0 ? strerror(errno) : "it is damaged");
	buf_free(&text);
	buf_free(&decoded);
	return words;
}

/* The id that an OK gave the mailbox of this name; NULL if none is remembered.
   box_id is what BOX gives now, NULL = none. */
static const char *
remembered_id(struct bridge_mailbox_list *list, const char *name,
	      const char *box_id)
{
	const char *const *words = read_words(list, folder_of(name, NULL),
					      ID_FILE, 2);

	return words != NULL &&
		strcmp(words[1], box_id == NULL ? "-" : box_id) == 0 ?
		words[0] : NULL;
}

static int
remember_id(struct bridge_mailbox_list *list, const char *name,
	    const char *box_id, const char *ok_id, struct fault *fault)
{
	const char *line = ok_id == NULL ||
		null_strcmp(ok_id, box_id) == 0 ? NULL :
		t_strdup_printf("%s %s\n", ok_id, box_id == NULL ? "-" :
				box_id);

	return write_file(list, folder_of(name, NULL), ID_FILE, line, fault);
}

const char *
bridge_identity_known_folder(struct bridge_mailbox_list *list, const char *name,
			     const char *box_id)
{
	const char *id = remembered_id(list, name, box_id);

	return folder_of(name, id != NULL ? id : box_id);
}

int bridge_identity_folder(struct bridge_mailbox_list *list, const char *name,
			   const char **folder_r)
{
	const struct listing_box *box;

	if (list->boxes == NULL && bridge_known_refresh(list, FALSE) < 0)
		return -1;
	box = listing_box_find(list->boxes, view_of(name));
	*folder_r = bridge_identity_known_folder(list, name,
					box == NULL ? NULL : box->id);
	return 0;
}

const char *bridge_identity_last_name(struct bridge_mailbox_list *list,
				      const char *folder)
{
	const char *const *words = read_words(list, folder, NAME_FILE, 1);
	struct buf decoded = { NULL, 0, 0 };
	const char *name = NULL;

	if (words != NULL && wire_decode(view_of(words[0]), &decoded) == 0)
		name = t_strdup(buf_str(&decoded));
	buf_free(&decoded);
	return name;
}

/* --- whose id it is ------------------------------------------------------ */

static int
duplicate_fault(struct bridge_mailbox *mbox, const char *id, const char *other,
		struct fault *fault)
{
	return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
		"%s: gave the id %s to two mailboxes, %s and %s",
		mbox->list->set.argv[0], id, other, mbox->wire_name);
}

static int
ignore_msg(void *context ATTR_UNUSED,
	   const struct listing_msg *msg ATTR_UNUSED,
	   struct wire_error *error_r ATTR_UNUSED)
{
	return 0;
}

static void ignore_reset(void *context ATTR_UNUSED)
{
}

static const struct listing_sink ignore_sink = {
	.msg = ignore_msg,
	.reset = ignore_reset,
};

/* Does the store say that another mailbox has this id, too? Returns 0 if not, -1
   and a fault. */
static int
ask_other(struct bridge_mailbox *mbox, const char *id,
	  const struct listing_box *other, struct fault *fault)
{
	struct listing_end end;
	const char *other_id;
	int ret = 0;

	if (listing_read(mbox->list->session, other->wire, "-", &ignore_sink,
			 NULL, &end, fault) < 0)
		return fault->code == FAULT_NOTFOUND ? 0 : -1;
	other_id = end.box_id != NULL ? end.box_id : other->id;
	if (null_strcmp(other_id, id) == 0)
		ret = duplicate_fault(mbox, id, other->wire, fault);
	listing_end_free(&end);
	return ret;
}

/* The mailbox has an id that an OK gave. Returns 0 if no other has it, -1 and
   a fault. */
static int
own_id(struct bridge_mailbox *mbox, const char *id, struct fault *fault)
{
	struct bridge_mailbox_list *list = mbox->list;
	const struct listing_box *other;
	const char *folder = folder_of(mbox->box.name, id);
	struct buf name = { NULL, 0, 0 }, last = { NULL, 0, 0 };
	const char *const *words;
	size_t i;
	int ret = 0;

	for (i = 0; list->boxes != NULL && i < list->boxes->count; i++) {
		other = &list->boxes->boxes[i];
		if (null_strcmp(other->id, id) == 0 &&
		    other->missing_since == 0 &&
		    strcmp(other->name, mbox->box.name) != 0)
			return ask_other(mbox, id, other, fault);
	}
	wire_encode(view_of(mbox->box.name), &name);
	words = read_words(list, folder, NAME_FILE, 1);
	if (words == NULL || strcmp(words[0], buf_str(&name)) != 0) {
		if (words != NULL)
			(void)wire_decode(view_of(words[0]), &last);
		other = list->boxes == NULL ? NULL :
			listing_box_find(list->boxes, view_of_buf(&last));
		if (other != NULL && other->missing_since == 0)
			ret = ask_other(mbox, id, other, fault);
		if (ret == 0)
			ret = write_file(list, folder, NAME_FILE,
				t_strconcat(buf_str(&name), "\n", NULL),
				fault);
	}
	buf_free(&name);
	buf_free(&last);
	return ret;
}

/* --- opening and listing ------------------------------------------------- */

int bridge_identity_open(struct bridge_mailbox *mbox)
{
	const char *folder;

	if (bridge_identity_folder(mbox->list, mbox->box.name, &folder) < 0) {
		mail_storage_copy_list_error(mbox->box.storage,
					     mbox->box.list);
		return -1;
	}
	/* a box that has been made since it was looked for may have got an id */
	if (!compat_is_in_folder(&mbox->box, folder))
		compat_forget_folder(&mbox->box);
	mbox->folder = p_strdup(mbox->box.pool, folder);
	mbox->id_from_ok = mbox->wire_name != NULL &&
		remembered_id(mbox->list, mbox->box.name, mbox->box_id) != NULL;
	mbox->shown = mbox->replaced = FALSE;
	mbox->keeps = 0;
	return 0;
}

static int
replaced_fault(struct bridge_mailbox *mbox, const char *ok_id,
	       struct fault *fault)
{
	const char *id = ok_id != NULL ? ok_id : mbox->box_id;

	mbox->replaced = TRUE;
	mbox->list->boxes = NULL;
	return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
		"%s: another mailbox has the name %s now, with %s%s: it has to "
		"be opened again", mbox->list->set.argv[0], mbox->wire_name,
		id == NULL ? "no id" : "the id ", id == NULL ? "" : id);
}

int bridge_identity_check_listed(struct bridge_mailbox *mbox,
				 struct fault *fault)
{
	const char *folder = bridge_identity_known_folder(mbox->list,
					mbox->box.name, mbox->box_id);

	return strcmp(folder, mbox->folder) == 0 ? 0 :
		replaced_fault(mbox, NULL, fault);
}

int bridge_identity_check(struct bridge_mailbox *mbox, const char *ok_id,
			  struct fault *fault)
{
	const char *name = mbox->box.name;
	const char *id = ok_id != NULL ? ok_id : mbox->box_id;

	if (ok_id != NULL && null_strcmp(ok_id, mbox->box_id) != 0 &&
	    own_id(mbox, ok_id, fault) < 0)
		return -1;
	if (strcmp(folder_of(name, id), mbox->folder) == 0)
		return 1;
	if (remember_id(mbox->list, name, mbox->box_id, ok_id, fault) < 0)
		return -1;
	return mbox->shown ? replaced_fault(mbox, ok_id, fault) : 0;
}

/* acl (2.3.19) looks for the rights in the folder that a mailbox has when it is
   allocated, and it is the same struct mailbox still. */
static bool has_other_rights(struct bridge_mailbox *mbox, const char *before)
{
	struct bridge_mailbox_list *list = mbox->list;

	return strcmp(before, mbox->folder) != 0 &&
		(access(control_path(list, before, RIGHTS_FILE), F_OK) == 0 ||
		 access(control_path(list, mbox->folder, RIGHTS_FILE),
			F_OK) == 0);
}

int bridge_identity_reopen(struct bridge_mailbox *mbox)
{
	struct mailbox *box = &mbox->box;
	const char *before = mbox->folder;	/* lives as long as mbox */
	struct fault fault;

	mailbox_close(box);
	compat_forget_folder(box);
	if (mailbox_open(box) < 0)
		return -1;
	if (!has_other_rights(mbox, before))
		return 0;
	mbox->replaced = TRUE;
	(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
		"another mailbox has the name %s now, with rights of its own: "
		"it has to be opened again", box->name);
	return bridge_fault_box(box, &fault);
}
