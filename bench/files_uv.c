/* SPDX-License-Identifier: MIT
 *
 * The file benchmarks on libuv (where it is installed); see files.h. Its pool is the process's, and
 * its size is set by the environment.
 */
#if defined(__has_include)
#if __has_include(<uv.h>)
#define HAVE_UV 1
#endif
#endif

#ifdef HAVE_UV
#include "files.h"

#include <uv.h>

static uv_loop_t loop;
static uint64_t begun, count, total;
static uint32_t read_len;
static char buffers[FILES_IN_FLIGHT][FILES_STREAM_STEP];
static uv_fs_t requests[FILES_IN_FLIGHT];
static uv_work_t jobs[FILES_IN_FLIGHT];

/* Begins `in_flight` of something that begins the next one when it ends, and waits for all. */
static void run(unsigned in_flight, uint64_t n, void (*next)(unsigned slot)) {
    begun = total = 0;
    count = n;
    for (unsigned slot = 0; slot < in_flight && begun < count; slot++) next(slot);
    files_check("loop", uv_run(&loop, UV_RUN_DEFAULT), 0);
    files_check("begun", (int64_t)begun, (int64_t)count);
}

static unsigned slot_of(const uv_fs_t *request) { return (unsigned)(request - requests); }

/* The result of a request that is over. */
static int64_t end(uv_fs_t *request) {
    int64_t result = request->result;
    uv_fs_req_cleanup(request);
    return result;
}

/* ---- stat, reads, empty jobs ---- */

static void next_stat(unsigned slot);
static void on_stat(uv_fs_t *request) {
    files_check("stat", end(request), 0);
    if (begun < count) next_stat(slot_of(request));
}
static void next_stat(unsigned slot) {
    const char *name = files_stat_name(begun++);
    files_check(name, uv_fs_stat(&loop, &requests[slot], name, on_stat), 0);
}
static void run_stat(unsigned in_flight, uint64_t n) { run(in_flight, n, next_stat); }

static void next_read(unsigned slot);
static void on_read(uv_fs_t *request) {
    files_check("read", end(request), read_len);
    if (begun < count) next_read(slot_of(request));
}
static void next_read(unsigned slot) {
    uv_buf_t buf = uv_buf_init(buffers[slot], read_len);
    begun++;
    files_check(
        "read",
        uv_fs_read(&loop, &requests[slot], files_data, &buf, 1, files_offset(read_len), on_read),
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

static void do_nothing(uv_work_t *job) { (void)job; }
static void next_empty(unsigned slot);
static void on_empty(uv_work_t *job, int status) {
    files_check("empty", status, 0);
    if (begun < count) next_empty((unsigned)(job - jobs));
}
static void next_empty(unsigned slot) {
    begun++;
    files_check("empty", uv_queue_work(&loop, &jobs[slot], do_nothing, on_empty), 0);
}
static void run_empty(unsigned in_flight, uint64_t n) { run(in_flight, n, next_empty); }

/* ---- a big file ---- */

static int big;
static void read_piece(void);
static void on_piece(uv_fs_t *request) {
    int64_t result = end(request);
    if (result <= 0) {
        files_check("stream", result, 0);
        return;
    }
    total += (uint64_t)result;
    read_piece();
}
static void read_piece(void) {
    uv_buf_t buf = uv_buf_init(buffers[0], FILES_STREAM_STEP);
    files_check("stream", uv_fs_read(&loop, requests, big, &buf, 1, (int64_t)total, on_piece), 0);
}
static void run_stream(unsigned in_flight, uint64_t n) {
    (void)in_flight;
    total = 0;
    big = open("big", O_RDONLY | O_CLOEXEC);
    read_piece();
    uv_run(&loop, UV_RUN_DEFAULT);
    close(big);
    files_check("stream", (int64_t)total, (int64_t)n);
}

/* ---- small files ---- */

static int writing[FILES_IN_FLIGHT]; /* fds */

static void next_file(unsigned slot);
static void on_closed(uv_fs_t *request) {
    files_check("close", end(request), 0);
    if (begun < count) next_file(slot_of(request));
}
static void on_written(uv_fs_t *request) {
    files_check("write", end(request), FILES_SMALL_BYTES);
    files_check("close", uv_fs_close(&loop, request, writing[slot_of(request)], on_closed), 0);
}
static void on_opened(uv_fs_t *request) {
    unsigned slot = slot_of(request);
    uv_buf_t buf = uv_buf_init(buffers[slot], FILES_SMALL_BYTES);
    writing[slot] = (int)end(request);
    if (writing[slot] < 0) files_die("open", uv_strerror(writing[slot]));
    files_check("write", uv_fs_write(&loop, request, writing[slot], &buf, 1, 0, on_written), 0);
}
static void next_file(unsigned slot) {
    char name[32];
    files_name(name, sizeof name, "write", begun++);
    files_check(
        "open",
        uv_fs_open(&loop, &requests[slot], name, O_WRONLY | O_CREAT | O_EXCL, 0600, on_opened), 0);
}
static void run_write(unsigned in_flight, uint64_t n) { run(in_flight, n, next_file); }

/* ---- a tree: all directories that are known at once, as many as there are threads to read them ---- */

static void scan(const char *path);
static void on_scanned(uv_fs_t *request) {
    uv_dirent_t entry;
    char below[4096];
    if (request->result < 0) files_die(request->path, uv_strerror((int)request->result));
    while (uv_fs_scandir_next(request, &entry) != UV_EOF) {
        total++;
        if (entry.type != UV_DIRENT_DIR) continue;
        snprintf(below, sizeof below, "%s/%s", request->path, entry.name);
        scan(below);
    }
    uv_fs_req_cleanup(request);
    free(request);
}
static void scan(const char *path) {
    uv_fs_t *request = malloc(sizeof *request);
    if (!request) files_die("walk", "out of memory");
    files_check("walk", uv_fs_scandir(&loop, request, path, 0, on_scanned), 0);
}
static void run_walk(unsigned in_flight, uint64_t n) {
    (void)in_flight;
    total = 0;
    scan("tree");
    uv_run(&loop, UV_RUN_DEFAULT);
    files_check("walk", (int64_t)total, (int64_t)n);
}

int main(int argc, char **argv) {
    static const files_row rows[] = {{"stat", run_stat},       {"read4k", run_read4k},
                                     {"read64k", run_read64k}, {"empty", run_empty},
                                     {"stream", run_stream},   {"write", run_write},
                                     {"walk", run_walk},       {NULL, NULL}};
    if (argc == 3) setenv("UV_THREADPOOL_SIZE", argv[2], 1);
    files_check("libuv", uv_loop_init(&loop), 0);
    return files_main(argc, argv, rows);
}
#else
#include <stdio.h>
int main(void) {
    fprintf(stderr, "libuv is not installed\n");
    return 1;
}
#endif
