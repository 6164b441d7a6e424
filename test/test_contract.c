/* SPDX-License-Identifier: MIT
 *
 * What holds for every kind of handle and every call alike: no callback inside the call that asked
 * for it, unref, close in its own callback, calls on a closing handle; and the sleep, which is as
 * long as the next deadline says.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "gate.h"
#include "streams.h"

#include <signal.h>

static rondo_loop *loop;

/* ---- never inside the call ---- */

static bool inside;
static int called;

static void count_call(void) {
    if (inside) FAIL("a callback inside the call that asked for it");
    called++;
}

/* The call, and how often the callback came when the loop has run. */
#define LATER(times, call)                                   \
    do {                                                     \
        called = 0;                                          \
        inside = true;                                       \
        call;                                                \
        inside = false;                                      \
        long long end = harness_now_ms() + 30000;            \
        while (called < (times) && harness_now_ms() < end) { \
            rondo_loop_run(loop, RONDO_RUN_NOWAIT);          \
            rondo__loop_verify(loop);                        \
            sched_yield();                                   \
        }                                                    \
        CHECK_INT(called, times);                            \
    } while (0)

static void on_loop(rondo_loop *self, void *arg) { count_call(); }
static void on_timer(rondo_timer *timer, void *arg) { count_call(); }
static void on_prepare(rondo_prepare *prepare, void *arg) {
    count_call();
    rondo_prepare_stop(prepare);
}
static void on_async(rondo_async *async, void *arg) { count_call(); }
static void on_signal(rondo_signal *signal, int signum, void *arg) { count_call(); }
static void on_close(rondo_handle *handle, void *arg) { count_call(); }

TEST(no_callback_of_the_loop_runs_inside_its_call) {
    loop = rondo_loop_new();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_async *async = rondo_async_new(loop, on_async, NULL);
    rondo_signal *handle = rondo_signal_new(loop);
    LATER(1, rondo_timer_start(timer, 0, 0, on_timer, NULL));
    LATER(1, rondo_timer_start_at(timer, 0, on_timer, NULL));
    LATER(1, rondo_prepare_start(prepare, on_prepare, NULL));
    LATER(1, rondo_immediate(loop, on_loop, NULL));
    LATER(1, rondo_next_tick(loop, on_loop, NULL));
    LATER(1, rondo_loop_post(loop, on_loop, NULL));
    LATER(1, rondo_async_send(async));
    rondo_signal_start(handle, SIGUSR1, on_signal, NULL);
    LATER(1, raise(SIGUSR1));
    rondo_on_close(handle, on_close, NULL);
    LATER(1, rondo_close(handle));
    rondo_on_close(timer, on_close, NULL);
    rondo_on_close(async, on_close, NULL);
    LATER(2, rondo_loop_close_all(loop));
    end_loop(loop);
}

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) { count_call(); }
static void on_stream(rondo_stream *stream, void *arg) { count_call(); }
static void on_stream_error(rondo_stream *stream, int error, void *arg) { count_call(); }
static void on_release(void *data, size_t len, int status, void *arg) { count_call(); }
static void on_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    count_call();
    rondo_close(connection);
}

TEST(no_callback_of_a_stream_runs_inside_its_call) {
    loop = rondo_loop_new();
    rondo_stream *stream, *other;
    char big[1 << 16] = {0};
    int peer = new_pair(loop, &stream);
    harness_send_str(peer, "x");
    LATER(1, rondo_stream_on_data(stream, on_data, NULL));
    rondo_pause(stream);
    harness_send_str(peer, "x");
    LATER(1, rondo_resume(stream));
    LATER(1, rondo_write_lent(stream, rondo_slice_of(big, 10), on_release, NULL));
    LATER(1, rondo_write_lent(stream, rondo_slice_of(big, 0), on_release, NULL));
    rondo_stream_on_drain(stream, on_stream, NULL);
    rondo_stream_set_high_water(stream, 1, 1 << 20);
    LATER(1, rondo_write(stream, rondo_slice_of(big, 10)));
    rondo_stream_on_finish(stream, on_stream, NULL);
    LATER(1, rondo_end(stream));
    rondo_stream_on_end(stream, on_stream, NULL);
    LATER(1, shutdown(peer, SHUT_WR));
    close(peer);

    peer = new_pair(loop, &stream);
    rondo_stream_on_error(stream, on_stream_error, NULL);
    rondo_on_close(stream, on_close, NULL);
    LATER(2, rondo_destroy(stream, RONDO_EIO));
    close(peer);

    peer = new_tcp_pair(loop, &stream);
    rondo_stream_on_error(stream, on_stream_error, NULL);
    rondo_on_close(stream, on_close, NULL);
    reset_peer(peer);
    LATER(2, rondo_write(stream, rondo_slice_of(big, sizeof big)));

    peer = new_pair(loop, &stream);
    int second = new_pair(loop, &other);
    rondo_on_close(stream, on_close, NULL);
    rondo_on_close(other, on_close, NULL);
    harness_send_str(peer, "x");
    LATER(0, rondo_pipe(stream, other));
    LATER(2, rondo_close(stream));
    close(peer);
    close(second);
    end_loop(loop);
}

static void on_message(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    count_call();
}
static void on_udp_error(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    count_call();
}

TEST(no_callback_of_the_network_runs_inside_its_call) {
    loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    int client = harness_connect(rondo_server_port(server));
    LATER(1, rondo_server_on_connection(server, on_connection, NULL));

    rondo_stream *stream = NULL;
    LATER(2, { /* of both sides */
               stream = rondo_connect(loop, "127.0.0.1", rondo_server_port(server));
               rondo_stream_on_connect(stream, on_stream, NULL);
    });
    rondo_on_close(stream, on_close, NULL);
    LATER(1, rondo_close(stream));
    uint16_t port = rondo_server_port(server);
    rondo_on_close(server, on_close, NULL);
    LATER(1, rondo_close(server));
    LATER(2, {
        stream = rondo_connect(loop, "127.0.0.1", port); /* refused, at once here */
        rondo_stream_on_error(stream, on_stream_error, NULL);
        rondo_on_close(stream, on_close, NULL);
    });

    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address;
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_udp_local(udp, &address), 0);
    rondo_udp_on_message(udp, on_message, NULL);
    LATER(1, rondo_udp_send(udp, &address, rondo_slice_text("x")));
    rondo_udp_on_error(udp, on_udp_error, NULL);
    CHECK_INT(rondo_address_parse("127.0.0.1", port, &address), 0);
    LATER(1, rondo_udp_send(udp, &address, rondo_slice_text("nobody is there")));
    close(client);
    end_loop(loop);
}

static int64_t work(rondo_job *job, void *arg) { return 0; }
static void on_done(rondo_loop *self, int64_t result, void *arg) { count_call(); }
static void on_stat(rondo_loop *self, int result, const rondo_stat *stat, void *arg) {
    count_call();
}

TEST(no_callback_of_the_pool_runs_inside_its_call) {
    loop = rondo_loop_new();
    rondo_lane *lane = rondo_lane_cpu(loop);
    rondo_job *job;
    gate g;
    char buffer[10];
    gate_init(&g);
    LATER(1, rondo_work_submit(loop, NULL, NULL, work, on_done, NULL));
    LATER(1, rondo_fs_open(loop, "/nowhere", O_RDONLY, 0, NULL, on_done, NULL));
    LATER(1, rondo_fs_stat(loop, "/", NULL, on_stat, NULL));
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    LATER(1, rondo_fs_read(loop, file, buffer, sizeof buffer, 0, NULL, on_done, NULL));
    LATER(1, rondo_fs_close(loop, file, on_done, NULL));
    CHECK_INT(rondo_lane_resize(lane, 1, 10), 0);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_work_submit(loop, lane, &job, work, on_done, NULL), 0);
    LATER(1, rondo_job_cancel(job));
    gate_open(&g, 1);
    end_loop(loop);
}

/* ---- unref ---- */

static void check_unref(void *handle) {
    rondo_handle *any = handle;
    CHECK(rondo_is_active(any));
    CHECK(rondo_loop_alive(loop));
    rondo_unref(any);
    CHECK(!rondo_loop_alive(loop));
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    rondo_ref(any);
    CHECK(rondo_loop_alive(loop));
    rondo_close(any);
    run_all(loop);
}

TEST(an_unrefd_handle_of_the_network_does_not_keep_the_loop_alive) {
    loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, ignore_data, NULL);
    check_unref(stream);
    close(peer);
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    rondo_server_on_connection(server, on_connection, NULL);
    check_unref(server);
    rondo_udp *udp = rondo_udp_new(loop);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), 0);
    rondo_udp_on_message(udp, on_message, NULL);
    check_unref(udp);
    rondo_http_server *web = rondo_http_server_new(loop);
    CHECK_INT(rondo_http_server_listen(web, "127.0.0.1", 0), 0);
    check_unref(web);
    rondo_loop_free(loop);
}

static void unref_it(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note("%.*s", (int)chunk.len, chunk.data);
    rondo_unref(stream);
}

TEST(a_stream_may_be_unrefd_in_its_own_callback) {
    loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, unref_it, NULL);
    harness_send_str(peer, "data");
    run_all(loop);
    CHECK_TRACE("data");
    harness_send_str(peer, "more"); /* it works on while something else is alive */
    start_timer(loop, 0, note_timer, "timer");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("timer more");
    close(peer);
    end_loop(loop);
}

/* ---- closing ---- */

TEST(calls_on_a_closing_handle_of_the_network_are_refused) {
    loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address;
    CHECK_INT(rondo_address_parse("127.0.0.1", 9, &address), 0);
    rondo_close(server);
    rondo_close(udp);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), RONDO_ECLOSED);
    CHECK_INT(rondo_server_set_backlog(server, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_server_on_connection(server, on_connection, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_server_port(server), 0);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_send(udp, &address, rondo_slice_text("x")), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_connect(udp, &address), RONDO_ECLOSED);
    run_all(loop);
    rondo_loop_free(loop);
}

static void note_walk(rondo_handle *handle, void *arg) { note("%s", rondo_kind(handle)); }
static void walk_here(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_loop_walk(loop, note_walk, NULL);
    rondo_close(stream);
}

TEST(a_walk_inside_a_callback_sees_every_open_handle) {
    loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_server_new(loop);
    rondo_udp_new(loop);
    rondo_timer_new(loop);
    rondo_stream_on_data(stream, walk_here, NULL);
    rondo_on_close(stream, note_close, "close");
    harness_send_str(peer, "x");
    run_turns(loop, 1);
    CHECK_TRACE("stream server udp timer close");
    close(peer);
    end_loop(loop);
}

TEST(freeing_a_loop_works_once_its_handles_are_closed) {
    loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    rondo_udp_bind(rondo_udp_new(loop), "127.0.0.1", 0);
    rondo_loop_close_all(loop); /* it has never run */
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    rondo_loop_free(loop);
    close(peer);
}

/* ---- the sleep ---- */

static size_t slept_ms;
static int turns;

/* In the second turn: what the first one asked of the kernel. */
static void look_at_sleep(rondo_prepare *prepare, void *arg) {
    if (turns++ == 0) return;
    slept_ms = faults_last(CALL_epoll_wait)->size;
    rondo_loop_stop(loop);
}

TEST(the_sleep_is_as_long_as_the_next_deadline_says) {
    const size_t delays_ms[] = {250, 3000, 30000};
    for (int i = 0; i < 3; i++) {
        loop = rondo_loop_new();
        rondo_prepare *prepare = rondo_prepare_new(loop);
        long long before_ms = harness_now_ms();
        rondo_prepare_start(prepare, look_at_sleep, NULL);
        start_timer(loop, delays_ms[i] + 1000, note_timer, "later");
        start_timer(loop, delays_ms[i], note_timer, "timer");
        turns = 0;
        faults_every(CALL_epoll_wait, 1, EINTR); /* so that nobody has to wait for it */
        rondo_loop_run(loop, RONDO_RUN_ALL);
        faults_clear();
        size_t passed_ms = (size_t)(harness_now_ms() - before_ms) + 2;
        if (slept_ms > delays_ms[i] || slept_ms + passed_ms < delays_ms[i])
            FAIL("slept for %zu ms, not for %zu", slept_ms, delays_ms[i]);
        end_loop(loop);
        if (passed_ms < delays_ms[i]) CHECK_TRACE("");
        CHECK_INT(turns, 2);
    }
}
