/* SPDX-License-Identifier: MIT
 *
 * select(2): one thread, and three sets of bits, of which the kernel looks at each up to the highest descriptor, and then so does the
 * server. The sets end at FD_SETSIZE: a descriptor behind that would be written into whatever memory is there.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

model_main select_main;

static web_client *clients[FD_SETSIZE];
static fd_set read_set, write_set;
static int highest;
static client_waits waits;
static client_buffers buffers;

static void watch(int fd, bool for_read, bool for_write) {
    if (for_read)
        FD_SET(fd, &read_set);
    else
        FD_CLR(fd, &read_set);
    if (for_write)
        FD_SET(fd, &write_set);
    else
        FD_CLR(fd, &write_set);
}

static void step(web_client *client, int directory) {
    client_next next = client_step(client, directory, &buffers);

    watch(client->fd, next == CLIENT_READ || next == CLIENT_MORE, next == CLIENT_WRITE);
    if (next == CLIENT_WAIT) client_waits_add(&waits, client, client_due_ns(client));
    if (next != CLIENT_GONE) return;
    clients[client->fd] = NULL;
    client_end(client);
    free(client);
    while (clients[highest] == NULL && highest > 0) highest--;
}

static void accept_all(int listener) {
    for (int i = 0; i < SERVER_ACCEPTS; i++) {
        int fd = server_accept(listener, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (fd < FD_SETSIZE && (clients[fd] = malloc(sizeof(web_client))) != NULL) {
            client_begin(clients[fd], fd);
            watch(fd, true, false);
            if (fd > highest) highest = fd;
            continue;
        }
        if (fd >= FD_SETSIZE)
            server_say("refuses connections: select(2) watches no descriptors above %d",
                       FD_SETSIZE - 1);
        else
            server_say("refuses connections: out of memory");
        close(fd);
    }
}

int select_main(const model_settings *settings) {
    int listener = server_listen(settings, SOCK_NONBLOCK);
    web_client *due;

    if (listener < 0) return 1;
    watch(listener, true, false);
    for (;;) {
        fd_set readable = read_set, writable = write_set;
        int ms = client_waits_ms(&waits);
        struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        int top = highest > listener ? highest : listener;

        int count = select(top + 1, &readable, &writable, NULL, ms < 0 ? NULL : &time);
        if (count < 0 && errno != EINTR) return server_failed("select");
        for (int fd = 0; fd <= top && count > 0; fd++) {
            if (!FD_ISSET(fd, &readable) && !FD_ISSET(fd, &writable)) continue;
            count--;
            if (fd != listener) step(clients[fd], settings->directory);
        }
        while ((due = client_waits_due(&waits)) != NULL) step(due, settings->directory);
        if (FD_ISSET(listener, &readable))
            accept_all(listener); /* the sets above are used up now */
    }
}
