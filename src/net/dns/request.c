/* SPDX-License-Identifier: MIT
 *
 * The life of a request: see request.h. Whatever ends it comes through rondo__dns_end() or end_early(),
 * and whatever comes second finds `ended`. The callback is called in one place, deliver().
 */
#include "net/dns/request.h"

#include <string.h>

#include "loop/attach.h"
#include "loop/memory.h"

#define MAGIC 0x52ad100du

/* The part of a loop that knows its open requests. */
typedef struct dns_part {
    rondo__list requests;
    rondo__at_free at_free;
    rondo__at_free at_close_all;
} dns_part;

/* ---- the end ---- */

static void dispose(rondo_dns_request *request) {
    request->kind->free(request);
    *(volatile uint32_t *)&request->magic = 0;
    rondo__free(request);
}

static void deliver(rondo_loop *loop, rondo__task *task) {
    rondo_dns_request *request = RONDO__OF(task, rondo_dns_request, task);
    RONDO_ASSERT(request->magic == MAGIC && request->ended);
    rondo__list_remove(&request->link); /* closing everything in the callback is not for it */
    rondo__loop_release(loop);
    rondo__door(loop, NULL, &request->kind->event, request->cb, request, request->arg);
    dispose(request);
}

void rondo__dns_end(rondo_dns_request *request, int status) {
    RONDO_ASSERT(request->magic == MAGIC && !request->ended);
    request->ended = true;
    request->status = status;
    rondo__alarm_clear(&request->alarm);
    rondo__defer(request->loop, &request->task);
}

static void end_early(rondo_dns_request *request, int status) {
    request->kind->leave(request);
    rondo__dns_end(request, status);
}

static void on_timeout(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    end_early(RONDO__OF(alarm, rondo_dns_request, alarm), RONDO_ETIMEDOUT);
}

int rondo_dns_cancel(rondo_dns_request *request) {
    if (RONDO__UNLIKELY(!request || request->magic != MAGIC))
        rondo__fatal("rondo_dns_cancel: %p is no request; one is gone when its callback has run",
                     (void *)request);
    RONDO__CHECK_LOOP(request->loop);
    if (!request->ended) {
        end_early(request, RONDO_ECANCELED);
        return 0;
    }
    if (!rondo__list_linked(&request->link)) return RONDO_ENOENT; /* its callback is running */
    /* What has come and nobody has seen yet is thrown away, so that who cancels is sure to hear so. */
    request->status = RONDO_ECANCELED;
    return 0;
}

/* Nobody is called. */
static void drop(rondo_dns_request *request) {
    if (!request->ended) request->kind->leave(request);
    rondo__list_remove(&request->link);
    rondo__alarm_clear(&request->alarm);
    rondo__task_cancel(&request->task);
    rondo__loop_release(request->loop);
    dispose(request);
}

void rondo__dns_forget(rondo_dns_request *request) {
    RONDO_ASSERT(request->magic == MAGIC && rondo__list_linked(&request->link));
    drop(request);
}

/* ---- all of a loop ---- */

static void on_close_all(rondo_loop *loop, rondo__at_free *hook) {
    dns_part *part = RONDO__OF(hook, dns_part, at_close_all);
    (void)loop;
    for (rondo__list *link = part->requests.next; link != &part->requests; link = link->next)
        (void)rondo_dns_cancel(RONDO__OF(link, rondo_dns_request, link));
}

/* Frees what was never delivered; nobody is called. Its work may be freed before or after. */
static void on_loop_free(rondo_loop *loop, rondo__at_free *hook) {
    dns_part *part = RONDO__OF(hook, dns_part, at_free);
    while (!rondo__list_empty(&part->requests))
        drop(RONDO__OF(part->requests.next, rondo_dns_request, link));
    rondo__loop_set_part(loop, RONDO__PART_DNS, NULL);
    rondo__free(part);
}

static dns_part *part_of(rondo_loop *loop) {
    dns_part *part = rondo__loop_part(loop, RONDO__PART_DNS);
    if (part) return part;
    part = rondo__zalloc(sizeof *part);
    if (!part) return NULL;
    rondo__list_init(&part->requests);
    rondo__at_loop_free(loop, &part->at_free, on_loop_free);
    rondo__at_close_all(loop, &part->at_close_all, on_close_all);
    rondo__loop_set_part(loop, RONDO__PART_DNS, part);
    return part;
}

/* ---- the beginning ---- */

int rondo__dns_new(rondo_loop *loop, const rondo__dns_kind *kind, size_t size, rondo__fn cb,
                   void *arg, rondo_dns_request **ret_request) {
    if (!part_of(loop)) return RONDO_ENOMEM;
    rondo_dns_request *request = rondo__zalloc(size);
    if (!request) return RONDO_ENOMEM;
    request->magic = MAGIC;
    request->kind = kind;
    request->loop = loop;
    request->cb = cb;
    request->arg = arg;
    rondo__list_init(&request->link);
    rondo__task_init(&request->task, deliver);
    rondo__alarm_init(&request->alarm, on_timeout);
    *ret_request = request;
    return 0;
}

void rondo__dns_discard(rondo_dns_request *request) {
    RONDO_ASSERT(!rondo__list_linked(&request->link));
    dispose(request);
}

void rondo__dns_begin(rondo_dns_request *request, uint32_t timeout_ms) {
    dns_part *part = part_of(request->loop);
    rondo__list_push_back(&part->requests, &request->link);
    rondo__loop_hold(request->loop);
    if (timeout_ms > 0) rondo__alarm_set_in_ms(request->loop, &request->alarm, timeout_ms);
}
