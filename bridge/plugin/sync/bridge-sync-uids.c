/* Stores that have UIDs of their own (protocol.md, "UIDs").
 *
 * New messages are held until the list has ended, for a UID must come in ascending
 * order and a list need not. A UID that was passed already, or that changed, can
 * never be put right: the mailbox is unavailable until the store shows another
 * uidvalidity, and then everything begins anew: with the flags that the old map has,
 * for an id is the same message under any UID. */
#include "lib.h"
#include "compat.h"
#include "bridge-sync.h"


#include <stdlib.h>

/* The store broke a rule. */
static void uids_broken(struct bridge_sync *sync, const struct listing_msg *msg,
			const char *why)
{
	char quoted[WIRE_QUOTE_SIZE];

	if (sync->list.fault.code == FAULT_NONE)
		(void)fault_set(&sync->list.fault, FAULT_UNAVAILABLE,
			FAULT_SCOPE_MAILBOX, "%s: listed %s in %s with uid=%u, "
			"%s: the mailbox cannot be used until its uidvalidity "
			"is another one", sync->mbox->list->set.argv[0],
			wire_quote(msg->id, quoted, sizeof(quoted)),
			sync->mbox->wire_name, msg->uid, why);
}

void bridge_uids_check(struct bridge_sync *sync, const struct listing_msg *msg,
		       uint32_t uid)
{
	if (msg->uid != uid)
		uids_broken(sync, msg, t_strdup_printf("which was uid=%u before",
						       uid));
}

void bridge_uids_hold(struct bridge_sync *sync, const struct listing_msg *msg)
{
	struct listing_msg *copy;

	if (sync->uids.held_count == sync->uids.held_alloc) {
		sync->uids.held_alloc += sync->uids.held_alloc / 2 + 64;
		sync->uids.held = mem_grow(sync->uids.held,
					   sync->uids.held_alloc,
					   sizeof(*sync->uids.held));
	}
	copy = &sync->uids.held[sync->uids.held_count++];
	*copy = *msg;
	copy->id = arena_add(&sync->uids.held_text, msg->id);
	copy->flags = arena_add(&sync->uids.held_text, msg->flags);
	sync->list.bytes += sizeof(*copy) + msg->id.len + msg->flags.len;
}

static int held_cmp(const void *_a, const void *_b)
{
	const struct listing_msg *a = _a, *b = _b;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

/* Whether the store tells the uidvalidity that the map has. */
static bool uids_is_valid(struct bridge_sync *sync,
			  const struct listing_end *end)
{
	uint32_t ours = idmap_header(sync->mbox->map)->uidvalidity;

	if (end->uidvalidity == ours)
		return TRUE;
	sync->uids.new_uidvalidity = end->uidvalidity;
	(void)fault_set(&sync->list.fault, FAULT_UNAVAILABLE,
			FAULT_SCOPE_MAILBOX,
		end->uidvalidity == 0 ? "%s: listed %s without uidvalidity=, "
		"though it says \"uids\"" : "%s: the uidvalidity of %s is "
		"another one", sync->mbox->list->set.argv[0],
		sync->mbox->wire_name);
	return FALSE;
}

void bridge_uids_end(struct bridge_sync *sync, const struct listing_end *end)
{
	const struct listing_msg *msg;
	size_t i;

	if (!uids_is_valid(sync, end))
		return;
	if (sync->uids.held_count > 1)
		qsort(sync->uids.held, sync->uids.held_count,
		      sizeof(*sync->uids.held), held_cmp);
	for (i = 0; i < sync->uids.held_count &&
	     sync->list.fault.code == FAULT_NONE; i++) {
		msg = &sync->uids.held[i];
		if (msg->uid == 0) {
			uids_broken(sync, msg, "that is, without one");
		} else if (msg->uid < sync->adds.next_uid) {
			uids_broken(sync, msg, t_strdup_printf("but uid=%u was "
				"seen before", sync->adds.next_uid - 1));
		} else {
			sync->adds.next_uid = msg->uid;
			sync->uids.given = mem_grow(sync->uids.given,
						    sync->adds.count + 1,
						    sizeof(*sync->uids.given));
			sync->uids.given[sync->adds.count] = msg->uid;
			bridge_adds_line(sync, msg);
		}
	}
}

void bridge_uids_free(struct bridge_sync *sync)
{
	free(sync->uids.held);
	free(sync->uids.given);
	arena_free(&sync->uids.held_text);
	sync->uids.held = NULL;
	sync->uids.given = NULL;
	sync->uids.held_count = sync->uids.held_alloc = 0;
}
