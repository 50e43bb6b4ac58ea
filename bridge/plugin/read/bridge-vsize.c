/* RFC822.SIZE is the size of a message whose every line ends in CR LF. Dovecot takes
 * the one that is known, be it from a list (vsize=, or size= of a store with crlf) or
 * from an older version of the cache, for the length of the literal in which it sends
 * the message: one too small cuts the message in silence, one too large ends the
 * connection in the middle of it. So a known one is compared with the message when
 * that is opened, before anything of it is sent, and a wrong one is replaced. */
#include "lib.h"
#include "compat.h"
#include "istream.h"
#include "bridge-kept.h"
#include "bridge-private.h"
#include "bridge-vsize.h"

/* What Dovecot will believe. */
static bool vsize_known(struct index_mail *mail, uoff_t *size_r)
{
	const uint32_t *vsize =
		index_mail_get_vsize_extension(&mail->mail.mail);

	if (mail->data.virtual_size != UOFF_T_MAX)
		*size_r = mail->data.virtual_size;
	else if (vsize != NULL && *vsize > 0)
		*size_r = *vsize - 1;
	else
		return index_mail_get_cached_uoff_t(mail,
				MAIL_CACHE_VIRTUAL_FULL_SIZE, size_r);
	return TRUE;
}

static uoff_t vsize_of(const unsigned char *data, size_t size, bool *after_cr)
{
	const unsigned char *p = data, *lf, *end = data + size;
	uoff_t count = size;

	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf == data ? !*after_cr : lf[-1] != '\r')
			count++;
		p = lf + 1;
	}
	if (size > 0)
		*after_cr = end[-1] == '\r';
	return count;
}

/* Reads the whole stream, and goes back. */
static int vsize_count(struct index_mail *mail, uoff_t *size_r)
{
	struct istream *input = mail->data.stream;
	const unsigned char *data;
	bool after_cr = FALSE;
	size_t size;

	*size_r = 0;
	i_stream_seek(input, 0);
	while (i_stream_read_more(input, &data, &size) > 0) {
		*size_r += vsize_of(data, size, &after_cr);
		i_stream_skip(input, size);
	}
	if (input->stream_errno != 0) {
		mail_set_critical(&mail->mail.mail, "bridge: read(%s) failed: %s",
				  i_stream_get_name(input),
				  i_stream_get_error(input));
		return -1;
	}
	i_stream_seek(input, 0);
	return 0;
}

/* What Dovecot adds up for quotas is counted anew. */
static void vsize_replace(struct index_mail *mail, uoff_t known, uoff_t size)
{
	struct mail *_mail = &mail->mail.mail;
	struct mail_index_transaction *trans = _mail->transaction->itrans;
	struct mailbox_index_vsize none;
	uint32_t value = size < UINT32_MAX ? (uint32_t)size + 1 : 0;

	e_warning(_mail->box->event, "bridge: UID %u has %"PRIuUOFF_T
		  " bytes with CR LF, not %"PRIuUOFF_T" as was said or "
		  "remembered (vsize=): the size is corrected",
		  _mail->uid, size, known);
	i_zero(&none);
	mail_index_update_ext(trans, _mail->seq, _mail->box->mail_vsize_ext_id,
			      &value, NULL);
	mail_index_update_header_ext(trans, _mail->box->vsize_hdr_ext_id, 0,
				     &none, sizeof(none));
	mail->data.body_size_set = FALSE;
	mail->data.virtual_size = size;
}

int bridge_vsize_check(struct index_mail *mail)
{
	struct mail *_mail = &mail->mail.mail;
	uoff_t known, size;

	if (_mail->saving || mail->data.stream_has_only_header ||
	    !vsize_known(mail, &known))
		return 0;
	if (!bridge_kept_get_vsize(_mail, &size)) {
		if (vsize_count(mail, &size) < 0)
			return -1;
		bridge_kept_set_vsize(_mail, size);
	}
	if (known != size)
		vsize_replace(mail, known, size);
	return 0;
}

int bridge_vsize_get(struct mail *_mail, uoff_t *size_r)
{
	struct index_mail *mail = INDEX_MAIL(_mail);
	struct istream *input;

	/* who reads it anyway is told what it has */
	if (mail->data.stream == NULL && !_mail->saving &&
	    (mail->data.access_part & READ_BODY) != 0 &&
	    _mail->lookup_abort == MAIL_LOOKUP_ABORT_NEVER &&
	    mail_get_stream(_mail, NULL, NULL, &input) < 0)
		return -1;
	return index_mail_get_virtual_size(_mail, size_r);
}
