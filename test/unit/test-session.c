/* core/session/session, with real backends: order, deadlines, death and restart. */
#include "session-kit.h"
#include "clock.h"

#include <time.h>

#define SHORT_MSECS 1500		/* a deadline that is to strike */
#define AT_ONCE_MSECS 20000	/* what needs no deadline takes less */

/* A request that notes all that it is given. */
struct probe {
	struct session_request request;
	struct buf seen;	/* items, octets in <>, final */
	unsigned int resets;
	const char *refuse;	/* this item is wrong */
};

static int probe_item(struct session_request *request,
		      const struct wire_line *line, struct wire_error *error_r)
{
	struct probe *probe = (struct probe *)request;

	if (probe->refuse != NULL && line->count > 0 &&
	    view_is(line->fields[0], probe->refuse)) {
		(void)strcpy(error_r->text, "wrote what is refused");
		return -1;
	}
	buf_append_view(&probe->seen, line->raw);
	buf_append_c(&probe->seen, ';');
	return 0;
}

static int probe_octets(struct session_request *request, const char *data,
			size_t size, struct wire_error *error_r)
{
	struct probe *probe = (struct probe *)request;

	(void)error_r;
	buf_append_c(&probe->seen, '<');
	buf_append(&probe->seen, data, size);
	buf_append_c(&probe->seen, '>');
	return 0;
}

static int probe_final(struct session_request *request,
		       const struct wire_line *line, struct wire_error *error_r)
{
	struct probe *probe = (struct probe *)request;

	(void)error_r;
	buf_append_view(&probe->seen, line->raw);
	return 0;
}

static void probe_reset(struct session_request *request)
{
	struct probe *probe = (struct probe *)request;

	buf_clear(&probe->seen);
	probe->resets++;
}

static const struct session_handler list_handler = {
	.item = probe_item,
	.final = probe_final,
	.reset = probe_reset,
};

static const struct session_handler fetch_handler = {
	.item = probe_item,
	.octets = probe_octets,
	.final = probe_final,
	.reset = probe_reset,
};

static void probe_init(struct probe *probe, enum verb_id verb,
		       const char *line)
{
	memset(probe, 0, sizeof(*probe));
	probe->request.verb = verb;
	probe->request.handler = verb == VERB_FETCH ? &fetch_handler :
		&list_handler;
	buf_append_str(&probe->request.line, line);
}

static void probe_free(struct probe *probe)
{
	session_request_free(&probe->request);
	buf_free(&probe->seen);
}

/* One request. Returns what was seen, or the fault as "CODE log text". */
static const char *ask_as(struct session *session, enum verb_id verb,
			  const char *line)
{
	static struct buf text;
	struct probe probe;

	probe_init(&probe, verb, line);
	buf_clear(&text);
	if (session_run(session, &probe.request) == 0)
		buf_append_str(&text, buf_str(&probe.seen));
	else
		buf_printf(&text, "%s %s",
			   fault_code_name(probe.request.fault.code),
			   kit_short(probe.request.fault.log));
	probe_free(&probe);
	return buf_str(&text);
}

static const char *ask(struct session *session, const char *line)
{
	return ask_as(session, strncmp(line, "FETCH", 5) == 0 ? VERB_FETCH :
		      VERB_LIST, line);
}

/* --- right answers ----------------------------------------------------------- */

static void test_answers(void)
{
	struct session *session = kit_session(
		"LIST) say '* BOX a' '* NEWS x' '! reserved' '* BOX b' OK ;;\n"
		"'FETCH b'*) say '* DATA 1 3' 'ab' '* DATA 2 0' OK ;;\n"
		"'FETCH c'*) say 'OK done' ;;\n"
		"'LIST tmp') say \"* BOX $BRIDGE_TMP\" OK ;;\n"
		"'LIST env') say \"* BOX $BRIDGE_USER,$BRIDGE_PROTOCOL\" OK ;;",
		KIT_TIMEOUT_MSECS);
	const struct caps *caps;
	struct fault fault;
	struct buf want = { NULL, 0, 0 };

	is_num(access(kit_path("copies"), F_OK), -1,
	       "nothing is started before the first request");
	ok(session_tmp(session) == NULL, "and there is no BRIDGE_TMP");
	is_str(session_name(session), "backend", "the name has no folders");
	is_str(ask(session, "LIST"), "* BOX a;* BOX b;OK",
	       "items that belong to the verb, and the final line");
	is_num(kit_requests("CAPS 1 mode=test user=alice%20b"), 1,
	       "the handshake comes first, once");
	is_str(ask(session, "FETCH b full 1 2"),
	       "* DATA 1 3;<ab\n>* DATA 2 0;OK", "octets, also none");
	is_str(ask(session, "FETCH c full 1"), "OK done", "no item at all");
	buf_printf(&want, "* BOX %s;OK", session_tmp(session));
	is_str(ask(session, "LIST tmp"), buf_str(&want),
	       "session_tmp is the copy's BRIDGE_TMP");
	is_str(ask(session, "LIST env"), "* BOX alice b,1;OK", "environment");
	caps = session_caps(session, &fault);
	ok(caps != NULL && caps->version == 1, "the caps of the copy");
	is_num(kit_copies(), 1, "all of it by one copy");
	is_str(kit_log_text(), "", "nothing was logged");
	session_deinit(&session);
	ok(session == NULL, "deinit clears the pointer");
	session_deinit(&session);
	buf_free(&want);
}

static void test_no(void)
{
	struct session *session = kit_session(
		"'LIST a') say '* BOX x' 'NO NOTFOUND no such box' ;;\n"
		"'LIST b') say 'NO BUSY retry=7 come later' ;;\n"
		"'LIST c') say 'NO WHATEVER' ;;\n"
		"'LIST d') say 'NO BUSY retry=soon later' ;;",
		KIT_TIMEOUT_MSECS);
	struct probe probe;

	probe_init(&probe, VERB_LIST, "LIST a");
	is_num(session_run(session, &probe.request), -1, "NO fails");
	is_num(probe.request.fault.code, FAULT_NOTFOUND, "with its code");
	is_str(probe.request.fault.user, "no such box", "and its words");
	ok(probe.request.fault.from_backend, "and it was the backend");
	is_str(kit_short(probe.request.fault.log), "@/backend answered "
	       "\"LIST a\" with NO: NOTFOUND no such box", "all in the log");
	is_str(buf_str(&probe.seen), "* BOX x;", "items before it stand");
	probe_free(&probe);
	probe_init(&probe, VERB_LIST, "LIST b");
	(void)session_run(session, &probe.request);
	is_num(probe.request.fault.retry_secs, 7, "retry= is taken");
	is_str(probe.request.fault.user, "come later", "off the words");
	probe_free(&probe);
	is_str(ask(session, "LIST c"), "UNAVAILABLE @/backend answered "
	       "\"LIST c\" with NO: WHATEVER ", "an unknown code");
	probe_init(&probe, VERB_LIST, "LIST d");
	(void)session_run(session, &probe.request);
	is_str(probe.request.fault.user, "retry=soon later",
	       "retry= without a number are words");
	probe_free(&probe);
	is_num(kit_copies(), 1, "the copy goes on after NO");
	session_deinit(&session);
}

/* --- wrong answers ----------------------------------------------------------- */

#define WHILE(text) text " while answering \"LIST\""
#define STRAY(quoted) "UNAVAILABLE @/backend: wrote \"" quoted "\" to stdout, " \
	"which is neither \"* \", \"OK\" nor \"NO \"; messages belong on stderr"

static const struct {
	const char *name, *arm, *want;
} wrongs[] = {
	{ "stray output", "say hello OK", WHILE(STRAY("hello")) },
	{ "stray output between items", "say '* BOX a' hello OK",
	  WHILE(STRAY("hello")) },
	{ "octets where there are none", "say '* DATA a 3' ab OK",
	  WHILE("INTERNAL @/backend: wrote \"* DATA a 3\", which does not name "
		"a length from 0 to 2147483647") },
	{ "CR LF", "printf 'OK\\r\\n'",
	  WHILE("UNAVAILABLE @/backend: wrote a raw CR (byte 0D) in column 3 "
		"of the line \"OK?\"") },
	{ "a bare item", "say '* ' OK",
	  WHILE("UNAVAILABLE @/backend: a word is missing in column 3 of the "
		"line \"* \"") },
	{ "reserved lines without end", "yes '! x'",
	  WHILE("UNAVAILABLE @/backend: wrote too many \"! \" lines") },
	{ "items without end that are not known", "yes '* X y'",
	  WHILE("INTERNAL @/backend: wrote too many items that are not known "
		"here, the last: \"* X y\"") },
	{ "an item that is refused", "say '* BOX refused' OK",
	  WHILE("INTERNAL @/backend: wrote what is refused") },
};

static void test_wrongs(void)
{
	struct session *session;
	struct probe probe;
	char arms[512];
	size_t i;

	for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		(void)snprintf(arms, sizeof(arms),
			"LIST) [ $copy -eq 1 ] || say OK\n"
			"	[ $copy -gt 1 ] || { %s; } ;;", wrongs[i].arm);
		session = kit_session(arms, KIT_TIMEOUT_MSECS);
		probe_init(&probe, VERB_LIST, "LIST");
		probe.refuse = "refused";
		is_num(session_run(session, &probe.request), -1, "%s: fails",
		       wrongs[i].name);
		(void)snprintf(arms, sizeof(arms), "%s %s",
			       fault_code_name(probe.request.fault.code),
			       kit_short(probe.request.fault.log));
		is_str(arms, wrongs[i].want, "%s: is told", wrongs[i].name);
		probe_free(&probe);
		is_str(ask(session, "LIST"), "OK",
		       "%s: the next request works", wrongs[i].name);
		is_num(kit_copies(), 2, "%s: with a fresh copy",
		       wrongs[i].name);
		is_str(kit_log_text(), "", "%s: the caller logs it",
		       wrongs[i].name);
		session_deinit(&session);
	}
}

static void test_data_numbers(void)
{
	struct session *session = kit_session(
		"'FETCH a') say '* DATA a' OK ;;\n"
		"'FETCH b') say '* DATA a -1' OK ;;\n"
		"'FETCH c') say '* DATA a 2147483648' OK ;;",
		KIT_TIMEOUT_MSECS);

	ok(strstr(ask(session, "FETCH a"), "wrote \"* DATA a\", which") != NULL,
	   "DATA without a length");
	ok(strstr(ask(session, "FETCH b"), "wrote \"* DATA a -1\"") != NULL,
	   "DATA with a negative one");
	ok(strstr(ask(session, "FETCH c"), "\"* DATA a 2147483648\"") != NULL,
	   "DATA with one beyond the limit");
	session_deinit(&session);
}

static void test_handshake(void)
{
	struct session *session = kit_session(
		"CAPS*) [ $copy -gt 3 ] || { say '* CAPS 2' OK; continue; }\n"
		"	say '* CAPS 1 pipeline=2' OK ;;\n"
		"LIST) say OK ;;", KIT_TIMEOUT_MSECS);
	const char *want = "INTERNAL @/backend: speaks version 2 of the "
		"protocol, but was offered at most version 1 while answering "
		"\"CAPS 1 mode=test user=alice%20b\"";
	struct probe probes[2];
	struct fault fault;

	is_str(ask(session, "LIST"), want, "the handshake's fault");
	ok(session_caps(session, &fault) == NULL, "caps cannot be had");
	is_str(kit_short(fault.log), want + strlen("INTERNAL "),
	       "for the same reason");
	probe_init(&probes[0], VERB_LIST, "LIST");
	probe_init(&probes[1], VERB_LIST, "LIST");
	session_submit(session, &probes[0].request);
	session_submit(session, &probes[1].request);
	is_num(session_wait(session, &probes[0].request), -1,
	       "all that waits for it fails,");
	ok(probes[1].request.done, "also what nobody waited for");
	probe_free(&probes[0]);
	probe_free(&probes[1]);
	is_num(kit_requests("LIST"), 0, "nothing was sent before it was done");
	is_str(ask(session, "LIST"), "OK", "the next copy knows better");
	session_deinit(&session);
}

/* --- death ------------------------------------------------------------------- */

static void test_death(void)
{
	struct session *session = kit_session(
		"'LIST once') [ $copy -ne 1 ] || { say '* BOX half'; exit 3; }\n"
		"	say '* BOX whole' OK ;;\n"
		"'LIST ever') echo 'error: no disk' >&2; exit 4 ;;\n"
		"'LIST signal') kill -SEGV $$ ;;\n"
		"COPY*) exit 5 ;;\n"
		"STORE*) [ $copy -gt 7 ] || exit 6; say OK ;;",
		KIT_TIMEOUT_MSECS);

	is_str(ask(session, "LIST once"), "* BOX whole;OK",
	       "a read whose copy died is asked again, half of it forgotten");
	is_str(kit_log_text(), "warning answered by a fresh copy after: "
	       "@/backend: ended while answering \"LIST once\": exited with "
	       "status 3\n", "and one warning tells");
	is_str(ask(session, "LIST ever"), "UNAVAILABLE @/backend: ended while "
	       "answering \"LIST ever\": exited with status 4; its last words: "
	       "\"error: no disk\"", "twice is enough");
	is_num(kit_requests("LIST ever"), 2, "two copies were asked");
	ok(strstr(ask(session, "LIST signal"),
		  "was killed by signal 11 (Segmentation fault)") != NULL,
	   "death by a signal");
	is_str(ask_as(session, VERB_COPY, "COPY a b 1"), "UNCERTAIN @/backend: "
	       "ended while answering \"COPY a b 1\": exited with status 5",
	       "a write is UNCERTAIN");
	is_num(kit_requests("COPY"), 1, "and not sent again");
	session_deinit(&session);
}

/* Wait until the file of the stage is there: a test may not be faster than the
 * backend that it is about. */
static void await(const char *name)
{
	struct timespec step = { 0, 5000000 };
	int i;

	for (i = 0; i < 1000 && access(kit_path(name), F_OK) < 0; i++)
		(void)nanosleep(&step, NULL);
	/* what was written before the file is in the pipe; an end is when
	   the last holder has closed it, a little later */
	step.tv_nsec = 100000000;
	(void)nanosleep(&step, NULL);
}

static void test_idle_output(void)
{
	struct session *session = kit_session(
		"LIST) say '* BOX a' OK\n"
		"	[ $copy -ne 1 ] || { say 'OK full'; echo >late; } ;;\n"
		"COPY*) say OK ;;", KIT_TIMEOUT_MSECS);

	is_str(ask(session, "LIST"), "* BOX a;OK", "an answer, and one more");
	await("late");
	is_str(ask_as(session, VERB_COPY, "COPY a b 1"), "OK",
	       "is not taken for that of the next request");
	is_num(kit_requests("COPY"), 1, "which is sent once");
	is_str(kit_log_text(), "warning answered by a fresh copy after: "
	       "@/backend: wrote \"OK full\" to stdout after its answer to "
	       "\"LIST\"\n", "and one warning tells");
	(void)unlink(kit_path("late"));
	session_deinit(&session);
}

static void test_idle_end(void)
{
	struct session *session = kit_session(
		"LIST) say OK\n"
		"	[ $copy -ne 1 ] || { echo >late; exit 7; } ;;\n"
		"COPY*) say OK ;;", KIT_TIMEOUT_MSECS);

	is_str(ask(session, "LIST"), "OK", "an answer, then death");
	await("late");
	is_str(ask_as(session, VERB_COPY, "COPY a b 1"), "OK",
	       "does no harm to a write that was not sent yet");
	is_num(kit_requests("COPY"), 1, "which is sent once");
	is_str(kit_log_text(), "warning answered by a fresh copy after: "
	       "@/backend: ended after its answer to \"LIST\": exited with "
	       "status 7\n", "and one warning tells");
	(void)unlink(kit_path("late"));
	session_deinit(&session);
}

/* Each copy is ready, says too much, and never gets to hear a request. */
static void test_idle_ever(void)
{
	struct session *session = kit_session(
		"CAPS*) printf '* CAPS 1\\nOK\\nready\\n' ;;",
		KIT_TIMEOUT_MSECS);

	is_str(ask(session, "LIST"), "UNAVAILABLE @/backend: wrote \"ready\" to "
	       "stdout after its answer to \"CAPS 1 mode=test "
	       "user=alice%20b\"", "output behind the handshake");
	is_num(kit_copies(), 2, "two copies have tried");
	is_str(kit_log_text(), "", "the caller logs it, once");
	session_deinit(&session);
}

static void test_config_exit(void)
{
	struct session *session = kit_session(
		"LIST) echo 'error: no password' >&2; exit 78 ;;",
		KIT_TIMEOUT_MSECS);
	const char *said = "@/backend: ended while answering \"LIST\": exited "
		"with status 78; its last words: \"error: no password\"";
	char want[512];

	(void)snprintf(want, sizeof(want), "UNAVAILABLE %s", said);
	is_str(ask(session, "LIST"), want, "exit status 78");
	(void)snprintf(want, sizeof(want), "UNAVAILABLE @/backend is not "
		"started again because it exited with status 78 (EX_CONFIG): "
		"%s", said);
	is_str(ask(session, "LIST"), want, "is final");
	is_num(kit_copies(), 1, "no second copy was started");
	is_str(kit_log_text(), "error @/backend: no password\n",
	       "its stderr is passed on once");
	session_deinit(&session);
}

static void test_backoff(void)
{
	struct session *session = kit_session(
		"LIST) [ $copy -gt 8 ] || { say x; continue; }; say OK ;;",
		KIT_TIMEOUT_MSECS);
	struct timespec pause = { 1, 300000000 };
	uint64_t began;
	int i;

	for (i = 0; i < SESSION_FREE_FAILURES; i++)
		(void)ask(session, "LIST");
	is_num(kit_copies(), SESSION_FREE_FAILURES,
	       "at first each request has a copy of its own");
	began = clock_msecs();
	is_str(ask(session, "LIST"), "UNAVAILABLE @/backend is not started "
	       "again for 1 s after 8 failures in a row, the last: @/backend: "
	       "wrote \"x\" to stdout, which is neither \"* \", \"OK\" nor "
	       "\"NO \"; messages belong on stderr while answering \"LIST\"",
	       "then comes a pause");
	ok(clock_msecs() - began < AT_ONCE_MSECS,
	   "in which requests fail at once");
	is_num(kit_copies(), SESSION_FREE_FAILURES, "without a copy");
	/* the pause is one second, by the clock */
	(void)nanosleep(&pause, NULL);
	is_str(ask(session, "LIST"), "OK", "after it there is a new copy");
	session_deinit(&session);
}

static void test_no_start(void)
{
	struct session *session = kit_session_of("/nonexistent/store",
						 KIT_TIMEOUT_MSECS);

	is_str(ask(session, "LIST"), "UNAVAILABLE /nonexistent/store: ended "
	       "while answering \"CAPS 1 mode=test user=alice%20b\": could not "
	       "be started: /nonexistent/store: No such file or directory",
	       "a program that is not there");
	is_str(kit_log_text(), "", "the reason stands in one place");
	session_deinit(&session);
}

/* --- deadlines --------------------------------------------------------------- */

static void test_deadline(void)
{
	struct session *session = kit_session(
		"'LIST hang') say '* BOX a'; sleep 60 ;;\n"
		"LIST) say OK ;;", SHORT_MSECS);
	uint64_t began = clock_msecs();

	is_str(ask(session, "LIST hang"), "UNAVAILABLE @/backend: wrote nothing "
	       "for 1.500 s while answering \"LIST hang\"", "a deadline");
	ok(clock_msecs() - began < AT_ONCE_MSECS, "strikes in time");
	is_num(kit_requests("LIST hang"), 1, "and nothing is asked again");
	is_str(ask(session, "LIST"), "OK", "the next request works");
	session_deinit(&session);
}

/* It is so long that a busy machine does not reach it between two lines. */
static void test_deadline_moves(void)
{
	struct session *session = kit_session(
		"'LIST slow') for i in 1 2 3; do sleep 1.4; say '* BOX a';\n"
		"	done; say OK ;;\n"
		"'LIST wait') say '* WAIT 30'; sleep 4.2; say '* WAIT'; say OK ;;",
		4000);

	is_str(ask(session, "LIST slow"),
	       "* BOX a;* BOX a;* BOX a;OK",
	       "each line starts the deadline anew");
	is_str(ask(session, "LIST wait"), "OK", "WAIT keeps it away");
	session_deinit(&session);
}

static void test_deadline_of_caps(void)
{
	struct session *session = kit_session("CAPS*) sleep 60 ;;",
					      SHORT_MSECS);

	is_str(ask(session, "LIST"), "UNAVAILABLE @/backend: wrote nothing for "
	       "1.500 s while answering \"CAPS 1 mode=test user=alice%20b\"",
	       "the handshake has a deadline");
	session_deinit(&session);
}

static void test_alive(void)
{
	struct session *session;
	int i;

	kit_alive_msecs = 200;
	session = kit_session("'LIST slow') sleep 0.7; say OK ;;\n"
			      "'LIST short') sleep 0.1; say OK ;;",
			      KIT_TIMEOUT_MSECS);
	(void)ask(session, "LIST slow");
	ok(kit_alive_count >= 1, "who waits long is told that we are alive");
	kit_alive_count = 0;
	for (i = 0; i < 8; i++)
		(void)ask(session, "LIST short");
	ok(kit_alive_count >= 1, "also who waits for many short answers");
	kit_alive_msecs = 0;
	session_deinit(&session);
}

/* --- several at once --------------------------------------------------------- */

static void test_pipeline(void)
{
	struct session *session = kit_session(
		"CAPS*) say '* CAPS 1 pipeline=3 COPY' OK ;;\n"
		"'LIST a') read -r b; read -r c; say '* BOX a' OK \"* BOX $b\"\n"
		"	say OK \"* BOX $c\" OK ;;\n"
		"LIST*) say \"* BOX $line\" OK ;;", KIT_TIMEOUT_MSECS);
	struct probe probes[4];
	static const char *const lines[] = {
		"LIST a", "LIST b", "LIST c", "LIST d"
	};
	size_t i;

	for (i = 0; i < 4; i++) {
		probe_init(&probes[i], VERB_LIST, lines[i]);
		session_submit(session, &probes[i].request);
	}
	is_num(session_wait(session, &probes[3].request), 0,
	       "four requests, of which three are sent before an answer comes");
	is_str(buf_str(&probes[0].seen), "* BOX a;OK", "the first");
	is_str(buf_str(&probes[1].seen), "* BOX LIST b;OK", "the second");
	is_str(buf_str(&probes[2].seen), "* BOX LIST c;OK", "the third");
	is_str(buf_str(&probes[3].seen), "* BOX LIST d;OK", "the last");
	for (i = 0; i < 4; i++)
		probe_free(&probes[i]);
	is_num(kit_copies(), 1, "all by one copy");
	session_deinit(&session);
}

static void test_pipeline_death(void)
{
	struct session *session = kit_session(
		"CAPS*) say '* CAPS 1 pipeline=9' OK ;;\n"
		"LIST*) [ $copy -gt 1 ] || { read -r a; read -r b; read -r c\n"
		"	say '* BOX half'; exit 1; }\n"
		"	say OK ;;", KIT_TIMEOUT_MSECS);
	struct probe probes[4];
	size_t i;

	probe_init(&probes[0], VERB_LIST, "LIST a");
	probe_init(&probes[1], VERB_COPY, "COPY a b 1");
	probe_init(&probes[2], VERB_LIST, "LIST b");
	probe_init(&probes[3], VERB_LIST, "LIST c");
	for (i = 0; i < 4; i++)
		session_submit(session, &probes[i].request);
	is_num(session_wait(session, &probes[3].request), 0,
	       "a copy dies with four requests in flight");
	is_str(buf_str(&probes[0].seen), "OK", "the first is asked again");
	is_num(probes[0].resets, 1, "and has forgotten what came");
	is_num(probes[1].request.fault.code, FAULT_UNCERTAIN,
	       "the write may have happened");
	is_str(buf_str(&probes[2].seen), "OK", "other reads are sent again");
	for (i = 0; i < 4; i++)
		probe_free(&probes[i]);
	session_deinit(&session);
}

/* Requests so long that a pipe holds but one: as is known of each how much of
 * it the copy can have had. */
static void long_probes(struct probe *probes, size_t count)
{
	static const char *const lines[] = { "LIST a", "LIST b", "COPY c" };
	size_t i;

	for (i = 0; i < count; i++) {
		probe_init(&probes[i], i == 2 ? VERB_COPY : VERB_LIST,
			   lines[i]);
		buf_append_c(&probes[i].request.line, ' ');
		while (probes[i].request.line.len < WIRE_LINE_MAX)
			buf_append_c(&probes[i].request.line, 'x');
	}
}

static void test_pipeline_not_begun(void)
{
	struct session *session = kit_session(
		"CAPS*) say '* CAPS 1 pipeline=3' OK ;;\n"
		"'LIST a'*) [ $copy -gt 1 ] || exit 1; say OK ;;\n"
		"LIST* | COPY*) say OK ;;", KIT_TIMEOUT_MSECS);
	struct probe probes[3];
	size_t i;

	long_probes(probes, 3);
	for (i = 0; i < 3; i++)
		session_submit(session, &probes[i].request);
	is_num(session_wait(session, &probes[2].request), 0,
	       "a write of which a dead copy had nothing");
	is_num(kit_requests("COPY"), 1, "goes to a fresh one");
	for (i = 0; i < 3; i++)
		probe_free(&probes[i]);
	session_deinit(&session);
}

static void test_pipeline_early(void)
{
	struct session *session = kit_session(
		"CAPS*) say '* CAPS 1 pipeline=3' OK ;;\n"
		"'LIST a'*) say OK ;;\n"
		"'LIST b'*) say OK OK; sleep 60 ;;", KIT_TIMEOUT_MSECS);
	struct probe probes[3];
	size_t i;

	long_probes(probes, 3);
	for (i = 0; i < 3; i++)
		session_submit(session, &probes[i].request);
	is_num(session_wait(session, &probes[2].request), -1,
	       "an answer to what was not read yet is none");
	ok(kit_begins(kit_short(probes[2].request.fault.log), "@/backend: wrote "
		      "a line before it had the request: \"OK\" while "
		      "answering \"COPY c xxx"), "and told so");
	is_num(probes[2].request.fault.code, FAULT_UNCERTAIN,
	       "and of what is half on its way nobody knows");
	for (i = 0; i < 3; i++)
		probe_free(&probes[i]);
	session_deinit(&session);
}

/* What it says once more comes while the next request lies unread in the pipe: it
   sleeps so long that this is so on a busy machine, too. */
static void test_says_more(const char *more, const char *quoted)
{
	struct buf script = { NULL, 0, 0 }, wanted = { NULL, 0, 0 };
	struct session *session;

	buf_printf(&script, "CAPS*) say '* CAPS 1 COPY' OK ;;\n"
		   "'LIST a') say OK; sleep 1; say %s; sleep 60 ;;", more);
	buf_printf(&wanted, "UNCERTAIN @/backend: wrote a line before it had the "
		   "request: \"%s\" while answering \"COPY a b c\"", quoted);
	session = kit_session(buf_str(&script), KIT_TIMEOUT_MSECS);
	is_str(ask(session, "LIST a"), "OK", "a copy answers");
	ok(kit_begins(ask_as(session, VERB_COPY, "COPY a b c"),
		      buf_str(&wanted)),
	   "what it says once more is no answer to a request that it has not read");
	session_deinit(&session);
	buf_free(&script);
	buf_free(&wanted);
}

static void test_ends(void)
{
	struct session *session = kit_session("LIST) sleep 60 ;;",
					      KIT_TIMEOUT_MSECS);
	struct probe probe, big;
	size_t i;

	probe_init(&big, VERB_LIST, "LIST ");
	for (i = 0; i < WIRE_LINE_MAX; i++)
		buf_append_c(&big.request.line, 'x');
	is_num(session_run(session, &big.request), -1, "too long a request");
	is_num(big.request.fault.code, FAULT_LIMIT, "is beyond the limit");
	is_num(kit_copies(), 0, "and starts nothing");
	probe_free(&big);
	probe_init(&probe, VERB_LIST, "LIST");
	session_submit(session, &probe.request);
	session_deinit(&session);
	ok(probe.request.done, "what is left is failed at the end");
	ok(strstr(probe.request.fault.log, "the session has ended") != NULL,
	   "and told why");
	probe_free(&probe);
}

static void test_stderr(void)
{
	struct session *session = kit_session(
		"LIST) echo plain >&2; echo debug: a >&2; echo warning: b >&2\n"
		"	echo error:c >&2; printf 'x\\r\\377\\n' >&2\n"
		"	sleep 0.1; say OK ;;", KIT_TIMEOUT_MSECS);

	is_str(ask(session, "LIST"), "OK", "a backend that talks");
	is_str(kit_log_text(), "info @/backend: plain\ndebug @/backend: a\n"
	       "warning @/backend: b\nerror @/backend: c\n"
	       "info @/backend: x??\n", "its lines with their levels");
	session_deinit(&session);
}

static void test_reports(void)
{
	struct session *session = kit_session(
		"CAPS*) say '* CAPS 1' OK ;;\n"
		"'FETCH b'*) say '* DATA 1 3' 'ab' OK ;;\n"
		"'LIST die') [ $copy -gt 1 ] || exit 3; say OK ;;\n"
		"LIST) say 'NO BUSY x' ;;", KIT_TIMEOUT_MSECS);

	/* bytes to the copy, and from it: line ends count */
	(void)ask(session, "FETCH b full 1");
	is_str(buf_str(&kit_reported), "started;CAPS  OK 32 12;"
	       "FETCH b OK 15 17;", "a copy and its requests are reported, "
	       "with all bytes and line ends");
	buf_clear(&kit_reported);
	(void)ask(session, "LIST");
	is_str(buf_str(&kit_reported), "LIST  BUSY 5 10;",
	       "NO is reported with its code");
	buf_clear(&kit_reported);
	(void)ask(session, "LIST die");
	is_str(buf_str(&kit_reported), "exited 3 broken;started;"
	       "CAPS  OK 32 12;LIST die OK 9 3;", "a request that a second "
	       "copy answered is reported once, and each copy");
	buf_clear(&kit_reported);
	session_deinit(&session);
	is_str(buf_str(&kit_reported), "exited 0;",
	       "the end of a copy that is not needed any more is no break");
}

int main(void)
{
	kit_init();
	test_answers();
	test_no();
	test_wrongs();
	test_data_numbers();
	test_handshake();
	test_death();
	test_idle_output();
	test_idle_end();
	test_idle_ever();
	test_config_exit();
	test_backoff();
	test_no_start();
	test_deadline();
	test_deadline_moves();
	test_alive();
	test_deadline_of_caps();
	test_pipeline();
	test_pipeline_death();
	test_pipeline_not_begun();
	test_pipeline_early();
	test_says_more("OK", "OK");
	test_says_more("'* GONE a'", "* GONE a");
	test_ends();
	test_stderr();
	test_reports();
	return kit_done();
}
