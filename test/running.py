"""For tests of the examples, where a line of output can't show what they do: running them, and the tests."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import subprocess
import sys
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from snippets import free_port  # noqa: E402, F401 (for a server that must be told one)

LIMIT_S = 60  # for a machine that does other things
# Whether this is the library as it is built by default, or one that looks for other things or lacks some.
IS_PLAIN = not os.environ.get("VARIANT") and "-lssl" in os.environ.get("LIBS", "-lssl")


class Example:
    """An example while a with statement lasts, on a free port. It must end well by SIGINT."""

    def __init__(self, name, *args):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "examples", name), "0", *args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert " listening on 127.0.0.1:" in line, line + self.process.stderr.read()
        self.port = int(line.split(":")[2].split(",")[0])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.process.send_signal(signal.SIGINT)
        else:
            self.process.kill()
        try:
            _, err = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert kind or self.process.returncode == 0, (self.process.returncode, err)

    def connect(self, receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(LIMIT_S)
        connection.connect(("127.0.0.1", self.port))
        return connection


@contextlib.contextmanager
def refusing_port():
    """A port that refuses connections: it is taken, so that nobody else gets it meanwhile, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def read_to_end(connection):
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def run_one(name, test):
    """Whether it failed, and says so."""
    try:
        test()
        print(f"ok {name}", flush=True)
        return False
    except Exception:  # pylint: disable=broad-except
        print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
        return True


def run_tests(functions, skipped="", at_once=1):
    """Runs the functions test_*, those with a word of the command line in their name; the exit status. skipped: why none is run.
    at_once: how many, for tests that mostly wait and have nothing in common."""
    if skipped:
        print(f"# skipped: {skipped}\n1 passed, 0 failed")
        return 0
    tests = [(name, test) for name, test in functions.items() if name.startswith("test_")
             and (len(sys.argv) < 2 or any(word in name for word in sys.argv[1:]))]
    if at_once > 1:
        with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
            failed = sum(threads.map(lambda pair: run_one(*pair), tests))
    else:
        failed = sum(run_one(*pair) for pair in tests)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0
