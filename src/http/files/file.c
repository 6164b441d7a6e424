/* SPDX-License-Identifier: MIT
 *
 * One file that a handler chooses as its answer, by name or open already; and the field that has a
 * browser save it under another name.
 */
#include <fcntl.h>
#include <rondo/error.h>
#include <rondo/handle.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/files/files.h"
#include "http/server/response.h"
#include "loop/retry.h"

/* ---- Content-Disposition ---- */

static char *put(char *at, const char *text) {
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

static bool is_separator(char c) { return c == '/' || c == '\\'; }

/* attr-char of RFC 8187: what stands for itself in filename*. */
static bool is_plain(char c) {
    return rondo__http_is(c, RONDO__CHAR_TOKEN) && c != '*' && c != '\'' && c != '%';
}

/* For those who know no filename*: every other octet is shown as '_'. A '%' too, since some decode
 * it (RFC 6266 appendix D). */
static char *put_simple(char *at, const char *name, bool *ret_exact) {
    *ret_exact = true;
    for (; *name; name++) {
        bool plain = *name >= ' ' && *name < 0x7f && *name != '"' && *name != '%';
        if (is_separator(*name))
            *at++ = '_';
        else
            *at++ = plain ? *name : '_';
        *ret_exact &= plain;
    }
    return at;
}

/* A name is no path: what separates names is replaced in both forms. */
static char *put_encoded(char *at, const char *name) {
    static const char digits[] = "0123456789ABCDEF";

    for (; *name; name++) {
        unsigned char octet = is_separator(*name) ? '_' : (unsigned char)*name;
        if (is_plain((char)octet)) {
            *at++ = (char)octet;
        } else {
            *at++ = '%';
            *at++ = digits[octet >> 4];
            *at++ = digits[octet & 15];
        }
    }
    return at;
}

int rondo__http_attachment(const char *name, char ret_value[RONDO__DISPOSITION_SIZE]) {
    bool exact;
    char *at = ret_value;

    if (strlen(name) > 255) return RONDO_EINVAL;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) return RONDO_EINVAL;
    at = put(at, "attachment");
    if (name[0]) {
        at = put(at, "; filename=\"");
        at = put_simple(at, name, &exact);
        *at++ = '"';
        if (!exact) {
            at = put(at, "; filename*=UTF-8''");
            at = put_encoded(at, name);
        }
    }
    *at = '\0';
    RONDO_ASSERT(at < ret_value + RONDO__DISPOSITION_SIZE);
    return 0;
}

/* ---- the calls ---- */

static bool is_field_value(const char *text, size_t most) {
    size_t len = strlen(text);
    return len <= most && rondo__http_all(text, len, RONDO__CHAR_VALUE);
}

/* Checks the options and puts them into the task. */
static int take_options(rondo__file_task *task, const rondo_http_file_options *options,
                        char disposition[RONDO__DISPOSITION_SIZE]) {
    if (!options) return 0;
    if (options->type && !is_field_value(options->type, RONDO__TYPE_MOST)) return RONDO_EINVAL;
    if (options->cache_control && !is_field_value(options->cache_control, 4096))
        return RONDO_EINVAL;
    task->text[RONDO__FILE_TYPE] = options->type;
    task->text[RONDO__FILE_CACHE_CONTROL] = options->cache_control;
    if (!options->attachment) return 0;
    task->text[RONDO__FILE_DISPOSITION] = disposition;
    return rondo__http_attachment(options->attachment, disposition);
}

/* 0: the client is there and waits for an answer. Else the response has been ended, if it can be. */
static int check_client(rondo_http_response *response) {
    if (!response->request) return RONDO_ECLOSED;
    if (!rondo__response_conn(response)) return rondo_http_response_end(response);
    return 0;
}

int rondo_http_response_file(rondo_http_response *response, int directory_fd, const char *path,
                             const rondo_http_file_options *options) {
    RONDO__CHECK(response, &rondo__response_kind);
    char disposition[RONDO__DISPOSITION_SIZE];
    rondo__file_task task = {
        .root = directory_fd,
        .try_cached = true,
        .find_how = true,
        .settle_ns = RONDO__SETTLE_NS,
        .text = {[RONDO__FILE_PATH] = path},
    };
    int result = take_options(&task, options, disposition);

    if (result < 0 || path[0] == '\0' || path[0] == '/') return RONDO_EINVAL;
    if (response->status != 0) return RONDO_EBUSY;
    if ((result = check_client(response)) < 0) return result;
    if (options && options->precompressed) rondo__file_task_negotiate(&task, response->request);
    task.try_cached = rondo__files_can_try_cached(directory_fd);
    rondo__file_task_run(&task, response);
    return 0;
}

static int open_file(rondo_http_response *response, int fd, bool own_fd, const char *name,
                     const rondo_http_file_options *options, rondo__found *found) {
    char disposition[RONDO__DISPOSITION_SIZE];
    rondo__file_task task = {.settle_ns = RONDO__SETTLE_NS};
    int result = take_options(&task, options, disposition);

    if (result < 0) return result;
    if (response->status != 0) return RONDO_EBUSY;
    if (fstat(fd, &found->st) != 0) return rondo__errno();
    if (!S_ISREG(found->st.st_mode)) return RONDO_EINVAL;
    if ((result = check_client(response)) < 0) return result;
    /* The answer closes its descriptor when the last octet has left. */
    found->fd = own_fd ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (found->fd < 0) {
        rondo__files_refuse(response, false, NULL, rondo__errno());
        return 0;
    }
    found->name = name ? name : "";
    rondo__files_answer(&task, response, found);
    return 1; /* the fd was taken */
}

int rondo_http_response_open_file(rondo_http_response *response, int fd, bool own_fd,
                                  const char *name, const rondo_http_file_options *options) {
    RONDO__CHECK(response, &rondo__response_kind);
    rondo__found found = {.coding = RONDO__CODING_IDENTITY};
    int result = open_file(response, fd, own_fd, name, options, &found);

    if (result > 0) return 0;
    if (own_fd && fd >= 0) close(fd);
    return result;
}
