/* A session of its own with one request at a time. The copy may sleep in its
 * WATCH for minutes, so it can answer nothing else meanwhile. */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>

struct watch {
	struct session *session;
	unsigned int secs;

	struct session_request request;
	bool asked;		/* the request was submitted */
	bool changed;
	struct buf box, scratch;
};

static struct watch *watch_of(struct session_request *request)
{
	return (struct watch *)((char *)request -
				offsetof(struct watch, request));
}

/* --- the request ----------------------------------------------------------- */

static int watch_prepare(struct session_request *request,
			 const struct caps *caps, struct fault *fault_r)
{
	struct watch *watch = watch_of(request);

	if (caps->verbs[VERB_WATCH])
		return 0;
	return fault_set(fault_r, FAULT_UNSUPPORTED, FAULT_SCOPE_BACKEND,
			 "%s: the copy that was to watch does not have WATCH",
			 session_settings(watch->session)->argv[0]);
}

static bool watch_is_box(struct watch *watch, struct view field)
{
	struct view box = view_of_buf(&watch->box), decoded;
	size_t len;

	if (view_equals(field, box))
		return true;
	buf_clear(&watch->scratch);
	if (wire_decode(box, &watch->scratch) < 0)
		return false;
	len = watch->scratch.len;
	if (wire_decode(field, &watch->scratch) < 0)
		return false;
	decoded = view_of_buf(&watch->scratch);
	return decoded.len == 2 * len &&
		memcmp(decoded.p, decoded.p + len, len) == 0;
}

static int watch_item(struct session_request *request,
		      const struct wire_line *line, struct wire_error *error_r)
{
	struct watch *watch = watch_of(request);

	if (watch->changed)
		return wire_fail(error_r, "a second CHANGED", line->raw);
	if (line->count == 0 || !watch_is_box(watch, line->fields[0]))
		return wire_fail(error_r, "another mailbox than was asked for",
				 line->raw);
	watch->changed = true;
	return 0;
}

static void watch_reset(struct session_request *request)
{
	watch_of(request)->changed = false;
}

static const struct session_handler watch_handler = {
	.prepare = watch_prepare,
	.item = watch_item,
	.reset = watch_reset,
};

/* --- asking ---------------------------------------------------------------- */

struct watch *watch_init(const struct session_settings *set, unsigned int secs)
{
	struct watch *watch = mem_new(1, sizeof(*watch));
	struct session_settings copy = *set;

	copy.timeout_msecs += secs * 1000;
	copy.alive = NULL;	/* nobody waits for this one */
	copy.grace_msecs = 0;	/* it has nothing to finish */
	watch->secs = secs;
	watch->session = session_init(&copy);
	watch->request.verb = VERB_WATCH;
	watch->request.handler = &watch_handler;
	return watch;
}

void watch_deinit(struct watch **_watch)
{
	struct watch *watch = *_watch;

	if (watch == NULL)
		return;
	*_watch = NULL;
	session_deinit(&watch->session);
	session_request_free(&watch->request);
	buf_free(&watch->box);
	buf_free(&watch->scratch);
	free(watch);
}

void watch_ask(struct watch *watch, const char *box, const char *state)
{
	buf_clear(&watch->box);
	buf_append_str(&watch->box, box);
	buf_clear(&watch->request.line);
	buf_printf(&watch->request.line, "WATCH %s %u %s", box, watch->secs,
		   state);
	watch->changed = false;
	watch->asked = true;
	session_submit(watch->session, &watch->request);
}

enum watch_status watch_turn(struct watch *watch, struct fault *fault)
{
	if (!watch->asked || !session_try(watch->session, &watch->request))
		return WATCH_WAITING;
	watch->asked = false;
	if (watch->request.fault.code != FAULT_NONE) {
		*fault = watch->request.fault;
		return WATCH_FAILED;
	}
	return watch->changed ? WATCH_CHANGED : WATCH_SAME;
}

void watch_waits_for(const struct watch *watch, struct session_waits *waits_r)
{
	session_waits_for(watch->session, waits_r);
}

bool watch_is_asked(const struct watch *watch)
{
	struct session_waits waits;

	session_waits_for(watch->session, &waits);
	return watch->asked && watch->request.sent && waits.write_fd < 0;
}

void watch_end_begin(struct watch *watch)
{
	watch->asked = false;
	session_end_begin(watch->session);
}

bool watch_ended(struct watch *watch)
{
	return session_ended(watch->session);
}

/* --- how often ------------------------------------------------------------- */

unsigned int watch_pace_msecs(struct watch_pace *pace, uint64_t now_msecs)
{
	const uint64_t burst = (uint64_t)WATCH_BURST * WATCH_REST_MSECS;

	/* each answer takes a rest out of a store of so many, which fills up
	   again with time */
	if (pace->full_at < now_msecs)
		pace->full_at = now_msecs;
	pace->full_at += WATCH_REST_MSECS;
	if (pace->full_at <= now_msecs + burst)
		return 0;
	return (unsigned int)(pace->full_at - now_msecs - burst);
}

unsigned int watch_pause_msecs(unsigned int failures, unsigned int retry_secs)
{
	unsigned int pause = WATCH_PAUSE_MIN_MSECS;

	while (failures-- > 1 && pause < WATCH_PAUSE_MAX_MSECS)
		pause *= 2;
	if (pause > WATCH_PAUSE_MAX_MSECS)
		pause = WATCH_PAUSE_MAX_MSECS;
	if (retry_secs > WATCH_RETRY_MAX_SECS)
		retry_secs = WATCH_RETRY_MAX_SECS;
	return pause / 1000 < retry_secs ? retry_secs * 1000 : pause;
}
