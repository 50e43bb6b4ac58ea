/* The words of Dovecot 2.4. Its doveconf knows our settings by a module that must lie in
 * Dovecot's own folder. Nothing is installed here, so they stand in a file of their own,
 * which the environment names to the plugin: no variable is expanded there. */
#include "conf.h"
#include "conf-line.h"
#include "tool.h"
#include "wire.h"

#define VARIABLE "%{"	/* "%%{" is none */

static const char *const chroots[] = { "imap-login", "pop3-login", NULL };

static const struct conf_service unused[] = {
	{ "auth", "token-login/tokenlogin" },
	{ "dict", "dict" },
	{ "dict-async", "dict-async" },
	{ "dns-client", "dns-client" },
	{ "dns-client", "login/dns-client" },
	{ "doveadm", "doveadm-server" },
	{ "imap-hibernate", "imap-hibernate" },
	{ "imap-urlauth", "token-login/imap-urlauth" },
	{ "imap-urlauth-login", "imap-urlauth" },
	{ "imap-urlauth-worker", "imap-urlauth-worker" },
	{ "log", "log-errors" },
	{ "stats", "stats-reader" },
	{ "stats", "stats-writer" },
	{ "stats", "login/stats-writer" },
	{ NULL, NULL }
};

/* As settings-24.c reads it. */
static void add_ours(struct buf *out, const char *key, const char *value,
		     bool literal)
{
	(void)literal;
	buf_printf(out, "%s ", key);
	wire_encode(view_of(value), out);
	buf_append_c(out, '\n');
}

static void add_location(struct buf *conf, const char *folder)
{
	buf_append_str(conf, "mail_driver = bridge\n"
		       "mailbox_list_layout = bridge\n");
	conf_line(conf, "mail_path", folder, VARIABLE);
}

static void add_users(struct buf *conf, const char *passwords)
{
	buf_append_str(conf, "passdb passwd-file {\n");
	conf_line(conf, "passwd_file_path", passwords, VARIABLE);
	buf_append_str(conf, "}\nuserdb passwd-file {\n");
	conf_line(conf, "passwd_file_path", passwords, VARIABLE);
	buf_append_str(conf, "}\n");
}

static void add_option(struct buf *conf, const char *key, const char *value)
{
	conf_line(conf, key, value, NULL);
}

const struct conf_dialect conf_24 = {
	.first =
		"dovecot_config_version = 2.4.1\n"
		"dovecot_storage_version = 2.4.1\n",
	.plugins = "mail_plugins {\n  bridge = yes\n}\n",
	.ours_apart = true,
	/* with a value of nothing, each stays as it is, even with blanks in it */
	.environment = "import_environment {\n"
		"  PATH =\n  LANG =\n  LC_ALL =\n  TZ =\n  TMPDIR =\n"
		"  " CONF_SETTINGS_ENV " =\n"
		"}\n",
	.access =
		"auth_allow_cleartext = yes\n"
		"auth_username_chars =\n"
		"auth_username_format = %{user}\n",
	.variable = VARIABLE,
	.listen = "listen",
	.chroots = chroots,
	.unused = unused,
	.ours = add_ours,
	.location = add_location,
	.users = add_users,
	.option = add_option,
};
