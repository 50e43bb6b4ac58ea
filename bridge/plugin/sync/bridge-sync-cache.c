/* What Dovecot remembers of messages, beside the records of the index.
 *
 * The places of what is remembered stand in the index from the first synchronisation
 * on: each that is added later makes every later opening of the index resize all
 * records in memory (2.3.19, 106 ms for a million messages).
 *
 * What versions of this plugin before BRIDGE_CACHE_VERSION let Dovecot remember may be
 * wrong for good: the structure of a message of which they showed the header alone. So
 * the header extension "bridge-cache" has the version under which all began that is
 * remembered, and what began under another is forgotten. doveadm force-resync forgets
 * it, too. */
#include "lib.h"
#include "compat.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#define BRIDGE_CACHE_VERSION 1

/* An extension of one number for each message. */
static void cache_make_place(struct bridge_sync *sync, uint32_t ext_id)
{
	if (!compat_has_ext(sync->index.view, ext_id))
		mail_index_ext_resize(sync->index.trans, ext_id, 0,
				      sizeof(uint32_t), sizeof(uint32_t));
}

void bridge_sync_make_places(struct bridge_sync *sync)
{
	struct bridge_mailbox *mbox = sync->mbox;

	/* RFC822.SIZE that was found out by reading is kept only where it has
	   a place (index_mail_cache_sizes(), 2.3.19.1) */
	cache_make_place(sync, mbox->box.mail_vsize_ext_id);
	cache_make_place(sync, mbox->size_ext_id);
	cache_make_place(sync, compat_cache_ext(&mbox->box));
}

static bool cache_is_ours(struct bridge_mailbox *mbox,
			  struct mail_index_view *view)
{
	const void *data;
	uint32_t version;
	size_t size;

	mail_index_get_header_ext(view, mbox->cache_ext_id, &data, &size);
	if (size != sizeof(version))
		return FALSE;
	memcpy(&version, data, sizeof(version));
	return version == BRIDGE_CACHE_VERSION;
}

bool bridge_sync_cache_is_ours(struct bridge_mailbox *mbox)
{
	struct mail_index_view *view = mail_index_view_open(mbox->box.index);
	bool ours = cache_is_ours(mbox, view);

	mail_index_view_close(&view);
	return ours;
}

/* One number of a message: not known any more. */
static void cache_forget(struct bridge_sync *sync, uint32_t ext_id, uint32_t seq)
{
	const uint32_t not_known = 0;
	const void *data;
	bool expunged;

	mail_index_lookup_ext(sync->index.view, seq, ext_id, &data, &expunged);
	if (data != NULL && memcmp(data, &not_known, sizeof(not_known)) != 0)
		mail_index_update_ext(sync->index.trans, seq, ext_id,
				      &not_known, NULL);
}

void bridge_sync_check_cache(struct bridge_sync *sync, uint32_t count)
{
	struct mailbox *box = &sync->mbox->box;
	const uint32_t version = BRIDGE_CACHE_VERSION;
	bool ours = cache_is_ours(sync->mbox, sync->index.view);
	uint32_t seq;

	if (ours && !sync->force)
		return;
	for (seq = 1; seq <= count; seq++) {
		cache_forget(sync, compat_cache_ext(box), seq);
		cache_forget(sync, box->mail_vsize_ext_id, seq);
	}
	if (ours)
		return;
	mail_index_ext_resize_hdr(sync->index.trans, sync->mbox->cache_ext_id,
				  sizeof(version));
	mail_index_update_header_ext(sync->index.trans,
				     sync->mbox->cache_ext_id, 0, &version,
				     sizeof(version));
}
