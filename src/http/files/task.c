/* SPDX-License-Identifier: MIT
 *
 * From a task to an answer: at once when the kernel's caches know the file, else by way of a worker.
 * The loop itself never waits for a disk to find and open a file. While a worker is at it, the
 * response may be closed by the application or with the loop: then what it brings is given back.
 */
#include <rondo/error.h>
#include <rondo/handle.h>
#include <rondo/pool.h>
#include <string.h>

#include "http/files/files.h"
#include "http/server/response.h"
#include "loop/memory.h"
#include "threadpool/job.h"

typedef struct file_job {
    rondo_job base;
    rondo__file_task task; /* its texts are behind this struct */
    rondo__found found;
    rondo_http_response *response; /* NULL: it was closed while we waited */
    char texts[];
} file_job;

void rondo__file_task_negotiate(rondo__file_task *task, const rondo_http_request *request) {
    unsigned available = 1u << RONDO__CODING_BR | 1u << RONDO__CODING_GZIP;

    task->precompressed = true;
    task->coding_count =
        (uint8_t)rondo__wants_order(rondo__http_wants(request), available, task->codings);
}

static void finish(const rondo__file_task *task, rondo_http_response *response,
                   rondo__found *found) {
    if (found->page)
        rondo__files_answer_page(response, found);
    else if (found->fd >= 0)
        rondo__files_answer(task, response, found);
    else
        rondo__files_refuse(response, task->redirects, task->text[RONDO__FILE_PATH], found->fd);
}

/* ---- by way of a worker ---- */

static int64_t run_find(rondo_job *base) {
    file_job *job = (file_job *)base;
    rondo__file_task *task = &job->task;

    if (task->find_how) task->how = rondo__files_best_way(task->root);
    rondo__files_find(task, task->how, &job->found);
    return 0;
}

/* The application, or rondo_loop_close_all(), closed the response while its file was opened. */
static void on_response_close(rondo_handle *handle, void *arg) {
    file_job *job = arg;

    (void)handle;
    job->response = NULL;
}

static void end_job(file_job *job) {
    rondo_http_files *files = job->task.files;

    rondo__request_free(&job->base);
    if (files) rondo__files_release(files);
}

static void deliver_find(rondo_loop *loop, rondo_job *base, int64_t result) {
    file_job *job = (file_job *)base;

    (void)loop;
    if (result < 0) job->found.fd = (int)result; /* it never ran */
    /* One that is closing has let go of its request already. */
    bool wanted = job->response != NULL && !rondo_is_closing(job->response);
    if (job->response != NULL) rondo_off_close(job->response, on_response_close, job);
    if (wanted)
        finish(&job->task, job->response, &job->found);
    else
        rondo__found_drop(&job->found);
    end_job(job);
}

/* The loop is being freed, all its handles were closed before. */
static void drop_find(rondo_job *base) {
    file_job *job = (file_job *)base;

    RONDO_ASSERT(job->response == NULL);
    rondo__found_drop(&job->found);
    end_job(job);
}

/* The texts go with the job: what they were taken from may change or go meanwhile. */
static int new_job(rondo_loop *loop, const rondo__file_task *task, file_job **ret_job) {
    size_t size = 0;
    rondo_job *base;

    for (int i = 0; i < RONDO__FILE_TEXTS; i++)
        if (task->text[i]) size += strlen(task->text[i]) + 1;
    int result = rondo__request_new(loop, sizeof(file_job) + size, &base);
    if (result < 0) return result;
    file_job *job = (file_job *)base;
    char *at = job->texts;
    job->task = *task;
    for (int i = 0; i < RONDO__FILE_TEXTS; i++) {
        if (!task->text[i]) continue;
        size_t len = strlen(task->text[i]) + 1;
        job->task.text[i] = memcpy(at, task->text[i], len);
        at += len;
    }
    job->found.fd = RONDO_ECANCELED; /* should it never run */
    job->found.page = NULL;
    *ret_job = job;
    return 0;
}

static int submit(const rondo__file_task *task, rondo_http_response *response) {
    rondo_loop *loop = rondo_handle_loop(response);
    rondo_lane *lane = rondo_lane_fs(loop);
    file_job *job;
    int result = lane ? new_job(loop, task, &job) : RONDO_ENOMEM;

    if (result < 0) return result;
    job->base.run = run_find;
    job->base.deliver = deliver_find;
    job->base.drop = drop_find;
    job->base.keeps_result = true; /* an fd must not get lost */
    job->response = response;
    result = rondo_on_close(response, on_response_close, job);
    if (result == 0) {
        result = rondo__job_submit(lane, &job->base, false);
        if (result < 0) rondo_off_close(response, on_response_close, job);
    }
    if (result < 0)
        rondo__request_free(&job->base);
    else if (task->files)
        rondo__files_hold(task->files);
    return result;
}

void rondo__file_task_run(rondo__file_task *task, rondo_http_response *response) {
    rondo__found found;

    found.fd = RONDO_EAGAIN;
    found.page = NULL;
    if (task->try_cached) rondo__files_find(task, RONDO__FILES_CACHED, &found);
    /* Where the call is missing, a worker finds another way. */
    if (task->find_how && (found.fd == RONDO_ENOSYS || found.fd == RONDO_EPERM))
        found.fd = RONDO_EAGAIN;
    if (found.fd == RONDO_EAGAIN) {
        found.fd = submit(task, response);
        if (found.fd == 0) return; /* deliver_find() goes on */
    }
    finish(task, response, &found);
}
