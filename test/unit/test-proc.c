/* core/session/proc and dovebridge-launch together, without Dovecot.
 *
 * The backends are this program itself, started with the name of one of the
 * modes below. As root the tests first run as Dovecot's lmtp does (real uid 0,
 * effective uid nobody), then as nobody for good; else as who we are. */
#include "proc.h"
#include "rmtree.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534
#define READ_MSECS 60000
#define GONE_MSECS 60000
#define BUSY_MSECS 20000		/* what a step of the ladder takes, beyond
					   its time, on a busy machine */
#define WATCHDOG_SECS 300

static char stage[64], launcher[128], self_path[128], script_path[128];
static char tmp_dir[128];

/* In place of the C library's: a launcher that SIGKILL does not end in time, as
   when its disk hangs. */
static bool unkillable;

int waitid(idtype_t type, id_t id, siginfo_t *info, int flags)
{
	if (!unkillable)
		return (int)syscall(SYS_waitid, type, id, info, flags, NULL);
	memset(info, 0, sizeof(*info));
	return 0;
}

pid_t waitpid(pid_t pid, int *status, int flags)
{
	return unkillable ? 0 :
		(pid_t)syscall(SYS_wait4, pid, status, flags, NULL);
}

static long long now_msecs(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void sleep_msecs(long msecs)
{
	struct timespec ts = { msecs / 1000, msecs % 1000 * 1000000L };

	(void)nanosleep(&ts, NULL);
}

/* --- backends ---------------------------------------------------------------- */

static void show_status(void)
{
	static const char *const wanted[] = {
		"Uid:", "Gid:", "Groups:", "SigBlk:", "SigIgn:", "CapPrm:",
	};
	FILE *f = fopen("/proc/self/status", "r");
	char line[1024];
	size_t i;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
				fputs(line, stdout);
		}
	}
	if (f != NULL)
		(void)fclose(f);
}

static int mode_show(void)
{
	char cwd[4096];
	struct rlimit core;
	int i, death = 0;
	char **env;

	for (i = 0; i < 256; i++) {
		if (fcntl(i, F_GETFD) >= 0)
			printf("fd %d%s\n", i, (fcntl(i, F_GETFL) &
						O_NONBLOCK) ? " nonblock" : "");
	}
	show_status();
	printf("group %s\n", getpgrp() == getppid() ? "launcher" : "other");
	printf("regain %d%d%d\n", setuid(0), seteuid(0), setresuid(0, 0, 0));
	(void)getrlimit(RLIMIT_CORE, &core);
	printf("core %ld\n", (long)core.rlim_max);
	printf("umask %o\n", (unsigned int)umask(0));
	(void)prctl(PR_GET_PDEATHSIG, &death);
	printf("death %d\n", death);
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)));
	for (env = environ; *env != NULL; env++)
		printf("env %s\n", *env);
	return 0;
}

static int mode_hang(bool chatty)
{
	(void)signal(SIGTERM, SIG_IGN);
	printf("pid %d\n", (int)getpid());
	(void)fflush(stdout);
	for (;;) {
		if (!chatty)
			(void)pause();
		else if (write(1, "* MSG a\n", 8) < 0 ||
			 write(2, "endless\n", 8) < 0)
			(void)pause();
	}
	return 0;
}

/* A grandchild that ignores SIGTERM and keeps the pipes; then exit or stay. */
static int mode_grandchild(bool stay)
{
	(void)signal(SIGTERM, SIG_IGN);
	if (fork() == 0) {
		for (;;)
			(void)pause();
	}
	printf("pid %d\n", (int)getpid());
	(void)fflush(stdout);
	sleep_msecs(200);
	while (stay)
		(void)pause();
	return 7;
}

/* Several writers that are faster than one reader. */
static int mode_spam(void)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	block[sizeof(block) / 2] = block[sizeof(block) - 1] = '\n';
	(void)!fork();
	for (;;) {
		if (write(2, block, sizeof(block)) < 0)
			return 1;
	}
}

/* Out of the launcher's process group, and deaf. */
static int mode_away(void)
{
	pid_t pid = setsid();

	return pid < 0 ? 1 : mode_hang(false);
}

static int mode_closes(void)
{
	(void)close(0);
	(void)close(1);
	for (;;)
		(void)pause();
	return 0;
}

/* At EOF, more replies than a pipe holds, then a right end. */
static int mode_flood(void)
{
	static char block[65536];
	int i;

	puts("ready");
	(void)fflush(stdout);
	while (read(0, block, sizeof(block)) > 0)
		;
	for (i = 0; i < 64; i++) {
		if (write(1, block, sizeof(block)) != (ssize_t)sizeof(block))
			return 1;
	}
	return 0;
}

static int mode_litter(void)
{
	const char *tmp = getenv("BRIDGE_TMP");
	char path[512];

	if (chdir(tmp) < 0)
		return 1;
	(void)!symlink(stage[0] ? stage : getenv("HOME"), "link");
	(void)!symlink("/nonexistent", "dangling");
	(void)mkdir("a", 0700);
	(void)mkdir("a/b", 0700);
	(void)!symlink(getenv("HOME"), "a/b/link");
	(void)snprintf(path, sizeof(path), "%s/keep", getenv("HOME"));
	(void)!link(path, "hard");
	(void)close(open("a/b/file", O_CREAT | O_WRONLY, 0600));
	(void)mkfifo("fifo", 0600);
	(void)mkdir("locked", 0700);
	(void)close(open("locked/file", O_CREAT | O_WRONLY, 0600));
	(void)chmod("locked", 0);
	(void)chmod("a", 0500);
	puts(access("a/b/file", F_OK) == 0 ? "littered" : "failed");
	return 0;
}

static int mode_words(const char *count)
{
	int i, n = atoi(count);

	for (i = 1; i <= n; i++)
		(void)fprintf(stderr, "line %d\n", i);
	return 3;
}

static int mode_polite(void)
{
	char mem[64];

	puts("ready");
	(void)fflush(stdout);
	while (read(0, mem, sizeof(mem)) > 0)
		;
	(void)fputs("bye\n", stderr);
	return 0;
}

static int backend(int argc, char **argv)
{
	const char *mode = argv[1];
	int i;

	if (strcmp(mode, "show") == 0)
		return mode_show();
	if (strcmp(mode, "hang") == 0)
		return mode_hang(false);
	if (strcmp(mode, "endless") == 0)
		return mode_hang(true);
	if (strcmp(mode, "grandchild") == 0)
		return mode_grandchild(false);
	if (strcmp(mode, "family") == 0)
		return mode_grandchild(true);
	if (strcmp(mode, "spam") == 0)
		return mode_spam();
	if (strcmp(mode, "away") == 0)
		return mode_away();
	if (strcmp(mode, "flood") == 0)
		return mode_flood();
	if (strcmp(mode, "closes") == 0)
		return mode_closes();
	if (strcmp(mode, "litter") == 0)
		return mode_litter();
	if (strcmp(mode, "words") == 0)
		return mode_words(argv[2]);
	if (strcmp(mode, "polite") == 0)
		return mode_polite();
	if (strcmp(mode, "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(mode, "echo") == 0) {
		(void)fprintf(stderr, "%s", argv[2]);
		return 1;
	}
	if (strcmp(mode, "signal") == 0) {
		(void)signal(atoi(argv[2]), SIG_DFL);
		return raise(atoi(argv[2])), 1;
	}
	if (strcmp(mode, "argv0") == 0)
		return puts(argv[0]) < 0;
	if (strcmp(mode, "args") == 0) {
		for (i = 2; i < argc; i++)
			printf("[%s]", argv[i]);
		return 0;
	}
	return 99;
}

/* --- running them ------------------------------------------------------------ */

struct lines {
	unsigned int count;
	struct buf text;
};

static struct lines lines;

static void lines_cb(void *context, struct view line)
{
	struct lines *to = context;

	to->count++;
	if (to->text.len < 100000) {
		buf_append_view(&to->text, line);
		buf_append_c(&to->text, '\n');
	}
}

static struct proc_settings settings(const char *const *argv)
{
	struct proc_settings set = {
		.launcher = launcher,
		.argv = argv,
		.user = "alice",
		.home = stage,
		.tmp_dir = tmp_dir,
		.stderr_cb = lines_cb,
		.context = &lines,
	};

	lines.count = 0;
	buf_clear(&lines.text);
	return set;
}

static struct proc *start_set(const struct proc_settings *set)
{
	struct fault fault;
	struct proc *proc;

	if (proc_start(set, &proc, &fault) < 0) {
		printf("Bail out! %s\n", fault.log);
		exit(1);
	}
	return proc;
}

#define ARGV(...) ((const char *const []){ __VA_ARGS__, NULL })

static struct proc *start(const char *const *argv)
{
	struct proc_settings set = settings(argv);

	return start_set(&set);
}

/* One whose end is not hurried, however busy the machine is. */
static struct proc *start_patient(const char *const *argv)
{
	struct proc_settings set = settings(argv);

	set.grace_msecs = BUSY_MSECS;
	return start_set(&set);
}

/* Read replies until EOF, or with until_lf to the first line's end; stderr too.
 * Returns what was read, or NULL if it took too long. */
static const char *read_all(struct proc *proc, bool until_lf)
{
	static char mem[65536];
	long long deadline = now_msecs() + READ_MSECS;
	size_t len = 0;
	ssize_t ret;

	memset(mem, 0, sizeof(mem));
	while (now_msecs() < deadline && len < sizeof(mem) - 1) {
		struct pollfd pfds[2] = {
			{ .fd = proc_fd_out(proc), .events = POLLIN },
			{ .fd = proc_fd_err(proc), .events = POLLIN },
		};

		(void)poll(pfds, 2, 100);
		if (pfds[1].revents != 0)
			proc_stderr_read(proc);
		ret = read(proc_fd_out(proc), mem + len, sizeof(mem) - 1 - len);
		if (ret == 0)
			return mem;
		if (ret > 0)
			len += (size_t)ret;
		if (until_lf && strchr(mem, '\n') != NULL)
			return mem;
	}
	return NULL;
}

/* Run to the end and return all of its stdout; the exit text in *text_r. */
static const char *run(const char *const *argv, char *text_r, size_t size)
{
	struct proc *proc = start_patient(argv);
	const char *out = read_all(proc, false);

	proc_stop(proc, PROC_END_POLITE);
	(void)snprintf(text_r, size, "%s", proc_exit_text(proc));
	proc_free(&proc);
	return out == NULL ? "(timeout)" : out;
}

static pid_t pid_in(const char *out)
{
	const char *p = out == NULL ? NULL : strstr(out, "pid ");

	return p == NULL ? 0 : (pid_t)atoi(p + 4);
}

/* A process that ended counts as gone, whether or not init has reaped it. */
static bool pid_gone(pid_t pid)
{
	long long deadline = now_msecs() + GONE_MSECS;
	char path[64], line[512], *p;
	bool gone;
	FILE *f;

	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	do {
		f = fopen(path, "r");
		gone = f == NULL || fgets(line, sizeof(line), f) == NULL ||
			(p = strrchr(line, ')')) == NULL || p[2] == 'Z' ||
			p[2] == 'X';
		if (f != NULL)
			(void)fclose(f);
		if (!gone)
			sleep_msecs(10);
	} while (!gone && now_msecs() < deadline);
	return gone;
}

static bool path_gone(const char *path)
{
	long long deadline = now_msecs() + GONE_MSECS;

	while (access(path, F_OK) == 0 && now_msecs() < deadline)
		sleep_msecs(10);
	return access(path, F_OK) < 0;
}

static unsigned int group_size(pid_t pgid)
{
	unsigned int count = 0;
	char path[300], line[512], *p;
	struct dirent *d;
	DIR *dir = opendir("/proc");
	FILE *f;
	int group;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/%s/stat", d->d_name);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fgets(line, sizeof(line), f) != NULL &&
		    (p = strrchr(line, ')')) != NULL && p[2] != 'Z' &&
		    sscanf(p + 4, "%*d %d", &group) == 1 && group == pgid)
			count++;
		(void)fclose(f);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return count;
}

static bool group_gone(pid_t pgid)
{
	long long deadline = now_msecs() + GONE_MSECS;

	while (group_size(pgid) > 0 && now_msecs() < deadline)
		sleep_msecs(10);
	return group_size(pgid) == 0;
}

static bool no_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
		errno == ECHILD;
}

static bool dir_empty(const char *path)
{
	unsigned int count = 0;
	struct dirent *d;
	DIR *dir = opendir(path);

	while (dir != NULL && (d = readdir(dir)) != NULL)
		count += strcmp(d->d_name, ".") != 0 &&
			strcmp(d->d_name, "..") != 0;
	if (dir != NULL)
		(void)closedir(dir);
	return dir != NULL && count == 0;
}

/* --- what the backend is ------------------------------------------------------ */

static bool has_line(const char *out, const char *line)
{
	char text[8192];

	(void)snprintf(text, sizeof(text), "\n%s\n", line);
	return strstr(out, text) != NULL ||
		strncmp(out, text + 1, strlen(text) - 1) == 0;
}

static unsigned int count_lines(const char *out, const char *prefix)
{
	unsigned int count = 0;

	for (; out != NULL && *out != '\0'; out = strchr(out, '\n') == NULL ?
		     NULL : strchr(out, '\n') + 1)
		count += strncmp(out, prefix, strlen(prefix)) == 0;
	return count;
}

/* 32 and 33 are glibc's own: its posix_spawn(), by which make may have started
 * us, leaves them ignored, and its signal() does not touch them. */
static bool none_ignored(const char *out)
{
	const char *p = strstr(out, "SigIgn:\t");

	return p != NULL &&
		(strtoull(p + 8, NULL, 16) & ~(3ULL << 31)) == 0;
}

static void test_ids(const char *out, const char *who)
{
	char want[128];
	unsigned long u = geteuid(), g = getegid();

	(void)snprintf(want, sizeof(want), "Uid:\t%lu\t%lu\t%lu\t%lu",
		       u, u, u, u);
	ok(has_line(out, want), "%s: all four uids are the effective one", who);
	(void)snprintf(want, sizeof(want), "Gid:\t%lu\t%lu\t%lu\t%lu",
		       g, g, g, g);
	ok(has_line(out, want), "%s: all four gids are the effective one", who);
	ok(strstr(out, "Groups:\t0 ") == NULL && strstr(out, " 0 \n") == NULL,
	   "%s: no supplementary group is root's", who);
	ok(has_line(out, "regain -1-1-1"), "%s: root is not regained", who);
	ok(has_line(out, "CapPrm:\t0000000000000000"),
	   "%s: no capability is left", who);
}

static void test_environment(const char *out, const char *tmp)
{
	char want[512];

	is_num(count_lines(out, "env "), 10, "ten variables and no more");
	ok(has_line(out, "env PATH=/usr/bin:/bin"), "PATH is passed on");
	ok(has_line(out, "env LANG=C.UTF-8"), "LANG is passed on");
	ok(has_line(out, "env LC_ALL=C.UTF-8"), "LC_ALL is passed on");
	ok(has_line(out, "env TZ=UTC0"), "TZ is passed on");
	ok(has_line(out, "env BRIDGE_USER=alice"), "BRIDGE_USER is the user");
	ok(has_line(out, "env BRIDGE_PROTOCOL=1"), "BRIDGE_PROTOCOL is 1");
	ok(count_lines(out, "env USER=") == 1 &&
	   count_lines(out, "env LOGNAME=") == 1, "USER and LOGNAME are set");
	(void)snprintf(want, sizeof(want), "env HOME=%s", stage);
	ok(has_line(out, want), "HOME is the home");
	(void)snprintf(want, sizeof(want), "env BRIDGE_TMP=%s", tmp);
	ok(has_line(out, want), "BRIDGE_TMP is what proc_tmp() says");
	ok(strstr(out, "SECRET") == NULL, "no other variable leaks");
}

static void test_tmp(void)
{
	struct proc *proc = start(ARGV("/bin/cat"));
	struct stat st;

	/* once the backend answers, it is there */
	ok(write(proc_fd_in(proc), "x\n", 2) == 2 &&
	   read_all(proc, true) != NULL && stat(proc_tmp(proc), &st) == 0 &&
	   S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700 &&
	   st.st_uid == geteuid(),
	   "BRIDGE_TMP is a directory of mode 0700 and of the uid");
	proc_free(&proc);
}

static void test_show(void)
{
	char want[512];
	struct proc *proc;
	const char *out;
	int leak;

	(void)clearenv();
	(void)setenv("PATH", "/usr/bin:/bin", 1);
	(void)setenv("LANG", "C.UTF-8", 1);
	(void)setenv("TZ", "UTC0", 1);
	(void)setenv("LC_ALL", "C.UTF-8", 1);
	(void)setenv("SECRET", "password", 1);
	leak = fcntl(1, F_DUPFD, 77);	/* not close-on-exec */
	test_tmp();
	proc = start(ARGV(self_path, "show"));
	ok(strncmp(proc_tmp(proc), tmp_dir, strlen(tmp_dir)) == 0 &&
	   strstr(proc_tmp(proc), "//") == NULL, "BRIDGE_TMP is in tmp_dir");
	ok(fcntl(proc_fd_in(proc), F_GETFL) & O_NONBLOCK &&
	   fcntl(proc_fd_out(proc), F_GETFL) & O_NONBLOCK &&
	   fcntl(proc_fd_err(proc), F_GETFL) & O_NONBLOCK,
	   "our ends of the pipes do not block");
	ok(fcntl(proc_fd_in(proc), F_GETFD) & FD_CLOEXEC &&
	   fcntl(proc_fd_out(proc), F_GETFD) & FD_CLOEXEC &&
	   fcntl(proc_fd_err(proc), F_GETFD) & FD_CLOEXEC,
	   "our ends of the pipes are close-on-exec");
	out = read_all(proc, false);
	if (!ok(out != NULL, "the backend's output ends"))
		out = "";
	ok(has_line(out, "fd 0") && has_line(out, "fd 1") &&
	   has_line(out, "fd 2"), "fds 0, 1 and 2 are open and block");
	is_num(count_lines(out, "fd "), 3, "no other fd is open");
	ok(has_line(out, "SigBlk:\t0000000000000000"), "no signal is blocked");
	ok(none_ignored(out), "no signal is ignored");
	ok(has_line(out, "group launcher"), "the group is the launcher's own");
	ok(has_line(out, "core 0"), "no core file");
	ok(has_line(out, "umask 77"), "umask is 077");
	ok(has_line(out, "death 9"), "it dies with the launcher");
	(void)snprintf(want, sizeof(want), "cwd %s", stage);
	ok(has_line(out, want), "it runs in the home");
	test_ids(out, "user");
	test_environment(out, proc_tmp(proc));
	proc_stop(proc, PROC_END_POLITE);
	is_str(proc_exit_text(proc), "exited with status 0", "exit text of 0");
	ok(access(proc_tmp(proc), F_OK) < 0, "BRIDGE_TMP is gone at exit");
	proc_free(&proc);
	ok(proc == NULL, "proc_free sets the pointer to NULL");
	(void)close(leak);
}

static void test_defaults(void)
{
	struct proc_settings set = settings(ARGV(self_path, "show"));
	struct proc *proc;
	const char *out;
	char dir[256];

	(void)clearenv();
	set.home = "/nonexistent/home";
	(void)snprintf(dir, sizeof(dir), "%s///", tmp_dir);
	set.tmp_dir = dir;
	proc = start_set(&set);
	out = read_all(proc, false);
	ok(has_line(out, "cwd /"), "without a home it runs in /");
	ok(has_line(out, "env HOME=/nonexistent/home"), "HOME is kept");
	ok(has_line(out, "env PATH=/usr/local/bin:/usr/bin:/bin"),
	   "without a PATH there is a sane one");
	ok(strstr(proc_tmp(proc), "//") == NULL, "slashes of tmp_dir are cut");
	proc_free(&proc);

	set = settings(ARGV(self_path, "show"));
	set.cwd = tmp_dir;
	proc = start_set(&set);
	out = read_all(proc, false);
	ok(strstr(out, tmp_dir) != NULL, "it runs in cwd");
	proc_free(&proc);

	set = settings(ARGV(self_path, "show"));
	set.cwd = "/nonexistent/cwd";
	proc = start_set(&set);
	(void)read_all(proc, false);
	proc_stop(proc, PROC_END_POLITE);
	is_str(proc_exit_text(proc), "could not be started: "
	       "cannot enter /nonexistent/cwd: No such file or directory",
	       "a cwd that is not there is named");
	proc_free(&proc);
	(void)setenv("PATH", "/usr/bin:/bin", 1);
}

static void test_low_fds(void)
{
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 50);
	const char *out;
	char text[1024];

	(void)close(0);
	out = run(ARGV(self_path, "show"), text, sizeof(text));
	ok(has_line(out, "fd 0") && count_lines(out, "fd ") == 3,
	   "it starts right when fd 0 is closed here");
	(void)dup2(saved, 0);
	(void)close(saved);
}

static void test_args(void)
{
	char text[1024];
	const char *out;

	out = run(ARGV(self_path, "args", "a b", "", "it's \"q\" \\n $HOME *",
		       "gr\xc3\xbc\xc3\x9f", "\xff\x01", "-x", "--", "%u"),
		  text, sizeof(text));
	is_str(out, "[a b][][it's \"q\" \\n $HOME *][gr\xc3\xbc\xc3\x9f]"
	       "[\xff\x01][-x][--][%u]", "arguments pass unchanged");
	out = run(ARGV(self_path, "argv0"), text, sizeof(text));
	ok(strncmp(out, self_path, strlen(self_path)) == 0,
	   "argv[0] is the program as it was named");
	out = run(ARGV("sh", "-c", "echo found"), text, sizeof(text));
	is_str(out, "found\n", "a name without a slash is looked up in PATH");
	out = run(ARGV(script_path), text, sizeof(text));
	ok(has_line(out, "end") && has_line(out, "umask 0077"),
	   "a shell script runs");
}

/* --- how it ends -------------------------------------------------------------- */

static void test_exit_texts(void)
{
	char text[2048], want[512];
	struct proc *proc;

	(void)run(ARGV(self_path, "words", "2"), text, sizeof(text));
	is_str(text, "exited with status 3; its last words: \"line 1 / line 2\"",
	       "status and last words are reported");
	(void)run(ARGV(self_path, "words", "12"), text, sizeof(text));
	is_str(text, "exited with status 3; its last words: \"line 8 / line 9 "
	       "/ line 10 / line 11 / line 12\"", "five last lines are kept");
	is_num(lines.count, 12, "each line is passed on");
	(void)run(ARGV(self_path, "echo", "a\x1b[31m\xff\tb"), text,
		  sizeof(text));
	is_str(text, "exited with status 1; its last words: \"a?[31m??b\"",
	       "last words are sanitised, the last LF may lack");
	is_str(buf_str(&lines.text), "a\x1b[31m\xff\tb\n",
	       "the callback gets raw bytes");
	(void)run(ARGV(self_path, "echo", "debug: x\nwhy\n\ndebug: y\n"), text,
		  sizeof(text));
	is_str(text, "exited with status 1; its last words: \"why\"",
	       "debug lines and empty lines are no last words");
	(void)run(ARGV(self_path, "echo",
		       "error: could not be started: other\n"), text,
		  sizeof(text));
	is_str(text, "exited with status 1; its last words: "
	       "\"error: could not be started: other\"",
	       "a backend that ran cannot say that it did not");
	(void)run(ARGV(self_path, "signal", "11"), text, sizeof(text));
	is_str(text, "was killed by signal 11 (Segmentation fault)",
	       "a signal is reported");
	(void)run(ARGV(self_path, "exit", "255"), text, sizeof(text));
	is_str(text, "exited with status 255", "status 255 is no signal");
	(void)run(ARGV("/nonexistent/store"), text, sizeof(text));
	is_str(text, "could not be started: /nonexistent/store: "
	       "No such file or directory", "a missing program is named");
	(void)run(ARGV("no-such-store-x"), text, sizeof(text));
	is_str(text, "could not be started: no-such-store-x: "
	       "No such file or directory", "a program not in PATH is named");
	(void)snprintf(want, sizeof(want), "could not be started: %s/keep: "
		       "Permission denied", stage);
	(void)snprintf(text, sizeof(text), "%s/keep", stage);
	(void)run(ARGV(text), text, sizeof(text));
	is_str(text, want, "a program that is not executable is named");

	proc = start(ARGV(self_path, "exit", "78"));
	(void)read_all(proc, false);
	proc_stop(proc, PROC_END_POLITE);
	ok(proc_exit_config(proc), "status 78 is EX_CONFIG");
	proc_free(&proc);
	proc = start(ARGV(self_path, "exit", "77"));
	proc_stop(proc, PROC_END_POLITE);
	ok(!proc_exit_config(proc), "status 77 is not");
	proc_free(&proc);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", stage, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 ||
	    fchmod(fd, mode) < 0) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(1);
	}
	(void)close(fd);
}

static void test_interpreters(void)
{
	char text[2048], want[512], path[256];

	write_file("bad.sh", "#!/nonexistent/sh -e\n", 0755);
	(void)snprintf(path, sizeof(path), "%s/bad.sh", stage);
	(void)run(ARGV(path), text, sizeof(text));
	(void)snprintf(want, sizeof(want), "could not be started: %s: its "
		       "interpreter /nonexistent/sh: No such file or directory",
		       path);
	is_str(text, want, "a missing interpreter is named");
	write_file("dos.sh", "#!/bin/sh\r\necho\r\n", 0755);
	(void)snprintf(path, sizeof(path), "%s/dos.sh", stage);
	(void)run(ARGV(path), text, sizeof(text));
	(void)snprintf(want, sizeof(want), "could not be started: %s: its "
		       "interpreter /bin/sh\\r: No such file or directory",
		       path);
	is_str(text, want, "an interpreter line that ends in CR shows it");
}

static void test_faults(void)
{
	struct proc_settings set = settings(ARGV(self_path, "show"));
	struct fault fault;
	struct proc *proc;

	set.tmp_dir = "/nonexistent/tmp";
	is_num(proc_start(&set, &proc, &fault), -1, "no tmp_dir, no start");
	ok(fault.code == FAULT_UNAVAILABLE && proc == NULL &&
	   strstr(fault.log, "/nonexistent/tmp") != NULL, "it is named");
	set.tmp_dir = "relative";
	is_num(proc_start(&set, &proc, &fault), -1, "tmp_dir is absolute");
	set = settings(ARGV(NULL));
	is_num(proc_start(&set, &proc, &fault), -1, "a program must be named");
	set = settings(ARGV(self_path, "show"));
	set.launcher = "/nonexistent/launch";
	proc = start_set(&set);
	(void)read_all(proc, false);
	proc_stop(proc, PROC_END_POLITE);
	is_str(proc_exit_text(proc), "could not be started: "
	       "/nonexistent/launch: No such file or directory",
	       "a missing launcher is named");
	proc_free(&proc);
	ok(dir_empty(tmp_dir), "nothing is left in tmp_dir");
}

static void test_stops(void)
{
	struct proc *proc = start_patient(ARGV(self_path, "polite"));
	long long began, took;
	pid_t pid, group;

	(void)read_all(proc, true);
	began = now_msecs();
	proc_stop(proc, PROC_END_POLITE);
	ok(now_msecs() - began < BUSY_MSECS, "EOF on stdin is enough");
	is_str(proc_exit_text(proc),
	       "exited with status 0; its last words: \"bye\"",
	       "it may still speak at its end");
	proc_free(&proc);

	proc = start_patient(ARGV(self_path, "flood"));
	(void)read_all(proc, true);
	proc_stop(proc, PROC_END_POLITE);
	is_str(proc_exit_text(proc), "exited with status 0",
	       "replies that nobody reads any more do not hold it");
	proc_free(&proc);

	proc = start(ARGV("sleep", "100"));
	began = now_msecs();
	proc_stop(proc, PROC_END_POLITE);
	took = now_msecs() - began;
	ok(took >= PROC_GRACE_MSECS &&
	   took < PROC_GRACE_MSECS + BUSY_MSECS,
	   "one that does not read is given the grace (%lld ms)", took);
	is_str(proc_exit_text(proc), "was killed by signal 15 (Terminated)",
	       "and then SIGTERM");
	proc_free(&proc);

	proc = start(ARGV(self_path, "hang"));
	pid = pid_in(read_all(proc, true));
	group = proc_pid(proc);
	began = now_msecs();
	proc_stop(proc, PROC_END_FORCE);
	took = now_msecs() - began;
	ok(took >= PROC_TERM_MSECS - 100 &&
	   took < PROC_TERM_MSECS + BUSY_MSECS,
	   "one that ignores SIGTERM ends in time (%lld ms)", took);
	is_str(proc_exit_text(proc), "was killed by signal 9 (Killed)",
	       "by SIGKILL");
	ok(pid_gone(pid) && group_gone(group), "and nothing is left");
	ok(path_gone(proc_tmp(proc)), "its BRIDGE_TMP is gone");
	proc_free(&proc);
}

static void test_hostages(void)
{
	struct proc *proc = start(ARGV(self_path, "endless"));
	long long began = now_msecs(), longest = 0, t;
	pid_t pid;
	int i;

	pid = pid_in(read_all(proc, true));
	began = now_msecs();
	for (i = 0; i < 200; i++) {
		char mem[4096];

		(void)!read(proc_fd_out(proc), mem, sizeof(mem));
		t = now_msecs();
		proc_stderr_read(proc);
		if (now_msecs() - t > longest)
			longest = now_msecs() - t;
		if (i % 20 == 0)
			sleep_msecs(10);
	}
	ok(longest < BUSY_MSECS, "endless stderr does not hold us (%lld ms)", longest);
	ok(lines.count <= PROC_STDERR_BURST +
	   ((now_msecs() - began) / 1000 + 1) * (PROC_STDERR_RATE + 1),
	   "its lines are limited (%u)", lines.count);
	began = now_msecs();
	proc_stop(proc, PROC_END_POLITE);
	t = now_msecs() - began;
	ok(t < PROC_GRACE_MSECS + PROC_TERM_MSECS + BUSY_MSECS,
	   "it ends in time (%lld ms)", t);
	ok(strstr(buf_str(&lines.text), " more lines\n") != NULL,
	   "lines left out are counted");
	ok(pid_gone(pid), "and is gone");
	proc_free(&proc);
}

static void test_spam(void)
{
	struct proc *proc = start(ARGV(self_path, "spam"));
	int fd = proc_fd_err(proc), before = 0, after = 0;
	long long began = now_msecs();

	/* a bigger pipe than one call empties; it may be refused */
	(void)fcntl(fd, F_SETPIPE_SZ, 512 * 1024);
	while (before < fcntl(fd, F_GETPIPE_SZ) / 2 &&
	       now_msecs() - began < READ_MSECS) {
		sleep_msecs(10);
		(void)ioctl(fd, FIONREAD, &before);
	}
	proc_stderr_read(proc);
	(void)ioctl(fd, FIONREAD, &after);
	ok(before > 0 && after >= before - 64 * 1024,
	   "one call takes a bounded part of stderr (%d of %d left)", after,
	   before);
	began = now_msecs();
	proc_stop(proc, PROC_END_FORCE);
	ok(now_msecs() - began < BUSY_MSECS, "SIGTERM ends it");
	ok(strlen(proc_exit_text(proc)) < FAULT_LOG_MAX,
	   "and the exit text is bounded");
	proc_free(&proc);
}

static void test_away(void)
{
	struct proc *proc = start(ARGV(self_path, "away"));
	pid_t pid = pid_in(read_all(proc, true));
	long long began = now_msecs();

	proc_stop(proc, PROC_END_FORCE);
	ok(now_msecs() - began < PROC_TERM_MSECS + BUSY_MSECS &&
	   pid_gone(pid),
	   "a backend in a session of its own ends in time");
	is_str(proc_exit_text(proc), "was killed by signal 9 (Killed)",
	       "by SIGKILL of the launcher");
	proc_free(&proc);
}

static void test_closes(void)
{
	struct proc *proc = start(ARGV(self_path, "closes"));
	long long deadline = now_msecs() + READ_MSECS;
	const char *out = read_all(proc, false);

	ok(out != NULL && *out == '\0',
	   "a backend that closes its stdout is seen to");
	while (write(proc_fd_in(proc), "x", 1) == 1 && now_msecs() < deadline)
		sleep_msecs(5);
	ok(errno == EPIPE, "and one that closes its stdin");
	proc_free(&proc);
}

static void test_long_line(void)
{
	struct proc *proc = start(ARGV("sh", "-c",
		"printf '%5000s|\\nnext\\n' x | tr ' ' x >&2"));

	(void)read_all(proc, false);
	proc_stop(proc, PROC_END_POLITE);
	is_num(lines.count, 2, "a line too long is one line");
	ok(lines.text.len == PROC_STDERR_LINE_MAX + strlen("\nnext\n") &&
	   strstr(buf_str(&lines.text), "x\nnext\n") != NULL,
	   "cut, and the next is whole");
	proc_free(&proc);
}

static void test_stragglers(void)
{
	long long began = now_msecs();
	struct proc *proc = start(ARGV(self_path, "grandchild"));
	pid_t group = proc_pid(proc);
	const char *out = read_all(proc, false);

	ok(out != NULL && now_msecs() - began < BUSY_MSECS,
	   "a grandchild that keeps the pipe does not keep EOF away");
	ok(group_gone(group), "the launcher has ended it");
	proc_stop(proc, PROC_END_POLITE);
	is_str(proc_exit_text(proc), "exited with status 7",
	       "the status is the backend's");
	proc_free(&proc);

	proc = start(ARGV(self_path, "family"));
	(void)read_all(proc, true);
	group = proc_pid(proc);
	is_num(group_size(group), 3, "launcher, backend and grandchild");
	proc_stop(proc, PROC_END_FORCE);
	ok(group_gone(group), "are all gone after proc_stop");
	proc_free(&proc);
}

static void test_launcher_killed(void)
{
	struct proc *proc = start_patient(ARGV(self_path, "family"));
	pid_t group = proc_pid(proc), pid = pid_in(read_all(proc, true));
	long long began;

	sleep_msecs(100);
	(void)kill(group, SIGKILL);
	ok(pid_gone(pid), "the backend dies with a killed launcher");
	began = now_msecs();
	proc_stop(proc, PROC_END_POLITE);
	ok(now_msecs() - began < BUSY_MSECS, "that needs no ladder");
	is_str(proc_exit_text(proc), "was killed by signal 9 (Killed)",
	       "and is reported");
	ok(group_gone(group), "the grandchild is gone too");
	ok(access(proc_tmp(proc), F_OK) < 0, "its BRIDGE_TMP is gone");
	proc_free(&proc);
}

/* Start a family in a process of its own and kill that one. */
static void test_parent_killed(const char *mode)
{
	struct { pid_t launcher, backend; char tmp[256]; } ids;
	struct proc *proc;
	int fds[2];
	pid_t pid;

	memset(&ids, 0, sizeof(ids));
	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(1);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		proc = start(ARGV(self_path, mode));
		ids.backend = pid_in(read_all(proc, true));
		ids.launcher = proc_pid(proc);
		(void)snprintf(ids.tmp, sizeof(ids.tmp), "%s", proc_tmp(proc));
		sleep_msecs(100);
		(void)!write(fds[1], &ids, sizeof(ids));
		(void)raise(SIGKILL);
	}
	(void)close(fds[1]);
	ok(read(fds[0], &ids, sizeof(ids)) == (ssize_t)sizeof(ids),
	   "%s: started", mode);
	(void)close(fds[0]);
	(void)waitpid(pid, NULL, 0);
	ok(pid_gone(ids.backend), "%s: the backend of a killed parent ends",
	   mode);
	ok(path_gone(ids.tmp), "%s: its BRIDGE_TMP is removed", mode);
	ok(pid_gone(ids.launcher), "%s: the launcher ends", mode);
	ok(group_gone(ids.launcher), "%s: nothing is left of the group", mode);
}

static void test_reaped_by_others(void)
{
	struct proc *proc = start_patient(ARGV(self_path, "words", "1"));
	pid_t pid = proc_pid(proc);
	long long began;

	(void)read_all(proc, false);
	(void)waitpid(pid, NULL, 0);
	began = now_msecs();
	proc_stop(proc, PROC_END_POLITE);
	ok(now_msecs() - began < BUSY_MSECS,
	   "a launcher reaped by another is not waited for");
	is_str(proc_exit_text(proc), "ended, its status is not known; "
	       "its last words: \"line 1\"", "its status is not known");
	proc_free(&proc);

	(void)signal(SIGCHLD, SIG_IGN);
	proc = start(ARGV(self_path, "hang"));
	(void)read_all(proc, true);
	pid = proc_pid(proc);
	proc_free(&proc);
	ok(pid_gone(pid), "it ends where SIGCHLD is ignored");
	(void)signal(SIGCHLD, SIG_DFL);
}

static void test_outlives_kill(void)
{
	struct proc *proc = start(ARGV(self_path, "hang"));
	pid_t pid = proc_pid(proc);

	(void)read_all(proc, true);
	unkillable = true;
	proc_free(&proc);
	ok(!proc_reap_stuck(), "a launcher that SIGKILL did not end in time");
	unkillable = false;
	proc = start(ARGV(self_path, "words", "1"));
	(void)read_all(proc, false);
	proc_free(&proc);
	ok(kill(pid, 0) < 0 && errno == ESRCH,
	   "is reaped with the next start, when it has ended by then");
}

static void test_litter(void)
{
	char text[1024], keep[256];
	struct stat st;

	(void)snprintf(keep, sizeof(keep), "%s/keep", stage);
	is_str(run(ARGV(self_path, "litter"), text, sizeof(text)), "littered\n",
	       "a backend leaves folders, links and locked folders");
	ok(dir_empty(tmp_dir), "all of it is removed");
	ok(stat(keep, &st) == 0 && st.st_nlink == 1 && st.st_size == 4,
	   "nothing that a symbolic link names is touched");
}

static void test_rmtree(void)
{
	char dir[256], link_path[256], keep[256], other[256];

	(void)snprintf(dir, sizeof(dir), "%s/other", stage);
	(void)snprintf(keep, sizeof(keep), "%s/other/keep", stage);
	(void)snprintf(link_path, sizeof(link_path), "%s/" RMTREE_PREFIX "link",
		       stage);
	(void)snprintf(other, sizeof(other), "%s/" RMTREE_PREFIX "file", stage);
	(void)mkdir(dir, 0700);
	write_file("other/keep", "keep", 0600);
	write_file(RMTREE_PREFIX "file", "keep", 0600);
	(void)!symlink(dir, link_path);
	is_num(rmtree_remove(dir), -1, "a folder of another name stays");
	is_num(rmtree_remove(link_path), -1, "a symbolic link stays");
	is_num(rmtree_remove(other), -1, "a file stays");
	is_num(rmtree_remove("dovebridge.x"), -1, "a relative path is refused");
	ok(access(keep, F_OK) == 0, "and what is in them");
	(void)strcat(other, "x");
	is_num(rmtree_remove(other), 0, "nothing there is nothing to do");
	(void)unlink(keep);
	(void)rmdir(dir);
	(void)unlink(link_path);
	other[strlen(other) - 1] = '\0';
	(void)unlink(other);
}

/* In a mount namespace of a child's own: what rmtree_remove makes of a folder into
   which another one of the same disk is mounted. -1: no such mount can be made. */
static int rmtree_of_mount(const char *dir, const char *from, const char *at)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    mount(from, at, NULL, MS_BIND, NULL) < 0)
			_exit(2);
		_exit(rmtree_remove(dir) < 0 && errno == EXDEV ? 0 : 1);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) != 2 ?
		WEXITSTATUS(status) : -1;
}

static void test_rmtree_mount(void)
{
	char dir[256], from[256], at[512], keep[512];
	int ret;

	(void)snprintf(dir, sizeof(dir), "%s/" RMTREE_PREFIX "m", stage);
	(void)snprintf(at, sizeof(at), "%s/at", dir);
	(void)snprintf(from, sizeof(from), "%s/from", stage);
	(void)snprintf(keep, sizeof(keep), "%s/keep", from);
	(void)mkdir(dir, 0700);
	(void)mkdir(at, 0700);
	(void)mkdir(from, 0700);
	write_file("from/keep", "keep", 0600);
	ret = rmtree_of_mount(dir, from, at);
	if (ret >= 0) {
		is_num(ret, 0, "a mount point is an error");
		ok(access(keep, F_OK) == 0, "and what is mounted stays");
	}
	is_num(chmod(at, 0), 0, "a folder");
	is_num(chmod(dir, 0), 0, "and a locked one in it");
	is_num(rmtree_remove(dir), 1, "are removed");
	(void)unlink(keep);
	(void)rmdir(from);
}

/* --- as root ------------------------------------------------------------------ */

static void must(int ret)
{
	if (ret >= 0)
		return;
	printf("Bail out! not as a root should be: %s\n", strerror(errno));
	exit(1);
}

/* Be root, but for the effective uid and gid. */
static void drop_effective(uid_t uid, gid_t gid)
{
	must(seteuid(0));
	must(setresgid(0, gid, 0));
	must(setresuid(0, uid, 0));
}

/* What the launcher says with a real uid of root and this effective uid. */
static bool launcher_refuses(uid_t euid)
{
	char text[4096] = "";
	size_t len = 0;
	ssize_t ret;
	bool refuses;
	int fds[2];
	pid_t pid;

	must(pipe2(fds, O_CLOEXEC));
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)dup2(fds[1], STDERR_FILENO);
		must(setresuid(0, euid, euid));
		(void)execl(launcher, launcher, "true", (char *)NULL);
		_exit(1);
	}
	(void)close(fds[1]);
	while ((ret = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)ret;
	(void)close(fds[0]);
	(void)waitpid(pid, NULL, 0);
	refuses = strstr(text, "a backend is never run as root (uid 0)") != NULL;
	if (!refuses)
		printf("# it said: %s\n", text);
	return refuses;
}

static void test_refusals(void)
{
	struct proc_settings set = settings(ARGV(self_path, "show"));
	struct fault fault;
	struct proc *proc;

	is_num(proc_start(&set, &proc, &fault), -1, "root: no start as root");
	ok(strstr(fault.log, "root (uid 0)") != NULL, "root: it says so");
	drop_effective(NOBODY, 0);
	is_num(proc_start(&set, &proc, &fault), -1,
	       "root: no start with root's group");
	ok(strstr(fault.log, "gid 0") != NULL, "root: it says so");
	must(seteuid(0));
	ok(launcher_refuses(0), "root: the launcher refuses too");
	ok(launcher_refuses(NOBODY),
	   "root: the launcher refuses a real uid of root");
}

/* Effective uid nobody, real and saved uid root, all of root's groups, as in
 * lmtp and doveadm -A. */
static void test_effective_only(void)
{
	static const gid_t groups[] = { 0, 4, 6, NOBODY };
	struct proc *proc;
	const char *out;
	char text[1024];
	pid_t pid;

	must(setgroups(4, groups));
	drop_effective(NOBODY, NOBODY);
	out = run(ARGV(self_path, "show"), text, sizeof(text));
	test_ids(out, "euid only");
	ok(has_line(out, "Groups:\t65534 "), "euid only: groups are nobody's");
	out = run(ARGV(script_path), text, sizeof(text));
	ok(has_line(out, "Uid:\t65534\t65534\t65534\t65534"),
	   "euid only: nor does a shell become root");
	is_num(geteuid(), NOBODY, "euid only: we are who we were");

	/* a uid without a passwd entry */
	must(seteuid(0));
	must(chown(tmp_dir, 54321, (gid_t)-1));
	drop_effective(54321, 54321);
	out = run(ARGV(self_path, "show"), text, sizeof(text));
	test_ids(out, "no passwd entry");
	ok(has_line(out, "Groups:\t54321 "), "no passwd entry: gid alone");
	ok(has_line(out, "env USER=alice"), "no passwd entry: USER is given");

	/* another effective uid at the end: kill() is not permitted */
	must(seteuid(0));
	must(chown(tmp_dir, NOBODY, (gid_t)-1));
	drop_effective(NOBODY, NOBODY);
	proc = start(ARGV(self_path, "hang"));
	pid = pid_in(read_all(proc, true));
	drop_effective(1, 1);
	proc_stop(proc, PROC_END_FORCE);
	ok(pid_gone(pid), "other euid: it ends all the same");
	drop_effective(NOBODY, NOBODY);
	ok(path_gone(proc_tmp(proc)), "other euid: the launcher tidies up");
	proc_free(&proc);
	test_parent_killed("family");
	must(seteuid(0));
}

static void become_nobody(void)
{
	static const gid_t groups[] = { NOBODY };

	if (setgroups(1, groups) < 0 ||
	    setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0) {
		printf("Bail out! cannot become nobody\n");
		exit(1);
	}
	/* for leak checkers, and to read /proc/self */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

/* --- the stage: a folder that nobody can enter too ------------------------------ */

static void copy_file(const char *from, const char *to)
{
	char mem[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
	ssize_t len = 0;

	while (in >= 0 && out >= 0 && (len = read(in, mem, sizeof(mem))) > 0) {
		if (write(out, mem, (size_t)len) != len)
			len = -1;
	}
	if (in < 0 || out < 0 || len < 0 || fchmod(out, 0755) < 0) {
		printf("Bail out! %s: %s\n", from, strerror(errno));
		exit(1);
	}
	(void)close(in);
	(void)close(out);
}

static void stage_make(void)
{
	const char *from = getenv("DOVEBRIDGE_LAUNCH");

	(void)strcpy(stage, "/tmp/test-proc.XXXXXX");
	if (mkdtemp(stage) == NULL || chmod(stage, 0755) < 0) {
		printf("Bail out! %s: %s\n", stage, strerror(errno));
		exit(1);
	}
	(void)snprintf(launcher, sizeof(launcher), "%s/dovebridge-launch",
		       stage);
	(void)snprintf(self_path, sizeof(self_path), "%s/backend", stage);
	(void)snprintf(script_path, sizeof(script_path), "%s/showself.sh",
		       stage);
	(void)snprintf(tmp_dir, sizeof(tmp_dir), "%s/tmp", stage);
	copy_file(from != NULL ? from : "build/dovebridge-launch", launcher);
	copy_file("/proc/self/exe", self_path);
	copy_file("test/stores/showself.sh", script_path);
	write_file("keep", "keep", 0644);
	(void)mkdir(tmp_dir, 0700);
	if (geteuid() == 0) {
		char keep[256];

		(void)snprintf(keep, sizeof(keep), "%s/keep", stage);
		(void)!chown(keep, NOBODY, NOBODY);
		(void)!chown(tmp_dir, NOBODY, NOBODY);
		(void)!chown(stage, NOBODY, NOBODY);
	}
}

static void stage_remove(void)
{
	static const char *const names[] = {
		"dovebridge-launch", "backend", "showself.sh", "keep",
		"bad.sh", "dos.sh",
	};
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", stage, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(tmp_dir);
	ok(rmdir(stage) == 0, "the stage is empty in the end");
}

int main(int argc, char **argv)
{
	sigset_t set;

	if (argc > 1)
		return backend(argc, argv);
	(void)alarm(WATCHDOG_SECS);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	stage_make();
	(void)signal(SIGPIPE, SIG_IGN);
	if (geteuid() == 0) {
		test_refusals();
		test_effective_only();
		become_nobody();
	}
	/* as it may be in a process of Dovecot */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	test_show();
	test_defaults();
	test_low_fds();
	test_args();
	test_exit_texts();
	test_interpreters();
	test_faults();
	test_stops();
	test_hostages();
	test_spam();
	test_away();
	test_closes();
	test_long_line();
	test_stragglers();
	test_launcher_killed();
	test_parent_killed("family");
	test_reaped_by_others();
	test_outlives_kill();
	test_litter();
	test_rmtree();
	test_rmtree_mount();
	ok(no_children(), "no zombie and no child is left");
	ok(dir_empty(tmp_dir), "nothing is left in tmp_dir");
	stage_remove();
	buf_free(&lines.text);
	return done_testing();
}
