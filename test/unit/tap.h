/* A very small TAP producer for the unit tests of core/.
 *
 *	int main(void)
 *	{
 *		ok(1 + 1 == 2, "one and one are two");
 *		is_str(name, "INBOX", "the inbox is called INBOX");
 *		return done_testing();
 *	}
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned int tap_count, tap_failed;

#define ok(cond, ...) tap_result((cond), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...) \
	tap_is_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define is_num(got, want, ...) \
	tap_is_num((long long)(got), (long long)(want), __FILE__, __LINE__, \
		   __VA_ARGS__)

static int __attribute__((unused, format(printf, 4, 5)))
tap_result(int good, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	printf("%sok %u - ", good ? "" : "not ", ++tap_count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	if (!good) {
		tap_failed++;
		printf("#   at %s line %d\n", file, line);
	}
	return good;
}

#define tap_is_str(got, want, file, line, ...) do { \
	const char *tap_got = (got), *tap_want = (want); \
	if (!tap_result(tap_got != NULL && tap_want != NULL && \
			strcmp(tap_got, tap_want) == 0, file, line, \
			__VA_ARGS__)) \
		printf("#        got: %s\n#   expected: %s\n", \
		       tap_got == NULL ? "(null)" : tap_got, \
		       tap_want == NULL ? "(null)" : tap_want); \
	} while (0)

#define tap_is_num(got, want, file, line, ...) do { \
	long long tap_got = (got), tap_want = (want); \
	if (!tap_result(tap_got == tap_want, file, line, __VA_ARGS__)) \
		printf("#        got: %lld\n#   expected: %lld\n", \
		       tap_got, tap_want); \
	} while (0)

static int __attribute__((unused)) done_testing(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed == 0 ? 0 : 1;
}

#endif
