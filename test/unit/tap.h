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

static int __attribute__((format(printf, 4, 0)))
tap_say(int good, const char *file, int line, const char *fmt, va_list args)
{
	printf("%sok %u - ", good ? "" : "not ", ++tap_count);
	vprintf(fmt, args);
	putchar('\n');
	if (!good) {
		tap_failed++;
		printf("#   at %s line %d\n", file, line);
	}
	return good;
}

static int __attribute__((unused, format(printf, 4, 5)))
tap_result(int good, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tap_say(good, file, line, fmt, args);
	va_end(args);
	return good;
}

/* No macro: with its test for NULL before the eyes, gcc warns of a NULL that the
   caller prints. */
static void __attribute__((unused, format(printf, 5, 6)))
tap_is_str(const char *got, const char *want, const char *file, int line,
	   const char *fmt, ...)
{
	int same = got != NULL && want != NULL && strcmp(got, want) == 0;
	va_list args;

	va_start(args, fmt);
	if (!tap_say(same, file, line, fmt, args))
		printf("#        got: %s\n#   expected: %s\n",
		       got == NULL ? "(null)" : got,
		       want == NULL ? "(null)" : want);
	va_end(args);
}

static void __attribute__((unused, format(printf, 5, 6)))
tap_is_num(long long got, long long want, const char *file, int line,
	   const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (!tap_say(got == want, file, line, fmt, args))
		printf("#        got: %lld\n#   expected: %lld\n", got, want);
	va_end(args);
}

static int __attribute__((unused)) done_testing(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed == 0 ? 0 : 1;
}

#endif
