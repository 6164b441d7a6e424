/* SPDX-License-Identifier: MIT
 *
 * Answers as a whole: how many requests are in flight, and whoever wants to hear of each answer. Such a
 * listener needs the request too, which is the response's then until it has been told: in the closing
 * phase, once the answer has left (leaving.c). Without one, a request goes back at once.
 */
#include <rondo/error.h>

#include "http/server/connection.h"
#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

static void response_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                           void *arg) {
    (void)loop;
    ((rondo_http_request_cb)fn)(payload, (rondo_http_response *)(void *)handle, arg);
}
static const rondo__event response_event = {"http.response", response_thunk};

rondo__http_tally *rondo__tally_new(rondo_http_server *server) {
    rondo__http_tally *tally = rondo__zalloc(sizeof *tally);
    if (tally) tally->server = server;
    return tally;
}

void rondo__tally_free(rondo__http_tally *tally) {
    if (tally->server || tally->in_flight > 0) return;
    rondo__free(tally->networks.list);
    rondo__free(tally);
}

void rondo__tally_leave(rondo__http_tally *tally) {
    RONDO_ASSERT(!tally->on_response);
    tally->server = NULL;
    rondo__tally_free(tally);
}

void rondo__tally_await(rondo_http_response *response, rondo_http_request *request) {
    rondo__request_remember_peer(request);
    response->told = request;
    request->response = NULL;
    if (request->conn) rondo__leaving_begin(response, request->conn);
}

void rondo__tally_tell(rondo_http_response *response) {
    rondo_http_request *request = response->told;
    const rondo__http_tally *tally = request->tally;
    if (tally->on_response)
        rondo__door(response->base.loop, &response->base, &response_event,
                    RONDO__FN(tally->on_response), request, tally->response_arg);
    response->told = NULL;
    rondo__request_release(request, RONDO__REQUEST_BY_APP);
}

void rondo__tally_refused(rondo__http_conn *conn, int status, size_t body_len) {
    rondo_http_request *request = conn->request;
    if (!request) return;
    rondo_http_response *response = request->response;
    if (response) {
        if (response->status == 0) {
            response->status = (uint16_t)status;
            response->sent = body_len;
        }
        return;
    }
    /* One that was answered already has been told of, whatever is wrong with the rest of its body. */
    if (!conn->server->tally->on_response || conn->state > RONDO__CONN_BODY) return;
    if (conn->flags & RONDO__CONN_ANSWERED) return;
    response = rondo__response_take(request, conn->server);
    if (!response) return;
    rondo__request_remember_peer(request);
    response->status = (uint16_t)status;
    response->sent = body_len;
    response->request = NULL;
    rondo__tally_ended(response, request);
    rondo_close(response);
}
