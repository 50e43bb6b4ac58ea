#ifndef BRIDGE_RIGHTS_H
#define BRIDGE_RIGHTS_H

#include <sys/types.h>

/* Opening what somebody else named, with no more rights than that one has.
 *
 * A process of Dovecot's that serves one user after the other (lmtp, doveadm -A)
 * has the user's effective uid and gid, but may have groups that the user's
 * backend has not: mail_access_groups, and those of its service. A path in
 * a backend's reply must not be opened by them. */

/* Open path (flags as open(2), no O_CREAT) with the groups alone; if it lies below tmp
 * (NULL = no such folder), its name is removed (tmpdir.h). groups NULL: with those
 * that the process has. Returns the descriptor, or -1 and errno; EPERM if the groups
 * cannot be changed. The process has its own groups again afterwards, or none of
 * them. Other threads keep theirs all the while. */
int rights_open(const gid_t *groups, int count, const char *tmp, const char *path,
		int flags);

#endif
