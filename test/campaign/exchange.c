/* One exchange with a backend that is wrong in one way, as often as it is asked for.
 *
 *	exchange NAME		trials on stdin, a verdict for each on stdout
 *	exchange		the backend: plays what the first has put on the stage
 *
 * The first lines of stdin are "truth REQUEST HEX", what the backend answers if
 * nothing is wrong, and then "begin". Each line after it is a trial:
 *
 *	REQUEST THEN MSECS SPEED CHUNK REPLY
 *
 * Asked for REQUEST (its verb, or BOXES for the list of mailboxes), each copy writes
 * REPLY (hex, - = nothing), and then does THEN (see play_then), with CHUNK; MSECS is
 * the deadline, and SPEED how much faster than the clock time passes. The verdict:
 *
 *	said MSECS SAID|AFTER	what the caller was told, and what the same request
 *				said afterwards, when nothing was wrong any more
 *
 * faultmatrix.py makes the trials, and judges. */
#include "session-kit.h"
#include "clock.h"
#include "session-private.h"
#include "fetch.h"
#include "listing.h"
#include "search.h"
#include "watch.h"
#include "write.h"

#include <poll.h>
#include <sys/syscall.h>
#include <time.h>

#define REPLY_MAX (1024 * 1024)
#define HOLD_SECS 3		/* a process that nobody ends, ends itself */
#define AFTER_MSECS 4000	/* for what should need no time at all */
#define KEY "0123456789abcdefghijkl"

/* --- time -------------------------------------------------------------------- */

static unsigned int speed = 1;
static struct timespec speed_begin;

/* In place of the C library's, so that ten minutes need not be waited for. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	long ret = syscall(SYS_clock_gettime, id, ts);
	long long nsecs;

	if (ret == 0 && id == CLOCK_MONOTONIC && speed > 1) {
		nsecs = (ts->tv_sec - speed_begin.tv_sec) * 1000000000LL +
			ts->tv_nsec - speed_begin.tv_nsec;
		nsecs = nsecs * speed + speed_begin.tv_nsec;
		ts->tv_sec = speed_begin.tv_sec + nsecs / 1000000000LL;
		ts->tv_nsec = nsecs % 1000000000LL;
	}
	return (int)ret;
}

static void set_speed(unsigned int factor)
{
	speed = 1;
	(void)clock_gettime(CLOCK_MONOTONIC, &speed_begin);
	speed = factor;
}

/* --- the backend ------------------------------------------------------------- */

static void hold(void)
{
	(void)sleep(KIT_WATCHDOG_SECS);
	_exit(1);
}

static void put(int fd, const char *data, size_t size)
{
	ssize_t ret;

	while (size > 0) {
		ret = write(fd, data, size);
		if (ret < 0)
			_exit(1);
		data += ret;
		size -= (size_t)ret;
	}
}

/* A process that keeps the pipes when this one is gone; own: not in its group. */
static void leave_child(bool own)
{
	if (fork() == 0) {
		if (own)
			(void)setsid();
		(void)sleep(HOLD_SECS);
		_exit(0);
	}
	_exit(1);
}

static void play_then(const char *then, const char *chunk, size_t size)
{
	if (strcmp(then, "exit") == 0)
		_exit(1);
	if (strcmp(then, "kill") == 0)
		(void)raise(SIGKILL);
	if (strcmp(then, "grandchild") == 0 || strcmp(then, "orphan") == 0)
		leave_child(then[0] == 'o');
	if (strcmp(then, "close") == 0)
		(void)close(1);
	if (strcmp(then, "stubborn") == 0)
		(void)signal(SIGTERM, SIG_IGN);
	while (strcmp(then, "out") == 0)
		put(1, chunk, size);
	while (strcmp(then, "err") == 0)
		put(2, chunk, size);
	while (strcmp(then, "drip") == 0) {
		put(1, chunk, size);
		(void)usleep(2000);
	}
	if (strcmp(then, "go") != 0 && strcmp(then, "slow") != 0)
		hold();
}

/* The file is "THEN SIZE\n", a chunk of so many bytes, and the reply. */
static bool play_file(const char *kind, const char *request)
{
	static char data[2 * REPLY_MAX];
	char path[300], then[20];
	size_t size, chunk;
	const char *p;
	int fd, len;
	ssize_t ret;

	(void)snprintf(path, sizeof(path), "%s/%s.%s", getenv("HOME"), kind,
		       request);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	ret = read(fd, data, sizeof(data) - 1);
	(void)close(fd);
	data[ret < 0 ? 0 : ret] = '\0';
	if (sscanf(data, "%19s %zu%n", then, &chunk, &len) != 2)
		_exit(2);
	p = data + len + 1;
	size = (size_t)(data + ret - p) - chunk;
	if (strcmp(then, "slow") == 0) {
		for (len = 0; (size_t)len < size; len++)
			put(1, p + chunk + len, 1);
	} else {
		put(1, p + chunk, size);
	}
	play_then(then, p, chunk);
	return true;
}

static int play(void)
{
	char line[REPLY_MAX], *space, *size;
	unsigned long octets;

	(void)signal(SIGPIPE, SIG_DFL);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		space = strchr(line, ' ');
		if (space != NULL)
			*space = '\0';
		else if (strcmp(line, "LIST") == 0)
			(void)strcpy(line, "BOXES");
		size = space == NULL ? NULL : strstr(space + 1, " - size=");
		octets = size == NULL ? 0 : strtoul(size + 8, NULL, 10);
		while (octets-- > 0 && getchar() != EOF)
			;
		if (!play_file("fault", line) && !play_file("truth", line))
			put(1, "NO UNSUPPORTED\n", 15);
	}
	return 0;
}

/* --- what callers are told ------------------------------------------------------ */

static struct session *session;
static struct watch *watcher;
static struct buf said;
static int message_fd;

static void say_fault(const struct fault *fault)
{
	buf_printf(&said, "fault %s%s", fault_code_name(fault->code),
		   fault->from_backend ? " said" : "");
}

static void say_hex(const char *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		buf_printf(&said, "%02x", (unsigned char)data[i]);
}

static void say_text(const char *text)
{
	say_hex(text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
	buf_append_c(&said, text == NULL ? '-' : '.');
}

static void say_view(struct view view)
{
	say_hex(view.p, view.len);
	buf_append_c(&said, view.p == NULL ? '-' : '.');
}

static void do_caps(void)
{
	struct fault fault;
	const struct caps *caps = session_caps(session, &fault);
	int i;

	if (caps == NULL) {
		say_fault(&fault);
		return;
	}
	buf_printf(&said, "ok %d%d%d%d%d %u %u %u ", caps->delta, caps->crlf,
		   caps->key, caps->uids, caps->inlined, caps->batch,
		   caps->pipeline, caps->poll_secs);
	for (i = 0; i < VERB_COUNT; i++)
		buf_printf(&said, "%d", caps->verbs[i]);
	buf_printf(&said, " %d ", (int)caps->flags);
	say_text(caps->flags_list.len > 0 ? buf_str(&caps->flags_list) : NULL);
	for (i = 0; i < CAPS_KEY_COUNT; i++)
		buf_printf(&said, "%d", caps->keys[i]);
}

static void do_boxes(void)
{
	struct listing_boxes boxes;
	struct fault fault;
	size_t i;

	if (listing_boxes(session, &boxes, &fault) < 0) {
		say_fault(&fault);
		return;
	}
	buf_printf(&said, "ok %s", boxes.delta ? "delta" : "full");
	for (i = 0; i < boxes.count; i++) {
		buf_append_c(&said, ' ');
		say_text(boxes.boxes[i].name);
		say_text(boxes.boxes[i].id);
		say_text(boxes.boxes[i].flags);
		say_text(boxes.boxes[i].state);
		buf_append_str(&said, boxes.boxes[i].ro ? "ro" : "");
	}
	listing_boxes_free(&boxes);
}

static void do_list(void)
{
	struct listing list;
	struct listing_msg *msg;
	struct fault fault;
	size_t i;

	if (listing_msgs(session, "INBOX", &list, &fault) < 0) {
		say_fault(&fault);
		return;
	}
	buf_printf(&said, "ok %s %u ", list.end.full ? "full" : "delta",
		   list.end.uidvalidity);
	say_text(list.end.state);
	say_text(list.end.box_id);
	for (i = 0; i < list.count; i++) {
		msg = &list.msgs[i];
		buf_printf(&said, " %d %lld %lld %lld %u ", msg->gone,
			   (long long)msg->size, (long long)msg->vsize,
			   (long long)msg->date, msg->uid);
		say_view(msg->id);
		say_view(msg->flags);
	}
	listing_free(&list);
}

static void say_fetched(const struct fetched *fetched)
{
	static char data[REPLY_MAX];
	int fd;

	if (fetched->status == FETCH_GONE) {
		buf_append_str(&said, " gone");
		return;
	}
	fd = (int)syscall(SYS_memfd_create, "message", 0);
	if (fetched->size > sizeof(data) || fetched_copy(fetched, fd) < 0 ||
	    pread(fd, data, sizeof(data), 0) != (ssize_t)fetched->size) {
		buf_append_str(&said, " broken");
	} else {
		buf_printf(&said, " %s ", fetched->header_only ? "header" :
			   "full");
		say_hex(data, fetched->size);
	}
	(void)close(fd);
}

/* n: the message, or all if it is their number */
static void do_fetch(enum fetch_want want, size_t n)
{
	static const struct fetch_ask asks[] = {
		{ { "a", 1 }, 18 },
		{ { "b%20c", 5 }, WIRE_SIZE_UNKNOWN },
		{ { "d", 1 }, 18 },
	};
	const size_t all = sizeof(asks) / sizeof(*asks);
	bool batch = n == all;
	struct fetched fetched;
	struct fetch *fetch = NULL;
	struct fault fault;
	size_t i;
	int ret;

	if (batch) {
		fetch = fetch_begin(session, "INBOX", want, asks, all);
		if (fetch_wait(fetch, &fault) < 0) {
			say_fault(&fault);
			fetch_end(&fetch);
			return;
		}
	}
	buf_append_str(&said, "ok");
	for (i = 0; i < (batch ? all : 1); i++) {
		ret = batch ? fetch_take(fetch, i, &fetched, &fault) :
			fetch_message(session, "INBOX", want, &asks[n],
				      &fetched, &fault);
		if (ret < 0 && !batch)
			buf_clear(&said);
		if (ret < 0 && batch)
			buf_append_c(&said, ' ');
		if (ret < 0)
			say_fault(&fault);
		else
			say_fetched(&fetched);
		fetched_free(&fetched);
	}
	if (batch)
		fetch_end(&fetch);
}

static void do_write(enum verb_id verb)
{
	static const char *const names[] = { "unknown", "done", "gone", "failed" };
	struct write_item items[2];
	struct fault fault;
	int i, ret;

	memset(items, 0, sizeof(items));
	items[0].id = view_of("a");
	items[1].id = view_of("b%20c");
	if (verb == VERB_STORE)
		ret = write_flags(session, "INBOX", "+\\Seen", items, 2, &fault);
	else if (verb == VERB_EXPUNGE)
		ret = write_expunge(session, "INBOX", items, 2, &fault);
	else
		ret = write_copy(session, verb, "INBOX", "Other", items, 2,
				 &fault);
	if (ret < 0)
		say_fault(&fault);
	else
		buf_append_str(&said, "ok");
	for (i = 0; i < 2; i++) {
		buf_printf(&said, " %s ", names[items[i].status]);
		if (items[i].status == WRITE_FAILED)
			buf_append_str(&said,
				       fault_code_name(items[i].fault->code));
		if (items[i].flags_said)
			say_view(view_of_buf(&items[i].flags));
		if (items[i].new_id.len > 0)
			say_view(view_of_buf(&items[i].new_id));
		buf_printf(&said, "%u", items[i].uid);
	}
	write_items_free(items, 2);
}

static void do_box(enum verb_id verb)
{
	struct fault fault;

	if (write_box(session, verb, "Old", verb == VERB_RENAME ? "New" : NULL,
		      &fault) < 0)
		say_fault(&fault);
	else
		buf_append_str(&said, "ok");
}

static void do_append(void)
{
	struct append_message msg = {
		.fd = message_fd, .size = 18, .flags = "\\Seen",
		.date = 1700000000, .key = KEY,
	};
	struct appended appended;
	struct fault fault;
	struct append *append = append_begin(session, "INBOX", &msg, &fault);

	if (append == NULL || append_wait(append, &appended, &fault) < 0) {
		say_fault(&fault);
	} else {
		buf_printf(&said, "ok %lld %u ", (long long)appended.size,
			   appended.uid);
		say_view(view_of_buf(&appended.id));
		appended_free(&appended);
	}
	append_end(&append);
}

static void do_search(void)
{
	static const char *const ids[] = { "a", "b c", "d", "nobody" };
	struct search *search = search_init("INBOX");
	unsigned char hash[ID_HASH_SIZE];
	struct fault fault;
	size_t i;

	(void)search_add(search, CAPS_KEY_SUBJECT, view_of("x y"));
	if (search_run(search, session, &fault) < 0) {
		say_fault(&fault);
	} else {
		buf_printf(&said, "ok %d ", search_is_exact(search));
		for (i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
			id_hash(view_of(ids[i]), hash);
			buf_printf(&said, "%d", search_has(search, hash));
		}
	}
	search_deinit(&search);
}

static void watch_sleep(void)
{
	struct session_waits waits;
	struct pollfd fds[3];
	int i;

	watch_waits_for(watcher, &waits);
	for (i = 0; i < 2; i++) {
		fds[i].fd = waits.read_fds[i];
		fds[i].events = POLLIN;
	}
	fds[2].fd = waits.write_fd;
	fds[2].events = POLLOUT;
	(void)poll(fds, 3, (int)waits.msecs);
}

static void do_watch(void)
{
	enum watch_status status;
	struct fault fault;

	watch_ask(watcher, "INBOX", "s1");
	while ((status = watch_turn(watcher, &fault)) == WATCH_WAITING)
		watch_sleep();
	if (status == WATCH_FAILED)
		say_fault(&fault);
	else
		buf_append_str(&said, status == WATCH_CHANGED ? "ok changed" :
			       "ok same");
}

static void run(const char *name)
{
	enum verb_id verb;
	struct buf upper = { NULL, 0, 0 };
	size_t i;

	buf_clear(&said);
	for (i = 0; name[i] != '\0' && name[i] != '-'; i++)
		buf_append_c(&upper, (char)(name[i] - 'a' + 'A'));
	if (strncmp(name, "caps", 4) == 0)
		do_caps();
	else if (strcmp(name, "boxes") == 0)
		do_boxes();
	else if (strncmp(name, "list", 4) == 0)
		do_list();
	else if (strncmp(name, "fetch", 5) == 0)
		do_fetch(kit_begins(name, "fetch-header") ? FETCH_HEADER :
			 FETCH_FULL, strcmp(name, "fetch-batch") == 0 ? 3 :
			 strcmp(name, "fetch-file") == 0 ||
			 strcmp(name, "fetch-version") == 0);
	else if (strncmp(name, "append", 6) == 0)
		do_append();
	else if (strcmp(name, "search") == 0)
		do_search();
	else if (strcmp(name, "watch") == 0)
		do_watch();
	else if (!verb_parse(view_of_buf(&upper), &verb))
		kit_fail(name);
	else if (verb == VERB_CREATE || verb == VERB_DELETE ||
		 verb == VERB_RENAME)
		do_box(verb);
	else
		do_write(verb);
	buf_free(&upper);
}

/* --- trials ------------------------------------------------------------------ */

static void stage_reply(const char *kind, const char *request,
			const char *then, const char *chunk, const char *reply)
{
	struct buf out = { NULL, 0, 0 };
	const char *hex[2] = { chunk, reply };
	unsigned int byte, i;
	char name[80];
	const char *p;

	buf_printf(&out, "%s %zu\n", then, chunk[0] == '-' ? 0 :
		   strlen(chunk) / 2);
	for (i = 0; i < 2; i++) {
		for (p = hex[i]; *p != '-' && sscanf(p, "%2x", &byte) == 1; p += 2)
			buf_append_c(&out, (char)byte);
	}
	(void)snprintf(name, sizeof(name), "%s.%s", kind, request);
	kit_write(kit_path(name), out.p, out.len, 0644);
	buf_free(&out);
}

static unsigned int descriptors(void)
{
	unsigned int count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		(void)closedir(dir);
	return count;
}

/* A handshake is made, and a verb found out to be unknown, once for each copy. */
static void renew_sessions(void)
{
	if (session != NULL)
		session_deinit(&session);
	if (watcher != NULL)
		watch_deinit(&watcher);
	session = kit_session_of(kit_path("backend"), KIT_TIMEOUT_MSECS);
	watcher = watch_init(session_settings(session), 0);
}

static struct session *the_session(const char *name)
{
	/* the session is the first member of struct watch */
	return strcmp(name, "watch") == 0 ? *(struct session **)watcher :
		session;
}

static void set_deadlines(const char *name, unsigned int msecs, bool caps)
{
	struct session *s = the_session(name);

	s->set.timeout_msecs = msecs;
	s->set.caps_timeout_msecs = caps ? msecs : KIT_TIMEOUT_MSECS;
}

/* The same request, and once more if it failed. */
static void run_after(const char *name)
{
	set_deadlines(name, AFTER_MSECS, false);
	run(name);
	(void)printf("%s", buf_str(&said));
	if (!kit_begins(buf_str(&said), "fault"))
		return;
	set_deadlines(name, KIT_TIMEOUT_MSECS, false);
	run(name);
	(void)printf("/%s", buf_str(&said));
}

static void trial(const char *name, char *line)
{
	static const char *const space = " \n";
	const char *request = strtok(line, space), *then = strtok(NULL, space);
	const char *msecs = strtok(NULL, space), *factor = strtok(NULL, space);
	const char *chunk = strtok(NULL, space), *reply = strtok(NULL, space);
	uint64_t began;
	unsigned int fds;
	char file[80];

	(void)alarm(KIT_WATCHDOG_SECS);
	if (reply == NULL)
		kit_fail("a trial");
	if (strcmp(request, "CAPS") == 0)
		renew_sessions();
	fds = descriptors();
	stage_reply("fault", request, then, chunk, reply);
	set_deadlines(name, (unsigned int)atoi(msecs),
		      strcmp(request, "CAPS") == 0);
	began = clock_msecs();
	set_speed((unsigned int)atoi(factor));
	run(name);
	speed = 1;
	(void)printf("said %llu %s|", (unsigned long long)
		     (clock_msecs() - began), buf_str(&said));
	(void)snprintf(file, sizeof(file), "fault.%s", request);
	(void)unlink(kit_path(file));
	if (strcmp(request, "CAPS") == 0 ||
	    strstr(buf_str(&said), "UNSUPPORTED") != NULL)
		renew_sessions();
	run_after(name);
	/* stdin, stdout and stderr of the one copy */
	(void)printf("%s\n", descriptors() > fds + 3 ? " descriptors" : "");
	(void)fflush(stdout);
	buf_clear(&kit_logged);
}

static void stage_player(void)
{
	static char data[4 * 1024 * 1024];
	int fd = open("/proc/self/exe", O_RDONLY);
	ssize_t size = read(fd, data, sizeof(data));

	if (size <= 0)
		kit_fail("/proc/self/exe");
	(void)close(fd);
	kit_write(kit_path("backend"), data, (size_t)size, 0755);
	kit_write(kit_path("message"), "Subject: x\r\n\r\nabc\n", 18, 0644);
	message_fd = open(kit_path("message"), O_RDONLY);
}

static unsigned long peak_kb(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (unsigned long)usage.ru_maxrss;
}

int main(int argc, char *argv[])
{
	static char line[4 * REPLY_MAX];
	char *request, *reply;

	if (argc == 1)
		return play();
	kit_init();
	stage_player();
	renew_sessions();
	(void)printf("stage %s\n", kit_stage);
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL &&
	       strcmp(line, "begin\n") != 0) {
		request = strtok(line, " \n");
		request = request == NULL ? NULL : strtok(NULL, " \n");
		reply = strtok(NULL, " \n");
		if (reply == NULL)
			kit_fail("a truth");
		stage_reply("truth", request, "go", "-", reply);
	}
	while (fgets(line, sizeof(line), stdin) != NULL)
		trial(argv[1], line);
	session_deinit(&session);
	watch_deinit(&watcher);
	(void)close(message_fd);
	buf_free(&said);
	(void)printf("peak %lu\n", peak_kb());
	return kit_done();
}
