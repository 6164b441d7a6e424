/* SPDX-License-Identifier: MIT
 *
 * For tests of streams, servers and pipes: connected pairs, listeners that note what they hear (see
 * trace.h), and bytes that can be told apart.
 */
#ifndef TEST_STREAMS_H
#define TEST_STREAMS_H

#include "trace.h"

#include "loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAMS_HELPER __attribute__((unused)) static

/* ---- pairs ---- */

STREAMS_HELPER rondo_stream *open_stream(rondo_loop *loop, int fd) {
    rondo_stream *stream = NULL;
    CHECK_INT(rondo_stream_open(loop, fd, &stream), 0);
    CHECK(stream != NULL);
    return stream;
}

/* A stream on one end of a socket pair; returns the other end, a blocking fd. */
STREAMS_HELPER int new_pair(rondo_loop *loop, rondo_stream **ret_stream) {
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *ret_stream = open_stream(loop, ends[0]);
    return ends[1];
}

/* The same with TCP, which knows resets. */
STREAMS_HELPER int new_tcp_pair(rondo_loop *loop, rondo_stream **ret_stream) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof any;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&any, len) == 0 && listen(listener, 1) == 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&any, &len), 0);
    int peer = harness_connect(ntohs(any.sin_port));
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    close(listener);
    *ret_stream = open_stream(loop, fd);
    return peer;
}

/* Closes a TCP socket with a reset instead of a FIN. */
STREAMS_HELPER void reset_peer(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
    harness_settle();
}

/* ---- bytes ---- */

/* The byte at a position of an endless stream in which no two places look alike. */
STREAMS_HELPER char byte_at(size_t position) {
    return (char)(position * 2654435761u >> 13 ^ position >> 8);
}

STREAMS_HELPER char *new_bytes(size_t size) {
    char *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < size; i++) bytes[i] = byte_at(i);
    bytes[size] = '\0';
    return bytes;
}

/* What was received, as a string too. */
typedef struct received {
    char *data;
    size_t len, room;
    unsigned chunks;
} received;

STREAMS_HELPER void receive(received *into, rondo_slice chunk) {
    if (into->len + chunk.len + 1 > into->room) {
        into->room = (into->len + chunk.len + 1) * 2;
        into->data = realloc(into->data, into->room);
        CHECK(into->data != NULL);
    }
    memcpy(into->data + into->len, chunk.data, chunk.len);
    into->len += chunk.len;
    into->data[into->len] = '\0';
    into->chunks++;
}

#define CHECK_RECEIVED(from, want)                                                          \
    do {                                                                                    \
        harness_check_str(__FILE__, __LINE__, #from, (from).data ? (from).data : "", want); \
        free((from).data);                                                                  \
        (from) = (received){0};                                                             \
    } while (0)

/* Size bytes, those of byte_at() from 0 on. */
STREAMS_HELPER void check_bytes(const char *data, size_t len, size_t size) {
    CHECK_INT(len, size);
    for (size_t i = 0; i < size; i++)
        if (data[i] != byte_at(i)) FAIL("byte %zu of %zu is wrong", i, size);
}

/* ---- another thread at the other end ---- */

typedef struct reader {
    int fd;
    size_t slow; /* reads so many bytes at a time; 0: as many as it can */
    char *data;
    size_t len;
    pthread_t thread;
} reader;

STREAMS_HELPER void *read_to_end(void *arg) {
    reader *self = arg;
    size_t room = 0;
    for (;;) {
        size_t want = self->slow ? self->slow : 1 << 16;
        if (self->len + want > room) {
            room = (self->len + want) * 2;
            self->data = realloc(self->data, room);
            CHECK(self->data != NULL);
        }
        ssize_t count = recv(self->fd, self->data + self->len, want, 0);
        if (count < 0 && errno == ENOTSOCK) count = read(self->fd, self->data + self->len, want);
        if (count <= 0) return NULL;
        self->len += (size_t)count;
    }
}

STREAMS_HELPER void start_reader(reader *self, int fd, size_t slow) {
    *self = (reader){.fd = fd, .slow = slow};
    self->thread = harness_thread(read_to_end, self);
}

/* Waits for the end and checks that it was the first `size` bytes of byte_at(). */
STREAMS_HELPER void check_reader(reader *self, size_t size) {
    pthread_join(self->thread, NULL);
    check_bytes(self->data, self->len, size);
    free(self->data);
    close(self->fd);
}

/* Reads what is there, without waiting. */
STREAMS_HELPER char *read_now(int fd) {
    static char text[4096];
    harness_settle();
    ssize_t count = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[count > 0 ? count : 0] = '\0';
    return text;
}

/* ---- listeners ---- */

TRACE_CALLBACK receive_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    receive(arg, chunk);
}
TRACE_CALLBACK ignore_data(rondo_stream *stream, rondo_slice chunk, void *arg) {}
TRACE_CALLBACK note_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note("%.*s", (int)chunk.len, chunk.data);
}
TRACE_CALLBACK note_end(rondo_stream *stream, void *arg) { note("end"); }
TRACE_CALLBACK note_finish(rondo_stream *stream, void *arg) { note("finish"); }
TRACE_CALLBACK note_drain(rondo_stream *stream, void *arg) { note("drain"); }
TRACE_CALLBACK note_timeout(rondo_stream *stream, void *arg) { note("timeout"); }
TRACE_CALLBACK note_error(rondo_stream *stream, int error, void *arg) {
    note("%s", rondo_error_name(error));
}
TRACE_CALLBACK note_closed(rondo_handle *handle, void *arg) { note("close"); }
TRACE_CALLBACK note_release(void *data, size_t len, int status, void *arg) {
    note("%s:%s", (const char *)arg, rondo_error_name(status));
}
TRACE_CALLBACK note_uncaught(rondo_loop *loop, const rondo_uncaught *what, void *arg) {
    note("uncaught:%s", rondo_error_name(what->error));
}

/* Everything but data. */
STREAMS_HELPER void note_events(rondo_stream *stream) {
    CHECK_INT(rondo_stream_on_end(stream, note_end, NULL), 0);
    CHECK_INT(rondo_stream_on_finish(stream, note_finish, NULL), 0);
    CHECK_INT(rondo_stream_on_drain(stream, note_drain, NULL), 0);
    CHECK_INT(rondo_stream_on_error(stream, note_error, NULL), 0);
    CHECK_INT(rondo_on_close(stream, note_closed, NULL), 0);
}

TRACE_CALLBACK close_it(rondo_stream *stream, void *arg) { rondo_close(stream); }
TRACE_CALLBACK close_at_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_close(stream);
}

/* ---- loops ---- */

STREAMS_HELPER size_t queued(const rondo_stream *stream) {
    rondo_stream_figures figures;
    rondo_stream_get_figures(stream, &figures);
    return figures.queued;
}

STREAMS_HELPER int write_text(rondo_stream *stream, const char *text) {
    return rondo_write(stream, rondo_slice_text(text));
}

STREAMS_HELPER void run_turns(rondo_loop *loop, int count) {
    while (count-- > 0) {
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        rondo__loop_verify(loop);
    }
}

TRACE_CALLBACK stop_loop(rondo_stream *stream, void *arg) {
    rondo_loop_stop(rondo_handle_loop(stream));
}

/* Ends the stream and runs until all of it is sent. */
STREAMS_HELPER void end_and_finish(rondo_stream *stream) {
    rondo_loop *loop = rondo_handle_loop(stream);
    CHECK_INT(rondo_stream_on_finish(stream, stop_loop, NULL), 0);
    CHECK_INT(rondo_end(stream), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_INT(rondo_stream_off_finish(stream, stop_loop, NULL), 0);
    rondo__loop_verify(loop);
}

/* Runs until nothing is alive. */
STREAMS_HELPER void run_all(rondo_loop *loop) {
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    rondo__loop_verify(loop);
}

TRACE_CALLBACK count_turn(rondo_prepare *prepare, void *arg) {
    if (++*(int *)arg > 20) FAIL("the loop spins");
}
TRACE_CALLBACK end_idling(rondo_timer *timer, void *arg) { rondo_loop_stop(arg); }

/* With a virtual clock: nothing happens any more, so the loop must sleep until a timer is due. */
STREAMS_HELPER void check_idle(rondo_loop *loop) {
    int turns = 0;
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_timer *timer = start_timer(loop, 1000, end_idling, loop);
    CHECK_INT(rondo_prepare_start(prepare, count_turn, &turns), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    rondo_close(timer);
    rondo_close(prepare);
    run_turns(loop, 1);
}

HARNESS_WARM_UP(write_once) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    received got = {0};
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_stream_on_data(stream, receive_data, &got), 0);
    harness_send_str(peer, "x");
    CHECK(rondo_write(stream, rondo_slice_text("y")) >= 0);
    for (int i = 0; i < 3; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    close(peer);
    free(got.data);
    end_loop(loop);
}

#endif
