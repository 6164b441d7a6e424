/* SPDX-License-Identifier: MIT
 *
 * Sockets that a service manager has opened: descriptors from 3 on, as many as $LISTEN_FDS says, if
 * $LISTEN_PID is this process; $LISTEN_FDNAMES has their names, separated by colons. All of it is
 * text that others wrote, so that each part is checked.
 *
 * The environment is left as it is: changing it is a race with threads that read it. A child does not
 * take the variables for its own, since they name another process. Which sockets were taken is noted
 * here, for the whole process, because a number that was closed may be another file's later.
 */
#include "net/inherited.h"

#include <rondo/error.h>

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST 3 /* SD_LISTEN_FDS_START */

static _Atomic uint64_t taken[RONDO__INHERITED_MOST / 64];

static bool parse_number(const char *text, long most, long *ret) {
    char *end;
    if (!text || *text < '0' || *text > '9') return false;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value > most) return false;
    *ret = value;
    return true;
}

/* How many there are, at most RONDO__INHERITED_MOST. */
static int count_all(void) {
    long pid, count;
    if (!parse_number(getenv("LISTEN_PID"), LONG_MAX, &pid) || pid != (long)getpid()) return 0;
    if (!parse_number(getenv("LISTEN_FDS"), INT32_MAX - FIRST, &count)) return 0;
    return count < RONDO__INHERITED_MOST ? (int)count : RONDO__INHERITED_MOST;
}

/* Whether the socket has that name. */
static bool is_named(int at, const char *name) {
    const char *names = getenv("LISTEN_FDNAMES");
    while (names && at-- > 0) {
        names = strchr(names, ':');
        if (names) names++;
    }
    size_t len = strcspn(name, ":"); /* no name has one */
    if (name[len] != '\0') return false;
    return names && strncmp(names, name, len) == 0 && (names[len] == '\0' || names[len] == ':');
}

/* False when somebody was faster. */
static bool take(int at) {
    uint64_t bit = UINT64_C(1) << at % 64;
    return !(atomic_fetch_or(&taken[at / 64], bit) & bit);
}

void rondo__inherited_put_back(int fd) {
    int at = fd - FIRST;
    atomic_fetch_and(&taken[at / 64], ~(UINT64_C(1) << at % 64));
}

static bool is_taken(int at) { return atomic_load(&taken[at / 64]) >> at % 64 & 1; }

int rondo__inherited_take(const char *name, int *at) {
    int count = count_all();
    /* None of them is for the children, whichever of them this program uses. */
    for (int i = 0; i < count; i++)
        if (!is_taken(i)) (void)fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
    for (; *at < count; ++*at)
        if ((!name || is_named(*at, name)) && take(*at)) return FIRST + (*at)++;
    return RONDO_ENOENT;
}
