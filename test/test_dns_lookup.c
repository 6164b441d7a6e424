/* SPDX-License-Identifier: MIT
 *
 * rondo_dns_lookup() and rondo_dns_reverse(). The system's resolver is one of ours: the functions
 * below stand in front of the C library's (and behind faults.h, which can make them fail, but not
 * answer), and answer, fail or hang as a test tells them.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "gate.h"
#include "trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/dns/request.h"

/* What the system's resolver does; set before it is asked, or under its gate. */
static struct {
    atomic_int calls, lists; /* lists: handed out and not freed */
    gate *gate;              /* every call stops there */
    int error;               /* then it fails with this, EAI_SYSTEM with this errno */
    int system_errno;
    const char *addresses; /* else it finds these, separated by spaces */
    int copies;            /* of the last one, with its last bytes counted up */
    char host[512];        /* what was asked */
    struct addrinfo hints;
    const char *name, *service; /* getnameinfo's answer */
    int flags;
} resolver;
static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER; /* for what it notes */

static struct addrinfo *made_up(const char *text) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_un));
    struct sockaddr *to = (struct sockaddr *)(void *)(info + 1);
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)to;
    info->ai_addr = to;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        to->sa_family = AF_INET;
        info->ai_addrlen = sizeof *v4;
    } else if (strcmp(text, "unix") == 0) {
        to->sa_family = AF_UNIX;
        info->ai_addrlen = sizeof(struct sockaddr_un);
    } else if (strcmp(text, "short") == 0) {
        to->sa_family = AF_INET6;
        info->ai_addrlen = 8;
    } else if (strcmp(text, "none") == 0) {
        info->ai_addr = NULL;
    } else {
        to->sa_family = AF_INET6;
        CHECK_INT(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        info->ai_addrlen = sizeof *v6;
    }
    return info;
}

static void arrive(void) {
    atomic_fetch_add(&resolver.calls, 1);
    if (!resolver.gate) return;
    sem_post(&resolver.gate->entered);
    sem_take(&resolver.gate->open);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list) {
    char text[256];
    struct addrinfo *last = NULL;
    arrive();
    CHECK(service == NULL && strlen(host) < sizeof resolver.host);
    pthread_mutex_lock(&resolver_lock);
    strcpy(resolver.host, host);
    resolver.hints = *hints;
    pthread_mutex_unlock(&resolver_lock);
    if (resolver.error) {
        errno = resolver.system_errno;
        return resolver.error;
    }
    *ret_list = NULL;
    if (!resolver.addresses) return 0; /* never seen, and not forbidden */
    snprintf(text, sizeof text, "%s", resolver.addresses);
    for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct addrinfo *info = made_up(word);
        *(last ? &last->ai_next : ret_list) = info;
        last = info;
    }
    for (int i = 1; i <= resolver.copies; i++) {
        struct addrinfo *info = made_up("10.0.0.0");
        ((struct sockaddr_in *)(void *)info->ai_addr)->sin_addr.s_addr =
            htonl(0x0a000000u + (unsigned)i);
        last = last->ai_next = info;
    }
    atomic_fetch_add(&resolver.lists, 1);
    return 0;
}
void freeaddrinfo(struct addrinfo *list) {
    CHECK(list != NULL); /* POSIX does not promise that NULL is fine */
    atomic_fetch_sub(&resolver.lists, 1);
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list);
    }
}
int getnameinfo(const struct sockaddr *address, socklen_t len, char *host, socklen_t host_size,
                char *service, socklen_t service_size, int flags) {
    arrive();
    CHECK(len == sizeof(struct sockaddr_in) || len == sizeof(struct sockaddr_in6));
    pthread_mutex_lock(&resolver_lock);
    resolver.flags = flags;
    pthread_mutex_unlock(&resolver_lock);
    if (resolver.error) {
        errno = resolver.system_errno;
        return resolver.error;
    }
    if (strlen(resolver.name) >= host_size) return EAI_OVERFLOW;
    strcpy(host, resolver.name);
    snprintf(service, service_size, "%s", resolver.service);
    return 0;
}

/* Until the threads that were abandoned are back, and the gate may go. */
static void wait_for_stragglers(void) {
    while (harness_live_blocks() > 0) sched_yield();
    CHECK_INT(atomic_load(&resolver.lists), 0);
}

/* ---- what the callbacks brought ---- */

static void note_lookup(rondo_loop *loop, int status, const rondo_address *addresses, size_t count,
                        void *arg) {
    const char *label = arg;
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_pending);
    CHECK((status == 0) == (count > 0) && (status == 0) == (addresses != NULL));
    if (label) note("%s", label);
    if (status < 0) note("%s", rondo_error_name(status));
    for (size_t i = 0; i < count; i++) {
        char text[RONDO_ADDRESS_TEXT_BYTES];
        CHECK(rondo_address_format(&addresses[i], text, sizeof text) > 0);
        note("%s", text);
    }
}

static void note_reverse(rondo_loop *loop, int status, const char *host, const char *service,
                         void *arg) {
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_pending);
    CHECK((status == 0) == (host != NULL) && (status == 0) == (service != NULL));
    note("%s", status < 0 ? rondo_error_name(status) : host);
    if (service) note("%s", service);
}

static void lookup_with(const char *host, uint16_t port, unsigned flags, const char *want) {
    rondo_loop *loop = new_loop();
    rondo_dns_lookup_options options = {.flags = flags};
    CHECK_INT(rondo_dns_lookup(loop, host, port, &options, NULL, note_lookup, NULL), 0);
    CHECK_TRACE(""); /* never inside the call */
    run_to_end(loop);
    CHECK_TRACE(want);
    rondo_loop_free(loop);
    wait_for_stragglers();
}

/* ---- without a thread ---- */

TEST(numbers_take_no_thread) {
    lookup_with("192.0.2.1", 80, 0, "192.0.2.1:80");
    lookup_with("::1", 0, 0, "[::1]:0");
    lookup_with("2001:db8::7", 65535, RONDO_DNS_IPV6, "[2001:db8::7]:65535");
    lookup_with("fe80::1%1", 80, 0, "[fe80::1%1]:80");
    lookup_with("::ffff:192.0.2.1", 80, RONDO_DNS_IPV6, "192.0.2.1:80");
    lookup_with("192.0.2.1", 80, RONDO_DNS_IPV6, "ENOTFOUND");
    lookup_with("::1", 80, RONDO_DNS_IPV4, "ENOTFOUND");
    CHECK_INT(atomic_load(&resolver.calls), 0);
}

static bool has_ipv6(void) {
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)(void *)&loopback, sizeof loopback) == 0;
    if (fd >= 0) close(fd);
    return has;
}

TEST(localhost_is_this_machine_whatever_its_files_say) {
    const char *both = has_ipv6() ? "[::1]:80 127.0.0.1:80" : "127.0.0.1:80";
    resolver.addresses = "192.0.2.66"; /* a file or a server with other ideas */
    lookup_with("localhost", 80, 0, both);
    lookup_with("LocalHost.", 80, 0, both);
    lookup_with("app.localhost", 80, RONDO_DNS_IPV4, "127.0.0.1:80");
    lookup_with("a.b.LOCALHOST.", 80, RONDO_DNS_IPV6, "[::1]:80");
    CHECK_INT(atomic_load(&resolver.calls), 0);
    lookup_with("notlocalhost", 80, 0, "192.0.2.66:80");
    lookup_with("localhost.example", 80, 0, "192.0.2.66:80");
    lookup_with("ocalhost", 80, 0, "192.0.2.66:80");
    CHECK_INT(atomic_load(&resolver.calls), 3);
}

static void localhost_without_ipv6(faults_calls call, int error) {
    faults_every(call, 1, error);
    lookup_with("localhost", 80, 0, "127.0.0.1:80");
    CHECK_INT(faults_count(CALL_bind | CALL_socket), call == CALL_bind ? 2 : 1);
    lookup_with("localhost", 80, RONDO_DNS_ALL, "[::1]:80 127.0.0.1:80");
    lookup_with("localhost", 80, RONDO_DNS_IPV6, "[::1]:80"); /* who asks for it gets it */
    CHECK_INT(faults_count(CALL_bind | CALL_socket), call == CALL_bind ? 2 : 1);
    faults_clear();
}
TEST(localhost_without_ipv6) {
    localhost_without_ipv6(CALL_bind, EADDRNOTAVAIL);
    localhost_without_ipv6(CALL_socket, EAFNOSUPPORT);
}

/* ---- what is asked, and what is believed ---- */

TEST(names_go_to_the_system) {
    resolver.addresses = "2001:db8::1 192.0.2.1 192.0.2.2";
    lookup_with("www.example", 443, 0, "[2001:db8::1]:443 192.0.2.1:443 192.0.2.2:443");
    CHECK_STR(resolver.host, "www.example");
    CHECK_INT(resolver.hints.ai_family, AF_UNSPEC);
    CHECK_INT(resolver.hints.ai_socktype, SOCK_STREAM);
    CHECK_INT(resolver.hints.ai_flags, AI_ADDRCONFIG);
    lookup_with("www.example", 443, RONDO_DNS_IPV4 | RONDO_DNS_IPV6 | RONDO_DNS_ALL,
                "[2001:db8::1]:443 192.0.2.1:443 192.0.2.2:443");
    CHECK_INT(resolver.hints.ai_family, AF_UNSPEC);
    CHECK_INT(resolver.hints.ai_flags, 0);
    lookup_with("www.example", 443, RONDO_DNS_IPV4, "192.0.2.1:443 192.0.2.2:443");
    CHECK_INT(resolver.hints.ai_family, AF_INET);
    CHECK_INT(resolver.hints.ai_flags, 0);
    lookup_with("www.example", 443, RONDO_DNS_IPV6, "[2001:db8::1]:443");
    CHECK_INT(resolver.hints.ai_family, AF_INET6);
}

TEST(odd_answers_of_the_system) {
    resolver.addresses = "192.0.2.1 192.0.2.1 ::ffff:192.0.2.1 192.0.2.1";
    lookup_with("twice.example", 1, 0, "192.0.2.1:1");
    resolver.addresses = "unix none short 192.0.2.9 none";
    lookup_with("odd.example", 1, 0, "192.0.2.9:1");
    resolver.addresses = "unix none short";
    lookup_with("odder.example", 1, 0, "ENOTFOUND");
    resolver.addresses = NULL;
    lookup_with("empty.example", 1, 0, "ENOTFOUND");
}

static size_t counted;
static void count_addresses(rondo_loop *loop, int status, const rondo_address *addresses,
                            size_t count, void *arg) {
    CHECK_INT(status, 0);
    for (size_t i = 1; i < count; i++)
        CHECK(!rondo_address_equal(&addresses[i], &addresses[i - 1]));
    counted = count;
}
TEST(thousands_of_addresses_are_cut) {
    rondo_loop *loop = new_loop();
    static const struct {
        int copies;
        size_t want;
    } cases[] = {{254, 255}, {255, 256}, {256, 256}, {5000, 256}};
    resolver.addresses = "192.0.2.1";
    for (int i = 0; i < 4; i++) {
        resolver.copies = cases[i].copies;
        CHECK_INT(rondo_dns_lookup(loop, "many.example", 1, NULL, NULL, count_addresses, NULL), 0);
        run_to_end(loop);
        CHECK_INT(counted, cases[i].want);
    }
    rondo_loop_free(loop);
}

TEST(each_failure_of_the_system_has_a_code) {
    static const struct {
        int error, system_errno;
        const char *want;
    } cases[] = {
        {EAI_NONAME, 0, "ENOTFOUND"},     {EAI_NODATA, 0, "ENOTFOUND"},
        {EAI_ADDRFAMILY, 0, "ENOTFOUND"}, {EAI_AGAIN, 0, "EDNSAGAIN"},
        {EAI_FAIL, 0, "EDNSFAIL"},        {EAI_MEMORY, 0, "ENOMEM"},
        {EAI_FAMILY, 0, "EAFNOSUPPORT"},  {EAI_SYSTEM, EMFILE, "EMFILE"},
        {EAI_SYSTEM, 0, "EDNSFAIL"},      {EAI_OVERFLOW, 0, "EPROTO"},
        {EAI_SERVICE, 0, "EDNSFAIL"},     {-999, 0, "EDNSFAIL"},
        {EAI_SYSTEM, EACCES, "EACCES"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        resolver.error = cases[i].error;
        resolver.system_errno = cases[i].system_errno;
        lookup_with("www.example", 1, 0, cases[i].want);
    }
}

TEST(what_can_not_be_a_name_is_refused) {
    static const char *const bad[] = {NULL,
                                      "",
                                      "a b",
                                      "a\nb",
                                      "\t",
                                      "a\x7f",
                                      "a\x01"
                                      "b"};
    rondo_loop *loop = new_loop();
    rondo_dns_request *request = NULL;
    char name[300];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(rondo_dns_lookup(loop, bad[i], 1, NULL, &request, note_lookup, NULL),
                  RONDO_EINVAL);
    CHECK_INT(rondo_dns_lookup(loop, "a", 1, NULL, &request, NULL, NULL), RONDO_EINVAL);
    memset(name, 'a', sizeof name);
    name[254] = '\0';
    CHECK_INT(rondo_dns_lookup(loop, name, 1, NULL, &request, note_lookup, NULL), RONDO_EINVAL);
    CHECK(request == NULL);
    name[253] = '.'; /* says that it is complete, and is not part of it */
    CHECK_INT(rondo_dns_lookup(loop, name, 1, NULL, &request, note_lookup, NULL), 0);
    run_to_end(loop);
    CHECK_TRACE("ENOTFOUND");
    CHECK_STR(resolver.host, name);
    rondo_loop_free(loop);
}

/* ---- the end of a request ---- */

static rondo_dns_request *ask(rondo_loop *loop, const char *host, const char *label,
                              uint32_t timeout_ms) {
    rondo_dns_lookup_options options = {.timeout_ms = timeout_ms};
    rondo_dns_request *request = NULL;
    CHECK_INT(
        rondo_dns_lookup(loop, host, 7, &options, &request, note_lookup, (void *)(uintptr_t)label),
        0);
    CHECK(request != NULL);
    return request;
}

TEST(cancel_of_a_running_lookup_abandons_it) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    resolver.addresses = "192.0.2.1";
    rondo_dns_request *request = ask(loop, "slow.example", "slow", 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_dns_cancel(request), 0);
    CHECK_TRACE("");
    run_to_end(loop); /* comes back though the thread still waits */
    CHECK_TRACE("slow ECANCELED");
    gate_open(&g, 1);
    WAIT_FOR_FIGURE(rondo_lane_dns(loop), done, 1);
    ask(loop, "127.0.0.1", "next", 0);
    run_to_end(loop);
    CHECK_TRACE("next 127.0.0.1:7");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 0);
    rondo_loop_free(loop);
    wait_for_stragglers();
}

TEST(the_late_answer_is_dropped_while_the_loop_goes_on) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    resolver.addresses = "192.0.2.1";
    rondo_dns_request *request = ask(loop, "slow.example", "slow", 0);
    gate_wait_entered(&g, 1);
    ask(loop, "second.example", "second", 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_dns_cancel(request), 0);
    gate_open(&g, 2);
    run_to_end(loop);
    CHECK_TRACE("slow ECANCELED second 192.0.2.1:7");
    rondo_loop_free(loop);
    wait_for_stragglers();
}

TEST(cancel_of_a_queued_lookup_never_asks) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    CHECK_INT(rondo_lane_resize(rondo_lane_dns(loop), 1, 100), 0);
    submit_standing(loop, rondo_lane_dns(loop), &g);
    gate_wait_entered(&g, 1);
    rondo_dns_request *request = ask(loop, "queued.example", "queued", 0);
    CHECK_INT(rondo_dns_cancel(request), 0);
    CHECK_INT(rondo_dns_cancel(request), 0); /* it has not been told yet */
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_TRACE("queued ECANCELED");
    gate_open(&g, 1);
    run_to_end(loop);
    WAIT_FOR_FIGURE(rondo_lane_dns(loop), done, 2);
    CHECK_TRACE("");
    CHECK_INT(atomic_load(&resolver.calls), 0);
    rondo_loop_free(loop);
}

TEST(cancel_wins_over_an_answer_that_nobody_has_seen) {
    rondo_loop *loop = new_loop();
    rondo_dns_request *request = ask(loop, "127.0.0.1", "number", 0);
    CHECK_INT(rondo_dns_cancel(request), 0);
    request = ask(loop, "127.0.0.2", "failed", 0);
    rondo_dns_lookup_options v6 = {.flags = RONDO_DNS_IPV6};
    CHECK_INT(rondo_dns_lookup(loop, "127.0.0.3", 7, &v6, &request, note_lookup, "third"), 0);
    CHECK_INT(rondo_dns_cancel(request), 0);
    run_to_end(loop);
    CHECK_TRACE("number ECANCELED failed 127.0.0.2:7 third ECANCELED");
    rondo_loop_free(loop);
}

TEST(lookups_that_hang_hold_no_thread_once_nobody_waits) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_dns(loop);
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    resolver.addresses = "192.0.2.1";
    CHECK_INT(rondo_lane_resize(lane, 1, 100), 0);
    for (int i = 0; i < 10; i++) { /* on a lane of one thread */
        ask(loop, "slow.example", NULL, 1);
        gate_wait_entered(&g, 1);
        run_to_end(loop);
        CHECK_TRACE("ETIMEDOUT");
        CHECK_INT(figures_of(lane).abandoned, i + 1);
    }
    gate_open(&g, 11);
    ask(loop, "quick.example", "quick", 0);
    run_to_end(loop);
    CHECK_TRACE("quick 192.0.2.1:7");
    WAIT_FOR_FIGURE(lane, abandoned, 0);
    rondo_loop_free(loop);
    wait_for_stragglers();
}

TEST(a_request_that_is_forgotten_calls_nobody) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    rondo__dns_forget(ask(loop, "127.0.0.1", "number", 0)); /* its answer waits already */
    resolver.gate = &g;
    rondo_dns_request *request = ask(loop, "slow.example", "slow", 5);
    gate_wait_entered(&g, 1);
    rondo__dns_forget(request);
    run_to_end(loop);
    start_timer(loop, 10, note_timer, "later");
    run_to_end(loop);
    CHECK_TRACE("later");
    gate_open(&g, 1);
    end_loop(loop);
}

static rondo_dns_request *itself;
static void cancel_itself(rondo_loop *loop, int status, const rondo_address *addresses,
                          size_t count, void *arg) {
    CHECK_INT(status, 0);
    CHECK_INT(rondo_dns_cancel(itself), RONDO_ENOENT);
    rondo_loop_close_all(loop);
    CHECK_INT(rondo_address_port(&addresses[0]), 7);
    note("seen");
}
TEST(cancel_in_its_own_callback_does_nothing) {
    rondo_loop *loop = new_loop();
    CHECK_INT(rondo_dns_lookup(loop, "127.0.0.1", 7, NULL, &itself, cancel_itself, NULL), 0);
    run_to_end(loop);
    CHECK_TRACE("seen");
    rondo_loop_free(loop);
}

static void cancel_other(rondo_loop *loop, int status, const rondo_address *addresses, size_t count,
                         void *arg) {
    CHECK_INT(rondo_dns_cancel(itself), 0);
    note("first");
}
TEST(cancel_of_another_whose_turn_is_next) {
    rondo_loop *loop = new_loop();
    CHECK_INT(rondo_dns_lookup(loop, "127.0.0.1", 7, NULL, NULL, cancel_other, NULL), 0);
    itself = ask(loop, "127.0.0.1", "other", 0);
    run_to_end(loop);
    CHECK_TRACE("first other ECANCELED");
    rondo_loop_free(loop);
}

TEST(a_timeout_ends_a_lookup_that_hangs) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    resolver.addresses = "192.0.2.1";
    ask(loop, "slow.example", "slow", 20);
    gate_wait_entered(&g, 1);
    run_to_end(loop);
    CHECK_TRACE("slow ETIMEDOUT");
    gate_open(&g, 1);
    rondo_loop_free(loop);
    wait_for_stragglers();
}

TEST(an_answer_in_time_clears_the_timeout) {
    rondo_loop *loop = new_loop();
    resolver.addresses = "192.0.2.1";
    ask(loop, "fast.example", "fast", 2000);
    ask(loop, "192.0.2.2", "number", 20);
    run_to_end(loop);
    CHECK(trace_size > 0);
    trace_size = 0;
    start_timer(loop, 40, note_timer, "later"); /* an alarm of a request that is gone would crash */
    run_to_end(loop);
    CHECK_TRACE("later");
    end_loop(loop);
}

TEST(close_all_cancels_every_lookup) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    for (int i = 0; i < 2; i++) ask(loop, "running.example", "r", 0);
    gate_wait_entered(&g, 2);
    for (int i = 0; i < 2; i++) ask(loop, "queued.example", "q", 0);
    ask(loop, "127.0.0.1", "n", 0);
    rondo_loop_close_all(loop);
    run_to_end(loop);
    CHECK_TRACE("n ECANCELED r ECANCELED r ECANCELED q ECANCELED q ECANCELED");
    gate_open(&g, 2);
    rondo_loop_free(loop);
}

/* Frees the loop while lookups are in every state: `turns` before. */
static void free_loop_early(bool cancel, int turns) {
    rondo_loop *loop = new_loop();
    rondo_dns_request *requests[5];
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    resolver.addresses = "192.0.2.1 192.0.2.2";
    for (int i = 0; i < 2; i++) requests[i] = ask(loop, "running.example", "r", 50000);
    gate_wait_entered(&g, 2);
    for (int i = 2; i < 4; i++) requests[i] = ask(loop, "queued.example", "q", 0);
    requests[4] = ask(loop, "127.0.0.1", "n", 0);
    /* Those that wait first, or a thread would be started for them in place of one that is stuck. */
    for (int i = 4; cancel && i >= 0; i--) CHECK_INT(rondo_dns_cancel(requests[i]), 0);
    for (int i = 0; i < turns; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    rondo_loop_free(loop); /* does not wait for the two that hang */
    CHECK_INT(atomic_load(&resolver.calls), 2);
    CHECK(harness_live_blocks() > 0);
    gate_open(&g, 2);
    wait_for_stragglers();
}
TEST(freeing_the_loop_with_lookups_under_way) {
    free_loop_early(false, 0);
    CHECK_TRACE("");
}
TEST(freeing_the_loop_after_a_turn) {
    free_loop_early(false, 1);
    CHECK_TRACE("n 127.0.0.1:7");
}
TEST(freeing_the_loop_with_canceled_lookups) {
    free_loop_early(true, 0);
    CHECK_TRACE("");
}
TEST(freeing_the_loop_with_abandoned_lookups) {
    free_loop_early(true, 1);
    CHECK_TRACE("n ECANCELED q ECANCELED q ECANCELED r ECANCELED r ECANCELED");
}

TEST(freeing_the_loop_with_an_answer_that_was_not_fetched) {
    rondo_loop *loop = new_loop();
    resolver.addresses = "192.0.2.1";
    ask(loop, "www.example", "w", 0);
    WAIT_FOR_FIGURE(rondo_lane_dns(loop), done, 1);
    rondo_loop_free(loop);
    CHECK_TRACE("");
    CHECK_INT(harness_live_blocks(), 0);
}

TEST(a_loop_that_was_used_first_for_other_jobs) { /* its parts are freed in the other order */
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    warm_up(loop);
    resolver.gate = &g;
    ask(loop, "slow.example", "slow", 0);
    gate_wait_entered(&g, 1);
    rondo_loop_free(loop);
    gate_open(&g, 1);
    wait_for_stragglers();
}

/* ---- lanes ---- */

static void note_read(rondo_loop *loop, int64_t result, void *arg) {
    note("file %lld", (long long)result);
}

TEST(names_that_hang_do_not_delay_files) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    for (int i = 0; i < 100; i++) ask(loop, "slow.example", "slow", 0);
    gate_wait_entered(&g, 2);
    CHECK_INT(rondo_fs_open(loop, "/", 0, 0, NULL, note_read, NULL), 0);
    while (trace_size == 0) rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK(strncmp(trace, "file ", 5) == 0);
    close(atoi(trace + 5));
    trace_size = 0;
    rondo_loop_close_all(loop);
    run_to_end(loop);
    gate_open(&g, 100);
    rondo_loop_free(loop);
}

TEST(files_that_hang_do_not_delay_names) {
    rondo_loop *loop = new_loop();
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.addresses = "192.0.2.1";
    for (int i = 0; i < 100; i++) submit_standing(loop, rondo_lane_fs(loop), &g);
    gate_wait_entered(&g, 4);
    ask(loop, "www.example", "name", 0);
    while (trace_size == 0) rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("name 192.0.2.1:7");
    gate_open(&g, 100);
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST(a_full_lane_refuses) {
    rondo_loop *loop = new_loop();
    rondo_dns_request *request = NULL;
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    CHECK_INT(rondo_lane_resize(rondo_lane_dns(loop), 1, 2), 0);
    for (int i = 0; i < 3; i++) ask(loop, "slow.example", "s", 0);
    CHECK_INT(rondo_dns_lookup(loop, "more.example", 1, NULL, &request, note_lookup, "x"),
              RONDO_EAGAIN);
    rondo_address address;
    CHECK_INT(rondo_address_parse("192.0.2.1", 0, &address), 0);
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, &request, note_reverse, NULL), RONDO_EAGAIN);
    CHECK(request == NULL);
    gate_open(&g, 3);
    run_to_end(loop);
    CHECK_TRACE("s ENOTFOUND s ENOTFOUND s ENOTFOUND");
    rondo_loop_free(loop);
}

TEST(in_a_forked_child_the_pool_is_refused) {
    rondo_loop *loop = new_loop();
    resolver.addresses = "192.0.2.1";
    ask(loop, "www.example", "parent", 0);
    run_to_end(loop);
    CHECK_TRACE("parent 192.0.2.1:7");
    pid_t child = fork();
    if (child == 0) {
        int error = rondo_dns_lookup(loop, "www.example", 1, NULL, NULL, note_lookup, NULL);
        _exit(error == RONDO_ENOTSUP ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    rondo_loop_free(loop);
}

/* ---- reverse ---- */

static void reverse_with(const char *host, unsigned flags, const char *want) {
    rondo_loop *loop = new_loop();
    rondo_dns_lookup_options options = {.flags = flags};
    rondo_address address;
    CHECK_INT(rondo_address_parse(host, 443, &address), 0);
    CHECK_INT(rondo_dns_reverse(loop, &address, &options, NULL, note_reverse, NULL), 0);
    run_to_end(loop);
    CHECK_TRACE(want);
    rondo_loop_free(loop);
}

TEST(an_address_has_a_name) {
    resolver.name = "www.example";
    resolver.service = "https";
    reverse_with("192.0.2.1", 0, "www.example https");
    CHECK_INT(resolver.flags, 0);
    reverse_with("2001:db8::1", RONDO_DNS_NAMES_ONLY, "www.example https");
    CHECK_INT(resolver.flags, NI_NAMEREQD);
    resolver.error = EAI_NONAME;
    reverse_with("192.0.2.1", RONDO_DNS_NAMES_ONLY, "ENOTFOUND");
    resolver.error = EAI_AGAIN;
    reverse_with("192.0.2.1", 0, "EDNSAGAIN");
}

TEST(a_hostile_name_is_no_name) {
    char label[80] = "", name[330] = "";
    static const char *const good[] = {"a",     "a.b",        "A-1.b-2",   "_sip._tcp.example.",
                                       "1.2.3", "192.0.2.77", "fe80::1%1", "x--y.example"};
    static const char *const bad[] = {"a b",
                                      "a\nb",
                                      "../etc/passwd",
                                      "a/b",
                                      "-rf.example",
                                      "a-.b",
                                      "a.-b",
                                      "a..b",
                                      ".a",
                                      "",
                                      ".",
                                      "<script>",
                                      "a\x7f",
                                      "\xc3\xa4.example",
                                      "$(reboot).example",
                                      "a\\000b",
                                      "a%b",
                                      "a:b"};
    resolver.service = "https";
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        resolver.name = good[i];
        snprintf(name, sizeof name, "%s https", good[i]);
        reverse_with("192.0.2.1", 0, name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        resolver.name = bad[i];
        reverse_with("192.0.2.1", 0, "EPROTO");
    }
    memset(label, 'a', 63);
    snprintf(name, sizeof name, "%s.%s.%s.%.61s", label, label, label, label); /* 253 */
    resolver.name = name;
    char want[340];
    snprintf(want, sizeof want, "%s https", name);
    reverse_with("192.0.2.1", 0, want);
    strcat(name, "a");
    reverse_with("192.0.2.1", 0, "EPROTO");
    memset(label, 'a', 64);
    resolver.name = label;
    reverse_with("192.0.2.1", 0, "EPROTO");
}

TEST(unix_addresses_have_no_name) {
    rondo_loop *loop = new_loop();
    rondo_address address = {.len = 0};
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, NULL, note_reverse, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_dns_reverse(loop, NULL, NULL, NULL, note_reverse, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_address_parse_unix("/run/x", &address), 0);
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, NULL, note_reverse, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_address_parse("::1", 1, &address), 0);
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, NULL, NULL, NULL), RONDO_EINVAL);
    rondo_loop_free(loop);
}

TEST(reverse_is_canceled_and_times_out) {
    rondo_loop *loop = new_loop();
    rondo_dns_lookup_options options = {.timeout_ms = 20};
    rondo_dns_request *request;
    rondo_address address;
    static gate g; /* a thread may be at it to the end */
    gate_init(&g);
    resolver.gate = &g;
    resolver.name = resolver.service = "x";
    CHECK_INT(rondo_address_parse("192.0.2.1", 443, &address), 0);
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, &request, note_reverse, NULL), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_dns_cancel(request), 0);
    run_to_end(loop); /* comes back though the thread still waits */
    CHECK_TRACE("ECANCELED");
    CHECK_INT(rondo_dns_reverse(loop, &address, &options, NULL, note_reverse, NULL), 0);
    gate_wait_entered(&g, 1);
    run_to_end(loop);
    CHECK_TRACE("ETIMEDOUT");
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, NULL, note_reverse, NULL), 0);
    rondo_loop_close_all(loop); /* a thread may have it already, in place of those that are stuck */
    run_to_end(loop);
    CHECK_TRACE("ECANCELED");
    CHECK_INT(rondo_dns_reverse(loop, &address, NULL, NULL, note_reverse, NULL), 0);
    gate_open(&g, 4);
    rondo_loop_free(loop); /* with one that waits */
    CHECK_TRACE("");
    wait_for_stragglers();
}

/* ---- many, ended at every moment ---- */

enum { MANY = 400 };
static int calls_of[MANY];
static void count_call(rondo_loop *loop, int status, const rondo_address *addresses, size_t count,
                       void *arg) {
    int *calls = arg;
    CHECK(status == 0 || status == RONDO_ECANCELED || status == RONDO_ETIMEDOUT);
    ++*calls;
}
TEST(each_callback_runs_once_whenever_it_is_canceled) {
    rondo_loop *loop = new_loop();
    rondo_dns_request *requests[MANY];
    resolver.addresses = "192.0.2.1 192.0.2.2";
    for (int i = 0; i < MANY; i++) {
        rondo_dns_lookup_options options = {.timeout_ms = i % 7 == 3};
        CHECK_INT(rondo_dns_lookup(loop, i % 5 ? "www.example" : "127.0.0.1", 1, &options,
                                   &requests[i], count_call, &calls_of[i]),
                  0);
        if (i % 3 == 1 && calls_of[i / 2] == 0) CHECK_INT(rondo_dns_cancel(requests[i / 2]), 0);
        if (i % 4 == 2) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    }
    run_to_end(loop);
    for (int i = 0; i < MANY; i++) CHECK_INT(calls_of[i], 1);
    rondo_loop_free(loop);
    wait_for_stragglers();
}

/* ---- memory ---- */

static int sweep(int (*operation)(rondo_loop *)) {
    int failures = 0;
    for (long n = 0;; n++) {
        rondo_loop *loop = new_loop();
        harness_fail_alloc_after(n);
        int error = operation(loop);
        if (error == 0) run_to_end(loop);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(error == 0 || error == RONDO_ENOMEM || error == RONDO_EAGAIN); /* EAGAIN: no thread */
        CHECK(failed || error == 0);
        CHECK_INT(trace_size == 0, error != 0); /* refused, or called back */
        CHECK(failed || !strstr(trace, "ENOMEM"));
        failures += error != 0 || strstr(trace, "ENOMEM") != NULL;
        trace_size = 0;
        rondo_loop_free(loop);
        CHECK_INT(harness_live_blocks(), 0);
        CHECK_INT(atomic_load(&resolver.lists), 0);
        if (!failed) break;
    }
    return failures;
}
static int op_number(rondo_loop *loop) {
    return rondo_dns_lookup(loop, "192.0.2.1", 1, NULL, NULL, note_lookup, NULL);
}
static int op_name(rondo_loop *loop) {
    return rondo_dns_lookup(loop, "www.example", 1, NULL, NULL, note_lookup, NULL);
}
static int op_reverse(rondo_loop *loop) {
    rondo_address address;
    CHECK_INT(rondo_address_parse("192.0.2.1", 443, &address), 0);
    return rondo_dns_reverse(loop, &address, NULL, NULL, note_reverse, NULL);
}
TEST(out_of_memory_at_every_allocation) {
    resolver.addresses = "192.0.2.1";
    resolver.name = resolver.service = "x";
    CHECK_INT(sweep(op_number), 3);
    CHECK(sweep(op_name) >= 5);
    CHECK(sweep(op_reverse) >= 4);
}

TEST_ABORTS(cancel_of_null, "rondo_dns_cancel: (nil) is no request") { rondo_dns_cancel(NULL); }
