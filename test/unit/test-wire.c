/* core/wire/wire: bytes to lines, fields and octets, and back. */
#include "wire.h"
#include "tap.h"

#include <stdlib.h>

static char text[8192];

/* A line as text: "ITEM keyword|field|field", or what is wrong with it. */
static const char *shown(int ret, const struct wire_line *line,
			 const struct wire_error *error)
{
	static const char *const kinds[] = { "ITEM", "OK", "NO", "RESERVED" };
	size_t i, len;

	if (ret < 0)
		return error->text;
	if (ret == 0)
		return "(not complete)";
	len = (size_t)snprintf(text, sizeof(text), "%s", kinds[line->kind]);
	if (line->keyword.len > 0)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %.*s",
			(int)line->keyword.len, line->keyword.p);
	for (i = 0; i < line->count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "|%.*s",
			(int)line->fields[i].len, line->fields[i].p);
	return text;
}

static void put(struct wire_reader *reader, const char *data, size_t size)
{
	size_t room;
	char *space = wire_reader_space(reader, &room);

	if (size > room)
		size = room;
	memcpy(space, data, size);
	wire_reader_added(reader, size);
}

/* The first line of the bytes, given in pieces of so many. */
static const char *parse(const char *data, size_t size, size_t step)
{
	struct wire_reader *reader = wire_reader_init();
	struct wire_line line;
	struct wire_error error;
	size_t pos = 0;
	int ret = 0;

	while (ret == 0 && pos < size) {
		put(reader, data + pos, size - pos < step ? size - pos : step);
		pos += step;
		ret = wire_reader_line(reader, &line, &error);
	}
	(void)shown(ret, &line, &error);
	if (ret < 0)
		(void)snprintf(text, sizeof(text), "%s", error.text);
	else if (ret == 0)
		(void)snprintf(text, sizeof(text), "(not complete)");
	wire_reader_deinit(&reader);
	return text;
}

#define LINE(bytes, what) { bytes, sizeof(bytes) - 1, what }
#define STRAY(quoted) "wrote \"" quoted "\" to stdout, which is neither \"* \", " \
	"\"OK\" nor \"NO \"; messages belong on stderr"

static const struct {
	const char *bytes;
	size_t size;
	const char *want;
} lines[] = {
	LINE("OK\n", "OK"),
	LINE("OK \n", "OK"),
	LINE("OK full count=3\n", "OK|full|count=3"),
	LINE("* MSG a\n", "ITEM MSG|a"),
	LINE("*   MSG   a   b  \n", "ITEM MSG|a|b"),
	LINE("* MSG \xc3\xa9 %20\n", "ITEM MSG|\xc3\xa9|%20"),
	LINE("NO BUSY\n", "NO BUSY"),
	LINE("NO  BUSY  come  again \n", "NO BUSY|come|again"),
	LINE("!\n", "RESERVED"),
	LINE("! anything \x01\n", "RESERVED"),
	LINE("* MSG a", "(not complete)"),
	LINE("", "(not complete)"),
	LINE("\n", STRAY("")),
	LINE("ok\n", STRAY("ok")),
	LINE("OKAY\n", STRAY("OKAY")),
	LINE("NO\n", STRAY("NO")),
	LINE("*MSG a\n", STRAY("*MSG a")),
	LINE(" * MSG a\n", STRAY(" * MSG a")),
	LINE("*\n", STRAY("*")),
	LINE("!x\n", STRAY("!x")),
	LINE("* \n", "a word is missing in column 3 of the line \"* \""),
	LINE("NO  \n", "a word is missing in column 5 of the line \"NO  \""),
	LINE("* msg a\n", "wrote an item whose keyword is not of capital letters: "
	     "\"* msg a\""),
	LINE("* MSG-a\n", "wrote an item whose keyword is not of capital letters: "
	     "\"* MSG-a\""),
	LINE("OK\r\n", "wrote a raw CR (byte 0D) in column 3 of the line "
	     "\"OK?\""),
	LINE("* CAPS 1\r\n", "wrote a raw CR (byte 0D) in column 9 of the line "
	     "\"* CAPS 1?\""),
	LINE("* MSG a\0b\n", "wrote the raw control byte 00 in column 8 of the "
	     "line \"* MSG a?b\""),
	LINE("* MSG\ta\n", "wrote the raw control byte 09 in column 6 of the "
	     "line \"* MSG?a\""),
	LINE("NO BUSY \x7f\n", "wrote the raw control byte 7F in column 9 of "
	     "the line \"NO BUSY ?\""),
	LINE("\x1b[1mhello\n", STRAY("?[1mhello")),
};

static void test_lines(void)
{
	size_t i, step;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		is_str(parse(lines[i].bytes, lines[i].size, 1000),
		       lines[i].want, "line %zu: %s", i, lines[i].want);
		for (step = 1; step < 4; step++)
			is_str(parse(lines[i].bytes, lines[i].size, step),
			       lines[i].want, "line %zu by %zu bytes", i, step);
	}
}

/* --- limits ------------------------------------------------------------------ */

static const char *parse_long(size_t length, bool lf)
{
	char *data = mem_new(length + 1, 1);
	const char *ret;

	memset(data, 'x', length + 1);
	memcpy(data, "* MSG ", 6);
	if (lf)
		data[length] = '\n';
	ret = parse(data, length + (lf ? 1 : 0), 4000);
	free(data);
	return ret;
}

static void test_limits(void)
{
	const char *too_long = "wrote a line longer than 65535 bytes: "
		"\"* MSG xxx";

	ok(strncmp(parse_long(WIRE_LINE_MAX, true), "ITEM MSG|xxx", 12) == 0,
	   "a line of 65535 bytes is taken");
	is_str(parse_long(WIRE_LINE_MAX, false), "(not complete)",
	       "65535 bytes without LF may become a line");
	ok(strncmp(parse_long(WIRE_LINE_MAX + 1, true), too_long,
		   strlen(too_long)) == 0, "a line of 65536 bytes is refused");
	ok(strncmp(parse_long(WIRE_LINE_MAX + 1, false), too_long,
		   strlen(too_long)) == 0,
	   "65536 bytes are refused before their LF has come");
}

static void test_many_fields(void)
{
	struct wire_reader *reader = wire_reader_init();
	struct wire_line line;
	struct wire_error error;
	char *data = mem_new(WIRE_LINE_MAX + 1, 1);
	size_t i;

	for (i = 0; i < WIRE_LINE_MAX; i++)
		data[i] = i % 2 == 0 ? 'f' : ' ';
	memcpy(data, "* F", 3);
	data[WIRE_LINE_MAX] = '\n';
	put(reader, data, WIRE_LINE_MAX + 1);
	is_num(wire_reader_line(reader, &line, &error), 1,
	       "a line of nothing but fields is taken");
	is_num(line.count, WIRE_LINE_MAX / 2 - 1, "all fields are there");
	free(data);
	wire_reader_deinit(&reader);
}

/* --- octets ------------------------------------------------------------------ */

static void test_octets(void)
{
	struct wire_reader *reader = wire_reader_init();
	struct wire_line line;
	struct wire_error error;
	const char *data;
	size_t size;

	put(reader, "* DATA a 5\nOK\nxyOK\n", 19);
	is_str(shown(wire_reader_line(reader, &line, &error), &line, &error),
	       "ITEM DATA|a|5", "the line before octets");
	is_num(wire_reader_pending(reader), 8, "what follows is pending");
	size = wire_reader_octets(reader, 5, &data);
	ok(size == 5 && memcmp(data, "OK\nxy", 5) == 0,
	   "octets are taken as they are");
	is_str(shown(wire_reader_line(reader, &line, &error), &line, &error),
	       "OK", "the line behind the octets");
	is_num(wire_reader_octets(reader, 5, &data), 0, "no octet is left");
	put(reader, "abc", 3);
	is_num(wire_reader_octets(reader, 2, &data), 2, "as many as asked for");
	is_num(wire_reader_octets(reader, UINT64_MAX, &data), 1,
	       "and no more than there are");
	wire_reader_deinit(&reader);
	ok(reader == NULL, "deinit clears the pointer");
	wire_reader_deinit(&reader);
}

/* Whatever comes, nothing grows, and nothing is read twice or lost. */
static void test_noise(void)
{
	static const char alphabet[] = "\n\n  *OKNDATA!%5=,\r\0\x7f\xc3\xa9";
	struct wire_reader *reader;
	struct wire_line line;
	struct wire_error error;
	const char *octets;
	char data[4096];
	size_t round, i, room, size, in = 0, out = 0, bad = 0;
	int ret;

	srand(20240305);
	reader = wire_reader_init();
	for (round = 0; round < 2000; round++) {
		size = (size_t)rand() % sizeof(data);
		for (i = 0; i < size; i++)
			data[i] = alphabet[(size_t)rand() % sizeof(alphabet)];
		(void)wire_reader_space(reader, &room);
		if (room < size)
			bad++;
		put(reader, data, size);
		in += size;
		while ((ret = wire_reader_line(reader, &line, &error)) != 0) {
			if (ret > 0 && line.kind == WIRE_ITEM &&
			    line.keyword.len == 0)
				bad++;
			if (ret < 0 && strlen(error.text) < 10)
				bad++;
			out += line.raw.len + 1;
			if (rand() % 8 == 0)
				out += wire_reader_octets(reader,
					(uint64_t)(rand() % 100), &octets);
		}
	}
	is_num(bad, 0, "noise: there is always room, an item has its keyword");
	is_num(out + wire_reader_pending(reader), in,
	       "noise: every byte is taken once");
	wire_reader_deinit(&reader);
}

/* --- fields ------------------------------------------------------------------ */

static const char *decoded(const char *field)
{
	static struct buf buf;

	buf_clear(&buf);
	return wire_decode(view_of(field), &buf) < 0 ? "(error)" :
		buf_str(&buf);
}

static void test_decode(void)
{
	is_str(decoded("a%20b%C3%a9"), "a b\xc3\xa9", "%%XX in both cases");
	is_str(decoded("%25%2525"), "%%25", "what is decoded is not again");
	is_str(decoded(""), "", "nothing is nothing");
	is_str(decoded("%"), "(error)", "a lone %%");
	is_str(decoded("a%4"), "(error)", "half a %%XX");
	is_str(decoded("%4g"), "(error)", "no hexadecimal digit");
	is_str(decoded("%g4"), "(error)", "no hexadecimal digit in front");
	is_str(decoded("% 4"), "(error)", "a space is no digit");
	is_str(decoded("%-1"), "(error)", "a sign is no digit");
	is_str(decoded("%0x"), "(error)", "0x is no number");
}

static void test_encode(void)
{
	struct buf in = { NULL, 0, 0 }, out = { NULL, 0, 0 };
	struct buf back = { NULL, 0, 0 };
	size_t i, bad = 0;
	int c;

	for (c = 0; c < 256; c++)
		buf_append_c(&in, (char)c);
	wire_encode(view_of_buf(&in), &out);
	for (i = 0; i < out.len; i++)
		bad += (unsigned char)out.p[i] <= 0x20 || out.p[i] == 0x7f;
	is_num(bad, 0, "no byte is left that may not stand in a line");
	ok(wire_decode(view_of_buf(&out), &back) == 0 &&
	   view_equals(view_of_buf(&back), view_of_buf(&in)),
	   "all bytes survive encoding and decoding");
	buf_clear(&out);
	wire_encode(view_of("-"), &out);
	is_str(buf_str(&out), "%2D", "a lone - is encoded");
	buf_clear(&out);
	wire_encode(view_of("a,-"), &out);
	is_str(buf_str(&out), "a,-", "any other - and a comma are not");
	buf_clear(&out);
	wire_encode_elem(view_of("a,b c"), &out);
	is_str(buf_str(&out), "a%2Cb%20c", "in a list a comma is");
	buf_free(&in);
	buf_free(&out);
	buf_free(&back);
}

static const struct {
	const char *field;
	uint64_t max;
	int ret;
	uint64_t number;
} numbers[] = {
	{ "0", 0, 0, 0 }, { "007", 10, 0, 7 }, { "10", 10, 0, 10 },
	{ "11", 10, -1, 0 }, { "", 10, -1, 0 }, { "-1", 10, -1, 0 },
	{ "+1", 10, -1, 0 }, { "1 ", 10, -1, 0 }, { " 1", 10, -1, 0 },
	{ "1k", 10, -1, 0 }, { "0x1", 10, -1, 0 }, { "1.0", 10, -1, 0 },
	{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, -1, 0 },
	{ "184467440737095516150", UINT64_MAX, -1, 0 },
	{ "99999999999999999999999999", 10, -1, 0 },
};

static void test_numbers(void)
{
	uint64_t number;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ret = wire_number(view_of(numbers[i].field), numbers[i].max,
				  &number);
		ok(ret == numbers[i].ret &&
		   (ret < 0 || number == numbers[i].number),
		   "the number \"%s\"", numbers[i].field);
	}
}

static void test_ids(void)
{
	static const struct {
		const char *field;
		bool is;
	} ids[] = {
		{ "a", true }, { "a=b,c", true }, { "%2D", true },
		{ "--", true }, { "%00%ff%fF", true }, { "\303\274", true },
		{ "", false }, { "-", false }, { "%", false }, { "a%2", false },
		{ "%2x", false }, { "%-1", false }, { "%41%4", false },
	};
	char field[WIRE_ID_MAX + 3];
	size_t i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		is_num(wire_is_id(view_of(ids[i].field)), ids[i].is,
		       "\"%s\" is %s id", ids[i].field,
		       ids[i].is ? "an" : "no");
	(void)snprintf(field, sizeof(field), "%%41%0*d", WIRE_ID_MAX - 1, 0);
	ok(wire_is_id(view_of(field)), "one of 1024 bytes, decoded");
	field[1] = field[2] = '0';
	field[0] = '0';
	ok(!wire_is_id(view_of(field)), "and one of 1026 is none");
}

static void test_options(void)
{
	struct view key, value, list, elem;

	ok(wire_option(view_of("a=b=c"), &key, &value) && view_is(key, "a") &&
	   view_is(value, "b=c"), "an option ends its key at the first =");
	ok(wire_option(view_of("a="), &key, &value) && view_is(key, "a") &&
	   value.len == 0, "an option may be empty");
	ok(!wire_option(view_of("a"), &key, &value) && view_is(key, "a") &&
	   value.len == 0, "an option without =");
	ok(wire_option(view_of("=b"), &key, &value) && key.len == 0 &&
	   view_is(value, "b"), "an option without a key");
	list = view_of("a,,b,");
	ok(wire_list_next(&list, &elem) && view_is(elem, "a") &&
	   wire_list_next(&list, &elem) && elem.len == 0 &&
	   wire_list_next(&list, &elem) && view_is(elem, "b") &&
	   !wire_list_next(&list, &elem), "a list, element by element");
	list = view_of("");
	ok(!wire_list_next(&list, &elem), "an empty list has no element");
}

static void test_quote(void)
{
	char quoted[WIRE_QUOTE_SIZE], big[1000];
	struct view view = { big, sizeof(big) };

	memset(big, 'y', sizeof(big));
	is_str(wire_quote(view_of("a\r\n\xff" "b"), quoted, sizeof(quoted)),
	       "\"a???b\"", "what is quoted is printable");
	(void)wire_quote(view, quoted, sizeof(quoted));
	is_num(strlen(quoted), 120 + 2 + 3, "what is quoted is cut");
	is_str(quoted + 119, "yy\"...", "and says so");
}

int main(void)
{
	test_lines();
	test_limits();
	test_many_fields();
	test_octets();
	test_noise();
	test_decode();
	test_encode();
	test_numbers();
	test_ids();
	test_options();
	test_quote();
	return done_testing();
}
