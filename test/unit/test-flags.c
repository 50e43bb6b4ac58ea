/* Flags as text: what a copy lacks, and marks. */
#include "tap.h"
#include "flags.h"

#include <string.h>

static struct caps all = { .flags = CAPS_FLAGS_ALL };
static struct caps local = { .flags = CAPS_FLAGS_LOCAL };

static void missing(const struct caps *caps, const char *set,
		    const char *wanted, const char *change, const char *what)
{
	struct buf buf = { NULL, 0, 0 };

	flags_missing(caps, view_of(set), view_of(wanted), &buf);
	is_str(buf_str(&buf), change, "%s", what);
	buf_free(&buf);
}

static void test_missing(void)
{
	missing(&all, "", "", "", "nothing is missing of nothing");
	missing(&all, "\\Seen,$Work", "$work,\\Seen", "",
		"what the store has, in any order and case");
	missing(&all, "\\Seen", "\\Seen,Work", "+Work", "one that is new");
	missing(&all, "\\Seen,Work", "\\Seen", "-Work", "one that is gone");
	missing(&all, "\\Seen,%+\\Seen", "\\Seen", "+\\Seen",
		"one that the store has not taken yet");
	missing(&all, "%-Work", "", "-Work",
		"one that the store has not given up yet");
	missing(&all, "%-Work", "Work", "", "and that is wanted again");
	missing(&all, "\\Seen,%+\\Seen", "", "",
		"one that it has not taken and that is not wanted any more");
	missing(&local, "", "\\Seen,Work", "", "what the store does not keep");
	missing(NULL, "Work", "\\Seen", "+\\Seen,-Work", "all, for the index");
}

static void test_with_marks(void)
{
	struct buf buf = { NULL, 0, 0 };

	flags_with_marks(view_of("\\Seen"), view_of("+\\Seen,-Work"), &buf);
	is_str(buf_str(&buf), "\\Seen,%+\\Seen,%-Work", "a set and its marks");
	buf_clear(&buf);
	flags_with_marks(view_of(""), view_of("-Work"), &buf);
	is_str(buf_str(&buf), "%-Work", "an empty set and a mark");
	buf_free(&buf);
}

int main(void)
{
	test_missing();
	test_with_marks();
	return done_testing();
}
