#include "test-idmap.h"

/* --- what it keeps ------------------------------------------------------- */

static void test_create(void)
{
	struct idmap *map;
	struct stat st;

	start_anew();
	map = open_locked();
	is_num(idmap_open(map, &fault), 0, "no file is no map");
	ok(idmap_create(map, 1234, guid, 5, &fault) == 0 &&
	   idmap_open(map, &fault) == 1, "a new map is open at once");
	idmap_deinit(&map);
	is_str(content_anew(), "5 - 0", "a new map is empty");
	map = idmap_init(path);
	(void)idmap_open(map, &fault);
	ok(idmap_header(map)->uidvalidity == 1234 &&
	   memcmp(idmap_header(map)->guid, guid, sizeof(guid)) == 0,
	   "the header keeps UIDVALIDITY and GUID");
	idmap_deinit(&map);
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 &&
	   stat(lock_path, &st) == 0 && (st.st_mode & 0777) == 0600,
	   "map and lock file are for their owner alone");
	ok(access(tmp_path, F_OK) < 0, "no temporary file is left behind");
}

static void test_messages(void)
{
	struct idmap *map = created(1);
	struct idmap_entry entry = message(3, "x%20y");
	struct buf buf = { NULL, 0, 0 };

	(void)add(map, 1, "one");
	(void)add(map, 2, "two");
	entry.size = 100;
	entry.date = 0;
	entry.flags = view_of("\\Seen,$Work,\\flagged,\\SEEN");
	(void)idmap_add(map, &entry);
	is_num(idmap_header(map)->next_uid, 4, "adding moves the next UID");
	is_str(content_anew(), "1 - 0", "what is staged is not visible");
	idmap_set_state(map, "s%201");
	idmap_set_brake(map, 99);
	(void)commit(map);
	is_str(content_anew(), "4 s%201 99|1 one -1 -1 77 0 |2 two -1 -1 77 0 |"
	       "3 x%20y 100 0 77 0 $Work,\\flagged,\\Seen",
	       "what is committed is read back, flags sorted and once each");
	idmap_gone(map, 2);
	idmap_suspect(map, 1, 50);
	entry = message(3, "x%20%79");
	id_hash(view_of("x y"), entry.hash);
	entry.size = 101;
	(void)idmap_update(map, &entry);
	(void)commit(map);
	is_str(content(map), "4 s%201 99|1 one -1 -1 77 50 |"
	       "3 x%20%79 101 -1 77 0 $Work,\\flagged,\\Seen",
	       "gone, suspect and updated messages are read back");
	idmap_suspect(map, 1, 0);
	idmap_gone(map, 3);
	idmap_gone(map, 2);
	(void)commit(map);
	is_str(content(map), "4 s%201 99|1 one -1 -1 77 0 ",
	       "a suspicion is lifted, UIDs of the gone stay used");
	ok(idmap_lookup(map, 1, &entry, &buf, &fault) == 1 &&
	   view_is(entry.id, "one") && entry.uid == 1 &&
	   idmap_lookup(map, 2, &entry, &buf, &fault) == 0 &&
	   idmap_lookup(map, 4, &entry, &buf, &fault) == 0,
	   "lookup finds the live ones only");
	buf_free(&buf);
	idmap_deinit(&map);
}

static void test_hash(void)
{
	/* SHA-256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 ... */
	static const unsigned char want[ID_HASH_SIZE] =
		"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae"
		"\x22\x23";
	struct idmap *map = created(1);
	unsigned char hash[ID_HASH_SIZE];

	id_hash(view_of("abc"), hash);
	ok(memcmp(hash, want, sizeof(hash)) == 0,
	   "a hash is the first half of SHA-256");
	(void)add(map, 1, "a%62c");
	(void)commit(map);
	(void)content(map);
	ok(memcmp(known_of(map, 1)->hash, want, sizeof(hash)) == 0,
	   "two spellings of an id have one hash");
	ok(idmap_spelling(map, view_of("abc")) == 0 &&
	   known_of(map, 1)->spelling != 0 && known_of(map, 1)->spelling !=
	   idmap_spelling(map, view_of("ab%63")),
	   "but are told apart");
	idmap_deinit(&map);
}

static void test_flags(void)
{
	struct idmap *map = created(1);
	uint32_t uid;
	char id[16];

	for (uid = 1; uid <= 5; uid++) {
		snprintf(id, sizeof(id), "m%u", uid);
		(void)add(map, uid, id);
	}
	idmap_flags(map, 2, 4, "+\\Seen,+$Work");
	idmap_flags(map, 4, UINT32_MAX, "-\\seen,+a%2Cb");
	idmap_flags(map, 3, 3, "=");
	idmap_flags(map, 5, 5, "=b,A,b");
	(void)commit(map);
	is_str(content(map), "6 - 0|1 m1 -1 -1 77 0 |"
	       "2 m2 -1 -1 77 0 $Work,\\Seen|3 m3 -1 -1 77 0 |"
	       "4 m4 -1 -1 77 0 $Work,a%2Cb|5 m5 -1 -1 77 0 A,b",
	       "changes of flags apply in order to ranges");
	(void)add(map, 6, "m6");
	idmap_flags(map, 1, 3, "+\\SEEN");
	(void)commit(map);
	is_str(content(map), "7 - 0|1 m1 -1 -1 77 0 \\SEEN|"
	       "2 m2 -1 -1 77 0 $Work,\\Seen|3 m3 -1 -1 77 0 \\SEEN|"
	       "4 m4 -1 -1 77 0 $Work,a%2Cb|5 m5 -1 -1 77 0 A,b|"
	       "6 m6 -1 -1 77 0 ",
	       "a later change meets later messages, and names without case");
	idmap_deinit(&map);
}

static void test_many_flags(void)
{
	struct idmap *map = created(1);
	struct buf change = { NULL, 0, 0 };
	struct view flags;
	unsigned int i;

	for (i = 0; i < 3000; i++)
		buf_printf(&change, "%s+flag%04u", i > 0 ? "," : "", i);
	(void)add(map, 1, "one");
	idmap_flags(map, 1, 1, change.p);
	ok(commit(map) == 0 && idmap_load(map, &fault) == 0,
	   "a change longer than a line is split");
	flags = idmap_flags_text(map, idmap_known_flags(map, known_of(map, 1)));
	ok(flags.len <= WIRE_FLAGS_MAX && flags.len > WIRE_FLAGS_MAX - 10,
	   "flags that do not fit are left out");
	(void)idmap_compact(map, false, &fault);
	idmap_deinit(&map);
	map = idmap_init(path);
	(void)idmap_open(map, &fault);
	(void)idmap_load(map, &fault);
	flags = idmap_flags_text(map, idmap_known_flags(map, known_of(map, 1)));
	ok(flags.len <= WIRE_FLAGS_MAX && flags.len > WIRE_FLAGS_MAX - 10,
	   "as many flags as fit survive a rewrite");
	idmap_deinit(&map);
	buf_free(&change);
}

static void test_longest_flag(void)
{
	struct idmap *map = created(1);
	struct buf change = { NULL, 0, 0 }, marked = { NULL, 0, 0 },
		push = { NULL, 0, 0 };
	struct view flags;

	buf_printf(&change, "+%01024d", 0);
	flags_mark(NULL, view_of_buf(&change), &marked, &push);
	(void)add(map, 1, "one");
	idmap_flags(map, 1, 1, buf_str(&marked));
	ok(commit(map) == 0 && idmap_load(map, &fault) == 0,
	   "a change of a flag as long as one may be is kept with its mark");
	flags = idmap_flags_text(map, idmap_known_flags(map, known_of(map, 1)));
	is_num(flags.len, 1024 + 1 + 1024 + 2, "and is read back");
	idmap_deinit(&map);
	buf_free(&change);
	buf_free(&marked);
	buf_free(&push);
}

static void test_rollback(void)
{
	struct idmap *map = created(1);
	off_t size;
	uint32_t uid;

	(void)add(map, 1, "one");
	idmap_set_state(map, "s1");
	(void)commit(map);
	size = file_size(path);
	(void)add(map, 2, "two");
	idmap_set_state(map, "s2");
	ok(idmap_has_changes(map), "staged changes are noticed");
	idmap_rollback(map);
	ok(!idmap_has_changes(map), "after a rollback there is no change");
	is_str(content(map), "2 s1 0|1 one -1 -1 77 0 ",
	       "a rollback restores state and next UID");
	idmap_set_state(map, "s1");
	ok(!idmap_has_changes(map) && commit(map) == 0 &&
	   file_size(path) == size, "setting what is set writes nothing");
	for (uid = 2; uid < 20000; uid++)
		(void)add(map, uid, "a-rather-long-id-for-a-message");
	ok(file_size(path) > size, "much that is staged goes to the file");
	is_str(content_anew(), "2 s1 0|1 one -1 -1 77 0 ",
	       "records without their commit line do not count");
	idmap_rollback(map);
	is_num(file_size(path), size, "a rollback cuts them off");
	idmap_deinit(&map);
}

static void test_next_uid(void)
{
	struct idmap *map = created(10);

	idmap_set_next_uid(map, 20);
	idmap_set_next_uid(map, 15);
	(void)commit(map);
	is_str(content_anew(), "20 - 0", "the next UID never goes back");
	ok(add(map, 19, "x") != 0 && commit(map) == 0,
	   "a map made anew takes a restored message");
	idmap_deinit(&map);
	map = open_locked();
	ok(add(map, 18, "y") == 0 && idmap_commit(map, false, &fault) == -1 &&
	   fault.code == FAULT_INTERNAL, "any other map does not");
	is_str(content(map), "20 - 0|19 x -1 -1 77 0 ",
	       "and nothing of such a commit is there");
	(void)add(map, WIRE_UID_MAX, "last");
	(void)commit(map);
	is_str(content_anew(), "4294967295 - 0|19 x -1 -1 77 0 |"
	       "4294967294 last -1 -1 77 0 ", "the highest UID can be used");
	ok(add(map, UINT32_MAX, "more") == 0 &&
	   idmap_commit(map, false, &fault) == -1, "and none above it");
	idmap_deinit(&map);
}

/* As the file tells: read by somebody else. */
static uint32_t listed_uid(void)
{
	struct idmap *map = open_locked();
	uint32_t uid;

	if (idmap_load(map, &fault) < 0)
		abort();
	uid = idmap_listed_uid(map);
	idmap_deinit(&map);
	return uid;
}

static void test_listed_uid(void)
{
	struct idmap *map = created(1);

	(void)add(map, 1, "listed");
	idmap_set_state(map, "s1");
	(void)commit(map);
	(void)add(map, 2, "saved");
	(void)commit(map);
	idmap_unlock(map);
	is_num(listed_uid(), 2, "what was saved since the state is not listed");
	(void)idmap_lock(map, 0, NULL, NULL, &fault);
	(void)idmap_open(map, &fault);
	(void)add(map, 3, "new");
	idmap_set_state(map, "s2");
	(void)commit(map);
	idmap_unlock(map);
	is_num(listed_uid(), 4, "by the next state it is");
	idmap_deinit(&map);
}

static void test_misuse(void)
{
	static char long_id[1026];
	static const char *const ids[] = {
		"", "-", "a b", "a\nb", "a\x7f", "a\tb",
		"a%", "a%4", "a%4x", long_id
	};
	struct idmap *map = created(1);
	struct idmap_entry entry;
	unsigned int i, refused = 0;

	memset(long_id, 'i', sizeof(long_id) - 1);
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		(void)add(map, 1, ids[i]);
		refused += idmap_commit(map, false, &fault) < 0;
	}
	is_num(refused, i, "malformed ids are refused");
	idmap_flags(map, 1, 1, "\\Seen");
	ok(idmap_commit(map, false, &fault) < 0, "a malformed change too");
	idmap_set_state(map, "a b");
	ok(idmap_commit(map, false, &fault) < 0, "a malformed state too");
	is_str(content(map), "1 - 0", "the map is as it was");
	(void)add(map, 1, long_id + 1);
	ok(commit(map) == 0 && idmap_load(map, &fault) == 0,
	   "an id may be as long as the limit says");
	entry = message(1, "other");
	id_hash(view_of("other"), entry.hash);
	(void)idmap_update(map, &entry);
	ok(idmap_commit(map, false, &fault) < 0,
	   "no message gets the id of another");
	idmap_unlock(map);
	(void)add(map, 1, "x");
	ok(idmap_commit(map, false, &fault) < 0, "nothing is staged unlocked");
	(void)idmap_lock(map, 0, NULL, NULL, &fault);
	(void)add(map, 1, "x");
	ok(idmap_commit(map, false, &fault) < 0,
	   "nothing is staged before the map was opened under the lock");
	idmap_deinit(&map);
}

static void test_long_state(void)
{
	struct idmap *map = created(1);
	char *state = malloc(WIRE_STATE_MAX + 2);
	unsigned int i;

	memset(state, 's', WIRE_STATE_MAX + 1);
	state[WIRE_STATE_MAX + 1] = '\0';
	idmap_set_state(map, state);
	ok(idmap_commit(map, false, &fault) < 0, "a state has a limit");
	state[WIRE_STATE_MAX] = '\0';
	for (i = 0; i < 10; i++) {
		state[0] = (char)('a' + i);
		idmap_set_state(map, state);
		(void)commit(map);
	}
	idmap_deinit(&map);
	map = idmap_init(path);
	ok(idmap_open(map, &fault) == 1 &&
	   strcmp(idmap_header(map)->state, state) == 0,
	   "the longest state is found again at the end of the file");
	ok(idmap_wants_compaction(map), "old states are dead weight");
	idmap_deinit(&map);
	free(state);
}

/* --- one line ------------------------------------------------------------ */

static void test_read_entry(void)
{
	struct idmap *map = created(1);
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	uint64_t one, two, update;
	uint32_t generation = idmap_header(map)->generation;
	char id[3 * 1024 + 1];

	memset(id, 'i', 1000);
	id[1000] = '\0';
	entry = message(1, "one");
	entry.seen_before = 55;
	one = idmap_add(map, &entry);
	two = add(map, 2, id);
	idmap_flags(map, 1, 2, "+\\Seen");
	(void)commit(map);
	entry = message(1, "on%65");
	id_hash(view_of("one"), entry.hash);
	update = idmap_update(map, &entry);
	(void)commit(map);
	idmap_deinit(&map);
	map = idmap_init(path);
	(void)idmap_open(map, &fault);
	ok(idmap_read_entry(map, generation, one, 1, &entry, &buf,
			    &fault) == 1 && view_is(entry.id, "one") &&
	   entry.first_seen == 77 && entry.offset == one,
	   "a message is read at its offset without loading");
	ok(entry.date == WIRE_DATE_UNKNOWN && entry.seen_before == 55,
	   "with when it was seen before, elsewhere");
	ok(idmap_read_entry(map, generation, two, 2, &entry, &buf,
			    &fault) == 1 && view_is(entry.id, id),
	   "a long line too");
	ok(idmap_read_entry(map, generation, update, 1, &entry, &buf,
			    &fault) == 1 && view_is(entry.id, "on%65"),
	   "an updated message at its new offset");
	ok(idmap_read_entry(map, generation, one, 2, &entry, &buf,
			    &fault) == 0, "not under another UID");
	ok(idmap_read_entry(map, generation + 1, one, 1, &entry, &buf,
			    &fault) == 0, "not in another generation");
	ok(idmap_read_entry(map, generation, one + 1, 1, &entry, &buf,
			    &fault) == 0, "not in the middle of a line");
	ok(idmap_read_entry(map, generation, 0, 1, &entry, &buf, &fault) == 0 &&
	   idmap_read_entry(map, generation, UINT64_MAX, 1, &entry, &buf,
			    &fault) == 0, "not outside of the records");
	(void)idmap_load(map, &fault);
	is_num(known_of(map, 1)->offset, update,
	       "a loaded entry has the offset of its last line");
	idmap_deinit(&map);
	buf_free(&buf);
}

/* --- several processes --------------------------------------------------- */

static void count_calls(void *context)
{
	++*(unsigned int *)context;
}

/* Somebody renames the folder, which only the holder of the lock may do, and makes it
   again. */
static void replace_folder(void *context)
{
	struct idmap **other = context;
	char away[sizeof(dir) + 8];

	if (*other == NULL)
		return;
	(void)snprintf(away, sizeof(away), "%s.away", dir);
	if (rename(dir, away) < 0 || mkdir(dir, 0700) < 0)
		abort();
	idmap_deinit(other);
}

static void test_lock_of_replaced(void)
{
	struct idmap *map = created(1), *waiter = idmap_init(path);
	struct idmap *third = idmap_init(path);
	char command[128];

	ok(idmap_lock(waiter, 20000, replace_folder, &map, &fault) == 0,
	   "who waited gets a lock");
	ok(idmap_lock(third, 0, NULL, NULL, &fault) == -1 &&
	   fault.code == FAULT_BUSY, "and it is the one that is at the path");
	ok(idmap_open(waiter, &fault) == 0, "where there is no map any more");
	idmap_deinit(&waiter);
	idmap_deinit(&third);
	(void)snprintf(command, sizeof(command), "rm -rf %s.away", dir);
	if (system(command) != 0)
		abort();
}

static void test_lock(void)
{
	struct idmap *map = created(1), *other = idmap_init(path);
	unsigned int calls = 0;

	ok(idmap_is_locked(map) && !idmap_is_locked(other),
	   "the lock is one map's");
	ok(idmap_lock(other, 30, NULL, NULL, &fault) == -1 &&
	   fault.code == FAULT_BUSY, "the wait for the lock is bounded");
	ok(idmap_lock(other, 1200, count_calls, &calls, &fault) == -1 &&
	   calls == 1, "who waits is told so about once a second");
	idmap_unlock(map);
	ok(idmap_lock(other, 0, NULL, NULL, &fault) == 0,
	   "a released lock is free at once");
	idmap_deinit(&other);
	ok(idmap_lock(map, 0, NULL, NULL, &fault) == 0,
	   "the end of a map releases its lock");
	idmap_deinit(&map);
	map = idmap_init("/nonexistent/folder/map");
	ok(idmap_lock(map, 0, NULL, NULL, &fault) == -1 &&
	   fault.code == FAULT_UNAVAILABLE,
	   "without a folder there is no lock");
	idmap_deinit(&map);
}

static void test_growing(void)
{
	struct idmap *map = created(1), *reader = idmap_init(path);

	is_str(content(reader), "1 - 0", "a reader needs no lock");
	(void)add(map, 1, "one");
	(void)commit(map);
	is_str(content(reader), "2 - 0|1 one -1 -1 77 0 ",
	       "a reader sees what was added since");
	(void)add(map, 2, "two");
	idmap_gone(map, 1);
	(void)commit(map);
	is_str(content(reader), "3 - 0|2 two -1 -1 77 0 ",
	       "and again, without reading it all anew");
	(void)idmap_create(map, 4321, guid, 1, &fault);
	is_str(content(reader), "1 - 0", "a reader sees a replaced file");
	is_num(idmap_header(reader)->uidvalidity, 4321,
	       "with its UIDVALIDITY");
	(void)unlink(path);
	is_str(content(reader), "no file", "a reader sees that it is gone");
	idmap_deinit(&reader);
	idmap_deinit(&map);
}

/* A commit that was visible is cut off (its sync failed); another takes its
 * place, of the same length. */
static void test_cut_off(void)
{
	struct idmap *map = created(1), *reader = idmap_init(path);
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	off_t size = file_size(path);

	(void)add(map, 1, "one");
	(void)commit(map);
	idmap_deinit(&map);
	is_str(content(reader), "2 - 0|1 one -1 -1 77 0 ", "a reader reads");
	ok(idmap_read_entry(reader, idmap_header(reader)->generation,
			    (uint64_t)size, 1, &entry, &buf, &fault) == 1 &&
	   view_is(entry.id, "one"), "a line of it, too");
	if (truncate(path, size) < 0)
		abort();
	map = open_locked();
	(void)add(map, 1, "two");
	(void)commit(map);
	is_str(content(reader), "2 - 0|1 two -1 -1 77 0 ",
	       "a reader notices a commit that was cut off and replaced");
	ok(idmap_read_entry(reader, idmap_header(reader)->generation,
			    (uint64_t)size, 1, &entry, &buf, &fault) == 1 &&
	   view_is(entry.id, "two"), "and reads its lines anew");
	buf_free(&buf);
	idmap_deinit(&map);
	if (truncate(path, size) < 0)
		abort();
	is_str(content(reader), "2 - 0",
	       "its next UID does not go back when a commit is cut off");
	idmap_deinit(&reader);
}

static void test_two_writers(void)
{
	struct idmap *map = created(1);
	pid_t pids[4];
	const struct idmap_known *known;
	size_t count;
	unsigned int i, k, failed = 0;
	int status;
	char id[32];

	idmap_deinit(&map);
	fflush(stdout);
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		map = idmap_init(path);
		for (k = 0; k < 50; k++) {
			snprintf(id, sizeof(id), "p%u-%u", i, k);
			if (idmap_lock(map, 20000, NULL, NULL, &fault) < 0 ||
			    idmap_open(map, &fault) <= 0)
				_exit(1);
			(void)add(map, idmap_header(map)->next_uid, id);
			if (idmap_commit(map, false, &fault) < 0)
				_exit(1);
			if (k % 20 == 7 && idmap_compact(map, false, &fault) < 0)
				_exit(1);
			idmap_unlock(map);
		}
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		(void)waitpid(pids[i], &status, 0);
		failed += status != 0;
	}
	is_num(failed, 0, "four processes add and rewrite at once");
	map = idmap_init(path);
	(void)content(map);
	known = idmap_known(map, &count);
	ok(count == 200 && known[199].uid == 200,
	   "each message has a UID of its own, none is lost");
	idmap_deinit(&map);
}

/* --- compaction ---------------------------------------------------------- */

static void test_compact(void)
{
	struct idmap *map = created(1), *reader;
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	uint32_t uid, generation = idmap_header(map)->generation;
	off_t size;
	char *before;

	for (uid = 1; uid <= 3000; uid++)
		(void)add(map, uid, "some-id-of-usual-length");
	idmap_set_state(map, "s1");
	(void)commit(map);
	ok(!idmap_wants_compaction(map), "a new map is not worth rewriting");
	(void)idmap_load(map, &fault);
	for (uid = 1; uid <= 2990; uid++)
		idmap_gone(map, uid);
	idmap_flags(map, 2995, 3000, "+\\Seen");
	idmap_suspect(map, 2999, 5);
	idmap_set_brake(map, 6);
	(void)commit(map);
	ok(idmap_wants_compaction(map), "one that is mostly dead is");
	reader = idmap_init(path);
	before = strdup(content(reader));
	size = file_size(path);
	ok(idmap_compact(map, true, &fault) == 0 && file_size(path) < size / 50,
	   "rewriting makes it small");
	is_str(content(map), before, "what was loaded is as before");
	is_str(content(reader), before, "a reader sees the same");
	is_str(content_anew(), before, "so does a new one");
	ok(idmap_header(reader)->generation > generation &&
	   idmap_header(map)->generation == idmap_header(reader)->generation,
	   "the generation grows");
	ok(idmap_read_entry(map, idmap_header(map)->generation,
			    known_of(map, 2995)->offset, 2995, &entry,
			    &buf, &fault) == 1, "the offsets are the new ones");
	ok(!idmap_wants_compaction(map), "then it is worth it no more");
	(void)add(map, 3001, "next");
	idmap_flags(map, 2996, 3001, "-\\Seen");
	(void)commit(map);
	free(before);
	before = strdup(content(map));
	is_str(content_anew(), before, "the new file is appended to");
	free(before);
	idmap_deinit(&reader);
	idmap_deinit(&map);
	buf_free(&buf);
}

/* --- GUIDs --------------------------------------------------------------- */

/* The GUID of a message, as text. */
static const char *guid_of(struct idmap *map, uint32_t uid)
{
	static char text[2][2 * IDMAP_GUID_SIZE + 1];
	static unsigned int n;
	unsigned char bytes[IDMAP_GUID_SIZE];
	struct idmap_entry entry;
	struct buf buf = { NULL, 0, 0 };
	size_t i;

	n = !n;
	strcpy(text[n], "none");
	if (idmap_open(map, &fault) > 0 &&
	    idmap_lookup(map, uid, &entry, &buf, &fault) > 0) {
		idmap_guid(idmap_header(map)->guid, &entry, bytes);
		for (i = 0; i < sizeof(bytes); i++)
			snprintf(text[n] + 2 * i, 3, "%02x", bytes[i]);
	}
	buf_free(&buf);
	return text[n];
}

static void test_guids(void)
{
	static const char given[] = "000102030405060708090a0b0c0d0eff";
	static const unsigned char other[IDMAP_GUID_SIZE] = "another mailbox";
	struct idmap *map = created(1);
	struct idmap_entry entry = message(1, "one");
	struct buf buf = { NULL, 0, 0 };
	char made[2 * IDMAP_GUID_SIZE + 1];
	unsigned int i;

	for (i = 0; i < IDMAP_GUID_SIZE; i++)
		entry.guid[i] = (unsigned char)(i < 15 ? i : 255);
	entry.has_guid = true;
	(void)idmap_add(map, &entry);
	(void)add(map, 2, "two");
	(void)commit(map);
	is_str(guid_of(map, 1), given, "a GUID that was given is kept");
	strcpy(made, guid_of(map, 2));
	ok(strcmp(made, given) != 0 && strlen(made) == 32,
	   "without, it is made of the mailbox's and the id");
	ok(idmap_lookup(map, 1, &entry, &buf, &fault) == 1 && entry.has_guid,
	   "it is read with the message");
	entry.size = 7;
	(void)idmap_update(map, &entry);
	(void)commit(map);
	is_str(guid_of(map, 1), given, "an update keeps it");
	ok(idmap_identify(map, 0, other, 0, false, &fault) == 0 &&
	   strcmp(guid_of(map, 1), given) == 0 &&
	   strcmp(guid_of(map, 2), made) == 0,
	   "messages keep theirs when the mailbox gets another");
	idmap_gone(map, 2);
	(void)add(map, 3, "two");
	(void)commit(map);
	ok(strcmp(guid_of(map, 3), made) != 0,
	   "what comes later is of the other mailbox");
	idmap_deinit(&map);
	buf_free(&buf);
}

/* --- looking only -------------------------------------------------------- */

static void note_text(void *context, const char *text)
{
	struct buf *all = context;

	buf_printf(all, "%s;", text);
}

static void test_check(void)
{
	struct idmap *map = created(1), *looking;
	struct buf found = { NULL, 0, 0 };
	off_t size;
	int fd;

	(void)add(map, 1, "one");
	(void)add(map, 2, "two");
	(void)commit(map);
	idmap_unlock(map);
	fd = open(path, O_WRONLY | O_APPEND);
	ok(write(fd, "A 3 torn", 8) == 8, "a map with a torn tail");
	(void)close(fd);
	size = file_size(path);
	looking = idmap_init(path);
	idmap_set_readonly(looking);
	ok(idmap_lock(looking, 0, NULL, NULL, &fault) == 0 &&
	   idmap_open(looking, &fault) == 1 &&
	   idmap_check(looking, note_text, &found, &fault) == 0 &&
	   found.len == 0 && file_size(path) == size,
	   "is sound, and whoever only looks leaves the tail");
	(void)add(looking, 3, "three");
	ok(idmap_commit(looking, false, &fault) < 0 && file_size(path) == size,
	   "and cannot write");
	idmap_unlock(looking);
	(void)idmap_lock(map, 0, NULL, NULL, &fault);
	ok(idmap_open(map, &fault) == 1 && file_size(path) == size - 8,
	   "who may write cuts it off");
	(void)add(map, 3, "%6fne");
	(void)add(map, 4, "four");
	(void)add(map, 5, "one");
	(void)commit(map);
	idmap_unlock(map);
	ok(idmap_open(looking, &fault) == 1 &&
	   idmap_check(looking, note_text, &found, &fault) == 2,
	   "ids that are there twice are found");
	is_str(buf_str(&found), "UID 1 and UID 3 have the same id;"
	       "UID 3 and UID 5 have the same id;", "and told of");
	fd = open(path, O_WRONLY);
	ok(pwrite(fd, "X", 1, file_size(path) / 2) == 1, "a byte is wrong");
	(void)close(fd);
	ok(idmap_check(looking, note_text, &found, &fault) == -1,
	   "that is found in what was loaded before");
	idmap_deinit(&looking);
	idmap_deinit(&map);
	buf_free(&found);
}

/* --- a million ----------------------------------------------------------- */

static long memory_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident = 0;

	if (file != NULL && fscanf(file, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (file != NULL)
		fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_million(unsigned int messages)
{
	struct idmap *map = created(1);
	struct idmap_entry entry;
	double start = seconds();
	long before;
	size_t count;
	unsigned int i;
	char id[64];

	for (i = 1; i <= messages; i++) {
		snprintf(id, sizeof(id), "1700000000.M%06uP12345.host%u.example",
			 i, i);
		entry = message(i, id);
		entry.size = 5000 + i;
		(void)idmap_add(map, &entry);
	}
	ok(commit(map) == 0, "many messages are committed at once");
	printf("# %u: added in %.2f s, file %lld\n", messages,
	       seconds() - start, (long long)file_size(path));
	idmap_deinit(&map);

	before = memory_kib();
	map = idmap_init(path);
	start = seconds();
	ok(idmap_open(map, &fault) == 1, "a big map is opened");
	printf("# opened in %.6f s\n", seconds() - start);
	start = seconds();
	(void)idmap_load(map, &fault);
	(void)idmap_known(map, &count);
	is_num(count, messages, "and loaded");
	printf("# loaded in %.2f s, %ld KiB\n", seconds() - start,
	       memory_kib() - before);
	(void)idmap_lock(map, 0, NULL, NULL, &fault);
	(void)idmap_open(map, &fault);
	start = seconds();
	for (i = 0; i < 10; i++)
		idmap_flags(map, 1, messages, i % 2 ? "+\\Seen" : "-\\Seen");
	(void)commit(map);
	(void)idmap_load(map, &fault);
	printf("# ten changes of all flags in %.2f s\n", seconds() - start);
	start = seconds();
	is_num(idmap_compact(map, false, &fault), 0, "and rewritten");
	printf("# rewritten in %.2f s\n", seconds() - start);
	idmap_deinit(&map);
}

int main(int argc, char **argv)
{
	if (test_begin() < 0)
		return 1;
	test_create();
	test_messages();
	test_hash();
	test_flags();
	test_many_flags();
	test_longest_flag();
	test_rollback();
	test_next_uid();
	test_listed_uid();
	test_misuse();
	test_long_state();
	test_read_entry();
	test_lock();
	test_lock_of_replaced();
	test_growing();
	test_cut_off();
	test_two_writers();
	test_compact();
	test_guids();
	test_check();
	test_million(argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) :
		     100000);
	return test_end();
}
