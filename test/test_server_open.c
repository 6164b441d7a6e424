/* SPDX-License-Identifier: MIT
 *
 * Servers on sockets that somebody else has opened: by descriptor, and from a service manager.
 */
#define _GNU_SOURCE
#include "connecting.h"
#include "faults.h"

#include <netinet/tcp.h>

#include "net/inherited.h"

static void greet(rondo_server *server, rondo_stream *connection, void *arg) {
    note("%s", arg ? (const char *)arg : "connection");
    write_text(connection, "hello");
    rondo_end(connection);
    rondo_resume(connection);
}

static void check_served(rondo_loop *loop, int port) {
    char text[8] = "";
    int fd = harness_connect(port);
    run_turns(loop, 2);
    CHECK_INT(harness_recv_exact(fd, text, 7), 5);
    CHECK_STR(text, "hello");
    close(fd);
    run_turns(loop, 2);
}

/* ---- by descriptor ---- */

TEST(a_listening_socket_is_taken_over) {
    rondo_loop *loop = new_virtual_loop();
    uint16_t port = 0;
    int fd = listen_on("127.0.0.1", &port, 5), on = 0;
    socklen_t len = sizeof on;
    fcntl(fd, F_SETFD, 0);
    rondo_server *server = rondo_server_new(loop), *second = rondo_server_new(loop);
    rondo_server_on_connection(server, greet, NULL);
    CHECK_INT(rondo_server_open(server, fd), 0);
    CHECK(rondo_is_active(server));
    CHECK_INT(rondo_server_port(server), port);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    CHECK_INT(on, 1);
    check_served(loop, port);
    CHECK_TRACE("connection");
    CHECK_INT(rondo_server_open(second, fd), RONDO_EEXIST);
    CHECK_INT(rondo_server_open(server, fd), RONDO_EBUSY);
    rondo_close(server);
    CHECK(fcntl(fd, F_GETFD) < 0);
    CHECK_INT(rondo_server_open(server, fd), RONDO_ECLOSED);
    end_loop(loop);
}

/* Of one that the loop listens on anyway, too. */
TEST(its_own_sockets_are_not_taken_twice) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop), *second = rondo_server_new(loop);
    rondo_stream *stream;
    int lowest = dup(0), peer;
    close(lowest);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_server_open(second, lowest), RONDO_EEXIST);
    CHECK_INT(rondo_stream_open(loop, lowest, &stream), RONDO_ENOTSUP);
    peer = new_pair(loop, &stream);
    CHECK_INT(rondo_server_open(second, stream->fd), RONDO_EEXIST);
    close(peer);
    end_loop(loop);
}

TEST(the_file_of_a_foreign_unix_socket_stays) {
    rondo_loop *loop = new_virtual_loop();
    char path[] = "/tmp/rondo-open-XXXXXX", text[64];
    close(mkstemp(path));
    unlink(path);
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_open(server, listen_unix(path, 5)), 0);
    CHECK(rondo_server_address(server, text, sizeof text) > 0);
    CHECK_STR(text + 5, path);
    end_loop(loop);
    CHECK_INT(unlink(path), 0);
}

static void check_refused(int fd, int want) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    int flags = fcntl(fd, F_GETFL), descriptor = fcntl(fd, F_GETFD);
    CHECK_INT(rondo_server_open(server, fd), want);
    CHECK_INT(fcntl(fd, F_GETFL), flags);
    CHECK_INT(fcntl(fd, F_GETFD), descriptor);
    CHECK(!rondo_is_active(server));
    end_loop(loop);
    CHECK(fd < 0 || close(fd) == 0 || want == RONDO_EBADF);
}

TEST(what_is_no_listening_socket) {
    int ends[2];
    check_refused(-1, RONDO_EBADF);
    check_refused(1000, RONDO_EBADF);
    check_refused(open("/dev/null", O_RDONLY), RONDO_ENOTSOCK);
    check_refused(socket(AF_INET, SOCK_DGRAM, 0), RONDO_ENOTSUP);
    check_refused(socket(AF_UNIX, SOCK_SEQPACKET, 0), RONDO_ENOTSUP);
    check_refused(socket(AF_INET, SOCK_STREAM, 0), RONDO_EINVAL);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_refused(ends[0], RONDO_EINVAL);
    close(ends[1]);
}

TEST(a_descriptor_that_can_not_be_taken_is_given_back) {
    uint16_t port = 0;
    int fd = listen_on("127.0.0.1", &port, 5);
    faults_fail(CALL_open, 1, EMFILE); /* the one in reserve */
    check_refused(fd, RONDO_EMFILE);
    faults_clear();
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        port = 0;
        fd = listen_on("127.0.0.1", &port, 5);
        rondo_server *server = rondo_server_new(loop);
        rondo_server_on_connection(server, greet, NULL);
        harness_fail_alloc_after(n);
        int status = rondo_server_open(server, fd);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(status, failed ? RONDO_ENOMEM : 0);
        CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, failed ? 0 : O_NONBLOCK);
        end_loop(loop);
        CHECK_INT(close(fd) == 0, failed);
        if (!failed) break;
    }
}

/* ---- from a service manager ---- */

/* Sockets as it hands them over, from 3 on. Each sign of kinds is one: t(cp), u(dp), n(othing). */
static int hand_over(const char *kinds, uint16_t *ports) {
    int count = (int)strlen(kinds), high = 100;
    CHECK_INT(fcntl(3, F_GETFD), -1);
    for (int i = 0; i < count; i++) {
        ports[i] = 0;
        int fd = kinds[i] == 't'   ? listen_on("127.0.0.1", &ports[i], 5)
                 : kinds[i] == 'u' ? socket(AF_INET, SOCK_DGRAM, 0)
                                   : open("/dev/null", O_RDONLY);
        CHECK_INT(dup2(fd, high + i), high + i);
        close(fd);
    }
    for (int i = 0; i < count; i++) {
        CHECK_INT(dup2(high + i, 3 + i), 3 + i);
        close(high + i);
    }
    return count;
}

static void set_environment(long pid, const char *fds, const char *names) {
    char text[32];
    snprintf(text, sizeof text, "%ld", pid);
    setenv("LISTEN_PID", text, 1);
    if (fds) setenv("LISTEN_FDS", fds, 1);
    if (names) setenv("LISTEN_FDNAMES", names, 1);
}

static rondo_server *inherit(rondo_loop *loop, const char *name, int want) {
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, greet, (void *)(uintptr_t)name);
    CHECK_INT(rondo_server_listen_inherited(server, name), want);
    CHECK_INT(rondo_is_active(server), want == 0);
    return server;
}

TEST(sockets_of_a_service_manager) {
    uint16_t ports[3];
    hand_over("tt", ports);
    set_environment((long)getpid(), "2", NULL);
    rondo_loop *loop = new_virtual_loop();
    rondo_server *one = inherit(loop, NULL, 0), *two = inherit(loop, NULL, 0);
    inherit(loop, NULL, RONDO_ENOENT);
    CHECK_INT(rondo_server_port(one), ports[0]);
    CHECK_INT(rondo_server_port(two), ports[1]);
    CHECK(fcntl(3, F_GETFD) & FD_CLOEXEC && fcntl(4, F_GETFD) & FD_CLOEXEC);
    check_served(loop, ports[0]);
    check_served(loop, ports[1]);
    CHECK_TRACE("connection connection");
    CHECK_INT(rondo_server_listen_inherited(one, NULL), RONDO_EBUSY);
    rondo_close(one);
    CHECK_INT(rondo_server_listen_inherited(one, NULL), RONDO_ECLOSED);
    /* The number may be another file's now: it isn't taken again. */
    uint16_t other = 0;
    int fd = listen_on("127.0.0.1", &other, 1);
    CHECK_INT(fd, 3);
    fcntl(fd, F_SETFD, 0);
    inherit(loop, NULL, RONDO_ENOENT);
    CHECK_INT(fcntl(fd, F_GETFD), 0);
    close(fd);
    CHECK_STR(getenv("LISTEN_FDS"), "2"); /* left alone */
    end_loop(loop);
}

TEST(without_descriptors_an_inherited_socket_is_not_passed_over) {
    uint16_t port;
    hand_over("t", &port);
    set_environment((long)getpid(), "1", NULL);
    rondo_loop *loop = new_virtual_loop();
    faults_fail(CALL_open, 1, EMFILE); /* the descriptor in reserve */
    inherit(loop, NULL, RONDO_EMFILE);
    faults_stop();
    CHECK_INT(rondo_server_port(inherit(loop, NULL, 0)), port);
    end_loop(loop);
}

TEST(sockets_by_name) {
    uint16_t ports[4];
    hand_over("tttt", ports);
    set_environment((long)getpid(), "4", "web:admin::web");
    rondo_loop *loop = new_virtual_loop();
    inherit(loop, "we", RONDO_ENOENT);
    inherit(loop, "webb", RONDO_ENOENT);
    inherit(loop, "web:admin", RONDO_ENOENT);
    CHECK_INT(rondo_server_port(inherit(loop, "admin", 0)), ports[1]);
    CHECK_INT(rondo_server_port(inherit(loop, "web", 0)), ports[0]);
    CHECK_INT(rondo_server_port(inherit(loop, "web", 0)), ports[3]);
    inherit(loop, "web", RONDO_ENOENT);
    CHECK_INT(rondo_server_port(inherit(loop, "", 0)), ports[2]);
    end_loop(loop);
}

TEST(all_of_them_are_closed_for_children) {
    uint16_t ports[3];
    hand_over("ttu", ports);
    set_environment((long)getpid(), "3", "a:b:c");
    rondo_loop *loop = new_virtual_loop();
    inherit(loop, "b", 0);
    for (int fd = 3; fd < 6; fd++) CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(3);
    close(5);
    end_loop(loop);
}

TEST(those_that_do_not_listen_are_passed_over) {
    uint16_t ports[4];
    hand_over("unt", ports);
    set_environment((long)getpid(), "3", "dgram:null:web");
    rondo_loop *loop = new_virtual_loop();
    inherit(loop, "dgram", RONDO_ENOTSUP); /* by name, it says why */
    inherit(loop, "null", RONDO_ENOTSOCK);
    CHECK_INT(rondo_server_port(inherit(loop, NULL, 0)), ports[2]);
    inherit(loop, NULL, RONDO_ENOENT);
    close(3);
    close(4);
    end_loop(loop);
}

TEST(environments_that_are_not_for_us) {
    uint16_t ports[1];
    char text[64];
    hand_over("t", ports);
    rondo_loop *loop = new_virtual_loop();
    const char *wrong[] = {"", "0", "-1", "1x", " 1", "99999999999999999999"};
    inherit(loop, NULL, RONDO_ENOENT); /* none */
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set_environment((long)getpid(), wrong[i], NULL);
        inherit(loop, NULL, RONDO_ENOENT);
    }
    set_environment((long)getppid(), "1", NULL);
    inherit(loop, NULL, RONDO_ENOENT);
    snprintf(text, sizeof text, "%ldx", (long)getpid());
    setenv("LISTEN_PID", text, 1);
    inherit(loop, NULL, RONDO_ENOENT);
    unsetenv("LISTEN_PID");
    inherit(loop, NULL, RONDO_ENOENT);
    set_environment((long)getpid(), "1", NULL);
    inherit(loop, "web", RONDO_ENOENT); /* no names */
    unsetenv("LISTEN_FDS");
    inherit(loop, NULL, RONDO_ENOENT);
    end_loop(loop);
    close(3);
}

/* More than there are, or than are looked at. */
TEST(counts_that_lie) {
    uint16_t ports[1];
    hand_over("t", ports);
    set_environment((long)getpid(), "2000000000", "web");
    rondo_loop *loop = new_virtual_loop();
    CHECK_INT(rondo_server_port(inherit(loop, NULL, 0)), ports[0]);
    inherit(loop, NULL, RONDO_ENOENT);
    end_loop(loop);
}

/* What can't be taken now may be taken later. */
TEST(a_socket_that_could_not_be_taken_is_put_back) {
    uint16_t ports[1];
    hand_over("t", ports);
    set_environment((long)getpid(), "1", "web");
    rondo_loop *loop = new_virtual_loop();
    faults_fail(CALL_open, 1, EMFILE);
    inherit(loop, "web", RONDO_EMFILE);
    faults_clear();
    CHECK_INT(rondo_server_port(inherit(loop, "web", 0)), ports[0]);
    end_loop(loop);
}

static void *inherit_all(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    int *count = arg;
    for (;;) {
        rondo_server *server = rondo_server_new(loop);
        if (rondo_server_listen_inherited(server, NULL) < 0) break;
        ++*count;
    }
    end_loop(loop);
    return NULL;
}

TEST(several_threads_take_each_socket_once) {
    uint16_t ports[8];
    int counts[4] = {0}, total = 0;
    pthread_t threads[4];
    hand_over("tttttttt", ports);
    set_environment((long)getpid(), "8", NULL);
    for (int i = 0; i < 4; i++) threads[i] = harness_thread(inherit_all, &counts[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        total += counts[i];
    }
    CHECK_INT(total, 8);
}
