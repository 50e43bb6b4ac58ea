/* core/verbs/listing: the answers to LIST, right and wrong. */
#include "session-kit.h"
#include "listing.h"
#include "names.h"


static struct buf shown;

/* --- mailboxes --------------------------------------------------------------- */

static const char *boxes_of(struct session *session)
{
	struct listing_boxes boxes;
	const struct listing_box *box;
	struct fault fault;
	size_t i;

	buf_clear(&shown);
	if (listing_boxes(session, &boxes, &fault) < 0) {
		buf_append_str(&shown, kit_short(fault.log));
		return buf_str(&shown);
	}
	for (i = 0; i < boxes.count; i++) {
		box = &boxes.boxes[i];
		buf_printf(&shown, "[%s %s%s%s%s%s%s]", box->name, box->wire,
			   box->id != NULL ? " id=" : "",
			   box->id != NULL ? box->id : "",
			   box->flags != NULL ? " flags=" : "",
			   box->flags != NULL ? box->flags : "",
			   box->ro ? " ro" : "");
	}
	for (i = 0; i < boxes.skipped_count; i++)
		buf_printf(&shown, "{%s}", boxes.skipped[i]);
	if (boxes.delta)
		buf_append_str(&shown, "delta");
	listing_boxes_free(&boxes);
	return buf_str(&shown);
}

#define WHILE(text) "@/backend: " text " while answering \"LIST\""

static const struct {
	const char *arm, *want;
} boxes_rows[] = {
	{ "OK", "" },
	{ "'OK full'", "" },
	{ "'OK delta'", "delta" },
	{ "'* BOX b' '* BOX a' OK", "[a a][b b]" },
	{ "'* BOX INBOX/x%20y id=1%20 flags=\\Sent,\\Noselect ro new=1 old' OK",
	  "[INBOX/x y INBOX/x%20y id=1%20 flags=\\Sent,\\Noselect ro]" },
	{ "'* BOX %2D' OK", "[- %2D]" },
	{ "'* BOX a id=' '* MSG x' '* NEW y' OK", "[a a]" },
	{ "'* BOX a id=x%2' OK",
	  WHILE("wrote a value out of range: \"* BOX a id=x%2\"") },
	{ "'* BOX a'; yes '* MSG a'",
	  WHILE("wrote too many items that are of no use here, the last: "
		"\"* MSG a\"") },
	{ "'* BOX -' OK",
	  WHILE("wrote a BOX without a proper name: \"* BOX -\"") },
	{ "'* BOX' OK", WHILE("wrote a BOX without a proper name: \"* BOX\"") },
	{ "'* BOX a%2' OK",
	  WHILE("wrote a BOX without a proper name: \"* BOX a%2\"") },
	{ "'* BOX a' '* BOX b' '* BOX a' OK",
	  WHILE("wrote a mailbox twice: \"a\"") },
	{ "'* BOX a' '* BOX %61' OK",
	  "@/backend: wrote a mailbox twice: " },
	{ "'* BOX a/../b' '* BOX c' OK",
	  "[c c]{mailbox \"a/../b\" is left out: its name has a component . or "
	  "..}" },
	{ "'* BOX a%0Ab' OK",
	  "{mailbox \"a%0Ab\" is left out: its name has a control byte}" },
	{ "'* BOX a%00b' OK",
	  "{mailbox \"a%00b\" is left out: its name has a control byte}" },
	{ "'* BOX %FF' OK",
	  "{mailbox \"%FF\" is left out: its name is not UTF-8}" },
	{ "'* BOX inbox' '* BOX Inbox/a' OK",
	  "{mailbox \"inbox\" is left out: its name spells INBOX in another "
	  "way}{mailbox \"Inbox/a\" is left out: its name spells INBOX in "
	  "another way}" },
};

static void test_boxes(void)
{
	struct session *session;
	char arms[512];
	size_t i;

	for (i = 0; i < sizeof(boxes_rows) / sizeof(boxes_rows[0]); i++) {
		(void)snprintf(arms, sizeof(arms), "LIST) say %s ;;",
			       boxes_rows[i].arm);
		session = kit_session(arms, KIT_TIMEOUT_MSECS);
		/* of two spellings either may be the one that is named */
		if (strstr(boxes_rows[i].want, "twice: ") != NULL &&
		    boxes_rows[i].want[strlen(boxes_rows[i].want) - 1] == ' ')
			ok(strncmp(boxes_of(session), boxes_rows[i].want,
				   strlen(boxes_rows[i].want)) == 0,
			   "mailboxes: %s", boxes_rows[i].arm);
		else
			is_str(boxes_of(session), boxes_rows[i].want,
			       "mailboxes: %s", boxes_rows[i].arm);
		session_deinit(&session);
	}
}

static void test_boxes_again(void)
{
	struct session *session = kit_session(
		"LIST) say '* BOX a' '* BOX b'\n"
		"	[ $copy -ne 1 ] || exit 1\n"
		"	say OK ;;", KIT_TIMEOUT_MSECS);

	is_str(boxes_of(session), "[a a][b b]",
	       "what a copy said before it died is forgotten");
	session_deinit(&session);
}

static void boxes_add(struct listing_boxes *boxes, const char *name,
		      const char *wire)
{
	boxes->boxes = mem_grow(boxes->boxes, boxes->count + 1,
				sizeof(*boxes->boxes));
	memset(&boxes->boxes[boxes->count], 0, sizeof(*boxes->boxes));
	boxes->boxes[boxes->count].name = mem_strdup(name);
	boxes->boxes[boxes->count++].wire = mem_strdup(wire);
}

static void test_find(void)
{
	struct listing_boxes boxes;
	const struct listing_box *box;

	memset(&boxes, 0, sizeof(boxes));
	ok(listing_box_find(&boxes, view_of("a")) == NULL,
	   "nothing is found in nothing");
	boxes_add(&boxes, "a", "first");
	boxes_add(&boxes, "c", "last");
	box = listing_box_find(&boxes, view_of("c"));
	is_str(box == NULL ? NULL : box->wire, "last", "a mailbox is found");
	ok(listing_box_find(&boxes, view_of("aa")) == NULL &&
	   listing_box_find(&boxes, view_of("b")) == NULL &&
	   listing_box_find(&boxes, view_of("")) == NULL &&
	   listing_box_find(&boxes, (struct view){ "c\0", 2 }) == NULL,
	   "only whole names are found");
	listing_boxes_free(&boxes);
}

/* --- names ------------------------------------------------------------------- */

static void test_names(void)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "INBOX", NULL }, { "INBOX/inbox", NULL }, { "a/INbox", NULL },
		{ "\xc3\xa9/\xe6\x97\xa5 %&*#", NULL }, { "...", NULL },
		{ "a.b/.c", NULL },
		{ "", "has an empty component" },
		{ "/", "has an empty component" },
		{ "a/", "has an empty component" },
		{ "/a", "has an empty component" },
		{ "a//b", "has an empty component" },
		{ ".", "has a component . or .." },
		{ "a/..", "has a component . or .." },
		{ "../a", "has a component . or .." },
		{ "inbox/a", "spells INBOX in another way" },
		{ "a\x7f", "has a control byte" },
		{ "a\x1f", "has a control byte" },
		{ "\xc2\x9b" "31m", "has a control character" },
		{ "a\xc2\x80", "has a control character" },
		{ "a\xe2\x80\xa8", "has a control character" },
		{ "\xe2\x80\xa9/a", "has a control character" },
		{ "a\xc2\xa0", NULL }, { "\xe2\x80\xa7", NULL },
		{ "\xe2\x80\x8f\xd7\x90", NULL },
		{ "\xc0\xaf", "is not UTF-8" }, { "\xed\xa0\x80", "is not UTF-8" },
		{ "\xf4\x90\x80\x80", "is not UTF-8" }, { "a\xc3", "is not UTF-8" },
		{ "\xe0\x80\xaf", "is not UTF-8" },
		{ "\xf0\x80\x80\xaf", "is not UTF-8" },
		{ "\x80", "is not UTF-8" },
		/* U+0301 after an e; two marks in the wrong order; a sign that
		   stands for a letter; jamo that make a syllable */
		{ "cafe\xcc\x81", "is not in Unicode's normal form C" },
		{ "a\xcc\x81\xcc\xa7", "is not in Unicode's normal form C" },
		{ "\xe2\x84\xab", "is not in Unicode's normal form C" },
		{ "\xe1\x84\x80\xe1\x85\xa1",
		  "is not in Unicode's normal form C" },
		/* a mark that nothing composes with; compatibility forms, which
		   C keeps; U+0378, which no Unicode has */
		{ "x\xcc\x81", NULL }, { "\xef\xac\x81\xc2\xb2", NULL },
		{ "\xcd\xb8", NULL },
	};
	char name[WIRE_NAME_MAX + 2];
	const char *got;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got = names_fault(view_of(rows[i].name));
		is_str(got == NULL ? "good" : got,
		       rows[i].want == NULL ? "good" : rows[i].want,
		       "name %zu: %s", i, rows[i].want == NULL ? rows[i].name :
		       rows[i].want);
	}
	memset(name, 'n', sizeof(name));
	ok(names_fault((struct view){ name, 255 }) == NULL,
	   "a component of 255 bytes");
	is_str(names_fault((struct view){ name, 256 }),
	       "has a component longer than 255 bytes", "and of 256");
	for (i = 200; i < sizeof(name); i += 200)
		name[i] = '/';
	ok(names_fault((struct view){ name, WIRE_NAME_MAX }) == NULL,
	   "a name of 1024 bytes");
	is_str(names_fault((struct view){ name, WIRE_NAME_MAX + 1 }),
	       "is longer than 1024 bytes", "and of 1025");
}

/* --- messages ---------------------------------------------------------------- */

static void show_number(const char *key, uint64_t number, uint64_t unknown)
{
	if (number != unknown)
		buf_printf(&shown, " %s%llu", key, (unsigned long long)number);
}

static const char *msgs_of(struct session *session)
{
	struct listing listing;
	const struct listing_msg *msg;
	struct fault fault;
	size_t i;

	buf_clear(&shown);
	if (listing_msgs(session, "Box", &listing, &fault) < 0) {
		buf_append_str(&shown, kit_short(fault.log));
		return buf_str(&shown);
	}
	for (i = 0; i < listing.count; i++) {
		msg = &listing.msgs[i];
		buf_printf(&shown, "[%s%.*s", msg->gone ? "-" : "",
			   (int)msg->id.len, msg->id.p);
		show_number("s", msg->size, WIRE_SIZE_UNKNOWN);
		show_number("v", msg->vsize, WIRE_SIZE_UNKNOWN);
		show_number("d", (uint64_t)msg->date,
			    (uint64_t)WIRE_DATE_UNKNOWN);
		show_number("u", msg->uid, 0);
		if (msg->flags.p != NULL)
			buf_printf(&shown, " f%.*s", (int)msg->flags.len,
				   msg->flags.p);
		buf_append_c(&shown, ']');
	}
	buf_printf(&shown, "%s %s", listing.end.full ? "full" : "delta",
		   listing.end.state);
	if (listing.end.box_id != NULL)
		buf_printf(&shown, " id=%s", listing.end.box_id);
	show_number("uidvalidity=", listing.end.uidvalidity, 0);
	listing_free(&listing);
	return buf_str(&shown);
}

#define BOX(text) "@/backend: " text " while answering \"LIST Box -\""

static const struct {
	const char *arm, *want;
} msgs_rows[] = {
	{ "'OK full'", "full -" },
	{ "'OK delta state=s'", "delta s" },
	{ "'* MSG b' '* MSG a' 'OK full count=2'", "[b][a]full -" },
	{ "'* MSG a size=0 vsize=7 date=5 uid=9 flags=\\Seen,x new=1' 'OK full'",
	  "[a s0 v7 d5 u9 f\\Seen,x]full -" },
	{ "'* MSG a flags=' '* MSG b flags=x' '* MSG c flags=' 'OK full'",
	  "[a f][b fx][c f]full -" },
	{ "'* GONE a' '* MSG b' 'OK delta count=99'", "[-a][b]delta -" },
	{ "'* GONE a' '* MSG b' 'OK full count=1'", "[-a][b]full -" },
	{ "'* MSG a=b,c%20d' '* BOX x' 'OK full state= id=5 uidvalidity=77 x'",
	  "[a=b,c%20d]full - id=5 uidvalidity=77" },
	{ "OK", BOX("wrote a final OK without the word full or delta: \"OK\"") },
	{ "'OK Full'", BOX("wrote a final OK without the word full or delta: "
	  "\"OK Full\"") },
	{ "'OK state=1 full'", BOX("wrote a final OK without the word full or "
	  "delta: \"OK state=1 full\"") },
	{ "'* MSG a' 'OK full count=2'",
	  BOX("listed 1 items, but its last line says count=2") },
	{ "'* MSG a' 'OK full count=0'",
	  BOX("listed 1 items, but its last line says count=0") },
	{ "'OK full count=x'",
	  BOX("wrote a value out of range: \"OK full count=x\"") },
	{ "'OK full uidvalidity=0'",
	  BOX("wrote a value out of range: \"OK full uidvalidity=0\"") },
	{ "'OK full uidvalidity=4294967296'",
	  BOX("wrote a value out of range: \"OK full uidvalidity=4294967296\"") },
	{ "'OK full id='", BOX("wrote a value out of range: \"OK full id=\"") },
	{ "'* MSG' 'OK full'",
	  BOX("wrote an item without a proper id: \"* MSG\"") },
	{ "'* MSG -' 'OK full'",
	  BOX("wrote an item without a proper id: \"* MSG -\"") },
	{ "'* GONE a%zz' 'OK full'",
	  BOX("wrote an item without a proper id: \"* GONE a%zz\"") },
	{ "'* MSG a size=' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a size=\"") },
	{ "'* MSG a size' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a size\"") },
	{ "'* MSG a flags' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a flags\"") },
	{ "'* MSG a size=2147483648' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a size=2147483648\"") },
	{ "'* MSG a date=-1' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a date=-1\"") },
	{ "'* MSG a date=18446744073709551616' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a "
	      "date=18446744073709551616\"") },
	{ "'* MSG a uid=0' 'OK full'",
	  BOX("wrote a value out of range: \"* MSG a uid=0\"") },
	{ "'* MSG a' '* MSG b' '* MSG a' 'OK full'", "@/backend: listed the id "
	  "\"a\" twice while answering \"LIST Box -\"" },
	{ "'* MSG a' '* MSG %61' 'OK full'", "@/backend: listed the id "
	  "\"%61\" twice while answering \"LIST Box -\"" },
	{ "'* MSG a' '* GONE a' 'OK full'", "@/backend: listed the id \"a\" "
	  "twice while answering \"LIST Box -\"" },
};

static void test_msgs(void)
{
	struct session *session;
	char arms[512];
	size_t i;

	for (i = 0; i < sizeof(msgs_rows) / sizeof(msgs_rows[0]); i++) {
		(void)snprintf(arms, sizeof(arms), "'LIST Box -') say %s ;;",
			       msgs_rows[i].arm);
		session = kit_session(arms, KIT_TIMEOUT_MSECS);
		is_str(msgs_of(session), msgs_rows[i].want, "messages: %s",
		       msgs_rows[i].arm);
		session_deinit(&session);
	}
}

static void test_id_limit(void)
{
	struct session *session = kit_session(
		"LIST*) id=$(printf '%01024d' 0)\n"
		"	[ $copy -eq 1 ] || id=x$id\n"
		"	say \"* MSG $id\" 'OK full'; [ $copy -gt 1 ] || exit ;;",
		KIT_TIMEOUT_MSECS);

	ok(strstr(msgs_of(session), "]full -") != NULL, "an id of 1024 bytes");
	ok(strstr(msgs_of(session), "without a proper id") != NULL,
	   "and of 1025");
	session_deinit(&session);
}

static void test_msgs_again(void)
{
	struct session *session = kit_session(
		"LIST*) say '* MSG a' '* MSG b'\n"
		"	[ $copy -ne 1 ] || exit 1\n"
		"	say 'OK full count=2' ;;", KIT_TIMEOUT_MSECS);

	is_str(msgs_of(session), "[a][b]full -",
	       "messages that a copy listed before it died are forgotten");
	session_deinit(&session);
}

struct sink_trace {
	uint64_t msgs, resets;
	const char *refuse;
	bool ended;
};

static int trace_msg(void *context, const struct listing_msg *msg,
		     struct wire_error *error_r)
{
	struct sink_trace *trace = context;

	trace->msgs++;
	if (trace->refuse == NULL || !view_is(msg->id, trace->refuse))
		return 0;
	return listing_twice(msg, error_r);
}

static int trace_end(void *context, const struct listing_end *end,
		     struct wire_error *error_r)
{
	struct sink_trace *trace = context;

	trace->ended = end->full;
	return trace->refuse == NULL ? 0 : listing_too_big(error_r);
}

static void trace_reset(void *context)
{
	struct sink_trace *trace = context;

	trace->resets++;
	trace->msgs = 0;
}

static const struct listing_sink trace_sink = {
	.msg = trace_msg, .end = trace_end, .reset = trace_reset,
};

/* Returns what is wrong, "" if nothing is. */
static const char *trace_of(struct session *session, struct sink_trace *trace)
{
	static struct fault fault;
	struct listing_end end;

	memset(&fault, 0, sizeof(fault));
	if (listing_read(session, "Box", "s%201", &trace_sink, trace, &end,
			 &fault) == 0)
		listing_end_free(&end);
	return kit_short(fault.log);
}

static void test_sink(void)
{
	struct sink_trace trace = { 0, 0, NULL, false };
	struct session *session = kit_session(
		"'CAPS 1 '*) say '* CAPS 1 delta' OK ;;\n"
		"'LIST Box s%201') say '* MSG a' '* GONE b'\n"
		"	[ $copy -ne 1 ] || exit 1\n"
		"	say '* MSG c' 'OK full' ;;", KIT_TIMEOUT_MSECS);

	is_str(trace_of(session, &trace), "", "a list may be taken line by line");
	ok(trace.msgs == 3 && trace.resets == 1 && trace.ended,
	   "who takes it is told of each line, of a new copy and of the end");
	trace.refuse = "c";
	is_str(trace_of(session, &trace), "@/backend: listed the id \"c\" "
	       "twice while answering \"LIST Box s%201\"",
	       "a line that is refused ends it, and the text says what was "
	       "asked");
	trace.refuse = "d";
	ok(strstr(trace_of(session, &trace), "wrote a list that takes more than "
		  "268435456 bytes of memory (the most for any list)") != NULL,
	   "so does an end that is refused");
	session_deinit(&session);
}

static void test_state(void)
{
	struct sink_trace trace = { 0, 0, NULL, false };
	struct session *session = kit_session(
		"'CAPS 1 '*) [ $copy -ne 1 ] || say '* CAPS 1 delta'\n"
		"	[ $copy -eq 1 ] || say '* CAPS 1'\n"
		"	say OK ;;\n"
		"'LIST Box s%201') exit 1 ;;\n"
		"'LIST Box -') say '* MSG a' 'OK full' ;;", KIT_TIMEOUT_MSECS);

	is_str(trace_of(session, &trace), "", "a copy without delta that takes "
	       "the place of one with delta is sent no state");
	is_num(trace.msgs, 1, "and its list is taken");
	session_deinit(&session);
}

/* 20000 lines of 60000 bytes are more than 1 GiB. */
static void test_text_limit(void)
{
	struct sink_trace trace = { 0, 0, NULL, false };
	struct session *session = kit_session(
		"LIST*) exec yes \"* MSG a flags=$(printf '%060000d' 0)\" ;;",
		KIT_TIMEOUT_MSECS);

	ok(strstr(trace_of(session, &trace), "wrote a list of more than "
		  "1073741824 bytes (the most for any list)") != NULL &&
	   trace.msgs < 18000, "a list without end has a limit of its own");
	session_deinit(&session);
}

/* A third of the limit is far less than the backend writes. */
static void test_memory(void)
{
	struct session *session = kit_session(
		"LIST) yes '* BOX a' ;;\n"
		"'LIST Box'*) i=0; while :; do i=$((i + 1))\n"
		"	say \"* MSG $i flags=$(printf '%060000d' $i)\"; done ;;",
		KIT_TIMEOUT_MSECS);
	struct rlimit old;

	kit_limit_memory(&old);
	ok(strstr(msgs_of(session),
		  "wrote a list that takes more than 10485760 bytes") != NULL,
	   "a list without end takes its share of the memory, no more");
	(void)setrlimit(RLIMIT_AS, &old);
	ok(strstr(boxes_of(session), "more than 100000 mailboxes") != NULL,
	   "nor are there mailboxes without end");
	session_deinit(&session);
}

int main(void)
{
	kit_init();
	test_boxes();
	test_boxes_again();
	test_find();
	test_names();
	test_msgs();
	test_msgs_again();
	test_sink();
	test_state();
	test_id_limit();
	/* under a tool that checks memory the first cannot be limited, the
	   second takes minutes */
	if (kit_memory_is_small()) {
		test_memory();
		test_text_limit();
	} else {
		ok(true, "# SKIP the memory of this process cannot be limited");
	}
	buf_free(&shown);
	return kit_done();
}
