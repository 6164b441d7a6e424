/* SPDX-License-Identifier: MIT
 *
 * The client of the network benchmarks: keeps a server of net.h busy, checks what comes back, and
 * says what it cost both of them.
 *
 *   net_load echo PORT PID LIMIT CONNECTIONS     messages of 64 bytes, one in flight on each
 *   net_load bulk PORT PID LIMIT                 as fast as it goes through one connection and back
 *   net_load sink PORT PID LIMIT                 one way; the server answers with how much came
 *   net_load proxy PORT PID LIMIT UPSTREAM       one way, from a client to an upstream of its own
 *   net_load accept PORT PID LIMIT               connects until the server has closed the connection
 *   net_load udp PORT PID LIMIT WINDOW           datagrams of 64 bytes, so many in flight
 *   net_load hold PORT PID 0 CONNECTIONS         one message on each, prints "held", waits for stdin
 *
 * LIMIT: "1.5s", seconds, behind a tenth of it to warm up; or how many operations. An operation is a
 * message, a connection or a datagram there and back, or a byte. PID is the server's. Prints one
 * object of JSON: ops, seconds, lost (datagrams), and of both processes the seconds on a processor
 * and the seconds that they were ready and had to wait for one (schedstats, in nanoseconds).
 * Exit 1 when anything came back wrong.
 */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

#define MESSAGE_BYTES 64
#define MAX_WINDOW 1024
#define CHUNK_BYTES ((size_t)256 * 1024)
#define PATTERN_PERIOD 65521u /* a prime: what is lost or doubled shows */
#define CHECKED_BYTES 64u     /* of each chunk; all of them while warming up */
/* Of the client's sockets for bulk: what is in flight stays in the processor's cache. Left alone, the
 * kernel lets the buffers grow to many MiB, and main memory is what is measured. */
#define BUFFER_BYTES (256 * 1024)
#define CLIENTS 32 /* of accept */

static char pattern[PATTERN_PERIOD + CHUNK_BYTES], chunk[CHUNK_BYTES];
static int port, pid;
static bool bounded;

static void fail(const char *what) {
    fprintf(stderr, "net_load: %s\n", what);
    exit(1);
}

static void bound_buffers(int fd) {
    int size = BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static int dial(unsigned number) {
    struct sockaddr_in from = net_loopback(0), to = net_loopback((uint16_t)port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) net_die("socket (see ulimit -n)");
    if (bounded) bound_buffers(fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / 20000);
    if (number >= 20000 && bind(fd, (struct sockaddr *)&from, sizeof from) < 0) net_die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) net_die("connect");
    return fd;
}

/* ---- the measured part of a run ---- */

struct costs {
    uint64_t now_ns, server_ran_ns, server_waited_ns, ran_ns, waited_ns;
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void read_schedstat(int of, uint64_t *ran_ns, uint64_t *waited_ns) {
    char path[64];
    unsigned long long ran = 0, waited = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", of);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%llu %llu", &ran, &waited) != 2) fail("no /proc/PID/schedstat");
    fclose(file);
    *ran_ns = ran;
    *waited_ns = waited;
}

static struct costs take_costs(void) {
    struct costs costs;
    costs.now_ns = now_ns();
    read_schedstat(pid, &costs.server_ran_ns, &costs.server_waited_ns);
    read_schedstat(getpid(), &costs.ran_ns, &costs.waited_ns);
    return costs;
}

static struct {
    bool timed, warm; /* warm: what is done now counts */
    uint64_t most, ns, warm_at_ns, stop_at_ns, ops, lost;
    struct costs begin, end;
} run;

static void begin_run(const char *limit) {
    size_t len = strlen(limit);
    run.timed = len > 0 && limit[len - 1] == 's';
    if (run.timed) {
        run.ns = (uint64_t)(atof(limit) * 1e9);
        run.warm_at_ns = now_ns() + run.ns / 10;
    } else {
        run.most = strtoull(limit, NULL, 10);
        run.warm = true;
        run.begin = take_costs();
    }
}

/* Whether to go on. Called every now and then: it reads the clock. */
static bool running(void) {
    if (!run.timed) return run.ops < run.most;
    uint64_t now = now_ns();
    if (run.warm) {
        if (now < run.stop_at_ns) return true;
        if (run.end.now_ns == 0) run.end = take_costs();
        return false;
    }
    if (now >= run.warm_at_ns) {
        run.warm = true;
        run.ops = run.lost = 0;
        run.begin = take_costs();
        run.stop_at_ns = run.begin.now_ns + run.ns;
    }
    return true;
}

static void print_run(void) {
    if (!run.timed) run.end = take_costs();
    const struct costs *a = &run.begin, *b = &run.end;
    printf("{\"ops\": %llu, \"lost\": %llu, \"seconds\": %.6f, \"server_ran\": %.6f, "
           "\"server_waited\": %.6f, \"load_ran\": %.6f, \"load_waited\": %.6f}\n",
           (unsigned long long)run.ops, (unsigned long long)run.lost,
           (double)(b->now_ns - a->now_ns) / 1e9,
           (double)(b->server_ran_ns - a->server_ran_ns) / 1e9,
           (double)(b->server_waited_ns - a->server_waited_ns) / 1e9,
           (double)(b->ran_ns - a->ran_ns) / 1e9, (double)(b->waited_ns - a->waited_ns) / 1e9);
}

/* ---- messages ---- */

/* Message n: its number, and bytes that follow from it. */
static void make_message(char *message, uint64_t n) {
    memcpy(message, pattern + n % PATTERN_PERIOD, MESSAGE_BYTES);
    memcpy(message, &n, sizeof n);
}

static void check_message(const char *message, size_t len, uint64_t n) {
    char expected[MESSAGE_BYTES];
    make_message(expected, n);
    if (len != MESSAGE_BYTES || memcmp(message, expected, MESSAGE_BYTES) != 0)
        fail("a message came back changed");
}

typedef struct client {
    int fd;
    uint64_t number; /* of the message in flight */
    size_t have;
    char answer[MESSAGE_BYTES];
} client;

static void ask(client *c, uint64_t number) {
    char message[MESSAGE_BYTES];
    make_message(message, c->number = number);
    c->have = 0;
    if (send(c->fd, message, sizeof message, MSG_NOSIGNAL) != MESSAGE_BYTES) net_die("send");
}

/* True when the answer is complete, and right. */
static bool hear(client *c) {
    ssize_t count = recv(c->fd, c->answer + c->have, MESSAGE_BYTES - c->have, 0);
    if (count <= 0) fail("the server closed the connection");
    c->have += (size_t)count;
    if (c->have < MESSAGE_BYTES) return false;
    check_message(c->answer, c->have, c->number);
    return true;
}

static client *make_clients(unsigned count) {
    client *clients = calloc(count, sizeof *clients);
    if (!clients) net_die("calloc");
    for (unsigned i = 0; i < count; i++) clients[i].fd = dial(i);
    return clients;
}

/* One connection needs no epoll: recv waits. */
static void echo_one(client *c) {
    for (uint64_t number = 0; (number & 15) != 0 || running(); number++) {
        ask(c, number);
        while (!hear(c)) {}
        run.ops++;
    }
}

static void echo_many(client *clients, unsigned count) {
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t number = 0;
    unsigned in_flight = count;
    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) < 0) net_die("epoll_ctl");
        ask(&clients[i], number++);
    }
    while (in_flight > 0) {
        bool go_on = running();
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n == 0) fail("no answer for 10 s");
        for (int i = 0; i < n; i++) {
            client *c = events[i].data.ptr;
            if (!hear(c)) continue;
            run.ops++;
            if (go_on)
                ask(c, number++);
            else
                in_flight--;
        }
    }
}

static void hold(unsigned count) {
    client *clients = make_clients(count);
    for (unsigned i = 0; i < count; i++) {
        ask(&clients[i], i);
        while (!hear(&clients[i])) {}
    }
    printf("held\n");
    fflush(stdout);
    while (getchar() != EOF) {}
}

/* ---- a stream of bytes ---- */

/* Sends what the kernel takes now; 0 when it is full. */
static size_t pump_out(int fd, uint64_t sent) {
    ssize_t count =
        send(fd, pattern + sent % PATTERN_PERIOD, CHUNK_BYTES, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) net_die("send");
    return count < 0 ? 0 : (size_t)count;
}

/* Receives and checks what is there; 0 when that is nothing. *ret_end: the last byte came. */
static size_t pump_in(int fd, uint64_t received, bool *ret_end) {
    ssize_t count = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) net_die("recv");
    if (count <= 0) {
        if (count == 0) *ret_end = true;
        return 0;
    }
    size_t looked_at = run.warm && count > (ssize_t)CHECKED_BYTES ? CHECKED_BYTES : (size_t)count;
    if (memcmp(chunk, pattern + received % PATTERN_PERIOD, looked_at) != 0)
        fail("bytes came back changed");
    return (size_t)count;
}

/* From `out` to `in` (the same descriptor, or the upstream of a proxy) until the time is over and
 * the last byte has come. */
static void stream_through(int out, int in) {
    uint64_t sent = 0, received = 0;
    bool shut = false, end = false;
    while (!end) {
        if (!shut && !running()) {
            shutdown(out, SHUT_WR);
            shut = true;
        }
        size_t went = shut ? 0 : pump_out(out, sent);
        size_t came = pump_in(in, received, &end);
        sent += went;
        received += came;
        if (run.end.now_ns == 0) run.ops += came;
        if (went > 0 || came > 0 || end) continue;
        struct pollfd waits[] = {{.fd = in, .events = POLLIN},
                                 {.fd = shut ? -1 : out, .events = POLLOUT}};
        if (poll(waits, 2, 10000) == 0) fail("no byte for 10 s");
    }
    if (sent != received) fail("not all bytes came back");
}

static void sink(int fd) {
    uint64_t sent = 0, told = 0;
    while (running()) {
        ssize_t count = send(fd, pattern, CHUNK_BYTES, MSG_NOSIGNAL);
        if (count <= 0) net_die("send");
        sent += (uint64_t)count;
        run.ops += (uint64_t)count;
    }
    shutdown(fd, SHUT_WR);
    if (recv(fd, &told, sizeof told, MSG_WAITALL) != sizeof told || told != sent)
        fail("the server counted another number of bytes");
}

static void proxy(uint16_t upstream) {
    struct sockaddr_in address = net_loopback(upstream);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bound_buffers(listener);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0)
        net_die("listen");
    int out = dial(0), in = accept(listener, NULL, NULL);
    if (in < 0) net_die("accept");
    stream_through(out, in);
}

/* ---- connections ---- */

/* The server closes first; to reset the connection then leaves no address in TIME_WAIT. */
static void reset_when_closed(int fd) {
    struct linger linger = {1, 0};
    char byte;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (recv(fd, &byte, 1, 0) != 0) fail("the server didn't close the connection");
    close(fd);
}

static void accepts(void) {
    int fds[CLIENTS];
    while (running()) {
        for (unsigned i = 0; i < CLIENTS; i++) fds[i] = dial(0);
        for (unsigned i = 0; i < CLIENTS; i++) reset_when_closed(fds[i]);
        run.ops += CLIENTS;
    }
}

/* ---- datagrams ---- */

static struct mmsghdr messages[MAX_WINDOW];
static struct iovec pieces[MAX_WINDOW];
static char datagrams[MAX_WINDOW][MESSAGE_BYTES];

static void send_datagrams(int fd, unsigned count, uint64_t *number) {
    for (unsigned i = 0; i < count; i++) make_message(datagrams[i], (*number)++);
    for (unsigned sent = 0; sent < count;) {
        int n = sendmmsg(fd, messages + sent, count - sent, 0);
        if (n <= 0) net_die("sendmmsg");
        sent += (unsigned)n;
    }
}

static void udp(unsigned window) {
    struct sockaddr_in to = net_loopback((uint16_t)port);
    struct timeval patience = {0, 100000};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint64_t number = 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) net_die("connect");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (window > MAX_WINDOW) fail("the window is too large");
    for (unsigned i = 0; i < window; i++) {
        pieces[i] = (struct iovec){datagrams[i], MESSAGE_BYTES};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    unsigned in_flight = 0, missed = 0;
    while (running()) {
        send_datagrams(fd, window - in_flight, &number);
        in_flight = window;
        int count = recvmmsg(fd, messages, window, MSG_WAITFORONE, NULL);
        if (count < 0) { /* what is in flight has been lost */
            if (++missed == 20) fail("no datagram for 2 s");
            run.lost += in_flight;
            in_flight = 0;
            continue;
        }
        for (int i = 0; i < count; i++) {
            uint64_t n;
            memcpy(&n, datagrams[i], sizeof n);
            check_message(datagrams[i], messages[i].msg_len, n);
        }
        missed = 0;
        in_flight -= (unsigned)count < in_flight ? (unsigned)count : in_flight;
        run.ops += (unsigned)count;
    }
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    const char *mode = argv[1];
    unsigned extra = argc > 5 ? (unsigned)atoi(argv[5]) : 1;
    port = atoi(argv[2]);
    pid = atoi(argv[3]);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)((i % PATTERN_PERIOD) * 2654435761u >> 13);
    if (strcmp(mode, "hold") == 0) {
        hold(extra);
        return 0;
    }
    client *clients = strcmp(mode, "echo") == 0 ? make_clients(extra) : NULL;
    bounded = !clients;
    begin_run(argv[4]);
    if (clients && extra == 1)
        echo_one(clients);
    else if (clients)
        echo_many(clients, extra);
    else if (strcmp(mode, "bulk") == 0) {
        int fd = dial(0);
        stream_through(fd, fd);
    } else if (strcmp(mode, "sink") == 0)
        sink(dial(0));
    else if (strcmp(mode, "proxy") == 0)
        proxy((uint16_t)extra);
    else if (strcmp(mode, "accept") == 0)
        accepts();
    else if (strcmp(mode, "udp") == 0)
        udp(extra);
    else
        fail("no such mode");
    print_run();
    return 0;
}
