/* What the commands of dovebridge share. */
#ifndef BRIDGE_TOOL_H
#define BRIDGE_TOOL_H

#include "listing.h"
#include "session.h"

#include <pwd.h>
#include <sysexits.h>

#define TOOL_VERSION "0.1"
#define TOOL_COMMAND_MAX (127 * 1024)	/* bytes of the backend and its arguments */
#define TOOL_DEFAULT_USER "nobody"
/* After OK delta to LIST. */
#define TOOL_PARTIAL "the store did not list all of its mailboxes: a part " \
	"of it cannot be read now"

/* One command: what it is called, what it takes, what it does. */
struct command {
	const char *name;
	const char *args;
	const char *help;
	int (*run)(int argc, char *argv[]);
};

int cmd_imap(int argc, char *argv[]);
int cmd_ls(int argc, char *argv[]);
int cmd_cat(int argc, char *argv[]);
int cmd_export(int argc, char *argv[]);
int cmd_serve(int argc, char *argv[]);
int cmd_replay(int argc, char *argv[]);

/* Print "dovebridge: ..." and exit. For usage and set-up errors of the
 * command itself, never for what a backend does. */
void tool_fail(int status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* How far a long command has got: one line on stderr, written over the one
 * before and cut to the width; only if that is a terminal, and not more often
 * than it can be read. What is said meanwhile replaces it. */
void tool_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Take that line away. */
void tool_progress_end(void);
/* Print "Usage: dovebridge NAME ARGS" and exit with EX_USAGE. */
void tool_usage(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* The backend as one string for bridge_command, to be freed. Exits with a message
 * if it is longer than Linux takes (MAX_ARG_STRLEN), for Dovecot's processes get
 * it in their environment. */
char *tool_command(char **backend);
/* The backend: what follows "--". Cuts *argc there; exits with EX_USAGE if
 * there is none. Its first word is made absolute: with a slash from the working
 * directory, else from PATH, else from the working directory too. */
char **tool_backend(int *argc, char *argv[]);
/* After tool_become: exit with a message that names the folder if the backend
 * cannot be reached, warn if one of its arguments is a path that cannot. */
void tool_check_backend(char **backend);
/* The working directory of the backend: the caller's, or / with a warning if
 * this user cannot enter that. */
const char *tool_cwd(void);

/* Started as root: whom USER (NULL = nobody) stands for, in getpwnam()'s memory;
 * exits if there is no such user, or it is root or of root's group. NULL if not
 * started as root. */
const struct passwd *tool_target(const char *user);
/* Started as root: become USER (NULL = nobody) for good, and say so on
 * stderr; the user of the process otherwise, which USER must then be. */
void tool_become(const char *user);
/* The user's name and home after tool_become. */
const char *tool_user(void);
const char *tool_home(void);

/* The directory of the running program, and the path of a file that lies
 * beside it or, when installed, in the given directory. Exits if neither can
 * be reached, naming the folder that cannot be entered. */
const char *tool_dir(void);
char *tool_find(const char *name, const char *installed_dir);
/* Exit with a message that names the first folder on the way to path that
 * this user cannot enter; return if there is none. */
void tool_check_reach(const char *path);

/* The session of a command without Dovecot: it logs to stderr. */
struct session *tool_session(char **backend);
/* Print a fault's log text; returns the exit status for its code. */
int tool_report(const struct fault *fault);
/* A mailbox name or id as typed, in wire form: what cannot stand there is
 * encoded. Allocated. */
char *tool_wire(const char *arg);
/* The mailbox that the store lists under a name as typed, in any normal form of Unicode.
 * NULL and a fault if there is none. */
const struct listing_box *
tool_find_box(const struct listing_boxes *boxes, const char *name,
	      struct fault *fault);

#endif
