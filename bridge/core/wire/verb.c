#include "verb.h"

static const struct verb verbs[VERB_COUNT] = {
	[VERB_CAPS] = { "CAPS", "1 [option...]",
		"CAPS FLAGS KEYS", true, false, true },
	[VERB_LIST] = { "LIST", "[box state]",
		"BOX MSG GONE", true, false, true },
	[VERB_FETCH] = { "FETCH", "box want id...",
		"DATA FILE GONE FAIL", true, false, true },
	[VERB_STORE] = { "STORE", "box change id...",
		"MSG GONE FAIL", false, true, true },
	[VERB_APPEND] = { "APPEND", "box path [option...]",
		"MSG", false, true, false },
	[VERB_EXPUNGE] = { "EXPUNGE", "box id...",
		"GONE FAIL", false, true, true },
	[VERB_COPY] = { "COPY", "box dest id...",
		"NEW GONE FAIL", false, true, false },
	[VERB_MOVE] = { "MOVE", "box dest id...",
		"NEW GONE FAIL", false, true, false },
	[VERB_CREATE] = { "CREATE", "box", "", false, true, false },
	[VERB_DELETE] = { "DELETE", "box", "", false, true, false },
	[VERB_RENAME] = { "RENAME", "box new", "", false, true, false },
	[VERB_SEARCH] = { "SEARCH", "box key value [key value...]",
		"HIT", false, false, true },
	[VERB_WATCH] = { "WATCH", "box secs state",
		"CHANGED", false, false, true },
};

const struct verb *verb_info(enum verb_id id)
{
	return &verbs[id];
}

bool verb_parse(struct view word, enum verb_id *id_r)
{
	int id;

	for (id = 0; id < VERB_COUNT; id++) {
		if (view_is(word, verbs[id].name)) {
			*id_r = (enum verb_id)id;
			return true;
		}
	}
	return false;
}

bool verb_has_item(enum verb_id id, struct view keyword)
{
	const char *p = verbs[id].items, *space;
	size_t len;

	while (*p != '\0') {
		space = strchr(p, ' ');
		len = space == NULL ? strlen(p) : (size_t)(space - p);
		if (keyword.len == len && memcmp(keyword.p, p, len) == 0)
			return true;
		p += len + (space != NULL ? 1 : 0);
	}
	return false;
}
