/* SPDX-License-Identifier: MIT
 *
 * The public calls of file_stream.h: from a path or a descriptor to a stream.
 */
#include <rondo/error.h>
#include <rondo/file_stream.h>

#include <fcntl.h>
#include <string.h>

#include "loop/memory.h"
#include "net/file/file.h"

static rondo__file *new_file(rondo_loop *loop, const char *path, bool writes) {
    size_t path_size = path ? strlen(path) + 1 : 1;
    rondo__file *file = rondo__zalloc(sizeof *file + path_size);
    if (!file) return NULL;
    memcpy(file->path, path ? path : "", path_size);
    rondo__task_init(&file->again, rondo__file_again);
    file->loop = loop;
    file->writes = writes;
    file->fd = file->source = -1;
    file->left = INT64_MAX;
    return file;
}

/* A stream on the file, with the direction that it lacks over from the start. Takes the file over on
 * success only. */
static rondo_stream *new_stream(rondo__file *file, bool opening, const char *site) {
    rondo_stream *stream = rondo__stream_new_opening(file->loop, NULL, site);
    if (!stream) return NULL;
    stream->flags &= ~(uint32_t)RONDO__SOCKET;
    if (!opening) stream->flags &= ~(uint32_t)(RONDO__OPENING | RONDO__BLOCKED);
    stream->flags |= file->writes ? RONDO__EOF : RONDO__ENDED | RONDO__SHUT | RONDO__FINISHED;
    if (file->writes) stream->extra->mark = RONDO__FILE_PIECE;
    rondo__stream_set_transport(stream, file->writes ? &rondo__file_writer : &rondo__file_reader,
                                file);
    file->stream = stream;
    return stream;
}

static int open_path(rondo__file *file, rondo_stream **ret_stream, const char *site) {
    rondo_stream *stream = new_stream(file, true, site);
    if (!stream) {
        rondo__free(file);
        return RONDO_ENOMEM;
    }
    int status = rondo__file_start_opening(file);
    if (status == 0)
        *ret_stream = stream;
    else
        rondo__stream_discard(stream); /* and the file with it */
    return status;
}

static int take_fd(rondo__file *file, int fd, rondo_stream **ret_stream, const char *site) {
    rondo__net *net = rondo__net_make(file->loop);
    int status = net ? 0 : RONDO_ENOMEM;
    if (status == 0 && rondo__net_claimed(net, fd)) status = RONDO_EEXIST;
    if (status == 0) status = rondo__file_adopt(fd, file->writes);
    if (status == 0) status = rondo__net_claim(net, fd);
    if (status < 0) {
        rondo__free(file);
        return status;
    }
    rondo_stream *stream = new_stream(file, false, site);
    if (!stream) {
        rondo__net_unclaim(net, fd);
        rondo__free(file);
        return RONDO_ENOMEM;
    }
    file->fd = fd;
    file->claimed = true;
    file->cache = rondo__file_cache_of(fd);
    *ret_stream = stream;
    return 0;
}

int rondo__file_take_standard(rondo_loop *loop, int fd, bool writes,
                              void (*leave)(rondo_stream *stream), rondo_stream **ret_stream,
                              const char *site) {
    rondo__file *file = new_file(loop, NULL, writes);
    if (!file) return RONDO_ENOMEM;
    file->offset = -1;
    file->standard = true;
    file->leave = leave;
    int status = take_fd(file, fd, ret_stream, site);
    if (status == 0 && writes) rondo__handle_deactivate(&(*ret_stream)->base);
    return status;
}

/* ---- readers ---- */

static int new_reader(rondo_loop *loop, const char *path, int64_t offset, int64_t length,
                      rondo__file **ret_file) {
    if (offset < -1 || length < -1) return RONDO_EINVAL;
    if (offset > 0 && length > INT64_MAX - offset) return RONDO_EINVAL;
    rondo__file *file = new_file(loop, path, false);
    if (!file) return RONDO_ENOMEM;
    file->offset = offset;
    if (length >= 0) file->left = (uint64_t)length;
    *ret_file = file;
    return 0;
}

int rondo_file_reader_open_at(rondo_loop *loop, const char *path, int64_t offset, int64_t length,
                              rondo_stream **ret_stream, const char *site) {
    rondo__file *file;
    rondo__loop_check(loop, "rondo_file_reader_open");
    int status = path ? new_reader(loop, path, offset, length, &file) : RONDO_EINVAL;
    if (status < 0) return status;
    file->open_flags = O_RDONLY;
    return open_path(file, ret_stream, site);
}

int rondo_file_reader_take_at(rondo_loop *loop, int fd, int64_t offset, int64_t length,
                              rondo_stream **ret_stream, const char *site) {
    rondo__file *file;
    rondo__loop_check(loop, "rondo_file_reader_take");
    if (fd < 0) return RONDO_EBADF;
    int status = new_reader(loop, NULL, offset, length, &file);
    return status < 0 ? status : take_fd(file, fd, ret_stream, site);
}

/* ---- writers ---- */

static const struct {
    unsigned flag;
    int bits;
} open_bits[] = {{RONDO_WRITER_CREATE, O_CREAT},
                 {RONDO_WRITER_TRUNCATE, O_TRUNC},
                 {RONDO_WRITER_EXCLUSIVE, O_EXCL},
                 {RONDO_WRITER_APPEND, O_APPEND},
                 {RONDO_WRITER_SYNC, 0}};

/* For open(2), or RONDO_EINVAL. */
static int open_flags_of(unsigned flags) {
    int bits = O_WRONLY;
    for (size_t i = 0; i < sizeof open_bits / sizeof *open_bits; i++) {
        if (flags & open_bits[i].flag) bits |= open_bits[i].bits;
        flags &= ~open_bits[i].flag;
    }
    bool alone = (bits & O_EXCL) && !(bits & O_CREAT); /* undefined, says open(2) */
    return flags || alone ? RONDO_EINVAL : bits;
}

int rondo_file_writer_open_at(rondo_loop *loop, const char *path, unsigned flags, uint32_t mode,
                              rondo_stream **ret_stream, const char *site) {
    rondo__loop_check(loop, "rondo_file_writer_open");
    int bits = open_flags_of(flags);
    if (!path || bits < 0) return RONDO_EINVAL;
    rondo__file *file = new_file(loop, path, true);
    if (!file) return RONDO_ENOMEM;
    file->offset = -1;
    file->open_flags = bits;
    file->mode = mode;
    file->sync = (flags & RONDO_WRITER_SYNC) != 0;
    return open_path(file, ret_stream, site);
}

int rondo_file_writer_take_at(rondo_loop *loop, int fd, int64_t offset, unsigned flags,
                              rondo_stream **ret_stream, const char *site) {
    rondo__loop_check(loop, "rondo_file_writer_take");
    if (fd < 0) return RONDO_EBADF;
    if (offset < -1 || (flags & ~(unsigned)RONDO_WRITER_SYNC)) return RONDO_EINVAL;
    rondo__file *file = new_file(loop, NULL, true);
    if (!file) return RONDO_ENOMEM;
    file->offset = offset;
    file->sync = (flags & RONDO_WRITER_SYNC) != 0;
    return take_fd(file, fd, ret_stream, site);
}
