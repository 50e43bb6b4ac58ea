/* core/answer/request: what a request names, and the octets that follow its line. */
#include "request.h"
#include "tap.h"

static const struct {
	const char *line;
	const char *want;	/* verb, [box][third][rest], octets */
} rows[] = {
	{ "LIST", "LIST [][][] 0" },
	{ "LIST a%20b -", "LIST [a%20b][-][] 0" },
	{ "FETCH a full 1  2", "FETCH [a][full][ 1  2] 0" },
	{ "APPEND a - size=12 flags=\\Seen", "APPEND [a][-]"
	  "[ size=12 flags=\\Seen] 12" },
	{ "APPEND a - flags= size=2147483647", "APPEND [a][-]"
	  "[ flags= size=2147483647] 2147483647" },
	{ "APPEND a /tmp/file size=12", "APPEND [a][/tmp/file][ size=12] 0" },
	{ "COPY a - size=12", "COPY [a][-][ size=12] 0" },
	{ "HELLO a", "none [a][][] 0" },
	{ "", "none [][][] 0" },
};

static const char *shown(const char *line, struct buf *out)
{
	struct request request;

	request_parse(view_of(line), &request);
	buf_clear(out);
	buf_printf(out, "%s [%.*s][%.*s][%.*s] %llu",
		   request.verb == VERB_COUNT ? "none" :
		   verb_info(request.verb)->name,
		   (int)request.box.len, request.box.p,
		   (int)request.third.len, request.third.p,
		   (int)request.rest.len, request.rest.p,
		   (unsigned long long)request_octets(&request));
	return buf_str(out);
}

static void test_read(void)
{
	static char text[] = "APPEND a - size=3\nxy\nCAPS 1\nLIST";
	FILE *in = fmemopen(text, sizeof(text) - 1, "r");
	struct buf line = { NULL, 0, 0 };

	ok(request_read(in, &line) == 1, "a line is read");
	is_str(buf_str(&line), "APPEND a - size=3", "without its LF");
	request_skip(in, 3);
	(void)request_read(in, &line);
	is_str(buf_str(&line), "CAPS 1", "octets are passed over");
	ok(request_read(in, &line) == 0, "a line without LF is none");
	(void)fclose(in);
	buf_free(&line);
}

int main(void)
{
	struct buf out = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_str(shown(rows[i].line, &out), rows[i].want, "\"%s\"",
		       rows[i].line);
	buf_free(&out);
	test_read();
	return done_testing();
}
