#include "request.h"

void request_parse(struct view line, struct request *request_r)
{
	if (!verb_parse(wire_next(&line), &request_r->verb))
		request_r->verb = VERB_COUNT;
	request_r->box = wire_next(&line);
	request_r->third = wire_next(&line);
	request_r->rest = line;
}

uint64_t request_octets(const struct request *request)
{
	struct view rest = request->rest, field, key, value;
	uint64_t octets = 0;

	if (request->verb != VERB_APPEND || !view_is(request->third, "-"))
		return 0;
	while ((field = wire_next(&rest)).len > 0) {
		if (wire_option(field, &key, &value) && view_is(key, "size"))
			(void)wire_number(value, WIRE_MESSAGE_MAX, &octets);
	}
	return octets;
}

int request_read(FILE *in, struct buf *line)
{
	int c;

	buf_clear(line);
	while ((c = getc_unlocked(in)) != EOF && c != '\n') {
		if (line->len == WIRE_LINE_MAX)
			return -1;
		buf_append_c(line, (char)c);
	}
	return c == '\n';
}

void request_skip(FILE *in, uint64_t octets)
{
	while (octets > 0 && getc_unlocked(in) != EOF)
		octets--;
}
