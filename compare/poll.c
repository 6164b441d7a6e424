/* SPDX-License-Identifier: MIT
 *
 * poll(2): one thread, and a list of descriptors that the kernel is handed, and goes through, for each wait. Clients are in a table
 * beside it, at the same places; the last one takes the place of one that leaves.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

model_main poll_main;

static struct pollfd *polled; /* [0] is the listener */
static web_client **clients;
static unsigned count = 1, room;
static client_waits waits;
static client_buffers buffers;

static bool grow(void) {
    unsigned wanted = room > 0 ? 2 * room : 64;
    struct pollfd *more_polled = realloc(polled, wanted * sizeof *polled);

    if (more_polled == NULL) return false;
    polled = more_polled;
    web_client **more_clients = realloc(clients, wanted * sizeof(web_client *));
    if (more_clients == NULL) return false;
    clients = more_clients;
    room = wanted;
    return true;
}

static void forget(web_client *client) {
    unsigned index = client->index;

    client_end(client);
    free(client);
    count--;
    if (index == count) return;
    polled[index] = polled[count];
    clients[index] = clients[count];
    clients[index]->index = index;
}

static void step(web_client *client, int directory) {
    client_next next = client_step(client, directory, &buffers);
    struct pollfd *entry = &polled[client->index];

    /* While it waits nothing is asked for, but poll(2) tells of errors all the same. */
    entry->events = next == CLIENT_WAIT ? 0 : next == CLIENT_WRITE ? POLLOUT : POLLIN;
    if (next == CLIENT_WAIT) client_waits_add(&waits, client, client_due_ns(client));
    if (next == CLIENT_GONE) forget(client);
}

static void accept_all(int listener) {
    for (int i = 0; i < SERVER_ACCEPTS; i++) {
        int fd = server_accept(listener, SOCK_NONBLOCK);
        if (fd < 0) return;
        web_client *client = count < room || grow() ? malloc(sizeof *client) : NULL;
        if (client == NULL) {
            server_say("refuses connections: out of memory");
            close(fd);
            return;
        }
        client_begin(client, fd);
        client->index = count;
        polled[count] = (struct pollfd){.fd = fd, .events = POLLIN};
        clients[count++] = client;
    }
}

int poll_main(const model_settings *settings) {
    int listener = server_listen(settings, SOCK_NONBLOCK);
    web_client *due;

    if (listener < 0 || !grow()) return 1;
    polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        int ready = poll(polled, count, client_waits_ms(&waits));
        if (ready < 0 && errno != EINTR) return server_failed("poll");
        /* From the end, so that one that takes another's place has had its turn. */
        for (unsigned i = count - 1; i > 0 && ready > 0; i--) {
            if (polled[i].revents == 0) continue;
            ready--;
            if (clients[i]->waits) { /* an error: it won't take an answer */
                client_waits_remove(&waits, clients[i]);
                forget(clients[i]);
            } else {
                step(clients[i], settings->directory);
            }
        }
        while ((due = client_waits_due(&waits)) != NULL) step(due, settings->directory);
        if (polled[0].revents != 0) accept_all(listener);
    }
}
