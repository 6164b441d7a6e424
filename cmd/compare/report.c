/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the files. Each is made in memory, written under another name in the same directory, and then renamed: whoever looks
 * sees the old file or the whole new one.
 */
#include "report_parts.h"

#include "../cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static bool write_out(int fd, const text *content) {
    for (size_t done = 0; done < content->len;) {
        ssize_t n = write(fd, content->data + done, content->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        done += (size_t)n;
    }
    return fsync(fd) == 0 || errno == EINVAL; /* a file system may have no use for it */
}

static int write_file(const char *directory, const char *name, const text *content) {
    char path[PATH_MAX], other[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", directory, name);
    int other_len = snprintf(other, sizeof other, "%s/.%s.%d", directory, name, (int)getpid());
    if (content->failed) {
        complain("out of memory for %s", name);
        return EXIT_RUNTIME;
    }
    if (len >= (int)sizeof path || other_len >= (int)sizeof other) {
        complain("the name of the directory is too long for %s", name);
        return EXIT_RUNTIME;
    }
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool fine = fd >= 0 && write_out(fd, content);
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && fine) fine = false, error = errno;
    if (fine && rename(other, path) != 0) fine = false, error = errno;
    if (fine) return EXIT_OK;
    complain("can't write %s: %s", path, strerror(error));
    if (fd >= 0) unlink(other);
    return EXIT_RUNTIME;
}

int report_write(const results *run, const char *directory) {
    summary all;
    char why_not[256] = "";
    text json = {0}, csv = {0}, html = {0};
    if (!summarize(run, &all)) {
        complain("out of memory for the report");
        return EXIT_RUNTIME;
    }
    plots *drawn = report_plots(&all, why_not);
    report_json(&json, run, &all);
    report_csv(&csv, run);
    report_html(&html, run, &all, drawn, why_not);
    int rc = write_file(directory, "compare.json", &json); /* first what can't be made again */
    if (rc == EXIT_OK) rc = write_file(directory, "compare.csv", &csv);
    if (rc == EXIT_OK) rc = write_file(directory, "compare.html", &html);
    text_free(&json);
    text_free(&csv);
    text_free(&html);
    plots_free(drawn);
    summary_free(&all);
    return rc;
}
