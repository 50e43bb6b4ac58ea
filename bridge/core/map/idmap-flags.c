/* Sets of flags kept by the bridge.
 *
 * A mailbox of a million messages has a handful of different sets, so each
 * set is kept once and a message names it by number. A change over a range of
 * UIDs then costs one comparison for each message; what a change makes of a
 * set is worked out once and remembered.
 *
 * A set is a list as on the wire, sorted without case, each flag once. It
 * holds at most WIRE_FLAGS_MAX bytes: a flag that does not fit is left out,
 * whether it is added by a caller or by a line of the file, so that both come
 * to the same set. */
#include "idmap-private.h"

#include <stdlib.h>
#include <strings.h>

#define FLAG_NAME_MAX 1024	/* bytes, as spelt, without its mark */
#define MARK_LEN 2		/* %+ or %-, flags.h */
/* What working out a change costs, for each byte, against one comparison. */
#define APPLY_COST 64

/* --- names --------------------------------------------------------------- */

/* Cut the next name off a list; false at the end. */
static bool name_next(struct view *list, struct view *name_r)
{
	const char *comma;

	if (list->len == 0)
		return false;
	comma = memchr(list->p, ',', list->len);
	name_r->p = list->p;
	name_r->len = comma == NULL ? list->len : (size_t)(comma - list->p);
	list->p += name_r->len + (comma != NULL);
	list->len -= name_r->len + (comma != NULL);
	return true;
}

static bool name_is_sound(struct view name)
{
	size_t i;

	if (view_starts(name, "%+") || view_starts(name, "%-")) {
		name.p += MARK_LEN;
		name.len -= MARK_LEN;
	}
	if (name.len == 0 || name.len > FLAG_NAME_MAX || view_is(name, "-"))
		return false;
	for (i = 0; i < name.len; i++) {
		if ((unsigned char)name.p[i] <= 0x20 || name.p[i] == 0x7f)
			return false;
	}
	return true;
}

bool idmap_flags_list_is_sound(struct view list)
{
	struct view name;

	if (list.len > 0 && list.p[list.len - 1] == ',')
		return false;
	while (name_next(&list, &name)) {
		if (!name_is_sound(name))
			return false;
	}
	return true;
}

bool idmap_flags_change_is_sound(struct view change)
{
	struct view name, sign_less;

	if (change.len == 0 || change.p[change.len - 1] == ',')
		return false;
	if (change.p[0] == '=') {
		change.p++;
		change.len--;
		return idmap_flags_list_is_sound(change);
	}
	while (name_next(&change, &name)) {
		sign_less.p = name.p + 1;
		sign_less.len = name.len - 1;
		if (name.len < 2 || (name.p[0] != '+' && name.p[0] != '-') ||
		    !name_is_sound(sign_less))
			return false;
	}
	return true;
}

static int name_cmp(struct view a, struct view b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int ret = strncasecmp(a.p, b.p, len);

	return ret != 0 ? ret : (a.len > b.len) - (a.len < b.len);
}

/* --- a set being worked on ----------------------------------------------- */

/* A set of WIRE_FLAGS_MAX bytes has no more names than this. */
#define NAMES_MAX (WIRE_FLAGS_MAX / 2 + 1)

struct names {
	struct view names[NAMES_MAX];
	size_t count, len;	/* len: as a list, with commas */
};

/* Where a name is (true), or belongs (false). */
static bool names_find(const struct names *set, struct view name, size_t *i_r)
{
	size_t low = 0, high = set->count, middle;
	int ret;

	while (low < high) {
		middle = low + (high - low) / 2;
		ret = name_cmp(name, set->names[middle]);
		if (ret == 0) {
			*i_r = middle;
			return true;
		}
		if (ret < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*i_r = low;
	return false;
}

static void names_add(struct names *set, struct view name)
{
	size_t i, len = set->len + (set->count > 0) + name.len;

	if (len > WIRE_FLAGS_MAX || names_find(set, name, &i))
		return;
	memmove(set->names + i + 1, set->names + i,
		(set->count - i) * sizeof(set->names[0]));
	set->names[i] = name;
	set->count++;
	set->len = len;
}

static void names_remove(struct names *set, struct view name)
{
	size_t i;

	if (!names_find(set, name, &i))
		return;
	set->len -= set->names[i].len + (set->count > 1);
	set->count--;
	memmove(set->names + i, set->names + i + 1,
		(set->count - i) * sizeof(set->names[0]));
}

static void names_add_list(struct names *set, struct view list)
{
	struct view name;

	while (name_next(&list, &name))
		names_add(set, name);
}

static void names_change(struct names *set, struct view change)
{
	struct view name;
	bool add;

	if (change.len > 0 && change.p[0] == '=') {
		change.p++;
		change.len--;
		set->count = set->len = 0;
		names_add_list(set, change);
		return;
	}
	while (name_next(&change, &name)) {
		add = name.p[0] == '+';
		name.p++;
		name.len--;
		if (add)
			names_add(set, name);
		else
			names_remove(set, name);
	}
}

static void names_write(const struct names *set, struct buf *out)
{
	size_t i;

	for (i = 0; i < set->count; i++) {
		if (i > 0)
			buf_append_c(out, ',');
		buf_append_view(out, set->names[i]);
	}
}

void idmap_flags_canonical(struct view list, struct buf *out)
{
	struct names set;

	set.count = set.len = 0;
	names_add_list(&set, list);
	names_write(&set, out);
}

/* --- numbered texts ------------------------------------------------------ */

static const struct view no_text = { "", 0 };

void idmap_flags_init(struct idmap_flags *flags)
{
	memset(flags, 0, sizeof(*flags));
	flags->table_size = 64;
	flags->table = mem_new(flags->table_size, sizeof(*flags->table));
	flags->memos = mem_new(IDMAP_FLAG_MEMOS, sizeof(*flags->memos));
	(void)idmap_flags_intern(flags, no_text);
}

void idmap_flags_free(struct idmap_flags *flags)
{
	arena_free(&flags->arena);
	buf_free(&flags->scratch);
	free(flags->texts);
	free(flags->table);
	free(flags->memos);
	memset(flags, 0, sizeof(*flags));
}

/* FNV-1a. Whoever makes texts collide slows down his own mailbox only, and
 * the work is counted. */
static size_t text_slot(const struct idmap_flags *flags, struct view text)
{
	uint64_t sum = 14695981039346656037ULL;
	size_t i;

	for (i = 0; i < text.len; i++)
		sum = (sum ^ (unsigned char)text.p[i]) * 1099511628211ULL;
	return (size_t)(sum ^ sum >> 32) & (flags->table_size - 1);
}

/* The slot that holds the text, or the free one where it belongs. */
static uint32_t *text_find(struct idmap_flags *flags, struct view text)
{
	size_t slot = text_slot(flags, text);

	while (flags->table[slot] != 0 &&
	       !view_equals(flags->texts[flags->table[slot] - 1], text)) {
		slot = (slot + 1) & (flags->table_size - 1);
		flags->work++;
	}
	return &flags->table[slot];
}

static void table_grow(struct idmap_flags *flags)
{
	size_t i;

	free(flags->table);
	flags->table_size *= 2;
	flags->table = mem_new(flags->table_size, sizeof(*flags->table));
	for (i = 0; i < flags->count; i++)
		*text_find(flags, flags->texts[i]) = (uint32_t)i + 1;
}

uint32_t idmap_flags_intern(struct idmap_flags *flags, struct view text)
{
	uint32_t *slot = text_find(flags, text);

	if (*slot != 0)
		return *slot - 1;
	if (flags->count == flags->alloc) {
		flags->alloc = flags->alloc == 0 ? 32 : flags->alloc * 2;
		flags->texts = mem_grow(flags->texts, flags->alloc,
					sizeof(*flags->texts));
	}
	flags->texts[flags->count++] =
		text.len == 0 ? no_text : arena_add(&flags->arena, text);
	*slot = (uint32_t)flags->count;
	if (flags->count > flags->table_size / 2)
		table_grow(flags);
	return (uint32_t)flags->count - 1;
}

static uint32_t flags_work_out(struct idmap_flags *flags, uint32_t set,
			       uint32_t change)
{
	struct names names;

	names.count = names.len = 0;
	names_add_list(&names, flags->texts[set]);
	names_change(&names, flags->texts[change]);
	buf_clear(&flags->scratch);
	names_write(&names, &flags->scratch);
	flags->work += APPLY_COST * (uint64_t)(flags->texts[set].len +
					       flags->texts[change].len);
	return idmap_flags_intern(flags, view_of_buf(&flags->scratch));
}

uint32_t idmap_flags_apply(struct idmap_flags *flags, uint32_t set,
			   uint32_t change)
{
	struct idmap_flag_memo *memo =
		&flags->memos[(set * 31U + change) % IDMAP_FLAG_MEMOS];

	/* number 0 is the empty text, which is no change: a free memo */
	if (memo->change == 0 || memo->set != set || memo->change != change) {
		memo->result = flags_work_out(flags, set, change);
		memo->set = set;
		memo->change = change;
	}
	return memo->result;
}
