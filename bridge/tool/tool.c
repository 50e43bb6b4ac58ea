#include "tool.h"
#include "clock.h"
#include "names.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef LIBEXECDIR
#  define LIBEXECDIR "/usr/lib/dovebridge"
#endif

#define PROGRESS_MSECS 100	/* between two lines of progress */
#define PROGRESS_MAX 256	/* bytes of one */

static char *become_user, *become_home;
static bool progress_shown;

/* --- what is said ---------------------------------------------------------- */

void tool_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

void tool_progress(const char *fmt, ...)
{
	static uint64_t last_msecs;
	char text[PROGRESS_MAX], clean[PROGRESS_MAX];
	struct winsize size;
	size_t width = sizeof(clean);
	va_list args;

	if (!isatty(STDERR_FILENO) ||
	    clock_msecs() - last_msecs < PROGRESS_MSECS)
		return;
	last_msecs = clock_msecs();
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* no character is wider than its bytes are many */
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
	    size.ws_col < width)
		width = size.ws_col;
	fault_sanitise(clean, width, view_of(text));
	tool_progress_end();
	fputs(clean, stderr);
	progress_shown = true;
}

void tool_warn(const char *fmt, ...)
{
	va_list args;

	tool_progress_end();
	fputs("dovebridge: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void tool_fail(int status, const char *fmt, ...)
{
	va_list args;

	tool_progress_end();
	fputs("dovebridge: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

void tool_usage(const char *fmt, ...)
{
	va_list args;

	fputs("Usage: dovebridge ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EX_USAGE);
}

static char *absolute(const char *path)
{
	char cwd[PATH_MAX];
	struct buf buf = { NULL, 0, 0 };

	if (path[0] == '/')
		return mem_strdup(path);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		tool_fail(EX_NOINPUT, "the working directory is not there: %s",
			  strerror(errno));
	buf_printf(&buf, "%s/%s", cwd, path);
	return buf.p;
}

/* As a shell would find it; a name that PATH does not have may lie in the
   working directory. (Not the other way round: in /tmp anybody may have put a
   program called ssh.) */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH"), *end;
	struct buf buf = { NULL, 0, 0 };

	if (strchr(name, '/') != NULL)
		return absolute(name);
	while (path != NULL && *path != '\0') {
		end = strchrnul(path, ':');
		buf_clear(&buf);
		buf_printf(&buf, "%.*s/%s", (int)(end - path), path, name);
		if (*path == '/' && access(buf.p, X_OK) == 0)
			return buf.p;
		path = *end == '\0' ? end : end + 1;
	}
	if (access(name, F_OK) == 0)
		return absolute(name);
	tool_fail(EX_UNAVAILABLE, "%s: No such file, neither in the working "
		  "directory nor in PATH", name);
}

char **tool_backend(int *argc, char *argv[])
{
	int i;

	for (i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			break;
	}
	if (i >= *argc - 1)
		tool_fail(EX_USAGE, "no backend: write -- and the program "
			  "with its arguments at the end");
	*argc = i;
	argv[i] = NULL;
	argv[i + 1] = find_program(argv[i + 1]);
	return argv + i + 1;
}

/* --- users ----------------------------------------------------------------- */

/* All groups of the user but root's. Returns 0, or -1 and errno. */
static int set_groups(const struct passwd *pw)
{
	int i, to = 0, count = 64;
	gid_t *groups = mem_grow(NULL, (size_t)count, sizeof(*groups));

	/* too little room: count is then what is needed */
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0) {
		groups = mem_grow(groups, (size_t)count, sizeof(*groups));
		if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
			count = 0;
	}
	for (i = 0; i < count; i++) {
		if (groups[i] != 0)
			groups[to++] = groups[i];
	}
	i = setgroups((size_t)to, groups);
	free(groups);
	return i;
}

/* A program of another user that shares root's terminal can type into it
   (TIOCSTI): pipes for 0, 1 and 2 do not help, /dev/tty is enough. Keys such as
   ^C still reach us. A session leader keeps it: nobody waits at that terminal,
   and to leave would be to hang up on everybody. */
static void leave_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (getsid(0) != getpid() && ioctl(fd, TIOCNOTTY) < 0)
		tool_fail(EX_OSERR, "cannot leave the terminal: %s",
			  strerror(errno));
	(void)close(fd);
}

/* The keys in root's session keyring are open to whoever inherits it (keyrings(7)).
   While we are root, for the user may have used up his own quota of keys. */
static int leave_keyring(void)
{
	/* a kernel or container without keys has none to give away */
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
		errno != ENOSYS && errno != EPERM ? -1 : 0;
}

/* What a change of uid leaves. */
static int drop_inheritable(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	return (int)syscall(SYS_capset, &header, none);
}

static void become(const struct passwd *pw)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	leave_terminal();
	if (leave_keyring() < 0 || set_groups(pw) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0 ||
	    drop_inheritable() < 0)
		tool_fail(EX_OSERR, "cannot become %s: %s", pw->pw_name,
			  strerror(errno));
	if (getresuid(&r, &e, &s) < 0 || getresgid(&gr, &ge, &gs) < 0 ||
	    r != pw->pw_uid || e != r || s != r || gr != pw->pw_gid ||
	    ge != gr || gs != gr || setuid(0) == 0)
		tool_fail(EX_OSERR, "could not become %s for good",
			  pw->pw_name);
	tool_warn("started as root: running as %s", pw->pw_name);
}

const struct passwd *tool_target(const char *user)
{
	const struct passwd *pw;

	if (geteuid() != 0 && getuid() != 0)
		return NULL;
	if (user == NULL)
		user = TOOL_DEFAULT_USER;
	pw = getpwnam(user);
	if (pw == NULL)
		tool_fail(EX_NOUSER, "there is no user %s", user);
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		tool_fail(EX_USAGE, "mail is not served as root: --as %s has "
			  "the %s id 0", pw->pw_name,
			  pw->pw_uid == 0 ? "user" : "group");
	return pw;
}

void tool_become(const char *user)
{
	const struct passwd *pw = tool_target(user);
	const char *home;
	char number[32];

	if (pw != NULL) {
		become_user = mem_strdup(pw->pw_name);
		become_home = mem_strdup(pw->pw_dir);
		become(pw);
		return;
	}
	pw = getpwuid(geteuid());
	(void)snprintf(number, sizeof(number), "%ld", (long)geteuid());
	become_user = mem_strdup(pw != NULL ? pw->pw_name : number);
	home = getenv("HOME");
	become_home = mem_strdup(home != NULL && home[0] == '/' ? home :
				 pw != NULL ? pw->pw_dir : "/");
	if (user != NULL && strcmp(user, become_user) != 0)
		tool_fail(EX_NOPERM, "only root can become %s", user);
}

const char *tool_user(void)
{
	return become_user;
}

const char *tool_home(void)
{
	return become_home;
}

/* --- files ----------------------------------------------------------------- */

const char *tool_dir(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len < 0)
		tool_fail(EX_OSERR, "cannot find where this program lies: %s",
			  strerror(errno));
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL)
		*slash = '\0';
	return path;
}

/* The first folder on the way to path, or path itself if it is one, that this
   user cannot enter; NULL if there is none. Allocated. */
static char *unreachable(const char *path)
{
	char *dir = absolute(path), *p;
	struct stat st;

	for (p = dir; (p = strchr(p + 1, '/')) != NULL; *p = '/') {
		*p = '\0';
		if (access(dir, X_OK) < 0 && errno == EACCES)
			return dir;
	}
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
	    access(dir, X_OK) < 0 && errno == EACCES)
		return dir;
	free(dir);
	return NULL;
}

void tool_check_reach(const char *path)
{
	char *dir = unreachable(path);

	if (dir != NULL)
		tool_fail(EX_NOPERM, "%s cannot reach %s: the folder %s "
			  "lacks x for this user", tool_user(), path, dir);
}

char *tool_command(char **backend)
{
	struct buf command = { NULL, 0, 0 };

	words_join((const char *const *)backend, &command);
	if (command.len > TOOL_COMMAND_MAX)
		tool_fail(EX_DATAERR, "%s has too many arguments: all "
			  "together %zu bytes, and at most %d are possible",
			  backend[0], command.len, TOOL_COMMAND_MAX);
	return command.p;
}

void tool_check_backend(char **backend)
{
	char *dir;
	size_t i;

	tool_check_reach(backend[0]);
	for (i = 1; backend[i] != NULL; i++) {
		if (strchr(backend[i], '/') == NULL)
			continue;
		dir = unreachable(backend[i]);
		if (dir != NULL)
			tool_warn("%s cannot reach %s: the folder %s lacks x "
				  "for this user", tool_user(), backend[i],
				  dir);
		free(dir);
	}
}

const char *tool_cwd(void)
{
	static char cwd[PATH_MAX];
	char *dir;

	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return "/";
	dir = unreachable(cwd);
	if (dir == NULL)
		return cwd;
	tool_warn("%s cannot work in %s: the folder %s lacks x for this user; "
		  "the backend runs in /", tool_user(), cwd, dir);
	free(dir);
	return "/";
}

char *tool_find(const char *name, const char *installed_dir)
{
	struct buf beside = { NULL, 0, 0 }, installed = { NULL, 0, 0 };

	buf_printf(&beside, "%s/%s", tool_dir(), name);
	if (access(beside.p, R_OK) == 0)
		return beside.p;
	tool_check_reach(beside.p);
	buf_printf(&installed, "%s/%s", installed_dir, name);
	if (access(installed.p, R_OK) < 0)
		tool_fail(EX_UNAVAILABLE, "%s is neither in %s nor in %s",
			  name, tool_dir(), installed_dir);
	buf_free(&beside);
	return installed.p;
}

/* --- sessions without Dovecot ---------------------------------------------- */

static void tool_log(void *context, enum session_log level, const char *text)
{
	static const char *const names[] = { "debug", "info", "warning",
		"error" };

	(void)context;
	tool_progress_end();
	fprintf(stderr, "dovebridge: %s: %s\n", names[level], text);
}

struct session *tool_session(char **backend)
{
	const char *tmp = getenv("TMPDIR");
	struct session_settings set = {
		.argv = (const char *const *)backend,
		.user = tool_user(),
		.home = tool_home(),
		.tmp_dir = tmp != NULL && tmp[0] == '/' ? tmp : "/tmp",
		.mode = "cli",
		.timeout_msecs = SESSION_TIMEOUT_MSECS,
		.caps_timeout_msecs = SESSION_CAPS_TIMEOUT_MSECS,
		.log = tool_log,
	};
	char *launcher = tool_find("dovebridge-launch", LIBEXECDIR);
	struct session *session;

	set.cwd = tool_cwd();
	set.launcher = launcher;
	session = session_init(&set);
	free(launcher);
	return session;
}

int tool_report(const struct fault *fault)
{
	static const int statuses[FAULT_CODE_COUNT] = {
		[FAULT_UNAVAILABLE] = EX_UNAVAILABLE,
		[FAULT_BUSY] = EX_TEMPFAIL,
		[FAULT_INTERNAL] = EX_SOFTWARE,
		[FAULT_UNCERTAIN] = EX_SOFTWARE,
		[FAULT_OVERQUOTA] = EX_CANTCREAT,
		[FAULT_NOTFOUND] = EX_NOINPUT,
		[FAULT_EXISTS] = EX_CANTCREAT,
		[FAULT_NOPERM] = EX_NOPERM,
		[FAULT_READONLY] = EX_NOPERM,
		[FAULT_LIMIT] = EX_DATAERR,
		[FAULT_CANNOT] = EX_CANTCREAT,
		[FAULT_UNSUPPORTED] = EX_UNAVAILABLE,
	};

	tool_warn("%s", fault->log);
	return statuses[fault->code];
}

char *tool_wire(const char *arg)
{
	struct buf buf = { NULL, 0, 0 };
	const unsigned char *p;

	for (p = (const unsigned char *)arg; *p != '\0'; p++) {
		if (*p <= 0x20 || *p == 0x7f)
			buf_printf(&buf, "%%%02X", *p);
		else
			buf_append_c(&buf, (char)*p);
	}
	return buf.p != NULL ? buf.p : mem_strdup("");
}

const struct listing_box *
tool_find_box(const struct listing_boxes *boxes, const char *name,
	      struct fault *fault)
{
	struct buf decoded = { NULL, 0, 0 }, composed = { NULL, 0, 0 };
	const struct listing_box *box = NULL;
	char *wire = tool_wire(name);

	if (wire_decode(view_of(wire), &decoded) == 0 &&
	    names_compose(view_of_buf(&decoded), &composed))
		box = listing_box_find(boxes, view_of_buf(&composed));
	if (box == NULL)
		(void)fault_set(fault, FAULT_NOTFOUND, FAULT_SCOPE_MAILBOX,
				"the store lists no mailbox %s", name);
	free(wire);
	buf_free(&decoded);
	buf_free(&composed);
	return box;
}
