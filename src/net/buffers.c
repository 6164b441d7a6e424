/* SPDX-License-Identifier: MIT
 *
 * What the streams of a loop share. See buffers.h.
 */
#include "net/buffers.h"

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

static void net_free(rondo_loop *loop, rondo__at_free *at_free) {
    rondo__net *net = RONDO__OF(at_free, rondo__net, at_free);
    for (size_t i = 0; i < net->fd_words; i++) RONDO_ASSERT(net->fds[i] == 0);
    pool_fini(&net->blocks);
    pool_fini(&net->segments);
    pool_fini(&net->outs);
    rondo__free(net->fds);
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
    rondo__loop_set_part(loop, RONDO__PART_NET, net);
    rondo__at_loop_free(loop, &net->at_free, net_free);
    return net;
}

/* ---- which descriptors are streams ---- */

int rondo__net_claim(rondo__net *net, int fd) {
    size_t word = (size_t)fd / 64;
    RONDO_ASSERT(fd >= 0);
    if (word >= net->fd_words) {
        size_t words = net->fd_words ? net->fd_words * 2 : 4;
        if (words <= word) words = word + 1;
        uint64_t *fds = rondo__realloc(net->fds, words * sizeof *fds);
        if (!fds) return RONDO_ENOMEM;
        memset(fds + net->fd_words, 0, (words - net->fd_words) * sizeof *fds);
        net->fds = fds;
        net->fd_words = words;
    }
    net->fds[word] |= UINT64_C(1) << fd % 64;
    return 0;
}

bool rondo__net_claimed(const rondo__net *net, int fd) {
    size_t word = (size_t)fd / 64;
    return word < net->fd_words && (net->fds[word] >> fd % 64 & 1);
}

void rondo__net_unclaim(rondo__net *net, int fd) {
    /* Not asserted: the program may have closed one behind our back, and opened another. */
    if (rondo__net_claimed(net, fd)) net->fds[fd / 64] &= ~(UINT64_C(1) << fd % 64);
}
