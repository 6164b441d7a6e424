/* SPDX-License-Identifier: MIT
 *
 * What stands between an application's answer and what is sent: compression. The calls of a response
 * that has a filter go to it; it takes itself away (response->filter = NULL) and makes the same calls
 * to get something sent. One static object each; whatever a filter has to remember for a response is
 * behind response->filter_state. Internal.
 */
#ifndef RONDO__HTTP_FILTER_H
#define RONDO__HTTP_FILTER_H

#include <rondo/http.h>

typedef struct rondo__filter {
    int (*reply)(rondo_http_response *response, int status, const char *content_type,
                 rondo_slice body);
    int (*begin)(rondo_http_response *response, int status, int64_t length);
    int (*write)(rondo_http_response *response, rondo_slice data);
    int (*end)(rondo_http_response *response);
    /* The response is being closed, whatever has been sent: gives back the state. No calls on it. */
    void (*drop)(rondo_http_response *response);
} rondo__filter;

#endif
