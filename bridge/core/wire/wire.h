/* The grammar of the line protocol (protocol.md, "Grammar"): bytes to lines,
 * fields and octets, and back. Incremental; no I/O, no clock. Nothing it is
 * given is trusted, nothing it keeps grows beyond WIRE_BUFFER_SIZE. */
#ifndef BRIDGE_WIRE_H
#define BRIDGE_WIRE_H

#include "buf.h"

#define WIRE_LINE_MAX 65535		/* bytes of a line, without its LF */
#define WIRE_BUFFER_SIZE (256 * 1024)
#define WIRE_ID_MAX 1024		/* bytes of an id, decoded */
#define WIRE_NAME_MAX 1024		/* bytes of a mailbox name, decoded */
#define WIRE_STATE_MAX 16384		/* bytes of a state, as spelt */
#define WIRE_FLAGS_MAX 4096		/* bytes of one message's flags */
#define WIRE_MESSAGE_MAX 2147483647	/* bytes of a message, 2^31-1 */
#define WIRE_DATE_MAX UINT32_MAX	/* the last that Dovecot can keep: its
					   indexes have 32 bits for one */
#define WIRE_UID_MAX 4294967294U	/* 2^32-2 */

/* What was not said of a message. */
#define WIRE_SIZE_UNKNOWN UINT64_MAX
#define WIRE_DATE_UNKNOWN (-1)

enum wire_kind {
	WIRE_ITEM,		/* "* KEYWORD ..." */
	WIRE_OK,		/* "OK ..." */
	WIRE_NO,		/* "NO CODE [text]" */
	WIRE_RESERVED		/* "! ...": to be ignored */
};

/* One line of a reply. All views point into the reader and stay valid until
 * its next call. */
struct wire_line {
	enum wire_kind kind;
	struct view raw;		/* the line, without LF */
	struct view keyword;		/* an item's keyword, a NO's code */
	const struct view *fields;	/* what follows, as spelt */
	size_t count;
	struct view text;		/* NO: the rest of the line, as one text */
};

/* What is wrong with the bytes: a sentence that quotes them. */
struct wire_error {
	char text[512];
};

/* error->text = "wrote WHAT: " and the bytes, quoted. Always returns -1. */
int wire_fail(struct wire_error *error, const char *what,
	      struct view offending);

struct wire_reader;

struct wire_reader *wire_reader_init(void);
void wire_reader_deinit(struct wire_reader **reader);
/* Where to put bytes that were read; *size_r > 0 unless a line is too long or
 * nothing was taken out. Invalidates views. */
char *wire_reader_space(struct wire_reader *reader, size_t *size_r);
void wire_reader_added(struct wire_reader *reader, size_t size);
/* The next line. Returns 1, 0 if it is not complete yet, -1 and an error: the line
 * has its raw bytes then, none if it is too long. */
int wire_reader_line(struct wire_reader *reader, struct wire_line *line_r,
		     struct wire_error *error_r);
/* Take up to max octets out of the buffer; returns how many. */
size_t wire_reader_octets(struct wire_reader *reader, uint64_t max,
			  const char **data_r);
/* How many bytes are buffered and not taken out. */
size_t wire_reader_pending(const struct wire_reader *reader);

/* Append the decoded bytes of a field. Returns 0, -1 if a % is not followed by
 * two hexadecimal digits. */
int wire_decode(struct view field, struct buf *out);
/* Append bytes as a field: 00-20, 7F and % are encoded, a lone - is %2D. */
void wire_encode(struct view bytes, struct buf *out);
/* The same for an element of a list: a comma is encoded too. */
void wire_encode_elem(struct view bytes, struct buf *out);

/* Whether a field is an id: at most WIRE_ID_MAX bytes decoded, and no lone -. */
bool wire_is_id(struct view field);

/* Take the next field off the rest of a line; an empty one at its end. */
struct view wire_next(struct view *rest);

/* A decimal number without sign, at most max. Returns 0, -1. */
int wire_number(struct view field, uint64_t max, uint64_t *number_r);
/* Split "key=value" or "key". Returns true if there was a "=". */
bool wire_option(struct view field, struct view *key_r, struct view *value_r);
/* Take the next element off a list; false at its end. An empty list has no
 * element. */
bool wire_list_next(struct view *list, struct view *elem_r);

/* A field as it is spelt, but for the bytes that fault_sanitise would replace,
 * which become escapes: another spelling of the same bytes, safe to show on
 * a terminal. */
void wire_show(struct view field, struct buf *out);
/* The text of bytes for a log line: quoted, printable, cut to about 120. */
const char *wire_quote(struct view bytes, char *dest, size_t size);
#define WIRE_QUOTE_SIZE 160

#endif
