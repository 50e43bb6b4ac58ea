/* Names. A message is DATE.HASH.dovebridge,S=SIZE,W=VSIZE:2,FLAGS: the date (0 if
 * it is not known) because programs sort by it, 32 hexadecimal digits of the
 * id's hash, by which it is found again whatever another program does to the
 * rest. Where the folder is not for the first mailbox that was copied into it,
 * which dovebridge-mailbox names, the mailbox's id= is hashed with it. VSIZE is the
 * size with CRLF at the end of each line: both sizes are of the bytes that were
 * written, and spare Dovecot reading them.
 *
 * A file gets into cur by rename only, after it was synced: what is in cur is
 * whole, after a power cut too. */
#include "maildir.h"
#include "file.h"
#include "id.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>

#define HASH_DIGITS (2 * ID_HASH_SIZE)
#define OUR_MARK ".dovebridge"
#define IDENTITY_FILE "dovebridge-mailbox"	/* the hash of its id= */

/* --- names of folders ------------------------------------------------------ */

/* The character at *p, which is valid UTF-8; moves *p behind it. */
static uint32_t utf8_next(const unsigned char **p)
{
	const unsigned char *s = *p;
	unsigned int more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 :
		s[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more == 0 ? s[0] : s[0] & (0x3fU >> more);

	for (s++; more > 0 && *s != '\0'; more--)
		c = c << 6 | (*s++ & 0x3fU);
	*p = s;
	return c;
}

static bool is_direct(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* A run of other characters: UTF-16 in base64 with "," and no padding. */
static void utf7_shift(const unsigned char **p, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789+,";
	uint64_t bits = 0;
	unsigned int count = 0;
	uint32_t c;

	buf_append_c(out, '&');
	while (**p != '\0' && !is_direct(**p)) {
		c = utf8_next(p);
		if (c >= 0x10000) {
			c -= 0x10000;
			bits = bits << 32 | (0xd800U + (c >> 10)) << 16 |
				(0xdc00U + (c & 0x3ff));
			count += 32;
		} else {
			bits = bits << 16 | c;
			count += 16;
		}
		for (; count >= 6; count -= 6)
			buf_append_c(out, digits[bits >> (count - 6) & 63]);
		bits &= (1U << count) - 1;
	}
	if (count > 0)
		buf_append_c(out, digits[bits << (6 - count) & 63]);
	buf_append_c(out, '-');
}

void maildir_name(const char *box, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)box;
	bool first = true;

	buf_append_c(out, '.');
	if (strcmp(box, "INBOX") == 0)
		return;
	while (*p != '\0') {
		if (!is_direct(*p)) {
			utf7_shift(&p, out);
			first = false;
			continue;
		}
		if (*p == '/')
			buf_append_c(out, '.');
		else if (*p == '.' || *p == '\\' || (*p == '~' && first))
			buf_printf(out, "\\%02x", *p);
		else if (*p == '&')
			buf_append_str(out, "&-");
		else
			buf_append_c(out, (char)*p);
		first = *p++ == '/';
	}
}

/* --- names of messages ----------------------------------------------------- */

/* Decode a flag into text, and put it into the letters of the name, each of
   which is a bit. Returns 1; 0 if it is ignored; -1 if it is a keyword that has
   no letter. */
static int add_flag(struct maildir *md, struct view flag, struct buf *text,
		    uint64_t *letters)
{
	static const struct {
		char letter;
		const char *flag;
	} system[] = {
		{ 'D', "\\Draft" }, { 'F', "\\Flagged" },
		{ 'R', "\\Answered" }, { 'S', "\\Seen" }, { 'T', "\\Deleted" }
	};
	size_t i;
	int keyword;

	buf_clear(text);
	if (wire_decode(flag, text) < 0 || text->len == 0)
		return 0;
	for (i = 0; i < sizeof(system) / sizeof(system[0]); i++) {
		if (view_is_nocase(view_of_buf(text), system[i].flag)) {
			*letters |= 1ULL << (system[i].letter - 'A');
			return 1;
		}
	}
	if (text->p[0] == '\\')
		return 0;
	keyword = maildir_keyword(&md->keywords, view_of_buf(text));
	if (keyword < 0)
		return -1;
	*letters |= 1ULL << ('a' - 'A' + keyword);
	return 1;
}

bool maildir_flags(struct maildir *md, const char *flags, struct buf *out)
{
	struct view list = view_of(flags), elem;
	struct buf text = { NULL, 0, 0 };
	uint64_t letters = 0;
	bool all = true;
	int c;

	while (wire_list_next(&list, &elem)) {
		if (add_flag(md, elem, &text, &letters) < 0)
			all = false;
	}
	buf_free(&text);
	/* sorted, as Maildir wants them */
	for (c = 'A'; c <= 'z'; c++) {
		if ((letters >> (c - 'A') & 1) != 0)
			buf_append_c(out, (char)c);
	}
	return all;
}

static void msg_hash(const struct maildir *md, const struct listing_msg *msg,
		     unsigned char hash_r[ID_HASH_SIZE])
{
	struct buf text = { NULL, 0, 0 };

	memcpy(hash_r, msg->hash, ID_HASH_SIZE);
	if (!md->another)
		return;
	buf_append(&text, msg->hash, ID_HASH_SIZE);
	buf_append(&text, md->identity, ID_HASH_SIZE);
	id_hash(view_of_buf(&text), hash_r);
	buf_free(&text);
}

/* lf: how many line ends are a bare LF; -1 = not known yet, in tmp. */
static void msg_name(const struct maildir *md, const struct listing_msg *msg,
		     const char *letters, uint64_t size, int64_t lf,
		     struct buf *out)
{
	unsigned char hash[ID_HASH_SIZE];
	size_t i;

	msg_hash(md, msg, hash);

	buf_printf(out, "%lld.", msg->date == WIRE_DATE_UNKNOWN ? 0LL :
		   (long long)msg->date);
	for (i = 0; i < ID_HASH_SIZE; i++)
		buf_printf(out, "%02x", hash[i]);
	buf_printf(out, OUR_MARK ",S=%llu", (unsigned long long)size);
	if (lf >= 0)
		buf_printf(out, ",W=%llu",
			   (unsigned long long)size +
			   (unsigned long long)lf);
	buf_printf(out, ":2,%s", letters);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is this one of our names? */
static bool name_hash(const char *name, unsigned char hash_r[ID_HASH_SIZE])
{
	const char *p = strchr(name, '.');
	int high, low;
	size_t i;

	if (p == NULL || strlen(p + 1) < HASH_DIGITS + strlen(OUR_MARK) ||
	    strncmp(p + 1 + HASH_DIGITS, OUR_MARK, strlen(OUR_MARK)) != 0)
		return false;
	for (i = 0; i < ID_HASH_SIZE; i++) {
		high = hex_digit(p[1 + 2 * i]);
		low = hex_digit(p[2 + 2 * i]);
		if (high < 0 || low < 0)
			return false;
		hash_r[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* --- the folder ------------------------------------------------------------ */

static int have_cmp(const void *a, const void *b)
{
	const struct maildir_have *one = a, *two = b;

	return memcmp(one->hash, two->hash, ID_HASH_SIZE);
}

/* What is behind ",S=" in our name. */
static uint64_t name_size(const char *name)
{
	const char *p = strstr(name, OUR_MARK ",S=");
	struct view digits;
	uint64_t size;

	if (p == NULL)
		return WIRE_SIZE_UNKNOWN;
	digits.p = p + strlen(OUR_MARK ",S=");
	digits.len = strspn(digits.p, "0123456789");
	return wire_number(digits, WIRE_MESSAGE_MAX, &size) < 0 ?
		WIRE_SIZE_UNKNOWN : size;
}

static void have_add(struct maildir *md, const unsigned char *hash,
		     uint64_t size)
{
	struct maildir_have *have;

	/* doubled at each power of two */
	if ((md->have_count & (md->have_count - 1)) == 0)
		md->have = mem_grow(md->have, md->have_count == 0 ? 1 :
				    2 * md->have_count, sizeof(*have));
	have = &md->have[md->have_count++];
	memcpy(have->hash, hash, ID_HASH_SIZE);
	have->size = size;
}

/* Remember our messages in a folder, or remove them. */
static int scan(struct maildir *md, int fd, bool remove_them)
{
	unsigned char hash[ID_HASH_SIZE];
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), ret = 0;
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *d;

	if (dir == NULL) {
		if (own >= 0)
			(void)close(own);
		return -1;
	}
	while (ret == 0 && (errno = 0, d = readdir(dir)) != NULL) {
		if (!name_hash(d->d_name, hash))
			continue;
		if (!remove_them)
			have_add(md, hash, name_size(d->d_name));
		else if (unlinkat(fd, d->d_name, 0) < 0 && errno != ENOENT)
			ret = -1;
	}
	if (d == NULL && errno != 0)
		ret = -1;
	own = errno;
	(void)closedir(dir);
	errno = own;
	return ret;
}

static int open_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Every folder but INBOX has a file that says so. */
static int mark_folder(int fd)
{
	int mark = openat(fd, "maildirfolder", O_WRONLY | O_CREAT | O_CLOEXEC,
			  0600);

	return mark < 0 ? -1 : close(mark);
}

int maildir_open(struct maildir *md, int at, const char *name)
{
	int new_fd, ret;

	memset(md, 0, sizeof(*md));
	md->cur_fd = md->tmp_fd = -1;
	md->fd = open_folder(at, name);
	if (md->fd < 0)
		return -1;
	md->cur_fd = open_folder(md->fd, "cur");
	md->tmp_fd = open_folder(md->fd, "tmp");
	new_fd = open_folder(md->fd, "new");
	ret = md->cur_fd < 0 || md->tmp_fd < 0 || new_fd < 0 ||
		(strcmp(name, ".") != 0 && mark_folder(md->fd) < 0) ||
		scan(md, md->tmp_fd, true) < 0 ||
		scan(md, md->cur_fd, false) < 0 ||
		scan(md, new_fd, false) < 0 ||
		maildir_keywords_open(&md->keywords, md->fd,
				      md->tmp_fd) < 0 ? -1 : 0;
	if (new_fd >= 0)
		(void)close(new_fd);
	if (md->have_count > 0)
		qsort(md->have, md->have_count, sizeof(*md->have), have_cmp);
	return ret;
}

int maildir_close(struct maildir *md)
{
	int ret = 0, error = 0;

	if (md->fd >= 0 && (fsync(md->fd) < 0 ||
			    (md->changed && fsync(md->cur_fd) < 0))) {
		error = errno;
		ret = -1;
	}
	if (md->fd >= 0)
		(void)close(md->fd);
	if (md->cur_fd >= 0)
		(void)close(md->cur_fd);
	if (md->tmp_fd >= 0)
		(void)close(md->tmp_fd);
	maildir_keywords_close(&md->keywords);
	free(md->have);
	errno = error;
	return ret;
}

/* Nothing that is there is replaced, not even on a file system that cannot
   promise that. */
static int move_new(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat st;

	if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from_fd, from, to_fd, to);
}

/* --- which mailbox --------------------------------------------------------- */

static int identity_write(struct maildir *md)
{
	const struct view identity = {
		(const char *)md->identity, sizeof(md->identity)
	};
	int fd, ret, error;

	(void)unlinkat(md->tmp_fd, IDENTITY_FILE, 0);
	fd = openat(md->tmp_fd, IDENTITY_FILE, O_WRONLY | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0600);
	ret = fd < 0 || file_write(fd, identity) < 0 || fsync(fd) < 0 ||
		move_new(md->tmp_fd, IDENTITY_FILE, md->fd,
			 IDENTITY_FILE) < 0 ? -1 : 0;
	error = errno;
	if (fd >= 0)
		(void)close(fd);
	if (ret < 0)
		(void)unlinkat(md->tmp_fd, IDENTITY_FILE, 0);
	errno = error;
	return ret;
}

/* Returns 1; 0 if there is none, -1 and errno. */
static int identity_read(const struct maildir *md,
			 unsigned char first_r[ID_HASH_SIZE])
{
	int error, fd = openat(md->fd, IDENTITY_FILE, O_RDONLY | O_NOFOLLOW |
			       O_NONBLOCK | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	got = read(fd, first_r, ID_HASH_SIZE);
	error = got < 0 ? errno : EBADMSG;
	(void)close(fd);
	errno = error;
	return got == ID_HASH_SIZE ? 1 : -1;
}

int maildir_mailbox(struct maildir *md, const char *identity)
{
	unsigned char first[ID_HASH_SIZE];
	int ret = identity_read(md, first);

	id_hash(view_of(identity == NULL ? "-" : identity), md->identity);
	if (ret == 0)
		return identity_write(md);
	md->another = ret > 0 &&
		memcmp(first, md->identity, ID_HASH_SIZE) != 0;
	return ret < 0 ? -1 : 0;
}

bool maildir_has(const struct maildir *md, const struct listing_msg *msg)
{
	const struct maildir_have *have, *end = md->have + md->have_count;
	struct maildir_have key = { .size = msg->size };

	msg_hash(md, msg, key.hash);
	have = md->have_count == 0 ? NULL :
		bsearch(&key, md->have, md->have_count, sizeof(key), have_cmp);
	if (have == NULL)
		return false;
	while (have > md->have && have_cmp(have - 1, &key) == 0)
		have--;
	for (; have < end && have_cmp(have, &key) == 0; have++) {
		if (have->size == msg->size ||
		    have->size == WIRE_SIZE_UNKNOWN ||
		    msg->size == WIRE_SIZE_UNKNOWN)
			return true;
	}
	return false;
}

/* How many line ends of the file are a bare LF, -1 and errno. */
static int64_t count_lf(int fd)
{
	char data[32 * 1024];
	int64_t count = 0;
	ssize_t got, i;
	off_t pos = 0;
	bool cr = false;

	while ((got = pread(fd, data, sizeof(data), pos)) > 0) {
		for (i = 0; i < got; i++) {
			count += data[i] == '\n' && !cr;
			cr = data[i] == '\r';
		}
		pos += got;
	}
	return got < 0 ? -1 : count;
}

/* The content, the date and the way to the disk. Closes fd. */
static int write_msg(int fd, const struct listing_msg *msg,
		     const struct fetched *fetched, int64_t *lf_r)
{
	struct timespec times[2];
	int ret = fetched_copy(fetched, fd), error;

	memset(times, 0, sizeof(times));
	times[0].tv_sec = times[1].tv_sec = (time_t)msg->date;
	*lf_r = ret < 0 ? -1 : count_lf(fd);
	if (*lf_r < 0)
		ret = -1;
	if (ret == 0 && msg->date != WIRE_DATE_UNKNOWN)
		ret = futimens(fd, times);
	if (ret == 0)
		ret = fsync(fd);
	error = errno;
	if (close(fd) < 0 && ret == 0)
		return -1;
	errno = error;
	return ret;
}

int maildir_deliver(struct maildir *md, const struct listing_msg *msg,
		    const char *letters, const struct fetched *fetched)
{
	struct buf tmp = { NULL, 0, 0 }, name = { NULL, 0, 0 };
	uint64_t size = fetched->status == FETCH_MEMORY ? fetched->data.len :
		fetched->size;
	int fd, ret = -1, error;
	int64_t lf;

	msg_name(md, msg, letters, size, -1, &tmp);
	fd = openat(md->tmp_fd, tmp.p, O_RDWR | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ret = write_msg(fd, msg, fetched, &lf);
		msg_name(md, msg, letters, size, lf, &name);
		if (ret == 0)
			ret = move_new(md->tmp_fd, tmp.p, md->cur_fd, name.p);
		error = errno;
		if (ret < 0)
			(void)unlinkat(md->tmp_fd, tmp.p, 0);
		errno = error;
	}
	if (ret == 0)
		md->changed = true;
	buf_free(&tmp);
	buf_free(&name);
	return ret;
}
