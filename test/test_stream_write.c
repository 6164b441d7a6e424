/* SPDX-License-Identifier: MIT
 *
 * Writing to streams: the queue, backpressure, the end, lent memory. Files are in
 * test_stream_file.c.
 */
#include "streams.h"

#include "net/stream.h"

/* ---- the queue ---- */

TEST(writes_leave_in_order_when_the_loop_runs) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    rondo_stream_figures figures;
    int peer = new_pair(loop, &stream);
    CHECK_INT(write_text(stream, "one "), 1);
    CHECK_INT(write_text(stream, ""), 1);
    CHECK_INT(write_text(stream, "two "), 1);
    CHECK_INT(write_text(stream, "three"), 1);
    CHECK_INT(queued(stream), 13);
    CHECK_STR(read_now(peer), ""); /* nothing has left yet */
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "one two three");
    rondo_stream_get_figures(stream, &figures);
    CHECK_INT(figures.queued, 0);
    CHECK_INT(figures.bytes_out, 13);
    end_loop(loop);
    close(peer);
}

static void answer(rondo_stream *stream, rondo_slice chunk, void *arg) {
    int peer = *(int *)arg;
    write_text(stream, "an");
    write_text(stream, "swer");
    CHECK_STR(read_now(peer), ""); /* not inside the callback */
}
static void look(rondo_loop *loop, void *arg) { note("tick:%s", read_now(*(int *)arg)); }
static void answer_and_look(rondo_stream *stream, rondo_slice chunk, void *arg) {
    answer(stream, chunk, arg);
    rondo_next_tick(rondo_handle_loop(stream), look, arg);
}

TEST(writes_leave_right_after_the_callback) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, answer_and_look, &peer);
    harness_send_str(peer, "?");
    run_turns(loop, 1);
    CHECK_TRACE("tick:answer");
    end_loop(loop);
    close(peer);
}

TEST(a_large_write_arrives_whole) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    size_t size = harness_is_slow() ? 4000000 : 30000000;
    char *bytes = new_bytes(size);
    int fd = new_pair(loop, &stream);
    CHECK_INT(rondo_stream_set_high_water(stream, 1000, size), 0);
    note_events(stream);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, size)), 0);
    memset(bytes, 0, size); /* it was copied, as far as it is still to be sent */
    free(bytes);
    rondo_stream_figures figures;
    rondo_stream_get_figures(stream, &figures);
    CHECK_INT(figures.queued + figures.bytes_out, size); /* exact */
    rondo_resume(stream);
    start_reader(&peer, fd, 0);
    end_and_finish(stream);
    CHECK_TRACE("drain finish");
    shutdown(fd, SHUT_WR);
    run_all(loop);
    CHECK_TRACE("end close");
    rondo_loop_free(loop);
    check_reader(&peer, size);
}

TEST(many_writes_of_all_sizes_arrive_in_order) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    enum { SIZE = 3000000 };
    char *bytes = new_bytes(SIZE);
    start_reader(&peer, new_pair(loop, &stream), 5000);
    size_t sent = 0;
    for (unsigned n = 1; sent < SIZE; n = n * 1103515245 + 12345) {
        size_t size = (n >> 8) % 8 == 0 ? (n >> 12) % 90000 : (n >> 12) % 9000;
        if (size > SIZE - sent) size = SIZE - sent;
        rondo_slice piece = rondo_slice_of(bytes + sent, size);
        switch ((n >> 28) % 3) {
        case 0: CHECK(rondo_write(stream, piece) >= 0); break;
        case 1: CHECK(rondo_write_lent(stream, piece, NULL, NULL) >= 0); break;
        default:
            if (piece.len > 8192) piece.len = 8192;
            if (piece.len == 0) break;
            char *room = rondo__stream_reserve(stream, piece.len);
            CHECK(room != NULL);
            memcpy(room, piece.data, piece.len);
            CHECK(rondo__stream_commit(stream, piece.len) >= 0);
            size = piece.len;
            break;
        }
        sent += size;
        if ((n >> 20) % 5 == 0) run_turns(loop, 1);
        rondo__loop_verify(loop);
    }
    end_and_finish(stream);
    check_reader(&peer, SIZE);
    run_all(loop);
    rondo_loop_free(loop);
    free(bytes);
}

TEST(a_steady_state_allocates_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    size_t before = 0;
    rondo_resume(stream);
    for (int round = 0; round < 20; round++) {
        if (round == 2) before = harness_alloc_count();
        harness_send_str(peer, "request");
        run_turns(loop, 1);
        write_text(stream, "head");
        rondo_write_lent(stream, rondo_slice_text("static"), NULL, NULL);
        rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "r");
        run_turns(loop, 2);
        CHECK_STR(read_now(peer), "headstaticlent");
    }
    CHECK_INT(harness_alloc_count(), before);
    end_loop(loop);
    close(peer);
}

TEST(a_reserved_head_is_filled_in_place) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_stream_set_high_water(stream, 10, 20), 0);
    char *room = rondo__stream_reserve(stream, 8192);
    CHECK(room != NULL);
    CHECK_INT(rondo__stream_commit(stream, 0), 1); /* changed its mind */
    CHECK_INT(queued(stream), 0);
    room = rondo__stream_reserve(stream, 100);
    memcpy(room, "0123456789", 10);
    CHECK_INT(rondo__stream_commit(stream, 10), 0);
    room = rondo__stream_reserve(stream, 100);
    CHECK_INT(rondo__stream_commit(stream, 11), RONDO_ENOBUFS);
    room = rondo__stream_reserve(stream, 100);
    memcpy(room, "abc", 3);
    CHECK_INT(rondo__stream_commit(stream, 3), 0);
    CHECK_INT(rondo__stream_queued(stream), 13);
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "0123456789abc");
    rondo_end(stream);
    CHECK(rondo__stream_reserve(stream, 1) == NULL);
    end_loop(loop);
    close(peer);
}

/* ---- backpressure ---- */

/* Fills what the kernel takes, with the stream's queue empty. */
static void fill_kernel(int fd) {
    char block[4096] = {0};
    while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0) {}
    while (send(fd, block, 1, MSG_DONTWAIT) > 0) {}
}

static size_t empty_kernel(int fd) {
    char block[65536];
    size_t total = 0;
    for (ssize_t count; (count = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0;)
        total += (size_t)count;
    return total;
}

TEST(at_the_mark_write_says_0_and_drain_comes_once) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    CHECK_INT(rondo_stream_set_high_water(stream, 10, 100), 0);
    CHECK_INT(write_text(stream, "123456789"), 1);
    CHECK_INT(write_text(stream, "0"), 0);
    CHECK_INT(write_text(stream, "more"), 0); /* taken all the same */
    CHECK_INT(queued(stream), 14);
    check_idle(loop);
    CHECK_TRACE("drain");
    CHECK_STR(read_now(peer), "1234567890more");
    CHECK_INT(write_text(stream, "below"), 1);
    check_idle(loop);
    CHECK_TRACE(""); /* nobody waited */
    end_loop(loop);
    close(peer);
    CHECK_TRACE("close");
}

TEST(drain_comes_only_when_the_kernel_has_taken_all) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    fill_kernel(peer - 1);
    CHECK_INT(rondo_stream_set_high_water(stream, 1, 100), 0);
    CHECK_INT(write_text(stream, "waits"), 0);
    check_idle(loop); /* blocked, not spinning */
    CHECK_TRACE("");
    CHECK_INT(queued(stream), 5);
    CHECK_INT(write_text(stream, "too"), 0);
    empty_kernel(peer);
    check_idle(loop);
    CHECK_TRACE("drain");
    CHECK_STR(read_now(peer), "waitstoo");
    end_loop(loop);
    close(peer);
}

static void write_more(rondo_stream *stream, void *arg) {
    int *left = arg;
    note("drain");
    if (--*left > 0) CHECK_INT(write_text(stream, "again"), 0);
}

TEST(writing_inside_drain) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), left = 3;
    CHECK_INT(rondo_stream_set_high_water(stream, 0, 9), 0); /* a mark of 0 is one of 1 */
    rondo_stream_on_drain(stream, write_more, &left);
    CHECK_INT(write_text(stream, ""), 1);
    write_text(stream, "first");
    run_turns(loop, 8);
    CHECK_TRACE("drain drain drain");
    CHECK_INT(queued(stream), 0);
    end_loop(loop);
    close(peer);
}

TEST(over_the_cap_nothing_is_taken) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char bytes[64] = {0};
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_stream_set_high_water(stream, 20, 10), 0); /* the cap is raised to the mark */
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 21)), RONDO_ENOBUFS);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 15)), 1);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 6)), RONDO_ENOBUFS);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_of(bytes, 6), note_release, "no"),
              RONDO_ENOBUFS);
    CHECK_INT(queued(stream), 15);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 5)), 0);
    CHECK_INT(write_text(stream, ""), 0);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 1)), RONDO_ENOBUFS);
    run_turns(loop, 2);
    CHECK_INT(empty_kernel(peer), 20);
    CHECK_INT(rondo_stream_set_high_water(stream, 10, 20), 0);
    write_text(stream, "012345678901234");
    CHECK_INT(rondo_stream_set_high_water(stream, 10, 10), 0); /* now it is above the cap */
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 1)), RONDO_ENOBUFS);
    end_loop(loop);
    close(peer);
    CHECK_TRACE("");
}

TEST(the_default_mark_and_cap) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    size_t mib16 = (size_t)16 << 20;
    char *bytes = new_bytes(mib16);
    int peer = new_pair(loop, &stream);
    fill_kernel(peer - 1);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 65535)), 1);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 1)), 0);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, mib16 - 65535)), RONDO_ENOBUFS);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_of(bytes, mib16 - 65536), NULL, NULL), 0);
    CHECK_INT(queued(stream), mib16);
    end_loop(loop);
    close(peer);
    free(bytes);
}

/* ---- the end ---- */

TEST(the_end_waits_for_what_is_queued) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_resume(stream);
    fill_kernel(peer - 1);
    CHECK_INT(write_text(stream, "last"), 1);
    CHECK_INT(rondo_end(stream), 0);
    CHECK_INT(rondo_end(stream), 0);
    CHECK_INT(write_text(stream, "late"), RONDO_EPIPE);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text("x"), NULL, NULL), RONDO_EPIPE);
    CHECK_INT(rondo_write_file(stream, 0, 0, 1, false), RONDO_EPIPE);
    check_idle(loop);
    CHECK_TRACE("");
    empty_kernel(peer);
    check_idle(loop);
    CHECK_TRACE("finish");
    CHECK_STR(read_now(peer), "last");
    CHECK_INT(recv(peer, trace, 1, MSG_DONTWAIT), 0); /* then FIN */
    CHECK_INT(rondo_end(stream), 0);
    close(peer);
    run_all(loop);
    CHECK_TRACE("end close");
    rondo_loop_free(loop);
}

TEST(close_before_the_end_is_through) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    CHECK_INT(rondo_stream_set_timeout(stream, 1), 0);
    CHECK_INT(write_text(stream, "x"), 1);
    rondo_end(stream);
    rondo_close(stream);
    rondo__loop_verify(loop);
    CHECK_INT(write_text(stream, "y"), RONDO_ECLOSED);
    CHECK_INT(rondo_end(stream), RONDO_ECLOSED);
    CHECK_INT(rondo_pause(stream), RONDO_ECLOSED);
    CHECK_INT(rondo_resume(stream), RONDO_ECLOSED);
    CHECK_INT(rondo_stream_set_timeout(stream, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_stream_set_half_open(stream, true), RONDO_ECLOSED);
    CHECK_INT(rondo_stream_set_high_water(stream, 1, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_stream_on_data(stream, ignore_data, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text("x"), note_release, "no"), RONDO_ECLOSED);
    CHECK_INT(queued(stream), 0);
    rondo_destroy(stream, RONDO_EIO);
    run_all(loop);
    CHECK_TRACE("close");
    CHECK_STR(read_now(peer), "");
    rondo_loop_free(loop);
    close(peer);
}

/* ---- lent memory ---- */

TEST(lent_memory_comes_back_when_it_was_sent) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text("one"), note_release, "1"), 1);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text(""), note_release, "empty"), 1);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text("two"), note_release, "2"), 1);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text(""), NULL, NULL), 1);
    CHECK_TRACE(""); /* not inside the call */
    run_turns(loop, 2);
    CHECK_TRACE("empty:OK 1:OK 2:OK");
    CHECK_STR(read_now(peer), "onetwo");
    end_loop(loop);
    CHECK_TRACE("close");
    close(peer);
}

TEST(lent_memory_of_no_bytes_comes_back_by_itself) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_write_lent(stream, rondo_slice_text(""), note_release, "empty"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("empty:OK");
    end_loop(loop);
    close(peer);
}

TEST(close_gives_lent_memory_back_first) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    fill_kernel(peer - 1);
    rondo_write_lent(stream, rondo_slice_text("one"), note_release, "1");
    run_turns(loop, 2);
    rondo_write_lent(stream, rondo_slice_text("two"), note_release, "2");
    rondo_write_lent(stream, rondo_slice_text(""), note_release, "empty");
    rondo_close(stream);
    CHECK_TRACE("");
    run_all(loop);
    CHECK_TRACE("empty:OK 1:ECANCELED 2:ECANCELED close");
    rondo_loop_free(loop);
    close(peer);
}

TEST(failure_gives_lent_memory_back_first) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_write_lent(stream, rondo_slice_text("one"), note_release, "1");
    close(peer);
    rondo_write_lent(stream, rondo_slice_text("two"), note_release, "2");
    run_all(loop);
    CHECK_TRACE("1:EPIPE 2:EPIPE EPIPE close");
    rondo_loop_free(loop);
}

TEST(partly_sent_memory_is_not_given_back_early) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    enum { SIZE = 700000 };
    char *bytes = new_bytes(SIZE), *got = malloc(SIZE);
    int peer = new_pair(loop, &stream);
    rondo_write_lent(stream, rondo_slice_of(bytes, SIZE), note_release, "big");
    size_t len = 0;
    for (int turn = 0; len < SIZE; turn++) {
        CHECK(turn < 1000);
        run_turns(loop, 1);
        if (len + 300000 < SIZE) CHECK_TRACE("");
        ssize_t count = recv(peer, got + len, 50000, MSG_DONTWAIT);
        if (count > 0) len += (size_t)count;
    }
    run_turns(loop, 2);
    CHECK_TRACE("big:OK");
    check_bytes(got, len, SIZE);
    end_loop(loop);
    close(peer);
    free(bytes);
    free(got);
}

static void release_and_close(void *data, size_t len, int status, void *arg) {
    note("%.*s:%s", (int)len, (char *)data, rondo_error_name(status));
    rondo_close((rondo_stream *)arg);
}

TEST(closing_in_a_release_callback) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_write_lent(stream, rondo_slice_text("one"), release_and_close, stream);
    rondo_write_lent(stream, rondo_slice_text("two"), release_and_close, stream);
    run_all(loop);
    CHECK_TRACE("one:OK two:OK close");
    rondo_loop_free(loop);
    close(peer);
}

static void note_phase_and_close(void *data, size_t len, int status, void *arg) {
    rondo_loop *loop = rondo_handle_loop((rondo_stream *)arg);
    note("%s:%s", rondo_phase_name(rondo_loop_phase(loop)), rondo_error_name(status));
    rondo_close((rondo_stream *)arg);
}

TEST(what_a_release_callback_cancels_waits_for_the_closing_phase) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_write_lent(stream, rondo_slice_text("waits"), note_phase_and_close, stream);
    rondo_write_lent(stream, rondo_slice_text(""), note_phase_and_close, stream);
    fill_kernel(peer - 1);
    rondo_write_lent(stream, rondo_slice_text("never"), note_phase_and_close, stream);
    run_all(loop);
    CHECK_TRACE("pending:OK closing:ECANCELED closing:ECANCELED");
    rondo_loop_free(loop);
    close(peer);
}

static void release_and_write(void *data, size_t len, int status, void *arg) {
    static int rounds;
    note("%s", rondo_error_name(status));
    if (++rounds < 4) rondo_write_lent(arg, rondo_slice_of(data, len), release_and_write, arg);
}

TEST(writing_in_a_release_callback) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_write_lent(stream, rondo_slice_text("x"), release_and_write, stream);
    run_turns(loop, 8);
    CHECK_TRACE("OK OK OK OK");
    CHECK_STR(read_now(peer), "xxxx");
    end_loop(loop);
    close(peer);
}

/* ---- many pieces ---- */

TEST(more_pieces_than_one_system_call_takes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    enum { SIZE = 3000 };
    char *bytes = new_bytes(SIZE);
    start_reader(&peer, new_pair(loop, &stream), 0);
    for (int i = 0; i < SIZE; i += 10)
        rondo_write_lent(stream, rondo_slice_of(bytes + i, 10), NULL, NULL);
    CHECK_INT(queued(stream), SIZE);
    run_turns(loop, 1);
    CHECK_INT(queued(stream), 0);
    end_and_finish(stream);
    check_reader(&peer, SIZE);
    run_all(loop);
    rondo_loop_free(loop);
    free(bytes);
}

TEST(a_large_write_behind_small_ones_keeps_the_order) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    enum { SIZE = 500000 };
    char *bytes = new_bytes(SIZE);
    start_reader(&peer, new_pair(loop, &stream), 3000);
    rondo_write(stream, rondo_slice_of(bytes, 100));
    rondo_write_lent(stream, rondo_slice_of(bytes + 100, 400), note_release, "lent");
    rondo_write(stream, rondo_slice_of(bytes + 500, 200000)); /* sends what is before it too */
    CHECK_TRACE("");
    rondo_write(stream, rondo_slice_of(bytes + 200500, SIZE - 200500));
    run_turns(loop, 2);
    CHECK_TRACE("lent:OK");
    end_and_finish(stream);
    check_reader(&peer, SIZE);
    run_all(loop);
    rondo_loop_free(loop);
    free(bytes);
}

/* ---- room at last ---- */

TEST(several_writes_are_done_in_one_turn_once_there_is_room) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(1 << 20), *got = malloc(1 << 20);
    int peer = new_pair(loop, &stream);
    CHECK(rondo_write_lent(stream, rondo_slice_of(bytes, 1 << 20), note_release, (char[]){"big"}) >=
          0);
    run_turns(loop, 2);
    size_t left = queued(stream);
    CHECK(left > 0);
    const char *names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        void *name = (void *)(uintptr_t)names[i];
        CHECK(rondo_write_lent(stream, rondo_slice_of(bytes, 10), note_release, name) >= 0);
        CHECK_INT(queued(stream), left + 10 * (i + 1));
    }
    run_turns(loop, 3);
    CHECK_TRACE("");
    for (ssize_t size = 0; size < 1 << 20;) {
        ssize_t count = recv(peer, got, (size_t)((1 << 20) - size), MSG_DONTWAIT);
        if (count > 0) size += count;
        if (queued(stream) > 40) run_turns(loop, 1);
    }
    run_turns(loop, 1);
    CHECK_TRACE("big:OK a:OK b:OK c:OK d:OK");
    CHECK_INT(queued(stream), 0);
    close(peer);
    free(bytes);
    free(got);
    end_loop(loop);
}
