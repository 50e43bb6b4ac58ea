/* One synchronisation of a mailbox: what passes between the dialogue with the
 * backend (bridge-sync.c), the lines of its list (bridge-sync-list.c) and the
 * index (bridge-sync-index.c). */
#ifndef BRIDGE_SYNC_H
#define BRIDGE_SYNC_H

#include "bridge-storage.h"

#include "listing.h"
#include "reconcile.h"

/* A message that is new in the map: what the index will say of it. There may be
   millions, so they are kept in blocks, which are freed one by one; what else is
   known of it stands in the map. */
struct bridge_sync_add {
	struct bridge_index_record rec;
	uint32_t flags;		/* their number in the map */
	uint32_t vsize;		/* RFC822.SIZE + 1; 0 = not known */
};

#define BRIDGE_SYNC_BLOCK 16384

/* A known message whose line in the map is another one now. */
struct bridge_sync_move {
	size_t known;
	uint64_t offset;
};

struct bridge_sync {
	struct bridge_mailbox *mbox;
	bool force;		/* doveadm force-resync */
	bool ignore_flags;	/* the backend said "* FLAGS local" */
	bool crlf;		/* a size is the RFC822.SIZE too */
	int64_t now;

	/* bridge_sync_begin: what the map says, before anything is staged. */
	bool begun;
	bool partial;		/* the index says what the map says, so known
				   is only what the list names */
	const struct idmap_known *known;	/* by UID */
	size_t known_count;
	struct idmap_known *named;	/* known, when partial */
	uint32_t first_uid;	/* of adds; they follow each other */
	uint32_t next_uid;	/* the next UID to give out */

	/* the list; rec is NULL if the backend was not asked */
	struct reconciler *rec;
	struct listing_end end;
	struct listing_msg *waiting;	/* lines that are not taken yet */
	size_t waiting_count, waiting_bytes;
	struct arena waiting_text;
	size_t bytes, bytes_max;	/* of memory, about */
	struct fault fault;	/* something of ours failed meanwhile */
	struct bridge_sync_add **adds;	/* BRIDGE_SYNC_BLOCK in each */
	size_t adds_count;
	struct bridge_sync_move *moves;
	size_t moves_count, moves_alloc;
	size_t next_move;
	unsigned int bad_keywords;

	/* the index */
	struct mail_index_sync_ctx *index_ctx;
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	uint32_t index_next_uid;	/* what the index thought before */
	uint32_t last_uid;	/* the one appended last; 0 = none yet */
	size_t next_known, next_add;	/* to be appended next */
	ARRAY_TYPE(uint32_t) expunged_uids;
};

/* What a record of the index can say of an offset: 0 = read the whole map. */
static inline uint32_t bridge_sync_offset(uint64_t offset)
{
	return offset <= UINT32_MAX ? (uint32_t)offset : 0;
}

/* Find out what the map knows: all of it, or, if the index is in step with it,
 * only what the lines name that are waiting. Locked, with the map open. Returns
 * 0, or -1 and a fault. */
int bridge_sync_begin(struct bridge_sync *sync, bool whole,
		      struct fault *fault);

/* bridge-sync-list.c: LIST box state. What it means is staged in the map; adds
 * and moves are what the index needs of it. Returns 0, or -1 and a fault: then
 * what is staged must be rolled back. */
int bridge_sync_read_list(struct bridge_sync *sync, const char *state,
			  struct fault *fault);
/* A new message: its entry, but for uid and first_seen, goes to the map. */
void bridge_sync_add(struct bridge_sync *sync, struct idmap_entry *entry,
		     uint32_t vsize);
/* The next of them that is to be appended; the ones before are freed. */
struct bridge_sync_add bridge_sync_take_add(struct bridge_sync *sync);
void bridge_sync_list_free(struct bridge_sync *sync);

/* bridge-sync-named.c: fill in known with what the waiting lines name, from an
 * index that is in step with the map. Returns 0; -1 if the map has to be
 * read. */
int bridge_sync_find_named(struct bridge_sync *sync,
			   struct mail_index_view *view);

/* bridge-sync-flags.c */
/* What clients did to flags since the last time: the map keeps it, so that it
 * survives the index. */
void bridge_sync_local_flags(struct bridge_sync *sync);
/* A list of flags in wire form, as Dovecot has them. \Recent and unknown
 * \flags are ignored; a keyword that is none is counted and left out. */
void bridge_sync_parse_flags(struct bridge_sync *sync, struct view list,
			     enum mail_flags *flags_r,
			     ARRAY_TYPE(const_string) *keywords);
/* The flags that are kept of what a list says about a new message. */
void bridge_sync_seed(struct bridge_sync *sync, struct view list,
		      struct buf *seed);

/* bridge-sync-index.c: commit what is staged in the map, and bring the index to
 * what the map says then. Locked. Returns 0, -1 with the storage's error set
 * and nothing changed in either, or only in the map (taken up next time). */
int bridge_sync_index(struct bridge_sync *sync);

#endif
