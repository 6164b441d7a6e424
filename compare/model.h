/* SPDX-License-Identifier: MIT
 *
 * The same small web server in every model of concurrency: what a model is, and how one is found and run.
 *
 * A model is one function in one file of this folder, compare/NAME.c, and one line of models.def. It listens, accepts,
 * reads, waits and writes in its own way; what a request says and what answers it is web.h, the same for all. So the
 * difference between two of these files is the difference between two models. `rondo compare` runs a model in a process of
 * its own and ends it with SIGTERM. What models share: server.h (sockets and processes), client.h (a connection, but for how to
 * wait), visitor.h (the same on Rondo's streams).
 */
#ifndef COMPARE_MODEL_H
#define COMPARE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct model_settings {
    uint16_t port; /* of 127.0.0.1; 0: any, which is told on the standard output */
    unsigned
        workers; /* processes or threads where the model has a fixed number of them: the cores it may use, or more
                           when requests wait; 0: the model's own choice, which models.def states */
    const char *
        files; /* the directory with the files of the file workload: "4k", "64k", "1m"... NULL: none */
    int directory; /* the same, open; -1: none. For the models; compare_serve() fills it in */
} model_settings;

/* Serves until SIGTERM. Returns an exit status; says on stderr what went wrong before it returns another than 0. */
typedef int model_main(const model_settings *settings);

typedef struct model {
    const char *name;  /* on the command line, in tables */
    const char *title; /* "thread per connection" */
    const char *waits; /* one sentence: who waits where */
    const char *file;  /* "compare/thread.c" */
    bool blocks;       /* a connection waits in calls of its own; else one waits for many */
    model_main *main;
} model;

/* In the order of models.def, which is that of reports. Ends with a name of NULL. */
extern const model models[];

/* NULL: there is none of that name. */
const model *model_find(const char *name);

/* Runs a model in this process, which must have done nothing else yet and does nothing else afterwards: it gets as many
 * descriptors as it may have, a process group of its own if it has children, and dies with its parent. As soon as it listens it
 * prints "listening on 127.0.0.1:PORT" and a newline to stdout. Clients that it must refuse, for lack of descriptors, threads or
 * memory, it closes and goes on; the first time it says why on stderr, in one line. Returns the exit status, if it returns:
 * SIGTERM ends it as any process. */
int compare_serve(const model *chosen, const model_settings *settings);

#endif
