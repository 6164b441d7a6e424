/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the directory of the run's own, with the files of the file workload and what peers need.
 *
 * Whoever uses such a directory has it locked (flock(2)): the runner, and the keeper, which has the same open directory from it. So one
 * that nobody has locked was left by a run that kill -9 or a lack of power has ended, and the next run removes it.
 */
#define _GNU_SOURCE /* nftw */
#include "compare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "rondo-compare-run-"
#define DRAWN 6 /* letters behind it, by mkdtemp(3) */

/* $TMPDIR, or /var/tmp, which is on a disk, where a file can be cold. */
static const char *parent_of_all(void) {
    const char *parent = getenv("TMPDIR");
    return parent && strlen(parent) <= sizeof((run *)0)->dir - 40 ? parent : "/var/tmp";
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    remove(path);
    return 0;
}

static void remove_all(const char *path) { nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

/* ---- what others have left ---- */

/* Opens a directory and locks it. Returns a descriptor, or -1. */
static int lock_directory(const char *path, int how) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | how) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static void remove_if_left(const char *path) {
    struct stat about;
    int fd = lock_directory(path, LOCK_NB);
    if (fd < 0) return;
    if (fstat(fd, &about) == 0 && about.st_uid == geteuid()) remove_all(path);
    close(fd);
}

static void remove_what_was_left(const char *parent) {
    char path[sizeof((run *)0)->dir];
    DIR *all = opendir(parent);
    if (!all) return;
    for (struct dirent *entry; (entry = readdir(all));) {
        const char *name = entry->d_name;
        if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strlen(name) != strlen(PREFIX) + DRAWN)
            continue;
        snprintf(path, sizeof path, "%s/" PREFIX "%.*s", parent, DRAWN, name + strlen(PREFIX));
        remove_if_left(path);
    }
    closedir(all);
}

/* ---- the run's own ---- */

static bool write_file(int directory, const workload_file *file) {
    char octets[4096];
    int fd = openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool well = fd >= 0 && fchmod(fd, 0644) == 0;
    for (size_t at = 0; well && at < file->size; at += sizeof octets) {
        body_fill(at, octets, sizeof octets);
        well = write(fd, octets, sizeof octets) == (ssize_t)sizeof octets;
    }
    /* What is not on the disk yet can't be dropped from the page cache. */
    well = well && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return well;
}

/* Between making and locking it, another run may have taken it for one that was left: then once more. Where directories can't be
 * locked (NFS) nobody removes them, either. */
static bool make_directory(run *self, const char *parent) {
    struct stat about;
    for (;;) {
        snprintf(self->dir, sizeof self->dir, "%s/" PREFIX "XXXXXX", parent);
        if (!mkdtemp(self->dir)) break;
        self->dir_lock = lock_directory(self->dir, 0);
        if (stat(self->dir, &about) == 0) return true;
        if (self->dir_lock >= 0) close(self->dir_lock);
    }
    complain("can't make a directory in %s: %s", parent, strerror(errno));
    self->dir[0] = '\0';
    self->dir_lock = -1;
    return false;
}

/* How much of the file is in memory, from 0 to 1; -1: nobody can tell. */
static double resident_part(int fd) {
    struct stat about;
    unsigned char *pages = NULL;
    void *at = MAP_FAILED;
    long size = sysconf(_SC_PAGESIZE);
    double part = -1;
    if (fstat(fd, &about) == 0)
        at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return -1;
    size_t most = ((size_t)about.st_size + (size_t)size - 1) / (size_t)size;
    if ((pages = malloc(most)) && mincore(at, (size_t)about.st_size, pages) == 0) {
        size_t count = 0;
        for (size_t i = 0; i < most; i++) count += pages[i] & 1;
        part = (double)count / (double)most;
    }
    free(pages);
    munmap(at, (size_t)about.st_size);
    return part;
}

static int drop(const run *self, const char *name) {
    char path[sizeof self->files + 16];
    snprintf(path, sizeof path, "%s/%s", self->files, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return fd;
}

/* While nobody else has its pages: sockets keep those that are on their way. */
static bool can_be_cold(const run *self, const char *name) {
    int fd = drop(self, name);
    double left = fd >= 0 ? resident_part(fd) : -1;
    if (fd >= 0) close(fd);
    return left < 0.5;
}

bool scratch_make(run *self) {
    const char *parent = parent_of_all();
    remove_what_was_left(parent);
    if (!make_directory(self, parent)) return false;
    snprintf(self->files, sizeof self->files, "%s/files", self->dir);
    snprintf(self->scratch, sizeof self->scratch, "%s/peers", self->dir);
    /* Everybody may read it: a server of root's may have children that are nobody. */
    bool well = chmod(self->dir, 0755) == 0 && mkdir(self->files, 0755) == 0 &&
                mkdir(self->scratch, 0755) == 0;
    int directory = open(self->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < WORKLOAD_FILES; i++)
        well = well && write_file(directory, &workload_files[i]);
    if (directory >= 0) close(directory);
    if (well)
        self->has_disk = can_be_cold(self, workload_files[WORKLOAD_FILES - 1].name);
    else
        complain("can't make files in %s: %s", self->dir, strerror(errno));
    return well;
}

void scratch_make_cold(const run *self, const char *name) {
    int fd = drop(self, name);
    if (fd >= 0) close(fd);
}

void scratch_remove(run *self) {
    if (self->dir[0] != '\0') remove_all(self->dir);
    if (self->dir_lock >= 0) close(self->dir_lock);
    self->dir_lock = -1;
}

int scratch_keep(const results *all) {
    char kept[sizeof((run *)0)->dir];
    snprintf(kept, sizeof kept, "%s/rondo-compare-kept-XXXXXX", parent_of_all());
    if (!mkdtemp(kept)) return EXIT_RUNTIME;
    if (report_write(all, kept) == EXIT_OK) {
        complain("what was measured is in %s", kept);
        return EXIT_OK;
    }
    remove_all(kept);
    return EXIT_RUNTIME;
}
