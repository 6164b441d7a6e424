/* SPDX-License-Identifier: MIT
 *
 * What all handles have in common: close, ref, who they are.
 *
 * The library owns every handle. A constructor returns a pointer, NULL only when out of memory.
 * rondo_close() is legal anywhere, the handle's own callback included: activity stops at once, its
 * pending requests complete with RONDO_ECANCELED, then `close` is emitted in the closing phase of
 * the turn, then the memory goes. After rondo_close() no ordinary callback of the handle runs, and
 * calls on it return RONDO_ECLOSED and do nothing. Using a pointer after `close` was emitted is a
 * bug, found and named where it can be. Loop thread only.
 */
#ifndef RONDO_HANDLE_H
#define RONDO_HANDLE_H

#include <rondo/base.h>

/* Every type that the functions below take. */
#define RONDO_HANDLE_TYPES(X) \
    X(handle)                 \
    X(timer)                  \
    X(prepare)                \
    X(async)                  \
    X(signal)                 \
    X(emitter)                \
    X(stream)                 \
    X(server)                 \
    X(udp)                    \
    X(group)                  \
    X(fs_watch)               \
    X(websocket)              \
    X(http_server)            \
    X(http_response)          \
    X(http_client)            \
    X(http_call)              \
    X(http_events)            \
    X(http_log)

/* rondo_any_handle: a pointer to any of them and, checked by the compiler, to nothing else. */
#if defined(__cplusplus)
struct rondo_any_handle {
    void *pointer;
#define RONDO__ANY_FROM(type) \
    rondo_any_handle(rondo_##type *handle) : pointer(handle) {}
    RONDO_HANDLE_TYPES(RONDO__ANY_FROM)
#undef RONDO__ANY_FROM
};
extern "C" {
#elif defined(__GNUC__)
typedef union rondo_any_handle {
#define RONDO__ANY_MEMBER(type) rondo_##type *type;
    RONDO_HANDLE_TYPES(RONDO__ANY_MEMBER)
#undef RONDO__ANY_MEMBER
} __attribute__((__transparent_union__)) rondo_any_handle;
#else
typedef void *rondo_any_handle;
#endif

/* The handle is closed: the last event, emitted exactly once. The handle's memory goes when the
 * last listener has returned. */
typedef void (*rondo_close_cb)(rondo_handle *handle, void *arg);

/* Begins to close. Closing twice, or a closing handle, is allowed and does nothing; so is NULL. */
RONDO_API void rondo_close(rondo_any_handle handle);

/* Listeners of `close`; as of RONDO_DECLARE_EVENT, for any handle. May be added while it is closing,
 * until `close` is emitted. */
RONDO_API int rondo_on_close(rondo_any_handle handle, rondo_close_cb cb, void *arg);
RONDO_API int rondo_off_close(rondo_any_handle handle, rondo_close_cb cb, void *arg);

/* An active handle keeps rondo_loop_run() going unless it is unref'd. Both are idempotent. */
RONDO_API void rondo_ref(rondo_any_handle handle);
RONDO_API void rondo_unref(rondo_any_handle handle);
RONDO_API bool rondo_has_ref(rondo_any_handle handle);

/* Whether it can still cause callbacks: a started timer, a listening server, an open stream. */
RONDO_API bool rondo_is_active(rondo_any_handle handle);
/* True from rondo_close() until the `close` event has been emitted. */
RONDO_API bool rondo_is_closing(rondo_any_handle handle);

/* A name for dumps, traces and messages. Copied; NULL removes it. Returns 0 or RONDO_ENOMEM. */
RONDO_API int rondo_set_name(rondo_any_handle handle, const char *name);
/* The name, or "" when it has none. Valid until the next rondo_set_name(). */
RONDO_API const char *rondo_name(rondo_any_handle handle);
/* What it is: "timer", "stream", ... Static. */
RONDO_API const char *rondo_kind(rondo_any_handle handle);
/* "file:line" of the constructor's call. Static. */
RONDO_API const char *rondo_site(rondo_any_handle handle);

/* One pointer of the user's per handle; NULL at first. Rondo never looks at it. */
RONDO_API void rondo_set_data(rondo_any_handle handle, void *data);
RONDO_API void *rondo_data(rondo_any_handle handle);

/* The loop that the handle belongs to. */
RONDO_API rondo_loop *rondo_handle_loop(rondo_any_handle handle);

#ifdef __cplusplus
}
#endif
#endif
