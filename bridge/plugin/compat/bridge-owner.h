/* Whose mail a namespace shows: see bridge-owner.c. */
#ifndef BRIDGE_OWNER_H
#define BRIDGE_OWNER_H

struct fault;
struct mail_namespace;
struct mail_user;

struct bridge_owner {
	struct mail_user *user;
	const char *const *fields;	/* of the owner's userdb entry; NULL =
					   those of user are his own */
	const char *ns_name;		/* for NAME_<namespace>; NULL = none */
};

/* Returns 0 with the owner, as good as ns->user; -1 and an error. */
int bridge_owner_find(struct mail_namespace *ns, struct bridge_owner *owner_r,
		      const char **error_r);
/* A setting's value in what userdb says of the owner, where it is not who looks. Returns
 * 1 with the value, 0 if it says nothing of it; -1 and an error if it is said of who
 * looks alone. */
int bridge_owner_field(const struct mail_namespace *ns,
		       const struct bridge_owner *owner, const char *name,
		       const char **value_r, const char **error_r);
/* What is kept in this folder is kept for one user: remembered at the first time.
 * Returns 0; -1 and a fault if it is another one. */
int bridge_owner_check(const struct bridge_owner *owner, const char *dir,
		       struct fault *fault);

#endif
