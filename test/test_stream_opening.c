/* SPDX-License-Identifier: MIT
 *
 * Streams that are not open yet, and the seam for other ways to move bytes: a transport of the
 * test's own that shakes hands, changes each byte and keeps what it can't write.
 */
#include "streams.h"

#include <rondo/tick.h>
#include <string.h>

#include "net/duplex.h"

/* ---- opening ---- */

static int canceled;
static void note_cancel(rondo_stream *stream, rondo__opening *opening) { canceled++; }
static rondo__opening opening = {.cancel = note_cancel};

TRACE_CALLBACK note_connect(rondo_stream *stream, void *arg) { note("connect"); }

static rondo_stream *new_opening(rondo_loop *loop) {
    rondo_stream *stream = rondo__stream_new_opening(loop, &opening, RONDO_HERE);
    CHECK(stream != NULL);
    CHECK_INT(rondo_stream_on_connect(stream, note_connect, NULL), 0);
    note_events(stream);
    return stream;
}

typedef struct connecting {
    rondo_stream *stream;
    int fd;
} connecting;

/* In a callback, as if an attempt had just connected. */
static void connect_now(rondo_loop *loop, void *arg) {
    connecting *it = arg;
    CHECK_INT(rondo__stream_connected(it->stream, it->fd), 0);
}

/* Returns the other end. */
static int start_connecting(rondo_loop *loop, connecting *it) {
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    CHECK_INT(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    it->fd = ends[0];
    CHECK(rondo_immediate(loop, connect_now, it) > 0);
    return ends[1];
}

TEST(what_is_written_before_it_is_open_waits) {
    rondo_loop *loop = new_virtual_loop();
    connecting it = {new_opening(loop), -1};
    char text[8], *big = new_bytes(100000);
    CHECK_INT(write_text(it.stream, "one "), 1);
    CHECK_INT(rondo_write(it.stream, rondo_slice_of(big, 100000)), 0);
    CHECK_INT(queued(it.stream), 100004);
    CHECK_INT(rondo_stream_peer(it.stream, text, sizeof text), RONDO_ENOTCONN);
    CHECK_INT(rondo_resume(it.stream), 0);
    check_idle(loop);
    CHECK_INT(rondo_end(it.stream), 0);
    check_idle(loop);
    CHECK_TRACE("");
    reader peer;
    int fd = start_connecting(loop, &it);
    start_reader(&peer, fd, 0);
    CHECK_INT(rondo_stream_on_finish(it.stream, stop_loop, NULL), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_TRACE("connect drain finish");
    CHECK_INT(canceled, 0);
    pthread_join(peer.thread, NULL);
    CHECK_INT(peer.len, 100004);
    CHECK(memcmp(peer.data, "one ", 4) == 0 && memcmp(peer.data + 4, big, 100000) == 0);
    free(peer.data);
    free(big);
    close(fd);
    run_all(loop);
    CHECK_TRACE("end close");
    end_loop(loop);
}

TRACE_CALLBACK write_two(rondo_stream *stream, void *arg) { write_text(stream, "two"); }
TEST(what_connect_writes_comes_behind_it) {
    rondo_loop *loop = new_virtual_loop();
    connecting it = {new_opening(loop), -1};
    write_text(it.stream, "one ");
    rondo_stream_on_connect(it.stream, write_two, NULL);
    int fd = start_connecting(loop, &it);
    run_turns(loop, 1);
    CHECK_STR(read_now(fd), "one two");
    close(fd);
    end_loop(loop);
}

TEST(closing_while_it_opens_cancels_once) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream = new_opening(loop);
    rondo_write_lent(stream, rondo_slice_text("x"), note_release, (void *)(uintptr_t) "x");
    rondo_close(stream);
    CHECK_INT(canceled, 1);
    run_all(loop);
    CHECK_TRACE("x:ECANCELED close");
    CHECK_INT(canceled, 1);
    end_loop(loop);
}

TEST(failing_while_it_opens_cancels_once) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream = new_opening(loop);
    rondo_destroy(stream, RONDO_ECONNREFUSED);
    CHECK_INT(canceled, 1);
    run_all(loop);
    CHECK_TRACE("ECONNREFUSED close");
    CHECK_INT(canceled, 1);
    end_loop(loop);
}

TRACE_CALLBACK pause_it(rondo_stream *stream, void *arg) { rondo_pause(stream); }
TEST(it_may_be_closed_or_paused_in_connect) {
    rondo_loop *loop = new_virtual_loop();
    connecting it = {new_opening(loop), -1}, two = {new_opening(loop), -1};
    rondo_stream_on_connect(it.stream, close_it, NULL);
    rondo_stream_on_connect(two.stream, pause_it, NULL);
    rondo_stream_on_data(two.stream, note_data, NULL);
    write_text(it.stream, "never sent");
    int fd = start_connecting(loop, &it), other = start_connecting(loop, &two);
    CHECK_INT(write(other, "data", 4), 4);
    run_turns(loop, 3);
    CHECK_TRACE("connect connect close");
    CHECK_STR(read_now(fd), "");
    rondo_resume(two.stream);
    run_turns(loop, 2);
    CHECK_TRACE("data");
    close(fd);
    close(other);
    end_loop(loop);
}

TEST(nothing_is_told_before_connect) {
    rondo_loop *loop = new_virtual_loop();
    connecting it = {new_opening(loop), -1};
    CHECK_INT(rondo_try_write(it.stream, rondo_slice_text("x")), RONDO_EAGAIN);
    rondo_write_lent(it.stream, rondo_slice_of("", 0), note_release, (void *)(uintptr_t) "lent");
    run_turns(loop, 3);
    CHECK_TRACE("");
    int fd = start_connecting(loop, &it);
    run_turns(loop, 3);
    CHECK_TRACE("connect lent:OK drain");
    close(fd);
    end_loop(loop);
}

/* ---- a transport ---- */

typedef struct twist {
    int steps;     /* of the handshake still to do: each reads a byte, and answers it */
    int error;     /* that the last step gives */
    bool ended;    /* goodbye was said */
    size_t most;   /* that read() gives at once */
    char kept[32]; /* changed and not yet written */
    size_t kept_len;
    char read[32]; /* read and not yet delivered */
    size_t read_at, read_len;
} twist;

static void *freed;

static twist *twist_of(const rondo_stream *stream) { return rondo__stream_transport_state(stream); }

static int64_t twist_read(rondo_stream *stream, void *buffer, size_t size) {
    twist *self = twist_of(stream);
    if (self->read_at == self->read_len) {
        int64_t count = rondo__socket_read(stream->fd, self->read, sizeof self->read);
        if (count <= 0) return count;
        self->read_at = 0;
        self->read_len = (size_t)count;
    }
    size_t len = self->read_len - self->read_at;
    if (len > size) len = size;
    if (self->most && len > self->most) len = self->most;
    for (size_t i = 0; i < len; i++)
        ((char *)buffer)[i] = (char)(self->read[self->read_at + i] ^ 0x20);
    self->read_at += len;
    return (int64_t)len;
}

static bool twist_pending(const rondo_stream *stream) {
    return twist_of(stream)->read_at < twist_of(stream)->read_len;
}

static int twist_flush(rondo_stream *stream) {
    twist *self = twist_of(stream);
    while (self->kept_len > 0) {
        struct iovec piece = {self->kept, self->kept_len};
        int64_t sent = rondo__socket_write(stream->fd, &piece, 1, 0);
        if (sent < 0) return (int)sent;
        self->kept_len -= (size_t)sent;
        memmove(self->kept, self->kept + sent, self->kept_len);
    }
    return 0;
}

static int64_t twist_write(rondo_stream *stream, const struct iovec *iov, int count, int flags) {
    twist *self = twist_of(stream);
    int status = twist_flush(stream);
    if (status < 0) return status;
    size_t taken = 0;
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < iov[i].iov_len && taken < sizeof self->kept; at++)
            self->kept[taken++] = (char)(((const char *)iov[i].iov_base)[at] ^ 0x20);
    self->kept_len = taken;
    return (int64_t)taken;
}

static int twist_shut(rondo_stream *stream) { return rondo__socket_shutdown(stream->fd); }

static int twist_handshake(rondo_stream *stream, int events, int *ret_events) {
    twist *self = twist_of(stream);
    char byte;
    for (; self->steps > 0; self->steps--) {
        int64_t count = rondo__socket_read(stream->fd, &byte, 1);
        if (count == RONDO_EAGAIN) *ret_events = RONDO__READABLE;
        if (count <= 0) return count == 0 ? RONDO_ECONNRESET : (int)count;
    }
    return self->error;
}

static void twist_stop(rondo_stream *stream) {
    struct iovec piece = {(void *)(uintptr_t) "bye", 3};
    rondo__socket_write(stream->fd, &piece, 1, 0);
}

static void twist_free(rondo_stream *stream) { freed = twist_of(stream); }

static const rondo__transport twisted = {
    .name = "twist",
    .read = twist_read,
    .write = twist_write,
    .flush = twist_flush,
    .shut = twist_shut,
    .pending = twist_pending,
    .handshake = twist_handshake,
    .stop = twist_stop,
    .free = twist_free,
};

static int new_twisted(rondo_loop *loop, rondo_stream **ret_stream, twist *state) {
    int peer = new_pair(loop, ret_stream);
    CHECK_INT(rondo_stream_on_connect(*ret_stream, note_connect, NULL), 0);
    note_events(*ret_stream);
    CHECK_INT(rondo__stream_set_transport(*ret_stream, &twisted, state), 0);
    CHECK_INT(rondo__stream_start_handshake(*ret_stream), 0);
    return peer;
}

TEST(bytes_pass_the_transport_both_ways) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    twist state = {0};
    int peer = new_twisted(loop, &stream, &state);
    rondo_stream_on_data(stream, note_data, NULL);
    write_text(stream, "before");
    CHECK_TRACE("");
    run_turns(loop, 1);
    CHECK_TRACE("connect");
    write_text(stream, "AFTER");
    CHECK_INT(write(peer, "HELLO", 5), 5);
    run_turns(loop, 2);
    CHECK_TRACE("hello");
    CHECK_STR(read_now(peer), "BEFOREafter");
    rondo_close(stream);
    run_turns(loop, 1);
    CHECK_TRACE("close");
    CHECK_STR(read_now(peer), "bye");
    CHECK(freed == &state);
    close(peer);
    end_loop(loop);
}

TEST(a_handshake_takes_as_long_as_it_takes) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    twist state = {.steps = 2};
    int peer = new_twisted(loop, &stream, &state);
    rondo_stream_on_data(stream, note_data, NULL);
    check_idle(loop);
    CHECK_INT(write(peer, "1", 1), 1);
    check_idle(loop);
    CHECK_TRACE("");
    CHECK_INT(write(peer, "2DATA", 5), 5); /* data right behind its last byte */
    run_turns(loop, 2);
    CHECK_TRACE("connect data");
    close(peer);
    end_loop(loop);
}

TEST(a_handshake_that_fails_is_an_error) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream, *other;
    twist state = {.error = RONDO_EPROTO}, waiting = {.steps = 1};
    int peer = new_twisted(loop, &stream, &state), far = new_twisted(loop, &other, &waiting);
    write_text(stream, "lost");
    run_turns(loop, 2);
    CHECK_TRACE("EPROTO close");
    close(far);
    run_turns(loop, 2);
    CHECK_TRACE("ECONNRESET close");
    CHECK_STR(read_now(peer), "bye");
    close(peer);
    end_loop(loop);
}

/* Whoever opens a stream is with it until the handshake is over, and then tells of it. */
static void note_opened(rondo_stream *stream, rondo__opening *it) { note("opened"); }
static void close_opened(rondo_stream *stream, rondo__opening *it) { rondo_close(stream); }

static void check_opening(int error, void (*opened)(rondo_stream *, rondo__opening *),
                          const char *want) {
    rondo_loop *loop = new_virtual_loop();
    twist state = {.steps = 1, .error = error};
    rondo__opening patient = {.cancel = note_cancel, .opened = opened};
    connecting it = {rondo__stream_new_opening(loop, &patient, RONDO_HERE), -1};
    CHECK_INT(rondo_stream_on_connect(it.stream, note_connect, NULL), 0);
    note_events(it.stream);
    CHECK_INT(rondo__stream_set_transport(it.stream, &twisted, &state), 0);
    int fd = start_connecting(loop, &it);
    check_idle(loop);
    CHECK_TRACE("");
    CHECK_INT(canceled, 0);
    CHECK_INT(write(fd, "1", 1), 1);
    run_turns(loop, 3);
    harness_check_str(__FILE__, __LINE__, "trace", trace, want);
    trace_size = 0;
    trace[0] = '\0';
    CHECK_INT(canceled, error != 0);
    close(fd);
    end_loop(loop);
    CHECK_INT(canceled, error != 0);
    canceled = 0;
    trace_size = 0;
    trace[0] = '\0';
}
TEST(who_opens_a_stream_waits_for_its_handshake) {
    check_opening(0, NULL, "connect");
    check_opening(0, note_opened, "opened");
    check_opening(0, close_opened, "close");
    check_opening(RONDO_EPROTO, note_opened, "EPROTO close");
}

static void check_big(size_t size) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    reader far;
    twist state = {0};
    char *bytes = new_bytes(size);
    int peer = new_twisted(loop, &stream, &state);
    rondo_write(stream, rondo_slice_of(bytes, size));
    start_reader(&far, peer, 777);
    end_and_finish(stream);
    pthread_join(far.thread, NULL);
    for (size_t i = 0; i < far.len; i++) far.data[i] ^= 0x20;
    check_bytes(far.data, far.len, size);
    CHECK_TRACE(size > 65536 ? "connect drain finish" : "connect finish");
    free(far.data);
    free(bytes);
    close(peer);
    end_loop(loop);
    CHECK_TRACE("close");
}
TEST(what_the_transport_keeps_is_sent_too) {
    check_big(5);
    check_big(32);
    check_big(1000000);
}

TRACE_CALLBACK pause_at_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_pause(stream);
}
TEST(bytes_that_wait_in_the_transport_are_read_after_a_pause) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    twist state = {.most = 2};
    int peer = new_twisted(loop, &stream, &state);
    run_turns(loop, 1);
    rondo_stream_on_data(stream, note_data, NULL);
    rondo_stream_once_data(stream, pause_at_data, NULL);
    CHECK_INT(write(peer, "ABCDE", 5), 5);
    run_turns(loop, 3);
    CHECK_TRACE("connect ab"); /* three bytes are with the transport, and the fd is silent */
    check_idle(loop);
    rondo_resume(stream);
    run_turns(loop, 2);
    CHECK_TRACE("cd e");
    close(peer);
    end_loop(loop);
}

TEST(the_read_budget_holds_for_transports) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    twist state = {.most = 2};
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_read_bytes, 4), 0);
    int peer = new_twisted(loop, &stream, &state);
    rondo_stream_on_data(stream, note_data, NULL);
    run_turns(loop, 1);
    CHECK_INT(write(peer, "ABCDEFGHIJ", 10), 10);
    run_turns(loop, 1);
    CHECK_TRACE("connect ab cd");
    run_turns(loop, 1);
    CHECK_TRACE("ef gh");
    run_turns(loop, 1);
    CHECK_TRACE("ij");
    close(peer);
    end_loop(loop);
}
