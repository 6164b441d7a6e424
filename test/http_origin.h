/* SPDX-License-Identifier: MIT
 *
 * For the tests of the HTTP client: a client, and the server that it talks to, on one thread. The
 * server is raw non-blocking sockets and says what the test says; between its calls the loop makes
 * turns that never sleep. Time is the virtual clock's.
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include "harness.h"

#include <rondo.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"

#define ORIGIN_HELPER __attribute__((unused)) static
#define NO_BODY rondo_slice_of(NULL, 0)

/* ---- the world ---- */

typedef struct world {
    rondo_loop *loop;
    rondo_http_client *client;
    rondo_async *awake; /* a loop that has nothing to live for makes no turns */
    int listener, port;
    char url[64]; /* "http://127.0.0.1:PORT" */
} world;

ORIGIN_HELPER int new_listener(int *ret_port) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(fd, (struct sockaddr *)&any, len) == 0 && listen(fd, 64) == 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    *ret_port = ntohs(any.sin_port);
    return fd;
}

ORIGIN_HELPER void stay_awake(rondo_async *async, void *arg) { (void)async, (void)arg; }

ORIGIN_HELPER void world_open(world *w) {
    w->loop = rondo_loop_new();
    CHECK(w->loop != NULL);
    CHECK_INT(rondo_loop_use_virtual_clock(w->loop, 1000000000), 0);
    w->client = rondo_http_client_new(w->loop);
    CHECK(w->client != NULL);
    w->awake = rondo_async_new(w->loop, stay_awake, NULL);
    CHECK(w->awake != NULL);
    w->listener = new_listener(&w->port);
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d", w->port);
}

ORIGIN_HELPER void turns(world *w, int count) {
    while (count-- > 0) rondo_loop_run(w->loop, RONDO_RUN_NOWAIT);
    rondo__loop_verify(w->loop);
}

ORIGIN_HELPER void world_close(world *w) {
    if (w->client) rondo_close(w->client);
    close(w->listener);
    rondo_close(w->awake);
    turns(w, 6);
    CHECK_INT(rondo_loop_run(w->loop, RONDO_RUN_ALL), 0);
    rondo__loop_verify(w->loop);
    rondo_loop_free(w->loop);
}

ORIGIN_HELPER void timer_fired(rondo_timer *timer, void *arg) {
    *(bool *)arg = true;
    rondo_close(timer);
}

/* Lets ms of virtual time pass. */
ORIGIN_HELPER void advance(world *w, uint64_t ms) {
    bool fired = false;
    rondo_timer *timer = rondo_timer_new(w->loop);
    CHECK_INT(rondo_timer_start(timer, ms, 0, timer_fired, &fired), 0);
    while (!fired) rondo_loop_run(w->loop, RONDO_RUN_ONCE);
    turns(w, 3);
}

ORIGIN_HELPER rondo_http_client_figures figures(world *w) {
    rondo_http_client_figures now;
    rondo_http_client_get_figures(w->client, &now);
    return now;
}

/* A URL of the world's server. */
ORIGIN_HELPER const char *at(world *w, const char *target) {
    static char text[4][1024];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof text[turn], "%s%s", w->url, target);
    return text[turn];
}

/* ---- the server's side ---- */

typedef struct line { /* a connection that the server has accepted */
    int fd;
    char data[70000]; /* what was received and not forgotten; 0-terminated */
    size_t len;
    bool ended, reset;
} line;

/* The next connection; fails when there is none. */
ORIGIN_HELPER void line_take_from(world *w, int listener, line *l) {
    l->fd = -1;
    for (int i = 0; i < 50 && l->fd < 0; i++) {
        rondo_loop_run(w->loop, RONDO_RUN_NOWAIT);
        harness_settle();
        l->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    CHECK(l->fd >= 0);
    l->len = 0;
    l->data[0] = '\0';
    l->ended = l->reset = false;
}
ORIGIN_HELPER void line_take(world *w, line *l) { line_take_from(w, w->listener, l); }

/* Whether nobody else has connected. */
ORIGIN_HELPER bool nobody_connects(world *w) {
    turns(w, 5);
    int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) close(fd);
    return fd < 0;
}

ORIGIN_HELPER bool line_read(line *l) {
    if (sizeof l->data - l->len < 2) l->len = 0; /* a flood: forget the beginning */
    harness_settle();
    ssize_t got = recv(l->fd, l->data + l->len, sizeof l->data - 1 - l->len, 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) {
        bool before = l->ended;
        l->ended = true;
        l->reset |= got < 0;
        return !before;
    }
    l->len += (size_t)got;
    l->data[l->len] = '\0';
    return true;
}

/* Turns until nothing more comes. */
ORIGIN_HELPER void line_pump(world *w, line *l) {
    for (int quiet = 0; quiet < 6; quiet++) {
        rondo_loop_run(w->loop, RONDO_RUN_NOWAIT);
        while (line_read(l)) quiet = 0;
    }
    rondo__loop_verify(w->loop);
}

ORIGIN_HELPER void line_forget(line *l) {
    l->len = 0;
    l->data[0] = '\0';
}

ORIGIN_HELPER void line_send(world *w, line *l, const void *data, size_t len) {
    const char *from = data;
    for (int idle = 0; len > 0 && idle < 2000;) {
        ssize_t sent = send(l->fd, from, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) {
            from += sent;
            len -= (size_t)sent;
            idle = 0;
        } else {
            idle++;
            rondo_loop_run(w->loop, RONDO_RUN_NOWAIT);
        }
    }
    harness_settle();
}

ORIGIN_HELPER void line_say(world *w, line *l, const char *text) {
    line_send(w, l, text, strlen(text));
    line_pump(w, l);
}

/* The same octet by octet. */
ORIGIN_HELPER void line_spell(world *w, line *l, const char *text) {
    for (; *text; text++) {
        line_send(w, l, text, 1);
        turns(w, 2);
    }
    line_pump(w, l);
}

ORIGIN_HELPER void line_close(line *l) {
    if (l->fd >= 0) close(l->fd);
    harness_settle();
    l->fd = -1;
}

ORIGIN_HELPER void line_reset(line *l) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CHECK_INT(setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    line_close(l);
}

/* Takes a connection and what is asked on it. */
ORIGIN_HELPER void line_ask(world *w, line *l) {
    line_take(w, l);
    line_pump(w, l);
}

#define HAS(l, text) \
    (strstr((l)->data, (text)) ? (void)0 : FAIL("'%s' is not in: %s", (text), (l)->data))
#define HAS_NOT(l, text) \
    (strstr((l)->data, (text)) ? FAIL("'%s' is in: %s", (text), (l)->data) : (void)0)

/* ---- the client's side ---- */

/* What a call has told, in words: "response 200 / data abc / end / close". Data is joined. */
typedef struct heard {
    rondo_http_call *call; /* NULL once it has closed */
    char text[2048];
    char body[4096];
    size_t body_len; /* counts on */
    int error, status, ends, errors, closes, responses, drains;
    rondo_http_stage stage; /* with the error */
    char words[200];
} heard;

__attribute__((unused, format(printf, 2, 3))) static void hear(heard *h, const char *format, ...) {
    size_t len = strlen(h->text);
    va_list args;
    if (len > sizeof h->text - 100) return;
    if (len > 0) len += (size_t)sprintf(h->text + len, " / ");
    va_start(args, format);
    vsnprintf(h->text + len, sizeof h->text - len, format, args);
    va_end(args);
}

ORIGIN_HELPER void hear_interim(rondo_http_call *call, void *arg) {
    hear(arg, "interim %d", rondo_http_call_status(call));
}
ORIGIN_HELPER void hear_response(rondo_http_call *call, void *arg) {
    heard *h = arg;
    h->responses++;
    h->status = rondo_http_call_status(call);
    hear(h, "response %d", h->status);
}
ORIGIN_HELPER void hear_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    heard *h = arg;
    (void)call;
    CHECK(chunk.len > 0);
    for (size_t i = 0; i < chunk.len; i++)
        if (h->body_len + i < sizeof h->body - 1) h->body[h->body_len + i] = chunk.data[i];
    h->body_len += chunk.len;
}
ORIGIN_HELPER void hear_end(rondo_http_call *call, void *arg) {
    heard *h = arg;
    (void)call;
    h->ends++;
    hear(h, "end");
}
ORIGIN_HELPER void hear_error(rondo_http_call *call, int error, void *arg) {
    heard *h = arg;
    h->errors++;
    h->error = error;
    h->stage = rondo_http_call_stage(call);
    snprintf(h->words, sizeof h->words, "%s", rondo_http_call_error_text(call));
    hear(h, "%s", rondo_error_name(error));
}
ORIGIN_HELPER void hear_drain(rondo_http_call *call, void *arg) {
    (void)call;
    ((heard *)arg)->drains++;
}
ORIGIN_HELPER void hear_close(rondo_handle *call, void *arg) {
    heard *h = arg;
    (void)call;
    h->closes++;
    h->call = NULL;
    CHECK(h->ends + h->errors <= 1);
    hear(h, "close");
}

/* A call that is heard, not sent yet. */
ORIGIN_HELPER rondo_http_call *new_call(world *w, heard *h, const char *method, const char *url) {
    memset(h, 0, sizeof *h);
    h->call = rondo_http_call_new(w->client, method, url);
    CHECK(h->call != NULL);
    rondo_http_call_on_interim(h->call, hear_interim, h);
    rondo_http_call_on_response(h->call, hear_response, h);
    rondo_http_call_on_data(h->call, hear_data, h);
    rondo_http_call_on_end(h->call, hear_end, h);
    rondo_http_call_on_error(h->call, hear_error, h);
    rondo_http_call_on_drain(h->call, hear_drain, h);
    CHECK_INT(rondo_on_close(h->call, hear_close, h), 0);
    return h->call;
}

/* ... and sent. */
ORIGIN_HELPER rondo_http_call *ask(world *w, heard *h, const char *method, const char *target) {
    rondo_http_call *call = new_call(w, h, method, at(w, target));
    CHECK_INT(rondo_http_call_send(call, NO_BODY), 0);
    return call;
}

/* One exchange on a connection of its own: the answer is `answer`, sent whole; then the server ends. */
ORIGIN_HELPER void exchange(world *w, heard *h, const char *method, const char *answer, bool ends) {
    static line l;
    ask(w, h, method, "/");
    line_ask(w, &l);
    line_say(w, &l, answer);
    if (ends) line_close(&l);
    turns(w, 4);
    if (!ends) line_close(&l);
    turns(w, 4);
}

#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

#endif
