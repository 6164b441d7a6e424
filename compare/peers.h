/* SPDX-License-Identifier: MIT
 *
 * Peers: servers of others that do the same work on the same URLs (web.h), where they can. Their sources and configurations are in
 * compare/peers/ and in this program, and are written where a run wants them; what runs them must be installed. peers.def is the
 * table of them.
 *
 * A peer is run by shell commands, which are given DIR (a directory of the run's own: for all peers, where everything goes that is
 * made), PORT, FILES (the directory of the file workload) and WORKERS as $1 to $4, with WORKERS at least 1.
 */
#ifndef COMPARE_PEERS_H
#define COMPARE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a peer can do as honestly as the others. */
enum {
    PEER_HELLO = 1,
    PEER_WAIT = 2,
    PEER_CPU = 4, /* the same computing, in a language that is compiled */
    PEER_FILE = 8
};

typedef struct peer {
    const char *name;     /* on the command line, in tables: "node" */
    const char *title;    /* "Node" */
    const char *waits;    /* one sentence: who waits where */
    const char *file;     /* "compare/peers/node.js" */
    unsigned can;         /* PEER_HELLO | ... */
    bool spreads;         /* to as many cores as it may use; else it is one process, and uses one */
    const char *packages; /* of Debian, with a space between two */
    const char *there, *version, *build, *start; /* shell commands; build may be NULL */
} peer;

/* In the order of reports. Ends with a name of NULL. */
extern const peer peers[];

/* NULL: there is none of that name. */
const peer *peer_find(const char *name);
/* Whether what it needs is installed. Takes as long as the program it asks needs to start. */
bool peer_is_there(const peer *which);
/* One line: "v20.19.2"; "" when it doesn't say. */
void peer_version(const peer *which, char *ret, size_t size);
/* Writes its files into the directory and builds what is to be built. Made by root it is open to everybody, as the directory of the
 * file workload must be, and those above them: Apache's children are nobody then. 0; or -1, with one line that says why in ret_why. */
int peer_prepare(const peer *which, const char *dir, char *ret_why, size_t size);

/* The command that runs it in the foreground, for exec(3). It has no other parents than the process that executes it, may have
 * children, and ends on SIGTERM. It listens some time later: it does not say when. workers: 0 is 1. */
#define PEER_ARGV_MOST 10
typedef struct peer_command {
    char *argv[PEER_ARGV_MOST];
    char port[8], workers[8];
} peer_command;
void peer_get_command(const peer *which, uint16_t port, unsigned workers, const char *files,
                      const char *dir, peer_command *ret);

/* --peers: a line for each, there or not, and the package if not. */
void peers_show(void);

#endif
