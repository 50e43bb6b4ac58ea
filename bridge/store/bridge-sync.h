/* One synchronisation of a mailbox: what passes between the dialogue with the
 * backend (bridge-sync.c) and the index (bridge-sync-index.c). */
#ifndef BRIDGE_SYNC_H
#define BRIDGE_SYNC_H

#include "bridge-storage.h"

#include "listing.h"
#include "reconcile.h"

struct bridge_sync {
	struct bridge_mailbox *mbox;
	bool force;		/* doveadm force-resync */
	bool listed;		/* listing and result are filled in */
	bool ignore_flags;	/* the backend said "* FLAGS local" */
	bool crlf;		/* a size is the RFC822.SIZE too */
	bool partial;		/* the index says what the map says, so known
				   is only what the list names */
	int64_t now;

	struct listing listing;
	struct reconcile_result result;
	const struct idmap_entry *known;	/* the map's, by UID */
	size_t known_count;
	struct idmap_entry *named;	/* known, when partial */
	struct buf *named_ids;

	struct mail_index_sync_ctx *index_ctx;
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	uint32_t next_uid;	/* the next UID to give out */
	uint32_t index_next_uid;	/* what the index thought before */
	bool rewrite_records;	/* offsets are of another generation */
	ARRAY_TYPE(uint32_t) expunged_uids;
	ARRAY_TYPE(uint32_t) appended_uids;
	unsigned int bad_keywords;
};

/* Bring map and index to what sync says: stage the map's changes, commit them,
 * then commit the index. Locked. Returns 0, -1 with the storage's error set
 * and nothing changed in either, or only in the map (taken up next time). */
int bridge_sync_index(struct bridge_sync *sync);

/* bridge-sync-named.c: fill in known with what the listing names, from an index
 * that is in step with the map. Returns 0; -1 if the map has to be read. */
int bridge_sync_find_named(struct bridge_sync *sync,
			   struct mail_index_view *view);
void bridge_sync_free_named(struct bridge_sync *sync);

#endif
