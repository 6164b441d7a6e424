/* SPDX-License-Identifier: MIT
 *
 * New connections, and those for which there is no room: too many of one address are closed at once, too
 * many in all are told so.
 */
#include <rondo/error.h>
#include <rondo/handle.h>
#include <rondo/stream.h>

#include "http/server/connection.h"

/* Connections above the limit that are answered with 503 at a time. */
#define AWAY_MOST 1024

/* Its address may have one more. */
static bool join_crowd(rondo__http_conn *conn) {
    rondo_http_server *server = conn->server;
    rondo_address address;
    rondo__ip ip;
    size_t most = server->limits.connections_per_address;
    if (most >= server->limits.connections) return true; /* that is the smaller one anyway */
    if (rondo__stream_peer_address(conn->stream, &address) < 0) return false; /* it has gone */
    if (!rondo__ip_of(&address, &ip)) return true;
    if (rondo__networks_have(&server->tally->networks, &ip)) return true;
    int64_t crowd = rondo__crowds_join(&server->crowds, &ip, most);
    conn->crowd = crowd > 0 ? (uint32_t)crowd : 0;
    return crowd > 0;
}

/* One above the limit is told that it is, if there are not too many of these as well. */
static void turn_away(rondo__http_conn *conn) {
    rondo_http_server *server = conn->server;
    if (server->away_count >= AWAY_MOST) {
        server->closed_at_once++;
        rondo__conn_cut(conn);
        return;
    }
    conn->flags |= RONDO__CONN_AWAY;
    server->away_count++;
    server->turned_away++;
    rondo__conn_refuse(conn, 503);
}

void rondo__conn_new(rondo_http_server *server, rondo_stream *stream) {
    rondo__http_conn *conn = rondo__stream_room(stream);
    rondo__alarm_init(&conn->alarm, rondo__conn_alarm);
    conn->stream = stream;
    conn->server = server;
    conn->state = RONDO__CONN_IDLE;
    rondo__list_push_back(&server->conns, &conn->link);
    server->conn_count++;
    rondo__stream_consume(stream, &rondo__conn_consumer, conn);
    rondo_stream_set_half_open(stream, true);
    rondo__conn_arm_idle(conn);
    rondo_resume(stream);
    if (!join_crowd(conn)) {
        server->closed_at_once++;
        rondo__conn_cut(conn);
    } else if (server->conn_count - server->away_count > server->limits.connections) {
        turn_away(conn);
    }
}
