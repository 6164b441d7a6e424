/* SPDX-License-Identifier: MIT
 *
 * GNU libmicrohttpd (where it is installed): one thread of its own with epoll, as its manual has it.
 */
#if defined(__has_include)
#if __has_include(<microhttpd.h>)
#define HAVE_MHD 1
#endif
#endif

#ifdef HAVE_MHD
#include "http_answer.h"

#include <microhttpd.h>
#include <sys/socket.h>

static struct MHD_Response *response;

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    static int seen;
    if (!*state) { /* the head is there, the body is not */
        *state = &seen;
        return MHD_YES;
    }
    *size = 0;
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int argc, char **argv) {
    response = MHD_create_response_from_buffer(strlen(ANSWER_BODY), (void *)(size_t)ANSWER_BODY,
                                               MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "text/plain");
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, on_request, NULL,
        MHD_OPTION_LISTEN_SOCKET, answer_listen(argc > 1 ? (unsigned)atoi(argv[1]) : 8080),
        MHD_OPTION_CONNECTION_LIMIT, 20000u, MHD_OPTION_END);
    if (!daemon) return 1;
    pause();
    MHD_stop_daemon(daemon);
    return 0;
}

#else
#include <stdio.h>
int main(void) {
    fputs("it was built without libmicrohttpd\n", stderr);
    return 1;
}
#endif
