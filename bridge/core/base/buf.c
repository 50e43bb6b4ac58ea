#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define BUF_MIN_SIZE 64
#define ARENA_BLOCK (64 * 1024)

static void __attribute__((noreturn)) mem_exhausted(void)
{
	fputs("dovebridge: out of memory\n", stderr);
	abort();
}

void *mem_new(size_t nmemb, size_t size)
{
	void *ptr = calloc(nmemb > 0 ? nmemb : 1, size > 0 ? size : 1);

	if (ptr == NULL)
		mem_exhausted();
	return ptr;
}

void *mem_grow(void *ptr, size_t nmemb, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nmemb, size, &bytes))
		mem_exhausted();
	ptr = realloc(ptr, bytes > 0 ? bytes : 1);
	if (ptr == NULL)
		mem_exhausted();
	return ptr;
}

char *mem_strdup(const char *str)
{
	return str == NULL ? NULL : mem_strndup(str, strlen(str));
}

char *mem_strndup(const char *str, size_t len)
{
	char *copy = mem_new(len + 1, 1);

	memcpy(copy, str, len);
	return copy;
}

char *buf_reserve(struct buf *buf, size_t len)
{
	size_t need, size = buf->size;

	if (__builtin_add_overflow(buf->len, len, &need) ||
	    __builtin_add_overflow(need, (size_t)1, &need))
		mem_exhausted();
	if (need > size) {
		size = size < BUF_MIN_SIZE ? BUF_MIN_SIZE : size + size / 2;
		if (size < need)
			size = need;
		buf->p = mem_grow(buf->p, size, 1);
		buf->size = size;
	}
	return buf->p + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
	char *to = buf_reserve(buf, len);

	if (len > 0)
		memcpy(to, data, len);
	buf->len += len;
	buf->p[buf->len] = '\0';
}

void buf_append_str(struct buf *buf, const char *str)
{
	buf_append(buf, str, strlen(str));
}

void buf_append_view(struct buf *buf, struct view view)
{
	buf_append(buf, view.p, view.len);
}

void buf_append_c(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		return;
	(void)vsnprintf(buf_reserve(buf, (size_t)len), (size_t)len + 1, fmt,
			args);
	buf->len += (size_t)len;
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vprintf(buf, fmt, args);
	va_end(args);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->p != NULL)
		buf->p[0] = '\0';
}

const char *buf_str(const struct buf *buf)
{
	return buf->p == NULL ? "" : buf->p;
}

void buf_free(struct buf *buf)
{
	free(buf->p);
	memset(buf, 0, sizeof(*buf));
}

struct view view_of(const char *str)
{
	struct view view = { str, strlen(str) };

	return view;
}

struct view view_of_buf(const struct buf *buf)
{
	struct view view = { buf_str(buf), buf->len };

	return view;
}

bool view_equals(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool view_is(struct view view, const char *str)
{
	return view_equals(view, view_of(str));
}

bool view_is_nocase(struct view view, const char *str)
{
	return view.len == strlen(str) &&
		strncasecmp(view.p, str, view.len) == 0;
}

bool view_starts(struct view view, const char *prefix)
{
	size_t len = strlen(prefix);

	return view.len >= len && memcmp(view.p, prefix, len) == 0;
}

/* --- arenas ---------------------------------------------------------------- */

struct arena_block {
	struct arena_block *next;
	char data[];
};

struct view arena_add(struct arena *arena, struct view text)
{
	struct arena_block *block;
	struct view copy;

	if (text.len > arena->size - arena->used || arena->blocks == NULL) {
		arena->size = text.len > ARENA_BLOCK ? text.len : ARENA_BLOCK;
		arena->used = 0;
		block = mem_grow(NULL, sizeof(*block) + arena->size, 1);
		block->next = arena->blocks;
		arena->blocks = block;
	}
	copy.p = arena->blocks->data + arena->used;
	copy.len = text.len;
	if (text.len > 0)
		memcpy(arena->blocks->data + arena->used, text.p, text.len);
	arena->used += text.len;
	return copy;
}

void arena_free(struct arena *arena)
{
	struct arena_block *block, *next;

	for (block = arena->blocks; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	memset(arena, 0, sizeof(*arena));
}
