/* A letter must never come to mean another keyword, for the names of messages
 * are not changed with it. So the file is only replaced whole, with all that it
 * said before, and under the lock of a Dovecot that serves the folder. And a
 * letter is on the disk before the first message that uses it. */
#include "maildir-keywords.h"
#include "file.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#define KEYWORDS_FILE "dovecot-keywords"
#define KEYWORDS_FILE_MAX (64 * 1024)	/* bytes */
/* Dovecot holds this lock while it gives letters away, and takes one that is
   older than this for left behind (maildir-uidlist.c, 2.3.19). */
#define LOCK_FILE "dovecot-uidlist.lock"
#define LOCK_STALE_SECS 120
#define LOCK_WAIT_MSECS 5000
#define LOCK_NAP_MSECS 20

static int find(const struct maildir_keywords *keywords, struct view keyword)
{
	int i;

	for (i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		if (keywords->names[i] != NULL &&
		    view_is_nocase(keyword, keywords->names[i]))
			return i;
	}
	return -1;
}

static void forget(struct maildir_keywords *keywords)
{
	size_t i;

	for (i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		free(keywords->names[i]);
		keywords->names[i] = NULL;
	}
}

/* "3 Work" says that d is Work. What Dovecot skips is skipped. */
static void parse_line(struct maildir_keywords *keywords, struct view line)
{
	const char *space = memchr(line.p, ' ', line.len);
	struct view number = line, name;
	uint64_t index;

	if (space == NULL)
		return;
	number.len = (size_t)(space - line.p);
	name.p = space + 1;
	name.len = line.len - number.len - 1;
	if (name.len > 0 && memchr(name.p, '\0', name.len) == NULL &&
	    wire_number(number, MAILDIR_KEYWORDS_MAX - 1, &index) == 0 &&
	    keywords->names[index] == NULL && find(keywords, name) < 0)
		keywords->names[index] = mem_strndup(name.p, name.len);
}

static void parse(struct maildir_keywords *keywords, struct view text)
{
	struct view line;
	const char *lf;

	while ((lf = memchr(text.p, '\n', text.len)) != NULL) {
		line.p = text.p;
		line.len = (size_t)(lf - text.p);
		parse_line(keywords, line);
		text.p += line.len + 1;
		text.len -= line.len + 1;
	}
}

/* What the file says now. Returns 0, also if there is none, -1 and errno. */
static int read_file(struct maildir_keywords *keywords)
{
	int fd = openat(keywords->fd, KEYWORDS_FILE, O_RDONLY | O_NOFOLLOW |
			O_NONBLOCK | O_CLOEXEC);
	struct buf text = { NULL, 0, 0 };
	ssize_t got = 1;
	int error;

	forget(keywords);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	while (got > 0 && text.len <= KEYWORDS_FILE_MAX) {
		got = read(fd, buf_reserve(&text, KEYWORDS_FILE_MAX),
			   KEYWORDS_FILE_MAX);
		if (got > 0)
			text.len += (size_t)got;
	}
	error = got > 0 ? EFBIG : errno;
	(void)close(fd);
	if (got == 0 && text.len > 0)
		parse(keywords, view_of_buf(&text));
	buf_free(&text);
	errno = error;
	return got == 0 ? 0 : -1;
}

static int write_file(const struct maildir_keywords *keywords)
{
	struct buf text = { NULL, 0, 0 };
	int i, fd, ret, error;

	for (i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		if (keywords->names[i] != NULL)
			buf_printf(&text, "%d %s\n", i, keywords->names[i]);
	}
	/* another export would hold the lock of the whole Maildir */
	(void)unlinkat(keywords->tmp_fd, KEYWORDS_FILE, 0);
	fd = openat(keywords->tmp_fd, KEYWORDS_FILE, O_WRONLY | O_CREAT |
		    O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ret = fd < 0 || file_write(fd, view_of_buf(&text)) < 0 ||
		fsync(fd) < 0 || renameat(keywords->tmp_fd, KEYWORDS_FILE,
					  keywords->fd, KEYWORDS_FILE) < 0 ||
		fsync(keywords->fd) < 0 ? -1 : 0;
	error = errno;
	if (fd >= 0)
		(void)close(fd);
	if (ret < 0)
		(void)unlinkat(keywords->tmp_fd, KEYWORDS_FILE, 0);
	buf_free(&text);
	errno = error;
	return ret;
}

static int lock(const struct maildir_keywords *keywords)
{
	const struct timespec nap = { 0, LOCK_NAP_MSECS * 1000000L };
	unsigned int i;
	struct stat st;
	int fd;

	for (i = 0; i < LOCK_WAIT_MSECS / LOCK_NAP_MSECS; i++) {
		fd = openat(keywords->fd, LOCK_FILE, O_WRONLY | O_CREAT |
			    O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			return close(fd);
		if (errno != EEXIST)
			return -1;
		if (fstatat(keywords->fd, LOCK_FILE, &st,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime > LOCK_STALE_SECS)
			(void)unlinkat(keywords->fd, LOCK_FILE, 0);
		else
			(void)nanosleep(&nap, NULL);
	}
	errno = EBUSY;
	return -1;
}

static void unlock(const struct maildir_keywords *keywords)
{
	int error = errno;

	(void)unlinkat(keywords->fd, LOCK_FILE, 0);
	errno = error;
}

/* Locked. Give a keyword the first free letter, if nobody gave it one. Returns
   it; -1 if none is free (errno 0), or with errno. */
static int add(struct maildir_keywords *keywords, struct view keyword)
{
	int i;

	if (read_file(keywords) < 0)
		return -1;
	i = find(keywords, keyword);
	if (i >= 0)
		return i;
	for (i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		if (keywords->names[i] == NULL)
			break;
	}
	errno = 0;
	if (i == MAILDIR_KEYWORDS_MAX)
		return -1;
	keywords->names[i] = mem_strndup(keyword.p, keyword.len);
	if (write_file(keywords) == 0)
		return i;
	free(keywords->names[i]);
	keywords->names[i] = NULL;
	return -1;
}

/* RFC 3501, flag-keyword; and no longer than Dovecot allows by default. */
static bool is_keyword(struct view text)
{
	size_t i;

	if (text.len == 0 || text.len > MAILDIR_KEYWORD_BYTES_MAX)
		return false;
	for (i = 0; i < text.len; i++) {
		if (text.p[i] <= 0x20 || text.p[i] >= 0x7f ||
		    strchr("(){%*\"\\]", text.p[i]) != NULL)
			return false;
	}
	return true;
}

int maildir_keyword(struct maildir_keywords *keywords, struct view keyword)
{
	int letter = find(keywords, keyword);

	if (letter >= 0 || keywords->closed || !is_keyword(keyword))
		return letter;
	if (lock(keywords) == 0) {
		letter = add(keywords, keyword);
		unlock(keywords);
	}
	/* what failed is not tried, or waited for, for each message */
	keywords->closed = letter < 0;
	keywords->error = letter < 0 ? errno : 0;
	return letter;
}

int maildir_keywords_open(struct maildir_keywords *keywords, int fd,
			  int tmp_fd)
{
	memset(keywords, 0, sizeof(*keywords));
	keywords->fd = fd;
	keywords->tmp_fd = tmp_fd;
	return read_file(keywords);
}

void maildir_keywords_close(struct maildir_keywords *keywords)
{
	forget(keywords);
}
