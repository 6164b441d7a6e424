/* SPDX-License-Identifier: MIT
 *
 * What all models share: requests are taken apart (llhttp, as in Rondo), and told what they ask for. Nothing here reads, writes
 * or waits: how to do that is what the models differ in. Nothing here allocates, either.
 *
 *     GET /hello          "Hello, world!\n" at once
 *     GET /wait?ms=20     the same after 20 ms: a slow back end
 *     GET /cpu?n=1000     the same after computing: what web_compute(1000) returns is told in a field, Result
 *     GET /file?name=64k  a file of the settings' directory
 *
 * HTTP/1.1, and 1.0, with keep-alive and pipelining. Everything else is an error: 404 for other targets; and, the connection being
 * closed behind them, 400 for what is no request, 414 for a target of more than 128 octets, 431 for a head of more than 8 KiB, 501
 * for other methods than GET and for a request with a body, 505 for other versions. There is no Date field, and no timeout: an
 * idle client may stay.
 */
#ifndef COMPARE_WEB_H
#define COMPARE_WEB_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum web_work { WEB_HELLO, WEB_WAIT, WEB_CPU, WEB_FILE, WEB_ERROR } web_work;

#define WEB_MOST_MS 60000
#define WEB_MOST_ROUNDS 20000000

typedef struct web_request {
    web_work work;
    unsigned amount; /* WEB_WAIT: ms; WEB_CPU: rounds */
    char name[16];   /* WEB_FILE: one part of a path, checked */
    int status;      /* WEB_ERROR */
    uint32_t result; /* WEB_CPU: what web_compute() said, for web_answer() */
    bool keep_alive; /* else close when the answer is out */
    bool say_so;     /* a client of HTTP/1.0 that asked for keep-alive is told */
} web_request;

#define WEB_TARGET_MOST 128
#define WEB_HEAD_MOST 8192

typedef struct web_parser {
    llhttp_t llhttp;
    char target[WEB_TARGET_MOST];
    size_t target_len, head_len;
    bool too_long;
} web_parser;

void web_parser_init(web_parser *parser);
/* Takes octets up to the end of one request. Returns how many were taken; *ret_complete says whether *ret is filled. What cannot
 * be parsed is a complete request for WEB_ERROR, without keep-alive, after which the parser must not be used. */
size_t web_parse(web_parser *parser, const char *data, size_t len, web_request *ret,
                 bool *ret_complete);

/* Head, and body but for a file's, of the answer. Returns its length. file_size: WEB_FILE's Content-Length. */
#define WEB_ANSWER_MOST 256
size_t web_answer(const web_request *request, off_t file_size, char buf[static WEB_ANSWER_MOST]);

/* Real computing: takes about a microsecond for each round on a machine of 2020. In 32 bits, so that JavaScript can do the same. */
uint32_t web_compute(unsigned rounds);

/* Opens a WEB_FILE's file in the directory of that descriptor. Returns a descriptor with *ret_size, or -1, the request then being a
 * WEB_ERROR: 404, or 503 when it is the server that lacks something, and errno says what. */
int web_open(int directory, web_request *request, off_t *ret_size);
/* Makes it a WEB_ERROR. */
void web_fail(web_request *request, int status);

#endif
