/* Preloaded into tests, it has Dovecot's mail processes run with a sanitizer's library,
 * or under valgrind, whoever starts them: Dovecot's master and `dovebridge imap` start
 * them with an environment of their own. test/run/under sets the variables; those that
 * begin with UNDER_ are for this file:
 *
 *	UNDER_PRELOAD	what LD_PRELOAD is for them
 *	UNDER_WRAPPER	a command that runs them; words without quotes
 *	UNDER_PLANT	what test/run/planted.c has them do wrong
 *
 * Limits of memory are not set: sanitizers reserve terabytes of address space. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORDS_MAX 64

/* Wherever Dovecot is installed. */
static const char *const programs[] = {
	"/dovecot/imap", "/dovecot/pop3", "/dovecot/lmtp",
	"/dovecot/indexer-worker", "/dovecot/doveadm-server",
	"/dovecot/dovecot-lda", "/bin/doveadm",
};
static const char *const names[] = {
	"UNDER_PRELOAD", "UNDER_WRAPPER", "UNDER_PLANT", "ASAN_OPTIONS", "UBSAN_OPTIONS",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *vars[COUNT(names) + 1], *wrapper[WORDS_MAX];
static size_t vars_count, wrapper_count;

static void __attribute__((constructor)) remember(void)
{
	const char *preload = getenv("UNDER_PRELOAD");
	char *words, *word;
	size_t i;

	for (i = 0; i < COUNT(names); i++) {
		if (getenv(names[i]) != NULL &&
		    asprintf(&vars[vars_count], "%s=%s", names[i],
			     getenv(names[i])) > 0)
			vars_count++;
	}
	if (preload != NULL &&
	    asprintf(&vars[vars_count], "LD_PRELOAD=%s", preload) > 0)
		vars_count++;
	words = strdup(getenv("UNDER_WRAPPER") != NULL ?
		       getenv("UNDER_WRAPPER") : "");
	for (word = strtok(words, " "); word != NULL && wrapper_count < WORDS_MAX;
	     word = strtok(NULL, " "))
		wrapper[wrapper_count++] = word;
}

static int is_program(const char *path)
{
	size_t i, len = strlen(path), end;

	for (i = 0; i < COUNT(programs); i++) {
		end = strlen(programs[i]);
		if (len >= end && strcmp(path + len - end, programs[i]) == 0)
			return 1;
	}
	return 0;
}

/* Whether we set this variable. */
static int is_ours(const char *var)
{
	size_t i, len = strcspn(var, "=") + 1;

	for (i = 0; i < vars_count; i++) {
		if (strncmp(vars[i], var, len) == 0)
			return 1;
	}
	return 0;
}

typedef int execve_func(const char *, char *const *, char *const *);

static int real_execve(const char *path, char *const *argv, char *const *envp)
{
	void *symbol = dlsym(RTLD_NEXT, "execve");
	execve_func *func;

	memcpy(&func, &symbol, sizeof(func));
	return func(path, argv, envp);
}

int execve(const char *path, char *const *argv, char *const *envp)
{
	char **env, *args[2 * WORDS_MAX + 2], *program;
	size_t i, n = 0;

	if (!is_program(path))
		return real_execve(path, argv, envp);
	/* doveconf has each setting in a variable */
	for (i = 0; envp[i] != NULL; i++)
		;
	env = calloc(i + COUNT(vars) + 1, sizeof(*env));
	if (env == NULL)
		return -1;
	for (i = 0; i < vars_count; i++)
		env[n++] = vars[i];
	for (i = 0; envp[i] != NULL; i++) {
		if (!is_ours(envp[i]))
			env[n++] = envp[i];
	}
	if (wrapper_count == 0)
		return real_execve(path, argv, env);
	for (n = 0; n < wrapper_count; n++)
		args[n] = wrapper[n];
	program = strdup(path);
	args[n++] = program;
	for (i = 1; argv[i] != NULL; i++) {
		if (i == WORDS_MAX) {
			errno = E2BIG;
			return -1;
		}
		args[n++] = argv[i];
	}
	args[n] = NULL;
	return real_execve(args[0], args, env);
}

/* In libc these do not go through execve() above. */
int execv(const char *path, char *const *argv)
{
	return execve(path, argv, environ);
}

int execvp(const char *path, char *const *argv)
{
	const char *found;
	size_t i;

	/* by its name alone: Dovecot's is nowhere else */
	for (i = 0; i < COUNT(programs) && strchr(path, '/') == NULL; i++) {
		found = strrchr(programs[i], '/') + 1;
		if (strcmp(path, found) == 0)
			return execve(programs[i], argv, environ);
	}
	if (strchr(path, '/') == NULL)
		return execvpe(path, argv, environ);
	return execve(path, argv, environ);
}

static int is_memory(__rlimit_resource_t resource)
{
	return resource == RLIMIT_AS || resource == RLIMIT_DATA;
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	return is_memory(resource) ? 0 : prlimit(0, resource, limit, NULL);
}

int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
	return is_memory(resource) ? 0 : prlimit64(0, resource, limit, NULL);
}
