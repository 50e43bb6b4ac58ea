/* The structs of the storage "bridge": of a namespace, which has the one session with its
 * backend, of a mailbox, and what is ours in its index. */
#ifndef BRIDGE_PRIVATE_H
#define BRIDGE_PRIVATE_H

#include "index-storage.h"
#include "index-mail.h"
#include "mailbox-list-private.h"

#include "bridge-owner.h"
#include "bridge-settings.h"

#include "boxes.h"
#include "idmap.h"
#include "session.h"

#define BRIDGE_STORAGE_NAME "bridge"
#define BRIDGE_LIST_NAME "bridge"
#define BRIDGE_INDEX_PREFIX "dovecot.index"
/* Messages that the store is asked to change at once: they are in memory meanwhile,
   and each that fails takes more than 2 KiB there (struct write_item). */
#define BRIDGE_WRITE_MAX 10000

/* --- a namespace --------------------------------------------------------- */

/* What bridge-status keeps of a session; begins as zeroes. */
struct bridge_status {
	char *path;			/* NULL = not written yet */
	bool failed;			/* to be written: never again */
	uint64_t written_msecs;
	pid_t copy;			/* 0 = none runs */
	time_t since, idle_since;
	uint64_t requests, errors, starts;
	char *caps;			/* of the copy that said them last */
	char *error;			/* the last; NULL = none */
	time_t error_time;
};

struct bridge_mailbox_list {
	struct mailbox_list list;
	struct bridge_owner owner;
	struct bridge_settings set;
	struct session *session;
	struct event *event;		/* parent of the session's */
	struct bridge_status status;	/* what doveadm is told of it */
	struct bridge_ahead *ahead;	/* NULL = no mailbox is being read */
	struct bridge_kept *kept;	/* the message read last; NULL = none */
	struct bridge_watch_end *watch_ends;	/* copies that are ending */
	bool watch_unsupported;	/* a watching copy said so */
	bool watch_logged;	/* that watching does not work */
	bool pace_logged;	/* that a copy tells of changes all the time */

	struct boxes *known;	/* NULL before the first LIST */
	const struct listing_boxes *boxes;	/* what is known; NULL if the
						   last LIST failed */
	struct timeval boxes_timeval;	/* ioloop_timeval then: the same while
					   one command is carried out */
	time_t boxes_time;		/* ioloop_time of the last LIST */
	struct timeval failed_timeval;	/* ioloop_timeval when the store gave no list
					   in time; it is not asked again in the
					   same command */
	struct timeval hung_timeval;	/* of the command that waited in vain */
	time_t late_since;		/* it took too long then; 0 = it did not */
	char *logged;			/* what was logged last of that, ... */
	time_t logged_time;		/* ... and when */
	bool skipped_logged;
	bool owner_checked;
	const char *temp_prefix, *global_temp_prefix;
};

#define BRIDGE_LIST(s) \
	container_of(s, struct bridge_mailbox_list, list)

/* --- a mailbox ----------------------------------------------------------- */

/* The header extension "bridge" of dovecot.index: which map it follows. */
struct bridge_index_header {
	uint8_t guid[IDMAP_GUID_SIZE];
	uint32_t generation;
	uint32_t marks;		/* messages may have marks (core/wire/flags.h) */
	uint32_t listed_uid;	/* the next UID when the store was listed last:
				   from it on are messages that it was given
				   since */
	uint32_t keeps;		/* what the store kept when it was asked last
				   (caps_keeps); 0 = not known */
	uint64_t map_end;	/* the index says what the map of this
				   generation said up to here */
};

/* Its record: which message this is, and where its line stands in the map of
   that generation (0 = beyond 4 GiB or unknown). */
struct bridge_index_record {
	uint8_t hash[ID_HASH_SIZE];
	uint32_t offset;
};

/* Which folder lies at a path; all 0 = none. */
struct bridge_folder_id {
	dev_t dev;
	ino_t ino;
};

struct bridge_mailbox {
	struct mailbox box;
	struct bridge_mailbox_list *list;

	const char *wire_name;	/* as the backend spells it; NULL if the store
				   did not list it when it was opened */
	const char *box_id;	/* its id= when it was opened; NULL = none */
	const char *folder;	/* what it is kept in (bridge-identity.c) */
	struct bridge_folder_id folder_ids[2];	/* which folders these are: for
						   the map, for the index */
	bool id_from_ok;	/* by an id that only LIST box has given */
	bool shown;		/* it was synchronised since it was opened */
	bool replaced;		/* another mailbox has its name now, or
				   what is known here is not what is kept */
	bool ro;		/* marked ro */
	uint32_t keeps;		/* what the store kept when it was opened
				   (caps_keeps); 0 = it was not asked */
	struct idmap *map;
	uint32_t ext_id;	/* "bridge" */
	uint32_t size_ext_id;	/* "bridge-size": what a FETCH showed, plus 1 */
	uint32_t losses_ext_id;	/* "bridge-losses", see bridge-sync-brake.c */
	uint32_t cache_ext_id;	/* "bridge-cache", see bridge-sync-cache.c */

	bool relist;		/* a size differed: list at the next sync */
	bool postponed;		/* others had the lock: look at the next sync */
	bool flagged;		/* its client has changed flags since the last
				   sync */
	ARRAY_TYPE(uint32_t) spared;	/* UIDs whose MOVE within the mailbox
					   failed, see bridge-transaction.c */
	char *open_state;	/* the state that LIST gave the mailbox when it
				   was opened; used once */
	struct bridge_watch *watch;	/* while a client waits for changes */
	bool polling;		/* the store is asked for its sake */
	char *poll_error;	/* what was logged when that failed last; NULL = it
				   did not */
	uint64_t alive_msecs;	/* since then the client has not heard that we wait
				   for the lock */
};

#define BRIDGE_MAILBOX(s) \
	container_of(s, struct bridge_mailbox, box)

/* --- who asks ------------------------------------------------------------ */

/* Whether a mailbox is of this storage. */
static inline bool bridge_is_ours(const struct mailbox *box)
{
	return strcmp(box->storage->name, BRIDGE_STORAGE_NAME) == 0;
}

#endif
