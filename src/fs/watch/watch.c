/* SPDX-License-Identifier: MIT
 *
 * The handle: life, settings, and what is looked at next. A handle has one look under way at most:
 * the path first, then directories that wait to be read, and when there are none it is ready; one
 * that polls begins anew after its interval.
 */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/watch/watch.h"
#include "loop/memory.h"
#include "loop/retry.h"

#include <rondo/loop.h>

#define NS_PER_MS UINT64_C(1000000)
#define RETRY_MS 100

/* ---- events ---- */

RONDO__DEFINE_EVENT(rondo_fs_watch, rondo_fs_watch, ready, rondo_fs_watch_cb, &rondo__watch_kind,
                    RONDO__WATCH_READY);
RONDO__DEFINE_EVENT(rondo_fs_watch, rondo_fs_watch, change, rondo_fs_watch_change_cb,
                    &rondo__watch_kind, RONDO__WATCH_CHANGE);
RONDO__DEFINE_EVENT(rondo_fs_watch, rondo_fs_watch, error, rondo_fs_watch_error_cb,
                    &rondo__watch_kind, RONDO__WATCH_ERROR);

typedef struct failure {
    int error;
    const char *path;
} failure;

static void ready_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_fs_watch_cb)fn)((rondo_fs_watch *)handle, arg);
}

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    const failure *what = payload;
    (void)loop;
    ((rondo_fs_watch_error_cb)fn)((rondo_fs_watch *)handle, what->error, what->path, arg);
}

static const rondo__event ready_event = {"fs_watch.ready", ready_thunk};
static const rondo__event error_event = {"fs_watch.error", error_thunk};

static void tell_error(rondo_fs_watch *watch, int error, const char *path) {
    failure what = {error, path};
    if (rondo__emit(&watch->base, &watch->on[RONDO__WATCH_ERROR], RONDO__WATCH_ERROR, &error_event,
                    &what) == 0 &&
        !rondo__handle_closing(&watch->base))
        rondo__uncaught(watch->base.loop, &watch->base, error, "a path can't be watched");
}

/* ---- looks ---- */

static void free_look(rondo__look *look) {
    if (look->fd >= 0) close(look->fd);
    rondo__free(look->bytes);
    rondo__free(look->paths);
    rondo__request_free(&look->base);
}

/* Watches of a look whose handle does not want them any more. */
static void drop_watches(rondo__look *look) {
    for (unsigned i = 0; i < look->count; i++) rondo__inotify_drop(look->inotify, look->dirs[i].wd);
    rondo__inotify_drop(look->inotify, look->root_wd);
    for (size_t at = look->resolve ? look->first : 0; at > 0;) {
        const rondo__look_place *place = (const rondo__look_place *)(void *)(look->bytes + at);
        rondo__inotify_drop(look->inotify, place->wd);
        at = place->next;
    }
}

static void deliver(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__look *look = (rondo__look *)job;
    rondo_fs_watch *watch = look->watch;
    rondo__inotify *inotify = look->inotify;
    int error = 0;
    (void)loop;
    if (!watch) {
        drop_watches(look);
    } else if (result < 0) { /* canceled with the loop's other jobs: nothing was looked at */
        error = (int)result;
    } else if (look->resolve) {
        error = rondo__place_found(watch, look);
    } else {
        rondo__listing_found(watch, look);
        error = watch->fatal;
    }
    if (watch) watch->look = NULL;
    free_look(look);
    rondo__inotify_release(inotify);
    if (!watch) return;
    if (error < 0)
        rondo__watch_fail(watch, error);
    else
        rondo__watch_settle(watch);
}

/* The loop is being freed; so is the instance, with the last of its looks. */
static void drop(rondo_job *job) {
    rondo__look *look = (rondo__look *)job;
    rondo__inotify *inotify = look->inotify;
    free_look(look);
    rondo__inotify_release(inotify);
}

static int new_look(rondo_fs_watch *watch, rondo__look **ret_look) {
    rondo_job *job;
    size_t size = strlen(watch->path) + 1;
    int error = rondo__request_new(watch->base.loop, sizeof(rondo__look) + size, &job);
    if (error < 0) return error;
    rondo__look *look = (rondo__look *)job;
    memset((char *)look + sizeof look->base, 0, sizeof *look - sizeof look->base);
    memcpy(look->path, watch->path, size);
    look->root_wd = look->fd = -1;
    look->bytes = rondo__alloc(RONDO__LOOK_BYTES);
    if (!look->bytes) {
        free_look(look);
        return RONDO_ENOMEM;
    }
    look->watch = watch;
    look->events = watch->events;
    look->stamp = watch->stamp;
    look->stat = watch->polling;
    job->deliver = deliver;
    job->drop = drop;
    job->keeps_result = true;
    job->weak = !rondo_has_ref(watch);
    *ret_look = look;
    return 0;
}

/* Fills in the next directories of the queue, or the one that is not finished. */
static int choose_dirs(rondo_fs_watch *watch, rondo__look *look) {
    rondo__list *link = watch->queue.next;
    size_t used = 0, room = 0;
    for (bool more = true; more && look->count < RONDO__LOOK_DIRS;) {
        rondo__watch_dir *dir = watch->unfinished;
        more = !dir && link != &watch->queue;
        if (more) {
            dir = RONDO__OF(link, rondo__watch_dir, queue);
            link = link->next;
        } else if (!dir) {
            break;
        }
        const char *path = rondo__tree_path(watch, dir, NULL);
        size_t size = path ? strlen(path) + 1 : 0;
        if (!path) return RONDO_ENOMEM;
        if (used + size > room) {
            char *bytes = rondo__realloc(look->paths, room = (used + size) * 2);
            if (!bytes) return RONDO_ENOMEM;
            look->paths = bytes;
        }
        memcpy(look->paths + used, path, size);
        look->dirs[look->count++] = (rondo__look_dir){.dir = dir, .path = used, .wd = -1};
        used += size;
    }
    return 0;
}

static int submit(rondo_fs_watch *watch, bool resolve) {
    rondo__look *look;
    rondo_lane *lane = rondo_lane_fs(watch->base.loop);
    if (!lane) return RONDO_ENOMEM;
    int error = new_look(watch, &look);
    if (error < 0) return error;
    look->resolve = resolve;
    look->base.run = resolve ? rondo__look_resolve : rondo__look_read;
    if (!resolve) error = choose_dirs(watch, look);
    if (!watch->unfinished && watch->inotify) watch->since = rondo__inotify_mark(watch->inotify);
    look->inotify = rondo__inotify_hold(watch);
    if (error == 0 && !resolve && watch->unfinished) { /* handed over before a worker looks */
        look->fd = watch->unfinished_fd;
        look->dirs[0].wd = watch->unfinished_wd;
    }
    if (error == 0) error = rondo__job_submit(lane, &look->base, false);
    if (error < 0) {
        look->fd = -1; /* still the handle's */
        free_look(look);
        rondo__inotify_release(watch->inotify);
        return error;
    }
    watch->look = look;
    if (resolve) {
        watch->resolve = false;
        return 0;
    }
    if (watch->unfinished) {
        watch->unfinished_fd = -1;
        watch->unfinished_wd = -1;
        return 0;
    }
    for (unsigned i = 0; i < look->count; i++) rondo__list_remove(&look->dirs[i].dir->queue);
    return 0;
}

static void retry_in(rondo_fs_watch *watch, uint64_t delay_ms) {
    rondo_loop *loop = watch->base.loop;
    uint64_t now_ns = rondo_loop_now_ns(loop), most_ms = (UINT64_MAX - 1 - now_ns) / NS_PER_MS;
    rondo__alarm_set(loop, &watch->again,
                     now_ns + (delay_ms < most_ms ? delay_ms : most_ms) * NS_PER_MS);
}

static void on_again(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_fs_watch *watch = RONDO__OF(alarm, rondo_fs_watch, again);
    (void)loop;
    if (watch->polling && rondo__list_empty(&watch->queue) && !watch->unfinished) {
        watch->pass++;
        watch->resolve = true;
    }
    rondo__watch_go_on(watch);
}

static bool has_to_read(const rondo_fs_watch *watch) {
    return watch->unfinished || !rondo__list_empty(&watch->queue);
}

bool rondo__watch_is_unsure(const rondo_fs_watch *watch) {
    return !watch->polling && (watch->look || watch->resolve || has_to_read(watch));
}

void rondo__watch_go_on(rondo_fs_watch *watch) {
    if (!rondo_is_active(watch) || watch->look || rondo__alarm_is_set(&watch->again)) return;
    bool reads = has_to_read(watch);
    bool lacking = watch->lacking && (watch->resolve || reads); /* it may be there later */
    if (lacking) {
        watch->lacking = false;
        retry_in(watch, RETRY_MS);
    } else if (watch->resolve || reads) {
        if (submit(watch, watch->resolve) < 0) retry_in(watch, RETRY_MS);
    } else {
        uint32_t life = watch->life;
        if (watch->polling) retry_in(watch, watch->interval_ms);
        rondo__window_sure(watch);
        if (life != watch->life || watch->ready) return;
        watch->ready = true;
        rondo__emit(&watch->base, &watch->on[RONDO__WATCH_READY], RONDO__WATCH_READY, &ready_event,
                    NULL);
    }
}

void rondo__watch_settle(rondo_fs_watch *watch) {
    uint32_t life = watch->life;
    if (watch->inotify) rondo__listing_settle(watch);
    if (watch->uncovered && watch->root) rondo__watch_lost(watch);
    watch->uncovered = false;
    if (watch->lack < 0 && !watch->failed) {
        int error = watch->lack;
        char *path = watch->lack_path;
        watch->failed = true;
        watch->lack_path = NULL;
        tell_error(watch, error, path ? path : "");
        rondo__free(path);
        if (life != watch->life) return;
    }
    if (watch->window_ms == 0) rondo__window_tell(watch);
    if (life == watch->life) rondo__watch_go_on(watch);
}

void rondo__watch_lacks(rondo_fs_watch *watch, int error, const char *path) {
    if (watch->lack < 0) return; /* once after each start */
    watch->lack = error;
    watch->lack_path = rondo__strdup(path ? path : "");
}

void rondo__watch_lost(rondo_fs_watch *watch) {
    rondo__window_overflow(watch);
    watch->resolve = true;
    watch->link_changed = false;
    watch->events++;
    if (!watch->root || !(watch->flags & RONDO_FS_WATCH_RECURSIVE)) return;
    watch->pass++;
    watch->root->resync = true;
    rondo__tree_queue(watch, watch->root);
}

/* ---- life ---- */

static void stop(rondo_fs_watch *watch) {
    if (!rondo_is_active(watch)) return;
    rondo__look *look = watch->look;
    watch->life++;
    watch->look = NULL;
    if (look) {
        look->watch = NULL;
        rondo_job_cancel(&look->base);
    }
    if (watch->inotify) rondo__inotify_part(watch);
    rondo__alarm_clear(&watch->again);
    rondo__window_clear(watch); /* first: directories that are on their way wait there */
    rondo__listing_abort(watch);
    rondo__tree_clear(watch);
    rondo__place_clear(watch);
    rondo__free(watch->lack_path);
    watch->lack_path = NULL;
    if (watch->inotify) rondo__inotify_leave(watch);
    RONDO_ASSERT(watch->names_count == 0 && watch->figures.unwatched == 0);
    rondo__handle_deactivate(&watch->base);
}

void rondo__watch_fail(rondo_fs_watch *watch, int error) {
    stop(watch);
    tell_error(watch, error, "");
}

static void watch_stop(rondo_handle *handle) { stop((rondo_fs_watch *)handle); }

static void watch_free(rondo_handle *handle) { rondo__free(((rondo_fs_watch *)handle)->path); }

static void watch_verify(const rondo_handle *handle) {
    const rondo_fs_watch *watch = (const rondo_fs_watch *)handle;
    bool active = (handle->flags & RONDO__HANDLE_ACTIVE) != 0;
    size_t waiting = 0;
    for (const rondo__list *link = watch->changes.next; link != &watch->changes; link = link->next)
        waiting++;
    RONDO_ASSERT(waiting == watch->waiting && waiting <= watch->max_changes + 1);
    RONDO_ASSERT(active ? watch->polling != !!watch->inotify : !watch->inotify && !watch->look);
    RONDO_ASSERT(!watch->look || watch->look->watch == watch);
    if (!active) {
        RONDO_ASSERT(waiting == 0 && !watch->root && rondo__list_empty(&watch->places));
        RONDO_ASSERT(!rondo__alarm_is_set(&watch->again) && !rondo__alarm_is_set(&watch->window));
    } else if (!watch->look && !rondo__list_linked(&watch->touched)) {
        /* Whatever is to be done has something that makes it go on. */
        bool busy = watch->resolve || watch->unfinished || !rondo__list_empty(&watch->queue);
        RONDO_ASSERT(!busy || rondo__alarm_is_set(&watch->again));
        RONDO_ASSERT((waiting == 0 && !watch->flooded) || rondo__alarm_is_set(&watch->window) ||
                     rondo__list_linked(&watch->more.link));
    }
}

const rondo__kind rondo__watch_kind = {
    .name = "fs_watch",
    .size = sizeof(rondo_fs_watch),
    .stop = watch_stop,
    .free = watch_free,
    .verify = watch_verify,
    .slots_offset = offsetof(rondo_fs_watch, on),
    .slot_count = RONDO__WATCH_EVENTS,
};

rondo_fs_watch *rondo_fs_watch_new_at(rondo_loop *loop, const char *site) {
    rondo__loop_check(loop, "rondo_fs_watch_new");
    rondo_fs_watch *watch = rondo__handle_new(loop, &rondo__watch_kind, site);
    if (!watch) return NULL;
    rondo__window_init(watch);
    rondo__alarm_init(&watch->again, on_again);
    rondo__list_init(&watch->fellow);
    rondo__list_init(&watch->places);
    rondo__list_init(&watch->queue);
    rondo__list_init(&watch->settling);
    watch->interval_ms = 1000;
    watch->unfinished_wd = watch->unfinished_fd = -1;
    return watch;
}

/* path, absolute, in new memory. */
static int absolute(const char *path, char **ret_path) {
    char here[PATH_MAX];
    size_t len = strlen(path), prefix = 0;
    if (path[0] != '/') {
        if (!getcwd(here, sizeof here)) return rondo__errno();
        prefix = strlen(here);
        here[prefix++] = '/';
    }
    if (prefix + len >= PATH_MAX) return RONDO_ENAMETOOLONG;
    char *copy = rondo__alloc(prefix + len + 1);
    if (!copy) return RONDO_ENOMEM;
    memcpy(copy, here, prefix);
    memcpy(copy + prefix, path, len + 1);
    *ret_path = copy;
    return 0;
}

/* As after the constructor, but for the settings. */
static void reset(rondo_fs_watch *watch, char *path, int flags) {
    rondo__free(watch->path);
    watch->path = path;
    watch->flags = flags;
    watch->polling = flags & RONDO_FS_WATCH_POLL;
    watch->ready = watch->failed = watch->looked = watch->exists = watch->told = false;
    watch->link_changed = watch->lacking = false;
    watch->lack = watch->fatal = 0;
    watch->resolve = true;
    watch->figures = (rondo_fs_watch_figures){.directories = 0};
    watch->life++;
}

int rondo_fs_watch_start(rondo_fs_watch *watch, const char *path, int flags) {
    RONDO__CHECK(watch, &rondo__watch_kind);
    char *copy;
    if (rondo__handle_closing(&watch->base)) return RONDO_ECLOSED;
    if (!path || !*path || flags & ~(RONDO_FS_WATCH_RECURSIVE | RONDO_FS_WATCH_POLL))
        return RONDO_EINVAL;
    if (rondo_is_active(watch)) return RONDO_EBUSY;
    int error = absolute(path, &copy);
    if (error < 0) return error;
    reset(watch, copy, flags);
    if (!watch->polling) error = rondo__inotify_join(watch);
    if (error < 0) return error;
    error = submit(watch, true);
    if (error < 0) {
        if (watch->inotify) rondo__inotify_leave(watch);
        return error;
    }
    rondo__handle_activate(&watch->base);
    return 0;
}

int rondo_fs_watch_stop(rondo_fs_watch *watch) {
    RONDO__CHECK(watch, &rondo__watch_kind);
    if (rondo__handle_closing(&watch->base)) return RONDO_ECLOSED;
    stop(watch);
    return 0;
}

/* ---- settings and questions ---- */

int rondo_fs_watch_set_window(rondo_fs_watch *watch, uint64_t window_ms, size_t max_changes) {
    RONDO__CHECK(watch, &rondo__watch_kind);
    if (rondo__handle_closing(&watch->base)) return RONDO_ECLOSED;
    if (max_changes == 0 || window_ms > UINT32_MAX) return RONDO_EINVAL;
    watch->window_ms = window_ms;
    watch->max_changes = max_changes;
    return 0;
}

int rondo_fs_watch_set_interval(rondo_fs_watch *watch, uint64_t interval_ms) {
    RONDO__CHECK(watch, &rondo__watch_kind);
    if (rondo__handle_closing(&watch->base)) return RONDO_ECLOSED;
    if (interval_ms == 0) return RONDO_EINVAL;
    watch->interval_ms = interval_ms;
    return 0;
}

void rondo_fs_watch_get_figures(const rondo_fs_watch *watch, rondo_fs_watch_figures *ret_figures) {
    RONDO__CHECK(watch, &rondo__watch_kind);
    *ret_figures = watch->figures;
    ret_figures->polling = watch->polling;
    ret_figures->exists = watch->exists;
}

const char *rondo_fs_watch_path(const rondo_fs_watch *watch) {
    RONDO__CHECK(watch, &rondo__watch_kind);
    return watch->path ? watch->path : "";
}

const char *rondo_fs_watch_what_name(rondo_fs_watch_what what) {
    static const char *const names[] = {"created",    "removed", "changed",
                                        "attributes", "renamed", "overflow"};
    return (unsigned)what < RONDO_FS_WATCH_WHAT_COUNT ? names[what] : "";
}
