/* SPDX-License-Identifier: MIT
 *
 * Static files: from a request to an answer, by way of a worker when the file's name is not in the
 * kernel's caches. The loop itself never waits for a disk to find and open a file.
 */
#define _GNU_SOURCE
#include "http/files/files.h"

#include <rondo/error.h>
#include <rondo/handle.h>
#include <rondo/pool.h>

#include "loop/memory.h"
#include "threadpool/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define INDEX "index.html"

/* Longer than the grain of any file system's clock in use (FAT's is 2 s). */
#define SETTLE_NS INT64_C(2000000000)

typedef struct open_job {
    rondo_job base; /* its result is the fd */
    rondo_http_files *files;
    rondo_http_request *request;
    rondo_http_response *response; /* NULL: it was closed while we waited */
    struct stat st;
    size_t asked; /* path up to here is what was asked for, the rest is index.html */
    char path[];
} open_job;

int rondo_http_files_new(rondo_loop *loop, const char *directory, rondo_http_files **ret_files) {
    rondo_http_files *files = rondo__zalloc(sizeof *files);

    if (files == NULL) return RONDO_ENOMEM;
    files->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->root < 0) {
        int error = rondo_error_from_errno(errno);
        rondo__free(files);
        return error;
    }
    files->loop = loop;
    files->settle_ns = SETTLE_NS;
    files->how = rondo__files_best_way(files->root);
    files->try_cached =
        files->how == RONDO__FILES_BENEATH && rondo__files_can_try_cached(files->root);
    *ret_files = files;
    return 0;
}

static void free_when_idle(rondo_http_files *files) {
    if (!files->freed || files->pending > 0) return;
    close(files->root);
    rondo__free(files);
}

void rondo_http_files_free(rondo_http_files *files) {
    if (files == NULL) return;
    RONDO_ASSERT(!files->freed);
    files->freed = true;
    free_when_idle(files);
}

/* asked: what path.c made of the target. */
static void finish(rondo_http_files *files, rondo_http_request *request,
                   rondo_http_response *response, const char *asked, int fd,
                   const struct stat *st) {
    size_t len = strlen(asked);
    const char *name = len == 0 || asked[len - 1] == '/' ? INDEX : asked;

    if (fd >= 0)
        rondo__files_answer(files, request, response, name, fd, st);
    else
        rondo__files_refuse(request, response, asked, fd);
}

static int64_t run_open(rondo_job *base) {
    open_job *job = (open_job *)base;

    return rondo__files_open(job->files->root, job->path, job->files->how, &job->st);
}

/* The application, or rondo_loop_close_all(), closed the response while its file was opened. */
static void on_response_close(rondo_handle *handle, void *arg) {
    open_job *job = arg;

    (void)handle;
    job->response = NULL;
}

static void end_job(open_job *job) {
    rondo_http_files *files = job->files;

    RONDO_ASSERT(files->pending > 0);
    rondo__request_free(&job->base);
    files->pending--;
    free_when_idle(files);
}

static void deliver_open(rondo_loop *loop, rondo_job *base, int64_t result) {
    open_job *job = (open_job *)base;

    (void)loop;
    /* One that is closing has let go of its request already. */
    bool wanted = job->response != NULL && !rondo_is_closing(job->response);
    if (job->response != NULL) rondo_off_close(job->response, on_response_close, job);
    if (wanted) {
        job->path[job->asked] = '\0';
        finish(job->files, job->request, job->response, job->path, (int)result, &job->st);
    } else if (result >= 0) {
        close((int)result);
    }
    end_job(job);
}

/* The loop is being freed, all its handles were closed before. */
static void drop_open(rondo_job *base) {
    open_job *job = (open_job *)base;

    RONDO_ASSERT(job->response == NULL);
    if (base->result >= 0) close((int)base->result);
    end_job(job);
}

static int submit_open(rondo_http_files *files, rondo_http_request *request,
                       rondo_http_response *response, const char *path, size_t asked) {
    rondo_lane *lane = rondo_lane_fs(files->loop);
    rondo_job *base;
    int result = lane ? 0 : RONDO_ENOMEM;

    if (result == 0)
        result = rondo__request_new(files->loop, sizeof(open_job) + strlen(path) + 1, &base);
    if (result < 0) return result;
    open_job *job = (open_job *)base;
    base->run = run_open;
    base->deliver = deliver_open;
    base->drop = drop_open;
    base->keeps_result = true; /* an fd must not get lost */
    job->files = files;
    job->request = request;
    job->response = response;
    job->asked = asked;
    memcpy(job->path, path, strlen(path) + 1);
    result = rondo_on_close(response, on_response_close, job);
    if (result == 0) {
        result = rondo__job_submit(lane, base, false);
        if (result < 0) rondo_off_close(response, on_response_close, job);
    }
    if (result < 0)
        rondo__request_free(base);
    else
        files->pending++;
    return result;
}

static bool may_read(const rondo_http_request *request) {
    rondo_slice method = rondo_http_request_method(request);

    return (method.len == 3 && memcmp(method.data, "GET", 3) == 0) ||
           (method.len == 4 && memcmp(method.data, "HEAD", 4) == 0);
}

void rondo_http_files_serve(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_files *files = arg;
    char path[PATH_MAX];
    struct stat st;
    int fd = RONDO_EAGAIN;

    RONDO_ASSERT(!files->freed);
    if (!may_read(request)) {
        /* Should this fail, the answer still says no. */
        (void)rondo_http_response_header(response, "Allow", "GET, HEAD");
        rondo__files_reply(response, 405);
        return;
    }
    int asked =
        rondo__http_path(rondo_http_request_target(request), path, sizeof path - strlen(INDEX));
    if (asked < 0) {
        rondo__files_refuse(request, response, NULL, asked);
        return;
    }
    if (asked == 0 || path[asked - 1] == '/') strcpy(path + asked, INDEX);
    if (files->try_cached) fd = rondo__files_open(files->root, path, RONDO__FILES_CACHED, &st);
    if (fd == RONDO_EAGAIN) {
        fd = submit_open(files, request, response, path, (size_t)asked);
        if (fd == 0) return; /* deliver_open() goes on */
    }
    path[asked] = '\0';
    finish(files, request, response, path, fd, &st);
}
