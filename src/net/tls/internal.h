/* SPDX-License-Identifier: MIT
 *
 * What the parts of TLS share:
 *
 *   context.c   settings of many connections      transport.c  bytes of an open stream
 *   state.c     what a connection starts with     handshake.c  how it gets there, in turn
 *   identity.c  certificates with their keys      link.c       OpenSSL's bytes to the socket
 *   trust.c     whom to believe                   start.c      server and client begin
 *   sessions.c  resuming                          errors.c     what went wrong, in words
 *   info.c      questions                         none.c       all of it, without OpenSSL
 *
 * OpenSSL keeps a queue of errors for each thread. Every call that can fail for a stream stands
 * between rondo__tls_enter() and rondo__tls_leave(), which empty it: nothing of one stream is ever
 * told of another.
 */
#ifndef RONDO__TLS_INTERNAL_H
#define RONDO__TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "loop/alarm.h"
#include "net/duplex.h"
#include "net/tls/tls.h"

/* What went wrong in a call on a context. */
typedef struct rondo__tls_report {
    char text[256];
} rondo__tls_report;

/* ---- identity.c ---- */

/* A certificate, what proves it, and its key. Never changed once it is made: the parts are OpenSSL's,
 * counted by it, and a copy is a reference. */
typedef struct rondo__tls_identity {
    X509 *leaf;
    STACK_OF(X509) * chain; /* NULL: none */
    EVP_PKEY *key;
    char *certificate_path, *key_path; /* NULL: from memory; not copied */
} rondo__tls_identity;

int rondo__tls_identity_load(rondo__tls_identity *identity, const char *certificate_path,
                             const char *key_path, rondo__tls_report *report);
int rondo__tls_identity_parse(rondo__tls_identity *identity, rondo_slice certificate_pem,
                              rondo_slice key_pem, rondo__tls_report *report);
void rondo__tls_identity_copy(rondo__tls_identity *to, const rondo__tls_identity *from);
void rondo__tls_identity_drop(rondo__tls_identity *identity);
/* Has a server choose by the name that the client asks for. */
void rondo__tls_choose_by_name(SSL_CTX *ctx, void *state);

/* ---- trust.c ---- */

#define RONDO__TLS_DIGEST_BYTES 32 /* SHA-256; and so long may a session id context be */

typedef enum rondo__tls_source_kind {
    RONDO__TLS_SYSTEM,
    RONDO__TLS_FILE,
    RONDO__TLS_DIRECTORY,
    RONDO__TLS_MEMORY
} rondo__tls_source_kind;

typedef struct rondo__tls_source {
    rondo__tls_source_kind kind;
    char *path;              /* of a file or directory */
    STACK_OF(X509) * parsed; /* from memory */
} rondo__tls_source;

/* Reads PEM certificates into the source. */
int rondo__tls_source_parse(rondo__tls_source *source, rondo_slice pem, rondo__tls_report *report);
void rondo__tls_source_drop(rondo__tls_source *source);
/* A store of what the sources say now, and the names in it for a server to ask for. */
typedef struct rondo__tls_trust {
    X509_STORE *store; /* NULL: trust nobody */
    STACK_OF(X509_NAME) * names;
    unsigned char
        digest[RONDO__TLS_DIGEST_BYTES]; /* of the certificates, and paths of directories */
} rondo__tls_trust;
int rondo__tls_trust_build(const rondo__tls_source *sources, size_t count,
                           rondo__tls_trust *ret_trust, rondo__tls_report *report);

/* ---- errors.c ---- */

/* Notes the words, and returns the code. */
int rondo__tls_complain(rondo__tls_report *report, int code, const char *format, ...)
    RONDO_PRINTF(3, 4);
/* The same with OpenSSL's reason behind the words; RONDO_ENOMEM or a file's error when it was that,
 * else `code`. Empties the queue. */
int rondo__tls_complain_ssl(rondo__tls_report *report, int code, const char *what);

/* ---- sessions.c ---- */

typedef struct rondo__tls_sessions {
    pthread_mutex_t lock;
    rondo__list list; /* the one used last comes first */
    unsigned count;
} rondo__tls_sessions;

void rondo__tls_sessions_init(rondo__tls_sessions *sessions);
void rondo__tls_sessions_fini(rondo__tls_sessions *sessions);
/* Sets tickets, and the client's cache, as the context says. vouched: a digest of what a ticket
 * stands for; those of another are not resumed. False: no memory. */
bool rondo__tls_sessions_setup(SSL_CTX *ctx, rondo_tls_role role, bool on, const void *ticket_key,
                               const unsigned char *vouched);

/* ---- state.c: what a connection takes from its context ---- */

typedef struct rondo__tls_state {
    atomic_uint refs;
    SSL_CTX *ctx;
    rondo_tls_role role;
    bool verifies, resumes;
    uint32_t timeout_ms;
    rondo__tls_identity *identities; /* of a server, when there are several */
    size_t identity_count;
    unsigned char *alpn; /* as on the wire */
    unsigned alpn_len;
    rondo__tls_sessions sessions;
} rondo__tls_state;

typedef struct rondo__tls_settings {
    rondo_tls_role role;
    rondo_tls_verify verify;
    int least, most; /* protocol versions, as OpenSSL counts them */
    uint32_t timeout_ms;
    bool resumes, kernel, has_ticket_key;
    unsigned char ticket_key[RONDO_TLS_TICKET_KEY_BYTES];
    unsigned char *alpn; /* as on the wire */
    unsigned alpn_len;
    rondo__tls_identity *identities;
    size_t identity_count;
    rondo__tls_trust trust;
} rondo__tls_settings;

int rondo__tls_state_new(const rondo__tls_settings *settings, rondo__tls_state **ret_state,
                         rondo__tls_report *report);
void rondo__tls_state_ref(rondo__tls_state *state);
void rondo__tls_state_unref(rondo__tls_state *state); /* NULL is allowed */

/* ---- context.c ---- */

/* The state for a new connection, a reference. */
int rondo__tls_context_state(rondo_tls_context *context, rondo__tls_state **ret_state);
/* 0; RONDO_EINVAL for a server's context that has no certificate. */
int rondo__tls_context_check(rondo_tls_context *context, rondo_tls_role *ret_role);

/* ---- a stream's TLS ---- */

enum {
    RONDO__TLS_GRANTED = 1 << 0, /* the next step of the handshake may be taken at once */
    RONDO__TLS_OPEN = 1 << 1,    /* the handshake is done */
    RONDO__TLS_FAILED = 1 << 2,  /* nothing more can be said to the peer */
    RONDO__TLS_SAID_BYE = 1 << 3,
    RONDO__TLS_AT_EOF = 1 << 4,      /* the socket is */
    RONDO__TLS_DRY = 1 << 5,         /* OpenSSL has nothing complete: it wants more */
    RONDO__TLS_LATER = 1 << 6,       /* read() has a result to give, `later` */
    RONDO__TLS_DATA_DRY = 1 << 7,    /* the read before stopped because of that */
    RONDO__TLS_HAS_SOCKET = 1 << 8,  /* the link knows the descriptor */
    RONDO__TLS_STARVED = 1 << 9,     /* a write waits for the rest of a message of the peer's */
    RONDO__TLS_SAID_MORE = 1 << 10,  /* something was written after the peer's close_notify */
    RONDO__TLS_PLAIN_HTTP = 1 << 11, /* is what the peer speaks */
    RONDO__TLS_HEARD = 1 << 12,      /* the peer has said something, */
    RONDO__TLS_METHOD = 1 << 13      /* which began like a request of HTTP */
};

typedef struct rondo__tls {
    SSL *ssl;
    rondo__tls_state *state;
    rondo_stream *stream;
    rondo__list turn;      /* waiting for a turn */
    rondo__alarm deadline; /* of the handshake */
    char *name;            /* of the server, for a client */
    char *alpn;
    char *error_text;
    char *kept; /* encrypted, and not yet taken by the kernel: from kept_at to kept_len */
    size_t kept_at, kept_len, kept_room;
    size_t may_read;  /* bytes from the socket in this call */
    unsigned useless; /* messages for OpenSSL since the last byte of data */
    int later;
    int error;  /* of the socket, or of memory, in this call */
    int events; /* that the handshake was told of */
    uint32_t flags;
} rondo__tls;

static inline rondo__tls *rondo__tls_of(const rondo_stream *stream) {
    return rondo__stream_transport_state(stream);
}

/* ---- link.c ---- */

/* Records in one send. */
#define RONDO__TLS_RECORD_BYTES ((size_t)16 * 1024)
#define RONDO__TLS_SCRATCH_BYTES (4 * (RONDO__TLS_RECORD_BYTES + 256))

/* What the TLS streams of a loop share. */
typedef struct rondo__tls_part {
    rondo__at_free at_free;
    rondo__list waiting; /* handshakes that wait for their turn, first in first out */
    rondo__task task;    /* drives them on */
    uint64_t round;      /* of the loop, in which `used` were driven on */
    uint32_t used;
    size_t scratch_len;
    char plain[RONDO__TLS_RECORD_BYTES];    /* small pieces, to be one record */
    char scratch[RONDO__TLS_SCRATCH_BYTES]; /* records, to be one send */
} rondo__tls_part;

/* Made at first use: NULL when out of memory. */
rondo__tls_part *rondo__tls_part_make(rondo_loop *loop);
static inline rondo__tls_part *rondo__tls_part_of(const rondo_loop *loop) {
    return (rondo__tls_part *)rondo__loop_part(loop, RONDO__PART_TLS);
}

/* Gives ssl its way to the socket: false when out of memory. */
bool rondo__tls_link(rondo__tls *tls);
/* Around every call of OpenSSL that reads, writes or fails for a stream. What it wrote is sent by
 * leave, or kept: 0 or an error. */
void rondo__tls_enter(rondo__tls *tls);
/* The same for calls that must not read from the socket. */
void rondo__tls_enter_to_write(rondo__tls *tls);
int rondo__tls_leave(rondo__tls *tls);
/* Sends what is kept: 0, RONDO_EAGAIN, an error. */
int rondo__tls_push(rondo__tls *tls);
static inline size_t rondo__tls_kept(const rondo__tls *tls) { return tls->kept_len - tls->kept_at; }
/* Whether one more record has room before something must be sent. */
bool rondo__tls_has_room(const rondo__tls *tls);
bool rondo__tls_in_kernel(const rondo__tls *tls);

/* ---- handshake.c ---- */

int rondo__tls_handshake(rondo_stream *stream, int events, int *ret_events);
void rondo__tls_handshake_init(rondo__tls *tls);
/* The stream has its socket: the handshake's time begins. With the first step, or before: a peer
 * that neither reads nor writes would never let it come to one. */
void rondo__tls_handshake_begin(rondo__tls *tls);
void rondo__tls_handshake_end(rondo__tls *tls);

/* ---- transport.c, start.c ---- */

extern const rondo__transport rondo__tls_transport;

static inline bool rondo__tls_is(const rondo_stream *stream) {
    return rondo__transport_of(stream) == &rondo__tls_transport;
}
void rondo__tls_free(rondo__tls *tls);

/* ---- sessions.c ---- */

/* Has a client resume what it has for its name. */
void rondo__tls_session_offer(rondo__tls *tls);
void rondo__tls_session_done(rondo__tls *tls);

/* ---- errors.c ---- */

/* Whether OpenSSL has a part of a message that came after the handshake, and waits for the rest. */
bool rondo__tls_amid_message(const rondo__tls *tls);
/* After a call of OpenSSL that failed: RONDO_EAGAIN, 0 when the peer said goodbye, or what went
 * wrong, with words. Inside enter and leave. */
int rondo__tls_failure(rondo__tls *tls, int result);
void rondo__tls_say(rondo__tls *tls, const char *format, ...) RONDO_PRINTF(2, 3);
/* For SSL_CTX_set_msg_callback(): counts those that bring no data. */
void rondo__tls_note_message(int ours, int version, int type, const void *data, size_t len,
                             SSL *ssl, void *arg);
/* For SSL_CTX_set_verify(): keeps which certificate it was. */
int rondo__tls_note_verify(int ok, X509_STORE_CTX *chain);

#endif
