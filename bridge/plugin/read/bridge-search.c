/* Searching for text: the store is asked instead of reading every message.
 *
 * What a search says at its top level must all hold. Of that, whatever the store
 * has a key for goes to it in one request; Dovecot looks only at the hits, and
 * evaluates the rest: flags, dates, sizes, NOT, OR. For an exact answer it takes
 * the store's word for what was asked, and reads nothing for it.
 *
 * The store is asked when the first message comes up that nothing else has ruled
 * out, and once for each search: an answer is never used for a later one. If it
 * cannot tell, the messages are read as if it had no SEARCH.
 *
 * Dovecot (lib-storage/index/index-search.c, 2.3.19) and a store agree on what
 * a header's text is but for its white space (a folded line, SUBJECT's runs of
 * spaces) and, in addresses, for what stands around names and addresses, which
 * Dovecot writes anew for FROM, TO, CC and BCC. So a value that holds any of that
 * is sent in pieces without it. All its pieces are in each message that has the
 * whole, but not only there: that key stays Dovecot's to evaluate, too. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "seq-range-array.h"
#include "mail-search.h"
#include "mailbox-search-result-private.h"
#include "bridge-ahead.h"
#include "bridge-fault.h"
#include "bridge-mail.h"
#include "bridge-map.h"
#include "bridge-private.h"
#include "bridge-search.h"

#include "search.h"

/* RFC 5322, 3.2.3: "specials" without the dot and the at sign, which stand in
   addresses themselves. */
#define ADDRESS_SPECIALS "()<>[]:;\\,\""

/* Something that the store was asked. */
struct bridge_search_arg {
	struct mail_search_arg *arg;
	bool whole;	/* in one piece: an exact answer settles it */
};

struct bridge_search {
	union mail_search_module_context module_ctx;
	struct search *request;	/* NULL = not asked, or in vain */
	bool tried;
	ARRAY(struct bridge_search_arg) args;
};

#define BRIDGE_SEARCH(s) MODULE_CONTEXT(s, bridge_search_module)

static MODULE_CONTEXT_DEFINE_INIT(bridge_search_module,
				  &mail_storage_module_register);

/* --- what can be asked --------------------------------------------------- */

/* Returns FALSE if no key of the protocol says this. */
static bool search_arg_key(const struct mail_search_arg *arg,
			   enum caps_key *key_r)
{
	enum caps_key key;

	if (arg->match_not)
		return FALSE;
	switch (arg->type) {
	case SEARCH_BODY:
		*key_r = CAPS_KEY_BODY;
		return TRUE;
	case SEARCH_TEXT:
		*key_r = CAPS_KEY_TEXT;
		return TRUE;
	case SEARCH_HEADER:
	case SEARCH_HEADER_ADDRESS:
	case SEARCH_HEADER_COMPRESS_LWSP:
		break;
	default:
		return FALSE;
	}
	for (key = CAPS_KEY_FROM; key <= CAPS_KEY_SUBJECT; key++) {
		if (strcasecmp(arg->hdr_field_name, caps_key_name(key)) == 0) {
			*key_r = key;
			return TRUE;
		}
	}
	return FALSE;
}

/* Bytes between which a value is cut. */
static bool search_is_break(enum caps_key key, unsigned char c)
{
	switch (key) {
	case CAPS_KEY_BODY:
		return c < 0x20 || c == 0x7f;
	case CAPS_KEY_TEXT:
	case CAPS_KEY_SUBJECT:
		return c <= 0x20 || c == 0x7f;
	default:
		return c <= 0x20 || c == 0x7f ||
			strchr(ADDRESS_SPECIALS, c) != NULL;
	}
}

/* The next piece of a value. Returns FALSE if there is none. */
static bool
search_next_piece(enum caps_key key, const char **value, struct view *piece_r)
{
	const char *p = *value;

	while (*p != '\0' && search_is_break(key, (unsigned char)*p))
		p++;
	piece_r->p = p;
	while (*p != '\0' && !search_is_break(key, (unsigned char)*p))
		p++;
	piece_r->len = (size_t)(p - piece_r->p);
	*value = p;
	return piece_r->len > 0;
}

/* Put into the request what the store can tell about arg. An empty value has no
   piece: it asks whether there is such a header. */
static void search_add_arg(struct bridge_search *search,
			   struct search *request, const struct caps *caps,
			   struct mail_search_arg *arg)
{
	struct bridge_search_arg *added;
	const char *value = arg->value.str;
	struct view piece;
	enum caps_key key;
	bool whole;

	if (!search_arg_key(arg, &key) || !caps->keys[key])
		return;
	while (search_next_piece(key, &value, &piece)) {
		whole = piece.len == strlen(arg->value.str);
		/* what does not fit is left to Dovecot */
		if (!search_add(request, key, piece))
			continue;
		added = array_append_space(&search->args);
		added->arg = arg;
		added->whole = whole;
	}
}

/* --- asking -------------------------------------------------------------- */

/* A plugin that makes other messages of the bytes (mail_crypt, zlib): the store
   knows the bytes alone. */
static bool search_mails_are_decoded(struct mail_search_context *ctx)
{
	struct mail *mail;

	array_foreach_elem(&ctx->mails, mail) {
		if (bridge_mail_is_decoded(mail))
			return TRUE;
	}
	return FALSE;
}

static void
search_ask(struct bridge_search *search, struct mail_search_context *ctx)
{
	struct bridge_mailbox *mbox = BRIDGE_MAILBOX(ctx->transaction->box);
	struct mail_search_arg *arg;
	struct search *request;
	const struct caps *caps;
	struct fault fault;
	int ret;

	search->tried = TRUE;
	if (mbox->wire_name == NULL || search_mails_are_decoded(ctx))
		return;
	/* if no copy can be started, reading will tell */
	caps = session_caps(mbox->list->session, &fault);
	if (caps == NULL || !caps->verbs[VERB_SEARCH])
		return;
	request = search_init(mbox->wire_name);
	for (arg = ctx->args->args; arg != NULL; arg = arg->next)
		search_add_arg(search, request, caps, arg);
	if (!search_is_empty(request)) {
		ret = search_run(request, mbox->list->session, &fault);
		if (ret == 0) {
			search->request = request;
			return;
		}
		bridge_fault_instead(&mbox->box, &fault,
				     "messages are read instead");
	}
	search_deinit(&request);
}

/* --- the messages -------------------------------------------------------- */

/* The next message, of which the index does not say that it does not match. */
static bool
search_may_match(struct bridge_search *search, struct mail_search_context *ctx)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	const struct bridge_index_header *hdr;
	const struct bridge_index_record *rec;
	const struct bridge_search_arg *arg;
	uint32_t uid;

	if (ctx->update_result != NULL) {
		mail_index_lookup_uid(t->view, ctx->seq, &uid);
		/* its text is known to match, and does not change */
		if (seq_range_exists(&ctx->update_result->uids, uid))
			return TRUE;
	}
	if (!search->tried)
		search_ask(search, ctx);
	if (search->request == NULL)
		return TRUE;
	rec = bridge_map_record(BRIDGE_MAILBOX(t->box), t->view, ctx->seq,
				&hdr);
	if (rec == NULL)
		return TRUE;
	if (!search_has(search->request, rec->hash))
		return FALSE;
	if (search_is_exact(search->request)) {
		array_foreach(&search->args, arg) {
			if (arg->whole)
				arg->arg->result = 1;
		}
	}
	return TRUE;
}

bool bridge_search_next_update_seq(struct mail_search_context *ctx)
{
	struct bridge_search *search = BRIDGE_SEARCH(ctx);

	while (index_storage_search_next_update_seq(ctx)) {
		if (search == NULL || search_may_match(search, ctx))
			return TRUE;
		/* Skipped, not found to be without a match: a search that is
		   kept up to date would never look at it again, but what the
		   store does not find today it may find tomorrow. */
		mail_search_args_reset(ctx->args->args, FALSE);
	}
	return FALSE;
}

static bool
search_is_ours(struct mailbox *box, const struct mail_search_args *args)
{
	/* one that ends at the first message without a match must see it; a
	   plugin with an index of its own (fts) may find, by stems of words,
	   what the store does not */
	return !args->stop_on_nonmatch && box->v.search_next_update_seq ==
		bridge_search_next_update_seq;
}

struct mail_search_context *
bridge_search_init(struct mailbox_transaction_context *t,
		   struct mail_search_args *args,
		   const enum mail_sort_type *sort_program,
		   enum mail_fetch_field wanted_fields,
		   struct mailbox_header_lookup_ctx *wanted_headers)
{
	struct mail_search_context *ctx;
	struct mail_search_arg *arg;
	struct bridge_search *search;
	enum caps_key key;

	ctx = index_storage_search_init(t, args, sort_program, wanted_fields,
					wanted_headers);
	/* Dovecot then says what it will read next, also when
	   mail_prefetch_count is 0, its default: without it there would be
	   a round trip for each message. */
	if (ctx->max_mails <= 1)
		ctx->max_mails = BRIDGE_AHEAD_MAX + 1;
	for (arg = args->args; arg != NULL; arg = arg->next) {
		if (search_arg_key(arg, &key))
			break;
	}
	if (arg != NULL && search_is_ours(t->box, args)) {
		search = i_new(struct bridge_search, 1);
		i_array_init(&search->args, 4);
		MODULE_CONTEXT_SET(ctx, bridge_search_module, search);
	}
	return ctx;
}

int bridge_search_deinit(struct mail_search_context *ctx)
{
	struct bridge_search *search = BRIDGE_SEARCH(ctx);

	if (search != NULL) {
		search_deinit(&search->request);
		array_free(&search->args);
		i_free(search);
	}
	return index_storage_search_deinit(ctx);
}
