/* SPDX-License-Identifier: MIT
 *
 * A client's handshake (RFC 6455 section 4.1).
 */
#include <rondo/error.h>

#include "http/websocket/socket.h"

int rondo_websocket_connect_at(rondo_http_client *client, const char *url,
                               const rondo_websocket_options *options, rondo_websocket **ret_socket,
                               const char *site) {
    (void)client, (void)url, (void)options, (void)ret_socket, (void)site;
    return RONDO_ENOSYS;
}

void rondo__ws_stop_call(rondo_websocket *socket) { (void)socket; }
