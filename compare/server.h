/* SPDX-License-Identifier: MIT
 *
 * What the servers of all models do alike, whatever they wait in: listen and accept, say what they lack, have children.
 */
#ifndef COMPARE_SERVER_H
#define COMPARE_SERVER_H

#include "compare/model.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- telling ---- */

extern const char *server_name; /* of the model */

/* "rondo: NAME: TEXT" on stderr, once in the life of the server, its children included: why clients are refused. */
void server_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "rondo: NAME: WHAT: why", by errno. Returns an exit status: 1. */
int server_failed(const char *what);

/* ---- connections ---- */

/* The same for all; the kernel cuts it to net.core.somaxconn. */
#define SERVER_BACKLOG 4096
/* How many a loop takes before those that it has get their turn. */
#define SERVER_ACCEPTS 64
/* Bytes of a thread's stack, in models that have one for each connection. Of these, a connection touches four pages or so (docs/compare.md has the figure). */
#define SERVER_STACK 65536

/* A listening socket, whose connections have TCP_NODELAY. flags: SOCK_NONBLOCK, or 0. Announces itself. Returns a descriptor,
 * or says what failed and returns -1. */
int server_listen(const model_settings *settings, int flags);
/* Several on one port, of the kind that the kernel deals out connections to (SO_REUSEPORT), for a process each. 0 or -1. */
int server_listen_shared(const model_settings *settings, int *ret_fds, unsigned count);

/* A connection (flags for accept4(2); SOCK_CLOEXEC is added), or -1: there is none now, or it had to be refused. Without
 * descriptors it takes the connection and closes it, so that neither the client waits for nothing nor the server spins. For one
 * thread of a process. */
int server_accept(int listener, int flags);

/* ---- processes ---- */

/* Makes this process the head of a group that dies with it: SIGTERM ends all of it, and when the head is gone, everybody is. */
void server_begin_family(void);
/* fork(2), into that family: the child has the default handling of signals and dies with its parent, however that dies. -1: errno. */
pid_t server_fork(void);
/* How many cores this process may use. */
unsigned server_cores(void);

#endif
