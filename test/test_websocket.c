/* SPDX-License-Identifier: MIT
 *
 * A WebSocket from the inside: sending, flow in both directions, limits, keeping alive, and messages
 * for many. What the frames of a peer may be is in test_websocket_frames.c, how it all ends in
 * test_websocket_end.c.
 */
#include "websockets.h"

static rondo_loop *loop;

static rondo_slice text_of(const char *text) { return rondo_slice_text(text); }
static int send_text(rondo_websocket *socket, const char *text) {
    return rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, text_of(text));
}

/* Closes at once, lets the loop see it, and forgets the peer. */
static void close_both(rondo_websocket *socket, ws_peer *peer) {
    rondo_close(socket);
    run_turns(loop, 2);
    ws_peer_close(peer);
}

/* ---- sending ---- */

TEST(messages_go_out_as_single_frames_of_every_length) {
    static const size_t lengths[] = {0, 1, 125, 126, 127, 4096, 8178, 8179, 65535, 65536, 200000};
    loop = new_virtual_loop();
    for (int role = SERVER; role <= CLIENT; role++) {
        ws_peer peer;
        rondo_websocket *socket = ws_open(loop, role, &peer);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            char *bytes = new_bytes(lengths[i]);
            octets payload = {0};
            unsigned first = 0;
            CHECK(rondo_websocket_send(socket, RONDO_WEBSOCKET_BINARY,
                                       rondo_slice_of(bytes, lengths[i])) >= 0);
            for (int turn = 0; turn < 50 && first == 0; turn++) {
                run_turns(loop, 1);
                ws_read(&peer);
                take_frame(&peer.got, &first, &payload, role == CLIENT);
            }
            CHECK_INT(first, 0x82);
            check_bytes(payload.data, payload.len, lengths[i]);
            CHECK_INT(peer.got.len, 0);
            free(payload.data);
            free(bytes);
        }
        close_both(socket, &peer);
    }
    end_loop(loop);
}

TEST(each_frame_of_a_client_has_a_mask_of_its_own) {
    ws_peer peer;
    char masks[200][4];
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, CLIENT, &peer);
    for (int i = 0; i < 200; i++) {
        CHECK_INT(send_text(socket, "a"), 1);
        run_turns(loop, 1);
        ws_read(&peer);
        CHECK_INT(peer.got.len, 7);
        memcpy(masks[i], peer.got.data + 2, 4);
        peer.got.len = 0;
        for (int j = 0; j < i; j++) CHECK(memcmp(masks[i], masks[j], 4) != 0);
    }
    for (int octet = 0; octet < 4; octet++) {
        int others = 0;
        for (int i = 1; i < 200; i++) others += masks[i][octet] != masks[0][octet];
        CHECK(others > 100);
    }
    close_both(socket, &peer);
    end_loop(loop);
}

TEST(what_can_not_be_sent_is_refused) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, SERVER, &peer);
    CHECK_INT(send_text(socket, "\xff"), RONDO_EINVAL);
    CHECK_INT(send_text(socket, "a\xe2\x82"), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_send(socket, (rondo_websocket_type)8, text_of("a")), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_send(socket, (rondo_websocket_type)0, text_of("a")), RONDO_EINVAL);
    char *bytes = new_bytes(126);
    CHECK_INT(rondo_websocket_ping(socket, rondo_slice_of(bytes, 126)), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_ping(socket, rondo_slice_of(bytes, 125)), 1);
    free(bytes);
    CHECK_INT(rondo_websocket_end(socket, 1005, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_end(socket, 0, "a reason without a code"), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_end(socket, 1000, "\x80"), RONDO_EINVAL);
    char reason[125];
    memset(reason, 'a', 124), reason[124] = '\0';
    CHECK_INT(rondo_websocket_end(socket, 1000, reason), RONDO_EINVAL);
    reason[123] = '\0';
    CHECK_INT(rondo_websocket_end(socket, 1000, reason), 0);
    CHECK_INT(send_text(socket, "a"), RONDO_EPIPE);
    CHECK_INT(rondo_websocket_ping(socket, text_of("")), RONDO_EPIPE);
    CHECK_INT(rondo_websocket_send_piece(socket, RONDO_WEBSOCKET_TEXT, text_of("a"), true),
              RONDO_EPIPE);
    CHECK_INT(rondo_websocket_end(socket, 1000, NULL), 0); /* again */
    rondo_close(socket);
    CHECK_INT(send_text(socket, "a"), RONDO_ECLOSED);
    CHECK_INT(rondo_websocket_end(socket, 1000, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_websocket_pause(socket), RONDO_ECLOSED);
    CHECK_INT(rondo_websocket_resume(socket), RONDO_ECLOSED);
    CHECK_INT(rondo_websocket_on_message(socket, ws_note_message, NULL), RONDO_ECLOSED);
    close_both(socket, &peer);
    end_loop(loop);
}

static int piece(rondo_websocket *socket, const char *text, bool last) {
    return rondo_websocket_send_piece(socket, RONDO_WEBSOCKET_TEXT, text_of(text), last);
}

TEST(pieces_go_out_as_fragments_and_only_control_frames_come_between) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, SERVER, &peer);
    CHECK_INT(piece(socket, "a\xe2\x82", false), 1);
    CHECK_INT(send_text(socket, "b"), RONDO_EBUSY);
    CHECK_INT(piece(socket, "b", false), RONDO_EINVAL); /* the character lacks an octet */
    CHECK_INT(piece(socket, "\xac\xe2", true), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_ping(socket, text_of("x")), 1);
    CHECK_INT(piece(socket, "\xac", false), 1);
    CHECK_INT(piece(socket, "", true), 1);
    CHECK_INT(send_text(socket, "b"), 1);
    CHECK_INT(rondo_websocket_send_piece(socket, RONDO_WEBSOCKET_BINARY, text_of("\xff"), false),
              1);
    /* The type of what follows is that of the first one. */
    CHECK_INT(piece(socket, "\xfe", true), 1);
    CHECK_INT(rondo_websocket_send_piece(socket, (rondo_websocket_type)9, text_of(""), true),
              RONDO_EINVAL);
    CHECK_INT(piece(socket, "only", true), 1);
    run_turns(loop, 1);
    CHECK_STR(ws_got(&peer), "01:a%E2%82|89:x|00:%AC|80:|81:b|02:%FF|80:%FE|81:only");
    close_both(socket, &peer);
    end_loop(loop);
}

/* ---- pieces that come ---- */

static void listen_to_pieces(rondo_websocket *socket) {
    CHECK_INT(rondo_websocket_on_piece(socket, ws_note_piece, NULL), 0);
}

TEST(with_a_listener_messages_come_in_pieces_of_any_number_and_length) {
    ws_peer peer;
    rondo_websocket_options options = {.limits.message_bytes = 10};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_note_all(&socket);
    listen_to_pieces(socket);
    ws_say(loop, &peer, "81:Hello|81:");
    CHECK_TRACE("last:Hello last:");
    ws_say(loop, &peer, "01:Hel|89:x|00:lo|80:");
    CHECK_TRACE("piece:Hel ping:x piece:lo last:");
    ws_say(loop, &peer, "02:|82:a*5000");
    CHECK_TRACE("EPROTO end:1002"); /* an empty first fragment tells nothing */
    run_turns(loop, 2);
    close_both(socket, &peer);
    CHECK_TRACE("close");

    socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_note_all(&socket);
    listen_to_pieces(socket);
    ws_say(loop, &peer, "82:a*3000");
    CHECK_TRACE("last:a*3000");
    octets frame = {0};
    put_frames(&frame, "81:%CE%BAa*4", true);
    ws_send_octets(loop, &peer, &frame, 7); /* the header and one octet */
    CHECK_TRACE("piece:%CE last:%BAaaaa");
    free(frame.data);
    ws_say(loop, &peer, "01:%CE|00:x");
    CHECK_TRACE("piece:%CE EPROTO end:1007");
    close_both(socket, &peer);
    CHECK_TRACE("close");
    end_loop(loop);
}

/* ---- flow ---- */

static rondo_websocket *flooded;
static int flood_status;

TEST(sending_says_0_at_the_mark_and_drain_when_all_is_sent) {
    ws_peer peer;
    char *bytes = new_bytes(30000);
    loop = new_virtual_loop();
    for (int role = SERVER; role <= CLIENT; role++) {
        rondo_websocket *socket = ws_open(loop, role, &peer);
        CHECK_INT(rondo_websocket_on_drain(socket, ws_note_drain, NULL), 0);
        int sent = 0, status;
        do {
            status =
                rondo_websocket_send(socket, RONDO_WEBSOCKET_BINARY, rondo_slice_of(bytes, 30000));
            sent++;
            run_turns(loop, 1);
        } while (status == 1);
        CHECK_INT(status, 0);
        CHECK(rondo_websocket_queued(socket) >= 65536);
        CHECK_TRACE("");
        for (int i = 0; i < 200 && trace_size == 0; i++) {
            ws_read(&peer);
            run_turns(loop, 1);
        }
        CHECK_TRACE("drain");
        CHECK_INT(rondo_websocket_queued(socket), 0);
        ws_read(&peer);
        unsigned first;
        octets payload = {0};
        for (; sent > 0; sent--) {
            CHECK(take_frame(&peer.got, &first, &payload, role == CLIENT));
            check_bytes(payload.data, payload.len, 30000);
        }
        free(payload.data);
        close_both(socket, &peer);
    }
    free(bytes);
    end_loop(loop);
}

static void flood(int role, rondo_websocket_slow slow, ws_peer *peer) {
    rondo_websocket_options options = {.slow = slow, .limits.queued_bytes = 100000};
    char *bytes = new_bytes(30000);
    flooded = ws_open_with(loop, role, peer, &options, NULL);
    ws_note_all(&flooded);
    do {
        flood_status =
            rondo_websocket_send(flooded, RONDO_WEBSOCKET_BINARY, rondo_slice_of(bytes, 30000));
        run_turns(loop, 1);
    } while (flood_status >= 0);
    free(bytes);
}

TEST(a_slow_peer_is_reported_and_what_is_queued_has_a_bound) {
    ws_peer peer;
    loop = new_virtual_loop();
    flood(SERVER, RONDO_WEBSOCKET_SLOW_REPORT, &peer);
    CHECK_INT(flood_status, RONDO_ENOBUFS);
    size_t queued = rondo_websocket_queued(flooded);
    CHECK(queued >= 100000 && queued < 100000 + 30010);
    CHECK_INT(rondo_websocket_ping(flooded, text_of("")), RONDO_ENOBUFS);
    rondo_websocket_message *message;
    CHECK_INT(rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, text_of("a"), &message), 0);
    CHECK_INT(rondo_websocket_send_message(flooded, message), RONDO_ENOBUFS);
    rondo_websocket_message_free(message);
    for (int i = 0; i < 200 && trace_size == 0; i++) {
        ws_read(&peer);
        run_turns(loop, 1);
    }
    CHECK_TRACE("drain");
    CHECK_INT(send_text(flooded, "a"), 1);
    close_both(flooded, &peer);
    end_loop(loop);
}

TEST(or_a_slow_peer_is_ended_with_1013) {
    ws_peer peer;
    loop = new_virtual_loop();
    flood(SERVER, RONDO_WEBSOCKET_SLOW_END, &peer);
    CHECK_INT(flood_status, RONDO_ENOBUFS);
    CHECK_INT(send_text(flooded, "a"), RONDO_EPIPE);
    for (int i = 0; i < 50; i++) { /* it reads at last */
        ws_read(&peer);
        run_turns(loop, 1);
    }
    CHECK(peer.got.len > 12);
    CHECK_MEM(peer.got.data + peer.got.len - 12, "\x88\x0a\x03\xf5too slow", 12);
    ws_say(loop, &peer, "88:1013");
    CHECK_TRACE("end:1013");
    close_both(flooded, &peer);
    CHECK_TRACE("close");

    flood(SERVER, RONDO_WEBSOCKET_SLOW_END, &peer); /* or it doesn't */
    ws_advance(loop, 5000);
    CHECK_TRACE("end:1006 close");
    ws_peer_close(&peer);
    end_loop(loop);
}

/* ---- pausing ---- */

static void pause_at(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                     void *arg) {
    ws_note_message(socket, type, data, arg);
    if (data.len > 0 && data.data[0] == 'p') {
        CHECK_INT(rondo_websocket_pause(socket), 0);
        CHECK_INT(rondo_websocket_pause(socket), 0);
    }
    if (data.len > 0 && data.data[0] == 'r') {
        rondo_websocket_pause(socket);
        rondo_websocket_resume(socket);
        CHECK_INT(rondo_websocket_resume(socket), 0);
    }
}

TEST(nothing_comes_after_a_pause_and_nothing_is_lost) {
    ws_peer peer;
    loop = new_virtual_loop();
    for (int role = SERVER; role <= CLIENT; role++) {
        rondo_websocket *socket = ws_open(loop, role, &peer);
        ws_note_all(&socket);
        CHECK_INT(rondo_websocket_off_message(socket, ws_note_message, NULL), 0);
        CHECK_INT(rondo_websocket_on_message(socket, pause_at, NULL), 0);
        ws_say(loop, &peer, "81:a|81:p1|81:b|89:x|01:c|80:d|81:r|81:p2|81:e*5000|88:1000");
        CHECK_TRACE("text:a text:p1");
        run_turns(loop, 5);
        CHECK_STR(ws_got(&peer), "");
        CHECK_INT(rondo_websocket_resume(socket), 0);
        CHECK_TRACE(""); /* not inside the call */
        run_turns(loop, 3);
        CHECK_TRACE("text:b ping:x text:cd text:r text:p2");
        CHECK_STR(ws_got(&peer), "8a:x");
        CHECK_INT(rondo_websocket_resume(socket), 0);
        rondo_websocket_pause(socket); /* before anything could happen */
        run_turns(loop, 3);
        CHECK_TRACE("");
        CHECK_INT(rondo_websocket_resume(socket), 0);
        run_turns(loop, 3);
        CHECK_TRACE("text:e*5000 end:1000");
        close_both(socket, &peer);
        CHECK_TRACE("close");
    }
    end_loop(loop);
}

TEST(pausing_at_every_message_of_a_stream_loses_none) {
    ws_peer peer;
    octets all = {0};
    loop = new_virtual_loop();
    for (int i = 0; i < 300; i++) {
        char text[16];
        snprintf(text, sizeof text, "81:p%d", i);
        put_frames(&all, text, true);
    }
    for (size_t size = 1; size <= all.len; size = size * 5 + 1) {
        rondo_websocket *socket = ws_open(loop, SERVER, &peer);
        CHECK_INT(rondo_websocket_on_message(socket, pause_at, NULL), 0);
        size_t sent = 0;
        for (int i = 0; i < 300; i++) {
            char want[24];
            snprintf(want, sizeof want, "text:p%d", i);
            for (int turn = 0; turn < 40 && trace_size == 0; turn++) {
                size_t more = all.len - sent < size ? all.len - sent : size;
                if (more > 0) CHECK_INT(send(peer.fd, all.data + sent, more, 0), more);
                sent += more;
                run_turns(loop, 1);
            }
            CHECK_TRACE(want);
            CHECK_INT(rondo_websocket_resume(socket), 0);
        }
        close_both(socket, &peer);
    }
    free(all.data);
    end_loop(loop);
}

TEST(a_paused_socket_may_be_closed_with_octets_that_wait) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, SERVER, &peer);
    CHECK_INT(rondo_websocket_on_message(socket, pause_at, NULL), 0);
    ws_say(loop, &peer, "81:p|81:a|01:b");
    rondo_websocket_resume(socket);
    close_both(socket, &peer);
    socket = ws_open(loop, SERVER, &peer);
    ws_say(loop, &peer, "01:b|00:c");
    CHECK_INT(rondo_websocket_pause(socket), 0);
    CHECK_INT(rondo_websocket_resume(socket), 0);
    close_both(socket, &peer);
    CHECK_TRACE("text:p");
    end_loop(loop);
}

/* ---- limits ---- */

static void check_limit(rondo_websocket_options *options, const char *frames, const char *told,
                        const char *answered) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, options, NULL);
    ws_note_all(&socket);
    ws_say(loop, &peer, frames);
    CHECK_TRACE(told);
    CHECK_STR(ws_got(&peer), answered);
    close_both(socket, &peer);
    trace_size = 0, trace[0] = '\0';
    end_loop(loop);
}

TEST(a_message_may_be_so_long_and_no_longer) {
    rondo_websocket_options options = {.limits.message_bytes = 10};
    check_limit(&options, "82:a*10|81:b*10", "binary:a*10 text:b*10", "");
    check_limit(&options, "82:a*11", "EMSGSIZE end:1009", "88:1009");
    check_limit(&options, "02:a*9|80:a", "binary:a*10", "");
    check_limit(&options, "02:a*9|00:|80:aa", "EMSGSIZE end:1009", "88:1009");
    check_limit(&options, "02:a*9|89:b*20|80:a", "ping:b*20 binary:a*10", "8a:b*20");
    check_limit(NULL, "82:a*1048576", "binary:a*1048576", "");
    check_limit(NULL, "82:a*1048577", "EMSGSIZE end:1009", "88:1009");
    options = (rondo_websocket_options){.limits.frame_bytes = 10};
    check_limit(&options, "02:a*10|80:a*10", "binary:a*20", "");
    check_limit(&options, "02:a*10|80:a*11", "EMSGSIZE end:1009", "88:1009");
    options = (rondo_websocket_options){.limits.message_bytes = UINT64_MAX};
    check_limit(&options, "82:a*2000000", "binary:a*2000000", "");
}

TEST(a_length_that_is_announced_costs_no_memory) {
    ws_peer peer;
    rondo_websocket_options options = {.limits.message_bytes = UINT64_MAX};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_note_all(&socket);
    size_t before = harness_alloc_count();
    ws_say(loop, &peer, "#82ff7fffffffffffffff3700000061"); /* 2^63 - 1, and two of them */
    CHECK(harness_alloc_count() - before < 6);
    CHECK_TRACE("");
    close_both(socket, &peer);
    CHECK_TRACE("close");
    end_loop(loop);
}

TEST(a_message_may_be_in_so_many_fragments) {
    rondo_websocket_options options = {.limits.fragments = 3};
    check_limit(&options, "01:a|00:b|80:c", "text:abc", "");
    check_limit(&options, "01:a|00:|00:|80:c", "ENOBUFS end:1008", "88:1008");
}

TEST(so_many_control_frames_may_come_in_a_second) {
    rondo_websocket_options options = {.limits.control_frames = 3};
    check_limit(&options, "89:1|8a:2|81:a|89:3", "ping:1 pong:2 text:a ping:3", "8a:1|8a:3");
    check_limit(&options, "89:1|8a:2|89:3|89:4", "ping:1 pong:2 ping:3 ENOBUFS end:1008",
                "8a:1|8a:3|88:1008");
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_note_all(&socket);
    for (int i = 0; i < 4; i++) {
        ws_say(loop, &peer, "8a:|8a:|8a:");
        CHECK_TRACE("pong: pong: pong:");
        ws_advance(loop, 1000);
    }
    close_both(socket, &peer);
    end_loop(loop);
}

/* A peer that sends pings and reads nothing gets one pong, for the latest one, when it reads at last. */
TEST(pongs_do_not_fill_the_queue_of_one_who_does_not_read) {
    ws_peer peer;
    loop = new_virtual_loop();
    flood(SERVER, RONDO_WEBSOCKET_SLOW_REPORT, &peer);
    size_t queued = rondo_websocket_queued(flooded);
    octets pings = {0};
    put_frames(&pings, "89:1|89:2|89:|89:latest", true);
    CHECK_INT(send(peer.fd, pings.data, pings.len, 0), pings.len);
    free(pings.data);
    run_turns(loop, 3);
    CHECK_TRACE("ping:1 ping:2 ping: ping:latest");
    CHECK_INT(rondo_websocket_queued(flooded), queued);
    for (int i = 0; i < 50; i++) {
        ws_read(&peer);
        run_turns(loop, 1);
    }
    CHECK_MEM(peer.got.data + peer.got.len - 8, "\x8a\x06latest", 8);
    CHECK_INT(peer.got.len % 30004, 8);
    CHECK_TRACE("drain");
    close_both(flooded, &peer);
    end_loop(loop);
}

/* ---- keeping alive ---- */

TEST(a_silent_peer_is_asked_and_lost_when_it_does_not_answer) {
    ws_peer peer;
    loop = new_virtual_loop();
    for (int role = SERVER; role <= CLIENT; role++) {
        rondo_websocket *socket = ws_open(loop, role, &peer);
        ws_note_all(&socket);
        ws_advance(loop, 29000);
        CHECK_STR(ws_got(&peer), "");
        ws_advance(loop, 1100);
        CHECK_STR(ws_got(&peer), "89:");
        ws_advance(loop, 19000);
        ws_say(loop, &peer, "8a:");
        CHECK_TRACE("pong:");
        ws_advance(loop, 29000);
        CHECK_STR(ws_got(&peer), "");
        ws_say(loop, &peer, "#81"); /* any octet will do */
        ws_advance(loop, 29000);
        CHECK_STR(ws_got(&peer), "");
        ws_advance(loop, 1100);
        CHECK_STR(ws_got(&peer), "89:");
        ws_advance(loop, 20100);
        CHECK_TRACE("ETIMEDOUT end:1006 close");
        CHECK_STR(ws_got(&peer), "");
        CHECK(peer.ended && !socket);
        ws_peer_close(&peer);
    }
    end_loop(loop);
}

TEST(one_who_is_paused_is_not_asked) {
    ws_peer peer;
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, SERVER, &peer);
    ws_note_all(&socket);
    rondo_websocket_pause(socket);
    ws_advance(loop, 500000);
    CHECK_STR(ws_got(&peer), "");
    rondo_websocket_resume(socket);
    ws_advance(loop, 30100);
    CHECK_STR(ws_got(&peer), "89:");
    close_both(socket, &peer);
    CHECK_TRACE("close");
    end_loop(loop);
}

/* It is busy reading what we send, so its pong is far behind. */
TEST(one_who_takes_what_is_sent_is_there) {
    ws_peer peer;
    char buffer[10000];
    loop = new_virtual_loop();
    flood(SERVER, RONDO_WEBSOCKET_SLOW_REPORT, &peer);
    ws_advance(loop, 30100);
    size_t before = rondo_websocket_queued(flooded);
    while (rondo_websocket_queued(flooded) == before) {
        CHECK(recv(peer.fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0);
        run_turns(loop, 2);
    }
    ws_advance(loop, 20100);
    CHECK_TRACE("drain");
    ws_advance(loop, 20100);
    CHECK_TRACE("ETIMEDOUT end:1006 close");
    ws_peer_close(&peer);
    end_loop(loop);
}

TEST(times_may_be_set_or_never_come) {
    ws_peer peer;
    rondo_websocket_options options = {.limits = {.ping_interval_ms = 10, .pong_timeout_ms = 5}};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_note_all(&socket);
    ws_advance(loop, 11);
    CHECK_STR(ws_got(&peer), "89:");
    ws_advance(loop, 6);
    CHECK_TRACE("ETIMEDOUT end:1006 close");
    ws_peer_close(&peer);
    options.limits.ping_interval_ms = UINT64_MAX;
    socket = ws_open_with(loop, SERVER, &peer, &options, NULL);
    ws_advance(loop, 1u << 31);
    CHECK_STR(ws_got(&peer), "");
    close_both(socket, &peer);
    end_loop(loop);
}

/* ---- for many ---- */

#define MANY 20

TEST(a_message_for_many_is_lent_to_each) {
    ws_peer peers[MANY];
    rondo_websocket *sockets[MANY];
    rondo_websocket_message *message;
    loop = new_virtual_loop();
    for (int i = 0; i < MANY; i++) sockets[i] = ws_open(loop, i % 2, &peers[i]);
    CHECK_INT(rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, text_of("\xff"), &message),
              RONDO_EINVAL);
    CHECK_INT(rondo_websocket_message_new(loop, (rondo_websocket_type)3, text_of("a"), &message),
              RONDO_EINVAL);
    CHECK_INT(rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, text_of("to all"), &message),
              0);
    for (int i = 0; i < MANY; i++) CHECK_INT(rondo_websocket_send_message(sockets[i], message), 1);
    rondo_websocket_message_free(message);
    rondo_websocket_message_free(NULL);
    rondo_close(sockets[3]); /* with the message in its queue */
    rondo_close(sockets[4]);
    run_turns(loop, 3);
    for (int i = 0; i < MANY; i++) {
        CHECK_STR(ws_got(&peers[i]), i == 3 || i == 4 ? "" : "81:to all");
        if (i != 3 && i != 4) rondo_close(sockets[i]);
        ws_peer_close(&peers[i]);
    }
    end_loop(loop);
}

TEST(a_message_belongs_to_its_loop) {
    ws_peer peer;
    rondo_websocket_message *message;
    rondo_loop *other = new_virtual_loop();
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, SERVER, &peer);
    CHECK_INT(rondo_websocket_message_new(other, RONDO_WEBSOCKET_BINARY, text_of("\xff"), &message),
              0);
    CHECK_INT(rondo_websocket_send_message(socket, message), RONDO_EINVAL);
    rondo_websocket_message_free(message);
    CHECK_INT(rondo_websocket_message_new(loop, RONDO_WEBSOCKET_BINARY, text_of(""), &message), 0);
    CHECK_INT(rondo_websocket_send_message(socket, message), 1);
    CHECK_INT(rondo_websocket_send_piece(socket, RONDO_WEBSOCKET_BINARY, text_of("a"), false), 1);
    CHECK_INT(rondo_websocket_send_message(socket, message), RONDO_EBUSY);
    CHECK_INT(rondo_websocket_send_piece(socket, RONDO_WEBSOCKET_BINARY, text_of("b"), true), 1);
    rondo_websocket_end(socket, 1000, NULL);
    CHECK_INT(rondo_websocket_send_message(socket, message), RONDO_EPIPE);
    rondo_websocket_message_free(message);
    run_turns(loop, 1);
    CHECK_STR(ws_got(&peer), "82:|02:a|80:b|88:1000");
    close_both(socket, &peer);
    end_loop(loop);
    end_loop(other);
}

/* ---- memory ---- */

TEST(an_idle_socket_holds_nothing_but_its_handle) {
    ws_peer peer, others[40];
    loop = new_virtual_loop();
    ws_open(loop, SERVER, &peer);
    for (int i = 0; i < 40; i++) ws_open(loop, SERVER, &others[i]);
    size_t idle = harness_live_blocks();
    for (int i = 0; i < 40; i++) ws_say(loop, &others[i], "#8185"); /* a frame begins on each */
    for (int i = 0; i < 40; i++) ws_say(loop, &others[i], "#0000000000");
    for (int i = 0; i < 40; i++) ws_say(loop, &others[i], "#00000000|01:a|80:b*5000|82:c*70000");
    ws_say(loop, &peer, "01:a*5000|00:b|80:c|82:d*70000|89:");
    /* Spare readers, the writer, what streams keep. */
    CHECK(harness_live_blocks() < idle + RONDO__SPARE_READERS + 8);
    size_t spare = harness_live_blocks();
    ws_say(loop, &peer, "01:a*5000|00:b|80:c|82:d*70000|89:");
    CHECK_INT(harness_live_blocks(), spare);
    size_t count = harness_alloc_count();
    ws_say(loop, &peer, "81:a|82:b|89:x|81:c*4000"); /* whole messages cost no allocation */
    CHECK_INT(harness_alloc_count(), count);
    rondo_loop_close_all(loop);
    run_turns(loop, 3);
    ws_peer_close(&peer);
    for (int i = 0; i < 40; i++) ws_peer_close(&others[i]);
    end_loop(loop);
}
