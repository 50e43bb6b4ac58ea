/* Replaying the records of a map file; reading single lines of it. */
#include "idmap-private.h"
#include "file.h"

#include <inttypes.h>
#include <stdlib.h>

#define READ_SIZE (256 * 1024)
#define READ_ENTRY_SIZE 512	/* enough for nearly every line */
#define READ_NEAR 4096		/* bytes: a line so soon behind the last one is
				   read along with many that follow */
#define READ_WINDOW_SIZE 65536

void idmap_guid(const unsigned char mailbox_guid[IDMAP_GUID_SIZE],
		const struct idmap_entry *entry,
		unsigned char guid_r[IDMAP_GUID_SIZE])
{
	unsigned char both[IDMAP_GUID_SIZE + ID_HASH_SIZE];
	struct view view = { (const char *)both, sizeof(both) };

	if (entry->has_guid) {
		memcpy(guid_r, entry->guid, IDMAP_GUID_SIZE);
		return;
	}
	memcpy(both, mailbox_guid, IDMAP_GUID_SIZE);
	memcpy(both + IDMAP_GUID_SIZE, entry->hash, ID_HASH_SIZE);
	id_hash(view, guid_r);
}

uint32_t idmap_spelling(const struct idmap *map, struct view id)
{
	if (memchr(id.p, '%', id.len) == NULL)
		return 0;
	return idmap_crc(&map->crc, 0, id.p, id.len) | 1;
}

/* --- messages ------------------------------------------------------------ */

/* The first message whose UID is not below uid. */
static size_t known_lower(const struct idmap *map, uint32_t uid)
{
	size_t low = 0, high = map->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (map->known[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct idmap_known *idmap_find(const struct idmap *map, uint32_t uid)
{
	size_t i = known_lower(map, uid);

	return i < map->count && map->known[i].uid == uid &&
		map->sets[i] != IDMAP_SET_DEAD ? &map->known[i] : NULL;
}

uint32_t idmap_flags_number(struct idmap *map, struct view flags)
{
	if (flags.len == 0)
		return 0;
	buf_clear(&map->scratch);
	idmap_flags_canonical(flags, &map->scratch);
	return idmap_flags_intern(&map->flags, view_of_buf(&map->scratch));
}

uint32_t idmap_known_flags(const struct idmap *map,
			   const struct idmap_known *known)
{
	return map->sets[known - map->known];
}

struct view idmap_flags_text(const struct idmap *map, uint32_t number)
{
	return map->flags.texts[number];
}

/* What a line says that may be said again. */
static void known_line(const struct idmap *map, struct idmap_known *known,
		       const struct idmap_entry *entry, size_t len)
{
	known->size = entry->size;
	known->offset = entry->offset;
	known->spelling = idmap_spelling(map, entry->id);
	known->len = (uint32_t)len + 1;
}

static const char *replay_add(struct idmap *map, struct view line,
			      uint64_t offset)
{
	struct idmap_entry entry;
	struct idmap_known *known;
	const char *reason = idmap_parse_message(line, &entry);

	if (reason != NULL)
		return reason;
	if (entry.uid <= map->loaded_uid)
		return "a new message's UID is not above all before it";
	reason = id_hash_spelt(entry.id, &map->scratch, entry.hash);
	if (reason != NULL)
		return reason;
	if (map->count == map->alloc) {
		/* by an eighth: address space is limited too, and growing
		   a big block is cheap */
		map->alloc += map->alloc / 8 + 64;
		map->known = mem_grow(map->known, map->alloc,
				      sizeof(*map->known));
		map->sets = mem_grow(map->sets, map->alloc,
				     sizeof(*map->sets));
	}
	entry.offset = offset;
	map->sets[map->count] = idmap_flags_number(map, entry.flags);
	known = &map->known[map->count++];
	memcpy(known->hash, entry.hash, sizeof(known->hash));
	known_line(map, known, &entry, line.len);
	known->suspect_since = 0;
	known->uid = entry.uid;
	map->loaded_uid = entry.uid;
	return NULL;
}

static const char *replay_update(struct idmap *map, struct view line,
				 uint64_t offset)
{
	struct idmap_entry update;
	struct idmap_known *known;
	const char *reason = idmap_parse_message(line, &update);

	if (reason == NULL)
		reason = id_hash_spelt(update.id, &map->scratch, update.hash);
	if (reason != NULL)
		return reason;
	known = idmap_find(map, update.uid);
	if (known == NULL)
		return NULL;
	if (memcmp(known->hash, update.hash, ID_HASH_SIZE) != 0)
		return "a U line gives a message the id of another";
	update.offset = offset;
	known_line(map, known, &update, line.len);
	return NULL;
}

static const char *replay_gone(struct idmap *map, struct view line,
			       uint64_t offset)
{
	struct idmap_known *known;
	const char *reason;
	uint32_t uid;

	reason = idmap_parse_gone(line, &uid);
	if (reason != NULL)
		return reason;
	known = idmap_find(map, uid);
	if (known != NULL)
		map->sets[known - map->known] = IDMAP_SET_DEAD;
	return NULL;
}

/* Change the sets from low up to high. */
static void change_sets(struct idmap *map, size_t low, size_t high,
			uint32_t change)
{
	uint32_t old = IDMAP_SET_DEAD, new = IDMAP_SET_DEAD;
	size_t i;

	map->flags.work += high - low;
	for (i = low; i < high; i++) {
		if (map->sets[i] != old && map->sets[i] != IDMAP_SET_DEAD) {
			old = map->sets[i];
			new = idmap_flags_apply(&map->flags, old, change);
		}
		if (map->sets[i] == old)
			map->sets[i] = new;
	}
}

static const char *replay_flags(struct idmap *map, struct view line,
				uint64_t offset)
{
	uint32_t uid1, uid2;
	struct view change;
	const char *reason;

	reason = idmap_parse_flags(line, &uid1, &uid2, &change);
	if (reason != NULL)
		return reason;
	change_sets(map, known_lower(map, uid1), known_lower(map, uid2 + 1),
		    idmap_flags_intern(&map->flags, change));
	return map->flags.work <= IDMAP_FLAG_WORK_MAX ? NULL :
		"it has more flag changes than can be replayed";
}

static const char *replay_suspect(struct idmap *map, struct view line,
				  uint64_t offset)
{
	struct idmap_known *known;
	const char *reason;
	uint32_t uid;
	int64_t since;

	reason = idmap_parse_suspect(line, &uid, &since);
	if (reason != NULL)
		return reason;
	known = idmap_find(map, uid);
	if (known != NULL)
		known->suspect_since = since;
	return NULL;
}

static const struct {
	char type;
	const char *(*replay)(struct idmap *map, struct view line,
			      uint64_t offset);
} replayers[] = {
	{ 'A', replay_add },
	{ 'U', replay_update },
	{ 'G', replay_gone },
	{ 'F', replay_flags },
	{ 'B', replay_suspect },
};

/* --- the file ------------------------------------------------------------ */

struct replay {
	struct idmap *map;
	uint64_t offset;	/* of the next line */
	uint64_t start;		/* of its transaction */
	uint32_t sum;		/* of its records so far */
	const char *reason;	/* what is wrong */
};

static const char *replay_commit(struct replay *replay, struct view line)
{
	struct idmap *map = replay->map;
	struct idmap_commit commit;
	const char *reason = idmap_parse_commit(&map->crc, line, &commit);

	if (reason != NULL)
		return reason;
	if (commit.start != replay->start)
		return "a commit line belongs to another place";
	if (commit.body_crc != replay->sum)
		return "a transaction's checksum is wrong";
	if (commit.next_uid < map->loaded_next_uid ||
	    commit.next_uid <= map->loaded_uid)
		return "the next UID goes back";
	map->loaded_next_uid = commit.next_uid;
	if (!view_equals(commit.state, view_of_buf(&map->loaded_state))) {
		buf_clear(&map->loaded_state);
		buf_append(&map->loaded_state, commit.state.p,
			   commit.state.len);
		map->loaded_listed_uid = commit.next_uid;
	}
	replay->start = replay->offset + line.len + 1;
	replay->sum = 0;
	return NULL;
}

static const char *replay_line(struct replay *replay, struct view line)
{
	unsigned int i;

	if (line.len > 0 && line.p[0] == 'C')
		return replay_commit(replay, line);
	replay->sum = idmap_crc(&replay->map->crc, replay->sum, line.p,
				line.len + 1);
	for (i = 0; i < sizeof(replayers) / sizeof(replayers[0]); i++) {
		if (line.len > 0 && replayers[i].type == line.p[0])
			return replayers[i].replay(replay->map, line,
						   replay->offset);
	}
	return "a line is of no known type";
}

/* Replay the whole lines of data; returns how many bytes they are. */
static size_t replay_lines(struct replay *replay, struct view data)
{
	size_t done = 0;
	struct view line;
	const char *lf;

	while (replay->reason == NULL) {
		line.p = data.p + done;
		lf = memchr(line.p, '\n', data.len - done);
		line.len = lf == NULL ? data.len - done :
			(size_t)(lf - line.p);
		if (line.len >= IDMAP_LINE_MAX)
			replay->reason = "a line is too long";
		if (lf == NULL || replay->reason != NULL)
			break;
		replay->map->loaded_lines++;
		replay->reason = replay_line(replay, line);
		if (replay->reason != NULL)
			break;
		replay->offset += line.len + 1;
		done += line.len + 1;
	}
	return done;
}

/* Returns 0, or -1 with a fault; 0 with replay->reason set if the content is
 * wrong. */
static int replay_file(struct replay *replay, struct buf *buf,
		       struct fault *fault)
{
	struct idmap *map = replay->map;
	uint64_t pos = replay->offset;
	size_t want, done;
	ssize_t got;

	while (pos < map->end && replay->reason == NULL) {
		want = map->end - pos < READ_SIZE ? (size_t)(map->end - pos) :
			READ_SIZE;
		got = file_read_at(map->fd, buf_reserve(buf, want), want, pos);
		if (got < 0)
			return idmap_sys_fault(map, fault, "read()");
		if (got == 0) {
			replay->reason = "it became shorter";
			break;
		}
		buf->len += (size_t)got;
		pos += (uint64_t)got;
		done = replay_lines(replay, view_of_buf(buf));
		memmove(buf->p, buf->p + done, buf->len - done);
		buf->len -= done;
	}
	if (replay->reason == NULL && replay->start != map->end)
		replay->reason = "its last commit line is not where it was";
	return 0;
}

/* Drop the messages that are gone, give unused memory back. */
static void load_finish(struct idmap *map)
{
	size_t i, n = 0;

	for (i = 0; i < map->count; i++) {
		if (map->sets[i] == IDMAP_SET_DEAD)
			continue;
		if (n != i) {
			map->known[n] = map->known[i];
			map->sets[n] = map->sets[i];
		}
		n++;
	}
	map->count = n;
	if (map->alloc - n > n / 8 + 64) {
		map->alloc = n;
		map->known = mem_grow(map->known, n, sizeof(*map->known));
		map->sets = mem_grow(map->sets, n, sizeof(*map->sets));
	}
}

static int load_failed(struct idmap *map, const struct replay *replay,
		       struct fault *fault)
{
	if (!idmap_seal_holds(map)) {
		/* what we read was a commit that was cut off again */
		(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
				"%s: changed while it was read", map->path);
	} else {
		(void)fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
				"%s: damaged at byte %"PRIu64" (line %"PRIu64
				"): %s", map->path, replay->offset,
				map->loaded_lines + 1, replay->reason);
	}
	return -1;
}

int idmap_load(struct idmap *map, struct fault *fault)
{
	struct replay replay;
	struct buf buf = { NULL, 0, 0 };
	int ret;

	if (map->fd < 0)
		return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
				 "%s: loaded without being open", map->path);
	if (map->loaded == map->end)
		return 0;
	memset(&replay, 0, sizeof(replay));
	replay.map = map;
	replay.start = replay.offset =
		map->loaded == 0 ? map->first : map->loaded;
	ret = replay_file(&replay, &buf, fault);
	if (ret == 0 && replay.reason != NULL)
		ret = load_failed(map, &replay, fault);
	buf_free(&buf);
	if (ret < 0) {
		idmap_unload(map);
		return -1;
	}
	load_finish(map);
	map->loaded = map->end;
	return 0;
}

const struct idmap_known *idmap_known(const struct idmap *map, size_t *count_r)
{
	*count_r = map->count;
	return map->known;
}

uint32_t idmap_listed_uid(const struct idmap *map)
{
	return map->loaded_listed_uid;
}

/* --- one line ------------------------------------------------------------ */

/* Read on from where the line begins. */
static int lines_fill(struct idmap *map, struct idmap_lines *lines,
		      const struct idmap_known *known, size_t size,
		      struct fault *fault)
{
	ssize_t got;

	if (size < known->len)
		size = known->len;
	buf_clear(&lines->piece);
	got = file_read_at(map->fd, buf_reserve(&lines->piece, size), size,
			   known->offset);
	if (got < 0)
		return idmap_sys_fault(map, fault, "read()");
	lines->piece.len = (size_t)got;
	lines->offset = known->offset;
	return 0;
}

int idmap_lines_read(struct idmap *map, struct idmap_lines *lines,
		     const struct idmap_known *known, size_t ahead,
		     struct idmap_entry *entry_r, struct fault *fault)
{
	struct view line;

	if ((known->offset < lines->offset || known->offset + known->len >
	     lines->offset + lines->piece.len) &&
	    lines_fill(map, lines, known, ahead, fault) < 0)
		return -1;
	line.p = lines->piece.p + (known->offset - lines->offset);
	line.len = known->len - 1;
	if (known->offset + known->len > lines->offset + lines->piece.len ||
	    idmap_parse_message(line, entry_r) != NULL ||
	    entry_r->uid != known->uid)
		return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
				 "%s: the line at byte %"PRIu64" is not the "
				 "one that was there", map->path,
				 known->offset);
	memcpy(entry_r->hash, known->hash, sizeof(entry_r->hash));
	entry_r->offset = known->offset;
	entry_r->flags = idmap_flags_text(map, idmap_known_flags(map, known));
	return 0;
}

int idmap_lookup(struct idmap *map, uint32_t uid, struct idmap_entry *entry_r,
		 struct buf *buf, struct fault *fault)
{
	struct idmap_lines lines = { *buf, 0 };
	const struct idmap_known *known;
	int ret;

	if (idmap_load(map, fault) < 0)
		return -1;
	known = idmap_find(map, uid);
	if (known == NULL)
		return 0;
	buf_clear(&lines.piece);
	ret = idmap_lines_read(map, &lines, known, 0, entry_r, fault);
	*buf = lines.piece;
	return ret < 0 ? -1 : 1;
}

/* Let the window begin with the byte before offset. Returns 0, or -1. */
static int window_fill(struct idmap *map, uint64_t offset, size_t size,
		       struct fault *fault)
{
	ssize_t got;

	if (map->end - offset < size)
		size = (size_t)(map->end - offset);
	buf_clear(&map->window);
	map->window_offset = offset - 1;
	got = file_read_at(map->fd, buf_reserve(&map->window, size + 1),
			   size + 1, offset - 1);
	if (got < 0)
		return idmap_sys_fault(map, fault, "read()");
	map->window.len = (size_t)got;
	return 0;
}

/* The line at an offset, if the window has it whole. */
static bool window_line(const struct idmap *map, uint64_t offset,
			struct view *line_r)
{
	const char *p = map->window.p, *lf;
	size_t before;

	if (offset <= map->window_offset ||
	    offset >= map->window_offset + map->window.len)
		return false;
	before = (size_t)(offset - 1 - map->window_offset);
	lf = p[before] != '\n' ? NULL :
		memchr(p + before + 1, '\n', map->window.len - before - 1);
	line_r->p = p + before + 1;
	line_r->len = lf == NULL ? 0 : (size_t)(lf - line_r->p);
	return lf != NULL;
}

/* Find the line at an offset. Who reads one after the other gets many at once.
 * Returns 1 and the line, valid until the next call; 0 if no line begins there,
 * -1. */
static int read_line(struct idmap *map, uint64_t offset, struct view *line_r,
		     struct fault *fault)
{
	bool near = offset > map->window_last &&
		offset - map->window_last < READ_NEAR;
	size_t size = near ? READ_WINDOW_SIZE : READ_ENTRY_SIZE;

	map->window_last = offset;
	if (window_line(map, offset, line_r))
		return 1;
	if (window_fill(map, offset, size, fault) < 0)
		return -1;
	if (window_line(map, offset, line_r))
		return 1;
	if (map->window.len <= size || map->window.p[0] != '\n')
		return 0;
	if (window_fill(map, offset, IDMAP_LINE_MAX, fault) < 0)
		return -1;
	return window_line(map, offset, line_r) ? 1 : 0;
}

int idmap_read_entry(struct idmap *map, uint32_t generation, uint64_t offset,
		     uint32_t uid, struct idmap_entry *entry_r,
		     struct buf *buf, struct fault *fault)
{
	struct view line, found;
	int ret;

	memset(entry_r, 0, sizeof(*entry_r));
	if (map->fd < 0 || generation != map->header.generation ||
	    offset < map->first || offset >= map->end)
		return 0;
	ret = read_line(map, offset, &found, fault);
	if (ret <= 0)
		return ret;
	buf_clear(buf);
	buf_append_view(buf, found);
	line = view_of_buf(buf);
	if (idmap_parse_message(line, entry_r) != NULL ||
	    entry_r->uid != uid ||
	    id_hash_spelt(entry_r->id, &map->scratch, entry_r->hash) != NULL)
		return 0;
	entry_r->flags.len = 0;
	entry_r->offset = offset;
	return 1;
}
