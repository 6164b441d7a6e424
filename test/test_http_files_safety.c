/* SPDX-License-Identifier: MIT
 *
 * Static files: what must not be served, however it is asked for and whatever happens meanwhile.
 * What goes wrong in other ways is in test_http_files_failure.c.
 */
#define _GNU_SOURCE
#include "http_site.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static void climb(site *s) {
    static const char *const targets[] = {
        "/../secret.txt",
        "/dir/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/dir/..%2f..%2fsecret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "//../secret.txt",
        "/./../secret.txt",
        "/.../secret.txt",
        "/dir/..",
        "/dir/../..",
        "/.hidden",
        "/%2ehidden",
        "/dir/../.hidden",
        "//secret.txt",
        "/dir//b.css",
        "http://x/../secret.txt",
    };

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        answer got = ask(s, "GET", targets[i], NULL);
        if (got.status != 404 && got.status != 400) FAIL("%s gave %d", targets[i], got.status);
        CHECK(strstr(got.body, SECRET) == NULL);
        answer_free(&got);
    }
    char absolute[160];
    snprintf(absolute, sizeof absolute, "/%s", site_path(s, "secret.txt"));
    check_status(s, "GET", absolute, NULL, 404);
    check_status(s, "GET", absolute + 1, NULL, 404);
}
TEST(nothing_climbs_out) {
    site s;

    site_make(&s);
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, climb);
    site_remove(&s);
}

static void follow_links(site *s) {
    int inside = s->files->how == RONDO__FILES_WALK ? 404 : 200;

    check_status(s, "GET", "/link-to-file", NULL, inside);
    check_status(s, "GET", "/link-to-dir/b.css", NULL, inside);
    check_status(s, "GET", "/dir/link-up", NULL, inside); /* ../a.txt stays within */
    check_status(s, "GET", "/link-out", NULL, 404);
    check_status(s, "GET", "/link-out-dir/b.css", NULL, 404);
    check_status(s, "GET", "/link-out-dir/", NULL, 404);
    check_status(s, "GET", "/link-out-dir", NULL, 404);
    check_status(s, "GET", "/link-absolute", NULL, 404); /* also when it leads back inside */
    check_status(s, "GET", "/link-magic", NULL, 404);
    check_status(s, "GET", "/link-circle", NULL, 404);
    check_status(s, "GET", "/link-nowhere", NULL, 404);
}
TEST(links_are_followed_within_only) {
    site s;

    site_make(&s);
    site_link(&s, "a.txt", "root/link-to-file");
    site_link(&s, "dir", "root/link-to-dir");
    site_link(&s, "../a.txt", "root/dir/link-up");
    site_link(&s, "../secret.txt", "root/link-out");
    site_link(&s, "../outside", "root/link-out-dir");
    site_link(&s, site_path(&s, "root/a.txt"), "root/link-absolute");
    site_link(&s, "/proc/self/root/etc/passwd", "root/link-magic");
    site_link(&s, "link-circle", "root/link-circle");
    site_link(&s, "no-such-file", "root/link-nowhere");
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, follow_links);
    site_remove(&s);
}

/* root/swap is by turns the directory and a link to the one outside, faster than anybody looks. */
static atomic_bool swapping;
static void *swap_for_ever(void *arg) {
    const site *s = arg;
    char one[128], two[128];

    snprintf(one, sizeof one, "%s", site_path(s, "root/swap"));
    snprintf(two, sizeof two, "%s", site_path(s, "root/swapped"));
    while (atomic_load(&swapping)) {
        renameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE);
        /* valgrind runs one thread at a time, and never another one while this one wants to run. A
         * request takes far longer than this there. */
        if (harness_is_slow()) usleep(100);
    }
    return NULL;
}
static void ask_while_swapped(site *s) {
    int found = 0;

    for (int i = 0; i < (harness_is_slow() ? 30 : 300); i++) {
        answer got = ask(s, "GET", "/swap/b.css", NULL);
        CHECK(got.status == 200 || got.status == 404);
        CHECK(strstr(got.body, SECRET) == NULL);
        found += got.status == 200;
        answer_free(&got);
    }
    fprintf(stderr, "%d found\n", found);
}
TEST(link_swapped_during_the_request) {
    site s;

    site_make(&s);
    CHECK_INT(mkdir(site_path(&s, "root/swap"), 0755), 0);
    site_file(&s, "root/swap/b.css", "b{}");
    site_link(&s, "../outside", "root/swapped");
    for (int way = 0; way < SITE_WAYS; way++) {
        atomic_store(&swapping, true);
        pthread_t thread = harness_thread(swap_for_ever, &s);
        site_serve(&s, way, ask_while_swapped);
        atomic_store(&swapping, false);
        pthread_join(thread, NULL);
    }
    site_remove(&s);
}

/* None of these is opened in a way that waits; the alarm of the test would tell. */
static void ask_for_specials(site *s) {
    check_status(s, "GET", "/fifo", NULL, 404);
    check_status(s, "GET", "/socket", NULL, 404);
    check_status(s, "GET", "/dir/fifo/", NULL, 404);
}
TEST(only_regular_files) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    site s;

    site_make(&s);
    CHECK_INT(mkfifo(site_path(&s, "root/fifo"), 0666), 0);
    CHECK_INT(mkdir(site_path(&s, "root/dir/fifo"), 0755), 0);
    CHECK_INT(mkfifo(site_path(&s, "root/dir/fifo/index.html"), 0666), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", site_path(&s, "root/socket"));
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, ask_for_specials);
    close(fd);
    site_remove(&s);
}

static void ask_for_devices(site *s) {
    check_status(s, "GET", "/dev/zero", NULL, 404);
    check_status(s, "GET", "/dev/null", NULL, 404);
    /* Another file system than the root's: not for the fast path, but there. */
    check_status(s, "GET", "/proc/version", NULL, 200);
}
TEST(devices_and_mounts) {
    site s;

    site_make(&s);
    strcpy(s.root, "/");
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, ask_for_devices);
    site_remove(&s);
}

static void ask_without_permission(site *s) {
    check_status(s, "GET", "/private.txt", NULL, 403);
    check_status(s, "GET", "/private/a.txt", NULL, 403);
    check_status(s, "GET", "/a.txt", NULL, 200);
}
TEST(unreadable_is_forbidden) {
    site s;
    bool root = geteuid() == 0;

    site_make(&s);
    site_file(&s, "root/private.txt", SECRET);
    CHECK_INT(mkdir(site_path(&s, "root/private"), 0755), 0);
    site_file(&s, "root/private/a.txt", SECRET);
    CHECK_INT(chmod(site_path(&s, "root/private.txt"), 0), 0);
    CHECK_INT(chmod(site_path(&s, "root/private"), 0), 0);
    if (root) CHECK_INT(seteuid(65534), 0); /* root may read everything */
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, ask_without_permission);
    if (root) CHECK_INT(seteuid(0), 0);
    CHECK_INT(chmod(site_path(&s, "root/private"), 0755), 0);
    site_remove(&s);
}

TEST(new_says_why_not) {
    rondo_loop *loop = rondo_loop_new();
    rondo_http_files *files = NULL;
    site s;

    site_make(&s);
    CHECK_INT(rondo_http_files_new(loop, site_path(&s, "nothing"), &files), RONDO_ENOENT);
    CHECK_INT(rondo_http_files_new(loop, site_path(&s, "secret.txt"), &files), RONDO_ENOTDIR);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_http_files_new(loop, s.root, &files), RONDO_ENOMEM);
    CHECK(files == NULL);
    rondo_http_files_free(NULL);
    rondo_loop_free(loop);
    site_remove(&s);
}

/* A sandbox that refuses openat2(2): with ENOSYS, or with EPERM as old ones of Docker do. */
static void refuse_openat2(unsigned error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        SKIP("seccomp filters are not allowed here");
}
static void check_falls_back(unsigned error) {
    rondo_loop *loop = rondo_loop_new();
    rondo_http_files *files = NULL;
    site s;

    site_make(&s);
    CHECK_INT(rondo_http_files_new(loop, s.root, &files), 0);
    rondo__files_how how = files->how;
    rondo_http_files_free(files);
    if (how == RONDO__FILES_WALK) {
        rondo_loop_free(loop);
        site_remove(&s);
        SKIP("there is no openat2(2)");
    }
    refuse_openat2(error);
    CHECK_INT(rondo_http_files_new(loop, s.root, &files), 0);
    CHECK_INT(files->how, RONDO__FILES_WALK);
    CHECK(!files->try_cached);
    rondo_http_files_free(files);
    rondo_loop_free(loop);
    site_remove(&s);
}
TEST(without_openat2_it_walks) { check_falls_back(ENOSYS); }
TEST(with_openat2_forbidden_it_walks) { check_falls_back(EPERM); }

/* The loop itself opens only what the kernel has in its caches. */
TEST(cached_way_never_waits) {
    struct stat st;
    site s;

    site_make(&s);
    int root = open(s.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rondo__files_best_way(root) == RONDO__FILES_WALK) {
        site_remove(&s);
        SKIP("there is no openat2(2)");
    }
    int fd = rondo__files_open(root, "a.txt", RONDO__FILES_BENEATH, &st);
    CHECK(fd >= 0);
    close(fd);
    fd = rondo__files_open(root, "a.txt", RONDO__FILES_CACHED, &st);
    CHECK(fd >= 0 && st.st_size == 10);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close(root);
    root = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(!rondo__files_can_try_cached(root));
    close(root);
    site_remove(&s);
}

/* Another file system that is mounted beneath the root may be a slow one. */
TEST(cached_way_does_not_leave_the_file_system) {
    char name[] = "/dev/shm/rondo-files-XXXXXX";
    int file = mkstemp(name), root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat above, st;

    CHECK(file >= 0 && root >= 0 && stat("/", &above) == 0 && fstat(file, &st) == 0);
    close(file);
    if (above.st_dev == st.st_dev || rondo__files_best_way(root) == RONDO__FILES_WALK) {
        unlink(name);
        SKIP("/dev/shm is not mounted, or there is no openat2(2)");
    }
    int fd = rondo__files_open(root, name + 1, RONDO__FILES_BENEATH, &st);
    CHECK(fd >= 0);
    close(fd);
    fd = rondo__files_open(root, name + 1, RONDO__FILES_CACHED, &st);
    unlink(name);
    CHECK_INT(fd, RONDO_EAGAIN);
    close(root);
}

/* ---- files that are mounted under a prefix ---- */

static rondo_http_router *mounted_at;

static void serve_mounted(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;
    if (!mounted_at) {
        mounted_at = rondo_http_router_new();
        CHECK_INT(rondo_http_router_mount(mounted_at, "/s/:x/", rondo_http_files_serve, s->files),
                  0);
    }
    rondo_http_router_serve(request, response, mounted_at);
}

static void beneath_a_prefix(site *s) {
    check_body(s, "/s/1/a.txt", NULL, 200, "0123456789");
    check_body(s, "/s/1/?q=/../..", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "http://localhost/s/1/dir/", NULL, 200, "dir index\n");
    check_status(s, "GET", "/s/1", NULL, 308);
    check_status(s, "GET", "/a.txt", NULL, 404);
    check_status(s, "POST", "/s/1/a.txt", NULL, 405);
    static const char *const hostile[] = {
        "/s/1/../a.txt",
        "/s/1/../../secret.txt",
        "/s/1/%2e%2e/secret.txt",
        "/s/1/..%2fsecret.txt",
        "/s/1//secret.txt",
        "/s/1/.hidden",
        "/s/1/%2e%2e%2fsecret.txt",
        "/s/1/dir/../../secret.txt",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        answer got = ask(s, "GET", hostile[i], NULL);
        CHECK(got.status == 400 || got.status == 404);
        CHECK(strstr(got.body, SECRET) == NULL);
        answer_free(&got);
    }
    answer got = ask(s, "GET", "/s/1/dir?a", NULL);
    CHECK_INT(got.status, 301);
    CHECK_STR(field(&got, "Location"), "./dir/?a");
    answer_free(&got);
}
TEST(files_under_a_prefix_are_no_less_safe) {
    site s;

    site_make(&s);
    s.on_request = serve_mounted;
    for (int way = 0; way < SITE_WAYS; way++) {
        site_serve(&s, way, beneath_a_prefix);
        rondo_http_router_free(mounted_at);
        mounted_at = NULL;
    }
    site_remove(&s);
}
