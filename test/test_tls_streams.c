/* SPDX-License-Identifier: MIT
 *
 * Everything that streams do, on top of TLS: much at once, backpressure, pauses, files, pipes,
 * budgets, and closing in the middle of it.
 *
 * test/run: not under valgrind; most of its time is OpenSSL's arithmetic.
 */
#define _GNU_SOURCE /* memfd_create */
#include "tls_peers.h"

#include "faults.h"
#include "file_streams.h"

#define BIG ((size_t)5 * 1000 * 1000)

/* ---- much at once ---- */

TRACE_CALLBACK stop_when_closed(rondo_handle *handle, void *arg) {
    if (--*(int *)arg == 0) rondo_loop_stop(rondo_handle_loop(handle));
}

static void run_until_closed(couple *it) {
    int open = 2;
    rondo_on_close(it->server, stop_when_closed, &open);
    rondo_on_close(it->client, stop_when_closed, &open);
    CHECK(rondo_loop_run(it->loop, RONDO_RUN_ALL) >= 0);
    CHECK_INT(open, 0);
    rondo__loop_verify(it->loop);
}

TEST(megabytes_arrive_in_both_directions_at_once) {
    couple it;
    received up = {0}, down = {0};
    char *bytes = new_bytes(BIG);
    start_couple(&it);
    rondo_stream_on_data(it.server, receive_data, &up);
    rondo_stream_on_data(it.client, receive_data, &down);
    CHECK_INT(rondo_write(it.client, rondo_slice_of(bytes, BIG)), 0);
    CHECK_INT(rondo_write(it.server, rondo_slice_of(bytes, BIG)), 0);
    rondo_end(it.client);
    rondo_end(it.server);
    run_until_closed(&it);
    check_bytes(up.data, up.len, BIG);
    check_bytes(down.data, down.len, BIG);
    CHECK_TRACE("");
    free(up.data);
    free(down.data);
    free(bytes);
    couple_fini(&it);
}

/* Pieces of all sizes, so that records are put together from several and cut out of one. */
TEST(pieces_of_all_sizes_keep_their_order) {
    couple it;
    received got = {0};
    size_t total = 0, sizes[] = {0, 1, 16383, 16384, 16385, 7, 0, 40000, 3, 100, 65537, 1};
    char *bytes = new_bytes(1 << 20);
    start_couple(&it);
    rondo_stream_on_data(it.server, receive_data, &got);
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            rondo_slice piece = rondo_slice_of(bytes + total, sizes[i]);
            if (i % 2)
                CHECK(rondo_write(it.client, piece) >= 0);
            else
                CHECK(rondo_write_lent(it.client, piece, NULL, NULL) >= 0);
            total += sizes[i];
        }
    }
    rondo_end(it.client);
    run_until_closed(&it);
    check_bytes(got.data, got.len, total);
    free(got.data);
    free(bytes);
    couple_fini(&it);
}

/* Small ones of one callback share a record, and leave in one call. */
TEST(what_one_callback_writes_leaves_in_one_send) {
    couple it;
    received got = {0};
    start_couple(&it);
    rondo_stream_on_data(it.server, receive_data, &got);
    run_turns(it.loop, 2);
    faults_on_fd(it.client->fd);
    faults_watch();
    for (int i = 0; i < 100; i++)
        rondo_write_lent(it.client, rondo_slice_text("ten bytes!"), NULL, NULL);
    run_turns(it.loop, 3);
    CHECK_INT(got.len, 1000);
    CHECK(faults_count(CALLS_WRITE) <= 2); /* 64 pieces are gathered at a time */
    CHECK(faults_bytes(CALLS_WRITE) < 1000 + 2 * 40);
    free(got.data);
    couple_fini(&it);
}

TEST(a_message_costs_one_read) {
    couple it;
    start_couple(&it);
    rondo_stream_on_data(it.server, note_data, NULL);
    run_turns(it.loop, 2);
    faults_on_fd(it.server->fd);
    faults_watch();
    write_text(it.client, "message");
    run_turns(it.loop, 3);
    CHECK_TRACE("message");
    CHECK_INT(faults_count(CALLS_READ), 1);
    couple_fini(&it);
}

TEST(a_peer_that_reads_nothing_holds_the_writer_back) {
    couple it;
    received got = {0};
    char *bytes = new_bytes(1 << 20);
    size_t total = 0;
    start_couple(&it);
    rondo_stream_on_drain(it.client, note_drain, NULL);
    rondo_pause(it.server);
    rondo_stream_on_data(it.server, receive_data, &got);
    int more = 1;
    for (int i = 0; more == 1 && i < 100000; i++) {
        more = rondo_write(it.client, rondo_slice_of(bytes + total % 65536, 1000));
        CHECK(more >= 0);
        total += 1000;
        if (i % 16 == 0) run_turns(it.loop, 1);
    }
    CHECK_INT(more, 0);
    check_idle(it.loop);
    CHECK_TRACE("");
    CHECK(queued(it.client) > 0);
    rondo_resume(it.server);
    rondo_end(it.client);
    run_until_closed(&it);
    CHECK_TRACE("drain");
    CHECK_INT(got.len, total);
    for (size_t i = 0; i < total; i++)
        if (got.data[i] != byte_at(i / 1000 * 1000 % 65536 + i % 1000)) FAIL("byte %zu", i);
    free(got.data);
    free(bytes);
    couple_fini(&it);
}

/* ---- pauses and budgets ---- */

TRACE_CALLBACK pause_at_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    receive(arg, chunk);
    rondo_pause(stream);
}

TEST(bytes_that_openssl_holds_are_read_after_a_pause) {
    couple it;
    received got = {0};
    char *bytes = new_bytes(100000);
    start_couple(&it);
    rondo_stream_set_read_high_water(it.server, 1000);
    rondo_stream_on_data(it.server, pause_at_data, &got);
    rondo_write(it.client, rondo_slice_of(bytes, 10000));
    run_turns(it.loop, 3);
    CHECK_INT(got.len, 1000);
    check_idle(it.loop); /* nothing spins while it is paused */
    for (unsigned i = 2; i <= 10; i++) {
        rondo_resume(it.server);
        run_turns(it.loop, 2);
        CHECK_INT(got.len, i * 1000);
    }
    rondo_resume(it.server);
    check_idle(it.loop);
    check_bytes(got.data, got.len, 10000);
    free(got.data);
    free(bytes);
    couple_fini(&it);
}

TEST(the_read_budget_holds) {
    couple it;
    received got = {0};
    char *bytes = new_bytes(400000);
    start_couple(&it);
    CHECK_INT(rondo_loop_set_budget(it.loop, RONDO_BUDGET_read_bytes, 20000), 0);
    rondo_pause(it.server);
    rondo_stream_on_data(it.server, receive_data, &got);
    rondo_write(it.client, rondo_slice_of(bytes, 400000));
    run_turns(it.loop, 20);
    rondo_resume(it.server);
    size_t most = 0;
    for (int turn = 0; turn < 400 && got.len < 400000; turn++) {
        size_t before = got.len;
        run_turns(it.loop, 1);
        if (got.len - before > most) most = got.len - before;
    }
    check_bytes(got.data, got.len, 400000);
    CHECK(most <= 20000 + 2 * 65536); /* pending and poll phase, one read over the budget each */
    free(got.data);
    free(bytes);
    couple_fini(&it);
}

/* ---- files and pipes ---- */

static int new_file(const char *bytes, size_t size) {
    char path[] = "/tmp/rondo-tls-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    CHECK_INT(write(fd, bytes, size), size);
    return fd;
}

TEST(files_are_read_and_encrypted) {
    couple it;
    received got = {0};
    char *bytes = new_bytes(BIG);
    int file = new_file(bytes, BIG);
    start_couple(&it);
    rondo_stream_on_data(it.server, receive_data, &got);
    CHECK(rondo_write_file(it.client, file, 0, 100, false) >= 0);
    CHECK(rondo_write(it.client, rondo_slice_of(bytes + 100, 50)) >= 0);
    CHECK(rondo_write_file(it.client, file, 150, BIG - 150, true) >= 0);
    rondo_end(it.client);
    faults_watch();
    run_until_closed(&it);
    CHECK_INT(faults_count(CALL_sendfile), 0);
    check_bytes(got.data, got.len, BIG);
    free(got.data);
    free(bytes);
    couple_fini(&it);
}

TEST(a_file_that_is_shorter_is_an_error) {
    couple it;
    char *bytes = new_bytes(100000);
    int file = new_file(bytes, 100000);
    start_couple(&it);
    rondo_resume(it.server);
    run_turns(it.loop, 2);
    CHECK(rondo_write_file(it.client, file, 0, 100001, true) >= 0);
    run_turns(it.loop, 20);
    CHECK_TRACE("client:EIO() server:ECONNRESET(the connection ended without close_notify)");
    free(bytes);
    couple_fini(&it);
}

TEST(pipes_lead_from_tls_to_plain_and_back) {
    couple it;
    received got = {0};
    rondo_stream *near, *far;
    int ends[2];
    char *bytes = new_bytes(BIG);
    start_couple(&it);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near = open_stream(it.loop, ends[0]), far = open_stream(it.loop, ends[1]);
    CHECK_INT(rondo_pipe(it.server, near), 0); /* what the client says goes around, */
    CHECK_INT(rondo_pipe(near, it.server), 0);
    CHECK_INT(rondo_pipe(far, far == near ? near : far), RONDO_EINVAL);
    rondo_stream_on_data(far, receive_data, &got); /* and is seen on its way */
    rondo_stream_set_half_open(far, true);
    rondo_write(it.client, rondo_slice_of(bytes, BIG));
    rondo_end(it.client);
    for (int i = 0; i < 100000 && got.len < BIG; i++) run_turns(it.loop, 1);
    check_bytes(got.data, got.len, BIG);
    got.len = 0;
    rondo_stream_on_data(it.client, receive_data, &got);
    rondo_stream_off_data(far, receive_data, &got);
    rondo_write(far, rondo_slice_of(bytes, BIG));
    rondo_end(far);
    CHECK_INT(rondo_loop_run(it.loop, RONDO_RUN_ALL), 0);
    check_bytes(got.data, got.len, BIG);
    free(got.data);
    free(bytes);
    couple_fini(&it);
}

/* ---- closing in the middle ---- */

static void check_close_in(int (*listen)(rondo_stream *, rondo_stream_cb, void *)) {
    couple it;
    couple_init(&it);
    couple_connect(&it);
    rondo_stream_on_data(it.client, ignore_data, NULL);
    rondo_stream_on_data(it.server, ignore_data, NULL);
    CHECK_INT(listen(it.server, close_it, NULL), 0);
    rondo_on_close(it.server, note_closed, NULL);
    char *bytes = new_bytes(BIG);
    rondo_write(it.client, rondo_slice_of(bytes, 1000));
    rondo_write(it.server, rondo_slice_of(bytes, BIG));
    rondo_end(it.client);
    rondo_end(it.server);
    run_turns(it.loop, 100);
    CHECK(strstr(trace, "close"));
    trace_size = 0;
    free(bytes);
    couple_fini(&it);
}
TEST(it_may_be_closed_in_every_callback) {
    check_close_in(rondo_stream_on_connect);
    check_close_in(rondo_stream_on_end);
    check_close_in(rondo_stream_on_drain);
    check_close_in(rondo_stream_on_finish);
}

TEST(it_may_be_closed_in_data_and_error) {
    couple it;
    char *bytes = new_bytes(100000);
    start_couple(&it);
    rondo_stream_on_data(it.client, ignore_data, NULL);
    rondo_stream_on_data(it.server, close_at_data, NULL);
    rondo_on_close(it.server, note_closed, NULL);
    rondo_write(it.client, rondo_slice_of(bytes, 100000));
    run_turns(it.loop, 10);
    CHECK(strncmp(trace, "close", 5) == 0);
    trace_size = 0;
    free(bytes);
    couple_fini(&it);
}

TEST(it_may_be_closed_before_the_first_step) {
    couple it;
    couple_init(&it);
    couple_connect(&it);
    rondo_close(it.client);
    rondo_close(it.server);
    run_turns(it.loop, 3);
    CHECK_TRACE("");
    couple_fini(&it);
}

TEST(it_may_be_closed_between_any_two_turns) {
    for (int turns = 1; turns < 8; turns++) {
        couple it;
        couple_init(&it);
        couple_connect(&it);
        run_turns(it.loop, turns);
        rondo_close(turns % 2 ? it.client : it.server);
        run_turns(it.loop, 8);
        trace_size = 0;
        couple_fini(&it);
    }
}

/* ---- the kernel takes and gives little ---- */

static size_t amount = 100000;
static bool may_fail;
static void talk(void) {
    couple it;
    received up = {0}, down = {0};
    char *bytes = new_bytes(amount);
    couple_init(&it);
    FAULTS_BEGIN();
    couple_connect(&it);
    rondo_stream_on_data(it.server, receive_data, &up);
    rondo_stream_on_data(it.client, receive_data, &down);
    rondo_write(it.client, rondo_slice_of(bytes, amount));
    rondo_write(it.server, rondo_slice_of(bytes, amount));
    rondo_end(it.client);
    rondo_end(it.server);
    run_until_closed(&it);
    FAULTS_END();
    if (!may_fail) CHECK_TRACE("client server");
    if (!strstr(trace, ":E")) {
        check_bytes(up.data, up.len, amount);
        check_bytes(down.data, down.len, amount);
    }
    trace_size = 0, trace[0] = '\0';
    free(up.data);
    free(down.data);
    free(bytes);
    couple_fini(&it);
}
TEST(every_call_may_say_not_now) { FAULT_SWEEP(talk, CALLS_READ | CALLS_WRITE, EAGAIN); }
TEST(every_call_may_be_interrupted) { FAULT_SWEEP(talk, CALLS_READ | CALLS_WRITE, EINTR); }
TEST(every_call_may_be_short) { FAULT_SWEEP_SHORT(talk, CALLS_READ | CALLS_WRITE, 1); }
TEST(every_call_may_find_the_connection_gone) {
    may_fail = true;
    FAULT_SWEEP(talk, CALLS_READ | CALLS_WRITE, ECONNRESET);
}
TEST(many_calls_may_be_short_or_late) {
    amount = 3000;
    FAULT_PERIODS(talk, CALLS_READ | CALLS_WRITE, 0);
    FAULT_PERIODS(talk, CALLS_READ | CALLS_WRITE, EAGAIN);
}

/* ---- file streams: the bytes have to be read ---- */

static void file_over_tls_to_file(bool unknown) {
    couple it;
    disk_file from = new_disk_file(BIG + 1), to = new_disk_file(0);
    start_couple(&it);
    if (unknown) cache_unknown();
    faults_watch();
    CHECK_INT(rondo_pipe(open_reader(it.loop, from.path, 0, -1), it.client), 0);
    rondo_stream *writer = open_writer(it.loop, to.path, 0);
    CHECK_INT(rondo_pipe(it.server, writer), 0);
    int open = 3; /* the file's last bytes are with a worker when the connection has closed */
    rondo_on_close(it.server, stop_when_closed, &open);
    rondo_on_close(it.client, stop_when_closed, &open);
    rondo_on_close(writer, stop_when_closed, &open);
    CHECK(rondo_loop_run(it.loop, RONDO_RUN_ALL) >= 0);
    CHECK_INT(open, 0);
    CHECK_INT(faults_count(CALL_sendfile), 0);
    CHECK_TRACE("");
    couple_fini(&it);
    check_contents(&to, BIG + 1);
    remove_file(&from);
    remove_file(&to);
    faults_clear();
}
TEST(a_file_through_tls_into_a_file) {
    file_over_tls_to_file(false);
    file_over_tls_to_file(true);
}
