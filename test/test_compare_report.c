/* SPDX-License-Identifier: MIT
 *
 * What rondo compare shows of its results: the files (compare_report_test.py reads them as others would), the bar and the table.
 */
#include "../cmd/compare/report_parts.h"

#include "compare_sample.h"
#include "harness.h"

#include <math.h>
#include <unistd.h>

/* Whatever comes from outside says what would do harm somewhere. */
#define HOSTILE "</td><script>alert(1)</script>\"'&=1+1,\\\n\t\033[2J\001\377`id`$(id)%s%n<!--]]>"

static void make_hostile(results *run) {
    static char hostile[] = HOSTILE;
    run->machine.cpu = run->machine.kernel = run->machine.os = run->machine.date =
        run->machine.rondo = hostile;
    run->command_line = hostile;
    run->mode = hostile;
    run->interrupted = true;
    run->machine.busy_before = 0.5;
    for (size_t s = 0; s < run->subject_count; s++) {
        subject *it = &run->subjects[s];
        it->title = it->waits = it->file = it->version = hostile;
        if (s % 5 == 0) it->name = hostile;
        if (s % 7 == 0) it->missing = hostile;
    }
    for (size_t w = 0; w < run->workload_count; w++)
        run->workloads[w].name = run->workloads[w].title = run->workloads[w].asks = hostile;
    for (size_t i = 0; i < run->point_count; i += 3) run->points[i].reason = hostile;
    for (size_t i = 0; i < run->point_count; i += 11) {
        run->points[i].p50 = NAN;
        run->points[i].p99 = INFINITY;
        run->points[i].cpu = NOT_MEASURED;
    }
}

/* For compare_report_test.py: the report of what $SAMPLE asks for, into $OUT. */
TEST_HIDDEN(write_sample) {
    const char *kind = getenv("SAMPLE"), *out = getenv("OUT");
    results run;
    sample_begin(&run, SAMPLE_MODELS, strcmp(kind, "few") == 0 ? 0 : SAMPLE_PEERS);
    if (strcmp(kind, "many") == 0)
        run.subjects[20].missing = "ocaml-nox", run.subjects[19].missing = "python3-gevent";
    sample_fill(&run, strcmp(kind, "single") == 0 ? 1 : 3);
    if (strcmp(kind, "hostile") == 0) make_hostile(&run);
    if (strcmp(kind, "nothing") == 0) run.point_count = 0;
    int rc = report_write(&run, out);
    sample_end(&run);
    if (rc != 0) _exit(rc);
}

/* The same for the terminal: what is seen of a run, on standard output. */
TEST_HIDDEN(show_sample) {
    results run;
    progress bar;
    sample_begin(&run, SAMPLE_MODELS, SAMPLE_PEERS);
    run.subjects[20].missing = "ocaml-nox";
    sample_fill(&run, 3);
    progress_begin(&bar, stdout, 40);
    for (size_t w = 0; w < run.workload_count; w++) {
        for (size_t i = 0; i < 8; i++)
            progress_show(&bar, w * 8 + i, "hello, epoll-et, 20,000/s, round 2 of 3");
        progress_clear(&bar);
        CHECK(report_workload(stdout, &run, w));
    }
    sample_end(&run);
}

/* --- Text --- */

#define CHECK_MADE(add, from, want)  \
    do {                             \
        text made_ = {0};            \
        text_add(&made_, "%s", "");  \
        add(&made_, from);           \
        CHECK_STR(made_.data, want); \
        text_free(&made_);           \
    } while (0)

TEST(html_text) {
    CHECK_MADE(text_html, "<script>&\"'", "&lt;script&gt;&amp;&quot;&#39;");
    CHECK_MADE(text_html, "a\nb\tc", "a b c");
    CHECK_MADE(text_html, "\033[31mred\177", "\357\277\275[31mred\357\277\275");
    CHECK_MADE(text_html, "", "");
}

TEST(what_is_no_utf_8_is_replaced) {
#define R "\357\277\275"
    CHECK_MADE(text_html, "\303\244\342\202\254\360\237\230\200",
               "\303\244\342\202\254\360\237\230\200");
    CHECK_MADE(text_html, "\377a", R "a");
    CHECK_MADE(text_html, "\200", R);
    CHECK_MADE(text_html, "\303", R);               /* cut off */
    CHECK_MADE(text_html, "\342\202<", R R "&lt;"); /* cut off, and what follows still counts */
    CHECK_MADE(text_html, "\300\274script", R R "script"); /* an overlong < */
    CHECK_MADE(text_html, "\340\200\274", R R R);
    CHECK_MADE(text_html, "\355\240\200", R R R);       /* a surrogate */
    CHECK_MADE(text_html, "\364\220\200\200", R R R R); /* above U+10FFFF */
    CHECK_MADE(text_html, "\302\205", R);               /* a control of Latin-1 */
    CHECK_MADE(text_html, "a\342\200\256b", "a" R "b"); /* turns the direction of writing */
    CHECK_MADE(text_html, "\357\277\277", R);           /* no character */
}

TEST(json_text) {
    CHECK_MADE(text_json, NULL, "null");
    CHECK_MADE(text_json, "", "\"\"");
    CHECK_MADE(text_json, "a\"b\\c\n\t\001\177", "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"");
    CHECK_MADE(text_json, "\377", "\"" R "\"");
}

TEST(csv_text) {
    CHECK_MADE(text_csv, "plain", "plain");
    CHECK_MADE(text_csv, "a,b", "\"a,b\"");
    CHECK_MADE(text_csv, "say \"hi\"", "\"say \"\"hi\"\"\"");
    CHECK_MADE(text_csv, "two\nlines", "\"two\nlines\"");
    CHECK_MADE(text_csv, "=1+1", "\"'=1+1\"");
    CHECK_MADE(text_csv, "-x", "\"'-x\"");
    CHECK_MADE(text_csv, "@x", "\"'@x\"");
}

static void columns_left(text *out, const char *from) { text_columns(out, from, 5, -1); }
static void columns_right(text *out, const char *from) { text_columns(out, from, 5, 1); }

TEST(columns_of_a_terminal) {
    CHECK_MADE(columns_left, "ab", "ab   ");
    CHECK_MADE(columns_right, "\302\265s", "   \302\265s");
    CHECK_MADE(columns_left, "abcde", "abcde");
    CHECK_MADE(columns_left, "abcdef", "abcd\342\200\246");
    CHECK_MADE(columns_left, "a\033[2J", "a?[2J");
}

TEST(numbers_for_people) {
    char buf[SHOWN_MOST];
    CHECK_STR(show_number(0, buf), "0");
    CHECK_STR(show_number(0.0041, buf), "0.0041");
    CHECK_STR(show_number(1.234, buf), "1.23");
    CHECK_STR(show_number(12.34, buf), "12.3");
    CHECK_STR(show_number(99.97, buf), "100");
    CHECK_STR(show_number(999, buf), "999");
    CHECK_STR(show_number(1234567, buf), "1,234,567");
    CHECK_STR(show_number(NOT_MEASURED, buf), "-");
    CHECK_STR(show_number(1e300, buf), "1,000,000,000,000,000");
    CHECK_STR(show_time(870, buf), "870 µs");
    CHECK_STR(show_time(999.7, buf), "1.00 ms");
    CHECK_STR(show_time(1234, buf), "1.23 ms");
    CHECK_STR(show_time(2500000, buf), "2.50 s");
    CHECK_STR(show_time(NOT_MEASURED, buf), "-");
    CHECK_STR(show_bytes(870, buf), "870 B");
    CHECK_STR(show_bytes(1536, buf), "1.50 KiB");
    CHECK_STR(show_bytes(5e9, buf), "4.66 GiB");
    CHECK_STR(show_bytes(NOT_MEASURED, buf), "-");
}

/* --- Curves --- */

/* Nothing has no logarithm. */
TEST(servers_without_connections_are_not_drawn) {
    results run;
    summary all;
    char why[256];
    sample_begin(&run, 2, 0);
    for (size_t s = 0; s < 2; s++) {
        point *p = sample_point(&run, 3, s, 0, 200);
        p->connections = s ? 100 : 0;
    }
    CHECK(summarize(&run, &all));
    plots *drawn = report_plots(&all, why);
    CHECK(drawn);
    CHECK(!plots_of(drawn, 3, PLOT_MEMORY) && !plots_of(drawn, 3, PLOT_LATENCY));
    plots_free(drawn);
    summary_free(&all);
    sample_end(&run);
}

/* --- Words --- */

static void check_words(const results *run, size_t w, const char *wanted, const char *unwanted) {
    summary all;
    text out = {0};
    CHECK(summarize(run, &all));
    report_words(&out, run, &all, w);
    if (!strstr(out.data, wanted)) FAIL("\"%s\" is not in: %s", wanted, out.data);
    if (unwanted && strstr(out.data, unwanted)) FAIL("\"%s\" is in: %s", unwanted, out.data);
    text_free(&out);
    summary_free(&all);
}

/* The figures of one server in workload 0, the same in three rounds but for a little. */
static void add_server(results *run, size_t s, double kept, double p99, double cpu, double memory) {
    for (unsigned r = 0; r < 3; r++)
        for (double asked = 1000; asked <= 64000; asked *= 2) {
            point *p = sample_point(run, 0, s, r, asked);
            p->p99 = asked > kept ? 1e7 : p99 + r;
            p->cpu = cpu * (1 + 0.001 * r), p->resident = memory;
        }
}

enum { ITERATIVE, FORK, PREFORK, THREAD, POOL, SELECT, POLL, EPOLL, EPOLL_ET, LOOP };

TEST(words_say_who_kept_up_and_who_ties) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 1);
    add_server(&run, LOOP, 16000, 1000, 10, 500);
    add_server(&run, EPOLL, 16000, 1020, 10, 500);
    add_server(&run, THREAD, 4000, 2000, 20, 33000);
    add_server(&run, FORK, 0, 2000, 20, 33000);
    check_words(&run, 0,
                "<b>epoll</b> kept up with the most, 16,000 requests/s (p99 within 50 ms) (a tie "
                "with <b>loop</b>)",
                "at least");
    check_words(&run, 0, "<b>fork</b> kept up with none of the rates", NULL);
    check_words(&run, 0,
                "<strong class=\"loops\">Loops win</strong> in the rate kept up with (<b>epoll</b> "
                "16,000/s, <b>thread</b> 4,000/s)",
                "Blocking wins");
    check_words(&run, 0, "in CPU per request (<b>epoll</b> 10.0 µs, <b>fork</b> 20.0 µs)",
                "memory");
    check_words(&run, 1, "Nothing was measured.", "kept up");
    sample_end(&run);
}

TEST(words_are_loud_where_blocking_wins) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 0);
    add_server(&run, LOOP, 4000, 1000, 20, 500);
    add_server(&run, POOL, 32000, 1000, 10, 500);
    check_words(&run, 0,
                "<strong class=\"blocking\">Blocking wins</strong> in the rate kept up with "
                "(<b>pool</b> 32,000/s, <b>loop</b> 4,000/s), in p99 at the common rate "
                "(<b>pool</b> 1.00 ms, <b>loop</b> 10 s), in CPU per request (<b>pool</b> 10.0 "
                "µs, <b>loop</b> 20.0 µs).",
                "Loops win");
    sample_end(&run);
}

TEST(words_say_where_models_tie) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 0);
    add_server(&run, LOOP, 16000, 1000, 20, 500);
    add_server(&run, THREAD, 16000, 1001, 20, 500);
    check_words(&run, 0, "Blocking models and loops tie here.", "win");
    check_words(&run, 0, "In CPU per request there all tie, about 20.0 µs", NULL);
    sample_end(&run);
}

TEST(peers_do_not_decide_between_models) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 2);
    add_server(&run, LOOP, 16000, 1000, 20, 500);
    add_server(&run, SAMPLE_MODELS, 64000, 1000, 20, 500);
    check_words(&run, 0, "<b>node</b> kept up with the most, at least 64,000", "win");
    sample_end(&run);
}

TEST(words_where_one_rate_was_asked_for) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 0);
    for (unsigned r = 0; r < 2; r++) {
        sample_point(&run, 4, FORK, r, 390);
        sample_point(&run, 4, LOOP, r, 390)->p99 = 9e5;
        sample_point(&run, 2, FORK, r, 390);
        sample_point(&run, 2, LOOP, r, 390);
    }
    check_words(&run, 4,
                "<b>fork</b> kept up with 390 requests/s (p99 within 100 ms); <b>loop</b> did not.",
                NULL);
    check_words(&run, 4,
                "<strong class=\"blocking\">Blocking wins</strong> in the rate kept up with", NULL);
    check_words(&run, 2, "All kept up with 390 requests/s", "win");
    sample_end(&run);
}

TEST(words_of_a_crowd) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 0);
    for (unsigned idle = 100; idle <= 1000; idle *= 10)
        for (size_t s = THREAD; s <= LOOP; s += LOOP - THREAD) {
            point *p = sample_point(&run, 3, s, 0, 200);
            p->idle = idle, p->resident = s == LOOP ? 500 : 20480;
            if (s == THREAD && idle == 1000) p->reason = "no more threads";
        }
    check_words(&run, 3,
                "<b>loop</b> held the largest crowd, 1,000 connections. <b>thread</b> did not.",
                "kept up");
    check_words(&run, 3, "in the connections held (<b>loop</b> 1,000, <b>thread</b> 100)", NULL);
    /* What the others take that stayed is no figure for a crowd. */
    check_words(&run, 3, "in the connections held", "in memory per connection");
    for (size_t i = 0; i < run.point_count; i++) run.points[i].reason = NULL;
    check_words(&run, 3, "in memory per connection (<b>loop</b> 500 B, <b>thread</b> 20 KiB)",
                "did not");
    sample_end(&run);
}

TEST(names_in_words_are_escaped) {
    results run;
    sample_begin(&run, SAMPLE_MODELS, 0);
    run.subjects[LOOP].name = "<b>loop&";
    add_server(&run, LOOP, 16000, 1000, 20, 500);
    check_words(&run, 0, "<b>&lt;b&gt;loop&amp;</b>", "<b><b>");
    sample_end(&run);
}
