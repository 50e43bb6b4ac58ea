/* core/verbs/write: what a store says it has done, message by message. */
#include "session-kit.h"
#include "write.h"

#define SHORT_MSECS 1500		/* a deadline that is to strike */
#define MANY 10000
#define ALL_VERBS "STORE EXPUNGE COPY MOVE CREATE DELETE RENAME"
#define CAPS(features) "'CAPS 1 '*) say '* CAPS 1 " features " " ALL_VERBS "' OK ;;\n"

static struct buf shown;

/* The ids of a text, as items. */
static struct write_item *items_of(const char *ids, size_t *count_r)
{
	struct write_item *items;
	const char *end;
	size_t count = 1;

	for (end = ids; *end != '\0'; end++)
		count += *end == ' ';
	items = mem_new(count, sizeof(*items));
	count = 0;
	for (; *ids != '\0'; ids = *end == ' ' ? end + 1 : end) {
		end = strchr(ids, ' ');
		if (end == NULL)
			end = ids + strlen(ids);
		items[count].id.p = ids;
		items[count++].id.len = (size_t)(end - ids);
	}
	*count_r = count;
	return items;
}

static void show_item(const struct write_item *item)
{
	static const char *const names[] = {
		"unknown", "done", "gone", "failed"
	};

	buf_printf(&shown, "%s%.*s %s", shown.len > 0 ? ", " : "",
		   (int)item->id.len, item->id.p, names[item->status]);
	if (item->flags_said)
		buf_printf(&shown, " flags=%s", buf_str(&item->flags));
	if (item->new_id.len > 0)
		buf_printf(&shown, " as %s", buf_str(&item->new_id));
	if (item->uid > 0)
		buf_printf(&shown, " uid=%u", item->uid);
	if (item->status == WRITE_UNKNOWN || item->status == WRITE_FAILED)
		buf_printf(&shown, " %s", fault_code_name(item->fault->code));
}

static int run(struct session *session, enum verb_id verb,
	       struct write_item *items, size_t count, struct fault *fault)
{
	if (verb == VERB_STORE)
		return write_flags(session, "Box", "+\\Seen,-$Work", items,
				   count, fault);
	if (verb == VERB_EXPUNGE)
		return write_expunge(session, "Box", items, count, fault);
	return write_copy(session, verb, "Box", "Dest", items, count, fault);
}

/* What becomes of messages: "a done flags=\Seen, b gone", with " - CODE log text"
 * if a request failed as a whole. */
static const char *write_of(struct session *session, enum verb_id verb,
			    const char *ids)
{
	size_t i, count;
	struct write_item *items = items_of(ids, &count);
	struct fault fault;
	int ret = run(session, verb, items, count, &fault);

	buf_clear(&shown);
	for (i = 0; i < count; i++)
		show_item(&items[i]);
	if (ret < 0)
		buf_printf(&shown, " - %s %s", fault_code_name(fault.code),
			   kit_short(fault.log));
	write_items_free(items, count);
	free(items);
	return buf_str(&shown);
}

/* --- replies ----------------------------------------------------------------- */

#define STORE_LINE "\"STORE Box +\\Seen,-$Work a b%20c d\""
#define COPY_LINE "\"COPY Box Dest a b%20c d\""
#define STORE_BROKE(text) "a unknown UNCERTAIN, b%20c unknown UNCERTAIN, " \
	"d unknown UNCERTAIN - UNCERTAIN @/backend: wrote " text \
	" while answering " STORE_LINE
#define COPY_BROKE(text) "a unknown UNCERTAIN, b%20c unknown UNCERTAIN, " \
	"d unknown UNCERTAIN - UNCERTAIN @/backend: wrote " text \
	" while answering " COPY_LINE

/* The ids are "a", "b c" and "d". */
static const struct {
	enum verb_id verb;
	const char *arm, *want;
} rows[] = {
	/* STORE */
	{ VERB_STORE, "say OK", "a done, b%20c done, d done" },
	{ VERB_STORE, "say '* MSG a flags=\\Seen,x' '* MSG b%20c flags=' "
	  "'* MSG d' OK", "a done flags=\\Seen,x, b%20c done flags=, d done" },
	{ VERB_STORE, "say '* MSG d flags=d' '* GONE a' "
	  "'* MSG b%20c flags=b' OK",
	  "a gone, b%20c done flags=b, d done flags=d" },
	{ VERB_STORE, "say '* MSG %64 x-new=1 flags=d' '* GONE %62%20c' OK",
	  "a done, b%20c gone, d done flags=d" },
	{ VERB_STORE, "say '* FAIL a BUSY come later' '* FAIL d' "
	  "'* FAIL b%20c WHATEVER' OK",
	  "a failed BUSY, b%20c failed UNAVAILABLE, d failed INTERNAL" },
	{ VERB_STORE, "say '* NEW a x' '* HIT a' '* NEWS' OK",
	  "a done, b%20c done, d done" },
	{ VERB_STORE, "say '* MSG b%20c flags=b' '* FAIL a LIMIT' "
	  "'NO BUSY no'", "a failed LIMIT, b%20c done flags=b, d unknown BUSY "
	  "- BUSY @/backend answered " STORE_LINE " with NO: BUSY no" },
	{ VERB_STORE, "say 'NO UNSUPPORTED'", "a unknown UNSUPPORTED, b%20c "
	  "unknown UNSUPPORTED, d unknown UNSUPPORTED - UNSUPPORTED @/backend "
	  "answered " STORE_LINE " with NO: UNSUPPORTED " },
	{ VERB_STORE, "say '* MSG a flags=' '* GONE a' OK",
	  STORE_BROKE("a second item for an id: \"* GONE a\"") },
	{ VERB_STORE, "say '* MSG a flags=' '* MSG %61 flags=' OK",
	  STORE_BROKE("a second item for an id: \"* MSG %61 flags=\"") },
	{ VERB_STORE, "say '* MSG other flags=' OK",
	  STORE_BROKE("an id that was not asked for: \"* MSG other flags=\"") },
	{ VERB_STORE, "say '* MSG' OK",
	  STORE_BROKE("an id that was not asked for: \"* MSG\"") },
	{ VERB_STORE, "say '* GONE a%2' OK",
	  STORE_BROKE("an id that was not asked for: \"* GONE a%2\"") },
	{ VERB_STORE, "say '* MSG a flags=' hello OK",
	  STORE_BROKE("\"hello\" to stdout, which is neither \"* \", \"OK\" nor "
		      "\"NO \"; messages belong on stderr") },
	/* EXPUNGE */
	{ VERB_EXPUNGE, "say OK", "a done, b%20c done, d done" },
	{ VERB_EXPUNGE, "say '* GONE a' '* FAIL d NOPERM' OK",
	  "a gone, b%20c done, d failed NOPERM" },
	{ VERB_EXPUNGE, "say '* MSG a flags=' OK",
	  "a done, b%20c done, d done" },
	{ VERB_EXPUNGE, "say '* GONE a' 'NO READONLY x'", "a gone, b%20c "
	  "unknown READONLY, d unknown READONLY - READONLY @/backend answered "
	  "\"EXPUNGE Box a b%20c d\" with NO: READONLY x" },
	/* COPY and MOVE */
	{ VERB_COPY, "say '* NEW a A' '* NEW b%20c B%20C uid=7' "
	  "'* NEW d %2D x=y' OK",
	  "a done as A, b%20c done as B%20C uid=7, d done as %2D" },
	{ VERB_MOVE, "say '* NEW d D' '* GONE b%20c' '* FAIL a LIMIT' OK",
	  "a failed LIMIT, b%20c gone, d done as D" },
	{ VERB_COPY, "say '* NEW b%20c B' OK",
	  "a failed INTERNAL, b%20c done as B, d failed INTERNAL" },
	{ VERB_MOVE, "say OK",
	  "a failed INTERNAL, b%20c failed INTERNAL, d failed INTERNAL" },
	{ VERB_COPY, "say '* NEW a A' 'NO OVERQUOTA full'", "a done as A, b%20c "
	  "unknown OVERQUOTA, d unknown OVERQUOTA - OVERQUOTA @/backend "
	  "answered " COPY_LINE " with NO: OVERQUOTA full" },
	{ VERB_COPY, "say '* NEW a' OK",
	  COPY_BROKE("a NEW without a proper new id: \"* NEW a\"") },
	{ VERB_COPY, "say '* NEW a -' OK",
	  COPY_BROKE("a NEW without a proper new id: \"* NEW a -\"") },
	{ VERB_COPY, "say '* NEW a A%' OK",
	  COPY_BROKE("a NEW without a proper new id: \"* NEW a A%\"") },
	{ VERB_COPY, "say '* NEW a A uid=0' OK",
	  COPY_BROKE("a value out of range: \"* NEW a A uid=0\"") },
	{ VERB_COPY, "say '* NEW a A uid=4294967295' OK",
	  COPY_BROKE("a value out of range: \"* NEW a A uid=4294967295\"") },
	{ VERB_COPY, "say '* NEW a A' '* NEW a B' OK",
	  COPY_BROKE("a second item for an id: \"* NEW a B\"") },
	{ VERB_COPY, "say '* NEW x A' OK",
	  COPY_BROKE("an id that was not asked for: \"* NEW x A\"") },
};

static void test_rows(void)
{
	struct session *session;
	char arms[512];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(arms, sizeof(arms), CAPS("batch=9")
			       "%s*) %s ;;", verb_info(rows[i].verb)->name,
			       rows[i].arm);
		session = kit_session(arms, KIT_TIMEOUT_MSECS);
		is_str(write_of(session, rows[i].verb, "a b%20c d"),
		       rows[i].want, "%s: %s", verb_info(rows[i].verb)->name,
		       rows[i].arm);
		is_num(kit_copies(), 1, "of one copy");
		is_str(kit_log_text(), "", "and nothing is logged here");
		session_deinit(&session);
	}
}

static void test_requests(void)
{
	struct session *session = kit_session(CAPS("batch=9")
		"[SE]*) say OK ;;\n"
		"*) set -- $line; say \"* NEW $4 x\" \"* NEW $5 y\" OK ;;",
		KIT_TIMEOUT_MSECS);

	(void)write_of(session, VERB_STORE, "a%20b %2D");
	(void)write_of(session, VERB_EXPUNGE, "a%20b %2D");
	(void)write_of(session, VERB_COPY, "a%20b %2D");
	(void)write_of(session, VERB_MOVE, "a%20b %2D");
	is_num(kit_requests("STORE Box +\\Seen,-$Work a%20b %2D\n"), 1, "STORE");
	is_num(kit_requests("EXPUNGE Box a%20b %2D\n"), 1, "EXPUNGE");
	is_num(kit_requests("COPY Box Dest a%20b %2D\n"), 1, "COPY");
	is_num(kit_requests("MOVE Box Dest a%20b %2D\n"), 1, "MOVE");
	is_str(write_of(session, VERB_STORE, ""), "", "no message at all");
	is_num(kit_requests("STORE"), 1, "is no request");
	session_deinit(&session);
}

static void test_fail_texts(void)
{
	struct session *session = kit_session(CAPS("batch=9")
		"STORE*) say '* FAIL a BUSY retry=7 come  later' OK ;;\n"
		"COPY*) say OK ;;", KIT_TIMEOUT_MSECS);
	size_t count;
	struct write_item *items = items_of("a b", &count);
	struct fault fault;

	is_num(run(session, VERB_STORE, items, count, &fault), 0,
	       "a message that failed is no failed request");
	is_num(items[0].fault->retry_secs, 7, "its retry=");
	is_num(items[0].fault->scope, FAULT_SCOPE_MESSAGE, "its scope");
	ok(items[0].fault->from_backend, "it was the backend");
	is_str(items[0].fault->user, "come  later", "its words");
	is_str(kit_short(items[0].fault->log), "@/backend answered \"STORE Box "
	       "+\\Seen,-$Work a b\" with FAIL: BUSY retry=7 come  later",
	       "and the log's");
	write_items_free(items, count);
	is_num(run(session, VERB_COPY, items, count, &fault), 0, "a copy");
	is_str(kit_short(items[1].fault->log), "@/backend: did not name \"b\" "
	       "while answering \"COPY Box Dest a b\"",
	       "that does not name a message");
	write_items_free(items, count);
	free(items);
	session_deinit(&session);
}

static void test_long_flags(void)
{
	struct session *session = kit_session(CAPS("batch=9")
		"STORE*) x=$(head -c 4096 /dev/zero | tr '\\0' x)\n"
		"	say \"* MSG a flags=$x\" \"* MSG b flags=x$x\" OK ;;",
		KIT_TIMEOUT_MSECS);
	size_t count;
	struct write_item *items = items_of("a b", &count);
	struct fault fault;

	is_num(run(session, VERB_STORE, items, count, &fault), 0, "flags");
	is_num(items[0].flags.len, 4096, "as many as a message may have");
	ok(items[1].status == WRITE_DONE && !items[1].flags_said,
	   "more are not kept");
	write_items_free(items, count);
	free(items);
	session_deinit(&session);
}

/* --- verbs that are not there ------------------------------------------------ */

static void test_verb_missing(void)
{
	struct session *session = kit_session(
		"'CAPS 1 '*) say '* CAPS 1 STORE' OK ;;\n"
		"STORE*) say OK ;;", KIT_TIMEOUT_MSECS);
	struct fault fault;

	is_str(write_of(session, VERB_COPY, "a b"), "a unknown UNSUPPORTED, "
	       "b unknown UNSUPPORTED - UNSUPPORTED @/backend: does not have "
	       "the verb COPY", "a verb that was not announced");
	is_num(kit_requests("COPY"), 0, "is not sent");
	is_num(write_box(session, VERB_CREATE, "New", NULL, &fault), -1,
	       "the same for mailboxes");
	is_num(fault.code, FAULT_UNSUPPORTED, "which is UNSUPPORTED");
	is_num(kit_requests("CREATE"), 0, "and not sent");
	is_str(write_of(session, VERB_STORE, "a"), "a done",
	       "and the copy goes on");
	is_num(kit_copies(), 1, "the same one");
	session_deinit(&session);
}

static void test_no_copy(void)
{
	struct session *session = kit_session("CAPS*) exit 78 ;;",
					      KIT_TIMEOUT_MSECS);

	ok(kit_begins(write_of(session, VERB_COPY, "a b"), "a unknown UNAVAILABLE, "
		  "b unknown UNAVAILABLE - UNAVAILABLE "),
	   "a backend that cannot be started has changed nothing");
	session_deinit(&session);
}

/* --- splitting --------------------------------------------------------------- */

static void test_batch(void)
{
	struct session *session = kit_session(CAPS("batch=2")
		"STORE*e) say '* MSG e flags=' OK ;;\n"
		"STORE*) set -- $line; say \"* GONE $4\" OK ;;",
		KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_STORE, "a b c d e"), "a gone, b done, "
	       "c gone, d done, e done flags=", "five ids by batch=2");
	is_num(kit_requests("STORE Box +\\Seen,-$Work a b\n"), 1, "the first");
	is_num(kit_requests("STORE Box +\\Seen,-$Work c d\n"), 1, "the second");
	is_num(kit_requests("STORE Box +\\Seen,-$Work e\n"), 1, "the third");
	is_num(kit_requests("STORE"), 3, "no other");
	session_deinit(&session);
	session = kit_session(CAPS("") "STORE*) say OK ;;", KIT_TIMEOUT_MSECS);
	is_str(write_of(session, VERB_STORE, "a b"), "a done, b done",
	       "two ids without batch");
	is_num(kit_requests("STORE Box +\\Seen,-$Work a\n"), 1, "are two");
	is_num(kit_requests("STORE Box +\\Seen,-$Work b\n"), 1, "requests");
	session_deinit(&session);
}

/* A text of count ids that have len bytes each. */
static void long_ids(struct buf *ids, int count, int len)
{
	int i;

	buf_clear(ids);
	for (i = 0; i < count; i++)
		buf_printf(ids, "%s%0*d", i > 0 ? " " : "", len, i);
}

static void test_line_limit(void)
{
	struct session *session = kit_session(CAPS("batch=100")
		"STORE*) [ ${#line} -le 65535 ] || exit 1\n"
		"	echo ${#line} >>lengths; say OK ;;", KIT_TIMEOUT_MSECS);
	struct buf ids = { NULL, 0, 0 };
	const char *said;

	/* "STORE Box +\Seen,-$Work" has 23 bytes: with these it is 65535 */
	long_ids(&ids, 3, 21836);
	buf_append_c(&ids, '3');
	(void)write_of(session, VERB_STORE, ids.p);
	is_num(kit_requests("STORE"), 1, "a line of the limit's length");
	is_num(kit_count("lengths", "65535\n"), 1, "goes out");
	buf_append_c(&ids, '4');
	(void)write_of(session, VERB_STORE, ids.p);
	is_num(kit_requests("STORE"), 3, "a byte more makes two of it");
	long_ids(&ids, 1, 65536);
	said = write_of(session, VERB_STORE, ids.p);
	ok(strstr(said, "unknown LIMIT - LIMIT @/backend: the request would be "
		  "longer than 65535 bytes") != NULL,
	   "one id that is too long alone is beyond the limit");
	is_num(kit_requests("STORE"), 3, "and is not sent");
	is_num(kit_copies(), 1, "all by one copy");
	(void)unlink(kit_path("lengths"));
	buf_free(&ids);
	session_deinit(&session);
}

static void test_many(void)
{
	struct session *session = kit_session(CAPS("batch=10000")
		"STORE*) printf '%s\\n' \"$line\" | tr ' ' '\\n' | sed 1,3d |\n"
		"	sort -r | sed 's/.*/* MSG & flags=&/'; say OK ;;",
		KIT_TIMEOUT_MSECS);
	struct buf ids = { NULL, 0, 0 };
	struct write_item *items;
	struct fault fault;
	size_t i, count, right = 0;

	long_ids(&ids, MANY, 5);
	items = items_of(ids.p, &count);
	is_num(run(session, VERB_STORE, items, count, &fault), 0,
	       "10000 messages, answered from the last to the first");
	is_num(kit_requests("STORE"), 1, "in one request");
	for (i = 0; i < count; i++)
		right += items[i].status == WRITE_DONE &&
			view_equals(view_of_buf(&items[i].flags), items[i].id);
	is_num(right, MANY, "each gets its own answer");
	write_items_free(items, count);
	free(items);
	buf_free(&ids);
	session_deinit(&session);
}

/* --- several at once --------------------------------------------------------- */

static void test_pipeline(void)
{
	struct session *session = kit_session(CAPS("batch=2 pipeline=3")
		"*' a b') read -r second; read -r third\n"
		"	echo \"$second\" >>requests; echo \"$third\" >>requests\n"
		"	say '* GONE b' OK '* GONE c' OK '* GONE f' OK ;;\n"
		"STORE*) say '* MSG g flags=g' OK ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_STORE, "a b c d e f g"), "a done, b gone, "
	       "c gone, d done, e done, f gone, g done flags=g",
	       "three requests are sent before one is answered");
	is_num(kit_requests("STORE"), 4, "of four");
	session_deinit(&session);
}

static void test_pipeline_no(void)
{
	struct session *session = kit_session(CAPS("pipeline=3")
		"*' a') say 'NO BUSY not a' ;;\n"
		"*' b') say 'NO LIMIT not b' ;;\n"
		"EXPUNGE*) say OK ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_EXPUNGE, "a b c d e"), "a unknown BUSY, "
	       "b unknown LIMIT, c done, d unknown BUSY, e unknown BUSY - BUSY "
	       "@/backend answered \"EXPUNGE Box a\" with NO: BUSY not a",
	       "what was sent when NO came has its own answer");
	is_num(kit_requests("EXPUNGE"), 3, "what was not is not sent");
	session_deinit(&session);
}

/* More than can be under way: of ten lines at most four are in the pipe and in
 * memory when the first is answered. */
static void test_pipeline_no_long(void)
{
	struct session *session = kit_session(CAPS("pipeline=10")
		"*' 000'*000) say 'NO BUSY no' ;;\n"
		"EXPUNGE*) say OK ;;", KIT_TIMEOUT_MSECS);
	struct buf ids = { NULL, 0, 0 };
	size_t count;
	struct write_item *items;
	struct fault fault;

	long_ids(&ids, 10, 60000);
	items = items_of(ids.p, &count);
	is_num(run(session, VERB_EXPUNGE, items, count, &fault), -1,
	       "NO to the first of many");
	is_num(items[9].fault->code, FAULT_BUSY, "is that of the last, which");
	ok(kit_count("requests", "EXPUNGE") < 10, "was not sent");
	write_items_free(items, count);
	free(items);
	buf_free(&ids);
	session_deinit(&session);
}

static void test_pipeline_death(void)
{
	struct session *session = kit_session(CAPS("pipeline=4")
		"*' b') [ $copy -gt 1 ] || exit 3; say '* GONE b' OK ;;\n"
		"STORE*) say OK ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_STORE, "a b c d e"), "a done, b gone, "
	       "c done, d done, e done",
	       "a copy dies with four STOREs: a fresh one gets what it had not "
	       "answered");
	is_num(kit_requests("STORE Box +\\Seen,-$Work a"), 1, "no other");
	is_num(kit_copies(), 2, "one death, two copies");
	session_deinit(&session);
}

/* A COPY that goes wrong leaves but one request in doubt. */
static void test_copy_alone(void)
{
	struct session *session = kit_session(CAPS("pipeline=9")
		"*' b') exit 1 ;;\n"
		"*) set -- $line; say \"* NEW $4 n$4\" OK ;;",
		KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_COPY, "a b c d"), "a done as na, "
	       "b unknown UNCERTAIN, c unknown UNAVAILABLE, d unknown "
	       "UNAVAILABLE - UNCERTAIN @/backend: ended while answering "
	       "\"COPY Box Dest b\": exited with status 1",
	       "a copy dies with a COPY: those after it were not copied");
	is_num(kit_requests("COPY"), 2, "and not sent");
	is_num(kit_copies(), 1, "to nobody");
	session_deinit(&session);
}

static void test_not_sent_text(void)
{
	struct session *session = kit_session(CAPS("") "*) exit 1 ;;",
					      KIT_TIMEOUT_MSECS);
	size_t count;
	struct write_item *items = items_of("a b", &count);
	struct fault fault;

	(void)run(session, VERB_MOVE, items, count, &fault);
	is_str(items[0].fault->user, fault_code_text(FAULT_UNCERTAIN),
	       "who may have been moved is told so");
	is_str(items[1].fault->user, fault_code_text(FAULT_UNAVAILABLE),
	       "who was not is told to come again");
	is_str(kit_short(items[1].fault->log), "not sent any more after: "
	       "@/backend: ended while answering \"MOVE Box Dest a\": exited "
	       "with status 1", "and the log says why");
	write_items_free(items, count);
	free(items);
	session_deinit(&session);
}

/* --- death ------------------------------------------------------------------- */

static void test_store_again(void)
{
	struct session *session = kit_session(CAPS("batch=9")
		"STORE*) [ $copy -gt 1 ] || { say '* GONE a' '* MSG b flags=x'\n"
		"	exit 1; }; say '* MSG a flags=y' OK ;;\n"
		"EXPUNGE*) say '* GONE a'; exit 2 ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_STORE, "a b"), "a done flags=y, b done",
	       "a STORE is repeated, what the dead copy said is forgotten");
	is_num(kit_requests("STORE"), 2, "once");
	is_str(kit_log_text(), "warning answered by a fresh copy after: "
	       "@/backend: ended while answering \"STORE Box +\\Seen,-$Work "
	       "a b\": exited with status 1\n", "and one warning tells");
	is_str(write_of(session, VERB_EXPUNGE, "a b"), "a unknown UNCERTAIN, "
	       "b unknown UNCERTAIN - UNCERTAIN @/backend: ended while answering "
	       "\"EXPUNGE Box a b\": exited with status 2; then: @/backend: "
	       "ended while answering \"EXPUNGE Box a b\": exited with status 2",
	       "a second death leaves an EXPUNGE in doubt");
	is_num(kit_requests("EXPUNGE"), 2, "twice is enough");
	session_deinit(&session);
}

static void test_copy_once(void)
{
	struct session *session = kit_session(CAPS("batch=9")
		"COPY*) say '* NEW a A'; exit 1 ;;\n"
		"MOVE*) exit 2 ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_COPY, "a b"), "a unknown UNCERTAIN, "
	       "b unknown UNCERTAIN - UNCERTAIN @/backend: ended while answering "
	       "\"COPY Box Dest a b\": exited with status 1",
	       "a reply that breaks off says nothing");
	is_num(kit_requests("COPY"), 1, "and a COPY is not repeated");
	(void)write_of(session, VERB_MOVE, "a b");
	is_num(kit_requests("MOVE"), 1, "nor a MOVE");
	session_deinit(&session);
}

/* It closes its stdin before it says that it is ready. */
static void test_death_before(void)
{
	struct session *session = kit_session(
		"'CAPS 1 '*) [ $copy -gt 1 ] || exec <&-\n"
		"	say '* CAPS 1 COPY' OK ;;\n"
		"COPY*) say '* NEW a A' OK ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_COPY, "a"), "a done as A",
	       "a copy that could not get a COPY has not done it");
	is_num(kit_requests("COPY"), 1, "so it is sent to a fresh one");
	is_num(kit_copies(), 2, "the second");
	session_deinit(&session);
}

static void test_deadline(void)
{
	struct session *session = kit_session(CAPS("")
		"STORE* | MOVE*) sleep 60 ;;", SHORT_MSECS);

	is_str(write_of(session, VERB_STORE, "a"), "a unknown UNCERTAIN - "
	       "UNCERTAIN @/backend: wrote nothing for 1.500 s while answering "
	       "\"STORE Box +\\Seen,-$Work a\"", "a deadline leaves a write in "
	       "doubt");
	is_num(kit_requests("STORE"), 1, "and does not repeat it");
	is_str(write_of(session, VERB_MOVE, "a"), "a unknown UNCERTAIN - "
	       "UNCERTAIN @/backend: wrote nothing for 1.500 s while answering "
	       "\"MOVE Box Dest a\"", "whether it might be or not");
	session_deinit(&session);
}

#define STORE_DIED(ids) "@/backend: ended while answering \"STORE Box " \
	"+\\Seen,-$Work " ids "\": exited with status 1; then: @/backend: "

/* The copy that is to repeat it can do less, or cannot be had. */
static void test_other_copy(void)
{
	struct session *session = kit_session(
		"'CAPS 1 '*) say \"* CAPS 1 $([ $copy -gt 1 ] || echo STORE)\" OK\n"
		"	;;\n"
		"STORE*) exit 1 ;;", KIT_TIMEOUT_MSECS);

	is_str(write_of(session, VERB_STORE, "a"), "a unknown UNCERTAIN - "
	       "UNCERTAIN " STORE_DIED("a") "does not have the verb STORE",
	       "a STORE is not repeated by a copy without it");
	is_num(kit_requests("STORE"), 1, "but may have happened");
	session_deinit(&session);
	session = kit_session(
		"'CAPS 1 '*) say \"* CAPS 1 STORE batch=$((4 - copy))\" OK ;;\n"
		"STORE*) exit 1 ;;", KIT_TIMEOUT_MSECS);
	is_str(write_of(session, VERB_STORE, "a b c"), "a unknown UNCERTAIN, "
	       "b unknown UNCERTAIN, c unknown UNCERTAIN - UNCERTAIN "
	       STORE_DIED("a b c") "has only batch=2 now, not enough for 3 ids",
	       "nor by one that takes fewer ids");
	is_num(kit_requests("STORE"), 1, "which does not get them");
	session_deinit(&session);
	session = kit_session(
		"'CAPS 1 '*) [ $copy -eq 1 ] || more='ready\\n'\n"
		"	printf \"* CAPS 1 STORE\\nOK\\n$more\" ;;\n"
		"STORE*) exit 1 ;;", KIT_TIMEOUT_MSECS);
	ok(kit_begins(write_of(session, VERB_STORE, "a"), "a unknown UNCERTAIN - "
		      "UNCERTAIN " STORE_DIED("a") "wrote \"ready\" to stdout "),
	   "nor by one that goes wrong before it has it");
	is_num(kit_requests("STORE"), 1, "and does not get it");
	session_deinit(&session);
	session = kit_session(CAPS("pipeline=2")
		"STORE*) exit 78 ;;", KIT_TIMEOUT_MSECS);
	ok(kit_begins(write_of(session, VERB_STORE, "a b c"), "a unknown UNCERTAIN, "
		  "b unknown UNCERTAIN, c unknown UNAVAILABLE - UNCERTAIN "),
	   "nor when there is no other");
	session_deinit(&session);
}

/* --- mailboxes --------------------------------------------------------------- */

static const char *box_of(struct session *session, enum verb_id verb,
			  const char *box, const char *new)
{
	struct fault fault;

	buf_clear(&shown);
	if (write_box(session, verb, box, new, &fault) < 0)
		buf_printf(&shown, "%s %s", fault_code_name(fault.code),
			   kit_short(fault.log));
	else
		buf_append_str(&shown, "done");
	return buf_str(&shown);
}

static void test_boxes(void)
{
	struct session *session = kit_session(CAPS("")
		"'CREATE a%20b/c' | 'DELETE a' | 'RENAME a b') say OK ;;\n"
		"'CREATE a') say '* BOX a' '* GONE a' 'NO EXISTS have it' ;;\n"
		"CREATE*) exit 1 ;;\n"
		"DELETE*) say hello OK ;;", KIT_TIMEOUT_MSECS);

	is_str(box_of(session, VERB_CREATE, "a%20b/c", NULL), "done", "CREATE");
	is_str(box_of(session, VERB_DELETE, "a", NULL), "done", "DELETE");
	is_str(box_of(session, VERB_RENAME, "a", "b"), "done", "RENAME");
	is_str(box_of(session, VERB_CREATE, "a", NULL), "EXISTS @/backend "
	       "answered \"CREATE a\" with NO: EXISTS have it", "NO");
	is_num(kit_copies(), 1, "all by one copy");
	is_str(box_of(session, VERB_CREATE, "b", NULL), "UNCERTAIN @/backend: "
	       "ended while answering \"CREATE b\": exited with status 1",
	       "a copy that dies leaves CREATE in doubt");
	is_num(kit_requests("CREATE b"), 1, "and it is not repeated");
	is_str(box_of(session, VERB_DELETE, "b", NULL), "UNCERTAIN @/backend: "
	       "wrote \"hello\" to stdout, which is neither \"* \", \"OK\" nor "
	       "\"NO \"; messages belong on stderr while answering \"DELETE b\"",
	       "stray output does that to DELETE");
	session_deinit(&session);
	session = kit_session(CAPS("") "RENAME*) sleep 60 ;;", SHORT_MSECS);
	is_str(box_of(session, VERB_RENAME, "b", "c"), "UNCERTAIN @/backend: "
	       "wrote nothing for 1.500 s while answering \"RENAME b c\"",
	       "and a deadline to RENAME");
	session_deinit(&session);
}

int main(void)
{
	kit_init();
	test_rows();
	test_requests();
	test_fail_texts();
	test_long_flags();
	test_verb_missing();
	test_no_copy();
	test_batch();
	test_line_limit();
	test_many();
	test_pipeline();
	test_pipeline_no();
	test_pipeline_no_long();
	test_pipeline_death();
	test_copy_alone();
	test_not_sent_text();
	test_store_again();
	test_copy_once();
	test_death_before();
	test_deadline();
	test_other_copy();
	test_boxes();
	buf_free(&shown);
	return kit_done();
}
