#!/usr/bin/env python3
"""The reverse proxy shares its requests out, passes bodies on as they come, and outlives its upstreams.

    test/http_proxy_test.py [WORD...]    only the tests with a WORD in their name
"""

import http.client
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import LIMIT_S, Example, refusing_port, run_tests  # noqa: E402


def ask(port, method="GET", path="/", body=None, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def test_bodies_and_fields_pass_both_ways():
    with Example("http_echo") as one, Example("http_proxy", str(one.port)) as proxy:
        status, body, fields = ask(proxy.port, "POST", "/a?b", b"x" * 300000)
        assert (status, body, fields["X-Url"]) == (200, b"x" * 300000, "/a?b"), (status, fields)
        status, body, fields = ask(proxy.port, "PUT", "/c", (b"chunk" for _ in range(1000)))
        assert (status, body) == (200, b"chunk" * 1000), status
        status, body, fields = ask(proxy.port, "HEAD", "/d")
        assert (status, body, fields["X-Url"]) == (200, b"", "/d")


def test_the_death_of_an_upstream_is_survived():
    with Example("http_echo") as one, Example("http_echo") as two, \
            Example("http_proxy", str(one.port), str(two.port)) as proxy:
        for _ in range(10):
            assert ask(proxy.port)[0] == 200
        two.process.kill()
        two.process.wait()
        for i in range(50):
            assert ask(proxy.port, path=f"/{i}")[0] == 200, i
        two.process.returncode = 0  # killed by us, and that is well


def test_no_upstream_at_all():
    with refusing_port() as one, refusing_port() as two, Example("http_proxy", str(one), str(two)) as proxy:
        for _ in range(3):
            assert ask(proxy.port)[0] == 502
            assert ask(proxy.port, "POST", "/", b"body")[0] == 502


def test_clients_and_upstreams_that_vanish():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_S)
        with Example("http_proxy", str(listener.getsockname()[1])) as proxy:
            client = proxy.connect()
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream, _ = listener.accept()
            upstream.recv(1000)
            upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            got = b""
            while not got.endswith(b"abc"):
                got += client.recv(1000)
            upstream.close()  # in the middle: the client must see that
            assert client.recv(1000) == b""
            client.close()
            client = proxy.connect()
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream, _ = listener.accept()
            upstream.recv(1000)
            upstream.sendall(b"HTTP/1.1 200 OK\r\n\r\nabc")
            got = b""
            while b"abc" not in got:
                got += client.recv(1000)
            client.close()
            upstream.settimeout(LIMIT_S)
            try:
                while True:  # the proxy closes it once it writes to who has gone
                    upstream.sendall(b"x" * 65536)
            except OSError:
                pass
            upstream.close()


def test_answers_that_can_not_be_passed_on_as_they_are():
    """A 304 may say how long the content is that it does not have; 700 is no status."""
    for line, status in ((b"304 N", 304), (b"204 N", 204), (b"700 N", 502)):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(LIMIT_S)
            with Example("http_proxy", str(listener.getsockname()[1])) as proxy:
                client = proxy.connect()
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                upstream, _ = listener.accept()
                upstream.recv(1000)
                upstream.sendall(b"HTTP/1.1 " + line + b"\r\nContent-Length: 3\r\n\r\n")
                got = client.makefile("rb").read()
                assert got.startswith(b"HTTP/1.1 %d " % status), (line, got)
                client.close()
                upstream.close()


sys.exit(run_tests(globals()))
