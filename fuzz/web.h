/* SPDX-License-Identifier: MIT
 *
 * For targets that talk to the HTTP server: a server on a Unix socket of the abstract namespace and a
 * client, on one thread and a clock that stands still. They live as long as the program.
 */
#ifndef FUZZ_WEB_H
#define FUZZ_WEB_H

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/loop.h"

typedef struct web {
    rondo_loop *loop;
    rondo_http_server *server;
    struct sockaddr_un address;
    socklen_t address_len;
} web;

/* What a connection brought. */
typedef struct answers {
    char text[1 << 18];
    size_t len;
    bool ended;
} answers;

static inline void web_open(web *w, rondo_http_request_cb cb, void *arg,
                            const rondo_http_limits *limits) {
    char name[64];
    snprintf(name, sizeof name, "@rondo-fuzz-%d", (int)getpid());
    w->loop = rondo_loop_new();
    MUST(w->loop && rondo_loop_use_virtual_clock(w->loop, 1000000000) == 0);
    w->server = rondo_http_server_new(w->loop);
    MUST(w->server && rondo_http_server_on_request(w->server, cb, arg) == 0);
    if (limits) rondo_http_server_set_limits(w->server, limits);
    MUST(rondo_server_listen_unix(rondo_http_server_listener(w->server), name, 0) == 0);
    w->address.sun_family = AF_UNIX;
    memcpy(w->address.sun_path + 1, name + 1, strlen(name) - 1);
    w->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
}

static inline int web_connect(web *w) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&w->address, w->address_len) == 0);
    return fd;
}

static inline void web_turn(web *w) { rondo_loop_run(w->loop, RONDO_RUN_NOWAIT); }

static inline bool web_read(int fd, answers *got) {
    ssize_t count = recv(fd, got->text + got->len, sizeof got->text - 1 - got->len, 0);
    if (count < 0 && errno == EAGAIN) return false;
    bool before = got->ended;
    if (count <= 0) got->ended = true;
    if (count > 0) got->len += (size_t)count;
    got->text[got->len] = '\0';
    return count > 0 || !before;
}

/* Turns until nothing more comes. */
static inline void web_pump(web *w, int fd, answers *got) {
    for (int quiet = 0; quiet < 4; quiet++) {
        web_turn(w);
        while (web_read(fd, got)) quiet = 0;
    }
}

/* What the server does not take any more is lost. */
static inline void web_send(web *w, int fd, const uint8_t *data, size_t size, answers *got) {
    for (int idle = 0; size > 0 && idle < 1000;) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
            idle = 0;
        } else {
            idle++;
            web_turn(w);
            web_read(fd, got);
        }
    }
}

/* Gives it away whole, or in pieces that follow from the input; give: false when nobody takes more. */
static inline void web_cut(const uint8_t *data, size_t size, bool whole,
                           bool (*give)(void *arg, const uint8_t *piece, size_t len), void *arg) {
    dice d = dice_of(data, size);
    while (size > 0) {
        size_t most = throw_dice(&d, 4) == 0 ? 64 : 4,
               piece = whole ? size : 1 + throw_dice(&d, most);
        if (piece > size) piece = size;
        if (!give(arg, data, piece)) return;
        data += piece;
        size -= piece;
    }
}

typedef struct web_talk {
    web *w;
    int fd;
    answers *got;
} web_talk;

static inline bool web_give(void *arg, const uint8_t *piece, size_t len) {
    web_talk *talk = arg;
    web_send(talk->w, talk->fd, piece, len, talk->got);
    web_turn(talk->w);
    return true;
}

/* Sends whole or in pieces, with a turn behind each. */
static inline void web_converse(web *w, int fd, const uint8_t *data, size_t size, bool whole,
                                answers *got) {
    web_talk talk = {w, fd, got};
    web_cut(data, size, whole, web_give, &talk);
    web_pump(w, fd, got);
}

static inline size_t web_open_connections(const web *w) {
    rondo_server_figures figures;
    rondo_server_get_figures(rondo_http_server_listener(w->server), &figures);
    return figures.open;
}

/* The client goes, and with it all that the server had of it. */
static inline void web_leave(web *w, int fd) {
    close(fd);
    for (int i = 0; i < 100 && web_open_connections(w) > 0; i++) web_turn(w);
    MUST(web_open_connections(w) == 0);
    web_turn(w);
    rondo__loop_verify(w->loop);
}

#endif
