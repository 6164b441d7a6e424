/* SPDX-License-Identifier: MIT
 *
 * Servers under pressure and under the user's control: bounds, drops, pauses, figures, what runs
 * out, and who may share a port.
 */
#define _GNU_SOURCE
#include "connecting.h"
#include "faults.h"
#include "servers.h"

#include <sys/resource.h>

static rondo_stream *kept[2000];
static int kept_count;
static void keep(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    rondo_resume(connection);
    kept[kept_count++] = connection;
}
static void keep_quietly(rondo_server *server, rondo_stream *connection, void *arg) {
    rondo_resume(connection);
    kept[kept_count++] = connection;
}
static int drop_client; /* whose address is to be told */
static void note_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    const char *reasons[] = {"full", "starved", "handshake"};
    note("drop:%s:%s", reasons[drop->reason], rondo_error_name(drop->error));
    CHECK(drop->stream == NULL);
    if (drop_client <= 0) return;
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    rondo_address address;
    CHECK_INT(getsockname(drop_client, (struct sockaddr *)&own, &len), 0);
    CHECK_INT(rondo_address_from_sockaddr(&own, len, &address), 0);
    CHECK(rondo_address_equal(&address, &drop->peer));
}

static rondo_server *new_server(rondo_loop *loop) {
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, keep, NULL);
    rondo_server_on_error(server, note_server_error, NULL);
    rondo_server_on_drop(server, note_drop, NULL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    return server;
}

#define CHECK_FIGURES(server, is_accepted, is_dropped, is_failed, is_open) \
    do {                                                                   \
        rondo_server_figures now = figures_of(server);                     \
        CHECK_INT(now.accepted, is_accepted);                              \
        CHECK_INT(now.dropped, is_dropped);                                \
        CHECK_INT(now.failed, is_failed);                                  \
        CHECK_INT(now.open, is_open);                                      \
    } while (0)

static int join(rondo_loop *loop, rondo_server *server) {
    int fd = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    return fd;
}

static void check_told(int fd) {
    char byte;
    CHECK_INT(harness_recv_exact(fd, &byte, 1), 0);
    close(fd);
}

/* ---- how many at once ---- */

TEST(too_many_connections_are_dropped) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    CHECK_INT(rondo_server_set_max_connections(server, 2), 0);
    int a = join(loop, server), b = join(loop, server);
    CHECK_TRACE("connection connection");
    drop_client = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    CHECK_TRACE("drop:full:OK");
    check_told(drop_client);
    drop_client = 0;
    CHECK_FIGURES(server, 2, 1, 0, 2);
    close(a);
    run_turns(loop, 3);
    CHECK_FIGURES(server, 2, 1, 0, 1);
    int c = join(loop, server); /* there is room again */
    CHECK_TRACE("connection");
    CHECK_INT(rondo_server_set_max_connections(server, 1), 0); /* those that are open stay */
    CHECK_FIGURES(server, 3, 1, 0, 2);
    check_told(join(loop, server));
    CHECK_TRACE("drop:full:OK");
    CHECK_INT(rondo_server_set_max_connections(server, 0), 0);
    int d = join(loop, server);
    CHECK_TRACE("connection");
    CHECK_FIGURES(server, 4, 2, 0, 3);
    rondo_close(server);
    CHECK_INT(rondo_server_set_max_connections(server, 1), RONDO_ECLOSED);
    CHECK_FIGURES(server, 4, 2, 0, 0);
    end_loop(loop);
    close(b), close(c), close(d);
}

static void close_it_at_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    rondo_close(server);
}
TEST(closing_the_server_at_a_drop) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int fds[4];
    rondo_server_on_drop(server, close_it_at_drop, NULL);
    rondo_server_set_max_connections(server, 1);
    for (int i = 0; i < 4; i++) fds[i] = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_TRACE("connection drop:full:OK");
    end_loop(loop);
    for (int i = 0; i < 4; i++) close(fds[i]);
}

TEST(drops_that_nobody_hears_cost_no_look_at_the_peer) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_server_off_drop(server, note_drop, NULL);
    rondo_server_set_max_connections(server, 1);
    int a = join(loop, server);
    faults_watch();
    check_told(join(loop, server));
    CHECK_INT(faults_count(CALL_getpeername), 0);
    CHECK_INT(figures_of(server).dropped, 1);
    faults_stop();
    end_loop(loop);
    close(a);
}

/* A peer that resets at once has no address any more. */
TEST(a_drop_of_one_that_has_gone) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_server_set_max_connections(server, 1);
    int a = join(loop, server);
    reset_peer(harness_connect(rondo_server_port(server)));
    run_turns(loop, 2);
    CHECK_TRACE("connection drop:full:OK");
    end_loop(loop);
    close(a);
}

/* ---- counting ---- */

TEST(a_connection_that_outlives_its_server_is_nobody_elses) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *first = new_server(loop);
    int a = join(loop, first), b = join(loop, first);
    CHECK_INT(figures_of(first).open, 2);
    rondo_close(first);
    run_turns(loop, 1);
    rondo_server *second = new_server(loop);
    CHECK_INT(figures_of(second).open, 0);
    int c = join(loop, second);
    CHECK_INT(figures_of(second).open, 1);
    rondo_close(kept[0]);
    close(b);
    run_turns(loop, 3);
    CHECK_INT(figures_of(second).open, 1);
    rondo_server *third = new_server(loop); /* takes the place of the first */
    CHECK_INT(figures_of(third).open, 0);
    rondo_close(kept[2]);
    CHECK_INT(figures_of(second).open, 0);
    end_loop(loop);
    close(a), close(c);
}

TEST(streams_of_others_are_not_counted) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_stream *stream;
    int a = join(loop, server), peer = new_pair(loop, &stream);
    rondo_connect(loop, "127.0.0.1", rondo_server_port(server));
    run_turns(loop, 4);
    CHECK_INT(figures_of(server).open, 2);
    rondo_close(stream);
    CHECK_INT(figures_of(server).open, 2);
    end_loop(loop);
    close(a), close(peer);
}

TEST(many_servers_in_one_loop) {
    enum { SERVERS = 40 };
    rondo_loop *loop = new_virtual_loop();
    rondo_server *servers[SERVERS];
    int fds[SERVERS];
    for (int i = 0; i < SERVERS; i++) servers[i] = new_server(loop);
    for (int i = 0; i < SERVERS; i++) fds[i] = harness_connect(rondo_server_port(servers[i]));
    run_turns(loop, 2);
    for (int i = 0; i < SERVERS; i++) CHECK_FIGURES(servers[i], 1, 0, 0, 1);
    end_loop(loop);
    for (int i = 0; i < SERVERS; i++) close(fds[i]);
}

TEST(servers_that_come_and_go_take_no_room) {
    rondo_loop *loop = new_virtual_loop();
    for (int i = 0; i < 100; i++) {
        rondo_close(new_server(loop));
        run_turns(loop, 1);
    }
    CHECK(rondo__net_of(loop)->crowd_count <= 4);
    end_loop(loop);
}

static void *connect_many(void *arg) {
    enum { CLIENTS = 1000 };
    int *fds = malloc(CLIENTS * sizeof *fds);
    for (int i = 0; i < CLIENTS; i++) fds[i] = harness_connect(*(int *)arg);
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    free(fds);
    return NULL;
}
TEST(a_thousand_connections) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 4000;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) SKIP("not so many descriptors here");
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, keep_quietly, NULL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    int port = rondo_server_port(server);
    pthread_t thread = harness_thread(connect_many, &port);
    while (figures_of(server).accepted < 1000) rondo_loop_run(loop, RONDO_RUN_ONCE);
    pthread_join(thread, NULL);
    while (figures_of(server).open > 0) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_FIGURES(server, 1000, 0, 0, 0);
    end_loop(loop);
}

/* ---- pausing ---- */

TEST(while_it_is_paused_connections_wait) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    CHECK(!rondo_server_is_paused(server));
    CHECK_INT(rondo_server_pause(server), 0);
    CHECK_INT(rondo_server_pause(server), 0);
    CHECK(rondo_server_is_paused(server));
    int a = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("");
    CHECK_INT(rondo_server_resume(server), 0);
    run_turns(loop, 1);
    CHECK_TRACE("connection");
    rondo_close(server);
    CHECK_INT(rondo_server_pause(server), RONDO_ECLOSED);
    CHECK_INT(rondo_server_resume(server), RONDO_ECLOSED);
    end_loop(loop);
    close(a);
}

TEST(paused_before_it_listens) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, keep, NULL);
    CHECK_INT(rondo_server_pause(server), 0);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    int a = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("");
    CHECK_INT(rondo_server_resume(server), 0);
    run_turns(loop, 1);
    CHECK_TRACE("connection");
    end_loop(loop);
    close(a);
}

static void pause_server(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    rondo_server_pause(server);
}
TEST(a_pause_that_can_not_be_ended_goes_on) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, keep, NULL);
    rondo_server_pause(server);
    int high = 3000; /* libev needs more room for such a number */
    struct rlimit limit = {4000, 4000};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) SKIP("not so many descriptors here");
    uint16_t port = 0;
    int fd = listen_on("127.0.0.1", &port, 5);
    CHECK_INT(dup2(fd, high), high);
    close(fd);
    CHECK_INT(rondo_server_open(server, high), 0);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_server_resume(server), RONDO_ENOMEM);
    CHECK(rondo_server_is_paused(server));
    CHECK_INT(rondo_server_resume(server), 0);
    CHECK(!rondo_server_is_paused(server));
    int a = harness_connect(port);
    run_turns(loop, 2);
    CHECK_TRACE("connection");
    end_loop(loop);
    close(a);
}

TEST(pausing_in_the_callback_takes_no_further_one) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, pause_server, NULL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    int a = harness_connect(rondo_server_port(server));
    int b = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("connection");
    rondo_server_resume(server);
    check_idle(loop);
    CHECK_TRACE("connection");
    end_loop(loop);
    close(a), close(b);
}

/* Each of the two pauses ends by itself. */
TEST(paused_while_it_has_run_out) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    run_turns(loop, 1);
    faults_fail(CALL_accept4, 1, ENOMEM);
    int a = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    CHECK_TRACE("ENOMEM");
    rondo_server_pause(server);
    check_idle(loop);
    rondo_server_resume(server);
    run_turns(loop, 1);
    CHECK_TRACE("connection");
    faults_fail(CALL_accept4, 1, ENOMEM);
    int b = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    rondo_server_pause(server);
    rondo_server_resume(server);
    run_turns(loop, 1);
    CHECK_TRACE("ENOMEM"); /* it has run out still */
    check_idle(loop);
    CHECK_TRACE("connection");
    faults_stop();
    end_loop(loop);
    close(a), close(b);
}

/* ---- running out ---- */

static void check_accept_fault(int error, const char *told, int failed) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    run_turns(loop, 1);
    faults_fail(CALL_accept4, 1, error);
    int a = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    harness_check_str(__FILE__, __LINE__, "trace", trace, told);
    CHECK_INT(figures_of(server).failed, failed);
    trace_size = 0;
    trace[0] = '\0';
    check_idle(loop); /* it goes on */
    CHECK_TRACE(failed && strstr(told, "drop") == NULL ? "connection" : "");
    faults_clear();
    end_loop(loop);
    close(a);
}
TEST(what_accept_may_say) {
    check_accept_fault(ENOMEM, "ENOMEM", 1);
    check_accept_fault(ENOBUFS, "ENOBUFS", 1);
    check_accept_fault(EMFILE, "drop:starved:EMFILE EMFILE", 1);
    check_accept_fault(ENFILE, "drop:starved:ENFILE ENFILE", 1);
    check_accept_fault(EINVAL, "EINVAL", 1); /* nobody knows why: no reason to spin */
    check_accept_fault(EINTR, "connection", 0);
    check_accept_fault(ECONNABORTED, "connection", 0);
    check_accept_fault(EPROTO, "connection", 0);
    check_accept_fault(EPERM, "connection", 0);
    check_accept_fault(ENETUNREACH, "connection", 0);
}

TEST(out_of_memory_is_a_drop) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    close(join(loop, server)); /* whatever is made once is there */
    run_turns(loop, 3);
    CHECK_TRACE("connection");
    CHECK_FIGURES(server, 1, 0, 0, 0);
    int a = harness_connect(rondo_server_port(server));
    harness_fail_alloc_after(0);
    run_turns(loop, 1);
    CHECK_TRACE("drop:starved:ENOMEM ENOMEM");
    check_told(a);
    CHECK_FIGURES(server, 1, 1, 1, 0);
    end_loop(loop);
}

TEST(closing_the_server_when_memory_runs_out) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_server_on_drop(server, close_it_at_drop, NULL);
    close(join(loop, server));
    run_turns(loop, 3);
    int a = harness_connect(rondo_server_port(server));
    harness_fail_alloc_after(0);
    run_turns(loop, 1);
    CHECK_TRACE("connection drop:starved:ENOMEM");
    run_all(loop); /* no pause of its own keeps anything */
    check_told(a);
    end_loop(loop);
}

TEST(closing_the_server_when_it_turns_peers_away) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int fds[3];
    rondo_server_on_drop(server, close_it_at_drop, NULL);
    run_turns(loop, 1);
    for (int i = 0; i < 3; i++) fds[i] = harness_connect(rondo_server_port(server));
    faults_fail(CALL_accept4, 1, EMFILE);
    run_turns(loop, 2);
    CHECK_TRACE("drop:starved:EMFILE");
    CHECK_INT(faults_struck(), 1);
    end_loop(loop);
    for (int i = 0; i < 3; i++) close(fds[i]);
}

/* Each call of accepting fails once, whichever way: then the server goes on. */
static void accept_one(void) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    run_turns(loop, 1);
    int a = harness_connect(rondo_server_port(server));
    FAULTS_BEGIN();
    run_turns(loop, 2);
    FAULTS_END();
    trace_size = 0;
    trace[0] = '\0';
    check_idle(loop);
    int b = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK(strstr(trace, "connection") != NULL);
    trace_size = 0;
    end_loop(loop);
    close(a), close(b);
}
TEST(accepting_goes_on_whatever_fails) {
    FAULT_SWEEP(accept_one, CALL_accept4, EMFILE);
    FAULT_SWEEP(accept_one, CALL_accept4, EINTR);
    FAULT_SWEEP(accept_one, CALL_accept4, ENOBUFS);
    FAULT_SWEEP(accept_one, CALL_epoll_ctl, ENOMEM);
}

/* ---- who shares a port ---- */

TEST(servers_that_share_a_port) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *one = rondo_server_new(loop), *two = rondo_server_new(loop),
                 *three = rondo_server_new(loop);
    rondo_server_on_connection(one, keep_quietly, NULL);
    rondo_server_on_connection(two, keep_quietly, NULL);
    CHECK_INT(rondo_server_set_reuse_port(one, true), 0);
    CHECK_INT(rondo_server_set_reuse_port(two, true), 0);
    CHECK_INT(rondo_server_listen(one, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_server_set_reuse_port(one, false), RONDO_EBUSY);
    uint16_t port = rondo_server_port(one);
    CHECK_INT(rondo_server_listen(three, "127.0.0.1", port), RONDO_EADDRINUSE);
    CHECK_INT(rondo_server_listen(two, "127.0.0.1", port), 0);
    int fds[64];
    for (int i = 0; i < 64; i++) fds[i] = harness_connect(port);
    run_turns(loop, 3);
    CHECK_INT(figures_of(one).accepted + figures_of(two).accepted, 64);
    CHECK(figures_of(one).accepted > 0 && figures_of(two).accepted > 0); /* 2^-63 by chance */
    rondo_close(three);
    CHECK_INT(rondo_server_set_reuse_port(three, true), RONDO_ECLOSED);
    end_loop(loop);
    for (int i = 0; i < 64; i++) close(fds[i]);
}

static int connect_family(int family, int port) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    v6.sin6_addr = in6addr_loopback;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *to =
        family == AF_INET6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    if (connect(fd, to, family == AF_INET6 ? sizeof v6 : sizeof v4) == 0) return fd;
    close(fd);
    return -1;
}

static void check_families(const char *host, int dual, bool v4, bool v6) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    if (dual >= 0) CHECK_INT(rondo_server_set_dual_stack(server, dual), 0);
    int status = rondo_server_listen(server, host, 0);
    if (status == RONDO_EAFNOSUPPORT || status == RONDO_EADDRNOTAVAIL) SKIP("no IPv6 here");
    CHECK_INT(status, 0);
    CHECK_INT(rondo_server_set_dual_stack(server, true), RONDO_EBUSY);
    int port = rondo_server_port(server);
    int by_v4 = connect_family(AF_INET, port), by_v6 = connect_family(AF_INET6, port);
    CHECK_INT(by_v4 >= 0, v4);
    CHECK_INT(by_v6 >= 0, v6);
    end_loop(loop);
    close(by_v4);
    close(by_v6);
}
TEST(both_families_or_one) {
    if (connect_family(AF_INET6, 1) < 0 && errno == EAFNOSUPPORT) SKIP("no IPv6 here");
    check_families(NULL, -1, true, true);
    check_families(NULL, true, true, true);
    check_families(NULL, false, false, true);
    check_families("::", -1, false, true);
    check_families("::", false, false, true);
    check_families("::", true, true, true);
    check_families("0.0.0.0", true, true, false);
}
