#include "fault.h"

#include <stdio.h>
#include <bsd/string.h>

static const struct fault_info {
	const char *name;
	enum fault_retry retry;
	const char *text;
} fault_infos[FAULT_CODE_COUNT] = {
	[FAULT_NONE] = { "OK", FAULT_RETRY_LATER, "Success" },
	[FAULT_UNAVAILABLE] = { "UNAVAILABLE", FAULT_RETRY_LATER,
		"The mail store is not available now, try again later" },
	[FAULT_BUSY] = { "BUSY", FAULT_RETRY_LATER,
		"The mailbox is in use, try again later" },
	[FAULT_INTERNAL] = { "INTERNAL", FAULT_RETRY_LATER,
		"The mail store has an internal fault" },
	[FAULT_UNCERTAIN] = { "UNCERTAIN", FAULT_RETRY_LATER,
		"The mail store did not say whether the change was made" },
	[FAULT_OVERQUOTA] = { "OVERQUOTA", FAULT_RETRY_LATER,
		"Quota exceeded" },
	[FAULT_NOTFOUND] = { "NOTFOUND", FAULT_RETRY_NEVER,
		"No such mailbox" },
	[FAULT_EXISTS] = { "EXISTS", FAULT_RETRY_NEVER,
		"The mailbox exists already" },
	[FAULT_NOPERM] = { "NOPERM", FAULT_RETRY_NEVER,
		"Permission denied" },
	[FAULT_READONLY] = { "READONLY", FAULT_RETRY_NEVER,
		"The mailbox is read-only" },
	[FAULT_LIMIT] = { "LIMIT", FAULT_RETRY_NEVER,
		"Too large or too many" },
	[FAULT_CANNOT] = { "CANNOT", FAULT_RETRY_NEVER,
		"The mail store cannot do this" },
	[FAULT_UNSUPPORTED] = { "UNSUPPORTED", FAULT_RETRY_NEVER,
		"The mail store does not support this" },
};

const char *fault_code_name(enum fault_code code)
{
	return fault_infos[code].name;
}

enum fault_code fault_code_parse(struct view word)
{
	int code;

	for (code = FAULT_NONE + 1; code < FAULT_CODE_COUNT; code++) {
		if (view_is(word, fault_infos[code].name))
			return (enum fault_code)code;
	}
	return FAULT_UNAVAILABLE;
}

enum fault_retry fault_retry(enum fault_code code)
{
	return fault_infos[code].retry;
}

const char *fault_code_text(enum fault_code code)
{
	return fault_infos[code].text;
}

int fault_set(struct fault *fault, enum fault_code code,
	      enum fault_scope scope, const char *log_fmt, ...)
{
	char text[FAULT_LOG_MAX];
	va_list args;

	memset(fault, 0, sizeof(*fault));
	fault->code = code;
	fault->scope = scope;
	(void)strlcpy(fault->user, fault_infos[code].text,
		      sizeof(fault->user));
	va_start(args, log_fmt);
	(void)vsnprintf(text, sizeof(text), log_fmt, args);
	va_end(args);
	(void)fault_sanitise(fault->log, sizeof(fault->log), view_of(text));
	return -1;
}

void fault_set_user(struct fault *fault, struct view text)
{
	if (text.len > 0)
		(void)fault_sanitise(fault->user, sizeof(fault->user), text);
}

void fault_context(struct fault *fault, const char *fmt, ...)
{
	char context[FAULT_LOG_MAX], text[FAULT_LOG_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(context, sizeof(context), fmt, args);
	va_end(args);
	(void)strlcpy(text, context, sizeof(text));
	(void)strlcat(text, ": ", sizeof(text));
	(void)strlcat(text, fault->log, sizeof(text));
	(void)fault_sanitise(fault->log, sizeof(fault->log), view_of(text));
}

/* The length of the UTF-8 character at p, and its code point; 0 if the bytes
 * are not valid UTF-8 (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_char(const unsigned char *p, size_t len, uint32_t *chr_r)
{
	static const uint32_t min[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t chr;
	size_t i, n;

	if (p[0] < 0x80) {
		*chr_r = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len < n)
		return 0;
	chr = p[0] & (0xffU >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		chr = (chr << 6) | (p[i] & 0x3f);
	}
	if (chr < min[n] || chr > 0x10ffff || (chr >= 0xd800 && chr <= 0xdfff))
		return 0;
	*chr_r = chr;
	return n;
}

static bool chr_is_printable(uint32_t chr)
{
	if (chr < 0x20 || (chr >= 0x7f && chr < 0xa0))
		return false;
	/* line and paragraph separators, bidirectional marks and overrides:
	   they can make a log line or a user's text read as another one */
	return !(chr == 0x061c || chr == 0x200e || chr == 0x200f ||
		 (chr >= 0x2028 && chr <= 0x202e) ||
		 (chr >= 0x2066 && chr <= 0x2069) || chr == 0xfeff);
}

size_t fault_printable(struct view text)
{
	uint32_t chr;
	size_t n;

	if (text.len == 0)
		return 0;
	n = utf8_char((const unsigned char *)text.p, text.len, &chr);
	return n > 0 && chr_is_printable(chr) ? n : 0;
}

char *fault_sanitise(char *dest, size_t size, struct view text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	size_t from = 0, to = 0, n;
	uint32_t chr;

	while (from < text.len) {
		n = utf8_char(p + from, text.len - from, &chr);
		if (n > 0 && chr_is_printable(chr)) {
			if (to + n >= size)
				break;
			memcpy(dest + to, p + from, n);
			to += n;
		} else {
			if (to + 1 >= size)
				break;
			dest[to++] = '?';
		}
		from += n > 0 ? n : 1;
	}
	if (size > 0)
		dest[to] = '\0';
	return dest;
}
