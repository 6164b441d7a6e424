/* SPDX-License-Identifier: MIT
 *
 * A CPU-heavy route that blocks nobody: http_offload [PORT [THREADS [WAITING [TIMEOUT_MS]]]].
 *
 *   /light        is answered by the loop, at once, whatever the workers are at
 *   /primes?N     counts the primes below N on the pool's cpu lane. 503 when THREADS requests are being
 *                 computed and WAITING more wait, 504 after TIMEOUT_MS; when the connection breaks, the
 *                 request ends too
 *
 * args: 8080
 * run: curl -s 'http://127.0.0.1:8080/primes?1000000' => 78498
 * run: curl -s http://127.0.0.1:8080/light => light
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t timeout_ms = 5000;

typedef struct question {
    rondo_http_response *response;
    rondo_job *job;
    int64_t below;
} question;

/* On a worker. It looks every now and then whether anybody still wants to know. */
static int64_t count_primes(rondo_job *job, void *arg) {
    const question *q = arg;
    int64_t primes = 0;
    for (int64_t n = 2; n < q->below && !rondo_work_canceled(job); n++) {
        int64_t d = 2;
        while (d * d <= n && n % d != 0) d++;
        primes += d * d > n;
    }
    return primes;
}

static void refuse(rondo_http_response *response, int status, const char *why) {
    if (status == 503) rondo_http_response_header(response, "Retry-After", "1");
    rondo_http_response_reply(response, status, "text/plain", rondo_slice_text(why));
}

static void on_counted(rondo_loop *loop, int64_t result, void *arg) {
    question *q = arg;
    char text[32];
    if (result == RONDO_ETIMEDOUT) {
        refuse(q->response, 504, "that took too long\n");
    } else if (result < 0) {
        rondo_close(q->response); /* canceled: nobody is there any more */
    } else {
        int len = snprintf(text, sizeof text, "%lld\n", (long long)result);
        rondo_http_response_reply(q->response, 200, "text/plain",
                                  rondo_slice_of(text, (size_t)len));
    }
    free(q);
}

static void on_aborted(rondo_http_response *response, void *arg) {
    rondo_job_cancel(((question *)arg)->job);
}

static void answer_primes(rondo_loop *loop, rondo_http_request *request,
                          rondo_http_response *response) {
    rondo_slice query = rondo_http_request_query(request);
    char number[20] = "";
    memcpy(number, query.data, query.len < sizeof number ? query.len : 0);
    question *q = malloc(sizeof *q);
    int error = q ? 0 : RONDO_ENOMEM;
    if (error == 0) {
        *q = (question){.response = response, .below = atoll(number)};
        error = rondo_work_submit(loop, NULL, &q->job, count_primes, on_counted, q);
    }
    if (error < 0) { /* RONDO_EAGAIN: better a quick no than a queue without end */
        free(q);
        refuse(response, 503, "too much to do, try again\n");
        return;
    }
    /* Taken out of the queue, or asked to end: either way on_counted() is still to come. */
    if (rondo_job_set_timeout(q->job, timeout_ms) < 0) rondo_job_cancel(q->job);
    rondo_http_response_on_aborted(response, on_aborted, q);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice path = rondo_http_request_path(request);
    if (path.len == 7 && memcmp(path.data, "/primes", 7) == 0) {
        answer_primes(arg, request, response);
    } else {
        rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("light\n"));
    }
}

static void on_interrupt(rondo_signal *sigint, int signum, void *server) {
    rondo_http_server_drain(server, 1000);
    rondo_close(sigint);
}

int main(int argc, char **argv) {
    char address[64];
    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = rondo_http_server_new(loop);
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 2;
    size_t waiting = argc > 3 ? (size_t)atoi(argv[3]) : 2 * threads;
    if (argc > 4) timeout_ms = (uint64_t)atoi(argv[4]);
    rondo_http_server_on_request(server, on_request, loop);
    int error = rondo_lane_resize(rondo_lane_cpu(loop), threads, waiting);
    if (!error)
        error = rondo_http_server_listen(server, "127.0.0.1",
                                         (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
    if (error) {
        fprintf(stderr, "http_offload: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, server);
    rondo_http_server_address(server, address, sizeof address);
    printf("http_offload: listening on %s\n", address);
    fflush(stdout);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
