/* SPDX-License-Identifier: MIT
 *
 * epoll(7), edge-triggered: one thread; the kernel tells once that a descriptor has become ready, and says no more until it was used
 * up. So a client is watched for everything, once and for all, and the server remembers what it was told: `more` to read, the peer
 * has `ended`. A client that has more than was read gets its next turn from a list, behind the others.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

model_main epoll_et_main;

static int epoll_fd;
static client_waits waits;
static client_waits turns;
static client_buffers buffers;

static void forget(web_client *client) {
    client_waits_remove(&waits, client);
    client_end(client);
    free(client);
}

static void step(web_client *client, int directory) {
    client_next next = client_step(client, directory, &buffers);

    if (next == CLIENT_READ && client->ended) next = CLIENT_MORE; /* no edge will tell of the end */
    client->has_turn = next == CLIENT_MORE;
    if (next == CLIENT_MORE) client_waits_add(&turns, client, 0);
    if (next == CLIENT_WAIT) client_waits_add(&waits, client, client_due_ns(client));
    if (next == CLIENT_GONE) forget(client);
}

static void accept_all(int listener) {
    for (int i = 0; i < SERVER_ACCEPTS; i++) {
        int fd = server_accept(listener, SOCK_NONBLOCK);
        if (fd < 0) return;
        web_client *client = malloc(sizeof *client);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = client};
        if (client != NULL && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
            client_begin(client, fd);
            continue;
        }
        server_say("refuses connections: epoll_ctl: %s", strerror(errno));
        free(client);
        close(fd);
    }
}

static void ready(web_client *client, unsigned events, int directory) {
    if (events & ~(unsigned)EPOLLOUT) client->more = true;
    if (events & EPOLLRDHUP) client->ended = true;
    if (client->waits && !client->has_turn) {
        if (events & (EPOLLERR | EPOLLHUP)) forget(client); /* it won't take an answer */
        return;
    }
    if (client->waits || !(client->more || client->out != NULL || client->file >= 0)) return;
    step(client, directory);
}

/* Those that are in the list now, not those that get into it meanwhile. */
static void take_turns(int directory) {
    client_waits list = turns;
    web_client *client;

    turns = (client_waits){NULL, NULL};
    while ((client = client_waits_take(&list)) != NULL) step(client, directory);
}

int epoll_et_main(const model_settings *settings) {
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN}}; /* the listener's pointer is NULL */
    int listener = server_listen(settings, SOCK_NONBLOCK);
    web_client *due;

    if (listener < 0) return 1;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &events[0]) < 0)
        return server_failed("epoll_create1");
    for (;;) {
        int ms = turns.first != NULL ? 0 : client_waits_ms(&waits);
        int count = epoll_wait(epoll_fd, events, EVENTS, ms);
        if (count < 0 && errno != EINTR) return server_failed("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener);
            else
                ready(events[i].data.ptr, events[i].events, settings->directory);
        }
        while ((due = client_waits_due(&waits)) != NULL) step(due, settings->directory);
        take_turns(settings->directory);
    }
}
