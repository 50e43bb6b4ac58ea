/* FILE with version=: a message is of the file that was meant, or it is not shown. */
#include "session-kit.h"
#include "fetch.h"

#include <sys/syscall.h>

#define OLD 1700000000
#define MAIL "From x\nA: b\n\nold text\n"	/* the slice begins behind From */
#define SLICE "A: b\n\nold text\n"

/* What is done to the file before the second piece of it is read; once. The code
   under test is linked into this program, so it reads by this function. */
static void (*between)(void);
static unsigned int reads;

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	void (*act)(void) = between;

	if (act != NULL && reads++ == 1) {
		between = NULL;
		act();
	}
	return syscall(SYS_pread64, fd, data, size, offset);
}

/* --- the file ---------------------------------------------------------------- */

static void set_mtime(const char *path, time_t sec, long nsec)
{
	struct timespec times[2] = { { sec, nsec }, { sec, nsec } };

	if (utimensat(AT_FDCWD, path, times, 0) < 0)
		kit_fail(path);
}

static void write_mail(const char *name, const char *text, time_t sec)
{
	kit_write(kit_path(name), text, strlen(text), 0644);
	set_mtime(kit_path(name), sec, 123456789);
}

/* What a backend knows of the file: it looked a while ago. */
static void note_version(const char *name)
{
	struct buf text = { NULL, 0, 0 };
	struct stat st;

	if (stat(kit_path("box"), &st) < 0)
		kit_fail("box");
	buf_printf(&text, "%llu:%llu:%lld.%09ld", (unsigned long long)st.st_ino,
		   (unsigned long long)st.st_size, (long long)st.st_mtim.tv_sec,
		   st.st_mtim.tv_nsec);
	kit_write(kit_path(name), text.p, text.len, 0644);
	buf_free(&text);
}

static void replace(void)
{
	write_mail("new", "From x\nA: b\n\nnew text\n", OLD);
	(void)rename(kit_path("new"), kit_path("box"));
}

static void rewrite(void)
{
	write_mail("box", "From x\nA: b\n\nnew text\n", OLD + 60);
}

static void shorten(void)
{
	(void)!truncate(kit_path("box"), 3);
	set_mtime(kit_path("box"), OLD, 123456789);
}

static void grow(void)
{
	write_mail("box", MAIL "From y\n", OLD);
}

static void touch(void)
{
	set_mtime(kit_path("box"), OLD, 123456790);
}

static const struct {
	const char *what;
	void (*act)(void);
} changes[] = {
	{ "replaced by rename", replace },
	{ "rewritten in place, with the same size", rewrite },
	{ "truncated", shorten },
	{ "grown", grow },
	{ "touched, by a nanosecond", touch },
};

/* --- what comes of it -------------------------------------------------------- */

static struct buf shown;

static const char *fetch_as(struct session *session, enum fetch_want want)
{
	struct fetch_ask ask = {
		.id = view_of("a"), .expected = WIRE_SIZE_UNKNOWN
	};
	int fd = open(kit_path("copied"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct fetched fetched;
	struct fault fault;
	char bytes[64];
	ssize_t size;

	buf_clear(&shown);
	reads = 0;
	if (fetch_message(session, "Box", want, &ask, &fetched, &fault) < 0) {
		buf_printf(&shown, "%s %s", fault_code_name(fault.code),
			   strrchr(fault.log, ':') + 2);
	} else if (fetched.status == FETCH_GONE) {
		buf_append_str(&shown, "gone");
	} else {
		(void)fetched_copy(&fetched, fd);
		size = syscall(SYS_pread64, fd, bytes, sizeof(bytes), 0);
		buf_printf(&shown, "%s%s %llu %.*s",
			   fetched.header_only ? "header in " : "",
			   fetched.status == FETCH_MEMORY ? "memory" : "file",
			   (unsigned long long)fetched.size,
			   fetched.size > sizeof(bytes) || size < 0 ? 0 :
			   (int)size, bytes);
	}
	(void)close(fd);
	fetched_free(&fetched);
	return buf_str(&shown);
}

/* The second answer to FETCH has the version of "is", the first that of "was". */
#define BOX(options) "FETCH*) v=was; [ -e asked ] && v=is; echo >>asked\n" \
	"	say \"* FILE a $PWD/box offset=7 version=$(cat $v)" options \
	"\" OK ;;"

static struct session *begin(const char *arms)
{
	(void)unlink(kit_path("asked"));
	write_mail("box", MAIL, OLD);
	note_version("was");
	note_version("is");
	return kit_session(arms, KIT_TIMEOUT_MSECS);
}

#define NOT_MEANT "UNAVAILABLE the file is not the version that was meant"

static void test_same(void)
{
	struct session *session = begin(BOX(""));

	is_str(fetch_as(session, FETCH_FULL), "memory 15 " SLICE,
	       "a slice of the file that was meant is copied");
	is_num(kit_requests("FETCH"), 1, "at once");
	session_deinit(&session);
}

static void test_changed_before(void)
{
	struct session *session;
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		session = begin(BOX(""));
		changes[i].act();
		is_str(fetch_as(session, FETCH_FULL), NOT_MEANT,
		       "a file that was %s since is not shown", changes[i].what);
		is_num(kit_requests("FETCH"), 2, "it was asked for once more");
		is_num(kit_copies(), 1, "of the same copy, which did no wrong");
		session_deinit(&session);

		session = begin(BOX(""));
		changes[i].act();
		note_version("is");
		/* the offset is beyond the end by now */
		ok(kit_begins(fetch_as(session, FETCH_FULL),
			      changes[i].act == shorten ? "INTERNAL " :
			      "memory "),
		   "%s: the second answer is taken if it knows that",
		   changes[i].what);
		session_deinit(&session);
	}
}

/* The header is looked for first, so there are two reads. */
static void test_changed_meanwhile(void)
{
	struct session *session;
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		session = begin(BOX(""));
		between = changes[i].act;
		/* a file that was opened is there until it is closed */
		is_str(fetch_as(session, FETCH_HEADER), changes[i].act == replace ?
		       "header in memory 6 A: b\n\n" : NOT_MEANT,
		       "a file that is %s while it is read",
		       changes[i].what);
		ok(between == NULL, "it was read when that happened");
		session_deinit(&session);
	}
}

static void test_header(void)
{
	struct session *session = begin(BOX(""));

	is_str(fetch_as(session, FETCH_HEADER), "header in memory 6 A: b\n\n",
	       "of a header no more is copied than to the empty line");
	session_deinit(&session);
	session = begin("FETCH*) say \"* FILE a $PWD/box offset=7 length=5 "
			"version=$(cat was)\" OK ;;");
	is_str(fetch_as(session, FETCH_HEADER), "memory 5 A: b\n",
	       "a message without an empty line is all header");
	session_deinit(&session);
	session = begin("FETCH*) say \"* FILE a $PWD/box offset=7 length=5 "
			"part=header version=$(cat was)\" OK ;;");
	is_str(fetch_as(session, FETCH_HEADER), "header in memory 5 A: b\n",
	       "and a header that the store cut is what it says");
	session_deinit(&session);
	session = begin(BOX(""));
	write_mail("box", "From x\nA: b\r\n\r\nold\r\n", OLD);
	note_version("was");
	is_str(fetch_as(session, FETCH_HEADER),
	       "header in memory 8 A: b\r\n\r\n", "also with CR LF");
	session_deinit(&session);
}

static void test_large(void)
{
	struct session *session = begin(BOX(""));
	char *text = mem_new(3000001, 1);

	memset(text, 'x', 3000000);
	write_mail("box", text, OLD);
	note_version("was");
	note_version("is");
	is_str(fetch_as(session, FETCH_FULL), "file 2999993 ",
	       "a large one is spooled");
	ok(kit_dir_empty(session_tmp(session)), "to a file without a name");
	between = rewrite;
	is_str(fetch_as(session, FETCH_FULL), NOT_MEANT,
	       "and not shown if the file has changed meanwhile");
	session_deinit(&session);
	free(text);
}

/* --- the option -------------------------------------------------------------- */

static const struct {
	const char *version, *what;
	bool good;
} spellings[] = {
	{ "$i:22:1700000000.123456789", "of nine digits", true },
	{ "$i:22:1700000000.1234567890", "as find -printf %T@ writes it", true },
	{ "0$i:022:01700000000.123456789", "with zeros before it", true },
	{ "", "that is empty", false },
	{ "$i", "without a size", false },
	{ "$i:22", "without a time", false },
	{ "$i:22:", "with an empty time", false },
	{ "$i:22:1700000000", "without a fraction", false },
	{ "$i:22:1700000000.12345678", "with a fraction of eight digits", false },
	{ "$i:22:1700000000,123456789", "with a comma", false },
	{ "$i:22:.123456789", "without seconds", false },
	{ "$i:22:1700000000.123456789x", "with a letter behind it", false },
	{ "$i:22:1700000000.1234567 9", "with a space", false },
	{ "$i:22:1700000000.123456789:1", "of four parts", false },
	{ "-$i:22:1700000000.123456789", "with a negative inode", false },
	{ "$i:22:--5.123456789", "with two signs", false },
	{ "$i:22:99999999999999999999.123456789", "beyond 64 bits", false },
	{ "$i:99999999999999999999:1.123456789", "of a size beyond 64 bits",
	  false },
};

static void test_spellings(void)
{
	struct session *session;
	struct buf arms = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		buf_clear(&arms);
		buf_printf(&arms, "FETCH*) i=$(stat -c %%i box)\n"
			"	say \"* FILE a $PWD/box version=%s\" OK ;;",
			spellings[i].version);
		session = begin(arms.p);
		ok(kit_begins(fetch_as(session, FETCH_FULL),
			      spellings[i].good ? "memory 22 " : "INTERNAL "),
		   "a version %s is %s", spellings[i].what,
		   spellings[i].good ? "one" : "an error of grammar");
		session_deinit(&session);
	}
	buf_free(&arms);
}

static void test_before_1970(void)
{
	struct session *session = begin(
		"FETCH*) say \"* FILE a $PWD/box version=$(stat -c "
		"%i:%s:%.9Y box)\" OK ;;");

	set_mtime(kit_path("box"), -2, 250000000);
	ok(kit_begins(fetch_as(session, FETCH_FULL), "memory 22 "),
	   "a file of before 1970, as stat writes it");
	set_mtime(kit_path("box"), -3600, 0);
	ok(kit_begins(fetch_as(session, FETCH_FULL), "memory 22 "),
	   "also of a whole second");
	session_deinit(&session);
}

int main(void)
{
	kit_init();
	test_same();
	test_changed_before();
	test_changed_meanwhile();
	test_header();
	test_large();
	test_spellings();
	test_before_1970();
	buf_free(&shown);
	return kit_done();
}
