/* SPDX-License-Identifier: MIT
 *
 * A stream's write queue: segments, oldest first, of copied bytes, lent memory, pieces of files, and
 * bytes that stay in the kernel.
 * A stream has one only while something is queued or to be given back. Internal.
 */
#ifndef RONDO__WRITE_QUEUE_H
#define RONDO__WRITE_QUEUE_H

#include <rondo/stream.h>

#include "loop/door.h"
#include "net/buffers.h"

/* What a file counts as in the queue, at most: its bytes are not in memory. */
#define RONDO__FILE_AHEAD ((uint64_t)64 * 1024)

typedef enum rondo__segment_kind {
    RONDO__SEGMENT_COPY, /* a block of the pool */
    RONDO__SEGMENT_LENT,
    RONDO__SEGMENT_FILE, /* this and what follows is not in memory */
    RONDO__SEGMENT_PIPE  /* a kernel pipe with bytes in it */
} rondo__segment_kind;

typedef struct rondo__segment {
    struct rondo__segment *next; /* first: see rondo__spares */
    rondo__segment_kind kind;
    const char *at; /* the next byte to send, in memory */
    uint64_t left;  /* bytes still to send */
    union {
        struct {
            size_t filled; /* of `bytes` */
        } copy;
        struct {
            void *data; /* as it was lent */
            size_t len;
            rondo_release_cb release;
            void *arg;
            int status; /* once it is done with */
        } lent;
        struct {
            uint64_t offset;
            int fd;
            bool own_fd;
            bool no_sendfile; /* refused for this file */
            uint64_t warm;    /* so many bytes are in the page cache: see file/warm.h */
        } file;
        struct {
            int fds[2];
        } pipe;
    };
    char bytes[]; /* of copies only */
} rondo__segment;

#define RONDO__BLOCK_ROOM (RONDO__BLOCK_BYTES - sizeof(rondo__segment))

typedef struct rondo__warming rondo__warming; /* file/warm.c */

typedef struct rondo__out {
    rondo__flush flush; /* first, larger than a pointer: see rondo__spares */
    rondo_stream *stream;
    rondo__net *net; /* of the stream's loop */
    rondo__segment *first, *last;
    rondo__segment *done_first, *done_last; /* lent ones, to be given back */
    rondo__segment *reserved;               /* the block that rondo__stream_reserve() gave out */
    size_t reserved_bytes;
    rondo__warming *warming; /* of the file at the front; the queue waits for it. Or NULL */
    size_t queued;
} rondo__out;

/* Bytes in the memory of who calls, to be sent from there as far as the kernel takes them. */
typedef struct rondo__direct {
    const rondo_slice *pieces;
    size_t count;
    size_t skip; /* bytes of the first piece that are sent */
    size_t left; /* bytes of all pieces that are not */
} rondo__direct;
/* len more bytes of it are sent. */
void rondo__direct_advance(rondo__direct *direct, size_t len);

/* Append to the stream's queue. 0, or RONDO_ENOMEM and nothing has changed. */
int rondo__out_copy(rondo_stream *stream, const char *data, size_t len);
int rondo__out_copy_direct(rondo_stream *stream, const rondo__direct *direct);
int rondo__out_lend(rondo_stream *stream, void *data, size_t len, rondo_release_cb release,
                    void *arg);
int rondo__out_file(rondo_stream *stream, int fd, uint64_t offset, uint64_t len, bool own_fd);

/* Moves bytes from a descriptor into a kernel pipe at the end of the queue: how many, 0 at the end,
 * RONDO_EAGAIN (there are none; or the pipe that is there is full, if anything is queued), an error.
 * RONDO_ENOTSUP: it has to be done by reading. */
int64_t rondo__out_splice(rondo_stream *stream, int fd);
/* Reads the bytes of the kernel pipe at the front into memory, for where they can't be spliced to. 0
 * or an error, which may have lost some. */
int rondo__out_load_pipe(rondo_stream *stream);

/* Takes len bytes off the front of the queue: they are sent. Not of files. */
void rondo__out_advance(rondo_stream *stream, size_t len);
/* The same for the file at the front. */
void rondo__out_advance_file(rondo_stream *stream, uint64_t len);
/* Reads the start of a file segment into a block in front of it, as much as fits. `before` is the
 * segment before, NULL at the front. Returns 0, RONDO_EAGAIN when it would have to wait for a disk (but
 * not for what is warm), RONDO_EIO when the file is shorter than promised, RONDO_ENOMEM, or what
 * reading gave. */
int rondo__out_load_file(rondo_stream *stream, rondo__segment *before, rondo__segment *file);

/* Empties the queue; lent memory will be given back with this status. */
void rondo__out_drop(rondo_stream *stream, int status);
/* Calls the release callbacks that are due; with a stream that is closing, only if `closing`. */
void rondo__out_release(rondo_stream *stream, bool closing);
/* Gives the queue back when nothing is in it. Call it last. */
void rondo__out_tidy(rondo_stream *stream);

/* Where the flush of a queue begins, in send.c. */
void rondo__out_flush(rondo__flush *flush);

void rondo__out_verify(const rondo_stream *stream);

#endif
