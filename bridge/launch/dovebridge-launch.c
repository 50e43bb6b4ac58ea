/* dovebridge-launch PROGRAM [ARG...]: start one copy of a backend, stay as its
 * parent, and see to it that nothing of it is left behind.
 *
 * It exists because libpipeline belongs in a process of its own: it takes over
 * SIGCHLD, ends the process on failure and waits without a deadline. Here that
 * harms nobody. The backend inherits stdin, stdout and stderr as they are; the
 * launcher closes its own 0 and 1, so that an EOF travels, and moves no byte.
 *
 * The process group is the unit that is ended: launcher, backend, and what the
 * backend started. It ends when
 *   - the backend exits: whatever is left in the group goes at once, for it may
 *     hold the reply pipe open;
 *   - SIGTERM, SIGHUP, SIGINT or SIGQUIT arrives: SIGTERM to the group,
 *     LAUNCH_TERM_MSECS, SIGKILL;
 *   - the parent is gone, be it by kill -9: the kernel sends the SIGTERM that
 *     core/session/proc asked for, and stderr has no reader any more, which needs no
 *     permission to be seen. The backend sees EOF on its stdin, and first gets
 *     LAUNCH_GRACE_MSECS (or what core/session/proc says) to finish what it is writing.
 *   - the launcher itself is killed: the backend dies with it.
 *
 * The status is the backend's, 128 + N if signal N ended it, 127 if it was not
 * found and 126 if it could not be executed; the launcher's own failures are
 * those of sysexits(3). */
#include "clock.h"
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <bsd/unistd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <pipeline.h>

#define LAUNCH_GRACE_MSECS 500		/* parent gone, before SIGTERM; without */
#define LAUNCH_GRACE_ENV "DOVEBRIDGE_GRACE_MSECS"	/* this, from proc.c */
#define LAUNCH_GRACE_MAX_MSECS (24 * 3600 * 1000)
#define LAUNCH_TERM_MSECS 2000		/* SIGTERM, before SIGKILL */
#define LAUNCH_KILL_MSECS 500		/* SIGKILL, before giving up on it */
#define LAUNCH_STRAGGLER_MSECS 200	/* SIGTERM, before SIGKILL, of the rest */
#define LAUNCH_STRAGGLER_STEP_MSECS 5
#define LAUNCH_NOT_FOUND 127
#define LAUNCH_NOT_EXECUTABLE 126
#define LAUNCH_SIGNAL_BASE 128

/* core/session/proc.c knows a program that did not start by these words. */
#define LAUNCH_FAILED "error: could not be started: "

struct launch {
	char **argv;
	pid_t self, parent, backend;
	int signal_fd;
	int grace_msecs;
	bool ended;
	int status;			/* what to exit with, once ended */
	bool left_group;
};

static int launch_failed(int status, const char *what, const char *why)
{
	char text[1024];

	/* one write: the line must not be mixed with another's */
	(void)snprintf(text, sizeof(text) - 1, LAUNCH_FAILED "%s: %s", what,
		       why);
	(void)strcat(text, "\n");
	if (write(STDERR_FILENO, text, strlen(text)) < 0) {
		/* nobody to tell */
	}
	return status;
}

static int refuse_root(void)
{
	uid_t ruid, euid, suid;

	if (getresuid(&ruid, &euid, &suid) < 0)
		return launch_failed(EX_OSERR, "getresuid", strerror(errno));
	if (ruid == 0 || euid == 0 || suid == 0)
		return launch_failed(EX_NOPERM, "dovebridge-launch",
				     "a backend is never run as root (uid 0)");
	return EX_OK;
}

/* --- in the child ---------------------------------------------------------- */

/* The path after "#!" in the program's first line, "" if there is none. */
static void read_interpreter(const char *program, char *path, size_t size)
{
	char line[256];
	ssize_t len;
	int fd = open(program, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const char *p = line + 2;

	path[0] = '\0';
	if (fd < 0)
		return;
	len = read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	if (len < 2 || line[0] != '#' || line[1] != '!')
		return;
	line[len] = '\0';
	p += strspn(p, " \t");
	(void)snprintf(path, size, "%.*s", (int)strcspn(p, " \t\n"), p);
}

static int exec_failed(const char *program, int error)
{
	char interpreter[256], what[512];
	char *cr;

	if (error != ENOENT && error != ENOTDIR)
		return launch_failed(LAUNCH_NOT_EXECUTABLE, program,
				     strerror(error));
	/* the kernel's ENOENT may mean the interpreter of a script: a wrong
	   path, or a line that ends in CR LF */
	read_interpreter(program, interpreter, sizeof(interpreter));
	if (strchr(program, '/') == NULL || interpreter[0] == '\0')
		return launch_failed(LAUNCH_NOT_FOUND, program,
				     strerror(error));
	cr = strchr(interpreter, '\r');
	if (cr != NULL)
		(void)strcpy(cr, cr - interpreter < 250 ? "\\r" : "");
	(void)snprintf(what, sizeof(what), "%s: its interpreter %s", program,
		       interpreter);
	return launch_failed(LAUNCH_NOT_FOUND, what, strerror(error));
}

static void reset_signals(void)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A function and not pipecmd_new(): that one makes the last component of the
 * program's path its argv[0], and a program that finds its own place by
 * argv[0], such as the python of a virtual environment, then is another one. */
static void backend_exec(void *data)
{
	const struct launch *launch = data;
	char **argv = launch->argv;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(launch_failed(EX_OSERR, "prctl", strerror(errno)));
	if (getppid() != launch->self)
		_exit(EX_OSERR);
	closefrom(STDERR_FILENO + 1);
	reset_signals();
	(void)execvp(argv[0], argv);
	_exit(exec_failed(argv[0], errno));
}

/* --- in the launcher ------------------------------------------------------- */

/* No descriptor made later may become 0, 1 or 2. */
static void stdio_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
}

/* All of them stay blocked and are read from the returned descriptor, so that
 * no handler runs: not ours, and not libpipeline's, which would reap. */
static int signals_open(void)
{
	static const int signals[] = {
		SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT
	};
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* an ignored signal would never be queued */
		(void)signal(signals[i], SIG_DFL);
		(void)sigaddset(&set, signals[i]);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void backend_start(struct launch *launch)
{
	pipeline *p = pipeline_new();

	pipeline_command(p, pipecmd_new_function(launch->argv[0], backend_exec,
						 NULL, launch));
	pipeline_start(p);
	/* p stays: pipeline_free() would wait for it, without a deadline */
	launch->backend = pipeline_get_pid(p, 0);
}

static void backend_reap(struct launch *launch)
{
	int status;
	pid_t ret = waitpid(launch->backend, &status, WNOHANG);

	if (ret == 0 || (ret < 0 && errno == EINTR))
		return;
	launch->ended = true;
	if (ret < 0)
		launch->status = EX_OSERR;
	else if (WIFSIGNALED(status))
		launch->status = LAUNCH_SIGNAL_BASE + WTERMSIG(status);
	else
		launch->status = WEXITSTATUS(status);
}

/* Take what the signal descriptor has. Returns true if the launcher was asked
 * to end. */
static bool signals_read(struct launch *launch)
{
	struct signalfd_siginfo info;
	bool asked = false;

	while (read(launch->signal_fd, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			asked = true;
	}
	backend_reap(launch);
	return asked;
}

/* Wait for the backend's end at most so long. */
static void backend_wait(struct launch *launch, int msecs)
{
	struct pollfd pfd = { .fd = launch->signal_fd, .events = POLLIN };
	uint64_t now, deadline = clock_msecs() + (uint64_t)msecs;

	while (!launch->ended && (now = clock_msecs()) < deadline) {
		(void)poll(&pfd, 1, (int)(deadline - now));
		(void)signals_read(launch);
	}
}

/* Wait until the backend has ended, or the launcher has to. Returns true if the
 * parent is gone. */
static bool watch(struct launch *launch)
{
	struct pollfd pfds[2] = {
		{ .fd = launch->signal_fd, .events = POLLIN },
		{ .fd = STDERR_FILENO },
	};

	while (!launch->ended) {
		if (poll(pfds, 2, -1) < 0 && errno != EINTR)
			return false;
		if (signals_read(launch))
			return getppid() != launch->parent;
		if ((pfds[1].revents & (POLLERR | POLLHUP)) != 0)
			return true;
		if ((pfds[1].revents & POLLNVAL) != 0)
			pfds[1].fd = -1;
	}
	return false;
}

/* Go over into another process group, or SIGKILL for the own one would take the
 * exit status along: into that of a child which made it and ended, but is not
 * reaped yet. The own group's id remains ours as long as our pid does. A
 * session leader, which core/session/proc never makes of us, has to stay. */
static void leave_group(struct launch *launch)
{
	siginfo_t info;
	pid_t pid;

	if (launch->left_group || getsid(0) == launch->self)
		return;
	pid = fork();
	if (pid == 0)
		_exit(setpgid(0, 0) == 0 ? EX_OK : EX_OSERR);
	if (pid < 0)
		return;
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 &&
	       errno == EINTR)
		;
	launch->left_group = setpgid(0, pid) == 0;
	(void)waitpid(pid, NULL, 0);
}

/* Signal the group and the backend, which may have left it (setsid). Not yet
 * reaped, its pid is its own. */
static void group_signal(const struct launch *launch, int sig)
{
	(void)kill(-launch->self, sig);
	if (!launch->ended && getpgid(launch->backend) != launch->self)
		(void)kill(launch->backend, sig);
}

static void group_kill(struct launch *launch)
{
	leave_group(launch);
	if (launch->left_group)
		group_signal(launch, SIGKILL);
	else if (!launch->ended)
		(void)kill(launch->backend, SIGKILL);
}

static void backend_end(struct launch *launch, bool parent_gone)
{
	if (parent_gone)
		backend_wait(launch, launch->grace_msecs);
	if (launch->ended)
		return;
	group_signal(launch, SIGTERM);
	backend_wait(launch, LAUNCH_TERM_MSECS);
	if (launch->ended)
		return;
	group_kill(launch);
	backend_wait(launch, LAUNCH_KILL_MSECS);
	if (!launch->ended)
		launch->status = LAUNCH_SIGNAL_BASE + SIGKILL;
}

/* The backend has ended; so must what is left of its group. */
static void stragglers_end(struct launch *launch)
{
	struct timespec step = {
		.tv_nsec = LAUNCH_STRAGGLER_STEP_MSECS * 1000000L
	};
	uint64_t deadline = clock_msecs() + LAUNCH_STRAGGLER_MSECS;

	leave_group(launch);
	if (kill(-launch->self, SIGTERM) < 0 || !launch->left_group)
		return;
	while (kill(-launch->self, 0) == 0 && clock_msecs() < deadline)
		(void)nanosleep(&step, NULL);
	group_kill(launch);
}

/* What those left behind who were killed; the backend is starting meanwhile. */
static void sweep_beside(const char *tmp)
{
	char *dir = strdup(tmp);
	char *slash = dir == NULL ? NULL : strrchr(dir, '/');

	if (slash != NULL && slash > dir) {
		*slash = '\0';
		sweep_dead(dir);
	}
	free(dir);
}

static int launch_run(struct launch *launch)
{
	const char *tmp = getenv("BRIDGE_TMP");

	/* its lock goes with this process */
	if (tmp != NULL && sweep_make(tmp) < 0)
		return launch_failed(EX_OSERR, tmp, strerror(errno));
	backend_start(launch);
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	if (tmp != NULL)
		sweep_beside(tmp);
	backend_end(launch, watch(launch));
	stragglers_end(launch);
	if (tmp != NULL)
		(void)rmtree_remove(tmp);
	if (!launch->ended)
		backend_wait(launch, LAUNCH_KILL_MSECS);
	return launch->status;
}

/* It is not for the backend. */
static int take_grace(void)
{
	const char *text = getenv(LAUNCH_GRACE_ENV);
	long msecs = text == NULL ? 0 : strtol(text, NULL, 10);

	(void)unsetenv(LAUNCH_GRACE_ENV);
	return msecs > 0 && msecs <= LAUNCH_GRACE_MAX_MSECS ? (int)msecs :
		LAUNCH_GRACE_MSECS;
}

int main(int argc, char **argv)
{
	struct launch launch = {
		.argv = argv + 1,
		.self = getpid(),
		.parent = getppid(),
	};
	int status;

	if (argc < 2) {
		fputs("usage: dovebridge-launch PROGRAM [ARG...]\n", stderr);
		return EX_USAGE;
	}
	status = refuse_root();
	if (status != EX_OK)
		return status;
	launch.grace_msecs = take_grace();
	stdio_open();
	closefrom(STDERR_FILENO + 1);
	launch.signal_fd = signals_open();
	if (launch.signal_fd < 0)
		return launch_failed(EX_OSERR, "signalfd", strerror(errno));
	if (getpgrp() != launch.self && setpgid(0, 0) < 0)
		return launch_failed(EX_OSERR, "setpgid", strerror(errno));
	return launch_run(&launch);
}
