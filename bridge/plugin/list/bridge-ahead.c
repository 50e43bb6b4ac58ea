/* Reading ahead: never one round trip a message.
 *
 * Dovecot says which messages a FETCH or a SEARCH will read next (prefetch),
 * and what a client reads one after the other without saying so (POP3, SORT,
 * one command for each message) is guessed from the order. Either way the
 * messages stand in one line here, in the order in which they will be read:
 *
 *	sent, answered | sent | not sent yet
 *
 * They are sent in flights, one FETCH each, of 1, 2, 4 and at last FLIGHT_MAX ids
 * where the backend takes several. While one flight is read, the next is on its
 * way: also a backend that takes one id and one request at a time works while
 * the client is served.
 *
 * It is a bet. A message that failed along with others is asked for again by
 * itself when its turn comes, and what that brings is what the client is told; a
 * flight that was not answered at all ends the running ahead for as long as the
 * line was. One mailbox of a session runs ahead at a time. */
#include "lib.h"
#include "compat.h"
#include "bridge-ahead.h"
#include "bridge-map.h"
#include "bridge-private.h"

#define FLIGHT_MAX 16			/* ids of one FETCH */
#define AHEAD_BYTES_MAX (4 * 1024 * 1024) /* asked for and not yet taken */
#define AHEAD_BYTES_GUESS (64 * 1024)	/* of a message of unknown size */
#define GUESS_STREAK 2			/* so many read in a row, and more
					   will be */
#define GUESS_MAX 32			/* messages guessed */

struct ahead_flight {
	struct fetch *fetch;
	unsigned int count;	/* ids in it */
	unsigned int left;	/* of them in the line */
};

struct ahead_entry {
	uint32_t uid, seq;
	enum fetch_want want;
	bool guessed;
	uint64_t bytes;
	uint64_t expected;
	struct buf id;
	struct ahead_flight *flight;	/* NULL = not sent yet */
	unsigned int idx;		/* in the flight */
};

struct bridge_ahead {
	struct bridge_mailbox *mbox;
	struct ahead_entry line[BRIDGE_AHEAD_MAX];
	unsigned int count;
	unsigned int sent;	/* the first so many of them */
	unsigned int next_flight;	/* ids in the next one */
	uint64_t bytes;		/* of those sent */
	struct buf scratch;

	uint32_t last_seq;	/* read last */
	unsigned int streak;	/* so many in a row */
};

/* --- the line ------------------------------------------------------------ */

static void ahead_flight_leave(struct ahead_flight *flight)
{
	if (--flight->left > 0)
		return;
	fetch_end(&flight->fetch);
	i_free(flight);
}

static void ahead_remove(struct bridge_ahead *ahead, unsigned int i)
{
	struct ahead_entry *entry = &ahead->line[i];

	if (entry->flight != NULL) {
		ahead->sent--;
		ahead->bytes -= entry->bytes;
		ahead_flight_leave(entry->flight);
	}
	buf_free(&entry->id);
	ahead->count--;
	memmove(entry, entry + 1, (ahead->count - i) * sizeof(*entry));
}

static void ahead_clear(struct bridge_ahead *ahead)
{
	while (ahead->count > 0)
		ahead_remove(ahead, ahead->count - 1);
	ahead->next_flight = 1;
}

static void ahead_clear_guessed(struct bridge_ahead *ahead)
{
	unsigned int i;

	for (i = ahead->count; i-- > 0; ) {
		if (ahead->line[i].guessed)
			ahead_remove(ahead, i);
	}
}

/* Whether Dovecot has said that it will read another one. */
static bool ahead_knows_more(const struct bridge_ahead *ahead, uint32_t uid)
{
	unsigned int i;

	for (i = 0; i < ahead->count; i++) {
		if (!ahead->line[i].guessed && ahead->line[i].uid != uid)
			return TRUE;
	}
	return FALSE;
}

static int ahead_find(const struct bridge_ahead *ahead, uint32_t uid)
{
	unsigned int i;

	for (i = 0; i < ahead->count; i++) {
		if (ahead->line[i].uid == uid)
			return (int)i;
	}
	return -1;
}

void bridge_ahead_flush(struct bridge_mailbox *mbox)
{
	struct bridge_mailbox_list *list = mbox->list;

	if (list->ahead == NULL || list->ahead->mbox != mbox)
		return;
	ahead_clear(list->ahead);
	buf_free(&list->ahead->scratch);
	i_free(list->ahead);
}

/* The session's line, taken over by this mailbox. */
static struct bridge_ahead *ahead_get(struct bridge_mailbox *mbox)
{
	struct bridge_mailbox_list *list = mbox->list;

	if (list->ahead != NULL && list->ahead->mbox != mbox)
		bridge_ahead_flush(list->ahead->mbox);
	if (list->ahead == NULL) {
		list->ahead = i_new(struct bridge_ahead, 1);
		list->ahead->mbox = mbox;
		list->ahead->next_flight = 1;
	}
	return list->ahead;
}

static bool ahead_add(struct bridge_ahead *ahead, struct mail_index_view *view,
		      uint32_t seq, enum fetch_want want, bool guessed)
{
	struct bridge_mailbox *mbox = ahead->mbox;
	struct ahead_entry *entry = &ahead->line[ahead->count];
	struct idmap_entry map_entry;
	struct fault fault;
	uint32_t uid;

	mail_index_lookup_uid(view, seq, &uid);
	if (ahead->count == BRIDGE_AHEAD_MAX || ahead_find(ahead, uid) >= 0)
		return FALSE;
	buf_clear(&ahead->scratch);
	if (bridge_map_entry(mbox, view, seq, uid, &map_entry, &ahead->scratch,
			     &fault) <= 0)
		return FALSE;
	i_zero(entry);
	buf_append_view(&entry->id, map_entry.id);
	entry->uid = uid;
	entry->seq = seq;
	entry->want = want;
	entry->guessed = guessed;
	entry->expected = map_entry.size != WIRE_SIZE_UNKNOWN ?
		map_entry.size : bridge_map_seen_size(mbox, view, seq);
	entry->bytes = entry->expected != WIRE_SIZE_UNKNOWN &&
		want == FETCH_FULL ? entry->expected : AHEAD_BYTES_GUESS;
	ahead->count++;
	return TRUE;
}

/* --- flights ------------------------------------------------------------- */

/* How many of the line go into one FETCH. */
static unsigned int
ahead_flight_count(const struct bridge_ahead *ahead, unsigned int max)
{
	const struct ahead_entry *first = &ahead->line[ahead->sent];
	uint64_t bytes = ahead->bytes;
	unsigned int n;

	for (n = 0; n < max && ahead->sent + n < ahead->count &&
	     first[n].want == first->want; n++) {
		bytes += first[n].bytes;
		if (bytes > AHEAD_BYTES_MAX && ahead->sent + n > 0)
			break;
	}
	return n;
}

static void ahead_send_flight(struct bridge_ahead *ahead, unsigned int count)
{
	struct bridge_mailbox *mbox = ahead->mbox;
	struct ahead_entry *entry = &ahead->line[ahead->sent];
	struct fetch_ask asks[FLIGHT_MAX];
	struct ahead_flight *flight = i_new(struct ahead_flight, 1);
	unsigned int i;

	for (i = 0; i < count; i++) {
		asks[i].id = view_of_buf(&entry[i].id);
		asks[i].expected = entry[i].expected;
		entry[i].flight = flight;
		entry[i].idx = i;
		ahead->bytes += entry[i].bytes;
	}
	flight->count = flight->left = count;
	flight->fetch = fetch_begin(mbox->list->session, mbox->wire_name,
				    entry->want, asks, count);
	ahead->sent += count;
}

/* Send what is worth it: whole flights, and the rest too if the client waits
   for it. */
static void ahead_send(struct bridge_ahead *ahead, bool all)
{
	const struct caps *caps;
	struct fault fault;
	unsigned int max, count;

	while (ahead->sent < ahead->count) {
		caps = session_caps(ahead->mbox->list->session, &fault);
		if (caps == NULL)
			return;
		max = I_MIN(I_MIN(ahead->next_flight, FLIGHT_MAX),
			    I_MAX(caps->batch, 1));
		if (!all && ahead->count - ahead->sent < max)
			return;
		count = ahead_flight_count(ahead, max);
		if (count == 0)
			return;
		ahead_send_flight(ahead, count);
		ahead->next_flight = I_MIN(ahead->next_flight * 2, FLIGHT_MAX);
	}
}

/* The entry of a message; none if it will not do for what is wanted. */
static int ahead_find_for(struct bridge_ahead *ahead, uint32_t uid,
			  enum fetch_want want)
{
	int i = ahead_find(ahead, uid);

	if (i < 0 || ahead->line[i].want == FETCH_FULL || want == FETCH_HEADER)
		return i;
	ahead_remove(ahead, (unsigned int)i);
	return -1;
}

bool bridge_ahead_want(struct mail *mail, enum fetch_want want)
{
	struct bridge_ahead *ahead = ahead_get(BRIDGE_MAILBOX(mail->box));
	int i = ahead_find_for(ahead, mail->uid, want);

	if (i >= 0)
		ahead->line[i].guessed = FALSE;
	else if (!ahead_add(ahead, mail->transaction->view, mail->seq, want, FALSE))
		return FALSE;
	ahead_send(ahead, FALSE);
	return TRUE;
}

bool bridge_ahead_has_others(struct mail *mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	const struct bridge_ahead *ahead = mbox->list->ahead;

	return ahead != NULL && ahead->mbox == mbox &&
		ahead_knows_more(ahead, mail->uid);
}

void bridge_ahead_forget(struct mail *mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_ahead *ahead = mbox->list->ahead;
	int i;

	if (ahead == NULL || ahead->mbox != mbox)
		return;
	i = ahead_find(ahead, mail->uid);
	if (i >= 0)
		ahead_remove(ahead, (unsigned int)i);
}

/* --- guessing ------------------------------------------------------------ */

/* Whatever follows the message that is read, if they are read in a row and
   nothing is known of what will be read after it. */
static void ahead_guess(struct bridge_ahead *ahead, struct mail *mail,
			enum fetch_want want)
{
	struct mail_index_view *view = mail->transaction->view;
	uint32_t end = mail_index_view_get_messages_count(view);
	uint32_t seq = mail->seq;
	unsigned int n, max = GUESS_MAX;

	ahead->streak = mail->seq == ahead->last_seq + 1 &&
		!ahead_knows_more(ahead, mail->uid) ? ahead->streak + 1 : 0;
	ahead->last_seq = mail->seq;
	if (ahead->streak == 0)
		ahead_clear_guessed(ahead);
	if (ahead->streak < GUESS_STREAK)
		return;
	if (ahead->streak < 6)
		max = 1U << (ahead->streak - 1);
	if (ahead->count > 0)
		seq = ahead->line[ahead->count - 1].seq + 1;
	for (n = ahead->count; n < max && seq <= end; n++, seq++) {
		if (!ahead_add(ahead, view, seq, want, TRUE))
			break;
	}
}

/* --- taking -------------------------------------------------------------- */

/* What came for an entry that was sent. */
static int ahead_take_sent(struct bridge_ahead *ahead, unsigned int i,
			   struct fetched *fetched_r, struct fault *fault)
{
	struct ahead_entry *entry = &ahead->line[i];
	struct ahead_flight *flight = entry->flight;
	bool alone = flight->count == 1;
	int ret;

	if (fetch_wait(flight->fetch, fault) < 0) {
		/* whoever of them it was */
		if (!alone)
			e_debug(ahead->mbox->box.event,
				"bridge: read-ahead: %s", fault->log);
		ahead_clear(ahead);
		ahead->streak = 0;
		return alone ? -1 : 0;
	}
	ret = fetch_take(flight->fetch, entry->idx, fetched_r, fault);
	ahead_remove(ahead, i);
	if (ret == 0 && (alone || fetched_r->status != FETCH_GONE))
		return 1;
	if (ret < 0 && alone && !fetched_r->again)
		return -1;
	fetched_free(fetched_r);
	return 0;
}

int bridge_ahead_take(struct mail *mail, enum fetch_want want,
		      struct fetched *fetched_r, struct fault *fault)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_ahead *ahead = ahead_get(mbox);
	int i, ret;

	i_zero(fetched_r);
	fetched_r->fd = -1;
	(void)ahead_find_for(ahead, mail->uid, want);
	ahead_guess(ahead, mail, want);
	i = ahead_find(ahead, mail->uid);
	if (i < 0)
		return 0;
	ahead_send(ahead, ahead->line[i].flight == NULL);
	if (ahead->line[i].flight == NULL) {
		ahead_remove(ahead, (unsigned int)i);
		return 0;
	}
	ret = ahead_take_sent(ahead, (unsigned int)i, fetched_r, fault);
	ahead_send(ahead, FALSE);
	session_pump(mbox->list->session);
	return ret;
}
