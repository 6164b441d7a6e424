/* SPDX-License-Identifier: MIT
 *
 * What is in a query: parameters, name=value with '&' between them, encoded as forms are (a blank is '+',
 * other octets %XX). Nothing is allocated: iteration gives slices of the query, decoding fills the
 * caller's buffer. The first two functions may be called from any thread.
 */
#ifndef RONDO_HTTP_QUERY_H
#define RONDO_HTTP_QUERY_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The next parameter of *query, still encoded; *query is what comes behind it. Parameters that are
 * empty ("&&") are skipped; data of *ret_value is NULL when there is no '='. false: no more. Works for
 * bodies of application/x-www-form-urlencoded too. */
RONDO_API bool rondo_http_query_next(rondo_slice *query, rondo_slice *ret_name,
                                     rondo_slice *ret_value);

/* Decodes a name or a value into buffer, with a NUL behind it. Returns its length without the NUL;
 * RONDO_EINVAL for an escape that is broken or stands for NUL, RONDO_ENOBUFS when it does not fit
 * (text.len + 1 always do). On failure the buffer has an empty string. size is at least 1. */
RONDO_API int rondo_http_query_decode(rondo_slice text, char *buffer, size_t size);

/* The value of the first parameter whose decoded name is `name`, decoded; "" without a '='. As above, or
 * RONDO_ENOENT. Loop thread only. */
RONDO_API int rondo_http_request_query_value(const rondo_http_request *request, const char *name,
                                             char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
