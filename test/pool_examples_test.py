#!/usr/bin/env python3
"""The examples of the pool do what they promise, where a line of output can't show it.

    test/pool_examples_test.py [WORD...]    only the tests with a WORD in their name
"""

import hashlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import BUILD, LIMIT_S, Example, read_to_end, run_tests  # noqa: E402


# --- checksum ------------------------------------------------------------------------------------

def checksum(*paths):
    return subprocess.run([os.path.join(BUILD, "examples/checksum"), *paths], capture_output=True,
                          timeout=LIMIT_S)


def make_tree(root, sizes):
    """Files of these sizes, some in directories below; returns {path: contents}."""
    files = {}
    for number, size in enumerate(sizes):
        directory = os.path.join(root, *(["a", "b"][:number % 3]))
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, f"file {number}")
        files[path] = os.urandom(size)
        with open(path, "wb") as file:
            file.write(files[path])
    return files


def test_checksum_prints_what_sha256sum_does():
    with tempfile.TemporaryDirectory() as root:
        # Around a block and around a piece; and more files than may be under way.
        files = make_tree(root, [0, 1, 55, 56, 63, 64, 65, 119, 262143, 262144, 262145, 700000] * 3)
        done = checksum(root)
        want = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n"
                       for path in sorted(files, key=os.fsencode))
        assert done.stdout.decode() == want, done.stdout.decode()
        assert (done.returncode, done.stderr) == (0, b""), done.stderr


def test_checksum_goes_on_after_what_it_cannot_read():
    with tempfile.TemporaryDirectory() as root:
        files = make_tree(root, [10])
        done = checksum(os.path.join(root, "none"), "/proc/self/mem", root)
        assert done.returncode == 1
        assert b"none" in done.stderr and b"/proc/self/mem" in done.stderr, done.stderr
        path = next(iter(files))
        assert done.stdout.decode() == f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n", done.stdout


def test_checksum_leaves_pipes_alone_and_says_when_nobody_gets_its_lines():
    with tempfile.TemporaryDirectory() as root:
        make_tree(root, [10])
        os.mkfifo(os.path.join(root, "pipe"))
        done = checksum(root)
        assert done.returncode == 0 and done.stdout.count(b"\n") == 1, done
        with open("/dev/full", "wb") as full:
            done = subprocess.run([os.path.join(BUILD, "examples/checksum"), root], stdout=full,
                                  stderr=subprocess.PIPE, timeout=LIMIT_S)
        assert done.returncode == 1 and done.stderr, done


def test_checksum_of_nothing_is_nothing():
    with tempfile.TemporaryDirectory() as root:
        done = checksum(root)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done


def test_checksum_without_arguments_says_how_it_is_used():
    done = checksum()
    assert (done.returncode, done.stdout) == (2, b"") and done.stderr.startswith(b"usage:"), done


# --- http_offload --------------------------------------------------------------------------------

FOR_EVER = 2 * 10 ** 9  # that many numbers take longer than any test


def ask(server, path):
    """A connection on which this was asked."""
    connection = server.connect()
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return connection


def answer(connection):
    """(status, body)"""
    with connection:
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def test_http_offload_answers_while_it_computes():
    with Example("http_offload", "2", "2", "600000") as server:
        heavy = [ask(server, f"/primes?{FOR_EVER}") for _ in range(2)]
        for _ in range(20):
            assert answer(ask(server, "/light")) == (200, "light\n")
        assert select.select(heavy, [], [], 0)[0] == []
        for connection in heavy:  # reset: one that only ends could be waiting for its answer
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        assert answer(ask(server, "/primes?100")) == (200, "25\n")  # the two threads are free again


def test_http_offload_refuses_what_is_too_much():
    with Example("http_offload", "1", "1", "600000") as server:
        heavy = [ask(server, f"/primes?{FOR_EVER}") for _ in range(3)]
        refused = select.select(heavy, [], [], LIMIT_S)[0]
        assert len(refused) == 1, "one is computed, one waits"
        assert answer(refused[0]) == (503, "too much to do, try again\n")
        assert answer(ask(server, "/primes?10"))[0] == 503
        assert answer(ask(server, "/light"))[0] == 200
        for connection in heavy:
            connection.close()


def test_http_offload_gives_up_when_it_takes_too_long():
    with Example("http_offload", "1", "10", "300") as server:
        heavy = [ask(server, f"/primes?{FOR_EVER}") for _ in range(3)]
        for connection in heavy:
            assert answer(connection) == (504, "that took too long\n")
        for _ in range(100):  # as little as that is late, too, when the machine has other things to do
            if (last := answer(ask(server, "/primes?0"))) != (504, "that took too long\n"):
                break
        assert last == (200, "0\n"), last


def test_http_offload_is_interrupted_while_it_computes():
    with Example("http_offload", "1", "10", "600000") as server:
        heavy = [ask(server, f"/primes?{FOR_EVER}") for _ in range(3)]
        assert answer(ask(server, "/light"))[0] == 200
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(LIMIT_S) == 0
        for connection in heavy:
            connection.close()


sys.exit(run_tests(globals()))
