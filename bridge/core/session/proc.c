/* See proc.h: starting, stderr, ending. What happens between fork and execve
 * stands in proc-child.c. */
#include "proc-private.h"
#include "clock.h"
#include "rights.h"
#include "rmtree.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define PROC_READ_BYTES 4096		/* one read of stderr or of lost replies */
#define PROC_READ_MAX 16		/* reads in one call */
#define PROC_WORDS_MAX 200		/* of each of the last stderr lines */
#define PROC_STUCK_MAX 64		/* launchers to be reaped later */
#define PROC_KILL_MSECS 500		/* SIGKILL, before giving up waiting; and
					   what the launcher may take more than
					   PROC_TERM_MSECS for its own ladder */

enum proc_state {
	PROC_RUNNING,
	PROC_ENDED,			/* status is known */
	PROC_LOST			/* somebody else reaped it */
};

/* The ladder by which a copy is ended, from one rung to the next when its time
 * is over. */
enum proc_rung {
	RUNG_NONE,			/* nobody ends it */
	RUNG_STDIN,			/* stdin is closed */
	RUNG_TERM,
	RUNG_KILL,
	RUNG_DONE			/* it has ended, or nothing helps */
};

struct proc {
	proc_stderr_cb *stderr_cb;
	void *context;
	char *tmp;
	uid_t uid;
	gid_t *groups;			/* NULL: those of this process */
	int group_count;
	pid_t pid;
	int fd_in, fd_out, fd_err;

	char line[PROC_STDERR_LINE_MAX];
	size_t line_len;
	char words[PROC_STDERR_KEEP][PROC_WORDS_MAX];
	unsigned int word_count;	/* all ever kept */
	char failed[PROC_STDERR_LINE_MAX];	/* after PROC_FAILED */
	uint64_t rate_sec;
	unsigned int rate_may, rate_left_out;	/* lines */

	unsigned int grace_msecs;
	enum proc_rung rung;
	uint64_t rung_until;		/* msecs; then the next one */
	enum proc_state state;
	int status;			/* as from waitpid() */
	char *exit_text;
};

static void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* --- starting ---------------------------------------------------------------- */

static struct proc *proc_new(const struct proc_settings *set,
			     struct proc_plan *plan, pid_t pid, char *tmp)
{
	struct proc *proc = mem_new(1, sizeof(*proc));

	proc->rate_sec = clock_msecs() / 1000;
	proc->rate_may = PROC_STDERR_BURST;
	proc->stderr_cb = set->stderr_cb;
	proc->context = set->context;
	proc->tmp = tmp;
	proc->uid = plan->uid;
	proc->grace_msecs = plan->grace_msecs;
	if (plan->privileged) {
		proc->groups = plan->groups;
		proc->group_count = plan->group_count;
		plan->groups = NULL;
	}
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
	char *tmp;
	pid_t pid;
	int ret = -1;

	*proc_r = NULL;
	(void)proc_reap_stuck();
	if (proc_plan_init(&plan, set, &tmp, fault) < 0)
		goto end;
	pid = proc_plan_fork(&plan);
	if (pid < 0) {
		(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
				"cannot start the backend: fork: %s",
				strerror(errno));
		free(tmp);
		goto end;
	}
	*proc_r = proc_new(set, &plan, pid, tmp);
	ret = 0;
end:
	proc_plan_free(&plan);
	return ret;
}

int proc_open(const struct proc *proc, const char *path, int flags)
{
	return rights_open(proc->groups, proc->group_count, proc->tmp, path,
			   flags);
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

size_t proc_unread(const struct proc *proc)
{
	int size = 0;

	return ioctl(proc->fd_in, FIONREAD, &size) < 0 || size < 0 ? 0 :
		(size_t)size;
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

/* A store of lines that fills up with time: what a backend says of one fault is all
 * passed on, and one that never stops does not fill the disk of the log. */
static bool stderr_may_pass(struct proc *proc)
{
	uint64_t sec = clock_msecs() / 1000;
	uint64_t passed = sec > proc->rate_sec ? sec - proc->rate_sec : 0;

	if (passed > 0) {
		proc->rate_sec = sec;
		if (passed > PROC_STDERR_BURST)
			passed = PROC_STDERR_BURST;
		proc->rate_may += (unsigned int)passed * PROC_STDERR_RATE;
		if (proc->rate_may > PROC_STDERR_BURST)
			proc->rate_may = PROC_STDERR_BURST;
		stderr_left_out(proc);
	}
	if (proc->rate_may == 0) {
		proc->rate_left_out++;
		return false;
	}
	proc->rate_may--;
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
	/* why it could not be started stands in the exit text: one line of the
	   log is enough */
	if (view_starts(line, PROC_FAILED))
		return;
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

/* The launcher passes SIGTERM on to its group, itself left out. If we may not
 * signal it (the effective uid is another one by now), it sees that nobody
 * reads its stderr any more and does the same. */
static void launcher_term(struct proc *proc)
{
	if (kill(proc->pid, SIGTERM) < 0 && errno == EPERM)
		stderr_end(proc);
}

static void launcher_step_to(struct proc *proc, enum proc_rung rung)
{
	const unsigned int msecs[] = {
		[RUNG_STDIN] = proc->grace_msecs,
		[RUNG_TERM] = PROC_TERM_MSECS + PROC_KILL_MSECS,
		[RUNG_KILL] = PROC_KILL_MSECS,
		[RUNG_DONE] = 0,
	};

	fd_close(&proc->fd_in);
	if (rung == RUNG_TERM)
		launcher_term(proc);
	if (rung == RUNG_KILL) {
		(void)kill(-proc->pid, SIGKILL);
		(void)kill(proc->pid, SIGKILL);
	}
	proc->rung = rung;
	proc->rung_until = clock_msecs() + msecs[rung];
}

/* Launchers that SIGKILL did not end in time: the machine is busy, or the disk hangs.
   With more than these some stay zombies until this process ends. */
static pid_t stuck[PROC_STUCK_MAX];
static size_t stuck_count;

bool proc_reap_stuck(void)
{
	size_t i, count = 0;

	for (i = 0; i < stuck_count; i++) {
		if (waitpid(stuck[i], NULL, WNOHANG) == 0)
			stuck[count++] = stuck[i];
	}
	stuck_count = count;
	return count == 0;
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
	if (ret == 0 && stuck_count < PROC_STUCK_MAX)
		stuck[stuck_count++] = proc->pid;
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

/* A backend that did run wrote the words of one that did not. */
static void stderr_pass_failed(struct proc *proc)
{
	struct buf line = { NULL, 0, 0 };

	if (proc->failed[0] == '\0' || exit_never_ran(proc) ||
	    proc->stderr_cb == NULL)
		return;
	buf_printf(&line, PROC_FAILED "%s", proc->failed);
	proc->stderr_cb(proc->context, view_of_buf(&line));
	buf_free(&line);
}

/* What there is to know and to remove, once it has ended. */
static void proc_finish(struct proc *proc)
{
	proc->rung = RUNG_DONE;
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
	stderr_pass_failed(proc);
}

void proc_end_begin(struct proc *proc, enum proc_end how)
{
	enum proc_rung rung = how == PROC_END_POLITE ? RUNG_STDIN : RUNG_TERM;

	if (proc->rung < rung)
		launcher_step_to(proc, rung);
}

bool proc_ended(struct proc *proc)
{
	if (proc->rung == RUNG_DONE)
		return true;
	proc_stderr_read(proc);
	if (proc->fd_out >= 0)
		stdout_discard(proc);
	while (!launcher_gone(proc)) {
		if (clock_msecs() < proc->rung_until)
			return false;
		if (proc->rung == RUNG_KILL)
			break;
		launcher_step_to(proc, proc->rung + 1);
	}
	proc_finish(proc);
	return true;
}

void proc_stop(struct proc *proc, enum proc_end how)
{
	struct pollfd pfds[2];
	uint64_t now;
	int step, left;

	proc_end_begin(proc, how);
	while (!proc_ended(proc)) {
		/* stderr ends with its last holder, the launcher: then its
		   status is a matter of microseconds */
		step = proc->fd_err < 0 ? 1 : PROC_STEP_MSECS;
		now = clock_msecs();
		left = proc->rung_until > now + (uint64_t)step ? step :
			proc->rung_until > now ? (int)(proc->rung_until - now) :
			0;
		pfds[0].fd = proc->fd_err;
		pfds[1].fd = proc->fd_out;
		pfds[0].events = pfds[1].events = POLLIN;
		(void)poll(pfds, 2, left);
	}
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

int proc_exit_status(const struct proc *proc)
{
	/* the launcher says 128 + N for signal N */
	return proc->state == PROC_ENDED && WIFEXITED(proc->status) &&
		WEXITSTATUS(proc->status) <= 128 ?
		WEXITSTATUS(proc->status) : -1;
}

void proc_free(struct proc **_proc)
{
	struct proc *proc = *_proc;

	if (proc == NULL)
		return;
	*_proc = NULL;
	proc_stop(proc, PROC_END_FORCE);
	free(proc->exit_text);
	free(proc->groups);
	free(proc->tmp);
	free(proc);
}
