/* SPDX-License-Identifier: MIT
 *
 * Where `rondo serve` listens: addresses, Unix sockets, or the sockets of a service manager; and what
 * it says about that. Each has an HTTP server of its own; what they answer is the same.
 */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT 8080

/* One more server; NULL when there can't be. */
static rondo_http_server *add_server(listeners *all) {
    rondo_http_server *server = all->count < LISTEN_MOST ? rondo_http_server_new(all->loop) : NULL;

    if (server == NULL) {
        complain("can't listen on more than %zu addresses: %s", all->count,
                 all->count < LISTEN_MOST ? "out of memory" : "that is the limit");
        return NULL;
    }
    rondo_http_server_on_request(server, all->on_request, all->arg);
    rondo_http_server_set_limits(server, &all->limits);
    if (all->log != NULL) rondo_http_server_on_response(server, rondo_http_log_response, all->log);
    int error = all->tls ? rondo_server_set_tls(rondo_http_server_listener(server), all->tls) : 0;
    if (error < 0) {
        complain("can't use TLS: %s", rondo_error_text(error));
        rondo_close(server);
        return NULL;
    }
    error =
        all->compress ? rondo_http_server_set_compression(server, &(rondo_http_compression){0}) : 0;
    if (error < 0 && error != RONDO_ENOSYS) { /* without zlib: only what is compressed already */
        complain("can't compress: %s", rondo_error_text(error));
        rondo_close(server);
        return NULL;
    }
    if (all->count > 0) rondo_http_server_count_with(server, all->servers[0]);
    all->servers[all->count++] = server;
    return server;
}

static int listen_tcp(listeners *all, const char *host, unsigned port) {
    rondo_http_server *server = add_server(all);

    if (server == NULL) return EXIT_RUNTIME;
    int error = rondo_http_server_listen(server, host, (uint16_t)port);

    switch (error) {
    case 0: return EXIT_OK;
    case RONDO_EINVAL:
        complain("'%s' is no address; give a numeric one (127.0.0.1, ::1, 0.0.0.0) or localhost",
                 host);
        return EXIT_USAGE;
    case RONDO_EADDRINUSE:
        complain("port %u of %s is in use; choose another with --port, or a free one with "
                 "--port 0",
                 port, host);
        break;
    case RONDO_EADDRNOTAVAIL:
        complain("this machine has no address %s; see: ip address", host);
        break;
    case RONDO_EACCES:
        complain("no permission to listen on port %u; choose one from 1024 on with --port", port);
        break;
    default: complain("can't listen on %s port %u: %s", host, port, rondo_error_text(error)); break;
    }
    return EXIT_RUNTIME;
}

static int listen_unix(listeners *all, const char *path) {
    rondo_http_server *server = add_server(all);

    if (server == NULL) return EXIT_RUNTIME;
    int error = rondo_server_listen_unix(rondo_http_server_listener(server), path, 0);

    switch (error) {
    case 0: return EXIT_OK;
    case RONDO_EINVAL:
        complain("'%s' is no path for a Unix socket; give that of a file, or @NAME", path);
        return EXIT_USAGE;
    case RONDO_ENAMETOOLONG:
        complain("'%s' is too long for a Unix socket; 107 bytes are the most", path);
        return EXIT_USAGE;
    case RONDO_EADDRINUSE:
        complain("'%s' is in use, by another server or as another kind of file", path);
        break;
    default: complain("can't listen on '%s': %s", path, rondo_error_text(error)); break;
    }
    return EXIT_RUNTIME;
}

/* As many as there are; EXIT_OK with none of them too. */
static int listen_inherited(listeners *all) {
    for (;;) {
        rondo_http_server *server = add_server(all);
        if (server == NULL) return EXIT_RUNTIME;
        int error = rondo_server_listen_inherited(rondo_http_server_listener(server), NULL);
        if (error == 0) continue;
        rondo_close(server);
        all->count--;
        if (error == RONDO_ENOENT) return EXIT_OK;
        complain("can't use the socket of the service manager: %s", rondo_error_text(error));
        return EXIT_RUNTIME;
    }
}

/* Each host with each port, as the defaults fill them in. */
static const char *host_at(const serve_options *options, size_t i) {
    return options->host_count > 0 ? options->hosts[i] : DEFAULT_HOST;
}
static unsigned port_at(const serve_options *options, size_t i) {
    return options->port_count > 0 ? options->ports[i] : DEFAULT_PORT;
}
static size_t one_or(size_t count) { return count > 0 ? count : 1; }

/* Whether TCP was asked for, or nothing else was. */
static bool wants_tcp(const serve_options *options) {
    return options->host_count > 0 || options->port_count > 0 || options->path_count == 0;
}

int listen_somewhere(listeners *all, const serve_options *options) {
    int status = EXIT_OK;

    if (options->host_count + options->port_count + options->path_count == 0) {
        status = listen_inherited(all);
        if (status != EXIT_OK || all->count > 0) return status;
    }
    for (size_t i = 0; i < options->path_count && status == EXIT_OK; i++)
        status = listen_unix(all, options->paths[i]);
    if (!wants_tcp(options)) return status;
    for (size_t h = 0; h < one_or(options->host_count); h++)
        for (size_t p = 0; p < one_or(options->port_count) && status == EXIT_OK; p++)
            status = listen_tcp(all, host_at(options, h), port_at(options, p));
    return status;
}

/* The sockets of a service manager; how many there are. They are taken, since nothing else will use them. */
static int show_inherited(void) {
    rondo_loop *loop = rondo_loop_new();
    char address[RONDO_ADDRESS_TEXT_BYTES];
    int count = 0;

    if (loop == NULL) return 0;
    for (;; count++) {
        rondo_server *server = rondo_server_new(loop);
        if (server == NULL || rondo_server_listen_inherited(server, NULL) != 0) break;
        if (rondo_server_address(server, address, sizeof address) < 0) break;
        printf("listen           %s\n", address);
    }
    rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return count;
}

void show_addresses(const serve_options *options) {
    if (options->host_count + options->port_count + options->path_count == 0 &&
        show_inherited() > 0)
        return;
    for (size_t i = 0; i < options->path_count; i++)
        printf("listen           unix:%s\n", options->paths[i]);
    if (!wants_tcp(options)) return;
    for (size_t h = 0; h < one_or(options->host_count); h++)
        for (size_t p = 0; p < one_or(options->port_count); p++) {
            const char *host = host_at(options, h);
            bool bare = strchr(host, ':') != NULL;
            printf("listen           %s%s%s:%u\n", bare ? "[" : "", host, bare ? "]" : "",
                   port_at(options, p));
        }
}

/* How to try it out, without the newline. */
static void suggest(const char *address, unsigned port, const char *scheme) {
    bool any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
    const char *how = strcmp(scheme, "https") == 0 ? "curl -ki" : "curl -i";

    if (strncmp(address, "unix:@", 6) == 0)
        printf("%s --abstract-unix-socket '%s' %s://localhost/", how, address + 6, scheme);
    else if (strncmp(address, "unix:", 5) == 0)
        printf("%s --unix-socket '%s' %s://localhost/", how, address + 5, scheme);
    else if (any)
        printf("%s %s://127.0.0.1:%u/", how, scheme, port);
    else
        printf("%s %s://%s/", how, scheme, address);
}

int announce(const listeners *all, const serve_options *options) {
    const char *scheme = all->tls ? "https" : "http";
    char address[RONDO_ADDRESS_TEXT_BYTES] = "";

    for (size_t i = 0; i < all->count; i++) {
        rondo_http_server_address(all->servers[i], address, sizeof address);
        if (strncmp(address, "unix:", 5) == 0)
            printf("listening on %s\n", address);
        else
            printf("listening on %s://%s/\n", scheme, address);
    }
    if (!options->quiet) {
        rondo_http_server_address(all->servers[0], address, sizeof address);
        printf("serving '%s'; try: ", options->directory);
        suggest(address, rondo_http_server_port(all->servers[0]), scheme);
        printf("\nCtrl-C stops it\n");
    }
    return flush_stdout();
}
