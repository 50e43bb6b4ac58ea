/* The process that keeps serve's private Dovecot: starts the master, ends it,
 * waits for everything that came from it, and removes its folder. It outlives
 * whoever asked for it, so that a kill -9 of that leaves nothing either. */
#ifndef BRIDGE_KEEPER_H
#define BRIDGE_KEEPER_H

#include <signal.h>
#include <sys/types.h>

#define KEEPER_STOP_MSECS (10 * 1000)	/* for the master, before SIGKILL */
#define KEEPER_REST_MSECS (5 * 1000)	/* for its processes, before SIGKILL */
#define KEEPER_GIVE_UP_MSECS (5 * 1000)	/* after that */

/* Start it. argv[0] is the path of the master, which is to stay in the
 * foreground. dir is as rmtree_remove wants it. Returns its pid, -1 and errno.
 * The signals of keeper_signals must be blocked.
 *
 * It ends Dovecot at SIGTERM, SIGINT or SIGHUP, or when its parent ends, and
 * exits with 0 then; with EX_UNAVAILABLE if Dovecot ended by itself. */
pid_t keeper_start(char *const *argv, char *const *env, const char *dir);

/* Those by which one is told to end, and SIGCHLD. */
void keeper_signals(sigset_t *set);

#endif
