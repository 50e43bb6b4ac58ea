/* The settings in Dovecot 2.4: real ones, which may stand in a namespace.
 *
 * Dovecot (2.4.1, shared-storage.c) reads those of a shared namespace as of who looks:
 * with the fields that userdb gave for that one, and %{user} and %{home} of that one.
 * Here they are read as of the owner.
 *
 * Whoever runs `dovebridge imap` or `serve` has not installed the module from which
 * doveconf knows them. Then they stand in a file, which the command has made for this
 * Dovecot alone, and named in its environment. */
#include "lib.h"
#include "compat.h"
#include "istream.h"
#include "settings.h"
#include "bridge-owner.h"
#include "bridge-settings.h"
#include "settings-24-info.h"

#include "wire.h"

#define SETTINGS_FILE_ENV "DOVEBRIDGE_SETTINGS"

static const char *const setting_names[] = {
#define SETTING(type, name) #name,
	BRIDGE_SETTINGS(SETTING)
};

/* Of an event, which says whose and where. An admin may write them in a section
   "bridge { command = ... }", too. */
static int
event_settings_read(struct event *parent, struct mail_namespace *ns,
		    struct bridge_settings *set_r, const char **error_r)
{
	struct event *event = event_create(parent);
	const struct bridge_setting_values *values;
	struct bridge_setting_problem problem;
	int ret;

	settings_event_add_filter_name(event, "bridge");
	ret = settings_get(event, &bridge_setting_parser_info, 0, &values,
			   error_r);
	event_unref(&event);
	if (ret < 0)
		return -1;
	problem = bridge_settings_take(values, ns, set_r);
	if (problem.name != NULL)
		*error_r = *problem.value == '\0' ? BRIDGE_COMMAND_MISSING :
			t_strdup_printf("%s = %s: %s", problem.name,
					problem.value, problem.wanted);
	settings_free(values);
	return problem.name == NULL ? 0 : -1;
}

/* --- of another owner ---------------------------------------------------- */

/* What userdb says of who looks, and not of the owner, is an error: to leave it out in
   silence may show a store that nobody meant. */
static int
owner_check(const struct mail_namespace *ns, const struct bridge_owner *owner,
	    const char **error_r)
{
	const char *value, *name;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < N_ELEMENTS(setting_names) && ret >= 0; i++) {
		name = setting_names[i];
		ret = bridge_owner_field(ns, owner, name, &value, error_r);
		if (ret < 0 || owner->ns_name == NULL)
			continue;
		name = t_strdup_printf("namespace/%s/%s",
			settings_section_escape(owner->ns_name), name);
		ret = bridge_owner_field(ns, owner, name, &value, error_r);
	}
	return ret < 0 ? -1 : 0;
}

/* The configuration, and what userdb says of the owner. A setting has several names there
   ("bridge/bridge_command"), so nothing of who looks may be in it to begin with. */
static struct settings_instance *
owner_instance_create(const struct bridge_owner *owner)
{
	struct settings_instance *instance = settings_instance_new(
		settings_root_find(owner->user->event));
	const char *const *field, *key, *value;

	for (field = owner->fields; field != NULL && *field != NULL; field++) {
		t_split_key_value_eq(*field, &key, &value);
		/* 2.4.5 refuses what is no setting, as uid and home */
		if (strstr(key, "bridge") != NULL)
			settings_override(instance, key, value,
					  SETTINGS_OVERRIDE_TYPE_USERDB);
	}
	return instance;
}

/* %{owner_user} and the like, which Dovecot gives to the list alone. */
static void owner_add_variables(struct event *event, struct event *list_event)
{
	void *params = NULL;

	for (; list_event != NULL && params == NULL;
	     list_event = event_get_parent(list_event))
		params = event_get_ptr(list_event,
				       SETTINGS_EVENT_VAR_EXPAND_PARAMS);
	if (params != NULL)
		event_set_ptr(event, SETTINGS_EVENT_VAR_EXPAND_PARAMS, params);
}

static struct event *
owner_event_create(const struct mailbox_list *list,
		   const struct bridge_owner *owner,
		   struct settings_instance *instance)
{
	struct event *event = event_create(owner->user->event);

	if (owner->ns_name != NULL) {
		event_add_str(event, SETTINGS_EVENT_NAMESPACE_NAME,
			      owner->ns_name);
		settings_event_add_list_filter_name(event,
			SETTINGS_EVENT_NAMESPACE_NAME, owner->ns_name);
	}
	event_set_ptr(event, SETTINGS_EVENT_INSTANCE, instance);
	owner_add_variables(event, list->event);
	return event;
}

static int
owner_settings_read(const struct mailbox_list *list,
		    const struct bridge_owner *owner,
		    struct bridge_settings *set_r, const char **error_r)
{
	struct settings_instance *instance;
	struct event *event;
	int ret;

	if (owner_check(list->ns, owner, error_r) < 0)
		return -1;
	instance = owner_instance_create(owner);
	event = owner_event_create(list, owner, instance);
	ret = event_settings_read(event, list->ns, set_r, error_r);
	event_unref(&event);
	settings_instance_free(&instance);
	return ret;
}

/* --- of a file ----------------------------------------------------------- */

static bool is_setting(const char *name)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(setting_names); i++) {
		if (strcmp(setting_names[i], name) == 0)
			return TRUE;
	}
	return FALSE;
}

/* A line is a name, a space and a value, encoded as in the protocol. Returns false if it
   is not. */
static bool file_line(char *line, ARRAY_TYPE(const_string) *pairs)
{
	const char *name = line, *value;
	struct buf decoded = { NULL, 0, 0 };
	char *space = strchr(line, ' ');
	bool right = FALSE;

	if (space != NULL) {
		*space++ = '\0';
		right = is_setting(name) &&
			wire_decode(view_of(space), &decoded) == 0;
	}
	if (right) {
		value = t_strndup(buf_str(&decoded), decoded.len);
		array_push_back(pairs, &name);
		array_push_back(pairs, &value);
	}
	buf_free(&decoded);
	return right;
}

static int
file_read_pairs(const char *path, ARRAY_TYPE(const_string) *pairs,
		const char **error_r)
{
	struct istream *input = i_stream_create_file(path, SIZE_MAX);
	const char *line;
	bool right = TRUE;

	while (right && (line = i_stream_read_next_line(input)) != NULL)
		right = file_line(t_strdup_noconst(line), pairs);
	if (input->stream_errno != 0)
		*error_r = t_strdup_printf("%s: %s", path,
					   i_stream_get_error(input));
	else if (!right)
		*error_r = t_strdup_printf("%s is no setting of this version",
					   t_strcut(line, ' '));
	right = right && input->stream_errno == 0;
	i_stream_unref(&input);
	return right ? 0 : -1;
}

static int
file_settings_read(const char *path, struct mail_namespace *ns,
		   struct bridge_settings *set_r, const char **error_r)
{
	ARRAY_TYPE(const_string) pairs;
	struct settings_simple simple;
	int ret;

	t_array_init(&pairs, N_ELEMENTS(setting_names) * 2 + 1);
	if (file_read_pairs(path, &pairs, error_r) < 0)
		return -1;
	array_append_zero(&pairs);
	settings_simple_init(&simple, array_front(&pairs));
	ret = event_settings_read(simple.event, ns, set_r, error_r);
	settings_simple_deinit(&simple);
	return ret;
}

/* --- of a namespace ------------------------------------------------------ */

int bridge_settings_read(struct mailbox_list *list,
			 const struct bridge_owner *owner,
			 struct bridge_settings *set_r, const char **error_r)
{
	const char *path = getenv(SETTINGS_FILE_ENV);

	if (path != NULL)
		return file_settings_read(path, list->ns, set_r, error_r);
	if (owner->user != list->ns->user)
		return owner_settings_read(list, owner, set_r, error_r);
	return event_settings_read(list->event, list->ns, set_r, error_r);
}
