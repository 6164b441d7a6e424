/* SPDX-License-Identifier: MIT
 *
 * The servers of the network benchmarks on Rondo; see net.h.
 */
#include "net.h"

#include <rondo.h>

static uint16_t upstream;

static void check(int status, const char *what) {
    if (status >= 0) return;
    fprintf(stderr, "%s: %s\n", what, rondo_error_text(status));
    exit(1);
}

/* ---- echo ---- */

static void on_echo_data(rondo_stream *client, rondo_slice chunk, void *arg) {
    if (!rondo_write(client, chunk)) rondo_pause(client);
}

static void on_echo_drain(rondo_stream *client, void *arg) { rondo_resume(client); }

static void on_echo(rondo_server *server, rondo_stream *client, void *arg) {
    rondo_stream_on_data(client, on_echo_data, NULL);
    rondo_stream_on_drain(client, on_echo_drain, NULL);
}

/* ---- sink ---- */

static void on_sink_data(rondo_stream *client, rondo_slice chunk, void *arg) {}

static void on_sink_end(rondo_stream *client, void *arg) {
    rondo_stream_figures figures;
    rondo_stream_get_figures(client, &figures);
    rondo_write(client, rondo_slice_of(&figures.bytes_in, sizeof figures.bytes_in));
}

static void on_sink(rondo_server *server, rondo_stream *client, void *arg) {
    rondo_stream_on_data(client, on_sink_data, NULL);
    rondo_stream_on_end(client, on_sink_end, NULL);
}

/* ---- proxy ---- */

static void on_upstream_error(rondo_stream *to, int error, void *arg) { check(error, "upstream"); }

static void on_proxy(rondo_server *server, rondo_stream *client, void *arg) {
    rondo_stream *to = rondo_connect(rondo_handle_loop(server), "127.0.0.1", upstream);
    rondo_stream_on_error(to, on_upstream_error, NULL);
    rondo_pipe(client, to);
    rondo_pipe(to, client);
}

/* ---- accept ---- */

static void on_accept(rondo_server *server, rondo_stream *client, void *arg) {
    rondo_close(client);
}

/* ---- datagrams ---- */

static void on_datagram(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    rondo_udp_send(udp, message->from, message->data);
}

static void serve_datagrams(rondo_loop *loop) {
    rondo_address address;
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_udp_on_message(udp, on_datagram, NULL);
    check(rondo_udp_bind(udp, "127.0.0.1", 0), "bind");
    check(rondo_udp_local(udp, &address), "getsockname");
    net_print_port(rondo_address_port(&address));
}

static void serve_streams(rondo_loop *loop, rondo_server_connection_cb take) {
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, take, NULL);
    check(rondo_server_listen(server, "127.0.0.1", 0), "listen");
    net_print_port(rondo_server_port(server));
}

int main(int argc, char **argv) {
    enum net_mode mode = net_mode_of(argc, argv, &upstream);
    static const rondo_server_connection_cb takes[] = {[NET_ECHO] = on_echo,
                                                       [NET_SINK] = on_sink,
                                                       [NET_PROXY] = on_proxy,
                                                       [NET_ACCEPT] = on_accept};
    rondo_loop *loop = rondo_loop_new();
    if (mode == NET_UDP)
        serve_datagrams(loop);
    else
        serve_streams(loop, takes[mode]);
    return rondo_loop_run(loop, RONDO_RUN_ALL);
}
