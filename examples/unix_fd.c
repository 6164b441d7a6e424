/* SPDX-License-Identifier: MIT
 *
 * Passes an open file from one process to another: `unix_fd serve @NAME FILE` hands FILE, open for
 * reading, to every client of the same user that connects to the Unix socket; `unix_fd get @NAME`
 * prints what it is handed. The client needs no right to open the file, and never learns its name.
 * The @ is for a name without a file; a path does as well.
 *
 * args: serve @rondo-example-8080 LICENSE
 * run: ${BUILD:-build}/examples/unix_fd get @rondo-example-8080 => MIT License
 */
#include <rondo.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the server ---- */

static void on_connection(rondo_server *server, rondo_stream *client, void *arg) {
    const int *file = arg;
    rondo_credentials who;
    if (rondo_unix_credentials(client, &who) == 0 && who.uid == getuid()) {
        rondo_resume(client); /* nothing will come, but the end */
        rondo_write_fd(client, rondo_slice_text("file"), *file, false);
        rondo_end(client);
    } else {
        rondo_close(client);
    }
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint));
}

static int serve(rondo_loop *loop, const char *name, const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        perror(path);
        return 1;
    }
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, on_connection, &file);
    int error = rondo_server_listen_unix(server, name, 0600);
    if (error) {
        fprintf(stderr, "unix_fd: %s: %s\n", name, rondo_error_text(error));
        rondo_close(server);
    } else {
        rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    close(file);
    return error ? 1 : 0;
}

/* ---- the client ---- */

static void on_fd(rondo_stream *server, int fd, void *arg) {
    rondo_stream *out;
    struct stat about;
    if (fstat(fd, &about) == 0 && rondo_stdio_open(rondo_handle_loop(server), 1, &out) == 0) {
        rondo_write_file(out, fd, 0, (uint64_t)about.st_size, true); /* closes fd */
        rondo_end(out);
    } else {
        close(fd);
    }
    *(int *)arg = 0;
}

static void on_error(rondo_stream *server, int error, void *arg) {
    fprintf(stderr, "unix_fd: %s: %s\n", rondo_name(server), rondo_error_text(error));
}

static int get(rondo_loop *loop, const char *name) {
    int status = 1; /* until a file has come */
    rondo_connect_options options = {.path = name};
    rondo_stream *server = rondo_connect_with(loop, &options);
    rondo_stream_on_error(server, on_error, NULL);
    rondo_stream_on_fd(server, on_fd, &status);
    rondo_resume(server); /* what is not read can't bring a descriptor */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    return status;
}

int main(int argc, char **argv) {
    rondo_loop *loop = rondo_loop_new();
    int status = 2;
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        status = serve(loop, argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "get") == 0)
        status = get(loop, argv[2]);
    else
        fprintf(stderr, "usage: unix_fd serve NAME FILE | unix_fd get NAME\n");
    rondo_loop_free(loop);
    return status;
}
