/* core/base/fault: codes, texts, and what of foreign bytes may stand in them. */
#include "fault.h"
#include "tap.h"

static void test_codes(void)
{
	int code;

	for (code = FAULT_NONE + 1; code < FAULT_CODE_COUNT; code++) {
		const char *name = fault_code_name((enum fault_code)code);

		is_num(fault_code_parse(view_of(name)), code,
		       "%s is parsed as itself", name);
		ok(fault_code_text((enum fault_code)code)[0] != '\0',
		   "%s has a text for users", name);
	}
	is_num(fault_code_parse(view_of("WHATEVER")), FAULT_UNAVAILABLE,
	       "an unknown code is UNAVAILABLE, never gone");
	is_num(fault_code_parse(view_of("notfound")), FAULT_UNAVAILABLE,
	       "codes are words in capital letters");
	is_num(fault_code_parse(view_of("OK")), FAULT_UNAVAILABLE,
	       "OK is no code");
	is_num(fault_code_parse(view_of("")), FAULT_UNAVAILABLE,
	       "nothing is no code");
	is_num(fault_retry(FAULT_UNAVAILABLE), FAULT_RETRY_LATER,
	       "UNAVAILABLE is tried again");
	is_num(fault_retry(FAULT_NOPERM), FAULT_RETRY_NEVER,
	       "NOPERM is not");
}

static void test_texts(void)
{
	char big[3 * FAULT_LOG_MAX];
	struct fault fault;

	is_num(fault_set(&fault, FAULT_BUSY, FAULT_SCOPE_MAILBOX,
			 "a %s\nb %d", "x\r", 5), -1, "fault_set gives -1");
	is_str(fault.log, "a x??b 5", "the log's text is one line");
	is_str(fault.user, fault_code_text(FAULT_BUSY),
	       "the user's text is that of the code");
	is_num(fault.scope, FAULT_SCOPE_MAILBOX, "the scope is kept");
	ok(!fault.from_backend && fault.retry_secs == 0, "the rest is zero");
	fault_context(&fault, "while %s", "testing");
	is_str(fault.log, "while testing: a x??b 5", "context goes in front");
	fault_set_user(&fault, view_of("disk \xe2\x80\xae full\n"));
	is_str(fault.user, "disk ? full?", "words for the user are sanitised");
	fault_set_user(&fault, view_of(""));
	is_str(fault.user, "disk ? full?", "no words leave what was there");

	memset(big, 'z', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)fault_set(&fault, FAULT_BUSY, FAULT_SCOPE_MAILBOX, "%s", big);
	is_num(strlen(fault.log), FAULT_LOG_MAX - 1, "a long text is cut");
	fault_context(&fault, "%s", big);
	is_num(strlen(fault.log), FAULT_LOG_MAX - 1, "so is a long context");
	fault_set_user(&fault, view_of(big));
	is_num(strlen(fault.user), FAULT_USER_MAX - 1,
	       "so are words for the user");
}

static const struct {
	const char *in, *want, *name;
} texts[] = {
	{ "plain ~", "plain ~", "ASCII" },
	{ "\t\n\r\x01\x1f\x7f", "??????", "control bytes" },
	{ "\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x8c\xa7", "\xc3\xa9 \xe6\x97\xa5 "
	  "\xf0\x9f\x8c\xa7", "UTF-8" },
	{ "\xc2\x85", "?", "C1 controls" },
	{ "a\xe2\x80\xa8" "b\xe2\x80\xa9" "c", "a?b?c", "line separators" },
	{ "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xef\xbb\xbf", "????",
	  "bidirectional marks" },
	{ "\xff\xfe", "??", "bytes that are never UTF-8" },
	{ "\xc3", "?", "a character cut short" },
	{ "\xe6\x97", "??", "a longer one cut short" },
	{ "\xc0\xaf", "??", "an overlong slash" },
	{ "\xe0\x80\xaf", "???", "a longer one" },
	{ "\xed\xa0\x80", "???", "a surrogate" },
	{ "\xf4\x90\x80\x80", "????", "beyond Unicode" },
	{ "\x80" "a", "?a", "a stray continuation byte" },
	{ "\xc3(", "?(", "a lead byte and something else" },
};

static void test_sanitise(void)
{
	char dest[64];
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		is_str(fault_sanitise(dest, sizeof(dest), view_of(texts[i].in)),
		       texts[i].want, "%s", texts[i].name);
	is_str(fault_sanitise(dest, sizeof(dest),
			      (struct view){ "a\0b", 3 }), "a?b", "a NUL");
	is_str(fault_sanitise(dest, 4, view_of("abcd")), "abc",
	       "cut to fit");
	is_str(fault_sanitise(dest, 3, view_of("a\xc3\xa9")), "a",
	       "never within a character");
	is_str(fault_sanitise(dest, 4, view_of("a\xc3\xa9")), "a\xc3\xa9",
	       "but all of it if it fits");
	is_str(fault_sanitise(dest, 1, view_of("abc")), "", "room for nothing");
	dest[0] = 'x';
	(void)fault_sanitise(dest, 0, view_of("abc"));
	ok(dest[0] == 'x', "no room at all");
}

int main(void)
{
	test_codes();
	test_texts();
	test_sanitise();
	return done_testing();
}
