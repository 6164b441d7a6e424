/* SPDX-License-Identifier: MIT
 *
 * What the servers of all models do alike: listen and accept, say what they lack, have children.
 */
#define _GNU_SOURCE /* accept4, sched_getaffinity */
#include "compare/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- telling ---- */

const char *server_name = "compare";
static atomic_bool *said; /* in memory that children share */

void server_say(const char *format, ...) {
    char text[256];
    va_list args;

    if (said != NULL && atomic_exchange(said, true)) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "rondo: %s: %s\n", server_name, text);
}

int server_failed(const char *what) {
    fprintf(stderr, "rondo: %s: %s: %s\n", server_name, what, strerror(errno));
    return 1;
}

/* ---- listening ---- */

/* Kept to be given up for a moment when there is no other descriptor to accept a connection with. */
static int spare = -1;

static int open_spare(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

static bool set(int fd, int level, int option) {
    return setsockopt(fd, level, option, &(int){1}, sizeof(int)) == 0;
}

/* port: 0 is made the one that it got. */
static int listen_on(uint16_t *port, int flags, bool shared) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    /* Connections inherit TCP_NODELAY from here, so that none needs a call for it. */
    if (fd < 0 || !set(fd, SOL_SOCKET, SO_REUSEADDR) || !set(fd, IPPROTO_TCP, TCP_NODELAY) ||
        (shared && !set(fd, SOL_SOCKET, SO_REUSEPORT)) ||
        bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SERVER_BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        server_failed("can't listen on 127.0.0.1");
        if (fd >= 0) close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void announce(uint16_t port) {
    void *memory =
        mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory != MAP_FAILED) said = memory;
    spare = open_spare();
    printf("listening on 127.0.0.1:%u\n", port);
    fflush(stdout);
}

int server_listen(const model_settings *settings, int flags) {
    uint16_t port = settings->port;
    int fd = listen_on(&port, flags, false);

    if (fd >= 0) announce(port);
    return fd;
}

int server_listen_shared(const model_settings *settings, int *ret_fds, unsigned count) {
    uint16_t port = settings->port;

    for (unsigned i = 0; i < count; i++) {
        ret_fds[i] = listen_on(&port, SOCK_NONBLOCK, true);
        if (ret_fds[i] < 0) return -1;
    }
    announce(port);
    return 0;
}

/* ---- accepting ---- */

/* There is no descriptor, or no memory. */
static void refuse_one(int listener, int flags) {
    int error = errno;

    server_say("refuses connections: accept: %s", strerror(error));
    if (spare >= 0) {
        close(spare);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | flags);
        if (fd >= 0) close(fd);
        spare = open_spare();
        if (fd >= 0) return;
    } else {
        spare = open_spare();
    }
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL); /* rather than spin */
}

int server_accept(int listener, int flags) {
    int fd;

    /* What ended in the queue already (ECONNABORTED and others; accept(2) has the list) is passed over. */
    do fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | flags);
    while (fd < 0 && errno != EAGAIN && errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
           errno != ENOMEM && errno != EBADF && errno != EINVAL);
    if (fd < 0 && errno != EAGAIN) refuse_one(listener, flags);
    return fd;
}

/* ---- processes ---- */

static pid_t family;

/* Runs in the head only. */
static void end_family(int signum) {
    signal(signum, SIG_IGN);
    kill(0, SIGTERM);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
    _exit(0);
}

void server_begin_family(void) {
    setpgid(0, 0); /* fails where a shell has done so already */
    family = getpid();
    signal(SIGTERM, end_family);
    signal(SIGINT, end_family);
}

/* Both signals wait meanwhile: one that comes for a child which still has the head's handler is not lost. */
pid_t server_fork(void) {
    sigset_t ends, before;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, &before);
    pid_t child = fork();
    int error = errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child == 0 && getppid() != family) _exit(0); /* died before it could be asked for */
    errno = error;
    return child;
}

unsigned server_cores(void) {
    cpu_set_t cores;

    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
}
