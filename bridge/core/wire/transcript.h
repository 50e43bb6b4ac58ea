/* Transcripts: all that one copy of a backend and the bridge said to each other,
 * in a file that people read and `dovebridge replay` answers from.
 *
 *	dovebridge transcript 1
 *	0.000 = program /usr/bin/store
 *	0.001 > CAPS 1 mode=imap user=alice
 *	0.094 ! warning: slow disk
 *	0.094 < * CAPS 1 STORE
 *	0.094 < OK
 *	0.096 > FETCH INBOX full 17
 *	0.099 < * DATA 17 31
 *	0.099 <+ Subject: caf\xE9\r\n
 *	0.099 <+ \r\n
 *	0.099 <+ see you\r\n
 *	0.099 < OK
 *	9.204 = status 0
 *	9.204 = end exited with status 0
 *
 * The first line is always that one. Each other line is empty, or begins with #
 * (both are passed over: notes of people), or is
 *
 *	[TIME SP] TAG [SP TEXT]
 *
 *	TIME	seconds since the start with three decimals; may be left out
 *	TAG	=	a note of the bridge: a word, then what the word says
 *		>	a request, without its LF
 *		>+	octets that follow a request (APPEND with inline)
 *		<	a line of the reply, without its LF
 *		<+	bytes of the reply that are no line: octets of DATA, half a
 *			line before the end, a line that is too long
 *		<@	the contents of the file that the line * FILE before it
 *			names (of the slice that it names)
 *		!	a line of stderr
 *	TEXT	the bytes; \\ \n \r \t and \xHH stand for the bytes they stand for
 *		in C. Printable UTF-8 stands for itself, all else is written so:
 *		no terminal takes harm. In >+, <+ and <@ a line end is written,
 *		too; what belongs together may be in any number of lines.
 *
 * Notes: program, argument (one each), user, mode, pid, tmp, date at the start;
 * status N (if it exited) and end TEXT at the end. Others mean nothing yet.
 *
 * A reply belongs to the oldest request that has no final line yet.
 *
 * A reader trusts nothing: a line is at most TRANSCRIPT_LINE_MAX bytes, its text
 * at most TRANSCRIPT_TEXT_MAX, and whatever does not fit the above is an error
 * that names the line. */
#ifndef BRIDGE_TRANSCRIPT_H
#define BRIDGE_TRANSCRIPT_H

#include "wire.h"

#define TRANSCRIPT_MAGIC "dovebridge transcript 1"
#define TRANSCRIPT_TEXT_MAX 65536	/* bytes that a line stands for */
#define TRANSCRIPT_LINE_MAX (4 * TRANSCRIPT_TEXT_MAX + 64)
#define TRANSCRIPT_FILE_MAX (256UL * 1024 * 1024)	/* bytes that are written */
#define TRANSCRIPT_PIECE 1024		/* of octets, in one line */

enum transcript_kind {
	TRANSCRIPT_NOTE,
	TRANSCRIPT_REQUEST,
	TRANSCRIPT_REQUEST_OCTETS,
	TRANSCRIPT_REPLY,
	TRANSCRIPT_REPLY_BYTES,
	TRANSCRIPT_REPLY_FILE,
	TRANSCRIPT_STDERR,
	TRANSCRIPT_KIND_COUNT
};

/* --- writing ---------------------------------------------------------------- */

struct transcript;

/* Make a new file of mode 0600 in a folder; its name is the time, this process's
 * pid and a number: 20261123-231500-4711-1.transcript. Returns NULL and errno. */
struct transcript *transcript_create(const char *dir);
const char *transcript_path(const struct transcript *transcript);
/* Lines are kept in memory until transcript_flush, or until they are many. */
void transcript_note(struct transcript *transcript, const char *word,
		     const char *rest);
void transcript_line(struct transcript *transcript, enum transcript_kind kind,
		     struct view text);
/* Octets, cut into pieces behind each LF. No bytes: nothing, but an empty line of
 * TRANSCRIPT_REPLY_FILE. */
void transcript_bytes(struct transcript *transcript, enum transcript_kind kind,
		      struct view bytes);
/* The same for size bytes of a file from offset on, or as many as can be read. */
void transcript_file(struct transcript *transcript, int fd, uint64_t offset,
		     uint64_t size);
/* Write what was kept. Returns 0; -1 and errno, now or any time before, EFBIG if it
 * would be more than TRANSCRIPT_FILE_MAX: nothing is written any more then. */
int transcript_flush(struct transcript *transcript);
/* Flushes. NULL is fine. */
void transcript_free(struct transcript **transcript);

/* --- reading ---------------------------------------------------------------- */

struct transcript_entry {
	enum transcript_kind kind;
	uint64_t offset;	/* of the line in the file */
	uint64_t line;		/* its number, from 1 */
	struct view text;	/* decoded; until the next call */
};

/* Where a reader is; of struct transcript_reader alone. */
struct transcript_place {
	uint64_t offset, line;
};

struct transcript_reader;

/* Read a file by pread; the descriptor stays the caller's. */
struct transcript_reader *transcript_reader_init(int fd);
void transcript_reader_deinit(struct transcript_reader **reader);
/* The next line that says something. Returns 1, 0 at the end, -1 and an error. */
int transcript_read(struct transcript_reader *reader,
		    struct transcript_entry *entry_r,
		    struct wire_error *error_r);
struct transcript_place
transcript_tell(const struct transcript_reader *reader);
void transcript_seek(struct transcript_reader *reader,
		     struct transcript_place place);

/* One line after the first, without LF: returns 1, 0 if it says nothing, -1 and an
 * error. The text is put into scratch. */
int transcript_parse(struct view line, struct transcript_entry *entry_r,
		     struct buf *scratch, struct wire_error *error_r);

#endif
