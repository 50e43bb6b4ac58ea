/* core/verbs/boxes: which mailboxes there are, and the file that remembers it. */
#include "session-kit.h"
#include "boxes.h"

#define PAUSE 60
#define NOW 1700000000
/* in one write: the next list must not come into this one */
#define LISTS "lines=$(cat list); say \"$lines\""

static struct buf warned, shown;
static char path[128];
static struct session *session;
static int64_t now;

static void on_warn(void *context, const char *text)
{
	(void)context;
	buf_printf(&warned, "%s\n", text);
}

/* What the store will list; "OK" is the last line of a full one. */
static void store_lists(const char *answer)
{
	kit_write(kit_path("list"), answer, strlen(answer), 0644);
}

static struct boxes *boxes_at(const char *file)
{
	buf_clear(&warned);
	return boxes_init(file, on_warn, NULL);
}

static const char *show(const struct boxes *boxes)
{
	const struct listing_boxes *known = boxes_known(boxes);
	const struct listing_box *box;
	size_t i;

	buf_clear(&shown);
	for (i = 0; i < known->count; i++) {
		box = &known->boxes[i];
		buf_printf(&shown, "%s%s%s%s", i > 0 ? " " : "", box->wire,
			   box->id != NULL ? "=" : "",
			   box->id != NULL ? box->id : "");
		if (box->missing_since > 0)
			buf_printf(&shown, "?%lld",
				   (long long)(box->missing_since - NOW));
	}
	return buf_str(&shown);
}

static const char *ask(struct boxes *boxes, bool force)
{
	struct reconcile_policy policy;
	struct fault fault;

	memset(&policy, 0, sizeof(policy));
	policy.force = force;
	policy.now = now;
	policy.brake_pause_secs = PAUSE;
	if (boxes_ask(boxes, session, &policy, &fault) == 0)
		return show(boxes);
	buf_clear(&shown);
	buf_append_str(&shown, kit_short(fault.log));
	return buf_str(&shown);
}

/* Another process asks: it knows only what the file says. */
static const char *ask_anew(const char *answer)
{
	struct boxes *boxes = boxes_at(path);

	store_lists(answer);
	(void)ask(boxes, false);
	boxes_deinit(&boxes);
	return buf_str(&shown);
}

static const char *file_text(void)
{
	static char text[16384];
	FILE *f = fopen(path, "r");
	size_t got = f == NULL ? 0 : fread(text, 1, sizeof(text) - 1, f);

	if (f != NULL)
		(void)fclose(f);
	text[got] = '\0';
	return text;
}

static void begin(void)
{
	(void)unlink(path);
	now = NOW;
}

/* --- what a list means ------------------------------------------------------- */

static void test_delta(void)
{
	begin();
	is_str(ask_anew("* BOX a\n* BOX b id=1\n* BOX c id=2\nOK\n"),
	       "a b=1 c=2", "a full list is what there is");
	is_str(ask_anew("* BOX c id=3\n* BOX d\nOK delta\n"), "a b=1 c=3 d",
	       "what a delta does not name stays as it was, for all sessions");
	is_str(ask_anew("* BOX e id=1\nOK delta\n"), "a c=3 d e=1",
	       "an id that it names under another name was renamed");
	is_str(ask_anew("OK delta\n"), "a c=3 d e=1", "an empty delta");
	is_str(ask_anew("* BOX a\n* BOX c id=3\n* BOX d\nOK full\n"),
	       "a c=3 d", "a full list says what is gone");
}

static void test_delta_options(void)
{
	struct boxes *boxes = boxes_at(path);
	const struct listing_box *box;

	begin();
	store_lists("* BOX %2D%20x id=a%41 flags=\\Sent,\\Noselect state=7 ro\n"
		    "* BOX y state=8\nOK\n");
	(void)ask(boxes, false);
	box = listing_box_find(boxes_known(boxes), view_of("- x"));
	is_str(box == NULL ? NULL : box->state, "7", "a list tells states");
	store_lists("OK delta\n");
	(void)ask(boxes, false);
	boxes_deinit(&boxes);
	boxes = boxes_at(path);
	(void)ask(boxes, false);
	box = listing_box_find(boxes_known(boxes), view_of("- x"));
	ok(box != NULL && box->ro && strcmp(box->wire, "%2D%20x") == 0 &&
	   strcmp(box->id, "aA") == 0 &&
	   strcmp(box->flags, "\\Sent,\\Noselect") == 0,
	   "a delta of another session leaves all that the list said");
	ok(box != NULL && box->state == NULL,
	   "but the state, which is that of the moment");
	boxes_deinit(&boxes);
}

static const char five[] = "* BOX INBOX\n* BOX a\n* BOX b\n* BOX c id=7\nOK\n";

static void test_brake(void)
{
	begin();
	is_str(ask_anew(five), "INBOX a b c=7", "four mailboxes");
	is_str(buf_str(&warned), "", "are nothing to warn of");
	is_str(ask_anew("* BOX INBOX\nOK\n"), "INBOX a?0 b?0 c=7?0",
	       "when all but the INBOX are missing, they stay");
	is_str(kit_short(buf_str(&warned)),
	       "@/backend: 3 of 4 mailboxes are missing from its list: they are "
	       "kept until a list at least 60 s later lacks them too, or "
	       "doveadm force-resync\n", "and that is said");
	now += PAUSE - 1;
	is_str(ask_anew("* BOX INBOX\nOK\n"), "INBOX a?0 b?0 c=7?0",
	       "a list within the pause takes nothing");
	is_str(buf_str(&warned), "", "and says nothing");
	is_str(ask_anew("OK delta\n"), "INBOX a?0 b?0 c=7?0",
	       "nor does a delta");
	now++;
	is_str(ask_anew("* BOX INBOX\nOK\n"), "INBOX",
	       "a second list after the pause is believed");
}

static void test_brake_back(void)
{
	begin();
	(void)ask_anew(five);
	(void)ask_anew("OK\n");
	is_str(buf_str(&shown), "INBOX?0 a?0 b?0 c=7?0",
	       "an empty list takes nothing");
	now += 10 * PAUSE;
	is_str(ask_anew(five), "INBOX a b c=7", "what is back is as it was");
	is_str(ask_anew("OK\n"), "INBOX?600 a?600 b?600 c=7?600",
	       "and the first time it was missing counts no more");
	is_str(ask_anew("* BOX a\nOK delta\n"), "INBOX?600 a b?600 c=7?600",
	       "a delta names what is back");
	is_str(ask_anew("* BOX b\n* BOX d\nOK full\n"), "INBOX?600 b d",
	       "a few that are missing are gone, suspect or not");
}

static void test_brake_limits(void)
{
	struct buf list = { NULL, 0, 0 };
	unsigned int i;

	begin();
	is_str(ask_anew("* BOX INBOX\n* BOX a\n* BOX b\nOK\n"), "INBOX a b", "two");
	is_str(ask_anew("* BOX INBOX\nOK\n"), "INBOX",
	       "two of two mailboxes may vanish");
	for (i = 10; i < 30; i++)
		buf_printf(&list, "* BOX m%u\n", i);
	buf_append_str(&list, "OK\n");
	(void)ask_anew(list.p);
	(void)ask_anew(strstr(list.p, "* BOX m15"));
	ok(strncmp(buf_str(&shown), "INBOX?0 m10?0 m11?0 m12?0 m13?0 m14?0 m15 ",
		   42) == 0, "a quarter of twenty stays");
	(void)ask_anew(list.p);
	(void)ask_anew(strstr(list.p, "* BOX m14"));
	ok(strncmp(buf_str(&shown), "INBOX?0 m14 m15 ", 16) == 0,
	   "a fifth goes, and the INBOX stays: %.20s", buf_str(&shown));
	buf_free(&list);
}

static void test_brake_ids(void)
{
	begin();
	(void)ask_anew("* BOX a id=1\n* BOX b id=2\n* BOX c id=3\nOK\n");
	is_str(ask_anew("* BOX x/a id=1\n* BOX x/b id=2\n* BOX x/c id=3\nOK\n"),
	       "x/a=1 x/b=2 x/c=3", "what was renamed is not missing");
	is_str(ask_anew("* BOX x/a id=4\n* BOX x/b id=5\n* BOX x/c id=6\nOK\n"),
	       "x/a=4 x/b=5 x/c=6", "what has another id is another mailbox");
}

static void test_force(void)
{
	struct boxes *boxes;

	begin();
	(void)ask_anew(five);
	boxes = boxes_at(path);
	store_lists("OK\n");
	is_str(ask(boxes, true), "INBOX?0", "force-resync believes at once");
	boxes_deinit(&boxes);
}

static void test_forget(void)
{
	struct boxes *boxes;

	begin();
	(void)ask_anew("* BOX a\n* BOX a/b\n* BOX a/c\n* BOX ab\n* BOX d\nOK\n");
	boxes = boxes_at(path);
	boxes_forget(boxes, "d", false);
	boxes_forget(boxes, "nothing", true);
	is_str(ask_anew("OK delta\n"), "a a/b a/c ab",
	       "what the bridge has deleted is forgotten");
	boxes_forget(boxes, "a", true);
	is_str(ask_anew("OK delta\n"), "ab", "and what is below what it moved");
	boxes_deinit(&boxes);
	is_str(buf_str(&warned), "", "without a warning");
}

static void test_inbox(void)
{
	begin();
	(void)ask_anew("* BOX INBOX id=1\n* BOX a\nOK\n");
	is_str(ask_anew("* BOX a\nOK\n"), "INBOX=1?0 a",
	       "an INBOX that was listed once stays known");
	now += 10 * PAUSE;
	is_str(ask_anew("* BOX a\nOK\n"), "INBOX=1?0 a", "for ever");
	is_str(ask_anew("* BOX a\n* BOX old id=1\nOK\n"), "a old=1",
	       "unless it is another mailbox now");
}

static void test_failed_list(void)
{
	struct boxes *boxes = boxes_at(path);

	begin();
	(void)ask_anew(five);
	store_lists("* BOX a\nNO UNAVAILABLE\n");
	(void)ask(boxes, false);
	ok(strstr(buf_str(&shown), "with NO: UNAVAILABLE") != NULL,
	   "a list that fails is a fault");
	is_str(ask_anew("OK delta\n"), "INBOX a b c=7", "and changes nothing");
	boxes_deinit(&boxes);
}

/* --- the file ---------------------------------------------------------------- */

static void test_file(void)
{
	static const char *const text =
		"! dovebridge mailboxes 1\n"
		"* BOX INBOX\n"
		"* BOX a missing=1700000000\n"
		"* BOX b missing=1700000000\n"
		"* BOX c id=7 missing=1700000000\n"
		"OK full sum=";
	struct stat before, after;

	begin();
	(void)ask_anew(five);
	(void)ask_anew("* BOX INBOX\nOK\n");
	ok(strncmp(file_text(), text, strlen(text)) == 0 &&
	   strlen(file_text()) == strlen(text) + 33, "the file is a list");
	(void)stat(path, &before);
	ok((before.st_mode & 0777) == 0600, "it is for its user alone");
	(void)ask_anew("* BOX INBOX\nOK\n");
	(void)stat(path, &after);
	ok(before.st_ino == after.st_ino &&
	   before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
	   "it is not written when nothing has changed");
}

static void check_unusable(const char *text, size_t size, const char *what)
{
	kit_write(path, text, size, 0600);
	(void)ask_anew("* BOX z\nOK delta\n");
	ok(strcmp(buf_str(&shown), "z") == 0 &&
	   strstr(buf_str(&warned), "cannot be used: ") != NULL &&
	   strchr(buf_str(&warned), '\n') ==
	   buf_str(&warned) + warned.len - 1, "%s", what);
}

static void test_damaged(void)
{
	char text[16384];
	unsigned int bad = 0;
	size_t i, size;

	begin();
	(void)ask_anew(five);
	(void)strcpy(text, file_text());
	size = strlen(text);
	for (i = 0; i < size; i++) {
		text[i] ^= 1;
		kit_write(path, text, size, 0600);
		text[i] ^= 1;
		bad += strcmp(ask_anew("* BOX z\nOK delta\n"), "z") != 0;
		bad += strstr(buf_str(&warned), "cannot be used") == NULL;
	}
	is_num(bad, 0, "a bit that is wrong anywhere is seen");
	for (i = 0; i < size; i++) {
		kit_write(path, text, i, 0600);
		bad += strcmp(ask_anew("* BOX z\nOK delta\n"), "z") != 0;
	}
	is_num(bad, 0, "and so is an end that is missing");
	is_str(ask_anew("OK delta\n"), "z", "the next session finds it sound");
	is_str(buf_str(&warned), "", "and has nothing to say");
	check_unusable("", 0, "an empty file");
	check_unusable(text, size - 1, "a file without its last LF");
}

/* A file that somebody else made, with the sum that it should have. */
static void check_forged(const char *text_start, const char *what)
{
	struct buf text = { NULL, 0, 0 };
	unsigned char hash[ID_HASH_SIZE];
	size_t i;

	if (text_start[0] != '!')
		buf_append_str(&text, "! dovebridge mailboxes 1\n");
	buf_append_str(&text, text_start);
	id_hash(view_of_buf(&text), hash);
	buf_append_str(&text, "OK full sum=");
	for (i = 0; i < sizeof(hash); i++)
		buf_printf(&text, "%02x", hash[i]);
	buf_append_c(&text, '\n');
	check_unusable(text.p, text.len, what);
	buf_free(&text);
}

static void test_forged(void)
{
	begin();
	check_forged("* BOX a\n* BOX a\n", "a name twice");
	check_forged("* BOX a id=1\n* BOX b id=1\n", "an id twice");
	check_forged("* BOX a missing=-1\n", "a time below 0");
	check_forged("* BOX a missing=99999999999999999999\n", "and one too late");
	check_forged("* BOX\n", "no name");
	check_forged("* BOX a%\n", "half an escape");
	check_forged("* BOX a\r\n", "a control byte");
	check_forged("rubbish\n", "no answer to LIST");
	check_forged("! dovebridge mailboxes 2\n* BOX a\n", "a later version");
	check_forged("NO UNAVAILABLE\n", "a NO");
	(void)unlink(path);
	(void)ask_anew(five);
	if (rename(path, kit_path("sound")) < 0 ||
	    symlink(kit_path("sound"), path) < 0)
		kit_fail(path);
	is_str(ask_anew("* BOX z\nOK delta\n"), "z", "a link is not followed");
	(void)unlink(path);
	if (mkfifo(path, 0600) < 0)
		kit_fail(path);
	is_str(ask_anew("* BOX z\nOK delta\n"), "z", "nor is a pipe waited for");
	is_str(ask_anew("* BOX a missing=5 new=1\nOK\n"), "a",
	       "a backend cannot say what only the file says");
}

static void test_not_writable(void)
{
	struct boxes *boxes = boxes_at(kit_path("nowhere/list"));

	now = NOW;
	store_lists(five);
	is_str(ask(boxes, false), "INBOX a b c=7", "a file that cannot be made");
	ok(strstr(buf_str(&warned), "cannot be written: No such file") != NULL,
	   "is a warning");
	store_lists("OK delta\n");
	is_str(ask(boxes, false), "INBOX a b c=7", "this session knows all");
	ok(strchr(buf_str(&warned), '\n') == buf_str(&warned) + warned.len - 1,
	   "and warns once");
	boxes_deinit(&boxes);
}

static void test_removed(void)
{
	struct boxes *boxes = boxes_at(path);

	begin();
	store_lists(five);
	(void)ask(boxes, false);
	(void)unlink(path);
	(void)ask(boxes, false);
	is_str(ask_anew("OK delta\n"), "INBOX a b c=7",
	       "a file that was removed is made again");
	boxes_deinit(&boxes);
}

/* While the store answers, another session writes the file: then nobody knows
   which list is the newer one. */
static void test_two_sessions(void)
{
	struct session *other = kit_session(
		"LIST) if [ -e swap ]; then mv swap file; fi; " LISTS " ;;",
		KIT_TIMEOUT_MSECS), *own = session;
	struct boxes *boxes;

	begin();
	session = other;
	(void)ask_anew("* BOX a\n* BOX b\nOK\n");
	kit_write(kit_path("swap"), file_text(), strlen(file_text()), 0600);
	(void)unlink(path);
	(void)ask_anew("* BOX a\nOK\n");
	/* swap has come again */
	is_num(kit_requests("LIST"), 3, "the store is asked once more");
	is_str(buf_str(&shown), "a", "and is right");
	boxes = boxes_at(path);
	store_lists("* BOX c\nOK delta\n");
	(void)ask(boxes, false);
	(void)ask_anew("* BOX d\nOK delta\n");
	is_str(ask(boxes, false), "a c d",
	       "a session sees what another has written since");
	is_num(kit_requests("LIST"), 6, "each with a list of its own");
	boxes_deinit(&boxes);
	session_deinit(&other);
	session = own;
}

/* Deltas do not add up to more than a store may have. */
static void test_too_many(void)
{
	struct session *many = kit_session(
		"LIST) seq -f '* BOX %.0f' $((n * 60000 + 1)) "
		"$((n * 60000 + 60000)); n=$((n + 1)); " LISTS " ;;",
		KIT_TIMEOUT_MSECS), *own = session;
	struct boxes *boxes = boxes_at(path);

	begin();
	session = many;
	store_lists("OK delta\n");
	(void)ask(boxes, false);
	is_num(boxes_known(boxes)->count, 60000, "60,000 mailboxes");
	ok(strstr(ask(boxes, false), "more than 100000 mailboxes") != NULL,
	   "and 60,000 others are too many");
	is_num(boxes_known(boxes)->count, 60000, "what is known stays");
	store_lists("OK full\n");
	(void)ask(boxes, false);
	is_num(boxes_known(boxes)->count, 60000, "a full list is served");
	ok(strstr(buf_str(&warned), "too many others to keep them") != NULL,
	   "also if the brake would hold as many");
	boxes_deinit(&boxes);
	session_deinit(&many);
	session = own;
}

int main(void)
{
	kit_init();
	(void)strcpy(path, kit_path("file"));
	session = kit_session("LIST) " LISTS " ;;", KIT_TIMEOUT_MSECS);
	test_delta();
	test_delta_options();
	test_brake();
	test_brake_back();
	test_brake_limits();
	test_brake_ids();
	test_force();
	test_forget();
	test_inbox();
	test_failed_list();
	test_file();
	test_damaged();
	test_forged();
	test_not_writable();
	test_removed();
	test_two_sessions();
	test_too_many();
	session_deinit(&session);
	buf_free(&warned);
	buf_free(&shown);
	return kit_done();
}
