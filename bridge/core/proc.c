/* See proc.h. The order of things in the child is the point of this file:
 * descriptors first (so that every later failure has a stderr to be told on),
 * then limits, then privileges for good, then what depends on who we are
 * (working directory, death signal), then execve. Between fork and execve
 * nothing allocates, locks or looks up a name: that is done in the plan, before
 * the fork. */
#include "proc.h"
#include "rmtree.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <bsd/string.h>
#include <bsd/unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PROC_PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"
#define PROC_PIPE_BYTES (1024 * 1024)	/* reply pipe */
#define PROC_READ_BYTES 4096		/* one read of stderr or of lost replies */
#define PROC_READ_MAX 16		/* reads in one call */
#define PROC_WORDS_MAX 200		/* of each of the last stderr lines */
#define PROC_KILL_MSECS 500		/* SIGKILL, before giving up waiting; and
					   what the launcher may take more than
					   PROC_TERM_MSECS for its own ladder */
#define PROC_STEP_MSECS 20		/* between two looks at the launcher */
#define PROC_GROUPS_MAX 65536		/* NGROUPS_MAX of Linux */
#define PROC_PASSWD_MAX (1024 * 1024)

/* What dovebridge-launch and the child here put before a reason why the
 * backend never ran, and how they exit then (besides sysexits). */
#define PROC_FAILED "error: could not be started: "
#define PROC_NOT_FOUND 127
#define PROC_NOT_EXECUTABLE 126

/* Everything the child needs, made before the fork. */
struct proc_plan {
	uid_t uid;
	gid_t gid;
	bool privileged;		/* could become root again */
	pid_t parent;
	char *user;			/* of the passwd entry, or BRIDGE_USER */
	gid_t *groups;
	int group_count;
	char **argv;
	char **envp;
	const char *launcher;
	const char *cwd, *home;
	int in[2], out[2], err[2];
};

enum proc_state {
	PROC_RUNNING,
	PROC_ENDED,			/* status is known */
	PROC_LOST			/* somebody else reaped it */
};

struct proc {
	proc_stderr_cb *stderr_cb;
	void *context;
	char *tmp;
	uid_t uid;
	pid_t pid;
	int fd_in, fd_out, fd_err;

	char line[PROC_STDERR_LINE_MAX];
	size_t line_len;
	char words[PROC_STDERR_KEEP][PROC_WORDS_MAX];
	unsigned int word_count;	/* all ever kept */
	char failed[PROC_STDERR_LINE_MAX];	/* after PROC_FAILED */
	long long rate_sec;
	unsigned int rate_lines, rate_left_out;

	bool stopped;
	enum proc_state state;
	int status;			/* as from waitpid() */
	char *exit_text;
};

static long long now_msecs(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int proc_fault(struct fault *fault, const char *what)
{
	return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			 "cannot start the backend: %s: %s", what,
			 strerror(errno));
}

/* --- the plan: users and groups -------------------------------------------- */

static int plan_ids(struct proc_plan *plan, struct fault *fault)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) < 0 ||
	    getresgid(&rgid, &egid, &sgid) < 0)
		return proc_fault(fault, "getresuid");
	plan->uid = euid;
	plan->gid = egid;
	plan->privileged = ruid == 0 || suid == 0;
	if (euid == 0)
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"cannot start the backend: "
			"a backend is never run as root (uid 0)");
	if (plan->privileged && egid == 0)
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"cannot start the backend: uid %lu still has root's "
			"group (gid 0)", (unsigned long)euid);
	return 0;
}

/* The groups of the user by name, without root's. Those who cannot set groups
 * keep the ones they have. */
static void plan_groups(struct proc_plan *plan, const char *name)
{
	int i, to = 0, count = 64;

	plan->groups = mem_grow(NULL, (size_t)count, sizeof(gid_t));
	while (getgrouplist(name, plan->gid, plan->groups, &count) < 0 &&
	       count <= PROC_GROUPS_MAX)
		plan->groups = mem_grow(plan->groups, (size_t)count,
					sizeof(gid_t));
	if (count > PROC_GROUPS_MAX)
		count = 0;
	for (i = 0; i < count; i++) {
		if (plan->groups[i] != 0)
			plan->groups[to++] = plan->groups[i];
	}
	plan->group_count = to;
}

/* The passwd entry in memory of its own: getpwuid() has one static buffer, and
 * the caller of ours may be using it. */
static void plan_user(struct proc_plan *plan, const char *bridge_user)
{
	struct passwd entry, *pw = NULL;
	size_t size = 1024;
	char *mem = NULL;
	int ret;

	do {
		size *= 4;
		mem = mem_grow(mem, size, 1);
		ret = getpwuid_r(plan->uid, &entry, mem, size, &pw);
	} while (ret == ERANGE && size < PROC_PASSWD_MAX);

	plan->user = mem_strdup(pw != NULL ? pw->pw_name : bridge_user);
	if (plan->privileged && pw != NULL) {
		plan_groups(plan, pw->pw_name);
	} else {
		plan->groups = mem_new(1, sizeof(gid_t));
		plan->groups[0] = plan->gid;
		plan->group_count = 1;
	}
	free(mem);
}

/* --- the plan: arguments and environment ------------------------------------ */

static void plan_argv(struct proc_plan *plan, const struct proc_settings *set)
{
	size_t i, count = 0;

	while (set->argv[count] != NULL)
		count++;
	plan->argv = mem_new(count + 2, sizeof(char *));
	plan->argv[0] = mem_strdup(set->launcher);
	for (i = 0; i < count; i++)
		plan->argv[i + 1] = mem_strdup(set->argv[i]);
}

static void env_add(char **envp, const char *name, const char *value)
{
	struct buf buf = { NULL, 0, 0 };

	while (*envp != NULL)
		envp++;
	buf_printf(&buf, "%s=%s", name, value);
	*envp = buf.p;
}

static void env_copy(char **envp, const char *name, const char *value_default)
{
	const char *value = getenv(name);

	if (value == NULL || *value == '\0')
		value = value_default;
	if (value != NULL)
		env_add(envp, name, value);
}

/* Only these: settings, and the passwords in them, stand in the environment of
 * some of Dovecot's processes. */
static void plan_env(struct proc_plan *plan, const struct proc_settings *set,
		     const char *tmp)
{
	char **envp = mem_new(16, sizeof(char *));

	env_copy(envp, "PATH", PROC_PATH_DEFAULT);
	env_copy(envp, "LANG", NULL);
	env_copy(envp, "LC_ALL", NULL);
	env_copy(envp, "TZ", NULL);
	env_add(envp, "HOME", plan->home);
	env_add(envp, "USER", plan->user);
	env_add(envp, "LOGNAME", plan->user);
	env_add(envp, "BRIDGE_USER", set->user);
	env_add(envp, "BRIDGE_TMP", tmp);
	env_add(envp, "BRIDGE_PROTOCOL", "1");
	plan->envp = envp;
}

static void strings_free(char **strings)
{
	size_t i;

	for (i = 0; strings != NULL && strings[i] != NULL; i++)
		free(strings[i]);
	free(strings);
}

static void plan_free(struct proc_plan *plan)
{
	int i;

	for (i = 0; i < 2; i++) {
		fd_close(&plan->in[i]);
		fd_close(&plan->out[i]);
		fd_close(&plan->err[i]);
	}
	strings_free(plan->argv);
	strings_free(plan->envp);
	free(plan->groups);
	free(plan->user);
}

/* --- the plan: pipes and BRIDGE_TMP ------------------------------------------ */

/* A pipe whose ends are none of 0, 1 and 2, so that the child's dup2() calls
 * cannot tread on one another. */
static int pipe_open(int fds[2])
{
	int i, fd, low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		return -1;
	for (i = 0; i < 2; i++) {
		fd = low[i];
		if (fd <= STDERR_FILENO) {
			fd = fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
			(void)close(low[i]);
		}
		fds[i] = fd;
	}
	return fds[0] < 0 || fds[1] < 0 ? -1 : 0;
}

static int fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int plan_pipes(struct proc_plan *plan, struct fault *fault)
{
	if (pipe_open(plan->in) < 0 || pipe_open(plan->out) < 0 ||
	    pipe_open(plan->err) < 0)
		return proc_fault(fault, "pipe");
	/* each end of a pipe has flags of its own: the child's ends block */
	if (fd_nonblock(plan->in[1]) < 0 || fd_nonblock(plan->out[0]) < 0 ||
	    fd_nonblock(plan->err[0]) < 0)
		return proc_fault(fault, "fcntl");
	/* refused beyond fs.pipe-user-pages-soft; it works without */
	(void)fcntl(plan->out[0], F_SETPIPE_SZ, PROC_PIPE_BYTES);
	return 0;
}

static int tmp_make(const char *dir, char **tmp_r, struct fault *fault)
{
	struct buf buf = { NULL, 0, 0 };
	size_t len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	buf_append(&buf, dir, len);
	buf_append_str(&buf, "/" RMTREE_PREFIX "XXXXXX");
	if (dir[0] != '/' || mkdtemp(buf.p) == NULL) {
		if (dir[0] != '/')
			errno = EINVAL;
		(void)proc_fault(fault, buf_str(&buf));
		buf_free(&buf);
		return -1;
	}
	*tmp_r = buf.p;
	return 0;
}

/* --- the child --------------------------------------------------------------- */

static void __attribute__((noreturn))
child_failed(const char *what, const char *detail)
{
	char text[1024];
	int error = errno;

	/* blocking, but the pipe is new and empty */
	(void)snprintf(text, sizeof(text), PROC_FAILED "%s%s%s: %s\n", what,
		       detail == NULL ? "" : " ", detail == NULL ? "" : detail,
		       strerror(error));
	if (write(STDERR_FILENO, text, strlen(text)) < 0) {
		/* nobody to tell */
	}
	_exit(EX_OSERR);
}

static void child_fds(const struct proc_plan *plan)
{
	if (dup2(plan->err[1], STDERR_FILENO) < 0)
		_exit(EX_OSERR);
	if (dup2(plan->in[0], STDIN_FILENO) < 0 ||
	    dup2(plan->out[1], STDOUT_FILENO) < 0)
		child_failed("dup2", NULL);
	closefrom(STDERR_FILENO + 1);
}

static void child_limits(void)
{
	struct rlimit core = { 0, 0 };

	(void)umask(077);
	if (setrlimit(RLIMIT_CORE, &core) < 0)
		child_failed("setrlimit", NULL);
	if (setpgid(0, 0) < 0)
		child_failed("setpgid", NULL);
}

/* All of real, effective and saved, for good. An effective uid alone is not
 * enough: a shell sets it back to the real one, which may be root's. */
static void child_drop(const struct proc_plan *plan)
{
	uid_t uid = plan->uid;
	gid_t gid = plan->gid;

	if (plan->privileged) {
		if (seteuid(0) < 0)
			child_failed("seteuid", NULL);
		if (setgroups((size_t)plan->group_count, plan->groups) < 0)
			child_failed("setgroups", NULL);
	}
	if (setresgid(gid, gid, gid) < 0)
		child_failed("setresgid", NULL);
	if (setresuid(uid, uid, uid) < 0)
		child_failed("setresuid", NULL);
	/* a uid that was never root's keeps its capabilities */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static void child_verify(const struct proc_plan *plan)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	errno = EPERM;
	if (getresuid(&ruid, &euid, &suid) < 0 ||
	    getresgid(&rgid, &egid, &sgid) < 0)
		child_failed("getresuid", NULL);
	if (ruid != plan->uid || euid != plan->uid || suid != plan->uid ||
	    rgid != plan->gid || egid != plan->gid || sgid != plan->gid)
		child_failed("privileges are not dropped", NULL);
	if (ruid == 0)
		child_failed("a backend is never run as root (uid 0)", NULL);
	if (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0)
		child_failed("root could be regained", NULL);
}

static void child_chdir(const struct proc_plan *plan)
{
	if (plan->cwd != NULL) {
		if (chdir(plan->cwd) < 0)
			child_failed("cannot enter", plan->cwd);
	} else if (chdir(plan->home) < 0 && chdir("/") < 0) {
		child_failed("cannot enter", "/");
	}
}

static void child_signals_default(void)
{
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
}

static void __attribute__((noreturn)) child_run(const struct proc_plan *plan)
{
	sigset_t none;

	child_signals_default();
	child_fds(plan);
	child_limits();
	child_drop(plan);
	child_verify(plan);
	child_chdir(plan);
	/* after the drop: a change of uid forgets it */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		child_failed("prctl", NULL);
	if (getppid() != plan->parent)
		_exit(EX_OSERR);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(plan->launcher, plan->argv, plan->envp);
	child_failed(plan->launcher, NULL);
}

/* Signals are blocked meanwhile: a handler of the parent must not run in the
 * child. */
static pid_t plan_fork(const struct proc_plan *plan)
{
	sigset_t all, old;
	pid_t pid;
	int error;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child_run(plan);
	error = errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	/* here too, or a kill() of the group could come too early; EACCES
	   after the execve */
	if (pid > 0)
		(void)setpgid(pid, pid);
	errno = error;
	return pid;
}

/* --- starting ---------------------------------------------------------------- */

static struct proc *proc_new(const struct proc_settings *set,
			     struct proc_plan *plan, pid_t pid, char *tmp)
{
	struct proc *proc = mem_new(1, sizeof(*proc));

	proc->stderr_cb = set->stderr_cb;
	proc->context = set->context;
	proc->tmp = tmp;
	proc->uid = plan->uid;
	proc->pid = pid;
	proc->fd_in = plan->in[1];
	proc->fd_out = plan->out[0];
	proc->fd_err = plan->err[0];
	plan->in[1] = plan->out[0] = plan->err[0] = -1;
	return proc;
}

int proc_start(const struct proc_settings *set, struct proc **proc_r,
	       struct fault *fault)
{
	struct proc_plan plan;
	char *tmp = NULL;
	pid_t pid;
	int ret = -1;

	*proc_r = NULL;
	memset(&plan, 0, sizeof(plan));
	memset(plan.in, -1, sizeof(plan.in));
	memset(plan.out, -1, sizeof(plan.out));
	memset(plan.err, -1, sizeof(plan.err));
	if (set->argv[0] == NULL) {
		errno = EINVAL;
		return proc_fault(fault, "no program is named");
	}
	if (plan_ids(&plan, fault) < 0 || plan_pipes(&plan, fault) < 0 ||
	    tmp_make(set->tmp_dir, &tmp, fault) < 0)
		goto end;
	plan.parent = getpid();
	plan.launcher = set->launcher;
	plan.cwd = set->cwd;
	plan.home = set->home != NULL ? set->home : "/";
	plan_user(&plan, set->user);
	plan_argv(&plan, set);
	plan_env(&plan, set, tmp);

	pid = plan_fork(&plan);
	if (pid < 0) {
		(void)proc_fault(fault, "fork");
		(void)rmtree_remove(tmp);
		free(tmp);
		goto end;
	}
	*proc_r = proc_new(set, &plan, pid, tmp);
	ret = 0;
end:
	plan_free(&plan);
	return ret;
}

int proc_fd_in(const struct proc *proc)
{
	return proc->fd_in;
}

int proc_fd_out(const struct proc *proc)
{
	return proc->fd_out;
}

int proc_fd_err(const struct proc *proc)
{
	return proc->fd_err;
}

pid_t proc_pid(const struct proc *proc)
{
	return proc->pid;
}

const char *proc_tmp(const struct proc *proc)
{
	return proc->tmp;
}

/* --- stderr ------------------------------------------------------------------ */

static void stderr_left_out(struct proc *proc)
{
	char text[64];

	if (proc->rate_left_out == 0)
		return;
	(void)snprintf(text, sizeof(text), "warning: %u more lines",
		       proc->rate_left_out);
	proc->rate_left_out = 0;
	if (proc->stderr_cb != NULL)
		proc->stderr_cb(proc->context, view_of(text));
}

static bool stderr_may_pass(struct proc *proc)
{
	long long sec = now_msecs() / 1000;

	if (sec != proc->rate_sec) {
		proc->rate_sec = sec;
		proc->rate_lines = 0;
		stderr_left_out(proc);
	}
	if (proc->rate_lines >= PROC_STDERR_RATE) {
		proc->rate_left_out++;
		return false;
	}
	proc->rate_lines++;
	return true;
}

static void stderr_keep(struct proc *proc, struct view line)
{
	size_t prefix_len = strlen(PROC_FAILED);
	struct view reason;

	if (line.len == 0 || view_starts(line, "debug:"))
		return;
	if (view_starts(line, PROC_FAILED)) {
		reason.p = line.p + prefix_len;
		reason.len = line.len - prefix_len;
		(void)fault_sanitise(proc->failed, sizeof(proc->failed),
				     reason);
	}
	(void)fault_sanitise(proc->words[proc->word_count % PROC_STDERR_KEEP],
			     PROC_WORDS_MAX, line);
	proc->word_count++;
}

static void stderr_line(struct proc *proc)
{
	struct view line = { proc->line, proc->line_len };

	proc->line_len = 0;
	stderr_keep(proc, line);
	if (stderr_may_pass(proc) && proc->stderr_cb != NULL)
		proc->stderr_cb(proc->context, line);
}

static void stderr_bytes(struct proc *proc, const char *p, size_t len)
{
	const char *lf, *end = p + len;
	size_t n, room;

	while (p < end) {
		lf = memchr(p, '\n', (size_t)(end - p));
		n = (size_t)((lf != NULL ? lf : end) - p);
		room = sizeof(proc->line) - proc->line_len;
		memcpy(proc->line + proc->line_len, p, n < room ? n : room);
		proc->line_len += n < room ? n : room;
		if (lf == NULL)
			break;
		stderr_line(proc);
		p = lf + 1;
	}
}

static void stderr_end(struct proc *proc)
{
	if (proc->line_len > 0)
		stderr_line(proc);
	stderr_left_out(proc);
	fd_close(&proc->fd_err);
}

void proc_stderr_read(struct proc *proc)
{
	char mem[PROC_READ_BYTES];
	ssize_t len;
	int i;

	for (i = 0; i < PROC_READ_MAX && proc->fd_err >= 0; i++) {
		len = read(proc->fd_err, mem, sizeof(mem));
		if (len > 0)
			stderr_bytes(proc, mem, (size_t)len);
		else if (len < 0 && errno == EINTR)
			continue;
		else if (len < 0 && errno == EAGAIN)
			break;
		else
			stderr_end(proc);
	}
}

/* --- ending ------------------------------------------------------------------ */

/* Replies that nobody will read: taken, so that the backend is not held. */
static void stdout_discard(struct proc *proc)
{
	char mem[PROC_READ_BYTES];
	ssize_t len = 1;
	int i;

	for (i = 0; i < PROC_READ_MAX && len > 0; i++)
		len = read(proc->fd_out, mem, sizeof(mem));
	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
		fd_close(&proc->fd_out);
}

/* Has the launcher ended? It is not reaped here: as long as it is not, its
 * pid, and with it the id of the process group, cannot be given to another. */
static bool launcher_gone(struct proc *proc)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (waitid(P_PID, (id_t)proc->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) < 0) {
		if (errno == EINTR)
			return false;
		proc->state = PROC_LOST;
		return true;
	}
	return info.si_pid == proc->pid;
}

/* Wait for the launcher's end at most so long, with both its pipes read. */
static bool launcher_wait(struct proc *proc, int msecs)
{
	long long left, deadline = now_msecs() + msecs;
	struct pollfd pfds[2];
	int step;

	while (!launcher_gone(proc)) {
		left = deadline - now_msecs();
		if (left <= 0)
			return false;
		/* stderr ends with its last holder, the launcher: then its
		   status is a matter of microseconds */
		step = proc->fd_err < 0 ? 1 : PROC_STEP_MSECS;
		pfds[0].fd = proc->fd_err;
		pfds[1].fd = proc->fd_out;
		pfds[0].events = pfds[1].events = POLLIN;
		if (poll(pfds, 2, left < step ? (int)left : step) <= 0)
			continue;
		proc_stderr_read(proc);
		if (proc->fd_out >= 0)
			stdout_discard(proc);
	}
	return true;
}

/* The launcher passes SIGTERM on to its group, itself left out. If we may not
 * signal it (the effective uid is another one by now), it sees that nobody
 * reads its stderr any more and does the same. */
static void launcher_term(struct proc *proc)
{
	if (kill(proc->pid, SIGTERM) < 0 && errno == EPERM)
		stderr_end(proc);
}

static void launcher_end(struct proc *proc, enum proc_end how)
{
	fd_close(&proc->fd_in);
	if (how == PROC_END_POLITE && launcher_wait(proc, PROC_GRACE_MSECS))
		return;
	launcher_term(proc);
	if (launcher_wait(proc, PROC_TERM_MSECS + PROC_KILL_MSECS))
		return;
	(void)kill(-proc->pid, SIGKILL);
	(void)kill(proc->pid, SIGKILL);
	(void)launcher_wait(proc, PROC_KILL_MSECS);
}

static void launcher_reap(struct proc *proc)
{
	pid_t ret;

	if (proc->state == PROC_LOST)
		return;
	/* what a launcher that was killed left behind */
	(void)kill(-proc->pid, SIGKILL);
	do {
		ret = waitpid(proc->pid, &proc->status, WNOHANG);
	} while (ret < 0 && errno == EINTR);
	proc->state = ret == proc->pid ? PROC_ENDED : PROC_LOST;
}

/* Did the launcher, or the child before it, say that the backend never ran? */
static bool exit_never_ran(const struct proc *proc)
{
	if (proc->state != PROC_ENDED || proc->failed[0] == '\0' ||
	    !WIFEXITED(proc->status))
		return false;
	switch (WEXITSTATUS(proc->status)) {
	case PROC_NOT_FOUND:
	case PROC_NOT_EXECUTABLE:
	case EX_OSERR:
	case EX_NOPERM:
		return true;
	default:
		return false;
	}
}

static void exit_status_text(const struct proc *proc, struct buf *text)
{
	int sig = 0;

	if (proc->state == PROC_LOST) {
		buf_append_str(text, "ended, its status is not known");
		return;
	}
	if (WIFSIGNALED(proc->status))
		sig = WTERMSIG(proc->status);
	else if (WEXITSTATUS(proc->status) > 128 &&
		 WEXITSTATUS(proc->status) < 128 + NSIG)
		sig = WEXITSTATUS(proc->status) - 128;
	if (sig > 0)
		buf_printf(text, "was killed by signal %d (%s)", sig,
			   strsignal(sig));
	else
		buf_printf(text, "exited with status %d",
			   WEXITSTATUS(proc->status));
}

static void exit_text_make(struct proc *proc)
{
	struct buf text = { NULL, 0, 0 };
	unsigned int i = 0;

	if (exit_never_ran(proc)) {
		buf_printf(&text, "could not be started: %s", proc->failed);
		proc->exit_text = text.p;
		return;
	}
	exit_status_text(proc, &text);
	if (proc->word_count > PROC_STDERR_KEEP)
		i = proc->word_count - PROC_STDERR_KEEP;
	if (i < proc->word_count)
		buf_append_str(&text, "; its last words: \"");
	for (; i < proc->word_count; i++) {
		buf_append_str(&text, proc->words[i % PROC_STDERR_KEEP]);
		buf_append_str(&text, i + 1 < proc->word_count ? " / " : "\"");
	}
	proc->exit_text = text.p;
}

void proc_stop(struct proc *proc, enum proc_end how)
{
	if (proc->stopped)
		return;
	proc->stopped = true;
	launcher_end(proc, how);
	launcher_reap(proc);
	proc_stderr_read(proc);
	if (proc->fd_err >= 0)
		stderr_end(proc);
	fd_close(&proc->fd_out);
	/* the launcher has removed it, if it was not killed; and with another
	   uid than then it is not ours to remove */
	if (geteuid() == proc->uid)
		(void)rmtree_remove(proc->tmp);
	exit_text_make(proc);
}

const char *proc_exit_text(const struct proc *proc)
{
	return proc->exit_text;
}

bool proc_exit_config(const struct proc *proc)
{
	return proc->state == PROC_ENDED && WIFEXITED(proc->status) &&
		WEXITSTATUS(proc->status) == PROC_EXIT_CONFIG;
}

void proc_free(struct proc **_proc)
{
	struct proc *proc = *_proc;

	if (proc == NULL)
		return;
	*_proc = NULL;
	proc_stop(proc, PROC_END_FORCE);
	free(proc->exit_text);
	free(proc->tmp);
	free(proc);
}
