/* SPDX-License-Identifier: MIT
 *
 * What is answered: the head and body for an open file, and the refusals. Every way through here
 * ends the response. Whether the client is still there does not matter: calls on a response that
 * has lost its client do nothing.
 */
#define _GNU_SOURCE
#include "http/files/files.h"
#include "http/server/response.h"

#include <rondo/error.h>
#include <rondo/handle.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_TEXT "text/plain; charset=utf-8"

/* An answer that could not be given must still be ended: the connection is cut off, unless the
 * client has cut it already. Harmless for a response that has ended. */
static void settle(rondo_http_response *response, int result) {
    if (result < 0) rondo_close(response);
}

void rondo__files_reply(rondo_http_response *response, int status) {
    const char *text;

    switch (status) {
    case 400: text = "400 Bad Request: this target names no file.\n"; break;
    case 403: text = "403 Forbidden: the server may not read this file.\n"; break;
    case 404: text = "404 Not Found: there is no such file.\n"; break;
    case 405: text = "405 Method Not Allowed: files can be read with GET and HEAD.\n"; break;
    case 412: text = "412 Precondition Failed: the file is not the one you know.\n"; break;
    case 414: text = "414 URI Too Long.\n"; break;
    case 416: text = "416 Range Not Satisfiable: the file is shorter than that.\n"; break;
    case 503: text = "503 Service Unavailable: too much at once; try again.\n"; break;
    default:
        status = 500;
        text = "500 Internal Server Error: the file can't be read.\n";
        break;
    }
    settle(response,
           rondo_http_response_reply(response, status, PLAIN_TEXT, rondo_slice_text(text)));
}

/* A directory that was asked for without its slash: relative links in its index.html would miss. */
static void redirect(const rondo_http_request *request, rondo_http_response *response) {
    char location[8192];
    int len =
        rondo__http_path_location(rondo_http_request_target(request), location, sizeof location);

    if (len < 0) {
        rondo__files_reply(response, 414);
        return;
    }
    int result = rondo_http_response_header(response, "Location", location);
    if (result == 0)
        result = rondo_http_response_reply(response, 301, PLAIN_TEXT,
                                           rondo_slice_text("301 Moved Permanently\n"));
    settle(response, result);
}

void rondo__files_refuse(const rondo_http_request *request, rondo_http_response *response,
                         const char *path, int error) {
    size_t len = path ? strlen(path) : 0;

    switch (error) {
    case RONDO_EINVAL: rondo__files_reply(response, 400); return;
    case RONDO_EISDIR:
        if (len > 0 && path[len - 1] != '/')
            redirect(request, response);
        else
            rondo__files_reply(response, 404); /* index.html is itself a directory */
        return;
    case RONDO_ENOENT:
    case RONDO_ENOTDIR:
    case RONDO_ENAMETOOLONG:
    case RONDO_ELOOP: /* a link in a circle, or one that may not be followed */
    case RONDO_EXDEV: /* a link that leads out: that it exists is nobody's business */
    case RONDO_ENXIO: /* a socket */
    case RONDO_ENODEV: rondo__files_reply(response, 404); return;
    case RONDO_EACCES:
    case RONDO_EPERM: rondo__files_reply(response, 403); return;
    case RONDO_EAGAIN:
    case RONDO_ECANCELED:
    case RONDO_EMFILE:
    case RONDO_ENFILE:
    case RONDO_ENOMEM: rondo__files_reply(response, 503); return;
    default: rondo__files_reply(response, 500); return;
    }
}

static void read_conditions(const rondo_http_request *request, rondo__conditions *conditions) {
    rondo_slice name, value;

    for (size_t i = 0; rondo_http_request_header_at(request, i, &name, &value); i++)
        rondo__conditions_field(conditions, name, value);
}

static int add_content_range(rondo_http_response *response, uint64_t offset, uint64_t len,
                             uint64_t size) {
    char text[80];

    if (len > 0)
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
                 offset + len - 1, size);
    else
        snprintf(text, sizeof text, "bytes */%" PRIu64, size);
    return rondo_http_response_header(response, "Content-Range", text);
}

/* The fields of 200, 206 and 304. nosniff always: a browser that guesses makes a page out of
 * somebody's upload. */
static int add_fields(rondo_http_response *response, const rondo__validators *validators,
                      const char *type) {
    char date[RONDO__DATE_SIZE];
    int result = rondo_http_response_header(response, "ETag", validators->etag);

    if (result == 0 && rondo__http_date_format(validators->mtime, date))
        result = rondo_http_response_header(response, "Last-Modified", date);
    if (type == NULL) return result;
    if (result == 0) result = rondo_http_response_header(response, "Content-Type", type);
    if (result == 0) result = rondo_http_response_header(response, "Accept-Ranges", "bytes");
    if (result == 0)
        result = rondo_http_response_header(response, "X-Content-Type-Options", "nosniff");
    return result;
}

static void send_file(rondo_http_response *response, const rondo__validators *validators,
                      const char *type, const rondo__conditions *conditions, bool is_get, int fd,
                      uint64_t size) {
    uint64_t offset = 0, len = size;
    rondo__range range = RONDO__RANGE_WHOLE;
    int status = 200;

    if (is_get) range = rondo__conditions_range(conditions, size, &offset, &len);
    if (range == RONDO__RANGE_UNSATISFIABLE) {
        close(fd);
        int result = add_content_range(response, 0, 0, size);
        if (result == 0)
            rondo__files_reply(response, 416);
        else
            settle(response, result);
        return;
    }
    int result = add_fields(response, validators, type);
    if (result == 0 && range == RONDO__RANGE_PART) {
        status = 206;
        result = add_content_range(response, offset, len, size);
    }
    if (result == 0) result = rondo_http_response_begin(response, status, (int64_t)len);
    if (result >= 0)
        result = rondo__http_response_file(response, fd, offset, len, true);
    else
        close(fd);
    settle(response, result);
}

void rondo__files_answer(const rondo_http_files *files, const rondo_http_request *request,
                         rondo_http_response *response, const char *name, int fd,
                         const struct stat *st) {
    rondo_slice method = rondo_http_request_method(request);
    struct timespec now;
    rondo__validators validators = {0};
    rondo__conditions conditions;

    RONDO_ASSERT(fd >= 0 && st->st_size >= 0);
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    rondo__validators_of(st, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, files->settle_ns,
                         &validators);
    rondo__conditions_init(&conditions, &validators, now.tv_sec);
    read_conditions(request, &conditions);
    int status = rondo__conditions_status(&conditions);
    if (status == 200) {
        send_file(response, &validators, rondo__http_mime(name), &conditions, method.len == 3, fd,
                  (uint64_t)st->st_size);
        return;
    }
    close(fd);
    if (status == 412) {
        rondo__files_reply(response, 412);
        return;
    }
    int result = add_fields(response, &validators, NULL);
    if (result == 0)
        result = rondo_http_response_reply(response, 304, NULL, rondo_slice_of(NULL, 0));
    settle(response, result);
}
