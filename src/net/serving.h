/* SPDX-License-Identifier: MIT
 *
 * The struct of a server and what the parts of its implementation call of one another:
 *
 *   server.c         life, settings, questions     server_events.c  listeners and how they are told
 *   accepting.c      connections, and too many     handshakes.c     between accepted and handed out
 *   listening.c      from an address, a path or a descriptor to a listening server
 *   unix_file.c      the file of a Unix socket     inherited.c      sockets of a service manager
 *   proxied.c        whom a proxy speaks for       proxy_header.c   how it says that
 *
 * For these files only; protocols use net/server.h.
 */
#ifndef RONDO__SERVING_H
#define RONDO__SERVING_H

#include "loop/alarm.h"
#include "loop/emit.h"
#include "loop/io.h"
#include "net/address.h"
#include "net/server.h"
#include "net/unix_file.h"

enum { RONDO__SERVER_CONNECTION, RONDO__SERVER_ERROR, RONDO__SERVER_DROP, RONDO__SERVER_EVENTS };

struct rondo_server {
    rondo_handle base;
    rondo__io io;
    rondo__alarm retry; /* set: accepting pauses */
    const rondo__acceptor *acceptor;
    void *owner; /* the acceptor's */
    const rondo__server_security *security;
    void *security_context;
    rondo__list handshakes; /* under way */
    rondo__unix_file *file; /* to remove at the end; or NULL */
    int fd;                 /* -1 when it doesn't listen */
    int reserve;            /* a descriptor to give up when there are no more; -1: none */
    int backlog;
    uint16_t port;
    uint16_t crowd; /* of its open connections, while it listens: see buffers.h */
    bool paused;    /* rondo_server_pause() */
    bool retired;   /* rondo__server_retire() */
    bool proxied;   /* connections begin with a header of the PROXY protocol */
    bool share;     /* SO_REUSEPORT */
    bool dual, dual_set;
    uint32_t most; /* open connections; 0: any number */
    uint64_t accepted, dropped, failed;
    rondo__slot on[RONDO__SERVER_EVENTS];
};

extern const rondo__kind rondo__server_kind;

/* ---- server.c ---- */

/* RONDO_ECLOSED, RONDO_EBUSY when it listens, or 0. */
int rondo__server_check_idle(const rondo_server *server);
/* From now on it listens on fd, which it owns; 0, or an error and nothing has changed. */
int rondo__server_start(rondo_server *server, int fd, const rondo_address *address);
uint32_t rondo__server_open_count(const rondo_server *server);

/* ---- server_events.c ---- */

/* Whether there is somebody to accept for. */
bool rondo__server_wanted(const rondo_server *server);
/* To the protocol or the listeners. */
void rondo__server_hand_out(rondo_server *server, rondo_stream *stream);
void rondo__server_tell_error(rondo_server *server, int error);
/* One that is not handed out. It is closed: here if it is only an fd, by the caller if it is a stream
 * already. */
void rondo__server_drop_fd(rondo_server *server, rondo_drop_reason reason, int error, int fd);
void rondo__server_drop_stream(rondo_server *server, rondo_drop_reason reason, int error,
                               rondo_stream *stream);

/* ---- accepting.c ---- */

void rondo__server_accept(rondo_loop *loop, rondo__io *io, int events);
void rondo__server_retry(rondo_loop *loop, rondo__alarm *alarm);
/* Watches the socket exactly while connections are wanted, except in a pause: 0 or RONDO_ENOMEM. */
int rondo__server_watch(rondo_server *server);

/* ---- handshakes.c ---- */

/* The stream is handed out, or dropped and closed, when its handshake is over. 0, or an error: it was
 * not begun. */
int rondo__server_shake(rondo_server *server, rondo_stream *stream);
/* What the protocol has to be told of one that is not handed out yet: it has come, it goes. */
bool rondo__server_lets_in(rondo_server *server, rondo_stream *stream);
void rondo__server_lets_go(rondo_server *server, rondo_stream *stream);
/* Closes those that are under way. */
void rondo__server_stop_handshakes(rondo_server *server);
/* A server that has retired, when none is under way any more. */
void rondo__server_close_if_retired(rondo_server *server);

#endif
