#include "conf.h"
#include "tool.h"

#include <stdlib.h>

#ifndef MODULEDIR
#  define MODULEDIR "/usr/lib/dovecot/modules"
#endif
#define PLUGIN_NAME "lib20_bridge_plugin.so"

static void append_value(struct buf *conf, const char *key, const char *value,
			 bool literal)
{
	buf_printf(conf, "%s = \"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			buf_append_c(conf, '\\');
		if (*value == '%' && literal)
			buf_append_c(conf, '%');
		buf_append_c(conf, *value);
	}
	buf_append_str(conf, "\"\n");
}

void conf_value(struct buf *conf, const char *key, const char *value)
{
	append_value(conf, key, value, true);
}

void conf_raw_value(struct buf *conf, const char *key, const char *value)
{
	append_value(conf, key, value, false);
}

static void conf_location(struct buf *conf, const char *state)
{
	struct buf value = { NULL, 0, 0 };
	const char *p;

	buf_append_str(&value, "bridge:");
	for (p = state; *p != '\0'; p++) {
		if (*p == ':')
			buf_append_c(&value, ':');
		buf_append_c(&value, *p);
	}
	buf_append_str(&value, "/mail");
	conf_value(conf, "mail_location", value.p);
	buf_free(&value);
}

void conf_common(struct buf *conf, const char *state, const char *run)
{
	char *plugin = tool_find(PLUGIN_NAME, MODULEDIR);

	*strrchr(plugin, '/') = '\0';
	buf_append_str(conf,
		"log_path = /dev/stderr\n"
		"ssl = no\n"
		"mail_plugins = bridge\n"
		/* a message that cannot be read is a NO, not a lost
		   connection */
		"imap_fetch_failure = no-after\n"
		"namespace inbox {\n"
		"  inbox = yes\n"
		"  separator = /\n"
		"}\n");
	conf_value(conf, "base_dir", run);
	conf_value(conf, "state_dir", run);
	conf_value(conf, "mail_plugin_dir", plugin);
	conf_location(conf, state);
	free(plugin);
}

void conf_check_option(const char *arg)
{
	if (strchr(arg, '=') == NULL || arg[0] == '=')
		tool_fail(EX_USAGE, "-o %s: write SETTING=VALUE", arg);
}

char **conf_environment(void)
{
	static const char *const keep[] = { "PATH", "LANG", "LC_ALL", "TZ",
		"TMPDIR" };
	char **env = mem_new(sizeof(keep) / sizeof(keep[0]) + 3, sizeof(*env));
	struct buf text = { NULL, 0, 0 };
	size_t i, count = 0;

	for (i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		if (getenv(keep[i]) == NULL)
			continue;
		buf_printf(&text, "%s=%s", keep[i], getenv(keep[i]));
		env[count++] = mem_strdup(text.p);
		buf_clear(&text);
	}
	buf_printf(&text, "USER=%s", tool_user());
	env[count++] = mem_strdup(text.p);
	buf_clear(&text);
	buf_printf(&text, "HOME=%s", tool_home());
	env[count++] = text.p;
	return env;
}
