/* LIST: the mailboxes. */
#include "listing-private.h"

#include "id.h"
#include "names.h"

#include <stdlib.h>

#define LISTING_BOX_WORDS 64	/* bytes of a BOX line that are no value */

struct boxes_request {
	struct session_request request;
	struct listing_boxes *boxes;
	size_t boxes_size;
	size_t bytes, bytes_max;
	size_t others;		/* items of the other kind of list */
	struct buf name, composed;
	bool kept;		/* from a file of ours */

	/* nobody waits for it any more: what it has is its own */
	bool dropped;
	struct listing_boxes own;
};

static void boxes_skip(struct boxes_request *ctx, struct view spelt,
		       const char *why)
{
	struct listing_boxes *boxes = ctx->boxes;
	char quoted[WIRE_QUOTE_SIZE];
	struct buf text = { NULL, 0, 0 };

	buf_printf(&text, "mailbox %s is left out: its name %s",
		   wire_quote(spelt, quoted, sizeof(quoted)), why);
	boxes->skipped = mem_grow(boxes->skipped, boxes->skipped_count + 1,
				  sizeof(*boxes->skipped));
	boxes->skipped[boxes->skipped_count++] = text.p;
}

static int box_option(const struct boxes_request *ctx, struct listing_box *box,
		      struct view field)
{
	struct view key, value;
	uint64_t number;

	(void)wire_option(field, &key, &value);
	if (view_is(key, "id")) {
		/* one that cannot be read must not make it another mailbox */
		free(box->id);
		box->id = id_canonical(value);
		if (box->id == NULL && value.len > 0)
			return -1;
	} else if (view_is(key, "flags")) {
		free(box->flags);
		box->flags = listing_dup(value);
	} else if (view_is(key, "state") && value.len <= WIRE_STATE_MAX) {
		free(box->state);
		box->state = value.len == 0 ? NULL : listing_dup(value);
	} else if (view_is(key, "ro")) {
		box->ro = true;
	} else if (ctx->kept && view_is(key, "missing")) {
		if (wire_number(value, INT64_MAX, &number) < 0)
			return -1;
		box->missing_since = (int64_t)number;
	}
	return 0;
}

static int boxes_item(struct session_request *request,
		      const struct wire_line *line, struct wire_error *error_r)
{
	struct boxes_request *ctx = (struct boxes_request *)request;
	struct listing_boxes *boxes = ctx->boxes;
	struct listing_box *box;
	const char *why;
	size_t i;

	if (!view_is(line->keyword, "BOX"))
		return listing_other(&ctx->others, line, error_r);
	buf_clear(&ctx->name);
	if (line->count == 0 || view_is(line->fields[0], "-") ||
	    wire_decode(line->fields[0], &ctx->name) < 0)
		return wire_fail(error_r, "a BOX without a proper name",
				 line->raw);
	if (boxes->count + boxes->skipped_count >= LISTING_BOXES_MAX)
		return wire_fail(error_r, "more than 100000 mailboxes",
				 line->raw);
	/* the name decoded, and everything as spelt */
	ctx->bytes += 2 * line->raw.len + sizeof(*box);
	if (ctx->bytes > ctx->bytes_max)
		return listing_too_big(error_r);
	/* macOS writes names in form D */
	buf_clear(&ctx->composed);
	why = names_compose(view_of_buf(&ctx->name), &ctx->composed) ?
		names_fault(view_of_buf(&ctx->composed)) :
		names_fault(view_of_buf(&ctx->name));
	if (why != NULL) {
		boxes_skip(ctx, line->fields[0], why);
		return 0;
	}
	if (boxes->count == ctx->boxes_size) {
		ctx->boxes_size = ctx->boxes_size * 2 + 16;
		boxes->boxes = mem_grow(boxes->boxes, ctx->boxes_size,
					sizeof(*boxes->boxes));
	}
	box = &boxes->boxes[boxes->count++];
	memset(box, 0, sizeof(*box));
	box->name = listing_dup(view_of_buf(&ctx->composed));
	box->wire = listing_dup(line->fields[0]);
	box->composed = !view_equals(view_of_buf(&ctx->composed),
				     view_of_buf(&ctx->name));
	for (i = 1; i < line->count; i++) {
		if (box_option(ctx, box, line->fields[i]) < 0)
			return wire_fail(error_r, "a value out of range",
					 line->raw);
	}
	return 0;
}

/* By name; of those that are composed to one name, what is spelt so comes first. */
static int box_cmp(const void *a, const void *b)
{
	const struct listing_box *box_a = a, *box_b = b;
	int ret = strcmp(box_a->name, box_b->name);

	if (ret == 0)
		ret = box_a->composed - box_b->composed;
	return ret != 0 ? ret : strcmp(box_a->wire, box_b->wire);
}

static void box_free(struct listing_box *box)
{
	free(box->name);
	free(box->wire);
	free(box->id);
	free(box->flags);
	free(box->state);
}

void listing_boxes_sort(struct listing_boxes *boxes)
{
	if (boxes->count > 1)
		qsort(boxes->boxes, boxes->count, sizeof(*boxes->boxes),
		      box_cmp);
}

static int box_id_cmp(const void *a, const void *b)
{
	const struct listing_box *const *box_a = a, *const *box_b = b;

	return strcmp((*box_a)->id, (*box_b)->id);
}

/* An id names one mailbox. */
static int boxes_check_ids(const struct listing_boxes *boxes,
			   struct wire_error *error_r)
{
	const struct listing_box **ids = mem_new(boxes->count, sizeof(*ids));
	size_t i, count = 0;
	int ret = 0;

	for (i = 0; i < boxes->count; i++) {
		if (boxes->boxes[i].id != NULL)
			ids[count++] = &boxes->boxes[i];
	}
	if (count > 1)
		qsort(ids, count, sizeof(*ids), box_id_cmp);
	for (i = 1; ret == 0 && i < count; i++) {
		if (strcmp(ids[i - 1]->id, ids[i]->id) == 0)
			ret = wire_fail(error_r, "an id for two mailboxes",
					view_of(ids[i]->id));
	}
	free(ids);
	return ret;
}

/* Whether they are spelt alike but for what is encoded. */
static bool names_are_one(const struct listing_box *a,
			  const struct listing_box *b)
{
	struct buf name_a = { NULL, 0, 0 }, name_b = { NULL, 0, 0 };
	bool one;

	(void)wire_decode(view_of(a->wire), &name_a);
	(void)wire_decode(view_of(b->wire), &name_b);
	one = view_equals(view_of_buf(&name_a), view_of_buf(&name_b));
	buf_free(&name_a);
	buf_free(&name_b);
	return one;
}

static int boxes_final(struct session_request *request,
		       const struct wire_line *line,
		       struct wire_error *error_r)
{
	struct boxes_request *ctx = (struct boxes_request *)request;
	struct listing_boxes *boxes = ctx->boxes;
	struct listing_box *box;
	size_t i, count;

	boxes->delta = line->count > 0 && view_is(line->fields[0], "delta");
	listing_boxes_sort(boxes);
	for (i = count = 0; i < boxes->count; i++) {
		box = &boxes->boxes[i];
		if (count > 0 &&
		    strcmp(boxes->boxes[count - 1].name, box->name) == 0) {
			if (names_are_one(&boxes->boxes[count - 1], box))
				return wire_fail(error_r, "a mailbox twice",
						 view_of(box->wire));
			boxes_skip(ctx, view_of(box->wire), "is another "
				   "mailbox's, in Unicode's normal form C");
			box_free(box);
			continue;
		}
		boxes->boxes[count++] = *box;
	}
	boxes->count = count;
	return boxes_check_ids(boxes, error_r);
}

void listing_boxes_free(struct listing_boxes *boxes)
{
	size_t i;

	for (i = 0; i < boxes->count; i++)
		box_free(&boxes->boxes[i]);
	for (i = 0; i < boxes->skipped_count; i++)
		free(boxes->skipped[i]);
	free(boxes->boxes);
	free(boxes->skipped);
	memset(boxes, 0, sizeof(*boxes));
}

static void boxes_reset(struct session_request *request)
{
	struct boxes_request *ctx = (struct boxes_request *)request;

	listing_boxes_free(ctx->boxes);
	ctx->boxes_size = ctx->bytes = ctx->others = 0;
}

static void boxes_free(struct boxes_request *ctx)
{
	listing_boxes_free(&ctx->own);
	session_request_free(&ctx->request);
	buf_free(&ctx->name);
	buf_free(&ctx->composed);
	free(ctx);
}

static void boxes_done(struct session_request *request)
{
	struct boxes_request *ctx = (struct boxes_request *)request;

	if (ctx->dropped)
		boxes_free(ctx);
}

static const struct session_handler boxes_handler = {
	.item = boxes_item,
	.final = boxes_final,
	.reset = boxes_reset,
	.done = boxes_done,
};

static struct boxes_request *boxes_begin(struct session *session)
{
	struct boxes_request *ctx = mem_new(1, sizeof(*ctx));

	ctx->boxes = &ctx->own;
	ctx->bytes_max = listing_bytes_max();
	ctx->request.verb = VERB_LIST;
	ctx->request.handler = &boxes_handler;
	buf_append_str(&ctx->request.line, "LIST");
	session_submit(session, &ctx->request);
	return ctx;
}

/* It is done. Returns 0, or -1 and a fault. */
static int boxes_take(struct boxes_request *ctx, struct listing_boxes *boxes_r,
		      struct fault *fault)
{
	if (ctx->request.fault.code != FAULT_NONE) {
		*fault = ctx->request.fault;
		return -1;
	}
	*boxes_r = ctx->own;
	memset(&ctx->own, 0, sizeof(ctx->own));
	return 0;
}

int listing_boxes_within(struct session *session, unsigned int msecs,
			 struct listing_boxes *boxes_r, struct fault *fault)
{
	struct boxes_request *ctx = boxes_begin(session);
	int ret = 1;

	memset(boxes_r, 0, sizeof(*boxes_r));
	if (session_wait_within(session, &ctx->request, msecs))
		ret = boxes_take(ctx, boxes_r, fault);
	else if (!session_withdraw(session, &ctx->request)) {
		ctx->dropped = true;
		return 1;
	}
	boxes_free(ctx);
	return ret;
}

int listing_boxes(struct session *session, struct listing_boxes *boxes_r,
		  struct fault *fault)
{
	struct boxes_request *ctx = boxes_begin(session);
	int ret;

	memset(boxes_r, 0, sizeof(*boxes_r));
	(void)session_wait(session, &ctx->request);
	ret = boxes_take(ctx, boxes_r, fault);
	boxes_free(ctx);
	return ret;
}

/* Returns 1 after the final line, 0 if there are more, -1. */
static int boxes_parse_line(struct boxes_request *ctx,
			    const struct wire_line *line,
			    struct wire_error *error_r)
{
	switch (line->kind) {
	case WIRE_ITEM:
		return boxes_item(&ctx->request, line, error_r);
	case WIRE_OK:
		return boxes_final(&ctx->request, line, error_r) < 0 ? -1 : 1;
	case WIRE_NO:
		return wire_fail(error_r, "a NO", line->raw);
	case WIRE_RESERVED:
		break;
	}
	return 0;
}

int listing_boxes_parse(struct view text, struct listing_boxes *boxes_r,
			struct wire_error *error_r)
{
	struct wire_reader *reader = wire_reader_init();
	struct boxes_request ctx;
	struct wire_line line;
	size_t size;
	char *space;
	int ret = 0;

	memset(&ctx, 0, sizeof(ctx));
	memset(boxes_r, 0, sizeof(*boxes_r));
	ctx.boxes = boxes_r;
	ctx.bytes_max = listing_bytes_max();
	ctx.kept = true;
	while (ret == 0 && text.len > 0) {
		space = wire_reader_space(reader, &size);
		size = size < text.len ? size : text.len;
		memcpy(space, text.p, size);
		wire_reader_added(reader, size);
		text.p += size;
		text.len -= size;
		while (ret == 0 &&
		       (ret = wire_reader_line(reader, &line, error_r)) > 0)
			ret = boxes_parse_line(&ctx, &line, error_r);
	}
	if (ret == 0)
		ret = wire_fail(error_r, "no final line", text);
	wire_reader_deinit(&reader);
	buf_free(&ctx.name);
	buf_free(&ctx.composed);
	if (ret < 0)
		listing_boxes_free(boxes_r);
	return ret < 0 ? -1 : 0;
}

bool listing_boxes_too_many(const struct listing_boxes *boxes)
{
	const struct listing_box *box;
	size_t i, bytes = 0, max = listing_bytes_max();

	for (i = 0; i < boxes->count && bytes <= max; i++) {
		box = &boxes->boxes[i];
		/* as boxes_item() counts it, or a little more */
		bytes += sizeof(*box) + 2 * (LISTING_BOX_WORDS +
			strlen(box->wire) +
			(box->id == NULL ? 0 : strlen(box->id)) +
			(box->flags == NULL ? 0 : strlen(box->flags)));
	}
	return boxes->count > LISTING_BOXES_MAX || bytes > max;
}

static int box_name_cmp(const void *key, const void *member)
{
	const struct view *name = key;
	const struct listing_box *box = member;
	size_t len = strlen(box->name);
	int ret = memcmp(name->p, box->name, name->len < len ?
			 name->len : len);

	return ret != 0 ? ret : name->len < len ? -1 : name->len > len;
}

const struct listing_box *
listing_box_find(const struct listing_boxes *boxes, struct view name)
{
	if (boxes->count == 0)
		return NULL;
	return bsearch(&name, boxes->boxes, boxes->count,
		       sizeof(*boxes->boxes), box_name_cmp);
}
