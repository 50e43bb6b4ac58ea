#include "rights.h"

#include "buf.h"
#include "tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/capability.h>
#include <sys/syscall.h>

/* The capability to change groups is among the permitted ones as long as the real or
 * saved uid is root's. It alone is made effective, not root: nothing of what is
 * opened meanwhile is opened by it. Returns 0, or -1 and errno. */
static int may_set_groups(bool may)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, caps) < 0)
		return -1;
	if (may)
		caps[CAP_SETGID / 32].effective |= 1U << CAP_SETGID % 32;
	else
		caps[CAP_SETGID / 32].effective &= ~(1U << CAP_SETGID % 32);
	return (int)syscall(SYS_capset, &header, caps);
}

static bool is_one_of(gid_t gid, const gid_t *groups, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

/* The groups of the process. Returns how many, or -1 and errno. */
static int groups_now(gid_t **groups_r)
{
	int count = getgroups(0, NULL);

	*groups_r = NULL;
	if (count <= 0)
		return count;
	*groups_r = mem_new((size_t)count, sizeof(gid_t));
	return getgroups(count, *groups_r);
}

static bool has_more(const gid_t *own, int own_count, const gid_t *groups,
		     int count)
{
	int i;

	for (i = 0; i < own_count; i++) {
		if (!is_one_of(own[i], groups, count))
			return true;
	}
	return false;
}

static int open_or_take(const char *tmp, const char *path, int flags)
{
	int fd = tmp == NULL ? -1 : tmpdir_take(tmp, path, flags);

	return fd >= 0 ? fd : open(path, flags);
}

/* Of this thread, as capabilities are: libc would do it in all, and end the process where
 * another thread, of some other plugin, may not. */
static int set_groups(const gid_t *groups, int count)
{
#ifdef SYS_setgroups32
	return (int)syscall(SYS_setgroups32, count, groups);
#else
	return (int)syscall(SYS_setgroups, count, groups);
#endif
}

static int open_with(const gid_t *groups, int count, const gid_t *own,
		     int own_count, const char *tmp, const char *path,
		     int flags)
{
	int error, fd = -1;

	if (may_set_groups(true) < 0)
		return -1;
	if (set_groups(groups, count) == 0) {
		fd = open_or_take(tmp, path, flags);
		error = errno;
		if (set_groups(own, own_count) < 0)
			(void)set_groups(NULL, 0);
	} else {
		error = EPERM;
	}
	(void)may_set_groups(false);
	errno = error;
	return fd;
}

int rights_open(const gid_t *groups, int count, const char *tmp, const char *path,
		int flags)
{
	gid_t *own = NULL;
	int error, fd = -1, own_count = 0;

	if (groups != NULL)
		own_count = groups_now(&own);
	if (own_count >= 0)
		fd = groups == NULL || !has_more(own, own_count, groups, count) ?
			open_or_take(tmp, path, flags) :
			open_with(groups, count, own, own_count, tmp, path,
				  flags);
	error = errno;
	free(own);
	errno = error;
	return fd;
}
