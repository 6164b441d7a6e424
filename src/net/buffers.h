/* SPDX-License-Identifier: MIT
 *
 * What the streams of a loop share, so that an idle connection owns no buffer: one receive buffer,
 * and bounded free lists of write blocks, segments, queues and kernel pipes, so that a steady state
 * allocates nothing. Also to whom each descriptor belongs. Internal.
 */
#ifndef RONDO__BUFFERS_H
#define RONDO__BUFFERS_H

#include <string.h>
#include <sys/types.h>

#include "loop/attach.h"
#include "loop/handle.h"
#include "loop/io.h"
#include "loop/memory.h"

#define RONDO__RECEIVE_BYTES ((size_t)64 * 1024)
#define RONDO__BLOCK_BYTES ((size_t)16 * 1024) /* with its header */
/* What one splice moves at most, and the size that is asked for a kernel pipe. */
#define RONDO__SPLICE_BYTES ((size_t)256 * 1024)

/* How many of each are kept when they are free. */
#define RONDO__SPARE_BLOCKS 64
#define RONDO__SPARE_SEGMENTS 256
#define RONDO__SPARE_OUTS 256
#define RONDO__SPARE_PIPES 8 /* kernel pipes, two descriptors each */

typedef struct rondo__spares {
    void *first; /* a free item's first word points to the next one */
    unsigned count, limit;
    size_t size;
} rondo__spares;

/* Not zeroed; NULL when out of memory. */
static inline void *rondo__spares_get(rondo__spares *pool) {
    void *item = pool->first;
    if (!item) return rondo__alloc(pool->size);
    memcpy(&pool->first, item, sizeof pool->first);
    pool->count--;
    return item;
}

/* Last in, first out: the one used last is in the processor's cache. */
static inline void rondo__spares_put(rondo__spares *pool, void *item) {
    if (pool->count == pool->limit) {
        rondo__free(item);
        return;
    }
    memcpy(item, &pool->first, sizeof pool->first);
    pool->first = item;
    pool->count++;
}

/* The connections that a server has accepted and that are open, as a number. It may outlive the
 * server: its connections do. */
typedef struct rondo__crowd {
    uint32_t open;
    bool in_use; /* its server lives */
} rondo__crowd;

/* In two bytes for each descriptor, so that an idle connection costs no more for being counted. */
enum { RONDO__NOBODY, RONDO__SOMEBODY, RONDO__CROWD_LEAST };

typedef struct rondo__net {
    rondo__at_free at_free;
    rondo__spares blocks, segments, outs;
    uint16_t *fds; /* [fd]: RONDO__NOBODY, RONDO__SOMEBODY, or whose crowd it is of */
    size_t fd_count;
    rondo__crowd *crowds; /* [id - RONDO__CROWD_LEAST] */
    size_t crowd_count;
    int spare_pipes[RONDO__SPARE_PIPES][2]; /* empty ones */
    unsigned spare_pipe_count;
    rondo__io resets; /* of the epoll set resets_fd, see resets.c */
    int resets_fd;    /* -1: not yet */
    pid_t resets_pid; /* whose it is: a child that was forked shares it */
    char receive[RONDO__RECEIVE_BYTES];
} rondo__net;

/* The loop's, made at first use: NULL when out of memory. */
rondo__net *rondo__net_make(rondo_loop *loop);
/* The same for whom it has been made already. */
static inline rondo__net *rondo__net_of(const rondo_loop *loop) {
    return (rondo__net *)rondo__loop_part(loop, RONDO__PART_NET);
}

/* resets.c: the loop is freed. */
void rondo__resets_fini(rondo_loop *loop, rondo__net *net);

/* A kernel pipe to splice through: 0 or an error. Given back empty, it is kept for the next one;
 * with bytes in it, it is closed. */
int rondo__net_get_pipe(rondo__net *net, int ret_fds[2]);
void rondo__net_put_pipe(rondo__net *net, const int fds[2], bool empty);

/* Notes that fd belongs to a handle of this loop: 0 or RONDO_ENOMEM. */
int rondo__net_claim(rondo__net *net, int fd);
void rondo__net_unclaim(rondo__net *net, int fd);
bool rondo__net_claimed(const rondo__net *net, int fd);

/* A new crowd, with nobody in it: 0, RONDO_ENOMEM or RONDO_ENOBUFS (no more than 65,534). */
int rondo__crowd_new(rondo__net *net, uint16_t *ret_id);
/* Its server is gone. */
void rondo__crowd_leave(rondo__net *net, uint16_t id);
/* A claimed fd is of the crowd until it is unclaimed. */
void rondo__crowd_join(rondo__net *net, uint16_t id, int fd);
uint32_t rondo__crowd_open(const rondo__net *net, uint16_t id);

#endif
