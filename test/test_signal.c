/* SPDX-License-Identifier: MIT
 *
 * Signals as callbacks: on several handles, loops and threads; once; stopped and closed with a
 * signal pending; what was set up before is there again afterwards.
 */
#include "loop/loop.h"
#include "trace.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static rondo_loop *loop;

static rondo_signal *watch(int signum, rondo_signal_cb cb, const char *arg) {
    rondo_signal *signal = rondo_signal_new(loop);
    CHECK(signal != NULL);
    CHECK_INT(rondo_signal_start(signal, signum, cb, (void *)(uintptr_t)arg), 0);
    return signal;
}
static void turn(void) { rondo_loop_run(loop, RONDO_RUN_NOWAIT); }

/* ---- One handle ---- */

static void note_number(rondo_signal *signal, int signum, void *arg) {
    note("%s", signum == SIGUSR1 ? "usr1" : signum == SIGUSR2 ? "usr2" : "?");
}
TEST(a_signal_is_delivered_with_its_number_each_time_it_comes) {
    loop = new_virtual_loop();
    watch(SIGUSR1, note_number, NULL);
    watch(SIGUSR2, note_number, NULL);
    for (int i = 0; i < 3; i++) {
        raise(i % 2 ? SIGUSR2 : SIGUSR1);
        CHECK_TRACE(""); /* never inside raise() */
        turn();
        CHECK_TRACE(i % 2 ? "usr2" : "usr1");
    }
    raise(SIGUSR1), raise(SIGUSR1); /* equal ones that are not handled yet are one */
    turn();
    CHECK_TRACE("usr1");
    end_loop(loop);
}

static pid_t self;
static void *kill_process(void *arg) {
    harness_sleep_ms(2);
    kill(self, SIGUSR1);
    return NULL;
}
TEST(a_signal_ends_a_sleep) {
    loop = rondo_loop_new();
    self = getpid();
    watch(SIGUSR1, note_number, NULL);
    pthread_t thread = harness_thread(kill_process, NULL);
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    pthread_join(thread, NULL);
    CHECK_TRACE("usr1");
    end_loop(loop);
}

static void start_again(rondo_signal *signal, int signum, void *arg) {
    note("once");
    CHECK(!rondo_is_active(signal));
    if (arg) rondo_signal_start_once(signal, signum, start_again, NULL);
}
TEST(once_is_once_and_may_be_started_again_in_its_callback) {
    loop = new_virtual_loop();
    rondo_signal *signal = rondo_signal_new(loop);
    CHECK_INT(rondo_signal_start_once(signal, SIGUSR1, start_again, "again"), 0);
    watch(SIGUSR1, note_signal, "on");
    for (int i = 0; i < 3; i++) raise(SIGUSR1), turn();
    CHECK_TRACE("once on on once on"); /* started again: behind the other one */
    CHECK(!rondo_is_active(signal));
    end_loop(loop);
}

TEST(a_number_that_cannot_be_watched_is_refused_and_changes_nothing) {
    static const int numbers[] = {0,       -1,     65,     SIGKILL, SIGSTOP,
                                  SIGSEGV, SIGBUS, SIGFPE, SIGILL,  32 /* glibc's own */};
    loop = new_virtual_loop();
    rondo_signal *signal = watch(SIGUSR1, note_signal, "kept");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        CHECK_INT(rondo_signal_start(signal, numbers[i], note_signal, "never"), RONDO_EINVAL);
        CHECK_INT(rondo_signal_start_once(signal, numbers[i], note_signal, "x"), RONDO_EINVAL);
    }
    CHECK(rondo_is_active(signal));
    raise(SIGUSR1), turn();
    CHECK_TRACE("kept");
    end_loop(loop);
}

TEST(starting_again_replaces_what_was_watched) {
    loop = new_virtual_loop();
    rondo_signal *signal = watch(SIGUSR1, note_signal, "old");
    watch(SIGUSR1, note_signal, "other");
    rondo_signal_start(signal, SIGUSR2, note_signal, "new");
    raise(SIGUSR1), raise(SIGUSR2), turn();
    CHECK_TRACE("other new");
    raise(SIGUSR2);
    rondo_signal_start(signal, SIGUSR2, note_signal, "newest"); /* watched without a gap */
    turn();
    CHECK_TRACE("newest");
    end_loop(loop);
}

/* ---- Stopping ---- */

TEST(a_signal_that_is_pending_when_its_handle_stops_is_dropped) {
    loop = new_virtual_loop();
    rondo_signal *signal = watch(SIGUSR1, note_signal, "old");
    raise(SIGUSR1);
    CHECK_INT(rondo_signal_stop(signal), 0);
    CHECK_INT(rondo_signal_stop(signal), 0);
    CHECK(!rondo_is_active(signal));
    rondo_signal_start(signal, SIGUSR1, note_signal, "new"); /* it came before this */
    turn();
    CHECK_TRACE("");
    raise(SIGUSR1);
    rondo_close(signal);
    turn();
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

TEST(a_signal_that_comes_for_another_loop_does_not_wait_for_who_starts_later) {
    rondo_loop *other = new_virtual_loop();
    rondo_signal *theirs = rondo_signal_new(other);
    rondo_signal_start(theirs, SIGUSR1, note_signal, "theirs");
    loop = new_virtual_loop();
    rondo_signal *ours = watch(SIGUSR1, note_signal, "ours");
    rondo_signal_stop(ours);
    raise(SIGUSR1);
    rondo_signal_start(ours, SIGUSR1, note_signal, "ours");
    turn();
    rondo_loop_run(other, RONDO_RUN_NOWAIT);
    CHECK_TRACE("theirs");
    end_loop(loop);
    end_loop(other);
}

static rondo_signal *signals[4];
static void stop_others(rondo_signal *signal, int signum, void *arg) {
    note("b");
    rondo_close(signals[0]);
    rondo_signal_stop(signals[2]);
    rondo_signal_stop(signal);
    watch(SIGUSR1, note_signal, "later"); /* did not watch when it arrived */
    watch(SIGUSR2, note_signal, "later");
}
TEST(handles_may_stop_and_close_one_another_in_their_callbacks) {
    loop = new_virtual_loop();
    signals[0] = watch(SIGUSR1, note_signal, "a");
    signals[1] = watch(SIGUSR1, stop_others, NULL);
    signals[2] = watch(SIGUSR1, note_signal, "c");
    signals[3] = watch(SIGUSR1, note_signal, "d");
    watch(SIGUSR2, note_signal, "usr2");
    raise(SIGUSR1), raise(SIGUSR2), turn();
    CHECK_TRACE("a b d usr2");
    raise(SIGUSR1), turn();
    CHECK_TRACE("d later");
    end_loop(loop);
}

static void stop_next(rondo_signal *signal, int signum, void *arg) {
    note("a");
    for (int i = 3; i >= 0; i--) rondo_close(signals[i]);
}
TEST(the_last_handles_of_a_batch_may_all_be_closed) {
    loop = new_virtual_loop();
    for (int i = 0; i < 4; i++) signals[i] = watch(SIGUSR1, i ? note_signal : stop_next, "never");
    raise(SIGUSR1);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("a");
    rondo_loop_free(loop);
}

/* ---- Disposition ---- */

static volatile sig_atomic_t handled;
static void former_handler(int signum) { handled++; }

TEST(the_former_disposition_comes_back_after_the_last_handle_stops) {
    struct sigaction before = {.sa_handler = former_handler, .sa_flags = SA_RESTART | SA_NODEFER};
    struct sigaction now;
    sigaddset(&before.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &before, NULL);
    loop = new_virtual_loop();
    rondo_loop *other_loop = new_virtual_loop();
    rondo_signal *first = watch(SIGUSR1, note_signal, "first");
    rondo_signal *other = rondo_signal_new(other_loop);
    rondo_signal_start(other, SIGUSR1, note_signal, "other");
    rondo_signal_start(first, SIGUSR2, note_signal, "second");
    raise(SIGUSR1);
    CHECK_INT(handled, 0);
    rondo_close(other);
    raise(SIGUSR1);
    CHECK_INT(handled, 1);
    sigaction(SIGUSR1, NULL, &now);
    CHECK(now.sa_handler == former_handler);
    CHECK_INT(now.sa_flags & (SA_RESTART | SA_NODEFER), SA_RESTART | SA_NODEFER);
    CHECK(sigismember(&now.sa_mask, SIGHUP) == 1 && sigismember(&now.sa_mask, SIGUSR2) == 0);
    end_loop(loop);
    end_loop(other_loop);
    sigaction(SIGUSR2, NULL, &now);
    CHECK(now.sa_handler == SIG_DFL);
}

TEST(a_signal_is_ignored_again_if_it_was_before) {
    struct sigaction now;
    signal(SIGHUP, SIG_IGN);
    loop = new_virtual_loop();
    for (int i = 0; i < 3; i++) {
        rondo_signal *signal = watch(SIGHUP, note_signal, "hup");
        raise(SIGHUP), turn();
        rondo_close(signal);
        sigaction(SIGHUP, NULL, &now);
        CHECK(now.sa_handler == SIG_IGN);
    }
    CHECK_TRACE("hup hup hup");
    end_loop(loop);
}

TEST(the_handler_leaves_errno_alone) {
    uint64_t almost_full = UINT64_MAX - 1;
    loop = new_virtual_loop();
    watch(SIGUSR1, note_signal, "s");
    CHECK_INT(write(loop->wake_fd, &almost_full, sizeof almost_full), sizeof almost_full);
    atomic_store(&loop->asleep, true); /* so it writes, and fails */
    errno = 123;
    raise(SIGUSR1);
    CHECK_INT(errno, 123);
    turn();
    CHECK_TRACE("s");
    end_loop(loop);
}

/* ---- Threads ---- */

enum { THREADS = 3, EACH = 2 };
static atomic_int ready, delivered;
static void count_and_close(rondo_signal *signal, int signum, void *arg) {
    CHECK_INT(signum, SIGUSR1);
    atomic_fetch_add(&delivered, 1);
    rondo_close(signal);
}
static void say_ready(rondo_loop *which, void *arg) { atomic_fetch_add(&ready, 1); }
static void *watch_in_thread(void *arg) {
    rondo_loop *own = rondo_loop_new();
    for (int i = 0; i < EACH; i++)
        CHECK_INT(rondo_signal_start(rondo_signal_new(own), SIGUSR1, count_and_close, NULL), 0);
    rondo_loop_post(own, say_ready, NULL);
    CHECK_INT(rondo_loop_run(own, RONDO_RUN_ALL), 0);
    rondo_loop_free(own);
    return NULL;
}
TEST(each_loop_of_each_thread_gets_a_signal_of_the_process) {
    pthread_t threads[THREADS];
    for (int round = 0; round < 5; round++) {
        atomic_store(&ready, 0), atomic_store(&delivered, 0);
        for (int i = 0; i < THREADS; i++) threads[i] = harness_thread(watch_in_thread, NULL);
        while (atomic_load(&ready) < THREADS) usleep(100);
        kill(getpid(), SIGUSR1);
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        CHECK_INT(atomic_load(&delivered), THREADS * EACH);
    }
}

static atomic_bool quit;
static void *kill_much(void *arg) {
    for (int i = 0; !atomic_load(&quit); i++) {
        kill(getpid(), i % 2 ? SIGUSR1 : SIGUSR2);
        if (i % 64 == 0) usleep(50); /* a kernel's queue of threads' turns is no part of this */
    }
    return NULL;
}
static long counts[2];
static void count(rondo_signal *signal, int signum, void *arg) { counts[signum == SIGUSR2]++; }
TEST(a_flood_of_signals_is_survived_while_loops_come_and_go) {
    signal(SIGUSR1, SIG_IGN), signal(SIGUSR2, SIG_IGN);
    pthread_t thread = harness_thread(kill_much, NULL);
    for (int i = 0; i < (harness_is_slow() ? 20 : 200); i++) {
        loop = rondo_loop_new();
        watch(SIGUSR1, count, NULL);
        rondo_signal *second = watch(SIGUSR2, count, NULL);
        counts[0] = counts[1] = 0;
        while (counts[0] == 0 || counts[1] == 0) rondo_loop_run(loop, RONDO_RUN_ONCE);
        rondo_signal_stop(second);
        end_loop(loop);
    }
    atomic_store(&quit, true);
    pthread_join(thread, NULL);
}

TEST(too_many_loops_with_signals_are_refused) {
    enum { MANY = 257 };
    static rondo_loop *loops[MANY];
    for (int i = 0; i < MANY; i++) {
        loops[i] = loop = new_virtual_loop();
        rondo_signal *signal = rondo_signal_new(loop);
        int error = rondo_signal_start(signal, SIGUSR1, note_signal, "s");
        CHECK_INT(error, i < 256 ? 0 : RONDO_EMFILE);
        CHECK(rondo_is_active(signal) == (error == 0));
    }
    end_loop(loops[0]);
    loops[0] = loop = new_virtual_loop(); /* its place is free again */
    watch(SIGUSR1, note_signal, "first");
    raise(SIGUSR1), turn();
    CHECK_TRACE("first");
    for (int i = 0; i < MANY; i++) end_loop(loops[i]);
}
