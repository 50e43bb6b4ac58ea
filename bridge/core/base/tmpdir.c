#include "tmpdir.h"
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

static int dir_open(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW |
		      O_CLOEXEC);
}

int tmpdir_open(const char *tmp)
{
	int fd = dir_open(AT_FDCWD, tmp);
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_uid == geteuid()))
		return fd;
	(void)close(fd);
	errno = EPERM;
	return -1;
}

/* The folder in which the last component of rest lies, which is put into name_r.
   Component by component: each must be a folder that is no link. Takes dir_fd over.
   Returns it or the other; -1. */
static int folder_of(int dir_fd, const char *rest, char *name_r)
{
	const char *slash;
	size_t len;
	int fd;

	for (;;) {
		rest += strspn(rest, "/");
		slash = strchr(rest, '/');
		len = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
		if (len > NAME_MAX)
			break;
		memcpy(name_r, rest, len);
		name_r[len] = '\0';
		if (strcmp(name_r, "..") == 0)
			break;
		if (slash == NULL)
			return dir_fd;
		fd = dir_open(dir_fd, name_r);
		(void)close(dir_fd);
		dir_fd = fd;
		if (fd < 0)
			return -1;
		rest = slash;
	}
	(void)close(dir_fd);
	return -1;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Open name in the folder, and remove it if it is what was opened, and no mount
   point is between it and BRIDGE_TMP. */
static int take_from(int folder_fd, const struct mount *tmp, const char *name,
		     int flags)
{
	int fd = openat(folder_fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	struct stat opened, named;
	struct mount mount;

	if (fd < 0)
		return -1;
	if (mount_of(fd, &mount) == 0 && mount_is_same(&mount, tmp) &&
	    fstat(fd, &opened) == 0 &&
	    fstatat(folder_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    is_same(&opened, &named) && unlinkat(folder_fd, name, 0) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int tmpdir_take(const char *tmp, const char *path, int flags)
{
	size_t len = strlen(tmp);
	char name[NAME_MAX + 1];
	struct mount mount;
	int dir_fd, fd;

	if (strncmp(path, tmp, len) != 0 || path[len] != '/' ||
	    strlen(path) >= PATH_MAX)
		return -1;
	dir_fd = tmpdir_open(tmp);
	if (dir_fd < 0)
		return -1;
	if (mount_of(dir_fd, &mount) < 0) {
		(void)close(dir_fd);
		return -1;
	}
	dir_fd = folder_of(dir_fd, path + len, name);
	if (dir_fd < 0)
		return -1;
	fd = take_from(dir_fd, &mount, name, flags);
	(void)close(dir_fd);
	return fd;
}
