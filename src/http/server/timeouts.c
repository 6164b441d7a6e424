/* SPDX-License-Identifier: MIT
 *
 * One alarm for each connection, that of its stream. States set it when they begin, at the soonest time at which
 * something could be wrong, and it is not cleared when they end: when it fires, it looks at what the
 * connection is waiting for now, and is set again for that. So octets that arrive cost no alarm.
 *
 *   idle     the next request: closed             (idle_timeout_ms)
 *   head     the end of a head: 408               (head_timeout_ms, in all)
 *   body     octets of a body: 408                (body_timeout_ms since the last, body_min_rate,
 *                                                  body_total_ms)
 *   writing  the client to take its answer: cut   (write_timeout_ms, write_min_rate)
 *   closing  the client to close: cut             (linger_ms)
 *
 * Writing is watched by credit. A client may be write_timeout_ms behind; each octet that it takes buys time
 * at write_min_rate, up to now. So one that takes nothing is cut when the time is over, one that takes an
 * octet now and then not much later, and one that takes much at once has all of the time again. Its
 * octets are counted four times in write_timeout_ms, whence the error.
 */
#include <rondo/loop.h>
#include <rondo/stream.h>

#include "http/server/connection.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* The average rate of a body counts from here on, so that a slow start is no offence. */
#define RATE_AFTER_NS (10 * NS_PER_S)
/* Drained servers' idle connections: how long a request that is on its way may take to arrive. */
#define DRAIN_GRACE_MS 100

/* What a connection remembers is in units of 2^20 ns, about a millisecond, in 32 bits: an idle connection
 * is small. It is rounded down, and wraps after 52 days, which an alarm that is due later outlives. */
#define UNIT_SHIFT 20
#define UNIT_NS (UINT64_C(1) << UNIT_SHIFT)

static uint32_t units_of(uint64_t ns) { return (uint32_t)(ns >> UNIT_SHIFT); }

/* When conn->since was, less than a unit early. */
static uint64_t since_of(const rondo__http_conn *conn, uint64_t now_ns) {
    uint32_t age = units_of(now_ns) - conn->since;
    uint64_t now = now_ns >> UNIT_SHIFT;
    return age > now ? 0 : (now - age) << UNIT_SHIFT;
}

static rondo_loop *loop_of(const rondo__http_conn *conn) { return conn->server->base.loop; }

static uint64_t ns_of(uint64_t ms) {
    uint64_t ns;
    return __builtin_mul_overflow(ms, NS_PER_MS, &ns) ? RONDO__ALARM_UNSET / 2 : ns;
}

/* Sets the alarm for ms from now, and notes since when that counts, which is returned. */
static uint64_t start(rondo__http_conn *conn, uint64_t ms) {
    rondo__alarm *alarm = rondo__stream_alarm(conn->stream);
    if (RONDO__UNLIKELY(!alarm)) return rondo_loop_now_ns(loop_of(conn)); /* it is over */
    rondo__alarm_set_in_ms(loop_of(conn), alarm, ms);
    uint64_t since_ns = alarm->deadline_ns - ns_of(ms);
    conn->since = units_of(since_ns);
    conn->flags &= (uint16_t)~RONDO__CONN_MARKED;
    return since_ns;
}

/* `ms` after conn->since; not early. */
static uint64_t due_after(const rondo__http_conn *conn, uint64_t ms, uint64_t now_ns) {
    return since_of(conn, now_ns) + UNIT_NS + ns_of(ms);
}

/* ---- the states ---- */

static uint64_t idle_ms(const rondo__http_conn *conn) {
    const rondo_http_limits *limits = &conn->server->limits;
    if (!conn->server->draining) return limits->idle_timeout_ms;
    /* A connection that has not asked anything yet is about to; others have had their answers. */
    uint64_t grace_ms = conn->requests == 0 ? limits->linger_ms : DRAIN_GRACE_MS;
    return grace_ms < limits->idle_timeout_ms ? grace_ms : limits->idle_timeout_ms;
}

void rondo__conn_arm_idle(rondo__http_conn *conn) {
    /* The answer may not have left yet: the first look is for that. */
    uint64_t ms = idle_ms(conn), write_ms = conn->server->limits.write_timeout_ms / 4;
    start(conn, conn->requests > 0 && write_ms < ms ? write_ms : ms);
}

void rondo__conn_arm_head(rondo__http_conn *conn) {
    if (conn->request->flags & RONDO__REQUEST_TIMED) return; /* from its first octet on */
    conn->request->since_ns = start(conn, conn->server->limits.head_timeout_ms);
    conn->request->flags |= RONDO__REQUEST_TIMED;
}

void rondo__conn_arm_closing(rondo__http_conn *conn) {
    const rondo_http_limits *limits = &conn->server->limits;
    start(conn, conn->flags & RONDO__CONN_FINISHED ? limits->linger_ms : limits->write_timeout_ms);
}

static bool is_awaited(const rondo_http_request *request) {
    unsigned not_now = RONDO__REQUEST_PAUSED | RONDO__REQUEST_OVER | RONDO__REQUEST_EXPECTS;
    return (request->flags & RONDO__REQUEST_TIMED) && !(request->flags & not_now);
}

/* When the body has taken too long, if not a single octet more arrives until then. */
static uint64_t body_due(const rondo__http_conn *conn) {
    const rondo_http_request *request = conn->request;
    const rondo_http_limits *limits = &conn->server->limits;
    uint64_t due = request->since_ns + ns_of(limits->body_timeout_ms);
    uint64_t octets = request->body_seen - request->rate_from_seen;
    uint64_t earned = octets / limits->body_min_rate;
    if (earned < RATE_AFTER_NS / NS_PER_S) earned = RATE_AFTER_NS / NS_PER_S;
    if (earned < UINT64_MAX / NS_PER_S / 4) {
        uint64_t rate_due = request->rate_from_ns + earned * NS_PER_S;
        if (rate_due < due) due = rate_due;
    }
    uint64_t total_due = request->rate_from_ns + ns_of(limits->body_total_ms);
    return total_due < due ? total_due : due;
}

static void alarm_by(rondo__http_conn *conn, uint64_t due) {
    rondo__alarm *alarm = rondo__stream_alarm(conn->stream);
    if (alarm && due < alarm->deadline_ns) rondo__alarm_set(loop_of(conn), alarm, due);
}

void rondo__conn_arm_body(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    request->since_ns = rondo_loop_now_ns(loop_of(conn));
    if (request->flags & RONDO__REQUEST_TIMED) return;
    request->flags |= RONDO__REQUEST_TIMED;
    request->rate_from_ns = request->since_ns;
    request->rate_from_seen = request->body_seen;
    alarm_by(conn, body_due(conn));
}

void rondo__conn_stop_body_clock(rondo__http_conn *conn) {
    if (conn->request->flags & RONDO__REQUEST_TIMED)
        conn->request->since_ns = rondo_loop_now_ns(loop_of(conn));
}

/* What was sent before counts, the time in between does not. */
void rondo__conn_start_body_clock(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    uint64_t now_ns = rondo_loop_now_ns(loop_of(conn));
    if (!(request->flags & RONDO__REQUEST_TIMED)) return;
    request->rate_from_ns += now_ns - request->since_ns;
    request->since_ns = now_ns;
    alarm_by(conn, body_due(conn));
}

/* From now on the client is watched taking its answer. */
static void mark(rondo__http_conn *conn, uint64_t bytes_out, uint64_t now_ns) {
    conn->flags |= RONDO__CONN_MARKED;
    conn->marked_out = bytes_out;
    conn->since = units_of(now_ns);
}

void rondo__conn_arm_write(rondo__http_conn *conn) {
    rondo_stream_figures figures;
    if (conn->flags & RONDO__CONN_MARKED) return; /* being watched */
    rondo_stream_get_figures(conn->stream, &figures);
    uint64_t now_ns = rondo_loop_now_ns(loop_of(conn));
    mark(conn, figures.bytes_out, now_ns);
    alarm_by(conn, now_ns + ns_of(conn->server->limits.write_timeout_ms / 4));
}

/* ---- the alarm ---- */

/* The time that `taken` octets buy, of `most` at most. */
static uint64_t bought_ns(uint64_t taken, uint64_t rate, uint64_t most) {
    uint64_t seconds = taken / rate;
    if (seconds > most / NS_PER_S) return most;
    uint64_t ns = seconds * NS_PER_S + taken % rate * (NS_PER_S / rate);
    return ns < most ? ns : most;
}

/* Something is queued: has the client taken enough of it? When to look again; 0: it was cut off. The
 * alarm may have fired for something else, long before the time is over. */
static uint64_t look_at_writing(rondo__http_conn *conn, uint64_t now_ns) {
    const rondo_http_limits *limits = &conn->server->limits;
    uint64_t time_ns = ns_of(limits->write_timeout_ms);
    rondo_stream_figures figures;
    rondo_stream_get_figures(conn->stream, &figures);
    if (!(conn->flags & RONDO__CONN_MARKED)) {
        mark(conn, figures.bytes_out, now_ns);
    } else if (conn->marked_out != figures.bytes_out) {
        uint64_t since_ns = since_of(conn, now_ns), behind_ns = now_ns - since_ns;
        uint64_t taken = figures.bytes_out - conn->marked_out;
        mark(conn, figures.bytes_out,
             since_ns + bought_ns(taken, limits->write_min_rate, behind_ns));
    }
    uint64_t due = due_after(conn, limits->write_timeout_ms, now_ns);
    if (due > now_ns) return now_ns + time_ns / 4 < due ? now_ns + time_ns / 4 : due;
    rondo__conn_cut(conn);
    return 0;
}

/* The state's own deadline; RONDO__ALARM_UNSET when it has none. */
static uint64_t state_due(const rondo__http_conn *conn, uint64_t now_ns) {
    const rondo_http_limits *limits = &conn->server->limits;
    switch (conn->state) {
    case RONDO__CONN_IDLE: return due_after(conn, idle_ms(conn), now_ns);
    case RONDO__CONN_HEAD: return conn->request->since_ns + ns_of(limits->head_timeout_ms);
    case RONDO__CONN_BODY: return is_awaited(conn->request) ? body_due(conn) : RONDO__ALARM_UNSET;
    case RONDO__CONN_CLOSING: return due_after(conn, limits->linger_ms, now_ns);
    default: return RONDO__ALARM_UNSET;
    }
}

static void state_is_over(rondo__http_conn *conn) {
    if (conn->state == RONDO__CONN_IDLE)
        rondo__conn_shut(conn);
    else if (conn->state == RONDO__CONN_CLOSING)
        rondo__conn_cut(conn);
    else
        rondo__conn_refuse(conn, 408);
}

void rondo__conn_alarm(rondo_stream *stream) {
    rondo__http_conn *conn = rondo__stream_owner(stream);
    uint64_t now_ns = rondo_loop_now_ns(loop_of(conn)), next = RONDO__ALARM_UNSET;
    if (conn->state == RONDO__CONN_GONE) return;
    bool writing = rondo__stream_queued(conn->stream) > 0;
    if (writing && conn->state == RONDO__CONN_IDLE && conn->server->draining && !conn->rest) {
        rondo__conn_shut(conn); /* what is queued is sent */
        return;
    }
    if (writing) {
        next = look_at_writing(conn, now_ns);
        if (next == 0) return;
    } else if (conn->flags & RONDO__CONN_MARKED) {
        conn->flags &= (uint16_t)~RONDO__CONN_MARKED;
        conn->since =
            units_of(now_ns); /* only now does it wait for nothing but the client's next word */
    }
    bool waits = conn->state == RONDO__CONN_IDLE || conn->state == RONDO__CONN_CLOSING;
    uint64_t due = writing && waits ? RONDO__ALARM_UNSET : state_due(conn, now_ns);
    if (due <= now_ns) {
        state_is_over(conn);
        return;
    }
    if (due < next) next = due;
    if (next != RONDO__ALARM_UNSET) alarm_by(conn, next); /* it is unset: it has fired */
}
