/* SPDX-License-Identifier: MIT
 *
 * fork(2): a loop stays with the process that made it. The child is refused clearly where it uses
 * it, may free it, and makes one of its own; the parent notices nothing.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "streams.h"

#include <signal.h>
#include <sys/wait.h>

static int64_t answer(rondo_job *job, void *arg) { return 42; }

/* A loop that uses everything, in whatever process. */
static void use_everything(rondo_loop *loop) {
    rondo_stream *stream;
    received got = {0};
    outcome worked = {0};
    int peer = new_pair(loop, &stream);
    rondo_signal *signal = rondo_signal_new(loop);
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    rondo_timer *timer = start_timer(loop, 0, note_timer, "timer");
    rondo_stream_on_data(stream, receive_data, &got);
    CHECK_INT(rondo_signal_start(signal, SIGUSR1, note_signal, "signal"), 0);
    /* TSan can't follow new threads in a forked child. */
    bool work = !harness_is_slow();
    if (work) CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer, note_outcome, &worked), 0);
    harness_send_str(peer, "data");
    kill(getpid(), SIGUSR1);
    close(peer);
    rondo_unref(server);
    rondo_unref(signal);
    run_all(loop);
    rondo_close(timer);
    rondo_close(signal);
    rondo_close(server);
    run_all(loop);
    CHECK_TRACE("timer signal");
    CHECK_RECEIVED(got, "data");
    if (work) CHECK_OUTCOME(worked, 42);
}

static void wait_for(pid_t child) {
    int status;
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

TEST(a_child_makes_a_loop_of_its_own) {
    rondo_loop *loop = new_loop();
    use_everything(loop);
    pid_t child = fork();
    if (child == 0) {
        rondo_loop *own = new_loop();
        use_everything(own);
        rondo_loop_free(own);
        rondo_loop_free(loop);
        _exit(0);
    }
    wait_for(child);
    use_everything(loop);
    rondo_loop_free(loop);
}

static int count_fds(void) {
    int count = 0;
    for (int fd = 0; fd < 100; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Open handles of each kind, a job that runs in a thread that the child has not, bytes to write. */
static void free_in_the_child(rondo_loop *loop) {
    int before = count_fds();
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), RONDO_ENOTSUP);
    rondo_loop_free(loop);
    CHECK_INT(count_fds(), before - 2); /* libev's and the wake-up's */
    kill(getpid(), SIGUSR1);            /* nobody is there to take it */
    rondo_loop *own = new_loop();
    use_everything(own);
    rondo_loop_free(own);
    _exit(0);
}

TEST(a_child_may_free_the_loop_of_its_parent) {
    rondo_loop *loop = new_loop();
    rondo_stream *stream;
    received got = {0};
    gate g;
    gate_init(&g);
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, receive_data, &got);
    rondo_signal *signal = rondo_signal_new(loop);
    CHECK_INT(rondo_signal_start(signal, SIGUSR1, note_signal, "signal"), 0);
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    start_timer(loop, 3600 * 1000, note_timer, "never");
    rondo_async_new(loop, note_async, "never");
    run_turns(loop, 2);
    static rondo_job *running; /* the child can't give it back: known here, it is no leak there */
    CHECK_INT(rondo_work_submit(loop, NULL, &running, stand_at, ignore_done, &g), 0);
    gate_wait_entered(&g, 1);
    write_text(stream, "written once"); /* not yet sent */

    pid_t child = fork();
    if (child == 0) free_in_the_child(loop);
    wait_for(child);

    /* The parent's epoll set, sockets and signals are as they were. */
    CHECK_STR(read_now(peer), "");
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "written once");
    harness_send_str(peer, "heard");
    int client = harness_connect(rondo_server_port(server));
    kill(getpid(), SIGUSR1);
    run_turns(loop, 2);
    CHECK_RECEIVED(got, "heard");
    CHECK_TRACE("signal");
    gate_open(&g, 1);
    close(client);
    close(peer);
    end_loop(loop);
}

/* ---- from a thread that does not run the loop ---- */

static void *fork_in_thread(void *arg) {
    rondo_loop *loop = arg;
    while (!atomic_load(&loop->asleep)) harness_sleep_ms(1);
    pid_t child = fork();
    if (child == 0) {
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), RONDO_ENOTSUP);
        rondo_loop_free(loop); /* nobody runs it here */
        rondo_loop *own = new_loop();
        use_everything(own);
        rondo_loop_free(own);
        _exit(0);
    }
    wait_for(child);
    rondo_loop_stop(loop);
    return NULL;
}

TEST(another_thread_may_fork_while_the_loop_runs) {
    rondo_loop *loop = new_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    pthread_t thread = harness_thread(fork_in_thread, loop);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    pthread_join(thread, NULL);
    close(peer);
    end_loop(loop);
}
