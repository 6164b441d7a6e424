/* SPDX-License-Identifier: MIT
 *
 * Questions about a stream's TLS and its peer's certificate.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/tls/internal.h"

static int may_ask(const rondo_stream *stream) {
    if (rondo__handle_closing(&stream->base)) return RONDO_ECLOSED;
    if (!rondo__tls_is(stream)) return RONDO_ENOTSUP;
    return rondo__tls_of(stream)->flags & RONDO__TLS_OPEN ? 0 : RONDO_ENOTCONN;
}

int rondo_tls_get_info(const rondo_stream *stream, rondo_tls_info *ret_info) {
    RONDO__CHECK_STREAM(stream);
    int status = may_ask(stream);
    if (status < 0) return status;
    const rondo__tls *tls = rondo__tls_of(stream);
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    bool has_peer = SSL_get0_peer_certificate(tls->ssl) != NULL;
    *ret_info = (rondo_tls_info){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .alpn = tls->alpn ? tls->alpn : "",
        .server_name = name ? name : "",
        .resumed = SSL_session_reused(tls->ssl) == 1,
        .verified =
            has_peer && tls->state->verifies && SSL_get_verify_result(tls->ssl) == X509_V_OK,
        .kernel = rondo__tls_in_kernel(tls),
    };
    return 0;
}

/* ---- the peer's certificate ---- */

/* A peer could write "a.org,DNS:b.org" into one name, and pass for two. */
static bool is_plain(const unsigned char *name, int len) {
    for (int i = 0; i < len; i++) {
        unsigned char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !(c && strchr("-_.*", c))) return false;
    }
    return len > 0;
}

static void print_name(BIO *text, const GENERAL_NAME *name) {
    char address[INET6_ADDRSTRLEN] = "";
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type != GEN_DNS && type != GEN_IPADD) return;
    const unsigned char *data = ASN1_STRING_get0_data(value);
    int len = ASN1_STRING_length(value);
    const char *comma = BIO_pending(text) > 0 ? "," : "";
    if (type == GEN_DNS) {
        if (is_plain(data, len)) BIO_printf(text, "%sDNS:%.*s", comma, len, (const char *)data);
    } else if (len == 4 || len == 16) {
        inet_ntop(len == 4 ? AF_INET : AF_INET6, data, address, sizeof address);
        BIO_printf(text, "%sIP:%s", comma, address);
    }
}

static void print_names(BIO *text, X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        print_name(text, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
}

static void print_time(BIO *text, const ASN1_TIME *when) {
    struct tm parts;
    if (ASN1_TIME_to_tm(when, &parts) != 1) return;
    BIO_printf(text, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1,
               parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

static void print_fingerprint(BIO *text, const X509 *certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1) return;
    for (unsigned i = 0; i < len; i++) BIO_printf(text, "%02x", digest[i]);
}

static int print_field(BIO *text, X509 *certificate, rondo_tls_field field) {
    switch (field) {
    case RONDO_TLS_SUBJECT:
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
        return 0;
    case RONDO_TLS_ISSUER:
        X509_NAME_print_ex(text, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
        return 0;
    case RONDO_TLS_NAMES: print_names(text, certificate); return 0;
    case RONDO_TLS_NOT_BEFORE: print_time(text, X509_get0_notBefore(certificate)); return 0;
    case RONDO_TLS_NOT_AFTER: print_time(text, X509_get0_notAfter(certificate)); return 0;
    case RONDO_TLS_FINGERPRINT: print_fingerprint(text, certificate); return 0;
    case RONDO_TLS_PEM: return PEM_write_bio_X509(text, certificate) == 1 ? 0 : RONDO_ENOMEM;
    }
    return RONDO_EINVAL;
}

static int copy_out(BIO *from, char *text, size_t size) {
    char *data;
    long len = BIO_get_mem_data(from, &data);
    if ((size_t)len >= size) return RONDO_ENOBUFS;
    if (len > 0) memcpy(text, data, (size_t)len);
    text[len] = '\0';
    return (int)len;
}

int rondo_tls_peer_text(const rondo_stream *stream, rondo_tls_field field, char *text,
                        size_t size) {
    RONDO__CHECK_STREAM(stream);
    int status = may_ask(stream);
    if (status < 0) return status;
    X509 *certificate = SSL_get0_peer_certificate(rondo__tls_of(stream)->ssl);
    if (!certificate) return RONDO_ENODATA;
    BIO *memory = BIO_new(BIO_s_mem());
    if (!memory) return RONDO_ENOMEM;
    status = print_field(memory, certificate, field);
    if (status == 0) status = copy_out(memory, text, size);
    BIO_free(memory);
    ERR_clear_error();
    return status;
}
