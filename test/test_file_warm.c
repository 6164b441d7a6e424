/* SPDX-License-Identifier: MIT
 *
 * Files that are sent though they are not in the page cache: a worker fetches them, and the loop goes
 * on meanwhile (net/file/warm.c).
 */
#define _GNU_SOURCE /* memfd_create */
#include "file_streams.h"
#include "gate.h"

#include <errno.h>

/* A loop whose fs lane stands still until the gate is opened. */
typedef struct stuck {
    rondo_loop *loop;
    rondo_lane *lane;
    gate gate;
    rondo_stream *stream;
    int peer;
} stuck;

static void stuck_init(stuck *self, int (*new_ends)(rondo_loop *, rondo_stream **)) {
    self->loop = rondo_loop_new();
    self->lane = rondo_lane_fs(self->loop);
    gate_init(&self->gate);
    CHECK_INT(rondo_lane_resize(self->lane, 1, 100), 0);
    submit_standing(self->loop, self->lane, &self->gate);
    gate_wait_entered(&self->gate, 1);
    self->peer = new_ends(self->loop, &self->stream);
    note_events(self->stream);
    cache_nothing();
    faults_watch();
}

static void stuck_end(stuck *self, int jobs) {
    CHECK_INT(figures_of(self->lane).queued, jobs);
    gate_open(&self->gate, 1);
}

static int disk_fd(const disk_file *file) {
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

TEST(the_loop_goes_on_while_a_worker_fetches_a_file) {
    enum { SIZE = 3000001 };
    stuck it;
    stuck_init(&it, new_tcp_pair);
    disk_file file = new_disk_file(SIZE);
    write_text(it.stream, "");
    CHECK_INT(rondo_write_file(it.stream, disk_fd(&file), 0, SIZE, true), 0);
    CHECK_INT(rondo_end(it.stream), 0);
    for (int i = 0; i < 10; i++) run_turns(it.loop, 1);
    CHECK_INT(faults_count(CALL_sendfile | CALL_pread), 0);
    CHECK_TRACE("");
    stuck_end(&it, 1);
    reader peer;
    start_reader(&peer, it.peer, 0);
    CHECK_INT(rondo_stream_on_finish(it.stream, close_it, NULL), 0);
    run_all(it.loop);
    CHECK_TRACE("drain finish close");
    check_reader(&peer, SIZE);
    CHECK_INT(faults_bytes(CALL_pread), SIZE); /* all of it, once */
    CHECK(faults_count(CALL_sendfile) >= 3);
    rondo_loop_free(it.loop);
    remove_file(&file);
}

TEST(a_small_file_that_has_to_be_fetched_stays_in_its_place) {
    stuck it;
    stuck_init(&it, new_pair); /* TCP would wait a little for more */
    disk_file file = new_disk_file(4000);
    char *bytes = new_bytes(4000), got[5000];
    write_text(it.stream, "head ");
    rondo_write_file(it.stream, disk_fd(&file), 100, 50, true);
    write_text(it.stream, " tail");
    run_turns(it.loop, 3);
    CHECK_STR(read_now(it.peer), "head "); /* what is before it need not wait */
    stuck_end(&it, 1);
    while (queued(it.stream) > 0) run_turns(it.loop, 1);
    CHECK_INT(recv(it.peer, got, sizeof got, 0), 55);
    CHECK(memcmp(got, bytes + 100, 50) == 0 && memcmp(got + 50, " tail", 5) == 0);
    end_loop(it.loop);
    close(it.peer);
    free(bytes);
    remove_file(&file);
}

/* It is small enough to be read as soon as somebody looks, and somebody else has fetched it. */
TEST(a_peer_that_speaks_meanwhile_changes_nothing) {
    stuck it;
    stuck_init(&it, new_pair);
    disk_file file = new_disk_file(4000);
    received got = {0};
    char answer[5000];
    CHECK_INT(rondo_stream_on_data(it.stream, receive_data, &got), 0);
    rondo_write_file(it.stream, disk_fd(&file), 0, 4000, true);
    run_turns(it.loop, 3);
    faults_clear(); /* it is in the cache now */
    CHECK_INT(write(it.peer, "well?", 5), 5);
    run_turns(it.loop, 3);
    CHECK_RECEIVED(got, "well?");
    CHECK_INT(queued(it.stream), 4000);
    gate_open(&it.gate, 1);
    while (queued(it.stream) > 0) run_turns(it.loop, 1);
    CHECK_INT(recv(it.peer, answer, sizeof answer, 0), 4000);
    check_bytes(answer, 4000, 4000);
    end_loop(it.loop);
    close(it.peer);
    remove_file(&file);
}

TEST(a_loop_sleeps_while_a_file_is_fetched) {
    stuck it;
    stuck_init(&it, new_pair);
    disk_file file = new_disk_file(4000);
    rondo_write_file(it.stream, disk_fd(&file), 0, 4000, true);
    run_turns(it.loop, 3);
    int turns = 0;
    rondo_prepare *prepare = rondo_prepare_new(it.loop);
    CHECK_INT(rondo_prepare_start(prepare, count_turn, &turns), 0); /* fails if it spins */
    start_timer(it.loop, 30, end_idling, it.loop);
    CHECK_INT(rondo_loop_run(it.loop, RONDO_RUN_ALL), 1);
    rondo_close(prepare);
    rondo_close(it.stream);
    gate_open(&it.gate, 1);
    end_loop(it.loop);
    close(it.peer);
    remove_file(&file);
}

TEST(a_hole_in_the_cache_is_found) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    disk_file file = new_disk_file(1000000);
    int fd = disk_fd(&file);
    bool memory = fcntl(fd, F_GET_SEALS) >= 0;
    start_reader(&peer, new_tcp_pair(loop, &stream), 0);
    faults_fail(CALL_preadv2, 3, EAGAIN);
    CHECK_INT(rondo_write_file(stream, fd, 0, 1000000, true), 0);
    end_and_finish(stream);
    check_reader(&peer, 1000000);
    run_all(loop);
    CHECK(figures_of(rondo_lane_fs(loop)).done == 1 || memory);
    rondo_loop_free(loop);
    remove_file(&file);
}

TEST(a_stream_is_closed_while_its_file_is_fetched) {
    for (int way = 0; way < 3; way++) {
        stuck it;
        stuck_init(&it, new_tcp_pair);
        disk_file file = new_disk_file(100000);
        int fd = disk_fd(&file);
        rondo_write_file(it.stream, fd, 0, 100000, true);
        run_turns(it.loop, 2);
        if (way == 0) rondo_close(it.stream);
        if (way == 1) rondo_destroy(it.stream, RONDO_EIO);
        CHECK(fd_is_open(fd) == (way == 2));
        if (way == 2) rondo_loop_close_all(it.loop);
        gate_open(&it.gate, 1);
        while (rondo_loop_run(it.loop, RONDO_RUN_NOWAIT) != 0) {}
        CHECK_TRACE(way == 1 ? "EIO close" : "close");
        CHECK(!fd_is_open(fd));
        rondo_loop_free(it.loop);
        close(it.peer);
        remove_file(&file);
        faults_clear();
    }
}

TEST(a_loop_is_freed_while_a_file_is_fetched) {
    stuck it;
    stuck_init(&it, new_tcp_pair);
    disk_file file = new_disk_file(100000);
    rondo_write_file(it.stream, disk_fd(&file), 0, 100000, true);
    run_turns(it.loop, 2);
    rondo_close(it.stream);
    run_turns(it.loop, 1);
    gate_open(&it.gate, 1);
    rondo_loop_free(it.loop);
    close(it.peer);
    remove_file(&file);
}

TEST(a_disk_that_brings_nothing_times_out) {
    stuck it;
    stuck_init(&it, new_tcp_pair);
    disk_file file = new_disk_file(100000);
    CHECK_INT(rondo_stream_on_timeout(it.stream, note_timeout, NULL), 0);
    CHECK_INT(rondo_stream_set_write_timeout(it.stream, 20), 0);
    rondo_write_file(it.stream, disk_fd(&file), 0, 100000, true);
    CHECK_INT(rondo_stream_on_timeout(it.stream, stop_loop, NULL), 0);
    CHECK_INT(rondo_loop_run(it.loop, RONDO_RUN_ALL), 1);
    CHECK_TRACE("timeout");
    rondo_close(it.stream);
    gate_open(&it.gate, 1);
    end_loop(it.loop);
    close(it.peer);
    remove_file(&file);
}

/* As on a dead network file system. */
TEST(a_stream_that_closes_does_not_wait_for_the_worker) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    disk_file file = new_disk_file(200000);
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    cache_nothing();
    faults_stand(CALL_pread, 2);
    CHECK(rondo_write_file(stream, disk_fd(&file), 0, 200000, true) >= 0);
    while (!faults_stands()) run_turns(loop, 1);
    rondo_close(stream);
    run_all(loop);
    CHECK_TRACE("close");
    rondo_loop_free(loop);
    faults_let_go();
    close(peer);
    remove_file(&file);
}

static void arrives(size_t size, int error) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    disk_file file = new_disk_file(size);
    start_reader(&peer, new_tcp_pair(loop, &stream), 0);
    faults_clear();
    if (error) faults_every(CALL_preadv2, 1, error);
    faults_watch();
    CHECK(rondo_write_file(stream, disk_fd(&file), 0, size, true) >= 0);
    end_and_finish(stream);
    check_reader(&peer, size);
    run_all(loop);
    rondo_lane *lane = rondo_lane_fs(loop);
    if (is_memory(&file)) error = 0;
    if (error || cache_can_tell(&file)) CHECK((figures_of(lane).done == 0) == (error == 0));
    if (!error && size > 20000) CHECK(faults_count(CALL_preadv2) <= 2 + 2 * size / 131072);
    rondo_loop_free(loop);
    remove_file(&file);
}

TEST(what_is_in_the_cache_needs_no_worker) {
    arrives(2500000, 0);
    arrives(16000, 0);
}
TEST(a_file_system_that_cannot_tell_has_a_worker_fetch) {
    arrives(2500000, EOPNOTSUPP);
    arrives(16000, EOPNOTSUPP);
}

TEST(without_a_worker_the_file_is_sent_all_the_same) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    disk_file file = new_disk_file(300000);
    start_reader(&peer, new_tcp_pair(loop, &stream), 0);
    cache_nothing();
    faults_every(CALL_pthread_create, 1, EAGAIN);
    CHECK(rondo_write_file(stream, disk_fd(&file), 0, 300000, true) >= 0);
    end_and_finish(stream);
    check_reader(&peer, 300000);
    run_all(loop);
    rondo_loop_free(loop);
    remove_file(&file);
}

TEST(memory_for_fetching_runs_out) {
    disk_file file = new_disk_file(300000);
    cache_nothing();
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *stream;
        reader peer;
        start_reader(&peer, new_tcp_pair(loop, &stream), 0);
        note_events(stream);
        CHECK_INT(rondo_stream_on_finish(stream, close_it, NULL), 0);
        harness_fail_alloc_after(n);
        int status = rondo_write_file(stream, disk_fd(&file), 0, 300000, true);
        rondo_end(stream);
        while (rondo_loop_run(loop, RONDO_RUN_ONCE) != 0) {}
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(status >= 0 || status == RONDO_ENOMEM);
        pthread_join(peer.thread, NULL);
        if (!failed || peer.len > 0) CHECK_INT(peer.len, 300000);
        free(peer.data);
        close(peer.fd);
        end_loop(loop);
        trace_size = 0;
        if (!failed) break;
        CHECK(n < 100);
    }
    remove_file(&file);
}
