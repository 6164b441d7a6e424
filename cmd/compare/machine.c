/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the machine that it runs on: what a figure means nothing without.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "measure.h"

#include <rondo.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The first line of a file that begins so, from behind that and its separators on; or NULL. Malloc'ed. */
static char *line_of(const char *path, const char *name, const char *separators) {
    char line[512], *found = NULL;
    FILE *file = fopen(path, "re");
    if (!file) return NULL;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        char *value = line + strlen(name);
        value += strspn(value, separators);
        value[strcspn(value, "\"\n")] = '\0';
        found = strdup(value);
    }
    fclose(file);
    return found;
}

static uint64_t number_in(const char *path) {
    char *text = line_of(path, "", " ");
    uint64_t number = text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
    free(text);
    return number;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t read_thread_limit(void) {
    struct rlimit limit;
    uint64_t most =
        least(number_in("/proc/sys/kernel/threads-max"), number_in("/proc/sys/kernel/pid_max"));
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && geteuid() != 0) most = least(most, limit.rlim_cur);
    return least(most, number_in("/sys/fs/cgroup/pids.max"));
}

static char *date_now(void) {
    char text[64];
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return strdup(text);
}

/* The server gets the first ones that this process may use, the generator the last one. */
static void choose_cores(machine *ret, unsigned wanted) {
    cpu_set_t set;
    unsigned first = 0, last = 0, run = 0, count = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (unsigned i = 0; i < CPU_SETSIZE; i++) {
            if (!CPU_ISSET(i, &set)) continue;
            if (count == 0) first = i;
            if (i == first + run) run++;
            last = i;
            count++;
        }
    }
    ret->cores = count ? count : 1;
    ret->server_core = first;
    ret->load_core = last;
    /* Only cores in a row can be said in two numbers. */
    if (run > 0 && last == first + run - 1) run--;
    ret->server_cores = wanted < 1 ? 1 : wanted;
    if (run > 0 && ret->server_cores > run) ret->server_cores = run;
    if (run == 0) ret->server_cores = 1;
}

void machine_read(machine *ret, unsigned wanted_server_cores) {
    struct utsname system;
    struct sysinfo memory;
    struct rlimit limit;
    *ret = (machine){.busy_before = NOT_MEASURED};
    ret->cpu = line_of("/proc/cpuinfo", "model name", "\t :");
    ret->os = line_of("/etc/os-release", "PRETTY_NAME", "=\"");
    if (!ret->cpu) ret->cpu = strdup("unknown");
    if (!ret->os) ret->os = strdup("unknown");
    if (uname(&system) < 0 ||
        asprintf(&ret->kernel, "%s %s %s", system.sysname, system.release, system.machine) < 0)
        ret->kernel = strdup("unknown");
    ret->date = date_now();
    ret->rondo = strdup(rondo_version());
    if (sysinfo(&memory) == 0) ret->memory = (uint64_t)memory.totalram * memory.mem_unit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) ret->fd_limit = limit.rlim_cur;
    ret->thread_limit = read_thread_limit();
    choose_cores(ret, wanted_server_cores);
}

void machine_free(machine *self) {
    free(self->cpu);
    free(self->os);
    free(self->kernel);
    free(self->date);
    free(self->rondo);
    *self = (machine){.cpu = NULL};
}

int machine_load_core(const machine *self) { return self->cores > 1 ? (int)self->load_core : -1; }

/* The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. */
cpu_times cpu_times_read(void) {
    cpu_times now = {0, 0};
    unsigned long long part[8] = {0};
    FILE *file = fopen("/proc/stat", "re");
    if (!file) return now;
    if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &part[0], &part[1], &part[2],
               &part[3], &part[4], &part[5], &part[6], &part[7]) == 8) {
        for (int i = 0; i < 8; i++) now.all += part[i];
        now.busy = now.all - part[3] - part[4];
    }
    fclose(file);
    return now;
}

double cpu_busy_since(const cpu_times *then) {
    cpu_times now = cpu_times_read();
    return now.all > then->all ? (double)(now.busy - then->busy) / (double)(now.all - then->all)
                               : NOT_MEASURED;
}

void raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
