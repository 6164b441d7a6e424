/* SPDX-License-Identifier: MIT
 *
 * An emitter for a user's own objects and events, on the machinery that all handles use: listeners
 * in the order of adding, safe to add and remove while emitting, each called through the loop's
 * door. rondo_emitter_emit() is the one call that runs callbacks before it returns: that is what it
 * is asked to do. Loop thread only.
 */
#ifndef RONDO_EMITTER_H
#define RONDO_EMITTER_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* payload is what the emission was given; its type is a matter between the two sides, see
 * RONDO_EMITTER_EVENT for a way that the compiler checks. */
typedef void (*rondo_emitter_cb)(rondo_emitter *emitter, void *payload, void *arg);
typedef void (*rondo_emitter_error_cb)(rondo_emitter *emitter, int error, void *arg);

/* Never keeps the loop alive. NULL when out of memory. */
#define rondo_emitter_new(loop) rondo_emitter_new_at((loop), RONDO_HERE)
RONDO_API rondo_emitter *rondo_emitter_new_at(rondo_loop *loop, const char *site);

/* event: any text, compared by content and copied at its first use. Return values as of
 * RONDO_DECLARE_EVENT. */
RONDO_API int rondo_emitter_on(rondo_emitter *emitter, const char *event, rondo_emitter_cb cb,
                               void *arg);
RONDO_API int rondo_emitter_once(rondo_emitter *emitter, const char *event, rondo_emitter_cb cb,
                                 void *arg);
RONDO_API int rondo_emitter_off(rondo_emitter *emitter, const char *event, rondo_emitter_cb cb,
                                void *arg);

/* Calls the listeners of event, one after another. Returns how many were called, or
 * RONDO_ECLOSED. When one of them closes the emitter, those after it are not called. */
RONDO_API int rondo_emitter_emit(rondo_emitter *emitter, const char *event, void *payload);

/* The `error` event, a typed one: without a listener it goes to the loop's uncaught handler. */
RONDO_DECLARE_EVENT(rondo_emitter, rondo_emitter, error, rondo_emitter_error_cb);
RONDO_API int rondo_emitter_emit_error(rondo_emitter *emitter, int error);

/* How many listeners event has. */
RONDO_API size_t rondo_emitter_count(const rondo_emitter *emitter, const char *event);

/* Defines PREFIX_on_EVENT, PREFIX_once_EVENT, PREFIX_off_EVENT and PREFIX_emit_EVENT for payloads
 * of type `const payload_type *`, checked by the compiler. Use it at file scope. The callback is
 * void cb(rondo_emitter *, const payload_type *, void *arg). */
typedef void (*rondo_any_cb)(void);
typedef void (*rondo_emitter_thunk)(rondo_any_cb cb, rondo_emitter *emitter, void *payload,
                                    void *arg);
RONDO_API int rondo_emitter_on_typed(rondo_emitter *emitter, const char *event, bool once,
                                     rondo_emitter_thunk thunk, rondo_any_cb cb, void *arg);
RONDO_API int rondo_emitter_off_typed(rondo_emitter *emitter, const char *event, rondo_any_cb cb,
                                      void *arg);

#define RONDO_EMITTER_EVENT(prefix, event, payload_type)                                           \
    typedef void (*prefix##_##event##_cb)(rondo_emitter *, const payload_type *, void *);          \
    RONDO__UNUSED static inline void prefix##_##event##_thunk(                                     \
        rondo_any_cb cb_, rondo_emitter *emitter_, void *payload_, void *arg_) {                   \
        ((prefix##_##event##_cb)cb_)(emitter_, (const payload_type *)payload_, arg_);              \
    }                                                                                              \
    RONDO__UNUSED static inline int prefix##_on_##event(rondo_emitter *emitter_,                   \
                                                        prefix##_##event##_cb cb_, void *arg_) {   \
        return rondo_emitter_on_typed(emitter_, #prefix "." #event, false,                         \
                                      prefix##_##event##_thunk, (rondo_any_cb)cb_, arg_);          \
    }                                                                                              \
    RONDO__UNUSED static inline int prefix##_once_##event(rondo_emitter *emitter_,                 \
                                                          prefix##_##event##_cb cb_, void *arg_) { \
        return rondo_emitter_on_typed(emitter_, #prefix "." #event, true,                          \
                                      prefix##_##event##_thunk, (rondo_any_cb)cb_, arg_);          \
    }                                                                                              \
    RONDO__UNUSED static inline int prefix##_off_##event(rondo_emitter *emitter_,                  \
                                                         prefix##_##event##_cb cb_, void *arg_) {  \
        return rondo_emitter_off_typed(emitter_, #prefix "." #event, (rondo_any_cb)cb_, arg_);     \
    }                                                                                              \
    RONDO__UNUSED static inline int prefix##_emit_##event(rondo_emitter *emitter_,                 \
                                                          const payload_type *payload_) {          \
        return rondo_emitter_emit(emitter_, #prefix "." #event, (void *)(uintptr_t)payload_);      \
    }                                                                                              \
    typedef int prefix##_##event##_defined

#ifdef __cplusplus
}
#endif
#endif
