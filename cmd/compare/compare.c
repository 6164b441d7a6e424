/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: the command. What is to be compared is put together, a place for files is made, and then it is run.c's; what is
 * found out by then is written however it ends.
 */
#include "compare.h"

#include "compare/model.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* A little less than what is promised: there is a report to make. */
#define QUICK_S 105
#define FULL_S 580

/* ---- what there is ---- */

static int show_list(void) {
    printf("models:\n");
    for (const model *each = models; each->name; each++)
        printf("  %-10s %s (%s)\n", each->name, each->title, each->file);
    printf("\nworkloads:\n");
    for (const workload_row *row = workload_rows; row->about.name; row++)
        printf("  %-10s %s\n", row->about.name, row->about.title);
    return flush_stdout();
}

/* Whether a name is among "a,b,c". */
static bool among(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (strcspn(at, ",") == len && strncmp(at, name, len) == 0) return true;
    }
    return false;
}

/* "file" is all of "file-...". */
static bool workload_wanted(const char *list, const char *name) {
    size_t family = strcspn(name, "-");
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)family, name);
    return among(list, name) || among(list, word);
}

static bool is_model(const char *name) { return model_find(name) != NULL; }

static bool is_workload(const char *name) {
    for (const workload_row *row = workload_rows; row->about.name; row++)
        if (workload_wanted(name, row->about.name)) return true;
    return false;
}

/* Complains of the first name that there is not. */
static bool all_known(const char *list, bool (*known)(const char *name), const char *what) {
    char name[64];
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), at);
        if (known(name)) continue;
        complain("there is no %s '%s'; rondo compare --list names them", what, name);
        return false;
    }
    return true;
}

/* ---- before and after ---- */

/* "NAME=COMMAND". Both are the command line's memory, or live as long as the run. */
static void add_own(run *self, const char *text) {
    results *all = &self->results;
    size_t len = strcspn(text, "=");
    char *name = strdup(text);
    if (!name) return;
    name[len] = '\0';
    self->commands[all->subject_count] = name + len + 1;
    all->subjects[all->subject_count++] = (subject){.name = name,
                                                    .title = "a server of one's own",
                                                    .waits = "not known",
                                                    .file = name + len + 1,
                                                    .version = "",
                                                    .peer = true};
}

static bool choose_subjects(run *self) {
    results *all = &self->results;
    size_t room = self->options->own_count;
    for (const model *each = models; each->name; each++) room++;
    all->subjects = calloc(room, sizeof *all->subjects);
    self->commands = calloc(room, sizeof *self->commands);
    if (!all->subjects || !self->commands) return false;
    for (size_t i = 0; i < self->options->own_count; i++) add_own(self, self->options->own[i]);
    for (const model *each = models; each->name; each++) {
        if (self->options->models && !among(self->options->models, each->name)) continue;
        all->subjects[all->subject_count++] = (subject){
            .name = each->name, .title = each->title, .waits = each->waits, .file = each->file};
    }
    return true;
}

static bool choose_workloads(run *self, bool *wanted) {
    const compare_options *options = self->options;
    results *all = &self->results;
    size_t count = 0;
    while (workload_rows[count].about.name) count++;
    all->workloads = calloc(count, sizeof *all->workloads);
    self->maximum = calloc(count * all->subject_count, sizeof *self->maximum);
    if (!all->workloads || !self->maximum) return false;
    for (size_t w = 0; w < count; w++) {
        const workload_row *row = &workload_rows[w];
        wanted[w] = options->workloads ? workload_wanted(options->workloads, row->about.name)
                                       : !options->quick || row->quick.rounds > 0;
        if (wanted[w]) all->workloads[all->workload_count++] = row->about;
    }
    return true;
}

static bool make_plan(run *self) {
    const compare_options *options = self->options;
    bool wanted[64] = {false};
    if (!choose_subjects(self) || !choose_workloads(self, wanted)) return false;
    plan_wish wish = {.subjects = self->results.subject_count,
                      .workloads = wanted,
                      .quick = options->quick,
                      .budget_s = options->quick ? QUICK_S : FULL_S,
                      .rate = options->rate,
                      .connections = options->connections,
                      .rounds = options->rounds,
                      .duration_s = options->duration};
    if (!plan_make(&wish, &self->plan)) return false;
    self->results.mode = options->quick ? "quick" : "default";
    self->results.rounds = self->plan.rounds;
    return true;
}

static bool write_file(int directory, const workload_file *file) {
    char octets[4096];
    int fd = openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool well = fd >= 0;
    for (size_t at = 0; well && at < file->size; at += sizeof octets) {
        body_fill(at, octets, sizeof octets);
        well = write(fd, octets, sizeof octets) == (ssize_t)sizeof octets;
    }
    /* What is not on the disk yet can't be dropped from the page cache. */
    well = well && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return well;
}

static void remove_files(run *self) {
    char path[128];
    if (self->files[0] == '\0') return;
    for (size_t i = 0; i < WORKLOAD_FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", self->files, workload_files[i].name);
        unlink(path);
    }
    rmdir(self->files);
}

/* /var/tmp is on a disk, where a file can be cold. */
static bool make_files(run *self) {
    bool well = true;
    strcpy(self->files, "/var/tmp/rondo-compare-XXXXXX");
    if (!mkdtemp(self->files)) strcpy(self->files, "/tmp/rondo-compare-XXXXXX");
    if (!strstr(self->files, "XXXXXX") || mkdtemp(self->files)) {
        int directory = open(self->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < WORKLOAD_FILES; i++)
            well = well && write_file(directory, &workload_files[i]);
        if (directory >= 0) close(directory);
    } else {
        self->files[0] = '\0';
        well = false;
    }
    if (!well) complain("can't make files in /var/tmp: %s", strerror(errno));
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
    free(all->subjects);
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
    if (len > 0 && self->results.command_line && make_plan(self) && watch_signals(self))
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
    for (size_t i = 0; self.commands && i < options->own_count; i++)
        free((char *)(uintptr_t)self.results.subjects[i].name);
    free(self.commands);
    free_results(&self.results);
    return status;
}

static int serve(const compare_options *options) {
    const model *chosen = model_find(options->serve);
    model_settings settings = {
        .port = options->port, .workers = options->workers, .files = options->files};
    if (chosen) return compare_serve(chosen, &settings);
    complain("there is no model '%s'; rondo compare --list names them", options->serve);
    return EXIT_USAGE;
}

int compare_main(int argc, char **argv) {
    compare_options options;
    if (compare_parse(argc, argv, &options) != EXIT_OK) return EXIT_USAGE;
    if (options.help) {
        fputs(compare_help, stdout);
        return flush_stdout();
    }
    if (options.list) return show_list();
    if (options.serve) return serve(&options);
    if (!all_known(options.models, is_model, "model")) return EXIT_USAGE;
    if (!all_known(options.workloads, is_workload, "workload")) return EXIT_USAGE;
    errno = 0;
    if (!is_directory(options.out)) return EXIT_RUNTIME;
    return compare(&options, argc, argv);
}
