/* SPDX-License-Identifier: MIT
 *
 * A server's handshake: what is one, what is agreed on, and how all else is answered. A whole server,
 * and clients of raw octets.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "websockets.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define GET_LINE "GET /chat HTTP/1.1\r\nHost: a.example:80\r\n"
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define THE_KEY "Sec-WebSocket-Key: " KEY "\r\n"
#define HANDSHAKE GET_LINE UPGRADE VERSION THE_KEY
#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\n"
#define HELLO "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" /* of section 5.7 */

static rondo_websocket *opened;
static rondo_websocket_options options;
static int accepted;
static bool same_origin;

static void on_echo(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                    void *arg) {
    CHECK(rondo_websocket_send(socket, type, data) >= 0);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    same_origin = rondo_websocket_same_origin(request);
    if (arg) rondo_http_response_header(response, "Set-Cookie", "a=b");
    accepted = rondo_websocket_accept(request, response, &options, &opened);
    CHECK(rondo_is_closing(response));
    if (accepted < 0) return;
    CHECK_INT(rondo_websocket_status(opened), 101);
    ws_note_all(&opened);
    CHECK_INT(rondo_websocket_on_message(opened, on_echo, NULL), 0);
}

static void setup(web_host *web) {
    opened = NULL;
    accepted = 77;
    options = (rondo_websocket_options){0};
    web_open(web, on_request, NULL, NULL);
}

TEST(the_handshake_of_the_rfc) {
    web_host web;
    web_peer peer;
    setup(&web);
    peer_ask(&web, &peer, HANDSHAKE "\r\n");
    CHECK_INT(accepted, 0);
    CHECK(strncmp(peer.data, SWITCHED, strlen(SWITCHED)) == 0);
    CHECK(peer_has(&peer, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    CHECK(peer_has(&peer, "\r\nUpgrade: websocket\r\n"));
    CHECK(peer_has(&peer, "\r\nConnection: Upgrade\r\n"));
    CHECK(!peer_has(&peer, "Sec-WebSocket-Protocol") && !peer_has(&peer, "Extensions"));
    CHECK_STR(peer_body(&peer), "");
    CHECK_STR(rondo_websocket_protocol(opened), "");
    CHECK(!rondo_websocket_is_compressed(opened) && rondo_websocket_stream(opened));
    peer_forget(&peer);
    peer_say(&web, &peer, HELLO);
    CHECK_TRACE("text:Hello");
    CHECK_MEM(peer.data, "\x81\x05Hello", 7);
    peer_close(&peer);
    web_turns(&web, 4);
    CHECK_TRACE("end:1006 close");
    CHECK(opened == NULL);
    web_close(&web);
}

TEST(octet_by_octet_and_with_the_first_message_behind_it) {
    web_host web;
    web_peer peer;
    setup(&web);
    peer_open(&web, &peer);
    peer_spell(&web, &peer, HANDSHAKE "\r\n" HELLO, strlen(HANDSHAKE "\r\n" HELLO));
    CHECK_TRACE("text:Hello");
    peer_close(&peer);
    web_turns(&web, 4);
    peer_ask(&web, &peer, HANDSHAKE "\r\n" HELLO HELLO "\x88\x80\x37\xfa\x21\x3d");
    CHECK_TRACE("end:1006 close text:Hello text:Hello end:1005");
    CHECK_MEM(peer_body(&peer), "\x81\x05Hello\x81\x05Hello\x88\0", 16);
    CHECK(peer.ended); /* a server ends TCP first: section 7.1.1 */
    peer_close(&peer);
    web_turns(&web, 4);
    CHECK_TRACE("close");
    web_close(&web);
}

/* The end that came with the request is told to the socket. */
TEST(a_client_that_has_ended_behind_its_handshake) {
    web_host web;
    web_peer peer;
    setup(&web);
    peer_open(&web, &peer);
    peer_send(&web, &peer, HANDSHAKE "\r\n", strlen(HANDSHAKE "\r\n"));
    shutdown(peer.fd, SHUT_WR);
    peer_pump(&web, &peer);
    CHECK_TRACE("end:1006 close");
    CHECK(peer_has(&peer, SWITCHED) && peer.ended);
    peer_close(&peer);
    web_close(&web);
}

TEST(fields_of_the_application_and_words_in_any_case) {
    web_host web;
    web_peer peer;
    setup(&web);
    rondo_http_server_on_request(web.server, on_request, &web);
    peer_ask(&web, &peer,
             "GET / HTTP/1.1\r\nhost: a\r\nCONNECTION: keep-alive, uPGRADE\r\nupgrade: h2c, "
             "WebSocket\r\nsec-websocket-version: 13\r\nSEC-WEBSOCKET-KEY: " KEY "\r\n\r\n");
    CHECK_INT(accepted, 0);
    CHECK(peer_has(&peer, "\r\nSet-Cookie: a=b\r\n") && peer_has(&peer, "s3pPLMBiTxaQ9kYGzzhZRbK"));
    peer_close(&peer);
    web_close(&web);
}

/* ---- what is none ---- */

typedef struct refusal {
    const char *head, *status;
} refusal;

TEST(what_is_no_handshake_is_answered_with_a_status_and_http_goes_on) {
    static const refusal cases[] = {
        {GET_LINE VERSION THE_KEY, "426"},
        {GET_LINE "Connection: Upgrade\r\nUpgrade: h2c\r\n" VERSION THE_KEY, "426"},
        {GET_LINE "Upgrade: websocket\r\n" VERSION THE_KEY, "426"},
        {GET_LINE UPGRADE THE_KEY, "426"},
        {GET_LINE UPGRADE "Sec-WebSocket-Version: 8\r\n" THE_KEY, "426"},
        {GET_LINE UPGRADE "Sec-WebSocket-Version: 130\r\n" THE_KEY, "426"},
        {GET_LINE UPGRADE VERSION VERSION THE_KEY, "426"},
        {GET_LINE UPGRADE VERSION, "400"},
        {GET_LINE UPGRADE VERSION "Sec-WebSocket-Key:\r\n", "400"},
        {GET_LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", "400"},
        {GET_LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A\r\n", "400"},
        {GET_LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n", "400"},
        {GET_LINE UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNh*XBsZSBub25jZQ==\r\n", "400"},
        {GET_LINE UPGRADE VERSION "Sec-WebSocket-Key: AAAAdGhlIHNhbXBsZSBub25jZQ==\r\n", "400"},
        {GET_LINE UPGRADE VERSION THE_KEY THE_KEY, "400"},
        {"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" UPGRADE VERSION THE_KEY, "400"},
        {"HEAD /chat HTTP/1.1\r\nHost: a\r\n" UPGRADE VERSION THE_KEY, "400"},
        {GET_LINE UPGRADE VERSION THE_KEY "Content-Length: 1\r\n", "400"},
        {GET_LINE UPGRADE VERSION THE_KEY "Transfer-Encoding: chunked\r\n", "400"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        setup(&web);
        peer_open(&web, &peer);
        peer_send(&web, &peer, cases[i].head, strlen(cases[i].head));
        peer_say(&web, &peer, "\r\n");
        CHECK_STR(peer_statuses(&peer), cases[i].status);
        CHECK_INT(accepted, RONDO_EPROTO);
        CHECK(opened == NULL);
        CHECK_INT(peer_has(&peer, "\r\nSec-WebSocket-Version: 13\r\n"), cases[i].status[1] == '2');
        CHECK_INT(peer_has(&peer, "\r\nUpgrade: websocket\r\n"), cases[i].status[1] == '2');
        if (!strstr(cases[i].head, "1\r\n") && !strstr(cases[i].head, "chunked")) {
            peer_say(&web, &peer, HANDSHAKE "\r\n"); /* the next one is */
            CHECK(peer_has(&peer, SWITCHED));
        }
        peer_close(&peer);
        web_close(&web);
        trace_size = 0, trace[0] = '\0';
    }
}

TEST(http_1_0_can_not_upgrade) {
    web_host web;
    web_peer peer;
    setup(&web);
    peer_ask(&web, &peer, "GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE VERSION THE_KEY "\r\n");
    CHECK_STR(peer_statuses(&peer), "426");
    peer_close(&peer);
    web_close(&web);
}

static void answered_already(rondo_http_request *request, rondo_http_response *response,
                             void *arg) {
    rondo_http_response_begin(response, 200, 0);
    CHECK_INT(rondo_websocket_accept(request, response, NULL, &opened), RONDO_EBUSY);
    CHECK(opened == NULL && rondo_is_closing(response));
    CHECK_INT(rondo_websocket_accept(request, response, NULL, &opened), RONDO_ECLOSED);
}

TEST(a_request_that_is_answered_already_is_cut_off) {
    web_host web;
    web_peer peer;
    setup(&web);
    rondo_http_server_on_request(web.server, answered_already, NULL);
    peer_ask(&web, &peer, HANDSHAKE "\r\n");
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

/* ---- origins ---- */

TEST(an_origin_is_compared_with_the_host) {
    static const struct {
        const char *origin;
        bool same;
    } cases[] = {
        {"", true},
        {"Origin: http://a.example:80\r\n", true},
        {"Origin: https://A.Example:80\r\n", true},
        {"Origin: http://a.example\r\n", false},
        {"Origin: http://a.example:8080\r\n", false},
        {"Origin: http://b.example:80\r\n", false},
        {"Origin: http://a.example:80.evil.example\r\n", false},
        {"Origin: null\r\n", false},
        {"Origin: ://\r\n", false},
        {"Origin: a.example:80\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        setup(&web);
        peer_open(&web, &peer);
        peer_send(&web, &peer, HANDSHAKE, strlen(HANDSHAKE));
        peer_send(&web, &peer, cases[i].origin, strlen(cases[i].origin));
        peer_say(&web, &peer, "\r\n");
        CHECK_INT(accepted, 0);
        CHECK_INT(same_origin, cases[i].same);
        peer_close(&peer);
        web_close(&web);
        trace_size = 0, trace[0] = '\0';
    }
}

/* ---- subprotocols ---- */

static void check_protocol(const char *ours, const char *theirs, const char *want) {
    char line[128];
    web_host web;
    web_peer peer;
    setup(&web);
    options.protocols = ours;
    peer_open(&web, &peer);
    peer_send(&web, &peer, HANDSHAKE, strlen(HANDSHAKE));
    peer_send(&web, &peer, theirs, strlen(theirs));
    peer_say(&web, &peer, "\r\n");
    CHECK_INT(accepted, 0);
    CHECK_STR(rondo_websocket_protocol(opened), want);
    snprintf(line, sizeof line, "\r\nSec-WebSocket-Protocol: %s\r\n", want);
    CHECK_INT(peer_has(&peer, "Sec-WebSocket-Protocol"), *want != '\0');
    if (*want) CHECK(peer_has(&peer, line));
    peer_close(&peer);
    web_close(&web);
    trace_size = 0, trace[0] = '\0';
}

TEST(the_first_of_our_subprotocols_that_the_client_offers) {
    check_protocol("b", "Sec-WebSocket-Protocol: a, b, c\r\n", "b");
    check_protocol("c, b", "Sec-WebSocket-Protocol: a,b,c\r\n", "c");
    check_protocol("b,c", "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: c\r\n", "c");
    check_protocol("b", "Sec-WebSocket-Protocol: B, bb\r\n", "");
    check_protocol("b", "", "");
    check_protocol(NULL, "Sec-WebSocket-Protocol: a\r\n", "");
}

TEST(subprotocols_that_can_not_be_are_the_programs_mistake) {
    static const char *const wrong[] = {"", "a b", "a, a", "a;b", "\"a\"", ","};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        web_host web;
        web_peer peer;
        setup(&web);
        options.protocols = wrong[i];
        peer_ask(&web, &peer, HANDSHAKE "\r\n");
        CHECK_INT(accepted, RONDO_EINVAL);
        CHECK_STR(peer_statuses(&peer), "500");
        peer_close(&peer);
        web_close(&web);
        trace_size = 0, trace[0] = '\0';
    }
}

/* ---- the end of the server, and of the program ---- */

TEST(all_sockets_of_the_loop_are_ended_with_a_code) {
    web_host web;
    web_peer peers[3];
    setup(&web);
    CHECK_INT(rondo_websocket_end_all(web.loop, 1001, "going away"), 0);
    for (int i = 0; i < 3; i++) {
        peer_ask(&web, &peers[i], HANDSHAKE "\r\n");
        peer_forget(&peers[i]);
    }
    CHECK_INT(rondo_websocket_end_all(web.loop, 1005, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_websocket_end_all(web.loop, 1001, "going away"), 3);
    CHECK_INT(rondo_websocket_end_all(web.loop, 1001, "going away"), 0);
    CHECK_INT(rondo_http_server_drain(web.server, 1000), 0);
    for (int i = 0; i < 3; i++) {
        peer_pump(&web, &peers[i]);
        CHECK_INT(peers[i].len, 14);
        CHECK_MEM(peers[i].data, "\x88\x0c\x03\xe9going away", 14);
        CHECK(!peers[i].ended);
    }
    peer_send(&web, &peers[0], "\x88\x82\x37\xfa\x21\x3d\x34\x13", 8);
    peer_pump(&web, &peers[0]);
    CHECK_TRACE("end:1001");
    peer_close(&peers[0]);
    peer_reset(&peers[1]);
    web_turns(&web, 4);
    CHECK(strstr(trace, "ECONNRESET end:1006 close"));
    trace_size = 0, trace[0] = '\0';
    web_advance(&web, 5000);
    CHECK_TRACE("end:1006 close"); /* it never answered */
    peer_pump(&web, &peers[2]);
    CHECK(peers[2].ended);
    peer_close(&peers[2]);
    web_close(&web);
}

TEST(a_server_that_closes_leaves_its_sockets_open) {
    web_host web;
    web_peer peer;
    setup(&web);
    peer_ask(&web, &peer, HANDSHAKE "\r\n");
    rondo_close(web.server);
    web_turns(&web, 3);
    peer_forget(&peer);
    peer_say(&web, &peer, HELLO);
    CHECK_MEM(peer.data, "\x81\x05Hello", 7);
    rondo_close(opened);
    web_turns(&web, 3);
    CHECK_TRACE("text:Hello close");
    peer_close(&peer);
    web_close(&web);
}
