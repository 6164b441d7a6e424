/* SPDX-License-Identifier: MIT
 *
 * What the programs of the file benchmarks have in common, so that they differ only in how they ask.
 * Each of files_plain (system calls), files_rondo and files_uv is run as
 *
 *   files_X DIRECTORY THREADS
 *
 * in a directory that bench/files has prepared, and for each line `ROW IN_FLIGHT COUNT` of its input
 * does the row COUNT times, so many at a time, and prints `SECONDS CPU_SECONDS` (of all its threads),
 * or `-` when it has no such row. Whatever does not come out as it should ends it with an error.
 *
 *   stat     stat(2) of 64 files in turn
 *   read4k, read64k    at random places of the file `data`, which is in the page cache
 *   stream   the file `big` from its beginning to its end, 64 KiB at a time; COUNT is its size
 *   write    COUNT new files of 1 KiB: open, write, close
 *   empty    a job that does nothing, to a worker and back
 *   walk     all names and types in the directory `tree`; COUNT is how many there are
 */
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES_STATS 64
#define FILES_IN_FLIGHT 64 /* at most */
#define FILES_STREAM_STEP 65536
#define FILES_SMALL_BYTES 1024

typedef struct files_row {
    const char *name;
    void (*run)(unsigned in_flight, uint64_t count);
} files_row;

static unsigned files_threads;
static int files_data; /* open for reading */
static uint64_t files_data_bytes;

static inline void files_die(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* got is a result; anything but `want` is the end. */
static inline void files_check(const char *what, int64_t got, int64_t want) {
    if (got == want) return;
    fprintf(stderr, "%s: got %lld, not %lld\n", what, (long long)got, (long long)want);
    exit(1);
}

static inline int64_t files_offset(uint32_t len) {
    static uint64_t state = 88172645463325252u; /* the same places for everybody */
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (int64_t)(state % (files_data_bytes / len) * len);
}

/* "stat/12": of the n-th file to stat. "write/12": of the n-th to write. */
static inline void files_name(char *ret_name, size_t size, const char *what, uint64_t n) {
    snprintf(ret_name, size, "%s/%llu", what, (unsigned long long)n);
}

static inline const char *files_stat_name(uint64_t n) {
    static char names[FILES_STATS][16];
    char *name = names[n % FILES_STATS];
    if (!*name) files_name(name, sizeof names[0], "stat", n % FILES_STATS);
    return name;
}

static inline double files_seconds(const struct timespec *since) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) / 1e9;
}

static inline double files_cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static inline void files_run(const files_row *row, unsigned in_flight, uint64_t count) {
    struct timespec begun;
    double cpu = files_cpu();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    row->run(in_flight, count);
    double seconds = files_seconds(&begun);
    printf("%.9f %.6f\n", seconds, files_cpu() - cpu);
}

/* Goes into the directory, opens what is read, and does what it is told to until its input ends. */
static inline int files_main(int argc, char **argv, const files_row *rows) {
    char line[128], name[32];
    unsigned in_flight;
    unsigned long long count;
    struct stat st;
    if (argc != 3 || (files_threads = (unsigned)atoi(argv[2])) == 0) {
        fprintf(stderr, "usage: %s DIRECTORY THREADS\n", argv[0]);
        return 2;
    }
    if (chdir(argv[1]) < 0 || (files_data = open("data", O_RDONLY | O_CLOEXEC)) < 0 ||
        fstat(files_data, &st) < 0) {
        perror(argv[1]);
        return 1;
    }
    files_data_bytes = (uint64_t)st.st_size;
    while (fgets(line, sizeof line, stdin)) {
        const files_row *row = rows;
        if (sscanf(line, "%31s %u %llu", name, &in_flight, &count) != 3 || in_flight == 0 ||
            in_flight > FILES_IN_FLIGHT)
            files_die("not a command", line);
        while (row->name && strcmp(row->name, name) != 0) row++;
        if (row->name) {
            files_run(row, in_flight, count);
        } else {
            printf("-\n");
        }
        fflush(stdout);
    }
    return 0;
}

#endif
