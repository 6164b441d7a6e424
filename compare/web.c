/* SPDX-License-Identifier: MIT
 *
 * What all models share: from octets to what is asked for, and from that to the head of an answer.
 */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "compare/web.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- requests ---- */

static int on_url(llhttp_t *llhttp, const char *at, size_t len) {
    web_parser *parser = llhttp->data;

    if (len > sizeof parser->target - parser->target_len) {
        parser->too_long = true;
        return HPE_USER;
    }
    memcpy(parser->target + parser->target_len, at, len);
    parser->target_len += len;
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp) {
    llhttp->upgrade = 0; /* nothing is upgraded to: HTTP goes on (RFC 9110 section 7.8) */
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_url = on_url,
                                           .on_headers_complete = on_headers_complete};

void web_parser_init(web_parser *parser) {
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    parser->target_len = parser->head_len = 0;
    parser->too_long = false;
}

void web_fail(web_request *request, int status) {
    request->work = WEB_ERROR;
    request->status = status;
}

/* The rest of the text is a number of at most `most`. */
static bool read_number(const char *at, const char *end, unsigned most, unsigned *ret) {
    unsigned number = 0;

    if (at == end || end - at > 8) return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') return false;
        number = number * 10 + (unsigned)(*at - '0');
    }
    *ret = number;
    return number <= most;
}

/* One name in one directory: letters and digits, so neither slashes nor dots. */
static bool read_name(const char *at, const char *end, char *ret, size_t size) {
    size_t len = (size_t)(end - at);

    if (len == 0 || len >= size) return false;
    for (size_t i = 0; i < len; i++) {
        if (!(at[i] >= 'a' && at[i] <= 'z') && !(at[i] >= '0' && at[i] <= '9')) return false;
        ret[i] = at[i];
    }
    ret[len] = '\0';
    return true;
}

static bool skip(const char **at, const char *end, const char *text) {
    size_t len = strlen(text);

    if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0) return false;
    *at += len;
    return true;
}

static void read_target(const char *at, const char *end, web_request *ret) {
    bool good;

    if (skip(&at, end, "http://")) { /* absolute form (RFC 9112 section 3.2.2) */
        const char *slash = memchr(at, '/', (size_t)(end - at));
        at = slash != NULL ? slash : end;
    }
    if (skip(&at, end, "/hello")) {
        ret->work = WEB_HELLO;
        good = at == end;
    } else if (skip(&at, end, "/wait?ms=")) {
        ret->work = WEB_WAIT;
        good = read_number(at, end, WEB_MOST_MS, &ret->amount);
    } else if (skip(&at, end, "/cpu?n=")) {
        ret->work = WEB_CPU;
        good = read_number(at, end, WEB_MOST_ROUNDS, &ret->amount);
    } else {
        ret->work = WEB_FILE;
        good = skip(&at, end, "/file?name=") && read_name(at, end, ret->name, sizeof ret->name);
    }
    if (!good) web_fail(ret, 404);
}

/* The status that a head earns by itself; 0: none. */
static int judge(const web_parser *parser) {
    const llhttp_t *llhttp = &parser->llhttp;

    if (llhttp->http_major != 1) return 505;
    if (llhttp->method != HTTP_GET) return 501;
    /* A body would have to be read to get at the next request, and nothing here is done with one. */
    if (llhttp->content_length > 0 || llhttp->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) return 501;
    return 0;
}

static void refuse(web_request *ret, int status) {
    web_fail(ret, status);
    ret->keep_alive = ret->say_so = false;
}

size_t web_parse(web_parser *parser, const char *data, size_t len, web_request *ret,
                 bool *ret_complete) {
    llhttp_t *llhttp = &parser->llhttp;
    size_t room = WEB_HEAD_MOST - parser->head_len;
    size_t given = len < room ? len : room; /* so that it doesn't matter how octets are grouped */
    llhttp_errno_t error = llhttp_execute(llhttp, data, given);

    *ret_complete = true;
    if (error == HPE_PAUSED) {
        size_t used = (size_t)(llhttp_get_error_pos(llhttp) - data);
        int status = judge(parser);
        ret->keep_alive = llhttp_should_keep_alive(llhttp);
        ret->say_so = ret->keep_alive && llhttp->http_minor == 0;
        if (status == 0)
            read_target(parser->target, parser->target + parser->target_len, ret);
        else
            refuse(ret, status);
        web_parser_init(parser);
        return used;
    }
    if (error == HPE_OK) {
        parser->head_len += given;
        *ret_complete = parser->head_len == WEB_HEAD_MOST;
        if (*ret_complete) refuse(ret, 431);
        return given;
    }
    refuse(ret, parser->too_long               ? 414
                : error == HPE_INVALID_METHOD  ? 501
                : error == HPE_INVALID_VERSION ? 505
                                               : 400);
    return len;
}

/* ---- answers ---- */

static const char *status_line(int status) {
    switch (status) {
    case 200: return "200 OK";
    case 404: return "404 Not Found";
    case 414: return "414 URI Too Long";
    case 431: return "431 Request Header Fields Too Large";
    case 501: return "501 Not Implemented";
    case 503: return "503 Service Unavailable";
    case 505: return "505 HTTP Version Not Supported";
    default: return "400 Bad Request";
    }
}

static size_t put(char *to, size_t at, const char *text) {
    size_t len = strlen(text);

    memcpy(to + at, text, len);
    return at + len;
}

static size_t put_number(char *to, size_t at, uint64_t number) {
    char digits[20];
    size_t count = 0;

    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0) to[at++] = digits[--count];
    return at;
}

/* By hand rather than with snprintf(), which would be a third of the work for a hello. */
size_t web_answer(const web_request *request, off_t file_size, char buf[static WEB_ANSWER_MOST]) {
    bool file = request->work == WEB_FILE;
    const char *status = status_line(request->work == WEB_ERROR ? request->status : 200);
    const char *body = request->work == WEB_ERROR ? status : file ? "" : "Hello, world!\n";
    const char *type =
        file ? "\r\nContent-Type: application/octet-stream" : "\r\nContent-Type: text/plain";
    size_t len = put(buf, put(buf, put(buf, 0, "HTTP/1.1 "), status), type);

    if (!request->keep_alive) len = put(buf, len, "\r\nConnection: close");
    if (request->say_so) len = put(buf, len, "\r\nConnection: keep-alive");
    if (request->work == WEB_CPU) {
        len = put(buf, len, "\r\nResult: ");
        len = put_number(buf, len, request->result);
    }
    len = put(buf, len, "\r\nContent-Length: ");
    len = put_number(buf, len, file ? (uint64_t)file_size : strlen(body));
    return put(buf, put(buf, len, "\r\n\r\n"), body);
}

/* ---- work ---- */

/* xorshift (Marsaglia, 2003): each step needs the one before, so that neither the compiler nor the processor can do them at once,
 * and all 32 bits are used up, so that none can be left out. */
uint32_t web_compute(unsigned rounds) {
    uint32_t x = 2463534242;

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned step = 0; step < 500; step++) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
        }
    }
    return x;
}

int web_open(int directory, web_request *request, off_t *ret_size) {
    struct stat about;
    int fd = openat(directory, request->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        *ret_size = about.st_size;
        return fd;
    }
    if (fd >= 0) close(fd);
    bool starved = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
    web_fail(request, starved ? 503 : 404);
    return -1;
}
