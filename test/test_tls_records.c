/* SPDX-License-Identifier: MIT
 *
 * Peers that write their own records (RFC 8446 section 5): messages in parts, at the wrong time, too
 * many of them. The handshake is OpenSSL's, and so is reading what they are answered.
 */
#include "tls_peers.h"

#include <openssl/hmac.h>

/* ---- a client that encrypts by itself ---- */

typedef struct raw {
    rondo_loop *loop;
    rondo_tls_context *serving;
    rondo_stream *server;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    unsigned char secret[32], key[16], iv[12];
    uint64_t sequence;
    bool gathers; /* records, to send them in one piece */
    size_t gathered_len;
    unsigned char gathered[8192];
} raw;

/* HKDF-Expand-Label of RFC 8446 section 7.1, for up to 32 bytes. */
static void expand(const raw *self, const char *label, unsigned char *out, size_t size) {
    unsigned char info[64], block[32];
    int len = snprintf((char *)info + 3, sizeof info - 3, "tls13 %s", label);
    info[0] = 0, info[1] = (unsigned char)size, info[2] = (unsigned char)len;
    info[3 + len] = 0;
    info[4 + len] = 1;
    CHECK(HMAC(EVP_sha256(), self->secret, 32, info, (size_t)len + 5, block, NULL) != NULL);
    memcpy(out, block, size);
}

static void derive_key(raw *self) {
    expand(self, "key", self->key, sizeof self->key);
    expand(self, "iv", self->iv, sizeof self->iv);
    self->sequence = 0;
}

static void send_record(raw *self, int type, const void *data, size_t len) {
    unsigned char record[5 + 512] = {23, 3, 3}, plain[256], nonce[12];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int count = 0;
    memcpy(plain, data, len);
    plain[len] = (unsigned char)type;
    record[4] = (unsigned char)(len + 17);
    memcpy(nonce, self->iv, sizeof nonce);
    for (int i = 0; i < 8; i++) nonce[11 - i] ^= (unsigned char)(self->sequence >> 8 * i);
    self->sequence++;
    CHECK(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, self->key, nonce) == 1 &&
          EVP_EncryptUpdate(cipher, NULL, &count, record, 5) == 1 &&
          EVP_EncryptUpdate(cipher, record + 5, &count, plain, (int)len + 1) == 1 &&
          EVP_EncryptFinal_ex(cipher, record + 5 + count, &count) == 1 &&
          EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, record + 6 + len) == 1);
    EVP_CIPHER_CTX_free(cipher);
    if (!self->gathers) {
        harness_send_all(self->fd, record, len + 22);
        return;
    }
    CHECK(sizeof self->gathered - self->gathered_len >= len + 22);
    memcpy(self->gathered + self->gathered_len, record, len + 22);
    self->gathered_len += len + 22;
}

enum { ALERT = 21, HANDSHAKE = 22, DATA = 23 };

static void send_data(raw *self, const char *text) { send_record(self, DATA, text, strlen(text)); }

/* A KeyUpdate that asks for no answer, in two records. */
static void send_first_part(raw *self) { send_record(self, HANDSHAKE, "\x18\0\0\1", 4); }
static void send_last_part(raw *self) {
    send_record(self, HANDSHAKE, "\0", 1);
    expand(self, "traffic upd", self->secret, sizeof self->secret);
    derive_key(self);
}

static void note_secret(const SSL *ssl, const char *line) {
    static const char what[] = "CLIENT_TRAFFIC_SECRET_0 ";
    raw *self = SSL_get_app_data(ssl);
    const char *hex = strrchr(line, ' ');
    if (strncmp(line, what, sizeof what - 1) != 0) return;
    for (int i = 0; i < 32; i++) {
        unsigned byte;
        CHECK_INT(sscanf(hex + 1 + 2 * (size_t)i, "%2x", &byte), 1);
        self->secret[i] = (unsigned char)byte;
    }
}

static void start_raw(raw *self) {
    int on = 1;
    make_site();
    *self = (raw){.loop = new_virtual_loop(), .serving = new_server_context()};
    self->fd = new_tcp_pair(self->loop, &self->server);
    CHECK_INT(setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_INT(setsockopt(self->server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_INT(rondo_stream_on_error(self->server, note_why, (void *)(uintptr_t) "server"), 0);
    CHECK_INT(rondo_tls_start(self->server, self->serving, NULL), 0);
    self->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_ciphersuites(self->ctx, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_keylog_callback(self->ctx, note_secret);
    self->ssl = SSL_new(self->ctx);
    SSL_set_app_data(self->ssl, self);
    SSL_set_fd(self->ssl, self->fd);
    CHECK_INT(fcntl(self->fd, F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; SSL_connect(self->ssl) != 1; i++) {
        CHECK(i < 20);
        run_turns(self->loop, 1);
    }
    run_turns(self->loop, 3);
    CHECK_TRACE("");
    derive_key(self);
}

static void end_raw(raw *self) {
    end_loop(self->loop);
    SSL_free(self->ssl);
    SSL_CTX_free(self->ctx);
    if (self->fd >= 0) close(self->fd);
    rondo_tls_context_free(self->serving);
    free_site();
}

/* What the client has been answered: "" for nothing, "." for close_notify. */
static const char *answer_to(raw *self) {
    static char text[256];
    int len = SSL_read(self->ssl, text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    bool bye = len <= 0 && SSL_get_error(self->ssl, len) == SSL_ERROR_ZERO_RETURN;
    ERR_clear_error();
    return bye ? "." : text;
}

/* ---- messages in parts ---- */

/* OpenSSL writes nothing between the parts. */
TEST(a_write_waits_for_the_rest_of_a_message) {
    raw it;
    start_raw(&it);
    rondo_stream_on_data(it.server, note_data, NULL);
    for (int i = 0; i < 3; i++) {
        send_data(&it, "hi");
        send_first_part(&it);
        run_turns(it.loop, 2);
        CHECK_TRACE("hi");
        CHECK_INT(write_text(it.server, "answer"), 1);
        check_idle(it.loop);
        CHECK_STR(answer_to(&it), "");
        CHECK_INT(queued(it.server), 6);
        send_last_part(&it);
        check_idle(it.loop);
        CHECK_STR(answer_to(&it), "answer");
        CHECK_INT(queued(it.server), 0);
    }
    send_data(&it, "on");
    run_turns(it.loop, 2);
    CHECK_TRACE("on");
    end_raw(&it);
}

TEST(it_goes_on_though_the_stream_is_paused) {
    raw it;
    start_raw(&it);
    rondo_stream_on_data(it.server, note_data, NULL);
    rondo_pause(it.server);
    send_first_part(&it);
    run_turns(it.loop, 2);
    CHECK_INT(write_text(it.server, "one"), 1);
    check_idle(it.loop);
    CHECK_STR(answer_to(&it), "");
    send_last_part(&it);
    send_data(&it, "later");
    check_idle(it.loop);
    CHECK_STR(answer_to(&it), "one");
    CHECK_TRACE("");
    CHECK_INT(write_text(it.server, "two"), 1);
    check_idle(it.loop);
    CHECK_STR(answer_to(&it), "two");
    CHECK_TRACE("");
    rondo_resume(it.server);
    run_turns(it.loop, 2);
    CHECK_TRACE("later");
    end_raw(&it);
}

TEST(the_end_waits_for_it_too) {
    for (int paused = 0; paused < 2; paused++) {
        raw it;
        start_raw(&it);
        rondo_stream_on_data(it.server, note_data, NULL);
        rondo_stream_on_finish(it.server, note_finish, NULL);
        if (paused) rondo_pause(it.server);
        send_first_part(&it);
        run_turns(it.loop, 2);
        CHECK_INT(rondo_end(it.server), 0);
        check_idle(it.loop);
        CHECK_STR(answer_to(&it), "");
        CHECK_TRACE("");
        send_last_part(&it);
        check_idle(it.loop);
        CHECK_STR(answer_to(&it), ".");
        CHECK_TRACE("finish");
        end_raw(&it);
    }
}

TEST(what_could_not_be_tried_drains_later) {
    raw it;
    start_raw(&it);
    rondo_stream_on_data(it.server, note_data, NULL);
    rondo_stream_on_drain(it.server, note_drain, NULL);
    send_first_part(&it);
    run_turns(it.loop, 2);
    CHECK_INT(rondo_try_write(it.server, rondo_slice_text("x")), RONDO_EAGAIN);
    check_idle(it.loop);
    CHECK_TRACE("");
    send_last_part(&it);
    check_idle(it.loop);
    CHECK_TRACE("drain");
    CHECK_INT(rondo_try_write(it.server, rondo_slice_text("x")), 1);
    CHECK_STR(answer_to(&it), "x");
    end_raw(&it);
}

TEST(the_write_timeout_runs_meanwhile) {
    raw it;
    start_raw(&it);
    rondo_stream_on_data(it.server, note_data, NULL);
    CHECK_INT(rondo_stream_set_write_timeout(it.server, 500), 0);
    send_first_part(&it);
    run_turns(it.loop, 2);
    CHECK_INT(write_text(it.server, "answer"), 1);
    check_idle(it.loop);
    CHECK_TRACE("server:ETIMEDOUT()");
    end_raw(&it);
}

TEST(a_peer_that_ends_in_the_middle_of_a_message_has_failed) {
    for (int paused = 0; paused < 2; paused++) {
        for (int abrupt = 0; abrupt < 2; abrupt++) {
            raw it;
            start_raw(&it);
            rondo_stream_on_end(it.server, note_end, NULL);
            rondo_stream_on_data(it.server, note_data, NULL);
            if (paused) rondo_pause(it.server);
            send_first_part(&it);
            run_turns(it.loop, 2);
            CHECK_INT(write_text(it.server, "answer"), 1);
            run_turns(it.loop, 2);
            if (abrupt)
                shutdown(it.fd, SHUT_WR);
            else
                send_record(&it, ALERT, "\1", 2);
            run_turns(it.loop, 3);
            if (abrupt)
                CHECK_TRACE("server:ECONNRESET(the connection ended without close_notify)");
            else
                CHECK_TRACE("server:ETLS(close_notify in the middle of a message)");
            end_raw(&it);
        }
    }
}

/* ---- an end while nobody reads ---- */

/* close_notify and no FIN: the peer waits for ours. */
TEST(an_end_that_comes_in_a_pause_is_told_after_it) {
    for (int bytes = 0; bytes < 2; bytes++) {
        raw it;
        start_raw(&it);
        rondo_stream_on_data(it.server, note_data, NULL);
        rondo_stream_on_end(it.server, note_end, NULL);
        rondo_pause(it.server);
        if (bytes) send_data(&it, "bytes");
        send_record(&it, ALERT, "\1", 2);
        check_idle(it.loop);
        CHECK_TRACE("");
        rondo_resume(it.server);
        run_turns(it.loop, 2);
        CHECK_TRACE(bytes ? "bytes end" : "end");
        CHECK_STR(answer_to(&it), ".");
        end_raw(&it);
    }
}

TEST(an_end_that_comes_while_a_pipe_is_full_goes_through_it) {
    raw it;
    rondo_stream *dst;
    char drain[65536] = "";
    start_raw(&it);
    int far = new_pair(it.loop, &dst);
    rondo_stream_set_high_water(dst, 1, 1000);
    CHECK_INT(fcntl(far, F_SETFL, O_NONBLOCK), 0);
    while (rondo_try_write(dst, rondo_slice_of(drain, sizeof drain)) > 0) {}
    CHECK_INT(rondo_pipe(it.server, dst), 0);
    send_data(&it, "bytes");
    run_turns(it.loop, 3);
    CHECK_INT(queued(dst), 5);
    send_record(&it, ALERT, "\1", 2);
    check_idle(it.loop);
    ssize_t count = 1;
    for (int i = 0; i < 1000 && count != 0; i++) {
        run_turns(it.loop, 1);
        count = recv(far, drain, sizeof drain, MSG_DONTWAIT);
    }
    CHECK_INT(count, 0);
    close(far);
    end_raw(&it);
}

/* ---- too many ---- */

static void send_updates(raw *self, int count) {
    for (int i = 0; i < count; i++) {
        send_first_part(self);
        send_last_part(self);
    }
}

TEST(key_updates_without_data_are_limited) {
    for (int paused = 0; paused < 2; paused++) {
        raw it;
        start_raw(&it);
        rondo_stream_on_data(it.server, note_data, NULL);
        for (int i = 0; i < 3; i++) {
            send_updates(&it, 32);
            send_data(&it, "on");
            run_turns(it.loop, 3);
            CHECK_TRACE("on");
        }
        if (paused) rondo_pause(it.server);
        send_updates(&it, 20);
        run_turns(it.loop, 3);
        CHECK_TRACE("");
        send_updates(&it, 13);
        run_turns(it.loop, 3);
        CHECK_TRACE("server:ETLS(too many key updates or tickets, and no data)");
        end_raw(&it);
    }
}

/* They all are there at once: what came before is told, and they are not all looked at. */
TEST(a_byte_among_many_key_updates_does_not_help) {
    raw it;
    start_raw(&it);
    rondo_stream_on_data(it.server, note_data, NULL);
    it.gathers = true;
    for (int i = 0; i < 3; i++) {
        send_updates(&it, 20);
        send_data(&it, "x");
    }
    harness_send_all(it.fd, it.gathered, it.gathered_len);
    for (int i = 0; i < 10000 && !strstr(trace, "server:"); i++) {
        run_turns(it.loop, 1);
        if (i >= 100) harness_sleep_ms(1); /* a kernel that is busy is slow */
    }
    /* How many are looked at in one read is OpenSSL's: at least one is told, and never the last. */
    CHECK(strncmp(trace, "x ", 2) == 0 && strstr(trace, "x x x") == NULL);
    CHECK(strstr(trace, "x server:ETLS(too many key updates or tickets, and no data)") != NULL);
    trace_size = 0;
    trace[0] = '\0';
    end_raw(&it);
}
