/* SPDX-License-Identifier: MIT
 *
 * `rondo get`: what a URL names, to standard output or into a file. The body goes from the call to a
 * stream of the loop; when that is full the call is paused, so that a slow reader slows the server down
 * and nothing piles up here.
 */
#include "get.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a client follows unless it is told otherwise (http_client.h). */
#define REDIRECTS_MOST 10

typedef struct get {
    get_options options;
    rondo_loop *loop;
    rondo_http_client *client;
    rondo_http_call *call; /* NULL once it has closed */
    rondo_stream *out;     /* NULL: not open yet, or closed */
    rondo_signal *signals[2];
    get_file before; /* what an earlier run left */
    get_progress progress;
    char *data; /* that is sent */
    size_t data_len;
    int status;    /* the exit status */
    int64_t lacks; /* octets that lie behind the part that the server sends */
    bool dropped;  /* the body is not written */
    bool complete; /* all of it has come */
    int fd;        /* that of out, for the attribute; -1: none */
} get;

static void fail(get *g, int status) {
    if (g->status == EXIT_OK) g->status = status;
}

/* ---- where it goes ---- */

static void on_out_drain(rondo_stream *out, void *arg) {
    get *g = arg;
    (void)out;
    if (g->call) rondo_http_call_resume(g->call);
}

static void on_out_error(rondo_stream *out, int error, void *arg) {
    get *g = arg;
    (void)out;
    if (g->call) rondo_close(g->call);
    fail(g, EXIT_RUNTIME);
    /* A reader that has seen enough is no reason to complain: `rondo get URL | head`. */
    if (error != RONDO_EPIPE || g->options.output)
        complain("can't write to %s: %s", g->options.output ? g->options.output : "the output",
                 rondo_error_text(error));
}

static void on_out_finish(rondo_stream *out, void *arg) {
    get *g = arg;
    (void)out;
    if (g->complete && g->fd >= 0) get_remember(g->fd, NULL); /* nothing is left to go on with */
}

static void on_out_close(rondo_handle *out, void *arg) {
    get *g = arg;
    (void)out;
    g->out = NULL;
}

/* At the end of what is there, or as a new file. A FIFO that nobody reads is an error: waiting for its
 * reader here would hold up Ctrl-C too. */
static int open_file(get *g, bool go_on) {
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | (go_on ? 0 : O_TRUNC);
    int fd = open(g->options.output, flags, 0666);
    if (fd < 0) return rondo_error_from_errno(errno);
    (void)fcntl(fd, F_SETFL, 0); /* it was for the opening only */
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (go_on && lseek(fd, g->before.size, SEEK_SET) < 0) go_on = false;
    int status = rondo_file_writer_take(g->loop, fd, go_on ? g->before.size : -1, 0, &g->out);
    if (status < 0) {
        close(fd);
        if (copy >= 0) close(copy);
        return status;
    }
    g->fd = copy;
    return 0;
}

static bool open_out(get *g, bool go_on) {
    int status = g->options.output ? open_file(g, go_on) : rondo_stdio_open(g->loop, 1, &g->out);
    if (status < 0) {
        complain("can't write to %s: %s", g->options.output ? g->options.output : "the output",
                 status == RONDO_ENXIO ? "nobody reads it" : rondo_error_text(status));
        fail(g, EXIT_RUNTIME);
        return false;
    }
    rondo_on_close(g->out, on_out_close, g);
    rondo_stream_on_drain(g->out, on_out_drain, g);
    rondo_stream_on_error(g->out, on_out_error, g);
    rondo_stream_on_finish(g->out, on_out_finish, g);
    return true;
}

static void put(get *g, rondo_slice data) {
    if (!g->out) return;
    int result = rondo_write(g->out, data);
    if (result == 0 && g->call) rondo_http_call_pause(g->call);
    if (result == RONDO_ENOMEM || result == RONDO_ENOBUFS) rondo_destroy(g->out, result);
}

/* ---- the answer ---- */

static void put_head(get *g, rondo_http_call *call) {
    char line[64];
    rondo_slice name, value, reason = rondo_http_call_reason(call);
    int len = snprintf(line, sizeof line, "HTTP/1.%d %03d ", rondo_http_call_minor(call),
                       rondo_http_call_status(call));
    put(g, rondo_slice_of(line, (size_t)len));
    put(g, reason);
    put(g, rondo_slice_of("\r\n", 2));
    for (size_t i = 0; rondo_http_call_response_header_at(call, i, &name, &value); i++) {
        put(g, name);
        put(g, rondo_slice_of(": ", 2));
        put(g, value);
        put(g, rondo_slice_of("\r\n", 2));
    }
    put(g, rondo_slice_of("\r\n", 2));
}

static void complain_of_status(get *g, rondo_http_call *call) {
    rondo_slice reason = rondo_http_call_reason(call);
    fail(g, EXIT_ANSWER);
    if (!g->options.quiet)
        complain("%s: the server answered %d %.*s", rondo_http_call_url(call),
                 rondo_http_call_status(call), (int)reason.len, reason.data);
}

/* Whether a 206 goes on where the file ends, with the same file. */
static bool judge_part(get *g, rondo_http_call *call) {
    get_range range;
    int64_t length = rondo_http_call_length(call);
    rondo_slice etag = rondo_http_call_response_header(call, "ETag");
    bool good = get_range_read(rondo_http_call_response_header(call, "Content-Range"), &range) &&
                range.first == g->before.size &&
                (length < 0 || length == range.last - range.first + 1);
    if (!good) {
        complain("the server sends another part than the one that was asked for");
    } else if (!get_etag_fits(etag, &g->before)) {
        complain("%s has changed on the server, which sends the rest of the new one: remove it "
                 "to get that whole",
                 g->options.output);
    } else {
        if (range.total >= 0) g->lacks = range.total - 1 - range.last;
        return true;
    }
    fail(g, EXIT_ANSWER);
    return false;
}

/* What an answer to a request for the rest means: true to go on writing, *ret_go_on behind what is there. */
static bool judge_resumed(get *g, rondo_http_call *call, bool *ret_go_on) {
    rondo_slice range = rondo_http_call_response_header(call, "Content-Range");
    int status = rondo_http_call_status(call);
    *ret_go_on = status == 206;
    if (status == 206) return judge_part(g, call);
    if (status == 416 && get_range_complete(range, g->before.size)) {
        if (!g->options.quiet) fprintf(stderr, "%s is complete already\n", g->options.output);
        return false;
    }
    if (status >= 400) {
        complain_of_status(g, call);
        return false;
    }
    return true;
}

static void remember(const get *g, const rondo_http_call *call) {
    char text[sizeof g->before.etag];
    rondo_slice etag = rondo_http_call_response_header(call, "ETag");
    if (g->fd < 0) return;
    bool fits = etag.len > 0 && etag.len < sizeof text;
    if (fits) memcpy(text, etag.data, etag.len);
    text[fits ? etag.len : 0] = '\0';
    get_remember(g->fd, fits ? text : NULL);
}

/* A redirect that was to be followed and is not: too many, from https to http, to what is no URL of http.
 * Its page is not what was asked for. */
static bool is_lost(const get *g, const rondo_http_call *call) {
    int status = rondo_http_call_status(call);
    bool moved = (status >= 301 && status <= 303) || status == 307 || status == 308;
    return moved && !g->options.no_follow && rondo_http_call_response_header(call, "Location").data;
}

static void complain_of_redirect(get *g, const rondo_http_call *call) {
    rondo_slice to = rondo_http_call_response_header(call, "Location");
    fail(g, EXIT_ANSWER);
    if (!g->options.quiet)
        complain("%s: %d is not followed to '%.*s'%s", rondo_http_call_url(call),
                 rondo_http_call_status(call), to.len < 1000 ? (int)to.len : 1000, to.data,
                 rondo_http_call_redirects(call) >= REDIRECTS_MOST ? ": too many redirects" : "");
}

static void on_response(rondo_http_call *call, void *arg) {
    get *g = arg;
    bool go_on = false, wanted = true;
    if (is_lost(g, call)) {
        complain_of_redirect(g, call);
        wanted = !g->options.output;
    } else if (g->before.size > 0) {
        wanted = judge_resumed(g, call, &go_on);
    } else if (rondo_http_call_status(call) >= 400) {
        complain_of_status(g, call);
        wanted = !g->options.output; /* a page about an error is not the file */
    }
    if (!wanted || !open_out(g, go_on)) {
        g->dropped = true;
        rondo_close(call);
        return;
    }
    if (!go_on) g->before.size = 0;
    remember(g, call);
    if (g->options.head) put_head(g, call);
    bool on_screen = !g->options.output && isatty(1);
    if (!g->options.quiet && !on_screen)
        get_progress_begin(&g->progress, g->loop, g->before.size, rondo_http_call_length(call));
}

static void on_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    get *g = arg;
    (void)call;
    g->progress.got += (int64_t)chunk.len;
    put(g, chunk);
}

static void on_end(rondo_http_call *call, void *arg) {
    get *g = arg;
    (void)call;
    g->complete = g->lacks == 0;
    if (g->complete) return;
    get_progress_end(&g->progress);
    complain(
        "the server has sent only a part of the rest, %lld octets are missing; -C goes on from "
        "there",
        (long long)g->lacks);
    fail(g, EXIT_ANSWER);
}

static void on_error(rondo_http_call *call, int error, void *arg) {
    get *g = arg;
    const char *url = *rondo_http_call_url(call) ? rondo_http_call_url(call) : g->options.url;
    const char *words = rondo_http_call_error_text(call);
    const char *stage = rondo_http_stage_text(rondo_http_call_stage(call));
    get_progress_end(&g->progress);
    if (error == RONDO_EINVAL)
        complain("'%s' is no URL of http or https, or the method is none", g->options.url);
    else if (error == RONDO_EPERM && rondo_http_call_status(call) > 0)
        complain("%s: the proxy refuses with %d", url, rondo_http_call_status(call));
    else if (*rondo_http_call_tls_error(call))
        complain("%s: TLS failed: %s", url, words);
    else
        complain("%s: %s (while %s)", url, words, stage);
    if (g->out && g->options.output && g->progress.got > 0)
        complain("%s has what came until then; -C goes on from there", g->options.output);
    fail(g, error == RONDO_EINVAL                              ? EXIT_USAGE
            : error == RONDO_EPROTO || error == RONDO_EMSGSIZE ? EXIT_ANSWER
                                                               : EXIT_RUNTIME);
}

/* Whatever ended it: what has come is written, then the loop has nothing to do any more. */
static void on_call_close(rondo_handle *call, void *arg) {
    get *g = arg;
    (void)call;
    g->call = NULL;
    get_progress_end(&g->progress);
    if (g->out) rondo_end(g->out);
}

/* ---- the request ---- */

/* A file, or standard input, whole. */
static bool read_data(get *g, const char *path) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    size_t size = 0;
    bool good = file != NULL;
    while (good) {
        if (g->data_len == size) {
            char *more = realloc(g->data, size = size ? size * 2 : 65536);
            if (!more) break;
            g->data = more;
        }
        size_t got = fread(g->data + g->data_len, 1, size - g->data_len, file);
        g->data_len += got;
        if (got == 0) break;
    }
    good = good && !ferror(file) && feof(file);
    if (!good) complain("can't read '%s': %s", path, strerror(errno));
    if (file && file != stdin) fclose(file);
    return good;
}

static bool load_data(get *g) {
    const char *data = g->options.data;
    if (!data) return true;
    if (data[0] == '@') return read_data(g, data + 1);
    g->data = strdup(data);
    g->data_len = strlen(data);
    return g->data != NULL;
}

/* "Name: value" */
static int add_field(rondo_http_call *call, char *text) {
    char *colon = strchr(text, ':');
    if (!colon) return RONDO_EINVAL;
    *colon = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    int status = rondo_http_call_header(call, text, value);
    *colon = ':';
    return status;
}

static int add_user(rondo_http_call *call, const char *text) {
    const char *colon = strchr(text, ':');
    char *name = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
    int status =
        name ? rondo_http_call_set_basic_auth(call, name, colon ? colon + 1 : "") : RONDO_ENOMEM;
    free(name);
    return status;
}

/* From where the file ends, and only if it is still the same (RFC 9110 section 13.1.5). */
static int ask_for_rest(get *g) {
    char range[40];
    get_look(g->options.output, &g->before);
    if (g->before.size == 0) return 0;
    snprintf(range, sizeof range, "bytes=%lld-", (long long)g->before.size);
    int status = rondo_http_call_header(g->call, "Range", range);
    if (status == 0 && *g->before.etag)
        status = rondo_http_call_header(g->call, "If-Range", g->before.etag);
    return status;
}

static int set_up_call(get *g) {
    const get_options *given = &g->options;
    int status = 0;
    for (size_t i = 0; i < given->field_count && status == 0; i++) {
        status = add_field(g->call, given->fields[i]);
        if (status < 0) complain("'%s' is no field that can be sent", given->fields[i]);
    }
    if (status == 0 && given->user) status = add_user(g->call, given->user);
    if (status == 0 && given->unix_path) {
        status = rondo_http_call_set_unix(g->call, given->unix_path);
        if (status < 0) complain("'%s' can't be a Unix socket", given->unix_path);
    }
    if (status == 0 && given->resume) status = ask_for_rest(g);
    if (status == 0 && given->no_follow) status = rondo_http_call_set_redirects(g->call, 0);
    if (status == 0 && given->compressed) status = rondo_http_call_set_decode(g->call, true);
    if (status == 0 && given->max_time_ms)
        status = rondo_http_call_set_timeout(g->call, given->max_time_ms);
    return status;
}

static bool begin_call(get *g) {
    const char *method = g->options.method ? g->options.method : g->options.data ? "POST" : "GET";
    g->call = rondo_http_call_new(g->client, method, g->options.url);
    if (!g->call) {
        complain("out of memory");
        return false;
    }
    rondo_http_call_on_response(g->call, on_response, g);
    rondo_http_call_on_data(g->call, on_data, g);
    rondo_http_call_on_end(g->call, on_end, g);
    rondo_http_call_on_error(g->call, on_error, g);
    rondo_on_close(g->call, on_call_close, g);
    int status = set_up_call(g);
    if (status == 0) status = rondo_http_call_send(g->call, rondo_slice_of(g->data, g->data_len));
    if (status < 0) fail(g, status == RONDO_ENOMEM ? EXIT_RUNTIME : EXIT_USAGE);
    return status == 0;
}

/* ---- the client ---- */

static int trust(const get_options *given, rondo_tls_context *context) {
    int status = rondo_tls_set_alpn(context, "http/1.1");
    if (status == 0 && given->trust) status = rondo_tls_add_trust_file(context, given->trust);
    if (status == 0 && given->insecure)
        status = rondo_tls_set_verify(context, RONDO_TLS_VERIFY_NONE);
    return status;
}

static bool set_up_client(get *g) {
    const get_options *given = &g->options;
    rondo_tls_context *context = NULL;
    if (!get_set_proxies(given, g->client)) {
        fail(g, EXIT_USAGE);
        return false;
    }
    if (!given->trust && !given->insecure) return true;
    int status = rondo_tls_context_new(RONDO_TLS_CLIENT, &context);
    if (status == 0) status = trust(given, context);
    if (status == 0) status = rondo_http_client_set_tls(g->client, context);
    if (status < 0) {
        const char *words = context ? rondo_tls_context_error(context) : "";
        complain("can't set up TLS: %s", *words ? words : rondo_error_text(status));
        fail(g, EXIT_RUNTIME);
    }
    rondo_tls_context_free(context);
    return status == 0;
}

/* What has come is written; a second signal does not wait for that. */
static void on_signal(rondo_signal *handle, int signum, void *arg) {
    get *g = arg;
    (void)handle;
    if (g->status > 128) _exit(128 + signum);
    g->status = 128 + signum;
    if (g->call) rondo_close(g->call);
}

static bool watch_signals(get *g) {
    static const int signums[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        g->signals[i] = rondo_signal_new(g->loop);
        if (!g->signals[i] || rondo_signal_start(g->signals[i], signums[i], on_signal, g) != 0)
            return false;
        rondo_unref(g->signals[i]);
    }
    return true;
}

static void run(get *g) {
    g->loop = rondo_loop_new();
    g->client = g->loop ? rondo_http_client_new(g->loop) : NULL;
    if (!g->client || !watch_signals(g)) {
        complain("can't start: out of memory or of file descriptors");
        fail(g, EXIT_RUNTIME);
        return;
    }
    if (!load_data(g)) {
        fail(g, EXIT_RUNTIME);
        return;
    }
    if (set_up_client(g) && begin_call(g)) rondo_loop_run(g->loop, RONDO_RUN_ALL);
}

int get_main(int argc, char **argv) {
    get g = {.fd = -1};
    int status = get_parse(argc, argv, &g.options);
    if (status != EXIT_OK) return status;
    if (g.options.help) {
        fputs(get_help, stdout);
        return flush_stdout();
    }
    run(&g);
    if (g.loop) {
        rondo_loop_close_all(g.loop);
        rondo_loop_run(g.loop, RONDO_RUN_ALL);
        rondo_loop_free(g.loop);
    }
    if (g.fd >= 0) close(g.fd);
    free(g.data);
    return g.status;
}
