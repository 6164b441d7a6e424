/* SPDX-License-Identifier: MIT
 *
 * Bodies in one piece. A body that arrives whole with its head, as most do, is told where it lies; any
 * other is gathered in memory that grows with what has come, never with what was announced: a length
 * costs a client nothing.
 */
#include <rondo/error.h>
#include <string.h>

#include "http/server/connection.h"
#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

#define ROOM_LEAST ((size_t)1024)

typedef struct body_payload {
    rondo_http_request *request;
    rondo_slice body;
} body_payload;

static void body_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const body_payload *body = payload;
    (void)loop, (void)handle;
    ((rondo_http_body_cb)fn)(body->request, body->body, arg);
}
static const rondo__event body_event = {"http.body", body_thunk};

int rondo_http_request_collect(rondo_http_request *request, size_t most, rondo_http_body_cb cb,
                               void *arg) {
    RONDO__CHECK_REQUEST(request);
    RONDO_ASSERT(cb);
    if (!request->response || !request->conn || !rondo__conn_alive(request->conn))
        return RONDO_ECLOSED;
    unsigned late = RONDO__REQUEST_COLLECTS | RONDO__REQUEST_COMPLETE;
    if (request->body_seen > 0 || (request->flags & late)) return RONDO_EBUSY;
    request->on_data = NULL;
    request->on_end = NULL;
    request->flags |= RONDO__REQUEST_COLLECTS;
    request->collecting = (rondo__collecting){.cb = cb, .arg = arg, .most = most};
    return 0;
}

bool rondo__collect_hopeless(const rondo_http_request *request) {
    if (!(request->flags & RONDO__REQUEST_COLLECTS)) return false;
    return request->body == RONDO__BODY_LENGTH && request->body_left > request->collecting.most;
}

/* Room for len octets in all: false when out of memory. */
static bool grow(rondo_http_request *request, size_t len) {
    rondo__collecting *all = &request->collecting;
    size_t room = all->room ? all->room : ROOM_LEAST;
    while (room < len) room *= 2; /* at most twice `most`, which a size_t holds */
    if (room > all->most) room = all->most;
    char *data = rondo__realloc(all->data, room);
    if (!data) return false;
    request->flags |= RONDO__REQUEST_ALLOCATED;
    all->data = data;
    all->room = room;
    return true;
}

void rondo__collect_add(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    rondo__collecting *all = &request->collecting;
    if (len > all->most - all->len) {
        rondo__conn_refuse(conn, 413);
        return;
    }
    /* The end of it follows at once: nothing is told in between. */
    if (all->len == 0 && request->body == RONDO__BODY_LENGTH && request->body_left == 0) {
        all->data = (char *)(uintptr_t)data;
        all->len = len;
        return;
    }
    if (all->len + len > all->room && !grow(request, all->len + len)) {
        rondo__conn_refuse(conn, 503);
        return;
    }
    memcpy(all->data + all->len, data, len);
    all->len += len;
}

void rondo__collect_tell(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    const rondo__collecting *all = &request->collecting;
    body_payload payload = {request, rondo_slice_of(all->len > 0 ? all->data : "", all->len)};
    rondo__door(conn->server->base.loop, &request->response->base, &body_event, RONDO__FN(all->cb),
                &payload, all->arg);
}
