/* Where what is kept of a store lies: the one place that makes a path of it.
 *
 * Below the roots of the location (CONTROL=, INDEX=, ...), and below the folder of the
 * store there, if it has a name (bridge_store_id):
 *
 *	dovebridge-mailboxes	the list that was known last	(CONTROL)
 *	mailboxes/FOLDER	what is kept of a mailbox, FOLDER as bridge-identity has
 *				it: the map (CONTROL), the index (INDEX), ...
 *	dovebridge-sessions/	what sessions tell doveadm	(VOLATILEDIR, or CONTROL)
 *
 * Outside of it stands what is of all stores: subscriptions, the UIDVALIDITY that was
 * given out last, and the places of those that watch. All paths are on the data
 * stack. */
#ifndef BRIDGE_PATHS_H
#define BRIDGE_PATHS_H

#include "bridge-private.h"

#define BRIDGE_MAILBOXES_DIR "mailboxes"
#define BRIDGE_MAP_NAME "dovebridge-map"

/* What is kept of this store in CONTROL. */
const char *bridge_paths_control(struct bridge_mailbox_list *list);
/* The list that was known last. */
const char *bridge_paths_boxes(struct bridge_mailbox_list *list);
/* Where sessions tell doveadm how they fare. */
const char *bridge_paths_status(struct bridge_mailbox_list *list);
/* What has a folder for each mailbox; NULL if there is none of this type. */
const char *bridge_paths_mailboxes(struct bridge_mailbox_list *list,
				   enum mailbox_list_path_type type);
/* That folder of a mailbox; NULL if there is none of this type. */
const char *bridge_paths_mailbox(struct bridge_mailbox_list *list,
				 enum mailbox_list_path_type type,
				 const char *folder);
/* The same in CONTROL, and there always is one. */
const char *bridge_paths_folder(struct bridge_mailbox_list *list,
				const char *folder);

const char *bridge_paths_uidvalidity(struct mailbox_list *list);
const char *bridge_paths_watch(struct mailbox_list *list);
const char *bridge_paths_subscriptions(struct mailbox_list *list,
				       const char **root_r,
				       enum mailbox_list_path_type *type_r);

#endif
