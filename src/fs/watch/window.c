/* SPDX-License-Identifier: MIT
 *
 * Changes that wait to be told: those of one path are joined as they come, the others keep their
 * order. Rename is two events of the kernel: the first one waits for the second one, a little while
 * beyond the window if need be, since nothing promises that they are read together.
 *
 * Bounded: more than max_changes are dropped for one OVERFLOW, as is what memory is lacking for. Whoever
 * hears of that looks at everything himself; what changes behind him in a directory that is not watched
 * again yet, or is known by an old name, would be missed. So OVERFLOW is told when the tree is right
 * again, and all before it is dropped. If that takes long it is told at once, and then once more.
 */
#include <string.h>

#include "fs/watch/watch.h"
#include "loop/memory.h"

#include <rondo/loop.h>

#define MOVE_WAIT_NS UINT64_C(20000000)
#define FLOOD_WAIT_NS UINT64_C(1000000000)
#define OPENS_MOST 64
#define NS_PER_MS UINT64_C(1000000)

static uint32_t hash_of(const char *path) { return rondo__watch_hash(path, strlen(path), 1); }

static rondo__watch_change *find(const rondo_fs_watch *watch, const char *path) {
    rondo__watch_item *item = rondo__watch_map_first(&watch->latest, hash_of(path));
    for (; item; item = rondo__watch_map_next(item)) {
        rondo__watch_change *change = RONDO__OF(item, rondo__watch_change, item);
        if (strcmp(change->text, path) == 0) return change;
    }
    return NULL;
}

/* ---- the queue ---- */

static void unmap(rondo_fs_watch *watch, rondo__watch_change *change) {
    if (!change->mapped) return;
    rondo__watch_map_remove(&watch->latest, &change->item);
    change->mapped = false;
}

/* Where it went is settled, one way or the other. */
static void shut(rondo_fs_watch *watch, rondo__watch_change *change, bool drop) {
    if (!rondo__list_linked(&change->open)) return;
    rondo__list_remove(&change->open);
    watch->open_count--;
    if (drop && change->dir) rondo__tree_drop(watch, change->dir);
    change->dir = NULL;
}

/* Takes it out; it is the caller's. */
static void take(rondo_fs_watch *watch, rondo__watch_change *change) {
    shut(watch, change, true);
    unmap(watch, change);
    rondo__list_remove(&change->link);
    watch->waiting--;
}

static void drop_all(rondo_fs_watch *watch) {
    while (!rondo__list_empty(&watch->changes)) {
        rondo__watch_change *change = RONDO__OF(watch->changes.next, rondo__watch_change, link);
        take(watch, change);
        rondo__free(change);
    }
}

/* Something waits: sees to it that it is told in time. */
static void arm(rondo_fs_watch *watch) {
    rondo_loop *loop = watch->base.loop;
    if (watch->window_ms == 0)
        rondo__inotify_touch(watch);
    else if (!rondo__alarm_is_set(&watch->window) && !rondo__list_linked(&watch->more.link))
        rondo__alarm_set(loop, &watch->window,
                         rondo_loop_now_ns(loop) + watch->window_ms * NS_PER_MS);
}

void rondo__window_overflow(rondo_fs_watch *watch) {
    drop_all(watch);
    if (!watch->flooded) watch->flooded_ns = rondo_loop_now_ns(watch->base.loop);
    watch->flooded = true;
    arm(watch);
}

static rondo__watch_change *append(rondo_fs_watch *watch, rondo_fs_watch_what what,
                                   const char *path, const char *from, bool is_directory) {
    size_t size = strlen(path) + 1, from_size = from ? strlen(from) + 1 : 0;
    rondo__watch_change *change = NULL;
    if (watch->flooded) return NULL; /* it is said already that all has to be looked at */
    if (watch->waiting < watch->max_changes)
        change = rondo__alloc(sizeof *change + size + from_size);
    if (!change) {
        rondo__window_overflow(watch);
        return NULL;
    }
    *change = (rondo__watch_change){.what = what, .era = watch->era, .is_directory = is_directory};
    memcpy(change->text, path, size);
    if (from) change->from = memcpy(change->text + size, from, from_size);
    rondo__list_init(&change->link);
    rondo__list_init(&change->open);
    rondo__list_push_back(&watch->changes, &change->link);
    watch->waiting++;
    arm(watch);
    return change;
}

/* ---- joining ---- */

/* The change that `now` after `before` amounts to; WHAT_COUNT: none; -1: they stay two. */
static int joined(rondo_fs_watch_what before, rondo_fs_watch_what now) {
    bool touched = now == RONDO_FS_WATCH_CHANGED || now == RONDO_FS_WATCH_ATTRIBUTES;
    switch (before) {
    case RONDO_FS_WATCH_CREATED:
        if (now == RONDO_FS_WATCH_REMOVED) return RONDO_FS_WATCH_WHAT_COUNT;
        return RONDO_FS_WATCH_CREATED;
    case RONDO_FS_WATCH_CHANGED:
        return touched ? RONDO_FS_WATCH_CHANGED : now == RONDO_FS_WATCH_REMOVED ? (int)now : -1;
    case RONDO_FS_WATCH_ATTRIBUTES: return touched || now == RONDO_FS_WATCH_REMOVED ? (int)now : -1;
    case RONDO_FS_WATCH_REMOVED:
        if (now == RONDO_FS_WATCH_REMOVED) return RONDO_FS_WATCH_REMOVED;
        return now == RONDO_FS_WATCH_CREATED ? RONDO_FS_WATCH_CHANGED : -1;
    default: return -1;
    }
}

/* Joins it with the last change at the same path. False: there is none that it can be joined with. */
static bool join(rondo_fs_watch *watch, rondo_fs_watch_what what, const char *path,
                 bool is_directory) {
    rondo__watch_change *last = watch->window_ms > 0 ? find(watch, path) : NULL;
    if (!last) return false;
    int both = last->era == watch->era ? joined(last->what, what) : -1;
    /* A directory that takes the place of another one, or of a file, is a new thing to look into. */
    if (last->what == RONDO_FS_WATCH_REMOVED && (is_directory || last->is_directory)) both = -1;
    if (both < 0 || last->is_directory != is_directory) {
        unmap(watch, last);
        return false;
    }
    if (both == RONDO_FS_WATCH_WHAT_COUNT) {
        take(watch, last);
        rondo__free(last);
        return true;
    }
    if (both != RONDO_FS_WATCH_REMOVED) shut(watch, last, true);
    last->what = (rondo_fs_watch_what)both;
    return true;
}

static void map(rondo_fs_watch *watch, rondo__watch_change *change) {
    if (watch->window_ms == 0) return;
    rondo__watch_change *last = find(watch, change->text);
    if (last) unmap(watch, last);
    rondo__watch_map_add(&watch->latest, &change->item, hash_of(change->text));
    change->mapped = true;
}

void rondo__window_add(rondo_fs_watch *watch, rondo_fs_watch_what what, const char *path,
                       bool is_directory) {
    if (watch->flooded || join(watch, what, path, is_directory)) return;
    if (is_directory && what == RONDO_FS_WATCH_REMOVED) watch->era++;
    rondo__watch_change *change = append(watch, what, path, NULL, is_directory);
    if (change) map(watch, change);
}

/* ---- renames ---- */

void rondo__window_leave(rondo_fs_watch *watch, uint32_t cookie, const char *path,
                         bool is_directory, rondo__watch_dir *dir) {
    rondo__watch_change *last = watch->window_ms > 0 ? find(watch, path) : NULL;
    if (last) unmap(watch, last); /* told on its own: it is of the name that is left */
    if (is_directory) watch->era++;
    rondo__watch_change *change = append(watch, RONDO_FS_WATCH_REMOVED, path, NULL, is_directory);
    if (!change) {
        if (dir) rondo__tree_drop(watch, dir);
        return;
    }
    map(watch, change);
    change->cookie = cookie;
    change->dir = dir;
    change->since_ns = rondo_loop_now_ns(watch->base.loop);
    rondo__list_push_back(&watch->opens, &change->open);
    if (++watch->open_count > OPENS_MOST)
        shut(watch, RONDO__OF(watch->opens.next, rondo__watch_change, open), true);
}

void rondo__window_rename(rondo_fs_watch *watch, const char *from, const char *path,
                          bool is_directory) {
    rondo__watch_change *last = watch->window_ms > 0 ? find(watch, path) : NULL;
    if (last) unmap(watch, last);
    if (is_directory) watch->era++;
    append(watch, RONDO_FS_WATCH_RENAMED, path, from, is_directory);
}

/* Something was told of its old path since: a rename told after that would be of another thing. */
static bool old_name_taken(const rondo_fs_watch *watch, const rondo__watch_change *change) {
    for (rondo__list *link = change->link.next; link != &watch->changes; link = link->next)
        if (strcmp(RONDO__OF(link, rondo__watch_change, link)->text, change->text) == 0)
            return true;
    return false;
}

bool rondo__window_arrive(rondo_fs_watch *watch, uint32_t cookie, const char *path,
                          rondo__watch_dir **ret_dir) {
    for (rondo__list *link = watch->opens.prev; link != &watch->opens; link = link->prev) {
        rondo__watch_change *change = RONDO__OF(link, rondo__watch_change, open);
        if (change->cookie != cookie) continue;
        if (old_name_taken(watch, change)) {
            shut(watch, change, true);
            return false;
        }
        *ret_dir = change->dir;
        bool is_directory = change->is_directory;
        shut(watch, change, false);
        take(watch, change);
        rondo__window_rename(watch, change->text, path, is_directory);
        rondo__free(change);
        return true;
    }
    return false;
}

/* ---- telling ---- */

static void change_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                         void *arg) {
    (void)loop;
    ((rondo_fs_watch_change_cb)fn)((rondo_fs_watch *)handle, payload, arg);
}
static const rondo__event change_event = {"fs_watch.change", change_thunk};

/* False when the callback has stopped or closed the handle. */
static bool tell(rondo_fs_watch *watch, rondo_fs_watch_change *change) {
    uint32_t life = watch->life;
    watch->figures.changes++;
    if (change->what == RONDO_FS_WATCH_OVERFLOW) watch->figures.overflows++;
    rondo__emit(&watch->base, &watch->on[RONDO__WATCH_CHANGE], RONDO__WATCH_CHANGE, &change_event,
                change);
    return watch->life == life;
}

/* Waits for the other half of a rename: true when it is too early to tell. */
static bool too_early(rondo_fs_watch *watch, const rondo__watch_change *change) {
    rondo_loop *loop = watch->base.loop;
    if (!rondo__list_linked(&change->open)) return false;
    uint64_t until_ns = change->since_ns + MOVE_WAIT_NS;
    if (rondo_loop_now_ns(loop) >= until_ns) return false;
    rondo__alarm_set(loop, &watch->window, until_ns);
    return true;
}

static void refill_budget(rondo_fs_watch *watch) {
    uint64_t turn = rondo_loop_turn(watch->base.loop);
    if (watch->turn == turn) return;
    watch->turn = turn;
    watch->budget = rondo_loop_budget(watch->base.loop, RONDO_BUDGET_changes);
}

/* False when nothing may be told behind it: it waits, or it will come again, or the callback has ended
 * the watching. */
static bool tell_overflow(rondo_fs_watch *watch) {
    rondo_loop *loop = watch->base.loop;
    uint64_t now_ns = rondo_loop_now_ns(loop), until_ns = watch->flooded_ns + FLOOD_WAIT_NS;
    bool unsure = rondo__watch_is_unsure(watch);
    if (unsure) {
        rondo__alarm_set(loop, &watch->window,
                         now_ns < until_ns ? until_ns : now_ns + FLOOD_WAIT_NS);
        if (now_ns < until_ns) return false;
        watch->flooded_ns = now_ns;
    }
    watch->flooded = unsure;
    return tell(watch, &(rondo_fs_watch_change){.what = RONDO_FS_WATCH_OVERFLOW, .path = ""}) &&
           !unsure;
}

void rondo__window_sure(rondo_fs_watch *watch) {
    if (!watch->flooded || watch->polling) return;
    uint64_t until_ns = watch->flooded_ns + watch->window_ms * NS_PER_MS;
    if (rondo_loop_now_ns(watch->base.loop) >= until_ns)
        rondo__window_tell(watch);
    else
        rondo__alarm_set(watch->base.loop, &watch->window, until_ns);
}

void rondo__window_tell(rondo_fs_watch *watch) {
    refill_budget(watch);
    rondo__alarm_clear(&watch->window);
    rondo__task_cancel(&watch->more);
    if (watch->flooded && !tell_overflow(watch)) return;
    while (!rondo__list_empty(&watch->changes)) {
        rondo__watch_change *change = RONDO__OF(watch->changes.next, rondo__watch_change, link);
        if (too_early(watch, change)) return;
        if (watch->budget == 0) {
            rondo__defer(watch->base.loop, &watch->more);
            return;
        }
        watch->budget--;
        take(watch, change);
        rondo_fs_watch_change what = {change->what, change->is_directory, change->text,
                                      change->from};
        bool goes_on = tell(watch, &what);
        rondo__free(change);
        if (!goes_on) return;
    }
}

static void on_alarm(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    rondo__window_tell(RONDO__OF(alarm, rondo_fs_watch, window));
}

static void on_more(rondo_loop *loop, rondo__task *task) {
    (void)loop;
    rondo__window_tell(RONDO__OF(task, rondo_fs_watch, more));
}

void rondo__window_init(rondo_fs_watch *watch) {
    rondo__list_init(&watch->changes);
    rondo__list_init(&watch->opens);
    rondo__list_init(&watch->touched);
    rondo__alarm_init(&watch->window, on_alarm);
    rondo__task_init(&watch->more, on_more);
    watch->window_ms = 50;
    watch->max_changes = 10000;
}

void rondo__window_clear(rondo_fs_watch *watch) {
    rondo__alarm_clear(&watch->window);
    rondo__task_cancel(&watch->more);
    drop_all(watch);
    rondo__watch_map_clear(&watch->latest, NULL);
    watch->flooded = false;
}
