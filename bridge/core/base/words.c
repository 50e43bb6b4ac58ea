#include "words.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Append one quoted or plain piece at p to word. Returns what follows it, NULL
   and a message if it does not end. */
static const char *piece(const char *p, struct buf *word, const char **error_r)
{
	char quote = *p;

	if (quote == '\\') {
		if (p[1] == '\0') {
			*error_r = "a backslash at the end";
			return NULL;
		}
		buf_append_c(word, p[1]);
		return p + 2;
	}
	if (quote != '\'' && quote != '"') {
		buf_append_c(word, *p);
		return p + 1;
	}
	for (p++; *p != quote; p++) {
		if (*p == '\0') {
			*error_r = quote == '"' ? "a \" that is not closed" :
				"a ' that is not closed";
			return NULL;
		}
		if (quote == '"' && *p == '\\' &&
		    (p[1] == '"' || p[1] == '\\'))
			p++;
		buf_append_c(word, *p);
	}
	return p + 1;
}

static const char *one_word(const char *p, struct buf *word,
			    const char **error_r)
{
	buf_append_str(word, "");
	while (p != NULL && *p != '\0' && !is_blank(*p))
		p = piece(p, word, error_r);
	return p;
}

int words_split(const char *line, char ***words_r, char *error_r,
		size_t error_size)
{
	char **words = mem_new(1, sizeof(*words));
	const char *error = NULL, *p = line;
	struct buf word;
	size_t count = 0;

	for (;;) {
		while (is_blank(*p))
			p++;
		if (*p == '\0')
			break;
		memset(&word, 0, sizeof(word));
		p = one_word(p, &word, &error);
		if (p != NULL && count == WORDS_MAX)
			error = "more than 65536 words";
		if (error != NULL) {
			buf_free(&word);
			break;
		}
		words = mem_grow(words, count + 2, sizeof(*words));
		words[count++] = word.p;
		words[count] = NULL;
	}
	if (error == NULL && count == 0)
		error = "no program";
	if (error != NULL) {
		(void)snprintf(error_r, error_size, "it has %s", error);
		words_free(words);
		return -1;
	}
	*words_r = words;
	return 0;
}

void words_free(char **words)
{
	size_t i;

	if (words == NULL)
		return;
	for (i = 0; words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

void words_join(const char *const *words, struct buf *out)
{
	const char *p;
	size_t i;

	for (i = 0; words[i] != NULL; i++) {
		if (i > 0)
			buf_append_c(out, ' ');
		buf_append_c(out, '\'');
		for (p = words[i]; *p != '\0'; p++) {
			if (*p == '\'')
				buf_append_str(out, "'\\''");
			else
				buf_append_c(out, *p);
		}
		buf_append_c(out, '\'');
	}
}
