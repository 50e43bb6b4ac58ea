#include "lib.h"
#include "compat.h"
#include "str.h"
#include "unichar.h"
#include "bridge-event.h"
#include "bridge-private.h"

#define BRIDGE_EVENT_SLOW_MSECS 1000	/* seconds are easier to read then */

struct event_category event_category_bridge = {
	.name = BRIDGE_STORAGE_NAME,
	.parent = &event_category_storage,
};

struct event *bridge_event_create(struct bridge_mailbox_list *list)
{
	struct mail_namespace *ns = list->list.ns;
	struct event *event = event_create(ns->user->event);

	event_add_category(event, &event_category_bridge);
	event_add_str(event, "namespace",
		      ns->set->name != NULL ? ns->set->name : "");
	event_add_str(event, "program", list->set.argv[0]);
	event_set_append_log_prefix(event, "bridge: ");
	return event;
}

/* What everybody calls the mailbox; NULL if it has no proper name. */
static const char *
bridge_event_vname(struct bridge_mailbox_list *list, struct view box)
{
	struct buf name = { NULL, 0, 0 };
	const char *vname = NULL;

	if (box.len > 0 && wire_decode(box, &name) == 0 &&
	    uni_utf8_str_is_valid(buf_str(&name)))
		vname = mailbox_list_get_vname(&list->list,
					       t_strdup(buf_str(&name)));
	buf_free(&name);
	return vname;
}

static const char *bridge_event_lasted(uint64_t usecs)
{
	if (usecs >= BRIDGE_EVENT_SLOW_MSECS * 1000)
		return t_strdup_printf("%"PRIu64".%03u s", usecs / 1000000,
				       (unsigned int)(usecs / 1000 % 1000));
	return t_strdup_printf("%"PRIu64".%03u ms", usecs / 1000,
			       (unsigned int)(usecs % 1000));
}

static void
bridge_event_started(struct bridge_mailbox_list *list,
		     const struct session_report *report)
{
	struct event_passthrough *e =
		event_create_passthrough(list->event)->
		set_name("bridge_backend_started")->
		add_int("pid", report->pid);

	e_debug(e->event(), "%s is started as process %ld",
		list->set.argv[0], (long)report->pid);
}

static void
bridge_event_exited(struct bridge_mailbox_list *list,
		    const struct session_report *report)
{
	struct event_passthrough *e =
		event_create_passthrough(list->event)->
		set_name("bridge_backend_exited")->
		add_int("pid", report->pid)->
		add_int("bytes_in", (intmax_t)report->bytes_in)->
		add_int("bytes_out", (intmax_t)report->bytes_out)->
		add_str("reason", report->how);
	struct event *event;

	if (report->status >= 0)
		e = e->add_int("exit_status", report->status);
	if (report->why != NULL)
		e = e->add_str("error", report->why);
	event = e->event();
	compat_event_lasted(event, report->duration_usecs);
	e_debug(event, "%s, process %ld, %s, %s after its start",
		list->set.argv[0], (long)report->pid, report->how,
		bridge_event_lasted(report->duration_usecs));
}

static void
bridge_event_finished(struct bridge_mailbox_list *list,
		      const struct session_report *report)
{
	const char *vname = bridge_event_vname(list, report->box);
	const char *verb = verb_info(report->verb)->name;
	const char *code = fault_code_name(report->fault == NULL ? FAULT_NONE :
					   report->fault->code);
	struct event_passthrough *e =
		event_create_passthrough(list->event)->
		set_name("bridge_request_finished")->
		add_str("verb", verb)->
		add_str("code", code)->
		/* empty, or it is that of the command that asks */
		add_str("mailbox", vname == NULL ? "" : vname)->
		add_int("bytes_in", (intmax_t)report->bytes_in)->
		add_int("bytes_out", (intmax_t)report->bytes_out);
	struct event *event;

	if (report->fault != NULL)
		e = e->add_str("error", report->fault->log);
	event = e->event();
	compat_event_lasted(event, report->duration_usecs);
	e_debug(event, "%s%s%s: %s in %s, %"PRIu64" bytes in, %"PRIu64" out",
		verb, vname == NULL ? "" : " ",
		vname == NULL ? "" : vname, code,
		bridge_event_lasted(report->duration_usecs),
		report->bytes_in, report->bytes_out);
}

void bridge_event_report(struct bridge_mailbox_list *list,
			 const struct session_report *report)
{
	if (!compat_event_may_be_wanted(list->event))
		return;
	T_BEGIN {
		switch (report->event) {
		case SESSION_STARTED:
			bridge_event_started(list, report);
			break;
		case SESSION_EXITED:
			bridge_event_exited(list, report);
			break;
		case SESSION_FINISHED:
			bridge_event_finished(list, report);
			break;
		}
	} T_END;
}
