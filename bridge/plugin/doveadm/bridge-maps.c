/* The maps of a user's mailboxes, looked at from outside.
 *
 * The store is not asked: it may not be there, on a host that a user was moved to.
 * Which folder is whose is told by what is remembered of the last list of mailboxes,
 * and by the folder itself. */
#include "lib.h"
#include "compat.h"
#include "array.h"
#include "bridge-identity.h"
#include "bridge-map.h"
#include "bridge-maps.h"
#include "bridge-paths.h"
#include "bridge-private.h"

#include <dirent.h>
#include <unistd.h>

/* --- finding them -------------------------------------------------------- */

static void maps_warn(void *context, const char *text)
{
	struct bridge_mailbox_list *list = context;

	e_warning(list->list.ns->user->event, "bridge: %s", text);
}

/* The storage name of the mailbox that is kept in a folder; NULL if none is known. */
static const char *
maps_name(struct bridge_mailbox_list *list, const struct listing_boxes *boxes,
	  const char *folder)
{
	const struct listing_box *box;
	const char *name = NULL;
	size_t i;

	if (strcmp(folder, bridge_identity_name_folder("INBOX")) == 0)
		return "INBOX";
	for (i = 0; name == NULL && i < boxes->count; i++) T_BEGIN {
		box = &boxes->boxes[i];
		if (strcmp(bridge_identity_known_folder(list, box->name,
							box->id), folder) == 0)
			name = box->name;
	} T_END;
	return name != NULL ? name : bridge_identity_last_name(list, folder);
}

static void
maps_add(struct bridge_mailbox_list *list, const struct listing_boxes *boxes,
	 const char *folder, pool_t pool,
	 ARRAY_TYPE(bridge_map_file) *maps)
{
	struct bridge_map_file *file;
	const char *path, *name;

	path = t_strconcat(bridge_paths_folder(list, folder),
			   "/"BRIDGE_MAP_NAME, NULL);
	/* a link that leads nowhere is there, and not a map */
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT)
		return;
	name = maps_name(list, boxes, folder);
	file = array_append_space(maps);
	file->path = p_strdup(pool, path);
	file->vname = p_strdup(pool, name != NULL ?
		mailbox_list_get_vname(&list->list, name) :
		t_strconcat(BRIDGE_MAILBOXES_DIR"/", folder, NULL));
	file->index_dir = p_strdup(pool, bridge_paths_mailbox(list,
				MAILBOX_LIST_PATH_TYPE_INDEX, folder));
}

static int maps_cmp(const struct bridge_map_file *a,
		    const struct bridge_map_file *b)
{
	int ret = strcmp(a->vname, b->vname);

	return ret != 0 ? ret : strcmp(a->path, b->path);
}

int bridge_maps_find(struct bridge_mailbox_list *list, pool_t pool,
		     ARRAY_TYPE(bridge_map_file) *maps_r)
{
	struct boxes *boxes;
	struct dirent *d;
	DIR *dir;

	p_array_init(maps_r, pool, 32);
	dir = opendir(bridge_paths_folder(list, ""));
	if (dir == NULL)
		return errno == ENOENT ? 0 : -1;
	boxes = boxes_init(bridge_paths_boxes(list), maps_warn, list);
	boxes_load(boxes);
	while ((d = readdir(dir)) != NULL) T_BEGIN {
		if (d->d_name[0] != '.' || strlen(d->d_name) > 2)
			maps_add(list, boxes_known(boxes), d->d_name, pool,
				 maps_r);
	} T_END;
	boxes_deinit(&boxes);
	(void)closedir(dir);
	array_sort(maps_r, maps_cmp);
	return 0;
}

/* --- the index ----------------------------------------------------------- */

struct maps_index {
	struct idmap *map;
	struct mail_index_view *view;
	uint32_t ext_id;
	void (*found)(void *context, const char *text);
	void *context;
};

/* One message of the index, and the map's of the same UID. */
static void
maps_compare(struct maps_index *index, uint32_t seq, uint32_t uid,
	     const struct idmap_known *known)
{
	const struct bridge_index_record *rec;
	const void *data;

	mail_index_lookup_ext(index->view, seq, index->ext_id, &data, NULL);
	rec = data;
	if (rec == NULL || memcmp(rec->hash, known->hash,
				  sizeof(rec->hash)) != 0)
		index->found(index->context, t_strdup_printf(
			"UID %u has another id in the index", uid));
}

/* An index that is in step has exactly the messages of the map. */
static void maps_compare_all(struct maps_index *index)
{
	uint32_t seq, uid, count = mail_index_view_get_messages_count(index->view);
	const struct idmap_known *known;
	size_t known_count, k = 0;

	known = idmap_known(index->map, &known_count);
	for (seq = 1; seq <= count; seq++) T_BEGIN {
		mail_index_lookup_uid(index->view, seq, &uid);
		for (; k < known_count && known[k].uid < uid; k++)
			index->found(index->context, t_strdup_printf(
				"UID %u is not in the index", known[k].uid));
		if (k < known_count && known[k].uid == uid)
			maps_compare(index, seq, uid, &known[k++]);
		else
			index->found(index->context, t_strdup_printf(
				"UID %u is in the index only", uid));
	} T_END;
	for (; k < known_count; k++) T_BEGIN {
		index->found(index->context, t_strdup_printf(
			"UID %u is not in the index", known[k].uid));
	} T_END;
}

static void maps_check_view(struct maps_index *index)
{
	const struct mail_index_header *hdr =
		mail_index_get_header(index->view);

	if (hdr->uid_validity != idmap_header(index->map)->uidvalidity)
		index->found(index->context, t_strdup_printf(
			"the index has UIDVALIDITY %u", hdr->uid_validity));
	else if (!bridge_map_is_in_step(index->map, index->ext_id,
					index->view))
		index->found(index->context, "the index does not say all that "
			"the map says: the next synchronisation brings it up");
	else
		maps_compare_all(index);
}

/* Whether there are files of an index, good or bad. */
static bool maps_has_index(const struct bridge_map_file *file)
{
	const char *path = t_strconcat(file->index_dir,
				       "/"BRIDGE_INDEX_PREFIX, NULL);

	return access(path, F_OK) == 0 ||
		access(t_strconcat(path, ".log", NULL), F_OK) == 0;
}

void bridge_maps_check_index(const struct bridge_map_file *file,
			     struct idmap *map,
			     void (*found)(void *context, const char *text),
			     void *context)
{
	struct maps_index ctx = {
		.map = map, .found = found, .context = context,
	};
	struct mail_index *index;
	int ret;

	if (file->index_dir == NULL)
		return;
	index = mail_index_alloc(NULL, file->index_dir, BRIDGE_INDEX_PREFIX);
	ret = mail_index_open(index, MAIL_INDEX_OPEN_FLAG_READONLY);
	if (ret < 0)
		found(context, t_strconcat("the index cannot be read: ",
			compat_index_error(index), NULL));
	else if (ret == 0 && maps_has_index(file))
		found(context, "the index is damaged: the next session makes "
		      "it anew");
	if (ret > 0) {
		ctx.ext_id = mail_index_ext_register(index, "bridge",
			sizeof(struct bridge_index_header),
			sizeof(struct bridge_index_record), sizeof(uint32_t));
		ctx.view = mail_index_view_open(index);
		maps_check_view(&ctx);
		mail_index_view_close(&ctx.view);
		mail_index_close(index);
	}
	mail_index_free(&index);
}
