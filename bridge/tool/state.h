/* Folders that a command writes to: the state folder, where a store's UIDs and
 * local flags are kept between runs, and those that the user names. */
#ifndef BRIDGE_STATE_H
#define BRIDGE_STATE_H

/* Choose and, if it is not there, make the state folder for a backend, and
 * become the user (tool_become). dir NULL = the default:
 * $XDG_STATE_HOME/dovebridge/NAME-HASH, as root
 * /var/lib/dovebridge/USER/NAME-HASH, HASH over the argument vector and the
 * working directory. As root a new folder is made for the user; one that is
 * there is never chowned: it must be writable to the user, belong to the user
 * or root, and be no other's to write to, but if it is sticky. Returns the
 * absolute path; exits with a message if it cannot be used. */
char *state_open(const char *dir, const char *user, char **backend);
/* The same for another folder that a command writes to. */
char *state_target(const char *dir, const char *user);

#endif
