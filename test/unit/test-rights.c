/* Opening with fewer groups, as root's processes do it that serve a user. */
#include "rights.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>

#define USER 65534
#define GROUP 54321

static char path[] = "/tmp/test-rights.XXXXXX";

/* Another plugin's. */
static void *other_thread(void *context)
{
	(void)context;
	(void)poll(NULL, 0, -1);
	return NULL;
}

/* A file that its group can read, and a process that is in that group, with the user's
   effective ids. Returns whether there is one. */
static int begin(void)
{
	static const gid_t groups[] = { GROUP };
	pthread_t thread;
	int fd = mkstemp(path);

	return fd >= 0 && fchown(fd, 0, GROUP) == 0 && fchmod(fd, 0040) == 0 &&
		close(fd) == 0 && setgroups(1, groups) == 0 &&
		setegid(USER) == 0 && seteuid(USER) == 0 &&
		pthread_create(&thread, NULL, other_thread, NULL) == 0;
}

static void test_open(void)
{
	static const gid_t fewer[] = { USER };
	gid_t now[2] = { 0, 0 };

	ok(rights_open(NULL, 0, NULL, path, O_RDONLY) >= 0,
	   "a file that the process's group may read is opened with that group");
	ok(rights_open(fewer, 1, NULL, path, O_RDONLY) < 0 && errno == EACCES,
	   "and not without, though another thread runs");
	is_num(getgroups(2, now), 1, "afterwards the process has one group");
	is_num(now[0], GROUP, "which is its own");
}

int main(void)
{
	if (geteuid() != 0)
		ok(1, "no process has more groups than its user # skip needs root");
	else if (ok(begin(), "there is a process with a group more"))
		test_open();
	if (geteuid() != getuid() && seteuid(getuid()) == 0)
		(void)unlink(path);
	return done_testing();
}
