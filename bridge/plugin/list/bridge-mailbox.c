#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "time-util.h"
#include "bridge-fault.h"
#include "bridge-identity.h"
#include "bridge-known.h"
#include "bridge-mailbox.h"
#include "bridge-private.h"

int bridge_mailbox_lookup(struct bridge_mailbox *mbox,
			  const struct listing_box **box_r)
{
	if (bridge_known_lookup(mbox->list, mbox->box.name, box_r) < 0) {
		mail_storage_copy_list_error(mbox->box.storage,
					     mbox->box.list);
		return -1;
	}
	return 0;
}

bool bridge_mailbox_is_selectable(const struct listing_box *lbox)
{
	return (bridge_known_flags(lbox) &
		(MAILBOX_NOSELECT | MAILBOX_NONEXISTENT)) == 0;
}

bool bridge_mailbox_has_children(struct bridge_mailbox *mbox)
{
	const char *prefix = t_strconcat(mbox->box.name, "/", NULL);
	const struct listing_boxes *boxes = mbox->list->boxes;
	size_t i;

	for (i = 0; boxes != NULL && i < boxes->count; i++) {
		if (*mbox->box.name == '\0' ||
		    compat_begins(boxes->boxes[i].name, prefix))
			return TRUE;
	}
	return FALSE;
}

/* Whether the store has the mailbox at the moment. If it does not, clients are
   shown what is known of it, read-only (core/verbs/boxes.c). */
static bool mailbox_is_there(const struct listing_box *lbox)
{
	return lbox != NULL && lbox->missing_since == 0;
}

/* What the backend says of the mailbox. */
static void
mailbox_take(struct bridge_mailbox *mbox,
	     const struct listing_box *lbox)
{
	mbox->wire_name = p_strdup(mbox->box.pool, lbox->wire);
	mbox->box_id = p_strdup(mbox->box.pool, lbox->id);
	mbox->ro = lbox->ro;
}

/* Whether the store makes mailboxes. */
static bool mailbox_makes(struct bridge_mailbox *mbox)
{
	struct fault fault;
	const struct caps *caps = session_caps(mbox->list->session, &fault);

	return caps != NULL && caps->verbs[VERB_CREATE];
}

int bridge_mailbox_check(struct bridge_mailbox *mbox,
			 const struct listing_box *lbox)
{
	struct mailbox *box = &mbox->box;

	if (lbox == NULL && box->inbox_user) {
		/* the store has no inbox: an empty one, that takes nothing */
		mbox->ro = TRUE;
		return 0;
	}
	/* not NOTFOUND: Dovecot would try to make it, and take that for an
	   internal error */
	if (lbox == NULL && mailbox_is_autocreated(box) &&
	    !mailbox_makes(mbox))
		return bridge_fault_readonly(box, "it has no such mailbox");
	if (lbox == NULL) {
		mail_storage_set_error(box->storage, MAIL_ERROR_NOTFOUND,
			T_MAIL_ERR_MAILBOX_NOT_FOUND(box->vname));
		return -1;
	}
	if (!bridge_mailbox_is_selectable(lbox)) {
		mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
				       "Mailbox isn't selectable");
		return -1;
	}
	if (!mailbox_is_there(lbox)) {
		mbox->ro = TRUE;
		return 0;
	}
	mailbox_take(mbox, lbox);
	if (lbox->state != NULL &&
	    timeval_cmp(&mbox->list->boxes_timeval, &ioloop_timeval) == 0) {
		i_free(mbox->open_state);
		mbox->open_state = i_strdup(lbox->state);
	}
	return 0;
}

int bridge_mailbox_believe(struct bridge_mailbox *mbox)
{
	if (mbox->wire_name != NULL ||
	    bridge_known_refresh(mbox->list, TRUE) == 0)
		return 0;
	mail_storage_copy_list_error(mbox->box.storage, mbox->box.list);
	return -1;
}

int bridge_mailbox_find(struct bridge_mailbox *mbox)
{
	const struct listing_box *lbox;
	struct fault fault;

	if (mbox->wire_name != NULL)
		return 1;
	if (bridge_mailbox_lookup(mbox, &lbox) < 0)
		return -1;
	if (!mailbox_is_there(lbox) || !bridge_mailbox_is_selectable(lbox))
		return 0;
	mailbox_take(mbox, lbox);
	if (bridge_identity_check_listed(mbox, &fault) < 0) {
		mbox->wire_name = NULL;
		return bridge_fault_box(&mbox->box, &fault);
	}
	return 1;
}

bool bridge_mailbox_removes(struct bridge_mailbox *mbox)
{
	struct fault fault;
	const struct caps *caps = session_caps(mbox->list->session, &fault);

	/* while no copy starts, the attempt says why it fails */
	return (caps == NULL || caps->verbs[VERB_EXPUNGE]) && !mbox->ro;
}
