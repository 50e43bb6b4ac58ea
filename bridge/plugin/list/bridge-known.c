/* What is known of the mailboxes of a store: its list, asked for when it is needed, and
 * what was known before where the store does not answer. */
#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "str.h"
#include "bridge-fault.h"
#include "bridge-known.h"
#include "bridge-owner.h"
#include "bridge-paths.h"
#include "bridge-private.h"
#include "clock.h"

/* How long a list of all mailboxes waits for one of several stores: that was never
   listed, that was, and that took too long a while ago. Later it is waited for anew: it
   may be slow now, and no more. */
#define LIST_FIRST_MSECS 15000
#define LIST_KNOWN_MSECS 3000
#define LIST_LATE_MSECS 200
#define LIST_LATE_SECS 60
#define LIST_LOG_AGAIN_SECS 60

static const struct {
	const char *name;
	enum mailbox_info_flags flag;
} box_flags[] = {
	{ "\\Noselect", MAILBOX_NOSELECT },
	{ "\\NonExistent", MAILBOX_NONEXISTENT },
	{ "\\Noinferiors", MAILBOX_NOINFERIORS },
	{ "\\All", MAILBOX_SPECIALUSE_ALL },
	{ "\\Archive", MAILBOX_SPECIALUSE_ARCHIVE },
	{ "\\Drafts", MAILBOX_SPECIALUSE_DRAFTS },
	{ "\\Flagged", MAILBOX_SPECIALUSE_FLAGGED },
	{ "\\Junk", MAILBOX_SPECIALUSE_JUNK },
	{ "\\Sent", MAILBOX_SPECIALUSE_SENT },
	{ "\\Trash", MAILBOX_SPECIALUSE_TRASH },
	{ "\\Important", MAILBOX_SPECIALUSE_IMPORTANT },
};

static void known_log_skipped(struct bridge_mailbox_list *list)
{
	size_t i;

	if (list->skipped_logged)
		return;
	for (i = 0; i < list->boxes->skipped_count; i++)
		e_warning(list->event, "%s", list->boxes->skipped[i]);
	list->skipped_logged = list->boxes->skipped_count > 0;
}

static void known_warn(void *context, const char *text)
{
	struct bridge_mailbox_list *list = context;

	e_warning(list->event, "%s", text);
}

/* Where the list of mailboxes is kept. Its folder is made for it; if that fails
   the error is logged, and only this process knows the list. */
static void known_init(struct bridge_mailbox_list *list)
{
	if (mailbox_list_mkdir_root(&list->list, bridge_paths_control(list),
				    MAILBOX_LIST_PATH_TYPE_CONTROL) < 0)
		mailbox_list_clear_error(&list->list);
	list->known = boxes_init(bridge_paths_boxes(list), known_warn,
				 list);
}

/* --- whose it is --------------------------------------------------------- */

static bool str_array_equals(char *const *a, char *const *b)
{
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

/* Two programs would show each other's mail under one map. */
static int known_check_others(struct bridge_mailbox_list *list,
			      struct fault *fault)
{
	struct mail_namespace *ns = list->list.ns, *other;
	const char *dir = bridge_paths_control(list);
	struct bridge_mailbox_list *other_list;

	for (other = ns->user->namespaces; other != NULL; other = other->next) {
		if (other == ns || other->list == NULL ||
		    strcmp(other->list->name, BRIDGE_LIST_NAME) != 0)
			continue;
		other_list = BRIDGE_LIST(other->list);
		if (strcmp(bridge_paths_control(other_list), dir) != 0 ||
		    str_array_equals(list->set.argv, other_list->set.argv))
			continue;
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"the namespaces with prefix \"%s\" and \"%s\" keep what "
			"they know in one folder (%s) and have different "
			"bridge_commands: each store needs a path of its own",
			ns->prefix, other->prefix, dir);
	}
	return 0;
}

/* A public namespace is everybody's; who starts imap by hand names the folder himself,
   and is called as the system calls him. */
static bool known_is_of_one_user(const struct bridge_mailbox_list *list)
{
	return list->list.ns->type != MAIL_NAMESPACE_TYPE_PUBLIC &&
		list->list.ns->user->userdb_fields != NULL;
}

/* Before the store is asked for its mailboxes: a namespace may have been added since,
   the owner stays. */
static int known_check_owner(struct bridge_mailbox_list *list,
			     struct fault *fault)
{
	int ret;

	T_BEGIN {
		ret = known_check_others(list, fault);
		if (ret == 0 && !list->owner_checked &&
		    known_is_of_one_user(list)) {
			ret = bridge_owner_check(&list->owner,
				bridge_paths_control(list), fault);
			list->owner_checked = ret == 0;
		}
	} T_END;
	return ret;
}

/* Returns 0, or -1 and a fault. */
static int known_prepare(struct bridge_mailbox_list *list,
			 struct fault *fault)
{
	if (list->known == NULL) T_BEGIN {
		known_init(list);
	} T_END;
	return known_check_owner(list, fault);
}

/* --- asking -------------------------------------------------------------- */

/* Returns 0 if the store has given its list, 1 if it has not in so much time, -1 and a
   fault. */
static int
known_ask(struct bridge_mailbox_list *list, bool force,
	  unsigned int within_msecs, struct fault *fault)
{
	struct reconcile_policy policy;
	int ret;

	i_zero(&policy);
	policy.force = force;
	policy.now = time(NULL);
	policy.brake_pause_secs = list->set.brake_pause_secs;
	list->boxes = NULL;
	ret = boxes_ask_within(list->known, list->session, &policy,
			       within_msecs, fault);
	if (ret != 0)
		return ret;
	list->boxes = boxes_known(list->known);
	list->boxes_timeval = ioloop_timeval;
	list->boxes_time = ioloop_time;
	list->late_since = 0;
	i_free(list->logged);
	known_log_skipped(list);
	return 0;
}

static bool known_is_late(const struct bridge_mailbox_list *list)
{
	return list->late_since != 0 && ioloop_time >= list->late_since &&
		ioloop_time - list->late_since < LIST_LATE_SECS;
}

/* One command may ask for each mailbox (LIST with STATUS, NOTIFY): it waits once for a
   store that hangs. */
static int
known_refresh_once(struct bridge_mailbox_list *list, bool force,
		   struct fault *fault)
{
	uint64_t start = clock_msecs();

	if (!force && timeval_cmp(&list->hung_timeval, &ioloop_timeval) == 0)
		return fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: has not answered \"LIST\" for this command, and "
			"is not asked again", list->set.argv[0]);
	if (known_ask(list, force, UINT_MAX, fault) == 0)
		return 0;
	if (known_is_late(list) ||
	    clock_msecs() - start >= LIST_KNOWN_MSECS)
		list->hung_timeval = ioloop_timeval;
	return -1;
}

int bridge_known_refresh(struct bridge_mailbox_list *list, bool force)
{
	struct fault fault;

	if (known_prepare(list, &fault) < 0 ||
	    known_refresh_once(list, force, &fault) < 0)
		return bridge_fault_list(&list->list, &fault);
	return 0;
}

/* --- a list of all mailboxes --------------------------------------------- */

/* How long a list of all mailboxes waits for this store. */
static unsigned int known_patience(struct bridge_mailbox_list *list)
{
	if (known_is_late(list))
		return LIST_LATE_MSECS;
	return boxes_are_known(list->known) ? LIST_KNOWN_MSECS :
		LIST_FIRST_MSECS;
}

/* As known_ask(). A store that hangs may be a fault, too, after a while. */
static int known_ask_patiently(struct bridge_mailbox_list *list,
			       struct fault *fault)
{
	unsigned int msecs = known_patience(list);
	uint64_t start = clock_msecs();
	int ret = known_ask(list, FALSE, msecs, fault);

	if (ret > 0)
		(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
				"%s: has not answered \"LIST\" for %u ms",
				list->set.argv[0], msecs);
	if (ret != 0 && msecs != LIST_LATE_MSECS &&
	    clock_msecs() - start >= LIST_KNOWN_MSECS)
		list->late_since = time(NULL);
	return ret;
}

/* Lists are asked for all the time: one line tells it, and another one a while later. */
static void known_log_fault(struct bridge_mailbox_list *list,
			    const struct fault *fault)
{
	if (null_strcmp(list->logged, fault->log) == 0 &&
	    ioloop_time - list->logged_time < LIST_LOG_AGAIN_SECS) {
		e_debug(list->event, "%s", fault->log);
		return;
	}
	i_free(list->logged);
	list->logged = i_strdup(fault->log);
	list->logged_time = ioloop_time;
	e_error(list->list.ns->user->event, "bridge: %s%s", fault->log,
		boxes_are_known(list->known) ? ": the mailboxes that are known "
		"are shown" : "");
}

/* A store that is all that the user has hides nothing: the client is told. */
static bool known_is_alone(const struct bridge_mailbox_list *list)
{
	const struct mail_namespace *ns;

	for (ns = list->list.ns->user->namespaces; ns != NULL; ns = ns->next) {
		if (ns != list->list.ns && ns->alias_for != list->list.ns)
			return FALSE;
	}
	return TRUE;
}

int bridge_known_show(struct bridge_mailbox_list *list)
{
	struct fault fault;
	int ret;

	if (known_is_alone(list))
		return bridge_known_refresh(list, FALSE);
	ret = known_prepare(list, &fault);
	if (ret < 0)
		return bridge_fault_list(&list->list, &fault);
	if (timeval_cmp(&list->failed_timeval, &ioloop_timeval) != 0) {
		if (known_ask_patiently(list, &fault) == 0)
			return 0;
		list->failed_timeval = ioloop_timeval;
		known_log_fault(list, &fault);
	}
	/* good for this list alone */
	list->boxes = NULL;
	if (boxes_are_known(list->known)) {
		list->boxes = boxes_known(list->known);
		list->boxes_time = 0;
		return 0;
	}
	mailbox_list_set_error(&list->list, MAIL_ERROR_UNAVAILABLE,
			       fault_code_text(FAULT_UNAVAILABLE));
	return -1;
}

/* --- one of them --------------------------------------------------------- */

static bool known_is_fresh(const struct bridge_mailbox_list *list)
{
	return list->boxes != NULL && list->boxes_time == ioloop_time;
}

void bridge_known_expire(struct bridge_mailbox_list *list)
{
	if (!known_is_fresh(list))
		list->boxes = NULL;
}

int bridge_known_lookup(struct bridge_mailbox_list *list, const char *name,
			const struct listing_box **box_r)
{
	if (known_is_fresh(list)) {
		*box_r = listing_box_find(list->boxes, view_of(name));
		if (*box_r != NULL && (*box_r)->missing_since == 0)
			return 0;
	}
	*box_r = NULL;
	if (bridge_known_refresh(list, FALSE) < 0)
		return -1;
	*box_r = listing_box_find(list->boxes, view_of(name));
	return 0;
}

enum mailbox_info_flags bridge_known_flags(const struct listing_box *box)
{
	enum mailbox_info_flags flags = 0;
	struct view rest, elem;
	unsigned int i;

	if (box->flags == NULL)
		return 0;
	rest = view_of(box->flags);
	while (wire_list_next(&rest, &elem)) {
		for (i = 0; i < N_ELEMENTS(box_flags); i++) {
			if (view_is_nocase(elem, box_flags[i].name))
				flags |= box_flags[i].flag;
		}
	}
	return flags;
}

void bridge_known_special_use(enum mailbox_info_flags flags, string_t *names)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(box_flags); i++) {
		if ((flags & box_flags[i].flag &
		     MAILBOX_SPECIALUSE_MASK) == 0)
			continue;
		if (str_len(names) > 0)
			str_append_c(names, ' ');
		str_append(names, box_flags[i].name);
	}
}
