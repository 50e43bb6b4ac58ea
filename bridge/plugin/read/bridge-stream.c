/* A message as a stream of Dovecot's, in one layer, where Dovecot's own would be
 * three for a piece of a file (the file, a range of it, and the check that it stays
 * as long as it was): each costs time per message and per read.
 *
 * What is in memory, and what can be read at once, is held whole; a longer piece is
 * read step by step. A header that came alone is held whole, too; when somebody reads
 * on, the stream turns into that of the whole message. */
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

	/* a header that came alone: how to get the rest; NULL = this is all */
	bridge_stream_ask_t *ask;
	void *ask_context;
	char *began_with;	/* that header, when the rest has come: streams
				   on top may still look at it */
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
	free(message->began_with);
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

static int message_read_on(struct message_istream *message);

/* The empty line that ends a header. */
static size_t blank_len(const struct message_istream *message)
{
	return message->have > 1 &&
		message->data[message->have - 2] == '\r' ? 2 : 1;
}

/* Only the empty line is left to be taken. A parser of headers looks one byte beyond
   it before it takes it (message-header-parser.c, 2.3.19.1): that is no wish for the
   body, which is read when nothing is left. */
static bool message_is_at_blank(const struct message_istream *message)
{
	size_t unread = message->istream.pos - message->istream.skip;

	return unread > 0 && message->have == message->size &&
		unread <= blank_len(message);
}

/* --- held whole ---------------------------------------------------------- */

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

	if (before >= message->size && message->ask != NULL &&
	    !message_is_at_blank(message)) {
		if (message_read_on(message) < 0)
			return -1;
		return stream->read(stream);
	}
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

/* --- read step by step --------------------------------------------------- */

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

/* --- both ---------------------------------------------------------------- */

static int message_stat(struct istream_private *stream, bool exact ATTR_UNUSED)
{
	struct message_istream *message =
		container_of(stream, struct message_istream, istream);

	stream->statbuf.st_size = message->ask != NULL ? -1 :
		(off_t)message->size;
	return 0;
}

static bool is_held_whole(const struct fetched *fetched)
{
	return fetched->status == FETCH_MEMORY ||
		fetched->size <= READ_WHOLE_MAX;
}

/* The bytes become the stream's. */
static void message_take(struct message_istream *message,
			 struct fetched *fetched)
{
	struct istream_private *stream = &message->istream;
	bool whole = is_held_whole(fetched);

	message->offset = fetched->offset;
	message->size = fetched->size;
	message->data = NULL;
	message->have = 0;
	stream->buffer = NULL;
	if (fetched->status == FETCH_MEMORY) {
		message->have = message->size = fetched->data.len;
		stream->buffer = (const unsigned char *)buf_str(&fetched->data);
		message->data = fetched->data.p;
		i_zero(&fetched->data);
	}
	stream->fd = fetched->fd;
	fetched->fd = -1;
	stream->read = whole ? whole_read : piece_read;
	stream->seek = whole ? whole_seek : piece_seek;
}

/* --- a header that came alone -------------------------------------------- */

/* Does the message begin with the header that was shown of it? Returns 0, or -1
   with the error set. */
static int message_compare(struct message_istream *message, size_t size)
{
	char chunk[4096];
	ssize_t ret = 0;
	size_t at;

	for (at = 0; size <= message->size && at < size; at += (size_t)ret) {
		if (message->have > 0) {
			ret = (ssize_t)size;
			if (memcmp(message->data, message->began_with, size) != 0)
				break;
			continue;
		}
		ret = message_pread(message, chunk, at,
				    I_MIN(sizeof(chunk), size - at));
		if (ret < 0)
			return -1;
		if (memcmp(chunk, message->began_with + at, (size_t)ret) != 0)
			break;
	}
	if (at >= size)
		return 0;
	message->istream.istream.stream_errno = EIO;
	io_stream_set_error(&message->istream.iostream, "the message does not "
		"begin with the header that came before");
	return -1;
}

/* The stream is that of the whole message from here on: what was read and not yet
   taken is where it was. */
static void message_goes_on(struct message_istream *message, size_t unread)
{
	struct istream_private *stream = &message->istream;
	size_t at = (size_t)stream->istream.v_offset;

	if (stream->read == whole_read) {
		stream->skip = at;
		stream->pos = at + unread;
		if (message->data != NULL)
			return;
		/* whole_fill() sets the buffer, before anybody looks at it */
		stream->buffer = (const unsigned char *)message->began_with;
		return;
	}
	stream->skip = stream->pos = 0;
	if (unread > 0)
		memcpy(i_stream_alloc(stream, unread),
		       message->began_with + at, unread);
	stream->pos = unread;
}

/* Returns 0, or -1 with the error set. */
static int message_read_on(struct message_istream *message)
{
	struct istream_private *stream = &message->istream;
	size_t size = message->size, unread = stream->pos - stream->skip;
	struct fetched fetched;
	const char *error;

	/* who jumped over the header has not read it */
	while (message->have < size) {
		if (whole_fill(message) < 0)
			return -1;
	}
	i_close_fd(&stream->fd);
	i_zero(&fetched);
	fetched.fd = -1;
	if (message->ask(message->ask_context, &fetched, &error) < 0) {
		stream->istream.stream_errno = EIO;
		io_stream_set_error(&stream->iostream, "%s", error);
		fetched_free(&fetched);
		return -1;
	}
	message->ask = NULL;
	message->began_with = message->data;
	message_take(message, &fetched);
	fetched_free(&fetched);
	message_goes_on(message, unread);
	return message_compare(message, size);
}

/* --- made ---------------------------------------------------------------- */

static struct istream *
message_create(struct fetched *fetched, enum istream_create_flag flags)
{
	struct message_istream *message = i_new(struct message_istream, 1);
	struct istream_private *stream = &message->istream;
	int fd;

	message_take(message, fetched);
	fd = stream->fd;
	stream->iostream.close = message_close;
	stream->iostream.destroy = message_destroy;
	stream->stat = message_stat;
	/* streams on top of it take it over; in longer steps than 8 KiB FETCH
	   BINARY counts lines of the wrong part, and panics (index-mail-binary.c,
	   blocks_count_lines(), and istream-seekable.c, 2.3.19.1) */
	stream->max_buffer_size = MAIL_READ_FULL_BLOCK_SIZE;
	stream->istream.blocking = TRUE;
	stream->istream.seekable = TRUE;
	return compat_stream_create(stream, fd, flags);
}

/* An empty header is a message without end to whoever takes nothing of it. */
bool bridge_stream_may_be_header(const struct fetched *fetched)
{
	return is_held_whole(fetched) && fetched->size > 2;
}

static struct message_istream *message_of(struct istream *input)
{
	return container_of(input->real_stream, struct message_istream,
			    istream);
}

struct istream *bridge_stream_create(struct fetched *fetched, bool header)
{
	bool whole = is_held_whole(fetched);
	struct istream *input = message_create(fetched, whole ?
		ISTREAM_CREATE_FLAG_NOOP_SNAPSHOT : 0);

	message_of(input)->header = header;
	return input;
}

struct istream *
bridge_stream_create_header(struct fetched *fetched, bridge_stream_ask_t *ask,
			    void *context)
{
	struct istream *input;

	i_assert(bridge_stream_may_be_header(fetched));
	input = message_create(fetched, 0);
	message_of(input)->header = TRUE;
	message_of(input)->ask = ask;
	message_of(input)->ask_context = context;
	return input;
}
