/* The mailbox list "bridge": see bridge-list.c. */
#ifndef BRIDGE_LIST_H
#define BRIDGE_LIST_H

#include "bridge-private.h"

extern struct mailbox_list bridge_mailbox_list;

#endif
