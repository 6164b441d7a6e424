/* SPDX-License-Identifier: MIT
 *
 * rondo_dns_reverse(): getnameinfo(3) on the dns lane. As in lookup.c, the job has its own memory.
 */
#include <netdb.h>
#include <string.h>

#include "loop/memory.h"
#include "net/address.h"
#include "net/dns/errors.h"
#include "net/dns/request.h"
#include "threadpool/job.h"

typedef struct reverse reverse;

typedef struct host_and_service {
    char host[RONDO__DNS_NAME_MAX + 2]; /* a final dot is possible */
    char service[64];
} host_and_service;

typedef struct reverse_job {
    rondo_job base;
    reverse *request; /* NULL: nobody waits any more; the loop thread's */
    rondo_address address;
    bool names_only;
    host_and_service names;
} reverse_job;

struct reverse {
    rondo_dns_request base;
    reverse_job *job; /* NULL: over */
    host_and_service names;
};

/* ---- on the worker ---- */

/* An address that has no name comes back as a number, perhaps with the name of an interface. */
static bool is_number(const char *host) {
    rondo_address address;
    return strcmp(host, "localhost") != 0 && rondo_address_parse(host, 0, &address) == 0;
}

static int64_t run_reverse(rondo_job *base) {
    reverse_job *job = (reverse_job *)base;
    host_and_service *names = &job->names;
    int flags = job->names_only ? NI_NAMEREQD : 0;
    int error = getnameinfo(rondo__sockaddr_const(&job->address), job->address.len, names->host,
                            sizeof names->host, names->service, sizeof names->service, flags);
    if (error) return rondo__dns_error_from_eai(error);
    return rondo__dns_is_host_name(names->host) || is_number(names->host) ? 0 : RONDO_EPROTO;
}

/* ---- on the loop thread ---- */

static void free_job(rondo_job *base) {
    reverse_job *job = (reverse_job *)base;
    if (job->request) job->request->job = NULL;
    rondo__free(job);
}

static void deliver_job(rondo_loop *loop, rondo_job *base, int64_t result) {
    reverse_job *job = (reverse_job *)base;
    (void)loop;
    if (job->request) {
        if (result == 0) job->request->names = job->names;
        rondo__dns_end(&job->request->base, (int)result);
    }
    free_job(base);
}

/* The request has left, and said so to its user. */
static void tell_nobody(rondo_loop *loop, rondo_job *base, int64_t result) {
    (void)loop, (void)base, (void)result;
}

static void untie(rondo_job *base) {
    reverse_job *job = (reverse_job *)base;
    if (job->request) job->request->job = NULL;
    job->request = NULL;
}

static void leave(rondo_dns_request *base) {
    reverse_job *job = ((reverse *)base)->job;
    if (!job) return; /* the loop is being freed, and the pool went first */
    untie(&job->base);
    if (rondo_job_abandon(&job->base) == RONDO_EBUSY) (void)rondo_job_cancel(&job->base);
}

static void free_answer(rondo_dns_request *base) { (void)base; }

static void reverse_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    const reverse *request = payload;
    bool ok = request->base.status == 0;
    (void)handle;
    ((rondo_dns_reverse_cb)fn)(loop, request->base.status, ok ? request->names.host : NULL,
                               ok ? request->names.service : NULL, arg);
}
static const rondo__dns_kind reverse_kind = {
    .event = {"dns.reverse", reverse_thunk}, .leave = leave, .free = free_answer};

static int submit(reverse *request, const rondo_address *address, unsigned flags) {
    rondo_lane *lane = rondo_lane_dns(request->base.loop);
    reverse_job *job = lane ? rondo__zalloc(sizeof *job) : NULL;
    if (!job) return RONDO_ENOMEM;
    job->base.run = run_reverse;
    job->base.deliver = deliver_job;
    job->base.tell = tell_nobody;
    job->base.drop = free_job;
    job->base.untie = untie;
    job->base.weak = true; /* the loop lives for the request */
    job->base.loop = request->base.loop;
    job->address = *address;
    job->names_only = flags & RONDO_DNS_NAMES_ONLY;
    int error = rondo__job_submit(lane, &job->base, false);
    if (error < 0) {
        free_job(&job->base);
        return error;
    }
    job->request = request;
    request->job = job;
    return 0;
}

int rondo_dns_reverse(rondo_loop *loop, const rondo_address *address,
                      const rondo_dns_lookup_options *options, rondo_dns_request **ret_request,
                      rondo_dns_reverse_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    rondo_dns_request *base;
    if (!cb || !address) return RONDO_EINVAL;
    rondo_family family = rondo_address_family(address);
    if (family != RONDO_FAMILY_IPV4 && family != RONDO_FAMILY_IPV6) return RONDO_EINVAL;
    int error = rondo__dns_new(loop, &reverse_kind, sizeof(reverse), RONDO__FN(cb), arg, &base);
    if (error < 0) return error;
    error = submit((reverse *)base, address, options ? options->flags : 0);
    if (error < 0) {
        rondo__dns_discard(base);
        return error;
    }
    rondo__dns_begin(base, options ? options->timeout_ms : 0);
    if (ret_request) *ret_request = base;
    return 0;
}
