/* SPDX-License-Identifier: MIT
 *
 * rondo_dns_query(), against name servers of our own: every type of record, every failure, what
 * happens when it is canceled, and to its sockets. How to read an answer is in test_dns_records.c.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "gate.h"
#include "trace.h"

#ifndef RONDO__HAVE_CARES

TEST(without_c_ares_queries_are_refused) {
    rondo_loop *loop = new_loop();
    CHECK_INT(rondo_dns_query(loop, "a.test", RONDO_DNS_A, NULL, NULL, NULL, NULL), RONDO_ENOSYS);
    rondo_loop_free(loop);
}

#else

#include <ares.h>
#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "dns_server.h"
#include "dns_show.h"
#include "internal.h"

static dns_server server;

static void note_query(rondo_loop *loop, int status, const rondo_dns_record *records, size_t count,
                       void *arg) {
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_pending);
    CHECK((status == 0) == (count > 0) && (status == 0) == (records != NULL));
    if (arg) note("%s", (const char *)arg);
    if (status < 0) note("%s", rondo_error_name(status));
    show_records(records, count);
}

/* What a test wants to be asked of `server`. Who counts what arrives there must not ask again only
 * because the machine is busy. */
static rondo_dns_query_options options(void) {
    return (rondo_dns_query_options){.servers = server.address, .try_ms = 20000, .no_search = true};
}

static rondo_dns_request *ask(rondo_loop *loop, const char *name, rondo_dns_type type,
                              const rondo_dns_query_options *how, const char *label) {
    rondo_dns_request *request = NULL;
    CHECK_INT(
        rondo_dns_query(loop, name, type, how, &request, note_query, (void *)(uintptr_t)label), 0);
    CHECK(request != NULL);
    return request;
}

static void query_with(const char *name, rondo_dns_type type, const rondo_dns_query_options *how,
                       const char *want) {
    rondo_loop *loop = new_loop();
    ask(loop, name, type, how, NULL);
    CHECK_TRACE(""); /* never inside the call */
    run_to_end(loop);
    CHECK_TRACE(want);
    rondo_loop_free(loop);
}

static void query(const char *name, rondo_dns_type type, const char *want) {
    rondo_dns_query_options how = options();
    query_with(name, type, &how, want);
}

/* ---- answers ---- */

static void ask_for_every_type(const rondo_dns_query_options *how) {
    query_with("a.test", RONDO_DNS_A, how, "A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    query_with("a.test.", RONDO_DNS_AAAA, how, "AAAA/300 [2001:db8::1]:0");
    query_with("a.test", RONDO_DNS_MX, how, "MX/300 10 a.test MX/300 20 b.test");
    query_with("a.test", RONDO_DNS_TXT, how, "TXT/300 'v=1\\20a\\00b'");
    query_with("_s._tcp.a.test", RONDO_DNS_SRV, how, "SRV/300 1 2 443 s.test");
    query_with("1.2.3.4.in-addr.arpa", RONDO_DNS_PTR, how, "PTR/300 host.test");
    query_with(".", RONDO_DNS_NS, how, "NS/300 ns1.test");
    query_with("a.test", RONDO_DNS_CNAME, how, "CNAME/300 real.test");
    query_with("a.test", RONDO_DNS_CAA, how, "CAA/300 0 issue 'ca.test'");
}

TEST(every_type_over_udp) {
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    ask_for_every_type(&how);
    CHECK_INT(atomic_load(&server.udp_count), 9);
    CHECK_INT(atomic_load(&server.connections), 0);
    dns_server_stop(&server);
}

TEST(every_type_over_tcp) {
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.tcp = true;
    ask_for_every_type(&how);
    CHECK_INT(atomic_load(&server.udp_count), 0);
    CHECK_INT(atomic_load(&server.tcp_count), 9);
    dns_server_stop(&server);
}

TEST(an_address_in_place_of_its_name) {
    dns_server_start(&server, NULL);
    query("192.0.2.77", RONDO_DNS_PTR, "PTR/300 host.test");
    CHECK_STR(dns_server_last(&server), "77.2.0.192.in-addr.arpa");
    query("2001:db8::a:7", RONDO_DNS_PTR, "PTR/300 host.test");
    CHECK_STR(dns_server_last(&server),
              "7.0.0.0.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    query("192.0.2.77", RONDO_DNS_A, "A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    CHECK_STR(dns_server_last(&server), "192.0.2.77");
    query("localhost", RONDO_DNS_PTR, "PTR/300 host.test");
    CHECK_STR(dns_server_last(&server), "localhost");
    dns_server_stop(&server);
}

TEST(aliases) {
    dns_server_start(&server, NULL);
    query("alias.test", RONDO_DNS_A, "A/20 192.0.2.1:0 A/20 192.0.2.2:0");
    query("loop.test", RONDO_DNS_A, "EPROTO");
    dns_server_stop(&server);
}

TEST(each_refusal_has_a_code) {
    dns_server_start(&server, NULL);
    query("nx.test", RONDO_DNS_A, "ENOTFOUND");
    query("nodata.test", RONDO_DNS_A, "ENODATA");
    query("servfail.test", RONDO_DNS_A, "EDNSFAIL");
    query("notimp.test", RONDO_DNS_A, "EDNSFAIL");
    query("formerr.test", RONDO_DNS_A, "EDNSFAIL");
    query("refused.test", RONDO_DNS_A, "EDNSREFUSED");
    CHECK_INT(atomic_load(&server.udp_count), 6); /* each is believed at once */
    dns_server_stop(&server);
}

TEST(answers_that_are_none) {
    dns_server_start(&server, NULL);
    query("garbage.test", RONDO_DNS_A, "EPROTO");
    query("evil.test", RONDO_DNS_MX, "EPROTO");
    query("empty.test", RONDO_DNS_NS, "NS/300 ns1.test");
    query("liar.test", RONDO_DNS_A, "A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    dns_server_stop(&server);
}

TEST(what_is_truncated_comes_by_tcp) {
    dns_server_start(&server, NULL);
    query("big.test", RONDO_DNS_A, "A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    CHECK_INT(atomic_load(&server.connections), 1);
    query("slices.test", RONDO_DNS_A, "A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    CHECK_INT(atomic_load(&server.connections), 2);
    dns_server_stop(&server);
}

TEST(a_server_that_hangs_up) {
    dns_server_start(&server, NULL);
    query("hangup.test", RONDO_DNS_A, "EDNSAGAIN");
    CHECK(atomic_load(&server.connections) >= 1);
    dns_server_stop(&server);
}

static size_t counted;
static void count_records(rondo_loop *loop, int status, const rondo_dns_record *records,
                          size_t count, void *arg) {
    CHECK_INT(status, 0);
    counted = count;
}
/* A FIN and a reset behind it: what is written then raises SIGPIPE, if nobody keeps it away. */
TEST(a_server_that_slams_the_door_is_no_signal) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    socklen_t size = sizeof any;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&any, size) == 0 && listen(listener, 1) == 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&any, &size), 0);
    snprintf(server.address, sizeof server.address, "127.0.0.1:%d", ntohs(any.sin_port));
    rondo_dns_query_options how = options();
    how.tcp = true;
    how.tries = 1;
    signal(SIGPIPE, SIG_DFL);
    rondo_loop *loop = new_loop();
    ask(loop, "a.test", RONDO_DNS_A, &how, NULL);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    close(listener);
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    run_to_end(loop);
    CHECK_TRACE("EDNSAGAIN");
    rondo_loop_free(loop);
}

TEST(thousands_of_addresses_are_cut) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    CHECK_INT(rondo_dns_query(loop, "many.test", RONDO_DNS_A, &how, NULL, count_records, NULL), 0);
    run_to_end(loop);
    CHECK_INT(counted, RONDO_DNS_ADDRESSES_MAX);
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

/* ---- time ---- */

/* It counts on a thread of its own, which a busy machine lets wait. */
static void wait_for_udp(const dns_server *which, int count) {
    while (atomic_load(&which->udp_count) < count) harness_sleep_ms(1);
}

TEST(a_lost_packet_is_sent_again) {
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.try_ms = 100;
    query_with("drop.test", RONDO_DNS_A, &how, "A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    CHECK(atomic_load(&server.udp_count) >= 2);
    dns_server_stop(&server);
}

TEST(silence_ends_when_the_tries_are_used_up) {
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.try_ms = 10;
    how.tries = 3;
    query_with("silent.test", RONDO_DNS_A, &how, "EDNSAGAIN");
    wait_for_udp(&server, 3);
    CHECK_INT(atomic_load(&server.udp_count), 3);
    how.tries = 1;
    query_with("silent.test", RONDO_DNS_A, &how, "EDNSAGAIN");
    wait_for_udp(&server, 4);
    CHECK_INT(atomic_load(&server.udp_count), 4);
    dns_server_stop(&server);
}

TEST(silence_ends_when_the_time_is_over) {
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.try_ms = 60000;
    how.timeout_ms = 20;
    query_with("silent.test", RONDO_DNS_A, &how, "ETIMEDOUT");
    CHECK(atomic_load(&server.udp_count) <= 1); /* a busy machine may not even have sent it */
    how.tcp = true;
    query_with("silent.test", RONDO_DNS_A, &how, "ETIMEDOUT");
    dns_server_stop(&server);
}

/* The next timeout is asked for once a turn, and while it waits the loop sleeps. */
TEST(waiting_costs_nothing) {
    rondo_loop *loop = new_loop();
    rondo_metrics metrics;
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.try_ms = 40;
    how.tries = 2;
    ask(loop, "silent.test", RONDO_DNS_A, &how, NULL);
    run_to_end(loop);
    CHECK_TRACE("EDNSAGAIN");
    rondo_loop_metrics(loop, &metrics);
    CHECK(metrics.turns < 12);
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

/* c-ares gives up inside the call then; the callback still waits. */
static void query_without_descriptors(const char *servers) {
    rondo_loop *loop = new_loop();
    struct rlimit limit, none;
    rondo_dns_query_options how = options();
    how.servers = servers;
    rondo_dns_request *request = ask(loop, "a.test", RONDO_DNS_A, &how, NULL);
    CHECK_INT(rondo_dns_cancel(request), 0);
    run_to_end(loop);
    CHECK_TRACE("ECANCELED");
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    ask(loop, "a.test", RONDO_DNS_A, &how, NULL);
    CHECK_TRACE("");
    run_to_end(loop);
    CHECK_TRACE("EDNSAGAIN");
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ask(loop, "a.test", RONDO_DNS_NS, &how, NULL);
    run_to_end(loop);
    CHECK_TRACE("NS/300 ns1.test");
    rondo_loop_free(loop);
}
TEST(no_descriptor_is_left) {
    char two[80];
    dns_server_start(&server, NULL);
    query_without_descriptors(server.address);
    snprintf(two, sizeof two, "%s,%s", server.address, server.address);
    query_without_descriptors(two);
    dns_server_stop(&server);
}

TEST(the_kernel_refuses_to_watch) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    warm_up(loop);
    faults_fail(CALL_epoll_ctl, 1, ENOSPC);
    ask(loop, "silent.test", RONDO_DNS_NS, &how, NULL);
    run_to_end(loop);
    CHECK_TRACE("ENOMEM");
    ask(loop, "a.test", RONDO_DNS_NS, &how, NULL);
    run_to_end(loop);
    CHECK_TRACE("NS/300 ns1.test");
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

TEST(nobody_is_there) {
    dns_server_start(&server, NULL);
    dns_server_stop(&server); /* its port is free now */
    query("a.test", RONDO_DNS_A, "EDNSAGAIN");
    rondo_dns_query_options how = options();
    how.tcp = true;
    query_with("a.test", RONDO_DNS_A, &how, "EDNSAGAIN");
}

/* ---- several servers ---- */

static void query_two(const char *first, const char *second, const char *want) {
    static dns_server other;
    char both[80];
    dns_server_start(&server, first);
    dns_server_start(&other, second);
    snprintf(both, sizeof both, "%s,%s", server.address, other.address);
    rondo_dns_query_options how = options();
    how.servers = both;
    if (strcmp(first, "silent") == 0) how.try_ms = 100;
    query_with("a.test", RONDO_DNS_NS, &how, want);
    wait_for_udp(&server, 1);
    CHECK_INT(atomic_load(&other.udp_count) > 0,
              strcmp(first, "ok") != 0 && strcmp(first, "nx") != 0);
    dns_server_stop(&server);
    dns_server_stop(&other);
}
TEST(the_second_server_is_asked_when_the_first_fails) {
    query_two("ok", "refused", "NS/300 ns1.test");
    query_two("nx", "ok", "ENOTFOUND");
    query_two("refused", "ok", "NS/300 ns1.test");
    query_two("servfail", "ok", "NS/300 ns1.test");
    query_two("silent", "ok", "NS/300 ns1.test");
}
TEST(a_canceled_query_does_not_ask_why) {
    rondo_loop *loop = new_loop();
    char both[80];
    dns_server_start(&server, "refused");
    snprintf(both, sizeof both, "%s,%s", server.address, server.address);
    rondo_dns_query_options how = options();
    how.servers = both;
    rondo_dns_request *one = ask(loop, "a.test", RONDO_DNS_A, &how, "one");
    ask(loop, "b.test", RONDO_DNS_A, &how, "two");
    CHECK_INT(rondo_dns_cancel(one), 0);
    run_to_end(loop);
    CHECK_TRACE("one ECANCELED two EDNSREFUSED");
    rondo_loop_free(loop);
    dns_server_stop(&server);
}
TEST(when_all_servers_refuse_the_first_one_says_why) {
    query_two("refused", "servfail", "EDNSREFUSED");
    query_two("servfail", "refused", "EDNSFAIL");
}

/* ---- the end of a query ---- */

static int sockets_open(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) > 0 && strncmp(target, "socket:", 7) == 0)
            count++;
    }
    closedir(dir);
    return count;
}

TEST(cancel_closes_what_nobody_waits_for) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    int before = sockets_open();
    rondo_dns_query_options how = options();
    how.try_ms = 60000;
    rondo_dns_request *one = ask(loop, "silent.test", RONDO_DNS_A, &how, "one");
    rondo_dns_request *two = ask(loop, "silent.test", RONDO_DNS_MX, &how, "two");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(sockets_open(), before + 1); /* shared */
    CHECK_INT(rondo_dns_cancel(one), 0);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("one ECANCELED");
    CHECK_INT(sockets_open(), before + 1);
    CHECK_INT(rondo_dns_cancel(two), 0);
    CHECK_INT(rondo_dns_cancel(two), 0);
    run_to_end(loop);
    CHECK_TRACE("two ECANCELED");
    CHECK_INT(sockets_open(), before);
    query("a.test", RONDO_DNS_NS, "NS/300 ns1.test");
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

TEST(an_answer_to_a_canceled_query_is_dropped) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    rondo_dns_request *one = ask(loop, "a.test", RONDO_DNS_NS, &how, "one");
    ask(loop, "drop.test", RONDO_DNS_NS, &how, "two");
    while (atomic_load(&server.udp_count) < 2) harness_sleep_ms(1);
    CHECK_INT(rondo_dns_cancel(one), 0);
    run_to_end(loop);
    CHECK_TRACE("one ECANCELED two NS/300 ns1.test");
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

static void close_all(rondo_loop *loop, int status, const rondo_dns_record *records, size_t count,
                      void *arg) {
    CHECK_INT(status, 0);
    rondo_loop_close_all(loop);
    CHECK_STR(records[0].host, "ns1.test"); /* still there */
    note("closed");
}
TEST(close_all_with_queries_in_flight) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.try_ms = 60000;
    ask(loop, "silent.test", RONDO_DNS_A, &how, "udp");
    CHECK_INT(rondo_dns_query(loop, "a.test", RONDO_DNS_NS, &how, NULL, close_all, NULL), 0);
    how.tcp = true;
    ask(loop, "silent.test", RONDO_DNS_A, &how, "tcp");
    run_to_end(loop);
    CHECK_TRACE("closed udp ECANCELED tcp ECANCELED");
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

TEST(freeing_the_loop_with_queries_in_flight) {
    dns_server_start(&server, NULL);
    for (int turns = 0; turns < 3; turns++) {
        rondo_loop *loop = new_loop();
        rondo_dns_query_options how = options();
        how.try_ms = 60000;
        if (turns == 2) ask(loop, "127.0.0.1", RONDO_DNS_PTR, &how, "answered");
        ask(loop, "silent.test", RONDO_DNS_A, &how, "udp");
        (void)rondo_dns_cancel(ask(loop, "silent.test", RONDO_DNS_A, &how, "canceled"));
        how.tcp = true;
        ask(loop, "silent.test", RONDO_DNS_A, &how, "tcp");
        for (int i = 0; i < turns; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        trace_size = 0;
        rondo_loop_free(loop);
        CHECK_INT(trace_size, 0);
        CHECK_INT(harness_live_blocks(), 0);
    }
    dns_server_stop(&server);
}

static void ask_next(rondo_loop *loop, int status, const rondo_dns_record *records, size_t count,
                     void *arg) {
    int *left = arg;
    rondo_dns_query_options how = options();
    CHECK_INT(status, 0);
    if (--*left > 0)
        CHECK_INT(rondo_dns_query(loop, "a.test", RONDO_DNS_A, &how, NULL, ask_next, left), 0);
}
TEST(one_after_another_from_the_callback) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    int left = 100;
    ask_next(loop, 0, NULL, 0, &(int){1});
    rondo_dns_query_options how = options();
    CHECK_INT(rondo_dns_query(loop, "a.test", RONDO_DNS_A, &how, NULL, ask_next, &left), 0);
    run_to_end(loop);
    CHECK_INT(left, 0);
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

static int answered;
static void count_answer(rondo_loop *loop, int status, const rondo_dns_record *records,
                         size_t count, void *arg) {
    CHECK_INT(status, 0);
    CHECK_INT(count, 2);
    answered++;
}
TEST(a_thousand_at_once) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    how.try_ms = 500; /* the kernel may drop some of so many */
    how.timeout_ms = 60000;
    how.tries = 20;
    int before = sockets_open();
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d.test", i);
        CHECK_INT(rondo_dns_query(loop, name, RONDO_DNS_A, &how, NULL, count_answer, NULL), 0);
    }
    CHECK_INT(sockets_open(), before + 1);
    run_to_end(loop);
    CHECK_INT(answered, 1000);
    CHECK_INT(sockets_open(), before);
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

enum { MANY = 300 };
static int calls_of[MANY];
static void count_call(rondo_loop *loop, int status, const rondo_dns_record *records, size_t count,
                       void *arg) {
    int *calls = arg;
    CHECK(status == 0 || status == RONDO_ECANCELED || status == RONDO_ETIMEDOUT);
    ++*calls;
}
TEST(each_callback_runs_once_whenever_it_is_canceled) {
    rondo_loop *loop = new_loop();
    rondo_dns_request *requests[MANY];
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    int before = sockets_open();
    for (int i = 0; i < MANY; i++) {
        how.timeout_ms = i % 7 == 3 ? 1 : 1000;
        how.try_ms = i % 2 ? 400 : 500; /* two channels */
        how.tries = 10;
        CHECK_INT(rondo_dns_query(loop, i % 11 ? "a.test" : "big.test", RONDO_DNS_A, &how,
                                  &requests[i], count_call, &calls_of[i]),
                  0);
        if (i % 3 == 1 && calls_of[i / 2] == 0) CHECK_INT(rondo_dns_cancel(requests[i / 2]), 0);
        if (i % 4 == 2) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    }
    run_to_end(loop);
    for (int i = 0; i < MANY; i++) CHECK_INT(calls_of[i], 1);
    while (sockets_open() > before) harness_sleep_ms(1); /* the server has some too */
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

/* ---- what is asked ---- */

TEST(what_can_not_be_asked_is_refused) {
    rondo_loop *loop = new_loop();
    rondo_dns_request *request = NULL;
    static const char *const names[] = {NULL, "", "a b", "a/b", "a\nb", "a..b", "-a", "..", "a\\b"};
    static const char *const lists[] = {
        "",
        ",",
        "127.0.0.1,",
        ",127.0.0.1",
        "localhost",
        "a.test",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:000053",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999",
        "127.0.0.1:5x",
        "127.0.0.1: 5",
        "127.0.0.1:+5",
        "[127.0.0.1]:53",
        "[::1",
        "[::1]53",
        "[::1]:",
        "::1]",
        "fe80::1%1",
        "127.0.0.1 127.0.0.2",
        "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
        "[00000000000000000000000000000000000000000000000000000000000000::1]:53",
        "[]:53",
        ":53",
    };
    rondo_dns_query_options how = {.servers = "127.0.0.1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_INT(rondo_dns_query(loop, names[i], RONDO_DNS_A, &how, &request, note_query, NULL),
                  RONDO_EINVAL);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        how.servers = lists[i];
        CHECK_INT(rondo_dns_query(loop, "a.test", RONDO_DNS_A, &how, &request, note_query, NULL),
                  RONDO_EINVAL);
    }
    CHECK_INT(
        rondo_dns_query(loop, "a.test", (rondo_dns_type)255, NULL, &request, note_query, NULL),
        RONDO_EINVAL);
    CHECK_INT(rondo_dns_query(loop, "a.test", RONDO_DNS_A, NULL, &request, NULL, NULL),
              RONDO_EINVAL);
    CHECK(request == NULL);
    CHECK(!rondo_loop_alive(loop));
    rondo_loop_free(loop);
}

TEST(lists_of_servers) {
    rondo_loop *loop = new_loop();
    static const char *const lists[] = {
        "127.0.0.1",
        "::1",
        "[::1]",
        "[::1]:53",
        "127.0.0.1:1",
        "127.0.0.1:65535,::1",
        "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,[::1]:5",
        "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        rondo_dns_query_options how = {.servers = lists[i]};
        (void)rondo_dns_cancel(ask(loop, "a.test", RONDO_DNS_A, &how, NULL));
        run_to_end(loop);
        CHECK_TRACE("ECANCELED");
    }
    rondo_loop_free(loop);
}

TEST(search_domains) {
    dns_server_start(&server, NULL);
    setenv("LOCALDOMAIN", "nx.test found.test", 1);
    rondo_dns_query_options how = options();
    how.no_search = false;
    query_with("nx", RONDO_DNS_NS, &how, "ENOTFOUND");
    CHECK_INT(atomic_load(&server.udp_count), 3);
    CHECK_STR(dns_server_last(&server), "nx");
    query_with("www", RONDO_DNS_NS, &how, "NS/300 ns1.test");
    CHECK_STR(dns_server_last(&server), "www.nx.test");
    query_with("www.", RONDO_DNS_NS, &how, "NS/300 ns1.test");
    CHECK_STR(dns_server_last(&server), "www");
    char name[254] = "nx.";
    for (int i = 0; i < 24; i++) strcat(name, "abcdefghi.");
    strcat(name, "abcde"); /* leaves no room for a domain behind it */
    query_with(name, RONDO_DNS_NS, &how, "ENOTFOUND");
    CHECK_STR(dns_server_last(&server), name);
    query("www", RONDO_DNS_NS, "NS/300 ns1.test"); /* no_search */
    CHECK_STR(dns_server_last(&server), "www");
    dns_server_stop(&server);
}

TEST(an_address_has_no_search_domain) {
    dns_server_start(&server, "nx");
    setenv("LOCALDOMAIN", "found.test", 1);
    rondo_dns_query_options how = options();
    how.no_search = false;
    query_with("192.0.2.1", RONDO_DNS_PTR, &how, "ENOTFOUND");
    CHECK_INT(atomic_load(&server.udp_count), 1);
    query_with("2.0.192.in-addr.arpa", RONDO_DNS_PTR, &how, "ENOTFOUND");
    CHECK_INT(atomic_load(&server.udp_count), 3);
    dns_server_stop(&server);
}

/* ---- the system's settings ---- */

static int settings_read;
static char resolv_conf[64] = "nameserver 127.0.0.1\n";
FILE *fopen(const char *path, const char *mode) {
    static FILE *(*real)(const char *, const char *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    if (strcmp(path, "/etc/resolv.conf") != 0) return real(path, mode);
    settings_read++;
    return fmemopen(resolv_conf, strlen(resolv_conf), "r");
}

static void age(rondo_loop *loop, uint64_t ms) {
    start_timer(loop, ms, note_timer, "aged");
    run_to_end(loop);
    CHECK_TRACE("aged");
}
static int reads_of(rondo_loop *loop, const rondo_dns_query_options *how) {
    int before = settings_read;
    (void)rondo_dns_cancel(ask(loop, "a.test", RONDO_DNS_A, how, NULL));
    run_to_end(loop);
    CHECK_TRACE("ECANCELED");
    return settings_read - before;
}
TEST(the_settings_of_the_system_are_read_anew_after_a_while) {
    rondo_loop *loop = new_virtual_loop();
    CHECK(reads_of(loop, NULL) > 0);
    CHECK_INT(reads_of(loop, NULL), 0);
    age(loop, 29000);
    CHECK_INT(reads_of(loop, NULL), 0);
    age(loop, 2000);
    CHECK(reads_of(loop, NULL) > 0);
    end_loop(loop);
}

TEST(channels_are_shared_and_few_are_kept) {
    rondo_loop *loop = new_loop();
    rondo_dns_query_options how = {.servers = "127.0.0.1"};
    CHECK(reads_of(loop, &how) > 0);
    CHECK_INT(reads_of(loop, &how), 0);
    how.servers = "127.0.0.2";
    CHECK(reads_of(loop, &how) > 0);
    how.tcp = true;
    CHECK(reads_of(loop, &how) > 0);
    how.try_ms = 5;
    CHECK(reads_of(loop, &how) > 0);
    size_t kept = harness_live_blocks();
    how.tries = 5;
    CHECK(reads_of(loop, &how) > 0);
    CHECK_INT(harness_live_blocks(), kept); /* the first one went */
    CHECK_INT(reads_of(loop, &how), 0);
    how = (rondo_dns_query_options){.servers = "127.0.0.1"};
    CHECK(reads_of(loop, &how) > 0);
    rondo_loop_free(loop);
}

TEST(channels_in_use_stay) {
    rondo_loop *loop = new_loop();
    dns_server_start(&server, NULL);
    rondo_dns_query_options how = options();
    for (unsigned i = 0; i < 8; i++) {
        how.tries = 3 + i;
        ask(loop, "a.test", RONDO_DNS_NS, &how, NULL);
    }
    run_to_end(loop);
    for (int i = 0; i < 8; i++) {
        CHECK(strncmp(trace, "NS/300 ns1.test", 15) == 0);
        memmove(trace, trace + 15 + (i < 7), trace_size -= 15 + (i < 7));
    }
    CHECK_INT(trace_size, 0);
    rondo_loop_free(loop);
    dns_server_stop(&server);
}

/* c-ares answers inside the call (RFC 7686: nobody is asked for .onion), the loop does not run, and
 * channels that have been used just now must make room. */
TEST(answers_inside_the_call) {
    rondo_loop *loop = new_loop();
    rondo_dns_query_options how = {.servers = "127.0.0.1"};
    for (unsigned i = 0; i < 12; i++) {
        how.tries = 3 + i;
        ask(loop, "x.onion", RONDO_DNS_NS, &how, NULL);
        CHECK_INT(trace_size, 0);
    }
    run_to_end(loop);
    for (int i = 0; i < 12; i++) CHECK(strncmp(trace + i * 10, "ENOTFOUND", 9) == 0);
    CHECK_INT(trace_size, 119);
    rondo_loop_free(loop);
}

/* ---- memory ---- */

static void *ares_alloc(size_t size) { return harness_realloc(NULL, size, NULL); }
static void *ares_re(void *ptr, size_t size) { return harness_realloc(ptr, size, NULL); }
static void ares_drop(void *ptr) { harness_free(ptr, NULL); }

static const char answer[] = "MX/300 10 a.test MX/300 20 b.test";

/* Every allocation of a query fails once. strict: then the query says so, unless libev found its way
 * around; c-ares can take it for silence. */
static void sweep(const char *name, bool tcp, bool strict) {
    int refused = 0, told = 0;
    for (long n = 0;; n++) {
        rondo_loop *loop = new_loop();
        rondo_dns_query_options how = options();
        how.tcp = tcp;
        how.try_ms = strict ? 20000 : 100;
        how.tries = 10;
        harness_fail_alloc_after(n);
        int error = rondo_dns_query(loop, name, RONDO_DNS_MX, &how, NULL, note_query, NULL);
        if (error == 0) run_to_end(loop);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(error == 0 || error == RONDO_ENOMEM);
        CHECK_INT(trace_size == 0, error != 0); /* refused, or called back */
        refused += error != 0;
        told += strcmp(trace, "ENOMEM") == 0;
        if (!failed) CHECK_STR(trace, answer);
        if (strict && error == 0) CHECK(strcmp(trace, "ENOMEM") == 0 || strcmp(trace, answer) == 0);
        trace_size = 0;
        trace[0] = '\0';
        ask(loop, name, RONDO_DNS_MX, &how, NULL); /* once more, and nothing is left of it */
        run_to_end(loop);
        CHECK_TRACE(answer);
        rondo_loop_free(loop);
        CHECK_INT(harness_live_blocks(), 0);
        if (!failed) break;
    }
    CHECK(refused > 3 && told >= 2);
}
TEST(out_of_memory_at_every_allocation_of_ours) {
    dns_server_start(&server, NULL);
    sweep("a.test", false, true);
    sweep("a.test", true, true);
    sweep("big.test", false, true);
    dns_server_stop(&server);
}
/* c-ares allocates through the harness too. */
TEST(out_of_memory_at_every_allocation_of_c_ares) {
    CHECK_INT(ares_library_init_mem(ARES_LIB_INIT_ALL, ares_alloc, ares_drop, ares_re), 0);
    dns_server_start(&server, NULL);
    sweep("a.test", false, false);
    sweep("a.test", true, false);
    sweep("big.test", false, false);
    dns_server_stop(&server);
}

#endif
