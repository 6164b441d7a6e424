/* SPDX-License-Identifier: MIT
 *
 * The file benchmarks on Rondo; see files.h. One loop for all rows, as a program would have it: its
 * threads and free lists are there after the first one.
 */
#include "files.h"

#include <rondo.h>

static rondo_loop *loop;
static uint64_t begun, count, total;
static uint32_t read_len;
static char buffers[FILES_IN_FLIGHT][FILES_STREAM_STEP];

/* Begins `in_flight` of something that begins the next one when it ends, and waits for all. */
static void run(unsigned in_flight, uint64_t n, void (*next)(unsigned slot)) {
    begun = total = 0;
    count = n;
    for (unsigned slot = 0; slot < in_flight && begun < count; slot++) next(slot);
    files_check("loop", rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    files_check("begun", (int64_t)begun, (int64_t)count);
}

static unsigned slot_of(const void *buffer) {
    return (unsigned)(((const char *)buffer - buffers[0]) / FILES_STREAM_STEP);
}

/* ---- stat, reads, empty jobs ---- */

static void next_stat(unsigned slot);
static void on_stat(rondo_loop *self, int result, const rondo_stat *stat, void *arg) {
    (void)self, (void)stat;
    files_check("stat", result, 0);
    if (begun < count) next_stat(slot_of(arg));
}
static void next_stat(unsigned slot) {
    const char *name = files_stat_name(begun++);
    files_check(name, rondo_fs_stat(loop, name, NULL, on_stat, buffers[slot]), 0);
}
static void run_stat(unsigned in_flight, uint64_t n) { run(in_flight, n, next_stat); }

static void next_read(unsigned slot);
static void on_read(rondo_loop *self, int64_t result, void *arg) {
    (void)self;
    files_check("read", result, read_len);
    if (begun < count) next_read(slot_of(arg));
}
static void next_read(unsigned slot) {
    begun++;
    files_check("read",
                rondo_fs_read(loop, files_data, buffers[slot], read_len, files_offset(read_len),
                              NULL, on_read, buffers[slot]),
                0);
}
static void run_read4k(unsigned in_flight, uint64_t n) {
    read_len = 4096;
    run(in_flight, n, next_read);
}
static void run_read64k(unsigned in_flight, uint64_t n) {
    read_len = 65536;
    run(in_flight, n, next_read);
}

static int64_t do_nothing(rondo_job *job, void *arg) {
    (void)job, (void)arg;
    return 0;
}
static void next_empty(unsigned slot);
static void on_empty(rondo_loop *self, int64_t result, void *arg) {
    (void)self;
    files_check("empty", result, 0);
    if (begun < count) next_empty(slot_of(arg));
}
static void next_empty(unsigned slot) {
    begun++;
    files_check("empty", rondo_work_submit(loop, NULL, NULL, do_nothing, on_empty, buffers[slot]),
                0);
}
static void run_empty(unsigned in_flight, uint64_t n) { run(in_flight, n, next_empty); }

/* ---- a big file ---- */

static void on_piece(rondo_stream *file, rondo_slice piece, void *arg) {
    (void)file, (void)arg;
    total += piece.len;
}
static void on_error(rondo_stream *file, int error, void *arg) {
    (void)file, (void)arg;
    files_die("stream", rondo_error_text(error));
}
static void run_stream(unsigned in_flight, uint64_t n) {
    rondo_stream *file;
    (void)in_flight;
    total = 0;
    files_check("stream", rondo_file_reader_open(loop, "big", 0, -1, &file), 0);
    rondo_stream_on_data(file, on_piece, NULL);
    rondo_stream_on_error(file, on_error, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    files_check("stream", (int64_t)total, (int64_t)n);
}

/* ---- small files ---- */

static int writing[FILES_IN_FLIGHT]; /* fds */

static void next_file(unsigned slot);
static void on_closed(rondo_loop *self, int64_t result, void *arg) {
    (void)self;
    files_check("close", result, 0);
    if (begun < count) next_file(slot_of(arg));
}
static void on_written(rondo_loop *self, int64_t result, void *arg) {
    files_check("write", result, FILES_SMALL_BYTES);
    files_check("close", rondo_fs_close(self, writing[slot_of(arg)], on_closed, arg), 0);
}
static void on_opened(rondo_loop *self, int64_t result, void *arg) {
    if (result < 0) files_die("open", rondo_error_text((int)result));
    writing[slot_of(arg)] = (int)result;
    files_check("write",
                rondo_fs_write(self, (int)result, arg, FILES_SMALL_BYTES, 0, NULL, on_written, arg),
                0);
}
static void next_file(unsigned slot) {
    char name[32];
    files_name(name, sizeof name, "write", begun++);
    files_check("open",
                rondo_fs_open(loop, name, O_WRONLY | O_CREAT | O_EXCL, 0600, NULL, on_opened,
                              buffers[slot]),
                0);
}
static void run_write(unsigned in_flight, uint64_t n) { run(in_flight, n, next_file); }

/* ---- a tree ---- */

static rondo_walk_verdict on_entry(rondo_loop *self, const rondo_walk_entry *entry, void *arg) {
    (void)self, (void)arg;
    files_check("walk", entry->error, 0);
    total++;
    return RONDO_WALK_ON;
}
static void on_walked(rondo_loop *self, int64_t result, void *arg) {
    (void)self, (void)arg;
    files_check("walk", result, (int64_t)count);
}
static void run_walk(unsigned in_flight, uint64_t n) {
    unsigned flags = in_flight > 1 ? RONDO_WALK_PARALLEL : 0;
    total = 0;
    count = n;
    files_check("walk", rondo_fs_walk(loop, "tree", flags, 0, NULL, on_entry, on_walked, NULL), 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    files_check("walk", (int64_t)total, (int64_t)n);
}

int main(int argc, char **argv) {
    static const files_row rows[] = {{"stat", run_stat},       {"read4k", run_read4k},
                                     {"read64k", run_read64k}, {"stream", run_stream},
                                     {"write", run_write},     {"empty", run_empty},
                                     {"walk", run_walk},       {NULL, NULL}};
    unsigned threads = argc == 3 ? (unsigned)atoi(argv[2]) : 1;
    loop = rondo_loop_new();
    if (!loop || rondo_lane_resize(rondo_lane_fs(loop), threads, 65536) < 0 ||
        rondo_lane_resize(rondo_lane_cpu(loop), threads, 65536) < 0)
        files_die("rondo", "can't be started with so many threads");
    int status = files_main(argc, argv, rows);
    rondo_loop_free(loop);
    return status;
}
