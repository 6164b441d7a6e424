/* SPDX-License-Identifier: MIT
 *
 * TLS by the kernel: a kernel that refuses changes nothing, and one that agrees is given plain bytes and
 * files. No kernel is needed: OpenSSL's setsockopt(2) is answered here, in its place, and what a kernel
 * would encrypt can be read in the clear at the other end.
 */
#include "tls_peers.h"

#include <dlfcn.h>
#include <linux/tls.h>
#include <signal.h>
#include <sys/syscall.h>

#include "faults.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* What the kernel says: 0 yes, or an errno. */
static int to_ulp, to_keys;
static int asked_ulp, asked_send, asked_receive;

/* OpenSSL's calls come here, since a program's own functions go before those of libraries. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    int error = -1;
    if (level == IPPROTO_TCP && name == TCP_ULP) {
        asked_ulp++;
        error = to_ulp;
    } else if (level == SOL_TLS) {
        name == TLS_TX ? asked_send++ : asked_receive++;
        error = to_ulp ? ENOPROTOOPT : name == TLS_TX ? to_keys : EINVAL;
    }
    if (error < 0) return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
    errno = error;
    return error ? -1 : 0;
}

static void start_kernel_couple(couple *it) {
    couple_init(it);
    CHECK_INT(rondo_tls_set_kernel(it->serving, true), 0);
    couple_connect(it);
}

static void check_refused(void) {
    couple it;
    rondo_tls_info info;
    start_kernel_couple(&it);
    run_turns(it.loop, 10);
    CHECK_TRACE("client server");
    CHECK(asked_ulp > 0);
    CHECK_INT(rondo_tls_get_info(it.server, &info), 0);
    CHECK(!info.kernel);
    rondo_stream_on_data(it.client, note_data, NULL);
    rondo_stream_on_data(it.server, note_data, NULL);
    write_text(it.server, "down"), write_text(it.client, "up");
    run_turns(it.loop, 4);
    CHECK(strcmp(trace, "down up") == 0 || strcmp(trace, "up down") == 0);
    trace_size = 0, trace[0] = '\0';
    couple_fini(&it);
}

TEST(a_kernel_without_tls_changes_nothing) {
    to_ulp = ENOENT;
    check_refused();
    to_ulp = ENOPROTOOPT;
    check_refused();
}

TEST(a_kernel_that_does_not_know_the_cipher_changes_nothing) {
    to_keys = EINVAL;
    check_refused();
    CHECK(asked_send > 0);
}

TEST(whatever_this_kernel_says_bytes_pass) {
    to_ulp = to_keys = -1; /* really asked */
    couple it;
    start_kernel_couple(&it);
    run_turns(it.loop, 10);
    CHECK_TRACE("client server");
    couple_fini(&it);
}

TEST(nobody_asks_unless_it_is_set) {
    couple it;
    start_couple(&it);
    CHECK_INT(asked_ulp, 0);
    couple_fini(&it);
}

/* A server that the kernel encrypts for, with no tickets: after the keys it sends nothing but Finished. Its client
 * is at the other end of the socket, and deaf from then on. */
static rondo_stream *start_in_kernel(couple *it, int *ret_fd) {
    couple_init(it);
    CHECK_INT(rondo_tls_set_kernel(it->serving, true), 0);
    CHECK_INT(rondo_tls_set_resumption(it->serving, false), 0);
    rondo_stream *server;
    int fd = new_tcp_pair(it->loop, &server);
    rondo_stream_on_connect(server, note_shaken, (void *)(uintptr_t) "server");
    rondo_stream_on_error(server, note_why, (void *)(uintptr_t) "server");
    CHECK_INT(rondo_tls_start(server, it->serving, NULL), 0);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    char bytes[65536];
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    for (int i = 0; i < 6; i++) {
        SSL_do_handshake(ssl);
        int len = BIO_read(out, bytes, sizeof bytes);
        if (len > 0) harness_send_all(fd, bytes, (size_t)len);
        run_turns(it->loop, 2);
        ssize_t count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count > 0) BIO_write(in, bytes, (int)count);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    CHECK_TRACE("server");
    CHECK_INT(asked_send, 1);
    *ret_fd = fd;
    return server;
}

TEST(bytes_and_files_go_to_the_kernel_as_they_are) {
    couple it;
    rondo_tls_info info;
    int fd;
    rondo_stream *server = start_in_kernel(&it, &fd);
    CHECK_INT(rondo_tls_get_info(server, &info), 0);
    CHECK(info.kernel);
    write_text(server, "in the clear");
    run_turns(it.loop, 1);
    CHECK_STR(read_now(fd), "in the clear");
    char path[] = "/tmp/rondo-tls-XXXXXX", bytes[40000];
    int file = mkstemp(path);
    unlink(path);
    char *big = new_bytes(40000);
    CHECK_INT(write(file, big, 40000), 40000);
    faults_watch();
    CHECK(rondo_write_file(server, file, 0, 40000, true) >= 0);
    run_turns(it.loop, 2);
    CHECK_INT(faults_bytes(CALL_sendfile), 40000);
    CHECK_INT(harness_recv_exact(fd, bytes, 40000), 40000);
    check_bytes(bytes, 40000, 40000);
    free(big);
    close(fd);
    couple_fini(&it);
}

/* OpenSSL gives its alerts to the kernel with a call of its own, and does not keep the signal away. */
TEST(an_alert_to_a_peer_that_has_gone_is_no_signal) {
    couple it;
    int fd;
    rondo_stream *server = start_in_kernel(&it, &fd);
    signal(SIGPIPE, SIG_DFL);
    close(fd);
    write_text(server, "what a closed socket resets");
    run_turns(it.loop, 1);
    rondo_close(server); /* with close_notify */
    run_turns(it.loop, 1);
    couple_fini(&it);
}
