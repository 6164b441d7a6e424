/* SPDX-License-Identifier: MIT
 *
 * Static files over HTTP: the files beneath a directory. Loop thread only.
 */
#ifndef RONDO_HTTP_FILES_H
#define RONDO_HTTP_FILES_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rondo_http_files rondo_http_files;

/* Serves the files beneath a directory: index.html for a directory, types by ending, ETag and
 * Last-Modified with 304, single ranges with 206/416, HEAD, sendfile. GET and HEAD only, else 405.
 * Names that begin with a dot are not found. Symbolic links are followed only within the directory
 * (openat2(2), RESOLVE_BENEATH). The directory is opened once, here.
 * Returns 0, RONDO_ENOENT, RONDO_ENOTDIR, RONDO_EACCES, RONDO_ENOMEM. */
RONDO_API int rondo_http_files_new(rondo_loop *loop, const char *directory,
                                   rondo_http_files **ret_files);
/* Answers the request from the directory: ends the response, now or later. Shaped as a
 * rondo_http_request_cb, so it can be the server's callback with the rondo_http_files as arg. */
RONDO_API void rondo_http_files_serve(rondo_http_request *request, rondo_http_response *response,
                                      void *files);
/* Frees it; requests that it still answers finish first. */
RONDO_API void rondo_http_files_free(rondo_http_files *files);

#ifdef __cplusplus
}
#endif
#endif
