/* Requests, as a backend gets them (protocol.md, "Grammar"). */
#ifndef BRIDGE_REQUEST_H
#define BRIDGE_REQUEST_H

#include "verb.h"
#include "wire.h"

#include <stdio.h>

/* The views point into the line; each is empty if it is not there. */
struct request {
	enum verb_id verb;	/* VERB_COUNT = none that is known */
	struct view box;	/* the field behind it */
	struct view third;	/* the next: FETCH's want, APPEND's path */
	struct view rest;	/* what follows, fields for wire_next */
};

void request_parse(struct view line, struct request *request_r);
/* How many octets follow the line: those of APPEND box - ... size=N. */
uint64_t request_octets(const struct request *request);

/* The next line, without its LF. Returns 1, 0 at the end (a line without LF is none), -1
 * if it is longer than WIRE_LINE_MAX. */
int request_read(FILE *in, struct buf *line);
/* Read octets that are not wanted. */
void request_skip(FILE *in, uint64_t octets);

#endif
