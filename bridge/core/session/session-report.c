/* What others are told of a session: the log of the backend's stderr, reports for
 * statistics, transcripts. See session.c. */
#include "session-private.h"
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* --- the log --------------------------------------------------------------- */

void session_log(struct session *session, enum session_log level,
		 const char *text)
{
	if (session->set.log != NULL)
		session->set.log(session->set.context, level, text);
}

/* --- transcripts ----------------------------------------------------------- */

static void session_rawlog_failed(struct session *session, const char *path)
{
	char text[FAULT_LOG_MAX];

	if (!session->rawlog_failed) {
		(void)snprintf(text, sizeof(text), "%s: no transcript is "
			"written: %s: %s", session->argv[0], path,
			strerror(errno));
		session_log(session, SESSION_LOG_WARNING, text);
	}
	session->rawlog_failed = true;
}

static void session_rawlog_begin(struct session *session)
{
	const struct session_settings *set = &session->set;
	struct transcript *rawlog;
	char date[32], pid[32];
	time_t now = time(NULL);
	struct tm tm;
	size_t i;

	if (set->rawlog_dir == NULL || session->rawlog_failed)
		return;
	rawlog = session->rawlog = transcript_create(set->rawlog_dir);
	if (rawlog == NULL) {
		session_rawlog_failed(session, set->rawlog_dir);
		return;
	}
	transcript_note(rawlog, "program", set->argv[0]);
	for (i = 1; set->argv[i] != NULL; i++)
		transcript_note(rawlog, "argument", set->argv[i]);
	transcript_note(rawlog, "user", set->user != NULL ? set->user : "");
	transcript_note(rawlog, "mode", set->mode != NULL ? set->mode : "cli");
	(void)snprintf(pid, sizeof(pid), "%ld", (long)proc_pid(session->proc));
	transcript_note(rawlog, "pid", pid);
	transcript_note(rawlog, "tmp", proc_tmp(session->proc));
	if (gmtime_r(&now, &tm) != NULL &&
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		transcript_note(rawlog, "date", date);
}

void session_rawlog_line(struct session *session, enum transcript_kind kind,
			 struct view line)
{
	if (session->rawlog != NULL)
		transcript_line(session->rawlog, kind, line);
}

void session_rawlog_bytes(struct session *session, enum transcript_kind kind,
			  const char *data, size_t size)
{
	struct view bytes = { data, size };

	if (session->rawlog != NULL)
		transcript_bytes(session->rawlog, kind, bytes);
}

void session_rawlog_file(struct session *session, int fd, uint64_t offset,
			 uint64_t size)
{
	if (session->rawlog != NULL)
		transcript_file(session->rawlog, fd, offset, size);
}

void session_rawlog_flush(struct session *session)
{
	if (session->rawlog == NULL || transcript_flush(session->rawlog) == 0)
		return;
	session_rawlog_failed(session, transcript_path(session->rawlog));
	transcript_free(&session->rawlog);
}

/* What was read and not understood goes in before the end. */
static void session_rawlog_end(struct session *session, const char *why)
{
	struct view rest;
	char status[16];

	if (session->rawlog == NULL)
		return;
	rest.len = wire_reader_octets(session->reader, UINT64_MAX, &rest.p);
	transcript_bytes(session->rawlog, TRANSCRIPT_REPLY_BYTES, rest);
	if (why != NULL)
		transcript_note(session->rawlog, "fault", why);
	if (proc_exit_status(session->proc) >= 0) {
		(void)snprintf(status, sizeof(status), "%d",
			       proc_exit_status(session->proc));
		transcript_note(session->rawlog, "status", status);
	}
	transcript_note(session->rawlog, "end", proc_exit_text(session->proc));
	session_rawlog_flush(session);
	transcript_free(&session->rawlog);
}

/* --- stderr ---------------------------------------------------------------- */

void session_stderr(void *context, struct view line)
{
	static const struct {
		const char *prefix;
		enum session_log level;
	} levels[] = {
		{ "debug:", SESSION_LOG_DEBUG },
		{ "warning:", SESSION_LOG_WARNING },
		{ "error:", SESSION_LOG_ERROR },
	};
	struct session *session = context;
	enum session_log level = SESSION_LOG_INFO;
	char text[PROC_STDERR_LINE_MAX * 2], said[PROC_STDERR_LINE_MAX + 1];
	size_t i;

	session_rawlog_line(session, TRANSCRIPT_STDERR, line);
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!view_starts(line, levels[i].prefix))
			continue;
		level = levels[i].level;
		line.p += strlen(levels[i].prefix);
		line.len -= strlen(levels[i].prefix);
		break;
	}
	while (line.len > 0 && *line.p == ' ') {
		line.p++;
		line.len--;
	}
	(void)fault_sanitise(said, sizeof(said), line);
	(void)snprintf(text, sizeof(text), "%s: %s", session->argv[0], said);
	session_log(session, level, text);
}

/* --- reports --------------------------------------------------------------- */

static void session_report(struct session *session,
			   struct session_report *report)
{
	report->session = session;
	session->set.report(session->set.context, report);
}

/* The first field of a request: all but CAPS and LIST alone have a mailbox there. */
static struct view request_box(const struct session_request *request)
{
	struct view line = view_of_buf(&request->line);

	if (request->verb == VERB_CAPS)
		return view_of("");
	(void)wire_next(&line);
	return wire_next(&line);
}

void session_request_finished(struct session *session,
			      const struct session_request *request)
{
	struct session_report report = { .event = SESSION_FINISHED };
	bool failed = request->fault.code != FAULT_NONE;

	/* one that was taken back says nothing */
	if (session->set.report == NULL || !(request->sent || failed))
		return;
	if (request->since_usecs != 0)
		report.duration_usecs = clock_usecs() -
			request->since_usecs;
	if (request->sent) {
		report.bytes_out = request->ends - request->begins;
		report.bytes_in = session->reply_bytes;
	}
	report.verb = request->verb;
	report.box = request_box(request);
	report.fault = failed ? &request->fault : NULL;
	session_report(session, &report);
}

void session_copy_began(struct session *session)
{
	struct session_report report = { .event = SESSION_STARTED };

	session->started_usecs = clock_usecs();
	session->copy_bytes_in = session->copy_bytes_out = 0;
	session_rawlog_begin(session);
	if (session->set.report == NULL)
		return;
	report.pid = proc_pid(session->proc);
	session_report(session, &report);
}

void session_copy_ended(struct session *session, const char *why)
{
	struct session_report report = { .event = SESSION_EXITED };

	session_rawlog_end(session, why);
	if (session->set.report == NULL)
		return;
	report.duration_usecs = clock_usecs() - session->started_usecs;
	report.bytes_in = session->copy_bytes_in;
	report.bytes_out = session->copy_bytes_out;
	report.pid = proc_pid(session->proc);
	report.status = proc_exit_status(session->proc);
	report.how = proc_exit_text(session->proc);
	report.why = why;
	session_report(session, &report);
}
