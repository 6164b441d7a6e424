/* SPDX-License-Identifier: MIT
 *
 * Dates as HTTP writes them (RFC 9110 section 5.6.7). Internal.
 */
#ifndef RONDO__HTTP_DATE_H
#define RONDO__HTTP_DATE_H

#include <rondo/base.h>

#define RONDO__DATE_SIZE 32

/* "Sun, 06 Nov 1994 08:49:37 GMT"; false for a time before 1970 or after the year 9999. */
bool rondo__http_date_format(int64_t seconds, char ret_text[RONDO__DATE_SIZE]);
/* Reads any of the three forms of RFC 9110 section 5.6.7. now (in seconds): for two-digit years. */
bool rondo__http_date_parse(rondo_slice text, int64_t now, int64_t *ret_seconds);

#endif
