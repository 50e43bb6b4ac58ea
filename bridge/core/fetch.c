#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <linux/magic.h>

/* One id of a request, and what has come for it. */
struct fetch_item {
	struct buf id;		/* as the backend spelt it */
	struct buf decoded;
	uint64_t expected;
	bool named;		/* an item has named it */
	struct fetched fetched;
	struct fault fault;	/* when fetched.status is FETCH_FAILED */
};

struct fetch {
	struct session_request request;
	struct session *session;
	enum fetch_want want;
	struct fetch_item *items;
	size_t count;
	struct fetch_item *now;	/* which is being read */
	struct buf scratch;
	bool dropped;		/* nobody waits: free it when it is done */
};

/* This message has failed; the reply itself is right, so the copy lives on. */
static void fetch_failed(struct fetch *ctx, enum fault_code code,
			 const char *what, struct view offending)
{
	char quoted[WIRE_QUOTE_SIZE], request[WIRE_QUOTE_SIZE];

	ctx->now->fetched.status = FETCH_FAILED;
	(void)fault_set(&ctx->now->fault, code, FAULT_SCOPE_MESSAGE,
		"%s: %s while answering %s: %s",
		session_settings(ctx->session)->argv[0],
		wire_quote(offending, quoted, sizeof(quoted)),
		wire_quote(view_of_buf(&ctx->request.line), request,
			   sizeof(request)), what);
}

static bool fetch_is_expected(const struct fetch_item *item, uint64_t size)
{
	if (item->expected == IDMAP_SIZE_UNKNOWN)
		return true;
	return item->fetched.header_only ? size <= item->expected :
		size == item->expected;
}

/* --- octets ---------------------------------------------------------------- */

static int spool_open(const char *dir)
{
	char path[4096];
	int fd;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (snprintf(path, sizeof(path), "%s/dovebridge.spool.XXXXXX", dir) >=
	    (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

static int write_all(int fd, const char *data, size_t size)
{
	ssize_t ret;

	while (size > 0) {
		ret = write(fd, data, size);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -1;
		data += ret;
		size -= (size_t)ret;
	}
	return 0;
}

static void spool_failed(struct fetch *ctx)
{
	struct fetched *fetched = &ctx->now->fetched;
	char what[256];

	(void)snprintf(what, sizeof(what), "cannot keep the message in %s: %s",
		       session_settings(ctx->session)->tmp_dir,
		       strerror(errno));
	if (fetched->fd >= 0)
		(void)close(fetched->fd);
	fetched->fd = -1;
	fetch_failed(ctx, FAULT_UNAVAILABLE, what, view_of_buf(&ctx->now->id));
}

static int fetch_octets(struct session_request *request, const char *data,
			size_t size, struct wire_error *error_r)
{
	struct fetch *ctx = (struct fetch *)request;
	struct fetched *fetched = &ctx->now->fetched;

	(void)error_r;
	if (fetched->status == FETCH_MEMORY)
		buf_append(&fetched->data, data, size);
	else if (fetched->status == FETCH_FILE &&
		 write_all(fetched->fd, data, size) < 0)
		spool_failed(ctx);
	return 0;
}

static void fetch_data(struct fetch *ctx, const struct wire_line *line)
{
	struct fetched *fetched = &ctx->now->fetched;
	uint64_t size = 0;

	/* the session has checked the number */
	(void)wire_number(line->fields[1], WIRE_MESSAGE_MAX, &size);
	fetched->size = size;
	if (!fetch_is_expected(ctx->now, size)) {
		fetched->size_differs = true;
		fetch_failed(ctx, FAULT_INTERNAL,
			     "the length is not the size known before",
			     line->raw);
	} else if (size <= FETCH_MEMORY_MAX) {
		fetched->status = FETCH_MEMORY;
		(void)buf_reserve(&fetched->data, size);
	} else {
		fetched->status = FETCH_FILE;
		fetched->fd = spool_open(session_settings(ctx->session)->
					 tmp_dir);
		if (fetched->fd < 0)
			spool_failed(ctx);
	}
}

/* --- paths ----------------------------------------------------------------- */

/* A file below BRIDGE_TMP is the bridge's from the moment it is named. */
static bool path_is_ours(const struct fetch *ctx, const char *path)
{
	const char *tmp = session_tmp(ctx->session);
	size_t len = tmp == NULL ? 0 : strlen(tmp);

	return len > 0 && strncmp(path, tmp, len) == 0 && path[len] == '/' &&
		strstr(path + len, "/..") == NULL;
}

/* Kernel files claim to be regular files, of any size, and are not mail. They lie
   on no device. */
static bool fd_is_kernel_file(int fd, const struct stat *st)
{
	struct statfs fs;

	return major(st->st_dev) == 0 && fstatfs(fd, &fs) == 0 &&
		(fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
		 fs.f_type == DEBUGFS_MAGIC || fs.f_type == TRACEFS_MAGIC);
}

static int fetch_slice(struct fetch *ctx, const struct wire_line *line,
		       uint64_t file_size, struct wire_error *error_r)
{
	struct fetched *fetched = &ctx->now->fetched;
	struct view key, value;
	uint64_t length = UINT64_MAX;
	size_t i;

	for (i = 2; i < line->count; i++) {
		(void)wire_option(line->fields[i], &key, &value);
		if ((view_is(key, "offset") &&
		     wire_number(value, INT64_MAX, &fetched->offset) < 0) ||
		    (view_is(key, "length") &&
		     wire_number(value, WIRE_MESSAGE_MAX, &length) < 0))
			return wire_fail(error_r, "a number out of range",
					 line->raw);
	}
	if (fetched->offset > file_size) {
		fetch_failed(ctx, FAULT_INTERNAL, "the offset is beyond the "
			     "end of the file", line->raw);
		return 0;
	}
	if (length == UINT64_MAX)
		length = file_size - fetched->offset;
	if (length > file_size - fetched->offset) {
		fetch_failed(ctx, FAULT_INTERNAL, "the slice goes beyond the "
			     "end of the file", line->raw);
	} else if (length > WIRE_MESSAGE_MAX) {
		fetch_failed(ctx, FAULT_LIMIT, "the message is larger than "
			     "2147483647 bytes", line->raw);
	} else if (!fetch_is_expected(ctx->now, length)) {
		fetched->size = length;
		fetched->size_differs = true;
		fetch_failed(ctx, FAULT_INTERNAL,
			     "the length is not the size known before",
			     line->raw);
	} else {
		fetched->size = length;
		fetched->status = FETCH_FILE;
	}
	return 0;
}

static int fetch_file(struct fetch *ctx, const struct wire_line *line,
		      struct wire_error *error_r)
{
	struct fetched *fetched = &ctx->now->fetched;
	const char *path;
	struct stat st;
	int err;

	buf_clear(&ctx->scratch);
	if (line->count < 2 || wire_decode(line->fields[1], &ctx->scratch) < 0)
		return wire_fail(error_r, "a FILE without a proper path",
				 line->raw);
	path = buf_str(&ctx->scratch);
	if (path[0] != '/' || strlen(path) != ctx->scratch.len)
		return wire_fail(error_r, "a path that is not absolute",
				 line->raw);
	fetched->fd = session_open(ctx->session, path, O_RDONLY | O_NOFOLLOW |
				   O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
				   path_is_ours(ctx, path));
	err = errno;
	if (fetched->fd < 0) {
		fetched->missing = err == ENOENT;
		if (err == ELOOP || err == ENXIO)	/* O_NOFOLLOW; a socket */
			fetch_failed(ctx, FAULT_INTERNAL, "not a regular file",
				     line->raw);
		else
			fetch_failed(ctx, FAULT_UNAVAILABLE, strerror(err),
				     line->raw);
	} else if (fstat(fetched->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		   fd_is_kernel_file(fetched->fd, &st)) {
		fetch_failed(ctx, FAULT_INTERNAL, "not a regular file",
			     line->raw);
	} else if (fetch_slice(ctx, line, (uint64_t)st.st_size, error_r) < 0) {
		return -1;
	} else if (fetched->status == FETCH_FILE) {
		session_rawlog_file(ctx->session, fetched->fd, fetched->offset,
				    fetched->size);
	}
	return 0;
}

/* --- the reply ------------------------------------------------------------- */

static struct fetch_item *fetch_find(struct fetch *ctx, struct view id)
{
	size_t i;

	for (i = 0; i < ctx->count; i++) {
		if (view_equals(id, view_of_buf(&ctx->items[i].id)))
			return &ctx->items[i];
	}
	/* it may be spelt in another way */
	buf_clear(&ctx->scratch);
	if (wire_decode(id, &ctx->scratch) < 0)
		return NULL;
	for (i = 0; i < ctx->count; i++) {
		if (view_equals(view_of_buf(&ctx->scratch),
				view_of_buf(&ctx->items[i].decoded)))
			return &ctx->items[i];
	}
	return NULL;
}

static bool line_has_part_header(const struct wire_line *line)
{
	size_t i;

	for (i = 2; i < line->count; i++) {
		if (view_is(line->fields[i], "part=header"))
			return true;
	}
	return false;
}

static int fetch_line(struct session_request *request,
		      const struct wire_line *line, struct wire_error *error_r)
{
	struct fetch *ctx = (struct fetch *)request;

	ctx->now = line->count == 0 ? NULL : fetch_find(ctx, line->fields[0]);
	if (ctx->now == NULL)
		return wire_fail(error_r, "an id that was not asked for",
				 line->raw);
	if (ctx->now->named)
		return wire_fail(error_r, "a second item for an id",
				 line->raw);
	ctx->now->named = true;
	if (view_is(line->keyword, "GONE")) {
		ctx->now->fetched.status = FETCH_GONE;
		return 0;
	}
	if (view_is(line->keyword, "FAIL")) {
		ctx->now->fetched.status = FETCH_FAILED;
		session_fault_item(ctx->session, request, line,
				   &ctx->now->fault);
		return 0;
	}
	ctx->now->fetched.header_only = line_has_part_header(line);
	if (ctx->now->fetched.header_only && ctx->want != FETCH_HEADER)
		return wire_fail(error_r, "part=header, but the whole "
				 "message was asked for", line->raw);
	if (view_is(line->keyword, "FILE"))
		return fetch_file(ctx, line, error_r);
	fetch_data(ctx, line);
	return 0;
}

static int fetch_final(struct session_request *request,
		       const struct wire_line *line, struct wire_error *error_r)
{
	struct fetch *ctx = (struct fetch *)request;
	size_t i;

	(void)error_r;
	for (i = 0; i < ctx->count; i++) {
		ctx->now = &ctx->items[i];
		if (!ctx->now->named)
			fetch_failed(ctx, FAULT_INTERNAL,
				     "the answer does not name the message",
				     line->raw);
	}
	return 0;
}

static void fetch_reset(struct session_request *request)
{
	struct fetch *ctx = (struct fetch *)request;
	size_t i;

	for (i = 0; i < ctx->count; i++) {
		fetched_free(&ctx->items[i].fetched);
		ctx->items[i].named = false;
	}
}

static void fetch_free(struct fetch *fetch)
{
	size_t i;

	for (i = 0; i < fetch->count; i++) {
		fetched_free(&fetch->items[i].fetched);
		buf_free(&fetch->items[i].id);
		buf_free(&fetch->items[i].decoded);
	}
	free(fetch->items);
	buf_free(&fetch->scratch);
	session_request_free(&fetch->request);
	free(fetch);
}

static void fetch_done(struct session_request *request)
{
	struct fetch *ctx = (struct fetch *)request;

	if (ctx->dropped)
		fetch_free(ctx);
}

/* A copy that has taken the place of another may take fewer ids. The caller asks
   for each by itself then. */
static int fetch_prepare(struct session_request *request,
			 const struct caps *caps, struct fault *fault_r)
{
	struct fetch *ctx = (struct fetch *)request;

	if (ctx->count <= caps->batch)
		return 0;
	return fault_set(fault_r, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
		"%s: has only batch=%u now, not enough for %zu ids",
		session_settings(ctx->session)->argv[0], caps->batch,
		ctx->count);
}

static const struct session_handler fetch_handler = {
	.prepare = fetch_prepare,
	.item = fetch_line,
	.octets = fetch_octets,
	.final = fetch_final,
	.reset = fetch_reset,
	.done = fetch_done,
};

struct fetch *fetch_begin(struct session *session, const char *box,
			  enum fetch_want want, const struct fetch_ask *asks,
			  size_t count)
{
	struct fetch *fetch = mem_new(1, sizeof(*fetch));
	struct fetch_item *item;
	size_t i;

	fetch->request.verb = VERB_FETCH;
	fetch->request.handler = &fetch_handler;
	fetch->session = session;
	fetch->want = want;
	fetch->items = mem_new(count, sizeof(*fetch->items));
	fetch->count = count;
	buf_printf(&fetch->request.line, "FETCH %s %s", box,
		   want == FETCH_HEADER ? "header" : "full");
	for (i = 0; i < count; i++) {
		item = &fetch->items[i];
		item->fetched.fd = -1;
		item->expected = asks[i].expected;
		buf_append_view(&item->id, asks[i].id);
		(void)wire_decode(asks[i].id, &item->decoded);
		buf_append_c(&fetch->request.line, ' ');
		buf_append_view(&fetch->request.line, asks[i].id);
	}
	session_submit(session, &fetch->request);
	session_pump(session);
	return fetch;
}

int fetch_wait(struct fetch *fetch, struct fault *fault)
{
	if (session_wait(fetch->session, &fetch->request) == 0)
		return 0;
	*fault = fetch->request.fault;
	return -1;
}

int fetch_take(struct fetch *fetch, size_t n, struct fetched *fetched_r,
	       struct fault *fault)
{
	struct fetch_item *item = &fetch->items[n];

	*fetched_r = item->fetched;
	memset(&item->fetched, 0, sizeof(item->fetched));
	item->fetched.fd = -1;
	if (fetched_r->status != FETCH_FAILED)
		return 0;
	*fault = item->fault;
	return -1;
}

void fetch_end(struct fetch **_fetch)
{
	struct fetch *fetch = *_fetch;

	*_fetch = NULL;
	if (fetch == NULL)
		return;
	if (fetch->request.done ||
	    session_withdraw(fetch->session, &fetch->request))
		fetch_free(fetch);
	else
		fetch->dropped = true;
}

static int fetch_once(struct session *session, const char *box,
		      enum fetch_want want, const struct fetch_ask *ask,
		      struct fetched *fetched_r, struct fault *fault)
{
	struct fetch *fetch = fetch_begin(session, box, want, ask, 1);
	int ret = fetch_wait(fetch, fault);

	if (ret == 0)
		ret = fetch_take(fetch, 0, fetched_r, fault);
	fetch_end(&fetch);
	return ret;
}

int fetch_message(struct session *session, const char *box,
		  enum fetch_want want, const struct fetch_ask *ask,
		  struct fetched *fetched_r, struct fault *fault)
{
	int ret;

	memset(fetched_r, 0, sizeof(*fetched_r));
	fetched_r->fd = -1;
	ret = fetch_once(session, box, want, ask, fetched_r, fault);
	/* A file may have been renamed between the line and the open (Maildir
	   does it for each flag): ask once more, then it is an error, never
	   taken for gone. */
	if (ret < 0 && fetched_r->missing) {
		fetched_free(fetched_r);
		ret = fetch_once(session, box, want, ask, fetched_r, fault);
	}
	return ret;
}

void fetched_free(struct fetched *fetched)
{
	if (fetched->fd >= 0)
		(void)close(fetched->fd);
	buf_free(&fetched->data);
	memset(fetched, 0, sizeof(*fetched));
	fetched->fd = -1;
}

int fetched_copy(const struct fetched *fetched, int fd)
{
	char chunk[65536];
	uint64_t done = 0;
	size_t want;
	ssize_t ret;

	if (fetched->status == FETCH_MEMORY)
		return write_all(fd, buf_str(&fetched->data),
				 fetched->data.len);
	while (done < fetched->size) {
		want = fetched->size - done < sizeof(chunk) ?
			(size_t)(fetched->size - done) : sizeof(chunk);
		ret = pread(fetched->fd, chunk, want,
			    (off_t)(fetched->offset + done));
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret == 0)
			errno = EIO;
		if (ret <= 0 || write_all(fd, chunk, (size_t)ret) < 0)
			return -1;
		done += (uint64_t)ret;
	}
	return 0;
}
