/* What the files idmap*.c share. The format is described in idmap.c. */
#ifndef BRIDGE_IDMAP_PRIVATE_H
#define BRIDGE_IDMAP_PRIVATE_H

#include "idmap.h"

#include <sys/types.h>

#define IDMAP_VERSION 1
#define IDMAP_MAGIC "dovebridge-map"
#define IDMAP_CHANGE_MAX 8192		/* bytes of one F line's change */
#define IDMAP_LINE_MAX 20480		/* bytes of any line with its LF */
#define IDMAP_HEADER_MAX 256
/* A transaction whose records are longer than this is synced to the disk
 * before its commit line is written; a shorter one is checked at open. */
#define IDMAP_SMALL_MAX 65536
/* A smaller file is never worth rewriting. */
#define IDMAP_COMPACT_MIN 65536
#define IDMAP_CRC_LEN 8			/* hexadecimal digits */
#define IDMAP_SEAL_LEN (2 * IDMAP_CRC_LEN + 2)	/* "BODYCRC LINECRC\n" */

/* --- idmap-line.c: lines to values and back; no I/O ---------------------- */

struct idmap_crc {
	uint32_t table[4][256];
};

/* CRC-32 (IEEE 802.3), four bytes a step; begin with 0, feed on. */
void idmap_crc_init(struct idmap_crc *crc);
uint32_t idmap_crc(const struct idmap_crc *crc, uint32_t sum,
		   const void *data, size_t len);

struct idmap_commit {
	uint64_t start;		/* where its transaction begins */
	uint32_t next_uid;
	int64_t brake;
	uint64_t dead;		/* bytes of the file known to be superseded */
	struct view state;	/* points into the line */
	uint32_t body_crc;	/* over all bytes from start to the line */
};

/* The parsers take a line without its LF. They return NULL if it is sound,
 * else what is wrong with it. */
const char *idmap_parse_header(const struct idmap_crc *crc, struct view line,
			       struct idmap_header *header_r);
const char *idmap_parse_commit(const struct idmap_crc *crc, struct view line,
			       struct idmap_commit *commit_r);
/* A or U: id and flags point into the line, hash and offset are not set; U
 * has no flags. */
const char *idmap_parse_message(struct view line, struct idmap_entry *entry_r);
const char *idmap_parse_gone(struct view line, uint32_t *uid_r);
const char *idmap_parse_flags(struct view line, uint32_t *uid1_r,
			      uint32_t *uid2_r, struct view *change_r);
const char *idmap_parse_suspect(struct view line, uint32_t *uid_r,
				int64_t *since_r);

void idmap_write_header(const struct idmap_crc *crc, struct buf *buf,
			const struct idmap_header *header);
void idmap_write_commit(const struct idmap_crc *crc, struct buf *buf,
			const struct idmap_commit *commit);
void idmap_write_message(struct buf *buf, char type,
			 const struct idmap_entry *entry);

bool idmap_id_is_sound(struct view id);
bool idmap_state_is_sound(struct view state);

/* --- idmap-flags.c: sets of flags, each kept once ------------------------ */

struct idmap_flag_memo {
	uint32_t set, change, result;
};

#define IDMAP_FLAG_MEMOS 1024

/* Texts of sets and of changes, numbered; number 0 is the empty set. */
struct idmap_flags {
	struct view *texts;
	size_t count, alloc;
	uint32_t *table;	/* open addressing, number + 1, 0 = free */
	size_t table_size;
	struct arena arena;
	struct idmap_flag_memo *memos;	/* set + change = result, remembered */
	struct buf scratch;
	uint64_t work;		/* how much was done so far: bounded by
				   IDMAP_FLAG_WORK_MAX when a file is loaded */
};

#define IDMAP_FLAG_WORK_MAX (1ULL << 31)

void idmap_flags_init(struct idmap_flags *flags);
void idmap_flags_free(struct idmap_flags *flags);
/* Whether it is a list of flags ("" is one), in canonical order or not. */
bool idmap_flags_list_is_sound(struct view list);
bool idmap_flags_change_is_sound(struct view change);
/* The canonical form of a sound list is appended to out. */
void idmap_flags_canonical(struct view list, struct buf *out);
/* The number of a text. */
uint32_t idmap_flags_intern(struct idmap_flags *flags, struct view text);
/* The number of the set that a change (a number as well) makes of a set. */
uint32_t idmap_flags_apply(struct idmap_flags *flags, uint32_t set,
			   uint32_t change);

/* --- the map ------------------------------------------------------------- */

/* The part of the header that a commit line sets. */
struct idmap_moving {
	uint32_t next_uid;
	int64_t brake;
	uint64_t dead;
	struct buf state;
};

struct idmap {
	char *path, *lock_path;
	struct idmap_crc crc;
	struct buf scratch;

	bool readonly;		/* idmap_set_readonly */
	int lock_fd;		/* -1 = not locked */
	bool fresh;		/* opened since it was locked */

	int fd;			/* -1 = not open */
	dev_t dev;
	ino_t ino;
	struct idmap_header header;
	uint64_t first;		/* where the first transaction begins */
	uint64_t end;		/* where the last commit line ends */
	char seal[IDMAP_SEAL_LEN];	/* its last bytes */
	struct idmap_moving committed, now;

	struct {		/* idmap_expect */
		unsigned char guid[IDMAP_GUID_SIZE];
		uint32_t generation;
		uint64_t end;
	} expected;

	/* idmap_load: replayed up to here */
	struct idmap_known *known;
	uint32_t *sets;		/* number of each one's flags; SET_DEAD */
	size_t count, alloc;
	struct idmap_flags flags;
	uint64_t loaded;	/* offset; 0 = nothing loaded */
	uint64_t loaded_lines;
	uint32_t loaded_uid;	/* highest UID of any A line */
	uint32_t loaded_next_uid;
	uint32_t loaded_listed_uid;	/* the next UID of the commit that */
	struct buf loaded_state;	/* brought this state */

	/* idmap_read_entry: a piece of the file, none when len is 0 */
	struct buf window;
	uint64_t window_offset;
	uint64_t window_last;	/* the line that was read last */

	/* staged: bytes that follow end, the first staged_written of them
	   already in the file */
	struct buf staged;
	uint64_t staged_written;
	uint32_t staged_crc;
	char staged_seal[IDMAP_SEAL_LEN];
	/* A map that was made anew takes restored messages: UIDs below
	   next_uid, ascending. top_uid and staged_uid are the highest of all
	   A lines, committed and staged; they are kept for this alone. */
	bool restorable;
	uint32_t top_uid, staged_uid;
	struct fault staged_fault;	/* why the commit will fail */
};

#define IDMAP_SET_DEAD UINT32_MAX

/* idmap-open.c */
int idmap_sys_fault(const struct idmap *map, struct fault *fault,
		    const char *what);
void idmap_close(struct idmap *map);
/* Locked: remove what stands behind the last commit line. 0, -1 and errno. */
int idmap_cut_tail(const struct idmap *map);
/* Take over the position and the values of a commit line. */
void idmap_take_commit(struct idmap *map, const struct idmap_commit *commit,
		       uint64_t end, const char *seal);
/* Whether the last commit line that we know is still where it was. */
bool idmap_seal_holds(const struct idmap *map);
void idmap_moving_copy(struct idmap_moving *to,
		       const struct idmap_moving *from);
/* Forget what idmap_load has read. */
void idmap_unload(struct idmap *map);

/* idmap-load.c */
struct idmap_known *idmap_find(const struct idmap *map, uint32_t uid);

/* Lines of the file, read in pieces: good for whoever reads them in about
 * the order in which they stand. A zeroed struct has nothing yet. */
struct idmap_lines {
	struct buf piece;
	uint64_t offset;	/* of the piece */
};

/* The line of a loaded message, at least ahead bytes at once; its views are
 * valid until the next call. Returns 0, or -1 and a fault. */
int idmap_lines_read(struct idmap *map, struct idmap_lines *lines,
		     const struct idmap_known *known, size_t ahead,
		     struct idmap_entry *entry_r, struct fault *fault);

#endif
