/* SPDX-License-Identifier: MIT
 *
 * A whole body in one callback, and the call that needs no other: rondo_http_get().
 */
#include "http/client/call.h"

int rondo_http_call_collect(rondo_http_call *call, size_t most, rondo_http_collect_cb cb,
                            void *arg) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    if (call->state != RONDO__CALL_NEW) return RONDO_EBUSY;
    call->on_collected = cb;
    call->collected_arg = arg;
    call->collect_most = most;
    if (most == 0 && call->client) call->collect_most = call->client->limits.collect_bytes;
    return 0;
}

int rondo__collect_head(rondo_http_call *call) {
    int64_t length = rondo_http_call_length(call);
    return length > 0 && (uint64_t)length > call->collect_most ? RONDO_EMSGSIZE : 0;
}

int rondo__collect_data(rondo_http_call *call, rondo_slice piece) {
    if (piece.len > call->collect_most - call->collected.len) return RONDO_EMSGSIZE;
    return rondo__bytes_add(&call->collected, piece) ? 0 : RONDO_ENOMEM;
}

rondo_http_call *rondo_http_get_at(rondo_http_client *client, const char *url,
                                   rondo_http_collect_cb cb, void *arg, const char *site) {
    rondo_http_call *call = rondo_http_call_new_at(client, "GET", url, site);
    if (!call) return NULL;
    if (cb) rondo_http_call_collect(call, 0, cb, arg);
    rondo_http_call_set_decode(call, true);
    rondo_http_call_send(call, rondo_slice_of(NULL, 0));
    return call;
}
