/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what the files of the report share. Everything is made in memory first: a text that could not grow has failed, and
 * then no file is written.
 */
#ifndef CMD_COMPARE_REPORT_PARTS_H
#define CMD_COMPARE_REPORT_PARTS_H

#include "report.h"
#include "report_text.h"

/* ---- report_json.c, report_csv.c, report_html.c ---- */

void report_json(text *out, const results *run, const summary *all);
void report_csv(text *out, const results *run);

struct plots;
/* plots: NULL, with why_not for the reader. */
void report_html(text *out, const results *run, const summary *all, const struct plots *plots,
                 const char *why_not);

/* ---- report_tables.c: what stands in the page for one workload besides its curves ---- */

void report_tables(text *out, const results *run, const summary *all, size_t w);

/* ---- report_words.c ---- */

/* What was seen in a workload, in HTML: who kept up with the most, ties, what it cost, and where blocking wins. */
void report_words(text *out, const results *run, const summary *all, size_t w);

/* Whom a server is compared with. */
typedef enum family { FAMILY_BLOCKING, FAMILY_LOOP, FAMILY_PEER } family;
family family_of(const subject *s);

/* ---- report_pictures.c ---- */

/* A small drawing of who waits where, in SVG, or nothing when the subject has none. */
void report_picture(text *out, const subject *s);

/* ---- report_style.c ---- */

extern const char report_style[];

/* ---- report_plot.c ---- */

/* One picture with the curves of all servers of a workload, taken apart. */
typedef enum plot_kind { PLOT_LATENCY, PLOT_MEMORY, PLOT_KINDS } plot_kind;
typedef struct curve {
    char *svg[2]; /* p50 and p99, or memory; NULL: no points */
} curve;
typedef struct plot {
    char *frame;   /* axes and grid; NULL: there is nothing to plot */
    curve *curves; /* one for each subject */
} plot;
typedef struct plots {
    plot *all; /* workload * PLOT_KINDS + kind */
    size_t count, curve_count;
} plots;

#define PLOT_WIDTH 230
#define PLOT_HEIGHT 150

/* Has gnuplot draw. Returns NULL, and then ret_why says for a reader what was missing. */
plots *report_plots(const summary *all, char ret_why[static 256]);
void plots_free(plots *self);
const plot *plots_of(const plots *self, size_t w, plot_kind kind);
/* Whether there is a curve of the server. */
bool plot_has(const summary *all, size_t w, plot_kind kind, size_t s);

/* ---- report_curves.c ---- */

/* Takes the next picture from *at. Returns false when it is not as we know gnuplot's to be. */
bool plot_take_apart(const char **at, const summary *all, size_t w, plot_kind kind, plot *ret);

#endif
