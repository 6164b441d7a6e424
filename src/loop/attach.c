/* SPDX-License-Identifier: MIT
 *
 * What other rooms attach to a loop.
 */
#include "loop/attach.h"

#include "loop/assert.h"
#include "loop/loop.h"

void rondo__loop_hold(rondo_loop *loop) { loop->held++; }

void rondo__loop_release(rondo_loop *loop) {
    RONDO_ASSERT(loop->held > 0);
    loop->held--;
}

void rondo__loop_hold_time(rondo_loop *loop) { loop->time_held++; }

void rondo__loop_release_time(rondo_loop *loop) {
    RONDO_ASSERT(loop->time_held > 0);
    loop->time_held--;
}

void rondo__at_loop_free(rondo_loop *loop, rondo__at_free *at_free,
                         void (*run)(rondo_loop *, rondo__at_free *)) {
    at_free->run = run;
    rondo__list_push_front(&loop->at_free, &at_free->link);
}

void rondo__at_close_all(rondo_loop *loop, rondo__at_free *node,
                         void (*run)(rondo_loop *, rondo__at_free *)) {
    node->run = run;
    rondo__list_push_back(&loop->at_close_all, &node->link);
}

void rondo__loop_set_part(rondo_loop *loop, int part, void *pointer) {
    loop->front.parts[part] = pointer;
}
