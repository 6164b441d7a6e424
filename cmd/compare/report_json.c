/* SPDX-License-Identifier: MIT
 *
 * rondo compare: compare.json: the machine, the settings, every point and the summary. Names of members carry the unit; what was
 * not measured is null. tools/compare_docs.py reads it.
 */
#include "report_parts.h"

#define FORMAT 1 /* another one when a reader of the last would misunderstand */

/* --- Members; `first` of an object or array has no comma in front --- */

static void name(text *out, const char *key) {
    if (out->len > 0 && out->data[out->len - 1] != '{') text_add(out, ", ");
    text_add(out, "\"%s\": ", key);
}

static void string(text *out, const char *key, const char *value) {
    name(out, key);
    text_json(out, value);
}

static void number(text *out, const char *key, double value) {
    name(out, key);
    text_number(out, value, "null");
}

static void count(text *out, const char *key, uint64_t value) {
    name(out, key);
    text_add(out, "%llu", (unsigned long long)value);
}

static void boolean(text *out, const char *key, bool value) {
    name(out, key);
    text_add(out, value ? "true" : "false");
}

/* A closed loop asks for nothing of its own: null. */
static void asked(text *out, double value) {
    number(out, "asked_per_s", value > 0 ? value : NOT_MEASURED);
}

static void add_figure(text *out, const char *key, figure f) {
    name(out, key);
    text_add(out, "{");
    number(out, "median", f.median);
    number(out, "low", f.low);
    number(out, "high", f.high);
    count(out, "rounds", f.rounds);
    text_add(out, "}");
}

/* --- What was measured, and where --- */

static void add_machine(text *out, const results *run) {
    const machine *m = &run->machine;
    text_add(out, "  \"machine\": {");
    string(out, "cpu", m->cpu);
    string(out, "kernel", m->kernel);
    string(out, "os", m->os);
    string(out, "date", m->date);
    string(out, "rondo", m->rondo);
    count(out, "cores", m->cores);
    count(out, "memory_bytes", m->memory);
    count(out, "server_core", m->server_core);
    count(out, "server_cores", m->server_cores);
    count(out, "generator_core", m->load_core);
    count(out, "fd_limit", m->fd_limit);
    count(out, "thread_limit", m->thread_limit);
    number(out, "busy_before_share", m->busy_before);
    text_add(out, "},\n  \"settings\": {");
    string(out, "command_line", run->command_line);
    string(out, "mode", run->mode);
    count(out, "rounds", run->rounds);
    boolean(out, "interrupted", run->interrupted);
    text_add(out, "},\n");
}

static void add_subjects(text *out, const results *run) {
    text_add(out, "  \"subjects\": [");
    for (size_t i = 0; i < run->subject_count; i++) {
        const subject *s = &run->subjects[i];
        text_add(out, i ? ",\n    {" : "\n    {");
        string(out, "name", s->name);
        string(out, "title", s->title);
        string(out, "waits", s->waits);
        string(out, "file", s->file);
        string(out, "version", s->version);
        boolean(out, "peer", s->peer);
        string(out, "missing_package", s->missing);
        text_add(out, "}");
    }
    text_add(out, "\n  ],\n  \"workloads\": [");
    for (size_t i = 0; i < run->workload_count; i++) {
        const workload *w = &run->workloads[i];
        text_add(out, i ? ",\n    {" : "\n    {");
        string(out, "name", w->name);
        string(out, "title", w->title);
        string(out, "asks", w->asks);
        number(out, "bound_us", workload_bound(w));
        text_add(out, "}");
    }
    text_add(out, "\n  ],\n");
}

static void add_load(text *out, const results *run, size_t w, size_t s, unsigned connections,
                     unsigned idle, double rate) {
    string(out, "workload", run->workloads[w].name);
    string(out, "subject", run->subjects[s].name);
    count(out, "connections", connections);
    count(out, "idle_connections", idle);
    asked(out, rate);
}

static void add_point(text *out, const results *run, const point *p) {
    add_load(out, run, p->workload, p->subject, p->connections, p->idle, p->asked);
    count(out, "round", p->round);
    number(out, "seconds", p->seconds);
    count(out, "done", p->done);
    count(out, "errors", p->errors);
    count(out, "refused", p->refused);
    count(out, "resets", p->resets);
    count(out, "timeouts", p->timeouts);
    count(out, "wrong", p->wrong);
    count(out, "late", p->late);
    number(out, "rate_per_s", p->rate);
    number(out, "p50_us", p->p50);
    number(out, "p75_us", p->p75);
    number(out, "p90_us", p->p90);
    number(out, "p99_us", p->p99);
    number(out, "p99_9_us", p->p999);
    number(out, "max_us", p->max);
    number(out, "cpu_us_per_request", p->cpu);
    number(out, "voluntary_switches_per_request", p->voluntary);
    number(out, "involuntary_switches_per_request", p->involuntary);
    number(out, "resident_bytes_per_connection", p->resident);
    number(out, "kernel_bytes_per_connection", p->kernel);
    number(out, "total_resident_bytes", p->total_resident);
    count(out, "threads", p->threads);
    count(out, "processes", p->processes);
    count(out, "fds", p->fds);
    number(out, "generator_busy_share", p->load_busy);
    string(out, "reason", p->reason);
}

/* --- The summary --- */

static void add_outcome(text *out, const results *run, const outcome *o) {
    add_load(out, run, o->workload, o->subject, o->connections, o->idle, o->asked);
    count(out, "rounds", o->rounds);
    count(out, "kept_up_rounds", o->kept_rounds);
    boolean(out, "kept_up", o->kept);
    boolean(out, "generator_limited", o->generator_limited);
    count(out, "done", o->done);
    count(out, "errors", o->errors);
    count(out, "refused", o->refused);
    count(out, "late", o->late);
    add_figure(out, "rate_per_s", o->rate);
    add_figure(out, "p50_us", o->p50);
    add_figure(out, "p75_us", o->p75);
    add_figure(out, "p90_us", o->p90);
    add_figure(out, "p99_us", o->p99);
    add_figure(out, "p99_9_us", o->p999);
    add_figure(out, "max_us", o->max);
    add_figure(out, "cpu_us_per_request", o->cpu);
    add_figure(out, "voluntary_switches_per_request", o->voluntary);
    add_figure(out, "involuntary_switches_per_request", o->involuntary);
    add_figure(out, "resident_bytes_per_connection", o->resident);
    add_figure(out, "kernel_bytes_per_connection", o->kernel);
    add_figure(out, "total_resident_bytes", o->total_resident);
    add_figure(out, "generator_busy_share", o->load_busy);
    count(out, "threads", o->threads);
    count(out, "processes", o->processes);
    count(out, "fds", o->fds);
    string(out, "reason", o->reason);
}

static void add_verdict(text *out, const results *run, const verdict *v) {
    string(out, "subject", run->subjects[v->subject].name);
    boolean(out, "measured", v->measured);
    add_figure(out, "kept_up_per_s", v->kept);
    boolean(out, "kept_up_with_all", v->kept_all);
    add_figure(out, "closed_loop_per_s", v->closed);
    add_figure(out, "crowd_connections", v->crowd);
    boolean(out, "crowd_all", v->crowd_all);
    add_figure(out, "p99_us", v->p99);
    add_figure(out, "cpu_us_per_request", v->cpu);
    add_figure(out, "resident_bytes_per_connection", v->memory);
    string(out, "reason", v->reason);
}

static void add_scene(text *out, const results *run, const summary *all, const scene *set) {
    text words = {0};
    string(out, "workload", run->workloads[set->workload].name);
    report_words(&words, run, all, set->workload);
    string(out, "words_html", words.data);
    out->failed = out->failed || words.failed;
    text_free(&words);
    boolean(out, "common", set->common);
    asked(out, set->common_asked);
    count(out, "connections", set->common_connections);
    count(out, "idle_connections", set->common_idle);
    name(out, "verdicts");
    text_add(out, "[");
    for (size_t s = 0; s < all->subject_count; s++) {
        text_add(out, s ? ",\n      {" : "\n      {");
        add_verdict(out, run, summary_verdict(all, set->workload, s));
        text_add(out, "}");
    }
    text_add(out, "\n    ]");
}

void report_json(text *out, const results *run, const summary *all) {
    text_add(out, "{\n  \"format\": %d,\n", FORMAT);
    add_machine(out, run);
    add_subjects(out, run);
    text_add(out, "  \"points\": [");
    for (size_t i = 0; i < run->point_count; i++) {
        text_add(out, i ? ",\n    {" : "\n    {");
        add_point(out, run, &run->points[i]);
        text_add(out, "}");
    }
    text_add(out, "\n  ],\n  \"loads\": [");
    for (size_t i = 0; i < all->outcome_count; i++) {
        text_add(out, i ? ",\n    {" : "\n    {");
        add_outcome(out, run, &all->outcomes[i]);
        text_add(out, "}");
    }
    text_add(out, "\n  ],\n  \"summary\": [");
    for (size_t w = 0; w < all->workload_count; w++) {
        text_add(out, w ? ",\n    {" : "\n    {");
        add_scene(out, run, all, &all->scenes[w]);
        text_add(out, "}");
    }
    text_add(out, "\n  ]\n}\n");
}
