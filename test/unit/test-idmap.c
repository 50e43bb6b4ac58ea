#include "tap.h"
#include "idmap.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/test-idmap.XXXXXX";
static char path[64], lock_path[80], tmp_path[80], other_path[80];
static struct fault fault;
static const unsigned char guid[IDMAP_GUID_SIZE] = "0123456789abcdef";

/* --- help -------------------------------------------------------------------- */

static void start_anew(void)
{
	(void)unlink(path);
	(void)unlink(lock_path);
	(void)unlink(tmp_path);
	(void)unlink(other_path);
}

static struct buf file_read(const char *name)
{
	struct buf data = { NULL, 0, 0 };
	char piece[4096];
	ssize_t n;
	int fd = open(name, O_RDONLY);

	while (fd >= 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		buf_append(&data, piece, (size_t)n);
	if (fd >= 0)
		close(fd);
	return data;
}

/* Anew, so that nobody takes it for the file that was there. */
static void file_write(const char *name, const char *data, size_t len)
{
	int fd;

	(void)unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

static off_t file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) < 0 ? -1 : st.st_size;
}

static struct idmap *open_locked(void)
{
	struct idmap *map = idmap_init(path);

	if (idmap_lock(map, 0, NULL, NULL, &fault) < 0 ||
	    idmap_open(map, &fault) < 0) {
		printf("# %s\n", fault.log);
		abort();
	}
	return map;
}

static struct idmap *created(uint32_t next_uid)
{
	struct idmap *map;

	start_anew();
	map = open_locked();
	if (idmap_create(map, 1234, guid, next_uid, &fault) < 0)
		abort();
	return map;
}

static struct idmap_entry message(uint32_t uid, const char *id)
{
	struct idmap_entry entry;

	memset(&entry, 0, sizeof(entry));
	entry.uid = uid;
	entry.id = view_of(id);
	entry.size = IDMAP_SIZE_UNKNOWN;
	entry.date = IDMAP_DATE_UNKNOWN;
	entry.first_seen = 77;
	return entry;
}

static uint64_t add(struct idmap *map, uint32_t uid, const char *id)
{
	struct idmap_entry entry = message(uid, id);

	return idmap_add(map, &entry);
}

static int commit(struct idmap *map)
{
	int ret = idmap_commit(map, false, &fault);

	if (ret < 0)
		printf("# commit: %s\n", fault.log);
	return ret;
}

/* The whole content as text: "NEXT_UID STATE HELD|UID ID SIZE DATE SEEN
 * SUSPECT FLAGS|..." or what stopped us from having it. */
static const char *content(struct idmap *map)
{
	static struct buf out;
	const struct idmap_entry *entries;
	size_t i, count;
	int ret;

	buf_clear(&out);
	ret = idmap_open(map, &fault);
	if (ret > 0 && idmap_load(map, &fault) < 0)
		ret = -1;
	if (ret <= 0)
		return ret == 0 ? "no file" : "fault";
	buf_printf(&out, "%u %s %lld", idmap_header(map)->next_uid,
		   idmap_header(map)->state, (long long)idmap_brake(map));
	entries = idmap_entries(map, &count);
	for (i = 0; i < count; i++) {
		buf_printf(&out, "|%u %.*s %lld %lld %lld %lld %.*s",
			   entries[i].uid, (int)entries[i].id.len,
			   entries[i].id.p, (long long)entries[i].size,
			   (long long)entries[i].date,
			   (long long)entries[i].first_seen,
			   (long long)entries[i].suspect_since,
			   (int)entries[i].flags.len, entries[i].flags.p);
	}
	return buf_str(&out);
}

static const char *content_anew(void)
{
	struct idmap *map = idmap_init(path);
	const char *text = content(map);

	idmap_deinit(&map);
	return text;
}

/* --- what it keeps ------------------------------------------------------------- */

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
	ok(idmap_lookup(map, 1) != NULL && idmap_lookup(map, 2) == NULL &&
	   idmap_lookup(map, 4) == NULL, "lookup finds the live ones only");
	idmap_deinit(&map);
}

static void test_hash(void)
{
	/* SHA-256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 ... */
	static const unsigned char want[IDMAP_HASH_SIZE] =
		"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae"
		"\x22\x23";
	struct idmap *map = created(1);
	unsigned char hash[IDMAP_HASH_SIZE];

	idmap_hash(view_of("abc"), hash);
	ok(memcmp(hash, want, sizeof(hash)) == 0,
	   "a hash is the first half of SHA-256");
	(void)add(map, 1, "a%62c");
	(void)commit(map);
	(void)content(map);
	ok(memcmp(idmap_lookup(map, 1)->hash, want, sizeof(hash)) == 0,
	   "two spellings of an id have one hash");
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
	const struct idmap_entry *entry;
	unsigned int i;

	for (i = 0; i < 3000; i++)
		buf_printf(&change, "%s+flag%04u", i > 0 ? "," : "", i);
	(void)add(map, 1, "one");
	idmap_flags(map, 1, 1, change.p);
	ok(commit(map) == 0 && idmap_load(map, &fault) == 0,
	   "a change longer than a line is split");
	entry = idmap_lookup(map, 1);
	ok(entry->flags.len <= IDMAP_FLAGS_MAX &&
	   entry->flags.len > IDMAP_FLAGS_MAX - 10,
	   "flags that do not fit are left out");
	(void)idmap_compact(map, false, &fault);
	idmap_deinit(&map);
	map = idmap_init(path);
	(void)idmap_open(map, &fault);
	(void)idmap_load(map, &fault);
	entry = idmap_lookup(map, 1);
	ok(entry != NULL && entry->flags.len > IDMAP_FLAGS_MAX - 10,
	   "as many flags as fit survive a rewrite");
	idmap_deinit(&map);
	buf_free(&change);
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
	(void)add(map, IDMAP_MAX_UID, "last");
	(void)commit(map);
	is_str(content_anew(), "4294967295 - 0|19 x -1 -1 77 0 |"
	       "4294967294 last -1 -1 77 0 ", "the highest UID can be used");
	ok(add(map, UINT32_MAX, "more") == 0 &&
	   idmap_commit(map, false, &fault) == -1, "and none above it");
	idmap_deinit(&map);
}

static void test_misuse(void)
{
	static const char *const ids[] = {
		"", "-", "a b", "a\nb", "a\x7f", "a\tb"
	};
	struct idmap *map = created(1);
	unsigned int i, refused = 0;

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
	char *state = malloc(IDMAP_STATE_MAX + 2);
	unsigned int i;

	memset(state, 's', IDMAP_STATE_MAX + 1);
	state[IDMAP_STATE_MAX + 1] = '\0';
	idmap_set_state(map, state);
	ok(idmap_commit(map, false, &fault) < 0, "a state has a limit");
	state[IDMAP_STATE_MAX] = '\0';
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

/* --- one line -------------------------------------------------------------------- */

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
	one = add(map, 1, "one");
	two = add(map, 2, id);
	idmap_flags(map, 1, 2, "+\\Seen");
	(void)commit(map);
	entry = message(1, "on%65");
	update = idmap_update(map, &entry);
	(void)commit(map);
	idmap_deinit(&map);
	map = idmap_init(path);
	(void)idmap_open(map, &fault);
	ok(idmap_read_entry(map, generation, one, 1, &entry, &buf,
			    &fault) == 1 && view_is(entry.id, "one") &&
	   entry.first_seen == 77 && entry.offset == one,
	   "a message is read at its offset without loading");
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
	is_num(idmap_lookup(map, 1)->offset, update,
	       "a loaded entry has the offset of its last line");
	idmap_deinit(&map);
	buf_free(&buf);
}

/* --- several processes ------------------------------------------------------------- */

static void count_calls(void *context)
{
	++*(unsigned int *)context;
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
	off_t size = file_size(path);

	(void)add(map, 1, "one");
	(void)commit(map);
	idmap_deinit(&map);
	is_str(content(reader), "2 - 0|1 one -1 -1 77 0 ", "a reader reads");
	if (truncate(path, size) < 0)
		abort();
	map = open_locked();
	(void)add(map, 1, "two");
	(void)commit(map);
	is_str(content(reader), "2 - 0|1 two -1 -1 77 0 ",
	       "a reader notices a commit that was cut off and replaced");
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
	const struct idmap_entry *entries;
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
	entries = idmap_entries(map, &count);
	ok(count == 200 && entries[199].uid == 200,
	   "each message has a UID of its own, none is lost");
	idmap_deinit(&map);
}

/* --- crashes and damage --------------------------------------------------------------- */

static const char *const old_content =
	"4 s1 0|1 one -1 -1 77 0 |2 two -1 -1 77 0 \\Seen|3 three -1 -1 77 0 ";
static const char *const new_content =
	"6 s2 9|1 one -1 -1 77 8 |3 three -1 -1 77 0 $Work|"
	"4 four -1 -1 77 0 |5 five -1 -1 77 0 $Work";

/* A file of three commits; *last_r is where the last transaction begins. */
static struct buf three_commits(size_t *last_r)
{
	struct idmap *map = created(1);

	(void)add(map, 1, "one");
	(void)add(map, 2, "two");
	(void)add(map, 3, "three");
	idmap_flags(map, 2, 2, "+\\Seen");
	idmap_set_state(map, "s1");
	(void)commit(map);
	*last_r = (size_t)file_size(path);
	(void)add(map, 4, "four");
	(void)add(map, 5, "five");
	idmap_gone(map, 2);
	idmap_flags(map, 3, 3, "+$Work");
	idmap_flags(map, 5, 5, "=$Work");
	idmap_suspect(map, 1, 8);
	idmap_set_brake(map, 9);
	idmap_set_state(map, "s2");
	(void)commit(map);
	idmap_deinit(&map);
	return file_read(path);
}

/* After a crash the next writer goes on. */
static bool writer_goes_on(void)
{
	struct idmap *map = idmap_init(path);
	bool good;

	good = idmap_lock(map, 0, NULL, NULL, &fault) == 0 &&
		idmap_open(map, &fault) == 1;
	if (good) {
		(void)add(map, 50, "fifty");
		good = idmap_commit(map, false, &fault) == 0;
	}
	idmap_deinit(&map);
	return good && strstr(content_anew(), "|50 fifty ") != NULL;
}

static void test_truncated(void)
{
	size_t last, len;
	struct buf data = three_commits(&last);
	unsigned int wrong = 0;

	is_str(content_anew(), new_content, "three commits are read back");
	for (len = last; len < data.len; len++) {
		file_write(path, data.p, len);
		wrong += strcmp(content_anew(), old_content) != 0;
		wrong += !writer_goes_on();
	}
	is_num(wrong, 0, "cut at any byte of the last transaction, the map is "
	       "the one before, and the next writer goes on");
	for (len = 0, wrong = 0; len < last; len++) {
		file_write(path, data.p, len);
		wrong += strcmp(content_anew(), new_content) == 0 ||
			strcmp(content_anew(), old_content) == 0;
	}
	is_num(wrong, 0, "cut before that, it is neither");
	buf_free(&data);
}

static void test_flipped(void)
{
	static const unsigned char masks[] = { 0x01, 0x20, 0x80, 0xff };
	size_t last, pos, i;
	struct buf data = three_commits(&last);
	unsigned int wrong = 0, faults = 0, olds = 0;
	const char *text;

	for (pos = 0; pos < data.len; pos++) {
		for (i = 0; i < sizeof(masks); i++) {
			data.p[pos] ^= (char)masks[i];
			file_write(path, data.p, data.len);
			text = content_anew();
			if (strcmp(text, "fault") == 0)
				faults += fault.code == FAULT_INTERNAL &&
					strstr(fault.log, path) != NULL;
			else if (strcmp(text, old_content) == 0 && pos >= last)
				olds++;
			else
				wrong++;
			data.p[pos] ^= (char)masks[i];
		}
	}
	is_num(wrong, 0, "with any byte changed it is the old map or a fault");
	is_num(faults, last * sizeof(masks),
	       "a change before the last transaction is reported as damage");
	is_num(olds, (data.len - last) * sizeof(masks),
	       "a change in the last transaction gives the one before");
	buf_free(&data);
}

static void test_zeroed_tail(void)
{
	size_t last, pos;
	struct buf data = three_commits(&last);
	char *zeroed = malloc(data.len);
	unsigned int wrong = 0;

	for (pos = last; pos < data.len; pos++) {
		memcpy(zeroed, data.p, data.len);
		memset(zeroed + last, 0, pos - last + 1);
		file_write(path, zeroed, data.len);
		wrong += strcmp(content_anew(), old_content) != 0;
	}
	is_num(wrong, 0, "a block that did not reach the disk undoes the last "
	       "transaction");
	free(zeroed);
	buf_free(&data);
}

static void test_kill(void)
{
	struct idmap *map = created(1);
	unsigned int i, k, wrong = 0;
	const struct idmap_entry *entries;
	struct timespec ts = { 0, 0 };
	size_t count;
	pid_t pid;
	char id[32];

	idmap_deinit(&map);
	fflush(stdout);
	for (i = 0; i < 30; i++) {
		pid = fork();
		if (pid == 0) {
			map = open_locked();
			/* transactions of 7000 messages, longer than what
			   opening checks, and longer than the buffer */
			for (;;) {
				for (k = 0; k < 7000; k++) {
					snprintf(id, sizeof(id), "message-%u-%u",
						 i, k);
					(void)add(map, idmap_header(map)->
						  next_uid, id);
				}
				if (idmap_commit(map, false, &fault) < 0)
					_exit(1);
			}
		}
		ts.tv_nsec = 1000000 * (1 + (long)i % 10) + 137000 * (long)i;
		nanosleep(&ts, NULL);
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		map = idmap_init(path);
		wrong += idmap_open(map, &fault) != 1 ||
			idmap_load(map, &fault) < 0;
		entries = idmap_entries(map, &count);
		wrong += count % 7000 != 0 ||
			(count > 0 && entries[count - 1].uid != count) ||
			idmap_header(map)->next_uid != count + 1;
		idmap_deinit(&map);
	}
	is_num(wrong, 0, "killed at any time, transactions are whole or absent");
}

/* The space ends after so many bytes of the transaction. */
static bool write_fails_at(struct idmap *map, rlim_t limit, const char *want,
			   unsigned int messages)
{
	struct rlimit old, now;
	off_t size = file_size(path);
	unsigned int i;
	int ret;

	(void)getrlimit(RLIMIT_FSIZE, &old);
	now = old;
	now.rlim_cur = (rlim_t)size + limit;
	(void)setrlimit(RLIMIT_FSIZE, &now);
	for (i = 0; i < messages; i++)
		(void)add(map, idmap_header(map)->next_uid, "an-id-to-write");
	ret = idmap_commit(map, true, &fault);
	(void)setrlimit(RLIMIT_FSIZE, &old);
	return ret == -1 && fault.code == FAULT_UNAVAILABLE &&
		file_size(path) == size && !idmap_has_changes(map) &&
		strcmp(content(map), want) == 0 &&
		strcmp(content_anew(), want) == 0;
}

static void test_no_space(void)
{
	static const char *const want = "2 s1 0|1 one -1 -1 77 0 ";
	struct idmap *map = created(1);
	struct rlimit old, now;
	unsigned int wrong = 0;
	rlim_t limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	(void)add(map, 1, "one");
	idmap_set_state(map, "s1");
	(void)commit(map);
	/* the shortest transaction of one message is longer than this */
	for (limit = 0; limit < 60; limit++)
		wrong += !write_fails_at(map, limit, want, 1);
	is_num(wrong, 0, "a write that fails anywhere leaves the file as it was");
	ok(write_fails_at(map, 100000, want, 5000),
	   "so does one that fails in a long transaction");
	ok(write_fails_at(map, 300000, want, 20000),
	   "so does one that fails before the commit");
	(void)getrlimit(RLIMIT_FSIZE, &old);
	now = old;
	now.rlim_cur = 20;
	(void)setrlimit(RLIMIT_FSIZE, &now);
	ok(idmap_compact(map, true, &fault) == -1 &&
	   access(tmp_path, F_OK) < 0 && strcmp(content(map), want) == 0,
	   "a rewrite that fails leaves the map and no temporary file");
	(void)setrlimit(RLIMIT_FSIZE, &old);
	(void)add(map, 2, "two");
	ok(commit(map) == 0, "then writing goes on");
	is_str(content_anew(), "3 s1 0|1 one -1 -1 77 0 |2 two -1 -1 77 0 ",
	       "and is read back");
	idmap_deinit(&map);
}

/* --- compaction ------------------------------------------------------------------------ */

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
			    idmap_lookup(map, 2995)->offset, 2995, &entry,
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

/* --- files that nobody wrote -------------------------------------------------------------- */

static uint32_t plain_crc(const char *data, size_t len)
{
	uint32_t sum = 0xffffffffU;
	unsigned int k;

	for (; len > 0; data++, len--) {
		sum ^= (unsigned char)*data;
		for (k = 0; k < 8; k++)
			sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xedb88320U : 0);
	}
	return ~sum;
}

/* A map with these records, all checksums right. */
static void forge(const char *header, const char *records, size_t len,
		  const char *commit_words)
{
	struct buf file = { NULL, 0, 0 };
	size_t first, line;

	buf_append_str(&file, header);
	buf_printf(&file, "%08"PRIx32"\n", plain_crc(file.p, file.len));
	first = file.len;
	buf_append(&file, records, len);
	line = file.len;
	buf_printf(&file, "C %zu %s %08"PRIx32" ", first, commit_words,
		   plain_crc(file.p + first, line - first));
	buf_printf(&file, "%08"PRIx32"\n",
		   plain_crc(file.p + line, file.len - line));
	file_write(path, file.p, file.len);
	buf_free(&file);
}

#define HEADER "dovebridge-map 1 7 30313233343536373839616263646566 1 "
#define A1 "A 1 a - - 0 -\n"

static const struct {
	const char *header, *records, *commit;
	bool sound;
} forged[] = {
	{ HEADER, A1, "2 0 0 -", true },
	{ HEADER, "", "4294967295 0 0 -", true },
	{ HEADER, "A 4294967294 a - - 0 -\n", "4294967295 0 0 -", true },
	{ HEADER, A1 "U 1 %61 5 6 7\nG 9\nF 1 9 +x\nB 9 9\n", "2 0 0 -", true },
	{ "dovebridge-map 1 7 30313233343536373839616263646566 1 later ", A1,
	  "2 0 0 -", true },
	{ "dovebridge-map 2 7 30313233343536373839616263646566 1 ", A1,
	  "2 0 0 -", false },
	{ "dovebridge-map 1 0 30313233343536373839616263646566 1 ", A1,
	  "2 0 0 -", false },
	{ "dovebridge-map 1 7 3031323334353637383961626364656 1 ", A1,
	  "2 0 0 -", false },
	{ "dovebridge-map 1 7 30313233343536373839616263646566 0 ", A1,
	  "2 0 0 -", false },
	{ "dovebridge-map 1 ", A1, "2 0 0 -", false },
	{ "something else ", A1, "2 0 0 -", false },
	{ HEADER, A1, "1 0 0 -", false },
	{ HEADER, A1, "0 0 0 -", false },
	{ HEADER, A1, "4294967296 0 0 -", false },
	{ HEADER, A1, "2 -1 0 -", false },
	{ HEADER, A1, "2 0 0", false },
	{ HEADER, A1, "2 0 0 - more", false },
	{ HEADER, A1 A1, "9 0 0 -", false },
	{ HEADER, "A 2 b - - 0 -\n" A1, "9 0 0 -", false },
	{ HEADER, "A 0 a - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 4294967295 a - - 0 -\n", "4294967295 0 0 -", false },
	{ HEADER, "A 01 a - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A +1 a - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 18446744073709551617 a - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 - - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 %4 - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a\x01 - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1  a - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0 - \n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - - -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - 99999999999999999999 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a -5 - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0 x,,y\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0 x,\n", "9 0 0 -", false },
	{ HEADER, A1 "U 1 b - - 0\n", "9 0 0 -", false },
	{ HEADER, A1 "F 2 1 +x\n", "9 0 0 -", false },
	{ HEADER, A1 "F 1 1 x\n", "9 0 0 -", false },
	{ HEADER, A1 "F 1 1 +\n", "9 0 0 -", false },
	{ HEADER, A1 "F 1 1 +x,\n", "9 0 0 -", false },
	{ HEADER, A1 "G\n", "9 0 0 -", false },
	{ HEADER, A1 "G 1 1\n", "9 0 0 -", false },
	{ HEADER, A1 "B 1 x\n", "9 0 0 -", false },
	{ HEADER, A1 "X 1\n", "9 0 0 -", false },
	{ HEADER, A1 "\n", "9 0 0 -", false },
	{ HEADER, A1 "C 1\n", "9 0 0 -", false },
};

static void test_forged(void)
{
	unsigned int i, wrong = 0;
	bool sound;

	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		start_anew();
		forge(forged[i].header, forged[i].records,
		      strlen(forged[i].records), forged[i].commit);
		sound = strcmp(content_anew(), "fault") != 0;
		if (sound != forged[i].sound) {
			printf("# forged file %u: %s\n", i, fault.log);
			wrong++;
		}
	}
	is_num(wrong, 0, "%u forged files are taken or refused as they should",
	       i);
}

/* Returns seconds. */
static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void test_hostile(void)
{
	struct buf text = { NULL, 0, 0 };
	double start = seconds();
	unsigned int i;
	size_t len;

	start_anew();
	buf_append_str(&text, "A 1 ");
	for (i = 0; i < IDMAP_STATE_MAX * 100; i++)
		buf_append_c(&text, 'x');
	buf_append_str(&text, " - - 0 -\n");
	forge(HEADER, text.p, text.len, "9 0 0 -");
	is_str(content_anew(), "fault", "a line without end is refused");
	printf("# %.1f s\n", seconds() - start);

	/* all that looks like a commit line is none */
	buf_clear(&text);
	for (i = 0; i < 300000; i++)
		buf_append_str(&text, "C 60 1 0 0 - 00000000 00000000\n");
	len = text.len;
	file_write(path, text.p, len);
	is_str(content_anew(), "fault", "a file of nothing but bad commit "
	       "lines is refused");
	printf("# %.1f s\n", seconds() - start);

	/* 50000 messages times 50000 changes of all */
	buf_clear(&text);
	for (i = 1; i <= 50000; i++)
		buf_printf(&text, "A %u m%u - - 0 -\n", i, i);
	for (i = 1; i <= 50000; i++)
		buf_printf(&text, "F 1 50000 %cflag%u\n", "+-"[i % 2], i % 9);
	forge(HEADER, text.p, text.len, "50001 0 0 -");
	is_str(content_anew(), "fault", "changes without measure are refused");
	printf("# %.1f s\n", seconds() - start);
	buf_free(&text);
}

static void test_not_a_file(void)
{
	struct idmap *map;

	start_anew();
	file_write(path, "", 0);
	is_str(content_anew(), "fault", "an empty file is damaged");
	start_anew();
	file_write(other_path, "", 0);
	if (symlink(other_path, path) < 0)
		abort();
	is_str(content_anew(), "fault", "a symbolic link is not followed");
	start_anew();
	if (mkfifo(path, 0600) < 0)
		abort();
	is_str(content_anew(), "fault", "a named pipe is no map");
	start_anew();
	if (symlink(other_path, lock_path) < 0)
		abort();
	map = idmap_init(path);
	ok(idmap_lock(map, 0, NULL, NULL, &fault) == -1,
	   "the lock file is no symbolic link");
	idmap_deinit(&map);
	start_anew();
}

static void test_damage_text(void)
{
	size_t last;
	struct buf data = three_commits(&last);
	char want[160];
	char *id = memmem(data.p, data.len, "two", 3);

	*id = ' ';
	file_write(path, data.p, data.len);
	snprintf(want, sizeof(want), "%s: damaged at byte %zu (line 4): "
		 "a message's line has a bad id", path,
		 (size_t)(id - data.p) - strlen("A 2 "));
	(void)content_anew();
	is_str(fault.log, want, "damage is told with path, byte and line");
	ok(fault.code == FAULT_INTERNAL && strstr(fault.user, path) == NULL,
	   "and the user is not told the path");
	buf_free(&data);
}

/* --- a million ----------------------------------------------------------------------------- */

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
	(void)idmap_entries(map, &count);
	is_num(count, messages, "and loaded");
	printf("# loaded in %.2f s, %.0f bytes a message\n",
	       seconds() - start,
	       (double)(memory_kib() - before) * 1024 / messages);
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
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/map", dir);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	snprintf(tmp_path, sizeof(tmp_path), "%s.tmp", path);
	snprintf(other_path, sizeof(other_path), "%s.other", path);
	test_create();
	test_messages();
	test_hash();
	test_flags();
	test_many_flags();
	test_rollback();
	test_next_uid();
	test_misuse();
	test_long_state();
	test_read_entry();
	test_lock();
	test_growing();
	test_cut_off();
	test_two_writers();
	test_truncated();
	test_flipped();
	test_zeroed_tail();
	test_kill();
	test_no_space();
	test_compact();
	test_forged();
	test_hostile();
	test_not_a_file();
	test_damage_text();
	test_million(argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) :
		     100000);
	start_anew();
	(void)rmdir(dir);
	return done_testing();
}
