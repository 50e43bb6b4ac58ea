/* core/base/file, and the files of core/map/idmap: modes whatever the umask is, and what somebody
 * else has put in their place. */
#include "file.h"
#include "idmap.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct stat st;

static bool is_there(const char *path)
{
	return lstat(path, &st) == 0;
}

/* What stands in a file that we own; NULL = it cannot be read. */
static const char *content(const char *path)
{
	static char text[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[len < 0 ? 0 : len] = '\0';
	return len < 0 ? NULL : text;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		printf("# cannot write %s\n", path);
	(void)close(fd);
}

static bool linked(const char *to, const char *path)
{
	(void)unlink(path);
	return symlink(to, path) == 0;
}

static void test_replace(void)
{
	ok(file_replace("new", view_of("one"), NULL) == 0, "a file is made");
	ok(is_there("new") && (st.st_mode & 07777) == 0600,
	   "for its user alone, with a umask of 0");
	write_file("theirs", "theirs");
	ok(linked("theirs", "new") && linked("theirs", "new.tmp"),
	   "links are in its place, and beside it");
	ok(file_replace("new", view_of("two"), NULL) == 0, "it is made again");
	ok(is_there("new") && S_ISREG(st.st_mode), "in the link's place");
	is_str(content("new"), "two", "with what was written");
	is_str(content("theirs"), "theirs", "and not through the link");
	ok(!is_there("new.tmp"), "nothing is left beside it");
}

static void test_read(void)
{
	struct buf text = { NULL, 0, 0 };

	ok(linked("theirs", "link") &&
	   file_read("link", 100, &text, NULL) < 0 && errno == ELOOP,
	   "a link is not read");
	ok(mkfifo("fifo", 0600) == 0 &&
	   file_read("fifo", 100, &text, NULL) < 0 && errno == EINVAL,
	   "a FIFO is not waited for");
	ok(file_read("theirs", 5, &text, NULL) < 0 && errno == EFBIG,
	   "a file that is too large is refused");
	buf_free(&text);
}

static void test_lock(void)
{
	int fd = file_lock("lock", 0);

	ok(fd >= 0 && is_there("lock") && (st.st_mode & 07777) == 0600,
	   "a lock file is for its user alone, with a umask of 0");
	ok(file_lock("lock", 0) < 0 && errno == EWOULDBLOCK, "it locks");
	(void)close(fd);
	ok(linked("nowhere", "lock") && file_lock("lock", 0) < 0 &&
	   errno == ELOOP, "no link is followed to lock a file");
	ok(!is_there("nowhere"), "none is made where it leads");
	ok(linked("nowhere", "place") && file_place("place", 2) < 0 &&
	   errno == ELOOP && !is_there("nowhere"), "nor for a place");
}

/* A map of its own in the place of another user's. */
static void test_map(void)
{
	struct idmap *map = idmap_init("map");
	struct fault fault;

	ok(linked("nowhere", "map.lock") &&
	   idmap_lock(map, 0, NULL, NULL, &fault) < 0 && !is_there("nowhere"),
	   "the lock of a map is no link");
	(void)unlink("map.lock");
	ok(idmap_lock(map, 0, NULL, NULL, &fault) == 0 && is_there("map.lock") &&
	   (st.st_mode & 07777) == 0600, "it is for its user alone");
	write_file("real", "dovebridge-map 1\n");
	ok(linked("real", "map") && idmap_open(map, &fault) < 0 &&
	   strstr(fault.log, strerror(ELOOP)) != NULL, "a map is no link (%s)",
	   fault.log);
	(void)unlink("map");
	ok(mkfifo("map", 0600) == 0 && idmap_open(map, &fault) < 0 &&
	   strstr(fault.log, "not a regular file") != NULL,
	   "and no FIFO (%s)", fault.log);
	idmap_deinit(&map);
}

int main(void)
{
	static const char *const names[] = {
		"new", "new.tmp", "theirs", "link", "fifo", "lock", "place",
		"map", "map.lock", "real", "nowhere",
	};
	char dir[] = "/tmp/dovebridge-test.XXXXXX";
	size_t i;

	if (mkdtemp(dir) == NULL || chdir(dir) < 0) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return 1;
	}
	(void)umask(0);
	test_replace();
	test_read();
	test_lock();
	test_map();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(names[i]);
	(void)rmdir(dir);
	return done_testing();
}
