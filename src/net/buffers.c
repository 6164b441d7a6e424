/* SPDX-License-Identifier: MIT
 *
 * What the streams of a loop share. See buffers.h.
 */
#include "net/buffers.h"

#include "net/socket.h"
#include "net/write_queue.h"

static void pool_init(rondo__spares *pool, size_t size, unsigned limit) {
    RONDO_ASSERT(size >= sizeof pool->first);
    *pool = (rondo__spares){.limit = limit, .size = size};
}

static void pool_fini(rondo__spares *pool) {
    pool->limit = 0;
    while (pool->count > 0) rondo__free(rondo__spares_get(pool));
    RONDO_ASSERT(!pool->first);
}

int rondo__net_get_pipe(rondo__net *net, int ret_fds[2]) {
    if (net->spare_pipe_count == 0) return rondo__socket_new_pipe(RONDO__SPLICE_BYTES, ret_fds);
    memcpy(ret_fds, net->spare_pipes[--net->spare_pipe_count], sizeof *net->spare_pipes);
    return 0;
}

static void close_pipe(const int fds[2]) {
    rondo__socket_close(fds[0]);
    rondo__socket_close(fds[1]);
}

void rondo__net_put_pipe(rondo__net *net, const int fds[2], bool empty) {
    if (empty && net->spare_pipe_count < RONDO__SPARE_PIPES)
        memcpy(net->spare_pipes[net->spare_pipe_count++], fds, sizeof *net->spare_pipes);
    else
        close_pipe(fds);
}

static void net_free(rondo_loop *loop, rondo__at_free *at_free) {
    rondo__net *net = RONDO__OF(at_free, rondo__net, at_free);
    for (size_t i = 0; i < net->fd_count; i++) RONDO_ASSERT(net->fds[i] == RONDO__NOBODY);
    pool_fini(&net->blocks);
    pool_fini(&net->segments);
    pool_fini(&net->outs);
    rondo__resets_fini(loop, net);
    while (net->spare_pipe_count > 0) close_pipe(net->spare_pipes[--net->spare_pipe_count]);
    rondo__free(net->fds);
    rondo__free(net->crowds);
    rondo__loop_set_part(loop, RONDO__PART_NET, NULL);
    rondo__free(net);
}

rondo__net *rondo__net_make(rondo_loop *loop) {
    rondo__net *net = rondo__net_of(loop);
    if (net) return net;
    net = rondo__alloc(sizeof *net);
    if (!net) return NULL;
    memset(net, 0, offsetof(rondo__net, receive)); /* the buffer's pages stay untouched */
    pool_init(&net->blocks, RONDO__BLOCK_BYTES, RONDO__SPARE_BLOCKS);
    pool_init(&net->segments, sizeof(rondo__segment), RONDO__SPARE_SEGMENTS);
    pool_init(&net->outs, sizeof(rondo__out), RONDO__SPARE_OUTS);
    net->resets_fd = -1;
    rondo__loop_set_part(loop, RONDO__PART_NET, net);
    rondo__at_loop_free(loop, &net->at_free, net_free);
    return net;
}

/* ---- to whom a descriptor belongs ---- */

int rondo__net_claim(rondo__net *net, int fd) {
    size_t at = (size_t)fd;
    RONDO_ASSERT(fd >= 0);
    if (at >= net->fd_count) {
        size_t count = net->fd_count ? net->fd_count * 2 : 256;
        if (count <= at) count = at + 1;
        uint16_t *fds = rondo__realloc(net->fds, count * sizeof *fds);
        if (!fds) return RONDO_ENOMEM;
        memset(fds + net->fd_count, 0, (count - net->fd_count) * sizeof *fds);
        net->fds = fds;
        net->fd_count = count;
    }
    net->fds[at] = RONDO__SOMEBODY;
    return 0;
}

bool rondo__net_claimed(const rondo__net *net, int fd) {
    return (size_t)fd < net->fd_count && net->fds[fd] != RONDO__NOBODY;
}

void rondo__net_unclaim(rondo__net *net, int fd) {
    /* Not asserted: the program may have closed one behind our back, and opened another. */
    if (!rondo__net_claimed(net, fd)) return;
    if (net->fds[fd] >= RONDO__CROWD_LEAST) net->crowds[net->fds[fd] - RONDO__CROWD_LEAST].open--;
    net->fds[fd] = RONDO__NOBODY;
}

/* ---- crowds ---- */

int rondo__crowd_new(rondo__net *net, uint16_t *ret_id) {
    size_t at = 0;
    while (at < net->crowd_count && (net->crowds[at].in_use || net->crowds[at].open > 0)) at++;
    if (at > UINT16_MAX - RONDO__CROWD_LEAST) return RONDO_ENOBUFS;
    if (at == net->crowd_count) {
        size_t count = net->crowd_count ? net->crowd_count * 2 : 4;
        rondo__crowd *crowds = rondo__realloc(net->crowds, count * sizeof *crowds);
        if (!crowds) return RONDO_ENOMEM;
        memset(crowds + net->crowd_count, 0, (count - net->crowd_count) * sizeof *crowds);
        net->crowds = crowds;
        net->crowd_count = count;
    }
    net->crowds[at].in_use = true;
    *ret_id = (uint16_t)(at + RONDO__CROWD_LEAST);
    return 0;
}

void rondo__crowd_leave(rondo__net *net, uint16_t id) {
    RONDO_ASSERT(net->crowds[id - RONDO__CROWD_LEAST].in_use);
    net->crowds[id - RONDO__CROWD_LEAST].in_use = false;
}

void rondo__crowd_join(rondo__net *net, uint16_t id, int fd) {
    RONDO_ASSERT(net->fds[fd] == RONDO__SOMEBODY);
    net->fds[fd] = id;
    net->crowds[id - RONDO__CROWD_LEAST].open++;
}

uint32_t rondo__crowd_open(const rondo__net *net, uint16_t id) {
    return net->crowds[id - RONDO__CROWD_LEAST].open;
}
