/* SPDX-License-Identifier: MIT
 *
 * Servers on Unix sockets: the file, its permissions, and files that are in the way.
 */
#include "connecting.h"
#include "faults.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

static char directory[64], path[100];

/* A path in a directory of the test's own. */
static void make_path(void) {
    strcpy(directory, "/tmp/rondo-unix-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/x.sock", directory);
}

static void remove_directory(void) {
    unlink(path);
    CHECK_INT(rmdir(directory), 0); /* nothing else was left there */
}

static int connect_by_path(const char *name) {
    rondo_address address;
    CHECK_INT(rondo_address_parse_unix(name, &address), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, rondo__sockaddr(&address), address.len) == 0) return fd;
    close(fd);
    return -1;
}

static void greet(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    write_text(connection, "hello");
    rondo_end(connection);
    rondo_resume(connection);
}

static rondo_server *new_unix_server(rondo_loop *loop, const char *name, unsigned mode) {
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_on_connection(server, greet, NULL), 0);
    CHECK_INT(rondo_server_listen_unix(server, name, mode), 0);
    return server;
}

static void check_served(rondo_loop *loop, const char *name) {
    char text[8] = "";
    int fd = connect_by_path(name);
    CHECK(fd >= 0);
    run_turns(loop, 2);
    CHECK_INT(harness_recv_exact(fd, text, 7), 5);
    CHECK_STR(text, "hello");
    CHECK_TRACE("connection");
    close(fd);
    run_turns(loop, 2);
}

static unsigned mode_of(const char *name) {
    struct stat about;
    CHECK_INT(lstat(name, &about), 0);
    return about.st_mode & 07777;
}

static bool exists(const char *name) {
    struct stat about;
    return lstat(name, &about) == 0;
}

TEST(a_path) {
    rondo_loop *loop = new_virtual_loop();
    char text[RONDO_ADDRESS_TEXT_BYTES], want[RONDO_ADDRESS_TEXT_BYTES];
    make_path();
    rondo_server *server = new_unix_server(loop, path, 0);
    CHECK_INT(rondo_server_port(server), 0);
    snprintf(want, sizeof want, "unix:%s", path);
    CHECK_INT(rondo_server_address(server, text, sizeof text), strlen(want));
    CHECK_STR(text, want);
    CHECK_INT(rondo_server_listen_unix(server, path, 0), RONDO_EBUSY);
    check_served(loop, path);
    rondo_close(server);
    CHECK(!exists(path));
    CHECK_INT(rondo_server_listen_unix(server, path, 0), RONDO_ECLOSED);
    end_loop(loop);
    remove_directory();
}

TEST(an_abstract_name) {
    rondo_loop *loop = new_virtual_loop();
    const char *name = abstract_name();
    char text[RONDO_ADDRESS_TEXT_BYTES];
    rondo_server *server = new_unix_server(loop, name, 0), *second = rondo_server_new(loop);
    CHECK(rondo_server_address(server, text, sizeof text) > 0);
    CHECK_STR(text + 5, name);
    check_served(loop, name);
    CHECK_INT(rondo_server_listen_unix(second, name, 0), RONDO_EADDRINUSE);
    rondo_close(server);
    CHECK_INT(rondo_server_listen_unix(second, name, 0600), 0); /* no file, no permissions */
    end_loop(loop);
}

TEST(wrong_paths) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    char longest[110];
    make_path();
    memset(longest, 'x', sizeof longest);
    longest[108] = '\0';
    CHECK_INT(rondo_server_listen_unix(server, longest, 0), RONDO_ENAMETOOLONG);
    CHECK_INT(rondo_server_listen_unix(server, NULL, 0), RONDO_EINVAL);
    CHECK_INT(rondo_server_listen_unix(server, "", 0), RONDO_EINVAL);
    CHECK_INT(rondo_server_listen_unix(server, "@", 0), RONDO_EINVAL);
    CHECK_INT(rondo_server_listen_unix(server, path, 01000), RONDO_EINVAL);
    CHECK_INT(rondo_server_listen_unix(server, "/nowhere/x", 0), RONDO_ENOENT);
    CHECK_INT(rondo_server_listen_unix(server, "/etc/passwd/x", 0), RONDO_ENOTDIR);
    CHECK_INT(rondo_server_listen_unix(server, "/", 0), RONDO_EADDRINUSE);
    CHECK(!rondo_is_active(server));
    CHECK_INT(rondo_server_listen_unix(server, path, 0), 0);
    end_loop(loop);
    remove_directory();
}

/* A relative one is of the current directory. */
TEST(relative_paths) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    CHECK_INT(chdir(directory), 0);
    rondo_server *server = new_unix_server(loop, "x.sock", 0600);
    check_served(loop, path);
    rondo_close(server);
    CHECK(!exists(path));
    end_loop(loop);
    CHECK_INT(chdir("/"), 0);
    remove_directory();
}

/* ---- permissions ---- */

TEST(permissions_are_exact) {
    const unsigned modes[] = {0600, 0666, 0660, 0777, 0007};
    const mode_t masks[] = {022, 077, 0};
    mode_t before = umask(0);
    for (size_t i = 0; i < 15; i++) {
        rondo_loop *loop = new_virtual_loop();
        make_path();
        umask(masks[i / 5]);
        new_unix_server(loop, path, modes[i % 5]);
        CHECK_INT(mode_of(path), modes[i % 5]);
        CHECK_INT(umask(masks[i / 5]), masks[i / 5]); /* nobody touched it */
        end_loop(loop);
        remove_directory();
    }
    umask(before);
}

TEST(without_a_mode_the_umask_decides) {
    rondo_loop *loop = new_virtual_loop();
    mode_t before = umask(027);
    make_path();
    new_unix_server(loop, path, 0);
    CHECK_INT(mode_of(path), 0750);
    umask(before);
    end_loop(loop);
    remove_directory();
}

/* When it can't have the permissions it does not serve at all, and leaves nothing. */
static void check_fault(faults_calls call, int error, int want) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    mode_t before = umask(077);
    make_path();
    faults_fail(call, 1, error);
    CHECK_INT(rondo_server_listen_unix(server, path, 0666), want);
    CHECK_INT(faults_struck(), 1);
    faults_clear();
    CHECK(want == 0 || !exists(path));
    umask(before);
    end_loop(loop);
    remove_directory();
}
TEST(what_can_go_wrong) {
    check_fault(CALL_socket, EMFILE, RONDO_EMFILE);
    check_fault(CALL_fchmod, EPERM, RONDO_EPERM);
    check_fault(CALL_bind, EACCES, RONDO_EACCES);
    check_fault(CALL_chmod, ENOENT, RONDO_ENOENT);
    check_fault(CALL_fstat, EIO, RONDO_EIO);
    check_fault(CALL_listen, EADDRINUSE, RONDO_EADDRINUSE);
    check_fault(CALL_getsockname, ENOBUFS, RONDO_ENOBUFS);
    check_fault(CALL_flock, EINTR, 0);
    check_fault(CALL_flock, ENOLCK, 0); /* a file system without locks */
}

TEST(out_of_memory_at_every_place) {
    make_path();
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        harness_fail_alloc_after(n);
        rondo_server *server = rondo_server_new(loop);
        int status = server ? rondo_server_on_connection(server, greet, NULL) : RONDO_ENOMEM;
        if (status == 0) status = rondo_server_listen_unix(server, path, 0600);
        CHECK(status == 0 || status == RONDO_ENOMEM);
        CHECK_INT(exists(path), status == 0);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        end_loop(loop);
        CHECK(!exists(path));
        if (!failed) break;
    }
    remove_directory();
}

/* ---- files that are in the way ---- */

/* As a server leaves it that was killed. */
static void leave_dead_socket(int type) {
    rondo_address address;
    CHECK_INT(rondo_address_parse_unix(path, &address), 0);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, rondo__sockaddr(&address), address.len), 0);
    close(fd);
    CHECK(exists(path));
}

TEST(a_dead_socket_is_replaced) {
    const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        rondo_loop *loop = new_virtual_loop();
        make_path();
        leave_dead_socket(types[i]);
        rondo_server *server = new_unix_server(loop, path, 0600);
        CHECK_INT(mode_of(path), 0600);
        check_served(loop, path);
        rondo_close(server);
        CHECK(!exists(path));
        end_loop(loop);
        remove_directory();
    }
}

TEST(a_live_server_is_left_alone) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    rondo_server *server = new_unix_server(loop, path, 0600), *second = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen_unix(second, path, 0600), RONDO_EADDRINUSE);
    run_turns(loop, 4); /* the look at it was a connection, which is gone */
    CHECK_TRACE("connection");
    check_served(loop, path);
    rondo_close(second);
    CHECK(exists(path));
    rondo_close(server);
    CHECK(!exists(path));
    end_loop(loop);
    remove_directory();
}

TEST(a_server_with_a_full_backlog_is_alive) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    int listener = listen_unix(path, 0), filler = connect_by_path(path);
    rondo_server *server = rondo_server_new(loop);
    CHECK(filler >= 0);
    CHECK_INT(rondo_server_listen_unix(server, path, 0), RONDO_EADDRINUSE);
    CHECK(exists(path));
    close(filler);
    close(listener);
    CHECK_INT(rondo_server_listen_unix(server, path, 0), 0); /* now it is dead */
    end_loop(loop);
    remove_directory();
}

static void check_in_the_way(void) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    struct stat before, after;
    CHECK_INT(lstat(path, &before), 0);
    CHECK_INT(rondo_server_listen_unix(server, path, 0600), RONDO_EADDRINUSE);
    CHECK_INT(lstat(path, &after), 0);
    CHECK(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
    end_loop(loop);
}

TEST(any_other_file_is_never_removed) {
    char target[100];
    make_path();
    snprintf(target, sizeof target, "%s/target", directory);
    close(open(path, O_CREAT | O_WRONLY, 0644));
    check_in_the_way();
    unlink(path);
    CHECK_INT(mkfifo(path, 0600), 0);
    check_in_the_way();
    unlink(path);
    CHECK_INT(mkdir(path, 0700), 0);
    check_in_the_way();
    rmdir(path);
    CHECK_INT(symlink("target", path), 0); /* to nowhere */
    check_in_the_way();
    unlink(path);
    leave_dead_socket(SOCK_STREAM);
    CHECK_INT(rename(path, target), 0);
    CHECK_INT(symlink("target", path), 0); /* to a dead socket */
    check_in_the_way();
    CHECK(exists(target));
    unlink(target);
    remove_directory();
}

/* ---- the end ---- */

TEST(a_file_that_is_not_ours_any_more_stays) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    rondo_server *server = new_unix_server(loop, path, 0600);
    unlink(path);
    int other = listen_unix(path, 1);
    rondo_close(server);
    CHECK(exists(path));
    close(other);
    unlink(path);
    server = new_unix_server(loop, path, 0600);
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0644));
    rondo_close(server);
    CHECK(exists(path));
    end_loop(loop);
    remove_directory();
}

/* Somebody else removes it between the look and the removal: then it isn't the dead one any more. */
TEST(a_file_that_has_just_changed_stays) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    leave_dead_socket(SOCK_STREAM);
    rondo_server *server = rondo_server_new(loop);
    faults_fail(CALL_lstat, 2, ENOENT); /* the second look */
    CHECK_INT(rondo_server_listen_unix(server, path, 0600), RONDO_EADDRINUSE);
    faults_clear();
    CHECK(exists(path));
    end_loop(loop);
    remove_directory();
}

/* Somebody puts a file of another's in the place of the new socket before it gets its permissions:
 * that file's are not touched. */
static void replace_it(int signum) {
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY | O_EXCL, 0600));
}
TEST(permissions_are_given_to_nothing_else) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    mode_t before = umask(077);
    make_path();
    signal(SIGUSR1, replace_it);
    faults_signal(CALL_open, 2, SIGUSR1); /* the first is for the lock */
    CHECK_INT(rondo_server_listen_unix(server, path, 0666), RONDO_EADDRINUSE);
    CHECK_INT(faults_struck(), 1);
    faults_clear();
    CHECK_INT(mode_of(path), 0600);
    umask(before);
    end_loop(loop);
    remove_directory();
}

/* ---- two that start at once ---- */

static pthread_barrier_t barrier;
static void *start_one(void *arg) {
    int *status = arg;
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    pthread_barrier_wait(&barrier);
    *status = rondo_server_listen_unix(server, path, 0600);
    pthread_barrier_wait(&barrier);
    rondo_close(server);
    end_loop(loop);
    return NULL;
}

TEST(of_servers_that_start_at_once_one_wins) {
    enum { STARTERS = 4 };
    make_path();
    CHECK_INT(pthread_barrier_init(&barrier, NULL, STARTERS), 0);
    for (int round = 0; round < (harness_is_slow() ? 10 : 60); round++) {
        pthread_t threads[STARTERS];
        int all[STARTERS], winners = 0;
        leave_dead_socket(SOCK_STREAM);
        for (int i = 0; i < STARTERS; i++) threads[i] = harness_thread(start_one, &all[i]);
        for (int i = 0; i < STARTERS; i++) {
            pthread_join(threads[i], NULL);
            winners += all[i] == 0;
            CHECK(all[i] == 0 || all[i] == RONDO_EADDRINUSE);
        }
        CHECK_INT(winners, 1);
        CHECK(!exists(path));
    }
    pthread_barrier_destroy(&barrier);
    remove_directory();
}

TEST(without_locks_nobody_waits) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    faults_every(CALL_flock, 1, ENOLCK);
    new_unix_server(loop, path, 0600);
    CHECK_INT(faults_count(CALL_flock), 1);
    faults_stop();
    end_loop(loop);
    remove_directory();
}

TEST(who_holds_the_lock_for_ever_only_delays) {
    rondo_loop *loop = new_virtual_loop();
    make_path();
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_INT(flock(lock, LOCK_EX), 0);
    new_unix_server(loop, path, 0600);
    check_served(loop, path);
    close(lock);
    end_loop(loop);
    remove_directory();
}
