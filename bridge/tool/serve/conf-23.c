/* The words of Dovecot 2.3. */
#include "conf.h"
#include "conf-line.h"
#include "tool.h"

#include <stdlib.h>

#define VARIABLE "%"

static const char *const chroots[] = { "anvil", "imap-login", "ipc", "old-stats",
	"pop3-login", "stats", NULL };

static const struct conf_service unused[] = {
	{ "aggregator", "replication-notify" },
	{ "auth", "token-login/tokenlogin" },
	{ "dict", "dict" },
	{ "dict-async", "dict-async" },
	{ "director", "director-admin" },
	{ "dns-client", "dns-client" },
	{ "dns-client", "login/dns-client" },
	{ "doveadm", "doveadm-server" },
	{ "imap-hibernate", "imap-hibernate" },
	{ "imap-urlauth", "token-login/imap-urlauth" },
	{ "imap-urlauth-login", "imap-urlauth" },
	{ "imap-urlauth-worker", "imap-urlauth-worker" },
	{ "ipc", "ipc" },
	{ "ipc", "login/ipc-proxy" },
	{ "log", "log-errors" },
	{ "old-stats", "old-stats" },
	{ "replicator", "replicator" },
	{ "replicator", "replicator-doveadm" },
	{ "stats", "stats-reader" },
	{ "stats", "stats-writer" },
	{ "stats", "login/stats-writer" },
	{ NULL, NULL }
};

static void add_ours(struct buf *out, const char *key, const char *value,
		     bool literal)
{
	conf_line(out, key, value, literal ? VARIABLE : NULL);
}

static void add_location(struct buf *conf, const char *folder)
{
	struct buf value = { NULL, 0, 0 };

	buf_append_str(&value, "bridge:");
	for (; *folder != '\0'; folder++) {
		if (*folder == ':')
			buf_append_c(&value, ':');
		buf_append_c(&value, *folder);
	}
	conf_line(conf, "mail_location", value.p, VARIABLE);
	buf_free(&value);
}

static void add_users(struct buf *conf, const char *passwords)
{
	struct buf args = { NULL, 0, 0 };

	buf_printf(&args, "username_format=%%u %s", passwords);
	buf_append_str(conf, "passdb {\n  driver = passwd-file\n");
	conf_line(conf, "args", args.p, NULL);
	buf_append_str(conf, "}\nuserdb {\n  driver = passwd-file\n");
	conf_line(conf, "args", args.p, NULL);
	buf_append_str(conf, "}\n");
	buf_free(&args);
}

/* "plugin" is a section by itself, others have a name: two parts. */
static void add_option(struct buf *conf, const char *key, const char *value)
{
	char *copy = mem_strdup(key), *part = copy, *next;
	unsigned int depth = 0;

	for (; (next = strchr(part, '/')) != NULL; part = next) {
		*next++ = '\0';
		buf_append_str(conf, part);
		if (strcmp(part, "plugin") != 0) {
			part = next;
			next = strchr(part, '/');
			if (next == NULL)
				tool_fail(EX_USAGE, "-o %s: the section has no "
					  "name", key);
			*next++ = '\0';
			buf_printf(conf, " %s", part);
		}
		buf_append_str(conf, " {\n");
		depth++;
	}
	conf_line(conf, part, value, NULL);
	for (; depth > 0; depth--)
		buf_append_str(conf, "}\n");
	free(copy);
}

const struct conf_dialect conf_23 = {
	.first = "",
	.plugins = "mail_plugins = bridge\n",
	.environment = "import_environment = " CONF_KEEP "\n",
	.access =
		"disable_plaintext_auth = no\n"
		"auth_username_chars =\n"
		"auth_username_format = %u\n",
	.variable = VARIABLE,
	.listen = "address",
	.chroots = chroots,
	.unused = unused,
	.ours = add_ours,
	.location = add_location,
	.users = add_users,
	.option = add_option,
};
