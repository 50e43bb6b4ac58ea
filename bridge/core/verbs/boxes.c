/* Which mailboxes there are.
 *
 * A client that is not shown a mailbox any more deletes what it has of it, often
 * with the settings that somebody made for it. So it is asked here, as for
 * messages (reconcile.c), what it means that a list does not name a mailbox:
 *
 *	after "OK delta"	nothing: it stays as it was
 *	after "OK full"		that it is gone, unless the brake holds
 *
 * The brake is that of messages, with the same limits: of at least 20 known
 * mailboxes a quarter or more are missing, or of at least 3 none is listed. The
 * INBOX is not counted: many stores make one up whatever else they cannot see.
 * What is missing then stays, marked with the time, until a full list at least
 * the pause later lacks it too, or doveadm force-resync. An INBOX that was listed
 * once stays in any case: clients always see one, and it must not become another
 * while the store has none. A mailbox whose id is listed under another name is
 * not missing, it was renamed.
 *
 * The list is asked for as often as without the brake: a mailbox that is back is
 * to be seen at once. Only lists that lack it are counted.
 *
 * The file is an answer to LIST, as a backend would give it, with "missing=" for
 * what the brake holds:
 *
 *	! dovebridge mailboxes 1
 *	* BOX INBOX id=1
 *	* BOX Old/2020 flags=\Archive missing=1700000000
 *	OK full sum=32 hexadecimal digits
 *
 * sum is that of id_hash() over all lines before it. A file whose sum is
 * another one, or that is no such answer, is damaged: it is not used, and written
 * anew. A new one is written beside it, synced, and renamed over it: it is there
 * whole or not at all.
 *
 * Several sessions. A list is worth what it says about the file that was read
 * before it was asked for. If another session has written the file since, nobody
 * knows which of the two lists is newer: the store is asked once more, a bounded
 * number of times. The lock is for writing alone, never held while a backend is
 * asked. */
#include "boxes.h"
#include "file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define MAGIC "! dovebridge mailboxes 1\n"
#define FINAL "OK full sum="
#define SUM_LEN (2 * ID_HASH_SIZE)
#define ASK_MAX 3		/* lists, while other sessions write the file */

/* Which file it is; all 0 if there is none. */
struct file_identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct boxes {
	char *path, *lock_path;
	void (*warn)(void *context, const char *text);
	void *context;

	struct listing_boxes known;
	struct file_identity file;	/* that known was read from or written to */
	bool loaded;
	bool listed;			/* there was a list */
	bool rewrite;			/* it does not say what known says */
	bool warned;			/* that it cannot be written */
};

struct boxes *boxes_init(const char *path,
			 void (*warn)(void *context, const char *text),
			 void *context)
{
	struct boxes *boxes = mem_new(1, sizeof(*boxes));
	struct buf name = { NULL, 0, 0 };

	boxes->path = mem_strdup(path);
	buf_printf(&name, "%s.lock", path);
	boxes->lock_path = name.p;
	boxes->warn = warn;
	boxes->context = context;
	return boxes;
}

void boxes_deinit(struct boxes **_boxes)
{
	struct boxes *boxes = *_boxes;

	*_boxes = NULL;
	if (boxes == NULL)
		return;
	listing_boxes_free(&boxes->known);
	free(boxes->path);
	free(boxes->lock_path);
	free(boxes);
}

const struct listing_boxes *boxes_known(const struct boxes *boxes)
{
	return &boxes->known;
}

static void __attribute__((format(printf, 2, 3)))
warn(const struct boxes *boxes, const char *fmt, ...)
{
	struct buf text = { NULL, 0, 0 };
	va_list args;

	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	boxes->warn(boxes->context, buf_str(&text));
	buf_free(&text);
}

/* --- the file -------------------------------------------------------------- */

static struct file_identity identity_of(const struct stat *st)
{
	struct file_identity identity;

	memset(&identity, 0, sizeof(identity));
	identity.dev = st->st_dev;
	identity.ino = st->st_ino;
	identity.size = st->st_size;
	identity.mtime = st->st_mtim;
	return identity;
}

static struct file_identity file_identity(const struct boxes *boxes)
{
	struct file_identity none;
	struct stat st;

	if (lstat(boxes->path, &st) == 0)
		return identity_of(&st);
	memset(&none, 0, sizeof(none));
	return none;
}

static bool identity_is(const struct file_identity *a,
			const struct file_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
		a->mtime.tv_sec == b->mtime.tv_sec &&
		a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static void append_sum(struct buf *text)
{
	unsigned char hash[ID_HASH_SIZE];
	size_t i;

	id_hash(view_of_buf(text), hash);
	buf_append_str(text, FINAL);
	for (i = 0; i < sizeof(hash); i++)
		buf_printf(text, "%02x", hash[i]);
	buf_append_c(text, '\n');
}

static bool sum_is_right(struct view text)
{
	struct buf head = { NULL, 0, 0 };
	size_t tail = strlen(FINAL) + SUM_LEN + 1;
	bool right;

	if (text.len < tail)
		return false;
	buf_append(&head, text.p, text.len - tail);
	append_sum(&head);
	right = view_equals(view_of_buf(&head), text);
	buf_free(&head);
	return right;
}

/* Returns NULL, or what is wrong. */
static const char *parse(struct view text, struct listing_boxes *known,
			 struct wire_error *error)
{
	if (!view_starts(text, MAGIC))
		return "it does not begin with \"! dovebridge mailboxes 1\"";
	if (!sum_is_right(text))
		return "its sum is not right";
	return listing_boxes_parse(text, known, error) < 0 ? error->text : NULL;
}

/* Returns NULL, or what is wrong with the file. */
static const char *read_file(struct boxes *boxes, struct listing_boxes *known,
			     struct file_identity *identity_r,
			     struct wire_error *error)
{
	struct buf text = { NULL, 0, 0 };
	const char *reason = NULL;
	struct stat st;
	int ret;

	ret = file_read(boxes->path, listing_bytes_max(), &text, &st);
	if (ret >= 0 || st.st_ino != 0)
		*identity_r = identity_of(&st);
	if (ret < 0)
		reason = errno == EINVAL ? "it is not a regular file" :
			strerror(errno);
	else if (ret > 0)
		reason = parse(view_of_buf(&text), known, error);
	buf_free(&text);
	return reason;
}

/* If it is not what we know already. */
void boxes_load(struct boxes *boxes)
{
	struct file_identity now = file_identity(boxes);
	struct listing_boxes known;
	struct wire_error error;
	const char *reason;

	if (boxes->loaded && identity_is(&now, &boxes->file))
		return;
	memset(&known, 0, sizeof(known));
	reason = read_file(boxes, &known, &now, &error);
	boxes->file = now;
	boxes->loaded = true;
	boxes->rewrite = reason != NULL || now.ino == 0;
	if (reason != NULL) {
		warn(boxes, "%s: cannot be used: %s: it is written anew",
		     boxes->path, reason);
	} else if (now.ino != 0) {
		listing_boxes_free(&boxes->known);
		boxes->known = known;
		boxes->listed = true;
	}
}

bool boxes_are_known(struct boxes *boxes)
{
	boxes_load(boxes);
	return boxes->listed;
}

static void append_box(struct buf *text, const struct listing_box *box)
{
	buf_printf(text, "* BOX %s", box->wire);
	if (box->id != NULL)
		buf_printf(text, " id=%s", box->id);
	if (box->flags != NULL)
		buf_printf(text, " flags=%s", box->flags);
	if (box->ro)
		buf_append_str(text, " ro");
	if (box->missing_since > 0)
		buf_printf(text, " missing=%lld",
			   (long long)box->missing_since);
	buf_append_c(text, '\n');
}

/* Locked. Returns 0, -1 and errno. */
static int write_file(struct boxes *boxes, const struct listing_boxes *known)
{
	struct buf text = { NULL, 0, 0 };
	struct stat st;
	size_t i;
	int ret;

	buf_append_str(&text, MAGIC);
	for (i = 0; i < known->count; i++)
		append_box(&text, &known->boxes[i]);
	append_sum(&text);
	ret = file_replace(boxes->path, view_of_buf(&text), &st);
	if (ret == 0)
		boxes->file = identity_of(&st);
	buf_free(&text);
	return ret;
}

/* --- what a list means ----------------------------------------------------- */

/* What was known, and the list that came now. */
struct update {
	struct boxes *boxes;
	struct listing_boxes *known;
	struct listing_boxes now;
	const char **ids;	/* of now, sorted */
	size_t ids_count;
	size_t missing, missed;	/* held now; those that were not before */
};

static int id_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void collect_ids(struct update *update)
{
	size_t i;

	update->ids = mem_new(update->now.count, sizeof(*update->ids));
	for (i = 0; i < update->now.count; i++) {
		if (update->now.boxes[i].id != NULL)
			update->ids[update->ids_count++] =
				update->now.boxes[i].id;
	}
	if (update->ids_count > 1)
		qsort(update->ids, update->ids_count, sizeof(*update->ids),
		      id_cmp);
}

/* Under its name or, if it was renamed, under another. */
static bool is_listed(const struct update *update,
		      const struct listing_box *box)
{
	const char *id = box->id;

	if (listing_box_find(&update->now, view_of(box->name)) != NULL)
		return true;
	return id != NULL && update->ids_count > 0 &&
		bsearch(&id, update->ids, update->ids_count,
			sizeof(*update->ids), id_cmp) != NULL;
}

static bool is_inbox(const struct listing_box *box)
{
	return strcmp(box->name, "INBOX") == 0;
}

/* What becomes of a mailbox that is not listed: it is known as before, or held
   since a time; the list, which has room for it, gets it. */
static void keep(struct update *update, struct listing_box *box, int64_t since)
{
	struct listing_boxes *now = &update->now;
	struct listing_box *to;

	to = &now->boxes[now->count++];
	memset(to, 0, sizeof(*to));
	to->name = mem_strdup(box->name);
	to->wire = mem_strdup(box->wire);
	to->id = mem_strdup(box->id);
	to->flags = mem_strdup(box->flags);
	to->ro = box->ro;
	to->missing_since = since;
	if (since > 0 && !is_inbox(box)) {
		update->missing++;
		update->missed += box->missing_since == 0 ? 1 : 0;
	}
}

/* The numbers of mailboxes serve as their hashes. */
static void set_hash(unsigned char hash[ID_HASH_SIZE], uint64_t number)
{
	memset(hash, 0, ID_HASH_SIZE);
	memcpy(hash, &number, sizeof(number));
}

/* Ask the brake about the known mailboxes of which refs has the numbers, and
   listed says whether they are listed. Returns the fates. */
static struct reconciler *
judge(const struct update *update, const size_t *refs, size_t count,
      const bool *listed, const struct reconcile_policy *policy)
{
	struct idmap_known *known = mem_new(count, sizeof(*known));
	struct reconcile_item item = { .size = WIRE_SIZE_UNKNOWN };
	struct reconciler *rec;
	size_t i, k;

	for (i = 0; i < count; i++) {
		known[i].uid = (uint32_t)i + 1;
		set_hash(known[i].hash, i);
		known[i].size = WIRE_SIZE_UNKNOWN;
		known[i].suspect_since =
			update->known->boxes[refs[i]].missing_since;
	}
	rec = reconcile_init(known, count);
	for (i = 0; i < count; i++) {
		set_hash(item.hash, i);
		if (listed[refs[i]])
			(void)reconcile_line(rec, &item, &k);
	}
	reconcile_finish(rec, policy);
	free(known);
	return rec;
}

/* Let the list have what is known and stays although it was not listed. */
static void take_over(struct update *update,
		      const struct reconcile_policy *policy)
{
	struct listing_box *boxes = update->known->boxes;
	size_t i, k, refs_count = 0, count = update->known->count;
	size_t *refs = mem_new(count, sizeof(*refs));
	bool *listed = mem_new(count, sizeof(*listed));
	struct reconciler *rec;

	for (k = 0; k < count; k++) {
		listed[k] = is_listed(update, &boxes[k]);
		if (!is_inbox(&boxes[k]))
			refs[refs_count++] = k;
	}
	rec = judge(update, refs, refs_count, listed, policy);
	update->now.boxes = mem_grow(update->now.boxes,
				     update->now.count + count,
				     sizeof(*update->now.boxes));
	for (i = k = 0; k < count; k++) {
		bool stays = is_inbox(&boxes[k]) || !policy->full ||
			reconcile_fate(rec, i) == RECONCILE_SUSPECT;

		i += is_inbox(&boxes[k]) ? 0 : 1;
		if (listed[k] || !stays)
			continue;
		keep(update, &boxes[k], policy->full ?
		     reconcile_suspect_since(boxes[k].missing_since, policy) :
		     boxes[k].missing_since);
	}
	listing_boxes_sort(&update->now);
	reconcile_deinit(&rec);
	free(listed);
	free(refs);
}

static bool str_is(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* In all that the file has. */
static bool lists_are_same(const struct listing_boxes *a,
			   const struct listing_boxes *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++) {
		if (!str_is(a->boxes[i].wire, b->boxes[i].wire) ||
		    !str_is(a->boxes[i].id, b->boxes[i].id) ||
		    !str_is(a->boxes[i].flags, b->boxes[i].flags) ||
		    a->boxes[i].ro != b->boxes[i].ro ||
		    a->boxes[i].missing_since != b->boxes[i].missing_since)
			return false;
	}
	return true;
}

static void write_failed(struct boxes *boxes)
{
	if (!boxes->warned)
		warn(boxes, "%s: cannot be written: %s: other sessions do not "
		     "learn which mailboxes there are", boxes->path,
		     strerror(errno));
	boxes->warned = true;
}

/* Make the list what is known, on the disk too. Returns false if another session
   has written the file meanwhile, and again is allowed. */
static bool commit(struct boxes *boxes, struct listing_boxes *now, bool again)
{
	struct file_identity file;
	int fd;

	if (boxes->rewrite || !lists_are_same(&boxes->known, now)) {
		fd = file_lock(boxes->lock_path, BOXES_LOCK_WAIT_MSECS);
		file = file_identity(boxes);
		if (fd >= 0 && again && !identity_is(&file, &boxes->file)) {
			(void)close(fd);
			return false;
		}
		if (fd < 0 || write_file(boxes, now) < 0)
			write_failed(boxes);
		else
			boxes->rewrite = boxes->warned = false;
		if (fd >= 0)
			(void)close(fd);
	}
	listing_boxes_free(&boxes->known);
	boxes->known = *now;
	boxes->listed = true;
	memset(now, 0, sizeof(*now));
	return true;
}

/* There is no room for what the brake holds beside what was listed. */
static void drop_missing(struct update *update, const char *program)
{
	struct listing_boxes *now = &update->now, gone;
	size_t i, count = now->count;

	warn(update->boxes, "%s: %zu mailboxes are missing from its list, and "
	     "it has too many others to keep them", program, update->missing);
	gone.boxes = mem_new(count, sizeof(*gone.boxes));
	gone.count = now->count = gone.skipped_count = 0;
	gone.skipped = NULL;
	for (i = 0; i < count; i++) {
		if (now->boxes[i].missing_since > 0)
			gone.boxes[gone.count++] = now->boxes[i];
		else
			now->boxes[now->count++] = now->boxes[i];
	}
	listing_boxes_free(&gone);
	update->missing = update->missed = 0;
}

static bool is_below(const char *name, const char *parent)
{
	size_t len = strlen(parent);

	return strncmp(name, parent, len) == 0 && name[len] == '/';
}

void boxes_forget(struct boxes *boxes, const char *name, bool children)
{
	struct listing_boxes *known = &boxes->known, gone;
	int fd = file_lock(boxes->lock_path, BOXES_LOCK_WAIT_MSECS);
	size_t i, count;

	boxes_load(boxes);
	memset(&gone, 0, sizeof(gone));
	gone.boxes = mem_new(known->count, sizeof(*gone.boxes));
	count = known->count;
	known->count = 0;
	for (i = 0; i < count; i++) {
		if (strcmp(known->boxes[i].name, name) == 0 ||
		    (children && is_below(known->boxes[i].name, name)))
			gone.boxes[gone.count++] = known->boxes[i];
		else
			known->boxes[known->count++] = known->boxes[i];
	}
	if (gone.count > 0 && (fd < 0 || write_file(boxes, known) < 0))
		write_failed(boxes);
	if (fd >= 0)
		(void)close(fd);
	listing_boxes_free(&gone);
}

enum asked { ASKED_FAILED = -1, ASKED_AGAIN, ASKED_KNOWN, ASKED_LATER };

/* Whether what is known is what the list says, the store is to be asked again, has not
   answered in time, or there is a fault. */
static enum asked
ask_once(struct boxes *boxes, struct session *session,
	 const struct reconcile_policy *policy, bool again, unsigned int msecs,
	 struct fault *fault)
{
	const char *program = session_settings(session)->argv[0];
	struct reconcile_policy full = *policy;
	struct update update;
	size_t count;
	enum asked asked = ASKED_KNOWN;
	int ret;

	memset(&update, 0, sizeof(update));
	update.boxes = boxes;
	update.known = &boxes->known;
	boxes_load(boxes);
	ret = msecs == UINT_MAX ?
		listing_boxes(session, &update.now, fault) :
		listing_boxes_within(session, msecs, &update.now, fault);
	if (ret != 0)
		return ret < 0 ? ASKED_FAILED : ASKED_LATER;
	full.full = !update.now.delta;
	collect_ids(&update);
	count = update.known->count;
	take_over(&update, &full);
	if (full.full && listing_boxes_too_many(&update.now))
		drop_missing(&update, program);
	if (listing_boxes_too_many(&update.now)) {
		asked = ASKED_FAILED;
		(void)fault_set(fault, FAULT_INTERNAL, FAULT_SCOPE_BACKEND,
			"%s: more than %d mailboxes, with those that its list "
			"did not name, or more than %zu bytes of memory, while "
			"answering \"LIST\"", program, LISTING_BOXES_MAX,
			listing_bytes_max());
	} else if (!commit(boxes, &update.now, again)) {
		asked = ASKED_AGAIN;
	} else if (update.missed > 0) {
		warn(boxes, "%s: %zu of %zu mailboxes are missing from its list: "
		     "they are kept until a list at least %u s later lacks "
		     "them too, or doveadm force-resync", program,
		     update.missing, count, policy->brake_pause_secs);
	}
	free(update.ids);
	listing_boxes_free(&update.now);
	return asked;
}

int boxes_ask_within(struct boxes *boxes, struct session *session,
		     const struct reconcile_policy *policy, unsigned int msecs,
		     struct fault *fault)
{
	enum asked asked = ASKED_AGAIN;
	unsigned int i;

	for (i = 1; asked == ASKED_AGAIN; i++)
		asked = ask_once(boxes, session, policy, i < ASK_MAX, msecs,
				 fault);
	return asked == ASKED_FAILED ? -1 : asked == ASKED_LATER ? 1 : 0;
}

int boxes_ask(struct boxes *boxes, struct session *session,
	      const struct reconcile_policy *policy, struct fault *fault)
{
	return boxes_ask_within(boxes, session, policy, UINT_MAX, fault);
}
