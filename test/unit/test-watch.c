/* core/verbs/watch, with real backends: nothing waits, whatever they do. */
#include "session-kit.h"
#include "clock.h"

#include "file.h"
#include "proc.h"
#include "watch.h"

#include <poll.h>

#define GRACE_MSECS 30000	/* where no deadline is to strike */
#define SHORT_MSECS 1500		/* where it is */
#define TURN_MSECS 400		/* what no call takes, on a busy machine */
#define ANSWER_MSECS 20000	/* longer than anything here takes */

#define CAPS "'CAPS 1 '*) say '* CAPS 1 WATCH' OK ;;\n"

static uint64_t slowest;	/* call, in milliseconds */

static struct watch *watch_new(const char *arms, unsigned int grace_msecs)
{
	const char *argv[] = { kit_path("backend"), NULL };
	struct session_settings set;

	kit_backend(arms);
	memset(&set, 0, sizeof(set));
	set.launcher = kit_launcher;
	set.argv = argv;
	set.user = "alice";
	set.home = kit_stage;
	set.tmp_dir = kit_tmp;
	set.mode = "test";
	set.timeout_msecs = grace_msecs;
	set.caps_timeout_msecs = GRACE_MSECS;
	set.log = kit_log;
	buf_clear(&kit_logged);
	slowest = 0;
	return watch_init(&set, 0);
}

static enum watch_status timed_turn(struct watch *watch, struct fault *fault)
{
	uint64_t begin = clock_msecs();
	enum watch_status status = watch_turn(watch, fault);

	if (clock_msecs() - begin > slowest)
		slowest = clock_msecs() - begin;
	return status;
}

/* What an event loop does, until there is an answer. */
static enum watch_status turns(struct watch *watch, struct fault *fault)
{
	uint64_t end = clock_msecs() + ANSWER_MSECS;
	enum watch_status status;
	struct session_waits waits;
	struct pollfd fds[3];

	while ((status = timed_turn(watch, fault)) == WATCH_WAITING &&
	       clock_msecs() < end) {
		watch_waits_for(watch, &waits);
		fds[0].fd = waits.read_fds[0];
		fds[1].fd = waits.read_fds[1];
		fds[2].fd = waits.write_fd;
		fds[0].events = fds[1].events = POLLIN;
		fds[2].events = POLLOUT;
		(void)poll(fds, 3, (int)waits.msecs);
	}
	return status;
}

/* The answer to one WATCH, in words. */
static const char *answer(struct watch *watch, const char *box,
			  const char *state)
{
	static struct buf text;
	struct fault fault;

	watch_ask(watch, box, state);
	switch (turns(watch, &fault)) {
	case WATCH_WAITING:
		return "no answer";
	case WATCH_CHANGED:
		return "changed";
	case WATCH_SAME:
		return "same";
	case WATCH_FAILED:
		break;
	}
	buf_clear(&text);
	buf_printf(&text, "%s %s", fault_code_name(fault.code),
		   kit_short(fault.log));
	return buf_str(&text);
}

static void test_answers(void)
{
	struct watch *watch = watch_new(CAPS
		"'WATCH a%20b 0 s1') say '* CHANGED a%20b' OK ;;\n"
		"'WATCH c 0 -') say '* CHANGED %63' OK ;;\n"
		"'WATCH d 0 s2') say '* WAIT' '* CUSTOM x' OK ;;\n", GRACE_MSECS);

	is_num(kit_copies(), 0, "no copy before it is asked");
	is_str(answer(watch, "a%20b", "s1"), "changed", "a change");
	is_str(answer(watch, "c", "-"), "changed", "one spelt otherwise");
	is_str(answer(watch, "d", "s2"), "same", "none");
	is_num(kit_copies(), 1, "one copy answers them all");
	watch_deinit(&watch);
}

static void test_asked(void)
{
	struct watch *watch = watch_new(CAPS
		"WATCH*) while [ ! -e told ]; do sleep 0.02; done\n"
		"	rm told; say '* CHANGED a' OK ;;\n", GRACE_MSECS);
	struct fault fault;
	uint64_t end = clock_msecs() + ANSWER_MSECS;

	watch_ask(watch, "a", "s");
	ok(!watch_is_asked(watch), "it is not asked before it is turned");
	while (!watch_is_asked(watch) && clock_msecs() < end) {
		if (timed_turn(watch, &fault) != WATCH_WAITING)
			break;
		(void)poll(NULL, 0, 5);
	}
	ok(watch_is_asked(watch), "then the copy has it");
	kit_write(kit_path("told"), "", 0, 0644);
	is_num(turns(watch, &fault), WATCH_CHANGED, "and answers later");
	ok(!watch_is_asked(watch), "and is not asked any more");
	ok(slowest < TURN_MSECS, "no call waited, the longest took %d ms",
	   (int)slowest);
	watch_deinit(&watch);
}

static void test_wrong_answers(void)
{
	struct watch *watch = watch_new(CAPS
		"*' 1') say '* CHANGED b' OK ;;\n"
		"*' 2') say '* CHANGED a' '* CHANGED a' OK ;;\n"
		"*' 3') say '* CHANGED' OK ;;\n"
		"*' 4') say 'Connecting to host' OK ;;\n"
		"*' 5') say 'NO UNAVAILABLE retry=7 later' ;;\n"
		"*' 6') say 'NO UNSUPPORTED' ;;\n", GRACE_MSECS);

	is_str(answer(watch, "a", "1"), "INTERNAL @/backend: wrote another "
	       "mailbox than was asked for: \"* CHANGED b\" while answering "
	       "\"WATCH a 0 1\"", "another mailbox");
	is_str(answer(watch, "a", "2"), "INTERNAL @/backend: wrote a second "
	       "CHANGED: \"* CHANGED a\" while answering \"WATCH a 0 2\"",
	       "two of them");
	is_str(answer(watch, "a", "3"), "INTERNAL @/backend: wrote another "
	       "mailbox than was asked for: \"* CHANGED\" while answering "
	       "\"WATCH a 0 3\"", "none");
	is_str(answer(watch, "a", "4"), "UNAVAILABLE @/backend: wrote "
	       "\"Connecting to host\" to stdout, which is neither \"* \", "
	       "\"OK\" nor \"NO \"; messages belong on stderr while answering "
	       "\"WATCH a 0 4\"", "stray output");
	is_str(answer(watch, "a", "5"), "UNAVAILABLE @/backend answered "
	       "\"WATCH a 0 5\" with NO: UNAVAILABLE retry=7 later",
	       "NO is no answer either");
	is_str(answer(watch, "a", "6"), "UNSUPPORTED @/backend answered "
	       "\"WATCH a 0 6\" with NO: UNSUPPORTED ", "nor is UNSUPPORTED");
	watch_deinit(&watch);
}

static void test_without_verb(void)
{
	struct watch *watch = watch_new("", GRACE_MSECS);

	is_str(answer(watch, "a", "s"), "UNSUPPORTED @/backend: the copy that "
	       "was to watch does not have WATCH", "a copy without WATCH");
	is_num(kit_requests("WATCH"), 0, "is not asked");
	watch_deinit(&watch);
}

static void test_death(void)
{
	struct watch *watch = watch_new(CAPS
		"*' 1') [ $copy -gt 1 ] || exit 3; say '* CHANGED a' OK ;;\n"
		"*' 2') exit 4 ;;\n", GRACE_MSECS);

	is_str(answer(watch, "a", "1"), "changed",
	       "a fresh copy answers for one that died");
	is_str(answer(watch, "a", "2"), "UNAVAILABLE @/backend: ended while "
	       "answering \"WATCH a 0 2\": exited with status 4",
	       "but that is tried once");
	is_num(kit_requests("WATCH a 0 2"), 2, "twice in all");
	watch_deinit(&watch);
}

static void test_deadline(void)
{
	struct watch *watch = watch_new(CAPS "WATCH*) sleep 60 ;;\n",
					SHORT_MSECS);
	uint64_t begin = clock_msecs();

	is_str(answer(watch, "a", "s"), "UNAVAILABLE @/backend: wrote nothing "
	       "for 1.500 s while answering \"WATCH a 0 s\"", "a deadline");
	ok(clock_msecs() - begin >= SHORT_MSECS, "not before its time");
	watch_deinit(&watch);
}

/* --- the end --------------------------------------------------------------- */

static bool ended_within(struct watch *watch, int msecs)
{
	uint64_t end = clock_msecs() + (uint64_t)msecs;

	while (clock_msecs() < end) {
		if (watch_ended(watch))
			return true;
		(void)poll(NULL, 0, 20);
	}
	return false;
}

static struct watch *asked(const char *arms)
{
	struct watch *watch = watch_new(arms, GRACE_MSECS);
	struct fault fault;

	watch_ask(watch, "a", "s");
	while (timed_turn(watch, &fault) == WATCH_WAITING &&
	       !watch_is_asked(watch))
		(void)poll(NULL, 0, 5);
	return watch;
}

static void test_end_polite(void)
{
	/* reads on while it watches, and has something to say at the end */
	struct watch *watch = asked(CAPS
		"WATCH*) read -r line || { echo bye >&2; echo >gone; exit; }"
		" ;;\n");
	uint64_t begin = clock_msecs();

	watch_end_begin(watch);
	ok(clock_msecs() - begin < TURN_MSECS, "to end it takes no time");
	ok(ended_within(watch, ANSWER_MSECS), "it ends");
	ok(watch_ended(watch), "and so it stays");
	ok(access(kit_path("gone"), F_OK) == 0, "by the end of its input");
	is_str(kit_log_text(), "info @/backend: bye\n", "its words are heard");
	(void)unlink(kit_path("gone"));
	watch_deinit(&watch);
}

static void test_end_deaf(void)
{
	struct watch *watch = asked("CAPS*) trap '' TERM\n"
		"	say '* CAPS 1 WATCH' OK ;;\n"
		"WATCH*) for i in 1 2 3 4 5 6 7 8 9; do sleep 9; done ;;\n");
	uint64_t begin = clock_msecs(), call, longest = 0;
	bool ended = false;

	watch_end_begin(watch);
	while (!ended && clock_msecs() - begin < ANSWER_MSECS) {
		(void)poll(NULL, 0, 20);
		call = clock_msecs();
		ended = watch_ended(watch);
		if (clock_msecs() - call > longest)
			longest = clock_msecs() - call;
	}
	ok(ended, "one that ignores its input and SIGTERM ends as well");
	ok(clock_msecs() - begin >= PROC_GRACE_MSECS + PROC_TERM_MSECS,
	   "after the time that everybody has");
	ok(longest < TURN_MSECS, "and no call waited for it, the longest took "
	   "%d ms", (int)longest);
	watch_deinit(&watch);
}

static void test_end_waiting(void)
{
	struct watch *watch = asked(CAPS "WATCH*) sleep 60 ;;\n");
	uint64_t begin = clock_msecs();

	watch_end_begin(watch);
	ok(!watch_ended(watch), "one that is still there");
	watch_deinit(&watch);
	begin = clock_msecs() - begin;
	ok(begin >= PROC_GRACE_MSECS && begin < PROC_TERM_MSECS,
	   "is waited for at last");

	watch = watch_new(CAPS, GRACE_MSECS);
	watch_end_begin(watch);
	ok(watch_ended(watch), "one that was never started has ended");
	watch_deinit(&watch);
	watch_deinit(&watch);
}

/* --- how often ------------------------------------------------------------- */

static void test_pace(void)
{
	struct watch_pace pace = { 0 };
	uint64_t now = 1000000;
	unsigned int i, wait = 0;

	for (i = 0; i < WATCH_BURST; i++)
		wait += watch_pace_msecs(&pace, now);
	is_num(wait, 0, "some answers come at any speed");
	is_num(watch_pace_msecs(&pace, now), WATCH_REST_MSECS,
	       "the next has a rest after it");
	now += WATCH_REST_MSECS;
	is_num(watch_pace_msecs(&pace, now), WATCH_REST_MSECS,
	       "and so on, as long as it is at once");
	now += WATCH_REST_MSECS + 5 * WATCH_REST_MSECS;
	for (i = wait = 0; i < 5; i++)
		wait += watch_pace_msecs(&pace, now);
	is_num(wait, 0, "time that passes is made good");
	ok(watch_pace_msecs(&pace, now) > 0, "but no more than that");
	now += 1000 * WATCH_REST_MSECS;
	for (i = wait = 0; i < WATCH_BURST; i++)
		wait += watch_pace_msecs(&pace, now);
	is_num(wait, 0, "after a long time all of it is there again");
	ok(watch_pace_msecs(&pace, now) > 0, "and no more than all");
}

static void test_pause(void)
{
	is_num(watch_pause_msecs(1, 0), WATCH_PAUSE_MIN_MSECS, "a failure");
	is_num(watch_pause_msecs(2, 0), 2 * WATCH_PAUSE_MIN_MSECS, "a second");
	is_num(watch_pause_msecs(1000000, 0), WATCH_PAUSE_MAX_MSECS,
	       "very many");
	is_num(watch_pause_msecs(1, 3600), 3600 * 1000,
	       "retry= is longer than any of them");
	is_num(watch_pause_msecs(2, 7), 2 * WATCH_PAUSE_MIN_MSECS,
	       "or it is not");
	is_num(watch_pause_msecs(1, 31536000), WATCH_RETRY_MAX_SECS * 1000,
	       "or it is beyond all measure");
}

static void test_places(void)
{
	const char *path = kit_path("places");
	int a, b;

	a = file_place(path, 2);
	b = file_place(path, 2);
	ok(a >= 0 && b >= 0, "two places");
	ok(file_place(path, 2) < 0 && errno == EWOULDBLOCK, "and no third");
	(void)close(a);
	a = file_place(path, 2);
	ok(a >= 0, "one that is given back is taken again");
	(void)close(b);
	ok(file_place(path, 1) < 0 && errno == EWOULDBLOCK,
	   "who knows of fewer gets none of the others");
	ok(file_place(path, 0) < 0 && errno == EWOULDBLOCK, "nor of none");
	(void)close(a);
	ok(file_place(kit_path("no/such/folder"), 1) < 0 && errno == ENOENT,
	   "and where there is no file, there is an error");
}

int main(void)
{
	kit_init();
	test_answers();
	test_asked();
	test_wrong_answers();
	test_without_verb();
	test_death();
	test_deadline();
	test_end_polite();
	test_end_deaf();
	test_end_waiting();
	test_pace();
	test_pause();
	test_places();
	return kit_done();
}
