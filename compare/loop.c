/* SPDX-License-Identifier: MIT
 *
 * Rondo's loop with callbacks, all in one thread: a timer waits, files are opened by its file operations (which leave to the pool
 * what the kernel can't do at once), and computing is done where it is asked for. So everybody waits while somebody's is computed.
 */
#include "compare/server.h"
#include "compare/visitor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

model_main loop_main;

static void on_timer(rondo_timer *timer, void *arg) { visitor_answer(arg); }

static void begin_wait(web_visitor *visitor) {
    if (visitor->timer == NULL) visitor->timer = rondo_timer_new(visitor->loop);
    if (visitor->timer == NULL)
        visitor_fail(visitor, RONDO_ENOMEM);
    else
        rondo_timer_start(visitor->timer, visitor->request.amount, 0, on_timer, visitor);
}

static void on_stat(rondo_loop *loop, int result, const rondo_stat *stat, void *arg) {
    web_visitor *visitor = arg;

    if (result == 0 && stat->type == RONDO_FILE_REGULAR) {
        visitor_answer_file(visitor, visitor->fd, stat->size);
        return;
    }
    close(visitor->fd);
    visitor_fail(visitor, result < 0 ? result : RONDO_ENOENT);
}

static void on_open(rondo_loop *loop, int64_t result, void *arg) {
    web_visitor *visitor = arg;

    if (result < 0) {
        visitor_fail(visitor, (int)result);
        return;
    }
    visitor->fd = (int)result;
    int error = rondo_fs_fstat(loop, visitor->fd, NULL, on_stat, visitor);
    if (error == 0) return;
    close(visitor->fd);
    visitor_fail(visitor, error);
}

static void begin_file(web_visitor *visitor) {
    int error = rondo_fs_openat(visitor->loop, visitor->directory, visitor->request.name,
                                O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, NULL, on_open, visitor);

    if (error < 0) visitor_fail(visitor, error);
}

void visitor_begin_here(web_visitor *visitor) {
    web_request *request = &visitor->request;

    if (request->work == WEB_WAIT) {
        begin_wait(visitor);
    } else if (request->work == WEB_FILE) {
        begin_file(visitor);
    } else {
        request->result = web_compute(request->amount);
        visitor_answer(visitor);
    }
}

int loop_main(const model_settings *settings) {
    int listener = server_listen(settings, SOCK_NONBLOCK);

    return listener < 0 ? 1 : visitor_serve(settings, listener, visitor_begin_here);
}
