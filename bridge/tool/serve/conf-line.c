#include "conf-line.h"

#include <string.h>

void conf_line(struct buf *conf, const char *key, const char *value,
	       const char *variable)
{
	size_t len = variable == NULL ? 0 : strlen(variable);

	buf_printf(conf, "%s = \"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			buf_append_c(conf, '\\');
		if (len > 0 && strncmp(value, variable, len) == 0)
			buf_append_c(conf, '%');
		buf_append_c(conf, *value);
	}
	buf_append_str(conf, "\"\n");
}
