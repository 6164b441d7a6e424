/* SPDX-License-Identifier: MIT
 *
 * Trees walked, copied and removed, in both forms: what is done with each kind of entry, and what
 * is told when something is in the way. What others do meanwhile is in test_fs_tree_races.c.
 */
#define _GNU_SOURCE
#include "trees.h"

#include "faults.h"

#include <errno.h>
#include <sys/xattr.h>

#define SMALL "a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/ a/z=last"

/* ---- walking ---- */

TEST_BOTH(a_walk_tells_every_entry_once) {
    walked w = {.entries = 0};
    grow(SMALL " a/pipe|");
    CHECK_INT(walk(at("a"), 0, 0, &w), 7);
    CHECK_INT(w.entries, 7);
    CHECK_STR(sorted(w.text), "b c/ c/d e@ empty/ pipe| z");
    CHECK(strstr(w.text, "c/d") > strstr(w.text, "c/ "));
}

TEST_BOTH(a_walk_follows_no_link_but_the_root) {
    walked w = {.entries = 0};
    grow(SMALL " out/ out/secret=x a/away>../out in>a");
    CHECK_INT(walk(at("in"), 0, 0, &w), 7);
    CHECK_STR(sorted(w.text), "away@ b c/ c/d e@ empty/ z");
}

static int64_t size_seen;
static void see_size(const rondo_walk_entry *entry) {
    CHECK(entry->stat != NULL);
    size_seen = entry->stat->size;
    CHECK_INT(entry->stat->type, entry->type);
}
static void see_no_stat(const rondo_walk_entry *entry) { CHECK(entry->stat == NULL); }

TEST_BOTH(stat_is_told_when_asked_for) {
    walked w = {.at_entry = see_size}, without = {.at_entry = see_no_stat};
    grow("a/ a/f=12345");
    CHECK_INT(walk(at("a"), RONDO_WALK_STAT, 0, &w), 1);
    CHECK_INT(size_seen, 5);
    CHECK_INT(walk(at("a"), 0, 0, &without), 1);
}

TEST_BOTH(a_walk_as_deep_as_asked) {
    walked w1 = {.entries = 0}, w2 = {.entries = 0}, w3 = {.entries = 0};
    grow("a/ a/b/ a/b/c/ a/b/c/d=x");
    CHECK_INT(walk(at("a"), 0, 1, &w1), 1);
    CHECK_STR(w1.text, "b/");
    CHECK_INT(walk(at("a"), 0, 2, &w2), 2);
    CHECK_STR(w2.text, "b/ b/c/");
    CHECK_INT(walk(at("a"), 0, 3, &w3), 3);
    CHECK_STR(w3.text, "b/ b/c/ b/c/d");
}

TEST_BOTH(a_walk_skips_and_stops_as_told) {
    grow("a/ a/b/ a/b/c/ a/b/c/d=x a/b/e=y");
    for (unsigned flags = 0; flags <= RONDO_WALK_ASK; flags += RONDO_WALK_ASK) {
        walked skip_b = {.skip = "b"}, skip_c = {.skip = "b/c"}, stop = {.stop = "b/c"};
        CHECK_INT(walk(at("a"), flags, 0, &skip_b), 1);
        CHECK_STR(skip_b.text, "b/");
        CHECK_INT(walk(at("a"), flags, 0, &skip_c), 3);
        CHECK_STR(sorted(skip_c.text), "b/ b/c/ b/e");
        CHECK_INT(walk(at("a"), flags, 0, &stop), RONDO_ECANCELED);
        CHECK(strstr(stop.text, "b/c/d") == NULL);
    }
}

static rondo_job *walking;
static int way_to_end, entries_heard;
static rondo_walk_verdict end_at_third(rondo_loop *loop, const rondo_walk_entry *entry, void *arg) {
    if (++entries_heard != 3) return RONDO_WALK_ON;
    if (way_to_end == 0) CHECK_INT(rondo_job_cancel(walking), RONDO_EBUSY);
    if (way_to_end == 1) CHECK_INT(rondo_job_abandon(walking), 0);
    if (way_to_end == 2) rondo_loop_close_all(loop);
    return RONDO_WALK_ON;
}

TEST(a_walk_that_its_callback_cancels_tells_no_more) {
    place_begin();
    grow("a/ a/b/ a/b/1=x a/b/2=x a/b/3=x a/c/ a/c/1=x");
    for (way_to_end = 0; way_to_end < 3; way_to_end++) {
        rondo_loop *loop = new_loop();
        outcome what = {0};
        entries_heard = 0;
        CHECK_INT(rondo_fs_walk(loop, at("a"), 0, 0, &walking, end_at_third, note_outcome, &what),
                  0);
        run_to_end(loop);
        CHECK_OUTCOME(what, RONDO_ECANCELED);
        CHECK_INT(entries_heard, 3);
        rondo_loop_free(loop);
    }
    place_end();
}

/* Each of the directories has more entries than a batch: the walk has gone ahead when it hears. */
TEST_BOTH(a_directory_that_is_skipped_may_be_larger_than_a_batch) {
    char name[32];
    grow("a/ a/x/ a/y/");
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "a/%c/%d=", i % 2 ? 'x' : 'y', i);
        grow(name);
    }
    for (unsigned flags = 0; flags <= RONDO_WALK_ASK; flags += RONDO_WALK_ASK) {
        walked all = {.entries = 0}, skip_x = {.skip = "x"}, skip_y = {.skip = "y"};
        CHECK_INT(walk(at("a"), flags, 0, &all), 602);
        CHECK_INT(walk(at("a"), flags, 0, &skip_x), 302);
        CHECK(strstr(skip_x.text, "x/1") == NULL);
        CHECK_INT(walk(at("a"), flags, 0, &skip_y), 302);
        CHECK(strstr(skip_y.text, "y/0") == NULL);
    }
}

static int opened_when_told;
static void count_opens(const rondo_walk_entry *entry) {
    if (entry->type == RONDO_FILE_DIRECTORY) opened_when_told = (int)faults_count(CALL_openat);
}

TEST_BOTH(a_walk_that_asks_opens_nothing_before) {
    walked w = {.skip = "b", .at_entry = count_opens},
           ahead = {.skip = "b", .at_entry = count_opens};
    grow("a/ a/b/ a/b/c=x");
    faults_watch();
    CHECK_INT(walk(at("a"), RONDO_WALK_ASK, 0, &w), 1);
    CHECK_INT(opened_when_told, 1); /* the root */
    CHECK_INT(faults_count(CALL_openat), 1);
    faults_watch();
    CHECK_INT(walk(at("a"), 0, 0, &ahead), 1);
    CHECK_INT(opened_when_told, 2);
    faults_stop();
}

TEST_BOTH(a_directory_that_may_not_be_read_is_told_and_the_walk_goes_on) {
    walked w = {.entries = 0}, skipped = {.skip = "no"};
    become_nobody();
    grow("a/ a/no/ a/no/x=1 a/yes/ a/yes/x=1");
    CHECK_INT(chmod(at("a/no"), 0), 0);
    CHECK_INT(walk(at("a"), 0, 0, &w), 4);
    CHECK_STR(sorted(w.text), "no/ no/!EACCES yes/ yes/x");
    CHECK_INT(walk(at("a"), 0, 0, &skipped), 3);
    CHECK_STR(sorted(skipped.text), "no/ yes/ yes/x");
}

TEST_BOTH(a_walk_that_cannot_begin) {
    walked w = {.entries = 0};
    grow("f=x");
    CHECK_INT(walk(at("none"), 0, 0, &w), RONDO_ENOENT);
    w.what.calls = 0;
    CHECK_INT(walk(at("f"), 0, 0, &w), RONDO_ENOTDIR);
    CHECK_INT(w.entries, 0);
    CHECK_INT(walk(at("f"), 16, 0, &w), RONDO_EINVAL);
    CHECK_INT(walk(NULL, 0, 0, &w), RONDO_EINVAL);
}

TEST_BOTH(types_that_the_file_system_does_not_say_are_asked_for) {
    walked w = {.entries = 0};
    grow(SMALL);
    faults_hide_types(true);
    CHECK_INT(walk(at("a"), 0, 0, &w), 6);
    CHECK_STR(sorted(w.text), "b c/ c/d e@ empty/ z");
    CHECK_INT(copy_tree(at("a"), at("copy"), 0), 0);
    CHECK_STR(shown("copy"), "b=one c/ c/d=two e>b empty/ z=last");
    CHECK_INT(remove_tree(at("copy"), 0), 0);
    CHECK_STR(shown("copy"), "(none)");
    faults_hide_types(false);
}

static bool saw_pts, saw_in_pts;
static void look_for_pts(const rondo_walk_entry *entry) {
    saw_pts = saw_pts || strcmp(entry->path, "pts") == 0;
    saw_in_pts = saw_in_pts || strcmp(entry->path, "pts/ptmx") == 0;
}

TEST_BOTH(a_walk_keeps_to_its_file_system) {
    walked w = {.at_entry = look_for_pts};
    walked all = {.at_entry = look_for_pts, .skip = "shm"}; /* full of what other tests make */
    struct stat dev, pts;
    if (stat("/dev", &dev) != 0 || stat("/dev/pts/ptmx", &pts) != 0 || dev.st_dev == pts.st_dev)
        SKIP("nothing is mounted on /dev/pts");
    saw_pts = saw_in_pts = false;
    CHECK(walk("/dev", RONDO_WALK_SAME_FS, 0, &w) > 0);
    CHECK(saw_pts && !saw_in_pts);
    CHECK(walk("/dev", RONDO_WALK_ASK, 0, &all) > 0);
    CHECK(saw_in_pts);
}

/* ---- copying ---- */

TEST_BOTH(a_tree_is_copied_with_all_that_is_in_it) {
    grow(SMALL " a/gone>nowhere");
    CHECK_INT(chmod(at("a/b"), 0751), 0);
    CHECK_INT(chmod(at("a/c"), 0555), 0);
    CHECK_INT(chmod(at("a"), 0711), 0);
    CHECK_INT(copy_tree(at("a"), at("copy"), 0), 0);
    CHECK_STR(shown("copy"), "b=one c/ c/d=two e>b empty/ gone>nowhere z=last");
    CHECK_INT(stat_of("copy/b").st_mode & 07777, 0751);
    CHECK_INT(stat_of("copy/c").st_mode & 07777, 0555);
    CHECK_INT(stat_of("copy").st_mode & 07777, 0711);
    CHECK_INT(reported.files, 3);
    CHECK_INT(reported.directories, 3);
    CHECK_INT(reported.links, 2);
    CHECK_INT(reported.bytes, 10);
    CHECK_INT(reported.errors, 0);
    CHECK_STR(reported.error_path, "");
}

TEST_BOTH(a_tree_with_a_file_of_many_steps) {
    size_t size = 9 * 1024 * 1024 + 5;
    char *large = calloc(1, size);
    grow("a/");
    put("a/large", large, size);
    free(large);
    grow("a/small=x");
    CHECK_INT(copy_tree(at("a"), at("copy"), 0), 0);
    CHECK_INT(reported.bytes, (long long)size + 1);
    CHECK_INT(stat_of("copy/large").st_size, (long long)size);
}

TEST_BOTH(a_file_or_a_link_is_copied_like_a_tree) {
    grow("f=text l>f");
    CHECK_INT(copy_tree(at("f"), at("g"), 0), 0);
    CHECK_INT(copy_tree(at("l"), at("m"), 0), 0);
    CHECK_STR(shown(""), "f=text g=text l>f m>f");
    CHECK_INT(copy_tree(at("l"), at("g"), 0), 0); /* makes room */
    CHECK_STR(shown(""), "f=text g>f l>f m>f");
    CHECK_INT(copy_tree(at("f"), at("g"), 0), 0); /* not through the link */
    CHECK_STR(shown(""), "f=text g=text l>f m>f");
    CHECK_INT(copy_tree(at("f"), at("f"), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("l"), at("l"), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("f"), at("m"), RONDO_COPY_NO_REPLACE), RONDO_EEXIST);
    CHECK_INT(copy_tree(at("l"), at("g"), RONDO_COPY_NO_REPLACE), RONDO_EEXIST);
    CHECK_INT(reported.errors, 1);
    CHECK_STR(shown(""), "f=text g=text l>f m>f");
}

TEST_BOTH(what_is_no_file_directory_or_link_is_left_out_and_counted) {
    grow("a/ a/f=x a/p|");
    CHECK_INT(copy_tree(at("a"), at("copy"), 0), 0);
    CHECK_STR(shown("copy"), "f=x");
    CHECK_INT(reported.skipped, 1);
    CHECK_INT(copy_tree(at("a/p"), at("q"), 0), RONDO_ENOTSUP);
}

TEST_BOTH(times_owners_and_attributes_when_asked_for) {
    const struct timespec times[2] = {{1000, 1}, {2000, 2}};
    grow("a/ a/f=x a/l>f a/d/");
    const char *names[] = {"a/f", "a/l", "a/d", "a"};
    bool root = geteuid() == 0;
    bool with_xattrs = setxattr(at("a/f"), "user.rondo", "hi", 2, 0) == 0;
    CHECK(with_xattrs || errno == EOPNOTSUPP);
    if (root) {
        CHECK_INT(lchown(at("a/l"), 12, 34), 0);
        CHECK_INT(chown(at("a/f"), 56, 78), 0);
    }
    CHECK_INT(chmod(at("a/f"), 04755), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(utimensat(AT_FDCWD, at(names[i]), times, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_INT(copy_tree(at("a"), at("plain"), 0), 0);
    CHECK(stat_of("plain/f").st_mtime > 1000000);
    CHECK_INT(stat_of("plain/f").st_mode & 07777, 0755); /* no setuid without the owner */
    CHECK_INT(getxattr(at("plain/f"), "user.rondo", NULL, 0), -1);
    unsigned all = RONDO_COPY_TIMES | RONDO_COPY_OWNER | RONDO_COPY_XATTRS;
    CHECK_INT(copy_tree(at("a"), at("b"), all), 0);
    const char *copies[] = {"b/f", "b/l", "b/d", "b"};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(stat_of(copies[i]).st_mtim.tv_sec, 2000);
        CHECK_INT(stat_of(copies[i]).st_mtim.tv_nsec, 2);
    }
    CHECK_INT(stat_of("b/f").st_mode & 07777, 04755);
    if (root) CHECK_INT(stat_of("b/l").st_gid, 34);
    if (root) CHECK_INT(stat_of("b/f").st_uid, 56);
    if (with_xattrs) CHECK_INT(getxattr(at("b/f"), "user.rondo", NULL, 0), 2);
}

TEST_BOTH(a_tree_is_copied_into_one_that_is_there) {
    grow("a/ a/d/ a/d/f=new a/l>x a/p=plain b/ b/d/ b/d/f=old b/d/own=1 b/l=file b/p>../outside "
         "outside=safe");
    CHECK_INT(link(at("b/d/f"), at("b/other")), 0);
    CHECK_INT(chmod(at("b/d"), 0700), 0);
    CHECK_INT(copy_tree(at("a"), at("b"), 0), 0);
    CHECK_STR(shown("b"), "d/ d/f=new d/own=1 l>x other=old p=plain");
    CHECK_STR(shown(""), "a/ a/d/ a/d/f=new a/l>x a/p=plain b/ b/d/ b/d/f=new b/d/own=1 b/l>x "
                         "b/other=old b/p=plain outside=safe");
    CHECK_INT(stat_of("b/d").st_mode & 07777, 0700); /* it was there */
    CHECK_INT(copy_tree(at("a"), at("b"), RONDO_COPY_NO_REPLACE), RONDO_EEXIST);
}

TEST_BOTH(a_tree_is_not_copied_over_a_file_or_a_file_over_a_tree) {
    grow("a/ a/x=file a/y/ a/y/z=1 a/w=ok b/ b/x/ b/y=file f=x");
    CHECK_INT(copy_tree(at("a"), at("f"), 0), RONDO_EEXIST);
    CHECK_INT(copy_tree(at("a"), at("b"), 0), RONDO_EEXIST);
    CHECK_INT(reported.errors, 2);
    CHECK(strcmp(reported.error_path, "x") == 0 || strcmp(reported.error_path, "y") == 0);
    CHECK_STR(shown("b"), "w=ok x/ y=file");
    CHECK_INT(copy_tree(at("f"), at("b"), 0), RONDO_EEXIST);
}

TEST_BOTH(a_directory_is_not_copied_into_itself) {
    grow("a/ a/b/ a/b/c=x in>a/b");
    CHECK_INT(copy_tree(at("a"), at("a/copy"), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), at("a/b/copy"), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), at("in/copy"), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), at("in"), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), at("a"), 0), RONDO_EINVAL);
    CHECK_STR(shown("a"), "b/ b/c=x");
    CHECK_INT(copy_tree(at("a/b"), at("a/d"), 0), 0); /* beside */
    CHECK_STR(shown("a"), "b/ b/c=x d/ d/c=x");
}

TEST_BOTH(a_copy_goes_on_after_what_it_cannot_read) {
    become_nobody();
    grow("a/ a/no/ a/no/x=1 a/secret=x a/yes=1 a/sub/ a/sub/deep=2 a/sub/bad=3");
    CHECK_INT(chmod(at("a/no"), 0), 0);
    CHECK_INT(chmod(at("a/secret"), 0), 0);
    CHECK_INT(chmod(at("a/sub/bad"), 0), 0);
    CHECK_INT(copy_tree(at("a"), at("copy"), 0), RONDO_EACCES);
    CHECK_STR(shown("copy"), "sub/ sub/deep=2 yes=1");
    CHECK_INT(reported.errors, 3);
    CHECK_INT(reported.files, 2);
    CHECK(reported.error_path[0] != '\0');
}

TEST_BOTH(copies_that_cannot_begin) {
    grow("a/ f=x");
    CHECK_INT(copy_tree(at("none"), at("b"), 0), RONDO_ENOENT);
    CHECK_INT(copy_tree(at("a"), at("none/b"), 0), RONDO_ENOENT);
    CHECK_INT(copy_tree(at("a"), at("f/b"), 0), RONDO_ENOTDIR);
    CHECK_INT(copy_tree(at("a"), at("b/.."), 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), "/", 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), "..", 0), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), "", 0), RONDO_ENOENT);
    CHECK_INT(copy_tree(at("a"), at("b"), 1u << 20), RONDO_EINVAL);
    CHECK_INT(copy_tree(at("a"), NULL, 0), RONDO_EINVAL);
    CHECK_STR(shown(""), "a/ f=x");
}

/* ---- removing ---- */

TEST_BOTH(a_tree_is_removed_and_nothing_else) {
    grow(SMALL " a/p| a/out>../keep a/up>.. keep/ keep/x=1");
    CHECK_INT(chmod(at("a/c/d"), 0), 0);
    CHECK_INT(remove_tree(at("a"), 0), 0);
    CHECK_STR(shown(""), "keep/ keep/x=1");
    CHECK_INT(reported.files, 3);
    CHECK_INT(reported.directories, 3);
    CHECK_INT(reported.links, 3);
    CHECK_INT(reported.others, 1);
    CHECK_INT(reported.errors, 0);
}

TEST_BOTH(a_link_is_removed_and_not_what_it_leads_to) {
    grow("d/ d/x=1 l>d m>d f=1");
    CHECK_INT(remove_tree(at("l"), 0), 0);
    CHECK_INT(remove_tree(at("m//"), 0), 0);
    CHECK_INT(remove_tree(at("f"), 0), 0);
    CHECK_STR(shown(""), "d/ d/x=1");
}

TEST_BOTH(what_cannot_be_removed_at_all) {
    grow("a/ a/b/ f=x");
    CHECK_INT(remove_tree(at("none"), 0), RONDO_ENOENT);
    CHECK_INT(remove_tree(at("f/x"), 0), RONDO_ENOTDIR);
    CHECK_INT(remove_tree(at("a/b/.."), 0), RONDO_EINVAL);
    CHECK_INT(remove_tree(at("a/."), 0), RONDO_EINVAL);
    CHECK_INT(remove_tree("/", 0), RONDO_EINVAL);
    CHECK_INT(remove_tree("///", 0), RONDO_EINVAL);
    CHECK_INT(remove_tree("", 0), RONDO_ENOENT);
    CHECK_INT(remove_tree(at("a"), 2), RONDO_EINVAL);
    CHECK_INT(remove_tree(NULL, 0), RONDO_EINVAL);
    CHECK_STR(shown(""), "a/ a/b/ f=x");
}

TEST_BOTH(what_may_not_be_removed_stays_and_the_rest_goes) {
    become_nobody();
    grow("a/ a/x/ a/x/y/ a/x/y/z=1 a/x/w=1 a/q=1 a/void/ a/full/ a/full/f=1");
    CHECK_INT(chmod(at("a/x/y"), 0555), 0);
    CHECK_INT(chmod(at("a/void"), 0), 0); /* empty, so it need not be read */
    CHECK_INT(chmod(at("a/full"), 0), 0);
    CHECK_INT(remove_tree(at("a"), 0), RONDO_EACCES);
    CHECK_INT(chmod(at("a/full"), 0700), 0);
    CHECK_STR(shown("a"), "full/ full/f=1 x/ x/y/ x/y/z=1");
    CHECK_INT(reported.errors, 2);
    CHECK(strcmp(reported.error_path, "x/y/z") == 0 || strcmp(reported.error_path, "full") == 0);
    CHECK_INT(reported.files, 2);
    CHECK_INT(reported.directories, 1);
}

TEST_BOTH(a_directory_that_loses_its_place_while_entries_go_is_read_again) {
    char name[200];
    grow("a/ a/b/");
    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "a/b/%0100d=", i);
        grow(name);
    }
    faults_short(CALL_getdents64, 3, 0); /* it says that it's at its end, and isn't */
    CHECK_INT(remove_tree(at("a"), 0), 0);
    CHECK_INT(faults_struck(), 1);
    faults_clear();
    CHECK_STR(shown("a"), "(none)");
}

TEST_BOTH(what_is_no_file_makes_no_room) {
    grow("f=x d/ d/f=y e/");
    CHECK_INT(symlink("f", at("l")), 0);
    CHECK_INT(mkfifo(at("p"), 0600), 0);
    CHECK_INT(mkfifo(at("e/f"), 0600), 0);
    CHECK_INT(copy_tree(at("f"), at("p"), 0), RONDO_EEXIST);
    CHECK_INT(copy_tree(at("l"), at("p"), 0), RONDO_EEXIST);
    CHECK_INT(copy_tree(at("d"), at("e"), 0), RONDO_EEXIST);
    CHECK(S_ISFIFO(stat_of("p").st_mode) && S_ISFIFO(stat_of("e/f").st_mode));
}
