/* SPDX-License-Identifier: MIT
 *
 * The ring behind next ticks and immediates. Entry number n lives at n modulo the capacity; the
 * ring is full when next - first has reached the capacity, and then doubles.
 */
#include "loop/queue.h"

#include <rondo/error.h>

#include "loop/assert.h"
#include "loop/memory.h"

#define QUEUE_FIRST_CAPACITY 16

void rondo__queue_init(rondo__queue *queue) { *queue = (rondo__queue){.first = 1, .next = 1}; }

void rondo__queue_fini(rondo__queue *queue) {
    rondo__free(queue->entries);
    rondo__queue_init(queue);
}

static rondo__entry *entry_at(const rondo__queue *queue, uint64_t number) {
    return &queue->entries[number & (queue->capacity - 1)];
}

static bool grow(rondo__queue *queue) {
    rondo__queue larger = *queue;
    larger.capacity = queue->capacity ? queue->capacity * 2 : QUEUE_FIRST_CAPACITY;
    larger.entries = rondo__alloc(larger.capacity * sizeof *larger.entries);
    if (!larger.entries) return false;
    for (uint64_t number = queue->first; number < queue->next; number++)
        *entry_at(&larger, number) = *entry_at(queue, number);
    rondo__free(queue->entries);
    *queue = larger;
    return true;
}

uint64_t rondo__queue_push(rondo__queue *queue, rondo__fn fn, void *arg) {
    RONDO_ASSERT(fn);
    if (queue->next - queue->first == queue->capacity && !grow(queue)) return 0;
    *entry_at(queue, queue->next) = (rondo__entry){fn, arg};
    queue->live++;
    return queue->next++;
}

bool rondo__queue_pop(rondo__queue *queue, uint64_t limit, rondo__entry *ret_entry) {
    while (queue->first < queue->next && queue->first < limit) {
        rondo__entry entry = *entry_at(queue, queue->first++);
        if (!entry.fn) continue;
        RONDO_ASSERT(queue->live > 0);
        queue->live--;
        *ret_entry = entry;
        return true;
    }
    return false;
}

int rondo__queue_cancel(rondo__queue *queue, uint64_t number) {
    if (number < queue->first || number >= queue->next) return RONDO_ENOENT;
    rondo__entry *entry = entry_at(queue, number);
    if (!entry->fn) return RONDO_ENOENT;
    entry->fn = NULL;
    queue->live--;
    return 0;
}
