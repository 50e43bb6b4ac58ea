#include "replay.h"
#include "request.h"
#include "transcript.h"

#include <stdio.h>
#include <stdlib.h>

#define NONE SIZE_MAX

struct exchange {
	struct transcript_place begin;	/* of the reply; stderr included */
	uint64_t hash, box;		/* of the request, of its mailbox */
	enum verb_id verb;		/* VERB_COUNT = none that is known */
	bool complete, full;		/* has its final line; OK full */
};

/* One item of an answered FETCH. */
struct item {
	struct transcript_place place;
	uint64_t box, id;
	size_t exchange;
	bool header;			/* no more than the header */
};

struct replay {
	struct transcript_reader *reader;
	struct exchange *exchanges;
	size_t count, size;
	size_t open;			/* the oldest without a final line */
	struct item *items;		/* in the order of the file, then by id */
	size_t items_count, items_size;
	size_t last;			/* the exchange that was used last */
	int status;
};

/* --- words ------------------------------------------------------------------ */

/* FNV-1a. Two requests with one hash would be answered alike: nobody is harmed by
   that but who wrote the transcript. */
static uint64_t hash_of(struct view text)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.p[i]) * 0x100000001b3ULL;
	return hash;
}

static bool want_is_header(struct view want)
{
	return view_is(want, "header") || view_starts(want, "header,");
}

/* --- the index -------------------------------------------------------------- */

static int index_fail(struct wire_error *error, uint64_t line,
		      const char *what)
{
	(void)snprintf(error->text, sizeof(error->text), "line %llu: %s",
		       (unsigned long long)line, what);
	return -1;
}

static int index_request(struct replay *replay,
			 const struct transcript_entry *entry,
			 struct wire_error *error_r)
{
	struct exchange *exchange;
	struct request request;

	if (replay->count == REPLAY_REQUESTS_MAX)
		return index_fail(error_r, entry->line, "too many requests");
	if (replay->count == replay->size) {
		replay->size = replay->size * 2 + 64;
		replay->exchanges = mem_grow(replay->exchanges, replay->size,
					     sizeof(*replay->exchanges));
	}
	exchange = &replay->exchanges[replay->count++];
	memset(exchange, 0, sizeof(*exchange));
	request_parse(entry->text, &request);
	exchange->verb = request.verb;
	exchange->hash = hash_of(entry->text);
	exchange->box = hash_of(request.box);
	exchange->begin = transcript_tell(replay->reader);
	return 0;
}

/* "* KEYWORD id ..." of a FETCH. */
static int index_item(struct replay *replay,
		      const struct transcript_entry *entry, struct view rest,
		      struct wire_error *error_r)
{
	const struct exchange *exchange = &replay->exchanges[replay->open];
	struct view keyword = wire_next(&rest), id = wire_next(&rest), field;
	struct item *item;

	if (exchange->verb != VERB_FETCH || view_is(keyword, "WAIT") ||
	    !verb_has_item(VERB_FETCH, keyword) || id.len == 0)
		return 0;
	if (replay->items_count == REPLAY_ITEMS_MAX)
		return index_fail(error_r, entry->line, "too many items");
	if (replay->items_count == replay->items_size) {
		replay->items_size = replay->items_size * 2 + 64;
		replay->items = mem_grow(replay->items, replay->items_size,
					 sizeof(*replay->items));
	}
	item = &replay->items[replay->items_count++];
	memset(item, 0, sizeof(*item));
	item->place.offset = entry->offset;
	item->place.line = entry->line - 1;
	item->exchange = replay->open;
	item->box = exchange->box;
	item->id = hash_of(id);
	while ((field = wire_next(&rest)).len > 0) {
		if (view_is(field, "part=header"))
			item->header = true;
	}
	return 0;
}

static int index_reply(struct replay *replay,
		       const struct transcript_entry *entry,
		       struct wire_error *error_r)
{
	struct view rest = entry->text, word;
	struct exchange *exchange;

	/* stray bytes are said with the answer before them */
	if (replay->open == replay->count)
		return replay->count > 0 ? 0 : index_fail(error_r, entry->line,
				"a reply before any request");
	word = wire_next(&rest);
	if (view_is(word, "*"))
		return index_item(replay, entry, rest, error_r);
	if (!view_is(word, "OK") && !view_is(word, "NO"))
		return 0;
	exchange = &replay->exchanges[replay->open++];
	exchange->complete = true;
	exchange->full = view_is(word, "OK") &&
		view_is(wire_next(&rest), "full");
	if (replay->open < replay->count)
		replay->exchanges[replay->open].begin =
			transcript_tell(replay->reader);
	return 0;
}

static void index_note(struct replay *replay, struct view rest)
{
	struct view word = wire_next(&rest), number = wire_next(&rest);
	uint64_t status;

	if (view_is(word, "status") && wire_number(number, 255, &status) == 0)
		replay->status = (int)status;
}

static int item_cmp(const void *p1, const void *p2)
{
	const struct item *a = p1, *b = p2;

	if (a->box != b->box)
		return a->box < b->box ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->place.offset < b->place.offset ? -1 :
		a->place.offset > b->place.offset;
}

/* Items of an answer that has no end may have none either. */
static void index_finish(struct replay *replay)
{
	size_t i, to = 0;

	for (i = 0; i < replay->items_count; i++) {
		if (replay->exchanges[replay->items[i].exchange].complete)
			replay->items[to++] = replay->items[i];
	}
	replay->items_count = to;
	if (to > 1)
		qsort(replay->items, to, sizeof(*replay->items), item_cmp);
}

static int replay_index(struct replay *replay, struct wire_error *error_r)
{
	struct transcript_entry entry;
	int ret;

	while ((ret = transcript_read(replay->reader, &entry, error_r)) > 0) {
		switch (entry.kind) {
		case TRANSCRIPT_REQUEST:
			ret = index_request(replay, &entry, error_r);
			break;
		case TRANSCRIPT_REPLY:
			ret = index_reply(replay, &entry, error_r);
			break;
		case TRANSCRIPT_NOTE:
			index_note(replay, entry.text);
			break;
		default:
			break;
		}
		if (ret < 0)
			return -1;
	}
	if (ret == 0)
		index_finish(replay);
	return ret;
}

int replay_init(int fd, struct replay **replay_r, struct wire_error *error_r)
{
	struct replay *replay = mem_new(1, sizeof(*replay));

	replay->reader = transcript_reader_init(fd);
	replay->last = NONE;
	replay->status = REPLAY_STATUS_UNKNOWN;
	*replay_r = replay;
	if (replay_index(replay, error_r) == 0)
		return 0;
	replay_deinit(replay_r);
	return -1;
}

void replay_deinit(struct replay **_replay)
{
	struct replay *replay = *_replay;

	*_replay = NULL;
	if (replay == NULL)
		return;
	transcript_reader_deinit(&replay->reader);
	free(replay->exchanges);
	free(replay->items);
	free(replay);
}

int replay_status(const struct replay *replay)
{
	return replay->status;
}

/* --- saying ----------------------------------------------------------------- */

static int say(const struct replay_output *output, struct view text, bool lf)
{
	if (output->reply(output->context, text) < 0)
		return -1;
	return lf ? output->reply(output->context, view_of("\n")) : 0;
}

/* How much of a file's contents follows here; NONE = none of it is there. */
static uint64_t file_size(struct replay *replay)
{
	struct transcript_place here = transcript_tell(replay->reader);
	struct transcript_entry entry;
	struct wire_error error;
	uint64_t size = UINT64_MAX;

	while (transcript_read(replay->reader, &entry, &error) > 0 &&
	       entry.kind == TRANSCRIPT_REPLY_FILE)
		size = (size == UINT64_MAX ? 0 : size) + entry.text.len;
	transcript_seek(replay->reader, here);
	return size;
}

/* FILE id path ... as DATA id size, if the contents are known. */
static int say_line(struct replay *replay, struct view line,
		    const struct replay_output *output)
{
	struct buf data = { NULL, 0, 0 }, own = { NULL, 0, 0 };
	struct view rest, id, field;
	uint64_t size;
	int ret;

	if (!view_starts(line, "* FILE "))
		return say(output, line, true);
	buf_append_view(&own, line);	/* to look ahead is to read on */
	rest = view_of_buf(&own);
	(void)wire_next(&rest);
	(void)wire_next(&rest);
	id = wire_next(&rest);
	size = file_size(replay);
	if (size == UINT64_MAX) {
		ret = say(output, view_of_buf(&own), true);
	} else {
		buf_printf(&data, "* DATA %.*s %llu", (int)id.len, id.p,
			   (unsigned long long)size);
		while ((field = wire_next(&rest)).len > 0) {
			if (view_is(field, "part=header"))
				buf_append_str(&data, " part=header");
		}
		ret = say(output, view_of_buf(&data), true);
	}
	buf_free(&data);
	buf_free(&own);
	return ret;
}

static bool line_is_final(struct view line)
{
	struct view word = wire_next(&line);

	return view_is(word, "OK") || view_is(word, "NO");
}

static enum replay_result
say_entry(struct replay *replay, const struct transcript_entry *entry,
	  const struct replay_output *output)
{
	int ret = 0;

	if (entry->kind == TRANSCRIPT_REPLY)
		ret = say_line(replay, entry->text, output);
	else if (entry->kind == TRANSCRIPT_REPLY_BYTES ||
		 entry->kind == TRANSCRIPT_REPLY_FILE)
		ret = say(output, entry->text, false);
	else if (entry->kind == TRANSCRIPT_STDERR)
		ret = output->stderr_line(output->context, entry->text);
	return ret < 0 ? REPLAY_OUTPUT_FAILED : REPLAY_ANSWERED;
}

/* What came after an answer without being asked for, as far as the next request. */
static enum replay_result
say_strays(struct replay *replay, const struct replay_output *output)
{
	enum replay_result result = REPLAY_ANSWERED;
	struct transcript_entry entry;
	struct wire_error error;

	while (result == REPLAY_ANSWERED &&
	       transcript_read(replay->reader, &entry, &error) > 0 &&
	       entry.kind != TRANSCRIPT_REQUEST)
		result = say_entry(replay, &entry, output);
	return result;
}

static enum replay_result
say_exchange(struct replay *replay, size_t n,
	     const struct replay_output *output)
{
	enum replay_result result;
	struct transcript_entry entry;
	struct wire_error error;
	bool final;
	int ret;

	replay->last = n;
	transcript_seek(replay->reader, replay->exchanges[n].begin);
	while ((ret = transcript_read(replay->reader, &entry, &error)) > 0) {
		final = entry.kind == TRANSCRIPT_REPLY &&
			line_is_final(entry.text);
		result = say_entry(replay, &entry, output);
		if (result != REPLAY_ANSWERED)
			return result;
		/* with others in flight, what follows is theirs */
		if (final)
			return n + 1 == replay->count ||
				replay->exchanges[n + 1].begin.offset >
				transcript_tell(replay->reader).offset ?
				say_strays(replay, output) : result;
	}
	return ret < 0 ? REPLAY_WRONG : REPLAY_ENDED;
}

/* --- FETCH ------------------------------------------------------------------ */

/* The first of the items with this mailbox and id, by bisection. */
static size_t item_first(const struct replay *replay, uint64_t box, uint64_t id)
{
	struct item key = { .box = box, .id = id };
	size_t low = 0, high = replay->items_count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (item_cmp(&replay->items[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The next that will do, else the last before. */
static size_t item_find(const struct replay *replay, uint64_t box, uint64_t id,
			bool header)
{
	size_t i, found = NONE;

	for (i = item_first(replay, box, id); i < replay->items_count &&
	     replay->items[i].box == box && replay->items[i].id == id; i++) {
		if (replay->items[i].header && !header)
			continue;
		found = i;
		if (replay->last == NONE ||
		    replay->items[i].exchange > replay->last)
			break;
	}
	return found;
}

static enum replay_result
say_item(struct replay *replay, const struct item *item,
	 const struct replay_output *output)
{
	enum replay_result result = REPLAY_ANSWERED;
	struct transcript_entry entry;
	struct wire_error error;
	bool first = true;
	int ret;

	transcript_seek(replay->reader, item->place);
	while ((ret = transcript_read(replay->reader, &entry, &error)) > 0) {
		if (entry.kind == TRANSCRIPT_REPLY && !first)
			return REPLAY_ANSWERED;
		first = false;
		result = say_entry(replay, &entry, output);
		if (result != REPLAY_ANSWERED)
			return result;
	}
	return ret < 0 ? REPLAY_WRONG : result;
}

static enum replay_result
say_missing_id(struct view id, const struct replay_output *output)
{
	struct buf line = { NULL, 0, 0 };
	int ret;

	buf_printf(&line, "* FAIL %.*s CANNOT this message is not in the "
		   "transcript", (int)id.len, id.p);
	ret = say(output, view_of_buf(&line), true);
	buf_free(&line);
	return ret < 0 ? REPLAY_OUTPUT_FAILED : REPLAY_ANSWERED;
}

static enum replay_result
say_fetch(struct replay *replay, uint64_t box, bool header, struct view ids,
	  const struct replay_output *output)
{
	enum replay_result result = REPLAY_ANSWERED;
	struct view id;
	size_t found, last = replay->last;

	while (result == REPLAY_ANSWERED && (id = wire_next(&ids)).len > 0) {
		found = item_find(replay, box, hash_of(id), header);
		if (found == NONE) {
			result = say_missing_id(id, output);
			continue;
		}
		result = say_item(replay, &replay->items[found], output);
		if (last == NONE || replay->items[found].exchange > last)
			last = replay->items[found].exchange;
	}
	replay->last = last;
	if (result == REPLAY_ANSWERED && say(output, view_of("OK"), true) < 0)
		result = REPLAY_OUTPUT_FAILED;
	return result;
}

/* --- answering -------------------------------------------------------------- */

enum like { LIKE_SAME, LIKE_VERB, LIKE_BOX, LIKE_FULL };

static bool is_like(const struct exchange *a, const struct exchange *b,
		    enum like like)
{
	switch (like) {
	case LIKE_SAME:
		return a->hash == b->hash;
	case LIKE_VERB:
		return a->verb == b->verb;
	case LIKE_BOX:
		return a->verb == b->verb && a->box == b->box;
	case LIKE_FULL:
		return a->verb == b->verb && a->box == b->box && a->full;
	}
	return false;
}

/* The next that is like it, else the last before. */
static size_t find(const struct replay *replay, const struct exchange *asked,
		   enum like like)
{
	size_t i, n, found = NONE;

	for (i = 0; i < replay->count; i++) {
		n = replay->last == NONE ? i : replay->last + 1 + i;
		if (n >= replay->count)
			break;
		if (is_like(&replay->exchanges[n], asked, like))
			return n;
	}
	for (i = 0; replay->last != NONE && i <= replay->last; i++) {
		if (is_like(&replay->exchanges[i], asked, like))
			found = i;
	}
	return found;
}

static enum replay_result
say_missing(struct replay *replay, const struct exchange *asked,
	    const struct replay_output *output)
{
	bool known = asked->verb != VERB_COUNT &&
		find(replay, asked, LIKE_VERB) != NONE;

	return say(output, view_of(known ?
			"NO CANNOT this is not in the transcript" :
			"NO UNSUPPORTED this is not in the transcript"),
		   true) < 0 ? REPLAY_OUTPUT_FAILED : REPLAY_MISSING;
}

enum replay_result
replay_answer(struct replay *replay, struct view request,
	      const struct replay_output *output)
{
	struct exchange asked;
	struct request parts;
	size_t n;

	memset(&asked, 0, sizeof(asked));
	request_parse(request, &parts);
	asked.verb = parts.verb;
	asked.hash = hash_of(request);
	asked.box = hash_of(parts.box);
	n = find(replay, &asked, LIKE_SAME);
	if (n == NONE && asked.verb == VERB_CAPS)
		n = find(replay, &asked, LIKE_VERB);
	if (n == NONE && asked.verb == VERB_LIST && parts.box.len > 0)
		n = find(replay, &asked, LIKE_FULL);
	if (n == NONE && asked.verb == VERB_APPEND)
		n = find(replay, &asked, LIKE_BOX);
	if (n != NONE)
		return say_exchange(replay, n, output);
	if (asked.verb == VERB_FETCH &&
	    find(replay, &asked, LIKE_BOX) != NONE)
		return say_fetch(replay, asked.box,
				 want_is_header(parts.third), parts.rest,
				 output);
	return say_missing(replay, &asked, output);
}
