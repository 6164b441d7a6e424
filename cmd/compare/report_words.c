/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what was seen in a workload, in words. Each sentence is made from figures that beat the noise, or says that they tie;
 * where blocking models win, that is said in bold, like everything that decides a choice.
 */
#include "report_parts.h"

#include <stdlib.h>
#include <string.h>

#define NAMED_MOST 6 /* of a list; the others are counted */

family family_of(const subject *s) {
    return s->peer ? FAMILY_PEER : s->blocks ? FAMILY_BLOCKING : FAMILY_LOOP;
}

/* --- What can be compared --- */

typedef enum metric {
    METRIC_KEPT,
    METRIC_CROWD,
    METRIC_CLOSED,
    METRIC_P99,
    METRIC_CPU,
    METRIC_MEMORY
} metric;

static const figure *figure_in(const verdict *v, metric m) {
    switch (m) {
    case METRIC_KEPT: return &v->kept;
    case METRIC_CROWD: return &v->crowd;
    case METRIC_CLOSED: return &v->closed;
    case METRIC_P99: return &v->p99;
    case METRIC_CPU: return &v->cpu;
    case METRIC_MEMORY: return &v->memory;
    }
    return NULL;
}

static bool more_is_better(metric m) { return m <= METRIC_CLOSED; }

/* > 0: a is better than b, beyond the noise. */
static int better(const figure *a, const figure *b, metric m) {
    int order = figure_order(a, b);
    return more_is_better(m) ? order : -order;
}

typedef struct sight {
    const results *run;
    const summary *all;
    const scene *set;
    size_t w;
} sight;

/* What a connection of a crowd takes is known of those that held it; the others have kept fewer. */
static const figure *figure_at(const sight *at, size_t s, metric m) {
    static const figure none = {NOT_MEASURED, NOT_MEASURED, NOT_MEASURED, 0};
    const verdict *v = summary_verdict(at->all, at->w, s);
    if (m == METRIC_MEMORY && at->set->crowds > 1 && !v->crowd_all) return &none;
    return figure_in(v, m);
}

#define ANY_FAMILY (-1)
#define NOBODY ((size_t)-1)

/* Who has the best median. */
static size_t best_of(const sight *at, metric m, int of_family) {
    size_t best = NOBODY;
    for (size_t s = 0; s < at->run->subject_count; s++) {
        const figure *f = figure_at(at, s, m);
        if (f->rounds == 0) continue;
        if (of_family >= 0 && (int)family_of(&at->run->subjects[s]) != of_family) continue;
        if (best == NOBODY) {
            best = s;
            continue;
        }
        double mine = f->median, its = figure_at(at, best, m)->median;
        if (more_is_better(m) ? mine > its : mine < its) best = s;
    }
    return best;
}

/* --- Words --- */

static void add_name(text *out, const sight *at, size_t s) {
    text_add(out, "<b>");
    text_html(out, at->run->subjects[s].name);
    text_add(out, "</b>");
}

static void add_value(text *out, const figure *f, metric m) {
    char buf[SHOWN_MOST];
    if (m == METRIC_KEPT || m == METRIC_CLOSED)
        text_add(out, "%s/s", show_number(f->median, buf));
    else if (m == METRIC_CROWD)
        text_add(out, "%s", show_number(f->median, buf));
    else if (m == METRIC_MEMORY)
        text_add(out, "%s", show_bytes(f->median, buf));
    else
        text_add(out, "%s", show_time(f->median, buf));
}

/* "a, b and c", of those marked. Returns how many. */
static size_t add_names(text *out, const sight *at, const bool *marked) {
    size_t count = 0, done = 0, shown;
    for (size_t s = 0; s < at->run->subject_count; s++) count += marked[s];
    shown = count > NAMED_MOST + 1 ? NAMED_MOST : count;
    for (size_t s = 0; s < at->run->subject_count && done < shown; s++) {
        if (!marked[s]) continue;
        if (done > 0) text_add(out, done + 1 == count ? " and " : ", ");
        add_name(out, at, s);
        done++;
    }
    if (count > shown) text_add(out, " and %zu others", count - shown);
    return count;
}

/* Marks those that tie with the leader, not the leader. Returns how many. */
static size_t mark_ties(const sight *at, metric m, size_t leader, bool *marked) {
    size_t count = 0;
    for (size_t s = 0; s < at->run->subject_count; s++) {
        const figure *f = figure_at(at, s, m);
        marked[s] = s != leader && f->rounds > 0 && figure_tie(f, figure_at(at, leader, m));
        count += marked[s];
    }
    return count;
}

/* "b and c tie with it". */
static void add_ties(text *out, const sight *at, metric m, size_t leader, bool *marked) {
    if (mark_ties(at, m, leader, marked) == 0) return;
    text_add(out, " (a tie with ");
    add_names(out, at, marked);
    text_add(out, ")");
}

/* --- Sentences --- */

/* Marks those that kept up with nothing. Returns how many. */
static size_t mark_lost(const sight *at, bool *marked) {
    size_t count = 0;
    for (size_t s = 0; s < at->run->subject_count; s++) {
        const verdict *v = summary_verdict(at->all, at->w, s);
        marked[s] = v->kept.rounds > 0 && v->kept.median <= 0;
        count += marked[s];
    }
    return count;
}

/* Where one rate was asked for: who kept up with it, and who did not. */
static void say_kept_one(text *out, const sight *at, bool *marked) {
    char rate[SHOWN_MOST], bound[SHOWN_MOST];
    size_t count = 0, lost = mark_lost(at, marked);
    for (size_t s = 0; s < at->run->subject_count; s++) {
        marked[s] = figure_at(at, s, METRIC_KEPT)->median > 0;
        count += marked[s];
    }
    show_number(at->set->lowest, rate);
    show_time(at->set->bound, bound);
    if (lost == 0 && count > 1) {
        text_add(out, "All kept up with %s requests/s (p99 within %s). ", rate, bound);
        return;
    }
    if (count == 0)
        text_add(out, "Nobody");
    else
        add_names(out, at, marked);
    text_add(out, " kept up with %s requests/s (p99 within %s)", rate, bound);
    if (count > 0 && mark_lost(at, marked) > 0) {
        text_add(out, "; ");
        add_names(out, at, marked);
        text_add(out, " did not");
    }
    text_add(out, ". ");
}

static void say_kept(text *out, const sight *at, bool *marked) {
    char rate[SHOWN_MOST], bound[SHOWN_MOST];
    size_t best = best_of(at, METRIC_KEPT, ANY_FAMILY);
    if (best == NOBODY || at->set->rates == 0 || at->set->crowds > 1) return;
    if (at->set->rates == 1) {
        say_kept_one(out, at, marked);
        return;
    }
    const figure *most = figure_at(at, best, METRIC_KEPT);
    if (most->median <= 0) {
        text_add(out, "Nobody kept up with any rate. ");
        return;
    }
    add_name(out, at, best);
    text_add(out, " kept up with the most, %s%s requests/s (p99 within %s)",
             summary_verdict(at->all, at->w, best)->kept_all ? "at least " : "",
             show_number(most->median, rate), show_time(at->set->bound, bound));
    add_ties(out, at, METRIC_KEPT, best, marked);
    text_add(out, ". ");
    if (mark_lost(at, marked) == 0) return;
    add_names(out, at, marked);
    text_add(out, " kept up with none of the rates. ");
}

static void say_crowd(text *out, const sight *at, bool *marked) {
    char buf[SHOWN_MOST];
    size_t all = 0, less = 0;
    if (at->set->crowds < 2) return;
    for (size_t s = 0; s < at->run->subject_count; s++) {
        marked[s] = summary_verdict(at->all, at->w, s)->crowd_all;
        all += marked[s];
    }
    if (all > 0) {
        add_names(out, at, marked);
        text_add(out, " held the largest crowd, %s connections. ",
                 show_number(at->set->most_idle, buf));
    } else {
        text_add(out, "Nobody held the largest crowd, %s connections. ",
                 show_number(at->set->most_idle, buf));
    }
    for (size_t s = 0; s < at->run->subject_count; s++) {
        const verdict *v = summary_verdict(at->all, at->w, s);
        marked[s] = v->crowd.rounds > 0 && !v->crowd_all;
        less += marked[s];
    }
    if (all == 0 || less == 0) return;
    add_names(out, at, marked);
    text_add(out, " did not. ");
}

/* "In closed loop a answered the most, 5/s (a tie with b)." Or, where nobody is ahead: "In closed loop all tie, about 5/s." */
static void say_best(text *out, const sight *at, metric m, const char *where, const char *most,
                     bool *marked) {
    size_t best = best_of(at, m, ANY_FAMILY), known = 0;
    if (best == NOBODY) return;
    for (size_t s = 0; s < at->run->subject_count; s++) known += figure_at(at, s, m)->rounds > 0;
    bool all_tie = known > 1 && mark_ties(at, m, best, marked) == known - 1;
    text_add(out, "%s ", where);
    if (all_tie) {
        text_add(out, "all tie, about ");
    } else {
        add_name(out, at, best);
        text_add(out, " %s, ", most);
    }
    add_value(out, figure_at(at, best, m), m);
    if (!all_tie) add_ties(out, at, m, best, marked);
    text_add(out, ". ");
}

static void say_common(text *out, const sight *at, bool *marked) {
    char buf[SHOWN_MOST], where[128];
    if (!at->set->common) return;
    snprintf(where, sizeof where, "In p99 at %s/s", show_number(at->set->common_asked, buf));
    say_best(out, at, METRIC_P99, where, "has the lowest", marked);
    say_best(out, at, METRIC_CPU, "In CPU per request there", "takes the least", marked);
}

/* What the best blocking model and the best loop differ in. Returns how much could be compared, and lists those in which the one wins that
 * is asked for: "in CPU for each request (pool 12 µs, loop 14 µs)". */
static size_t list_wins(text *out, const sight *at, bool blocking_wins) {
    static const struct {
        metric m;
        const char *what;
    } rows[] = {
        {METRIC_KEPT, "in the rate kept up with"}, {METRIC_CROWD, "in the connections held"},
        {METRIC_CLOSED, "in closed loop"},         {METRIC_P99, "in p99 at the common rate"},
        {METRIC_CPU, "in CPU per request"},        {METRIC_MEMORY, "in memory per connection"},
    };
    size_t compared = 0, told = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        metric m = rows[i].m;
        size_t blocking = best_of(at, m, FAMILY_BLOCKING), loop = best_of(at, m, FAMILY_LOOP);
        /* A few busy connections are within a page or two of memory: only a crowd tells what one takes. */
        if (m == METRIC_MEMORY && at->set->crowds < 2) continue;
        if (blocking == NOBODY || loop == NOBODY || (m == METRIC_KEPT && at->set->crowds > 1))
            continue;
        size_t winner = blocking_wins ? blocking : loop, other = blocking_wins ? loop : blocking;
        compared++;
        if (better(figure_at(at, winner, m), figure_at(at, other, m), m) <= 0) continue;
        text_add(out, "%s%s (", told++ > 0 ? ", " : " ", rows[i].what);
        add_name(out, at, winner);
        text_add(out, " ");
        add_value(out, figure_at(at, winner, m), m);
        text_add(out, ", ");
        add_name(out, at, other);
        text_add(out, " ");
        add_value(out, figure_at(at, other, m), m);
        text_add(out, ")");
    }
    return compared;
}

static void say_families(text *out, const sight *at) {
    text blocking = {0}, loops = {0};
    size_t compared = list_wins(&blocking, at, true);
    list_wins(&loops, at, false);
    if (blocking.len > 0)
        text_add(out, "<strong class=\"blocking\">Blocking wins</strong>%s. ", blocking.data);
    if (loops.len > 0) text_add(out, "<strong class=\"loops\">Loops win</strong>%s. ", loops.data);
    if (compared > 0 && blocking.len == 0 && loops.len == 0)
        text_add(out, "<strong class=\"tie\">Blocking models and loops tie here.</strong> ");
    out->failed = out->failed || blocking.failed || loops.failed;
    text_free(&blocking);
    text_free(&loops);
}

static void end_paragraph(text *out) {
    if (out->len > 0 && out->data[out->len - 1] == ' ') out->data[--out->len] = '\0';
    text_add(out, "</p>");
}

void report_words(text *out, const results *run, const summary *all, size_t w) {
    const sight at = {run, all, &all->scenes[w], w};
    bool *marked = calloc(run->subject_count + 1, sizeof *marked);
    if (!marked) {
        out->failed = true;
        return;
    }
    size_t before = out->len;
    text_add(out, "<p>");
    if (at.set->measured == 0) text_add(out, "Nothing was measured.");
    say_kept(out, &at, marked);
    say_crowd(out, &at, marked);
    if (out->len == before + 3)
        say_best(out, &at, METRIC_CLOSED, "In closed loop", "answered the most", marked);
    say_families(out, &at);
    end_paragraph(out);
    before = out->len;
    text_add(out, "<p>");
    if (at.set->rates > 1 || at.set->crowds > 1)
        say_best(out, &at, METRIC_CLOSED, "In closed loop", "answered the most", marked);
    say_common(out, &at, marked);
    if (out->len == before + 3)
        out->len = before, out->data[before] = '\0';
    else
        end_paragraph(out);
    free(marked);
}
