#include "listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <utf8proc.h>

#define NAME_INBOX "INBOX"
#define LISTING_BOX_WORDS 64	/* bytes of a BOX line that are no value */

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

/* --- mailboxes ------------------------------------------------------------- */

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

/* An item of the other kind of list: ignored, but not without end. */
static int listing_other(size_t *others, const struct wire_line *line,
			 struct wire_error *error_r)
{
	if (++*others <= SESSION_IGNORED_MAX)
		return 0;
	return wire_fail(error_r, "too many items that are of no use here, the "
			 "last", line->raw);
}

/* The name in normal form C (Unicode, UAX #15; as Dovecot 2.4 demands of names), as it is
   shown to clients: two spellings of one name would be two mailboxes. Appended. Returns
   false if it is not UTF-8. */
static bool name_compose(struct view name, struct buf *composed)
{
	utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t len;

	len = utf8proc_map((const utf8proc_uint8_t *)name.p,
			   (utf8proc_ssize_t)name.len, &nfc,
			   UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (len >= 0)
		buf_append(composed, (const char *)nfc, (size_t)len);
	free(nfc);
	return len >= 0;
}

static const char *unicode_fault(struct view name)
{
	struct buf composed = { NULL, 0, 0 };
	const char *fault = NULL;

	if (!name_compose(name, &composed))
		fault = "is not UTF-8";
	else if (!view_equals(view_of_buf(&composed), name))
		fault = "is not in Unicode's normal form C";
	buf_free(&composed);
	return fault;
}

/* C1 controls and line separators: names end up on terminals, by doveadm and logs,
   as they are. (RFC 5198, section 2, has neither in text.) */
static bool has_controls(struct view name)
{
	const unsigned char *p = (const unsigned char *)name.p;
	size_t i;

	for (i = 0; i + 1 < name.len; i++) {
		if (p[i] == 0xc2 && p[i + 1] < 0xa0)
			return true;
		if (i + 2 < name.len && p[i] == 0xe2 && p[i + 1] == 0x80 &&
		    (p[i + 2] == 0xa8 || p[i + 2] == 0xa9))
			return true;
	}
	return false;
}

static const char *component_fault(struct view part, bool first)
{
	if (part.len == 0)
		return "has an empty component";
	if (view_is(part, ".") || view_is(part, ".."))
		return "has a component . or ..";
	if (part.len > LISTING_COMPONENT_MAX)
		return "has a component longer than 255 bytes";
	if (first && view_is_nocase(part, NAME_INBOX) &&
	    !view_is(part, NAME_INBOX))
		return "spells INBOX in another way";
	return NULL;
}

const char *listing_name_fault(struct view name)
{
	struct view part;
	const char *slash, *fault, *p = name.p, *end = name.p + name.len;
	size_t i;

	if (name.len > WIRE_NAME_MAX)
		return "is longer than 1024 bytes";
	for (i = 0; i < name.len; i++) {
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
			return "has a control byte";
	}
	fault = unicode_fault(name);
	if (fault != NULL)
		return fault;
	if (has_controls(name))
		return "has a control character";
	do {
		slash = p == end ? NULL : memchr(p, '/', (size_t)(end - p));
		part.p = p;
		part.len = (size_t)((slash == NULL ? end : slash) - p);
		fault = component_fault(part, p == name.p);
		if (fault != NULL)
			return fault;
		p = slash == NULL ? end : slash + 1;
	} while (slash != NULL);
	return NULL;
}

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

static char *view_dup(struct view view)
{
	return mem_strndup(view.p, view.len);
}

/* An id in the one spelling that all its spellings share; NULL if it is
   none. */
static char *id_canonical(struct view id)
{
	struct buf decoded = { NULL, 0, 0 }, canonical = { NULL, 0, 0 };

	if (id.len > 0 && wire_decode(id, &decoded) == 0 &&
	    decoded.len <= WIRE_ID_MAX)
		wire_encode(view_of_buf(&decoded), &canonical);
	buf_free(&decoded);
	return canonical.p;
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
		box->flags = view_dup(value);
	} else if (view_is(key, "state") && value.len <= WIRE_STATE_MAX) {
		free(box->state);
		box->state = value.len == 0 ? NULL : view_dup(value);
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
	why = name_compose(view_of_buf(&ctx->name), &ctx->composed) ?
		listing_name_fault(view_of_buf(&ctx->composed)) :
		listing_name_fault(view_of_buf(&ctx->name));
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
	box->name = view_dup(view_of_buf(&ctx->composed));
	box->wire = view_dup(line->fields[0]);
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
		if (wire_number(value, IDMAP_MAX_UID, &number) < 0 ||
		    number == 0)
			return -1;
		msg->uid = (uint32_t)number;
	}
	return 0;
}

static int msg_id(struct msgs_request *ctx, struct listing_msg *msg,
		  struct view field)
{
	struct view id = field;

	if (memchr(field.p, '%', field.len) != NULL) {
		buf_clear(&ctx->id);
		if (wire_decode(field, &ctx->id) < 0)
			return -1;
		id = view_of_buf(&ctx->id);
	}
	if (id.len > WIRE_ID_MAX || view_is(field, "-"))
		return -1;
	idmap_hash(id, msg->hash);
	msg->id = field;
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
	msg.size = msg.vsize = IDMAP_SIZE_UNKNOWN;
	msg.date = IDMAP_DATE_UNKNOWN;
	if (line->count == 0 || msg_id(ctx, &msg, line->fields[0]) < 0)
		return wire_fail(error_r, "an item without a proper id",
				 line->raw);
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
			view_dup(value);
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

/* --- a whole list ---------------------------------------------------------- */

struct collector {
	struct listing *listing;
	struct reconciler *ids;	/* knows nothing, but sees what comes twice */
	size_t alloc, bytes, bytes_max;
};

/* Flags are kept once for all messages in a row that have the same. */
static void collect_text(struct collector *ctx, struct listing_msg *msg)
{
	struct listing *listing = ctx->listing;
	const struct listing_msg *last = listing->count == 0 ? NULL :
		&listing->msgs[listing->count - 1];

	ctx->bytes += sizeof(*msg) + IDMAP_HASH_SIZE + msg->id.len;
	msg->id = arena_add(&listing->text, msg->id);
	if (msg->flags.p == NULL)
		return;
	if (last != NULL && last->flags.p != NULL &&
	    view_equals(last->flags, msg->flags)) {
		msg->flags = last->flags;
	} else {
		ctx->bytes += msg->flags.len;
		msg->flags = arena_add(&listing->text, msg->flags);
	}
}

static int collect_msg(void *context, const struct listing_msg *msg,
		       struct wire_error *error_r)
{
	struct collector *ctx = context;
	struct listing *listing = ctx->listing;
	struct listing_msg copy = *msg;
	struct reconcile_item item;
	size_t known;

	memset(&item, 0, sizeof(item));
	memcpy(item.hash, msg->hash, sizeof(item.hash));
	item.gone = msg->gone;
	if (reconcile_line(ctx->ids, &item, &known) == RECONCILE_TWICE)
		return listing_twice(msg, error_r);
	collect_text(ctx, &copy);
	if (ctx->bytes > ctx->bytes_max)
		return listing_too_big(error_r);
	if (listing->count == ctx->alloc) {
		ctx->alloc += ctx->alloc / 2 + 64;
		listing->msgs = mem_grow(listing->msgs, ctx->alloc,
					 sizeof(*listing->msgs));
	}
	listing->msgs[listing->count++] = copy;
	return 0;
}

static void collect_reset(void *context)
{
	struct collector *ctx = context;

	listing_free(ctx->listing);
	reconcile_deinit(&ctx->ids);
	ctx->ids = reconcile_init(NULL, 0);
	ctx->alloc = ctx->bytes = 0;
}

static const struct listing_sink collect_sink = {
	.msg = collect_msg,
	.reset = collect_reset,
};

int listing_msgs(struct session *session, const char *box,
		 struct listing *listing_r, struct fault *fault)
{
	struct collector ctx;
	int ret;

	memset(&ctx, 0, sizeof(ctx));
	memset(listing_r, 0, sizeof(*listing_r));
	ctx.listing = listing_r;
	ctx.ids = reconcile_init(NULL, 0);
	ctx.bytes_max = listing_bytes_max();
	ret = listing_read(session, box, "-", &collect_sink, &ctx,
			   &listing_r->end, fault);
	reconcile_deinit(&ctx.ids);
	if (ret < 0)
		listing_free(listing_r);
	return ret;
}

void listing_free(struct listing *listing)
{
	free(listing->msgs);
	arena_free(&listing->text);
	listing_end_free(&listing->end);
	memset(listing, 0, sizeof(*listing));
}
