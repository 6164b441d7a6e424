/* SPDX-License-Identifier: MIT
 *
 * `rondo get`: the bar. Drawn five times a second from what the call has counted; nothing is drawn where
 * standard error is no terminal.
 */
#include "get.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EVERY_MS 200
#define BAR 24
#define WHOLE_LINE 68 /* columns, with the bar */

/* "12.3 MiB" */
static void format_bytes(double bytes, char *text, size_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
    snprintf(text, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

/* " 45% [==========>             ] ", or what fits of it. */
static int format_bar(int64_t done, int64_t total, bool whole, char *text, size_t size) {
    char bar[BAR + 1];
    int filled = (int)((double)done / (double)total * BAR);
    if (filled > BAR) filled = BAR;
    memset(bar, ' ', BAR);
    memset(bar, '=', (size_t)filled);
    if (filled < BAR) bar[filled] = '>';
    bar[BAR] = '\0';
    int percent = (int)((double)done * 100 / (double)total);
    return whole ? snprintf(text, size, "%3d%% [%s] ", percent, bar)
                 : snprintf(text, size, "%3d%% ", percent);
}

/* Of the terminal; 80 when it doesn't say. */
static int columns(void) {
    struct winsize window;
    return ioctl(2, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col : 80;
}

static void draw(get_progress *self) {
    char got[32], rate[32], line[128];
    int len = 0, width = columns() - 1; /* one that fills the last column begins a new line */
    uint64_t now = rondo_loop_now_ns(rondo_handle_loop(self->timer));
    double seconds = (double)(now - self->since_ns) / 1e9;
    double speed = seconds > 0 ? (double)self->got / seconds : 0;
    int64_t done = self->had + self->got;
    format_bytes((double)done, got, sizeof got);
    format_bytes(speed, rate, sizeof rate);
    if (self->total > 0)
        len = format_bar(done, self->total, width >= WHOLE_LINE, line, sizeof line);
    len += snprintf(line + len, sizeof line - (size_t)len, "%s  %s/s", got, rate);
    if (self->total > done && speed > 0)
        snprintf(line + len, sizeof line - (size_t)len, "  %.0f s left",
                 (double)(self->total - done) / speed);
    /* A line that is broken in two would not be drawn over; then what a longer one has left goes. */
    fprintf(stderr, "\r%.*s\033[K", width, line);
    fflush(stderr);
    self->shown = true;
}

static void on_timer(rondo_timer *timer, void *arg) {
    (void)timer;
    draw(arg);
}

void get_progress_begin(get_progress *progress, rondo_loop *loop, int64_t had, int64_t total) {
    if (!isatty(2) || progress->timer) return;
    progress->timer = rondo_timer_new(loop);
    if (!progress->timer) return;
    progress->had = had;
    progress->total = total < 0 ? -1 : had + total;
    progress->since_ns = rondo_loop_now_ns(loop);
    rondo_timer_start(progress->timer, EVERY_MS, EVERY_MS, on_timer, progress);
    rondo_unref(progress->timer);
}

void get_progress_end(get_progress *progress) {
    if (!progress->timer) return;
    if (progress->shown) {
        draw(progress);
        fputc('\n', stderr);
    }
    rondo_close(progress->timer);
    progress->timer = NULL;
}
