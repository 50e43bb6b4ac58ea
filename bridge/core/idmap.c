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
 * was first seen where it was copied from. UIDs of A lines ascend in the whole file and
 * are below NEXT_UID of their commit; NEXT_UID never falls. Records are replayed in order; U, G, F and B
 * say nothing about a UID that is not there. The hash of a message is that of
 * its decoded id and is worked out when the line is read. A message without
 * a GUID of its own has one made of that hash (idmap_guid). START is the offset
 * at which the transaction begins, that is where the last one ended. HELD is
 * when the brake last held a list back. DEAD estimates how many bytes of the
 * file are superseded. BODYCRC is the CRC-32 of the records, LINECRC that of
 * the commit line up to and including the space before LINECRC.
 *
 * Writing. Only the holder of PATH.lock writes, and it only appends after the
 * last commit line: what stands behind that is the torn tail of somebody who
 * died, and is cut off when the holder opens the file. Records may reach the file long before their
 * commit line; without it they are such a tail. If writing fails the file is
 * cut back to where it was. A new file, and a rewrite (compaction), is written
 * beside the old one under the next generation, synced and renamed over it.
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
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SLEEP_MIN_MSECS 1
#define LOCK_SLEEP_MAX_MSECS 100
#define LOCK_WAITING_MSECS 1000
#define LOCK_TRIES_MAX 100	/* lock files that were replaced while we waited */
#define TAIL_READ_SIZE (32 * 1024)	/* more than IDMAP_LINE_MAX */
/* Commit lines whose records are torn that opening puts up with: each costs
 * reading IDMAP_SMALL_MAX bytes. A crash leaves one, or a few. */
#define TORN_COMMITS_MAX 64

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

int idmap_sys_fault(const struct idmap *map, struct fault *fault,
		    const char *what)
{
	int err = errno;

	return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
			 "%s: %s failed: %s", map->path, what, strerror(err));
}

static int open_damaged(const struct idmap *map, struct fault *fault,
			uint64_t offset, const char *reason)
{
	return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
			 "%s: damaged at byte %llu: %s", map->path,
			 (unsigned long long)offset, reason);
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

/* --- opening ------------------------------------------------------------- */

void idmap_close(struct idmap *map)
{
	idmap_unload(map);
	if (map->fd >= 0)
		(void)close(map->fd);
	map->fd = -1;
	buf_clear(&map->window);
	map->fresh = false;
	map->end = map->first = 0;
	map->restorable = false;
	map->top_uid = map->staged_uid = 0;
}

void idmap_moving_copy(struct idmap_moving *to, const struct idmap_moving *from)
{
	to->next_uid = from->next_uid;
	to->brake = from->brake;
	to->dead = from->dead;
	buf_clear(&to->state);
	buf_append(&to->state, buf_str(&from->state), from->state.len);
}

static void header_show(struct idmap *map)
{
	map->header.next_uid = map->now.next_uid;
	map->header.state = buf_str(&map->now.state);
}

void idmap_take_commit(struct idmap *map, const struct idmap_commit *commit,
		       uint64_t end, const char *seal)
{
	struct idmap_moving *to = &map->committed;

	/* A torn tail may have held a higher one that we have seen already */
	if (commit->next_uid > to->next_uid)
		to->next_uid = commit->next_uid;
	to->brake = commit->brake;
	to->dead = commit->dead;
	buf_clear(&to->state);
	buf_append_view(&to->state, commit->state);
	idmap_moving_copy(&map->now, to);
	map->end = end;
	memcpy(map->seal, seal, sizeof(map->seal));
	header_show(map);
}

bool idmap_seal_holds(const struct idmap *map)
{
	char seal[IDMAP_SEAL_LEN];

	return file_read_at(map->fd, seal, sizeof(seal),
			    map->end - sizeof(seal)) == sizeof(seal) &&
		memcmp(seal, map->seal, sizeof(seal)) == 0;
}

/* Whether the records of a commit line at line_offset are what it says. 1, 0,
 * -1 if they cannot be read. */
static int tail_check_body(struct idmap *map, const struct idmap_commit *commit,
			   uint64_t line_offset, struct fault *fault)
{
	struct buf body = { NULL, 0, 0 };
	size_t len;
	ssize_t ret;

	if (commit->start < map->first || commit->start > line_offset)
		return 0;
	if (line_offset - commit->start > IDMAP_SMALL_MAX)
		return 1;
	len = (size_t)(line_offset - commit->start);
	ret = file_read_at(map->fd, buf_reserve(&body, len), len,
			   commit->start);
	if (ret < 0)
		(void)idmap_sys_fault(map, fault, "read()");
	else
		ret = (size_t)ret == len &&
			idmap_crc(&map->crc, 0, body.p, len) ==
			commit->body_crc;
	buf_free(&body);
	return (int)ret;
}

/* Look for the last sound commit line in data, which stands at offset. The
 * first line may be cut unless whole_first is set. 1, 0, -1. */
static int tail_scan(struct idmap *map, struct view data, uint64_t offset,
		     bool whole_first, unsigned int *torn, struct fault *fault)
{
	struct idmap_commit commit;
	struct view line;
	const char *lf, *before;
	int ret;

	lf = memrchr(data.p, '\n', data.len);
	for (; lf != NULL; lf = before) {
		before = lf == data.p ? NULL :
			memrchr(data.p, '\n', (size_t)(lf - data.p));
		if (before == NULL && !whole_first)
			break;
		line.p = before == NULL ? data.p : before + 1;
		line.len = (size_t)(lf - line.p);
		if (!view_starts(line, "C ") ||
		    idmap_parse_commit(&map->crc, line, &commit) != NULL)
			continue;
		ret = tail_check_body(map, &commit,
				      offset + (size_t)(line.p - data.p),
				      fault);
		if (ret > 0)
			idmap_take_commit(map, &commit,
				offset + (size_t)(lf - data.p) + 1,
				lf + 1 - IDMAP_SEAL_LEN);
		if (ret != 0)
			return ret;
		if (++*torn > TORN_COMMITS_MAX)
			return open_damaged(map, fault, offset,
				"its last transactions are all wrong");
	}
	return 0;
}

/* Find the last sound commit line between low, where a line begins, and high;
 * take it over. Returns 1, 0 if there is none, -1. */
static int tail_find(struct idmap *map, uint64_t low, uint64_t high,
		     struct fault *fault)
{
	struct buf *buf = &map->scratch;
	unsigned int torn = 0;
	uint64_t from, cut;
	const char *lf;
	ssize_t got;
	int ret = 0;

	while (high > low && ret == 0) {
		from = high - low > TAIL_READ_SIZE ? high - TAIL_READ_SIZE :
			low;
		buf_clear(buf);
		got = file_read_at(map->fd, buf_reserve(buf, TAIL_READ_SIZE),
				   (size_t)(high - from), from);
		if (got < 0)
			return idmap_sys_fault(map, fault, "read()");
		buf->len = (size_t)got;
		ret = tail_scan(map, view_of_buf(buf), from, from == low,
				&torn, fault);
		/* the next piece ends with the line that was cut here; no line
		   is longer than IDMAP_LINE_MAX */
		lf = memchr(buf->p, '\n', buf->len);
		cut = IDMAP_LINE_MAX;
		if (lf != NULL && (uint64_t)(lf - buf->p) + 1 < cut)
			cut = (uint64_t)(lf - buf->p) + 1;
		if (from == low)
			break;
		high = from + cut;
	}
	return ret;
}

static int open_header(struct idmap *map, struct fault *fault)
{
	struct idmap_header header;
	char data[IDMAP_HEADER_MAX];
	struct view line;
	const char *lf, *reason;
	ssize_t got;

	memset(&header, 0, sizeof(header));
	got = file_read_at(map->fd, data, sizeof(data), 0);
	if (got < 0)
		return idmap_sys_fault(map, fault, "read()");
	lf = memchr(data, '\n', (size_t)got);
	if (lf == NULL)
		return open_damaged(map, fault, 0, "it has no header line");
	line.p = data;
	line.len = (size_t)(lf - data);
	reason = idmap_parse_header(&map->crc, line, &header);
	if (reason != NULL)
		return open_damaged(map, fault, 0, reason);
	/* next_uid never goes back, unless this is another map altogether */
	if (header.uidvalidity != map->header.uidvalidity ||
	    memcmp(header.guid, map->header.guid, IDMAP_GUID_SIZE) != 0)
		map->committed.next_uid = 0;
	map->header = header;
	map->first = line.len + 1;
	return 0;
}

/* Have the file open that is at the path now. 1; 0 if there is none, -1. */
static int open_file(struct idmap *map, struct stat *st, struct fault *fault)
{
	if (map->fd >= 0) {
		if (lstat(map->path, st) == 0 && st->st_dev == map->dev &&
		    st->st_ino == map->ino)
			return 1;
		idmap_close(map);
	}
	map->fd = open(map->path, (map->readonly ? O_RDONLY : O_RDWR) |
		       O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (map->fd < 0 && errno == ENOENT)
		return 0;
	if (map->fd < 0)
		return idmap_sys_fault(map, fault, "open()");
	if (fstat(map->fd, st) < 0)
		return idmap_sys_fault(map, fault, "fstat()");
	if (!S_ISREG(st->st_mode))
		return open_damaged(map, fault, 0, "it is not a regular file");
	map->dev = st->st_dev;
	map->ino = st->st_ino;
	return open_header(map, fault) < 0 ? -1 : 1;
}

void idmap_expect(struct idmap *map, const unsigned char guid[IDMAP_GUID_SIZE],
		  uint32_t generation, uint64_t end)
{
	memcpy(map->expected.guid, guid, IDMAP_GUID_SIZE);
	map->expected.generation = generation;
	map->expected.end = end;
	map->fresh = false;
}

/* Whether a commit that somebody has seen stands behind the last sound one. */
static bool tail_was_committed(const struct idmap *map)
{
	return map->expected.end > map->end &&
		map->expected.generation == map->header.generation &&
		memcmp(map->expected.guid, map->header.guid,
		       IDMAP_GUID_SIZE) == 0;
}

static int open_tail(struct idmap *map, uint64_t size, struct fault *fault)
{
	int ret;

	if (map->end > 0 && (size < map->end || !idmap_seal_holds(map))) {
		/* a commit that we saw was cut off again */
		idmap_unload(map);
		map->end = 0;
	}
	if (map->end == size)
		return 1;
	ret = tail_find(map, map->end > 0 ? map->end : map->first, size,
			fault);
	if (ret == 0 && map->end == 0)
		return open_damaged(map, fault, map->first,
				    "it has no sound commit line");
	if (ret >= 0 && size > map->end && tail_was_committed(map))
		return open_damaged(map, fault, map->end, "what was committed "
				    "there is not sound any more");
	return ret < 0 ? -1 : 1;
}

int idmap_cut_tail(const struct idmap *map)
{
	struct stat st;

	if (fstat(map->fd, &st) < 0)
		return -1;
	return (uint64_t)st.st_size <= map->end ? 0 :
		ftruncate(map->fd, (off_t)map->end);
}

int idmap_open(struct idmap *map, struct fault *fault)
{
	struct stat st = { .st_size = 0 };
	int ret;

	/* under the lock it is as we saw it, or as we made it */
	if (map->fresh)
		return 1;
	ret = open_file(map, &st, fault);
	if (ret > 0)
		ret = open_tail(map, (uint64_t)st.st_size, fault);
	if (ret < 0)
		idmap_close(map);
	if (ret <= 0)
		return ret;
	header_show(map);
	map->fresh = idmap_is_locked(map) && !map->readonly;
	/* whoever left a torn tail is gone: nobody shall search it again. If
	   this fails, writing does it. */
	if (map->fresh)
		(void)idmap_cut_tail(map);
	return 1;
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
