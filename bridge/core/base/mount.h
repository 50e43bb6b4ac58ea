/* Which mounted file system an open file lies in. */
#ifndef BRIDGE_MOUNT_H
#define BRIDGE_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mount {
	dev_t dev;
	uint64_t id;	/* 0: this kernel does not tell (before 5.8) */
};

/* Returns 0, -1 and errno. Needs nothing but libc: dovebridge-launch has it too. */
int mount_of(int fd, struct mount *mount_r);
/* Another mount of the same file system is another one, where the kernel tells. */
bool mount_is_same(const struct mount *a, const struct mount *b);

#endif
