/* The messages of a transaction, handed to the store: appended as they were spooled,
 * or copied by the store itself from another of its mailboxes. All or none, as
 * far as the store can take back: what was taken before one failed is expunged
 * again. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-private.h"
#include "bridge-save.h"

#define APPENDS_MAX 64		/* begun and not yet answered: files in BRIDGE_TMP */

/* The flags that go to the store: those it keeps, or may begin with. */
static const char *
save_flags(const struct caps *caps, const struct bridge_saved *saved)
{
	struct view list = view_of(saved->flags), elem;
	struct buf owned = { NULL, 0, 0 };
	const char *flags;

	while (wire_list_next(&list, &elem)) {
		if (!caps_owns_flag(caps, elem) &&
		    caps->flags != CAPS_FLAGS_SEED)
			continue;
		if (owned.len > 0)
			buf_append_c(&owned, ',');
		buf_append_view(&owned, elem);
	}
	flags = t_strdup(buf_str(&owned));
	buf_free(&owned);
	return flags;
}

static int save_append_begin(struct bridge_save_context *ctx,
			     struct bridge_saved *saved, struct fault *fault)
{
	struct session *session = ctx->mbox->list->session;
	struct append_message msg;
	const struct caps *caps = session_caps(session, fault);

	if (caps == NULL)
		return -1;
	i_zero(&msg);
	msg.fd = ctx->spool_fd;
	msg.offset = saved->spooled_at;
	msg.give_away = array_count(&ctx->saved) == 1;
	msg.size = saved->size;
	msg.flags = save_flags(caps, saved);
	msg.date = saved->date;
	msg.key = saved->key;
	saved->append = append_begin(session, ctx->mbox->wire_name, &msg,
				     fault);
	return saved->append == NULL ? -1 : 0;
}

static int save_append_wait(struct bridge_saved *saved, struct fault *fault)
{
	struct appended appended;
	int ret;

	i_zero(&appended);
	ret = append_wait(saved->append, &appended, fault);
	if (ret == 0) {
		saved->id = i_strdup(buf_str(&appended.id));
		saved->stored_size = appended.size;
		saved->stored_uid = appended.uid;
	}
	appended_free(&appended);
	append_end(&saved->append);
	return ret;
}

/* APPEND from the nth on, as long as they are spooled. The first fault is told;
   none is begun after it, and all that were begun are waited for. Returns the
   number of them, -1 and a fault. */
static int save_appends(struct bridge_save_context *ctx, unsigned int n,
			struct fault *fault)
{
	struct bridge_saved *saved;
	unsigned int count, begun = n, answered = n;
	struct fault later, *told = fault;
	bool failed = FALSE;

	saved = array_get_modifiable(&ctx->saved, &count);
	for (;;) {
		if (!failed && begun < count && saved[begun].src == NULL &&
		    begun - answered < APPENDS_MAX) {
			if (save_append_begin(ctx, &saved[begun], told) < 0) {
				failed = TRUE;
				told = &later;
			} else {
				begun++;
			}
		} else if (answered < begun) {
			if (save_append_wait(&saved[answered++], told) < 0) {
				failed = TRUE;
				told = &later;
			}
		} else {
			return failed ? -1 : (int)(begun - n);
		}
	}
}

/* COPY or MOVE from the nth on, as long as they come from one mailbox and are not
   too many at once. Returns their number, -1 and a fault: FAULT_NONE if a message
   is gone. */
static int save_copies(struct bridge_save_context *ctx, unsigned int n,
		       struct fault *fault)
{
	struct bridge_saved *saved;
	struct write_item *items;
	unsigned int i, end, count;
	int ret;

	saved = array_get_modifiable(&ctx->saved, &count);
	for (end = n; end < count && end < n + BRIDGE_WRITE_MAX &&
	     saved[end].src == saved[n].src &&
	     saved[end].moving == saved[n].moving; end++) ;
	count = end - n;
	saved += n;
	items = i_new(struct write_item, count);
	for (i = 0; i < count; i++)
		items[i].id = view_of(saved[i].src_id);
	ret = write_copy(ctx->mbox->list->session,
			 saved->moving ? VERB_MOVE : VERB_COPY,
			 saved->src->wire_name, ctx->mbox->wire_name, items,
			 count, fault);
	for (i = 0; i < count; i++) {
		if (items[i].status == WRITE_DONE) {
			saved[i].id = i_strdup(buf_str(&items[i].new_id));
			saved[i].stored_uid = items[i].uid;
		} else if (ret == 0) {
			ret = -1;
			if (items[i].status == WRITE_FAILED)
				*fault = *items[i].fault;
			else
				fault->code = FAULT_NONE;
		}
	}
	write_items_free(items, count);
	i_free(items);
	return ret < 0 ? -1 : (int)count;
}

/* Returns how many of them are still there, with a fault. */
static unsigned int
save_expunge(struct bridge_save_context *ctx, struct write_item *items,
	     unsigned int count, struct fault *fault)
{
	unsigned int i, left = 0;

	if (count == 0)
		return 0;
	(void)write_expunge(ctx->mbox->list->session, ctx->mbox->wire_name,
			    items, count, fault);
	for (i = 0; i < count; i++) {
		if (items[i].status != WRITE_DONE &&
		    items[i].status != WRITE_GONE && left++ == 0)
			*fault = *items[i].fault;
	}
	write_items_free(items, count);
	return left;
}

/* One failed: take back what the store has taken. A message that was moved is in
   one place only, and stays there. */
static void save_take_back(struct bridge_save_context *ctx)
{
	const struct bridge_saved *saved;
	struct write_item *items;
	const struct caps *caps;
	struct fault fault;
	unsigned int count = 0, left = 0;

	caps = session_caps(ctx->mbox->list->session, &fault);
	if (caps == NULL || !caps->verbs[VERB_EXPUNGE])
		return;
	items = i_new(struct write_item,
		      I_MIN(array_count(&ctx->saved), BRIDGE_WRITE_MAX));
	array_foreach(&ctx->saved, saved) {
		if (saved->id == NULL || saved->moving)
			continue;
		items[count++].id = view_of(saved->id);
		if (count == BRIDGE_WRITE_MAX) {
			left += save_expunge(ctx, items, count, &fault);
			count = 0;
		}
	}
	left += save_expunge(ctx, items, count, &fault);
	i_free(items);
	if (left > 0)
		e_error(ctx->mbox->box.event, "bridge: %u messages of a save "
			"that failed could not be taken back: %s", left,
			fault.log);
}

int bridge_save_store(struct bridge_save_context *ctx, struct fault *fault)
{
	const struct bridge_saved *saved;
	unsigned int n = 0;
	int ret = 0;

	while (n < array_count(&ctx->saved)) {
		saved = array_idx(&ctx->saved, n);
		ret = saved->src == NULL ? save_appends(ctx, n, fault) :
			save_copies(ctx, n, fault);
		if (ret < 0)
			break;
		n += (unsigned int)ret;
	}
	if (ret < 0)
		save_take_back(ctx);
	return ret < 0 ? -1 : 0;
}
