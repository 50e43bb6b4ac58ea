/* One synchronisation of a mailbox: what passes between the dialogue with the
 * backend (bridge-sync.c), the lines of its list (bridge-sync-list.c) and the
 * index (bridge-sync-index.c). */
#ifndef BRIDGE_SYNC_H
#define BRIDGE_SYNC_H

#include "bridge-private.h"
#include "bridge-map.h"

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
#define BRIDGE_SYNC_SAMPLES 4
#define BRIDGE_KEYWORDS_MAX 1000	/* that a mailbox takes from its store */

/* A change of flags that is for the store. */
struct bridge_push {
	uint32_t uid1, uid2;
	char *change;
};

/* A change of flags that is for the index: a change, or "=" and the whole set. */
struct bridge_flag_update {
	uint32_t uid;
	char *change;
};
ARRAY_DEFINE_TYPE(bridge_flag_update, struct bridge_flag_update);

/* A known message whose line in the map is another one now. */
struct bridge_sync_move {
	size_t known;
	uint64_t offset;
};

/* Flags of a message of a map that another one takes the place of. */
struct bridge_carried {
	uint8_t hash[ID_HASH_SIZE];
	struct view flags;	/* a set, with its marks */
};

#define BRIDGE_SYNC_REOPEN_MAX 2	/* for the sake of another id */

/* bridge-sync-known.c: what the map says, before anything is staged. */
struct bridge_sync_known {
	bool begun;
	bool index_is_other;	/* it is that of a map that was lost */
	bool behind;		/* the index has not taken over all that the
				   map says */
	bool partial;		/* the index says what the map says, so msgs
				   is only what the list names */
	const struct idmap_known *msgs;	/* by UID */
	size_t count;
	struct idmap_known *named;	/* msgs, when partial */
	uint32_t *named_flags;	/* numbers of their sets of flags */
	uint32_t listed_uid;	/* messages below were in the last list */
	size_t unlisted;	/* of the messages from there on, those that
				   the list has not named */
	uint32_t first_uid;	/* of new messages; they follow each other */
};

/* bridge-sync-list.c */
struct bridge_sync_list {
	struct reconciler *rec;	/* NULL if the backend was not asked */
	struct listing_end end;
	bool listed;		/* it has come to its end */
	bool again;		/* only a full one will do */
	struct listing_msg *waiting;	/* lines that are not taken yet */
	size_t waiting_count, waiting_bytes;
	struct arena waiting_text;
	size_t bytes, bytes_max;	/* of memory, about */
	struct fault fault;	/* something of ours failed meanwhile */
	struct bridge_sync_move *moves;
	size_t moves_count, moves_alloc;
	unsigned int bad_keywords;
	unsigned int excess_keywords;	/* sound, but too many */
};

/* bridge-sync-uids.c: of a store that gives UIDs. */
struct bridge_sync_uids {
	struct listing_msg *held;	/* new messages */
	size_t held_count, held_alloc;
	struct arena held_text;
	uint32_t new_uidvalidity;	/* that the store tells; 0 = ours */
	uint32_t *given;	/* of new messages; NULL if it is no such store */
};

/* bridge-sync-adds.c */
struct bridge_sync_adds {
	struct bridge_sync_add **blocks;	/* BRIDGE_SYNC_BLOCK in each */
	size_t count;
	size_t next;		/* to be appended next */
	uint32_t next_uid;	/* the next UID to give out */
	uint32_t last_flags;	/* their highest number so far */
	struct buf samples[BRIDGE_SYNC_SAMPLES];	/* ids of new messages */
	unsigned int samples_count;
	struct bridge_carried *carried;	/* sorted; NULL = none */
	size_t carried_count;
	struct arena carried_text;
};

/* bridge-sync-queue.c: changes of flags. */
struct bridge_sync_queue {
	ARRAY(struct bridge_push) pushes;
	ARRAY_TYPE(bridge_flag_update) updates;
	ARRAY(struct mail_index_sync_rec) recs;	/* what clients did, where it
						   may be overwritten */
};

/* Changes that wait for the store (core/wire/flags.h). */
struct bridge_sync_marks {
	bool pushed;		/* left is known */
	bool left;
	bool found;		/* while the index is behind */
};

/* bridge-sync-index.c */
struct bridge_sync_index {
	struct mail_index_sync_ctx *ctx;
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	struct mail_index_optimization_settings optimization;
	uint32_t next_uid;	/* what the index thought before */
	bool walked;		/* all but what is to be appended */
	uint32_t last_uid;	/* the one appended last; 0 = none yet */
	size_t next_known;	/* to be appended next */
	size_t next_move;
	uint32_t unmarked_set;	/* a set without marks */
	ARRAY_TYPE(uint32_t) expunged_uids;
};

struct bridge_sync {
	struct bridge_mailbox *mbox;
	bool force;		/* doveadm force-resync */
	const struct caps *caps;	/* NULL = not known */
	bool crlf;		/* a size is the RFC822.SIZE too */
	bool other;		/* it is another mailbox than was opened */
	int64_t now;

	struct bridge_sync_known known;
	struct bridge_sync_list list;
	struct bridge_sync_uids uids;
	struct bridge_sync_adds adds;
	struct bridge_sync_queue queue;
	struct bridge_sync_marks marks;
	struct bridge_sync_index index;
};

/* bridge-sync-keeps.c */
/* Before the store is asked: if it keeps other flags than it did, or UIDs, what is
 * kept here is made ready for that. Locked, with the map open. Returns 1 if
 * something is for bridge_sync_push, 0 if not, -1 and a fault if it cannot be
 * asked. */
int bridge_sync_check_keeps(struct bridge_mailbox *mbox, struct fault *fault);
/* After a list, in the caps that it came with. Returns 0; -1 and a fault if
 * another copy has made it, that keeps something else: it must not be used. */
int bridge_sync_same_keeps(struct bridge_mailbox *mbox,
			   const struct caps *caps, struct fault *fault);

/* bridge-sync.c */
struct mailbox_sync_context *
bridge_sync_init(struct mailbox *box, enum mailbox_sync_flags flags);
/* For transactions. */
/* Take the mailbox's lock, and bring the index in step with the map. Returns 0, -1
 * with the storage's error set, not locked. */
int bridge_sync_lock_in_step(struct bridge_mailbox *mbox);
/* Ask for a list in the middle of a transaction, which has the lock. Returns 0, -1
 * with the storage's error set. */
int bridge_sync_list_now(struct bridge_mailbox *mbox);
/* Change flags of messages in map and index as a client would. Locked, in step.
 * Returns 0, -1 with the storage's error set. */
int bridge_sync_change_flags(struct bridge_mailbox *mbox,
			     const ARRAY_TYPE(bridge_flag_update) *changes);
/* Push changes that are marked in the map, those of before as well if there were any
 * (had_marks). What the store does not take now stays marked. Locked, in step. */
void bridge_sync_push_flags(struct bridge_mailbox *mbox,
			    const ARRAY_TYPE(bridge_flag_update) *changes,
			    bool had_marks);
/* The store has removed these ids at our own request: out of map and index with
 * them. Locked. Returns 0, -1 with the storage's error set. */
int bridge_sync_gone(struct bridge_mailbox *mbox,
		     const ARRAY_TYPE(const_string) *ids);

/* bridge-sync-known.c */
/* Find out what the map knows: all of it, or, if the index is in step with it,
 * only what the lines name that are waiting. Locked, with the map open. Returns
 * 0, or -1 and a fault. */
int bridge_sync_begin(struct bridge_sync *sync, bool whole,
		      struct fault *fault);

/* bridge-sync-adds.c */
/* A new message: its entry, but for uid and first_seen, goes to the map. */
void bridge_adds_add(struct bridge_sync *sync, struct idmap_entry *entry,
		     uint32_t vsize);
/* The next of them that is to be appended; the ones before are freed. */
struct bridge_sync_add bridge_adds_take(struct bridge_sync *sync);
void bridge_adds_free(struct bridge_sync *sync);
/* The map is to be made anew: keep the flags of its messages. Locked, nothing
 * staged. Returns 0, or -1 and a fault. */
int bridge_adds_carry(struct bridge_sync *sync, struct fault *fault);
/* What was kept of the message with this hash, as listed with these flags now:
 * appended to set. Returns FALSE if it was nothing. */
bool bridge_adds_carried(struct bridge_sync *sync, const uint8_t *hash,
			 struct view listed, struct buf *set);
/* A new message, whose line this is. */
void bridge_adds_line(struct bridge_sync *sync,
		      const struct listing_msg *msg);
void bridge_adds_carry_free(struct bridge_sync *sync);

/* bridge-sync-queue.c */
/* This change of these UIDs is for the store, after those added before. */
void bridge_queue_push(struct bridge_sync *sync, uint32_t uid1,
		       uint32_t uid2, const char *change);
void bridge_queue_free_pushes(struct bridge_sync *sync);
/* Those, and what is for the index. */
void bridge_queue_free(struct bridge_sync *sync);

/* bridge-sync-list.c: LIST box state. What it means is staged in the map; adds
 * and moves are what the index needs of it. Returns 0, or -1 and a fault: then
 * what is staged must be rolled back. */
int bridge_sync_read_list(struct bridge_sync *sync, const char *state,
			  struct fault *fault);
/* The store has removed these ids (as spelt) at our own request. Returns as
 * bridge_sync_read_list. */
int bridge_sync_stage_gone(struct bridge_sync *sync,
			   const ARRAY_TYPE(const_string) *ids,
			   struct fault *fault);
void bridge_sync_list_free(struct bridge_sync *sync);

/* bridge-sync-uids.c: for a store with UIDs of its own. What is broken is in
 * sync->fault. */
/* A known message is listed: under its UID? */
void bridge_uids_check(struct bridge_sync *sync, const struct listing_msg *msg,
		       uint32_t uid);
/* A new one: to be added when the list has ended. */
void bridge_uids_hold(struct bridge_sync *sync, const struct listing_msg *msg);
void bridge_uids_end(struct bridge_sync *sync, const struct listing_end *end);
void bridge_uids_free(struct bridge_sync *sync);
/* bridge-sync-push.c */
/* Push to the store what sync has to push, and what marks say; what came of it is
 * staged in the map and in updates. had_marks: there were some before this
 * synchronisation. Locked; the index is in step. */
void bridge_sync_push(struct bridge_sync *sync, bool had_marks);

/* bridge-sync-flags.c */
/* The flags of a message in the index, as a set. */
uint32_t bridge_sync_index_set(struct bridge_sync *sync,
			       struct mail_index_view *view, uint32_t seq);
/* The store says which flags a message has now, whose set in the map is this:
 * what that changes is staged, in the map and for the index. */
void bridge_sync_listed_flags(struct bridge_sync *sync, uint32_t uid,
			      uint32_t set, struct view listed);
void bridge_sync_update_flags(struct bridge_sync *sync, uint32_t uid,
			      const char *change);
/* Bring the index to what updates say. */
void bridge_sync_apply_updates(struct bridge_sync *sync);
/* Bring a message of the index to this set of the map; before the updates. */
void bridge_sync_follow_flags(struct bridge_sync *sync, uint32_t seq,
			      uint32_t uid, uint32_t set);
/* What clients did to flags since the last time: the map keeps it, so that it
 * survives the index. */
void bridge_sync_local_flags(struct bridge_sync *sync);
/* A list of flags in wire form, as Dovecot has them. \Recent and unknown
 * \flags are ignored; a keyword that is none is counted and left out. */
void bridge_sync_parse_flags(struct bridge_sync *sync, struct view list,
			     enum mail_flags *flags_r,
			     ARRAY_TYPE(const_string) *keywords);
/* A change that clients made: to the map, and what of it is for the store is marked,
 * to be pushed. */
void bridge_sync_take_change(struct bridge_sync *sync, uint32_t uid1,
			     uint32_t uid2, const char *change);
/* The flags that are kept of what a list says about a new message. */
void bridge_sync_seed(struct bridge_sync *sync, struct view list,
		      struct buf *seed);

/* bridge-sync-brake.c */
/* How many messages have gone lately because a list did not name them. */
size_t bridge_sync_losses(struct bridge_sync *sync);
/* In the transaction of the index: how many have now. */
void bridge_sync_note_losses(struct bridge_sync *sync);
/* After a list, before it is committed: what the brake holds back goes if the store
 * says that it is gone, and has as many other messages. */
void bridge_sync_ask_brake(struct bridge_sync *sync);

/* bridge-sync-cache.c */
/* Places in the index for what is remembered of messages. */
void bridge_sync_make_places(struct bridge_sync *sync);
/* Whether all that Dovecot remembers was remembered under this version. */
bool bridge_sync_cache_is_ours(struct bridge_mailbox *mbox);
/* If not, and with force, what it remembers of the first count messages is
 * forgotten. */
void bridge_sync_check_cache(struct bridge_sync *sync, uint32_t count);

/* bridge-sync-index.c: commit what is staged in the map, and bring the index to
 * what the map says then. Locked. Returns 0, -1 with the storage's error set
 * and nothing changed in either, or only in the map (taken up next time). */
int bridge_sync_index(struct bridge_sync *sync);
#endif
