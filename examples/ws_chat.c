/* SPDX-License-Identifier: MIT
 *
 * A chat room for browsers: ws_chat [PORT]. Open the page in two tabs.
 *
 *   /      the page
 *   /chat  the WebSocket it opens: the first message is a name, each further one goes to everybody
 *
 * What is said is framed once, however many hear it. Who does not read is ended by its own queue's
 * bound, not by the patience of the others. Only pages of this host may come in: a browser lets any
 * page of the web connect to any server.
 *
 * libs: wslay
 * args: 8080
 * run: curl -s http://127.0.0.1:8080/ => new WebSocket
 * run: curl -s http://127.0.0.1:8080/chat => version 13 is needed
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char page[] =
    "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>chat</title>\n"
    "<meta name=viewport content='width=device-width'>\n"
    "<style>\n"
    "  body { font: 1rem/1.5 system-ui, sans-serif; background: #14181f; color: #d8dee9;\n"
    "         max-width: 40rem; margin: 2rem auto; padding: 0 1rem }\n"
    "  #log { min-height: 16rem; border: 1px solid #3b4252; border-radius: .5rem; padding: 1rem }\n"
    "  #log i { color: #8fa1b3 } #log b { color: #a3be8c }\n"
    "  form { display: flex; gap: .5rem; margin-top: 1rem }\n"
    "  input { flex: 1; font: inherit; padding: .4rem .8rem; border-radius: .5rem; border: 0 }\n"
    "  button { font: inherit; padding: .4rem 1rem; border-radius: .5rem; border: 0 }\n"
    "</style>\n"
    "<h1>chat</h1>\n<div id=log></div>\n"
    "<form><input id=say placeholder='your name' autofocus autocomplete=off><button>Send</button>"
    "</form>\n"
    "<script>\n"
    "  const log = document.getElementById('log'), say = document.getElementById('say');\n"
    "  const show = (who, what) => {\n"
    "    const line = document.createElement('div');\n"
    "    const name = document.createElement(who ? 'b' : 'i');\n"
    "    name.textContent = who ? who + ': ' : what;\n"
    "    line.append(name, who ? what : '');\n"
    "    log.append(line);\n"
    "  };\n"
    "  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';\n"
    "  const socket = new WebSocket(`${scheme}://${location.host}/chat`, 'chat');\n"
    "  socket.onopen = () => { if (location.hash) send(decodeURIComponent(location.hash.slice(1)));"
    " };\n"
    "  socket.onmessage = (event) => {\n"
    "    const tab = event.data.indexOf('\\t');\n"
    "    show(event.data.slice(0, tab), event.data.slice(tab + 1));\n"
    "  };\n"
    "  socket.onclose = (event) => show('', `closed: ${event.code} ${event.reason}`);\n"
    "  const send = (text) => { socket.send(text); say.placeholder = 'say something'; };\n"
    "  document.forms[0].onsubmit = (event) => {\n"
    "    event.preventDefault();\n"
    "    if (say.value) send(say.value);\n"
    "    say.value = '';\n"
    "  };\n"
    "</script>\n";

#define NAME_MOST 32

typedef struct client {
    rondo_websocket *socket;
    struct client *next;
    char name[NAME_MOST + 1]; /* empty until it is known */
} client;

static client *clients;

/* "NAME\tTEXT" to everybody; without a name it is the room that speaks. */
static void tell_all(rondo_loop *loop, const char *name, const char *text, size_t len) {
    rondo_websocket_message *message;
    char *line = malloc(NAME_MOST + 2 + len);
    if (!line) return;
    int begin = sprintf(line, "%s\t", name);
    memcpy(line + begin, text, len);
    rondo_slice data = rondo_slice_of(line, (size_t)begin + len);
    if (rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, data, &message) == 0) {
        for (client *c = clients; c; c = c->next)
            if (c->name[0]) rondo_websocket_send_message(c->socket, message);
        rondo_websocket_message_free(message);
    }
    free(line);
}

static void announce(rondo_loop *loop, const client *who, const char *what) {
    char text[NAME_MOST + 32];
    snprintf(text, sizeof text, "%s %s", who->name, what);
    tell_all(loop, "", text, strlen(text));
}

static void on_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                       void *arg) {
    client *c = arg;
    rondo_loop *loop = rondo_handle_loop(socket);
    if (type != RONDO_WEBSOCKET_TEXT) {
        rondo_websocket_end(socket, 1003, "only text");
    } else if (c->name[0]) {
        tell_all(loop, c->name, data.data, data.len);
    } else if (data.len == 0 || data.len > NAME_MOST || memchr(data.data, '\t', data.len) ||
               memchr(data.data, '\0', data.len)) {
        rondo_websocket_end(socket, 1008, "that is no name");
    } else {
        memcpy(c->name, data.data, data.len);
        announce(loop, c, "has come");
    }
}

/* The one place where a client goes, whatever it was that ended it. */
static void on_close(rondo_handle *socket, void *arg) {
    client **link = &clients, *c = arg;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
    if (c->name[0]) announce(rondo_handle_loop(socket), c, "has left");
    free(c);
}

static void open_chat(rondo_http_request *request, rondo_http_response *response) {
    rondo_websocket_options options = {
        .protocols = "chat",
        .compression = RONDO_WEBSOCKET_FRESH,
        .slow = RONDO_WEBSOCKET_SLOW_END,
        .limits = {.message_bytes = 4096, .queued_bytes = 256 * 1024},
    };
    client *c = calloc(1, sizeof *c);
    if (!c || rondo_websocket_accept(request, response, &options, &c->socket) < 0) {
        free(c);
        return;
    }
    c->next = clients;
    clients = c;
    rondo_websocket_on_message(c->socket, on_message, c);
    rondo_on_close(c->socket, on_close, c);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice path = rondo_http_request_path(request);
    if (path.len == 5 && memcmp(path.data, "/chat", 5) == 0) {
        if (rondo_websocket_same_origin(request))
            open_chat(request, response);
        else
            rondo_http_response_reply(response, 403, "text/plain",
                                      rondo_slice_text("from another site\n"));
    } else if (path.len == 1) {
        rondo_http_response_reply(response, 200, "text/html", rondo_slice_text(page));
    } else {
        rondo_http_response_reply(response, 404, "text/plain", rondo_slice_text("not found\n"));
    }
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_http_server_drain(arg, 1000);
    rondo_websocket_end_all(rondo_handle_loop(sigint), 1001, "the server stops");
    rondo_close(sigint);
}

int main(int argc, char **argv) {
    char address[RONDO_ADDRESS_TEXT_BYTES];
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = loop ? rondo_http_server_new(loop) : NULL;
    int error =
        server ? rondo_http_server_listen(server, "127.0.0.1", (uint16_t)port) : RONDO_ENOMEM;
    if (error < 0) {
        fprintf(stderr, "ws_chat: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_http_server_on_request(server, on_request, NULL);
    rondo_http_server_address(server, address, sizeof address);
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, server);
    printf("ws_chat: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
