/* Staging, committing, making and rewriting a map file. The rules of writing
 * stand in idmap.c. */
#include "idmap-private.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Staged records beyond this go to the file before their commit. */
#define SPILL_SIZE (256 * 1024)
/* About what a line takes besides its id, its flags or its state. */
#define LINE_OVERHEAD 48
#define LINE_GUESS 96

static int misuse(const struct idmap *map, struct fault *fault,
		  const char *what)
{
	return fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MAILBOX,
			 "%s: %s", map->path, what);
}

/* --- staging ------------------------------------------------------------- */

/* What is staged cannot be committed any more; the first reason is kept. */
static void stage_refuse(struct idmap *map, const char *what)
{
	if (map->staged_fault.code == FAULT_NONE)
		(void)misuse(map, &map->staged_fault, what);
}

/* Whether anything may be staged at all. */
static bool stage_begin(struct idmap *map)
{
	if (!map->fresh)
		stage_refuse(map, "changed without being locked and opened");
	return map->staged_fault.code == FAULT_NONE;
}

static uint64_t stage_offset(const struct idmap *map)
{
	return map->end + map->staged_written + map->staged.len;
}

/* Write what is in the buffer. Cuts the torn tail off first. */
static int stage_write(struct idmap *map, struct fault *fault)
{
	if (map->staged_written == 0 && idmap_cut_tail(map) < 0)
		return idmap_sys_fault(map, fault, "cutting off its torn tail");
	if (file_write_at(map->fd, view_of_buf(&map->staged),
			  map->end + map->staged_written) < 0)
		return idmap_sys_fault(map, fault, "write()");
	map->staged_written += map->staged.len;
	buf_clear(&map->staged);
	return 0;
}

/* The records from pos on in the buffer are complete. */
static void stage_done(struct idmap *map, size_t pos)
{
	map->staged_crc = idmap_crc(&map->crc, map->staged_crc,
				    map->staged.p + pos,
				    map->staged.len - pos);
	if (map->staged.len >= SPILL_SIZE)
		(void)stage_write(map, &map->staged_fault);
}

static void stage_forget(struct idmap *map)
{
	buf_clear(&map->staged);
	map->staged_written = 0;
	map->staged_crc = 0;
	map->staged_uid = map->top_uid;
	memset(&map->staged_fault, 0, sizeof(map->staged_fault));
}

/* What is wrong with an entry that is to be written; NULL if nothing is. */
static const char *entry_check(const struct idmap_entry *entry)
{
	if (entry->uid == 0 || entry->uid > WIRE_UID_MAX)
		return "a message with a UID out of range";
	if (!idmap_id_is_sound(entry->id))
		return "a message with a malformed id";
	if (!idmap_flags_list_is_sound(entry->flags))
		return "a message with malformed flags";
	return NULL;
}

uint64_t idmap_add(struct idmap *map, const struct idmap_entry *entry)
{
	uint64_t offset = stage_offset(map);
	size_t pos = map->staged.len;
	const char *reason;

	if (!stage_begin(map))
		return 0;
	reason = entry_check(entry);
	if (reason == NULL && entry->uid < map->now.next_uid &&
	    (!map->restorable || entry->uid <= map->staged_uid))
		reason = "a new message with a UID that was given out";
	if (reason != NULL) {
		stage_refuse(map, reason);
		return 0;
	}
	idmap_write_message(&map->staged, 'A', entry);
	map->staged_uid = entry->uid;
	if (entry->uid >= map->now.next_uid)
		idmap_set_next_uid(map, entry->uid + 1);
	stage_done(map, pos);
	return offset;
}

/* How long the line of a message is, about: the map may not be loaded. */
static size_t line_len(const struct idmap *map, uint32_t uid)
{
	const struct idmap_known *known = idmap_find(map, uid);

	return known == NULL ? LINE_GUESS : known->len;
}

uint64_t idmap_update(struct idmap *map, const struct idmap_entry *entry)
{
	uint64_t offset = stage_offset(map);
	size_t pos = map->staged.len;
	const struct idmap_known *known;
	const char *reason;

	if (!stage_begin(map))
		return 0;
	reason = entry_check(entry);
	known = idmap_find(map, entry->uid);
	if (reason == NULL && known != NULL &&
	    memcmp(known->hash, entry->hash, ID_HASH_SIZE) != 0)
		reason = "a message with the id of another";
	if (reason != NULL) {
		stage_refuse(map, reason);
		return 0;
	}
	idmap_write_message(&map->staged, 'U', entry);
	map->now.dead += map->staged.len - pos;
	stage_done(map, pos);
	return offset;
}

void idmap_gone(struct idmap *map, uint32_t uid)
{
	size_t pos = map->staged.len;

	if (!stage_begin(map))
		return;
	if (uid == 0 || uid > WIRE_UID_MAX) {
		stage_refuse(map, "a UID out of range is gone");
		return;
	}
	buf_printf(&map->staged, "G %u\n", uid);
	map->now.dead += map->staged.len - pos + line_len(map, uid);
	stage_done(map, pos);
}

void idmap_suspect(struct idmap *map, uint32_t uid, int64_t since)
{
	size_t pos = map->staged.len;

	if (!stage_begin(map))
		return;
	if (uid == 0 || uid > WIRE_UID_MAX || since < 0) {
		stage_refuse(map, "a UID or a time out of range is suspect");
		return;
	}
	buf_printf(&map->staged, "B %u %lld\n", uid, (long long)since);
	map->now.dead += map->staged.len - pos;
	stage_done(map, pos);
}

/* The part of a change that fits in one line: cut at a comma. */
static struct view change_cut(struct view *rest)
{
	struct view part = *rest;
	const char *comma;

	if (part.len > IDMAP_CHANGE_MAX) {
		comma = memrchr(part.p, ',', IDMAP_CHANGE_MAX);
		part.len = comma == NULL ? 0 : (size_t)(comma - part.p);
	}
	rest->p += part.len;
	rest->len -= part.len;
	if (rest->len > 0) {
		rest->p++;
		rest->len--;
	}
	return part;
}

static void stage_change(struct idmap *map, uint32_t uid1, uint32_t uid2,
			 struct view change)
{
	size_t pos = map->staged.len;

	buf_printf(&map->staged, "F %u %u ", uid1, uid2);
	if (change.p[0] == '=') {
		change.p++;
		change.len--;
		buf_append_c(&map->staged, '=');
		idmap_flags_canonical(change, &map->staged);
	} else {
		buf_append_view(&map->staged, change);
	}
	buf_append_c(&map->staged, '\n');
	map->now.dead += map->staged.len - pos;
	stage_done(map, pos);
}

void idmap_flags(struct idmap *map, uint32_t uid1, uint32_t uid2,
		 const char *change)
{
	struct view rest = view_of(change);

	if (!stage_begin(map))
		return;
	if (uid1 == 0 || uid1 > uid2 || uid1 > WIRE_UID_MAX ||
	    !idmap_flags_change_is_sound(rest)) {
		stage_refuse(map, "a malformed change of flags");
		return;
	}
	if (uid2 > WIRE_UID_MAX)
		uid2 = WIRE_UID_MAX;
	if (change[0] == '=') {
		stage_change(map, uid1, uid2, rest);
		return;
	}
	while (rest.len > 0)
		stage_change(map, uid1, uid2, change_cut(&rest));
}

void idmap_set_brake(struct idmap *map, int64_t held_at)
{
	if (stage_begin(map))
		map->now.brake = held_at < 0 ? 0 : held_at;
}

void idmap_set_state(struct idmap *map, const char *state)
{
	if (!stage_begin(map))
		return;
	if (!idmap_state_is_sound(view_of(state))) {
		stage_refuse(map, "a malformed state");
		return;
	}
	buf_clear(&map->now.state);
	buf_append_str(&map->now.state, state);
	map->header.state = buf_str(&map->now.state);
}

void idmap_set_next_uid(struct idmap *map, uint32_t next_uid)
{
	if (!stage_begin(map) || next_uid <= map->now.next_uid)
		return;
	map->now.next_uid = map->header.next_uid = next_uid;
}

/* --- committing ---------------------------------------------------------- */

bool idmap_has_changes(const struct idmap *map)
{
	return map->staged_fault.code != FAULT_NONE ||
		map->staged.len > 0 || map->staged_written > 0 ||
		map->now.next_uid != map->committed.next_uid ||
		map->now.brake != map->committed.brake ||
		!view_equals(view_of_buf(&map->now.state),
			     view_of_buf(&map->committed.state));
}

/* Forget what is staged; in memory only. */
static void stage_undo(struct idmap *map)
{
	stage_forget(map);
	idmap_moving_copy(&map->now, &map->committed);
	map->header.next_uid = map->now.next_uid;
	map->header.state = buf_str(&map->now.state);
}

void idmap_rollback(struct idmap *map)
{
	/* if this fails, what is there has no commit line: a torn tail */
	if (map->staged_written > 0 &&
	    ftruncate(map->fd, (off_t)map->end) < 0)
		map->fresh = false;
	stage_undo(map);
}

/* Write the rest of the transaction and its commit line. */
static int commit_write(struct idmap *map, const struct idmap_commit *commit,
			bool sync, struct fault *fault)
{
	if (map->staged_written + map->staged.len > IDMAP_SMALL_MAX) {
		/* the commit line vouches for records on the disk */
		if (stage_write(map, fault) < 0)
			return -1;
		if (fdatasync(map->fd) < 0)
			return idmap_sys_fault(map, fault, "fdatasync()");
	}
	idmap_write_commit(&map->crc, &map->staged, commit);
	memcpy(map->staged_seal,
	       map->staged.p + map->staged.len - IDMAP_SEAL_LEN,
	       IDMAP_SEAL_LEN);
	if (stage_write(map, fault) < 0)
		return -1;
	if (sync && fdatasync(map->fd) < 0)
		return idmap_sys_fault(map, fault, "fdatasync()");
	return 0;
}

/* Cut the file back to what it was. */
static void commit_undo(struct idmap *map, struct fault *fault)
{
	struct fault again;

	if (ftruncate(map->fd, (off_t)map->end) == 0) {
		stage_undo(map);
		return;
	}
	(void)idmap_sys_fault(map, &again, "ftruncate()");
	fault_context(fault, "%s, after", again.log);
	fault->code = FAULT_UNCERTAIN;
	stage_undo(map);
	idmap_close(map);
}

int idmap_commit(struct idmap *map, bool sync, struct fault *fault)
{
	struct idmap_commit commit;

	if (!idmap_has_changes(map))
		return 0;
	if (map->staged_fault.code != FAULT_NONE) {
		*fault = map->staged_fault;
		idmap_rollback(map);
		return -1;
	}
	memset(&commit, 0, sizeof(commit));
	commit.start = map->end;
	commit.next_uid = map->now.next_uid;
	commit.brake = map->now.brake;
	/* the commit line before is superseded */
	commit.dead = map->now.dead + LINE_OVERHEAD + map->committed.state.len;
	if (commit.dead > map->end)
		commit.dead = map->end;
	commit.state = view_of_buf(&map->now.state);
	commit.body_crc = map->staged_crc;
	if (commit_write(map, &commit, sync, fault) < 0) {
		commit_undo(map, fault);
		return -1;
	}
	map->top_uid = map->staged_uid;
	idmap_take_commit(map, &commit, map->end + map->staged_written,
			  map->staged_seal);
	stage_forget(map);
	return 0;
}

/* --- new files ----------------------------------------------------------- */

/* A file being written beside the map. */
struct rewrite {
	struct idmap *map;
	char *path;
	int fd;
	struct buf buf;
	uint64_t offset;	/* where buf goes */
	uint64_t first;		/* where the records begin */
	uint32_t sum;		/* of all records written */
	struct idmap_header header;
	bool keep_guids;	/* header has another GUID than the map */
	struct idmap_commit commit;
	char seal[IDMAP_SEAL_LEN];
};

static int rewrite_begin(struct idmap *map, struct rewrite *rewrite,
			 struct fault *fault)
{
	struct buf path = { NULL, 0, 0 };

	rewrite->map = map;
	buf_printf(&path, "%s.tmp", map->path);
	rewrite->path = path.p;
	/* nobody else makes one while we hold the lock: it was left behind */
	(void)unlink(rewrite->path);
	rewrite->fd = open(rewrite->path, O_RDWR | O_CREAT | O_EXCL |
			   O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rewrite->fd < 0)
		return idmap_sys_fault(map, fault, "making a new file for it");
	idmap_write_header(&map->crc, &rewrite->buf, &rewrite->header);
	rewrite->first = rewrite->buf.len;
	return 0;
}

static int rewrite_flush(struct rewrite *rewrite, struct fault *fault)
{
	if (file_write_at(rewrite->fd, view_of_buf(&rewrite->buf),
			  rewrite->offset) < 0)
		return idmap_sys_fault(rewrite->map, fault,
				       "writing a new file for it");
	rewrite->offset += rewrite->buf.len;
	buf_clear(&rewrite->buf);
	return 0;
}

/* The records from pos on in the buffer are complete. */
static int rewrite_done(struct rewrite *rewrite, size_t pos,
			struct fault *fault)
{
	struct buf *buf = &rewrite->buf;

	rewrite->sum = idmap_crc(&rewrite->map->crc, rewrite->sum,
				 buf->p + pos, buf->len - pos);
	return buf->len < SPILL_SIZE ? 0 : rewrite_flush(rewrite, fault);
}

static int sync_folder(const struct idmap *map, struct fault *fault)
{
	const char *slash = strrchr(map->path, '/');
	char *folder = slash == NULL ? mem_strdup(".") :
		mem_strndup(map->path, (size_t)(slash - map->path) + 1);
	int ret, fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(folder);
	/* EINVAL: a file system that cannot sync folders */
	ret = fd < 0 || (fsync(fd) < 0 && errno != EINVAL) ? -1 : 0;
	if (ret < 0)
		(void)idmap_sys_fault(map, fault, "syncing its folder");
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

/* Write the commit line and put the file where the map is. */
static int rewrite_finish(struct rewrite *rewrite, struct fault *fault)
{
	const struct idmap *map = rewrite->map;

	rewrite->commit.start = rewrite->first;
	rewrite->commit.body_crc = rewrite->sum;
	idmap_write_commit(&map->crc, &rewrite->buf, &rewrite->commit);
	memcpy(rewrite->seal,
	       buf_str(&rewrite->buf) + rewrite->buf.len - IDMAP_SEAL_LEN,
	       IDMAP_SEAL_LEN);
	if (rewrite_flush(rewrite, fault) < 0)
		return -1;
	if (fsync(rewrite->fd) < 0)
		return idmap_sys_fault(map, fault, "syncing a new file for it");
	if (rename(rewrite->path, map->path) < 0)
		return idmap_sys_fault(map, fault, "rename() over it");
	return 0;
}

/* The new file is the map now: go on with it. */
static void rewrite_adopt(struct rewrite *rewrite, const struct stat *st)
{
	struct idmap *map = rewrite->map;

	if (map->fd >= 0)
		(void)close(map->fd);
	map->fd = rewrite->fd;
	rewrite->fd = -1;
	map->dev = st->st_dev;
	map->ino = st->st_ino;
	map->header = rewrite->header;
	map->first = rewrite->first;
	map->fresh = true;
	idmap_take_commit(map, &rewrite->commit, rewrite->offset,
			  rewrite->seal);
}

static void rewrite_deinit(struct rewrite *rewrite)
{
	if (rewrite->fd >= 0) {
		(void)close(rewrite->fd);
		(void)unlink(rewrite->path);
	}
	buf_free(&rewrite->buf);
	free(rewrite->path);
}

/* Above every generation that this path ever had, as far as can be known. */
static uint32_t new_generation(const struct idmap *map)
{
	uint32_t generation = (uint32_t)time(NULL);

	if (generation <= map->header.generation)
		generation = map->header.generation + 1;
	return generation == 0 ? 1 : generation;
}

int idmap_create(struct idmap *map, uint32_t uidvalidity,
		 const unsigned char guid[IDMAP_GUID_SIZE], uint32_t next_uid,
		 struct fault *fault)
{
	struct rewrite rewrite;
	struct stat st;
	int ret;

	if (map->lock_fd < 0 || uidvalidity == 0 || next_uid == 0)
		return misuse(map, fault, "made without lock or numbers");
	idmap_rollback(map);
	memset(&rewrite, 0, sizeof(rewrite));
	rewrite.header.uidvalidity = uidvalidity;
	memcpy(rewrite.header.guid, guid, IDMAP_GUID_SIZE);
	rewrite.header.generation = new_generation(map);
	if (uidvalidity == map->header.uidvalidity &&
	    next_uid < map->committed.next_uid)
		next_uid = map->committed.next_uid;
	rewrite.commit.next_uid = next_uid;
	rewrite.commit.state = view_of("-");
	ret = rewrite_begin(map, &rewrite, fault);
	if (ret == 0 && fstat(rewrite.fd, &st) < 0)
		ret = idmap_sys_fault(map, fault, "fstat()");
	if (ret == 0)
		ret = rewrite_finish(&rewrite, fault);
	if (ret == 0) {
		idmap_close(map);
		map->committed.next_uid = 0;
		rewrite_adopt(&rewrite, &st);
		map->restorable = true;
		ret = sync_folder(map, fault);
	}
	rewrite_deinit(&rewrite);
	return ret;
}

/* Write one message anew. What is loaded is told where it stands in the new
 * file: if that does not come to be, it is to be forgotten. */
static int compact_message(struct rewrite *rewrite, struct idmap_lines *lines,
			   struct idmap_known *known, struct fault *fault)
{
	struct buf *out = &rewrite->buf;
	struct idmap_entry entry;
	size_t pos = out->len;

	if (idmap_lines_read(rewrite->map, lines, known, SPILL_SIZE, &entry,
			     fault) < 0)
		return -1;
	/* what it was made of may be another one from now on */
	if (rewrite->keep_guids && !entry.has_guid) {
		idmap_guid(rewrite->map->header.guid, &entry, entry.guid);
		entry.has_guid = true;
	}
	idmap_write_message(out, 'A', &entry);
	known->offset = rewrite->offset + pos;
	known->len = (uint32_t)(out->len - pos);
	if (known->suspect_since > 0)
		buf_printf(out, "B %u %lld\n", known->uid,
			   (long long)known->suspect_since);
	return rewrite_done(rewrite, pos, fault);
}

static int compact_messages(struct rewrite *rewrite, struct fault *fault)
{
	struct idmap *map = rewrite->map;
	struct idmap_lines lines = { { NULL, 0, 0 }, 0 };
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < map->count; i++)
		ret = compact_message(rewrite, &lines, &map->known[i], fault);
	buf_free(&lines.piece);
	return ret;
}

/* What is loaded stays. */
static void compact_adopt(struct rewrite *rewrite, const struct stat *st)
{
	struct idmap *map = rewrite->map;

	rewrite_adopt(rewrite, st);
	map->loaded = map->end;
	map->loaded_lines = map->count + 1;
	map->loaded_next_uid = map->committed.next_uid;
	map->flags.work = 0;
	map->restorable = false;
}

/* Rewrite the file, under a header whose generation is set here. */
static int rewrite_all(struct idmap *map, const struct idmap_header *header,
		       uint32_t next_uid, bool sync, struct fault *fault)
{
	struct rewrite rewrite;
	struct stat st;
	int ret;

	if (!map->fresh || idmap_has_changes(map))
		return misuse(map, fault,
			      "compacted without lock or with staged changes");
	if (idmap_load(map, fault) < 0)
		return -1;
	memset(&rewrite, 0, sizeof(rewrite));
	rewrite.header = *header;
	rewrite.header.generation = new_generation(map);
	rewrite.commit.next_uid = next_uid;
	rewrite.commit.brake = map->committed.brake;
	rewrite.commit.state = view_of_buf(&map->now.state);
	rewrite.keep_guids = memcmp(header->guid, map->header.guid,
				    IDMAP_GUID_SIZE) != 0;
	ret = rewrite_begin(map, &rewrite, fault);
	if (ret == 0 && fstat(rewrite.fd, &st) < 0)
		ret = idmap_sys_fault(map, fault, "fstat()");
	if (ret == 0)
		ret = compact_messages(&rewrite, fault);
	if (ret == 0)
		ret = rewrite_finish(&rewrite, fault);
	if (ret == 0) {
		compact_adopt(&rewrite, &st);
		ret = sync ? sync_folder(map, fault) : 0;
	} else {
		idmap_unload(map);
	}
	rewrite_deinit(&rewrite);
	return ret;
}

int idmap_compact(struct idmap *map, bool sync, struct fault *fault)
{
	return rewrite_all(map, &map->header, map->committed.next_uid, sync,
			   fault);
}

int idmap_identify(struct idmap *map, uint32_t uidvalidity,
		   const unsigned char guid[IDMAP_GUID_SIZE],
		   uint32_t next_uid, bool sync, struct fault *fault)
{
	struct idmap_header header = map->header;

	if (uidvalidity != 0)
		header.uidvalidity = uidvalidity;
	if (guid != NULL)
		memcpy(header.guid, guid, sizeof(header.guid));
	return rewrite_all(map, &header,
			   next_uid > map->committed.next_uid ? next_uid :
			   map->committed.next_uid, sync, fault);
}
