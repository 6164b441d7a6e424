/* SPDX-License-Identifier: MIT
 *
 * New connections, and those for which there is no room: too many of one address are closed at once, too
 * many in all are told so. Servers that count together share a census. One that begins with a handshake
 * counts from there on, since it costs as much; it can be told only when that is over.
 */
#include <rondo/error.h>
#include <rondo/handle.h>
#include <rondo/stream.h>

#include "http/server/connection.h"
#include "loop/memory.h"

/* Connections above the limit that are answered with 503 at a time. */
#define AWAY_MOST 1024

/* A proxy on this machine, or one that is trusted, has the connections of all its clients. */
static bool is_counted(const rondo_http_server *server, const rondo__ip *ip) {
    return !rondo__ip_is_loopback(ip) && !rondo__networks_have(&server->tally->networks, ip);
}

/* ---- counting ---- */

bool rondo__census_new(rondo_http_server *server) {
    rondo__census *census = rondo__zalloc(sizeof *census);
    if (!census) return false;
    rondo__list_init(&census->servers);
    rondo__list_push_back(&census->servers, &server->counted);
    server->census = census;
    return true;
}

void rondo__census_leave(rondo_http_server *server) {
    rondo__census *census = server->census;
    rondo__list_remove(&server->counted);
    if (!rondo__list_empty(&census->servers)) return;
    rondo__crowds_fini(&census->crowds);
    rondo__free(census);
}

void rondo__census_join(rondo_http_server *server, rondo_http_server *other) {
    rondo__list *link = server->conns.next;
    for (; link != &server->conns; link = link->next) {
        rondo__http_conn *conn = RONDO__OF(link, rondo__http_conn, link);
        if (conn->crowd) rondo__crowds_leave(&server->census->crowds, conn->crowd);
        conn->crowd = 0;
    }
    rondo__census_leave(server);
    server->census = other->census;
    rondo__list_push_back(&server->census->servers, &server->counted);
    /* Those that came with it are found by the next one to arrive. */
    server->census->counting = false;
}

/* Of all the servers; `away`: with those that are being turned away. */
static size_t connections_of(const rondo__census *census, bool away) {
    size_t count = 0;
    rondo__list *link = census->servers.next;
    for (; link != &census->servers; link = link->next) {
        const rondo_http_server *server = RONDO__OF(link, const rondo_http_server, counted);
        count += server->conn_count - (away ? 0 : server->away_count);
    }
    return count;
}

void rondo__census_lost(rondo__http_conn *conn) {
    rondo__census *census = conn->server->census;
    if (conn->crowd) rondo__crowds_leave(&census->crowds, conn->crowd);
    size_t most = conn->server->limits.connections_per_address;
    if (census->counting && connections_of(census, true) <= most / 2) census->counting = false;
}

/* Its address may have one more, of `most` in all. */
static bool join_crowd(rondo__http_conn *conn, size_t most) {
    rondo_http_server *server = conn->server;
    rondo_address address;
    rondo__ip ip;
    if (rondo__stream_peer_address(conn->stream, &address) < 0) return false; /* it has gone */
    if (!rondo__ip_of(&address, &ip) || !is_counted(server, &ip)) return true;
    int64_t crowd = rondo__crowds_join(&server->census->crowds, &ip, most);
    conn->crowd = crowd > 0 ? (uint32_t)crowd : 0;
    return crowd > 0;
}

/* Those that are there are counted, however many are whose. */
static void count_all(rondo__census *census, const rondo__http_conn *but) {
    census->counting = true;
    for (rondo__list *at = census->servers.next; at != &census->servers; at = at->next) {
        rondo_http_server *server = RONDO__OF(at, rondo_http_server, counted);
        for (rondo__list *link = server->conns.next; link != &server->conns; link = link->next) {
            rondo__http_conn *conn = RONDO__OF(link, rondo__http_conn, link);
            bool known = !(conn->flags & RONDO__CONN_PROXIED);
            if (conn != but && conn->crowd == 0 && known) join_crowd(conn, UINT32_MAX);
        }
    }
}

/* Until there are more connections than one address may have, nobody needs to know whose they are: asking
 * is a system call for each. */
static bool has_room(rondo__http_conn *conn) {
    rondo__census *census = conn->server->census;
    size_t most = conn->server->limits.connections_per_address;
    if (most >= conn->server->limits.connections) return true; /* that is the smaller one anyway */
    if (!census->counting) {
        if (connections_of(census, true) <= most) return true;
        count_all(census, conn);
    }
    return join_crowd(conn, most);
}

/* ---- arriving ---- */

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

static void enter(rondo_http_server *server, rondo_stream *stream, rondo__http_conn *conn) {
    conn->stream = stream;
    conn->server = server;
    rondo__list_push_back(&server->conns, &conn->link);
    server->conn_count++;
}

static bool are_too_many(const rondo_http_server *server) {
    return connections_of(server->census, false) > server->limits.connections;
}

bool rondo__conn_arrives(rondo_http_server *server, rondo_stream *stream, bool address_known) {
    rondo__http_conn *conn = rondo__stream_room(stream);
    enter(server, stream, conn);
    conn->state = RONDO__CONN_SHAKING;
    if (!address_known) conn->flags |= RONDO__CONN_PROXIED;
    bool room = !address_known || has_room(conn);
    bool away = room && are_too_many(server);
    if (!room || (away && server->away_count >= AWAY_MOST)) {
        server->closed_at_once++;
        rondo__http_server_lost(conn);
        return false;
    }
    if (away) {
        conn->flags |= RONDO__CONN_AWAY;
        server->away_count++;
    }
    return true;
}

void rondo__conn_leaves(rondo_stream *stream) {
    rondo__http_server_lost(rondo__stream_room(stream));
}

void rondo__conn_new(rondo_http_server *server, rondo_stream *stream) {
    rondo__http_conn *conn = rondo__stream_room(stream);
    if (conn->state != RONDO__CONN_SHAKING) enter(server, stream, conn);
    if (conn->flags & RONDO__CONN_AWAY) server->away_count--; /* there may be room by now */
    conn->flags = 0;
    conn->state = RONDO__CONN_IDLE;
    rondo__stream_consume(stream, &rondo__conn_consumer, conn);
    rondo_stream_set_half_open(stream, true);
    rondo__conn_arm_idle(conn);
    rondo_resume(stream);
    if (conn->crowd == 0 && !has_room(conn)) {
        server->closed_at_once++;
        rondo__conn_cut(conn);
    } else if (are_too_many(server)) {
        turn_away(conn);
    }
}
