/* Flags: as Dovecot has them, as the protocol and the map write them. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "str.h"
#include "bridge-flags.h"
#include "bridge-private.h"
#include "bridge-sync.h"

#include "flags.h"

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
	for (i = 0; i < N_ELEMENTS(bridge_flag_names); i++) {
		if ((rec->add_flags & bridge_flag_names[i].flag) != 0)
			change_add(change, '+', bridge_flag_names[i].name);
		if ((rec->remove_flags & bridge_flag_names[i].flag) != 0)
			change_add(change, '-', bridge_flag_names[i].name);
	}
	return str_c(change);
}

void bridge_sync_take_change(struct bridge_sync *sync, uint32_t uid1,
			     uint32_t uid2, const char *change)
{
	struct buf map_change = { NULL, 0, 0 }, push = { NULL, 0, 0 };
	struct fault fault;

	if (sync->caps == NULL)
		sync->caps = session_caps(sync->mbox->list->session, &fault);
	flags_mark(sync->caps, view_of(change), &map_change, &push);
	idmap_flags(sync->mbox->map, uid1, uid2, buf_str(&map_change));
	if (push.len > 0)
		bridge_queue_push(sync, uid1, uid2, buf_str(&push));
	buf_free(&map_change);
	buf_free(&push);
}

void bridge_sync_local_flags(struct bridge_sync *sync)
{
	struct mail_index_sync_rec rec;
	const char *change;

	while (mail_index_sync_next(sync->index.ctx, &rec)) T_BEGIN {
		if (rec.type != MAIL_INDEX_SYNC_TYPE_EXPUNGE) {
			change = bridge_sync_change(sync, &rec);
			if (*change != '\0')
				bridge_sync_take_change(sync, rec.uid1,
							rec.uid2, change);
			if (array_is_created(&sync->queue.updates) ||
			    sync->known.behind) {
				if (!array_is_created(&sync->queue.recs))
					i_array_init(&sync->queue.recs, 8);
				array_push_back(&sync->queue.recs, &rec);
			}
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
			sync->list.bad_keywords++;
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
		if (elem.len == 0 || flags_is_mark(elem))
			continue;
		if (elem.p[0] != '\\') {
			bridge_sync_keyword(sync, elem, keywords);
			continue;
		}
		for (i = 0; i < N_ELEMENTS(bridge_flag_names); i++) {
			if (view_is_nocase(elem, bridge_flag_names[i].name))
				*flags_r |= bridge_flag_names[i].flag;
		}
	}
}

/* Each keyword more makes Dovecot write all names of the index anew, and FLAGS
   names them all: so a mailbox takes only so many from its store. */
static bool bridge_sync_keyword_fits(struct bridge_sync *sync,
				     const char *keyword)
{
	struct mail_index *index = sync->mbox->box.index;
	unsigned int idx;

	if (mail_index_keyword_lookup(index, keyword, &idx))
		return TRUE;
	if (array_count(mail_index_get_keywords(index)) >= BRIDGE_KEYWORDS_MAX)
		return FALSE;
	mail_index_keyword_lookup_or_create(index, keyword, &idx);
	return TRUE;
}

/* Append a keyword to the list, or count it as left out. */
static void bridge_sync_seed_keyword(struct bridge_sync *sync,
				     const char *keyword, struct buf *seed)
{
	size_t len = seed->len;

	if (bridge_sync_keyword_fits(sync, keyword)) {
		if (len > 0)
			buf_append_c(seed, ',');
		wire_encode_elem(view_of(keyword), seed);
		if (seed->len <= WIRE_FLAGS_MAX)
			return;
		seed->len = len;
	}
	sync->list.excess_keywords++;
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
	for (i = 0; i < N_ELEMENTS(bridge_flag_names); i++) {
		if ((flags & bridge_flag_names[i].flag) != 0) {
			if (str_len(text) > 0)
				str_append_c(text, ',');
			str_append(text, bridge_flag_names[i].name);
		}
	}
	buf_append_str(seed, str_c(text));
	array_foreach_elem(&keywords, keyword)
		bridge_sync_seed_keyword(sync, keyword, seed);
}

/* --- what the store says ------------------------------------------------- */

uint32_t bridge_sync_index_set(struct bridge_sync *sync,
			       struct mail_index_view *view, uint32_t seq)
{
	uint32_t set;

	T_BEGIN {
		set = idmap_flags_number(sync->mbox->map,
			view_of(bridge_flags_of(&sync->mbox->box, view, seq)));
	} T_END;
	return set;
}

void bridge_sync_update_flags(struct bridge_sync *sync, uint32_t uid,
			      const char *change)
{
	struct bridge_flag_update *update;

	if (!array_is_created(&sync->queue.updates))
		i_array_init(&sync->queue.updates, 8);
	update = array_append_space(&sync->queue.updates);
	update->uid = uid;
	update->change = i_strdup(change);
}

void bridge_sync_listed_flags(struct bridge_sync *sync, uint32_t uid,
			      uint32_t set, struct view listed)
{
	struct idmap *map = sync->mbox->map;
	struct buf sound = { NULL, 0, 0 }, change = { NULL, 0, 0 };
	struct buf now = { NULL, 0, 0 };
	uint32_t set_now;

	T_BEGIN {
		bridge_sync_seed(sync, listed, &sound);
	} T_END;
	flags_listed(sync->caps, idmap_flags_text(map, set),
		     view_of_buf(&sound), &now);
	set_now = idmap_flags_number(map, view_of_buf(&now));
	if (set_now != set) {
		buf_append_c(&change, '=');
		buf_append_view(&change, idmap_flags_text(map, set_now));
		idmap_flags(map, uid, uid, buf_str(&change));
		bridge_sync_update_flags(sync, uid, buf_str(&change));
	}
	buf_free(&sound);
	buf_free(&now);
	buf_free(&change);
}

/* --- to the index -------------------------------------------------------- */

static void
update_apply(struct bridge_sync *sync, uint32_t seq, struct view list,
	     enum modify_type type)
{
	struct mail_keywords *keywords;
	ARRAY_TYPE(const_string) names;
	enum mail_flags flags;

	t_array_init(&names, 8);
	bridge_sync_parse_flags(sync, list, &flags, &names);
	array_append_zero(&names);
	if (type == MODIFY_REPLACE || flags != 0)
		mail_index_update_flags(sync->index.trans, seq, type, flags);
	if (type == MODIFY_REPLACE || array_count(&names) > 1) {
		keywords = mail_index_keywords_create(
			sync->mbox->box.index, array_front(&names));
		mail_index_update_keywords(sync->index.trans, seq, type,
					   keywords);
		mail_index_keywords_unref(&keywords);
	}
}

static void
update_change(struct bridge_sync *sync, uint32_t seq, const char *change)
{
	struct view list = view_of(change), elem;

	if (*change == '=') {
		list.p++;
		list.len--;
		update_apply(sync, seq, list, MODIFY_REPLACE);
		return;
	}
	while (wire_list_next(&list, &elem)) {
		enum modify_type type = elem.len > 0 && elem.p[0] == '-' ?
			MODIFY_REMOVE : MODIFY_ADD;

		elem.p++;
		elem.len--;
		update_apply(sync, seq, elem, type);
	}
}

/* What clients did meanwhile is on top of what the store said. */
static void update_clients(struct bridge_sync *sync, uint32_t seq, uint32_t uid)
{
	const struct mail_index_sync_rec *rec;

	if (!array_is_created(&sync->queue.recs))
		return;
	array_foreach(&sync->queue.recs, rec) {
		if (uid >= rec->uid1 && uid <= rec->uid2)
			update_change(sync, seq,
				      bridge_sync_change(sync, rec));
	}
}

void bridge_sync_follow_flags(struct bridge_sync *sync, uint32_t seq,
			      uint32_t uid, uint32_t set)
{
	struct idmap *map = sync->mbox->map;
	struct buf flags = { NULL, 0, 0 };

	flags_unmarked(idmap_flags_text(map, set), &flags);
	if (bridge_sync_index_set(sync, sync->index.view, seq) !=
	    idmap_flags_number(map, view_of_buf(&flags))) T_BEGIN {
		update_apply(sync, seq, view_of_buf(&flags), MODIFY_REPLACE);
		update_clients(sync, seq, uid);
	} T_END;
	buf_free(&flags);
}

void bridge_sync_apply_updates(struct bridge_sync *sync)
{
	const struct bridge_flag_update *update;
	uint32_t seq;

	if (!array_is_created(&sync->queue.updates))
		return;
	array_foreach(&sync->queue.updates, update) T_BEGIN {
		if (mail_index_lookup_seq(sync->index.view, update->uid,
					  &seq)) {
			update_change(sync, seq, update->change);
			update_clients(sync, seq, update->uid);
		}
	} T_END;
}
