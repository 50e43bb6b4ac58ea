/* What a backend can do: its answer to CAPS (protocol.md, "Handshake"). Valid
 * for one copy of it. */
#ifndef BRIDGE_CAPS_H
#define BRIDGE_CAPS_H

#include "verb.h"
#include "wire.h"

#define CAPS_VERSION 1		/* the highest version spoken here */
#define CAPS_BATCH_MAX 10000
#define CAPS_PIPELINE_MAX 1000
#define CAPS_FLAGS_MAX 4096	/* bytes of the FLAGS list */

/* Where flags live. */
enum caps_flags {
	CAPS_FLAGS_SEED,	/* LIST's flags are the first value only */
	CAPS_FLAGS_LOCAL,	/* Dovecot's only */
	CAPS_FLAGS_BACKEND,	/* flags_list both ways, others Dovecot's */
	CAPS_FLAGS_ALL		/* all both ways */
};

/* What SEARCH may look for. */
enum caps_key {
	CAPS_KEY_FROM,
	CAPS_KEY_TO,
	CAPS_KEY_CC,
	CAPS_KEY_BCC,
	CAPS_KEY_SUBJECT,
	CAPS_KEY_BODY,
	CAPS_KEY_TEXT,
	CAPS_KEY_COUNT
};

struct caps {
	bool received;
	unsigned int version;
	bool delta, crlf, key, uids, inlined;
	unsigned int batch;		/* 1 unless said */
	unsigned int pipeline;		/* 1 unless said */
	unsigned int poll_secs;		/* 0 = not said */
	bool verbs[VERB_COUNT];
	bool flags_said;
	enum caps_flags flags;
	struct buf flags_list;		/* of CAPS_FLAGS_BACKEND, as spelt */
	bool keys[CAPS_KEY_COUNT];	/* those that KEYS named */
};

void caps_init(struct caps *caps);
void caps_deinit(struct caps *caps);
/* The key's word on the wire: "from". */
const char *caps_key_name(enum caps_key key);
/* Take an item of the answer to CAPS; unknown ones are ignored. Returns 0, -1
 * and an error. */
int caps_item(struct caps *caps, const struct wire_line *line,
	      struct wire_error *error_r);
/* Whether the store keeps this flag itself: flag is an element of a list in wire
 * form, "\Seen" or a keyword. Flags and keywords compare without case. */
bool caps_owns_flag(const struct caps *caps, struct view flag);
/* What the store keeps itself, flags and UIDs, in one number above 0 that can be
 * remembered: another one means that it has changed. Keywords that are named one
 * by one are in it as a checksum. */
uint32_t caps_keeps(const struct caps *caps);
/* Whether the store keeps this flag, and did not when caps_keeps was before. Of a
 * keyword the answer is yes if it is not known. */
bool caps_gained_flag(const struct caps *caps, uint32_t before,
		      struct view flag);
/* Append what CAPS said, as a text: "1 delta batch=100 STORE APPEND". */
void caps_describe(const struct caps *caps, struct buf *out);
/* The answer is complete: was a version named, what follows from the rest. */
int caps_finish(struct caps *caps, struct wire_error *error_r);

#endif
