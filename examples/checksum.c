/* SPDX-License-Identifier: MIT
 *
 * sha256sum of whole trees, in parallel: files are read on the pool's fs lane and each piece is hashed
 * on its cpu lane, so that the disk and all cores are busy at the same time. A group keeps it to
 * UNDER_WAY files at once, however many there are: that bounds the memory and the descriptors.
 *
 *   build/examples/checksum PATH...     prints what sha256sum(1) does for the files in them, sorted
 *
 * args: examples/checksum.c
 * prints:   examples/checksum.c
 */
#define _GNU_SOURCE
#include <rondo.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "sha256.h"

enum { UNDER_WAY = 16, PIECE = 262144, ROOM = 1024 };

typedef struct file {
    char *path;
    rondo_group *group;
    int fd, error;
    bool over;
    size_t len; /* of the piece; 0 at the end */
    unsigned char *piece;
    sha256 sha;
} file;

static file *files;
static size_t file_count, printed;
static int failures;

static void end_file(file *f) {
    if (f->error) fprintf(stderr, "checksum: %s: %s\n", f->path, rondo_error_text(f->error));
    failures += f->error != 0;
    f->over = true;
    free(f->piece);
    rondo_group_leave(f->group);
    /* Lines come in the order of the files: one that is ready may wait for those before it. */
    for (; printed < file_count && files[printed].over; printed++) {
        f = &files[printed];
        if (f->error) continue;
        for (int i = 0; i < 8; i++) printf("%08x", (unsigned)f->sha.h[i]);
        printf("  %s\n", f->path);
    }
}

/* On a worker of the fs lane, where it may wait for the disk. Nobody else touches f meanwhile. */
static int64_t read_piece(rondo_job *job, void *arg) {
    file *f = arg;
    if (f->fd < 0) f->fd = rondo_fs_open_sync(f->path, O_RDONLY, 0);
    if (f->fd < 0) return f->fd;
    int64_t len = rondo_fs_read_sync(f->fd, f->piece, PIECE, -1);
    if (len <= 0) rondo_fs_close_sync(f->fd);
    return len;
}

/* On a worker of the cpu lane. */
static int64_t hash_piece(rondo_job *job, void *arg) {
    file *f = arg;
    f->len > 0 ? sha256_add(&f->sha, f->piece, f->len) : sha256_end(&f->sha);
    return 0;
}

static void on_read(rondo_loop *loop, int64_t result, void *arg);

static void read_more(rondo_loop *loop, file *f) {
    f->error = rondo_work_submit(loop, rondo_lane_fs(loop), NULL, read_piece, on_read, f);
    if (f->error) end_file(f);
}

static void on_hashed(rondo_loop *loop, int64_t result, void *arg) {
    file *f = arg;
    f->len > 0 ? read_more(loop, f) : end_file(f);
}

static void on_read(rondo_loop *loop, int64_t result, void *arg) {
    file *f = arg;
    f->len = result > 0 ? (size_t)result : 0;
    if (result >= 0)
        result = rondo_work_submit(loop, rondo_lane_cpu(loop), NULL, hash_piece, on_hashed, f);
    f->error = (int)result;
    if (f->error) end_file(f);
}

/* Its turn in the group: so many files are open and have a piece of memory, and not more. */
static void start(rondo_group *group, void *arg) {
    file *f = arg;
    f->group = group;
    f->fd = -1;
    f->piece = malloc(PIECE);
    sha256_begin(&f->sha);
    f->piece ? read_more(rondo_handle_loop(group), f) : exit(1);
}

static void on_done(rondo_group *group, void *arg) { rondo_close(group); }

static int collect(const char *path, const struct stat *st, int type, struct FTW *where) {
    if (type != FTW_F || !S_ISREG(st->st_mode)) return 0; /* a FIFO would keep a worker for ever */
    if (file_count % ROOM == 0) files = realloc(files, (file_count + ROOM) * sizeof *files);
    files[file_count++] = (file){.path = strdup(path)};
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const file *)a)->path, ((const file *)b)->path);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: checksum PATH...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], collect, 64, FTW_PHYS) != 0) perror(argv[i]), failures++;
    if (file_count == 0) return failures > 0;
    qsort(files, file_count, sizeof *files, by_path);

    rondo_loop *loop = rondo_loop_new();
    rondo_group *group = rondo_group_new(loop, UNDER_WAY);
    rondo_group_on_done(group, on_done, NULL);
    rondo_group_set_bound(group, file_count); /* they are all in memory already */
    for (size_t i = 0; i < file_count; i++) rondo_group_run(group, start, NULL, &files[i]);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    if (fflush(stdout) != 0 || ferror(stdout)) perror("checksum"), failures++;
    return failures > 0;
}
