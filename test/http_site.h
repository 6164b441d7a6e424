/* SPDX-License-Identifier: MIT
 *
 * For the tests of static files: a directory with files in it, a server that serves it on this
 * thread, and a client with blocking calls on another.
 */
#ifndef HTTP_SITE_H
#define HTTP_SITE_H

#include "harness.h"

#include "http/files/files.h"

#include <rondo.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* base/root is served, base/secret.txt must never be. */
typedef struct site {
    char base[64], root[80];
    rondo_loop *loop;
    rondo_http_files *files;
    rondo_http_server *server;
    int port;
    void (*client)(struct site *site);
    rondo_http_request_cb on_request; /* NULL: the files */
} site;

/* The three ways of opening a file: each test of what is answered runs with all of them. */
static const struct {
    rondo__files_how how;
    bool try_cached;
    const char *name;
} site_ways[] = {
    {RONDO__FILES_BENEATH, true, "cached"},
    {RONDO__FILES_BENEATH, false, "beneath"},
    {RONDO__FILES_WALK, false, "walk"},
};
#define SITE_WAYS 3

#define SECRET "the secret\n"

__attribute__((format(printf, 2, 3))) static inline const char *site_path(const site *s,
                                                                          const char *format, ...) {
    static _Thread_local char text[2][512];
    static _Thread_local int turn;
    va_list args;

    turn = !turn;
    int used = snprintf(text[turn], sizeof text[turn], "%s/", s->base);
    va_start(args, format);
    vsnprintf(text[turn] + used, sizeof text[turn] - (size_t)used, format, args);
    va_end(args);
    return text[turn];
}

static inline void site_file(const site *s, const char *name, const char *content) {
    FILE *file = fopen(site_path(s, "%s", name), "w");

    CHECK(file != NULL);
    CHECK_INT(fwrite(content, 1, strlen(content), file), strlen(content));
    CHECK_INT(fclose(file), 0);
}

/* A file of size octets; octet i is (i * 31 + i / 4096) mod 251. */
static inline unsigned char site_octet(size_t i) {
    return (unsigned char)((i * 31 + i / 4096) % 251);
}
static inline void site_big_file(const site *s, const char *name, size_t size) {
    FILE *file = fopen(site_path(s, "%s", name), "w");

    CHECK(file != NULL);
    for (size_t i = 0; i < size; i++) putc(site_octet(i), file);
    CHECK_INT(fclose(file), 0);
}

static inline void site_link(const site *s, const char *to, const char *name) {
    CHECK_INT(symlink(to, site_path(s, "%s", name)), 0);
}

static inline void site_make(site *s) {
    memset(s, 0, sizeof *s);
    snprintf(s->base, sizeof s->base, "/tmp/rondo-files-XXXXXX");
    CHECK(mkdtemp(s->base) != NULL);
    CHECK_INT(chmod(s->base, 0755), 0);
    snprintf(s->root, sizeof s->root, "%s/root", s->base);
    CHECK_INT(mkdir(s->root, 0755), 0);
    CHECK_INT(mkdir(site_path(s, "root/dir"), 0755), 0);
    CHECK_INT(mkdir(site_path(s, "root/empty"), 0755), 0);
    CHECK_INT(mkdir(site_path(s, "outside"), 0755), 0);
    site_file(s, "root/index.html", "<h1>index</h1>\n");
    site_file(s, "root/a.txt", "0123456789");
    site_file(s, "root/dir/index.html", "dir index\n");
    site_file(s, "root/dir/b.css", "b{}");
    site_file(s, "root/.hidden", SECRET);
    site_file(s, "secret.txt", SECRET);
    site_file(s, "outside/b.css", SECRET);
}

static inline int site_remove_entry(const char *path, const struct stat *st, int type,
                                    struct FTW *info) {
    (void)st;
    (void)type;
    (void)info;
    return remove(path);
}

static inline void site_remove(const site *s) {
    CHECK_INT(nftw(s->base, site_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void site_done(rondo_loop *loop, void *arg) {
    site *s = arg;

    (void)loop;
    if (s->server != NULL) rondo_close(s->server);
}

static inline void site_closed(rondo_handle *server, void *arg) {
    site *s = arg;

    (void)server;
    s->server = NULL;
}

static inline void *site_client(void *arg) {
    site *s = arg;

    s->client(s);
    while (rondo_loop_post(s->loop, site_done, s) != 0) { /* a failure that a test asked for */
    }
    return NULL;
}

/* Serves until the client function, which runs on a thread of its own, has returned. */
static inline void site_serve(site *s, int way, void (*client)(site *)) {
    s->loop = rondo_loop_new();
    s->client = client;
    CHECK_INT(rondo_http_files_new(s->loop, s->root, &s->files), 0);
    if (s->files->how == RONDO__FILES_BENEATH) { /* else (valgrind) there is no openat2(2) */
        s->files->how = site_ways[way].how;
        s->files->try_cached = site_ways[way].try_cached;
    }
    s->server = rondo_http_server_new(s->loop);
    if (s->on_request)
        rondo_http_server_on_request(s->server, s->on_request, s);
    else
        rondo_http_server_on_request(s->server, rondo_http_files_serve, s->files);
    CHECK_INT(rondo_http_server_listen(s->server, "127.0.0.1", 0), 0);
    s->port = rondo_http_server_port(s->server);
    CHECK_INT(rondo_on_close(s->server, site_closed, s), 0);
    pthread_t thread = harness_thread(site_client, s);
    rondo_loop_run(s->loop, RONDO_RUN_ALL);
    pthread_join(thread, NULL);
    /* Where the test closes everything itself, the client's last post may come after that. */
    CHECK_INT(rondo_loop_run(s->loop, RONDO_RUN_ALL), 0);
    rondo_http_files_free(s->files);
    s->files = NULL;
    rondo_loop_free(s->loop);
}

/* ---- the client's side ---- */

typedef struct answer {
    int status;
    char *head; /* up to and with the empty line; freed by answer_free() */
    const char *body;
    size_t body_len;
} answer;

/* Sends one request, reads to the end of the connection. fields: "Name: value\r\n...". */
static inline answer ask(const site *s, const char *method, const char *target,
                         const char *fields) {
    int fd = harness_connect(s->port);
    answer got = {0, NULL, "", 0};
    char request[16384];
    size_t size;

    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, target,
             fields ? fields : "");
    harness_send_str(fd, request);
    got.head = harness_recv_until_eof(fd, &size);
    close(fd);
    char *end = strstr(got.head, "\r\n\r\n");
    if (end == NULL) return got; /* cut off */
    CHECK(strncmp(got.head, "HTTP/1.1 ", 9) == 0);
    got.status = atoi(got.head + 9);
    got.body = end + 4;
    got.body_len = size - (size_t)(got.body - got.head);
    end[2] = '\0';
    return got;
}

static inline void answer_free(answer *got) {
    free(got->head);
    got->head = NULL;
}

/* The field's value, or "". */
static inline const char *field(const answer *got, const char *name) {
    static _Thread_local char value[512];
    char start[64];

    snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strcasestr(got->head, start);
    if (at == NULL) return "";
    at += strlen(start);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static inline void check_status(const site *s, const char *method, const char *target,
                                const char *fields, int status) {
    answer got = ask(s, method, target, fields);

    if (got.status != status)
        FAIL("%s %s %s gave %d, should be %d", method, target, fields ? fields : "", got.status,
             status);
    if (got.body_len >= strlen(SECRET) && strstr(got.body, SECRET) != NULL)
        FAIL("%s %s gave the secret away", method, target);
    answer_free(&got);
}

static inline void check_body(const site *s, const char *target, const char *fields, int status,
                              const char *body) {
    answer got = ask(s, "GET", target, fields);

    CHECK_INT(got.status, status);
    CHECK_STR(got.body, body);
    CHECK_INT(got.body_len, strlen(body));
    CHECK_INT(atoi(field(&got, "Content-Length")), strlen(body));
    answer_free(&got);
}

#endif
