/* SPDX-License-Identifier: MIT
 *
 * Whole files and whole trees: read, replace, copy, walk, remove. Two forms each, as in fs.h: the
 * asynchronous one for the loop thread, the synchronous one (_sync) for any thread.
 *
 * These are long operations. They run in steps of some 256 entries or a few MiB, after each of
 * which the job goes to the end of its lane's queue: small operations pass in between,
 * rondo_job_cancel() and timeouts take effect within a step, and rondo_job_on_progress() hears how
 * far it is.
 *
 * In trees, links are never followed. A directory is entered by a descriptor on the one above
 * (O_NOFOLLOW), so that a link that somebody puts in its place leads nowhere else. Trees may be
 * deeper than PATH_MAX; at most 32 descriptors are open, fewer when the process has no more.
 */
#ifndef RONDO_FS_TREE_H
#define RONDO_FS_TREE_H

#include <rondo/fs.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- whole files ---- */

/* data is the receiver's, to be given back with rondo_free(): len bytes and a NUL behind them. NULL
 * when result is negative; not NULL for an empty file. */
typedef void (*rondo_fs_contents_cb)(rondo_loop *loop, int result, char *data, size_t len,
                                     void *arg);

/* Reads until the end, whatever the file's size claims (files of /proc have size 0, others grow or
 * shrink meanwhile); pipes and devices too. RONDO_EFBIG: there are more than max_bytes. */
RONDO_API int rondo_fs_read_file(rondo_loop *loop, const char *path, size_t max_bytes,
                                 rondo_job **ret_job, rondo_fs_contents_cb cb, void *arg);
RONDO_API int rondo_fs_read_file_sync(const char *path, size_t max_bytes, char **ret_data,
                                      size_t *ret_len);

enum {
    RONDO_WRITE_NO_REPLACE = 1, /* RONDO_EEXIST when there is something of that name */
    RONDO_WRITE_NO_SYNC = 2     /* no fsync(2): faster; after a power cut the file may be empty */
};
/* A mode: that of the file that is replaced; for a new one, 0666 less the umask. */
enum { RONDO_MODE_KEEP = 010000 };

/* Replaces a file's contents, or makes the file, so that at any time everybody sees the old or the
 * new ones, and after a power cut too: a temporary file ".rondo-*" in the same directory, fsync(2),
 * rename(2), fsync of the directory. The result is len. After an error the old file is there and
 * the temporary is not; only if the last fsync fails, the new one is there and an error told. data
 * must live until the callback. mode is exact (the umask plays no part), or RONDO_MODE_KEEP. A
 * symbolic link stays, and the file that it leads to is replaced. The owner stays if the process
 * may keep it; hard links of the old file keep the old contents. RONDO_EISDIR for a directory,
 * RONDO_ENOTSUP for what else is no regular file. */
RONDO_API int rondo_fs_write_file(rondo_loop *loop, const char *path, const void *data, size_t len,
                                  uint32_t mode, unsigned flags, rondo_job **ret_job,
                                  rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_write_file_sync(const char *path, const void *data, size_t len,
                                           uint32_t mode, unsigned flags);

/* ---- copies ---- */

enum {
    RONDO_COPY_NO_REPLACE = 1, /* RONDO_EEXIST for what is there already */
    RONDO_COPY_TIMES = 2,      /* atime and mtime */
    RONDO_COPY_OWNER = 4,      /* user and group, and with them the setuid and setgid bits */
    RONDO_COPY_XATTRS = 8,     /* extended attributes, ACLs among them; those that only a privileged
                                * process may set are left out when this one may not */
    RONDO_COPY_CLONE = 16      /* share the data (FICLONE) or fail with RONDO_ENOTSUP */
};

/* Copies a regular file's contents and permission bits. The data is shared where the file system
 * can (FICLONE), else copied by the kernel (copy_file_range(2)), else read and written; holes stay
 * holes. The result is how many bytes the copy has. Progress: bytes done and in all. A file that is
 * there is overwritten in place: it keeps its inode, its owner, its hard links. Links are followed
 * at both ends. What is appended meanwhile is not copied. After an error or a cancel the copy is
 * removed if this made it, and has part of the contents otherwise. RONDO_EINVAL: both are the same
 * file. RONDO_EISDIR, RONDO_ENOTSUP: one is no regular file. */
RONDO_API int rondo_fs_copyfile(rondo_loop *loop, const char *from, const char *to, unsigned flags,
                                rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_copyfile_sync(const char *from, const char *to, unsigned flags);

/* ---- trees ---- */

/* What was done to a tree, also when it was not all. */
typedef struct rondo_tree_report {
    uint64_t files, directories, links, others; /* copied or removed */
    uint64_t bytes;                             /* of data copied */
    uint64_t skipped;                           /* a copy's: sockets, FIFOs and devices */
    uint64_t errors;                            /* entries that failed */
    char
        error_path[512]; /* relative to the root, where the first error was ("" at the root itself);
                           * if longer, its end */
} rondo_tree_report;

/* result is 0, or the first error. report is never NULL; valid during the call. */
typedef void (*rondo_fs_tree_cb)(rondo_loop *loop, int result, const rondo_tree_report *report,
                                 void *arg);

/* Copies a file, a link or a directory with all that is in it; `to` is the name of the copy itself.
 * Flags are RONDO_COPY_*. Links are copied as links. FIFOs, sockets and devices are left out and
 * counted. Hard links become files of their own. A directory that is there is copied into
 * (RONDO_EEXIST with NO_REPLACE). A file or link that is there makes room for a new one, but nothing
 * makes room for a directory, nor do directories, FIFOs, sockets and devices (RONDO_EEXIST). An entry that fails
 * doesn't end the copy; out of space, memory or descriptors does. What was copied stays, after a
 * cancel too, but no part of a file; directories under way then may still have their mode of
 * meanwhile (0700). Progress: bytes so far, in all 0 (not known). RONDO_EINVAL: `to` lies in
 * `from`, or is the same. ret_report (NULL allowed) is set whatever the result. */
RONDO_API int rondo_fs_copy_tree(rondo_loop *loop, const char *from, const char *to, unsigned flags,
                                 rondo_job **ret_job, rondo_fs_tree_cb cb, void *arg);
RONDO_API int rondo_fs_copy_tree_sync(const char *from, const char *to, unsigned flags,
                                      rondo_tree_report *ret_report);

enum { RONDO_REMOVE_SAME_FS = 1 }; /* leave what is mounted in the tree: RONDO_EXDEV */

/* Removes a file, a link (not what it leads to) or a directory with all that is in it. Entries that
 * others remove meanwhile are no error; new ones that they make in it are removed too, within
 * reason (RONDO_ENOTEMPTY). An entry that fails stays and doesn't keep the others. Progress:
 * entries so far. RONDO_ENOENT: path itself isn't there. RONDO_EINVAL: it is "/" or ends in "." or
 * "..". */
RONDO_API int rondo_fs_remove_tree(rondo_loop *loop, const char *path, unsigned flags,
                                   rondo_job **ret_job, rondo_fs_tree_cb cb, void *arg);
RONDO_API int rondo_fs_remove_tree_sync(const char *path, unsigned flags,
                                        rondo_tree_report *ret_report);

/* ---- walking ---- */

typedef struct rondo_walk_entry {
    const char *path; /* relative to the root */
    size_t path_len;
    const char *name; /* its last part */
    unsigned depth;   /* 1 in the root itself */
    rondo_file_type type;
    const rondo_stat
        *stat; /* of the entry, not of what it links to; with RONDO_WALK_STAT, else NULL */
    /* Below 0: a directory that was told before can't be entered or read further, and the walk goes
     * on behind it; or an entry's stat failed. */
    int error;
} rondo_walk_entry;

typedef enum rondo_walk_verdict {
    RONDO_WALK_ON,
    RONDO_WALK_SKIP, /* a directory: what is in it is not told */
    RONDO_WALK_STOP  /* nothing more is told; the result is RONDO_ECANCELED */
} rondo_walk_verdict;

/* The entry is valid during the call. On the loop thread; for a synchronous walk on the thread that
 * asked for it, with loop NULL. */
typedef rondo_walk_verdict (*rondo_fs_walk_cb)(rondo_loop *loop, const rondo_walk_entry *entry,
                                               void *arg);

enum {
    RONDO_WALK_STAT = 1,    /* rondo_stat of each entry */
    RONDO_WALK_SAME_FS = 2, /* tell mount points, but don't enter them */
    RONDO_WALK_ASK = 4, /* open no directory before the callback has said what to do with it. Slower
                         * where directories are small: a round trip for each */
    RONDO_WALK_PARALLEL = 8 /* read directories by several threads of the lane at once. A directory
                             * is told before what is in it, and asked about as with RONDO_WALK_ASK;
                             * no other order is promised. A synchronous walk stays as it is */
};

/* Tells of each entry beneath the directory `path` (a link to one is followed), a directory before
 * what is in it, else in the directories' own order. Up to max_depth levels; 0 means all. It reads
 * a batch ahead of what it tells, unless RONDO_WALK_ASK. The result of `done` is how many entries
 * were told, or what kept the walk from beginning or from going on. Once it is canceled, by the callback
 * too, no entry is told any more. Progress: entries so far. What
 * others change meanwhile is told or not; a directory that they remove or move away ends early,
 * without an error of the walk. */
RONDO_API int rondo_fs_walk(rondo_loop *loop, const char *path, unsigned flags, unsigned max_depth,
                            rondo_job **ret_job, rondo_fs_walk_cb on_entry, rondo_fs_cb done,
                            void *arg);
RONDO_API int64_t rondo_fs_walk_sync(const char *path, unsigned flags, unsigned max_depth,
                                     rondo_fs_walk_cb on_entry, void *arg);

#ifdef __cplusplus
}
#endif
#endif
