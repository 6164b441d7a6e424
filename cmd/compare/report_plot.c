/* SPDX-License-Identifier: MIT
 *
 * rondo compare: curves, drawn by gnuplot. It runs once as a child, without a shell, on a script in which there are only numbers (no
 * name or text from outside), and writes one picture after another to a pipe.
 */
#define _GNU_SOURCE
#include "report_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_S 60
#define OUTPUT_MOST (64u << 20)

extern char **environ;

/* --- The script --- */

/* Whether the outcome is a point of the curve; *ret_x is where. */
static bool belongs(const outcome *o, const scene *set, plot_kind kind, size_t w, size_t s,
                    double *ret_x) {
    if (o->workload != w || o->subject != s || o->done == 0) return false;
    if (kind == PLOT_MEMORY) {
        *ret_x = (double)o->connections + o->idle;
        return o->total_resident.rounds > 0 && o->total_resident.median > 0;
    }
    if (o->asked <= 0 || o->idle != set->least_idle || o->p50.median <= 0 || o->p99.median <= 0)
        return false;
    if (set->common && o->connections != set->common_connections) return false;
    *ret_x = o->asked;
    return true;
}

typedef struct range {
    double low, high;
    size_t points;
} range;

static void widen(range *r, double value) {
    if (r->points == 0 || value < r->low) r->low = value;
    if (r->points == 0 || value > r->high) r->high = value;
    r->points++;
}

static void find_ranges(const summary *all, size_t w, plot_kind kind, range *x, range *y) {
    for (size_t i = 0; i < all->outcome_count; i++) {
        const outcome *o = &all->outcomes[i];
        double at;
        if (!belongs(o, &all->scenes[w], kind, w, o->subject, &at)) continue;
        widen(x, at);
        widen(y, kind == PLOT_MEMORY ? o->total_resident.median : o->p50.median);
        widen(y, kind == PLOT_MEMORY ? o->total_resident.median : o->p99.median);
    }
}

/* "500", "20k", "1M". */
static void show_short(double value, char buf[static SHOWN_MOST]) {
    double shown = value >= 1e6 ? value / 1e6 : value >= 1e3 ? value / 1e3 : value;
    snprintf(buf, SHOWN_MOST, "%g%s", shown, value >= 1e6 ? "M" : value >= 1e3 ? "k" : "");
}

/* The axis to the right: logarithmic with a label for each power of ten (over a short range also for twice and five times that), or
 * from 0 with two to five labels. */
static void add_across(text *script, const range *x) {
    static const double parts[] = {1, 2, 5};
    char label[SHOWN_MOST];
    bool logarithmic = x->high > 12 * x->low;
    double power = pow(10, floor(log10(x->high))), lead = x->high / power;
    double step = lead >= 5 ? power * 2 : lead >= 2 ? power : power / 2;
    double low = logarithmic ? x->low / 1.3 : 0, high = x->high * (logarithmic ? 1.3 : 1.1);
    size_t count = logarithmic && high / low < 120 ? 3 : 1;
    const char *comma = "";
    text_add(script, "%s logscale x\nset xrange [%g:%g]\nset xtics (",
             logarithmic ? "set" : "unset", low, high);
    for (double at = logarithmic ? pow(10, floor(log10(low))) : 0; at <= high;
         at = logarithmic ? at * 10 : at + step) {
        for (size_t i = 0; i < count; i++) {
            if (at * parts[i] < low || at * parts[i] > high) continue;
            show_short(at * parts[i], label);
            text_add(script, "%s'%s' %g", comma, label, at * parts[i]);
            comma = ", ";
        }
    }
    text_add(script, ")\n");
}

static void add_axes(text *script, const range *x, const range *y, plot_kind kind) {
    char label[SHOWN_MOST];
    double base = kind == PLOT_MEMORY ? 1024 : 10, top = base == 10 ? 1e9 : pow(1024, 4);
    double low = pow(10, floor(log10(y->low))), high = pow(10, ceil(log10(y->high * 1.01)));
    text_add(script, "set yrange [%g:%g]\nset ytics (", low, high);
    /* One label for each power that fits: ten times, or for long ranges a hundred or a thousand. */
    double step = kind == PLOT_MEMORY ? 4 : high / low > 2e4 ? 100 : 10;
    while (kind == PLOT_MEMORY && pow(step, 5) < high / low) step *= 4;
    const char *comma = "";
    for (double at = kind == PLOT_MEMORY ? 1024 : 1; at <= high * 1.01 && at <= top; at *= step) {
        if (at < low * 0.99) continue;
        if (kind == PLOT_MEMORY)
            show_bytes(at, label);
        else
            show_time(at, label);
        text_add(script, "%s'%s' %g", comma, label, at);
        comma = ", ";
    }
    text_add(script, ")\n");
    add_across(script, x);
}

static void add_data(text *script, const summary *all, size_t w, plot_kind kind, size_t s) {
    for (size_t i = 0; i < all->outcome_count; i++) {
        const outcome *o = &all->outcomes[i];
        double x;
        if (!belongs(o, &all->scenes[w], kind, w, s, &x)) continue;
        if (kind == PLOT_MEMORY)
            text_add(script, "%.10g %.10g\n", x, o->total_resident.median);
        else
            text_add(script, "%.10g %.10g %.10g\n", x, o->p50.median, o->p99.median);
    }
}

bool plot_has(const summary *all, size_t w, plot_kind kind, size_t s) {
    double x;
    for (size_t i = 0; i < all->outcome_count; i++)
        if (belongs(&all->outcomes[i], &all->scenes[w], kind, w, s, &x)) return true;
    return false;
}

static bool worth_drawing(const summary *all, size_t w, plot_kind kind, range *x, range *y) {
    find_ranges(all, w, kind, x, y);
    return x->low > 0 && x->high > x->low && y->low > 0; /* logarithms */
}

static void add_picture(text *script, const summary *all, size_t w, plot_kind kind) {
    range x = {0}, y = {0};
    if (!worth_drawing(all, w, kind, &x, &y)) return;
    text_add(script,
             "reset\nset output\n"
             "set terminal svg size %d,%d noenhanced font 'sans-serif,10' name 'p'\n"
             "set logscale y\nset border 3\nset tics nomirror scale 0.5\nunset key\nset grid\n"
             "unset mxtics\nset lmargin 9\nset rmargin 2\nset tmargin "
             "1\nset bmargin 2\n",
             PLOT_WIDTH, PLOT_HEIGHT);
    add_axes(script, &x, &y, kind);
    for (size_t s = 0; s < all->subject_count; s++) {
        if (!plot_has(all, w, kind, s)) continue;
        text_add(script, "$d%zu << EOD\n", s);
        add_data(script, all, w, kind, s);
        text_add(script, "EOD\n");
    }
    /* The first is the bound, or nothing that is seen. */
    text_add(script, "plot [] [] %.10g with lines",
             kind == PLOT_LATENCY ? all->scenes[w].bound : y.high * 1e9);
    for (size_t s = 0; s < all->subject_count; s++) {
        if (!plot_has(all, w, kind, s)) continue;
        for (int column = 2; column <= (kind == PLOT_LATENCY ? 3 : 2); column++)
            text_add(script, ", $d%zu using 1:%d with linespoints pt 7 ps 0.3", s, column);
    }
    text_add(script, "\n");
}

/* --- The child --- */

static int script_file(const text *script) {
    int fd = memfd_create("rondo compare", MFD_CLOEXEC);
    if (fd < 0) return -1;
    for (size_t done = 0; done < script->len;) {
        ssize_t n = write(fd, script->data + done, script->len - done);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)n;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* 0, or an error of posix_spawnp(). */
static int start_gnuplot(int in, int out, pid_t *ret_pid) {
    char *args[] = {(char[]){"gnuplot"}, (char[]){"-d"}, NULL}; /* -d: no file of the user's */
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&files) != 0) return ENOMEM;
    posix_spawnattr_init(&how);
    /* In a group of its own, since Ctrl-C is for us, who draw what was measured. */
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int rc = posix_spawnp(ret_pid, "gnuplot", &files, &how, args, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return rc;
}

/* Reads to the end, which must come in time. */
static bool read_all(int fd, text *ret) {
    char buf[65536];
    time_t until = time(NULL) + LIMIT_S;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = poll(&wait, 1, 1000);
        if (time(NULL) > until || ret->len > OUTPUT_MOST) return false;
        if (ready < 0 && errno != EINTR) return false;
        if (ready <= 0) continue;
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n == 0 && !ret->failed;
        text_octets(ret, buf, (size_t)n);
    }
}

static bool draw(const text *script, text *ret, char why[static 256]) {
    int in = script_file(script), out[2] = {-1, -1}, status = 0, rc = 0;
    pid_t pid = -1;
    bool fine = in >= 0 && pipe2(out, O_CLOEXEC) == 0;
    if (!fine) snprintf(why, 256, "gnuplot could not be started: %s", strerror(errno));
    if (fine && (rc = start_gnuplot(in, out[1], &pid)) != 0) {
        fine = false;
        if (rc == ENOENT)
            snprintf(why, 256,
                     "gnuplot is not installed: the package gnuplot-nox draws the curves");
        else
            snprintf(why, 256, "gnuplot could not be started: %s", strerror(rc));
    }
    if (out[1] >= 0) close(out[1]);
    if (fine) {
        fine = read_all(out[0], ret);
        if (!fine) kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        if (fine && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) fine = false;
        if (!fine)
            snprintf(why, 256, "gnuplot failed (try: gnuplot --version), so there are no curves");
    }
    if (out[0] >= 0) close(out[0]);
    if (in >= 0) close(in);
    return fine;
}

/* --- All of it --- */

plots *report_plots(const summary *all, char ret_why[static 256]) {
    text script = {0}, drawn = {0};
    plots *self = calloc(1, sizeof *self);
    bool fine = self != NULL;
    if (fine) {
        self->count = all->workload_count * PLOT_KINDS;
        self->curve_count = all->subject_count;
        fine = (self->all = calloc(self->count + 1, sizeof *self->all)) != NULL;
    }
    snprintf(ret_why, 256, "out of memory");
    for (size_t i = 0; fine && i < self->count; i++) {
        fine = (self->all[i].curves = calloc(self->curve_count + 1, sizeof(curve))) != NULL;
        add_picture(&script, all, i / PLOT_KINDS, (plot_kind)(i % PLOT_KINDS));
    }
    fine = fine && !script.failed;
    if (fine && script.len > 0) {
        fine = draw(&script, &drawn, ret_why);
        const char *at = drawn.data ? drawn.data : "";
        for (size_t i = 0; fine && i < self->count; i++) {
            range x = {0}, y = {0};
            plot_kind kind = (plot_kind)(i % PLOT_KINDS);
            if (!worth_drawing(all, i / PLOT_KINDS, kind, &x, &y)) continue;
            fine = plot_take_apart(&at, all, i / PLOT_KINDS, kind, &self->all[i]);
            if (!fine) snprintf(ret_why, 256, "this gnuplot draws in a way that is not understood");
        }
    }
    text_free(&script);
    text_free(&drawn);
    if (fine) return self;
    plots_free(self);
    return NULL;
}

void plots_free(plots *self) {
    if (!self) return;
    for (size_t i = 0; self->all && i < self->count; i++) {
        free(self->all[i].frame);
        for (size_t s = 0; self->all[i].curves && s < self->curve_count; s++) {
            free(self->all[i].curves[s].svg[0]);
            free(self->all[i].curves[s].svg[1]);
        }
        free(self->all[i].curves);
    }
    free(self->all);
    free(self);
}

const plot *plots_of(const plots *self, size_t w, plot_kind kind) {
    const plot *found = self ? &self->all[w * PLOT_KINDS + (size_t)kind] : NULL;
    return found && found->frame ? found : NULL;
}
