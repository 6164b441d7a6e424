/* SPDX-License-Identifier: MIT
 *
 * rondo compare: taking apart what gnuplot has drawn. Axes and grid are the frame that the small pictures of a workload share; each
 * curve becomes the picture of its server. Only shapes are kept: colours are the style sheet's, so that the dark page has its own.
 */
#define _GNU_SOURCE
#include "report_parts.h"

#include <stdlib.h>
#include <string.h>

/* The value of an attribute inside the tag [at, end), in either kind of quotes; "" when it has none. */
static void attribute(const char *at, const char *end, const char *key, char *ret, size_t size) {
    size_t len = strlen(key);
    ret[0] = '\0';
    for (; at + len + 2 < end; at++) {
        if (at[0] != ' ' || strncmp(at + 1, key, len) != 0 || at[len + 1] != '=') continue;
        const char *from = at + len + 3, *to = memchr(from, at[len + 2], (size_t)(end - from));
        if (!to || (size_t)(to - from) >= size) return;
        memcpy(ret, from, (size_t)(to - from));
        ret[to - from] = '\0';
        return;
    }
}

/* A path may be long: straight to the text, with white space drawn together. */
static void add_path(text *out, const char *at, const char *end, bool grid) {
    const char *from = memmem(at, (size_t)(end - at), " d='", 4);
    if (!from) return;
    from += 4;
    text_add(out, "<path%s d=\"", grid ? " class=\"grid\"" : "");
    bool space = false;
    for (; from < end && *from != '\''; from++) {
        if (!strchr("MLHVZmlhvz0123456789.,- \n\t", *from)) continue;
        bool white = *from == ' ' || *from == '\n' || *from == '\t';
        if (white) {
            space = true;
            continue;
        }
        if (space) text_add(out, " ");
        space = false;
        text_octets(out, from, 1);
    }
    text_add(out, "\"/>");
}

static void add_label(text *out, const char *at, const char *end, const char *stop) {
    char place[64], anchor[16];
    double x, y;
    attribute(at, end, "transform", place, sizeof place);
    attribute(at, end, "text-anchor", anchor, sizeof anchor);
    if (sscanf(place, "translate(%lf,%lf)", &x, &y) != 2) return;
    const char *words = memmem(end, (size_t)(stop - end), "<text>", 6);
    const char *last = words ? memmem(words, (size_t)(stop - words), "</text>", 7) : NULL;
    if (!last) return;
    text_add(out, "<text x=\"%.0f\" y=\"%.0f\"", x, y);
    if (strcmp(anchor, "end") == 0 || strcmp(anchor, "middle") == 0)
        text_add(out, " text-anchor=\"%s\"", anchor);
    text_add(out, ">");
    char content[64] = "";
    size_t len = 0;
    bool tag = false;
    for (const char *c = words + 6; c < last && len + 1 < sizeof content; c++) {
        if (*c == '<') tag = true;
        if (!tag && !(len == 0 && *c == ' ')) content[len++] = *c;
        if (*c == '>') tag = false;
    }
    content[len] = '\0';
    text_html(out, content);
    text_add(out, "</text>");
}

static void add_dot(text *out, const char *at, const char *end) {
    char place[96];
    double x, y;
    attribute(at, end, "transform", place, sizeof place);
    if (sscanf(place, "translate(%lf,%lf)", &x, &y) == 2)
        text_add(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.8\"/>", x, y);
}

/* The shapes between two places in what gnuplot has drawn. */
static char *shapes(const char *at, const char *stop) {
    text out = {0};
    while (at < stop && (at = memchr(at, '<', (size_t)(stop - at)))) {
        const char *end = memchr(at, '>', (size_t)(stop - at));
        if (!end) break;
        if (strncmp(at, "<path ", 6) == 0)
            add_path(&out, at, end, memmem(at, (size_t)(end - at), "gridline", 8) != NULL);
        else if (strncmp(at, "<g transform", 12) == 0)
            add_label(&out, at, end, stop);
        else if (strncmp(at, "<use ", 5) == 0)
            add_dot(&out, at, end);
        at = end;
    }
    if (out.failed) text_free(&out);
    return out.data;
}

/* Where the next curve's group begins. */
static const char *next_curve(const char *at, const char *stop) {
    const char *found = at < stop ? memmem(at, (size_t)(stop - at), "<g id=\"p_plot_", 14) : NULL;
    return found ? found : stop;
}

/* Where the group of a curve ends: it has groups inside. */
static const char *end_of_group(const char *at, const char *stop) {
    int depth = 0;
    for (; at < stop && (at = memchr(at, '<', (size_t)(stop - at))); at++) {
        if (strncmp(at, "<g ", 3) == 0) depth++;
        if (strncmp(at, "</g>", 4) == 0 && --depth == 0) return at;
    }
    return stop;
}

/* Takes one picture from *at. Returns false when it is not as we know gnuplot's to be. */
bool plot_take_apart(const char **at, const summary *all, size_t w, plot_kind kind, plot *ret) {
    const char *begin = strstr(*at, "</defs>"), *stop = begin ? strstr(begin, "</svg>") : NULL;
    if (!stop) return false;
    const char *curve_at = next_curve(begin, stop), *end = end_of_group(curve_at, stop);
    text frame = {0};
    char *axes = shapes(begin, curve_at), *bound = shapes(curve_at, end);
    if (axes) text_add(&frame, "%s", axes);
    if (bound && kind == PLOT_LATENCY) text_add(&frame, "<g class=\"bound\">%s</g>", bound);
    free(axes);
    free(bound);
    ret->frame = frame.data;
    for (size_t s = 0; s < all->subject_count; s++) {
        if (!plot_has(all, w, kind, s)) continue;
        for (int i = 0; i < (kind == PLOT_LATENCY ? 2 : 1); i++) {
            curve_at = next_curve(end, stop);
            if (curve_at == stop) return false;
            end = end_of_group(curve_at, stop);
            ret->curves[s].svg[i] = shapes(curve_at, end);
        }
    }
    *at = stop + 6;
    return ret->frame != NULL;
}
