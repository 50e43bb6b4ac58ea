/* A MOVE is a copy and an expunge, and Dovecot commits the copy first: a store
 * that removes nothing would have to refuse when the copy is there already, and
 * each attempt would leave one more. So the copy is refused, in the mailbox that
 * it goes to, whatever storage that has. */
#include "lib.h"
#include "compat.h"
#include "mail-storage-hooks.h"
#include "bridge-guard.h"
#include "bridge-storage.h"

struct bridge_guard {
	union mailbox_module_context module_ctx;
};

#define BRIDGE_GUARD(box) \
	MODULE_CONTEXT_REQUIRE(box, bridge_guard_module)

static MODULE_CONTEXT_DEFINE_INIT(bridge_guard_module,
				  &mail_storage_module_register);

static bool bridge_guard_is_ours(const struct mailbox *box)
{
	return strcmp(box->storage->name, BRIDGE_STORAGE_NAME) == 0;
}

static int bridge_guard_copy(struct mail_save_context *ctx, struct mail *mail)
{
	struct mailbox *box = ctx->transaction->box;
	struct bridge_guard *guard = BRIDGE_GUARD(box);

	if (ctx->moving && bridge_guard_is_ours(mail->box) &&
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

	/* those ask the store themselves */
	if (bridge_guard_is_ours(box))
		return;
	guard = p_new(box->pool, struct bridge_guard, 1);
	guard->module_ctx.super = *v;
	box->vlast = &guard->module_ctx.super;
	v->copy = bridge_guard_copy;
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
