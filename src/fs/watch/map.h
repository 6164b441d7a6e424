/* SPDX-License-Identifier: MIT
 *
 * A hash map whose items are embedded in what it holds: directories by name, waiting changes by
 * path, kernel watches by number. It grows when it can get memory, and is only slower when it
 * can't. The hash has a secret, since names come from whoever may make files. Internal.
 */
#ifndef RONDO__WATCH_MAP_H
#define RONDO__WATCH_MAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct rondo__watch_item {
    struct rondo__watch_item *next;
    uint32_t hash;
} rondo__watch_item;

/* All zero: empty. */
typedef struct rondo__watch_map {
    rondo__watch_item **buckets; /* NULL: only `one` */
    rondo__watch_item *one;
    size_t room; /* a power of 2; 0: only `one` */
    size_t count;
} rondo__watch_map;

uint32_t rondo__watch_hash(const void *bytes, size_t len, uintptr_t seed);

void rondo__watch_map_add(rondo__watch_map *map, rondo__watch_item *item, uint32_t hash);
/* The item must be in it. */
void rondo__watch_map_remove(rondo__watch_map *map, rondo__watch_item *item);
/* Items of this hash, one after another: rondo__watch_map_next(first) ... NULL. */
rondo__watch_item *rondo__watch_map_first(const rondo__watch_map *map, uint32_t hash);
rondo__watch_item *rondo__watch_map_next(const rondo__watch_item *item);
/* Hands every item to drop(), which may free it, and leaves the map empty. */
void rondo__watch_map_clear(rondo__watch_map *map, void (*drop)(rondo__watch_item *));

#endif
