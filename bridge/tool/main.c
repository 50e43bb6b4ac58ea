#include "tool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct command commands[] = {
	{ "imap", "[--state DIR] [--as USER] [-o SETTING=VALUE]... -- "
	  "BACKEND [ARG...]",
	  "an IMAP session on stdin and stdout", cmd_imap },
	{ "serve", "[--listen 127.0.0.1:PORT] [--state DIR] [--as USER] "
	  "[-o SETTING=VALUE]... -- BACKEND [ARG...]",
	  "IMAP and POP3 for this machine alone", cmd_serve },
	{ "ls", "[--as USER] [MAILBOX] -- BACKEND [ARG...]",
	  "list the mailboxes, or the messages of one", cmd_ls },
	{ "cat", "[--as USER] MAILBOX ID -- BACKEND [ARG...]",
	  "write one message to stdout", cmd_cat },
	{ "export", "[--as USER] DIR -- BACKEND [ARG...]",
	  "copy the whole store into a Maildir", cmd_export },
	{ "replay", "[--as USER] FILE",
	  "a backend that answers as a transcript has it", cmd_replay },
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

/* The words of the protocol, from the tables that the code itself uses. */
static void print_protocol(FILE *out)
{
	const struct verb *verb;
	int i;

	fprintf(out, "\nRequests of protocol %d:\n", CAPS_VERSION);
	for (i = 0; i < VERB_COUNT; i++) {
		verb = verb_info((enum verb_id)i);
		fprintf(out, "  %s%s%s\n", verb->name,
			*verb->request != '\0' ? " " : "", verb->request);
	}
	fputs("\nCodes of NO and FAIL, and whether a pending change is tried "
	      "again:\n", out);
	for (i = FAULT_NONE + 1; i < FAULT_CODE_COUNT; i++)
		fprintf(out, "  %-12s%s\n",
			fault_code_name((enum fault_code)i),
			fault_retry((enum fault_code)i) == FAULT_RETRY_LATER ?
			"later" : "never");
}

static void print_help(FILE *out)
{
	size_t i;

	fputs("Usage: dovebridge COMMAND [OPTION...] -- BACKEND [ARG...]\n\n"
	      "A mail store is any program that reads requests on stdin and "
	      "answers on stdout\n(protocol.md). Everything after the first "
	      "-- is that program and its arguments;\nno shell sees them.\n\n"
	      "Commands:\n", out);
	for (i = 0; i < COMMANDS_COUNT; i++)
		fprintf(out, "  %-8s%s\n          dovebridge %s %s\n",
			commands[i].name, commands[i].help,
			commands[i].name, commands[i].args);
	fputs("\nOptions:\n"
	      "  --listen ADDRESS:PORT\n"
	      "                    where IMAP is served; POP3 on the next port\n"
	      "  --state DIR       where UIDs and local flags are kept\n"
	      "  --as USER         as root: become USER (default nobody)\n"
	      "  -o SETTING=VALUE  any bridge_ or Dovecot setting\n"
	      "  --help, --version\n\n"
	      "Started as root, every command first becomes USER for good.\n"
	      "Exit codes are those of sysexits(3).\n", out);
	print_protocol(out);
}

int main(int argc, char *argv[])
{
	size_t i;

	/* a backend that stops reading is an error of a write, not our end */
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("dovebridge %s (protocol %d)\n", TOOL_VERSION,
		       CAPS_VERSION);
		return 0;
	}
	for (i = 0; i < COMMANDS_COUNT; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (argc > 2 && strcmp(argv[2], "--help") == 0) {
			printf("Usage: dovebridge %s %s\n%s\n",
			       commands[i].name, commands[i].args,
			       commands[i].help);
			return 0;
		}
		if (argc > 2 && strcmp(argv[2], "--version") == 0) {
			printf("dovebridge %s (protocol %d)\n", TOOL_VERSION,
			       CAPS_VERSION);
			return 0;
		}
		return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "dovebridge: no command is called %s; see "
		"dovebridge --help\n", argv[1]);
	return EX_USAGE;
}
