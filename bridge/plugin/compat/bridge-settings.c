#include "lib.h"
#include "compat.h"
#include "mail-namespace.h"
#include "bridge-owner.h"
#include "bridge-settings.h"

#include "proc.h"
#include "session.h"
#include "words.h"

#define BRIDGE_BRAKE_PAUSE_MSECS (60 * 1000)
#define BRIDGE_LOCK_TIMEOUT_MSECS (120 * 1000)
#define BRIDGE_TIME_MAX_MSECS (24 * 60 * 60 * 1000)
#define BRIDGE_WATCH_DEFAULT 4
#define BRIDGE_WATCH_MAX 10000
#define BRIDGE_STORE_ID_MAX 64

static const char *const setting_names[] = {
	"bridge_command",
	"bridge_timeout",
	"bridge_caps_timeout",
	"bridge_end_timeout",
	"bridge_brake_pause",
	"bridge_lock_timeout",
	"bridge_directory",
	"bridge_watch_max",
	"bridge_store_id",
	"bridge_rawlog_dir",
};

/* A misspelt name would silently leave the default in force. */
static void setting_check_names(struct mail_namespace *ns)
{
	const char *name, *rest;
	unsigned int i, n;

	for (n = 0; (name = compat_setting_name(ns->user, n)) != NULL; n++) {
		if (!compat_begins(name, "bridge_"))
			continue;
		for (i = 0; i < N_ELEMENTS(setting_names); i++) {
			if (!compat_begins(name, setting_names[i]))
				continue;
			rest = name + strlen(setting_names[i]);
			if (*rest == '\0' || *rest == '_')
				break;
		}
		if (i == N_ELEMENTS(setting_names))
			e_warning(ns->user->event, "bridge: %s is no setting "
				  "of this version, it is ignored", name);
	}
}

/* Where settings are read from. */
struct setting_source {
	struct mail_namespace *ns;
	const struct bridge_owner *owner;
};

/* Returns 1 with the value and the name under which it was found, 0 if it is not set,
   -1 and an error. */
static int
setting_get(const struct setting_source *src, const char *name,
	    const char **value_r, const char **used_r, const char **error_r)
{
	int ret = 0;

	*value_r = NULL;
	if (src->owner->ns_name != NULL) {
		*used_r = t_strdup_printf("%s_%s", name, src->owner->ns_name);
		ret = bridge_owner_setting(src->ns, src->owner, *used_r,
					   value_r, error_r);
	}
	if (ret == 0 && *value_r == NULL) {
		*used_r = name;
		ret = bridge_owner_setting(src->ns, src->owner, name, value_r,
					   error_r);
	}
	return ret < 0 ? -1 : *value_r != NULL;
}

static int
setting_get_time(const struct setting_source *src, const char *name,
		 unsigned int min_msecs, unsigned int *msecs,
		 const char **error_r)
{
	const char *value, *used, *error;
	unsigned int number;
	int ret = setting_get(src, name, &value, &used, error_r);

	if (ret <= 0)
		return ret;
	if (compat_parse_msecs(value, &number, &error) < 0) {
		*error_r = t_strdup_printf("%s = %s: %s", used, value, error);
		return -1;
	}
	if (number < min_msecs || number > BRIDGE_TIME_MAX_MSECS) {
		*error_r = t_strdup_printf("%s = %s: a time from %u ms to "
			"24 hours is needed", used, value, min_msecs);
		return -1;
	}
	*msecs = number;
	return 0;
}

static int
setting_get_number(const struct setting_source *src, const char *name,
		   unsigned int max, unsigned int *number, const char **error_r)
{
	const char *value, *used;
	int ret = setting_get(src, name, &value, &used, error_r);

	if (ret <= 0)
		return ret;
	if (str_to_uint(value, number) < 0 || *number > max) {
		*error_r = t_strdup_printf("%s = %s: a number from 0 to %u is "
			"needed", used, value, max);
		return -1;
	}
	return 0;
}

/* It becomes the name of a folder. */
static int
setting_get_store(const struct setting_source *src, const char **dir_r,
		  const char **error_r)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *value, *used;
	size_t len;
	int ret;

	*dir_r = "";
	ret = setting_get(src, "bridge_store_id", &value, &used, error_r);
	if (ret <= 0)
		return ret;
	len = strlen(value);
	if (len == 0 || len > BRIDGE_STORE_ID_MAX ||
	    strspn(value, allowed) != len) {
		*error_r = t_strdup_printf("%s = %s: 1 to %d letters, digits, "
			"and .-_ are needed", used, value,
			BRIDGE_STORE_ID_MAX);
		return -1;
	}
	*dir_r = p_strdup_printf(src->ns->user->pool, "/store=%s", value);
	return 0;
}

static int
setting_get_path(const struct setting_source *src, const char *name,
		 const char **path_r, const char **error_r)
{
	const char *used;
	int ret = setting_get(src, name, path_r, &used, error_r);

	if (ret <= 0 || (*path_r)[0] == '/')
		return I_MIN(ret, 0);
	*error_r = t_strdup_printf("%s = %s: an absolute path is needed", used,
				   *path_r);
	return -1;
}

static int
setting_get_command(const struct setting_source *src,
		    struct bridge_settings *set, const char **error_r)
{
	const char *value, *used;
	char error[128];
	int ret = setting_get(src, "bridge_command", &value, &used, error_r);

	if (ret < 0)
		return -1;
	if (ret == 0) {
		*error_r = "bridge_command is not set: it names the program "
			"that is the mail store";
		return -1;
	}
	if (words_split(value, &set->argv, error, sizeof(error)) < 0) {
		*error_r = t_strdup_printf("%s = %s: %s", used, value, error);
		return -1;
	}
	if (set->argv[0][0] != '/' && strchr(set->argv[0], '/') != NULL) {
		*error_r = t_strdup_printf("%s = %s: the program must be an "
			"absolute path or a name to be found in PATH",
			used, value);
		bridge_settings_free(set);
		return -1;
	}
	return 0;
}

int bridge_settings_read(struct mail_namespace *ns,
			 const struct bridge_owner *owner,
			 struct bridge_settings *set_r, const char **error_r)
{
	const struct setting_source src = { ns, owner };
	unsigned int pause_msecs = BRIDGE_BRAKE_PAUSE_MSECS;

	i_zero(set_r);
	setting_check_names(ns);
	set_r->timeout_msecs = SESSION_TIMEOUT_MSECS;
	set_r->caps_timeout_msecs = SESSION_CAPS_TIMEOUT_MSECS;
	set_r->end_timeout_msecs = PROC_GRACE_MSECS;
	set_r->lock_timeout_msecs = BRIDGE_LOCK_TIMEOUT_MSECS;
	set_r->watch_max = BRIDGE_WATCH_DEFAULT;
	if (setting_get_time(&src, "bridge_timeout", 1,
			     &set_r->timeout_msecs, error_r) < 0 ||
	    setting_get_time(&src, "bridge_caps_timeout", 1,
			     &set_r->caps_timeout_msecs, error_r) < 0 ||
	    setting_get_time(&src, "bridge_end_timeout", 1,
			     &set_r->end_timeout_msecs, error_r) < 0 ||
	    setting_get_time(&src, "bridge_brake_pause", 0,
			     &pause_msecs, error_r) < 0 ||
	    setting_get_time(&src, "bridge_lock_timeout", 1,
			     &set_r->lock_timeout_msecs, error_r) < 0 ||
	    setting_get_number(&src, "bridge_watch_max", BRIDGE_WATCH_MAX,
			       &set_r->watch_max, error_r) < 0 ||
	    setting_get_store(&src, &set_r->store_dir, error_r) < 0 ||
	    setting_get_path(&src, "bridge_directory",
			     &set_r->directory, error_r) < 0 ||
	    setting_get_path(&src, "bridge_rawlog_dir",
			     &set_r->rawlog_dir, error_r) < 0)
		return -1;
	set_r->brake_pause_secs = (pause_msecs + 999) / 1000;
	return setting_get_command(&src, set_r, error_r);
}

void bridge_settings_free(struct bridge_settings *set)
{
	words_free(set->argv);
	set->argv = NULL;
}
