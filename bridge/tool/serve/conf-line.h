/* A line of a configuration of Dovecot. */
#ifndef BRIDGE_CONF_LINE_H
#define BRIDGE_CONF_LINE_H

#include "buf.h"

/* Append "key = value", the value in quotes. variable: what a variable begins with, which
 * is escaped, so that the value stays as it is; NULL = variables are meant. */
void conf_line(struct buf *conf, const char *key, const char *value,
	       const char *variable);

#endif
