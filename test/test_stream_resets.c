/* SPDX-License-Identifier: MIT
 *
 * Resets of streams whose bytes nobody wants: told at once, without spinning.
 */
#include "streams.h"

#include "faults.h"
#include "net/duplex.h"

/* A paused stream with bytes waiting, which the loop has found. */
static int new_paused(rondo_loop *loop, rondo_stream **ret_stream) {
    int peer = new_tcp_pair(loop, ret_stream);
    note_events(*ret_stream);
    rondo_stream_on_data(*ret_stream, note_data, NULL);
    rondo_pause(*ret_stream);
    harness_send_str(peer, "bytes");
    check_idle(loop);
    CHECK_INT(rondo__io_watched(&(*ret_stream)->io), 0);
    return peer;
}

TEST(a_reset_behind_bytes_is_told_while_paused) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    reset_peer(new_paused(loop, &stream));
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(a_reset_behind_bytes_is_told_though_nobody_has_begun_to_read) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    harness_send_str(peer, "bytes");
    check_idle(loop);
    reset_peer(peer);
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(a_peer_that_closes_without_reading_is_a_reset) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    write_text(stream, "unread");
    harness_send_str(peer, "bytes");
    check_idle(loop);
    close(peer);
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(it_is_told_again_after_each_pause) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_paused(loop, &stream);
    for (int i = 0; i < 3; i++) {
        rondo_resume(stream);
        check_idle(loop);
        CHECK_TRACE("bytes");
        rondo_pause(stream);
        harness_send_str(peer, "bytes");
        check_idle(loop);
    }
    reset_peer(peer);
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(an_end_behind_bytes_waits_and_does_not_spin) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_paused(loop, &stream);
    close(peer);
    check_idle(loop);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_resume(stream);
    run_all(loop);
    CHECK_TRACE("bytes end finish close");
    rondo_loop_free(loop);
}

TEST(many_resets_in_one_turn) {
    enum { COUNT = 40 };
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *streams[COUNT];
    int peers[COUNT];
    for (int i = 0; i < COUNT; i++) peers[i] = new_paused(loop, &streams[i]);
    for (int i = 0; i < COUNT; i += 2) rondo_close(streams[i]); /* are not looked at any more */
    for (int i = 0; i < COUNT; i++) reset_peer(peers[i]);
    run_all(loop);
    size_t resets = 0;
    for (const char *at = trace; (at = strstr(at, "ECONNRESET")); at++) resets++;
    CHECK_INT(resets, COUNT / 2);
    trace_size = 0;
    rondo_loop_free(loop);
}

TEST(what_a_held_source_has_sent_before_its_reset_arrives) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *src, *dst;
    int in = new_tcp_pair(loop, &src), out = new_pair(loop, &dst);
    enum { SIZE = 8000000 };
    char *bytes = new_bytes(SIZE), *got = malloc(SIZE);
    size_t sent = 0, len = 0;
    rondo_stream_on_error(src, note_error, NULL);
    rondo_stream_on_error(dst, note_error, NULL);
    CHECK_INT(rondo_pipe(src, dst), 0);
    for (int i = 0; i < 200; i++) {
        ssize_t count = send(in, bytes + sent, SIZE - sent, MSG_DONTWAIT);
        if (count > 0) sent += (size_t)count;
        run_turns(loop, 1);
    }
    CHECK(src->flags & RONDO__HELD);
    rondo_stream_figures figures;
    rondo_stream_get_figures(src, &figures);
    reset_peer(in);
    run_turns(loop, 5);
    CHECK_TRACE(""); /* in its turn */
    for (int i = 0; i < 1000 && trace_size == 0; i++) {
        ssize_t count = recv(out, got + len, SIZE - len, MSG_DONTWAIT);
        if (count > 0) len += (size_t)count;
        run_turns(loop, 1);
    }
    CHECK_TRACE("ECONNRESET ECONNRESET");
    CHECK(len + 1000000 > figures.bytes_in);
    check_bytes(got, len, len);
    end_loop(loop);
    close(out);
    free(bytes);
    free(got);
}

TEST(without_a_descriptor_for_it_a_reset_is_told_when_it_is_read) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    faults_every(CALL_epoll_create1, 1, EMFILE);
    int peer = new_paused(loop, &stream);
    reset_peer(peer);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_resume(stream);
    run_all(loop);
    CHECK(strstr(trace, "ECONNRESET close") != NULL);
    trace_size = 0;
    rondo_loop_free(loop);
}

TEST(a_pause_with_bytes_waiting_costs_one_call_more) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_paused(loop, &stream);
    rondo_resume(stream);
    run_turns(loop, 2);
    faults_watch();
    rondo_pause(stream);
    harness_send_str(peer, "bytes");
    run_turns(loop, 3);
    CHECK_INT(faults_count(CALL_recv), 1);
    CHECK_INT(faults_count(CALL_epoll_ctl), 2); /* libev's, which stops, and ours */
    end_loop(loop);
    close(peer);
}
