/* SPDX-License-Identifier: MIT
 *
 * The `rondo` command: what its parts share. A command is a row in main.c's table.
 */
#ifndef CMD_H
#define CMD_H

#include <rondo.h>

/* Exit statuses. A second Ctrl-C ends with 128 plus the signal's number. */
enum { EXIT_OK = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

/* Prints "rondo: ..." and a newline to stderr. */
void complain(const char *format, ...) RONDO_PRINTF(1, 2);

/* Writes out what stdout holds. Returns EXIT_OK, or complains and returns EXIT_RUNTIME. */
int flush_stdout(void);

/* serve.c: argv[0] is "serve". */
int serve_main(int argc, char **argv);
extern const char serve_help[]; /* serve_help.c */

/* get.c: argv[0] is "get". */
int get_main(int argc, char **argv);
extern const char get_help[]; /* get_options.c */

/* compare/compare.c: argv[0] is "compare". */
int compare_main(int argc, char **argv);
extern const char compare_help[];

/* ---- serve_options.c ---- */

/* Of each kind that may be given several times. */
#define GIVEN_MOST 16

typedef struct field_option {
    char *name;
    const char *value; /* behind the colon, in one piece of memory with it */
} field_option;

typedef struct serve_options {
    const char *directory;
    const char *hosts[GIVEN_MOST], *paths[GIVEN_MOST]; /* paths of Unix sockets */
    uint16_t ports[GIVEN_MOST];
    size_t host_count, path_count, port_count;
    const char *certificate, *key; /* PEM files; NULL: no TLS */
    field_option fields[GIVEN_MOST];
    size_t field_count;
    const char *log; /* a file; NULL: the standard output, unless quiet */
    rondo_http_log_format log_format;
    bool log_format_given;
    size_t max_connections, max_per_address; /* 0: the library's default */
    uint64_t drain_timeout_ms;               /* 0: none */
    bool gzip, list, spa, cors, quiet, help, show_config;
} serve_options;

/* Reads the command line. Returns EXIT_OK, or complains and returns EXIT_USAGE. */
int parse_serve_options(int argc, char **argv, serve_options *ret);
void free_serve_options(serve_options *options);
/* --show-config: what it would run with. */
int show_serve_options(const serve_options *options);

/* ---- listen.c ---- */

#define LISTEN_MOST 64

/* The servers, one for each address, and what they have in common. */
typedef struct listeners {
    rondo_loop *loop;
    rondo_tls_context *tls; /* NULL: none */
    rondo_http_limits limits;
    rondo_http_log *log; /* NULL: none */
    bool compress;
    rondo_http_request_cb on_request;
    void *arg;
    rondo_http_server *servers[LISTEN_MOST];
    size_t count;
} listeners;

/* Listens where the options say, else on the sockets of a service manager, else on a port of the
 * loopback. Complains unless it returns EXIT_OK. */
int listen_somewhere(listeners *all, const serve_options *options);
/* What listen_somewhere() would try, or the sockets that it is given; a line for each. */
void show_addresses(const serve_options *options);
/* Prints where it listens and, unless quiet, what else one wants to know. */
int announce(const listeners *all, const serve_options *options);

#endif
