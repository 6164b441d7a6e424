/* SPDX-License-Identifier: MIT
 *
 * The race between several addresses (RFC 8305), on a network of our own: the resolver and connect(2)
 * are replaced. Addresses of the documentation prefixes (RFC 5737, RFC 3849) are answered as a test
 * says, by real sockets on the loopback; the virtual clock makes the times exact.
 */
#define _GNU_SOURCE
#include "connecting.h"
#include "faults.h"
#include "gate.h"

#include <netdb.h>
#include <sys/syscall.h>

#include "net/attempts.h"

/* ---- the network ---- */

typedef enum fate { OPEN, REFUSES, HANGS, FAILS } fate;

/* What becomes of attempts to reach a host; those that are not there hang. */
typedef struct host {
    const char *address;
    fate fate;
    int error; /* FAILS: at once, with this errno */
    int fd;    /* of the latest attempt */
} host;

static struct {
    host hosts[24];
    int count;
    rondo_loop *loop;
    uint16_t open_port, closed_port;
    int listener, refuser;
    full_listener full;
    const char *answer; /* the resolver's: addresses separated by spaces */
    gate *gate;         /* the resolver stops there */
} net;

static host *find_host(const char *text) {
    for (int i = 0; i < net.count; i++)
        if (strcmp(net.hosts[i].address, text) == 0) return &net.hosts[i];
    return NULL;
}

/* Through a socket of either family. */
static int connect_really(int fd, int family, uint16_t port) {
    rondo_address real;
    rondo_address_parse(family == AF_INET6 ? "::ffff:127.0.0.1" : "127.0.0.1", port, &real);
    return (int)syscall(SYS_connect, fd, rondo__sockaddr(&real), real.len);
}

int connect(int fd, const struct sockaddr *to, socklen_t len) {
    rondo_address address;
    char text[64];
    if (!net.loop || rondo_address_from_sockaddr(to, len, &address) < 0)
        return (int)syscall(SYS_connect, fd, to, len);
    rondo_address_format_host(&address, text, sizeof text);
    note("%s@%llu", text, (unsigned long long)rondo_loop_now_ms(net.loop) - 1000);
    host *to_host = find_host(text);
    if (to_host) to_host->fd = fd;
    if (to_host && to_host->fate == FAILS) {
        errno = to_host->error;
        return -1;
    }
    fate what = to_host ? to_host->fate : HANGS;
    uint16_t port = what == OPEN      ? net.open_port
                    : what == REFUSES ? net.closed_port
                                      : net.full.port;
    return connect_really(fd, to->sa_family, port);
}

/* What hung gets its answer at a time. */
typedef struct event {
    const char *address;
    fate fate;
} event;

static void happen(rondo_timer *timer, void *arg) {
    event *it = arg;
    host *to = find_host(it->address);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    rondo_address name;
    CHECK(to && to->fd >= 0);
    CHECK_INT(rondo__socket_name(to->fd, false, &name), 0);
    CHECK_INT(syscall(SYS_connect, to->fd, &none, sizeof none), 0);
    connect_really(to->fd, rondo__address_af(&name),
                   it->fate == OPEN ? net.open_port : net.closed_port);
    free(it);
    rondo_close(timer);
}

static void at(uint64_t time_ms, const char *address, fate what) {
    event *it = malloc(sizeof *it);
    *it = (event){address, what};
    start_timer(net.loop, time_ms, happen, it);
}

static void add_host(const char *address, fate what, int error) {
    net.hosts[net.count++] = (host){address, what, error, -1};
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list) {
    char text[512];
    struct addrinfo **last = ret_list;
    if (net.gate) {
        sem_post(&net.gate->entered);
        sem_take(&net.gate->open);
    }
    if (!net.answer) return EAI_NONAME;
    snprintf(text, sizeof text, "%s", net.answer);
    *ret_list = NULL;
    for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        rondo_address *address = NULL;
        struct addrinfo *info = calloc(1, sizeof *info + sizeof *address);
        address = (rondo_address *)(void *)(info + 1);
        CHECK_INT(rondo_address_parse(word, 0, address), 0);
        info->ai_addr = rondo__sockaddr(address);
        info->ai_addrlen = address->len;
        *last = info;
        last = &info->ai_next;
    }
    return 0;
}
void freeaddrinfo(struct addrinfo *list) {
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list);
    }
}

static void build_net(void) {
    net.loop = new_virtual_loop();
    net.listener = listen_on("127.0.0.1", &net.open_port, 50);
    net.refuser = refuse_on(&net.closed_port);
    rondo_loop *loop = net.loop;
    net.loop = NULL;
    net.full = new_full_listener();
    net.loop = loop;
}

static void end_net(void) {
    end_loop(net.loop);
    net.loop = NULL;
    close_full_listener(&net.full);
    close(net.listener);
    close(net.refuser);
}

/* ---- the attempts by themselves ---- */

static void note_done(void *arg, int fd_or_error) {
    if (fd_or_error >= 0) {
        note("connected@%llu", (unsigned long long)rondo_loop_now_ms(net.loop) - 1000);
        close(fd_or_error);
    } else {
        note("%s@%llu", rondo_error_name(fd_or_error),
             (unsigned long long)rondo_loop_now_ms(net.loop) - 1000);
    }
    rondo_loop_stop(net.loop);
}

static rondo__attempts *start(const char *addresses) {
    static rondo_address list[300];
    char text[4096];
    rondo__attempts_plan plan = {.addresses = list, .delay_ms = 250, .done = note_done};
    snprintf(text, sizeof text, "%s", addresses);
    for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        CHECK_INT(rondo_address_parse(word, 80, &list[plan.count++]), 0);
    rondo__attempts *attempts = rondo__attempts_new(net.loop, &plan);
    CHECK(attempts != NULL);
    memset(list, 0, sizeof list);
    return attempts;
}

/* Runs until they are done, or for so long. */
static void race(const char *addresses, uint64_t time_ms) {
    rondo_timer *timer = start_timer(net.loop, time_ms, end_idling, net.loop);
    start(addresses);
    rondo_loop_run(net.loop, RONDO_RUN_ALL);
    rondo_close(timer);
    run_turns(net.loop, 1);
}

#define A1 "2001:db8::1"
#define A2 "2001:db8::2"
#define A3 "2001:db8::3"
#define B1 "192.0.2.1"
#define B2 "192.0.2.2"
#define B3 "192.0.2.3"

static rondo__attempts *cancel_at_end;
static void cancel_them(rondo_timer *timer, void *arg) {
    rondo__attempts_cancel(cancel_at_end);
    rondo_loop_stop(net.loop);
}

/* Nobody answers: who is tried, and when. */
static void check_order(const char *addresses, const char *want) {
    build_net();
    cancel_at_end = start(addresses);
    start_timer(net.loop, 10000, cancel_them, NULL);
    rondo_loop_run(net.loop, RONDO_RUN_ALL);
    harness_check_str(__FILE__, __LINE__, addresses, trace, want);
    trace_size = 0;
    trace[0] = '\0';
    end_net();
}

TEST(the_families_take_turns) {
    check_order(A1, A1 "@0");
    check_order(A1 " " B1, A1 "@0 " B1 "@250");
    check_order(B1 " " A1, B1 "@0 " A1 "@250");
    check_order(A1 " " A2 " " B1 " " B2, A1 "@0 " B1 "@250 " A2 "@500 " B2 "@750");
    check_order(A1 " " A2 " " A3 " " B1, A1 "@0 " B1 "@250 " A2 "@500 " A3 "@750");
    check_order(B1 " " A1 " " B2 " " B3, B1 "@0 " A1 "@250 " B2 "@500 " B3 "@750");
    check_order(B1 " " B2 " " B3, B1 "@0 " B2 "@250 " B3 "@500");
    /* An IPv4 address in IPv6 clothes is IPv4. */
    check_order("::ffff:192.0.2.9 " B1 " " A1, "192.0.2.9@0 " A1 "@250 " B1 "@500");
}

TEST(no_more_than_sixteen_are_tried) {
    char list[4096] = "", word[32];
    for (int i = 1; i <= 40; i++) {
        snprintf(word, sizeof word, "%s192.0.2.%d", i > 1 ? " " : "", i);
        strcat(list, word);
    }
    strcat(list, " " A1);
    build_net();
    cancel_at_end = start(list);
    start_timer(net.loop, 10000, cancel_them, NULL);
    rondo_loop_run(net.loop, RONDO_RUN_ALL);
    CHECK(strstr(trace, "192.0.2.1@0 " A1 "@250 192.0.2.2@500 ") == trace);
    CHECK(strstr(trace, "192.0.2.15@3750") != NULL);
    CHECK(strstr(trace, "192.0.2.16@") == NULL);
    trace_size = 0;
    end_net();
}

TEST(the_first_wins_at_once) {
    build_net();
    add_host(A1, OPEN, 0);
    race(A1 " " B1, 10000);
    CHECK_TRACE(A1 "@0 connected@0");
    end_net();
}

TEST(a_slow_one_does_not_hold_up_the_others) {
    build_net();
    add_host(B1, OPEN, 0);
    race(A1 " " B1 " " A2, 10000);
    CHECK_TRACE(A1 "@0 " B1 "@250 connected@250");
    end_net();
}

TEST(one_that_fails_starts_the_next_at_once) {
    build_net();
    add_host(A1, REFUSES, 0);
    add_host(B1, FAILS, ENETUNREACH);
    add_host(A2, OPEN, 0);
    race(A1 " " B1 " " A2, 10000);
    CHECK_TRACE(A1 "@0 " B1 "@0 " A2 "@0 connected@0");
    end_net();
}

TEST(the_delay_counts_from_the_latest_attempt) {
    build_net();
    add_host(A1, HANGS, 0);
    add_host(B1, HANGS, 0);
    at(400, B1, REFUSES); /* 100 before A2 would be due */
    cancel_at_end = start(A1 " " B1 " " A2 " " B2);
    start_timer(net.loop, 700, cancel_them, NULL);
    rondo_loop_run(net.loop, RONDO_RUN_ALL);
    CHECK_TRACE(A1 "@0 " B1 "@250 " A2 "@400 " B2 "@650");
    end_net();
}

/* Slow is no failure: the first is still in the race when all others are over. */
TEST(a_slow_one_may_still_win) {
    build_net();
    add_host(A1, HANGS, 0);
    add_host(B1, REFUSES, 0);
    at(20000, A1, OPEN);
    race(A1 " " B1, 30000);
    CHECK_TRACE(A1 "@0 " B1 "@250 connected@20000");
    end_net();
}

TEST(the_others_are_closed) {
    build_net();
    add_host(A1, HANGS, 0);
    add_host(B1, HANGS, 0);
    add_host(B2, OPEN, 0);
    race(A1 " " B1 " " A2 " " B2, 30000);
    CHECK_TRACE(A1 "@0 " B1 "@250 " A2 "@500 " B2 "@750 connected@750");
    CHECK(fcntl(find_host(A1)->fd, F_GETFD) < 0 && errno == EBADF);
    CHECK(fcntl(find_host(B1)->fd, F_GETFD) < 0 && errno == EBADF);
    end_net();
}

TEST(two_that_connect_in_one_turn_are_one_connection) {
    build_net();
    add_host(A1, HANGS, 0);
    add_host(B1, HANGS, 0);
    at(1000, A1, OPEN);
    at(1000, B1, OPEN);
    race(A1 " " B1, 30000);
    CHECK_TRACE(A1 "@0 " B1 "@250 connected@1000");
    run_turns(net.loop, 2);
    CHECK_TRACE("");
    end_net();
}

/* ---- all have failed ---- */

static void check_error(int first, int second, int third, const char *want) {
    build_net();
    net.count = 0;
    add_host(A1, FAILS, first);
    add_host(B1, FAILS, second);
    add_host(A2, FAILS, third);
    race(A1 " " B1 " " A2, 30000);
    char text[200];
    snprintf(text, sizeof text, A1 "@0 " B1 "@0 " A2 "@0 %s@0", want);
    CHECK_STR(trace, text);
    trace_size = 0;
    end_net();
}

TEST(the_error_of_the_one_that_came_furthest) {
    check_error(ENETUNREACH, ECONNREFUSED, ENETUNREACH, "ECONNREFUSED");
    check_error(ECONNREFUSED, ENETUNREACH, ETIMEDOUT, "ECONNREFUSED");
    check_error(ENETUNREACH, ETIMEDOUT, EHOSTUNREACH, "ETIMEDOUT");
    check_error(EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH, "EHOSTUNREACH");
    check_error(EAFNOSUPPORT, EADDRNOTAVAIL, ENETUNREACH, "ENETUNREACH");
    check_error(ENETUNREACH, ENOBUFS, EAFNOSUPPORT, "ENOBUFS");
    check_error(ENETUNREACH, EACCES, ETIMEDOUT, "EACCES");
    check_error(ENETUNREACH, ENETUNREACH, ECONNRESET, "ECONNRESET");
    check_error(EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, "EADDRNOTAVAIL"); /* the first */
}

TEST(the_last_error_comes_when_the_slowest_has_failed) {
    build_net();
    add_host(A1, HANGS, 0);
    add_host(B1, FAILS, ENETUNREACH);
    at(5000, A1, REFUSES);
    race(A1 " " B1, 30000);
    CHECK_TRACE(A1 "@0 " B1 "@250 ECONNREFUSED@5000");
    end_net();
}

TEST(no_address_at_all) {
    build_net();
    race("", 1000);
    CHECK_TRACE("EAFNOSUPPORT@0");
    end_net();
}

/* ---- out of descriptors ---- */

/* The first holds one, and keeps its chance; the second is tried when there is one again. */
TEST(without_a_descriptor_an_address_waits) {
    build_net();
    add_host(B1, OPEN, 0);
    start(A1 " " B1);
    run_turns(net.loop, 1);
    faults_fail(CALL_socket, 1, EMFILE);
    faults_fail(CALL_socket, 1, ENFILE); /* the one behind it */
    faults_fail(CALL_socket, 1, ENOBUFS);
    rondo_timer *timer = start_timer(net.loop, 1000, end_idling, net.loop);
    rondo_loop_run(net.loop, RONDO_RUN_ALL);
    CHECK_TRACE(A1 "@0 " B1 "@257 connected@257"); /* pauses of 1, 2 and 4 ms */
    CHECK_INT(faults_struck(), 3);
    faults_clear();
    rondo_close(timer);
    end_net();
}

TEST(without_a_descriptor_and_nobody_to_give_one_back) {
    build_net();
    add_host(B1, REFUSES, 0);
    faults_fail(CALL_socket, 1, EMFILE);
    race(A1 " " B1, 1000);
    CHECK_TRACE(B1 "@0 ECONNREFUSED@0");
    faults_clear();
    faults_every(CALL_socket, 1, EMFILE);
    race(A1 " " B1, 1000);
    CHECK_TRACE("EMFILE@0");
    end_net();
}

TEST(while_it_waits_one_that_fails_makes_room) {
    build_net();
    add_host(A1, HANGS, 0);
    add_host(B1, OPEN, 0);
    start(A1 " " B1);
    run_turns(net.loop, 1);
    at(500, A1, REFUSES);
    for (int i = 0; i < 8; i++) faults_fail(CALL_socket, 1, EMFILE); /* until 377; then 505 */
    rondo_timer *timer = start_timer(net.loop, 1000, end_idling, net.loop);
    rondo_loop_run(net.loop, RONDO_RUN_ALL);
    CHECK_TRACE(A1 "@0 " B1 "@500 connected@500");
    faults_clear();
    rondo_close(timer);
    end_net();
}

/* ---- giving up ---- */

TEST(canceling_at_any_time) {
    for (int turns = 0; turns < 12; turns++) {
        build_net();
        rondo__attempts *attempts = start(A1 " " B1 " " A2);
        rondo_timer *timer = start_timer(net.loop, 5000, end_idling, net.loop);
        for (int i = 0; i < turns; i++) {
            rondo_loop_run(net.loop, RONDO_RUN_NOWAIT);
            rondo__loop_verify(net.loop);
        }
        rondo__attempts_cancel(attempts);
        rondo_loop_run(net.loop, RONDO_RUN_ALL);
        CHECK(strstr(trace, "E") == NULL && strstr(trace, "connected") == NULL);
        trace_size = 0;
        rondo_close(timer);
        end_net();
    }
}

/* ---- names ---- */

static rondo_stream *connect_by_name(const rondo_connect_options *options) {
    rondo_connect_options own = options ? *options : (rondo_connect_options){0};
    own.host = "example.org";
    own.port = 80;
    return listen_to(rondo_connect_with(net.loop, &own));
}

TEST(a_name_is_looked_up_and_its_addresses_race) {
    build_net();
    add_host(B1, OPEN, 0);
    net.answer = A1 " " A2 " " B1;
    run_until_known(connect_by_name(NULL));
    CHECK_TRACE(A1 "@0 " B1 "@250 connect");
    end_net();
}

TEST(the_delay_may_be_chosen) {
    const uint32_t delays[] = {400, 1, 100};
    for (int i = 0; i < 3; i++) {
        build_net();
        net.count = 0;
        add_host(B1, OPEN, 0);
        net.answer = A1 " " B1;
        run_until_known(connect_by_name(&(rondo_connect_options){.attempt_delay_ms = delays[i]}));
        CHECK_STR(trace,
                  delays[i] == 400 ? A1 "@0 " B1 "@400 connect" : A1 "@0 " B1 "@100 connect");
        end_net();
        trace_size = 0;
    }
}

TEST(one_family_only) {
    build_net();
    add_host(B1, REFUSES, 0);
    add_host(A1, REFUSES, 0);
    net.answer = A1 " " B1;
    run_until_known(connect_by_name(&(rondo_connect_options){.family = RONDO_FAMILY_IPV4}));
    CHECK_TRACE(B1 "@0 ECONNREFUSED close");
    run_until_known(connect_by_name(&(rondo_connect_options){.family = RONDO_FAMILY_IPV6}));
    CHECK_TRACE(A1 "@0 ECONNREFUSED close");
    net.answer = A1;
    run_until_known(connect_by_name(&(rondo_connect_options){.family = RONDO_FAMILY_IPV4}));
    CHECK_TRACE("ENOTFOUND close");
    end_net();
}

TEST(a_local_address_reaches_its_own_family_only) {
    build_net();
    add_host(B1, OPEN, 0);
    net.answer = A1 " " A2 " " B1;
    run_until_known(connect_by_name(&(rondo_connect_options){.local_host = "127.0.0.1"}));
    CHECK_TRACE(B1 "@0 connect");
    net.answer = A1 " " A2;
    run_until_known(connect_by_name(&(rondo_connect_options){.local_host = "127.0.0.1"}));
    CHECK_TRACE("EAFNOSUPPORT close");
    end_net();
}

/* Each attempt is bound to it, of its own family. */
TEST(a_local_port_for_all_attempts) {
    build_net();
    char text[64], want[64];
    add_host(B1, OPEN, 0);
    net.answer = A1 " " B1;
    uint16_t port = free_port();
    rondo_stream *stream = connect_by_name(&(rondo_connect_options){.local_port = port});
    run_until_known(stream);
    CHECK_TRACE(A1 "@0 " B1 "@250 connect");
    snprintf(want, sizeof want, "127.0.0.1:%d", port);
    CHECK(rondo_stream_local(stream, text, sizeof text) > 0);
    CHECK_STR(text, want);
    end_net();
}

TEST(a_name_that_is_not_there) {
    build_net();
    run_until_known(connect_by_name(NULL));
    CHECK_TRACE("ENOTFOUND close");
    end_net();
}

TEST(the_time_covers_the_race) {
    build_net();
    net.answer = A1 " " B1;
    run_until_known(connect_by_name(&(rondo_connect_options){.timeout_ms = 600}));
    CHECK_TRACE(A1 "@0 " B1 "@250 ETIMEDOUT close");
    end_net();
}

/* The thread is with the system's resolver, and stays there. */
static void give_up_during_the_lookup(bool by_error) {
    static gate door; /* a thread may be at it to the end */
    build_net();
    gate_init(&door);
    net.gate = &door;
    net.answer = A1;
    rondo_stream *stream = connect_by_name(NULL);
    sem_take(&door.entered);
    run_turns(net.loop, 1);
    if (by_error)
        rondo_destroy(stream, RONDO_EIO);
    else
        rondo_close(stream);
    CHECK_INT(rondo_loop_run(net.loop, RONDO_RUN_ALL), 0); /* doesn't wait for it */
    CHECK_TRACE(by_error ? "EIO close" : "close");
    gate_open(&door, 1);
    end_net();
    while (harness_live_blocks() > 0) sched_yield(); /* the thread is back */
    net.gate = NULL;
}
TEST(giving_up_during_the_lookup) {
    give_up_during_the_lookup(false);
    give_up_during_the_lookup(true);
}

TEST(the_time_covers_the_lookup) {
    static gate door; /* a thread may be at it to the end */
    net.loop = NULL;
    rondo_loop *loop = rondo_loop_new(); /* a virtual clock stands still while a job runs */
    gate_init(&door);
    net.gate = &door;
    rondo_connect_options options = {.host = "example.org", .port = 80, .timeout_ms = 20};
    listen_to(rondo_connect_with(loop, &options));
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT close");
    gate_open(&door, 1);
    rondo_loop_free(loop);
}

static void close_the_stream(rondo_loop *loop, void *arg) { rondo_close((rondo_stream *)arg); }

/* The lookup is over, and is delivered to nobody. */
TEST(giving_up_just_before_the_lookup_is_told) {
    for (int turns = 0; turns < 3; turns++) {
        build_net();
        net.answer = A1;
        rondo_stream *stream = listen_to(rondo_connect(net.loop, "192.0.2.1", 80));
        run_turns(net.loop, turns);
        rondo_next_tick(net.loop, close_the_stream, stream);
        run_all(net.loop);
        CHECK(strstr(trace, "close") != NULL && strstr(trace, "E") == NULL);
        trace_size = 0;
        end_net();
    }
}

TEST(out_of_memory_at_every_place_of_a_race) {
    for (long n = 0;; n++) {
        build_net();
        net.count = 0;
        add_host(A1, REFUSES, 0);
        add_host(B1, OPEN, 0);
        net.answer = A1 " " B1;
        harness_fail_alloc_after(n);
        rondo_stream *stream = rondo_connect(net.loop, "example.org", 80);
        if (stream && rondo_stream_on_connect(stream, note_connect, NULL) == 0) {
            rondo_stream_on_error(stream, note_error, NULL);
            while (!strstr(trace, "connect") && !strstr(trace, " E") && trace[0] != 'E')
                rondo_loop_run(net.loop, RONDO_RUN_ONCE);
            CHECK(strstr(trace, "connect") || strstr(trace, "ENOMEM") || strstr(trace, "EDNS"));
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        end_net();
        CHECK(failed || strcmp(trace, A1 "@0 " B1 "@0 connect") == 0);
        trace_size = 0;
        trace[0] = '\0';
        if (!failed) break;
    }
}
