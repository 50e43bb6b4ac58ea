#include "fetch.h"
#include "slice.h"

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
	if (item->expected == WIRE_SIZE_UNKNOWN)
		return true;
	return item->fetched.header_only ? size <= item->expected :
		size == item->expected;
}

/* --- octets ---------------------------------------------------------------- */

static void fetch_not_kept(struct fetch *ctx)
{
	char what[256];

	(void)snprintf(what, sizeof(what), "cannot keep the message in %s: %s",
		       session_settings(ctx->session)->tmp_dir,
		       strerror(errno));
	fetched_free(&ctx->now->fetched);
	fetch_failed(ctx, FAULT_UNAVAILABLE, what, view_of_buf(&ctx->now->id));
}

static int fetch_octets(struct session_request *request, const char *data,
			size_t size, struct wire_error *error_r)
{
	struct fetch *ctx = (struct fetch *)request;
	struct fetched *fetched = &ctx->now->fetched;

	(void)error_r;
	if (fetched->status != FETCH_FAILED &&
	    fetched_add(fetched, data, size) < 0)
		fetch_not_kept(ctx);
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
	} else if (fetched_begin(fetched, size,
				 session_settings(ctx->session)->tmp_dir) < 0) {
		fetch_not_kept(ctx);
	}
}

/* --- paths ----------------------------------------------------------------- */

/* Kernel files claim to be regular files, of any size, and are not mail. They lie
   on no device. */
static bool fd_is_kernel_file(int fd, const struct stat *st)
{
	struct statfs fs;

	return major(st->st_dev) == 0 && fstatfs(fd, &fs) == 0 &&
		(fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
		 fs.f_type == DEBUGFS_MAGIC || fs.f_type == TRACEFS_MAGIC);
}

/* The slice of the file that is open, as far as it lies in it. Returns false if the
   message has failed. */
static bool fetch_slice(struct fetch *ctx, const struct wire_line *line,
			struct slice *slice, const struct stat *st)
{
	struct fetched *fetched = &ctx->now->fetched;
	uint64_t file_size = (uint64_t)st->st_size;
	const char *what = NULL;

	if (slice->offset > file_size)
		what = "the offset is beyond the end of the file";
	else if (slice->length == UINT64_MAX)
		slice->length = file_size - slice->offset;
	else if (slice->length > file_size - slice->offset)
		what = "the slice goes beyond the end of the file";
	if (what == NULL && slice->length > WIRE_MESSAGE_MAX) {
		fetch_failed(ctx, FAULT_LIMIT, "the message is larger than "
			     "2147483647 bytes", line->raw);
		return false;
	}
	if (what == NULL && !fetch_is_expected(ctx->now, slice->length)) {
		fetched->size = slice->length;
		fetched->size_differs = true;
		what = "the length is not the size known before";
	}
	if (what != NULL)
		fetch_failed(ctx, FAULT_INTERNAL, what, line->raw);
	return what == NULL;
}

/* Another file than was meant, now: asked again, the store may know better. */
static void fetch_not_meant(struct fetch *ctx, const struct wire_line *line)
{
	ctx->now->fetched.again = true;
	fetch_failed(ctx, FAULT_UNAVAILABLE, "the file is not the version that "
		     "was meant", line->raw);
}

/* Take the bytes out of a file that may change: nothing of them is shown before it is
   sure that it has not. Of a message of which the header is wanted, only that. */
static void fetch_take_out(struct fetch *ctx, const struct wire_line *line,
			   const struct slice *slice, int fd)
{
	struct fetched *fetched = &ctx->now->fetched;
	struct fetched from = {
		.status = FETCH_FILE, .fd = fd, .offset = slice->offset,
		.size = slice->length,
	};
	const char *tmp_dir = session_settings(ctx->session)->tmp_dir;
	bool whole = ctx->want == FETCH_FULL || fetched->header_only;
	struct stat st;
	bool taken;

	taken = (whole || slice_header_length(fd, slice->offset, slice->length,
					      &from.size) == 0) &&
		fetched_begin(fetched, from.size, tmp_dir) == 0 &&
		fetched_add_from(fetched, &from) == 0;
	if (!taken)
		fetch_not_kept(ctx);
	if (fstat(fd, &st) < 0 || !slice_is_of(slice, &st)) {
		fetched_free(fetched);
		fetch_not_meant(ctx, line);
		return;
	}
	if (from.size < slice->length)
		fetched->header_only = true;
}

static bool fd_is_mail(int fd, struct stat *st_r)
{
	return fstat(fd, st_r) == 0 && S_ISREG(st_r->st_mode) &&
		!fd_is_kernel_file(fd, st_r);
}

/* What is open: fd is taken over. */
static void fetch_opened(struct fetch *ctx, const struct wire_line *line,
			 struct slice *slice, int fd)
{
	struct fetched *fetched = &ctx->now->fetched;
	struct stat st;

	if (!fd_is_mail(fd, &st)) {
		fetch_failed(ctx, FAULT_INTERNAL, "not a regular file",
			     line->raw);
	} else if (!slice_is_of(slice, &st)) {
		fetch_not_meant(ctx, line);
	} else if (fetch_slice(ctx, line, slice, &st)) {
		if (slice->versioned) {
			fetch_take_out(ctx, line, slice, fd);
		} else {
			fetched->status = FETCH_FILE;
			fetched->fd = fd;
			fetched->offset = slice->offset;
			fetched->size = slice->length;
		}
		if (fetched->status != FETCH_FAILED)
			session_rawlog_file(ctx->session, fd, slice->offset,
					    slice->length);
	}
	if (fetched->fd != fd)
		(void)close(fd);
}

/* The path of a FILE in ctx->scratch; NULL and the error. */
static const char *fetch_path(struct fetch *ctx, const struct wire_line *line,
			      struct wire_error *error_r)
{
	const char *path;

	buf_clear(&ctx->scratch);
	if (line->count < 2 || wire_decode(line->fields[1], &ctx->scratch) < 0) {
		(void)wire_fail(error_r, "a FILE without a proper path",
				line->raw);
		return NULL;
	}
	path = buf_str(&ctx->scratch);
	if (path[0] == '/' && strlen(path) == ctx->scratch.len)
		return path;
	(void)wire_fail(error_r, "a path that is not absolute", line->raw);
	return NULL;
}

static int fetch_file(struct fetch *ctx, const struct wire_line *line,
		      struct wire_error *error_r)
{
	struct slice slice;
	const char *path = fetch_path(ctx, line, error_r);
	int fd, err;

	if (path == NULL || slice_parse(line, &slice, error_r) < 0)
		return -1;
	fd = session_open(ctx->session, path, O_RDONLY | O_NOFOLLOW |
			  O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	err = errno;
	if (fd >= 0) {
		fetch_opened(ctx, line, &slice, fd);
		return 0;
	}
	ctx->now->fetched.again = err == ENOENT;
	if (err == ELOOP || err == ENXIO)	/* O_NOFOLLOW; a socket */
		fetch_failed(ctx, FAULT_INTERNAL, "not a regular file",
			     line->raw);
	else
		fetch_failed(ctx, FAULT_UNAVAILABLE, strerror(err), line->raw);
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
	/* A file may have been renamed or changed between the line and the open
	   (Maildir does the first for each flag): ask once more, then it is an
	   error, never taken for gone. */
	if (ret < 0 && fetched_r->again) {
		fetched_free(fetched_r);
		ret = fetch_once(session, box, want, ask, fetched_r, fault);
	}
	return ret;
}
