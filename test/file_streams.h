/* SPDX-License-Identifier: MIT
 *
 * For tests of file streams: files with the bytes of byte_at(), on the disk or in memory only, and
 * streams on them whose events are noted.
 */
#ifndef TEST_FILE_STREAMS_H
#define TEST_FILE_STREAMS_H

#include "faults.h"
#include "streams.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* A file of the test's own, named in `path`, with `size` bytes of byte_at(). */
typedef struct disk_file {
    char path[64];
} disk_file;

STREAMS_HELPER disk_file new_disk_file(size_t size) {
    disk_file file;
    char *bytes = new_bytes(size);
    snprintf(file.path, sizeof file.path, "/tmp/rondo-test-XXXXXX");
    int fd = mkstemp(file.path);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, size), size);
    close(fd);
    free(bytes);
    return file;
}

STREAMS_HELPER void remove_file(const disk_file *file) { CHECK_INT(unlink(file->path), 0); }

STREAMS_HELPER size_t size_of_file(const disk_file *file) {
    struct stat st;
    CHECK_INT(stat(file->path, &st), 0);
    return (size_t)st.st_size;
}

/* What is in the file, 0-terminated; yours to free. */
STREAMS_HELPER char *contents(const disk_file *file, size_t *ret_size) {
    size_t size = size_of_file(file);
    char *bytes = malloc(size + 1);
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    CHECK(bytes && fd >= 0);
    CHECK_INT(read(fd, bytes, size), size);
    close(fd);
    bytes[size] = '\0';
    if (ret_size) *ret_size = size;
    return bytes;
}

STREAMS_HELPER void check_contents(const disk_file *file, size_t size) {
    size_t len;
    char *bytes = contents(file, &len);
    check_bytes(bytes, len, size);
    free(bytes);
}

STREAMS_HELPER void check_text(const disk_file *file, const char *want) {
    char *bytes = contents(file, NULL);
    CHECK_STR(bytes, want);
    free(bytes);
}

/* An open file in memory, with the bytes of byte_at(), at its beginning. */
STREAMS_HELPER int new_memory_file(size_t size) {
    char *bytes = new_bytes(size);
    int fd = memfd_create("test", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, size), size);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    free(bytes);
    return fd;
}

STREAMS_HELPER bool fd_is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* /tmp is a tmpfs here: its files are memory, and nothing has to be fetched. */
STREAMS_HELPER bool is_memory(const disk_file *file) {
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    bool memory = fcntl(fd, F_GET_SEALS) >= 0;
    close(fd);
    return memory;
}

/* Whether the file system of /tmp can say what is in the page cache. */
STREAMS_HELPER bool cache_can_tell(const disk_file *file) {
    char byte;
    struct iovec part = {&byte, 1};
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    ssize_t count = preadv2(fd, &part, 1, 0, RWF_NOWAIT);
    close(fd);
    return count >= 0 || is_memory(file);
}

/* From now on nothing is in the page cache, as far as the library can see. */
STREAMS_HELPER void cache_nothing(void) { faults_every(CALL_preadv2, 1, EAGAIN); }
/* ... and no file system can say what is. */
STREAMS_HELPER void cache_unknown(void) { faults_every(CALL_preadv2, 1, EOPNOTSUPP); }

/* Where the bytes come from: the page cache, a worker, or a worker of a file system that can't tell. */
enum { CACHED, COLD, UNKNOWN, WAYS };

STREAMS_HELPER void use_way(int way) {
    faults_clear();
    if (way == COLD) cache_nothing();
    if (way == UNKNOWN) cache_unknown();
}

STREAMS_HELPER rondo_stream *open_reader(rondo_loop *loop, const char *path, int64_t offset,
                                         int64_t length) {
    rondo_stream *stream = NULL;
    CHECK_INT(rondo_file_reader_open(loop, path, offset, length, &stream), 0);
    return stream;
}

STREAMS_HELPER rondo_stream *take_reader(rondo_loop *loop, int fd, int64_t offset, int64_t length) {
    rondo_stream *stream = NULL;
    CHECK_INT(rondo_file_reader_take(loop, fd, offset, length, &stream), 0);
    return stream;
}

STREAMS_HELPER rondo_stream *open_writer(rondo_loop *loop, const char *path, unsigned flags) {
    rondo_stream *stream = NULL;
    CHECK_INT(rondo_file_writer_open(loop, path, flags, 0600, &stream), 0);
    return stream;
}

STREAMS_HELPER rondo_stream *take_writer(rondo_loop *loop, int fd, int64_t offset) {
    rondo_stream *stream = NULL;
    CHECK_INT(rondo_file_writer_take(loop, fd, offset, 0, &stream), 0);
    return stream;
}

TRACE_CALLBACK note_connect(rondo_stream *stream, void *arg) { note("connect"); }

/* Everything, `data` into `got`. */
STREAMS_HELPER void hear_all(rondo_stream *stream, received *got) {
    note_events(stream);
    CHECK_INT(rondo_stream_on_connect(stream, note_connect, NULL), 0);
    if (got) CHECK_INT(rondo_stream_on_data(stream, receive_data, got), 0);
}

#endif
