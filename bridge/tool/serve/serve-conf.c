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

void serve_conf_option(struct serve_conf *conf, const char *arg)
{
	const char *value;
	char *key;

	conf_check_option(arg);
	conf_check_line("-o", arg);
	value = strchr(arg, '=') + 1;
	key = mem_strndup(arg, (size_t)(value - arg) - 1);
	if (conf_is_ours(arg))
		conf_dialect()->ours(&conf->ours, key, value, false);
	else
		conf_dialect()->option(&conf->user, key, value);
	free(key);
}

void serve_conf_check(const struct serve_conf *conf)
{
	size_t i;

	for (i = 0; conf->backend[i] != NULL; i++)
		conf_check_line("the backend's arguments", conf->backend[i]);
}

void serve_conf_check_user(void)
{
	if (getpwuid(geteuid()) == NULL)
		tool_fail(EX_NOUSER, "Dovecot runs only as a user with a name: "
			  "the user id %ld has none", (long)geteuid());
	conf_check_line("the working directory", tool_cwd());
}

static void write_file(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || file_write(fd, view_of_buf(text)) < 0 || close(fd) < 0)
		tool_fail(EX_CANTCREAT, "cannot write %s: %s", path,
			  strerror(errno));
}

/* The backend, and what -o says of our settings, where Dovecot looks for them. */
static void conf_ours(struct buf *out, const struct serve_conf *conf,
		      const char *settings)
{
	const struct conf_dialect *dialect = conf_dialect();
	char *command = tool_command(conf->backend);
	struct buf ours = { NULL, 0, 0 };

	dialect->ours(&ours, "bridge_command", command, true);
	dialect->ours(&ours, "bridge_directory", tool_cwd(), true);
	buf_append_view(&ours, view_of_buf(&conf->ours));
	if (dialect->ours_apart) {
		write_file(settings, &ours);
	} else {
		buf_append_str(out, "plugin {\n");
		buf_append_view(out, view_of_buf(&ours));
		buf_append_str(out, "}\n");
	}
	buf_free(&ours);
	free(command);
}

/* A master that is not root has nobody else to run its services as. */
static void conf_unprivileged(struct buf *out)
{
	const char *const *service = conf_dialect()->chroots;

	conf_value(out, "default_internal_user", tool_user());
	conf_value(out, "default_login_user", tool_user());
	buf_append_str(out, "default_internal_group =\n");
	for (; *service != NULL; service++)
		buf_printf(out, "service %s {\n  chroot =\n}\n", *service);
}

/* Sockets of services that nobody asks for anything. */
static void conf_unused(struct buf *out)
{
	const struct conf_service *unused = conf_dialect()->unused;

	buf_append_str(out, "stats_writer_socket_path =\n");
	for (; unused->service != NULL; unused++)
		buf_printf(out, "service %s {\n  unix_listener %s {\n"
			   "    mode = 0\n  }\n}\n", unused->service,
			   unused->listener);
}

static void conf_listener(struct buf *out, const char *protocol,
			  const char *host, int port)
{
	buf_printf(out, "service %s-login {\n"
		   "  inet_listener %s {\n    %s = %s\n    port = %d\n  }\n"
		   "  inet_listener %ss {\n    port = 0\n  }\n}\n", protocol,
		   protocol, conf_dialect()->listen, host, port, protocol);
}

/* One user, one password, in a file: not in anybody's argument vector. */
static void conf_users(struct buf *out, const char *dir, const char *password)
{
	struct buf path = { NULL, 0, 0 }, users = { NULL, 0, 0 };

	buf_printf(&path, "%s/users", dir);
	buf_printf(&users, "%s:{PLAIN}%s:%ld:%ld::::\n", tool_user(), password,
		   (long)geteuid(), (long)getegid());
	write_file(path.p, &users);
	conf_dialect()->users(out, path.p);
	buf_free(&path);
	buf_free(&users);
}

static void conf_access(struct buf *out, const struct listen *listen)
{
	buf_append_str(out,
		"protocols = imap pop3\n"
		"info_log_path = /dev/null\n"
		"auth_mechanisms = plain login\n"
		"first_valid_uid = 1\n");
	buf_append_str(out, conf_dialect()->environment);
	buf_append_str(out, conf_dialect()->access);
	conf_value(out, "listen", listen->host);
	conf_unprivileged(out);
	conf_unused(out);
	conf_listener(out, "imap", listen->host, listen->imap_port);
	conf_listener(out, "pop3", listen->host, listen->pop3_port);
}

char *serve_conf_write(const struct serve_conf *conf,
		       const struct listen *listen, const char *dir,
		       const char *password, char **settings_r)
{
	struct buf out = { NULL, 0, 0 }, run = { NULL, 0, 0 };
	struct buf path = { NULL, 0, 0 }, settings = { NULL, 0, 0 };

	buf_printf(&run, "%s/run", dir);
	buf_printf(&path, "%s/dovecot.conf", dir);
	buf_append_str(&out, conf_dialect()->first);
	conf_common(&out, conf->state, run.p);
	buf_printf(&settings, "%s/settings", dir);
	conf_ours(&out, conf, settings.p);
	buf_append_view(&out, view_of_buf(&conf->user));
	conf_users(&out, dir, password);
	conf_access(&out, listen);
	write_file(path.p, &out);
	buf_free(&out);
	buf_free(&run);
	*settings_r = settings.p;
	return path.p;
}
