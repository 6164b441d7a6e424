/* SPDX-License-Identifier: MIT
 *
 * The harness must notice what it is there to notice: it runs itself on tests that must fail.
 *
 * test/run: not under valgrind; it runs itself, and all others run it.
 */
#include "harness.h"

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs one hidden test of this program; returns what was printed, malloc'ed. */
static char *run_hidden(const char *name, int *ret_exit_status) {
    char self[512], command[1024];
    size_t size = 0;
    char *text = calloc(1, 65536);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    CHECK(length > 0 && text != NULL);
    self[length] = '\0';
    snprintf(command, sizeof command, "RONDO_TEST_TIMEOUT=%s '%s' %s 2>&1",
             strstr(name, "timeout") ? "1" : "60", self, name);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL);
    while (size < 65535) {
        size_t got = fread(text + size, 1, 65535 - size, pipe);
        if (got == 0) {
            break;
        }
        size += got;
    }
    *ret_exit_status = pclose(pipe);
    return text;
}

static void check_run(const char *name, bool passes, const char *says) {
    int status;
    char *text = run_hidden(name, &status);
    const char *total = passes ? "1 passed, 0 failed\n" : "0 passed, 1 failed\n";

    if (strstr(text, says) == NULL || strstr(text, total) == NULL || (status == 0) != passes) {
        FAIL("%s should say \"%s\" and \"%s\"; status %d, output: %s", name, says, total, status,
             text);
    }
    free(text);
}

TEST_HIDDEN(hidden_passes) { CHECK(true); }
TEST(a_passing_test_passes) { check_run("hidden_passes", true, "ok hidden_passes"); }

TEST_HIDDEN(hidden_check) { CHECK(1 + 1 == 3); }
TEST(a_false_check_fails) {
    check_run("hidden_check", false, "test_harness.c");
    check_run("hidden_check", false, "CHECK(1 + 1 == 3)");
}

TEST_HIDDEN(hidden_int) { CHECK_INT(1 + 1, 3); }
TEST_HIDDEN(hidden_str) { CHECK_STR("a", "b"); }
TEST_HIDDEN(hidden_null) { CHECK_STR(NULL, "b"); }
TEST_HIDDEN(hidden_mem) { CHECK_MEM("abc", "abd", 3); }
TEST(comparisons_say_both_sides) {
    check_run("hidden_int", false, "1 + 1 is 2, should be 3");
    check_run("hidden_str", false, "\"a\" is \"a\", should be \"b\"");
    check_run("hidden_null", false, "NULL is NULL, should be b");
    check_run("hidden_mem", false, "differs at byte 2 of 3");
}

static void *fail_in_thread(void *arg) {
    (void)arg;
    FAIL("in a thread");
}
TEST_HIDDEN(hidden_thread_check) { pthread_join(harness_thread(fail_in_thread, NULL), NULL); }
TEST(a_check_in_a_thread_fails) { check_run("hidden_thread_check", false, "in a thread"); }

TEST_HIDDEN(hidden_timeout) {
    for (;;) {
        pause();
    }
}
TEST_HIDDEN(hidden_timeout_outside) {
    CHECK(setpgid(0, getpgid(getppid())) == 0);
    pause();
}
TEST(a_test_that_hangs_is_ended) {
    check_run("hidden_timeout", false, "timed out after 1 s");
    check_run("hidden_timeout_outside", false, "timed out after 1 s");
}

TEST_HIDDEN(hidden_exit) { exit(3); }
TEST(a_test_that_exits_fails) { check_run("hidden_exit", false, "exit status 3"); }

TEST_HIDDEN(hidden_exit_0) { exit(0); }
TEST(a_test_that_exits_with_0_fails) { check_run("hidden_exit_0", false, "left by exit(0)"); }

TEST_HIDDEN(hidden_signal) { raise(SIGTERM); }
TEST(a_killed_test_fails) { check_run("hidden_signal", false, "killed by signal 15"); }

TEST_HIDDEN(hidden_fd) { CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0); }
TEST(a_leaked_descriptor_fails) { check_run("hidden_fd", false, "(/dev/null)"); }

TEST_HIDDEN(hidden_block) { CHECK(harness_realloc(NULL, 1, NULL) != NULL); }
TEST(a_leaked_block_fails) { check_run("hidden_block", false, "1 memory block(s) leaked"); }

static void *sleep_long(void *arg) {
    harness_sleep_ms(100000);
    return arg;
}
TEST_HIDDEN(hidden_thread) { harness_thread(sleep_long, NULL); }
TEST(a_leaked_thread_fails) { check_run("hidden_thread", false, "1 thread is still running"); }

TEST_ABORTS_HIDDEN(hidden_abort, "the right words") {
    fprintf(stderr, "these are the right words\n");
    abort();
}
TEST_ABORTS_HIDDEN(hidden_abort_other, "the right words") {
    fprintf(stderr, "the wrong words\n");
    abort();
}
TEST_ABORTS_HIDDEN(hidden_abort_none, "the right words") { fprintf(stderr, "the right words\n"); }
TEST_ABORTS_HIDDEN(hidden_abort_kill, "the right words") {
    fprintf(stderr, "the right words\n");
    raise(SIGKILL);
}
TEST(an_abort_must_say_the_right_words) {
    check_run("hidden_abort", true, "ok hidden_abort");
    check_run("hidden_abort_other", false, "aborted without saying \"the right words\"");
    check_run("hidden_abort_none", false, "did not abort");
    check_run("hidden_abort_kill", false, "did not abort");
}

TEST_HIDDEN(hidden_skip) { SKIP("no such thing here"); }
TEST(a_skipped_test_is_named) {
    check_run("hidden_skip", true, "# skipped: no such thing here");
    check_run("hidden_skip", true, "1 skipped");
}

TEST_HIDDEN(hidden_output) {
    printf("to stdout\n");
    CHECK(false);
}
TEST(output_of_a_failed_test_is_shown) { check_run("hidden_output", false, "| to stdout"); }

TEST(no_such_test_is_a_failure) {
    int status;
    char *text = run_hidden("no_test_has_this_name", &status);
    CHECK(status != 0);
    CHECK_STR(text, "0 passed, 0 failed\n");
    free(text);
}

TEST_HIDDEN(hidden_stray) {
    if (fork() == 0) {
        for (;;) {
            pause();
        }
    }
}
/* The stray holds the pipe of popen open: reading to its end shows that it is gone. */
TEST(strays_are_killed) { check_run("hidden_stray", true, "ok hidden_stray"); }

/* What only a sanitizer sees must fail the test too. */
TEST_HIDDEN(hidden_malloc) {
    void *volatile block = malloc(16);
    CHECK(block != NULL);
    block = NULL;
}
TEST(a_leak_of_malloc_fails_under_asan) {
    if (!HARNESS_ASAN) {
        SKIP("only AddressSanitizer sees it");
    }
    check_run("hidden_malloc", false, "detected memory leaks");
}

TEST(the_allocation_asked_for_fails_once) {
    harness_fail_alloc_after(1);
    void *first = harness_realloc(NULL, 8, NULL);
    CHECK(first != NULL);
    CHECK(!harness_alloc_failed());
    CHECK(harness_realloc(NULL, 8, NULL) == NULL);
    CHECK(harness_alloc_failed());
    void *third = harness_realloc(NULL, 8, NULL);
    CHECK(third != NULL);
    CHECK_INT(harness_live_blocks(), 2);
    CHECK_INT(harness_alloc_count(), 3);
    harness_free(first, NULL);
    harness_free(third, NULL);
    CHECK_INT(harness_live_blocks(), 0);
}
