#include "transcript.h"
#include "clock.h"
#include "fault.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEEP_MAX 65536		/* bytes in memory before they are written */
#define NAMES_MAX 10000		/* of one process in one second */
#define TIME_DIGITS_MAX 9

static const char *const tags[TRANSCRIPT_KIND_COUNT] = {
	[TRANSCRIPT_NOTE] = "=",
	[TRANSCRIPT_REQUEST] = ">",
	[TRANSCRIPT_REQUEST_OCTETS] = ">+",
	[TRANSCRIPT_REPLY] = "<",
	[TRANSCRIPT_REPLY_BYTES] = "<+",
	[TRANSCRIPT_REPLY_FILE] = "<@",
	[TRANSCRIPT_STDERR] = "!",
};

/* --- writing ---------------------------------------------------------------- */

struct transcript {
	char *path;
	int fd;
	int error;		/* errno of what failed; nothing is written then */
	uint64_t size;
	uint64_t start_usecs;
	struct buf kept;
};

struct transcript *transcript_create(const char *dir)
{
	struct transcript *transcript;
	struct buf path = { NULL, 0, 0 };
	char date[32];
	struct tm tm;
	time_t now = time(NULL);
	int fd = -1, n;

	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &tm) == 0)
		return NULL;
	for (n = 1; n <= NAMES_MAX; n++) {
		buf_clear(&path);
		buf_printf(&path, "%s/%s-%ld-%d.transcript", dir, date,
			   (long)getpid(), n);
		fd = open(path.p, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
			  O_CLOEXEC | O_APPEND, 0600);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	if (fd < 0) {
		n = errno;
		buf_free(&path);
		errno = n;
		return NULL;
	}
	transcript = mem_new(1, sizeof(*transcript));
	transcript->path = path.p;
	transcript->fd = fd;
	transcript->start_usecs = clock_usecs();
	buf_append_str(&transcript->kept, TRANSCRIPT_MAGIC"\n");
	return transcript;
}

const char *transcript_path(const struct transcript *transcript)
{
	return transcript->path;
}

int transcript_flush(struct transcript *transcript)
{
	transcript->size += transcript->kept.len;
	if (transcript->size > TRANSCRIPT_FILE_MAX && transcript->error == 0)
		transcript->error = EFBIG;
	if (transcript->error == 0 &&
	    file_write(transcript->fd, view_of_buf(&transcript->kept)) < 0)
		transcript->error = errno;
	buf_clear(&transcript->kept);
	errno = transcript->error;
	return transcript->error == 0 ? 0 : -1;
}

void transcript_free(struct transcript **_transcript)
{
	struct transcript *transcript = *_transcript;

	if (transcript == NULL)
		return;
	*_transcript = NULL;
	(void)transcript_flush(transcript);
	(void)close(transcript->fd);
	buf_free(&transcript->kept);
	free(transcript->path);
	free(transcript);
}

static void write_tag(struct transcript *transcript, enum transcript_kind kind)
{
	uint64_t msecs;

	if (transcript->kept.len > KEEP_MAX)
		(void)transcript_flush(transcript);
	msecs = (clock_usecs() - transcript->start_usecs) / 1000;
	buf_printf(&transcript->kept, "%"PRIu64".%03"PRIu64" %s ",
		   msecs / 1000, msecs % 1000, tags[kind]);
}

static void write_byte(struct buf *out, unsigned char c)
{
	switch (c) {
	case '\\':
		buf_append_str(out, "\\\\");
		break;
	case '\n':
		buf_append_str(out, "\\n");
		break;
	case '\r':
		buf_append_str(out, "\\r");
		break;
	case '\t':
		buf_append_str(out, "\\t");
		break;
	default:
		buf_printf(out, "\\x%02X", c);
		break;
	}
}

static void write_text(struct buf *out, struct view text)
{
	size_t n;

	while (text.len > 0) {
		n = *text.p == '\\' ? 0 : fault_printable(text);
		if (n > 0)
			buf_append(out, text.p, n);
		else
			write_byte(out, (unsigned char)*text.p);
		text.p += n > 0 ? n : 1;
		text.len -= n > 0 ? n : 1;
	}
	buf_append_c(out, '\n');
}

void transcript_note(struct transcript *transcript, const char *word,
		     const char *rest)
{
	struct buf text = { NULL, 0, 0 };

	buf_printf(&text, "%s %s", word, rest);
	transcript_line(transcript, TRANSCRIPT_NOTE, view_of_buf(&text));
	buf_free(&text);
}

void transcript_line(struct transcript *transcript, enum transcript_kind kind,
		     struct view text)
{
	if (text.len > TRANSCRIPT_TEXT_MAX)
		text.len = TRANSCRIPT_TEXT_MAX;
	write_tag(transcript, kind);
	write_text(&transcript->kept, text);
}

void transcript_bytes(struct transcript *transcript, enum transcript_kind kind,
		      struct view bytes)
{
	const char *lf;
	struct view piece;

	while (bytes.len > 0) {
		piece = bytes;
		if (piece.len > TRANSCRIPT_PIECE)
			piece.len = TRANSCRIPT_PIECE;
		lf = memchr(piece.p, '\n', piece.len);
		if (lf != NULL)
			piece.len = (size_t)(lf - piece.p) + 1;
		transcript_line(transcript, kind, piece);
		bytes.p += piece.len;
		bytes.len -= piece.len;
	}
}

void transcript_file(struct transcript *transcript, int fd, uint64_t offset,
		     uint64_t size)
{
	char mem[8192];
	struct view bytes = { mem, 0 };
	ssize_t ret = 1;

	if (size == 0)
		transcript_line(transcript, TRANSCRIPT_REPLY_FILE, bytes);
	while (size > 0 && ret > 0 && transcript->error == 0) {
		ret = pread(fd, mem, size < sizeof(mem) ? size : sizeof(mem),
			    (off_t)offset);
		if (ret > 0) {
			bytes.len = (size_t)ret;
			transcript_bytes(transcript, TRANSCRIPT_REPLY_FILE,
					 bytes);
			offset += bytes.len;
			size -= bytes.len;
		}
	}
}

/* --- one line --------------------------------------------------------------- */

static int parse_fail(struct wire_error *error, const char *what,
		      struct view line)
{
	char quoted[WIRE_QUOTE_SIZE];

	(void)snprintf(error->text, sizeof(error->text), "%s: %s", what,
		       wire_quote(line, quoted, sizeof(quoted)));
	return -1;
}

/* Take "SECONDS.MSECS " away, if it is there. Returns 0, -1 if it is none. */
static int parse_time(struct view *rest)
{
	size_t n = 0, i;

	while (n < rest->len && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	if (n == 0)
		return 0;
	if (n > TIME_DIGITS_MAX || rest->len < n + 5 || rest->p[n] != '.' ||
	    rest->p[n + 4] != ' ')
		return -1;
	for (i = n + 1; i < n + 4; i++) {
		if (rest->p[i] < '0' || rest->p[i] > '9')
			return -1;
	}
	rest->p += n + 5;
	rest->len -= n + 5;
	return 0;
}

static bool parse_tag(struct view *rest, enum transcript_kind *kind_r)
{
	const char *space = memchr(rest->p, ' ', rest->len);
	struct view tag = *rest;
	int kind;

	if (space != NULL)
		tag.len = (size_t)(space - rest->p);
	for (kind = 0; kind < TRANSCRIPT_KIND_COUNT; kind++) {
		if (!view_is(tag, tags[kind]))
			continue;
		*kind_r = (enum transcript_kind)kind;
		rest->p += tag.len + (space != NULL ? 1 : 0);
		rest->len -= tag.len + (space != NULL ? 1 : 0);
		return true;
	}
	return false;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands behind a backslash. Returns how many bytes of text it took, 0 if it
   is no escape. */
static size_t parse_escape(struct view text, struct buf *out)
{
	static const char letters[] = "nrt\\", bytes[] = "\n\r\t\\";
	const unsigned char *p = (const unsigned char *)text.p;
	const char *letter;

	if (text.len == 0 || p[0] == '\0')
		return 0;
	letter = strchr(letters, p[0]);
	if (letter != NULL) {
		buf_append_c(out, bytes[letter - letters]);
		return 1;
	}
	if (text.len < 3 || p[0] != 'x' || hex_digit(p[1]) < 0 ||
	    hex_digit(p[2]) < 0)
		return 0;
	buf_append_c(out, (char)(hex_digit(p[1]) * 16 + hex_digit(p[2])));
	return 3;
}

static int parse_text(struct view text, struct buf *out, const char **what_r)
{
	unsigned char c;
	size_t n;

	while (text.len > 0) {
		c = (unsigned char)*text.p;
		text.p++;
		text.len--;
		if (c == '\\') {
			n = parse_escape(text, out);
			if (n == 0) {
				*what_r = "what follows a \\ is none of \\\\ "
					"\\n \\r \\t and \\xHH";
				return -1;
			}
			text.p += n;
			text.len -= n;
		} else if (c < 0x20 || c == 0x7f) {
			*what_r = "a control byte stands in it";
			return -1;
		} else {
			buf_append_c(out, (char)c);
		}
	}
	*what_r = "it stands for too many bytes";
	return out->len <= TRANSCRIPT_TEXT_MAX ? 0 : -1;
}

int transcript_parse(struct view line, struct transcript_entry *entry_r,
		     struct buf *scratch, struct wire_error *error_r)
{
	struct view rest = line;
	const char *what;

	if (line.len == 0 || *line.p == '#')
		return 0;
	if (parse_time(&rest) < 0)
		return parse_fail(error_r, "it begins with no time such as "
				  "0.042", line);
	if (!parse_tag(&rest, &entry_r->kind))
		return parse_fail(error_r, "it has none of = > >+ < <+ <@ !",
				  line);
	buf_clear(scratch);
	if (parse_text(rest, scratch, &what) < 0)
		return parse_fail(error_r, what, line);
	entry_r->text = view_of_buf(scratch);
	return 1;
}

/* --- the file --------------------------------------------------------------- */

struct transcript_reader {
	int fd;
	char *data;
	size_t start, end;		/* what is buffered */
	uint64_t offset;		/* of data[start] in the file */
	uint64_t line;			/* lines before that */
	struct buf scratch;
};

#define READER_SIZE (2 * TRANSCRIPT_LINE_MAX)

struct transcript_reader *transcript_reader_init(int fd)
{
	struct transcript_reader *reader = mem_new(1, sizeof(*reader));

	reader->fd = fd;
	reader->data = mem_new(READER_SIZE, 1);
	return reader;
}

void transcript_reader_deinit(struct transcript_reader **_reader)
{
	struct transcript_reader *reader = *_reader;

	*_reader = NULL;
	if (reader == NULL)
		return;
	free(reader->data);
	buf_free(&reader->scratch);
	free(reader);
}

struct transcript_place
transcript_tell(const struct transcript_reader *reader)
{
	struct transcript_place place = { reader->offset, reader->line };

	return place;
}

void transcript_seek(struct transcript_reader *reader,
		     struct transcript_place place)
{
	/* most often it is not far */
	if (place.offset >= reader->offset &&
	    place.offset - reader->offset <= reader->end - reader->start)
		reader->start += (size_t)(place.offset - reader->offset);
	else
		reader->start = reader->end = 0;
	reader->offset = place.offset;
	reader->line = place.line;
}

/* Returns 1, 0 at the end of the file, -1 and errno. */
static int reader_fill(struct transcript_reader *reader)
{
	ssize_t ret;

	if (reader->start > 0) {
		memmove(reader->data, reader->data + reader->start,
			reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	do {
		ret = pread(reader->fd, reader->data + reader->end,
			    READER_SIZE - reader->end,
			    (off_t)(reader->offset + reader->end));
	} while (ret < 0 && errno == EINTR);
	if (ret > 0)
		reader->end += (size_t)ret;
	return ret < 0 ? -1 : ret > 0;
}

/* The next line, whatever it says. Returns 1, 0 at the end, -1 and an error. */
static int reader_line(struct transcript_reader *reader, struct view *line_r,
		       struct wire_error *error_r)
{
	const char *lf = NULL;
	size_t len;
	int ret = 1;

	for (;;) {
		len = reader->end - reader->start;
		if (len > 0)
			lf = memchr(reader->data + reader->start, '\n', len);
		if (lf != NULL || ret == 0 || len > TRANSCRIPT_LINE_MAX)
			break;
		ret = reader_fill(reader);
		if (ret < 0) {
			(void)snprintf(error_r->text, sizeof(error_r->text),
				"cannot be read: %s", strerror(errno));
			return -1;
		}
	}
	if (len == 0)
		return 0;
	line_r->p = reader->data + reader->start;
	line_r->len = lf == NULL ? len : (size_t)(lf - line_r->p);
	if (line_r->len > TRANSCRIPT_LINE_MAX)
		return parse_fail(error_r, "it is too long", *line_r);
	len = line_r->len + (lf == NULL ? 0 : 1);
	reader->start += len;
	reader->offset += len;
	return 1;
}

int transcript_read(struct transcript_reader *reader,
		    struct transcript_entry *entry_r,
		    struct wire_error *error_r)
{
	struct wire_error error;
	struct view line;
	int ret;

	do {
		entry_r->offset = reader->offset;
		ret = reader_line(reader, &line, &error);
		if (ret == 0 && reader->line > 0)
			return 0;
		reader->line++;
		if (ret > 0 && reader->line > 1)
			ret = transcript_parse(line, entry_r, &reader->scratch,
					       &error);
		else if (ret == 0 || (ret > 0 &&
				      !view_is(line, TRANSCRIPT_MAGIC)))
			ret = parse_fail(&error, "it is not "
					 "\""TRANSCRIPT_MAGIC"\"", ret > 0 ?
					 line : view_of(""));
		else if (ret > 0)
			ret = 0;
	} while (ret == 0);
	entry_r->line = reader->line;
	if (ret < 0)
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"line %llu: %.*s", (unsigned long long)reader->line,
			(int)sizeof(error.text) - 40, error.text);
	return ret;
}
