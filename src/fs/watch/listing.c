/* SPDX-License-Identifier: MIT
 *
 * What a look has read of directories, against what is known of them: subdirectories to watch,
 * names of a new directory to tell, and where the kernel does not notify, the comparison with the
 * listing before, which yields the same changes.
 */
#include <unistd.h>

#include "fs/watch/watch.h"
#include "loop/memory.h"

#define POLLED_NAMES_MOST 1000000
#define TOLD_NAMES_MOST 65536

void rondo__listing_forget(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    if (watch->polling && dir->names) watch->names_count -= dir->names->map.count;
    rondo__names_free(dir->names);
    rondo__list_remove(&dir->settling);
    dir->names = NULL;
}

/* A listing from before it was removed had brought it back; or its event got lost. */
static void forget_gone(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    const char *path = rondo__tree_path(watch, dir, NULL);
    if (!path) return; /* away: it is looked for where it turns up */
    rondo__window_add(watch, RONDO_FS_WATCH_REMOVED, path, true);
    rondo__tree_drop(watch, dir);
}

void rondo__listing_settle(rondo_fs_watch *watch) {
    while (!rondo__list_empty(&watch->settling)) {
        rondo__watch_dir *dir = RONDO__OF(watch->settling.next, rondo__watch_dir, settling);
        if (dir->settled > rondo__inotify_position(watch->inotify)) return;
        rondo__listing_forget(watch, dir);
        if (dir->gone) forget_gone(watch, dir);
    }
}

static void drop_incoming(rondo_fs_watch *watch) {
    if (watch->incoming) watch->names_count -= watch->incoming->map.count;
    rondo__names_free(watch->incoming);
    watch->incoming = NULL;
}

void rondo__listing_abort(rondo_fs_watch *watch) {
    if (watch->unfinished_fd >= 0) close(watch->unfinished_fd);
    rondo__inotify_drop(watch->inotify, watch->unfinished_wd);
    drop_incoming(watch);
    watch->unfinished_fd = -1;
    watch->unfinished = NULL;
    watch->unfinished_wd = -1;
}

/* ---- a name that was read ---- */

/* A subdirectory that is in the listing: one of the tree from now on, if it wasn't. */
static void take_subdirectory(rondo_fs_watch *watch, rondo__watch_dir *dir, const char *name,
                              bool tell) {
    if (!(watch->flags & RONDO_FS_WATCH_RECURSIVE)) return;
    rondo__watch_dir *child = rondo__tree_child(watch, dir, name);
    if (!child) {
        /* After an overflow, which has been told before this is read: it may have come since. */
        bool news = tell || (dir->resync && watch->ready && !watch->polling);
        const char *path = news && !tell ? rondo__tree_path(watch, dir, name) : NULL;
        if (path) rondo__window_add(watch, RONDO_FS_WATCH_CREATED, path, true);
        if (!rondo__tree_grow(watch, dir, name, news)) rondo__watch_lost(watch);
        return;
    }
    child->pass = watch->pass;
    if (dir->resync || watch->polling) {
        child->resync = true;
        rondo__tree_queue(watch, child);
    }
}

/* Of a new directory: it is created, as far as the user knows. */
static bool tell_name(rondo_fs_watch *watch, rondo__watch_dir *dir,
                      const rondo__look_entry *entry) {
    if (!dir->names) dir->names = rondo__names_new();
    if (!dir->names || dir->names->map.count >= TOLD_NAMES_MOST) return false;
    if (rondo__names_find(dir->names, entry->name)) return true; /* it is read again */
    const char *path = rondo__tree_path(watch, dir, entry->name);
    if (!path || !rondo__names_add(dir->names, entry->name, &entry->stamp)) return false;
    rondo__window_add(watch, RONDO_FS_WATCH_CREATED, path, entry->stamp.is_directory);
    return true;
}

static void take_entry(rondo_fs_watch *watch, rondo__watch_dir *dir,
                       const rondo__look_entry *entry) {
    if (watch->polling) {
        if (watch->names_count >= POLLED_NAMES_MOST) {
            rondo__watch_lacks(watch, RONDO_EOVERFLOW, rondo__tree_path(watch, dir, NULL));
            return;
        }
        if (!watch->incoming) watch->incoming = rondo__names_new();
        if (watch->incoming && rondo__names_find(watch->incoming, entry->name)) return;
        if (!watch->incoming || !rondo__names_add(watch->incoming, entry->name, &entry->stamp)) {
            rondo__watch_lost(watch);
            return;
        }
        watch->names_count++;
        return;
    }
    if (dir->tell && !tell_name(watch, dir, entry)) {
        dir->tell = false;
        rondo__watch_lost(watch);
    }
    if (entry->stamp.is_directory) take_subdirectory(watch, dir, entry->name, dir->tell);
}

/* ---- comparing ---- */

static uint32_t hash_of(const rondo__watch_stamp *stamp) {
    return rondo__watch_hash(&stamp->ino, sizeof stamp->ino, (uintptr_t)stamp->dev);
}

/* An old name of the same thing, among those that are gone. */
static rondo__watch_name *former(const rondo__watch_map *gone, const rondo__watch_stamp *stamp) {
    rondo__watch_item *item = rondo__watch_map_first(gone, hash_of(stamp));
    for (; item; item = rondo__watch_map_next(item)) {
        rondo__watch_name *name = RONDO__OF(item, rondo__watch_name, item);
        if (!rondo__stamp_other(&name->stamp, stamp) &&
            (stamp->is_directory ||
             (name->stamp.mtime_ns == stamp->mtime_ns && name->stamp.size == stamp->size)))
            return name;
    }
    return NULL;
}

static void tell(rondo_fs_watch *watch, rondo__watch_dir *dir, rondo_fs_watch_what what,
                 const rondo__watch_name *name) {
    const char *path = rondo__tree_path(watch, dir, name->name);
    if (path)
        rondo__window_add(watch, what, path, name->stamp.is_directory);
    else
        rondo__watch_lost(watch);
}

static void tell_removed(rondo_fs_watch *watch, rondo__watch_dir *dir,
                         const rondo__watch_name *name) {
    rondo__watch_dir *child =
        name->stamp.is_directory ? rondo__tree_child(watch, dir, name->name) : NULL;
    if (child) rondo__tree_drop(watch, child);
    tell(watch, dir, RONDO_FS_WATCH_REMOVED, name);
}

static void tell_renamed(rondo_fs_watch *watch, rondo__watch_dir *dir,
                         const rondo__watch_name *from, const rondo__watch_name *now) {
    rondo__watch_dir *child = rondo__tree_child(watch, dir, from->name);
    const char *path = rondo__tree_path(watch, dir, from->name);
    char *copy = path ? rondo__strdup(path) : NULL;
    path = copy ? rondo__tree_path(watch, dir, now->name) : NULL;
    if (path)
        rondo__window_rename(watch, copy, path, now->stamp.is_directory);
    else
        rondo__watch_lost(watch);
    rondo__free(copy);
    if (child && now->stamp.is_directory) rondo__tree_move(watch, child, now->name);
}

static void compare(rondo_fs_watch *watch, rondo__watch_dir *dir, const rondo__watch_name *old,
                    const rondo__watch_name *now) {
    const rondo__watch_stamp *a = &old->stamp, *b = &now->stamp;
    bool is_directory = b->is_directory;
    if (rondo__stamp_other(a, b)) {
        if (a->is_directory || is_directory) {
            tell_removed(watch, dir, old);
            tell(watch, dir, RONDO_FS_WATCH_CREATED, now);
        } else {
            tell(watch, dir, RONDO_FS_WATCH_CHANGED, now);
        }
    } else if (!is_directory && (a->size != b->size || a->mtime_ns != b->mtime_ns)) {
        tell(watch, dir, RONDO_FS_WATCH_CHANGED, now);
    } else if (a->ctime_ns != b->ctime_ns && a->mtime_ns == b->mtime_ns) {
        tell(watch, dir, RONDO_FS_WATCH_ATTRIBUTES, now);
    }
}

static void free_name(rondo__watch_item *item) {
    rondo__free(RONDO__OF(item, rondo__watch_name, item));
}

/* The names of `old` that are not in `now`, moved to a map by inode. */
static void collect_gone(rondo__watch_names *old, const rondo__watch_names *now,
                         rondo__watch_map *ret_gone) {
    for (rondo__list *link = old->list.next; link != &old->list; link = link->next) {
        rondo__watch_name *name = RONDO__OF(link, rondo__watch_name, link);
        if (rondo__names_find(now, name->name)) continue;
        rondo__watch_map_remove(&old->map, &name->item);
        rondo__watch_map_add(ret_gone, &name->item, hash_of(&name->stamp));
    }
}

/* Afterwards `old` can only be freed. */
static void compare_all(rondo_fs_watch *watch, rondo__watch_dir *dir, rondo__watch_names *old,
                        rondo__watch_names *now) {
    rondo__watch_map gone = {.room = 0};
    collect_gone(old, now, &gone);
    for (rondo__list *link = now->list.next; link != &now->list; link = link->next) {
        rondo__watch_name *name = RONDO__OF(link, rondo__watch_name, link);
        const rondo__watch_name *before = rondo__names_find(old, name->name);
        if (before) {
            compare(watch, dir, before, name);
            continue;
        }
        rondo__watch_name *from = former(&gone, &name->stamp);
        if (!from) {
            tell(watch, dir, RONDO_FS_WATCH_CREATED, name);
            continue;
        }
        tell_renamed(watch, dir, from, name);
        rondo__watch_map_remove(&gone, &from->item);
        rondo__list_remove(&from->link);
        rondo__free(from);
    }
    for (rondo__list *link = old->list.next; link != &old->list; link = link->next) {
        rondo__watch_name *name = RONDO__OF(link, rondo__watch_name, link);
        if (!rondo__names_find(now, name->name)) tell_removed(watch, dir, name);
    }
    rondo__watch_map_clear(&gone, free_name);
}

/* Polling: the directory has been read to its end. */
static void finish_polled(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    rondo__watch_names *old = dir->names;
    rondo__watch_names *now = watch->incoming ? watch->incoming : rondo__names_new();
    if (!now) {
        rondo__watch_lost(watch);
        return;
    }
    watch->incoming = NULL;
    bool known = old || dir->tell;
    if (!old) old = rondo__names_new();
    if (old) watch->names_count -= old->map.count;
    if (known && old) compare_all(watch, dir, old, now);
    rondo__names_free(old);
    dir->names = now;
    dir->tell = false;
    for (rondo__list *link = now->list.next; link != &now->list; link = link->next) {
        const rondo__watch_name *name = RONDO__OF(link, rondo__watch_name, link);
        if (name->stamp.is_directory) take_subdirectory(watch, dir, name->name, known);
    }
}

/* ---- a directory that was read ---- */

/* It is to be read once more, after something was missed: what this listing said does not count. */
static void forget_seen(const rondo_fs_watch *watch, rondo__watch_dir *dir) {
    for (rondo__list *link = dir->children.next; link != &dir->children; link = link->next)
        RONDO__OF(link, rondo__watch_dir, sibling)->pass = watch->pass - 1;
}

/* Those that were not found again. */
static void drop_unseen(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    for (rondo__list *link = dir->children.next, *next; link != &dir->children; link = next) {
        rondo__watch_dir *child = RONDO__OF(link, rondo__watch_dir, sibling);
        next = link->next;
        if (child->pass != watch->pass) rondo__tree_drop(watch, child);
    }
}

static void finish_noticed(rondo_fs_watch *watch, rondo__watch_dir *dir, int wd) {
    if (rondo__list_linked(&dir->queue)) {
        forget_seen(watch, dir);
    } else {
        if (dir->resync) drop_unseen(watch, dir);
        dir->resync = false;
    }
    dir->tell = false;
    dir->settled = rondo__inotify_mark(watch->inotify);
    if (dir->names && !rondo__list_linked(&dir->settling))
        rondo__list_push_back(&watch->settling, &dir->settling);
    if (dir->sub.wd == wd) return;
    rondo__inotify_unbind(&dir->sub);
    rondo__inotify_bind(&dir->sub, wd); /* what happened meanwhile comes in now; dir may go */
}

/* It could not be read: gone, swapped for a link, or refused. */
static void fail(rondo_fs_watch *watch, rondo__watch_dir *dir, int error) {
    drop_incoming(watch);
    if (dir == watch->root) {
        /* Whether it is gone, the path says. */
        if (error == RONDO_ENOENT || error == RONDO_ENOTDIR || error == RONDO_ELOOP) {
            watch->resolve = true;
        } else if (watch->ready && (watch->polling || dir->sub.wd >= 0)) {
            rondo__watch_lacks(watch, error, ""); /* it goes on with what it has, and tries again */
            if (!watch->polling) rondo__tree_queue(watch, dir);
            watch->lacking = !watch->polling;
        } else {
            watch->fatal = error;
        }
        return;
    }
    if (error == RONDO_ENOENT || error == RONDO_ENOTDIR || error == RONDO_ELOOP) {
        if (watch->polling || dir->sub.wd >= 0) return; /* the next look, or its event, tells */
        rondo__listing_forget(watch, dir);
        dir->gone = true; /* if no event says so before */
        dir->settled = rondo__inotify_mark(watch->inotify);
        rondo__list_push_back(&watch->settling, &dir->settling);
        return;
    }
    if (!dir->unwatched) watch->figures.unwatched++;
    dir->unwatched = true;
    rondo__watch_lacks(watch, error, rondo__tree_path(watch, dir, NULL));
}

static void take_directory(rondo_fs_watch *watch, rondo__look *look, unsigned index) {
    rondo__look_dir *read = &look->dirs[index];
    rondo__watch_dir *dir = read->dir;
    int wd = read->wd;
    read->wd = -1;
    if (!dir) {
        rondo__inotify_drop(look->inotify, wd);
    } else if (dir->moved) { /* it may have been another one at its old path */
        dir->moved = false;
        forget_seen(watch, dir);
        drop_incoming(watch);
        rondo__inotify_drop(look->inotify, wd);
        if (rondo__tree_path(watch, dir, NULL)) rondo__tree_queue(watch, dir); /* it is not away */
    } else if (read->error < 0) {
        rondo__inotify_drop(look->inotify, wd);
        fail(watch, dir, read->error);
    } else if (!read->complete) {
        watch->unfinished = dir;
        watch->unfinished_wd = wd;
        watch->unfinished_fd = look->fd;
        look->fd = -1;
    } else {
        if (dir->unwatched) watch->figures.unwatched--;
        dir->unwatched = false;
        if (watch->polling)
            finish_polled(watch, dir);
        else
            finish_noticed(watch, dir, wd);
    }
}

void rondo__listing_found(rondo_fs_watch *watch, rondo__look *look) {
    size_t at = look->first;
    watch->unfinished = NULL; /* it is dirs[0] of this look */
    for (unsigned i = 0; i < look->done; i++) {
        while (at > 0) {
            const rondo__look_entry *entry =
                (const rondo__look_entry *)(const void *)(look->bytes + at);
            if (entry->dir != i) break;
            at = entry->next;
            rondo__watch_dir *dir = look->dirs[i].dir;
            if (dir && !dir->moved) take_entry(watch, dir, entry);
        }
        take_directory(watch, look, i);
    }
    for (unsigned i = look->done; i < look->count; i++) {
        rondo__watch_dir *dir = look->dirs[i].dir;
        if (dir && rondo__tree_path(watch, dir, NULL)) rondo__tree_queue(watch, dir); /* not away */
    }
    /* The path says what became of it. If it leads back by then they are still to be read; where it
     * leads elsewhere each time, not without a pause. */
    if (look->astray) watch->resolve = watch->lacking = true;
}
