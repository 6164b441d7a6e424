/* SPDX-License-Identifier: MIT
 *
 * Header fields that an application adds to its answer from what somebody gave it. The input is lines
 * of "name=value"; those that are taken must be in the answer, once, as they are, and nothing else: no
 * line more, no second answer.
 */
#include "web.h"

enum { MANY = 32 };

static web site;
static struct field {
    char name[128], value[512];
    bool taken;
} fields[MANY];
static size_t count;
static char type[256];
static bool typed;

static bool is_token(const char *name) {
    for (const char *at = name; *at; at++)
        if (!strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                    *at))
            return false;
    return *name;
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    for (size_t i = 0; i < count; i++) {
        struct field *f = &fields[i];
        int status = rondo_http_response_header(response, f->name, f->value);
        MUST(status == 0 || status == RONDO_EINVAL || status == RONDO_ENOBUFS);
        f->taken = status == 0;
        if (f->taken) MUST(is_token(f->name) && !strpbrk(f->value, "\r\n"));
    }
    int status = rondo_http_response_reply(response, 200, type, rondo_slice_text("body"));
    typed = status == 0;
    MUST(status == 0 || status == RONDO_EINVAL);
    if (status < 0)
        rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("body"));
}

/* The line that begins at `at` in the answer; moves behind it. */
static bool take_line(char **at, char *ret_line, size_t size) {
    char *end = strstr(*at, "\r\n");
    if (!end || (size_t)(end - *at) >= size) return false;
    memcpy(ret_line, *at, (size_t)(end - *at));
    ret_line[end - *at] = '\0';
    *at = end + 2;
    return true;
}

static void judge(answers *got) {
    char *at = got->text, line[1024], want[1024];
    size_t next = 0;
    MUST(take_line(&at, line, sizeof line) && strcmp(line, "HTTP/1.1 200 OK") == 0);
    while (take_line(&at, line, sizeof line) && *line) {
        while (next < count && !fields[next].taken) next++;
        bool own = strncmp(line, "Date: ", 6) == 0 || strncmp(line, "Content-Length: ", 16) == 0 ||
                   strncmp(line, "Content-Type: ", 14) == 0;
        if (next < count) {
            snprintf(want, sizeof want, "%s: %s", fields[next].name, fields[next].value);
            if (strcmp(line, want) == 0) {
                next++;
                continue;
            }
        }
        if (typed && strncmp(line, "Content-Type: ", 14) == 0) MUST(strcmp(line + 14, type) == 0);
        MUST(own);
    }
    while (next < count && !fields[next].taken) next++;
    MUST(next == count && strcmp(at, "body") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static answers got;
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    if (!site.loop) web_open(&site, on_request, NULL, NULL);
    strcpy(type, "text/plain");
    for (count = 0; size > 0 && count < MANY;) {
        const uint8_t *end = memchr(data, 0, size), *equals;
        size_t len = end ? (size_t)(end - data) : size;
        struct field *f = &fields[count];
        if ((equals = memchr(data, '=', len)) && equals - data < (long)sizeof f->name &&
            len - (size_t)(equals - data) - 1 < sizeof f->value) {
            memcpy(f->name, data, (size_t)(equals - data));
            f->name[equals - data] = '\0';
            memcpy(f->value, equals + 1, len - (size_t)(equals - data) - 1);
            f->value[len - (size_t)(equals - data) - 1] = '\0';
            count++;
        } else if (len < sizeof type) {
            memcpy(type, data, len);
            type[len] = '\0';
        }
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    got.len = 0;
    got.ended = false;
    int fd = web_connect(&site);
    web_send(&site, fd, (const uint8_t *)request, sizeof request - 1, &got);
    web_pump(&site, fd, &got);
    judge(&got);
    web_leave(&site, fd);
    return 0;
}
