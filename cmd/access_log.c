/* SPDX-License-Identifier: MIT
 *
 * The access log of `rondo serve`: method, target, status, octets of the body, milliseconds until
 * the answer was ready. A line is made when its answer has been handed over (its octets may still
 * be on their way then), and lines leave together just before the loop sleeps.
 */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer target is cut: the log is for reading. */
#define TARGET_SHOWN 200

typedef struct entry {
    uint64_t begin_ns;
    char method[16];
    char target[TARGET_SHOWN * 4 + 4];
} entry;

static bool broken;

/* What a client sent must not move the reader's cursor, change colours or forge lines: everything
 * but printable ASCII is shown as \xNN, and so is the backslash, to keep it unambiguous. */
static void escape(char *to, size_t size, rondo_slice from) {
    size_t used = 0, i;

    for (i = 0; i < from.len && i < TARGET_SHOWN && used + 8 < size; i++) {
        unsigned char c = (unsigned char)from.data[i];
        if (c > ' ' && c < 0x7f && c != '\\')
            to[used++] = (char)c;
        else
            used += (size_t)snprintf(to + used, size - used, "\\x%02x", c);
    }
    snprintf(to + used, size - used, "%s", i < from.len ? "..." : "");
}

static void on_close(rondo_handle *handle, void *arg) {
    const rondo_http_response *response = (const rondo_http_response *)handle;
    entry *log = arg;
    uint64_t took_ns = rondo_loop_now_ns(rondo_handle_loop(handle)) - log->begin_ns;
    int status = rondo_http_response_status(response);

    if (!broken && status != 0)
        printf("%s %s %d %llu %.1f ms\n", log->method, log->target, status,
               (unsigned long long)rondo_http_response_bytes(response), (double)took_ns / 1e6);
    else if (!broken)
        printf("%s %s - the client left before the answer\n", log->method, log->target);
    free(log);
}

void access_log_begin(rondo_http_request *request, rondo_http_response *response) {
    entry *log = calloc(1, sizeof *log);

    if (log == NULL) return; /* a line is missing; the answer is not */
    log->begin_ns = rondo_loop_now_ns(rondo_handle_loop(response));
    escape(log->method, sizeof log->method, rondo_http_request_method(request));
    escape(log->target, sizeof log->target, rondo_http_request_target(request));
    if (rondo_on_close(response, on_close, log) != 0) free(log);
}

void access_log_flush(void) {
    if (broken || (fflush(stdout) == 0 && !ferror(stdout))) return;
    broken = true;
    complain("can't write the log: %s; serving goes on without it", strerror(errno));
}
