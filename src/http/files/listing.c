/* SPDX-License-Identifier: MIT
 *
 * A page that lists a directory: what would be served, and nothing else. Names are others' choice:
 * they are escaped where they are shown, and percent-encoded behind "./" where they are linked to, so
 * that no name can be a scheme, another host, or markup. On a worker.
 */
#include <fcntl.h>
#include <rondo/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/entries.h"
#include "http/files/files.h"
#include "loop/memory.h"

/* Of one page. */
#define ENTRIES_MOST ((size_t)10000)

typedef struct row {
    char *name;
    bool is_directory;
    uint64_t size;
    int64_t mtime;
} row;

typedef struct listing {
    int fd;
    row *rows;
    size_t count, room;
    bool more; /* than ENTRIES_MOST */
    char *page;
    size_t len, page_room;
    bool failed; /* the page has no memory */
} listing;

/* ---- what is there ---- */

static int add_row(listing *list, const char *name, const struct stat *st) {
    if (list->count == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 64;
        row *rows = rondo__realloc(list->rows, room * sizeof *rows);
        if (!rows) return RONDO_ENOMEM;
        list->rows = rows;
        list->room = room;
    }
    char *copy = rondo__strdup(name);
    if (!copy) return RONDO_ENOMEM;
    list->rows[list->count++] =
        (row){copy, S_ISDIR(st->st_mode), (uint64_t)st->st_size, st->st_mtim.tv_sec};
    return 0;
}

/* Links are left out: where they lead, and whether that is served, only opening would tell. */
static int take_entries(listing *list, rondo__entries *entries) {
    rondo_dir_entry entry;

    while (rondo__entries_take(entries, &entry)) {
        struct stat st;
        if (entry.name[0] == '.') continue;
        if (fstatat(list->fd, entry.name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue; /* gone */
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) continue;
        if (list->count == ENTRIES_MOST) {
            list->more = true;
            return 0;
        }
        int result = add_row(list, entry.name, &st);
        if (result < 0) return result;
    }
    return 0;
}

static int read_directory(listing *list) {
    rondo__entries entries = {.data = rondo__alloc(RONDO__ENTRIES_BYTES)};
    int result = entries.data ? 1 : RONDO_ENOMEM;

    while (result > 0 && !list->more) {
        result = rondo__entries_fill(&entries, RONDO__ENTRIES_BYTES, list->fd);
        if (result <= 0) break;
        int taken = take_entries(list, &entries);
        if (taken < 0) result = taken;
    }
    rondo__free(entries.data);
    return result < 0 ? result : 0;
}

/* Directories first, then by the bytes of the names. */
static int compare_rows(const void *left, const void *right) {
    const row *a = left, *b = right;

    if (a->is_directory != b->is_directory) return a->is_directory ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* ---- the page ---- */

static void add(listing *list, const char *text, size_t len) {
    if (list->failed) return;
    if (len > list->page_room - list->len) {
        size_t room = list->page_room * 2 + len + 4096;
        char *page = rondo__realloc(list->page, room);
        if (!page) {
            list->failed = true;
            return;
        }
        list->page = page;
        list->page_room = room;
    }
    memcpy(list->page + list->len, text, len);
    list->len += len;
}
#define ADD(list, literal) add((list), literal, sizeof(literal) - 1)

static void add_escaped(listing *list, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&': ADD(list, "&amp;"); break;
        case '<': ADD(list, "&lt;"); break;
        case '>': ADD(list, "&gt;"); break;
        case '"': ADD(list, "&quot;"); break;
        case '\'': ADD(list, "&#39;"); break;
        default: add(list, text, 1); break;
        }
    }
}

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_encoded(listing *list, const char *name) {
    static const char digits[] = "0123456789ABCDEF";

    for (; *name; name++) {
        unsigned char octet = (unsigned char)*name;
        char escape[3] = {'%', digits[octet >> 4], digits[octet & 15]};
        if (is_unreserved(*name))
            add(list, name, 1);
        else
            add(list, escape, sizeof escape);
    }
}

static void add_size(listing *list, uint64_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    char text[48];
    double number = (double)size;
    int unit = 0;

    for (; number >= 1024 && unit < 6; unit++) number /= 1024;
    int len = snprintf(text, sizeof text, unit ? "%.1f %s" : "%.0f %s", number, units[unit]);
    add(list, text, (size_t)len);
}

static void add_time(listing *list, int64_t seconds) {
    char text[96];
    time_t time = (time_t)seconds;
    struct tm tm;

    if (!gmtime_r(&time, &tm)) return;
    int len = snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
    add(list, text, (size_t)len);
}

static void add_page_row(listing *list, const row *entry) {
    ADD(list, "<tr><td><a href=\"./");
    add_encoded(list, entry->name);
    if (entry->is_directory) ADD(list, "/");
    ADD(list, "\">");
    add_escaped(list, entry->name);
    if (entry->is_directory) ADD(list, "/");
    ADD(list, "</a></td><td>");
    if (!entry->is_directory) add_size(list, entry->size);
    ADD(list, "</td><td>");
    add_time(list, entry->mtime);
    ADD(list, "</td></tr>\n");
}

static void write_page(listing *list, const char *path) {
    ADD(list, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width\">\n<title>/");
    add_escaped(list, path);
    ADD(list, "</title>\n<style>\n:root { color-scheme: light dark; }\n"
              "body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; }\n"
              "td { padding: 0 2rem 0 0; }\n"
              "td + td { text-align: right; white-space: nowrap; opacity: .7; }\n"
              "</style>\n</head>\n<body>\n<h1>/");
    add_escaped(list, path);
    ADD(list, "</h1>\n<table>\n");
    if (path[0]) ADD(list, "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    for (size_t i = 0; i < list->count; i++) add_page_row(list, &list->rows[i]);
    ADD(list, "</table>\n");
    if (list->more) ADD(list, "<p>There are more files than are shown.</p>\n");
    ADD(list, "<p>Times are UTC.</p>\n</body>\n</html>\n");
}

int rondo__files_list(int directory, const char *path, char **ret_page, size_t *ret_len) {
    listing list = {.fd = directory};
    int result = read_directory(&list);

    close(directory);
    if (result == 0) {
        if (list.count > 0) qsort(list.rows, list.count, sizeof *list.rows, compare_rows);
        write_page(&list, path);
        if (list.failed) result = RONDO_ENOMEM;
    }
    for (size_t i = 0; i < list.count; i++) rondo__free(list.rows[i].name);
    rondo__free(list.rows);
    if (result < 0) {
        rondo__free(list.page);
        return result;
    }
    *ret_page = list.page;
    *ret_len = list.len;
    return 0;
}
