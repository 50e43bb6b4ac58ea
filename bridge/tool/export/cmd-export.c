/* dovebridge export: the whole store as a Maildir++, read without Dovecot.
 *
 * It can be stopped at any time and run again: what is there, known by the hash
 * of the id in its name, is not asked for a second time. Flags of such a message
 * stay as they are in the Maildir, and nothing is ever removed from it. */
#include "maildir.h"
#include "state.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/file.h>

#define EXPORT_BREAKS_MAX 20	/* copies of the backend lost in a row */
#define EXPORT_USAGE "export [--as USER] DIR -- BACKEND [ARG...]"

static const struct option options[] = {
	{ "as", required_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 }
};

struct export {
	char **backend;
	struct session *session;
	const char *path;
	int fd;				/* DIR, locked */
	unsigned int breaks;		/* copies lost in a row */
	bool stopped;			/* it makes no sense to go on */

	unsigned long long fetched, bytes, there, gone, failed, keywords;
	unsigned long long boxes, boxes_failed, boxes_partial;

	/* of the mailbox: what the store said is gone */
	unsigned char (*lost)[ID_HASH_SIZE];
	size_t lost_count;
};

/* --- one message ----------------------------------------------------------- */

/* Say what failed. A copy that broke is replaced here: to wait until the
   session wants to start the next one would hold up what can be read. */
static void export_failed(struct export *export, const struct fault *fault)
{
	tool_warn("%s", fault->log);
	if (fault->scope != FAULT_SCOPE_BACKEND || fault->from_backend) {
		export->breaks = 0;
		return;
	}
	session_deinit(&export->session);
	export->session = tool_session(export->backend);
	if (++export->breaks < EXPORT_BREAKS_MAX)
		return;
	tool_warn("the backend failed %d times in a row: giving up",
		  EXPORT_BREAKS_MAX);
	export->stopped = true;
}

/* Returns 0, or -1 and a fault. */
static int deliver(struct export *export, struct maildir *md,
		   const char *box, const struct listing_msg *msg,
		   const char *flags,
		   const struct fetched *fetched, struct fault *fault)
{
	struct buf letters = { NULL, 0, 0 };
	bool whole = maildir_flags(md, flags, &letters);
	struct view id = msg->id;
	int ret = maildir_deliver(md, msg, buf_str(&letters), fetched);

	if (ret < 0) {
		export->stopped = errno == ENOSPC || errno == EDQUOT ||
			errno == EROFS;
		(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MESSAGE,
				"%s %.*s: cannot copy it into the Maildir: %s",
				box, (int)id.len, id.p, strerror(errno));
	} else {
		export->fetched++;
		export->bytes += fetched->size;
		export->keywords += whole ? 0 : 1;
	}
	buf_free(&letters);
	return ret;
}

static void export_lost(struct export *export, const struct listing_msg *msg)
{
	/* doubled at each power of two */
	if ((export->lost_count & (export->lost_count - 1)) == 0)
		export->lost = mem_grow(export->lost, export->lost_count == 0 ?
					1 : 2 * export->lost_count,
					ID_HASH_SIZE);
	memcpy(export->lost[export->lost_count++], msg->hash, ID_HASH_SIZE);
}

static void export_msg(struct export *export, struct maildir *md,
		       const char *box, const struct listing_msg *msg,
		       const char *flags)
{
	struct view id = msg->id;
	struct fetched fetched;
	struct fault fault;
	struct fetch_ask ask = { .id = id, .expected = msg->size };
	int ret = fetch_message(export->session, box, FETCH_FULL, &ask,
				&fetched, &fault);

	if (ret == 0) {
		export->breaks = 0;
		if (fetched.status == FETCH_GONE) {
			(void)fault_set(&fault, FAULT_NOTFOUND,
					FAULT_SCOPE_MESSAGE, "%s %.*s: left "
					"out, the store says that it is gone",
					box, (int)id.len, id.p);
			tool_warn("%s", fault.log);
			export_lost(export, msg);
		} else {
			ret = deliver(export, md, box, msg, flags, &fetched,
				      &fault);
		}
	} else {
		fault_context(&fault, "%s %.*s", box, (int)id.len, id.p);
	}
	fetched_free(&fetched);
	if (ret < 0) {
		export->failed++;
		export_failed(export, &fault);
	}
}

/* --- what is gone ---------------------------------------------------------- */

static int hash_cmp(const void *a, const void *b)
{
	return memcmp(a, b, ID_HASH_SIZE);
}

/* How many of the lost messages the store goes on listing. A disk that is not
   mounted has nothing of what it lists: that GONE is believed only of what the
   next list lacks, too (protocol.md 5.9). */
static size_t still_listed(const struct export *export,
			   const struct listing *listing)
{
	const struct listing_msg *msg;
	size_t i, count = 0;

	if (!listing->end.full)
		return export->lost_count;
	for (i = 0; i < listing->count; i++) {
		msg = &listing->msgs[i];
		if (!msg->gone && bsearch(msg->hash, export->lost,
					  export->lost_count, ID_HASH_SIZE,
					  hash_cmp) != NULL)
			count++;
	}
	return count;
}

static void check_lost(struct export *export, const struct listing_box *box)
{
	size_t listed = export->lost_count;
	struct listing listing;
	struct fault fault;

	if (export->lost_count == 0)
		return;
	qsort(export->lost, export->lost_count, ID_HASH_SIZE, hash_cmp);
	if (!export->stopped &&
	    listing_msgs(export->session, box->wire, &listing, &fault) == 0) {
		listed = still_listed(export, &listing);
		listing_free(&listing);
	} else if (!export->stopped) {
		export_failed(export, &fault);
	}
	if (listed > 0)
		tool_warn("%s: the store says that %zu messages are gone, but "
			  "goes on listing them", box->wire, listed);
	export->failed += listed;
	export->gone += export->lost_count - listed;
	free(export->lost);
	export->lost = NULL;
	export->lost_count = 0;
}

/* --- one mailbox ----------------------------------------------------------- */

static bool flags_are_dovecots(struct export *export)
{
	struct fault fault;
	const struct caps *caps = session_caps(export->session, &fault);

	return caps != NULL && caps->flags == CAPS_FLAGS_LOCAL;
}

static void export_msgs(struct export *export, struct maildir *md,
			const struct listing_box *box,
			const struct listing *listing)
{
	bool no_flags = flags_are_dovecots(export);
	const struct listing_msg *msg;
	struct buf flags = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < listing->count && !export->stopped; i++) {
		msg = &listing->msgs[i];
		if (msg->gone)
			continue;
		if (maildir_has(md, msg)) {
			export->there++;
			continue;
		}
		tool_progress("%s: %zu of %zu, %.1f MB", box->name, i + 1,
			      listing->count, (double)export->bytes / 1e6);
		buf_clear(&flags);
		if (!no_flags)
			buf_append_view(&flags, msg->flags);
		export_msg(export, md, box->wire, msg, buf_str(&flags));
	}
	buf_free(&flags);
}

/* Returns 0, or -1 and a fault. */
static int write_box(struct export *export, const struct listing_box *box,
		     const struct listing *listing, struct fault *fault)
{
	struct buf name = { NULL, 0, 0 };
	struct maildir md;
	int ret;

	maildir_name(box->name, &name);
	ret = maildir_open(&md, export->fd, name.p);
	if (ret == 0)
		ret = maildir_mailbox(&md, listing->end.box_id != NULL ?
				      listing->end.box_id : box->id);
	if (ret < 0)
		(void)fault_set(fault, FAULT_CANNOT, FAULT_SCOPE_MAILBOX,
				"%s: cannot use the folder %s/%s: %s",
				box->wire, export->path, name.p,
				strerror(errno));
	else
		export_msgs(export, &md, box, listing);
	if (md.keywords.error != 0)
		tool_warn("%s: cannot keep more keywords in the folder %s/%s: "
			  "%s", box->wire, export->path, name.p,
			  strerror(md.keywords.error));
	if (maildir_close(&md) < 0 && ret == 0)
		ret = fault_set(fault, FAULT_CANNOT, FAULT_SCOPE_MAILBOX,
				"%s: cannot sync the folder %s/%s: %s",
				box->wire, export->path, name.p,
				strerror(errno));
	buf_free(&name);
	return ret;
}

static bool has_messages(const struct listing_box *box)
{
	struct view list = view_of(box->flags != NULL ? box->flags : ""), elem;

	while (wire_list_next(&list, &elem)) {
		if (view_is_nocase(elem, "\\Noselect"))
			return false;
	}
	return true;
}

static void export_box(struct export *export, const struct listing_box *box)
{
	struct listing listing;
	struct fault fault;
	int ret;

	tool_progress("%s", box->name);
	ret = listing_msgs(export->session, box->wire, &listing, &fault);
	if (ret == 0) {
		ret = write_box(export, box, &listing, &fault);
		if (!listing.end.full) {
			tool_warn("%s: the store did not list all of its "
				  "messages", box->wire);
			export->boxes_partial++;
		}
		listing_free(&listing);
	}
	check_lost(export, box);
	if (ret == 0) {
		export->boxes++;
	} else {
		export->boxes_failed++;
		export_failed(export, &fault);
	}
}

/* --- the store ------------------------------------------------------------- */

/* A folder with other things in it is no place for one folder after the other
   whose names begin with a dot. */
static void check_folder(const struct export *export)
{
	int fd = fcntl(export->fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool used = false, maildir = false;
	struct dirent *d;

	if (dir == NULL)
		tool_fail(EX_NOINPUT, "cannot read the folder %s: %s",
			  export->path, strerror(errno));
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0)
			continue;
		used = true;
		maildir = maildir || strcmp(d->d_name, "cur") == 0;
	}
	(void)closedir(dir);
	if (used && !maildir)
		tool_fail(EX_CANTCREAT, "%s is neither empty nor a Maildir",
			  export->path);
}

static void open_folder(struct export *export)
{
	export->fd = open(export->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (export->fd < 0)
		tool_fail(EX_NOINPUT, "cannot open the folder %s: %s",
			  export->path, strerror(errno));
	/* two at once would take each other's tmp for what a dead one left */
	if (flock(export->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		tool_fail(EX_TEMPFAIL, "another export into %s is running",
			  export->path);
	check_folder(export);
}

static void print_summary(const struct export *export)
{
	tool_progress_end();
	printf("%llu messages (%.1f MB) from %llu mailboxes; %llu were there, "
	       "%llu gone, %llu failed\n", export->fetched,
	       (double)export->bytes / 1e6, export->boxes, export->there,
	       export->gone, export->failed);
	if (export->keywords > 0)
		tool_warn("keywords of %llu messages were left out: a folder "
			  "has letters for %d, each an IMAP atom of at most %d "
			  "bytes", export->keywords, MAILDIR_KEYWORDS_MAX,
			  MAILDIR_KEYWORD_BYTES_MAX);
	if (export->boxes_failed > 0)
		tool_warn("%llu mailboxes were not exported",
			  export->boxes_failed);
	if (export->boxes_partial > 0)
		tool_warn("%llu mailboxes were listed in part only: what was "
			  "not listed is not exported", export->boxes_partial);
}

static int export_store(struct export *export)
{
	struct listing_boxes boxes;
	struct fault fault;
	struct maildir inbox;
	bool partial;
	size_t i;

	if (listing_boxes(export->session, &boxes, &fault) < 0)
		return tool_report(&fault);
	/* even if the store has no INBOX: else this were no Maildir */
	if (maildir_open(&inbox, export->fd, ".") < 0)
		tool_fail(EX_CANTCREAT, "cannot make a Maildir in %s: %s",
			  export->path, strerror(errno));
	(void)maildir_close(&inbox);
	for (i = 0; i < boxes.skipped_count; i++)
		tool_warn("%s", boxes.skipped[i]);
	export->boxes_failed = boxes.skipped_count;
	for (i = 0; i < boxes.count && !export->stopped; i++) {
		if (has_messages(&boxes.boxes[i]))
			export_box(export, &boxes.boxes[i]);
	}
	partial = boxes.delta;
	listing_boxes_free(&boxes);
	if (fsync(export->fd) < 0) {
		tool_warn("cannot sync the folder %s: %s", export->path,
			  strerror(errno));
		export->failed++;
	}
	print_summary(export);
	if (partial)
		tool_warn(TOOL_PARTIAL ", and others are not exported");
	return export->failed + export->boxes_failed + export->boxes_partial >
		0 || partial || export->stopped ? EX_TEMPFAIL : 0;
}

int cmd_export(int argc, char *argv[])
{
	struct export export;
	const char *as = NULL;
	int c, status;

	memset(&export, 0, sizeof(export));
	export.backend = tool_backend(&argc, argv);
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c != 'a')
			tool_usage(EXPORT_USAGE);
		as = optarg;
	}
	if (argc - optind != 1)
		tool_usage(EXPORT_USAGE);
	export.path = state_target(argv[optind], as);
	tool_check_backend(export.backend);
	open_folder(&export);
	export.session = tool_session(export.backend);
	status = export_store(&export);
	session_deinit(&export.session);
	if (fflush(stdout) != 0)
		tool_fail(EX_IOERR, "cannot write to stdout");
	return status;
}
