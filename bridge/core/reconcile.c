/* What a listing means for what we know.
 *
 * The most dangerous thing a bridge does is to expunge: a client that was told
 * EXPUNGE deletes its copy and forgets its flags, and no later listing brings
 * the UID back. So the question here is always which messages may go.
 *
 * Statements and absences. "* GONE id" is a statement: the store knew the
 * message and says that it is no more. It is believed at once, in whatever
 * listing it stands. Not being named is an absence. In a delta it says
 * nothing. In a full listing it means "gone", but it is also what an unmounted
 * disk, an emptied cache, a wrong password or a store that died after ten
 * lines and said OK look like. Those mistakes have in common that they take
 * away much at once and that they pass. Hence the brake:
 *
 *   of at least 20 known messages a quarter or more are absent, or
 *   of at least 3 known messages none is listed
 *
 * and absences of this listing are not acted upon by themselves. What is
 * absent becomes suspect, stamped with the time. A suspect message goes when a
 * later full listing, at least brake_pause_secs after the stamp, lacks it too;
 * so every expunge that the brake concerns rests on two full listings that far
 * apart. A message that is absent for the first time while the brake holds
 * gets a stamp of its own, and waits for itself: the listing that confirms the
 * old suspects does not carry the new ones along. A message that is listed is
 * no suspect any more, in a delta as well.
 *
 * The share is counted over all that is absent, suspects included: otherwise a
 * store that loses a fifth with every listing would never meet the brake. When
 * the share falls below the limits again (the disk came back, but for some
 * messages), the brake does not hold, and what is absent goes at once, suspect
 * or not: it is what a user deleting a few messages looks like. A REPLACE is
 * listed, so it is no absence. GONE counts as known, and as not listed:
 * statements that take away all but the absent do not make the absent few.
 *
 * doveadm force-resync lifts the brake: somebody looked and decided.
 *
 * The clock. Stamps are wall-clock time, because they outlive the machine's
 * uptime. A stamp in the future means that the clock was set back since. The
 * distance of the two listings is then unknown: expunging could be too early,
 * and waiting for the clock to reach the stamp could take years. Such a stamp
 * counts as made now: the message stays suspect with the present time
 * (reconcile_suspect_since), and is decided one pause later. Setting the clock
 * back can only lengthen the wait, by one pause for each time it is done. A
 * clock that leaps ahead between two listings shortens it; nothing here can
 * tell that from time that passed. For asking again (reconcile_may_list) a
 * stamp in the future means "ask now": that is harmless.
 *
 * Immutability. An id names the same bytes for ever. A known size and a listed
 * size that differ are therefore another message under the old id: the UID
 * goes, the id gets a new one (REPLACE). An unknown size says nothing.
 *
 * Matching is by 128 bits of SHA-256 of the decoded id, in one table with open
 * addressing that holds the known messages and the new items: an item that
 * finds an item, or a known message that was named already, is a duplicate.
 * The backend chooses the ids but not their hashes, so no choice of ids makes
 * the table slow, and its first bits serve as they are. Should one id be known
 * twice (a save was interrupted between the new UID and the end of the old),
 * the higher UID is the message and the lower goes: an id is one message.
 *
 * Time and memory: proportional to known + items. */
#include "reconcile.h"

#include <stdlib.h>

#define SLOT_FREE UINT32_MAX

struct reconciler {
	const struct idmap_entry *known;
	size_t known_count;
	const struct reconcile_item *items;
	size_t items_count;
	const struct reconcile_policy *policy;
	struct reconcile_result *result;

	/* known messages first, items from known_count on */
	uint32_t *slots;
	size_t mask;
	bool *named;		/* by known message: listed, gone or outdone */
	size_t outdone;		/* known under a higher UID too */
};

static const unsigned char *hash_of(const struct reconciler *rec, uint32_t ref)
{
	return ref < rec->known_count ? rec->known[ref].hash :
		rec->items[ref - rec->known_count].hash;
}

/* The slot of a hash, or the free one where it belongs. */
static uint32_t *slot_find(const struct reconciler *rec,
			   const unsigned char *hash)
{
	uint64_t bits;
	size_t i;

	memcpy(&bits, hash, sizeof(bits));
	i = (size_t)bits & rec->mask;
	while (rec->slots[i] != SLOT_FREE &&
	       memcmp(hash_of(rec, rec->slots[i]), hash, IDMAP_HASH_SIZE) != 0)
		i = (i + 1) & rec->mask;
	return &rec->slots[i];
}

static void rec_init(struct reconciler *rec)
{
	struct reconcile_result *result = rec->result;
	size_t i, size = 16;

	/* at most two thirds full */
	while (size - size / 3 < rec->known_count + rec->items_count)
		size *= 2;
	rec->mask = size - 1;
	rec->slots = mem_grow(NULL, size, sizeof(*rec->slots));
	memset(rec->slots, 0xff, size * sizeof(*rec->slots));
	rec->named = mem_new(rec->known_count, sizeof(*rec->named));

	memset(result, 0, sizeof(*result));
	result->fates = mem_new(rec->known_count, sizeof(*result->fates));
	result->item_of_known = mem_grow(NULL, rec->known_count,
					 sizeof(*result->item_of_known));
	result->known_of_item = mem_grow(NULL, rec->items_count,
					 sizeof(*result->known_of_item));
	result->adds = mem_grow(NULL, rec->items_count, sizeof(*result->adds));
	for (i = 0; i < rec->known_count; i++)
		result->item_of_known[i] = RECONCILE_NONE;
	for (i = 0; i < rec->items_count; i++)
		result->known_of_item[i] = RECONCILE_NONE;
}

static void rec_deinit(struct reconciler *rec)
{
	free(rec->slots);
	free(rec->named);
}

static void expunge(struct reconciler *rec, size_t k)
{
	rec->result->fates[k] = RECONCILE_EXPUNGE;
	rec->result->expunge_count++;
}

static void enter_known(struct reconciler *rec)
{
	uint32_t *slot;
	size_t k;

	for (k = 0; k < rec->known_count; k++) {
		slot = slot_find(rec, rec->known[k].hash);
		if (*slot != SLOT_FREE) {
			/* sorted by UID: this one is the message */
			rec->named[*slot] = true;
			rec->outdone++;
			expunge(rec, *slot);
		}
		*slot = (uint32_t)k;
	}
}

static bool is_other_size(uint64_t known, uint64_t listed)
{
	return known != IDMAP_SIZE_UNKNOWN && listed != IDMAP_SIZE_UNKNOWN &&
		known != listed;
}

/* Item i names known message k. */
static void match(struct reconciler *rec, size_t k, size_t i)
{
	struct reconcile_result *result = rec->result;
	const struct reconcile_item *item = &rec->items[i];

	rec->named[k] = true;
	result->known_of_item[i] = k;
	if (item->gone) {
		expunge(rec, k);
		return;
	}
	result->item_of_known[k] = i;
	if (is_other_size(rec->known[k].size, item->size)) {
		result->fates[k] = RECONCILE_REPLACE;
		result->expunge_count++;
		result->adds[result->adds_count++] = i;
	}
}

/* Returns -1 at the second item of an id. */
static int enter_items(struct reconciler *rec, size_t *duplicate_r)
{
	struct reconcile_result *result = rec->result;
	uint32_t *slot;
	size_t i;

	for (i = 0; i < rec->items_count; i++) {
		slot = slot_find(rec, rec->items[i].hash);
		if (*slot == SLOT_FREE) {
			*slot = (uint32_t)(rec->known_count + i);
			if (!rec->items[i].gone)
				result->adds[result->adds_count++] = i;
		} else if (*slot >= rec->known_count || rec->named[*slot]) {
			*duplicate_r = i;
			return -1;
		} else {
			match(rec, *slot, i);
		}
	}
	return 0;
}

/* Whether this listing takes away so much that it is not believed alone. */
static bool brake_holds(const struct reconciler *rec)
{
	size_t k, known = rec->known_count - rec->outdone;
	size_t absent = 0, listed = 0;

	if (rec->policy->force)
		return false;
	for (k = 0; k < rec->known_count; k++) {
		if (!rec->named[k])
			absent++;
		else if (rec->result->item_of_known[k] != RECONCILE_NONE)
			listed++;
	}
	if (absent == 0)
		return false;
	if (known >= RECONCILE_BRAKE_ALL_MIN && listed == 0)
		return true;
	return known >= RECONCILE_BRAKE_QUARTER_MIN && absent >= known / 4 &&
		absent * 4 >= known;
}

/* Whether a suspicion is old enough that this absence confirms it. */
static bool is_confirmed(int64_t since, const struct reconcile_policy *policy)
{
	return since > 0 && since <= policy->now &&
		policy->now - since >= (int64_t)policy->brake_pause_secs;
}

static void judge_absent(struct reconciler *rec)
{
	struct reconcile_result *result = rec->result;
	bool brake = brake_holds(rec);
	size_t k;

	for (k = 0; k < rec->known_count; k++) {
		if (rec->named[k])
			continue;
		if (!brake || is_confirmed(rec->known[k].suspect_since,
					   rec->policy)) {
			expunge(rec, k);
		} else {
			result->fates[k] = RECONCILE_SUSPECT;
			result->suspect_count++;
		}
	}
	result->held = result->suspect_count > 0;
}

int reconcile(const struct idmap_entry *known, size_t known_count,
	      const struct reconcile_item *items, size_t items_count,
	      const struct reconcile_policy *policy,
	      struct reconcile_result *result_r, size_t *duplicate_r)
{
	struct reconciler rec = {
		.known = known, .known_count = known_count,
		.items = items, .items_count = items_count,
		.policy = policy, .result = result_r,
	};
	int ret;

	rec_init(&rec);
	enter_known(&rec);
	ret = enter_items(&rec, duplicate_r);
	if (ret == 0 && policy->full)
		judge_absent(&rec);
	rec_deinit(&rec);
	if (ret < 0)
		reconcile_result_free(result_r);
	return ret;
}

void reconcile_result_free(struct reconcile_result *result)
{
	free(result->fates);
	free(result->item_of_known);
	free(result->known_of_item);
	free(result->adds);
	memset(result, 0, sizeof(*result));
}

int64_t reconcile_suspect_since(int64_t since,
				const struct reconcile_policy *policy)
{
	return since > 0 && since <= policy->now ? since : policy->now;
}

bool reconcile_may_list(int64_t held_at, int64_t now,
			unsigned int brake_pause_secs)
{
	return held_at <= 0 || held_at > now ||
		now - held_at >= (int64_t)brake_pause_secs;
}
