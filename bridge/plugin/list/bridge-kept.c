/* The last message that was read whole is kept for a while: clients read a message in
 * pieces, a part or 64 KiB with each command, and each would have it fetched once
 * more.
 *
 * It is one message of a session, of the mailbox that is open: up to FETCH_MEMORY_MAX
 * in memory, a larger one, or a file of the store, as one descriptor. Its bytes stay
 * those that were read, as an id's do (protocol.md 12.1). It is known by its UID and
 * the hash of its id, as the index has them; a size that is known to be another one by
 * now, a forced resync and the end of the mailbox end it. */
#include "lib.h"
#include "compat.h"
#include "bridge-kept.h"
#include "bridge-map.h"
#include "bridge-private.h"

#include <fcntl.h>

struct bridge_kept {
	struct bridge_mailbox *mbox;
	uint32_t uid;
	unsigned char hash[ID_HASH_SIZE];
	struct fetched fetched;
	uoff_t vsize;		/* UOFF_T_MAX = not counted */
};

static const struct bridge_index_record *kept_record(struct mail *mail)
{
	const struct bridge_index_header *hdr;

	return bridge_map_record(BRIDGE_MAILBOX(mail->box),
				 mail->transaction->view, mail->seq, &hdr);
}

/* Returns FALSE if there is no descriptor left for it. */
static bool kept_copy(const struct fetched *from, struct fetched *to)
{
	*to = *from;
	i_zero(&to->data);
	if (from->status == FETCH_MEMORY)
		buf_append(&to->data, from->data.p, from->data.len);
	else
		to->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
	return from->status == FETCH_MEMORY || to->fd >= 0;
}

void bridge_kept_flush(struct bridge_mailbox *mbox)
{
	struct bridge_kept *kept = mbox->list->kept;

	if (kept == NULL || kept->mbox != mbox)
		return;
	fetched_free(&kept->fetched);
	i_free_and_null(mbox->list->kept);
}

void bridge_kept_put(struct mail *mail, const struct fetched *fetched)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	const struct bridge_index_record *rec = kept_record(mail);
	struct bridge_kept *kept;

	if (fetched->header_only || rec == NULL || bridge_kept_has(mail))
		return;
	if (mbox->list->kept != NULL)
		bridge_kept_flush(mbox->list->kept->mbox);
	kept = i_new(struct bridge_kept, 1);
	kept->mbox = mbox;
	kept->uid = mail->uid;
	kept->vsize = UOFF_T_MAX;
	memcpy(kept->hash, rec->hash, sizeof(kept->hash));
	if (kept_copy(fetched, &kept->fetched))
		mbox->list->kept = kept;
	else
		i_free(kept);
}

bool bridge_kept_has(struct mail *mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	const struct bridge_kept *kept = mbox->list->kept;
	const struct bridge_index_record *rec;
	uint64_t size;

	if (kept == NULL || kept->mbox != mbox || kept->uid != mail->uid)
		return FALSE;
	rec = kept_record(mail);
	size = bridge_map_seen_size(mbox, mail->transaction->view, mail->seq);
	return rec != NULL &&
		memcmp(kept->hash, rec->hash, sizeof(kept->hash)) == 0 &&
		(size == WIRE_SIZE_UNKNOWN || size == kept->fetched.size);
}

bool bridge_kept_get(struct mail *mail, struct fetched *fetched_r)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	return bridge_kept_has(mail) &&
		kept_copy(&mbox->list->kept->fetched, fetched_r);
}

bool bridge_kept_get_vsize(struct mail *mail, uoff_t *size_r)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (!bridge_kept_has(mail) || mbox->list->kept->vsize == UOFF_T_MAX)
		return FALSE;
	*size_r = mbox->list->kept->vsize;
	return TRUE;
}

void bridge_kept_set_vsize(struct mail *mail, uoff_t size)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);

	if (bridge_kept_has(mail))
		mbox->list->kept->vsize = size;
}
