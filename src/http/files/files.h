/* SPDX-License-Identifier: MIT
 *
 * Static files, from the inside: a request's target becomes a safe relative path (path.c), that
 * path becomes an open regular file beneath the root (open.c), the file's validators and the
 * request's conditions become a status (condition.c, range.c), and all that becomes an answer
 * (answer.c). files.c ties it to requests, the loop and the pool. Internal.
 */
#ifndef RONDO__FILES_H
#define RONDO__FILES_H

#include <rondo/http.h>

#include "http/chars.h"
#include "http/date.h"
#include "loop/assert.h"

#include <sys/stat.h>

/* Whether text is `word` (in lower case), in any case. */
static inline bool rondo__same_word(rondo_slice text, const char *word) {
    return rondo__http_word_is(text.data, text.len, word);
}

/* ---- path.c ---- */

/* Turns a request target (origin-form or absolute-form; the query is left out) into a path relative
 * to the root: "a/b.txt", "a/" for a directory, "" for the root. Percent-encoding is decoded once.
 * Returns its length, or
 *   RONDO_EINVAL (400): not a target that names a file: no slash at its front, a broken escape, an
 *     encoded NUL, a raw control character, space or '#';
 *   RONDO_ENOENT (404): a segment that is empty but for the last ("//"), that begins with a dot
 *     (so "." and ".." too, however they are encoded), that holds an encoded slash, or a path that
 *     does not fit.
 * Nothing else is special: a backslash is a letter, and octets that are not UTF-8 (overlong forms
 * of '.' or '/') are names of files that don't exist. */
int rondo__http_path(rondo_slice target, char *ret_path, size_t size);

/* The Location that adds a slash to the target's path: relative to the last segment, as in
 * "./name/?query", so that it can't lead to another host. Returns its length, RONDO_ENOBUFS or
 * RONDO_EINVAL. */
int rondo__http_path_location(rondo_slice target, char *ret_text, size_t size);

/* ---- mime.c ---- */

/* The media type of a file of that name; "application/octet-stream" when unknown. Static. */
const char *rondo__http_mime(const char *name);
/* Whether the table is in order; for the tests. */
bool rondo__http_mime_sorted(void);

/* ---- range.c ---- */

typedef enum rondo__range {
    RONDO__RANGE_WHOLE,        /* no usable range: 200 */
    RONDO__RANGE_PART,         /* 206 */
    RONDO__RANGE_UNSATISFIABLE /* 416 */
} rondo__range;

/* What a Range field asks of a file of that size. Sets the outputs for RONDO__RANGE_PART only. */
rondo__range rondo__http_range(rondo_slice field, uint64_t size, uint64_t *ret_offset,
                               uint64_t *ret_len);

/* ---- condition.c ---- */

typedef struct rondo__validators {
    char etag[48]; /* with its quotes, and W/ unless strong */
    bool strong;
    int64_t mtime; /* Last-Modified, in seconds */
} rondo__validators;

/* settle_ns: how long after its last change a file's tag stays weak. */
void rondo__validators_of(const struct stat *st, int64_t now_ns, int64_t settle_ns,
                          rondo__validators *ret_validators);

typedef struct rondo__field_once {
    rondo_slice value;
    unsigned count;
} rondo__field_once;

typedef struct rondo__conditions {
    const rondo__validators *file;
    int64_t now;
    bool has_match, match, has_none_match, none_match;
    rondo__field_once modified_since, unmodified_since, if_range, range;
} rondo__conditions;

void rondo__conditions_init(rondo__conditions *conditions, const rondo__validators *file,
                            int64_t now);
/* Takes a header field into account; any but the six are ignored. Values are not copied. */
void rondo__conditions_field(rondo__conditions *conditions, rondo_slice name, rondo_slice value);
/* 412, 304, or 200: send it. */
int rondo__conditions_status(const rondo__conditions *conditions);
/* The range to send, If-Range considered. For GET only (section 14.2). */
rondo__range rondo__conditions_range(const rondo__conditions *conditions, uint64_t size,
                                     uint64_t *ret_offset, uint64_t *ret_len);

/* ---- open.c ---- */

typedef enum rondo__files_how {
    RONDO__FILES_CACHED,  /* openat2, from the kernel's caches only: never waits for a disk */
    RONDO__FILES_BENEATH, /* openat2: links are followed within the root */
    RONDO__FILES_WALK     /* openat, one name after another: links are not followed at all */
} rondo__files_how;

/* Opens a regular file at path beneath root. Returns the fd and sets *ret_stat, or RONDO_EISDIR for
 * a directory; RONDO_ENOENT for what is neither; RONDO_EXDEV or RONDO_ELOOP for a link that leads
 * out; with RONDO__FILES_CACHED, RONDO_EAGAIN when only a worker can tell. Any thread. */
int rondo__files_open(int root, const char *path, rondo__files_how how, struct stat *ret_stat);
/* The best way that this system has for the root, on a worker; and whether RONDO__FILES_CACHED is
 * worth a try on the loop's thread before. */
rondo__files_how rondo__files_best_way(int root);
bool rondo__files_can_try_cached(int root);

/* ---- files.c, answer.c ---- */

struct rondo_http_files {
    rondo_loop *loop;
    int root;
    size_t pending; /* requests that wait for a worker */
    bool freed;     /* rondo_http_files_free() was called; goes with the last pending one */
    /* Switches, also for the tests. */
    rondo__files_how how;
    bool try_cached;
    int64_t settle_ns;
};

/* Answers with an open file, which it takes over. name is for the type. */
void rondo__files_answer(const rondo_http_files *files, const rondo_http_request *request,
                         rondo_http_response *response, const char *name, int fd,
                         const struct stat *st);
/* Answers with what a negative RONDO_E* of path.c or open.c means. path: "" or ends in a
 * slash when a directory was asked for, NULL when it could not be told. */
void rondo__files_refuse(const rondo_http_request *request, rondo_http_response *response,
                         const char *path, int error);
/* An answer that is its status and one line of text. */
void rondo__files_reply(rondo_http_response *response, int status);

#endif
