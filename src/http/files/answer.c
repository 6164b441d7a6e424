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

/* Longer files are sent as they are, whoever accepts what: by sendfile(2), without a copy. */
#define SQUEEZE_MOST ((uint64_t)16 * 1024 * 1024)

#define PLAIN_TEXT "text/plain; charset=utf-8"

/* An answer that could not be given must still be ended: the connection is cut off, unless the
 * client has cut it already. Harmless for a response that has ended. */
void rondo__files_settle(rondo_http_response *response, int result) {
    if (result < 0) rondo_close(response);
}

bool rondo__files_reads(const rondo_http_request *request) {
    rondo_slice method = rondo_http_request_method(request);

    return (method.len == 3 && memcmp(method.data, "GET", 3) == 0) ||
           (method.len == 4 && memcmp(method.data, "HEAD", 4) == 0);
}

/* ---- refusals ---- */

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
    rondo__files_settle(
        response, rondo_http_response_reply(response, status, PLAIN_TEXT, rondo_slice_text(text)));
}

/* A directory that was asked for without its slash: relative links in its index.html would miss. */
static void redirect(rondo_http_response *response) {
    char location[8192];
    rondo_slice target = rondo_http_request_target(response->request);
    int len = rondo__http_path_location(target, location, sizeof location);

    if (len < 0) {
        rondo__files_reply(response, 414);
        return;
    }
    int result = rondo_http_response_header(response, "Location", location);
    if (result == 0)
        result = rondo_http_response_reply(response, 301, PLAIN_TEXT,
                                           rondo_slice_text("301 Moved Permanently\n"));
    rondo__files_settle(response, result);
}

void rondo__files_refuse(rondo_http_response *response, bool redirects, const char *path,
                         int error) {
    size_t len = path ? strlen(path) : 0;

    switch (error) {
    case RONDO_EINVAL: rondo__files_reply(response, 400); return;
    case RONDO_EISDIR:
        if (redirects && len > 0 && path[len - 1] != '/')
            redirect(response);
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

/* ---- files ---- */

static void read_conditions(const rondo_http_request *request, rondo__conditions *conditions) {
    rondo_slice name, value;

    for (size_t i = 0; rondo_http_request_header_at(request, i, &name, &value); i++)
        rondo__conditions_field(conditions, name, value);
}

void rondo__content_range(char *ret_text, rondo__part part, uint64_t size) {
    snprintf(ret_text, RONDO__CONTENT_RANGE_SIZE, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
             part.offset, part.offset + part.len - 1, size);
}

/* The fields of 200, 206 and 304 (RFC 9110 section 15.4.5): what a cache goes by. */
static int add_validators(const rondo__file_task *task, rondo_http_response *response,
                          const rondo__validators *validators) {
    const char *cache_control = task->text[RONDO__FILE_CACHE_CONTROL];
    char date[RONDO__DATE_SIZE];
    int result = rondo_http_response_header(response, "ETag", validators->etag);

    if (result == 0 && rondo__http_date_format(validators->mtime, date))
        result = rondo_http_response_header(response, "Last-Modified", date);
    if (result == 0 && cache_control)
        result = rondo_http_response_header(response, "Cache-Control", cache_control);
    /* Of every answer that might have been another one, also where there is no other. */
    if (result == 0 && task->precompressed)
        result = rondo_http_response_header(response, "Vary", "Accept-Encoding");
    return result;
}

/* The fields of 200 and 206. nosniff always: a browser that guesses makes a page out of somebody's
 * upload. type NULL: it is multipart/byteranges. */
static int add_fields(const rondo__file_task *task, rondo_http_response *response,
                      const rondo__found *found, const char *type) {
    const char *disposition = task->text[RONDO__FILE_DISPOSITION];
    const char *coding = rondo__coding_name(found->coding);
    int result = 0;

    if (type) result = rondo_http_response_header(response, "Content-Type", type);
    if (result == 0 && coding)
        result = rondo_http_response_header(response, "Content-Encoding", coding);
    if (result == 0 && disposition)
        result = rondo_http_response_header(response, "Content-Disposition", disposition);
    if (result == 0) result = rondo_http_response_header(response, "Accept-Ranges", "bytes");
    if (result == 0)
        result = rondo_http_response_header(response, "X-Content-Type-Options", "nosniff");
    return result;
}

static void refuse_range(rondo_http_response *response, uint64_t size) {
    char text[RONDO__CONTENT_RANGE_SIZE];

    snprintf(text, sizeof text, "bytes */%" PRIu64, size);
    int result = rondo_http_response_header(response, "Content-Range", text);
    if (result == 0)
        rondo__files_reply(response, 416);
    else
        rondo__files_settle(response, result);
}

/* One run of the file's octets: all of them, or a range. */
static void send_run(rondo_http_response *response, int status, rondo__part part, int fd,
                     uint64_t size) {
    char text[RONDO__CONTENT_RANGE_SIZE];
    int result = 0;

    if (status == 206) {
        rondo__content_range(text, part, size);
        result = rondo_http_response_header(response, "Content-Range", text);
    }
    if (result == 0) result = rondo_http_response_begin(response, status, (int64_t)part.len);
    if (result < 0)
        close(fd);
    else if (response->filter) /* it has chosen to compress */
        result = rondo__files_squeeze(response, fd, part.len);
    else
        result = rondo__http_response_file(response, fd, part.offset, part.len, true);
    rondo__files_settle(response, result);
}

static void send_file(const rondo__file_task *task, rondo_http_response *response,
                      const rondo__validators *validators, const rondo__conditions *conditions,
                      const rondo__found *found) {
    uint64_t size = (uint64_t)found->st.st_size;
    const char *type = task->text[RONDO__FILE_TYPE];
    rondo__range range = RONDO__RANGE_WHOLE;
    rondo__parts parts;

    if (rondo_http_request_method(response->request).len == 3) /* GET: section 14.2 */
        range = rondo__conditions_range(conditions, size, &parts);
    if (range == RONDO__RANGE_UNSATISFIABLE) {
        close(found->fd);
        refuse_range(response, size);
        return;
    }
    if (range == RONDO__RANGE_PART || size > SQUEEZE_MOST) response->filter = NULL;
    bool many = range == RONDO__RANGE_PART && parts.count > 1;
    if (type == NULL) type = rondo__http_mime(found->name);
    int result = add_validators(task, response, validators);
    if (result == 0) result = add_fields(task, response, found, many ? NULL : type);
    if (result < 0) {
        close(found->fd);
        rondo__files_settle(response, result);
    } else if (many) {
        rondo__files_send_parts(response, type, &parts, found->fd, size);
    } else if (range == RONDO__RANGE_PART) {
        send_run(response, 206, parts.at[0], found->fd, size);
    } else {
        send_run(response, 200, (rondo__part){0, size}, found->fd, size);
    }
}

void rondo__files_answer(const rondo__file_task *task, rondo_http_response *response,
                         const rondo__found *found) {
    const rondo_http_request *request = response->request;
    struct timespec now;
    rondo__validators validators = {0};
    rondo__conditions conditions;

    RONDO_ASSERT(found->fd >= 0 && found->st.st_size >= 0 && request);
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    rondo__validators_of(&found->st, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
                         task->settle_ns, &validators);
    rondo__conditions_init(&conditions, &validators, now.tv_sec);
    if (rondo__files_reads(request)) read_conditions(request, &conditions);
    int status = rondo__conditions_status(&conditions);
    if (status == 200) {
        send_file(task, response, &validators, &conditions, found);
        return;
    }
    close(found->fd);
    if (status == 412) {
        rondo__files_reply(response, 412);
        return;
    }
    int result = add_validators(task, response, &validators);
    if (result == 0)
        result = rondo_http_response_reply(response, 304, NULL, rondo_slice_of(NULL, 0));
    rondo__files_settle(response, result);
}

/* What names in it could do as a script or a style, the policy forbids, should escaping ever fail. */
void rondo__files_answer_page(rondo_http_response *response, rondo__found *found) {
    int result = rondo_http_response_header(response, "Content-Security-Policy",
                                            "default-src 'none'; style-src 'unsafe-inline'");

    if (result == 0)
        result = rondo_http_response_header(response, "X-Content-Type-Options", "nosniff");
    if (result == 0)
        result = rondo_http_response_reply(response, 200, "text/html; charset=utf-8",
                                           rondo_slice_of(found->page, found->page_len));
    rondo__found_drop(found);
    rondo__files_settle(response, result);
}
