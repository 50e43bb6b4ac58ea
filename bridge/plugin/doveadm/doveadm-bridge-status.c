/* doveadm bridge status: how a user's sessions with the backend fare, or, if there is
 * none, what comes of starting one. doveadm-bridge.c says why symbols are weak. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "eacces-error.h"
#include "strescape.h"
#include "str.h"
#include "str-sanitize.h"
#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "bridge-maps.h"
#include "bridge-paths.h"
#include "bridge-private.h"
#include "bridge-status.h"

#include "listing.h"

#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#pragma weak doveadm_cmd_param_bool
#pragma weak doveadm_mail_cmd_alloc_size
#pragma weak doveadm_mail_failed_error
#pragma weak doveadm_print
#pragma weak doveadm_print_header
#pragma weak doveadm_print_init
#pragma weak doveadm_print_num

#define UNKNOWN "-"
#define PROBE_MSECS 15000	/* how long a list is waited for */
#define MAP_LOCK_MSECS 1000	/* a map that is in use for longer is in use */

struct status_cmd {
	struct doveadm_mail_cmd_context ctx;
	bool start;			/* --start */
};

static const char *const status_columns[] = {
	"namespace", "service", "pid", "state", "program", "copy", "caps",
	"requests", "errors", "restarts", "since", "idle", "error", "when",
};

/* --- what to do ---------------------------------------------------------- */

static const char *status_advice_execute(const char *program)
{
	struct stat st;

	if (stat(program, &st) < 0)
		return t_strdup_printf("let this user reach it: %s",
				       eacces_error_get("stat", program));
	return t_strdup_printf("let this user execute it: it belongs to uid "
		"%ld and gid %ld, with mode %04o", (long)st.st_uid,
		(long)st.st_gid, st.st_mode & 07777U);
}

/* Of a backend that does not answer as it should. */
static const char *
status_advice(struct bridge_mailbox_list *list, bool config_exit)
{
	const char *program = list->set.argv[0];

	if (*program == '/' && access(program, X_OK) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return "bridge_command names a program that is not "
				"there: install it, or correct the setting";
		if (errno == EACCES)
			return status_advice_execute(program);
	}
	if (config_exit)
		return "it says that its configuration is wrong (status 78): "
			"its last words say what; once that is mended, the "
			"next session starts it";
	return t_strdup_printf("try it by hand, as this user: dovebridge ls "
		"-- %s", t_strarray_join((const char *const *)list->set.argv,
					 " "));
}

static void
status_problem(struct status_cmd *cmd, struct bridge_mailbox_list *list,
	       int exit_code, const char *problem, const char *advice)
{
	e_error(list->event, "%s; %s", problem, advice);
	cmd->ctx.exit_code = exit_code;
}

/* --- a row --------------------------------------------------------------- */

static const char *status_time(uint64_t secs)
{
	time_t t = (time_t)secs;
	const struct tm *tm = localtime(&t);
	char text[64];

	if (secs == 0 || tm == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", tm) == 0)
		return UNKNOWN;
	return t_strdup(text);
}

static void status_print_text(const char *text)
{
	doveadm_print(text == NULL || *text == '\0' ? UNKNOWN :
		      str_sanitize_utf8(text, SIZE_MAX));
}

static const char *status_state(const struct bridge_status_seen *seen)
{
	uint64_t now = (uint64_t)time(NULL);

	if (seen->copy != 0)
		return "runs";
	if (seen->pause_until == UINT64_MAX)
		return "refused";
	if (seen->pause_until > now)
		return t_strdup_printf("paused %"PRIu64" s",
				       seen->pause_until - now);
	return seen->error_time != 0 ? "failed" : "ended";
}

static void
status_print(const struct bridge_status_seen *seen, const char *state)
{
	uint64_t now = (uint64_t)time(NULL);

	status_print_text(seen->name_space);
	status_print_text(seen->service);
	doveadm_print_num(seen->pid);
	doveadm_print(state);
	status_print_text(seen->program);
	if (seen->copy != 0)
		doveadm_print_num(seen->copy);
	else
		doveadm_print(UNKNOWN);
	status_print_text(seen->caps);
	doveadm_print_num(seen->requests);
	doveadm_print_num(seen->errors);
	doveadm_print_num(seen->starts > 0 ? seen->starts - 1 : 0);
	doveadm_print(status_time(seen->since));
	doveadm_print(seen->idle_since == 0 || seen->idle_since > now ?
		      UNKNOWN : t_strdup_printf("%"PRIu64" s",
						now - seen->idle_since));
	status_print_text(seen->error);
	doveadm_print(status_time(seen->error_time));
}

/* --- the store ----------------------------------------------------------- */

/* Returns 0 if the store gives a list of mailboxes at the moment, -1 and a fault. */
static int status_probe(struct bridge_mailbox_list *list, struct fault *fault)
{
	struct listing_boxes boxes;
	int ret = listing_boxes_within(list->session, PROBE_MSECS, &boxes,
				       fault);

	if (ret == 0)
		listing_boxes_free(&boxes);
	else if (ret > 0)
		ret = fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: has not answered \"LIST\" for %d s",
			list->set.argv[0], PROBE_MSECS / 1000);
	return ret;
}

/* Begin a session, and see. shown: others are, and this one only if it fails. */
static void
status_try(struct status_cmd *cmd, struct bridge_mailbox_list *list, bool shown)
{
	struct bridge_status_seen seen;
	struct fault fault;
	int ret = status_probe(list, &fault);

	if (ret == 0 && shown)
		return;
	bridge_status_fill(list, &seen);
	status_print(&seen, ret == 0 ? "works" : "fails");
	if (ret < 0)
		status_problem(cmd, list, EX_UNAVAILABLE, fault.log,
			       status_advice(list,
				session_pause_msecs(list->session) ==
				UINT64_MAX));
}

static void
status_running(struct status_cmd *cmd, struct bridge_mailbox_list *list,
	       const struct bridge_status_seen *seen)
{
	status_print(seen, status_state(seen));
	/* one that broke once and runs again is no problem of now */
	if (seen->copy == 0 && seen->error_time != 0)
		status_problem(cmd, list, EX_UNAVAILABLE, seen->error,
			       status_advice(list, seen->pause_until ==
					     UINT64_MAX));
}

/* --- the maps ------------------------------------------------------------ */

static void
status_map(struct status_cmd *cmd, struct bridge_mailbox_list *list,
	   const struct bridge_map_file *file)
{
	struct idmap *map = idmap_init(file->path);
	struct fault fault;
	int ret;

	idmap_set_readonly(map);
	ret = idmap_lock(map, MAP_LOCK_MSECS, NULL, NULL, &fault);
	if (ret == 0)
		ret = idmap_open(map, &fault);
	if (ret > 0)
		ret = idmap_load(map, &fault) < 0 ? -1 : 1;
	if (ret < 0 && fault.code != FAULT_BUSY) {
		status_problem(cmd, list, EX_DATAERR, t_strdup_printf(
			"mailbox %s: %s", file->vname, fault.log),
			fault.code == FAULT_INTERNAL ?
			"put the file back from a backup, or remove it: then "
			"the mailbox gets another UIDVALIDITY" :
			"let this user read and write it");
	} else if (ret > 0 && idmap_brake(map) != 0) {
		status_problem(cmd, list, EX_DATAERR, t_strdup_printf(
			"mailbox %s: since %s the store does not list "
			"messages that it had: they are kept", file->vname,
			status_time((uint64_t)idmap_brake(map))),
			t_strdup_printf("if they are gone for good: doveadm "
				"force-resync -u %s %s",
				list->list.ns->user->username, file->vname));
	}
	idmap_deinit(&map);
}

static int
status_maps(struct status_cmd *cmd, struct bridge_mailbox_list *list)
{
	pool_t pool = pool_alloconly_create("bridge maps", 4096);
	ARRAY_TYPE(bridge_map_file) maps;
	const struct bridge_map_file *file;
	int ret = bridge_maps_find(list, pool, &maps);

	if (ret < 0) {
		status_problem(cmd, list, EX_NOPERM, t_strdup_printf(
			"%s: the folder of the maps cannot be read: %m",
			bridge_paths_control(list)),
			"it must belong to this user");
	} else {
		array_foreach(&maps, file) T_BEGIN {
			status_map(cmd, list, file);
		} T_END;
	}
	pool_unref(&pool);
	return ret;
}

/* --- the command --------------------------------------------------------- */

static void
status_run_list(struct status_cmd *cmd, struct bridge_mailbox_list *list)
{
	const char *name = list->list.ns->set->name;
	pool_t pool = pool_alloconly_create("bridge status", 4096);
	ARRAY_TYPE(bridge_status_seen) all;
	const struct bridge_status_seen *seen;
	bool found = FALSE;

	bridge_status_find(list, pool, &all);
	array_foreach(&all, seen) {
		if (strcmp(seen->name_space, name == NULL ? "" : name) != 0)
			continue;
		found = TRUE;
		T_BEGIN {
			status_running(cmd, list, seen);
		} T_END;
	}
	/* what sessions have seen is of some time ago */
	status_try(cmd, list, found && !cmd->start);
	(void)status_maps(cmd, list);
	pool_unref(&pool);
}

static int
status_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct status_cmd *cmd = container_of(ctx, struct status_cmd, ctx);
	struct mail_namespace *ns;
	bool bridged = FALSE;

	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (ns->alias_for != NULL ||
		    strcmp(ns->list->name, BRIDGE_LIST_NAME) != 0)
			continue;
		bridged = TRUE;
		T_BEGIN {
			status_run_list(cmd, BRIDGE_LIST(ns->list));
		} T_END;
	}
	if (bridged)
		return 0;
	e_error(user->event, "bridge: the user has no location bridge:");
	doveadm_mail_failed_error(ctx, MAIL_ERROR_NOTFOUND);
	return -1;
}

static void
status_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	struct status_cmd *cmd = container_of(ctx, struct status_cmd, ctx);
	unsigned int i;

	(void)doveadm_cmd_param_bool(ctx->cctx, "start", &cmd->start);
	for (i = 0; i < N_ELEMENTS(status_columns); i++)
		doveadm_print_header(status_columns[i], status_columns[i], 0);
}

static struct doveadm_mail_cmd_context *status_alloc(void)
{
	struct status_cmd *cmd = doveadm_mail_cmd_alloc(struct status_cmd);

	COMPAT_DOVEADM_OPTIONS(&cmd->ctx, "s");
	cmd->ctx.v.init = status_init;
	cmd->ctx.v.run = status_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_FLOW);
	return &cmd->ctx;
}

struct doveadm_cmd_ver2 doveadm_bridge_status_command = {
	.name = "bridge status",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "[--start]",
	.mail_cmd = status_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('s', "start", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
