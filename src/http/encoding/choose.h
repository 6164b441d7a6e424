/* SPDX-License-Identifier: MIT
 *
 * Whether an answer is compressed, and what its head says about that. Internal.
 */
#ifndef RONDO__HTTP_CHOOSE_H
#define RONDO__HTTP_CHOOSE_H

#include <rondo/http.h>

/* Whether a media type (with or without parameters) is one that shrinks. Pure. */
bool rondo__type_shrinks(rondo_slice type);

typedef enum rondo__choice {
    RONDO__CHOICE_PLAIN,    /* whoever asks gets it as it is */
    RONDO__CHOICE_IDENTITY, /* this client does: the head has to say that others might not */
    RONDO__CHOICE_GZIP
} rondo__choice;

/* From the status, the type (NULL: that of a field that was added), the length (-1: not known), the
 * fields that were added, and the request. */
rondo__choice rondo__choose_coding(const rondo_http_response *response, int status,
                                   const char *type, int64_t length, size_t min_bytes);

/* Adds Vary, if it isn't there. 0 or an error. */
int rondo__mark_variable(rondo_http_response *response);
/* Adds Content-Encoding, and makes the ETag weak. 0 or an error. */
int rondo__mark_gzip(rondo_http_response *response);

#endif
