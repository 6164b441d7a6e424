/* SPDX-License-Identifier: MIT
 *
 * Datagrams that wait. See udp_queue.h.
 */
#include "net/udp/udp_queue.h"

#define BLOCK_ROOM (RONDO__BLOCK_BYTES - offsetof(rondo__udp_block, items))

/* What an item with so many bytes takes of a block, so that the next one is aligned. */
static size_t item_size(size_t len) {
    size_t align = _Alignof(rondo__udp_item);
    return (offsetof(rondo__udp_item, data) + len + align - 1) / align * align;
}

/* One that doesn't fit into an ordinary block gets a block to itself. */
static rondo__udp_block *new_block(rondo__net *net, size_t size) {
    bool large = size > BLOCK_ROOM;
    rondo__udp_block *block = large ? rondo__alloc(offsetof(rondo__udp_block, items) + size)
                                    : rondo__spares_get(&net->blocks);
    if (!block) return NULL;
    block->next = NULL;
    block->room = large ? size : BLOCK_ROOM;
    block->filled = 0;
    return block;
}

static void free_block(rondo__net *net, rondo__udp_block *block) {
    if (block->room == BLOCK_ROOM)
        rondo__spares_put(&net->blocks, block);
    else
        rondo__free(block);
}

int rondo__udp_queue_add(rondo__udp_queue *queue, rondo__net *net, const rondo_address *address,
                         rondo_slice data, int note) {
    size_t size = item_size(data.len), address_len = address ? address->len : 0;
    rondo__udp_block *block = queue->last;
    RONDO_ASSERT(address_len <= RONDO__UDP_ADDRESS_BYTES && data.len <= UINT32_MAX);
    if (!block || block->room - block->filled < size) {
        block = new_block(net, size);
        if (!block) return RONDO_ENOMEM;
        if (queue->last)
            queue->last->next = block;
        else
            queue->first = block;
        queue->last = block;
    }
    rondo__udp_item *item = (rondo__udp_item *)(void *)(block->items + block->filled);
    if (address) memcpy(item->address.bytes, address->socket.bytes, address_len);
    item->address_len = (uint32_t)address_len;
    item->len = (uint32_t)data.len;
    item->note = note;
    if (data.len > 0) memcpy(item->data, data.data, data.len);
    block->filled += size;
    queue->count++;
    queue->bytes += data.len;
    return 0;
}

const rondo__udp_item *rondo__udp_queue_next(rondo__udp_cursor *cursor) {
    if (cursor->block && cursor->at == cursor->block->filled) {
        cursor->block = cursor->block->next;
        cursor->at = 0;
    }
    if (!cursor->block) return NULL;
    const rondo__udp_item *item =
        (const rondo__udp_item *)(const void *)(cursor->block->items + cursor->at);
    cursor->at += item_size(item->len);
    return item;
}

void rondo__udp_queue_pop(rondo__udp_queue *queue, rondo__net *net) {
    rondo__udp_block *block = queue->first;
    const rondo__udp_item *item = rondo__udp_queue_oldest(queue);
    RONDO_ASSERT(queue->count > 0 && item);
    queue->count--;
    queue->bytes -= item->len;
    queue->at += item_size(item->len);
    if (queue->at < block->filled) return;
    queue->first = block->next;
    if (!queue->first) queue->last = NULL;
    queue->at = 0;
    free_block(net, block);
}

void rondo__udp_queue_clear(rondo__udp_queue *queue, rondo__net *net) {
    while (queue->count > 0) rondo__udp_queue_pop(queue, net);
    RONDO_ASSERT(!queue->first && queue->bytes == 0);
}

void rondo__udp_item_address(const rondo__udp_item *item, rondo_address *ret_address) {
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address->socket.bytes, item->address.bytes, item->address_len);
    ret_address->len = item->address_len;
}
