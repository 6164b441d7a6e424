/* SPDX-License-Identifier: MIT
 *
 * Access logs: what a line looks like whatever a client sends, and what becomes of lines when the file
 * is rotated, can't be opened, is full or too slow.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "http/log/log.h"

/* ---- lines ---- */

static rondo_slice text_of(const char *text) { return rondo_slice_text(text); }

static rondo__log_clock a_clock(void) {
    rondo__log_clock clock = {.second = -1};
    CHECK_INT(setenv("TZ", "XYZ-5:30", 1), 0);
    tzset();
    CHECK(rondo__log_clock_set(&clock, 1795284055));
    return clock;
}

static rondo__log_entry an_entry(void) {
    return (rondo__log_entry){.remote = text_of("10.0.0.7"),
                              .method = text_of("GET"),
                              .target = text_of("/a?b"),
                              .referer = text_of("http://x/"),
                              .agent = text_of("curl/8"),
                              .minor = 1,
                              .status = 200,
                              .bytes = 5120,
                              .us = 1234567};
}

static void check_line(rondo_http_log_format format, const rondo__log_entry *entry,
                       const char *want) {
    static char line[RONDO__LOG_LINE_MOST + 1];
    rondo__log_clock clock = a_clock();
    size_t len = rondo__log_line(line, format, &clock, entry);

    line[len] = '\0';
    CHECK_STR(line, want);
}

TEST(lines_of_each_format) {
    rondo__log_entry entry = an_entry();

    check_line(RONDO_HTTP_LOG_COMMON, &entry,
               "10.0.0.7 - - [21/Nov/2026:23:30:55 +0530] \"GET /a?b HTTP/1.1\" 200 5120\n");
    check_line(RONDO_HTTP_LOG_COMBINED, &entry,
               "10.0.0.7 - - [21/Nov/2026:23:30:55 +0530] \"GET /a?b HTTP/1.1\" 200 5120 "
               "\"http://x/\" \"curl/8\"\n");
    check_line(RONDO_HTTP_LOG_JSON, &entry,
               "{\"time\":\"2026-11-21T23:30:55+05:30\",\"remote\":\"10.0.0.7\",\"method\":\"GET\","
               "\"target\":\"/a?b\",\"version\":\"1.1\",\"status\":200,\"bytes\":5120,"
               "\"ms\":1234.567,\"referer\":\"http://x/\",\"agent\":\"curl/8\"}\n");
    check_line(RONDO_HTTP_LOG_SHORT, &entry, "GET /a?b 200 5120 1234.6 ms\n");
    entry = (rondo__log_entry){.status = 400, .us = 49};
    check_line(RONDO_HTTP_LOG_COMBINED, &entry,
               "- - - [21/Nov/2026:23:30:55 +0530] \"-\" 400 - \"-\" \"-\"\n");
    check_line(
        RONDO_HTTP_LOG_JSON, &entry,
        "{\"time\":\"2026-11-21T23:30:55+05:30\",\"status\":400,\"bytes\":0,\"ms\":0.049}\n");
    check_line(RONDO_HTTP_LOG_SHORT, &entry, "- - 400 0 0.0 ms\n");
    entry.us = 99960;
    check_line(RONDO_HTTP_LOG_SHORT, &entry, "- - 400 0 100.0 ms\n");
}

TEST(hostile_octets_are_escaped) {
    rondo__log_entry entry = an_entry();

    entry.referer = text_of("a\"b\\c\nd\x1b[31m\x7f\xc3\xa4 e");
    entry.agent = rondo_slice_of("x\0y", 3);
    check_line(RONDO_HTTP_LOG_COMBINED, &entry,
               "10.0.0.7 - - [21/Nov/2026:23:30:55 +0530] \"GET /a?b HTTP/1.1\" 200 5120 "
               "\"a\\x22b\\x5cc\\x0ad\\x1b[31m\\x7f\\xc3\\xa4 e\" \"x\\x00y\"\n");
    check_line(
        RONDO_HTTP_LOG_JSON, &entry,
        "{\"time\":\"2026-11-21T23:30:55+05:30\",\"remote\":\"10.0.0.7\",\"method\":\"GET\","
        "\"target\":\"/a?b\",\"version\":\"1.1\",\"status\":200,\"bytes\":5120,"
        "\"ms\":1234.567,\"referer\":\"a\\\"b\\\\c\\u000ad\\u001b[31m\\u007f\\u00c3\\u00a4 e\","
        "\"agent\":\"x\\u0000y\"}\n");
    entry.target = text_of("/ \"\xff");
    check_line(RONDO_HTTP_LOG_SHORT, &entry, "GET /\\x20\\x22\\xff 200 5120 1234.6 ms\n");
}

TEST(long_values_are_cut_and_any_octets_make_one_line) {
    static char longest[8192], line[RONDO__LOG_LINE_MOST];
    rondo__log_entry entry = an_entry();
    rondo__log_clock clock = a_clock();

    for (int octet = 0; octet < 256; octet++) {
        memset(longest, octet, sizeof longest);
        rondo_slice all = rondo_slice_of(longest, sizeof longest);
        entry.remote = entry.method = entry.target = entry.referer = entry.agent = all;
        for (int format = 0; format < 4; format++) {
            size_t len = rondo__log_line(line, (rondo_http_log_format)format, &clock, &entry);
            CHECK(len <= sizeof line);
            CHECK(memchr(line, '\n', len) == line + len - 1);
            CHECK(memmem(line, len, "...", 3) != NULL);
            for (size_t i = 0; i + 1 < len; i++) CHECK(line[i] >= ' ' && line[i] < 0x7f);
        }
    }
}

TEST(times_are_local_and_formatted_once_a_second) {
    rondo__log_clock clock = {.second = -1};

    CHECK_INT(setenv("TZ", "ABC+3:00", 1), 0);
    tzset();
    CHECK(rondo__log_clock_set(&clock, 0));
    CHECK_STR(clock.common, "31/Dec/1969:21:00:00 -0300");
    CHECK_STR(clock.iso, "1969-12-31T21:00:00-03:00");
    strcpy(clock.common, "kept");
    CHECK(rondo__log_clock_set(&clock, 0));
    CHECK_STR(clock.common, "kept");
    CHECK(rondo__log_clock_set(&clock, 1));
    CHECK_STR(clock.common, "31/Dec/1969:21:00:01 -0300");
}

/* ---- a server with a log ---- */

typedef struct logged {
    web_host web;
    rondo_http_log *log;
    char directory[64], path[96];
    int errors, last_error;
} logged;

static void on_log_error(rondo_http_log *log, int error, void *arg) {
    logged *l = arg;
    CHECK(log == l->log);
    l->errors++;
    l->last_error = error;
}

static void open_logged(logged *l, rondo_http_log_format format) {
    *l = (logged){.errors = 0};
    web_open(&l->web, reply_target, NULL, NULL);
    strcpy(l->directory, "/tmp/rondo-log-XXXXXX");
    CHECK(mkdtemp(l->directory) != NULL);
    snprintf(l->path, sizeof l->path, "%s/log", l->directory);
    CHECK_INT(rondo_http_log_open(l->web.loop, l->path, format, &l->log), 0);
    CHECK_STR(rondo_kind(l->log), "http log");
    CHECK_INT(rondo_http_log_on_error(l->log, on_log_error, l), 0);
    CHECK_INT(rondo_http_server_on_response(l->web.server, rondo_http_log_response, l->log), 0);
}

/* All that was logged is in the file then. */
static void close_logged(logged *l) {
    char command[128];
    if (l->web.server) CHECK_INT(rondo_http_server_on_response(l->web.server, NULL, NULL), 0);
    rondo_close(l->log);
    web_close(&l->web);
    snprintf(command, sizeof command, "rm -r %s", l->directory);
    CHECK_INT(system(command), 0);
}

/* Waits, in turns, for what a worker brings. */
#define UNTIL(l, condition)                                                     \
    for (long long end = harness_now_ms() + 20000; !(condition);) {             \
        if (harness_now_ms() > end) FAIL("waited in vain for: %s", #condition); \
        rondo_loop_run((l)->web.loop, RONDO_RUN_NOWAIT);                        \
        if (!(condition)) harness_sleep_ms(1);                                  \
    }

/* What is in a file; static. */
static const char *content_of(const char *path) {
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return "";
    ssize_t len = read(fd, text, sizeof text - 1);
    CHECK(len >= 0);
    close(fd);
    text[len] = '\0';
    return text;
}

static int lines_in(const char *path) {
    int count = 0;
    for (const char *at = content_of(path); (at = strchr(at, '\n')); at++) count++;
    return count;
}

static void get(logged *l, const char *text) {
    web_peer peer;
    peer_ask(&l->web, &peer, text);
    peer_close(&peer);
    web_turns(&l->web, 3);
}

static rondo_http_log_figures figures_of(const logged *l) {
    rondo_http_log_figures figures;
    rondo_http_log_get_figures(l->log, &figures);
    return figures;
}

TEST(each_answer_is_a_line) {
    logged l;
    char method[16], target[64];
    int status;
    unsigned bytes;
    float ms;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    get(&l, "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    get(&l, "HEAD /two?x HTTP/1.1\r\nHost: a\r\n\r\n");
    get(&l, "BAD\r\n\r\n");
    UNTIL(&l, lines_in(l.path) == 3);
    const char *text = content_of(l.path);
    CHECK_INT(sscanf(text, "%15s %63s %d %u %f ms\n", method, target, &status, &bytes, &ms), 5);
    CHECK_STR(method, "GET");
    CHECK_STR(target, "/one");
    CHECK_INT(status, 200);
    CHECK_INT(bytes, 4);
    CHECK(strstr(text, "\nHEAD /two?x 200 0 ") != NULL);
    CHECK(strstr(text, " 400 ") != NULL);
    CHECK_INT(figures_of(&l).lines, 3);
    CHECK_INT(figures_of(&l).lost, 0);
    struct stat st;
    CHECK_INT(stat(l.path, &st), 0);
    CHECK_INT(st.st_mode & 0137, 0); /* nobody else reads who was here */
    close_logged(&l);
}

TEST(combined_lines_have_the_client_and_what_it_says) {
    logged l;

    open_logged(&l, RONDO_HTTP_LOG_COMBINED);
    get(&l, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \"x\" y\r\nReferer: z\r\n\r\n");
    UNTIL(&l, lines_in(l.path) == 1);
    const char *text = content_of(l.path);
    CHECK(strncmp(text, "127.0.0.1 - - [", 15) == 0);
    CHECK(strstr(text, "] \"GET / HTTP/1.1\" 200 1 \"z\" \"\\x22x\\x22 y\"\n") != NULL);
    close_logged(&l);
}

static void never_answer(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    *(rondo_http_response **)arg = response;
}

TEST(a_client_that_went_before_its_answer_is_a_499) {
    logged l;
    rondo_http_response *response = NULL;
    web_peer peer;

    open_logged(&l, RONDO_HTTP_LOG_COMMON);
    rondo_http_server_on_request(l.web.server, never_answer, &response);
    peer_ask(&l.web, &peer, GET("/gone"));
    peer_reset(&peer);
    web_turns(&l.web, 4);
    CHECK(response != NULL);
    rondo_http_response_reply(response, 200, NULL, rondo_slice_of(NULL, 0));
    UNTIL(&l, lines_in(l.path) == 1);
    const char *text = content_of(l.path);
    CHECK(strncmp(text, "127.0.0.1 - - [", 15) == 0);
    CHECK(strstr(text, "\"GET /gone HTTP/1.1\" 499 -\n") != NULL);
    close_logged(&l);
}

TEST(a_log_that_is_closed_has_all_lines_written) {
    logged l;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    web_peer peer;
    peer_open(&l.web, &peer);
    for (int i = 0; i < 200; i++) peer_say(&l.web, &peer, GET("/x"));
    peer_close(&peer);
    CHECK_INT(rondo_http_server_on_response(l.web.server, NULL, NULL), 0);
    rondo_close(l.log);
    rondo_close(l.web.server);
    CHECK_INT(rondo_loop_run(l.web.loop, RONDO_RUN_ALL), 0);
    CHECK_INT(lines_in(l.path), 200);
    rondo_loop_free(l.web.loop);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", l.directory);
    CHECK_INT(system(command), 0);
}

/* ---- rotation ---- */

TEST(a_log_is_reopened_without_losing_a_line) {
    logged l;
    char old[128];
    web_peer peer;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    peer_open(&l.web, &peer);
    snprintf(old, sizeof old, "%s.1", l.path);
    for (int i = 0; i < 5; i++) peer_say(&l.web, &peer, GET("/before"));
    UNTIL(&l, lines_in(l.path) > 0); /* it is open */
    CHECK_INT(rename(l.path, old), 0);
    peer_say(&l.web, &peer, GET("/between")); /* to the old one, by whatever name */
    CHECK_INT(rondo_http_log_reopen(l.log), 0);
    CHECK_INT(rondo_http_log_reopen(l.log), 0); /* twice is once */
    UNTIL(&l, access(l.path, F_OK) == 0 && l.log->next == NULL);
    for (int i = 0; i < 3; i++) peer_say(&l.web, &peer, GET("/after"));
    UNTIL(&l, lines_in(l.path) == 3 && lines_in(old) == 6);
    CHECK(strstr(content_of(l.path), "/before") == NULL);
    CHECK(strstr(content_of(old), "/after") == NULL);
    CHECK_INT(figures_of(&l).lost, 0);
    CHECK_INT(l.errors, 0);
    peer_close(&peer);
    close_logged(&l);
}

TEST(a_log_that_cannot_be_reopened_goes_on_with_the_old_file) {
    logged l;
    char elsewhere[128];

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    get(&l, GET("/before"));
    UNTIL(&l, lines_in(l.path) == 1);
    snprintf(elsewhere, sizeof elsewhere, "%s-moved", l.directory);
    CHECK_INT(rename(l.directory, elsewhere), 0);
    CHECK_INT(rondo_http_log_reopen(l.log), 0);
    UNTIL(&l, l.errors == 1);
    CHECK_INT(l.last_error, RONDO_ENOENT);
    get(&l, GET("/after"));
    CHECK_INT(rename(elsewhere, l.directory), 0);
    UNTIL(&l, lines_in(l.path) == 2);
    CHECK_INT(figures_of(&l).lost, 0);
    close_logged(&l);
}

TEST(a_log_that_cannot_be_opened_counts_and_tries_again) {
    logged l;
    char moved[128];

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    UNTIL(&l, access(l.path, F_OK) == 0);
    web_turns(&l.web, 20);
    rondo_http_server_on_response(l.web.server, NULL, NULL);
    rondo_close(l.log);
    web_turns(&l.web, 3);
    snprintf(moved, sizeof moved, "%s-moved", l.directory);
    CHECK_INT(rename(l.directory, moved), 0);
    CHECK_INT(rondo_http_log_open(l.web.loop, l.path, RONDO_HTTP_LOG_JSON, &l.log), 0);
    CHECK_INT(rondo_http_log_on_error(l.log, on_log_error, &l), 0);
    CHECK_INT(rondo_http_server_on_response(l.web.server, rondo_http_log_response, l.log), 0);
    get(&l, GET("/lost")); /* before it is known, or after */
    UNTIL(&l, l.errors == 1);
    get(&l, GET("/lost"));
    CHECK_INT(figures_of(&l).lost, 2);
    CHECK_INT(figures_of(&l).lines, 0);
    web_advance(&l.web, 10000);
    UNTIL(&l, l.log->next == NULL);
    CHECK_INT(l.errors, 1); /* said once */
    CHECK_INT(rename(moved, l.directory), 0);
    web_advance(&l.web, 10000);
    UNTIL(&l, l.log->stream != NULL);
    get(&l, GET("/written"));
    UNTIL(&l, lines_in(l.path) == 2);
    const char *text = content_of(l.path);
    CHECK(strstr(text, "\"lost\":2}\n") != NULL);
    CHECK(strstr(text, "/written") > strstr(text, "\"lost\":2}\n"));
    close_logged(&l);
}

/* ---- a stream, and one that nobody reads ---- */

static void note_failure(rondo_stream *stream, int error, void *arg) {
    (void)stream, (void)error, (void)arg;
}

TEST(lines_that_nobody_takes_are_dropped_and_counted) {
    web_host web;
    rondo_http_log *log;
    rondo_stream *reader, *writer;
    rondo_http_log_figures figures;
    web_peer peer;

    web_open(&web, reply_target, NULL, NULL);
    CHECK_INT(rondo_stream_new_pipe(web.loop, &reader, &writer), 0);
    CHECK_INT(rondo_http_log_on(writer, (rondo_http_log_format)9, &log), RONDO_EINVAL);
    CHECK_INT(rondo_http_log_on(writer, RONDO_HTTP_LOG_COMMON, &log), 0);
    CHECK_INT(rondo_http_log_reopen(log), RONDO_EINVAL);
    rondo_http_log_set_bound(log, 1); /* so little is not possible */
    CHECK_INT(rondo_http_server_on_response(web.server, rondo_http_log_response, log), 0);
    CHECK_INT(rondo_stream_on_error(writer, note_failure, NULL), 0);
    rondo_pause(reader);
    peer_open(&web, &peer);
    uint64_t asked = 0;
    do {
        char text[600];
        snprintf(text, sizeof text, "GET /%0500d HTTP/1.1\r\nHost: a\r\n\r\n", (int)asked++);
        peer_say(&web, &peer, text);
        peer_forget(&peer);
        rondo_http_log_get_figures(log, &figures);
        CHECK_INT(figures.lines + figures.lost, asked);
    } while (figures.lost < 3);
    rondo_stream_figures queue;
    rondo_stream_get_figures(writer, &queue);
    CHECK(queue.queued <= RONDO__LOG_LINE_MOST + 8192);
    /* Nobody ever will: the stream fails, and the lines are just counted. */
    rondo_close(reader);
    web_turns(&web, 5);
    peer_say(&web, &peer, GET("/lost"));
    rondo_http_log_get_figures(log, &figures);
    CHECK_INT(figures.lines + figures.lost, asked + 1);
    peer_close(&peer);
    rondo_http_server_on_response(web.server, NULL, NULL);
    rondo_close(log);
    if (!rondo_is_closing(web.server)) web_turns(&web, 1);
    web_close(&web);
}

static void gather(rondo_stream *stream, rondo_slice chunk, void *arg) {
    char *text = arg;
    size_t len = strlen(text);
    (void)stream;
    CHECK(len + chunk.len < 1 << 20);
    memcpy(text + len, chunk.data, chunk.len);
    text[len + chunk.len] = '\0';
}

TEST(a_gap_is_told_as_soon_as_there_is_room) {
    web_host web;
    rondo_http_log *log;
    rondo_stream *reader, *writer;
    rondo_http_log_figures figures;
    web_peer peer;
    char *got = calloc(1, 1 << 20);

    CHECK(got != NULL);
    web_open(&web, reply_target, NULL, NULL);
    CHECK_INT(rondo_stream_new_pipe(web.loop, &reader, &writer), 0);
    CHECK_INT(rondo_stream_set_high_water(writer, 16384, 1 << 20), 0);
    CHECK_INT(rondo_http_log_on(writer, RONDO_HTTP_LOG_COMMON, &log), 0);
    rondo_http_log_set_bound(log, 0);
    CHECK_INT(rondo_http_server_on_response(web.server, rondo_http_log_response, log), 0);
    peer_open(&web, &peer);
    do {
        char text[600];
        snprintf(text, sizeof text, "GET /%0500d HTTP/1.1\r\nHost: a\r\n\r\n", 7);
        peer_say(&web, &peer, text);
        peer_forget(&peer);
        rondo_http_log_get_figures(log, &figures);
    } while (figures.lost < 3);
    CHECK_INT(rondo_stream_on_data(reader, gather, got), 0);
    web_turns(&web, 60); /* no further line is needed for that */
    CHECK(strstr(got, "lines lost because the log could not be written: 3\n") != NULL);
    peer_say(&web, &peer, GET("/again"));
    web_turns(&web, 3);
    CHECK(strstr(strstr(got, "lines lost"), "GET /again") != NULL);
    peer_close(&peer);
    rondo_http_server_on_response(web.server, NULL, NULL);
    rondo_close(log);
    rondo_end(writer);
    web_close(&web);
    free(got);
}

static void count_chunk(rondo_stream *stream, rondo_slice chunk, void *arg) {
    (void)stream, (void)chunk;
    ++*(int *)arg;
}

TEST(lines_of_one_turn_are_one_write) {
    web_host web;
    rondo_http_log *log;
    rondo_stream *reader, *writer;
    rondo_stream_figures figures;
    char text[64 * 40] = "";
    web_peer peer;
    int chunks = 0;

    web_open(&web, reply_target, NULL, NULL);
    CHECK_INT(rondo_stream_new_pipe(web.loop, &reader, &writer), 0);
    CHECK_INT(rondo_http_log_on(writer, RONDO_HTTP_LOG_SHORT, &log), 0);
    CHECK_INT(rondo_http_server_on_response(web.server, rondo_http_log_response, log), 0);
    CHECK_INT(rondo_stream_on_data(reader, count_chunk, &chunks), 0);
    for (int i = 0; i < 40; i++) strcat(text, GET("/line"));
    peer_ask(&web, &peer, text);
    rondo_stream_get_figures(writer, &figures);
    CHECK_INT(figures.bytes_out, 40 * strlen("GET /line 200 5 0.0 ms\n"));
    CHECK_INT(chunks, 1);
    peer_close(&peer);
    rondo_http_server_on_response(web.server, NULL, NULL);
    rondo_close(log);
    rondo_end(writer);
    web_close(&web);
}

/* ---- a full disk, and no memory ---- */

TEST(a_full_disk_is_told_and_the_lines_are_counted) {
    logged l;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    rondo_http_server_on_response(l.web.server, NULL, NULL);
    rondo_close(l.log);
    web_turns(&l.web, 3);
    CHECK_INT(rondo_http_log_open(l.web.loop, "/dev/full", RONDO_HTTP_LOG_SHORT, &l.log), 0);
    CHECK_INT(rondo_http_log_on_error(l.log, on_log_error, &l), 0);
    CHECK_INT(rondo_http_server_on_response(l.web.server, rondo_http_log_response, l.log), 0);
    for (int i = 0; i < 5; i++) get(&l, GET("/x"));
    UNTIL(&l, l.errors == 1);
    CHECK_INT(l.last_error, RONDO_ENOSPC);
    get(&l, GET("/x"));
    CHECK_INT(figures_of(&l).lost, 6);
    CHECK_INT(figures_of(&l).lines, 0);
    /* One more that is on its way to a full disk when the log is closed bothers nobody. */
    web_advance(&l.web, 10000);
    for (int i = 0; i < 5; i++) get(&l, GET("/x"));
    CHECK_INT(l.errors, 1); /* said once */
    close_logged(&l);
}

/* The disk took a part of a line: what is written when there is room again is a line of its own. */
TEST(a_line_that_was_cut_by_a_full_disk_is_ended) {
    const struct rlimit small = {10, RLIM_INFINITY}, any = {RLIM_INFINITY, RLIM_INFINITY};
    logged l;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    UNTIL(&l, access(l.path, F_OK) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    get(&l, GET("/cut-in-two"));
    UNTIL(&l, l.errors == 1);
    CHECK_STR(content_of(l.path), "GET /cut-i");
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &any), 0);
    web_advance(&l.web, 10000);
    UNTIL(&l, l.log->stream && lines_in(l.path) == 2);
    CHECK(strncmp(content_of(l.path), "GET /cut-i\n# [", 14) == 0);
    CHECK(strstr(content_of(l.path), "could not be written: 1\n") != NULL);
    get(&l, GET("/whole"));
    UNTIL(&l, lines_in(l.path) == 3);
    /* A later gap, for lack of room to open it in, follows a whole line: nothing has to be ended. */
    CHECK(!l.log->torn && strstr(content_of(l.path), "\n\n") == NULL);
    close_logged(&l);
}

/* What the server says by itself is an answer like any other. */
TEST(refusals_are_logged_with_what_was_sent) {
    logged l;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    get(&l, "GET /a HTTP/1.1\r\n\r\n");
    get(&l, "HEAD /b HTTP/1.1\r\n\r\n");
    get(&l, "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
    UNTIL(&l, lines_in(l.path) == 3);
    const char *text = content_of(l.path);
    CHECK(strncmp(text, "GET /a 400 16 ", 14) == 0); /* "400 Bad Request\n" */
    CHECK(strstr(text, "\nHEAD /b 400 0 ") != NULL);
    CHECK(strstr(text, "\nPOST /c 413 22 ") != NULL);
    close_logged(&l);
}

/* A log is closed with lines on their way to a full disk: nobody is left who could be told. */
TEST(a_full_disk_after_the_log_was_closed_is_nobodys_error) {
    logged l;
    rondo_http_log *full;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    CHECK_INT(rondo_http_log_open(l.web.loop, "/dev/full", RONDO_HTTP_LOG_SHORT, &full), 0);
    rondo_http_server_on_response(l.web.server, rondo_http_log_response, full);
    web_peer peer;
    peer_open(&l.web, &peer);
    peer_send(&l.web, &peer, GET("/x"), strlen(GET("/x")));
    for (rondo_http_log_figures figures = {0}; figures.lines == 0;) {
        rondo_loop_run(l.web.loop, RONDO_RUN_NOWAIT);
        rondo_http_log_get_figures(full, &figures);
    }
    rondo_http_server_on_response(l.web.server, rondo_http_log_response, l.log);
    rondo_close(full); /* before a worker has brought anything */
    peer_close(&peer);
    close_logged(&l);
}

static void log_and_reopen(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_log_response(request, response, arg);
    CHECK_INT(rondo_http_log_reopen(arg), 0);
}

TEST(lines_that_are_queued_when_a_log_is_reopened_are_written) {
    logged l;
    web_peer peer;

    open_logged(&l, RONDO_HTTP_LOG_SHORT);
    rondo_http_server_on_response(l.web.server, log_and_reopen, l.log);
    peer_open(&l.web, &peer);
    for (int i = 0; i < 100; i++) peer_send(&l.web, &peer, GET("/x"), strlen(GET("/x")));
    UNTIL(&l, figures_of(&l).lines == 100);
    UNTIL(&l, lines_in(l.path) == 100);
    CHECK_INT(figures_of(&l).lost, 0);
    peer_close(&peer);
    close_logged(&l);
}

static void reply_or_not(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    if (rondo_http_response_reply(response, 200, NULL, rondo_slice_of(NULL, 0)) < 0)
        rondo_close(response);
}

TEST(out_of_memory_for_a_log) {
    char path[] = "/tmp/rondo-log-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    for (long n = 0;; n++) {
        web_host web;
        web_peer peer;
        rondo_http_log *log = NULL;
        web_open(&web, reply_or_not, NULL, NULL);
        harness_fail_alloc_after(n);
        int result = rondo_http_log_open(web.loop, path, RONDO_HTTP_LOG_JSON, &log);
        if (result == 0) {
            rondo_http_server_on_response(web.server, rondo_http_log_response, log);
            peer_open(&web, &peer);
            peer_say(&web, &peer, GET("/x"));
            peer_close(&peer);
            web_turns(&web, 3);
            rondo_http_log_figures figures;
            rondo_http_log_get_figures(log, &figures);
            CHECK(figures.lines + figures.lost <= 1);
        } else {
            CHECK_INT(result, RONDO_ENOMEM);
            CHECK(log == NULL);
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        rondo_http_server_on_response(web.server, NULL, NULL);
        rondo_close(log);
        web_close(&web);
        if (!failed) break;
    }
    CHECK_INT(unlink(path), 0);
}
