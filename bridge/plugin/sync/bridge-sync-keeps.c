/* A program that keeps other things than it did: flags, or UIDs. Its new version
 * does, or a copy that took the place of another while a client has the mailbox
 * open (protocol.md, "The handshake").
 *
 * The index remembers what the store kept when it was asked last (caps_keeps). If
 * that is not what the copy says now, before the store is asked:
 *
 *   - a flag that was kept here and is the store's now is marked: it is pushed, or
 *     the first list would take it away
 *   - the mark of a change that waits, of a flag that is not the store's any more,
 *     stays (bridge-sync-push.c): it waits until it is again
 *   - the state is dropped: which flags messages have in the store that did not
 *     change since, only a full list tells
 *
 * A client that has the mailbox open is told to log in again if the copy of its
 * own session was replaced by such a one. Sessions with copies of both kinds may
 * live side by side: each does this when it finds what the other left. That costs
 * full lists for as long as it lasts, and loses nothing. */
#include "lib.h"
#include "compat.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#include "flags.h"

static uint32_t keeps_before(struct bridge_mailbox *mbox)
{
	struct bridge_index_header hdr;

	return bridge_map_latest_header(mbox, &hdr) ? hdr.keeps : 0;
}

int bridge_sync_same_keeps(struct bridge_mailbox *mbox,
			   const struct caps *caps, struct fault *fault)
{
	if (mbox->keeps == caps_keeps(caps))
		return 0;
	mbox->replaced = mbox->shown;
	return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
		"%s: the copy that runs now keeps other flags than the one "
		"before, or UIDs: the mailbox %s has to be opened again",
		mbox->list->set.argv[0], mbox->wire_name);
}

/* Flags that were kept here, and are the store's now. */
static void keeps_mark(struct bridge_mailbox *mbox, const struct caps *caps,
		       uint32_t before)
{
	const struct idmap_known *known;
	struct buf change = { NULL, 0, 0 };
	uint32_t set;
	size_t i, end, count;

	known = idmap_known(mbox->map, &count);
	for (i = 0; i < count; i = end) {
		set = idmap_known_flags(mbox->map, &known[i]);
		for (end = i + 1; end < count && set ==
		     idmap_known_flags(mbox->map, &known[end]); end++) ;
		buf_clear(&change);
		flags_adopt(caps, before, idmap_flags_text(mbox->map, set),
			    &change);
		if (change.len > 0)
			idmap_flags(mbox->map, known[i].uid,
				    known[end - 1].uid, buf_str(&change));
	}
	buf_free(&change);
}

int bridge_sync_check_keeps(struct bridge_mailbox *mbox, struct fault *fault)
{
	const struct caps *caps = session_caps(mbox->list->session, fault);
	uint32_t before, now;

	if (caps == NULL)
		return -1;
	now = caps_keeps(caps);
	if (mbox->keeps == 0)
		mbox->keeps = now;
	else if (bridge_sync_same_keeps(mbox, caps, fault) < 0)
		return -1;
	before = keeps_before(mbox);
	if (before == 0 || before == now)
		return 0;
	if (idmap_load(mbox->map, fault) < 0)
		return -1;
	keeps_mark(mbox, caps, before);
	idmap_set_state(mbox->map, "-");
	return idmap_commit(mbox->map, bridge_map_fsyncs(mbox), fault) < 0 ?
		-1 : 1;
}
