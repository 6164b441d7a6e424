/* SPDX-License-Identifier: MIT
 *
 * A clock in the browser, by server-sent events: clock [PORT [INTERVAL_MS]].
 *
 *   /        a page that shows the time of the server, how often it heard of it, and who else listens
 *   /events  what it listens to: an event `tick` each interval, and `clients` when their number changes
 *
 * One channel has all clients: an event is formatted once, however many they are. The browser connects
 * again by itself, with the id of the last event it has heard, and gets what it missed; stop the server
 * and start it again to see that. Nothing is asked of the server in between.
 *
 * args: 8080 100
 * run: curl -s http://127.0.0.1:8080/ => new EventSource
 * run: curl -sN --max-time 2 http://127.0.0.1:8080/events => event: tick
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char page[] =
    "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>clock</title>\n"
    "<meta name=viewport content='width=device-width'>\n"
    "<style>\n"
    "  body { font: 1rem/1.5 system-ui, sans-serif; background: #14181f; color: #d8dee9;\n"
    "         display: grid; place-content: center; min-height: 100vh; margin: 0;\n"
    "         text-align: center }\n"
    "  time { font: 200 18vw/1 ui-monospace, monospace; display: block; color: #eceff4 }\n"
    "  #state::before { content: '\\25cf '; color: #bf616a }\n"
    "  #state.open::before { color: #a3be8c }\n"
    "</style>\n"
    "<time id=time>--:--:--</time>\n"
    "<p id=state>connecting</p>\n"
    "<p><span id=heard>0</span> events heard, <span id=clients>0</span> listening</p>\n"
    "<script>\n"
    "  const show = (id, text) => document.getElementById(id).textContent = text;\n"
    "  const state = (text, open) => {\n"
    "    show('state', text); document.getElementById('state').classList.toggle('open', open);\n"
    "  };\n"
    "  let heard = 0;\n"
    "  const events = new EventSource('/events');\n"
    "  events.onopen = () => state('connected', true);\n"
    "  events.onerror = () => state('connecting again', false);\n"
    "  events.addEventListener('tick', e => { show('time', e.data); show('heard', ++heard); });\n"
    "  events.addEventListener('clients', e => show('clients', e.data));\n"
    "</script>\n";

typedef struct clock_site {
    rondo_http_server *server;
    rondo_http_events *channel;
    rondo_timer *timer;
    uint64_t ticks;
} clock_site;

/* ---- events ---- */

static void send(clock_site *s, const char *type, const char *data, const char *id) {
    rondo_http_event event = {
        .type = rondo_slice_text(type),
        .data = rondo_slice_text(data),
        .id = rondo_slice_text(id),
        .retry_ms = 1000,
    };
    rondo_http_events_send(s->channel, &event); /* out of memory: the next one will tell */
}

static void on_interval(rondo_timer *timer, void *arg) {
    clock_site *s = arg;
    char text[16], id[24];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(text, sizeof text, "%H:%M:%S", &parts);
    snprintf(id, sizeof id, "%llu", (unsigned long long)++s->ticks);
    send(s, "tick", text, id);
}

static void tell_clients(clock_site *s) {
    rondo_http_events_figures figures;
    char text[24];
    rondo_http_events_get_figures(s->channel, &figures);
    snprintf(text, sizeof text, "%zu", figures.clients);
    send(s, "clients", text, NULL);
}

/* ---- requests ---- */

static void on_left(rondo_handle *response, void *arg) {
    clock_site *s = arg;
    if (!rondo_is_closing(s->channel)) tell_clients(s);
}

static void on_events(rondo_http_request *request, rondo_http_response *response, void *arg) {
    clock_site *s = arg;
    if (rondo_http_events_add(s->channel, response) < 0) {
        rondo_http_response_reply(response, 503, NULL, rondo_slice_of(NULL, 0));
        return;
    }
    rondo_on_close(response, on_left, s);
    tell_clients(s);
}

static void on_page(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_response_header(response, "Content-Security-Policy",
                               "default-src 'none'; style-src 'unsafe-inline'; "
                               "script-src 'unsafe-inline'; connect-src 'self'");
    rondo_http_response_reply(response, 200, "text/html; charset=utf-8", rondo_slice_text(page));
}

/* ---- the program ---- */

/* Answers that never end would keep a drain waiting: the channel's are ended first. */
static void on_interrupt(rondo_signal *handle, int signum, void *arg) {
    clock_site *s = arg;
    rondo_close(s->timer);
    rondo_close(s->channel);
    rondo_http_server_drain(s->server, 1000);
    rondo_close(handle);
}

static int start(rondo_loop *loop, clock_site *s, uint16_t port, uint64_t interval_ms) {
    s->server = rondo_http_server_new(loop);
    s->channel = rondo_http_events_new(loop, NULL);
    s->timer = rondo_timer_new(loop);
    if (!s->server || !s->channel || !s->timer) return RONDO_ENOMEM;
    int error = rondo_timer_start(s->timer, interval_ms, interval_ms, on_interval, s);
    if (error == 0) error = rondo_http_server_listen(s->server, "127.0.0.1", port);
    return error;
}

int main(int argc, char **argv) {
    char address[64];
    clock_site s = {0};
    rondo_loop *loop = rondo_loop_new();
    rondo_http_router *router = rondo_http_router_new();
    int error = start(loop, &s, (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080),
                      argc > 2 ? (uint64_t)atoi(argv[2]) : 1000);
    if (error == 0) error = rondo_http_router_add(router, "GET", "/", on_page, &s);
    if (error == 0) error = rondo_http_router_add(router, "GET", "/events", on_events, &s);
    if (error < 0) {
        fprintf(stderr, "clock: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_http_server_on_request(s.server, rondo_http_router_serve, router);
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, &s);
    rondo_http_server_address(s.server, address, sizeof address);
    printf("clock: listening on %s\n", address);
    fflush(stdout);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_http_router_free(router);
    rondo_loop_free(loop);
    return 0;
}
