#include "fetched.h"
#include "file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int fetched_begin(struct fetched *fetched, uint64_t size, const char *tmp_dir)
{
	if (size <= FETCH_MEMORY_MAX) {
		fetched->status = FETCH_MEMORY;
		(void)buf_reserve(&fetched->data, size);
	} else {
		fetched->fd = file_unnamed(tmp_dir);
		if (fetched->fd < 0)
			return -1;
		fetched->status = FETCH_FILE;
	}
	fetched->size = size;
	return 0;
}

int fetched_add(struct fetched *fetched, const char *data, size_t size)
{
	const struct view text = { data, size };

	if (fetched->status == FETCH_FILE)
		return file_write(fetched->fd, text);
	buf_append(&fetched->data, data, size);
	return 0;
}

void fetched_free(struct fetched *fetched)
{
	if (fetched->fd >= 0)
		(void)close(fetched->fd);
	buf_free(&fetched->data);
	memset(fetched, 0, sizeof(*fetched));
	fetched->fd = -1;
}

static int add_to_fd(void *context, const char *data, size_t size)
{
	const struct view text = { data, size };

	return file_write(*(int *)context, text);
}

static int add_to_fetched(void *context, const char *data, size_t size)
{
	return fetched_add(context, data, size);
}

/* All bytes of a file, piece by piece. */
static int file_bytes(const struct fetched *fetched,
		      int (*add)(void *context, const char *data, size_t size),
		      void *context)
{
	char chunk[65536];
	uint64_t done = 0;
	size_t want;
	ssize_t ret;

	while (done < fetched->size) {
		want = fetched->size - done < sizeof(chunk) ?
			(size_t)(fetched->size - done) : sizeof(chunk);
		ret = file_read_at(fetched->fd, chunk, want,
				   fetched->offset + done);
		if (ret == 0)
			errno = EIO;
		if (ret <= 0 || add(context, chunk, (size_t)ret) < 0)
			return -1;
		done += (uint64_t)ret;
	}
	return 0;
}

int fetched_add_from(struct fetched *fetched, const struct fetched *from)
{
	return file_bytes(from, add_to_fetched, fetched);
}

int fetched_copy(const struct fetched *fetched, int fd)
{
	if (fetched->status == FETCH_MEMORY)
		return file_write(fd, view_of_buf(&fetched->data));
	return file_bytes(fetched, add_to_fd, &fd);
}
