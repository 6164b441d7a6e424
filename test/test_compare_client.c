/* SPDX-License-Identifier: MIT
 *
 * The connection that the models of `rondo compare` share: what one step does, and what it says it would have to wait for. The
 * sockets are Unix ones that keep messages apart, so that each write is seen as one.
 */
#include "harness.h"

#include "compare/client.h"
#include "compare/visitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO "GET /hello HTTP/1.1\r\n\r\n"
#define CLOSING "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"
#define WAIT "GET /wait?ms=5 HTTP/1.1\r\n\r\n"

static client_buffers buffers;

/* Of the two ends the second is the test's. kind: SOCK_SEQPACKET, SOCK_STREAM. */
static int begin(web_client *client, int kind) {
    int ends[2];

    CHECK_INT(socketpair(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client_begin(client, ends[0]);
    return ends[1];
}

static void say(int fd, const char *text) {
    CHECK_INT(send(fd, text, strlen(text), 0), strlen(text));
}

static client_next step(web_client *client) { return client_step(client, -1, &buffers); }

/* What one write of the server was; "" when there is none. */
static const char *heard(int fd) {
    static char text[65536];
    ssize_t len = recv(fd, text, sizeof text - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    return text;
}

static int count(const char *text, const char *part) {
    int found = 0;

    for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part)) found++;
    return found;
}

/* Whether the server has closed: the end, not just silence. */
static bool ended(int fd) {
    char octet;

    return recv(fd, &octet, 1, 0) == 0;
}

TEST(an_answer) {
    web_client client;
    int fd = begin(&client, SOCK_SEQPACKET);

    CHECK_INT(step(&client), CLIENT_READ); /* nothing there yet */
    say(fd, HELLO);
    CHECK_INT(step(&client), CLIENT_READ);
    CHECK_INT(count(heard(fd), "\r\n\r\nHello, world!\n"), 1);
    CHECK_STR(heard(fd), "");
    CHECK(client.in == NULL && client.out == NULL); /* an idle client has nothing */
    close(fd);
    CHECK_INT(step(&client), CLIENT_GONE);
    client_end(&client);
}

TEST(pipelined_answers_are_one_write) {
    web_client client;
    int fd = begin(&client, SOCK_SEQPACKET);
    char text[4096] = "";

    for (int i = 0; i < 20; i++) strcat(text, HELLO);
    say(fd, text);
    CHECK_INT(step(&client), CLIENT_READ);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 20);
    CHECK_STR(heard(fd), "");
    client_end(&client);
    close(fd);
}

TEST(a_request_in_pieces) {
    web_client client;
    int fd = begin(&client, SOCK_SEQPACKET);
    char octet[2] = "";

    for (const char *at = HELLO HELLO; *at != '\0'; at++) {
        octet[0] = *at;
        say(fd, octet);
        CHECK_INT(step(&client), CLIENT_READ);
    }
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 1);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 1);
    client_end(&client);
    close(fd);
}

/* What is before it goes out first, what is behind it waits, and is not read from the socket again. */
TEST(waiting) {
    web_client client;
    int fd = begin(&client, SOCK_SEQPACKET);

    say(fd, HELLO WAIT HELLO WAIT HELLO);
    CHECK_INT(step(&client), CLIENT_WAIT);
    CHECK_INT(client.request.amount, 5);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 1);
    CHECK_STR(heard(fd), "");
    client.waited = true;
    CHECK_INT(step(&client), CLIENT_WAIT);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"),
              1); /* at once, not together with what is behind it */
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 1);
    client.waited = true;
    CHECK_INT(step(&client), CLIENT_READ);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 1);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 1);
    CHECK_STR(heard(fd), "");
    client_end(&client);
    close(fd);
}

/* One that says it is the last request is; what comes behind it is neither answered nor a reason for a reset. */
TEST(closing) {
    web_client client;
    int fd = begin(&client, SOCK_STREAM);

    say(fd, HELLO CLOSING HELLO);
    CHECK_INT(step(&client), CLIENT_GONE);
    say(fd, HELLO);
    client_end(&client);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 2);
    CHECK(ended(fd));
    close(fd);
}

TEST(nonsense_is_answered_and_closed) {
    web_client client;
    int fd = begin(&client, SOCK_STREAM);

    say(fd, HELLO "nonsense\r\n\r\n" HELLO);
    CHECK_INT(step(&client), CLIENT_GONE);
    client_end(&client);
    const char *text = heard(fd);
    CHECK_INT(count(text, "HTTP/1.1 200"), 1);
    CHECK_INT(count(text, "HTTP/1.1 501"), 1);
    CHECK_INT(count(text, "HTTP/1.1 "), 2);
    CHECK(ended(fd));
    close(fd);
}

/* Whether what was heard goes on as answers to HELLO do, octet for octet. */
static size_t check_hellos(const char *text, size_t at) {
    static char answer[WEB_ANSWER_MOST];
    size_t len = web_answer(&(web_request){.work = WEB_HELLO, .keep_alive = true}, 0, answer);

    for (; *text != '\0'; text++, at++)
        if (*text != answer[at % len]) FAIL("octet %zu", at);
    return at / len * len == at ? at / len : 0;
}

/* A client that reads nothing is read nothing from, after what a buffer held; and when it reads, it gets all, in order. */
TEST(a_client_that_does_not_read) {
    web_client client;
    int fd = begin(&client, SOCK_STREAM);
    size_t octets = 0, got = 0, want = 0;
    char text[8192] = "";
    client_next next = CLIENT_READ;
    int little = 4096; /* so that a write is taken in part */

    CHECK_INT(setsockopt(client.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    for (int i = 0; i < 300; i++) strcat(text, HELLO);
    while (next != CLIENT_WRITE) {
        if (send(fd, text, strlen(text), 0) != (ssize_t)strlen(text)) break;
        want += 300;
        next = step(&client);
        CHECK(next == CLIENT_READ || next == CLIENT_MORE || next == CLIENT_WRITE);
        CHECK(client.in_len <= CLIENT_BUFFER && client.out_len <= sizeof buffers.out);
    }
    CHECK_INT(next, CLIENT_WRITE);
    CHECK_INT(step(&client), CLIENT_WRITE); /* still */
    for (int i = 0; i < 100000 && got != want; i++) {
        const char *some = heard(fd);
        got = check_hellos(some, octets);
        octets += strlen(some);
        next = step(&client);
        CHECK(next != CLIENT_GONE && next != CLIENT_WAIT);
    }
    CHECK_INT(got, want);
    client_end(&client);
    close(fd);
}

/* All that was read was used up, and the buffer was full: there may be more. */
TEST(a_full_buffer) {
    static char text[2 * CLIENT_BUFFER + 1];
    web_client client;
    int fd = begin(&client, SOCK_STREAM);

    memset(text, 'x', sizeof text - 1);
    memcpy(text, "GET /hello HTTP/1.1\r\nX: ", 24);
    for (size_t at = 4096; at < sizeof text - 1; at += 4096)
        memcpy(text + at - 4, "\r\n\r\nGET /hello HTTP/1.1\r\nX: ", 28);
    say(fd, text);
    CHECK_INT(step(&client), CLIENT_MORE);
    CHECK_INT(count(heard(fd), "Hello"), 4);
    CHECK_INT(step(&client), CLIENT_MORE);
    CHECK_INT(step(&client), CLIENT_READ);
    CHECK_INT(count(heard(fd), "Hello"), 3);
    client_end(&client);
    close(fd);
}

static int make_file(const char *directory, const char *name, size_t size) {
    char path[64];
    int fd;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (size_t at = 0; at < size; at++) {
        char octet = (char)('a' + at % 23);
        if (write(fd, &octet, 1) != 1) FAIL("write");
    }
    return close(fd);
}

/* Small files leave with their heads; a large one is sent as the client takes it, and what is behind it waits. */
TEST(files) {
    char directory[] = "/tmp/rondo-compare-XXXXXX";
    static char body[400000];
    web_client client;
    size_t got = 0;

    CHECK(mkdtemp(directory) != NULL);
    make_file(directory, "small", 100);
    make_file(directory, "large", 300000);
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = begin(&client, SOCK_SEQPACKET);
    say(fd, "GET /file?name=small HTTP/1.1\r\n\r\n" HELLO "GET /file?name=small HTTP/1.1\r\n\r\n");
    CHECK_INT(client_step(&client, dir, &buffers), CLIENT_READ);
    CHECK_INT(count(heard(fd), "HTTP/1.1 200"), 3);
    CHECK_STR(heard(fd), "");
    client_end(&client);
    close(fd);

    fd = begin(&client, SOCK_STREAM);
    int little = 4096;
    setsockopt(client.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
    say(fd, "GET /file?name=large HTTP/1.1\r\n\r\n" HELLO CLOSING);
    CHECK_INT(client_step(&client, dir, &buffers), CLIENT_WRITE);
    for (int i = 0; i < 100000; i++) {
        ssize_t len = recv(fd, body + got, sizeof body - got, 0);
        if (len > 0) got += (size_t)len;
        client_next next = client_step(&client, dir, &buffers);
        CHECK(next == CLIENT_WRITE || next == CLIENT_GONE);
        if (next == CLIENT_GONE) break;
    }
    client_end(&client);
    for (ssize_t len; (len = recv(fd, body + got, sizeof body - got, 0)) > 0;) got += (size_t)len;
    const char *file = strstr(body, "\r\n\r\n") + 4;
    for (size_t at = 0; at < 300000; at++)
        if (file[at] != (char)('a' + at % 23)) FAIL("octet %zu", at);
    CHECK_INT(count(file + 300000, "HTTP/1.1 200"), 2);
    CHECK_INT(count(file + 300000, "Connection: close"), 1);
    close(fd);

    char path[64];
    snprintf(path, sizeof path, "%s/small", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/large", directory);
    unlink(path);
    rmdir(directory);
    close(dir);
}

/* ---- the list ---- */

TEST(waits_are_in_order) {
    static const unsigned due[] = {30, 10, 20, 10, 0, 40};
    static const unsigned order[] = {4, 1, 3, 2, 0, 5}; /* equal ones as they came */
    client_waits waits = {NULL, NULL};
    web_client clients[6];

    memset(clients, 0, sizeof clients);
    CHECK_INT(client_waits_ms(&waits), -1);
    CHECK(client_waits_take(&waits) == NULL && client_waits_due(&waits) == NULL);
    for (int i = 0; i < 6; i++) client_waits_add(&waits, &clients[i], due[i]);
    for (int i = 0; i < 6; i++) CHECK(client_waits_take(&waits) == &clients[order[i]]);
    CHECK(client_waits_take(&waits) == NULL);
    for (int i = 0; i < 6; i++) client_waits_add(&waits, &clients[i], due[i]);
    client_waits_remove(&waits, &clients[4]); /* the first, one within, the last; and once more */
    client_waits_remove(&waits, &clients[2]);
    client_waits_remove(&waits, &clients[5]);
    client_waits_remove(&waits, &clients[5]);
    CHECK(client_waits_take(&waits) == &clients[1]);
    CHECK(client_waits_take(&waits) == &clients[3]);
    CHECK(client_waits_take(&waits) == &clients[0]);
    CHECK(waits.first == NULL && waits.last == NULL);
}

TEST(waits_are_never_too_short) {
    client_waits waits = {NULL, NULL};
    web_client client = {.request = {.amount = 30}};
    long long begin_ms = harness_now_ms();
    uint64_t now = client_now_ns();
    uint64_t due = client_due_ns(&client);

    CHECK(due >= now + 30000000 && due <= client_now_ns() + 30000000);
    client_waits_add(&waits, &client, due);
    CHECK(client_waits_ms(&waits) <= 30);
    while (client_waits_due(&waits) == NULL) harness_sleep_ms(client_waits_ms(&waits));
    CHECK(client.waited && !client.waits);
    CHECK(harness_now_ms() - begin_ms >= 30);
}

/* What was begun for a client that has left meanwhile: nobody is answered, and nothing of it stays (ASan sees what is not freed). */
TEST(a_file_that_opens_after_its_client_has_gone) {
    web_visitor *visitor = calloc(1, sizeof *visitor);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(visitor != NULL && fd >= 0);
    visitor->gone = visitor->busy = true;
    visitor->kept = malloc(10);
    visitor_answer_file(visitor, fd, 0);
    CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
}

/* A new model is compared with its like by what its line says. */
TEST(five_models_block) {
    size_t blocking = 0;

    for (const model *each = models; each->name != NULL; each++) blocking += each->blocks;
    CHECK_INT(blocking, 5);
    CHECK(model_find("pool")->blocks && !model_find("select")->blocks);
}
