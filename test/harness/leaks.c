/* SPDX-License-Identifier: MIT
 *
 * What a test left behind: descriptors, threads, memory of the library.
 */
#include "harness.h"
#include "internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FDS = 4096 };

static bool open_before[MAX_FDS];
static int threads_before;

/* Calls SEE for each open descriptor but the one used to look. */
static void each_fd(void (*see)(int fd)) {
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    if (dir == NULL) {
        FAIL("cannot look at /proc/self/fd");
    }
    while ((entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < MAX_FDS) {
            see(fd);
        }
    }
    closedir(dir);
}

/* From status, as a listing of task/ ends early where it meets a thread that is just ending. */
static int count_threads(void) {
    char line[256];
    int count = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && count == 0 && fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "Threads: %d", &count);
    }
    if (status != NULL) {
        fclose(status);
    }
    if (count == 0) {
        FAIL("cannot count the threads in /proc/self/status");
    }
    return count;
}

static void note_fd(int fd) { open_before[fd] = true; }

static void check_fd(int fd) {
    char link[64], target[256] = "?";

    if (!open_before[fd]) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, target, sizeof target - 1);
        if (size >= 0) {
            target[size] = '\0';
        }
        FAIL("leaked descriptor %d (%s)", fd, target);
    }
}

static void *do_nothing(void *arg) { return arg; }

void harness_leaks_note(void) {
    if (HARNESS_TSAN) { /* with the first thread comes one of its own, which stays */
        pthread_join(harness_thread(do_nothing, NULL), NULL);
    }
    each_fd(note_fd);
    threads_before = count_threads();
}

void harness_leaks_check(void) {
    /* A thread that was joined can be listed for a moment longer, and one that was abandoned is on its
     * way. */
    int threads = count_threads() - threads_before;
    for (int try = 0; threads > 0 && try < 2000; try++) {
        harness_sleep_ms(5);
        threads = count_threads() - threads_before;
    }
    if (threads > 0) {
        FAIL("%d thread%s still running", threads, threads == 1 ? " is" : "s are");
    }
    each_fd(check_fd);
    if (harness_live_blocks() != 0) {
        FAIL("%ld memory block(s) leaked by the library", (long)harness_live_blocks());
    }
}
