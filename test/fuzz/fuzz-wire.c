/* core/wire/wire, and what takes fields apart: caps, flags, ids, and texts of faults.
 * The first byte of the input says in what pieces the rest comes; the reader must
 * say the same as when it comes byte by byte. */
#include "caps.h"
#include "flags.h"
#include "fuzz.h"
#include "idmap-private.h"

/* What the reader said, so that it can be compared. */
struct said {
	struct wire_reader *reader;
	struct buf text;
	uint64_t octets;
	bool failed;
};

static void take_octets(struct said *said)
{
	const char *data;
	size_t size;

	while (said->octets > 0 &&
	       (size = wire_reader_octets(said->reader, said->octets, &data)) > 0) {
		must(size <= said->octets);
		buf_append(&said->text, data, size);
		said->octets -= size;
	}
}

static void take_line(struct said *said, const struct wire_line *line)
{
	size_t i;

	buf_printf(&said->text, "\n%d %zu ", (int)line->kind, line->count);
	buf_append_view(&said->text, line->raw);
	must(line->raw.len <= WIRE_LINE_MAX &&
	     memchr(line->raw.p, '\n', line->raw.len) == NULL);
	for (i = 0; i < line->count; i++)
		must(memchr(line->fields[i].p, ' ', line->fields[i].len) == NULL);
	if (line->kind == WIRE_ITEM && view_is(line->keyword, "DATA") &&
	    line->count > 1)
		(void)wire_number(line->fields[1], WIRE_MESSAGE_MAX,
				  &said->octets);
}

static void take(struct said *said)
{
	struct wire_error error;
	struct wire_line line;
	int ret;

	for (;;) {
		take_octets(said);
		if (said->octets > 0)
			return;
		ret = wire_reader_line(said->reader, &line, &error);
		if (ret == 0)
			return;
		if (ret < 0) {
			must(error.text[0] != '\0' &&
			     memchr(error.text, '\0', sizeof(error.text)) != NULL);
			said->failed = true;
			return;
		}
		take_line(said, &line);
	}
}

static void hear(struct said *said, struct view text, size_t piece)
{
	size_t size;
	char *space;

	memset(said, 0, sizeof(*said));
	said->reader = wire_reader_init();
	while (text.len > 0 && !said->failed) {
		space = wire_reader_space(said->reader, &size);
		must(size > 0);
		if (size > piece)
			size = piece;
		if (size > text.len)
			size = text.len;
		memcpy(space, text.p, size);
		wire_reader_added(said->reader, size);
		text.p += size;
		text.len -= size;
		take(said);
	}
	must(wire_reader_pending(said->reader) <= WIRE_BUFFER_SIZE);
	wire_reader_deinit(&said->reader);
}

static void check_pieces(struct view text, size_t piece)
{
	struct said whole, pieces;

	hear(&whole, text, piece);
	hear(&pieces, text, 1);
	must(whole.failed == pieces.failed && whole.octets == pieces.octets);
	must(view_equals(view_of_buf(&whole.text), view_of_buf(&pieces.text)));
	buf_free(&whole.text);
	buf_free(&pieces.text);
}

/* --- fields ------------------------------------------------------------------- */

static void check_code(struct view field)
{
	struct buf decoded = { NULL, 0, 0 }, encoded = { NULL, 0, 0 },
		again = { NULL, 0, 0 };

	if (wire_decode(field, &decoded) == 0) {
		must(decoded.len <= field.len);
		wire_encode(view_of_buf(&decoded), &encoded);
		must(wire_decode(view_of_buf(&encoded), &again) == 0);
		must(view_equals(view_of_buf(&decoded), view_of_buf(&again)));
	}
	buf_free(&decoded);
	buf_free(&encoded);
	buf_free(&again);
}

static void check_list(struct view list)
{
	struct buf once = { NULL, 0, 0 }, twice = { NULL, 0, 0 };
	struct view rest = list, elem;
	size_t total = 0;

	while (wire_list_next(&rest, &elem))
		total += elem.len + 1;
	must(total <= list.len + 1);
	if (idmap_flags_list_is_sound(list)) {
		idmap_flags_canonical(list, &once);
		must(idmap_flags_list_is_sound(view_of_buf(&once)));
		idmap_flags_canonical(view_of_buf(&once), &twice);
		must(view_equals(view_of_buf(&once), view_of_buf(&twice)));
	}
	buf_free(&once);
	buf_free(&twice);
}

/* No client's flag is spelt as a mark: it has a percent sign encoded. */
static bool has_marks(struct view change)
{
	struct view elem;

	while (wire_list_next(&change, &elem)) {
		if (elem.len > 0) {
			elem.p++;
			elem.len--;
		}
		if (flags_is_mark(elem))
			return true;
	}
	return false;
}

static void check_change(const struct caps *caps, struct view change)
{
	struct buf map = { NULL, 0, 0 }, push = { NULL, 0, 0 },
		set = { NULL, 0, 0 };

	/* "=" is the map's alone */
	if (idmap_flags_change_is_sound(change) && change.p[0] != '=') {
		flags_mark(caps, change, &map, &push);
		must(map.len == 0 || has_marks(change) ||
		     idmap_flags_change_is_sound(view_of_buf(&map)));
		flags_unmark(change, &set);
		flags_inverse(change, &set);
		buf_clear(&set);
		flags_then(change, view_of_buf(&push), &set);
	}
	if (idmap_flags_list_is_sound(change)) {
		buf_clear(&set);
		flags_marked(change, &set);
		must((set.len > 0) == flags_has_marks(change));
		buf_clear(&set);
		flags_unmarked(change, &set);
		must(!flags_has_marks(view_of_buf(&set)));
		flags_listed(caps, change, view_of("\\Seen,a"), &set);
		flags_adopt(caps, 1, change, &set);
	}
	buf_free(&map);
	buf_free(&push);
	buf_free(&set);
}

static void check_field(const struct caps *caps, struct view field)
{
	char quoted[WIRE_QUOTE_SIZE];
	struct view key, value;
	uint64_t number;

	check_code(field);
	check_list(field);
	check_change(caps, field);
	(void)wire_is_id(field);
	if (wire_number(field, 1000, &number) == 0)
		must(number <= 1000);
	(void)wire_option(field, &key, &value);
	must(key.len <= field.len);
	must(strlen(wire_quote(field, quoted, sizeof(quoted))) < sizeof(quoted));
	(void)fault_sanitise(quoted, sizeof(quoted), field);
	(void)caps_owns_flag(caps, field);
	(void)caps_gained_flag(caps, 3, field);
}

static void check_lines(struct view text)
{
	struct wire_reader *reader = wire_reader_init();
	struct wire_error error;
	struct wire_line line;
	struct caps caps;
	size_t i, size;
	char *space = wire_reader_space(reader, &size);

	if (size > text.len)
		size = text.len;
	memcpy(space, text.p, size);
	wire_reader_added(reader, size);
	caps_init(&caps);
	while (wire_reader_line(reader, &line, &error) > 0) {
		if (line.kind == WIRE_ITEM && caps_item(&caps, &line, &error) < 0)
			break;
		for (i = 0; i < line.count; i++)
			check_field(&caps, line.fields[i]);
	}
	(void)caps_finish(&caps, &error);
	must(caps_keeps(&caps) > 0);
	caps_deinit(&caps);
	wire_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view input = { (const char *)data, size };
	struct buf text = { NULL, 0, 0 };
	size_t piece;

	if (size == 0)
		return 0;
	piece = 2 + (size_t)data[0] * data[0];
	input.p++;
	input.len--;
	fuzz_expand(input, &text);
	check_pieces(view_of_buf(&text), piece);
	check_lines(view_of_buf(&text));
	buf_free(&text);
	return 0;
}
