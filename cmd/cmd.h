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
extern const char serve_help[];

/* listen.c */
typedef struct listen_options {
    const char *host; /* NULL: not given */
    uint16_t port;
    bool has_port;
    const char *path; /* of a Unix socket; NULL: not given */
} listen_options;
/* Where the options say, else on a socket of a service manager, else on a port of the loopback.
 * Complains unless it returns EXIT_OK. */
int listen_somewhere(rondo_http_server *server, const listen_options *where);
/* Prints where it listens and, unless quiet, what else one wants to know. */
int announce(const rondo_http_server *server, const char *directory, bool quiet);

/* access_log.c: one line on stdout for each answer that has ended. */
void access_log_begin(rondo_http_request *request, rondo_http_response *response);
/* Writes out lines that were logged; when that fails, says so once and logs no more. */
void access_log_flush(void);

#endif
