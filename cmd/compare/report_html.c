/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the page. One file, no script, nothing fetched (a policy in its head forbids it): an overview, a section for each
 * workload (words, table, curves), the models with their pictures, and what one needs in order to judge or repeat it.
 */
#include "report_parts.h"

#include <string.h>

/* --- Curves: small multiples. The frame and all curves, in grey, are there once and used by each. --- */

static void add_curve(text *out, const curve *it, plot_kind kind) {
    static const char *const classes[PLOT_KINDS][2] = {{"p50", "p99"}, {"memory", ""}};
    for (int i = 1; i >= 0; i--)
        if (it->svg[i]) text_add(out, "<g class=\"%s\">%s</g>", classes[kind][i], it->svg[i]);
}

/* Of the others only the line of p99 (or of memory), without dots. */
static void add_other(text *out, const curve *it) {
    const char *svg = it->svg[1] ? it->svg[1] : it->svg[0];
    const char *dots = svg ? strstr(svg, "<circle") : NULL;
    if (svg) text_octets(out, svg, dots ? (size_t)(dots - svg) : strlen(svg));
}

static void add_described(text *out, const results *run, const summary *all, size_t w, size_t s,
                          plot_kind kind) {
    const verdict *v = summary_verdict(all, w, s);
    char buf[SHOWN_MOST];
    text_html(out, run->subjects[s].name);
    if (kind == PLOT_MEMORY)
        text_add(out, ": %s per connection", show_bytes(v->memory.median, buf));
    else
        text_add(out, ": kept up with %s/s", show_number(v->kept.median, buf));
}

static void add_curves(text *out, const results *run, const summary *all, const plots *drawn,
                       size_t w, plot_kind kind) {
    static const char *const titles[] = {"Latency by rate", "Memory by connections"};
    const plot *it = plots_of(drawn, w, kind);
    if (!it) return;
    text_add(out, "<h3>%s</h3>\n<p class=\"soft\">", titles[kind]);
    if (kind == PLOT_LATENCY)
        text_add(out, "Up: time from the intended start, on a logarithmic scale; to the right: "
                      "requests/s asked for."
                      "<span class=\"entry\"><span class=\"key\"></span>p50</span> <span "
                      "class=\"entry\"><span class=\"key p99\"></span>p99</span> "
                      "<span class=\"entry\"><span class=\"key bound\"></span>the bound</span> "
                      "<span class=\"key "
                      "others\"></span>p99 of the others");
    else
        text_add(out,
                 "Up: resident memory of the whole server, on a logarithmic scale; to the right: "
                 "connections."
                 "<span class=\"entry\"><span class=\"key\"></span>this server</span> <span "
                 "class=\"entry\"><span class=\"key others\"></span>the others</span> ");
    text_add(out,
             "</p>\n<svg class=\"hidden\" aria-hidden=\"true\"><g class=\"frame\" "
             "id=\"frame-%zu-%d\">%s<g "
             "class=\"others\">",
             w, (int)kind, it->frame);
    for (size_t s = 0; s < run->subject_count; s++) add_other(out, &it->curves[s]);
    text_add(out, "</g></g></svg>\n<div class=\"grid\">\n");
    for (size_t s = 0; s < run->subject_count; s++) {
        if (!it->curves[s].svg[0]) continue;
        text_add(out, "<figure class=\"curves\"><figcaption>");
        text_html(out, run->subjects[s].name);
        text_add(out, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                 PLOT_WIDTH, PLOT_HEIGHT);
        add_described(out, run, all, w, s, kind);
        text_add(out, "\"><use href=\"#frame-%zu-%d\"/>", w, (int)kind);
        add_curve(out, &it->curves[s], kind);
        text_add(out, "</svg></figure>\n");
    }
    text_add(out, "</div>\n");
}

/* --- Sections --- */

static void add_workload(text *out, const results *run, const summary *all, const plots *drawn,
                         size_t w) {
    char bound[SHOWN_MOST];
    const workload *it = &run->workloads[w];
    text_add(out, "<section id=\"workload-%zu\">\n<h2>", w);
    text_html(out, it->name);
    text_add(out, ": ");
    text_html(out, it->title);
    text_add(out, "</h2>\n");
    if (it->asks) {
        text_add(out, "<p class=\"asks\">");
        text_html(out, it->asks);
        text_add(out, "</p>\n");
    }
    text_add(out, "<div class=\"words\">");
    report_words(out, run, all, w);
    text_add(
        out,
        "</div>\n<p class=\"soft\">A server keeps up while p99 is within %s, 95 %% of what was "
        "asked for is "
        "answered and at most 1 in 1,000 fails.</p>\n",
        show_time(all->scenes[w].bound, bound));
    add_curves(out, run, all, drawn, w, PLOT_LATENCY);
    add_curves(out, run, all, drawn, w, PLOT_MEMORY);
    text_add(out, "<h3>Figures</h3>\n");
    report_tables(out, run, all, w);
    text_add(out, "</section>\n");
}

/* What the overview shows of a workload: what tells servers apart in it. */
static const char *overview_unit(const summary *all, size_t w) {
    const scene *set = &all->scenes[w];
    if (set->rates > 1) return "requests/s";
    if (set->crowds > 1) return "connections";
    for (size_t s = 0; s < all->subject_count; s++)
        if (summary_verdict(all, w, s)->closed.rounds > 0) return "answers/s";
    return "p99";
}

static void add_overview_cell(text *out, const summary *all, size_t w, size_t s) {
    const char *unit = overview_unit(all, w);
    const verdict *v = summary_verdict(all, w, s);
    char buf[SHOWN_MOST];
    if (!v->measured)
        text_add(out, "<td>%s</td>", v->reason ? "failed" : "-");
    else if (unit[0] == 'r')
        text_add(out, "<td>%s%s</td>", v->kept_all ? "≥ " : "", show_number(v->kept.median, buf));
    else if (unit[0] == 'c')
        text_add(out, "<td>%s%s</td>", v->crowd_all ? "≥ " : "", show_number(v->crowd.median, buf));
    else if (unit[0] == 'a')
        text_add(out, "<td>%s</td>", show_number(v->closed.median, buf));
    else
        text_add(out, "<td>%s</td>", show_time(v->p99.median, buf));
}

static void add_overview(text *out, const results *run, const summary *all) {
    text_add(
        out,
        "<section id=\"overview\">\n<h2>Overview</h2>\n<p>What tells the servers apart in each "
        "workload, "
        "as its column says: the highest rate that each kept up with (requests/s), the largest "
        "crowd of "
        "idle connections, the most answers/s in closed loop, or p99 at the rate that all were "
        "asked for. ≥ says that nothing more was asked for, - that it does not do such work. The "
        "workloads below say which differences are ties.</p>\n<div class=\"scroll\" tabindex=\"0\" "
        "role=\"region\" "
        "aria-label=\"Overview\">\n<table>\n<thead><tr><th scope=\"col\">server</th>");
    for (size_t w = 0; w < run->workload_count; w++) {
        text_add(out, "<th scope=\"col\"><a href=\"#workload-%zu\">", w);
        text_html(out, run->workloads[w].name);
        text_add(out, "</a><small>%s</small></th>", overview_unit(all, w));
    }
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t s = 0; s < run->subject_count; s++) {
        if (run->subjects[s].missing) continue;
        text_add(out, "<tr%s><th scope=\"row\">", run->subjects[s].peer ? " class=\"peer\"" : "");
        text_html(out, run->subjects[s].name);
        text_add(out, "</th>");
        for (size_t w = 0; w < run->workload_count; w++) add_overview_cell(out, all, w, s);
        text_add(out, "</tr>\n");
    }
    text_add(out, "</tbody>\n</table>\n</div>\n</section>\n");
}

static void add_model(text *out, const subject *s) {
    text_add(out, "<article class=\"model\"><h3>");
    text_html(out, s->name);
    text_add(out, "</h3><p>");
    text_html(out, s->title ? s->title : "");
    if (s->version) {
        text_add(out, ", ");
        text_html(out, s->version);
    }
    text_add(out, "</p>\n");
    report_picture(out, s);
    if (s->waits) {
        text_add(out, "<p>");
        text_html(out, s->waits);
        text_add(out, "</p>");
    }
    if (s->file) {
        text_add(out, "<p class=\"soft\">");
        text_html(out, s->file);
        text_add(out, "</p>");
    }
    if (s->missing) {
        text_add(out, "<p class=\"soft\">Not measured: it takes the package ");
        text_html(out, s->missing);
        text_add(out, ".</p>");
    }
    text_add(out, "</article>\n");
}

static void add_models(text *out, const results *run) {
    text_add(out, "<section id=\"models\">\n<h2>Who waits where</h2>\n<p>Clients stand on the "
                  "left: a full dot is a request "
                  "that is served, an empty one a request that waits for somebody to be free, a "
                  "grey one a connection on which nothing has come. A "
                  "thick frame is a process, a thin one a "
                  "thread, a dashed one a light thread of the language, an open ring a loop. The "
                  "clock is where somebody sleeps until there is "
                  "something to do.</p>\n<div class=\"models\">\n");
    for (size_t s = 0; s < run->subject_count; s++) add_model(out, &run->subjects[s]);
    text_add(out, "</div>\n</section>\n");
}

/* --- Where and how --- */

static void add_fact(text *out, const char *what, const char *value) {
    if (!value || !value[0]) return;
    text_add(out, "<dt>%s</dt><dd>", what);
    text_html(out, value);
    text_add(out, "</dd>\n");
}

static void add_machine(text *out, const results *run) {
    const machine *m = &run->machine;
    char buf[SHOWN_MOST], line[128];
    text_add(out, "<section id=\"machine\">\n<h2>Machine and settings</h2>\n<dl>\n");
    add_fact(out, "Processor", m->cpu);
    snprintf(line, sizeof line, "%u; servers on %u, the generator on %u", m->cores, m->server_core,
             m->load_core);
    add_fact(out, "Cores", line);
    add_fact(out, "Memory", show_bytes((double)m->memory, buf));
    add_fact(out, "Kernel", m->kernel);
    add_fact(out, "System", m->os);
    add_fact(out, "Rondo", m->rondo);
    add_fact(out, "Measured", m->date);
    snprintf(line, sizeof line, "%llu descriptors, %llu threads", (unsigned long long)m->fd_limit,
             (unsigned long long)m->thread_limit);
    add_fact(out, "Limits", line);
    if (m->busy_before >= 0) {
        snprintf(line, sizeof line, "%.0f %% of the processors' time was in use",
                 m->busy_before * 100);
        add_fact(out, "Before the run", line);
    }
    snprintf(line, sizeof line, "%.60s, %u interleaved round%s, %zu points",
             run->mode ? run->mode : "", run->rounds, run->rounds == 1 ? "" : "s",
             run->point_count);
    add_fact(out, "Settings", line);
    text_add(out, "</dl>\n<h3>Do it again</h3>\n<pre><code>");
    text_html(out, run->command_line ? run->command_line : "");
    text_add(out, "</code></pre>\n<p>Beside this page, compare.json has every point and this "
                  "summary, compare.csv every point "
                  "in a row. They have the spread of each figure, too.</p>\n</section>\n");
}

static void add_method(text *out) {
    text_add(
        out,
        "<section id=\"method\">\n<h2>How it was measured, and what that can't tell</h2>\n<ul>\n"
        "<li>Requests are sent at a fixed rate whether or not earlier ones were answered, and "
        "latency counts from the time at "
        "which a request was <em>to be</em> sent: a server that stalls can't hide what it made "
        "others wait.</li>\n"
        "<li>Closed loop is the other way: each connection sends the next request when it has the "
        "answer. It shows the most that "
        "a server can do, and nothing about latency under a load that does not care.</li>\n"
        "<li>All servers are measured in each round, one after another, so that slow drifts of the "
        "machine touch all of them. Figures "
        "are medians of the rounds; the small ones are the lowest and the highest round.</li>\n"
        "<li>A <strong>tie</strong>: the rounds of the two overlap, or their medians are within 5 "
        "%% (20 %% where there is only "
        "one round). Nobody is called ahead in a tie. What a server keeps up with lies "
        "somewhere between the highest rate that it kept up with and the next one that it did not: "
        "both are shown, and only ranges "
        "that are apart are no tie.</li>\n"
        "<li>Client and server share one machine and talk over its loopback: no network, no loss, "
        "no slow links, and memory and "
        "caches are shared. Where the generator was more than 90 %% busy the table says so, and "
        "the "
        "figure is a lower bound.</li>\n"
        "<li>One core for the server (unless the settings say otherwise) is the fairest question "
        "for a loop and not the only one: models "
        "that use several cores by themselves gain with more of them.</li>\n"
        "<li>The workloads are small on purpose. Which model is right for a program depends on "
        "what its requests do; find the workload "
        "that is most like yours, and measure that.</li>\n</ul>\n</section>\n");
}

static void add_head(text *out, const results *run) {
    size_t measured = 0;
    for (size_t s = 0; s < run->subject_count; s++) measured += !run->subjects[s].missing;
    text_add(out,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
             "'unsafe-inline'\">\n"
             "<title>rondo compare: one server in %zu "
             "models</title>\n<style>\n%s</style>\n</head>\n<body>\n"
             "<a class=\"skip\" href=\"#overview\">To the results</a>\n<header>\n"
             "<h1>One small server, %zu ways to wait</h1>\n<p class=\"soft\">",
             measured, report_style, measured);
    text_html(out, run->machine.date ? run->machine.date : "");
    text_add(out, " · ");
    text_html(out, run->machine.cpu ? run->machine.cpu : "");
    text_add(out, " · ");
    text_html(out, run->machine.kernel ? run->machine.kernel : "");
    text_add(out, "</p>\n</header>\n<nav aria-label=\"Contents\"><ul>\n<li><a "
                  "href=\"#overview\">Overview</a></li>\n");
    for (size_t w = 0; w < run->workload_count; w++) {
        text_add(out, "<li><a href=\"#workload-%zu\">", w);
        text_html(out, run->workloads[w].name);
        text_add(out, "</a></li>\n");
    }
    text_add(out,
             "<li><a href=\"#models\">Models</a></li>\n<li><a href=\"#machine\">Machine</a></li>\n"
             "<li><a href=\"#method\">Method</a></li>\n</ul></nav>\n<main>\n");
}

static void add_warnings(text *out, const results *run, const char *why_not) {
    if (run->interrupted)
        text_add(out, "<p class=\"warn\"><strong>Interrupted:</strong> this run was ended before "
                      "it was done; what is missing was not "
                      "measured.</p>\n");
    if (run->machine.busy_before > 0.1)
        text_add(out,
                 "<p class=\"warn\"><strong>The machine was busy:</strong> %.0f %% of the "
                 "processors' time was in use before the "
                 "run began. Times mean little.</p>\n",
                 run->machine.busy_before * 100);
    if (run->rounds < 2)
        text_add(out, "<p class=\"warn\"><strong>One round:</strong> there is no spread, so that "
                      "only differences above 20 %% are "
                      "called differences.</p>\n");
    if (why_not) {
        text_add(out, "<p class=\"warn\"><strong>No curves:</strong> ");
        text_html(out, why_not);
        text_add(out, ". The tables have all figures.</p>\n");
    }
}

void report_html(text *out, const results *run, const summary *all, const plots *drawn,
                 const char *why_not) {
    add_head(out, run);
    add_warnings(out, run, drawn ? NULL : why_not);
    add_overview(out, run, all);
    for (size_t w = 0; w < run->workload_count; w++) add_workload(out, run, all, drawn, w);
    add_models(out, run);
    add_machine(out, run);
    add_method(out);
    text_add(out, "</main>\n</body>\n</html>\n");
}
