/* The child of proc_start. The order of things in the child is the point of this file:
 * descriptors first (so that every later failure has a stderr to be told on),
 * then limits, then privileges for good, then what depends on who we are
 * (working directory, death signal), then execve. Between fork and execve
 * nothing allocates, locks or looks up a name: that is done in the plan, before
 * the fork. */
#include "proc-private.h"
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/string.h>
#include <bsd/unistd.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PROC_PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"
#define PROC_PIPE_BYTES (1024 * 1024)	/* reply pipe */
#define PROC_GROUPS_MAX 65536		/* NGROUPS_MAX of Linux */
#define TMP_RANDOM_BYTES 10
#define PROC_PASSWD_MAX (1024 * 1024)

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
	char **envp = mem_new(16, sizeof(char *)), grace[16];

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
	(void)snprintf(grace, sizeof(grace), "%u", plan->grace_msecs);
	env_add(envp, PROC_GRACE_ENV, grace);
	plan->envp = envp;
}

static void strings_free(char **strings)
{
	size_t i;

	for (i = 0; strings != NULL && strings[i] != NULL; i++)
		free(strings[i]);
	free(strings);
}

void proc_plan_free(struct proc_plan *plan)
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

/* The name of BRIDGE_TMP, which nobody can guess. The launcher makes it and
 * removes it: if this process is killed between here and there, nothing is left
 * behind. */
static int tmp_name(const char *dir, char **tmp_r, struct fault *fault)
{
	unsigned char bytes[TMP_RANDOM_BYTES];
	struct buf buf = { NULL, 0, 0 };
	size_t i, len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	if (dir[0] != '/')
		errno = EINVAL;
	if (dir[0] != '/' ||
	    faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0 ||
	    getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return proc_fault(fault, dir);
	buf_append(&buf, dir, len);
	buf_append_str(&buf, "/" SWEEP_PREFIX);
	for (i = 0; i < sizeof(bytes); i++)
		buf_printf(&buf, "%02x", bytes[i]);
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

/* Pipes for 0, 1 and 2 are not enough: whoever shares a terminal opens /dev/tty
 * and types into it (TIOCSTI), and at that of doveadm -A root's shell waits. */
static void child_leave_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* we lead no session: this is about us alone */
	if (ioctl(fd, TIOCNOTTY) < 0)
		child_failed("cannot leave the terminal", NULL);
	(void)close(fd);
}

/* The keys in a session keyring are open to whoever inherits it, and that of Dovecot
 * is root's in a process, too, that has been the user's since login (keyrings(7)).
 * Who still is root makes the new one of root's quota: a user may use up his own. Who
 * is not has what kernel.keys.maxkeys leaves to his uid, and without it goes on: it
 * is 200, and a uid may have more mail sessions than that. */
static void child_leave_keyring(const struct proc_plan *plan)
{
	/* a kernel or container without keys has none to give away */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
	    plan->privileged && errno != ENOSYS && errno != EPERM)
		child_failed("cannot leave the session keyring", NULL);
}

/* What a change of uid leaves: ambient and inheritable capabilities (all, if
 * the uid never was root's). */
static void child_drop_caps(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		child_failed("capset", NULL);
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
	child_leave_keyring(plan);
	if (setresgid(gid, gid, gid) < 0)
		child_failed("setresgid", NULL);
	if (setresuid(uid, uid, uid) < 0)
		child_failed("setresuid", NULL);
	child_drop_caps();
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
	/* the kernel's struct sigaction, all 0: SIG_DFL, no flags */
	static const unsigned long action[8];
	int sig;

	/* not by signal(): glibc keeps 32 and 33 for itself, and lets a
	   process that ignores them (one started by make) never undo it */
	for (sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, action, NULL, NSIG / 8);
}

static void __attribute__((noreturn)) child_run(const struct proc_plan *plan)
{
	sigset_t none;

	child_signals_default();
	child_fds(plan);
	child_limits();
	child_leave_terminal();
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
pid_t proc_plan_fork(const struct proc_plan *plan)
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

int proc_plan_init(struct proc_plan *plan, const struct proc_settings *set,
		   char **tmp_r, struct fault *fault)
{
	*tmp_r = NULL;
	memset(plan, 0, sizeof(*plan));
	memset(plan->in, -1, sizeof(plan->in));
	memset(plan->out, -1, sizeof(plan->out));
	memset(plan->err, -1, sizeof(plan->err));
	if (set->argv[0] == NULL) {
		errno = EINVAL;
		return proc_fault(fault, "no program is named");
	}
	if (plan_ids(plan, fault) < 0 || plan_pipes(plan, fault) < 0 ||
	    tmp_name(set->tmp_dir, tmp_r, fault) < 0)
		return -1;
	plan->parent = getpid();
	plan->launcher = set->launcher;
	plan->cwd = set->cwd;
	plan->grace_msecs = set->grace_msecs != 0 ? set->grace_msecs :
		PROC_GRACE_MSECS;
	plan->home = set->home != NULL ? set->home : "/";
	plan_user(plan, set->user);
	plan_argv(plan, set);
	plan_env(plan, set, *tmp_r);
	return 0;
}
