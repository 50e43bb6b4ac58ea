#include "slice.h"
#include "file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NSEC_DIGITS 9
#define NSECS_PER_SEC 1000000000U

/* --- the options ----------------------------------------------------------- */

/* What stands before the next colon; the rest stays in *rest. */
static struct view part_next(struct view *rest)
{
	const char *colon = memchr(rest->p, ':', rest->len);
	struct view part = *rest;

	if (colon == NULL) {
		rest->p += rest->len;
		rest->len = 0;
		return part;
	}
	part.len = (size_t)(colon - rest->p);
	rest->p += part.len + 1;
	rest->len -= part.len + 1;
	return part;
}

/* SECONDS.FRACTION as stat(1) and find(1) write them: the fraction has nine digits,
   and what follows them says no more; a - stands before a time before 1970. */
static int mtime_parse(struct view text, struct slice_version *version)
{
	bool negative = text.len > 0 && *text.p == '-';
	uint64_t sec, nsec, rest;
	struct view part;
	const char *dot;

	if (negative) {
		text.p++;
		text.len--;
	}
	dot = memchr(text.p, '.', text.len);
	if (dot == NULL)
		return -1;
	part.p = text.p;
	part.len = (size_t)(dot - text.p);
	text.p = dot + 1;
	text.len -= part.len + 1;
	if (wire_number(part, INT64_MAX, &sec) < 0 || text.len < NSEC_DIGITS)
		return -1;
	part.p = text.p;
	part.len = NSEC_DIGITS;
	text.p += NSEC_DIGITS;
	text.len -= NSEC_DIGITS;
	if (wire_number(part, UINT64_MAX, &nsec) < 0 ||
	    (text.len > 0 && wire_number(text, UINT64_MAX, &rest) < 0))
		return -1;
	version->mtime_sec = negative ? -(int64_t)sec : (int64_t)sec;
	version->mtime_nsec = (uint32_t)nsec;
	if (negative && nsec > 0) {
		version->mtime_sec--;
		version->mtime_nsec = NSECS_PER_SEC - (uint32_t)nsec;
	}
	return 0;
}

static int version_parse(struct view value, struct slice_version *version)
{
	struct view inode = part_next(&value), size = part_next(&value);

	return wire_number(inode, UINT64_MAX, &version->inode) < 0 ||
		wire_number(size, INT64_MAX, &version->size) < 0 ||
		mtime_parse(value, version) < 0 ? -1 : 0;
}

int slice_parse(const struct wire_line *line, struct slice *slice_r,
		struct wire_error *error_r)
{
	struct view key, value;
	size_t i;

	memset(slice_r, 0, sizeof(*slice_r));
	slice_r->length = UINT64_MAX;
	for (i = 2; i < line->count; i++) {
		(void)wire_option(line->fields[i], &key, &value);
		if ((view_is(key, "offset") &&
		     wire_number(value, INT64_MAX, &slice_r->offset) < 0) ||
		    (view_is(key, "length") &&
		     wire_number(value, WIRE_MESSAGE_MAX,
				 &slice_r->length) < 0))
			return wire_fail(error_r, "a number out of range",
					 line->raw);
		if (view_is(key, "version")) {
			slice_r->versioned = true;
			if (version_parse(value, &slice_r->version) < 0)
				return wire_fail(error_r, "a version= that is "
					"not INODE:SIZE:MTIME, the time with "
					"nine digits after its point",
					line->raw);
		}
	}
	return 0;
}

bool slice_is_of(const struct slice *slice, const struct stat *st)
{
	const struct slice_version *version = &slice->version;

	return !slice->versioned ||
		(version->inode == (uint64_t)st->st_ino &&
		 version->size == (uint64_t)st->st_size &&
		 version->mtime_sec == (int64_t)st->st_mtim.tv_sec &&
		 version->mtime_nsec == (uint64_t)st->st_mtim.tv_nsec);
}

/* --- the header ------------------------------------------------------------ */

/* Where we are in the line that is looked at. */
enum line_at {
	AT_START,
	AT_CR,			/* nothing but a CR stands in it */
	AT_TEXT
};

/* How many of size bytes belong to the header; size + 1 if it goes on. */
static size_t header_bytes(const char *data, size_t size, enum line_at *at)
{
	const char *p = data, *end = data + size;

	for (; p < end; p++) {
		if (*p == '\n') {
			if (*at != AT_TEXT)
				return (size_t)(p - data) + 1;
			*at = AT_START;
		} else if (*p == '\r' && *at == AT_START) {
			*at = AT_CR;
		} else {
			*at = AT_TEXT;
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				break;
			p--;
		}
	}
	return size + 1;
}

int slice_header_length(int fd, uint64_t offset, uint64_t length,
			uint64_t *length_r)
{
	enum line_at at = AT_START;
	uint64_t done = 0;
	char chunk[8192];
	size_t want, header;
	ssize_t ret;

	while (done < length) {
		want = length - done < sizeof(chunk) ? (size_t)(length - done) :
			sizeof(chunk);
		ret = file_read_at(fd, chunk, want, offset + done);
		if (ret == 0)
			errno = EIO;
		if (ret <= 0)
			return -1;
		header = header_bytes(chunk, (size_t)ret, &at);
		if (header <= (size_t)ret) {
			*length_r = done + header;
			return 0;
		}
		done += (uint64_t)ret;
	}
	*length_r = length;
	return 0;
}
