/* SPDX-License-Identifier: MIT
 *
 * Servers: listening, accepting, and running out of descriptors.
 */
#include "servers.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

#include "net/address.h"
#include "net/server.h"
#include "net/stream.h"

/* ---- listening ---- */

TEST(what_is_no_address) {
    const char *wrong[] = {
        "",           "x",
        "127.1",      "127.0.0.1.",
        "[::1]",      "::1%",
        "::1%nosuch", "fe80::1%0",
        "::%1x",      "1::2::3",
        "1.2.3.256",  "example.org",
        "LOCALHOST",  "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_INT(rondo_server_listen(server, wrong[i], 0), RONDO_EINVAL);
    end_loop(loop);
}

static rondo_server *new_server(rondo_loop *loop) {
    rondo_server *server = rondo_server_new(loop);
    CHECK(server != NULL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    CHECK(rondo_server_port(server) != 0);
    return server;
}

TEST(listening_and_its_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop), *second = rondo_server_new(loop);
    char text[64], want[64];
    CHECK(!rondo_is_active(server));
    CHECK_INT(rondo_server_port(server), 0);
    CHECK_INT(rondo_server_address(server, text, sizeof text), RONDO_ENOTCONN);
    CHECK_INT(rondo_server_set_backlog(server, 0), RONDO_EINVAL);
    CHECK_INT(rondo_server_set_backlog(server, 5), 0);
    CHECK_INT(rondo_server_listen(server, "203.0.113.7", 0), RONDO_EADDRNOTAVAIL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0); /* it may be tried again */
    CHECK(rondo_is_active(server));
    snprintf(want, sizeof want, "127.0.0.1:%d", rondo_server_port(server));
    CHECK_INT(rondo_server_address(server, text, sizeof text), strlen(want));
    CHECK_STR(text, want);
    CHECK_INT(rondo_server_address(server, text, 5), RONDO_ENOBUFS);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), RONDO_EBUSY);
    CHECK_INT(rondo_server_set_backlog(server, 5), RONDO_EBUSY);
    CHECK_INT(rondo_server_listen(second, "127.0.0.1", rondo_server_port(server)),
              RONDO_EADDRINUSE);
    CHECK(!rondo_is_active(second));
    rondo_close(server);
    CHECK_INT(rondo_server_port(server), 0);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), RONDO_ECLOSED);
    CHECK_INT(rondo_server_set_backlog(server, 5), RONDO_ECLOSED);
    CHECK_INT(rondo_server_address(server, text, sizeof text), RONDO_ECLOSED);
    end_loop(loop);
}

static void greet(rondo_server *server, rondo_stream *connection, void *arg) {
    char text[64];
    CHECK(rondo_stream_peer(connection, text, sizeof text) > 0);
    CHECK(strncmp(text, arg, strlen(arg)) == 0);
    write_text(connection, "hello");
    rondo_end(connection);
    rondo_resume(connection);
}

static int connect_to(int family, int port) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (family == AF_INET) return harness_connect(port);
    v6.sin6_addr = in6addr_loopback;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&v6, sizeof v6) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static void check_greeted(rondo_loop *loop, int fd) {
    char text[16] = "";
    CHECK(fd >= 0);
    run_turns(loop, 3);
    CHECK_INT(harness_recv_exact(fd, text, 10), 5);
    CHECK_STR(text, "hello");
    close(fd);
    run_turns(loop, 4);
}

TEST(without_a_host_both_families_are_served) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    char text[64];
    CHECK_INT(rondo_server_listen(server, NULL, 0), 0);
    int port = rondo_server_port(server);
    rondo_server_address(server, text, sizeof text);
    rondo_server_once_connection(server, greet, (void *)"127.0.0.1:");
    check_greeted(loop, connect_to(AF_INET, port));
    if (text[0] == '[') { /* the machine has IPv6 */
        CHECK(strncmp(text, "[::]:", 5) == 0);
        rondo_server_once_connection(server, greet, (void *)"[::1]:");
        check_greeted(loop, connect_to(AF_INET6, port));
    }
    end_loop(loop);
}

TEST(a_numeric_host_serves_its_own_family_only) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *v4 = rondo_server_new(loop), *v6;
    int status = RONDO_EADDRINUSE;
    /* The same port for the other family is free, unless another program has it. */
    for (int i = 0; i < 20 && status == RONDO_EADDRINUSE; i++) {
        v6 = rondo_server_new(loop);
        status = rondo_server_listen(v6, "::", 0);
        if (status == RONDO_EAFNOSUPPORT || status == RONDO_EADDRNOTAVAIL) SKIP("no IPv6 here");
        CHECK_INT(status, 0);
        status = rondo_server_listen(v4, "0.0.0.0", rondo_server_port(v6));
    }
    CHECK_INT(status, 0);
    rondo_server_on_connection(v6, greet, (void *)"[::1]:");
    rondo_server_on_connection(v4, greet, (void *)"127.0.0.1:");
    check_greeted(loop, connect_to(AF_INET6, rondo_server_port(v6)));
    check_greeted(loop, connect_to(AF_INET, rondo_server_port(v4)));
    end_loop(loop);
}

TEST(a_port_can_be_listened_on_again_at_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    int port = rondo_server_port(server);
    rondo_server_on_connection(server, greet, (void *)"127.0.0.1:"); /* ends first: TIME_WAIT */
    check_greeted(loop, connect_to(AF_INET, port));
    rondo_close(server);
    run_turns(loop, 1);
    server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", (uint16_t)port), 0);
    end_loop(loop);
}

/* ---- accepting ---- */

static void check_options(rondo_server *server, rondo_stream *connection, void *arg) {
    int value = 0, fd = *(int *)arg + 1; /* the number behind the client's */
    socklen_t len = sizeof value;
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    CHECK_INT(value, 1); /* inherited from the listening socket */
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_STR(rondo_site(connection), rondo_site(server));
    CHECK_STR(rondo_kind(connection), "stream");
    note("seen");
}

TEST(accepted_sockets_have_their_options) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    int client = harness_connect(rondo_server_port(server));
    rondo_server_on_connection(server, check_options, &client);
    run_turns(loop, 1);
    CHECK_TRACE("seen");
    end_loop(loop);
    close(client);
}

TEST(connections_wait_for_a_listener_and_nothing_spins) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int clients[3];
    for (int i = 0; i < 3; i++) clients[i] = harness_connect(rondo_server_port(server));
    check_idle(loop);
    rondo_server_once_connection(server, note_connection, NULL);
    check_idle(loop);
    CHECK_TRACE("connection"); /* the others wait again */
    rondo_server_on_connection(server, note_connection, NULL);
    run_turns(loop, 1);
    CHECK_TRACE("connection connection");
    CHECK_INT(rondo_server_off_connection(server, note_connection, NULL), 0);
    int late = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("");
    end_loop(loop);
    for (int i = 0; i < 3; i++) close(clients[i]);
    close(late);
}

TEST(a_connection_that_nobody_keeps_closes_with_its_peer) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    rondo_metrics metrics;
    rondo_server_on_connection(server, note_connection, NULL);
    int client = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.handles, 2);
    close(client);
    run_turns(loop, 4);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.handles, 1);
    end_loop(loop);
}

TEST(a_connection_outlives_its_server) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    rondo_server_on_connection(server, greet, (void *)"127.0.0.1:");
    int client = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    rondo_close(server);
    check_greeted(loop, client);
    run_all(loop);
    rondo_loop_free(loop);
}

static void close_server(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    rondo_close(server);
}

TEST(closing_the_server_inside_its_callback) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    int clients[3];
    for (int i = 0; i < 3; i++) clients[i] = harness_connect(rondo_server_port(server));
    rondo_server_on_connection(server, close_server, NULL);
    run_turns(loop, 2);
    CHECK_TRACE("connection"); /* no more than this one */
    end_loop(loop);
    for (int i = 0; i < 3; i++) close(clients[i]);
}

static void close_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    rondo_close(connection);
}

TEST(closing_the_connection_inside_the_callback) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    rondo_server_on_connection(server, close_connection, NULL);
    int client = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_TRACE("connection");
    CHECK_INT(harness_recv_exact(client, trace, 1), 0);
    end_loop(loop);
    close(client);
}

static void count_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    ++*(int *)arg;
    rondo_resume(connection);
}

TEST(the_accept_budget) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    int clients[10], count = 0;
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_accepts, 4), 0);
    rondo_server_on_connection(server, count_connection, &count);
    for (int i = 0; i < 10; i++) clients[i] = harness_connect(rondo_server_port(server));
    for (int want = 4; want <= 12; want += 4) {
        run_turns(loop, 1);
        CHECK_INT(count, want < 10 ? want : 10);
    }
    end_loop(loop);
    for (int i = 0; i < 10; i++) close(clients[i]);
}

TEST(several_servers_in_one_loop) {
    rondo_loop *loop = rondo_loop_new();
    int counts[3] = {0}, clients[6];
    rondo_server *servers[3];
    for (int i = 0; i < 3; i++) {
        servers[i] = new_server(loop);
        rondo_server_on_connection(servers[i], count_connection, &counts[i]);
    }
    for (int i = 0; i < 6; i++) clients[i] = harness_connect(rondo_server_port(servers[i / 2]));
    run_turns(loop, 1);
    for (int i = 0; i < 3; i++) CHECK_INT(counts[i], 2);
    end_loop(loop);
    for (int i = 0; i < 6; i++) close(clients[i]);
}

static void echo_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    if (rondo_write(stream, chunk) == 0) rondo_pause(stream);
}
static void resume_at_drain(rondo_stream *stream, void *arg) { rondo_resume(stream); }
static void echo_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    ++*(int *)arg;
    rondo_stream_on_data(connection, echo_data, NULL);
    rondo_stream_on_drain(connection, resume_at_drain, NULL);
}

static void *talk(void *arg) {
    enum { CLIENTS = 50, ROUNDS = 4 };
    int fds[CLIENTS];
    char text[64], got[64] = "";
    for (int i = 0; i < CLIENTS; i++) fds[i] = harness_connect(*(int *)arg);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            snprintf(text, sizeof text, "%02d of round %d", i, round);
            harness_send_str(fds[i], text);
        }
        for (int i = 0; i < CLIENTS; i++) {
            snprintf(text, sizeof text, "%02d of round %d", i, round);
            CHECK_INT(harness_recv_exact(fds[i], got, strlen(text)), strlen(text));
            CHECK_STR(got, text);
        }
    }
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    return NULL;
}

static void *talk_and_stop(void *arg) {
    rondo_loop **loop_and_port = arg;
    int port = (int)(intptr_t)loop_and_port[1];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) threads[i] = harness_thread(talk, &port);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    rondo_loop_stop(loop_and_port[0]);
    return NULL;
}

TEST(two_hundred_connections_at_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    int count = 0;
    void *loop_and_port[2] = {loop, (void *)(intptr_t)rondo_server_port(server)};
    rondo_server_on_connection(server, echo_connection, &count);
    pthread_t thread = harness_thread(talk_and_stop, loop_and_port);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    pthread_join(thread, NULL);
    CHECK_INT(count, 200);
    end_loop(loop);
}

static void *send_and_check(void *arg) {
    enum { SIZE = 5000000 };
    char *bytes = new_bytes(SIZE);
    int fd = harness_connect(*(int *)arg);
    reader back;
    start_reader(&back, fd, 0);
    harness_send_all(fd, bytes, SIZE);
    shutdown(fd, SHUT_WR);
    check_reader(&back, SIZE);
    free(bytes);
    return NULL;
}

static void close_server_at_end(rondo_stream *stream, void *arg) {
    rondo_close((rondo_server *)arg);
}
static void echo_once(rondo_server *server, rondo_stream *connection, void *arg) {
    rondo_stream_on_data(connection, echo_data, NULL);
    rondo_stream_on_drain(connection, resume_at_drain, NULL);
    rondo_stream_on_end(connection, close_server_at_end, server);
}

TEST(a_bulk_echo_with_backpressure) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = new_server(loop);
    int port = rondo_server_port(server);
    rondo_server_on_connection(server, echo_once, NULL);
    pthread_t thread = harness_thread(send_and_check, &port);
    run_all(loop);
    pthread_join(thread, NULL);
    rondo_loop_free(loop);
}

/* ---- protocols ---- */

static void take_connection(rondo_server *server, rondo_stream *connection, void *owner) {
    memset(rondo__stream_room(connection), 1, 40);
    note("%s", (const char *)owner);
    rondo_close(connection);
}
static void take_error(rondo_server *server, int error, void *owner) {
    note("%s", rondo_error_name(error));
}

TEST(a_protocol_takes_the_connections) {
    static const rondo__acceptor acceptor = {
        .connection = take_connection, .error = take_error, .room = 40};
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    rondo__server_take(server, &acceptor, (void *)"taken");
    CHECK_INT(rondo_server_listen(server, "localhost", 0), 0);
    int client = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    CHECK_TRACE("taken");
    close(client);
    client = harness_connect(rondo_server_port(server));
    harness_fail_alloc_after(0);
    run_turns(loop, 1);
    CHECK_TRACE("ENOMEM");
    end_loop(loop);
    close(client);
}

/* ---- running out ---- */

static void limit_descriptors(int spare) {
    int lowest = dup(0);
    struct rlimit limit = {.rlim_cur = (rlim_t)(lowest + spare), .rlim_max = RLIM_INFINITY};
    close(lowest);
    struct rlimit now;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &now), 0);
    limit.rlim_max = now.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void allow_descriptors(void) {
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(out_of_descriptors_the_peers_are_told_and_it_recovers) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int clients[6];
    rondo_server_on_connection(server, note_connection, NULL);
    rondo_server_on_error(server, note_server_error, NULL);
    run_turns(loop, 1);
    for (int i = 0; i < 6; i++) clients[i] = harness_connect(rondo_server_port(server));
    limit_descriptors(2);
    run_turns(loop, 1);
    CHECK_TRACE("connection connection EMFILE"); /* one error for the four others */
    for (int i = 2; i < 6; i++) CHECK_INT(harness_recv_exact(clients[i], trace, 1), 0);
    trace_size = 0;
    for (int i = 0; i < 6; i++) close(clients[i]);
    run_turns(loop, 5); /* the two that were accepted have closed */
    int late = -1;
    late = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_TRACE("");  /* it pauses, and */
    check_idle(loop); /* does not spin */
    CHECK_TRACE("connection");
    end_loop(loop);
    close(late);
    allow_descriptors();
}

TEST(out_of_descriptors_for_long) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_metrics metrics;
    rondo_server_on_connection(server, note_connection, NULL);
    int client = harness_connect(rondo_server_port(server));
    int second = harness_connect(rondo_server_port(server));
    limit_descriptors(0);
    run_turns(loop, 2);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 1); /* nobody listens: counted, once */
    CHECK_INT(harness_recv_exact(client, trace, 1), 0);
    CHECK_INT(harness_recv_exact(second, trace, 1), 0);
    check_idle(loop);
    allow_descriptors();
    int third = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("connection");
    end_loop(loop);
    close(client);
    close(second);
    close(third);
}

static void close_at_server_error(rondo_server *server, int error, void *arg) {
    note("%s", rondo_error_name(error));
    rondo_close(server);
}

TEST(closing_the_server_when_it_runs_out) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_server_on_connection(server, note_connection, NULL);
    rondo_server_on_error(server, close_at_server_error, NULL);
    int client = harness_connect(rondo_server_port(server));
    limit_descriptors(0);
    run_turns(loop, 2);
    CHECK_TRACE("EMFILE");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    allow_descriptors();
    rondo_loop_free(loop);
    close(client);
}

TEST(out_of_memory_at_every_place_of_listening) {
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        harness_fail_alloc_after(n);
        rondo_server *server = rondo_server_new(loop);
        if (server) {
            int status = rondo_server_on_connection(server, note_connection, NULL);
            if (status == 0) status = rondo_server_listen(server, "127.0.0.1", 0);
            CHECK(status == 0 || status == RONDO_ENOMEM);
            CHECK_INT(rondo_server_port(server) != 0, status == 0);
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        end_loop(loop);
        if (!failed) break;
    }
}

TEST(out_of_memory_at_every_place_of_accepting) {
    for (long n = 0;; n++) {
        rondo_loop *loop = new_virtual_loop();
        rondo_server *server = new_server(loop);
        rondo_server_on_connection(server, note_connection, NULL);
        rondo_server_on_error(server, note_server_error, NULL);
        run_turns(loop, 1);
        int client = harness_connect(rondo_server_port(server));
        harness_fail_alloc_after(n);
        run_turns(loop, 1);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (failed && strcmp(trace, "ENOMEM") == 0) {
            CHECK_TRACE("ENOMEM");
            CHECK_INT(harness_recv_exact(client, trace, 1), 0); /* told */
            close(client);
            client = harness_connect(rondo_server_port(server));
            check_idle(loop); /* and then it goes on */
        }
        CHECK_TRACE("connection");
        end_loop(loop);
        close(client);
        if (!failed) break;
    }
}
