/* SPDX-License-Identifier: MIT
 *
 * What the HTTP servers of a loop share: free lists of requests and responses, so that a steady
 * state allocates nothing and an idle connection owns neither, and the Date line, which is formatted
 * once a second. Made at the first server, freed with the loop. Internal.
 */
#ifndef RONDO__HTTP_SHARED_H
#define RONDO__HTTP_SHARED_H

#include <rondo/http.h>
#include <string.h>

#include "http/parser.h"
#include "loop/alarm.h"
#include "loop/attach.h"

/* How many of each are kept when they are free. A response goes back in the closing phase only, so
 * as many are out as are answered in one turn; a request goes back at once. */
#define RONDO__SPARE_REQUESTS 128
#define RONDO__SPARE_RESPONSES 1024

/* "HTTP/1.1 200 OK" CRLF "Date: Sun, 06 Nov 1994 08:49:37 GMT" CRLF: what most answers begin with. */
#define RONDO__OK_LINE "HTTP/1.1 200 OK\r\n"
#define RONDO__OK_LINE_LEN (sizeof RONDO__OK_LINE - 1)
#define RONDO__DATE_LINE_LEN ((size_t)37)
#define RONDO__TYPE_MOST 255

typedef struct rondo__http {
    rondo_loop *loop;
    rondo_http_request *spare_requests;
    rondo_http_response *spare_responses;
    unsigned spare_request_count, spare_response_count;
    rondo__parser fresh_parser; /* at the beginning of a request: copied, not made each time */
    rondo__alarm date_alarm;
    bool date_fresh; /* until the alarm says that the second is over */
    size_t type_len;
    char type[RONDO__TYPE_MOST + 1]; /* the media type that was last sent */
    /* RONDO__OK_LINE, the Date line, the Content-Type line of that type. */
    char ok_head[RONDO__OK_LINE_LEN + RONDO__DATE_LINE_LEN + RONDO__TYPE_MOST + 16];
    char host[64]; /* of a Host field that was in order; see head_check.c */
    size_t host_len;
    struct rondo__deflater *deflater; /* for answers that are compressed at once; or NULL */
    int deflater_level;
    unsigned deflating; /* answers that have a deflater of their own */
    rondo__at_free at_free;
} rondo__http;

/* The loop's, made if need be: NULL when out of memory. */
rondo__http *rondo__http_of(rondo_loop *loop);

void rondo__http_refresh_date(rondo__http *http);
/* Puts a media type's line into ok_head, if it isn't there already. RONDO_EINVAL for one that is too
 * long or could not be a field's value. */
int rondo__http_set_type(rondo__http *http, const char *type);
static inline int rondo__http_use_type(rondo__http *http, const char *type) {
    if (http->type_len > 0 && strcmp(type, http->type) == 0) return 0;
    return rondo__http_set_type(http, type);
}

#endif
