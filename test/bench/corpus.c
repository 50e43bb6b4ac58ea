/* corpus KIND SEED FIRST COUNT DIR: write the messages FIRST .. FIRST+COUNT-1 of
 * a made-up mailbox into DIR, one file for each.
 *
 * Message i depends on SEED, KIND and i alone, so a part of a corpus is the same
 * bytes as in the whole. Lines end in LF. The files are named
 *
 *	TIME.NUMBER.bench,S=BYTES,W=BYTES-WITH-CRLF,.eml
 *
 * which sorts by number, has Maildir's sizes for those who look at them, and
 * ends as eml-dir wants it. The file's time is TIME, too.
 *
 *	mixed	what an archive holds: see sizes[], 27 kB on average
 *	small	a few lines each, for mailboxes of a million
 *	large	10 MB each
 *
 * Exit status 0; 1 with a message on stderr when a file cannot be written. */
#include <err.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#define EPOCH 1500000000	/* of message 0 */
#define INTERVAL_SECS 60
#define LINE_MAX_BYTES 72
#define POOL_BYTES (1U << 20)
#define LARGE_BYTES 10000000
#define ATTACH_MIN_BYTES 16384	/* from here on most of it is attachments */

/* One in a hundred is large, and makes a quarter of the bytes. */
static const struct size_class {
	unsigned int percent;
	uint32_t min, max;	/* bytes */
} sizes[] = {
	{ 10, 300, 900 },
	{ 55, 1500, 8000 },
	{ 28, 8000, 40000 },
	{ 6, 40000, 300000 },
	{ 1, 300000, 1200000 },
};

static const char *const words[] = {
	"harbour", "ledger", "about", "the", "of", "and", "window", "meeting",
	"to", "in", "paper", "thursday", "is", "garden", "invoice", "please",
	"not", "station", "letter", "answer", "with", "for", "kitchen", "map",
	"we", "river", "a", "number", "from", "tomorrow", "f\303\274r", "caf\303\251",
};
#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

struct out {
	char *p;
	size_t len, size;
};

static uint64_t random_state;
static char *text_pool, *base64_pool;

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t random_next(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint32_t random_below(uint32_t limit)
{
	return (uint32_t)(random_next() % limit);
}

static const char *random_word(void)
{
	return words[random_below(WORD_COUNT)];
}

static void out_reserve(struct out *out, size_t more)
{
	if (out->len + more <= out->size)
		return;
	out->size = (out->len + more) * 2;
	out->p = realloc(out->p, out->size);
	if (out->p == NULL)
		err(1, "memory");
}

static void __attribute__((format(printf, 2, 3)))
out_printf(struct out *out, const char *format, ...)
{
	va_list args;

	out_reserve(out, 4096);
	va_start(args, format);
	out->len += (size_t)vsnprintf(out->p + out->len, 4096, format, args);
	va_end(args);
}

/* At least that many bytes of whole lines from somewhere in a pool. */
static void out_lines(struct out *out, const char *pool, size_t bytes)
{
	const char *from = pool, *end = pool + POOL_BYTES;
	size_t part, until = out->len + bytes;

	while (out->len < until) {
		from = pool + random_below(POOL_BYTES / 2);
		from = (const char *)memchr(from, '\n', (size_t)(end - from)) + 1;
		part = until - out->len;
		if (part > (size_t)(end - from))
			part = (size_t)(end - from);
		out_reserve(out, part + 1);
		memcpy(out->p + out->len, from, part);
		out->len += part;
		if (out->p[out->len - 1] != '\n')
			out->p[out->len++] = '\n';
	}
}

static void pools_init(void)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789+/";
	struct out text = { NULL, 0, 0 };
	size_t i, line = 0;

	random_state = 1;
	while (text.len < POOL_BYTES) {
		out_printf(&text, "%s ", random_word());
		if (text.len - line > LINE_MAX_BYTES - 10) {
			text.p[text.len - 1] = '\n';
			line = text.len;
		}
	}
	text_pool = text.p;
	text_pool[POOL_BYTES - 1] = '\n';
	base64_pool = malloc(POOL_BYTES);
	if (base64_pool == NULL)
		err(1, "memory");
	for (i = 0; i < POOL_BYTES; i++)
		base64_pool[i] = i % (LINE_MAX_BYTES + 1) == LINE_MAX_BYTES ?
			'\n' : digits[random_below(64)];
	base64_pool[POOL_BYTES - 1] = '\n';
}

static void add_date(struct out *out, time_t when)
{
	struct tm tm;
	char text[64];

	(void)gmtime_r(&when, &tm);
	(void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	out_printf(out, "Date: %s\n", text);
}

static void add_trace(struct out *out)
{
	unsigned int hop, hops = 2 + random_below(3);

	out_printf(out, "Return-Path: <bounces-%u@lists.example.net>\n",
		   random_below(1000));
	for (hop = hops; hop > 0; hop--) {
		out_printf(out, "Received: from relay%u.example.net "
			"(relay%u.example.net [198.51.100.%u])\n"
			"\tby relay%u.example.org with ESMTPS id %012llx\n"
			"\tfor <reader@example.org>; Fri, 14 Jul 2017 02:40:%02u +0000\n",
			hop, hop, random_below(256), hop - 1,
			(unsigned long long)random_next() >> 16, random_below(60));
	}
	out_printf(out, "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; "
		   "s=bench;\n\th=from:to:subject:date:message-id; b=\n\t");
	for (hop = 0; hop < 5; hop++)
		out_printf(out, "%.68s%s", base64_pool + (LINE_MAX_BYTES + 1) *
			   (size_t)random_below(10000), hop < 4 ? "\n\t" : "\n");
}

static void add_names(struct out *out, unsigned long number)
{
	unsigned int who = random_below(500), list = random_below(40);
	unsigned int more = random_below(3);

	out_printf(out, "From: \"Writer %u\" <writer%u@example.net>\n"
		   "To: \"List %u\" <list%u@lists.example.net>", who, who, list,
		   list);
	while (more-- > 0)
		out_printf(out, ",\n\treader%u@example.org", random_below(500));
	out_printf(out, "\nMessage-ID: <%lu.%08x@example.net>\n", number,
		   random_below(UINT32_MAX));
	if (random_below(2) == 0)
		out_printf(out, "In-Reply-To: <%u.parent@example.net>\n"
			   "References: <%u.root@example.net>\n"
			   "\t<%u.parent@example.net>\n", who, list, who);
	out_printf(out, "Subject: [list%u] %s %s %s %lu\nUser-Agent: bench/1\n",
		   list, random_word(), random_word(), random_word(), number);
}

static void add_attachments(struct out *out, size_t bytes)
{
	unsigned int i, count = 1 + random_below(3);
	uint64_t mark = random_next();

	out_printf(out, "Content-Type: multipart/mixed; boundary=\"=_%016llx\"\n\n"
		   "--=_%016llx\nContent-Type: text/plain; charset=utf-8\n"
		   "Content-Transfer-Encoding: 8bit\n\n", (unsigned long long)mark,
		   (unsigned long long)mark);
	out_lines(out, text_pool, 1000 + random_below(4000));
	for (i = 0; i < count; i++) {
		out_printf(out, "--=_%016llx\nContent-Type: application/pdf; "
			   "name=\"scan%u.pdf\"\nContent-Disposition: attachment; "
			   "filename=\"scan%u.pdf\"\nContent-Transfer-Encoding: "
			   "base64\n\n", (unsigned long long)mark, i, i);
		out_lines(out, base64_pool, bytes / count);
	}
	out_printf(out, "--=_%016llx--\n", (unsigned long long)mark);
}

static size_t mixed_size(void)
{
	unsigned int i, percent = random_below(100);

	for (i = 0; percent >= sizes[i].percent; i++)
		percent -= sizes[i].percent;
	return sizes[i].min + random_below(sizes[i].max - sizes[i].min);
}

static void make_message(struct out *out, const char *kind, unsigned long number)
{
	size_t size = 0;

	out->len = 0;
	if (strcmp(kind, "mixed") == 0)
		size = mixed_size();
	else if (strcmp(kind, "large") == 0)
		size = LARGE_BYTES;
	if (size >= 1000)
		add_trace(out);
	add_date(out, EPOCH + (time_t)number * INTERVAL_SECS);
	add_names(out, number);
	out_printf(out, "MIME-Version: 1.0\n");
	if (size >= ATTACH_MIN_BYTES) {
		add_attachments(out, size - out->len - 3000);
		return;
	}
	out_printf(out, "Content-Type: text/plain; charset=utf-8\n"
		   "Content-Transfer-Encoding: 8bit\n\n");
	out_lines(out, text_pool, size > out->len + 100 ? size - out->len : 100);
}

static size_t count_lines(const struct out *out)
{
	const char *p = out->p, *end = out->p + out->len;
	size_t lines = 0;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		lines++;
		p++;
	}
	return lines;
}

static void write_message(int dir, const struct out *out, unsigned long number)
{
	struct timespec times[2];
	char name[128];
	int fd;

	times[0].tv_sec = EPOCH + (time_t)number * INTERVAL_SECS;
	times[0].tv_nsec = 0;
	times[1] = times[0];
	(void)snprintf(name, sizeof(name), "%ld.%08lu.bench,S=%zu,W=%zu,.eml",
		       (long)times[0].tv_sec, number, out->len,
		       out->len + count_lines(out));
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, out->p, out->len) != (ssize_t)out->len ||
	    futimens(fd, times) < 0 || close(fd) < 0)
		err(1, "%s", name);
}

int main(int argc, char *argv[])
{
	struct out out = { NULL, 0, 0 };
	unsigned long seed, i, end;
	int dir;

	if (argc != 6)
		errx(64, "usage: corpus mixed|small|large SEED FIRST COUNT DIR");
	seed = strtoul(argv[2], NULL, 10);
	i = strtoul(argv[3], NULL, 10);
	end = i + strtoul(argv[4], NULL, 10);
	dir = open(argv[5], O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		err(1, "%s", argv[5]);
	pools_init();
	for (; i < end; i++) {
		random_state = (seed << 32) ^ i * 0xd1342543de82ef95ULL;
		make_message(&out, argv[1], i);
		write_message(dir, &out, i);
	}
	return 0;
}
