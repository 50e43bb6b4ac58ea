/* doveadm bridge map: shows the maps of a user's mailboxes, and looks whether
 * anything is wrong with them. (doveadm-bridge(1))
 *
 * Plugins of doveadm itself lie in one folder, wherever mail_plugin_dir leads to. But
 * it loads mail_plugins, too, and before it looks for the command (doveadm.c, 2.3.19),
 * so the command is a part of this plugin. They are only loaded then, and initialised
 * for the first user: hence the constructor. What doveadm alone has is a weak symbol:
 * NULL in all other processes. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "imap-match.h"
#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "bridge-maps.h"
#include "bridge-private.h"
#include "doveadm-bridge.h"

#include "flags.h"
#include "wire.h"

#include <sysexits.h>

#pragma weak doveadm_cmd_param_array
#pragma weak doveadm_cmd_param_bool
#pragma weak doveadm_cmd_register_ver2
#pragma weak doveadm_mail_cmd_alloc_size
#pragma weak doveadm_mail_failed_error
#pragma weak doveadm_print
#pragma weak doveadm_print_header
#pragma weak doveadm_print_init
#pragma weak doveadm_print_num

#define PROBLEMS_MAX 20		/* that are told of one map */
#define UNKNOWN "-"		/* what a map that cannot be read does not tell */

struct map_cmd {
	struct doveadm_mail_cmd_context ctx;
	bool check;		/* --check */
	bool messages;		/* --messages */
	const char *const *masks;	/* of mailboxes; NULL = all */

	/* the map that is being looked at */
	const struct bridge_map_file *file;
	unsigned int problems;
	const char *problem;	/* the first; NULL = none */
};

/* --- texts from outside -------------------------------------------------- */

/* A word of the map as it stands there, but harmless on a terminal. */
static const char *map_word(struct view word)
{
	struct buf shown = { NULL, 0, 0 };
	const char *text;

	wire_show(word, &shown);
	text = t_strdup(buf_str(&shown));
	buf_free(&shown);
	return text;
}

/* What is no word of the map. */
static const char *map_text(const char *text)
{
	size_t size = strlen(text) + 1;

	return fault_sanitise(t_malloc_no0(size), size, view_of(text));
}

static const char *map_name(const struct map_cmd *cmd)
{
	return map_text(cmd->file->vname);
}

/* --- what is wrong ------------------------------------------------------- */

static void map_found(void *context, const char *text)
{
	struct map_cmd *cmd = context;
	struct event *event = cmd->ctx.cur_mail_user->event;

	if (cmd->problem == NULL)
		cmd->problem = p_strdup(cmd->ctx.pool, text);
	if (cmd->problems++ < PROBLEMS_MAX)
		e_error(event, "bridge: mailbox %s: %s", map_name(cmd), text);
	cmd->ctx.exit_code = EX_DATAERR;
}

/* It cannot be said whether the map is sound, or it is not. */
static void map_fault(struct map_cmd *cmd, const struct fault *fault)
{
	map_found(cmd, fault->log);
	if (fault->code != FAULT_INTERNAL)
		cmd->ctx.exit_code = EX_TEMPFAIL;
}

static void map_found_end(struct map_cmd *cmd)
{
	if (cmd->problems > PROBLEMS_MAX)
		e_error(cmd->ctx.cur_mail_user->event,
			"bridge: mailbox %s: %u more of that kind",
			map_name(cmd), cmd->problems - PROBLEMS_MAX);
}

/* --- what is shown ------------------------------------------------------- */

/* Numbers are strings in JSON, as doveadm mailbox status has them: of a map that
   cannot be read there are none. */
static void map_header(const char *key, bool number)
{
	doveadm_print_header(key, key, number ?
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY : 0);
}

static const struct {
	const char *key;
	bool number;
} map_columns[] = {
	{ "mailbox", FALSE }, { "uidvalidity", TRUE }, { "nextuid", TRUE },
	{ "messages", TRUE }, { "pending", TRUE }, { "bytes", TRUE },
	{ "generation", TRUE }, { "guid", FALSE }, { "compact", FALSE },
	{ "state", FALSE }, { "problem", FALSE },
}, message_columns[] = {
	{ "mailbox", FALSE }, { "uid", TRUE }, { "id", FALSE },
	{ "size", FALSE }, { "flags", FALSE }, { "pending", FALSE },
	{ "guid", FALSE },
};

/* The messages that have flags which are not pushed yet. */
static uintmax_t map_count_pending(const struct idmap *map)
{
	const struct idmap_known *known;
	uintmax_t pending = 0;
	size_t i, count;

	known = idmap_known(map, &count);
	for (i = 0; i < count; i++) {
		if (flags_has_marks(idmap_flags_text(map,
					idmap_known_flags(map, &known[i]))))
			pending++;
	}
	return pending;
}

static void map_print(struct map_cmd *cmd, struct idmap *map)
{
	const struct idmap_header *hdr = idmap_header(map);
	size_t count;

	(void)idmap_known(map, &count);
	doveadm_print(map_name(cmd));
	doveadm_print_num(hdr->uidvalidity);
	doveadm_print_num(hdr->next_uid);
	doveadm_print_num(count);
	doveadm_print_num(map_count_pending(map));
	doveadm_print_num(idmap_end(map));
	doveadm_print_num(hdr->generation);
	doveadm_print(guid_128_to_string(hdr->guid));
	doveadm_print(idmap_wants_compaction(map) ? "due" : "no");
	doveadm_print(map_word(view_of(hdr->state)));
	doveadm_print(cmd->problem == NULL ? UNKNOWN :
		      map_text(cmd->problem));
}

static void map_print_unreadable(struct map_cmd *cmd)
{
	unsigned int i;

	doveadm_print(map_name(cmd));
	for (i = 1; i + 1 < N_ELEMENTS(map_columns); i++)
		doveadm_print(UNKNOWN);
	doveadm_print(map_text(cmd->problem));
}

static void
map_print_message(struct map_cmd *cmd, const struct idmap *map,
		  const struct idmap_entry *entry)
{
	struct buf flags = { NULL, 0, 0 }, pending = { NULL, 0, 0 };
	guid_128_t guid;

	flags_unmarked(entry->flags, &flags);
	flags_marked(entry->flags, &pending);
	idmap_guid(idmap_header(map)->guid, entry, guid);
	doveadm_print(map_name(cmd));
	doveadm_print_num(entry->uid);
	doveadm_print(map_word(entry->id));
	doveadm_print(entry->size == WIRE_SIZE_UNKNOWN ? UNKNOWN :
		      t_strdup_printf("%"PRIu64, entry->size));
	doveadm_print(map_word(view_of_buf(&flags)));
	doveadm_print(map_word(view_of_buf(&pending)));
	doveadm_print(guid_128_to_string(guid));
	buf_free(&flags);
	buf_free(&pending);
}

static void map_print_messages(struct map_cmd *cmd, struct idmap *map)
{
	const struct idmap_known *known;
	struct buf buf = { NULL, 0, 0 };
	struct idmap_entry entry;
	struct fault fault;
	size_t i, count;
	int ret = 1;

	known = idmap_known(map, &count);
	for (i = 0; i < count && ret > 0; i++) T_BEGIN {
		ret = idmap_lookup(map, known[i].uid, &entry, &buf, &fault);
		if (ret > 0)
			map_print_message(cmd, map, &entry);
		else if (ret < 0)
			map_fault(cmd, &fault);
	} T_END;
	buf_free(&buf);
}

/* --- one map ------------------------------------------------------------- */

/* Returns 1 if it is loaded, 0 if it is gone, -1 and a fault. */
static int map_load(struct map_cmd *cmd, struct idmap *map,
		    struct fault *fault)
{
	int ret = idmap_open(map, fault);

	if (ret <= 0)
		return ret;
	if (!cmd->check)
		return idmap_load(map, fault) < 0 ? -1 : 1;
	if (idmap_check(map, map_found, cmd, fault) < 0)
		return -1;
	bridge_maps_check_index(cmd->file, map, map_found, cmd);
	return 1;
}

static void map_show(struct map_cmd *cmd, struct bridge_mailbox_list *list)
{
	struct idmap *map = idmap_init(cmd->file->path);
	struct fault fault;
	int ret;

	cmd->problems = 0;
	cmd->problem = NULL;
	idmap_set_readonly(map);
	ret = idmap_lock(map, list->set.lock_timeout_msecs, NULL, NULL, &fault);
	if (ret == 0)
		ret = map_load(cmd, map, &fault);
	if (ret < 0)
		map_fault(cmd, &fault);
	if (cmd->messages && ret > 0)
		map_print_messages(cmd, map);
	map_found_end(cmd);
	if (!cmd->messages && ret > 0)
		map_print(cmd, map);
	else if (!cmd->messages && ret < 0)
		map_print_unreadable(cmd);
	idmap_deinit(&map);
}

/* --- the command --------------------------------------------------------- */

/* Returns how many mailboxes of a namespace the masks name, -1 if its maps cannot
   be found. */
static int map_run_list(struct map_cmd *cmd, struct bridge_mailbox_list *list)
{
	char sep = mail_namespace_get_sep(list->list.ns);
	ARRAY_TYPE(bridge_map_file) maps;
	const struct bridge_map_file *file;
	struct imap_match_glob *glob = NULL;
	pool_t pool = pool_alloconly_create("bridge maps", 4096);
	int count = 0;

	if (cmd->masks != NULL)
		glob = imap_match_init_multiple(pool, cmd->masks, TRUE, sep);
	if (bridge_maps_find(list, pool, &maps) < 0) {
		e_error(list->list.ns->user->event, "bridge: the folder "
			"of the maps cannot be read: %m");
		pool_unref(&pool);
		return -1;
	}
	array_foreach(&maps, file) T_BEGIN {
		if (glob == NULL ||
		    imap_match(glob, file->vname) == IMAP_MATCH_YES) {
			cmd->file = file;
			map_show(cmd, list);
			count++;
		}
	} T_END;
	pool_unref(&pool);
	return count;
}

static int
map_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct map_cmd *cmd = container_of(ctx, struct map_cmd, ctx);
	struct mail_namespace *ns;
	bool bridged = FALSE;
	int ret, count = 0;

	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (ns->alias_for != NULL ||
		    strcmp(ns->list->name, BRIDGE_LIST_NAME) != 0)
			continue;
		bridged = TRUE;
		ret = map_run_list(cmd, BRIDGE_LIST(ns->list));
		if (ret < 0) {
			doveadm_mail_failed_error(ctx, MAIL_ERROR_TEMP);
			return -1;
		}
		count += ret;
	}
	if (bridged && (count > 0 || cmd->masks == NULL))
		return 0;
	e_error(user->event, bridged ? "bridge: no mailbox of that name has "
		"a map" : "bridge: the user has no location bridge:");
	doveadm_mail_failed_error(ctx, MAIL_ERROR_NOTFOUND);
	return -1;
}

static void
map_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	struct map_cmd *cmd = container_of(ctx, struct map_cmd, ctx);
	unsigned int i;

	(void)doveadm_cmd_param_bool(ctx->cctx, "check", &cmd->check);
	(void)doveadm_cmd_param_bool(ctx->cctx, "messages", &cmd->messages);
	if (!doveadm_cmd_param_array(ctx->cctx, "mailbox-mask", &cmd->masks))
		cmd->masks = NULL;
	for (i = 0; cmd->messages && i < N_ELEMENTS(message_columns); i++)
		map_header(message_columns[i].key, message_columns[i].number);
	for (i = 0; !cmd->messages && i < N_ELEMENTS(map_columns); i++)
		map_header(map_columns[i].key, map_columns[i].number);
}

static struct doveadm_mail_cmd_context *map_alloc(void)
{
	struct map_cmd *cmd = doveadm_mail_cmd_alloc(struct map_cmd);

	COMPAT_DOVEADM_OPTIONS(&cmd->ctx, "cm");
	cmd->ctx.v.init = map_init;
	cmd->ctx.v.run = map_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_FLOW);
	return &cmd->ctx;
}

static struct doveadm_cmd_ver2 map_command = {
	.name = "bridge map",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"[--check] [--messages] [<mailbox mask> [...]]",
	.mail_cmd = map_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('c', "check", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('m', "messages", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "mailbox-mask", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

static void __attribute__((constructor)) doveadm_bridge_register(void)
{
	if (doveadm_cmd_register_ver2 != NULL) {
		doveadm_cmd_register_ver2(&map_command);
		doveadm_cmd_register_ver2(&doveadm_bridge_status_command);
	}
}
