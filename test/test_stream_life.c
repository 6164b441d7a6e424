/* SPDX-License-Identifier: MIT
 *
 * What ends a stream: peers that vanish, timeouts, close and destroy in every callback, and running
 * out of memory. Also protocols that consume a stream.
 */
#include "streams.h"

#include <signal.h>

#include "net/stream.h"

/* ---- peers that vanish ---- */

TEST(a_reset_is_one_error) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    harness_send_str(peer, "x");
    run_turns(loop, 1);
    reset_peer(peer);
    run_all(loop);
    CHECK_TRACE("x ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(a_reset_while_paused_is_told_and_does_not_spin) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    rondo_pause(stream);
    check_idle(loop);
    reset_peer(peer);
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(a_reset_with_bytes_to_write) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    enum { SIZE = 8000000 };
    char *bytes = new_bytes(SIZE);
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    rondo_write(stream, rondo_slice_of(bytes, SIZE));
    check_idle(loop);
    CHECK(queued(stream) > 0);
    reset_peer(peer);
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
    free(bytes);
}

TEST(writing_to_who_has_gone_is_one_error_and_no_signal) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    rondo_stream *socket_end, *pipe_end;
    signal(SIGPIPE, SIG_DFL);
    close(new_pair(loop, &socket_end));
    CHECK_INT(pipe(ends), 0);
    pipe_end = open_stream(loop, ends[1]);
    close(ends[0]);
    rondo_stream_on_error(socket_end, note_error, NULL);
    rondo_stream_on_error(pipe_end, note_error, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(write_text(socket_end, "x"), 1);
        CHECK_INT(write_text(pipe_end, "x"), 1);
    }
    run_all(loop);
    CHECK_TRACE("EPIPE EPIPE");
    sigset_t pending;
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE));
    rondo_loop_free(loop);
}

TEST(a_large_write_to_who_has_gone) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(100000);
    close(new_pair(loop, &stream));
    note_events(stream);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 100000)),
              1); /* tried at once, told later */
    CHECK_TRACE("");
    CHECK_INT(write_text(stream, "x"), RONDO_ECLOSED);
    run_all(loop);
    CHECK_TRACE("EPIPE close");
    rondo_loop_free(loop);
    free(bytes);
}

TEST(an_error_nobody_hears_is_uncaught) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    rondo_loop_on_uncaught(loop, note_uncaught, NULL);
    close(new_pair(loop, &stream));
    write_text(stream, "x");
    run_all(loop);
    CHECK_TRACE("uncaught:EPIPE");
    rondo_loop_free(loop);
}

TEST_ABORTS(an_uncaught_error_aborts, "uncaught error EPIPE") {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    close(new_pair(loop, &stream));
    write_text(stream, "x");
    run_all(loop);
}

TEST(an_accepted_stream_never_brings_the_program_down) {
    rondo_loop *loop = rondo_loop_new();
    rondo_metrics metrics;
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    rondo_stream *stream = rondo__stream_new(loop, ends[0], true, 0, RONDO_HERE);
    close(ends[1]);
    write_text(stream, "x");
    run_all(loop);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 1);
    rondo_loop_free(loop);
}

/* ---- destroy ---- */

TEST(destroy_drops_and_tells_later) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    write_text(stream, "never sent");
    rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "r");
    rondo_destroy(stream, RONDO_EPROTO);
    rondo_destroy(stream, RONDO_EIO); /* the first one counts */
    CHECK_TRACE("");
    CHECK(!rondo_is_closing(stream));
    CHECK_INT(queued(stream), 0);
    CHECK_INT(write_text(stream, "x"), RONDO_ECLOSED);
    CHECK_INT(rondo_resume(stream), RONDO_ECLOSED);
    run_all(loop);
    CHECK_TRACE("r:EPROTO EPROTO close");
    CHECK_STR(read_now(peer), "");
    rondo_loop_free(loop);
    close(peer);
}

TEST(destroy_without_an_error_only_closes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_destroy(stream, 0);
    run_all(loop);
    CHECK_TRACE("close");
    rondo_loop_free(loop);
    close(peer);
}

TEST(close_after_destroy_keeps_quiet) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_destroy(stream, RONDO_EPROTO);
    rondo_close(stream);
    rondo__loop_verify(loop);
    run_all(loop);
    CHECK_TRACE("close");
    rondo_loop_free(loop);
    close(peer);
}

/* ---- close in every callback ---- */

static void close_at_error(rondo_stream *stream, int error, void *arg) {
    note_error(stream, error, NULL);
    rondo_close(stream);
}
static void note_and_close(rondo_stream *stream, void *arg) {
    note("%s", (const char *)arg);
    rondo_close(stream);
}

TEST(close_inside_data) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    char *bytes = new_bytes(150000);
    note_events(stream);
    harness_send_all(peer, bytes, 150000);
    rondo_stream_on_data(stream, close_at_data, NULL);
    rondo_stream_on_data(stream, note_data, NULL); /* is not called any more */
    run_all(loop);
    CHECK_TRACE("close");
    rondo_loop_free(loop);
    close(peer);
    free(bytes);
}

TEST(close_inside_end) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_end(stream, note_and_close, "end");
    note_events(stream);
    rondo_resume(stream);
    close(peer);
    run_all(loop);
    CHECK_TRACE("end close");
    rondo_loop_free(loop);
}

TEST(close_inside_drain_and_finish) {
    for (int at_drain = 0; at_drain < 2; at_drain++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *stream;
        int peer = new_pair(loop, &stream);
        if (at_drain)
            rondo_stream_on_drain(stream, note_and_close, "drain,");
        else
            rondo_stream_on_finish(stream, note_and_close, "finish,");
        note_events(stream);
        rondo_stream_set_high_water(stream, 1, 100);
        write_text(stream, "x");
        rondo_end(stream);
        run_all(loop);
        if (at_drain)
            CHECK_TRACE("drain, close");
        else
            CHECK_TRACE("drain finish, close");
        rondo_loop_free(loop);
        close(peer);
    }
}

TEST(close_inside_error_and_timeout) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *failing, *idle;
    int peer = new_pair(loop, &idle);
    close(new_pair(loop, &failing));
    rondo_stream_on_error(failing, close_at_error, NULL);
    rondo_stream_on_error(failing, note_error, NULL);
    write_text(failing, "x");
    rondo_stream_on_timeout(idle, note_and_close, "timeout");
    rondo_stream_on_timeout(idle, note_timeout, NULL);
    rondo_stream_set_timeout(idle, 50);
    run_all(loop);
    CHECK_TRACE("EPIPE timeout");
    rondo_loop_free(loop);
    close(peer);
}

TEST(close_all_with_everything_going_on) {
    rondo_loop *loop = rondo_loop_new();
    char *bytes = new_bytes(400000);
    int peers[10];
    for (int i = 0; i < 10; i++) {
        rondo_stream *stream;
        peers[i] = new_pair(loop, &stream);
        rondo_stream_on_data(stream, ignore_data, NULL);
        rondo_stream_set_timeout(stream, 1000);
        harness_send_str(peers[i], "x");
        rondo_write(stream, rondo_slice_of(bytes, 400000));
        if (i % 2) rondo_end(stream);
        if (i % 3 == 0) rondo_destroy(stream, RONDO_EIO);
    }
    rondo_loop_close_all(loop);
    run_all(loop);
    rondo_loop_free(loop);
    for (int i = 0; i < 10; i++) close(peers[i]);
    free(bytes);
}

/* ---- idle time ---- */

TEST(an_idle_stream_fails) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    uint64_t start = rondo_loop_now_ms(loop);
    note_events(stream);
    rondo_stream_set_timeout(stream, 250);
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT close");
    CHECK_INT(rondo_loop_now_ms(loop) - start, 250);
    rondo_loop_free(loop);
    close(peer);
}

static void send_to(rondo_timer *timer, void *arg) { harness_send_str(*(int *)arg, "x"); }
static void write_to(rondo_timer *timer, void *arg) { write_text(arg, "y"); }
static void note_time(rondo_stream *stream, void *arg) {
    note("timeout at %d", (int)(rondo_loop_now_ms(rondo_handle_loop(stream)) - 1000));
}

TEST(bytes_either_way_push_the_timeout_ahead) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_resume(stream);
    rondo_stream_on_timeout(stream, note_time, NULL);
    rondo_stream_set_timeout(stream, 100);
    start_timer(loop, 60, send_to, &peer);
    start_timer(loop, 150, write_to, stream);
    check_idle(loop);
    CHECK_TRACE("timeout at 250"); /* once: what then is the listener's to decide */
    rondo_stream_set_timeout(stream, 30);
    check_idle(loop);
    CHECK_TRACE("timeout at 1030");
    rondo_stream_set_timeout(stream, 30);
    rondo_stream_set_timeout(stream, 0);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_stream_set_timeout(stream, (UINT64_C(1) << 32) + 5); /* is not soon */
    check_idle(loop);
    CHECK_TRACE("");
    end_loop(loop);
    close(peer);
}

/* ---- consumers ---- */

static void consume_data(rondo_stream *stream, rondo_slice chunk) {
    note("data:%.*s", (int)chunk.len, chunk.data);
    write_text(stream, "an");
    rondo_write_lent(stream, rondo_slice_text("swer"), note_release, "lent");
    CHECK_STR(read_now(*(int *)rondo__stream_owner(stream)), "");
}
static void consume_end(rondo_stream *stream) { note("end"); }
static void consume_finish(rondo_stream *stream) { note("finish"); }
static void consume_drain(rondo_stream *stream) { note("drain"); }
static void consume_timeout(rondo_stream *stream) { note("timeout"); }
static void consume_error(rondo_stream *stream, int error) { note("%s", rondo_error_name(error)); }
static void consume_closed(rondo_stream *stream) {
    CHECK(rondo__stream_owner(stream) != NULL);
    note("closed");
}
static const rondo__consumer consumer = {.data = consume_data,
                                         .end = consume_end,
                                         .finish = consume_finish,
                                         .drain = consume_drain,
                                         .timeout = consume_timeout,
                                         .error = consume_error,
                                         .closed = consume_closed};
static const rondo__consumer nobody;

TEST(a_consumer_in_place_of_listeners) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo__stream_consume(stream, &consumer, &peer);
    rondo_on_close(stream, note_closed, NULL);
    harness_send_str(peer, "x");
    check_idle(loop);
    CHECK_TRACE(""); /* it does not read by itself */
    rondo_resume(stream);
    rondo_stream_set_high_water(stream, 3, 100);
    check_idle(loop);
    CHECK_TRACE("data:x lent:OK drain");
    CHECK_STR(read_now(peer), "answer");
    rondo_stream_set_timeout(stream, 10);
    check_idle(loop);
    CHECK_TRACE("timeout");
    shutdown(peer, SHUT_WR);
    run_all(loop);
    CHECK_TRACE("end finish close closed");
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_consumer_of_a_stream_that_fails) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo__stream_consume(stream, &consumer, &peer);
    rondo_destroy(stream, RONDO_EPROTO);
    run_all(loop);
    CHECK_TRACE("EPROTO closed");
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_consumer_that_wants_nothing) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    rondo_loop_on_uncaught(loop, note_uncaught, NULL);
    int peer = new_pair(loop, &stream);
    rondo__stream_consume(stream, &nobody, NULL);
    rondo_resume(stream);
    rondo_stream_set_timeout(stream, 10);
    harness_send_str(peer, "x");
    rondo_stream_set_high_water(stream, 1, 100);
    write_text(stream, "y");
    run_all(loop);
    CHECK_TRACE("uncaught:ETIMEDOUT");
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_connection_with_room_for_its_protocol) {
    rondo_loop *loop = new_virtual_loop();
    rondo_metrics metrics;
    enum { ROOM = 500 };
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    rondo_stream *stream = rondo__stream_new(loop, ends[0], true, ROOM, RONDO_HERE);
    char *room = rondo__stream_room(stream);
    for (int i = 0; i < ROOM; i++) CHECK_INT(room[i], 0);
    memset(room, 0xff, ROOM); /* its own, to the last byte; no listeners are looked for there */
    rondo__stream_consume(stream, &nobody, room);
    rondo_resume(stream);
    harness_send_str(ends[1], "x");
    CHECK_INT(write_text(stream, "y"), 1);
    check_idle(loop);
    rondo_on_close(stream, note_closed, NULL);
    CHECK_STR(rondo_kind(stream), "connection");
    rondo_stream_set_timeout(stream, 1);
    run_all(loop);
    CHECK_TRACE("close");
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 1);
    rondo_loop_free(loop);
    close(ends[1]);
}

TEST_ABORTS(a_connection_has_no_listeners,
            "rondo_stream_on_data: wants a stream, got the connection") {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    rondo_stream *stream = rondo__stream_new(loop, ends[0], true, 100, RONDO_HERE);
    rondo_stream_on_data(stream, ignore_data, NULL);
}

/* ---- memory ---- */

static void echo(rondo_stream *stream, rondo_slice chunk, void *arg) {
    int status = rondo_write(stream, chunk);
    if (status == RONDO_ENOMEM)
        rondo_destroy(stream, status);
    else
        CHECK(status >= 0);
}

/* One conversation; every step may run out of memory, and then says so. */
static void converse(rondo_loop *loop, int fd, int peer) {
    rondo_stream *stream = NULL;
    int status = rondo_stream_open(loop, fd, &stream);
    if (status < 0) {
        CHECK_INT(status, RONDO_ENOMEM);
        CHECK(stream == NULL);
        CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK)); /* as it was */
        CHECK(!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
        close(fd);
        return;
    }
    rondo_stream_on_error(stream, note_error, NULL);
    CHECK_INT(rondo_stream_on_data(stream, echo, NULL), 0); /* the first one needs no memory */
    status = rondo_stream_on_data(stream, ignore_data, NULL);
    CHECK(status == 0 || status == RONDO_ENOMEM);
    status = rondo_stream_set_high_water(stream, 1, 1 << 20);
    CHECK(status == 0 || status == RONDO_ENOMEM);
    status = rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "lent");
    CHECK(status >= 0 || status == RONDO_ENOMEM);
    bool lent = status >= 0;
    run_turns(loop, 3);
    if (trace_size == 0) {
        status = rondo_pause(stream);
        run_turns(loop, 2);
        CHECK_INT(status, 0);
        status = rondo_resume(stream);
        CHECK(status == 0 || status == RONDO_ENOMEM);
    }
    rondo_end(stream);
    shutdown(peer, SHUT_WR);
    run_turns(loop, 4);
    CHECK_INT(strncmp(trace, "lent:", 5) == 0, lent);
}

TEST(out_of_memory_at_every_place_of_a_conversation) {
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        char *bytes = new_bytes(50000);
        int ends[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        harness_send_all(ends[1], bytes, 50000);
        harness_fail_alloc_after(n);
        converse(loop, ends[0], ends[1]);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        end_loop(loop);
        close(ends[1]);
        free(bytes);
        trace_size = 0;
        trace[0] = '\0';
        if (!failed) break;
    }
}

/* A part of a large write has left when there is no memory for the rest. */
TEST(out_of_memory_in_the_middle_of_a_write_is_an_error_of_the_stream) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(2000000);
    int peer = new_pair(loop, &stream);
    note_events(stream);
    harness_fail_alloc_after(20);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 2000000)), RONDO_ENOMEM);
    CHECK(harness_alloc_failed());
    CHECK_TRACE("");
    run_all(loop);
    CHECK_TRACE("ENOMEM close");
    rondo_loop_free(loop);
    close(peer);
    free(bytes);
}

/* When nothing of it has left, nothing has happened. */
TEST(out_of_memory_before_a_write_leaves_the_stream_alone) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(31000);
    int peer = new_pair(loop, &stream);
    const long places[] = {0, 1,
                           1}; /* the queue, its first block, its second: what was got stays */
    for (int i = 0; i < 3; i++) {
        harness_fail_alloc_after(places[i]);
        CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 31000)), RONDO_ENOMEM);
        CHECK_INT(queued(stream), 0);
        rondo__loop_verify(loop);
    }
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 31000)), 1);
    CHECK_INT(queued(stream), 31000);
    harness_fail_alloc_after(-1);
    end_loop(loop);
    close(peer);
    free(bytes);
}

TEST(out_of_memory_when_resuming_leaves_the_stream_paused) {
    rondo_loop *loop = rondo_loop_new();
    enum { STREAMS = 64 }; /* so many changes in one turn need memory for their list */
    rondo_stream *streams[STREAMS];
    int peers[STREAMS], refused = 0;
    for (int i = 0; i < STREAMS; i++) {
        peers[i] = new_pair(loop, &streams[i]);
        rondo_pause(streams[i]);
        rondo_stream_on_data(streams[i], note_data, NULL);
        harness_send_str(peers[i], "x");
        run_turns(loop, 2); /* not watched any more */
    }
    for (int i = 0; i < STREAMS; i++) {
        harness_fail_alloc_after(0);
        int status = rondo_resume(streams[i]);
        if (status < 0) {
            CHECK_INT(status, RONDO_ENOMEM);
            CHECK(rondo_is_paused(streams[i]));
            harness_fail_alloc_after(-1);
            CHECK_INT(rondo_resume(streams[i]), 0);
            refused++;
        }
    }
    harness_fail_alloc_after(-1);
    CHECK(refused > 0);
    run_turns(loop, 1);
    CHECK_INT(strlen(trace), 2 * STREAMS - 1);
    end_loop(loop);
    for (int i = 0; i < STREAMS; i++) close(peers[i]);
}
