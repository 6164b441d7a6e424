/* SPDX-License-Identifier: MIT
 *
 * The watched directories: the root and, if asked for, all below it, each with a kernel watch. What
 * an event says of a name becomes a change of its path, and the tree follows: new directories are
 * queued to be read, removed ones forgotten, moved ones hung in elsewhere.
 */
#include <string.h>
#include <sys/inotify.h>

#include "fs/watch/watch.h"
#include "loop/memory.h"

/* ---- names and paths ---- */

static uint32_t hash_of(const rondo__watch_dir *dir, const char *name) {
    return rondo__watch_hash(name, strlen(name), (uintptr_t)dir);
}

rondo__watch_dir *rondo__tree_child(rondo_fs_watch *watch, const rondo__watch_dir *dir,
                                    const char *name) {
    rondo__watch_item *item = rondo__watch_map_first(&watch->dirs, hash_of(dir, name));
    for (; item; item = rondo__watch_map_next(item)) {
        rondo__watch_dir *child = RONDO__OF(item, rondo__watch_dir, item);
        if (child->parent == dir && strcmp(child->name, name) == 0) return child;
    }
    return NULL;
}

const char *rondo__tree_path(rondo_fs_watch *watch, const rondo__watch_dir *dir, const char *name) {
    size_t size = name ? strlen(name) + 1 : 1;
    const rondo__watch_dir *top = dir;
    for (; top->parent; top = top->parent) size += strlen(top->name) + 1;
    if (top != watch->root) return NULL;
    if (size > watch->text_room) {
        char *more = rondo__realloc(watch->text, size + 256);
        if (!more) return NULL;
        watch->text = more;
        watch->text_room = size + 256;
    }
    char *at = watch->text + watch->text_room - 1; /* from the end to the front */
    *at = '\0';
    bool first = true;
    if (name) {
        size_t len = strlen(name);
        at -= len;
        memcpy(at, name, len);
        first = false;
    }
    for (; dir->parent; dir = dir->parent) {
        size_t len = strlen(dir->name);
        if (!first) *--at = '/';
        at -= len;
        memcpy(at, dir->name, len);
        first = false;
    }
    return at;
}

/* ---- the tree ---- */

static rondo__watch_dir *new_dir(rondo_fs_watch *watch, const char *name) {
    rondo__watch_dir *dir = rondo__zalloc(sizeof *dir);
    if (!dir || (name && !(dir->name = rondo__strdup(name)))) {
        rondo__free(dir);
        return NULL;
    }
    dir->sub.wd = -1;
    dir->sub.watch = watch;
    rondo__list_init(&dir->children);
    rondo__list_init(&dir->sibling);
    rondo__list_init(&dir->queue);
    rondo__list_init(&dir->settling);
    watch->figures.directories++;
    return dir;
}

static void attach(rondo_fs_watch *watch, rondo__watch_dir *dir, rondo__watch_dir *parent) {
    dir->parent = parent;
    rondo__list_push_back(&parent->children, &dir->sibling);
    rondo__watch_map_add(&watch->dirs, &dir->item, hash_of(parent, dir->name));
}

static void detach(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    if (!dir->parent) return;
    rondo__watch_map_remove(&watch->dirs, &dir->item);
    rondo__list_remove(&dir->sibling);
    dir->parent = NULL;
}

static void free_dir(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    RONDO_ASSERT(rondo__list_empty(&dir->children));
    detach(watch, dir);
    rondo__inotify_unbind(&dir->sub);
    rondo__list_remove(&dir->queue);
    if (dir == watch->unfinished) rondo__listing_abort(watch);
    for (unsigned i = 0; watch->look && i < watch->look->count; i++)
        if (watch->look->dirs[i].dir == dir) watch->look->dirs[i].dir = NULL;
    rondo__listing_forget(watch, dir);
    if (dir->unwatched) watch->figures.unwatched--;
    watch->figures.directories--;
    rondo__free(dir->name);
    rondo__free(dir);
}

void rondo__tree_drop(rondo_fs_watch *watch, rondo__watch_dir *top) {
    rondo__watch_dir *dir = top;
    for (;;) { /* to a leaf, then up again; depth is up to who makes directories */
        while (!rondo__list_empty(&dir->children))
            dir = RONDO__OF(dir->children.next, rondo__watch_dir, sibling);
        rondo__watch_dir *parent = dir == top ? NULL : dir->parent;
        if (dir == watch->root) watch->root = NULL;
        free_dir(watch, dir);
        if (!parent) return;
        dir = parent;
    }
}

void rondo__tree_queue(rondo_fs_watch *watch, rondo__watch_dir *dir) {
    dir->gone = false;
    if (!rondo__list_linked(&dir->queue)) rondo__list_push_back(&watch->queue, &dir->queue);
}

rondo__watch_dir *rondo__tree_plant(rondo_fs_watch *watch, bool tell) {
    RONDO_ASSERT(!watch->root);
    watch->root = new_dir(watch, NULL);
    if (watch->root) watch->root->tell = tell;
    return watch->root;
}

bool rondo__tree_grow(rondo_fs_watch *watch, rondo__watch_dir *dir, const char *name, bool tell) {
    rondo__watch_dir *child = new_dir(watch, name);
    if (!child) return false;
    attach(watch, child, dir);
    child->tell = tell;
    child->pass = watch->pass;
    rondo__tree_queue(watch, child);
    return true;
}

void rondo__tree_clear(rondo_fs_watch *watch) {
    if (watch->root) rondo__tree_drop(watch, watch->root);
    RONDO_ASSERT(watch->figures.directories == 0 && rondo__list_empty(&watch->queue));
    rondo__watch_map_clear(&watch->dirs, NULL);
    rondo__free(watch->text);
    watch->text = NULL;
    watch->text_room = 0;
}

/* ---- moving ---- */

static bool is_away(const rondo_fs_watch *watch, rondo__watch_dir *dir,
                    rondo__watch_dir **ret_top) {
    while (dir->parent) dir = dir->parent;
    *ret_top = dir;
    return dir != watch->root;
}

static rondo__watch_dir *next_below(const rondo__watch_dir *top, rondo__watch_dir *dir) {
    if (!rondo__list_empty(&dir->children))
        return RONDO__OF(dir->children.next, rondo__watch_dir, sibling);
    while (dir != top && dir->sibling.next == &dir->parent->children) dir = dir->parent;
    return dir == top ? NULL : RONDO__OF(dir->sibling.next, rondo__watch_dir, sibling);
}

static bool is_being_read(const rondo_fs_watch *watch, const rondo__watch_dir *dir) {
    for (unsigned i = 0; watch->look && i < watch->look->count; i++)
        if (watch->look->dirs[i].dir == dir) return true;
    return dir == watch->unfinished;
}

/* It will be read, or is being read. */
static bool is_pending(const rondo_fs_watch *watch, const rondo__watch_dir *dir) {
    return rondo__list_linked(&dir->queue) || is_being_read(watch, dir);
}

/* What was read of it by its old path while the move was already made, or not read, is not sure. */
static bool is_sure(const rondo_fs_watch *watch, rondo__watch_dir *top) {
    if (watch->polling) return true;
    uint64_t position = rondo__inotify_position(watch->inotify);
    for (rondo__watch_dir *dir = top; dir; dir = next_below(top, dir)) {
        if (dir->unwatched) continue;
        if (dir->settled > position || (dir->sub.wd < 0 && !is_pending(watch, dir))) return false;
    }
    return true;
}

/* A directory whose old place is known hangs in a new one from now on. */
static void hang_in(rondo_fs_watch *watch, rondo__watch_dir *child, rondo__watch_dir *parent,
                    const char *name) {
    rondo__watch_dir *there = rondo__tree_child(watch, parent, name);
    char *copy = rondo__strdup(name);
    bool sure = copy && !child->missed && is_sure(watch, child);
    if (there) rondo__tree_drop(watch, there);
    if (!copy) {
        rondo__tree_drop(watch, child);
        rondo__watch_lost(watch);
        return;
    }
    rondo__free(child->name);
    child->name = copy;
    child->missed = false;
    attach(watch, child, parent);
    for (rondo__watch_dir *dir = child; dir; dir = next_below(child, dir))
        if (is_being_read(watch, dir)) dir->moved = true;
    if (!sure) rondo__watch_lost(watch);
}

void rondo__tree_move(rondo_fs_watch *watch, rondo__watch_dir *dir, const char *name) {
    rondo__watch_dir *parent = dir->parent;
    detach(watch, dir);
    hang_in(watch, dir, parent, name);
}

/* ---- events ---- */

static void appeared(rondo__watch_dir *dir, const char *name, const char *path, bool is_directory) {
    rondo_fs_watch *watch = dir->sub.watch;
    rondo__window_add(watch, RONDO_FS_WATCH_CREATED, path, is_directory);
    if (!is_directory || !(watch->flags & RONDO_FS_WATCH_RECURSIVE)) return;
    rondo__watch_dir *there = rondo__tree_child(watch, dir, name);
    if (!there) {
        if (!rondo__tree_grow(watch, dir, name, true)) rondo__watch_lost(watch);
    } else if (there->sub.wd < 0 && !is_pending(watch, there)) {
        there->tell = true; /* it was listed, and gone when it was to be read */
        rondo__tree_queue(watch, there);
    } /* else a look was faster */
}

static void arrived(rondo__watch_dir *dir, const char *name, uint32_t cookie, bool is_directory) {
    rondo_fs_watch *watch = dir->sub.watch;
    rondo__watch_dir *child;
    const char *path = rondo__tree_path(watch, dir, name);
    if (!path) {
        rondo__watch_lost(watch);
    } else if (!rondo__window_arrive(watch, cookie, path, &child)) {
        rondo__watch_dir *there = rondo__tree_child(watch, dir, name);
        if (there && is_directory && !there->tell)
            rondo__tree_drop(watch, there);
        else if (there && is_being_read(watch, there))
            there->moved = true; /* or the one that was replaced is */
        appeared(dir, name, path, is_directory);
    } else if (child) {
        hang_in(watch, child, dir, name);
    } else if (is_directory && (watch->flags & RONDO_FS_WATCH_RECURSIVE) &&
               !rondo__tree_child(watch, dir, name) && !rondo__tree_grow(watch, dir, name, false)) {
        rondo__watch_lost(watch);
    }
}

static void left(rondo__watch_dir *dir, const char *name, uint32_t cookie, const char *path,
                 bool is_directory) {
    rondo_fs_watch *watch = dir->sub.watch;
    rondo__watch_dir *child = is_directory ? rondo__tree_child(watch, dir, name) : NULL;
    if (child) {
        /* What is not read of it by now is not looked for: it is made up for if it turns up. */
        for (rondo__watch_dir *below = child; below; below = next_below(child, below)) {
            if (!is_pending(watch, below)) continue;
            child->missed = true;
            rondo__list_remove(&below->queue);
            if (below == watch->unfinished && !watch->look) rondo__listing_abort(watch);
            if (is_being_read(watch, below)) below->moved = true;
        }
        detach(watch, child);
    }
    rondo__window_leave(watch, cookie, path, is_directory, child);
}

static void vanished(rondo__watch_dir *dir, const char *name, const char *path, bool is_directory) {
    rondo_fs_watch *watch = dir->sub.watch;
    rondo__watch_dir *child = is_directory ? rondo__tree_child(watch, dir, name) : NULL;
    if (child) rondo__tree_drop(watch, child);
    rondo__window_add(watch, RONDO_FS_WATCH_REMOVED, path, is_directory);
}

/* In a directory whose contents were told when it was read: whether the event agrees with what was
 * told. It may be from before, and told already or never. */
static bool is_news(rondo__watch_dir *dir, uint32_t mask, const char *name) {
    rondo_fs_watch *watch = dir->sub.watch;
    if (!dir->names || watch->polling) return true;
    if (rondo__inotify_position(watch->inotify) > dir->settled) return true;
    rondo__watch_name *known = rondo__names_find(dir->names, name);
    rondo__watch_stamp none = {.ino = 0};
    if (mask & (IN_CREATE | IN_MOVED_TO)) {
        if (known) return false;
        if (rondo__names_add(dir->names, name, &none)) return true;
        rondo__watch_lost(watch);
        return false;
    }
    if (known && mask & (IN_DELETE | IN_MOVED_FROM)) {
        rondo__names_remove(dir->names, known);
        return true;
    }
    return known != NULL;
}

static void name_event(rondo__watch_dir *dir, uint32_t mask, uint32_t cookie, const char *name) {
    rondo_fs_watch *watch = dir->sub.watch;
    bool is_directory = mask & IN_ISDIR;
    if (!is_news(dir, mask, name)) return;
    const char *path = rondo__tree_path(watch, dir, name);
    if (!path)
        rondo__watch_lost(watch);
    else if (mask & IN_CREATE)
        appeared(dir, name, path, is_directory);
    else if (mask & IN_MOVED_TO)
        arrived(dir, name, cookie, is_directory);
    else if (mask & IN_DELETE)
        vanished(dir, name, path, is_directory);
    else if (mask & IN_MOVED_FROM)
        left(dir, name, cookie, path, is_directory);
    else if (mask & IN_MODIFY)
        rondo__window_add(watch, RONDO_FS_WATCH_CHANGED, path, is_directory);
    else if (mask & IN_ATTRIB)
        rondo__window_add(watch, RONDO_FS_WATCH_ATTRIBUTES, path, is_directory);
}

/* Of the directory itself. Those of a subdirectory are told by its parent, too. */
static void self_event(rondo__watch_dir *dir, uint32_t mask) {
    rondo_fs_watch *watch = dir->sub.watch;
    if (dir != watch->root) {
        /* What it covered is there again, unless this one or the root was the mount point. */
        if (mask & IN_UNMOUNT) watch->uncovered = true;
    } else if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
        rondo__place_gone(watch);
    } else if (mask & IN_ATTRIB) {
        rondo__window_add(watch, RONDO_FS_WATCH_ATTRIBUTES, "", true);
    }
}

void rondo__tree_event(rondo__watch_dir *dir, uint32_t mask, uint32_t cookie, const char *name) {
    rondo__watch_dir *top;
    if (!name)
        self_event(dir, mask);
    else if (is_away(dir->sub.watch, dir, &top))
        top->missed = true;
    else
        name_event(dir, mask, cookie, name);
}
