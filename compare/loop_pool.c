/* SPDX-License-Identifier: MIT
 *
 * Rondo's loop with callbacks, and every piece of work in its pool: computing on the lane for that, opening files on theirs, and for
 * the back end a lane of its own with many threads, as for a library whose calls block. The loop itself never does anything that
 * takes long.
 */
#include "compare/server.h"
#include "compare/visitor.h"

#include <sys/socket.h>
#include <time.h>

#define BACK_END_THREADS 64
#define BACK_END_QUEUE 65536

model_main loop_pool_main;

static unsigned back_end_threads = BACK_END_THREADS;

/* The lane for calls that block; NULL when out of memory. */
static rondo_lane *back_end(rondo_loop *loop) {
    static rondo_lane *lane;

    if (lane == NULL &&
        rondo_lane_new(loop, "back-end", back_end_threads, BACK_END_QUEUE, &lane) == 0)
        rondo_lane_set_stack(lane, SERVER_STACK);
    return lane;
}

/* On a worker. The loop leaves the visitor alone until it is done. */
static int64_t work(rondo_job *job, void *arg) {
    web_visitor *visitor = arg;
    web_request *request = &visitor->request;

    switch (request->work) {
    case WEB_WAIT:
        nanosleep(&(struct timespec){.tv_sec = request->amount / 1000,
                                     .tv_nsec = (long)(request->amount % 1000) * 1000000},
                  NULL);
        break;
    case WEB_CPU: request->result = web_compute(request->amount); break;
    case WEB_FILE: visitor->fd = web_open(visitor->directory, request, &visitor->size); break;
    default: break;
    }
    return 0;
}

static void on_done(rondo_loop *loop, int64_t result, void *arg) {
    web_visitor *visitor = arg;

    if (result < 0)
        visitor_fail(visitor, (int)result);
    else if (visitor->request.work == WEB_FILE)
        visitor_answer_file(visitor, visitor->fd, visitor->size);
    else
        visitor_answer(visitor);
}

static void begin_in_pool(web_visitor *visitor) {
    rondo_lane *lane = visitor->request.work == WEB_WAIT   ? back_end(visitor->loop)
                       : visitor->request.work == WEB_FILE ? rondo_lane_fs(visitor->loop)
                                                           : rondo_lane_cpu(visitor->loop);
    int error = lane != NULL ? rondo_work_submit(visitor->loop, lane, NULL, work, on_done, visitor)
                             : RONDO_ENOMEM;

    if (error < 0) visitor_fail(visitor, error);
}

int loop_pool_main(const model_settings *settings) {
    int listener = server_listen(settings, SOCK_NONBLOCK);

    if (settings->workers != 0) back_end_threads = settings->workers;
    return listener < 0 ? 1 : visitor_serve(settings, listener, begin_in_pool);
}
