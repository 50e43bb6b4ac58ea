#include "wire.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>

#define WIRE_QUOTE_BYTES 120

struct wire_reader {
	char *data;
	size_t start, end;	/* what is buffered: data[start..end) */
	size_t scanned;		/* no LF before this offset */
	struct view *fields;
	size_t fields_size;
};

struct wire_reader *wire_reader_init(void)
{
	struct wire_reader *reader = mem_new(1, sizeof(*reader));

	reader->data = mem_new(WIRE_BUFFER_SIZE, 1);
	return reader;
}

void wire_reader_deinit(struct wire_reader **_reader)
{
	struct wire_reader *reader = *_reader;

	*_reader = NULL;
	if (reader == NULL)
		return;
	free(reader->data);
	free(reader->fields);
	free(reader);
}

char *wire_reader_space(struct wire_reader *reader, size_t *size_r)
{
	if (reader->start == reader->end) {
		reader->start = reader->end = reader->scanned = 0;
	} else if (reader->start > 0 &&
		   WIRE_BUFFER_SIZE - reader->end <= WIRE_LINE_MAX) {
		memmove(reader->data, reader->data + reader->start,
			reader->end - reader->start);
		reader->end -= reader->start;
		reader->scanned -= reader->start;
		reader->start = 0;
	}
	*size_r = WIRE_BUFFER_SIZE - reader->end;
	return reader->data + reader->end;
}

void wire_reader_added(struct wire_reader *reader, size_t size)
{
	reader->end += size;
}

size_t wire_reader_pending(const struct wire_reader *reader)
{
	return reader->end - reader->start;
}

size_t wire_reader_octets(struct wire_reader *reader, uint64_t max,
			  const char **data_r)
{
	size_t size = reader->end - reader->start;

	if (size > max)
		size = (size_t)max;
	*data_r = reader->data + reader->start;
	reader->start += size;
	reader->scanned = reader->start;
	return size;
}

static int wire_error(struct wire_error *error, struct view line,
		      const char *what, size_t column)
{
	char quoted[WIRE_QUOTE_SIZE];

	(void)snprintf(error->text, sizeof(error->text),
		       "%s in column %zu of the line %s", what, column + 1,
		       wire_quote(line, quoted, sizeof(quoted)));
	return -1;
}

/* No control byte may stand in a line; tell the commonest mistake, a CR before
   the LF, by name. */
static int wire_check_bytes(struct view line, struct wire_error *error_r)
{
	const unsigned char *p = (const unsigned char *)line.p;
	char what[80];
	size_t i;

	for (i = 0; i < line.len; i++) {
		if (p[i] >= 0x20 && p[i] != 0x7f)
			continue;
		(void)snprintf(what, sizeof(what),
			       p[i] == '\r' ? "wrote a raw CR (byte %02X)" :
			       "wrote the raw control byte %02X", p[i]);
		return wire_error(error_r, line, what, i);
	}
	return 0;
}

struct view wire_next(struct view *rest)
{
	const char *p = rest->p, *end = p + rest->len, *space;
	struct view field;

	while (p < end && *p == ' ')
		p++;
	space = p == end ? NULL : memchr(p, ' ', (size_t)(end - p));
	field.p = p;
	field.len = (size_t)((space == NULL ? end : space) - p);
	rest->p = p + field.len;
	rest->len = (size_t)(end - rest->p);
	return field;
}

static void wire_split(struct wire_reader *reader, struct view rest,
		       struct wire_line *line)
{
	struct view field;

	line->count = 0;
	while ((field = wire_next(&rest)).len > 0) {
		if (line->count == reader->fields_size) {
			reader->fields_size = reader->fields_size * 2 + 16;
			reader->fields = mem_grow(reader->fields,
						  reader->fields_size,
						  sizeof(*reader->fields));
		}
		reader->fields[line->count++] = field;
	}
	line->fields = reader->fields;
}

/* Unknown keywords are ignored, so a known one that is misspelt must not be taken
   for one of them: "gone" for GONE, or "MSGa" for MSG a. */
static bool wire_is_keyword(struct view word)
{
	size_t i;

	for (i = 0; i < word.len; i++) {
		if (word.p[i] < 'A' || word.p[i] > 'Z')
			return false;
	}
	return true;
}

/* Take the first field away: it is the keyword of an item, the code of a NO. */
static void wire_take_keyword(struct wire_line *line)
{
	const char *end = line->raw.p + line->raw.len;

	line->keyword = line->fields[0];
	line->fields++;
	line->count--;
	line->text.p = line->count > 0 ? line->fields[0].p : end;
	line->text.len = (size_t)(end - line->text.p);
}

static int wire_parse(struct wire_reader *reader, struct view raw,
		      struct wire_line *line, struct wire_error *error_r)
{
	char quoted[WIRE_QUOTE_SIZE];
	struct view rest = raw;

	memset(line, 0, sizeof(*line));
	line->raw = raw;
	if (view_starts(raw, "* ")) {
		line->kind = WIRE_ITEM;
	} else if (view_is(raw, "OK") || view_starts(raw, "OK ")) {
		line->kind = WIRE_OK;
	} else if (view_starts(raw, "NO ")) {
		line->kind = WIRE_NO;
	} else if (view_is(raw, "!") || view_starts(raw, "! ")) {
		line->kind = WIRE_RESERVED;
		return 0;
	} else if (view_starts(raw, "OK\r")) {
		return wire_check_bytes(raw, error_r);
	} else {
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"wrote %s to stdout, which is neither \"* \", \"OK\" "
			"nor \"NO \"; messages belong on stderr",
			wire_quote(raw, quoted, sizeof(quoted)));
		return -1;
	}
	if (wire_check_bytes(raw, error_r) < 0)
		return -1;
	rest.p += line->kind == WIRE_ITEM ? 1 : 2;
	rest.len -= line->kind == WIRE_ITEM ? 1 : 2;
	wire_split(reader, rest, line);
	if (line->kind != WIRE_OK) {
		if (line->count == 0)
			return wire_error(error_r, raw,
					  "a word is missing", raw.len);
		wire_take_keyword(line);
	}
	if (line->kind == WIRE_ITEM && !wire_is_keyword(line->keyword))
		return wire_fail(error_r, "an item whose keyword is not of "
				 "capital letters", raw);
	return 0;
}

int wire_reader_line(struct wire_reader *reader, struct wire_line *line_r,
		     struct wire_error *error_r)
{
	const char *lf;
	struct view raw;

	lf = memchr(reader->data + reader->scanned, '\n',
		    reader->end - reader->scanned);
	raw.p = reader->data + reader->start;
	raw.len = (lf == NULL ? reader->end :
		   (size_t)(lf - reader->data)) - reader->start;
	line_r->raw.p = NULL;
	line_r->raw.len = 0;
	if (raw.len > WIRE_LINE_MAX) {
		char quoted[WIRE_QUOTE_SIZE];

		(void)snprintf(error_r->text, sizeof(error_r->text),
			"wrote a line longer than %d bytes: %s",
			WIRE_LINE_MAX, wire_quote(raw, quoted, sizeof(quoted)));
		return -1;
	}
	if (lf == NULL) {
		reader->scanned = reader->end;
		return 0;
	}
	reader->start += raw.len + 1;
	reader->scanned = reader->start;
	return wire_parse(reader, raw, line_r, error_r) < 0 ? -1 : 1;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int wire_decode(struct view field, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)field.p;
	const unsigned char *end = p + field.len, *percent;

	while (p < end) {
		percent = memchr(p, '%', (size_t)(end - p));
		if (percent == NULL)
			percent = end;
		buf_append(out, p, (size_t)(percent - p));
		if (percent == end)
			break;
		if (end - percent < 3 || hex_digit(percent[1]) < 0 ||
		    hex_digit(percent[2]) < 0)
			return -1;
		buf_append_c(out, (char)(hex_digit(percent[1]) * 16 +
					 hex_digit(percent[2])));
		p = percent + 3;
	}
	return 0;
}

bool wire_is_id(struct view field)
{
	const char *p = field.p, *end = p + field.len, *percent;
	size_t len = field.len;

	if (field.len == 0 || view_is(field, "-"))
		return false;
	for (; (percent = memchr(p, '%', (size_t)(end - p))) != NULL;
	     p = percent + 3) {
		if (end - percent < 3 ||
		    hex_digit((unsigned char)percent[1]) < 0 ||
		    hex_digit((unsigned char)percent[2]) < 0)
			return false;
		len -= 2;
	}
	return len <= WIRE_ID_MAX;
}

static void wire_encode_bytes(struct view bytes, struct buf *out,
			      const char *also)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t i;

	for (i = 0; i < bytes.len; i++) {
		if (p[i] <= 0x20 || p[i] == 0x7f || p[i] == '%' ||
		    strchr(also, p[i]) != NULL)
			buf_printf(out, "%%%02X", p[i]);
		else
			buf_append_c(out, (char)p[i]);
	}
}

void wire_encode(struct view bytes, struct buf *out)
{
	if (view_is(bytes, "-"))
		buf_append_str(out, "%2D");
	else
		wire_encode_bytes(bytes, out, "");
}

void wire_encode_elem(struct view bytes, struct buf *out)
{
	wire_encode_bytes(bytes, out, ",");
}

void wire_show(struct view field, struct buf *out)
{
	size_t n;

	for (; field.len > 0; field.p += n, field.len -= n) {
		n = fault_printable(field);
		if (n > 0) {
			buf_append(out, field.p, n);
		} else {
			buf_printf(out, "%%%02X", (unsigned char)field.p[0]);
			n = 1;
		}
	}
}

int wire_number(struct view field, uint64_t max, uint64_t *number_r)
{
	uint64_t number = 0;
	size_t i;

	if (field.len == 0)
		return -1;
	for (i = 0; i < field.len; i++) {
		unsigned int digit = (unsigned char)field.p[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return -1;
	}
	*number_r = number;
	return number <= max ? 0 : -1;
}

bool wire_option(struct view field, struct view *key_r, struct view *value_r)
{
	const char *eq = memchr(field.p, '=', field.len);

	*key_r = field;
	value_r->p = field.p + field.len;
	value_r->len = 0;
	if (eq == NULL)
		return false;
	key_r->len = (size_t)(eq - field.p);
	value_r->p = eq + 1;
	value_r->len = field.len - key_r->len - 1;
	return true;
}

bool wire_list_next(struct view *list, struct view *elem_r)
{
	const char *comma;

	if (list->len == 0)
		return false;
	comma = memchr(list->p, ',', list->len);
	*elem_r = *list;
	if (comma == NULL) {
		list->p += list->len;
		list->len = 0;
		return true;
	}
	elem_r->len = (size_t)(comma - list->p);
	list->p += elem_r->len + 1;
	list->len -= elem_r->len + 1;
	return true;
}

const char *wire_quote(struct view bytes, char *dest, size_t size)
{
	char text[WIRE_QUOTE_BYTES + 1];
	struct view head = bytes;
	bool cut = bytes.len > WIRE_QUOTE_BYTES;

	if (cut)
		head.len = WIRE_QUOTE_BYTES;
	(void)fault_sanitise(text, sizeof(text), head);
	(void)snprintf(dest, size, "\"%s\"%s", text, cut ? "..." : "");
	return dest;
}

int wire_fail(struct wire_error *error, const char *what,
	      struct view offending)
{
	char quoted[WIRE_QUOTE_SIZE];

	(void)snprintf(error->text, sizeof(error->text), "wrote %s: %s", what,
		       wire_quote(offending, quoted, sizeof(quoted)));
	return -1;
}
