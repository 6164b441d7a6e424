/* SPDX-License-Identifier: MIT
 *
 * The HTTP client when memory runs out, or a system call fails, at any point: each call ends exactly
 * once, and nothing stays.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "http_origin.h"

/* A whole life: a redirect, a body each way, a call that is paused, one that is upgraded. */

typedef struct story {
    int closes, ends, errors, sent;
    rondo_stream *taken;
    int stream_closes;
} story;

static void told_end(rondo_http_call *call, void *arg) { (void)call, ((story *)arg)->ends++; }
static void told_error(rondo_http_call *call, int error, void *arg) {
    (void)call, (void)error;
    ((story *)arg)->errors++;
}
static void told_close(rondo_handle *call, void *arg) { (void)call, ((story *)arg)->closes++; }
static void stream_closed(rondo_handle *stream, void *arg) {
    (void)stream;
    ((story *)arg)->taken = NULL;
    ((story *)arg)->stream_closes++;
}
static void told_stream_error(rondo_stream *stream, int error, void *arg) {
    (void)stream, (void)error, (void)arg;
}
static void told_response(rondo_http_call *call, void *arg) {
    story *s = arg;
    if (rondo_http_call_status(call) != 101) return;
    if (rondo_http_call_upgrade(call, &s->taken) < 0) return;
    rondo_on_close(s->taken, stream_closed, s);
    rondo_stream_on_error(s->taken, told_stream_error, s);
}

static rondo_http_call *make(world *w, story *s, const char *method, const char *target) {
    rondo_http_call *call = rondo_http_call_new(w->client, method, at(w, target));
    if (!call) return NULL;
    rondo_http_call_on_response(call, told_response, s);
    rondo_http_call_on_end(call, told_end, s);
    rondo_http_call_on_error(call, told_error, s);
    CHECK_INT(rondo_on_close(call, told_close, s), 0);
    s->sent++;
    return call;
}

/* Closes one that could not be sent. */
static void begun(rondo_http_call *call, int status) {
    CHECK(status == 0 || status == RONDO_ENOMEM);
    if (status < 0) rondo_close(call);
}

/* The server answers whatever has come, in as many turns as it takes. */
typedef struct servers {
    int fds[16], count;
    char data[16][4096];
    size_t len[16];
} servers;

static void serve(world *w, servers *all) {
    for (int turn = 0; turn < 14; turn++) {
        rondo_loop_run(w->loop, RONDO_RUN_NOWAIT);
        int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            CHECK(all->count < 16);
            all->len[all->count] = 0;
            all->fds[all->count++] = fd;
        }
        for (int i = 0; i < all->count; i++) {
            char *data = all->data[i];
            ssize_t got = recv(all->fds[i], data + all->len[i], 4095 - all->len[i], 0);
            if (got <= 0) continue;
            all->len[i] += (size_t)got;
            data[all->len[i]] = '\0';
            const char *answer = NULL;
            if (strstr(data, "GET /moved") && strstr(data, "\r\n\r\n"))
                answer = "HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 1\r\n\r\n.";
            else if (strstr(data, "GET /up") && strstr(data, "\r\n\r\n"))
                answer = "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\nbehind";
            else if (strstr(data, "POST") && strstr(data, "0\r\nT: u\r\n\r\n"))
                answer = OK("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\nX: y\r\n\r\n";
            else if (strstr(data, "GET /x") && strstr(data, "\r\n\r\n"))
                answer = "HTTP/1.1 103 E\r\nA: b\r\n\r\n" OK("Content-Length: 3\r\n") "abc";
            if (!answer) continue;
            send(all->fds[i], answer, strlen(answer), MSG_NOSIGNAL);
            all->len[i] = 0;
        }
    }
}

static void tell(world *w, story *s) {
    static servers all;
    all.count = 0;
    rondo_http_call *call = make(w, s, "GET", "/moved");
    if (call) {
        rondo_http_call_header(call, "Cookie", "c");
        rondo_http_call_set_decode(call, true);
        begun(call, rondo_http_call_send(call, NO_BODY));
    }
    serve(w, &all);
    call = make(w, s, "POST", "/post");
    if (call) {
        int status = rondo_http_call_begin(call, -1);
        begun(call, status);
        if (status == 0) {
            rondo_http_call_write(call, rondo_slice_text("hello"));
            rondo_http_call_trailer(call, "T", "u");
            rondo_http_call_finish(call);
            rondo_http_call_pause(call);
        }
    }
    serve(w, &all);
    if (call && s->closes < s->sent) rondo_http_call_resume(call);
    serve(w, &all);
    if (call && s->closes < s->sent) rondo_close(call); /* its finish said why */
    serve(w, &all);
    call = make(w, s, "GET", "/up");
    if (call) {
        if (rondo_http_call_header(call, "Upgrade", "x") < 0)
            rondo_close(call);
        else
            begun(call, rondo_http_call_send(call, NO_BODY));
    }
    serve(w, &all);
    for (int i = 0; i < all.count; i++) close(all.fds[i]);
    if (s->taken) rondo_close(s->taken);
}

static bool live(story *s) {
    world w = {0};
    w.loop = rondo_loop_new();
    if (!w.loop) return false;
    w.client = rondo_http_client_new(w.loop);
    if (!w.client) {
        rondo_loop_free(w.loop);
        return false;
    }
    w.listener = new_listener(&w.port);
    snprintf(w.url, sizeof w.url, "http://127.0.0.1:%d", w.port);
    FAULTS_BEGIN();
    tell(&w, s);
    FAULTS_END();
    close(w.listener);
    rondo_close(w.client);
    CHECK_INT(rondo_loop_run(w.loop, RONDO_RUN_ALL), 0);
    rondo__loop_verify(w.loop);
    rondo_loop_free(w.loop);
    return true;
}

TEST(out_of_memory_at_any_point) {
    for (long n = 0;; n++) {
        story s = {0};
        harness_fail_alloc_after(n);
        bool lived = live(&s);
        CHECK_INT(s.closes, s.sent);
        CHECK(s.ends + s.errors <= s.sent);
        CHECK(s.taken == NULL);
        CHECK_INT(harness_live_blocks(), 0);
        if (!harness_alloc_failed()) {
            CHECK(lived);
            CHECK_INT(s.ends, 3);
            CHECK_INT(s.stream_closes, 1);
            CHECK(n > 40);
            break;
        }
    }
}

static void scenario(void) {
    story s = {0};
    live(&s);
    CHECK_INT(s.closes, s.sent);
    CHECK(s.ends + s.errors <= s.sent);
}

static void smooth(void) {
    story s = {0};
    CHECK(live(&s));
    CHECK_INT(s.ends, 3);
}

#define RECEIVES (CALL_read | CALL_recv)
#define SENDS (CALL_send | CALL_writev | CALL_sendmsg | CALL_write)

TEST(calls_with_what_passes_at_every_point) {
    FAULT_SWEEP(smooth, RECEIVES | SENDS, EINTR);
    FAULT_SWEEP_SHORT(smooth, RECEIVES | SENDS, 1);
}

TEST(calls_with_a_fatal_error_at_every_point) {
    FAULT_SWEEP(scenario, RECEIVES | SENDS, ECONNRESET);
    FAULT_SWEEP(scenario, CALL_connect, ECONNREFUSED);
    FAULT_SWEEP(scenario, CALL_socket, EMFILE);
}
