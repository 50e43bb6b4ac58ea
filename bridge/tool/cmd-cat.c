#include "fetch.h"
#include "id.h"
#include "listing.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct option options[] = {
	{ "as", required_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 }
};

/* A backend is only ever sent names and ids that it listed itself. */
static const struct listing_msg *
find_msg(const struct listing *listing, const char *arg)
{
	char *wire = tool_wire(arg);
	struct buf id = { NULL, 0, 0 };
	unsigned char hash[ID_HASH_SIZE];
	size_t i;
	bool good = id_hash_spelt(view_of(wire), &id, hash) == NULL;

	buf_free(&id);
	free(wire);
	for (i = 0; good && i < listing->count; i++) {
		if (!listing->msgs[i].gone &&
		    memcmp(listing->msgs[i].hash, hash, sizeof(hash)) == 0)
			return &listing->msgs[i];
	}
	return NULL;
}

static int cat_msg(struct session *session, const char *box,
		   const struct listing *listing, const char *id,
		   struct fault *fault)
{
	const struct listing_msg *msg = find_msg(listing, id);
	struct fetch_ask ask;
	struct fetched fetched;
	int ret;

	if (msg == NULL)
		return fault_set(fault, FAULT_NOTFOUND, FAULT_SCOPE_MESSAGE,
				 "the mailbox %s lists no message %s", box, id);
	ask.id = msg->id;
	ask.expected = msg->size;
	ret = fetch_message(session, box, FETCH_FULL, &ask, &fetched, fault);
	if (ret == 0 && fetched.status == FETCH_GONE)
		ret = fault_set(fault, FAULT_NOTFOUND, FAULT_SCOPE_MESSAGE,
				"the store says that %s is gone", id);
	else if (ret == 0 && fetched_copy(&fetched, STDOUT_FILENO) < 0)
		ret = fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MESSAGE,
				"cannot copy the message to stdout: %s",
				strerror(errno));
	fetched_free(&fetched);
	return ret;
}

static int cat_in_box(struct session *session, const char *box,
		      const char *id, struct fault *fault)
{
	struct listing listing;
	int ret;

	if (listing_msgs(session, box, &listing, fault) < 0)
		return -1;
	ret = cat_msg(session, box, &listing, id, fault);
	listing_free(&listing);
	return ret;
}

static int cat_mailbox(struct session *session, const char *name,
		       const char *id, struct fault *fault)
{
	struct listing_boxes boxes;
	const struct listing_box *box;
	int ret;

	if (listing_boxes(session, &boxes, fault) < 0)
		return -1;
	box = tool_find_box(&boxes, name, fault);
	ret = box == NULL ? -1 : cat_in_box(session, box->wire, id, fault);
	listing_boxes_free(&boxes);
	return ret;
}

int cmd_cat(int argc, char *argv[])
{
	char **backend = tool_backend(&argc, argv);
	const char *as = NULL;
	struct session *session;
	struct fault fault;
	int c, ret;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c != 'a')
			tool_usage("cat [--as USER] MAILBOX ID -- "
				   "BACKEND [ARG...]");
		as = optarg;
	}
	if (argc - optind != 2)
		tool_usage("cat [--as USER] MAILBOX ID -- BACKEND [ARG...]");
	tool_become(as);
	tool_check_backend(backend);
	session = tool_session(backend);
	ret = cat_mailbox(session, argv[optind], argv[optind + 1], &fault);
	session_deinit(&session);
	return ret < 0 ? tool_report(&fault) : 0;
}
