/* SPDX-License-Identifier: MIT
 *
 * The hash map of watches: chains, doubled when they average more than one item.
 */
#include "fs/watch/map.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "loop/assert.h"
#include "loop/memory.h"

/* Not known to who chooses names: where the library lies in memory, and when it was first asked. */
static uint64_t secret(void) {
    static uint64_t value; /* of the loops' threads: whoever writes it, all use what they read */
    uint64_t known = __atomic_load_n(&value, __ATOMIC_RELAXED);
    if (known) return known;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t fresh =
        ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)(uintptr_t)&now) * UINT64_C(0x9e3779b97f4a7c15) |
        1;
    return __atomic_compare_exchange_n(&value, &known, fresh, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED)
               ? fresh
               : known;
}

/* Both halves of the product: no input bit is lost. */
static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t rondo__watch_hash(const void *bytes, size_t len, uintptr_t seed) {
    uint64_t key = secret(), hash = fold(seed ^ key, UINT64_C(0xa0761d6478bd642f));
    const char *at = bytes;
    for (size_t left = len; left > 0;) {
        uint64_t word = 0;
        size_t some = left < sizeof word ? left : sizeof word;
        memcpy(&word, at, some);
        hash = fold(hash ^ word, key ^ UINT64_C(0xe7037ed1a0b428db));
        at += some, left -= some;
    }
    hash = fold(hash ^ len, key);
    return (uint32_t)(hash ^ hash >> 32);
}

static rondo__watch_item **bucket_of(rondo__watch_map *map, uint32_t hash) {
    return map->room > 0 ? &map->buckets[hash & (map->room - 1)] : &map->one;
}

/* At the end: equal ones are found in the order of adding. */
static void put(rondo__watch_map *map, rondo__watch_item *item) {
    rondo__watch_item **link = bucket_of(map, item->hash);
    while (*link) link = &(*link)->next;
    item->next = NULL;
    *link = item;
}

static void grow(rondo__watch_map *map) {
    size_t room = map->room > 0 ? map->room * 2 : 8;
    rondo__watch_item **buckets = rondo__zalloc(room * sizeof(rondo__watch_item *));
    if (!buckets) return; /* longer chains */
    rondo__watch_map bigger = {.buckets = buckets, .room = room, .count = map->count};
    for (size_t i = 0; i < (map->room > 0 ? map->room : 1); i++) {
        rondo__watch_item *item = map->room > 0 ? map->buckets[i] : map->one;
        for (rondo__watch_item *next; item; item = next) {
            next = item->next;
            put(&bigger, item);
        }
    }
    rondo__free(map->buckets);
    *map = bigger;
}

void rondo__watch_map_add(rondo__watch_map *map, rondo__watch_item *item, uint32_t hash) {
    if (map->count >= (map->room > 0 ? map->room : 2)) grow(map);
    item->hash = hash;
    put(map, item);
    map->count++;
}

void rondo__watch_map_remove(rondo__watch_map *map, rondo__watch_item *item) {
    rondo__watch_item **link = bucket_of(map, item->hash);
    while (*link != item) {
        RONDO_ASSERT(*link);
        link = &(*link)->next;
    }
    *link = item->next;
    item->next = NULL;
    map->count--;
}

static rondo__watch_item *of_hash(rondo__watch_item *item, uint32_t hash) {
    while (item && item->hash != hash) item = item->next;
    return item;
}

rondo__watch_item *rondo__watch_map_first(const rondo__watch_map *map, uint32_t hash) {
    return of_hash(map->room > 0 ? map->buckets[hash & (map->room - 1)] : map->one, hash);
}

rondo__watch_item *rondo__watch_map_next(const rondo__watch_item *item) {
    return of_hash(item->next, item->hash);
}

void rondo__watch_map_clear(rondo__watch_map *map, void (*drop)(rondo__watch_item *)) {
    for (size_t i = 0; i < (map->room > 0 ? map->room : 1); i++) {
        rondo__watch_item *item = map->room > 0 ? map->buckets[i] : map->one;
        for (rondo__watch_item *next; item; item = next) {
            next = item->next;
            drop(item);
        }
    }
    rondo__free(map->buckets);
    *map = (rondo__watch_map){.room = 0};
}
