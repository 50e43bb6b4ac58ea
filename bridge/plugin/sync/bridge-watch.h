/* What happens to a mailbox while a client idles in it. */
#ifndef BRIDGE_WATCH_PLUGIN_H
#define BRIDGE_WATCH_PLUGIN_H

#include <stdbool.h>

struct bridge_mailbox;
struct bridge_mailbox_list;

/* Tell box->notify_callback when the store may have changed. The mailbox must not
 * be watched yet. */
void bridge_watch_start(struct bridge_mailbox *mbox);
/* No more of that; the copy ends in the background. Fine if it is not watched. */
void bridge_watch_stop(struct bridge_mailbox *mbox);
/* Whether a synchronisation is to ask the store: always, but while the mailbox is
 * watched only when that has a reason to. To be asked once by each: it takes the
 * reason away. */
bool bridge_watch_wants_list(struct bridge_mailbox *mbox);
/* A synchronisation for it is over. An error while a client idles is logged once, as
 * long as it stays the same but for numbers, and its end is, too: nobody has asked,
 * and the store is polled all night. */
void bridge_watch_synced(struct bridge_mailbox *mbox, bool ok);
/* Wait for the copies that are still ending. */
void bridge_watch_deinit(struct bridge_mailbox_list *list);

#endif
