#include "mount.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int mount_of(int fd, struct mount *mount_r)
{
	struct statx stx;
	struct stat st;

	memset(mount_r, 0, sizeof(*mount_r));
	if (fstat(fd, &st) < 0)
		return -1;
	mount_r->dev = st.st_dev;
	memset(&stx, 0, sizeof(stx));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) == 0 &&
	    (stx.stx_mask & STATX_MNT_ID) != 0)
		mount_r->id = stx.stx_mnt_id;
	return 0;
}

bool mount_is_same(const struct mount *a, const struct mount *b)
{
	return a->dev == b->dev && a->id == b->id;
}
