/* SPDX-License-Identifier: MIT
 *
 * rondo compare: which processes descend from one. /proc is read as a whole, since the short way
 * (/proc/PID/task/TID/children) is not in every kernel.
 */
#include "server.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct kin {
    pid_t pid, parent;
} kin;

static pid_t parent_of(const char *pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) return -1;
    text[got] = '\0';
    /* The name in the second field may hold anything, blanks and parentheses too. */
    const char *behind = strrchr(text, ')');
    int parent;
    return behind && sscanf(behind + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

static size_t read_all(kin **ret) {
    size_t count = 0, room = 0;
    DIR *proc = opendir("/proc");
    *ret = NULL;
    if (!proc) return 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        pid_t parent = parent_of(entry->d_name);
        if (parent < 0) continue;
        if (count == room) {
            kin *more = realloc(*ret, (room = room ? 2 * room : 256) * sizeof **ret);
            if (!more) break;
            *ret = more;
        }
        (*ret)[count++] = (kin){(pid_t)atoi(entry->d_name), parent};
    }
    closedir(proc);
    return count;
}

static int by_parent(const void *a, const void *b) {
    const kin *one = a, *other = b;
    return (one->parent > other->parent) - (one->parent < other->parent);
}

/* The first of all with this parent, or count. */
static size_t first_child(const kin *all, size_t count, pid_t parent) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t tree_below(pid_t root, pid_t **ret) {
    kin *all;
    size_t count = read_all(&all), found = 0;
    pid_t *tree = malloc((count + 1) * sizeof *tree);
    if (tree) {
        qsort(all, count, sizeof *all, by_parent);
        pid_t parent = root;
        for (size_t next = 0;; parent = tree[next++]) {
            for (size_t i = first_child(all, count, parent);
                 i < count && all[i].parent == parent && found < count; i++)
                tree[found++] = all[i].pid;
            if (next == found) break;
        }
    }
    free(all);
    *ret = tree;
    return found;
}
