/* The map after crashes, failed writes and damage, and files that nobody
 * wrote. */
#include "test-idmap.h"

/* --- crashes and damage -------------------------------------------------- */

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

/* What the index has seen of a commit tells a damaged one from a torn one. */
static void test_expected(void)
{
	size_t last;
	struct buf data = three_commits(&last);
	struct idmap *map = idmap_init(path);
	struct idmap_header header;
	uint64_t end;

	ok(idmap_open(map, &fault) == 1, "the map is sound");
	header = *idmap_header(map);
	end = idmap_end(map);
	idmap_deinit(&map);
	data.p[last + 1] ^= 1;
	file_write(path, data.p, data.len);

	map = idmap_init(path);
	ok(idmap_open(map, &fault) == 1 && idmap_end(map) == last,
	   "a wrong last transaction is torn, as far as anybody knows");
	idmap_expect(map, header.guid, header.generation, end);
	ok(idmap_open(map, &fault) == -1 && fault.code == FAULT_INTERNAL,
	   "once it was seen to be committed it is damage");
	idmap_expect(map, header.guid, header.generation + 1, end);
	ok(idmap_open(map, &fault) == 1, "that holds for one generation");
	idmap_expect(map, header.guid, header.generation, end);
	file_write(path, data.p, last);
	ok(idmap_open(map, &fault) == 1, "an older copy of the map is sound");
	idmap_deinit(&map);
	buf_free(&data);
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

static void test_tail_is_cut(void)
{
	size_t last;
	struct buf data = three_commits(&last);
	struct idmap *map;

	file_write(path, data.p, data.len - 1);
	is_str(content_anew(), old_content, "a torn tail does not count");
	is_num(file_size(path), data.len - 1, "who only reads leaves it");
	map = open_locked();
	is_num(file_size(path), last, "who holds the lock cuts it off");
	idmap_deinit(&map);
	is_str(content_anew(), old_content, "and nothing else");
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

static void test_long_transaction(void)
{
	struct idmap *map = created(1);
	struct buf data;
	uint32_t uid;

	for (uid = 1; uid <= 10000; uid++)
		(void)add(map, uid, "message");
	(void)commit(map);
	idmap_deinit(&map);
	data = file_read(path);
	data.p[data.len / 2] = (char)~data.p[data.len / 2];
	file_write(path, data.p, data.len);
	map = idmap_init(path);
	is_num(idmap_open(map, &fault), 1,
	       "opening does not read a long transaction");
	ok(idmap_load(map, &fault) == -1 && fault.code == FAULT_INTERNAL,
	   "loading finds its damage");
	idmap_deinit(&map);
	file_write(path, data.p, data.len - 1);
	is_str(content_anew(), "1 - 0",
	       "a long transaction without its end does not count");
	buf_free(&data);
}

static void test_kill(void)
{
	struct idmap *map = created(1);
	unsigned int i, k, wrong = 0;
	const struct idmap_known *known;
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
		known = idmap_known(map, &count);
		wrong += count % 7000 != 0 ||
			(count > 0 && known[count - 1].uid != count) ||
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

/* --- files that nobody wrote --------------------------------------------- */

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
	{ HEADER, "A 1 a - - 0 - 0001\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0 - 00010203040506070809101112131g15\n",
	  "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0 - 00010203040506070809101112131415 x\n",
	  "9 0 0 -", false },
	{ HEADER, "A 1 a - - 0 - 00010203040506070809101112131415\n",
	  "9 0 0 -", true },
	{ HEADER, A1 "U 1 a - - 0 00010203040506070809101112131415\n",
	  "9 0 0 -", true },
	{ HEADER, A1 "U 1 a - - 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - - - -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - -5 0 -\n", "9 0 0 -", true },
	{ HEADER, "A 1 a - -0 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - -05 0 -\n", "9 0 0 -", false },
	{ HEADER, "A 1 a - --5 0 -\n", "9 0 0 -", false },
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

static void test_hostile(void)
{
	struct buf text = { NULL, 0, 0 };
	double start = seconds();
	unsigned int i;
	size_t len;

	start_anew();
	buf_append_str(&text, "A 1 ");
	for (i = 0; i < WIRE_STATE_MAX * 100; i++)
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

int main(void)
{
	if (test_begin() < 0)
		return 1;
	test_expected();
	test_truncated();
	test_tail_is_cut();
	test_flipped();
	test_zeroed_tail();
	test_long_transaction();
	test_kill();
	test_no_space();
	test_forged();
	test_hostile();
	test_not_a_file();
	test_damage_text();
	return test_end();
}
