/* SPDX-License-Identifier: MIT
 *
 * For tests of TLS: certificates that are made on the spot, pairs of streams that shake hands, and
 * peers that are OpenSSL itself, in memory, so that a test can touch each byte on the way.
 */
#ifndef TEST_TLS_PEERS_H
#define TEST_TLS_PEERS_H

#include "streams.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls/internal.h"

#define DAY 86400L

/* ---- certificates ---- */

typedef struct credential {
    X509 *cert;
    EVP_PKEY *key;
    char pem[4096], key_pem[4096];
} credential;

typedef struct wish {
    const char *subject;      /* the CN */
    const char *names;        /* "DNS:a.test,IP:127.0.0.1", or NULL */
    const credential *issuer; /* NULL: itself */
    long from, to;            /* seconds from now; 0 and 0: valid */
    bool authority, rsa;
    int weak_bits; /* an RSA key of so many */
} wish;

STREAMS_HELPER void write_pem(const BIO *from, char *text, size_t size) {
    int len = BIO_read((BIO *)(uintptr_t)from, text, (int)size - 1);
    CHECK(len > 0 && len < (int)size - 1);
    text[len] = '\0';
}

STREAMS_HELPER void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    CHECK(extension != NULL);
    CHECK_INT(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

STREAMS_HELPER void make_credential(credential *self, wish want) {
    static long serial = 1;
    X509_NAME *name;
    self->key = want.weak_bits ? EVP_RSA_gen((unsigned)want.weak_bits)
                : want.rsa     ? EVP_RSA_gen(2048)
                               : EVP_EC_gen("P-256");
    self->cert = X509_new();
    CHECK(self->key && self->cert);
    X509 *issuer = want.issuer ? want.issuer->cert : self->cert;
    EVP_PKEY *key = want.issuer ? want.issuer->key : self->key;
    X509_set_version(self->cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(self->cert), serial++);
    if (want.to == 0) want.from = -DAY, want.to = DAY;
    X509_gmtime_adj(X509_getm_notBefore(self->cert), want.from);
    X509_gmtime_adj(X509_getm_notAfter(self->cert), want.to);
    X509_set_pubkey(self->cert, self->key);
    name = X509_get_subject_name(self->cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)want.subject, -1,
                               -1, 0);
    X509_set_issuer_name(self->cert, X509_get_subject_name(issuer));
    add_extension(self->cert, issuer, NID_basic_constraints,
                  want.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (want.authority) add_extension(self->cert, issuer, NID_key_usage, "critical,keyCertSign");
    if (want.names) add_extension(self->cert, issuer, NID_subject_alt_name, want.names);
    CHECK(X509_sign(self->cert, key, EVP_sha256()) > 0);
    BIO *text = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(text, self->cert);
    write_pem(text, self->pem, sizeof self->pem);
    PEM_write_bio_PrivateKey(text, self->key, NULL, NULL, 0, NULL, NULL);
    write_pem(text, self->key_pem, sizeof self->key_pem);
    BIO_free(text);
}

STREAMS_HELPER void free_credential(credential *self) {
    X509_free(self->cert);
    EVP_PKEY_free(self->key);
    *self = (credential){0};
}

/* An authority, and a server with three names. */
static credential root, site;
#define HOST "example.test"

STREAMS_HELPER void make_site(void) {
    make_credential(&root, (wish){.subject = "Test Root", .authority = true});
    make_credential(&site, (wish){.subject = "site",
                                  .names = "DNS:" HOST ",DNS:*.wild.test,IP:127.0.0.1",
                                  .issuer = &root});
}

STREAMS_HELPER void free_site(void) {
    free_credential(&root);
    free_credential(&site);
}

/* ---- contexts ---- */

STREAMS_HELPER void check_done(rondo_tls_context *context, int status) {
    if (status != 0) FAIL("%s: %s", rondo_error_name(status), rondo_tls_context_error(context));
}

STREAMS_HELPER void add_credential(rondo_tls_context *context, const credential *which) {
    check_done(context, rondo_tls_add_certificate(context, rondo_slice_text(which->pem),
                                                  rondo_slice_text(which->key_pem)));
}

STREAMS_HELPER rondo_tls_context *new_context(rondo_tls_role role) {
    rondo_tls_context *context = NULL;
    CHECK_INT(rondo_tls_context_new(role, &context), 0);
    CHECK(context != NULL);
    return context;
}

/* With the site's certificate. */
STREAMS_HELPER rondo_tls_context *new_server_context(void) {
    rondo_tls_context *context = new_context(RONDO_TLS_SERVER);
    add_credential(context, &site);
    return context;
}

/* That trusts the root. */
STREAMS_HELPER rondo_tls_context *new_client_context(void) {
    rondo_tls_context *context = new_context(RONDO_TLS_CLIENT);
    check_done(context, rondo_tls_add_trust(context, rondo_slice_text(root.pem)));
    return context;
}

/* ---- two streams of one loop ---- */

typedef struct couple {
    rondo_loop *loop;
    rondo_tls_context *serving, *asking;
    rondo_stream *server, *client;
    const char *name;
} couple;

TRACE_CALLBACK note_shaken(rondo_stream *stream, void *arg) { note("%s", (const char *)arg); }
TRACE_CALLBACK note_why(rondo_stream *stream, int error, void *arg) {
    note("%s:%s(%s)", (const char *)arg, rondo_error_name(error), rondo_tls_error_text(stream));
}

/* The loop, the site and the contexts, to be changed before couple_connect(). */
STREAMS_HELPER void couple_init(couple *self) {
    *self = (couple){.name = HOST};
    make_site();
    self->loop = new_virtual_loop();
    self->serving = new_server_context();
    self->asking = new_client_context();
}

/* A connection whose ends have begun to shake hands: "client" and "server" are noted when they have
 * done it, and errors with their words. */
STREAMS_HELPER void couple_connect(couple *self) {
    int fd = new_tcp_pair(self->loop, &self->server), on = 1;
    self->client = open_stream(self->loop, fd);
    CHECK_INT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_INT(setsockopt(self->server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_INT(rondo_stream_on_connect(self->server, note_shaken, (void *)(uintptr_t) "server"), 0);
    CHECK_INT(rondo_stream_on_connect(self->client, note_shaken, (void *)(uintptr_t) "client"), 0);
    CHECK_INT(rondo_stream_on_error(self->server, note_why, (void *)(uintptr_t) "server"), 0);
    CHECK_INT(rondo_stream_on_error(self->client, note_why, (void *)(uintptr_t) "client"), 0);
    check_done(self->serving, rondo_tls_start(self->server, self->serving, NULL));
    check_done(self->asking, rondo_tls_start(self->client, self->asking, self->name));
}

/* Both ends have what they need, and the tickets of TLS 1.3 have arrived. */
STREAMS_HELPER void couple_shake(couple *self) {
    couple_connect(self);
    run_turns(self->loop, 8);
    CHECK_TRACE("client server");
}

STREAMS_HELPER void couple_fini(couple *self) {
    end_loop(self->loop);
    rondo_tls_context_free(self->serving);
    rondo_tls_context_free(self->asking);
    free_site();
}

STREAMS_HELPER void start_couple(couple *self) {
    couple_init(self);
    couple_shake(self);
}

/* ---- one stream, and a peer that is only a descriptor ---- */

typedef struct visit {
    rondo_loop *loop;
    rondo_tls_context *serving;
    rondo_stream *server;
    int fd;
} visit;

STREAMS_HELPER void begin_visit(visit *self) {
    make_site();
    self->loop = new_virtual_loop();
    self->serving = new_server_context();
}

STREAMS_HELPER void await_hello(visit *self) {
    rondo_stream_on_connect(self->server, note_shaken, (void *)(uintptr_t) "server");
    rondo_stream_on_error(self->server, note_why, (void *)(uintptr_t) "server");
    CHECK_INT(rondo_tls_start(self->server, self->serving, NULL), 0);
    run_turns(self->loop, 2);
}

STREAMS_HELPER void start_visit(visit *self) {
    int on = 1;
    begin_visit(self);
    self->fd = new_tcp_pair(self->loop, &self->server);
    CHECK_INT(setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_INT(setsockopt(self->server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    await_hello(self);
}

/* Over Unix sockets: what is sent is there at once, in the pieces in which it was sent, and what the
 * server can send unread is bounded exactly. TCP with small buffers is at the mercy of its timers. */
STREAMS_HELPER void start_exact_visit(visit *self) {
    int small = 4096;
    begin_visit(self);
    self->fd = new_pair(self->loop, &self->server);
    CHECK_INT(setsockopt(self->server->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    await_hello(self);
}

STREAMS_HELPER void end_visit(visit *self) {
    if (self->fd >= 0) close(self->fd);
    end_loop(self->loop);
    rondo_tls_context_free(self->serving);
    free_site();
}

/* ---- with a peer that is OpenSSL itself ---- */

typedef struct tls_peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* to it, from it */
} tls_peer;

STREAMS_HELPER void peer_init(tls_peer *self, int version) {
    self->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(self->ctx, 0);
    SSL_CTX_set_min_proto_version(self->ctx, version);
    SSL_CTX_set_max_proto_version(self->ctx, version);
    self->ssl = SSL_new(self->ctx);
    self->in = BIO_new(BIO_s_mem());
    self->out = BIO_new(BIO_s_mem());
    SSL_set_bio(self->ssl, self->in, self->out);
    SSL_set_connect_state(self->ssl);
}

STREAMS_HELPER void peer_fini(tls_peer *self) {
    SSL_free(self->ssl);
    SSL_CTX_free(self->ctx);
}

/* Moves bytes between it and the socket, `most` at a time, with a turn of the loop for each. */
STREAMS_HELPER void carry(tls_peer *self, visit *it, int most, int rounds) {
    char bytes[65536];
    for (int i = 0, idle = 0; i < rounds; i++) {
        int len = BIO_read(self->out, bytes, most);
        if (len > 0) harness_send_all(it->fd, bytes, (size_t)len);
        run_turns(it->loop, 1);
        ssize_t count = recv(it->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count > 0) BIO_write(self->in, bytes, (int)count);
        if (!SSL_is_init_finished(self->ssl)) SSL_do_handshake(self->ssl);
        idle = len <= 0 && count <= 0 ? idle + 1 : 0;
        if (idle == 6) return;
    }
    FAIL("it does not come to an end");
}

STREAMS_HELPER void shake(visit *it, tls_peer *client, int version) {
    peer_init(client, version);
    SSL_do_handshake(client->ssl);
    carry(client, it, 65536, 100);
    CHECK_TRACE("server");
}

STREAMS_HELPER void shake_with_peer(visit *it, tls_peer *client, int version) {
    start_visit(it);
    shake(it, client, version);
}

HARNESS_WARM_UP(shake_hands_once) {
    couple it;
    start_couple(&it);
    rondo_write(it.client, rondo_slice_text("x"));
    run_turns(it.loop, 3);
    couple_fini(&it);
    trace_size = 0;
    trace[0] = '\0';
}

#endif
