/* One conversation with a backend: handshake, requests in order, deadlines,
 * restart. Every wait has a deadline; both directions and stderr are polled at
 * once; after a deadline or a grammar error the copy is ended, never
 * resynchronised by guessing (protocol.md, "Order, life and death"). */
#ifndef BRIDGE_SESSION_H
#define BRIDGE_SESSION_H

#include "caps.h"
#include "fault.h"

#include <sys/types.h>

#define SESSION_TIMEOUT_MSECS (60 * 1000)
#define SESSION_CAPS_TIMEOUT_MSECS (10 * 1000)
#define SESSION_WAIT_MAX_MSECS (10 * 60 * 1000)	/* "* WAIT", in all */
#define SESSION_ALIVE_MSECS (15 * 1000)	/* between calls of alive() */
#define SESSION_IDLE_MSECS 1000	/* without a request, before who asks next waits
				   anew */
#define SESSION_ITEMS_MAX 16777216	/* items in one reply */
#define SESSION_RESERVED_MAX 10000	/* "! ..." lines in one reply */
#define SESSION_IGNORED_MAX 10000	/* items in one reply that are not known,
					   and one more for each that is */
#define SESSION_OCTETS_STEP 65536	/* octets that count as a line read, or as
					   one that the backend has read */
#define SESSION_FREE_FAILURES 8		/* failures in a row without back-off */
#define SESSION_BACKOFF_MIN_MSECS 1000
#define SESSION_BACKOFF_MAX_MSECS (60 * 1000)

enum session_log {
	SESSION_LOG_DEBUG,
	SESSION_LOG_INFO,
	SESSION_LOG_WARNING,
	SESSION_LOG_ERROR
};

struct session;

enum session_event {
	SESSION_STARTED,		/* a copy */
	SESSION_EXITED,			/* that copy */
	SESSION_FINISHED		/* a request, whichever way */
};

/* What happens in a session, for statistics. Texts are valid during the call. */
struct session_report {
	enum session_event event;
	const struct session *session;
	uint64_t duration_usecs;	/* of the request, from when it was first
					   sent; how long the copy lived */
	uint64_t bytes_in, bytes_out;	/* read from and written to the copy */
	/* SESSION_STARTED, SESSION_EXITED */
	pid_t pid;			/* the launcher's */
	/* SESSION_EXITED */
	int status;			/* 0 to 255; -1 = did not exit */
	const char *how;		/* proc_exit_text */
	const char *why;		/* why it was ended; NULL = not needed any
					   more */
	/* SESSION_FINISHED */
	enum verb_id verb;
	struct view box;		/* as it is spelt; empty = none */
	const struct fault *fault;	/* NULL = OK */
};

struct session_settings {
	const char *launcher;		/* absolute path */
	const char *const *argv;	/* the backend, NULL-terminated */
	const char *user;		/* BRIDGE_USER */
	const char *home;
	const char *cwd;
	const char *tmp_dir;
	const char *mode;		/* "imap", "lmtp", ...: told in CAPS */
	unsigned int timeout_msecs;
	unsigned int caps_timeout_msecs;
	unsigned int grace_msecs;	/* as in struct proc_settings */
	/* The backend's stderr and our own notes; text is printable UTF-8. */
	void (*log)(void *context, enum session_log level, const char *text);
	/* May be NULL. It must not call the session, but to read its state. */
	void (*report)(void *context, const struct session_report *report);
	const char *rawlog_dir;		/* where each copy gets a transcript;
					   NULL = none */
	/* Called every alive_msecs (0 = SESSION_ALIVE_MSECS) while somebody
	   waits, be it for several requests in a row; may be NULL. */
	void (*alive)(void *context);
	unsigned int alive_msecs;
	void *context;
};

struct session_request;

/* What a request does with its reply. Each returns 0, or -1 and a text: then
 * the reply is wrong, the copy is ended, and the request fails with INTERNAL.
 * Lines are valid during the call only. */
struct session_handler {
	/* Called just before the request is sent, each time, with the caps of
	   the copy that will get it: may make line (again), and set repeatable,
	   payload_fd, _offset and _size. Returns 0, or -1 and a fault: nothing is
	   sent then, and the request fails with it. May be NULL. */
	int (*prepare)(struct session_request *request,
		       const struct caps *caps, struct fault *fault_r);
	/* An item; before its octets if it is DATA. */
	int (*item)(struct session_request *request,
		    const struct wire_line *line, struct wire_error *error_r);
	/* Octets of the last DATA item, in pieces. NULL = DATA is wrong. */
	int (*octets)(struct session_request *request, const char *data,
		      size_t size, struct wire_error *error_r);
	/* The final OK. */
	int (*final)(struct session_request *request,
		     const struct wire_line *line, struct wire_error *error_r);
	/* Forget all of the reply: it comes again from a fresh copy. */
	void (*reset)(struct session_request *request);
	/* It is done, whichever way. The last call: it may free the request.
	   May be NULL. */
	void (*done)(struct session_request *request);
};

/* One request. The caller embeds it at the start of its own struct, sets verb,
 * handler and line, and keeps it until done. */
struct session_request {
	enum verb_id verb;
	const struct session_handler *handler;
	struct buf line;		/* the request, without LF */

	/* set by the session, and then by prepare */
	bool repeatable;		/* may be sent again if a copy that had
					   it died; as the table of verbs has it */
	int payload_fd;			/* octets that follow the line; read
					   with pread while the request is not
					   done */
	uint64_t payload_offset;
	uint64_t payload_size;		/* 0 = none */

	/* set by the session */
	bool done;
	struct fault fault;		/* FAULT_NONE if the final was OK; a write
					   that has begun and was not answered
					   is UNCERTAIN */
	bool begun;			/* a write: a copy that broke had some of
					   it */
	/* private */
	struct session_request *next;
	bool sent, retried;
	bool taken;			/* the copy has read its line */
	bool answered;			/* but not all of its octets are sent */
	/* where it stands in all that was ever written to this copy */
	uint64_t begins, line_ends, ends;
	uint64_t since_usecs;		/* when it was first sent; 0 = never */
};

/* All strings are copied. Nothing is started before the first request. */
struct session *session_init(const struct session_settings *set);
/* Ends the copy (politely); requests not done are failed. */
void session_deinit(struct session **session);
/* The same without waiting: session_end_begin closes the copy's stdin and fails
 * requests that are not done. From then on only session_ended may be called,
 * every PROC_STEP_MSECS or so, until it returns true, and session_deinit, which
 * waits for what is left to be done. */
void session_end_begin(struct session *session);
bool session_ended(struct session *session);

/* Put a request in the queue. It is sent as soon as the window allows (one in
 * flight, or pipeline=N) and somebody waits for any request, or pumps. */
void session_submit(struct session *session, struct session_request *request);
/* Go on until this request is done. Returns 0 if it ended with OK, -1 if not
 * (request->fault). */
int session_wait(struct session *session, struct session_request *request);
/* Move what can be moved without waiting: write, read, carry on with the
 * queue. Starts no copy. */
void session_pump(struct session *session);
/* A step of session_wait, without waiting: for who has an event loop of his own,
 * and requests one at a time. Returns true if the request is done. If it is not, it
 * is to be called again when one of the descriptors that session_waits_for names
 * can be read or written, or msecs are over. They may be closed by any call of
 * a session function. (A copy that has to be ended by force takes up to 2.5
 * seconds all the same.) */
bool session_try(struct session *session, struct session_request *request);
struct session_waits {
	int read_fds[2], write_fd;	/* -1 = none */
	unsigned int msecs;
};
void session_waits_for(const struct session *session,
		       struct session_waits *waits_r);
/* session_wait, but for so long at the most. Returns whether the request is done; if
 * not, it goes on. */
bool session_wait_within(struct session *session,
			 struct session_request *request, unsigned int msecs);
/* Take a request back that was not sent yet. Returns false if it was, or if it
 * is a write that a copy that broke had begun to read: it must then be kept
 * until it is done. */
bool session_withdraw(struct session *session,
		      struct session_request *request);
/* Submit and wait. */
int session_run(struct session *session, struct session_request *request);
/* Free what the session keeps in a request, not the request itself. A request
 * that is not done must not be freed. */
void session_request_free(struct session_request *request);

/* What the copy can do; starts one if none runs. Returns NULL and a fault. */
const struct caps *session_caps(struct session *session, struct fault *fault);
/* The same of a copy that runs and has said so; NULL if there is none. */
const struct caps *session_caps_known(const struct session *session);
/* proc_open of the running copy; ESRCH if none runs. */
int session_open(const struct session *session, const char *path, int flags);
/* The running copy's BRIDGE_TMP, NULL if none runs. */
const char *session_tmp(const struct session *session);
/* Short name of the backend for messages: argv[0] without folders. */
const char *session_name(const struct session *session);
const struct session_settings *session_settings(const struct session *session);
/* How long until a copy may be started: 0 = at once, UINT64_MAX = never again, it
 * exited with EX_CONFIG. */
uint64_t session_pause_msecs(const struct session *session);
/* What stands in the file that the last line of a reply names: for the transcript,
 * if there is one. */
void session_rawlog_file(struct session *session, int fd, uint64_t offset,
			 uint64_t size);

/* The fault that a backend's "CODE text" stands for: used for NO and for FAIL
 * items. Takes "retry=SECS" off the text. */
void session_fault_said(struct fault *fault, enum fault_scope scope,
			struct view code, struct view text);

/* The fault that the item "* FAIL id [CODE [text]]" stands for. */
void session_fault_item(struct session *session,
			const struct session_request *request,
			const struct wire_line *line, struct fault *fault);

#endif
