/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what is seen while it runs. The bar is one line that is drawn over; what is no terminal gets a line for each step. The
 * table has the same columns for each workload: what was kept up with, what that felt like, what it cost.
 */
#include "report.h"
#include "report_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- The bar --- */

#define BAR_MOST 24

void progress_begin(progress *self, FILE *to, size_t steps) {
    const char *term = getenv("TERM");
    *self = (progress){.to = to, .steps = steps};
    self->redraws = isatty(fileno(to)) && !(term && strcmp(term, "dumb") == 0);
    clock_gettime(CLOCK_MONOTONIC, &self->since);
}

static int columns_of(FILE *to) {
    struct winsize size;
    if (ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

static double seconds_since(const struct timespec *since) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) / 1e9;
}

/* " 3:07 left". Nothing while a guess would be a joke. */
static void show_left(const progress *self, char buf[static SHOWN_MOST]) {
    double gone = seconds_since(&self->since), share = (double)self->done / (double)self->steps;
    buf[0] = '\0';
    if (self->done == 0 || (gone < 5 && share < 0.05)) return;
    double left = fmin(gone / share - gone, 359999);
    snprintf(buf, SHOWN_MOST, "  %d:%02d left", (int)left / 60, (int)left % 60);
}

static void draw(progress *self) {
    char left[SHOWN_MOST], counter[SHOWN_MOST * 2], bar[BAR_MOST + 1];
    text line = {0};
    int columns = columns_of(self->to) - 1; /* in the last one a terminal may begin a new line */
    int room = columns - 50 > BAR_MOST ? BAR_MOST : columns - 50;
    if (room > 0) {
        memset(bar, '-', (size_t)room);
        memset(bar, '#', (size_t)((double)self->done / (double)self->steps * room));
        bar[room] = '\0';
        text_add(&line, "[%s] ", bar);
        columns -= room + 3;
    }
    size_t step = self->done < self->steps ? self->done + 1 : self->steps;
    snprintf(counter, sizeof counter, "%zu/%zu ", step, self->steps);
    show_left(self, left);
    if (columns < (int)(strlen(counter) + strlen(left)) + 8) left[0] = '\0';
    text_columns(&line, counter, columns, 0);
    columns -= (int)(strlen(counter) + strlen(left));
    text_columns(&line, self->what, columns, 0);
    fprintf(self->to, "\r%s%s\033[K", line.data ? line.data : "", left);
    text_free(&line);
}

void progress_show(progress *self, size_t done, const char *what) {
    bool same = self->shown && done == self->done && strcmp(what, self->what) == 0;
    if (self->steps == 0 || (same && !self->redraws)) return;
    self->done = done < self->steps ? done : self->steps;
    snprintf(self->what, sizeof self->what, "%s", what);
    if (self->redraws) {
        draw(self);
    } else {
        text line = {0};
        text_columns(&line, what, 120, 0);
        fprintf(self->to, "%zu/%zu %s\n", self->done + 1, self->steps, line.data ? line.data : "");
        text_free(&line);
    }
    self->shown = true;
    fflush(self->to);
}

void progress_clear(progress *self) {
    if (self->shown && self->redraws) fputs("\r\033[K", self->to);
    self->shown = false;
    fflush(self->to);
}

/* --- The table --- */

/* "18,000", "≥20,000" where nothing more was asked for, "0" where not even the lowest was kept up with. */
static void show_kept(const verdict *v, const scene *set, char buf[static SHOWN_MOST]) {
    char number[SHOWN_MOST];
    bool crowds = set->crowds > 1, all = crowds ? v->crowd_all : v->kept_all && set->rates > 1;
    show_number(crowds ? v->crowd.median : v->kept.median, number);
    snprintf(buf, SHOWN_MOST, "%s%.20s", all ? "≥" : "", number);
}

/* The outcome whose figures the row shows: at the common load, or at the only one it has. */
static const outcome *shown_outcome(const summary *all, const scene *set, size_t s) {
    if (set->common) {
        const outcome *o = summary_outcome(all, set->workload, s, set->common_connections,
                                           set->common_idle, set->common_asked);
        if (o) return o;
    }
    for (size_t i = 0; i < all->outcome_count; i++) {
        const outcome *o = &all->outcomes[i];
        if (o->workload == set->workload && o->subject == s) return o;
    }
    return NULL;
}

static void add_row(text *out, const results *run, const summary *all, const scene *set, size_t s) {
    const verdict *v = summary_verdict(all, set->workload, s);
    const outcome *o = shown_outcome(all, set, s);
    char cell[SHOWN_MOST];
    if (!o) return; /* not its turn yet */
    text_columns(out, run->subjects[s].name, 14, -1);
    if (!v->measured) {
        text_add(out, "  ");
        text_columns(out, v->reason ? v->reason : "no answer", 63, 0);
        text_add(out, "\n");
        return;
    }
    show_kept(v, set, cell);
    text_columns(out, cell, 10, 1);
    text_columns(out, show_number(v->closed.median, cell), 10, 1);
    text_columns(out, show_time(o->p50.median, cell), 9, 1);
    text_columns(out, show_time(o->p99.median, cell), 9, 1);
    text_columns(out, show_time(o->cpu.median, cell), 9, 1);
    text_columns(out, show_bytes(v->memory.median, cell), 10, 1);
    snprintf(cell, sizeof cell, "%u+%u", o->processes, o->threads);
    text_columns(out, cell, 8, 1);
    text_add(out, "\n");
    if (!v->reason) return;
    text_add(out, "%16s", "");
    text_columns(out, v->reason, 63, 0);
    text_add(out, "\n");
}

bool report_workload(FILE *to, const results *run, size_t w) {
    char cell[SHOWN_MOST], bound[SHOWN_MOST];
    text out = {0};
    summary all;
    if (!summarize(run, &all)) return false;
    const scene *set = &all.scenes[w];
    text_add(&out, "\n");
    text_columns(&out, run->workloads[w].name, 14, 0);
    text_add(&out, ": ");
    text_columns(&out, run->workloads[w].title, 63, 0);
    text_add(&out, "\n%-14s%10s%10s%9s%9s%9s%10s%8s\n", "", "keeps up", "most", "p50", "p99",
             "CPU per", "memory", "proc.+");
    if (set->common)
        snprintf(cell, sizeof cell, "at %.16s/s", show_number(set->common_asked, bound));
    else
        snprintf(cell, sizeof cell, "%s", "");
    text_add(&out, "%-14s%10s%10s%18s%9s%10s%8s\n", "", set->crowds > 1 ? "with idle" : "with/s",
             "/s", cell, "request", "per conn.", "threads");
    for (size_t s = 0; s < run->subject_count; s++) add_row(&out, run, &all, set, s);
    text_add(&out, "keeps up: p99 within %s and at most 1 in 1,000 fails\n",
             show_time(set->bound, bound));
    summary_free(&all);
    bool fine = !out.failed;
    if (fine) fwrite(out.data, 1, out.len, to);
    fflush(to);
    text_free(&out);
    return fine;
}
