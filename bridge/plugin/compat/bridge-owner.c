/* Whose mail a namespace shows.
 *
 * In a namespace of type = shared it is not the mail of who looks: the program is
 * started for the owner, with the owner's name, home folder and settings, on what is
 * kept for the owner. Settings that userdb gives are looked up for the owner; Dovecot
 * (shared-storage.c) makes the owner with those of who looks, and these are
 * never used.
 *
 * What is kept speaks of messages of one user's store. Another user's program would
 * expunge them all, or show other mail under their UIDs; so the user's name lies beside
 * it, in "dovebridge-user", and it is not used for another one. */
#include "lib.h"
#include "compat.h"
#include "mail-namespace.h"
#include "bridge-owner.h"

#include "fault.h"
#include "file.h"
#include "wire.h"

#include <errno.h>

#define OWNER_FILE "dovebridge-user"
#define OWNER_BYTES_MAX 4096

static bool ns_has_other_owner(const struct mail_namespace *ns)
{
	return ns->type == MAIL_NAMESPACE_TYPE_SHARED && ns->owner != NULL &&
		ns->owner != ns->user;
}

/* Those that Dovecot makes for an owner have no name: that of the one they are made
   from. */
static const char *ns_find_name(const struct mail_namespace *ns)
{
	const struct mail_namespace *parent;

	if (ns->set->name != NULL && *ns->set->name != '\0')
		return ns->set->name;
	for (parent = ns->user->namespaces; parent != NULL;
	     parent = parent->next) {
		if (parent != ns && parent->type == ns->type &&
		    parent->set->name != NULL && *parent->set->name != '\0' &&
		    *parent->prefix != '\0' &&
		    compat_begins(ns->prefix, parent->prefix))
			return parent->set->name;
	}
	return NULL;
}

static int
owner_lookup(struct mail_namespace *ns, struct bridge_owner *owner,
	     const char **error_r)
{
	struct auth_user_info info;
	const char *username;
	int ret;

	i_zero(&info);
	compat_set_service(&info, ns->user);
	ret = mail_user_auth_master_conn == NULL ? -1 :
		auth_master_user_lookup(mail_user_auth_master_conn,
					owner->user->username, &info,
					ns->user->pool, &username,
					&owner->fields);
	if (ret > 0)
		return 0;
	*error_r = t_strdup_printf("namespace %s: %s, whose mail it shows, %s",
		ns->prefix, owner->user->username, ret == 0 ?
		"does not exist" : "cannot be looked up in userdb");
	return -1;
}

int bridge_owner_find(struct mail_namespace *ns, struct bridge_owner *owner_r,
		      const char **error_r)
{
	i_zero(owner_r);
	owner_r->user = ns->user;
	owner_r->ns_name = ns_find_name(ns);
	if (!ns_has_other_owner(ns))
		return 0;
	owner_r->user = ns->owner;
	return owner_lookup(ns, owner_r, error_r);
}

/* The value of a setting in fields of userdb, NULL if there is none. */
static const char *fields_find(const char *const *fields, const char *name)
{
	const char *field, *value;

	for (; fields != NULL && *fields != NULL; fields++) {
		field = *fields;
		if (compat_begins(field, "plugin/"))
			field += strlen("plugin/");
		value = strchr(field, '=');
		if (value != NULL && strlen(name) == (size_t)(value - field) &&
		    strncmp(field, name, strlen(name)) == 0)
			return value + 1;
	}
	return NULL;
}

int bridge_owner_field(const struct mail_namespace *ns,
		       const struct bridge_owner *owner, const char *name,
		       const char **value_r, const char **error_r)
{
	*value_r = fields_find(owner->fields, name);
	if (*value_r != NULL)
		return 1;
	if (owner->fields == NULL ||
	    fields_find(ns->user->userdb_fields, name) == NULL)
		return 0;
	*error_r = t_strdup_printf("namespace %s: userdb has %s for %s, but "
		"not for %s, whose mail it shows", ns->prefix, name,
		ns->user->username, owner->user->username);
	return -1;
}

int bridge_owner_check(const struct bridge_owner *owner, const char *dir,
		       struct fault *fault)
{
	const char *path = t_strconcat(dir, "/"OWNER_FILE, NULL), *name = NULL;
	struct buf text = { NULL, 0, 0 }, line = { NULL, 0, 0 };
	int ret;

	wire_encode(view_of(owner->user->username), &line);
	buf_append_c(&line, '\n');
	ret = file_read(path, OWNER_BYTES_MAX, &text, NULL);
	if (ret > 0 && !view_equals(view_of_buf(&text), view_of_buf(&line))) {
		name = t_strcut(t_strndup(buf_str(&text), text.len), '\n');
		ret = fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
			"%s: what is kept here is kept for the user %s, and is "
			"not used for %s. If it is the same mail under a new "
			"name, remove that file", path, name,
			owner->user->username);
	} else if (ret < 0) {
		(void)fault_set(fault, FAULT_UNAVAILABLE, FAULT_SCOPE_BACKEND,
				"%s: %s", path, strerror(errno));
	} else if (ret == 0) {
		/* where nothing can be written, what is there can be read */
		(void)file_replace(path, view_of_buf(&line), NULL);
	}
	buf_free(&text);
	buf_free(&line);
	return ret < 0 ? -1 : 0;
}
