/* SPDX-License-Identifier: MIT
 *
 * Access logs, from the inside: line.c makes lines, which is pure; log.c has them written, or counts
 * those that can't be. Internal.
 */
#ifndef RONDO__HTTP_LOG_H
#define RONDO__HTTP_LOG_H

#include <rondo/http.h>

#include "loop/alarm.h"
#include "loop/handle.h"

/* ---- line.c ---- */

/* The local time of a second, as the formats want it. */
typedef struct rondo__log_clock {
    int64_t second; /* -1: none yet */
    char common[48], iso[48];
} rondo__log_clock;

/* Formats what is not formatted yet. False when there is no such time. */
bool rondo__log_clock_set(rondo__log_clock *clock, int64_t second);

typedef struct rondo__log_entry {
    rondo_slice remote, method, target, referer, agent; /* empty: not known */
    int minor, status;
    uint64_t bytes, us; /* of the body; microseconds from the head to the end */
} rondo__log_entry;

/* Longer ones can't be, with all in them escaped. */
#define RONDO__LOG_LINE_MOST ((size_t)24 * 1024)

/* The line, with its newline: its length. */
size_t rondo__log_line(char line[RONDO__LOG_LINE_MOST], rondo_http_log_format format,
                       const rondo__log_clock *clock, const rondo__log_entry *entry);
/* A line that says how many are missing. */
size_t rondo__log_gap(char line[RONDO__LOG_LINE_MOST], rondo_http_log_format format,
                      const rondo__log_clock *clock, uint64_t lost);

/* ---- log.c ---- */

enum { RONDO__LOG_ERROR, RONDO__LOG_EVENTS };

struct rondo_http_log {
    rondo_handle base;
    rondo__slot on[RONDO__LOG_EVENTS];
    rondo_http_log_format format;
    char *path;           /* NULL: the stream is the caller's */
    rondo_stream *stream; /* where lines go; NULL: nowhere, they are lost */
    rondo_stream *next;   /* being opened to take its place */
    size_t bound;
    uint64_t lines, lost;
    uint64_t untold; /* of the lost: no line has said so yet */
    uint64_t unsure; /* lines written since nothing was queued: what is lost if the stream fails */
    char *batch;     /* lines of this turn, which go to the stream together; or NULL */
    size_t batch_len, batch_lines;
    rondo__task batch_task;
    bool opened; /* `stream` is one that has been */
    bool torn;   /* the file may end in a part of a line */
    bool failed; /* `error` was told, and it has not worked since */
    rondo__alarm retry;
    rondo__log_clock clock;
};

#endif
