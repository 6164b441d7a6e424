/* SPDX-License-Identifier: MIT
 *
 * The stages of a call: each has a time of its own, and an error says which one it was.
 */
#define _GNU_SOURCE
#include "http_origin.h"

#include <netdb.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- a resolver that answers when it is told to ---- */

static atomic_bool may_answer;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list) {
    (void)host, (void)service, (void)hints, (void)ret_list;
    while (!atomic_load(&may_answer)) harness_sleep_ms(1);
    return EAI_NONAME;
}

/* ---- one case for each stage ---- */

typedef struct stand { /* what stands in the way */
    world w;
    heard first, h;
    line l;
    int full, in_backlog;
} stand;

/* Every stage has another time, so that none is taken for another. */
static const rondo_http_client_limits limits = {.connections_per_origin = 1,
                                                .wait_timeout_ms = 1000,
                                                .lookup_timeout_ms = 2000,
                                                .connect_timeout_ms = 3000,
                                                .tunnel_timeout_ms = 4000,
                                                .tls_timeout_ms = 5000,
                                                .send_timeout_ms = 6000,
                                                .head_timeout_ms = 7000,
                                                .body_timeout_ms = 8000};

static void begin(stand *s, const char *url) {
    new_call(&s->w, &s->h, "GET", url);
    CHECK_INT(rondo_http_call_send(s->h.call, NO_BODY), 0);
}

static void to_wait(stand *s) {
    ask(&s->w, &s->first, "GET", "/");
    begin(s, at(&s->w, "/"));
    line_ask(&s->w, &s->l);
}
static void to_connect(stand *s) {
    /* A backlog that is full: the kernel drops what comes then. */
    int port;
    char url[64];
    s->full = new_listener(&port);
    CHECK_INT(listen(s->full, 0), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    s->in_backlog = harness_connect(port);
    begin(s, url);
    turns(&s->w, 5);
    CHECK_INT(rondo_http_call_stage(s->h.call), RONDO_HTTP_STAGE_CONNECT);
}
static void to_tunnel(stand *s) {
    CHECK_INT(rondo_http_client_set_proxy(s->w.client, s->w.url), 0);
    begin(s, "https://one.test/");
    line_ask(&s->w, &s->l);
}
static void to_send(stand *s) {
    static char block[65536];
    new_call(&s->w, &s->h, "POST", at(&s->w, "/"));
    CHECK_INT(rondo_http_call_begin(s->h.call, -1), 0);
    line_take(&s->w, &s->l);
    for (int i = 0, result = 1; i < 1000 && result >= 0 && s->h.errors == 0; i++) {
        result = rondo_http_call_write(s->h.call, rondo_slice_of(block, sizeof block));
        turns(&s->w, 1);
    }
}
static void to_head(stand *s) {
    begin(s, at(&s->w, "/"));
    line_ask(&s->w, &s->l);
    line_say(&s->w, &s->l, "HTTP/1.1 2");
}
static void to_body(stand *s) {
    begin(s, at(&s->w, "/"));
    line_ask(&s->w, &s->l);
    line_say(&s->w, &s->l, OK("Content-Length: 9\r\n") "abc");
}

static const struct {
    rondo_http_stage stage;
    void (*go)(stand *s);
    uint64_t time_ms;
    const char *words;
} stages[] = {
    {RONDO_HTTP_STAGE_WAIT, to_wait, 1000, "no connection was free in time"},
    {RONDO_HTTP_STAGE_CONNECT, to_connect, 3000, "no connection came about in time"},
    {RONDO_HTTP_STAGE_TUNNEL, to_tunnel, 4000, "the proxy opened no tunnel in time"},
    {RONDO_HTTP_STAGE_SEND, to_send, 6000, "the server took nothing more of the request"},
    {RONDO_HTTP_STAGE_HEAD, to_head, 7000, "no answer came in time"},
    {RONDO_HTTP_STAGE_BODY, to_body, 8000, "the answer's body stood still for too long"},
};
enum { STAGES = sizeof stages / sizeof *stages };

static void stand_open(stand *s) {
    memset(s, 0, sizeof *s);
    s->l.fd = s->full = s->in_backlog = -1;
    world_open(&s->w);
    rondo_http_client_set_limits(s->w.client, &limits);
}

static void stand_close(stand *s) {
    if (s->l.fd >= 0) line_close(&s->l);
    if (s->full >= 0) close(s->full);
    if (s->in_backlog >= 0) close(s->in_backlog);
    turns(&s->w, 4);
    world_close(&s->w);
}

TEST(each_stage_has_a_time_of_its_own_and_the_error_names_it) {
    static stand s;
    for (int i = 0; i < STAGES; i++) {
        stand_open(&s);
        stages[i].go(&s);
        if (i == RONDO_HTTP_STAGE_WAIT) CHECK_STR(s.first.text, "");
        CHECK_INT(rondo_http_call_stage(s.h.call), stages[i].stage);
        advance(&s.w, stages[i].time_ms - 200);
        if (s.h.errors > 0) FAIL("%s: too early", rondo_http_stage_text(stages[i].stage));
        advance(&s.w, 400);
        CHECK_INT(s.h.error, RONDO_ETIMEDOUT);
        CHECK_INT(s.h.stage, stages[i].stage);
        CHECK_STR(s.h.words, stages[i].words);
        CHECK_INT(s.h.closes, 1);
        stand_close(&s);
    }
}

TEST(the_time_of_all_ends_a_call_at_any_stage_and_is_named) {
    static stand s;
    for (int i = 0; i < STAGES; i++) {
        stand_open(&s);
        stages[i].go(&s);
        CHECK_INT(rondo_http_call_set_timeout(s.h.call, 500), 0);
        advance(&s.w, 400);
        CHECK_INT(s.h.errors, 0);
        advance(&s.w, 200);
        CHECK_INT(s.h.error, RONDO_ETIMEDOUT);
        CHECK_INT(s.h.stage, stages[i].stage);
        CHECK_STR(s.h.words, "the call was not over in time");
        stand_close(&s);
    }
}

/* By the real clock, since a virtual one stands still while a job is in the pool. Returns the stage. */
static rondo_http_stage time_out_at_lookup(unsigned lookup_ms, unsigned total_ms) {
    heard h;
    world w = {.loop = rondo_loop_new()};
    CHECK(w.loop != NULL);
    w.client = rondo_http_client_new(w.loop);
    if (lookup_ms)
        rondo_http_client_set_limits(w.client,
                                     &(rondo_http_client_limits){.lookup_timeout_ms = lookup_ms});
    new_call(&w, &h, "GET", "http://slow.example/");
    if (total_ms) CHECK_INT(rondo_http_call_set_timeout(h.call, total_ms), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    while (h.closes == 0) rondo_loop_run(w.loop, RONDO_RUN_ONCE);
    CHECK_STR(h.text, "ETIMEDOUT / close");
    CHECK_STR(h.words,
              total_ms ? "the call was not over in time" : "the name was not found out in time");
    rondo_close(w.client);
    CHECK_INT(rondo_loop_run(w.loop, RONDO_RUN_ALL), 0);
    rondo_loop_free(w.loop);
    atomic_store(&may_answer, true);
    while (harness_live_blocks() > 0) sched_yield(); /* the thread that still asks */
    atomic_store(&may_answer, false);
    return h.stage;
}
TEST(a_lookup_has_a_time_of_its_own) {
    CHECK_INT(time_out_at_lookup(20, 0), RONDO_HTTP_STAGE_LOOKUP);
    /* On a busy machine the time of all can be over before the lookup has begun. */
    for (unsigned ms = 20; time_out_at_lookup(0, ms) != RONDO_HTTP_STAGE_LOOKUP; ms *= 2)
        CHECK(ms < 10000);
}

/* The times of the stages do not add up to one that cuts them short. */
TEST(a_stage_may_be_without_a_bound) {
    static stand s;
    stand_open(&s);
    rondo_http_client_set_limits(s.w.client,
                                 &(rondo_http_client_limits){.connect_timeout_ms = UINT32_MAX});
    to_connect(&s);
    advance(&s.w, 3600000);
    /* The kernel's own time goes by the real clock, and is minutes. */
    CHECK_STR(s.h.text, "");
    rondo_close(s.h.call);
    stand_close(&s);
}

/* It is not the answer that stands still then. */
TEST(a_server_that_has_answered_must_take_the_request_all_the_same) {
    static const char head[] = OK("Content-Length: 9\r\n");
    static stand s;
    stand_open(&s);
    to_send(&s);
    line_send(&s.w, &s.l, head, sizeof head - 1);
    turns(&s.w, 5);
    CHECK_STR(s.h.text, "response 200");
    advance(&s.w, 5800);
    CHECK_INT(s.h.errors, 0);
    advance(&s.w, 400);
    CHECK_INT(s.h.error, RONDO_ETIMEDOUT);
    CHECK_INT(s.h.stage, RONDO_HTTP_STAGE_SEND);
    stand_close(&s);
}

TEST(other_errors_are_in_words_too) {
    static stand s;
    stand_open(&s);
    to_head(&s);
    line_close(&s.l);
    turns(&s.w, 5);
    CHECK_INT(s.h.error, RONDO_ECONNABORTED);
    CHECK_INT(s.h.stage, RONDO_HTTP_STAGE_HEAD);
    CHECK_STR(s.h.words, rondo_error_text(RONDO_ECONNABORTED));
    begin(&s, "no URL");
    CHECK_STR(rondo_http_call_error_text(s.h.call), rondo_error_text(RONDO_EINVAL));
    turns(&s.w, 4);
    CHECK_STR(s.h.words, rondo_error_text(RONDO_EINVAL));
    for (int i = 0; i <= RONDO_HTTP_STAGE_BODY; i++)
        CHECK(*rondo_http_stage_text((rondo_http_stage)i) != '\0');
    stand_close(&s);
}
