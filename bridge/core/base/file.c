#include "file.h"
#include "rmtree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/file.h>

#define READ_SIZE (16 * 1024)
#define LOCK_NAP_MSECS 10

/* Close without losing errno. */
static void close_keeping_errno(int fd)
{
	int error = errno;

	(void)close(fd);
	errno = error;
}

static int read_all(int fd, size_t max, struct buf *out)
{
	ssize_t got;

	for (;;) {
		got = read(fd, buf_reserve(out, READ_SIZE), READ_SIZE);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -1 : 1;
		out->len += (size_t)got;
		out->p[out->len] = '\0';
		if (out->len > max) {
			errno = EFBIG;
			return -1;
		}
	}
}

int file_read(const char *path, size_t max, struct buf *out, struct stat *st_r)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int ret = -1;

	memset(&st, 0, sizeof(st));
	if (st_r != NULL)
		*st_r = st;
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == 0) {
		if (st_r != NULL)
			*st_r = st;
		errno = EINVAL;
		if (S_ISREG(st.st_mode))
			ret = read_all(fd, max, out);
	}
	close_keeping_errno(fd);
	return ret;
}

/* From *offset on, where the file is at if offset is NULL. */
static int write_all(int fd, struct view text, const uint64_t *offset)
{
	size_t done = 0;
	ssize_t ret;

	while (done < text.len) {
		ret = offset == NULL ?
			write(fd, text.p + done, text.len - done) :
			pwrite(fd, text.p + done, text.len - done,
			       (off_t)(*offset + done));
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret == 0)
			errno = ENOSPC;
		if (ret <= 0)
			return -1;
		done += (size_t)ret;
	}
	return 0;
}

int file_write(int fd, struct view text)
{
	return write_all(fd, text, NULL);
}

int file_write_at(int fd, struct view text, uint64_t offset)
{
	return write_all(fd, text, &offset);
}

ssize_t file_read_at(int fd, void *data, size_t len, uint64_t offset)
{
	size_t done = 0;
	ssize_t ret;

	while (done < len) {
		ret = pread(fd, (char *)data + done, len - done,
			    (off_t)(offset + done));
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -1;
		if (ret == 0)
			break;
		done += (size_t)ret;
	}
	return (ssize_t)done;
}

/* Not every file system has files that never had a name (NFS has none). */
int file_unnamed(const char *dir)
{
	struct buf path = { NULL, 0, 0 };
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), error;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	buf_printf(&path, "%s/"RMTREE_PREFIX"spool.XXXXXX", dir);
	fd = mkostemp(path.p, O_CLOEXEC);
	error = errno;
	if (fd >= 0)
		(void)unlink(path.p);
	buf_free(&path);
	errno = error;
	return fd;
}

static int replace(const char *path, const char *tmp, struct view text,
		   bool sync, struct stat *st_r)
{
	struct stat st;
	int fd, ret;

	/* left behind by who died with the lock */
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0600);
	if (fd < 0)
		return -1;
	ret = file_write(fd, text) < 0 || (sync && fsync(fd) < 0) ||
		fstat(fd, &st) < 0 || rename(tmp, path) < 0 ? -1 : 0;
	close_keeping_errno(fd);
	if (ret == 0 && st_r != NULL)
		*st_r = st;
	return ret;
}

static int write_and_rename(const char *path, struct view text, bool sync,
			    struct stat *st_r)
{
	struct buf tmp = { NULL, 0, 0 };
	int ret, error;

	buf_printf(&tmp, "%s.tmp", path);
	ret = replace(path, tmp.p, text, sync, st_r);
	error = errno;
	if (ret < 0)
		(void)unlink(tmp.p);
	buf_free(&tmp);
	errno = error;
	return ret;
}

int file_replace(const char *path, struct view text, struct stat *st_r)
{
	return write_and_rename(path, text, true, st_r);
}

int file_put(const char *path, struct view text)
{
	return write_and_rename(path, text, false, NULL);
}

int file_lock(const char *path, unsigned int wait_msecs)
{
	const struct timespec nap = { 0, LOCK_NAP_MSECS * 1000000L };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
		      O_NONBLOCK, 0600);
	unsigned int waited = 0;

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if ((errno != EWOULDBLOCK && errno != EINTR) ||
		    waited >= wait_msecs) {
			close_keeping_errno(fd);
			return -1;
		}
		(void)nanosleep(&nap, NULL);
		waited += LOCK_NAP_MSECS;
	}
	return fd;
}

int file_place(const char *path, unsigned int count)
{
	/* a place is a byte, which need not be there to be locked */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
			      .l_len = 1 };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
		      O_NONBLOCK, 0600);

	if (fd < 0)
		return -1;
	errno = EWOULDBLOCK;
	for (; (unsigned int)lock.l_start < count; lock.l_start++) {
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return fd;
		if (errno == EACCES)
			errno = EWOULDBLOCK;
		if (errno != EWOULDBLOCK)
			break;
	}
	close_keeping_errno(fd);
	return -1;
}
