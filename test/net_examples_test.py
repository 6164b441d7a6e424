#!/usr/bin/env python3
"""The examples of the network do what they promise, where a line of output can't show it.

    test/net_examples_test.py [WORD...]    only the tests with a WORD in their name
"""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import BUILD, LIMIT_S, Example, read_to_end, refusing_port, run_tests  # noqa: E402


# --- all that serve ------------------------------------------------------------------------------

def is_printing(process):
    """Whether it sleeps in a system call that has standard output for its first argument."""
    with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
        return file.read().split()[1:2] == ["0x1"]


def test_ctrl_c_is_heard_before_a_server_says_that_it_listens():
    for name, *args in (("chat",), ("echo",), ("http_echo",), ("proxy", "127.0.0.1", "9")):
        # A pipe without room holds up the line for as long as it takes to interrupt whoever writes it.
        reading, writing = os.pipe2(os.O_CLOEXEC)
        with open(reading, "rb") as output:
            room = os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
            with subprocess.Popen([os.path.join(BUILD, "examples", name), "0", *args],
                                  stdin=subprocess.DEVNULL, stdout=writing) as server:
                os.close(writing)
                limit = threading.Timer(LIMIT_S, server.kill)
                limit.start()
                while not is_printing(server):
                    assert server.poll() is None, (name, server.returncode)
                    time.sleep(0.01)
                server.send_signal(signal.SIGINT)
                assert b" listening on " in output.read()[room:], name
                assert server.wait() == 0, (name, server.returncode)
                limit.cancel()


# --- chat ----------------------------------------------------------------------------------------

class Guest:
    def __init__(self, chat, name, receive_buffer=None):
        self.socket = chat.connect(receive_buffer)
        self.file = self.socket.makefile("rw", encoding="utf-8", newline="\n")
        self.hears("* your name?")
        self.says(name)
        self.hears(f"* welcome, {name}")

    def says(self, line):
        self.file.write(line + "\n")
        self.file.flush()

    def line(self):
        return self.file.readline().rstrip("\n")

    def hears(self, line):
        heard = self.line()
        assert heard == line, f"{heard!r} is not {line!r}"

    def leave(self):
        self.file.close()
        self.socket.close()


def test_chat_tells_who_comes_speaks_and_goes():
    with Example("chat") as chat:
        ann = Guest(chat, "ann")
        bob = Guest(chat, "bob")
        ann.hears("* bob has joined")
        bob.says("hello")
        ann.hears("bob: hello")
        ann.says("\x1b[2Jhi\x07, bob\r")
        bob.hears("ann: [2Jhi, bob")
        bob.leave()
        ann.hears("* bob has left")
        ann.leave()


def test_chat_cuts_off_a_line_without_end():
    with Example("chat") as chat:
        ann, eve = Guest(chat, "ann"), Guest(chat, "eve")
        ann.hears("* eve has joined")
        eve.socket.sendall(b"x" * 100000)
        ann.hears("* eve has left")
        ann.leave()


def test_chat_is_not_slowed_down_by_one_who_never_reads():
    with Example("chat") as chat:
        slow = Guest(chat, "slow", receive_buffer=4096)
        ann = Guest(chat, "ann")
        bob = Guest(chat, "bob")
        ann.hears("* bob has joined")
        text, left = "x" * 500, 0
        # Each line that ann says comes to bob before she says more. That would never end if anybody
        # waited for the slow one: the kernel holds a few MiB for it, the server a quarter of one.
        for number in range(64000):
            ann.says(f"{number} {text[len(str(number)) + 1:]}")
            heard = bob.line()
            if heard == "* slow has left":
                left = number
                heard = bob.line()
            assert heard.startswith(f"ann: {number} "), heard
            if left:
                break
        assert left, "the slow one was never cut off"
        ann.hears("* slow has left")
        bob.says("at last")
        ann.hears("bob: at last")
        received = 0
        try:
            while chunk := slow.socket.recv(65536):
                received += len(chunk)
        except ConnectionResetError:
            pass
        assert received < left * 505, (received, left)
        for guest in (ann, bob, slow):
            guest.leave()


# --- proxy ---------------------------------------------------------------------------------------

def pattern(size):
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


class Upstream:
    """A server of one thread that reads to the end and only then answers, with what it read."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[connection], daemon=True).start()

    def answer(self, connection):
        with connection:
            connection.sendall(read_to_end(connection))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.listener.close()


def test_proxy_passes_on_both_directions_and_each_end():
    with Upstream() as upstream, Example("proxy", "127.0.0.1", str(upstream.port)) as proxy:
        for size in (0, 1, 65536, 8 << 20):
            sent = pattern(size)
            with proxy.connect() as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                assert read_to_end(client) == sent, size


def test_proxy_leaves_nothing_open():
    with Upstream() as upstream, Example("proxy", "127.0.0.1", str(upstream.port)) as proxy:
        before = open_files(proxy.process)
        for _ in range(3):
            clients = [proxy.connect() for _ in range(20)]
            for client in clients[::2]:  # half of them reset in the middle of their bytes
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(pattern(100000))
            for client in clients:
                client.close()
        # They are accepted in the order in which they came: whoever is served now came last.
        with proxy.connect() as client:
            client.sendall(b"last")
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(client) == b"last"
        deadline = time.monotonic() + LIMIT_S
        # What the loop itself keeps: 8 kernel pipes for splicing, and the set that hears of resets.
        while open_files(proxy.process) > before + 2 * 8 + 1:
            assert time.monotonic() < deadline, (before, open_files(proxy.process))
            time.sleep(0.01)


def test_proxy_closes_the_client_when_nobody_is_there():
    with refusing_port() as port, Example("proxy", "127.0.0.1", str(port)) as proxy:
        for _ in range(3):
            with proxy.connect() as client:
                try:
                    assert client.recv(1) == b""
                except ConnectionResetError:
                    pass


# --- nc ------------------------------------------------------------------------------------------

def netcat(port, given=b"", **others):
    return subprocess.run([os.path.join(BUILD, "examples/nc"), "127.0.0.1", str(port)], input=given,
                          capture_output=True, timeout=LIMIT_S, **others)


def test_nc_passes_on_the_end_of_its_input_and_prints_the_answer():
    with Upstream() as upstream:
        for size in (0, 5, 4 << 20):
            done = netcat(upstream.port, pattern(size))
            assert (done.returncode, done.stderr) == (0, b""), done.stderr
            assert done.stdout == pattern(size), size


def test_nc_ends_with_the_peer_though_its_input_goes_on():
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(
            [os.path.join(BUILD, "examples/nc"), "127.0.0.1", str(server.getsockname()[1])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as nc:
        connection, _ = server.accept()
        with connection:
            nc.stdin.write(b"anybody there?")
            nc.stdin.flush()
            assert connection.recv(100) == b"anybody there?"
            connection.sendall(b"bye")
        assert nc.wait(LIMIT_S) == 0
        assert (nc.stdout.read(), nc.stderr.read()) == (b"bye", b"")


def test_nc_says_once_what_failed():
    with refusing_port() as port:
        done = netcat(port)
    assert (done.returncode, done.stdout) == (1, b""), done
    assert done.stderr == b"nc: 127.0.0.1: connection refused\n", done.stderr


sys.exit(run_tests(globals()))
