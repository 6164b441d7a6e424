/* SPDX-License-Identifier: MIT
 *
 * A file as a stream: what hangs in the stream as the state of its transport.
 *
 *   open.c    the public calls      reader.c  reading ahead, on the worker and on the loop
 *   work.c    life and jobs         writer.c  pieces of the queue to the worker, the end
 *   calls.c   system calls
 *
 * One job at a time is under way for a stream: it opens, reads ahead, writes, or closes. While it is,
 * the fields that it uses are the worker's, and nothing but `stream` is touched on the loop thread.
 * A stream that closes lets go of its file at once, which then lives on by itself until the worker is
 * back and the descriptor is closed. So no descriptor or buffer is ever taken from under a worker. A
 * worker that waits for a device is asked to come back; one in a system call on a file can't be asked,
 * and that of a dead network file system may never return: a reader's is abandoned, a writer's is not,
 * for what is written must be in the file when the loop is gone, and never come after what others write.
 *
 * There is nothing to poll. The file says when its stream can go on (transport.h, `watch`): when a job
 * has ended, right then; for what is in memory already, once in each turn. For src/net/ only.
 */
#ifndef RONDO__FILE_H
#define RONDO__FILE_H

#include "net/duplex.h"
#include "net/file/calls.h"
#include "threadpool/job.h"

/* What one job writes at most, and a writer's high-water mark: worth a worker's wake-up. */
#define RONDO__FILE_PIECE ((size_t)256 * 1024)

typedef struct rondo__file {
    rondo_job job;
    void (*arrived)(struct rondo__file *file, int64_t result); /* its result, on the loop thread */
    bool busy;                                                 /* the job is under way */
    bool writes;
    bool sync;                           /* fsync(2) before it is closed */
    bool claimed;                        /* the fd was taken over */
    atomic_bool heeds;                   /* a worker has seen that it will notice being canceled */
    bool standard;                       /* of tty/stdio.c: see below */
    bool ran;                            /* ... the worker is through with the job */
    int64_t (*run)(rondo_job *job);      /* ... which is this */
    void (*leave)(rondo_stream *stream); /* ... the stream closes */
    rondo_loop *loop;
    rondo_stream *stream; /* NULL: it is closed */
    rondo__task again;    /* looks whether the stream can go on */
    int fd;               /* -1: not open yet, or closed */
    rondo__file_cache cache;
    int64_t offset; /* of the next byte; -1: at the position */
    int error;      /* to be told when the stream comes for more; 0: none */
    char *buffer;   /* NULL: none needed now */
    size_t size;    /* of the buffer */
    /* A reader: what was read ahead is buffer[at..at+ahead). */
    size_t at, ahead;
    size_t want;   /* that the worker is to read */
    size_t came;   /* that it has read, until we hear of it */
    uint64_t left; /* of its range, not read ahead */
    bool ended;    /* the end was read */
    /* A writer: of buffer[0..given) the worker has written `done`. */
    size_t given, done;
    int source; /* a copied descriptor whose bytes go into the buffer first; -1: none */
    uint64_t source_offset;
    bool shut; /* the last job is done */
    /* To be opened. */
    int open_flags;
    uint32_t mode;
    char path[];
} rondo__file;

extern const rondo__transport rondo__file_reader, rondo__file_writer;

static inline rondo__file *rondo__file_of(const rondo_stream *stream) {
    return rondo__stream_transport_state(stream);
}

/* ---- work.c ---- */

/* Sends a job to the fs lane. `arrived` is called unless the stream closes meanwhile, and then the
 * stream goes on. 0 or why there can be none. */
int rondo__file_start(rondo__file *file, int64_t (*run)(rondo_job *job),
                      void (*arrived)(rondo__file *file, int64_t result));
/* Opens file->path. */
int rondo__file_start_opening(rondo__file *file);
/* The stream goes on, if it can. */
void rondo__file_again(rondo_loop *loop, rondo__task *task);
/* As of the transport. */
void rondo__file_watch(rondo_stream *stream, int events);
void rondo__file_stop(rondo_stream *stream);
void rondo__file_free(rondo_stream *stream);
/* The fd is about to be closed by a worker, and the number may be somebody else's before we hear. */
void rondo__file_unclaim(rondo__file *file);
/* Makes room for so many bytes; 0 or RONDO_ENOMEM. */
int rondo__file_need_buffer(rondo__file *file, size_t size);
void rondo__file_drop_buffer(rondo__file *file);

/* The worker is back from the job of a standard stream, or it never gets to it; waits for that. */
void rondo__file_await(rondo__file *file);

/* ---- a standard stream: open.c, writer.c ---- */

/* As rondo_file_reader_take() and rondo_file_writer_take(), from the position, for tty/stdio.c: a
 * writer keeps the loop alive only while something is queued, and `leave` is called when the stream
 * closes, while its queue is there. */
int rondo__file_take_standard(rondo_loop *loop, int fd, bool writes,
                              void (*leave)(rondo_stream *stream), rondo_stream **ret_stream,
                              const char *site);
bool rondo__file_is_standard(const rondo_stream *stream);
/* At the end of the process or the stream, and no place to wait in: what a worker is at is off the
 * queue, or, of a reader, what it read ahead is back. Then the rest is written here: bytes, or an
 * error. */
void rondo__file_settle(rondo_stream *stream);
int64_t rondo__file_write_now(rondo_stream *stream, const char *data, size_t len);

/* ---- reader.c ---- */

/* The position goes back to behind the last byte that was told. */
void rondo__file_unread_ahead(rondo__file *file);

#endif
