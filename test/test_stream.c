/* SPDX-License-Identifier: MIT
 *
 * Streams: reading, pausing, the peer's end. Taking over descriptors is in test_stream_open.c,
 * writing in test_stream_write.c, what goes wrong in test_stream_life.c.
 */
#include "streams.h"

/* ---- reading ---- */

TEST(bytes_arrive) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    rondo_stream_figures figures;
    received got = {0};
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, receive_data, &got);
    harness_send_str(peer, "hello ");
    run_turns(loop, 1);
    CHECK_RECEIVED(got, "hello ");
    harness_send_str(peer, "world");
    run_turns(loop, 1);
    CHECK_RECEIVED(got, "world");
    rondo_stream_get_figures(stream, &figures);
    CHECK_INT(figures.bytes_in, 11);
    CHECK_INT(figures.bytes_out, 0);
    end_loop(loop);
    close(peer);
}

TEST(every_listener_hears_every_chunk) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    received first = {0}, second = {0};
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, receive_data, &first);
    rondo_stream_on_data(stream, receive_data, &second);
    harness_send_str(peer, "a");
    run_turns(loop, 1);
    CHECK_INT(rondo_stream_off_data(stream, receive_data, &first), 0);
    CHECK_INT(rondo_stream_off_data(stream, receive_data, &first), RONDO_ENOENT);
    harness_send_str(peer, "b");
    run_turns(loop, 1);
    CHECK_RECEIVED(first, "a");
    CHECK_RECEIVED(second, "ab");
    end_loop(loop);
    close(peer);
}

TEST(nothing_is_read_before_somebody_listens_and_the_loop_sleeps) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    received got = {0};
    int peer = new_pair(loop, &stream);
    harness_send_str(peer, "early");
    check_idle(loop);
    CHECK(!rondo_is_paused(stream)); /* it just has not begun */
    rondo_stream_on_data(stream, receive_data, &got);
    run_turns(loop, 1);
    CHECK_RECEIVED(got, "early");
    end_loop(loop);
    close(peer);
}

TEST(a_once_listener_loses_nothing) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    received first = {0}, rest = {0};
    int peer = new_pair(loop, &stream);
    rondo_stream_once_data(stream, receive_data, &first);
    harness_send_str(peer, "one");
    run_turns(loop, 1);
    harness_send_str(peer, "two");
    check_idle(loop); /* with nobody to hear it, it stays where it is */
    rondo_stream_on_data(stream, receive_data, &rest);
    run_turns(loop, 1);
    CHECK_RECEIVED(first, "one");
    CHECK_RECEIVED(rest, "two");
    end_loop(loop);
    close(peer);
}

TEST(resume_without_a_listener_drops_what_comes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    rondo_stream_figures figures;
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_resume(stream), 0);
    harness_send_str(peer, "nobody");
    run_turns(loop, 1);
    rondo_stream_get_figures(stream, &figures);
    CHECK_INT(figures.bytes_in, 6);
    end_loop(loop);
    close(peer);
}

static void pause_at_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    receive(arg, chunk);
    CHECK_INT(rondo_pause(stream), 0);
}

TEST(pause_inside_the_callback_stops_at_once) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    received got = {0};
    enum { SIZE = 150000 };
    char *bytes = new_bytes(SIZE);
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, pause_at_data, &got);
    harness_send_all(peer, bytes, SIZE);
    check_idle(loop);
    CHECK(rondo_is_paused(stream));
    CHECK_INT(got.chunks, 1);
    CHECK_INT(got.len, 65536);
    for (unsigned chunks = 2; chunks <= 3; chunks++) {
        CHECK_INT(rondo_resume(stream), 0);
        check_idle(loop);
        CHECK_INT(got.chunks, chunks);
    }
    check_bytes(got.data, got.len, SIZE);
    end_loop(loop);
    close(peer);
    free(got.data);
    free(bytes);
}

TEST(a_paused_stream_stays_so_when_a_listener_comes) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    received got = {0};
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_pause(stream), 0);
    rondo_stream_on_data(stream, receive_data, &got);
    harness_send_str(peer, "x");
    check_idle(loop);
    CHECK(got.data == NULL);
    rondo_resume(stream);
    run_turns(loop, 1);
    CHECK_RECEIVED(got, "x");
    end_loop(loop);
    close(peer);
}

static void resume_later(rondo_loop *loop, void *arg) { rondo_resume(arg); }

static void pause_and_resume_later(rondo_stream *stream, rondo_slice chunk, void *arg) {
    received *got = arg;
    receive(got, chunk);
    rondo_pause(stream);
    rondo_resume(stream);
    rondo_pause(stream);
    if (got->chunks % 3 == 0)
        rondo_next_tick(rondo_handle_loop(stream), resume_later, stream);
    else
        CHECK(rondo_immediate(rondo_handle_loop(stream), resume_later, stream) != 0);
}

typedef struct sender {
    int fd;
    const char *data;
    size_t size;
} sender;
static void *send_in_pieces(void *arg) {
    sender *self = arg;
    size_t sent = 0;
    for (size_t piece = 1; sent < self->size; piece = piece * 7 % 9973 + 1) {
        size_t part = piece < self->size - sent ? piece : self->size - sent;
        harness_send_all(self->fd, self->data + sent, part);
        sent += part;
    }
    close(self->fd);
    return NULL;
}

TEST(pausing_in_every_callback_loses_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    received got = {0};
    enum { SIZE = 2000000 };
    char *bytes = new_bytes(SIZE);
    sender peer = {new_pair(loop, &stream), bytes, SIZE};
    rondo_stream_on_data(stream, pause_and_resume_later, &got);
    pthread_t thread = harness_thread(send_in_pieces, &peer);
    run_all(loop);
    pthread_join(thread, NULL);
    check_bytes(got.data, got.len, SIZE);
    rondo_loop_free(loop);
    free(got.data);
    free(bytes);
}

static void pause_other(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note_data(stream, chunk, NULL);
    rondo_pause(arg);
}

TEST(pausing_a_stream_that_is_ready_in_the_same_batch) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *a, *b;
    int peer_a = new_pair(loop, &a), peer_b = new_pair(loop, &b);
    rondo_stream_on_data(a, pause_other, b);
    rondo_stream_on_data(b, pause_other, a);
    harness_send_str(peer_a, "A");
    harness_send_str(peer_b, "B");
    check_idle(loop);
    bool a_came = strcmp(trace, "A") == 0;
    CHECK_TRACE(a_came ? "A" : "B");
    rondo_resume(a_came ? b : a);
    check_idle(loop);
    CHECK_TRACE(a_came ? "B" : "A");
    end_loop(loop);
    close(peer_a);
    close(peer_b);
}

static void note_size(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note("%s%d", (const char *)arg, (int)(chunk.len / 1024));
}

TEST(one_stream_reads_no_more_than_its_budget_in_a_turn) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    enum { SIZE = 150 * 1024 };
    char *bytes = new_bytes(SIZE);
    int peer = new_pair(loop, &stream);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_read_bytes, 100000), 0);
    harness_send_all(peer, bytes, SIZE);
    rondo_stream_on_data(stream, note_size, "");
    run_turns(loop, 1);
    CHECK_TRACE("64 64"); /* over it only by what one read brings */
    run_turns(loop, 1);
    CHECK_TRACE("22");
    end_loop(loop);
    close(peer);
    free(bytes);
}

/* ---- the peer's end ---- */

TEST(the_end_comes_once_and_then_ours) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    harness_send_str(peer, "last");
    CHECK_INT(shutdown(peer, SHUT_WR), 0);
    run_all(loop);
    CHECK_TRACE("last end finish close");
    CHECK_INT(read(peer, trace, 1), 0);
    rondo_loop_free(loop);
    close(peer);
}

static void write_bye(rondo_stream *stream, void *arg) {
    note("end");
    CHECK_INT(write_text(stream, "bye"), 1);
}

TEST(what_is_written_at_the_end_is_sent) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_end(stream, write_bye, NULL);
    rondo_stream_on_finish(stream, note_finish, NULL);
    rondo_resume(stream);
    shutdown(peer, SHUT_WR);
    run_all(loop);
    CHECK_TRACE("end finish");
    CHECK_STR(read_now(peer), "bye");
    rondo_loop_free(loop);
    close(peer);
}

TEST(half_open_goes_on_writing) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    CHECK_INT(rondo_stream_set_half_open(stream, true), 0);
    shutdown(peer, SHUT_WR);
    check_idle(loop);
    CHECK_TRACE("end");
    CHECK_INT(rondo_resume(stream), 0); /* reading can be asked for; nothing more comes */
    CHECK_INT(write_text(stream, "answer"), 1);
    check_idle(loop);
    CHECK_STR(read_now(peer), "answer");
    CHECK_INT(rondo_end(stream), 0);
    run_all(loop);
    CHECK_TRACE("finish close");
    rondo_loop_free(loop);
    close(peer);
}

TEST(our_end_first_then_the_peers) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    rondo_end(stream);
    run_turns(loop, 2);
    CHECK_TRACE("finish");
    harness_send_str(peer, "more");
    run_turns(loop, 2);
    CHECK_TRACE("more"); /* reading goes on */
    close(peer);
    run_all(loop);
    CHECK_TRACE("end close");
    rondo_loop_free(loop);
}

TEST(both_ends_at_once) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 2; i++) {
        rondo_stream *stream = open_stream(loop, ends[i]);
        rondo_stream_on_error(stream, note_error, NULL);
        rondo_stream_on_finish(stream, note_finish, NULL);
        rondo_stream_on_end(stream, note_end, NULL);
        rondo_resume(stream);
        rondo_end(stream);
    }
    run_all(loop);
    CHECK_TRACE("finish finish end end");
    rondo_loop_free(loop);
}

TEST(a_stream_that_nobody_reads_closes_when_its_peer_goes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    run_turns(loop, 2);
    close(peer);
    run_all(loop);
    CHECK_TRACE("end finish close");
    rondo_loop_free(loop);
}

TEST(an_end_behind_bytes_waits_for_who_reads_them) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    harness_send_str(peer, "bytes");
    close(peer);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_stream_on_data(stream, note_data, NULL);
    run_all(loop);
    CHECK_TRACE("bytes end finish close");
    rondo_loop_free(loop);
}

TEST(the_end_waits_while_the_stream_is_paused) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    rondo_pause(stream);
    close(peer);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_resume(stream);
    run_all(loop);
    CHECK_TRACE("end finish close");
    rondo_loop_free(loop);
}

/* ---- one batch ---- */

static void close_both(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_stream **pair = arg;
    note_data(stream, chunk, NULL);
    rondo_close(pair[0]);
    rondo_close(pair[1]);
    CHECK(chunk.len == 1 && (chunk.data[0] == 'A' || chunk.data[0] == 'B')); /* still ours */
}

TEST(streams_that_close_each_other_in_one_batch) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *pair[2];
    int peer_a = new_pair(loop, &pair[0]), peer_b = new_pair(loop, &pair[1]);
    for (int i = 0; i < 2; i++) {
        rondo_stream_on_data(pair[i], close_both, pair);
        rondo_on_close(pair[i], note_closed, NULL);
    }
    harness_send_str(peer_a, "A");
    harness_send_str(peer_b, "B");
    run_all(loop);
    CHECK(strcmp(trace, "A close close") == 0 || strcmp(trace, "B close close") == 0);
    rondo_loop_free(loop);
    close(peer_a);
    close(peer_b);
}

typedef struct reuse {
    rondo_stream *pair[2];
    int fds[2];
    rondo_stream *fresh;
    int fresh_peer;
    bool done;
} reuse;

/* The other one is ready too; its descriptor's number goes to a new stream at once. */
static void reuse_number(rondo_stream *stream, rondo_slice chunk, void *arg) {
    reuse *self = arg;
    int other = stream == self->pair[0] ? 1 : 0, ends[2];
    CHECK(!self->done);
    self->done = true;
    rondo_close(self->pair[other]);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    int fresh = ends[0] == self->fds[other] ? ends[0] : ends[1];
    CHECK_INT(fresh, self->fds[other]);
    self->fresh = open_stream(rondo_handle_loop(stream), fresh);
    self->fresh_peer = fresh == ends[0] ? ends[1] : ends[0];
    rondo_stream_on_data(self->fresh, note_data, NULL);
    note_events(self->fresh);
}

TEST(a_number_used_again_in_one_batch_gets_no_events_of_before) {
    rondo_loop *loop = new_virtual_loop();
    reuse self = {0};
    int peers[2];
    for (int i = 0; i < 2; i++) {
        peers[i] = new_pair(loop, &self.pair[i]);
        self.fds[i] = peers[i] - 1;
        rondo_stream_on_data(self.pair[i], reuse_number, &self);
        harness_send_str(peers[i], "old");
    }
    check_idle(loop);
    CHECK(self.done);
    CHECK_TRACE(""); /* the fresh one has heard nothing */
    harness_send_str(self.fresh_peer, "new");
    check_idle(loop);
    CHECK_TRACE("new"); /* and it is watched */
    end_loop(loop);
    for (int i = 0; i < 2; i++) close(peers[i]);
    close(self.fresh_peer);
}

/* ---- after the end ---- */

TEST(asking_for_more_after_the_end_changes_nothing) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_set_half_open(stream, true);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    harness_send_str(peer, "last");
    shutdown(peer, SHUT_WR);
    run_turns(loop, 2);
    CHECK_TRACE("last end");
    CHECK_INT(rondo_pause(stream), 0);
    CHECK_INT(rondo_resume(stream), 0);
    check_idle(loop);
    CHECK_TRACE("");
    CHECK(write_text(stream, "still open") >= 0);
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "still open");
    close(peer);
    end_loop(loop);
}
