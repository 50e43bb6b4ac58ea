/* dovebridge imap: Dovecot's own imap program, run in place of this one with a
 * configuration that exists in memory only. No daemon, no port, no password:
 * stdin and stdout are the connection, as Dovecot's PREAUTH mode has it. */
#include "conf.h"
#include "file.h"
#include "state.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <bsd/unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef IMAP_PROGRAM
#  define IMAP_PROGRAM "/usr/lib/dovecot/imap"
#endif
#define CONF_FD (STDERR_FILENO + 1)
#define IMAP_USAGE "imap [--state DIR] [--as USER] [-o SETTING=VALUE]... -- " \
	"BACKEND [ARG...]"

static const struct option options[] = {
	{ "as", required_argument, NULL, 'a' },
	{ "state", required_argument, NULL, 's' },
	{ "option", required_argument, NULL, 'o' },
	{ NULL, 0, NULL, 0 }
};

static void conf_write(struct buf *conf, const char *state)
{
	struct buf run = { NULL, 0, 0 };

	buf_printf(&run, "%s/run", state);
	buf_append_str(conf, "protocols =\n");
	conf_common(conf, state, run.p);
	buf_free(&run);
}

/* The configuration as the one descriptor, beside 0, 1 and 2, that the imap
   process gets: what root had open is not for it. */
static int conf_fd(const struct buf *conf)
{
	int fd = memfd_create("dovebridge.conf", 0);

	if (fd < 0 || file_write(fd, view_of_buf(conf)) < 0)
		tool_fail(EX_OSERR, "cannot write the configuration: %s",
			  strerror(errno));
	if (fd != CONF_FD) {
		if (dup2(fd, CONF_FD) < 0)
			tool_fail(EX_OSERR, "cannot move a descriptor: %s",
				  strerror(errno));
		fd = CONF_FD;
	}
	closefrom(CONF_FD + 1);
	return fd;
}

/* -o takes Dovecot's settings as they are, and ours, which in Dovecot 2.3 live
   in the plugin section. */
static char *option_setting(const char *arg)
{
	struct buf setting = { NULL, 0, 0 };

	conf_check_option(arg);
	if (strncmp(arg, "bridge_", 7) == 0)
		buf_append_str(&setting, "plugin/");
	buf_append_str(&setting, arg);
	return setting.p;
}

static char *plugin_setting(const char *name, const char *value)
{
	struct buf setting = { NULL, 0, 0 };

	buf_printf(&setting, "plugin/%s=", name);
	for (; *value != '\0'; value++) {
		if (*value == '%')
			buf_append_c(&setting, '%');
		buf_append_c(&setting, *value);
	}
	return setting.p;
}

struct args {
	char **v;
	size_t count;
};

static void args_add(struct args *args, char *arg)
{
	args->v = mem_grow(args->v, args->count + 2, sizeof(*args->v));
	args->v[args->count++] = arg;
	args->v[args->count] = NULL;
}

static void args_add_option(struct args *args, char *setting)
{
	args_add(args, mem_strdup("-o"));
	args_add(args, setting);
}

static void exec_imap(struct args *args)
{
	(void)execve(IMAP_PROGRAM, args->v, conf_environment());
	tool_fail(EX_UNAVAILABLE, "cannot run %s: %s (is dovecot-imapd "
		  "installed?)", IMAP_PROGRAM, strerror(errno));
}

static void add_backend(struct args *args, char **backend)
{
	char *command = tool_command(backend);

	args_add_option(args, plugin_setting("bridge_command", command));
	args_add_option(args, plugin_setting("bridge_directory", tool_cwd()));
	free(command);
}

/* Dovecot waits with epoll, which takes no file: it would abort. */
static void check_stdin(void)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st) < 0 || S_ISREG(st.st_mode) ||
	    (S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO)))
		tool_fail(EX_USAGE, "stdin must be a pipe, a socket or a "
			  "terminal: it is the connection to the mail client");
}

int cmd_imap(int argc, char *argv[])
{
	char **backend = tool_backend(&argc, argv);
	const char *as = NULL, *state_dir = NULL;
	struct args args = { NULL, 0 }, user_args = { NULL, 0 };
	struct buf conf = { NULL, 0, 0 };
	char conf_path[64], *state;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			as = optarg;
			break;
		case 's':
			state_dir = optarg;
			break;
		case 'o':
			args_add_option(&user_args, option_setting(optarg));
			break;
		default:
			tool_usage(IMAP_USAGE);
		}
	}
	if (optind != argc)
		tool_usage(IMAP_USAGE);
	state = state_open(state_dir, as, backend);
	tool_check_backend(backend);
	conf_write(&conf, state);
	check_stdin();
	(void)snprintf(conf_path, sizeof(conf_path), "/proc/self/fd/%d",
		       conf_fd(&conf));
	args_add(&args, mem_strdup(IMAP_PROGRAM));
	args_add(&args, mem_strdup("-c"));
	args_add(&args, mem_strdup(conf_path));
	add_backend(&args, backend);
	for (i = 0; i < user_args.count; i++)
		args_add(&args, user_args.v[i]);
	exec_imap(&args);
	return EX_SOFTWARE;
}
