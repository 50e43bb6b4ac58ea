/* Of a hit only the hash of its id is kept, as the index has it: so hits that name
 * no known message cost nothing, and one that comes twice is one. */
#include "search.h"

#include "listing.h"

#include <stdlib.h>

struct search {
	struct session_request request;
	bool keys[CAPS_KEY_COUNT];	/* in the line */
	unsigned char (*hits)[ID_HASH_SIZE];	/* sorted, once answered */
	size_t count, alloc, max;
	struct buf id;
	bool exact;
};

static int hit_cmp(const void *a, const void *b)
{
	return memcmp(a, b, ID_HASH_SIZE);
}

static int search_item(struct session_request *request,
		       const struct wire_line *line,
		       struct wire_error *error_r)
{
	struct search *search = (struct search *)request;
	unsigned char hash[ID_HASH_SIZE];

	if (line->count == 0 ||
	    id_hash_spelt(line->fields[0], &search->id, hash) != NULL)
		return wire_fail(error_r, "a HIT without a proper id",
				 line->raw);
	if (search->count == search->max)
		return listing_too_big(error_r);
	if (search->count == search->alloc) {
		search->alloc += search->alloc / 2 + 64;
		search->hits = mem_grow(search->hits, search->alloc,
					sizeof(*search->hits));
	}
	memcpy(search->hits[search->count++], hash, sizeof(hash));
	return 0;
}

static int search_final(struct session_request *request,
			const struct wire_line *line,
			struct wire_error *error_r)
{
	struct search *search = (struct search *)request;
	size_t i;

	(void)error_r;
	search->exact = true;
	for (i = 0; i < line->count; i++) {
		if (view_is(line->fields[i], "maybe"))
			search->exact = false;
	}
	if (search->count > 1)
		qsort(search->hits, search->count, sizeof(*search->hits),
		      hit_cmp);
	return 0;
}

static void search_reset(struct session_request *request)
{
	struct search *search = (struct search *)request;

	search->count = 0;
}

/* A fresh copy may be able to do less than the one that died. */
static int search_prepare(struct session_request *request,
			  const struct caps *caps, struct fault *fault_r)
{
	const struct search *search = (const struct search *)request;
	bool can = caps->verbs[VERB_SEARCH];
	int key;

	for (key = 0; key < CAPS_KEY_COUNT; key++)
		can = can && (caps->keys[key] || !search->keys[key]);
	if (can)
		return 0;
	return fault_set(fault_r, FAULT_UNSUPPORTED, FAULT_SCOPE_BACKEND,
			 "the backend does not have SEARCH with these keys");
}

static const struct session_handler search_handler = {
	.prepare = search_prepare,
	.item = search_item,
	.final = search_final,
	.reset = search_reset,
};

struct search *search_init(const char *box)
{
	struct search *search = mem_new(1, sizeof(*search));

	search->request.verb = VERB_SEARCH;
	search->request.handler = &search_handler;
	search->max = listing_bytes_max() / sizeof(*search->hits);
	buf_printf(&search->request.line, "SEARCH %s", box);
	return search;
}

void search_deinit(struct search **_search)
{
	struct search *search = *_search;

	*_search = NULL;
	if (search == NULL)
		return;
	session_request_free(&search->request);
	buf_free(&search->id);
	free(search->hits);
	free(search);
}

bool search_add(struct search *search, enum caps_key key, struct view value)
{
	struct buf *line = &search->request.line;
	size_t before = line->len;

	buf_printf(line, " %s ", caps_key_name(key));
	wire_encode(value, line);
	if (line->len > WIRE_LINE_MAX) {
		line->len = before;
		line->p[before] = '\0';
		return false;
	}
	search->keys[key] = true;
	return true;
}

bool search_is_empty(const struct search *search)
{
	int key;

	for (key = 0; key < CAPS_KEY_COUNT; key++) {
		if (search->keys[key])
			return false;
	}
	return true;
}

int search_run(struct search *search, struct session *session,
	       struct fault *fault)
{
	int ret = session_run(session, &search->request);

	if (ret < 0)
		*fault = search->request.fault;
	return ret;
}

bool search_is_exact(const struct search *search)
{
	return search->exact;
}

bool search_has(const struct search *search,
		const unsigned char hash[ID_HASH_SIZE])
{
	return search->count > 0 &&
		bsearch(hash, search->hits, search->count,
			sizeof(*search->hits), hit_cmp) != NULL;
}
