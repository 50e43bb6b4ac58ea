/* What the user set with -o comes before the part that keeps others out, so that
 * that has the last word. */
#include "serve-conf.h"
#include "conf.h"
#include "file.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void check_line(const char *what, const char *text)
{
	if (strpbrk(text, "\r\n") != NULL)
		tool_fail(EX_USAGE, "%s cannot have a line end in it: it goes "
			  "into a file of lines", what);
}

void serve_conf_option(struct serve_conf *conf, const char *arg)
{
	struct buf key = { NULL, 0, 0 };
	char *part, *next;
	unsigned int depth = 0;

	conf_check_option(arg);
	check_line("-o", arg);
	if (strncmp(arg, "bridge_", 7) == 0)
		buf_append_str(&key, "plugin/");
	buf_append(&key, arg, strcspn(arg, "="));
	/* "plugin" is a section by itself, others have a name: two parts */
	for (part = key.p; (next = strchr(part, '/')) != NULL; part = next) {
		*next++ = '\0';
		buf_append_str(&conf->user, part);
		if (strcmp(part, "plugin") != 0) {
			part = next;
			next = strchr(part, '/');
			if (next == NULL)
				tool_fail(EX_USAGE, "-o %s: the section has no "
					  "name", arg);
			*next++ = '\0';
			buf_printf(&conf->user, " %s", part);
		}
		buf_append_str(&conf->user, " {\n");
		depth++;
	}
	conf_raw_value(&conf->user, part, strchr(arg, '=') + 1);
	for (; depth > 0; depth--)
		buf_append_str(&conf->user, "}\n");
	buf_free(&key);
}

void serve_conf_check(const struct serve_conf *conf)
{
	size_t i;

	for (i = 0; conf->backend[i] != NULL; i++)
		check_line("the backend's arguments", conf->backend[i]);
}

void serve_conf_check_user(void)
{
	if (getpwuid(geteuid()) == NULL)
		tool_fail(EX_NOUSER, "Dovecot runs only as a user with a name: "
			  "the user id %ld has none", (long)geteuid());
	check_line("the home folder", tool_home());
	check_line("the working directory", tool_cwd());
}

static void write_file(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || file_write(fd, view_of_buf(text)) < 0 || close(fd) < 0)
		tool_fail(EX_CANTCREAT, "cannot write %s: %s", path,
			  strerror(errno));
}

static void conf_backend(struct buf *out, char **backend)
{
	char *command = tool_command(backend);

	buf_append_str(out, "plugin {\n");
	conf_value(out, "bridge_command", command);
	conf_value(out, "bridge_directory", tool_cwd());
	buf_append_str(out, "}\n");
	free(command);
}

/* A master that is not root has nobody else to run its services as. */
static void conf_unprivileged(struct buf *out)
{
	static const char *const services[] = { "anvil", "imap-login", "ipc",
		"old-stats", "pop3-login", "stats" };
	size_t i;

	conf_value(out, "default_internal_user", tool_user());
	conf_value(out, "default_login_user", tool_user());
	buf_append_str(out, "default_internal_group =\n");
	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		buf_printf(out, "service %s {\n  chroot =\n}\n", services[i]);
}

/* Sockets of services that nobody asks for anything. */
static void conf_unused(struct buf *out)
{
	static const char *const unused[][2] = {
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
	};
	size_t i;

	buf_append_str(out, "stats_writer_socket_path =\n");
	for (i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		buf_printf(out, "service %s {\n  unix_listener %s {\n"
			   "    mode = 0\n  }\n}\n", unused[i][0],
			   unused[i][1]);
}

static void conf_listener(struct buf *out, const char *protocol,
			  const char *host, int port)
{
	buf_printf(out, "service %s-login {\n"
		   "  inet_listener %s {\n    address = %s\n    port = %d\n  }\n"
		   "  inet_listener %ss {\n    port = 0\n  }\n}\n", protocol,
		   protocol, host, port, protocol);
}

/* One user, one password, in a file: not in anybody's argument vector. */
static void conf_users(struct buf *out, const char *dir, const char *password)
{
	struct buf path = { NULL, 0, 0 }, users = { NULL, 0, 0 };
	struct buf args = { NULL, 0, 0 };

	buf_printf(&path, "%s/users", dir);
	buf_printf(&users, "%s:{PLAIN}%s:%ld:%ld::::\n", tool_user(), password,
		   (long)geteuid(), (long)getegid());
	write_file(path.p, &users);
	buf_printf(&args, "username_format=%%u %s", path.p);
	buf_append_str(out, "passdb {\n  driver = passwd-file\n");
	conf_raw_value(out, "args", args.p);
	buf_append_str(out, "}\nuserdb {\n  driver = passwd-file\n");
	conf_raw_value(out, "args", args.p);
	buf_append_str(out, "}\n");
	buf_free(&path);
	buf_free(&users);
	buf_free(&args);
}

static void conf_access(struct buf *out, const struct listen *listen,
			const char *dir, const char *password)
{
	buf_append_str(out,
		"protocols = imap pop3\n"
		"info_log_path = /dev/null\n"
		"import_environment = PATH LANG LC_ALL TZ TMPDIR\n"
		"disable_plaintext_auth = no\n"
		"auth_mechanisms = plain login\n"
		/* the user's name as it is */
		"auth_username_chars =\n"
		"auth_username_format = %u\n"
		"first_valid_uid = 1\n");
	conf_value(out, "listen", listen->host);
	conf_users(out, dir, password);
	conf_unprivileged(out);
	conf_unused(out);
	conf_listener(out, "imap", listen->host, listen->imap_port);
	conf_listener(out, "pop3", listen->host, listen->pop3_port);
}

char *serve_conf_write(const struct serve_conf *conf,
		       const struct listen *listen, const char *dir,
		       const char *password)
{
	struct buf out = { NULL, 0, 0 }, run = { NULL, 0, 0 };
	struct buf path = { NULL, 0, 0 };

	buf_printf(&run, "%s/run", dir);
	buf_printf(&path, "%s/dovecot.conf", dir);
	conf_common(&out, conf->state, run.p);
	conf_value(&out, "mail_home", tool_home());
	conf_backend(&out, conf->backend);
	buf_append_view(&out, view_of_buf(&conf->user));
	conf_access(&out, listen, dir, password);
	write_file(path.p, &out);
	buf_free(&out);
	buf_free(&run);
	return path.p;
}
