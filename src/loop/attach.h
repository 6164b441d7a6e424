/* SPDX-License-Identifier: MIT
 *
 * What other rooms attach to a loop: parts of their own, reasons for it to live, what it calls at its end.
 * Loop thread only. Internal.
 */
#ifndef RONDO__ATTACH_H
#define RONDO__ATTACH_H

#include "loop/list.h"

#include <rondo/base.h>

/* Reasons to live that aren't handles: jobs in the pool. */
void rondo__loop_hold(rondo_loop *loop);
void rondo__loop_release(rondo_loop *loop);
/* What the loop does not live for, but takes no virtual time either: jobs of a file stream. */
void rondo__loop_hold_time(rondo_loop *loop);
void rondo__loop_release_time(rondo_loop *loop);

/* What the loop calls when it is freed, in reverse order of adding: the pool ends its threads. */
typedef struct rondo__at_free {
    rondo__list link;
    void (*run)(rondo_loop *loop, struct rondo__at_free *at_free);
} rondo__at_free;
void rondo__at_loop_free(rondo_loop *loop, rondo__at_free *at_free,
                         void (*run)(rondo_loop *, rondo__at_free *));
/* What rondo_loop_close_all() calls besides closing the handles: the pool cancels queued jobs. */
void rondo__at_close_all(rondo_loop *loop, rondo__at_free *node,
                         void (*run)(rondo_loop *, rondo__at_free *));

/* What other rooms keep on the loop, made there at first use: the pool, the budget of files, the shared
 * buffers of streams and of HTTP, the open requests for names, the resolver with its channels, the
 * area that UDP handles receive into, the inotify instance, what WebSockets share. */
enum {
    RONDO__PART_POOL,
    RONDO__PART_FS,
    RONDO__PART_NET,
    RONDO__PART_HTTP,
    RONDO__PART_DNS,
    RONDO__PART_RESOLVER,
    RONDO__PART_UDP,
    RONDO__PART_TLS,
    RONDO__PART_WATCH,
    RONDO__PART_WEBSOCKET,
    RONDO__PART_COUNT
};
/* rondo__loop_part() is in handle.h. */
void rondo__loop_set_part(rondo_loop *loop, int part, void *pointer);

#endif
