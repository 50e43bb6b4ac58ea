/* The table of verbs (protocol.md, "Verbs"): what each request and reply looks
 * like, what allows it, and whether it may be sent again to a fresh copy. */
#ifndef BRIDGE_VERB_H
#define BRIDGE_VERB_H

#include "buf.h"

enum verb_id {
	VERB_CAPS,
	VERB_LIST,
	VERB_FETCH,
	VERB_STORE,
	VERB_APPEND,
	VERB_EXPUNGE,
	VERB_COPY,
	VERB_MOVE,
	VERB_CREATE,
	VERB_DELETE,
	VERB_RENAME,
	VERB_SEARCH,
	VERB_WATCH,
	VERB_COUNT
};

struct verb {
	const char *name;
	const char *request;	/* its fields, as protocol.md writes them */
	const char *items;	/* keywords of its items */
	bool mandatory;		/* every backend has it */
	bool writes;		/* may change the store */
	bool repeatable;	/* may be sent again when a copy died; of
				   APPEND, the copy's caps decide */
};

const struct verb *verb_info(enum verb_id id);
/* The verb of a word in upper case; false if there is none. */
bool verb_parse(struct view word, enum verb_id *id_r);
/* Whether this item may stand in a reply to the verb. */
bool verb_has_item(enum verb_id id, struct view keyword);

#endif
