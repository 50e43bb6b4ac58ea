/* Reading ahead: see bridge-ahead.c. */
#ifndef BRIDGE_AHEAD_H
#define BRIDGE_AHEAD_H

#include "fetch.h"

struct bridge_mailbox;
struct mail;

#define BRIDGE_AHEAD_MAX 64	/* messages asked for and not yet taken */

/* A message will be read soon: ask for it when it is worth it. Returns FALSE if
 * there is no room; it will then be asked for when it is read. */
bool bridge_ahead_want(struct mail *mail, enum fetch_want want);
/* A message is read: what came for it, waiting for that if it was asked for.
 * Returns 1 with MEMORY, FILE or GONE; 0 if it is to be asked for by itself;
 * -1 and a fault, which then is this message's own. */
int bridge_ahead_take(struct mail *mail, enum fetch_want want,
		      struct fetched *fetched_r, struct fault *fault);
/* Whether others are to be read, too, as Dovecot has said. */
bool bridge_ahead_has_others(struct mail *mail);
/* A message that was wanted is not read after all. */
void bridge_ahead_forget(struct mail *mail);
/* Forget all of a mailbox. */
void bridge_ahead_flush(struct bridge_mailbox *mbox);

#endif
