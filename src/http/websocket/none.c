/* SPDX-License-Identifier: MIT
 *
 * What there is of WebSockets in a build without wslay: the answer that there are none. The Makefile
 * takes this file or the others. No socket can exist, so what is asked of one is never asked.
 */
#include <rondo/error.h>
#include <rondo/http.h>
#include <rondo/websocket.h>

#include "loop/handle.h"

bool rondo_websocket_asked_for(const rondo_http_request *request) { return false; }
bool rondo_websocket_same_origin(const rondo_http_request *request) { return false; }

int rondo_websocket_accept_at(rondo_http_request *request, rondo_http_response *response,
                              const rondo_websocket_options *options, rondo_websocket **ret_socket,
                              const char *site) {
    if (rondo_http_response_reply(response, 501, "text/plain",
                                  rondo_slice_text("built without WebSockets\n")) < 0)
        rondo_close(response);
    return RONDO_ENOSYS;
}
int rondo_websocket_end_all(rondo_loop *loop, uint16_t code, const char *reason) {
    RONDO__CHECK_LOOP(loop);
    return RONDO_ENOSYS;
}
int rondo_websocket_connect_at(rondo_http_client *client, const char *url,
                               const rondo_websocket_options *options, rondo_websocket **ret_socket,
                               const char *site) {
    return RONDO_ENOSYS;
}
int rondo_websocket_message_new(rondo_loop *loop, rondo_websocket_type type, rondo_slice data,
                                rondo_websocket_message **ret_message) {
    RONDO__CHECK_LOOP(loop);
    return RONDO_ENOSYS;
}
void rondo_websocket_message_free(rondo_websocket_message *message) {}

#define NO_EVENT(event, callback)                                                       \
    int rondo_websocket_on_##event(rondo_websocket *socket, callback cb, void *arg) {   \
        return RONDO_ENOSYS;                                                            \
    }                                                                                   \
    int rondo_websocket_once_##event(rondo_websocket *socket, callback cb, void *arg) { \
        return RONDO_ENOSYS;                                                            \
    }                                                                                   \
    int rondo_websocket_off_##event(rondo_websocket *socket, callback cb, void *arg) {  \
        return RONDO_ENOSYS;                                                            \
    }                                                                                   \
    typedef int no_##event
NO_EVENT(open, rondo_websocket_cb);
NO_EVENT(message, rondo_websocket_message_cb);
NO_EVENT(piece, rondo_websocket_piece_cb);
NO_EVENT(ping, rondo_websocket_data_cb);
NO_EVENT(pong, rondo_websocket_data_cb);
NO_EVENT(drain, rondo_websocket_cb);
NO_EVENT(end, rondo_websocket_end_cb);
NO_EVENT(error, rondo_websocket_error_cb);

int rondo_websocket_send(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data) {
    return RONDO_ENOSYS;
}
int rondo_websocket_send_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                               bool last) {
    return RONDO_ENOSYS;
}
int rondo_websocket_send_message(rondo_websocket *socket, rondo_websocket_message *message) {
    return RONDO_ENOSYS;
}
int rondo_websocket_ping(rondo_websocket *socket, rondo_slice data) { return RONDO_ENOSYS; }
int rondo_websocket_end(rondo_websocket *socket, uint16_t code, const char *reason) {
    return RONDO_ENOSYS;
}
int rondo_websocket_pause(rondo_websocket *socket) { return RONDO_ENOSYS; }
int rondo_websocket_resume(rondo_websocket *socket) { return RONDO_ENOSYS; }
int rondo_websocket_status(const rondo_websocket *socket) { return 0; }
const char *rondo_websocket_protocol(const rondo_websocket *socket) { return ""; }
bool rondo_websocket_is_compressed(const rondo_websocket *socket) { return false; }
size_t rondo_websocket_queued(const rondo_websocket *socket) { return 0; }
rondo_stream *rondo_websocket_stream(const rondo_websocket *socket) { return NULL; }
