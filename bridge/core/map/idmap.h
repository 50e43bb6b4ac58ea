/* The durable map of one mailbox: which id has which UID, and what else must
 * survive the loss of Dovecot's index: UIDVALIDITY, the next UID, the
 * mailbox's GUID, sizes and dates as first seen, flags kept locally, the
 * store's last state, and what the brake suspects.
 *
 * It is the authority for UIDs; dovecot.index is a copy. (File format and the
 * crash argument: at the top of idmap.c.) */
#ifndef BRIDGE_IDMAP_H
#define BRIDGE_IDMAP_H

#include "fault.h"
#include "id.h"

#define IDMAP_GUID_SIZE 16

struct idmap;

/* The fixed part; valid after idmap_open returned 1. */
struct idmap_header {
	uint32_t uidvalidity;
	unsigned char guid[IDMAP_GUID_SIZE];
	uint32_t generation;	/* grows with each rewrite of the file: offsets
				   belong to one generation */
	uint32_t next_uid;	/* the next UID to give out; never goes back */
	const char *state;	/* as the backend spelt it; "-" = none */
};

/* One message, as its line says it. */
struct idmap_entry {
	uint32_t uid;
	unsigned char hash[ID_HASH_SIZE];	/* id_hash of the decoded id */
	struct view id;		/* as the backend spelt it last */
	uint64_t size;		/* exact bytes, WIRE_SIZE_UNKNOWN */
	int64_t date;		/* seconds since the epoch as listed, or
				   WIRE_DATE_UNKNOWN */
	int64_t first_seen;	/* when the bridge first saw it, here */
	int64_t seen_before;	/* of a copy: when it was first seen where it was
				   copied from, if there was no date; else 0 */
	uint64_t offset;	/* of its line in the file */
	bool has_guid;		/* it was saved with a GUID (by dsync, or a copy
				   from another storage) */
	unsigned char guid[IDMAP_GUID_SIZE];	/* that GUID */
	struct view flags;	/* local flags and keywords: wire form list
				   "$Work,\Flagged,\Seen", sorted without case,
				   "" = none. At most WIRE_FLAGS_MAX bytes: a
				   flag that does not fit is left out */
};

/* What is kept in memory of a message that is loaded: a mailbox may have
 * millions, so the rest, its id above all, stays in the file. */
struct idmap_known {
	unsigned char hash[ID_HASH_SIZE];
	uint64_t size;
	uint64_t offset;
	int64_t suspect_since;	/* missing in a full list that the brake held
				   back at this time; 0 = not suspect */
	uint32_t uid;
	uint32_t spelling;	/* idmap_spelling of its id */
	uint32_t len;		/* bytes of its line, with the LF */
};

/* The GUID of a message: the one that it was saved with, else a hash of the
 * mailbox's GUID and entry's hash: stable, and never the id itself. */
void idmap_guid(const unsigned char mailbox_guid[IDMAP_GUID_SIZE],
		const struct idmap_entry *entry,
		unsigned char guid_r[IDMAP_GUID_SIZE]);
/* Tells two spellings of one id apart: 0 for the one without a "%", else
 * a checksum. */
uint32_t idmap_spelling(const struct idmap *map, struct view id);

/* path: the map file; its lock file is path + ".lock". Nothing is opened yet. */
struct idmap *idmap_init(const char *path);
/* Never write to the file, not even to cut a torn tail off: for who only looks.
 * Nothing can be staged. Before idmap_open. */
void idmap_set_readonly(struct idmap *map);
/* Unlocks, forgets what is staged, sets *map to NULL; NULL is fine. */
void idmap_deinit(struct idmap **map);

/* Lock against all other processes (open file description lock on the lock
 * file, which is created 0600). Returns 0, or -1 with FAULT_BUSY after
 * wait_msecs, FAULT_UNAVAILABLE on a system error. waiting (may be NULL) is
 * called about once a second. Not recursive. */
int idmap_lock(struct idmap *map, unsigned int wait_msecs,
	       void (*waiting)(void *context), void *context,
	       struct fault *fault);
/* Forgets what is staged. */
void idmap_unlock(struct idmap *map);
bool idmap_is_locked(const struct idmap *map);

/* Look at the file as it is now: notices a file that was replaced or grew
 * since the last call. Reads the header and the last commit only, however
 * large the file is. Returns 1 if it is there and sound, 0 if there is no
 * file, -1 with a fault (INTERNAL if damaged: the text names path, byte and,
 * in idmap_load, line). Works with or without the lock. Call it again after
 * idmap_lock: nothing can be staged before. */
int idmap_open(struct idmap *map, struct fault *fault);
/* Somebody has seen a commit end there, which was synced to the disk, in the map of this
 * GUID and generation. From now on idmap_open fails (INTERNAL) if the file goes on behind
 * a last sound commit that ends before: no crash has torn that, it is damaged, and its
 * UIDs are not to be given out again. A file that ends there is an older copy, and is
 * good. end 0: nothing is known. */
void idmap_expect(struct idmap *map, const unsigned char guid[IDMAP_GUID_SIZE],
		  uint32_t generation, uint64_t end);
const struct idmap_header *idmap_header(const struct idmap *map);
/* Where the last commit ends: with the generation, the name of what the map
 * says. Valid after idmap_open returned 1. */
uint64_t idmap_end(const struct idmap *map);

/* Make a new map (temporary file, fsync, rename), locked. Replaces what is
 * there. Returns 0 or -1. */
int idmap_create(struct idmap *map, uint32_t uidvalidity,
		 const unsigned char guid[IDMAP_GUID_SIZE], uint32_t next_uid,
		 struct fault *fault);

/* Read all that is committed and not read yet. Returns 0 or -1. After it
 * idmap_known gives the live messages, sorted by UID. Pointers stay valid until
 * the next idmap_load, idmap_open, idmap_compact or idmap_deinit, or an
 * idmap_commit that fails. */
int idmap_load(struct idmap *map, struct fault *fault);
const struct idmap_known *idmap_known(const struct idmap *map,
				      size_t *count_r);
/* The next UID when the state was set that the map has: what came by that list is
 * below, what was saved since is not. As far as the file tells: one that was
 * compacted since counts all as listed. Valid after idmap_load. */
uint32_t idmap_listed_uid(const struct idmap *map);
/* Read the whole file from its beginning, whatever is loaded, and look for all that
 * can be wrong with it: what idmap_load says, that is the checksum of each
 * transaction, malformed lines, UIDs that do not ascend and a next UID that goes
 * back; and two messages with one id, of which found is told. Returns how many
 * found was told of, -1 and a fault if the file is damaged or cannot be read. */
int idmap_check(struct idmap *map, void (*found)(void *context, const char *text),
		void *context, struct fault *fault);
/* The whole entry of a message, loading the map; its views point into buf, or
 * are valid as long as what is loaded. Returns 1, 0 if there is none, -1 and
 * a fault. */
int idmap_lookup(struct idmap *map, uint32_t uid, struct idmap_entry *entry_r,
		 struct buf *buf, struct fault *fault);

/* Messages have one of a few sets of flags: each is kept once, under a number
 * that is good as long as nobody replaces the file and no commit fails.
 * Numbers are given in ascending order, 0 is the empty set. */
uint32_t idmap_flags_number(struct idmap *map, struct view flags);
/* That of a message that is loaded: known is one of idmap_known. */
uint32_t idmap_known_flags(const struct idmap *map,
			   const struct idmap_known *known);
struct view idmap_flags_text(const struct idmap *map, uint32_t number);

/* Read one message's line at an offset that the index remembers, without the
 * lock and without idmap_load (one pread). Returns 1 and the whole entry (its
 * id and flags views point into buf; flags are not filled in), 0 if there is
 * no such line at this offset in this generation (then use idmap_lookup), -1
 * on error. */
int idmap_read_entry(struct idmap *map, uint32_t generation, uint64_t offset,
		     uint32_t uid, struct idmap_entry *entry_r,
		     struct buf *buf, struct fault *fault);

/* Stage changes; locked, and opened since. Nothing is visible to anybody
 * before idmap_commit; idmap_header and idmap_brake alone show what is staged
 * to whom it is staged by. Much that is staged is written ahead, so memory
 * does not grow. What cannot be written (a malformed id, a UID given out) is
 * refused: the offset returned is 0, and the commit fails with INTERNAL. */
/* A new message: uid, id, size, dates, GUID and flags are taken from
 * entry (the hash is that of the id). entry->uid must be >= next_uid, which
 * moves past it; after idmap_create, until the map is closed, also any UID
 * above all that were added: messages of a lost map are restored in the order
 * of their UIDs, before new ones. Returns the offset its line will have. */
uint64_t idmap_add(struct idmap *map, const struct idmap_entry *entry);
/* The message is gone; its UID is never used again. */
void idmap_gone(struct idmap *map, uint32_t uid);
/* The backend spells the id differently now, or its size became known: hash,
 * id, size, dates and GUID are taken from entry; flags and suspicion stay. */
uint64_t idmap_update(struct idmap *map, const struct idmap_entry *entry);
/* Local flags of uid1..uid2 change: "+\Seen,-\Flagged,+$Work" (protocol.md's
 * change), or "=\Seen,$Work" for the whole set. */
void idmap_flags(struct idmap *map, uint32_t uid1, uint32_t uid2,
		 const char *change);
/* The brake: uid is suspect since this time; 0 = not any more. */
void idmap_suspect(struct idmap *map, uint32_t uid, int64_t since);
/* When the brake last held a full list back (0 = not held); see reconcile.h. */
void idmap_set_brake(struct idmap *map, int64_t held_at);
int64_t idmap_brake(const struct idmap *map);	/* valid after idmap_open */
void idmap_set_state(struct idmap *map, const char *state);
/* Give out no UID below this (the index may know of higher ones). */
void idmap_set_next_uid(struct idmap *map, uint32_t next_uid);

bool idmap_has_changes(const struct idmap *map);
/* Append what is staged as one unit: after a crash either all of it is there
 * or none. sync: fdatasync before returning. Returns 0; -1 with a fault, and
 * then nothing of it is in the file, and nothing is staged any more (UNCERTAIN
 * if even cutting the file back failed). What is loaded does not have it
 * before the next idmap_load. */
int idmap_commit(struct idmap *map, bool sync, struct fault *fault);
void idmap_rollback(struct idmap *map);

/* Whether more than half of a file above 64 KiB is superseded, or (after
 * idmap_load) replaying its flag changes takes long. Valid after idmap_open.
 * Ask after a commit: a file that is never compacted ends in one that cannot
 * be replayed. */
bool idmap_wants_compaction(const struct idmap *map);
/* Rewrite the file without what is superseded; locked, opened, nothing
 * staged. Loads the map; pointers from before are invalid. The generation
 * grows and every entry has a new offset. sync: sync the folder too (the file
 * always is). Returns 0; -1 with a fault, then the old file is in place (if
 * only syncing the folder failed: the new one). */
int idmap_compact(struct idmap *map, bool sync, struct fault *fault);
/* The same, and the mailbox is another one from then on: uidvalidity unless 0,
 * guid unless NULL, and the next UID if it is higher. Its messages stay, and keep
 * the GUIDs that they had. */
int idmap_identify(struct idmap *map, uint32_t uidvalidity,
		   const unsigned char guid[IDMAP_GUID_SIZE],
		   uint32_t next_uid, bool sync, struct fault *fault);

#endif
