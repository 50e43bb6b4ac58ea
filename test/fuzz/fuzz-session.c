/* core/session and all that asks it, against a backend that says what the fuzzer
 * says. The first part of the input is what is asked, a letter for each request (see
 * requests below); the others are the answers. */
#include "boxes.h"
#include "names.h"
#include "fetch.h"
#include "fuzz.h"
#include "search.h"
#include "watch.h"
#include "write.h"

#include <fcntl.h>
#include <unistd.h>

#define REQUESTS_MAX 12
#define ITEMS 3

static const char *const ids[ITEMS] = { "a", "b%20c", "d" };

struct test {
	struct session_settings set;
	struct session *session;
	struct fault fault;
};

/* A function of core/ says that it failed, or not. */
static bool failed(struct test *test, int ret)
{
	must(ret == 0 || ret == -1);
	if (ret < 0)
		fuzz_fault(&test->fault);
	memset(&test->fault, 0, sizeof(test->fault));
	return ret < 0;
}

static void log_line(void *context, enum session_log level, const char *text)
{
	char printable[4096];

	(void)context;
	(void)level;
	must(strlen(text) < sizeof(printable));
	must(strcmp(fault_sanitise(printable, sizeof(printable), view_of(text)),
		    text) == 0);
}

/* --- reading -------------------------------------------------------------------- */

static void ask_caps(struct test *test)
{
	const struct caps *caps = session_caps(test->session, &test->fault);

	if (!failed(test, caps == NULL ? -1 : 0))
		must(caps->batch >= 1 && caps->batch <= CAPS_BATCH_MAX &&
		     caps->pipeline >= 1 && caps->pipeline <= CAPS_PIPELINE_MAX);
}

static void ask_boxes(struct test *test)
{
	struct listing_boxes boxes;
	size_t i;

	if (failed(test, listing_boxes(test->session, &boxes, &test->fault)))
		return;
	for (i = 0; i < boxes.count; i++) {
		must(names_fault(view_of(boxes.boxes[i].name)) == NULL);
		must(listing_box_find(&boxes, view_of(boxes.boxes[i].name)) ==
		     &boxes.boxes[i]);
	}
	listing_boxes_free(&boxes);
}

static void ask_msgs(struct test *test)
{
	struct listing listing;
	size_t i;

	if (failed(test, listing_msgs(test->session, "INBOX", &listing,
				      &test->fault)))
		return;
	for (i = 0; i < listing.count; i++)
		must(wire_is_id(listing.msgs[i].id) &&
		     (listing.msgs[i].flags.p == NULL ||
		      listing.msgs[i].flags.len <= WIRE_LINE_MAX));
	must(strlen(listing.end.state) <= WIRE_STATE_MAX);
	listing_free(&listing);
}

static void take_message(struct test *test, struct fetch *fetch, size_t n)
{
	struct fetched fetched;
	int fd;

	if (!failed(test, fetch_take(fetch, n, &fetched, &test->fault))) {
		must(fetched.status == FETCH_GONE ||
		     fetched.status == FETCH_MEMORY ||
		     fetched.status == FETCH_FILE);
		must(fetched.status != FETCH_MEMORY ||
		     (fetched.data.len == fetched.size &&
		      fetched.size <= FETCH_MEMORY_MAX));
		must((fetched.status == FETCH_FILE) == (fetched.fd >= 0));
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (fetched.status != FETCH_GONE)
			must(fetched_copy(&fetched, fd) == 0);
		(void)close(fd);
	}
	fetched_free(&fetched);
}

static void fetch(struct test *test, enum fetch_want want, size_t most)
{
	static const uint64_t sizes[ITEMS] = { WIRE_SIZE_UNKNOWN, 3, 4 };
	const struct caps *caps = session_caps(test->session, &test->fault);
	struct fetch_ask asks[ITEMS];
	struct fetch *fetches[ITEMS];
	size_t i, n, count, batch;

	if (failed(test, caps == NULL ? -1 : 0))
		return;
	batch = caps->batch < most ? caps->batch : most;
	for (i = 0; i < ITEMS; i++) {
		asks[i].id = view_of(ids[i]);
		asks[i].expected = sizes[i];
	}
	for (n = count = 0; count < ITEMS; n++) {
		i = ITEMS - count < batch ? ITEMS - count : batch;
		fetches[n] = fetch_begin(test->session, "INBOX", want,
					 asks + count, i);
		count += i;
	}
	session_pump(test->session);
	while (n-- > 0) {
		if (!failed(test, fetch_wait(fetches[n], &test->fault)))
			take_message(test, fetches[n], 0);
		fetch_end(&fetches[n]);
	}
}

static void fetch_full(struct test *test)
{
	fetch(test, FETCH_FULL, 1);
}

static void fetch_headers(struct test *test)
{
	fetch(test, FETCH_HEADER, ITEMS);
}

static void search(struct test *test)
{
	struct search *query = search_init("INBOX");
	unsigned char hash[ID_HASH_SIZE];

	must(search_add(query, CAPS_KEY_SUBJECT, view_of("a b")));
	if (!failed(test, search_run(query, test->session, &test->fault))) {
		(void)search_is_exact(query);
		id_hash(view_of("a"), hash);
		(void)search_has(query, hash);
	}
	search_deinit(&query);
}

static void watch(struct test *test)
{
	struct watch *watcher = watch_init(&test->set, 1);
	enum watch_status status = WATCH_WAITING;
	struct session_waits waits;
	unsigned int i;

	watch_ask(watcher, "INBOX", "s1");
	for (i = 0; i < 200 && status == WATCH_WAITING; i++) {
		status = watch_turn(watcher, &test->fault);
		watch_waits_for(watcher, &waits);
	}
	if (status != WATCH_WAITING)
		(void)failed(test, status == WATCH_FAILED ? -1 : 0);
	memset(&test->fault, 0, sizeof(test->fault));
	watch_end_begin(watcher);
	must(watch_ended(watcher));
	watch_deinit(&watcher);
}

/* --- writing --------------------------------------------------------------------- */

static void items_init(struct write_item *items)
{
	size_t i;

	memset(items, 0, ITEMS * sizeof(*items));
	for (i = 0; i < ITEMS; i++)
		items[i].id = view_of(ids[i]);
}

/* Each has its fate, and a fault if that is one. */
static void items_check(struct write_item *items, bool request_failed)
{
	size_t i;

	for (i = 0; i < ITEMS; i++) {
		must(items[i].status != WRITE_UNKNOWN || request_failed);
		must((items[i].fault != NULL) ==
		     (items[i].status == WRITE_UNKNOWN ||
		      items[i].status == WRITE_FAILED));
		if (items[i].fault != NULL)
			fuzz_fault(items[i].fault);
		must(!items[i].flags_said ||
		     items[i].flags.len <= WIRE_FLAGS_MAX);
	}
	write_items_free(items, ITEMS);
}

static void store(struct test *test)
{
	struct write_item items[ITEMS];

	items_init(items);
	items_check(items, failed(test, write_flags(test->session, "INBOX",
			"+\\Seen,-$Work", items, ITEMS, &test->fault)));
}

static void expunge(struct test *test)
{
	struct write_item items[ITEMS];

	items_init(items);
	items_check(items, failed(test, write_expunge(test->session, "INBOX",
			items, ITEMS, &test->fault)));
}

static void copy_or_move(struct test *test, enum verb_id verb)
{
	struct write_item items[ITEMS];
	bool bad;
	size_t i;

	items_init(items);
	bad = failed(test, write_copy(test->session, verb, "INBOX", "Old", items,
				      ITEMS, &test->fault));
	for (i = 0; i < ITEMS; i++)
		must(items[i].status != WRITE_DONE ||
		     wire_is_id(view_of_buf(&items[i].new_id)));
	items_check(items, bad);
}

static void copy(struct test *test)
{
	copy_or_move(test, VERB_COPY);
}

static void move(struct test *test)
{
	copy_or_move(test, VERB_MOVE);
}

static void create(struct test *test)
{
	(void)failed(test, write_box(test->session, VERB_CREATE, "New", NULL,
				     &test->fault));
}

static void delete(struct test *test)
{
	(void)failed(test, write_box(test->session, VERB_DELETE, "New", NULL,
				     &test->fault));
}

static void rename_box(struct test *test)
{
	(void)failed(test, write_box(test->session, VERB_RENAME, "New", "Newer",
				     &test->fault));
}

/* Two at once; the second is not waited for if the first failed. */
static void append(struct test *test)
{
	struct append_message msg = {
		.fd = open(world_path("append"), O_RDONLY | O_CLOEXEC),
		.size = 14, .flags = "\\Seen", .date = 1700000000,
		.key = "0123456789012345678901",
	};
	struct append *appends[2];
	struct appended appended;
	bool bad = false;
	size_t i;

	for (i = 0; i < 2; i++) {
		appends[i] = append_begin(test->session, "INBOX", &msg,
					  &test->fault);
		must(appends[i] != NULL);
		session_pump(test->session);
	}
	for (i = 0; i < 2; i++) {
		if (!bad) {
			bad = failed(test, append_wait(appends[i], &appended,
						       &test->fault));
			must(bad || wire_is_id(view_of_buf(&appended.id)));
			appended_free(&appended);
		}
		append_end(&appends[i]);
	}
	(void)close(msg.fd);
}

/* --- all of it ------------------------------------------------------------------- */

static const struct {
	char letter;
	void (*run)(struct test *test);
} requests[] = {
	{ '1', ask_caps }, { 'L', ask_boxes }, { 'l', ask_msgs },
	{ 'F', fetch_full }, { 'f', fetch_headers }, { 'H', search },
	{ 'W', watch }, { 'S', store }, { 'E', expunge }, { 'C', copy },
	{ 'M', move }, { 'A', append }, { 'N', create }, { 'D', delete },
	{ 'R', rename_box },
};

static void ask(struct test *test, char letter)
{
	size_t i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].letter == letter)
			requests[i].run(test);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const argv[] = { "/backend", NULL };
	struct view answers = { (const char *)data, size }, letters;
	struct test test = {
		.set = {
			.launcher = "/launcher", .argv = argv, .user = "u v",
			.tmp_dir = world_path("tmp"), .mode = "imap",
			.timeout_msecs = 100, .caps_timeout_msecs = 100,
			.log = log_line,
		},
	};
	size_t i;

	if (!fuzz_part(&answers, &letters))
		return 0;
	world_begin(answers);
	test.session = session_init(&test.set);
	for (i = 0; i < letters.len && i < REQUESTS_MAX; i++)
		ask(&test, letters.p[i]);
	session_deinit(&test.session);
	return 0;
}
