#include "conf.h"
#include "conf-line.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#ifndef DOVECOT_PROGRAM
#  define DOVECOT_PROGRAM "/usr/sbin/dovecot"
#endif
#ifndef MODULEDIR
#  define MODULEDIR "/usr/lib/dovecot/modules"
#endif
#define PLUGIN_NAME "lib20_bridge_plugin.so"

/* --- which Dovecot ------------------------------------------------------- */

/* The first bytes of what a program prints. Returns false if it cannot be run. */
static bool read_output(char *const argv[], char *text, size_t size)
{
	static char *const no_environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], status, ret;
	ssize_t len;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, fds[1],
					       STDOUT_FILENO);
	ret = posix_spawn(&pid, argv[0], &actions, NULL, argv, no_environment);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[1]);
	len = ret == 0 ? read(fds[0], text, size - 1) : 0;
	(void)close(fds[0]);
	while (ret == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, " \n")] = '\0';
	return len > 0;
}

static const struct conf_dialect *find_dialect(void)
{
	char program[] = DOVECOT_PROGRAM, option[] = "--version";
	char *argv[] = { program, option, NULL };
	char version[64];

	if (!read_output(argv, version, sizeof(version)) ||
	    strncmp(version, "2.4.", 4) == 0)
		return &conf_24;
	if (strncmp(version, "2.3.", 4) == 0)
		return &conf_23;
	tool_fail(EX_UNAVAILABLE, "%s is Dovecot %s: 2.3 and 2.4 are known "
		  "here", DOVECOT_PROGRAM, version);
}

const struct conf_dialect *conf_dialect(void)
{
	static const struct conf_dialect *dialect;

	if (dialect == NULL)
		dialect = find_dialect();
	return dialect;
}

/* --- lines --------------------------------------------------------------- */

void conf_value(struct buf *conf, const char *key, const char *value)
{
	conf_line(conf, key, value, conf_dialect()->variable);
}

void conf_raw_value(struct buf *conf, const char *key, const char *value)
{
	conf_line(conf, key, value, NULL);
}

void conf_common(struct buf *conf, const char *state, const char *run)
{
	char *plugin = tool_find(PLUGIN_NAME, MODULEDIR);
	struct buf folder = { NULL, 0, 0 };

	conf_check_line("the home folder", tool_home());
	*strrchr(plugin, '/') = '\0';
	buf_append_str(conf, conf_dialect()->plugins);
	buf_append_str(conf,
		"log_path = /dev/stderr\n"
		"ssl = no\n"
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
	/* Dovecot 2.4 does not take it from the environment */
	conf_value(conf, "mail_home", tool_home());
	buf_printf(&folder, "%s/mail", state);
	conf_dialect()->location(conf, folder.p);
	buf_free(&folder);
	free(plugin);
}

void conf_check_line(const char *what, const char *text)
{
	if (strpbrk(text, "\r\n") != NULL)
		tool_fail(EX_USAGE, "%s cannot have a line end in it: it goes "
			  "into a file of lines", what);
}

void conf_check_option(const char *arg)
{
	const char *end = strchr(arg, '='), *own = strstr(arg, "/bridge_");

	if (end == NULL || end == arg)
		tool_fail(EX_USAGE, "-o %s: write SETTING=VALUE", arg);
	/* there is one backend, and nobody would read it there */
	if (own != NULL && own < end)
		tool_fail(EX_USAGE, "-o %s: write it without a section, %s", arg,
			  own + 1);
}

bool conf_is_ours(const char *arg)
{
	return strncmp(arg, "bridge_", strlen("bridge_")) == 0;
}

static void env_add(char **env, size_t *count, const char *name,
		    const char *value)
{
	struct buf text = { NULL, 0, 0 };

	if (value == NULL)
		return;
	buf_printf(&text, "%s=%s", name, value);
	env[(*count)++] = text.p;
}

/* In Dovecot 2.4 an imap without a master forgets all but what the last of them names. */
char **conf_environment(const char *settings)
{
	static const char *const keep[] = { "PATH", "LANG", "LC_ALL", "TZ",
		"TMPDIR" };
	char **env = mem_new(sizeof(keep) / sizeof(keep[0]) + 5, sizeof(*env));
	size_t i, count = 0;

	for (i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
		env_add(env, &count, keep[i], getenv(keep[i]));
	env_add(env, &count, "USER", tool_user());
	env_add(env, &count, "HOME", tool_home());
	env_add(env, &count, CONF_SETTINGS_ENV, settings);
	env_add(env, &count, "DOVECOT_PRESERVE_ENVS", "USER HOME " CONF_KEEP);
	return env;
}
