/* Flags of messages that are saved.
 *
 * A message has the flags that it has in the index when its transaction is committed:
 * Dovecot and its plugins set some after it came in. What the store takes of them goes
 * along with APPEND. COPY and MOVE keep the flags that the store knows; the others, as
 * those that it has not taken yet, are marked in the map as a client's change is, and
 * pushed as soon as the copies are there (bridge-sync-push.c).
 *
 * A store with UIDs of its own brings messages in by its list. If there is more to say
 * of them than it has said, the list is asked for at once, under the same lock. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-flags.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-save.h"
#include "bridge-sync.h"

#include "flags.h"

/* From what the store knows of the message to what is wanted. caps NULL: of all flags. */
static char *saved_change(const struct caps *caps, const char *has,
			  const char *wanted)
{
	struct buf change = { NULL, 0, 0 };
	char *text = NULL;

	flags_missing(caps, view_of(has), view_of(wanted), &change);
	if (change.len > 0)
		text = i_strdup(buf_str(&change));
	buf_free(&change);
	return text;
}

void bridge_save_note_flags(struct bridge_save_context *ctx,
			    const struct caps *caps)
{
	struct bridge_saved *saved;

	ctx->had_marks = bridge_map_index_has_marks(ctx->mbox);
	array_foreach_modifiable(&ctx->saved, saved) T_BEGIN {
		i_free(saved->flags);
		saved->flags = i_strdup(bridge_flags_of(&ctx->mbox->box,
			ctx->ctx.transaction->view, saved->seq));
		if (saved->src != NULL)
			saved->change = saved_change(caps, saved->src_flags,
						     saved->flags);
		ctx->has_changes = ctx->has_changes || saved->change != NULL;
	} T_END;
}

const char *bridge_save_map_flags(const struct bridge_saved *saved)
{
	struct buf set = { NULL, 0, 0 };
	const char *text;

	if (saved->change == NULL)
		return saved->flags;
	flags_with_marks(view_of(saved->flags), view_of(saved->change), &set);
	text = t_strdup(buf_str(&set));
	buf_free(&set);
	return text;
}

/* --- stores with UIDs of their own --------------------------------------- */

/* Whether the next list says all that there is to say of it. */
static bool saved_is_told(const struct bridge_saved *saved,
			  const struct caps *caps)
{
	struct view left = view_of(saved->flags), elem;

	if (saved->stored_uid == 0 || saved->change != NULL)
		return FALSE;
	while (wire_list_next(&left, &elem)) {
		if (!caps_owns_flag(caps, elem) &&
		    (saved->src != NULL || caps->flags != CAPS_FLAGS_SEED))
			return FALSE;
	}
	return TRUE;
}

static bool save_is_told(struct bridge_save_context *ctx,
			 const struct caps *caps)
{
	const struct bridge_saved *saved;

	/* what was never listed has no uidvalidity of the store's yet */
	if (idmap_header(ctx->mbox->map)->next_uid == 1)
		return FALSE;
	array_foreach(&ctx->saved, saved) {
		if (!saved_is_told(saved, caps))
			return FALSE;
	}
	return TRUE;
}

/* Its message in the index, from seq on. Returns 0 if it is not there. */
static uint32_t
saved_find(struct bridge_save_context *ctx, const struct bridge_saved *saved,
	   struct mail_index_view *view, uint32_t seq)
{
	uint8_t hash[ID_HASH_SIZE];
	struct buf scratch = { NULL, 0, 0 };
	const struct bridge_index_record *rec;
	const struct bridge_index_header *hdr;

	(void)id_hash_spelt(view_of(saved->id), &scratch, hash);
	buf_free(&scratch);
	for (; seq <= mail_index_view_get_messages_count(view); seq++) {
		rec = bridge_map_record(ctx->mbox, view, seq, &hdr);
		if (rec != NULL &&
		    memcmp(rec->hash, hash, sizeof(rec->hash)) == 0)
			return seq;
	}
	return 0;
}

/* The list has brought them in, above those that were there before. */
static void save_find_all(struct bridge_save_context *ctx, uint32_t next_uid)
{
	struct mail_index_view *view;
	struct bridge_saved *saved;
	uint32_t first, last, seq;

	(void)mail_index_refresh(ctx->mbox->box.index);
	view = mail_index_view_open(ctx->mbox->box.index);
	if (!mail_index_lookup_seq_range(view, next_uid, (uint32_t)-1, &first,
					 &last))
		first = last = (uint32_t)-1;
	array_foreach_modifiable(&ctx->saved, saved) T_BEGIN {
		i_free(saved->change);
		seq = saved_find(ctx, saved, view, first);
		if (seq != 0) {
			mail_index_lookup_uid(view, seq, &saved->uid);
			saved->change = saved_change(NULL,
				bridge_flags_of(&ctx->mbox->box, view, seq),
				saved->flags);
		}
	} T_END;
	mail_index_view_close(&view);
}

/* Those that are in the index, and have flags that the store does not know. */
static void save_get_changes(struct bridge_save_context *ctx,
			     ARRAY_TYPE(bridge_flag_update) *changes)
{
	struct bridge_flag_update *change;
	const struct bridge_saved *saved;

	array_foreach(&ctx->saved, saved) {
		if (saved->change == NULL || saved->uid == 0)
			continue;
		change = array_append_space(changes);
		change->uid = saved->uid;
		change->change = saved->change;
	}
}

static void save_index_changes(struct bridge_save_context *ctx)
{
	ARRAY_TYPE(bridge_flag_update) changes;

	t_array_init(&changes, 8);
	save_get_changes(ctx, &changes);
	ctx->has_changes = array_count(&changes) > 0;
	if (ctx->has_changes)
		(void)bridge_sync_change_flags(ctx->mbox, &changes);
}

bool bridge_save_settle(struct bridge_save_context *ctx,
			const struct caps *caps)
{
	struct bridge_mailbox *mbox = ctx->mbox;
	uint32_t next_uid = idmap_header(mbox->map)->next_uid;
	struct bridge_saved *saved;

	if (save_is_told(ctx, caps)) {
		array_foreach_modifiable(&ctx->saved, saved)
			saved->uid = saved->stored_uid;
		return FALSE;
	}
	/* they are stored: what fails from here on fails the next list, too */
	if (bridge_sync_list_now(mbox) < 0)
		return FALSE;
	/* another uidvalidity begins anew */
	if (idmap_header(mbox->map)->next_uid < next_uid)
		next_uid = 1;
	T_BEGIN {
		save_find_all(ctx, next_uid);
		save_index_changes(ctx);
	} T_END;
	return TRUE;
}

/* --- to the store -------------------------------------------------------- */

void bridge_save_push(struct bridge_save_context *ctx)
{
	ARRAY_TYPE(bridge_flag_update) changes;

	if (!ctx->has_changes)
		return;
	i_array_init(&changes, 8);
	save_get_changes(ctx, &changes);
	bridge_sync_push_flags(ctx->mbox, &changes, ctx->had_marks);
	array_free(&changes);
}
