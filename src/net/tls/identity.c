/* SPDX-License-Identifier: MIT
 *
 * Certificates with their keys, from PEM, and which of them a server shows: OpenSSL compares the
 * names, by the rules of RFC 6125, with the one that the client asks for.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

/* A key may be encrypted; nobody is there to be asked for the password. */
static int no_password(char *buffer, int size, int writing, void *arg) {
    (void)buffer, (void)size, (void)writing;
    *(bool *)arg = true;
    return -1;
}

static int read_certificates(rondo__tls_identity *identity, BIO *pem, const char *what,
                             rondo__tls_report *report) {
    X509 *next;
    identity->leaf = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    if (!identity->leaf) return rondo__tls_complain_ssl(report, RONDO_EINVAL, what);
    while ((next = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        if (!identity->chain) identity->chain = sk_X509_new_null();
        if (!identity->chain || sk_X509_push(identity->chain, next) <= 0) {
            X509_free(next);
            return rondo__tls_complain(report, RONDO_ENOMEM, "%s: out of memory", what);
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return rondo__tls_complain_ssl(report, RONDO_EINVAL, what);
    ERR_clear_error(); /* only the end */
    return 0;
}

static int read_key(rondo__tls_identity *identity, BIO *pem, const char *what,
                    rondo__tls_report *report) {
    bool locked = false;
    identity->key = PEM_read_bio_PrivateKey(pem, NULL, no_password, &locked);
    if (identity->key) return 0;
    if (locked) {
        ERR_clear_error();
        return rondo__tls_complain(report, RONDO_EINVAL, "%s: the key is encrypted", what);
    }
    return rondo__tls_complain_ssl(report, RONDO_EINVAL, what);
}

/* Whether OpenSSL will take it: the key fits, and both are strong enough. */
static int try_out(const rondo__tls_identity *identity, const char *what,
                   rondo__tls_report *report) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx && SSL_CTX_get_security_level(ctx) < 2) SSL_CTX_set_security_level(ctx, 2);
    bool works = ctx && SSL_CTX_use_cert_and_key(ctx, identity->leaf, identity->key,
                                                 identity->chain, 1) == 1;
    int status = works ? 0 : rondo__tls_complain_ssl(report, RONDO_EINVAL, what);
    SSL_CTX_free(ctx);
    return status;
}

static int read_both(rondo__tls_identity *identity, BIO *certificate, BIO *key,
                     const char *certificate_name, const char *key_name,
                     rondo__tls_report *report) {
    int status = read_certificates(identity, certificate, certificate_name, report);
    if (status == 0) status = read_key(identity, key, key_name, report);
    if (status == 0) status = try_out(identity, certificate_name, report);
    return status;
}

static BIO *open_file(const char *path, rondo__tls_report *report, int *ret_status) {
    BIO *file = BIO_new_file(path, "rb");
    if (!file) *ret_status = rondo__tls_complain_ssl(report, RONDO_EIO, path);
    return file;
}

int rondo__tls_identity_load(rondo__tls_identity *identity, const char *certificate_path,
                             const char *key_path, rondo__tls_report *report) {
    int status = 0;
    ERR_clear_error();
    *identity = (rondo__tls_identity){0};
    BIO *certificate = open_file(certificate_path, report, &status);
    BIO *key = certificate ? open_file(key_path, report, &status) : NULL;
    if (key) status = read_both(identity, certificate, key, certificate_path, key_path, report);
    BIO_free(certificate);
    BIO_free(key);
    if (status == 0) {
        identity->certificate_path = rondo__strdup(certificate_path);
        identity->key_path = rondo__strdup(key_path);
        if (!identity->certificate_path || !identity->key_path) status = RONDO_ENOMEM;
    }
    if (status < 0) rondo__tls_identity_drop(identity);
    return status;
}

static BIO *open_memory(rondo_slice pem) {
    return pem.len > 0 && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

int rondo__tls_identity_parse(rondo__tls_identity *identity, rondo_slice certificate_pem,
                              rondo_slice key_pem, rondo__tls_report *report) {
    ERR_clear_error();
    *identity = (rondo__tls_identity){0};
    BIO *certificate = open_memory(certificate_pem), *key = open_memory(key_pem);
    int status = certificate && key
                     ? read_both(identity, certificate, key, "certificate", "key", report)
                     : rondo__tls_complain(report, RONDO_EINVAL, "no certificate or no key");
    BIO_free(certificate);
    BIO_free(key);
    if (status < 0) rondo__tls_identity_drop(identity);
    return status;
}

void rondo__tls_identity_copy(rondo__tls_identity *to, const rondo__tls_identity *from) {
    *to = (rondo__tls_identity){.leaf = from->leaf, .key = from->key};
    X509_up_ref(to->leaf);
    EVP_PKEY_up_ref(to->key);
    if (from->chain) to->chain = X509_chain_up_ref(from->chain);
}

void rondo__tls_identity_drop(rondo__tls_identity *identity) {
    X509_free(identity->leaf);
    EVP_PKEY_free(identity->key);
    sk_X509_pop_free(identity->chain, X509_free);
    rondo__free(identity->certificate_path);
    rondo__free(identity->key_path);
    *identity = (rondo__tls_identity){0};
}

/* ---- by name ---- */

static bool is_for(const rondo__tls_identity *identity, const char *name, unsigned flags) {
    flags |= X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    return X509_check_host(identity->leaf, name, 0, flags, NULL) == 1;
}

/* Shows those for this name: there may be one of each kind of key. How many there are. */
static int use_all(SSL *ssl, const rondo__tls_state *state, const char *name, unsigned flags) {
    int used = 0;
    for (size_t i = 0; i < state->identity_count; i++) {
        const rondo__tls_identity *identity = &state->identities[i];
        if (!is_for(identity, name, flags)) continue;
        if (used == 0) SSL_certs_clear(ssl);
        /* override 0: of two with the same kind of key, the one that was added first */
        if (SSL_use_cert_and_key(ssl, identity->leaf, identity->key, identity->chain, 0) == 1)
            used++;
    }
    ERR_clear_error(); /* of those that were there already */
    return used;
}

/* Without a name, or one that nobody has, OpenSSL goes on with what the SSL_CTX has. */
static int choose(SSL *ssl, void *arg) {
    const rondo__tls_state *state = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name && use_all(ssl, state, name, X509_CHECK_FLAG_NO_WILDCARDS) == 0)
        use_all(ssl, state, name, 0);
    return 1;
}

void rondo__tls_choose_by_name(SSL_CTX *ctx, void *state) {
    SSL_CTX_set_cert_cb(ctx, choose, state);
}
