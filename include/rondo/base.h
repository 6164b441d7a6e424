/* SPDX-License-Identifier: MIT
 *
 * What every other Rondo header needs: the export mark, the version, slices, the place of creation
 * and the names of all types. No functions that act live here.
 */
#ifndef RONDO_BASE_H
#define RONDO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define RONDO_API __attribute__((visibility("default")))
#define RONDO_NODISCARD __attribute__((warn_unused_result))
#define RONDO_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define RONDO__UNUSED __attribute__((unused))
#else
#define RONDO_API
#define RONDO_NODISCARD
#define RONDO_PRINTF(text, first)
#define RONDO__UNUSED
#endif

#define RONDO_VERSION_MAJOR 0
#define RONDO_VERSION_MINOR 1
#define RONDO_VERSION_PATCH 0

/* "file:line" of the place that names it. Constructors are macros that pass it on, so that a leaked
 * handle, an uncaught error and rondo_loop_dump() can say where the handle came from. */
#define RONDO__TEXT2(x) #x
#define RONDO__TEXT(x) RONDO__TEXT2(x)
#define RONDO_HERE __FILE__ ":" RONDO__TEXT(__LINE__)

#ifdef __cplusplus
extern "C" {
#endif

/* A run of bytes that somebody else owns; not terminated by a NUL. */
typedef struct rondo_slice {
    const char *data;
    size_t len;
} rondo_slice;

/* Room for bytes, somebody else's too. */
typedef struct rondo_buffer {
    char *data;
    size_t len;
} rondo_buffer;

/* A field of an HTTP message: of a head, of trailers. */
typedef struct rondo_http_field {
    rondo_slice name, value;
} rondo_http_field;

/* The version of the library that is running, such as "0.1.0"; static. */
RONDO_API const char *rondo_version(void);

/* A slice of `len` bytes at `data`. */
static inline rondo_slice rondo_slice_of(const void *data, size_t len) {
    rondo_slice slice;
    slice.data = (const char *)data;
    slice.len = len;
    return slice;
}

/* A slice of the string `text`, without its NUL. NULL gives an empty slice. */
static inline rondo_slice rondo_slice_text(const char *text) {
    return rondo_slice_of(text, text ? strlen(text) : 0);
}

typedef struct rondo_loop rondo_loop;               /* loop.h */
typedef struct rondo_handle rondo_handle;           /* handle.h: what all handles have in common */
typedef struct rondo_timer rondo_timer;             /* timer.h */
typedef struct rondo_prepare rondo_prepare;         /* tick.h */
typedef struct rondo_async rondo_async;             /* async.h */
typedef struct rondo_signal rondo_signal;           /* signal.h */
typedef struct rondo_emitter rondo_emitter;         /* emitter.h */
typedef struct rondo_stream rondo_stream;           /* stream.h */
typedef struct rondo_server rondo_server;           /* server.h */
typedef struct rondo_udp rondo_udp;                 /* udp.h */
typedef struct rondo_dns_request rondo_dns_request; /* dns.h */
typedef struct rondo_tls_context rondo_tls_context; /* tls.h */
typedef struct rondo_fs_watch rondo_fs_watch;       /* watch.h */
typedef struct rondo_lane rondo_lane;               /* pool.h */
typedef struct rondo_job rondo_job;                 /* pool.h */
typedef struct rondo_group rondo_group;             /* group.h */
typedef struct rondo_http_server rondo_http_server; /* http.h */
typedef struct rondo_http_request rondo_http_request;   /* http.h */
typedef struct rondo_http_response rondo_http_response; /* http.h */
typedef struct rondo_http_client rondo_http_client;     /* http_client.h */
typedef struct rondo_http_call rondo_http_call;         /* http_call.h */
typedef struct rondo_http_events rondo_http_events;     /* http_events.h */
typedef struct rondo_http_log rondo_http_log;           /* http_log.h */
typedef struct rondo_websocket rondo_websocket;         /* websocket.h */

/* Declares the three functions of one typed event of a handle type:
 *   int PREFIX_on_EVENT(handle, callback, arg)     adds a listener, called at every emission
 *   int PREFIX_once_EVENT(handle, callback, arg)   the same, removed just before its first call
 *   int PREFIX_off_EVENT(handle, callback, arg)    removes the newest listener with that pair
 * on and once return 0, RONDO_ENOMEM or RONDO_ECLOSED; the first listener of an event never
 * allocates. off returns 0 or RONDO_ENOENT. Listeners run in the order of adding. One added while
 * its event is being emitted waits for the next emission; one removed then is not called any more.
 * Loop thread only. */
#define RONDO_DECLARE_EVENT(type, prefix, event, callback)                     \
    RONDO_API int prefix##_on_##event(type *handle, callback cb, void *arg);   \
    RONDO_API int prefix##_once_##event(type *handle, callback cb, void *arg); \
    RONDO_API int prefix##_off_##event(type *handle, callback cb, void *arg)

#ifdef __cplusplus
}
#endif
#endif
