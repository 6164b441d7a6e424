/* SPDX-License-Identifier: MIT
 *
 * rondo compare: small drawings of who waits where. Three clients stand on the left; a box with a thick border is a process, a box
 * with a thin one a thread, a circle with an arrow a loop. A filled dot is a request that is served, an empty one a request that
 * waits, and a small clock somebody who sleeps for it. Colours are classes of the style sheet.
 */
#include "report_parts.h"

#include <string.h>

#define CLIENTS 3

static const int client_y[CLIENTS] = {22, 55, 88};

static void add_client(text *out, int i, bool served) {
    text_add(out, "<circle class=\"%s\" cx=\"14\" cy=\"%d\" r=\"6\"/>",
             served ? "served" : "waiting", client_y[i]);
}

/* A connection on which nothing has come: that is no waiting. */
static void add_resting(text *out, int i) {
    text_add(out, "<circle class=\"resting\" cx=\"14\" cy=\"%d\" r=\"6\"/>", client_y[i]);
}

static void add_line(text *out, int x1, int y1, int x2, int y2, bool active) {
    text_add(out, "<path class=\"%s\" d=\"M%d %dL%d %d\"/>", active ? "wire" : "wire idle", x1, y1,
             x2, y2);
}

static void add_box(text *out, const char *class, int x, int y, int width, int height) {
    text_add(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>",
             class, x, y, width, height);
}

/* Somebody sleeps here until the kernel has something for him. */
static void add_clock(text *out, int x, int y) {
    text_add(out,
             "<g class=\"clock\"><circle cx=\"%d\" cy=\"%d\" r=\"5\"/><path d=\"M%d %dv-3M%d "
             "%dh2\"/></g>",
             x, y, x, y, x, y);
}

static void add_word(text *out, int x, int y, const char *word) {
    text_add(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>", x, y, word);
}

static void add_loop(text *out, int x, int y, int r) {
    text_add(out,
             "<path class=\"loop\" d=\"M%d %dA%d %d 0 1 1 %d %d\"/><path class=\"head\" d=\"M%d "
             "%dl-4 -6l8 0z\"/>",
             x, y - r, r, r, x - r, y, x - r, y - 5 + 6);
}

/* --- Kinds of models --- */

static void draw_iterative(text *out) {
    add_box(out, "process", 110, 32, 90, 46);
    for (int i = 0; i < CLIENTS; i++) {
        add_client(out, i, i == 0);
        add_line(out, 20, client_y[i], i == 0 ? 110 : 62, i == 0 ? 50 : 55, i == 0);
    }
    add_word(out, 76, 72, "queue");
    add_clock(out, 155, 55);
}

/* One box for each client. */
static void draw_one_each(text *out, const char *box, bool inside) {
    if (inside) add_box(out, "process", 100, 4, 110, 102);
    for (int i = 0; i < CLIENTS; i++) {
        add_client(out, i, true);
        add_line(out, 20, client_y[i], 120, client_y[i], true);
        add_box(out, box, 120, client_y[i] - 12, 70, 24);
        add_clock(out, 155, client_y[i]);
    }
}

/* Two boxes for three clients; with a queue in front of the pool. */
static void draw_few(text *out, const char *box, bool inside) {
    if (inside) add_box(out, "process", 78, 4, 134, 102);
    for (int i = 0; i < CLIENTS; i++) {
        add_client(out, i, i < 2);
        if (i < 2) {
            add_line(out, 20, client_y[i], 130, client_y[i] + 6, true);
            add_box(out, box, 130, client_y[i] - 6, 70, 24);
            add_clock(out, 165, client_y[i] + 6);
        } else {
            add_line(out, 20, client_y[i], inside ? 90 : 70, client_y[i], false);
        }
    }
    if (inside) {
        for (int i = 0; i < 3; i++)
            add_box(out, i == 0 ? "slot full" : "slot", 90 + i * 13, 82, 12, 12);
        add_word(out, 160, 93, "queue");
    } else {
        add_word(out, 92, 92, "queue");
    }
}

/* One thread asks the kernel about all (a list), or is told about the ready ones. */
static void draw_readiness(text *out, const char *call, bool list) {
    add_box(out, "process", 120, 4, 96, 102);
    for (int i = 0; i < CLIENTS; i++) {
        if (i == 1)
            add_client(out, i, true);
        else
            add_resting(out, i);
        add_line(out, 20, client_y[i], 84, list ? client_y[i] : 55, i == 1);
    }
    if (list) {
        for (int i = 0; i < CLIENTS; i++)
            add_box(out, i == 1 ? "slot full" : "slot", 84, client_y[i] - 7, 14, 14);
        add_line(out, 98, 22, 120, 50, false);
        add_line(out, 98, 88, 120, 60, false);
        add_line(out, 98, 55, 120, 55, true);
    } else {
        add_box(out, "slot full", 84, 48, 14, 14);
        add_line(out, 98, 55, 120, 55, true);
    }
    add_clock(out, 168, 46);
    add_word(out, 168, 72, call);
}

static void draw_loop(text *out, const char *word, bool pool) {
    add_box(out, "process", 78, 4, pool ? 150 : 110, 102);
    for (int i = 0; i < CLIENTS; i++) {
        add_client(out, i, true);
        add_line(out, 20, client_y[i], 104, 55, true);
    }
    add_loop(out, 130, 55, 26);
    add_clock(out, 130, 50);
    add_word(out, 130, 69, word);
    if (!pool) return;
    for (int i = 0; i < CLIENTS; i++) {
        add_line(out, 156, 55, 186, client_y[i], i < 2);
        add_box(out, "thread", 186, client_y[i] - 10, 34, 20);
        add_clock(out, 203, client_y[i]);
    }
}

static void draw_cluster(text *out) {
    for (int i = 0; i < 2; i++) {
        add_box(out, "process", 110, 4 + i * 53, 90, 49);
        add_loop(out, 155, 29 + i * 53, 17);
        add_clock(out, 155, 29 + i * 53);
    }
    for (int i = 0; i < CLIENTS; i++) {
        add_client(out, i, true);
        add_line(out, 20, client_y[i], 110, i < 2 ? 29 : 82, true);
    }
}

/* Many light threads of the language on few of the system's. */
static void draw_light(text *out) {
    add_box(out, "process", 78, 4, 140, 102);
    for (int i = 0; i < CLIENTS; i++) {
        add_client(out, i, true);
        add_line(out, 20, client_y[i], 92, client_y[i], true);
        add_box(out, "light", 92, client_y[i] - 8, 38, 16);
        add_clock(out, 111, client_y[i]);
        add_line(out, 130, client_y[i], 164, i == 2 ? 72 : 38, i != 1);
    }
    add_box(out, "thread", 164, 28, 44, 20);
    add_box(out, "thread", 164, 62, 44, 20);
}

static const struct {
    const char *name;
    char kind;
} kinds[] = {
    {"iterative", 'i'},    {"fork", 'f'},   {"prefork", 'p'},        {"thread", 't'},
    {"pool", 'q'},         {"select", 's'}, {"poll", 'P'},           {"epoll", 'e'},
    {"epoll-et", 'E'},     {"loop", 'l'},   {"loop-pool", 'L'},      {"cluster", 'c'},
    {"node", 'L'},         {"nginx", 'c'},  {"apache-prefork", 'p'}, {"apache-worker", 'q'},
    {"apache-event", 'L'}, {"go", 'g'},     {"asyncio", 'l'},        {"gevent", 'l'},
    {"lwt", 'l'},          {"erlang", 'g'},
};

static void draw_kind(text *out, char kind) {
    switch (kind) {
    case 'i': draw_iterative(out); break;
    case 'f': draw_one_each(out, "process", false); break;
    case 't': draw_one_each(out, "thread", true); break;
    case 'p': draw_few(out, "process", false); break;
    case 'q': draw_few(out, "thread", true); break;
    case 's': draw_readiness(out, "select()", true); break;
    case 'P': draw_readiness(out, "poll()", true); break;
    case 'e': draw_readiness(out, "epoll", false); break;
    case 'E': draw_readiness(out, "epoll ET", false); break;
    case 'L': draw_loop(out, "loop", true); break;
    case 'c': draw_cluster(out); break;
    case 'g': draw_light(out); break;
    default: draw_loop(out, "loop", false); break;
    }
}

void report_picture(text *out, const subject *s) {
    size_t i = 0, count = sizeof kinds / sizeof *kinds;
    while (i < count && strcmp(kinds[i].name, s->name) != 0) i++;
    if (i == count) return;
    text_add(out, "<svg class=\"picture\" viewBox=\"0 0 232 110\" role=\"img\" aria-label=\"");
    text_html(out, s->waits ? s->waits : s->title);
    text_add(out, "\">");
    draw_kind(out, kinds[i].kind);
    text_add(out, "</svg>\n");
}
