/* LIST: the mailboxes of a store, the messages of a mailbox. */
#ifndef BRIDGE_LISTING_H
#define BRIDGE_LISTING_H

#include "id.h"
#include "session.h"

#define LISTING_BYTES_MAX (256UL * 1024 * 1024)	/* of memory, for one listing */
#define LISTING_MEMORY_SHARE 3	/* and at most this part of RLIMIT_AS, if set */
#define LISTING_TEXT_MAX (1024UL * 1024 * 1024)	/* bytes of its lines */
#define LISTING_BOXES_MAX 100000

/* One * BOX. */
struct listing_box {
	char *name;		/* decoded, in normal form C; "/" between components */
	char *wire;		/* as the backend spelt it */
	char *id;		/* id= in one spelling, or NULL */
	char *flags;		/* flags=, as spelt, or NULL */
	char *state;		/* state=, as spelt, or NULL */
	bool ro;
	bool composed;		/* it is spelt in another form */
	int64_t missing_since;	/* not listed now, but known; since then, in
				   seconds since the epoch. 0 = listed */
};

struct listing_boxes {
	struct listing_box *boxes;	/* sorted by name */
	size_t count;
	bool delta;		/* "OK delta": mailboxes not named stay */
	/* Names that cannot be carried, each with its reason: "BOX x: why". */
	char **skipped;
	size_t skipped_count;
};

/* LIST. Returns 0, or -1 and a fault. */
int listing_boxes(struct session *session, struct listing_boxes *boxes_r,
		  struct fault *fault);
/* The same, but waited for only so long: returns 1 if it is not answered by then. The
 * answer is thrown away when it comes, the copy lives on. */
int listing_boxes_within(struct session *session, unsigned int msecs,
			 struct listing_boxes *boxes_r, struct fault *fault);
void listing_boxes_free(struct listing_boxes *boxes);
/* What boxes.c keeps in a file: the answer to LIST, with missing= on BOX. Returns
 * 0, or -1 and an error. */
int listing_boxes_parse(struct view text, struct listing_boxes *boxes_r,
			struct wire_error *error_r);
/* Whether it is more than a store may have. */
bool listing_boxes_too_many(const struct listing_boxes *boxes);
void listing_boxes_sort(struct listing_boxes *boxes);
const struct listing_box *
listing_box_find(const struct listing_boxes *boxes, struct view name);

/* One * MSG or * GONE. */
struct listing_msg {
	unsigned char hash[ID_HASH_SIZE];
	struct view id;		/* as spelt */
	struct view flags;	/* as spelt; p is NULL if not said */
	uint64_t size;		/* WIRE_SIZE_UNKNOWN */
	uint64_t vsize;		/* WIRE_SIZE_UNKNOWN */
	int64_t date;		/* WIRE_DATE_UNKNOWN */
	uint32_t uid;		/* 0 = not said */
	bool gone;
};

/* What the final OK says. */
struct listing_end {
	bool full;		/* absence means gone */
	char *state;		/* as spelt; "-" = none */
	char *box_id;		/* id= in one spelling, or NULL */
	uint32_t uidvalidity;	/* 0 = not said */
};

/* Who takes the lines of a list, one by one. None of them holds before the
 * list has come to its end: listing_read has to return 0 for that. */
struct listing_sink {
	/* A line; its views are valid during the call only. Returns 0, or -1
	 * and a text ("wrote ...", "listed ..."): then the reply is wrong. */
	int (*msg)(void *context, const struct listing_msg *msg,
		   struct wire_error *error_r);
	/* There are no more. Returns the same. May be NULL. */
	int (*end)(void *context, const struct listing_end *end,
		   struct wire_error *error_r);
	/* Forget all lines: they come again, from a fresh copy. */
	void (*reset)(void *context);
};

/* LIST box state. box is spelt as the backend does. Returns 0, and end_r is to
 * be freed; or -1 and a fault: then no line was true. */
int listing_read(struct session *session, const char *box, const char *state,
		 const struct listing_sink *sink, void *context,
		 struct listing_end *end_r, struct fault *fault);
void listing_end_free(struct listing_end *end);

/* How much memory one list may take, in bytes. */
size_t listing_bytes_max(void);
/* What sinks find wrong: a listing that takes more than that, and an id that
 * stands in it twice. Both return -1. */
int listing_too_big(struct wire_error *error_r);
int listing_twice(const struct listing_msg *msg, struct wire_error *error_r);

/* A whole list, in its own order. */
struct listing {
	struct listing_msg *msgs;
	size_t count;
	struct listing_end end;
	struct arena text;	/* what the views point into */
};

/* LIST box -, collected. Returns 0, or -1 and a fault. */
int listing_msgs(struct session *session, const char *box,
		 struct listing *listing_r, struct fault *fault);
void listing_free(struct listing *listing);

#endif
