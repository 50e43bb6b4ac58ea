#include "listen.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include <bsd/stdlib.h>
#include <sys/socket.h>

#define GREETING_MSECS 300	/* for one look; there are more */
#define PORT_MAX 65535

static bool is_loopback(struct listen *listen)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (strcmp(listen->host, "localhost") == 0)
		(void)strcpy(listen->host, "127.0.0.1");
	listen->v6 = inet_pton(AF_INET6, listen->host, &v6) == 1;
	if (listen->v6)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, listen->host, &v4) == 1 &&
		ntohl(v4.s_addr) >> 24 == 127;
}

void listen_parse(struct listen *listen, const char *arg)
{
	const char *host = arg != NULL ? arg : "127.0.0.1";
	const char *port = strrchr(host, ':'), *end, *error;

	memset(listen, 0, sizeof(*listen));
	if (*host == '[') {
		end = strchr(++host, ']');
		port = end != NULL && end[1] == ':' ? end + 1 : NULL;
		if (end == NULL || (port == NULL && end[1] != '\0'))
			tool_fail(EX_USAGE, "--listen %s: write [ADDRESS]:PORT",
				  arg);
	} else {
		/* more than one colon: no port but IPv6 */
		if (port != NULL && strchr(host, ':') != port)
			port = NULL;
		end = port != NULL ? port : strchr(host, '\0');
	}
	if ((size_t)(end - host) < sizeof(listen->host))
		memcpy(listen->host, host, (size_t)(end - host));
	if (!is_loopback(listen))
		tool_fail(EX_USAGE, "--listen %s: only the addresses by which "
			  "this machine reaches itself will do, such as "
			  "127.0.0.1", arg);
	listen->any_port = port == NULL;
	if (port == NULL)
		return;
	listen->imap_port = (int)strtonum(port + 1, 1, PORT_MAX, &error);
	if (error != NULL)
		tool_fail(EX_USAGE, "--listen %s: the port is %s", arg, error);
}

static socklen_t make_address(const struct listen *listen, int port,
			      struct sockaddr_storage *address)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;

	memset(address, 0, sizeof(*address));
	if (listen->v6) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		(void)inet_pton(AF_INET6, listen->host, &v6->sin6_addr);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	(void)inet_pton(AF_INET, listen->host, &v4->sin_addr);
	return sizeof(*v4);
}

/* A socket with this port, or with any if it is 0. -1 and errno. */
static int bind_port(const struct listen *listen, int *port)
{
	struct sockaddr_storage address;
	socklen_t size = make_address(listen, *port, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, error;

	if (fd < 0)
		return -1;
	/* as Dovecot does it: connections that ended just now are no reason */
	if ((*port != 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
				      sizeof(on)) < 0) ||
	    bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
		error = errno;
		(void)close(fd);
		errno = error;
		return -1;
	}
	*port = ntohs(listen->v6 ?
		      ((struct sockaddr_in6 *)&address)->sin6_port :
		      ((struct sockaddr_in *)&address)->sin_port);
	return fd;
}

void listen_choose(struct listen *listen)
{
	int imap_fd, pop3_fd = -1;

	if (listen->any_port)
		listen->imap_port = 0;
	imap_fd = bind_port(listen, &listen->imap_port);
	if (imap_fd < 0)
		tool_fail(EX_UNAVAILABLE, "cannot listen on %s port %d: %s",
			  listen->host, listen->imap_port, strerror(errno));
	listen->pop3_port = listen->imap_port + 1;
	if (listen->pop3_port <= PORT_MAX)
		pop3_fd = bind_port(listen, &listen->pop3_port);
	if (pop3_fd < 0) {
		listen->pop3_port = 0;
		pop3_fd = bind_port(listen, &listen->pop3_port);
	}
	if (pop3_fd < 0)
		tool_fail(EX_UNAVAILABLE, "no port is free on %s: %s",
			  listen->host, strerror(errno));
	(void)close(imap_fd);
	(void)close(pop3_fd);
}

bool listen_greets(const struct listen *listen, int port)
{
	struct sockaddr_storage address;
	socklen_t size = make_address(listen, port, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char c;
	bool greets = fd >= 0 &&
		connect(fd, (struct sockaddr *)&address, size) == 0 &&
		poll(&pfd, 1, GREETING_MSECS) == 1 && recv(fd, &c, 1, 0) == 1;

	if (fd >= 0)
		(void)close(fd);
	return greets;
}
