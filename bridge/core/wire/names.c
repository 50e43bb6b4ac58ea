#include "names.h"

#include <stdlib.h>
#include <utf8proc.h>

#define NAME_INBOX "INBOX"
#define COMPONENT_MAX 255	/* bytes */

bool names_compose(struct view name, struct buf *composed)
{
	utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t len;

	len = utf8proc_map((const utf8proc_uint8_t *)name.p,
			   (utf8proc_ssize_t)name.len, &nfc,
			   UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (len >= 0)
		buf_append(composed, (const char *)nfc, (size_t)len);
	free(nfc);
	return len >= 0;
}

static const char *unicode_fault(struct view name)
{
	struct buf composed = { NULL, 0, 0 };
	const char *fault = NULL;

	if (!names_compose(name, &composed))
		fault = "is not UTF-8";
	else if (!view_equals(view_of_buf(&composed), name))
		fault = "is not in Unicode's normal form C";
	buf_free(&composed);
	return fault;
}

/* C1 controls and line separators: names end up on terminals, by doveadm and logs,
   as they are. (RFC 5198, section 2, has neither in text.) */
static bool has_controls(struct view name)
{
	const unsigned char *p = (const unsigned char *)name.p;
	size_t i;

	for (i = 0; i + 1 < name.len; i++) {
		if (p[i] == 0xc2 && p[i + 1] < 0xa0)
			return true;
		if (i + 2 < name.len && p[i] == 0xe2 && p[i + 1] == 0x80 &&
		    (p[i + 2] == 0xa8 || p[i + 2] == 0xa9))
			return true;
	}
	return false;
}

static const char *component_fault(struct view part, bool first)
{
	if (part.len == 0)
		return "has an empty component";
	if (view_is(part, ".") || view_is(part, ".."))
		return "has a component . or ..";
	if (part.len > COMPONENT_MAX)
		return "has a component longer than 255 bytes";
	if (first && view_is_nocase(part, NAME_INBOX) &&
	    !view_is(part, NAME_INBOX))
		return "spells INBOX in another way";
	return NULL;
}

const char *names_fault(struct view name)
{
	struct view part;
	const char *slash, *fault, *p = name.p, *end = name.p + name.len;
	size_t i;

	if (name.len > WIRE_NAME_MAX)
		return "is longer than 1024 bytes";
	for (i = 0; i < name.len; i++) {
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
			return "has a control byte";
	}
	fault = unicode_fault(name);
	if (fault != NULL)
		return fault;
	if (has_controls(name))
		return "has a control character";
	do {
		slash = p == end ? NULL : memchr(p, '/', (size_t)(end - p));
		part.p = p;
		part.len = (size_t)((slash == NULL ? end : slash) - p);
		fault = component_fault(part, p == name.p);
		if (fault != NULL)
			return fault;
		p = slash == NULL ? end : slash + 1;
	} while (slash != NULL);
	return NULL;
}
