/* Instead of libFuzzer: run the fuzzer with what is stored in its corpus, as TAP. */
#include "fuzz.h"
#include "tap.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define CORPUS "test/fuzz/corpus/" FUZZER

static void run_file(const char *path)
{
	struct buf text = { NULL, 0, 0 };
	FILE *f = fopen(path, "rb");
	size_t size;
	char data[4096];

	if (f == NULL)
		return;
	while ((size = fread(data, 1, sizeof(data), f)) > 0)
		buf_append(&text, data, size);
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&text), text.len);
	buf_free(&text);
}

/* argv: files; without any all of the corpus. */
int main(int argc, char *argv[])
{
	unsigned int count = 0;
	struct dirent *d;
	char path[512];
	DIR *dir;
	int i;

	for (i = 1; i < argc; i++)
		run_file(argv[i]);
	dir = argc > 1 ? NULL : opendir(CORPUS);
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), CORPUS "/%s", d->d_name);
		/* the last line of what dies here says on which */
		printf("# %s\n", d->d_name);
		(void)fflush(stdout);
		run_file(path);
		count++;
	}
	if (dir != NULL)
		(void)closedir(dir);
	ok(argc > 1 || count > 0, FUZZER ": what is stored for the fuzzer is "
	   "withstood");
	return done_testing();
}
