#include "state.h"
#include "id.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>

#define STATE_ROOT "/var/lib/dovebridge"

/* As an ordinary user: make all missing folders down to path. */
static void make_path(const char *path)
{
	char *dir = mem_strdup(path), *p;

	for (p = dir; (p = strchr(p + 1, '/')) != NULL; *p = '/') {
		*p = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			tool_fail(EX_CANTCREAT, "cannot make the folder %s: "
				  "%s", dir, strerror(errno));
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		tool_fail(EX_CANTCREAT, "cannot make the folder %s: %s", path,
			  strerror(errno));
	free(dir);
}

/* Open a folder within another, made if it is not there. */
static int open_dir(int at, const char *name, mode_t mode, bool *made_r)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	*made_r = mkdirat(at, name, mode) == 0;
	if (!*made_r && errno != EEXIST)
		return -1;
	return openat(at, name, flags | (*made_r ? O_NOFOLLOW : 0));
}

/* The one just made, unless somebody who may write beside it was faster. */
static int own_dir(int fd, mode_t mode, const struct passwd *pw)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != 0) {
		errno = EEXIST;
		return -1;
	}
	/* whatever the umask was: the user has to get there */
	if (fchmod(fd, mode) < 0)
		return -1;
	return pw == NULL ? 0 : fchown(fd, pw->pw_uid, pw->pw_gid);
}

/* As root: make the folder and give it to the user, the missing ones above it
   staying root's. Through descriptors, step by step, so that nobody can put
   another in the place of what was just made. */
static void make_for(const char *path, const struct passwd *pw)
{
	char *dir = mem_strdup(path), *name = dir, *next;
	int fd, at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool made;

	for (; name != NULL && at >= 0; name = next) {
		next = strchr(name, '/');
		if (next != NULL)
			*next++ = '\0';
		if (*name == '\0')
			continue;
		fd = open_dir(at, name, next == NULL ? 0700 : 0755, &made);
		if (fd >= 0 && made &&
		    own_dir(fd, next == NULL ? 0700 : 0755,
			    next == NULL ? pw : NULL) < 0) {
			(void)close(fd);
			fd = -1;
		}
		(void)close(at);
		at = fd;
	}
	if (at < 0)
		tool_fail(EX_CANTCREAT, "cannot make the folder %s for %s: %s",
			  path, pw->pw_name, strerror(errno));
	(void)close(at);
	free(dir);
}

static void hash_name(char **backend, struct buf *name)
{
	unsigned char hash[ID_HASH_SIZE];
	char cwd[PATH_MAX];
	struct buf all = { NULL, 0, 0 };
	const char *slash = strrchr(backend[0], '/');
	const char *base = slash == NULL ? backend[0] : slash + 1;
	size_t i;

	for (i = 0; backend[i] != NULL; i++)
		buf_append(&all, backend[i], strlen(backend[i]) + 1);
	if (getcwd(cwd, sizeof(cwd)) != NULL)
		buf_append_str(&all, cwd);
	id_hash(view_of_buf(&all), hash);
	buf_free(&all);
	for (; *base != '\0'; base++) {
		bool plain = (*base >= 'a' && *base <= 'z') ||
			(*base >= 'A' && *base <= 'Z') ||
			(*base >= '0' && *base <= '9') ||
			*base == '_' || *base == '.';

		if (plain)
			buf_append_c(name, *base);
		else
			buf_append_c(name, '_');
	}
	buf_append_c(name, '-');
	for (i = 0; i < 8; i++)
		buf_printf(name, "%02x", hash[i]);
}

static void default_base(const char *user, struct buf *path)
{
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (geteuid() == 0)
		buf_printf(path, STATE_ROOT "/%s", user);
	else if (xdg != NULL && xdg[0] == '/')
		buf_printf(path, "%s/dovebridge", xdg);
	else if (home != NULL && home[0] == '/')
		buf_printf(path, "%s/.local/state/dovebridge", home);
	else
		tool_fail(EX_USAGE, "HOME is not set: say --state DIR");
}

static void state_absolute(const char *dir, struct buf *path)
{
	char cwd[PATH_MAX];

	if (dir[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			tool_fail(EX_NOINPUT, "the working directory is not "
				  "there: %s", strerror(errno));
		buf_printf(path, "%s/", cwd);
	}
	buf_append_str(path, dir);
	while (path->len > 1 && path->p[path->len - 1] == '/')
		path->p[--path->len] = '\0';
}

/* Make the folder, become the user, and see that it can be used. */
static void use_folder(const char *what, const char *path, const char *user)
{
	const struct passwd *pw = tool_target(user);

	if (pw != NULL)
		make_for(path, pw);
	tool_become(user);
	tool_check_reach(path);
	if (pw == NULL)
		make_path(path);
	if (access(path, R_OK | W_OK | X_OK) < 0)
		tool_fail(EX_NOPERM, "%s %s is not writable to %s: %s", what,
			  path, tool_user(), strerror(errno));
}

/* What the bridge keeps is believed: nobody else may have a hand in it. */
static void check_owner(const char *path)
{
	struct stat st;
	const struct passwd *pw;

	if (stat(path, &st) < 0)
		tool_fail(EX_NOPERM, "cannot look at the state folder %s: %s",
			  path, strerror(errno));
	pw = getpwuid(st.st_uid);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		tool_fail(EX_NOPERM, "the state folder %s belongs to %s, who "
			  "could change what is kept in it: take one of %s's "
			  "own", path, pw == NULL ? "another user" :
			  pw->pw_name, tool_user());
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
	    (st.st_mode & S_ISVTX) == 0)
		tool_fail(EX_NOPERM, "others may write into the state folder "
			  "%s: chmod go-w it, or take another", path);
}

char *state_target(const char *dir, const char *user)
{
	struct buf path = { NULL, 0, 0 };

	state_absolute(dir, &path);
	use_folder("the folder", path.p, user);
	return path.p;
}

char *state_open(const char *dir, const char *user, char **backend)
{
	const char *name = user == NULL ? TOOL_DEFAULT_USER : user;
	const struct passwd *pw = tool_target(user);
	struct buf path = { NULL, 0, 0 };

	if (dir != NULL) {
		state_absolute(dir, &path);
	} else {
		default_base(name, &path);
		if (pw != NULL)
			make_for(path.p, pw);
		buf_append_c(&path, '/');
		hash_name(backend, &path);
	}
	if (strchr(path.p, '\n') != NULL)
		tool_fail(EX_USAGE, "the state folder's name has a line end");
	use_folder("the state folder", path.p, user);
	check_owner(path.p);
	return path.p;
}
