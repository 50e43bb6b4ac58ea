/* core/base/words: bridge_command to words and back. */
#include "words.h"
#include "tap.h"

#include <stdlib.h>

static const struct {
	const char *line;
	const char *want;	/* words in brackets, or the error */
} rows[] = {
	{ "/bin/store", "[/bin/store]" },
	{ "  /bin/store \t a  b ", "[/bin/store][a][b]" },
	{ "/bin/store 'a b' \"c d\" e\\ f", "[/bin/store][a b][c d][e f]" },
	{ "/bin/store a'b'\"c\"d", "[/bin/store][abcd]" },
	{ "/bin/store '' \"\"", "[/bin/store][][]" },
	{ "/bin/store '\\' '\"'", "[/bin/store][\\][\"]" },
	{ "/bin/store \"a\\\"b\\\\c\\d\"", "[/bin/store][a\"b\\c\\d]" },
	{ "/bin/store $HOME `id` $(id) ; > x | y & * ~",
	  "[/bin/store][$HOME][`id`][$(id)][;][>][x][|][y][&][*][~]" },
	{ "/bin/store a\nb", "[/bin/store][a\nb]" },
	{ "\xc3\xa9 \xff", "[\xc3\xa9][\xff]" },
	{ "", "it has no program" },
	{ " \t ", "it has no program" },
	{ "/bin/store 'a", "it has a ' that is not closed" },
	{ "/bin/store \"a", "it has a \" that is not closed" },
	{ "/bin/store \"a\\", "it has a \" that is not closed" },
	{ "/bin/store \"a\\\"", "it has a \" that is not closed" },
	{ "/bin/store a\\", "it has a backslash at the end" },
};

static const char *split(const char *line)
{
	static struct buf shown;
	char **words, error[128];
	size_t i;

	buf_clear(&shown);
	if (words_split(line, &words, error, sizeof(error)) < 0) {
		buf_append_str(&shown, error);
		return buf_str(&shown);
	}
	for (i = 0; words[i] != NULL; i++)
		buf_printf(&shown, "[%s]", words[i]);
	words_free(words);
	return buf_str(&shown);
}

static void test_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_str(split(rows[i].line), rows[i].want, "%s", rows[i].want);
}

static void test_limit(void)
{
	struct buf line = { NULL, 0, 0 };
	char **words, error[128];
	int i;

	for (i = 0; i < WORDS_MAX; i++)
		buf_append_str(&line, "w ");
	is_num(words_split(buf_str(&line), &words, error, sizeof(error)), 0,
	       "as many words as allowed");
	ok(words[WORDS_MAX - 1] != NULL && words[WORDS_MAX] == NULL,
	   "all of them are there");
	words_free(words);
	buf_append_str(&line, "w");
	is_str(split(buf_str(&line)), "it has more than 65536 words",
	       "one more is refused");
	buf_free(&line);
}

static void test_join(void)
{
	static const char *const words[] = { "/bin/a b", "", "'", "''", "\\",
		"\"", "%", "a\tb", "$x", "\xc3\xa9", "--", NULL };
	struct buf line = { NULL, 0, 0 };
	char **back, error[128];
	size_t i;

	words_join(words, &line);
	is_num(words_split(buf_str(&line), &back, error, sizeof(error)), 0,
	       "joined words can be split");
	for (i = 0; words[i] != NULL; i++)
		is_str(back[i], words[i], "word %zu comes back", i);
	ok(back[i] == NULL, "and no other");
	words_free(back);
	words_free(NULL);
	buf_free(&line);
}

int main(void)
{
	test_rows();
	test_limit();
	test_join();
	return done_testing();
}
