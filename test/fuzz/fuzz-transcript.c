/* core/wire/transcript and core/answer/replay: a file that somebody else wrote. The input's first
 * part is its text behind the first line; "?" at its start stands for no such line. Each
 * other part is a request that is answered from it, or with "?" at its start what stands
 * in the file from then on.
 *
 * What is read can be written, and is read again. */
#include "fuzz.h"
#include "replay.h"
#include "transcript.h"

#include <fcntl.h>
#include <unistd.h>

#define SAID_MAX (1024 * 1024)	/* then nobody takes it any more */

static void write_file(const char *path, struct view part)
{
	struct buf text = { NULL, 0, 0 }, file = { NULL, 0, 0 };

	fuzz_expand(part, &text);
	if (!view_starts(view_of_buf(&text), "?"))
		buf_append_str(&file, TRANSCRIPT_MAGIC "\n");
	buf_append_view(&file, view_of_buf(&text));
	world_write(path, view_of_buf(&file));
	buf_free(&text);
	buf_free(&file);
}

/* --- reading and writing ---------------------------------------------------------- */

static void check_error(const struct wire_error *error)
{
	must(memchr(error->text, '\0', sizeof(error->text)) != NULL);
	must(view_starts(view_of(error->text), "line "));
}

static void copy(int fd, struct transcript *to)
{
	struct transcript_reader *reader = transcript_reader_init(fd);
	struct transcript_entry entry;
	struct wire_error error;
	uint64_t line = 0;
	int ret;

	while ((ret = transcript_read(reader, &entry, &error)) > 0) {
		must(entry.kind < TRANSCRIPT_KIND_COUNT && entry.line > line);
		must(entry.text.len <= TRANSCRIPT_TEXT_MAX);
		line = entry.line;
		transcript_line(to, entry.kind, entry.text);
	}
	if (ret < 0)
		check_error(&error);
	transcript_reader_deinit(&reader);
}

/* Both say the same, as far as the first can be read. */
static void must_be_same(int fd1, int fd2)
{
	struct transcript_reader *reader1 = transcript_reader_init(fd1),
		*reader2 = transcript_reader_init(fd2);
	struct transcript_entry a, b;
	struct wire_error error;

	while (transcript_read(reader1, &a, &error) > 0) {
		must(transcript_read(reader2, &b, &error) > 0);
		must(a.kind == b.kind && view_equals(a.text, b.text));
	}
	must(transcript_read(reader2, &b, &error) == 0);
	transcript_reader_deinit(&reader1);
	transcript_reader_deinit(&reader2);
}

static void check_copy(int fd)
{
	struct transcript *to = transcript_create(world_folder());
	char *path;
	int written;

	must(to != NULL);
	path = mem_strdup(transcript_path(to));
	copy(fd, to);
	must(transcript_flush(to) == 0);
	transcript_free(&to);
	written = open(path, O_RDONLY | O_CLOEXEC);
	must(written >= 0);
	must_be_same(fd, written);
	(void)close(written);
	(void)unlink(path);
	free(path);
}

/* --- answering ---------------------------------------------------------------------- */

static int take_reply(void *context, struct view bytes)
{
	size_t *said = context;

	*said += bytes.len;
	return *said > SAID_MAX ? -1 : 0;
}

static int take_stderr(void *context, struct view line)
{
	must(line.len <= TRANSCRIPT_TEXT_MAX);
	return take_reply(context, line);
}

static void answer(struct replay *replay, struct view request)
{
	size_t said = 0;
	const struct replay_output output = { take_reply, take_stderr, &said };
	enum replay_result result = replay_answer(replay, request, &output);

	must(result <= REPLAY_WRONG);
	must((result != REPLAY_ANSWERED && result != REPLAY_MISSING) || said > 0);
	must(result != REPLAY_OUTPUT_FAILED || said > SAID_MAX);
	must(replay_status(replay) >= 0 && replay_status(replay) <= 255);
}

static void check_answers(int fd, const char *path, struct view input)
{
	struct wire_error error;
	struct replay *replay;
	struct view part;

	if (replay_init(fd, &replay, &error) < 0) {
		check_error(&error);
		must(replay == NULL);
		return;
	}
	while (fuzz_part(&input, &part)) {
		if (view_starts(part, "?"))
			write_file(path, part);
		else
			answer(replay, part);
	}
	replay_deinit(&replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view input = { (const char *)data, size }, file = { NULL, 0 };
	const char *path = world_path("transcript");
	int fd;

	(void)fuzz_part(&input, &file);
	write_file(path, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	check_copy(fd);
	check_answers(fd, path, input);
	(void)close(fd);
	return 0;
}
