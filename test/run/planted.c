/* Linked into the plugin that test/run/planted tries, and into no other: a mistake that
 * is made when a copy of the backend has been started, with the rights of the user.
 * UNDER_PLANT says which. */
#include "caps.h"

#include <limits.h>
#include <stdlib.h>

void __real_caps_init(struct caps *caps);
void __wrap_caps_init(struct caps *caps);

void __wrap_caps_init(struct caps *caps)
{
	const char *what = getenv("UNDER_PLANT");
	volatile char *mem = malloc(7);
	volatile int number = INT_MAX;
	volatile size_t size = 8;

	__real_caps_init(caps);
	if (what == NULL)
		return;
	if (strcmp(what, "overflow") == 0)
		mem[size - 1] = 1;
	if (strcmp(what, "undefined") == 0)
		number++;
	if (strcmp(what, "uninitialised") == 0 && mem[0] == 'x')
		number = 0;
	if (strcmp(what, "leak") != 0)
		free((char *)(uintptr_t)mem);
}
