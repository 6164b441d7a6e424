/* SPDX-License-Identifier: MIT
 *
 * The other end of a connection, with blocking calls; and threads and time.
 */
#include "harness.h"

#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void set_timeouts(int fd) {
    struct timeval limit = {.tv_sec = 30};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int harness_connect(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) {
        FAIL("socket: %s", strerror(errno));
    }
    set_timeouts(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        FAIL("connect to port %d: %s", port, strerror(errno));
    }
    return fd;
}

void harness_send_all(int fd, const void *data, size_t size) {
    const char *next = data;

    while (size > 0) {
        ssize_t sent = send(fd, next, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            FAIL("send: %s", strerror(errno));
        }
        if (sent > 0) {
            next += sent;
            size -= (size_t)sent;
        }
    }
    harness_settle();
}

void harness_send_str(int fd, const char *text) { harness_send_all(fd, text, strlen(text)); }

size_t harness_recv_exact(int fd, void *ret_data, size_t size) {
    char *next = ret_data;
    size_t got = 0;

    while (got < size) {
        ssize_t count = recv(fd, next + got, size - got, 0);
        if (count == 0) {
            break;
        }
        if (count < 0 && errno != EINTR) {
            FAIL("recv: %s, after %zu bytes", strerror(errno), got);
        }
        got += count > 0 ? (size_t)count : 0;
    }
    return got;
}

char *harness_recv_until_eof(int fd, size_t *ret_size) {
    size_t size = 0, room = 4096;
    char *data = malloc(room);

    for (;;) {
        CHECK(data != NULL);
        size_t got = harness_recv_exact(fd, data + size, room - size - 1);
        size += got;
        if (size < room - 1) {
            break;
        }
        room *= 2;
        data = realloc(data, room);
    }
    data[size] = '\0';
    if (ret_size != NULL) {
        *ret_size = size;
    }
    return data;
}

pthread_t harness_thread(void *(*run)(void *arg), void *arg) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, arg);

    if (error != 0) {
        FAIL("pthread_create: %s", strerror(error));
    }
    return thread;
}

long long harness_now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void harness_sleep_ms(int ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

bool harness_is_slow(void) {
    /* test/run says so: valgrind can't be seen from inside without its headers. */
    return HARNESS_ASAN || HARNESS_TSAN || getenv("RONDO_TEST_SLOW") != NULL;
}

bool harness_is_valgrind(void) {
    const char *variant = getenv("RONDO_TEST_SLOW");
    return variant && strcmp(variant, "valgrind") == 0;
}
