/* SPDX-License-Identifier: MIT
 *
 * rondo compare: servers are started, watched and ended here.
 *
 * Between the runner and a server stands a keeper, a process whose one work is that nothing is left running. Whatever the server
 * forks, and however it leaves its parent, becomes the keeper's child in the end (PR_SET_CHILD_SUBREAPER); and whatever happens to
 * the runner, kill -9 too, is seen by the keeper as the end of a pipe. Then it ends the server: SIGTERM, a second later SIGKILL to
 * all that is left, until there is nothing. If it is the keeper that is killed, the kernel kills the server, and the rest of its
 * processes become the runner's, who ends them. Only who kills both at the same moment leaves what a server of others has forked.
 */
#ifndef CMD_COMPARE_SERVER_H
#define CMD_COMPARE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct server {
    pid_t keeper; /* 0: none */
    int control;  /* to the keeper; its end is the end */
    int errors;   /* what the server writes to stderr, and at its end how it ended */
    char line[200], last_line[200]; /* of that */
    size_t line_len;
    bool ended;
} server;

typedef struct core_set {
    unsigned first,
        count; /* of those that this process may use, by their numbers in /proc/cpuinfo */
    bool pinned;
} core_set;

/* Before the first server: orphans of a killed keeper are to be ours. */
void server_adopt_orphans(void);

/* Starts argv[0] on these cores, in a session of its own. Returns whether it could be forked; whether it works is told by
 * server_wait(). */
bool server_begin(server *self, char *const argv[], const core_set *cores);

/* Waits until it accepts on 127.0.0.1:port. Returns false when it has ended, or takes longer. */
bool server_wait(server *self, uint16_t port, int timeout_ms);

/* Reads what it has said. Returns whether it runs. */
bool server_look(server *self);

/* Why it ended: the last line that it wrote, or else how; valid until the next server_begin(). */
const char *server_reason(const server *self);

/* The last line that it wrote, without what a model puts before it ("rondo: NAME: "); "": none. Valid until the next server_look(). */
const char *server_said(const server *self);

/* Ends it and all it has started. Harmless when it was not started. */
void server_end(server *self);

/* A port of 127.0.0.1 that is free now; 0: none. */
uint16_t server_free_port(void);

/* ---- keeper.c: the process in between ---- */

_Noreturn void keeper_run(char *const argv[], const core_set *cores, int control, int errors);
/* Kills all processes below this one until there are none. Returns false when some would not die. */
bool keeper_clear(void);

/* The processes below root, which is not among them. Returns how many there are; *ret is malloc'ed. */
size_t tree_below(pid_t root, pid_t **ret);

#endif
