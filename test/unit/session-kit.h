/* What the tests of session, listing and fetch share: a stage that every user
 * can reach, the launcher in it, and backends that are small shell scripts. As
 * root everything here becomes nobody first: no backend is run as root. */
#ifndef SESSION_KIT_H
#define SESSION_KIT_H

#include "proc.h"
#include "session.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIT_NOBODY 65534
#define KIT_TIMEOUT_MSECS 30000	/* where no deadline is to strike */
#define KIT_WATCHDOG_SECS 300

static char kit_stage[64], kit_launcher[128], kit_tmp[128];
static struct buf kit_reported;	/* what sessions reported since the last began */
static struct buf kit_logged;	/* "LEVEL text\n", of all sessions */

static void kit_fail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A path in the stage; valid until the next call but three. */
static const char *kit_path(const char *name)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", kit_stage, name);
	return path;
}

static void kit_write(const char *path, const char *data, size_t size,
		      mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    fchmod(fd, mode) < 0)
		kit_fail(path);
	(void)close(fd);
}

static void kit_copy_launcher(void)
{
	const char *from = getenv("DOVEBRIDGE_LAUNCH");
	static char data[4 * 1024 * 1024];
	int fd = open(from != NULL ? from : "build/dovebridge-launch",
		      O_RDONLY);
	ssize_t size = fd < 0 ? -1 : read(fd, data, sizeof(data));

	if (size <= 0)
		kit_fail("dovebridge-launch");
	(void)close(fd);
	kit_write(kit_launcher, data, (size_t)size, 0755);
}

static void kit_become_nobody(void)
{
	if (geteuid() != 0)
		return;
	if (chown(kit_stage, KIT_NOBODY, KIT_NOBODY) < 0 ||
	    setgroups(0, NULL) < 0 ||
	    setresgid(KIT_NOBODY, KIT_NOBODY, KIT_NOBODY) < 0 ||
	    setresuid(KIT_NOBODY, KIT_NOBODY, KIT_NOBODY) < 0)
		kit_fail("nobody");
}

static void __attribute__((unused)) kit_init(void)
{
	(void)alarm(KIT_WATCHDOG_SECS);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)strcpy(kit_stage, "/tmp/test-session.XXXXXX");
	if (mkdtemp(kit_stage) == NULL || chmod(kit_stage, 0755) < 0)
		kit_fail(kit_stage);
	(void)snprintf(kit_launcher, sizeof(kit_launcher),
		       "%s/dovebridge-launch", kit_stage);
	kit_copy_launcher();
	kit_become_nobody();
	(void)snprintf(kit_tmp, sizeof(kit_tmp), "%s/tmp", kit_stage);
	if (mkdir(kit_tmp, 0700) < 0)
		kit_fail(kit_tmp);
}

static bool kit_dir_empty(const char *path)
{
	unsigned int count = 0;
	struct dirent *d;
	DIR *dir = opendir(path);

	while (dir != NULL && (d = readdir(dir)) != NULL)
		count += strcmp(d->d_name, ".") != 0 &&
			strcmp(d->d_name, "..") != 0;
	if (dir != NULL)
		(void)closedir(dir);
	return dir != NULL && count == 0;
}

static void kit_remove(const char *path)
{
	struct dirent *d;
	DIR *dir = opendir(path);

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] != '.')
			(void)unlink(kit_path(d->d_name));
	}
	if (dir != NULL)
		(void)closedir(dir);
}

/* The end of main(). */
static int __attribute__((unused)) kit_done(void)
{
	siginfo_t info;
	int tries;

	/* on a busy machine SIGKILL takes its time */
	for (tries = 0; tries < 100 && !proc_reap_stuck(); tries++)
		(void)usleep(50000);
	ok(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
	   errno == ECHILD, "no zombie and no child is left");
	ok(kit_dir_empty(kit_tmp), "nothing is left of any BRIDGE_TMP");
	(void)rmdir(kit_tmp);
	kit_remove(kit_stage);
	/* as root it lies in a folder that is not ours any more */
	(void)rmdir(kit_stage);
	buf_free(&kit_logged);
	buf_free(&kit_reported);
	return done_testing();
}

/* --- memory ------------------------------------------------------------------ */

#define KIT_MEMORY_BYTES (30UL * 1024 * 1024)

/* The tools that check memory use too much of it to be limited. */
static bool __attribute__((unused)) kit_memory_is_small(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (f != NULL && fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	if (f != NULL)
		(void)fclose(f);
	return pages > 0 && pages * (unsigned long)sysconf(_SC_PAGESIZE) <
		KIT_MEMORY_BYTES / 2;
}

/* Until old is set again. */
static void __attribute__((unused)) kit_limit_memory(struct rlimit *old)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_AS, old);
	limit = *old;
	limit.rlim_cur = KIT_MEMORY_BYTES;
	(void)setrlimit(RLIMIT_AS, &limit);
}

/* --- backends ---------------------------------------------------------------- */

/* A backend that answers each request with the case arms given, in sh: they see
 * the request as $line and the number of this copy as $copy. CAPS is answered,
 * unless an arm does. The stage is its home. */
static void kit_backend(const char *arms)
{
	struct buf script = { NULL, 0, 0 };

	buf_append_str(&script, "#!/bin/sh\n"
		"cd \"$HOME\" || exit 1\n"
		"echo x >>copies\n"
		"copy=$(($(wc -l <copies)))\n"
		"say() { printf '%s\\n' \"$@\"; }\n"
		"while read -r line; do\n"
		"	echo \"$line\" >>requests\n"
		"	case $line in\n");
	buf_append_str(&script, arms);
	buf_append_str(&script, "\n"
		"	'CAPS 1 '*) say '* CAPS 1' OK ;;\n"
		"	*) say 'NO UNSUPPORTED' ;;\n"
		"	esac\n"
		"done\n");
	kit_write(kit_path("backend"), script.p, script.len, 0755);
	buf_free(&script);
	(void)unlink(kit_path("copies"));
	(void)unlink(kit_path("requests"));
}

/* How many lines of a file of the stage begin with these bytes. */
static int kit_count(const char *name, const char *prefix)
{
	FILE *f = fopen(kit_path(name), "r");
	char line[4096];
	int count = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		count += strncmp(line, prefix, strlen(prefix)) == 0;
	if (f != NULL)
		(void)fclose(f);
	return count;
}

static int __attribute__((unused)) kit_copies(void)
{
	return kit_count("copies", "");
}

static int __attribute__((unused)) kit_requests(const char *prefix)
{
	return kit_count("requests", prefix);
}

/* --- sessions ---------------------------------------------------------------- */

static void kit_log(void *context, enum session_log level, const char *text)
{
	static const char *const names[] = {
		"debug", "info", "warning", "error"
	};

	(void)context;
	buf_printf(&kit_logged, "%s %s\n", names[level], text);
}

static void kit_report(void *context, const struct session_report *report)
{
	(void)context;
	switch (report->event) {
	case SESSION_STARTED:
		buf_append_str(&kit_reported, "started;");
		break;
	case SESSION_EXITED:
		buf_printf(&kit_reported, "exited %d%s;", report->status,
			   report->why != NULL ? " broken" : "");
		break;
	case SESSION_FINISHED:
		buf_printf(&kit_reported, "%s %.*s %s %d %d;",
			   verb_info(report->verb)->name,
			   (int)report->box.len, report->box.p,
			   fault_code_name(report->fault == NULL ? FAULT_NONE :
					   report->fault->code),
			   (int)report->bytes_out, (int)report->bytes_in);
		break;
	}
}

/* For the next session: it says that it is alive so often. */
static unsigned int kit_alive_msecs, kit_alive_count;

static void kit_alive(void *context)
{
	(void)context;
	kit_alive_count++;
}

static struct session *kit_session_of(const char *program,
				      unsigned int timeout_msecs)
{
	const char *argv[] = { program, NULL };
	struct session_settings set;

	memset(&set, 0, sizeof(set));
	set.launcher = kit_launcher;
	set.argv = argv;
	set.user = "alice b";
	set.home = kit_stage;
	set.tmp_dir = kit_tmp;
	set.mode = "test";
	set.timeout_msecs = timeout_msecs;
	set.caps_timeout_msecs = timeout_msecs;
	set.log = kit_log;
	set.report = kit_report;
	if (kit_alive_msecs > 0)
		set.alive = kit_alive;
	set.alive_msecs = kit_alive_msecs;
	kit_alive_count = 0;
	buf_clear(&kit_logged);
	buf_clear(&kit_reported);
	return session_init(&set);
}

static __attribute__((unused)) struct session *
kit_session(const char *arms, unsigned int timeout_msecs)
{
	kit_backend(arms);
	return kit_session_of(kit_path("backend"), timeout_msecs);
}

/* A text without the stage's name. */
static const char *kit_short(const char *text)
{
	static struct buf out;
	const char *p;

	buf_clear(&out);
	while ((p = strstr(text, kit_stage)) != NULL) {
		buf_append(&out, text, (size_t)(p - text));
		buf_append_c(&out, '@');
		text = p + strlen(kit_stage);
	}
	buf_append_str(&out, text);
	return buf_str(&out);
}

static __attribute__((unused)) const char *kit_log_text(void)
{
	return kit_short(buf_str(&kit_logged));
}

static bool __attribute__((unused)) kit_begins(const char *text,
						const char *prefix)
{
	return view_starts(view_of(text), prefix);
}

#endif
