/* SPDX-License-Identifier: MIT
 *
 * What can be set on a stream: the read mark, the kernel's buffers, and a timeout for each
 * direction. Marks of the write queue are in test_stream_write.c, the idle timeout in
 * test_stream_life.c.
 */
#include "streams.h"

#include "faults.h"
#include "net/duplex.h"

/* ---- the read mark ---- */

static void note_size(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note("%zu", chunk.len);
}

TEST(the_read_mark_bounds_an_event_and_a_turn) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_stream_set_read_high_water(stream, 4), 0);
    rondo_stream_on_data(stream, note_size, NULL);
    harness_send_str(peer, "0123456789");
    faults_watch();
    run_turns(loop, 1);
    CHECK_TRACE("4"); /* the rest is for the next turn */
    CHECK_INT(faults_count(CALL_read), 1);
    run_turns(loop, 2);
    CHECK_TRACE("4 2");
    CHECK_INT(rondo_stream_set_read_high_water(stream, 0), 0);
    harness_send_str(peer, "ab");
    run_turns(loop, 3);
    CHECK_TRACE("1 1");
    CHECK_INT(rondo_stream_set_read_high_water(stream, SIZE_MAX), 0);
    char *bytes = new_bytes(150000);
    CHECK_INT(send(peer, bytes, 150000, 0), 150000);
    run_turns(loop, 1);
    CHECK_TRACE("65536 65536 18928");
    rondo_close(stream);
    CHECK_INT(rondo_stream_set_read_high_water(stream, 4), RONDO_ECLOSED);
    end_loop(loop);
    close(peer);
    free(bytes);
}

/* ---- the kernel's buffers ---- */

static int option_of(const rondo_stream *stream, int option) {
    int value = 0;
    socklen_t len = sizeof value;
    CHECK_INT(getsockopt(stream->fd, SOL_SOCKET, option, &value, &len), 0);
    return value;
}

TEST(kernel_buffers_are_set) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream);
    int send = option_of(stream, SO_SNDBUF);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 20000, 0), 0);
    CHECK_INT(option_of(stream, SO_RCVBUF), 40000); /* socket(7): doubled */
    CHECK_INT(option_of(stream, SO_SNDBUF), send);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 0, 30000), 0);
    CHECK_INT(option_of(stream, SO_RCVBUF), 40000);
    CHECK_INT(option_of(stream, SO_SNDBUF), 60000);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, SIZE_MAX, SIZE_MAX), 0); /* as it allows */
    CHECK(option_of(stream, SO_RCVBUF) > 40000);
    faults_fail(CALL_setsockopt, 2, EINVAL);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 20000, 20000), RONDO_EINVAL);
    rondo_close(stream);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 20000, 0), RONDO_ECLOSED);
    end_loop(loop);
    close(peer);
}

TEST(a_pipe_has_no_such_buffers) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    rondo_stream *stream = open_stream(loop, ends[0]);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 1, 1), RONDO_ENOTSUP);
    end_loop(loop);
    close(ends[1]);
}

static void cancel_nothing(rondo_stream *stream, rondo__opening *opening) {}
static rondo__opening opening = {.cancel = cancel_nothing};

static void connect_now(rondo_loop *loop, void *arg) {
    rondo_stream *stream = arg;
    CHECK_INT(rondo__stream_connected(stream, *(int *)rondo_data(stream)), 0);
}

TEST(kernel_buffers_set_before_there_is_a_socket) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    rondo_stream *stream = rondo__stream_new_opening(loop, &opening, RONDO_HERE);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 20000, 0), 0);
    CHECK_INT(rondo_stream_set_kernel_buffers(stream, 0, 30000), 0);
    rondo_set_data(stream, &ends[0]);
    rondo_immediate(loop, connect_now, stream);
    run_turns(loop, 1);
    CHECK_INT(option_of(stream, SO_RCVBUF), 40000);
    CHECK_INT(option_of(stream, SO_SNDBUF), 60000);
    end_loop(loop);
    close(ends[1]);
}

/* ---- timeouts of a direction ---- */

/* Runs until the virtual clock shows `ms` after its start at 1 s. */
static void run_until(rondo_loop *loop, uint64_t ms) {
    uint64_t now_ms = rondo_loop_now_ns(loop) / 1000000;
    rondo_timer *timer = start_timer(loop, 1000 + ms - now_ms, end_idling, loop);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    rondo_close(timer);
    rondo__loop_verify(loop);
}

static int new_timed(rondo_loop *loop, rondo_stream **ret_stream) {
    int peer = new_pair(loop, ret_stream);
    note_events(*ret_stream);
    rondo_stream_on_timeout(*ret_stream, note_timeout, NULL);
    return peer;
}

TEST(a_read_timeout_is_pushed_ahead_by_what_is_read) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_timed(loop, &stream);
    rondo_stream_on_data(stream, note_data, NULL);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    run_until(loop, 90);
    write_text(stream, "what is written does not count");
    harness_send_str(peer, "x");
    run_until(loop, 100);
    CHECK_TRACE("x");
    write_text(stream, "nor does this");
    run_until(loop, 185);
    CHECK_TRACE("");
    run_until(loop, 195);
    CHECK_TRACE("timeout");
    run_until(loop, 1000);
    CHECK_TRACE(""); /* once */
    harness_send_str(peer, "y");
    run_until(loop, 1200);
    CHECK_TRACE("y timeout"); /* anew with the next byte */
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    run_until(loop, 1250);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 0), 0);
    run_until(loop, 2000);
    CHECK_TRACE("");
    CHECK_INT(rondo_stream_set_read_timeout(stream, UINT64_MAX), 0);
    run_until(loop, 9000);
    CHECK_TRACE("");
    end_loop(loop);
    close(peer);
}

TEST(a_paused_stream_has_no_read_timeout) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_timed(loop, &stream);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    run_until(loop, 500);
    CHECK_TRACE(""); /* nobody reads */
    rondo_stream_on_data(stream, note_data, NULL);
    run_until(loop, 550);
    rondo_pause(stream);
    run_until(loop, 580);
    rondo_resume(stream); /* the time starts anew */
    run_until(loop, 640);
    rondo_resume(stream); /* but not when it reads already */
    CHECK_TRACE("");
    run_until(loop, 690);
    CHECK_TRACE("timeout");
    rondo_pause(stream);
    rondo_resume(stream);
    rondo_pause(stream);
    run_until(loop, 2000);
    CHECK_TRACE("");
    rondo_resume(stream);
    rondo_stream_off_data(stream, note_data, NULL);
    run_until(loop, 2200);
    CHECK_TRACE("timeout"); /* resumed: it reads though nobody listens */
    end_loop(loop);
    close(peer);
}

static void once_more(rondo_timer *timer, void *arg) {
    rondo_stream_once_data(arg, note_data, NULL);
}

TEST(the_time_between_two_listeners_does_not_count) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_timed(loop, &stream);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    rondo_stream_once_data(stream, note_data, NULL);
    harness_send_str(peer, "x");
    rondo_timer *timer = start_timer(loop, 80, once_more, stream);
    run_until(loop, 170);
    CHECK_TRACE("x");
    run_until(loop, 185);
    CHECK_TRACE("timeout");
    rondo_close(timer);
    end_loop(loop);
    close(peer);
}

TEST(a_read_timeout_that_nobody_hears_fails_the_stream) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_resume(stream);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 5000), 0);
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT close");
    CHECK_INT(rondo_loop_now_ns(loop) / 1000000, 1100);
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_read_timeout_after_the_end_says_nothing) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_timed(loop, &stream);
    rondo_stream_set_half_open(stream, true);
    rondo_resume(stream);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    shutdown(peer, SHUT_WR);
    run_until(loop, 1000);
    CHECK_TRACE("end");
    end_loop(loop);
    close(peer);
}

TEST(a_write_timeout_runs_while_the_peer_does_not_read) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    enum { SIZE = 4000000 };
    char *bytes = new_bytes(SIZE), *got = malloc(SIZE);
    int peer = new_timed(loop, &stream);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 100), 0);
    CHECK_INT(write_text(stream, "x"), 1);
    run_until(loop, 500);
    CHECK_TRACE(""); /* it was written */
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, SIZE)), 0);
    run_until(loop, 590);
    CHECK_INT(write_text(stream, "more does not count"), 0);
    harness_recv_exact(peer, got, 200000);
    run_until(loop, 660);
    CHECK_TRACE("");
    run_until(loop, 1000);
    CHECK_TRACE("timeout");
    while (recv(peer, got, SIZE, MSG_DONTWAIT) > 0) run_turns(loop, 1);
    run_until(loop, 1500);
    CHECK_TRACE("drain");
    CHECK_INT(queued(stream), 0);
    end_loop(loop);
    close(peer);
    free(bytes);
    free(got);
}

TEST(a_write_timeout_that_is_set_while_it_waits) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    char *bytes = new_bytes(4000000);
    int peer = new_pair(loop, &stream);
    note_events(stream);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 4000000)), 0);
    run_until(loop, 500);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 100), 0);
    run_until(loop, 590);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 50), 0);
    run_until(loop, 630);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 0), 0);
    run_until(loop, 2000);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 50), 0);
    CHECK_TRACE("");
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT close");
    rondo_loop_free(loop);
    close(peer);
    free(bytes);
}

TEST(a_try_in_vain_is_no_write_that_waits) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    char *bytes = new_bytes(8000000);
    int peer = new_timed(loop, &stream);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 100), 0);
    while (rondo_try_write(stream, rondo_slice_of(bytes, 8000000)) > 0) {}
    run_until(loop, 1000);
    CHECK_TRACE("");
    end_loop(loop);
    close(peer);
    free(bytes);
}

TEST(no_write_timeout_while_it_connects) {
    rondo_loop *loop = new_virtual_loop();
    int ends[2];
    rondo_stream *stream = rondo__stream_new_opening(loop, &opening, RONDO_HERE);
    char *bytes = new_bytes(4000000);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    note_events(stream);
    rondo_stream_on_timeout(stream, note_timeout, NULL);
    rondo_resume(stream);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 100), 0);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 150), 0);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 4000000)), 0);
    run_until(loop, 1000);
    CHECK_TRACE("");
    rondo_set_data(stream, &ends[0]);
    rondo_immediate(loop, connect_now, stream);
    run_until(loop, 1090);
    CHECK_TRACE("");
    run_until(loop, 1110);
    CHECK_TRACE("timeout"); /* of the write */
    run_until(loop, 1140);
    CHECK_TRACE("");
    run_until(loop, 1160);
    CHECK_TRACE("timeout"); /* of the read */
    end_loop(loop);
    close(ends[1]);
    free(bytes);
}

static void close_at_timeout(rondo_stream *stream, void *arg) {
    note("closing");
    rondo_close(stream);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 50), RONDO_ECLOSED);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 50), RONDO_ECLOSED);
}

TEST(both_timeouts_at_once_and_a_close) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    char *bytes = new_bytes(4000000);
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_timeout(stream, close_at_timeout, NULL);
    rondo_resume(stream);
    rondo_write(stream, rondo_slice_of(bytes, 4000000));
    CHECK_INT(rondo_stream_set_write_timeout(stream, 100), 0);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 100), 0);
    CHECK_INT(rondo_stream_set_timeout(stream, 100), 0);
    run_all(loop);
    CHECK_TRACE("closing close");
    rondo_loop_free(loop);
    close(peer);
    free(bytes);
}

TEST(out_of_memory_when_setting_changes_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 1), RONDO_ENOMEM);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 1), RONDO_ENOMEM);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_stream_set_read_high_water(stream, 1), RONDO_ENOMEM);
    harness_fail_alloc_after(-1);
    CHECK(!stream->extra);
    end_loop(loop);
    close(peer);
}
