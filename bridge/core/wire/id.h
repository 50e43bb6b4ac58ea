/* Ids, of messages and of mailboxes: an id is the bytes that its field decodes to,
 * however that is spelt. */
#ifndef BRIDGE_ID_H
#define BRIDGE_ID_H

#include "wire.h"

#define ID_HASH_SIZE 16

/* First 128 bits of SHA-256 of an id, decoded. */
void id_hash(struct view id, unsigned char hash_r[ID_HASH_SIZE]);
/* The same of an id as it is spelt, which has to be one: at most WIRE_ID_MAX bytes, no
 * lone "-". scratch is where it may be decoded. Returns NULL, or what is wrong: then the
 * hash is all zeros, which no message has. */
const char *id_hash_spelt(struct view spelt, struct buf *scratch,
			  unsigned char hash_r[ID_HASH_SIZE]);
/* An id in the one spelling that all its spellings share, to be freed; NULL if it is
 * none. */
char *id_canonical(struct view spelt);

#endif
