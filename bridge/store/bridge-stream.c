/* A message as a stream of Dovecot's, in one layer, where Dovecot's own would be
 * three for a piece of a file (the file, a range of it, and the check that it stays
 * as long as it was): each costs time per message and per read.
 *
 * What is in memory, and what can be read at once, is held whole; a longer piece is
 * read step by step. */
#include "lib.h"
#include "compat.h"
#include "istream-private.h"
#include "bridge-stream.h"

#include "fetch.h"

#include <stdlib.h>
#include <unistd.h>

/* A piece of a file up to this size is read at once. */
#define READ_WHOLE_MAX 65536
/* What is read of it at first, if only its header is wanted. */
#define READ_HEADER 8192

struct message_istream {
	struct istream_private istream;
	uoff_t offset, size;	/* of the piece, in the file */
	char *data;		/* if it is held whole */
	size_t have;		/* bytes of data that are there */
	bool header;
};

static void message_close(struct iostream_private *stream,
			  bool close_parent ATTR_UNUSED)
{
	struct istream_private *_stream =
		container_of(stream, struct istream_private, iostream);

	i_close_fd(&_stream->fd);
}

static void message_destroy(struct iostream_private *stream)
{
	struct istream_private *_stream =
		container_of(stream, struct istream_private, iostream);
	struct message_istream *message =
		container_of(_stream, struct message_istream, istream);

	i_stream_free_buffer(_stream);
	free(message->data);
}

/* Read up to size bytes of the piece, from at on. A file that has become shorter
   is an error, not an end. Returns how many, or -1 with the error set. */
static ssize_t
message_pread(struct message_istream *message, void *to, uoff_t at, size_t size)
{
	struct istream_private *stream = &message->istream;
	ssize_t ret;

	do {
		ret = pread(stream->fd, to, size,
			    (off_t)(message->offset + at));
	} while (ret < 0 && errno == EINTR);
	if (ret > 0)
		return ret;
	stream->istream.stream_errno = ret < 0 ? errno : EPIPE;
	if (ret < 0)
		io_stream_set_error(&stream->iostream, "read() failed: %m");
	else
		io_stream_set_error(&stream->iostream, "its file ends after "
			"%"PRIuUOFF_T" of %"PRIuUOFF_T" bytes", at,
			message->size);
	return -1;
}

/* --- held whole ------------------------------------------------------------ */

/* Returns 0, or -1 with the error set. */
static int whole_fill(struct message_istream *message)
{
	size_t want = message->size - message->have;
	ssize_t ret;

	if (message->data == NULL) {
		message->data = mem_grow(NULL, message->size, 1);
		message->istream.buffer = (void *)message->data;
		if (message->header)
			want = I_MIN(want, READ_HEADER);
	}
	ret = message_pread(message, message->data + message->have,
			    message->have, want);
	if (ret < 0)
		return -1;
	message->have += (size_t)ret;
	return 0;
}

/* pos and skip count from the first byte of the message. */
static ssize_t whole_read(struct istream_private *stream)
{
	struct message_istream *message =
		container_of(stream, struct message_istream, istream);
	size_t before = stream->pos;

	if (before >= message->size) {
		stream->istream.eof = TRUE;
		return -1;
	}
	while (before >= message->have) {
		if (whole_fill(message) < 0)
			return -1;
	}
	stream->pos = message->have;
	return (ssize_t)(stream->pos - before);
}

static void whole_seek(struct istream_private *stream, uoff_t v_offset,
		       bool mark ATTR_UNUSED)
{
	struct message_istream *message =
		container_of(stream, struct message_istream, istream);

	stream->istream.v_offset = v_offset;
	stream->skip = stream->pos = (size_t)I_MIN(v_offset, message->size);
}

/* --- read step by step ----------------------------------------------------- */

static ssize_t piece_read(struct istream_private *stream)
{
	struct message_istream *message =
		container_of(stream, struct message_istream, istream);
	uoff_t at = stream->istream.v_offset + (stream->pos - stream->skip);
	size_t size;
	ssize_t ret;

	if (at >= message->size) {
		stream->istream.eof = TRUE;
		return -1;
	}
	if (!i_stream_try_alloc(stream, 1, &size))
		return -2;
	size = I_MIN(size, message->size - at);
	ret = message_pread(message, stream->w_buffer + stream->pos, at, size);
	if (ret > 0)
		stream->pos += (size_t)ret;
	return ret;
}

static void piece_seek(struct istream_private *stream, uoff_t v_offset,
		       bool mark ATTR_UNUSED)
{
	stream->istream.v_offset = v_offset;
	stream->skip = stream->pos = 0;
}

/* --- both ------------------------------------------------------------------ */

static int message_stat(struct istream_private *stream, bool exact ATTR_UNUSED)
{
	struct message_istream *message =
		container_of(stream, struct message_istream, istream);

	stream->statbuf.st_size = (off_t)message->size;
	return 0;
}

struct istream *bridge_stream_create(struct fetched *fetched, bool header)
{
	struct message_istream *message = i_new(struct message_istream, 1);
	struct istream_private *stream = &message->istream;
	bool whole = fetched->status == FETCH_MEMORY ||
		fetched->size <= READ_WHOLE_MAX;

	message->offset = fetched->offset;
	message->size = fetched->size;
	message->header = header;
	if (fetched->status == FETCH_MEMORY) {
		message->have = message->size = fetched->data.len;
		stream->buffer = (const unsigned char *)buf_str(&fetched->data);
		message->data = fetched->data.p;
		i_zero(&fetched->data);
	}
	stream->iostream.close = message_close;
	stream->iostream.destroy = message_destroy;
	stream->read = whole ? whole_read : piece_read;
	stream->seek = whole ? whole_seek : piece_seek;
	stream->stat = message_stat;
	/* streams on top of it take it over; in longer steps than 8 KiB FETCH
	   BINARY counts lines of the wrong part, and panics (index-mail-binary.c,
	   blocks_count_lines(), and istream-seekable.c, 2.3.19.1) */
	stream->max_buffer_size = MAIL_READ_FULL_BLOCK_SIZE;
	stream->istream.blocking = TRUE;
	stream->istream.seekable = TRUE;
	i_stream_create(stream, NULL, fetched->fd, whole ?
			ISTREAM_CREATE_FLAG_NOOP_SNAPSHOT : 0);
	fetched->fd = -1;
	return &stream->istream;
}
