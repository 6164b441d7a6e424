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

/* A proxy on this machine, or one that is trusted, has the connections of all its clients. */
static bool is_counted(const rondo_http_server *server, const rondo__ip *ip) {
    return !rondo__ip_is_loopback(ip) && !rondo__networks_have(&server->tally->networks, ip);
}

/* Its address may have one more, of `most` in all. */
static bool join_crowd(rondo__http_conn *conn, size_t most) {
    rondo_http_server *server = conn->server;
    rondo_address address;
    rondo__ip ip;
    if (rondo__stream_peer_address(conn->stream, &address) < 0) return false; /* it has gone */
    if (!rondo__ip_of(&address, &ip) || !is_counted(server, &ip)) return true;
    int64_t crowd = rondo__crowds_join(&server->crowds, &ip, most);
    conn->crowd = crowd > 0 ? (uint32_t)crowd : 0;
    return crowd > 0;
}

/* Until a server has more connections than one address may have, nobody needs to know whose they are: asking
 * is a system call for each. Then those that are there are counted, however many are whose. */
static bool has_room(rondo__http_conn *conn) {
    rondo_http_server *server = conn->server;
    size_t most = server->limits.connections_per_address;
    if (most >= server->limits.connections) return true; /* that is the smaller one anyway */
    if (!server->counting) {
        if (server->conn_count <= most) return true;
        server->counting = true;
        for (rondo__list *link = server->conns.next; link != &server->conns; link = link->next) {
            rondo__http_conn *other = RONDO__OF(link, rondo__http_conn, link);
            if (other != conn && other->crowd == 0) join_crowd(other, UINT32_MAX);
        }
    }
    return join_crowd(conn, most);
}

/* Of the server, and of those that count with it. */
static size_t connections_of(const rondo_http_server *server) {
    size_t count = server->conn_count - server->away_count;
    rondo__list *link = server->family.next;
    for (; link != &server->family; link = link->next) {
        const rondo_http_server *other = RONDO__OF(link, const rondo_http_server, family);
        count += other->conn_count - other->away_count;
    }
    return count;
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
    conn->stream = stream;
    conn->server = server;
    conn->state = RONDO__CONN_IDLE;
    rondo__list_push_back(&server->conns, &conn->link);
    server->conn_count++;
    rondo__stream_consume(stream, &rondo__conn_consumer, conn);
    rondo_stream_set_half_open(stream, true);
    rondo__conn_arm_idle(conn);
    rondo_resume(stream);
    if (!has_room(conn)) {
        server->closed_at_once++;
        rondo__conn_cut(conn);
    } else if (connections_of(server) > server->limits.connections) {
        turn_away(conn);
    }
}
