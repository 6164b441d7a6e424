/* SPDX-License-Identifier: MIT
 *
 * Two streams that are the ends of one thing: an anonymous pipe, a pair of sockets.
 */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/duplex.h"
#include "net/socket_calls.h"

/* Both become streams, or neither. */
static int open_both(rondo_loop *loop, const int fds[2], rondo_stream **ret_one,
                     rondo_stream **ret_other, const char *site) {
    rondo_stream *one = NULL, *other = NULL;
    int status = rondo_stream_open_at(loop, fds[0], &one, site);
    if (status == 0) status = rondo_stream_open_at(loop, fds[1], &other, site);
    if (status == 0) {
        *ret_one = one;
        *ret_other = other;
        return 0;
    }
    if (one) rondo__stream_discard(one);
    rondo__socket_close(fds[0]);
    rondo__socket_close(fds[1]);
    return status;
}

int rondo_stream_new_pipe_at(rondo_loop *loop, rondo_stream **ret_reader, rondo_stream **ret_writer,
                             const char *site) {
    int fds[2];
    rondo__loop_check(loop, "rondo_stream_new_pipe");
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) return rondo__socket_failure();
    return open_both(loop, fds, ret_reader, ret_writer, site);
}

int rondo_stream_new_pair_at(rondo_loop *loop, rondo_stream **ret_one, rondo_stream **ret_other,
                             const char *site) {
    int fds[2], type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    rondo__loop_check(loop, "rondo_stream_new_pair");
    if (socketpair(AF_UNIX, type, 0, fds) < 0) return rondo__socket_failure();
    return open_both(loop, fds, ret_one, ret_other, site);
}
