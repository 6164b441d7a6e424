/* SPDX-License-Identifier: MIT
 *
 * The test harness: a test program is a few TEST(...) and nothing else, no main.
 *
 * Each test runs in a process of its own, with an alarm, in its own process group. It fails when a
 * check fails, when it dies, takes too long, or leaves behind a memory block of the library, a file
 * descriptor or a thread. All output of a test is kept back and shown only if it fails.
 *
 *   test_x                run every test
 *   test_x word...        run the tests with one of these words in their name
 *   test_x -1 name        run one test in this process, without fork (for gdb)
 *   test_x -l             list the tests
 *
 * RONDO_TEST_TIMEOUT=seconds changes the time a test has, which is 10 s (more in test/run).
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* TEST(name) { ... } passes when its body returns. */
#define TEST(name) HARNESS_TEST(name, NULL, false)

/* Passes when the body dies by abort(), having written TEXT to stderr. */
#define TEST_ABORTS(name, text) HARNESS_TEST(name, text, false)

/* Runs only when asked for by its exact name: the harness's own tests have such. */
#define TEST_HIDDEN(name) HARNESS_TEST(name, NULL, true)
#define TEST_ABORTS_HIDDEN(name, text) HARNESS_TEST(name, text, true)

/* HARNESS_WARM_UP(name) { ... }: what most tests of a program do at first. Under valgrind the better
 * part of a short test is the translating of code that was never run before, and a fork inherits what
 * is translated: there this is run once, before the first test. It must leave nothing behind. */
#define HARNESS_WARM_UP(name)                                                                      \
    static void name(void);                                                                        \
    __attribute__((constructor)) static void harness_warm_##name(void) { harness_warm_up = name; } \
    static void name(void)

/* Leaves the test, which counts as passed and is named in the summary. */
#define SKIP(reason) harness_skip(reason)

/* The first check that fails ends the test, from whatever thread. `got` comes first. */
#define CHECK(cond) ((cond) ? (void)0 : harness_fail(__FILE__, __LINE__, "CHECK(%s)", #cond))
#define CHECK_INT(got, want) \
    harness_check_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_STR(got, want) harness_check_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_MEM(got, want, size) \
    harness_check_mem(__FILE__, __LINE__, #got, (got), (want), (size))
#define FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)

/*
 * Memory. The library allocates through the harness, which counts.
 */
size_t harness_live_blocks(void); /* not freed yet */
size_t harness_alloc_count(void); /* allocations and reallocations since the test began */

/* The allocation after the next n fails, once; 0 is the very next one, -1 none. */
void harness_fail_alloc_after(long n);

/* Whether the failure asked for has happened. A sweep over every allocation of an operation:
 *     for (long n = 0;; n++) {
 *         harness_fail_alloc_after(n);
 *         ... the operation, which must work or return RONDO_ENOMEM, and clean up ...
 *         if (!harness_alloc_failed()) break;
 *     }
 */
bool harness_alloc_failed(void);

/*
 * The other end of a connection: blocking calls, so for a thread or before the loop runs. All of
 * them fail the test when something goes wrong or takes longer than 30 s.
 */
int harness_connect(int port); /* TCP to 127.0.0.1; returns the fd, yours to close */
void harness_send_all(int fd, const void *data, size_t size);
void harness_send_str(int fd, const char *text);
size_t harness_recv_exact(int fd, void *ret_data, size_t size); /* less only at the end */
char *harness_recv_until_eof(int fd, size_t *ret_size);         /* malloc'ed, 0-terminated */

/* What was sent over the loopback has arrived, as each poll of the library sees to that does not sleep: for
 * who looks at a socket without one. */
void harness_settle(void);

pthread_t harness_thread(void *(*run)(void *arg), void *arg); /* pthread_join it */
long long harness_now_ms(void);                               /* monotonic */
void harness_sleep_ms(int ms);
bool harness_is_slow(void); /* valgrind or a sanitizer: time means little */
bool harness_is_valgrind(void);

/* --- What the macros are made of ----------------------------------------------------------- */

struct harness_test {
    const char *name;
    void (*run)(void);
    const char *aborts_with; /* NULL for an ordinary test */
    bool hidden;
    struct harness_test *next;
};

extern void (*harness_warm_up)(void);
void harness_register(struct harness_test *test);
void harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void harness_skip(const char *reason) __attribute__((noreturn));
void harness_check_int(const char *file, int line, const char *expr, long long got, long long want);
void harness_check_str(const char *file, int line, const char *expr, const char *got,
                       const char *want);
void harness_check_mem(const char *file, int line, const char *expr, const void *got,
                       const void *want, size_t size);

#define HARNESS_TEST(test_name, text, is_hidden)                                                \
    static void test_##test_name(void);                                                         \
    static struct harness_test harness_test_##test_name = {                                     \
        .name = #test_name, .run = test_##test_name, .aborts_with = text, .hidden = is_hidden}; \
    __attribute__((constructor)) static void harness_add_##test_name(void) {                    \
        harness_register(&harness_test_##test_name);                                            \
    }                                                                                           \
    static void test_##test_name(void)

#endif
