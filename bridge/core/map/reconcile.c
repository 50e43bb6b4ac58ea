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
 * some of the suspects are listed and the share has fallen below the limits again
 * (the disk came back, but for some messages), the brake does not hold, and what
 * is absent goes at once, suspect or not: it is what a user deleting a few
 * messages looks like. As long as no suspect is listed the brake holds, however
 * many others there are by now: what came meanwhile says nothing about what went
 * (another disk is mounted there, or the same messages have other ids). With fewer
 * than three suspects it holds for them alone: clients may have expunged the others,
 * which says nothing about these, and what a user deletes meanwhile need not wait. A
 * message with other bytes is listed, so it is no absence. GONE counts as known, and as
 * not listed: statements that take away all but the absent do not make the absent
 * few.
 *
 * What little went with other lists a moment ago adds up (policy.lost): it counts as
 * known and absent. Else a store that loses a fifth with each of five lists would never
 * meet the brake. What was confirmed does not count.
 *
 * Who has a store to ask can settle what is held back by asking for the messages
 * (reconcile_believe): an archive that was written anew, under other ids, says GONE for
 * the old ones and has as many new ones.
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
 * goes, the id gets a new one. An unknown size says nothing.
 *
 * Matching is by 128 bits of SHA-256 of the decoded id, in one table with open
 * addressing that holds the known messages and the ids of lines that are not
 * known: a line that finds a line, or a known message that was named already,
 * is a duplicate. The backend chooses the ids but not their hashes, so no
 * choice of ids makes the table slow, and its first bits serve as they are.
 * Should one id be known twice (a save was interrupted between the new UID and
 * the end of the old), the higher UID is the message and the lower goes: an id
 * is one message.
 *
 * Nothing is decided before the end but what a line states by itself; the
 * brake, and what an absence means, need the whole listing. Of a line that is
 * not known only the hash is kept: 28 to 40 bytes for each while they are listed,
 * nothing afterwards. A slot has 32 bits of the hash, so that finding out that
 * an id is new reads one place in memory, not several.
 *
 * Time and memory: proportional to known + lines. */
#include "reconcile.h"

#include <stdlib.h>

#define SLOT_FREE UINT64_MAX
#define SLOTS_MIN 16

/* What is known so far of a known message. */
enum known_state {
	STATE_ABSENT,		/* not named; after the end: and to be kept */
	STATE_LISTED,
	STATE_OTHER,
	STATE_GONE,		/* said to be; after the end: or absent */
	STATE_OUTDONE,		/* its id is known under a higher UID too */
	STATE_SUSPECT		/* after the end: absent, but held back */
};

struct reconciler {
	const struct idmap_known *known;
	size_t known_count;
	unsigned char *states;	/* enum known_state */
	/* after the end */
	bool has_listed;	/* some of the known messages are listed */
	bool suspects_back;	/* some suspects are listed */
	size_t held, suspects, lost;

	/* 32 bits of the hash, then: known messages first, lines from
	   known_count on */
	uint64_t *slots;
	size_t size;		/* a power of two */
	size_t used;
	unsigned char (*hashes)[ID_HASH_SIZE];	/* of the lines */
	size_t lines, lines_alloc;
};

static const unsigned char *hash_of(const struct reconciler *rec, uint32_t ref)
{
	return ref < rec->known_count ? rec->known[ref].hash :
		rec->hashes[ref - rec->known_count];
}

static uint32_t tag_of(const unsigned char *hash)
{
	uint32_t tag;

	memcpy(&tag, hash, sizeof(tag));
	return tag;
}

static uint64_t slot_of(const unsigned char *hash, uint32_t ref)
{
	return (uint64_t)tag_of(hash) << 32 | ref;
}

/* The slot of a hash, or the free one where it belongs. */
static uint64_t *slot_find(const struct reconciler *rec,
			   const unsigned char *hash)
{
	uint32_t tag = tag_of(hash);
	size_t i = tag & (rec->size - 1);

	while (rec->slots[i] != SLOT_FREE &&
	       (rec->slots[i] >> 32 != tag ||
		memcmp(hash_of(rec, (uint32_t)rec->slots[i]), hash,
		       ID_HASH_SIZE) != 0))
		i = (i + 1) & (rec->size - 1);
	return &rec->slots[i];
}

static void slots_init(struct reconciler *rec, size_t size)
{
	rec->size = size;
	rec->slots = mem_grow(NULL, size, sizeof(*rec->slots));
	memset(rec->slots, 0xff, size * sizeof(*rec->slots));
}

static void slots_grow(struct reconciler *rec)
{
	uint64_t *old = rec->slots;
	size_t i, n, old_size = rec->size;

	slots_init(rec, old_size * 2);
	for (n = 0; n < old_size; n++) {
		if (old[n] == SLOT_FREE)
			continue;
		i = (size_t)(old[n] >> 32) & (rec->size - 1);
		while (rec->slots[i] != SLOT_FREE)
			i = (i + 1) & (rec->size - 1);
		rec->slots[i] = old[n];
	}
	free(old);
}

struct reconciler *reconcile_init(const struct idmap_known *known, size_t count)
{
	struct reconciler *rec = mem_new(1, sizeof(*rec));
	size_t k, size = SLOTS_MIN;
	uint64_t *slot;

	rec->known = known;
	rec->known_count = count;
	rec->states = mem_new(count, sizeof(*rec->states));
	while (size - size / 3 < count)
		size *= 2;
	slots_init(rec, size);
	for (k = 0; k < count; k++) {
		slot = slot_find(rec, known[k].hash);
		/* sorted by UID: this one is the message */
		if (*slot != SLOT_FREE)
			rec->states[(uint32_t)*slot] = STATE_OUTDONE;
		else
			rec->used++;
		*slot = slot_of(known[k].hash, (uint32_t)k);
	}
	return rec;
}

static void table_free(struct reconciler *rec)
{
	free(rec->slots);
	free(rec->hashes);
	rec->slots = NULL;
	rec->hashes = NULL;
}

void reconcile_deinit(struct reconciler **_rec)
{
	struct reconciler *rec = *_rec;

	if (rec == NULL)
		return;
	*_rec = NULL;
	table_free(rec);
	free(rec->states);
	free(rec);
}

/* --- lines ----------------------------------------------------------------- */

static bool is_other_size(uint64_t known, uint64_t listed)
{
	return known != WIRE_SIZE_UNKNOWN && listed != WIRE_SIZE_UNKNOWN &&
		known != listed;
}

static void line_enter(struct reconciler *rec, uint64_t *slot,
		       const unsigned char *hash)
{
	if (rec->lines == rec->lines_alloc) {
		rec->lines_alloc += rec->lines_alloc / 2 + 64;
		rec->hashes = mem_grow(rec->hashes, rec->lines_alloc,
				       sizeof(*rec->hashes));
	}
	memcpy(rec->hashes[rec->lines], hash, ID_HASH_SIZE);
	*slot = slot_of(hash, (uint32_t)(rec->known_count + rec->lines++));
	/* at most two thirds full */
	if (++rec->used >= rec->size - rec->size / 3)
		slots_grow(rec);
}

enum reconcile_verdict reconcile_line(struct reconciler *rec,
				      const struct reconcile_item *item,
				      size_t *known_r)
{
	uint64_t *slot = slot_find(rec, item->hash);
	uint32_t k = (uint32_t)*slot;

	if (*slot == SLOT_FREE) {
		line_enter(rec, slot, item->hash);
		return item->gone ? RECONCILE_NOTHING : RECONCILE_NEW;
	}
	if (k >= rec->known_count || rec->states[k] != STATE_ABSENT)
		return RECONCILE_TWICE;
	*known_r = k;
	if (item->gone) {
		rec->states[k] = STATE_GONE;
		return RECONCILE_GONE;
	}
	if (is_other_size(rec->known[k].size, item->size)) {
		rec->states[k] = STATE_OTHER;
		return RECONCILE_OTHER;
	}
	rec->states[k] = STATE_LISTED;
	return RECONCILE_LISTED;
}

void reconcile_expect(const struct reconciler *rec, const unsigned char *hash)
{
	__builtin_prefetch(&rec->slots[tag_of(hash) & (rec->size - 1)]);
}

/* --- the end --------------------------------------------------------------- */

/* Whether this listing takes away so much that it is not believed alone. */
static bool brake_holds(struct reconciler *rec, size_t lost)
{
	size_t k, counts[STATE_SUSPECT + 1] = { 0 };
	size_t suspect[STATE_SUSPECT + 1] = { 0 };
	size_t known, absent, listed;

	for (k = 0; k < rec->known_count; k++) {
		counts[rec->states[k]]++;
		if (rec->known[k].suspect_since != 0)
			suspect[rec->states[k]]++;
	}
	known = rec->known_count - counts[STATE_OUTDONE];
	absent = counts[STATE_ABSENT];
	listed = counts[STATE_LISTED] + counts[STATE_OTHER];
	rec->has_listed = listed > 0;
	rec->suspects_back = suspect[STATE_LISTED] + suspect[STATE_OTHER] > 0;
	if (absent == 0)
		return false;
	if (suspect[STATE_ABSENT] >= RECONCILE_BRAKE_ALL_MIN &&
	    !rec->suspects_back)
		return true;
	known += lost;
	absent += lost;
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

void reconcile_finish(struct reconciler *rec,
		      const struct reconcile_policy *policy)
{
	bool brake = brake_holds(rec, policy->lost), stays, confirmed;
	int64_t since;
	size_t k;

	table_free(rec);
	for (k = 0; k < rec->known_count; k++) {
		if (rec->states[k] != STATE_ABSENT)
			continue;
		since = rec->known[k].suspect_since;
		if (!policy->full) {
			rec->suspects += since != 0;
			continue;
		}
		stays = brake || (since != 0 && !rec->suspects_back);
		confirmed = policy->force || is_confirmed(since, policy);
		if (confirmed || !stays) {
			rec->states[k] = STATE_GONE;
			rec->lost += !confirmed;
		} else {
			rec->states[k] = STATE_SUSPECT;
			rec->suspects++;
		}
	}
	if (brake && policy->full)
		rec->held = rec->suspects;
}

enum reconcile_fate reconcile_fate(const struct reconciler *rec, size_t known)
{
	static const enum reconcile_fate fates[] = {
		[STATE_ABSENT] = RECONCILE_KEEP,
		[STATE_LISTED] = RECONCILE_KEEP,
		[STATE_OTHER] = RECONCILE_REPLACE,
		[STATE_GONE] = RECONCILE_EXPUNGE,
		[STATE_OUTDONE] = RECONCILE_EXPUNGE,
		[STATE_SUSPECT] = RECONCILE_SUSPECT,
	};

	return fates[rec->states[known]];
}

size_t reconcile_lost(const struct reconciler *rec)
{
	return rec->lost;
}

size_t reconcile_losses_now(struct reconcile_losses *losses, int64_t now,
			    unsigned int brake_pause_secs)
{
	int64_t pause = brake_pause_secs;

	/* a clock that was set back: the distance is not known */
	if (losses->since > now)
		losses->since = now;
	if (now - losses->since >= 2 * pause) {
		memset(losses, 0, sizeof(*losses));
	} else if (now - losses->since >= pause) {
		losses->since += pause;
		losses->before = losses->count;
		losses->count = 0;
	}
	return (size_t)losses->count + losses->before;
}

void reconcile_losses_add(struct reconcile_losses *losses, size_t lost,
			  int64_t now, unsigned int brake_pause_secs)
{
	if (reconcile_losses_now(losses, now, brake_pause_secs) == 0)
		losses->since = now;
	losses->count = lost > UINT32_MAX - losses->count ? UINT32_MAX :
		losses->count + (uint32_t)lost;
}

void reconcile_believe(struct reconciler *rec)
{
	size_t k;

	for (k = 0; k < rec->known_count; k++) {
		if (rec->states[k] == STATE_SUSPECT)
			rec->states[k] = STATE_GONE;
	}
	rec->held = rec->suspects = 0;
}

bool reconcile_has_listed(const struct reconciler *rec)
{
	return rec->has_listed;
}

size_t reconcile_held(const struct reconciler *rec)
{
	return rec->held;
}

size_t reconcile_suspects(const struct reconciler *rec)
{
	return rec->suspects;
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
