/* The plugin's settings (dovebridge.conf(5)): what they are, what is right in them. How
 * they are read is settings-23.c's or settings-24.c's. */
#ifndef BRIDGE_SETTINGS_H
#define BRIDGE_SETTINGS_H

#include <stddef.h>

struct bridge_owner;
struct mail_namespace;
struct mailbox_list;
struct pool;

/* As an admin writes them; "" = not set. Times are in milliseconds. */
struct bridge_setting_values {
	struct pool *pool;		/* what Dovecot 2.4 holds them by */
	const char *bridge_command;
	unsigned int bridge_timeout;
	unsigned int bridge_caps_timeout;
	unsigned int bridge_end_timeout;
	unsigned int bridge_brake_pause;
	unsigned int bridge_lock_timeout;
	unsigned int bridge_watch_max;
	const char *bridge_directory;
	const char *bridge_store_id;
	const char *bridge_rawlog_dir;
};

/* All of them: TYPE (as settings-parser.h has it) and name. */
#define BRIDGE_SETTINGS(SETTING) \
	SETTING(STR, bridge_command) \
	SETTING(TIME_MSECS, bridge_timeout) \
	SETTING(TIME_MSECS, bridge_caps_timeout) \
	SETTING(TIME_MSECS, bridge_end_timeout) \
	SETTING(TIME_MSECS, bridge_brake_pause) \
	SETTING(TIME_MSECS, bridge_lock_timeout) \
	SETTING(UINT, bridge_watch_max) \
	SETTING(STR, bridge_directory) \
	SETTING(STR, bridge_store_id) \
	SETTING(STR, bridge_rawlog_dir)

extern const struct bridge_setting_values bridge_setting_defaults;

#define BRIDGE_COMMAND_MISSING "bridge_command is not set: it names the program " \
	"that is the mail store"

/* Of what is wrong: a setting, and why. */
struct bridge_setting_problem {
	const char *name;		/* NULL = nothing is wrong */
	const char *value;		/* what it is, as a text */
	const char *wanted;		/* "a number from 0 to 10000 is needed" */
};

/* Look at the numbers, which are the same for all users. */
struct bridge_setting_problem
bridge_settings_check_numbers(const struct bridge_setting_values *values);

struct bridge_settings {
	char **argv;			/* bridge_command, split */
	unsigned int timeout_msecs;
	unsigned int caps_timeout_msecs;
	unsigned int end_timeout_msecs;	/* from the end of stdin to SIGTERM */
	unsigned int brake_pause_secs;
	unsigned int lock_timeout_msecs;
	unsigned int watch_max;		/* copies of idling clients */
	const char *directory;		/* working directory; NULL = home */
	const char *rawlog_dir;		/* for transcripts; NULL = none */
	/* where below a root what is kept of the store lies: "" or
	   "/store=ID" */
	const char *store_dir;
};

/* Read the settings of the namespace that a list is made for, as they are for its owner:
 * those of the namespace win. Returns 0; -1 and an error that names the setting and its
 * value. */
int bridge_settings_read(struct mailbox_list *list,
			 const struct bridge_owner *owner,
			 struct bridge_settings *set_r, const char **error_r);
/* The same from values, of which nothing is kept. */
struct bridge_setting_problem
bridge_settings_take(const struct bridge_setting_values *values,
		     struct mail_namespace *ns, struct bridge_settings *set_r);
void bridge_settings_free(struct bridge_settings *set);

#endif
