/* SPDX-License-Identifier: MIT
 *
 * A client's handshake (RFC 6455 section 4.1), as a call of the HTTP client: names, TLS, proxies and
 * redirects are its business. The key is another one for each connection on which it is made. The call is the socket's until it has given its connection up or has
 * failed; whichever of the two closes first lets go of the other.
 */
#include <rondo/error.h>
#include <rondo/http.h>
#include <rondo/http_call.h>
#include <string.h>

#include "http/chars.h"
#include "http/client/call.h"
#include "http/fields.h"
#include "http/websocket/key.h"
#include "http/websocket/socket.h"
#include "loop/memory.h"

struct rondo__ws_call {
    rondo_http_call *call;
    char *protocols; /* as they were offered; NULL: none */
    bool fresh;      /* the key was not sent yet */
    char key[RONDO__KEY_SIZE];
};

static void free_call(struct rondo__ws_call *call) {
    rondo__free(call->protocols);
    rondo__free(call);
}

void rondo__ws_stop_call(rondo_websocket *socket) {
    struct rondo__ws_call *call = socket->call;
    if (!call) return;
    socket->call = NULL;
    rondo_close(call->call);
    free_call(call);
}

/* ---- the answer ---- */

/* The only field of that name; false when there is none, or more than one. */
static bool one_field(const rondo_http_call *call, const char *name, rondo_slice *ret_value) {
    rondo_slice found, value;
    int count = 0;
    for (size_t i = 0; rondo_http_call_response_header_at(call, i, &found, &value); i++) {
        if (!rondo__http_word_is(found.data, found.len, name)) continue;
        *ret_value = value;
        count++;
    }
    return count == 1;
}

static bool has_field(const rondo_http_call *call, const char *name) {
    return rondo_http_call_response_header(call, name).data != NULL;
}

/* Whether a field lists the word. */
static bool lists(const rondo_http_call *call, const char *name, const char *word) {
    rondo_slice found, value;
    for (size_t i = 0; rondo_http_call_response_header_at(call, i, &found, &value); i++)
        if (rondo__http_word_is(found.data, found.len, name) && rondo__ws_list_has(value, word))
            return true;
    return false;
}

/* The checks of section 4.1, second list: what was not offered may not be answered. */
static bool is_good(rondo_websocket *socket, rondo__ws_deflate *deflate,
                    rondo_slice *ret_protocol) {
    const struct rondo__ws_call *own = socket->call;
    const rondo_http_call *call = own->call;
    char accept[RONDO__ACCEPT_SIZE];
    rondo_slice value, extensions;
    rondo__ws_key_accept(rondo_slice_text(own->key), accept);
    if (rondo_http_call_status(call) != 101) return false;
    if (!lists(call, "upgrade", "websocket") || !lists(call, "connection", "upgrade")) return false;
    if (!one_field(call, "sec-websocket-accept", &value) || value.len != strlen(accept) ||
        memcmp(value.data, accept, value.len) != 0)
        return false;
    if (has_field(call, "sec-websocket-protocol") &&
        (!one_field(call, "sec-websocket-protocol", ret_protocol) || !own->protocols ||
         !rondo__ws_protocols_have(rondo_slice_text(own->protocols), *ret_protocol)))
        return false;
    if (!has_field(call, "sec-websocket-extensions")) return true;
    return one_field(call, "sec-websocket-extensions", &extensions) &&
           rondo__ws_deflate_agree(extensions, socket->settings->compression, deflate);
}

/* Takes the connection over: 0 or an error. */
static int take_over(rondo_websocket *socket) {
    rondo__ws_deflate deflate = {0};
    rondo_slice protocol = {NULL, 0};
    rondo_stream *stream;
    if (!is_good(socket, &deflate, &protocol)) return RONDO_EPROTO;
    if (protocol.len > 0) {
        socket->protocol = rondo__zalloc(protocol.len + 1);
        if (!socket->protocol) return RONDO_ENOMEM;
        memcpy(socket->protocol, protocol.data, protocol.len);
    }
    int status = rondo_http_call_upgrade(socket->call->call, &stream);
    if (status < 0) return status;
    rondo__ws_start(socket, stream, &deflate);
    return 0;
}

static void on_response(rondo_http_call *call, void *arg) {
    rondo_websocket *socket = arg;
    socket->status = (uint16_t)rondo_http_call_status(call);
    int status = take_over(socket);
    if (status == 0)
        rondo__ws_tell(socket, RONDO__WS_OPEN, NULL);
    else
        rondo__ws_lost(socket, status);
}

/* The call is through: with the connection given up, or it has failed. */
static void forget(rondo_websocket *socket) {
    struct rondo__ws_call *call = socket->call;
    socket->call = NULL;
    free_call(call);
}

static void on_end(rondo_http_call *call, void *arg) {
    (void)call;
    forget(arg);
}

static void on_error(rondo_http_call *call, int error, void *arg) {
    rondo_websocket *socket = arg;
    socket->status = (uint16_t)rondo_http_call_status(call);
    forget(socket);
    rondo__ws_lost(socket, error);
}

/* ---- the request ---- */

/* The URL with http for ws, and https for wss; a fragment has no place in it (section 3). NULL when it is
 * neither, *ret_error then says why. */
static char *http_url(const char *url, int *ret_error) {
    size_t len = strlen(url), skip = 0; /* a scheme is one in any case (RFC 3986 section 3.1) */
    if (len > 5 && rondo__http_word_is(url, 5, "ws://")) skip = 2;
    if (len > 6 && rondo__http_word_is(url, 6, "wss://")) skip = 3;
    *ret_error = RONDO_EINVAL;
    if (skip == 0 || strchr(url, '#')) return NULL;
    len -= skip;
    char *text = rondo__alloc(sizeof "https" + len);
    *ret_error = RONDO_ENOMEM;
    if (!text) return NULL;
    memcpy(text, "https", 5);
    memcpy(text + (skip == 3 ? 5 : 4), url + skip, len + 1);
    return text;
}

static int make_key(rondo_websocket *socket) {
    uint8_t random[16];
    int status = rondo__ws_random(socket->ws, random, sizeof random);
    if (status == 0) rondo__ws_key_make(random, socket->call->key);
    return status;
}

/* "The nonce MUST be selected randomly for each connection" (section 4.1): also where a redirect leads, and
 * when the first connection was stale. */
static int renew_key(rondo_http_call *call, void *arg) {
    rondo_websocket *socket = arg;
    struct rondo__ws_call *own = socket->call;
    if (!own->fresh) {
        int status = make_key(socket);
        if (status < 0) return status;
        rondo_slice old =
            rondo__fields_find(rondo__bytes_slice(&call->fields), "sec-websocket-key");
        RONDO_ASSERT(old.len == strlen(own->key));
        memcpy(call->fields.data + (old.data - call->fields.data), own->key, old.len);
    }
    own->fresh = false;
    return 0;
}

static int add_fields(rondo_http_call *call, const struct rondo__ws_call *own,
                      const rondo_websocket_options *options, const char *offer) {
    int status = rondo_http_call_header(call, "Upgrade", "websocket");
    if (status == 0) status = rondo_http_call_header(call, "Sec-WebSocket-Version", "13");
    if (status == 0) status = rondo_http_call_header(call, "Sec-WebSocket-Key", own->key);
    if (status == 0 && own->protocols)
        status = rondo_http_call_header(call, "Sec-WebSocket-Protocol", own->protocols);
    if (status == 0 && *offer)
        status = rondo_http_call_header(call, "Sec-WebSocket-Extensions", offer);
    for (size_t i = 0; status == 0 && options && i < options->field_count; i++) {
        rondo_slice name = options->fields[i].name, value = options->fields[i].value;
        char *copy = rondo__zalloc(name.len + value.len + 2);
        if (!copy) return RONDO_ENOMEM;
        memcpy(copy, name.data, name.len);
        if (value.len > 0) memcpy(copy + name.len + 1, value.data, value.len);
        bool has_nul = strlen(copy) != name.len || strlen(copy + name.len + 1) != value.len;
        status = has_nul ? RONDO_EINVAL : rondo_http_call_header(call, copy, copy + name.len + 1);
        rondo__free(copy);
    }
    return status;
}

/* The call, with all that it asks for; 0 or an error. */
static int make_call(rondo_websocket *socket, rondo_http_client *client, const char *url,
                     const rondo_websocket_options *options, const char *site) {
    struct rondo__ws_call *own = socket->call;
    int status = make_key(socket);
    if (status < 0) return status;
    if (options && options->protocols && !(own->protocols = rondo__strdup(options->protocols)))
        return RONDO_ENOMEM;
    char *text = http_url(url, &status);
    if (!text) return status;
    own->call = rondo_http_call_new_at(client, "GET", text, site);
    rondo__free(text);
    if (!own->call) return RONDO_ENOMEM;
    own->fresh = true;
    own->call->renew = renew_key;
    const char *offer = rondo__ws_deflate_offer(socket->settings->compression);
    status = add_fields(own->call, own, options, offer);
    if (status < 0) return status;
    rondo_http_call_on_response(own->call, on_response, socket);
    rondo_http_call_on_end(own->call, on_end, socket);
    rondo_http_call_on_error(own->call, on_error, socket);
    return rondo_http_call_send(own->call, rondo_slice_of(NULL, 0));
}

int rondo_websocket_connect_at(rondo_http_client *client, const char *url,
                               const rondo_websocket_options *options, rondo_websocket **ret_socket,
                               const char *site) {
    RONDO__CHECK(client, NULL);
    RONDO_ASSERT(url && ret_socket);
    if (rondo_is_closing(client)) return RONDO_ECLOSED;
    if (options && options->protocols && !rondo__ws_protocols_are_valid(options->protocols))
        return RONDO_EINVAL;
    rondo_websocket *socket = rondo__ws_new(rondo_handle_loop(client), options, 0, site);
    if (!socket) return RONDO_ENOMEM;
    socket->call = rondo__zalloc(sizeof *socket->call);
    int status = socket->call ? make_call(socket, client, url, options, site) : RONDO_ENOMEM;
    if (status < 0) {
        rondo__ws_stop_call(socket);
        rondo__ws_discard(socket);
        return status;
    }
    rondo__ws_arm(socket, socket->settings->limits.open_timeout_ms);
    *ret_socket = socket;
    return 0;
}
