/* SPDX-License-Identifier: MIT
 *
 * `rondo serve`: the files of a directory over HTTP, until Ctrl-C.
 */
#include "cmd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char serve_help[] =
    "usage: rondo serve [DIR] [--host ADDRESS] [--port PORT] [--quiet]\n"
    "\n"
    "Serves the files beneath DIR (default: the current directory) over HTTP.\n"
    "\n"
    "  --host ADDRESS  where to listen, a numeric address or localhost (default 127.0.0.1;\n"
    "                  0.0.0.0 or :: to be reached from other machines)\n"
    "  --port PORT     0 to 65535 (default 8080); 0 takes a free one\n"
    "  --quiet         print the line that says where it listens, and nothing else\n"
    "\n"
    "The first line printed is `listening on http://ADDRESS:PORT/`, once connections are\n"
    "accepted. Then one line for each request: method, target, status, octets of the answer's\n"
    "body, milliseconds until the answer was ready to be sent.\n"
    "\n"
    "A directory is answered with its index.html. Names that begin with a dot are not\n"
    "served, and symbolic links only if they stay within DIR.\n"
    "\n"
    "Ctrl-C or SIGTERM: no new requests, those in flight finish, exit status 0. A second one\n"
    "ends at once with 128 plus the signal's number (130 for Ctrl-C).\n"
    "Exit status 1 when it can't run (no such directory, port in use), 2 for wrong usage.\n"
    "\n"
    "example: rondo serve public --port 3000\n";

typedef struct options {
    const char *directory; /* NULL: not given */
    const char *host;
    unsigned port;
    bool quiet;
    bool help;
} options;

/* The state of the one server of this process. */
typedef struct serve {
    options options;
    rondo_loop *loop;
    rondo_http_files *files;
    rondo_http_server *server;
    rondo_signal *signals[2];
    bool stopping;
} serve;

/* ---- the command line ---- */

static bool parse_port(const char *text, unsigned *ret_port) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || port > 65535) return false;
    *ret_port = (unsigned)port;
    return true;
}

/* Takes "--name VALUE" or "--name=VALUE" at argv[*at]. Returns 1: it was that; 0: it was not;
 * -1: the value is missing. */
static int take_value(int argc, char **argv, int *at, const char *name, const char **ret_value) {
    size_t len = strlen(name);

    if (strncmp(argv[*at], name, len) != 0) return 0;
    if (argv[*at][len] == '=') {
        *ret_value = argv[*at] + len + 1;
        return 1;
    }
    if (argv[*at][len] != '\0') return 0;
    if (*at + 1 >= argc) {
        complain("%s needs a value; see: rondo help serve", name);
        return -1;
    }
    *ret_value = argv[++*at];
    return 1;
}

/* Reads one option. Returns EXIT_OK or EXIT_USAGE. */
static int parse_option(int argc, char **argv, int *at, options *ret) {
    const char *port = NULL;
    int taken = take_value(argc, argv, at, "--host", &ret->host);

    if (taken == 0) taken = take_value(argc, argv, at, "--port", &port);
    if (taken < 0) return EXIT_USAGE;
    if (port != NULL && !parse_port(port, &ret->port)) {
        complain("'%s' is no port; give a number from 0 (any free one) to 65535", port);
        return EXIT_USAGE;
    }
    if (taken > 0) return EXIT_OK;
    if (strcmp(argv[*at], "--quiet") == 0) {
        ret->quiet = true;
    } else if (strcmp(argv[*at], "--help") == 0 || strcmp(argv[*at], "-h") == 0) {
        ret->help = true;
    } else {
        complain("serve has no option '%s'; see: rondo help serve", argv[*at]);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int parse(int argc, char **argv, options *ret) {
    bool only_names = false; /* after "--" */

    for (int i = 1; i < argc; i++) {
        if (!only_names && strcmp(argv[i], "--") == 0) {
            only_names = true;
        } else if (!only_names && argv[i][0] == '-') {
            if (parse_option(argc, argv, &i, ret) != EXIT_OK) return EXIT_USAGE;
        } else if (ret->directory != NULL) {
            complain("serve takes one directory, not both '%s' and '%s'", ret->directory, argv[i]);
            return EXIT_USAGE;
        } else {
            ret->directory = argv[i];
        }
    }
    if (ret->directory == NULL) ret->directory = ".";
    return EXIT_OK;
}

/* ---- starting ---- */

static int open_directory(serve *s) {
    const char *name = s->options.directory;
    int error = rondo_http_files_new(s->loop, name, &s->files);

    switch (error) {
    case 0: return EXIT_OK;
    case RONDO_ENOENT: complain("there is no directory '%s'; name one that exists", name); break;
    case RONDO_ENOTDIR: complain("'%s' is not a directory; name the one it is in", name); break;
    case RONDO_EACCES: complain("no permission to read the directory '%s'", name); break;
    default: complain("can't open the directory '%s': %s", name, rondo_error_text(error)); break;
    }
    return EXIT_RUNTIME;
}

static int start_listening(serve *s) {
    const char *host = s->options.host;
    unsigned port = s->options.port;
    int error = rondo_http_server_listen(s->server, host, (uint16_t)port);

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

static int announce(const serve *s) {
    char address[64] = "";
    unsigned port = rondo_http_server_port(s->server);

    rondo_http_server_address(s->server, address, sizeof address);
    printf("listening on http://%s/\n", address);
    if (!s->options.quiet) {
        bool any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
        printf("serving '%s'; try: curl -i http://", s->options.directory);
        if (any)
            printf("127.0.0.1:%u/\n", port);
        else
            printf("%s/\n", address);
        printf("Ctrl-C stops it\n");
    }
    return flush_stdout();
}

/* ---- running ---- */

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    serve *s = arg;

    if (!s->options.quiet) access_log_begin(request, response);
    rondo_http_files_serve(request, response, s->files);
}

static void on_signal(rondo_signal *handle, int signum, void *arg) {
    serve *s = arg;

    (void)handle;
    if (s->stopping) {
        access_log_flush();
        _exit(128 + signum);
    }
    s->stopping = true;
    rondo_http_server_drain(s->server, 0);
    if (!s->options.quiet)
        printf("stopping when the requests in flight are done; Ctrl-C again stops at once\n");
}

static void on_prepare(rondo_prepare *prepare, void *arg) {
    (void)prepare;
    (void)arg;
    access_log_flush();
}

/* The server alone keeps the loop alive, so that the loop ends when it has drained. */
static int start_watching(serve *s) {
    static const int signums[] = {SIGINT, SIGTERM};
    rondo_prepare *prepare = rondo_prepare_new(s->loop);

    if (prepare == NULL || rondo_prepare_start(prepare, on_prepare, NULL) != 0) return EXIT_RUNTIME;
    rondo_unref(prepare);
    for (int i = 0; i < 2; i++) {
        s->signals[i] = rondo_signal_new(s->loop);
        if (s->signals[i] == NULL ||
            rondo_signal_start(s->signals[i], signums[i], on_signal, s) != 0)
            return EXIT_RUNTIME;
        rondo_unref(s->signals[i]);
    }
    return EXIT_OK;
}

static int run(serve *s) {
    int status;

    s->loop = rondo_loop_new();
    s->server = s->loop ? rondo_http_server_new(s->loop) : NULL;
    if (s->server == NULL || start_watching(s) != EXIT_OK) {
        complain("can't start: out of memory or of file descriptors");
        return EXIT_RUNTIME;
    }
    status = open_directory(s);
    if (status == EXIT_OK) {
        rondo_http_server_on_request(s->server, on_request, s);
        status = start_listening(s);
    }
    if (status == EXIT_OK) status = announce(s);
    if (status == EXIT_OK) rondo_loop_run(s->loop, RONDO_RUN_ALL);
    return status;
}

int serve_main(int argc, char **argv) {
    serve s = {.options = {.host = "127.0.0.1", .port = 8080}};
    int status = parse(argc, argv, &s.options);

    if (status != EXIT_OK) return status;
    if (s.options.help) {
        fputs(serve_help, stdout);
        return flush_stdout();
    }
    status = run(&s);
    if (s.loop != NULL) {
        rondo_loop_close_all(s.loop);
        rondo_loop_run(s.loop, RONDO_RUN_ALL);
        rondo_http_files_free(s.files);
        rondo_loop_free(s.loop);
    }
    access_log_flush();
    return status;
}
