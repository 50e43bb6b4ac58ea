/* What proc.c and proc-child.c share. */
#ifndef BRIDGE_PROC_PRIVATE_H
#define BRIDGE_PROC_PRIVATE_H

#include "proc.h"

/* What dovebridge-launch and the child here put before a reason why the
 * backend never ran, and how they exit then (besides sysexits). */
#define PROC_FAILED "error: could not be started: "
#define PROC_GRACE_ENV "DOVEBRIDGE_GRACE_MSECS"	/* for the launcher alone */
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
	unsigned int grace_msecs;
	char **argv;
	char **envp;
	const char *launcher;
	const char *cwd, *home;
	int in[2], out[2], err[2];
};

/* Make everything that is needed between fork and execve. Returns 0 and the name
 * that BRIDGE_TMP will have; -1 and a fault. Free in any case. */
int proc_plan_init(struct proc_plan *plan, const struct proc_settings *set,
		   char **tmp_r, struct fault *fault);
void proc_plan_free(struct proc_plan *plan);
/* Fork, and become the launcher in the child. Returns its pid; -1 and errno. */
pid_t proc_plan_fork(const struct proc_plan *plan);

#endif
