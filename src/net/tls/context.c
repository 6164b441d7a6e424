/* SPDX-License-Identifier: MIT
 *
 * Contexts: the settings, and the state that is made of them when the next connection needs one.
 * Every change is made beside the old settings and takes their place when it has worked, so that a
 * broken file changes nothing. One lock per context; nothing is called back while it is held.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

#define DEFAULT_TIMEOUT_MS 10000
/* RFC 7301: a list of at most 2^16 - 1 bytes, in which each name has 1 to 255. */
#define ALPN_BYTES_MOST 65535

struct rondo_tls_context {
    atomic_uint refs;
    pthread_mutex_t lock;
    rondo__tls_settings settings;
    rondo__tls_source *sources; /* of the store */
    size_t source_count;
    rondo__tls_state *state; /* NULL: the settings have changed since */
    rondo__tls_report report;
};

static void check(const rondo_tls_context *context, const char *function) {
    if (RONDO__UNLIKELY(!context)) rondo__fatal("%s: the TLS context is NULL", function);
}

/* ---- life ---- */

int rondo_tls_context_new(rondo_tls_role role, rondo_tls_context **ret_context) {
    rondo_tls_context *context = rondo__zalloc(sizeof *context);
    if (!context) return RONDO_ENOMEM;
    atomic_init(&context->refs, 1);
    pthread_mutex_init(&context->lock, NULL);
    context->settings = (rondo__tls_settings){
        .role = role,
        .verify = role == RONDO_TLS_CLIENT ? RONDO_TLS_VERIFY_REQUIRED : RONDO_TLS_VERIFY_NONE,
        .least = TLS1_2_VERSION,
        .most = TLS1_3_VERSION,
        .timeout_ms = DEFAULT_TIMEOUT_MS,
        .resumes = true,
    };
    *ret_context = context;
    return 0;
}

void rondo__tls_context_ref(rondo_tls_context *context) { atomic_fetch_add(&context->refs, 1); }

static void drop_identities(rondo__tls_identity *identities, size_t count) {
    for (size_t i = 0; i < count; i++) rondo__tls_identity_drop(&identities[i]);
    rondo__free(identities);
}

static void drop_trust(rondo__tls_trust *trust) {
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
}

void rondo_tls_context_free(rondo_tls_context *context) {
    if (!context || atomic_fetch_sub(&context->refs, 1) > 1) return;
    rondo__tls_settings *settings = &context->settings;
    rondo__tls_state_unref(context->state);
    drop_identities(settings->identities, settings->identity_count);
    drop_trust(&settings->trust);
    for (size_t i = 0; i < context->source_count; i++) rondo__tls_source_drop(&context->sources[i]);
    rondo__free(context->sources);
    rondo__free(settings->alpn);
    OPENSSL_cleanse(settings->ticket_key, sizeof settings->ticket_key);
    pthread_mutex_destroy(&context->lock);
    rondo__free(context);
}

/* A copy: another thread may be writing the next one. */
const char *rondo_tls_context_error(rondo_tls_context *context) {
    static _Thread_local rondo__tls_report report;
    check(context, __func__);
    pthread_mutex_lock(&context->lock);
    report = context->report;
    pthread_mutex_unlock(&context->lock);
    return report.text;
}

/* ---- changes ---- */

static void begin(rondo_tls_context *context, const char *function) {
    check(context, function);
    pthread_mutex_lock(&context->lock);
    context->report.text[0] = '\0';
}

/* After a change that has worked, connections get a new state. */
static int end(rondo_tls_context *context, int status) {
    rondo__tls_state *old = NULL;
    if (status == 0) {
        old = context->state;
        context->state = NULL;
    } else if (!context->report.text[0]) {
        rondo__tls_complain(&context->report, status, "%s", rondo_error_text(status));
    }
    pthread_mutex_unlock(&context->lock);
    rondo__tls_state_unref(old);
    return status;
}

/* Takes over what is in *identity, when it works. */
static int append_identity(rondo__tls_settings *settings, rondo__tls_identity *identity) {
    size_t count = settings->identity_count;
    rondo__tls_identity *all = rondo__realloc(settings->identities, (count + 1) * sizeof *all);
    if (!all) {
        rondo__tls_identity_drop(identity);
        return RONDO_ENOMEM;
    }
    all[count] = *identity;
    settings->identities = all;
    settings->identity_count = count + 1;
    return 0;
}

int rondo_tls_add_certificate_file(rondo_tls_context *context, const char *certificate_path,
                                   const char *key_path) {
    rondo__tls_identity identity;
    begin(context, __func__);
    if (!certificate_path || !key_path) return end(context, RONDO_EINVAL);
    int status = rondo__tls_identity_load(&identity, certificate_path, key_path, &context->report);
    if (status == 0) status = append_identity(&context->settings, &identity);
    return end(context, status);
}

int rondo_tls_add_certificate(rondo_tls_context *context, rondo_slice certificate_pem,
                              rondo_slice key_pem) {
    rondo__tls_identity identity;
    begin(context, __func__);
    int status = rondo__tls_identity_parse(&identity, certificate_pem, key_pem, &context->report);
    if (status == 0) status = append_identity(&context->settings, &identity);
    return end(context, status);
}

/* ---- trust ---- */

/* What the sources say now, in place of what they said before. */
static int rebuild_store(rondo_tls_context *context, size_t count) {
    rondo__tls_trust trust;
    int status = rondo__tls_trust_build(context->sources, count, &trust, &context->report);
    if (status < 0) return status;
    drop_trust(&context->settings.trust);
    context->settings.trust = trust;
    return 0;
}

static int add_source(rondo_tls_context *context, rondo__tls_source source) {
    size_t count = context->source_count;
    rondo__tls_source *all = rondo__realloc(context->sources, (count + 1) * sizeof *all);
    if (!all) {
        rondo__tls_source_drop(&source);
        return RONDO_ENOMEM;
    }
    context->sources = all;
    all[count] = source;
    int status = rebuild_store(context, count + 1);
    if (status == 0)
        context->source_count = count + 1;
    else
        rondo__tls_source_drop(&all[count]);
    return status;
}

static int add_path(rondo_tls_context *context, rondo__tls_source_kind kind, const char *path) {
    if (!path) return RONDO_EINVAL;
    rondo__tls_source source = {.kind = kind, .path = rondo__strdup(path)};
    return source.path ? add_source(context, source) : RONDO_ENOMEM;
}

int rondo_tls_add_trust_file(rondo_tls_context *context, const char *path) {
    begin(context, __func__);
    return end(context, add_path(context, RONDO__TLS_FILE, path));
}

int rondo_tls_add_trust_directory(rondo_tls_context *context, const char *path) {
    begin(context, __func__);
    return end(context, add_path(context, RONDO__TLS_DIRECTORY, path));
}

int rondo_tls_add_trust(rondo_tls_context *context, rondo_slice pem) {
    rondo__tls_source source = {.kind = RONDO__TLS_MEMORY};
    begin(context, __func__);
    int status = rondo__tls_source_parse(&source, pem, &context->report);
    if (status == 0)
        status = add_source(context, source);
    else
        rondo__tls_source_drop(&source);
    return end(context, status);
}

int rondo_tls_add_trust_system(rondo_tls_context *context) {
    begin(context, __func__);
    return end(context, add_source(context, (rondo__tls_source){.kind = RONDO__TLS_SYSTEM}));
}

/* ---- reloading ---- */

static int load_again(const rondo__tls_identity *old, rondo__tls_identity *ret_new,
                      rondo__tls_report *report) {
    if (old->certificate_path)
        return rondo__tls_identity_load(ret_new, old->certificate_path, old->key_path, report);
    rondo__tls_identity_copy(ret_new, old);
    return 0;
}

int rondo_tls_reload(rondo_tls_context *context) {
    begin(context, __func__);
    rondo__tls_settings *settings = &context->settings;
    size_t count = settings->identity_count, loaded = 0;
    rondo__tls_identity *fresh = NULL;
    int status = 0;
    if (count > 0) {
        fresh = rondo__zalloc(count * sizeof *fresh);
        if (!fresh) status = RONDO_ENOMEM;
    }
    while (status == 0 && loaded < count) {
        status = load_again(&settings->identities[loaded], &fresh[loaded], &context->report);
        if (status == 0) loaded++;
    }
    if (status == 0 && context->source_count > 0)
        status = rebuild_store(context, context->source_count);
    if (status < 0) {
        drop_identities(fresh, loaded);
        return end(context, status);
    }
    drop_identities(settings->identities, count);
    settings->identities = fresh;
    return end(context, 0);
}

/* ---- settings ---- */

int rondo_tls_set_verify(rondo_tls_context *context, rondo_tls_verify verify) {
    begin(context, __func__);
    if (verify < RONDO_TLS_VERIFY_NONE || verify > RONDO_TLS_VERIFY_REQUIRED ||
        (verify == RONDO_TLS_VERIFY_OPTIONAL && context->settings.role == RONDO_TLS_CLIENT))
        return end(context, RONDO_EINVAL);
    context->settings.verify = verify;
    return end(context, 0);
}

/* "a,bc" to "\1a\2bc": its length, or 0 when it is not a list. */
static size_t write_alpn(unsigned char *wire, const char *text) {
    size_t len = 0;
    for (const char *at = text;; at++) {
        size_t name = strcspn(at, ",");
        if (name < 1 || name > 255) return 0;
        wire[len] = (unsigned char)name;
        memcpy(wire + len + 1, at, name);
        len += 1 + name;
        at += name;
        if (!*at) return len;
    }
}

int rondo_tls_set_alpn(rondo_tls_context *context, const char *protocols) {
    unsigned char *wire = NULL;
    size_t size = protocols ? strlen(protocols) : 0, len = 0;
    begin(context, __func__);
    if (size >= ALPN_BYTES_MOST) return end(context, RONDO_EINVAL);
    if (size > 0) {
        wire = rondo__alloc(size + 1); /* each comma becomes a length, and there is one more */
        if (!wire) return end(context, RONDO_ENOMEM);
        len = write_alpn(wire, protocols);
        if (len == 0) {
            rondo__free(wire);
            return end(context, RONDO_EINVAL);
        }
    }
    rondo__free(context->settings.alpn);
    context->settings.alpn = wire;
    context->settings.alpn_len = (unsigned)len;
    return end(context, 0);
}

int rondo_tls_set_versions(rondo_tls_context *context, rondo_tls_version least,
                           rondo_tls_version most) {
    begin(context, __func__);
    if (least > most || (least != RONDO_TLS_1_2 && least != RONDO_TLS_1_3) ||
        (most != RONDO_TLS_1_2 && most != RONDO_TLS_1_3))
        return end(context, RONDO_EINVAL);
    context->settings.least = least == RONDO_TLS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
    context->settings.most = most == RONDO_TLS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
    return end(context, 0);
}

int rondo_tls_set_handshake_timeout(rondo_tls_context *context, uint32_t timeout_ms) {
    begin(context, __func__);
    context->settings.timeout_ms = timeout_ms;
    return end(context, 0);
}

int rondo_tls_set_resumption(rondo_tls_context *context, bool on) {
    begin(context, __func__);
    context->settings.resumes = on;
    return end(context, 0);
}

int rondo_tls_set_ticket_key(rondo_tls_context *context, rondo_slice key) {
    begin(context, __func__);
    if (key.len != RONDO_TLS_TICKET_KEY_BYTES) return end(context, RONDO_EINVAL);
    memcpy(context->settings.ticket_key, key.data, key.len);
    context->settings.has_ticket_key = true;
    return end(context, 0);
}

int rondo_tls_set_kernel(rondo_tls_context *context, bool on) {
    begin(context, __func__);
    context->settings.kernel = on;
    return end(context, 0);
}

/* ---- for connections ---- */

/* A client that was told of nobody believes whom the system believes. */
static int need_store(rondo_tls_context *context) {
    static const rondo__tls_source system = {.kind = RONDO__TLS_SYSTEM};
    rondo__tls_settings *settings = &context->settings;
    if (settings->trust.store || settings->role != RONDO_TLS_CLIENT ||
        settings->verify == RONDO_TLS_VERIFY_NONE)
        return 0;
    return rondo__tls_trust_build(&system, 1, &settings->trust, &context->report);
}

int rondo__tls_context_state(rondo_tls_context *context, rondo__tls_state **ret_state) {
    int status = 0;
    pthread_mutex_lock(&context->lock);
    if (!context->state) {
        status = need_store(context);
        if (status == 0)
            status = rondo__tls_state_new(&context->settings, &context->state, &context->report);
    }
    if (status == 0) {
        rondo__tls_state_ref(context->state);
        *ret_state = context->state;
    }
    pthread_mutex_unlock(&context->lock);
    return status;
}

int rondo__tls_context_check(rondo_tls_context *context, rondo_tls_role *ret_role) {
    pthread_mutex_lock(&context->lock);
    rondo_tls_role role = context->settings.role;
    bool bare = role == RONDO_TLS_SERVER && context->settings.identity_count == 0;
    pthread_mutex_unlock(&context->lock);
    if (bare) return RONDO_EINVAL;
    *ret_role = role;
    return 0;
}
