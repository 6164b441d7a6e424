/* SPDX-License-Identifier: MIT
 *
 * Whole files read and replaced, files copied, and directories listed and made; in both forms.
 */
#define _GNU_SOURCE
#include "trees.h"

#include "faults.h"

#include <errno.h>
#include <sys/mount.h>

/* ---- reading a whole file ---- */

static void check_read(const char *path, size_t max, const char *want, size_t want_len) {
    char *data = NULL;
    size_t len = 0;
    CHECK_INT(read_file(path, max, &data, &len), 0);
    CHECK_INT(len, (long long)want_len);
    CHECK_MEM(data, want, want_len);
    CHECK_INT(data[len], 0);
    rondo_free(data);
}

TEST_BOTH(a_file_is_read_as_a_whole) {
    size_t size = 5 * 1024 * 1024 + 7;
    char *large = malloc(size);
    for (size_t i = 0; i < size; i++) large[i] = (char)(i * 2654435761u >> 13);
    put("large", large, size);
    grow("empty= small=hello");
    check_read(at("empty"), 0, "", 0);
    check_read(at("small"), 5, "hello", 5);
    check_read(at("small"), SIZE_MAX, "hello", 5);
    check_read(at("large"), size, large, size);
    free(large);
}

TEST_BOTH(a_file_that_is_too_large_is_refused) {
    char *data = NULL;
    size_t len = 0;
    grow("small=hello");
    CHECK_INT(read_file(at("small"), 4, &data, &len), RONDO_EFBIG);
    CHECK_INT(read_file("/dev/zero", 100000, &data, &len), RONDO_EFBIG); /* endless */
    CHECK(data == NULL && len == 0);
}

TEST_BOTH(a_file_without_a_size_is_read_to_its_end) {
    char *data;
    size_t len;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    struct stat st;
    CHECK_INT(fstat(fd, &st), 0);
    CHECK_INT(st.st_size, 0);
    close(fd);
    CHECK_INT(read_file("/proc/self/maps", 1 << 24, &data, &len), 0);
    CHECK(len > 500 && strlen(data) == len);
    rondo_free(data);
    CHECK_INT(read_file("/proc/self/maps", 500, &data, &len), RONDO_EFBIG);
}

TEST_BOTH(files_that_cannot_be_read) {
    char *data;
    size_t len;
    CHECK_INT(read_file(at("none"), 10, &data, &len), RONDO_ENOENT);
    CHECK_INT(read_file(place, 10, &data, &len), RONDO_EISDIR);
    CHECK_INT(read_file(NULL, 10, &data, &len), RONDO_EINVAL);
}

/* Each read brings less than its size claims, or the file has shrunk meanwhile. A loop would make
 * reads of its own, so without one. */
TEST(a_file_that_is_read_in_small_pieces) {
    place_begin();
    grow("f=0123456789");
    faults_limit(CALL_read, 3);
    check_read(at("f"), 100, "0123456789", 10);
    faults_clear();
    /* It has shrunk. The loop's wake-ups are reads too, and may come in between. */
    for (unsigned nth = 5; nth > 1; nth--) faults_short(CALL_read, nth, 0);
    faults_short(CALL_read, 1, 4);
    check_read(at("f"), 100, "0123", 4);
    faults_clear();
    place_end();
}

/* ---- replacing a file ---- */

TEST_BOTH(a_file_is_made_or_replaced_as_a_whole) {
    mode_t before = umask(027);
    CHECK_INT(write_file(at("f"), "one", 3, RONDO_MODE_KEEP, 0), 3);
    CHECK_INT(stat_of("f").st_mode & 07777, 0640);
    ino_t old = stat_of("f").st_ino;
    CHECK_INT(link(at("f"), at("other")), 0);
    CHECK_INT(chmod(at("f"), 0604), 0);
    CHECK_INT(write_file(at("f"), "two", 3, RONDO_MODE_KEEP, 0), 3);
    CHECK_STR(shown(""), "f=two other=one");
    CHECK(stat_of("f").st_ino != old);
    CHECK_INT(stat_of("f").st_mode & 07777, 0604);
    CHECK_INT(write_file(at("f"), NULL, 0, 0666, RONDO_WRITE_NO_SYNC), 0);
    CHECK_INT(stat_of("f").st_mode & 07777, 0666);
    CHECK_STR(shown(""), "f= other=one");
    umask(before);
}

TEST_BOTH(the_owner_of_a_replaced_file_is_kept) {
    grow("f=x");
    if (geteuid() != 0) SKIP("only root may change owners");
    CHECK_INT(chown(at("f"), 12, 34), 0);
    CHECK_INT(chmod(at("f"), 04755), 0);
    CHECK_INT(write_file(at("f"), "y", 1, RONDO_MODE_KEEP, 0), 1);
    CHECK_INT(stat_of("f").st_uid, 12);
    CHECK_INT(stat_of("f").st_gid, 34);
    CHECK_INT(stat_of("f").st_mode & 07777, 04755);
    faults_fail(CALL_fchown, 1, EPERM);
    CHECK_INT(write_file(at("f"), "z", 1, RONDO_MODE_KEEP, 0), 1);
    faults_clear();
    CHECK_INT(stat_of("f").st_uid, 0);
    CHECK_INT(stat_of("f").st_mode & 07777, 0755); /* not setuid to somebody else */
}

/* Writing takes these bits away from what is not root's. */
TEST_BOTH(a_mode_with_setuid_is_exact_for_everybody) {
    become_nobody();
    CHECK_INT(write_file(at("f"), "one", 3, 06755, 0), 3);
    CHECK_INT(stat_of("f").st_mode & 07777, 06755);
    CHECK_INT(write_file(at("f"), "two", 3, RONDO_MODE_KEEP, 0), 3);
    CHECK_INT(stat_of("f").st_mode & 07777, 06755);
}

TEST_BOTH(a_link_stays_and_its_target_is_replaced) {
    grow("d/ d/f=old l>d/f abs>x l2>l loop>pool pool>loop new>d/made");
    CHECK_INT(unlink(at("abs")), 0);
    CHECK_INT(symlink(at("d/f"), at("abs")), 0);
    CHECK_INT(write_file(at("l2"), "one", 3, RONDO_MODE_KEEP, 0), 3);
    CHECK_STR(shown("d"), "f=one");
    CHECK_INT(write_file(at("abs"), "two", 3, RONDO_MODE_KEEP, 0), 3);
    CHECK_INT(write_file(at("new"), "three", 5, RONDO_MODE_KEEP, 0), 5);
    CHECK_STR(shown("d"), "f=two made=three");
    CHECK_INT(write_file(at("loop"), "x", 1, RONDO_MODE_KEEP, 0), RONDO_ELOOP);
    CHECK(S_ISLNK(stat_of("l").st_mode) && S_ISLNK(stat_of("abs").st_mode));
}

TEST_BOTH(a_file_is_not_replaced_against_the_will) {
    grow("f=old d/ p| l>nowhere");
    unsigned not = RONDO_WRITE_NO_REPLACE;
    CHECK_INT(write_file(at("f"), "new", 3, 0644, not ), RONDO_EEXIST);
    CHECK_INT(write_file(at("l"), "new", 3, 0644, not ), RONDO_EEXIST);
    CHECK_INT(write_file(at("g"), "new", 3, 0600, not ), 3);
    faults_every(CALL_fstatat, 1, ENOENT); /* it isn't there yet when it's looked for */
    CHECK_INT(write_file(at("f"), "new", 3, 0644, not ), RONDO_EEXIST);
    faults_fail(CALL_renameat2, 1, EINVAL); /* as some file systems */
    CHECK_INT(write_file(at("f"), "new", 3, 0644, not ), RONDO_EEXIST);
    faults_fail(CALL_renameat2, 1, EINVAL);
    CHECK_INT(write_file(at("h"), "new", 3, 0600, not ), 3);
    faults_clear();
    CHECK_INT(stat_of("h").st_nlink, 1);
    CHECK_INT(write_file(at("d"), "new", 3, 0644, 0), RONDO_EISDIR);
    CHECK_INT(write_file(at("p"), "new", 3, 0644, 0), RONDO_ENOTSUP);
    CHECK_STR(shown(""), "d/ f=old g=new h=new l>nowhere p|");
}

TEST_BOTH(files_that_cannot_be_written) {
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[299] = '\0';
    CHECK_INT(write_file(at("none/f"), "x", 1, 0644, 0), RONDO_ENOENT);
    CHECK_INT(write_file(at(name), "x", 1, 0644, 0), RONDO_ENAMETOOLONG);
    CHECK_INT(write_file(at("f/.."), "x", 1, 0644, 0), RONDO_EINVAL);
    CHECK_INT(write_file("", "x", 1, 0644, 0), RONDO_ENOENT);
    CHECK_INT(write_file(at("f"), NULL, 1, 0644, 0), RONDO_EINVAL);
    CHECK_INT(write_file(at("f"), "x", 1, 020000, 0), RONDO_EINVAL);
    CHECK_INT(write_file(at("f"), "x", 1, 0644, 8), RONDO_EINVAL);
    name[255] = '\0'; /* as long as may be; the temporary's is shorter */
    CHECK_INT(write_file(at(name), "x", 1, 0644, 0), 1);
    CHECK_INT(unlink(at(name)), 0);
    CHECK_STR(shown(""), "");
}

TEST_BOTH(what_is_synced_and_in_which_order) {
    faults_calls all = CALL_write | CALL_fsync | CALL_renameat2;
    with_sync = true;
    faults_watch();
    CHECK_INT(write_file(at("f"), "x", 1, 0644, 0), 1);
    CHECK_STR(faults_log(all & ~CALL_write), "fsync renameat2 fsync");
    faults_watch();
    CHECK_INT(write_file(at("f"), "x", 1, 0644, RONDO_WRITE_NO_SYNC), 1);
    CHECK_STR(faults_log(all & ~CALL_write), "renameat2");
    faults_stop();
}

/* ---- copying a file ---- */

static void put_sparse(const char *name) {
    int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK_INT(pwrite(fd, "begin", 5, 0), 5);
    CHECK_INT(pwrite(fd, "middle", 6, 5 << 20), 6);
    CHECK_INT(ftruncate(fd, 12 << 20), 0);
    close(fd);
}

static void check_same(const char *a, const char *b) {
    char command[300];
    snprintf(command, sizeof command, "cmp -s '%s/%s' '%s/%s'", place, a, place, b);
    CHECK_INT(system(command), 0);
}

/* The ways of copying, each made to be the one that is left. */
static void refuse_better_ways(int way) {
    faults_clear();
    if (way > 0) faults_every(CALL_ioctl, 1, EOPNOTSUPP);
    if (way > 1) faults_every(CALL_copy_file_range, 1, way == 2 ? EXDEV : EOPNOTSUPP);
}

TEST_BOTH(a_file_is_copied_by_each_way) {
    size_t size = 9 * 1024 * 1024 + 5;
    char *large = malloc(size);
    for (size_t i = 0; i < size; i++) large[i] = (char)(i * 2654435761u >> 13);
    put("large", large, size);
    free(large);
    grow("empty=");
    put_sparse("sparse");
    for (int way = 0; way < 4; way++) {
        refuse_better_ways(way);
        CHECK_INT(copyfile(at("large"), at("copy"), 0), (long long)size);
        check_same("large", "copy");
        CHECK_INT(copyfile(at("sparse"), at("copy"), 0), 12 << 20);
        check_same("sparse", "copy");
        CHECK_INT(stat_of("copy").st_blocks, stat_of("sparse").st_blocks);
        CHECK_INT(copyfile(at("empty"), at("copy"), 0), 0);
        check_same("empty", "copy");
    }
    faults_clear();
}

TEST_BOTH(short_counts_in_a_copy_change_nothing) {
    put_sparse("sparse");
    for (int way = 1; way < 3; way++) {
        refuse_better_ways(way);
        faults_limit(CALL_copy_file_range | CALL_pread | CALL_pwrite, 1000);
        CHECK_INT(copyfile(at("sparse"), at("copy"), 0), 12 << 20);
        faults_clear();
        check_same("sparse", "copy");
    }
}

TEST_BOTH(a_file_without_a_size_is_copied_to_its_end) {
    for (int way = 0; way < 4; way++) {
        refuse_better_ways(way);
        if (way == 0) faults_every(CALL_copy_file_range, 1, EINVAL);
        CHECK(copyfile("/proc/self/maps", at("maps"), 0) > 500);
        faults_clear();
        CHECK(stat_of("maps").st_size > 500);
        CHECK_INT(unlink(at("maps")), 0);
    }
    faults_short(CALL_copy_file_range, 1, 0); /* as kernels of 2021 say for it */
    CHECK(copyfile("/proc/self/maps", at("maps"), 0) > 500);
    faults_clear();
}

TEST_BOTH(what_a_copy_gets_besides_its_contents) {
    const struct timespec times[2] = {{1000, 1}, {2000, 2}};
    grow("f=new old=before other>old");
    CHECK_INT(chmod(at("f"), 02750), 0);
    CHECK_INT(utimensat(AT_FDCWD, at("f"), times, 0), 0);
    CHECK_INT(copyfile(at("f"), at("g"), 0), 3);
    CHECK_INT(stat_of("g").st_mode & 07777, 0750);
    CHECK(stat_of("g").st_mtim.tv_sec > 1000000);
    ino_t inode = stat_of("old").st_ino;
    CHECK_INT(copyfile(at("f"), at("other"), RONDO_COPY_TIMES | RONDO_COPY_OWNER), 3);
    CHECK_INT(stat_of("old").st_ino, (long long)inode); /* in place, through the link */
    CHECK_INT(stat_of("old").st_mode & 07777, 02750);
    CHECK_INT(stat_of("old").st_mtim.tv_sec, 2000);
    CHECK_STR(shown(""), "f=new g=new old=new other>old");
}

TEST_BOTH(files_that_cannot_be_copied) {
    grow("f=x l>f d/ p| gone>nowhere");
    CHECK_INT(link(at("f"), at("hard")), 0);
    CHECK_INT(copyfile(at("f"), at("f"), 0), RONDO_EINVAL);
    CHECK_INT(copyfile(at("f"), at("l"), 0), RONDO_EINVAL);
    CHECK_INT(copyfile(at("hard"), at("f"), 0), RONDO_EINVAL);
    CHECK_INT(copyfile(at("f"), at("l"), RONDO_COPY_NO_REPLACE), RONDO_EEXIST);
    CHECK_INT(copyfile(at("f"), at("gone"), 0), RONDO_ENOENT); /* nothing is made through a link */
    CHECK_INT(copyfile(at("d"), at("g"), 0), RONDO_EISDIR);
    CHECK_INT(copyfile(at("f"), at("d"), 0), RONDO_EISDIR);
    CHECK_INT(copyfile(at("p"), at("g"), 0), RONDO_ENOTSUP); /* and nobody waits for a writer */
    CHECK_INT(copyfile(at("f"), at("p"), 0), RONDO_ENOTSUP);
    CHECK_INT(copyfile(at("f"), "/dev/null", 0), RONDO_ENOTSUP);
    CHECK_INT(copyfile(at("none"), at("g"), 0), RONDO_ENOENT);
    CHECK_INT(copyfile(at("f"), at("none/g"), 0), RONDO_ENOENT);
    CHECK_INT(copyfile(at("f"), at("g"), 64), RONDO_EINVAL);
    CHECK_INT(copyfile(NULL, at("g"), 0), RONDO_EINVAL);
    CHECK_STR(shown(""), "d/ f=x gone>nowhere hard=x l>f p|");
    faults_every(CALL_ioctl, 1, EXDEV);
    CHECK_INT(copyfile(at("f"), at("g"), RONDO_COPY_CLONE), RONDO_ENOTSUP);
    faults_clear();
    CHECK_INT(access(at("g"), F_OK), -1);
}

/* A source that ends before its size: what is there is the copy. */
TEST_BOTH(a_file_that_shrinks_while_it_is_copied) {
    grow("f=0123456789");
    refuse_better_ways(2);
    faults_short(CALL_pread, 1, 4);
    faults_short(CALL_pread, 2, 0);
    CHECK_INT(copyfile(at("f"), at("g"), 0), 4);
    faults_clear();
    CHECK_STR(shown(""), "f=0123456789 g=0123");
}

/* ---- a disk that is full ---- */

/* A real one, 64 KiB large, where the test may mount it; put at PLACE/disk. */
static bool mount_small(void) {
    grow("disk/");
    return mount("none", at("disk"), "tmpfs", 0, "size=64k") == 0;
}

/* NFS says only then that there was no space. */
TEST_BOTH(a_copy_that_cannot_be_closed_is_removed) {
    int failed = 0;
    grow("f=text");
    for (unsigned n = 1; n <= 4; n++) {
        faults_fail(CALL_close, n, ENOSPC);
        int64_t result = copyfile(at("f"), at("copy"), 0);
        faults_clear();
        CHECK(result == 4 || result == RONDO_ENOSPC);
        CHECK_INT(access(at("copy"), F_OK), result == 4 ? 0 : -1);
        unlink(at("copy"));
        failed += result < 0;
    }
    CHECK_INT(failed, 1);
}

TEST_BOTH(a_full_disk_leaves_no_half_of_anything) {
    static char data[200000];
    if (!mount_small()) SKIP("may not mount");
    put("large", data, sizeof data);
    CHECK_INT(write_file(at("disk/f"), "small", 5, 0644, 0), 5);
    CHECK_INT(write_file(at("disk/f"), data, sizeof data, 0644, 0), RONDO_ENOSPC);
    CHECK_STR(shown("disk"), "f=small");
    CHECK_INT(copyfile(at("large"), at("disk/g"), 0), RONDO_ENOSPC);
    CHECK_STR(shown("disk"), "f=small");
    grow("t/ t/a=1 t/b=2");
    CHECK_INT(rename(at("large"), at("t/large")), 0);
    CHECK_INT(copy_tree(at("t"), at("disk/t"), 0), RONDO_ENOSPC);
    CHECK(access(at("disk/t/large"), F_OK) != 0);
    CHECK_STR(reported.error_path, "large");
    CHECK_INT(reported.errors, 1);
    CHECK_INT(umount(at("disk")), 0);
}

/* ---- directories ---- */

typedef struct listing {
    outcome what;
    char text[4096];
} listing;

static void show_entries(listing *got, int64_t count, const rondo_dir_entry *entries) {
    got->text[0] = '\0';
    for (int64_t i = 0; i < count; i++) {
        size_t len = strlen(got->text);
        if (len > sizeof got->text - 300) break;
        snprintf(got->text + len, sizeof got->text - len, "%s%s:%d", len ? " " : "",
                 entries[i].name, (int)entries[i].type);
    }
}

static void note_listing(rondo_loop *loop, int64_t result, const rondo_dir_entry *entries,
                         void *arg) {
    listing *got = arg;
    note_outcome(loop, result, &got->what);
    CHECK((entries == NULL) == (result < 0));
    show_entries(got, result, entries);
}

static int64_t scan(const char *path, size_t max, listing *ret_listing) {
    *ret_listing = (listing){.text = ""};
    if (the_loop) {
        int error = rondo_fs_scandir(the_loop, path, max, NULL, note_listing, ret_listing);
        return finished(error, &ret_listing->what);
    }
    rondo_dir_entry *entries = NULL;
    int64_t count = rondo_fs_scandir_sync(path, max, &entries);
    CHECK((entries == NULL) == (count < 0));
    show_entries(ret_listing, count, entries);
    rondo_free(entries);
    return count;
}

TEST_BOTH(a_directory_is_listed_by_the_bytes_of_its_names) {
    listing got;
    grow("b=1 a/ \xc3\xa4=2 B=3 \xff\xfe=4 l>b p|");
    CHECK_INT(scan(place, 100, &got), 7);
    CHECK_STR(got.text, "B:0 a:1 b:0 l:2 p:3 \xc3\xa4:0 \xff\xfe:0");
    CHECK_INT(scan(place, 7, &got), 7);
    CHECK_INT(scan(place, 6, &got), RONDO_ENOBUFS);
    CHECK_INT(scan(at("a"), 1, &got), 0);
    CHECK_INT(scan(at("b"), 1, &got), RONDO_ENOTDIR);
    CHECK_INT(scan(at("none"), 1, &got), RONDO_ENOENT);
    CHECK_INT(scan(place, 0, &got), RONDO_EINVAL);
    CHECK_INT(scan(NULL, 1, &got), RONDO_EINVAL);
    faults_hide_types(true);
    CHECK_INT(scan(place, 100, &got), 7);
    faults_hide_types(false);
    CHECK_STR(got.text, "B:0 a:1 b:0 l:2 p:3 \xc3\xa4:0 \xff\xfe:0");
}

typedef struct opened {
    outcome what;
    rondo_dir *dir;
} opened;
static void note_opened(rondo_loop *loop, int result, rondo_dir *dir, void *arg) {
    note_outcome(loop, result, &((opened *)arg)->what);
    CHECK((dir == NULL) == (result < 0));
    ((opened *)arg)->dir = dir;
}
static int64_t open_dir(const char *path, rondo_dir **ret_dir) {
    opened got = {.dir = NULL};
    if (!the_loop) return rondo_fs_opendir_sync(path, ret_dir);
    int64_t result = finished(rondo_fs_opendir(the_loop, path, NULL, note_opened, &got), &got.what);
    if (got.dir) *ret_dir = got.dir;
    return result;
}

static int64_t read_dir(rondo_dir *dir, size_t max, listing *ret_listing) {
    *ret_listing = (listing){.text = ""};
    if (the_loop) {
        int error = rondo_fs_readdir(the_loop, dir, max, NULL, note_listing, ret_listing);
        return finished(error, &ret_listing->what);
    }
    const rondo_dir_entry *entries;
    int64_t count = rondo_fs_readdir_sync(dir, max, &entries);
    show_entries(ret_listing, count, entries);
    return count;
}

TEST_BOTH(a_directory_is_read_in_batches) {
    char name[200], seen[700] = {0};
    rondo_dir *dir = NULL;
    listing got;
    grow("d/");
    for (int i = 0; i < 700; i++) { /* more than one buffer */
        snprintf(name, sizeof name, "d/%d-%0100d=", i, i);
        grow(name);
    }
    CHECK_INT(open_dir(at("d"), &dir), 0);
    for (int64_t count; (count = read_dir(dir, 30, &got)) > 0;) {
        CHECK(count <= 30);
        char *rest = got.text;
        for (char *word; (word = strtok_r(rest, " ", &rest));) seen[atoi(word)]++;
    }
    for (int i = 0; i < 700; i++) CHECK_INT(seen[i], 1);
    CHECK_INT(read_dir(dir, 4096, &got), 0); /* still at its end */
    CHECK_INT(read_dir(dir, 4097, &got), RONDO_EINVAL);
    CHECK_INT(read_dir(dir, 0, &got), RONDO_EINVAL);
    CHECK_INT(read_dir(NULL, 1, &got), RONDO_EINVAL);
    CHECK_INT(rondo_fs_closedir(dir), 0);
    CHECK_INT(rondo_fs_closedir(NULL), 0);
    CHECK_INT(open_dir(at("none"), &dir), RONDO_ENOENT);
    grow("file=");
    CHECK_INT(open_dir(at("file"), &dir), RONDO_ENOTDIR);
}

TEST_BOTH(a_directory_that_was_removed_is_at_its_end) {
    rondo_dir *dir = NULL;
    listing got;
    grow("d/");
    CHECK_INT(open_dir(at("d"), &dir), 0);
    CHECK_INT(rmdir(at("d")), 0);
    CHECK_INT(read_dir(dir, 10, &got), 0);
    CHECK_INT(rondo_fs_closedir(dir), 0);
}

TEST(a_directory_is_read_by_one_at_a_time) {
    rondo_loop *loop = new_loop();
    const rondo_dir_entry *entries;
    listing got = {.text = ""};
    rondo_dir *dir;
    place_begin();
    grow("f=1");
    CHECK_INT(rondo_fs_opendir_sync(place, &dir), 0);
    CHECK_INT(rondo_fs_readdir(loop, dir, 1, NULL, note_listing, &got), 0);
    CHECK_INT(rondo_fs_readdir(loop, dir, 1, NULL, note_listing, &got), RONDO_EBUSY);
    CHECK_INT(rondo_fs_closedir(dir), RONDO_EBUSY);
    CHECK_INT(got.what.calls, 0);
    run_to_end(loop);
    CHECK_OUTCOME(got.what, 1);
    CHECK_INT(rondo_fs_readdir_sync(dir, 1, &entries), 0);
    CHECK_INT(rondo_fs_closedir(dir), 0);
    place_end();
    rondo_loop_free(loop);
}

TEST_BOTH(directories_are_made_with_all_above_them) {
    mode_t before = umask(022);
    grow("f=x l>nowhere d/ in>d");
    CHECK_INT(mkdir_all(at("a/b//c/"), 0755), 3);
    CHECK_INT(mkdir_all(at("a/b/c"), 0755), 0);
    CHECK_INT(mkdir_all(at("a/b/c/d"), 0500), 1);
    CHECK_INT(stat_of("a/b/c/d").st_mode & 07777, 0500);
    CHECK_INT(mkdir_all(at("x/y"), 0400), 2);
    CHECK_INT(stat_of("x").st_mode & 07777, 0700);
    CHECK_INT(mkdir_all(at("in/e"), 0755), 1);
    CHECK_INT(mkdir_all(at("d/../d/./g/../h"), 0755), 2);
    CHECK_STR(shown("d"), "e/ g/ h/");
    CHECK_INT(mkdir_all(at("f"), 0755), RONDO_ENOTDIR);
    CHECK_INT(mkdir_all(at("f/a"), 0755), RONDO_ENOTDIR);
    CHECK_INT(mkdir_all(at("l/a"), 0755), RONDO_EEXIST);
    CHECK_INT(mkdir_all("/", 0755), 0);
    CHECK_INT(mkdir_all("", 0755), RONDO_ENOENT);
    CHECK_INT(mkdir_all(NULL, 0755), RONDO_EINVAL);
    CHECK_INT(mkdir_all(at("z"), 010000), RONDO_EINVAL);
    umask(before);
}

TEST_BOTH(others_make_and_remove_the_same_directories) {
    CHECK_INT(mkdir_all(at("a/b"), 0755), 2);
    faults_fail(CALL_mkdir, 1, ENOENT); /* a was removed just now, and came back */
    CHECK_INT(mkdir_all(at("a/b/c"), 0755), 1);
    faults_every(CALL_mkdir, 3, ENOENT); /* removed right after it was made */
    CHECK_INT(mkdir_all(at("a/d/e"), 0755), 2);
    faults_clear();
    faults_every(CALL_mkdir, 2, ENOENT); /* each time, for ever */
    CHECK_INT(mkdir_all(at("a/x/y"), 0755), RONDO_ENOENT);
    faults_clear();
    faults_every(CALL_stat, 1, ENOENT); /* it is there, it is gone ... */
    CHECK_INT(mkdir_all(at("a"), 0755), RONDO_EEXIST);
    faults_clear();
    CHECK_STR(shown(""), "a/ a/b/ a/b/c/ a/d/ a/d/e/");
}
