/* SPDX-License-Identifier: MIT
 *
 * Peers that take their time, and those of whom it is not known whether they got it all. The bytes
 * go through Unix sockets with small buffers: what the kernel takes is the same each time.
 */
#include "tls_peers.h"

#include "faults.h"

enum { STEP_MS = 60, LIMIT_MS = 100, SIZE = 60000 };

/* ---- bytes that leave from what TLS has kept ---- */

typedef struct slow_reader {
    int fd, reads, most; /* so many times, then never again */
    size_t size;
} slow_reader;

TRACE_CALLBACK read_what_is_there(rondo_timer *timer, void *arg) {
    slow_reader *self = arg;
    char bytes[65536];
    ssize_t count;
    while ((count = recv(self->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        self->size += (size_t)count;
    note("read");
    if (++self->reads < self->most) rondo_timer_again(timer);
}

static void check_timeout(int (*set)(rondo_stream *stream, uint64_t ms)) {
    visit it;
    tls_peer client;
    char *bytes = new_bytes(SIZE);
    start_exact_visit(&it);
    shake(&it, &client, TLS1_3_VERSION);
    rondo_stream_on_data(it.server, ignore_data, NULL);
    CHECK_INT(set(it.server, LIMIT_MS), 0);
    CHECK_INT(rondo_write(it.server, rondo_slice_of(bytes, SIZE)), 1);
    slow_reader slow = {.fd = it.fd, .most = 4};
    start_timer(it.loop, STEP_MS, read_what_is_there, &slow);
    CHECK_INT(queued(it.server), 0); /* nothing but TLS has it */
    CHECK(rondo__tls_kept(rondo__tls_of(it.server)) > SIZE / 2);
    check_idle(it.loop);
    /* It read each 60 ms, and was cut off 100 ms after the bytes that left for its last time. */
    CHECK_TRACE("read read read read server:ETIMEDOUT()");
    CHECK(slow.size > 4000 && slow.size < SIZE);
    peer_fini(&client);
    end_visit(&it);
    free(bytes);
}
TEST(the_write_timeout_counts_bytes_that_tls_has_kept) {
    check_timeout(rondo_stream_set_write_timeout);
}
TEST(the_idle_timeout_counts_bytes_that_tls_has_kept) { check_timeout(rondo_stream_set_timeout); }

/* ---- a handshake that cannot begin ---- */

TRACE_CALLBACK note_late(rondo_timer *timer, void *arg) { note("%s", (const char *)arg); }

/* The kernel has no room for our part of it, and the peer says nothing: the socket is never ready. */
TEST(a_handshake_that_cannot_begin_has_its_time_too) {
    for (int role = RONDO_TLS_SERVER; role <= RONDO_TLS_CLIENT; role++) {
        visit it;
        char block[4096] = {0};
        begin_visit(&it);
        it.fd = new_pair(it.loop, &it.server);
        while (send(it.server->fd, block, sizeof block, MSG_DONTWAIT) > 0) {}
        while (send(it.server->fd, block, 1, MSG_DONTWAIT) > 0) {}
        rondo_stream_on_error(it.server, note_why, (void *)(uintptr_t) "stream");
        rondo_tls_context *asking = new_client_context();
        CHECK_INT(rondo_tls_start(it.server, role == RONDO_TLS_SERVER ? it.serving : asking, HOST),
                  0);
        start_timer(it.loop, 9990, note_late, "9990");
        start_timer(it.loop, 10010, note_late, "10010");
        rondo_loop_run(it.loop, RONDO_RUN_ALL);
        CHECK_TRACE("9990 stream:ETIMEDOUT(the handshake took longer than 10000 ms) 10010");
        rondo_tls_context_free(asking);
        end_visit(&it);
    }
}

/* ---- an end that nobody knows ---- */

/* The peer says goodbye; then its socket is gone when we say ours. It need not hear that. But what we
 * wrote in between may be lost: that is no `finish`. */
TEST(finish_does_not_claim_what_was_written_after_goodbye) {
    for (int more = 0; more <= 1; more++) {
        visit it;
        tls_peer client;
        start_exact_visit(&it);
        shake(&it, &client, TLS1_3_VERSION);
        rondo_stream_set_half_open(it.server, true);
        rondo_stream_on_end(it.server, note_end, NULL);
        rondo_stream_on_finish(it.server, note_finish, NULL);
        rondo_stream_on_data(it.server, ignore_data, NULL);
        write_text(it.server, "before");
        run_turns(it.loop, 1);
        SSL_shutdown(client.ssl);
        carry(&client, &it, 65536, 100);
        CHECK_TRACE("end");
        if (more) write_text(it.server, "after");
        run_turns(it.loop, 1);
        faults_on_fd(it.server->fd);
        faults_fail(CALL_shutdown, 1, ENOTCONN); /* a reset has come */
        rondo_end(it.server);
        run_turns(it.loop, 2);
        CHECK(faults_struck() > 0);
        CHECK_TRACE(more ? "server:ECONNRESET()" : "finish");
        peer_fini(&client);
        end_visit(&it);
    }
}
