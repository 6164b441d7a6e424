/* SPDX-License-Identifier: MIT
 *
 * Files over HTTP, from the inside: a request's target becomes a safe relative path (path.c), the
 * path becomes an open regular file beneath a directory (open.c), perhaps another one than was named
 * (find.c), or a page that lists the directory (listing.c). The file's validators and the request's
 * conditions become a status (condition.c, range.c), and all that becomes an answer (answer.c,
 * parts.c, squeeze.c). task.c ties it to responses, the loop and the pool. What the API offers is a file
 * (file.c), or those beneath a directory (files.c). Internal.
 */
#ifndef RONDO__FILES_H
#define RONDO__FILES_H

#include <rondo/http.h>

#include "http/chars.h"
#include "http/date.h"
#include "http/encoding/accept.h"
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

/* How many ranges a field may ask for; with more, the whole file is sent. */
#define RONDO__RANGES_MOST 16

typedef struct rondo__part {
    uint64_t offset, len; /* len is not 0 */
} rondo__part;

/* No two of them overlap or touch; in the order in which they were asked for. */
typedef struct rondo__parts {
    unsigned count;
    rondo__part at[RONDO__RANGES_MOST];
} rondo__parts;

/* What a Range field asks of a file of that size. Sets the parts for RONDO__RANGE_PART only. */
rondo__range rondo__http_range(rondo_slice field, uint64_t size, rondo__parts *ret_parts);

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
                                     rondo__parts *ret_parts);

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

/* ---- what is looked for, and how it is told ---- */

/* The texts of a task, all of which may be NULL but the path. */
enum {
    RONDO__FILE_PATH, /* relative to the root; "" or with a slash at its end: a directory */
    RONDO__FILE_INDEX,
    RONDO__FILE_FALLBACK,
    RONDO__FILE_TYPE,
    RONDO__FILE_DISPOSITION,
    RONDO__FILE_CACHE_CONTROL,
    RONDO__FILE_TEXTS
};

typedef struct rondo__file_task {
    int root;             /* the directory */
    rondo__files_how how; /* on a worker */
    bool try_cached;      /* on the loop's thread before */
    bool find_how;        /* `how` is not known yet */
    bool precompressed, listing;
    bool redirects; /* a directory without its slash is redirected to, else not found */
    uint8_t coding_count;
    rondo__coding codings[RONDO__CODINGS]; /* those that the client wants, the best first */
    int64_t settle_ns;
    rondo_http_files *files; /* NULL: the directory is the caller's */
    const char *text[RONDO__FILE_TEXTS];
} rondo__file_task;

/* Longer than the grain of any file system's clock in use (FAT's is 2 s). */
#define RONDO__SETTLE_NS INT64_C(2000000000)

/* Answers with what the task finds, now or from a worker: ends the response. */
void rondo__file_task_run(rondo__file_task *task, rondo_http_response *response);
/* Which precompressed files the client of the request would take. */
void rondo__file_task_negotiate(rondo__file_task *task, const rondo_http_request *request);

/* ---- find.c ---- */

typedef struct rondo__found {
    int fd; /* or an error */
    struct stat st;
    rondo__coding coding;
    const char *name; /* what the type is told by; lives as long as the task */
    char *page;       /* a list of files in place of one; with fd RONDO_EISDIR */
    size_t page_len;
} rondo__found;

/* Any thread. With RONDO__FILES_CACHED ret_found->fd is RONDO_EAGAIN when only a worker can tell. */
void rondo__files_find(const rondo__file_task *task, rondo__files_how how, rondo__found *ret_found);
/* Gives back what was found and is not wanted. */
void rondo__found_drop(rondo__found *found);

/* ---- listing.c ---- */

/* A page that lists what is in the directory, which is closed. path is for its title. 0 or an error;
 * the page is the caller's to free. On a worker. */
int rondo__files_list(int directory, const char *path, char **ret_page, size_t *ret_len);

/* ---- answer.c ---- */

/* Answers with an open file, which it takes over; status 304 and the like if the request says so. */
void rondo__files_answer(const rondo__file_task *task, rondo_http_response *response,
                         const rondo__found *found);
/* Answers with the page of a directory, and frees it. */
void rondo__files_answer_page(rondo_http_response *response, rondo__found *found);
/* Answers with what a negative RONDO_E* of path.c or open.c means. path: "" or ends in a
 * slash when a directory was asked for, NULL when it could not be told. */
void rondo__files_refuse(rondo_http_response *response, bool redirects, const char *path,
                         int error);
/* An answer that is its status and one line of text. */
void rondo__files_reply(rondo_http_response *response, int status);
/* Whether the request reads: GET or HEAD. */
bool rondo__files_reads(const rondo_http_request *request);
/* Ends a response that could not be answered: the connection is cut off. */
void rondo__files_settle(rondo_http_response *response, int result);

/* ---- parts.c ---- */

/* Ends an answer with several parts of the file, as multipart/byteranges; its fields but the type are
 * there already. The fd is closed. */
void rondo__files_send_parts(rondo_http_response *response, const char *type,
                             const rondo__parts *parts, int fd, uint64_t size);
/* "bytes 0-9/100" into text of RONDO__CONTENT_RANGE_SIZE. */
#define RONDO__CONTENT_RANGE_SIZE 80
void rondo__content_range(char *ret_text, rondo__part part, uint64_t size);

/* ---- squeeze.c ---- */

/* The body of a response whose head was begun, and whose filter compresses: octets of the file, which
 * is taken over. Ends the response, later. 0 or an error. */
int rondo__files_squeeze(rondo_http_response *response, int fd, uint64_t size);

/* ---- files.c ---- */

struct rondo_http_files {
    rondo_loop *loop;
    int root;
    size_t pending; /* requests that wait for a worker */
    bool freed;     /* rondo_http_files_free() was called; goes with the last pending one */
    bool precompressed, listing;
    char *index, *fallback, *cache_control; /* of the options; index is NULL for none */
    /* Switches, also for the tests. */
    rondo__files_how how;
    bool try_cached;
    int64_t settle_ns;
};

/* A request of it waits for a worker; it waits no more. */
void rondo__files_hold(rondo_http_files *files);
void rondo__files_release(rondo_http_files *files);

/* ---- file.c ---- */

/* The value of Content-Disposition that has a browser save the answer under that name: 0,
 * RONDO_EINVAL for one with control characters or longer than 255 octets. */
#define RONDO__DISPOSITION_SIZE 1120
int rondo__http_attachment(const char *name, char ret_value[RONDO__DISPOSITION_SIZE]);

#endif
