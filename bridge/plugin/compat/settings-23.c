/* The settings in Dovecot 2.3: strings of the plugin section, those of a namespace with
 * its name at the end, which userdb may give, too. */
#include "lib.h"
#include "compat.h"
#include "bridge-owner.h"
#include "bridge-settings.h"

static const struct {
	const char *name;
	enum setting_type type;
	size_t offset;
} settings[] = {
#define SETTING(type, name) \
	{ #name, TYPE_##type, offsetof(struct bridge_setting_values, name) },
#define TYPE_STR SET_STR
#define TYPE_TIME_MSECS SET_TIME_MSECS
#define TYPE_UINT SET_UINT
	BRIDGE_SETTINGS(SETTING)
};

/* The name of the nth setting of the plugin section, NULL beyond the last. */
static const char *plugin_setting_name(struct mail_user *user, unsigned int n)
{
	const ARRAY_TYPE(const_string) *envs =
		(const void *)&user->set->plugin_envs;

	if (!array_is_created(envs) || n * 2 >= array_count(envs))
		return NULL;
	return array_idx_elem(envs, n * 2);
}

/* A misspelt name would silently leave the default in force. */
static void setting_check_names(struct mail_namespace *ns)
{
	const char *name, *rest;
	unsigned int i, n;

	for (n = 0; (name = plugin_setting_name(ns->user, n)) != NULL; n++) {
		if (!compat_begins(name, "bridge_"))
			continue;
		for (i = 0; i < N_ELEMENTS(settings); i++) {
			if (!compat_begins(name, settings[i].name))
				continue;
			rest = name + strlen(settings[i].name);
			if (*rest == '\0' || *rest == '_')
				break;
		}
		if (i == N_ELEMENTS(settings))
			e_warning(ns->user->event, "bridge: %s is no setting "
				  "of this version, it is ignored", name);
	}
}

/* Where settings are read from. */
struct setting_source {
	struct mail_namespace *ns;
	const struct bridge_owner *owner;
};

/* Returns 1 with the value, 0 if it is not set, -1 and an error. */
static int
setting_get_one(const struct setting_source *src, const char *name,
		const char **value_r, const char **error_r)
{
	int ret = bridge_owner_field(src->ns, src->owner, name, value_r,
				     error_r);

	if (ret != 0)
		return ret;
	*value_r = mail_user_plugin_getenv(src->owner->user, name);
	return *value_r != NULL ? 1 : 0;
}

/* The same, with the name under which it was found. */
static int
setting_get(const struct setting_source *src, const char *name,
	    const char **value_r, const char **used_r, const char **error_r)
{
	int ret = 0;

	if (src->owner->ns_name != NULL) {
		*used_r = t_strdup_printf("%s_%s", name, src->owner->ns_name);
		ret = setting_get_one(src, *used_r, value_r, error_r);
	}
	if (ret == 0) {
		*used_r = name;
		ret = setting_get_one(src, name, value_r, error_r);
	}
	return ret;
}

/* Returns 0; -1 and what is wrong with the text. */
static int
setting_parse(const char *text, enum setting_type type, void *value_r,
	      const char **error_r)
{
	switch (type) {
	case SET_TIME_MSECS:
		return settings_get_time_msecs(text, value_r, error_r);
	case SET_UINT:
		if (str_to_uint(text, value_r) == 0)
			return 0;
		/* none of the allowed ones: the check says which these are */
		*(unsigned int *)value_r = UINT_MAX;
		return 0;
	default:
		*(const char **)value_r = text;
		*error_r = "a value is needed";
		return *text != '\0' ? 0 : -1;
	}
}

static int
settings_read_all(const struct setting_source *src,
		  struct bridge_setting_values *values, const char **error_r)
{
	const char *text, *used, *error;
	unsigned int i;
	int ret;

	for (i = 0; i < N_ELEMENTS(settings); i++) {
		ret = setting_get(src, settings[i].name, &text, &used, error_r);
		if (ret < 0)
			return -1;
		if (ret > 0 &&
		    setting_parse(text, settings[i].type,
				  PTR_OFFSET(values, settings[i].offset),
				  &error) < 0) {
			*error_r = t_strdup_printf("%s = %s: %s", used, text,
						   error);
			return -1;
		}
	}
	return 0;
}

int bridge_settings_read(struct mailbox_list *list,
			 const struct bridge_owner *owner,
			 struct bridge_settings *set_r, const char **error_r)
{
	const struct setting_source src = { list->ns, owner };
	struct bridge_setting_values values = bridge_setting_defaults;
	struct bridge_setting_problem problem;
	const char *text, *used;
	int ret;

	setting_check_names(list->ns);
	if (settings_read_all(&src, &values, error_r) < 0)
		return -1;
	problem = bridge_settings_take(&values, list->ns, set_r);
	if (problem.name == NULL)
		return 0;
	ret = setting_get(&src, problem.name, &text, &used, error_r);
	if (ret >= 0)
		*error_r = ret == 0 ? BRIDGE_COMMAND_MISSING :
			t_strdup_printf("%s = %s: %s", used, text,
					problem.wanted);
	return -1;
}
