/* dovebridge serve: IMAP and POP3 on this machine's own addresses, by a Dovecot
 * that is there for this alone: it runs as the user, keeps its sockets and its
 * configuration in a folder of 0700, and goes with us.
 *
 *	serve		prints what to paste, waits
 *	  keeper	starts and ends Dovecot, removes the folder (keeper.h)
 *	    dovecot	in a session of its own: ^C is not for it
 */
#include "clock.h"
#include "conf.h"
#include "keeper.h"
#include "listen.h"
#include "rmtree.h"
#include "serve-conf.h"
#include "state.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef DOVECOT_PROGRAM
#  define DOVECOT_PROGRAM "/usr/sbin/dovecot"
#endif
#ifndef DOVECOT_LIBEXECDIR
#  define DOVECOT_LIBEXECDIR "/usr/lib/dovecot"
#endif
#define START_TRIES 5		/* a free port may be taken before we have it */
#define START_MSECS (20 * 1000)	/* until Dovecot greets */
#define STEP_MSECS 20		/* nothing tells that a server listens */
#define DIR_MAX 64		/* with what Dovecot adds: a socket's 108 */
#define SERVE_USAGE "serve [--listen 127.0.0.1:PORT] [--state DIR] " \
	"[--as USER] [-o SETTING=VALUE]... -- BACKEND [ARG...]"

static const struct option options[] = {
	{ "as", required_argument, NULL, 'a' },
	{ "listen", required_argument, NULL, 'l' },
	{ "state", required_argument, NULL, 's' },
	{ "option", required_argument, NULL, 'o' },
	{ NULL, 0, NULL, 0 }
};

/* What there is to wait for. */
struct waits {
	int signal_fd;
	int parent_fd;		/* readable when the parent ended; -1 = nobody */
};

/* --- before anything is started -------------------------------------------- */

static void check_programs(void)
{
	static const struct {
		const char *path, *package;
	} programs[] = {
		{ DOVECOT_PROGRAM, "dovecot-core" },
		{ DOVECOT_LIBEXECDIR "/anvil", "dovecot-core" },
		{ DOVECOT_LIBEXECDIR "/auth", "dovecot-core" },
		{ DOVECOT_LIBEXECDIR "/config", "dovecot-core" },
		{ DOVECOT_LIBEXECDIR "/log", "dovecot-core" },
		{ DOVECOT_LIBEXECDIR "/imap", "dovecot-imapd" },
		{ DOVECOT_LIBEXECDIR "/imap-login", "dovecot-imapd" },
		{ DOVECOT_LIBEXECDIR "/pop3", "dovecot-pop3d" },
		{ DOVECOT_LIBEXECDIR "/pop3-login", "dovecot-pop3d" },
	};
	size_t i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (access(programs[i].path, X_OK) < 0)
			tool_fail(EX_UNAVAILABLE, "cannot run %s: %s (is %s "
				  "installed?)", programs[i].path,
				  strerror(errno), programs[i].package);
	}
}

/* The parent's death is only of interest if it is not meant to be survived. */
static int parent_open(pid_t parent)
{
	struct sigaction hup;
	int fd;

	if (parent <= 1 || (sigaction(SIGHUP, NULL, &hup) == 0 &&
			    hup.sa_handler == SIG_IGN))
		return -1;
	fd = (int)syscall(SYS_pidfd_open, parent, 0);
	if (getppid() != parent)
		exit(EX_UNAVAILABLE);
	return fd;
}

static void waits_open(struct waits *waits, pid_t parent)
{
	sigset_t set;

	keeper_signals(&set);
	(void)signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    (waits->signal_fd = signalfd(-1, &set, SFD_CLOEXEC |
					 SFD_NONBLOCK)) < 0)
		tool_fail(EX_OSERR, "cannot wait for signals: %s",
			  strerror(errno));
	waits->parent_fd = parent_open(parent);
}

static char *private_dir;	/* the one that is in use, for remove_dir */

/* Whichever way we end; in most of them the keeper has done it. */
static void remove_dir(void)
{
	if (private_dir != NULL && rmtree_remove(private_dir) < 0)
		tool_warn("cannot remove %s: %s", private_dir,
			  strerror(errno));
}

/* Nobody else may look into it: 0700, and made by us. */
static const char *make_dir(void)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789/_.-";
	struct buf path = { NULL, 0, 0 };
	struct stat st;

	if (run == NULL || run[0] != '/' || strlen(run) > DIR_MAX ||
	    run[strspn(run, plain)] != '\0' || stat(run, &st) < 0 ||
	    st.st_uid != geteuid() || access(run, W_OK | X_OK) < 0)
		run = "/tmp";
	buf_printf(&path, "%s/" RMTREE_PREFIX "XXXXXX", run);
	if (mkdtemp(path.p) == NULL)
		tool_fail(EX_CANTCREAT, "cannot make a folder in %s: %s", run,
			  strerror(errno));
	free(private_dir);
	private_dir = path.p;
	return path.p;
}

static void make_password(char *password, size_t len)
{
	/* 32 of them, none that looks like another */
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	size_t i;

	if (getrandom(password, len, 0) != (ssize_t)len)
		tool_fail(EX_OSERR, "no random numbers: %s", strerror(errno));
	for (i = 0; i < len; i++)
		password[i] = letters[(unsigned char)password[i] % 32];
	password[len] = '\0';
}

/* --- while it runs --------------------------------------------------------- */

/* Wait for a moment (-1: as long as it takes). Returns true if it is time to
   end. *status is set once the keeper has ended. */
static bool wait_for(const struct waits *waits, int msecs, pid_t keeper,
		     int *status)
{
	struct pollfd fds[] = {
		{ .fd = waits->signal_fd, .events = POLLIN },
		{ .fd = waits->parent_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	bool end = false;

	(void)poll(fds, 2, msecs);
	while (read(waits->signal_fd, &info, sizeof(info)) == sizeof(info))
		end = end || info.ssi_signo != SIGCHLD;
	if (*status < 0 && waitpid(keeper, status, WNOHANG) != keeper)
		*status = -1;
	return end || fds[1].revents != 0;
}

/* Returns the exit status of serve. */
static int end_keeper(const struct waits *waits, pid_t keeper, int status)
{
	struct waits last = { .signal_fd = waits->signal_fd, .parent_fd = -1 };
	bool told = status < 0;

	if (told)
		(void)kill(keeper, SIGTERM);
	while (status < 0)
		(void)wait_for(&last, -1, keeper, &status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!told)
		tool_warn("Dovecot has ended");
	return EX_UNAVAILABLE;
}

/* A word for a shell. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\'", stdout);
		putchar(*text);
	}
	putchar('\'');
}

static void print_curl(const char *what, const char *host, int port,
		       const char *path, const char *login)
{
	printf("curl %s://%s:%d/%s -u ", what, host, port, path);
	print_quoted(login);
	putchar('\n');
}

static void print_lines(const struct listen *listen, const char *password)
{
	const char *user = tool_user();
	struct buf host = { NULL, 0, 0 }, login = { NULL, 0, 0 };

	buf_printf(&host, listen->v6 ? "[%s]" : "%s", listen->host);
	buf_printf(&login, "%s:%s", user, password);
	printf("IMAP\t%s port %d\nPOP3\t%s port %d\n"
	       "user\t%s\npassword\t%s\n\n", listen->host, listen->imap_port,
	       listen->host, listen->pop3_port, user, password);
	printf("mutt, in ~/.muttrc:\n"
	       "    set folder=\"imap://%s:%d/\" spoolfile=\"+INBOX\"\n"
	       "    set imap_user=\"%s\" imap_pass=\"%s\"\n"
	       "    set ssl_starttls=no ssl_force_tls=no\n\n",
	       host.p, listen->imap_port, user, password);
	printf("Thunderbird, a new account, configured by hand:\n"
	       "    server %s, IMAP, port %d (POP3: %d)\n"
	       "    connection security: None\n"
	       "    authentication: Password, transmitted insecurely\n"
	       "    user name %s, password %s\n\n", listen->host,
	       listen->imap_port, listen->pop3_port, user, password);
	puts("curl, for the mailboxes and for the messages:");
	fputs("    ", stdout);
	print_curl("imap", host.p, listen->imap_port, "", login.p);
	fputs("    ", stdout);
	print_curl("pop3", host.p, listen->pop3_port, "", login.p);
	puts("\n^C ends it.");
	if (fflush(stdout) != 0)
		tool_warn("cannot write to stdout");
	buf_free(&host);
	buf_free(&login);
}

enum started { STARTED, NOT_STARTED, TOLD_TO_END };

static enum started wait_ready(const struct waits *waits,
			       const struct listen *listen, pid_t keeper,
			       int *status)
{
	uint64_t deadline = clock_msecs() + START_MSECS;
	bool imap = false, pop3 = false;

	while (clock_msecs() < deadline) {
		if (wait_for(waits, STEP_MSECS, keeper, status))
			return TOLD_TO_END;
		if (*status >= 0)
			return NOT_STARTED;
		/* who greets first may be another's server, on a port that
		   ours did not get: then the keeper has ended by now */
		if (imap && pop3)
			return STARTED;
		imap = imap || listen_greets(listen, listen->imap_port);
		pop3 = pop3 || listen_greets(listen, listen->pop3_port);
	}
	tool_warn("Dovecot does not greet after %d s", START_MSECS / 1000);
	return NOT_STARTED;
}

/* Once, from the folder to its end. Returns the exit status, -1 if it did not
   start and may do so with other ports. */
static int serve_once(const struct waits *waits, struct listen *listen,
		      struct serve_conf *conf)
{
	char *settings, password[SERVE_PASSWORD_LEN + 1];
	char *argv[] = { mem_strdup(DOVECOT_PROGRAM), mem_strdup("-F"),
		mem_strdup("-c"), NULL, NULL };
	int status = -1;
	enum started started;
	const char *dir;
	pid_t keeper;

	listen_choose(listen);
	dir = make_dir();
	make_password(password, SERVE_PASSWORD_LEN);
	argv[3] = serve_conf_write(conf, listen, dir, password, &settings);
	keeper = keeper_start(argv, conf_environment(settings), dir);
	if (keeper < 0)
		tool_fail(EX_OSERR, "cannot fork: %s", strerror(errno));
	started = wait_ready(waits, listen, keeper, &status);
	if (started == STARTED) {
		print_lines(listen, password);
		while (status < 0 && !wait_for(waits, -1, keeper, &status))
			;
	}
	if (started == NOT_STARTED && status >= 0)
		return -1;
	return end_keeper(waits, keeper, status);
}

static int serve(const struct waits *waits, struct listen *listen,
		 struct serve_conf *conf)
{
	int i, ret = -1;

	(void)atexit(remove_dir);
	for (i = 0; i < START_TRIES && ret < 0; i++)
		ret = serve_once(waits, listen, conf);
	if (ret < 0)
		tool_warn("Dovecot does not start");
	return ret < 0 ? EX_UNAVAILABLE : ret;
}

int cmd_serve(int argc, char *argv[])
{
	struct serve_conf conf;
	struct listen listen;
	struct waits waits;
	const char *as = NULL, *state = NULL, *where = NULL;
	pid_t parent = getppid();
	int c;

	memset(&conf, 0, sizeof(conf));
	conf.backend = tool_backend(&argc, argv);
	while ((c = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			as = optarg;
			break;
		case 'l':
			where = optarg;
			break;
		case 's':
			state = optarg;
			break;
		case 'o':
			serve_conf_option(&conf, optarg);
			break;
		default:
			tool_usage(SERVE_USAGE);
		}
	}
	if (optind != argc)
		tool_usage(SERVE_USAGE);
	listen_parse(&listen, where);
	serve_conf_check(&conf);
	check_programs();
	conf.state = state_open(state, as, conf.backend);
	tool_check_backend(conf.backend);
	serve_conf_check_user();
	waits_open(&waits, parent);
	return serve(&waits, &listen, &conf);
}
