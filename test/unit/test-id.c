/* core/wire/id: what is an id, and which spellings are one. */
#include "id.h"
#include "tap.h"

#include <stdlib.h>

static char longest[WIRE_ID_MAX + 1], longer[WIRE_ID_MAX + 2];

static const struct {
	const char *spelt;
	const char *wrong;	/* NULL = it is an id */
	const char *canonical;	/* NULL = there is none */
} rows[] = {
	{ "abc", NULL, "abc" },
	{ "a%62%63", NULL, "abc" },
	{ "a%20b", NULL, "a%20b" },
	{ "%61%2f", NULL, "a/" },
	{ "%2d", NULL, "%2D" },
	{ "-", "an id is missing", NULL },
	{ "", "an id is missing", NULL },
	{ "a%6", "an id is malformed", NULL },
	{ "a%6g", "an id is malformed", NULL },
	{ longest, NULL, longest },
	{ longer, "an id is too long", NULL },
};

static void test_row(size_t i)
{
	static const unsigned char zeros[ID_HASH_SIZE];
	unsigned char hash[ID_HASH_SIZE], plain[ID_HASH_SIZE];
	struct buf scratch = { NULL, 0, 0 }, decoded = { NULL, 0, 0 };
	const char *wrong = id_hash_spelt(view_of(rows[i].spelt), &scratch,
					  hash);
	char *canonical = id_canonical(view_of(rows[i].spelt));

	if (rows[i].wrong != NULL) {
		is_str(wrong, rows[i].wrong, "%.20s is none", rows[i].spelt);
		ok(memcmp(hash, zeros, sizeof(hash)) == 0, "it has no hash");
	} else {
		(void)wire_decode(view_of(rows[i].spelt), &decoded);
		id_hash(view_of_buf(&decoded), plain);
		ok(wrong == NULL && memcmp(hash, plain, sizeof(hash)) == 0,
		   "%.20s has the hash of what it decodes to", rows[i].spelt);
		is_str(canonical, rows[i].canonical, "and one spelling");
	}
	free(canonical);
	buf_free(&scratch);
	buf_free(&decoded);
}

int main(void)
{
	size_t i;

	memset(longest, 'i', WIRE_ID_MAX);
	memset(longer, 'i', WIRE_ID_MAX + 1);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_row(i);
	return done_testing();
}
