/* The reply to the head of the queue: lines and octets as they come in, until
 * its final line. See session.c. */
#include "session-private.h"
#include "clock.h"

#include <stdio.h>

#define SESSION_POLL_MSECS 1000

static void session_set_deadline(struct session *session)
{
	session->deadline = clock_msecs() +
		(session->head == &session->caps_request ?
		 session->set.caps_timeout_msecs : session->set.timeout_msecs);
}

/* Who asks for one thing after the other waits all that time. */
void session_reply_begins(struct session *session)
{
	uint64_t now = clock_msecs();

	if (now >= session->idle_at)
		session->alive_at = now + session->set.alive_msecs;
	session->octets_left = session->octets_since_step = 0;
	session->items = session->ignored = session->reserved = 0;
	session->reply_bytes = 0;
	session->wait_until = 0;
	session_set_deadline(session);
}

void session_keep_alive(struct session *session)
{
	if (session->set.alive == NULL ||
	    clock_msecs() < session->alive_at)
		return;
	session->alive_at = clock_msecs() + session->set.alive_msecs;
	session->set.alive(session->set.context);
}

int session_poll_msecs(const struct session *session)
{
	uint64_t now = clock_msecs(), until = session->deadline;

	if (session->set.alive != NULL && session->in_flight > 0 &&
	    session->alive_at < until)
		until = session->alive_at;
	if (until <= now)
		return 0;
	return until - now < SESSION_POLL_MSECS ? (int)(until - now) :
		SESSION_POLL_MSECS;
}

void session_head_done(struct session *session)
{
	struct session_request *head = session->head;

	if (head->fault.code != FAULT_NONE && head->retried &&
	    !head->fault.from_backend) {
		/* asked twice, answered by the second copy */
		fault_context(&head->fault, "answered by a fresh copy after");
		session_log(session, SESSION_LOG_WARNING, head->fault.log);
		memset(&head->fault, 0, sizeof(head->fault));
	}
	if (head == &session->caps_request)
		session->caps_done = true;
	else
		session->failures = 0;
	session->idle_at = clock_msecs() + SESSION_IDLE_MSECS;
	buf_clear(&session->answered);
	buf_append_view(&session->answered, view_of_buf(&head->line));
	session_complete(session, head);
	if (session->head != NULL && session->head->sent)
		session_reply_begins(session);
}

/* The final line has come. Octets are sent whatever the answer is. */
static void session_answered(struct session *session)
{
	if (session->written < session->head->ends)
		session->head->answered = true;
	else
		session_head_done(session);
}

static struct view view_word(struct view text)
{
	const char *space = memchr(text.p, ' ', text.len);

	if (space != NULL)
		text.len = (size_t)(space - text.p);
	return text;
}

void session_fault_said(struct fault *fault, enum fault_scope scope,
			struct view code, struct view text)
{
	struct view word = view_word(text), key, value;
	uint64_t secs;
	char said[FAULT_USER_MAX];

	(void)fault_sanitise(said, sizeof(said), text);
	(void)fault_set(fault, fault_code_parse(code), scope, "%.*s %s",
			code.len > 32 ? 32 : (int)code.len, code.p, said);
	fault->from_backend = true;
	if (wire_option(word, &key, &value) && view_is(key, "retry") &&
	    wire_number(value, 86400 * 365, &secs) == 0) {
		fault->retry_secs = (unsigned int)secs;
		text.p += word.len;
		text.len -= word.len;
		while (text.len > 0 && *text.p == ' ') {
			text.p++;
			text.len--;
		}
	}
	fault_set_user(fault, text);
}

void session_fault_item(struct session *session,
			const struct session_request *request,
			const struct wire_line *line, struct fault *fault)
{
	struct view code = { "INTERNAL", 8 }, text = { "", 0 };
	const char *end = line->raw.p + line->raw.len;
	char quoted[WIRE_QUOTE_SIZE];

	if (line->count > 1)
		code = line->fields[1];
	if (line->count > 2) {
		text.p = line->fields[2].p;
		text.len = (size_t)(end - text.p);
	}
	session_fault_said(fault, FAULT_SCOPE_MESSAGE, code, text);
	fault_context(fault, "%s answered %s with FAIL", session->argv[0],
		      wire_quote(view_of_buf(&request->line), quoted,
				 sizeof(quoted)));
}

static void session_head_no(struct session *session,
			    const struct wire_line *line)
{
	char quoted[WIRE_QUOTE_SIZE];
	struct fault fault;
	struct session_request *head = session->head;

	session_fault_said(&fault, FAULT_SCOPE_MAILBOX, line->keyword,
			   line->text);
	fault_context(&fault, "%s answered %s with NO", session->argv[0],
		      session_head_quoted(session, quoted, sizeof(quoted)));
	if (head == &session->caps_request) {
		session_break(session, &fault, false);
		return;
	}
	/* what it does not know it is not asked again */
	if (fault.code == FAULT_UNSUPPORTED && !verb_info(head->verb)->mandatory)
		session->caps.verbs[head->verb] = false;
	head->fault = fault;
	session_answered(session);
}

/* A backend may say WAIT as often as it likes, with seconds or without, but
   only so long after the first. */
static int session_wait_item(struct session *session,
			     const struct wire_line *line)
{
	uint64_t secs = 0, until, now = clock_msecs();

	if (session->wait_until == 0)
		session->wait_until = now + SESSION_WAIT_MAX_MSECS;
	if (now > session->wait_until)
		return -1;
	if (line->count > 0 &&
	    wire_number(line->fields[0], SESSION_WAIT_MAX_MSECS / 1000,
			&secs) < 0)
		secs = SESSION_WAIT_MAX_MSECS / 1000;
	until = now + secs * 1000;
	if (until > session->wait_until)
		until = session->wait_until;
	session->deadline = until + session->set.timeout_msecs;
	return 0;
}

static int session_data_begins(struct session *session,
			       const struct wire_line *line,
			       struct wire_error *error_r)
{
	char quoted[WIRE_QUOTE_SIZE];

	if (session->head->handler->octets == NULL || line->count < 2 ||
	    wire_number(line->fields[1], WIRE_MESSAGE_MAX,
			&session->octets_left) < 0) {
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"wrote %s, which does not name a length from 0 to %d",
			wire_quote(line->raw, quoted, sizeof(quoted)),
			WIRE_MESSAGE_MAX);
		return -1;
	}
	return 0;
}

/* What a later version says of each message of a list is not too much. */
static int session_ignore(struct session *session, const struct wire_line *line,
			  struct wire_error *error_r)
{
	uint64_t known = session->items - ++session->ignored;

	if (session->ignored <= SESSION_IGNORED_MAX + known)
		return 0;
	return wire_fail(error_r, "too many items that are not known here, the "
			 "last", line->raw);
}

static int session_item(struct session *session, const struct wire_line *line,
			struct wire_error *error_r)
{
	struct session_request *head = session->head;

	if (++session->items > SESSION_ITEMS_MAX) {
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"wrote more than %d items", SESSION_ITEMS_MAX);
		return -1;
	}
	if (view_is(line->keyword, "WAIT")) {
		if (session_wait_item(session, line) == 0)
			return 0;
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"asked to wait for more than %d s in all",
			SESSION_WAIT_MAX_MSECS / 1000);
		return -1;
	}
	if (view_is(line->keyword, "DATA") &&
	    session_data_begins(session, line, error_r) < 0)
		return -1;
	if (!verb_has_item(head->verb, line->keyword) ||
	    head->handler->item == NULL)
		return session_ignore(session, line, error_r);
	return head->handler->item(head, line, error_r);
}

/* Nobody can have answered what was not read, nor have more to say once he
   has: a copy that once said too much would be an answer ahead from then on.
   Some have printed what they can do before they are asked. */
static bool session_line_is_early(const struct session *session,
				  const struct wire_line *line)
{
	struct session_request *head = session->head;

	if (head->answered || session->written < head->line_ends)
		return true;
	if (head->taken || !session->caps_done || line->kind == WIRE_RESERVED)
		return false;
	head->taken = session->written - proc_unread(session->proc) >=
		head->line_ends;
	return !head->taken;
}

/* Returns false if the copy broke. */
static bool session_line(struct session *session, const struct wire_line *line)
{
	struct session_request *head = session->head;
	struct wire_error error;

	if (session_line_is_early(session, line)) {
		(void)wire_fail(&error, head->answered ? "a line after its "
			"answer" : "a line before it had the request",
			line->raw);
		session_break_reply(session, FAULT_UNAVAILABLE, error.text);
		return false;
	}
	if (!(line->kind == WIRE_ITEM && view_is(line->keyword, "WAIT")))
		session_set_deadline(session);
	switch (line->kind) {
	case WIRE_RESERVED:
		if (++session->reserved <= SESSION_RESERVED_MAX)
			return true;
		session_break_reply(session, FAULT_UNAVAILABLE,
				    "wrote too many \"! \" lines");
		return false;
	case WIRE_NO:
		session_head_no(session, line);
		return session->proc != NULL;
	case WIRE_OK:
		if (head->handler->final != NULL &&
		    head->handler->final(head, line, &error) < 0)
			break;
		session_answered(session);
		return true;
	case WIRE_ITEM:
		if (session_item(session, line, &error) < 0)
			break;
		return true;
	}
	session_break_reply(session, FAULT_INTERNAL, error.text);
	return false;
}

static bool session_octets(struct session *session)
{
	struct session_request *head = session->head;
	struct wire_error error;
	const char *data;
	size_t size;

	size = wire_reader_octets(session->reader, session->octets_left,
				  &data);
	session_rawlog_bytes(session, TRANSCRIPT_REPLY_BYTES, data, size);
	session->reply_bytes += size;
	session->octets_left -= size;
	session->octets_since_step += size;
	if (session->octets_since_step >= SESSION_OCTETS_STEP ||
	    session->octets_left == 0) {
		session->octets_since_step = 0;
		session_set_deadline(session);
	}
	if (verb_has_item(head->verb, view_of("DATA")) &&
	    head->handler->octets(head, data, size, &error) < 0) {
		session_break_reply(session, FAULT_INTERNAL, error.text);
		return false;
	}
	return true;
}

bool session_parse(struct session *session)
{
	struct wire_line line;
	struct wire_error error;
	int ret;

	while (session->in_flight > 0) {
		if (session->octets_left > 0) {
			if (wire_reader_pending(session->reader) == 0)
				return true;
			if (!session_octets(session))
				return false;
			continue;
		}
		ret = wire_reader_line(session->reader, &line, &error);
		if (ret == 0)
			return true;
		if (line.raw.p != NULL)
			session_rawlog_line(session, TRANSCRIPT_REPLY,
					    line.raw);
		session->reply_bytes += line.raw.len + 1;
		if (ret < 0) {
			session_break_reply(session, FAULT_UNAVAILABLE,
					    error.text);
			return false;
		}
		if (!session_line(session, &line))
			return false;
	}
	return false;
}
