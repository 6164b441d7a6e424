/* SPDX-License-Identifier: MIT
 *
 * What a walk has found. See found.h.
 */
#include "fs/tree/found.h"

#include <rondo/error.h>

#include <string.h>

#include "loop/assert.h"
#include "loop/door.h"
#include "loop/memory.h"

int rondo__found_init(rondo__found *found, size_t room, bool with_stats) {
    *found = (rondo__found){.room = room};
    found->items = rondo__alloc(room * sizeof *found->items);
    if (with_stats) found->stats = rondo__alloc(room * sizeof *found->stats);
    if (found->items && (found->stats || !with_stats)) return 0;
    rondo__found_fini(found);
    return RONDO_ENOMEM;
}

void rondo__found_fini(rondo__found *found) {
    rondo__free(found->items);
    rondo__free(found->stats);
    rondo__free(found->text);
    *found = (rondo__found){.count = 0};
}

/* Room for len more octets and a NUL. */
static int grow(rondo__found *found, size_t len) {
    size_t need = found->text_len + len + 1;
    if (need <= found->text_room) return 0;
    char *more = rondo__realloc(found->text, 2 * need);
    if (!more) return RONDO_ENOMEM;
    found->text = more;
    found->text_room = 2 * need;
    return 0;
}

int rondo__found_add(rondo__found *found, const char *directory, size_t directory_len,
                     const char *name, rondo__item item, const rondo_stat *stat) {
    size_t name_len = strlen(name), before = directory_len > 0 ? directory_len + 1 : 0;
    RONDO_ASSERT(found->count < found->room);
    if (grow(found, before + name_len) < 0) return RONDO_ENOMEM;
    char *text = found->text + found->text_len;
    if (before > 0) {
        memcpy(text, directory, directory_len);
        text[directory_len] = '/';
    }
    memcpy(text + before, name, name_len + 1);
    item.path_at = found->text_len;
    item.name_at = found->text_len + before;
    item.path_len = before + name_len;
    item.has_stat = stat != NULL;
    if (stat) found->stats[found->count] = *stat;
    found->text_len += item.path_len + 1;
    found->items[found->count++] = item;
    return 0;
}

/* ---- telling ---- */

typedef struct told {
    const rondo_walk_entry *entry;
    rondo_walk_verdict verdict;
} told;

static void entry_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    told *what = payload;
    (void)handle;
    what->verdict = ((rondo_fs_walk_cb)fn)(loop, what->entry, arg);
}
static const rondo__event entry_event = {"fs.walk.entry", entry_thunk};

rondo_walk_verdict rondo__found_tell(rondo_loop *loop, const rondo__found *found, size_t i,
                                     rondo_fs_walk_cb on_entry, void *arg) {
    const rondo__item *item = &found->items[i];
    rondo_walk_entry entry = {.path = found->text + item->path_at,
                              .path_len = item->path_len,
                              .name = found->text + item->name_at,
                              .depth = item->depth,
                              .type = item->type,
                              .stat = item->has_stat ? &found->stats[i] : NULL,
                              .error = item->error};
    told what = {&entry, RONDO_WALK_ON};
    if (loop) {
        rondo__door(loop, NULL, &entry_event, RONDO__FN(on_entry), &what, arg);
    } else {
        entry_thunk(RONDO__FN(on_entry), NULL, NULL, &what, arg);
    }
    return what.verdict;
}
