/* SPDX-License-Identifier: MIT
 *
 * What bench/count has counted besides examples/hello_http, whose answer is the shortest there is:
 *
 *   http_rondo PORT [CERTIFICATE.pem KEY.pem]
 *
 *   GET /         fourteen octets, as hello_http
 *   POST /        the same, when the body has been read
 *   GET /chunked  four pieces of 64 octets in chunks
 */
#include <rondo.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char piece[] = "0123456789012345678901234567890123456789012345678901234567890123";

static bool is(rondo_slice slice, const char *text) {
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

static void reply(rondo_http_response *response) {
    rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("Hello, world!\n"));
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    *(size_t *)arg += chunk.len;
}

static void on_end(rondo_http_request *request, void *arg) { reply(arg); }

static void on_request(rondo_http_request *request, rondo_http_response *response, void *total) {
    if (is(rondo_http_request_method(request), "POST")) {
        rondo_http_request_on_data(request, on_data, total);
        rondo_http_request_on_end(request, on_end, response);
    } else if (is(rondo_http_request_target(request), "/chunked")) {
        rondo_http_response_begin(response, 200, -1);
        for (int i = 0; i < 4; i++)
            rondo_http_response_write(response, rondo_slice_of(piece, sizeof piece - 1));
        rondo_http_response_end(response);
    } else {
        reply(response);
    }
}

int main(int argc, char **argv) {
    static size_t total;
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: http_rondo PORT [CERTIFICATE KEY]\n");
        return 2;
    }
    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = rondo_http_server_new(loop);
    rondo_http_server_on_request(server, on_request, &total);
    rondo_tls_context *tls = NULL;
    int error = 0;
    if (argc == 4) error = rondo_tls_context_new(RONDO_TLS_SERVER, &tls);
    if (tls) error = rondo_tls_add_certificate_file(tls, argv[2], argv[3]);
    if (tls && !error) error = rondo_server_set_tls(rondo_http_server_listener(server), tls);
    if (!error) error = rondo_http_server_listen(server, "127.0.0.1", (uint16_t)atoi(argv[1]));
    rondo_tls_context_free(tls);
    if (error < 0) {
        fprintf(stderr, "http_rondo: %s\n", rondo_error_text(error));
        return 1;
    }
    return rondo_loop_run(loop, RONDO_RUN_ALL);
}
