#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-flags.h"

#include "wire.h"

const char *bridge_flags_list(struct mailbox *box, enum mail_flags flags,
			      const unsigned int *keywords, unsigned int count)
{
	const ARRAY_TYPE(keywords) *names = mail_index_get_keywords(box->index);
	struct buf list = { NULL, 0, 0 };
	const char *text;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(bridge_flag_names); i++) {
		if ((flags & bridge_flag_names[i].flag) == 0)
			continue;
		if (list.len > 0)
			buf_append_c(&list, ',');
		buf_append_str(&list, bridge_flag_names[i].name);
	}
	for (i = 0; i < count; i++) {
		if (list.len > 0)
			buf_append_c(&list, ',');
		wire_encode_elem(view_of(array_idx_elem(names,
					keywords[i])), &list);
	}
	text = t_strdup(buf_str(&list));
	buf_free(&list);
	return text;
}

const char *bridge_flags_of(struct mailbox *box, struct mail_index_view *view,
			    uint32_t seq)
{
	const struct mail_index_record *rec = mail_index_lookup(view, seq);
	ARRAY_TYPE(keyword_indexes) keywords;
	const unsigned int *idx;
	unsigned int count;

	t_array_init(&keywords, 8);
	mail_index_lookup_keywords(view, seq, &keywords);
	idx = array_get(&keywords, &count);
	return bridge_flags_list(box, rec->flags, idx, count);
}
