/* Growable bytes, views into bytes, and the allocation rules of core/.
 *
 * Running out of memory ends the process, as it does everywhere in Dovecot
 * (lib/mempool-system.c): whatever grows from outside input is bounded by a
 * named limit long before that. */
#ifndef BRIDGE_BUF_H
#define BRIDGE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else; not NUL-terminated. */
struct view {
	const char *p;
	size_t len;
};

/* Bytes that grow; p is NUL-terminated once anything was appended. A zeroed
 * struct is an empty buffer. */
struct buf {
	char *p;
	size_t len;
	size_t size;
};

/* Allocate nmemb * size zeroed bytes. Never returns NULL; an overflow counts
 * as running out of memory. Release with free(). */
void *mem_new(size_t nmemb, size_t size);
/* Resize an array to nmemb members of size bytes; new members are not
 * initialised. Never returns NULL. */
void *mem_grow(void *ptr, size_t nmemb, size_t size);
/* strdup() and strndup() that never return NULL; mem_strdup(NULL) is NULL. */
char *mem_strdup(const char *str);
char *mem_strndup(const char *str, size_t len);

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_str(struct buf *buf, const char *str);
void buf_append_view(struct buf *buf, struct view view);
void buf_append_c(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));
/* Make room for len more bytes and return where they go; buf->len is moved by
 * the caller. */
char *buf_reserve(struct buf *buf, size_t len);
/* Keep the memory, forget the content. */
void buf_clear(struct buf *buf);
/* The content as a string, "" when empty; valid until the next change. */
const char *buf_str(const struct buf *buf);
void buf_free(struct buf *buf);

struct view view_of(const char *str);
struct view view_of_buf(const struct buf *buf);
bool view_equals(struct view a, struct view b);
bool view_is(struct view view, const char *str);
bool view_is_nocase(struct view view, const char *str);
bool view_starts(struct view view, const char *prefix);

struct arena_block;

/* Bytes that stay where they are until all of them are freed. A zeroed struct
 * is an empty arena. */
struct arena {
	struct arena_block *blocks;
	size_t used, size;
};

/* Returns the copy. */
struct view arena_add(struct arena *arena, struct view text);
void arena_free(struct arena *arena);

#endif
