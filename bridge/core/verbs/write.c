/* Requests with ids are made one by one, as many ids in each as batch=N and the
 * line limit allow, and as many under way as may be. The first that fails as a
 * whole is the last that is sent: those already under way are waited for, since
 * they may happen. (APPEND: append.c) */
#include "write.h"

#include <stdlib.h>

/* An id of a request in the one spelling that all its spellings share. */
struct write_key {
	struct view id;
	struct write_item *item;
};

struct write_request {
	struct session_request request;
	struct session *session;
	struct write_item *items;
	size_t count;
	size_t expected;		/* the item that is likely to come next */
	/* sorted; made when an item comes out of order */
	struct write_key *keys;
	struct buf decoded;		/* the ids of keys */
	struct buf scratch;
	bool taken_back;
	struct write_request *next;
};

/* A call of one of the functions, and its requests that are under way. */
struct write_job {
	struct session *session;
	enum verb_id verb;
	struct buf prefix;		/* of each line, all before the ids */
	struct write_item *items;
	size_t count, taken;		/* how many are in a request by now */
	size_t batch, window;
	struct write_request *first, **last;
	size_t under_way;
	int ret;
	struct fault *fault;
};

static void item_free(struct write_item *item)
{
	buf_free(&item->flags);
	buf_free(&item->new_id);
	free(item->fault);
	item->fault = NULL;
	item->flags_said = false;
	item->uid = 0;
	item->status = WRITE_UNKNOWN;
}

static struct fault *item_fault(struct write_item *item)
{
	if (item->fault == NULL)
		item->fault = mem_new(1, sizeof(*item->fault));
	return item->fault;
}

void write_items_free(struct write_item *items, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		item_free(&items[i]);
}

/* --- finding items --------------------------------------------------------- */

static int key_cmp(const void *_a, const void *_b)
{
	const struct write_key *a = _a, *b = _b;
	size_t len = a->id.len < b->id.len ? a->id.len : b->id.len;
	int ret = memcmp(a->id.p, b->id.p, len);

	return ret != 0 ? ret : a->id.len < b->id.len ? -1 :
		a->id.len > b->id.len;
}

static void write_make_keys(struct write_request *ctx)
{
	const char *p;
	size_t i, begin;

	ctx->keys = mem_new(ctx->count, sizeof(*ctx->keys));
	for (i = 0; i < ctx->count; i++) {
		begin = ctx->decoded.len;
		(void)wire_decode(ctx->items[i].id, &ctx->decoded);
		ctx->keys[i].item = &ctx->items[i];
		ctx->keys[i].id.len = ctx->decoded.len - begin;
	}
	/* it does not move any more */
	p = buf_str(&ctx->decoded);
	for (i = 0; i < ctx->count; i++) {
		ctx->keys[i].id.p = p;
		p += ctx->keys[i].id.len;
	}
	qsort(ctx->keys, ctx->count, sizeof(*ctx->keys), key_cmp);
}

static struct write_item *write_find(struct write_request *ctx,
				     struct view id)
{
	struct write_key key, *found;

	if (ctx->expected < ctx->count &&
	    view_equals(id, ctx->items[ctx->expected].id))
		return &ctx->items[ctx->expected++];
	buf_clear(&ctx->scratch);
	if (wire_decode(id, &ctx->scratch) < 0)
		return NULL;
	if (ctx->keys == NULL)
		write_make_keys(ctx);
	key.id = view_of_buf(&ctx->scratch);
	found = bsearch(&key, ctx->keys, ctx->count, sizeof(key), key_cmp);
	if (found == NULL)
		return NULL;
	ctx->expected = (size_t)(found->item - ctx->items) + 1;
	return found->item;
}

/* --- the reply ------------------------------------------------------------- */

static int item_option(struct write_item *item, enum verb_id verb,
		       struct view field)
{
	struct view key, value;
	uint64_t number;
	bool given = wire_option(field, &key, &value);

	if (verb == VERB_STORE) {
		if (!given || !view_is(key, "flags") ||
		    value.len > WIRE_FLAGS_MAX)
			return 0;
		buf_clear(&item->flags);
		buf_append_view(&item->flags, value);
		item->flags_said = true;
	} else if (view_is(key, "uid")) {
		if (wire_number(value, WIRE_UID_MAX, &number) < 0 ||
		    number == 0)
			return -1;
		item->uid = (uint32_t)number;
	}
	return 0;
}

/* MSG id [flags=], NEW id newid [uid=] */
static int write_done_item(struct write_request *ctx, struct write_item *item,
			   const struct wire_line *line,
			   struct wire_error *error_r)
{
	bool new = view_is(line->keyword, "NEW");
	size_t i;

	item->status = WRITE_DONE;
	if (new) {
		if (line->count < 2 || !wire_is_id(line->fields[1]))
			return wire_fail(error_r, "a NEW without a proper new "
					 "id", line->raw);
		buf_append_view(&item->new_id, line->fields[1]);
	}
	for (i = new ? 2 : 1; i < line->count; i++) {
		if (item_option(item, ctx->request.verb, line->fields[i]) < 0)
			return wire_fail(error_r, "a value out of range",
					 line->raw);
	}
	return 0;
}

static int write_line(struct session_request *request,
		      const struct wire_line *line, struct wire_error *error_r)
{
	struct write_request *ctx = (struct write_request *)request;
	struct write_item *item = line->count == 0 ? NULL :
		write_find(ctx, line->fields[0]);

	if (item == NULL)
		return wire_fail(error_r, "an id that was not asked for",
				 line->raw);
	if (item->status != WRITE_UNKNOWN)
		return wire_fail(error_r, "a second item for an id",
				 line->raw);
	if (view_is(line->keyword, "GONE")) {
		item->status = WRITE_GONE;
	} else if (view_is(line->keyword, "FAIL")) {
		item->status = WRITE_FAILED;
		session_fault_item(ctx->session, request, line,
				   item_fault(item));
	} else {
		return write_done_item(ctx, item, line, error_r);
	}
	return 0;
}

/* A COPY that does not tell the new id has not said enough. */
static void item_not_named(struct write_request *ctx, struct write_item *item)
{
	char quoted[WIRE_QUOTE_SIZE], request[WIRE_QUOTE_SIZE];

	item->status = WRITE_FAILED;
	(void)fault_set(item_fault(item), FAULT_INTERNAL, FAULT_SCOPE_MESSAGE,
		"%s: did not name %s while answering %s",
		session_settings(ctx->session)->argv[0],
		wire_quote(item->id, quoted, sizeof(quoted)),
		wire_quote(view_of_buf(&ctx->request.line), request,
			   sizeof(request)));
}

static int write_final(struct session_request *request,
		       const struct wire_line *line, struct wire_error *error_r)
{
	struct write_request *ctx = (struct write_request *)request;
	bool named = request->verb == VERB_COPY || request->verb == VERB_MOVE;
	size_t i;

	(void)line;
	(void)error_r;
	for (i = 0; i < ctx->count; i++) {
		if (ctx->items[i].status != WRITE_UNKNOWN)
			continue;
		if (named)
			item_not_named(ctx, &ctx->items[i]);
		else
			ctx->items[i].status = WRITE_DONE;
	}
	return 0;
}

static void write_reset(struct session_request *request)
{
	struct write_request *ctx = (struct write_request *)request;

	write_items_free(ctx->items, ctx->count);
	ctx->expected = 0;
}

/* A fresh copy may be able to do less than the one that died. */
static int write_prepare(struct session_request *request,
			 const struct caps *caps, struct fault *fault_r)
{
	struct write_request *ctx = (struct write_request *)request;
	const char *program = session_settings(ctx->session)->argv[0];

	if (!caps->verbs[request->verb])
		return fault_set(fault_r, FAULT_UNSUPPORTED,
			FAULT_SCOPE_BACKEND, "%s: does not have the verb %s",
			program, verb_info(request->verb)->name);
	if (ctx->count > caps->batch)
		return fault_set(fault_r, FAULT_UNAVAILABLE,
			FAULT_SCOPE_BACKEND, "%s: has only batch=%u now, not "
			"enough for %zu ids", program, caps->batch,
			ctx->count);
	return 0;
}

static const struct session_handler write_handler = {
	.prepare = write_prepare,
	.item = write_line,
	.final = write_final,
	.reset = write_reset,
};

/* --- requests -------------------------------------------------------------- */

/* The next request, with as many ids as it can take, but at least one. */
static void job_submit(struct write_job *job)
{
	struct write_request *ctx = mem_new(1, sizeof(*ctx));
	struct buf *line = &ctx->request.line;
	struct view id;

	ctx->request.verb = job->verb;
	ctx->request.handler = &write_handler;
	ctx->session = job->session;
	ctx->items = job->items + job->taken;
	buf_append_view(line, view_of_buf(&job->prefix));
	for (; job->taken < job->count && ctx->count < job->batch;
	     job->taken++, ctx->count++) {
		id = job->items[job->taken].id;
		if (ctx->count > 0 && line->len + 1 + id.len > WIRE_LINE_MAX)
			break;
		buf_append_c(line, ' ');
		buf_append_view(line, id);
	}
	*job->last = ctx;
	job->last = &ctx->next;
	job->under_way++;
	session_submit(job->session, &ctx->request);
}

/* Nothing of these was sent. */
static void items_not_sent(struct write_job *job, struct write_item *items,
			   size_t count)
{
	struct fault fault;
	size_t i;

	if (count == 0)
		return;
	fault = *job->fault;
	if (fault.code == FAULT_UNCERTAIN) {
		fault.code = FAULT_UNAVAILABLE;
		fault_set_user(&fault, view_of(fault_code_text(fault.code)));
		fault_context(&fault, "not sent any more after");
	}
	for (i = 0; i < count; i++)
		*item_fault(&items[i]) = fault;
}

static void items_failed(struct write_request *ctx)
{
	size_t i;

	/* items before NO stand, those of a reply that broke off do not */
	if (!ctx->request.fault.from_backend)
		write_reset(&ctx->request);
	for (i = 0; i < ctx->count; i++) {
		if (ctx->items[i].status == WRITE_UNKNOWN)
			*item_fault(&ctx->items[i]) = ctx->request.fault;
	}
}

/* The first request that failed: send nothing more. */
static void job_failed(struct write_job *job, const struct fault *fault)
{
	struct write_request *ctx;

	job->ret = -1;
	*job->fault = *fault;
	for (ctx = job->first->next; ctx != NULL; ctx = ctx->next)
		ctx->taken_back = !ctx->request.done &&
			session_withdraw(job->session, &ctx->request);
}

/* Wait for the oldest request under way. */
static void job_finish(struct write_job *job)
{
	struct write_request *ctx = job->first;

	if (ctx->taken_back) {
		items_not_sent(job, ctx->items, ctx->count);
	} else if (session_wait(job->session, &ctx->request) < 0) {
		items_failed(ctx);
		if (job->ret == 0)
			job_failed(job, &ctx->request.fault);
	}
	job->first = ctx->next;
	if (job->first == NULL)
		job->last = &job->first;
	job->under_way--;
	session_request_free(&ctx->request);
	free(ctx->keys);
	buf_free(&ctx->decoded);
	buf_free(&ctx->scratch);
	free(ctx);
}

static int job_run(struct write_job *job)
{
	const struct caps *caps = session_caps(job->session, job->fault);

	job->last = &job->first;
	if (caps == NULL) {
		job->ret = -1;
	} else {
		job->batch = caps->batch;
		/* a copy that dies is to leave no more than one in doubt */
		job->window = verb_info(job->verb)->repeatable ?
			caps->pipeline : 1;
	}
	for (;;) {
		while (job->ret == 0 && job->taken < job->count &&
		       job->under_way < job->window)
			job_submit(job);
		if (job->under_way == 0)
			break;
		job_finish(job);
	}
	items_not_sent(job, job->items + job->taken, job->count - job->taken);
	buf_free(&job->prefix);
	return job->ret;
}

int write_flags(struct session *session, const char *box, const char *change,
		struct write_item *items, size_t count, struct fault *fault)
{
	struct write_job job = {
		.session = session, .verb = VERB_STORE,
		.items = items, .count = count, .fault = fault,
	};

	buf_printf(&job.prefix, "STORE %s %s", box, change);
	return job_run(&job);
}

int write_expunge(struct session *session, const char *box,
		  struct write_item *items, size_t count, struct fault *fault)
{
	struct write_job job = {
		.session = session, .verb = VERB_EXPUNGE,
		.items = items, .count = count, .fault = fault,
	};

	buf_printf(&job.prefix, "EXPUNGE %s", box);
	return job_run(&job);
}

int write_copy(struct session *session, enum verb_id verb, const char *box,
	       const char *dest, struct write_item *items, size_t count,
	       struct fault *fault)
{
	struct write_job job = {
		.session = session, .verb = verb,
		.items = items, .count = count, .fault = fault,
	};

	buf_printf(&job.prefix, "%s %s %s", verb_info(verb)->name, box, dest);
	return job_run(&job);
}

int write_box(struct session *session, enum verb_id verb, const char *box,
	      const char *new, struct fault *fault)
{
	struct write_request ctx;
	int ret;

	memset(&ctx, 0, sizeof(ctx));
	ctx.request.verb = verb;
	ctx.request.handler = &write_handler;
	ctx.session = session;
	buf_printf(&ctx.request.line, "%s %s%s%s", verb_info(verb)->name, box,
		   new != NULL ? " " : "", new != NULL ? new : "");
	ret = session_run(session, &ctx.request);
	if (ret < 0)
		*fault = ctx.request.fault;
	session_request_free(&ctx.request);
	return ret;
}
