/* The settings in Dovecot 2.4, as its parser wants them: for the plugin, and for the
 * module from which doveconf knows them (MODULEDIR/settings/libbridge_settings.so). */
#include "lib.h"
#include "settings-parser.h"
#include "bridge-settings.h"
#include "settings-24-info.h"

#define BRIDGE_EXPORT __attribute__((visibility("default")))

#define SETTING(type, name) \
	SETTING_DEFINE_STRUCT_##type(#name, name, struct bridge_setting_values),
static const struct setting_define bridge_setting_defines[] = {
	{ .type = SET_FILTER_NAME, .key = "bridge" },
	BRIDGE_SETTINGS(SETTING)
	SETTING_DEFINE_LIST_END
};

/* What is Dovecot's, where mail_driver is bridge and the admin says nothing else. To
   look for attachments would be to read each message. */
static const struct setting_keyvalue bridge_setting_dovecot[] = {
	{ "bridge/mailbox_list_layout", "bridge" },
	{ "bridge/mailbox_subscriptions_filename", "subscriptions" },
	{ "bridge/mail_attachment_detection_options", "" },
	{ NULL, NULL }
};

static bool
bridge_settings_check(void *set, pool_t pool ATTR_UNUSED, const char **error_r)
{
	struct bridge_setting_problem problem =
		bridge_settings_check_numbers(set);

	if (problem.name == NULL)
		return TRUE;
	*error_r = t_strdup_printf("%s = %s: %s", problem.name, problem.value,
				   problem.wanted);
	return FALSE;
}

const struct setting_parser_info bridge_setting_parser_info = {
	.name = "bridge",

	.defines = bridge_setting_defines,
	.defaults = &bridge_setting_defaults,
	.default_settings = bridge_setting_dovecot,

	.struct_size = sizeof(struct bridge_setting_values),
	.pool_offset1 = 1 + offsetof(struct bridge_setting_values, pool),
	.check_func = bridge_settings_check,
};

/* The names that Dovecot looks for in a module of settings. */
extern const char *bridge_settings_version;
extern const struct setting_parser_info *const bridge_settings_set_infos[];
BRIDGE_EXPORT const char *bridge_settings_version = DOVECOT_ABI_VERSION;
BRIDGE_EXPORT const struct setting_parser_info *const
bridge_settings_set_infos[] = {
	&bridge_setting_parser_info,
	NULL
};
