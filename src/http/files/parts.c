/* SPDX-License-Identifier: MIT
 *
 * Several ranges of a file in one answer: multipart/byteranges (RFC 9110 section 14.6). Each part has
 * a small head of its own; the octets go by sendfile(2) like those of a whole file.
 */
#include <rondo/error.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "http/files/files.h"
#include "http/server/response.h"
#include "loop/retry.h"

/* Of a part: the boundary, its two fields, and the empty line. */
#define PART_HEAD_SIZE (RONDO__TYPE_MOST + RONDO__CONTENT_RANGE_SIZE + 128)

typedef struct delimiter {
    char text[40];
} delimiter;

/* Nobody who writes a file can know it in advance and put it there. */
static int make_boundary(delimiter *ret_boundary) {
    uint64_t random[2];
    ssize_t got;

    RONDO__RETRY(got, getrandom(random, sizeof random, 0));
    if (got < 0) return rondo__errno();
    snprintf(ret_boundary->text, sizeof ret_boundary->text, "%016llx%016llx",
             (unsigned long long)random[0], (unsigned long long)random[1]);
    return 0;
}

static rondo_slice part_head(char text[PART_HEAD_SIZE], const delimiter *boundary, const char *type,
                             rondo__part part, uint64_t size) {
    char range[RONDO__CONTENT_RANGE_SIZE];

    rondo__content_range(range, part, size);
    int len =
        snprintf(text, PART_HEAD_SIZE, "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n",
                 boundary->text, type, range);
    RONDO_ASSERT(len > 0 && len < (int)PART_HEAD_SIZE);
    return rondo_slice_of(text, (size_t)len);
}

static rondo_slice last_line(char text[PART_HEAD_SIZE], const delimiter *boundary) {
    int len = snprintf(text, PART_HEAD_SIZE, "\r\n--%s--\r\n", boundary->text);
    return rondo_slice_of(text, (size_t)len);
}

static int begin(rondo_http_response *response, const delimiter *boundary, const char *type,
                 const rondo__parts *parts, uint64_t size) {
    char text[PART_HEAD_SIZE], field[96];
    uint64_t len = last_line(text, boundary).len;

    for (unsigned i = 0; i < parts->count; i++)
        len += part_head(text, boundary, type, parts->at[i], size).len + parts->at[i].len;
    /* Parts don't overlap, so there are no more of their octets than a file can have. */
    RONDO_ASSERT(len <= INT64_MAX);
    snprintf(field, sizeof field, "multipart/byteranges; boundary=%s", boundary->text);
    int result = rondo_http_response_header(response, "Content-Type", field);
    return result < 0 ? result : rondo_http_response_begin(response, 206, (int64_t)len);
}

void rondo__files_send_parts(rondo_http_response *response, const char *type,
                             const rondo__parts *parts, int fd, uint64_t size) {
    char text[PART_HEAD_SIZE];
    delimiter boundary;
    unsigned sent = 0;
    int result = make_boundary(&boundary);

    if (result == 0) result = begin(response, &boundary, type, parts, size);
    for (; result >= 0 && sent < parts->count; sent++) {
        rondo__part part = parts->at[sent];
        bool last = sent + 1 == parts->count;
        result =
            rondo__http_response_between(response, part_head(text, &boundary, type, part, size));
        if (result < 0) break;
        /* The queue is in order: with the last part of the file, nobody needs it any more. */
        result = rondo__http_response_piece(response, fd, part.offset, part.len, last);
    }
    if (sent < parts->count) close(fd);
    if (result >= 0) result = rondo__http_response_between(response, last_line(text, &boundary));
    if (result >= 0) result = rondo_http_response_end(response);
    rondo__files_settle(response, result);
}
