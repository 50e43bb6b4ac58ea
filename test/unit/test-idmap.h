/* What the tests of the map share: one map file in a folder of its own. */
#ifndef TEST_IDMAP_H
#define TEST_IDMAP_H

#include "tap.h"
#include "flags.h"
#include "idmap.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/test-idmap.XXXXXX";
static char path[64], lock_path[80], tmp_path[80], other_path[80];
static struct fault fault;
static const unsigned char guid[IDMAP_GUID_SIZE] = "0123456789abcdef";

/* --- help ---------------------------------------------------------------- */

static __attribute__((unused)) void start_anew(void)
{
	(void)unlink(path);
	(void)unlink(lock_path);
	(void)unlink(tmp_path);
	(void)unlink(other_path);
}

static __attribute__((unused)) struct buf file_read(const char *name)
{
	struct buf data = { NULL, 0, 0 };
	char piece[4096];
	ssize_t n;
	int fd = open(name, O_RDONLY);

	while (fd >= 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		buf_append(&data, piece, (size_t)n);
	if (fd >= 0)
		close(fd);
	return data;
}

/* Anew, so that nobody takes it for the file that was there. */
static __attribute__((unused)) void
file_write(const char *name, const char *data, size_t len)
{
	int fd;

	(void)unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

static __attribute__((unused)) off_t file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) < 0 ? -1 : st.st_size;
}

static __attribute__((unused)) struct idmap *open_locked(void)
{
	struct idmap *map = idmap_init(path);

	if (idmap_lock(map, 0, NULL, NULL, &fault) < 0 ||
	    idmap_open(map, &fault) < 0) {
		printf("# %s\n", fault.log);
		abort();
	}
	return map;
}

static __attribute__((unused)) struct idmap *created(uint32_t next_uid)
{
	struct idmap *map;

	start_anew();
	map = open_locked();
	if (idmap_create(map, 1234, guid, next_uid, &fault) < 0)
		abort();
	return map;
}

static __attribute__((unused)) struct idmap_entry
message(uint32_t uid, const char *id)
{
	struct idmap_entry entry;

	memset(&entry, 0, sizeof(entry));
	entry.uid = uid;
	entry.id = view_of(id);
	entry.size = WIRE_SIZE_UNKNOWN;
	entry.date = WIRE_DATE_UNKNOWN;
	entry.first_seen = 77;
	return entry;
}

static __attribute__((unused)) uint64_t
add(struct idmap *map, uint32_t uid, const char *id)
{
	struct idmap_entry entry = message(uid, id);

	return idmap_add(map, &entry);
}

static __attribute__((unused)) int commit(struct idmap *map)
{
	int ret = idmap_commit(map, false, &fault);

	if (ret < 0)
		printf("# commit: %s\n", fault.log);
	return ret;
}

/* The whole content as text: "NEXT_UID STATE HELD|UID ID SIZE DATE SEEN
 * SUSPECT FLAGS|..." or what stopped us from having it. */
static __attribute__((unused)) const char *content(struct idmap *map)
{
	static struct buf out, buf;
	const struct idmap_known *known;
	struct idmap_entry entry;
	size_t i, count;
	int ret;

	buf_clear(&out);
	ret = idmap_open(map, &fault);
	if (ret > 0 && idmap_load(map, &fault) < 0)
		ret = -1;
	if (ret <= 0)
		return ret == 0 ? "no file" : "fault";
	buf_printf(&out, "%u %s %lld", idmap_header(map)->next_uid,
		   idmap_header(map)->state, (long long)idmap_brake(map));
	known = idmap_known(map, &count);
	for (i = 0; i < count; i++) {
		/* what the file says and what memory has is the same */
		if (idmap_lookup(map, known[i].uid, &entry, &buf,
				 &fault) != 1 || entry.size != known[i].size ||
		    idmap_spelling(map, entry.id) != known[i].spelling ||
		    !view_equals(entry.flags,
				 idmap_flags_text(map,
					idmap_known_flags(map, &known[i]))))
			return "not what memory has";
		buf_printf(&out, "|%u %.*s %lld %lld %lld %lld %.*s",
			   entry.uid, (int)entry.id.len, entry.id.p,
			   (long long)entry.size, (long long)entry.date,
			   (long long)entry.first_seen,
			   (long long)known[i].suspect_since,
			   (int)entry.flags.len, entry.flags.p);
	}
	return buf_str(&out);
}

static __attribute__((unused)) const char *content_anew(void)
{
	struct idmap *map = idmap_init(path);
	const char *text = content(map);

	idmap_deinit(&map);
	return text;
}

/* One message that is loaded; NULL if there is none. */
static __attribute__((unused)) const struct idmap_known *
known_of(struct idmap *map, uint32_t uid)
{
	const struct idmap_known *known;
	size_t i, count;

	known = idmap_known(map, &count);
	for (i = 0; i < count && known[i].uid != uid; i++) ;
	return i < count ? &known[i] : NULL;
}

/* Returns seconds. */
static __attribute__((unused)) double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static __attribute__((unused)) int test_begin(void)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/map", dir);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	snprintf(tmp_path, sizeof(tmp_path), "%s.tmp", path);
	snprintf(other_path, sizeof(other_path), "%s.other", path);
	return 0;
}

static __attribute__((unused)) int test_end(void)
{
	start_anew();
	(void)rmdir(dir);
	return done_testing();
}

#endif
