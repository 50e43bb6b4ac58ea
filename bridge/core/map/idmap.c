/* The map file.
 *
 * Format. Text; one record a line, LF at the end; words separated by exactly
 * one space; numbers decimal without sign and leading zeros; "-" for unknown
 * or none. Ids, states and flags stand as on the wire, so no word is empty
 * and none holds a space or a control byte.
 *
 *	dovebridge-map 1 UIDVALIDITY GUID GENERATION CRC
 *
 * is the first line and never changes while the file lives. All that follows
 * is transactions: any number of records, then one commit line.
 *
 *	A UID ID SIZE DATE FIRST_SEEN FLAGS [GUID]	a new message
 *	U UID ID SIZE DATE FIRST_SEEN [GUID]	it is spelt or known otherwise
 *	G UID					it is gone
 *	F UID1 UID2 CHANGE			local flags of a range change
 *	B UID SINCE				suspect since then; 0: no more
 *	C START NEXT_UID HELD DEAD STATE BODYCRC LINECRC
 *
 * DATE is - if none was told; -TIME if the message is a copy, and that is when it
 * was first seen where it was copied from. UIDs of A lines ascend in the whole
 * file and are below NEXT_UID of their commit; NEXT_UID never falls. Records are
 * replayed in order; U, G, F and B say nothing about a UID that is not there. The
 * hash of a message is that of its decoded id and is worked out when the line is
 * read. A message without a GUID of its own has one made of that hash
 * (idmap_guid). START is the offset at which the transaction begins, that is
 * where the last one ended. HELD is when the brake last held a list back. DEAD
 * estimates how many bytes of the file are superseded. BODYCRC is the CRC-32 of
 * the records, LINECRC that of the commit line up to and including the space
 * before LINECRC.
 *
 * Writing. Only the holder of PATH.lock writes, and it only appends after the
 * last commit line: what stands behind that is the torn tail of somebody who
 * died, and is cut off when the holder opens the file. Records may reach the file
 * long before their commit line; without it they are such a tail. If writing
 * fails the file is cut back to where it was. A new file, and a rewrite
 * (compaction), is written beside the old one under the next generation, synced
 * and renamed over it.
 *
 * Crashes. If the process dies, the file ends in a prefix of what it wrote;
 * the commit line comes last, so that either the transaction is whole or it
 * has no commit line. If the machine dies, blocks may be missing anywhere in
 * what was not synced, and the commit line may be there without its records:
 *   - records of up to IDMAP_SMALL_MAX bytes are checked against BODYCRC by
 *     whoever opens the file: a transaction that fails is a torn tail;
 *   - longer ones are synced before their commit line is written, so that a
 *     commit line vouches for them, and opening need not read them.
 * So opening reads the header, the end of the file back to the last sound
 * commit line, and at most IDMAP_SMALL_MAX bytes of records. A record that is
 * wrong with a sound commit line behind it was not torn by a crash, nor is one that
 * was synced, which the index remembers (idmap_expect): that is damage, is reported and
 * never skipped. (A crash of the machine can do that
 * only to transactions committed without sync.)
 *
 * What readers may assume. The bytes before the last commit line never change
 * while the file lives, with one exception: a commit whose sync failed was
 * visible for a moment and is cut off again. A reader therefore remembers the
 * two checksums of the last commit line it saw, and begins anew if they are
 * not where they were. The holder of the lock may assume that nothing changes
 * at all. An offset is good as long as GENERATION is the same.
 *
 * Nothing in the file is trusted: whatever it holds, reading it ends in an
 * list of messages, or in a fault, within time and memory proportional to its size.
 */
#include "idmap-private.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SLEEP_MIN_MSECS 1
#define LOCK_SLEEP_MAX_MSECS 100
#define LOCK_WAITING_MSECS 1000
#define LOCK_TRIES_MAX 100	/* lock files that were replaced while we waited */

struct idmap *idmap_init(const char *path)
{
	struct idmap *map = mem_new(1, sizeof(*map));
	struct buf lock_path = { NULL, 0, 0 };

	buf_printf(&lock_path, "%s.lock", path);
	map->path = mem_strdup(path);
	map->lock_path = lock_path.p;
	map->fd = -1;
	map->lock_fd = -1;
	idmap_crc_init(&map->crc);
	idmap_flags_init(&map->flags);
	return map;
}

void idmap_set_readonly(struct idmap *map)
{
	map->readonly = true;
}

void idmap_deinit(struct idmap **_map)
{
	struct idmap *map = *_map;

	if (map == NULL)
		return;
	*_map = NULL;
	idmap_rollback(map);
	idmap_close(map);
	idmap_unlock(map);
	idmap_flags_free(&map->flags);
	buf_free(&map->scratch);
	buf_free(&map->window);
	buf_free(&map->staged);
	buf_free(&map->committed.state);
	buf_free(&map->now.state);
	buf_free(&map->loaded_state);
	free(map->path);
	free(map->lock_path);
	free(map);
}

/* --- the lock ------------------------------------------------------------ */

static void sleep_msecs(uint64_t msecs)
{
	struct timespec ts;

	ts.tv_sec = (time_t)(msecs / 1000);
	ts.tv_nsec = (long)(msecs % 1000) * 1000000;
	(void)nanosleep(&ts, NULL);
}

/* 1 = locked, 0 = somebody else holds it, -1 = error */
static int lock_try(int fd)
{
	struct flock fl;

	memset(&fl, 0, sizeof(fl));
	fl.l_type = F_WRLCK;
	fl.l_whence = SEEK_SET;
	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 1;
	return errno == EAGAIN || errno == EACCES || errno == EINTR ? 0 : -1;
}

static int lock_wait(int fd, unsigned int wait_msecs,
		     void (*waiting)(void *context), void *context)
{
	uint64_t now = clock_msecs(), deadline = now + wait_msecs;
	uint64_t notify = now + LOCK_WAITING_MSECS;
	uint64_t nap = LOCK_SLEEP_MIN_MSECS;
	int ret;

	while ((ret = lock_try(fd)) == 0) {
		now = clock_msecs();
		if (now >= deadline)
			return 0;
		if (waiting != NULL && now >= notify) {
			waiting(context);
			notify = now + LOCK_WAITING_MSECS;
		}
		sleep_msecs(nap < deadline - now ? nap : deadline - now);
		if (nap < LOCK_SLEEP_MAX_MSECS)
			nap = nap * 2 < LOCK_SLEEP_MAX_MSECS ? nap * 2 :
				LOCK_SLEEP_MAX_MSECS;
	}
	return ret;
}

/* The folder may have been renamed, or removed and made again, while we waited: then
   somebody else may hold the lock that is at the path now. */
static bool lock_is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
		ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

int idmap_lock(struct idmap *map, unsigned int wait_msecs,
	       void (*waiting)(void *context), void *context,
	       struct fault *fault)
{
	unsigned int tries = 0;
	int fd, ret;

	if (map->lock_fd >= 0)
		return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
				 "%s: locked twice", map->path);
	do {
		fd = open(map->lock_path, O_RDWR | O_CREAT | O_CLOEXEC |
			  O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd < 0)
			return idmap_sys_fault(map, fault,
					       "opening its lock file");
		ret = lock_wait(fd, wait_msecs, waiting, context);
		if (ret > 0 && lock_is_at(fd, map->lock_path)) {
			map->lock_fd = fd;
			map->fresh = false;
			return 0;
		}
		if (ret <= 0)
			break;
		(void)close(fd);
		fd = -1;
		ret = 0;
	} while (++tries < LOCK_TRIES_MAX);
	if (ret < 0)
		(void)idmap_sys_fault(map, fault, "locking its lock file");
	else
		(void)fault_set(fault, FAULT_BUSY, FAULT_SCOPE_MAILBOX,
				"%s: still locked by another process after "
				"%u ms", map->lock_path, wait_msecs);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

void idmap_unlock(struct idmap *map)
{
	if (map->lock_fd < 0)
		return;
	idmap_rollback(map);
	(void)close(map->lock_fd);
	map->lock_fd = -1;
	map->fresh = false;
}

bool idmap_is_locked(const struct idmap *map)
{
	return map->lock_fd >= 0;
}

/* --- what is known of it ---------------------------------------------------- */

void idmap_expect(struct idmap *map, const unsigned char guid[IDMAP_GUID_SIZE],
		  uint32_t generation, uint64_t end)
{
	memcpy(map->expected.guid, guid, IDMAP_GUID_SIZE);
	map->expected.generation = generation;
	map->expected.end = end;
	map->fresh = false;
}

const struct idmap_header *idmap_header(const struct idmap *map)
{
	return &map->header;
}

uint64_t idmap_end(const struct idmap *map)
{
	return map->end;
}

int64_t idmap_brake(const struct idmap *map)
{
	return map->now.brake;
}

bool idmap_wants_compaction(const struct idmap *map)
{
	if (map->flags.work > IDMAP_FLAG_WORK_MAX / 32)
		return true;
	return map->end > IDMAP_COMPACT_MIN && map->now.dead > map->end / 2;
}
