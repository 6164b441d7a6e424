/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what a server uses.
 *
 * CPU time comes from the clock of each process (clock_getcpuclockid(3)), which counts in nanoseconds and knows threads that have
 * ended; that of children which were waited for from /proc/PID/stat, in hundredths of a second. A child that nobody waits for
 * (SIGCHLD ignored) is lost when it ends. Memory is the proportional share (Pss), so that pages which processes share after a fork
 * are not counted twice.
 */
#include "measure.h"

#include "server.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A file of /proc, with a NUL behind it. Returns its length, or -1. */
static ssize_t slurp(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got = 0;
    if (fd < 0) return -1;
    while (len < size - 1 && (got = read(fd, text + len, size - 1 - len)) > 0) len += (size_t)got;
    close(fd);
    text[len] = '\0';
    return len > 0 ? (ssize_t)len : -1;
}

/* The number behind a name at the beginning of a line; 0 when it is not there. */
static uint64_t number_of(const char *text, const char *name) {
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, len) == 0) return strtoull(line + len, NULL, 10);
    }
    return 0;
}

/* Fields 16 and 17 of /proc/PID/stat (proc(5)): what its children have used that it has waited for. */
static double waited_for_s(pid_t pid) {
    char path[64], text[1024];
    unsigned long long user, system;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (slurp(path, text, sizeof text) < 0) return 0;
    const char *behind = strrchr(text, ')');
    if (!behind ||
        sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_s(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0) return 0;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static unsigned count_fds(pid_t pid) {
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    if (!fds) return 0;
    for (struct dirent *entry; (entry = readdir(fds));) count += entry->d_name[0] != '.';
    closedir(fds);
    return count;
}

static bool add_task(usage *self, pid_t pid, const char *id) {
    char path[96], text[4096];
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)pid, id);
    if (slurp(path, text, sizeof text) < 0) return true;
    if (self->task_count == self->task_room) {
        size_t room = self->task_room ? 2 * self->task_room : 64;
        task_count *more = realloc(self->tasks, room * sizeof *more);
        if (!more) return false;
        self->tasks = more;
        self->task_room = room;
    }
    self->tasks[self->task_count++] =
        (task_count){.id = (pid_t)atoi(id),
                     .voluntary = number_of(text, "voluntary_ctxt_switches:"),
                     .involuntary = number_of(text, "nonvoluntary_ctxt_switches:")};
    return true;
}

static bool add_tasks(usage *self, pid_t pid) {
    char path[64];
    bool room = true;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks) return true;
    for (struct dirent *entry; room && (entry = readdir(tasks));)
        if (entry->d_name[0] != '.') room = add_task(self, pid, entry->d_name);
    closedir(tasks);
    return room;
}

static double resident_of(pid_t pid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    return slurp(path, text, sizeof text) < 0 ? 0 : 1024.0 * (double)number_of(text, "Pss:");
}

static int by_id(const void *a, const void *b) {
    const task_count *one = a, *other = b;
    return (one->id > other->id) - (one->id < other->id);
}

bool usage_read(pid_t root, usage *ret) {
    pid_t *below;
    bool room = true;
    *ret = (usage){.cpu_s = waited_for_s(root)};
    size_t count = tree_below(root, &below);
    if (!below) return false;
    for (size_t i = 0; room && i < count; i++) {
        ret->cpu_s += own_s(below[i]) + waited_for_s(below[i]);
        ret->resident += resident_of(below[i]);
        ret->fds += count_fds(below[i]);
        room = add_tasks(ret, below[i]);
    }
    free(below);
    ret->processes = (unsigned)count;
    ret->threads = (unsigned)ret->task_count;
    if (ret->task_count > 1) qsort(ret->tasks, ret->task_count, sizeof *ret->tasks, by_id);
    if (!room) usage_free(ret);
    return room;
}

void usage_free(usage *self) {
    free(self->tasks);
    self->tasks = NULL;
    self->task_count = self->task_room = 0;
}

void usage_switches(const usage *before, const usage *after, uint64_t *ret_voluntary,
                    uint64_t *ret_involuntary) {
    *ret_voluntary = *ret_involuntary = 0;
    for (size_t i = 0, j = 0; i < after->task_count; i++) {
        const task_count *now = &after->tasks[i];
        task_count then = {.id = now->id};
        while (j < before->task_count && before->tasks[j].id < now->id) j++;
        if (j < before->task_count && before->tasks[j].id == now->id) then = before->tasks[j];
        /* A number of a thread that has ended may have been given to another one. */
        if (now->voluntary < then.voluntary || now->involuntary < then.involuntary)
            then = (task_count){.id = now->id};
        *ret_voluntary += now->voluntary - then.voluntary;
        *ret_involuntary += now->involuntary - then.involuntary;
    }
}

double kernel_memory(void) {
    char text[8192];
    if (slurp("/proc/meminfo", text, sizeof text) < 0) return NOT_MEASURED;
    return 1024.0 * (double)(number_of(text, "Slab:") + number_of(text, "KernelStack:") +
                             number_of(text, "PageTables:"));
}
