/* One message: its id from the map, its bytes from the backend, whole or not
 * at all. */
#include "lib.h"
#include "compat.h"
#include "ioloop.h"
#include "istream.h"
#include "message-date.h"
#include "bridge-ahead.h"
#include "bridge-fault.h"
#include "bridge-kept.h"
#include "bridge-lock.h"
#include "bridge-mail.h"
#include "bridge-mailbox.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-save.h"
#include "bridge-stream.h"
#include "bridge-vsize.h"

struct bridge_mail {
	struct index_mail imail;

	/* Its bytes could not be had: told again until the mail is closed, for
	   Dovecot asks for the stream once more (a search does) */
	enum mail_error failed;
	bool gone;
	bool ahead;		/* it was asked for ahead */
	bool parses;		/* what is asked for may be found in the body only */
	char failed_text[2 * FAULT_USER_MAX];
};

#define BRIDGE_MAIL(s) \
	container_of(INDEX_MAIL(s), struct bridge_mail, imail)

/* The map's entry of a message, and what its views point into. */
struct bridge_mail_entry {
	struct idmap_entry entry;
	struct buf buf;
};

struct mail *
bridge_mail_alloc(struct mailbox_transaction_context *t,
		  enum mail_fetch_field wanted_fields,
		  struct mailbox_header_lookup_ctx *wanted_headers)
{
	struct bridge_mail *mail;
	pool_t pool;

	pool = pool_alloconly_create("mail", 2048);
	mail = p_new(pool, struct bridge_mail, 1);
	index_mail_init(&mail->imail, t, wanted_fields, wanted_headers, pool,
			NULL);
	return &mail->imail.mail.mail;
}

/* LMTP (2.3.19, mail-deliver.c) opens the message that it has saved for a user, to save
   that for the next one, too: but it is what the store has made of it. Each gets what
   was sent. */
bool bridge_mail_set_uid(struct mail *mail, uint32_t uid)
{
	return (mail->box->flags & MAILBOX_FLAG_POST_SESSION) == 0 &&
		index_mail_set_uid(mail, uid);
}

/* --- the map's entry ----------------------------------------------------- */

/* Returns 0, -1 with the error set (expunged, if the map has forgotten it). */
static int
bridge_mail_entry(struct mail *mail, struct bridge_mail_entry *entry_r)
{
	struct fault fault;
	int ret;

	i_zero(entry_r);
	ret = bridge_map_entry(BRIDGE_MAILBOX(mail->box),
			       mail->transaction->view, mail->seq, mail->uid,
			       &entry_r->entry, &entry_r->buf, &fault);
	if (ret > 0)
		return 0;
	buf_free(&entry_r->buf);
	if (ret < 0)
		(void)bridge_fault_box(mail->box, &fault);
	else
		mail_set_expunged(mail);
	return -1;
}

/* --- sizes --------------------------------------------------------------- */

static uint64_t bridge_mail_seen_size(struct mail *mail)
{
	return bridge_map_seen_size(BRIDGE_MAILBOX(mail->box),
				    mail->transaction->view, mail->seq);
}

static void bridge_mail_remember_size(struct mail *mail, uint64_t size)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	uint32_t value = (uint32_t)size + 1;

	if (bridge_mail_seen_size(mail) == size || mail->saving)
		return;
	mail_index_update_ext(mail->transaction->itrans, mail->seq,
			      mbox->size_ext_id, &value, NULL);
}

bool bridge_mail_is_decoded(struct mail *_mail)
{
	struct index_mail *mail = INDEX_MAIL(_mail);

	return mail->mail.v.istream_opened != index_mail_opened;
}

/* The size of what the plugin made. */
static int
bridge_mail_get_decoded_size(struct mail *_mail, uoff_t *size_r)
{
	struct istream *input;

	if (mail_get_stream(_mail, NULL, NULL, &input) < 0)
		return -1;
	if (i_stream_get_size(input, TRUE, size_r) > 0)
		return 0;
	mail_set_critical(_mail, "bridge: %s: its size is not known: %s",
			  i_stream_get_name(input),
			  i_stream_get_error(input));
	return -1;
}

int bridge_mail_get_physical_size(struct mail *_mail, uoff_t *size_r)
{
	struct index_mail *mail = INDEX_MAIL(_mail);
	struct index_mail_data *data = &mail->data;
	struct bridge_mail_entry entry;
	struct istream *input;

	if (_mail->saving)
		return bridge_save_get_size(_mail, size_r);
	if (bridge_mail_is_decoded(_mail))
		return bridge_mail_get_decoded_size(_mail, size_r);
	if (data->physical_size == UOFF_T_MAX &&
	    bridge_mail_seen_size(_mail) != WIRE_SIZE_UNKNOWN)
		data->physical_size = bridge_mail_seen_size(_mail);
	if (data->physical_size == UOFF_T_MAX) {
		if (bridge_mail_entry(_mail, &entry) < 0)
			return -1;
		if (entry.entry.size != WIRE_SIZE_UNKNOWN)
			data->physical_size = entry.entry.size;
		buf_free(&entry.buf);
	}
	if (data->physical_size == UOFF_T_MAX &&
	    mail_get_stream(_mail, NULL, NULL, &input) < 0)
		return -1;
	*size_r = data->physical_size;
	return 0;
}

/* --- bytes --------------------------------------------------------------- */

/* The id has come to name other bytes: the old message goes, and the next
   list brings the new one under a new UID. */
static void
bridge_mail_forget(struct mail *mail, const struct fault *fault)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_mail *bmail = BRIDGE_MAIL(mail);
	struct fault map_fault;

	e_warning(mail->box->event, "bridge: %s; an id must name the same "
		  "bytes for ever: the message gets a new UID", fault->log);
	mbox->relist = TRUE;
	if (bridge_lock_take(mbox) < 0)
		return;
	if (idmap_open(mbox->map, &map_fault) > 0) {
		idmap_gone(mbox->map, mail->uid);
		if (idmap_commit(mbox->map, TRUE, &map_fault) < 0)
			e_error(mail->box->event, "bridge: %s", map_fault.log);
	}
	idmap_unlock(mbox->map);
	bmail->gone = TRUE;
	mail_set_expunged(mail);
}

static void bridge_mail_set_failed(struct mail *_mail,
				   const struct fault *fault)
{
	struct bridge_mail *mail = BRIDGE_MAIL(_mail);

	(void)bridge_fault_box(_mail->box, fault);
	(void)i_strocpy(mail->failed_text,
			mailbox_get_last_error(_mail->box, &mail->failed),
			sizeof(mail->failed_text));
}

static int bridge_mail_may_fetch(struct mail *_mail)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(_mail->box);
	struct bridge_mail *mail = BRIDGE_MAIL(_mail);
	struct fault fault;
	int ret;

	if (mail->gone) {
		mail_set_expunged(_mail);
		return -1;
	}
	if (mail->failed != MAIL_ERROR_NONE) {
		mail_storage_set_error(_mail->box->storage, mail->failed,
				       mail->failed_text);
		return -1;
	}
	ret = bridge_mailbox_find(mbox);
	if (ret != 0)
		return ret > 0 ? 0 : -1;
	(void)fault_set(&fault, FAULT_UNAVAILABLE, FAULT_SCOPE_MAILBOX,
		"%s: listed no mailbox %s while answering \"LIST\": its "
		"messages cannot be fetched", mbox->list->set.argv[0],
		_mail->box->name);
	bridge_mail_set_failed(_mail, &fault);
	return -1;
}

void bridge_mail_close(struct mail *_mail)
{
	struct bridge_mail *mail = BRIDGE_MAIL(_mail);

	if (mail->ahead)
		bridge_ahead_forget(_mail);
	mail->failed = MAIL_ERROR_NONE;
	mail->gone = mail->ahead = FALSE;
	index_mail_close(_mail);
}

/* What of the message is wanted. A plugin that decodes messages, and the search
   for attachments, need the whole. */
static enum fetch_want bridge_mail_want(struct index_mail *mail, bool get_body)
{
	struct mail *_mail = &mail->mail.mail;
	const struct bridge_mail *bmail = BRIDGE_MAIL(_mail);
	const struct mail_storage_settings *set =
		_mail->box->storage->set;

	return get_body || bmail->parses || bridge_mail_is_decoded(_mail) ||
		set->parsed_mail_attachment_detection_add_flags ||
		(mail->data.access_part & (READ_BODY | PARSE_BODY)) != 0 ?
		FETCH_FULL : FETCH_HEADER;
}

static bool bridge_mail_headers_cached(struct index_mail *mail)
{
	struct mail *_mail = &mail->mail.mail;
	const struct mailbox_header_lookup_ctx *headers =
		mail->data.wanted_headers;
	unsigned int i;

	if (headers == NULL)
		return TRUE;
	for (i = 0; i < headers->count; i++) {
		if (mail_cache_field_exists(_mail->transaction->cache_view,
					    _mail->seq, headers->idx[i]) <= 0)
			return FALSE;
	}
	return TRUE;
}

/* Returns FALSE if it was asked for and the mail is to be read later. */
bool bridge_mail_prefetch(struct mail *_mail)
{
	struct index_mail *mail = INDEX_MAIL(_mail);
	struct bridge_mail *bmail = BRIDGE_MAIL(_mail);
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(_mail->box);

	if (mail->data.stream != NULL || _mail->saving || _mail->expunged ||
	    mbox->wire_name == NULL ||
	    /* what is kept makes way for those that are read before it */
	    (bridge_kept_has(_mail) && !bridge_ahead_has_others(_mail)) ||
	    (mail->data.access_part == 0 && bridge_mail_headers_cached(mail)))
		return TRUE;
	bmail->ahead = bridge_ahead_want(_mail, bridge_mail_want(mail, FALSE));
	mail->data.prefetch_sent = bmail->ahead;
	return !bmail->ahead;
}

/* Ask for the message by itself. Returns 0 with what came; -1 with a fault, or
   with the error set if the map does not know the message. */
static int bridge_mail_ask(struct mail *mail, enum fetch_want want,
			   struct fetched *fetched_r, struct fault *fault)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_mail_entry entry;
	struct fetch_ask ask;
	int ret;

	if (bridge_mail_entry(mail, &entry) < 0)
		return -1;
	ask.id = entry.entry.id;
	ask.expected = entry.entry.size != WIRE_SIZE_UNKNOWN ?
		entry.entry.size : bridge_mail_seen_size(mail);
	ret = fetch_message(mbox->list->session, mbox->wire_name, want, &ask,
			    fetched_r, fault);
	buf_free(&entry.buf);
	return ret;
}

/* The whole message has come. */
static void bridge_mail_whole(struct mail *mail, const struct fetched *fetched)
{
	struct index_mail *imail = INDEX_MAIL(mail);

	if (!bridge_mail_is_decoded(mail))
		imail->data.physical_size = fetched->size;
	bridge_mail_remember_size(mail, fetched->size);
	bridge_kept_put(mail, fetched);
}

/* It has another size than was seen before; what LIST says is another matter. */
static void bridge_mail_size_differs(struct mail *mail,
				     const struct fault *fault)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_mail_entry entry;
	bool listed;

	if (bridge_mail_entry(mail, &entry) < 0)
		return;
	listed = entry.entry.size != WIRE_SIZE_UNKNOWN;
	buf_free(&entry.buf);
	if (listed) {
		mbox->relist = TRUE;
		bridge_mail_set_failed(mail, fault);
	} else {
		bridge_mail_forget(mail, fault);
	}
}

/* Returns 0 with MEMORY or FILE, -1 with the error set; fetched_free in any case. */
static int bridge_mail_fetch(struct mail *mail, enum fetch_want want,
			     struct fetched *fetched)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_mail *bmail = BRIDGE_MAIL(mail);
	struct fault fault;
	int ret;

	i_zero(fetched);
	fetched->fd = -1;
	if (bridge_mail_may_fetch(mail) < 0)
		return -1;
	i_zero(&fault);
	ret = bridge_kept_get(mail, fetched) ? 1 :
		bridge_ahead_take(mail, want, fetched, &fault);
	if (ret == 0)
		ret = bridge_mail_ask(mail, want, fetched, &fault);
	if (ret >= 0 && fetched->status == FETCH_GONE) {
		/* only a list removes it for good */
		mbox->relist = TRUE;
		bmail->gone = TRUE;
		mail_set_expunged(mail);
		return -1;
	}
	if (ret >= 0 && !fetched->header_only)
		bridge_mail_whole(mail, fetched);
	else if (ret < 0 && fetched->size_differs)
		bridge_mail_size_differs(mail, &fault);
	else if (ret < 0 && fault.code != FAULT_NONE)
		bridge_mail_set_failed(mail, &fault);
	return ret < 0 ? -1 : 0;
}

/* Somebody reads on where the header ends that came alone. */
static int bridge_mail_ask_rest(void *context, struct fetched *fetched_r,
				const char **error_r)
{
	struct mail *mail = context;
	struct index_mail *imail = INDEX_MAIL(mail);
	int ret;

	ret = bridge_mail_fetch(mail, FETCH_FULL, fetched_r);
	if (ret < 0)
		*error_r = mailbox_get_last_internal_error(mail->box, NULL);
	else
		imail->data.stream_has_only_header = FALSE;
	return ret;
}

/* Returns 0 with the open stream, -1 with the error set. */
static int bridge_mail_open_stream(struct mail *mail, bool get_body,
				   struct istream **input_r)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct index_mail *imail = INDEX_MAIL(mail);
	enum fetch_want want = bridge_mail_want(imail, get_body);
	struct fetched fetched;
	int ret;

	if (mail->saving)
		return bridge_save_get_stream(mail, input_r);
	ret = bridge_mail_fetch(mail, want, &fetched);
	if (ret == 0 && fetched.header_only &&
	    !bridge_stream_may_be_header(&fetched)) {
		fetched_free(&fetched);
		ret = bridge_mail_fetch(mail, FETCH_FULL, &fetched);
	}
	if (ret == 0) {
		imail->data.stream_has_only_header = fetched.header_only;
		*input_r = fetched.header_only ?
			bridge_stream_create_header(&fetched,
						    bridge_mail_ask_rest, mail) :
			bridge_stream_create(&fetched, want == FETCH_HEADER);
		i_stream_set_name(*input_r, t_strdup_printf(
			"bridge %s UID %u", mbox->wire_name, mail->uid));
	}
	fetched_free(&fetched);
	return ret;
}

int bridge_mail_get_stream(struct mail *_mail, bool get_body,
			   struct message_size *hdr_size,
			   struct message_size *body_size,
			   struct istream **stream_r)
{
	struct index_mail *mail = INDEX_MAIL(_mail);
	struct istream *input;

	if (mail->data.stream != NULL && get_body &&
	    mail->data.stream_has_only_header) {
		/* the header will not do any more */
		index_mail_close_streams(mail);
		mail->data.hdr_size_set = FALSE;
	}
	if (mail->data.stream == NULL) {
		if (!mail_stream_access_start(_mail) ||
		    bridge_mail_open_stream(_mail, get_body, &input) < 0)
			return -1;
		mail->data.stream = input;
		if (mail->mail.v.istream_opened != NULL &&
		    mail->mail.v.istream_opened(_mail,
						&mail->data.stream) < 0) {
			index_mail_close_streams(mail);
			return -1;
		}
		if (bridge_vsize_check(mail) < 0) {
			index_mail_close_streams(mail);
			return -1;
		}
	}
	return index_mail_init_stream(mail, hdr_size, body_size, stream_r);
}

/* --- dates and names ----------------------------------------------------- */

/* When the message says that it was sent. Not mail_get_date(): what Dovecot's cache has
   of that are 32 bits of it, so that 1960 becomes 2096. Returns 1, 0 if it says nothing
   that can be kept, -1 with the error set. */
static int bridge_mail_find_sent(struct mail *mail, time_t *date_r)
{
	const char *value;
	int tz, ret = mail_get_first_header(mail, "Date", &value);

	if (ret <= 0)
		return ret;
	return message_date_parse((const unsigned char *)value, strlen(value),
				  date_r, &tz) &&
		*date_r > 0 && (uint64_t)*date_r <= WIRE_DATE_MAX ? 1 : 0;
}

/* As listed, else the Date: header, else when it was first seen: fixed from
   then on, never 0 and never "now" (protocol.md). */
static int bridge_mail_find_date(struct mail *mail, time_t *date_r)
{
	struct bridge_mail_entry entry;
	int64_t listed, first_seen;
	int ret;

	if (bridge_mail_entry(mail, &entry) < 0)
		return -1;
	listed = entry.entry.date;
	first_seen = entry.entry.seen_before > 0 ? entry.entry.seen_before :
		entry.entry.first_seen;
	buf_free(&entry.buf);
	/* an older version put larger ones into the map */
	if (listed != WIRE_DATE_UNKNOWN && listed <= (int64_t)WIRE_DATE_MAX) {
		*date_r = (time_t)listed;
		return 0;
	}
	ret = bridge_mail_find_sent(mail, date_r);
	if (ret == 0)
		*date_r = (time_t)first_seen;
	return ret < 0 ? -1 : 0;
}

int bridge_mail_get_received_date(struct mail *_mail, time_t *date_r)
{
	struct index_mail *mail = INDEX_MAIL(_mail);
	uint32_t t;

	if (index_mail_get_received_date(_mail, date_r) == 0)
		return 0;
	if (_mail->saving) {
		*date_r = ioloop_time;
		return 0;
	}
	if (bridge_mail_find_date(_mail, date_r) < 0)
		return -1;
	mail->data.received_date = *date_r;
	if (*date_r > 0) {
		t = (uint32_t)*date_r;
		index_mail_cache_add(mail, MAIL_CACHE_RECEIVED_DATE, &t,
				     sizeof(t));
	}
	return 0;
}

int bridge_mail_get_save_date(struct mail *_mail, time_t *date_r)
{
	struct index_mail *mail = INDEX_MAIL(_mail);
	struct index_mail_data *data = &mail->data;
	struct bridge_mail_entry entry;

	if (data->save_date == (time_t)-1) {
		if (bridge_mail_entry(_mail, &entry) < 0)
			return -1;
		data->save_date = (time_t)entry.entry.first_seen;
		buf_free(&entry.buf);
	}
	*date_r = data->save_date;
	return 1;
}

/* As good as the mail: dsync keeps it longer than the data stack does. */
static int bridge_mail_get_guid(struct mail *mail, const char **value_r)
{
	struct bridge_mail *bmail = BRIDGE_MAIL(mail);
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(mail->box);
	struct bridge_mail_entry entry;
	guid_128_t guid;

	if (bridge_mail_entry(mail, &entry) < 0)
		return -1;
	idmap_guid(idmap_header(mbox->map)->guid, &entry.entry, guid);
	buf_free(&entry.buf);
	*value_r = p_strdup(bmail->imail.mail.data_pool,
			    guid_128_to_string(guid));
	return 0;
}

static bool field_parses_body(enum mail_fetch_field field)
{
	return field == MAIL_FETCH_IMAP_BODY ||
		field == MAIL_FETCH_IMAP_BODYSTRUCTURE ||
		field == MAIL_FETCH_BODY_SNIPPET;
}

int bridge_mail_get_special(struct mail *mail, enum mail_fetch_field field,
			    const char **value_r)
{
	struct bridge_mail *bmail = BRIDGE_MAIL(mail);
	struct bridge_mail_entry entry;
	int ret;

	switch (field) {
	case MAIL_FETCH_GUID:
		return bridge_mail_get_guid(mail, value_r);
	case MAIL_FETCH_STORAGE_ID:
		if (bridge_mail_entry(mail, &entry) < 0)
			return -1;
		*value_r = p_strndup(bmail->imail.mail.data_pool,
				     entry.entry.id.p, entry.entry.id.len);
		buf_free(&entry.buf);
		return 0;
	default:
		bmail->parses = field_parses_body(field);
		ret = index_mail_get_special(mail, field, value_r);
		bmail->parses = FALSE;
		return ret;
	}
}

/* Where they are not cached they are found by reading the body. */
int bridge_mail_get_parts(struct mail *mail, struct message_part **parts_r)
{
	struct bridge_mail *bmail = BRIDGE_MAIL(mail);
	int ret;

	bmail->parses = TRUE;
	ret = index_mail_get_parts(mail, parts_r);
	bmail->parses = FALSE;
	return ret;
}
