/* SPDX-License-Identifier: MIT
 *
 * WebSockets of a build without wslay: each call that can fail says so.
 */
#include "http_peer.h"

static int accepted;
static rondo_websocket *opened;

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK(!rondo_websocket_asked_for(request) && !rondo_websocket_same_origin(request));
    accepted = rondo_websocket_accept(request, response, NULL, &opened);
    CHECK(rondo_is_closing(response));
}

TEST(without_wslay_there_are_no_websockets) {
    web_host web;
    web_peer peer;
    rondo_websocket_message *message;
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peer,
             "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    CHECK_STR(peer_statuses(&peer), "501");
    CHECK_INT(accepted, RONDO_ENOSYS);
    CHECK_INT(rondo_websocket_connect(NULL, "ws://a/", NULL, &opened), RONDO_ENOSYS);
    CHECK_INT(rondo_websocket_message_new(web.loop, RONDO_WEBSOCKET_TEXT, rondo_slice_text("a"),
                                          &message),
              RONDO_ENOSYS);
    CHECK_INT(rondo_websocket_end_all(web.loop, 1001, NULL), RONDO_ENOSYS);
    CHECK(opened == NULL);
    peer_close(&peer);
    web_close(&web);
}
