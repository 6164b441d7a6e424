/* SPDX-License-Identifier: MIT
 *
 * The report of an operation on a tree. See report.h.
 */
#include "fs/tree/report.h"

#include <rondo/error.h>

#include <string.h>

void rondo__report_count(rondo__report *report, rondo_file_type type) {
    switch (type) {
    case RONDO_FILE_REGULAR: report->told.files++; break;
    case RONDO_FILE_DIRECTORY: report->told.directories++; break;
    case RONDO_FILE_SYMLINK: report->told.links++; break;
    default: report->told.others++; break;
    }
}

/* The end of "PATH/NAME", as much of it as there is room for. */
static void set_path(char *ret_path, size_t room, const rondo__ladder *ladder, const char *name) {
    size_t len = name ? strlen(name) : 0;
    size_t slash = name && ladder->path_len > 0;
    size_t name_len = len < room - 1 ? len : room - 1;
    size_t path_len = room - 1 - name_len >= slash ? room - 1 - name_len - slash : 0;
    if (path_len > ladder->path_len) path_len = ladder->path_len;
    memcpy(ret_path, ladder->path + ladder->path_len - path_len, path_len);
    if (slash && path_len > 0) ret_path[path_len++] = '/';
    if (name) memcpy(ret_path + path_len, name + len - name_len, name_len);
    ret_path[path_len + name_len] = '\0';
}

static bool concerns_all(int error) {
    switch (error) {
    case RONDO_ENOMEM:
    case RONDO_EMFILE:
    case RONDO_ENFILE:
    case RONDO_ENOSPC:
    case RONDO_EDQUOT:
    case RONDO_EROFS:
    case RONDO_ECANCELED: return true;
    default: return false;
    }
}

int rondo__report_error(rondo__report *report, const rondo__ladder *ladder, const char *name,
                        int error) {
    bool all = concerns_all(error);
    report->told.errors++;
    if (report->first_error == 0) {
        report->first_error = error;
        if (ladder) set_path(report->told.error_path, sizeof report->told.error_path, ladder, name);
    }
    return all ? error : 0;
}

int64_t rondo__report_result(rondo__report *report, int64_t result) {
    return report->first_error < 0 ? report->first_error : result;
}

void rondo__report_thunk(rondo__fn fn, rondo_loop *loop, const rondo__report *report,
                         int64_t result, void *arg) {
    ((rondo_fs_tree_cb)fn)(loop, (int)result, &report->told, arg);
}
