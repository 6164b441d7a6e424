/* SPDX-License-Identifier: MIT
 *
 * Compression of answers: see http_encoding.h. Internal.
 */
#ifndef RONDO__HTTP_COMPRESS_H
#define RONDO__HTTP_COMPRESS_H

#include <rondo/http.h>

#include "http/server/filter.h"

/* The filter of a response that may be compressed, once it is known what it says. */
extern const rondo__filter rondo__chooser;

/* The server's options; NULL: off. 0, RONDO_EINVAL, RONDO_ENOSYS. */
int rondo__compression_set(rondo_http_server *server, const rondo_http_compression *options);

#endif
