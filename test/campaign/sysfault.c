/* LD_PRELOAD for tests: what changes files below a folder is counted, and the Nth such
 * call of a process meets a fault.
 *
 *	SYSFAULT_DIR	the folder; other files are left alone
 *	SYSFAULT_PROGRAM	only processes of this name, "imap"
 *	SYSFAULT_LOG	gets a line for each such call: its number, its name, the file
 *	SYSFAULT	"N ACTION [ERRNO]"; 0 is no call at all
 *	SYSFAULT_CLOCK	seconds that the clock is ahead; negative: behind
 *
 * ACTION is
 *
 *	kill		SIGKILL before the call
 *	torn		SIGKILL after it, or after half of what it would write
 *	below		SIGKILL for the processes below, the launcher; the call goes on
 *	short		half of it is written, and the caller is told so
 *	once		the call fails with ERRNO
 *	always		this and all further ones fail, as far as a disk that is full, or
 *			read-only, lets them
 *
 * It sees what a program or a library calls, not what libc does within. */

/* Fortified headers have functions of these names, and clang more than one. */
#undef _FORTIFY_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

/* The next function of this name, under its own type. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum kind {
	ADDS,		/* takes space of the disk, through a descriptor */
	MAKES,		/* a name, of a new file: the same, by path */
	CHANGES,	/* by path */
	TOUCHES,	/* through a descriptor; needs no space */
	OPENS,		/* a file that is there, to write */
	SYNCS,
};

static int number;	/* of the last call that counted */

static int wanted(char *action, int *err)
{
	const char *text = getenv("SYSFAULT");
	int at = 0;

	*err = 0;
	*action = '\0';
	if (text != NULL)
		(void)sscanf(text, "%d %15s %d", &at, action, err);
	return at;
}

static void note(const char *call, const char *path)
{
	const char *log = getenv("SYSFAULT_LOG");
	char line[PATH_MAX + 64];
	long fd;
	int len;

	if (log == NULL)
		return;
	len = snprintf(line, sizeof(line), "%d %s %s\n", number, call, path);
	fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT,
		     0666);
	(void)syscall(SYS_write, fd, line, len);
	(void)syscall(SYS_close, fd);
}

static void kill_below(void)
{
	char text[4096] = "", *p = text, *end;
	long fd, pid;

	(void)snprintf(text, sizeof(text), "/proc/self/task/%d/children",
		       (int)getpid());
	fd = syscall(SYS_openat, AT_FDCWD, text, O_RDONLY);
	memset(text, 0, sizeof(text));
	(void)syscall(SYS_read, fd, text, sizeof(text) - 1);
	(void)syscall(SYS_close, fd);
	while ((pid = strtol(p, &end, 10)) > 0) {
		(void)kill((pid_t)pid, SIGKILL);
		p = end;
	}
}

/* What a disk that is full for good, or cannot be written to, still lets happen. */
static int spared(enum kind kind, int err)
{
	if (err == ENOSPC || err == EDQUOT)
		return kind == CHANGES || kind == TOUCHES || kind == OPENS;
	if (err == EACCES)
		return kind == ADDS || kind == TOUCHES || kind == SYNCS;
	return 0;
}

static int counts(const char *path)
{
	const char *dir = getenv("SYSFAULT_DIR");
	const char *program = getenv("SYSFAULT_PROGRAM");
	size_t len = dir == NULL ? 0 : strlen(dir);

	return len > 0 && strncmp(path, dir, len) == 0 &&
		(path[len] == '/' || path[len] == '\0') &&
		(program == NULL ||
		 strcmp(program, program_invocation_short_name) == 0);
}

#define HALF (-1)	/* then go on */
#define LAST (-2)	/* it, or half of it, then die */

/* 0: let the call happen; > 0: it fails with this; HALF, LAST. */
static int meet(const char *call, const char *path, enum kind kind)
{
	char action[16];
	int at, err;

	if (!counts(path))
		return 0;
	number++;
	note(call, path);
	at = wanted(action, &err);
	if (strcmp(action, "always") == 0)
		return at > 0 && number >= at && !spared(kind, err) ? err : 0;
	if (number != at)
		return 0;
	if (strcmp(action, "kill") == 0)
		(void)kill(getpid(), SIGKILL);
	if (strcmp(action, "below") == 0)
		kill_below();
	return strcmp(action, "once") == 0 ? err :
		strcmp(action, "short") == 0 ? HALF :
		strcmp(action, "torn") == 0 ? LAST : 0;
}

static int meet_fd(const char *call, int fd, enum kind kind)
{
	char link[64], path[PATH_MAX];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return 0;
	path[len] = '\0';
	return meet(call, path, kind);
}

static int meet_at(const char *call, int dir, const char *path, enum kind kind)
{
	char link[64], whole[2 * PATH_MAX];
	ssize_t len;

	if (path[0] == '/')
		return meet(call, path, kind);
	(void)snprintf(link, sizeof(link), dir == AT_FDCWD ? "/proc/self/cwd" :
		       "/proc/self/fd/%d", dir);
	len = readlink(link, whole, PATH_MAX);
	if (len < 0)
		return 0;
	(void)snprintf(whole + len, sizeof(whole) - (size_t)len, "/%s", path);
	return meet(call, whole, kind);
}

/* The body of a wrapper: ret = call, as fate says; len is cut to half. */
#define CALL(fate, len, call) do { \
	int _fate = (fate); \
	if (_fate > 0) { errno = _fate; return -1; } \
	if (_fate < 0) (len) = ((len) + 1) / 2; \
	__typeof__(call) _ret = (call); \
	if (_fate == LAST) (void)kill(getpid(), SIGKILL); \
	return _ret; \
} while (0)
#define WHOLE(fate, call) do { \
	int _all = 0; \
	CALL(fate, _all, call); \
} while (0)

ssize_t write(int fd, const void *data, size_t len)
{
	CALL(meet_fd("write", fd, ADDS), len, REAL(write)(fd, data, len));
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	CALL(meet_fd("pwrite", fd, ADDS), len,
	     REAL(pwrite)(fd, data, len, at));
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	struct iovec half = iov[0];
	int fate = meet_fd("writev", fd, ADDS);

	if (fate < 0) {		/* half of the first piece */
		iov = &half;
		count = 1;
	}
	CALL(fate, half.iov_len, REAL(writev)(fd, iov, count));
}

ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
	CALL(meet_fd("sendfile", out, ADDS), len,
	     REAL(sendfile)(out, in, at, len));
}

int fsync(int fd)
{
	WHOLE(meet_fd("fsync", fd, SYNCS), REAL(fsync)(fd));
}

int fdatasync(int fd)
{
	WHOLE(meet_fd("fdatasync", fd, SYNCS), REAL(fdatasync)(fd));
}

int ftruncate(int fd, off_t len)
{
	WHOLE(meet_fd("ftruncate", fd, TOUCHES), REAL(ftruncate)(fd, len));
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
	WHOLE(meet_fd("fallocate", fd, ADDS), REAL(fallocate)(fd, mode, at, len));
}

int posix_fallocate(int fd, off_t at, off_t len)
{
	int fate = meet_fd("posix_fallocate", fd, ADDS);

	if (fate > 0)
		return fate;	/* that is how it tells */
	WHOLE(fate, REAL(posix_fallocate)(fd, at, len));
}

int fchmod(int fd, mode_t mode)
{
	WHOLE(meet_fd("fchmod", fd, TOUCHES), REAL(fchmod)(fd, mode));
}

int fchown(int fd, uid_t uid, gid_t gid)
{
	WHOLE(meet_fd("fchown", fd, TOUCHES), REAL(fchown)(fd, uid, gid));
}

int chmod(const char *path, mode_t mode)
{
	WHOLE(meet("chmod", path, CHANGES), REAL(chmod)(path, mode));
}

int rename(const char *from, const char *to)
{
	WHOLE(meet("rename", to, CHANGES), REAL(rename)(from, to));
}

int link(const char *from, const char *to)
{
	WHOLE(meet("link", to, MAKES), REAL(link)(from, to));
}

int symlink(const char *target, const char *path)
{
	WHOLE(meet("symlink", path, MAKES), REAL(symlink)(target, path));
}

int unlink(const char *path)
{
	WHOLE(meet("unlink", path, CHANGES), REAL(unlink)(path));
}

int unlinkat(int dir, const char *path, int flags)
{
	WHOLE(meet_at("unlinkat", dir, path, CHANGES),
	      REAL(unlinkat)(dir, path, flags));
}

int mkdir(const char *path, mode_t mode)
{
	WHOLE(meet("mkdir", path, MAKES), REAL(mkdir)(path, mode));
}

int rmdir(const char *path)
{
	WHOLE(meet("rmdir", path, CHANGES), REAL(rmdir)(path));
}

int utime(const char *path, const struct utimbuf *times)
{
	WHOLE(meet("utime", path, CHANGES), REAL(utime)(path, times));
}

/* --- open ---------------------------------------------------------------------- */

static int open_fate(int dir, const char *path, int flags)
{
	int exists = faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	if (!exists && (flags & O_CREAT) != 0)
		return meet_at("create", dir, path, MAKES);
	if ((flags & O_ACCMODE) != O_RDONLY)
		return meet_at((flags & O_TRUNC) != 0 ? "open-empty" : "open", dir,
			       path, OPENS);
	return 0;
}

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	WHOLE(open_fate(dir, path, flags), REAL(openat)(dir, path, flags, mode));
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return openat(AT_FDCWD, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
	return openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What programs built with _FORTIFY_SOURCE call; they make no file. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return openat(AT_FDCWD, path, flags);
}

int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

/* --- the clock ------------------------------------------------------------------- */

static time_t ahead(void)
{
	const char *text = getenv("SYSFAULT_CLOCK");

	return text == NULL ? 0 : (time_t)atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int ret = REAL(clock_gettime)(clock, ts);

	if (ret == 0 && clock == CLOCK_REALTIME)
		ts->tv_sec += ahead();
	return ret;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	int ret = REAL(gettimeofday)(tv, tz);

	if (ret == 0)
		tv->tv_sec += ahead();
	return ret;
}

time_t time(time_t *now_r)
{
	time_t now = REAL(time)(NULL) + ahead();

	if (now_r != NULL)
		*now_r = now;
	return now;
}
