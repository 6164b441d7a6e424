/* SPDX-License-Identifier: MIT
 *
 * rondo_pipe(): one stream into another, with backpressure, ends and errors.
 */
#include "streams.h"

#include "net/buffers.h"
#include "net/stream.h"

/* A stream that notes its events with its name in front. */
static void note_named_end(rondo_stream *stream, void *arg) { note("%s.end", rondo_name(stream)); }
static void note_named_finish(rondo_stream *stream, void *arg) {
    note("%s.finish", rondo_name(stream));
}
static void note_named_error(rondo_stream *stream, int error, void *arg) {
    note("%s.%s", rondo_name(stream), rondo_error_name(error));
}
static void note_named_close(rondo_handle *stream, void *arg) {
    note("%s.close", rondo_name(stream));
}
static void name_stream(rondo_stream *stream, const char *name) {
    CHECK_INT(rondo_set_name(stream, name), 0);
    rondo_stream_on_end(stream, note_named_end, NULL);
    rondo_stream_on_finish(stream, note_named_finish, NULL);
    rondo_stream_on_error(stream, note_named_error, NULL);
    rondo_on_close(stream, note_named_close, NULL);
}

typedef struct pipeline {
    rondo_loop *loop;
    rondo_stream *src, *dst;
    int in, out; /* the other ends */
} pipeline;

static pipeline new_pipeline(bool tcp) {
    pipeline self = {.loop = new_virtual_loop()};
    self.in = tcp ? new_tcp_pair(self.loop, &self.src) : new_pair(self.loop, &self.src);
    self.out = tcp ? new_tcp_pair(self.loop, &self.dst) : new_pair(self.loop, &self.dst);
    name_stream(self.src, "src");
    name_stream(self.dst, "dst");
    CHECK_INT(rondo_pipe(self.src, self.dst), 0);
    return self;
}

static void end_pipeline(pipeline *self) {
    end_loop(self->loop);
    if (self->in >= 0) close(self->in);
    if (self->out >= 0) close(self->out);
}

TEST(bytes_and_the_end_go_through) {
    pipeline line = new_pipeline(false);
    harness_send_str(line.in, "hello ");
    run_turns(line.loop, 2);
    CHECK_STR(read_now(line.out), "hello ");
    harness_send_str(line.in, "world");
    shutdown(line.in, SHUT_WR);
    check_idle(line.loop);
    CHECK_STR(read_now(line.out), "world");
    CHECK_INT(recv(line.out, &(char){0}, 1, MSG_DONTWAIT), 0);
    CHECK_TRACE("src.end dst.finish src.finish src.close");
    end_pipeline(&line);
}

TEST(the_order_of_ends) {
    pipeline line = new_pipeline(false);
    shutdown(line.in, SHUT_WR);
    check_idle(line.loop);
    CHECK_TRACE("src.end dst.finish src.finish src.close"); /* dst's peer may go on sending */
    close(line.out);
    line.out = -1;
    rondo_resume(line.dst);
    run_all(line.loop);
    CHECK_TRACE("dst.end dst.close");
    end_pipeline(&line);
}

TEST(misuse_of_pipe) {
    pipeline line = new_pipeline(false);
    rondo_loop *other_loop = rondo_loop_new();
    rondo_stream *third, *elsewhere;
    int peer = new_pair(line.loop, &third), other_peer = new_pair(other_loop, &elsewhere);
    static const rondo__consumer consumer;
    CHECK_INT(rondo_pipe(line.src, line.src), RONDO_EINVAL);
    CHECK_INT(rondo_pipe(line.src, line.dst), RONDO_EBUSY);
    CHECK_INT(rondo_pipe(line.src, third), RONDO_EBUSY);
    CHECK_INT(rondo_pipe(third, elsewhere), RONDO_EINVAL);
    rondo_end(third);
    CHECK_INT(rondo_pipe(line.dst, third), RONDO_EPIPE);
    rondo__stream_consume(third, &consumer, NULL);
    CHECK_INT(rondo_pipe(third, line.dst), RONDO_EBUSY);
    rondo_close(third);
    CHECK_INT(rondo_pipe(third, line.dst), RONDO_ECLOSED);
    CHECK_INT(rondo_pipe(line.dst, third), RONDO_ECLOSED);
    end_loop(other_loop);
    close(peer);
    close(other_peer);
    end_pipeline(&line);
}

TEST(a_full_destination_holds_the_source) {
    pipeline line = new_pipeline(false);
    enum { SIZE = 3000000 };
    char *bytes = new_bytes(SIZE), *got = malloc(SIZE);
    size_t sent = 0, len = 0;
    rondo_stream_on_drain(line.dst, note_drain, NULL);
    CHECK_INT(rondo_stream_set_high_water(line.dst, 1, 1), 0); /* the cap is not for pipes */
    size_t most = 0;
    for (int stuck = 0; len < SIZE && stuck < 100; stuck++) {
        ssize_t count = sent < SIZE ? send(line.in, bytes + sent, SIZE - sent, MSG_DONTWAIT) : 0;
        if (count > 0) sent += (size_t)count;
        if (count > 0 && sent == SIZE) shutdown(line.in, SHUT_WR);
        check_idle(line.loop); /* all that can move has moved, and nothing spins */
        if (queued(line.dst) > most) most = queued(line.dst);
        CHECK(queued(line.dst) <= RONDO__SPLICE_BYTES); /* what moves at once, no more */
        count = recv(line.out, got + len, SIZE - len < 20000 ? SIZE - len : 20000, MSG_DONTWAIT);
        if (count > 0) stuck = 0;
        if (count > 0) len += (size_t)count;
    }
    CHECK(most > 0); /* it was full at times */
    check_bytes(got, len, SIZE);
    run_turns(line.loop, 3);
    CHECK_INT(recv(line.out, got, 1, MSG_DONTWAIT), 0);
    CHECK(strstr(trace, "drain") == NULL); /* nobody but the pipe was told to wait */
    end_pipeline(&line);
    free(bytes);
    free(got);
}

TEST(listeners_of_the_source_still_hear_and_may_pause) {
    pipeline line = new_pipeline(false);
    received got = {0};
    rondo_stream_on_data(line.src, receive_data, &got);
    harness_send_str(line.in, "x");
    check_idle(line.loop);
    CHECK_STR(read_now(line.out), "x");
    rondo_pause(line.src);
    harness_send_str(line.in, "y");
    check_idle(line.loop);
    CHECK_STR(read_now(line.out), "");
    rondo_resume(line.src);
    check_idle(line.loop);
    CHECK_STR(read_now(line.out), "y");
    CHECK_RECEIVED(got, "xy");
    end_pipeline(&line);
}

TEST(resume_does_not_override_a_full_destination) {
    pipeline line = new_pipeline(false);
    enum { SIZE = 150000 };
    char *bytes = new_bytes(SIZE);
    for (size_t sent = 0; sent < 600000;) {
        ssize_t count = send(line.in, bytes, SIZE, MSG_DONTWAIT);
        check_idle(line.loop);
        rondo_resume(line.src);
        rondo_pause(line.src);
        rondo_resume(line.src);
        check_idle(line.loop);
        CHECK(queued(line.dst) <= RONDO__SPLICE_BYTES);
        if (count <= 0) break;
        sent += (size_t)count;
    }
    end_pipeline(&line);
    free(bytes);
}

TEST(several_sources_and_the_last_one_ends) {
    pipeline line = new_pipeline(false);
    rondo_stream *second;
    int in = new_pair(line.loop, &second);
    name_stream(second, "second");
    CHECK_INT(rondo_pipe(second, line.dst), 0);
    harness_send_str(line.in, "a");
    run_turns(line.loop, 2);
    harness_send_str(in, "b");
    run_turns(line.loop, 2);
    shutdown(line.in, SHUT_WR);
    run_turns(line.loop, 4);
    CHECK_TRACE("src.end src.finish src.close");
    harness_send_str(in, "c");
    shutdown(in, SHUT_WR);
    run_turns(line.loop, 4);
    CHECK_TRACE("second.end dst.finish second.finish second.close");
    CHECK_STR(read_now(line.out), "abc");
    close(in);
    end_pipeline(&line);
}

TEST(an_ended_source_only_ends) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *src, *dst;
    int in = new_pair(loop, &src), out = new_pair(loop, &dst);
    rondo_stream_set_half_open(src, true);
    rondo_resume(src);
    shutdown(in, SHUT_WR);
    run_turns(loop, 2);
    name_stream(dst, "dst");
    CHECK_INT(rondo_pipe(src, dst), 0);
    run_turns(loop, 2);
    CHECK_TRACE("dst.finish");
    CHECK_INT(recv(out, &(char){0}, 1, MSG_DONTWAIT), 0);
    end_loop(loop);
    close(in);
    close(out);
}

TEST(an_ended_source_leaves_it_to_the_others) {
    pipeline line = new_pipeline(false);
    rondo_stream *over;
    int in = new_pair(line.loop, &over);
    rondo_stream_set_half_open(over, true);
    rondo_resume(over);
    shutdown(in, SHUT_WR);
    run_turns(line.loop, 2);
    CHECK_INT(rondo_pipe(over, line.dst), 0);
    harness_send_str(line.in, "a");
    run_turns(line.loop, 2);
    CHECK_STR(read_now(line.out), "a");
    CHECK_TRACE("");
    close(in);
    end_pipeline(&line);
}

/* ---- both directions ---- */

TEST(a_proxy_keeps_the_answer_of_a_client_that_has_ended) {
    pipeline line = new_pipeline(true);
    CHECK_INT(rondo_pipe(line.dst, line.src), 0);
    harness_send_str(line.in, "request");
    shutdown(line.in, SHUT_WR);
    check_idle(line.loop);
    CHECK_TRACE("src.end dst.finish");
    CHECK_STR(read_now(line.out), "request");
    harness_send_str(line.out, "answer");
    check_idle(line.loop);
    CHECK_STR(read_now(line.in), "answer");
    close(line.out);
    line.out = -1;
    run_all(line.loop);
    CHECK_TRACE("dst.end src.finish src.close dst.close");
    end_pipeline(&line);
}

/* ---- errors and closes ---- */

TEST(an_error_of_the_source_reaches_the_destination) {
    pipeline line = new_pipeline(true);
    rondo_pipe(line.dst, line.src);
    run_turns(line.loop, 1);
    reset_peer(line.in);
    line.in = -1;
    run_all(line.loop);
    CHECK_TRACE("src.ECONNRESET dst.ECONNRESET src.close dst.close");
    end_pipeline(&line);
}

TEST(an_error_of_the_destination_reaches_the_source) {
    pipeline line = new_pipeline(false);
    close(line.out);
    line.out = -1;
    check_idle(line.loop);
    harness_send_str(line.in, "x");
    run_all(line.loop);
    CHECK_TRACE("dst.end dst.EPIPE src.EPIPE dst.close src.close");
    end_pipeline(&line);
}

TEST(close_of_the_source_closes_the_destination) {
    pipeline line = new_pipeline(false);
    harness_send_str(line.in, "x");
    rondo_close(line.src);
    CHECK(rondo_is_closing(line.dst));
    run_all(line.loop);
    CHECK_TRACE("dst.close src.close");
    end_pipeline(&line);
}

TEST(close_of_the_destination_closes_the_source) {
    pipeline line = new_pipeline(false);
    rondo_pipe(line.dst, line.src);
    rondo_close(line.dst);
    CHECK(rondo_is_closing(line.src));
    run_all(line.loop);
    CHECK_TRACE("src.close dst.close");
    end_pipeline(&line);
}

TEST(a_ring_of_three) {
    pipeline line = new_pipeline(false);
    rondo_stream *third;
    int peer = new_pair(line.loop, &third);
    name_stream(third, "third");
    rondo_pipe(line.dst, third);
    rondo_pipe(third, line.src);
    rondo_destroy(line.dst, RONDO_EPROTO);
    run_all(line.loop);
    CHECK_TRACE("dst.EPROTO src.EPROTO third.EPROTO dst.close src.close third.close");
    close(peer);
    end_pipeline(&line);
}

TEST(close_inside_data_of_a_piped_stream) {
    pipeline line = new_pipeline(false);
    rondo_stream_on_data(line.src, close_at_data, NULL);
    harness_send_str(line.in, "x");
    run_all(line.loop);
    CHECK_TRACE("dst.close src.close");
    end_pipeline(&line);
}

TEST(who_ends_the_destination_gets_what_is_queued_sent) {
    pipeline line = new_pipeline(false);
    write_text(line.dst, "own");
    rondo_end(line.dst);
    harness_send_str(line.in, "lost");
    check_idle(line.loop);
    CHECK_TRACE("dst.finish src.EPIPE src.close");
    CHECK_STR(read_now(line.out), "own");
    end_pipeline(&line);
}

TEST(the_destination_ends_while_its_source_is_held) {
    pipeline line = new_pipeline(false);
    char *bytes = new_bytes(150000);
    while (send(line.in, bytes, 150000, MSG_DONTWAIT) > 0) check_idle(line.loop);
    CHECK(queued(line.dst) > 0);
    rondo_destroy(line.dst, RONDO_EIO);
    run_all(line.loop);
    CHECK_TRACE("dst.EIO src.EIO dst.close src.close");
    end_pipeline(&line);
    free(bytes);
}

TEST(out_of_memory_at_every_place_of_a_pipe) {
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *src, *dst;
        int in = new_pair(loop, &src), out = new_pair(loop, &dst);
        rondo_stream_on_error(src, note_error, NULL);
        rondo_stream_on_error(dst, note_error, NULL);
        harness_send_str(in, "x");
        harness_fail_alloc_after(n);
        int status = rondo_pipe(src, dst);
        CHECK(status == 0 || status == RONDO_ENOMEM);
        run_turns(loop, 3);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (status == 0 && strcmp(read_now(out), "x") != 0) CHECK_TRACE("ENOMEM ENOMEM");
        CHECK_TRACE("");
        end_loop(loop);
        close(in);
        close(out);
        if (!failed) break;
    }
}

TEST(out_of_memory_when_watching_the_source_undoes_the_pipe) {
    rondo_loop *loop = rondo_loop_new();
    enum { SOURCES = 64 }; /* so many changes in one turn need memory for their list */
    rondo_stream *sources[SOURCES], *dst;
    int peers[SOURCES], out = new_pair(loop, &dst), refused = 0;
    for (int i = 0; i < SOURCES; i++) {
        peers[i] = new_pair(loop, &sources[i]);
        harness_send_str(peers[i], "x");
        run_turns(loop, 2); /* nobody reads: not watched any more */
        CHECK_INT(rondo_stream_set_high_water(sources[i], 10, 10), 0);
    }
    CHECK_INT(rondo_stream_set_high_water(dst, 10, 10), 0);
    for (int i = 0; i < SOURCES; i++) {
        harness_fail_alloc_after(1); /* the second one, if there is: the first is for the pipe */
        int status = rondo_pipe(sources[i], dst);
        harness_fail_alloc_after(-1);
        if (status == 0) continue;
        CHECK_INT(status, RONDO_ENOMEM);
        refused++;
        CHECK_INT(rondo_pipe(sources[i], dst), 0); /* and it is not piped already */
    }
    CHECK(refused > 0);
    run_turns(loop, 3);
    CHECK_INT(strlen(read_now(out)), SOURCES);
    end_loop(loop);
    close(out);
    for (int i = 0; i < SOURCES; i++) close(peers[i]);
}
