#!/usr/bin/env python3
"""The peers of `rondo compare`, those that are installed: that they do what the models do, and leave nothing. Skips what is not.

    test/compare_peers_test.py [WORD...]    only the tests with a WORD in their name
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from compare_client import HELLO, LIMIT_S, SIZES, Client, make_files, processes
from running import BUILD, free_port, run_tests

RONDO = os.path.join(BUILD, "rondo")
CAN = {  # beside hello and file
    "node": "wait cpu", "nginx": "", "apache-prefork": "", "apache-worker": "", "apache-event": "", "go": "wait cpu",
    "asyncio": "wait", "gevent": "wait", "lwt": "wait cpu", "erlang": "wait",
}


def installed():
    text = subprocess.run([RONDO, "compare", "--peers"], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
    names = []
    for line in text.splitlines():
        name = line.split()[0]
        assert name in CAN, line
        if " missing; apt-get install " in line:
            print(f"# skipped: {line}")
        elif name == "go" and os.environ.get("CI"):
            print("# skipped: go: it would compile its whole library first")
        else:
            names.append(name)
    assert len(text.splitlines()) == len(CAN), text
    return names


class Peer:
    def __init__(self, name, files):
        self.name = name
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix="rondo-peer-")
        self.stderr = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [RONDO, "compare", "--serve", name, "--port", str(self.port), "--files", files, "--dir", self.directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.stderr, start_new_session=True)

    def __enter__(self):
        deadline = time.monotonic() + 2 * LIMIT_S  # Go compiles its own library the first time
        while True:
            try:
                self.connect().socket.close()
                return self
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__(AssertionError, None, None)
                    raise
                time.sleep(0.05)

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        try:
            self.process.wait(LIMIT_S)
            deadline = time.monotonic() + LIMIT_S
            while self.left() and time.monotonic() < deadline:
                time.sleep(0.02)
            left = self.left()
        finally:
            for pid in self.left():
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.directory, ignore_errors=True)
        if kind is not None:
            self.stderr.seek(0)
            print(f"  {self.name}: {self.stderr.read()}")
        self.stderr.close()
        assert kind is not None or not left, (self.name, left)

    def connect(self):
        return Client(self.port)

    def left(self):
        """Its processes: they are a session."""
        return processes("session", self.process.pid)


def check_one(name, files):
    with Peer(name, files) as peer, peer.connect() as client:
        for _ in range(3):  # on one connection
            status, _, body = client.get("/hello")
            assert (status, body) == (200, HELLO), (status, body)
        for each, size in SIZES.items():
            status, _, body = client.get(f"/file?name={each}")
            with open(os.path.join(files, each), "rb") as file:
                assert status == 200 and body == file.read(), (each, status, len(body), size)
        assert client.get("/file?name=none")[0] == 404
        if "wait" in CAN[name]:
            begin = time.monotonic()
            status, _, body = client.get("/wait?ms=60")
            assert (status, body) == (200, HELLO) and time.monotonic() - begin >= 0.059
            others = [peer.connect() for _ in range(50)]
            for other in others:
                other.ask("/wait?ms=100")
            for other in others:
                assert other.answer()[2] == HELLO
                other.socket.close()
        if "cpu" in CAN[name]:
            status, head, body = client.get("/cpu?n=1000")
            assert (status, body) == (200, HELLO) and b"\r\nresult: 3743007946\r\n" in head.lower(), head
        client.ask("/hello", "Connection: close\r\n")
        assert client.answer()[2] == HELLO and client.at_end()


def test_peers():
    if os.environ.get("VARIANT"):
        print("# skipped: the peers: nothing of theirs is compiled in this variant")
        return
    with tempfile.TemporaryDirectory(prefix="rondo-compare-") as files:
        os.chmod(files, 0o755)  # Apache's children are nobody when root starts it
        make_files(files)
        failed = []
        for name in installed():
            try:
                check_one(name, files)
            except (AssertionError, OSError, EOFError) as error:
                failed.append((name, repr(error)))
        assert not failed, failed


if __name__ == "__main__":
    sys.exit(run_tests({"test_peers": test_peers}))
