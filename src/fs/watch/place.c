/* SPDX-License-Identifier: MIT
 *
 * The watched path itself. A lookup (look.c) goes through it part by part and leaves kernel watches
 * where it can change: on the directory of each symbolic link that it followed, and on that of its
 * end, or of the first part that is missing. Events at the end are told as they come; whatever else
 * may have changed is found out by another lookup, whose result is compared with what is known.
 */
#include <string.h>
#include <sys/inotify.h>

#include "fs/watch/watch.h"
#include "loop/memory.h"

#define NAME_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define GONE_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

/* ---- events ---- */

static void look_again(rondo_fs_watch *watch) {
    watch->resolve = true;
    watch->events++;
}

static void tell_removed(rondo_fs_watch *watch) {
    if (!watch->exists) return;
    rondo__window_add(watch, RONDO_FS_WATCH_REMOVED, "", watch->stamp.is_directory);
    watch->exists = false;
    watch->told = false;
}

void rondo__place_gone(rondo_fs_watch *watch) {
    if (watch->root) rondo__tree_drop(watch, watch->root);
    tell_removed(watch);
    look_again(watch);
}

/* Something was put at the end of the path. */
static void arrived(rondo_fs_watch *watch, bool is_directory) {
    if (watch->root || (watch->exists && is_directory)) rondo__place_gone(watch);
    rondo__window_add(watch, watch->exists ? RONDO_FS_WATCH_CHANGED : RONDO_FS_WATCH_CREATED, "",
                      is_directory);
    watch->exists = true;
    watch->told = true;
    watch->stamp.is_directory = is_directory;
    look_again(watch); /* it may be a link */
}

static void end_event(rondo_fs_watch *watch, uint32_t mask) {
    if (mask & (IN_CREATE | IN_MOVED_TO)) {
        arrived(watch, mask & IN_ISDIR);
    } else if (mask & (IN_DELETE | IN_MOVED_FROM)) {
        rondo__place_gone(watch);
    } else if (!watch->root) { /* or the directory says it itself */
        if (mask & IN_MODIFY) rondo__window_add(watch, RONDO_FS_WATCH_CHANGED, "", false);
        if (mask & IN_ATTRIB) rondo__window_add(watch, RONDO_FS_WATCH_ATTRIBUTES, "", false);
    }
}

void rondo__place_event(rondo__watch_place *place, uint32_t mask, const char *name) {
    rondo_fs_watch *watch = place->sub.watch;
    if (!name) {
        if (mask & GONE_EVENTS) look_again(watch);
    } else if (strcmp(name, place->name) == 0) {
        if (place->is_end) {
            end_event(watch, mask);
        } else if (mask & NAME_EVENTS) {
            watch->link_changed = true;
            look_again(watch);
        }
    }
}

/* ---- what a lookup has found ---- */

static void free_places(rondo__list *places) {
    for (rondo__list *link; (link = rondo__list_pop_front(places));) {
        rondo__watch_place *place = RONDO__OF(link, rondo__watch_place, link);
        rondo__inotify_unbind(&place->sub);
        rondo__free(place);
    }
}

void rondo__place_clear(rondo_fs_watch *watch) { free_places(&watch->places); }

static const rondo__look_place *place_at(const rondo__look *look, size_t offset) {
    return offset > 0 ? (const rondo__look_place *)(const void *)(look->bytes + offset) : NULL;
}

static void drop_watches(const rondo__look *look) {
    const rondo__look_place *found = place_at(look, look->first);
    for (; found; found = place_at(look, found->next))
        rondo__inotify_drop(look->inotify, found->wd);
    rondo__inotify_drop(look->inotify, look->root_wd);
}

static rondo__watch_place *new_place(rondo_fs_watch *watch, const rondo__look_place *found) {
    size_t size = strlen(found->name) + 1;
    rondo__watch_place *place = rondo__zalloc(sizeof *place + size);
    if (!place) return NULL;
    place->sub = (rondo__watch_sub){.wd = -1, .is_place = true, .watch = watch};
    place->is_end = found->is_end;
    memcpy(place->name, found->name, size);
    rondo__list_init(&place->link);
    return place;
}

/* One that is as found: it has heard of all that happened since, and must not hear of it again. */
static rondo__watch_place *same_place(const rondo__list *places, const rondo__look_place *found) {
    for (rondo__list *link = places->next; link != places; link = link->next) {
        rondo__watch_place *place = RONDO__OF(link, rondo__watch_place, link);
        if (place->sub.wd == found->wd && place->is_end == found->is_end &&
            strcmp(place->name, found->name) == 0)
            return place;
    }
    return NULL;
}

/* Takes its places for the old ones. */
static int take_places(rondo_fs_watch *watch, const rondo__look *look) {
    rondo__list before;
    int error = 0;
    rondo__list_init(&before);
    rondo__list_splice_back(&before, &watch->places);
    const rondo__look_place *found = place_at(look, look->first);
    for (; found && error == 0; found = place_at(look, found->next)) {
        rondo__watch_place *place = same_place(&before, found);
        if (place)
            rondo__list_remove(&place->link);
        else
            place = new_place(watch, found);
        if (place)
            rondo__list_push_back(&watch->places, &place->link);
        else
            error = RONDO_ENOMEM;
    }
    free_places(&before);
    return error;
}

/* Last: what happened during the lookup comes in now. */
static void bind_places(rondo_fs_watch *watch, const rondo__look *look) {
    const rondo__look_place *found = place_at(look, look->first);
    rondo__list *link = watch->places.next;
    for (; found; found = place_at(look, found->next), link = link->next) {
        rondo__watch_sub *sub = &RONDO__OF(link, rondo__watch_place, link)->sub;
        if (found->wd >= 0 && sub->wd != found->wd) rondo__inotify_bind(sub, found->wd);
    }
}

/* The file system there does not notify: looks from now on, instead of events. */
static void turn_to_polling(rondo_fs_watch *watch) {
    free_places(&watch->places);
    if (watch->root) rondo__tree_drop(watch, watch->root);
    rondo__inotify_leave(watch);
    watch->polling = true;
}

static int found_directory(rondo_fs_watch *watch, const rondo__look *look, bool first) {
    bool other = watch->root && rondo__stamp_other(&watch->stamp, &look->stamp);
    if (other) { /* a link leads elsewhere now */
        rondo__tree_drop(watch, watch->root);
        rondo__window_overflow(watch);
    } else if (!watch->root && !first && !watch->told) {
        tell_removed(watch); /* it was no directory */
        rondo__window_add(watch, RONDO_FS_WATCH_CREATED, "", true);
    }
    watch->exists = true;
    watch->stamp = look->stamp;
    if (!watch->root) {
        rondo__watch_dir *root = rondo__tree_plant(watch, !first && !other);
        if (!root) return RONDO_ENOMEM;
        if (watch->polling || (watch->flags & RONDO_FS_WATCH_RECURSIVE) || root->tell)
            rondo__tree_queue(watch, root); /* it is bound when it has been read */
        else
            rondo__inotify_bind(&root->sub, look->root_wd);
    } else if (watch->polling) {
        rondo__tree_queue(watch, watch->root);
    }
    return 0;
}

static void found_file(rondo_fs_watch *watch, const rondo__look *look, bool first) {
    const rondo__watch_stamp *old = &watch->stamp, *now = &look->stamp;
    bool link_changed = watch->link_changed, told = watch->told;
    if (watch->root) rondo__tree_drop(watch, watch->root);
    if (watch->exists && old->is_directory && !first) tell_removed(watch);
    if (first || told) {
        /* nothing to tell */
    } else if (!watch->exists) {
        rondo__window_add(watch, RONDO_FS_WATCH_CREATED, "", false);
    } else if (link_changed || rondo__stamp_other(old, now)) {
        rondo__window_add(watch, RONDO_FS_WATCH_CHANGED, "", false);
    } else if (watch->polling) {
        if (old->size != now->size || old->mtime_ns != now->mtime_ns)
            rondo__window_add(watch, RONDO_FS_WATCH_CHANGED, "", false);
        else if (old->ctime_ns != now->ctime_ns)
            rondo__window_add(watch, RONDO_FS_WATCH_ATTRIBUTES, "", false);
    }
    watch->exists = true;
    watch->stamp = *now;
}

static bool passes(int error) {
    return error == RONDO_ENOMEM || error == RONDO_EMFILE || error == RONDO_ENFILE ||
           error == RONDO_EIO || error == RONDO_EAGAIN;
}

int rondo__place_found(rondo_fs_watch *watch, rondo__look *look) {
    bool first = !watch->looked;
    int error = look->error;
    if (error == 0 && first && look->missing_early) error = RONDO_ENOENT;
    if (error == 0 && look->events == watch->events) error = take_places(watch, look);
    if (error < 0 && !first && passes(error)) {
        watch->resolve = watch->lacking = true;
        rondo__watch_lacks(watch, error, "");
        error = 0;
    } else if (error == 0 && look->events == watch->events) {
        watch->looked = true;
        if (look->network && !watch->polling) turn_to_polling(watch);
        if (look->exists && look->stamp.is_directory) {
            error = found_directory(watch, look, first);
        } else if (look->exists) {
            found_file(watch, look, first);
        } else {
            if (watch->root) rondo__tree_drop(watch, watch->root);
            tell_removed(watch);
        }
        watch->told = false;
        watch->link_changed = false;
        if (error == 0 && !watch->polling) bind_places(watch, look);
    } else {
        watch->resolve = true; /* it was overtaken */
    }
    drop_watches(look); /* those that nobody took */
    return error;
}
