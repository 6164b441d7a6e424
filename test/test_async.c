/* SPDX-License-Identifier: MIT
 *
 * Ways in from other threads: rondo_async wakes and coalesces, rondo_loop_post() queues. That no
 * wake-up is lost is in test_wake.c.
 */
#include "loop/loop.h"
#include "trace.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static rondo_loop *loop;

/* ---- Asyncs in one thread ---- */

TEST(many_sends_before_the_run_are_one_callback) {
    loop = new_virtual_loop();
    rondo_async *async = rondo_async_new(loop, note_async, "async");
    for (int i = 0; i < 1000; i++) rondo_async_send(async);
    CHECK_TRACE("");
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("async");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("");
    rondo_async_send(async);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("async");
    end_loop(loop);
}

static int sends_left;
static void send_again(rondo_async *async, void *arg) {
    note("async");
    if (--sends_left > 0) rondo_async_send(async), rondo_async_send(async);
    if (sends_left == 0) rondo_unref(async);
}
TEST(a_send_inside_the_own_callback_counts_anew_in_the_next_turn) {
    loop = new_virtual_loop();
    rondo_async *async = rondo_async_new(loop, send_again, NULL);
    sends_left = 3;
    rondo_async_send(async);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("async async async");
    CHECK_INT(rondo_loop_turn(loop), 3);
    end_loop(loop);
}

static rondo_async *signalled_async;
static void send_from_handler(int signum) { rondo_async_send(signalled_async); }
TEST(a_signal_handler_may_send) {
    loop = rondo_loop_new();
    signalled_async = rondo_async_new(loop, note_async, "async");
    signal(SIGALRM, send_from_handler);
    ualarm(2000, 0);
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("async");
    end_loop(loop);
}

TEST(an_async_closed_with_a_send_pending_is_not_called) {
    loop = new_virtual_loop();
    rondo_async *a = rondo_async_new(loop, note_async, "never");
    rondo_async *b = rondo_async_new(loop, note_async, "b");
    rondo_async_send(a), rondo_async_send(b);
    rondo_close(a);
    rondo_async_send(a); /* until its close event, it does nothing */
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("b");
    end_loop(loop);
}

/* ---- Asyncs from threads ---- */

enum { SENDERS = 4 };
static atomic_long work_done; /* by the senders, who then send */
static long work_seen;

static void *send_much(void *arg) {
    for (int i = 0; i < 2000; i++) {
        atomic_fetch_add(&work_done, 1);
        rondo_async_send(arg);
    }
    return NULL;
}
static void see_work(rondo_async *async, void *arg) { work_seen = atomic_load(&work_done); }
TEST(what_was_done_before_a_send_is_seen_by_a_callback) {
    pthread_t threads[SENDERS];
    loop = rondo_loop_new();
    rondo_async *async = rondo_async_new(loop, see_work, NULL);
    for (int i = 0; i < SENDERS; i++) threads[i] = harness_thread(send_much, async);
    while (work_seen < SENDERS * 2000) rondo_loop_run(loop, RONDO_RUN_ONCE);
    for (int i = 0; i < SENDERS; i++) pthread_join(threads[i], NULL);
    end_loop(loop);
}

static rondo_async *asyncs[SENDERS];
static int calls[SENDERS];
static void count_call(rondo_async *async, void *arg) { ++*(int *)arg; }
static void *send_all(void *arg) {
    for (int i = 0; i < 500; i++)
        for (int j = 0; j < SENDERS; j++) rondo_async_send(asyncs[j]);
    return NULL;
}
TEST(many_asyncs_from_many_threads_are_each_called) {
    pthread_t threads[SENDERS];
    loop = rondo_loop_new();
    for (int i = 0; i < SENDERS; i++) asyncs[i] = rondo_async_new(loop, count_call, &calls[i]);
    for (int i = 0; i < SENDERS; i++) threads[i] = harness_thread(send_all, NULL);
    for (int i = 0; i < 1000; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    for (int i = 0; i < SENDERS; i++) pthread_join(threads[i], NULL);
    int before[SENDERS];
    memcpy(before, calls, sizeof before);
    for (int i = 0; i < SENDERS; i++) rondo_async_send(asyncs[i]);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    for (int i = 0; i < SENDERS; i++) CHECK(calls[i] > before[i] && calls[i] <= SENDERS * 500 + 1);
    end_loop(loop);
}

static atomic_bool quit;
static void *send_until_quit(void *arg) {
    while (!atomic_load(&quit)) rondo_async_send(arg);
    return NULL;
}
static int async_calls;
static void close_under_fire(rondo_async *async, void *arg) {
    if (++async_calls < 3) return;
    rondo_close(async); /* while the next send is on its way */
    atomic_store(&quit, true);
    pthread_join(*(pthread_t *)arg, NULL); /* senders must be done before the close event */
}
TEST(an_async_may_be_closed_while_another_thread_is_sending) {
    pthread_t thread;
    for (int i = 0; i < (harness_is_slow() ? 30 : 100); i++) {
        loop = rondo_loop_new();
        rondo_async *async = rondo_async_new(loop, close_under_fire, &thread);
        atomic_store(&quit, false);
        async_calls = 0;
        thread = harness_thread(send_until_quit, async);
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        CHECK_INT(async_calls, 3);
        CHECK(atomic_load(&loop->inbox.asyncs) == NULL);
        rondo_loop_free(loop);
    }
}

/* ---- Posts ---- */

static void post_again(rondo_loop *self, void *arg) {
    note("%s", (char *)arg);
    CHECK_INT(rondo_loop_post(self, note_tick, "again"), 0);
}
TEST(each_post_runs_once_and_keeps_the_loop_alive) {
    loop = new_virtual_loop();
    CHECK_INT(rondo_loop_post(loop, note_tick, "a"), 0);
    CHECK_INT(rondo_loop_post(loop, note_tick, "a"), 0);
    CHECK_INT(rondo_loop_post(loop, post_again, "b"), 0);
    CHECK(rondo_loop_alive(loop));
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("a a b again");
    CHECK_INT(rondo_loop_turn(loop), 2);
    rondo_loop_free(loop);
}

TEST(over_the_limit_a_post_is_refused_until_there_is_room) {
    loop = new_virtual_loop();
    rondo_loop_set_post_limit(loop, 2);
    CHECK_INT(rondo_loop_post(loop, note_tick, "a"), 0);
    CHECK_INT(rondo_loop_post(loop, note_tick, "b"), 0);
    CHECK_INT(rondo_loop_post(loop, note_tick, "c"), RONDO_EAGAIN);
    CHECK_INT(rondo_loop_post(loop, note_tick, "c"), RONDO_EAGAIN);
    rondo_loop_set_post_limit(loop, 3);
    CHECK_INT(rondo_loop_post(loop, note_tick, "d"), 0);
    CHECK_INT(rondo_loop_post(loop, note_tick, "e"), RONDO_EAGAIN);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("a b d");
    CHECK_INT(rondo_loop_post(loop, note_tick, "f"), 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_set_post_limit(loop, 0);
    CHECK_INT(rondo_loop_post(loop, note_tick, "g"), RONDO_EAGAIN);
    CHECK(!rondo_loop_alive(loop));
    CHECK_TRACE("f");
    rondo_loop_free(loop);
}

TEST(a_post_that_finds_no_memory_leaves_nothing_behind) {
    loop = new_virtual_loop();
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_loop_post(loop, note_tick, "never"), RONDO_ENOMEM);
    CHECK(!rondo_loop_alive(loop));
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

static uint64_t post_turns[8];
static void note_turn(rondo_loop *self, void *arg) { post_turns[rondo_loop_turn(self)]++; }
TEST(a_turn_runs_no_more_posts_than_its_budget) {
    loop = new_virtual_loop();
    rondo_loop_set_budget(loop, RONDO_BUDGET_posts, 3);
    for (int i = 0; i < 4; i++) rondo_loop_post(loop, note_turn, NULL);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    for (int i = 0; i < 6; i++) rondo_loop_post(loop, note_turn, NULL); /* it is woken anew */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(post_turns[1], 3);
    CHECK_INT(post_turns[2], 3);
    CHECK_INT(post_turns[3], 3);
    CHECK_INT(post_turns[4], 1);
    rondo_loop_free(loop);
}

/* Each sender numbers its messages; a message is sender * SHARE + number. */
static long share, next_number[SENDERS], arrived;
static void check_number(rondo_loop *self, void *arg) {
    long message = (long)(intptr_t)arg, sender = message / share;
    CHECK_INT(message % share, next_number[sender]);
    next_number[sender]++;
    arrived++;
}
static void *post_much(void *arg) {
    for (long i = 0; i < share; i++) {
        void *message = (void *)((intptr_t)arg * share + i);
        int error;
        while ((error = rondo_loop_post(loop, check_number, message)) == RONDO_EAGAIN)
            harness_sleep_ms(1);
        CHECK_INT(error, 0);
    }
    return NULL;
}
TEST(posts_of_many_threads_all_arrive_in_order_per_sender) {
    pthread_t threads[SENDERS];
    share = harness_is_slow() ? 1000 : 20000;
    loop = rondo_loop_new();
    rondo_loop_set_post_limit(loop, (size_t)share);
    rondo_loop_set_budget(loop, RONDO_BUDGET_posts, 100);
    rondo_async_new(loop, note_async, NULL); /* sleeps when there is nothing */
    for (intptr_t i = 0; i < SENDERS; i++) threads[i] = harness_thread(post_much, (void *)i);
    while (arrived < SENDERS * share) rondo_loop_run(loop, RONDO_RUN_ONCE);
    for (int i = 0; i < SENDERS; i++) pthread_join(threads[i], NULL);
    end_loop(loop);
}
