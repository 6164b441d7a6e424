/* SPDX-License-Identifier: MIT
 *
 * The table of peers, made from peers.def; their files, which are part of this program; and the commands that look for them, build
 * them and run them.
 */
#include "compare/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the files ---- */

/* Put into the program by the assembler: the compiler would have to be shown each octet. */
#define PEER_SOURCE(symbol, file)                                           \
    __asm__(".pushsection .rodata\n"                                        \
            "peer_source_" #symbol ": .incbin \"compare/peers/" file "\"\n" \
            "peer_source_" #symbol "_end: .byte 0\n"                        \
            ".globl peer_source_" #symbol ", peer_source_" #symbol "_end\n" \
            ".popsection\n");                                               \
    extern const char peer_source_##symbol[], peer_source_##symbol##_end[];
#include "compare/peers.def"

typedef struct peer_source {
    const char *file, *begin, *end;
} peer_source;

static const peer_source sources[] = {
#define PEER_SOURCE(symbol, file) {file, peer_source_##symbol, peer_source_##symbol##_end},
#include "compare/peers.def"
};

const peer peers[] = {
#define PEER(name, title, file, can, spreads, packages, waits, there, version, build, start) \
    {name,    title, waits, "compare/peers/" file, can, spreads, packages, there,            \
     version, build, start},
#include "compare/peers.def"
    {.name = NULL}};

const peer *peer_find(const char *name) {
    for (const peer *each = peers; each->name != NULL; each++)
        if (strcmp(each->name, name) == 0) return each;
    return NULL;
}

static int write_source(const peer_source *source, const char *dir) {
    char path[4096];
    size_t len = (size_t)(source->end - source->begin);

    if (snprintf(path, sizeof path, "%s/%s", dir, source->file) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return -1;
    ssize_t count = write(fd, source->begin, len);
    if (count >= 0 && count < (ssize_t)len) errno = ENOSPC;
    if (close(fd) < 0) return -1;
    return count == (ssize_t)len ? 0 : -1;
}

/* ---- the commands ---- */

/* Debian has servers where not every user looks. Descriptors: as many as there may be, as for models. */
#define SURROUNDINGS                               \
    "PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin; " \
    "ulimit -S -n \"$(ulimit -H -n)\"; "           \
    "command=$1; shift; eval \"$command\""

void peer_get_command(const peer *which, uint16_t port, unsigned workers, const char *files,
                      const char *dir, peer_command *ret) {
    const char *argv[PEER_ARGV_MOST] = {"/bin/sh", "-c",  SURROUNDINGS, "sh", which->start, dir,
                                        ret->port, files, ret->workers, NULL};

    snprintf(ret->port, sizeof ret->port, "%u", port);
    snprintf(ret->workers, sizeof ret->workers, "%u", workers % 10000 > 0 ? workers % 10000 : 1);
    memcpy(ret->argv, argv, sizeof argv);
}

/* Runs a command, with dir as $1, and reads the first line it prints that isn't empty, on stdout or stderr. Returns its status;
 * -1 when it could not be run. */
static int ask(const char *command, const char *dir, char *ret_line, size_t size) {
    int ends[2], status = -1;
    char text[256];

    *ret_line = '\0';
    if (pipe(ends) < 0) return -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        for (int fd = 3; fd < 64; fd++) close(fd);
        execl("/bin/sh", "sh", "-c", SURROUNDINGS, "sh", command, dir, NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *from = child > 0 ? fdopen(ends[0], "r") : NULL;
    if (from == NULL) close(ends[0]);
    while (from != NULL && fgets(text, sizeof text, from) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (*ret_line == '\0') snprintf(ret_line, size, "%s", text);
    }
    if (from != NULL) fclose(from);
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool peer_is_there(const peer *which) {
    char line[256];

    return ask(which->there, ".", line, sizeof line) == 0;
}

void peer_version(const peer *which, char *ret, size_t size) {
    if (ask(which->version, ".", ret, size) != 0 && size > 0) *ret = '\0';
}

int peer_prepare(const peer *which, const char *dir, char *ret_why, size_t size) {
    if (geteuid() == 0) chmod(dir, 0755);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(sources[i].file, which->file + strlen("compare/peers/")) != 0) continue;
        if (write_source(&sources[i], dir) == 0) continue;
        snprintf(ret_why, size, "can't write %s: %s", sources[i].file, strerror(errno));
        return -1;
    }
    if (which->build == NULL) return 0;
    char line[256];
    if (ask(which->build, dir, line, sizeof line) == 0) return 0;
    snprintf(ret_why, size, "can't build it: %s", line);
    return -1;
}

void peers_show(void) {
    char version[128];

    for (const peer *each = peers; each->name != NULL; each++) {
        bool there = peer_is_there(each);
        if (there) peer_version(each, version, sizeof version);
        printf("%-15s  %-16s  %s%s\n", each->name, each->title,
               there ? "" : "missing; apt-get install ", there ? version : each->packages);
    }
}
