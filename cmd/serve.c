/* SPDX-License-Identifier: MIT
 *
 * `rondo serve`: the files of a directory over HTTP, until Ctrl-C.
 */
#include "cmd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long the end of the log waits for a standard output that takes nothing. */
#define OUT_LAST_MS 1000

/* The state of the one server of this process. */
typedef struct serve {
    serve_options options;
    rondo_loop *loop;
    rondo_http_files *files;
    listeners listeners;
    rondo_stream *out; /* the standard output; NULL if quiet, and once it has failed */
    rondo_signal *signals[3];
    bool stopping, ended;
} serve;

/* ---- starting ---- */

static int open_directory(serve *s) {
    const char *name = s->options.directory;
    int error = rondo_http_files_new(s->loop, name, &s->files);

    switch (error) {
    case 0: return EXIT_OK;
    case RONDO_ENOENT: complain("there is no directory '%s'; name one that exists", name); break;
    case RONDO_ENOTDIR: complain("'%s' is not a directory; name the one it is in", name); break;
    case RONDO_EACCES: complain("no permission to read the directory '%s'", name); break;
    default: complain("can't open the directory '%s': %s", name, rondo_error_text(error)); break;
    }
    return EXIT_RUNTIME;
}

/* The files are read now, and again at SIGHUP. */
static int open_tls(serve *s) {
    rondo_tls_context *tls;
    int error = rondo_tls_context_new(RONDO_TLS_SERVER, &tls);

    if (error < 0) {
        complain("there is no TLS: %s", rondo_error_text(error));
        return EXIT_RUNTIME;
    }
    s->listeners.tls = tls;
    if (rondo_tls_add_certificate_file(tls, s->options.certificate, s->options.key) < 0 ||
        rondo_tls_set_alpn(tls, "http/1.1") < 0) {
        complain("can't use the certificate: %s", rondo_tls_context_error(tls));
        return EXIT_RUNTIME;
    }
    return EXIT_OK;
}

static void on_log_error(rondo_http_log *log, int error, void *arg) {
    const serve *s = arg;

    (void)log;
    complain("can't write the log '%s': %s; serving goes on without it", s->options.log,
             rondo_error_text(error));
}

/* ---- the standard output ---- */

static void on_out_error(rondo_stream *out, int error, void *arg) {
    (void)out;
    if (((const serve *)arg)->ended)
        complain("the last lines of the log are lost: %s", rondo_error_text(error));
    else
        complain("can't write the log: %s; serving goes on without it", rondo_error_text(error));
}

static void on_out_close(rondo_handle *out, void *arg) {
    (void)out;
    ((serve *)arg)->out = NULL;
}

/* Through a stream, so that a terminal that somebody has stopped, or a pipe that nobody reads, holds up
 * nothing but the lines. What has been printed so far is out. */
static int open_out(serve *s) {
    int error = rondo_stdio_open(s->loop, 1, &s->out);

    if (error == 0) {
        rondo_unref(s->out);
        rondo_stream_on_error(s->out, on_out_error, s); /* the first: can't fail */
        rondo_on_close(s->out, on_out_close, s);
        if (s->options.log == NULL)
            error = rondo_http_log_on(s->out, s->options.log_format, &s->listeners.log);
    }
    if (error == 0) return EXIT_OK;
    complain("can't use the standard output: %s; try --quiet", rondo_error_text(error));
    return EXIT_RUNTIME;
}

static void on_out_late(rondo_timer *timer, void *arg) {
    const serve *s = arg;

    (void)timer;
    if (s->out != NULL) rondo_destroy(s->out, RONDO_ETIMEDOUT);
}

/* The last lines, if somebody takes them soon. */
static void finish_out(serve *s) {
    rondo_timer *timer = rondo_timer_new(s->loop);

    s->ended = true;
    if (timer == NULL) return;
    rondo_unref(timer);
    rondo_timer_start(timer, OUT_LAST_MS, 0, on_out_late, s);
    rondo_ref(s->out);
    rondo_end(s->out);
    rondo_loop_run(s->loop, RONDO_RUN_ALL);
}

/* ---- the log's file ---- */

/* Tried here, so that a wrong name is told at once; the log itself would only try again. Nothing waits for
 * the reader of a FIFO: no signal would end that. */
static int open_log(serve *s) {
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK;
    int fd = rondo_fs_open_sync(s->options.log, flags, 0640);
    int error = fd < 0 ? fd : 0;

    if (fd >= 0) rondo_fs_close_sync(fd);
    if (error == 0)
        error =
            rondo_http_log_open(s->loop, s->options.log, s->options.log_format, &s->listeners.log);
    if (error == 0) error = rondo_http_log_on_error(s->listeners.log, on_log_error, s);
    if (error == 0) return EXIT_OK;
    complain("can't open the log '%s': %s", s->options.log,
             error == RONDO_ENXIO ? "nobody reads it" : rondo_error_text(error));
    return EXIT_RUNTIME;
}

static int set_files(serve *s) {
    rondo_http_files_options options = {
        .fallback = s->options.spa ? "index.html" : NULL,
        .listing = s->options.list,
        .precompressed = s->options.gzip,
    };
    int error = rondo_http_files_set_options(s->files, &options);

    if (error == 0) return EXIT_OK;
    complain("can't serve the directory so: %s", rondo_error_text(error));
    return EXIT_RUNTIME;
}

/* ---- running ---- */

/* What scripts of any page may do: read, with ranges and conditions. No credentials: a server that
 * gave answers for those away would be asked by every page its users visit. */
static void add_cors(rondo_http_response *response, bool preflight) {
    rondo_http_response_header(response, "Access-Control-Allow-Origin", "*");
    rondo_http_response_header(response, "Access-Control-Expose-Headers",
                               "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, "
                               "ETag");
    if (!preflight) return;
    rondo_http_response_header(response, "Access-Control-Allow-Methods", "GET, HEAD");
    rondo_http_response_header(response, "Access-Control-Allow-Headers",
                               "If-Match, If-Modified-Since, If-None-Match, If-Range, "
                               "If-Unmodified-Since, Range");
    rondo_http_response_header(response, "Access-Control-Max-Age", "86400");
}

static bool is_preflight(const rondo_http_request *request) {
    rondo_slice method = rondo_http_request_method(request);

    return method.len == 7 && memcmp(method.data, "OPTIONS", 7) == 0 &&
           rondo_http_request_header(request, "Access-Control-Request-Method").data != NULL;
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    const serve *s = arg;
    bool preflight = s->options.cors && is_preflight(request);

    for (size_t i = 0; i < s->options.field_count; i++)
        rondo_http_response_header(response, s->options.fields[i].name, s->options.fields[i].value);
    if (s->options.cors) add_cors(response, preflight);
    if (preflight)
        rondo_http_response_end(response); /* 204 */
    else
        rondo_http_files_serve(request, response, s->files);
}

static void on_stop(rondo_signal *handle, int signum, void *arg) {
    serve *s = arg;

    (void)handle;
    if (s->stopping) _exit(128 + signum);
    s->stopping = true;
    for (size_t i = 0; i < s->listeners.count; i++)
        rondo_http_server_drain(s->listeners.servers[i], s->options.drain_timeout_ms);
    static const char text[] =
        "stopping when the requests in flight are done; Ctrl-C again stops at once\n";
    if (s->out != NULL) rondo_write(s->out, rondo_slice_text(text));
}

static void on_reload(rondo_signal *handle, int signum, void *arg) {
    const serve *s = arg;

    (void)handle;
    (void)signum;
    if (s->listeners.tls != NULL && rondo_tls_reload(s->listeners.tls) < 0)
        complain("the certificate stays as it was: %s", rondo_tls_context_error(s->listeners.tls));
    if (s->options.log != NULL && rondo_http_log_reopen(s->listeners.log) < 0)
        complain("the log stays as it was: out of memory");
}

/* The servers alone keep the loop alive, so that the loop ends when they have drained. */
static int start_watching(serve *s) {
    static const struct {
        int signum;
        rondo_signal_cb cb;
    } signals[] = {{SIGINT, on_stop}, {SIGTERM, on_stop}, {SIGHUP, on_reload}};
    /* With nothing to read again, SIGHUP is what a terminal says when it goes: it ends the process. */
    int count = s->options.certificate != NULL || s->options.log != NULL ? 3 : 2;
    for (int i = 0; i < count; i++) {
        s->signals[i] = rondo_signal_new(s->loop);
        if (s->signals[i] == NULL ||
            rondo_signal_start(s->signals[i], signals[i].signum, signals[i].cb, s) != 0)
            return EXIT_RUNTIME;
        rondo_unref(s->signals[i]);
    }
    return EXIT_OK;
}

static int run(serve *s) {
    int status;

    s->loop = rondo_loop_new();
    if (s->loop == NULL || start_watching(s) != EXIT_OK) {
        complain("can't start: out of memory or of file descriptors");
        return EXIT_RUNTIME;
    }
    s->listeners.loop = s->loop;
    s->listeners.on_request = on_request;
    s->listeners.arg = s;
    s->listeners.compress = s->options.gzip;
    s->listeners.limits.connections = s->options.max_connections;
    s->listeners.limits.connections_per_address = s->options.max_per_address;
    status = open_directory(s);
    if (status == EXIT_OK) status = set_files(s);
    if (status == EXIT_OK && s->options.certificate != NULL) status = open_tls(s);
    if (status == EXIT_OK && s->options.log != NULL) status = open_log(s);
    if (status == EXIT_OK && !s->options.quiet) status = open_out(s);
    if (status == EXIT_OK) status = listen_somewhere(&s->listeners, &s->options);
    if (status == EXIT_OK) status = announce(&s->listeners, &s->options);
    if (status != EXIT_OK) return status;
    rondo_loop_run(s->loop, RONDO_RUN_ALL);
    if (s->listeners.log != NULL) { /* by itself, so that it can write what it has */
        rondo_close(s->listeners.log);
        rondo_loop_run(s->loop, RONDO_RUN_ALL);
    }
    if (s->out != NULL) finish_out(s);
    return EXIT_OK;
}

static int serve_with(serve *s) {
    if (s->options.help) {
        fputs(serve_help, stdout);
        return flush_stdout();
    }
    if (s->options.show_config) return show_serve_options(&s->options);
    int status = run(s);
    if (s->loop != NULL) {
        rondo_loop_close_all(s->loop);
        rondo_loop_run(s->loop, RONDO_RUN_ALL);
        rondo_http_files_free(s->files);
        rondo_tls_context_free(s->listeners.tls);
        rondo_loop_free(s->loop);
    }
    return status;
}

int serve_main(int argc, char **argv) {
    serve s = {0};
    int status = parse_serve_options(argc, argv, &s.options);

    if (status == EXIT_OK) status = serve_with(&s);
    free_serve_options(&s.options);
    return status;
}
