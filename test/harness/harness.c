/* SPDX-License-Identifier: MIT
 *
 * Runs the tests of a program, one process each. See harness.h.
 */
#define _GNU_SOURCE
#include "harness.h"

#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct harness_report *harness_report;
char harness_context[256];

static struct harness_test *first_test;
static struct harness_test **last_next = &first_test;
static pid_t test_pid; /* the process of the test itself, not a child that it forked */

/* --- In the test ------------------------------------------------------------------------------- */

void harness_register(struct harness_test *test) {
    *last_next = test; /* constructors of one file run from top to bottom */
    last_next = &test->next;
}

void harness_fail(const char *file, int line, const char *format, ...) {
    char *text = harness_report->failure;
    size_t size = sizeof harness_report->failure;
    va_list args;

    if (text[0] == '\0') { /* the first failure is the one to look at */
        int used = snprintf(text, size, "%s:%d: ", file, line);
        va_start(args, format);
        vsnprintf(text + used, size - (size_t)used - sizeof harness_context, format, args);
        va_end(args);
        strcat(text, harness_context);
        fprintf(stderr, "%s\n", text); /* for -1; else it is in the output that is shown */
    }
    fflush(NULL);
    _exit(1); /* not exit: what is left behind now would only hide the reason */
}

void harness_skip(const char *reason) {
    snprintf(harness_report->skipped, sizeof harness_report->skipped, "%s", reason);
    fflush(NULL);
    _exit(0);
}

void harness_check_int(const char *file, int line, const char *expr, long long got,
                       long long want) {
    if (got != want) {
        harness_fail(file, line, "%s is %lld, should be %lld", expr, got, want);
    }
}

void harness_check_str(const char *file, int line, const char *expr, const char *got,
                       const char *want) {
    if (got == NULL || want == NULL) {
        if (got != want) {
            harness_fail(file, line, "%s is %s, should be %s", expr, got ? got : "NULL",
                         want ? want : "NULL");
        }
    } else if (strcmp(got, want) != 0) {
        harness_fail(file, line, "%s is \"%.800s\", should be \"%.800s\"", expr, got, want);
    }
}

void harness_check_mem(const char *file, int line, const char *expr, const void *got,
                       const void *want, size_t size) {
    const unsigned char *a = got, *b = want;

    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            harness_fail(file, line, "%s differs at byte %zu of %zu: 0x%02x, should be 0x%02x",
                         expr, i, size, a[i], b[i]);
        }
    }
}

/* Runs in the process of the test. Returns only when the test has passed so far. */
static void run_here(const struct harness_test *test) {
    test_pid = getpid();
    harness_alloc_install();
    harness_fence_open();
    harness_leaks_note();
    test->run();
    if (getpid() != test_pid) {
        _exit(0); /* a child that the test forked came home with it */
    }
    harness_leaks_check();
    harness_report->finished = true;
}

/* A shell's background jobs begin with SIGINT and SIGQUIT ignored, nohup's with SIGHUP: a test begins
 * with what a program in the foreground has. */
static void default_signals(void) {
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD, SIGTSTP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
}

static void run_in_child(const struct harness_test *test, int output, const sigset_t *mask) {
    setpgid(0, 0);
    default_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* Ctrl-C kills the harness only: this group is not its */
    sigprocmask(SIG_SETMASK, mask, NULL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
    if (test->aborts_with != NULL) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
    }
    run_here(test);
    exit(0); /* not _exit: LeakSanitizer looks for leaks on the way out */
}

/* --- In the parent ----------------------------------------------------------------------------- */

static long timeout_s(void) {
    const char *text = getenv("RONDO_TEST_TIMEOUT");
    long seconds = text ? strtol(text, NULL, 10) : 0;
    return seconds > 0 ? seconds : 10;
}

/* Returns false when the time is over. SIGCHLD is blocked, so it can't be missed. */
static bool wait_for_child(pid_t pid, int *ret_status) {
    long long deadline = harness_now_ms() + timeout_s() * 1000;
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        long long left = deadline - harness_now_ms();
        pid_t done = waitpid(pid, ret_status, WNOHANG);
        if (done == pid) {
            return true;
        }
        if (left <= 0) {
            return false;
        }
        struct timespec wait = {left / 1000, left % 1000 * 1000000};
        sigtimedwait(&child, NULL, &wait);
    }
}

static char *read_all(int fd) {
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    if (text != NULL && pread(fd, text, (size_t)size, 0) < 0) {
        text[0] = '\0';
    }
    return text;
}

/* Writes why the test failed into the report, if it did. */
static void judge(const struct harness_test *test, bool in_time, int status, const char *output) {
    char *why = harness_report->failure;
    size_t size = sizeof harness_report->failure;
    bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;

    if (why[0] != '\0') {
        return; /* a check has said it already */
    }
    if (!in_time) {
        snprintf(why, size, "timed out after %ld s", timeout_s());
    } else if (harness_report->skipped[0] != '\0') {
        return;
    } else if (test->aborts_with != NULL && !aborted) {
        snprintf(why, size, "did not abort");
    } else if (test->aborts_with != NULL && strstr(output, test->aborts_with) == NULL) {
        snprintf(why, size, "aborted without saying \"%s\"", test->aborts_with);
    } else if (test->aborts_with != NULL) {
        return;
    } else if (WIFSIGNALED(status)) {
        snprintf(why, size, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0) {
        snprintf(why, size, "exit status %d", WEXITSTATUS(status));
    } else if (!harness_report->finished) {
        snprintf(why, size, "left by exit(0)");
    }
}

static void print_indented(const char *text) {
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        printf("    | %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

/* Returns whether the test passed. */
static bool run_forked(const struct harness_test *test) {
    int output = memfd_create("output", MFD_CLOEXEC);
    int status = 0;
    sigset_t child, old;

    memset(harness_report, 0, sizeof *harness_report);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &old);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        run_in_child(test, output, &old);
    }
    if (pid < 0 || output < 0) {
        perror("harness");
        exit(1);
    }
    setpgid(pid, pid); /* in both, as either may come first */
    bool in_time = wait_for_child(pid, &status);
    kill(-pid, SIGKILL); /* also the strays of a test that has ended */
    if (!in_time) {
        kill(pid, SIGKILL); /* itself may have left the group */
        waitpid(pid, &status, 0);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);

    char *text = read_all(output);
    close(output);
    judge(test, in_time, status, text);
    bool passed = harness_report->failure[0] == '\0';
    if (!passed) {
        printf("FAIL %s: %s\n", test->name, harness_report->failure);
        print_indented(text);
    } else if (harness_report->skipped[0] != '\0') {
        printf("ok %s # skipped: %s\n", test->name, harness_report->skipped);
    } else {
        printf("ok %s\n", test->name);
    }
    free(text);
    return passed;
}

static bool selected(const struct harness_test *test, int word_count, char **words) {
    for (int i = 0; i < word_count; i++) {
        if (test->hidden ? strcmp(test->name, words[i]) == 0
                         : strstr(test->name, words[i]) != NULL) {
            return true;
        }
    }
    return word_count == 0 && !test->hidden;
}

void (*harness_warm_up)(void);

static void warm_up(void) {
    const char *tool = getenv("RONDO_TEST_SLOW");
    if (!harness_warm_up || !tool || strcmp(tool, "valgrind") != 0) return;
    harness_alloc_install();
    harness_leaks_note();
    harness_warm_up();
    harness_leaks_check();
}

static int run_in_this_process(const char *name) {
    for (struct harness_test *test = first_test; test != NULL; test = test->next) {
        if (strcmp(test->name, name) == 0) {
            run_here(test);
            printf("ok %s\n", name);
            return 0;
        }
    }
    fprintf(stderr, "no test is called %s\n", name);
    return 2;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0, skipped = 0;

    harness_report = mmap(NULL, sizeof *harness_report, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (harness_report == MAP_FAILED) {
        perror("harness");
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (struct harness_test *test = first_test; test != NULL; test = test->next) {
            printf("%s%s\n", test->name, test->hidden ? " (hidden)" : "");
        }
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "-1") == 0) {
        return run_in_this_process(argv[2]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    warm_up();
    for (struct harness_test *test = first_test; test != NULL; test = test->next) {
        if (selected(test, argc - 1, argv + 1)) {
            if (run_forked(test)) {
                passed++;
                skipped += harness_report->skipped[0] != '\0';
            } else {
                failed++;
            }
        }
    }
    if (skipped > 0) {
        printf("%d skipped, counted as passed\n", skipped);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
