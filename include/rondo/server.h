/* SPDX-License-Identifier: MIT
 *
 * A server: a listening socket, TCP or Unix, that hands out streams. Accepts in bounded batches
 * (RONDO_BUDGET_accepts) while it has a `connection` listener and is not paused; without one,
 * connections wait in the kernel. Survives running out of descriptors: accepting pauses for 100 ms,
 * the peers that wait are told by a closed connection, and it recovers by itself. Accepted TCP
 * sockets have TCP_NODELAY set. Loop thread only.
 */
#ifndef RONDO_SERVER_H
#define RONDO_SERVER_H

#include <rondo/address.h>

#ifdef __cplusplus
extern "C" {
#endif

#define rondo_server_new(loop) rondo_server_new_at((loop), RONDO_HERE)
RONDO_API rondo_server *rondo_server_new_at(rondo_loop *loop, const char *site);

/* ---- events ---- */

/* The connection is a stream of its own: it stays open when the server closes. Read it, close it or
 * give it a timeout: of one that nobody reads, a reset is told at once, but an orderly end behind
 * bytes that the peer has sent only when they were read. With TLS it comes when the handshake is
 * done. */
typedef void (*rondo_server_connection_cb)(rondo_server *server, rondo_stream *connection,
                                           void *arg);
RONDO_DECLARE_EVENT(rondo_server, rondo_server, connection, rondo_server_connection_cb);

/* Accepting failed: told once for each pause. RONDO_EMFILE, RONDO_ENFILE, RONDO_ENOMEM and
 * RONDO_ENOBUFS are passing: the server goes on by itself. Without a listener they are counted as
 * unheard (rondo_metrics.unheard_errors). */
typedef void (*rondo_server_error_cb)(rondo_server *server, int error, void *arg);
RONDO_DECLARE_EVENT(rondo_server, rondo_server, error, rondo_server_error_cb);

typedef enum rondo_drop_reason {
    RONDO_DROP_FULL,    /* as many as rondo_server_set_max_connections() allows are open */
    RONDO_DROP_STARVED, /* descriptors or memory ran out; `error` says which */
    RONDO_DROP_HANDSHAKE, /* TLS failed; `error` says how, rondo_tls_error_text(stream) why. Or a header
                           * of the PROXY protocol: RONDO_EPROTO, RONDO_ETIMEDOUT */
    RONDO_DROP_UNHEARD /* its handshake is done, and nobody listens for `connection` any more */
} rondo_drop_reason;
typedef struct rondo_server_drop {
    rondo_drop_reason reason;
    int error;            /* RONDO_E*; 0 for RONDO_DROP_FULL and RONDO_DROP_UNHEARD */
    rondo_address peer;   /* of no family when it has gone already */
    rondo_stream *stream; /* of a handshake: closes when the listeners have returned; else NULL */
} rondo_server_drop;
/* A connection was closed instead of handed out. drop is valid until the callback returns. Any peer
 * can cause it, at any rate: a log should be bounded. */
typedef void (*rondo_server_drop_cb)(rondo_server *server, const rondo_server_drop *drop,
                                     void *arg);
RONDO_DECLARE_EVENT(rondo_server, rondo_server, drop, rondo_server_drop_cb);

/* ---- before it listens: 0, RONDO_EBUSY when it does, RONDO_ECLOSED ---- */

/* The kernel's queue of connections that nobody accepted yet, 511 unless set; the kernel cuts it to
 * net.core.somaxconn. RONDO_EINVAL below 1. */
RONDO_API int rondo_server_set_backlog(rondo_server *server, int connections);
/* SO_REUSEPORT (socket(7)): servers of this user that all set it may listen on one port, in several
 * processes or loops, and the kernel spreads the connections among them. Off unless set. */
RONDO_API int rondo_server_set_reuse_port(rondo_server *server, bool on);
/* Whether an IPv6 server serves IPv4 as well. Unless set: on for a NULL host, off for "::". */
RONDO_API int rondo_server_set_dual_stack(rondo_server *server, bool on);

/* ---- listening. After a failure each may be called again. ---- */

/* Binds and listens. host: a numeric address ("127.0.0.1", "::1", "fe80::1%eth0", "0.0.0.0", "::")
 * or "localhost" (127.0.0.1); NULL: "::" if the machine has IPv6 (IPv4 too then), else "0.0.0.0".
 * An address given serves its own family only, "::" too. port 0 takes a free one. SO_REUSEADDR is
 * set. Returns 0, RONDO_EINVAL (not an address), RONDO_EADDRINUSE, RONDO_EADDRNOTAVAIL,
 * RONDO_EACCES, RONDO_EBUSY (listens already), RONDO_ECLOSED, ... */
RONDO_API int rondo_server_listen(rondo_server *server, const char *host, uint16_t port);

/* A Unix socket: a path, or "@name" in the abstract namespace (unix(7)), which any user may connect
 * to. mode: who may connect, as permissions of the file, such as 0600 or 0666, exactly these and at
 * no moment more; 0: 0777 less the umask. A socket file that a server left behind when it died is
 * replaced; any other file never. Closing removes the file, if the path still leads to it. Makes the
 * loop wait for the file system, and up to 50 ms for another server that starts in the directory.
 * Returns as above, or RONDO_EADDRINUSE (a server lives there, or the file is no socket),
 * RONDO_EINVAL (no path, or not a mode), RONDO_ENAMETOOLONG, RONDO_ENOENT (no such directory),
 * RONDO_ENOTDIR, RONDO_EROFS. */
RONDO_API int rondo_server_listen_unix(rondo_server *server, const char *path, unsigned mode);

/* Takes over a listening stream socket, TCP or Unix (made non-blocking, for all that share it, and
 * close-on-exec); the file of a Unix socket is left to who made it. Returns 0, RONDO_EBADF,
 * RONDO_ENOTSOCK, RONDO_ENOTSUP (not a stream socket, or of another family), RONDO_EINVAL (it does
 * not listen), RONDO_EEXIST (the loop has a handle on it already), RONDO_EBUSY, RONDO_ECLOSED,
 * RONDO_ENOMEM, RONDO_EMFILE. On failure the fd is still the caller's, and as it was. */
RONDO_API int rondo_server_open(rondo_server *server, int fd);

/* Takes over a socket that a service manager opened: socket activation, by $LISTEN_PID, $LISTEN_FDS
 * and $LISTEN_FDNAMES (sd_listen_fds(3), systemd.socket(5)). The first one of that name, or of any
 * name if NULL, that listens and that no server of the process has taken yet; call it with one
 * server after another, until RONDO_ENOENT: there are no more (or $LISTEN_PID is another process).
 * The environment is only read, so don't change it meanwhile in another thread. All of them become
 * close-on-exec. Returns otherwise as rondo_server_open(). */
RONDO_API int rondo_server_listen_inherited(rondo_server *server, const char *name);

/* ---- at any time: 0 or RONDO_ECLOSED ---- */

/* How many of its connections may be open at once, in their handshake too; further ones are closed
 * as soon as they are accepted, and told as `drop`. 0: any number, as at first. Those that are open
 * stay. */
RONDO_API int rondo_server_set_max_connections(rondo_server *server, uint32_t connections);

/* Whether connections begin with a header of the PROXY protocol (version 1 or 2), before TLS: those that
 * are accepted from now on. rondo_stream_peer() tells the address that the header does. One that is
 * wrong, longer than 2 KiB or not there within 5 s closes the connection, told as `drop`. */
RONDO_API void rondo_server_set_proxy_protocol(rondo_server *server, bool required);

/* Stops and restarts accepting: meanwhile connections wait in the kernel, as many as fit the backlog.
 * RONDO_ENOMEM: still paused. */
RONDO_API int rondo_server_pause(rondo_server *server);
RONDO_API int rondo_server_resume(rondo_server *server);
RONDO_API bool rondo_server_is_paused(const rondo_server *server);

/* ---- questions ---- */

/* The port that it listens on, 0 when it doesn't, or on a Unix socket. */
RONDO_API uint16_t rondo_server_port(const rondo_server *server);
/* "127.0.0.1:8080", "[::]:8080" or "unix:/run/x.sock"; as rondo_stream_peer(). RONDO_ENOTCONN when
 * it isn't listening. */
RONDO_API int rondo_server_address(const rondo_server *server, char *text, size_t size);

typedef struct rondo_server_figures {
    uint64_t accepted; /* handed out */
    uint64_t dropped;  /* closed instead */
    uint64_t failed;   /* times that accepting failed: one for each `error` */
    uint32_t open; /* accepted and not closed yet, in their handshake too; 0 once it is closing */
} rondo_server_figures;
RONDO_API void rondo_server_get_figures(const rondo_server *server,
                                        rondo_server_figures *ret_figures);

#ifdef __cplusplus
}
#endif
#endif
