#include "keeper.h"
#include "clock.h"
#include "rmtree.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <bsd/unistd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define KEEPER_STEP_MSECS 50	/* between two looks at what is left */

void keeper_signals(sigset_t *set)
{
	struct sigaction hup;

	(void)sigemptyset(set);
	(void)sigaddset(set, SIGCHLD);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	/* not under nohup: a signal that is blocked comes even if ignored */
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
		(void)sigaddset(set, SIGHUP);
}

struct keeper {
	pid_t master;
	int signal_fd;
	int log_fd;		/* what Dovecot says; -1 = no more */
	bool held;		/* there is some, for a stderr that is busy */
	bool told;		/* to end */
};

/* Pass on what Dovecot says; but not that it was told to end. */
static void pass_log(struct keeper *keeper)
{
	char text[4096];
	ssize_t len = read(keeper->log_fd, text, sizeof(text));

	if (len <= 0) {
		(void)close(keeper->log_fd);
		keeper->log_fd = -1;
	}
	if (len > 0 && !keeper->told)
		(void)!write(STDERR_FILENO, text, (size_t)len);
}

/* Wait for a signal, -1: for ever, and pass on the log meanwhile; a terminal
   that was stopped holds up that alone. Returns the signal, 0 if none came. */
static int next_signal(struct keeper *keeper, int msecs)
{
	struct signalfd_siginfo info;
	struct pollfd fds[] = {
		{ .fd = keeper->signal_fd, .events = POLLIN },
		{ .fd = keeper->held ? STDERR_FILENO : keeper->log_fd,
		  .events = keeper->held ? POLLOUT : POLLIN },
	};

	if (poll(fds, 2, msecs) > 0 && fds[1].revents != 0) {
		if (keeper->held)
			pass_log(keeper);
		keeper->held = !keeper->held && keeper->log_fd >= 0;
	}
	if (read(keeper->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Die with the parent, who may have died already. */
static void follow(pid_t parent, int sig)
{
	(void)prctl(PR_SET_PDEATHSIG, sig);
	if (getppid() != parent)
		(void)kill(getpid(), sig);
}

static void exec_master(char *const *argv, char *const *env, pid_t parent)
{
	sigset_t none;

	(void)setsid();
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	follow(parent, SIGTERM);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	closefrom(STDERR_FILENO + 1);
	(void)execve(argv[0], argv, env);
	tool_warn("cannot run %s: %s", argv[0], strerror(errno));
	_exit(EX_UNAVAILABLE);
}

/* Take all that have ended; true if the master is one of them. */
static bool reap(pid_t master)
{
	bool met = false;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		met = met || pid == master;
	return met;
}

/* Until the master has ended, which it is told to when we are. */
static void keep_master(struct keeper *keeper)
{
	uint64_t deadline = UINT64_MAX;
	int sig;

	while (!reap(keeper->master)) {
		sig = next_signal(keeper, keeper->told ? KEEPER_STEP_MSECS :
				  -1);
		if (sig != 0 && sig != SIGCHLD && !keeper->told) {
			keeper->told = true;
			deadline = clock_msecs() + KEEPER_STOP_MSECS;
			(void)kill(keeper->master, SIGTERM);
		} else if (clock_msecs() >= deadline) {
			(void)kill(keeper->master, SIGKILL);
		}
	}
}

/* What the master left comes to us. Its processes are of its group; a backend's
   launcher sees the end of its imap process, and ends by itself. */
static void end_rest(struct keeper *keeper)
{
	uint64_t now = clock_msecs();
	uint64_t force = now + KEEPER_REST_MSECS;
	uint64_t give_up = force + KEEPER_GIVE_UP_MSECS;
	pid_t pid;

	(void)kill(-keeper->master, SIGTERM);
	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		now = clock_msecs();
		if (now >= give_up)
			return;
		if (now >= force)
			(void)kill(-keeper->master, SIGKILL);
		if (pid == 0)
			(void)next_signal(keeper, KEEPER_STEP_MSECS);
	}
}

/* Start the master, its stderr being a pipe to us. Returns 0, -1 and errno. */
static int start_master(struct keeper *keeper, char *const *argv,
			char *const *env)
{
	pid_t self = getpid();
	sigset_t set;
	int log[2];

	keeper_signals(&set);
	keeper->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper->signal_fd < 0 || pipe2(log, O_CLOEXEC) < 0)
		return -1;
	keeper->log_fd = log[0];
	(void)fcntl(log[0], F_SETFL, O_NONBLOCK);
	keeper->master = fork();
	if (keeper->master == 0) {
		(void)dup2(log[1], STDERR_FILENO);
		exec_master(argv, env, self);
	}
	(void)close(log[1]);
	return keeper->master < 0 ? -1 : 0;
}

static void __attribute__((noreturn))
keep(char *const *argv, char *const *env, const char *dir, pid_t parent)
{
	struct keeper keeper = { .log_fd = -1 };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* who reads our stdout waits for the end of serve, not for ours */
	if (null_fd >= 0) {
		(void)dup2(null_fd, STDIN_FILENO);
		(void)dup2(null_fd, STDOUT_FILENO);
	}
	closefrom(STDERR_FILENO + 1);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	follow(parent, SIGTERM);
	if (start_master(&keeper, argv, env) == 0) {
		keep_master(&keeper);
		end_rest(&keeper);
		while (keeper.log_fd >= 0)	/* its last words */
			pass_log(&keeper);
	} else {
		tool_warn("cannot start Dovecot: %s", strerror(errno));
	}
	if (rmtree_remove(dir) < 0)
		tool_warn("cannot remove %s: %s", dir, strerror(errno));
	_exit(keeper.told ? 0 : EX_UNAVAILABLE);
}

pid_t keeper_start(char *const *argv, char *const *env, const char *dir)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		keep(argv, env, dir, parent);
	return pid;
}
