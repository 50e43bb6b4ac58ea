/* The life of a copy: how it is started, with CAPS; what becomes of the requests when
 * it ends.
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

#include <stdio.h>

/* --- the end of a copy ------------------------------------------------------ */

void session_note_begun(struct session *session)
{
	struct session_request *request;

	for (request = session->head; request != NULL && request->sent;
	     request = request->next) {
		if (verb_info(request->verb)->writes &&
		    session->written > request->begins)
			request->begun = true;
	}
}

void session_copy_end(struct session *session, enum proc_end how,
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

void session_fail_all(struct session *session, const struct fault *fault)
{
	while (session->head != NULL)
		session_fail(session, session->head, fault);
}

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

void session_break_reply(struct session *session, enum fault_code code,
			 const char *what)
{
	char quoted[WIRE_QUOTE_SIZE];
	struct fault fault;

	(void)fault_set(&fault, code, FAULT_SCOPE_BACKEND,
		"%s: %s while answering %s", session->argv[0], what,
		session_head_quoted(session, quoted, sizeof(quoted)));
	session_break(session, &fault, false);
}

void session_break_eof(struct session *session)
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

void session_break_deadline(struct session *session)
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

void session_break_idle(struct session *session, const struct fault *fault)
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

/* --- starting a copy ------------------------------------------------------- */

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

static const struct session_handler caps_handler = {
	.item = caps_request_item,
	.final = caps_request_final,
	.reset = caps_request_reset,
};

static void session_caps_line(struct session *session)
{
	const struct session_settings *set = &session->set;
	struct buf *line = &session->caps_request.line;

	buf_clear(line);
	buf_printf(line, "CAPS %d mode=%s user=", CAPS_VERSION,
		   set->mode != NULL ? set->mode : "cli");
	wire_encode(view_of(set->user != NULL ? set->user : ""), line);
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

int session_start(struct session *session, struct fault *fault_r)
{
	struct proc_settings set = {
		.launcher = session->set.launcher,
		.argv = session->set.argv,
		.user = session->set.user,
		.home = session->set.home,
		.cwd = session->set.cwd,
		.tmp_dir = session->set.tmp_dir,
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
