#include "replay.h"
#include "request.h"
#include "tool.h"

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

static int serve(struct replay *replay, const char *path)
{
	static const struct replay_output output = {
		.reply = print_reply,
		.stderr_line = print_stderr,
	};
	char quoted[WIRE_QUOTE_SIZE];
	struct buf line = { NULL, 0, 0 };
	enum replay_result result = REPLAY_ANSWERED;
	struct request request;
	int ret;

	while ((ret = request_read(stdin, &line)) > 0) {
		request_parse(view_of_buf(&line), &request);
		request_skip(stdin, request_octets(&request));
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
