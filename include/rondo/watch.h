/* SPDX-License-Identifier: MIT
 *
 * Watching: what happens to a file, in a directory or in a whole tree, as events that name the
 * path. By inotify(7), or by looking again and again where the file system does not notify.
 *
 * A path is watched, not the thing that is there now. It may be missing (if the directory that it
 * shall be in exists), go, come back and be replaced. Symbolic links that lead to it are followed,
 * and one that is changed, the last or any before it, is noticed; links inside a watched tree are
 * not followed. Looking things up and reading directories happens on the pool's fs lane, in bounded
 * steps, never on the loop thread.
 *
 * The library owns the handle; rondo_close() is legal anywhere. Callbacks never run inside a call.
 * In a forked child a handle made before is refused: RONDO_ENOTSUP. Loop thread only.
 */
#ifndef RONDO_WATCH_H
#define RONDO_WATCH_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, what has happened). The path "" is the watched path itself. */
#define RONDO_FS_WATCH_WHATS(X)                                                              \
    X(CREATED, "it is there now: made, or moved in from elsewhere")                          \
    X(REMOVED, "it is gone: removed, or moved away; a directory with all that was in it")    \
    X(CHANGED, "its contents; or another file has taken its place")                          \
    X(ATTRIBUTES, "mode, owner, times, extended attributes, number of links")                \
    X(RENAMED, "it was `from` before, in the same directory or tree; what was here is gone") \
    X(OVERFLOW, "something was missed (path is \"\"): look at everything again")

typedef enum rondo_fs_watch_what {
#define RONDO__FS_WATCH_ENUM(name, text) RONDO_FS_WATCH_##name,
    RONDO_FS_WATCH_WHATS(RONDO__FS_WATCH_ENUM)
#undef RONDO__FS_WATCH_ENUM
        RONDO_FS_WATCH_WHAT_COUNT
} rondo_fs_watch_what;

/* All of it is the library's and valid during the call. Paths are bytes, relative to the watched
 * path, without a slash in front. */
typedef struct rondo_fs_watch_change {
    rondo_fs_watch_what what;
    bool is_directory;
    const char *path;
    const char *from; /* RENAMED: the old path; else NULL */
} rondo_fs_watch_change;

typedef void (*rondo_fs_watch_change_cb)(rondo_fs_watch *watch, const rondo_fs_watch_change *change,
                                         void *arg);
typedef void (*rondo_fs_watch_cb)(rondo_fs_watch *watch, void *arg);
/* path: what it is about, relative to the watched path. */
typedef void (*rondo_fs_watch_error_cb)(rondo_fs_watch *watch, int error, const char *path,
                                        void *arg);

enum {
    RONDO_FS_WATCH_RECURSIVE = 1, /* a directory's subdirectories too, also those to come */
    RONDO_FS_WATCH_POLL = 2       /* look every interval, whatever the file system */
};

/* A stopped handle; NULL when out of memory. */
#define rondo_fs_watch_new(loop) rondo_fs_watch_new_at((loop), RONDO_HERE)
RONDO_API rondo_fs_watch *rondo_fs_watch_new_at(rondo_loop *loop, const char *site);

/* Begins to watch; `ready` says when it does. path is copied; a relative one is meant from the
 * working directory of now. Returns 0; RONDO_EINVAL (NULL, "", unknown flags), RONDO_EBUSY (started
 * already), RONDO_ENAMETOOLONG, RONDO_EMFILE (no more inotify instances: sysctl
 * fs.inotify.max_user_instances; a loop needs one, however many handles it has; or descriptors),
 * RONDO_EAGAIN (the fs lane is full), RONDO_ENOMEM, RONDO_ENOTSUP, RONDO_ECLOSED; then it has not
 * started, but its path and figures may be those of the attempt. */
RONDO_API int rondo_fs_watch_start(rondo_fs_watch *watch, const char *path, int flags);
/* No event comes any more; may be started again. Idempotent. Returns 0 or RONDO_ECLOSED. */
RONDO_API int rondo_fs_watch_stop(rondo_fs_watch *watch);

/* From here on nothing is missed without being told. Once after each start. What was there before
 * is not told; what happens between start and ready may be. */
RONDO_DECLARE_EVENT(rondo_fs_watch, rondo_fs_watch, ready, rondo_fs_watch_cb);

/* Something has changed. Changes of one directory are told in the order in which they happened. What
 * a new directory holds is told as created when it has been read, each name once. Polling finds
 * changes in no order, renames only within a directory, and of what comes and goes between two looks
 * nothing. */
RONDO_DECLARE_EVENT(rondo_fs_watch, rondo_fs_watch, change, rondo_fs_watch_change_cb);

/* When the path can't be watched at all the handle has stopped before the event (rondo_is_active()
 * is false; it may be started again): RONDO_ENOENT (at the start: its directory does not exist),
 * RONDO_EACCES, RONDO_ELOOP, RONDO_ENAMETOOLONG, RONDO_ENOSPC (no more kernel watches: sysctl
 * fs.inotify.max_user_watches) and others.
 * When only a directory in the tree can't be watched, or something passes (RONDO_EMFILE,
 * RONDO_ENOMEM), it goes on; the first such error after each start is told, figures count the
 * directories. RONDO_EOVERFLOW: polling, more than 1,000,000 names. Without a listener an error is
 * uncaught (rondo_loop_on_uncaught()). */
RONDO_DECLARE_EVENT(rondo_fs_watch, rondo_fs_watch, error, rondo_fs_watch_error_cb);

/* Changes wait for up to window_ms, and those of the same path are told as one: created and then
 * changed is CREATED; changed several times CHANGED; a file removed and created again CHANGED;
 * what was created and removed again is not told. 0 tells each, as soon as it is known. The default
 * is 50 ms, in which an editor has saved. At most max_changes wait (10,000 unless set); more are
 * one OVERFLOW. That, for whatever reason, is told when all directories are known and watched (again),
 * and what comes before it is not; if it takes longer than a second, at once, and then once more. Renames are not joined with anything. Holds from the next change on. RONDO_EINVAL when
 * max_changes is 0 or the window longer than 2^32 - 1 ms; RONDO_ECLOSED. */
RONDO_API int rondo_fs_watch_set_window(rondo_fs_watch *watch, uint64_t window_ms,
                                        size_t max_changes);
/* How long to wait between two looks where it polls; 1000 ms unless set. Holds from the next look
 * on. 0, RONDO_EINVAL for 0, or RONDO_ECLOSED. */
RONDO_API int rondo_fs_watch_set_interval(rondo_fs_watch *watch, uint64_t interval_ms);

typedef struct rondo_fs_watch_figures {
    size_t directories; /* of the tree, the watched one included; 0 for a file */
    size_t unwatched;   /* directories of the tree that could not be; see `error` */
    uint64_t changes;   /* told */
    uint64_t overflows; /* of them, OVERFLOW */
    bool polling;       /* not by inotify */
    bool exists;        /* something is at the path, as far as is known */
} rondo_fs_watch_figures;
RONDO_API void rondo_fs_watch_get_figures(const rondo_fs_watch *watch,
                                          rondo_fs_watch_figures *ret_figures);

/* The path as it was given, made absolute; "" before the first start. Valid until the next start. */
RONDO_API const char *rondo_fs_watch_path(const rondo_fs_watch *watch);
/* "created", "removed", ... Static. */
RONDO_API const char *rondo_fs_watch_what_name(rondo_fs_watch_what what);

#ifdef __cplusplus
}
#endif
#endif
