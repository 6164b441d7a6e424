/* SPDX-License-Identifier: MIT
 *
 * A server: a listening TCP socket that hands out streams. Accepts in bounded batches
 * (RONDO_BUDGET_accepts) while it has a `connection` listener; without one, connections wait in the
 * kernel. Survives running out of descriptors: accepting pauses for 100 ms, the peers that wait are
 * told by a closed connection, and it recovers by itself. Accepted sockets have TCP_NODELAY set.
 * Loop thread only.
 */
#ifndef RONDO_SERVER_H
#define RONDO_SERVER_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The connection is a stream of its own: it stays open when the server closes. Read it, close it or
 * give it a timeout: one that nobody reads notices that the peer has gone only as long as the peer
 * has sent nothing, since what was sent has to be read first. */
typedef void (*rondo_server_connection_cb)(rondo_server *server, rondo_stream *connection,
                                           void *arg);
typedef void (*rondo_server_error_cb)(rondo_server *server, int error, void *arg);

#define rondo_server_new(loop) rondo_server_new_at((loop), RONDO_HERE)
RONDO_API rondo_server *rondo_server_new_at(rondo_loop *loop, const char *site);

RONDO_DECLARE_EVENT(rondo_server, rondo_server, connection, rondo_server_connection_cb);
/* Accepting failed: told once for each pause. RONDO_EMFILE, RONDO_ENFILE, RONDO_ENOMEM and
 * RONDO_ENOBUFS are passing: the server goes on by itself. Without a listener they are counted as
 * unheard (rondo_metrics.unheard_errors). */
RONDO_DECLARE_EVENT(rondo_server, rondo_server, error, rondo_server_error_cb);

/* Binds and listens. host: a numeric address ("127.0.0.1", "::1", "fe80::1%eth0", "0.0.0.0", "::")
 * or "localhost" (127.0.0.1); NULL: "::" if the machine has IPv6 (IPv4 too then), else "0.0.0.0".
 * An address given serves its own family only, "::" too. port 0 takes a free one. SO_REUSEADDR is
 * set. Returns 0, RONDO_EINVAL (not an address), RONDO_EADDRINUSE, RONDO_EADDRNOTAVAIL,
 * RONDO_EACCES, RONDO_EBUSY (listens already), RONDO_ECLOSED, ...; after a failure it may be called
 * again. */
RONDO_API int rondo_server_listen(rondo_server *server, const char *host, uint16_t port);

/* The kernel's queue of connections that nobody accepted yet, 511 unless set before listening. 0,
 * RONDO_EINVAL below 1, RONDO_EBUSY when it listens, RONDO_ECLOSED. */
RONDO_API int rondo_server_set_backlog(rondo_server *server, int connections);

/* The port that it listens on, 0 when it doesn't. */
RONDO_API uint16_t rondo_server_port(const rondo_server *server);
/* "127.0.0.1:8080" or "[::]:8080"; as rondo_stream_peer(). RONDO_ENOTCONN when it isn't
 * listening. */
RONDO_API int rondo_server_address(const rondo_server *server, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
