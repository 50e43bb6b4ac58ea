#include "listing.h"
#include "tool.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct option options[] = {
	{ "as", required_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 }
};

/* Nothing that a terminal would obey. */
static void print_word(struct view word)
{
	struct buf shown = { NULL, 0, 0 };

	wire_show(word, &shown);
	(void)fputs(word.len == 0 ? "-" : buf_str(&shown), stdout);
	buf_free(&shown);
}

/* Returns whether there may be more. */
static bool print_boxes(const struct listing_boxes *boxes)
{
	const struct listing_box *box;
	size_t i;

	for (i = 0; i < boxes->skipped_count; i++)
		tool_warn("%s", boxes->skipped[i]);
	for (i = 0; i < boxes->count; i++) {
		box = &boxes->boxes[i];
		print_word(view_of(box->wire));
		(void)putchar('\t');
		print_word(view_of(box->flags != NULL ? box->flags : ""));
		(void)putchar('\t');
		print_word(view_of(box->id != NULL ? box->id : ""));
		printf("\t%s\n", box->ro ? "ro" : "rw");
	}
	if (boxes->delta)
		tool_warn(TOOL_PARTIAL);
	return boxes->delta;
}

static void print_date(int64_t date)
{
	time_t seconds = (time_t)date;
	struct tm tm;
	char text[40];

	if (date == WIRE_DATE_UNKNOWN || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		printf("\t-");
	else
		printf("\t%s", text);
}

static void print_msgs(const struct listing *listing)
{
	const struct listing_msg *msg;
	size_t i;

	for (i = 0; i < listing->count; i++) {
		msg = &listing->msgs[i];
		if (msg->gone)
			continue;
		print_word(msg->id);
		if (msg->size == WIRE_SIZE_UNKNOWN)
			printf("\t-");
		else
			printf("\t%llu", (unsigned long long)msg->size);
		print_date(msg->date);
		(void)putchar('\t');
		print_word(msg->flags);
		(void)putchar('\n');
	}
}

static int ls_mailbox(struct session *session,
		      const struct listing_boxes *boxes, const char *arg,
		      bool *partial_r, struct fault *fault)
{
	const struct listing_box *box = tool_find_box(boxes, arg, fault);
	struct listing listing;

	if (box == NULL ||
	    listing_msgs(session, box->wire, &listing, fault) < 0)
		return -1;
	print_msgs(&listing);
	*partial_r = !listing.end.full;
	if (*partial_r)
		tool_warn("%s: the store did not list all of its messages",
			  box->wire);
	listing_free(&listing);
	return 0;
}

int cmd_ls(int argc, char *argv[])
{
	char **backend = tool_backend(&argc, argv);
	const char *as = NULL;
	struct session *session;
	struct listing_boxes boxes;
	struct fault fault;
	bool partial = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c != 'a')
			tool_usage("ls [--as USER] [MAILBOX] -- "
				   "BACKEND [ARG...]");
		as = optarg;
	}
	if (argc - optind > 1)
		tool_usage("ls [--as USER] [MAILBOX] -- BACKEND [ARG...]");
	tool_become(as);
	tool_check_backend(backend);
	session = tool_session(backend);
	ret = listing_boxes(session, &boxes, &fault);
	if (ret == 0) {
		if (optind == argc)
			partial = print_boxes(&boxes);
		else
			ret = ls_mailbox(session, &boxes, argv[optind],
					 &partial, &fault);
		listing_boxes_free(&boxes);
	}
	session_deinit(&session);
	if (fflush(stdout) != 0)
		tool_fail(EX_IOERR, "cannot write to stdout");
	if (ret < 0)
		return tool_report(&fault);
	return partial ? EX_TEMPFAIL : 0;
}
