/* core/verbs/append: a message is stored once, whole, or it is said that nobody knows. */
#include "session-kit.h"
#include "clock.h"
#include "write.h"

#include <sys/resource.h>

#define SHORT_MSECS 2000		/* a deadline that is to strike */
#define KEY "Zx81QmVyAA0kqT3fP_uR2w"
#define BIG 20000000		/* far more than a pipe holds */
#define PEAK_MAX_KIB 8192	/* what sending that may take */
#define CAPS(features) "'CAPS 1 '*) say '* CAPS 1 APPEND STORE " features "' OK ;;\n"
/* $path, $size, and under inline all octets into the file "got" */
#define WORDS "set -- $line; path=$3; size=${4#size=}\n"
#define TAKE WORDS "head -c $size >got$copy\n"

enum kind {
	NAMELESS,		/* O_TMPFILE */
	UNLINKED,		/* had a name */
	NAMED			/* kit_path("named") */
};

static struct buf shown;

/* Not every file system has files without a name. */
static bool have_nameless(void)
{
	int fd = open(kit_tmp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static int message_file(enum kind kind, const char *bytes, size_t size)
{
	int fd;

	if (kind == NAMELESS && !have_nameless())
		kind = UNLINKED;
	fd = kind == NAMELESS ?
		open(kit_tmp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) :
		open(kit_path("named"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		kit_fail("message");
	if (kind == UNLINKED)
		(void)unlink(kit_path("named"));
	return fd;
}

static struct append_message message_of(int fd, uint64_t size)
{
	struct append_message msg = {
		.fd = fd, .give_away = true, .size = size, .flags = "\\Seen,x", .date = 1700000000,
		.key = KEY,
	};

	return msg;
}

/* What comes of it: "stored as ID", or the fault. */
static const char *outcome(struct append *append, const struct fault *failed)
{
	struct appended appended;
	struct fault fault;

	buf_clear(&shown);
	if (append == NULL) {
		buf_printf(&shown, "not begun: %s %s",
			   fault_code_name(failed->code), failed->log);
	} else if (append_wait(append, &appended, &fault) < 0) {
		buf_printf(&shown, "%s %s", fault_code_name(fault.code),
			   kit_short(fault.log));
		appended_free(&appended);
	} else {
		buf_printf(&shown, "stored as %s", buf_str(&appended.id));
		if (appended.size != WIRE_SIZE_UNKNOWN)
			buf_printf(&shown, " size=%llu",
				   (unsigned long long)appended.size);
		if (appended.uid > 0)
			buf_printf(&shown, " uid=%u", appended.uid);
		appended_free(&appended);
	}
	append_end(&append);
	return buf_str(&shown);
}

static const char *append_msg(struct session *session,
			      const struct append_message *msg)
{
	struct fault fault;

	return outcome(append_begin(session, "Box", msg, &fault), &fault);
}

/* A message of ten bytes. */
static const char *append_of(struct session *session, enum kind kind)
{
	int fd = message_file(kind, "0123456789", 10);
	struct append_message msg = message_of(fd, 10);

	(void)append_msg(session, &msg);
	(void)close(fd);
	return buf_str(&shown);
}

/* One of BIG bytes, "\n" each. */
static int big_file(void)
{
	int i, fd = message_file(NAMELESS, "", 0);
	static char chunk[100000];

	memset(chunk, '\n', sizeof(chunk));
	for (i = 0; i < BIG / (int)sizeof(chunk); i++) {
		if (write(fd, chunk, sizeof(chunk)) != sizeof(chunk))
			kit_fail("big message");
	}
	return fd;
}

static const char *append_big(struct session *session)
{
	int fd = big_file();
	struct append_message msg = message_of(fd, BIG);

	(void)append_msg(session, &msg);
	(void)close(fd);
	return buf_str(&shown);
}

static const char *content(const char *name)
{
	static char text[4096];
	int fd = open(kit_path(name), O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[len < 0 ? 0 : len] = '\0';
	return len < 0 ? "(none)" : text;
}

/* Remove what the backends of a test have left in the stage. */
static void clean(void)
{
	static const char *const names[] = {
		"got1", "got2", "stored", "stat", "named", "lines", "path"
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(kit_path(names[i]));
}

/* --- replies ----------------------------------------------------------------- */

#define LINE "\"APPEND Box - size=10 flags=\\Seen,x date=1700000000\""
#define BROKE(text) "UNCERTAIN @/backend: wrote " text " while answering " LINE

static const struct {
	const char *arm, *want;
} rows[] = {
	{ "say '* MSG a%20b' OK", "stored as a%20b" },
	{ "say '* MSG a size=12 uid=7 x=y' 'OK x'",
	  "stored as a size=12 uid=7" },
	{ "say '* GONE x' '* NEWS' '* MSG a' OK", "stored as a" },
	{ "say '* WAIT 1' '! x' '* MSG a' OK", "stored as a" },
	{ "say 'NO OVERQUOTA full'", "OVERQUOTA @/backend answered " LINE
	  " with NO: OVERQUOTA full" },
	{ "say '* MSG a' 'NO LIMIT x'", "LIMIT @/backend answered " LINE
	  " with NO: LIMIT x" },
	{ "say 'NO UNSUPPORTED'", "UNSUPPORTED @/backend answered " LINE
	  " with NO: UNSUPPORTED " },
	{ "say 'NO UNCERTAIN x'", "UNCERTAIN @/backend answered " LINE
	  " with NO: UNCERTAIN x" },
	{ "say OK", BROKE("OK, but no MSG with the new id: \"OK\"") },
	{ "say '* MSG a' '* MSG a' OK",
	  BROKE("a second MSG for one message: \"* MSG a\"") },
	{ "say '* MSG' OK", BROKE("a MSG without a proper id: \"* MSG\"") },
	{ "say '* MSG -' OK", BROKE("a MSG without a proper id: \"* MSG -\"") },
	{ "say '* MSG a%2' OK",
	  BROKE("a MSG without a proper id: \"* MSG a%2\"") },
	{ "say '* MSG a size=2147483648' OK",
	  BROKE("a value out of range: \"* MSG a size=2147483648\"") },
	{ "say '* MSG a uid=0' OK",
	  BROKE("a value out of range: \"* MSG a uid=0\"") },
	{ "say hello", BROKE("\"hello\" to stdout, which is neither \"* \", "
			     "\"OK\" nor \"NO \"; messages belong on stderr") },
	{ "say '* DATA a 3' abc OK", BROKE("\"* DATA a 3\", which does not name "
					   "a length from 0 to 2147483647") },
};

static void test_rows(void)
{
	struct session *session;
	char arms[512];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(arms, sizeof(arms), CAPS("inline")
			       "APPEND*) " TAKE " %s ;;", rows[i].arm);
		session = kit_session(arms, KIT_TIMEOUT_MSECS);
		is_str(append_of(session, NAMELESS), rows[i].want, "%s",
		       rows[i].arm);
		is_num(kit_requests("APPEND"), 1, "asked once");
		is_str(kit_log_text(), "", "and nothing is logged here");
		session_deinit(&session);
	}
	clean();
}

static void test_long_id(void)
{
	struct session *session = kit_session(CAPS("")
		"*flags=a) printf '* MSG %%41%01023d\\nOK\\n' 0 ;;\n"
		"*flags=b) printf '* MSG %%41%01024d\\nOK\\n' 0 ;;",
		KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "x", 1);
	struct append_message msg = message_of(fd, 1);

	msg.date = WIRE_DATE_UNKNOWN;
	msg.flags = "a";
	ok(view_starts(view_of(append_msg(session, &msg)), "stored as %410000"),
	   "an id of 1024 bytes");
	msg.flags = "b";
	ok(strstr(append_msg(session, &msg), "a MSG without a proper id") !=
	   NULL, "and one of 1025, which is none");
	(void)close(fd);
	session_deinit(&session);
}

/* --- the request ------------------------------------------------------------- */

/* The request line, the path of its file as FILE. */
static const char *line_of(const char *features,
			   const struct append_message *msg)
{
	char arms[1024];
	struct session *session;

	(void)snprintf(arms, sizeof(arms), "'CAPS 1 '*)\n"
		"	say '* CAPS 1 APPEND %s' OK ;;\n"
		"APPEND*) " WORDS
		"	[ \"$path\" != - ] || head -c $size >got1\n"
		"	case $path in $BRIDGE_TMP/append-*) shift 3\n"
		"		echo APPEND Box FILE \"$@\" >lines ;;\n"
		"	*) echo \"$line\" >lines ;; esac\n"
		"	say '* MSG a' OK ;;", features);
	(void)unlink(kit_path("lines"));
	session = kit_session(arms, KIT_TIMEOUT_MSECS);
	(void)append_msg(session, msg);
	session_deinit(&session);
	return content("lines");
}

static void test_lines(void)
{
	int fd = message_file(NAMELESS, "0123456789", 10);
	struct append_message msg = message_of(fd, 10);

	is_str(line_of("", &msg), "APPEND Box FILE size=10 flags=\\Seen,x "
	       "date=1700000000\n", "a request by path");
	is_str(line_of("key", &msg), "APPEND Box FILE size=10 flags=\\Seen,x "
	       "date=1700000000 key=" KEY "\n", "one with its key");
	is_str(line_of("inline", &msg), "APPEND Box - size=10 flags=\\Seen,x "
	       "date=1700000000\n", "one with octets");
	is_str(content("got1"), "0123456789", "which are those of the message");
	is_str(line_of("inline key", &msg), "APPEND Box - size=10 "
	       "flags=\\Seen,x date=1700000000 key=" KEY "\n", "and the key");
	msg.flags = "";
	is_str(line_of("", &msg), "APPEND Box FILE size=10 date=1700000000\n",
	       "no flags");
	msg.date = 0;
	is_str(line_of("", &msg), "APPEND Box FILE size=10 date=0\n",
	       "a date long ago");
	msg.date = WIRE_DATE_UNKNOWN;
	is_str(line_of("", &msg), "APPEND Box FILE size=10\n", "no date");
	msg.size = 4;
	(void)line_of("inline", &msg);
	is_str(content("got1"), "0123", "only as many octets as it has");
	msg.offset = 3;
	(void)line_of("inline", &msg);
	is_str(content("got1"), "3456", "those from where it begins");
	msg.size = 0;
	is_str(line_of("inline", &msg), "APPEND Box - size=0\n",
	       "a message without bytes");
	is_str(content("got1"), "", "has none");
	(void)close(fd);
	clean();
}

static void test_limits(void)
{
	static const struct {
		int len;
		char bad;
		bool good;
	} keys[] = {
		{ 21, 'x', false }, { 22, 'x', true }, { 64, '_', true },
		{ 65, 'x', false }, { 22, '-', true }, { 22, '.', false },
		{ 22, '/', false }, { 22, ' ', false }, { 22, '%', false },
		{ 22, '\n', false },
	};
	struct session *session = kit_session(CAPS("key")
		"*size=0*) say '* MSG zero' OK ;;", KIT_TIMEOUT_MSECS);
	struct session *idle = kit_session_of("/nonexistent/store",
					      KIT_TIMEOUT_MSECS);
	struct append *append;
	struct fault fault;
	int fd = message_file(NAMELESS, "", 0);
	struct append_message msg = message_of(fd, 0);
	struct buf flags = { NULL, 0, 0 };
	char key[80];
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(key, sizeof(key), "%0*d%c", keys[i].len - 1, 0,
			       keys[i].bad);
		msg.key = key;
		is_str(append_msg(session, &msg), keys[i].good ?
		       "stored as zero" : "not begun: INTERNAL a key must have "
		       "22 to 64 characters of A-Z a-z 0-9 _ -",
		       "a key of %d characters with %02x", keys[i].len,
		       (unsigned char)keys[i].bad);
	}
	msg.key = KEY;
	msg.size = WIRE_MESSAGE_MAX;
	append = append_begin(idle, "Box", &msg, &fault);
	ok(append != NULL, "a message as large as it may be");
	append_end(&append);
	msg.size++;
	is_str(append_msg(session, &msg), "not begun: LIMIT a message of "
	       "2147483648 bytes is larger than 2147483647 bytes",
	       "and a byte more");
	for (i = 0; i < WIRE_LINE_MAX; i++)
		buf_append_c(&flags, 'x');
	msg.size = 0;
	msg.flags = flags.p;
	is_str(append_msg(session, &msg), "LIMIT @/backend: the request would "
	       "be longer than 65535 bytes", "a line beyond the limit");
	ok(kit_dir_empty(session_tmp(session)), "leaves no file behind");
	is_num(kit_copies(), 1, "and was not sent");
	session_deinit(&idle);
	buf_free(&flags);
	(void)close(fd);
	session_deinit(&session);
}

/* One message of a file with several. */
static void test_part(void)
{
	struct session *session = kit_session(CAPS("") "APPEND*) " WORDS
		"	cat \"$path\" >stored; say '* MSG a' OK ;;",
		KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "0123456789", 10);
	struct append_message msg = message_of(fd, 4);

	msg.offset = 6;
	is_str(append_msg(session, &msg), "stored as a", "the end of a file");
	is_str(content("stored"), "6789", "is all that the store gets");
	msg.offset = 7;
	is_str(append_msg(session, &msg), "INTERNAL the file of a message to be "
	       "stored does not have the 4 bytes of the message",
	       "what goes beyond its end is not a message");
	session_deinit(&session);
	(void)close(fd);
}

static void test_bad_file(void)
{
	struct session *session = kit_session(CAPS("")
		"APPEND*) cat \"${line#APPEND Box }\"; say '* MSG a' OK ;;",
		KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "0123456789", 10);
	struct append_message msg = message_of(fd, 11);

	is_str(append_msg(session, &msg), "INTERNAL the file of a message to be "
	       "stored does not have the 11 bytes of the message",
	       "a file that is shorter than its message");
	msg.fd = -1;
	is_str(append_msg(session, &msg), "INTERNAL the file of a message to be "
	       "stored does not have the 11 bytes of the message",
	       "and none at all");
	is_num(kit_requests("APPEND"), 0, "are not sent");
	(void)close(fd);
	session_deinit(&session);
}

/* --- files ------------------------------------------------------------------- */

#define STORE_FILE CAPS("") "APPEND*) " WORDS \
	"	stat -c '%i %h %a' \"$path\" >stat; echo \"$path\" >path\n" \
	"	cat \"$path\" >stored\n"

static void test_file(enum kind kind, bool give, bool given, const char *what)
{
	struct session *session = kit_session(STORE_FILE
		"	say '* MSG a' OK ;;", KIT_TIMEOUT_MSECS);
	int fd = message_file(kind, "0123456789", 10);
	struct append_message msg = message_of(fd, 10);
	unsigned long inode = 0, links = 0;
	unsigned int mode = 0;
	struct stat st;

	msg.give_away = give;
	is_str(append_msg(session, &msg), "stored as a", "%s", what);
	is_str(content("stored"), "0123456789", "%s: its bytes", what);
	(void)sscanf(content("stat"), "%lu %lu %o", &inode, &links, &mode);
	(void)fstat(fd, &st);
	is_num(inode == (unsigned long)st.st_ino, given, "%s: %s", what,
	       given ? "is given away" : "stays ours, the store gets a copy");
	is_num(links, given && kind == NAMED ? 2 : 1, "%s: its names", what);
	is_num(mode, 0600, "%s: which is for nobody else", what);
	ok(kit_dir_empty(session_tmp(session)), "%s: what is left is removed",
	   what);
	is_num(access(kit_path("named"), F_OK), kind == NAMED ? 0 : -1,
	       "%s: nothing else is", what);
	session_deinit(&session);
	(void)close(fd);
	clean();
}

static void test_file_is_longer(void)
{
	struct session *session = kit_session(STORE_FILE
		"	say '* MSG a' OK ;;", KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "0123456789", 10);
	struct append_message msg = message_of(fd, 4);

	(void)append_msg(session, &msg);
	is_str(content("stored"), "0123", "a file that is longer than its "
	       "message: the store gets the message alone");
	(void)close(fd);
	session_deinit(&session);
	clean();
}

static void test_file_after(void)
{
	struct session *session = kit_session(STORE_FILE
		"	case $line in\n"
		"	*no*) say 'NO LIMIT x' ;;\n"
		"	*taken*) mv \"$path\" kept; say '* MSG a' OK ;;\n"
		"	*link*) ln -f kept \"$path\"; say '* MSG a' OK ;; esac ;;",
		KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "0123456789", 10);
	struct append_message msg = message_of(fd, 10);
	char first[4096];

	msg.flags = "no";
	(void)append_msg(session, &msg);
	ok(kit_dir_empty(session_tmp(session)), "a file that was refused is "
	   "removed");
	(void)snprintf(first, sizeof(first), "%s", content("path"));
	msg.flags = "taken";
	is_str(append_msg(session, &msg), "stored as a", "a file that the store "
	       "has moved away");
	is_str(content("kept"), "0123456789", "stays there");
	ok(strcmp(first, content("path")) != 0, "each has another name");
	msg.flags = "link";
	(void)append_msg(session, &msg);
	is_str(content("kept"), "0123456789", "a link that it has put there "
	       "is removed, not followed");
	ok(kit_dir_empty(session_tmp(session)), "and all is clean");
	(void)close(fd);
	(void)unlink(kit_path("kept"));
	session_deinit(&session);
	clean();
}

static void test_tmp_is_link(void)
{
	struct session *session = kit_session(
		"'CAPS 1 '*) mkdir store; rmdir \"$BRIDGE_TMP\"\n"
		"	ln -s \"$PWD/store\" \"$BRIDGE_TMP\"; say '* CAPS 1 APPEND' OK ;;\n"
		"APPEND*) say '* MSG a' OK ;;", KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "0123456789", 10);
	struct append_message msg = message_of(fd, 10);

	ok(kit_begins(append_msg(session, &msg), "UNAVAILABLE cannot copy"),
	   "what stands in the place of BRIDGE_TMP and leads elsewhere gets no "
	   "message");
	ok(kit_dir_empty(kit_path("store")), "nothing is made there");
	(void)unlink(session_tmp(session));
	session_deinit(&session);
	(void)rmdir(kit_path("store"));
	(void)close(fd);
	clean();
}

static void test_no_room(void)
{
	struct session *session = kit_session(STORE_FILE
		"	say '* MSG a' OK ;;", KIT_TIMEOUT_MSECS);
	struct rlimit limit, small;
	int fd = message_file(NAMED, "0123456789", 10);
	struct append_message msg = message_of(fd, 10);
	struct fault fault;

	msg.give_away = false;
	(void)session_caps(session, &fault);
	(void)getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 5;
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &small);
	(void)append_msg(session, &msg);
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	ok(kit_begins(buf_str(&shown), "UNAVAILABLE cannot copy the message to "),
	   "a message for which there is no room");
	ok(kit_dir_empty(session_tmp(session)), "is not there in half");
	is_num(kit_requests("APPEND"), 0, "and not sent");
	is_str(append_msg(session, &msg), "stored as a", "the next one is");
	(void)close(fd);
	session_deinit(&session);
	clean();
}

static void test_no_tmp(void)
{
	struct session *session = kit_session(CAPS("")
		"STORE*) rm -rf \"$BRIDGE_TMP\"; say OK ;;", KIT_TIMEOUT_MSECS);
	struct write_item item = { .id = view_of("a") };
	struct fault fault;

	(void)write_flags(session, "Box", "+x", &item, 1, &fault);
	ok(kit_begins(append_of(session, NAMELESS), "UNAVAILABLE cannot copy the "
		   "message to ") &&
	   strstr(buf_str(&shown), ": No such file or directory") != NULL,
	   "a BRIDGE_TMP that is not there");
	is_num(kit_requests("APPEND"), 0, "and so nothing is sent");
	is_num(kit_copies(), 1, "but the copy lives on");
	session_deinit(&session);
}

/* --- death ------------------------------------------------------------------- */

/* A copy dies with an APPEND, at each stage of it; in a file, in octets. */
static const struct {
	const char *what, *inlined, *arm;
} deaths[] = {
	{ "when it has the line", "", WORDS "cat \"$path\" >got$copy" },
	{ "in the reply", "", WORDS "cat \"$path\" >got$copy; say '* MSG dead'" },
	{ "when it has taken the file", "",
	  WORDS "cat \"$path\" >got$copy; mv \"$path\" taken" },
	{ "when it has removed the file", "",
	  WORDS "cat \"$path\" >got$copy; rm \"$path\"" },
	{ "before the octets", "inline", "echo >got1" },
	{ "within the octets", "inline", "head -c 5 >got1" },
	{ "after the octets", "inline", TAKE },
	{ "in the reply to octets", "inline", TAKE "say '* MSG dead'" },
};

static void test_death(size_t i, const char *key)
{
	struct session *session;
	char arms[1024];

	(void)snprintf(arms, sizeof(arms), "'CAPS 1 '*)\n"
		"	say '* CAPS 1 APPEND %s %s' OK ;;\n"
		"APPEND*) [ $copy -gt 1 ] || { %s\n"
		"	exit 3; }\n" WORDS
		"	if [ \"$path\" = - ]; then head -c $size; else\n"
		"	cat \"$path\"; fi >got2; say '* MSG a' OK ;;",
		deaths[i].inlined, key, deaths[i].arm);
	session = kit_session(arms, KIT_TIMEOUT_MSECS);
	(void)append_of(session, NAMELESS);
	if (*key != '\0') {
		is_str(buf_str(&shown), "stored as a", "death %s: with key it "
		       "is sent to a fresh copy", deaths[i].what);
		is_str(content("got2"), "0123456789", "with the same bytes");
		is_num(kit_requests("APPEND"), 2, "once");
		is_num(system("cd \"$STAGE\" && [ $(sed -n 's/.*key=//p' "
			      "requests | sort -u | wc -l) = 1 ]"), 0,
		       "and with the same key");
		ok(kit_dir_empty(session_tmp(session)), "BRIDGE_TMP is clean");
	} else {
		ok(strstr(buf_str(&shown), "exited with status 3") != NULL &&
		   kit_begins(buf_str(&shown), "UNCERTAIN "),
		   "death %s: without key it is in doubt", deaths[i].what);
		is_num(kit_requests("APPEND"), 1, "and never repeated");
		is_num(kit_copies(), 1, "by nobody");
	}
	session_deinit(&session);
	(void)unlink(kit_path("taken"));
	clean();
}

static void test_deaths(void)
{
	size_t i;

	(void)setenv("STAGE", kit_stage, 1);
	for (i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		test_death(i, "");
		test_death(i, "key");
	}
}

static void test_death_twice(void)
{
	struct session *session = kit_session(CAPS("key")
		"APPEND*) exit 3 ;;", KIT_TIMEOUT_MSECS);

	ok(kit_begins(append_of(session, NAMELESS), "UNCERTAIN @/backend: ended "
		      "while answering "), "a second death is the last");
	is_num(kit_requests("APPEND"), 2, "two copies had it");
	session_deinit(&session);
}

/* It closes its stdin before it says that it is ready. */
static void test_death_before(void)
{
	struct session *session = kit_session(
		"'CAPS 1 '*) [ $copy -gt 1 ] || exec <&-\n"
		"	say '* CAPS 1 APPEND' OK ;;\n"
		"APPEND*) say '* MSG a' OK ;;", KIT_TIMEOUT_MSECS);

	is_str(append_of(session, NAMELESS), "stored as a",
	       "a copy that could not get it has not stored it, key or not");
	is_num(kit_requests("APPEND"), 1, "so it is sent to a fresh one");
	is_num(kit_copies(), 2, "the second");
	session_deinit(&session);
}

static void test_other_copy(void)
{
	struct session *session = kit_session(
		"'CAPS 1 '*) key=key; [ $copy -eq 1 ] || key=\n"
		"	say \"* CAPS 1 APPEND $key\" OK ;;\n"
		"APPEND*) exit 3 ;;", KIT_TIMEOUT_MSECS);

	ok(kit_begins(append_of(session, NAMELESS), "UNCERTAIN @/backend: ended "
		      "while answering ") &&
	   strstr(buf_str(&shown), "exited with status 3; then: @/backend: does "
		  "not remember keys any more") != NULL,
	   "a fresh copy without key");
	is_num(kit_requests("APPEND"), 1, "does not get it");
	session_deinit(&session);
	session = kit_session(
		"'CAPS 1 '*) features=key; [ $copy -eq 1 ] || features='key inline'\n"
		"	say \"* CAPS 1 APPEND $features\" OK ;;\n"
		"APPEND*) [ $copy -gt 1 ] || exit 3\n"
		"	" TAKE " say '* MSG a' OK ;;", KIT_TIMEOUT_MSECS);
	is_str(append_of(session, NAMELESS), "stored as a",
	       "a fresh copy that wants octets");
	is_str(content("got2"), "0123456789", "gets them");
	session_deinit(&session);
	clean();
}

static void test_grammar_with_key(void)
{
	struct session *session = kit_session(CAPS("key")
		"APPEND*) say OK ;;", KIT_TIMEOUT_MSECS);

	ok(kit_begins(append_of(session, NAMELESS), "UNCERTAIN "),
	   "a wrong answer leaves it in doubt, key or not");
	is_num(kit_requests("APPEND"), 1, "and it is not repeated");
	session_deinit(&session);
}

static void test_deinit(void)
{
	struct session *session = kit_session(CAPS("key")
		"APPEND*) sleep 60 ;;\n"
		"STORE*) say OK ;;", KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "x", 1);
	struct append_message msg = message_of(fd, 1);
	struct append *sent, *waiting;
	struct appended appended;
	struct fault fault;

	(void)session_caps(session, &fault);
	sent = append_begin(session, "Box", &msg, &fault);
	session_pump(session);
	waiting = append_begin(session, "Box", &msg, &fault);
	session_deinit(&session);
	is_num(append_wait(sent, &appended, &fault), -1, "a session that ends");
	is_num(fault.code, FAULT_UNCERTAIN, "leaves what was sent in doubt");
	is_str(fault.user, fault_code_text(FAULT_UNCERTAIN), "and says so");
	is_num(append_wait(waiting, &appended, &fault), -1, "what was not");
	is_num(fault.code, FAULT_UNAVAILABLE, "is not");
	append_end(&sent);
	append_end(&waiting);
	(void)close(fd);
}

/* --- octets ------------------------------------------------------------------ */

/* The most memory that this program has had. (getrusage() also counts that of
 * the one which has started it.) */
static long peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long peak = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "VmHWM: %ld", &peak);
	if (f != NULL)
		(void)fclose(f);
	return peak;
}

static void test_big(void)
{
	struct session *session = kit_session(CAPS("inline")
		"APPEND*) " WORDS "say \"* MSG $(head -c $size | wc -lc |\n"
		"	tr -s ' ' _)\" OK ;;\n"
		"STORE*) say OK ;;", KIT_TIMEOUT_MSECS);
	struct write_item item = { .id = view_of("a") };
	struct fault fault;
	long before;

	(void)session_caps(session, &fault);
	before = peak_kib();
	(void)append_big(session);
	ok(strstr(buf_str(&shown), "20000000_20000000") != NULL,
	   "20 MB of octets");
	ok(before > 0 && peak_kib() - before < PEAK_MAX_KIB,
	   "do not pass through memory at once");
	is_num(write_flags(session, "Box", "+x", &item, 1, &fault), 0,
	       "the next line comes after them");
	is_num(kit_requests("STORE Box +x a\n"), 1, "whole");
	is_num(kit_copies(), 1, "to the same copy");
	session_deinit(&session);
}

#define OCTETS_LINE "\"APPEND Box - size=20000000 flags=\\Seen,x " \
	"date=1700000000\""

static void test_early_no(void)
{
	struct session *session = kit_session(CAPS("inline")
		"APPEND*) " WORDS "say 'NO OVERQUOTA full'; head -c $size >/dev/null\n"
		"	;;\n"
		"STORE*) say '* MSG a flags=x' OK ;;", KIT_TIMEOUT_MSECS);
	struct write_item item = { .id = view_of("a") };
	struct fault fault;

	is_str(append_big(session), "OVERQUOTA @/backend answered " OCTETS_LINE
	       " with NO: OVERQUOTA full", "NO that comes before all octets");
	is_num(write_flags(session, "Box", "+x", &item, 1, &fault), 0,
	       "they are sent nevertheless, and the next request is understood");
	is_num(kit_copies(), 1, "by the same copy");
	is_str(kit_log_text(), "", "nothing went wrong");
	write_items_free(&item, 1);
	session_deinit(&session);
}

static void test_early_no_death(void)
{
	struct session *session = kit_session(CAPS("inline key")
		"APPEND*) say 'NO OVERQUOTA full'; exit 4 ;;",
		KIT_TIMEOUT_MSECS);

	ok(kit_begins(append_big(session), "OVERQUOTA "),
	   "NO is definite, also from a copy that does not read all octets");
	is_num(kit_requests("APPEND"), 1, "nothing is repeated");
	ok(strstr(kit_log_text(), "warning @/backend: ended while answering ")
	   != NULL && strstr(kit_log_text(), "status 4") != NULL,
	   "its death is logged");
	session_deinit(&session);
	session = kit_session(CAPS("inline key")
		"APPEND*) say 'NO OVERQUOTA full'; sleep 60 ;;", SHORT_MSECS);
	ok(kit_begins(append_big(session), "OVERQUOTA "),
	   "nor one that reads nothing more");
	ok(strstr(kit_log_text(), "warning @/backend: wrote nothing for 2.000 s,"
		  " nor read more than ") != NULL, "which has a deadline");
	session_deinit(&session);
}

static void test_early_ok(void)
{
	struct session *session = kit_session(CAPS("inline")
		"APPEND*) " WORDS "say '* MSG a' OK; head -c $size >/dev/null\n"
		"	;;\n"
		"STORE*) say OK ;;", KIT_TIMEOUT_MSECS);
	struct write_item item = { .id = view_of("a") };
	struct fault fault;

	is_str(append_big(session), "stored as a", "OK before all octets");
	is_num(write_flags(session, "Box", "+x", &item, 1, &fault), 0,
	       "they are sent nevertheless");
	is_num(kit_copies(), 1, "to the same copy");
	session_deinit(&session);
	session = kit_session(CAPS("inline")
		"APPEND*) say '* MSG a' OK; exit 4 ;;", KIT_TIMEOUT_MSECS);
	ok(kit_begins(append_big(session), "UNCERTAIN "),
	   "OK from a copy that never had all octets is not believed");
	session_deinit(&session);
	session = kit_session(CAPS("inline key")
		"APPEND*) say '* MSG dead' OK; [ $copy -gt 1 ] || exit 4\n"
		"	" TAKE " ;;", KIT_TIMEOUT_MSECS);
	is_str(append_big(session), "stored as dead",
	       "with key a fresh one gets them all");
	is_num(kit_requests("APPEND"), 2, "which makes two");
	session_deinit(&session);
	clean();
}

static void test_early_more(void)
{
	struct session *session = kit_session(CAPS("inline")
		"APPEND*) say '* MSG a' OK 'OK full'; cat >/dev/null ;;",
		KIT_TIMEOUT_MSECS);

	is_str(append_big(session), "UNCERTAIN @/backend: wrote a line after its "
	       "answer: \"OK full\" while answering " OCTETS_LINE,
	       "more than an answer");
	session_deinit(&session);
}

static void test_deadlines(void)
{
	struct session *session = kit_session(CAPS("inline key")
		"*size=20000000*) sleep 60 ;;\n"
		"APPEND*) " TAKE " sleep 60 ;;", SHORT_MSECS);
	uint64_t began = clock_msecs();

	ok(kit_begins(append_big(session), "UNCERTAIN @/backend: wrote nothing "
		      "for 2.000 s, nor read more than "),
	   "a backend that reads nothing has a deadline");
	ok(strstr(buf_str(&shown), " of 20000000 octets, while answering "
		  "\"APPEND Box - size=20000000") != NULL,
	   "that tells how much it has read");
	ok(clock_msecs() - began < KIT_TIMEOUT_MSECS, "in time");
	is_num(kit_requests("APPEND"), 1, "after which nothing is repeated");
	is_str(append_of(session, NAMELESS), "UNCERTAIN @/backend: wrote nothing "
	       "for 2.000 s while answering \"APPEND Box - size=10 "
	       "flags=\\Seen,x date=1700000000 key=" KEY "\"",
	       "as has one that reads all and says nothing");
	session_deinit(&session);
	clean();
}

static void test_slow_reader(void)
{
	/* 8 pieces, 8 * 0.2 s: more than the deadline in all */
	struct session *session = kit_session(CAPS("inline")
		"APPEND*) for i in 1 2 3 4 5 6 7 8; do sleep 0.2\n"
		"	head -c 2500000 >/dev/null; done; say '* MSG a' OK ;;",
		1000);

	is_str(append_big(session), "stored as a",
	       "a backend that reads slowly is alive");
	session_deinit(&session);
}

/* It writes while it reads, more than a pipe holds. */
static void test_both_ways(void)
{
	struct session *session = kit_session(CAPS("inline")
		"APPEND*) yes '* WAIT 1' | head -n 2000000; " WORDS
		"	head -c $size >/dev/null; say '* MSG a' OK ;;",
		KIT_TIMEOUT_MSECS);
	struct fault fault;
	long before;

	(void)session_caps(session, &fault);
	before = peak_kib();
	is_str(append_big(session), "stored as a",
	       "a backend that talks before it reads");
	ok(before > 0 && peak_kib() - before < PEAK_MAX_KIB,
	   "octets wait in their file");
	session_deinit(&session);
}

static void test_truncated(void)
{
	struct session *session = kit_session(CAPS("inline key")
		"APPEND*) " WORDS "head -c $size >/dev/null; say '* MSG a' OK ;;",
		KIT_TIMEOUT_MSECS);
	int fd = big_file();
	struct append_message msg = message_of(fd, BIG);
	struct append *append;
	struct fault fault;

	(void)session_caps(session, &fault);
	append = append_begin(session, "Box", &msg, &fault);
	session_pump(session);
	(void)!ftruncate(fd, 10);
	ok(kit_begins(outcome(append, NULL), "UNCERTAIN @/backend: cannot be "
		      "sent more than "),
	   "a file that gets shorter while it is sent");
	ok(strstr(buf_str(&shown), ": its file has become shorter; then: the "
		  "file of a message to be stored does not have the 20000000 "
		  "bytes of the message") != NULL, "is not sent again");
	is_num(kit_copies(), 2, "ends the copy that waits for the rest");
	(void)close(fd);
	session_deinit(&session);
}

/* --- several at once --------------------------------------------------------- */

static void test_pipeline(const char *features)
{
	char arms[512];
	struct session *session;
	struct append *appends[3];
	int i, fd = big_file(), small = message_file(NAMELESS, "abc", 3);
	struct append_message msg = message_of(fd, BIG);
	struct fault fault;

	(void)snprintf(arms, sizeof(arms), "'CAPS 1 '*)\n"
		"	say '* CAPS 1 APPEND %s' OK ;;\n"
		"APPEND*) " WORDS "	if [ \"$path\" = - ]; then\n"
		"	head -c $size; else cat \"$path\"; fi >got1\n"
		"	say \"* MSG $(wc -c <got1)\" OK ;;", features);
	session = kit_session(arms, KIT_TIMEOUT_MSECS);
	(void)session_caps(session, &fault);
	appends[0] = append_begin(session, "Box", &msg, &fault);
	appends[1] = append_begin(session, "Box", &msg, &fault);
	msg.fd = small;
	msg.size = 3;
	appends[2] = append_begin(session, "Box", &msg, &fault);
	is_str(outcome(appends[2], NULL), "stored as 3",
	       "three messages (%s), the last", features);
	for (i = 0; i < 2; i++)
		is_str(outcome(appends[i], NULL), "stored as 20000000",
		       "another one");
	ok(kit_dir_empty(session_tmp(session)), "BRIDGE_TMP is clean");
	is_num(kit_copies(), 1, "all by one copy");
	(void)close(fd);
	(void)close(small);
	session_deinit(&session);
	clean();
}

static void test_end(void)
{
	struct appended appended;
	struct session *session = kit_session(CAPS("")
		"APPEND*) sleep 0.1; echo >stored; say '* MSG a' OK ;;",
		KIT_TIMEOUT_MSECS);
	int fd = message_file(NAMELESS, "x", 1);
	struct append_message msg = message_of(fd, 1);
	struct append *append;
	struct fault fault;

	append = append_begin(session, "Box", &msg, &fault);
	append_end(&append);
	is_num(kit_copies(), 0, "what was not sent is taken back");
	(void)session_caps(session, &fault);
	append = append_begin(session, "Box", &msg, &fault);
	session_pump(session);
	append_end(&append);
	is_num(access(kit_path("stored"), F_OK), 0,
	       "what was sent is waited for");
	ok(append == NULL, "and is no more");
	append_end(&append);
	append = append_begin(session, "Box", &msg, &fault);
	(void)append_wait(append, &appended, &fault);
	ok(kit_dir_empty(session_tmp(session)),
	   "the file is removed with the answer, not later");
	appended_free(&appended);
	append_end(&append);
	(void)close(fd);
	session_deinit(&session);
	clean();
}

static void test_verb_missing(void)
{
	struct session *session = kit_session("APPEND*) say OK ;;",
					      KIT_TIMEOUT_MSECS);

	is_str(append_of(session, NAMELESS), "UNSUPPORTED @/backend: does not "
	       "have the verb APPEND", "a verb that was not announced");
	is_num(kit_requests("APPEND"), 0, "is not sent");
	ok(kit_dir_empty(session_tmp(session)), "and no file is made");
	session_deinit(&session);
}

int main(void)
{
	kit_init();
	test_rows();
	test_long_id();
	test_lines();
	test_limits();
	test_part();
	test_bad_file();
	test_file(NAMED, true, true, "a file with a name");
	test_file(NAMELESS, true, have_nameless(), "a file without a name");
	test_file(UNLINKED, true, false, "a file that has lost its name");
	test_file(NAMED, false, false, "a file not to be given away");
	test_file_is_longer();
	test_file_after();
	test_tmp_is_link();
	test_no_room();
	test_no_tmp();
	test_deaths();
	test_death_twice();
	test_death_before();
	test_other_copy();
	test_grammar_with_key();
	test_deinit();
	test_both_ways();	/* these two first: they look at the peak */
	test_big();
	test_early_no();
	test_early_no_death();
	test_early_ok();
	test_early_more();
	test_deadlines();
	test_slow_reader();
	test_truncated();
	test_pipeline("");
	test_pipeline("pipeline=3");
	test_pipeline("inline");
	test_pipeline("inline pipeline=3");
	test_end();
	test_verb_missing();
	buf_free(&shown);
	return kit_done();
}
