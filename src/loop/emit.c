/* SPDX-License-Identifier: MIT
 *
 * Listeners and emission. A slot is empty (fn NULL), holds one listener (fn, arg), or holds a list
 * (fn is the marker, arg the list). While a list is being emitted entries are only marked dead and
 * appended, so indexes stay true; the outermost emission tidies up.
 */
#include "loop/emit.h"

#include <stdio.h>
#include <string.h>

#include "loop/loop.h"
#include "loop/memory.h"

typedef struct listener {
    rondo__fn fn; /* NULL: dead */
    void *arg;
    bool once;
} listener;

typedef struct listener_list {
    unsigned count, capacity;
    unsigned dead;
    unsigned emitting; /* emissions of this list on the stack */
    listener *entries;
} listener_list;

/* In slot->fn: slot->arg is a listener_list. Not empty, lest a linker that folds identical
 * functions makes it the same as some callback. */
static void list_marker(void) { rondo__fatal("a list of listeners was called"); }

static listener_list *list_of(const rondo__slot *slot) {
    return slot->fn == list_marker ? slot->arg : NULL;
}

static bool takes_once_bit(unsigned index) { return index <= RONDO__SLOT_CLOSE; }

size_t rondo__slot_count(const rondo__slot *slot) {
    const listener_list *list = list_of(slot);
    if (list) return list->count - list->dead;
    return slot->fn ? 1 : 0;
}

void rondo__slot_fini(rondo__slot *slot) {
    listener_list *list = list_of(slot);
    if (list) {
        RONDO_ASSERT(list->emitting == 0);
        rondo__free(list->entries);
        rondo__free(list);
    }
    *slot = (rondo__slot){NULL, NULL};
}

static int append(listener_list *list, rondo__fn fn, void *arg, bool once) {
    if (list->count == list->capacity) {
        unsigned capacity = list->capacity ? list->capacity * 2 : 4;
        listener *entries = rondo__realloc(list->entries, capacity * sizeof *entries);
        if (!entries) return RONDO_ENOMEM;
        list->entries = entries;
        list->capacity = capacity;
    }
    list->entries[list->count++] = (listener){fn, arg, once};
    return 0;
}

/* Turns a slot with at most one inline listener into one with a list of it. */
static listener_list *make_list(rondo_handle *handle, rondo__slot *slot, unsigned index) {
    listener_list *list = rondo__zalloc(sizeof *list);
    if (!list) return NULL;
    if (slot->fn) {
        bool once = takes_once_bit(index) && (handle->once & 1u << index);
        if (append(list, slot->fn, slot->arg, once) < 0) {
            rondo__free(list);
            return NULL;
        }
        handle->once &= (uint16_t) ~(takes_once_bit(index) ? 1u << index : 0);
    }
    *slot = (rondo__slot){list_marker, list};
    return list;
}

int rondo__on(rondo_handle *handle, rondo__slot *slot, unsigned index, rondo__fn fn, void *arg,
              bool once) {
    if (!fn) return RONDO_EINVAL;
    /* `close` can be listened for until it is emitted: later ones would never be called. */
    bool last_chance = index == RONDO__SLOT_CLOSE && !(handle->flags & RONDO__HANDLE_EMITTED);
    if (rondo__handle_closing(handle) && !last_chance) return RONDO_ECLOSED;
    listener_list *list = list_of(slot);
    if (!slot->fn && (!once || takes_once_bit(index))) {
        *slot = (rondo__slot){fn, arg};
        if (once) handle->once |= (uint16_t)(1u << index);
        return 0;
    }
    if (!list && !(list = make_list(handle, slot, index))) return RONDO_ENOMEM;
    return append(list, fn, arg, once);
}

/* Removes the dead entries of a list that nobody walks. */
static void tidy(rondo__slot *slot, listener_list *list) {
    unsigned kept = 0;
    if (list->emitting > 0 || list->dead == 0) return;
    for (unsigned i = 0; i < list->count; i++)
        if (list->entries[i].fn) list->entries[kept++] = list->entries[i];
    list->count = kept;
    list->dead = 0;
    if (kept == 0) rondo__slot_fini(slot);
}

int rondo__off(rondo_handle *handle, rondo__slot *slot, unsigned index, rondo__fn fn, void *arg) {
    listener_list *list = list_of(slot);
    if (!fn) return RONDO_EINVAL;
    if (!list) {
        if (slot->fn != fn || slot->arg != arg) return RONDO_ENOENT;
        *slot = (rondo__slot){NULL, NULL};
        if (takes_once_bit(index)) handle->once &= (uint16_t) ~(1u << index);
        return 0;
    }
    for (unsigned i = list->count; i-- > 0;) {
        listener *entry = &list->entries[i];
        if (entry->fn != fn || entry->arg != arg) continue;
        entry->fn = NULL;
        list->dead++;
        tidy(slot, list);
        return 0;
    }
    return RONDO_ENOENT;
}

/* Whether the emission must stop: the handle began to close under it. `close` itself goes on. */
static bool cut_off(const rondo_handle *handle, unsigned index) {
    return rondo__handle_closing(handle) && index != RONDO__SLOT_CLOSE;
}

static int emit_list(rondo_handle *handle, rondo__slot *slot, listener_list *list, unsigned index,
                     const rondo__event *event, void *payload) {
    unsigned end = list->count; /* those added from now on wait for the next emission */
    int called = 0;
    list->emitting++;
    for (unsigned i = 0; i < end && !cut_off(handle, index); i++) {
        listener entry = list->entries[i]; /* copied: the array may move while it runs */
        if (!entry.fn) continue;
        if (entry.once) {
            list->entries[i].fn = NULL;
            list->dead++;
        }
        called++;
        rondo__door(handle->loop, handle, event, entry.fn, payload, entry.arg);
    }
    list->emitting--;
    tidy(slot, list);
    return called;
}

int rondo__emit(rondo_handle *handle, rondo__slot *slot, unsigned index, const rondo__event *event,
                void *payload) {
    if (!slot->fn || cut_off(handle, index)) return 0;
    listener_list *list = list_of(slot);
    if (list) return emit_list(handle, slot, list, index, event, payload);
    rondo__slot only = *slot;
    if (takes_once_bit(index) && (handle->once & 1u << index)) {
        handle->once &= (uint16_t) ~(1u << index);
        *slot = (rondo__slot){NULL, NULL};
    }
    rondo__door(handle->loop, handle, event, only.fn, payload, only.arg);
    return 1;
}

/* ---- errors that nobody heard ---- */

static void uncaught_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                           void *arg) {
    (void)handle;
    ((rondo_uncaught_cb)fn)(loop, payload, arg);
}
static const rondo__event uncaught_event = {"uncaught", uncaught_thunk};

static void die_uncaught(rondo_loop *loop, const rondo_uncaught *what, void *arg) {
    (void)loop, (void)arg;
    if (!what->handle)
        rondo__fatal("uncaught error %s (%s): %s", rondo_error_name(what->error),
                     rondo_error_text(what->error), what->message);
    rondo__fatal("uncaught error %s (%s) on the %s '%s' made at %s: %s\n"
                 "rondo: listen for its error event, or set rondo_loop_on_uncaught()",
                 rondo_error_name(what->error), rondo_error_text(what->error), what->kind,
                 what->name, what->site, what->message);
}

void rondo__uncaught(rondo_loop *loop, rondo_handle *handle, int error, const char *message) {
    rondo_uncaught what = {
        .error = error,
        .handle = handle,
        .kind = handle ? handle->kind->name : "",
        .name = handle ? rondo__handle_name(handle) : "",
        .site = handle ? rondo__handle_site(handle) : "",
        .message = message,
    };
    rondo_uncaught_cb cb = loop->uncaught ? loop->uncaught : die_uncaught;
    rondo__door(loop, handle, &uncaught_event, RONDO__FN(cb), &what, loop->uncaught_arg);
}

void rondo__count_unheard(rondo_loop *loop) { loop->metrics.unheard_errors++; }

void rondo__count_cached(rondo_loop *loop, bool done) {
    if (done)
        loop->metrics.cached_files++;
    else
        loop->metrics.missed_files++;
}

void rondo_loop_on_uncaught(rondo_loop *loop, rondo_uncaught_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    loop->uncaught = cb;
    loop->uncaught_arg = arg;
}
