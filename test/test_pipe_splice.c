/* SPDX-License-Identifier: MIT
 *
 * rondo_pipe() of many bytes, which move inside the kernel: when they do and when not, that they are
 * all there whatever happens, and that no kernel pipe is lost.
 *
 * test/run: not under valgrind; most of its octets move inside the kernel, and the sanitizers see the rest.
 */
#define _GNU_SOURCE /* pipe2, F_SETPIPE_SZ */
#include "streams.h"

#include "faults.h"
#include "net/duplex.h"

typedef struct pipeline {
    rondo_loop *loop;
    rondo_stream *src, *dst;
    int in, out; /* the other ends */
    char *bytes; /* to be sent */
    size_t size, sent;
    char *got;
    size_t len;
} pipeline;

static void init_pipeline(pipeline *self, size_t size) {
    self->bytes = new_bytes(size);
    self->got = malloc(size + 1);
    self->size = size;
    rondo_stream_on_error(self->src, note_error, NULL);
    rondo_stream_on_error(self->dst, note_error, NULL);
    CHECK_INT(rondo_pipe(self->src, self->dst), 0);
}

static pipeline new_pipeline(bool tcp, size_t size) {
    pipeline self = {.loop = rondo_loop_new()};
    self.in = tcp ? new_tcp_pair(self.loop, &self.src) : new_pair(self.loop, &self.src);
    self.out = tcp ? new_tcp_pair(self.loop, &self.dst) : new_pair(self.loop, &self.dst);
    init_pipeline(&self, size);
    return self;
}

static void end_pipeline(pipeline *self) {
    faults_stop();
    end_loop(self->loop);
    if (self->in >= 0) close(self->in);
    if (self->out >= 0) close(self->out);
    free(self->bytes);
    free(self->got);
}

/* Sends what the kernel takes. */
static void push(pipeline *self) {
    while (self->sent < self->size) {
        ssize_t count = send(self->in, self->bytes + self->sent, self->size - self->sent,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == ENOTSOCK)
            count = write(self->in, self->bytes + self->sent, self->size - self->sent);
        if (count <= 0) return;
        self->sent += (size_t)count;
    }
}

/* Receives up to `most`. */
static void pull(pipeline *self, size_t most) {
    size_t end = most < self->size - self->len ? self->len + most : self->size;
    while (self->len < end) {
        ssize_t count = recv(self->out, self->got + self->len, end - self->len, MSG_DONTWAIT);
        if (count < 0 && errno == ENOTSOCK)
            count = read(self->out, self->got + self->len, end - self->len);
        if (count <= 0) return;
        self->len += (size_t)count;
    }
}

/* Until as much has arrived. TCP's acknowledgements take their time. */
static void pump_until(pipeline *self, size_t len, size_t step) {
    for (int idle = 0; self->len < len && idle < 2000; idle++) {
        size_t before = self->len + self->sent;
        push(self);
        run_turns(self->loop, 1);
        pull(self, step < len - self->len ? step : len - self->len);
        if (self->len + self->sent > before) idle = 0;
        if (idle > 100) harness_sleep_ms(1);
    }
    CHECK_INT(self->len, len);
}

static void check_all_arrived(pipeline *self) {
    pump_until(self, self->size, SIZE_MAX);
    check_bytes(self->got, self->len, self->size);
}

static void check_spliced(bool tcp, size_t step) {
    pipeline line = new_pipeline(tcp, 3000000);
    rondo_stream_figures in, out;
    faults_watch();
    for (size_t half = 1500000; line.len < half;) {
        push(&line);
        run_turns(line.loop, 1);
        pull(&line, step < half - line.len ? step : half - line.len);
        rondo_stream_get_figures(line.src, &in);
        rondo_stream_get_figures(line.dst, &out);
        CHECK_INT(in.bytes_in, out.bytes_out + out.queued); /* what is on the way counts */
        CHECK(out.queued <= 65536 + RONDO__SPLICE_BYTES);
    }
    check_all_arrived(&line);
    CHECK(faults_count(CALL_splice) > 0);
    CHECK(faults_bytes(CALL_splice) > 2 * faults_bytes(CALL_read)); /* counted in and out */
    CHECK(faults_count(CALL_pipe2) <= 1);                           /* and used again */
    shutdown(line.in, SHUT_WR);
    run_turns(line.loop, 3);
    CHECK_INT(recv(line.out, line.got, 1, 0), 0);
    end_pipeline(&line);
}

TEST(many_bytes_stay_in_the_kernel) {
    check_spliced(false, SIZE_MAX);
    check_spliced(true, SIZE_MAX);
}

TEST(many_bytes_to_a_slow_reader) {
    check_spliced(false, 30000);
    check_spliced(true, 50000);
}

TEST(small_messages_are_copied) {
    pipeline line = new_pipeline(false, 100);
    faults_watch();
    for (line.size = 1; line.size <= 20; line.size++) check_all_arrived(&line);
    CHECK_INT(faults_count(CALL_splice | CALL_pipe2), 0);
    end_pipeline(&line);
}

TEST(small_messages_behind_many_bytes_are_copied_again) {
    pipeline line = new_pipeline(false, 2000000);
    line.size = 1999000;
    check_all_arrived(&line);
    CHECK(line.src->flags & RONDO__BULK);
    unsigned before = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 4) faults_watch();
        line.size += 10;
        check_all_arrived(&line);
        before += line.src->flags & RONDO__BULK ? 1 : 0;
    }
    CHECK(before >= 2 && before <= 4);
    CHECK_INT(faults_count(CALL_splice), 0);
    end_pipeline(&line);
}

TEST(a_transport_on_either_end_or_an_ended_destination_is_not_for_splice) {
    static const rondo__transport transport;
    pipeline line = new_pipeline(false, 1000000);
    pump_until(&line, 500000, SIZE_MAX);
    CHECK(line.src->flags & RONDO__BULK);
    rondo_end(line.dst); /* by the program: the source can't go on */
    push(&line);
    run_turns(line.loop, 5);
    CHECK_TRACE("EPIPE");
    end_pipeline(&line);

    for (int i = 0; i < 2; i++) {
        line = new_pipeline(false, 1000000);
        rondo__stream_set_transport(i ? line.dst : line.src, &transport, NULL);
        CHECK_INT(rondo__pipe_splice(line.src), RONDO_ENOTSUP);
        end_pipeline(&line);
    }
}

/* ---- what happens in the middle ---- */

TEST(a_listener_in_the_middle_sees_every_byte_from_then_on) {
    pipeline line = new_pipeline(false, 3000000);
    received seen = {0};
    rondo_stream_figures figures;
    pump_until(&line, 1000000, SIZE_MAX);
    CHECK(line.src->flags & RONDO__BULK);
    rondo_stream_get_figures(line.src, &figures);
    rondo_stream_on_data(line.src, receive_data, &seen);
    size_t from = (size_t)figures.bytes_in;
    pump_until(&line, 2000000, SIZE_MAX);
    rondo_stream_get_figures(line.src, &figures);
    CHECK_INT(seen.len, figures.bytes_in - from);
    CHECK_MEM(seen.data, line.bytes + from, seen.len);
    rondo_stream_off_data(line.src, receive_data, &seen);
    faults_watch();
    check_all_arrived(&line);
    CHECK(faults_count(CALL_splice) > 0); /* nobody looks any more */
    end_pipeline(&line);
    free(seen.data);
}

TEST(a_pause_in_the_middle) {
    pipeline line = new_pipeline(false, 2000000);
    pump_until(&line, 1000000, SIZE_MAX);
    rondo_pause(line.src);
    push(&line);
    run_turns(line.loop, 5);
    pull(&line, SIZE_MAX);
    run_turns(line.loop, 5);
    size_t len = line.len;
    pull(&line, SIZE_MAX);
    CHECK_INT(line.len, len);
    rondo_resume(line.src);
    check_all_arrived(&line);
    end_pipeline(&line);
}

TEST(an_unpipe_in_the_middle_loses_nothing) {
    pipeline line = new_pipeline(false, 2000000);
    received rest = {0};
    pump_until(&line, 1000000, SIZE_MAX);
    push(&line);
    run_turns(line.loop, 4); /* the destination is full */
    CHECK(queued(line.dst) > 0);
    CHECK_INT(rondo_unpipe(line.src), 0);
    CHECK_INT(rondo_unpipe(line.src), RONDO_ENOENT);
    rondo_stream_figures figures;
    rondo_stream_get_figures(line.src, &figures);
    push(&line);
    run_turns(line.loop, 3);
    line.size = (size_t)figures.bytes_in;
    check_all_arrived(&line); /* all that was taken, and no more */
    run_turns(line.loop, 3);
    pull(&line, SIZE_MAX);
    line.size = 2000000;
    rondo_stream_on_data(line.src, receive_data, &rest);
    while (line.len + rest.len < line.size) {
        push(&line);
        run_turns(line.loop, 1);
    }
    CHECK_MEM(rest.data, line.bytes + line.len, rest.len);
    CHECK_INT(write_text(line.dst, "goes on"), 1);
    run_turns(line.loop, 1);
    CHECK_STR(read_now(line.out), "goes on");
    rondo_close(line.src);
    CHECK(!rondo_is_closing(line.dst));
    CHECK_INT(rondo_unpipe(line.src), RONDO_ECLOSED);
    end_pipeline(&line);
    free(rest.data);
}

TEST(who_writes_in_between_keeps_the_place) {
    pipeline line = new_pipeline(false, 2000000);
    pump_until(&line, 1000000, SIZE_MAX);
    push(&line);
    run_turns(line.loop, 4);
    CHECK(queued(line.dst) > 0);
    CHECK_INT(write_text(line.dst, "<here>"), 0);
    rondo_stream_figures figures;
    rondo_stream_get_figures(line.src, &figures);
    line.size = (size_t)figures.bytes_in;
    size_t sent = line.sent;
    pump_until(&line, line.size, SIZE_MAX);
    char text[7] = "";
    run_turns(line.loop, 1);
    CHECK_INT(recv(line.out, text, 6, 0), 6);
    CHECK_STR(text, "<here>");
    line.size = 2000000;
    line.sent = sent;
    check_all_arrived(&line);
    end_pipeline(&line);
}

TEST(the_end_behind_many_bytes) {
    pipeline line = new_pipeline(false, 1000000);
    while (line.sent < line.size) {
        push(&line);
        run_turns(line.loop, 1);
        pull(&line, 10000);
    }
    shutdown(line.in, SHUT_WR);
    check_all_arrived(&line);
    run_turns(line.loop, 2);
    CHECK_INT(recv(line.out, line.got, 1, MSG_DONTWAIT), 0);
    CHECK_TRACE("");
    end_pipeline(&line);
}

static pipeline new_stuck(bool tcp) {
    pipeline line = new_pipeline(tcp, 30000000);
    for (int i = 0; i < 100 || queued(line.dst) == 0; i++) {
        push(&line);
        run_turns(line.loop, 1);
        if (i < 5) pull(&line, 300000);
        CHECK(i < 3000);
    }
    CHECK(line.dst->out->first->kind == RONDO__SEGMENT_PIPE);
    return line;
}

static unsigned spare_pipes(const rondo_loop *loop) {
    return rondo__net_of(loop)->spare_pipe_count;
}

TEST(who_closes_or_fails_in_the_middle_leaks_nothing) {
    for (int i = 0; i < 4; i++) {
        pipeline line = new_stuck(false);
        CHECK_INT(spare_pipes(line.loop), 0);
        rondo_stream *one = i % 2 ? line.src : line.dst;
        i < 2 ? rondo_close(one) : rondo_destroy(one, RONDO_EIO);
        run_all(line.loop);
        CHECK_TRACE(i < 2 ? "" : "EIO EIO");
        CHECK_INT(spare_pipes(line.loop), 0); /* a dirty one is not used again */
        end_pipeline(&line);
    }
}

TEST(peers_that_reset_in_the_middle) {
    pipeline line = new_stuck(true);
    reset_peer(line.out);
    line.out = -1;
    run_all(line.loop);
    CHECK_TRACE("ECONNRESET ECONNRESET");
    end_pipeline(&line);

    line = new_pipeline(true, 3000000);
    pump_until(&line, 1000000, SIZE_MAX);
    reset_peer(line.in);
    line.in = -1;
    for (int i = 0; i < 1000 && !strstr(trace, "RESET"); i++) {
        run_turns(line.loop, 1);
        pull(&line, SIZE_MAX);
        if (i > 100) harness_sleep_ms(1);
    }
    run_all(line.loop);
    CHECK_TRACE("ECONNRESET ECONNRESET");
    end_pipeline(&line);
}

TEST(two_sources_of_one_destination) {
    pipeline line = new_pipeline(false, 2000000);
    rondo_stream *second;
    char *zeros = calloc(1, 1000000);
    int in = new_pair(line.loop, &second);
    CHECK_INT(rondo_pipe(second, line.dst), 0);
    size_t sent = 0, count[2] = {0};
    memset(line.bytes, 1, line.size);
    for (int idle = 0; count[0] + count[1] < 3000000 && idle < 1000; idle++) {
        push(&line);
        ssize_t more =
            send(in, zeros, 1000000 - sent, MSG_DONTWAIT | (sent == 1000000 ? MSG_OOB : 0));
        if (more > 0) sent += (size_t)more;
        run_turns(line.loop, 1);
        ssize_t got = recv(line.out, line.got, line.size, MSG_DONTWAIT);
        for (ssize_t i = 0; i < got; i++) count[line.got[i] == 1]++;
        if (got > 0) idle = 0;
    }
    CHECK_INT(count[0], 1000000);
    CHECK_INT(count[1], 2000000);
    end_pipeline(&line);
    close(in);
    free(zeros);
}

/* ---- what the kernel refuses ---- */

TEST(without_descriptors_bytes_are_copied) {
    pipeline line = new_pipeline(false, 3000000);
    faults_every(CALL_pipe2, 1, EMFILE);
    faults_watch();
    check_all_arrived(&line);
    CHECK_INT(faults_count(CALL_splice), 0);
    unsigned tries = faults_count(CALL_pipe2);
    CHECK(tries >= 1 && tries <= 2); /* not at every turn */
    CHECK_TRACE("");
    end_pipeline(&line);
}

TEST(a_descriptor_that_cannot_be_spliced) {
    const int refusals[] = {EINVAL, ENOSYS, ENOMEM};
    for (int i = 0; i < 3; i++) {
        pipeline line = new_pipeline(false, 2000000);
        faults_fail(CALL_splice, 1, refusals[i]); /* in */
        check_all_arrived(&line);
        CHECK_TRACE("");
        end_pipeline(&line);
        faults_clear();
    }
    for (int i = 0; i < 2; i++) {
        pipeline line = new_pipeline(false, 2000000);
        faults_fail(CALL_splice, 2,
                    refusals[i]); /* out: what is in the kernel pipe is read again */
        check_all_arrived(&line);
        CHECK_TRACE("");
        CHECK_INT(faults_count(CALL_splice), 2); /* and no more of it */
        end_pipeline(&line);
        faults_clear();
    }
}

TEST(a_kernel_pipe_that_cannot_be_read_again_fails_both) {
    pipeline line = new_pipeline(false, 2000000);
    while (!(line.src->flags & RONDO__BULK)) {
        push(&line);
        run_turns(line.loop, 1);
        pull(&line, SIZE_MAX);
    }
    faults_every(CALL_splice, 2, EINVAL);
    faults_every(CALL_read, 1, EIO);
    push(&line);
    run_turns(line.loop, 2);
    CHECK_TRACE("EIO EIO");
    end_pipeline(&line);
}

TEST(through_pipes_of_the_kernel) {
    for (int append = 0; append < 2; append++) {
        int in[2], out[2];
        pipeline line = {.loop = rondo_loop_new()};
        CHECK(pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
        fcntl(in[1], F_SETPIPE_SZ, 1 << 20);
        if (append) fcntl(out[1], F_SETFL, O_APPEND | O_NONBLOCK);
        line.src = open_stream(line.loop, in[0]);
        line.dst = open_stream(line.loop, out[1]);
        line.in = in[1];
        line.out = out[0];
        init_pipeline(&line, 2000000);
        faults_watch();
        check_all_arrived(&line);
        CHECK(faults_count(CALL_splice) > 0);
        CHECK_TRACE("");
        end_pipeline(&line);
    }
}

TEST(few_kernel_pipes_are_kept) {
    enum { LINES = RONDO__SPARE_PIPES + 3, SIZE = 3000000 };
    rondo_loop *loop = rondo_loop_new();
    pipeline lines[LINES];
    for (int i = 0; i < LINES; i++) {
        lines[i] = (pipeline){.loop = loop};
        lines[i].in = new_pair(loop, &lines[i].src);
        lines[i].out = new_pair(loop, &lines[i].dst);
        init_pipeline(&lines[i], SIZE);
    }
    for (int turn = 0; turn < 20; turn++) { /* all of them stuck */
        for (int i = 0; i < LINES; i++) push(&lines[i]);
        run_turns(loop, 1);
        for (int i = 0; turn < 5 && i < LINES; i++) pull(&lines[i], SIZE_MAX);
    }
    for (int i = 0; i < LINES; i++) CHECK(lines[i].dst->out->first->kind == RONDO__SEGMENT_PIPE);
    for (int i = 0; i < LINES; i++) check_all_arrived(&lines[i]);
    CHECK_INT(spare_pipes(loop), RONDO__SPARE_PIPES);
    end_loop(loop);
    for (int i = 0; i < LINES; i++) {
        close(lines[i].in);
        close(lines[i].out);
        free(lines[i].bytes);
        free(lines[i].got);
    }
}

/* ---- every fault at every point ---- */

static void proxy(void) {
    pipeline line = new_pipeline(false, 600000);
    FAULTS_BEGIN();
    for (int idle = 0; line.len < line.size && idle < 50 && !trace_size; idle++) {
        size_t before = line.len;
        push(&line);
        run_turns(line.loop, 1);
        pull(&line, SIZE_MAX);
        if (line.len > before) idle = 0;
    }
    FAULTS_END();
    run_turns(line.loop, 2);
    pull(&line, SIZE_MAX);
    check_bytes(line.got, line.len, line.len); /* in their places, as far as they came */
    if (trace_size == 0) CHECK_INT(line.len, line.size);
    if (trace_size > 0) CHECK(strstr("ECONNRESET ECONNRESET EPIPE EPIPE", trace));
    trace_size = 0;
    end_pipeline(&line);
}

TEST(a_proxy_with_every_fault) {
    faults_calls calls = CALL_splice | CALL_read | CALL_send | CALL_sendmsg;
    FAULT_SWEEP(proxy, calls, EAGAIN);
    FAULT_SWEEP(proxy, calls, EINTR);
    FAULT_SWEEP(proxy, calls, ECONNRESET);
    FAULT_SWEEP(proxy, CALL_splice, EINVAL);
    FAULT_SWEEP_SHORT(proxy, calls, 1000);
    FAULT_PERIODS(proxy, calls, EAGAIN);
    FAULT_PERIODS(proxy, calls, EINTR);
}

TEST(out_of_memory_at_every_place_of_splicing) {
    for (long n = 0;; n++) {
        pipeline line = new_pipeline(false, 1000000);
        harness_fail_alloc_after(n);
        for (int i = 0; i < 200 && line.len < line.size && !trace_size; i++) {
            push(&line);
            run_turns(line.loop, 1);
            pull(&line, 100000);
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (trace_size)
            CHECK_TRACE("ENOMEM ENOMEM");
        else
            check_all_arrived(&line);
        end_pipeline(&line);
        if (!failed) break;
    }
}

/* ---- what a peer may do ---- */

/* splice(2) stops in front of it and says that there is nothing; read(2) steps over it. */
TEST(an_urgent_byte_does_not_stop_it) {
    pipeline line = new_pipeline(true, 2000000);
    pump_until(&line, 1000000, SIZE_MAX);
    CHECK(line.src->flags & RONDO__BULK);
    CHECK_INT(line.sent, line.size);
    CHECK_INT(send(line.in, "!", 1, MSG_OOB), 1); /* out of band: no byte of the stream */
    CHECK_INT(send(line.in, "behind", 6, 0), 6);
    check_all_arrived(&line);
    char text[8] = "";
    size_t len = 0;
    for (int turns = 0; turns < 2000 && len < 6; turns++) {
        run_turns(line.loop, 1);
        ssize_t count = recv(line.out, text + len, 6 - len, MSG_DONTWAIT);
        if (count > 0) len += (size_t)count;
        if (turns > 100) harness_sleep_ms(1);
    }
    CHECK_STR(text, "behind");
    CHECK(!(line.src->flags & RONDO__HELD));
    end_pipeline(&line);
}
