/* Messages on their way into a mailbox: see bridge-save.c. */
#ifndef BRIDGE_SAVE_H
#define BRIDGE_SAVE_H

#include "bridge-private.h"

#include "write.h"

/* One message of a transaction: spooled, or to be copied by the store. */
struct bridge_saved {
	uint32_t seq;		/* in the transaction */
	bool wants_uid;		/* dsync gives it the UID that it has elsewhere */
	bool has_guid;		/* it is a message that had a GUID elsewhere */
	guid_128_t guid;
	char *flags;		/* wire form list, all of them */
	char *change;		/* what of them the store does not know when it
				   has taken the message; NULL = nothing */
	int64_t date;		/* WIRE_DATE_UNKNOWN: the store knows it, or
				   nobody can tell it to it */
	int64_t saved_at;	/* 0 = now */
	int64_t seen_before;	/* as in struct idmap_entry */
	uint64_t size;		/* of the bytes; WIRE_SIZE_UNKNOWN */

	/* spooled: size bytes of the transaction's file */
	uint64_t spooled_at;
	char key[2 * GUID_128_SIZE + 1];
	struct append *append;

	/* copied */
	struct bridge_mailbox *src;	/* NULL = spooled */
	bool moving;
	uint32_t src_uid;
	char *src_id;
	char *src_flags;	/* its set in the map */

	/* what the store said: id is NULL if it is not there */
	char *id;
	uint64_t stored_size;
	uint32_t stored_uid;
	uint32_t uid;		/* that it gets */
	uint64_t offset;	/* of its line in the map */
};

struct bridge_save_context {
	struct mail_save_context ctx;
	struct bridge_mailbox *mbox;
	ARRAY(struct bridge_saved) saved;
	ARRAY_TYPE(uint32_t) own_moves;	/* UIDs that come from the mailbox
					   itself, and are to go there */
	char *refused_text;	/* why the commit is to fail; NULL = it is not */
	enum mail_error refused_error;
	int spool_fd;		/* the messages, one behind the other, in a file
				   without a name; -1 = none yet */
	uint64_t spooled;	/* bytes of those that came in whole */
	bool has_changes;	/* of flags, for the store */
	bool had_marks;		/* the mailbox had changes that wait for it */

	/* the one that comes in */
	struct istream *input;
	uint32_t seq;
	bool failed;
};

#define BRIDGE_SAVE(s) \
	container_of(s, struct bridge_save_context, ctx)

/* bridge-save.c */
struct mail_save_context *
bridge_save_alloc(struct mailbox_transaction_context *t);
int bridge_save_begin(struct mail_save_context *ctx, struct istream *input);
int bridge_save_continue(struct mail_save_context *ctx);
int bridge_save_finish(struct mail_save_context *ctx);
void bridge_save_cancel(struct mail_save_context *ctx);
int bridge_save_commit_pre(struct mail_save_context *ctx);
void bridge_save_commit_post(
	struct mail_save_context *ctx,
	struct mail_index_transaction_commit_result *result);
void bridge_save_rollback(struct mail_save_context *ctx);
/* A message that is being saved. Return 0, -1 with the storage's error set. */
int bridge_save_get_size(struct mail *mail, uoff_t *size_r);
int bridge_save_get_stream(struct mail *mail, struct istream **input_r);
/* bridge-copy.c */
int bridge_copy(struct mail_save_context *ctx, struct mail *mail);

/* The transaction's next message: appended to the index, without a UID. */
struct bridge_saved *bridge_save_add(struct bridge_save_context *ctx);

/* bridge-save-store.c: hand all to the store, in order. Returns 0 with their ids;
 * -1 and a fault, FAULT_NONE if a message to be copied is gone, and then what the
 * store had taken is taken back where it can be. */
int bridge_save_store(struct bridge_save_context *ctx, struct fault *fault);

/* bridge-save-flags.c */
/* Before the store is asked: the flags that the messages have by now. */
void bridge_save_note_flags(struct bridge_save_context *ctx,
			    const struct caps *caps);
/* The store is one with UIDs of its own, and has taken them. What it does not say of
 * them is asked for by a list: UIDs are complete if it can be had, and flags that the
 * store does not know are the index's. Returns TRUE if there was a list. */
bool bridge_save_settle(struct bridge_save_context *ctx,
			const struct caps *caps);
/* What a message's set in the map is to be; on the data stack. */
const char *bridge_save_map_flags(const struct bridge_saved *saved);
/* After the commit, still locked: tell the store of flags that it does not know. */
void bridge_save_push(struct bridge_save_context *ctx);

#endif
