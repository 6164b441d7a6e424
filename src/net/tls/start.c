/* SPDX-License-Identifier: MIT
 *
 * Where streams get TLS: rondo_tls_start(), rondo_connect_with() and servers.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "loop/memory.h"
#include "net/serving.h"
#include "net/tls/internal.h"

#define NAME_BYTES_MOST 253 /* RFC 1035 section 2.3.4, without the last dot */

/* A copy, without the dot at the end that only resolvers mind; NULL in *ret_name for none. */
static int copy_name(const char *name, char **ret_name) {
    size_t len = name ? strlen(name) : 0;
    *ret_name = NULL;
    if (!name) return 0;
    if (len > 1 && name[len - 1] == '.') len--;
    /* OpenSSL takes ".x" for every name below x, and "" for any name at all. */
    if (len == 0 || len > NAME_BYTES_MOST || name[0] == '.') return RONDO_EINVAL;
    *ret_name = rondo__alloc(len + 1);
    if (!*ret_name) return RONDO_ENOMEM;
    memcpy(*ret_name, name, len);
    (*ret_name)[len] = '\0';
    return 0;
}

/* The certificate must name the address, or the host, among its alternative names: a subject is no
 * name (RFC 9525 section 6.3). */
static bool expect_name(rondo__tls *tls) {
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    if (!tls->name) return true;
    if (X509_VERIFY_PARAM_set1_ip_asc(param, tls->name) == 1) return true;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set_tlsext_host_name(tls->ssl, tls->name) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, tls->name, 0) == 1;
}

static bool set_up(rondo__tls *tls) {
    tls->ssl = SSL_new(tls->state->ctx);
    if (!tls->ssl || !rondo__tls_link(tls)) return false;
    SSL_set_app_data(tls->ssl, tls);
    if (tls->state->role == RONDO_TLS_SERVER) {
        SSL_set_accept_state(tls->ssl);
        return true;
    }
    SSL_set_connect_state(tls->ssl);
    if (!expect_name(tls)) return false;
    rondo__tls_session_offer(tls);
    return true;
}

/* Takes over the state, and the name when it works. */
static int make(rondo_stream *stream, rondo__tls_state *state, char *name, rondo__tls **ret_tls) {
    rondo__tls_part *part = rondo__tls_part_make(stream->base.loop);
    rondo__tls *tls = part ? rondo__zalloc(sizeof *tls) : NULL;
    if (!tls) {
        rondo__tls_state_unref(state);
        return RONDO_ENOMEM;
    }
    tls->stream = stream;
    tls->state = state;
    tls->name = name;
    rondo__tls_handshake_init(tls);
    ERR_clear_error();
    if (!set_up(tls)) {
        ERR_clear_error();
        tls->name = NULL;
        rondo__tls_free(tls);
        return RONDO_ENOMEM;
    }
    *ret_tls = tls;
    return 0;
}

static int prepare(rondo_stream *stream, rondo_tls_context *context, const char *name,
                   rondo__tls **ret_tls) {
    rondo__tls_state *state;
    rondo_tls_role role;
    char *copy = NULL;
    int status = rondo__stream_need_extra(stream);
    if (status == 0) status = rondo__tls_context_check(context, &role);
    if (status == 0) status = rondo__tls_context_state(context, &state);
    if (status < 0) return status;
    if (role == RONDO_TLS_CLIENT) status = copy_name(name, &copy);
    /* Without a name anybody with a certificate could be at the other end. */
    if (status == 0 && role == RONDO_TLS_CLIENT && state->verifies && !copy) status = RONDO_EINVAL;
    if (status < 0) {
        rondo__tls_state_unref(state);
        return status;
    }
    status = make(stream, state, copy, ret_tls);
    if (status < 0) rondo__free(copy);
    return status;
}

static void attach(rondo_stream *stream, rondo__tls *tls) {
    int status = rondo__stream_set_transport(stream, &rondo__tls_transport, tls);
    RONDO_ASSERT(status == 0); /* its memory is there */
}

/* ---- a stream that is open ---- */

static int may_start(rondo_stream *stream) {
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    if (stream->flags & RONDO__OPENING) return RONDO_ENOTCONN;
    if (rondo__tls_is(stream)) return RONDO_EBUSY;
    if (rondo__transport_of(stream) || !(stream->flags & RONDO__SOCKET)) return RONDO_ENOTSUP;
    if (stream->flags & (RONDO__EOF | RONDO__ENDED)) return RONDO_EPIPE;
    /* "Go ahead" was written in this callback, perhaps: it leaves first, and unprotected. */
    if (stream->out && stream->out->first) rondo__stream_send(stream, NULL);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    return stream->out && stream->out->first ? RONDO_EBUSY : 0;
}

int rondo_tls_start(rondo_stream *stream, rondo_tls_context *context, const char *name) {
    rondo__tls *tls;
    RONDO__CHECK_STREAM(stream);
    if (!context) return RONDO_EINVAL;
    int status = may_start(stream);
    if (status == 0) status = prepare(stream, context, name, &tls);
    if (status < 0) return status;
    uint32_t before = stream->flags;
    status = rondo__stream_start_handshake(stream);
    if (status < 0) {
        stream->flags = before;
        rondo__tls_free(tls);
        return status;
    }
    attach(stream, tls);
    rondo__tls_handshake_begin(tls);
    return 0;
}

/* ---- one that is about to be ---- */

int rondo__tls_start_client(rondo_stream *stream, rondo_tls_context *context, const char *name) {
    rondo__tls *tls;
    rondo_tls_role role;
    int status = rondo__tls_context_check(context, &role);
    if (status == 0 && role != RONDO_TLS_CLIENT) status = RONDO_EINVAL;
    if (status == 0) status = prepare(stream, context, name, &tls);
    if (status == 0) attach(stream, tls);
    return status;
}

/* ---- a server's connections ---- */

static int secure(rondo_stream *stream, void *context) {
    rondo__tls *tls;
    int status = prepare(stream, context, NULL, &tls);
    if (status < 0) return status;
    attach(stream, tls);
    rondo__tls_handshake_begin(tls);
    return 0;
}

/* Behind a header of the PROXY protocol that never ended there is none yet. */
static bool met_plain_http(rondo_stream *stream) {
    return rondo__tls_is(stream) && rondo__tls_of(stream)->flags & RONDO__TLS_PLAIN_HTTP;
}

static void drop_context(void *context) { rondo_tls_context_free(context); }

static const rondo__server_security security = {
    .start = secure, .met_plain_http = met_plain_http, .drop_context = drop_context};

int rondo_server_set_tls(rondo_server *server, rondo_tls_context *context) {
    rondo_tls_role role = RONDO_TLS_SERVER;
    RONDO__CHECK(server, &rondo__server_kind);
    if (rondo_is_closing(server)) return RONDO_ECLOSED;
    int status = context ? rondo__tls_context_check(context, &role) : 0;
    if (status == 0 && role != RONDO_TLS_SERVER) status = RONDO_EINVAL;
    if (status < 0) return status;
    if (context) rondo__tls_context_ref(context);
    rondo__server_secure(server, context ? &security : NULL, context);
    return 0;
}
