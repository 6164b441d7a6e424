/* SPDX-License-Identifier: MIT
 *
 * rondo_dns_query() with c-ares. What c-ares is given to remember has its own memory, and knows the
 * request only as long as somebody waits for it: c-ares can't end a single query.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "loop/memory.h"
#include "net/address.h"
#include "net/dns/channel.h"
#include "net/dns/records.h"
#include "net/dns/request.h"

#define TIMEOUT_MS 10000
#define TRY_MS 2000
#define TRIES 3
#define TRY_MS_MAX 3600000
#define TRIES_MAX 100
#define SERVERS_TEXT_MAX 512

typedef struct query query;

/* What c-ares remembers. */
typedef struct asked {
    query *request; /* NULL: nobody waits any more */
    rondo__dns_channel *channel;
    rondo_dns_type type;
    bool complete;
    char name[];
} asked;

struct query {
    rondo_dns_request base;
    asked *asked; /* NULL: over */
    rondo_dns_record *records;
    size_t count;
};

/* ---- the answer ---- */

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len);

/* All of several servers failed or refused, and which of that is not known: the first one that is
 * asked again shall have the last word. */
static bool ask_for_reason(asked *self) {
    rondo__dns_channel *before = self->channel, *channel;
    rondo__dns_settings settings = *rondo__dns_channel_settings(before);
    if (rondo__dns_channel_takes_first_word(before)) return false;
    settings.first_word = true;
    if (rondo__dns_channel_get(self->request->base.loop, &settings, &channel) < 0) return false;
    self->channel = channel;
    rondo__dns_channel_answered(before, true);
    rondo__dns_channel_ask(channel, self->name, self->type, self->complete, on_answer, self);
    return true;
}

static int read_answer(query *request, const asked *self, int status, const unsigned char *bytes,
                       int len) {
    if (status != ARES_SUCCESS) return rondo__dns_channel_error(self->channel, status);
    if (!bytes || len < 0) return RONDO_EPROTO;
    return rondo__dns_parse(bytes, (size_t)len, self->type, &request->records, &request->count);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len) {
    asked *self = arg;
    query *request = self->request;
    (void)timeouts;
    if (request && status == ARES_ECONNREFUSED && ask_for_reason(self)) return;
    if (request) {
        request->asked = NULL;
        rondo__dns_end(&request->base, read_answer(request, self, status, bytes, len));
    }
    rondo__dns_channel_answered(self->channel, request != NULL);
    rondo__free(self);
}

static void leave(rondo_dns_request *base) {
    query *request = (query *)base;
    asked *self = request->asked;
    if (!self) return; /* the loop is being freed, and the channels went first */
    request->asked = NULL;
    self->request = NULL;
    rondo__dns_channel_unwanted(self->channel);
}

static void free_answer(rondo_dns_request *base) { rondo__free(((query *)base)->records); }

static void query_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    const query *request = payload;
    bool ok = request->base.status == 0;
    (void)handle;
    ((rondo_dns_query_cb)fn)(loop, request->base.status, ok ? request->records : NULL,
                             ok ? request->count : 0, arg);
}
static const rondo__dns_kind query_kind = {
    .event = {"dns.query", query_thunk}, .leave = leave, .free = free_answer};

/* ---- the question ---- */

static bool is_type(rondo_dns_type type) {
    switch (type) {
#define CASE(name, number) case RONDO_DNS_##name:
        RONDO_DNS_TYPES(CASE)
#undef CASE
        return true;
    }
    return false;
}

/* The name under which the PTR records of an address are kept (RFC 1035, 3.5; RFC 3596, 2.5). */
static bool name_of_address(const char *host, char *text, size_t size) {
    rondo_address address;
    const unsigned char *bytes;
    if (strcmp(host, "localhost") == 0 || rondo_address_parse(host, 0, &address) < 0) return false;
    if (rondo__address_af(&address) == AF_INET) {
        bytes = address.socket.bytes + offsetof(struct sockaddr_in, sin_addr);
        snprintf(text, size, "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
        return true;
    }
    bytes = address.socket.bytes + offsetof(struct sockaddr_in6, sin6_addr);
    for (int i = 15; i >= 0; i--, text += 4, size -= 4)
        snprintf(text, size, "%x.%x.", bytes[i] & 15u, bytes[i] >> 4);
    snprintf(text, size, "ip6.arpa");
    return true;
}

/* Settings with what is usual for what is not given. */
static int settings_of(const rondo_dns_query_options *options, rondo__dns_settings *ret_settings) {
    static const rondo_dns_query_options usual = {.servers = NULL};
    if (!options) options = &usual;
    *ret_settings = (rondo__dns_settings){
        .servers = options->servers ? options->servers : "",
        .try_ms = options->try_ms ? options->try_ms : TRY_MS,
        .tries = options->tries ? options->tries : TRIES,
        .tcp = options->tcp,
    };
    if (options->servers && !*options->servers) return RONDO_EINVAL;
    if (strlen(ret_settings->servers) > SERVERS_TEXT_MAX) return RONDO_EINVAL;
    if (ret_settings->try_ms > TRY_MS_MAX) ret_settings->try_ms = TRY_MS_MAX;
    if (ret_settings->tries > TRIES_MAX) ret_settings->tries = TRIES_MAX;
    return 0;
}

static asked *new_asked(const char *name, rondo_dns_type type, bool complete) {
    size_t size = strlen(name) + 1;
    asked *self = rondo__zalloc(sizeof *self + size);
    if (!self) return NULL;
    self->type = type;
    self->complete = complete;
    memcpy(self->name, name, size);
    return self;
}

int rondo_dns_query(rondo_loop *loop, const char *name, rondo_dns_type type,
                    const rondo_dns_query_options *options, rondo_dns_request **ret_request,
                    rondo_dns_query_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    char arpa[80];
    rondo__dns_settings settings;
    rondo__dns_channel *channel;
    rondo_dns_request *base;
    if (!cb || !name || !is_type(type) || settings_of(options, &settings) < 0) return RONDO_EINVAL;
    bool complete = options && options->no_search;
    if (type == RONDO_DNS_PTR && name_of_address(name, arpa, sizeof arpa)) {
        name = arpa;
        complete = true;
    }
    if (!rondo__dns_is_host_name(name) && strcmp(name, ".") != 0) return RONDO_EINVAL;
    int error = rondo__dns_channel_get(loop, &settings, &channel);
    if (error < 0) return error;
    asked *self = new_asked(name, type, complete);
    error = self ? rondo__dns_new(loop, &query_kind, sizeof(query), RONDO__FN(cb), arg, &base)
                 : RONDO_ENOMEM;
    if (error < 0) {
        rondo__free(self);
        return error;
    }
    self->request = (query *)base;
    self->channel = channel;
    ((query *)base)->asked = self;
    rondo__dns_begin(base, options && options->timeout_ms ? options->timeout_ms : TIMEOUT_MS);
    rondo__dns_channel_ask(channel, name, type, complete, on_answer, self);
    if (ret_request) *ret_request = base;
    return 0;
}
