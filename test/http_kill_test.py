#!/usr/bin/env python3
"""SIGKILL of either side, at any point, leaks nothing: clients of a server, and the upstreams of a proxy, which is client and
server, are killed in the middle of whatever they do, many times. What survives must have as many descriptors and no more
memory than before, go on serving, and end well (under a sanitizer: without a leak).

    test/http_kill_test.py [WORD...]    only the tests with a WORD in their name
"""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import BUILD, LIMIT_S, Example, free_port, run_tests  # noqa: E402

ROUNDS = 12 if os.environ.get("VARIANT") else 40
GROWTH = 2 << 20  # bytes that the allocator may keep, of ROUNDS * CONNECTIONS connections that were cut off
CONNECTIONS = 24


def descriptors(pid):
    """Those of connections and files; what the loop polls with it makes when it is first needed."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("anon_inode:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def wait_for_descriptors(pid, count):
    end = time.monotonic() + LIMIT_S
    while descriptors(pid) > count:
        assert time.monotonic() < end, f"{descriptors(pid)} descriptors are open, {count} were before"
        time.sleep(0.01)


def make_trouble(port, seed):
    """Keeps connections busy with everything that HTTP/1.1 has, until it is killed."""
    chance = random.Random(seed)
    pieces = [b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" * 5,
              b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50000,
              b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"y" * 1024 + b"\r\n",
              b"400\r\n" + b"z" * 1024 + b"\r\n", b"0\r\n\r\n", b"GET /half HTTP/1.1\r\nHo"]
    conns, said = [], False
    while True:
        if len(conns) < CONNECTIONS:
            conn = socket.create_connection(("127.0.0.1", port))
            conn.setblocking(False)
            conns.append(conn)
            if len(conns) == CONNECTIONS and not said:
                print("busy", flush=True)
                said = True
        conn = chance.choice(conns)
        try:
            if chance.random() < 0.3:
                conn.recv(chance.choice((1, 100, 65536)))
            else:
                piece = chance.choice(pieces)
                conn.send(piece[:chance.randrange(1, len(piece) + 1)])
        except BlockingIOError:
            pass
        except OSError:
            conns.remove(conn)


class Troublemaker:
    """A process of its own that can be killed."""

    def __init__(self, port, seed):
        self.process = subprocess.Popen([sys.executable, __file__, "--trouble", str(port), str(seed)],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"busy\n"
        self.process.stdout.close()

    def kill(self):
        assert self.process.poll() is None, "it has ended by itself"
        self.process.kill()
        self.process.wait()


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request("POST", "/", b"still here")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def kill_clients_of(port, pid, rounds, chance):
    """Twice so many rounds: what memory grows in the second half is not the allocator's warming up."""
    assert answers(port)[0] == 200
    wait_for_descriptors(pid, before := descriptors(pid))
    sizes = []
    for _ in range(2):
        for _ in range(rounds):
            maker = Troublemaker(port, chance.random())
            time.sleep(chance.random() * 0.2)
            maker.kill()
        wait_for_descriptors(pid, before)
        assert answers(port) == (200, b"still here")
        sizes.append(resident(pid))
    if not os.environ.get("VARIANT"):  # a sanitizer keeps what was freed
        assert sizes[1] - sizes[0] < GROWTH, sizes


def test_clients_of_a_server_are_killed():
    with Example("http_echo") as server:
        kill_clients_of(server.port, server.process.pid, ROUNDS // 4, random.Random(1))


def start_upstream(port):
    process = subprocess.Popen([os.path.join(BUILD, "examples/http_echo"), str(port)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    process.stdout.close()
    assert " listening on " in line, line
    return process


def wait_for_answer(port):
    end = time.monotonic() + LIMIT_S
    while answers(port) != (200, b"still here"):  # a proxy leaves the dead alone for a while
        assert time.monotonic() < end, "the proxy does not come back to an upstream that has"
        time.sleep(0.05)


def test_servers_of_a_client_are_killed():
    chance, port = random.Random(2), free_port()
    upstream = start_upstream(port)
    try:
        with Example("http_proxy", str(port)) as proxy:
            pid = proxy.process.pid
            idle = descriptors(pid)
            for i in range(max(3, ROUNDS // 8)):
                maker = Troublemaker(proxy.port, chance.random())
                time.sleep(chance.random() * 0.2)
                upstream.kill()  # while the proxy is in the middle of it
                upstream.wait()
                time.sleep(0.02)
                maker.kill()
                wait_for_descriptors(pid, idle)
                upstream = start_upstream(port)
                wait_for_answer(proxy.port)
            upstream.kill()
            upstream.wait()
            wait_for_descriptors(pid, idle)
    finally:
        upstream.kill()
        upstream.wait()


def test_a_get_outlives_its_server():
    """A command that is told what happened, and leaves no process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(LIMIT_S)
        get = subprocess.Popen([os.path.join(BUILD, "rondo"), "get", f"http://127.0.0.1:{port}/"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        conn, _ = listener.accept()
        conn.recv(1000)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        # What the kernel does for a process that is killed with octets unread.
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        conn.close()
        _, err = get.communicate(timeout=LIMIT_S)
        assert get.returncode == 1 and "rondo: " in err, (get.returncode, err)


if len(sys.argv) == 4 and sys.argv[1] == "--trouble":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    make_trouble(int(sys.argv[2]), sys.argv[3])
sys.exit(run_tests(dict(globals())))
