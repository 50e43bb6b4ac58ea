#include "flags.h"
#include "wire.h"

#include <stdlib.h>
#include <strings.h>

bool flags_is_mark(struct view elem)
{
	return view_starts(elem, "%+") || view_starts(elem, "%-");
}

/* prefix and elem without its first skip bytes, as the list's next element. */
static void list_add(struct buf *list, const char *prefix, struct view elem,
		     size_t skip)
{
	if (list->len > 0)
		buf_append_c(list, ',');
	buf_append_str(list, prefix);
	buf_append(list, elem.p + skip, elem.len - skip);
}

/* The next "+X" or "-X"; false at the end. */
static bool change_next(struct view *change, struct view *elem_r,
			bool *plus_r, struct view *name_r)
{
	while (wire_list_next(change, elem_r)) {
		if (elem_r->len < 2 ||
		    (elem_r->p[0] != '+' && elem_r->p[0] != '-'))
			continue;
		*plus_r = elem_r->p[0] == '+';
		name_r->p = elem_r->p + 1;
		name_r->len = elem_r->len - 1;
		return true;
	}
	return false;
}

void flags_mark(const struct caps *caps, struct view change,
		struct buf *map_change, struct buf *push)
{
	struct view elem, name;
	bool plus;

	while (change_next(&change, &elem, &plus, &name)) {
		list_add(map_change, "", elem, 0);
		/* one that was the store's may be marked */
		list_add(map_change, plus ? "-%-" : "-%+", name, 0);
		if (caps != NULL && !caps_owns_flag(caps, name))
			continue;
		list_add(map_change, plus ? "+%+" : "+%-", name, 0);
		list_add(push, "", elem, 0);
	}
}

/* Of a change: by name, of one name the last that was said first. */
struct step {
	struct view elem, name;
	size_t said;
};

static int step_cmp(const void *_a, const void *_b)
{
	const struct step *a = _a, *b = _b;
	size_t len = a->name.len < b->name.len ? a->name.len : b->name.len;
	int ret = strncasecmp(a->name.p, b->name.p, len);

	if (ret == 0)
		ret = (a->name.len > b->name.len) - (a->name.len < b->name.len);
	return ret != 0 ? ret : (a->said < b->said) - (a->said > b->said);
}

void flags_then(struct view first, struct view second, struct buf *out)
{
	/* an element has two bytes and a comma, or more */
	struct step *steps = mem_new((first.len + second.len) / 2 + 2,
				     sizeof(*steps));
	size_t i, count = 0;
	bool plus;

	while (change_next(&first, &steps[count].elem, &plus,
			   &steps[count].name) ||
	       change_next(&second, &steps[count].elem, &plus,
			   &steps[count].name)) {
		steps[count].said = count;
		count++;
	}
	qsort(steps, count, sizeof(*steps), step_cmp);
	for (i = 0; i < count; i++) {
		if (i == 0 || steps[i].name.len != steps[i - 1].name.len ||
		    strncasecmp(steps[i].name.p, steps[i - 1].name.p,
				steps[i].name.len) != 0)
			list_add(out, "", steps[i].elem, 0);
	}
	free(steps);
}

void flags_unmark(struct view change, struct buf *out)
{
	struct view elem, name;
	bool plus;

	while (change_next(&change, &elem, &plus, &name))
		list_add(out, "-%", elem, 0);
}

void flags_inverse(struct view change, struct buf *out)
{
	struct view elem, name;
	bool plus;

	while (change_next(&change, &elem, &plus, &name))
		list_add(out, plus ? "-" : "+", name, 0);
}

void flags_marked(struct view set, struct buf *out)
{
	struct view elem;

	while (wire_list_next(&set, &elem)) {
		if (flags_is_mark(elem))
			list_add(out, "", elem, 1);
	}
}

bool flags_has_marks(struct view set)
{
	struct view elem;

	while (wire_list_next(&set, &elem)) {
		if (flags_is_mark(elem))
			return true;
	}
	return false;
}

void flags_unmarked(struct view set, struct buf *out)
{
	struct view elem;

	while (wire_list_next(&set, &elem)) {
		if (!flags_is_mark(elem))
			list_add(out, "", elem, 0);
	}
}

static bool set_has_mark(struct view set, char sign, struct view name)
{
	struct view elem;

	while (wire_list_next(&set, &elem)) {
		if (flags_is_mark(elem) && elem.p[1] == sign &&
		    elem.len - 2 == name.len &&
		    strncasecmp(elem.p + 2, name.p, name.len) == 0)
			return true;
	}
	return false;
}

void flags_listed(const struct caps *caps, struct view set,
		  struct view listed, struct buf *out)
{
	struct view left = listed, elem, name;

	while (wire_list_next(&left, &elem)) {
		if (elem.len > 0 && caps_owns_flag(caps, elem) &&
		    !set_has_mark(set, '-', elem))
			list_add(out, "", elem, 0);
	}
	left = set;
	while (wire_list_next(&left, &elem)) {
		if (flags_is_mark(elem)) {
			list_add(out, "", elem, 0);
			name.p = elem.p + 2;
			name.len = elem.len - 2;
			if (elem.p[1] == '+' && caps_owns_flag(caps, name))
				list_add(out, "", name, 0);
		} else if (!caps_owns_flag(caps, elem)) {
			list_add(out, "", elem, 0);
		}
	}
}

static bool set_has(struct view set, struct view name)
{
	struct view elem;

	while (wire_list_next(&set, &elem)) {
		if (elem.len == name.len &&
		    strncasecmp(elem.p, name.p, name.len) == 0)
			return true;
	}
	return false;
}

/* Of a set in the map. */
static bool store_has(struct view set, struct view name)
{
	return set_has_mark(set, '-', name) ||
		(set_has(set, name) && !set_has_mark(set, '+', name));
}

void flags_missing(const struct caps *caps, struct view set, struct view wanted,
		   struct buf *change)
{
	struct view left = wanted, elem;

	while (wire_list_next(&left, &elem)) {
		if (elem.len > 0 && (caps == NULL || caps_owns_flag(caps, elem)) &&
		    !store_has(set, elem))
			list_add(change, "+", elem, 0);
	}
	left = set;
	while (wire_list_next(&left, &elem)) {
		if (flags_is_mark(elem)) {
			elem.p += 2;
			elem.len -= 2;
		}
		if (elem.len > 0 && (caps == NULL || caps_owns_flag(caps, elem)) &&
		    store_has(set, elem) && !set_has(wanted, elem))
			list_add(change, "-", elem, 0);
	}
}

void flags_with_marks(struct view set, struct view change, struct buf *out)
{
	struct view elem, name;
	bool plus;

	buf_append_view(out, set);
	while (change_next(&change, &elem, &plus, &name))
		list_add(out, "%", elem, 0);
}

void flags_adopt(const struct caps *caps, uint32_t before, struct view set,
		 struct buf *change)
{
	struct view left = set, elem;

	while (wire_list_next(&left, &elem)) {
		if (elem.len > 0 && !flags_is_mark(elem) &&
		    caps_gained_flag(caps, before, elem) &&
		    !set_has_mark(set, '+', elem))
			list_add(change, "+%+", elem, 0);
	}
}
