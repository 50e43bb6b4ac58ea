/* A MOVE is a copy and an expunge, and Dovecot commits the copy first: a store
 * that removes nothing would have to refuse when the copy is there already, and
 * each attempt would leave one more. So the copy is refused, in the mailbox that
 * it goes to, whatever storage that has. */
#include "lib.h"
#include "compat.h"
#include "mail-storage-hooks.h"
#include "bridge-guard.h"
#include "bridge-mailbox.h"
#include "bridge-private.h"

struct bridge_guard {
	union mailbox_module_context module_ctx;
	int (*copy)(struct mail_save_context *ctx, struct mail *mail);
};

#define BRIDGE_GUARD(box) \
	MODULE_CONTEXT_REQUIRE(box, bridge_guard_module)

static MODULE_CONTEXT_DEFINE_INIT(bridge_guard_module,
				  &mail_storage_module_register);

/* A plugin (acl, 2.3.19) refuses for the sake of the mailbox that a message comes from,
   and says so to its storage; imap asks the one that it goes to. */
static void bridge_guard_tell(struct mail_storage *storage,
			      struct mail_storage *src)
{
	const char *text;
	enum mail_error error;

	if (storage == src || storage->error != MAIL_ERROR_NONE ||
	    src->error == MAIL_ERROR_NONE)
		return;
	text = mail_storage_get_last_error(src, &error);
	mail_storage_set_error(storage, error, text);
}

/* Around what other plugins have put around it: the first of them is called first. */
static int bridge_guard_outer_copy(struct mail_save_context *ctx,
				   struct mail *mail)
{
	struct mail_storage *storage = ctx->transaction->box->storage;
	struct bridge_guard *guard = BRIDGE_GUARD(ctx->transaction->box);

	mail_storage_clear_error(storage);
	if (guard->copy(ctx, mail) == 0)
		return 0;
	bridge_guard_tell(storage, mail->box->storage);
	return -1;
}

static int bridge_guard_copy(struct mail_save_context *ctx, struct mail *mail)
{
	struct mailbox *box = ctx->transaction->box;
	struct bridge_guard *guard = BRIDGE_GUARD(box);

	/* ours ask the store themselves */
	if (ctx->moving && !bridge_is_ours(box) &&
	    bridge_is_ours(mail->box) &&
	    !bridge_mailbox_removes(BRIDGE_MAILBOX(mail->box))) {
		mailbox_save_cancel(&ctx);
		/* MAIL_ERROR_PERM would be an OK where the move is part of an
		   expunge, see bridge_transaction_commit() */
		mail_storage_set_error(box->storage, MAIL_ERROR_NOTPOSSIBLE,
			"[NOPERM] This mail store is read-only: "
			"messages cannot be removed");
		return -1;
	}
	return guard->module_ctx.super.copy(ctx, mail);
}

static void bridge_guard_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	struct bridge_guard *guard;

	guard = p_new(box->pool, struct bridge_guard, 1);
	guard->module_ctx.super = *v;
	box->vlast = &guard->module_ctx.super;
	v->copy = bridge_guard_copy;
	guard->copy = box->v.copy;
	box->v.copy = bridge_guard_outer_copy;
	MODULE_CONTEXT_SET(box, bridge_guard_module, guard);
}

static struct mail_storage_hooks bridge_guard_hooks = {
	.mailbox_allocated = bridge_guard_mailbox_allocated,
};

void bridge_guard_init(struct module *module)
{
	mail_storage_hooks_add(module, &bridge_guard_hooks);
}

void bridge_guard_deinit(void)
{
	mail_storage_hooks_remove(&bridge_guard_hooks);
}
