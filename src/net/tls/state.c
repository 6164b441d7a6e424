/* SPDX-License-Identifier: MIT
 *
 * What connections take from a context: an SSL_CTX made of its settings, and never changed. A
 * context that is changed makes a new one; connections keep theirs until they close.
 */
#include <openssl/err.h>
#include <string.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

/* What a peer may send as its chain of certificates. */
#define CHAIN_BYTES_MOST (100 * 1024)

static void set_options(SSL_CTX *ctx, const rondo__tls_settings *settings) {
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;
    if (settings->kernel) options |= SSL_OP_ENABLE_KTLS;
    SSL_CTX_set_options(ctx, options);
    /* An idle connection keeps no buffers. The write queue may move between two writes. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    if (SSL_CTX_get_security_level(ctx) < 2) SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES_MOST);
}

static int verify_mode(const rondo__tls_settings *settings) {
    switch (settings->verify) {
    case RONDO_TLS_VERIFY_REQUIRED: return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case RONDO_TLS_VERIFY_OPTIONAL: return SSL_VERIFY_PEER;
    case RONDO_TLS_VERIFY_NONE: break;
    }
    return SSL_VERIFY_NONE;
}

static bool set_trust(SSL_CTX *ctx, const rondo__tls_settings *settings) {
    if (settings->verify == RONDO_TLS_VERIFY_NONE) return true;
    SSL_CTX_set_verify(ctx, verify_mode(settings), rondo__tls_note_verify);
    if (settings->trust.store) SSL_CTX_set1_cert_store(ctx, settings->trust.store);
    if (settings->role == RONDO_TLS_CLIENT || !settings->trust.names) return true;
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(settings->trust.names);
    if (!names) return false;
    SSL_CTX_set_client_CA_list(ctx, names); /* takes it over */
    return true;
}

/* RFC 7301: the server's order decides, and to have nothing in common is fatal. */
static int select_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                       const unsigned char *offered, unsigned offered_len, void *arg) {
    const rondo__tls_state *state = arg;
    unsigned char *name;
    (void)ssl;
    if (SSL_select_next_proto(&name, ret_len, state->alpn, state->alpn_len, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_alpn(rondo__tls_state *state, const rondo__tls_settings *settings) {
    if (settings->alpn_len == 0) return true;
    state->alpn = rondo__alloc(settings->alpn_len);
    if (!state->alpn) return false;
    memcpy(state->alpn, settings->alpn, settings->alpn_len);
    state->alpn_len = settings->alpn_len;
    if (state->role == RONDO_TLS_CLIENT)
        return SSL_CTX_set_alpn_protos(state->ctx, state->alpn, state->alpn_len) == 0;
    SSL_CTX_set_alpn_select_cb(state->ctx, select_alpn, state);
    return true;
}

static bool set_identities(rondo__tls_state *state, const rondo__tls_settings *settings) {
    const rondo__tls_identity *first = settings->identities;
    size_t count = settings->identity_count;
    if (count == 0) return true;
    if (SSL_CTX_use_cert_and_key(state->ctx, first->leaf, first->key, first->chain, 1) != 1)
        return false;
    if (count == 1 || state->role == RONDO_TLS_CLIENT) return true;
    state->identities = rondo__zalloc(count * sizeof *state->identities);
    if (!state->identities) return false;
    for (size_t i = 0; i < count; i++)
        rondo__tls_identity_copy(&state->identities[i], &settings->identities[i]);
    state->identity_count = count;
    rondo__tls_choose_by_name(state->ctx, state);
    return true;
}

/* What a ticket stands for: that the client was asked for so much, and saw these certificates. */
static bool digest_vouched(const rondo__tls_settings *settings, unsigned char *digest) {
    unsigned char verify = (unsigned char)settings->verify, part[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *all = EVP_MD_CTX_new();
    bool done = all && EVP_DigestInit_ex(all, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(all, &verify, 1) == 1;
    if (done && settings->verify != RONDO_TLS_VERIFY_NONE)
        done = EVP_DigestUpdate(all, settings->trust.digest, RONDO__TLS_DIGEST_BYTES) == 1;
    for (size_t i = 0; done && i < settings->identity_count; i++) {
        unsigned len;
        done = X509_digest(settings->identities[i].leaf, EVP_sha256(), part, &len) == 1 &&
               EVP_DigestUpdate(all, part, len) == 1;
    }
    done = done && EVP_DigestFinal_ex(all, digest, NULL) == 1;
    EVP_MD_CTX_free(all);
    return done;
}

static bool fill(rondo__tls_state *state, const rondo__tls_settings *settings) {
    const SSL_METHOD *method =
        settings->role == RONDO_TLS_SERVER ? TLS_server_method() : TLS_client_method();
    state->ctx = SSL_CTX_new(method);
    if (!state->ctx) return false;
    set_options(state->ctx, settings);
    SSL_CTX_set_msg_callback(state->ctx, rondo__tls_note_message);
    unsigned char vouched[RONDO__TLS_DIGEST_BYTES];
    if (!digest_vouched(settings, vouched)) return false;
    return SSL_CTX_set_min_proto_version(state->ctx, settings->least) == 1 &&
           SSL_CTX_set_max_proto_version(state->ctx, settings->most) == 1 &&
           set_trust(state->ctx, settings) && set_alpn(state, settings) &&
           set_identities(state, settings) &&
           rondo__tls_sessions_setup(state->ctx, settings->role, settings->resumes,
                                     settings->has_ticket_key ? settings->ticket_key : NULL,
                                     vouched);
}

int rondo__tls_state_new(const rondo__tls_settings *settings, rondo__tls_state **ret_state,
                         rondo__tls_report *report) {
    rondo__tls_state *state = rondo__zalloc(sizeof *state);
    if (!state) return RONDO_ENOMEM;
    ERR_clear_error();
    atomic_init(&state->refs, 1);
    rondo__tls_sessions_init(&state->sessions);
    state->role = settings->role;
    state->verifies = settings->verify != RONDO_TLS_VERIFY_NONE;
    state->resumes = settings->resumes;
    state->timeout_ms = settings->timeout_ms;
    if (!fill(state, settings)) {
        int status = rondo__tls_complain_ssl(report, RONDO_ENOMEM, "the context");
        rondo__tls_state_unref(state);
        return status;
    }
    *ret_state = state;
    return 0;
}

void rondo__tls_state_ref(rondo__tls_state *state) { atomic_fetch_add(&state->refs, 1); }

void rondo__tls_state_unref(rondo__tls_state *state) {
    if (!state || atomic_fetch_sub(&state->refs, 1) > 1) return;
    SSL_CTX_free(state->ctx);
    for (size_t i = 0; i < state->identity_count; i++)
        rondo__tls_identity_drop(&state->identities[i]);
    rondo__free(state->identities);
    rondo__free(state->alpn);
    rondo__tls_sessions_fini(&state->sessions);
    rondo__free(state);
}
