/* SPDX-License-Identifier: MIT
 *
 * Connecting to one address: what is told and when, what the options do, and the ends.
 */
#include "connecting.h"
#include "faults.h"

#include <limits.h>
#include <netinet/tcp.h>

static rondo_stream *connect_to(rondo_loop *loop, uint16_t port) {
    return listen_to(rondo_connect(loop, "127.0.0.1", port));
}

/* ---- how it ends ---- */

TEST(what_is_written_at_once_goes_out_when_it_is_open) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    char text[32], want[32];
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_stream *stream = connect_to(loop, port);
    CHECK(rondo_is_connecting(stream));
    CHECK(rondo_is_active(stream));
    CHECK_INT(write_text(stream, "hello"), 1);
    CHECK_TRACE("");
    run_until_known(stream);
    CHECK_TRACE("connect");
    CHECK(!rondo_is_connecting(stream));
    int peer = accept(listener, NULL, NULL);
    harness_recv_exact(peer, text, 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    snprintf(want, sizeof want, "127.0.0.1:%d", port);
    CHECK(rondo_stream_peer(stream, text, sizeof text) > 0);
    CHECK_STR(text, want);
    CHECK_STR(rondo_name(stream), want);
    rondo_stream_on_data(stream, note_data, NULL);
    harness_send_str(peer, "answer");
    close(peer);
    run_turns(loop, 4);
    CHECK_TRACE("answer end finish close");
    close(listener);
    end_loop(loop);
}

TEST(refused_is_told_later_and_once) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port;
    int fd = refuse_on(&port);
    rondo_stream *stream = connect_to(loop, port);
    write_text(stream, "lost");
    CHECK_TRACE("");
    run_all(loop);
    CHECK_TRACE("ECONNREFUSED close");
    close(fd);
    end_loop(loop);
}

TEST(a_refusal_that_nobody_hears_names_the_target) {
    rondo_loop *loop = new_virtual_loop();
    rondo_loop_on_uncaught(loop, note_uncaught, NULL);
    uint16_t port;
    int fd = refuse_on(&port);
    CHECK(rondo_connect(loop, "127.0.0.1", port) != NULL);
    run_all(loop);
    CHECK_TRACE("uncaught:ECONNREFUSED");
    close(fd);
    end_loop(loop);
}

TEST(localhost_is_both_families) {
    const char *hosts[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        rondo_loop *loop = new_virtual_loop();
        uint16_t port = 0;
        int listener = listen_on(hosts[i], &port, 5);
        if (listener < 0) SKIP("no IPv6 here");
        rondo_stream *stream = listen_to(rondo_connect(loop, "localhost", port));
        run_until_known(stream);
        CHECK_TRACE("connect");
        close(listener);
        end_loop(loop);
        CHECK_TRACE("close");
    }
}

/* On Linux the unspecified address is this machine. */
TEST(the_unspecified_address_ends_one_way_or_the_other) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    run_until_known(listen_to(rondo_connect(loop, "0.0.0.0", port)));
    CHECK_TRACE("connect");
    int fd = refuse_on(&port);
    run_until_known(listen_to(rondo_connect(loop, "0.0.0.0", port)));
    CHECK_TRACE("ECONNREFUSED close");
    close(fd);
    close(listener);
    end_loop(loop);
}

TEST(a_link_local_address_without_its_scope_is_an_error) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream = listen_to(rondo_connect(loop, "fe80::1", 1));
    run_until_known(stream);
    if (strcmp(trace, "EAFNOSUPPORT close") == 0) SKIP("no IPv6 here");
    CHECK_TRACE("EINVAL close");
    end_loop(loop);
}

/* ---- time ---- */

static void note_time(rondo_stream *stream, int error, void *arg) {
    note("at %llu", (unsigned long long)rondo_loop_now_ms(rondo_handle_loop(stream)) - 1000);
}

static void check_timeout(uint32_t timeout_ms, const char *want) {
    rondo_loop *loop = new_virtual_loop();
    full_listener full = new_full_listener();
    rondo_connect_options options = {
        .host = "127.0.0.1", .port = full.port, .timeout_ms = timeout_ms};
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    rondo_stream_on_error(stream, note_time, NULL);
    run_all(loop);
    harness_check_str(__FILE__, __LINE__, "trace", trace, want);
    trace_size = 0;
    close_full_listener(&full);
    end_loop(loop);
}
TEST(a_connect_that_hangs_ends_with_its_time) {
    check_timeout(0, "ETIMEDOUT at 60000 close");
    check_timeout(500, "ETIMEDOUT at 500 close");
}

static void note_stage(rondo_stream *stream, int error, void *arg) {
    note("stage %d", (int)rondo_connect_stage_of(stream));
}
TEST(the_attempts_have_a_time_of_their_own) {
    rondo_loop *loop = new_virtual_loop();
    full_listener full = new_full_listener();
    rondo_connect_options options = {
        .host = "127.0.0.1", .port = full.port, .attempts_timeout_ms = 700};
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    CHECK_INT(rondo_connect_stage_of(stream), RONDO_CONNECT_LOOKUP);
    rondo_stream_on_error(stream, note_time, NULL);
    rondo_stream_on_error(stream, note_stage, NULL);
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT at 700 stage 2 close");
    close_full_listener(&full);
    end_loop(loop);
}
TEST(a_stream_that_is_open_is_at_no_stage) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_connect_options options = {
        .host = "127.0.0.1", .port = port, .lookup_timeout_ms = 1, .attempts_timeout_ms = 1};
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    while (rondo_is_connecting(stream)) rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_INT(rondo_connect_stage_of(stream), RONDO_CONNECT_OPEN);
    rondo_close(stream);
    run_all(loop);
    close(listener);
    end_loop(loop);
}

TEST(the_kernels_timeout_is_told) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_stream *stream = connect_to(loop, port);
    faults_fail(CALL_getsockopt, 1, ETIMEDOUT);
    run_until_known(stream);
    faults_stop();
    CHECK_TRACE("ETIMEDOUT close");
    close(listener);
    end_loop(loop);
}

/* ---- giving up ---- */

/* After so many turns; the third is long after the attempt has begun. */
static void give_up_after(int turns, bool by_error) {
    rondo_loop *loop = new_virtual_loop();
    full_listener full = new_full_listener();
    rondo_stream *stream = connect_to(loop, full.port);
    rondo_write_lent(stream, rondo_slice_text("x"), note_release, (void *)(uintptr_t) "x");
    run_turns(loop, turns);
    if (by_error)
        rondo_destroy(stream, RONDO_EIO);
    else
        rondo_close(stream);
    CHECK(!rondo_is_connecting(stream));
    run_all(loop);
    CHECK_TRACE(by_error ? "x:EIO EIO close" : "x:ECANCELED close");
    close_full_listener(&full);
    end_loop(loop);
}
TEST(giving_up_at_any_time) {
    for (int turns = 0; turns < 4; turns++) {
        give_up_after(turns, false);
        give_up_after(turns, true);
    }
}

TEST(giving_up_in_the_turn_in_which_it_connects) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_stream *stream = connect_to(loop, port);
    rondo_stream_on_connect(stream, close_it, NULL);
    write_text(stream, "never sent");
    run_all(loop);
    CHECK_TRACE("connect close");
    char byte;
    int peer = accept(listener, NULL, NULL);
    CHECK_INT(harness_recv_exact(peer, &byte, 1), 0);
    close(peer);
    close(listener);
    end_loop(loop);
}

TEST(a_connect_does_not_spin) {
    rondo_loop *loop = new_virtual_loop();
    full_listener full = new_full_listener();
    connect_to(loop, full.port);
    run_turns(loop, 2);
    check_idle(loop);
    close_full_listener(&full);
    end_loop(loop);
}

/* ---- wrong options ---- */

TEST(options_that_make_no_sense) {
    rondo_address none = {.len = 0}, v4, v6, local;
    char *name = malloc(300);
    memset(name, 'a', 299);
    name[299] = '\0';
    CHECK_INT(rondo_address_parse("127.0.0.1", 0, &v4), 0);
    CHECK_INT(rondo_address_parse("::1", 80, &v6), 0);
    CHECK_INT(rondo_address_parse_unix("@x", &local), 0);
    const struct {
        rondo_connect_options options;
        int error;
    } wrong[] = {
        {{0}, RONDO_EINVAL},
        {{.host = "127.0.0.1"}, RONDO_EINVAL},
        {{.host = "", .port = 1}, RONDO_EINVAL},
        {{.host = "two words", .port = 1}, RONDO_EINVAL},
        {{.host = name, .port = 1}, RONDO_EINVAL},
        {{.host = "127.0.0.1", .port = 1, .path = "@x"}, RONDO_EINVAL},
        {{.host = "127.0.0.1", .port = 1, .address = &v6}, RONDO_EINVAL},
        {{.host = "127.0.0.1", .port = 1, .local_host = "nobody"}, RONDO_EINVAL},
        {{.host = "127.0.0.1", .port = 1, .local_host = "::1"}, RONDO_EAFNOSUPPORT},
        {{.host = "127.0.0.1", .port = 1, .local_host = "203.0.113.7"}, RONDO_EADDRNOTAVAIL},
        {{.host = "127.0.0.1", .port = 1, .family = RONDO_FAMILY_UNIX}, RONDO_EINVAL},
        {{.host = "127.0.0.1", .port = 1, .family = RONDO_FAMILY_IPV6}, RONDO_ENOTFOUND},
        {{.address = &none}, RONDO_EINVAL},
        {{.address = &v4}, RONDO_EINVAL}, /* port 0 */
        {{.address = &v6, .family = RONDO_FAMILY_IPV4}, RONDO_EINVAL},
        {{.address = &local, .local_port = 1}, RONDO_EINVAL},
        {{.path = "@x", .local_host = "127.0.0.1"}, RONDO_EINVAL},
        {{.path = ""}, RONDO_EINVAL},
        {{.path = name}, RONDO_ENAMETOOLONG},
        {{.path = "/nowhere/x.sock"}, RONDO_ENOENT},
        {{.path = "/etc/passwd"}, RONDO_ECONNREFUSED},
        {{.path = "@rondo nobody listens here"}, RONDO_ECONNREFUSED},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rondo_loop *loop = rondo_loop_new();
        listen_to(rondo_connect_with(loop, &wrong[i].options));
        CHECK_TRACE("");
        run_all(loop);
        snprintf(name, 300, "%s close", rondo_error_name(wrong[i].error));
        if (strcmp(trace, name) != 0) FAIL("%zu: %s, not %s", i, trace, name);
        CHECK_TRACE(name);
        memset(name, 'a', 299);
        rondo_loop_free(loop);
    }
    rondo_loop *loop = rondo_loop_new();
    listen_to(rondo_connect_with(loop, NULL));
    run_all(loop);
    CHECK_TRACE("EINVAL close");
    rondo_loop_free(loop);
    free(name);
}

TEST(the_strings_of_the_options_are_copied) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    char host[] = "127.0.0.1", local[] = "127.0.0.3", text[64];
    rondo_connect_options options = {.host = host, .port = port, .local_host = local};
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    memset(host, 'x', sizeof host);
    memset(local, 'x', sizeof local);
    memset(&options, 'x', sizeof options);
    run_until_known(stream);
    CHECK_TRACE("connect");
    CHECK(rondo_stream_local(stream, text, sizeof text) > 0);
    CHECK(strncmp(text, "127.0.0.3:", 10) == 0);
    close(listener);
    end_loop(loop);
}

TEST(names_of_targets) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address address;
    CHECK_INT(rondo_address_parse("::1", 80, &address), 0);
    CHECK_STR(rondo_name(rondo_connect(loop, "example.org", 80)), "example.org:80");
    CHECK_STR(rondo_name(rondo_connect(loop, "::1", 80)), "[::1]:80");
    CHECK_STR(rondo_name(rondo_connect_with(loop, &(rondo_connect_options){.address = &address})),
              "[::1]:80");
    CHECK_STR(rondo_name(rondo_connect_with(loop, &(rondo_connect_options){.path = "/x"})),
              "unix:/x");
    CHECK_STR(rondo_name(rondo_connect_with(loop, &(rondo_connect_options){.path = "@x"})),
              "unix:@x");
    CHECK_STR(rondo_name(rondo_connect_with(loop, NULL)), "");
    CHECK_STR(rondo_kind(rondo_connect(loop, "::1", 80)), "stream");
    end_loop(loop);
}

/* ---- our end ---- */

TEST(a_local_port) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0, own = free_port();
    char text[64], want[64];
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_connect_options options = {.host = "127.0.0.1", .port = port, .local_port = own};
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    run_until_known(stream);
    CHECK_TRACE("connect");
    snprintf(want, sizeof want, "127.0.0.1:%d", own);
    CHECK(rondo_stream_local(stream, text, sizeof text) > 0);
    CHECK_STR(text, want);
    listen_to(rondo_connect_with(loop, &options)); /* the same once more: no two can be one */
    run_turns(loop, 4);
    CHECK_TRACE("EADDRNOTAVAIL close");
    close(listener);
    end_loop(loop);
}

/* A port that nobody listens on, and that is our own. */
TEST(a_socket_does_not_connect_to_itself) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = free_port();
    rondo_connect_options options = {
        .host = "127.0.0.1", .port = port, .local_host = "127.0.0.1", .local_port = port};
    listen_to(rondo_connect_with(loop, &options));
    run_all(loop);
    CHECK_TRACE("ECONNREFUSED close");
    end_loop(loop);
}

/* The same port, but of another address: that is no echo. */
TEST(two_ends_may_have_the_same_port) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.2", &port, 5);
    rondo_connect_options options = {
        .host = "127.0.0.2", .port = port, .local_host = "127.0.0.3", .local_port = port};
    run_until_known(listen_to(rondo_connect_with(loop, &options)));
    CHECK_TRACE("connect");
    close(listener);
    end_loop(loop);
}

/* ---- Unix sockets ---- */

TEST(unix_sockets_by_path_and_by_abstract_name) {
    char path[] = "/tmp/rondo-connect-XXXXXX", text[64];
    close(mkstemp(path));
    unlink(path);
    const char *names[] = {path, abstract_name()};
    for (int i = 0; i < 2; i++) {
        rondo_loop *loop = new_virtual_loop();
        int listener = listen_unix(names[i], 5);
        rondo_stream *stream =
            listen_to(rondo_connect_with(loop, &(rondo_connect_options){.path = names[i]}));
        write_text(stream, "hello");
        CHECK_TRACE("");
        run_until_known(stream);
        CHECK_TRACE("connect");
        int peer = accept(listener, NULL, NULL);
        harness_recv_exact(peer, text, 5);
        CHECK(rondo_stream_peer(stream, text, sizeof text) > 0);
        CHECK_STR(text + 5, names[i]);
        close(peer);
        close(listener);
        end_loop(loop);
        CHECK_TRACE("close");
    }
    unlink(path);
}

/* As an address, too; and nobody shuts what was not open. */
TEST(a_unix_address) {
    rondo_loop *loop = new_virtual_loop();
    const char *name = abstract_name();
    rondo_address address;
    CHECK_INT(rondo_address_parse_unix(name, &address), 0);
    int listener = listen_unix(name, 5);
    rondo_connect_options options = {.address = &address, .family = RONDO_FAMILY_UNIX};
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    CHECK_INT(rondo_tcp_set_nodelay(stream, true), RONDO_ENOTSUP);
    run_until_known(stream);
    CHECK_TRACE("connect");
    CHECK_INT(rondo_tcp_set_nodelay(stream, true), RONDO_ENOTSUP);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 0, 0, 0), RONDO_ENOTSUP);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 1, 1, 1), RONDO_ENOTSUP);
    CHECK_INT(rondo_tcp_set_user_timeout(stream, 1), RONDO_ENOTSUP);
    CHECK_INT(rondo_tcp_reset(stream), RONDO_ENOTSUP);
    CHECK(!rondo_is_closing(stream));
    close(listener);
    end_loop(loop);
}

static void accept_one(rondo_timer *timer, void *arg) {
    close(accept(*(int *)arg, NULL, NULL));
    rondo_close(timer);
}

TEST(a_full_unix_backlog_is_tried_again_and_does_not_spin) {
    rondo_loop *loop = new_virtual_loop();
    const char *name = abstract_name();
    int listener = listen_unix(name, 0);
    rondo_connect_options options = {.path = name, .timeout_ms = 10000};
    rondo_stream *first = rondo_connect_with(loop, &options); /* fills it */
    run_until_known(first);
    faults_watch();
    listen_to(rondo_connect_with(loop, &options)); /* finds no room */
    start_timer(loop, 1000, accept_one, &listener);
    for (int i = 0; i < 60 && trace_size == 0; i++) rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("connect"); /* there is room now */
    CHECK(faults_count(CALL_connect) > 8 && faults_count(CALL_connect) < 25);
    close(listener);
    end_loop(loop);
}

TEST(a_full_unix_backlog_until_the_time_is_over) {
    rondo_loop *loop = new_virtual_loop();
    const char *name = abstract_name();
    int listener = listen_unix(name, 0);
    rondo_connect_options options = {.path = name, .timeout_ms = 2000};
    run_until_known(listen_to(rondo_connect_with(loop, &options)));
    faults_watch();
    rondo_stream *stream = listen_to(rondo_connect_with(loop, &options));
    rondo_stream_on_error(stream, note_time, NULL);
    run_until_known(stream);
    CHECK_TRACE("connect ETIMEDOUT at 2000 close");
    CHECK(faults_count(CALL_connect) > 15 && faults_count(CALL_connect) < 30);
    close(listener);
    end_loop(loop);
}

/* ---- the system says no ---- */

TEST(an_interrupted_connect_goes_on) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_stream *stream = connect_to(loop, port);
    faults_fail(CALL_connect, 1, EINTR);
    run_until_known(stream);
    CHECK_INT(faults_struck(), 1);
    CHECK_INT(faults_count(CALL_connect), 1);
    faults_stop();
    CHECK_TRACE("connect");
    close(listener);
    end_loop(loop);
}

static void check_fault(faults_calls call, int error, int want) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    connect_to(loop, port);
    faults_fail(call, 1, error);
    run_all(loop);
    CHECK_INT(faults_struck(), 1);
    faults_clear();
    char text[64];
    snprintf(text, sizeof text, "%s close", rondo_error_name(want));
    CHECK_TRACE(text);
    close(listener);
    end_loop(loop);
}
TEST(the_system_says_no) {
    check_fault(CALL_socket, EMFILE, RONDO_EMFILE);
    check_fault(CALL_socket, ENFILE, RONDO_ENFILE);
    check_fault(CALL_socket, ENOBUFS, RONDO_ENOBUFS);
    check_fault(CALL_socket, EAFNOSUPPORT, RONDO_EAFNOSUPPORT);
    check_fault(CALL_connect, ENETUNREACH, RONDO_ENETUNREACH);
    check_fault(CALL_connect, EADDRNOTAVAIL, RONDO_EADDRNOTAVAIL);
    check_fault(CALL_connect, EPERM, RONDO_EPERM);
    check_fault(CALL_getsockopt, ECONNREFUSED, RONDO_ECONNREFUSED);
    check_fault(CALL_getsockopt, EHOSTUNREACH, RONDO_EHOSTUNREACH);
    check_fault(CALL_setsockopt, EINVAL, RONDO_EINVAL);
}

TEST(a_watch_that_the_kernel_refuses) {
    rondo_loop *loop = new_virtual_loop();
    full_listener full = new_full_listener();
    connect_to(loop, full.port);
    faults_fail(CALL_epoll_ctl, 1, ENOSPC);
    run_all(loop);
    CHECK_INT(faults_struck(), 1);
    CHECK_TRACE("ENOMEM close");
    close_full_listener(&full);
    end_loop(loop);
}

/* Each call once: it opens or fails, whatever it was, and once. */
static void connect_and_talk(void) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", &port, 5);
    rondo_stream *stream = connect_to(loop, port);
    write_text(stream, "hello");
    FAULTS_BEGIN();
    run_until_known(stream);
    FAULTS_END();
    bool open = strncmp(trace, "connect", 7) == 0;
    end_loop(loop);
    if (open)
        CHECK(strcmp(trace, "connect close") == 0 || strstr(trace, "connect E") == trace);
    else
        CHECK(trace[0] == 'E' && strcmp(strchr(trace, ' '), " close") == 0);
    trace_size = 0;
    close(listener);
}
TEST(each_call_fails_once) {
    faults_calls calls = CALL_socket | CALL_connect | CALL_getsockopt | CALL_getpeername |
                         CALL_getsockname | CALL_setsockopt | CALL_bind;
    FAULT_SWEEP(connect_and_talk, calls, EINTR);
    FAULT_SWEEP(connect_and_talk, calls, ENOBUFS);
    FAULT_SWEEP(connect_and_talk, CALL_epoll_ctl, ENOMEM);
}

TEST(out_of_memory_at_every_place) {
    for (long n = 0;; n++) {
        rondo_loop *loop = new_virtual_loop();
        uint16_t port = 0;
        int listener = listen_on("127.0.0.1", &port, 5);
        harness_fail_alloc_after(n);
        rondo_stream *stream = rondo_connect(loop, "127.0.0.1", port);
        if (stream && rondo_stream_on_connect(stream, note_connect, NULL) == 0) {
            rondo_stream_on_error(stream, note_error, NULL);
            for (int i = 0; i < 10 && trace_size == 0; i++) run_turns(loop, 1);
            CHECK(strcmp(trace, "connect") == 0 || strcmp(trace, "ENOMEM") == 0);
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        end_loop(loop);
        CHECK(failed || strcmp(trace, "connect") == 0);
        trace_size = 0;
        trace[0] = '\0';
        close(listener);
        if (!failed) break;
    }
}
