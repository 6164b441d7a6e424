/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: the command line. --serve is for the run itself, which starts each server as a process of its own.
 */
#include "cmd/cmd.h"
#include "compare/model.h"
#include "compare/peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char compare_help[] =
    "usage: rondo compare --list\n"
    "       rondo compare --peers\n"
    "       rondo compare --serve MODEL [--port N] [--workers N] [--files DIR]\n"
    "       rondo compare --serve PEER --port N [--workers N] [--files DIR] [--dir DIR]\n"
    "\n"
    "Serves the same small web site in one of several models of concurrency, until SIGTERM.\n"
    "\n"
    "  --list         the models\n"
    "  --peers        servers of others that do the same work: which are there, and what to "
    "install for the rest\n"
    "  --serve MODEL  serve on 127.0.0.1: /hello, /wait?ms=N, /cpu?n=N, /file?name=NAME\n"
    "  --port N       the port (a free one)\n"
    "  --workers N    processes or threads, where the model has a fixed number of them\n"
    "  --files DIR    where the files of /file are\n"
    "  --dir DIR      where a peer's configuration is written and it is built (.)\n";

static int list(void) {
    for (const model *each = models; each->name != NULL; each++)
        printf("%-10s  %-30s  %s\n", each->name, each->title, each->waits);
    return flush_stdout();
}

static bool read_number(const char *text, unsigned long most, unsigned long *ret) {
    char *end;

    if (text == NULL || *text < '0' || *text > '9') return false;
    *ret = strtoul(text, &end, 10);
    return *end == '\0' && *ret <= most;
}

static int serve_peer(const peer *which, const model_settings *settings, const char *dir) {
    peer_command command;
    char why[256];

    if (peer_prepare(which, dir, why, sizeof why) < 0) {
        complain("%s: %s", which->name, why);
        return EXIT_RUNTIME;
    }
    peer_get_command(which, settings->port, settings->workers,
                     settings->files ? settings->files : dir, dir, &command);
    execv(command.argv[0], command.argv);
    complain("%s: %s", command.argv[0], strerror(errno));
    return EXIT_RUNTIME;
}

int compare_main(int argc, char **argv) {
    model_settings settings = {.port = 0};
    const model *chosen = NULL;
    const peer *other = NULL;
    const char *dir = ".";
    unsigned long number = 0;

    for (int i = 1; i < argc; i += 2) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool good = value != NULL;

        if (strcmp(option, "--list") == 0) return list();
        if (strcmp(option, "--peers") == 0) {
            peers_show();
            return flush_stdout();
        }
        if (strcmp(option, "--serve") == 0) {
            chosen = good ? model_find(value) : NULL;
            other = good ? peer_find(value) : NULL;
            good = chosen != NULL || other != NULL;
        } else if (strcmp(option, "--port") == 0) {
            good = read_number(value, UINT16_MAX, &number);
            settings.port = (uint16_t)number;
        } else if (strcmp(option, "--workers") == 0) {
            good = read_number(value, 10000, &number);
            settings.workers = (unsigned)number;
        } else if (strcmp(option, "--files") == 0) {
            settings.files = value;
        } else if (strcmp(option, "--dir") == 0) {
            dir = value;
        } else {
            complain("there is no option '%s'; see: rondo help compare", option);
            return EXIT_USAGE;
        }
        if (good) continue;
        complain("%s can't be '%s'; see: rondo help compare", option, value != NULL ? value : "");
        return EXIT_USAGE;
    }
    if (other != NULL) return serve_peer(other, &settings, dir);
    if (chosen != NULL) return compare_serve(chosen, &settings);
    complain("what? see: rondo help compare");
    return EXIT_USAGE;
}
