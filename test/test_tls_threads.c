/* SPDX-License-Identifier: MIT
 *
 * Contexts that the loops of several threads share, while another thread changes them. What it proves
 * is that each connection gets a whole state, old or new; TSan sees the rest.
 */
#include "tls_peers.h"

#include <stdatomic.h>

enum { THREADS = 2 };

static atomic_int at_work;

typedef struct worker {
    rondo_tls_context *serving, *asking;
    int rounds, shaken, talked;
    pthread_t thread;
} worker;

TRACE_CALLBACK count_it(rondo_stream *stream, void *arg) { ++*(int *)arg; }
TRACE_CALLBACK fail_it(rondo_stream *stream, int error, void *arg) {
    FAIL("%s: %s", rondo_error_name(error), rondo_tls_error_text(stream));
}
TRACE_CALLBACK say_hello(rondo_stream *stream, void *arg) { write_text(stream, "hello"); }
TRACE_CALLBACK end_with_it(rondo_stream *stream, rondo_slice chunk, void *arg) {
    ++*(int *)arg;
    rondo_end(stream);
}

/* One connection after another, both ends of it on this thread. */
static void *connect_often(void *arg) {
    worker *self = arg;
    rondo_loop *loop = rondo_loop_new();
    CHECK(loop != NULL);
    for (int i = 0; i < self->rounds; i++) {
        rondo_stream *server, *client;
        int fd = new_pair(loop, &server);
        client = open_stream(loop, fd);
        rondo_stream_on_connect(server, count_it, &self->shaken);
        rondo_stream_on_connect(client, say_hello, NULL);
        rondo_stream_on_data(server, end_with_it, &self->talked);
        rondo_stream_on_data(client, ignore_data, NULL);
        rondo_stream_on_error(server, fail_it, NULL);
        rondo_stream_on_error(client, fail_it, NULL);
        CHECK_INT(rondo_tls_start(server, self->serving, NULL), 0);
        CHECK_INT(rondo_tls_start(client, self->asking, HOST), 0);
        run_all(loop);
    }
    rondo_loop_free(loop);
    atomic_fetch_sub(&at_work, 1);
    return NULL;
}

/* All that may be asked of a context while others use it; every second time it fails. */
static void change(rondo_tls_context *context, int round) {
    bool good = round % 2 == 0;
    int status = rondo_tls_set_alpn(context, good ? "h2,http/1.1" : ",");
    CHECK_INT(status, good ? 0 : RONDO_EINVAL);
    CHECK_STR(rondo_tls_context_error(context), good ? "" : "invalid argument");
    CHECK_INT(rondo_tls_set_resumption(context, round % 4 < 2), 0);
    CHECK_INT(rondo_tls_reload(context), 0);
    CHECK_STR(rondo_tls_context_error(context), "");
}

static void share(bool changed) {
    worker workers[THREADS];
    make_site();
    rondo_tls_context *serving = new_server_context(), *asking = new_client_context();
    atomic_store(&at_work, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.serving = serving, .asking = asking};
        workers[i].rounds = harness_is_slow() ? 10 : 50;
        workers[i].thread = harness_thread(connect_often, &workers[i]);
    }
    for (int round = 0; changed && atomic_load(&at_work) > 0; round++) {
        change(serving, round);
        change(asking, round);
        harness_sleep_ms(1); /* the others want the processor, too */
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK_INT(workers[i].shaken, workers[i].rounds);
        CHECK_INT(workers[i].talked, workers[i].rounds);
    }
    rondo_tls_context_free(serving);
    rondo_tls_context_free(asking);
    free_site();
}

/* Sessions, too: what one thread's client got, the other's resumes. */
TEST(contexts_may_be_shared_by_loops) { share(false); }
TEST(shared_contexts_may_be_changed_meanwhile) { share(true); }

/* ---- why a call failed ---- */

static void *ask_why(void *arg) {
    rondo_tls_context *context = arg;
    while (atomic_load(&at_work) > 0) {
        const char *why = rondo_tls_context_error(context);
        if (*why && strcmp(why, "invalid argument") != 0 &&
            strcmp(why, "no certificate or no key") != 0)
            FAIL("torn: %s", why);
    }
    return NULL;
}

TEST(the_reason_may_be_asked_for_by_any_thread) {
    make_site();
    rondo_tls_context *context = new_server_context();
    rondo_slice none = rondo_slice_text("");
    atomic_store(&at_work, 1);
    pthread_t thread = harness_thread(ask_why, context);
    for (int i = 0; i < (harness_is_slow() ? 50 : 1000); i++) {
        CHECK_INT(rondo_tls_set_alpn(context, ","), RONDO_EINVAL);
        CHECK_STR(rondo_tls_context_error(context), "invalid argument");
        CHECK_INT(rondo_tls_add_certificate(context, none, none), RONDO_EINVAL);
        CHECK_STR(rondo_tls_context_error(context), "no certificate or no key");
        CHECK_INT(rondo_tls_set_alpn(context, NULL), 0);
    }
    atomic_store(&at_work, 0);
    pthread_join(thread, NULL);
    /* What it was told stays, whatever others do with the context: here, free it. */
    CHECK_INT(rondo_tls_set_alpn(context, ","), RONDO_EINVAL);
    const char *why = rondo_tls_context_error(context);
    rondo_tls_context_free(context);
    CHECK_STR(why, "invalid argument");
    free_site();
}
