/* SPDX-License-Identifier: MIT
 *
 * Resuming. A server puts the session into a ticket that the client keeps, encrypted by a secret of
 * the context (RFC 5077, RFC 8446 section 4.6.1), and remembers nothing. The secret may be older than
 * the settings, or another server's: a session is resumed only where the same is asked of clients
 * and the same certificates are shown. A client keeps the last
 * one for each name, as long as the context does not change: what it checked then holds for what is
 * resumed. A session is taken out when it is used, so that nobody can tell two connections of ours
 * by the same ticket (RFC 8446 appendix C.4).
 */
#include <openssl/err.h>
#include <string.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

#define SESSIONS_MOST 256

typedef struct entry {
    rondo__list link;
    SSL_SESSION *session;
    char name[];
} entry;

void rondo__tls_sessions_init(rondo__tls_sessions *sessions) {
    pthread_mutex_init(&sessions->lock, NULL);
    rondo__list_init(&sessions->list);
    sessions->count = 0;
}

static void drop(rondo__tls_sessions *sessions, entry *it) {
    rondo__list_remove(&it->link);
    sessions->count--;
    SSL_SESSION_free(it->session);
    rondo__free(it);
}

void rondo__tls_sessions_fini(rondo__tls_sessions *sessions) {
    while (!rondo__list_empty(&sessions->list))
        drop(sessions, RONDO__OF(sessions->list.next, entry, link));
    pthread_mutex_destroy(&sessions->lock);
}

/* ---- the client's ---- */

static entry *find(rondo__tls_sessions *sessions, const char *name) {
    for (rondo__list *link = sessions->list.next; link != &sessions->list; link = link->next) {
        entry *it = RONDO__OF(link, entry, link);
        if (strcmp(it->name, name) == 0) return it;
    }
    return NULL;
}

/* Takes over the session; without memory it is forgotten, which costs a full handshake. */
static void keep(rondo__tls_sessions *sessions, const char *name, SSL_SESSION *session) {
    size_t size = strlen(name) + 1;
    entry *it = rondo__alloc(sizeof *it + size);
    if (!it) {
        SSL_SESSION_free(session);
        return;
    }
    it->session = session;
    memcpy(it->name, name, size);
    pthread_mutex_lock(&sessions->lock);
    entry *before = find(sessions, name);
    if (before) drop(sessions, before);
    if (sessions->count == SESSIONS_MOST)
        drop(sessions, RONDO__OF(sessions->list.prev, entry, link));
    rondo__list_push_front(&sessions->list, &it->link);
    sessions->count++;
    pthread_mutex_unlock(&sessions->lock);
}

/* OpenSSL has one for us: with TLS 1.3 some time after the handshake. A copy, since it would make
 * the original unusable if the connection does not end in peace. */
static int on_new_session(SSL *ssl, SSL_SESSION *session) {
    rondo__tls *tls = SSL_get_app_data(ssl);
    if (!tls->name) return 0;
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    if (copy) keep(&tls->state->sessions, tls->name, copy);
    return 0;
}

void rondo__tls_session_offer(rondo__tls *tls) {
    rondo__tls_sessions *sessions = &tls->state->sessions;
    if (!tls->name || !tls->state->resumes) return;
    pthread_mutex_lock(&sessions->lock);
    entry *it = find(sessions, tls->name);
    if (it) {
        SSL_set_session(tls->ssl, it->session);
        drop(sessions, it);
    }
    pthread_mutex_unlock(&sessions->lock);
}

/* The handshake is done. A ticket of TLS 1.2 may be used again, and a new one seldom comes. */
void rondo__tls_session_done(rondo__tls *tls) {
    SSL_SESSION *session;
    if (tls->state->role != RONDO_TLS_CLIENT || !tls->state->resumes) return;
    if (SSL_version(tls->ssl) != TLS1_2_VERSION || !SSL_session_reused(tls->ssl)) return;
    session = SSL_get0_session(tls->ssl);
    if (session && SSL_SESSION_is_resumable(session)) on_new_session(tls->ssl, session);
}

/* ---- both ---- */

bool rondo__tls_sessions_setup(SSL_CTX *ctx, rondo_tls_role role, bool on, const void *ticket_key,
                               const unsigned char *vouched) {
    if (SSL_CTX_set_session_id_context(ctx, vouched, RONDO__TLS_DIGEST_BYTES) != 1) return false;
    if (!on) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(ctx, 0) == 1;
    }
    if (role == RONDO_TLS_CLIENT) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_new_session);
        return true;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (!ticket_key) return true;
    return SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)(uintptr_t)ticket_key,
                                          RONDO_TLS_TICKET_KEY_BYTES) == 1;
}
