/* SPDX-License-Identifier: MIT
 *
 * A connection, but for how to wait: for the models that do their own system calls, blocking or not.
 *
 * client_step() goes on with a connection as far as it can without waiting (on a blocking socket the calls themselves wait) and
 * says what it would have to wait for. How that is done, and who does something else meanwhile, is the model.
 *
 * The answers to all requests that one read has brought leave in one write. Requests are answered in order: while one waits, the
 * next is not looked at. A client that doesn't take its answers isn't read from, so that what is kept for it is bounded: 16 KiB
 * of requests and 16 KiB of answers. An idle client has neither.
 */
#ifndef COMPARE_CLIENT_H
#define COMPARE_CLIENT_H

#include "compare/web.h"

#include <stdint.h>
#include <time.h>

/* What is read into and written from: for each thread, not for each connection. */
#define CLIENT_BUFFER 16384
typedef struct client_buffers {
    char in[CLIENT_BUFFER], out[CLIENT_BUFFER + WEB_ANSWER_MOST];
} client_buffers;

typedef struct web_client {
    int fd;
    int file; /* whose bytes go out behind what is in `out`; -1: none */
    off_t file_at, file_size;
    char *in, *out; /* what is left of the buffers when it stops half-way; NULL: nothing */
    size_t in_len, out_len;
    bool waited; /* the request's time is over */
    bool
        more; /* there may be more to read; set by the model when it hears so, cleared by what reads all */
    bool last; /* nothing is read any more, and when all is written, it is closed */
    web_request request;
    web_parser parser;
    /* For the model: */
    uint64_t due_ns;
    struct web_client *next, *previous; /* in a list of those that wait */
    unsigned index, watched;            /* where it is in a table; what is waited for there */
    bool waits, has_turn, ended;        /* it is in a list; in which; the peer has ended */
} web_client;

typedef enum client_next {
    CLIENT_READ,  /* until there is more to read */
    CLIENT_WRITE, /* until more can be written */
    CLIENT_WAIT,  /* for client.request.amount ms; then client.waited is to be set */
    CLIENT_MORE,  /* for nothing: there may be more to read, but others may have their turn */
    CLIENT_GONE   /* for nothing any more: client_end() */
} client_next;

/* Takes over the descriptor. */
void client_begin(web_client *client, int fd);
client_next client_step(web_client *client, int directory, client_buffers *buffers);
/* Closes it, and frees what it kept. */
void client_end(web_client *client);

/* All of it, for models in which a connection has a process or a thread of its own: until it ends. */
void client_serve(int fd, int directory, client_buffers *buffers);

/* ---- waiting without blocking: a list, ordered by when it is over ---- */

typedef struct client_waits {
    web_client *first, *last;
} client_waits;

/* The time at which the request that a client has just made is to be answered, by client_now_ns(). */
uint64_t client_due_ns(const web_client *client);
uint64_t client_now_ns(void);
/* Most wait as long as those before them, so that their place is the end: it is looked for from there. */
void client_waits_add(client_waits *waits, web_client *client, uint64_t due_ns);
/* Nothing, if it isn't in a list. */
void client_waits_remove(client_waits *waits, web_client *client);
/* ms until the first is due, rounded up; -1: there is none. As poll(2) wants it. */
int client_waits_ms(const client_waits *waits);
/* Takes out the first; NULL: there is none. */
web_client *client_waits_take(client_waits *waits);
/* The same if it is due, with `waited` set. */
web_client *client_waits_due(client_waits *waits);

#endif
