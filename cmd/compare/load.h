/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the generator. It is a process of its own, pinned to a core of its own, that sends requests to a server and
 * notes how long each answer took.
 *
 *   load.c           the process: its phases, and how the runner and it talk
 *   load_client.c    connections: requests go out, answers are checked, what breaks is connected again
 *   load_arrivals.c  when requests are to be sent, and which
 *   load_body.c      what an answer must be
 *   load_samples.c   the latencies, and their percentiles
 *
 * Open loop: requests arrive at times that were fixed beforehand (a Poisson process: users do not know of each other), whatever
 * the server does. One that finds all connections busy waits, and its latency counts from the time at which it was to be sent; so
 * a server that stalls for a second is seen to delay everything that arrived in that second (no coordinated omission). When the
 * time is over, what is under way has a quarter of a second more; what is not answered by then is `late`, and counts among the
 * latencies with the time that it had waited.
 * Closed loop: each connection sends its next request when the answer is there. That is the most a server can do.
 */
#ifndef CMD_COMPARE_LOAD_H
#define CMD_COMPARE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- what is sent ---- */

#define LOAD_KINDS 6

typedef struct load_kind {
    const char *target; /* "/hello" */
    unsigned weight;    /* how often, among the others */
    unsigned every; /* or: each so many-th request is this one, and one at least; 0: by weight */
    size_t file;    /* octets of the file that must come; 0: the greeting */
    bool apart;     /* its own latency is not among the others' */
} load_kind;

typedef struct load_task {
    uint16_t port;
    unsigned connections; /* that are busy */
    unsigned idle;        /* that have had one answer and only stand open */
    unsigned slow;        /* that take a big file a little at a time */
    const char *slow_target;
    size_t slow_file;
    double rate; /* requests/s that arrive; 0: closed loop */
    double seconds, warm_seconds;
    double open_s;     /* and this long at most */
    double patience_s; /* for connections to open and idle ones to be answered, without progress */
    uint64_t seed;     /* of arrivals and of the mix: the same for all servers */
    load_kind kinds[LOAD_KINDS];
    size_t kind_count;
    int core; /* -1: any */
} load_task;

/* ---- what came of it: shared memory, so that it is there whatever ends the generator ---- */

#define LOAD_SAMPLES_MOST (16u << 20)

typedef struct load_outcome {
    uint64_t done;    /* right answers within the time */
    uint64_t apart;   /* of them, those without a sample */
    uint64_t refused; /* connections that could not be made */
    uint64_t resets, timeouts,
        wrong;          /* connections that broke, did not open in time; wrong answers */
    uint64_t late;      /* asked for, not answered */
    uint64_t lost;      /* arrivals that even the queue had no room for: late too */
    uint64_t opened;    /* connections that were made, all in all */
    uint64_t idle_open; /* idle and slow ones that stand when the measuring begins */
    double seconds;     /* in which requests were sent */
    double span;        /* in which answers came: from the first that could be there to the last */
    double busy;        /* of its core, 0 to 1 */
    char reason[160];   /* "": nothing broke */
    uint64_t sample_count, unsaved;
    uint32_t samples[LOAD_SAMPLES_MOST]; /* us */
} load_outcome;

/* ---- the process ---- */

typedef struct generator generator;

typedef enum load_event {
    LOAD_READY, /* connections are open and warm: load_go() begins the measuring */
    LOAD_DONE,  /* it is over; the connections are still open until load_end() */
    LOAD_BROKE  /* the process has ended */
} load_event;

/* Forks it. NULL: no process or memory, errno says why. */
generator *load_begin(const load_task *task);
/* A descriptor that is readable when load_next() has an event. */
int load_fd(const generator *self);
load_event load_next(generator *self);
/* Whether the process has ended before it was asked to. */
bool load_broke(const generator *self);
void load_go(generator *self);
/* Ends the process, wherever it is. What it has found out stays. */
void load_end(generator *self);
load_outcome *load_outcome_of(generator *self);
void load_free(generator *self); /* NULL is allowed */

/* ---- load_samples.c ---- */

void samples_sort(uint32_t *samples, size_t count);
/* Nearest rank: the smallest sample that at least the given part (0 to 1) of them does not exceed; NOT_MEASURED when there are
 * none. */
double samples_at(const uint32_t *sorted, size_t count, double part);

/* ---- load_body.c ---- */

/* The octets of a file of the file workload, from offset on. */
void body_fill(uint64_t offset, char *data, size_t len);
/* Whether a piece of a file's body is what must be there: its first and last octets, which tell a piece that is missing, double
 * or elsewhere, at a cost that does not grow with it. */
bool body_fits(uint64_t offset, const char *data, size_t len);

/* The head of an answer, taken apart. */
typedef struct answer_head {
    int status;
    uint64_t length;
    bool close;
} answer_head;
/* Octets up to the end of the head; 0: it is not all there; -1: that is no answer that can be used (no Content-Length...). */
ssize_t answer_parse(const char *data, size_t len, answer_head *ret);

/* ---- load_arrivals.c ---- */

typedef struct arrivals {
    uint64_t state; /* of the random numbers */
    double at_ns;   /* the last one */
    double end_ns;
    uint64_t all;    /* that come until then; 0: nobody knows */
    uint64_t left;   /* of them, not drawn yet */
    uint64_t number; /* of kinds that were drawn */
    bool warming;    /* by weight only */
    const load_task *task;
    unsigned weight;
} arrivals;

void arrivals_init(arrivals *self, const load_task *task);
void arrivals_begin(arrivals *self, uint64_t now_ns);
/* When the next request is to be sent; UINT64_MAX: there are no more. */
uint64_t arrivals_next(arrivals *self);
/* Which kind the next request is. */
unsigned arrivals_kind(arrivals *self);

/* ---- load_client.c: the process's inside ---- */

int load_client_run(const load_task *task, load_outcome *outcome, int control);

#endif
