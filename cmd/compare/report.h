/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what a user gets to see, made of results.h and of nothing else.
 *
 *   summary.c           medians, spreads, ties, what a server kept up with
 *   report_terminal.c   the bar, and the table of a workload, while it runs
 *   report.c            the files: made in memory, written whole or not at all
 *   report_json.c       compare.json
 *   report_csv.c        compare.csv
 *   report_html.c       compare.html: the page; report_tables.c, report_words.c, report_pictures.c, report_style.c: its parts
 *   report_plot.c       its curves, by gnuplot
 *   report_text.c       growing text, and how each format wants what comes from outside
 */
#ifndef CMD_COMPARE_REPORT_H
#define CMD_COMPARE_REPORT_H

#include "results.h"
#include "summary.h"

#include <stdio.h>
#include <time.h>

/* ---- report_terminal.c ---- */

typedef struct progress {
    FILE *to;
    bool redraws; /* a terminal: one line, redrawn; else a line for each step */
    bool shown;
    size_t steps, done;
    struct timespec since;
    char what[128];
} progress;

/* Begins; stderr is what one wants to give. */
void progress_begin(progress *self, FILE *to, size_t steps);
/* Step number `done` (from 0) begins: "hello, epoll-et, 20,000/s, round 2". Also to redraw while it lasts. */
void progress_show(progress *self, size_t done, const char *what);
/* Takes the bar away, so that something can be printed; the next progress_show() draws it again. */
void progress_clear(progress *self);

/* The table of a workload, as far as it has been measured; 80 columns, whatever the names are. Returns false when out of memory. */
bool report_workload(FILE *to, const results *run, size_t w);

/* ---- report.c ---- */

/* Writes compare.json, compare.csv and compare.html into the directory, which must be there; what had these names is replaced by the
 * whole new file, or stays as it was. Without gnuplot the page has no curves and says which package they need. Returns EXIT_OK, or
 * complains and returns EXIT_RUNTIME. */
int report_write(const results *run, const char *directory);

#endif
