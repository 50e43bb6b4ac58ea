#include "rmtree.h"
#include "mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rmtree {
	struct mount mount;
	unsigned int entries;
	int error;			/* the first one; 0 = all removed */
};

static void rmtree_dir(struct rmtree *rm, int fd, unsigned int depth);

static void rmtree_failed(struct rmtree *rm, int error)
{
	if (rm->error == 0)
		rm->error = error;
}

static int open_found(int found)
{
	char path[64];
	int fd = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || errno != EACCES)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	if (chmod(path, 0700) < 0) {
		errno = EACCES;
		return -1;
	}
	return openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* An open folder, whatever its mode; no symbolic link, and in that mount (NULL =
   any). It is opened by path first, so that what gets another mode is what was looked
   at. */
static int rmtree_open(int dir_fd, const char *name, const struct mount *mount)
{
	int fd = -1, error, found = openat(dir_fd, name, O_PATH | O_DIRECTORY |
					   O_NOFOLLOW | O_CLOEXEC);
	struct mount its;

	if (found < 0)
		return -1;
	errno = EXDEV;
	if (mount == NULL ||
	    (mount_of(found, &its) == 0 && mount_is_same(&its, mount)))
		fd = open_found(found);
	error = errno;
	(void)close(found);
	errno = error;
	return fd;
}

static void rmtree_subdir(struct rmtree *rm, int dir_fd, const char *name,
			  unsigned int depth)
{
	int fd;

	if (depth >= RMTREE_MAX_DEPTH) {
		rmtree_failed(rm, ELOOP);
		return;
	}
	fd = rmtree_open(dir_fd, name, &rm->mount);
	if (fd < 0) {
		rmtree_failed(rm, errno);
		return;
	}
	rmtree_dir(rm, fd, depth);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rmtree_failed(rm, errno);
}

static void rmtree_entry(struct rmtree *rm, int dir_fd, const char *name,
			 unsigned int depth)
{
	/* unlinkat() removes a symbolic link itself, never what it names; a
	   directory answers EISDIR (EPERM in POSIX) */
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return;
	if (errno == EISDIR || errno == EPERM)
		rmtree_subdir(rm, dir_fd, name, depth + 1);
	else
		rmtree_failed(rm, errno);
}

/* Empties the directory fd and closes it. */
static void rmtree_dir(struct rmtree *rm, int fd, unsigned int depth)
{
	struct dirent *d;
	DIR *dir;

	/* a folder of our uid may lack w or x: make it one we can empty */
	(void)fchmod(fd, 0700);
	dir = fdopendir(fd);
	if (dir == NULL) {
		rmtree_failed(rm, errno);
		(void)close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (rm->entries++ >= RMTREE_MAX_ENTRIES) {
			rmtree_failed(rm, EFBIG);
			break;
		}
		rmtree_entry(rm, dirfd(dir), d->d_name, depth);
	}
	(void)closedir(dir);
}

static bool rmtree_name_ok(const char *path)
{
	const char *name = strrchr(path, '/');

	return path[0] == '/' &&
		strncmp(name + 1, RMTREE_PREFIX, strlen(RMTREE_PREFIX)) == 0;
}

/* The folder itself, opened. Returns the descriptor, or -1 and errno. */
static int rmtree_top(const char *path)
{
	struct stat st;
	int fd;

	if (!rmtree_name_ok(path)) {
		errno = EINVAL;
		return -1;
	}
	/* before its mode is touched */
	if (lstat(path, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		errno = EPERM;
		return -1;
	}
	fd = rmtree_open(AT_FDCWD, path, NULL);
	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_uid == geteuid()))
		return fd;
	(void)close(fd);
	errno = EPERM;
	return -1;
}

int rmtree_remove(const char *path)
{
	struct rmtree rm;
	int fd = rmtree_top(path);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	memset(&rm, 0, sizeof(rm));
	if (mount_of(fd, &rm.mount) < 0) {
		(void)close(fd);
		return -1;
	}
	rmtree_dir(&rm, fd, 0);
	if (rmdir(path) < 0 && errno != ENOENT)
		rmtree_failed(&rm, errno);
	errno = rm.error;
	return rm.error == 0 ? 1 : -1;
}
