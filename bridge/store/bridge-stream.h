#ifndef BRIDGE_STREAM_H
#define BRIDGE_STREAM_H

struct istream;
struct fetched;

/* The message that was fetched (FETCH_FILE or FETCH_MEMORY) as a stream, blocking
 * and seekable, which owns its bytes or its file from now on; reading beyond the
 * end of a file that has become shorter is an error (EPIPE). header: more than the
 * header is hardly going to be read. */
struct istream *bridge_stream_create(struct fetched *fetched, bool header);

#endif
