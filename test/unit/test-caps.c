/* core/wire/caps: what the answer to CAPS means. */
#include "caps.h"
#include "tap.h"

#include <stdlib.h>

static struct caps caps;

/* Take lines as the answer; returns what is wrong, "" if nothing. */
static const char *answer(const char *lines)
{
	static struct wire_error error;
	struct wire_reader *reader = wire_reader_init();
	struct wire_line line;
	size_t room;
	int ret = 0;

	caps_deinit(&caps);
	caps_init(&caps);
	memcpy(wire_reader_space(reader, &room), lines, strlen(lines));
	wire_reader_added(reader, strlen(lines));
	while (ret == 0 && wire_reader_line(reader, &line, &error) > 0)
		ret = caps_item(&caps, &line, &error);
	if (ret == 0)
		ret = caps_finish(&caps, &error);
	wire_reader_deinit(&reader);
	return ret == 0 ? "" : error.text;
}

static void test_least(void)
{
	is_str(answer("* CAPS 1\n"), "", "the least answer");
	ok(caps.verbs[VERB_CAPS] && caps.verbs[VERB_LIST] &&
	   caps.verbs[VERB_FETCH], "the mandatory verbs are there");
	ok(!caps.verbs[VERB_STORE] && !caps.verbs[VERB_APPEND],
	   "no other verb is");
	ok(caps.batch == 1 && caps.pipeline == 1 && caps.poll_secs == 0,
	   "one id, one request, no poll");
	ok(!caps.delta && !caps.crlf && !caps.key && !caps.uids &&
	   !caps.inlined, "no feature");
	is_num(caps.flags, CAPS_FLAGS_SEED, "flags are a first value only");
}

static void test_all(void)
{
	is_str(answer("* CAPS 1 delta batch=100 pipeline=8 crlf key uids "
		      "inline poll=30 STORE APPEND x-new=1 NEWVERB new\n"),
	       "", "an answer with everything");
	ok(caps.delta && caps.crlf && caps.key && caps.uids && caps.inlined,
	   "features");
	ok(caps.batch == 100 && caps.pipeline == 8 && caps.poll_secs == 30,
	   "numbers");
	ok(caps.verbs[VERB_STORE] && caps.verbs[VERB_APPEND] &&
	   !caps.verbs[VERB_EXPUNGE], "verbs");
	is_num(caps.flags, CAPS_FLAGS_ALL,
	       "with STORE, flags are the backend's");
	is_str(answer("* CAPS 1 store Delta BATCH=5\n"), "",
	       "words in the other case are other words");
	ok(!caps.verbs[VERB_STORE] && !caps.delta && caps.batch == 1,
	   "and unknown");
	is_str(answer("* CAPS 1 batch=99999999 pipeline=99999999 "
		      "poll=99999999999\n"), "", "more than we would use");
	ok(caps.batch == CAPS_BATCH_MAX && caps.pipeline == CAPS_PIPELINE_MAX &&
	   caps.poll_secs == 86400, "is as much as we use");
}

static void test_flags(void)
{
	is_str(answer("* CAPS 1 STORE\n* FLAGS seed\n"), "", "FLAGS seed");
	is_num(caps.flags, CAPS_FLAGS_SEED, "is said in spite of STORE");
	is_str(answer("* CAPS 1\n* FLAGS local\n"), "", "FLAGS local");
	is_num(caps.flags, CAPS_FLAGS_LOCAL, "is local");
	is_str(answer("* FLAGS backend=all\n* CAPS 1\n"), "",
	       "FLAGS may come first");
	is_num(caps.flags, CAPS_FLAGS_ALL, "backend=all");
	is_str(answer("* CAPS 1\n* FLAGS backend=\\Seen,*\n"), "",
	       "FLAGS with a list");
	is_num(caps.flags, CAPS_FLAGS_BACKEND, "is the list's");
	is_str(buf_str(&caps.flags_list), "\\Seen,*", "the list is kept");
	is_str(answer("* CAPS 1\n* FLAGS backend=\n"), "", "an empty list");
	is_num(caps.flags, CAPS_FLAGS_BACKEND, "is a list");
}

static void test_keys(void)
{
	int key, count = 0;

	is_str(answer("* CAPS 1 SEARCH\n* KEYS from text x-new TO subjects\n"),
	       "", "KEYS");
	for (key = 0; key < CAPS_KEY_COUNT; key++)
		count += caps.keys[key];
	ok(caps.keys[CAPS_KEY_FROM] && caps.keys[CAPS_KEY_TEXT] && count == 2,
	   "those that are known, in lower case");
	is_str(answer("* KEYS to cc bcc\n* CAPS 1\n* KEYS subject body\n"),
	       "", "KEYS twice, and before CAPS");
	ok(caps.keys[CAPS_KEY_TO] && caps.keys[CAPS_KEY_CC] &&
	   caps.keys[CAPS_KEY_BCC] && caps.keys[CAPS_KEY_SUBJECT] &&
	   caps.keys[CAPS_KEY_BODY] && !caps.keys[CAPS_KEY_FROM],
	   "are all that it names");
	is_str(answer("* CAPS 1 SEARCH\n* KEYS\n"), "", "KEYS with none");
}

static const struct {
	const char *lines, *want;
} errors[] = {
	{ "", "answered CAPS without the item \"* CAPS 1\"" },
	{ "* KEYS from\n", "answered CAPS without the item \"* CAPS 1\"" },
	{ "* CAPS\n", "named no version in \"* CAPS\"" },
	{ "* CAPS 0\n", "named no version in \"* CAPS 0\"" },
	{ "* CAPS one\n", "named no version in \"* CAPS one\"" },
	{ "* CAPS delta 1\n", "named no version in \"* CAPS delta 1\"" },
	{ "* CAPS -1\n", "named no version in \"* CAPS -1\"" },
	{ "* CAPS 2\n", "speaks version 2 of the protocol, but was offered at "
	  "most version 1" },
	{ "* CAPS 1\n* CAPS 1\n", "wrote a second CAPS item: \"* CAPS 1\"" },
	{ "* CAPS 1 batch\n",
	  "wrote a feature without a sensible number: \"batch\"" },
	{ "* CAPS 1 batch=0\n",
	  "wrote a feature without a sensible number: \"batch=0\"" },
	{ "* CAPS 1 pipeline=\n",
	  "wrote a feature without a sensible number: \"pipeline=\"" },
	{ "* CAPS 1 poll=1s\n",
	  "wrote a feature without a sensible number: \"poll=1s\"" },
	{ "* CAPS 1 batch=18446744073709551617\n",
	  "wrote a feature without a sensible number: "
	  "\"batch=18446744073709551617\"" },
	{ "* CAPS 1\n* FLAGS\n", "named no flags in \"* FLAGS\"" },
	{ "* CAPS 1\n* FLAGS all\n", "wrote a FLAGS item that is neither "
	  "backend=, seed nor local: \"* FLAGS all\"" },
};

static void test_errors(void)
{
	struct buf lines = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		is_str(answer(errors[i].lines), errors[i].want, "%s",
		       errors[i].want);
	buf_append_str(&lines, "* CAPS 1\n* FLAGS backend=");
	for (i = 0; i < CAPS_FLAGS_MAX / 2 + 1; i++)
		buf_append_str(&lines, "x,");
	buf_append_str(&lines, "\n");
	ok(strncmp(answer(buf_str(&lines)), "wrote too long a list of flags: ",
		   32) == 0, "too long a list of flags");
	buf_free(&lines);
}

/* What the store keeps with these FLAGS. */
static uint32_t keeps(const char *lines)
{
	is_str(answer(lines), "", "an answer is sound");
	return caps_keeps(&caps);
}

static void test_keeps(void)
{
	uint32_t seed = keeps("* CAPS 1\n"), all = keeps("* CAPS 1 STORE\n");
	uint32_t seen = keeps("* CAPS 1\n* FLAGS backend=\\Seen,one,Two\n");

	ok(seed != 0 && seed != all && seed != seen && all != seen,
	   "what is kept is told apart");
	is_num(keeps("* CAPS 1 delta batch=9\n* FLAGS seed\n"), seed,
	       "other features do not matter");
	ok(keeps("* CAPS 1\n* FLAGS local\n") != seed, "local is not seed");
	ok(keeps("* CAPS 1 uids\n") != seed, "UIDs are kept, too");
	is_num(keeps("* CAPS 1\n* FLAGS backend=two,ONE,\\Seen\n"), seen,
	       "order and case do not matter");
	ok(keeps("* CAPS 1\n* FLAGS backend=\\Seen,one,three\n") != seen,
	   "each keyword does");
	(void)answer("* CAPS 1\n* FLAGS backend=\\seen,\\Flagged,one,Two\n");
	ok(!caps_gained_flag(&caps, seen, view_of("\\Seen")) &&
	   caps_gained_flag(&caps, seen, view_of("\\Flagged")) &&
	   caps_gained_flag(&caps, seed, view_of("\\Seen")) &&
	   !caps_gained_flag(&caps, seed, view_of("\\Draft")) &&
	   !caps_gained_flag(&caps, all, view_of("\\Flagged")) &&
	   !caps_gained_flag(&caps, seen, view_of("one")) &&
	   !caps_gained_flag(&caps, all, view_of("one")) &&
	   caps_gained_flag(&caps, seed, view_of("one")),
	   "a flag is gained that is kept and was not");
}

int main(void)
{
	test_least();
	test_all();
	test_flags();
	test_keys();
	test_keeps();
	test_errors();
	caps_deinit(&caps);
	return done_testing();
}
