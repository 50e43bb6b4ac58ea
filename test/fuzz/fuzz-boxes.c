/* core/verbs/boxes: a file that somebody else wrote, and then what a backend lists. The
 * first part of the input is the file, whose "OK full sum=?" stands for the right sum;
 * the others are answers. */
#include "boxes.h"
#include "names.h"
#include "fuzz.h"

#include <unistd.h>

static void seal(struct buf *text)
{
	static const char final[] = "OK full sum=";
	static const char unknown[] = "OK full sum=?\n";
	unsigned char hash[ID_HASH_SIZE];
	size_t i, len = strlen(unknown);

	if (text->len < len || memcmp(text->p + text->len - len, unknown, len) != 0)
		return;
	text->len -= len;
	id_hash(view_of_buf(text), hash);
	buf_append_str(text, final);
	for (i = 0; i < sizeof(hash); i++)
		buf_printf(text, "%02x", hash[i]);
	buf_append_c(text, '\n');
}

static void warn(void *context, const char *text)
{
	char printable[1024];

	(void)context;
	if (strlen(text) < sizeof(printable))
		must(strcmp(fault_sanitise(printable, sizeof(printable),
					   view_of(text)), text) == 0);
}

static void look(const struct boxes *boxes)
{
	const struct listing_boxes *known = boxes_known(boxes);
	const struct listing_box *box;
	size_t i;

	for (i = 0; i < known->count; i++) {
		box = &known->boxes[i];
		must(names_fault(view_of(box->name)) == NULL);
		must(i == 0 || strcmp(known->boxes[i - 1].name, box->name) < 0);
		must(listing_box_find(known, view_of(box->name)) == box);
	}
}

/* The file says what this process knows. */
static void must_be_same(const struct boxes *boxes, const char *path)
{
	const struct listing_boxes *known = boxes_known(boxes), *read;
	struct boxes *other = boxes_init(path, warn, NULL);
	size_t i;

	boxes_load(other);
	read = boxes_known(other);
	must(read->count == known->count);
	for (i = 0; i < known->count; i++)
		must(strcmp(read->boxes[i].wire, known->boxes[i].wire) == 0 &&
		     read->boxes[i].missing_since ==
		     known->boxes[i].missing_since);
	boxes_deinit(&other);
}

static void ask(struct boxes *boxes, struct view answers, const char *path)
{
	const char *argv[] = { "/backend", NULL };
	struct session_settings set = {
		.launcher = "/launcher", .argv = argv, .user = "u",
		.tmp_dir = "/", .timeout_msecs = 100, .caps_timeout_msecs = 100,
	};
	struct reconcile_policy policy = {
		.full = true, .now = 1700000000, .brake_pause_secs = 60,
	};
	struct session *session = session_init(&set);
	struct fault fault;
	unsigned int i;

	world_begin(answers);
	for (i = 0; i < 3; i++, policy.now += 50) {
		if (boxes_ask(boxes, session, &policy, &fault) < 0) {
			fuzz_fault(&fault);
			break;
		}
		look(boxes);
		must_be_same(boxes, path);
	}
	session_deinit(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view input = { (const char *)data, size }, part;
	struct buf text = { NULL, 0, 0 };
	const char *path = world_path("boxes");
	struct boxes *boxes;

	if (!fuzz_part(&input, &part))
		return 0;
	fuzz_expand(part, &text);
	seal(&text);
	world_write(path, view_of_buf(&text));
	boxes = boxes_init(path, warn, NULL);
	boxes_load(boxes);
	look(boxes);
	ask(boxes, input, path);
	boxes_forget(boxes, "a", true);
	look(boxes);
	boxes_deinit(&boxes);
	buf_free(&text);
	return 0;
}
