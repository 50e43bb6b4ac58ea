/* The map of a mailbox (core/map/idmap.h), and what the index knows of it: see
 * bridge-map.c. */
#ifndef BRIDGE_MAP_H
#define BRIDGE_MAP_H

#include "bridge-private.h"

/* The mailbox is being opened: where its map lies. Returns 0, -1 with the storage's error
 * set. */
int bridge_map_init(struct bridge_mailbox *mbox);
/* Look at the map as it is now, and make it if there is none. Locked by the
 * caller. force: take what is sound of it, even if the index has seen more.
 * Returns 0, -1 with the storage's error set. */
int bridge_map_open(struct bridge_mailbox *mbox, bool force);
/* Whether what is committed goes to the disk at once (mail_fsync). */
bool bridge_map_fsyncs(const struct bridge_mailbox *mbox);

/* What the index says of the map, NULL if it says nothing; ext_id is its extension
 * "bridge". */
const struct bridge_index_header *
bridge_map_header(struct mail_index_view *view, uint32_t ext_id);
/* The same of the index as it is now, whoever has changed it. Returns FALSE if it says
 * nothing. */
bool bridge_map_latest_header(struct bridge_mailbox *mbox,
			      struct bridge_index_header *hdr_r);
/* What it is to say when it has taken over all that the map says. */
void bridge_map_make_header(struct bridge_mailbox *mbox,
			    struct mail_index_view *view, bool marks,
			    uint32_t listed_uid,
			    struct bridge_index_header *hdr_r);
/* Whether it has. The map is open, and locked if that shall stay so. */
bool bridge_map_is_in_step(struct idmap *map, uint32_t ext_id,
			   struct mail_index_view *view);
/* A transaction of the index adds what was committed to the map just now, and
 * nothing else was: the index stays in step. marks: there are some among it. Locked. */
void bridge_map_stays_in_step(struct bridge_mailbox *mbox,
			      struct mail_index_transaction *trans,
			      bool marks);
/* From which UID on messages may be in no list yet: they were saved since the last
 * one; 0 if the index does not know. */
uint32_t bridge_map_listed_uid(struct bridge_mailbox *mbox,
			       struct mail_index_view *view);
/* Whether the index says that there are marks (core/wire/flags.h); the second of the
 * index as it is now. */
bool bridge_map_has_marks(struct bridge_mailbox *mbox,
			  struct mail_index_view *view);
bool bridge_map_index_has_marks(struct bridge_mailbox *mbox);

/* What a record of the index can say of an offset: 0 = read the whole map. */
static inline uint32_t bridge_map_offset(uint64_t offset)
{
	return offset <= UINT32_MAX ? (uint32_t)offset : 0;
}
void bridge_map_make_record(const unsigned char *hash, uint64_t offset,
			    struct bridge_index_record *rec_r);
/* A message's record, and the header that says of which map it speaks. Returns
 * NULL if the index has none. */
const struct bridge_index_record *
bridge_map_record(struct bridge_mailbox *mbox, struct mail_index_view *view,
		  uint32_t seq, const struct bridge_index_header **hdr_r);
/* The map's entry of a message; its id points into buf. Returns 1, 0 if the map
 * does not have it, -1 and a fault. */
int bridge_map_entry(struct bridge_mailbox *mbox, struct mail_index_view *view,
		     uint32_t seq, uint32_t uid, struct idmap_entry *entry_r,
		     struct buf *buf, struct fault *fault);
/* The size that an earlier FETCH showed; WIRE_SIZE_UNKNOWN if there was
 * none. */
uint64_t bridge_map_seen_size(struct bridge_mailbox *mbox,
			      struct mail_index_view *view, uint32_t seq);

#endif
