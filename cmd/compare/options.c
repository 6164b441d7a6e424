/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: the command line.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char compare_help[] =
    "usage: rondo compare [OPTIONS]\n"
    "\n"
    "Starts the same small web server in one model of concurrency after the other, loads each in "
    "the\n"
    "same way, and writes what came of it to compare.html, compare.json and compare.csv.\n"
    "\n"
    "      --quick            in less than two minutes: four workloads of eleven, fewer rounds; "
    "no peers\n"
    "      --models A,B       only these models and peers (--list names them)\n"
    "      --server NAME=COMMAND  compare with this one too: a shell command that serves on\n"
    "                         127.0.0.1:$PORT, with the files in $FILES (may be repeated)\n"
    "      --workload A,B     only these workloads; 'file' is all of file-...\n"
    "      --rate N           this many requests arrive in a second, instead of a sweep of rates; "
    "0: closed\n"
    "                         loop, the next request when the answer is there\n"
    "      --connections N    that are busy, instead of the workload's own number\n"
    "      --idle N           connections in an idle crowd, instead of 100, 1,000 and 10,000\n"
    "      --duration SECONDS of each load (fractions are allowed), instead of what fits into the "
    "time\n"
    "      --rounds N         models take turns so often, instead of one to three times\n"
    "      --server-cores N   a server gets, instead of one; the generator has one of its own\n"
    "      --out DIR          write the files there, instead of here\n"
    "      --anyway           do not wait until the machine is quiet, nor for another comparison\n"
    "      --list             show models and workloads\n"
    "      --peers            show the other servers it can compare with, and what is not "
    "installed\n"
    "\n"
    "Ctrl-C keeps what was measured.\n"
    "\n"
    "exit status: 0 done, whatever the servers did; 1 it could not be done or written; 2 wrong "
    "usage;\n"
    "130 Ctrl-C\n"
    "\n"
    "example: rondo compare --quick --models thread,epoll,loop\n";

typedef enum kind { FLAG, TEXT, NUMBER, REAL } kind;

typedef struct option {
    const char *name;
    kind kind;
    size_t member;
    double least, most; /* NUMBER, REAL */
} option;

#define OPTION(name, kind, member, least, most) \
    { name, kind, offsetof(compare_options, member), least, most }

static const option options[] = {
    OPTION("--quick", FLAG, quick, 0, 0),
    OPTION("--list", FLAG, list, 0, 0),
    OPTION("--peers", FLAG, peers, 0, 0),
    OPTION("--anyway", FLAG, anyway, 0, 0),
    OPTION("--help", FLAG, help, 0, 0),
    OPTION("-h", FLAG, help, 0, 0),
    OPTION("--out", TEXT, out, 0, 0),
    OPTION("--models", TEXT, models, 0, 0),
    OPTION("--workload", TEXT, workloads, 0, 0),
    OPTION("--rate", REAL, rate, 0, 10e6),
    OPTION("--duration", REAL, duration, 0.01, 3600),
    OPTION("--connections", NUMBER, connections, 1, 100000),
    OPTION("--idle", NUMBER, idle, 1, 1000000),
    OPTION("--rounds", NUMBER, rounds, 1, 1000),
    OPTION("--server-cores", NUMBER, server_cores, 1, 1024),
    /* What it calls itself with, to be a server. */
    OPTION("--serve", TEXT, serve, 0, 0),
    OPTION("--files", TEXT, files, 0, 0),
    OPTION("--dir", TEXT, dir, 0, 0),
    OPTION("--workers", NUMBER, workers, 0, 100000),
};

static bool parse_real(const char *text, const option *known, double *ret) {
    char *end;
    if (*text < '0' || *text > '9') return false; /* no blanks, signs, "inf" or "nan" */
    *ret = strtod(text, &end);
    if (*end != '\0' || strpbrk(text, "xX")) return false;
    return *ret >= known->least && *ret <= known->most;
}

static int take(const option *known, const char *text, compare_options *ret) {
    void *member = (char *)ret + known->member;
    double value;
    if (known->kind == FLAG) {
        *(bool *)member = true;
        return EXIT_OK;
    }
    if (known->kind == TEXT && *text != '\0') {
        *(const char **)member = text;
        return EXIT_OK;
    }
    if (known->kind != TEXT && parse_real(text, known, &value) &&
        (known->kind == REAL || value == floor(value))) {
        if (known->kind == REAL)
            *(double *)member = value;
        else
            *(unsigned *)member = (unsigned)value;
        return EXIT_OK;
    }
    if (known->kind == TEXT)
        complain("%s needs a value that is not empty", known->name);
    else
        complain("'%s' will not do for %s: it takes %s from %g to %g", text, known->name,
                 known->kind == REAL ? "a number" : "a whole number", known->least, known->most);
    return EXIT_USAGE;
}

/* A name that fits into tables and file names. */
static int take_own(const char *text, compare_options *ret) {
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    if (len == 0 || len > 16 || text[len] != '=' || text[len + 1] == '\0') {
        complain("'%s' will not do for --server: it takes NAME=COMMAND", text);
        return EXIT_USAGE;
    }
    if (ret->own_count == OWN_MOST) {
        complain("at most %d servers of one's own can be given", OWN_MOST);
        return EXIT_USAGE;
    }
    ret->own[ret->own_count++] = text;
    return EXIT_OK;
}

/* "--name VALUE" or "--name=VALUE". */
static int parse_one(int argc, char **argv, int *at, compare_options *ret) {
    const char *text = argv[*at];
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const option *known = &options[i];
        size_t len = strlen(known->name);
        if (strncmp(text, known->name, len) != 0) continue;
        if (text[len] == '=' && known->kind != FLAG) return take(known, text + len + 1, ret);
        if (text[len] != '\0') continue;
        if (known->kind == FLAG) return take(known, NULL, ret);
        if (*at + 1 < argc) return take(known, argv[++*at], ret);
        complain("%s needs a value; see: rondo help compare", text);
        return EXIT_USAGE;
    }
    if (strcmp(text, "--server") == 0 && *at + 1 < argc) return take_own(argv[++*at], ret);
    if (strcmp(text, "--port") == 0 && *at + 1 < argc) {
        ret->port = (uint16_t)strtoul(argv[++*at], NULL, 10);
        return EXIT_OK;
    }
    if (text[0] == '-')
        complain("compare has no option '%s'; see: rondo help compare", text);
    else
        complain("compare takes options only, not '%s'; see: rondo help compare", text);
    return EXIT_USAGE;
}

int compare_parse(int argc, char **argv, compare_options *ret) {
    *ret = (compare_options){.out = ".", .dir = ".", .rate = -1};
    for (int i = 1; i < argc; i++)
        if (parse_one(argc, argv, &i, ret) != EXIT_OK) return EXIT_USAGE;
    return EXIT_OK;
}
