"""Clients of the benchmarks that count: connections that go in step, one batch after another."""

import fcntl
import re
import socket
import ssl

from report import Failure

HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def http(method="GET", path="/", body=b""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n".encode() + body


def read_exactly(conn, size):
    while size > 0:
        got = len(conn.recv(min(size, 1 << 16)))
        if got == 0:
            raise Failure("the server closed a connection")
        size -= got


def read_answer(conn):
    """The length of the first answer; ends with its body, by its length or in chunks."""
    have = b""
    while True:
        got = conn.recv(1 << 16)
        if not got:
            raise Failure("the server closed a connection")
        have += got
        head, _, body = have.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.I)
        if length and len(body) >= int(length[1]) or not length and body.endswith(b"0\r\n\r\n"):
            if not have.startswith(b"HTTP/1.1 200"):
                raise Failure(f"an answer that is not 200: {have[:60]!r}")
            return len(have)


class Echo:
    """So many connections, each with `depth` times the request on its way at a time; what comes back has a known size."""

    def __init__(self, request, connections=64, depth=1, tls=False):
        self.request, self.connections, self.depth, self.tls = request, connections, depth, tls
        self.size = len(request)

    def dial(self, port):
        conn = socket.create_connection(("127.0.0.1", port), 120)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            conn = context.wrap_socket(conn)
        return conn

    def greet(self, conn):
        """The first exchange, on each connection alone."""
        conn.sendall(self.request)
        read_exactly(conn, self.size)

    def meet(self, port, connections=None):
        self.conns = []
        for _ in range(connections or self.connections):
            self.conns.append(self.dial(port))
            self.greet(self.conns[-1])

    def run(self, count, gate):
        """With the gate (a file, see count_step.c) locked, all send; then all read."""
        batch = self.request * self.depth
        for _ in range(count // self.unit()):
            fcntl.flock(gate, fcntl.LOCK_EX)
            for conn in self.conns:
                conn.sendall(batch)
            fcntl.flock(gate, fcntl.LOCK_UN)
            for conn in self.conns:
                read_exactly(conn, self.size * self.depth)

    def leave(self):
        for conn in self.conns:
            conn.close()

    def unit(self):
        return self.connections * self.depth


class Http(Echo):
    """Keep-alive requests."""

    def greet(self, conn):
        conn.sendall(self.request)
        self.size = read_answer(conn)


class WebSocket(Echo):
    """Text messages of 125 octets, echoed."""

    def __init__(self, connections=64):
        super().__init__(b"\x81\xfd" + bytes(4) + b"x" * 125, connections)
        self.size = 2 + 125

    def greet(self, conn):
        conn.sendall(HANDSHAKE)
        if b" 101 " not in conn.recv(4096):
            raise Failure("no WebSocket there")
        super().greet(conn)
