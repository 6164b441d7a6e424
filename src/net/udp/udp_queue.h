/* SPDX-License-Identifier: MIT
 *
 * Datagrams that wait, one behind the other in the blocks that the loop's streams queue their bytes
 * in (net/buffers.h): to be sent, to be delivered after a pause, or to be told as failed. A small
 * one takes little more than its bytes, and a queue that fills and empties allocates nothing.
 * Internal.
 */
#ifndef RONDO__UDP_QUEUE_H
#define RONDO__UDP_QUEUE_H

#include <rondo/address.h>

#include "net/buffers.h"

#define RONDO__UDP_ADDRESS_BYTES 28 /* a struct sockaddr_in6; a sockaddr_in is shorter */

typedef struct rondo__udp_item {
    union {
        uint64_t alignment;
        unsigned char bytes[RONDO__UDP_ADDRESS_BYTES]; /* as the kernel takes it */
    } address;
    uint32_t address_len; /* 0: none */
    uint32_t len;
    int32_t note; /* the owner's: an error, or whether it was truncated */
    char data[];
} rondo__udp_item;

typedef struct rondo__udp_block {
    struct rondo__udp_block *next; /* first: see rondo__spares */
    size_t room, filled;           /* of `items` */
    union {
        uint64_t alignment;
        char items[1];
    };
} rondo__udp_block;

/* All zero: empty. */
typedef struct rondo__udp_queue {
    rondo__udp_block *first, *last;
    size_t at;    /* where the oldest item begins in the first block */
    size_t count; /* items */
    size_t bytes; /* of their data */
} rondo__udp_queue;

/* Appends a copy. address may be NULL. 0, or RONDO_ENOMEM and nothing has changed. */
int rondo__udp_queue_add(rondo__udp_queue *queue, rondo__net *net, const rondo_address *address,
                         rondo_slice data, int note);
/* Drops the oldest one; there must be one. */
void rondo__udp_queue_pop(rondo__udp_queue *queue, rondo__net *net);
void rondo__udp_queue_clear(rondo__udp_queue *queue, rondo__net *net);

/* A walk from the oldest to the newest; ends when the queue is changed. */
typedef struct rondo__udp_cursor {
    const rondo__udp_block *block;
    size_t at;
} rondo__udp_cursor;

static inline rondo__udp_cursor rondo__udp_queue_begin(const rondo__udp_queue *queue) {
    rondo__udp_cursor cursor = {queue->first, queue->at};
    return cursor;
}
/* NULL at the end. */
const rondo__udp_item *rondo__udp_queue_next(rondo__udp_cursor *cursor);

static inline const rondo__udp_item *rondo__udp_queue_oldest(const rondo__udp_queue *queue) {
    rondo__udp_cursor cursor = rondo__udp_queue_begin(queue);
    return rondo__udp_queue_next(&cursor);
}

/* The item's address as a value; all zero when it has none. */
void rondo__udp_item_address(const rondo__udp_item *item, rondo_address *ret_address);

#endif
