/* core/map/idmap: a file that somebody else wrote. The input is its text; a "?" where
 * a commit has START or a checksum stands for the right one. What follows FUZZ_NEXT is
 * written to the file after it was opened, by somebody else too.
 *
 * A map that loads must keep what it says: through changes, a commit and a compaction,
 * and as a reader who comes anew sees it. */
#include "fuzz.h"
#include "idmap-private.h"

#include <fcntl.h>
#include <unistd.h>

#define MESSAGES_LOOKED_AT 32

/* --- the file ----------------------------------------------------------------- */

struct sealer {
	struct idmap_crc crc;
	struct buf *out;
	size_t start;		/* of the transaction */
};

static void seal_crc(struct sealer *sealer, size_t from, size_t to)
{
	buf_printf(sealer->out, "%08x",
		   idmap_crc(&sealer->crc, 0, sealer->out->p + from, to - from));
}

static bool ends_in(struct view line, const char *text)
{
	size_t len = strlen(text);

	return line.len >= len &&
		memcmp(line.p + line.len - len, text, len) == 0;
}

/* A line, with LF unless it is the last. */
static void seal_line(struct sealer *sealer, struct view line, bool lf)
{
	size_t from = sealer->out->len;
	bool commit = view_starts(line, "C "), body;

	if (view_starts(line, "C ? ")) {
		buf_printf(sealer->out, "C %zu ", sealer->start);
		line.p += 4;
		line.len -= 4;
	}
	body = ends_in(line, " ? ?");
	buf_append(sealer->out, line.p, line.len - (body ? 3 : 0));
	if (body) {
		seal_crc(sealer, sealer->start, from);
		buf_append_str(sealer->out, " ?");
	}
	if (ends_in(line, " ?")) {
		sealer->out->len--;
		seal_crc(sealer, from, sealer->out->len);
	}
	if (lf)
		buf_append_c(sealer->out, '\n');
	if (commit || from == 0)
		sealer->start = sealer->out->len;
}

static void seal(struct sealer *sealer, struct view text)
{
	struct view line;
	const char *lf;

	while (text.len > 0) {
		lf = memchr(text.p, '\n', text.len);
		line.p = text.p;
		line.len = lf == NULL ? text.len : (size_t)(lf - text.p);
		seal_line(sealer, line, lf != NULL);
		text.p += line.len + (lf != NULL ? 1 : 0);
		text.len -= line.len + (lf != NULL ? 1 : 0);
	}
}

/* --- what must hold ------------------------------------------------------------- */

/* Returns 1 if it is loaded, 0 if there is none, -1 if it is damaged. */
static int load(struct idmap *map)
{
	struct fault fault;
	int ret = idmap_open(map, &fault);

	if (ret > 0 && idmap_load(map, &fault) < 0)
		ret = -1;
	if (ret < 0)
		fuzz_fault(&fault);
	return ret;
}

static void found(void *context, const char *text)
{
	(void)context;
	must(text[0] != '\0');
}

static void look_at(struct idmap *map, const struct idmap_known *known)
{
	struct buf a = { NULL, 0, 0 }, b = { NULL, 0, 0 };
	struct idmap_entry entry, again;
	struct view flags;
	struct fault fault;

	must(idmap_lookup(map, known->uid, &entry, &a, &fault) == 1);
	must(entry.uid == known->uid && entry.size == known->size &&
	     memcmp(entry.hash, known->hash, ID_HASH_SIZE) == 0);
	must(idmap_spelling(map, entry.id) == known->spelling);
	must(idmap_read_entry(map, idmap_header(map)->generation, known->offset,
			      known->uid, &again, &b, &fault) == 1);
	must(view_equals(entry.id, again.id) && entry.date == again.date);
	flags = idmap_flags_text(map, idmap_known_flags(map, known));
	must(flags.len <= WIRE_FLAGS_MAX && view_equals(flags, entry.flags) &&
	     idmap_flags_list_is_sound(flags));
	buf_free(&a);
	buf_free(&b);
}

static void look(struct idmap *map)
{
	const struct idmap_header *header = idmap_header(map);
	const struct idmap_known *known;
	struct fault fault;
	size_t i, count;

	must(header->uidvalidity > 0 && header->next_uid > 0);
	must(strlen(header->state) <= WIRE_STATE_MAX);
	known = idmap_known(map, &count);
	for (i = 0; i < count; i++) {
		must(known[i].uid > (i == 0 ? 0 : known[i - 1].uid) &&
		     known[i].uid < header->next_uid);
		if (i < MESSAGES_LOOKED_AT)
			look_at(map, &known[i]);
	}
	must(idmap_check(map, found, NULL, &fault) >= 0);
}

/* What a map says, as text. */
static void say(struct idmap *map, struct buf *out)
{
	const struct idmap_header *header = idmap_header(map);
	const struct idmap_known *known;
	struct view flags;
	size_t i, k, count;

	known = idmap_known(map, &count);
	buf_printf(out, "%u %u %s %lld\n", header->uidvalidity,
		   header->next_uid, header->state, (long long)idmap_brake(map));
	for (i = 0; i < count; i++) {
		for (k = 0; k < ID_HASH_SIZE; k++)
			buf_printf(out, "%02x", known[i].hash[k]);
		flags = idmap_flags_text(map, idmap_known_flags(map, &known[i]));
		buf_printf(out, " %u %llu %lld ", known[i].uid,
			   (unsigned long long)known[i].size,
			   (long long)known[i].suspect_since);
		buf_append_view(out, flags);
		buf_append_c(out, '\n');
	}
}

/* A reader who comes anew sees the same. */
static void must_be_same(struct idmap *map, const char *path)
{
	struct buf here = { NULL, 0, 0 }, there = { NULL, 0, 0 };
	struct idmap *reader = idmap_init(path);

	idmap_set_readonly(reader);
	must(load(map) == 1 && load(reader) == 1);
	look(reader);
	say(map, &here);
	say(reader, &there);
	must(view_equals(view_of_buf(&here), view_of_buf(&there)));
	buf_free(&here);
	buf_free(&there);
	idmap_deinit(&reader);
}

static void change(struct idmap *map)
{
	const struct idmap_known *known;
	struct idmap_entry entry = {
		.uid = idmap_header(map)->next_uid, .id = view_of("new"),
		.size = 7, .date = WIRE_DATE_UNKNOWN, .first_seen = 8,
	};
	size_t count;

	known = idmap_known(map, &count);
	if (count > 0) {
		idmap_flags(map, known[0].uid, known[count - 1].uid,
			    "+\\Seen,-\\Flagged,+$Work");
		idmap_suspect(map, known[count - 1].uid, 9);
		idmap_gone(map, known[0].uid);
	}
	if (entry.uid < WIRE_UID_MAX)
		must(idmap_add(map, &entry) > 0);
	idmap_set_state(map, "fuzzed");
}

static void work(struct idmap *map, const char *path)
{
	struct fault fault;

	must(idmap_lock(map, 0, NULL, NULL, &fault) == 0);
	if (load(map) == 1) {
		look(map);
		change(map);
		if (idmap_commit(map, false, &fault) == 0) {
			must_be_same(map, path);
			must(idmap_compact(map, false, &fault) == 0);
			must_be_same(map, path);
		} else {
			fuzz_fault(&fault);
		}
	}
	idmap_unlock(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view input = { (const char *)data, size }, part;
	struct buf text = { NULL, 0, 0 }, file = { NULL, 0, 0 };
	struct sealer sealer = { .out = &file };
	const char *path = world_path("map");
	struct idmap *map = idmap_init(path);

	idmap_crc_init(&sealer.crc);
	idmap_set_readonly(map);
	while (fuzz_part(&input, &part)) {
		buf_clear(&text);
		fuzz_expand(part, &text);
		seal(&sealer, view_of_buf(&text));
		world_write(path, view_of_buf(&file));
		if (load(map) == 1)
			look(map);
	}
	idmap_deinit(&map);
	map = idmap_init(path);
	if (size > 0)
		work(map, path);
	idmap_deinit(&map);
	buf_free(&text);
	buf_free(&file);
	return 0;
}
