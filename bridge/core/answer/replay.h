/* A backend that answers as a transcript (transcript.h) has it.
 *
 * A request is answered by the next request of the transcript that is the same,
 * byte for byte, counted from the one that was answered last; if none follows, by
 * the last one before it. So a session that asks the same again gets what was said
 * then, in that order, and at the end the last word stays. If no request is the
 * same, these will do:
 *
 *	CAPS		any CAPS: user and mode may differ
 *	FETCH		for each id an item of any FETCH that was answered: what is
 *			asked for at once depends on what clients do. A header may
 *			be answered with the whole, as ever
 *	LIST box state	the list of that mailbox that was the last full one
 *	APPEND		an APPEND to that mailbox: paths, keys and dates differ
 *
 * All others get NO CANNOT, or NO UNSUPPORTED if the transcript has no request of
 * that verb, so that the bridge does without it.
 *
 * What a FILE named is given as DATA, as the transcript has its contents; without
 * them the line is given as it stands. Lines of stderr are said again. After an
 * answer that was not finished, the replay ends as the backend did.
 *
 * In memory is an index: where requests and the items of FETCH begin, at most
 * REPLAY_REQUESTS_MAX and REPLAY_ITEMS_MAX. */
#ifndef BRIDGE_REPLAY_H
#define BRIDGE_REPLAY_H

#include "wire.h"

#define REPLAY_REQUESTS_MAX 1000000
#define REPLAY_ITEMS_MAX 4000000
#define REPLAY_STATUS_UNKNOWN 75	/* EX_TEMPFAIL: it did not exit by itself */

struct replay;

/* Where an answer goes. Each returns 0, -1 if nobody takes it any more. */
struct replay_output {
	int (*reply)(void *context, struct view bytes);
	int (*stderr_line)(void *context, struct view line);
	void *context;
};

enum replay_result {
	REPLAY_ANSWERED,
	REPLAY_MISSING,		/* it is not in the transcript: NO was said */
	REPLAY_ENDED,		/* the answer is not finished: see replay_status */
	REPLAY_OUTPUT_FAILED,
	REPLAY_WRONG		/* the file is another than it was */
};

/* Index a file, by pread; fd stays the caller's. Returns 0, -1 and an error that
 * names the line. */
int replay_init(int fd, struct replay **replay_r, struct wire_error *error_r);
void replay_deinit(struct replay **replay);
/* Answer a request line (without LF). */
enum replay_result
replay_answer(struct replay *replay, struct view request,
	      const struct replay_output *output);
/* As what the backend of the transcript exited. */
int replay_status(const struct replay *replay);

#endif
