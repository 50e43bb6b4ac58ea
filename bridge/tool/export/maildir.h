/* One folder of a Maildir++ that is written: messages go in whole, under names
 * that are made from their ids, so that what is there already is known. */
#ifndef BRIDGE_MAILDIR_H
#define BRIDGE_MAILDIR_H

#include "fetch.h"
#include "listing.h"
#include "maildir-keywords.h"

/* One message that is there. */
struct maildir_have {
	unsigned char hash[ID_HASH_SIZE];
	uint64_t size;		/* WIRE_SIZE_UNKNOWN */
};

struct maildir {
	int fd, cur_fd, tmp_fd;
	struct maildir_have *have;	/* what is there, sorted */
	size_t have_count;
	unsigned char identity[ID_HASH_SIZE];	/* of the mailbox */
	bool another;		/* it is not the first that was copied here */
	struct maildir_keywords keywords;
	bool changed;
};

/* Append the folder's name within the Maildir++: "." for INBOX, else a dot
 * before each component, in modified UTF-7. Within a component a dot and
 * a backslash are written as \2e and \5c, a ~ at its beginning as \7e: so
 * Dovecot's listescape plugin writes them, and shows them as they were. */
void maildir_name(const char *box, struct buf *out);
/* Open the folder at/name, made if it is not there, remove what an earlier run
 * left half done in its tmp, and see which messages it has. Returns 0, or -1
 * and errno; maildir_close is needed in both cases. */
int maildir_open(struct maildir *md, int at, const char *name);
/* Say which mailbox it is whose messages will be delivered: its id=, or NULL. The
 * folder remembers the first one. Messages of another one, which has got its
 * name, are others even if their ids are the same. Returns 0, or -1 and errno. */
int maildir_mailbox(struct maildir *md, const char *identity);
/* Make what was delivered and the folder itself durable, and free. Returns 0,
 * or -1 and errno. */
int maildir_close(struct maildir *md);

/* Append the letters that the name of a message has for a list of flags as the
 * wire has it, sorted. Unknown flags with a backslash are ignored. Returns false
 * if a keyword has no letter, and is left out. */
bool maildir_flags(struct maildir *md, const char *flags, struct buf *out);
/* Whether it is there; of another size, it is another message. */
bool maildir_has(const struct maildir *md, const struct listing_msg *msg);
/* Write a message to tmp, sync it, and move it to cur, where it replaces nothing.
 * Returns 0; -1 and errno, and then nothing of it is there. */
int maildir_deliver(struct maildir *md, const struct listing_msg *msg,
		    const char *letters, const struct fetched *fetched);

#endif
