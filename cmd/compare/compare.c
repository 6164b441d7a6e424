/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: the command. What is to be compared is put together, a place for files is made, and then it is run.c's; what is
 * found out by then is written however it ends.
 */
#define _GNU_SOURCE /* nftw */
#include "compare.h"

#include "compare/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- before and after ---- */

static bool write_file(int directory, const workload_file *file) {
    char octets[4096];
    int fd = openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool well = fd >= 0 && fchmod(fd, 0644) == 0;
    for (size_t at = 0; well && at < file->size; at += sizeof octets) {
        body_fill(at, octets, sizeof octets);
        well = write(fd, octets, sizeof octets) == (ssize_t)sizeof octets;
    }
    /* What is not on the disk yet can't be dropped from the page cache. */
    well = well && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return well;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    remove(path);
    return 0;
}

static void remove_files(run *self) {
    if (self->dir[0] != '\0') nftw(self->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A directory in $TMPDIR or in /var/tmp, which is on a disk, where a file can be cold. Everybody may read it: a server of root's may
 * have children that are nobody. */
static bool make_files(run *self) {
    const char *parent = getenv("TMPDIR");
    if (!parent || strlen(parent) > sizeof self->dir - 32) parent = "/var/tmp";
    snprintf(self->dir, sizeof self->dir, "%s/rondo-compare-XXXXXX", parent);
    if (!mkdtemp(self->dir)) {
        complain("can't make a directory in %s: %s", parent, strerror(errno));
        self->dir[0] = '\0';
        return false;
    }
    snprintf(self->files, sizeof self->files, "%s/files", self->dir);
    snprintf(self->scratch, sizeof self->scratch, "%s/peers", self->dir);
    bool well = chmod(self->dir, 0755) == 0 && mkdir(self->files, 0755) == 0 &&
                mkdir(self->scratch, 0755) == 0;
    int directory = open(self->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < WORKLOAD_FILES; i++)
        well = well && write_file(directory, &workload_files[i]);
    if (directory >= 0) close(directory);
    if (!well) complain("can't make files in %s: %s", self->dir, strerror(errno));
    return well;
}

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

static int compare(const compare_options *options, int argc, char **argv) {
    run self = {.options = options, .signals = -1};
    int status = EXIT_RUNTIME, lock = -1;
    if (prepare(&self, argc, argv)) {
        announce_run(&self);
        lock = take_turns(&self);
        if (make_files(&self)) {
            subjects_prepare(&self);
            run_wait_for_quiet(&self);
            status = self.signum ? EXIT_OK : run_all(&self);
        }
        int written =
            self.results.point_count > 0 ? report_write(&self.results, options->out) : EXIT_OK;
        if (status == EXIT_OK) status = written;
        if (status == EXIT_OK && self.signum) status = 128 + self.signum;
    }
    remove_files(&self);
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
