/* core/verbs/search: hits, what they say together, and when nothing is known. */
#include "session-kit.h"
#include "search.h"

static struct buf shown;

static bool has(const struct search *search, const char *id)
{
	unsigned char hash[ID_HASH_SIZE];

	id_hash(view_of(id), hash);
	return search_has(search, hash);
}

/* What a search of one pair gives: "exact a b", "maybe", or the fault. Looked for
 * are the ids "a b", "b" and "c". */
static const char *search_of(struct session *session)
{
	struct search *search = search_init("Box%20x");
	struct fault fault;

	buf_clear(&shown);
	(void)search_add(search, CAPS_KEY_TEXT, view_of("gr\xc3\xbc%"));
	if (search_run(search, session, &fault) < 0)
		buf_printf(&shown, "%s %s", fault_code_name(fault.code),
			   kit_short(fault.log));
	else
		buf_printf(&shown, "%s%s%s%s", search_is_exact(search) ?
			   "exact" : "maybe", has(search, "a b") ? " a_b" : "",
			   has(search, "b") ? " b" : "",
			   has(search, "c") ? " c" : "");
	search_deinit(&search);
	return buf_str(&shown);
}

#define CAPS "'CAPS 1 '*) say '* CAPS 1 SEARCH' '* KEYS text body' OK ;;\n"
#define LINE "SEARCH Box%20x text gr\xc3\xbc%25"
#define WRONG(text) "INTERNAL @/backend: " text " while answering \"" LINE "\""

static const struct {
	const char *arm, *want;
} rows[] = {
	{ "say OK", "exact" },
	{ "say 'OK maybe'", "maybe" },
	{ "say 'OK new=1 maybe'", "maybe" },
	{ "say '* HIT c' '* HIT a%20b' OK", "exact a_b c" },
	{ "say '* HIT b' '* HIT %62' '* HIT b more' 'OK maybe'", "maybe b" },
	{ "say '* HIT x' '* HIT y' '* NEW c' '* WAIT 1' '! HIT c' OK",
	  "exact" },
	{ "i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); say \"* HIT $i\"; done; "
	  "say '* HIT b' OK", "exact b" },
	{ "say '* HIT b' 'NO BUSY later'", "BUSY @/backend answered \"" LINE
	  "\" with NO: BUSY later" },
	{ "say '* HIT' OK", WRONG("wrote a HIT without a proper id: "
				  "\"* HIT\"") },
	{ "say '* HIT -' OK", WRONG("wrote a HIT without a proper id: "
				    "\"* HIT -\"") },
	{ "say '* HIT %6' OK", WRONG("wrote a HIT without a proper id: "
				     "\"* HIT %6\"") },
};

static void test_answers(void)
{
	struct session *session;
	struct buf arms = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_clear(&arms);
		buf_printf(&arms, "%s'%s') %s ;;", CAPS, LINE, rows[i].arm);
		session = kit_session(buf_str(&arms), KIT_TIMEOUT_MSECS);
		is_str(search_of(session), rows[i].want, "%s", rows[i].arm);
		session_deinit(&session);
	}
	buf_free(&arms);
}

static void test_copies(void)
{
	struct session *session;

	session = kit_session(CAPS " SEARCH*) say '* HIT b'; "
		"if [ $copy = 1 ]; then exit 1; fi; say '* HIT c' OK ;;",
		KIT_TIMEOUT_MSECS);
	is_str(search_of(session), "exact b c",
	       "a copy dies, a fresh one is asked");
	is_num(kit_copies(), 2, "once");
	session_deinit(&session);
	session = kit_session("'CAPS 1 '*) if [ $copy = 1 ]; then "
		"say '* CAPS 1 SEARCH' '* KEYS text'; else "
		"say '* CAPS 1 SEARCH' '* KEYS body'; fi; say OK ;; "
		"SEARCH*) say '* HIT b'; exit 1 ;;", KIT_TIMEOUT_MSECS);
	is_str(search_of(session), "UNSUPPORTED the backend does not have "
	       "SEARCH with these keys", "the fresh one has other keys");
	is_num(kit_requests("SEARCH"), 1, "and is not asked");
	session_deinit(&session);
	session = kit_session("SEARCH*) say OK ;;", KIT_TIMEOUT_MSECS);
	is_str(search_of(session), "UNSUPPORTED the backend does not have "
	       "SEARCH with these keys", "a copy that has no SEARCH");
	is_num(kit_requests("SEARCH"), 0, "is not asked");
	session_deinit(&session);
}

static void test_unsupported(void)
{
	struct session *session = kit_session(CAPS, KIT_TIMEOUT_MSECS);

	is_str(search_of(session), "UNSUPPORTED @/backend answered \"" LINE
	       "\" with NO: UNSUPPORTED ", "UNSUPPORTED");
	is_str(search_of(session), "UNSUPPORTED the backend does not have "
	       "SEARCH with these keys", "is remembered");
	is_num(kit_requests("SEARCH"), 1, "and not asked for again");
	session_deinit(&session);
}

static void test_line(void)
{
	struct session *session = kit_session(CAPS
		" *) say '* HIT b' OK ;;", KIT_TIMEOUT_MSECS);
	struct search *search = search_init("Box");
	struct fault fault;
	char *big = mem_new(WIRE_LINE_MAX, 1);

	memset(big, '%', WIRE_LINE_MAX - 1);
	ok(search_is_empty(search), "no pair yet");
	ok(!search_add(search, CAPS_KEY_BODY, view_of(big)),
	   "a value that makes the line too long");
	ok(search_is_empty(search), "is not added");
	ok(search_add(search, CAPS_KEY_TEXT, view_of("-")) &&
	   search_add(search, CAPS_KEY_BODY, view_of("a b")) &&
	   !search_is_empty(search), "others are");
	ok(!search_add(search, CAPS_KEY_TEXT, view_of(big)), "too long again");
	memset(big, 'x', WIRE_LINE_MAX - 1);
	big[WIRE_LINE_MAX - strlen("SEARCH Box text %2D body a%20b body ")] =
		'\0';
	ok(search_add(search, CAPS_KEY_BODY, view_of(big)), "the line is full");
	ok(search_run(search, session, &fault) == 0, "and is sent");
	is_num(kit_requests("SEARCH Box text %2D body a%20b body xxxxxxx"), 1,
	       "as it was made");
	search_deinit(&search);
	search_deinit(&search);
	session_deinit(&session);
	free(big);
}

/* A third of the limit, and 16 bytes for each. */
static void test_memory(void)
{
	struct session *session = kit_session(CAPS "SEARCH*) yes '* HIT b' ;;",
					      KIT_TIMEOUT_MSECS);
	struct rlimit old;

	kit_limit_memory(&old);
	ok(strstr(search_of(session), "wrote a list that takes more than "
		  "10485760 bytes") != NULL,
	   "hits without end take their share of the memory, no more");
	(void)setrlimit(RLIMIT_AS, &old);
	session_deinit(&session);
}

int main(void)
{
	kit_init();
	test_answers();
	test_copies();
	test_unsupported();
	test_line();
	if (kit_memory_is_small())
		test_memory();
	else
		ok(true, "# SKIP the memory of this process cannot be limited");
	buf_free(&shown);
	return kit_done();
}
