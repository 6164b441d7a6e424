/* SPDX-License-Identifier: MIT
 *
 * The file benchmarks by system calls, one after another in one thread: what a loop must not do, and
 * the least that each thing costs. See files.h.
 */
#define _GNU_SOURCE
#include "files.h"

#include <dirent.h>

static char buffer[FILES_STREAM_STEP];

static void run_stat(unsigned in_flight, uint64_t count) {
    struct stat st;
    (void)in_flight;
    for (uint64_t i = 0; i < count; i++) files_check("stat", stat(files_stat_name(i), &st), 0);
}

static void read_at_random(uint64_t count, uint32_t len) {
    for (uint64_t i = 0; i < count; i++)
        files_check("read", pread(files_data, buffer, len, (off_t)files_offset(len)), len);
}
static void run_read4k(unsigned in_flight, uint64_t count) {
    (void)in_flight;
    read_at_random(count, 4096);
}
static void run_read64k(unsigned in_flight, uint64_t count) {
    (void)in_flight;
    read_at_random(count, 65536);
}

static void run_stream(unsigned in_flight, uint64_t count) {
    int file = open("big", O_RDONLY | O_CLOEXEC);
    uint64_t total = 0;
    (void)in_flight;
    for (ssize_t n; (n = read(file, buffer, sizeof buffer)) > 0;) total += (uint64_t)n;
    close(file);
    files_check("stream", (int64_t)total, (int64_t)count);
}

static void run_write(unsigned in_flight, uint64_t count) {
    char name[32];
    (void)in_flight;
    for (uint64_t i = 0; i < count; i++) {
        files_name(name, sizeof name, "write", i);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        files_check(name, write(file, buffer, FILES_SMALL_BYTES), FILES_SMALL_BYTES);
        files_check(name, close(file), 0);
    }
}

static uint64_t walk(const char *path) {
    char below[4096];
    uint64_t entries = 0;
    DIR *dir = opendir(path);
    if (!dir) files_die("opendir", path);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        entries++;
        if (entry->d_type != DT_DIR) continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        entries += walk(below);
    }
    closedir(dir);
    return entries;
}
static void run_walk(unsigned in_flight, uint64_t count) {
    (void)in_flight;
    files_check("walk", (int64_t)walk("tree"), (int64_t)count);
}

int main(int argc, char **argv) {
    static const files_row rows[] = {{"stat", run_stat},
                                     {"read4k", run_read4k},
                                     {"read64k", run_read64k},
                                     {"stream", run_stream},
                                     {"write", run_write},
                                     {"walk", run_walk},
                                     {NULL, NULL}};
    return files_main(argc, argv, rows);
}
