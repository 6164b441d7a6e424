/* SPDX-License-Identifier: MIT
 *
 * Whom to believe: stores of certificates, built from their sources, as a whole or not at all.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

static int read_all(BIO *pem, STACK_OF(X509) * into, const char *what, rondo__tls_report *report) {
    X509 *next;
    while ((next = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        if (sk_X509_push(into, next) <= 0) {
            X509_free(next);
            return rondo__tls_complain(report, RONDO_ENOMEM, "%s: out of memory", what);
        }
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (!at_end) return rondo__tls_complain_ssl(report, RONDO_EINVAL, what);
    ERR_clear_error();
    if (sk_X509_num(into) > 0) return 0;
    return rondo__tls_complain(report, RONDO_EINVAL, "%s: no certificate in it", what);
}

int rondo__tls_source_parse(rondo__tls_source *source, rondo_slice pem, rondo__tls_report *report) {
    ERR_clear_error();
    BIO *memory =
        pem.len > 0 && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    source->parsed = sk_X509_new_null();
    int status = memory && source->parsed
                     ? read_all(memory, source->parsed, "trust", report)
                     : rondo__tls_complain(report, RONDO_EINVAL, "trust: no certificate in it");
    BIO_free(memory);
    return status;
}

void rondo__tls_source_drop(rondo__tls_source *source) {
    sk_X509_pop_free(source->parsed, X509_free);
    rondo__free(source->path);
    *source = (rondo__tls_source){0};
}

/* ---- building ---- */

typedef struct building {
    rondo__tls_trust trust;
    EVP_MD_CTX *digest;
    rondo__tls_report *report;
} building;

static bool digest_certificate(const building *self, const X509 *certificate) {
    unsigned char part[EVP_MAX_MD_SIZE];
    unsigned len;
    return X509_digest(certificate, EVP_sha256(), part, &len) == 1 &&
           EVP_DigestUpdate(self->digest, part, len) == 1;
}

/* Into the store, and its names into the list that clients get. */
static int add_all(building *self, STACK_OF(X509) * from, const char *what) {
    for (int i = 0; i < sk_X509_num(from); i++) {
        X509 *certificate = sk_X509_value(from, i);
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
        if (!name || sk_X509_NAME_push(self->trust.names, name) <= 0) {
            X509_NAME_free(name);
            return rondo__tls_complain(self->report, RONDO_ENOMEM, "%s: out of memory", what);
        }
        if (X509_STORE_add_cert(self->trust.store, certificate) != 1 ||
            !digest_certificate(self, certificate))
            return rondo__tls_complain_ssl(self->report, RONDO_EINVAL, what);
    }
    return 0;
}

static int add_file(building *self, const char *path) {
    BIO *file = BIO_new_file(path, "rb");
    if (!file) return rondo__tls_complain_ssl(self->report, RONDO_EIO, path);
    STACK_OF(X509) *read = sk_X509_new_null();
    int status = read ? read_all(file, read, path, self->report) : RONDO_ENOMEM;
    if (status == 0) status = add_all(self, read, path);
    sk_X509_pop_free(read, X509_free);
    BIO_free(file);
    return status;
}

/* OpenSSL looks into it when it needs one, and would not mind if it weren't there. */
static int add_directory(building *self, const char *path) {
    struct stat about;
    if (stat(path, &about) < 0)
        return rondo__tls_complain(self->report, RONDO_ENOENT, "%s: no such directory", path);
    if (!S_ISDIR(about.st_mode))
        return rondo__tls_complain(self->report, RONDO_ENOTDIR, "%s: it is not a directory", path);
    if (X509_STORE_load_path(self->trust.store, path) == 1 &&
        EVP_DigestUpdate(self->digest, path, strlen(path) + 1) == 1)
        return 0;
    return rondo__tls_complain_ssl(self->report, RONDO_EINVAL, path);
}

static int add_source(building *self, const rondo__tls_source *source) {
    unsigned char kind = source->kind == RONDO__TLS_DIRECTORY || source->kind == RONDO__TLS_SYSTEM
                             ? (unsigned char)source->kind
                             : (unsigned char)RONDO__TLS_FILE;
    if (EVP_DigestUpdate(self->digest, &kind, 1) != 1) return RONDO_ENOMEM;
    switch (source->kind) {
    case RONDO__TLS_FILE: return add_file(self, source->path);
    case RONDO__TLS_DIRECTORY: return add_directory(self, source->path);
    case RONDO__TLS_MEMORY: return add_all(self, source->parsed, "trust");
    case RONDO__TLS_SYSTEM: break;
    }
    if (X509_STORE_set_default_paths(self->trust.store) == 1) return 0;
    return rondo__tls_complain_ssl(self->report, RONDO_EINVAL, "the system's certificates");
}

int rondo__tls_trust_build(const rondo__tls_source *sources, size_t count,
                           rondo__tls_trust *ret_trust, rondo__tls_report *report) {
    building self = {.trust = {.store = X509_STORE_new(), .names = sk_X509_NAME_new_null()},
                     .digest = EVP_MD_CTX_new(),
                     .report = report};
    ERR_clear_error();
    bool ready = self.trust.store && self.trust.names && self.digest &&
                 EVP_DigestInit_ex(self.digest, EVP_sha256(), NULL) == 1;
    int status = ready ? 0 : RONDO_ENOMEM;
    for (size_t i = 0; i < count && status == 0; i++) status = add_source(&self, &sources[i]);
    if (status == 0 && EVP_DigestFinal_ex(self.digest, self.trust.digest, NULL) != 1)
        status = RONDO_ENOMEM;
    EVP_MD_CTX_free(self.digest);
    if (status == 0) {
        *ret_trust = self.trust;
        return 0;
    }
    X509_STORE_free(self.trust.store);
    sk_X509_NAME_pop_free(self.trust.names, X509_NAME_free);
    return status;
}
