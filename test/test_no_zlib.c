/* SPDX-License-Identifier: MIT
 *
 * Without zlib nothing is compressed, and whoever asks for it is told.
 */
#include "http_peer.h"

static void ask_for_it(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK_INT(rondo_http_response_compress(response, true), RONDO_ENOSYS);
    reply_target(request, response, NULL);
}

TEST(compression_is_refused_where_there_is_no_zlib) {
    web_host web;
    web_peer peer;

    web_open(&web, ask_for_it, NULL, NULL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){0}),
              RONDO_ENOSYS);
    CHECK_INT(rondo_http_server_set_compression(web.server, NULL), RONDO_ENOSYS);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(!peer_has(&peer, "Content-Encoding"));
    peer_close(&peer);
    web_close(&web);
}
