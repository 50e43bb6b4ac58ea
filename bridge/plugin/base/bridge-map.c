/* What the index knows of the map: its header says up to where it has taken it over, a
 * record which message it is and where its line stands. */
#include "lib.h"
#include "compat.h"
#include "mailbox-uidvalidity.h"
#include "bridge-fault.h"
#include "bridge-map.h"
#include "bridge-paths.h"
#include "bridge-private.h"

/* --- the map itself ------------------------------------------------------ */

bool bridge_map_fsyncs(const struct bridge_mailbox *mbox)
{
	return compat_fsyncs(mbox->box.storage);
}

int bridge_map_init(struct bridge_mailbox *mbox)
{
	struct mailbox *box = &mbox->box;
	const char *dir;

	if (mailbox_create_missing_dir(box, MAILBOX_LIST_PATH_TYPE_CONTROL) < 0)
		return -1;
	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_CONTROL,
				&dir) <= 0) {
		mailbox_set_critical(box, "bridge: no folder for the map");
		return -1;
	}
	mbox->map = idmap_init(t_strconcat(dir, "/"BRIDGE_MAP_NAME, NULL));
	return 0;
}

static int
map_create(struct bridge_mailbox *mbox, struct fault *fault)
{
	struct mailbox *box = &mbox->box;
	uint32_t uid_validity;
	guid_128_t guid;

	uid_validity = mailbox_uidvalidity_next(box->list,
				bridge_paths_uidvalidity(box->list));
	guid_128_generate(guid);
	return idmap_create(mbox->map, uid_validity, guid, 1, fault);
}

/* The index follows the map when that is on the disk. */
static void map_expect(struct bridge_mailbox *mbox)
{
	struct bridge_index_header hdr;

	if (bridge_map_latest_header(mbox, &hdr))
		idmap_expect(mbox->map, hdr.guid, hdr.generation, hdr.map_end);
}

int bridge_map_open(struct bridge_mailbox *mbox, bool force)
{
	struct fault fault;
	int ret;

	if (!force && bridge_map_fsyncs(mbox))
		map_expect(mbox);
	else
		idmap_expect(mbox->map, (const unsigned char [IDMAP_GUID_SIZE])
			     { 0 }, 0, 0);
	ret = idmap_open(mbox->map, &fault);
	if (ret == 0) {
		ret = map_create(mbox, &fault);
		if (ret == 0)
			ret = idmap_open(mbox->map, &fault);
	}
	if (ret < 0)
		return bridge_fault_box(&mbox->box, &fault);
	return 0;
}

/* --- what the index says of it ------------------------------------------- */

const struct bridge_index_header *
bridge_map_header(struct mail_index_view *view, uint32_t ext_id)
{
	const void *data;
	size_t size;

	mail_index_get_header_ext(view, ext_id, &data, &size);
	return size == sizeof(struct bridge_index_header) ? data : NULL;
}

bool bridge_map_latest_header(struct bridge_mailbox *mbox,
			      struct bridge_index_header *hdr_r)
{
	const struct bridge_index_header *hdr;
	struct mail_index_view *view;

	(void)mail_index_refresh(mbox->box.index);
	view = mail_index_view_open(mbox->box.index);
	hdr = bridge_map_header(view, mbox->ext_id);
	if (hdr != NULL)
		*hdr_r = *hdr;
	mail_index_view_close(&view);
	return hdr != NULL;
}

uint32_t bridge_map_listed_uid(struct bridge_mailbox *mbox,
			       struct mail_index_view *view)
{
	const struct bridge_index_header *hdr =
		bridge_map_header(view, mbox->ext_id);

	return hdr != NULL && memcmp(hdr->guid, idmap_header(mbox->map)->guid,
				     sizeof(hdr->guid)) == 0 ?
		hdr->listed_uid : 0;
}

bool bridge_map_has_marks(struct bridge_mailbox *mbox,
			  struct mail_index_view *view)
{
	const struct bridge_index_header *hdr =
		bridge_map_header(view, mbox->ext_id);

	return hdr == NULL || hdr->marks != 0;
}

bool bridge_map_index_has_marks(struct bridge_mailbox *mbox)
{
	struct bridge_index_header hdr;

	return !bridge_map_latest_header(mbox, &hdr) || hdr.marks != 0;
}

bool bridge_map_is_in_step(struct idmap *idmap, uint32_t ext_id,
			   struct mail_index_view *view)
{
	const struct mail_index_header *hdr = mail_index_get_header(view);
	const struct idmap_header *map = idmap_header(idmap);
	const struct bridge_index_header *ours =
		bridge_map_header(view, ext_id);

	return ours != NULL && hdr->uid_validity == map->uidvalidity &&
		hdr->next_uid >= map->next_uid &&
		(hdr->flags & MAIL_INDEX_HDR_FLAG_FSCKD) == 0 &&
		memcmp(ours->guid, map->guid, sizeof(ours->guid)) == 0 &&
		ours->generation == map->generation &&
		ours->map_end == idmap_end(idmap);
}

/* What the index says of itself when it has taken over all that the map says. */
void
bridge_map_make_header(struct bridge_mailbox *mbox,
		       struct mail_index_view *view, bool marks,
		       uint32_t listed_uid, struct bridge_index_header *hdr_r)
{
	const struct idmap_header *map = idmap_header(mbox->map);
	const struct bridge_index_header *old =
		bridge_map_header(view, mbox->ext_id);

	i_zero(hdr_r);
	memcpy(hdr_r->guid, map->guid, sizeof(hdr_r->guid));
	hdr_r->generation = map->generation;
	hdr_r->map_end = idmap_end(mbox->map);
	hdr_r->marks = marks ? 1 : 0;
	hdr_r->listed_uid = listed_uid;
	hdr_r->keeps = mbox->keeps != 0 || old == NULL ? mbox->keeps :
		old->keeps;
}

void bridge_map_stays_in_step(struct bridge_mailbox *mbox,
			      struct mail_index_transaction *trans,
			      bool marks)
{
	struct mail_index_view *view = mail_index_view_open(mbox->box.index);
	struct bridge_index_header hdr;

	bridge_map_make_header(mbox, view,
			       marks || bridge_map_has_marks(mbox, view),
			       bridge_map_listed_uid(mbox, view), &hdr);
	mail_index_update_header_ext(trans, mbox->ext_id, 0, &hdr, sizeof(hdr));
	mail_index_view_close(&view);
}

/* --- a message of it ----------------------------------------------------- */

void
bridge_map_make_record(const unsigned char *hash, uint64_t offset,
		       struct bridge_index_record *rec_r)
{
	memcpy(rec_r->hash, hash, sizeof(rec_r->hash));
	rec_r->offset = bridge_map_offset(offset);
}

const struct bridge_index_record *
bridge_map_record(struct bridge_mailbox *mbox, struct mail_index_view *view,
		  uint32_t seq, const struct bridge_index_header **hdr_r)
{
	const struct bridge_index_header *hdr =
		bridge_map_header(view, mbox->ext_id);
	const void *rec;

	mail_index_lookup_ext(view, seq, mbox->ext_id, &rec, NULL);
	if (rec == NULL || hdr == NULL)
		return NULL;
	*hdr_r = hdr;
	return rec;
}

/* Where the record leads to, in the map as it is open. Returns 1, 0 if that is
   not the message, -1 and a fault. */
static int
map_read_record(struct bridge_mailbox *mbox,
		const struct bridge_index_header *hdr,
		const struct bridge_index_record *rec, uint32_t uid,
		struct idmap_entry *entry_r, struct buf *buf,
		struct fault *fault)
{
	int ret;

	if (rec == NULL || rec->offset == 0)
		return 0;
	ret = idmap_read_entry(mbox->map, hdr->generation, rec->offset, uid,
			       entry_r, buf, fault);
	return ret > 0 && memcmp(entry_r->hash, rec->hash,
				 sizeof(rec->hash)) != 0 ? 0 : ret;
}

int bridge_map_entry(struct bridge_mailbox *mbox, struct mail_index_view *view,
		     uint32_t seq, uint32_t uid, struct idmap_entry *entry_r,
		     struct buf *buf, struct fault *fault)
{
	const struct bridge_index_header *hdr = NULL;
	const struct bridge_index_record *rec =
		bridge_map_record(mbox, view, seq, &hdr);
	int ret;

	/* a line does not change while its generation lives: looking at the
	   map anew is needed for what came since, and takes long while another
	   session writes a long list to it */
	ret = map_read_record(mbox, hdr, rec, uid, entry_r, buf, fault);
	if (ret != 0)
		return ret;
	ret = idmap_open(mbox->map, fault);
	if (ret <= 0)
		return ret;
	ret = map_read_record(mbox, hdr, rec, uid, entry_r, buf, fault);
	if (ret != 0)
		return ret;
	return idmap_lookup(mbox->map, uid, entry_r, buf, fault);
}

uint64_t bridge_map_seen_size(struct bridge_mailbox *mbox,
			      struct mail_index_view *view, uint32_t seq)
{
	const void *data;
	uint32_t size;

	mail_index_lookup_ext(view, seq, mbox->size_ext_id, &data, NULL);
	if (data == NULL)
		return WIRE_SIZE_UNKNOWN;
	memcpy(&size, data, sizeof(size));
	return size == 0 ? WIRE_SIZE_UNKNOWN : size - 1;
}
