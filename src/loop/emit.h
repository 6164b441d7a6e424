/* SPDX-License-Identifier: MIT
 *
 * Listeners and emission, for every event of every handle. One listener is stored inline in the
 * event's slot; a list is allocated for the second. Emission is safe against everything that a
 * listener may do: add, remove, close the handle. Internal.
 */
#ifndef RONDO__EMIT_H
#define RONDO__EMIT_H

#include "loop/handle.h"

/* index: the slot's place in handle->once; RONDO__SLOT_NAMED for slots that have none. Return
 * values as of RONDO_DECLARE_EVENT. */
int rondo__on(rondo_handle *handle, rondo__slot *slot, unsigned index, rondo__fn fn, void *arg,
              bool once);
int rondo__off(rondo_handle *handle, rondo__slot *slot, unsigned index, rondo__fn fn, void *arg);

/* How many listeners there are, and whether there is any. */
size_t rondo__slot_count(const rondo__slot *slot);
static inline bool rondo__heard(const rondo__slot *slot) {
    return slot->fn && rondo__slot_count(slot) > 0;
}

/* Calls the listeners through the door, one after another; stops when the handle begins to close.
 * Returns how many were called. Does nothing on a handle that is closing. */
int rondo__emit(rondo_handle *handle, rondo__slot *slot, unsigned index, const rondo__event *event,
                void *payload);
/* Frees the slot's list, if it has one. */
void rondo__slot_fini(rondo__slot *slot);

extern const rondo__event rondo__close_event; /* handle.c */

/* Emits `close` itself, the last event: its slot is empty then. Few listen for it, of all handles. */
static inline void rondo__emit_close(rondo_handle *handle) {
    handle->flags |= RONDO__HANDLE_EMITTED;
    if (!handle->on_close.fn) return;
    rondo__emit(handle, &handle->on_close, RONDO__SLOT_CLOSE, &rondo__close_event, NULL);
    rondo__slot_fini(&handle->on_close);
}

/* An error that nobody listened for, to the loop's uncaught handler. handle may be NULL. */
void rondo__uncaught(rondo_loop *loop, rondo_handle *handle, int error, const char *message);

/* Counts an error that nobody listened for and that must not reach the uncaught handler. */
void rondo__count_unheard(rondo_loop *loop);
/* A file operation was tried from the kernel's caches. */
void rondo__count_cached(rondo_loop *loop, bool done);

/* Defines PREFIX_on_EVENT, _once_ and _off_ for a slot in an array `on` of the handle's struct. */
#define RONDO__DEFINE_EVENT(type, prefix, event, callback, kind, index)                        \
    int prefix##_on_##event(type *handle, callback cb, void *arg) {                            \
        RONDO__CHECK(handle, kind);                                                            \
        return rondo__on(&handle->base, &handle->on[index], index, RONDO__FN(cb), arg, false); \
    }                                                                                          \
    int prefix##_once_##event(type *handle, callback cb, void *arg) {                          \
        RONDO__CHECK(handle, kind);                                                            \
        return rondo__on(&handle->base, &handle->on[index], index, RONDO__FN(cb), arg, true);  \
    }                                                                                          \
    int prefix##_off_##event(type *handle, callback cb, void *arg) {                           \
        RONDO__CHECK(handle, kind);                                                            \
        return rondo__off(&handle->base, &handle->on[index], index, RONDO__FN(cb), arg);       \
    }                                                                                          \
    typedef int prefix##_##event##_defined

#endif
