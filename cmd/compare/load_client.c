/* SPDX-License-Identifier: MIT
 *
 * rondo compare: a connection of the generator. A request goes out, its answer is checked octet for octet where that costs
 * little, and what breaks is counted by how it broke.
 */
#include "load_client.h"

#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000
/* More connections than ports leave from several addresses. */
#define FOR_EACH_ADDRESS 20000
/* What a slow reader's socket and a single sip hold. */
#define SIP_BYTES 4096

static const char greeting[] = "Hello, world!\n";

static bool measuring(const connection *self) {
    phase now = self->client->phase;
    return (now == PHASE_RUN || now == PHASE_DRAIN) && self->role == ROLE_BUSY && !self->stale;
}

void connection_close(connection *self) {
    if (self->stream) rondo_tcp_reset(self->stream);
}

/* An answer that is none, or not the one that was asked for. */
static void wrong(connection *self, const char *what, int value) {
    if (measuring(self)) {
        self->client->outcome->wrong++;
        self->client->in_flight--;
    }
    client_blame(self->client, value ? "%s %d" : "%s", what, value);
    self->state = STATE_ENDING; /* counted */
    connection_close(self);
}

static size_t file_of(const connection *self) {
    const load_task *task = self->client->task;
    return self->role == ROLE_SLOW ? task->slow_file : task->kinds[self->kind].file;
}

static size_t length_of(const connection *self) {
    return file_of(self) ? file_of(self) : sizeof greeting - 1;
}

static bool fits(const connection *self, const char *data, size_t len) {
    if (file_of(self)) return body_fits(self->at, data, len);
    return memcmp(greeting + self->at, data, len) == 0;
}

static void answered(connection *self) {
    uint64_t now = clock_ns();
    self->in_body = false;
    self->stands = true;
    client_answered(self->client, self, now);
    self->stale = false;
    if (self->close) {
        self->state =
            STATE_ENDING; /* the server closes first: so the port is not in TIME-WAIT here */
        return;
    }
    self->state = STATE_FREE;
    client_free(self->client, self);
}

/* Returns false when the connection is of no use any more. */
static bool take_head(connection *self, const answer_head *head) {
    if (head->status != 200) {
        wrong(self, "answered with status", head->status);
        return false;
    }
    if (head->length != length_of(self)) {
        wrong(self, "answered with a body of another length", 0);
        return false;
    }
    self->in_body = true;
    self->close = head->close;
    self->length = head->length;
    self->at = 0;
    return true;
}

/* Returns how many octets were taken; -1: the connection is of no use any more. */
static ssize_t take_body(connection *self, const char *data, size_t len) {
    size_t some = len < self->length - self->at ? len : (size_t)(self->length - self->at);
    if (!fits(self, data, some)) {
        wrong(self, "answered with another body", 0);
        return -1;
    }
    self->at += some;
    if (self->at == self->length) answered(self);
    return (ssize_t)some;
}

/* Keeps the beginning of a head until the rest is there. */
static void keep_head(connection *self, const char *data, size_t len) {
    char *more = realloc(self->head, self->head_len + len);
    if (!more) {
        wrong(self, "out of memory in the generator", 0);
        return;
    }
    memcpy(more + self->head_len, data, len);
    self->head = more;
    self->head_len += len;
}

/* Returns how many octets of data were taken: all of them unless the head ends there. */
static ssize_t take_head_octets(connection *self, const char *data, size_t len) {
    answer_head head;
    size_t kept = self->head_len;
    if (kept > 0) {
        keep_head(self, data, len);
        if (self->state == STATE_ENDING) return -1;
    }
    ssize_t took =
        kept ? answer_parse(self->head, self->head_len, &head) : answer_parse(data, len, &head);
    if (took < 0) {
        wrong(self, "answered with what can't be used", 0);
        return -1;
    }
    if (took == 0) {
        if (kept == 0) keep_head(self, data, len);
        return (ssize_t)len;
    }
    free(self->head);
    self->head = NULL;
    self->head_len = 0;
    return take_head(self, &head) ? took - (ssize_t)kept : -1;
}

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    connection *self = arg;
    (void)stream;
    self->client->progress_ns = 0;
    while (chunk.len > 0) {
        if (self->state != STATE_WAITING) {
            if (self->state != STATE_ENDING) wrong(self, "answered more than was asked", 0);
            return;
        }
        ssize_t took = self->in_body ? take_body(self, chunk.data, chunk.len)
                                     : take_head_octets(self, chunk.data, chunk.len);
        if (took < 0) return;
        chunk.data += took;
        chunk.len -= (size_t)took;
    }
    if (self->role == ROLE_SLOW && self->state == STATE_WAITING) rondo_pause(self->stream);
    if (self->role == ROLE_SLOW && self->in_body && !self->stands) {
        self->stands = true; /* it reads, and will for long */
        client_free(self->client, self);
    }
}

void connection_sip(connection *self) {
    if (self->stream && self->state == STATE_WAITING) rondo_resume(self->stream);
}

/* What it is that this process lacks, rather than the server. */
static bool is_ours(int error) {
    return error == RONDO_EMFILE || error == RONDO_ENFILE || error == RONDO_ENOMEM ||
           error == RONDO_ENOBUFS || error == RONDO_EADDRNOTAVAIL;
}

static void on_error(rondo_stream *stream, int error, void *arg) {
    connection *self = arg;
    load_outcome *outcome = self->client->outcome;
    (void)stream;
    if (self->client->phase == PHASE_OVER) return;
    if (self->state == STATE_OPENING) {
        if (error == RONDO_ETIMEDOUT)
            outcome->timeouts++;
        else
            outcome->refused++;
        client_blame(self->client, "%sconnect: %s", is_ours(error) ? "the generator: " : "",
                     rondo_error_text(error));
    }
}

/* However a connection ended, this comes once. */
static void on_close(rondo_handle *handle, void *arg) {
    connection *self = arg;
    client *owner = self->client;
    (void)handle;
    if (self->state == STATE_WAITING && measuring(self)) {
        owner->outcome->resets++;
        owner->in_flight--;
        client_blame(owner, "connections break off before their answer");
    }
    if (self->state == STATE_OPENING) owner->opening--;
    self->stream = NULL;
    self->state = STATE_CLOSED;
    self->in_body = false;
    self->stale = false;
    free(self->head);
    self->head = NULL;
    self->head_len = 0;
    client_gone(owner, self);
}

static void on_connect(rondo_stream *stream, void *arg) {
    connection *self = arg;
    (void)stream;
    self->client->opening--;
    self->client->outcome->opened++;
    self->state = STATE_FREE;
    self->was_open = true;
    self->client->progress_ns = 0;
    client_free(self->client, self);
}

void connection_open(connection *self) {
    client *owner = self->client;
    char source[16];
    rondo_connect_options options = {
        .host = "127.0.0.1", .port = owner->task->port, .timeout_ms = CONNECT_MS};
    unsigned address = self->number / FOR_EACH_ADDRESS;
    if (address > 0) {
        snprintf(source, sizeof source, "127.0.0.%u", 1 + address % 250);
        options.local_host = source;
    }
    self->stream = rondo_connect_with(owner->loop, &options);
    if (!self->stream) {
        owner->outcome->refused++;
        client_blame(owner, "the generator is out of memory");
        return;
    }
    self->state = STATE_OPENING;
    owner->opening++;
    rondo_stream_once_connect(self->stream, on_connect, self);
    rondo_stream_on_data(self->stream, on_data, self);
    rondo_stream_on_error(self->stream, on_error, self);
    rondo_on_close(self->stream, on_close, self);
    if (self->role == ROLE_SLOW) {
        rondo_stream_set_kernel_buffers(self->stream, SIP_BYTES, 0);
        rondo_stream_set_read_high_water(self->stream, SIP_BYTES / 4);
    }
}

void connection_send(connection *self, unsigned kind, uint64_t intended_ns) {
    client *owner = self->client;
    self->kind = kind;
    self->intended_ns = intended_ns;
    self->state = STATE_WAITING;
    if (measuring(self)) owner->in_flight++;
    /* What goes wrong is told by `error` and `close`. */
    rondo_write(self->stream, rondo_slice_of(owner->requests[kind], owner->request_lens[kind]));
}
