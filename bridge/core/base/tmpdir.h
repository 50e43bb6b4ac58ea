/* BRIDGE_TMP, as a folder and not as a spelling. The backend writes into it, and may
 * put anything there, also in the folder's own place: what is done below it follows no
 * symbolic link, and goes by descriptors. */
#ifndef BRIDGE_TMPDIR_H
#define BRIDGE_TMPDIR_H

/* The folder itself: of the effective uid, no link. Returns an O_PATH descriptor, or
 * -1 and errno. */
int tmpdir_open(const char *tmp);
/* If path lies below tmp: open it (flags as open(2), no O_CREAT), and remove the name
 * that led to it. It is of no account how that is spelt: no folder on the way may be
 * a link, a mount point, or lead out. Returns the descriptor, or -1: then nothing was
 * removed, and path is a file like any other. */
int tmpdir_take(const char *tmp, const char *path, int flags);

#endif
