/* SPDX-License-Identifier: MIT
 *
 * The servers of the network benchmarks on libuv (where it is installed); see net.h. Written for
 * speed within its API: one read buffer for all, uv_try_write() first, and only what that doesn't
 * take is copied and queued, while reading stops.
 */
#if defined(__has_include)
#if __has_include(<uv.h>)
#define HAVE_UV 1
#endif
#endif

#ifdef HAVE_UV
#include "net.h"

#include <uv.h>

#define DATAGRAMS 20 /* the most that libuv 1.44 receives at once; 64 KiB for each */

typedef struct side {
    uv_tcp_t tcp; /* first */
    struct side *peer;
    uv_write_t write;
    union {
        uv_connect_t connect;
        uv_shutdown_t shutdown;
    } request;
    char *kept; /* being written */
    uint64_t received;
    int shut;
} side;

static enum net_mode mode;
static uint16_t upstream;
static char buffer[NET_READ_BYTES];

static void check(int status, const char *what) {
    if (status >= 0) return;
    fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void on_closed(uv_handle_t *handle) {
    free(((side *)handle)->kept);
    free(handle);
}

static void close_both(side *s) {
    if (!uv_is_closing((uv_handle_t *)s->peer)) uv_close((uv_handle_t *)s->peer, on_closed);
    if (!uv_is_closing((uv_handle_t *)s)) uv_close((uv_handle_t *)s, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

static void on_written(uv_write_t *request, int status) {
    side *s = (side *)request->handle;
    free(s->kept);
    s->kept = NULL;
    if (status == UV_ECANCELED) return; /* it is being closed */
    if (status < 0)
        close_both(s);
    else
        uv_read_start((uv_stream_t *)s->peer, on_alloc, on_read);
}

static void put(side *s, char *data, size_t len) {
    uv_buf_t buf = uv_buf_init(data, (unsigned)len);
    int sent = uv_try_write((uv_stream_t *)s, &buf, 1);
    if (sent == UV_EAGAIN) sent = 0;
    if (sent < 0) {
        close_both(s);
        return;
    }
    if ((size_t)sent == len) return;
    s->kept = malloc(len - (size_t)sent);
    if (!s->kept) net_die("malloc");
    memcpy(s->kept, data + sent, len - (size_t)sent);
    buf = uv_buf_init(s->kept, (unsigned)(len - (size_t)sent));
    uv_read_stop((uv_stream_t *)s->peer);
    if (uv_write(&s->write, (uv_stream_t *)s, &buf, 1, on_written) < 0) close_both(s);
}

static void on_shutdown(uv_shutdown_t *request, int status) {
    side *s = (side *)request->handle;
    if (status == UV_ECANCELED) return; /* both are being closed */
    s->shut = 1;
    if (status < 0 || s->peer->shut) close_both(s);
}

static void at_end(side *s) {
    if (mode == NET_SINK) put(s, (char *)&s->received, sizeof s->received);
    if (s->peer == s)
        close_both(s);
    else
        uv_shutdown(&s->peer->request.shutdown, (uv_stream_t *)s->peer, on_shutdown);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    side *s = (side *)stream;
    if (count == UV_EOF) {
        at_end(s);
    } else if (count < 0) {
        close_both(s);
    } else {
        s->received += (uint64_t)count;
        if (mode != NET_SINK) put(s->peer, buf->base, (size_t)count);
    }
}

static side *new_side(uv_loop_t *loop, side *peer) {
    side *s = calloc(1, sizeof *s);
    if (!s) net_die("calloc");
    uv_tcp_init(loop, &s->tcp);
    s->peer = peer ? peer : s;
    return s;
}

static void on_upstream(uv_connect_t *request, int status) {
    side *to = (side *)request->handle;
    check(status, "connect");
    uv_read_start((uv_stream_t *)to, on_alloc, on_read);
    uv_read_start((uv_stream_t *)to->peer, on_alloc, on_read);
}

static void on_connection(uv_stream_t *server, int status) {
    check(status, "connection");
    side *client = new_side(server->loop, NULL);
    if (uv_accept(server, (uv_stream_t *)client) < 0 || mode == NET_ACCEPT) {
        close_both(client);
        return;
    }
    uv_tcp_nodelay(&client->tcp, 1);
    if (mode != NET_PROXY) {
        uv_read_start((uv_stream_t *)client, on_alloc, on_read);
        return;
    }
    struct sockaddr_in address = net_loopback(upstream);
    side *to = client->peer = new_side(server->loop, client);
    check(uv_tcp_connect(&to->request.connect, &to->tcp, (struct sockaddr *)&address, on_upstream),
          "connect");
    uv_tcp_nodelay(&to->tcp, 1);
}

/* ---- datagrams ---- */

static void on_datagram_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    static char datagrams[DATAGRAMS][65536];
    *buf = uv_buf_init((char *)datagrams, sizeof datagrams);
}

static void on_datagram(uv_udp_t *udp, ssize_t count, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags) {
    if (count < 0) check((int)count, "datagram");
    if (!from) return; /* the end of a batch */
    uv_buf_t answer = uv_buf_init(buf->base, (unsigned)count);
    uv_udp_try_send(udp, &answer, 1, from); /* what the kernel doesn't take is lost */
}

static unsigned port_of(int status, const struct sockaddr_in *address) {
    check(status, "getsockname");
    return ntohs(address->sin_port);
}

static void serve_datagrams(uv_loop_t *loop, struct sockaddr_in *address) {
    static uv_udp_t udp;
    int len = sizeof *address;
    check(uv_udp_init_ex(loop, &udp, AF_INET | UV_UDP_RECVMMSG), "udp");
    check(uv_udp_bind(&udp, (struct sockaddr *)address, 0), "bind");
    check(uv_udp_recv_start(&udp, on_datagram_alloc, on_datagram), "receive");
    net_print_port(port_of(uv_udp_getsockname(&udp, (struct sockaddr *)address, &len), address));
}

static void serve_streams(uv_loop_t *loop, struct sockaddr_in *address) {
    static uv_tcp_t server;
    int len = sizeof *address;
    uv_tcp_init(loop, &server);
    check(uv_tcp_bind(&server, (struct sockaddr *)address, 0), "bind");
    check(uv_listen((uv_stream_t *)&server, NET_BACKLOG, on_connection), "listen");
    net_print_port(port_of(uv_tcp_getsockname(&server, (struct sockaddr *)address, &len), address));
}

int main(int argc, char **argv) {
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in address = net_loopback(0);
    mode = net_mode_of(argc, argv, &upstream);
    if (mode == NET_UDP)
        serve_datagrams(loop, &address);
    else
        serve_streams(loop, &address);
    return uv_run(loop, UV_RUN_DEFAULT);
}

#else
#include <stdio.h>

int main(void) {
    fputs("net_uv: built without libuv\n", stderr);
    return 77;
}
#endif
