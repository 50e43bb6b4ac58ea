/* One message: see bridge-mail.c. */
#ifndef BRIDGE_MAIL_H
#define BRIDGE_MAIL_H

#include "bridge-private.h"

struct mail *
bridge_mail_alloc(struct mailbox_transaction_context *t,
		  enum mail_fetch_field wanted_fields,
		  struct mailbox_header_lookup_ctx *wanted_headers);
/* Whether a plugin makes another message of the bytes. */
bool bridge_mail_is_decoded(struct mail *mail);

/* For its table of functions. */
void bridge_mail_close(struct mail *mail);
bool bridge_mail_set_uid(struct mail *mail, uint32_t uid);
bool bridge_mail_prefetch(struct mail *mail);
int bridge_mail_get_parts(struct mail *mail, struct message_part **parts_r);
int bridge_mail_get_received_date(struct mail *mail, time_t *date_r);
int bridge_mail_get_save_date(struct mail *mail, time_t *date_r);
int bridge_mail_get_physical_size(struct mail *mail, uoff_t *size_r);
int bridge_mail_get_stream(struct mail *mail, bool get_body,
			   struct message_size *hdr_size,
			   struct message_size *body_size,
			   struct istream **stream_r);
int bridge_mail_get_special(struct mail *mail, enum mail_fetch_field field,
			    const char **value_r);

#endif
