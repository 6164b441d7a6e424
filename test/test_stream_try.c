/* SPDX-License-Identifier: MIT
 *
 * rondo_writev(): several pieces as one write. rondo_try_write(): bytes at once, or RONDO_EAGAIN.
 */
#define _GNU_SOURCE /* pipe2 */
#include "streams.h"

#include "faults.h"

/* ---- several pieces ---- */

TEST(pieces_arrive_in_order) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_slice pieces[] = {rondo_slice_text("one "),
                            rondo_slice_text(""),
                            {NULL, 0},
                            rondo_slice_text("two "),
                            rondo_slice_text("three")};
    CHECK_INT(rondo_writev(stream, pieces, 5), 1);
    CHECK_INT(rondo_writev(stream, pieces, 1), 1);
    CHECK_INT(rondo_writev(stream, NULL, 0), 1);
    CHECK_INT(rondo_writev(stream, pieces + 1, 2), 1);
    CHECK_INT(queued(stream), 17);
    CHECK_STR(read_now(peer), ""); /* with the others, when the loop runs */
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "one two threeone ");
    end_loop(loop);
    close(peer);
}

/* Pieces of all sizes, those of byte_at() in all, together `size` bytes. */
static rondo_slice *cut_up(const char *bytes, size_t size, size_t *ret_count) {
    rondo_slice *pieces = malloc(size * sizeof *pieces);
    size_t count = 0;
    unsigned n = 1;
    for (size_t at = 0; at < size; count++) {
        n = n * 1103515245 + 12345;
        size_t len = (n >> 16) % 4 == 0 ? 0 : (n >> 8) % (count % 10 == 0 ? 40000 : 3000);
        if (len > size - at) len = size - at;
        pieces[count] = rondo_slice_of(bytes + at, len);
        at += len;
    }
    *ret_count = count;
    return pieces;
}

static void check_pieces(size_t size, size_t slow, bool behind_others) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    char *bytes = new_bytes(size);
    size_t count, head = behind_others ? 100 : 0;
    int fd = new_pair(loop, &stream);
    rondo_slice *pieces = cut_up(bytes + head, size - head, &count);
    if (head) CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, head)), 1);
    CHECK(rondo_writev(stream, pieces, count) >= 0);
    rondo_stream_figures figures;
    rondo_stream_get_figures(stream, &figures);
    CHECK_INT(figures.queued + figures.bytes_out, size);
    memset(bytes, 0, size); /* copied, or sent */
    rondo__loop_verify(loop);
    start_reader(&peer, fd, slow);
    end_and_finish(stream);
    check_reader(&peer, size);
    end_loop(loop);
    free(bytes);
    free(pieces);
}

TEST(pieces_of_all_sizes_arrive_whole) {
    check_pieces(20000, 0, false);
    check_pieces(20000, 0, true);
    check_pieces(500000, 0, false);
    check_pieces(500000, 3000, true);
    check_pieces(3000000, 0, true);
}

TEST(of_pieces_all_or_none_are_taken) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_slice two[] = {rondo_slice_text("12345"), rondo_slice_text("67890")};
    rondo_slice huge[] = {rondo_slice_text("x"), {"", SIZE_MAX - 1}, {"", 5}};
    CHECK_INT(rondo_stream_set_high_water(stream, 9, 15), 0);
    CHECK_INT(rondo_writev(stream, two, 2), 0); /* above the mark */
    CHECK_INT(rondo_writev(stream, two, 2), RONDO_ENOBUFS);
    CHECK_INT(rondo_writev(stream, huge, 3), RONDO_ENOBUFS);
    CHECK_INT(rondo_writev(stream, two, 1), 0);
    CHECK_INT(queued(stream), 15);
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "123456789012345");
    rondo_end(stream);
    CHECK_INT(rondo_writev(stream, two, 2), RONDO_EPIPE);
    rondo_close(stream);
    CHECK_INT(rondo_writev(stream, two, 2), RONDO_ECLOSED);
    end_loop(loop);
    close(peer);
}

TEST(out_of_memory_at_every_place_of_pieces) {
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *stream;
        reader peer;
        char *bytes = new_bytes(60000);
        rondo_slice pieces[] = {{bytes, 20000}, {bytes + 20000, 40000}};
        start_reader(&peer, new_pair(loop, &stream), 0);
        rondo_stream_on_error(stream, note_error, NULL);
        CHECK_INT(write_text(stream, ""), 1);
        faults_limit(CALL_sendmsg | CALL_send, 1000);
        harness_fail_alloc_after(n);
        int status = rondo_writev(stream, pieces, 2);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        faults_clear();
        CHECK(status >= 0 || status == RONDO_ENOMEM);
        size_t want = 60000;
        if (status == RONDO_ENOMEM) { /* a part was sent, so the stream fails too */
            run_turns(loop, 1);
            CHECK_TRACE("ENOMEM");
            want = 1000;
        } else {
            end_and_finish(stream);
        }
        end_loop(loop);
        check_reader(&peer, want);
        free(bytes);
        if (!failed) break;
    }
}

TEST(pieces_leave_in_one_system_call) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(40000);
    rondo_slice pieces[] = {{bytes, 20000}, {bytes, 20000}};
    int peer = new_pair(loop, &stream);
    faults_watch();
    CHECK_INT(rondo_writev(stream, pieces, 2), 1);
    CHECK_STR(faults_log(CALLS_WRITE), "sendmsg"); /* large: at once, from where they are */
    CHECK_INT(faults_last(CALL_sendmsg)->pieces, 2);
    CHECK_INT(queued(stream), 0);
    end_loop(loop);
    close(peer);
    free(bytes);
}

/* ---- at once ---- */

static int64_t try_text(rondo_stream *stream, const char *text) {
    return rondo_try_write(stream, rondo_slice_text(text));
}

/* Until the kernel takes no more; how much that was. */
static size_t fill_up(rondo_stream *stream, const char *bytes, size_t size) {
    size_t sent = 0;
    for (;;) {
        int64_t count = rondo_try_write(stream, rondo_slice_of(bytes + sent, size - sent));
        if (count == RONDO_EAGAIN) return sent;
        CHECK(count > 0);
        sent += (size_t)count;
        CHECK(sent < size);
    }
}

TEST(a_try_writes_at_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    rondo_stream_figures figures;
    int peer = new_pair(loop, &stream);
    CHECK_INT(try_text(stream, "now"), 3);
    CHECK_STR(read_now(peer), "now");
    CHECK_INT(try_text(stream, ""), 0);
    rondo_stream_get_figures(stream, &figures);
    CHECK_INT(figures.bytes_out, 3);
    CHECK_INT(figures.queued, 0);
    end_loop(loop);
    close(peer);
}

TEST(a_try_takes_what_the_kernel_takes_and_then_eagain) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    char *bytes = new_bytes(8000000);
    int peer = new_pair(loop, &stream);
    note_events(stream);
    size_t sent = fill_up(stream, bytes, 8000000);
    CHECK(sent > 0);
    CHECK_INT(queued(stream), 0); /* nothing is kept */
    rondo__loop_verify(loop);
    check_idle(loop);
    CHECK_TRACE("");
    reader other;
    start_reader(&other, peer, 0);
    rondo_stream_on_drain(stream, stop_loop, NULL);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_TRACE("drain"); /* worth trying again */
    CHECK_INT(rondo_try_write(stream, rondo_slice_of(bytes + sent, 10)), 10);
    check_idle(loop);
    CHECK_TRACE("");
    end_and_finish(stream);
    check_reader(&other, sent + 10);
    end_loop(loop);
    free(bytes);
}

TEST(a_write_behind_a_try_waits_its_turn) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    reader other;
    char *bytes = new_bytes(8000000);
    int peer = new_pair(loop, &stream);
    size_t sent = fill_up(stream, bytes, 8000000);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes + sent, 10)), 1);
    check_idle(loop);
    CHECK_INT(queued(stream), 10);
    start_reader(&other, peer, 0);
    end_and_finish(stream);
    check_reader(&other, sent + 10);
    end_loop(loop);
    free(bytes);
}

TEST(a_try_never_overtakes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    note_events(stream);
    CHECK_INT(write_text(stream, "first "), 1);
    CHECK_INT(try_text(stream, "second"), RONDO_EAGAIN);
    CHECK_TRACE("");
    run_turns(loop, 2);
    CHECK_TRACE("drain");
    CHECK_INT(try_text(stream, "second"), 6);
    CHECK_STR(read_now(peer), "first second");
    end_loop(loop);
    close(peer);
}

TEST(a_try_after_the_end_or_the_close) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_end(stream);
    CHECK_INT(try_text(stream, "x"), RONDO_EPIPE);
    CHECK_INT(try_text(stream, ""), RONDO_EPIPE);
    rondo_close(stream);
    CHECK_INT(try_text(stream, "x"), RONDO_ECLOSED);
    end_loop(loop);
    close(peer);
}

TEST(a_try_to_who_has_gone) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    close(new_pair(loop, &stream));
    note_events(stream);
    CHECK_INT(try_text(stream, "x"), RONDO_EPIPE);
    CHECK_TRACE(""); /* and later, as any failure */
    CHECK_INT(try_text(stream, "x"), RONDO_ECLOSED);
    run_all(loop);
    CHECK_TRACE("EPIPE close");
    rondo_loop_free(loop);
}

TEST(a_try_to_who_has_reset) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    reset_peer(peer);
    CHECK_INT(try_text(stream, "x"), RONDO_ECONNRESET);
    run_all(loop);
    CHECK_TRACE("ECONNRESET close");
    rondo_loop_free(loop);
}

TEST(tries_through_a_pipe) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int ends[2];
    char *bytes = new_bytes(200000), *got = malloc(200000);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    stream = open_stream(loop, ends[1]);
    rondo_stream_on_drain(stream, note_drain, NULL);
    size_t sent = fill_up(stream, bytes, 200000);
    check_idle(loop);
    CHECK_TRACE("");
    CHECK_INT(read(ends[0], got, 200000), sent);
    check_bytes(got, sent, sent);
    check_idle(loop);
    CHECK_TRACE("drain");
    close(ends[0]);
    rondo_stream_on_error(stream, note_error, NULL);
    CHECK_INT(try_text(stream, "x"), RONDO_EPIPE);
    run_all(loop);
    CHECK_TRACE("EPIPE");
    end_loop(loop);
    free(bytes);
    free(got);
}

/* Bytes that are tried until they are through, whatever the kernel says. */
typedef struct trier {
    const char *bytes;
    size_t sent, size;
    int error;
} trier;

static void try_on(rondo_stream *stream, void *arg) {
    trier *self = arg;
    while (self->sent < self->size) {
        int64_t count = rondo_try_write(
            stream, rondo_slice_of(self->bytes + self->sent, self->size - self->sent));
        if (count == RONDO_EAGAIN) return;
        if (count < 0) self->error = (int)count;
        if (count < 0) return;
        self->sent += (size_t)count;
    }
    rondo_end(stream);
}

static void tries(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(3000), got[3000];
    trier self = {bytes, 0, 3000, 0};
    int peer = new_pair(loop, &stream);
    note_events(stream);
    rondo_resume(stream);
    rondo_stream_on_drain(stream, try_on, &self);
    FAULTS_BEGIN();
    try_on(stream, &self);
    run_turns(loop, 20);
    FAULTS_END();
    size_t len = harness_recv_exact(peer, got, self.sent);
    check_bytes(got, len, self.sent);
    close(peer);
    run_all(loop);
    if (self.error)
        CHECK(strstr(trace, "RESET close") || strstr(trace, "EPIPE close"));
    else
        CHECK(self.sent == 3000 && strstr(trace, "finish end close"));
    trace_size = 0;
    rondo_loop_free(loop);
    free(bytes);
}
TEST(tries_with_every_fault) {
    FAULT_SWEEP(tries, CALL_send, EAGAIN);
    FAULT_SWEEP(tries, CALL_send, EINTR);
    FAULT_SWEEP(tries, CALL_send, ECONNRESET);
    FAULT_SWEEP(tries, CALL_send, EPIPE);
    FAULT_SWEEP_SHORT(tries, CALL_send, 1);
}
