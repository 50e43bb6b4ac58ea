/* What the files session*.c share, the lowest first: each uses what stands above it
 * here, session.c all of it. */
#ifndef BRIDGE_SESSION_PRIVATE_H
#define BRIDGE_SESSION_PRIVATE_H

#include "session.h"
#include "proc.h"
#include "transcript.h"

struct session {
	struct session_settings set;	/* its strings are in texts */
	const char **argv;		/* set.argv, to be freed */
	struct arena texts;

	struct proc *proc;
	struct wire_reader *reader;
	struct caps caps;
	struct session_request caps_request;
	bool caps_done;

	struct session_request *head, **tail;
	unsigned int in_flight;
	struct buf output;
	size_t output_sent;
	bool output_failed;
	uint64_t written;	/* bytes that this copy has taken, in all */
	struct session_request *payer;	/* whose octets are being sent */
	uint64_t payload_left;	/* of them, not in output yet */

	/* the reply to the head, so far */
	uint64_t octets_left;
	uint64_t octets_since_step;
	uint64_t items, ignored, reserved, reply_bytes;
	uint64_t deadline, wait_until, alive_at;
	uint64_t idle_at;	/* from then on nobody waits, if nothing is asked */
	struct buf answered;	/* the request that was answered last */

	unsigned int failures;
	uint64_t start_after;	/* 0 = whenever */
	bool config_exit;
	struct fault last_fault;

	/* what is told of the copy that runs */
	uint64_t started_usecs, copy_bytes_in, copy_bytes_out;
	struct transcript *rawlog;	/* NULL = none */
	bool rawlog_failed;		/* and said so */
};

/* session-report.c */
void session_log(struct session *session, enum session_log level,
		 const char *text);
/* A line of the copy's stderr: a proc_stderr_cb. */
void session_stderr(void *context, struct view line);
/* A copy was started; it ended (why: NULL = it was not needed any more). */
void session_copy_began(struct session *session);
void session_copy_ended(struct session *session, const char *why);
void session_request_finished(struct session *session,
			      const struct session_request *request);
/* What goes to the copy, or comes from it. A line has no LF. */
void session_rawlog_line(struct session *session, enum transcript_kind kind,
			 struct view line);
void session_rawlog_bytes(struct session *session, enum transcript_kind kind,
			  const char *data, size_t size);
/* Nothing is kept back while the copy is waited for. */
void session_rawlog_flush(struct session *session);

/* session-life.c */
/* Take a request off the queue: it is done. */
void session_complete(struct session *session,
		      struct session_request *request);
/* Starts a copy, CAPS at the head of the queue. Returns 0, -1 and a fault. */
int session_start(struct session *session, struct fault *fault_r);
/* The copy has had some of these writes, whatever comes of them now. */
void session_note_begun(struct session *session);
/* End the copy, if there is one. why: NULL = it is not needed any more. */
void session_copy_end(struct session *session, enum proc_end how,
		      const char *why);
/* The copy broke: end it and sort what was in flight. died: it went away by
 * itself, so that a fresh one may well answer. */
void session_break(struct session *session, const struct fault *fault,
		   bool died);
/* The same because the reply is wrong; what: "wrote ...". */
void session_break_reply(struct session *session, enum fault_code code,
			 const char *what);
/* The same because it ended, or said nothing for too long, while it was to answer. */
void session_break_eof(struct session *session);
void session_break_deadline(struct session *session);
/* The copy broke while nothing was in flight. The request that waits, if there is
 * one, has done no harm: a fresh copy gets it, once. */
void session_break_idle(struct session *session, const struct fault *fault);
/* The request will not be answered any more: it is done, with this fault, or
 * UNCERTAIN if a copy had begun to read it. */
void session_fail(struct session *session, struct session_request *request,
		  const struct fault *fault);
void session_fail_all(struct session *session, const struct fault *fault);
const char *session_head_quoted(struct session *session, char *dest,
				size_t size);

/* session-reply.c */
/* A request has become the head of what is in flight. */
void session_reply_begins(struct session *session);
/* Say that we are alive, if it is time for it. */
void session_keep_alive(struct session *session);
/* How long to wait for the copy at most before the next look. */
int session_poll_msecs(const struct session *session);
/* The head has its answer, and all of it was sent. */
void session_head_done(struct session *session);
/* Take complete lines and octets out of the buffer. Returns false if the copy
 * broke, or nothing is in flight any more. */
bool session_parse(struct session *session);

/* session-send.c */
/* Is the line too long? Returns 0, -1 and a fault. */
int session_check_line(struct session *session,
		       const struct session_request *request,
		       struct fault *fault_r);
/* Put what may be sent behind what is still to be written. Requests that cannot
 * be sent are done then. Returns false if the copy broke. */
bool session_fill_output(struct session *session);
/* Write what the copy takes without waiting. */
void session_write(struct session *session);

#endif
