/* SPDX-License-Identifier: MIT
 *
 * The loop's inotify instance, one for all handles. Kernel watches are shared: the kernel has one
 * per inode, and gives its number again to who asks for the same inode.
 *
 * Workers ask for watches, so that events come for numbers that the loop has not heard of yet.
 * While a look is under way, all events are therefore kept in a log, and a sub that is bound is
 * shown those since its handle's look began. For the same reason no watch is given back meanwhile:
 * the look may have been given it again.
 */
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/watch/watch.h"
#include "loop/attach.h"
#include "loop/memory.h"
#include "loop/retry.h"

#define READ_BYTES 16384
#define READS_PER_TURN 4
#define LOG_MOST 8192

#define NAME_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define ALL_EVENTS (NAME_EVENTS | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

typedef struct logged {
    rondo__list link;
    uint64_t position; /* of its end */
    int wd;
    uint32_t mask, cookie;
    bool named;
    char name[];
} logged;

struct rondo__inotify {
    rondo__io io;
    rondo_loop *loop;
    int fd;
    pid_t pid;
    size_t handles;
    size_t looks;
    rondo__watch_map subs;
    rondo__list watches;     /* the handles */
    rondo__list touched;     /* of them, those to settle after the batch */
    uint64_t position;       /* bytes read since it was made */
    rondo__watch_item *next; /* the sub to be shown the event after the one that looks at it */
    rondo__list log;
    size_t logged;
    int *unwanted; /* to be given back when no look is under way */
    size_t unwanted_count, unwanted_room;
    bool reading; /* callbacks may run: it must not go */
    bool parting; /* the last handle goes: the kernel forgets all */
    _Alignas(struct inotify_event) char buffer[READ_BYTES];
};

/* ---- the log ---- */

static void forget_first(rondo__inotify *inotify) {
    rondo__free(RONDO__OF(rondo__list_pop_front(&inotify->log), logged, link));
    inotify->logged--;
}

static void forget_log(rondo__inotify *inotify) {
    while (inotify->logged > 0) forget_first(inotify);
}

static bool is_looking(const rondo_fs_watch *watch) { return watch->look || watch->unfinished; }

/* Settled like one that was shown an event: that may have been all that was read. */
static void lose(rondo_fs_watch *watch) {
    rondo__watch_lost(watch);
    rondo__inotify_touch(watch);
}

/* Those who would have needed the log start over. */
static void lose_log(rondo__inotify *inotify) {
    forget_log(inotify);
    for (rondo__list *link = inotify->watches.next; link != &inotify->watches; link = link->next) {
        rondo_fs_watch *watch = RONDO__OF(link, rondo_fs_watch, fellow);
        if (is_looking(watch)) lose(watch);
    }
}

static void keep(rondo__inotify *inotify, const struct inotify_event *event) {
    size_t size = event->len > 0 ? strlen(event->name) + 1 : 0;
    logged *entry = inotify->logged < LOG_MOST ? rondo__alloc(sizeof *entry + size) : NULL;
    if (!entry) {
        lose_log(inotify);
        return;
    }
    *entry = (logged){.position = inotify->position,
                      .wd = event->wd,
                      .mask = event->mask,
                      .cookie = event->cookie,
                      .named = size > 0};
    if (size > 0) memcpy(entry->name, event->name, size);
    rondo__list_init(&entry->link);
    rondo__list_push_back(&inotify->log, &entry->link);
    inotify->logged++;
}

/* Drops what no look can need any more. */
static void trim_log(rondo__inotify *inotify) {
    uint64_t since = UINT64_MAX;
    if (inotify->logged == 0) return;
    for (rondo__list *link = inotify->watches.next; link != &inotify->watches; link = link->next) {
        const rondo_fs_watch *watch = RONDO__OF(link, rondo_fs_watch, fellow);
        if (is_looking(watch) && watch->since < since) since = watch->since;
    }
    while (inotify->logged > 0 && RONDO__OF(inotify->log.next, logged, link)->position <= since)
        forget_first(inotify);
}

/* ---- kernel watches ---- */

int rondo__inotify_add(const rondo__inotify *inotify, int fd, const char *path, bool names) {
    /* Without following links: fd is the directory that was meant, whatever its path is by now.
     * IN_MASK_ADD: never takes away what another handle needs. */
    uint32_t mask = (names ? NAME_EVENTS | IN_DELETE_SELF | IN_MOVE_SELF : ALL_EVENTS) |
                    IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD;
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int wd = inotify_add_watch(inotify->fd, link, mask);
    if (wd < 0 && errno == ENOENT) /* no /proc: the last part of the path is checked */
        wd = inotify_add_watch(inotify->fd, path, mask | IN_DONT_FOLLOW);
    return wd < 0 ? rondo__errno() : wd;
}

static rondo__watch_sub *first_sub(const rondo__inotify *inotify, int wd) {
    rondo__watch_item *item =
        rondo__watch_map_first(&inotify->subs, rondo__watch_hash(&wd, sizeof wd, 0));
    for (; item; item = rondo__watch_map_next(item)) {
        rondo__watch_sub *sub = RONDO__OF(item, rondo__watch_sub, item);
        if (sub->wd == wd) return sub;
    }
    return NULL;
}

static void give_back(rondo__inotify *inotify, int wd) {
    if (inotify->parting || inotify->pid != getpid()) return; /* they are the parent's too */
    if (inotify->looks == 0) {
        inotify_rm_watch(inotify->fd, wd); /* EINVAL: the kernel has forgotten it by itself */
        return;
    }
    if (inotify->unwanted_count == inotify->unwanted_room) {
        size_t room = inotify->unwanted_room > 0 ? inotify->unwanted_room * 2 : 32;
        int *more = rondo__realloc(inotify->unwanted, room * sizeof(int));
        if (!more) return; /* it stays with the kernel; nobody listens */
        inotify->unwanted = more;
        inotify->unwanted_room = room;
    }
    inotify->unwanted[inotify->unwanted_count++] = wd;
}

void rondo__inotify_drop(rondo__inotify *inotify, int wd) {
    if (inotify && wd >= 0 && !first_sub(inotify, wd)) give_back(inotify, wd);
}

static void take_off(rondo__watch_sub *sub) {
    rondo__inotify *inotify = sub->watch->inotify;
    if (inotify->next == &sub->item) inotify->next = rondo__watch_map_next(&sub->item);
    rondo__watch_map_remove(&inotify->subs, &sub->item);
    sub->wd = -1;
}

void rondo__inotify_unbind(rondo__watch_sub *sub) {
    rondo__inotify *inotify = sub->watch->inotify;
    int wd = sub->wd;
    if (wd < 0) return;
    take_off(sub);
    rondo__inotify_drop(inotify, wd);
}

/* ---- events to subs ---- */

/* Also takes a kernel watch off that is no more. */
static void show(rondo__watch_sub *sub, uint32_t mask, uint32_t cookie, const char *name) {
    if (mask & IN_IGNORED) take_off(sub);
    if (sub->is_place)
        rondo__place_event(RONDO__OF(sub, rondo__watch_place, sub), mask, name);
    else
        rondo__tree_event(RONDO__OF(sub, rondo__watch_dir, sub), mask, cookie, name);
}

/* What one sub does may take others away. */
static void dispatch(rondo__inotify *inotify, const struct inotify_event *event) {
    uint32_t hash = rondo__watch_hash(&event->wd, sizeof event->wd, 0);
    const char *name = event->len > 0 ? event->name : NULL;
    rondo__watch_item *item = rondo__watch_map_first(&inotify->subs, hash);
    for (; item; item = inotify->next) {
        rondo__watch_sub *sub = RONDO__OF(item, rondo__watch_sub, item);
        inotify->next = rondo__watch_map_next(item);
        if (sub->wd != event->wd) continue;
        rondo__inotify_touch(sub->watch);
        show(sub, event->mask, event->cookie, name);
    }
}

static void lose_all(rondo__inotify *inotify) {
    forget_log(inotify);
    for (rondo__list *link = inotify->watches.next; link != &inotify->watches; link = link->next)
        lose(RONDO__OF(link, rondo_fs_watch, fellow));
}

static void work_in(rondo__inotify *inotify, size_t size) {
    for (size_t at = 0; at < size;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(inotify->buffer + at);
        size_t length = sizeof *event + event->len;
        at += length;
        inotify->position += length;
        if (event->mask & IN_Q_OVERFLOW) {
            lose_all(inotify);
            continue;
        }
        if (inotify->looks > 0) keep(inotify, event);
        dispatch(inotify, event);
    }
}

void rondo__inotify_bind(rondo__watch_sub *sub, int wd) {
    rondo_fs_watch *watch = sub->watch;
    rondo__inotify *inotify = watch->inotify;
    RONDO_ASSERT(sub->wd < 0 && wd >= 0);
    sub->wd = wd;
    rondo__watch_map_add(&inotify->subs, &sub->item, rondo__watch_hash(&wd, sizeof wd, 0));
    /* The log does not change meanwhile, but for being lost as a whole. */
    rondo__list *link = inotify->log.next;
    uint64_t after = watch->since;
    while (sub->wd == wd && link != &inotify->log) {
        const logged *entry = RONDO__OF(link, logged, link);
        link = link->next;
        if (entry->wd == wd && entry->position > after)
            show(sub, entry->mask, entry->cookie, entry->named ? entry->name : NULL);
    }
}

/* ---- reading ---- */

void rondo__inotify_touch(rondo_fs_watch *watch) {
    if (watch->inotify && !rondo__list_linked(&watch->touched))
        rondo__list_push_back(&watch->inotify->touched, &watch->touched);
}

/* Calls back; a callback may start, stop and close any handle. */
static void settle_touched(rondo__inotify *inotify) {
    for (rondo__list *link; (link = rondo__list_pop_front(&inotify->touched));)
        rondo__watch_settle(RONDO__OF(link, rondo_fs_watch, touched));
}

/* The instance itself is of no use any more. */
static void fail_all(rondo__inotify *inotify, int error) {
    rondo__loop_set_part(inotify->loop, RONDO__PART_WATCH, NULL); /* who starts now gets another */
    rondo__io_stop(inotify->loop, &inotify->io);
    while (!rondo__list_empty(&inotify->watches))
        rondo__watch_fail(RONDO__OF(inotify->watches.next, rondo_fs_watch, fellow), error);
}

static void destroy_unneeded(rondo__inotify *inotify);

static void on_ready(rondo_loop *loop, rondo__io *io, int events) {
    rondo__inotify *inotify = RONDO__OF(io, rondo__inotify, io);
    int error = rondo__io_watched(io) ? 0 : RONDO_ENOMEM;
    (void)loop, (void)events;
    inotify->reading = true;
    for (int i = 0; error == 0 && i < READS_PER_TURN; i++) {
        ssize_t got;
        RONDO__RETRY(got, read(inotify->fd, inotify->buffer, sizeof inotify->buffer));
        if (got > 0)
            work_in(inotify, (size_t)got);
        else if (got < 0 && errno == EAGAIN)
            break;
        else
            error = got < 0 ? rondo__errno() : RONDO_EIO;
    }
    settle_touched(inotify);
    if (error < 0) fail_all(inotify, error);
    inotify->reading = false;
    destroy_unneeded(inotify);
}

uint64_t rondo__inotify_position(const rondo__inotify *inotify) { return inotify->position; }

uint64_t rondo__inotify_mark(const rondo__inotify *inotify) {
    int bytes = 0;
    if (ioctl(inotify->fd, FIONREAD, &bytes) < 0) bytes = 1 << 20; /* later rather than too early */
    return inotify->position + (uint64_t)bytes;
}

/* ---- life ---- */

static void destroy(rondo__inotify *inotify) {
    rondo__io_stop(inotify->loop, &inotify->io);
    close(inotify->fd);
    forget_log(inotify);
    RONDO_ASSERT(rondo__list_empty(&inotify->touched) && inotify->subs.count == 0);
    rondo__watch_map_clear(&inotify->subs, NULL);
    rondo__free(inotify->unwanted);
    if (rondo__loop_part(inotify->loop, RONDO__PART_WATCH) == inotify)
        rondo__loop_set_part(inotify->loop, RONDO__PART_WATCH, NULL);
    rondo__free(inotify);
}

static void destroy_unneeded(rondo__inotify *inotify) {
    if (inotify->handles == 0 && inotify->looks == 0 && !inotify->reading) destroy(inotify);
}

static rondo__inotify *make(rondo_loop *loop, int *ret_error) {
    rondo__inotify *inotify = rondo__alloc(sizeof *inotify);
    if (!inotify) return *ret_error = RONDO_ENOMEM, NULL;
    memset(inotify, 0, offsetof(rondo__inotify, buffer));
    inotify->loop = loop;
    inotify->pid = getpid();
    rondo__list_init(&inotify->watches);
    rondo__list_init(&inotify->touched);
    rondo__list_init(&inotify->log);
    inotify->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (inotify->fd < 0) {
        *ret_error = rondo__errno();
        rondo__free(inotify);
        return NULL;
    }
    rondo__io_init(&inotify->io, inotify->fd, on_ready);
    *ret_error = rondo__io_watch(loop, &inotify->io, RONDO__READABLE);
    if (*ret_error < 0) {
        destroy(inotify);
        return NULL;
    }
    rondo__loop_set_part(loop, RONDO__PART_WATCH, inotify);
    return inotify;
}

int rondo__inotify_join(rondo_fs_watch *watch) {
    rondo_loop *loop = watch->base.loop;
    rondo__inotify *inotify = rondo__loop_part(loop, RONDO__PART_WATCH);
    int error = 0;
    if (!inotify) inotify = make(loop, &error);
    if (!inotify) return error;
    inotify->handles++;
    rondo__list_push_back(&inotify->watches, &watch->fellow);
    watch->inotify = inotify;
    return 0;
}

rondo__inotify *rondo__inotify_hold(rondo_fs_watch *watch) {
    if (watch->inotify) watch->inotify->looks++;
    return watch->inotify;
}

/* What the look could have been given may be given back, what it could have missed be forgotten. */
void rondo__inotify_release(rondo__inotify *inotify) {
    if (!inotify) return;
    RONDO_ASSERT(inotify->looks > 0);
    inotify->looks--;
    trim_log(inotify);
    if (inotify->looks == 0) {
        for (size_t i = 0; i < inotify->unwanted_count; i++)
            rondo__inotify_drop(inotify, inotify->unwanted[i]);
        inotify->unwanted_count = 0;
    }
    destroy_unneeded(inotify);
}

void rondo__inotify_part(rondo_fs_watch *watch) {
    rondo__inotify *inotify = watch->inotify;
    inotify->parting = inotify->handles == 1 && inotify->looks == 0 && !inotify->reading;
}

void rondo__inotify_leave(rondo_fs_watch *watch) {
    rondo__inotify *inotify = watch->inotify;
    RONDO_ASSERT(inotify && inotify->handles > 0);
    rondo__list_remove(&watch->fellow);
    rondo__list_remove(&watch->touched);
    watch->inotify = NULL;
    inotify->handles--;
    destroy_unneeded(inotify);
}
