/* SPDX-License-Identifier: MIT
 *
 * What all models share: requests are taken apart (llhttp, as in Rondo), and told what they ask for. Nothing here reads, writes
 * or waits: how to do that is what the models differ in.
 *
 *     GET /hello          "Hello, world!\n" at once
 *     GET /wait?ms=20     the same after 20 ms: a slow back end
 *     GET /cpu?n=1000     the same after computing: n rounds of web_compute()
 *     GET /file?name=64k  a file of the settings' directory
 *
 * HTTP/1.1 with keep-alive and pipelining; anything else is answered 400, 404 or 501, and the connection closed where it has to be.
 */
#ifndef COMPARE_WEB_H
#define COMPARE_WEB_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum web_work { WEB_HELLO, WEB_WAIT, WEB_CPU, WEB_FILE, WEB_ERROR } web_work;

typedef struct web_request {
    web_work work;
    unsigned amount; /* WEB_WAIT: ms; WEB_CPU: rounds */
    char name[16];   /* WEB_FILE: one part of a path, checked */
    int status;      /* WEB_ERROR */
    bool keep_alive; /* else close when the answer is out */
} web_request;

typedef struct web_parser {
    llhttp_t llhttp;
    char target[128];
    size_t target_len;
    bool complete, too_long;
} web_parser;

void web_parser_init(web_parser *parser);
/* Takes octets up to the end of one request. Returns how many were taken; *ret_complete says whether *ret is filled. What cannot
 * be parsed is a complete request for WEB_ERROR. */
size_t web_parse(web_parser *parser, const char *data, size_t len, web_request *ret,
                 bool *ret_complete);

/* Head, and body but for a file's, of the answer. Returns its length. file_size: WEB_FILE's Content-Length. */
#define WEB_ANSWER_MOST 256
size_t web_answer(const web_request *request, off_t file_size, char buf[static WEB_ANSWER_MOST]);

/* Real computing: takes about a microsecond for each round on a machine of 2020. */
void web_compute(unsigned rounds);

/* Opens a WEB_FILE's file. Returns a descriptor with *ret_size, or -1, the request then being a WEB_ERROR. */
int web_open(const char *directory, web_request *request, off_t *ret_size);

#endif
