/* The storage "bridge": its structs, and what its files give each other. */
#ifndef BRIDGE_STORAGE_H
#define BRIDGE_STORAGE_H

#include "index-storage.h"
#include "index-mail.h"
#include "bridge-list.h"

#include "idmap.h"

#define BRIDGE_STORAGE_NAME "bridge"
#define BRIDGE_INDEX_PREFIX "dovecot.index"
#define BRIDGE_AWAKE_NAME "dovebridge-not-hibernated"	/* never made */
/* Messages that the store is asked to change at once: they are in memory meanwhile,
   and each that fails takes more than 2 KiB there (struct write_item). */
#define BRIDGE_WRITE_MAX 10000

/* The header extension "bridge" of dovecot.index: which map it follows. */
struct bridge_index_header {
	uint8_t guid[IDMAP_GUID_SIZE];
	uint32_t generation;
	uint32_t marks;		/* messages may have marks (core/flags.h) */
	uint32_t listed_uid;	/* the next UID when the store was listed last:
				   from it on are messages that it was given
				   since */
	uint32_t keeps;		/* what the store kept when it was asked last
				   (caps_keeps); 0 = not known */
	uint64_t map_end;	/* the index says what the map of this
				   generation said up to here */
};

/* Its record: which message this is, and where its line stands in the map of
   that generation (0 = beyond 4 GiB or unknown). */
struct bridge_index_record {
	uint8_t hash[IDMAP_HASH_SIZE];
	uint32_t offset;
};

/* Which folder lies at a path; all 0 = none. */
struct bridge_folder_id {
	dev_t dev;
	ino_t ino;
};

struct bridge_mailbox {
	struct mailbox box;
	struct bridge_mailbox_list *list;

	const char *wire_name;	/* as the backend spells it; NULL if the store
				   did not list it when it was opened */
	const char *box_id;	/* its id= when it was opened; NULL = none */
	const char *folder;	/* what it is kept in (bridge-identity.c) */
	struct bridge_folder_id folder_ids[2];	/* which folders these are: for
						   the map, for the index */
	bool id_from_ok;	/* by an id that only LIST box has given */
	bool shown;		/* it was synchronised since it was opened */
	bool replaced;		/* another mailbox has its name now, or
				   what is known here is not what is kept */
	bool ro;		/* marked ro */
	uint32_t keeps;		/* what the store kept when it was opened
				   (caps_keeps); 0 = it was not asked */
	struct idmap *map;
	uint32_t ext_id;	/* "bridge" */
	uint32_t size_ext_id;	/* "bridge-size": what a FETCH showed, plus 1 */
	uint32_t losses_ext_id;	/* "bridge-losses", see bridge-sync-brake.c */
	uint32_t cache_ext_id;	/* "bridge-cache", see bridge-sync-cache.c */

	bool relist;		/* a size differed: list at the next sync */
	bool postponed;		/* others had the lock: look at the next sync */
	bool flagged;		/* its client has changed flags since the last
				   sync */
	ARRAY_TYPE(uint32_t) spared;	/* UIDs whose MOVE within the mailbox
					   failed, see bridge-transaction.c */
	char *open_state;	/* the state that LIST gave the mailbox when it
				   was opened; used once */
	struct bridge_watch *watch;	/* while a client waits for changes */
};

#define BRIDGE_MAILBOX(s) \
	container_of(s, struct bridge_mailbox, box)

extern struct event_category event_category_bridge;
extern struct mail_storage bridge_storage;
extern struct mailbox bridge_mailbox;
extern struct mail_vfuncs bridge_mail_vfuncs;

struct mailbox *
bridge_mailbox_alloc(struct mail_storage *storage, struct mailbox_list *list,
		     const char *vname, enum mailbox_flags flags);

/* Whether the folders that the mailbox was opened in are those that are there: they may
   have been renamed, or removed, and made again since. */
enum bridge_place {
	BRIDGE_PLACE_SAME,
	BRIDGE_PLACE_NONE,	/* there are none */
	BRIDGE_PLACE_OTHER,	/* Dovecot must not look at the index any more: it
				   would read another one, and call it damaged */
	BRIDGE_PLACE_UNKNOWN	/* with the storage's error set */
};
enum bridge_place bridge_mailbox_place(struct bridge_mailbox *mbox);
/* A mailbox that the store did not list may be there by now. Returns 1 if the
   backend has a name for it, 0 if not, -1 with the storage's error set. */
int bridge_mailbox_find(struct bridge_mailbox *mbox);
/* doveadm force-resync of a mailbox that the store did not list: ask again, and
   believe the answer. Returns 0, -1 with the storage's error set. */
int bridge_mailbox_believe(struct bridge_mailbox *mbox);

/* bridge-sync.c */
struct mailbox_sync_context *
bridge_sync_init(struct mailbox *box, enum mailbox_sync_flags flags);
/* Look at the map as it is now, and make it if there is none. Locked by the
   caller. force: take what is sound of it, even if the index has seen more.
   Returns 0, -1 with the storage's error set. */
int bridge_sync_open_map(struct bridge_mailbox *mbox, bool force);
/* Take the mailbox's lock. Returns 0, -1 with the storage's error set. */
int bridge_sync_lock(struct bridge_mailbox *mbox);

/* bridge-mail.c */
/* The map's entry of a message; its id points into buf. Returns 1, 0 if the map
 * does not have it, -1 and a fault. */
int bridge_map_entry(struct bridge_mailbox *mbox, struct mail_index_view *view,
		     uint32_t seq, uint32_t uid, struct idmap_entry *entry_r,
		     struct buf *buf, struct fault *fault);
/* A message's record, and the header that says of which map it speaks. Returns
 * NULL if the index has none. */
const struct bridge_index_record *
bridge_map_record(struct bridge_mailbox *mbox, struct mail_index_view *view,
		  uint32_t seq, const struct bridge_index_header **hdr_r);
/* Whether a plugin makes another message of the bytes. */
bool bridge_mail_is_decoded(struct mail *mail);
/* The size that an earlier FETCH showed; IDMAP_SIZE_UNKNOWN if there was
 * none. */
uint64_t bridge_map_seen_size(struct bridge_mailbox *mbox,
			      struct mail_index_view *view, uint32_t seq);
struct mail *
bridge_mail_alloc(struct mailbox_transaction_context *t,
		  enum mail_fetch_field wanted_fields,
		  struct mailbox_header_lookup_ctx *wanted_headers);

/* Whether the mailbox can be written to by this verb (VERB_COUNT: by any); an
   INBOX that the store lacks is made. Returns 0 and what the store can do; -1
   with the storage's error set. what: "messages cannot be added". */
int bridge_mailbox_may_write(struct bridge_mailbox *mbox, enum verb_id verb,
			     const char *what, const struct caps **caps_r);
/* Whether messages can be removed from it. */
bool bridge_mailbox_removes(struct bridge_mailbox *mbox);
/* Whether what is committed goes to the disk at once (mail_fsync). */
bool bridge_mailbox_fsyncs(const struct bridge_mailbox *mbox);

/* bridge-save.c */
struct mail_save_context *
bridge_save_alloc(struct mailbox_transaction_context *t);
int bridge_save_begin(struct mail_save_context *ctx, struct istream *input);
int bridge_save_continue(struct mail_save_context *ctx);
int bridge_save_finish(struct mail_save_context *ctx);
void bridge_save_cancel(struct mail_save_context *ctx);
int bridge_transaction_save_commit_pre(struct mail_save_context *ctx);
void bridge_transaction_save_commit_post(
	struct mail_save_context *ctx,
	struct mail_index_transaction_commit_result *result);
void bridge_transaction_save_rollback(struct mail_save_context *ctx);
/* A message that is being saved. Return 0, -1 with the storage's error set. */
int bridge_save_get_size(struct mail *mail, uoff_t *size_r);
int bridge_save_get_stream(struct mail *mail, struct istream **input_r);

/* bridge-copy.c */
int bridge_copy(struct mail_save_context *ctx, struct mail *mail);

/* dsync: the store gives UIDs itself. Always returns -1. */
int bridge_refuse_uids(struct mailbox *box);
/* NO [NOPERM]: always returns -1. */
int bridge_refuse(struct mailbox *box, const char *what);

#endif
