/* What goes to the copy: request lines, and the octets that follow one. See
 * session.c. */
#include "session-private.h"
#include "clock.h"

#include <errno.h>
#include <unistd.h>

#define SEND_STEP 65536		/* bytes in memory at once, and a line: what a pipe
				   holds */

int session_check_line(struct session *session,
		       const struct session_request *request,
		       struct fault *fault_r)
{
	if (request->line.len <= WIRE_LINE_MAX)
		return 0;
	return fault_set(fault_r, FAULT_LIMIT, FAULT_SCOPE_MESSAGE,
		"%s: the request would be longer than %d bytes",
		session->argv[0], WIRE_LINE_MAX);
}

static void session_send(struct session *session,
			 struct session_request *request)
{
	struct buf *output = &session->output;
	struct fault fault;

	request->payload_size = 0;
	if (request->handler->prepare != NULL &&
	    (request->handler->prepare(request, &session->caps, &fault) < 0 ||
	     session_check_line(session, request, &fault) < 0)) {
		session_fail(session, request, &fault);
		return;
	}
	request->begins = session->written + output->len -
		session->output_sent;
	buf_append_view(output, view_of_buf(&request->line));
	buf_append_c(output, '\n');
	request->line_ends = request->begins + request->line.len + 1;
	request->ends = request->line_ends + request->payload_size;
	if (request->since_usecs == 0)
		request->since_usecs = clock_usecs();
	session_rawlog_line(session, TRANSCRIPT_REQUEST,
			    view_of_buf(&request->line));
	if (request->payload_size > 0) {
		session->payer = request;
		session->payload_left = request->payload_size;
	}
	request->sent = true;
	request->taken = false;
	if (session->in_flight++ == 0)
		session_reply_begins(session);
}

/* The message cannot be read to its end. The copy waits for octets that will
   not come: only its end can tell it so. */
static void session_break_payload(struct session *session, const char *why)
{
	const struct session_request *payer = session->payer;
	char quoted[WIRE_QUOTE_SIZE];
	struct fault fault;

	(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MESSAGE,
		"%s: cannot be sent more than %llu of %llu octets after %s: %s",
		session->argv[0], (unsigned long long)
		(payer->payload_size - session->payload_left),
		(unsigned long long)payer->payload_size,
		wire_quote(view_of_buf(&payer->line), quoted, sizeof(quoted)),
		why);
	session_break(session, &fault, true);
}

/* The next octets. Returns false if the copy broke. */
static bool session_feed(struct session *session)
{
	const struct session_request *payer = session->payer;
	size_t want = SEND_STEP;
	ssize_t ret;

	if (want > session->payload_left)
		want = (size_t)session->payload_left;
	do {
		ret = pread(payer->payload_fd,
			    buf_reserve(&session->output, want), want,
			    (off_t)(payer->payload_offset +
				    payer->payload_size -
				    session->payload_left));
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0) {
		session_break_payload(session, ret < 0 ? strerror(errno) :
				      "its file has become shorter");
		return false;
	}
	session_rawlog_bytes(session, TRANSCRIPT_REQUEST_OCTETS,
			     session->output.p + session->output.len,
			     (size_t)ret);
	session->output.len += (size_t)ret;
	session->payload_left -= (uint64_t)ret;
	if (session->payload_left == 0)
		session->payer = NULL;
	return true;
}

/* The first that was not sent; NULL if there is none, or if the copy has enough. */
static struct session_request *session_next(struct session *session)
{
	struct session_request *request = session->head;
	unsigned int window = !session->caps_done ? 1 :
		session->caps.pipeline;

	if (session->in_flight >= window)
		return NULL;
	while (request != NULL && request->sent)
		request = request->next;
	return request;
}

/* Small requests and their octets go out together: what is written is forgotten
   only when all is, so no more comes to it once it is a step long. */
bool session_fill_output(struct session *session)
{
	struct session_request *request;

	while (session->output.len < SEND_STEP && !session->output_failed) {
		if (session->payer != NULL) {
			if (!session_feed(session))
				return false;
		} else if ((request = session_next(session)) != NULL) {
			session_send(session, request);
		} else {
			break;
		}
	}
	return true;
}

/* A backend that takes octets is alive: each step of them starts the deadline
   anew. It may not be brought nearer: WAIT has perhaps moved it. */
static void session_written(struct session *session, size_t size)
{
	const struct session_request *head = session->head;
	uint64_t deadline, before = session->written;

	session->written += size;
	session->copy_bytes_out += size;
	if (head == NULL || head->payload_size == 0 || before >= head->ends)
		return;
	if (session->written < head->ends &&
	    before / SESSION_OCTETS_STEP ==
	    session->written / SESSION_OCTETS_STEP)
		return;
	deadline = clock_msecs() + session->set.timeout_msecs;
	if (session->deadline < deadline)
		session->deadline = deadline;
	if (head->answered && session->written >= head->ends)
		session_head_done(session);
}

void session_write(struct session *session)
{
	struct buf *output = &session->output;
	ssize_t ret;

	ret = write(proc_fd_in(session->proc), output->p + session->output_sent,
		    output->len - session->output_sent);
	if (ret < 0 && errno != EAGAIN && errno != EINTR) {
		/* It does not read any more. What it said before may still be
		   in the pipe; the end of that tells what happened. */
		session->output_failed = true;
	}
	if (ret > 0)
		session->output_sent += (size_t)ret;
	if (session->output_failed || session->output_sent == output->len) {
		buf_clear(output);
		session->output_sent = 0;
	}
	if (ret > 0)
		session_written(session, (size_t)ret);
}
