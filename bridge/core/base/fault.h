/* An error, as a value: what it is, how far it reaches, when to try again, and
 * two texts, one for the user and one for the admin's log.
 *
 * The codes are those of protocol.md ("NO CODE text") and map one to one to
 * Dovecot's MAIL_ERROR_* in store/. A fault is made where the error happens,
 * gets context once per layer (fault_context), and is logged once at the top. */
#ifndef BRIDGE_FAULT_H
#define BRIDGE_FAULT_H

#include "buf.h"

#define FAULT_USER_MAX 256
#define FAULT_LOG_MAX 2048

enum fault_code {
	FAULT_NONE = 0,
	FAULT_UNAVAILABLE,
	FAULT_BUSY,
	FAULT_INTERNAL,
	FAULT_UNCERTAIN,
	FAULT_OVERQUOTA,
	FAULT_NOTFOUND,
	FAULT_EXISTS,
	FAULT_NOPERM,
	FAULT_READONLY,
	FAULT_LIMIT,
	FAULT_CANNOT,
	FAULT_UNSUPPORTED,
	FAULT_CODE_COUNT
};

/* How much is affected: one message, one mailbox, or the whole backend. */
enum fault_scope {
	FAULT_SCOPE_MESSAGE,
	FAULT_SCOPE_MAILBOX,
	FAULT_SCOPE_BACKEND
};

/* Whether a pending change may be tried again (protocol.md, Errors). */
enum fault_retry {
	FAULT_RETRY_LATER,
	FAULT_RETRY_NEVER
};

struct fault {
	enum fault_code code;
	enum fault_scope scope;
	unsigned int retry_secs;	/* from "retry=SECS"; 0 = not said */
	bool from_backend;		/* the backend itself said NO or FAIL */
	char user[FAULT_USER_MAX];	/* for the user: printable UTF-8 */
	char log[FAULT_LOG_MAX];	/* for the admin: printable UTF-8 */
};

/* The code's word on the wire, e.g. "NOTFOUND"; "OK" for FAULT_NONE. */
const char *fault_code_name(enum fault_code code);
/* The code of a word; an unknown word is FAULT_UNAVAILABLE, the safe guess. */
enum fault_code fault_code_parse(struct view word);
enum fault_retry fault_retry(enum fault_code code);
/* What a user is told when there is no better text, e.g. "No such mailbox". */
const char *fault_code_text(enum fault_code code);

/* Fill in a fault: user text is that of the code, the log text is formatted.
 * Always returns -1, so that "return fault_set(...)" reads well. */
int fault_set(struct fault *fault, enum fault_code code,
	      enum fault_scope scope, const char *log_fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Replace the user's text; it is sanitised. */
void fault_set_user(struct fault *fault, struct view text);
/* Put "CONTEXT: " before the log text. */
void fault_context(struct fault *fault, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* How many bytes the character at the start of text has; 0 if it is one that
 * fault_sanitise replaces, or text is empty. */
size_t fault_printable(struct view text);
/* Copy text into dest as printable UTF-8: control bytes, invalid UTF-8,
 * C1 controls, line separators and bidirectional marks become '?'; cut at a character
 * boundary to fit size. Returns dest. */
char *fault_sanitise(char *dest, size_t size, struct view text);

#endif
