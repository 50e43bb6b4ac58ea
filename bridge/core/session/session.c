/* The conversation with a backend.
 *
 * Requests wait in one queue. A prefix of it has been sent (at most the
 * window: one, or what pipeline=N allows); replies come in the same order, so
 * a line always belongs to the head. A running copy first gets CAPS, put in
 * front of the queue by whoever needs the copy; nothing else is sent before
 * that is answered.
 *
 * What becomes of them when something goes wrong stands in session-life.c. */
#include "session-private.h"
#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* --- init and deinit ------------------------------------------------------- */

static const char *text_copy(struct session *session, const char *text)
{
	struct view view = { text, text == NULL ? 0 : strlen(text) + 1 };

	return text == NULL ? NULL : arena_add(&session->texts, view).p;
}

static void argv_copy(struct session *session, const char *const *argv)
{
	size_t i, count = 0;

	while (argv[count] != NULL)
		count++;
	session->argv = mem_new(count + 1, sizeof(*session->argv));
	for (i = 0; i < count; i++)
		session->argv[i] = text_copy(session, argv[i]);
}

struct session *session_init(const struct session_settings *set)
{
	struct session *session = mem_new(1, sizeof(*session));

	session->set = *set;
	argv_copy(session, set->argv);
	session->set.argv = session->argv;
	session->set.launcher = text_copy(session, set->launcher);
	session->set.user = text_copy(session, set->user);
	session->set.home = text_copy(session, set->home);
	session->set.cwd = text_copy(session, set->cwd);
	session->set.tmp_dir = text_copy(session, set->tmp_dir);
	session->set.mode = text_copy(session, set->mode);
	session->set.rawlog_dir = text_copy(session, set->rawlog_dir);
	if (session->set.alive_msecs == 0)
		session->set.alive_msecs = SESSION_ALIVE_MSECS;
	session->tail = &session->head;
	caps_init(&session->caps);
	return session;
}

static void session_fail_ended(struct session *session)
{
	struct fault fault;

	(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: the session has ended", session->argv[0]);
	session_fail_all(session, &fault);
}

void session_end_begin(struct session *session)
{
	if (session->proc != NULL)
		proc_end_begin(session->proc, PROC_END_POLITE);
	session_note_begun(session);
	session_fail_ended(session);
}

bool session_ended(struct session *session)
{
	return session->proc == NULL || proc_ended(session->proc);
}

void session_deinit(struct session **_session)
{
	struct session *session = *_session;

	*_session = NULL;
	if (session == NULL)
		return;
	session_copy_end(session, session->in_flight > 0 ?
			 PROC_END_FORCE : PROC_END_POLITE, NULL);
	session_fail_ended(session);
	session_request_free(&session->caps_request);
	caps_deinit(&session->caps);
	buf_free(&session->output);
	buf_free(&session->answered);
	free(session->argv);
	arena_free(&session->texts);
	free(session);
}

void session_request_free(struct session_request *request)
{
	buf_free(&request->line);
}

/* --- reading --------------------------------------------------------------- */

static bool session_read(struct session *session)
{
	size_t size;
	ssize_t ret;
	char *space = wire_reader_space(session->reader, &size);

	ret = read(proc_fd_out(session->proc), space, size);
	if (ret > 0) {
		wire_reader_added(session->reader, (size_t)ret);
		session->copy_bytes_in += (uint64_t)ret;
		return session_parse(session);
	}
	if (ret < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	session_break_eof(session);
	return false;
}

/* What stands in the pipe while nothing is in flight; 0 at its end. */
static ssize_t session_read_idle(struct session *session)
{
	size_t size;
	ssize_t ret;
	char *space = wire_reader_space(session->reader, &size);

	do {
		ret = read(proc_fd_out(session->proc), space, size);
	} while (ret < 0 && errno == EINTR);
	if (ret > 0)
		wire_reader_added(session->reader, (size_t)ret);
	return ret;
}

/* Bytes that nobody asked for, or the copy's end. They must be found before the
   next request is sent, or they would be taken for the answer to that. */
static void session_check_idle(struct session *session)
{
	char quoted[WIRE_QUOTE_SIZE], answered[WIRE_QUOTE_SIZE];
	struct view said;
	const char *lf;
	struct fault fault;
	bool ended = false;

	if (session->proc == NULL || session->in_flight > 0 ||
	    !session->caps_done)
		return;
	if (wire_reader_pending(session->reader) == 0)
		ended = session_read_idle(session) == 0;
	if (!ended && wire_reader_pending(session->reader) == 0)
		return;
	(void)wire_quote(view_of_buf(&session->answered), answered,
			 sizeof(answered));
	if (ended) {
		proc_stop(session->proc, PROC_END_POLITE);
		(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: ended after its answer to %s: %s",
			session->argv[0], answered,
			proc_exit_text(session->proc));
	} else {
		said.len = wire_reader_octets(session->reader, WIRE_LINE_MAX,
					      &said.p);
		session_rawlog_bytes(session, TRANSCRIPT_REPLY_BYTES, said.p,
				     said.len);
		lf = memchr(said.p, '\n', said.len);
		if (lf != NULL)
			said.len = (size_t)(lf - said.p);
		(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: wrote %s to stdout after its answer to %s",
			session->argv[0],
			wire_quote(said, quoted, sizeof(quoted)), answered);
	}
	session_break_idle(session, &fault);
}

/* --- sending and waiting --------------------------------------------------- */

/* One turn: poll all directions, move what can be moved. msecs: how long to
   wait until something can. */
static void session_turn(struct session *session, int msecs)
{
	struct pollfd fds[3] = {
		{ .fd = proc_fd_out(session->proc), .events = POLLIN },
		{ .fd = proc_fd_err(session->proc), .events = POLLIN },
		{ .fd = session->output.len > session->output_sent ?
			proc_fd_in(session->proc) : -1, .events = POLLOUT },
	};

	session_rawlog_flush(session);
	if (poll(fds, 3, msecs) < 0 && errno != EINTR) {
		session_break_reply(session, FAULT_UNAVAILABLE,
				    "could not be polled");
		return;
	}
	if (fds[1].revents != 0)
		proc_stderr_read(session->proc);
	/* first what is there already: it may be no answer to what goes out now */
	if (fds[0].revents != 0 && !session_read(session))
		return;
	if (fds[2].revents != 0)
		session_write(session);
	if (session->in_flight == 0)
		return;
	if (fds[0].revents == 0 && clock_msecs() >= session->deadline) {
		session_break_deadline(session);
		return;
	}
	session_keep_alive(session);
}

void session_submit(struct session *session, struct session_request *request)
{
	struct fault fault;

	request->done = request->sent = request->retried = false;
	request->begun = request->answered = false;
	request->repeatable = verb_info(request->verb)->repeatable;
	request->payload_size = request->since_usecs = 0;
	memset(&request->fault, 0, sizeof(request->fault));
	request->next = NULL;
	*session->tail = request;
	session->tail = &request->next;
	if (session_check_line(session, request, &fault) < 0)
		session_fail(session, request, &fault);
}

/* One turn for a request that is not done. msecs: how long to wait until
   something can be moved; -1 = as long as it may take. */
static void session_step(struct session *session,
			 struct session_request *request, int msecs)
{
	struct fault fault;

	session_check_idle(session);
	if (request->done)
		return;
	if (session->proc == NULL && session_start(session, &fault) < 0) {
		session_fail_all(session, &fault);
		return;
	}
	if (session_fill_output(session) && !request->done)
		session_turn(session, msecs >= 0 ? msecs :
			     session_poll_msecs(session));
}

int session_wait(struct session *session, struct session_request *request)
{
	while (!request->done)
		session_step(session, request, -1);
	return request->fault.code == FAULT_NONE ? 0 : -1;
}

bool session_wait_within(struct session *session,
			 struct session_request *request, unsigned int msecs)
{
	uint64_t until = clock_msecs() + msecs, now;
	int turn;

	while (!request->done && (now = clock_msecs()) < until) {
		/* a copy that is only being started has no deadline yet */
		turn = session->proc == NULL ? 0 : session_poll_msecs(session);
		session_step(session, request, until - now < (uint64_t)turn ?
			     (int)(until - now) : turn);
	}
	return request->done;
}

bool session_try(struct session *session, struct session_request *request)
{
	/* with nothing in flight there is something to be done at once, which
	   nobody would wake us for: start a copy, send what waited for CAPS */
	do {
		if (request->done)
			return true;
		session_step(session, request, 0);
	} while (session->in_flight == 0);
	return request->done;
}

void session_waits_for(const struct session *session,
		       struct session_waits *waits_r)
{
	uint64_t now = clock_msecs();

	waits_r->read_fds[0] = waits_r->read_fds[1] = waits_r->write_fd = -1;
	waits_r->msecs = 0;
	if (session->proc == NULL)
		return;
	waits_r->read_fds[0] = proc_fd_out(session->proc);
	waits_r->read_fds[1] = proc_fd_err(session->proc);
	if (session->output.len > session->output_sent)
		waits_r->write_fd = proc_fd_in(session->proc);
	if (session->in_flight > 0 && session->deadline > now)
		waits_r->msecs = (unsigned int)(session->deadline - now);
}

void session_pump(struct session *session)
{
	if (session->head != NULL)
		session_check_idle(session);
	if (session->head == NULL || session->proc == NULL)
		return;
	if (session_fill_output(session) && session->in_flight > 0)
		session_turn(session, 0);
}

bool session_withdraw(struct session *session,
		      struct session_request *request)
{
	if (request->sent || request->begun)
		return false;
	if (!request->done)
		session_complete(session, request);
	return true;
}

int session_run(struct session *session, struct session_request *request)
{
	session_submit(session, request);
	return session_wait(session, request);
}

const struct caps *session_caps(struct session *session, struct fault *fault)
{
	/* those of a copy that has ended say nothing about the next one */
	session_check_idle(session);
	while (session->proc == NULL || !session->caps_done) {
		if (session->proc == NULL &&
		    session_start(session, fault) < 0)
			return NULL;
		if (session_wait(session, &session->caps_request) < 0) {
			*fault = session->caps_request.fault;
			return NULL;
		}
	}
	return &session->caps;
}

const struct caps *session_caps_known(const struct session *session)
{
	return session->proc != NULL && session->caps_done ?
		&session->caps : NULL;
}

int session_open(const struct session *session, const char *path, int flags)
{
	if (session->proc == NULL) {
		errno = ESRCH;
		return -1;
	}
	return proc_open(session->proc, path, flags);
}

const char *session_tmp(const struct session *session)
{
	return session->proc == NULL ? NULL : proc_tmp(session->proc);
}

const char *session_name(const struct session *session)
{
	const char *slash = strrchr(session->argv[0], '/');

	return slash == NULL ? session->argv[0] : slash + 1;
}

const struct session_settings *session_settings(const struct session *session)
{
	return &session->set;
}

uint64_t session_pause_msecs(const struct session *session)
{
	uint64_t now = clock_msecs();

	if (session->config_exit)
		return UINT64_MAX;
	return session->start_after > now ? session->start_after - now : 0;
}
