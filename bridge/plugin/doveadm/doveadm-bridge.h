/* The commands that the plugin adds to doveadm. */
#ifndef DOVEADM_BRIDGE_H
#define DOVEADM_BRIDGE_H

extern struct doveadm_cmd_ver2 doveadm_bridge_status_command;

#endif
