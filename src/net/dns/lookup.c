/* SPDX-License-Identifier: MIT
 *
 * rondo_dns_lookup(): numbers and localhost at once, everything else by getaddrinfo(3) on the dns
 * lane. The job has its own memory, and knows the request only as long as somebody waits for it.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/memory.h"
#include "net/address.h"
#include "net/dns/errors.h"
#include "net/dns/local.h"
#include "net/dns/request.h"
#include "threadpool/job.h"

#define FAMILIES (RONDO_DNS_IPV4 | RONDO_DNS_IPV6)

typedef struct lookup lookup;

typedef struct lookup_job {
    rondo_job base;
    lookup *request; /* NULL: nobody waits any more; the loop thread's */
    /* ---- the worker's, while it runs ---- */
    unsigned flags;
    uint16_t port;
    rondo_address *addresses;
    size_t count;
    char host[];
} lookup_job;

struct lookup {
    rondo_dns_request base;
    lookup_job *job; /* NULL: done without one, or over */
    rondo_address *addresses;
    size_t count;
};

/* ---- on the worker ---- */

static bool is_wanted(const lookup_job *job, const rondo_address *address) {
    unsigned family = rondo__address_af(address) == AF_INET    ? RONDO_DNS_IPV4
                      : rondo__address_af(address) == AF_INET6 ? RONDO_DNS_IPV6
                                                               : 0;
    if (!(job->flags & family)) return false;
    for (size_t i = 0; i < job->count; i++) /* at most RONDO_DNS_ADDRESSES_MAX */
        if (rondo_address_equal(&job->addresses[i], address)) return false;
    return true;
}

/* Keeps the first RONDO_DNS_ADDRESSES_MAX different ones. Returns 0, RONDO_ENOMEM or
 * RONDO_ENOTFOUND: there is none. */
static int keep(lookup_job *job, const struct addrinfo *list) {
    size_t room = 0;
    for (const struct addrinfo *info = list; info && room < RONDO_DNS_ADDRESSES_MAX;
         info = info->ai_next)
        room++;
    if (room == 0) return RONDO_ENOTFOUND;
    job->addresses = rondo__alloc(room * sizeof *job->addresses);
    if (!job->addresses) return RONDO_ENOMEM;
    for (const struct addrinfo *info = list; info && job->count < room; info = info->ai_next) {
        rondo_address address;
        if (!info->ai_addr ||
            rondo_address_from_sockaddr(info->ai_addr, info->ai_addrlen, &address) < 0)
            continue;
        rondo__address_set_port(&address, job->port);
        if (is_wanted(job, &address)) job->addresses[job->count++] = address;
    }
    return job->count > 0 ? 0 : RONDO_ENOTFOUND;
}

static int64_t run_lookup(rondo_job *base) {
    lookup_job *job = (lookup_job *)base;
    struct addrinfo hints, *list = NULL;
    unsigned families = job->flags & FAMILIES;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM; /* or each address comes once for each type of socket */
    hints.ai_family = families == RONDO_DNS_IPV4   ? AF_INET
                      : families == RONDO_DNS_IPV6 ? AF_INET6
                                                   : AF_UNSPEC;
    /* Who names one family means it; glibc would find nothing then on a machine that has only its
     * loopback addresses. */
    if (families == FAMILIES && !(job->flags & RONDO_DNS_ALL)) hints.ai_flags = AI_ADDRCONFIG;
    int error = getaddrinfo(job->host, NULL, &hints, &list);
    if (error) return rondo__dns_error_from_eai(error);
    error = keep(job, list);
    if (list) freeaddrinfo(list);
    return error;
}

/* ---- on the loop thread ---- */

static void free_job(rondo_job *base) {
    lookup_job *job = (lookup_job *)base;
    if (job->request) job->request->job = NULL;
    rondo__free(job->addresses);
    rondo__free(job);
}

static void deliver_job(rondo_loop *loop, rondo_job *base, int64_t result) {
    lookup_job *job = (lookup_job *)base;
    lookup *request = job->request;
    (void)loop;
    if (request && result == 0) {
        request->addresses = job->addresses;
        request->count = job->count;
        job->addresses = NULL;
    }
    if (request) rondo__dns_end(&request->base, (int)result);
    free_job(base);
}

/* The request has left, and said so to its user. */
static void tell_nobody(rondo_loop *loop, rondo_job *base, int64_t result) {
    (void)loop, (void)base, (void)result;
}

static void untie(rondo_job *base) {
    lookup_job *job = (lookup_job *)base;
    if (job->request) job->request->job = NULL;
    job->request = NULL;
}

static void leave(rondo_dns_request *base) {
    lookup *request = (lookup *)base;
    lookup_job *job = request->job;
    if (!job) return; /* the loop is being freed, and the pool went first */
    untie(&job->base);
    /* A server that does not answer must hold neither a thread of the lane nor the end of the loop;
     * but if too many do already, this thread is waited for. */
    if (rondo_job_abandon(&job->base) == RONDO_EBUSY) (void)rondo_job_cancel(&job->base);
}

static void free_answer(rondo_dns_request *base) { rondo__free(((lookup *)base)->addresses); }

static void lookup_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                         void *arg) {
    const lookup *request = payload;
    bool ok = request->base.status == 0;
    (void)handle;
    ((rondo_dns_lookup_cb)fn)(loop, request->base.status, ok ? request->addresses : NULL,
                              ok ? request->count : 0, arg);
}
static const rondo__dns_kind lookup_kind = {
    .event = {"dns.lookup", lookup_thunk}, .leave = leave, .free = free_answer};

/* ---- the call ---- */

static int submit(lookup *request, const char *host, uint16_t port, unsigned flags) {
    size_t size = strlen(host) + 1;
    rondo_lane *lane = rondo_lane_dns(request->base.loop);
    lookup_job *job = lane ? rondo__zalloc(sizeof *job + size) : NULL;
    if (!job) return RONDO_ENOMEM;
    job->base.run = run_lookup;
    job->base.deliver = deliver_job;
    job->base.tell = tell_nobody;
    job->base.drop = free_job;
    job->base.untie = untie;
    job->base.weak = true; /* the loop lives for the request */
    job->base.loop = request->base.loop;
    job->flags = flags;
    job->port = port;
    memcpy(job->host, host, size);
    int error = rondo__job_submit(lane, &job->base, false);
    if (error < 0) {
        free_job(&job->base);
        return error;
    }
    job->request = request;
    request->job = job;
    return 0;
}

int rondo_dns_lookup(rondo_loop *loop, const char *host, uint16_t port,
                     const rondo_dns_lookup_options *options, rondo_dns_request **ret_request,
                     rondo_dns_lookup_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    unsigned flags = options ? options->flags : 0;
    rondo_dns_request *base;
    if (!(flags & FAMILIES)) flags |= FAMILIES;
    if (!cb || !rondo__dns_may_ask(host)) return RONDO_EINVAL;
    int error = rondo__dns_new(loop, &lookup_kind, sizeof(lookup), RONDO__FN(cb), arg, &base);
    if (error < 0) return error;
    lookup *request = (lookup *)base;
    int status = rondo__dns_local(host, port, flags, &request->addresses, &request->count);
    error = status == RONDO_ENOMEM   ? status
            : status == RONDO_EAGAIN ? submit(request, host, port, flags)
                                     : 0;
    if (error < 0) {
        rondo__dns_discard(base);
        return error;
    }
    rondo__dns_begin(base, options ? options->timeout_ms : 0);
    if (status != RONDO_EAGAIN) rondo__dns_end(base, status);
    if (ret_request) *ret_request = base;
    return 0;
}
