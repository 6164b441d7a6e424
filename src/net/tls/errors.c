/* SPDX-License-Identifier: MIT
 *
 * OpenSSL's errors as codes and words. Its queue has the reason first and the consequences behind
 * it: of those that TLS itself reports the oldest is the one to tell, else the oldest of all.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

/* Names in certificates are the peer's to choose; a few lines of them are enough. */
#define WORDS_MOST 400
/* Messages after the handshake without a byte of data. */
#define USELESS_MOST 32

/* ---- on contexts ---- */

int rondo__tls_complain(rondo__tls_report *report, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(report->text, sizeof report->text, format, args);
    va_end(args);
    return code;
}

int rondo__tls_complain_ssl(rondo__tls_report *report, int code, const char *what) {
    unsigned long first = ERR_get_error();
    const char *reason = first ? ERR_reason_error_string(first) : NULL;
    char of_system[128];
    if (ERR_SYSTEM_ERROR(first)) {
        code = rondo_error_from_errno(ERR_GET_REASON(first));
        reason = rondo_error_text(code);
    } else if (first && ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE) {
        code = RONDO_ENOMEM;
    }
    if (!reason) {
        snprintf(of_system, sizeof of_system, "OpenSSL error %lx", first);
        reason = of_system;
    }
    ERR_clear_error();
    return rondo__tls_complain(report, code, "%s: %s", what, reason);
}

/* ---- on streams ---- */

void rondo__tls_say(rondo__tls *tls, const char *format, ...) {
    char words[WORDS_MOST];
    va_list args;
    if (tls->error_text) return; /* what came first is the reason */
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    tls->error_text = rondo__strdup(words); /* without memory: without words */
}

static void say_certificate(rondo__tls *tls, X509_STORE_CTX *chain) {
    X509 *certificate = X509_STORE_CTX_get_current_cert(chain);
    int error = X509_STORE_CTX_get_error(chain);
    const char *reason = X509_verify_cert_error_string(error);
    bool is_name = error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;
    char subject[256] = "";
    BIO *text = certificate ? BIO_new(BIO_s_mem()) : NULL;
    if (text) {
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
        int len = BIO_read(text, subject, sizeof subject - 1);
        subject[len > 0 ? len : 0] = '\0';
        BIO_free(text);
    }
    if (is_name && tls->name)
        rondo__tls_say(tls, "%s: %s is not %s", reason, subject, tls->name);
    else
        rondo__tls_say(tls, "%s: %s", reason, subject);
}

int rondo__tls_note_verify(int ok, X509_STORE_CTX *chain) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!ok && ssl) say_certificate(SSL_get_app_data(ssl), chain);
    return ok; /* OpenSSL's verdict, always */
}

/* The reason of a failure of the protocol. */
static int tell_protocol(rondo__tls *tls, unsigned long error) {
    int reason = ERR_GET_REASON(error);
    const char *words = ERR_reason_error_string(error);
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
        rondo__tls_say(tls, "%s", words ? words : "unknown reason");
        return reason == ERR_R_MALLOC_FAILURE ? RONDO_ENOMEM : RONDO_ETLS;
    }
    if (reason == SSL_R_WRONG_VERSION_NUMBER && tls->state->role == RONDO_TLS_SERVER &&
        tls->flags & RONDO__TLS_METHOD)
        reason = SSL_R_HTTP_REQUEST;
    switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        rondo__tls_say(tls, tls->flags & RONDO__TLS_OPEN
                                ? "the connection ended without close_notify"
                                : "the connection ended in the handshake");
        return RONDO_ECONNRESET;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        rondo__tls_say(tls, "%s", words); /* unless the callback knew more */
        return RONDO_ECERT;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        rondo__tls_say(tls, "the peer has no certificate");
        return RONDO_ECERT;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        tls->flags |= RONDO__TLS_PLAIN_HTTP;
        rondo__tls_say(tls, "the peer speaks HTTP without TLS");
        return RONDO_ETLS;
    case ERR_R_MALLOC_FAILURE: return RONDO_ENOMEM;
    default: break;
    }
    if (reason >= SSL_AD_REASON_OFFSET)
        rondo__tls_say(tls, "the peer refused: %s",
                       SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
    else
        rondo__tls_say(tls, "%s", words ? words : "unknown reason");
    return RONDO_ETLS;
}

static unsigned long find_reason(void) {
    unsigned long first = ERR_peek_error(), next;
    while ((next = ERR_get_error()))
        if (ERR_GET_LIB(next) == ERR_LIB_SSL) return next;
    return first;
}

static int tell(rondo__tls *tls, int kind) {
    unsigned long error = find_reason();
    if (tls->error < 0) {
        rondo__tls_say(tls, "%s", rondo_error_text(tls->error));
        return tls->error;
    }
    if (kind == SSL_ERROR_SSL && error) return tell_protocol(tls, error);
    rondo__tls_say(tls, "the connection ended");
    return RONDO_ECONNRESET;
}

bool rondo__tls_amid_message(const rondo__tls *tls) {
    uint32_t state = tls->flags & (RONDO__TLS_OPEN | RONDO__TLS_FAILED);
    return state == RONDO__TLS_OPEN && SSL_in_init(tls->ssl);
}

/* Key updates and tickets cost arithmetic, and OpenSSL takes any number of them in one call. For it
 * the connection is at its end when there were too many: that makes it return. */
void rondo__tls_note_message(int ours, int version, int type, const void *data, size_t len,
                             SSL *ssl, void *arg) {
    rondo__tls *tls = SSL_get_app_data(ssl);
    (void)version, (void)data, (void)len, (void)arg;
    if (ours || type != SSL3_RT_HANDSHAKE || !(tls->flags & RONDO__TLS_OPEN)) return;
    if (++tls->useless > USELESS_MOST)
        SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

int rondo__tls_failure(rondo__tls *tls, int result) {
    if (tls->useless > USELESS_MOST) {
        tls->flags |= RONDO__TLS_FAILED;
        rondo__tls_say(tls, "too many key updates or tickets, and no data");
        return RONDO_ETLS;
    }
    int kind = SSL_get_error(tls->ssl, result);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return RONDO_EAGAIN;
    bool bye = kind == SSL_ERROR_ZERO_RETURN;
    if (bye && !rondo__tls_amid_message(tls)) return 0;
    tls->flags |= RONDO__TLS_FAILED;
    if (!bye) return tell(tls, kind);
    rondo__tls_say(tls, "close_notify in the middle of a message"); /* RFC 8446 section 5.1 */
    return RONDO_ETLS;
}

const char *rondo_tls_error_text(const rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    const rondo__tls *tls = rondo__tls_is(stream) ? rondo__tls_of(stream) : NULL;
    return tls && tls->error_text ? tls->error_text : "";
}
