#include "rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rmtree {
	dev_t dev;
	unsigned int entries;
	int error;			/* the first one; 0 = all removed */
};

static void rmtree_dir(struct rmtree *rm, int fd, unsigned int depth);

static void rmtree_failed(struct rmtree *rm, int error)
{
	if (rm->error == 0)
		rm->error = error;
}

static int rmtree_open(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		      O_NONBLOCK | O_CLOEXEC);
}

static bool rmtree_is_dir(const struct rmtree *rm, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) &&
		st.st_dev == rm->dev;
}

static void rmtree_subdir(struct rmtree *rm, int dir_fd, const char *name,
			  unsigned int depth)
{
	int fd;

	if (depth >= RMTREE_MAX_DEPTH) {
		rmtree_failed(rm, ELOOP);
		return;
	}
	fd = rmtree_open(dir_fd, name);
	if (fd < 0 && errno == EACCES &&
	    fchmodat(dir_fd, name, 0700, 0) == 0)
		fd = rmtree_open(dir_fd, name);
	if (fd < 0) {
		rmtree_failed(rm, errno);
		return;
	}
	if (rmtree_is_dir(rm, fd)) {
		rmtree_dir(rm, fd, depth);
	} else {
		rmtree_failed(rm, EXDEV);
		(void)close(fd);
	}
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

int rmtree_remove(const char *path)
{
	struct rmtree rm;
	struct stat st;
	int fd;

	if (!rmtree_name_ok(path)) {
		errno = EINVAL;
		return -1;
	}
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		errno = EPERM;
		return -1;
	}
	memset(&rm, 0, sizeof(rm));
	rm.dev = st.st_dev;
	fd = rmtree_open(AT_FDCWD, path);
	if (fd < 0)
		return -1;
	if (!rmtree_is_dir(&rm, fd)) {
		(void)close(fd);
		errno = EPERM;
		return -1;
	}
	rmtree_dir(&rm, fd, 0);
	if (rmdir(path) < 0 && errno != ENOENT)
		rmtree_failed(&rm, errno);
	errno = rm.error;
	return rm.error == 0 ? 1 : -1;
}
