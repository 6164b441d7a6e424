/* SPDX-License-Identifier: MIT
 *
 * TLS 1.2 and 1.3 on streams, by OpenSSL. A context holds what connections have in common:
 * certificates, whom to trust, protocols. Give it to a server, to rondo_connect_with(), or to
 * rondo_tls_start(); what comes out is a rondo_stream like any other, only that `connect` (or a
 * server's `connection`) comes after the handshake, and its `error` may be one of
 *
 *   RONDO_ECERT      the peer's certificate was not accepted, or it sent none
 *   RONDO_ETLS       what the peer sent is not TLS, or the two have nothing in common
 *   RONDO_ETIMEDOUT  the handshake took too long
 *   RONDO_ECONNRESET the connection ended without close_notify: what was received may have been cut
 *                    off by somebody else, so this is never `end` (RFC 8446 section 6.1)
 *
 * rondo_tls_error_text() says it in words. rondo_end() sends close_notify behind the last byte, and
 * then FIN. rondo_close() sends it too if nothing is queued, without waiting; if something is, the
 * peer must not take it for all, and gets a bare FIN. There is no renegotiation, no compression and
 * no early data. Ciphers are OpenSSL's choice, at security level 2 or above.
 *
 * A client checks the server's certificate and its name unless told otherwise.
 *
 * Without OpenSSL every function answers RONDO_ENOSYS. Functions on contexts may be called from any
 * thread, and a context used by the loops of several. Functions on streams: loop thread only.
 */
#ifndef RONDO_TLS_H
#define RONDO_TLS_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- contexts ---- */

typedef enum rondo_tls_role { RONDO_TLS_SERVER, RONDO_TLS_CLIENT } rondo_tls_role;

/* 0, RONDO_ENOMEM or RONDO_ENOSYS. */
RONDO_API int rondo_tls_context_new(rondo_tls_role role, rondo_tls_context **ret_context);
/* The caller needs it no more; servers and streams that do keep it. NULL is allowed. */
RONDO_API void rondo_tls_context_free(rondo_tls_context *context);

/* Why the last call on the context failed, of whichever thread: "key.pem: no such file"; "" when it
 * didn't fail. The words stay until the calling thread asks again, about whichever context. */
RONDO_API const char *rondo_tls_context_error(rondo_tls_context *context);

/* What follows changes what connections get from then on; those there are keep what they have until
 * they close. All return 0; RONDO_ENOMEM; or, with words in rondo_tls_context_error(), RONDO_EINVAL
 * for what can't be, also what is no certificate or key or not of each other, and RONDO_ENOENT,
 * RONDO_EACCES ... for a file; and have changed nothing then. Files are read at once. */

/* A certificate, the intermediate ones behind it, and its private key, as PEM. A server needs one
 * and may have many, for many names (and an RSA and an EC one for the same): by the name that the
 * client asks for (SNI, RFC 6066), an exact one before a wildcard (RFC 6125 section 6.4.3); the
 * first one added is for everybody else. For a client it is what it shows when it is asked. */
RONDO_API int rondo_tls_add_certificate_file(rondo_tls_context *context,
                                             const char *certificate_path, const char *key_path);
RONDO_API int rondo_tls_add_certificate(rondo_tls_context *context, rondo_slice certificate_pem,
                                        rondo_slice key_pem);

/* Who may issue the peer's certificate: a PEM file, a directory made by `openssl rehash`, or PEM in
 * memory. Several add up. A client to which none was given trusts whom the system trusts. */
RONDO_API int rondo_tls_add_trust_file(rondo_tls_context *context, const char *path);
RONDO_API int rondo_tls_add_trust_directory(rondo_tls_context *context, const char *path);
RONDO_API int rondo_tls_add_trust(rondo_tls_context *context, rondo_slice pem);
RONDO_API int rondo_tls_add_trust_system(rondo_tls_context *context);

/* Reads all files again: all or nothing. When one of them is broken the old ones stay in use. A new
 * certificate takes effect without a restart, and sessions from before are not resumed (with a ticket
 * key: unless all is as it was). */
RONDO_API int rondo_tls_reload(rondo_tls_context *context);

typedef enum rondo_tls_verify {
    RONDO_TLS_VERIFY_NONE,     /* servers, unless set. A client is open to anybody in between */
    RONDO_TLS_VERIFY_OPTIONAL, /* servers: a client may have no certificate, but no bad one */
    RONDO_TLS_VERIFY_REQUIRED  /* clients, unless set; then the name is checked too */
} rondo_tls_verify;
RONDO_API int rondo_tls_set_verify(rondo_tls_context *context, rondo_tls_verify verify);

/* Application protocols, the best one first: "h2,http/1.1". A server with a list refuses a client
 * whose list has none of them (RFC 7301 section 3.2). NULL or "": none. */
RONDO_API int rondo_tls_set_alpn(rondo_tls_context *context, const char *protocols);

typedef enum rondo_tls_version { RONDO_TLS_1_2 = 12, RONDO_TLS_1_3 = 13 } rondo_tls_version;
RONDO_API int rondo_tls_set_versions(rondo_tls_context *context, rondo_tls_version least,
                                     rondo_tls_version most);

/* How long a handshake may take, 10,000 ms unless set; 0: as long as it likes. */
RONDO_API int rondo_tls_set_handshake_timeout(rondo_tls_context *context, uint32_t timeout_ms);

/* Resuming sessions, on unless set: a server gives out tickets, a client keeps one for each name it
 * connects to (256 at most), as long as the context is not changed. */
RONDO_API int rondo_tls_set_resumption(rondo_tls_context *context, bool on);
/* The server's secret for tickets, RONDO_TLS_TICKET_KEY_BYTES random bytes, for servers that stand
 * in for each other; it stays when the context is reloaded. Sessions are resumed only where the
 * certificates of the server, what it asks of clients, and whom it trusts then are the same; of a
 * trust directory and the system's only the name counts: set a new key when you take out what is in
 * there. Without it, a random one. */
#define RONDO_TLS_TICKET_KEY_BYTES 80
RONDO_API int rondo_tls_set_ticket_key(rondo_tls_context *context, rondo_slice key);

/* Lets the kernel encrypt what is sent, where it can (Linux with the module tls; then files are sent
 * without passing through the process). Off unless set. Where the kernel can't, nothing changes. */
RONDO_API int rondo_tls_set_kernel(rondo_tls_context *context, bool on);

/* ---- servers and streams ---- */

/* Connections that the server accepts from now on shake hands before `connection` is emitted; those
 * that fail are told as `drop`. NULL: no more. 0, RONDO_EINVAL (a client's context, or one without
 * a certificate), RONDO_ENOMEM, RONDO_ECLOSED. */
RONDO_API int rondo_server_set_tls(rondo_server *server, rondo_tls_context *context);

/* Turns an open stream into one with TLS, as the role of the context says; `connect` is emitted when
 * the handshake is done, and what is written in between waits. name: whom the server's certificate
 * must name, a host name or an IP address; NULL for servers, and for clients that verify nothing.
 * What came before the handshake was not protected, and nothing may follow it in the same `data`:
 * drop what you have not looked at (RFC 3207 section 4.2). 0, RONDO_EINVAL (name; no certificate),
 * RONDO_EBUSY (something is queued, or it has TLS already), RONDO_EPIPE (one side has ended),
 * RONDO_ENOTSUP (not a socket), RONDO_ENOTCONN (still connecting), RONDO_ENOMEM, RONDO_ECLOSED. */
RONDO_API int rondo_tls_start(rondo_stream *stream, rondo_tls_context *context, const char *name);

/* ---- questions about a stream ---- */

/* The texts are static or the stream's, and live as long as it does. */
typedef struct rondo_tls_info {
    const char *version;     /* "TLSv1.3" */
    const char *cipher;      /* "TLS_AES_256_GCM_SHA384" */
    const char *alpn;        /* the protocol agreed on, "" for none */
    const char *server_name; /* that the client asked for, "" for none */
    bool resumed;            /* an earlier session goes on: no certificates were exchanged */
    bool verified;           /* the peer has shown a certificate that was checked */
    bool kernel;             /* the kernel encrypts what is sent */
} rondo_tls_info;
/* 0, RONDO_ENOTSUP (no TLS), RONDO_ENOTCONN (still shaking hands), RONDO_ECLOSED. */
RONDO_API int rondo_tls_get_info(const rondo_stream *stream, rondo_tls_info *ret_info);

typedef enum rondo_tls_field {
    RONDO_TLS_SUBJECT, /* "CN=example.org,O=Example" (RFC 2253) */
    RONDO_TLS_ISSUER,
    RONDO_TLS_NAMES, /* "DNS:example.org,DNS:*.example.org,IP:192.0.2.1"; others are left out */
    RONDO_TLS_NOT_BEFORE,  /* "2026-01-31T12:00:00Z" */
    RONDO_TLS_NOT_AFTER,   /* the same */
    RONDO_TLS_FINGERPRINT, /* SHA-256 of the certificate in hexadecimal, 64 characters */
    RONDO_TLS_PEM          /* all of it */
} rondo_tls_field;
/* What the peer's certificate says, into text: its length, RONDO_ENODATA (the peer has none),
 * RONDO_ENOBUFS (text is untouched), RONDO_EINVAL, RONDO_ENOMEM, or as rondo_tls_get_info(). It is
 * the peer's word unless info.verified. */
RONDO_API int rondo_tls_peer_text(const rondo_stream *stream, rondo_tls_field field, char *text,
                                  size_t size);

/* What TLS said when the stream failed: "certificate has expired: CN=example.org". Valid until the
 * stream's `close`; "" when nothing went wrong. */
RONDO_API const char *rondo_tls_error_text(const rondo_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
