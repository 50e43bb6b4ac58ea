/* One running copy of a backend: started through dovebridge-launch, reached
 * over two pipes, its stderr read line by line, ended for certain.
 *
 *	Dovecot or dovebridge          dovebridge-launch           backend
 *	  proc_start: fork, drop  -->  own process group,    -->   stdin, stdout,
 *	  privileges, execve           starts and outlives it      stderr; no other fd
 *
 * Nothing here exits, blocks without a deadline or touches another child of
 * the process: only the launcher's own pid is waited for. */
#ifndef BRIDGE_PROC_H
#define BRIDGE_PROC_H

#include "fault.h"

#include <sys/types.h>

#define PROC_STDERR_LINE_MAX 1024	/* longer stderr lines are cut */
#define PROC_STDERR_KEEP 5		/* last stderr lines kept for errors */
#define PROC_STDERR_BURST 500	/* lines passed on at once, */
#define PROC_STDERR_RATE 3		/* and then per second; more are counted */
#define PROC_GRACE_MSECS 500		/* stdin closed, before SIGTERM */
#define PROC_TERM_MSECS 2000		/* SIGTERM, before SIGKILL */
#define PROC_STEP_MSECS 20		/* between two looks at a copy that ends */
#define PROC_EXIT_CONFIG 78		/* EX_CONFIG: do not start again */

/* Gets each line of the backend's stderr, without LF, raw bytes. */
typedef void proc_stderr_cb(void *context, struct view line);

struct proc_settings {
	const char *launcher;		/* absolute path of dovebridge-launch */
	const char *const *argv;	/* the backend's arguments, NULL-terminated */
	const char *user;		/* BRIDGE_USER */
	const char *home;		/* HOME; NULL = "/" */
	const char *cwd;		/* must be enterable; NULL = home, else "/" */
	const char *tmp_dir;		/* absolute: where BRIDGE_TMP is made */
	unsigned int grace_msecs;	/* from the end of its stdin to SIGTERM;
					   0 = PROC_GRACE_MSECS */
	proc_stderr_cb *stderr_cb;
	void *context;
};

struct proc;

/* Start a copy; it dies with the thread that calls this. Its uid and gid are the
 * effective ones of this process, with all of real, effective and saved set for
 * good, verified, and never 0. If this process could become root again, the
 * supplementary groups are those of the uid's passwd entry (without gid 0; the
 * gid alone if there is no entry), and an effective gid 0 is refused; if not,
 * groups cannot be changed and stay.
 *
 * It gets fds 0, 1 and 2, default signals, umask 077, no core file, and this
 * environment alone: PATH (a default if unset here), LANG, LC_ALL, TZ (if set),
 * HOME, USER, LOGNAME, BRIDGE_USER, BRIDGE_TMP, BRIDGE_PROTOCOL.
 *
 * Returns 0, or -1 and a fault (UNAVAILABLE). That the program does not exist
 * or cannot be executed, or cwd not be entered, shows up later, as EOF and
 * proc_exit_text(). All of set but context may be freed after the call. */
int proc_start(const struct proc_settings *set, struct proc **proc_r,
	       struct fault *fault);

/* Non-blocking ends of the pipes: requests are written to proc_fd_in, replies
 * read from proc_fd_out, and proc_stderr_read is called when proc_fd_err is
 * readable. proc_fd_err is -1 once stderr has ended.
 *
 * Writing to proc_fd_in after the copy has ended raises SIGPIPE: who writes
 * must ignore it (Dovecot's processes do, the command does at its start) and
 * take EPIPE for what it is.
 *
 * proc_stderr_read takes what is there, within a bound, and never blocks. Lines
 * above PROC_STDERR_BURST and _RATE become one line "warning: N more lines" a
 * second. stderr_cb is called from proc_stderr_read, proc_stop and proc_free; it
 * must not call them. */
int proc_fd_in(const struct proc *proc);
int proc_fd_out(const struct proc *proc);
int proc_fd_err(const struct proc *proc);
void proc_stderr_read(struct proc *proc);

/* How many bytes of what was written to proc_fd_in the copy has not read; 0 if that
 * is not known. */
size_t proc_unread(const struct proc *proc);

pid_t proc_pid(const struct proc *proc);
/* The copy's BRIDGE_TMP: absolute, no trailing slash. */
const char *proc_tmp(const struct proc *proc);
/* Open a path that the copy named, with no more rights than it has. What lies in its
 * BRIDGE_TMP loses its name. As rights_open. */
int proc_open(const struct proc *proc, const char *path, int flags);

enum proc_end {
	PROC_END_POLITE,	/* close stdin, wait grace_msecs, then as FORCE */
	PROC_END_FORCE		/* SIGTERM, PROC_TERM_MSECS, then SIGKILL */
};
/* End the copy and everything in its process group, read the rest of its
 * stderr, note how it ended, remove BRIDGE_TMP. After it only proc_exit_text,
 * proc_exit_config, proc_tmp and proc_free may be called. Takes at most the two
 * delays above plus a second. Replies not yet read are lost. */
void proc_stop(struct proc *proc, enum proc_end how);
/* The same without waiting: proc_end_begin takes the first step, proc_ended, to be
 * called every PROC_STEP_MSECS or so, takes the next when its time has come.
 * True: it has ended, as after proc_stop, and so it is from then on. In between
 * proc_stop may still be called, to wait for the rest. */
void proc_end_begin(struct proc *proc, enum proc_end how);
bool proc_ended(struct proc *proc);
/* How it ended, with its last stderr lines, one printable line:
 *	exited with status 3; its last words: "cannot open db"
 *	was killed by signal 11 (Segmentation fault)
 *	could not be started: /usr/bin/store: No such file or directory
 *	ended, its status is not known		(another part of the process reaped it)
 * Only after proc_stop. */
const char *proc_exit_text(const struct proc *proc);
/* True if it exited with PROC_EXIT_CONFIG. Only after proc_stop. */
bool proc_exit_config(const struct proc *proc);
/* Its exit status, -1 if it did not exit. Only after proc_stop. */
int proc_exit_status(const struct proc *proc);
/* Stops (force) if still running, frees, sets *proc to NULL. */
void proc_free(struct proc **proc);

/* A copy that did not even end by SIGKILL in time is reaped when this is called, as
 * proc_start does. Returns whether none is left. */
bool proc_reap_stuck(void);

#endif
