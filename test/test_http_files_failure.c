/* SPDX-License-Identifier: MIT
 *
 * Static files: what goes wrong on the way. Clients that vanish, files that shrink, responses and
 * loops that are closed while a worker opens a file, workers and memory that run out.
 */
#define _GNU_SOURCE
#include "http_site.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define HUGE_FILE (64 * 1024 * 1024)

static int begin_download(const site *s) {
    int fd = harness_connect(s->port);
    char some[4096];

    harness_send_str(fd, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(harness_recv_exact(fd, some, sizeof some), sizeof some);
    return fd;
}

static void vanish(site *s) {
    struct linger at_once = {1, 0};

    for (int i = 0; i < 6; i++) {
        int fd = begin_download(s);
        if (i % 2) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* RST */
        close(fd);
    }
    /* Gone before the answer has begun. */
    int fd = harness_connect(s->port);
    harness_send_str(fd, "GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    close(fd);
    check_status(s, "GET", "/a.txt", NULL, 200);
}

static void shrink(site *s) {
    int fd = begin_download(s);
    size_t size;

    CHECK_INT(truncate(site_path(s, "root/huge"), 1000), 0);
    free(harness_recv_until_eof(fd, &size));
    close(fd);
    CHECK(size < HUGE_FILE - 4096);
    check_status(s, "GET", "/huge", NULL, 200);
    CHECK_INT(truncate(site_path(s, "root/huge"), HUGE_FILE), 0);
}

TEST(clients_vanish_and_files_shrink) {
    site s;

    site_make(&s);
    site_file(&s, "root/huge", "");
    CHECK_INT(truncate(site_path(&s, "root/huge"), HUGE_FILE), 0);
    for (int way = 0; way < SITE_WAYS; way++) {
        site_serve(&s, way, vanish);
        site_serve(&s, way, shrink);
    }
    site_remove(&s);
}

/* The directory is given up while a worker opens a file of it: that request is still answered. */
static void serve_and_free(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;

    rondo_http_files_serve(request, response, s->files);
    rondo_http_files_free(s->files);
    s->files = NULL;
}
static void ask_once(site *s) { check_body(s, "/a.txt", NULL, 200, "0123456789"); }

TEST(free_lets_requests_finish) {
    site s;

    site_make(&s);
    s.on_request = serve_and_free;
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, ask_once);
    site_remove(&s);
}

static void serve_and_close(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;

    rondo_http_files_serve(request, response, s->files);
    harness_sleep_ms(2); /* the file is open now, and delivered before the response is closed */
    rondo_close(response);
}
static void ask_in_vain(site *s) {
    answer got = ask(s, "GET", "/a.txt", NULL);
    CHECK_INT(got.status, 0);
    answer_free(&got);
}
TEST(response_closed_while_a_worker_opens) {
    site s;

    site_make(&s);
    s.on_request = serve_and_close;
    site_serve(&s, 1, ask_in_vain);
    site_serve(&s, 2, ask_in_vain);
    site_remove(&s);
}

static void serve_and_close_all(rondo_http_request *request, rondo_http_response *response,
                                void *arg) {
    site *s = arg;

    rondo_http_files_serve(request, response, s->files);
    rondo_loop_close_all(s->loop);
}
TEST(loop_closed_while_a_worker_opens) {
    site s;

    site_make(&s);
    s.on_request = serve_and_close_all;
    site_serve(&s, 1, ask_in_vain);
    site_remove(&s);
}

/* All workers of the lane are busy and its queue is full. */
static atomic_bool work_may_end;
static int64_t work_until_told(rondo_job *job, void *arg) {
    (void)job;
    (void)arg;
    while (!atomic_load(&work_may_end)) harness_sleep_ms(1);
    return 0;
}
static void ignore_result(rondo_loop *loop, int64_t result, void *arg) {
    (void)loop;
    (void)result;
    (void)arg;
}
static void serve_when_busy(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;
    rondo_lane *lane = rondo_lane_fs(s->loop);

    rondo_lane_figures figures = {0};

    atomic_store(&work_may_end, false);
    CHECK_INT(rondo_lane_resize(lane, 1, 1), 0);
    CHECK_INT(rondo_work_submit(s->loop, lane, NULL, work_until_told, ignore_result, NULL), 0);
    while (figures.running != 1 || figures.threads != 1) /* it makes room in the queue no more */
        rondo_lane_get_figures(lane, &figures);
    while (rondo_work_submit(s->loop, lane, NULL, work_until_told, ignore_result, NULL) == 0) {}
    rondo_http_files_serve(request, response, s->files);
    atomic_store(&work_may_end, true);
}
static void ask_when_busy(site *s) { check_status(s, "GET", "/a.txt", NULL, 503); }

TEST(full_queue_is_503) {
    site s;

    site_make(&s);
    s.on_request = serve_when_busy;
    site_serve(&s, 1, ask_when_busy);
    site_remove(&s);
}

/* Each allocation of a request fails once: an honest refusal or a cut connection, never the wrong
 * content, and nothing leaks (the harness looks). */
static long failing;
static bool failed;
static void serve_starving(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;

    harness_fail_alloc_after(failing);
    rondo_http_files_serve(request, response, s->files);
}
static void ask_starving(site *s) {
    answer got = ask(s, "GET", "/a.txt", NULL);

    CHECK(got.status == 200 || got.status >= 500 || got.status == 0);
    if (got.status == 200 && got.body_len > 0) CHECK_STR(got.body, "0123456789");
    answer_free(&got);
}
TEST(out_of_memory) {
    site s;

    site_make(&s);
    s.on_request = serve_starving;
    for (int way = 0; way < SITE_WAYS; way++) {
        for (failing = 0, failed = true; failed && failing < 50; failing++) {
            site_serve(&s, way, ask_starving);
            failed = harness_alloc_failed();
            harness_fail_alloc_after(-1);
        }
        CHECK(failing < 50);
    }
    site_remove(&s);
}
