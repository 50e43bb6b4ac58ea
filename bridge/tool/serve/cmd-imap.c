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

#ifndef DOVECOT_LIBEXECDIR
#  define DOVECOT_LIBEXECDIR "/usr/lib/dovecot"
#endif
#define IMAP_PROGRAM DOVECOT_LIBEXECDIR "/imap"
/* all that imap gets beside 0, 1 and 2: what root had open is not for it */
#define CONF_FD (STDERR_FILENO + 1)
#define SETTINGS_FD (STDERR_FILENO + 2)
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
	buf_append_str(conf, conf_dialect()->first);
	buf_append_str(conf, "protocols =\n");
	conf_common(conf, state, run.p);
	buf_free(&run);
}

/* A file that exists in memory only, as this descriptor. */
static void memory_file(const struct buf *text, int as)
{
	int fd = memfd_create("dovebridge.conf", 0);

	if (fd < 0 || file_write(fd, view_of_buf(text)) < 0)
		tool_fail(EX_OSERR, "cannot write the configuration: %s",
			  strerror(errno));
	if (fd == as)
		return;
	if (dup2(fd, as) < 0)
		tool_fail(EX_OSERR, "cannot move a descriptor: %s",
			  strerror(errno));
	(void)close(fd);
}

#define ARG_CONF 2		/* the place of its name */

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

/* A setting of ours. literal: Dovecot expands nothing in it. */
static void add_ours(struct args *args, struct buf *ours, const char *key,
		     const char *value, bool literal)
{
	struct buf setting = { NULL, 0, 0 };

	if (conf_dialect()->ours_apart) {
		conf_dialect()->ours(ours, key, value, literal);
		return;
	}
	/* not in the file: there no value can have a line end in it */
	buf_printf(&setting, "plugin/%s=", key);
	for (; *value != '\0'; value++) {
		if (*value == '%' && literal)
			buf_append_c(&setting, '%');
		buf_append_c(&setting, *value);
	}
	args_add_option(args, setting.p);
}

static void add_backend(struct args *args, struct buf *ours, char **backend)
{
	char *command = tool_command(backend);

	add_ours(args, ours, "bridge_command", command, true);
	add_ours(args, ours, "bridge_directory", tool_cwd(), true);
	free(command);
}

/* -o takes Dovecot's settings as they are, and ours. Dovecot's own -o says nothing of one
   that it does not know; the file does. */
static void add_option(struct args *args, struct buf *conf, struct buf *ours,
		       const char *arg)
{
	const char *value = strchr(arg, '=') + 1;
	char *key = mem_strndup(arg, (size_t)(value - arg) - 1);

	if (conf_is_ours(arg)) {
		add_ours(args, ours, key, value, false);
	} else {
		conf_check_line("-o", arg);
		conf_dialect()->option(conf, key, value);
	}
	free(key);
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

static void exec_imap(struct args *args, const struct buf *conf,
		      const struct buf *ours)
{
	char conf_path[64], settings_path[64];

	memory_file(conf, CONF_FD);
	memory_file(ours, SETTINGS_FD);
	closefrom(SETTINGS_FD + 1);
	(void)snprintf(conf_path, sizeof(conf_path), "/proc/self/fd/%d",
		       CONF_FD);
	(void)snprintf(settings_path, sizeof(settings_path), "/proc/self/fd/%d",
		       SETTINGS_FD);
	args->v[ARG_CONF] = conf_path;
	(void)execve(IMAP_PROGRAM, args->v,
		     conf_environment(conf_dialect()->ours_apart ?
				      settings_path : NULL));
	tool_fail(EX_UNAVAILABLE, "cannot run %s: %s (is dovecot-imapd "
		  "installed?)", IMAP_PROGRAM, strerror(errno));
}

int cmd_imap(int argc, char *argv[])
{
	char **backend = tool_backend(&argc, argv);
	const char *as = NULL, *state_dir = NULL;
	struct args args = { NULL, 0 }, given = { NULL, 0 };
	struct buf conf = { NULL, 0, 0 }, ours = { NULL, 0, 0 };
	char *state;
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
			conf_check_option(optarg);
			args_add(&given, optarg);
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
	args_add(&args, mem_strdup(IMAP_PROGRAM));
	args_add(&args, mem_strdup("-c"));
	args_add(&args, NULL);		/* ARG_CONF */
	add_backend(&args, &ours, backend);
	for (i = 0; i < given.count; i++)
		add_option(&args, &conf, &ours, given.v[i]);
	exec_imap(&args, &conf, &ours);
	return EX_SOFTWARE;
}
