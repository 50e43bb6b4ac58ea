#include "lib.h"
#include "compat.h"
#include "bridge-settings.h"

#include "proc.h"
#include "session.h"
#include "words.h"

#define BRIDGE_TIME_MAX_MSECS (24 * 60 * 60 * 1000)
#define BRIDGE_WATCH_MAX 10000
#define BRIDGE_STORE_ID_MAX 64

const struct bridge_setting_values bridge_setting_defaults = {
	.bridge_command = "",
	.bridge_timeout = SESSION_TIMEOUT_MSECS,
	.bridge_caps_timeout = SESSION_CAPS_TIMEOUT_MSECS,
	.bridge_end_timeout = PROC_GRACE_MSECS,
	.bridge_brake_pause = 60 * 1000,
	.bridge_lock_timeout = 120 * 1000,
	.bridge_watch_max = 4,
	.bridge_directory = "",
	.bridge_store_id = "",
	.bridge_rawlog_dir = "",
};

static const struct {
	const char *name;
	size_t offset;
	unsigned int min, max;
} numbers[] = {
#define NUMBER(name, min, max) \
	{ #name, offsetof(struct bridge_setting_values, name), min, max }
	NUMBER(bridge_timeout, 1, BRIDGE_TIME_MAX_MSECS),
	NUMBER(bridge_caps_timeout, 1, BRIDGE_TIME_MAX_MSECS),
	NUMBER(bridge_end_timeout, 1, BRIDGE_TIME_MAX_MSECS),
	NUMBER(bridge_brake_pause, 0, BRIDGE_TIME_MAX_MSECS),
	NUMBER(bridge_lock_timeout, 1, BRIDGE_TIME_MAX_MSECS),
	NUMBER(bridge_watch_max, 0, BRIDGE_WATCH_MAX),
};

static const struct bridge_setting_problem no_problem;

static struct bridge_setting_problem
problem_make(const char *name, const char *value, const char *wanted)
{
	const struct bridge_setting_problem problem = { name, value, wanted };

	return problem;
}

struct bridge_setting_problem
bridge_settings_check_numbers(const struct bridge_setting_values *values)
{
	unsigned int i, number, max;

	for (i = 0; i < N_ELEMENTS(numbers); i++) {
		number = *(const unsigned int *)
			CONST_PTR_OFFSET(values, numbers[i].offset);
		max = numbers[i].max;
		if (number >= numbers[i].min && number <= max)
			continue;
		if (max == BRIDGE_TIME_MAX_MSECS)
			return problem_make(numbers[i].name,
				t_strdup_printf("%u ms", number),
				t_strdup_printf("a time from %u ms to 24 hours "
					"is needed", numbers[i].min));
		return problem_make(numbers[i].name, dec2str(number),
			t_strdup_printf("a number from %u to %u is needed",
				numbers[i].min, max));
	}
	return no_problem;
}

/* It becomes the name of a folder. */
static struct bridge_setting_problem
take_store(const struct bridge_setting_values *values, pool_t pool,
	   struct bridge_settings *set)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *id = values->bridge_store_id;
	size_t len = strlen(id);

	set->store_dir = "";
	if (len == 0)
		return no_problem;
	if (len > BRIDGE_STORE_ID_MAX || strspn(id, allowed) != len)
		return problem_make("bridge_store_id", id, t_strdup_printf(
			"1 to %d letters, digits, and .-_ are needed",
			BRIDGE_STORE_ID_MAX));
	set->store_dir = p_strdup_printf(pool, "/store=%s", id);
	return no_problem;
}

static struct bridge_setting_problem
take_path(const char *name, const char *value, pool_t pool,
	  const char **path_r)
{
	if (*value == '\0') {
		*path_r = NULL;
		return no_problem;
	}
	if (*value != '/')
		return problem_make(name, value, "an absolute path is needed");
	*path_r = p_strdup(pool, value);
	return no_problem;
}

static struct bridge_setting_problem
take_command(const struct bridge_setting_values *values,
	     struct bridge_settings *set)
{
	static const char name[] = "bridge_command";
	char error[128];

	if (words_split(values->bridge_command, &set->argv, error,
			sizeof(error)) < 0)
		return problem_make(name, values->bridge_command,
				    t_strdup(error));
	if (set->argv[0][0] != '/' && strchr(set->argv[0], '/') != NULL) {
		bridge_settings_free(set);
		return problem_make(name, values->bridge_command,
				    "the program must be an absolute path or "
				    "a name to be found in PATH");
	}
	return no_problem;
}

struct bridge_setting_problem
bridge_settings_take(const struct bridge_setting_values *values,
		     struct mail_namespace *ns, struct bridge_settings *set_r)
{
	struct bridge_setting_problem problem;
	pool_t pool = ns->user->pool;

	i_zero(set_r);
	problem = bridge_settings_check_numbers(values);
	set_r->timeout_msecs = values->bridge_timeout;
	set_r->caps_timeout_msecs = values->bridge_caps_timeout;
	set_r->end_timeout_msecs = values->bridge_end_timeout;
	set_r->brake_pause_secs = (values->bridge_brake_pause + 999) / 1000;
	set_r->lock_timeout_msecs = values->bridge_lock_timeout;
	set_r->watch_max = values->bridge_watch_max;
	if (problem.name == NULL)
		problem = take_store(values, pool, set_r);
	if (problem.name == NULL)
		problem = take_path("bridge_directory",
				    values->bridge_directory, pool,
				    &set_r->directory);
	if (problem.name == NULL)
		problem = take_path("bridge_rawlog_dir",
				    values->bridge_rawlog_dir, pool,
				    &set_r->rawlog_dir);
	if (problem.name == NULL)
		problem = take_command(values, set_r);
	return problem;
}

void bridge_settings_free(struct bridge_settings *set)
{
	words_free(set->argv);
	set->argv = NULL;
}
