/* SPDX-License-Identifier: MIT
 *
 * Peers that do not mean well, or do not mean TLS: garbage, other protocols, old versions, dribbles,
 * silence, floods of handshakes and of key updates. And sessions that are resumed.
 *
 * test/run: not under valgrind; most of its time is OpenSSL's arithmetic.
 */
#include "tls_peers.h"

#include "faults.h"

/* ---- what is no TLS ---- */

TEST(plain_http_is_told_apart) {
    static const char *const methods[] = {"GET",     "PUT",   "POST",  "CONNECT", "DELETE",
                                          "OPTIONS", "PATCH", "QUERY", "A"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        visit it;
        start_visit(&it);
        harness_send_str(it.fd, methods[i]);
        harness_send_str(it.fd, " / HTTP/1.1\r\nHost: x\r\n\r\n");
        run_turns(it.loop, 3);
        CHECK_TRACE("server:ETLS(the peer speaks HTTP without TLS)");
        end_visit(&it);
    }
}

TEST(other_letters_are_no_http) {
    static const char *const others[] = {"SSH-2.0-x\r\n", "ehlo x\r\n", " GET /\r\n",
                                         "GeT / HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        visit it;
        start_visit(&it);
        harness_send_str(it.fd, others[i]);
        run_turns(it.loop, 3);
        CHECK_TRACE("server:ETLS(wrong version number)");
        end_visit(&it);
    }
}

TEST(garbage_is_refused) {
    static const char *bytes[] = {
        "\x16\x03\x01\xff\xff",         "\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        "\x80\x2e\x01\x00\x02\x00\x15", "SSH-2.0-x\r\n",
        "\x17\x03\x03\x00\x01x",        "\x15\x03\x03\x00\x02\x02\x28"};
    static const size_t sizes[] = {5, 9, 7, 11, 6, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        visit it;
        start_visit(&it);
        harness_send_all(it.fd, bytes[i], sizes[i]);
        shutdown(it.fd, SHUT_WR);
        run_turns(it.loop, 4);
        CHECK(strncmp(trace, "server:E", 8) == 0);
        trace_size = 0, trace[0] = '\0';
        end_visit(&it);
    }
}

TEST(random_bytes_never_get_through) {
    unsigned seed = 1;
    for (int round = 0; round < 60; round++) {
        visit it;
        char bytes[600];
        start_visit(&it);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        if (round % 2) memcpy(bytes, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
        harness_send_all(it.fd, bytes, sizeof bytes);
        shutdown(it.fd, SHUT_WR);
        run_turns(it.loop, 4);
        CHECK(strncmp(trace, "server:E", 8) == 0);
        trace_size = 0, trace[0] = '\0';
        end_visit(&it);
    }
}

TEST(a_peer_that_vanishes_in_the_handshake_is_an_error) {
    visit it;
    start_visit(&it);
    close(it.fd);
    it.fd = -1;
    run_turns(it.loop, 3);
    CHECK_TRACE("server:ECONNRESET(the connection ended in the handshake)");
    end_visit(&it);
    start_visit(&it);
    harness_send_all(it.fd, "\x16\x03\x01\x02", 4);
    run_turns(it.loop, 2);
    reset_peer(it.fd);
    it.fd = -1;
    run_turns(it.loop, 3);
    CHECK_TRACE("server:ECONNRESET(connection reset by the peer)");
    end_visit(&it);
}

/* ---- time ---- */

TRACE_CALLBACK note_late(rondo_timer *timer, void *arg) { note("%s", (const char *)arg); }

TEST(a_handshake_may_not_take_for_ever) {
    visit it;
    start_visit(&it);
    start_timer(it.loop, 9990, note_late, "9990");
    start_timer(it.loop, 10010, note_late, "10010");
    rondo_loop_run(it.loop, RONDO_RUN_ALL);
    CHECK_TRACE("9990 server:ETIMEDOUT(the handshake took longer than 10000 ms) 10010");
    end_visit(&it);
}

TEST(its_time_can_be_set_and_is_not_the_connections) {
    couple it;
    couple_init(&it);
    CHECK_INT(rondo_tls_set_handshake_timeout(it.serving, 50), 0);
    CHECK_INT(rondo_tls_set_handshake_timeout(it.asking, 0), 0);
    couple_shake(&it);
    check_idle(it.loop); /* a second passes */
    rondo_stream_on_data(it.server, note_data, NULL);
    write_text(it.client, "alive");
    run_turns(it.loop, 3);
    CHECK_TRACE("alive");
    rondo_stream *server;
    int fd = new_tcp_pair(it.loop, &server);
    rondo_stream_on_error(server, note_why, (void *)(uintptr_t) "late");
    CHECK_INT(rondo_tls_start(server, it.serving, NULL), 0);
    check_idle(it.loop);
    CHECK_TRACE("late:ETIMEDOUT(the handshake took longer than 50 ms)");
    close(fd);
    couple_fini(&it);
}

/* ---- a peer that is OpenSSL itself ---- */

TEST(a_handshake_may_come_byte_by_byte) {
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        visit it;
        tls_peer client;
        start_visit(&it);
        peer_init(&client, version);
        SSL_do_handshake(client.ssl);
        carry(&client, &it, 1, 5000);
        CHECK(SSL_is_init_finished(client.ssl));
        CHECK_TRACE("server");
        rondo_stream_on_data(it.server, note_data, NULL);
        SSL_write(client.ssl, "dribble", 7);
        carry(&client, &it, 1, 1000);
        CHECK_TRACE("dribble");
        SSL_shutdown(client.ssl);
        carry(&client, &it, 1, 1000);
        CHECK(SSL_get_shutdown(client.ssl) & SSL_SENT_SHUTDOWN);
        peer_fini(&client);
        end_visit(&it);
    }
}

TEST(tls_1_1_is_refused) {
    visit it;
    tls_peer client;
    start_visit(&it);
    peer_init(&client, TLS1_1_VERSION);
    SSL_do_handshake(client.ssl);
    carry(&client, &it, 65536, 100);
    CHECK_TRACE("server:ETLS(unsupported protocol)");
    CHECK(!SSL_is_init_finished(client.ssl));
    peer_fini(&client);
    end_visit(&it);
}

TEST(there_is_no_renegotiation) {
    visit it;
    tls_peer client;
    shake_with_peer(&it, &client, TLS1_2_VERSION);
    rondo_stream_on_data(it.server, note_data, NULL);
    CHECK_INT(SSL_renegotiate(client.ssl), 1);
    SSL_do_handshake(client.ssl);
    carry(&client, &it, 65536, 100);
    CHECK(!SSL_is_init_finished(client.ssl));
    ERR_clear_error();
    CHECK_TRACE("server:ETLS(the peer refused: handshake failure)"); /* it gives up */
    peer_fini(&client);
    end_visit(&it);
}

TEST(keys_can_be_changed_under_way) {
    visit it;
    tls_peer client;
    char bytes[64] = "";
    shake_with_peer(&it, &client, TLS1_3_VERSION);
    rondo_stream_on_data(it.server, note_data, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        SSL_write(client.ssl, "new", 3);
        carry(&client, &it, 65536, 100);
        write_text(it.server, "answer");
        carry(&client, &it, 65536, 100);
        CHECK_INT(SSL_read(client.ssl, bytes, sizeof bytes), 6);
        CHECK_STR(bytes, "answer");
    }
    CHECK_TRACE("new new new");
    peer_fini(&client);
    end_visit(&it);
}

/* The kernel is full for the first answer: the second one must not overtake it. */
TEST(answers_to_key_updates_keep_their_order) {
    visit it;
    tls_peer client;
    char bytes[64] = "";
    shake_with_peer(&it, &client, TLS1_3_VERSION);
    rondo_stream_on_data(it.server, note_data, NULL);
    faults_on_fd(it.server->fd);
    faults_fail(CALLS_WRITE, 1, EAGAIN);
    for (int i = 0; i < 2; i++) {
        SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_write(client.ssl, "new", 3);
        carry(&client, &it, 65536, 100);
    }
    CHECK_INT(faults_struck(), 1);
    write_text(it.server, "answer");
    carry(&client, &it, 65536, 100);
    CHECK_INT(SSL_read(client.ssl, bytes, sizeof bytes), 6);
    CHECK_STR(bytes, "answer");
    CHECK_TRACE("new new");
    peer_fini(&client);
    end_visit(&it);
}

static void ask_for_keys(tls_peer *client, int count) {
    while (count-- > 0) {
        CHECK_INT(SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        SSL_do_handshake(client->ssl);
    }
}

/* All that it has to say, in one piece, read in one turn and told in the next; returns how much it was. */
static int say_at_once(tls_peer *client, visit *it) {
    char bytes[8192];
    int len = BIO_read(client->out, bytes, sizeof bytes);
    CHECK(len > 0 && len < (int)sizeof bytes);
    harness_send_all(it->fd, bytes, (size_t)len);
    run_turns(it->loop, 2);
    return len;
}

/* Each question costs arithmetic, so there is an end to those that come without data: in several
 * reads, or in one, in which a byte of data now and then does not help. */
TEST(a_flood_of_key_updates_ends) {
    for (int with_data = 0; with_data <= 1; with_data++) {
        visit it;
        tls_peer client;
        start_exact_visit(&it);
        shake(&it, &client, TLS1_3_VERSION);
        rondo_stream_on_data(it.server, ignore_data, NULL);
        ask_for_keys(&client, 30);
        if (with_data) SSL_write(client.ssl, "x", 1);
        if (!with_data) say_at_once(&client, &it);
        CHECK_TRACE("");
        ask_for_keys(&client, 2);
        if (!with_data) say_at_once(&client, &it);
        CHECK_TRACE("");
        ask_for_keys(&client, 1);
        if (with_data) SSL_write(client.ssl, "x", 1);
        say_at_once(&client, &it);
        CHECK_TRACE("server:ETLS(too many key updates or tickets, and no data)");
        peer_fini(&client);
        end_visit(&it);
    }
}

/* With data in each read there is none. But each question makes us answer, too: who never reads the
 * answers must not fill our memory, nor keep the loop busy. */
TEST(who_asks_for_keys_and_never_reads_is_cut_off) {
    visit it;
    tls_peer client;
    size_t asked = 0;
    start_exact_visit(&it);
    shake(&it, &client, TLS1_3_VERSION);
    rondo_stream_on_data(it.server, ignore_data, NULL);
    while (trace_size == 0) {
        ask_for_keys(&client, 30);
        SSL_write(client.ssl, "x", 1);
        asked += (size_t)say_at_once(&client, &it);
        CHECK(asked < 256 * 1024);
        if (trace_size > 0) break;
        CHECK(rondo__tls_kept(rondo__tls_of(it.server)) < 96 * 1024);
        check_idle(it.loop);
    }
    CHECK_TRACE("server:ENOBUFS(the peer makes us answer, and reads nothing)");
    CHECK(asked > 64 * 1024);
    peer_fini(&client);
    end_visit(&it);
}

TRACE_CALLBACK pause_and_note(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note("%.*s", (int)chunk.len, chunk.data);
    rondo_pause(stream);
}

/* Good bytes and a broken record come in one piece: the error is told behind the bytes, as what it is,
 * though the socket has nothing more to say, and also after a pause. */
static void send_good_and_broken(rondo_stream_data_cb on_data) {
    visit it;
    tls_peer client;
    char bytes[8192];
    shake_with_peer(&it, &client, TLS1_3_VERSION);
    rondo_stream_on_data(it.server, on_data, NULL);
    SSL_write(client.ssl, "good", 4);
    SSL_write(client.ssl, "evil", 4);
    int len = BIO_read(client.out, bytes, sizeof bytes);
    bytes[len - 1] ^= 1;
    harness_send_all(it.fd, bytes, (size_t)len);
    run_turns(it.loop, 3);
    if (on_data == pause_and_note) {
        CHECK_TRACE("good");
        check_idle(it.loop);
        rondo_resume(it.server);
        run_turns(it.loop, 3);
        CHECK_TRACE("server:ETLS(decryption failed or bad record mac)");
    } else {
        CHECK_TRACE("good server:ETLS(decryption failed or bad record mac)");
    }
    peer_fini(&client);
    end_visit(&it);
}
TEST(a_broken_record_is_told_behind_the_good_ones) {
    send_good_and_broken(note_data);
    send_good_and_broken(pause_and_note);
}

/* It has said what it wanted, and does not wait for the tickets. */
TEST(a_client_in_a_hurry_is_heard) {
    visit it;
    tls_peer client;
    char bytes[8192];
    start_visit(&it);
    peer_init(&client, TLS1_3_VERSION);
    rondo_stream_on_data(it.server, note_data, NULL);
    SSL_do_handshake(client.ssl);
    int len = BIO_read(client.out, bytes, sizeof bytes);
    harness_send_all(it.fd, bytes, (size_t)len);
    run_turns(it.loop, 2);
    ssize_t count = recv(it.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    BIO_write(client.in, bytes, (int)count);
    CHECK_INT(SSL_do_handshake(client.ssl), 1);
    SSL_write(client.ssl, "quick", 5);
    SSL_shutdown(client.ssl);
    len = BIO_read(client.out, bytes, sizeof bytes);
    harness_send_all(it.fd, bytes, (size_t)len);
    faults_on_fd(it.server->fd);
    faults_fail(CALLS_WRITE, 1, EPIPE);
    run_turns(it.loop, 3);
    CHECK_INT(faults_struck(), 1);
    CHECK(strncmp(trace, "server quick", 12) == 0);
    trace_size = 0;
    peer_fini(&client);
    end_visit(&it);
}

/* ---- floods of handshakes ---- */

#define FLOOD 200
static int shaken, order[FLOOD];
TRACE_CALLBACK count_shaken(rondo_stream *stream, void *arg) {
    order[shaken++] = (int)(intptr_t)arg;
}
TRACE_CALLBACK echo(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_write(stream, chunk);
}
TRACE_CALLBACK ping_again(rondo_stream *stream, rondo_slice chunk, void *arg) {
    ++*(int *)arg;
    rondo_write(stream, chunk);
}

/* All ClientHellos are there at once. In each turn only so many are answered, in the order in which
 * they came, while two who are in already go on with theirs. */
TEST(a_flood_of_handshakes_does_not_keep_the_others_waiting) {
    couple it;
    tls_peer clients[FLOOD];
    visit visits[FLOOD];
    char bytes[4096];
    int echoes = 0;
    start_couple(&it);
    rondo_stream_on_data(it.server, echo, NULL);
    rondo_stream_on_data(it.client, ping_again, &echoes);
    write_text(it.client, "ping");
    for (int i = 0; i < FLOOD; i++) {
        visits[i] = (visit){.loop = it.loop};
        visits[i].fd = new_tcp_pair(it.loop, &visits[i].server);
        CHECK_INT(rondo_tls_start(visits[i].server, it.serving, NULL), 0);
        rondo_stream_on_connect(visits[i].server, count_shaken, (void *)(intptr_t)i);
        peer_init(&clients[i], TLS1_3_VERSION);
        SSL_do_handshake(clients[i].ssl);
        int len = BIO_read(clients[i].out, bytes, sizeof bytes);
        harness_send_all(visits[i].fd, bytes, (size_t)len);
    }
    CHECK_INT(rondo_loop_budget(it.loop, RONDO_BUDGET_handshakes), 16);
    int answered = 0, turns = 0;
    uint64_t first_round = rondo__io_round(it.loop), rounds = 0;
    for (; answered < FLOOD; turns++) {
        int before = answered;
        uint64_t rounds_before = rounds;
        CHECK(turns < 100);
        run_turns(it.loop, 1);
        for (int i = 0; i < FLOOD; i++) {
            ssize_t count = recv(visits[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (count <= 0) continue;
            CHECK(i == answered || i == before); /* first in, first out */
            BIO_write(clients[i].in, bytes, (int)count);
            answered++;
        }
        CHECK(answered - before <= 16);
        /* More are ready at first than one turn runs, and that does not make it more that are answered. */
        rounds = rondo__io_round(it.loop) - first_round;
        CHECK((uint64_t)answered <= 16 * rounds);
        CHECK(turns < 2 || answered > before || rounds == rounds_before);
    }
    CHECK(turns >= FLOOD / 16 && (uint64_t)turns > rounds);
    CHECK(echoes >= turns / 2 - 2);
    for (int i = 0; i < FLOOD; i++) {
        SSL_do_handshake(clients[i].ssl);
        int len = BIO_read(clients[i].out, bytes, sizeof bytes);
        harness_send_all(visits[i].fd, bytes, (size_t)len);
    }
    for (int i = 0; i < 30; i++) {
        int before = shaken;
        run_turns(it.loop, 1);
        CHECK(shaken - before <= 16);
    }
    CHECK_INT(shaken, FLOOD);
    for (int i = 0; i < FLOOD; i++) {
        CHECK_INT(order[i], i);
        peer_fini(&clients[i]);
        close(visits[i].fd);
    }
    couple_fini(&it);
}

TEST(those_who_wait_for_their_turn_may_be_closed_or_fail) {
    couple it;
    rondo_stream *streams[8];
    int fds[8];
    couple_init(&it);
    CHECK_INT(rondo_loop_set_budget(it.loop, RONDO_BUDGET_handshakes, 1), 0);
    for (int i = 0; i < 8; i++) {
        fds[i] = new_tcp_pair(it.loop, &streams[i]);
        rondo_stream_on_error(streams[i], note_error, NULL);
        CHECK_INT(rondo_tls_start(streams[i], it.serving, NULL), 0);
    }
    run_turns(it.loop, 1);
    for (int i = 1; i < 8; i++) CHECK_INT(rondo__io_watched(&streams[i]->io), 0);
    rondo_close(streams[3]);
    rondo_destroy(streams[1], RONDO_EIO); /* the next one */
    rondo_destroy(streams[4], RONDO_EIO);
    run_turns(it.loop, 12);
    CHECK_TRACE("EIO EIO");
    check_idle(it.loop); /* nobody spins */
    for (int i = 0; i < 8; i++) close(fds[i]);
    run_turns(it.loop, 12);
    CHECK_TRACE("ECONNRESET ECONNRESET ECONNRESET ECONNRESET ECONNRESET");
    couple_fini(&it);
}

/* ---- sessions ---- */

static bool resumes(couple *it) {
    rondo_tls_info info, other;
    couple_connect(it);
    run_turns(it->loop, 10);
    CHECK_INT(rondo_tls_get_info(it->client, &info), 0);
    CHECK_INT(rondo_tls_get_info(it->server, &other), 0);
    CHECK_INT(info.resumed, other.resumed);
    CHECK(info.verified);
    rondo_close(it->client);
    rondo_close(it->server);
    run_turns(it->loop, 2);
    trace_size = 0, trace[0] = '\0';
    return info.resumed;
}

TEST(sessions_are_resumed) {
    for (int version = RONDO_TLS_1_2; version <= RONDO_TLS_1_3; version++) {
        couple it;
        couple_init(&it);
        CHECK_INT(rondo_tls_set_versions(it.asking, (rondo_tls_version)version,
                                         (rondo_tls_version)version),
                  0);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        CHECK(resumes(&it));
        it.name = "a.wild.test"; /* only by the same name */
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        it.name = HOST;
        CHECK(resumes(&it));
        /* A change is a new beginning: what was checked before may be wrong now. */
        CHECK_INT(rondo_tls_reload(it.asking), 0);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        CHECK_INT(rondo_tls_reload(it.serving), 0);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        CHECK_INT(rondo_tls_set_resumption(it.serving, false), 0);
        CHECK(!resumes(&it));
        CHECK(!resumes(&it));
        CHECK_INT(rondo_tls_set_resumption(it.serving, true), 0);
        CHECK_INT(rondo_tls_set_resumption(it.asking, false), 0);
        CHECK(!resumes(&it));
        CHECK(!resumes(&it));
        couple_fini(&it);
    }
}

TEST(a_ticket_key_outlives_a_reload_and_can_be_shared) {
    couple it;
    char key[RONDO_TLS_TICKET_KEY_BYTES];
    memset(key, 7, sizeof key);
    couple_init(&it);
    CHECK_INT(rondo_tls_set_ticket_key(it.serving, rondo_slice_of(key, sizeof key)), 0);
    CHECK(!resumes(&it));
    CHECK_INT(rondo_tls_reload(it.serving), 0);
    CHECK(resumes(&it));
    rondo_tls_context_free(it.serving); /* another server */
    it.serving = new_server_context();
    CHECK_INT(rondo_tls_set_ticket_key(it.serving, rondo_slice_of(key, sizeof key)), 0);
    CHECK(resumes(&it));
    couple_fini(&it);
}

/* A ticket says that the client was asked for this much, and it is not asked again. */
TEST(a_ticket_key_does_not_outlive_what_was_checked) {
    for (int version = RONDO_TLS_1_2; version <= RONDO_TLS_1_3; version++) {
        couple it;
        credential other;
        char key[RONDO_TLS_TICKET_KEY_BYTES] = "a key";
        couple_init(&it);
        make_credential(&other, (wish){.subject = "Other Root", .authority = true});
        add_credential(it.asking, &site);
        CHECK_INT(rondo_tls_set_versions(it.asking, (rondo_tls_version)version,
                                         (rondo_tls_version)version),
                  0);
        CHECK_INT(rondo_tls_set_ticket_key(it.serving, rondo_slice_of(key, sizeof key)), 0);
        CHECK(!resumes(&it));
        CHECK_INT(rondo_tls_set_alpn(it.serving, NULL), 0); /* says nothing about anybody */
        CHECK(resumes(&it));
        CHECK_INT(rondo_tls_add_trust(it.serving, rondo_slice_text(root.pem)), 0);
        CHECK(resumes(&it)); /* nobody was asked */
        CHECK_INT(rondo_tls_set_verify(it.serving, RONDO_TLS_VERIFY_OPTIONAL), 0);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        CHECK_INT(rondo_tls_set_verify(it.serving, RONDO_TLS_VERIFY_REQUIRED), 0);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        CHECK_INT(rondo_tls_add_trust(it.serving, rondo_slice_text(other.pem)), 0);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        add_credential(it.serving, &other);
        CHECK(!resumes(&it));
        CHECK(resumes(&it));
        CHECK_INT(rondo_tls_set_verify(it.asking, RONDO_TLS_VERIFY_REQUIRED), 0);
        CHECK(!resumes(&it)); /* a client's change, too */
        free_credential(&other);
        couple_fini(&it);
    }
}

TEST(not_more_than_256_sessions_are_kept) {
    couple it;
    char name[64];
    couple_init(&it);
    int most = harness_is_slow() ? 4 : 258;
    for (int i = 0; i < most; i++) {
        snprintf(name, sizeof name, "n%d.wild.test", i);
        it.name = name;
        CHECK(!resumes(&it));
    }
    CHECK(resumes(&it));
    it.name = "n0.wild.test";
    CHECK(resumes(&it) == harness_is_slow());
    couple_fini(&it);
}
