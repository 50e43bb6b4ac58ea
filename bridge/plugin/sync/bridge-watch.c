/* A client idles in a mailbox. What it is to be told comes from three sides:
 *
 *	other sessions of this host	the index log changes: Dovecot's own
 *					watch of that file (bridge-storage.c)
 *	the store, at once		WATCH, in a copy of its own (core/verbs/watch)
 *	the store, in any case		a list every poll= seconds, or 30
 *
 * Each of them ends in box->notify_callback: Dovecot synchronises, and the client
 * gets what is new. Only for the last two a synchronisation asks the store for
 * a list (bridge_watch_wants_list); the index has what other sessions did.
 *
 *	start --> ask --> (ios, deadline) --> CHANGED --> notify, and ask again
 *	           ^                      --> same ---------------------> ask again
 *	           +---- later <------------- failed: the copy is let go
 *
 * ask is always a timer of the main loop's: then the synchronisation is over, and
 * the state that is sent is the one that it left in the map. Without a state
 * nobody knows what changed between the list and the WATCH, so it is listed once
 * more when the WATCH has begun (protocol.md, 6.28).
 *
 * None of this waits. What goes wrong with the copy is no fault of the client's:
 * it is logged, once, and the mailbox is polled until another one is tried. A copy
 * that answers all the time is asked once a second. All idling clients of a user,
 * whatever process they are in, share bridge_watch_max places; who gets none is
 * polled. A copy has its place until it has ended.
 *
 * Whoever calls the callback must not touch anything afterwards: it may close the
 * mailbox, or end the session. */
#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "llist.h"
#include "bridge-paths.h"
#include "bridge-private.h"
#include "bridge-session.h"
#include "bridge-watch.h"

#include "clock.h"
#include "file.h"
#include "proc.h"
#include "watch.h"

#include <unistd.h>

#define BRIDGE_WATCH_START_MSECS 50	/* who stops at once needs no copy */
#define BRIDGE_WATCH_LATER_MSECS 5000	/* when there is no place, or it is not
					   known what to ask */

struct bridge_watch {
	struct bridge_mailbox *mbox;
	struct watch *watch;		/* NULL = no copy */
	int place;			/* that it has; -1 = none */
	bool due;			/* the store is to be asked for a list */
	bool list_again;		/* once it has the WATCH */
	unsigned int failures;
	struct watch_pace pace;

	struct io *ios[3];
	struct timeout *to_turn;	/* ask, or the copy's deadline */
	struct timeout *to_again, *to_poll;
};

/* A copy that ends. */
struct bridge_watch_end {
	struct bridge_watch_end *prev, *next;
	struct bridge_mailbox_list *list;
	struct watch *watch;
	int place;
	struct timeout *to;
};

static void bridge_watch_ask(struct bridge_watch *w);
static void bridge_watch_turn(struct bridge_watch *w);

/* --- the end of a copy --------------------------------------------------- */

static void bridge_watch_end_free(struct bridge_watch_end *end)
{
	DLLIST_REMOVE(&end->list->watch_ends, end);
	timeout_remove(&end->to);
	watch_deinit(&end->watch);
	i_close_fd(&end->place);
	i_free(end);
}

static void bridge_watch_end_step(struct bridge_watch_end *end)
{
	if (watch_ended(end->watch))
		bridge_watch_end_free(end);
}

void bridge_watch_deinit(struct bridge_mailbox_list *list)
{
	while (list->watch_ends != NULL)
		bridge_watch_end_free(list->watch_ends);
}

/* Descriptors may be closed by any call of core/verbs/watch. */
static void bridge_watch_unwait(struct bridge_watch *w)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(w->ios); i++)
		io_remove(&w->ios[i]);
	timeout_remove(&w->to_turn);
}

static void bridge_watch_let_go(struct bridge_watch *w)
{
	struct bridge_watch_end *end;

	bridge_watch_unwait(w);
	timeout_remove(&w->to_again);
	if (w->watch == NULL)
		return;
	end = i_new(struct bridge_watch_end, 1);
	end->list = w->mbox->list;
	end->watch = w->watch;
	end->place = w->place;
	w->watch = NULL;
	w->place = -1;
	DLLIST_PREPEND(&end->list->watch_ends, end);
	watch_end_begin(end->watch);
	end->to = timeout_add_short(PROC_STEP_MSECS, bridge_watch_end_step,
				    end);
}

/* --- telling ------------------------------------------------------------- */

/* The last thing to be done: w may be gone when it returns. */
static void bridge_watch_notify(struct bridge_watch *w)
{
	struct mailbox *box = &w->mbox->box;

	w->due = TRUE;
	box->notify_callback(box, box->notify_context);
}

static void bridge_watch_again(struct bridge_watch *w)
{
	timeout_remove(&w->to_again);
	bridge_watch_notify(w);
}

static const struct caps *bridge_watch_caps(struct bridge_watch *w)
{
	return session_caps_known(w->mbox->list->session);
}

static void bridge_watch_poll_later(struct bridge_watch *w)
{
	const struct caps *caps = bridge_watch_caps(w);
	unsigned int secs = WATCH_POLL_SECS;

	if (caps != NULL && caps->poll_secs > 0)
		secs = caps->poll_secs;
	timeout_remove(&w->to_poll);
	w->to_poll = timeout_add_short(secs * 1000, bridge_watch_notify, w);
}

bool bridge_watch_wants_list(struct bridge_mailbox *mbox)
{
	struct bridge_watch *w = mbox->watch;

	if (w == NULL)
		return TRUE;
	if (!w->due)
		return FALSE;
	w->due = FALSE;
	mbox->polling = TRUE;
	bridge_watch_poll_later(w);
	return TRUE;
}

void bridge_watch_synced(struct bridge_mailbox *mbox, bool ok)
{
	if (!mbox->polling)
		return;
	mbox->polling = FALSE;
	if (ok && mbox->poll_error != NULL) {
		e_info(mbox->box.event, "bridge: %s answers again",
		       mbox->list->set.argv[0]);
		i_free(mbox->poll_error);
	}
}

/* --- asking -------------------------------------------------------------- */

static void bridge_watch_ask_in(struct bridge_watch *w, unsigned int msecs)
{
	timeout_remove(&w->to_turn);
	w->to_turn = timeout_add_short(msecs, bridge_watch_ask, w);
}

static void ATTR_FORMAT(2, 3)
bridge_watch_log(struct bridge_watch *w, const char *fmt, ...)
{
	struct event *event = w->mbox->box.event;
	const char *text;
	va_list args;

	va_start(args, fmt);
	text = t_strdup_vprintf(fmt, args);
	va_end(args);
	if (w->mbox->list->watch_logged)
		e_debug(event, "bridge: %s", text);
	else
		e_error(event, "bridge: %s (a client idles: its mailbox is "
			"polled instead; logged once)", text);
	w->mbox->list->watch_logged = TRUE;
}

static void
bridge_watch_failed(struct bridge_watch *w, const struct fault *fault)
{
	bridge_watch_log(w, "%s", fault->log);
	bridge_watch_let_go(w);
	if (fault->code == FAULT_UNSUPPORTED) {
		w->mbox->list->watch_unsupported = TRUE;
		return;
	}
	bridge_watch_ask_in(w, watch_pause_msecs(++w->failures,
						 fault->retry_secs));
}

/* Returns 0 if there is a place for a copy. */
static int bridge_watch_take_place(struct bridge_watch *w)
{
	const char *path = bridge_paths_watch(w->mbox->box.list);

	w->place = file_place(path, w->mbox->list->set.watch_max);
	if (w->place < 0 && errno != EWOULDBLOCK)
		bridge_watch_log(w, "%s: %m", path);
	return w->place < 0 ? -1 : 0;
}

static void bridge_watch_init_copy(struct bridge_watch *w)
{
	struct session_settings set;

	bridge_session_settings(w->mbox->list, &set);
	set.timeout_msecs = WATCH_GRACE_MSECS;
	w->watch = watch_init(&set, WATCH_SECS);
}

static bool bridge_watch_is_possible(struct bridge_watch *w)
{
	const struct caps *caps = bridge_watch_caps(w);

	return w->mbox->list->set.watch_max > 0 &&
		!w->mbox->list->watch_unsupported &&
		(caps == NULL || caps->verbs[VERB_WATCH]);
}

static void bridge_watch_ask(struct bridge_watch *w)
{
	struct bridge_mailbox *mbox = w->mbox;
	const char *state = idmap_header(mbox->map)->state;

	timeout_remove(&w->to_turn);
	if (!bridge_watch_is_possible(w))
		return;
	/* the store may not list the mailbox, or not be there at all; and while
	   the brake holds, no list would come of an answer */
	if (bridge_watch_caps(w) == NULL || mbox->wire_name == NULL ||
	    state == NULL || idmap_brake(mbox->map) != 0 ||
	    (w->watch == NULL && bridge_watch_take_place(w) < 0)) {
		bridge_watch_ask_in(w, BRIDGE_WATCH_LATER_MSECS);
		return;
	}
	if (w->watch == NULL)
		bridge_watch_init_copy(w);
	w->list_again = strcmp(state, "-") == 0;
	watch_ask(w->watch, mbox->wire_name, state);
	bridge_watch_turn(w);
}

static void bridge_watch_wait(struct bridge_watch *w)
{
	struct session_waits waits;

	if (w->list_again && watch_is_asked(w->watch)) {
		w->list_again = FALSE;
		timeout_remove(&w->to_again);
		w->to_again = timeout_add(WATCH_AGAIN_MSECS,
					  bridge_watch_again, w);
	}
	watch_waits_for(w->watch, &waits);
	if (waits.read_fds[0] >= 0)
		w->ios[0] = io_add(waits.read_fds[0], IO_READ,
				   bridge_watch_turn, w);
	if (waits.read_fds[1] >= 0)
		w->ios[1] = io_add(waits.read_fds[1], IO_READ,
				   bridge_watch_turn, w);
	if (waits.write_fd >= 0)
		w->ios[2] = io_add(waits.write_fd, IO_WRITE,
				   bridge_watch_turn, w);
	w->to_turn = timeout_add_short(waits.msecs, bridge_watch_turn, w);
}

static void bridge_watch_answered(struct bridge_watch *w, bool changed)
{
	unsigned int msecs = watch_pace_msecs(&w->pace, clock_msecs());

	if (msecs > 0 && !w->mbox->list->pace_logged) {
		w->mbox->list->pace_logged = TRUE;
		e_warning(w->mbox->box.event, "bridge: %s answers WATCH %s all "
			  "the time: it is asked once in %d ms from now on "
			  "(logged once)", w->mbox->list->set.argv[0],
			  w->mbox->wire_name, WATCH_REST_MSECS);
	}
	if (w->failures > 0)
		w->failures--;
	bridge_watch_ask_in(w, msecs);
	if (changed)
		bridge_watch_notify(w);
}

static void bridge_watch_turn(struct bridge_watch *w)
{
	struct fault fault;

	bridge_watch_unwait(w);
	switch (watch_turn(w->watch, &fault)) {
	case WATCH_WAITING:
		bridge_watch_wait(w);
		break;
	case WATCH_CHANGED:
		bridge_watch_answered(w, TRUE);
		break;
	case WATCH_SAME:
		bridge_watch_answered(w, FALSE);
		break;
	case WATCH_FAILED:
		bridge_watch_failed(w, &fault);
		break;
	}
}

/* --- start and stop ------------------------------------------------------ */

void bridge_watch_start(struct bridge_mailbox *mbox)
{
	struct bridge_watch *w = i_new(struct bridge_watch, 1);

	w->mbox = mbox;
	w->place = -1;
	w->due = TRUE;
	mbox->watch = w;
	bridge_watch_poll_later(w);
	bridge_watch_ask_in(w, BRIDGE_WATCH_START_MSECS);
}

void bridge_watch_stop(struct bridge_mailbox *mbox)
{
	struct bridge_watch *w = mbox->watch;

	if (w == NULL)
		return;
	mbox->watch = NULL;
	bridge_watch_let_go(w);
	timeout_remove(&w->to_poll);
	mbox->polling = FALSE;
	i_free(mbox->poll_error);
	i_free(w);
}
