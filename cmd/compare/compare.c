/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: the command. What is to be compared is put together, a place for files is made, and then it is run.c's; what is
 * found out by then is written however it ends.
 */
#include "compare.h"

#include "compare/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- before and after ---- */

/* Two comparisons at a time spoil each other. Returns a descriptor that holds the lock, or -1: nobody waits for us. */
static int take_turns(run *self) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/rondo-compare-%u.lock", (unsigned)geteuid());
    if (self->options->anyway) return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    complain("another comparison is running: waiting until it is done");
    while (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && !run_interrupted(self))
        usleep(100000);
    return fd;
}

static char *join(int argc, char **argv) {
    size_t len = sizeof "rondo";
    for (int i = 0; i < argc; i++) len += strlen(argv[i]) + 1;
    char *line = malloc(len);
    if (!line) return NULL;
    strcpy(line, "rondo");
    for (int i = 0; i < argc; i++) strcat(strcat(line, " "), argv[i]);
    return line;
}

static bool watch_signals(run *self) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    /* Where they are ignored, as in a shell's background job, they stay so. */
    sigprocmask(SIG_BLOCK, &set, NULL);
    self->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return self->signals >= 0;
}

static void free_results(results *all) {
    for (size_t i = 0; i < all->point_count; i++) free((char *)(uintptr_t)all->points[i].reason);
    free(all->points);
    free(all->workloads);
    free(all->command_line);
    machine_free(&all->machine);
}

static bool is_directory(const char *path) {
    struct stat about;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode) && access(path, W_OK) == 0) return true;
    complain("can't write to the directory '%s': %s", path, errno ? strerror(errno) : "it is none");
    return false;
}

static bool prepare(run *self, int argc, char **argv) {
    ssize_t len = readlink("/proc/self/exe", self->exe, sizeof self->exe - 1);
    raise_limits();
    server_adopt_orphans();
    self->results.command_line = join(argc, argv);
    machine_read(&self->results.machine, self->options->server_cores);
    if (len > 0 && self->results.command_line && subjects_choose(self) && watch_signals(self))
        return true;
    complain("can't begin: %s", strerror(errno));
    return false;
}

static void announce_run(const run *self) {
    const machine *host = &self->results.machine;
    fprintf(stderr, "%zu servers, %zu workloads, %zu loads: about %.0f s\n",
            self->results.subject_count, self->results.workload_count, self->plan.count,
            self->plan.seconds);
    if (host->cores < 2)
        complain(
            "there is one core only: servers and generator share it, and the figures mean little");
}

/* Ten minutes are not lost because a disk is full: then it is left elsewhere, which is a failure all the same. */
static int write_report(const results *all, const char *directory) {
    if (all->point_count == 0) return EXIT_OK;
    int status = report_write(all, directory);
    if (status != EXIT_OK) scratch_keep(all);
    return status;
}

static int compare(const compare_options *options, int argc, char **argv) {
    run self = {.options = options, .signals = -1, .dir_lock = -1};
    int status = EXIT_RUNTIME, lock = -1;
    if (prepare(&self, argc, argv)) {
        announce_run(&self);
        lock = take_turns(&self);
        if (scratch_make(&self)) {
            subjects_prepare(&self);
            run_wait_for_quiet(&self);
            status = self.signum ? EXIT_OK : run_all(&self);
        }
        int written = write_report(&self.results, options->out);
        if (status == EXIT_OK) status = written;
        if (status == EXIT_OK) status = flush_stdout();
        if (status == EXIT_OK && self.signum) status = 128 + self.signum;
    }
    scratch_remove(&self);
    if (lock >= 0) close(lock);
    if (self.signals >= 0) close(self.signals);
    plan_free(&self.plan);
    free(self.maximum);
    subjects_free(&self);
    free_results(&self.results);
    return status;
}

int compare_main(int argc, char **argv) {
    compare_options options;
    if (compare_parse(argc, argv, &options) != EXIT_OK) return EXIT_USAGE;
    if (options.help) {
        fputs(compare_help, stdout);
        return flush_stdout();
    }
    if (options.list) return subjects_list();
    if (options.peers) {
        peers_show();
        return flush_stdout();
    }
    if (options.serve) return subjects_serve(&options);
    if (!subjects_known(&options)) return EXIT_USAGE;
    errno = 0;
    if (!is_directory(options.out)) return EXIT_RUNTIME;
    return compare(&options, argc, argv);
}
