/* SPDX-License-Identifier: MIT
 *
 * A server's handshake (RFC 6455 section 4.2). What the HTTP server has checked before: one Host,
 * HTTP/1.1, that Connection says "upgrade" where there is an Upgrade.
 */
#define _GNU_SOURCE
#include <rondo/error.h>
#include <rondo/http.h>
#include <stdio.h>
#include <string.h>

#include "http/chars.h"
#include "http/websocket/key.h"
#include "http/websocket/socket.h"
#include "loop/assert.h"
#include "loop/memory.h"

bool rondo_websocket_asked_for(const rondo_http_request *request) {
    rondo_slice protocols = rondo_http_request_upgrade(request);
    return protocols.data && rondo__ws_list_has(protocols, "websocket");
}

/* "http://HOST" of Origin against Host: the scheme is that of the page, which may come by way of a
 * proxy that speaks TLS for us. */
bool rondo_websocket_same_origin(const rondo_http_request *request) {
    rondo_slice origin = rondo_http_request_header(request, "origin");
    rondo_slice host = rondo_http_request_header(request, "host");
    if (!origin.data) return true;
    const char *mark = origin.len > 3 ? memmem(origin.data, origin.len, "://", 3) : NULL;
    if (!mark || !host.data) return false; /* "null", of a sandbox or a file */
    size_t skip = (size_t)(mark - origin.data) + 3;
    if (origin.len - skip != host.len || host.len == 0) return false;
    for (size_t i = 0; i < host.len; i++)
        if (rondo__http_lower(origin.data[skip + i]) != rondo__http_lower(host.data[i]))
            return false;
    return true;
}

/* How many fields of that name there are; the last one. */
static int field(const rondo_http_request *request, const char *name, rondo_slice *ret_value) {
    rondo_slice found, value;
    int count = 0;
    for (size_t i = 0; rondo_http_request_header_at(request, i, &found, &value); i++) {
        if (!rondo__http_word_is(found.data, found.len, name)) continue;
        *ret_value = value;
        count++;
    }
    return count;
}

static bool has_body(const rondo_http_request *request) {
    rondo_slice length = rondo_http_request_header(request, "content-length");
    if (rondo_http_request_header(request, "transfer-encoding").data) return true;
    return length.data && !(length.len == 1 && length.data[0] == '0');
}

/* 0 and the key, or the status of a refusal. */
static int check(const rondo_http_request *request, rondo_slice *ret_key) {
    rondo_slice method = rondo_http_request_method(request), version;
    if (method.len != 3 || memcmp(method.data, "GET", 3) != 0) return 400;
    if (!rondo_websocket_asked_for(request)) return 426;
    if (field(request, "sec-websocket-version", &version) != 1 || version.len != 2 ||
        memcmp(version.data, "13", 2) != 0)
        return 426;
    if (field(request, "sec-websocket-key", ret_key) != 1 || !rondo__ws_key_is_valid(*ret_key))
        return 400;
    return has_body(request) ? 400 : 0;
}

static void refuse(rondo_http_response *response, int status) {
    const char *text = status == 426   ? "a WebSocket of version 13 is needed\n"
                       : status == 400 ? "that is no WebSocket handshake\n"
                                       : "no WebSocket can be opened\n";
    if (status == 426) {
        rondo_http_response_header(response, "Upgrade", "websocket");
        rondo_http_response_header(response, "Sec-WebSocket-Version", "13");
    }
    if (rondo_http_response_reply(response, status, "text/plain", rondo_slice_text(text)) < 0)
        rondo_close(response);
}

/* The first of ours that is among the client's; its length 0: none. */
static rondo_slice choose_protocol(const rondo_http_request *request, const char *protocols) {
    rondo_slice ours = rondo_slice_text(protocols), mine, name, value;
    while (rondo__ws_list_next(&ours, &mine))
        for (size_t i = 0; rondo_http_request_header_at(request, i, &name, &value); i++)
            if (rondo__http_word_is(name.data, name.len, "sec-websocket-protocol") &&
                rondo__ws_protocols_have(value, mine))
                return mine;
    return rondo_slice_of("", 0);
}

static void choose_deflate(const rondo_http_request *request, rondo_websocket *socket,
                           rondo__ws_deflate *deflate) {
    rondo_slice name, value;
    for (size_t i = 0; rondo_http_request_header_at(request, i, &name, &value); i++)
        if (rondo__http_word_is(name.data, name.len, "sec-websocket-extensions") &&
            rondo__ws_deflate_choose(value, socket->settings->compression, deflate))
            return;
}

/* Adds what was agreed on to the answer; 0 or an error. */
static int answer(rondo_http_response *response, rondo_websocket *socket, rondo_slice key,
                  const rondo__ws_deflate *deflate) {
    char accept[RONDO__ACCEPT_SIZE], extension[RONDO__DEFLATE_TEXT_SIZE];
    rondo__ws_key_accept(key, accept);
    int status = rondo_http_response_header(response, "Upgrade", "websocket");
    if (status == 0) status = rondo_http_response_header(response, "Sec-WebSocket-Accept", accept);
    if (status == 0 && socket->protocol)
        status = rondo_http_response_header(response, "Sec-WebSocket-Protocol", socket->protocol);
    if (status == 0 && deflate->on) {
        rondo__ws_deflate_answer(deflate, extension);
        status = rondo_http_response_header(response, "Sec-WebSocket-Extensions", extension);
    }
    return status;
}

/* The handshake is one: takes the connection over, or returns why not. */
static int take_over(rondo_http_request *request, rondo_http_response *response,
                     rondo_websocket *socket, rondo_slice protocol, rondo_slice key) {
    rondo__ws_deflate deflate = {0};
    rondo_stream *stream;
    if (protocol.len > 0) {
        socket->protocol = rondo__zalloc(protocol.len + 1);
        if (!socket->protocol) return RONDO_ENOMEM;
        memcpy(socket->protocol, protocol.data, protocol.len);
    }
    choose_deflate(request, socket, &deflate);
    int status = answer(response, socket, key, &deflate);
    if (status == 0) status = rondo_http_response_upgrade(response, 101, &stream);
    if (status < 0) return status;
    rondo__ws_start(socket, stream, &deflate);
    return 0;
}

int rondo_websocket_accept_at(rondo_http_request *request, rondo_http_response *response,
                              const rondo_websocket_options *options, rondo_websocket **ret_socket,
                              const char *site) {
    RONDO__CHECK(response, NULL);
    RONDO_ASSERT(request && ret_socket);
    const char *protocols = options ? options->protocols : NULL;
    rondo_slice key;
    if (rondo_is_closing(response)) return RONDO_ECLOSED;
    if (protocols && !rondo__ws_protocols_are_valid(protocols)) {
        refuse(response, 500);
        return RONDO_EINVAL;
    }
    int refusal = check(request, &key);
    if (refusal != 0) {
        refuse(response, refusal);
        return RONDO_EPROTO;
    }
    rondo_websocket *socket =
        rondo__ws_new(rondo_handle_loop(response), options, RONDO__WS_SERVER, site);
    int status = RONDO_ENOMEM;
    if (socket) {
        rondo_slice protocol = choose_protocol(request, protocols);
        status = take_over(request, response, socket, protocol, key);
        if (status == 0) {
            *ret_socket = socket;
            return 0;
        }
        rondo__ws_discard(socket);
    }
    if (!rondo_is_closing(response)) refuse(response, 503);
    return status;
}
