/* core/base/sweep: folders of the dead are removed, those of the living never. */
#include "sweep.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char stage[64], paths[4][256];

static const char *path(int n, const char *name)
{
	(void)snprintf(paths[n], sizeof(paths[n]), "%s/%s", stage, name);
	return paths[n];
}

static bool is_there(const char *p)
{
	struct stat st;

	return lstat(p, &st) == 0;
}

/* Somebody who makes the folder, puts mail into it, and lives until he is killed. */
static pid_t holder(const char *folder)
{
	char mail[300], byte;
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		(void)snprintf(mail, sizeof(mail), "%s/1", folder);
		if (sweep_make(folder) < 0 ||
		    open(mail, O_CREAT | O_WRONLY, 0600) < 0)
			_exit(1);
		(void)!write(fds[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(fds[1]);
	(void)!read(fds[0], &byte, 1);
	(void)close(fds[0]);
	return pid;
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

int main(void)
{
	const char *dead, *alive, *other, *link_path;
	pid_t dead_pid, alive_pid;
	unsigned int i;
	int left = 0;
	char name[64];

	(void)strcpy(stage, "/tmp/test-sweep.XXXXXX");
	if (mkdtemp(stage) == NULL)
		return 1;
	dead = path(0, SWEEP_PREFIX "00");
	alive = path(1, SWEEP_PREFIX "01");
	other = path(2, RMTREE_PREFIX "0123456789");
	link_path = path(3, SWEEP_PREFIX "02");
	dead_pid = holder(dead);
	alive_pid = holder(alive);
	ok(is_there(dead) && is_there(alive), "two folders");
	(void)mkdir(other, 0700);
	(void)!symlink(other, link_path);
	sweep_dead(stage);
	ok(is_there(dead) && is_there(alive), "stay while both live");
	end(dead_pid);
	sweep_dead(stage);
	ok(!is_there(dead), "one that was killed loses his, and what is in it");
	ok(is_there(alive), "who lives keeps his");
	ok(is_there(other), "what an older version made is nobody's to judge");
	ok(is_there(link_path), "a link is not followed");
	end(alive_pid);
	sweep_dead(stage);
	ok(!is_there(alive), "later");
	ok(sweep_make(other) < 0 && errno == EEXIST, "a folder that is there is "
	   "not taken");
	sweep_dead("/nonexistent");

	(void)unlink(link_path);
	for (i = 0; i < 3 * SWEEP_LOOK_MAX; i++) {
		(void)snprintf(name, sizeof(name), SWEEP_PREFIX "%04x", i);
		(void)mkdir(path(0, name), 0700);
	}
	sweep_dead(stage);
	for (i = 0; i < 3 * SWEEP_LOOK_MAX; i++) {
		(void)snprintf(name, sizeof(name), SWEEP_PREFIX "%04x", i);
		left += is_there(path(0, name));
	}
	is_num(left, 2 * SWEEP_LOOK_MAX, "not more at once than is bounded");
	for (i = 0; i < 20; i++)
		sweep_dead(stage);
	(void)rmdir(other);
	ok(rmdir(stage) == 0, "and all in the end");
	return done_testing();
}
