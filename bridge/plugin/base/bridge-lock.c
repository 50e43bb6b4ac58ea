#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "bridge-fault.h"
#include "bridge-lock.h"
#include "bridge-private.h"

#include "clock.h"

#include <sys/stat.h>

static const enum mailbox_list_path_type folder_types[] = {
	MAILBOX_LIST_PATH_TYPE_CONTROL,
	MAILBOX_LIST_PATH_TYPE_INDEX,
};

/* Which folder it is kept in now: 0 and 0 if there is none. Returns 0, -1 if that cannot
   be told, with the storage's error set: the store is asked for the mailbox's id. */
static int
lock_find_folder(struct bridge_mailbox *mbox,
		 enum mailbox_list_path_type type,
		 struct bridge_folder_id *id_r)
{
	const char *path;
	struct stat st;

	i_zero(id_r);
	if (mailbox_get_path_to(&mbox->box, type, &path) <= 0)
		return -1;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		mailbox_set_critical(&mbox->box, "stat(%s) failed: %m", path);
		return -1;
	}
	id_r->dev = st.st_dev;
	id_r->ino = st.st_ino;
	return 0;
}

int bridge_lock_note_place(struct bridge_mailbox *mbox)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(folder_types); i++) {
		if (lock_find_folder(mbox, folder_types[i],
				     &mbox->folder_ids[i]) < 0)
			return -1;
	}
	return 0;
}

enum bridge_place bridge_lock_place(struct bridge_mailbox *mbox)
{
	enum bridge_place place = BRIDGE_PLACE_SAME;
	struct bridge_folder_id now;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(folder_types); i++) {
		if (lock_find_folder(mbox, folder_types[i], &now) < 0)
			return BRIDGE_PLACE_UNKNOWN;
		if (now.ino == 0)
			place = I_MAX(place, BRIDGE_PLACE_NONE);
		else if (now.dev != mbox->folder_ids[i].dev ||
			 now.ino != mbox->folder_ids[i].ino)
			place = BRIDGE_PLACE_OTHER;
	}
	return place;
}

static void lock_waiting(void *context)
{
	struct bridge_mailbox *mbox = context;
	uint64_t now = clock_msecs();

	if (ioloop_time == 0 || now - mbox->alive_msecs < SESSION_ALIVE_MSECS)
		return;
	mbox->alive_msecs = now;
	compat_notify_alive(mbox->box.storage, mbox->box.list);
}

static int lock_wait(struct bridge_mailbox *mbox, unsigned int wait_msecs,
		     struct fault *fault)
{
	mbox->alive_msecs = clock_msecs();
	return idmap_lock(mbox->map, wait_msecs, lock_waiting, mbox, fault);
}

/* Another session has deleted the mailbox, and with it what is kept of it. */
static bool lock_is_deleted(struct bridge_mailbox *mbox)
{
	(void)mail_index_refresh(mbox->box.index);
	if (!mail_index_is_deleted(mbox->box.index))
		return FALSE;
	mailbox_set_deleted(&mbox->box);
	return TRUE;
}

/* Another session has renamed it while we waited for the lock, or before: there is
   nothing at its name, or another mailbox. Returns -1 with the storage's error set. */
int bridge_lock_moved(struct bridge_mailbox *mbox)
{
	struct fault fault;

	mbox->replaced = mbox->shown;
	mbox->list->boxes = NULL;
	(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
		"the mailbox %s was renamed by another session: it has to be "
		"opened again", mbox->box.name);
	return bridge_fault_box(&mbox->box, &fault);
}

enum bridge_lock
bridge_lock_try(struct bridge_mailbox *mbox, unsigned int wait_msecs,
		struct fault *fault)
{
	int ret = lock_wait(mbox, wait_msecs, fault);
	enum bridge_place place = bridge_lock_place(mbox);

	if (ret == 0 && place == BRIDGE_PLACE_SAME)
		return BRIDGE_LOCKED;
	idmap_unlock(mbox->map);
	if (place == BRIDGE_PLACE_OTHER)
		return BRIDGE_LOCK_MOVED;
	if (place == BRIDGE_PLACE_UNKNOWN || lock_is_deleted(mbox))
		return BRIDGE_LOCK_FAILED;
	if (place == BRIDGE_PLACE_NONE)
		return BRIDGE_LOCK_MOVED;
	if (ret < 0 && fault->code == FAULT_BUSY)
		return BRIDGE_LOCK_BUSY;
	(void)bridge_fault_box(&mbox->box, fault);
	return BRIDGE_LOCK_FAILED;
}

/* What was kept of it when it was opened, though the store is believed that it has no
   such mailbox, and so nothing is at its name. */
enum bridge_lock bridge_lock_opened(struct bridge_mailbox *mbox)
{
	struct fault fault;

	if (lock_wait(mbox, mbox->list->set.lock_timeout_msecs, &fault) == 0)
		return BRIDGE_LOCKED;
	(void)bridge_fault_box(&mbox->box, &fault);
	return BRIDGE_LOCK_FAILED;
}

int bridge_lock_take(struct bridge_mailbox *mbox)
{
	struct fault fault;

	switch (bridge_lock_try(mbox, mbox->list->set.lock_timeout_msecs,
				&fault)) {
	case BRIDGE_LOCKED:
		return 0;
	case BRIDGE_LOCK_MOVED:
		return bridge_lock_moved(mbox);
	case BRIDGE_LOCK_BUSY:
		return bridge_fault_box(&mbox->box, &fault);
	case BRIDGE_LOCK_FAILED:
		break;
	}
	return -1;
}
