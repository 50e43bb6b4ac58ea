/* SEARCH: what the store says matches (protocol.md, "SEARCH"). */
#ifndef BRIDGE_SEARCH_H
#define BRIDGE_SEARCH_H

#include "id.h"
#include "session.h"

/* One request, and the hits that answered it. */
struct search;

/* SEARCH box, with no pair yet. box as the backend spelt it, copied. */
struct search *search_init(const char *box);
void search_deinit(struct search **search);

/* Add a pair: key, and a value in UTF-8, not empty and not encoded. Returns false,
 * and adds nothing, if the line would be longer than WIRE_LINE_MAX. */
bool search_add(struct search *search, enum caps_key key, struct view value);
/* Whether there is no pair. */
bool search_is_empty(const struct search *search);

/* Send it and wait for the answer, once. Returns 0; -1 and a fault: then nothing is
 * known of any message. UNSUPPORTED if the copy that would get it has not SEARCH
 * and all keys. INTERNAL if the hits take more than listing_bytes_max() of memory
 * (16 bytes each). */
int search_run(struct search *search, struct session *session,
	       struct fault *fault);
/* After that: whether all hits match (OK), or have to be looked at (OK maybe).
 * Whatever is no hit does not match, either way. */
bool search_is_exact(const struct search *search);
/* Whether the message whose id has this id_hash is a hit. */
bool search_has(const struct search *search,
		const unsigned char hash[ID_HASH_SIZE]);

#endif
