/* SPDX-License-Identifier: MIT
 *
 * The standard streams: a stream on a descriptor of its own (device.c), on a file that of src/net/file/
 * and else with a transport around it,
 * which knows how to read and write without leaving O_NONBLOCK to others, keeps the loop alive only
 * while something is queued, and hands over what is queued when the stream closes or the process
 * exits. At most three in a process.
 */
#include <rondo/tty.h>

#include <pthread.h>
#include <unistd.h>

#include "loop/memory.h"
#include "net/duplex.h"
#include "net/file/file.h"
#include "net/tty/borrow.h"
#include "net/tty/device.h"
#include "net/tty/farewell.h"

typedef struct standard {
    rondo__device device;
    int number;
    bool writes;
} standard;

/* Which streams there are. A child of fork(2) inherits the table, but not the streams. */
static struct place {
    rondo_stream *stream;
    pid_t pid;
} places[3];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static standard *standard_of(const rondo_stream *stream) {
    return rondo__stream_transport_state(stream);
}

static bool is_open(const struct place *place) { return place->stream && place->pid == getpid(); }

/* ---- handing over ---- */

static int64_t write_now(rondo_stream *stream, const char *data, size_t len) {
    if (rondo__file_is_standard(stream)) return rondo__file_write_now(stream, data, len);
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return rondo__device_write(&standard_of(stream)->device, &piece, 1, 0);
}

/* All that is queued, as write(2) would on a blocking descriptor. Gives up on an error: the reader
 * has gone, the disk is full, or there is no memory to read a file into. */
static void hand_over(rondo_stream *stream) {
    if (rondo__file_is_standard(stream)) rondo__file_settle(stream);
    while (stream->out && stream->out->first) {
        rondo__segment *segment = stream->out->first;
        if (segment->kind == RONDO__SEGMENT_FILE) {
            segment->file.warm = segment->left; /* it may take as long as it takes */
            if (rondo__out_load_file(stream, NULL, segment) < 0) return;
            continue;
        }
        int64_t sent = write_now(stream, segment->at, (size_t)segment->left);
        if (sent == RONDO_EAGAIN) {
            rondo__device_wait_writable(stream->fd);
        } else if (sent < 0) {
            return;
        } else {
            stream->bytes_out += (uint64_t)sent;
            rondo__out_advance(stream, (size_t)sent);
        }
    }
}

void rondo__stdio_hand_over(void) {
    for (int number = 0; number <= 2; number++) {
        pthread_mutex_lock(&lock);
        struct place place = places[number];
        pthread_mutex_unlock(&lock);
        /* A thread that may be writing to the queue right now can't be stopped from here. */
        if (is_open(&place) && rondo__loop_on_thread(place.stream->base.loop))
            hand_over(place.stream);
    }
}

/* ---- the transport ---- */

static int64_t standard_read(rondo_stream *stream, void *buffer, size_t size) {
    return rondo__device_read(&standard_of(stream)->device, buffer, size);
}

static int64_t standard_write(rondo_stream *stream, const struct iovec *iov, int count, int flags) {
    rondo__handle_activate(&stream->base);
    return rondo__device_write(&standard_of(stream)->device, iov, count, flags);
}

static int64_t standard_sendfile(rondo_stream *stream, int file, uint64_t offset, uint64_t len) {
    const rondo__device *device = &standard_of(stream)->device;
    if (device->socket) return RONDO_ENOSYS; /* it can't be told not to wait */
    rondo__handle_activate(&stream->base);
    return rondo__socket_sendfile(device->fd, file, offset, len);
}

/* Also called when all is written. */
static int standard_flush(rondo_stream *stream) {
    rondo__handle_deactivate(&stream->base);
    return 0;
}

static int standard_shut(rondo_stream *stream) {
    (void)stream; /* it is not ours alone */
    return 0;
}

/* The number is free again; what is queued is written first, unless it is our parent's. */
static void leave(rondo_stream *stream) {
    bool ours = false;
    pthread_mutex_lock(&lock);
    for (int number = 0; number <= 2; number++) {
        struct place *place = &places[number];
        if (!is_open(place) || place->stream != stream) continue;
        place->stream = NULL;
        ours = true;
    }
    pthread_mutex_unlock(&lock);
    if (ours) hand_over(stream);
}

static void standard_stop(rondo_stream *stream) {
    leave(stream);
    rondo__borrow_end(standard_of(stream));
}

static void standard_free(rondo_stream *stream) { rondo__free(standard_of(stream)); }

static const rondo__transport standard_transport = {
    .name = "stdio",
    .read = standard_read,
    .write = standard_write,
    .sendfile = standard_sendfile,
    .flush = standard_flush,
    .shut = standard_shut,
    .stop = standard_stop,
    .free = standard_free,
};

/* ---- opening ---- */

/* One direction; the other is over from the start. */
static void set_direction(rondo_stream *stream, bool writes) {
    if (!writes) {
        stream->flags |= RONDO__ENDED | RONDO__SHUT | RONDO__FINISHED;
        return;
    }
    stream->flags |= RONDO__EOF;
    rondo__io_watch(stream->base.loop, &stream->io, 0);
    rondo__handle_deactivate(&stream->base);
}

/* Takes the device over on success only. */
static int open_on(rondo_loop *loop, standard *self, rondo_stream **ret_stream, const char *site) {
    const rondo__device *device = &self->device;
    int status = rondo__farewell_at_exit();
    if (status == 0 && device->shared)
        status = rondo__borrow_nonblock(self->number, device->fd, device->found, self);
    if (status < 0) return status;
    rondo_stream *stream = rondo__stream_new(loop, device->fd, false, 0, site);
    if (stream && rondo__stream_need_extra(stream) == 0) {
        stream->flags &= ~(uint32_t)RONDO__SOCKET;
        set_direction(stream, self->writes);
        rondo__stream_set_transport(stream, &standard_transport, self);
        *ret_stream = stream;
        return 0;
    }
    if (stream) rondo__stream_discard(stream);
    rondo__borrow_end(self);
    return RONDO_ENOMEM;
}

static int open_pollable(rondo_loop *loop, int number, const rondo__device *device,
                         rondo_stream **ret_stream, const char *site) {
    standard *self = rondo__zalloc(sizeof *self);
    if (!self) return RONDO_ENOMEM;
    *self = (standard){.device = *device, .number = number, .writes = number > 0};
    int status = open_on(loop, self, ret_stream, site);
    if (status < 0) rondo__free(self);
    return status;
}

static int open_number(rondo_loop *loop, int number, rondo_stream **ret_stream, const char *site) {
    rondo__device device;
    bool writes = number > 0;
    int status = rondo__device_open(number, writes, &device);
    if (status < 0) return status;
    if (!device.disk) {
        status = open_pollable(loop, number, &device, ret_stream, site);
    } else {
        status = rondo__farewell_at_exit();
        if (status == 0)
            status = rondo__file_take_standard(loop, device.fd, writes, leave, ret_stream, site);
    }
    if (status < 0) rondo__socket_close(device.fd);
    return status;
}

int rondo_stdio_open_at(rondo_loop *loop, int number, rondo_stream **ret_stream, const char *site) {
    rondo__loop_check(loop, "rondo_stdio_open");
    if (number < 0 || number > 2) return RONDO_EINVAL;
    struct place *place = &places[number];
    rondo_stream *stream = NULL;
    int status = RONDO_EEXIST;
    pthread_mutex_lock(&lock);
    if (!is_open(place)) {
        status = open_number(loop, number, &stream, site);
        if (status == 0) *place = (struct place){stream, getpid()};
    }
    pthread_mutex_unlock(&lock);
    if (status == 0) *ret_stream = stream;
    return status;
}

int rondo_stdio_reserve(void) { return rondo__device_fill_gaps(); }
