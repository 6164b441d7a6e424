/* SPDX-License-Identifier: MIT
 *
 * rondo_emitter: events with names for a user's own objects. Each name has one entry, made at its
 * first listener and kept until the emitter goes; objects have few events, so a list will do.
 */
#include <rondo/emitter.h>

#include <string.h>

#include "loop/emit.h"
#include "loop/loop.h"
#include "loop/memory.h"

typedef struct named {
    rondo__event event;        /* first: its thunk finds the rest; event.name is text below */
    rondo__list link;          /* emitter->events */
    rondo_emitter_thunk typed; /* NULL: listeners are rondo_emitter_cb */
    rondo__slot slot;
    char text[];
} named;

/* What a door visit carries. */
typedef struct emission {
    const named *event;
    void *payload;
} emission;

enum { ON_ERROR, ON_COUNT };

struct rondo_emitter {
    rondo_handle base;
    rondo__slot on[ON_COUNT];
    rondo__list events;
};

static void emitter_free(rondo_handle *handle) {
    rondo_emitter *emitter = (rondo_emitter *)handle;
    for (rondo__list *link; (link = rondo__list_pop_front(&emitter->events));) {
        named *event = RONDO__OF(link, named, link);
        rondo__slot_fini(&event->slot);
        rondo__free(event);
    }
}

static const rondo__kind emitter_kind = {
    .name = "emitter",
    .size = sizeof(rondo_emitter),
    .free = emitter_free,
    .slots_offset = offsetof(rondo_emitter, on),
    .slot_count = ON_COUNT,
};

static void named_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    const emission *what = payload;
    rondo_emitter *emitter = (rondo_emitter *)handle;
    (void)loop;
    if (what->event->typed) {
        what->event->typed((rondo_any_cb)fn, emitter, what->payload, arg);
    } else {
        ((rondo_emitter_cb)fn)(emitter, what->payload, arg);
    }
}

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_emitter_error_cb)fn)((rondo_emitter *)handle, *(int *)payload, arg);
}
static const rondo__event error_event = {"emitter.error", error_thunk};

static named *find(const rondo_emitter *emitter, const char *event) {
    for (rondo__list *link = emitter->events.next; link != &emitter->events; link = link->next) {
        named *entry = RONDO__OF(link, named, link);
        if (strcmp(entry->text, event) == 0) return entry;
    }
    return NULL;
}

static named *make(rondo_emitter *emitter, const char *event, rondo_emitter_thunk typed) {
    size_t size = strlen(event) + 1;
    named *entry = rondo__zalloc(sizeof *entry + size);
    if (!entry) return NULL;
    memcpy(entry->text, event, size);
    entry->event = (rondo__event){entry->text, named_thunk};
    entry->typed = typed;
    rondo__list_push_back(&emitter->events, &entry->link);
    return entry;
}

static int add(rondo_emitter *emitter, const char *event, rondo_emitter_thunk typed, rondo__fn fn,
               void *arg, bool once) {
    if (!event || !fn) return RONDO_EINVAL;
    if (rondo__handle_closing(&emitter->base)) return RONDO_ECLOSED;
    named *entry = find(emitter, event);
    if (entry && entry->typed != typed) {
        if (rondo__heard(&entry->slot)) return RONDO_EINVAL; /* their payloads would be mixed up */
        entry->typed = typed;
    }
    if (!entry && !(entry = make(emitter, event, typed))) return RONDO_ENOMEM;
    return rondo__on(&emitter->base, &entry->slot, RONDO__SLOT_NAMED, fn, arg, once);
}

static int drop(rondo_emitter *emitter, const char *event, rondo__fn fn, void *arg) {
    if (!event) return RONDO_EINVAL;
    named *entry = find(emitter, event);
    if (!entry) return RONDO_ENOENT;
    return rondo__off(&emitter->base, &entry->slot, RONDO__SLOT_NAMED, fn, arg);
}

rondo_emitter *rondo_emitter_new_at(rondo_loop *loop, const char *site) {
    RONDO__CHECK_LOOP(loop);
    rondo_emitter *emitter = rondo__handle_new(loop, &emitter_kind, site);
    if (emitter) rondo__list_init(&emitter->events);
    return emitter;
}

int rondo_emitter_on(rondo_emitter *emitter, const char *event, rondo_emitter_cb cb, void *arg) {
    RONDO__CHECK(emitter, &emitter_kind);
    return add(emitter, event, NULL, RONDO__FN(cb), arg, false);
}

int rondo_emitter_once(rondo_emitter *emitter, const char *event, rondo_emitter_cb cb, void *arg) {
    RONDO__CHECK(emitter, &emitter_kind);
    return add(emitter, event, NULL, RONDO__FN(cb), arg, true);
}

int rondo_emitter_off(rondo_emitter *emitter, const char *event, rondo_emitter_cb cb, void *arg) {
    RONDO__CHECK(emitter, &emitter_kind);
    return drop(emitter, event, RONDO__FN(cb), arg);
}

int rondo_emitter_on_typed(rondo_emitter *emitter, const char *event, bool once,
                           rondo_emitter_thunk thunk, rondo_any_cb cb, void *arg) {
    RONDO__CHECK(emitter, &emitter_kind);
    return add(emitter, event, thunk, RONDO__FN(cb), arg, once);
}

int rondo_emitter_off_typed(rondo_emitter *emitter, const char *event, rondo_any_cb cb, void *arg) {
    RONDO__CHECK(emitter, &emitter_kind);
    return drop(emitter, event, RONDO__FN(cb), arg);
}

int rondo_emitter_emit(rondo_emitter *emitter, const char *event, void *payload) {
    RONDO__CHECK(emitter, &emitter_kind);
    if (rondo__handle_closing(&emitter->base)) return RONDO_ECLOSED;
    if (!event) return RONDO_EINVAL;
    named *entry = find(emitter, event);
    if (!entry) return 0;
    emission what = {entry, payload};
    return rondo__emit(&emitter->base, &entry->slot, RONDO__SLOT_NAMED, &entry->event, &what);
}

int rondo_emitter_emit_error(rondo_emitter *emitter, int error) {
    RONDO__CHECK(emitter, &emitter_kind);
    if (rondo__handle_closing(&emitter->base)) return RONDO_ECLOSED;
    if (!rondo__heard(&emitter->on[ON_ERROR])) {
        rondo__uncaught(emitter->base.loop, &emitter->base, error, "emitted by the program");
        return 0;
    }
    return rondo__emit(&emitter->base, &emitter->on[ON_ERROR], ON_ERROR, &error_event, &error);
}

size_t rondo_emitter_count(const rondo_emitter *emitter, const char *event) {
    RONDO__CHECK(emitter, &emitter_kind);
    const named *entry = event ? find(emitter, event) : NULL;
    return entry ? rondo__slot_count(&entry->slot) : 0;
}

RONDO__DEFINE_EVENT(rondo_emitter, rondo_emitter, error, rondo_emitter_error_cb, &emitter_kind,
                    ON_ERROR);
