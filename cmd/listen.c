/* SPDX-License-Identifier: MIT
 *
 * Where `rondo serve` listens: an address, a Unix socket, or a socket of a service manager; and what
 * it says about that.
 */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT 8080

static int listen_tcp(rondo_http_server *server, const char *host, unsigned port) {
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

static int listen_unix(rondo_http_server *server, const char *path) {
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

int listen_somewhere(rondo_http_server *server, const listen_options *where) {
    const char *host = where->host ? where->host : DEFAULT_HOST;

    if (where->path != NULL) return listen_unix(server, where->path);
    if (where->host == NULL && !where->has_port) {
        int error = rondo_server_listen_inherited(rondo_http_server_listener(server), NULL);
        if (error == 0) return EXIT_OK;
        if (error != RONDO_ENOENT) {
            complain("can't use the socket of the service manager: %s", rondo_error_text(error));
            return EXIT_RUNTIME;
        }
    }
    return listen_tcp(server, host, where->has_port ? where->port : DEFAULT_PORT);
}

/* How to try it out, without the newline. */
static void suggest(const char *address, unsigned port) {
    bool any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;

    if (strncmp(address, "unix:@", 6) == 0)
        printf("curl -i --abstract-unix-socket '%s' http://localhost/", address + 6);
    else if (strncmp(address, "unix:", 5) == 0)
        printf("curl -i --unix-socket '%s' http://localhost/", address + 5);
    else if (any)
        printf("curl -i http://127.0.0.1:%u/", port);
    else
        printf("curl -i http://%s/", address);
}

int announce(const rondo_http_server *server, const char *directory, bool quiet) {
    char address[RONDO_ADDRESS_TEXT_BYTES] = "";

    rondo_http_server_address(server, address, sizeof address);
    if (strncmp(address, "unix:", 5) == 0)
        printf("listening on %s\n", address);
    else
        printf("listening on http://%s/\n", address);
    if (!quiet) {
        printf("serving '%s'; try: ", directory);
        suggest(address, rondo_http_server_port(server));
        printf("\nCtrl-C stops it\n");
    }
    return flush_stdout();
}
