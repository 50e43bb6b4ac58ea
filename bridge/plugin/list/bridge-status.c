#include "lib.h"
#include "compat.h"
#include "array.h"
#include "hostpid.h"
#include "mkdir-parents.h"
#include "str.h"
#include "bridge-fault.h"
#include "bridge-paths.h"
#include "bridge-private.h"
#include "bridge-status.h"

#include "clock.h"
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#define STATUS_PAUSE_MSECS 1000		/* between two writes */
#define STATUS_FILE_MAX 16384
#define STATUS_FILES_MAX 1000		/* that are looked at */
#define STATUS_NAMES_MAX 100		/* of one process */
#define STATUS_STAT_MAX 4096		/* of /proc/PID/stat */

/* The keys of a file. */
static const struct {
	const char *key;
	bool number;
	size_t offset;
} fields[] = {
#define TEXT(key, member) \
	{ key, FALSE, offsetof(struct bridge_status_seen, member) }
#define NUMBER(key, member) \
	{ key, TRUE, offsetof(struct bridge_status_seen, member) }
	TEXT("host", host),
	NUMBER("pid", pid),
	NUMBER("start", start),
	TEXT("service", service),
	TEXT("session", session),
	TEXT("namespace", name_space),
	TEXT("program", program),
	NUMBER("copy", copy),
	TEXT("caps", caps),
	NUMBER("since", since),
	NUMBER("idle_since", idle_since),
	NUMBER("requests", requests),
	NUMBER("errors", errors),
	NUMBER("starts", starts),
	TEXT("error", error),
	NUMBER("error_time", error_time),
	NUMBER("pause_until", pause_until),
};

/* When a process was started, in ticks since boot (proc(5), stat); 0 = it is not
   there, or that cannot be known. */
static uint64_t process_start(uint64_t pid)
{
	struct buf stat = { NULL, 0, 0 };
	unsigned long long start = 0;
	const char *p;

	/* the size of a file in /proc is 0, and not its size */
	int fd = open(t_strdup_printf("/proc/%"PRIu64"/stat", pid),
		      O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return 0;
	len = read(fd, buf_reserve(&stat, STATUS_STAT_MAX), STATUS_STAT_MAX - 1);
	stat.len = len < 0 ? 0 : (size_t)len;
	stat.p[stat.len] = '\0';
	/* behind the name, which may have anything in it */
	p = strrchr(stat.p, ')');
	if (p == NULL || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
				"%*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
				&start) != 1)
		start = 0;
	buf_free(&stat);
	i_close_fd(&fd);
	return start;
}

/* --- writing ------------------------------------------------------------- */

void bridge_status_fill(struct bridge_mailbox_list *list,
			struct bridge_status_seen *seen_r)
{
	const struct bridge_status *status = &list->status;
	struct mail_namespace *ns = list->list.ns;
	uint64_t pause = session_pause_msecs(list->session);

	i_zero(seen_r);
	seen_r->host = my_hostname;
	seen_r->pid = (uint64_t)getpid();
	seen_r->start = process_start(seen_r->pid);
	seen_r->service = ns->user->service;
	seen_r->session = ns->user->session_id;
	seen_r->name_space = ns->set->name;
	seen_r->program = list->set.argv[0];
	seen_r->copy = (uint64_t)status->copy;
	seen_r->caps = status->caps;
	seen_r->since = (uint64_t)status->since;
	seen_r->idle_since = (uint64_t)status->idle_since;
	seen_r->requests = status->requests;
	seen_r->errors = status->errors;
	seen_r->starts = status->starts;
	seen_r->error = status->error;
	seen_r->error_time = (uint64_t)status->error_time;
	if (pause == UINT64_MAX)
		seen_r->pause_until = UINT64_MAX;
	else if (pause > 0)
		seen_r->pause_until = (uint64_t)time(NULL) + pause / 1000 + 1;
}

static void status_text(const struct bridge_status_seen *seen, string_t *text)
{
	char value[FAULT_LOG_MAX];
	const char *str;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(fields); i++) {
		if (fields[i].number) {
			str_printfa(text, "%s %"PRIu64"\n", fields[i].key,
				    *(const uint64_t *)
				    CONST_PTR_OFFSET(seen, fields[i].offset));
			continue;
		}
		str = *(const char *const *)
			CONST_PTR_OFFSET(seen, fields[i].offset);
		if (str != NULL && *str != '\0')
			str_printfa(text, "%s %s\n", fields[i].key,
				    fault_sanitise(value, sizeof(value),
						   view_of(str)));
	}
}

/* Take a name. Returns 0, -1 and errno. */
static int status_create(struct bridge_mailbox_list *list)
{
	const char *dir = bridge_paths_status(list), *path = NULL;
	unsigned int n;
	int fd = -1;

	if (mkdir_parents(dir, 0700) < 0 && errno != EEXIST)
		return -1;
	for (n = 1; fd < 0 && n <= STATUS_NAMES_MAX; n++) {
		path = t_strdup_printf("%s/%s-%s-%u", dir, my_hostname, my_pid,
				       n);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return -1;
	}
	if (fd < 0)
		return -1;
	i_close_fd(&fd);
	list->status.path = i_strdup(path);
	return 0;
}

static void status_write(struct bridge_mailbox_list *list)
{
	struct bridge_status *status = &list->status;
	struct bridge_status_seen seen;
	ARRAY_TYPE(bridge_status_seen) others;
	string_t *text;
	pool_t pool;

	status->written_msecs = clock_msecs();
	if (status->failed)
		return;
	if (status->path == NULL) {
		/* so that what was left by those who were killed is not for
		   ever */
		pool = pool_alloconly_create("bridge status", 1024);
		bridge_status_find(list, pool, &others);
		pool_unref(&pool);
	}
	bridge_status_fill(list, &seen);
	text = t_str_new(1024);
	status_text(&seen, text);
	if ((status->path == NULL && status_create(list) < 0) ||
	    file_put(status->path, view_of(str_c(text))) < 0) {
		status->failed = TRUE;
		e_debug(list->event, "%s: doveadm bridge status will not know "
			"of this session: %m", bridge_paths_status(list));
	}
}

static void
status_finished(struct bridge_mailbox_list *list,
		const struct session_report *report, bool *now)
{
	struct bridge_status *status = &list->status;
	const struct caps *caps;
	struct buf text = { NULL, 0, 0 };

	status->requests++;
	status->idle_since = time(NULL);
	if (report->fault != NULL && !bridge_fault_is_normal(report->fault)) {
		status->errors++;
		status->error_time = status->idle_since;
		if (status->error == NULL ||
		    strcmp(status->error, report->fault->log) != 0)
			*now = TRUE;
		i_free(status->error);
		status->error = i_strdup(report->fault->log);
	}
	caps = session_caps_known(list->session);
	if (report->verb == VERB_CAPS && report->fault == NULL &&
	    caps != NULL) {
		caps_describe(caps, &text);
		i_free(status->caps);
		status->caps = i_strdup(buf_str(&text));
		buf_free(&text);
		*now = TRUE;
	}
}

void bridge_status_report(struct bridge_mailbox_list *list,
			  const struct session_report *report)
{
	struct bridge_status *status = &list->status;
	bool now = FALSE;

	/* copies that watch come and go */
	if (report->session != list->session)
		return;
	switch (report->event) {
	case SESSION_STARTED:
		status->starts++;
		status->copy = report->pid;
		status->since = time(NULL);
		return;
	case SESSION_EXITED:
		status->copy = 0;
		status->since = time(NULL);
		if (report->why == NULL)
			return;
		now = TRUE;
		break;
	case SESSION_FINISHED:
		status_finished(list, report, &now);
		break;
	}
	if (now || clock_msecs() - status->written_msecs >=
	    STATUS_PAUSE_MSECS) T_BEGIN {
		status_write(list);
	} T_END;
}

void bridge_status_deinit(struct bridge_mailbox_list *list)
{
	if (list->status.path != NULL)
		i_unlink_if_exists(list->status.path);
	i_free(list->status.path);
	i_free(list->status.caps);
	i_free(list->status.error);
}

/* --- reading ------------------------------------------------------------- */

static void status_line(struct bridge_status_seen *seen, pool_t pool,
			const char *line)
{
	char value[FAULT_LOG_MAX];
	const char *space = strchr(line, ' ');
	unsigned int i;

	for (i = 0; space != NULL && i < N_ELEMENTS(fields); i++) {
		if (strlen(fields[i].key) != (size_t)(space - line) ||
		    !compat_begins(line, fields[i].key))
			continue;
		if (fields[i].number) {
			if (str_to_uint64(space + 1, PTR_OFFSET(seen,
						fields[i].offset)) < 0)
				return;
		} else {
			*(const char **)PTR_OFFSET(seen, fields[i].offset) =
				p_strdup(pool, fault_sanitise(value,
					sizeof(value), view_of(space + 1)));
		}
	}
}

static void status_parse(struct bridge_status_seen *seen_r, pool_t pool,
			 const char *text)
{
	const char *const *lines;
	unsigned int i;

	i_zero(seen_r);
	for (lines = t_strsplit(text, "\n"); *lines != NULL; lines++)
		status_line(seen_r, pool, *lines);
	for (i = 0; i < N_ELEMENTS(fields); i++) {
		const char **str = PTR_OFFSET(seen_r, fields[i].offset);

		if (!fields[i].number && *str == NULL)
			*str = "";
	}
}

/* Of another host nobody here can tell. */
static bool status_is_stale(const struct bridge_status_seen *seen)
{
	if (strcmp(seen->host, my_hostname) != 0)
		return FALSE;
	if (seen->pid == 0 || seen->pid > INT_MAX ||
	    (kill((pid_t)seen->pid, 0) < 0 && errno == ESRCH))
		return TRUE;
	return seen->start != 0 && process_start(seen->pid) != seen->start;
}

static void
status_add(const char *path, pool_t pool,
	   ARRAY_TYPE(bridge_status_seen) *found)
{
	struct bridge_status_seen seen;
	struct buf text = { NULL, 0, 0 };
	struct stat st;

	/* one that is being made has nothing in it yet */
	if (file_read(path, STATUS_FILE_MAX, &text, &st) > 0 && text.len > 0) {
		status_parse(&seen, pool, buf_str(&text));
		if (status_is_stale(&seen))
			i_unlink_if_exists(path);
		else
			array_push_back(found, &seen);
	}
	buf_free(&text);
}

void bridge_status_find(struct bridge_mailbox_list *list, pool_t pool,
			ARRAY_TYPE(bridge_status_seen) *seen_r)
{
	const char *dir = bridge_paths_status(list), *path;
	struct dirent *entry;
	unsigned int count = 0;
	DIR *d = opendir(dir);

	p_array_init(seen_r, pool, 8);
	if (d == NULL)
		return;
	while (count < STATUS_FILES_MAX && (entry = readdir(d)) != NULL)
	T_BEGIN {
		path = t_strdup_printf("%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.' &&
		    (list->status.path == NULL ||
		     strcmp(path, list->status.path) != 0)) {
			status_add(path, pool, seen_r);
			count++;
		}
	} T_END;
	(void)closedir(d);
}
