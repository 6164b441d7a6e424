/* SPDX-License-Identifier: MIT
 *
 * Reads of 4 KiB at random places of a cached 16 MiB file: pread(2) itself, Rondo and libuv (where it
 * is installed), with a fixed number in flight, in interleaved rounds.
 *
 *   reads FILE IN_FLIGHT READS [ROUNDS]     FILE is made and removed; one line each: NAME us-per-read
 *
 * FILE should be on a disk's file system: tmpfs has no RWF_NOWAIT. libuv has its four threads.
 */
#include <fcntl.h>
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__has_include)
#if __has_include(<uv.h>)
#include <uv.h>
#define HAVE_UV 1
#endif
#endif

#define FILE_BYTES (16u << 20)
#define READ_BYTES 4096u
#define MAX_ROUNDS 31
#define MAX_IN_FLIGHT 256

enum { PREAD, RONDO, LIBUV, SUBJECTS };
static const char *const names[SUBJECTS] = {"pread", "rondo", "libuv"};
static double us[SUBJECTS][MAX_ROUNDS];
static unsigned in_flight, count, left;
static int file;
static char buffers[MAX_IN_FLIGHT][READ_BYTES];

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int64_t next_offset(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (int64_t)(state % (FILE_BYTES / READ_BYTES) * READ_BYTES);
}

static void check(int64_t result) {
    if (result == READ_BYTES) return;
    fprintf(stderr, "reads: a read returned %lld\n", (long long)result);
    exit(1);
}

static void bench_pread(unsigned round) {
    double begun = now_us();
    for (unsigned i = 0; i < count; i++)
        check(pread(file, buffers[0], READ_BYTES, (off_t)next_offset()));
    us[PREAD][round] = (now_us() - begun) / count;
}

static void on_read(rondo_loop *loop, int64_t result, void *buffer) {
    check(result);
    if (left == 0) return;
    left--;
    check(rondo_fs_read(loop, file, buffer, READ_BYTES, next_offset(), NULL, on_read, buffer) +
          (int64_t)READ_BYTES);
}

static void bench_rondo(unsigned round) {
    rondo_loop *loop = rondo_loop_new();
    double begun = now_us();
    left = count;
    for (unsigned i = 0; i < in_flight; i++, left--)
        check(rondo_fs_read(loop, file, buffers[i], READ_BYTES, next_offset(), NULL, on_read,
                            buffers[i]) +
              (int64_t)READ_BYTES);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    us[RONDO][round] = (now_us() - begun) / count;
    rondo_loop_free(loop);
}

#ifdef HAVE_UV
static void on_uv_read(uv_fs_t *request) {
    check(request->result);
    uv_buf_t buffer = uv_buf_init(request->data, READ_BYTES);
    uv_loop_t *loop = request->loop;
    uv_fs_req_cleanup(request);
    if (left == 0) return;
    left--;
    uv_fs_read(loop, request, file, &buffer, 1, next_offset(), on_uv_read);
}

static void bench_uv(unsigned round) {
    static uv_fs_t requests[MAX_IN_FLIGHT];
    uv_loop_t loop;
    uv_loop_init(&loop);
    double begun = now_us();
    left = count;
    for (unsigned i = 0; i < in_flight; i++, left--) {
        uv_buf_t buffer = uv_buf_init(buffers[i], READ_BYTES);
        requests[i].data = buffers[i];
        uv_fs_read(&loop, &requests[i], file, &buffer, 1, next_offset(), on_uv_read);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    us[LIBUV][round] = (now_us() - begun) / count;
    uv_loop_close(&loop);
}
#else
static void bench_uv(unsigned round) { (void)round; }
#endif

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void make_file(const char *path) {
    static char block[READ_BYTES];
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        perror(path);
        exit(1);
    }
    unlink(path);
    memset(block, 'r', sizeof block);
    for (unsigned i = 0; i < FILE_BYTES / READ_BYTES; i++) check(write(file, block, sizeof block));
}

int main(int argc, char **argv) {
    in_flight = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    count = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    unsigned rounds = argc > 4 ? (unsigned)atoi(argv[4]) : 5;
    if (in_flight == 0 || in_flight > MAX_IN_FLIGHT || count < in_flight || rounds == 0 ||
        rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: reads FILE IN_FLIGHT READS [ROUNDS, at most %d]\n", MAX_ROUNDS);
        return 2;
    }
    make_file(argv[1]);
    for (unsigned round = 0; round < rounds; round++) {
        bench_pread(round);
        bench_rondo(round);
        bench_uv(round);
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        qsort(us[i], rounds, sizeof(double), by_value);
        if (us[i][0] > 0) printf("%s %.3f\n", names[i], us[i][rounds / 2]);
    }
    return 0;
}
