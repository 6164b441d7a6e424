/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: the command line. --serve is for the run itself, which starts each server as a process of its own.
 */
#include "cmd/cmd.h"
#include "compare/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char compare_help[] =
    "usage: rondo compare --list\n"
    "       rondo compare --serve MODEL [--port N] [--workers N] [--files DIR]\n"
    "\n"
    "Serves the same small web site in one of several models of concurrency, until SIGTERM.\n"
    "\n"
    "  --list         the models\n"
    "  --serve MODEL  serve on 127.0.0.1: /hello, /wait?ms=N, /cpu?n=N, /file?name=NAME\n"
    "  --port N       the port (a free one)\n"
    "  --workers N    processes or threads, where the model has a fixed number of them\n"
    "  --files DIR    where the files of /file are\n";

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

int compare_main(int argc, char **argv) {
    model_settings settings = {.port = 0};
    const model *chosen = NULL;
    unsigned long number = 0;

    for (int i = 1; i < argc; i += 2) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool good = value != NULL;

        if (strcmp(option, "--list") == 0) return list();
        if (strcmp(option, "--serve") == 0) {
            chosen = good ? model_find(value) : NULL;
            good = chosen != NULL;
        } else if (strcmp(option, "--port") == 0) {
            good = read_number(value, UINT16_MAX, &number);
            settings.port = (uint16_t)number;
        } else if (strcmp(option, "--workers") == 0) {
            good = read_number(value, 10000, &number);
            settings.workers = (unsigned)number;
        } else if (strcmp(option, "--files") == 0) {
            settings.files = value;
        } else {
            complain("there is no option '%s'; see: rondo help compare", option);
            return EXIT_USAGE;
        }
        if (good) continue;
        complain("%s can't be '%s'; see: rondo help compare", option, value != NULL ? value : "");
        return EXIT_USAGE;
    }
    if (chosen != NULL) return compare_serve(chosen, &settings);
    complain("what? see: rondo help compare");
    return EXIT_USAGE;
}
