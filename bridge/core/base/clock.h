/* The monotonic clock: it never goes back, and says nothing about the date. */
#ifndef BRIDGE_CLOCK_H
#define BRIDGE_CLOCK_H

#include <stdint.h>

uint64_t clock_msecs(void);
uint64_t clock_usecs(void);

#endif
