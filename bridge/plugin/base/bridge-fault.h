/* A fault of core/ as Dovecot's errors: the user's text with a MAIL_ERROR_*,
 * the admin's text in the log, once. */
#ifndef BRIDGE_FAULT_PLUGIN_H
#define BRIDGE_FAULT_PLUGIN_H

#include "fault.h"

struct mailbox;
struct mailbox_list;
struct mail_storage;

enum mail_error bridge_fault_error(enum fault_code code);
/* Whether the backend said so in the normal course of things: no news for the
 * admin. */
bool bridge_fault_is_normal(const struct fault *fault);
/* What follows from a fault for the open mailbox: after READONLY it is read-only
 * (protocol.md, "Errors"). bridge_fault_box does that too. */
void bridge_fault_seen(struct mailbox *box, const struct fault *fault);
/* Set the error of a mailbox's storage and log; always returns -1. */
int bridge_fault_box(struct mailbox *box, const struct fault *fault);
/* Log a fault that is no error, because there is another way: "messages are read
 * instead". */
void bridge_fault_instead(struct mailbox *box, const struct fault *fault,
			  const char *instead);
/* Set the error of a mailbox list and log; always returns -1. */
int bridge_fault_list(struct mailbox_list *list, const struct fault *fault);
/* NO [NOPERM]; always returns -1. what: "messages cannot be added". */
int bridge_fault_readonly(struct mailbox *box, const char *what);
/* dsync: the store gives UIDs itself. Always returns -1. */
int bridge_fault_own_uids(struct mailbox *box);

#endif
