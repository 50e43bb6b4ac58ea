/* The whole message that was read last: see bridge-kept.c. */
#ifndef BRIDGE_KEPT_H
#define BRIDGE_KEPT_H

#include "fetched.h"

struct bridge_mailbox;
struct mail;

/* Keep what came for a message, if it is all of it; fetched stays the caller's. */
void bridge_kept_put(struct mail *mail, const struct fetched *fetched);
/* Whether it is this message that is kept. */
bool bridge_kept_has(struct mail *mail);
/* The message again; the caller frees it. Returns FALSE if it is not kept. */
bool bridge_kept_get(struct mail *mail, struct fetched *fetched_r);
/* What was counted of it: its size with CR LF. */
bool bridge_kept_get_vsize(struct mail *mail, uoff_t *size_r);
void bridge_kept_set_vsize(struct mail *mail, uoff_t size);
/* Forget what is of this mailbox. */
void bridge_kept_flush(struct bridge_mailbox *mbox);

#endif
