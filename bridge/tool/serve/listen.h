/* Where serve listens: addresses of this machine alone, and ports. */
#ifndef BRIDGE_LISTEN_H
#define BRIDGE_LISTEN_H

#include <stdbool.h>

struct listen {
	bool v6;
	char host[64];
	int imap_port, pop3_port;	/* 0 = any that is free */
	bool any_port;			/* no port was asked for */
};

/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT; NULL = 127.0.0.1. Exits unless the
 * address is a loopback one. */
void listen_parse(struct listen *listen, const char *arg);
/* Choose the ports that are not chosen; POP3 is on the one after IMAP's if that
 * is free. Exits if there is none, or the one asked for is in use. */
void listen_choose(struct listen *listen);
/* Does a server that greets listen there? Waits a moment for its greeting. */
bool listen_greets(const struct listen *listen, int port);

#endif
