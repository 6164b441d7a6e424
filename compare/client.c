/* SPDX-License-Identifier: MIT
 *
 * A connection, but for how to wait: reading, parsing, answering and writing as far as it goes.
 */
#define _GNU_SOURCE
#include "compare/client.h"

#include "compare/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

void client_begin(web_client *client, int fd) {
    *client = (struct web_client){.fd = fd, .file = -1};
    web_parser_init(&client->parser);
}

/* What a client has sent behind the last request is read before the socket is closed: otherwise the kernel would send a reset, which
 * may take away the answer from under the client's hands (RFC 9112 section 9.6). No longer than that, though. */
static void take_leave(web_client *client) {
    char rest[1024];

    shutdown(client->fd, SHUT_WR);
    for (int i = 0; i < 64 && recv(client->fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++) {}
}

void client_end(web_client *client) {
    if (client->file >= 0) close(client->file);
    if (client->last) take_leave(client);
    close(client->fd);
    free(client->in);
    free(client->out);
    client->in = client->out = NULL;
}

/* ---- writing ---- */

typedef enum sent { SENT_ALL, SENT_SOME, SENT_NEVER } sent;

static sent judge_send(void) { return errno == EAGAIN || errno == EINTR ? SENT_SOME : SENT_NEVER; }

/* What is left stays at the beginning of `out`. */
static sent send_buffer(web_client *client, char *out, size_t *len) {
    size_t at = 0;

    while (at < *len) {
        ssize_t count = send(client->fd, out + at, *len - at,
                             MSG_NOSIGNAL | (client->file >= 0 ? MSG_MORE : 0));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) break;
        at += (size_t)count;
    }
    sent result = at == *len ? SENT_ALL : judge_send();
    *len -= at;
    if (at > 0 && *len > 0) memmove(out, out + at, *len);
    return result;
}

static sent send_file(web_client *client) {
    while (client->file_at < client->file_size) {
        ssize_t count = sendfile(client->fd, client->file, &client->file_at,
                                 (size_t)(client->file_size - client->file_at));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return judge_send();
        if (count == 0) return SENT_NEVER; /* it was cut short: what was promised isn't there */
    }
    close(client->file);
    client->file = -1;
    return SENT_ALL;
}

static sent send_all(web_client *client, char *out, size_t *len) {
    sent result = send_buffer(client, out, len);

    return result == SENT_ALL && client->file >= 0 ? send_file(client) : result;
}

/* ---- answering ---- */

/* A small file leaves with its head and with other answers. A large one goes from the page cache to the socket by itself. */
static void add_file(web_client *client, char *out, size_t *len, int fd, off_t size) {
    size_t room = CLIENT_BUFFER - *len;

    if (size <= (off_t)room && pread(fd, out + *len, (size_t)size, 0) == size) {
        *len += (size_t)size;
        close(fd);
        return;
    }
    client->file = fd;
    client->file_at = 0;
    client->file_size = size;
}

static void add_answer(web_client *client, int directory, char *out, size_t *len) {
    web_request *request = &client->request;
    off_t size = 0;
    int fd = -1;

    if (request->work == WEB_CPU) request->result = web_compute(request->amount);
    if (request->work == WEB_FILE) fd = web_open(directory, request, &size);
    if (request->work == WEB_ERROR && request->status == 503)
        server_say("can't open files: %s", strerror(errno));
    *len += web_answer(request, size, out + *len);
    if (fd >= 0) add_file(client, out, len, fd, size);
    if (!request->keep_alive) client->last = true;
}

/* ---- one step ---- */

/* Keeps what is left, in memory of its own. False: there is none. */
static bool keep(const char *data, size_t len, char **ret, size_t *ret_len) {
    if (len == 0) return true;
    *ret = malloc(len);
    if (*ret == NULL) {
        server_say("drops connections: out of memory");
        return false;
    }
    memcpy(*ret, data, len);
    *ret_len = len;
    return true;
}

static size_t take_back(char **kept, size_t len, char *to) {
    if (*kept == NULL) return 0;
    memcpy(to, *kept, len);
    free(*kept);
    *kept = NULL;
    return len;
}

/* What there is to read: kept, or from the socket. 0: nothing; then *ret_next says why. */
static size_t get_input(web_client *client, char *in, client_next *ret_next) {
    size_t len = take_back(&client->in, client->in_len, in);
    ssize_t count;

    if (len > 0) return len;
    do count = recv(client->fd, in, CLIENT_BUFFER, 0);
    while (count < 0 && errno == EINTR);
    client->more = count == CLIENT_BUFFER; /* fewer: that was all, without asking once more */
    if (count > 0) return (size_t)count;
    *ret_next = count < 0 && errno == EAGAIN ? CLIENT_READ : CLIENT_GONE;
    return 0;
}

/* Answers what is in `in` until something has to be waited for. Returns how much that was. */
static size_t answer_all(web_client *client, int directory, const char *in, size_t in_len,
                         char *out, size_t *out_len, sent *ret_sent, bool *ret_wait) {
    size_t at = 0;

    while (at < in_len && *ret_sent == SENT_ALL && !client->last) {
        bool complete;
        at += web_parse(&client->parser, in + at, in_len - at, &client->request, &complete);
        *ret_wait = complete && client->request.work == WEB_WAIT;
        if (!complete || *ret_wait) break;
        add_answer(client, directory, out, out_len);
        if (*out_len > CLIENT_BUFFER - WEB_ANSWER_MOST || client->file >= 0)
            *ret_sent = send_all(client, out, out_len);
    }
    return at;
}

client_next client_step(web_client *client, int directory, client_buffers *buffers) {
    char *in = buffers->in, *out = buffers->out;
    size_t out_len = take_back(&client->out, client->out_len, out);
    client_next next = CLIENT_READ;
    sent result = SENT_ALL;
    bool wait = false;

    if (client->waited) add_answer(client, directory, out, &out_len);
    client->waited = false;
    if (out_len == 0 && client->file < 0) goto read;
    result = send_all(client, out, &out_len);
    if (result == SENT_SOME)
        return keep(out, out_len, &client->out, &client->out_len) ? CLIENT_WRITE : CLIENT_GONE;
    if (result == SENT_NEVER || client->last) return CLIENT_GONE;
    /* Whether something has come meanwhile, the model will be told. */
    if (client->in == NULL) return client->more ? CLIENT_MORE : CLIENT_READ;
read:;
    size_t in_len = get_input(client, in, &next);
    if (in_len == 0) return next;
    size_t at = answer_all(client, directory, in, in_len, out, &out_len, &result, &wait);
    if (result == SENT_ALL) result = send_all(client, out, &out_len);
    if (result == SENT_NEVER || (result == SENT_ALL && client->last)) return CLIENT_GONE;
    if (!keep(in + at, in_len - at, &client->in, &client->in_len) ||
        !keep(out, out_len, &client->out, &client->out_len))
        return CLIENT_GONE;
    if (wait) return CLIENT_WAIT;
    return result == SENT_SOME ? CLIENT_WRITE : client->more ? CLIENT_MORE : CLIENT_READ;
}

/* ---- a connection to itself ---- */

static void sleep_ms(unsigned ms) {
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&rest, &rest) < 0 && errno == EINTR) {}
}

void client_serve(int fd, int directory, client_buffers *buffers) {
    web_client client;
    client_next next;

    client_begin(&client, fd);
    while ((next = client_step(&client, directory, buffers)) != CLIENT_GONE) {
        if (next != CLIENT_WAIT) continue; /* the next recv(2) waits */
        sleep_ms(client.request.amount);
        client.waited = true;
    }
    client_end(&client);
}
