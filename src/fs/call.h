/* SPDX-License-Identifier: MIT
 *
 * What all file operations have in common: the seam between what the user calls, and a function of
 * plain system calls that runs on a worker of the fs lane, or at once for the synchronous form. An
 * operation is a `run`, a rondo__fs_op that says what it needs, and two public functions that fill
 * in a rondo__fs_call:
 *
 *     static int64_t run_rmdir(rondo__fs_call *call) { RONDO__FS_RETURN(rmdir(call->path)); }
 *     static const rondo__fs_op rmdir_op = {
 *         .event = {"fs.rmdir", rondo__fs_thunk}, .run = run_rmdir, .needs = RONDO__FS_PATH};
 *
 * Both forms share `run` and the check of the arguments, so that they can't differ. Internal.
 */
#ifndef RONDO__FS_CALL_H
#define RONDO__FS_CALL_H

#include <rondo/fs.h>

#include "loop/door.h"
#include "loop/retry.h"
#include "threadpool/job.h"

/* The arguments and the outputs of any operation. Those of one union share their room, so a run
 * reads what it needs before it writes its output, and writes that only on success. */
typedef struct rondo__fs_call {
    /* Copied by rondo__fs_start(); NULL when the callback is called. */
    const char *path, *path2;
    int fd, fd2;
    int flags;
    uint32_t mode;
    bool learn;  /* known.h */
    void *state; /* the operation's own: what it needs from one step to the next, or brings */
    union {
        struct { /* of reads and writes: one buffer, or so many parts (rondo__fs_part()) */
            void *buffer;
            size_t len;
            int64_t offset; /* -1: the file's position */
            size_t done;    /* bytes moved so far */
            const void *parts;
            size_t part_count, part_at; /* part_at: the first that isn't done, ... */
            size_t part_done;           /* ... but for so many of its bytes */
        };
        struct {
            int64_t atime_ns, mtime_ns;
        };
        struct {
            uint32_t uid, gid;
        };
        /* Outputs. */
        rondo_stat stat;
        rondo_statfs statfs;
        char *text; /* by rondo__alloc(); end it with rondo__fs_free_text() */
    };
} rondo__fs_call;

/* What `cached` returns when a worker must go on; and `run` when there is another step. */
#define RONDO__FS_WAIT INT64_MIN
#define RONDO__FS_MORE (INT64_MIN + 1)

enum {
    RONDO__FS_PATH = 1,     /* path must not be NULL */
    RONDO__FS_PATH2 = 2,    /* nor path2 */
    RONDO__FS_BUFFER = 4,   /* uses the caller's memory: buffer, len and offset are checked */
    RONDO__FS_MUST_RUN = 8, /* never refused nor canceled */
    RONDO__FS_STEPS = 16,   /* run() may return RONDO__FS_MORE */
    RONDO__FS_POSITION = 32 /* uses a file's position, whatever the offset */
};

typedef struct rondo__fs_op {
    rondo__event event;
    /* On a worker or any other thread. The result: 0 or more, or a negative RONDO_E*. Outputs stay
     * as they were on failure. Or RONDO__FS_MORE: a step is done, and run() wants to be called once
     * more, with the same call, after others had their turn. */
    int64_t (*run)(rondo__fs_call *call);
    /* On the loop thread, first: does what is certain not to wait. The result, or RONDO__FS_WAIT:
     * then run() goes on with the call as it is, call->done included. NULL: nothing is certain. */
    int64_t (*cached)(rondo__fs_call *call);
    /* Gives back what the call holds: after the callback (told), or when nobody was told of the
     * result (RONDO_ECANCELED: run() never ran): an open fd is to be closed, say. May be NULL. */
    void (*end)(rondo__fs_call *call, int64_t result, bool told);
    unsigned needs;
    /* `cached` is dear: it pays only when nothing else goes on. Tried once a turn, and not while an
     * operation of this loop is with a worker. */
    bool alone;
} rondo__fs_op;

/* Checks the arguments, copies what call points to except buffers, and sends it to the fs lane (or
 * has it `cached`). ret_job may be NULL. Returns 0 or a negative RONDO_E*, and then the call is the
 * caller's: end() is not called. */
int rondo__fs_start(rondo_loop *loop, const rondo__fs_op *op, const rondo__fs_call *call,
                    rondo_job **ret_job, rondo__fn cb, void *arg);
/* The synchronous form: the result. Outputs are in *call; end() is not called. Any thread. */
int64_t rondo__fs_now(const rondo__fs_op *op, rondo__fs_call *call);

/* What a thunk gets as its payload. */
typedef struct rondo__fs_answer {
    int64_t result;
    rondo__fs_call call; /* outputs and state */
} rondo__fs_answer;
/* The thunk of a rondo_fs_cb. */
void rondo__fs_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                     void *arg);
/* An `end` of operations that bring text. */
void rondo__fs_free_text(rondo__fs_call *call, int64_t result, bool told);

/* Part i of a read or write of many: call->parts is an array of rondo_slice or rondo_buffer. */
rondo_buffer rondo__fs_part(const rondo__fs_call *call, size_t i);

/* Returns what a system call returned, again and again while it is interrupted, or the error code
 * for errno. */
#define RONDO__FS_RETURN(expression)                       \
    do {                                                   \
        int64_t returned_;                                 \
        RONDO__RETRY(returned_, expression);               \
        return returned_ < 0 ? rondo__errno() : returned_; \
    } while (0)

#endif
