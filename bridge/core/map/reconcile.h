/* What a listing means for what we know, line by line as it comes. No I/O, no
 * clock. (The reasoning: at the top of reconcile.c; the rules: protocol.md,
 * "Synchronising".) */
#ifndef BRIDGE_RECONCILE_H
#define BRIDGE_RECONCILE_H

#include "idmap.h"

/* The brake holds when at least this many messages are known and ... */
#define RECONCILE_BRAKE_QUARTER_MIN 20	/* ... a quarter or more would vanish */
#define RECONCILE_BRAKE_ALL_MIN 3	/* ... all would vanish, or none of those
					   that it holds back is listed */

/* One line of a listing: MSG, or GONE. */
struct reconcile_item {
	unsigned char hash[ID_HASH_SIZE];
	uint64_t size;		/* WIRE_SIZE_UNKNOWN if not listed */
	bool gone;		/* * GONE id */
};

/* What one line says. */
enum reconcile_verdict {
	RECONCILE_NEW,		/* an id that is not known: to be added */
	RECONCILE_LISTED,	/* a known message is there; if it was suspect,
				   it is not any more */
	RECONCILE_OTHER,	/* a known message goes, and its id comes back
				   as a new message, to be added: the bytes are
				   others (immutability) */
	RECONCILE_GONE,		/* a known message is gone */
	RECONCILE_NOTHING,	/* an id that is not known is gone */
	RECONCILE_TWICE		/* the id had a line before: a wrong listing */
};

/* What went with lists of late (reconcile_lost), as it is kept. Two losses that
 * are less than a pause apart are in one window of that length, or in two that
 * follow each other. */
struct reconcile_losses {
	int64_t since;
	uint32_t count;		/* in the window that began then */
	uint32_t before;	/* in the one before it */
};

struct reconcile_policy {
	bool full;		/* absence means gone */
	bool force;		/* doveadm force-resync: the brake is lifted */
	int64_t now;		/* seconds since the epoch, above 0 */
	unsigned int brake_pause_secs;
	size_t lost;		/* messages that went by reconcile_lost() with
				   lists of the last brake_pause_secs */
};

/* What becomes of a known message. */
enum reconcile_fate {
	RECONCILE_KEEP,		/* stays */
	RECONCILE_EXPUNGE,	/* goes; also the lower UID of one id that is
				   known twice */
	RECONCILE_REPLACE,	/* goes, see RECONCILE_OTHER */
	RECONCILE_SUSPECT	/* missing, but held back by the brake: stays,
				   and is marked suspect since
				   reconcile_suspect_since() */
};

struct reconciler;

/* known must be sorted by UID, and stay as it is until reconcile_finish; hash,
 * size and suspect_since of each are read. */
struct reconciler *reconcile_init(const struct idmap_known *known,
				  size_t count);
void reconcile_deinit(struct reconciler **rec);	/* sets it to NULL; NULL is fine */
/* Take the next line. Returns the verdict; *known_r is the known message, where
 * it speaks of one. After RECONCILE_TWICE nothing holds any more. Known messages
 * and lines must together be fewer than 2^32-2. */
enum reconcile_verdict reconcile_line(struct reconciler *rec,
				      const struct reconcile_item *item,
				      size_t *known_r);
/* A line with this hash comes soon: makes taking it quicker. */
void reconcile_expect(const struct reconciler *rec, const unsigned char *hash);
/* The listing has come to its end: judge what it did not name. No line can be
 * taken any more. */
void reconcile_finish(struct reconciler *rec,
		      const struct reconcile_policy *policy);
/* What becomes of a known message: after reconcile_finish. */
enum reconcile_fate reconcile_fate(const struct reconciler *rec, size_t known);
/* How many messages the brake holds back; above 0: log it, list again after the
 * pause. */
size_t reconcile_held(const struct reconciler *rec);
/* How many messages are suspect now; the same, but for those that wait alone, and
 * after a delta, which says nothing of them. Above 0: only a full list settles it. */
size_t reconcile_suspects(const struct reconciler *rec);

/* How many messages go because this list alone does not name them. */
size_t reconcile_lost(const struct reconciler *rec);
/* How many went with others, as of now: for policy.lost. */
size_t reconcile_losses_now(struct reconcile_losses *losses, int64_t now,
			    unsigned int brake_pause_secs);
/* And those of this list. */
void reconcile_losses_add(struct reconcile_losses *losses, size_t lost,
			  int64_t now, unsigned int brake_pause_secs);
/* Whether the list has any of the messages that are known. */
bool reconcile_has_listed(const struct reconciler *rec);
/* The store was asked, and says that what is held back is gone: it is EXPUNGE then. */
void reconcile_believe(struct reconciler *rec);

/* Since when a message of fate SUSPECT is suspect: its own suspect_since, or
 * now if it had none or one in the future. Store it if it differs. */
int64_t reconcile_suspect_since(int64_t since,
				const struct reconcile_policy *policy);

/* Whether the store may be asked for a list again now, after the brake held
 * one back at held_at (0 = it does not hold). */
bool reconcile_may_list(int64_t held_at, int64_t now,
			unsigned int brake_pause_secs);

#endif
