/* SPDX-License-Identifier: MIT
 *
 * The smallest HTTP server: hello_http [PORT]. Keep-alive, pipelining, limits and timeouts are on.
 *
 * args: 8080
 * run: curl -s http://127.0.0.1:8080/ => Hello, world!
 */
#include <rondo.h>

#include <stdio.h>
#include <stdlib.h>

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("Hello, world!\n"));
}

int main(int argc, char **argv) {
    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = rondo_http_server_new(loop);
    rondo_http_server_on_request(server, on_request, NULL);
    int error = rondo_http_server_listen(server, "127.0.0.1", argc > 1 ? atoi(argv[1]) : 8080);
    if (error) fprintf(stderr, "hello_http: %s\n", rondo_error_text(error));
    return error ? 1 : rondo_loop_run(loop, RONDO_RUN_ALL);
}
