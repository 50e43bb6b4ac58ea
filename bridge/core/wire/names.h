/* Names of mailboxes (protocol.md, "Mailboxes and names"). */
#ifndef BRIDGE_NAMES_H
#define BRIDGE_NAMES_H

#include "wire.h"

/* A name in normal form C (Unicode, UAX #15; as Dovecot 2.4 demands of names), as it is
 * shown to clients: two spellings of one name would be two mailboxes. Appended. Returns
 * false if it is not UTF-8. */
bool names_compose(struct view name, struct buf *composed);
/* Why Dovecot cannot carry a mailbox name; NULL if it can. */
const char *names_fault(struct view name);

#endif
