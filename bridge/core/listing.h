/* LIST: the mailboxes of a store, the messages of a mailbox. */
#ifndef BRIDGE_LISTING_H
#define BRIDGE_LISTING_H

#include "reconcile.h"
#include "session.h"

#define LISTING_COMPONENT_MAX 255	/* bytes of a mailbox name's component */
#define LISTING_DATE_MAX 253402300799	/* 31 Dec 9999, the last that IMAP can say */
#define LISTING_BYTES_MAX (1024UL * 1024 * 1024)	/* of memory, for one listing */
#define LISTING_MEMORY_SHARE 3	/* and at most this part of RLIMIT_AS, if set */
#define LISTING_BOXES_MAX 100000
#define LISTING_FLAGS_MAX 65536		/* different sets of flags in a listing */

/* One * BOX. */
struct listing_box {
	char *name;		/* decoded; "/" between components */
	char *wire;		/* as the backend spelt it */
	char *id;		/* id= in one spelling, or NULL */
	char *flags;		/* flags=, as spelt, or NULL */
	char *state;		/* state=, as spelt, or NULL */
	bool ro;
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
void listing_boxes_free(struct listing_boxes *boxes);
/* What boxes.c keeps in a file: the answer to LIST, with missing= on BOX. Returns
 * 0, or -1 and an error. */
int listing_boxes_parse(struct view text, struct listing_boxes *boxes_r,
			struct wire_error *error_r);
/* Whether it is more than a store may have. */
bool listing_boxes_too_many(const struct listing_boxes *boxes);
void listing_boxes_sort(struct listing_boxes *boxes);
/* How many bytes of memory a list may take. */
size_t listing_bytes_max(void);
const struct listing_box *
listing_box_find(const struct listing_boxes *boxes, struct view name);

/* One * MSG or * GONE. */
struct listing_msg {
	unsigned char hash[IDMAP_HASH_SIZE];
	uint64_t size;		/* IDMAP_SIZE_UNKNOWN */
	uint64_t vsize;		/* IDMAP_SIZE_UNKNOWN */
	int64_t date;		/* IDMAP_DATE_UNKNOWN */
	size_t id;		/* offset in listing->text of the id, as spelt */
	uint32_t uid;		/* 0 = not said */
	uint32_t flags;		/* index into listing->flags; 0 = not said */
	unsigned short id_len;
	bool gone;
};

struct listing {
	struct listing_msg *msgs;
	size_t count;
	bool full;		/* absence means gone */
	char *state;		/* as spelt; "-" = none */
	char *box_id;		/* id= on the OK in one spelling, or NULL */
	uint32_t uidvalidity;	/* 0 = not said */
	/* different sets of flags, as spelt; [0] is "" */
	char **flags;
	size_t flags_count;
	struct buf text;
};

/* LIST box state. box is spelt as the backend does. Returns 0, or -1 and a
 * fault; half a list is never returned. */
int listing_msgs(struct session *session, const char *box, const char *state,
		 struct listing *listing_r, struct fault *fault);
void listing_free(struct listing *listing);
/* Does an id stand twice in what LIST box answered? Returns 0, or -1 and
 * a fault. (Who reconciles a listing is told so by that.) */
int listing_check_ids(struct session *session, const char *box,
		      const struct listing *listing, struct fault *fault);
int listing_duplicate_fault(const char *program, const char *box,
			    const struct listing *listing, size_t item,
			    struct fault *fault);
struct view listing_id(const struct listing *listing,
		       const struct listing_msg *msg);

/* Why Dovecot cannot carry a mailbox name; NULL if it can. */
const char *listing_name_fault(struct view name);

#endif
