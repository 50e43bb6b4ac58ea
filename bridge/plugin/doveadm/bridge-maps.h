/* The maps of a user's mailboxes, looked at from outside: without the store, and
 * without changing anything. */
#ifndef BRIDGE_MAPS_H
#define BRIDGE_MAPS_H

#include "bridge-private.h"

struct bridge_map_file {
	const char *vname;	/* of the mailbox; of one that is not known any
				   more: the folder, "mailboxes/FOLDER" */
	const char *path;	/* of the map */
	const char *index_dir;	/* of the index that follows it; NULL = none */
};
ARRAY_DEFINE_TYPE(bridge_map_file, struct bridge_map_file);

/* All maps below the list's CONTROL directory, sorted by vname, allocated from
 * pool. Returns 0, -1 and errno, if the directory cannot be read. */
int bridge_maps_find(struct bridge_mailbox_list *list, pool_t pool,
		     ARRAY_TYPE(bridge_map_file) *maps_r);

/* Compare the index with the map, which is loaded and locked. found is told of each
 * difference. An index that is not there is none: it is made anew. */
void bridge_maps_check_index(const struct bridge_map_file *file,
			     struct idmap *map,
			     void (*found)(void *context, const char *text),
			     void *context);

#endif
