/* LIST box: the messages, and what bounds all lists. */
#include "listing-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* A list without end must not use up the memory of the process (Dovecot's
   vsz_limit): that would end all of it, this ends one request. Dovecot's index
   needs the rest, for as many messages. */
size_t listing_bytes_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) < 0 ||
	    limit.rlim_cur / LISTING_MEMORY_SHARE > LISTING_BYTES_MAX)
		return LISTING_BYTES_MAX;
	return limit.rlim_cur / LISTING_MEMORY_SHARE;
}

int listing_too_big(struct wire_error *error_r)
{
	size_t max = listing_bytes_max();

	(void)snprintf(error_r->text, sizeof(error_r->text),
		       "wrote a list that takes more than %zu bytes of memory "
		       "(%s)", max, max == LISTING_BYTES_MAX ?
		       "the most for any list" :
		       "a third of the process's limit, Dovecot's vsz_limit");
	return -1;
}

int listing_other(size_t *others, const struct wire_line *line,
		  struct wire_error *error_r)
{
	if (++*others <= SESSION_IGNORED_MAX)
		return 0;
	return wire_fail(error_r, "too many items that are of no use here, the "
			 "last", line->raw);
}

char *listing_dup(struct view view)
{
	return mem_strndup(view.p, view.len);
}

/* --- messages -------------------------------------------------------------- */

struct msgs_request {
	struct session_request request;
	const struct listing_sink *sink;
	void *context;
	struct listing_end *end;
	const char *box, *state;
	uint64_t text_bytes;	/* of all lines */
	size_t lines, msgs, others;
	struct buf id;
};

int listing_twice(const struct listing_msg *msg, struct wire_error *error_r)
{
	char quoted[WIRE_QUOTE_SIZE];

	(void)snprintf(error_r->text, sizeof(error_r->text),
		       "listed the id %s twice",
		       wire_quote(msg->id, quoted, sizeof(quoted)));
	return -1;
}

static int msg_option(struct listing_msg *msg, struct view field)
{
	struct view key, value;
	uint64_t number;
	bool given = wire_option(field, &key, &value);

	if (view_is(key, "size"))
		return wire_number(value, WIRE_MESSAGE_MAX, &msg->size);
	if (view_is(key, "vsize"))
		return wire_number(value, 2ULL * WIRE_MESSAGE_MAX,
				   &msg->vsize);
	if (view_is(key, "flags")) {
		/* without "=" it does not say that there are none */
		if (!given)
			return -1;
		msg->flags = value;
	} else if (view_is(key, "date")) {
		if (wire_number(value, UINT64_MAX, &number) < 0)
			return -1;
		/* one that cannot be kept is none */
		if (number <= WIRE_DATE_MAX)
			msg->date = (int64_t)number;
	} else if (view_is(key, "uid")) {
		if (wire_number(value, WIRE_UID_MAX, &number) < 0 ||
		    number == 0)
			return -1;
		msg->uid = (uint32_t)number;
	}
	return 0;
}

static int msgs_item(struct session_request *request,
		     const struct wire_line *line, struct wire_error *error_r)
{
	struct msgs_request *ctx = (struct msgs_request *)request;
	struct listing_msg msg;
	size_t i;

	memset(&msg, 0, sizeof(msg));
	msg.gone = view_is(line->keyword, "GONE");
	if (!msg.gone && !view_is(line->keyword, "MSG"))
		return listing_other(&ctx->others, line, error_r);
	msg.size = msg.vsize = WIRE_SIZE_UNKNOWN;
	msg.date = WIRE_DATE_UNKNOWN;
	if (line->count == 0 ||
	    id_hash_spelt(line->fields[0], &ctx->id, msg.hash) != NULL)
		return wire_fail(error_r, "an item without a proper id",
				 line->raw);
	msg.id = line->fields[0];
	for (i = 1; i < line->count; i++) {
		if (msg_option(&msg, line->fields[i]) < 0)
			return wire_fail(error_r, "a value out of range",
					 line->raw);
	}
	ctx->text_bytes += line->raw.len;
	if (ctx->text_bytes > LISTING_TEXT_MAX) {
		(void)snprintf(error_r->text, sizeof(error_r->text),
			       "wrote a list of more than %lu bytes (the most "
			       "for any list)", LISTING_TEXT_MAX);
		return -1;
	}
	ctx->lines++;
	ctx->msgs += msg.gone ? 0 : 1;
	return ctx->sink->msg(ctx->context, &msg, error_r);
}

static int msgs_final_option(struct msgs_request *ctx, struct view field,
			     bool *ok_r)
{
	struct listing_end *end = ctx->end;
	struct view key, value;
	uint64_t number;

	*ok_r = true;
	if (!wire_option(field, &key, &value))
		return 0;
	if (view_is(key, "state")) {
		if (value.len > WIRE_STATE_MAX)
			return -1;
		free(end->state);
		end->state = value.len == 0 ? mem_strdup("-") :
			listing_dup(value);
	} else if (view_is(key, "id")) {
		free(end->box_id);
		end->box_id = id_canonical(value);
		if (end->box_id == NULL)
			return -1;
	} else if (view_is(key, "uidvalidity")) {
		if (wire_number(value, UINT32_MAX, &number) < 0 || number == 0)
			return -1;
		end->uidvalidity = (uint32_t)number;
	} else if (view_is(key, "count")) {
		if (wire_number(value, UINT64_MAX, &number) < 0)
			return -1;
		*ok_r = !end->full || number == ctx->msgs;
	}
	return 0;
}

static int msgs_final(struct session_request *request,
		      const struct wire_line *line, struct wire_error *error_r)
{
	struct msgs_request *ctx = (struct msgs_request *)request;
	bool count_ok;
	size_t i;

	if (line->count > 0 && view_is(line->fields[0], "full"))
		ctx->end->full = true;
	else if (line->count == 0 || !view_is(line->fields[0], "delta"))
		return wire_fail(error_r, "a final OK without the word full "
				 "or delta", line->raw);
	for (i = 1; i < line->count; i++) {
		if (msgs_final_option(ctx, line->fields[i], &count_ok) < 0)
			return wire_fail(error_r, "a value out of range",
					 line->raw);
		if (count_ok)
			continue;
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"listed %zu items, but its last line says %.*s",
			ctx->lines, (int)line->fields[i].len,
			line->fields[i].p);
		return -1;
	}
	if (ctx->end->state == NULL)
		ctx->end->state = mem_strdup("-");
	return ctx->sink->end == NULL ? 0 :
		ctx->sink->end(ctx->context, ctx->end, error_r);
}

void listing_end_free(struct listing_end *end)
{
	free(end->state);
	free(end->box_id);
	memset(end, 0, sizeof(*end));
}

static void msgs_reset(struct session_request *request)
{
	struct msgs_request *ctx = (struct msgs_request *)request;

	listing_end_free(ctx->end);
	ctx->text_bytes = 0;
	ctx->lines = ctx->msgs = ctx->others = 0;
	ctx->sink->reset(ctx->context);
}

/* A state is for a copy that has delta: another one may have taken its place. */
static int msgs_prepare(struct session_request *request,
			const struct caps *caps, struct fault *fault_r)
{
	struct msgs_request *ctx = (struct msgs_request *)request;

	(void)fault_r;
	buf_clear(&request->line);
	buf_printf(&request->line, "LIST %s %s", ctx->box,
		   caps->delta ? ctx->state : "-");
	return 0;
}

static const struct session_handler msgs_handler = {
	.prepare = msgs_prepare,
	.item = msgs_item,
	.final = msgs_final,
	.reset = msgs_reset,
};

int listing_read(struct session *session, const char *box, const char *state,
		 const struct listing_sink *sink, void *context,
		 struct listing_end *end_r, struct fault *fault)
{
	struct msgs_request ctx;
	int ret;

	memset(&ctx, 0, sizeof(ctx));
	memset(end_r, 0, sizeof(*end_r));
	ctx.sink = sink;
	ctx.context = context;
	ctx.end = end_r;
	ctx.request.verb = VERB_LIST;
	ctx.request.handler = &msgs_handler;
	ctx.box = box;
	ctx.state = state;
	ret = session_run(session, &ctx.request);
	if (ret < 0) {
		*fault = ctx.request.fault;
		listing_end_free(end_r);
	}
	session_request_free(&ctx.request);
	buf_free(&ctx.id);
	return ret;
}
