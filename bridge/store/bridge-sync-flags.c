/* Flags: as Dovecot has them, as the protocol and the map write them. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "str.h"
#include "bridge-sync.h"

static const struct {
	const char *name;
	enum mail_flags flag;
} mail_flag_names[] = {
	{ "\\Answered", MAIL_ANSWERED },
	{ "\\Flagged", MAIL_FLAGGED },
	{ "\\Deleted", MAIL_DELETED },
	{ "\\Seen", MAIL_SEEN },
	{ "\\Draft", MAIL_DRAFT },
};

static void
change_add(string_t *change, char sign, const char *flag)
{
	struct buf encoded = { NULL, 0, 0 };

	wire_encode_elem(view_of(flag), &encoded);
	if (str_len(change) > 0)
		str_append_c(change, ',');
	str_append_c(change, sign);
	str_append(change, buf_str(&encoded));
	buf_free(&encoded);
}

static const char *
bridge_sync_change(struct bridge_sync *sync,
		   const struct mail_index_sync_rec *rec)
{
	const ARRAY_TYPE(keywords) *keywords =
		mail_index_get_keywords(sync->mbox->box.index);
	string_t *change = t_str_new(128);
	const char *keyword;
	unsigned int i;

	if (rec->type != MAIL_INDEX_SYNC_TYPE_FLAGS) {
		keyword = array_idx_elem(keywords, rec->keyword_idx);
		change_add(change, rec->type ==
			   MAIL_INDEX_SYNC_TYPE_KEYWORD_ADD ? '+' : '-',
			   keyword);
		return str_c(change);
	}
	for (i = 0; i < N_ELEMENTS(mail_flag_names); i++) {
		if ((rec->add_flags & mail_flag_names[i].flag) != 0)
			change_add(change, '+', mail_flag_names[i].name);
		if ((rec->remove_flags & mail_flag_names[i].flag) != 0)
			change_add(change, '-', mail_flag_names[i].name);
	}
	return str_c(change);
}

void bridge_sync_local_flags(struct bridge_sync *sync)
{
	struct mail_index_sync_rec rec;
	const char *change;

	while (mail_index_sync_next(sync->index_ctx, &rec)) T_BEGIN {
		if (rec.type != MAIL_INDEX_SYNC_TYPE_EXPUNGE) {
			change = bridge_sync_change(sync, &rec);
			if (*change != '\0')
				idmap_flags(sync->mbox->map, rec.uid1,
					    rec.uid2, change);
		}
	} T_END;
}

static void
bridge_sync_keyword(struct bridge_sync *sync, struct view elem,
		    ARRAY_TYPE(const_string) *keywords)
{
	struct buf decoded = { NULL, 0, 0 };
	const char *error, *name;

	if (wire_decode(elem, &decoded) == 0) {
		name = t_strndup(buf_str(&decoded), decoded.len);
		if (strlen(name) == decoded.len && name[0] != '\0' &&
		    mailbox_keyword_is_valid(&sync->mbox->box, name, &error))
			array_push_back(keywords, &name);
		else
			sync->bad_keywords++;
	}
	buf_free(&decoded);
}

void bridge_sync_parse_flags(struct bridge_sync *sync, struct view list,
			     enum mail_flags *flags_r,
			     ARRAY_TYPE(const_string) *keywords)
{
	struct view elem;
	unsigned int i;

	*flags_r = 0;
	while (wire_list_next(&list, &elem)) {
		if (elem.len == 0)
			continue;
		if (elem.p[0] != '\\') {
			bridge_sync_keyword(sync, elem, keywords);
			continue;
		}
		for (i = 0; i < N_ELEMENTS(mail_flag_names); i++) {
			if (view_is_nocase(elem, mail_flag_names[i].name))
				*flags_r |= mail_flag_names[i].flag;
		}
	}
}

void bridge_sync_seed(struct bridge_sync *sync, struct view list,
		      struct buf *seed)
{
	ARRAY_TYPE(const_string) keywords;
	string_t *text = t_str_new(128);
	enum mail_flags flags;
	const char *keyword;
	unsigned int i;

	t_array_init(&keywords, 8);
	bridge_sync_parse_flags(sync, list, &flags, &keywords);
	for (i = 0; i < N_ELEMENTS(mail_flag_names); i++) {
		if ((flags & mail_flag_names[i].flag) != 0) {
			if (str_len(text) > 0)
				str_append_c(text, ',');
			str_append(text, mail_flag_names[i].name);
		}
	}
	buf_append_str(seed, str_c(text));
	array_foreach_elem(&keywords, keyword) {
		if (seed->len > 0)
			buf_append_c(seed, ',');
		wire_encode_elem(view_of(keyword), seed);
	}
}
