#include "tap.h"
#include "reconcile.h"

#include <stdlib.h>
#include <time.h>

#define NOW 1000000
#define PAUSE 60

/* A message is a letter or any other byte; its hash is made of it. */
static void letter_hash(unsigned int letter, unsigned char *hash)
{
	memset(hash, 0, ID_HASH_SIZE);
	memcpy(hash, &letter, sizeof(letter));
}

/* --- table --------------------------------------------------------------- */

/* known: one letter a message, in UID order. "a" = size unknown, "a5" = size
 * 5, "a?" = suspect for 10 s, "a!" = for PAUSE, "a>" = since a time to come.
 * listed: "a", "a5", "-a" = GONE a. want: one letter a known message:
 * k(eep) e(xpunge) r(eplace) s(uspect); adds: the letters added, in order. */
static const struct {
	const char *name;
	const char *known;
	const char *listed;
	bool full, force;
	const char *want;
	const char *adds;
	bool held;
	size_t lost;		/* with lists before */
} rows[] = {
	{ "an empty full list of an empty mailbox does nothing",
	  "", "", true, false, "", "", false, 0 },
	{ "the first list adds all, in its own order",
	  "", "cab", true, false, "", "cab", false, 0 },
	{ "what is known and listed stays",
	  "abc", "cba", true, false, "kkk", "", false, 0 },
	{ "a delta that names nothing changes nothing",
	  "abcde", "", false, false, "kkkkk", "", false, 0 },
	{ "GONE of a known message in a delta expunges it",
	  "abc", "-b", false, false, "kek", "", false, 0 },
	{ "GONE of an unknown id is ignored",
	  "abc", "-x", false, false, "kkk", "", false, 0 },
	{ "GONE of all in a delta is never held back",
	  "abcd", "-a-b-c-d", false, false, "eeee", "", false, 0 },
	{ "GONE of all in a full list is never held back",
	  "abcd", "-a-b-c-d", true, false, "eeee", "", false, 0 },
	{ "GONE of most does not make the absent rest few",
	  "abcd", "-a-b-c", true, false, "eees", "", true, 0 },
	{ "a delta adds and expunges at once",
	  "abc", "x-ay", false, false, "ekk", "xy", false, 0 },
	{ "an absence in a full list expunges",
	  "abc", "ac", true, false, "kek", "", false, 0 },
	{ "two of two messages may vanish at once",
	  "ab", "", true, false, "ee", "", false, 0 },
	{ "all of three messages are held back",
	  "abc", "", true, false, "sss", "", true, 0 },
	{ "all of three are held back when others are new",
	  "abc", "xyz", true, false, "sss", "xyz", true, 0 },
	{ "two of three may vanish at once",
	  "abc", "b", true, false, "eke", "", false, 0 },
	{ "18 of 19 may vanish at once",
	  "abcdefghijklmnopqrs", "a", true, false, "keeeeeeeeeeeeeeeeee", "",
	  false, 0 },
	{ "five of twenty are a quarter and are held back",
	  "abcdefghijklmnopqrst", "abcdefghijklmno", true, false,
	  "kkkkkkkkkkkkkkksssss", "", true, 0 },
	{ "four of twenty are less and are expunged",
	  "abcdefghijklmnopqrst", "abcdefghijklmnop", true, false,
	  "kkkkkkkkkkkkkkkkeeee", "", false, 0 },
	{ "five of 21 are less than a quarter",
	  "abcdefghijklmnopqrstu", "abcdefghijklmnop", true, false,
	  "kkkkkkkkkkkkkkkkeeeee", "", false, 0 },
	{ "six of 21 are more than a quarter",
	  "abcdefghijklmnopqrstu", "abcdefghijklmno", true, false,
	  "kkkkkkkkkkkkkkkssssss", "", true, 0 },
	{ "force lifts the brake",
	  "abcdefghijklmnopqrst", "", true, true, "eeeeeeeeeeeeeeeeeeee", "",
	  false, 0 },
	{ "force does not make a delta's silence speak",
	  "abc", "", false, true, "kkk", "", false, 0 },
	{ "a suspicion that is young stays",
	  "a?b?c?", "", true, false, "sss", "", true, 0 },
	{ "a suspicion that is a pause old is confirmed",
	  "a!b!c!", "", true, false, "eee", "", false, 0 },
	{ "confirmed ones go, those missing for the first time wait",
	  "a!b!cd?", "", true, false, "eess", "", true, 0 },
	{ "suspects count towards the brake",
	  "a?b?c?d?efghijklmnopqrst", "fghijklmnopqrst", true, false,
	  "ssssskkkkkkkkkkkkkkk", "", true, 0 },
	{ "a young suspect stays, even if it is missing alone",
	  "a?bc", "bc", true, false, "skk", "", false, 0 },
	{ "a young suspect stays when clients have expunged all others",
	  "a?", "", true, false, "s", "", false, 0 },
	{ "a young suspect stays, what goes meanwhile does not wait",
	  "a?bcd", "cd", true, false, "sekk", "", false, 0 },
	{ "a young suspect goes when another one is back",
	  "a?b?cd", "bcd", true, false, "ekkk", "", false, 0 },
	{ "one of 19 after four that went is less than a quarter",
	  "abcdefghijklmnopqrs", "abcdefghijklmnopqrs", true, false,
	  "kkkkkkkkkkkkkkkkkkk", "", false, 4 },
	{ "what went with lists before adds up: one of 16 after four makes a quarter",
	  "abcdefghijklmnop", "abcdefghijklmno", true, false,
	  "kkkkkkkkkkkkkkks", "", true, 4 },
	{ "one of 17 after three does not",
	  "abcdefghijklmnopq", "abcdefghijklmnop", true, false,
	  "kkkkkkkkkkkkkkkke", "", false, 3 },
	{ "what went before holds nothing back when nothing is missing",
	  "abc", "abc", true, false, "kkk", "", false, 50 },
	{ "what went before holds back no statement",
	  "abc", "a-b-c", true, false, "kee", "", false, 50 },
	{ "force lifts the brake whatever went before",
	  "abcdefghijklmnop", "abcdefghijklmno", true, true,
	  "kkkkkkkkkkkkkkke", "", false, 40 },
	{ "force takes a young suspect away",
	  "a?bc", "bc", true, true, "ekk", "", false, 0 },
	{ "as long as no suspect is back, what came meanwhile is not counted",
	  "a?b?c?defghijklmnopq", "defghijklmnopqrstu", true, false,
	  "ssskkkkkkkkkkkkkk", "rstu", true, 0 },
	{ "two suspects stay, and hold nothing else back",
	  "a?b?cde", "cd", true, false, "sskke", "", false, 0 },
	{ "a suspect that is listed stays",
	  "a!b!c!", "abc", true, false, "kkk", "", false, 0 },
	{ "a suspect that a delta lists stays",
	  "a!b!c!", "a", false, false, "kkk", "", false, 0 },
	{ "a delta confirms no suspicion",
	  "a!b!c!", "", false, false, "kkk", "", false, 0 },
	{ "a suspicion from the future is not confirmed",
	  "a>b>c>", "", true, false, "sss", "", true, 0 },
	{ "another size is another message",
	  "a5b", "a6b", false, false, "rk", "a", false, 0 },
	{ "the same size is the same message",
	  "a5b5", "a5b5", true, false, "kk", "", false, 0 },
	{ "a size that is not listed says nothing",
	  "a5", "a", true, false, "k", "", false, 0 },
	{ "a size that was not known says nothing",
	  "a", "a5", true, false, "k", "", false, 0 },
	{ "a replaced message is added in its place in the list",
	  "a5", "xa6y", true, false, "r", "xay", false, 0 },
	{ "replacing all messages is no absence",
	  "a5b5c5", "a6b6c6", true, false, "rrr", "abc", false, 0 },
	{ "of one id known twice the higher UID stays",
	  "aba", "ab", true, false, "ekk", "", false, 0 },
	{ "of one id known twice the lower UID goes in a delta too",
	  "aba", "", false, false, "ekk", "", false, 0 },
	{ "of one id known three times the highest UID stays",
	  "aaa", "a", true, false, "eek", "", false, 0 },
	{ "GONE of an id known twice expunges both",
	  "aab", "-a", false, false, "eek", "", false, 0 },
};

static size_t parse_known(const char *text, struct idmap_known *known)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (*text >= '0' && *text <= '9') {
			known[n - 1].size = (uint64_t)(*text - '0');
		} else if (*text == '?') {
			known[n - 1].suspect_since = NOW - 10;
		} else if (*text == '!') {
			known[n - 1].suspect_since = NOW - PAUSE;
		} else if (*text == '>') {
			known[n - 1].suspect_since = NOW + 5;
		} else {
			memset(&known[n], 0, sizeof(known[n]));
			known[n].uid = (uint32_t)n + 1;
			known[n].size = WIRE_SIZE_UNKNOWN;
			letter_hash((unsigned char)*text, known[n].hash);
			n++;
		}
	}
	return n;
}

static size_t parse_items(const char *text, struct reconcile_item *items)
{
	bool gone = false;
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (*text == '-') {
			gone = true;
		} else if (*text >= '0' && *text <= '9') {
			items[n - 1].size = (uint64_t)(*text - '0');
		} else {
			letter_hash((unsigned char)*text, items[n].hash);
			items[n].size = WIRE_SIZE_UNKNOWN;
			items[n].gone = gone;
			gone = false;
			n++;
		}
	}
	return n;
}

/* All of a listing. Returns the reconciler, finished, and what is to be added;
 * NULL and the second item of an id. */
static struct reconciler *
reconcile(const struct idmap_known *known, size_t known_count,
	  const struct reconcile_item *items, size_t items_count,
	  const struct reconcile_policy *policy, size_t *adds,
	  size_t *adds_count_r, size_t *duplicate_r)
{
	struct reconciler *rec = reconcile_init(known, known_count);
	enum reconcile_verdict verdict;
	size_t i, k;

	*adds_count_r = 0;
	for (i = 0; i < items_count; i++) {
		verdict = reconcile_line(rec, &items[i], &k);
		if (verdict == RECONCILE_TWICE) {
			*duplicate_r = i;
			reconcile_deinit(&rec);
			return NULL;
		}
		if (verdict == RECONCILE_NEW || verdict == RECONCILE_OTHER)
			adds[(*adds_count_r)++] = i;
	}
	reconcile_finish(rec, policy);
	return rec;
}

static void fates_text(const struct reconciler *rec, size_t count, char *text)
{
	size_t i;

	for (i = 0; i < count; i++)
		text[i] = "kers"[reconcile_fate(rec, i)];
	text[count] = '\0';
}

/* What is said to be held back is what has that fate. A delta leaves suspects what
   they are. */
static bool counts_agree(const struct reconciler *rec, bool full,
			 const struct idmap_known *known, const bool *named,
			 size_t count)
{
	size_t i, suspects = 0, held = reconcile_held(rec);

	for (i = 0; i < count; i++)
		suspects += full ? reconcile_fate(rec, i) == RECONCILE_SUSPECT :
			known[i].suspect_since != 0 && !named[i];
	return suspects == reconcile_suspects(rec) &&
		(held == 0 || held == suspects);
}

static void test_row(size_t row)
{
	struct idmap_known known[64];
	struct reconcile_item items[64];
	struct reconcile_policy policy = {
		.full = rows[row].full, .force = rows[row].force,
		.now = NOW, .brake_pause_secs = PAUSE,
		.lost = rows[row].lost,
	};
	struct reconciler *rec;
	size_t i, k, duplicate, known_count, items_count, adds_count, adds[64];
	char fates[65], added[65];
	bool held, named[64] = { false };

	known_count = parse_known(rows[row].known, known);
	items_count = parse_items(rows[row].listed, items);
	rec = reconcile(known, known_count, items, items_count, &policy,
			adds, &adds_count, &duplicate);
	if (rec == NULL) {
		ok(0, "%s", rows[row].name);
		return;
	}
	fates_text(rec, known_count, fates);
	for (i = 0; i < adds_count; i++)
		added[i] = (char)items[adds[i]].hash[0];
	added[adds_count] = '\0';
	for (k = 0; k < known_count; k++) {
		for (i = 0; i < items_count; i++)
			named[k] |= memcmp(items[i].hash, known[k].hash,
					   ID_HASH_SIZE) == 0;
	}
	held = reconcile_held(rec) > 0;
	if (!ok(strcmp(fates, rows[row].want) == 0 &&
		strcmp(added, rows[row].adds) == 0 &&
		held == rows[row].held &&
		counts_agree(rec, rows[row].full, known, named, known_count),
		"%s", rows[row].name))
		printf("#  fates %s, adds %s, held %d\n", fates, added, held);
	reconcile_deinit(&rec);
}

/* --- what the table does not say ----------------------------------------- */

static int duplicate_in(const char *known_text, const char *items_text,
			size_t *duplicate_r)
{
	struct idmap_known known[16];
	struct reconcile_item items[16];
	struct reconcile_policy policy = { .full = true, .now = NOW };
	struct reconciler *rec;
	size_t adds[16], adds_count;

	rec = reconcile(known, parse_known(known_text, known), items,
			parse_items(items_text, items), &policy, adds,
			&adds_count, duplicate_r);
	if (rec == NULL)
		return -1;
	reconcile_deinit(&rec);
	return 0;
}

/* Known messages and what is listed of them, after so many went a moment ago. */
static void test_lost_row(const char *name, const char *known_text,
			  const char *items_text, size_t lost, const char *want)
{
	struct reconcile_policy policy = {
		.full = true, .now = NOW, .brake_pause_secs = PAUSE,
		.lost = lost,
	};
	struct idmap_known known[64];
	struct reconcile_item items[64];
	size_t adds[64], adds_count, duplicate, count;
	struct reconciler *rec;
	char fates[65];

	count = parse_known(known_text, known);
	rec = reconcile(known, count, items, parse_items(items_text, items),
			&policy, adds, &adds_count, &duplicate);
	fates_text(rec, count, fates);
	is_str(fates, want, "%s", name);
	reconcile_deinit(&rec);
}

static void test_lost(void)
{
	test_lost_row("two of two are held back when one went a moment ago",
		      "ab", "", 1, "ss");
	test_lost_row("the last is held back when two went a moment ago",
		      "a", "x", 2, "s");
	test_lost_row("the last goes when one went a moment ago",
		      "a", "", 1, "e");
	test_lost_row("of 20 a fifth went, and one more is held back",
		      "abcdefghijklmnop", "abcdefghijklmno", 4,
		      "kkkkkkkkkkkkkkks");
	test_lost_row("of 19 a few may go, one list after the other",
		      "abcdefghijklmno", "abcdefghijklmn", 4,
		      "kkkkkkkkkkkkkke");
}

static void test_losses_add_up(void)
{
	struct reconcile_losses losses = { .since = 0 };

	is_num(reconcile_losses_now(&losses, NOW, PAUSE), 0,
	       "nothing was lost at first");
	reconcile_losses_add(&losses, 3, NOW, PAUSE);
	reconcile_losses_add(&losses, 4, NOW + PAUSE - 1, PAUSE);
	is_num(reconcile_losses_now(&losses, NOW + PAUSE - 1, PAUSE), 7,
	       "losses within a pause add up");
	is_num(reconcile_losses_now(&losses, NOW + PAUSE + 1, PAUSE), 7,
	       "what went two seconds ago counts, whenever the first went");
	reconcile_losses_add(&losses, 1, NOW + PAUSE + 1, PAUSE);
	is_num(reconcile_losses_now(&losses, NOW + 2 * PAUSE + 1, PAUSE), 1,
	       "what went more than a pause before does not");
	is_num(reconcile_losses_now(&losses, NOW + 4 * PAUSE, PAUSE), 0,
	       "nor does the last after a while");
	reconcile_losses_add(&losses, 5, NOW, PAUSE);
	is_num(reconcile_losses_now(&losses, NOW - 1000, PAUSE), 5,
	       "a clock that was set back does not forget them");
	is_num(reconcile_losses_now(&losses, NOW - 1000 + 2 * PAUSE, PAUSE), 0,
	       "nor keep them for ever");
	reconcile_losses_add(&losses, SIZE_MAX, NOW, PAUSE);
	reconcile_losses_add(&losses, 1, NOW, PAUSE);
	is_num(reconcile_losses_now(&losses, NOW, PAUSE), UINT32_MAX,
	       "there is an end to counting");
}

static void test_duplicates(void)
{
	static const struct {
		const char *name, *known, *listed;
		size_t duplicate;
	} dups[] = {
		{ "a new id twice is refused", "", "xyx", 2 },
		{ "a known id twice is refused", "ab", "aab", 1 },
		{ "MSG and GONE of a known id is refused", "ab", "a-a", 1 },
		{ "GONE and MSG of a known id is refused", "ab", "-aba", 2 },
		{ "GONE twice of a known id is refused", "ab", "-a-a", 1 },
		{ "GONE twice of an unknown id is refused", "ab", "-x-x", 1 },
		{ "MSG and GONE of an unknown id is refused", "", "x-x", 1 },
	};
	size_t i, duplicate;

	for (i = 0; i < sizeof(dups) / sizeof(dups[0]); i++) {
		duplicate = SIZE_MAX;
		ok(duplicate_in(dups[i].known, dups[i].listed,
				&duplicate) == -1 &&
		   duplicate == dups[i].duplicate, "%s", dups[i].name);
	}
}

static void test_verdicts(void)
{
	static const struct {
		enum reconcile_verdict verdict;
		size_t known;
		const char *name;
	} want[] = {
		{ RECONCILE_LISTED, 2, "a line names its known message" },
		{ RECONCILE_NEW, SIZE_MAX, "an id that is not known is new" },
		{ RECONCILE_GONE, 1, "GONE names its known message" },
		{ RECONCILE_NOTHING, SIZE_MAX, "or means nothing" },
		{ RECONCILE_OTHER, 4, "another size names what it replaces" },
		{ RECONCILE_LISTED, 5,
		  "of one id known twice the higher UID is named" },
		{ RECONCILE_TWICE, SIZE_MAX, "a new id a second time" },
	};
	struct idmap_known known[8];
	struct reconcile_item items[8];
	struct reconciler *rec;
	size_t i, k, count = parse_known("dbcae5d", known);

	rec = reconcile_init(known, count);
	count = parse_items("cx-b-ye6dx", items);
	for (i = 0; i < count; i++) {
		k = SIZE_MAX;
		ok(reconcile_line(rec, &items[i], &k) == want[i].verdict &&
		   k == want[i].known, "%s", want[i].name);
	}
	reconcile_deinit(&rec);
	ok(rec == NULL, "a listing may end anywhere");
	reconcile_deinit(&rec);
}

static void test_times(void)
{
	struct reconcile_policy policy = { .now = NOW,
					   .brake_pause_secs = PAUSE };

	is_num(reconcile_suspect_since(0, &policy), NOW,
	       "a new suspicion begins now");
	is_num(reconcile_suspect_since(NOW - 7, &policy), NOW - 7,
	       "an old suspicion keeps its time");
	is_num(reconcile_suspect_since(NOW + 7, &policy), NOW,
	       "a suspicion from the future begins anew");
	ok(reconcile_may_list(0, NOW, PAUSE), "without a brake one may list");
	ok(!reconcile_may_list(NOW - PAUSE + 1, NOW, PAUSE),
	   "within the pause one may not list");
	ok(reconcile_may_list(NOW - PAUSE, NOW, PAUSE),
	   "after the pause one may list");
	ok(reconcile_may_list(NOW + 1000000, NOW, PAUSE),
	   "a clock that was set back does not forbid listing");
}

/* A store that is away for good: every message goes after exactly one pause,
 * although the clock is set back an hour in between. */
static void test_clock_set_back(void)
{
	struct idmap_known known[4];
	struct reconcile_item items[1];
	struct reconcile_policy policy = { .full = true, .now = NOW,
					   .brake_pause_secs = PAUSE };
	struct reconciler *rec;
	static const int64_t steps[] = { 0, 30, -3600, -3570, -3540 };
	size_t i, k, n, duplicate, count = parse_known("abc", known);
	char got[8];

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		policy.now = NOW + steps[i];
		rec = reconcile(known, count, items, 0, &policy, NULL, &n,
				&duplicate);
		got[i] = reconcile_held(rec) > 0 ? 's' : 'e';
		for (k = 0; k < count; k++)
			known[k].suspect_since = reconcile_suspect_since(
				known[k].suspect_since, &policy);
		reconcile_deinit(&rec);
	}
	got[i] = '\0';
	is_str(got, "sssse", "a clock set back costs one more pause, no more");
}

/* Against a slow and plain statement of the rules, with random lists. */
static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 16;
}

static char plain_fate(const struct idmap_known *known, size_t k, size_t count,
		       const struct reconcile_item *items, size_t n,
		       const struct reconcile_policy *policy)
{
	size_t i, j, absent = 0, listed = 0, suspects = 0, back = 0;
	bool found, brake;

	for (i = 0; i < n; i++) {
		if (memcmp(items[i].hash, known[k].hash, 16) == 0)
			return items[i].gone ? 'e' : 'k';
	}
	for (j = 0; j < count; j++) {
		bool suspect = known[j].suspect_since != 0;

		for (found = false, i = 0; i < n && !found; i++) {
			found = memcmp(items[i].hash, known[j].hash, 16) == 0;
			if (found && !items[i].gone) {
				listed++;
				back += suspect;
			}
		}
		absent += !found;
		suspects += !found && suspect;
	}
	brake = (count + policy->lost >= 20 && absent > 0 &&
		 (double)(absent + policy->lost) /
		 (double)(count + policy->lost) >= 0.25) ||
		(count + policy->lost >= 3 && absent > 0 && listed == 0) ||
		(suspects >= 3 && back == 0);
	if (!policy->full)
		return 'k';
	if (known[k].suspect_since > 0 &&
	    known[k].suspect_since + PAUSE <= policy->now)
		return 'e';
	return brake || (known[k].suspect_since != 0 && back == 0) ? 's' : 'e';
}

/* Whether exactly the items that are listed and not known are added. */
static bool adds_are_plain(const struct idmap_known *known, size_t count,
			   const struct reconcile_item *items, size_t n,
			   const size_t *adds, size_t adds_count)
{
	size_t i, k, next = 0;

	for (i = 0; i < n; i++) {
		for (k = 0; k < count && memcmp(items[i].hash, known[k].hash,
						16) != 0; k++) ;
		if (k < count || items[i].gone)
			continue;
		if (next == adds_count || adds[next++] != i)
			return false;
	}
	return next == adds_count;
}

static void test_believed(void)
{
	struct idmap_known known[8];
	struct reconcile_item items[8];
	struct reconcile_policy policy = { .full = true, .now = NOW,
					   .brake_pause_secs = PAUSE };
	struct reconciler *rec;
	size_t adds[8], adds_count, duplicate;
	char fates[9];

	rec = reconcile(known, parse_known("abcd", known), items,
			parse_items("wxyz", items), &policy, adds, &adds_count,
			&duplicate);
	ok(reconcile_held(rec) == 4 && reconcile_lost(rec) == 0,
	   "four of four are held back, and none is lost");
	reconcile_believe(rec);
	fates_text(rec, 4, fates);
	ok(strcmp(fates, "eeee") == 0 && reconcile_held(rec) == 0 &&
	   reconcile_suspects(rec) == 0 && reconcile_lost(rec) == 0,
	   "when the store says that they are gone, they go, and are no losses");
	reconcile_deinit(&rec);
	rec = reconcile(known, parse_known("abc!d", known), items,
			parse_items("ab", items), &policy, adds, &adds_count,
			&duplicate);
	ok(reconcile_lost(rec) == 1,
	   "what goes by one list alone is a loss, what is confirmed is not");
	reconcile_deinit(&rec);
}

static void test_random(void)
{
	struct idmap_known known[40];
	struct reconcile_item items[60];
	struct reconcile_policy policy = { .now = NOW,
					   .brake_pause_secs = PAUSE };
	struct reconciler *rec;
	unsigned int seed = 1, round, percent, wrong = 0;
	size_t i, n, count, duplicate, adds[60], adds_count;

	for (round = 0; round < 3000; round++) {
		count = next_random(&seed) % 40;
		percent = next_random(&seed) % 101;
		policy.full = next_random(&seed) % 4 > 0;
		policy.lost = next_random(&seed) % 2 * (next_random(&seed) % 9);
		memset(known, 0, sizeof(known));
		for (i = 0; i < count; i++) {
			known[i].uid = (uint32_t)i + 1;
			known[i].size = WIRE_SIZE_UNKNOWN;
			known[i].suspect_since = next_random(&seed) % 3 == 0 ?
				NOW - next_random(&seed) % 120 : 0;
			letter_hash((unsigned int)i, known[i].hash);
		}
		for (i = n = 0; i < 60; i++) {
			if (next_random(&seed) % 100 >= percent)
				continue;
			letter_hash((unsigned int)i, items[n].hash);
			items[n].size = 1;
			items[n++].gone = next_random(&seed) % 10 == 0;
		}
		rec = reconcile(known, count, items, n, &policy, adds,
				&adds_count, &duplicate);
		if (rec == NULL) {
			wrong++;
			continue;
		}
		for (i = 0; i < count; i++) {
			if ("kers"[reconcile_fate(rec, i)] !=
			    plain_fate(known, i, count, items, n, &policy))
				wrong++;
		}
		wrong += !adds_are_plain(known, count, items, n, adds,
					 adds_count);
		reconcile_deinit(&rec);
	}
	is_num(wrong, 0, "3000 random lists are judged as the rules say");
}

static void big_hash(uint32_t i, unsigned char *hash)
{
	uint64_t bits = (i + 1) * 0x9e3779b97f4a7c15ULL;

	bits ^= bits >> 29;
	memcpy(hash, &bits, sizeof(bits));
	memcpy(hash + 8, &i, sizeof(i));
	memset(hash + 12, 0, 4);
}

static void test_million(void)
{
	const size_t count = 1000000;
	struct idmap_known *known = calloc(count, sizeof(*known));
	struct reconcile_item *items = calloc(count, sizeof(*items));
	struct reconcile_policy policy = { .full = true, .now = NOW };
	struct reconciler *rec;
	struct timespec from, to;
	size_t i, duplicate, adds[10], adds_count, gone = 0;

	for (i = 0; i < count; i++) {
		known[i].uid = (uint32_t)i + 1;
		big_hash((uint32_t)i, known[i].hash);
		big_hash((uint32_t)((i * 7919 + 10) % count + 10),
			 items[i].hash);
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	rec = reconcile(known, count, items, count, &policy, adds, &adds_count,
			&duplicate);
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (i = 0; i < count; i++)
		gone += reconcile_fate(rec, i) == RECONCILE_EXPUNGE;
	ok(adds_count == 10 && gone == 10,
	   "a million messages in another order are matched");
	printf("# %.3f s\n", (double)(to.tv_sec - from.tv_sec) +
	       (double)(to.tv_nsec - from.tv_nsec) / 1e9);
	reconcile_deinit(&rec);
	free(known);
	free(items);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_row(i);
	test_lost();
	test_losses_add_up();
	test_duplicates();
	test_verdicts();
	test_times();
	test_clock_set_back();
	test_believed();
	test_random();
	test_million();
	return done_testing();
}
