/* APPEND. Its line is made when it is sent, since only then it is known to which
 * copy: what that can do, and where its BRIDGE_TMP is. */
#include "write.h"
#include "fetch.h"
#include "tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <bsd/stdlib.h>
#include <sys/stat.h>

struct append {
	struct session_request request;
	struct session *session;
	char *box, *flags, *key;
	int fd;
	bool give_away;
	uint64_t offset, size;
	int64_t date;
	struct buf path;	/* the file in BRIDGE_TMP; "" = none */
	bool named;
	struct appended appended;
};

/* --- the request ----------------------------------------------------------- */

/* Its name in BRIDGE_TMP. */
static const char *append_name(const struct append *ctx)
{
	return strrchr(ctx->path.p, '/') + 1;
}

/* What the copy has left of it. A copy that has ended left nothing. */
static void append_remove_file(struct append *ctx)
{
	const char *tmp = session_tmp(ctx->session);
	int dir_fd = ctx->path.len == 0 || tmp == NULL ? -1 :
		tmpdir_open(tmp);

	if (dir_fd >= 0) {
		(void)unlinkat(dir_fd, append_name(ctx), 0);
		(void)close(dir_fd);
	}
	buf_clear(&ctx->path);
}

static int append_copy_file(const struct append *ctx, int dir_fd)
{
	struct fetched from = {
		.status = FETCH_FILE, .fd = ctx->fd,
		.offset = ctx->offset, .size = ctx->size,
	};
	int err, fd = openat(dir_fd, append_name(ctx), O_WRONLY | O_CREAT |
			     O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (fetched_copy(&from, fd) == 0)
		return close(fd);
	err = errno;
	(void)close(fd);
	(void)unlinkat(dir_fd, append_name(ctx), 0);
	errno = err;
	return -1;
}

/* Give the message a new name in BRIDGE_TMP, to its own file if that may be
   given away: the store may keep what it gets. Not every file can be linked: it
   may lie on another file system, or have lost its last name. */
static int append_fill_file(const struct append *ctx, const struct stat *st,
			    int dir_fd)
{
	char fd_path[64];

	(void)snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", ctx->fd);
	if (ctx->give_away && ctx->offset == 0 &&
	    (uint64_t)st->st_size == ctx->size &&
	    linkat(AT_FDCWD, fd_path, dir_fd, append_name(ctx),
		   AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return append_copy_file(ctx, dir_fd);
}

static int append_make_file(struct append *ctx, const struct stat *st,
			    struct fault *fault)
{
	const char *tmp = session_tmp(ctx->session);
	struct buf *path = &ctx->path;
	int ret, err, dir_fd = tmpdir_open(tmp);

	buf_printf(path, "%s/append-%08x%08x", tmp, arc4random(), arc4random());
	ret = dir_fd < 0 ? -1 : append_fill_file(ctx, st, dir_fd);
	err = errno;
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (ret == 0)
		return 0;
	errno = err;
	(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MESSAGE,
		"cannot copy the message to %s: %s", path->p, strerror(errno));
	buf_clear(path);
	return -1;
}

static void append_make_line(struct append *ctx, const struct caps *caps)
{
	struct buf *line = &ctx->request.line;

	buf_clear(line);
	buf_printf(line, "APPEND %s ", ctx->box);
	if (caps->inlined)
		buf_append_c(line, '-');
	else
		wire_encode(view_of_buf(&ctx->path), line);
	buf_printf(line, " size=%llu", (unsigned long long)ctx->size);
	if (ctx->flags[0] != '\0')
		buf_printf(line, " flags=%s", ctx->flags);
	if (ctx->date != WIRE_DATE_UNKNOWN)
		buf_printf(line, " date=%lld", (long long)ctx->date);
	if (caps->key)
		buf_printf(line, " key=%s", ctx->key);
}

static int append_prepare(struct session_request *request,
			  const struct caps *caps, struct fault *fault_r)
{
	struct append *ctx = (struct append *)request;
	struct stat st;

	/* of the copy before; its BRIDGE_TMP is gone too */
	append_remove_file(ctx);
	if (!caps->verbs[VERB_APPEND])
		return fault_set(fault_r, FAULT_UNSUPPORTED,
			FAULT_SCOPE_BACKEND, "%s: does not have the verb "
			"APPEND", session_settings(ctx->session)->argv[0]);
	if (request->begun && !caps->key)
		return fault_set(fault_r, FAULT_UNAVAILABLE,
			FAULT_SCOPE_MESSAGE, "%s: does not remember keys any "
			"more", session_settings(ctx->session)->argv[0]);
	if (fstat(ctx->fd, &st) < 0 || 
	    (uint64_t)st.st_size < ctx->offset + ctx->size)
		return fault_set(fault_r, FAULT_INTERNAL, FAULT_SCOPE_MESSAGE,
			"the file of a message to be stored does not have the "
			"%llu bytes of the message",
			(unsigned long long)ctx->size);
	if (caps->inlined) {
		request->payload_fd = ctx->fd;
		request->payload_offset = ctx->offset;
		request->payload_size = ctx->size;
	} else if (append_make_file(ctx, &st, fault_r) < 0) {
		return -1;
	}
	/* a backend that remembers keys does not store it twice */
	request->repeatable = caps->key;
	append_make_line(ctx, caps);
	return 0;
}

/* --- the reply ------------------------------------------------------------- */

static int append_option(struct appended *appended, struct view field)
{
	struct view key, value;
	uint64_t number;

	(void)wire_option(field, &key, &value);
	if (view_is(key, "size"))
		return wire_number(value, WIRE_MESSAGE_MAX, &appended->size);
	if (view_is(key, "uid")) {
		if (wire_number(value, WIRE_UID_MAX, &number) < 0 ||
		    number == 0)
			return -1;
		appended->uid = (uint32_t)number;
	}
	return 0;
}

static int append_line(struct session_request *request,
		       const struct wire_line *line,
		       struct wire_error *error_r)
{
	struct append *ctx = (struct append *)request;
	size_t i;

	if (ctx->named)
		return wire_fail(error_r, "a second MSG for one message",
				 line->raw);
	if (line->count == 0 || !wire_is_id(line->fields[0]))
		return wire_fail(error_r, "a MSG without a proper id",
				 line->raw);
	ctx->named = true;
	buf_append_view(&ctx->appended.id, line->fields[0]);
	for (i = 1; i < line->count; i++) {
		if (append_option(&ctx->appended, line->fields[i]) < 0)
			return wire_fail(error_r, "a value out of range",
					 line->raw);
	}
	return 0;
}

static int append_final(struct session_request *request,
			const struct wire_line *line,
			struct wire_error *error_r)
{
	const struct append *ctx = (const struct append *)request;

	if (!ctx->named)
		return wire_fail(error_r, "OK, but no MSG with the new id",
				 line->raw);
	return 0;
}

static void append_reset(struct session_request *request)
{
	struct append *ctx = (struct append *)request;

	appended_free(&ctx->appended);
	ctx->named = false;
}

static void append_done(struct session_request *request)
{
	append_remove_file((struct append *)request);
}

static const struct session_handler append_handler = {
	.prepare = append_prepare,
	.item = append_line,
	.final = append_final,
	.reset = append_reset,
	.done = append_done,
};

/* --- for callers ----------------------------------------------------------- */

static bool key_is_good(const char *key)
{
	size_t len = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return key[len] == '\0' && len >= APPEND_KEY_MIN &&
		len <= APPEND_KEY_MAX;
}

struct append *append_begin(struct session *session, const char *box,
			    const struct append_message *msg,
			    struct fault *fault)
{
	struct append *ctx;

	if (msg->size > WIRE_MESSAGE_MAX) {
		(void)fault_set(fault, FAULT_LIMIT, FAULT_SCOPE_MESSAGE,
			"a message of %llu bytes is larger than %d bytes",
			(unsigned long long)msg->size, WIRE_MESSAGE_MAX);
		return NULL;
	}
	if (!key_is_good(msg->key)) {
		(void)fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_MESSAGE,
			"a key must have %d to %d characters of A-Z a-z 0-9 _ "
			"-", APPEND_KEY_MIN, APPEND_KEY_MAX);
		return NULL;
	}
	ctx = mem_new(1, sizeof(*ctx));
	ctx->request.verb = VERB_APPEND;
	ctx->request.handler = &append_handler;
	ctx->session = session;
	ctx->box = mem_strdup(box);
	ctx->flags = mem_strdup(msg->flags);
	ctx->key = mem_strdup(msg->key);
	ctx->fd = msg->fd;
	ctx->give_away = msg->give_away;
	ctx->offset = msg->offset;
	ctx->size = msg->size;
	ctx->date = msg->date;
	appended_free(&ctx->appended);
	session_submit(session, &ctx->request);
	return ctx;
}

int append_wait(struct append *append, struct appended *appended_r,
		struct fault *fault)
{
	memset(appended_r, 0, sizeof(*appended_r));
	if (session_wait(append->session, &append->request) < 0) {
		*fault = append->request.fault;
		return -1;
	}
	*appended_r = append->appended;
	memset(&append->appended, 0, sizeof(append->appended));
	return 0;
}

void append_end(struct append **_append)
{
	struct append *append = *_append;

	*_append = NULL;
	if (append == NULL)
		return;
	if (!session_withdraw(append->session, &append->request))
		(void)session_wait(append->session, &append->request);
	appended_free(&append->appended);
	session_request_free(&append->request);
	buf_free(&append->path);
	free(append->box);
	free(append->flags);
	free(append->key);
	free(append);
}

void appended_free(struct appended *appended)
{
	buf_free(&appended->id);
	appended->size = WIRE_SIZE_UNKNOWN;
	appended->uid = 0;
}
