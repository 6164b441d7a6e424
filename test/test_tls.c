/* SPDX-License-Identifier: MIT
 *
 * TLS on streams: the handshake, bytes both ways, the ends, and what can be asked.
 */
#include "tls_peers.h"

#include <sys/ioctl.h>

static int ioctl_unread(int fd) {
    int bytes = -1;
    CHECK_INT(ioctl(fd, FIONREAD, &bytes), 0);
    return bytes;
}

static void listen_to_both(couple *it) {
    rondo_stream_on_data(it->server, note_data, NULL);
    rondo_stream_on_data(it->client, note_data, NULL);
}

TEST(bytes_pass_both_ways) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    CHECK_INT(write_text(it.client, "hello"), 1);
    CHECK_INT(write_text(it.server, "welcome"), 1);
    run_turns(it.loop, 4);
    CHECK_TRACE("hello welcome");
    check_idle(it.loop);
    couple_fini(&it);
}

TEST(tls_1_2_works_too) {
    couple it;
    rondo_tls_info info;
    couple_init(&it);
    check_done(it.asking, rondo_tls_set_versions(it.asking, RONDO_TLS_1_2, RONDO_TLS_1_2));
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE("server client"); /* the other way round: it is the server that ends it */
    listen_to_both(&it);
    write_text(it.client, "hello"), write_text(it.server, "welcome");
    run_turns(it.loop, 4);
    CHECK_TRACE("hello welcome");
    CHECK_INT(rondo_tls_get_info(it.client, &info), 0);
    CHECK_STR(info.version, "TLSv1.2");
    couple_fini(&it);
}

TEST(what_is_written_before_the_handshake_waits_for_it) {
    couple it;
    couple_init(&it);
    couple_connect(&it);
    listen_to_both(&it);
    CHECK_INT(write_text(it.client, "early "), 1);
    CHECK_INT(write_text(it.client, "bird"), 1);
    CHECK_INT(rondo_end(it.client), 0);
    CHECK_INT(queued(it.client), 10);
    run_turns(it.loop, 12);
    CHECK_TRACE("client server early bird");
    couple_fini(&it);
}

/* OpenSSL's socket BIO begins with descriptor 0 and would close it. */
TEST(the_descriptors_of_others_stay_open) {
    couple it;
    int zero = open("/dev/null", O_RDONLY);
    CHECK(zero >= 0);
    CHECK_INT(dup2(zero, 0), 0);
    close(zero);
    start_couple(&it);
    CHECK(fcntl(0, F_GETFD) >= 0);
    rondo_connect_options options = {.host = "127.0.0.1", .port = 1, .tls = it.asking};
    rondo_stream *never = rondo_connect_with(it.loop, &options);
    rondo_close(never);
    couple_fini(&it);
    CHECK(fcntl(0, F_GETFD) >= 0);
}

/* ---- ends ---- */

TEST(end_is_close_notify_and_then_fin) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    note_events(it.server);
    write_text(it.client, "last words");
    rondo_end(it.client);
    run_turns(it.loop, 8);
    CHECK_TRACE("last words end finish close");
    couple_fini(&it);
}

TEST(a_side_may_end_and_go_on_reading) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    note_events(it.client);
    rondo_stream_set_half_open(it.server, true);
    rondo_end(it.client);
    run_turns(it.loop, 4);
    CHECK_TRACE("finish");
    write_text(it.server, "and another thing");
    run_turns(it.loop, 4);
    CHECK_TRACE("and another thing");
    rondo_end(it.server);
    run_turns(it.loop, 4);
    CHECK_TRACE("end close");
    couple_fini(&it);
}

TEST(close_says_goodbye_when_all_was_said) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    note_events(it.server);
    write_text(it.client, "bye");
    run_turns(it.loop, 2);
    rondo_close(it.client);
    run_turns(it.loop, 4);
    CHECK_TRACE("bye end finish close");
    couple_fini(&it);
}

/* Otherwise the peer would take for all what is only a part. */
TEST(close_with_something_queued_is_not_taken_for_the_end) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    write_text(it.client, "never sent");
    rondo_close(it.client);
    run_turns(it.loop, 4);
    CHECK_TRACE("server:ECONNRESET(the connection ended without close_notify)");
    couple_fini(&it);
}

TEST(a_failure_is_not_taken_for_the_end) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    rondo_destroy(it.client, RONDO_EIO);
    run_turns(it.loop, 4);
    CHECK_TRACE("client:EIO() server:ECONNRESET(the connection ended without close_notify)");
    couple_fini(&it);
}

TEST(an_end_without_close_notify_is_an_error) {
    couple it;
    start_couple(&it);
    listen_to_both(&it);
    note_events(it.server);
    write_text(it.client, "cut");
    run_turns(it.loop, 1);
    CHECK_INT(shutdown(it.client->fd, SHUT_WR), 0);
    run_turns(it.loop, 4);
    CHECK_TRACE("cut server:ECONNRESET(the connection ended without close_notify) ECONNRESET close "
                "client:ETLS(the peer refused: decode error)");
    couple_fini(&it);
}

TEST(the_end_comes_after_the_last_byte_of_the_same_flight) {
    couple it;
    start_couple(&it);
    note_events(it.server);
    rondo_stream_set_half_open(it.server, true);
    write_text(it.client, "all at once");
    rondo_end(it.client);
    run_turns(it.loop, 4);
    CHECK_TRACE("");
    rondo_stream_on_data(it.server, note_data, NULL);
    run_turns(it.loop, 4);
    CHECK_TRACE("all at once end");
    couple_fini(&it);
}

/* A client that only sends must still take in the server's tickets: closing with something unread
 * would be a reset, which may destroy what is on its way. */
TEST(a_side_that_nobody_reads_hears_of_the_end) {
    couple it;
    start_couple(&it);
    CHECK_INT(ioctl_unread(it.client->fd), 0);
    note_events(it.client);
    rondo_end(it.server);
    run_turns(it.loop, 6);
    CHECK_TRACE("end finish close");
    couple_fini(&it);
}

TEST(data_that_nobody_reads_is_left_alone) {
    couple it;
    start_couple(&it);
    note_events(it.client);
    write_text(it.server, "data");
    rondo_end(it.server);
    run_turns(it.loop, 6);
    check_idle(it.loop);
    CHECK_TRACE("");
    rondo_stream_on_data(it.client, note_data, NULL);
    run_turns(it.loop, 3);
    CHECK_TRACE("data end finish close");
    couple_fini(&it);
}

/* ---- questions ---- */

TEST(a_stream_tells_of_its_tls) {
    couple it;
    rondo_tls_info info = {.version = "untouched"};
    couple_init(&it);
    rondo_stream *plain;
    int fd = new_pair(it.loop, &plain);
    CHECK_INT(rondo_tls_get_info(plain, &info), RONDO_ENOTSUP);
    couple_connect(&it);
    CHECK_INT(rondo_tls_get_info(it.client, &info), RONDO_ENOTCONN);
    CHECK_STR(info.version, "untouched");
    run_turns(it.loop, 8);
    CHECK_INT(rondo_tls_get_info(it.client, &info), 0);
    CHECK_STR(info.version, "TLSv1.3");
    CHECK(strncmp(info.cipher, "TLS_", 4) == 0);
    CHECK_STR(info.alpn, "");
    CHECK_STR(info.server_name, HOST);
    CHECK(info.verified && !info.resumed && !info.kernel);
    CHECK_INT(rondo_tls_get_info(it.server, &info), 0);
    CHECK_STR(info.server_name, HOST);
    CHECK(!info.verified && !info.resumed);
    CHECK_STR(rondo_tls_error_text(it.client), "");
    CHECK_STR(rondo_tls_error_text(plain), "");
    rondo_close(it.client);
    CHECK_INT(rondo_tls_get_info(it.client, &info), RONDO_ECLOSED);
    close(fd);
    couple_fini(&it);
}

static void check_text(const rondo_stream *stream, rondo_tls_field field, const char *want) {
    char text[4096] = "";
    int len = rondo_tls_peer_text(stream, field, text, sizeof text);
    CHECK_STR(text, want);
    CHECK_INT(len, strlen(want));
    CHECK_INT(rondo_tls_peer_text(stream, field, text, (size_t)len + 1), len);
    text[0] = '!';
    CHECK_INT(rondo_tls_peer_text(stream, field, text, (size_t)len), RONDO_ENOBUFS);
    CHECK_INT(text[0], '!');
}

static void check_time(const rondo_stream *stream, rondo_tls_field field, const ASN1_TIME *when) {
    char text[64];
    struct tm want, got = {0};
    CHECK_INT(rondo_tls_peer_text(stream, field, text, sizeof text), 20);
    CHECK_INT(sscanf(text, "%d-%d-%dT%d:%d:%dZ", &got.tm_year, &got.tm_mon, &got.tm_mday,
                     &got.tm_hour, &got.tm_min, &got.tm_sec),
              6);
    CHECK_INT(ASN1_TIME_to_tm(when, &want), 1);
    CHECK(got.tm_year == want.tm_year + 1900 && got.tm_mon == want.tm_mon + 1);
    CHECK(got.tm_mday == want.tm_mday && got.tm_hour == want.tm_hour);
    CHECK(got.tm_min == want.tm_min && got.tm_sec == want.tm_sec);
}

TEST(a_stream_tells_of_its_peer) {
    couple it;
    char text[128], want[65];
    unsigned char digest[32];
    start_couple(&it);
    check_text(it.client, RONDO_TLS_SUBJECT, "CN=site");
    check_text(it.client, RONDO_TLS_ISSUER, "CN=Test Root");
    check_text(it.client, RONDO_TLS_NAMES, "DNS:" HOST ",DNS:*.wild.test,IP:127.0.0.1");
    check_text(it.client, RONDO_TLS_PEM, site.pem);
    check_time(it.client, RONDO_TLS_NOT_BEFORE, X509_get0_notBefore(site.cert));
    check_time(it.client, RONDO_TLS_NOT_AFTER, X509_get0_notAfter(site.cert));
    X509_digest(site.cert, EVP_sha256(), digest, NULL);
    for (int i = 0; i < 32; i++) snprintf(want + 2 * i, 3, "%02x", digest[i]);
    check_text(it.client, RONDO_TLS_FINGERPRINT, want);
    CHECK_INT(rondo_tls_peer_text(it.client, (rondo_tls_field)99, text, sizeof text), RONDO_EINVAL);
    CHECK_INT(rondo_tls_peer_text(it.server, RONDO_TLS_SUBJECT, text, sizeof text), RONDO_ENODATA);
    couple_fini(&it);
}

/* ---- where it may begin ---- */

TEST(not_every_stream_may_start) {
    couple it;
    int ends[2];
    rondo_stream *stream;
    couple_init(&it);
    int fd = new_pair(it.loop, &stream);
    CHECK_INT(rondo_tls_start(stream, NULL, HOST), RONDO_EINVAL);
    CHECK_INT(rondo_tls_start(stream, it.asking, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_tls_start(stream, it.asking, ""), RONDO_EINVAL);
    CHECK_INT(rondo_tls_start(stream, it.asking, "."), RONDO_EINVAL);
    CHECK_INT(rondo_tls_start(stream, it.asking, ".test"), RONDO_EINVAL);
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    CHECK_INT(rondo_tls_start(stream, it.asking, long_name), RONDO_EINVAL);
    rondo_tls_context *bare = new_context(RONDO_TLS_SERVER);
    CHECK_INT(rondo_tls_start(stream, bare, NULL), RONDO_EINVAL);
    rondo_tls_context_free(bare);
    CHECK_INT(rondo_tls_start(stream, it.serving, NULL), 0);
    CHECK_INT(rondo_tls_start(stream, it.serving, NULL), RONDO_ENOTCONN);
    rondo_close(stream);
    CHECK_INT(rondo_tls_start(stream, it.serving, NULL), RONDO_ECLOSED);
    close(fd);
    CHECK_INT(pipe(ends), 0);
    stream = open_stream(it.loop, ends[0]);
    CHECK_INT(rondo_tls_start(stream, it.serving, NULL), RONDO_ENOTSUP);
    close(ends[1]);
    fd = new_pair(it.loop, &stream);
    rondo_end(stream);
    CHECK_INT(rondo_tls_start(stream, it.serving, NULL), RONDO_EPIPE);
    close(fd);
    couple_fini(&it);
}

TEST(a_stream_has_tls_only_once) {
    couple it;
    start_couple(&it);
    CHECK_INT(rondo_tls_start(it.client, it.asking, HOST), RONDO_EBUSY);
    couple_fini(&it);
}

/* "Go ahead" leaves before the handshake begins, if it can. */
TEST(what_was_queued_leaves_unprotected_first) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    make_site();
    rondo_tls_context *serving = new_server_context();
    int fd = new_pair(loop, &stream);
    write_text(stream, "220 go ahead\r\n");
    CHECK_INT(rondo_tls_start(stream, serving, NULL), 0);
    CHECK_STR(read_now(fd), "220 go ahead\r\n");
    close(fd);
    fd = new_pair(loop, &stream);
    char *bytes = new_bytes(1 << 20);
    rondo_write(stream, rondo_slice_of(bytes, 1 << 20));
    CHECK(queued(stream) > 0);
    CHECK_INT(rondo_tls_start(stream, serving, NULL), RONDO_EBUSY);
    free(bytes);
    close(fd);
    rondo_tls_context_free(serving);
    end_loop(loop);
    free_site();
}
