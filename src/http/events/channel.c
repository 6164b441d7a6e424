/* SPDX-License-Identifier: MIT
 *
 * Channels: their clients, and the events that are kept. Also what one client alone is sent.
 */
#include <rondo/connect.h>
#include <rondo/error.h>
#include <rondo/handle.h>
#include <string.h>

#include "http/events/events.h"
#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* ---- to one client ---- */

rondo_slice rondo_http_events_last_id(const rondo_http_request *request) {
    return rondo_http_request_header(request, "Last-Event-ID");
}

int rondo_http_events_begin(rondo_http_response *response) {
    static const char *const fields[][2] = {
        {"Content-Type", "text/event-stream"},
        {"Cache-Control", "no-store"},
        {"X-Accel-Buffering", "no"},
    };
    RONDO__CHECK(response, &rondo__response_kind);
    int result = response->status != 0 ? RONDO_EBUSY : 0;

    for (size_t i = 0; result == 0 && i < sizeof fields / sizeof *fields; i++)
        result = rondo_http_response_header(response, fields[i][0], fields[i][1]);
    if (result < 0) return result;
    response->filter = NULL; /* what is compressed can't be shared */
    result = rondo_http_response_begin(response, 200, -1);
    if (result == 0) rondo__response_conn(response)->flags |= RONDO__CONN_EVENTS;
    return result;
}

int rondo_http_events_write(rondo_http_response *response, const rondo_http_event *event) {
    rondo__message *message;
    int result = rondo__event_format(event, &message);

    if (result < 0) return result;
    result = rondo_http_response_write(
        response, rondo_slice_of(message->bytes + message->begin, message->len));
    rondo__message_release(message);
    return result;
}

int rondo_http_events_heartbeat(rondo_http_response *response) {
    return rondo_http_response_write(response, rondo_slice_text(RONDO__HEARTBEAT));
}

/* ---- what is kept ---- */

rondo__message *rondo__events_message(const rondo_http_events *events, uint64_t number) {
    RONDO_ASSERT(number >= events->first && number < rondo__events_end(events));
    return events->ring[number % events->options.keep_events];
}

/* Those that still wait for the oldest message, which goes now. */
static void leave_behind(rondo_http_events *events) {
    uint64_t end = rondo__events_end(events), least = UINT64_MAX;

    if (events->least_blocked > events->first) return;
    for (rondo__list *link = events->blocked.next, *next; link != &events->blocked; link = next) {
        rondo__listener *listener = RONDO__OF(link, rondo__listener, link);
        next = link->next;
        if (listener->next == events->first && events->options.slow == RONDO_HTTP_EVENTS_DROP) {
            rondo_http_response *response = listener->response;
            events->dropped++;
            rondo__listener_free(listener);
            rondo_close(response);
            continue;
        }
        if (listener->next == events->first) {
            events->skipped += end - listener->next;
            listener->next = end;
        }
        if (listener->next < least) least = listener->next;
    }
    events->least_blocked = least;
}

static void forget_oldest(rondo_http_events *events) {
    rondo__message *oldest = rondo__events_message(events, events->first);

    leave_behind(events);
    events->bytes -= oldest->total;
    events->first++;
    events->count--;
    rondo__message_release(oldest);
}

static bool is_full(const rondo_http_events *events, size_t more) {
    if (events->count == 0) return false;
    return events->count == events->options.keep_events || more > events->options.keep_bytes ||
           events->bytes > events->options.keep_bytes - more;
}

static void keep(rondo_http_events *events, rondo__message *message) {
    /* Who is only waiting for its turn must not miss anything. */
    if (is_full(events, message->total)) rondo__events_deliver_now(events);
    while (is_full(events, message->total)) forget_oldest(events);
    events->ring[rondo__events_end(events) % events->options.keep_events] = message;
    events->count++;
    events->bytes += message->total;
}

int rondo_http_events_send(rondo_http_events *events, const rondo_http_event *event) {
    RONDO__CHECK(events, &rondo__events_kind);
    rondo__message *message;

    if (rondo__handle_closing(&events->base)) return RONDO_ECLOSED;
    int result = rondo__event_format(event, &message);
    if (result < 0) return result;
    keep(events, message);
    events->sent++;
    events->silent = false;
    rondo__list_splice_back(&events->ready, &events->idle);
    rondo__list_splice_back(&events->ready, &events->beating);
    if (!rondo__list_empty(&events->ready)) rondo__defer(events->base.loop, &events->deliver);
    return 0;
}

/* ---- clients ---- */

static void on_response_closed(rondo_handle *response, void *arg) {
    (void)response;
    rondo__listener_free(arg);
}

static void on_aborted(rondo_http_response *response, void *arg) {
    rondo__listener_free(arg);
    rondo_http_response_end(response);
}

static void on_drain(rondo_http_response *response, void *arg) {
    rondo__listener *listener = arg;
    rondo_http_events *events = listener->events;

    (void)response;
    if (!listener->blocked) return; /* the application has written, too */
    listener->blocked = false;
    events->waiting--;
    rondo__listener_sort(listener);
    if (!rondo__list_empty(&events->ready)) rondo__defer(events->base.loop, &events->deliver);
}

void rondo__listener_free(rondo__listener *listener) {
    rondo_http_events *events = listener->events;
    rondo_http_response *response = listener->response;

    RONDO_ASSERT(events->clients > 0);
    events->clients--;
    events->waiting -= listener->blocked;
    rondo__list_remove(&listener->link);
    rondo_off_close(response, on_response_closed, listener);
    response->on_drain = NULL;
    response->on_aborted = NULL;
    rondo__free(listener);
}

static bool has_id(const rondo__message *message, rondo_slice id) {
    return message->id_len == id.len &&
           memcmp(message->bytes + message->id_at, id.data, id.len) == 0;
}

/* Behind the newest message with that id; the end when it isn't kept. */
static uint64_t find_next(const rondo_http_events *events, rondo_slice id, bool *ret_found) {
    uint64_t end = rondo__events_end(events);

    *ret_found = false;
    if (id.len == 0) return end;
    for (uint64_t number = end; number > events->first; number--) {
        if (!has_id(rondo__events_message(events, number - 1), id)) continue;
        *ret_found = true;
        return number;
    }
    return end;
}

/* Who acknowledges nothing has gone, which the kernel alone would find out in a quarter of an hour.
 * It is not for Unix sockets. */
static void watch_for_silence(const rondo_http_events *events, rondo_http_response *response) {
    const rondo__http_conn *conn = rondo__response_conn(response);
    if (conn) rondo_tcp_set_user_timeout(conn->stream, events->options.silent_ms);
}

static int join(rondo_http_events *events, rondo_http_response *response,
                rondo__listener *listener) {
    bool resumed;

    listener->events = events;
    listener->response = response;
    listener->blocked = false;
    listener->next = find_next(events, rondo_http_events_last_id(response->request), &resumed);
    rondo__list_init(&listener->link);
    if (events->clients++ == 0 && !rondo__alarm_is_set(&events->heartbeat)) {
        events->silent = true;
        rondo__alarm_set_in_ms(events->base.loop, &events->heartbeat, events->options.heartbeat_ms);
    }
    rondo_http_response_on_drain(response, on_drain, listener);
    rondo_http_response_on_aborted(response, on_aborted, listener);
    watch_for_silence(events, response);
    rondo__listener_sort(listener);
    if (resumed) rondo__defer(events->base.loop, &events->deliver);
    return resumed;
}

int rondo_http_events_add(rondo_http_events *events, rondo_http_response *response) {
    RONDO__CHECK(events, &rondo__events_kind);
    RONDO__CHECK(response, &rondo__response_kind);

    if (rondo__handle_closing(&events->base) || !response->request) return RONDO_ECLOSED;
    if (response->bodyless) { /* HEAD */
        int result = rondo_http_events_begin(response);
        return result < 0 ? result : rondo_http_response_end(response);
    }
    rondo__listener *listener = rondo__alloc(sizeof *listener);
    if (!listener) return RONDO_ENOMEM;
    int result = rondo_on_close(response, on_response_closed, listener);
    if (result == 0) {
        result = rondo_http_events_begin(response);
        if (result < 0) rondo_off_close(response, on_response_closed, listener);
    }
    if (result < 0) {
        rondo__free(listener);
        return result;
    }
    return join(events, response, listener);
}

/* ---- heartbeats ---- */

static void on_heartbeat(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_http_events *events = RONDO__OF(alarm, rondo_http_events, heartbeat);

    if (events->clients == 0) return; /* the next one sets it again */
    if (events->silent) rondo__list_splice_back(&events->beating, &events->idle);
    events->silent = true;
    if (!rondo__list_empty(&events->beating)) rondo__defer(loop, &events->deliver);
    rondo__alarm_set_in_ms(loop, alarm, events->options.heartbeat_ms);
}

/* ---- life ---- */

static void end_clients(rondo__list *list) {
    while (!rondo__list_empty(list)) {
        rondo__listener *listener = RONDO__OF(list->next, rondo__listener, link);
        rondo_http_response *response = listener->response;
        rondo__listener_free(listener);
        if (!rondo_is_closing(response)) rondo_http_response_end(response);
    }
}

static void stop(rondo_handle *handle) {
    rondo_http_events *events = (rondo_http_events *)(void *)handle;

    rondo__task_cancel(&events->deliver);
    rondo__alarm_clear(&events->heartbeat);
    end_clients(&events->idle);
    end_clients(&events->ready);
    end_clients(&events->blocked);
    end_clients(&events->beating);
    while (events->count > 0) forget_oldest(events);
    rondo__free(events->ring);
    events->ring = NULL;
}

const rondo__kind rondo__events_kind = {
    .name = "http events",
    .size = sizeof(rondo_http_events),
    .stop = stop,
};

rondo_http_events *rondo_http_events_new_at(rondo_loop *loop,
                                            const rondo_http_events_options *options,
                                            const char *site) {
    rondo_http_events *events = rondo__handle_new(loop, &rondo__events_kind, site);

    if (!events) return NULL;
    if (options) events->options = *options;
#define USE_DEFAULT(field, type, value, what) \
    if (events->options.field == 0) events->options.field = value;
    RONDO_HTTP_EVENTS_OPTIONS(USE_DEFAULT)
#undef USE_DEFAULT
    events->ring = rondo__alloc(events->options.keep_events * sizeof(rondo__message *));
    if (!events->ring) {
        rondo__handle_discard(&events->base);
        return NULL;
    }
    rondo__list_init(&events->idle);
    rondo__list_init(&events->ready);
    rondo__list_init(&events->blocked);
    rondo__list_init(&events->beating);
    events->least_blocked = UINT64_MAX;
    rondo__task_init(&events->deliver, rondo__events_deliver);
    rondo__alarm_init(&events->heartbeat, on_heartbeat);
    rondo__handle_activate(&events->base);
    return events;
}

void rondo_http_events_get_figures(const rondo_http_events *events,
                                   rondo_http_events_figures *ret_figures) {
    RONDO__CHECK(events, &rondo__events_kind);
    *ret_figures = (rondo_http_events_figures){
        .clients = events->clients,
        .waiting = events->waiting,
        .kept_bytes = events->bytes,
        .sent = events->sent,
        .skipped = events->skipped,
        .dropped = events->dropped,
    };
}
