/* SPDX-License-Identifier: MIT
 *
 * Many requests, and clients that go at any octet: with a FIN, a reset or half closed, in the head, in
 * the body, in the middle of an answer. The server answers at once, later, in pieces, not at all, or
 * breaks off. Whatever happens: each request has one response, each response one `close`, `aborted` at
 * most once and not after its end, no body after its end; who stays gets every answer that was meant for
 * him, in order; and when all have gone, nothing is left.
 *
 * What happens follows from a seed. Another one, and more: RONDO_STRESS_SEED=7
 * RONDO_STRESS_REQUESTS=100000 build/test/test_http_stress
 */
#include "http_peer.h"
#include "random.h"

enum { CLIENTS = 24, MOST_ASKED = 4, ANSWER_ROOM = 1 << 20, PIECE = 60000 };

static size_t setting(const char *name, size_t usual) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : usual;
}

/* ---- the server's side ---- */

/* How a request is answered: the first letter of its path.
 *   r at once   i in an immediate   t by a timer   s in pieces, as the client takes them
 *   e when the body has come        p the same, with a pause in it
 *   c not at all   d not at all, later   b with fewer octets than it said */
static const char ways[] = "ritsepcdb";

typedef struct exchange {
    rondo_http_request *request;
    rondo_http_response *response; /* NULL once it has ended */
    rondo_timer *timer;
    char way, number[16];
    size_t left; /* to be written in pieces */
    bool aborted, ended, body_ended, closed;
} exchange;

static web_host web;
static size_t asked, closed, aborted;
static char piece[PIECE];

static void on_response_closed(rondo_handle *response, void *arg) {
    exchange *e = arg;
    CHECK(!e->closed);
    e->closed = true;
    closed++;
    if (e->timer) rondo_close(e->timer);
    free(e);
}

static void end_with(exchange *e, int result) {
    CHECK(!e->ended);
    CHECK(result == 0 || result == RONDO_ECLOSED || result == RONDO_EPROTO);
    e->ended = true;
}

static void reply(exchange *e) {
    if (e->ended) return;
    end_with(
        e, rondo_http_response_reply(e->response, 200, "text/plain", rondo_slice_text(e->number)));
}

static void give_up(exchange *e) {
    if (e->ended) return;
    e->ended = true;
    rondo_close(e->response);
}

/* Writes until the client has enough for now. */
static void write_on(rondo_http_response *response, void *arg) {
    exchange *e = arg;
    while (!e->ended && e->left > 0) {
        size_t len = e->left < PIECE ? e->left : PIECE;
        int result = rondo_http_response_write(e->response, rondo_slice_of(piece, len));
        CHECK(result >= 0 || result == RONDO_ECLOSED);
        e->left -= len;
        if (result == 0) return;
    }
    if (e->ended) return;
    rondo_http_response_write(e->response, rondo_slice_text(e->number));
    end_with(e, rondo_http_response_end(e->response));
}

static void begin_pieces(exchange *e) {
    e->left = below(5) == 0 ? 300000 : below(5000);
    int result = rondo_http_response_begin(e->response, 200, -1);
    CHECK(result == 0 || result == RONDO_ECLOSED);
    if (result < 0) { /* nothing has begun, so there is nothing to write to */
        end_with(e, rondo_http_response_end(e->response));
        return;
    }
    rondo_http_response_on_drain(e->response, write_on, e);
    write_on(e->response, e);
}

static void break_off(exchange *e) {
    int result = rondo_http_response_begin(e->response, 200, 1000);
    CHECK(result == 0 || result == RONDO_ECLOSED);
    rondo_http_response_write(e->response, rondo_slice_of(piece, below(999)));
    end_with(e, rondo_http_response_end(e->response));
}

static void answer(exchange *e) {
    switch (e->way) {
    case 's': begin_pieces(e); break;
    case 'c':
    case 'd': give_up(e); break;
    case 'b': break_off(e); break;
    default: reply(e);
    }
}

static void on_timer(rondo_timer *timer, void *arg) {
    exchange *e = arg;
    e->timer = NULL;
    rondo_close(timer);
    if (e->ended) return;
    if (e->way == 'p')
        rondo_http_request_resume(e->request);
    else
        answer(e);
}

static void later(exchange *e, uint64_t ms) {
    e->timer = rondo_timer_new(web.loop);
    CHECK(e->timer != NULL);
    CHECK_INT(rondo_timer_start(e->timer, ms, 0, on_timer, e), 0);
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    exchange *e = arg;
    CHECK(!e->ended && !e->body_ended && chunk.len > 0);
    if (e->way == 'p' && !e->timer && below(2) == 0) {
        CHECK_INT(rondo_http_request_pause(request), 0);
        later(e, below(30));
    }
}

static void on_end(rondo_http_request *request, void *arg) {
    exchange *e = arg;
    CHECK(!e->ended && !e->body_ended);
    e->body_ended = true;
    answer(e);
}

static void on_aborted(rondo_http_response *response, void *arg) {
    exchange *e = arg;
    CHECK(!e->aborted && !e->ended && !e->closed);
    e->aborted = true;
    aborted++;
    if (below(3) == 0) answer(e); /* harmless, though nobody hears it */
    if (!e->ended) give_up(e);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice path = rondo_http_request_path(request);
    exchange *e = calloc(1, sizeof *e);
    CHECK(e && path.len > 2 && path.len < sizeof e->number);
    asked++;
    *e = (exchange){.request = request, .response = response, .way = path.data[1]};
    snprintf(e->number, sizeof e->number, "[%.*s]", (int)path.len - 2, path.data + 2);
    CHECK_INT(rondo_on_close(response, on_response_closed, e), 0);
    rondo_http_response_on_aborted(response, on_aborted, e);
    if (e->way == 'e' || e->way == 'p') {
        rondo_http_request_on_data(request, on_data, e);
        rondo_http_request_on_end(request, on_end, e);
    } else if (e->way == 't' || e->way == 'd') {
        later(e, below(50));
    } else if (e->way == 'i') {
        later(e, 0);
    } else {
        answer(e);
    }
}

/* ---- the clients ---- */

typedef struct client {
    int fd; /* -1: none */
    char *out;
    size_t len, at, cut; /* it goes when it has sent so many octets */
    size_t answers_cut;  /* or has received so many */
    bool half;           /* it has ended its sending */
    bool jumped;         /* a timeout may have struck */
    char ways[MOST_ASKED + 1];
    unsigned first; /* number of its first request */
    char *in;
    size_t in_len;
} client;

static client clients[CLIENTS];
static size_t begun, finished;
static unsigned numbers;

static size_t add_body(client *c, bool chunked) {
    size_t len = below(4) == 0 ? below(20000) : below(200), at = c->len;
    if (!chunked) {
        c->len += (size_t)sprintf(c->out + c->len, "Content-Length: %zu\r\n\r\n", len);
        memset(c->out + c->len, 'x', len);
        c->len += len;
        return c->len - at;
    }
    c->len += (size_t)sprintf(c->out + c->len, "Transfer-Encoding: chunked\r\n\r\n");
    while (len > 0) {
        size_t some = 1 + below(len);
        c->len += (size_t)sprintf(c->out + c->len, "%zx\r\n", some);
        memset(c->out + c->len, 'y', some);
        c->len += some;
        c->len += (size_t)sprintf(c->out + c->len, "\r\n");
        len -= some;
    }
    c->len += (size_t)sprintf(c->out + c->len, "0\r\n\r\n");
    return c->len - at;
}

static void begin_client(client *c) {
    size_t count = 1 + below(MOST_ASKED);
    memset(c, 0, sizeof *c);
    c->fd = harness_connect(web.port);
    CHECK_INT(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
    c->out = malloc(MOST_ASKED * 100000);
    c->in = malloc(ANSWER_ROOM + 1);
    CHECK(c->out && c->in);
    c->first = numbers;
    for (size_t i = 0; i < count; i++) {
        char way = ways[below(sizeof ways - 1)];
        bool has_body = way == 'e' || way == 'p' || below(6) == 0;
        c->ways[i] = way;
        c->len += (size_t)sprintf(c->out + c->len, "%s /%c%u HTTP/1.1\r\nHost: a\r\n",
                                  has_body ? "POST" : "GET", way, numbers++);
        if (has_body)
            add_body(c, below(2));
        else
            c->len += (size_t)sprintf(c->out + c->len, "\r\n");
    }
    c->cut = below(2) ? below(c->len + 1) : SIZE_MAX;
    c->answers_cut = below(3) == 0 ? below(2000) : SIZE_MAX;
    begun += count;
}

/* Who has stayed has an answer for each request up to the first one that is to be broken off. */
static void judge(const client *c) {
    const char *at = c->in;
    for (size_t i = 0; c->ways[i] && !strchr("cdb", c->ways[i]); i++) {
        char number[16];
        snprintf(number, sizeof number, "[%u]", c->first + (unsigned)i);
        at = strstr(at, number);
        if (!at)
            FAIL("no answer to %u, '%c' of %s: %.300s", c->first + (unsigned)i, c->ways[i], c->ways,
                 c->in);
    }
}

static void end_client(client *c, bool reset) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset) CHECK_INT(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(c->fd);
    free(c->out);
    free(c->in);
    c->fd = -1;
    finished++;
}

static bool has_all(const client *c) {
    char last[16];
    size_t count = strlen(c->ways);
    snprintf(last, sizeof last, "[%u]", c->first + (unsigned)count - 1);
    return strpbrk(c->ways, "cdb") == NULL && strstr(c->in, last) != NULL;
}

/* What came; false when the connection has ended. */
static bool take(client *c) {
    size_t room = ANSWER_ROOM - c->in_len, want = below(3) ? room : below(5000) + 1;
    if (room == 0) FAIL("an answer without an end");
    ssize_t got = recv(c->fd, c->in + c->in_len, want < room ? want : room, 0);
    if (got > 0) c->in_len += (size_t)got;
    c->in[c->in_len] = '\0';
    return got > 0 || (got < 0 && errno == EAGAIN);
}

static void move(client *c) {
    size_t stop = c->cut < c->len ? c->cut : c->len;
    if (c->at < stop) {
        size_t most = below(4) == 0 ? 20 : 30000, some = 1 + below(most);
        if (some > stop - c->at) some = stop - c->at;
        ssize_t sent = send(c->fd, c->out + c->at, some, MSG_NOSIGNAL);
        if (sent > 0) c->at += (size_t)sent;
    }
    bool open = take(c);
    if (c->at >= c->cut || c->in_len >= c->answers_cut) {
        if (below(3) == 0 && !c->half && open) { /* it only ends its sending, and waits a little */
            shutdown(c->fd, SHUT_WR);
            c->half = true;
            c->cut = c->len + 1;
            c->answers_cut = SIZE_MAX;
        } else if (!c->half || below(20) == 0) {
            end_client(c, below(2));
            return;
        }
    }
    if (!c->half && has_all(c)) {
        judge(c);
        end_client(c, below(2));
    } else if (!open) {
        if (!c->half && !c->jumped && c->at >= c->len && !strpbrk(c->ways, "cdb")) judge(c);
        end_client(c, false);
    }
}

static void turns(int count) {
    while (count-- > 0) rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
}

static void drive(size_t requests) {
    size_t until = begun + requests, round = 0;
    bool busy = true;
    while (busy) {
        busy = false;
        for (int i = 0; i < CLIENTS; i++) {
            client *c = &clients[i];
            if (c->fd < 0 && begun < until) begin_client(c);
            if (c->fd < 0) continue;
            busy = true;
            if (below(3)) move(c);
        }
        turns(1 + (int)below(2));
        bool jump = below(40) == 0;
        for (int i = 0; i < CLIENTS && jump; i++) clients[i].jumped = true;
        web_advance(&web,
                    jump ? 1000 + below(20000) : below(10)); /* timers, and now and then timeouts */
        if (++round % 256 == 0) rondo__loop_verify(web.loop);
    }
    for (int i = 0; i < 50 && asked != closed; i++) web_advance(&web, 100);
    CHECK_INT(closed, asked);
}

TEST(clients_go_at_any_octet) {
    size_t requests = setting("RONDO_STRESS_REQUESTS", harness_is_slow() ? 600 : 4000);
    random_begin(setting("RONDO_STRESS_SEED", 1));
    memset(piece, '.', sizeof piece);
    web_open(&web, on_request, NULL, NULL);
    for (int i = 0; i < CLIENTS; i++) clients[i].fd = -1;
    drive(requests / 2);
    size_t blocks = harness_live_blocks();
    for (int i = 0; i < 4; i++) drive(requests / 8);
    /* What is kept for the next ones is bounded; it is no more than after the first half, but for a
     * little chance. */
    CHECK(harness_live_blocks() <= blocks + 40);
    CHECK(asked > 0 && aborted > 0);
    printf(
        "%zu requests sent or begun, %zu heard, %zu of them aborted, %zu connections, %zu blocks\n",
        begun, asked, aborted, finished, harness_live_blocks());
    web_close(&web);
}
