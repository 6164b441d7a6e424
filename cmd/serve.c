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
    "       rondo serve [DIR] --unix PATH [--quiet]\n"
    "\n"
    "Serves the files beneath DIR (default: the current directory) over HTTP.\n"
    "\n"
    "  --host ADDRESS  where to listen, a numeric address or localhost (default 127.0.0.1;\n"
    "                  0.0.0.0 or :: to be reached from other machines)\n"
    "  --port PORT     0 to 65535 (default 8080); 0 takes a free one\n"
    "  --unix PATH     listen on a Unix socket instead (@NAME: an abstract one); the umask says\n"
    "                  who may connect, and a socket that a dead server left is replaced\n"
    "  --quiet         print the line that says where it listens, and nothing else\n"
    "\n"
    "With none of these three, a socket that a service manager passes ($LISTEN_FDS) is used.\n"
    "\n"
    "The first line printed is `listening on http://ADDRESS:PORT/`, or `listening on unix:PATH`,\n"
    "once connections are accepted. Then one line for each request: method, target, status,\n"
    "octets of the answer's body, milliseconds until the answer was ready to be sent.\n"
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
    listen_options where;
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

static bool parse_port(const char *text, listen_options *ret) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || port > 65535) return false;
    ret->port = (uint16_t)port;
    ret->has_port = true;
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
    int taken = take_value(argc, argv, at, "--host", &ret->where.host);

    if (taken == 0) taken = take_value(argc, argv, at, "--unix", &ret->where.path);
    if (taken == 0) taken = take_value(argc, argv, at, "--port", &port);
    if (taken < 0) return EXIT_USAGE;
    if (port != NULL && !parse_port(port, &ret->where)) {
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
    if (ret->where.path != NULL && (ret->where.host != NULL || ret->where.has_port)) {
        complain("--unix takes the place of --host and --port; give only one of them");
        return EXIT_USAGE;
    }
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
        status = listen_somewhere(s->server, &s->options.where);
    }
    if (status == EXIT_OK) status = announce(s->server, s->options.directory, s->options.quiet);
    if (status == EXIT_OK) rondo_loop_run(s->loop, RONDO_RUN_ALL);
    return status;
}

int serve_main(int argc, char **argv) {
    serve s = {0};
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
