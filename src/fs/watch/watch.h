/* SPDX-License-Identifier: MIT
 *
 * The struct of a file watch and what the parts of its implementation call of one another:
 *
 *   watch.c    the handle: life, settings, what is looked at next
 *   place.c    the watched path: what its links and its end say, whether something is there
 *   tree.c     the watched directories, and what their events say
 *   listing.c  what was read of a directory, against what is known of it
 *   look.c     the workers' part: resolving a path, reading directories; all system calls of it
 *   inotify.c  the loop's inotify instance: system calls, kernel watches shared by the handles
 *   window.c   changes that wait to be told
 *   names.c    sets of names        map.c  the hash map below all of it
 *
 * The kernel's events are turned into changes on the loop thread, which never looks at a file
 * system: that is a `look`, a job with a copy of what it needs, one per handle at a time. No user
 * callback runs before all that was read has been worked in (rondo__watch_settle()). Internal.
 */
#ifndef RONDO__WATCH_H
#define RONDO__WATCH_H

#include <rondo/error.h>
#include <rondo/watch.h>

#include "fs/watch/map.h"
#include "loop/alarm.h"
#include "loop/emit.h"
#include "loop/io.h"
#include "threadpool/job.h"

enum { RONDO__WATCH_READY, RONDO__WATCH_CHANGE, RONDO__WATCH_ERROR, RONDO__WATCH_EVENTS };

typedef struct rondo__inotify rondo__inotify;
typedef struct rondo__look rondo__look;

/* ---- what the kernel is asked to watch ---- */

/* Somebody's interest in a kernel watch. The kernel has one per inode, so several may share it. */
typedef struct rondo__watch_sub {
    rondo__watch_item item; /* inotify->subs, by wd */
    int wd;                 /* -1: none */
    bool is_place;          /* a rondo__watch_place; else a rondo__watch_dir */
    rondo_fs_watch *watch;
} rondo__watch_sub;

/* A name in a directory on the way to the watched path, or at its end. */
typedef struct rondo__watch_place {
    rondo__watch_sub sub;
    rondo__list link; /* watch->places */
    bool is_end;      /* what is watched itself, or what is missing on the way to it; else a link */
    char name[];
} rondo__watch_place;

/* ---- names ---- */

/* What stat(2) says that a comparison needs. */
typedef struct rondo__watch_stamp {
    uint64_t dev, ino;
    int64_t size, mtime_ns, ctime_ns;
    bool is_directory;
} rondo__watch_stamp;

typedef struct rondo__watch_name {
    rondo__watch_item item;
    rondo__list link; /* in the order of adding */
    rondo__watch_stamp stamp;
    char name[];
} rondo__watch_name;

typedef struct rondo__watch_names {
    rondo__watch_map map;
    rondo__list list;
} rondo__watch_names;

/* ---- the tree ---- */

typedef struct rondo__watch_dir {
    rondo__watch_sub sub;
    rondo__watch_item item; /* watch->dirs, by parent and name; not the root, not one moved away */
    struct rondo__watch_dir *parent; /* NULL: the root, or moved away */
    rondo__list children;            /* rondo__watch_dir.sibling */
    rondo__list sibling;
    rondo__list queue; /* watch->queue */
    char *name;        /* NULL: the root */
    /* Polling: what it held when last read. Otherwise, only for a new directory: what was told to
     * be in it, until the kernel's events from before it was read have been seen. */
    rondo__watch_names *names;
    rondo__list settling; /* watch->settling: the latter, by `settled` */
    uint64_t settled;     /* those events end here: see rondo__inotify_mark() */
    uint32_t pass;        /* of the listing that found it last */
    bool tell;            /* what is found in it is told as created */
    bool resync;          /* it was read before, but something was missed since */
    bool moved;           /* somewhere else while it was being read: read it again */
    bool missed;          /* events came for it while it was away */
    bool gone;            /* was not there when it was to be read: forgotten when it has settled */
    bool unwatched;       /* counted as such */
} rondo__watch_dir;

/* ---- changes that wait ---- */

typedef struct rondo__watch_change {
    rondo__list link; /* watch->changes, in the order of telling */
    rondo__list open; /* watch->opens: moved away, and may yet turn up */
    rondo__watch_item item;
    bool mapped; /* in watch->latest: may take in what comes next at its path */
    bool is_directory;
    rondo_fs_watch_what what;
    uint32_t era; /* watch->era when it came */
    uint32_t cookie;
    uint64_t since_ns;     /* open: when it was heard of */
    rondo__watch_dir *dir; /* open: the directory, taken out of the tree */
    const char *from;      /* in text, or NULL */
    char text[];           /* the path */
} rondo__watch_change;

/* ---- the handle ---- */

struct rondo_fs_watch {
    rondo_handle base;
    rondo__slot on[RONDO__WATCH_EVENTS];
    char *path;      /* absolute */
    int flags;       /* of start */
    bool ready;      /* has been told */
    bool failed;     /* to watch a part: has been told */
    bool lacking;    /* something that passes: look again later */
    int fatal;       /* the path can't be watched any more */
    int lack;        /* why a part is not watched; 0: all is */
    char *lack_path; /* which */
    bool polling;
    uint64_t interval_ms;
    uint32_t life;           /* counts starts and stops */
    rondo__inotify *inotify; /* NULL: stopped, or polling */
    rondo__list fellow;      /* inotify->watches */
    rondo__look *look;       /* under way; NULL: none */
    uint64_t since;          /* where the event stream was when that began */
    rondo__alarm again;      /* the next look of a poll; or one that was refused */
    rondo_fs_watch_figures figures;
    /* ---- place.c ---- */
    rondo__list places;
    rondo__watch_stamp stamp; /* of what is there */
    bool looked;              /* up, since the start */
    bool exists;
    bool resolve;      /* the path must be looked up (again) */
    bool link_changed; /* since it was looked up */
    bool told;         /* events have told what the next lookup will find */
    uint32_t events;   /* counts those that overtake a lookup that is under way */
    /* ---- tree.c ---- */
    rondo__watch_dir *root;
    rondo__watch_map dirs;
    rondo__list queue; /* to be read */
    rondo__list settling;
    bool uncovered;     /* something was unmounted in it */
    size_t names_count; /* polling: in all directories */
    uint32_t pass;
    rondo__watch_dir *unfinished; /* being read over several looks */
    int unfinished_wd;
    int unfinished_fd;            /* its; -1: none, or with a look */
    rondo__watch_names *incoming; /* polling: read of it so far */
    char *text;                   /* room to put a path together */
    size_t text_room;
    /* ---- window.c ---- */
    uint64_t window_ms;
    size_t max_changes;
    rondo__list changes; /* rondo__watch_change */
    rondo__list opens;   /* of them, the open ones, oldest first */
    rondo__watch_map latest;
    uint32_t era;   /* counts directories that went: paths below them mean others since */
    size_t waiting; /* length of changes */
    size_t open_count;
    bool flooded;        /* there were too many, or something was missed */
    uint64_t flooded_ns; /* since when */
    rondo__alarm window;
    uint64_t turn;       /* that `budget` belongs to */
    uint32_t budget;     /* changes left to tell in it */
    rondo__task more;    /* told what the budget allows; goes on in the pending phase */
    rondo__list touched; /* inotify->touched */
};

extern const rondo__kind rondo__watch_kind;

/* ---- watch.c ---- */

/* Whether something is to be looked at, so that not all is watched of what may be there. */
bool rondo__watch_is_unsure(const rondo_fs_watch *watch);
/* Starts the next look that is needed, if none is under way. */
void rondo__watch_go_on(rondo_fs_watch *watch);
/* Stops, and tells why. Calls back. */
void rondo__watch_fail(rondo_fs_watch *watch, int error);
/* A directory can't be watched; told with the next settling. */
void rondo__watch_lacks(rondo_fs_watch *watch, int error, const char *path);
/* Events were lost: all must be looked at again, by us and by the user. */
void rondo__watch_lost(rondo_fs_watch *watch);
/* Tells what is due; go on. Calls back, so that nothing may be used after it without a look at
 * watch->life. */
void rondo__watch_settle(rondo_fs_watch *watch);

/* ---- window.c ---- */

void rondo__window_init(rondo_fs_watch *watch);
void rondo__window_add(rondo_fs_watch *watch, rondo_fs_watch_what what, const char *path,
                       bool is_directory);
/* It was moved from path. dir, if not NULL, has been taken out of the tree, and is dropped if it does
 * not turn up. */
void rondo__window_leave(rondo_fs_watch *watch, uint32_t cookie, const char *path,
                         bool is_directory, rondo__watch_dir *dir);
/* It was moved to path. False when it came from elsewhere, and nothing was done. */
bool rondo__window_arrive(rondo_fs_watch *watch, uint32_t cookie, const char *path,
                          rondo__watch_dir **ret_dir);
/* The change that both of them are. */
void rondo__window_rename(rondo_fs_watch *watch, const char *from, const char *path,
                          bool is_directory);
void rondo__window_overflow(rondo_fs_watch *watch);
/* Everything has been looked at: an overflow that waits for that is told, or will be. Calls back. */
void rondo__window_sure(rondo_fs_watch *watch);
/* Tells what is due now. Calls back. */
void rondo__window_tell(rondo_fs_watch *watch);
void rondo__window_clear(rondo_fs_watch *watch);

/* ---- place.c ---- */

void rondo__place_event(rondo__watch_place *place, uint32_t mask, const char *name);
/* The watched directory is not where it was. */
void rondo__place_gone(rondo_fs_watch *watch);
/* Takes over what a lookup has found. 0 or why watching ends. */
int rondo__place_found(rondo_fs_watch *watch, rondo__look *look);
void rondo__place_clear(rondo_fs_watch *watch);

/* ---- tree.c ---- */

/* The root; NULL when out of memory. */
rondo__watch_dir *rondo__tree_plant(rondo_fs_watch *watch, bool tell);
void rondo__tree_event(rondo__watch_dir *dir, uint32_t mask, uint32_t cookie, const char *name);
rondo__watch_dir *rondo__tree_child(rondo_fs_watch *watch, const rondo__watch_dir *dir,
                                    const char *name);
/* Moves a directory that was found by another name: polling. */
void rondo__tree_move(rondo_fs_watch *watch, rondo__watch_dir *dir, const char *name);
/* A subdirectory that was not known: it will be read. False when out of memory. */
bool rondo__tree_grow(rondo_fs_watch *watch, rondo__watch_dir *dir, const char *name, bool tell);
void rondo__tree_queue(rondo_fs_watch *watch, rondo__watch_dir *dir);
/* The path of `name` in dir (of dir itself: NULL), valid until the next one; NULL when out of
 * memory or when dir is not in the tree. */
const char *rondo__tree_path(rondo_fs_watch *watch, const rondo__watch_dir *dir, const char *name);
/* Forgets a directory and all below it. */
void rondo__tree_drop(rondo_fs_watch *watch, rondo__watch_dir *dir);
void rondo__tree_clear(rondo_fs_watch *watch);

/* ---- listing.c ---- */

/* Takes over what a look has read. */
void rondo__listing_found(rondo_fs_watch *watch, rondo__look *look);
/* The names of dir are not needed any more. */
void rondo__listing_forget(rondo_fs_watch *watch, rondo__watch_dir *dir);
/* Forgets the names that have served their time. */
void rondo__listing_settle(rondo_fs_watch *watch);
/* Stops in the middle of a directory. */
void rondo__listing_abort(rondo_fs_watch *watch);

/* ---- names.c ---- */

rondo__watch_names *rondo__names_new(void);
/* False when out of memory. It must not be there. */
bool rondo__names_add(rondo__watch_names *names, const char *name, const rondo__watch_stamp *stamp);
rondo__watch_name *rondo__names_find(const rondo__watch_names *names, const char *name);
void rondo__names_remove(rondo__watch_names *names, rondo__watch_name *name);
void rondo__names_free(rondo__watch_names *names); /* NULL is allowed */
/* Another file than before. */
bool rondo__stamp_other(const rondo__watch_stamp *a, const rondo__watch_stamp *b);

/* ---- inotify.c ---- */

/* Makes the handle one of the loop's instance, which is made if need be. 0, RONDO_EMFILE,
 * RONDO_ENFILE, RONDO_ENOMEM. */
int rondo__inotify_join(rondo_fs_watch *watch);
/* The handle is about to leave: its subs are unbound, then it does. */
void rondo__inotify_part(rondo_fs_watch *watch);
void rondo__inotify_leave(rondo_fs_watch *watch);
/* A look holds the instance: what its worker asks for belongs to it. */
rondo__inotify *rondo__inotify_hold(rondo_fs_watch *watch);
void rondo__inotify_release(rondo__inotify *inotify); /* NULL is allowed; may be gone then */

/* On a worker: watches the directory behind fd, an O_PATH descriptor, whose path `path` is tried
 * where there is no /proc. names: only what happens to names in it. The wd, or an error. */
int rondo__inotify_add(const rondo__inotify *inotify, int fd, const char *path, bool names);

/* The sub hears of wd from now on, and of what has happened since the handle's look began. */
void rondo__inotify_bind(rondo__watch_sub *sub, int wd);
void rondo__inotify_unbind(rondo__watch_sub *sub);
/* A wd that a look has brought and nobody wants. */
void rondo__inotify_drop(rondo__inotify *inotify, int wd);
/* How far the events go that the kernel has by now; and how far they have been read. */
uint64_t rondo__inotify_mark(const rondo__inotify *inotify);
uint64_t rondo__inotify_position(const rondo__inotify *inotify);
/* Settles the handle when all that was read has been worked in. */
void rondo__inotify_touch(rondo_fs_watch *watch);

/* ---- look.c ---- */

enum { RONDO__LOOK_DIRS = 32, RONDO__LOOK_NAMES = 256, RONDO__LOOK_BYTES = 64 * 1024 };

/* A place that a lookup has come through: in `bytes`. */
typedef struct rondo__look_place {
    size_t next; /* offset of the one after it; 0: the last */
    int wd;
    bool is_end;
    char name[];
} rondo__look_place;

/* A directory to read. */
typedef struct rondo__look_dir {
    rondo__watch_dir *dir; /* the loop's; NULL: gone meanwhile */
    size_t path;           /* in `bytes` of the request */
    int wd;                /* -1: none */
    int error;
    bool complete; /* read to the end */
} rondo__look_dir;

typedef struct rondo__look_entry {
    size_t next;
    unsigned dir; /* index */
    rondo__watch_stamp stamp;
    char name[];
} rondo__look_entry;

struct rondo__look {
    rondo_job base;
    rondo_fs_watch *watch;   /* NULL: it has stopped */
    rondo__inotify *inotify; /* NULL: polling */
    bool resolve;            /* the path; else directories */
    bool stat;               /* names are for comparing */
    bool network;            /* found: a file system that doesn't notify */
    bool missing_early;      /* found: not the last part of the path */
    bool exists;
    bool
        astray; /* found: the path leads to another directory than the one to read in, or to none */
    int error;
    int root_wd;
    uint32_t events;          /* watch->events when it began */
    rondo__watch_stamp stamp; /* of what is there */
    unsigned count;
    unsigned done; /* of them, those that were begun */
    rondo__look_dir dirs[RONDO__LOOK_DIRS];
    int fd;       /* of dirs[0]: goes on with it; afterwards, of the last one. -1: none */
    size_t first; /* of places or entries, offset in bytes; 0: none */
    size_t last;
    size_t names;
    size_t used;
    char *bytes; /* RONDO__LOOK_BYTES */
    char *paths; /* of dirs, each ended by a NUL */
    char path[];
};

/* What the workers do; results are in the look. */
int64_t rondo__look_resolve(rondo_job *job);
int64_t rondo__look_read(rondo_job *job);

#endif
