/* SPDX-License-Identifier: MIT
 *
 * Files over HTTP: those beneath a directory, or any one that a handler chooses. Both answer alike:
 * Content-Type by the ending of the name, ETag and Last-Modified with 304 and 412 (RFC 9110 section
 * 13), ranges with 206 and 416 (section 14; several at once as multipart/byteranges), HEAD, and
 * sendfile(2) for the octets. The loop never waits for a disk: what is not in the kernel's caches is
 * opened and read by the workers of the fs lane. Loop thread only.
 *
 *     static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
 *         rondo_http_file_options options = {.attachment = "Müller & Söhne.pdf"};
 *         rondo_http_response_file(response, AT_FDCWD, "invoices/4711.pdf", &options);
 *     }
 */
#ifndef RONDO_HTTP_FILES_H
#define RONDO_HTTP_FILES_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one file ---- */

/* How a file is answered with. All zero: as above. */
typedef struct rondo_http_file_options {
    const char *type;       /* Content-Type; NULL: by the ending of the name */
    const char *attachment; /* a file name, UTF-8: the browser saves it under that name instead of
                                * showing it (Content-Disposition, RFC 6266) */
    const char *cache_control; /* the value of Cache-Control, such as "max-age=3600"; NULL: none */
    bool precompressed; /* NAME.br or NAME.gz in place of NAME, if the client accepts that (RFC 9110
                         * section 12.5.3), and it is not older than NAME. Adds Vary */
} rondo_http_file_options;

/* Answers with the regular file at path, relative to the directory that directory_fd is open on
 * (AT_FDCWD: the current one), and never outside of it, wherever ".." and links lead (openat2(2),
 * RESOLVE_BENEATH; where that is missing, links are not followed). Ends the response, now or later:
 * with 404, 403 or 503 if the file can't be opened. Fields added before go with any of these. The
 * status is 200, 206, 304, 412 or 416 to GET and HEAD; to other methods it is 200, and their
 * conditions and ranges don't count. directory_fd must stay open until the response's `close`; all
 * else is copied. options may be NULL.
 * Returns 0, or RONDO_ECLOSED when the client has gone (the response is ended all the same). Nothing
 * is done: RONDO_EINVAL for a path that is empty or begins with a slash, a type or cache_control that
 * can't be the value of a field, a file name with control characters or longer than 255 octets;
 * RONDO_EBUSY when the head was sent already. */
RONDO_API int rondo_http_response_file(rondo_http_response *response, int directory_fd,
                                       const char *path, const rondo_http_file_options *options);

/* The same with a descriptor that is open for reading, which is closed when it is done with if own_fd
 * is true, whatever happens. name gives the type by its ending, and nothing else; NULL: unknown. No
 * precompressed files. Also returns RONDO_EBADF, or RONDO_EINVAL for what is no regular file. */
RONDO_API int rondo_http_response_open_file(rondo_http_response *response, int fd, bool own_fd,
                                            const char *name,
                                            const rondo_http_file_options *options);

/* ---- the files beneath a directory ---- */

typedef struct rondo_http_files rondo_http_files;

/* Serves the files beneath a directory: index.html for a directory. GET and HEAD only, else 405.
 * Names that begin with a dot are not found. Symbolic links are followed only within the directory
 * (openat2(2), RESOLVE_BENEATH). The directory is opened once, here.
 * Returns 0, RONDO_ENOENT, RONDO_ENOTDIR, RONDO_EACCES, RONDO_ENOMEM. */
RONDO_API int rondo_http_files_new(rondo_loop *loop, const char *directory,
                                   rondo_http_files **ret_files);

/* All zero: what there is without options. */
typedef struct rondo_http_files_options {
    const char *index;    /* a directory's file; NULL: "index.html"; "": none */
    const char *fallback; /* a file beneath the directory that is the answer (200) where nothing is
                                * found, as applications want that route in the browser. Not for names
                                * with a dot in their last segment: a missing script stays 404 */
    const char *cache_control; /* with each file, such as "max-age=3600"; NULL: none */
    bool precompressed; /* NAME.br and NAME.gz: see rondo_http_file_options. Off unless set: it
                                * costs each request from a browser two more lookups */
    bool
        listing; /* a directory without index is answered with a page that lists its files, made by a
                   * worker, at most 10,000 of them. Shows what would be served, nothing else */
} rondo_http_files_options;

/* From the next request on. Copied. 0; RONDO_EINVAL when index has a slash or begins with a dot,
 * fallback is empty or begins with a slash, or cache_control can't be the value of a field;
 * RONDO_ENOMEM. On failure nothing has changed. */
RONDO_API int rondo_http_files_set_options(rondo_http_files *files,
                                           const rondo_http_files_options *options);

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
