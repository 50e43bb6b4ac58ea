/* The plugin's settings (dovebridge.conf(5)). */
#ifndef BRIDGE_SETTINGS_H
#define BRIDGE_SETTINGS_H

struct bridge_owner;
struct mail_namespace;

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

/* Read the settings of a namespace, as they are for its owner: NAME_<namespace> wins
 * over NAME. Returns 0; -1 and an error that names the setting and its value. */
int bridge_settings_read(struct mail_namespace *ns,
			 const struct bridge_owner *owner,
			 struct bridge_settings *set_r, const char **error_r);
void bridge_settings_free(struct bridge_settings *set);

#endif
