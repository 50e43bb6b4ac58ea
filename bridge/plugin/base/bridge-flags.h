/* Flags: as Dovecot has them, and as the protocol and the map write them. */
#ifndef BRIDGE_FLAGS_H
#define BRIDGE_FLAGS_H

static const struct {
	const char *name;
	enum mail_flags flag;
} bridge_flag_names[] = {
	{ "\\Answered", MAIL_ANSWERED },
	{ "\\Flagged", MAIL_FLAGGED },
	{ "\\Deleted", MAIL_DELETED },
	{ "\\Seen", MAIL_SEEN },
	{ "\\Draft", MAIL_DRAFT },
};

/* The wire form list of flags and keywords (indexes of the mailbox's keywords),
 * "\Seen,$Work"; on the data stack. \Recent is left out. */
const char *bridge_flags_list(struct mailbox *box, enum mail_flags flags,
			      const unsigned int *keywords,
			      unsigned int count);

/* Those of a message in the index; the same. */
const char *bridge_flags_of(struct mailbox *box, struct mail_index_view *view,
			    uint32_t seq);

#endif
