/* SPDX-License-Identifier: MIT
 *
 * Connecting, by name or by address, over TCP or a Unix socket, plain or with TLS. The stream is
 * there at once: listeners can be added and bytes written, which wait until it is open. `connect`
 * or `error` tells how it ended, later, exactly once.
 *
 * A name is looked up in both families, and its addresses race (RFC 8305, Happy Eyeballs 2): they
 * are tried in the order of RFC 6724 with the families in turn, the next one when one has failed or
 * 250 ms have passed, while the earlier ones go on; the first that connects wins, the others are
 * closed. An attempt is never given up for being slow. At most 16 addresses are tried. The system's
 * resolver answers for both families at once (getaddrinfo(3)), so there is no resolution delay.
 * Loop thread only.
 */
#ifndef RONDO_CONNECT_H
#define RONDO_CONNECT_H

#include <rondo/address.h>
#include <rondo/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is the default of everything. The strings are copied. */
typedef struct rondo_connect_options {
    /* Whereto: a host and a port, or a Unix socket, or an address. */
    const char *host; /* a name or a number, IPv6 without brackets */
    uint16_t port;
    const char *path;             /* of a Unix socket; "@name" is an abstract one */
    const rondo_address *address; /* asks nobody */
    /* How. */
    rondo_family family;    /* only addresses of this one; NONE: both */
    const char *local_host; /* a number: leave from this address */
    uint16_t local_port;    /* and port; 0: a free one */
    uint32_t timeout_ms;    /* for all of it, the lookup and the TLS handshake too; 60,000 when 0 */
    /* Of that at most, for each stage; 0: no bound of its own. */
    uint32_t lookup_timeout_ms;   /* for the name */
    uint32_t attempts_timeout_ms; /* from the first attempt until one has connected */
    uint32_t tls_timeout_ms;      /* for the TLS handshake, whose context has a bound too (tls.h) */
    uint32_t attempt_delay_ms;    /* between two attempts: 250 when 0, at least 100 (RFC 8305, 8) */
    rondo_tls_context *tls;       /* see tls.h; NULL: plain */
    const char *tls_name;         /* whom the certificate must name; NULL: host */
} rondo_connect_options;

/* A stream that connects; NULL only when out of memory. Nothing is tried before the next pending
 * phase. What goes wrong is told by `error`: RONDO_EINVAL (no target or more than one, no port,
 * options that contradict, a link-local address without its scope), RONDO_ENOTFOUND and what else a
 * lookup gives (dns.h), RONDO_ECONNREFUSED, RONDO_ETIMEDOUT (timeout_ms is over, or the kernel gave
 * up), RONDO_ENETUNREACH, RONDO_EADDRNOTAVAIL, RONDO_ENOENT (no such Unix socket), RONDO_EMFILE, ...
 * When several attempts failed it is the error of the one that came furthest.
 *
 * 0.0.0.0 and :: are this machine where the kernel says so (Linux). A TCP socket that the kernel has
 * connected with itself counts as refused. A Unix socket whose backlog is full is tried again, after
 * pauses that grow to 128 ms, until timeout_ms is over.
 *
 * The name of the stream (rondo_name()) is the target, until it gets another. */
#define rondo_connect(loop, host, port) rondo_connect_at((loop), (host), (port), RONDO_HERE)
RONDO_API rondo_stream *rondo_connect_at(rondo_loop *loop, const char *host, uint16_t port,
                                         const char *site);
#define rondo_connect_with(loop, options) rondo_connect_with_at((loop), (options), RONDO_HERE)
RONDO_API rondo_stream *rondo_connect_with_at(rondo_loop *loop,
                                              const rondo_connect_options *options,
                                              const char *site);

/* Whether the stream is not open yet. */
RONDO_API bool rondo_is_connecting(const rondo_stream *stream);

/* Which stage a stream that connects is at, or was at when it failed: in `error` it says what took too
 * long. OPEN once it is open, and for streams that never connected. */
typedef enum rondo_connect_stage {
    RONDO_CONNECT_OPEN = 0,
    RONDO_CONNECT_LOOKUP,
    RONDO_CONNECT_ATTEMPTS,
    RONDO_CONNECT_TLS
} rondo_connect_stage;
RONDO_API rondo_connect_stage rondo_connect_stage_of(const rondo_stream *stream);

/* ---- what only TCP has: RONDO_ENOTSUP for other streams; RONDO_ECLOSED ----
 * On a stream that is still connecting they are kept and applied when it is open. */

/* Off: small writes wait for the answer to earlier ones (RFC 896). On unless set: Rondo gathers
 * writes itself. */
RONDO_API int rondo_tcp_set_nodelay(rondo_stream *stream, bool on);
/* Probes a silent peer (tcp(7)): after idle_s seconds, every interval_s, and RONDO_ETIMEDOUT after
 * `count` without an answer. idle_s 0: off, as it is at first. RONDO_EINVAL: interval_s or count is 0,
 * or more than 32,767 s or 127 probes. */
RONDO_API int rondo_tcp_set_keepalive(rondo_stream *stream, unsigned idle_s, unsigned interval_s,
                                      unsigned count);
/* How long sent bytes may stay unacknowledged before RONDO_ETIMEDOUT (RFC 5482, TCP_USER_TIMEOUT); 0:
 * the kernel's choice, about 15 minutes. */
RONDO_API int rondo_tcp_set_user_timeout(rondo_stream *stream, uint32_t timeout_ms);
/* Closes with a reset instead of a FIN: what is queued here and in the kernel is dropped, and the peer
 * gets ECONNRESET. Leaves no TIME-WAIT behind. */
RONDO_API int rondo_tcp_reset(rondo_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
