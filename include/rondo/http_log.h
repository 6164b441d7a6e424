/* SPDX-License-Identifier: MIT
 *
 * An access log: one line for each answer of a server, into a file or any stream. Loop thread only.
 *
 *     rondo_http_log *log;
 *     if (rondo_http_log_open(loop, "/var/log/site/access.log", RONDO_HTTP_LOG_COMBINED, &log) == 0)
 *         rondo_http_server_on_response(server, rondo_http_log_response, log);
 *
 * It never waits for the disk: lines go through a file stream (file_stream.h). When the disk is slower
 * than the requests, or full, lines beyond a bound are dropped, and a line that says how many is
 * written as soon as there is room again. What a client sends can't forge lines or move a terminal's
 * cursor: control characters, quotes, backslashes and what is not ASCII are escaped, and what is long
 * is cut ("..."): targets after 2048 octets, the others after 512.
 *
 * A line is written when the last octet of an answer was handed to the kernel, or when the connection has
 * broken off before: its time is that, and its octets those that left. 499 is the status of an
 * answer to a client that had gone before anything was sent.
 */
#ifndef RONDO_HTTP_LOG_H
#define RONDO_HTTP_LOG_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, what a line looks like). The client is that of rondo_http_request_client(). Times are local, with their distance from UTC; bytes are those of
 * the body that was sent, "-" for none. */
#define RONDO_HTTP_LOG_FORMATS(X)                                                               \
    X(COMMON, "10.0.0.7 - - [21/Nov/2026:19:20:55 +0100] \"GET /a?b HTTP/1.1\" 200 5120")       \
    X(COMBINED, "the same, then \"REFERER\" \"USER-AGENT\"")                                    \
    X(JSON, "an object with time, remote, method, target, version, status, bytes, ms, referer," \
            " agent; octets above 127 as \\u0080 to \\u00ff")                                   \
    X(SHORT, "GET /a?b 200 5120 0.4 ms")

typedef enum rondo_http_log_format {
#define RONDO__LOG_FORMAT(name, what) RONDO_HTTP_LOG_##name,
    RONDO_HTTP_LOG_FORMATS(RONDO__LOG_FORMAT)
#undef RONDO__LOG_FORMAT
} rondo_http_log_format;

/* Opens a log that appends to the file at path, which is made if it is missing (0640 and the umask).
 * That it can't be opened is told by `error`, and tried again every 10 s. The log does not keep the
 * loop alive. rondo_close() has what is queued written first, and that does: so close a log before
 * the last rondo_loop_run(), and after it has been taken from its servers. 0, RONDO_EINVAL for an
 * unknown format, RONDO_ENOMEM, or as rondo_file_writer_open(). */
#define rondo_http_log_open(loop, path, format, ret_log) \
    rondo_http_log_open_at((loop), (path), (format), (ret_log), RONDO_HERE)
RONDO_API int rondo_http_log_open_at(rondo_loop *loop, const char *path,
                                     rondo_http_log_format format, rondo_http_log **ret_log,
                                     const char *site);

/* The same into a stream that stays the caller's, such as one of rondo_stdio_open(). When the stream
 * fails or is closed, lines are dropped and counted. */
#define rondo_http_log_on(stream, format, ret_log) \
    rondo_http_log_on_at((stream), (format), (ret_log), RONDO_HERE)
RONDO_API int rondo_http_log_on_at(rondo_stream *stream, rondo_http_log_format format,
                                   rondo_http_log **ret_log, const char *site);

/* Writes the line of an answer. Shaped for rondo_http_server_on_response(). */
RONDO_API void rondo_http_log_response(rondo_http_request *request, rondo_http_response *response,
                                       void *log);

/* Opens the file anew, for log rotation: the next lines go to whatever has its name now, once that is
 * open; those before to the old file, which is closed after them. If it can't be opened, the old file
 * goes on, and `error` tells. 0, RONDO_ECLOSED, RONDO_ENOMEM; RONDO_EINVAL for a log on a stream. */
RONDO_API int rondo_http_log_reopen(rondo_http_log *log);

/* How many octets may wait to be written: 1 MiB unless set, at least 32 KiB. */
RONDO_API void rondo_http_log_set_bound(rondo_http_log *log, size_t bytes);

/* The file can't be opened or written (RONDO_EACCES, RONDO_ENOSPC, ...). Told once until it works
 * again; nobody needs to listen. */
typedef void (*rondo_http_log_error_cb)(rondo_http_log *log, int error, void *arg);
RONDO_DECLARE_EVENT(rondo_http_log, rondo_http_log, error, rondo_http_log_error_cb);

typedef struct rondo_http_log_figures {
    uint64_t lines; /* handed over to be written */
    uint64_t lost;  /* dropped, all in all */
} rondo_http_log_figures;
RONDO_API void rondo_http_log_get_figures(const rondo_http_log *log,
                                          rondo_http_log_figures *ret_figures);

#ifdef __cplusplus
}
#endif
#endif
