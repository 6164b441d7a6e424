/* SPDX-License-Identifier: MIT
 *
 * The client and the server of Rondo against each other: many calls of all kinds, with random aborts on
 * both sides, pauses, and bodies of all sizes. Each call tells its end, its error or nothing more exactly
 * once, and then closes; what arrives whole is what was sent. RONDO_STRESS=calls changes how many.
 */
#define _GNU_SOURCE
#include "http_origin.h"

static unsigned seed = 1;
static unsigned draw(unsigned below) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % below;
}

/* ---- the server ---- */

typedef struct answering {
    rondo_http_request *request;
    rondo_http_response *response;
    size_t got, left;
    bool gone;
} answering;

static void drop_answering(rondo_handle *response, void *arg) {
    (void)response;
    free(arg);
}

static void answer_on(answering *a) {
    static char block[5000];
    int result = 1;
    memset(block, 'a', sizeof block);
    while (a->left > 0 && result == 1) {
        size_t len = a->left < sizeof block ? a->left : sizeof block;
        result = rondo_http_response_write(a->response, rondo_slice_of(block, len));
        if (result >= 0) a->left -= len;
    }
    if (result < 0)
        rondo_close(a->response);
    else if (a->left == 0)
        rondo_http_response_end(a->response);
}

static void answer_drain(rondo_http_response *response, void *arg) {
    (void)response;
    answer_on(arg);
}
static void answer_aborted(rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_close(response);
}
static void answer_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)request;
    ((answering *)arg)->got += chunk.len;
}

/* Some answers are cut off, by one or the other. The length of the body that came is in a field. */
static void answer(rondo_http_request *request, void *arg) {
    answering *a = arg;
    char length[24];
    (void)request;
    if (draw(50) == 0) {
        rondo_close(a->response);
        return;
    }
    sprintf(length, "%zu", a->got);
    rondo_http_response_header(a->response, "X-Got", length);
    a->left = draw(4) ? draw(2000) : draw(200000);
    sprintf(length, "%zu", a->left);
    rondo_http_response_header(a->response, "X-Length", length);
    if (draw(20) == 0)
        a->left += 1, rondo_http_response_begin(a->response, 200, (int64_t)a->left);
    else if (rondo_http_response_begin(a->response, 200, draw(2) ? (int64_t)a->left : -1) < 0)
        return;
    if (draw(50) == 0) {
        rondo_close(a->response);
        return;
    }
    answer_on(a);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    answering *a = calloc(1, sizeof *a);
    (void)arg;
    a->request = request;
    a->response = response;
    rondo_on_close(response, drop_answering, a);
    rondo_http_response_on_drain(response, answer_drain, a);
    rondo_http_response_on_aborted(response, answer_aborted, a);
    if (draw(30) == 0) { /* without looking at the body */
        answer(request, a);
        return;
    }
    rondo_http_request_on_data(request, answer_data, a);
    rondo_http_request_on_end(request, answer, a);
}

/* ---- the client ---- */

typedef struct stress {
    rondo_loop *loop;
    rondo_http_client *client;
    rondo_http_server *server;
    char url[64];
    long to_make, open, made;
    long ends, errors, aborted;
} stress;

typedef struct one {
    stress *all;
    rondo_http_call *call;
    rondo_timer *timer;
    size_t got, wrote, length;
    int64_t promised;
    bool ended, failed, aborted, finished;
} one;

static void make_one(stress *all);

static void one_closed(rondo_handle *call, void *arg) {
    one *o = arg;
    stress *all = o->all;
    (void)call;
    CHECK_INT(o->ended + o->failed + o->aborted, 1);
    all->ends += o->ended;
    all->errors += o->failed;
    all->aborted += o->aborted;
    if (o->timer) rondo_close(o->timer);
    free(o);
    all->open--;
    while (all->made < all->to_make && all->open < 60) make_one(all);
    if (all->open == 0) {
        rondo_close(all->client);
        rondo_close(all->server);
    }
}

static void abort_one(one *o) {
    o->aborted = true;
    rondo_close(o->call);
}

static void one_fired(rondo_timer *timer, void *arg) {
    one *o = arg;
    (void)timer;
    if (o->ended || o->failed || o->aborted) return;
    if (draw(3) == 0)
        abort_one(o);
    else
        rondo_http_call_resume(o->call);
}

static void write_on(one *o) {
    static char block[7000];
    int result = 1;
    while (o->wrote < o->length && result == 1) {
        size_t len = o->length - o->wrote < sizeof block ? o->length - o->wrote : sizeof block;
        result = rondo_http_call_write(o->call, rondo_slice_of(block, len));
        if (result >= 0) o->wrote += len;
    }
    if (result >= 0 && o->wrote == o->length && !o->finished)
        o->finished = rondo_http_call_finish(o->call) == 0;
}

static void one_drain(rondo_http_call *call, void *arg) {
    (void)call;
    if (!((one *)arg)->aborted) write_on(arg);
}
static void one_response(rondo_http_call *call, void *arg) {
    one *o = arg;
    CHECK(!o->ended && !o->failed && !o->aborted);
    CHECK_INT(rondo_http_call_status(call) == 200 || rondo_http_call_status(call) == 408, 1);
    rondo_slice length = rondo_http_call_response_header(call, "X-Length");
    o->promised = length.data ? atoll(length.data) : -1;
    if (draw(40) == 0) abort_one(o);
}
static void one_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    one *o = arg;
    CHECK(!o->ended && !o->failed && !o->aborted);
    o->got += chunk.len;
    unsigned what = draw(40);
    if (what == 0) {
        abort_one(o);
    } else if (what == 1) {
        rondo_http_call_pause(call);
        if (!o->timer) o->timer = rondo_timer_new(o->all->loop);
        rondo_timer_start(o->timer, draw(3), 0, one_fired, o);
    }
}
static void one_end(rondo_http_call *call, void *arg) {
    one *o = arg;
    (void)call;
    CHECK(!o->ended && !o->failed && !o->aborted);
    o->ended = true;
    if (o->promised >= 0)
        CHECK((int64_t)o->got - o->promised <= 1 && (int64_t)o->got >= o->promised);
}
static void one_error(rondo_http_call *call, int error, void *arg) {
    one *o = arg;
    (void)call;
    CHECK(!o->ended && !o->failed && !o->aborted);
    CHECK(error == RONDO_ECONNABORTED || error == RONDO_ECONNRESET || error == RONDO_EPIPE ||
          error == RONDO_ETIMEDOUT);
    o->failed = true;
}

static void make_one(stress *all) {
    static const char *const methods[] = {"GET", "POST", "PUT", "HEAD"};
    one *o = calloc(1, sizeof *o);
    unsigned how = draw(4);
    o->all = all;
    o->promised = -1;
    o->call = rondo_http_call_new(all->client, methods[how], all->url);
    CHECK(o->call != NULL);
    rondo_on_close(o->call, one_closed, o);
    rondo_http_call_on_response(o->call, one_response, o);
    rondo_http_call_on_data(o->call, one_data, o);
    rondo_http_call_on_end(o->call, one_end, o);
    rondo_http_call_on_error(o->call, one_error, o);
    rondo_http_call_on_drain(o->call, one_drain, o);
    if (how == 3) o->promised = -1;
    all->made++;
    all->open++;
    rondo_http_call_set_expect(o->call, draw(10) == 0);
    if (how == 1 || how == 2) {
        o->length = draw(3) ? draw(3000) : draw(300000);
        CHECK_INT(rondo_http_call_begin(o->call, draw(2) ? (int64_t)o->length : -1), 0);
        write_on(o);
    } else {
        CHECK_INT(rondo_http_call_send(o->call, NO_BODY), 0);
    }
    if (how == 3) rondo_http_call_on_response(o->call, NULL, NULL);
    if (draw(30) == 0) abort_one(o);
}

TEST(many_calls_with_random_aborts) {
    stress all = {0};
    const char *calls = getenv("RONDO_STRESS");
    all.to_make = calls ? atol(calls) : harness_is_slow() ? 300 : 2000;
    all.loop = rondo_loop_new();
    all.client = rondo_http_client_new(all.loop);
    all.server = rondo_http_server_new(all.loop);
    CHECK_INT(rondo_http_server_on_request(all.server, on_request, NULL), 0);
    CHECK_INT(rondo_http_server_listen(all.server, "127.0.0.1", 0), 0);
    sprintf(all.url, "http://127.0.0.1:%d/", rondo_http_server_port(all.server));
    for (int i = 0; i < 40; i++) make_one(&all);
    CHECK_INT(rondo_loop_run(all.loop, RONDO_RUN_ALL), 0);
    CHECK_INT(all.made, all.to_make);
    CHECK_INT(all.ends + all.errors + all.aborted, all.made);
    CHECK(all.ends > all.made / 3);
    if (calls)
        fprintf(stderr, "%ld calls: %ld ended, %ld failed, %ld aborted\n", all.made, all.ends,
                all.errors, all.aborted);
    rondo__loop_verify(all.loop);
    rondo_loop_free(all.loop);
    CHECK_INT(harness_live_blocks(), 0);
}
