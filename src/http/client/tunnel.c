/* SPDX-License-Identifier: MIT
 *
 * Through a proxy: a CONNECT (RFC 9110 section 9.3.6), and inside of what that opens TLS with the
 * origin, or HTTP that is to become something else. Nothing may come from the proxy between its answer and the handshake: it would be taken for
 * the origin's.
 */
#include <rondo/tls.h>
#include <string.h>

#include "http/client/call.h"

static bool compose(const rondo__client_conn *conn, rondo__bytes *head) {
    const char *credentials = conn->client->proxies[conn->origin->https].credentials;
    char target[RONDO__HOST_PORT_SIZE];
    rondo__url_host_port(&conn->call->url, target);
    return rondo__bytes_add_text(head, "CONNECT ") && rondo__bytes_add_text(head, target) &&
           rondo__bytes_add_text(head, " HTTP/1.1\r\n") &&
           rondo__bytes_add_field(head, "Host", rondo_slice_text(target)) &&
           (!credentials ||
            rondo__bytes_add_field(head, "Proxy-Authorization", rondo_slice_text(credentials))) &&
           rondo__bytes_add_text(head, "\r\n");
}

void rondo__tunnel_begin(rondo__client_conn *conn) {
    rondo_http_call *call = conn->call;
    rondo__bytes head = {0};
    conn->state = RONDO__CLIENT_TUNNEL;
    rondo__call_arm(call, conn->client->limits.tunnel_timeout_ms);
    int status =
        compose(conn, &head) ? rondo_write(conn->stream, rondo__bytes_slice(&head)) : RONDO_ENOMEM;
    rondo__bytes_free(&head);
    if (status < 0 && status != RONDO_ECLOSED) rondo__call_fail(call, status);
}

/* The proxy's answer: 0, or why there is no tunnel. */
static int open_tunnel(rondo__client_conn *conn, size_t behind) {
    rondo_http_call *call = conn->call;
    rondo_tls_context *tls;
    if (call->answer.framing != RONDO__ANSWER_TUNNEL) return RONDO_EPERM;
    if (behind > 0) return RONDO_EPROTO;
    rondo__answer_reset(&call->answer);
    if (!conn->origin->https) {
        rondo__client_conn_ready(conn);
        return 0;
    }
    conn->state = RONDO__CLIENT_HANDSHAKE;
    rondo__call_arm(call, conn->client->limits.tls_timeout_ms);
    int status = rondo__client_tls(conn->client, &tls);
    return status < 0 ? status : rondo_tls_start(conn->stream, tls, conn->origin->host);
}

size_t rondo__tunnel_feed(rondo__client_conn *conn, const char *data, size_t len) {
    rondo_http_call *call = conn->call;
    rondo__asked asked = {.connect = true};
    size_t used = 0;
    int event =
        rondo__answer_feed_head(&call->answer, asked, &conn->client->limits, data, len, &used);
    if (event == RONDO__ANSWER_HEAD && call->answer.status < 200) {
        bool flood = ++call->interims > conn->client->limits.interim_answers;
        event = flood ? RONDO_EPROTO : 0;
        rondo__answer_reset(&call->answer);
    } else if (event == RONDO__ANSWER_HEAD) {
        event = open_tunnel(conn, len - used);
    }
    if (event < 0) {
        rondo__call_fail(call, event);
        return len;
    }
    return used;
}
