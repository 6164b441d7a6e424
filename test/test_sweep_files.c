/* SPDX-License-Identifier: MIT
 *
 * Static files over HTTP with a fault at every point (harness/faults.h): a client gets the file, or
 * a status that says that it doesn't, or less than was promised and the end; never wrong bytes. No
 * descriptor is left, and the next client gets the file.
 *
 * test/run: not under valgrind; it takes too long, and the sanitizers see all of it.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "http_site.h"

#include <errno.h>

enum { LARGE = 300000 };

static int way;
static bool must_work; /* the faults of the sweep change nothing for the client */

static void check_large(const answer *got) {
    for (size_t i = 0; i < got->body_len; i++)
        if ((unsigned char)got->body[i] != site_octet(i)) FAIL("octet %zu is wrong", i);
    CHECK(got->body_len <= LARGE);
    if (must_work) CHECK_INT(got->body_len, LARGE);
}

static void one_file(site *s, const char *target) {
    answer got = ask(s, "GET", target, NULL);
    if (must_work || !faults_struck()) CHECK_INT(got.status, 200);
    if (got.status == 200 && strcmp(target, "/large") == 0)
        check_large(&got);
    else if (got.status == 200 && got.body_len > 0)
        CHECK(strncmp(got.body, "0123456789", got.body_len) == 0);
    else
        CHECK(got.status != 304 && got.status != 206);
    answer_free(&got);
}

static void ask_for_files(site *s) {
    FAULTS_BEGIN();
    one_file(s, "/a.txt");
    one_file(s, "/large");
    FAULTS_END();
    check_body(s, "/a.txt", NULL, 200, "0123456789");
}

static void serve_files(void) {
    site s;
    site_make(&s);
    site_big_file(&s, "root/large", LARGE);
    site_serve(&s, way, ask_for_files);
    site_remove(&s);
}

#define OPENS (CALL_syscall | CALL_openat | CALL_open)
#define MOVES (CALL_read | CALL_send | CALL_sendmsg | CALL_sendfile)

TEST(files_with_what_passes_at_every_point) {
    must_work = true;
    for (way = 0; way < SITE_WAYS; way++) {
        FAULT_SWEEP(serve_files, MOVES, EAGAIN);
        FAULT_SWEEP(serve_files, MOVES | OPENS | CALL_pread | CALL_close, EINTR);
        FAULT_SWEEP_SHORT(serve_files, MOVES | CALL_pread, 1);
    }
    way = 0;
    FAULT_PERIODS(serve_files, MOVES, EAGAIN);
}
TEST(files_that_cannot_be_opened) {
    const int errors[] = {EMFILE, EACCES, ENOMEM, EIO, ELOOP, ENOENT};
    for (way = 0; way < SITE_WAYS; way++)
        for (int i = 0; i < 6; i++) FAULT_SWEEP(serve_files, OPENS | CALL_fstat, errors[i]);
}
TEST(files_that_cannot_be_read_or_sent) {
    FAULT_SWEEP(serve_files, CALL_pread | CALL_sendfile, EIO);
    FAULT_SWEEP_SHORT(serve_files, CALL_pread | CALL_sendfile, 0);
    FAULT_SWEEP(serve_files, MOVES, ECONNRESET);
    way = 1;
    FAULT_SWEEP(serve_files, CALL_pthread_create, EAGAIN);
}
