/* The mailboxes that a store is known to have: what it listed, what a list did
 * not name but leaves as it was, and what the brake holds. They are kept in
 * a file, for all sessions of a user. (The reasoning: at the top of boxes.c; the
 * rules: protocol.md, "Mailboxes and names".) */
#ifndef BRIDGE_BOXES_H
#define BRIDGE_BOXES_H

#include "listing.h"
#include "reconcile.h"

#define BOXES_LOCK_WAIT_MSECS 5000

struct boxes;

/* path: the file; its lock file is path + ".lock". Nothing is read yet. warn is
 * called with what an admin should know; text is printable UTF-8. */
struct boxes *boxes_init(const char *path,
			 void (*warn)(void *context, const char *text),
			 void *context);
/* Sets *boxes to NULL; NULL is fine. */
void boxes_deinit(struct boxes **boxes);

/* Know what the file says; the store is not asked. */
void boxes_load(struct boxes *boxes);
/* Ask the store for its list and make of it what is known now. Of the policy
 * full is ignored: the list says that. Returns 0; -1 and a fault if the store
 * gave no list, and then nothing has changed. A file that is damaged or cannot
 * be written is a warning: then this process alone knows. */
int boxes_ask(struct boxes *boxes, struct session *session,
	      const struct reconcile_policy *policy, struct fault *fault);
/* The same, but the answer is waited for only so long (listing_boxes_within): returns
 * 1 if it has not come by then, and then nothing has changed either. */
int boxes_ask_within(struct boxes *boxes, struct session *session,
		     const struct reconcile_policy *policy, unsigned int msecs,
		     struct fault *fault);
/* Whether the store has ever given a list, to this process or to those that wrote the
 * file. */
bool boxes_are_known(struct boxes *boxes);

/* The bridge itself has deleted a mailbox, or given it another name (then with
 * those below it): it is not missing. A file that cannot be written is a
 * warning. */
void boxes_forget(struct boxes *boxes, const char *name, bool children);

/* What is known. Those that the store did not list have missing_since set if it
 * was a full list. Valid until the next boxes_ask or boxes_deinit. */
const struct listing_boxes *boxes_known(const struct boxes *boxes);

#endif
