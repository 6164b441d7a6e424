/* SPDX-License-Identifier: MIT
 *
 * A file that is compressed on its way: a file stream reads it, the response's filter compresses it,
 * and the reader waits whenever the client does. Either of the two may be closed first.
 */
#include <rondo/error.h>
#include <rondo/file_stream.h>
#include <rondo/handle.h>
#include <unistd.h>

#include "http/files/files.h"
#include "http/server/response.h"
#include "loop/memory.h"

typedef struct squeeze {
    rondo_http_response *response; /* NULL: it is closed */
    rondo_stream *reader;
} squeeze;

static void on_data(rondo_stream *reader, rondo_slice chunk, void *arg) {
    squeeze *state = arg;
    int result = state->response ? rondo_http_response_write(state->response, chunk) : 0;

    if (result == 0) rondo_pause(reader);
    if (result < 0 && state->response) rondo_close(state->response);
}

static void on_drain(rondo_http_response *response, void *arg) {
    (void)response;
    rondo_resume(((squeeze *)arg)->reader);
}

/* A file that has become shorter does not keep what the head has promised: this says so. */
static void on_end(rondo_stream *reader, void *arg) {
    squeeze *state = arg;
    (void)reader;
    if (state->response) rondo_http_response_end(state->response);
}

static void on_error(rondo_stream *reader, int error, void *arg) {
    squeeze *state = arg;
    (void)reader, (void)error;
    if (state->response) rondo_close(state->response);
}

static void on_aborted(rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_close(response);
}

static void on_response_closed(rondo_handle *response, void *arg) {
    squeeze *state = arg;
    (void)response;
    state->response = NULL;
    rondo_close(state->reader);
}

static void on_reader_closed(rondo_handle *reader, void *arg) {
    squeeze *state = arg;
    (void)reader;
    if (state->response) {
        rondo_off_close(state->response, on_response_closed, state);
        rondo_close(state->response); /* harmless when it has been ended */
    }
    rondo__free(state);
}

static int open_reader(squeeze *state, int fd, uint64_t size) {
    rondo_loop *loop = rondo_handle_loop(state->response);
    int result = rondo_file_reader_take(loop, fd, 0, (int64_t)size, &state->reader);

    if (result < 0) return result;
    /* The first listener of an event never fails. */
    rondo_on_close(state->reader, on_reader_closed, state);
    rondo_stream_on_end(state->reader, on_end, state);
    rondo_stream_on_error(state->reader, on_error, state);
    rondo_stream_on_data(state->reader, on_data, state);
    return 0;
}

int rondo__files_squeeze(rondo_http_response *response, int fd, uint64_t size) {
    squeeze *state = rondo__alloc(sizeof *state);
    int result = state ? 0 : RONDO_ENOMEM;

    if (result == 0) {
        state->response = response;
        result = rondo_on_close(response, on_response_closed, state);
    }
    if (result == 0) {
        result = open_reader(state, fd, size);
        if (result < 0) rondo_off_close(response, on_response_closed, state);
    }
    if (result < 0) {
        close(fd);
        rondo__free(state);
        return result;
    }
    rondo_http_response_on_drain(response, on_drain, state);
    rondo_http_response_on_aborted(response, on_aborted, state);
    return 0;
}
