/* core/base/words: what is split and joined again is split into the same words. */
#include "fuzz.h"
#include "words.h"

static void check_same(char **words)
{
	struct buf line = { NULL, 0, 0 };
	char **again, error[128];
	size_t i;

	words_join((const char *const *)words, &line);
	must(words_split(buf_str(&line), &again, error, sizeof(error)) == 0);
	for (i = 0; words[i] != NULL; i++)
		must(again[i] != NULL && strcmp(words[i], again[i]) == 0);
	must(i > 0 && i <= WORDS_MAX && again[i] == NULL);
	words_free(again);
	buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct view input = { (const char *)data, size };
	struct buf text = { NULL, 0, 0 };
	char **words, error[128];

	fuzz_expand(input, &text);
	if (words_split(buf_str(&text), &words, error, sizeof(error)) == 0) {
		check_same(words);
		words_free(words);
	} else {
		must(memchr(error, '\0', sizeof(error)) != NULL &&
		     error[0] != '\0');
	}
	buf_free(&text);
	return 0;
}
