/* SPDX-License-Identifier: MIT
 *
 * Access logs: from an answer to a line, and where the line goes. What can't be written is counted,
 * and the count is written as soon as something can.
 */
#include <rondo/address.h>
#include <rondo/error.h>
#include <rondo/file_stream.h>
#include <rondo/handle.h>
#include <rondo/loop.h>
#include <string.h>
#include <time.h>

#include "http/log/log.h"
#include "http/server/response.h"
#include "loop/emit.h"
#include "loop/memory.h"

#define BOUND_USUAL ((size_t)1024 * 1024)
/* A line, and one that says how many are lost. */
#define BOUND_LEAST (RONDO__LOG_LINE_MOST + 8192)
#define RETRY_MS 10000
#define MODE 0640
/* Lines that end in one turn are one write. */
#define BATCH RONDO__LOG_LINE_MOST

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_http_log_error_cb)fn)((rondo_http_log *)(void *)handle, *(const int *)payload, arg);
}
static const rondo__event error_event = {"http_log.error", error_thunk};

static const rondo__kind kind;

RONDO__DEFINE_EVENT(rondo_http_log, rondo_http_log, error, rondo_http_log_error_cb, &kind,
                    RONDO__LOG_ERROR);

/* ---- lines out ---- */

static void lose(rondo_http_log *log, uint64_t count) {
    log->lost += count;
    log->untold += count;
}

static void forget_batch(rondo_http_log *log) {
    rondo__task_cancel(&log->batch_task);
    log->batch_len = log->batch_lines = 0;
}

/* What the stream does not take for lack of memory is lost here, all else by its `error`. */
static void send_batch(rondo_http_log *log) {
    uint64_t lines = log->batch_lines;
    int result = 0;

    if (log->batch_len > 0 && log->stream)
        result = rondo_write(log->stream, rondo_slice_of(log->batch, log->batch_len));
    forget_batch(log);
    if (result != RONDO_ENOMEM && result != RONDO_ENOBUFS) return;
    lose(log, lines);
    log->lines -= lines < log->lines ? lines : log->lines;
    log->unsure -= lines < log->unsure ? lines : log->unsure;
}

static void on_batch(rondo_loop *loop, rondo__task *task) {
    (void)loop;
    send_batch(RONDO__OF(task, rondo_http_log, batch_task));
}

/* While lines are missing, room is what half of the bound leaves: else each line lost would be followed
 * by one that says so, and nothing more. */
static bool write_now(rondo_http_log *log, rondo_slice line) {
    size_t bound = log->untold > 0 ? log->bound / 2 : log->bound;
    rondo_stream_figures figures;

    if (!log->stream || rondo__stream_is_over(log->stream)) return false;
    if (line.len > BATCH - log->batch_len) send_batch(log);
    rondo_stream_get_figures(log->stream, &figures);
    size_t queued = figures.queued + log->batch_len;
    if (queued > bound || line.len > bound - queued) return false;
    if (!log->batch && !(log->batch = rondo__alloc(BATCH))) return false;
    memcpy(log->batch + log->batch_len, line.data, line.len);
    log->batch_len += line.len;
    log->batch_lines++;
    rondo__defer(log->base.loop, &log->batch_task);
    if (figures.bytes_out > 0) log->failed = false; /* it works */
    log->unsure = queued == 0 ? 1 : log->unsure + 1;
    return true;
}

static void update_clock(rondo_http_log *log) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    rondo__log_clock_set(&log->clock, now.tv_sec);
}

/* Says what is missing, if something is. */
static void tell_gap(rondo_http_log *log) {
    char line[1 + RONDO__LOG_LINE_MOST];

    if (log->untold == 0) return;
    update_clock(log);
    line[0] = '\n';
    size_t len = 1 + rondo__log_gap(line + 1, log->format, &log->clock, log->untold);
    size_t from = log->torn ? 0 : 1;
    if (!write_now(log, rondo_slice_of(line + from, len - from))) return;
    log->untold = 0;
    log->torn = false;
}

static void write_line(rondo_http_log *log, rondo_slice line) {
    tell_gap(log);
    if (log->untold == 0 && write_now(log, line))
        log->lines++;
    else
        lose(log, 1);
}

/* ---- the file ---- */

static int open_file(rondo_http_log *log, rondo_stream **ret_stream);

static void tell_error(rondo_http_log *log, int error) {
    if (log->failed) return;
    log->failed = true;
    rondo__emit(&log->base, &log->on[RONDO__LOG_ERROR], RONDO__LOG_ERROR, &error_event, &error);
}

static void on_drain(rondo_stream *stream, void *arg) {
    (void)stream;
    tell_gap(arg);
}

/* The listener of a stream that the log has ended: nobody is left who could be told. */
static void ignore_error(rondo_stream *stream, int error, void *arg) {
    (void)stream, (void)error, (void)arg;
}

static void on_open(rondo_stream *stream, void *arg);
static void on_error(rondo_stream *stream, int error, void *arg);

/* Lets what is queued be written, and the file be closed. */
static void let_finish(rondo_http_log *log, rondo_stream *stream) {
    rondo_stream_on_error(stream, ignore_error, NULL);
    rondo_stream_off_error(stream, on_error, log);
    rondo_stream_off_drain(stream, on_drain, log);
    rondo_stream_off_connect(stream, on_open, log);
    rondo_ref(stream);
    rondo_end(stream);
}

static void on_open(rondo_stream *stream, void *arg) {
    rondo_http_log *log = arg;

    if (stream == log->next) {
        rondo_stream *old = log->stream;
        send_batch(log); /* to the old one, if there is one */
        log->stream = stream;
        log->next = NULL;
        if (old) let_finish(log, old);
        log->unsure = 0;
    }
    log->opened = true;
    tell_gap(log);
}

static void on_error(rondo_stream *stream, int error, void *arg) {
    rondo_http_log *log = arg;

    if (stream == log->next) {
        log->next = NULL;
    } else {
        log->stream = NULL;
        forget_batch(log);
        /* A part of a line may be there: the next one ends it. */
        log->torn |= log->opened && log->unsure > 0;
        log->opened = false;
        lose(log, log->unsure);
        log->lines -= log->unsure < log->lines ? log->unsure : log->lines;
        log->unsure = 0;
    }
    if (!log->stream && !log->next) rondo__alarm_set_in_ms(log->base.loop, &log->retry, RETRY_MS);
    tell_error(log, error);
}

static void on_retry(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_http_log *log = RONDO__OF(alarm, rondo_http_log, retry);

    if (log->stream || log->next) return;
    if (open_file(log, &log->next) < 0) rondo__alarm_set_in_ms(loop, alarm, RETRY_MS);
}

static int open_file(rondo_http_log *log, rondo_stream **ret_stream) {
    unsigned flags = RONDO_WRITER_CREATE | RONDO_WRITER_APPEND;
    int result = rondo_file_writer_open_at(log->base.loop, log->path, flags, MODE, ret_stream,
                                           rondo__handle_site(&log->base));

    if (result < 0) return result;
    /* The first listeners of their events: they can't fail. */
    rondo_stream_on_error(*ret_stream, on_error, log);
    rondo_stream_on_drain(*ret_stream, on_drain, log);
    rondo_stream_on_connect(*ret_stream, on_open, log);
    rondo_unref(*ret_stream);
    return 0;
}

int rondo_http_log_reopen(rondo_http_log *log) {
    RONDO__CHECK(log, &kind);
    rondo_stream *next;

    if (rondo__handle_closing(&log->base)) return RONDO_ECLOSED;
    if (!log->path) return RONDO_EINVAL;
    int result = open_file(log, &next);
    if (result < 0) return result;
    if (log->next) let_finish(log, log->next); /* nothing was written to it */
    log->next = next;
    return 0;
}

/* ---- answers ---- */

static rondo_slice header(const rondo_http_request *request, const char *name) {
    rondo_slice value = rondo_http_request_header(request, name);
    return value.data ? value : rondo_slice_of("", 0);
}

void rondo_http_log_response(rondo_http_request *request, rondo_http_response *response,
                             void *arg) {
    rondo_http_log *log = arg;
    RONDO__CHECK(log, &kind);
    char line[RONDO__LOG_LINE_MOST], address[RONDO_ADDRESS_TEXT_BYTES];
    rondo__log_entry entry = {0};

    if (rondo__handle_closing(&log->base)) return;
    int len = rondo_http_request_client(request, address, sizeof address);
    if (len > 0) entry.remote = rondo_slice_of(address, (size_t)len);
    entry.method = rondo_http_request_method(request);
    entry.target = rondo_http_request_target(request);
    entry.minor = rondo_http_request_minor(request);
    if (log->format == RONDO_HTTP_LOG_COMBINED || log->format == RONDO_HTTP_LOG_JSON) {
        entry.referer = header(request, "Referer");
        entry.agent = header(request, "User-Agent");
    }
    entry.status = rondo_http_response_status(response);
    if (entry.status == 0) entry.status = 499;
    entry.bytes = rondo_http_response_bytes(response);
    uint64_t now_ns = rondo_loop_now_ns(log->base.loop);
    if (now_ns > response->base.created_ns) entry.us = (now_ns - response->base.created_ns) / 1000;
    update_clock(log);
    write_line(log, rondo_slice_of(line, rondo__log_line(line, log->format, &log->clock, &entry)));
}

/* ---- life ---- */

static void on_stream_closed(rondo_handle *stream, void *arg) {
    rondo_http_log *log = arg;
    (void)stream;
    lose(log, log->batch_lines);
    log->lines -= log->batch_lines < log->lines ? log->batch_lines : log->lines;
    forget_batch(log);
    log->stream = NULL;
}

static void stop(rondo_handle *handle) {
    rondo_http_log *log = (rondo_http_log *)(void *)handle;

    rondo__alarm_clear(&log->retry);
    tell_gap(log);
    send_batch(log);
    if (log->path) {
        if (log->stream) let_finish(log, log->stream);
        if (log->next) let_finish(log, log->next);
    } else if (log->stream) {
        rondo_off_close(log->stream, on_stream_closed, log);
        rondo_stream_off_drain(log->stream, on_drain, log);
    }
    log->stream = NULL;
    log->next = NULL;
}

static void free_log(rondo_handle *handle) {
    rondo_http_log *log = (rondo_http_log *)(void *)handle;
    rondo__free(log->path);
    rondo__free(log->batch);
}

static const rondo__kind kind = {
    .name = "http log",
    .size = sizeof(rondo_http_log),
    .stop = stop,
    .free = free_log,
    .slots_offset = offsetof(rondo_http_log, on),
    .slot_count = RONDO__LOG_EVENTS,
};

static rondo_http_log *new_log(rondo_loop *loop, rondo_http_log_format format, const char *site) {
    rondo_http_log *log = rondo__handle_new(loop, &kind, site);

    if (!log) return NULL;
    log->format = format;
    log->bound = BOUND_USUAL;
    log->clock.second = -1;
    rondo__alarm_init(&log->retry, on_retry);
    rondo__task_init(&log->batch_task, on_batch);
    update_clock(log);
    return log;
}

static bool is_format(rondo_http_log_format format) {
    return (unsigned)format <= (unsigned)RONDO_HTTP_LOG_SHORT;
}

int rondo_http_log_open_at(rondo_loop *loop, const char *path, rondo_http_log_format format,
                           rondo_http_log **ret_log, const char *site) {
    RONDO__CHECK_LOOP(loop);
    if (!is_format(format)) return RONDO_EINVAL;
    rondo_http_log *log = new_log(loop, format, site);
    if (!log) return RONDO_ENOMEM;
    log->path = rondo__strdup(path);
    int result = log->path ? open_file(log, &log->stream) : RONDO_ENOMEM;
    if (result < 0) {
        rondo__free(log->path);
        rondo__handle_discard(&log->base);
        return result;
    }
    *ret_log = log;
    return 0;
}

int rondo_http_log_on_at(rondo_stream *stream, rondo_http_log_format format,
                         rondo_http_log **ret_log, const char *site) {
    if (!is_format(format)) return RONDO_EINVAL;
    rondo_http_log *log = new_log(rondo_handle_loop(stream), format, site);
    if (!log) return RONDO_ENOMEM;
    int result = rondo_on_close(stream, on_stream_closed, log);
    if (result == 0) {
        result = rondo_stream_on_drain(stream, on_drain, log);
        if (result < 0) rondo_off_close(stream, on_stream_closed, log);
    }
    if (result < 0) {
        rondo__handle_discard(&log->base);
        return result;
    }
    log->stream = stream;
    *ret_log = log;
    return 0;
}

void rondo_http_log_set_bound(rondo_http_log *log, size_t bytes) {
    RONDO__CHECK(log, &kind);
    log->bound = bytes < BOUND_LEAST ? BOUND_LEAST : bytes;
}

void rondo_http_log_get_figures(const rondo_http_log *log, rondo_http_log_figures *ret_figures) {
    RONDO__CHECK(log, &kind);
    *ret_figures = (rondo_http_log_figures){.lines = log->lines, .lost = log->lost};
}
