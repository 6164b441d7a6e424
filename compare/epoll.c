/* SPDX-License-Identifier: MIT
 *
 * epoll(7), level-triggered: one thread; the kernel keeps the list of descriptors, and tells those that are ready for as long as they
 * are. What a client is watched for changes seldom, and only a change costs a call: a client whose request waits is left as it is
 * until it sends something meanwhile.
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

model_main epoll_main;

static int epoll_fd;
static client_waits waits;
static client_buffers buffers;

static void watch(web_client *client, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = client};

    if (client->watched == events) return;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, client->fd, &event) == 0) client->watched = events;
}

static void forget(web_client *client) {
    client_waits_remove(&waits, client);
    client_end(client);
    free(client);
}

static void step(web_client *client, int directory) {
    switch (client_step(client, directory, &buffers)) {
    case CLIENT_READ:
    case CLIENT_MORE: watch(client, EPOLLIN); break;
    case CLIENT_WRITE: watch(client, EPOLLOUT); break;
    case CLIENT_WAIT: client_waits_add(&waits, client, client_due_ns(client)); break;
    case CLIENT_GONE: forget(client); break;
    }
}

static void accept_all(int listener) {
    for (int i = 0; i < SERVER_ACCEPTS; i++) {
        int fd = server_accept(listener, SOCK_NONBLOCK);
        if (fd < 0) return;
        web_client *client = malloc(sizeof *client);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (client != NULL && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
            client_begin(client, fd);
            client->watched = EPOLLIN;
            continue;
        }
        server_say("refuses connections: epoll_ctl: %s", strerror(errno));
        free(client);
        close(fd);
    }
}

static void ready(web_client *client, unsigned events, int directory) {
    if (!client->waits)
        step(client, directory);
    else if (events & (EPOLLERR | EPOLLHUP))
        forget(client); /* it won't take an answer */
    else
        watch(client, 0);
}

int epoll_main(const model_settings *settings) {
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN}}; /* the listener's pointer is NULL */
    int listener = server_listen(settings, SOCK_NONBLOCK);
    web_client *due;

    if (listener < 0) return 1;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &events[0]) < 0)
        return server_failed("epoll_create1");
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, client_waits_ms(&waits));
        if (count < 0 && errno != EINTR) return server_failed("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener);
            else
                ready(events[i].data.ptr, events[i].events, settings->directory);
        }
        while ((due = client_waits_due(&waits)) != NULL) step(due, settings->directory);
    }
}
