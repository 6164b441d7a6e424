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

/* Into the store, and its names into the list that clients get. */
static int add_all(STACK_OF(X509) * from, X509_STORE *store, STACK_OF(X509_NAME) * names,
                   const char *what, rondo__tls_report *report) {
    for (int i = 0; i < sk_X509_num(from); i++) {
        X509 *certificate = sk_X509_value(from, i);
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
        if (!name || sk_X509_NAME_push(names, name) <= 0) {
            X509_NAME_free(name);
            return rondo__tls_complain(report, RONDO_ENOMEM, "%s: out of memory", what);
        }
        if (X509_STORE_add_cert(store, certificate) != 1)
            return rondo__tls_complain_ssl(report, RONDO_EINVAL, what);
    }
    return 0;
}

static int add_file(const char *path, X509_STORE *store, STACK_OF(X509_NAME) * names,
                    rondo__tls_report *report) {
    BIO *file = BIO_new_file(path, "rb");
    if (!file) return rondo__tls_complain_ssl(report, RONDO_EIO, path);
    STACK_OF(X509) *read = sk_X509_new_null();
    int status = read ? read_all(file, read, path, report) : RONDO_ENOMEM;
    if (status == 0) status = add_all(read, store, names, path, report);
    sk_X509_pop_free(read, X509_free);
    BIO_free(file);
    return status;
}

/* OpenSSL looks into it when it needs one, and would not mind if it weren't there. */
static int add_directory(const char *path, X509_STORE *store, rondo__tls_report *report) {
    struct stat about;
    if (stat(path, &about) < 0)
        return rondo__tls_complain(report, RONDO_ENOENT, "%s: no such directory", path);
    if (!S_ISDIR(about.st_mode))
        return rondo__tls_complain(report, RONDO_ENOTDIR, "%s: it is not a directory", path);
    if (X509_STORE_load_path(store, path) == 1) return 0;
    return rondo__tls_complain_ssl(report, RONDO_EINVAL, path);
}

static int add_source(const rondo__tls_source *source, X509_STORE *store,
                      STACK_OF(X509_NAME) * names, rondo__tls_report *report) {
    switch (source->kind) {
    case RONDO__TLS_FILE: return add_file(source->path, store, names, report);
    case RONDO__TLS_DIRECTORY: return add_directory(source->path, store, report);
    case RONDO__TLS_MEMORY: return add_all(source->parsed, store, names, "trust", report);
    case RONDO__TLS_SYSTEM: break;
    }
    if (X509_STORE_set_default_paths(store) == 1) return 0;
    return rondo__tls_complain_ssl(report, RONDO_EINVAL, "the system's certificates");
}

int rondo__tls_trust_build(const rondo__tls_source *sources, size_t count, X509_STORE **ret_store,
                           STACK_OF(X509_NAME) * *ret_names, rondo__tls_report *report) {
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    int status = store && names ? 0 : RONDO_ENOMEM;
    ERR_clear_error();
    for (size_t i = 0; i < count && status == 0; i++)
        status = add_source(&sources[i], store, names, report);
    if (status == 0) {
        *ret_store = store;
        *ret_names = names;
        return 0;
    }
    X509_STORE_free(store);
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return status;
}
