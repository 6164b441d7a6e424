/* SPDX-License-Identifier: MIT
 *
 * Sets of names of one directory, in the order of adding.
 */
#include <string.h>

#include "fs/watch/watch.h"
#include "loop/memory.h"

rondo__watch_names *rondo__names_new(void) {
    rondo__watch_names *names = rondo__zalloc(sizeof *names);
    if (names) rondo__list_init(&names->list);
    return names;
}

static uint32_t hash_of(const char *name) { return rondo__watch_hash(name, strlen(name), 0); }

bool rondo__names_add(rondo__watch_names *names, const char *name,
                      const rondo__watch_stamp *stamp) {
    size_t size = strlen(name) + 1;
    rondo__watch_name *entry = rondo__alloc(sizeof *entry + size);
    if (!entry) return false;
    entry->stamp = *stamp;
    memcpy(entry->name, name, size);
    rondo__list_init(&entry->link);
    rondo__list_push_back(&names->list, &entry->link);
    rondo__watch_map_add(&names->map, &entry->item, hash_of(name));
    return true;
}

rondo__watch_name *rondo__names_find(const rondo__watch_names *names, const char *name) {
    rondo__watch_item *item = rondo__watch_map_first(&names->map, hash_of(name));
    for (; item; item = rondo__watch_map_next(item)) {
        rondo__watch_name *entry = RONDO__OF(item, rondo__watch_name, item);
        if (strcmp(entry->name, name) == 0) return entry;
    }
    return NULL;
}

void rondo__names_remove(rondo__watch_names *names, rondo__watch_name *name) {
    rondo__watch_map_remove(&names->map, &name->item);
    rondo__list_remove(&name->link);
    rondo__free(name);
}

static void drop(rondo__watch_item *item) { rondo__free(RONDO__OF(item, rondo__watch_name, item)); }

void rondo__names_free(rondo__watch_names *names) {
    if (!names) return;
    rondo__watch_map_clear(&names->map, drop);
    rondo__free(names);
}

bool rondo__stamp_other(const rondo__watch_stamp *a, const rondo__watch_stamp *b) {
    return a->dev != b->dev || a->ino != b->ino || a->is_directory != b->is_directory;
}
