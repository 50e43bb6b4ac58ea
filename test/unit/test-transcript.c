/* core/wire/transcript and core/answer/replay: a conversation in a file, and back. */
#include "transcript.h"
#include "replay.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct buf said, complained;

/* A file in memory with this content. */
static int file_of(const char *data, size_t size)
{
	int fd = memfd_create("transcript", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
		printf("Bail out! memfd: %s\n", strerror(errno));
		exit(1);
	}
	return fd;
}

/* --- lines ------------------------------------------------------------------ */

static const char *parsed(const char *line, size_t len)
{
	static char text[1024];
	struct view view = { line, len };
	struct transcript_entry entry;
	struct buf scratch = { NULL, 0, 0 };
	struct wire_error error;
	int ret = transcript_parse(view, &entry, &scratch, &error);

	if (ret > 0)
		(void)snprintf(text, sizeof(text), "%d|%.*s", (int)entry.kind,
			       (int)entry.text.len, entry.text.p);
	else
		(void)snprintf(text, sizeof(text), "%s",
			       ret == 0 ? "(nothing)" : error.text);
	buf_free(&scratch);
	return text;
}

static void test_lines(void)
{
	static const struct {
		const char *line, *want;
	} lines[] = {
		{ "0.000 = user a b", "0|user a b" },
		{ "12.345 > LIST", "1|LIST" },
		{ "> LIST", "1|LIST" },
		{ "0.001 >+ ab\\n", "2|ab\n" },
		{ "0.001 < * BOX  x", "3|* BOX  x" },
		{ "0.001 <  OK", "3| OK" },
		{ "0.001 <+ \\\\\\t\\x41\\x7a", "4|\\\tAz" },
		{ "0.001 <@", "5|" },
		{ "0.001 <@ ", "5|" },
		{ "0.001 ! b\xc3\xa4h", "6|b\xc3\xa4h" },
		{ "", "(nothing)" },
		{ "# 1 > x", "(nothing)" },
		{ "0.01 > x", "it begins with no time such as 0.042: "
			"\"0.01 > x\"" },
		{ "0.0010 > x", "it begins with no time such as 0.042: "
			"\"0.0010 > x\"" },
		{ "0.00", "it begins with no time such as 0.042: \"0.00\"" },
		{ "0.000 ", "it has none of = > >+ < <+ <@ !: \"0.000 \"" },
		{ "1234567890.000 > x", "it begins with no time such as "
			"0.042: \"1234567890.000 > x\"" },
		{ ">> x", "it has none of = > >+ < <+ <@ !: \">> x\"" },
		{ "<+\tx", "it has none of = > >+ < <+ <@ !: \"<+?x\"" },
		{ "< a\\", "what follows a \\ is none of \\\\ \\n \\r \\t and "
			"\\xHH: \"< a\\\"" },
		{ "< a\\x4", "what follows a \\ is none of \\\\ \\n \\r \\t "
			"and \\xHH: \"< a\\x4\"" },
		{ "< a\\xg0", "what follows a \\ is none of \\\\ \\n \\r \\t "
			"and \\xHH: \"< a\\xg0\"" },
		{ "< a\rb", "a control byte stands in it: \"< a?b\"" },
		{ "< a\x7f", "a control byte stands in it: \"< a?\"" },
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		is_str(parsed(lines[i].line, strlen(lines[i].line)),
		       lines[i].want, "line %zu is what it is", i);
	is_str(parsed("< a\0b", 5), "a control byte stands in it: \"< a?b\"",
	       "NUL is a control byte");
	is_str(parsed("< a\\\0", 5), "what follows a \\ is none of \\\\ \\n "
	       "\\r \\t and \\xHH: \"< a\\?\"", "NUL is no escape");
}

/* --- what is written is read ------------------------------------------------- */

static void test_round_trip(void)
{
	char dir[] = "/tmp/dovebridge-transcript.XXXXXX", all[3 * 256];
	struct transcript *transcript;
	struct transcript_reader *reader;
	struct transcript_entry entry;
	struct wire_error error;
	struct buf back = { NULL, 0, 0 };
	struct view bytes = { all, sizeof(all) };
	struct stat st;
	char *path;
	int i, fd, ret;

	for (i = 0; i < (int)sizeof(all); i++)
		all[i] = (char)(i < 256 ? i : i < 512 ? 511 - i : i * 7);
	if (mkdtemp(dir) == NULL)
		exit(1);
	transcript = transcript_create(dir);
	ok(transcript != NULL, "a transcript can be made");
	path = mem_strdup(transcript_path(transcript));
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600,
	   "its mode is 0600");
	transcript_note(transcript, "user", "x\ny");
	transcript_line(transcript, TRANSCRIPT_STDERR, bytes);
	transcript_bytes(transcript, TRANSCRIPT_REPLY_BYTES, bytes);
	transcript_bytes(transcript, TRANSCRIPT_REPLY_FILE, view_of(""));
	is_num(transcript_flush(transcript), 0, "it is written");
	transcript_free(&transcript);

	fd = open(path, O_RDONLY);
	reader = transcript_reader_init(fd);
	(void)transcript_read(reader, &entry, &error);
	is_num(entry.text.len, 8, "a line end in a note is a part of it");
	(void)transcript_read(reader, &entry, &error);
	ok(entry.kind == TRANSCRIPT_STDERR && view_equals(entry.text, bytes),
	   "a line of any bytes is read as it was written");
	while ((ret = transcript_read(reader, &entry, &error)) > 0 &&
	       entry.kind == TRANSCRIPT_REPLY_BYTES)
		buf_append_view(&back, entry.text);
	ok(ret == 0 && view_equals(view_of_buf(&back), bytes),
	   "octets are read as they were written");
	transcript_reader_deinit(&reader);
	buf_free(&back);
	(void)close(fd);
	(void)unlink(path);
	free(path);
	(void)rmdir(dir);
	ok(transcript_create(dir) == NULL && errno == ENOENT,
	   "a folder that is not there is an error");
}

static void test_write_fails(void)
{
	struct transcript *transcript;
	struct view bytes = { NULL, 200000 };
	char *mem = mem_new(bytes.len, 1);
	struct rlimit old, none = { 100, 100 };

	bytes.p = mem;
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	(void)setrlimit(RLIMIT_FSIZE, &none);
	transcript = transcript_create("/tmp");
	(void)unlink(transcript_path(transcript));
	transcript_bytes(transcript, TRANSCRIPT_REPLY_BYTES, bytes);
	ok(transcript_flush(transcript) < 0 && errno == EFBIG,
	   "what cannot be written is an error");
	ok(transcript_flush(transcript) < 0 && errno == EFBIG,
	   "and stays one");
	transcript_free(&transcript);
	(void)setrlimit(RLIMIT_FSIZE, &old);
	free(mem);
}

#define PLACE_SECS 30	/* that the test may take */

/* The first name that a transcript of this process gets at that time. */
static const char *guessed(time_t t)
{
	static char name[128];
	char date[32];
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &tm);
	(void)snprintf(name, sizeof(name), "%s-%ld-1.transcript", date,
		       (long)getpid());
	return name;
}

/* Who can write to the folder can guess its name. */
static void test_write_place(void)
{
	char dir[] = "/tmp/dovebridge-test.XXXXXX";
	struct transcript *transcript;
	time_t now = time(NULL), t;
	struct stat st;
	mode_t old = umask(0);

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		printf("Bail out! %s: %s\n", dir, strerror(errno));
	for (t = now; t < now + PLACE_SECS; t++) {
		if (symlink("nowhere", guessed(t)) < 0)
			printf("# %s: %s\n", guessed(t), strerror(errno));
	}
	transcript = transcript_create(dir);
	ok(transcript != NULL && strstr(transcript_path(transcript),
					"-2.transcript") != NULL,
	   "a transcript takes another name than one that is there");
	ok(transcript != NULL && lstat(transcript_path(transcript), &st) == 0 &&
	   S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600,
	   "it is for its user alone, with a umask of 0");
	ok(lstat("nowhere", &st) < 0, "no link is followed to make it");
	if (transcript != NULL)
		(void)unlink(transcript_path(transcript));
	transcript_free(&transcript);
	for (t = now; t < now + PLACE_SECS; t++)
		(void)unlink(guessed(t));
	(void)unlink("nowhere");
	(void)rmdir(dir);
	(void)umask(old);
}

static void test_write_ends(void)
{
	struct view bytes = { NULL, 1024 * 1024 };
	char *mem = mem_new(bytes.len, 1);
	struct transcript *transcript = transcript_create("/tmp");
	int i, fd = open(transcript_path(transcript), O_RDONLY | O_CLOEXEC);
	struct stat st;

	(void)unlink(transcript_path(transcript));
	memset(mem, 'x', bytes.len);
	bytes.p = mem;
	for (i = 0; i < 250; i++)
		transcript_bytes(transcript, TRANSCRIPT_REPLY_BYTES, bytes);
	ok(transcript_flush(transcript) == 0, "250 MiB are written");
	for (i = 0; i < 50; i++)
		transcript_bytes(transcript, TRANSCRIPT_REPLY_BYTES, bytes);
	ok(transcript_flush(transcript) < 0 && errno == EFBIG,
	   "what is too long is an error");
	ok(fd >= 0 && fstat(fd, &st) == 0 &&
	   st.st_size <= (off_t)TRANSCRIPT_FILE_MAX &&
	   st.st_size > (off_t)TRANSCRIPT_FILE_MAX - 1024 * 1024,
	   "and is not written");
	transcript_free(&transcript);
	(void)close(fd);
	free(mem);
}

/* --- files ------------------------------------------------------------------ */

static const char *init_error(const char *data, size_t size)
{
	static struct wire_error error;
	struct replay *replay;
	int fd = file_of(data, size);

	(void)strcpy(error.text, "(none)");
	if (replay_init(fd, &replay, &error) == 0)
		replay_deinit(&replay);
	(void)close(fd);
	return error.text;
}

#define M TRANSCRIPT_MAGIC "\n"

static void is_wrong(const char *text, const char *want)
{
	is_str(init_error(text, strlen(text)), want, "%s", want);
}

static void test_files(void)
{
	struct buf big = { NULL, 0, 0 };
	size_t i;

	is_wrong("", "line 1: it is not \"dovebridge transcript 1\": \"\"");
	is_wrong("dovebridge transcript 2\n", "line 1: it is not \"dovebridge "
		 "transcript 1\": \"dovebridge transcript 2\"");
	is_wrong(M, "(none)");
	is_wrong("dovebridge transcript 1", "(none)");
	is_wrong(M"> LIST\n\n# x\n?\n", "line 5: it has none of = > >+ < <+ "
		 "<@ !: \"?\"");
	is_wrong(M"< OK\n", "line 2: a reply before any request");
	is_wrong(M"> A\n< OK\n< OK\n<+ x\n! y\n<@ z\n= status 999\n", "(none)");

	buf_append_str(&big, M"> LIST\n< ");
	for (i = 0; i < TRANSCRIPT_TEXT_MAX; i++)
		buf_append_str(&big, "\\x41");
	is_str(init_error(big.p, big.len), "(none)",
	       "the longest text may be escaped all through");
	buf_append_c(&big, 'B');
	ok(strncmp(init_error(big.p, big.len), "line 3: it stands for too many",
		   30) == 0, "a byte more is too many");
	for (i = 0; i < TRANSCRIPT_LINE_MAX; i++)
		buf_append_c(&big, 'C');
	ok(strncmp(init_error(big.p, big.len), "line 3: it is too long", 22)
	   == 0, "a line that does not end is not read to its end");
	buf_free(&big);
}

/* --- replays ---------------------------------------------------------------- */

static int on_reply(void *context, struct view bytes)
{
	(void)context;
	buf_append_view(&said, bytes);
	return 0;
}

static int on_stderr(void *context, struct view line)
{
	(void)context;
	buf_append_view(&complained, line);
	buf_append_c(&complained, '|');
	return 0;
}

static enum replay_result result;

static const char *ask(struct replay *replay, const char *request)
{
	static const struct replay_output output = {
		.reply = on_reply,
		.stderr_line = on_stderr,
	};

	buf_clear(&said);
	buf_clear(&complained);
	result = replay_answer(replay, view_of(request), &output);
	return buf_str(&said);
}

static struct replay *replay_of(const char *text, int *fd_r)
{
	struct replay *replay;
	struct wire_error error;

	*fd_r = file_of(text, strlen(text));
	if (replay_init(*fd_r, &replay, &error) < 0) {
		printf("Bail out! %s\n", error.text);
		exit(1);
	}
	return replay;
}

static void test_order(void)
{
	int fd;
	struct replay *r = replay_of(M
		"> CAPS 1 mode=imap user=a\n< * CAPS 1\n< OK\n"
		"> LIST B -\n< * MSG 1\n< OK full state=1\n"
		"> LIST B 1\n! debug: x\n< * MSG 2\n< OK delta state=2\n"
		"> NOOP\n< OK\n"
		"> LIST B -\n< * MSG 1\n< * MSG 2\n< OK full state=2\n"
		"> APPEND B /tmp/1 key=x\n< * MSG 3\n< OK\n", &fd);

	is_str(ask(r, "CAPS 1 mode=cli user=b"), "* CAPS 1\nOK\n",
	       "CAPS is answered, whoever asks");
	is_str(ask(r, "LIST B -"), "* MSG 1\nOK full state=1\n",
	       "the first answer comes first");
	is_str(ask(r, "LIST B 1"), "* MSG 2\nOK delta state=2\n",
	       "a state has its answer");
	is_str(buf_str(&complained), "debug: x|", "with its stderr");
	is_str(ask(r, "LIST B -"), "* MSG 1\n* MSG 2\nOK full state=2\n",
	       "the next one after it");
	is_str(ask(r, "LIST B -"), "* MSG 1\n* MSG 2\nOK full state=2\n",
	       "and then the last for ever");
	is_str(ask(r, "LIST B 77"), "* MSG 1\n* MSG 2\nOK full state=2\n",
	       "a state that nobody knows has the last full list");
	is_str(ask(r, "APPEND B /tmp/2 key=y size=3"), "* MSG 3\nOK\n",
	       "APPEND is answered whatever is added");
	is_str(ask(r, "LIST C -"), "NO CANNOT this is not in the transcript\n",
	       "of another mailbox nothing is known");
	is_num(result, REPLAY_MISSING, "which is said to the caller, too");
	is_str(ask(r, "SEARCH B text x"),
	       "NO UNSUPPORTED this is not in the transcript\n",
	       "a verb that never came is not supported");
	is_str(ask(r, ""), "NO UNSUPPORTED this is not in the transcript\n",
	       "nor is no verb");
	replay_deinit(&r);
	(void)close(fd);
}

static void test_fetch(void)
{
	int fd;
	struct replay *r = replay_of(M
		"> FETCH B full 1 2 3\n"
		"< * DATA 1 3\n<+ a\\n\n! note\n<+ b\n"
		"< * FILE 2 /x offset=3 length=2\n<@ x\n<@ \\n\n"
		"< * GONE 3\n< OK\n"
		"> FETCH B header 4\n< * FILE 4 /y part=header\n<@ \n< OK\n"
		"> FETCH B full 5\n< * FILE 5 /z\n< OK\n"
		"> FETCH B full 6\n< NO BUSY x\n"
		"> FETCH B full 7\n< * DATA 7 9\n<+ abc\n= status 3\n", &fd);

	is_str(ask(r, "FETCH B full 2 1"),
	       "* DATA 2 2\nx\n* DATA 1 3\na\nbOK\n",
	       "each message is found, and a file is given as bytes");
	is_str(ask(r, "FETCH B header 1 3"), "* DATA 1 3\na\nb* GONE 3\nOK\n",
	       "a header is answered with the whole");
	is_str(ask(r, "FETCH B header 4"), "* DATA 4 0 part=header\nOK\n",
	       "an empty file is known to be empty");
	is_str(ask(r, "FETCH B full 4"), "* FAIL 4 CANNOT this message is not "
	       "in the transcript\nOK\n", "a header is not the whole");
	is_str(ask(r, "FETCH B full 5"), "* FILE 5 /z\nOK\n",
	       "a file without contents is named as it was");
	is_str(ask(r, "FETCH B full 6"), "NO BUSY x\n", "NO is repeated");
	is_str(ask(r, "FETCH C full 1"),
	       "NO CANNOT this is not in the transcript\n",
	       "an id belongs to its mailbox");
	is_str(ask(r, "FETCH B full 7 1"), "* FAIL 7 CANNOT this message is "
	       "not in the transcript\n* DATA 1 3\na\nbOK\n",
	       "of an answer that did not end no item is used");
	is_str(ask(r, "FETCH B full 7"), "* DATA 7 9\nabc",
	       "but the whole of it is repeated");
	is_num(result, REPLAY_ENDED, "and is the end");
	is_num(replay_status(r), 3, "with the status of the backend");
	replay_deinit(&r);
	(void)close(fd);
}

static void test_pipelined(void)
{
	int fd;
	struct replay *r = replay_of(M
		"> FETCH B full 1\n> FETCH B full 2\n> LIST\n"
		"< * DATA 1 1\n<+ a\n< OK\n"
		"< * DATA 2 1\n<+ b\n< OK\n"
		"< * BOX B\n< OK full\n< stray\n<+ more\n"
		"> LIST B -\n< OK full\n", &fd);

	is_str(ask(r, "FETCH B full 2"), "* DATA 2 1\nbOK\n",
	       "answers in flight are told apart");
	is_str(ask(r, "FETCH B full 1"), "* DATA 1 1\naOK\n",
	       "each has its own");
	is_str(ask(r, "LIST"), "* BOX B\nOK full\nstray\nmore",
	       "what nobody asked for comes when it came");
	is_str(ask(r, "LIST B -"), "OK full\n", "and does no harm later");
	replay_deinit(&r);
	(void)close(fd);
}

int main(void)
{
	test_lines();
	test_round_trip();
	test_write_fails();
	test_write_place();
	test_write_ends();
	test_files();
	test_order();
	test_fetch();
	test_pipelined();
	buf_free(&said);
	buf_free(&complained);
	return done_testing();
}
