#ifndef BRIDGE_STREAM_H
#define BRIDGE_STREAM_H

struct istream;
struct fetched;

/* Asks for the whole of a message whose header came alone. Returns 0 with MEMORY or
 * FILE; -1 and why not. */
typedef int bridge_stream_ask_t(void *context, struct fetched *fetched_r,
				const char **error_r);

/* The message that was fetched (FETCH_FILE or FETCH_MEMORY) as a stream, blocking
 * and seekable, which owns its bytes or its file from now on; reading beyond the
 * end of a file that has become shorter is an error (EPIPE). header: more than the
 * header is hardly going to be read. */
struct istream *bridge_stream_create(struct fetched *fetched, bool header);

/* Whether what came alone can be the next one's: it is not too large, nor empty. */
bool bridge_stream_may_be_header(const struct fetched *fetched);
/* The same of a header that came alone: it has no end of its own. Whoever reads on gets
 * the rest of the message, which is asked for then, or an error. Its size is not known
 * before. context is good as long as the stream. */
struct istream *
bridge_stream_create_header(struct fetched *fetched, bridge_stream_ask_t *ask,
			    void *context);

#endif
