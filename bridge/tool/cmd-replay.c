#include "replay.h"
#include "tool.h"
#include "verb.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>

#define USAGE "replay [--as USER] FILE"

static const struct option options[] = {
	{ "as", required_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 }
};

static int print_reply(void *context, struct view bytes)
{
	(void)context;
	return fwrite(bytes.p, 1, bytes.len, stdout) == bytes.len ? 0 : -1;
}

/* Nobody has to read it. */
static int print_stderr(void *context, struct view line)
{
	(void)context;
	(void)fwrite(line.p, 1, line.len, stderr);
	(void)fputc('\n', stderr);
	return 0;
}

/* The next request. Returns 1, 0 at the end of stdin, -1 if it is too long. */
static int read_request(struct buf *line)
{
	int c;

	buf_clear(line);
	while ((c = getc_unlocked(stdin)) != EOF && c != '\n') {
		if (line->len == WIRE_LINE_MAX)
			return -1;
		buf_append_c(line, (char)c);
	}
	return c == '\n';
}

/* The octets that follow APPEND box - size=N are nothing to us. */
static void skip_octets(struct view request)
{
	struct view word = { NULL, 0 }, key, value;
	const char *end = request.p + request.len, *p = request.p;
	uint64_t left = 0;
	unsigned int n;

	if (!view_starts(request, "APPEND "))
		return;
	for (n = 0; p < end; n++) {
		while (p < end && *p == ' ')
			p++;
		word.p = p;
		while (p < end && *p != ' ')
			p++;
		word.len = (size_t)(p - word.p);
		if (n == 2 && !view_is(word, "-"))
			return;
		if (n > 2 && wire_option(word, &key, &value) &&
		    view_is(key, "size"))
			(void)wire_number(value, WIRE_MESSAGE_MAX, &left);
	}
	while (left > 0 && getc_unlocked(stdin) != EOF)
		left--;
}

static int serve(struct replay *replay, const char *path)
{
	static const struct replay_output output = {
		.reply = print_reply,
		.stderr_line = print_stderr,
	};
	char quoted[WIRE_QUOTE_SIZE];
	struct buf line = { NULL, 0, 0 };
	enum replay_result result = REPLAY_ANSWERED;
	int ret;

	while ((ret = read_request(&line)) > 0) {
		skip_octets(view_of_buf(&line));
		result = replay_answer(replay, view_of_buf(&line), &output);
		if (result == REPLAY_MISSING)
			tool_warn("warning: %s has no answer to %s", path,
				  wire_quote(view_of_buf(&line), quoted,
					     sizeof(quoted)));
		if (fflush(stdout) != 0)
			result = REPLAY_OUTPUT_FAILED;
		if (result > REPLAY_MISSING)
			break;
	}
	buf_free(&line);
	if (ret < 0) {
		tool_warn("a request is longer than %d bytes", WIRE_LINE_MAX);
		return EX_DATAERR;
	}
	if (result == REPLAY_ENDED)
		return replay_status(replay);
	if (result == REPLAY_WRONG)
		tool_warn("%s has changed", path);
	return result > REPLAY_MISSING ? EX_IOERR : 0;
}

int cmd_replay(int argc, char *argv[])
{
	const char *as = NULL, *path;
	struct replay *replay;
	struct wire_error error;
	struct stat st;
	int c, fd, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'a')
			tool_usage(USAGE);
		as = optarg;
	}
	if (argc - optind != 1)
		tool_usage(USAGE);
	path = argv[optind];
	tool_become(as);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		tool_fail(EX_NOINPUT, "cannot read %s: %s", path,
			  strerror(errno));
	if (!S_ISREG(st.st_mode))
		tool_fail(EX_NOINPUT, "%s is not a file", path);
	if (replay_init(fd, &replay, &error) < 0)
		tool_fail(EX_DATAERR, "%s: %s", path, error.text);
	status = serve(replay, path);
	replay_deinit(&replay);
	(void)close(fd);
	return status;
}
