/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the tables of a workload. The first has one row for each server and a bar for what it kept up with; the second, folded
 * away, every load. A server that could not take a load shows the reason where its figures would stand.
 */
#include "report_parts.h"

#include <math.h>

static void add_span(text *out, const figure *f,
                     const char *(*show)(double, char[static SHOWN_MOST])) {
    char low[SHOWN_MOST], high[SHOWN_MOST];
    if (f->rounds == 0 || f->low == f->high) return;
    text_add(out, "<small>%s to %s</small>", show(f->low, low), show(f->high, high));
}

static void add_cell(text *out, const figure *f,
                     const char *(*show)(double, char[static SHOWN_MOST])) {
    char buf[SHOWN_MOST];
    text_add(out, "<td>%s", show(f->median, buf));
    add_span(out, f, show);
    text_add(out, "</td>");
}

static void add_heading(text *out, const char *title, const char *unit) {
    text_add(out, "<th scope=\"col\">%s%s%s%s</th>", title, unit[0] ? "<small>" : "", unit,
             unit[0] ? "</small>" : "");
}

/* A region that scrolls by itself must be reachable with the keyboard. */
static void begin_table(text *out, const char *what, const char *name) {
    text_add(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s: ", what);
    text_html(out, name);
    text_add(out, "\">\n<table>\n<thead><tr>");
}

static void end_table(text *out) { text_add(out, "</tbody>\n</table>\n</div>\n"); }

/* --- One row for each server --- */

typedef struct columns {
    bool kept, closed, crowd, common;
    double most; /* of kept, else of closed: a bar as long as the column is wide */
} columns;

static columns columns_of(const results *run, const summary *all, const scene *set) {
    columns c = {.kept = set->rates > 1, .crowd = set->crowds > 1, .common = set->common};
    for (size_t s = 0; s < run->subject_count; s++)
        if (summary_verdict(all, set->workload, s)->closed.rounds > 0) c.closed = true;
    for (size_t s = 0; s < run->subject_count; s++) {
        const verdict *v = summary_verdict(all, set->workload, s);
        c.most = fmax(c.most, c.kept ? v->kept.median : v->closed.median);
    }
    return c;
}

static void add_bar(text *out, const figure *f, double most, const char *sign) {
    char buf[SHOWN_MOST];
    double share = most > 0 && f->median > 0 ? f->median / most : 0;
    text_add(out, "<td class=\"bar\"><span style=\"width:%.1f%%\"></span><em>%s%s</em>",
             share * 100, sign, show_number(f->median, buf));
    add_span(out, f, show_number);
    text_add(out, "</td>");
}

static void add_server(text *out, const results *run, const summary *all, const scene *set,
                       size_t s, const columns *c) {
    const verdict *v = summary_verdict(all, set->workload, s);
    const subject *it = &run->subjects[s];
    int width = 2 + c->kept + c->closed + c->crowd + 2 * c->common;
    text_add(out, "<tr%s><th scope=\"row\">", it->peer ? " class=\"peer\"" : "");
    text_html(out, it->name);
    text_add(out, "</th>");
    if (!v->measured) {
        text_add(out, "<td colspan=\"%d\" class=\"reason\">", width - 1);
        if (v->reason) {
            text_html(out, v->reason);
        } else if (it->missing) {
            text_add(out, "not installed: ");
            text_html(out, it->missing);
        } else {
            text_add(out, "not measured");
        }
        text_add(out, "</td></tr>\n");
        return;
    }
    if (c->kept) add_bar(out, &v->kept, c->most, v->kept_all ? "≥ " : "");
    if (c->closed && !c->kept) add_bar(out, &v->closed, c->most, "");
    if (c->closed && c->kept) add_cell(out, &v->closed, show_number);
    if (c->crowd) add_cell(out, &v->crowd, show_number);
    if (c->common) {
        add_cell(out, &v->p99, show_time);
        add_cell(out, &v->cpu, show_time);
    }
    add_cell(out, &v->memory, show_bytes);
    text_add(out, "</tr>\n");
    if (!v->reason) return;
    text_add(out, "<tr class=\"why\"><td></td><td colspan=\"%d\" class=\"reason\">broke off: ",
             width - 1);
    text_html(out, v->reason);
    text_add(out, "</td></tr>\n");
}

static void add_servers(text *out, const results *run, const summary *all, const scene *set) {
    char rate[SHOWN_MOST], unit[96];
    const columns c = columns_of(run, all, set);
    begin_table(out, "Servers", run->workloads[set->workload].name);
    add_heading(out, "server", "");
    if (c.kept)
        text_add(out,
                 "<th scope=\"col\" class=\"left\">kept up with<small>requests/s</small></th>");
    if (c.closed)
        text_add(out, "<th scope=\"col\"%s>closed loop<small>answers/s</small></th>",
                 c.kept ? "" : " class=\"left\"");
    if (c.crowd) add_heading(out, "crowd held", "connections");
    if (c.common) {
        snprintf(unit, sizeof unit, "at %s/s", show_number(set->common_asked, rate));
        add_heading(out, "p99", unit);
        add_heading(out, "CPU per request", unit);
    }
    add_heading(out, "memory", "per connection");
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t s = 0; s < run->subject_count; s++) add_server(out, run, all, set, s, &c);
    end_table(out);
}

/* --- One row for each load --- */

static void add_time(text *out, const figure *f) {
    char buf[SHOWN_MOST];
    text_add(out, "<td>%s</td>", show_time(f->median, buf));
}

static void add_outcome(text *out, const results *run, const outcome *o) {
    char buf[SHOWN_MOST];
    text_add(out, "<tr%s><th scope=\"row\">", o->kept ? "" : " class=\"broke\"");
    text_html(out, run->subjects[o->subject].name);
    text_add(out, "</th><td>%u</td><td>%u</td><td>%s</td>", o->connections, o->idle,
             o->asked > 0 ? show_number(o->asked, buf) : "closed");
    add_cell(out, &o->rate, show_number);
    text_add(out, "<td>%s%s</td>", o->kept ? "yes" : "no",
             o->generator_limited ? " (generator)" : "");
    const figure *const times[] = {&o->p50, &o->p75, &o->p90, &o->p99, &o->p999, &o->max, &o->cpu};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) add_time(out, times[i]);
    text_add(out, "<td>%s</td>", show_number(o->voluntary.median, buf));
    text_add(out, "<td>%s</td>", show_number(o->involuntary.median, buf));
    text_add(out, "<td>%s</td>", show_bytes(o->resident.median, buf));
    text_add(out, "<td>%s</td>", show_bytes(o->kernel.median, buf));
    text_add(out, "<td>%s</td>", show_bytes(o->total_resident.median, buf));
    text_add(out, "<td>%u</td><td>%u</td><td>%u</td>", o->processes, o->threads, o->fds);
    text_add(out, "<td>%llu</td><td>%llu</td><td>%llu</td>", (unsigned long long)o->errors,
             (unsigned long long)o->refused, (unsigned long long)o->late);
    text_add(out, "<td>%s%s</td><td class=\"reason\">",
             o->load_busy.rounds ? show_number(round(o->load_busy.median * 100), buf) : "-",
             o->load_busy.rounds ? " %" : "");
    text_html(out, o->reason ? o->reason : "");
    text_add(out, "</td></tr>\n");
}

static void add_outcomes(text *out, const results *run, const summary *all, const scene *set) {
    static const char *const headings[][2] = {
        {"server", ""},
        {"busy", "connections"},
        {"idle", "connections"},
        {"asked", "per s"},
        {"answered", "per s"},
        {"kept up", ""},
        {"p50", ""},
        {"p75", ""},
        {"p90", ""},
        {"p99", ""},
        {"p99.9", ""},
        {"max", ""},
        {"CPU", "per request"},
        {"switches", "voluntary"},
        {"switches", "involuntary"},
        {"resident", "per connection"},
        {"kernel", "per connection"},
        {"resident", "in all"},
        {"processes", ""},
        {"threads", ""},
        {"descriptors", ""},
        {"errors", ""},
        {"refused", ""},
        {"late", ""},
        {"generator", "busy"},
        {"reason", ""},
    };
    text_add(out, "<details>\n<summary>All figures: ");
    text_html(out, run->workloads[set->workload].name);
    text_add(out, "</summary>\n");
    begin_table(out, "All figures", run->workloads[set->workload].name);
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        add_heading(out, headings[i][0], headings[i][1]);
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < all->outcome_count; i++)
        if (all->outcomes[i].workload == set->workload) add_outcome(out, run, &all->outcomes[i]);
    end_table(out);
    text_add(out, "</details>\n");
}

void report_tables(text *out, const results *run, const summary *all, size_t w) {
    add_servers(out, run, all, &all->scenes[w]);
    add_outcomes(out, run, all, &all->scenes[w]);
}
