/* SPDX-License-Identifier: MIT
 *
 * Server-sent events: how they look, who gets them, and what becomes of clients that are slow, go
 * away, or come back.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/events/events.h"

static rondo_slice text_of(const char *text) { return rondo_slice_text(text); }

/* ---- how an event looks ---- */

static void check_event(rondo_http_event event, const char *want) {
    rondo__message *message;
    char line[32];

    CHECK_INT(rondo__event_format(&event, &message), 0);
    CHECK_INT(message->len, strlen(want));
    CHECK_MEM(message->bytes + message->begin, want, message->len);
    /* And as a chunk. */
    int len = snprintf(line, sizeof line, "%zx\r\n", strlen(want));
    CHECK_INT(message->begin, len);
    CHECK_MEM(message->bytes, line, (size_t)len);
    CHECK_INT(message->total, (size_t)len + strlen(want) + 2);
    CHECK_MEM(message->bytes + message->total - 2, "\r\n", 2);
    CHECK_MEM(message->bytes + message->id_at, event.id.data ? event.id.data : "", event.id.len);
    rondo__message_release(message);
}

TEST(events_as_text) {
    check_event((rondo_http_event){.data = text_of("hello")}, "data: hello\n\n");
    check_event((rondo_http_event){.data = text_of("")}, "data: \n\n");
    check_event((rondo_http_event){.data = text_of("a\nb")}, "data: a\ndata: b\n\n");
    check_event((rondo_http_event){.data = text_of("a\r\nb\rc\n")},
                "data: a\ndata: b\ndata: c\ndata: \n\n");
    check_event((rondo_http_event){.data = text_of("\n\n")}, "data: \ndata: \ndata: \n\n");
    check_event((rondo_http_event){.data = text_of("\r\r\n\r")},
                "data: \ndata: \ndata: \ndata: \n\n");
    check_event((rondo_http_event){.data = text_of(" : data")}, "data:  : data\n\n");
    check_event(
        (rondo_http_event){
            .data = text_of("x"), .type = text_of("tick"), .id = text_of("42"), .retry_ms = 3000},
        "event: tick\nid: 42\nretry: 3000\ndata: x\n\n");
    check_event((rondo_http_event){.id = text_of("7")}, "id: 7\n\n");
    check_event((rondo_http_event){.retry_ms = UINT32_MAX}, "retry: 4294967295\n\n");
}

/* What a type or an id says must not become a line of its own. */
TEST(events_that_would_forge_lines_are_refused) {
    static const char *const bad[] = {"a\nb", "a\rb", "\n", "\r"};
    rondo__message *message;

    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(rondo__event_format(&(rondo_http_event){.type = text_of(bad[i])}, &message),
                  RONDO_EINVAL);
        CHECK_INT(rondo__event_format(&(rondo_http_event){.id = text_of(bad[i])}, &message),
                  RONDO_EINVAL);
    }
    rondo_http_event nul = {.id = rondo_slice_of("a\0b", 3)};
    CHECK_INT(rondo__event_format(&nul, &message), RONDO_EINVAL);
}

/* ---- one client ---- */

static rondo_http_response *single;

static void begin_single(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    single = response;
    rondo_slice id = rondo_http_events_last_id(request);
    CHECK(id.len == 0 || (id.len == 2 && memcmp(id.data, "41", 2) == 0));
    CHECK_INT(rondo_http_events_write(response, &(rondo_http_event){.data = text_of("early")}),
              RONDO_EINVAL);
    CHECK_INT(rondo_http_events_begin(response), 0);
    CHECK_INT(rondo_http_events_begin(response), RONDO_EBUSY);
    CHECK_INT(
        rondo_http_events_write(response, &(rondo_http_event){.data = text_of("one"), .id = id}),
        1);
}

TEST(events_to_one_client) {
    web_host web;
    web_peer peer;

    web_open(&web, begin_single, NULL, NULL);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 41\r\n\r\n");
    CHECK(peer_has(&peer, "HTTP/1.1 200 OK\r\n"));
    CHECK(peer_has(&peer, "\r\nContent-Type: text/event-stream\r\n"));
    CHECK(peer_has(&peer, "\r\nCache-Control: no-store\r\n"));
    CHECK(peer_has(&peer, "\r\nTransfer-Encoding: chunked\r\n"));
    CHECK_STR(peer_body(&peer), "12\r\nid: 41\ndata: one\n\n\r\n");
    peer_forget(&peer);
    CHECK_INT(rondo_http_events_heartbeat(single), 1);
    CHECK_INT(rondo_http_events_write(single, &(rondo_http_event){.type = text_of("\n")}),
              RONDO_EINVAL);
    peer_pump(&web, &peer);
    CHECK_STR(peer.data, "3\r\n:\n\n\r\n");
    CHECK_INT(rondo_http_response_end(single), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer.data, "3\r\n:\n\n\r\n0\r\n\r\n");
    peer_close(&peer);
    web_close(&web);
}

/* ---- a channel ---- */

typedef struct station {
    web_host web;
    rondo_http_events *events;
    rondo_http_response *last;
    int joined, resumed, left;
    int on_air; /* channel not closed */
} station;

static void on_left(rondo_handle *handle, void *arg) {
    (void)handle;
    ((station *)arg)->left++;
}

static void tune_in(rondo_http_request *request, rondo_http_response *response, void *arg) {
    station *s = arg;

    (void)request;
    s->last = response;
    CHECK_INT(rondo_on_close(response, on_left, s), 0);
    int result = rondo_http_events_add(s->events, response);
    CHECK(result >= 0);
    s->joined++;
    s->resumed += result;
}

static void on_station_closed(rondo_handle *handle, void *arg) {
    (void)handle;
    ((station *)arg)->on_air = 0;
}

static void open_station(station *s, const rondo_http_events_options *options) {
    *s = (station){.on_air = 1};
    web_open(&s->web, tune_in, s, NULL);
    s->events = rondo_http_events_new(s->web.loop, options);
    CHECK(s->events != NULL);
    CHECK_STR(rondo_kind(s->events), "http events");
    CHECK_INT(rondo_on_close(s->events, on_station_closed, s), 0);
}

static void close_station(station *s) {
    if (s->on_air) rondo_close(s->events);
    web_turns(&s->web, 3);
    CHECK_INT(s->on_air, 0);
    web_close(&s->web);
    CHECK_INT(s->left, s->joined);
}

static void say(station *s, const char *id, const char *data) {
    rondo_http_event event = {.data = text_of(data), .id = text_of(id)};
    CHECK_INT(rondo_http_events_send(s->events, &event), 0);
}

static rondo_http_events_figures figures_of(station *s) {
    rondo_http_events_figures figures;
    rondo_http_events_get_figures(s->events, &figures);
    return figures;
}

#define LISTEN "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

TEST(all_clients_of_a_channel_get_what_is_sent) {
    station s;
    web_peer peers[5], late;

    open_station(&s, NULL);
    say(&s, "0", "before"); /* nobody is there */
    for (int i = 0; i < 5; i++) peer_ask(&s.web, &peers[i], LISTEN);
    CHECK_INT(figures_of(&s).clients, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_STR(peer_body(&peers[i]), "");
        peer_forget(&peers[i]);
    }
    say(&s, "1", "hello");
    say(&s, "", "you\nall");
    CHECK_INT(peer_read(&peers[0]), false); /* not inside the call */
    for (int i = 0; i < 5; i++) {
        peer_pump(&s.web, &peers[i]);
        CHECK_STR(peers[i].data,
                  "13\r\nid: 1\ndata: hello\n\n\r\n15\r\ndata: you\ndata: all\n\n\r\n");
    }
    peer_ask(&s.web, &late, "GET / HTTP/1.0\r\n\r\n"); /* no chunks */
    CHECK_STR(peer_body(&late), "");
    peer_forget(&late);
    say(&s, "2", "x");
    peer_pump(&s.web, &late);
    CHECK_STR(late.data, "id: 2\ndata: x\n\n");
    CHECK_INT(figures_of(&s).sent, 4);
    /* One ends, by the application; one is closed by it; the others with the channel. */
    CHECK_INT(rondo_http_response_end(s.last), 0);
    say(&s, "3", "y");
    peer_pump(&s.web, &late);
    CHECK(late.ended);
    CHECK_STR(late.data, "id: 2\ndata: x\n\n");
    CHECK_INT(figures_of(&s).clients, 5);
    rondo_close(s.events);
    CHECK_INT(rondo_http_events_send(s.events, &(rondo_http_event){.retry_ms = 1}), RONDO_ECLOSED);
    peer_forget(&peers[0]);
    peer_pump(&s.web, &peers[0]);
    CHECK_STR(peers[0].data, "f\r\nid: 2\ndata: x\n\n\r\nf\r\nid: 3\ndata: y\n\n\r\n0\r\n\r\n");
    for (int i = 0; i < 5; i++) peer_close(&peers[i]);
    peer_close(&late);
    close_station(&s);
}

TEST(head_gets_the_head_of_a_channel) {
    station s;
    web_peer peer;

    open_station(&s, NULL);
    peer_ask(&s.web, &peer, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer_has(&peer, "text/event-stream"));
    CHECK_INT(figures_of(&s).clients, 0);
    CHECK_INT(s.left, 1);
    peer_close(&peer);
    close_station(&s);
}

TEST(who_comes_back_gets_what_it_has_missed) {
    rondo_http_events_options options = {.keep_events = 3};
    station s;
    web_peer peer;
    static const struct {
        const char *id;
        int resumed;
        const char *body;
    } table[] = {
        {"3", 1, "f\r\nid: 4\ndata: d\n\n\r\n"},
        {"2", 1, "f\r\nid: 3\ndata: c\n\n\r\nf\r\nid: 4\ndata: d\n\n\r\n"},
        {"4", 1, ""},
        {"1", 0, ""}, /* not kept any more */
        {"x", 0, ""},
        {"", 0, ""},
    };

    open_station(&s, &options);
    say(&s, "1", "a");
    say(&s, "2", "b");
    say(&s, "3", "c");
    say(&s, "4", "d");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128];
        int before = s.resumed;
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: %s\r\n\r\n",
                 table[i].id);
        peer_ask(&s.web, &peer, text);
        CHECK_INT(s.resumed - before, table[i].resumed);
        CHECK_STR(peer_body(&peer), table[i].body);
        peer_close(&peer);
        web_turns(&s.web, 3);
    }
    close_station(&s);
}

TEST(what_is_kept_is_bounded) {
    rondo_http_events_options options = {.keep_events = 10, .keep_bytes = 1000};
    char data[701];
    station s;

    open_station(&s, &options);
    for (int i = 0; i < 25; i++) {
        say(&s, "", "tiny");
        CHECK(s.events->count <= 10);
    }
    CHECK_INT(s.events->count, 10);
    memset(data, 'x', 700);
    data[700] = '\0';
    for (int i = 0; i < 3; i++) {
        say(&s, "", data);
        CHECK(figures_of(&s).kept_bytes <= 1000);
    }
    CHECK_INT(s.events->count, 1);
    /* One that is too large alone is kept alone. */
    char *large = malloc(5001);
    memset(large, 'y', 5000);
    large[5000] = '\0';
    say(&s, "", large);
    CHECK_INT(s.events->count, 1);
    CHECK(figures_of(&s).kept_bytes > 5000);
    say(&s, "", "tiny");
    CHECK_INT(s.events->count, 1);
    free(large);
    close_station(&s);
}

/* ---- heartbeats ---- */

TEST(silence_is_broken_by_heartbeats) {
    rondo_http_events_options options = {.heartbeat_ms = 1000};
    station s;
    web_peer peer, old;

    open_station(&s, &options);
    peer_ask(&s.web, &peer, LISTEN);
    peer_ask(&s.web, &old, "GET / HTTP/1.0\r\n\r\n");
    peer_forget(&peer);
    peer_forget(&old);
    web_advance(&s.web, 990);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer.data, "");
    web_advance(&s.web, 20);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer.data, "3\r\n:\n\n\r\n");
    peer_pump(&s.web, &old);
    CHECK_STR(old.data, ":\n\n");
    peer_forget(&peer);
    web_advance(&s.web, 500);
    say(&s, "", "x");
    web_advance(&s.web, 600); /* not silent since the last one */
    peer_pump(&s.web, &peer);
    CHECK_STR(peer.data, "9\r\ndata: x\n\n\r\n");
    web_advance(&s.web, 1000);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer.data, "9\r\ndata: x\n\n\r\n3\r\n:\n\n\r\n");
    peer_close(&peer);
    peer_close(&old);
    web_advance(&s.web, 2000); /* a heartbeat tells */
    web_turns(&s.web, 5);
    CHECK_INT(figures_of(&s).clients, 0);
    /* Nobody is left to be woken up for; and somebody new is. */
    web_advance(&s.web, 5000);
    peer_ask(&s.web, &peer, LISTEN);
    peer_forget(&peer);
    web_advance(&s.web, 1000);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer.data, "3\r\n:\n\n\r\n");
    peer_close(&peer);
    close_station(&s);
}

/* ---- slow clients ---- */

/* Sends until the kernel takes no more from a client that reads nothing. */
static int fill_up(station *s, const char *data) {
    int count = 0;
    while (figures_of(s).waiting == 0 && count < 5000) {
        char id[16];
        snprintf(id, sizeof id, "%d", ++count);
        say(s, id, data);
        web_turns(&s->web, 2);
    }
    CHECK(count < 5000);
    return count;
}

static char *large_text(size_t len) {
    char *data = malloc(len + 1);
    CHECK(data != NULL);
    memset(data, 'd', len);
    data[len] = '\0';
    return data;
}

/* All that was sent is there, in order, each once: the ids in what was received. */
static void check_ids(web_peer *peer, int from, int to) {
    const char *at = peer->data;
    for (int id = from; id <= to; id++) {
        char want[32];
        int len = snprintf(want, sizeof want, "\r\nid: %d\n", id);
        at = memmem(at, peer->len - (size_t)(at - peer->data), want, (size_t)len);
        if (!at) FAIL("event %d is missing", id);
        at += len;
    }
    CHECK(memmem(at, peer->len - (size_t)(at - peer->data), "\r\nid: ", 6) == NULL);
}

TEST(a_slow_client_gets_all_that_is_kept_when_it_reads_again) {
    station s;
    web_peer slow, quick;
    char *data = large_text(60000);
    rondo_http_events_options options = {.keep_bytes = 64u << 20};

    open_station(&s, &options);
    peer_ask(&s.web, &slow, LISTEN);
    int count = 0;
    while (figures_of(&s).waiting == 0 && count < 250) {
        char id[16];
        snprintf(id, sizeof id, "%d", ++count);
        say(&s, id, data);
        web_turns(&s.web, 2);
    }
    CHECK_INT(figures_of(&s).waiting, 1);
    peer_open(&s.web, &quick);
    peer_say(&s.web, &quick, LISTEN);
    peer_forget(&quick);
    char id[16];
    snprintf(id, sizeof id, "%d", ++count);
    say(&s, id, data);
    peer_pump(&s.web, &quick);
    CHECK(quick.len > 60000); /* it does not wait for the other */
    for (int i = 0; i < 100 && figures_of(&s).waiting > 0; i++) peer_pump(&s.web, &slow);
    peer_pump(&s.web, &slow);
    check_ids(&slow, 1, count);
    CHECK_INT(figures_of(&s).skipped + figures_of(&s).dropped, 0);
    free(data);
    peer_close(&slow);
    peer_close(&quick);
    close_station(&s);
}

TEST(a_client_that_is_too_slow_is_dropped) {
    rondo_http_events_options options = {.keep_events = 4};
    station s;
    web_peer slow;
    char *data = large_text(60000);

    open_station(&s, &options);
    peer_ask(&s.web, &slow, LISTEN);
    int count = fill_up(&s, data);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(figures_of(&s).dropped, 0);
        say(&s, "", "more");
    }
    for (int i = 0; i < 3; i++) say(&s, "", "more");
    CHECK_INT(figures_of(&s).dropped, 1);
    CHECK_INT(figures_of(&s).clients, 0);
    CHECK_INT(figures_of(&s).waiting, 0);
    web_turns(&s.web, 2);
    CHECK_INT(s.left, 1);
    for (int i = 0; i < 200 && !slow.ended; i++) peer_pump(&s.web, &slow);
    CHECK(slow.ended);
    CHECK(memcmp(slow.data + slow.len - 5, "0\r\n\r\n", 5) != 0); /* broken off */
    (void)count;
    free(data);
    peer_close(&slow);
    close_station(&s);
}

TEST(a_client_that_is_too_slow_skips) {
    rondo_http_events_options options = {.keep_events = 4, .slow = RONDO_HTTP_EVENTS_SKIP};
    station s;
    web_peer slow;
    char *data = large_text(60000);

    open_station(&s, &options);
    peer_ask(&s.web, &slow, LISTEN);
    int count = fill_up(&s, data);
    for (int i = 1; i <= 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", count + i);
        say(&s, id, "more");
    }
    rondo_http_events_figures figures = figures_of(&s);
    CHECK_INT(figures.dropped, 0);
    CHECK_INT(figures.clients, 1);
    CHECK(figures.skipped > 0 && figures.skipped <= 20);
    for (int i = 0; i < 200 && figures_of(&s).waiting > 0; i++) peer_pump(&s.web, &slow);
    peer_pump(&s.web, &slow);
    peer_forget(&slow);
    say(&s, "next", "goes on");
    peer_pump(&s.web, &slow);
    CHECK_STR(slow.data, "18\r\nid: next\ndata: goes on\n\n\r\n");
    free(data);
    peer_close(&slow);
    close_station(&s);
}

TEST(a_burst_costs_quick_clients_nothing) {
    rondo_http_events_options options = {.keep_events = 4};
    station s;
    web_peer peer;

    open_station(&s, &options);
    peer_ask(&s.web, &peer, LISTEN);
    for (int i = 1; i <= 100; i++) { /* without a turn in between */
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        say(&s, id, "x");
    }
    peer_pump(&s.web, &peer);
    check_ids(&peer, 1, 100);
    peer_close(&peer);
    close_station(&s);
}

/* ---- clients that go ---- */

/* No event is needed for that, nor a heartbeat. */
TEST(a_client_that_closes_is_noticed_at_once) {
    station s;
    web_peer peer;

    for (int half = 0; half < 2; half++) {
        open_station(&s, NULL);
        peer_ask(&s.web, &peer, LISTEN);
        CHECK_INT(s.joined, 1);
        if (half)
            CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
        else
            peer_close(&peer);
        for (long long end = harness_now_ms() + 20000; s.left < 1 && harness_now_ms() < end;)
            web_turns(&s.web, 1);
        CHECK_INT(s.left, 1);
        CHECK_INT(figures_of(&s).clients, 0);
        CHECK_INT(figures_of(&s).sent, 0);
        if (half) peer_close(&peer);
        close_station(&s);
    }
}

static void answer_late(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    *(rondo_http_response **)arg = response;
}

/* An ordinary answer is for whoever has only ended its side: also the one behind a stream of events. */
TEST(half_a_connection_gets_its_answer) {
    web_host web;
    web_peer peer;
    rondo_http_response *late = NULL;

    web_open(&web, begin_single, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    CHECK_INT(rondo_http_response_end(single), 0);
    peer_pump(&web, &peer);
    rondo_http_server_on_request(web.server, answer_late, &late);
    peer_say(&web, &peer, GET("/"));
    CHECK(late != NULL);
    CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
    web_turns(&web, 6);
    peer_forget(&peer);
    CHECK_INT(rondo_http_response_reply(late, 200, NULL, rondo_slice_text("late")), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

TEST(clients_that_go_are_noticed) {
    station s;
    web_peer peers[6];

    open_station(&s, NULL);
    for (int i = 0; i < 6; i++) peer_ask(&s.web, &peers[i], LISTEN);
    peer_reset(&peers[0]); /* told by the kernel */
    peer_close(&peers[1]); /* its end is */
    web_turns(&s.web, 5);
    say(&s, "", "x");
    web_turns(&s.web, 5);
    say(&s, "", "y");
    web_turns(&s.web, 5);
    CHECK_INT(s.left, 2);
    CHECK_INT(figures_of(&s).clients, 4);
    peer_reset(&peers[2]);
    rondo_close(s.last); /* by the application, which is the sixth one's */
    say(&s, "", "z");
    web_turns(&s.web, 5);
    CHECK_INT(s.left, 4);
    CHECK_INT(figures_of(&s).clients, 2);
    peer_pump(&s.web, &peers[3]);
    CHECK(peer_has(&peers[3], "data: z"));
    for (int i = 3; i < 6; i++) peer_close(&peers[i]);
    close_station(&s);
}

static void close_channel(rondo_handle *handle, void *arg) {
    (void)handle;
    rondo_close(((station *)arg)->events);
}
static void send_more(rondo_handle *handle, void *arg) {
    (void)handle;
    rondo_http_event event = {.data = text_of("one has gone")};
    CHECK_INT(rondo_http_events_send(((station *)arg)->events, &event), 0);
}

TEST(callbacks_may_close_the_channel_and_send) {
    station s;
    web_peer peers[3];

    open_station(&s, NULL);
    for (int i = 0; i < 3; i++) {
        peer_ask(&s.web, &peers[i], LISTEN);
        CHECK_INT(rondo_on_close(s.last, i == 0 ? send_more : close_channel, &s), 0);
    }
    peer_reset(&peers[0]);
    peer_pump(&s.web, &peers[2]);
    CHECK(peer_has(&peers[2], "data: one has gone"));
    peer_reset(&peers[1]);
    peer_pump(&s.web, &peers[2]);
    CHECK(peer_has(&peers[2], "0\r\n\r\n"));
    CHECK_INT(s.on_air, 0);
    peer_close(&peers[2]);
    close_station(&s);
}

TEST(a_server_that_closes_takes_its_clients_along) {
    station s;
    web_peer peer;

    open_station(&s, NULL);
    peer_ask(&s.web, &peer, LISTEN);
    rondo_close(s.web.server);
    web_turns(&s.web, 3);
    CHECK_INT(figures_of(&s).clients, 0);
    say(&s, "", "x");
    peer_close(&peer);
    close_station(&s);
}

TEST(everything_is_closed_at_once) {
    station s;
    web_peer peers[2];

    open_station(&s, NULL);
    for (int i = 0; i < 2; i++) peer_ask(&s.web, &peers[i], LISTEN);
    say(&s, "", "x");
    rondo_loop_close_all(s.web.loop);
    web_turns(&s.web, 4);
    for (int i = 0; i < 2; i++) peer_close(&peers[i]);
    close_station(&s);
}

/* ---- memory ---- */

static void try_to_tune_in(rondo_http_request *request, rondo_http_response *response, void *arg) {
    station *s = arg;
    int result = rondo_http_events_add(s->events, response);

    (void)request;
    if (result < 0) {
        CHECK_INT(result, RONDO_ENOMEM);
        if (rondo_http_response_reply(response, 503, NULL, rondo_slice_of(NULL, 0)) < 0)
            rondo_close(response);
    }
}

TEST(out_of_memory_for_events) {
    for (long n = 0;; n++) {
        station s = {0};
        web_peer peer;
        web_open(&s.web, try_to_tune_in, &s, NULL);
        peer_ask(&s.web, &peer, "GET /nobody HTTP/1.1\r\n\r\n"); /* 400: what is allocated once */
        peer_close(&peer);
        harness_fail_alloc_after(n);
        s.events = rondo_http_events_new(s.web.loop, NULL);
        if (s.events) {
            peer_open(&s.web, &peer);
            peer_say(&s.web, &peer, LISTEN);
            rondo_http_event event = {.data = text_of("x")};
            int result = rondo_http_events_send(s.events, &event);
            CHECK(result == 0 || result == RONDO_ENOMEM);
            peer_pump(&s.web, &peer);
            peer_close(&peer);
            rondo_close(s.events);
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        web_turns(&s.web, 3);
        web_close(&s.web);
        if (!failed) break;
    }
}
