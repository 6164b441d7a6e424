/* SPDX-License-Identifier: MIT
 *
 * A fixed number of threads, and a queue with an end. One thread accepts; the others take a connection each and serve it until the
 * client leaves. What does not fit the queue is told so at once: better than to wait for nothing.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 256
#define QUEUE 1024

model_main pool_main;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static int queue[QUEUE];
static unsigned first, queued;
static int directory;

static int take(void) {
    pthread_mutex_lock(&lock);
    while (queued == 0) pthread_cond_wait(&filled, &lock);
    int fd = queue[first];
    first = (first + 1) % QUEUE;
    queued--;
    pthread_mutex_unlock(&lock);
    return fd;
}

static bool put(int fd) {
    pthread_mutex_lock(&lock);
    bool room = queued < QUEUE;
    if (room) queue[(first + queued++) % QUEUE] = fd;
    pthread_mutex_unlock(&lock);
    if (room) pthread_cond_signal(&filled);
    return room;
}

static void *serve_many(void *arg) {
    client_buffers buffers;

    for (;;) client_serve(take(), directory, &buffers);
    return NULL;
}

static void refuse(int fd, unsigned threads) {
    web_request request = {.work = WEB_ERROR, .status = 503};
    char text[WEB_ANSWER_MOST];

    server_say("refuses connections: all %u threads have one, and %d more wait", threads, QUEUE);
    send(fd, text, web_answer(&request, 0, text), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

/* Returns how many there are. */
static unsigned begin_threads(unsigned wanted) {
    pthread_attr_t how;
    pthread_t thread;
    unsigned there = 0;
    int error = 0;

    pthread_attr_init(&how);
    pthread_attr_setstacksize(&how, SERVER_STACK);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    while (there < wanted && (error = pthread_create(&thread, &how, serve_many, NULL)) == 0)
        there++;
    if (error != 0)
        server_say("has only %u of %u threads: pthread_create: %s", there, wanted, strerror(error));
    return there;
}

int pool_main(const model_settings *settings) {
    int listener = server_listen(settings, 0);

    if (listener < 0) return 1;
    directory = settings->directory;
    unsigned threads = begin_threads(settings->workers ? settings->workers : THREADS);
    if (threads == 0) return 1;
    for (;;) {
        int fd = server_accept(listener, 0);
        if (fd >= 0 && !put(fd)) refuse(fd, threads);
    }
}
