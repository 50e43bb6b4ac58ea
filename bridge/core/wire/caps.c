#include "caps.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>

enum caps_type {
	CAPS_TYPE_BOOL,
	CAPS_TYPE_NUMBER
};

static const struct caps_feature {
	const char *name;
	enum caps_type type;
	size_t offset;
	unsigned int min, max;
} caps_features[] = {
	{ "delta", CAPS_TYPE_BOOL, offsetof(struct caps, delta), 0, 0 },
	{ "batch", CAPS_TYPE_NUMBER, offsetof(struct caps, batch),
	  1, CAPS_BATCH_MAX },
	{ "pipeline", CAPS_TYPE_NUMBER, offsetof(struct caps, pipeline),
	  1, CAPS_PIPELINE_MAX },
	{ "crlf", CAPS_TYPE_BOOL, offsetof(struct caps, crlf), 0, 0 },
	{ "key", CAPS_TYPE_BOOL, offsetof(struct caps, key), 0, 0 },
	{ "uids", CAPS_TYPE_BOOL, offsetof(struct caps, uids), 0, 0 },
	{ "inline", CAPS_TYPE_BOOL, offsetof(struct caps, inlined), 0, 0 },
	{ "poll", CAPS_TYPE_NUMBER, offsetof(struct caps, poll_secs),
	  1, 86400 },
};

static const char *const caps_key_names[CAPS_KEY_COUNT] = {
	[CAPS_KEY_FROM] = "from",
	[CAPS_KEY_TO] = "to",
	[CAPS_KEY_CC] = "cc",
	[CAPS_KEY_BCC] = "bcc",
	[CAPS_KEY_SUBJECT] = "subject",
	[CAPS_KEY_BODY] = "body",
	[CAPS_KEY_TEXT] = "text",
};

const char *caps_key_name(enum caps_key key)
{
	return caps_key_names[key];
}

void caps_init(struct caps *caps)
{
	memset(caps, 0, sizeof(*caps));
	caps->batch = caps->pipeline = 1;
	caps->verbs[VERB_CAPS] = caps->verbs[VERB_LIST] =
		caps->verbs[VERB_FETCH] = true;
}

void caps_deinit(struct caps *caps)
{
	buf_free(&caps->flags_list);
}

static int caps_bad(struct wire_error *error, const char *what,
		    struct view offending)
{
	char quoted[WIRE_QUOTE_SIZE];

	(void)snprintf(error->text, sizeof(error->text), "%s %s", what,
		       wire_quote(offending, quoted, sizeof(quoted)));
	return -1;
}

static int caps_number(struct caps *caps, const struct caps_feature *feature,
		       struct view value, struct view field,
		       struct wire_error *error_r)
{
	uint64_t number;

	if (wire_number(value, UINT64_MAX, &number) < 0 ||
	    number < feature->min)
		return caps_bad(error_r, "wrote a feature without a "
				"sensible number:", field);
	/* More than we would ever use is fine: it is a maximum. */
	if (number > feature->max)
		number = feature->max;
	*(unsigned int *)((char *)caps + feature->offset) =
		(unsigned int)number;
	return 0;
}

static int caps_word(struct caps *caps, struct view field,
		     struct wire_error *error_r)
{
	const struct caps_feature *feature;
	struct view key, value;
	enum verb_id verb;
	size_t i;

	(void)wire_option(field, &key, &value);
	for (i = 0; i < sizeof(caps_features) / sizeof(*caps_features); i++) {
		feature = &caps_features[i];
		if (!view_is(key, feature->name))
			continue;
		if (feature->type == CAPS_TYPE_NUMBER)
			return caps_number(caps, feature, value, field,
					   error_r);
		*(bool *)((char *)caps + feature->offset) = true;
		return 0;
	}
	if (verb_parse(field, &verb))
		caps->verbs[verb] = true;
	return 0;
}

static int caps_version(struct caps *caps, const struct wire_line *line,
			struct wire_error *error_r)
{
	uint64_t version;
	size_t i;

	if (caps->received)
		return caps_bad(error_r, "wrote a second CAPS item:",
				line->raw);
	if (line->count == 0 ||
	    wire_number(line->fields[0], 1000000, &version) < 0 ||
	    version == 0)
		return caps_bad(error_r, "named no version in", line->raw);
	if (version > CAPS_VERSION) {
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"speaks version %u of the protocol, but was offered "
			"at most version %d", (unsigned int)version,
			CAPS_VERSION);
		return -1;
	}
	caps->received = true;
	caps->version = (unsigned int)version;
	for (i = 1; i < line->count; i++) {
		if (caps_word(caps, line->fields[i], error_r) < 0)
			return -1;
	}
	return 0;
}

static int caps_flags(struct caps *caps, const struct wire_line *line,
		      struct wire_error *error_r)
{
	struct view key, value;

	if (line->count == 0)
		return caps_bad(error_r, "named no flags in", line->raw);
	(void)wire_option(line->fields[0], &key, &value);
	buf_clear(&caps->flags_list);
	if (view_is(key, "seed")) {
		caps->flags = CAPS_FLAGS_SEED;
	} else if (view_is(key, "local")) {
		caps->flags = CAPS_FLAGS_LOCAL;
	} else if (!view_is(key, "backend")) {
		return caps_bad(error_r, "wrote a FLAGS item that is neither "
				"backend=, seed nor local:", line->raw);
	} else if (view_is(value, "all")) {
		caps->flags = CAPS_FLAGS_ALL;
	} else if (value.len > CAPS_FLAGS_MAX) {
		return caps_bad(error_r, "wrote too long a list of flags:",
				line->raw);
	} else {
		caps->flags = CAPS_FLAGS_BACKEND;
		buf_append_view(&caps->flags_list, value);
	}
	caps->flags_said = true;
	return 0;
}

/* Keys that are not known here are never asked for. */
static void caps_keys(struct caps *caps, const struct wire_line *line)
{
	size_t i;
	int key;

	for (i = 0; i < line->count; i++) {
		for (key = 0; key < CAPS_KEY_COUNT; key++) {
			if (view_is(line->fields[i], caps_key_names[key]))
				caps->keys[key] = true;
		}
	}
}

int caps_item(struct caps *caps, const struct wire_line *line,
	      struct wire_error *error_r)
{
	if (view_is(line->keyword, "CAPS"))
		return caps_version(caps, line, error_r);
	if (view_is(line->keyword, "FLAGS"))
		return caps_flags(caps, line, error_r);
	if (view_is(line->keyword, "KEYS"))
		caps_keys(caps, line);
	return 0;
}

static bool elem_equals(struct view a, struct view b, struct buf *scratch)
{
	size_t start;

	buf_clear(scratch);
	if (wire_decode(a, scratch) < 0)
		return false;
	start = scratch->len;
	return wire_decode(b, scratch) == 0 &&
		scratch->len == 2 * start &&
		strncasecmp(scratch->p, scratch->p + start, start) == 0;
}

bool caps_owns_flag(const struct caps *caps, struct view flag)
{
	struct view list = view_of_buf(&caps->flags_list), elem;
	struct buf scratch = { NULL, 0, 0 };
	bool owns = caps->flags == CAPS_FLAGS_ALL;

	if (caps->flags != CAPS_FLAGS_BACKEND)
		return owns;
	while (!owns && wire_list_next(&list, &elem)) {
		owns = elem_equals(elem, flag, &scratch) ||
			(view_is(elem, "*") && !view_starts(flag, "\\"));
	}
	buf_free(&scratch);
	return owns;
}

static const char *const system_flags[] = {
	"\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen",
};

#define SYSTEM_FLAGS (sizeof(system_flags) / sizeof(system_flags[0]))
#define KEEPS_SAID 0x01U
#define KEEPS_SYSTEM(i) (0x02U << (i))
#define KEEPS_KEYWORDS 0x40U	/* all of them */
#define KEEPS_UIDS 0x80U
#define KEEPS_LOCAL 0x100U	/* not even the first value */
#define KEEPS_SUM_SHIFT 16	/* of keywords that are named */

/* The same for all orders and for all spellings of the letters. */
static uint32_t keywords_sum(const struct caps *caps)
{
	struct view list = view_of_buf(&caps->flags_list), elem;
	uint32_t hash, sum = 0;
	size_t i;

	while (wire_list_next(&list, &elem)) {
		if (elem.len == 0 || elem.p[0] == '\\' || view_is(elem, "*"))
			continue;
		hash = 2166136261U;
		for (i = 0; i < elem.len; i++)
			hash = (hash ^ (unsigned char)
				tolower((unsigned char)elem.p[i])) * 16777619U;
		sum += hash ^ hash >> 16;
	}
	return sum & 0xffff;
}

uint32_t caps_keeps(const struct caps *caps)
{
	uint32_t keeps = KEEPS_SAID;
	size_t i;

	for (i = 0; i < SYSTEM_FLAGS; i++) {
		if (caps_owns_flag(caps, view_of(system_flags[i])))
			keeps |= KEEPS_SYSTEM(i);
	}
	/* no store names this one alone */
	if (caps_owns_flag(caps, view_of("*")))
		keeps |= KEEPS_KEYWORDS;
	if (caps->uids)
		keeps |= KEEPS_UIDS;
	if (caps->flags == CAPS_FLAGS_LOCAL)
		keeps |= KEEPS_LOCAL;
	return keeps | keywords_sum(caps) << KEEPS_SUM_SHIFT;
}

bool caps_gained_flag(const struct caps *caps, uint32_t before,
		      struct view flag)
{
	size_t i;

	if (!caps_owns_flag(caps, flag))
		return false;
	for (i = 0; i < SYSTEM_FLAGS; i++) {
		if (view_is_nocase(flag, system_flags[i]))
			return (before & KEEPS_SYSTEM(i)) == 0;
	}
	return (before & KEEPS_KEYWORDS) == 0 &&
		(before >> KEEPS_SUM_SHIFT == 0 ||
		 before >> KEEPS_SUM_SHIFT != keywords_sum(caps));
}

int caps_finish(struct caps *caps, struct wire_error *error_r)
{
	if (!caps->received) {
		(void)snprintf(error_r->text, sizeof(error_r->text),
			"answered CAPS without the item \"* CAPS 1\"");
		return -1;
	}
	if (!caps->flags_said)
		caps->flags = caps->verbs[VERB_STORE] ?
			CAPS_FLAGS_ALL : CAPS_FLAGS_SEED;
	return 0;
}

void caps_describe(const struct caps *caps, struct buf *out)
{
	const struct caps_feature *feature;
	const char *field, *unsaid;
	struct caps none;
	size_t i;

	caps_init(&none);
	buf_printf(out, "%u", caps->version);
	for (i = 0; i < sizeof(caps_features) / sizeof(caps_features[0]);
	     i++) {
		feature = &caps_features[i];
		field = (const char *)caps + feature->offset;
		unsaid = (const char *)&none + feature->offset;
		if (feature->type == CAPS_TYPE_NUMBER &&
		    *(const unsigned int *)field !=
		    *(const unsigned int *)unsaid)
			buf_printf(out, " %s=%u", feature->name,
				   *(const unsigned int *)field);
		else if (feature->type == CAPS_TYPE_BOOL &&
			 *(const bool *)field)
			buf_printf(out, " %s", feature->name);
	}
	for (i = 0; i < VERB_COUNT; i++) {
		if (caps->verbs[i] && !verb_info((enum verb_id)i)->mandatory)
			buf_printf(out, " %s", verb_info((enum verb_id)i)->name);
	}
}
