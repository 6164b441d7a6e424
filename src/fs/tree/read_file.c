/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_read_file(): a whole file into memory. Its size is only a first guess at how much there
 * is.
 */
#include <rondo/fs_tree.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/tree/steps.h"
#include "loop/memory.h"

enum { FIRST_BYTES = 4096, PIECE_BYTES = 1024 * 1024, PIECES_PER_STEP = 4 };

typedef struct reading {
    rondo__steps steps;
    int fd;
    char *data;
    size_t len, room; /* room doesn't count the NUL */
    size_t max;
    char path[];
} reading;
RONDO__STEPS_FIT(reading);

static int set_room(reading *r, size_t room) {
    char *data = rondo__realloc(r->data, room + 1);
    if (!data) return RONDO_ENOMEM;
    r->data = data;
    r->room = room;
    return 0;
}

/* One byte more than may be read, so that a read of all of it tells that there is too much. */
static size_t limit(const reading *r) { return r->max + 1; }

static int begin(reading *r) {
    struct stat st;
    int error;
    RONDO__RETRY(r->fd, open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (r->fd < 0) return rondo__errno();
    RONDO__RETRY(error, fstat(r->fd, &st));
    if (error < 0) return rondo__errno();
    if (S_ISDIR(st.st_mode)) return RONDO_EISDIR;
    size_t guess = FIRST_BYTES;
    if (S_ISREG(st.st_mode) && st.st_size > 0) {
        if ((uint64_t)st.st_size > r->max) return RONDO_EFBIG;
        guess = (size_t)st.st_size + 1; /* the last read finds the end in it */
        r->steps.total = (uint64_t)st.st_size;
    }
    return set_room(r, guess < limit(r) ? guess : limit(r));
}

/* Returns 1 when there may be more, 0 at the end. */
static int read_some(reading *r) {
    ssize_t got;
    int error = 0;
    if (r->len == r->room) error = set_room(r, r->room < limit(r) / 2 ? 2 * r->room : limit(r));
    if (error < 0) return error;
    size_t want = r->room - r->len < PIECE_BYTES ? r->room - r->len : PIECE_BYTES;
    RONDO__RETRY(got, read(r->fd, r->data + r->len, want));
    if (got < 0) return rondo__errno();
    r->len += (size_t)got;
    r->steps.done = r->len;
    return r->len > r->max ? RONDO_EFBIG : got > 0;
}

/* What was too much room goes back, if it is worth it. */
static void trim(reading *r) {
    if (r->room - r->len > FIRST_BYTES) set_room(r, r->len); /* as it is, if that fails */
    r->data[r->len] = '\0';
}

static int64_t step(rondo__steps *steps) {
    reading *r = (reading *)steps;
    int more = r->fd >= 0 ? 1 : begin(r);
    if (more < 0) return more;
    for (int i = 0; i < PIECES_PER_STEP; i++) {
        if (rondo__steps_canceled(steps)) return RONDO_ECANCELED;
        more = read_some(r);
        if (more < 0) return more;
        if (more > 0) continue;
        trim(r);
        return 0;
    }
    return RONDO__MORE;
}

static void end(rondo__steps *steps) {
    reading *r = (reading *)steps;
    if (r->fd >= 0) close(r->fd);
}

static void free_reading(rondo__steps *steps) {
    rondo__free(((reading *)steps)->data);
    rondo__free(steps);
}

/* The data is the receiver's from now on. */
static char *hand_over(reading *r) {
    char *data = r->data;
    r->data = NULL;
    return data;
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    reading *r = payload;
    (void)handle;
    if (r->steps.result < 0) {
        ((rondo_fs_contents_cb)fn)(loop, (int)r->steps.result, NULL, 0, arg);
    } else {
        ((rondo_fs_contents_cb)fn)(loop, 0, hand_over(r), r->len, arg);
    }
}

static const rondo__steps_kind kind = {
    .event = {"fs.read_file", told_thunk}, .step = step, .end = end, .free = free_reading};

static reading *make(const char *path, size_t max_bytes) {
    size_t size = strlen(path) + 1;
    reading *r = rondo__steps_new(&kind, sizeof *r + size);
    if (!r) return NULL;
    r->fd = -1;
    r->max = max_bytes < SIZE_MAX - 2 ? max_bytes : SIZE_MAX - 2;
    memcpy(r->path, path, size);
    return r;
}

int rondo_fs_read_file(rondo_loop *loop, const char *path, size_t max_bytes, rondo_job **ret_job,
                       rondo_fs_contents_cb cb, void *arg) {
    if (!cb || !path) return RONDO_EINVAL;
    rondo__steps *steps = (rondo__steps *)make(path, max_bytes);
    return rondo__steps_start(loop, steps, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_read_file_sync(const char *path, size_t max_bytes, char **ret_data, size_t *ret_len) {
    if (!path || !ret_data || !ret_len) return RONDO_EINVAL;
    reading *r = make(path, max_bytes);
    int64_t result = rondo__steps_run((rondo__steps *)r);
    if (result >= 0) {
        *ret_len = r->len;
        *ret_data = hand_over(r);
    }
    rondo__steps_free((rondo__steps *)r);
    return (int)result;
}
