/* SPDX-License-Identifier: MIT
 *
 * How a WebSocket ends: the closing handshake from either side, deadlines, peers that vanish at every
 * octet, memory that runs out, system calls that fail, and closing inside each callback.
 */
#include "faults.h"
#include "http_peer.h"
#include "websockets.h"

static rondo_loop *loop;

/* ---- ours first ---- */

TEST(the_closing_handshake_that_we_begin) {
    loop = new_virtual_loop();
    for (int role = SERVER; role <= CLIENT; role++) {
        ws_peer peer;
        rondo_websocket *socket = ws_open(loop, role, &peer);
        ws_note_all(&socket);
        CHECK(rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text("last")) > 0);
        CHECK_INT(rondo_websocket_end(socket, 1000, "done"), 0);
        CHECK_INT(rondo_websocket_end(socket, 1001, NULL), 0);
        run_turns(loop, 3);
        CHECK_STR(ws_got(&peer), "81:last|88:1000 done");
        CHECK(!peer.ended);
        ws_say(loop, &peer, "81:still coming|89:x|88:1000 ok|81:too late");
        CHECK_TRACE("text:still coming ping:x end:1000,ok"); /* no pong behind a Close */
        CHECK_STR(ws_got(&peer), "");
        CHECK_INT(peer.ended, role == SERVER); /* a client waits for the server: 7.1.1 */
        close(peer.fd), peer.fd = dup(0);
        run_turns(loop, 3);
        CHECK_TRACE("close");
        CHECK(!socket);
        ws_peer_close(&peer);
    }
    end_loop(loop);
}

TEST(both_begin_at_once_and_a_close_without_a_code) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, SERVER, &peer);
    ws_note_all(&socket);
    CHECK_INT(rondo_websocket_end(socket, 0, NULL), 0);
    ws_say(loop, &peer, "88:1001");
    CHECK_TRACE("end:1001");
    CHECK_STR(ws_got(&peer), "88:");
    shutdown(peer.fd, SHUT_WR);
    run_turns(loop, 3);
    CHECK_TRACE("close");
    ws_peer_close(&peer);
    end_loop(loop);
}

TEST(a_peer_that_does_not_answer_or_does_not_hang_up_is_cut_off) {
    loop = new_virtual_loop();
    for (int role = SERVER; role <= CLIENT; role++) {
        ws_peer peer;
        rondo_websocket *socket = ws_open(loop, role, &peer);
        ws_note_all(&socket);
        rondo_websocket_end(socket, 1000, NULL);
        ws_advance(loop, 4900);
        ws_say(loop, &peer, "81:not yet"); /* what else it says does not count */
        CHECK_TRACE("text:not yet");
        ws_advance(loop, 200);
        CHECK_TRACE("end:1006 close");
        ws_peer_close(&peer);

        socket = ws_open(loop, role, &peer); /* it answers, and keeps TCP open */
        ws_note_all(&socket);
        ws_say(loop, &peer, "88:1000");
        CHECK_TRACE("end:1000");
        ws_advance(loop, 5100);
        CHECK_TRACE("close");
        ws_peer_close(&peer);

        socket = ws_open(loop, role, &peer); /* the same after it broke a rule */
        ws_note_all(&socket);
        ws_say(loop, &peer, "83:");
        CHECK_TRACE("EPROTO end:1002");
        ws_advance(loop, 5100);
        CHECK_TRACE("close");
        ws_peer_close(&peer);
    }
    end_loop(loop);
}

/* Reads so many octets, or what there is; the last four stay in `tail`. */
static size_t take_octets(ws_peer *peer, size_t most, char tail[4]) {
    static char room[65536];
    size_t total = 0;
    while (total < most) {
        ssize_t got = recv(peer->fd, room, sizeof room, MSG_DONTWAIT);
        if (got <= 0) break;
        if (got >= 4) memcpy(tail, room + got - 4, 4);
        total += (size_t)got;
    }
    return total;
}

/* end() promises that what is queued is sent: a peer that takes it slowly gets all of it, one that does not
 * take it gets its time and no more. */
TEST(what_was_queued_before_a_close_may_leave_slowly) {
    static const size_t len = (size_t)12 << 20;
    char *data = calloc(1, len), tail[4] = "";
    loop = new_virtual_loop();
    for (int how = 0; how < 3; how++) {
        ws_peer peer;
        rondo_websocket_options options = {.slow = how == 2 ? RONDO_WEBSOCKET_SLOW_END
                                                            : RONDO_WEBSOCKET_SLOW_REPORT};
        rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
        ws_note_all(&socket);
        CHECK_INT(rondo_websocket_send(socket, RONDO_WEBSOCKET_BINARY, rondo_slice_of(data, len)),
                  0);
        CHECK_INT(rondo_websocket_end(socket, 1000, NULL), 0);
        run_turns(loop, 3);
        CHECK(rondo_websocket_queued(socket) > (size_t)1 << 20);
        size_t got = 0;
        int rounds = 0;
        for (; how == 0 && got < len + 14 && rounds < 100; rounds++) {
            ws_advance(loop, 4900);
            got += take_octets(&peer, (size_t)2 << 20, tail);
            run_turns(loop, 20);
        }
        if (how == 0) {
            CHECK_INT(got, len + 14);
            CHECK(rounds > 3);
            CHECK_MEM(tail, "\x88\x02\x03\xe8", 4);
            CHECK_TRACE("");
            ws_say(loop, &peer, "88:1000");
            CHECK_TRACE("end:1000");
            ws_advance(loop, 5100);
            CHECK_TRACE("close");
        } else {
            take_octets(&peer, how == 2 ? (size_t)2 << 20 : 0, tail);
            run_turns(loop, 20);
            ws_advance(loop, 5100);
            CHECK_TRACE("end:1006 close");
        }
        ws_peer_close(&peer);
    }
    free(data);
    end_loop(loop);
}

TEST(a_paused_socket_may_be_ended_and_fails_when_it_must) {
    ws_peer peer;
    rondo_websocket_options options = {.limits.queued_bytes = 1, .slow = RONDO_WEBSOCKET_SLOW_END};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_note_all(&socket);
    rondo_websocket_pause(socket);
    ws_say(loop, &peer, "81:a|88:1000");
    CHECK_INT(rondo_websocket_end(socket, 1000, NULL), 0);
    ws_advance(loop, 5100);
    CHECK_TRACE("end:1006 close");
    ws_peer_close(&peer);
    end_loop(loop);
}

TEST(a_reset_is_an_error_and_an_error_unheard_is_counted_on_a_server) {
    for (int role = SERVER; role <= CLIENT; role++) {
        rondo_stream *stream;
        rondo__ws_deflate none = {0};
        rondo_metrics metrics;
        loop = new_virtual_loop();
        rondo_loop_on_uncaught(loop, note_uncaught, NULL);
        int fd = new_tcp_pair(loop, &stream);
        rondo_websocket *socket =
            rondo__ws_new(loop, NULL, role == SERVER ? RONDO__WS_SERVER : 0, RONDO_HERE);
        rondo__ws_start(socket, stream, &none);
        CHECK_INT(rondo_websocket_on_end(socket, ws_note_end, NULL), 0);
        reset_peer(fd);
        run_turns(loop, 4);
        CHECK_TRACE(role == SERVER ? "end:1006" : "uncaught:ECONNRESET end:1006");
        rondo_loop_metrics(loop, &metrics);
        CHECK_INT(metrics.unheard_errors, role == SERVER);
        end_loop(loop);
    }
}

/* ---- closing inside each callback ---- */

static int close_at;

static void maybe_close(rondo_websocket *socket, int place) {
    if (close_at == place) rondo_close(socket);
    if (close_at == place + 100) rondo_websocket_end(socket, 1000, NULL);
}
static void at_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                       void *arg) {
    ws_note_message(socket, type, data, arg);
    maybe_close(socket, RONDO__WS_MESSAGE);
}
static void at_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                     bool last, void *arg) {
    maybe_close(socket, RONDO__WS_PIECE);
}
static void at_ping(rondo_websocket *socket, rondo_slice data, void *arg) {
    maybe_close(socket, RONDO__WS_PING);
}
static void at_pong(rondo_websocket *socket, rondo_slice data, void *arg) {
    maybe_close(socket, RONDO__WS_PONG);
}
static void at_drain(rondo_websocket *socket, void *arg) { maybe_close(socket, RONDO__WS_DRAIN); }
static void at_end(rondo_websocket *socket, uint16_t code, rondo_slice reason, void *arg) {
    note("end");
    maybe_close(socket, RONDO__WS_END);
}
static void at_error(rondo_websocket *socket, int error, void *arg) {
    note("error");
    maybe_close(socket, RONDO__WS_ERROR);
}

TEST(a_socket_may_be_closed_or_ended_in_each_of_its_callbacks) {
    char *bytes = new_bytes(400000);
    for (int pieces = 0; pieces < 2; pieces++)
        for (int role = SERVER; role <= CLIENT; role++)
            for (close_at = 0; close_at < 100 + RONDO__WS_EVENTS; close_at++) {
                ws_peer peer;
                if (close_at == RONDO__WS_EVENTS) close_at = 100;
                loop = new_virtual_loop();
                rondo_websocket *socket = ws_open(loop, role, &peer);
                rondo_websocket_on_message(socket, at_message, NULL);
                if (pieces) rondo_websocket_on_piece(socket, at_piece, NULL);
                rondo_websocket_on_ping(socket, at_ping, NULL);
                rondo_websocket_on_pong(socket, at_pong, NULL);
                rondo_websocket_on_drain(socket, at_drain, NULL);
                rondo_websocket_on_end(socket, at_end, NULL);
                rondo_websocket_on_error(socket, at_error, NULL);
                rondo_on_close(socket, ws_note_close, &socket);
                rondo_websocket_send(socket, RONDO_WEBSOCKET_BINARY, rondo_slice_of(bytes, 400000));
                for (int i = 0; i < 30; i++) {
                    ws_read(&peer);
                    run_turns(loop, 1);
                }
                ws_say(loop, &peer, "81:a|01:b|89:|00:c|8a:|80:d|82:e*5000|81:%FF|81:x");
                shutdown(peer.fd, SHUT_WR);
                run_turns(loop, 4);
                CHECK(strstr(trace, "close") && !socket);
                CHECK(!strstr(strstr(trace, "close") + 1, "close"));
                const char *end = strstr(trace, "end");
                CHECK(!end || !strstr(end + 1, "end"));
                trace_size = 0, trace[0] = '\0';
                ws_peer_close(&peer);
                end_loop(loop);
            }
    free(bytes);
}

/* ---- peers that vanish ---- */

TEST(a_peer_may_vanish_behind_every_octet) {
    octets all = {0};
    put_frames(&all, "81:a|01:b*130|89:x|80:c|88:1000", true);
    for (size_t len = 0; len <= all.len; len++)
        for (int reset = 0; reset < 2; reset++) {
            rondo_stream *stream;
            rondo__ws_deflate none = {0};
            loop = new_virtual_loop();
            int fd = new_tcp_pair(loop, &stream);
            rondo_websocket *socket = rondo__ws_new(loop, NULL, RONDO__WS_SERVER, RONDO_HERE);
            rondo__ws_start(socket, stream, &none);
            ws_note_all(&socket);
            if (len > 0) CHECK_INT(send(fd, all.data, len, 0), len);
            run_turns(loop, 2);
            if (reset)
                reset_peer(fd);
            else
                close(fd);
            run_turns(loop, 6);
            CHECK(!socket && strstr(trace, "end:"));
            CHECK_INT(strstr(trace, "end:1000") != NULL, len == all.len);
            trace_size = 0, trace[0] = '\0';
            end_loop(loop);
        }
    free(all.data);
}

/* ---- memory and system calls ---- */

static int ends, closes;
static void count_end(rondo_websocket *socket, uint16_t code, rondo_slice reason, void *arg) {
    ends++;
}
static void count_close(rondo_handle *handle, void *arg) { closes++; }
static void echo(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data, void *arg) {
    rondo_websocket_send(socket, type, data);
}
static void count_error(rondo_websocket *socket, int error, void *arg) { *(int *)arg = error; }

/* An echo of all kinds of messages, a message for many and the closing; what went wrong. */
static int exchange(int role) {
    ws_peer peer;
    int error = 0;
    rondo_websocket_message *message;
    rondo_websocket *socket = ws_open(loop, role, &peer);
    ends = closes = 0;
    CHECK_INT(rondo_websocket_on_message(socket, echo, NULL), 0);
    CHECK_INT(rondo_websocket_on_end(socket, count_end, NULL), 0);
    CHECK_INT(rondo_websocket_on_error(socket, count_error, &error), 0);
    CHECK_INT(rondo_on_close(socket, count_close, NULL), 0);
    FAULTS_BEGIN();
    if (rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, rondo_slice_text("m"), &message) ==
        0) {
        rondo_websocket_send_message(socket, message);
        rondo_websocket_message_free(message);
    }
    ws_say(loop, &peer, "81:a|01:b|89:x|80:c*9000|82:d*70000");
    for (int i = 0; i < 20; i++) {
        ws_read(&peer);
        run_turns(loop, 1);
    }
    ws_say(loop, &peer, "88:1000");
    shutdown(peer.fd, SHUT_WR);
    run_turns(loop, 5);
    FAULTS_END();
    ws_advance(loop, 60000);
    CHECK_INT(closes, 1);
    CHECK_INT(ends, 1);
    ws_peer_close(&peer);
    return error;
}

TEST(without_memory_a_socket_ends_once_and_leaves_nothing) {
    for (int role = SERVER; role <= CLIENT; role++) {
        int failures = 0;
        for (long n = 0;; n++) {
            loop = new_virtual_loop();
            ws_peer first;
            rondo_websocket *warm = ws_open(loop, role, &first); /* what the loop keeps */
            harness_fail_alloc_after(n);
            ws_peer peer = {.is_client = role == SERVER};
            int error = 0;
            rondo_websocket *socket = NULL;
            rondo_stream *stream;
            rondo__ws_deflate none = {0};
            int fds[2];
            CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
            peer.fd = fds[1];
            ends = closes = 0;
            if (rondo_stream_open(loop, fds[0], &stream) < 0) {
                close(fds[0]);
            } else if (!(socket =
                             rondo__ws_new(loop, &(rondo_websocket_options){.limits.fragments = 9},
                                           role == SERVER ? RONDO__WS_SERVER : 0, RONDO_HERE))) {
                rondo_close(stream);
            } else {
                rondo__ws_start(socket, stream, &none);
                rondo_websocket_on_message(socket, echo, NULL);
                rondo_websocket_on_end(socket, count_end, NULL);
                rondo_websocket_on_error(socket, count_error, &error);
                rondo_on_close(socket, count_close, NULL);
                ws_say(loop, &peer, "81:a|01:b|89:x|80:c*9000");
                rondo_websocket_pause(socket);
                rondo_websocket_message *message;
                if (rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, rondo_slice_text("m"),
                                                &message) == 0) {
                    rondo_websocket_send_message(socket, message);
                    rondo_websocket_message_free(message);
                }
                rondo_websocket_resume(socket);
                ws_say(loop, &peer, "88:1000");
                shutdown(peer.fd, SHUT_WR);
                run_turns(loop, 5);
                CHECK_INT(closes, 1);
                CHECK_INT(ends, 1);
            }
            bool failed = harness_alloc_failed();
            harness_fail_alloc_after(-1);
            failures += failed;
            ws_peer_close(&peer);
            rondo_close(warm);
            run_turns(loop, 2);
            ws_peer_close(&first);
            end_loop(loop);
            if (!failed) break;
        }
        CHECK(failures > 5);
    }
}

static int sweep_role;
static bool passes; /* the fault changes nothing */
static void exchange_once(void) {
    loop = new_virtual_loop();
    int error = exchange(sweep_role);
    if (passes || !faults_struck()) CHECK_INT(error, 0);
    end_loop(loop);
}

TEST(system_calls_that_are_interrupted_or_short_change_nothing) {
    passes = true;
    for (sweep_role = SERVER; sweep_role <= CLIENT; sweep_role++) {
        FAULT_SWEEP(exchange_once, CALLS_READ | CALLS_WRITE, EAGAIN);
        FAULT_SWEEP(exchange_once, CALLS_READ | CALLS_WRITE, EINTR);
        FAULT_SWEEP_SHORT(exchange_once, CALLS_WRITE, 1);
    }
}

TEST(a_connection_that_breaks_at_any_call_ends_the_socket_once) {
    passes = false;
    for (sweep_role = SERVER; sweep_role <= CLIENT; sweep_role++) {
        FAULT_SWEEP(exchange_once, CALLS_READ | CALLS_WRITE, ECONNRESET);
        FAULT_SWEEP(exchange_once, CALLS_WRITE, EPIPE);
    }
}

TEST(without_random_octets_a_client_sends_nothing) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, CLIENT, &peer);
    faults_fail(CALL_getrandom, 1, EIO);
    CHECK_INT(rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text("a")), RONDO_EIO);
    faults_fail(CALL_getrandom, 1, EINTR);
    CHECK_INT(rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text("b")), 1);
    run_turns(loop, 1);
    CHECK_STR(ws_got(&peer), "81:b");
    rondo_close(socket);
    run_turns(loop, 2);
    ws_peer_close(&peer);
    end_loop(loop);
}
