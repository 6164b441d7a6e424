/* SPDX-License-Identifier: MIT
 *
 * The base of all handles: birth, close, death, and the checks that every public function begins
 * with. What a kind of handle does at these points is in its own file, in its rondo__kind.
 */
#include "loop/handle.h"

#include <string.h>

#include "loop/emit.h"
#include "loop/loop.h"
#include "loop/memory.h"

#if defined(__GNUC__)
#define HANDLE(any) ((any).handle)
#else
#define HANDLE(any) ((rondo_handle *)(any))
#endif

_Noreturn void rondo__handle_misused(const rondo_handle *handle, const rondo__kind *kind,
                                     const char *function) {
    if (!handle) rondo__fatal("%s: the handle is NULL", function);
    if (handle->magic == RONDO__MAGIC_DEAD)
        rondo__fatal("%s: the %s '%s' made at %s was used after its close event", function,
                     handle->kind->name, rondo__handle_name(handle), rondo__handle_site(handle));
    if (handle->magic != RONDO__MAGIC_ALIVE)
        rondo__fatal("%s: %p is not a handle, or was freed long ago", function,
                     (const void *)handle);
    if (kind && handle->kind != kind)
        rondo__fatal("%s: wants a %s, got the %s '%s' made at %s", function, kind->name,
                     handle->kind->name, rondo__handle_name(handle), rondo__handle_site(handle));
    rondo__fatal("%s: the %s '%s' made at %s was used from a thread that does not run its loop; "
                 "use rondo_loop_post()",
                 function, handle->kind->name, rondo__handle_name(handle),
                 rondo__handle_site(handle));
}

/* ---- birth ---- */

void rondo__handle_init(rondo_handle *handle, rondo_loop *loop, const rondo__kind *kind,
                        const char *site) {
    if (!loop->front.running) rondo__loop_refresh_now(loop); /* it may be from long ago */
    /* One by one: clearing them first would cost as much again, for every HTTP request. */
    rondo__list_push_back(&loop->handles, &handle->link);
    rondo__task_init(&handle->task, rondo__close_task);
    handle->who.site = site;
    handle->data = NULL;
    handle->created_ns = loop->now_ns;
    handle->on_close = (rondo__slot){NULL, NULL};
    handle->kind = kind;
    handle->loop = loop;
    handle->magic = RONDO__MAGIC_ALIVE;
    handle->flags = 0;
    handle->once = 0;
    loop->handle_count++;
}

void *rondo__handle_new(rondo_loop *loop, const rondo__kind *kind, const char *site) {
    RONDO_ASSERT(kind->size >= sizeof(rondo_handle));
    rondo_handle *handle = rondo__zalloc(kind->size);
    if (handle) rondo__handle_init(handle, loop, kind, site);
    return handle;
}

void rondo__handle_drop_name(rondo_handle *handle) {
    if (!(handle->flags & RONDO__HANDLE_NAMED)) return;
    rondo__label *label = handle->who.label;
    handle->who.site = label->site;
    handle->flags &= (uint16_t)~RONDO__HANDLE_NAMED;
    rondo__free(label);
}

void rondo__handle_discard(rondo_handle *handle) {
    RONDO_ASSERT(!rondo__handle_closing(handle) && !rondo__heard(&handle->on_close));
    rondo__handle_deactivate(handle);
    rondo__list_remove(&handle->link);
    handle->loop->handle_count--;
    rondo__handle_drop_name(handle);
    rondo__free(handle);
}

/* ---- activity ---- */

static bool counts(const rondo_handle *handle) {
    return (handle->flags & (RONDO__HANDLE_ACTIVE | RONDO__HANDLE_UNREF)) == RONDO__HANDLE_ACTIVE;
}

static void set_flags(rondo_handle *handle, unsigned set, unsigned clear) {
    bool counted = counts(handle);
    handle->flags = (uint16_t)((handle->flags | set) & ~clear);
    handle->loop->active_count += (size_t)counts(handle) - (size_t)counted;
}

void rondo__handle_activate(rondo_handle *handle) {
    RONDO_ASSERT(!rondo__handle_closing(handle));
    set_flags(handle, RONDO__HANDLE_ACTIVE, 0);
}

void rondo__handle_deactivate(rondo_handle *handle) { set_flags(handle, 0, RONDO__HANDLE_ACTIVE); }

void rondo_ref(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    set_flags(HANDLE(any), 0, RONDO__HANDLE_UNREF);
}

void rondo_unref(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    set_flags(HANDLE(any), RONDO__HANDLE_UNREF, 0);
}

bool rondo_has_ref(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return !(HANDLE(any)->flags & RONDO__HANDLE_UNREF);
}

bool rondo_is_active(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return (HANDLE(any)->flags & RONDO__HANDLE_ACTIVE) != 0;
}

bool rondo_is_closing(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return rondo__handle_closing(HANDLE(any));
}

/* ---- close and death ---- */

static inline void close_later(rondo_handle *handle) {
    RONDO_ASSERT(!rondo__list_linked(&handle->task.link));
    rondo__list_push_back(&handle->loop->closing, &handle->task.link);
    handle->loop->closed++;
}

void rondo_close(rondo_any_handle any) {
    rondo_handle *handle = HANDLE(any);
    if (!handle) return;
    RONDO__CHECK(handle, NULL);
    if (rondo__handle_closing(handle)) return;
    if (handle->kind->stop) handle->kind->stop(handle);
    set_flags(handle, RONDO__HANDLE_CLOSING, RONDO__HANDLE_ACTIVE);
    close_later(handle);
}

void rondo__handle_close_idle(rondo_handle *handle) {
    RONDO_ASSERT(!(handle->flags & (RONDO__HANDLE_ACTIVE | RONDO__HANDLE_CLOSING)));
    handle->flags |= RONDO__HANDLE_CLOSING;
    close_later(handle);
}

/* The memory is kept for a while, marked dead: see RONDO__QUARANTINE. */
static void bury(rondo_handle *handle) {
    rondo_loop *loop = handle->loop;
    rondo_handle **place = &loop->quarantine[loop->quarantine_at++ % RONDO__QUARANTINE];
    if (*place) {
        rondo__handle_drop_name(*place);
        rondo__free(*place);
    }
    *place = handle;
}

/* The closing phase, for one handle. */
void rondo__close_task(rondo_loop *loop, rondo__task *task) {
    rondo_handle *handle = RONDO__OF(task, rondo_handle, task);
    const rondo__kind *kind = handle->kind;
    if (kind->finish) kind->finish(handle);
    rondo__emit_close(handle);
    for (unsigned i = 0; i < kind->slot_count; i++)
        rondo__slot_fini((rondo__slot *)(void *)((char *)handle + kind->slots_offset) + i);
    if (kind->free) kind->free(handle);
    rondo__list_remove(&handle->link);
    loop->handle_count--;
    /* volatile: compilers drop plain stores to memory that is about to be freed */
    *(volatile uint32_t *)&handle->magic = RONDO__MAGIC_DEAD;
    if (kind->recycle) {
        rondo__handle_drop_name(handle);
        kind->recycle(handle);
    } else {
        bury(handle);
    }
}

void rondo__handle_close_late(rondo_handle *handle) {
    RONDO_ASSERT(rondo__handle_closing(handle) && !rondo__list_linked(&handle->task.link));
    handle->task.run = rondo__close_task;
    rondo__list_push_back(&handle->loop->closing, &handle->task.link);
}

static void close_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_close_cb)fn)(handle, arg);
}

const rondo__event rondo__close_event = {"close", close_thunk};

int rondo_on_close(rondo_any_handle any, rondo_close_cb cb, void *arg) {
    rondo_handle *handle = HANDLE(any);
    RONDO__CHECK(handle, NULL);
    return rondo__on(handle, &handle->on_close, RONDO__SLOT_CLOSE, RONDO__FN(cb), arg, false);
}

int rondo_off_close(rondo_any_handle any, rondo_close_cb cb, void *arg) {
    rondo_handle *handle = HANDLE(any);
    RONDO__CHECK(handle, NULL);
    return rondo__off(handle, &handle->on_close, RONDO__SLOT_CLOSE, RONDO__FN(cb), arg);
}

/* ---- who it is ---- */

int rondo_set_name(rondo_any_handle any, const char *name) {
    rondo_handle *handle = HANDLE(any);
    RONDO__CHECK(handle, NULL);
    rondo__label *label = NULL;
    if (name) {
        size_t size = strlen(name) + 1;
        if (!(label = rondo__alloc(sizeof *label + size))) return RONDO_ENOMEM;
        label->site = rondo__handle_site(handle);
        memcpy(label->name, name, size);
    }
    rondo__handle_drop_name(handle);
    if (!label) return 0;
    handle->who.label = label;
    handle->flags |= RONDO__HANDLE_NAMED;
    return 0;
}

const char *rondo_name(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return rondo__handle_name(HANDLE(any));
}

const char *rondo_kind(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return HANDLE(any)->kind->name;
}

const char *rondo_site(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return rondo__handle_site(HANDLE(any));
}

void rondo_set_data(rondo_any_handle any, void *data) {
    RONDO__CHECK(HANDLE(any), NULL);
    HANDLE(any)->data = data;
}

void *rondo_data(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return HANDLE(any)->data;
}

rondo_loop *rondo_handle_loop(rondo_any_handle any) {
    RONDO__CHECK(HANDLE(any), NULL);
    return HANDLE(any)->loop;
}
