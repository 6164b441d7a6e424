/* SPDX-License-Identifier: MIT
 *
 * `rondo get`: what its parts share.
 *
 *   get.c           the call, and where its body goes
 *   get_options.c   the command line, and the help
 *   get_resume.c    the file of an earlier run
 *   get_progress.c  the bar on a terminal
 *   get_proxy.c     by way of whom
 */
#ifndef GET_H
#define GET_H

#include "cmd.h"

/* The server's answer was an error, or one that can't be used. */
enum { EXIT_ANSWER = 4 };

#define GET_FIELDS_MOST 64

typedef struct get_options {
    const char *url;
    const char *output;            /* NULL: standard output */
    const char *method;            /* NULL: GET, or POST with data */
    char *fields[GET_FIELDS_MOST]; /* "Name: value", of the command line */
    size_t field_count;
    const char *data; /* of the body; "@FILE" is a file's; NULL: none */
    const char *proxy, *no_proxy, *unix_path, *user, *trust;
    uint64_t max_time_ms; /* 0: not given */
    bool resume, head, no_follow, compressed, insecure, quiet, help;
} get_options;

/* EXIT_OK, or it has complained and EXIT_USAGE. */
int get_parse(int argc, char **argv, get_options *ret);

/* ---- get_resume.c ---- */

typedef struct get_file {
    int64_t size;   /* of what is there already; 0: nothing to go on with */
    char etag[200]; /* with which that came; "": not known */
} get_file;

/* Looks at what an earlier run has left. */
void get_look(const char *path, get_file *ret_file);
/* Remembers the ETag beside the file's content, in an extended attribute, or forgets it (NULL). Where the
 * file system has none, nothing is remembered. */
void get_remember(int fd, const char *etag);
/* The Content-Range of a 206 (RFC 9110 section 14.4). total: -1: not known. False: it is none. */
typedef struct get_range {
    int64_t first, last, total;
} get_range;
bool get_range_read(rondo_slice content_range, get_range *ret_range);
/* Whether the ETag of a 206 is the one that the file's beginning came with, as far as both are known: a
 * server need not look at If-Range, and parts of two versions make nothing (RFC 9110 section 15.3.7). */
bool get_etag_fits(rondo_slice etag, const get_file *before);
/* Whether a 416 says that the file is complete: "bytes * / SIZE". */
bool get_range_complete(rondo_slice content_range, int64_t size);

/* ---- get_proxy.c ---- */

/* What the command line says, or the environment; false: it has complained. */
bool get_set_proxies(const get_options *given, rondo_http_client *client);

/* ---- get_progress.c ---- */

typedef struct get_progress {
    rondo_timer *timer; /* NULL: nothing is shown */
    int64_t had;        /* from an earlier run */
    int64_t got, total; /* total -1: not known */
    uint64_t since_ns;
    bool shown;
} get_progress;

/* Begins to show on standard error, if that is a terminal. */
void get_progress_begin(get_progress *progress, rondo_loop *loop, int64_t had, int64_t total);
/* The last state stays, on a line of its own. */
void get_progress_end(get_progress *progress);

#endif
