/* folder [--header] DIR LOG: the files of DIR as the INBOX, answered with paths;
 * with --header, `FETCH box header` is answered with the bytes of the header.
 *
 * LOG has a line for each change of DIR behind the first list, "+NAME" or "-NAME";
 * a state is its length. So a list costs as much as it names, as in a store that
 * knows its own history. Names are as corpus writes them: no byte needs coding,
 * and size, date and the size with CRLF stand in them.
 *
 * folder.py does the same in Python. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#define HEADER_MAX 65536	/* of a message whose header is answered alone */

static const char *dir, *log_path;
static bool with_header;

static int is_mail(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void print_message(const char *name)
{
	unsigned long date, size, crlf_size;

	if (sscanf(name, "%lu.%*u.bench,S=%lu,W=%lu,", &date, &size,
		   &crlf_size) == 3)
		printf("* MSG %s size=%lu vsize=%lu date=%lu\n", name, size,
		       crlf_size, date);
	else
		printf("* MSG %s\n", name);
}

static long log_length(FILE *file)
{
	return fseek(file, 0, SEEK_END) < 0 ? -1 : ftell(file);
}

static void list_all(FILE *file)
{
	long length = log_length(file);		/* before the list is read */
	struct dirent **names;
	int i, count = scandir(dir, &names, is_mail, alphasort);

	if (count < 0) {
		puts("NO UNAVAILABLE the folder cannot be read");
		return;
	}
	for (i = 0; i < count; i++) {
		print_message(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	printf("OK full state=%ld count=%d\n", length, count);
}

static void list_since(FILE *file, long since)
{
	long length = log_length(file);
	char line[1024];

	(void)fseek(file, since, SEEK_SET);
	while (ftell(file) < length && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '+')
			print_message(line + 1);
		else
			printf("* GONE %s\n", line + 1);
	}
	printf("OK delta state=%ld\n", length);
}

static void list(const char *state)
{
	FILE *file = fopen(log_path, "r");
	long since = -1;

	if (file == NULL) {
		puts("NO UNAVAILABLE the log cannot be read");
		return;
	}
	if (state != NULL && strcmp(state, "-") != 0)
		since = atol(state);
	if (since < 0 || since > log_length(file))
		list_all(file);
	else
		list_since(file, since);
	(void)fclose(file);
}

static void print_header(const char *id, const char *path)
{
	static char text[HEADER_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
	const char *end = len < 0 ? NULL : memmem(text, (size_t)len, "\n\n", 2);

	if (fd >= 0)
		(void)close(fd);
	if (end == NULL) {
		printf("* FILE %s %s\n", id, path);
		return;
	}
	len = end + 2 - text;
	printf("* DATA %s %zd part=header\n", id, len);
	(void)fwrite(text, 1, (size_t)len, stdout);
}

static void fetch(const char *want, char **rest)
{
	bool header = with_header && want != NULL &&
		strncmp(want, "header", 6) == 0;
	char path[4096];
	const char *id;

	while ((id = strtok_r(NULL, " ", rest)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, id);
		if (strchr(id, '/') != NULL || access(path, R_OK) < 0)
			printf("* GONE %s\n", id);
		else if (header)
			print_header(id, path);
		else
			printf("* FILE %s %s\n", id, path);
	}
	puts("OK");
}

static void answer(char *line)
{
	char *rest = NULL;
	const char *verb = strtok_r(line, " ", &rest);
	const char *box = verb == NULL ? NULL : strtok_r(NULL, " ", &rest);
	const char *word = box == NULL ? NULL : strtok_r(NULL, " ", &rest);

	if (verb == NULL)
		puts("NO UNSUPPORTED");
	else if (strcmp(verb, "CAPS") == 0)
		puts("* CAPS 1 delta batch=100 pipeline=16\nOK");
	else if (strcmp(verb, "LIST") == 0 && box == NULL)
		puts("* BOX INBOX\nOK full");
	else if (box != NULL && strcmp(box, "INBOX") != 0)
		puts("NO NOTFOUND there is only INBOX");
	else if (strcmp(verb, "LIST") == 0)
		list(word);
	else if (strcmp(verb, "FETCH") == 0)
		fetch(word, &rest);
	else
		puts("NO UNSUPPORTED");
}

int main(int argc, char *argv[])
{
	static char out[1 << 16];
	char *line = NULL;
	size_t size = 0;

	if (argc > 1 && strcmp(argv[1], "--header") == 0) {
		with_header = true;
		argc--;
		argv++;
	}
	if (argc != 3)
		errx(78, "usage: folder [--header] DIR LOG");
	dir = argv[1];
	log_path = argv[2];
	(void)setvbuf(stdout, out, _IOFBF, sizeof(out));
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		answer(line);
		(void)fflush(stdout);
	}
	return 0;
}
