#include "id.h"

#include <sha2.h>

void id_hash(struct view id, unsigned char hash_r[ID_HASH_SIZE])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)id.p, id.len);
	SHA256Final(digest, &ctx);
	memcpy(hash_r, digest, ID_HASH_SIZE);
}

const char *id_hash_spelt(struct view spelt, struct buf *scratch,
			  unsigned char hash_r[ID_HASH_SIZE])
{
	struct view id = spelt;

	memset(hash_r, 0, ID_HASH_SIZE);
	if (memchr(spelt.p, '%', spelt.len) != NULL) {
		buf_clear(scratch);
		if (wire_decode(spelt, scratch) < 0)
			return "an id is malformed";
		id = view_of_buf(scratch);
	}
	if (id.len > WIRE_ID_MAX)
		return "an id is too long";
	if (id.len == 0 || view_is(spelt, "-"))
		return "an id is missing";
	id_hash(id, hash_r);
	return NULL;
}

char *id_canonical(struct view spelt)
{
	struct buf decoded = { NULL, 0, 0 }, canonical = { NULL, 0, 0 };

	if (spelt.len > 0 && wire_decode(spelt, &decoded) == 0 &&
	    decoded.len <= WIRE_ID_MAX)
		wire_encode(view_of_buf(&decoded), &canonical);
	buf_free(&decoded);
	return canonical.p;
}
