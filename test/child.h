/* SPDX-License-Identifier: MIT
 *
 * For tests of what a process leaves behind: a child with descriptors of the test's choice as its
 * standard ones, and how it ended.
 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include "streams.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* A descriptor more that the next child keeps. */
static int child_keeps __attribute__((unused)) = -1;

/* Starts run(arg) in a child that has these descriptors and no others; -1: closed. Those given are
 * closed here. When run returns, the child returns from main, so to speak. */
STREAMS_HELPER pid_t start_child(void (*run)(void *arg), void *arg, int in, int out, int err) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        int fds[3] = {in, out, err}, copies[3];
        setrlimit(RLIMIT_CORE, &none);
        for (int i = 0; i < 3; i++) copies[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 50);
        for (int fd = 3; fd < 100; fd++)
            if (fd != copies[0] && fd != copies[1] && fd != copies[2] && fd != child_keeps)
                close(fd);
        for (int i = 0; i < 3; i++) {
            if (copies[i] < 0)
                close(i);
            else
                dup2(copies[i], i);
        }
        for (int i = 0; i < 3; i++)
            if (copies[i] >= 0) close(copies[i]);
        run(arg);
        exit(0);
    }
    for (int i = 0; i < 3; i++) {
        int fd = i == 0 ? in : i == 1 ? out : err;
        bool again = (i > 0 && fd == in) || (i > 1 && fd == out);
        if (fd > 2 && !again) close(fd);
    }
    return pid;
}

/* The exit status, or the signal that killed it as a negative number. */
STREAMS_HELPER int wait_for(pid_t pid) {
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

STREAMS_HELPER rondo_stream *open_standard(rondo_loop *loop, int number) {
    rondo_stream *stream = NULL;
    CHECK_INT(rondo_stdio_open(loop, number, &stream), 0);
    CHECK(stream != NULL);
    return stream;
}

#endif
