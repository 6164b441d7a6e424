/* SPDX-License-Identifier: MIT
 *
 * A REST service on a real database: notes [PORT [FILE]].
 *
 *   GET /notes[?after=ID]  a page of 100 notes: [{"id":1,"text":"..."}, ...]
 *   POST /notes            {"text":"..."} adds a note; [{"text":"..."}, ...] adds all of them or none
 *   GET /notes/ID          one note
 *   DELETE /notes/ID       removes it
 *
 * SQLite blocks, so it runs on a lane of its own with one thread, which makes the connection to it
 * nobody else's: no locks, and statements run in the order of the requests. The lane's queue is
 * bounded; when it is full, the answer is 503. JSON is read and written by SQLite's own functions, so
 * that there is one parser, and a well-tested one.
 *
 * libs: sqlite3
 * args: 8080 :memory:
 * run: curl -s -d '{"text":"buy \"milk\""}' http://127.0.0.1:8080/notes => "text":"buy \"milk\""}
 * run: curl -s http://127.0.0.1:8080/notes => [{"id":1,
 */
#include <rondo.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MOST 65536 /* octets; more is 413 */
#define TEXT_MOST 10000 /* octets of a note */
#define QUEUE_MOST 256  /* requests that wait for the database */

#define NOTE "json_object('id', id, 'text', text)"

typedef struct notes {
    rondo_loop *loop;
    rondo_lane *lane;
    sqlite3 *db; /* touched by the lane's thread only, once it serves */
} notes;

/* One request: made by the loop, worked on by the lane, answered by the loop. */
typedef struct question {
    notes *app;
    rondo_http_response *response;
    void (*work)(struct question *q);
    int64_t id;
    char *body;
    size_t len;
    int status;
    char *answer;      /* of malloc; NULL: none */
    char location[40]; /* "": none */
} question;

/* ---- on the lane's thread ---- */

static void say(question *q, int status, const char *text) {
    free(q->answer);
    q->status = status;
    q->answer = text ? strdup(text) : NULL;
}

/* What went wrong with the database: not the client's business, but ours. */
static void fail(question *q) {
    int error = sqlite3_errcode(q->app->db);
    fprintf(stderr, "notes: %s\n", sqlite3_errmsg(q->app->db));
    say(q, error == SQLITE_BUSY ? 503 : error == SQLITE_FULL ? 507 : 500, NULL);
}

/* The statement, with numbers for its parameters; NULL: failed. */
static sqlite3_stmt *prepare(question *q, const char *sql, int numbers, ...) {
    sqlite3_stmt *statement = NULL;
    va_list args;
    if (sqlite3_prepare_v2(q->app->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(q);
        return NULL;
    }
    va_start(args, numbers);
    for (int i = 1; i <= numbers; i++) sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
    va_end(args);
    return statement;
}

/* Answers with the first column of the only row, or with 404. Ends the statement. */
static void answer_row(question *q, int status, sqlite3_stmt *statement) {
    if (!statement) return;
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        say(q, status, (const char *)sqlite3_column_text(statement, 0));
    else if (result == SQLITE_DONE)
        say(q, 404, "{\"error\":\"there is no such note\"}");
    else
        fail(q);
    sqlite3_finalize(statement);
}

static bool run(question *q, const char *sql) {
    if (sqlite3_exec(q->app->db, sql, NULL, NULL, NULL) == SQLITE_OK) return true;
    fail(q);
    return false;
}

static void list_notes(question *q) {
    answer_row(q, 200,
               prepare(q,
                       "SELECT json_group_array(json(note)) FROM (SELECT " NOTE
                       " AS note FROM notes"
                       " WHERE id > ?1 ORDER BY id LIMIT 100)",
                       1, q->id));
}

static void show_note(question *q) {
    answer_row(q, 200, prepare(q, "SELECT " NOTE " FROM notes WHERE id = ?1", 1, q->id));
}

static void drop_note(question *q) {
    answer_row(q, 200, prepare(q, "DELETE FROM notes WHERE id = ?1 RETURNING 'x'", 1, q->id));
    if (q->status != 200) return;
    say(q, 204, NULL);
}

/* RFC 8259 section 8.1: what is sent is UTF-8. Neither overlong forms nor surrogates. */
static bool is_utf8(const unsigned char *at, size_t len) {
    for (const unsigned char *end = at + len; at < end;) {
        unsigned c = *at++, more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (more > 3 || c > 0xf4 || (size_t)(end - at) < more) return false;
        if ((c == 0xe0 && *at < 0xa0) || (c == 0xed && *at > 0x9f)) return false;
        if ((c == 0xf0 && *at < 0x90) || (c == 0xf4 && *at > 0x8f)) return false;
        for (; more > 0; more--, at++)
            if ((*at & 0xc0) != 0x80) return false;
    }
    return true;
}

/* The texts of the notes in the body, a row each; NULL for what is no note. */
#define TEXTS                                                                 \
    "SELECT CASE type WHEN 'object' THEN CASE json_type(value, '$.text')"     \
    " WHEN 'text' THEN json_extract(value, '$.text') END END FROM json_each(" \
    "CASE json_type(?1) WHEN 'array' THEN ?1 ELSE json_array(json(?1)) END)"

static bool insert(question *q, sqlite3_stmt *texts, sqlite3_stmt *inserting) {
    const char *text = (const char *)sqlite3_column_text(texts, 0);
    int len = sqlite3_column_bytes(texts, 0);
    /* "\ud800" is valid JSON and half a character: what would be sent back is no UTF-8. */
    bool good =
        text && len > 0 && len <= TEXT_MOST && is_utf8((const unsigned char *)text, (size_t)len);
    if (!good) {
        say(q, 422, "{\"error\":\"a note is {\\\"text\\\": 1 to 10000 octets}\"}");
        return false;
    }
    sqlite3_bind_value(inserting, 1, sqlite3_column_value(texts, 0));
    bool done = sqlite3_step(inserting) == SQLITE_DONE;
    if (!done) fail(q);
    sqlite3_reset(inserting);
    return done;
}

/* Inserts what the statement `texts` gives: how many, or -1. */
static int insert_all(question *q, sqlite3_stmt *texts, sqlite3_stmt *inserting) {
    int count = 0, result;
    if (!texts || !inserting) return -1;
    sqlite3_bind_text(texts, 1, q->body, (int)q->len, SQLITE_STATIC);
    while ((result = sqlite3_step(texts)) == SQLITE_ROW && insert(q, texts, inserting)) count++;
    if (result == SQLITE_ROW) return -1;
    if (result == SQLITE_DONE) return count;
    fail(q);
    return -1;
}

static void answer_added(question *q, int64_t last, int count, bool is_list) {
    int64_t first = last - count + 1;
    if (!is_list) {
        snprintf(q->location, sizeof q->location, "/notes/%lld", (long long)last);
        answer_row(q, 201, prepare(q, "SELECT " NOTE " FROM notes WHERE id = ?1", 1, last));
        return;
    }
    answer_row(q, 201,
               prepare(q,
                       "SELECT json_group_array(json(note)) FROM (SELECT " NOTE
                       " AS note FROM notes"
                       " WHERE id BETWEEN ?1 AND ?2 ORDER BY id)",
                       2, first, last));
}

/* "\u0000" in valid JSON: SQLite's texts would end there. */
static bool has_nul(const char *at, size_t len) {
    for (const char *end = at + len; at < end; at++) {
        if (*at == '\0') return true;
        if (*at != '\\') continue;
        if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0) return true;
        at++;
    }
    return false;
}

/* SQLite says whether it is JSON, and of which kind. */
static bool check_body(question *q, bool *ret_is_list) {
    sqlite3_stmt *statement =
        prepare(q, "SELECT CASE json_valid(?1) WHEN 1 THEN json_type(?1) = 'array' ELSE -1 END", 0);
    if (!statement) return false;
    sqlite3_bind_text(statement, 1, q->body, (int)q->len, SQLITE_STATIC);
    int kind = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
    sqlite3_finalize(statement);
    if (kind < 0 || has_nul(q->body, q->len) || !is_utf8((const unsigned char *)q->body, q->len)) {
        say(q, 400, "{\"error\":\"that is no JSON, or has a NUL in it\"}");
        return false;
    }
    *ret_is_list = kind == 1;
    return true;
}

/* All of them or none: that is what the transaction is for. */
static void add_notes(question *q) {
    bool is_list;
    if (!check_body(q, &is_list) || !run(q, "BEGIN IMMEDIATE")) return;
    sqlite3_stmt *texts = prepare(q, TEXTS, 0);
    sqlite3_stmt *inserting = prepare(q, "INSERT INTO notes (text) VALUES (?1)", 0);
    int count = insert_all(q, texts, inserting);
    sqlite3_finalize(texts);
    sqlite3_finalize(inserting);
    if (count < 0 || !run(q, "COMMIT")) {
        sqlite3_exec(q->app->db, "ROLLBACK", NULL, NULL, NULL); /* keeps q's answer */
        return;
    }
    answer_added(q, sqlite3_last_insert_rowid(q->app->db), count, is_list);
}

static int64_t on_worker(rondo_job *job, void *arg) {
    question *q = arg;
    q->work(q);
    return 0;
}

/* ---- on the loop's thread ---- */

static void end(question *q) {
    free(q->body);
    free(q->answer);
    free(q);
}

static void refuse(rondo_http_response *response, int status, const char *text) {
    if (status == 503) rondo_http_response_header(response, "Retry-After", "1");
    rondo_http_response_reply(response, status, "application/json", rondo_slice_text(text));
}

/* The client may have gone meanwhile: then the reply does nothing but end the response. */
static void on_done(rondo_loop *loop, int64_t result, void *arg) {
    question *q = arg;
    if (q->location[0] != '\0') rondo_http_response_header(q->response, "Location", q->location);
    if (q->status == 204)
        rondo_http_response_end(q->response);
    else
        refuse(q->response, q->status, q->answer ? q->answer : "{\"error\":\"sorry\"}");
    end(q);
}

static question *ask(notes *app, rondo_http_response *response, void (*work)(question *)) {
    question *q = calloc(1, sizeof *q);
    if (!q) {
        refuse(response, 503, "{\"error\":\"out of memory\"}");
        return NULL;
    }
    q->app = app;
    q->response = response;
    q->work = work;
    q->status = 500;
    return q;
}

/* Better a quick no than a queue without end. */
static void submit(question *q) {
    if (rondo_work_submit(q->app->loop, q->app->lane, NULL, on_worker, on_done, q) == 0) return;
    refuse(q->response, 503, "{\"error\":\"too much to do, try again\"}");
    end(q);
}

/* Digits only. False for what can't be the number of a note. */
static bool read_id(rondo_slice text, int64_t *ret_id) {
    int64_t id = 0;
    if (text.len == 0 || text.len > 18) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        id = id * 10 + (text.data[i] - '0');
    }
    *ret_id = id;
    return true;
}

static void on_list(rondo_http_request *request, rondo_http_response *response, void *arg) {
    char after[24];
    question *q = ask(arg, response, list_notes);
    if (!q) return;
    int len = rondo_http_request_query_value(request, "after", after, sizeof after);
    if (len > 0) (void)read_id(rondo_slice_of(after, (size_t)len), &q->id);
    submit(q);
}

static void on_one(rondo_http_request *request, rondo_http_response *response, void *arg,
                   void (*work)(question *)) {
    int64_t id;
    if (!read_id(rondo_http_request_param(request, "id"), &id)) {
        refuse(response, 404, "{\"error\":\"there is no such note\"}");
        return;
    }
    question *q = ask(arg, response, work);
    if (!q) return;
    q->id = id;
    submit(q);
}
static void on_show(rondo_http_request *request, rondo_http_response *response, void *arg) {
    on_one(request, response, arg, show_note);
}
static void on_drop(rondo_http_request *request, rondo_http_response *response, void *arg) {
    on_one(request, response, arg, drop_note);
}

static void on_body(rondo_http_request *request, rondo_slice body, void *arg) {
    question *q = arg;
    rondo_http_response_on_aborted(q->response, NULL, NULL); /* from here on on_done() ends it */
    q->body = malloc(body.len + 1);                          /* it stays here only for this call */
    if (!q->body) {
        refuse(q->response, 503, "{\"error\":\"out of memory\"}");
        end(q);
        return;
    }
    if (body.len > 0) memcpy(q->body, body.data, body.len);
    q->len = body.len;
    submit(q);
}

static void on_body_broken(rondo_http_response *response, void *arg) {
    end(arg);
    rondo_close(response);
}

static void on_add(rondo_http_request *request, rondo_http_response *response, void *arg) {
    question *q = ask(arg, response, add_notes);
    if (!q) return;
    rondo_http_response_on_aborted(response, on_body_broken, q); /* gone, or more than that: 413 */
    if (rondo_http_request_collect(request, BODY_MOST, on_body, q) < 0) on_body_broken(response, q);
}

/* ---- the program ---- */

static int open_database(notes *app, const char *path) {
    if (sqlite3_open(path, &app->db) == SQLITE_OK &&
        sqlite3_exec(app->db,
                     "PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 2000;"
                     "CREATE TABLE IF NOT EXISTS notes"
                     " (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)",
                     NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    fprintf(stderr, "notes: %s: %s\n", path, sqlite3_errmsg(app->db));
    return 1;
}

static rondo_http_router *make_routes(notes *app) {
    rondo_http_router *router = rondo_http_router_new();
    if (router && rondo_http_router_add(router, "GET", "/notes", on_list, app) == 0 &&
        rondo_http_router_add(router, "POST", "/notes", on_add, app) == 0 &&
        rondo_http_router_add(router, "GET", "/notes/:id", on_show, app) == 0 &&
        rondo_http_router_add(router, "DELETE", "/notes/:id", on_drop, app) == 0)
        return router;
    rondo_http_router_free(router);
    return NULL;
}

static void on_interrupt(rondo_signal *handle, int signum, void *server) {
    rondo_http_server_drain(server, 5000);
    rondo_close(handle);
}

static int serve(notes *app, uint16_t port) {
    char address[64];
    rondo_http_router *router = make_routes(app);
    rondo_http_server *server = rondo_http_server_new(app->loop);
    if (!router || !server) return RONDO_ENOMEM;
    rondo_http_server_on_request(server, rondo_http_router_serve, router);
    int error = rondo_lane_new(app->loop, "sqlite", 1, QUEUE_MOST, &app->lane);
    if (error == 0) error = rondo_http_server_listen(server, "127.0.0.1", port);
    if (error < 0) return error;
    rondo_signal_start_once(rondo_signal_new(app->loop), SIGINT, on_interrupt, server);
    rondo_http_server_address(server, address, sizeof address);
    printf("notes: listening on %s\n", address);
    fflush(stdout);
    rondo_loop_run(app->loop, RONDO_RUN_ALL);
    rondo_http_router_free(router);
    return 0;
}

int main(int argc, char **argv) {
    notes app = {.loop = rondo_loop_new()};
    if (open_database(&app, argc > 2 ? argv[2] : "notes.db") != 0) return 1;
    int error = serve(&app, (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
    if (error < 0) {
        fprintf(stderr, "notes: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_loop_free(app.loop); /* the lane's thread is gone then */
    sqlite3_close(app.db);
    return 0;
}
