/* SPDX-License-Identifier: MIT
 *
 * What only TCP has, for the streams that are TCP: set at once, or noted while the stream connects.
 */
#include "net/tcp.h"

#include <rondo/connect.h>

#include "net/duplex.h"
#include "net/socket_connect.h"

/* The most that tcp(7) takes. */
#define SECONDS_MOST 32767
#define PROBES_MOST 127

int rondo__tcp_apply(int fd, const rondo__tcp_wishes *wishes) {
    int status = rondo__socket_set_nodelay(fd, !wishes->delay);
    if (status == 0 && wishes->idle_s > 0)
        status = rondo__socket_set_keepalive(fd, wishes->idle_s, wishes->interval_s, wishes->count);
    if (status == 0 && wishes->user_timeout_ms > 0)
        status = rondo__socket_set_user_timeout(fd, wishes->user_timeout_ms);
    return status;
}

/* Where to note a wish (NULL when there is a socket to set it on), or an error. */
static int find_wishes(rondo_stream *stream, rondo__tcp_wishes **ret_wishes) {
    *ret_wishes = NULL;
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    if (stream->fd >= 0) return 0;
    rondo__opening *opening = stream->extra->opening;
    if (!opening || !opening->tcp) return RONDO_ENOTSUP;
    *ret_wishes = opening->tcp;
    return 0;
}

int rondo_tcp_set_nodelay(rondo_stream *stream, bool on) {
    RONDO__CHECK_STREAM(stream);
    rondo__tcp_wishes *wishes;
    int status = find_wishes(stream, &wishes);
    if (status == 0 && wishes)
        wishes->delay = !on;
    else if (status == 0)
        status = rondo__socket_set_nodelay(stream->fd, on);
    return status;
}

int rondo_tcp_set_keepalive(rondo_stream *stream, unsigned idle_s, unsigned interval_s,
                            unsigned count) {
    RONDO__CHECK_STREAM(stream);
    rondo__tcp_wishes *wishes;
    int status = find_wishes(stream, &wishes);
    if (status < 0) return status;
    if (idle_s > 0 && (interval_s == 0 || count == 0)) return RONDO_EINVAL;
    if (idle_s > SECONDS_MOST || interval_s > SECONDS_MOST || count > PROBES_MOST)
        return RONDO_EINVAL;
    if (!wishes) return rondo__socket_set_keepalive(stream->fd, idle_s, interval_s, count);
    wishes->idle_s = idle_s;
    wishes->interval_s = interval_s;
    wishes->count = count;
    return 0;
}

int rondo_tcp_set_user_timeout(rondo_stream *stream, uint32_t timeout_ms) {
    RONDO__CHECK_STREAM(stream);
    rondo__tcp_wishes *wishes;
    int status = find_wishes(stream, &wishes);
    if (status == 0 && wishes)
        wishes->user_timeout_ms = timeout_ms;
    else if (status == 0)
        status = rondo__socket_set_user_timeout(stream->fd, timeout_ms);
    return status;
}

int rondo_tcp_reset(rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    rondo__tcp_wishes *wishes;
    int status = find_wishes(stream, &wishes);
    /* Without a socket there is nobody who would get a FIN. */
    if (status == 0 && !wishes) status = rondo__socket_set_abort(stream->fd);
    if (status == 0) rondo_close(stream);
    return status;
}
