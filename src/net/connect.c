/* SPDX-License-Identifier: MIT
 *
 * Connecting: from a target to an open stream. What to do is in three steps, each of which ends in
 * the next one or in the stream's error: a lookup (dns.h), the attempts (attempts.h), and what the
 * stream does with its socket (opening.c), a TLS handshake too. One alarm covers all of them, a second
 * one the step that is under way; which that is stays with the stream, to be asked for when it has failed.
 *
 * Nothing happens inside rondo_connect(): what is wrong is told in the next pending phase, and there
 * the first attempt is made.
 */
#include <rondo/connect.h>

#include <rondo/dns.h>

#include <stdio.h>
#include <string.h>

#include "loop/memory.h"
#include "net/attempts.h"
#include "net/dns/request.h"
#include "net/duplex.h"
#include "net/tcp.h"
#include "net/tls/tls.h"

#define DEFAULT_TIMEOUT_MS 60000
#define DEFAULT_DELAY_MS 250 /* RFC 8305, 8 */
#define LEAST_DELAY_MS 100

/* Exists while the stream is opening, and is its opening. */
typedef struct connecting {
    rondo__opening base;
    rondo_stream *stream;
    rondo__alarm timeout, stage_timeout;
    rondo__tcp_wishes tcp;
    rondo_dns_request *lookup; /* while it runs */
    rondo__attempts *attempts; /* while they run */
    rondo_address local;
    uint16_t local_port;
    uint32_t delay_ms;
    uint32_t attempts_ms, tls_ms; /* the bounds of these stages; 0: none */
} connecting;

/* ---- the end ---- */

static void discard(connecting *self) {
    rondo__alarm_clear(&self->timeout);
    rondo__alarm_clear(&self->stage_timeout);
    if (self->lookup) rondo__dns_forget(self->lookup);
    if (self->attempts) rondo__attempts_cancel(self->attempts);
    rondo__free(self);
}

static void on_cancel(rondo_stream *stream, rondo__opening *opening) {
    (void)stream;
    discard((connecting *)opening);
}

static void on_opened(rondo_stream *stream, rondo__opening *opening) {
    discard((connecting *)opening);
    stream->extra->connect_stage = RONDO_CONNECT_OPEN;
    rondo__stream_tell(stream, RONDO__STREAM_CONNECT);
}

static void on_timeout(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    rondo__stream_fail(RONDO__OF(alarm, connecting, timeout)->stream, RONDO_ETIMEDOUT);
}

static void on_stage_timeout(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    rondo__stream_fail(RONDO__OF(alarm, connecting, stage_timeout)->stream, RONDO_ETIMEDOUT);
}

/* ---- the steps ---- */

static void enter(connecting *self, rondo_connect_stage stage, uint32_t timeout_ms) {
    self->stream->extra->connect_stage = (uint8_t)stage;
    rondo__alarm_clear(&self->stage_timeout);
    if (timeout_ms > 0)
        rondo__alarm_set_in_ms(self->stream->base.loop, &self->stage_timeout, timeout_ms);
}

static void on_attempts_done(void *arg, int fd_or_error) {
    connecting *self = arg;
    rondo_stream *stream = self->stream;
    int fd = fd_or_error, status = fd_or_error < 0 ? fd_or_error : 0;
    self->attempts = NULL;
    if (status == 0 && self->base.tcp) status = rondo__tcp_apply(fd, &self->tcp);
    if (status == 0 && rondo__transport_of(stream)) enter(self, RONDO_CONNECT_TLS, self->tls_ms);
    if (status == 0) status = rondo__stream_connected(stream, fd);
    if (status == 0) return;
    if (fd >= 0) rondo__socket_close(fd);
    rondo__stream_fail(stream, status);
}

static int start_attempts(connecting *self, const rondo_address *addresses, size_t count) {
    rondo__attempts_plan plan = {.addresses = addresses,
                                 .count = count,
                                 .local = self->local,
                                 .local_port = self->local_port,
                                 .delay_ms = self->delay_ms,
                                 .done = on_attempts_done,
                                 .arg = self};
    enter(self, RONDO_CONNECT_ATTEMPTS, self->attempts_ms);
    self->attempts = rondo__attempts_new(self->stream->base.loop, &plan);
    return self->attempts ? 0 : RONDO_ENOMEM;
}

static void on_lookup_done(rondo_loop *loop, int status, const rondo_address *addresses,
                           size_t count, void *arg) {
    connecting *self = arg;
    (void)loop;
    self->lookup = NULL;
    if (status == 0) status = start_attempts(self, addresses, count);
    if (status < 0) rondo__stream_fail(self->stream, status);
}

static int start_lookup(connecting *self, const rondo_connect_options *options) {
    rondo_dns_lookup_options how = {0};
    if (options->family == RONDO_FAMILY_IPV4) how.flags = RONDO_DNS_IPV4;
    if (options->family == RONDO_FAMILY_IPV6) how.flags = RONDO_DNS_IPV6;
    enter(self, RONDO_CONNECT_LOOKUP, options->lookup_timeout_ms);
    return rondo_dns_lookup(self->stream->base.loop, options->host, options->port, &how,
                            &self->lookup, on_lookup_done, self);
}

/* ---- the options ---- */

/* The one target as an address, or *ret_named: it is a host to look up. */
static int find_target(const rondo_connect_options *options, rondo_address *ret_target,
                       bool *ret_named) {
    int targets = (options->host != NULL) + (options->path != NULL) + (options->address != NULL);
    if (targets != 1) return RONDO_EINVAL;
    *ret_named = options->host != NULL;
    if (options->path) return rondo_address_parse_unix(options->path, ret_target);
    if (options->address) *ret_target = *options->address;
    if (options->host && options->port == 0) return RONDO_EINVAL;
    return 0;
}

static bool is_unix(const rondo_connect_options *options) {
    return options->path ||
           (options->address && rondo_address_family(options->address) == RONDO_FAMILY_UNIX);
}

static int check_target(const rondo_connect_options *options, const rondo_address *target) {
    rondo_family family = rondo_address_family(target);
    if (family == RONDO_FAMILY_NONE) return RONDO_EINVAL;
    if (family != RONDO_FAMILY_UNIX && rondo_address_port(target) == 0) return RONDO_EINVAL;
    return options->family == RONDO_FAMILY_NONE || options->family == family ? 0 : RONDO_EINVAL;
}

static int find_local(connecting *self, const rondo_connect_options *options) {
    if (!options->local_host && options->local_port == 0) return 0;
    if (is_unix(options)) return RONDO_EINVAL;
    self->local_port = options->local_port;
    return options->local_host
               ? rondo_address_parse(options->local_host, options->local_port, &self->local)
               : 0;
}

static int begin(connecting *self, const rondo_connect_options *options) {
    rondo_address target;
    bool named;
    int status = find_target(options, &target, &named);
    if (status == 0) status = find_local(self, options);
    if (status == 0 && options->tls)
        status = rondo__tls_start_client(self->stream, options->tls,
                                         options->tls_name ? options->tls_name : options->host);
    if (status < 0) return status;
    if (named) {
        if (options->family == RONDO_FAMILY_UNIX) return RONDO_EINVAL;
        return start_lookup(self, options);
    }
    status = check_target(options, &target);
    return status < 0 ? status : start_attempts(self, &target, 1);
}

/* The target, for dumps and messages. */
static int name_it(rondo_stream *stream, const rondo_connect_options *options) {
    char text[300] = ""; /* a name has 253 bytes at most; of one that is no name, the beginning */
    rondo_address address;
    if (options->host) {
        bool v6 = strchr(options->host, ':') != NULL;
        snprintf(text, sizeof text, v6 ? "[%.255s]:%u" : "%.255s:%u", options->host,
                 (unsigned)options->port);
    } else if (options->address) {
        (void)rondo_address_format(options->address, text, sizeof text);
    } else if (options->path && rondo_address_parse_unix(options->path, &address) == 0) {
        (void)rondo_address_format(&address, text, sizeof text);
    }
    return *text ? rondo_set_name(stream, text) : 0;
}

/* ---- the calls ---- */

rondo_stream *rondo_connect_with_at(rondo_loop *loop, const rondo_connect_options *options,
                                    const char *site) {
    static const rondo_connect_options nothing;
    rondo__loop_check(loop, "rondo_connect");
    if (!options) options = &nothing;
    connecting *self = rondo__zalloc(sizeof *self);
    rondo_stream *stream = self ? rondo__stream_new_opening(loop, &self->base, site) : NULL;
    if (!stream) {
        rondo__free(self);
        return NULL;
    }
    self->base.cancel = on_cancel;
    self->base.opened = on_opened;
    if (!is_unix(options)) self->base.tcp = &self->tcp;
    self->stream = stream;
    self->delay_ms = options->attempt_delay_ms ? options->attempt_delay_ms : DEFAULT_DELAY_MS;
    if (self->delay_ms < LEAST_DELAY_MS) self->delay_ms = LEAST_DELAY_MS;
    self->attempts_ms = options->attempts_timeout_ms;
    self->tls_ms = options->tls_timeout_ms;
    rondo__alarm_init(&self->stage_timeout, on_stage_timeout);
    rondo__alarm_init(&self->timeout, on_timeout);
    rondo__alarm_set_in_ms(loop, &self->timeout,
                           options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS);
    int status = name_it(stream, options);
    if (status == 0) status = begin(self, options);
    if (status < 0) rondo__stream_fail(stream, status);
    return stream;
}

rondo_stream *rondo_connect_at(rondo_loop *loop, const char *host, uint16_t port,
                               const char *site) {
    rondo_connect_options options = {.host = host, .port = port};
    return rondo_connect_with_at(loop, &options, site);
}

bool rondo_is_connecting(const rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    return (stream->flags & RONDO__OPENING) && !rondo__stream_dead(stream);
}

rondo_connect_stage rondo_connect_stage_of(const rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    return stream->extra ? (rondo_connect_stage)stream->extra->connect_stage : RONDO_CONNECT_OPEN;
}
