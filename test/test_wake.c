/* SPDX-License-Identifier: MIT
 *
 * No wake-up is lost: see wake.c for the two flags that make it so. A race of a few instructions is
 * not met by chance, so each side is stopped in the middle, as by a debugger, and the other acts.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "streams.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static rondo_loop *loop;

/* ---- Instruction by instruction ---- */

/* A child that does something to its copy of the loop and is stopped after so many instructions of
 * it. 0 when it is through before that. The eventfd is shared with us. */
static pid_t child_stopped_after(int instructions, void (*something)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) _exit(77);
        kill(getpid(), SIGSTOP);
        something();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFSTOPPED(status)) SKIP("ptrace is not allowed here");
    for (; instructions > 0; instructions--) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0) SKIP("ptrace can't step here");
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) return 0;
    }
    return child;
}

/* Whether it comes to its end without sleeping for long. */
static bool ends_at_once(pid_t child) {
    int status;
    long long deadline_ms = harness_now_ms() + 20000;
    CHECK_INT(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (harness_now_ms() < deadline_ms) {
            usleep(100);
        } else {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return false;
        }
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

static bool flag_of(pid_t child, atomic_bool *flag) {
    bool value = false;
    struct iovec local = {&value, sizeof value}, remote = {flag, sizeof value};
    CHECK_INT(process_vm_readv(child, &local, 1, &remote, 1, 0), 1);
    return value;
}
static void set_flag_of(pid_t child, atomic_bool *flag) {
    bool value = true;
    struct iovec local = {&value, sizeof value}, remote = {flag, sizeof value};
    CHECK_INT(process_vm_writev(child, &local, 1, &remote, 1, 0), 1);
}

static bool knocked(void) {
    uint64_t count;
    return read(loop->wake_fd, &count, sizeof count) == sizeof count;
}

/* Whether the flag is set after so many instructions. */
static bool is_set_after(int instructions, void (*side)(void), atomic_bool *flag) {
    pid_t child = child_stopped_after(instructions, side);
    CHECK(child > 0);
    bool is_set = flag_of(child, flag);
    kill(child, SIGKILL);
    CHECK(waitpid(child, NULL, 0) == child);
    return is_set;
}

/* Each side of a wake-up sets its own flag, then looks at that of the other side. So while its own
 * is not set yet, it must still heed the other one. This tries that at each instruction around the
 * one that sets its own; around, because reading the clock takes now more of them, now fewer. */
static int try_side(void (*side)(void), atomic_bool *own, bool (*heeds)(pid_t child)) {
    int low = 0, high = 64, tried = 0; /* its own flag is not set after low, but after high */
    for (; !is_set_after(high, side, own); high *= 2) low = high;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (is_set_after(middle, side, own)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    for (int at = high > 40 ? high - 40 : 0; at < high + 8; at++) {
        pid_t child = child_stopped_after(at, side);
        CHECK(child > 0);
        if (flag_of(child, own)) {
            kill(child, SIGKILL);
            CHECK(waitpid(child, NULL, 0) == child);
        } else {
            if (!heeds(child)) FAIL("after %d instructions it looked, but has said nothing", at);
            tried++;
        }
    }
    return tried;
}

static void check_side(void (*side)(void), atomic_bool *own, bool (*heeds)(pid_t child)) {
    if (harness_is_slow()) SKIP("it is about the instructions of the plain program");
    /* On a busy machine one reading of the clock can lead the search far away. */
    for (int round = 0; try_side(side, own, heeds) <= 3; round++) CHECK(round < 20);
}

static void fall_asleep(void) { rondo__poll_wait(loop, 3600 * UINT64_C(1000000000)); }
static bool stays_awake(pid_t child) {
    set_flag_of(child, &loop->woken); /* and nobody knocks */
    return ends_at_once(child);
}
TEST(a_loop_says_that_it_sleeps_before_it_looks_whether_it_was_woken) {
    loop = rondo_loop_new();
    rondo__poll_wait(loop, 0); /* the kernel knows the eventfd */
    loop->now_ns = rondo__clock_ns();
    check_side(fall_asleep, &loop->asleep, stays_awake);
    rondo_loop_free(loop);
}

static void wake_it(void) { rondo__wake(loop); }
static bool knocks(pid_t child) {
    set_flag_of(child, &loop->asleep);
    CHECK(ends_at_once(child));
    return knocked();
}
TEST(a_sender_says_that_it_woke_the_loop_before_it_looks_whether_it_sleeps) {
    loop = rondo_loop_new();
    check_side(wake_it, &loop->woken, knocks);
    rondo_loop_free(loop);
}

/* ---- Two threads ---- */

static void note_and_sleep(rondo_loop *self, void *arg) {
    note("post");
    start_timer(self, 10, note_timer, "timer");
}
static void *post_once(void *arg) {
    harness_sleep_ms(2);
    CHECK_INT(rondo_loop_post(arg, note_and_sleep, NULL), 0);
    return NULL;
}
TEST(a_wake_up_is_over_once_it_was_handled) {
    loop = rondo_loop_new();
    rondo_async *async = rondo_async_new(loop, note_async, NULL);
    pthread_t thread = harness_thread(post_once, loop);
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    rondo_unref(async);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    pthread_join(thread, NULL);
    CHECK_TRACE("post timer");
    CHECK(rondo_loop_turn(loop) < 20); /* it slept again */
    end_loop(loop);
}

/* Two loops that post to each other fall asleep and wake up all the time. */
static rondo_loop *players[2];
static int rounds;
static void play(rondo_loop *self, void *arg) {
    rondo_loop *other = players[self == players[0]];
    if (--rounds <= 0) { /* only one of the two runs at a time */
        rondo_loop_stop(self), rondo_loop_stop(other);
    } else {
        CHECK_INT(rondo_loop_post(other, play, NULL), 0);
    }
}
static void *play_in_thread(void *arg) {
    CHECK_INT(rondo_loop_run(arg, RONDO_RUN_ALL), 1);
    return NULL;
}
TEST(no_wake_up_is_lost_between_two_loops) {
    rounds = harness_is_slow() ? 500 : 5000;
    for (int i = 0; i < 2; i++) {
        players[i] = rondo_loop_new();
        rondo_async_new(players[i], note_async, NULL);
    }
    rondo_loop_post(players[0], play, NULL);
    pthread_t thread = harness_thread(play_in_thread, players[1]);
    play_in_thread(players[0]);
    pthread_join(thread, NULL);
    end_loop(players[0]);
    end_loop(players[1]);
}

/* ---- One thread ---- */

static void check_no_write(rondo_loop *self, void *arg) {
    for (int i = 0; i < 10; i++) rondo_loop_post(self, note_tick, "x");
    CHECK(!knocked()); /* it is awake */
}
TEST(nobody_writes_to_a_loop_that_is_awake) {
    loop = new_virtual_loop();
    rondo_loop_post(loop, check_no_write, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("x x x x x x x x x x");
    rondo_loop_free(loop);
}

TEST(waking_leaves_errno_alone) {
    uint64_t almost_full = UINT64_MAX - 1;
    loop = new_virtual_loop();
    CHECK_INT(write(loop->wake_fd, &almost_full, sizeof almost_full), sizeof almost_full);
    atomic_store(&loop->asleep, true); /* so the wake-up's write fails */
    errno = 123;
    rondo_loop_stop(loop);
    CHECK_INT(errno, 123);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    rondo_loop_free(loop);
}

/* ---- The loop ends before its caller is through ---- */

static rondo_stream *stream;
static int peer;
static atomic_bool freeing, going;

static void *call_when_it_sleeps(void *arg) {
    while (!atomic_load(&loop->asleep)) harness_sleep_ms(1);
    void (*call)(void) = *(void (**)(void))arg;
    call(); /* stands at the eventfd */
    return NULL;
}

/* Something else wakes the loop, which then has what it was asked for; the call goes on when the loop is being
 * freed. */
static void *wake_it_before(void *arg) {
    while (!faults_stands()) harness_sleep_ms(1);
    harness_send_str(peer, "!");
    while (!atomic_load(&freeing)) harness_sleep_ms(1);
    harness_sleep_ms(20);
    atomic_store(&going, true);
    faults_let_go();
    return NULL;
}

static void check_freeing_waits_for(void (*call)(void)) {
    received got = {0};
    loop = rondo_loop_new();
    peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, receive_data, &got);
    atomic_store(&freeing, false);
    atomic_store(&going, false);
    faults_on_fd(loop->wake_fd);
    faults_stand(CALL_write, 1);
    pthread_t caller = harness_thread(call_when_it_sleeps, &call);
    pthread_t other = harness_thread(wake_it_before, NULL);
    if (rondo_loop_run(loop, RONDO_RUN_ALL) == 1) rondo_close(stream); /* it was stopped */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_RECEIVED(got, "!");
    atomic_store(&freeing, true);
    rondo_loop_free(loop);
    CHECK(atomic_load(&going)); /* or it would write to a descriptor that may be anybody's by now */
    pthread_join(caller, NULL);
    pthread_join(other, NULL);
    faults_stop();
    close(peer);
}

static void close_stream(rondo_loop *self, void *arg) { rondo_close(stream); }
static void post_the_end(void) { CHECK_INT(rondo_loop_post(loop, close_stream, NULL), 0); }
TEST(a_loop_that_a_post_has_ended_is_freed_when_the_post_is_through) {
    check_freeing_waits_for(post_the_end);
}

static void stop_it(void) { rondo_loop_stop(loop); }
TEST(a_loop_that_was_stopped_is_freed_when_the_stop_is_through) {
    check_freeing_waits_for(stop_it);
}
