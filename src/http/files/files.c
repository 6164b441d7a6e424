/* SPDX-License-Identifier: MIT
 *
 * The files beneath a directory: what a request's target means there, and the options.
 */
#define _GNU_SOURCE
#include "http/files/files.h"

#include <rondo/error.h>
#include <rondo/handle.h>

#include "http/server/response.h"
#include "loop/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define INDEX "index.html"

/* ---- life ---- */

int rondo_http_files_new(rondo_loop *loop, const char *directory, rondo_http_files **ret_files) {
    rondo_http_files *files = rondo__zalloc(sizeof *files);

    if (files == NULL) return RONDO_ENOMEM;
    files->index = rondo__strdup(INDEX);
    files->root = files->index ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (files->root < 0) {
        int error = files->index ? rondo_error_from_errno(errno) : RONDO_ENOMEM;
        rondo__free(files->index);
        rondo__free(files);
        return error;
    }
    files->loop = loop;
    files->settle_ns = RONDO__SETTLE_NS;
    files->how = rondo__files_best_way(files->root);
    files->try_cached =
        files->how == RONDO__FILES_BENEATH && rondo__files_can_try_cached(files->root);
    *ret_files = files;
    return 0;
}

static void free_options(rondo_http_files *files) {
    rondo__free(files->index);
    rondo__free(files->fallback);
    rondo__free(files->cache_control);
}

static void free_when_idle(rondo_http_files *files) {
    if (!files->freed || files->pending > 0) return;
    close(files->root);
    free_options(files);
    rondo__free(files);
}

void rondo_http_files_free(rondo_http_files *files) {
    if (files == NULL) return;
    RONDO_ASSERT(!files->freed);
    files->freed = true;
    free_when_idle(files);
}

void rondo__files_hold(rondo_http_files *files) { files->pending++; }

void rondo__files_release(rondo_http_files *files) {
    RONDO_ASSERT(files->pending > 0);
    files->pending--;
    free_when_idle(files);
}

/* ---- options ---- */

static bool is_field_value(const char *text) {
    return rondo__http_all(text, strlen(text), RONDO__CHAR_VALUE);
}

/* NULL stays NULL; false when out of memory. */
static bool copy_text(const char *text, char **ret_copy) {
    *ret_copy = text ? rondo__strdup(text) : NULL;
    return !text || *ret_copy;
}

int rondo_http_files_set_options(rondo_http_files *files, const rondo_http_files_options *options) {
    const char *index = options->index ? options->index : INDEX;
    const char *fallback = options->fallback;
    rondo_http_files copy = {0};

    RONDO_ASSERT(!files->freed);
    if (strchr(index, '/') || index[0] == '.' || strlen(index) > NAME_MAX) return RONDO_EINVAL;
    if (fallback && (fallback[0] == '\0' || fallback[0] == '/')) return RONDO_EINVAL;
    if (options->cache_control && !is_field_value(options->cache_control)) return RONDO_EINVAL;
    if (!copy_text(index[0] ? index : NULL, &copy.index) || !copy_text(fallback, &copy.fallback) ||
        !copy_text(options->cache_control, &copy.cache_control)) {
        free_options(&copy);
        return RONDO_ENOMEM;
    }
    free_options(files);
    files->index = copy.index;
    files->fallback = copy.fallback;
    files->cache_control = copy.cache_control;
    files->precompressed = options->precompressed;
    files->listing = options->listing;
    return 0;
}

/* ---- requests ---- */

void rondo_http_files_serve(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_files *files = arg;
    char path[PATH_MAX];

    RONDO_ASSERT(!files->freed);
    if (!rondo__files_reads(request)) {
        /* Should this fail, the answer still says no. */
        (void)rondo_http_response_header(response, "Allow", "GET, HEAD");
        rondo__files_reply(response, 405);
        return;
    }
    int len = rondo__http_path(rondo_http_request_path(request), path, sizeof path);
    if (len < 0) {
        rondo__files_refuse(response, false, NULL, len);
        return;
    }
    rondo__file_task task = {
        .root = files->root,
        .how = files->how,
        .try_cached = files->try_cached,
        .listing = files->listing,
        .redirects = true,
        .settle_ns = files->settle_ns,
        .files = files,
        .text = {[RONDO__FILE_PATH] = path,
                 [RONDO__FILE_INDEX] = files->index,
                 [RONDO__FILE_FALLBACK] = files->fallback,
                 [RONDO__FILE_CACHE_CONTROL] = files->cache_control},
    };
    if (files->precompressed) rondo__file_task_negotiate(&task, request);
    rondo__file_task_run(&task, response);
}
