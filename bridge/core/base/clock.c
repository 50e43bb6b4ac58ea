#include "clock.h"

#include <time.h>

uint64_t clock_usecs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_msecs(void)
{
	return clock_usecs() / 1000;
}
