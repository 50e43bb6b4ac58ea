/* load [-m BYTES] [-r ENVIRONMENT] ENVIRONMENT: one IMAP session, measured.
 *
 * Runs Dovecot's imap, logged in already, on a socket pair, sends it the commands
 * that come on stdin, and says for each what it cost. ENVIRONMENT is a file of
 * NAME=VALUE with a NUL after each, what the master gives to a service. It has
 *
 *	LOAD_IMAP	the program
 *	LOAD_CONFIG	the configuration that imap gets open, as DOVECOT_CONFIG_FD (2.4;
 *			2.3 has it in the environment)
 *
 *	-m	the address space that imap and what it starts may have (RLIMIT_AS),
 *		as Dovecot's vsz_limit
 *	-r	imap with this environment also stands behind a port of 127.0.0.1 while
 *		the session lasts; the session gets it as imapc_port. It takes any
 *		LOGIN: whoever can connect reads the mail, so use made-up mail only
 *
 * stdin, a line for each:
 *
 *	do COMMAND
 *	append MAILBOX one|multi FIRST COUNT DIR
 *		files of DIR in order of their names, with CRLF: an APPEND for each that
 *		waits for its answer, or one for all (MULTIAPPEND)
 *
 * stdout, a line for each, and a first one for the greeting:
 *
 *	WALL-NS IMAP-NS OTHER-NS PEAK-KIB BYTES ANSWER
 *
 * WALL from the first byte sent to the last byte received; IMAP is the processor
 * time of the imap process, OTHER that of all other processes below this one,
 * whose dead are counted in ticks of 10 ms; PEAK is imap's VmHWM so far; BYTES
 * came from imap before the tagged line, for append they went there. ANSWER is the
 * tagged line without its tag.
 *
 * Answers are not parsed: the tag is looked for where the last line begins. */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CHUNK_BYTES (1 << 20)
#define TAIL_BYTES 4096		/* a tagged line is shorter */
#define ENV_MAX 500
#define PROCESSES_MAX 32768
#define NSECS 1000000000LL

struct usage {
	int64_t wall_ns, imap_ns, all_ns;	/* all: with imap's */
};

struct blob {
	char *p;
	size_t len;
};

static char input[TAIL_BYTES + CHUNK_BYTES + 1];
static uint64_t received;
static int imap_fd = -1;
static pid_t imap_pid;
static unsigned int tag_number;

/* --- measuring ------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	return now.tv_sec * NSECS + now.tv_nsec;
}

static int64_t process_ns(pid_t pid)
{
	clockid_t clock;

	/* 0 would be this process */
	return pid != 0 && clock_getcpuclockid(pid, &clock) == 0 ?
		clock_ns(clock) : 0;
}

/* One process: its parent, the time of its dead children (or its own, when it is
   dead and not waited for). Returns -1 if there is none. */
static int process_stat(pid_t pid, pid_t *parent_r, int64_t *dead_ns_r)
{
	unsigned long user, sys;
	long dead_user, dead_sys;
	char path[64], text[1024], state, *p;
	FILE *file;
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (file == NULL)
		return -1;
	len = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[len] = '\0';
	p = strrchr(text, ')');		/* of the name, which may hold anything */
	if (p == NULL || sscanf(p + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u "
				"%*u %lu %lu %ld %ld", &state, parent_r, &user,
				&sys, &dead_user, &dead_sys) != 6)
		return -1;
	*dead_ns_r = (dead_user + dead_sys) * (NSECS / sysconf(_SC_CLK_TCK));
	if (state == 'Z')
		*dead_ns_r += (int64_t)(user + sys) *
			(NSECS / sysconf(_SC_CLK_TCK));
	return 0;
}

/* The processor time of all processes below this one. */
static int64_t descendants_ns(void)
{
	static struct { pid_t pid, parent; int64_t ns; bool below; }
		all[PROCESSES_MAX], *p, *q;
	pid_t self = getpid();
	struct dirent *entry;
	bool found = true;
	size_t count = 0;
	int64_t sum = 0;
	DIR *dir = opendir("/proc");

	while (dir != NULL && count < PROCESSES_MAX &&
	       (entry = readdir(dir)) != NULL) {
		p = &all[count];
		if (!isdigit(entry->d_name[0]))
			continue;
		p->pid = atoi(entry->d_name);
		if (process_stat(p->pid, &p->parent, &p->ns) < 0)
			continue;
		p->ns += process_ns(p->pid);
		p->below = p->parent == self;
		count++;
	}
	if (dir != NULL)
		(void)closedir(dir);
	while (found) {
		found = false;
		for (p = all; p < all + count; p++) {
			for (q = all; q < all + count && !p->below; q++)
				p->below = found = q->below &&
					q->pid == p->parent;
		}
	}
	for (p = all; p < all + count; p++)
		sum += p->below ? p->ns : 0;
	return sum;
}

static long imap_peak_kib(void)
{
	char path[64], line[256];
	long kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)imap_pid);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	}
	if (file != NULL)
		(void)fclose(file);
	return kib;
}

/* The wall clock is read last before the work and first behind it: looking at
   all processes takes its time. */
static void usage_begin(struct usage *usage)
{
	usage->all_ns = descendants_ns();
	usage->imap_ns = process_ns(imap_pid);
	usage->wall_ns = clock_ns(CLOCK_MONOTONIC);
	received = 0;
}

static void usage_report(const struct usage *before, uint64_t bytes,
			 const char *answer)
{
	int64_t wall_ns = clock_ns(CLOCK_MONOTONIC) - before->wall_ns;
	int64_t imap_ns = process_ns(imap_pid) - before->imap_ns;
	int64_t all_ns = descendants_ns() - before->all_ns;

	printf("%lld %lld %lld %ld %llu %s\n", (long long)wall_ns,
	       (long long)imap_ns,
	       (long long)(all_ns > imap_ns ? all_ns - imap_ns : 0),
	       imap_peak_kib(), (unsigned long long)bytes, answer);
	(void)fflush(stdout);
}

/* --- the conversation ------------------------------------------------------ */

static void send_bytes(const char *p, size_t len)
{
	ssize_t ret;

	while (len > 0) {
		ret = write(imap_fd, p, len);
		if (ret < 0 && errno != EINTR)
			err(1, "write to imap");
		if (ret > 0) {
			p += ret;
			len -= (size_t)ret;
		}
	}
}

/* Read until the last line begins with that. Returns the rest of the line. */
static const char *receive(const char *begin)
{
	size_t len = 0, begin_len = strlen(begin);
	char *line;
	ssize_t ret;

	for (;;) {
		ret = read(imap_fd, input + len, CHUNK_BYTES);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			errx(1, "imap has ended");
		received += (uint64_t)ret;
		len += (size_t)ret;
		if (input[len - 1] == '\n') {
			line = memrchr(input, '\n', len - 1);
			line = line == NULL ? input : line + 1;
			input[len] = '\0';
			if (strncmp(line, begin, begin_len) == 0) {
				received -= strlen(line);
				line[strcspn(line, "\r\n")] = '\0';
				return line + begin_len;
			}
		}
		if (len > TAIL_BYTES) {
			memmove(input, input + len - TAIL_BYTES, TAIL_BYTES);
			len = TAIL_BYTES;
		}
	}
}

static const char *next_tag(void)
{
	static char tag[32];

	(void)snprintf(tag, sizeof(tag), "bench.%u ", ++tag_number);
	return tag;
}

static void do_command(const char *command)
{
	const char *tag = next_tag(), *answer;
	struct usage before;
	struct blob line;

	line.len = (size_t)asprintf(&line.p, "%s%s\r\n", tag, command);
	usage_begin(&before);
	send_bytes(line.p, line.len);
	answer = receive(tag);
	usage_report(&before, received, answer);
	free(line.p);
}

/* --- APPEND ---------------------------------------------------------------- */

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static struct blob read_message(const char *dir, const char *name)
{
	struct blob message = { NULL, 0 };
	char *path = NULL;
	size_t size = 0;
	FILE *file;
	int c;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		err(1, "memory");
	file = fopen(path, "r");
	if (file == NULL)
		err(1, "%s", path);
	free(path);
	while ((c = getc_unlocked(file)) != EOF) {
		if (message.len + 2 > size) {
			size = size * 2 + 4096;
			message.p = realloc(message.p, size);
			if (message.p == NULL)
				err(1, "memory");
		}
		if (c == '\n')
			message.p[message.len++] = '\r';
		message.p[message.len++] = (char)c;
	}
	(void)fclose(file);
	return message;
}

/* The files of a folder in order; read once, for it may have a million. */
static int list_folder(const char *dir, struct dirent ***names_r)
{
	static struct dirent **names;
	static char *listed;
	static int count;

	if (listed == NULL || strcmp(listed, dir) != 0) {
		while (count > 0)
			free(names[--count]);
		free(names);
		free(listed);
		listed = strdup(dir);
		count = scandir(dir, &names, visible, alphasort);
		if (count < 0)
			err(1, "%s", dir);
	}
	*names_r = names;
	return count;
}

static struct blob *read_messages(const char *dir, size_t first, size_t count)
{
	struct blob *messages = calloc(count, sizeof(*messages));
	struct dirent **names;
	size_t i;

	if ((size_t)list_folder(dir, &names) < first + count || messages == NULL)
		errx(1, "%s: not so many messages", dir);
	for (i = 0; i < count; i++)
		messages[i] = read_message(dir, names[first + i]->d_name);
	return messages;
}

static void append(const char *args)
{
	char mailbox[256], mode[16], dir[4096], line[512];
	const char *tag = "", *answer = "";
	struct blob *messages;
	struct usage before;
	size_t i, first, count;
	uint64_t sent = 0;
	bool multi;

	if (sscanf(args, "%255s %15s %zu %zu %4095s", mailbox, mode, &first,
		   &count, dir) != 5 || count == 0)
		errx(64, "append %s: not understood", args);
	multi = strcmp(mode, "multi") == 0;
	messages = read_messages(dir, first, count);
	usage_begin(&before);
	for (i = 0; i < count; i++) {
		if (!multi || i == 0) {
			tag = next_tag();
			(void)snprintf(line, sizeof(line), "%sAPPEND %s", tag,
				       mailbox);
			send_bytes(line, strlen(line));
		}
		(void)snprintf(line, sizeof(line), " {%zu+}\r\n",
			       messages[i].len);
		send_bytes(line, strlen(line));
		send_bytes(messages[i].p, messages[i].len);
		sent += messages[i].len;
		if (multi && i + 1 < count)
			continue;
		send_bytes("\r\n", 2);
		answer = receive(tag);
		if (strncmp(answer, "OK", 2) != 0)
			break;
	}
	usage_report(&before, sent, answer);
	for (i = 0; i < count; i++)
		free(messages[i].p);
	free(messages);
}

/* --- processes ------------------------------------------------------------- */

/* The variables of a file, with room for two more and the NULL. */
static char **read_environment(const char *path)
{
	char **env = calloc(ENV_MAX + 3, sizeof(*env)), *value = NULL;
	FILE *file = fopen(path, "r");
	size_t size = 0, count = 0;

	if (file == NULL || env == NULL)
		err(1, "%s", path);
	while (getdelim(&value, &size, '\0', file) > 0) {
		if (count == ENV_MAX)
			errx(1, "%s: too many variables", path);
		env[count++] = value;
		value = NULL;
		size = 0;
	}
	(void)fclose(file);
	return env;
}

static char *variable(char **env, const char *name)
{
	size_t len = strlen(name);

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	}
	return NULL;
}

static void add_variable(char **env, const char *name, const char *value)
{
	while (*env != NULL)
		env++;
	if (asprintf(env, "%s=%s", name, value) < 0)
		err(1, "memory");
}

static void add_config(char **env, const char *path)
{
	char number[16];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		err(1, "%s", path);
	(void)snprintf(number, sizeof(number), "%d", fd);
	add_variable(env, "DOVECOT_CONFIG_FD", number);
}

/* port is of the imap behind this one, or 0. */
static void __attribute__((noreturn))
exec_imap(int fd, char **env, unsigned int port)
{
	char *imap = variable(env, "LOAD_IMAP"), option[] = "-o";
	char setting[32], *argv[] = { imap, option, setting, NULL };
	const char *config = variable(env, "LOAD_CONFIG");

	if (imap == NULL)
		errx(1, "no LOAD_IMAP in the environment");
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		err(1, "dup2");
	closefrom(STDERR_FILENO + 1);
	if (config != NULL)
		add_config(env, config);
	(void)snprintf(setting, sizeof(setting), "imapc_port=%u", port);
	if (port == 0)
		argv[1] = NULL;
	(void)execve(imap, argv, env);
	err(1, "%s", imap);
}

/* What imap-login does: a greeting, LOGIN, and imap takes over. */
static void __attribute__((noreturn)) serve_login(int fd, char **env)
{
	static const char greeting[] =
		"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+] bench\r\n";
	char line[1024];
	size_t len = 0;

	if (write(fd, greeting, sizeof(greeting) - 1) < 0)
		err(1, "write to imapc");
	while (len < sizeof(line) - 1 && read(fd, line + len, 1) == 1 &&
	       line[len] != '\n')
		len++;
	line[len] = '\0';
	line[strcspn(line, " ")] = '\0';
	add_variable(env, "IMAPLOGINTAG", line);
	exec_imap(fd, env, 0);
}

/* Serve until this process ends. Returns the port. */
static unsigned int start_remote(char **env)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid, parent = getpid();

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address, len) < 0 ||
	    listen(listener, 10) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		err(1, "listen on 127.0.0.1");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid > 0) {
		(void)close(listener);
		return ntohs(address.sin_port);
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	/* sessions end with their connection; as zombies they can be measured */
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (fork() == 0)
			serve_login(fd, env);
		(void)close(fd);
	}
	err(1, "accept");
}

static void start_imap(char **env, unsigned int port, rlim_t memory)
{
	struct rlimit limit = { memory, memory };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		err(1, "socketpair");
	imap_pid = fork();
	if (imap_pid < 0)
		err(1, "fork");
	if (imap_pid == 0) {
		if (memory != RLIM_INFINITY &&
		    setrlimit(RLIMIT_AS, &limit) < 0)
			err(1, "setrlimit");
		exec_imap(fds[1], env, port);
	}
	(void)close(fds[1]);
	imap_fd = fds[0];
}

int main(int argc, char *argv[])
{
	rlim_t memory = RLIM_INFINITY;
	char **env, *line = NULL;
	struct usage before;
	unsigned int port = 0;
	size_t size = 0;
	ssize_t len;
	int c;

	(void)signal(SIGPIPE, SIG_IGN);
	while ((c = getopt(argc, argv, "m:r:")) != -1) {
		if (c == 'm')
			memory = strtoull(optarg, NULL, 10);
		else if (c == 'r')
			port = start_remote(read_environment(optarg));
		else
			errx(64, "usage: load [-m BYTES] [-r ENVIRONMENT] ENVIRONMENT");
	}
	if (optind + 1 != argc)
		errx(64, "usage: load [-m BYTES] [-r ENVIRONMENT] ENVIRONMENT");
	env = read_environment(argv[optind]);
	usage_begin(&before);
	start_imap(env, port, memory);
	usage_report(&before, 0, receive("* PREAUTH "));
	while ((len = getline(&line, &size, stdin)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "do ", 3) == 0)
			do_command(line + 3);
		else if (strncmp(line, "append ", 7) == 0)
			append(line + 7);
		else
			errx(64, "%s: not understood", line);
	}
	(void)close(imap_fd);
	while (waitpid(imap_pid, NULL, 0) < 0 && errno == EINTR) ;
	return 0;
}
