/* BRIDGE_TMP folders that were left behind, because SIGKILL took a launcher and its
 * parent. A launcher has its folder locked (flock) as long as it lives; what nobody has
 * locked is nobody's. Linked into dovebridge-launch, so it needs nothing but libc,
 * rmtree.h and mount.h. */
#ifndef BRIDGE_SWEEP_H
#define BRIDGE_SWEEP_H

#include "rmtree.h"

/* How the name of such a folder begins. Those of older versions, who locked nothing,
 * have other names. */
#define SWEEP_PREFIX RMTREE_PREFIX "tmp-"
#define SWEEP_LOOK_MAX 64	/* folders that are looked at in one call */

/* Make the folder, of mode 0700, and lock it until the descriptor is closed. Returns
 * that, or -1 and errno. Where folders cannot be locked (NFS) it is not swept. */
int sweep_make(const char *path);
/* Remove the folders of the effective uid in a folder that nobody has locked, as far as
 * they are among those that are looked at: all, or so many by chance. */
void sweep_dead(const char *dir);

#endif
