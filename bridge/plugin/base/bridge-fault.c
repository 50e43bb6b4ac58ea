#include "lib.h"
#include "compat.h"
#include "mailbox-list-private.h"
#include "bridge-fault.h"
#include "bridge-private.h"

#include <ctype.h>

/* protocol.md, "Errors". normal: the backend says so in the normal course of
   things, which is no news for the admin. */
static const struct {
	enum mail_error error;
	bool normal;
} fault_errors[FAULT_CODE_COUNT] = {
	[FAULT_NONE] = { MAIL_ERROR_TEMP, FALSE },
	[FAULT_UNAVAILABLE] = { MAIL_ERROR_UNAVAILABLE, FALSE },
	[FAULT_BUSY] = { MAIL_ERROR_INUSE, FALSE },
	[FAULT_INTERNAL] = { MAIL_ERROR_TEMP, FALSE },
	[FAULT_UNCERTAIN] = { MAIL_ERROR_TEMP, FALSE },
	[FAULT_OVERQUOTA] = { MAIL_ERROR_NOQUOTA, TRUE },
	[FAULT_NOTFOUND] = { MAIL_ERROR_NOTFOUND, TRUE },
	[FAULT_EXISTS] = { MAIL_ERROR_EXISTS, TRUE },
	[FAULT_NOPERM] = { MAIL_ERROR_PERM, TRUE },
	[FAULT_READONLY] = { MAIL_ERROR_PERM, TRUE },
	[FAULT_LIMIT] = { MAIL_ERROR_LIMIT, TRUE },
	[FAULT_CANNOT] = { MAIL_ERROR_NOTPOSSIBLE, TRUE },
	[FAULT_UNSUPPORTED] = { MAIL_ERROR_NOTPOSSIBLE, TRUE },
};

enum mail_error bridge_fault_error(enum fault_code code)
{
	return fault_errors[code].error;
}

bool bridge_fault_is_normal(const struct fault *fault)
{
	return fault->from_backend && fault_errors[fault->code].normal;
}

static void bridge_fault_log(struct event *event, const struct fault *fault)
{
	if (bridge_fault_is_normal(fault))
		e_debug(event, "bridge: %s", fault->log);
	else
		e_error(event, "bridge: %s", fault->log);
}

/* "not started for 7 s" and "for 6 s" are the same error. */
static bool fault_is_same(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (i_isdigit(*a))
			a++;
		while (i_isdigit(*b))
			b++;
		if (*a != *b || *a == '\0')
			return *a == *b;
	}
}

/* Nobody has asked for what is polled while a client idles: an error is logged once, as
   long as it stays the same but for numbers. */
static bool fault_repeats(struct bridge_mailbox *mbox, const char *error)
{
	if (!mbox->polling)
		return FALSE;
	if (mbox->poll_error != NULL && fault_is_same(mbox->poll_error, error))
		return TRUE;
	i_free(mbox->poll_error);
	mbox->poll_error = i_strdup(error);
	return FALSE;
}

/* Dovecot takes a text that begins with [ for a response code of its own; a
   backend's words are never one. */
static const char *bridge_fault_text(const struct fault *fault)
{
	return fault->user[0] != '[' ? fault->user :
		t_strdup_printf("%s: %s", fault_code_text(fault->code),
				fault->user);
}

/* LMTP and LDA save again, elsewhere, on any error but these two
   (lib-lda/mail-deliver.c, 2.3.19). */
static enum mail_error bridge_fault_delivery(enum fault_code code)
{
	switch (code) {
	case FAULT_OVERQUOTA:
	case FAULT_LIMIT:
		return MAIL_ERROR_NOQUOTA;
	case FAULT_UNAVAILABLE:
	case FAULT_BUSY:
	case FAULT_INTERNAL:
	case FAULT_UNCERTAIN:
		return MAIL_ERROR_TEMP;
	default:
		return bridge_fault_error(code);
	}
}

void bridge_fault_seen(struct mailbox *box, const struct fault *fault)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(box);

	if (fault->code == FAULT_READONLY && fault->from_backend)
		mbox->ro = TRUE;
}

int bridge_fault_box(struct mailbox *box, const struct fault *fault)
{
	enum mail_error error =
		(box->flags & MAILBOX_FLAG_POST_SESSION) != 0 ?
		bridge_fault_delivery(fault->code) :
		bridge_fault_error(fault->code);

	bridge_fault_seen(box, fault);
	if (fault_repeats(BRIDGE_MAILBOX(box), fault->log))
		e_debug(box->event, "bridge: %s", fault->log);
	else
		bridge_fault_log(box->event, fault);
	mail_storage_set_error(box->storage, error, bridge_fault_text(fault));
	return -1;
}

void bridge_fault_instead(struct mailbox *box, const struct fault *fault,
			  const char *instead)
{
	if (bridge_fault_is_normal(fault))
		e_info(box->event, "bridge: %s: %s", fault->log, instead);
	else
		e_warning(box->event, "bridge: %s: %s", fault->log, instead);
}

int bridge_fault_list(struct mailbox_list *list, const struct fault *fault)
{
	bridge_fault_log(list->ns->user->event, fault);
	mailbox_list_set_error(list, bridge_fault_error(fault->code),
			       bridge_fault_text(fault));
	return -1;
}

int bridge_fault_readonly(struct mailbox *box, const char *what)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_PERM,
		t_strdup_printf("This mail store is read-only: %s", what));
	return -1;
}

int bridge_fault_own_uids(struct mailbox *box)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
			       "This mail store gives its own UIDs");
	return -1;
}
