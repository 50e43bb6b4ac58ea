/* Removing the private directory of one backend copy (BRIDGE_TMP).
 *
 * What lies in it was written by the backend and may be hostile: no symbolic
 * link is followed, no mount point crossed, and the work is bounded. Linked
 * into both core/ and dovebridge-launch, so it needs nothing but libc and mount.h. */
#ifndef BRIDGE_RMTREE_H
#define BRIDGE_RMTREE_H

#define RMTREE_PREFIX "dovebridge."	/* the name's beginning; else untouched */
#define RMTREE_MAX_DEPTH 64		/* folders within folders */
#define RMTREE_MAX_ENTRIES 200000	/* files and folders in one call */

/* Remove the directory path and everything in it, as the effective uid. It must
 * be absolute, a real directory of that uid, and its last component must begin
 * with RMTREE_PREFIX; else nothing is touched. Returns 1 if removed, 0 if there
 * was none, -1 and errno if something is left (ELOOP, EFBIG: the bounds). */
int rmtree_remove(const char *path);

#endif
