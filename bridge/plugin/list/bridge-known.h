/* The mailboxes of a store: see bridge-known.c. */
#ifndef BRIDGE_KNOWN_H
#define BRIDGE_KNOWN_H

#include "bridge-private.h"

/* The mailbox that is known under a storage name, NULL if there is none. If the
 * store does not list it at the moment, its missing_since is set. An answer of
 * this second that lists it is used again. Returns 0, -1 with the list's error set. */
int bridge_known_lookup(struct bridge_mailbox_list *list, const char *name,
			const struct listing_box **box_r);
/* Forget the list, unless it is an answer of this second: who wants it next asks the
 * store. */
void bridge_known_expire(struct bridge_mailbox_list *list);
/* Ask the store for its mailboxes. force: what it does not list is gone. Returns
 * 0, -1 with the list's error set. */
int bridge_known_refresh(struct bridge_mailbox_list *list, bool force);
/* The mailboxes to be shown in a list: list->boxes are those that the store lists; if it
 * does not answer, and the user has other namespaces, too, those that are known. Returns
 * 0; -1 with the list's error set. */
int bridge_known_show(struct bridge_mailbox_list *list);
/* Dovecot's flags of a listed mailbox. */
enum mailbox_info_flags bridge_known_flags(const struct listing_box *box);
/* Those of them that stand for a special use, as names with spaces between. */
void bridge_known_special_use(enum mailbox_info_flags flags, string_t *names);

#endif
