#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bsd/stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#define MAKE_TRIES 10		/* swept between mkdir() and flock() */

static int folder_open(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		      O_NONBLOCK | O_CLOEXEC);
}

int sweep_make(const char *path)
{
	struct stat st;
	int i, fd = -1;

	for (i = 0; i < MAKE_TRIES; i++) {
		if (mkdir(path, 0700) < 0)
			return -1;
		fd = folder_open(AT_FDCWD, path);
		if (fd < 0 && errno != ENOENT)
			return -1;
		if (fd < 0)
			continue;
		/* who sweeps has it for a moment, and then it is gone */
		(void)flock(fd, LOCK_EX);
		if (fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		(void)close(fd);
	}
	errno = EAGAIN;
	return -1;
}

static bool name_is_ours(const char *name)
{
	size_t len = strlen(SWEEP_PREFIX);

	return strncmp(name, SWEEP_PREFIX, len) == 0 && name[len] != '\0' &&
		name[len + strspn(name + len, "0123456789abcdef")] == '\0';
}

static void sweep_one(int dir_fd, const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int fd = folder_open(dir_fd, name);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    snprintf(path, sizeof(path), "%s/%s", dir, name) <
	    (int)sizeof(path))
		(void)rmtree_remove(path);
	(void)close(fd);
}

void sweep_dead(const char *dir)
{
	char names[SWEEP_LOOK_MAX][NAME_MAX + 1];
	uint32_t i, place, count = 0;
	struct dirent *d;
	DIR *stream = opendir(dir);

	if (stream == NULL)
		return;
	while ((d = readdir(stream)) != NULL) {
		if (!name_is_ours(d->d_name) || strlen(d->d_name) > NAME_MAX)
			continue;
		/* each has the same chance to be among them */
		place = count < SWEEP_LOOK_MAX ? count :
			arc4random_uniform(count + 1);
		if (place < SWEEP_LOOK_MAX)
			(void)strcpy(names[place], d->d_name);
		count++;
	}
	if (count > SWEEP_LOOK_MAX)
		count = SWEEP_LOOK_MAX;
	for (i = 0; i < count; i++)
		sweep_one(dirfd(stream), dir, names[i]);
	(void)closedir(stream);
}
