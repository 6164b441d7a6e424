/* SPDX-License-Identifier: MIT
 *
 * The life of a file stream's file, and its jobs. See file.h.
 */
#include <rondo/error.h>

#include <pthread.h>

#include "loop/memory.h"
#include "net/file/file.h"

/* ---- the stream goes on ---- */

static int events_of(const rondo__file *file) {
    /* The rest is the worker's until it is back. */
    if (file->busy && (file->writes || file->ahead == 0)) return 0;
    if (file->fd < 0 && !file->shut) return 0;
    return file->writes ? RONDO__WRITABLE : RONDO__READABLE;
}

static int events_due(const rondo__file *file) {
    return file->stream ? events_of(file) & rondo__stream_watched(file->stream) : 0;
}

/* From where the loop dispatches. */
static void go_on(rondo__file *file) {
    rondo_stream *stream = file->stream;
    int events = events_due(file);
    if (events) rondo__stream_ready(file->loop, &stream->io, events);
}

void rondo__file_again(rondo_loop *loop, rondo__task *task) {
    rondo__file *file = RONDO__OF(task, rondo__file, again);
    (void)loop;
    /* Before, since afterwards there may be no file. If it finds nothing due then, that is the end. */
    if (events_due(file)) rondo__defer(file->loop, task);
    go_on(file);
}

void rondo__file_watch(rondo_stream *stream, int events) {
    rondo__file *file = rondo__file_of(stream);
    if (events & events_of(file))
        rondo__defer(file->loop, &file->again);
    else
        rondo__task_cancel(&file->again);
}

/* ---- memory ---- */

int rondo__file_need_buffer(rondo__file *file, size_t size) {
    if (file->buffer && file->size >= size) return 0;
    rondo__file_drop_buffer(file);
    file->buffer = rondo__alloc(size);
    if (!file->buffer) return RONDO_ENOMEM;
    file->size = size;
    return 0;
}

void rondo__file_drop_buffer(rondo__file *file) {
    rondo__free(file->buffer);
    file->buffer = NULL;
    file->size = 0;
}

static void free_file(rondo__file *file) {
    RONDO_ASSERT(!file->busy && !file->stream && file->fd < 0);
    rondo__file_drop_buffer(file);
    rondo__free(file);
}

/* ---- jobs ---- */

static int64_t run_close(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    if (file->source >= 0) rondo__file_close(file->source);
    if (file->fd >= 0) {
        if (!file->writes) rondo__file_unread_ahead(file);
        rondo__file_close(file->fd);
    }
    file->source = -1;
    file->fd = -1;
    return 0;
}

/* The stream is closed and no job is under way: the descriptors go, and then the memory. */
static void give_up(rondo__file *file) {
    if (file->fd < 0 && file->source < 0) {
        free_file(file);
        return;
    }
    int status = rondo__file_start(file, run_close, NULL);
    if (status == 0) return;
    /* The position is that of our parent's stream, too. */
    if (status == RONDO_ENOTSUP) file->ahead = file->came = 0;
    run_close(&file->job); /* no thread can be started: at the price of a wait */
    free_file(file);
}

static int64_t run_open(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    int fd = rondo__file_open(file->path, file->open_flags, file->mode, job);
    if (fd >= 0) file->cache = rondo__file_cache_of(fd);
    /* Nobody shares its position: reading by offset is the same, and sendfile can. */
    if (fd >= 0 && !file->writes && file->offset < 0 && rondo__file_size(fd) >= 0) file->offset = 0;
    file->fd = fd >= 0 ? fd : -1;
    return fd;
}

static void opened(rondo__file *file, int64_t result) {
    if (result < 0)
        rondo__stream_fail(file->stream, (int)result);
    else
        rondo__stream_opened(file->stream);
}

int rondo__file_start_opening(rondo__file *file) {
    return rondo__file_start(file, run_open, opened);
}

static void deliver(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    (void)loop;
    file->busy = false;
    if (!file->stream) {
        give_up(file);
    } else if (!rondo__stream_dead(file->stream)) {
        if (file->arrived == opened) {
            opened(file, result); /* may close it, and then the file is gone */
            return;
        }
        file->arrived(file, result);
        if (events_due(file)) rondo__defer(file->loop, &file->again);
        go_on(file);
    }
}

/* The stream is closed. */
static void tell_nobody(rondo_loop *loop, rondo_job *job, int64_t result) {
    (void)loop, (void)job, (void)result;
}

/* The loop is being freed, and all its streams were closed before; or the thread of an abandoned job
 * is back. */
static void drop(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    file->busy = false;
    run_close(job);
    free_file(file);
}

/* ---- standard streams, which may have to wait for a worker ---- */

static pthread_mutex_t ran_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ran = PTHREAD_COND_INITIALIZER;

static int64_t run_standard(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    int64_t result = file->run(job);
    pthread_mutex_lock(&ran_lock);
    file->ran = true;
    pthread_cond_broadcast(&ran);
    pthread_mutex_unlock(&ran_lock);
    return result;
}

void rondo__file_await(rondo__file *file) {
    RONDO_ASSERT(file->standard);
    if (!file->busy || rondo_job_cancel(&file->job) == 0) return;
    pthread_mutex_lock(&ran_lock);
    while (!file->ran) pthread_cond_wait(&ran, &ran_lock);
    pthread_mutex_unlock(&ran_lock);
}

/* ---- starting ---- */

/* A reader's: only for a stream that is closed anybody has asked it to end, so the worker, which may
 * have been abandoned and come back a day later, closes the file right away. */
static int64_t run_reading(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    int64_t result = file->run(job);
    if (rondo_work_canceled(job)) run_close(job);
    return result;
}

int rondo__file_start(rondo__file *file, int64_t (*run)(rondo_job *job),
                      void (*arrived)(rondo__file *file, int64_t result)) {
    RONDO_ASSERT(!file->busy);
    rondo_lane *lane = rondo_lane_fs(file->loop);
    if (!lane) return RONDO_ENOMEM;
    /* The stream keeps the loop alive, as far as it should be. Never refused for a full queue: a
     * stream has one job at a time, so they are as many as the open files. */
    bool reads = !file->writes && !file->standard;
    file->job = (rondo_job){.run = file->standard ? run_standard
                                   : reads        ? run_reading
                                                  : run,
                            .deliver = deliver,
                            .tell = reads ? tell_nobody : NULL,
                            .drop = drop,
                            .loop = file->loop,
                            .keeps_result = true,
                            .weak = true};
    file->run = run;
    file->ran = false;
    file->arrived = arrived;
    int status = rondo__job_submit(lane, &file->job, true);
    file->busy = status == 0;
    /* No thread can be started. To a stream RONDO_EAGAIN would mean that something will come. */
    return status == RONDO_EAGAIN ? RONDO_ENOMEM : status;
}

/* ---- the end ---- */

void rondo__file_unclaim(rondo__file *file) {
    if (file->claimed) rondo__net_unclaim(rondo__net_of(file->loop), file->fd);
    file->claimed = false;
}

void rondo__file_stop(rondo_stream *stream) {
    rondo__file *file = rondo__file_of(stream);
    if (file->leave) file->leave(stream);
    rondo__task_cancel(&file->again);
    stream->extra->transport_state = NULL;
    file->stream = NULL;
    rondo__file_unclaim(file);
    if (!file->busy) {
        give_up(file);
    } else if (!file->job.tell || atomic_load(&file->heeds) ||
               rondo_job_abandon(&file->job) == RONDO_EBUSY) {
        rondo_job_cancel(&file->job);
    } /* deliver() or drop() goes on */
}

/* Only that of a stream that nobody has seen, and whose descriptor is the caller's. */
void rondo__file_free(rondo_stream *stream) {
    rondo__file *file = rondo__file_of(stream);
    if (!file) return;
    file->stream = NULL;
    file->fd = -1;
    free_file(file);
}
