/* SPDX-License-Identifier: MIT
 *
 * A stream's timeouts: idle, and one for each direction. Each is an alarm of the wheel, so pushing
 * it ahead costs two stores. The idle one is in the stream, since servers set it on every
 * connection; the others are in `extra`.
 *
 * The read alarm may go off while nothing is wanted: pausing is a flag and touches no alarm. Then it
 * says nothing, and starts anew when bytes are wanted again (rondo__stream_rewatch()).
 */
#include "net/duplex.h"

static void time_out(rondo_stream *stream) {
    if (!rondo__stream_tell(stream, RONDO__STREAM_TIMEOUT))
        rondo__stream_fail(stream, RONDO_ETIMEDOUT);
}

static void idle_for_long(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    time_out(RONDO__OF(alarm, rondo_stream, idle));
}

static void nothing_read(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_stream *stream = RONDO__OF(alarm, rondo__stream_extra, read_alarm)->stream;
    (void)loop;
    if (rondo__stream_wants(stream)) time_out(stream);
}

/* A write that waits. Not so the room in the kernel that rondo_try_write() asked for in vain. */
static bool is_blocked(const rondo_stream *stream) {
    bool anything =
        rondo__queued(stream) > 0 || (stream->flags & RONDO__ENDED) || rondo__transport_of(stream);
    return (stream->flags & (RONDO__BLOCKED | RONDO__OPENING)) == RONDO__BLOCKED && anything;
}

static void nothing_written(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_stream *stream = RONDO__OF(alarm, rondo__stream_extra, write_alarm)->stream;
    (void)loop;
    if (is_blocked(stream)) time_out(stream);
}

void rondo__timeouts_init(rondo_stream *stream) { rondo__alarm_init(&stream->idle, idle_for_long); }

void rondo__timeouts_init_extra(rondo_stream *stream) {
    stream->extra->stream = stream;
    rondo__alarm_init(&stream->extra->read_alarm, nothing_read);
    rondo__alarm_init(&stream->extra->write_alarm, nothing_written);
}

void rondo__timeouts_clear(rondo_stream *stream) {
    rondo__alarm_clear(&stream->idle);
    if (!stream->extra) return;
    rondo__alarm_clear(&stream->extra->read_alarm);
    rondo__alarm_clear(&stream->extra->write_alarm);
}

void rondo__timeouts_read(rondo_stream *stream) {
    rondo__stream_extra *extra = stream->extra;
    if (extra && extra->read_ms)
        rondo__alarm_set_in_ms(stream->base.loop, &extra->read_alarm, extra->read_ms);
}

void rondo__timeouts_blocked(rondo_stream *stream) {
    rondo__stream_extra *extra = stream->extra;
    if (extra && extra->write_ms && !rondo__alarm_is_set(&extra->write_alarm))
        rondo__alarm_set_in_ms(stream->base.loop, &extra->write_alarm, extra->write_ms);
}

void rondo__timeouts_written(rondo_stream *stream) {
    rondo__stream_extra *extra = stream->extra;
    if (extra && rondo__alarm_is_set(&extra->write_alarm))
        rondo__alarm_set_in_ms(stream->base.loop, &extra->write_alarm, extra->write_ms);
}

void rondo__timeouts_unblocked(rondo_stream *stream) {
    if (stream->extra) rondo__alarm_clear(&stream->extra->write_alarm);
}

/* ---- the calls ---- */

static uint32_t cut(uint64_t ms) { return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms; }

int rondo_stream_set_timeout(rondo_stream *stream, uint64_t idle_ms) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    stream->idle_ms = cut(idle_ms);
    rondo__alarm_clear(&stream->idle);
    rondo__stream_touch(stream);
    return 0;
}

int rondo_stream_set_read_timeout(rondo_stream *stream, uint64_t timeout_ms) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    stream->extra->read_ms = cut(timeout_ms);
    rondo__alarm_clear(&stream->extra->read_alarm);
    rondo__timeouts_read(stream);
    return 0;
}

int rondo_stream_set_write_timeout(rondo_stream *stream, uint64_t timeout_ms) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    stream->extra->write_ms = cut(timeout_ms);
    rondo__alarm_clear(&stream->extra->write_alarm);
    if (is_blocked(stream)) rondo__timeouts_blocked(stream);
    return 0;
}
