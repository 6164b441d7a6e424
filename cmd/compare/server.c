/* SPDX-License-Identifier: MIT
 *
 * rondo compare: a server as the runner sees it: started, accepting, still there, ended, and why.
 */
#define _GNU_SOURCE /* pipe2 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A line of the keeper's, not of the server's. */
#define KEEPER_SAYS '\x01'

void server_adopt_orphans(void) { prctl(PR_SET_CHILD_SUBREAPER, 1); }

bool server_begin(server *self, char *const argv[], const core_set *cores) {
    int control[2], errors[2];
    *self = (server){.control = -1, .errors = -1};
    if (pipe2(control, O_CLOEXEC) < 0) return false;
    if (pipe2(errors, O_CLOEXEC) < 0) goto no_errors;
    fflush(NULL); /* what is in a buffer is not to be written twice */
    self->keeper = fork();
    if (self->keeper == 0) {
        close(control[1]);
        close(errors[0]);
        keeper_run(argv, cores, control[0], errors[1]);
    }
    close(control[0]);
    close(errors[1]);
    if (self->keeper > 0) {
        self->control = control[1];
        self->errors = errors[0];
        fcntl(self->errors, F_SETFL, O_NONBLOCK);
        return true;
    }
    self->keeper = 0;
    close(errors[0]);
    close(control[1]);
    return false;
no_errors:
    close(control[0]);
    close(control[1]);
    return false;
}

static void take_line(server *self) {
    self->line[self->line_len] = '\0';
    self->line_len = 0;
    if (self->line[0] == '\0') return;
    if (self->line[0] == KEEPER_SAYS) {
        self->ended = true;
        if (self->last_line[0] == '\0') strcpy(self->last_line, self->line + 1);
        return;
    }
    strcpy(self->last_line, self->line);
}

bool server_look(server *self) {
    char text[4096];
    ssize_t got;
    if (self->keeper == 0) return false;
    while ((got = read(self->errors, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] == '\n')
                take_line(self);
            else if (self->line_len < sizeof self->line - 1)
                self->line[self->line_len++] = text[i];
        }
    }
    if (got == 0) self->ended = true; /* the keeper is gone too */
    return !self->ended;
}

const char *server_reason(const server *self) {
    return self->last_line[0] ? self->last_line : "the server has ended";
}

const char *server_said(const server *self) {
    const char *text = self->last_line;
    if (strncmp(text, "rondo: ", 7) != 0) return text;
    const char *behind = strstr(text + 7, ": ");
    return behind ? behind + 2 : text + 7;
}

static bool accepts(uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool connected = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return connected;
}

bool server_wait(server *self, uint16_t port, int timeout_ms) {
    for (int waited = 0; waited < timeout_ms; waited += 2) {
        if (!server_look(self)) return false;
        if (accepts(port)) {
            /* Another program's server would accept as well: ours must be there still. */
            usleep(2000);
            return server_look(self);
        }
        poll(NULL, 0, 2);
    }
    snprintf(self->last_line, sizeof self->last_line, "it did not accept within %d s",
             timeout_ms / 1000);
    return false;
}

/* What a keeper that was killed has left: it is of the session that the keeper had begun. */
static void clear_session(pid_t keeper) {
    for (bool found = true; found;) {
        pid_t *below;
        size_t count = tree_below(getpid(), &below);
        found = false;
        for (size_t i = 0; i < count; i++) {
            if (getsid(below[i]) != keeper) continue;
            found = true;
            kill(below[i], SIGKILL);
            waitpid(below[i], NULL, 0);
        }
        free(below);
    }
}

void server_end(server *self) {
    int status;
    pid_t ended;
    if (self->keeper == 0) return;
    close(self->control);
    while ((ended = waitpid(self->keeper, &status, 0)) < 0 && errno == EINTR) continue;
    server_look(self);
    close(self->errors);
    if (ended == self->keeper && WIFSIGNALED(status)) clear_session(self->keeper);
    self->keeper = 0;
}

uint16_t server_free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                 getsockname(fd, (struct sockaddr *)&at, &len) == 0;
    if (fd >= 0) close(fd);
    return found ? ntohs(at.sin_port) : 0;
}
