/* core/verbs/fetch: one message, whole or not at all. */
#include "session-kit.h"
#include "fetch.h"

static struct buf shown;

static void show_bytes(const struct fetched *fetched)
{
	int fd = open(kit_path("copied"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char bytes[64];
	ssize_t size;

	if (fetched_copy(fetched, fd) < 0) {
		buf_printf(&shown, " %s", strerror(errno));
	} else if (fetched->size <= sizeof(bytes)) {
		size = pread(fd, bytes, sizeof(bytes), 0);
		buf_printf(&shown, " %.*s", size < 0 ? 0 : (int)size, bytes);
	}
	(void)close(fd);
}

/* What FETCH gives: "memory 3 abc", "file 3 at 0 abc", "gone", or the fault. */
static const char *fetch_of(struct session *session, const char *id,
			    uint64_t expected)
{
	struct fetched fetched;
	struct fault fault;
	struct fetch_ask ask = { .id = view_of(id), .expected = expected };
	int ret = fetch_message(session, "Box", FETCH_FULL, &ask, &fetched, &fault);

	buf_clear(&shown);
	if (ret < 0) {
		buf_printf(&shown, "%s%s %s",
			   fetched.status != FETCH_FAILED ? "BUG " : "",
			   fault_code_name(fault.code), kit_short(fault.log));
		if (fetched.size_differs)
			buf_printf(&shown, " (%llu)",
				   (unsigned long long)fetched.size);
	} else if (fetched.status == FETCH_GONE) {
		buf_append_str(&shown, "gone");
	} else if (fetched.status == FETCH_MEMORY) {
		buf_printf(&shown, "memory %llu",
			   (unsigned long long)fetched.size);
		show_bytes(&fetched);
	} else {
		buf_printf(&shown, "file %llu at %llu",
			   (unsigned long long)fetched.size,
			   (unsigned long long)fetched.offset);
		show_bytes(&fetched);
	}
	fetched_free(&fetched);
	fetched_free(&fetched);
	return buf_str(&shown);
}

#define WHILE(text) "@/backend: " text " while answering \"FETCH Box full a b\""
#define FILE_OF(line, why) "@/backend: \"" line "\" while answering \"FETCH Box " \
	"full a b\": " why

/* The file "mail" in the backend's home holds 0123456789. $H is that folder. */
static const struct {
	const char *arm;
	uint64_t expected;
	const char *want;
} rows[] = {
	/* octets */
	{ "say '* DATA a%20b 4' abc OK", WIRE_SIZE_UNKNOWN, "memory 4 abc\n" },
	{ "say '* DATA a%20b 4' abc OK", 4, "memory 4 abc\n" },
	{ "say '* DATA a%20b 0' OK", WIRE_SIZE_UNKNOWN, "memory 0 " },
	{ "say '* DATA %61%20%62 3 new=1'; printf abcOK; say", 3,
	  "memory 3 abc" },
	{ "say '* DATA a%20b 4' abc OK", 5, "INTERNAL " FILE_OF(
	  "* DATA a%20b 4", "the length is not the size known before") " (4)" },
	{ "say '* DATA a%20b 0' OK", 5, "INTERNAL " FILE_OF(
	  "* DATA a%20b 0", "the length is not the size known before") " (0)" },
	{ "say '* DATA a%20b 2' abc OK", WIRE_SIZE_UNKNOWN, "UNAVAILABLE "
	  WHILE("wrote \"c\" to stdout, which is neither \"* \", \"OK\" nor "
		"\"NO \"; messages belong on stderr") },
	/* items */
	{ "say '* GONE a%20b' OK", 5, "gone" },
	{ "say OK", 5, "INTERNAL " FILE_OF(
	  "OK", "the answer does not name the message") },
	{ "say '* FAIL a%20b BUSY come later' OK", 5, "BUSY @/backend answered "
	  "\"FETCH Box full a%20b\" with FAIL: BUSY come later" },
	{ "say '* FAIL a%20b' OK", 5, "INTERNAL @/backend answered \"FETCH Box "
	  "full a%20b\" with FAIL: INTERNAL " },
	{ "say '* GONE a%20b' 'NO BUSY x'", 5, "BUSY @/backend answered "
	  "\"FETCH Box full a%20b\" with NO: BUSY x" },
	{ "say '* GONE other' OK", 5, "INTERNAL " WHILE(
	  "wrote an id that was not asked for: \"* GONE other\"") },
	{ "say '* GONE' OK", 5, "INTERNAL " WHILE(
	  "wrote an id that was not asked for: \"* GONE\"") },
	{ "say '* GONE a%2' OK", 5, "INTERNAL " WHILE(
	  "wrote an id that was not asked for: \"* GONE a%2\"") },
	{ "say '* GONE a%20b' '* GONE a%20b' OK", 5, "INTERNAL " WHILE(
	  "wrote a second item for an id: \"* GONE a%20b\"") },
	{ "say '* DATA a%20b 1 part=header'; printf x; say OK", 1, "INTERNAL "
	  WHILE("wrote part=header, but the whole message was asked for: "
		"\"* DATA a%20b 1 part=header\"") },
	/* files */
	{ "say \"* FILE a%20b $H/mail\" OK", WIRE_SIZE_UNKNOWN,
	  "file 10 at 0 0123456789" },
	{ "say \"* FILE a%20b $H/mail offset=2 length=3\" OK", 3,
	  "file 3 at 2 234" },
	{ "say \"* FILE a%20b $H/mail offset=4\" OK", 6, "file 6 at 4 456789" },
	{ "say \"* FILE a%20b $H/mail offset=10\" OK", 0, "file 0 at 10 " },
	{ "say \"* FILE a%20b $H/mail length=0\" OK", WIRE_SIZE_UNKNOWN,
	  "file 0 at 0 " },
	{ "say \"* FILE a%20b $H/%6Dail\" OK", 10, "file 10 at 0 0123456789" },
	{ "say \"* FILE a%20b $H/mail\" OK", 9, "INTERNAL " FILE_OF(
	  "* FILE a%20b @/mail", "the length is not the size known before")
	  " (10)" },
	{ "say \"* FILE a%20b $H/mail offset=11\" OK", WIRE_SIZE_UNKNOWN,
	  "INTERNAL " FILE_OF("* FILE a%20b @/mail offset=11",
	  "the offset is beyond the end of the file") },
	{ "say \"* FILE a%20b $H/mail offset=9 length=2\" OK",
	  WIRE_SIZE_UNKNOWN, "INTERNAL " FILE_OF(
	  "* FILE a%20b @/mail offset=9 length=2",
	  "the slice goes beyond the end of the file") },
	{ "say \"* FILE a%20b $H/mail offset=-1\" OK", WIRE_SIZE_UNKNOWN,
	  "INTERNAL " WHILE("wrote a number out of range: "
	  "\"* FILE a%20b @/mail offset=-1\"") },
	{ "say \"* FILE a%20b $H/mail length=\" OK", WIRE_SIZE_UNKNOWN,
	  "INTERNAL " WHILE("wrote a number out of range: "
	  "\"* FILE a%20b @/mail length=\"") },
	{ "say \"* FILE a%20b $H/mail offset=18446744073709551615\" OK",
	  WIRE_SIZE_UNKNOWN, "INTERNAL " WHILE("wrote a number out of range: "
	  "\"* FILE a%20b @/mail offset=18446744073709551615\"") },
	{ "say \"* FILE a%20b $H/mail offset=9223372036854775807 length=9\" OK",
	  WIRE_SIZE_UNKNOWN, "INTERNAL " FILE_OF(
	  "* FILE a%20b @/mail offset=9223372036854775807 length=9",
	  "the offset is beyond the end of the file") },
	{ "say '* FILE a%20b' OK", 5, "INTERNAL " WHILE(
	  "wrote a FILE without a proper path: \"* FILE a%20b\"") },
	{ "say '* FILE a%20b /x%zz' OK", 5, "INTERNAL " WHILE(
	  "wrote a FILE without a proper path: \"* FILE a%20b /x%zz\"") },
	{ "say '* FILE a%20b mail' OK", 5, "INTERNAL " WHILE(
	  "wrote a path that is not absolute: \"* FILE a%20b mail\"") },
	{ "say '* FILE a%20b /etc/passwd%00' OK", 5, "INTERNAL " WHILE(
	  "wrote a path that is not absolute: \"* FILE a%20b "
	  "/etc/passwd%00\"") },
	{ "say \"* FILE a%20b $H\" OK", 5, "INTERNAL " FILE_OF(
	  "* FILE a%20b @", "not a regular file") },
	{ "mkfifo f; say \"* FILE a%20b $H/f\" OK", 5, "INTERNAL " FILE_OF(
	  "* FILE a%20b @/f", "not a regular file") },
	{ "ln -s mail l; say \"* FILE a%20b $H/l\" OK", 10, "INTERNAL " FILE_OF(
	  "* FILE a%20b @/l", "not a regular file") },
	{ "say '* FILE a%20b /dev/zero' OK", 5, "INTERNAL " FILE_OF(
	  "* FILE a%20b /dev/zero", "not a regular file") },
	{ "say '* FILE a%20b /proc/self/status' OK", 5, "INTERNAL " FILE_OF(
	  "* FILE a%20b /proc/self/status", "not a regular file") },
	{ "say '* FILE a%20b /proc/self/fd/0' OK", 5, "INTERNAL " FILE_OF(
	  "* FILE a%20b /proc/self/fd/0", "not a regular file") },
	{ "say '* FILE a%20b /nonexistent' OK", 5, "UNAVAILABLE " FILE_OF(
	  "* FILE a%20b /nonexistent", "No such file or directory") },
};

/* The id is "a b": in texts, both of its spellings become one. */
static const char *simple(const char *text)
{
	static struct buf out;
	const char *p;

	buf_clear(&out);
	while ((p = strstr(text, "full a%20b\"")) != NULL) {
		buf_append(&out, text, (size_t)(p - text));
		buf_append_str(&out, "full a b\"");
		text = p + strlen("full a%20b\"");
	}
	buf_append_str(&out, text);
	return buf_str(&out);
}

static void test_rows(void)
{
	struct session *session;
	struct buf want = { NULL, 0, 0 };
	char arms[512];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(arms, sizeof(arms), "FETCH*) H=$PWD; rm -f f l\n"
			"	%s ;;", rows[i].arm);
		session = kit_session(arms, KIT_TIMEOUT_MSECS);
		buf_clear(&want);
		buf_append_str(&want, simple(rows[i].want));
		is_str(simple(fetch_of(session, "a%20b", rows[i].expected)),
		       buf_str(&want), "%s", rows[i].arm);
		is_str(kit_log_text(), "", "and nothing is logged here");
		session_deinit(&session);
	}
	buf_free(&want);
}

static void test_request(void)
{
	struct session *session = kit_session("FETCH*) say '* GONE a%20b' OK ;;",
					      KIT_TIMEOUT_MSECS);

	(void)fetch_of(session, "a%20b", 5);
	is_num(kit_requests("FETCH Box full a%20b\n"), 1,
	       "the id is sent as it was spelt");
	session_deinit(&session);
}

/* --- death and change -------------------------------------------------------- */

static void test_death(void)
{
	struct session *session = kit_session(
		"'FETCH Box full a') say '* DATA a 8'; printf 'half'\n"
		"	[ $copy -gt 1 ] || exit 1\n"
		"	say ful OK ;;\n"
		"'FETCH Box full b') say '* DATA b 8'; printf 'half'; exit 1 ;;\n"
		"'FETCH Box full c') say '* DATA c 8'; printf 'half'; sleep 60 ;;",
		500);

	is_str(fetch_of(session, "a", 8), "memory 8 halfful\n",
	       "a message that broke off comes whole from a fresh copy");
	is_str(fetch_of(session, "b", 8), "UNAVAILABLE @/backend: ended while "
	       "answering \"FETCH Box full b\": exited with status 1",
	       "and never in half");
	is_str(fetch_of(session, "c", 8), "UNAVAILABLE @/backend: wrote nothing "
	       "for 0.500 s while answering \"FETCH Box full c\"",
	       "also when its rest does not come");
	session_deinit(&session);
}

static void test_renamed(void)
{
	struct session *session = kit_session(
		"FETCH*) [ -e asked ] && new=2; echo >asked\n"
		"	say \"* FILE a $PWD/mail$new\" OK ;;", KIT_TIMEOUT_MSECS);

	(void)rename(kit_path("mail"), kit_path("mail2"));
	is_str(fetch_of(session, "a", 10), "file 10 at 0 0123456789",
	       "a path that is not there is asked for once more");
	is_num(kit_requests("FETCH"), 2, "once");
	is_num(kit_copies(), 1, "the same copy");
	(void)rename(kit_path("mail2"), kit_path("mail"));
	(void)unlink(kit_path("asked"));
	session_deinit(&session);
}

static void test_shorter(void)
{
	struct session *session = kit_session(
		"FETCH*) say \"* FILE a $PWD/shrinks\" OK ;;", KIT_TIMEOUT_MSECS);
	struct fetch_ask ask = { .id = view_of("a"), .expected = 10 };
	struct fetched fetched;
	struct fault fault;
	int fd = open("/dev/null", O_WRONLY);

	kit_write(kit_path("shrinks"), "0123456789", 10, 0600);
	is_num(fetch_message(session, "Box", FETCH_FULL, &ask, &fetched,
			     &fault), 0, "a file that is long enough");
	(void)!truncate(kit_path("shrinks"), 5);
	ok(fetched_copy(&fetched, fd) < 0 && errno == EIO,
	   "and then is not is an error, never a short message");
	(void)close(fd);
	fetched_free(&fetched);
	session_deinit(&session);
}

/* --- BRIDGE_TMP -------------------------------------------------------------- */

static void test_tmp(void)
{
	struct session *session = kit_session(
		"*one*) printf 123 >\"$BRIDGE_TMP/f\"\n"
		"	say \"* FILE one $BRIDGE_TMP/f\" OK ;;\n"
		"*left*) say \"* BOX $(ls \"$BRIDGE_TMP\")\" OK ;;\n"
		"*up*) say \"* FILE up $BRIDGE_TMP/../../mail\" OK ;;\n"
		"*fifo*) mkfifo \"$BRIDGE_TMP/p\"\n"
		"	say \"* FILE fifo $BRIDGE_TMP/p\" OK ;;", KIT_TIMEOUT_MSECS);
	struct buf path = { NULL, 0, 0 };

	is_str(fetch_of(session, "one", 3), "file 3 at 0 123",
	       "a file below BRIDGE_TMP");
	buf_printf(&path, "%s/f", session_tmp(session));
	is_num(access(path.p, F_OK), -1, "is gone once it was named");
	is_str(fetch_of(session, "up", 10), "file 10 at 0 0123456789",
	       "a path that leads out of it");
	is_num(access(kit_path("mail"), F_OK), 0, "is not removed");
	ok(strstr(fetch_of(session, "fifo", 10), "not a regular file") != NULL,
	   "a FIFO below it is refused");
	buf_clear(&path);
	buf_printf(&path, "%s/p", session_tmp(session));
	is_num(access(path.p, F_OK), -1, "and gone too");
	buf_free(&path);
	session_deinit(&session);
}

/* What stands in the place of BRIDGE_TMP/NAME leads to the mail, which stays. */
static void test_leads_out(void)
{
	static const struct {
		const char *act, *path, *want;
	} ways[] = {
		{ "ln -s \"$PWD/store\" \"$BRIDGE_TMP/way\"", "way/a",
		  "file 10 at 0 0123456789" },
		{ "mkdir \"$BRIDGE_TMP/in\"; ln -s \"$PWD\" \"$BRIDGE_TMP/in/way\"",
		  "in/way/store/a", "file 10 at 0 0123456789" },
		{ "mkdir \"$BRIDGE_TMP/in\"", "in/../../../store/a",
		  "file 10 at 0 0123456789" },
		{ "ln -s \"$PWD/store/a\" \"$BRIDGE_TMP/a\"", "a",
		  "INTERNAL not a regular file" },
		{ "ln \"$PWD/store/a\" \"$BRIDGE_TMP/a\"", "a",
		  "file 10 at 0 0123456789" },
		{ "rmdir \"$BRIDGE_TMP\"; ln -s \"$PWD/store\" \"$BRIDGE_TMP\"",
		  "a", "file 10 at 0 0123456789" },
	};
	struct session *session;
	struct buf arms = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		(void)mkdir(kit_path("store"), 0700);
		kit_write(kit_path("store/a"), "0123456789", 10, 0600);
		buf_clear(&arms);
		buf_printf(&arms, "FETCH*) %s\n	say \"* FILE a "
			   "$BRIDGE_TMP/%s\" OK ;;", ways[i].act, ways[i].path);
		session = kit_session(arms.p, KIT_TIMEOUT_MSECS);
		if (kit_begins(ways[i].want, "file"))
			is_str(fetch_of(session, "a", 10), ways[i].want,
			       "by %s", ways[i].act);
		else
			ok(strstr(fetch_of(session, "a", 10),
				  "not a regular file") != NULL,
			   "%s is refused", ways[i].act);
		is_num(access(kit_path("store/a"), F_OK), 0, "and the mail stays");
		(void)unlink(session_tmp(session));	/* the last one's link */
		session_deinit(&session);
		is_num(access(kit_path("store/a"), F_OK), 0,
		       "also when the copy has ended");
	}
	buf_free(&arms);
	(void)unlink(kit_path("store/a"));
	(void)rmdir(kit_path("store"));
}

/* A filter gives each of its backends a folder below its own. */
static void test_below(void)
{
	struct session *session = kit_session(
		"FETCH*) mkdir -p \"$BRIDGE_TMP/1/2\"; printf 123 >\"$BRIDGE_TMP/1/2/f\"\n"
		"	say \"* FILE a $BRIDGE_TMP/1//./2/f\" OK ;;",
		KIT_TIMEOUT_MSECS);
	struct buf path = { NULL, 0, 0 };

	is_str(fetch_of(session, "a", 3), "file 3 at 0 123",
	       "a file in a folder below BRIDGE_TMP");
	buf_printf(&path, "%s/1/2/f", session_tmp(session));
	is_num(access(path.p, F_OK), -1, "is gone once it was named");
	buf_free(&path);
	session_deinit(&session);
}

/* --- size -------------------------------------------------------------------- */

static void test_large(void)
{
	struct session *session = kit_session(
		"*limit*) say '* DATA limit 131072'; head -c 131072 /dev/zero\n"
		"	say OK ;;\n"
		"*large*) say '* DATA large 3000000'; head -c 3000000 /dev/zero\n"
		"	say OK ;;\n"
		"*wrong*) say '* DATA wrong 3000000'; head -c 3000000 /dev/zero\n"
		"	say OK ;;\n"
		"*huge*) say \"* FILE huge $PWD/huge\" OK ;;", KIT_TIMEOUT_MSECS);
	int fd = open(kit_path("huge"), O_CREAT | O_WRONLY, 0600);

	is_str(fetch_of(session, "limit", 131072), "memory 131072",
	       "as much as is kept in memory");
	is_str(fetch_of(session, "large", 3000000), "file 3000000 at 0",
	       "more is spooled");
	ok(kit_dir_empty(session_tmp(session)), "to a file without a name");
	ok(strncmp(fetch_of(session, "wrong", 5), "INTERNAL ", 9) == 0,
	   "octets of a wrong length are refused");
	is_num(kit_copies(), 1, "but read, so that the copy can go on");
	(void)!ftruncate(fd, (off_t)WIRE_MESSAGE_MAX + 1);
	(void)close(fd);
	ok(strstr(fetch_of(session, "huge", WIRE_SIZE_UNKNOWN),
		  "LIMIT @/backend: \"* FILE huge @/huge\"") != NULL,
	   "a file beyond the limit of a message");
	session_deinit(&session);
}

static void test_no_room(void)
{
	struct session *session = kit_session(
		"FETCH*) say '* DATA a 2000000'; head -c 2000000 /dev/zero; say OK\n"
		"	;;", KIT_TIMEOUT_MSECS);
	struct buf gone = { NULL, 0, 0 };
	struct fault fault;

	(void)session_caps(session, &fault);
	buf_printf(&gone, "%s.gone", kit_tmp);
	(void)rename(kit_tmp, gone.p);
	ok(strstr(fetch_of(session, "a", 2000000), "cannot keep the message in "
		  "@/tmp: No such file or directory") != NULL,
	   "a message that cannot be spooled is an error");
	(void)rename(gone.p, kit_tmp);
	is_str(fetch_of(session, "a", 2000000), "file 2000000 at 0",
	       "and the next one is not");
	is_num(kit_copies(), 1, "by the same copy");
	buf_free(&gone);
	session_deinit(&session);
}

int main(void)
{
	kit_init();
	kit_write(kit_path("mail"), "0123456789", 10, 0644);
	test_rows();
	test_request();
	test_death();
	test_renamed();
	test_shorter();
	test_tmp();
	test_leads_out();
	test_below();
	test_large();
	test_no_room();
	buf_free(&shown);
	return kit_done();
}
