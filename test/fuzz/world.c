/* The world that the fuzzers' core/ lives in: a clock, poll(), and copies of
 * a backend that are no processes. What a backend says is the fuzzer's input, a part
 * for each line that it is sent; when there are no more, it ends. Nobody waits: where
 * nothing can happen the clock goes on. */
#include "fuzz.h"
#include "proc.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPANDED_MAX (400 * 1024)	/* bytes of a part, with FUZZ_MANY */
#define PARTS_AHEAD 64	/* lines that a copy has not answered yet */

struct proc {
	proc_stderr_cb *stderr_cb;
	void *context;
	int in[2], out[2], err[2];
	unsigned int unanswered;
	struct buf said;	/* not written to out yet */
	size_t said_done;
	bool slow;		/* it says nothing any more */
	bool ending;		/* once all is written */
	struct proc *next;
};

static struct proc *copies;
static struct view answers;
static uint64_t now_msecs;

/* --- files ------------------------------------------------------------------- */

static char folder[64];

static void folder_remove(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	(void)!system(command);
}

const char *world_folder(void)
{
	static const char *const made[] = { "tmp", "folder" };
	size_t i;

	if (folder[0] != '\0')
		return folder;
	(void)snprintf(folder, sizeof(folder), "%s/dovebridge-fuzz.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(folder) != NULL);
	(void)atexit(folder_remove);
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		must(mkdir(world_path(made[i]), 0700) == 0);
	world_write(world_path("mail"), view_of("Subject: a\n\nb\n"));
	world_write(world_path("crlf"), view_of("Subject: a\r\n\r\nb\r\n"));
	world_write(world_path("append"), view_of("Subject: 1 2 3"));
	must(mkfifo(world_path("fifo"), 0600) == 0);
	must(symlink("mail", world_path("link")) == 0);
	return folder;
}

const char *world_path(const char *name)
{
	static char paths[4][160];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", world_folder(), name);
	return path;
}

void world_write(const char *path, struct view text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, text.p, text.len) == (ssize_t)text.len);
	(void)close(fd);
}

/* --- the input --------------------------------------------------------------- */

void fuzz_fault(const struct fault *fault)
{
	char text[FAULT_LOG_MAX];

	must(fault->code > FAULT_NONE && fault->code < FAULT_CODE_COUNT);
	must(memchr(fault->log, '\0', sizeof(fault->log)) != NULL);
	must(memchr(fault->user, '\0', sizeof(fault->user)) != NULL);
	must(fault->log[0] != '\0' && fault->user[0] != '\0');
	must(strcmp(fault_sanitise(text, sizeof(text), view_of(fault->log)),
		    fault->log) == 0);
	must(strcmp(fault_sanitise(text, sizeof(text), view_of(fault->user)),
		    fault->user) == 0);
}

void fuzz_expand(struct view part, struct buf *out)
{
	size_t i, n;

	for (i = 0; i < part.len; i++) {
		if (part.p[i] == FUZZ_FOLDER) {
			buf_append_str(out, world_folder());
		} else if (part.p[i] == FUZZ_MANY && i > 0 && i + 1 < part.len) {
			for (n = 257U * (unsigned char)part.p[++i];
			     n > 0 && out->len < EXPANDED_MAX; n--)
				buf_append_c(out, part.p[i - 2]);
		} else {
			buf_append_c(out, part.p[i]);
		}
	}
}

bool fuzz_part(struct view *input, struct view *part_r)
{
	const char *end;

	if (input->len == 0)
		return false;
	part_r->p = input->p;
	end = memchr(input->p, FUZZ_NEXT, input->len);
	part_r->len = end == NULL ? input->len : (size_t)(end - input->p);
	input->p += part_r->len;
	input->len -= part_r->len;
	if (end != NULL) {
		input->p++;
		input->len--;
	}
	return true;
}

void world_begin(struct view input)
{
	must(copies == NULL);
	answers = input;
	now_msecs = 1000000;
}

/* --- the clock and poll() ------------------------------------------------------ */

int __real_clock_gettime(clockid_t id, struct timespec *now_r);
int __wrap_clock_gettime(clockid_t id, struct timespec *now_r);
int __real_poll(struct pollfd *fds, nfds_t count, int msecs);
int __wrap_poll(struct pollfd *fds, nfds_t count, int msecs);

int __wrap_clock_gettime(clockid_t id, struct timespec *now_r)
{
	if (id != CLOCK_MONOTONIC)
		return __real_clock_gettime(id, now_r);
	now_r->tv_sec = (time_t)(now_msecs / 1000);
	now_r->tv_nsec = (long)(now_msecs % 1000) * 1000000;
	return 0;
}

static void copy_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* It reads what it was sent. */
static void copy_listen(struct proc *copy)
{
	char data[4096];
	ssize_t i, ret;

	while ((ret = read(copy->in[0], data, sizeof(data))) > 0) {
		for (i = 0; i < ret; i++) {
			if (data[i] == '\n' && copy->unanswered < PARTS_AHEAD)
				copy->unanswered++;
		}
	}
}

/* What one part says: text, then perhaps what a marker stands for, and so on. */
static void copy_say_part(struct proc *copy, struct view part)
{
	struct view text;
	size_t len;

	while (part.len > 0 && !copy->ending && !copy->slow) {
		for (len = 0; len < part.len && part.p[len] != FUZZ_END &&
		     part.p[len] != FUZZ_SLOW && part.p[len] != FUZZ_STDERR; len++)
			;
		text.p = part.p;
		text.len = len;
		fuzz_expand(text, &copy->said);
		part.p += len;
		part.len -= len;
		if (part.len == 0)
			return;
		copy->ending = part.p[0] == FUZZ_END;
		copy->slow = part.p[0] == FUZZ_SLOW;
		for (len = 0; part.p[0] == FUZZ_STDERR && len < part.len &&
		     part.p[len] != '\n'; len++)
			;
		if (len > 0 && copy->err[1] >= 0) {
			(void)!write(copy->err[1], part.p + 1, len - 1);
			(void)!write(copy->err[1], "\n", 1);
		}
		if (len == 0)
			len = 1;
		part.p += len;
		part.len -= len;
	}
}

/* Write what the pipe takes. */
static void copy_speak(struct proc *copy)
{
	ssize_t ret;

	if (copy->out[1] >= 0 && copy->said_done < copy->said.len) {
		ret = write(copy->out[1], copy->said.p + copy->said_done,
			    copy->said.len - copy->said_done);
		if (ret > 0)
			copy->said_done += (size_t)ret;
	}
	if (copy->said_done < copy->said.len)
		return;
	buf_clear(&copy->said);
	copy->said_done = 0;
	if (copy->ending) {
		copy_close(&copy->out[1]);
		copy_close(&copy->err[1]);
	}
}

static void copy_turn(struct proc *copy)
{
	struct view part;

	copy_listen(copy);
	while (copy->said.len == 0 && copy->unanswered > 0 && !copy->ending &&
	       !copy->slow) {
		copy->unanswered--;
		if (fuzz_part(&answers, &part))
			copy_say_part(copy, part);
		else
			copy->ending = true;
	}
	copy_speak(copy);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int msecs)
{
	struct proc *copy;
	int ret;

	for (copy = copies; copy != NULL; copy = copy->next)
		copy_turn(copy);
	ret = __real_poll(fds, count, 0);
	if (ret != 0)
		return ret;
	now_msecs += msecs > 0 ? (uint64_t)msecs : 1;
	return 0;
}

/* --- core/session/proc, as its header has it -------------------------------------- */

int proc_start(const struct proc_settings *set, struct proc **proc_r,
	       struct fault *fault)
{
	struct proc *copy;

	if (answers.len > 0 && answers.p[0] == FUZZ_UNBORN) {
		answers.p++;
		answers.len--;
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
				 "%s: not today", set->argv[0]);
	}
	copy = mem_new(1, sizeof(*copy));
	copy->stderr_cb = set->stderr_cb;
	copy->context = set->context;
	must(pipe2(copy->in, O_NONBLOCK | O_CLOEXEC) == 0 &&
	     pipe2(copy->out, O_NONBLOCK | O_CLOEXEC) == 0 &&
	     pipe2(copy->err, O_NONBLOCK | O_CLOEXEC) == 0);
	copy->next = copies;
	copies = copy;
	*proc_r = copy;
	return 0;
}

int proc_fd_in(const struct proc *copy)
{
	return copy->in[1];
}

int proc_fd_out(const struct proc *copy)
{
	return copy->out[0];
}

int proc_fd_err(const struct proc *copy)
{
	return copy->err[0];
}

void proc_stderr_read(struct proc *copy)
{
	char data[4096], *p = data, *lf;
	struct view line;
	ssize_t ret;

	if (copy->err[0] < 0)
		return;
	ret = read(copy->err[0], data, sizeof(data));
	if (ret == 0)
		copy_close(&copy->err[0]);
	while (ret > 0 && (lf = memchr(p, '\n', (size_t)(data + ret - p))) != NULL) {
		line.p = p;
		line.len = (size_t)(lf - p);
		if (line.len > PROC_STDERR_LINE_MAX)
			line.len = PROC_STDERR_LINE_MAX;
		copy->stderr_cb(copy->context, line);
		p = lf + 1;
	}
}

int proc_open(const struct proc *proc, const char *path, int flags)
{
	(void)proc;
	return rights_open(NULL, 0, world_path("tmp"), path, flags);
}

const char *proc_tmp(const struct proc *copy)
{
	(void)copy;
	return world_path("tmp");
}

void proc_stop(struct proc *copy, enum proc_end how)
{
	(void)how;
	proc_stderr_read(copy);
	copy_close(&copy->out[1]);
	copy_close(&copy->err[1]);
}

void proc_end_begin(struct proc *copy, enum proc_end how)
{
	proc_stop(copy, how);
}

bool proc_ended(struct proc *copy)
{
	return copy->out[1] < 0;
}

const char *proc_exit_text(const struct proc *copy)
{
	(void)copy;
	return "ended";
}

size_t proc_unread(const struct proc *copy)
{
	(void)copy;
	return 0;
}

pid_t proc_pid(const struct proc *copy)
{
	(void)copy;
	return 1;
}

int proc_exit_status(const struct proc *copy)
{
	(void)copy;
	return 0;
}

bool proc_exit_config(const struct proc *copy)
{
	(void)copy;
	return false;
}

void proc_free(struct proc **_copy)
{
	struct proc *copy = *_copy, **pos = &copies;
	int i;

	if (copy == NULL)
		return;
	*_copy = NULL;
	while (*pos != copy)
		pos = &(*pos)->next;
	*pos = copy->next;
	for (i = 0; i < 2; i++) {
		copy_close(&copy->in[i]);
		copy_close(&copy->out[i]);
		copy_close(&copy->err[i]);
	}
	buf_free(&copy->said);
	free(copy);
}
