/* What the session with a backend is made of, and where what it says goes: to the log, to
 * Dovecot's events, to doveadm's files, and to the client that waits. */
#include "lib.h"
#include "compat.h"
#include "bridge-event.h"
#include "bridge-private.h"
#include "bridge-session.h"
#include "bridge-status.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef LIBEXECDIR
#  define LIBEXECDIR "/usr/lib/dovebridge"
#endif

static void
session_log_event(void *context, enum session_log level, const char *text)
{
	struct bridge_mailbox_list *list = context;
	struct event *event = list->event;

	switch (level) {
	case SESSION_LOG_DEBUG:
		e_debug(event, "%s", text);
		break;
	case SESSION_LOG_INFO:
		e_info(event, "%s", text);
		break;
	case SESSION_LOG_WARNING:
		e_warning(event, "%s", text);
		break;
	case SESSION_LOG_ERROR:
		e_error(event, "%s", text);
		break;
	}
}

static void
session_tell(void *context, const struct session_report *report)
{
	bridge_event_report(context, report);
	bridge_status_report(context, report);
}

/* Whatever the store is asked for, a client waits for it. */
static void session_keep_client(void *context)
{
	struct bridge_mailbox_list *list = context;

	if (list->list.ns->storage != NULL)
		compat_notify_alive(list->list.ns->storage, &list->list);
}

/* The launcher lies beside this plugin when run from the build tree, else
   where it was installed. */
static const char *session_launcher(void)
{
	static const char here = '\0';	/* something of this plugin */
	char plugin[PATH_MAX];
	const char *slash, *path;
	Dl_info info;

	/* a folder of plugins may hold a link to this one */
	if (dladdr(&here, &info) != 0 &&
	    realpath(info.dli_fname, plugin) != NULL &&
	    (slash = strrchr(plugin, '/')) != NULL) {
		path = t_strdup_printf("%s/dovebridge-launch",
			t_strdup_until(plugin, slash));
		if (access(path, X_OK) == 0)
			return path;
	}
	return LIBEXECDIR"/dovebridge-launch";
}

void bridge_session_settings(struct bridge_mailbox_list *list,
			     struct session_settings *set_r)
{
	struct mail_user *user = list->list.ns->user;
	const char *home;

	i_zero(set_r);
	set_r->launcher = session_launcher();
	set_r->argv = (const char *const *)list->set.argv;
	set_r->user = list->owner.user->username;
	if (mail_user_get_home(list->owner.user, &home) > 0)
		set_r->home = home;
	set_r->cwd = list->set.directory;
	set_r->tmp_dir = user->set->mail_temp_dir;
	set_r->mode = user->service;
	set_r->timeout_msecs = list->set.timeout_msecs;
	set_r->caps_timeout_msecs = list->set.caps_timeout_msecs;
	set_r->grace_msecs = list->set.end_timeout_msecs;
	set_r->rawlog_dir = list->set.rawlog_dir;
	set_r->log = session_log_event;
	set_r->report = session_tell;
	set_r->alive = session_keep_client;
	set_r->context = list;
}
