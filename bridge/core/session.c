/* The conversation with a backend.
 *
 * Requests wait in one queue. A prefix of it has been sent (at most the
 * window: one, or what pipeline=N allows); replies come in the same order, so
 * a line always belongs to the head. A running copy first gets CAPS, put in
 * front of the queue by whoever needs the copy; nothing else is sent before
 * that is answered.
 *
 * Whatever goes wrong ends the copy, because after a wrong byte nobody knows
 * where the next reply begins. What was in flight is then sorted:
 *
 *	the head		the fault is its own; if the copy died and the
 *				request may be repeated, it is asked once more in
 *				a fresh copy
 *	others, may be repeated	go back to waiting, they were never answered
 *	others			fail
 *
 * A request of which no byte was written may always be repeated. A write that
 * fails after a copy had begun to read it is UNCERTAIN: it may have happened.
 *
 * A copy that broke is replaced when the next request needs one: at once the
 * first SESSION_FREE_FAILURES times in a row, then only after a pause that
 * doubles; meanwhile requests fail at once with the last reason. */
#include "session-private.h"
#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <bsd/string.h>

static int caps_request_item(struct session_request *request,
			     const struct wire_line *line,
			     struct wire_error *error_r);
static int caps_request_final(struct session_request *request,
			      const struct wire_line *line,
			      struct wire_error *error_r);
static void caps_request_reset(struct session_request *request);

static const struct session_handler caps_handler = {
	.item = caps_request_item,
	.final = caps_request_final,
	.reset = caps_request_reset,
};

uint64_t session_now_msecs(void)
{
	return clock_msecs();
}

static struct session *session_of_caps(struct session_request *request)
{
	return (struct session *)((char *)request -
				  offsetof(struct session, caps_request));
}

static int caps_request_item(struct session_request *request,
			     const struct wire_line *line,
			     struct wire_error *error_r)
{
	return caps_item(&session_of_caps(request)->caps, line, error_r);
}

static int caps_request_final(struct session_request *request,
			      const struct wire_line *line,
			      struct wire_error *error_r)
{
	(void)line;
	return caps_finish(&session_of_caps(request)->caps, error_r);
}

static void caps_request_reset(struct session_request *request)
{
	struct session *session = session_of_caps(request);

	caps_deinit(&session->caps);
	caps_init(&session->caps);
}

void session_log(struct session *session, enum session_log level,
			const char *text)
{
	if (session->set.log != NULL)
		session->set.log(session->set.context, level, text);
}

/* --- init and deinit ------------------------------------------------------- */

static char **argv_copy(const char *const *argv)
{
	char **copy;
	size_t i, count = 0;

	while (argv[count] != NULL)
		count++;
	copy = mem_new(count + 1, sizeof(*copy));
	for (i = 0; i < count; i++)
		copy[i] = mem_strdup(argv[i]);
	return copy;
}

struct session *session_init(const struct session_settings *set)
{
	struct session *session = mem_new(1, sizeof(*session));

	session->set = *set;
	session->argv = argv_copy(set->argv);
	session->set.argv = (const char *const *)session->argv;
	session->set.launcher = session->launcher = mem_strdup(set->launcher);
	session->set.user = session->user = mem_strdup(set->user);
	session->set.home = session->home = mem_strdup(set->home);
	session->set.cwd = session->cwd = mem_strdup(set->cwd);
	session->set.tmp_dir = session->tmp_dir = mem_strdup(set->tmp_dir);
	session->set.mode = session->mode = mem_strdup(set->mode);
	session->set.rawlog_dir = session->rawlog_dir =
		mem_strdup(set->rawlog_dir);
	if (session->set.alive_msecs == 0)
		session->set.alive_msecs = SESSION_ALIVE_MSECS;
	session->tail = &session->head;
	caps_init(&session->caps);
	return session;
}

/* The copy has had some of these writes, whatever comes of them now. */
static void session_note_begun(struct session *session)
{
	struct session_request *request;

	for (request = session->head; request != NULL && request->sent;
	     request = request->next) {
		if (verb_info(request->verb)->writes &&
		    session->written > request->begins)
			request->begun = true;
	}
}

/* why: NULL = it is not needed any more. */
static void session_copy_end(struct session *session, enum proc_end how,
			     const char *why)
{
	session_note_begun(session);
	if (session->proc != NULL) {
		proc_stop(session->proc, how);
		session->config_exit = session->config_exit ||
			proc_exit_config(session->proc);
		session_copy_ended(session, why);
		proc_free(&session->proc);
	}
	wire_reader_deinit(&session->reader);
	buf_clear(&session->output);
	session->output_sent = 0;
	session->output_failed = false;
	session->written = 0;
	session->payer = NULL;
	session->octets_left = 0;
	session->in_flight = 0;
	session->caps_done = false;
}

void session_complete(struct session *session,
			     struct session_request *request)
{
	struct session_request **pos = &session->head;

	while (*pos != request)
		pos = &(*pos)->next;
	*pos = request->next;
	if (session->tail == &request->next)
		session->tail = pos;
	if (request->sent && session->in_flight > 0)
		session->in_flight--;
	request->next = NULL;
	request->done = true;
	session_request_finished(session, request);
	if (request->handler->done != NULL)
		request->handler->done(request);
}

/* NO came before all octets were sent. That is definite; an OK would not be: it
   cannot speak for octets that the copy never had. */
static bool request_refused(const struct session_request *request)
{
	return request->answered && request->fault.from_backend;
}

void session_fail(struct session *session, struct session_request *request,
		  const struct fault *_fault)
{
	struct fault fault = *_fault;

	if (request_refused(request)) {
		session_log(session, SESSION_LOG_WARNING, fault.log);
		session_complete(session, request);
		return;
	}
	if (request->begun) {
		fault.code = FAULT_UNCERTAIN;
		fault.from_backend = false;
		fault_set_user(&fault,
			       view_of(fault_code_text(FAULT_UNCERTAIN)));
		if (request->fault.code != FAULT_NONE)
			fault_context(&fault, "%s; then", request->fault.log);
	}
	request->fault = fault;
	session_complete(session, request);
}

static void session_fail_all(struct session *session,
			     const struct fault *fault)
{
	while (session->head != NULL)
		session_fail(session, session->head, fault);
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
	size_t i;

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
	for (i = 0; session->argv[i] != NULL; i++)
		free(session->argv[i]);
	free(session->argv);
	free(session->launcher);
	free(session->user);
	free(session->home);
	free(session->cwd);
	free(session->tmp_dir);
	free(session->mode);
	free(session->rawlog_dir);
	free(session);
}

void session_request_free(struct session_request *request)
{
	buf_free(&request->line);
}

/* --- faults ---------------------------------------------------------------- */

static bool session_in_backoff(const struct session *session)
{
	return session->config_exit ||
		clock_msecs() < session->start_after;
}

static void session_back_off(struct session *session,
			     const struct fault *fault)
{
	uint64_t pause = SESSION_BACKOFF_MIN_MSECS;
	unsigned int i;

	session->last_fault = *fault;
	if (++session->failures < SESSION_FREE_FAILURES) {
		session->start_after = 0;
		return;
	}
	for (i = SESSION_FREE_FAILURES; i < session->failures &&
	     pause < SESSION_BACKOFF_MAX_MSECS; i++)
		pause *= 2;
	if (pause > SESSION_BACKOFF_MAX_MSECS)
		pause = SESSION_BACKOFF_MAX_MSECS;
	session->start_after = clock_msecs() + pause;
}

static void request_again(struct session_request *request)
{
	request->sent = request->answered = false;
	if (request->handler->reset != NULL)
		request->handler->reset(request);
}

/* May a request that was in flight be sent to a fresh copy? */
static bool session_may_repeat(const struct session_request *request)
{
	return !request_refused(request) &&
		(request->repeatable || !request->begun);
}

/* What happens to the head when its copy broke. died: the copy went away by
   itself, so that a fresh one may well answer. */
static void session_fail_head(struct session *session,
			      const struct fault *fault, bool died)
{
	struct session_request *head = session->head;

	if (died && !head->retried && session_may_repeat(head) &&
	    !session_in_backoff(session)) {
		head->retried = true;
		head->fault = *fault;
		request_again(head);
	} else if (head == &session->caps_request) {
		session_fail_all(session, fault);
	} else {
		session_fail(session, head, fault);
	}
}

/* The copy broke: end it and sort what was in flight. */
void session_break(struct session *session, const struct fault *fault,
			  bool died)
{
	struct session_request *request, *next;
	bool head_sent = session->head != NULL && session->head->sent;

	session_back_off(session, fault);
	session_copy_end(session, PROC_END_FORCE, fault->log);
	if (!head_sent)
		return;
	for (request = session->head->next;
	     request != NULL && request->sent; request = next) {
		next = request->next;
		if (session_may_repeat(request))
			request_again(request);
		else
			session_fail(session, request, fault);
	}
	session_fail_head(session, fault, died);
}

const char *session_head_quoted(struct session *session, char *dest,
				       size_t size)
{
	return wire_quote(view_of_buf(&session->head->line), dest, size);
}

/* The reply is wrong. */
void session_break_reply(struct session *session,
				enum fault_code code, const char *what)
{
	char quoted[WIRE_QUOTE_SIZE];
	struct fault fault;

	(void)fault_set(&fault, code, FAULT_SCOPE_BACKEND,
		"%s: %s while answering %s", session->argv[0], what,
		session_head_quoted(session, quoted, sizeof(quoted)));
	session_break(session, &fault, false);
}

static void session_break_eof(struct session *session)
{
	char quoted[WIRE_QUOTE_SIZE];
	struct fault fault;

	proc_stop(session->proc, PROC_END_POLITE);
	(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
		"%s: ended while answering %s: %s", session->argv[0],
		session_head_quoted(session, quoted, sizeof(quoted)),
		proc_exit_text(session->proc));
	session_break(session, &fault, true);
}

static void session_break_deadline(struct session *session)
{
	const struct session_request *head = session->head;
	unsigned int msecs = head == &session->caps_request ?
		session->set.caps_timeout_msecs : session->set.timeout_msecs;
	char what[160], octets[80] = "";

	if (head->payload_size > 0 && session->written < head->ends)
		(void)snprintf(octets, sizeof(octets), ", nor read more than "
			"%llu of %llu octets,", (unsigned long long)
			(session->written > head->line_ends ?
			 session->written - head->line_ends : 0),
			(unsigned long long)head->payload_size);
	(void)snprintf(what, sizeof(what), "wrote nothing for %u.%03u s%s",
		       msecs / 1000, msecs % 1000, octets);
	session_break_reply(session, FAULT_UNAVAILABLE, what);
}

/* --- starting a copy ------------------------------------------------------- */

static void session_caps_line(struct session *session)
{
	struct buf *line = &session->caps_request.line;

	buf_clear(line);
	buf_printf(line, "CAPS %d mode=%s user=", CAPS_VERSION,
		   session->mode != NULL ? session->mode : "cli");
	wire_encode(view_of(session->user != NULL ? session->user : ""), line);
}

static int session_start_refused(struct session *session,
				 struct fault *fault_r)
{
	uint64_t now = clock_msecs();

	if (session->config_exit) {
		*fault_r = session->last_fault;
		fault_context(fault_r, "%s is not started again because it "
			"exited with status %d (EX_CONFIG)", session->argv[0],
			PROC_EXIT_CONFIG);
		return -1;
	}
	if (now < session->start_after) {
		*fault_r = session->last_fault;
		fault_r->code = FAULT_UNAVAILABLE;
		fault_context(fault_r, "%s is not started again for %u s after "
			"%u failures in a row, the last", session->argv[0],
			(unsigned int)((session->start_after - now + 999) /
				       1000),
			session->failures);
		return -1;
	}
	return 0;
}

static int session_start(struct session *session, struct fault *fault_r)
{
	struct proc_settings set = {
		.launcher = session->launcher,
		.argv = session->set.argv,
		.user = session->user,
		.home = session->home,
		.cwd = session->cwd,
		.tmp_dir = session->tmp_dir,
		.grace_msecs = session->set.grace_msecs,
		.stderr_cb = session_stderr,
		.context = session,
	};
	struct session_request *caps = &session->caps_request;
	bool retrying = session->head == caps;

	if (session_start_refused(session, fault_r) < 0)
		return -1;
	if (proc_start(&set, &session->proc, fault_r) < 0) {
		session_back_off(session, fault_r);
		return -1;
	}
	session->reader = wire_reader_init();
	session_copy_began(session);
	caps_request_reset(caps);
	if (retrying)
		return 0;
	caps->verb = VERB_CAPS;
	caps->handler = &caps_handler;
	caps->done = caps->sent = caps->retried = caps->answered = false;
	caps->repeatable = true;
	caps->fault.code = FAULT_NONE;
	caps->since_usecs = 0;
	session_caps_line(session);
	caps->next = session->head;
	session->head = caps;
	if (caps->next == NULL)
		session->tail = &caps->next;
	return 0;
}

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

/* The copy broke while nothing was in flight. The request that waits, if there is
   one, has done no harm: a fresh copy gets it, once. */
static void session_break_idle(struct session *session,
			       const struct fault *fault)
{
	struct session_request *head = session->head;

	session_back_off(session, fault);
	session_copy_end(session, PROC_END_FORCE, fault->log);
	if (head == NULL) {
		/* nobody is to be told of it later */
		session_log(session, SESSION_LOG_WARNING, fault->log);
	} else if (head->retried) {
		session_fail(session, head, fault);
	} else {
		head->fault = *fault;
		head->retried = true;
	}
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
