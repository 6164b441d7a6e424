/* SPDX-License-Identifier: MIT
 *
 * libevent's evhttp (where it is installed).
 */
#if defined(__has_include)
#if __has_include(<event2/http.h>)
#define HAVE_EVHTTP 1
#endif
#endif

#ifdef HAVE_EVHTTP
#include "http_answer.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

static void on_request(struct evhttp_request *request, void *arg) {
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, ANSWER_BODY, strlen(ANSWER_BODY));
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

int main(int argc, char **argv) {
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    evhttp_set_gencb(http, on_request, NULL);
    if (evhttp_accept_socket(http, answer_listen(argc > 1 ? (unsigned)atoi(argv[1]) : 8080)) < 0)
        return 1;
    return event_base_dispatch(base);
}

#else
#include <stdio.h>
int main(void) {
    fputs("it was built without libevent\n", stderr);
    return 1;
}
#endif
