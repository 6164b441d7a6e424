/* SPDX-License-Identifier: MIT
 *
 * Field lines as they stand in a message: name ":" OWS value OWS CRLF, one behind the other, without the
 * empty line that ends them. There is no table of fields: most messages are asked for few of them.
 * Internal.
 */
#ifndef RONDO__HTTP_FIELDS_H
#define RONDO__HTTP_FIELDS_H

#include <rondo/base.h>

/* Takes the line at `line` apart, which has a ':' and a CRLF in front of end; returns where the next one
 * begins. */
const char *rondo__field_split(const char *line, const char *end, rondo_slice *ret_name,
                               rondo_slice *ret_value);

/* The first field of that name, any case; data is NULL when there is none. */
rondo_slice rondo__fields_find(rondo_slice fields, const char *name);
/* The i-th; false when there is none. */
bool rondo__fields_at(rondo_slice fields, size_t i, rondo_slice *ret_name, rondo_slice *ret_value);

/* Whether the names are the same, in any case. */
bool rondo__field_is(rondo_slice name, const char *other);
/* Whether a list of tokens (RFC 9110 section 5.6.1) has `word`, in lower case, in any case. */
bool rondo__field_has_token(rondo_slice value, const char *word);

/* Checks the lines of a whole section: each a token, ':', and a value without control characters, each
 * ended by CRLF (RFC 9112 section 5: neither obs-fold nor whitespace before the colon). The number of
 * lines, or -1. */
int64_t rondo__fields_check(rondo_slice fields);

/* Whether a field may be sent: 0, RONDO_EINVAL (the name is no token; CR, LF or NUL in the value) or
 * RONDO_ENOBUFS (longer than 64 KiB). */
int rondo__field_check_sent(const char *name, const char *value);

#endif
