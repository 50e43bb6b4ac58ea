/* Small files that are read and written whole. */
#ifndef BRIDGE_FILE_H
#define BRIDGE_FILE_H

#include "buf.h"

#include <sys/stat.h>
#include <sys/types.h>

/* Read the file at path, at most max bytes. No link is followed in its last
 * component, and no pipe waited for. Returns 1, 0 if there is none; -1 and errno,
 * EFBIG if it is larger, EINVAL if it is not a regular file. st_r (may be NULL)
 * is filled in if the file could be opened, else zeroed. */
int file_read(const char *path, size_t max, struct buf *out, struct stat *st_r);

/* Put a new file of mode 0600 at path: it is written to path + ".tmp", synced and
 * renamed, so that readers, and what a crash leaves, see the old or the new one
 * whole. Whoever does that holds a lock. Returns 0, -1 and errno. st_r (may be
 * NULL) is that of the new file. */
int file_replace(const char *path, struct view text, struct stat *st_r);

/* The same for what nobody needs after a crash: it is not synced. */
int file_put(const char *path, struct view text);

/* Write all of it where the descriptor stands, or at an offset. Returns 0, -1 and errno:
 * then some of it may be there. */
int file_write(int fd, struct view text);
int file_write_at(int fd, struct view text, uint64_t offset);

/* Read len bytes at an offset. Returns how many they are, fewer where the file ends
 * before; -1 and errno. */
ssize_t file_read_at(int fd, void *data, size_t len, uint64_t offset);

/* A file in a folder that has no name: it ends with its descriptor. Returns that, to
 * read and to write; -1 and errno. */
int file_unnamed(const char *dir);

/* Lock a lock file, made if there is none, against other processes. Returns
 * a descriptor: closing it unlocks. -1 and errno, EWOULDBLOCK if it was still
 * locked after wait_msecs. */
int file_lock(const char *path, unsigned int wait_msecs);

/* Take one of count places that a file stands for, made if there is none, against
 * all who ask with the same count or another. Returns a descriptor: closing it,
 * or the end of the process, gives the place back. -1 and errno, EWOULDBLOCK if all
 * are taken. */
int file_place(const char *path, unsigned int count);

#endif
