/* SPDX-License-Identifier: MIT
 *
 * Uploads straight to disk, with backpressure: upload [PORT [DIR [MOST_BYTES]]].
 *
 *   PUT /NAME   writes the body to DIR/NAME
 *   GET /NAME   sends it back
 *
 * The body goes from the socket to the file piece by piece. When the file's stream has enough queued,
 * the request is paused: the client's window closes, and a disk that is slower than the network costs
 * no memory. What arrives is written under another name and renamed when it is complete and on the
 * disk, so nobody ever sees a half. A client that vanishes, a body that is too long, a disk that is
 * full: all end in the removal of that other name.
 *
 *      open temp ---> write, pause, resume ... ---> sync ---> rename ---> 201
 *          \_____________________|____________________/
 *                                v
 *                     client gone, or error: close, unlink
 *
 * args: 8080 /tmp
 * run: printf 'uploaded' | curl -s -T - http://127.0.0.1:8080/rondo-upload.txt && curl -s http://127.0.0.1:8080/rondo-upload.txt => uploaded
 */
#include <rondo.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MOST 100

typedef struct site {
    rondo_loop *loop;
    const char *directory;
    unsigned uploads; /* so far; for their names */
} site;

/* Exists until its file is renamed or removed. */
typedef struct upload {
    site *site;
    rondo_http_request *request;   /* NULL once the response has been ended */
    rondo_http_response *response; /* the same */
    rondo_stream *file;            /* NULL before it is open, and once it is closing */
    char temporary[PATH_MAX], final[PATH_MAX];
} upload;

/* ---- the ends ---- */

static void reply(rondo_http_response *response, int status, const char *text) {
    rondo_http_response_reply(response, status, "text/plain", rondo_slice_text(text));
}

static void answer(upload *up, int status, const char *text) {
    if (!up->response) return;
    rondo_http_response_on_aborted(up->response, NULL, NULL);
    reply(up->response, status, text);
    up->request = NULL;
    up->response = NULL;
}

static void on_removed(rondo_loop *loop, int64_t result, void *arg) { free(arg); }

/* Whatever went wrong: the file goes. A stream that is closed still has a worker's last piece on its
 * way into it; a name that was removed does not come back by that. */
static void give_up(upload *up) {
    if (up->file) rondo_close(up->file);
    up->file = NULL;
    if (rondo_fs_unlink(up->site->loop, up->temporary, NULL, on_removed, up) == 0) return;
    unlink(up->temporary); /* no memory, no thread: then it has to be here */
    free(up);
}

static void fail(upload *up, int error) {
    bool full = error == RONDO_ENOSPC || error == RONDO_EDQUOT;
    fprintf(stderr, "upload: %s: %s\n", up->final, rondo_error_text(error));
    answer(up, full ? 507 : 500, full ? "the disk is full\n" : "it can't be written\n");
}

/* ---- the file ---- */

static void on_renamed(rondo_loop *loop, int64_t result, void *arg) {
    upload *up = arg;
    if (result < 0) {
        fail(up, (int)result);
        give_up(up);
        return;
    }
    answer(up, 201, "it is there\n");
    free(up);
}

/* All of it is on the disk, and the file is closed. */
static void on_finish(rondo_stream *file, void *arg) {
    upload *up = arg;
    up->file = NULL;
    int error = rondo_fs_rename(up->site->loop, up->temporary, up->final, RONDO_RENAME_REPLACE,
                                NULL, on_renamed, up);
    if (error == 0) return;
    fail(up, error);
    give_up(up);
}

static void on_file_error(rondo_stream *file, int error, void *arg) {
    upload *up = arg;
    up->file = NULL; /* it closes by itself */
    fail(up, error);
    give_up(up);
}

static void on_drain(rondo_stream *file, void *arg) {
    const upload *up = arg;
    if (up->request) rondo_http_request_resume(up->request);
}

/* ---- the request ---- */

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    const upload *up = arg;
    if (rondo_write(up->file, chunk) == 0) rondo_http_request_pause(request);
}

static void on_end(rondo_http_request *request, void *arg) {
    const upload *up = arg;
    rondo_end(up->file);
}

/* The client has gone in the middle of it, or has broken a limit. */
static void on_aborted(rondo_http_response *response, void *arg) {
    upload *up = arg;
    up->request = NULL;
    up->response = NULL;
    rondo_close(response);
    if (up->file) give_up(up); /* else on_open() or on_renamed() is still to come */
}

/* Whether the client is there or not, the file is, and somebody has to see to it. */
static void on_open(rondo_loop *loop, int64_t result, void *arg) {
    upload *up = arg;
    int error = result < 0 ? (int)result : 0;
    if (error == 0)
        error = rondo_file_writer_take(loop, (int)result, 0, RONDO_WRITER_SYNC, &up->file);
    if (error < 0) {
        if (result >= 0) close((int)result);
        fail(up, error);
    }
    if (error < 0 || !up->response) {
        give_up(up);
        return;
    }
    rondo_stream_on_drain(up->file, on_drain, up);
    rondo_stream_on_finish(up->file, on_finish, up);
    rondo_stream_on_error(up->file, on_file_error, up);
    rondo_http_request_resume(up->request);
}

/* A name is a stranger's: what is allowed is what can't be anything but a name. */
static bool is_name(rondo_slice name) {
    if (name.len == 0 || name.len > NAME_MOST || name.data[0] == '.') return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_';
        if (!good) return false;
    }
    return true;
}

static upload *upload_new(site *s, rondo_slice name) {
    upload *up = calloc(1, sizeof *up);
    if (!up) return NULL;
    up->site = s;
    snprintf(up->temporary, sizeof up->temporary, "%s/.upload-%ld-%u", s->directory, (long)getpid(),
             ++s->uploads);
    snprintf(up->final, sizeof up->final, "%s/%.*s", s->directory, (int)name.len, name.data);
    return up;
}

static void on_put(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;
    rondo_slice name = rondo_http_request_param(request, "name");
    if (!is_name(name)) {
        reply(response, 400, "a name has letters, digits, '.', '-' and '_'\n");
        return;
    }
    upload *up = upload_new(s, name);
    if (!up || rondo_fs_open(s->loop, up->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644,
                             NULL, on_open, up) != 0) {
        free(up);
        reply(response, 503, "too much to do, try again\n");
        return;
    }
    up->request = request;
    up->response = response;
    rondo_http_request_pause(request); /* until the file is open */
    rondo_http_request_on_data(request, on_data, up);
    rondo_http_request_on_end(request, on_end, up);
    rondo_http_response_on_aborted(response, on_aborted, up);
}

/* ---- the program ---- */

static void on_interrupt(rondo_signal *handle, int signum, void *server) {
    rondo_http_server_drain(server, 5000);
    rondo_close(handle);
}

int main(int argc, char **argv) {
    char address[64];
    site s = {.loop = rondo_loop_new(), .directory = argc > 2 ? argv[2] : "."};
    rondo_http_limits limits = {.body_bytes = argc > 3 ? (uint64_t)atoll(argv[3]) : 1u << 30};
    rondo_http_files *files;
    rondo_http_router *router = rondo_http_router_new();
    rondo_http_server *server = rondo_http_server_new(s.loop);
    int error = rondo_http_files_new(s.loop, s.directory, &files);
    if (error == 0) error = rondo_http_router_add(router, "PUT", "/:name", on_put, &s);
    if (error == 0) error = rondo_http_router_mount(router, "/", rondo_http_files_serve, files);
    rondo_http_server_set_limits(server, &limits);
    rondo_http_server_on_request(server, rondo_http_router_serve, router);
    if (error == 0)
        error = rondo_http_server_listen(server, "127.0.0.1",
                                         (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
    if (error < 0) {
        fprintf(stderr, "upload: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_signal_start_once(rondo_signal_new(s.loop), SIGINT, on_interrupt, server);
    rondo_http_server_address(server, address, sizeof address);
    printf("upload: listening on %s\n", address);
    fflush(stdout);
    rondo_loop_run(s.loop, RONDO_RUN_ALL);
    rondo_http_files_free(files);
    rondo_http_router_free(router);
    rondo_loop_free(s.loop);
    return 0;
}
