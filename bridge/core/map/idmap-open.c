/* Opening a map file: its header, and back from its end to the last sound commit line.
 * What is found there, and why that is enough, stands in idmap.c. */
#include "idmap-private.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_READ_SIZE (32 * 1024)	/* more than IDMAP_LINE_MAX */
/* Commit lines whose records are torn that opening puts up with: each costs
 * reading IDMAP_SMALL_MAX bytes. A crash leaves one, or a few. */
#define TORN_COMMITS_MAX 64

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

void idmap_unload(struct idmap *map)
{
	free(map->known);
	free(map->sets);
	map->known = NULL;
	map->sets = NULL;
	map->count = map->alloc = 0;
	idmap_flags_free(&map->flags);
	idmap_flags_init(&map->flags);
	map->loaded = map->loaded_lines = 0;
	map->loaded_uid = map->loaded_next_uid = map->loaded_listed_uid = 0;
	buf_clear(&map->loaded_state);
	buf_clear(&map->window);
}

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

/* --- the last commit line ------------------------------------------------- */

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

/* --- opening ------------------------------------------------------------- */

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
	map->fresh = map->lock_fd >= 0 && !map->readonly;
	/* whoever left a torn tail is gone: nobody shall search it again. If
	   this fails, writing does it. */
	if (map->fresh)
		(void)idmap_cut_tail(map);
	return 1;
}
