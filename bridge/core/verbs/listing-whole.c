/* A whole list of messages, for who wants it at once. */
#include "listing.h"
#include "reconcile.h"

#include <stdlib.h>

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

	ctx->bytes += sizeof(*msg) + ID_HASH_SIZE + msg->id.len;
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
