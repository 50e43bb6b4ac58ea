/* What a listing means for what we know: a pure function. No I/O, no clock.
 * (The reasoning: at the top of reconcile.c; the rules: protocol.md,
 * "Synchronising".) */
#ifndef BRIDGE_RECONCILE_H
#define BRIDGE_RECONCILE_H

#include "idmap.h"

/* The brake holds when at least this many messages are known and ... */
#define RECONCILE_BRAKE_QUARTER_MIN 20	/* ... a quarter or more would vanish */
#define RECONCILE_BRAKE_ALL_MIN 3	/* ... all would vanish */

#define RECONCILE_NONE SIZE_MAX

/* One line of a listing: MSG, or GONE. */
struct reconcile_item {
	unsigned char hash[IDMAP_HASH_SIZE];
	uint64_t size;		/* IDMAP_SIZE_UNKNOWN if not listed */
	bool gone;		/* * GONE id */
};

struct reconcile_policy {
	bool full;		/* absence means gone */
	bool force;		/* doveadm force-resync: the brake is lifted */
	int64_t now;		/* seconds since the epoch, above 0 */
	unsigned int brake_pause_secs;
};

/* What becomes of a known message. */
enum reconcile_fate {
	RECONCILE_KEEP,		/* stays; if it was suspect, it is not any more
				   (when it was listed) */
	RECONCILE_EXPUNGE,	/* goes */
	RECONCILE_REPLACE,	/* goes, and its id comes back as a new message:
				   the bytes are others (immutability) */
	RECONCILE_SUSPECT	/* missing, but held back by the brake: stays,
				   and is marked suspect since
				   reconcile_suspect_since() */
};

struct reconcile_result {
	enum reconcile_fate *fates;	/* one per known message */
	size_t *item_of_known;		/* the MSG that lists it, or RECONCILE_NONE */
	size_t *known_of_item;		/* the known message, or RECONCILE_NONE */
	size_t *adds;			/* items to add, in list order: new ids and
					   those of REPLACE */
	size_t adds_count;
	size_t expunge_count;		/* EXPUNGE and REPLACE; EXPUNGE too if one
					   id is known twice: the lower UID */
	size_t suspect_count;
	bool held;			/* the brake holds: log it, list again after
					   the pause */
};

/* Compare. known must be sorted by UID; hash, size and suspect_since of each
 * are read. Together they must be fewer than 2^32-1. Returns 0 and a result;
 * -1 if an id stands twice in the listing, then *duplicate_r is the second
 * item and the result is empty. */
int reconcile(const struct idmap_entry *known, size_t known_count,
	      const struct reconcile_item *items, size_t items_count,
	      const struct reconcile_policy *policy,
	      struct reconcile_result *result_r, size_t *duplicate_r);
void reconcile_result_free(struct reconcile_result *result);

/* Since when a message of fate SUSPECT is suspect: its own suspect_since, or
 * now if it had none or one in the future. Store it if it differs. */
int64_t reconcile_suspect_since(int64_t since,
				const struct reconcile_policy *policy);

/* Whether the store may be asked for a list again now, after the brake held
 * one back at held_at (0 = it does not hold). */
bool reconcile_may_list(int64_t held_at, int64_t now,
			unsigned int brake_pause_secs);

#endif
