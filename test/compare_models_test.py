#!/usr/bin/env python3
"""The servers of `rondo compare`, each in its model, as their clients see them; and what they leave when they end.

    test/compare_models_test.py [WORD...]    only the tests with a WORD in their name
"""

import os
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time

from compare_client import HELLO, LIMIT_S, SIZES, Client, make_files, processes
from running import BUILD, run_tests

RONDO = os.path.join(BUILD, "rondo")
MODELS = ["iterative", "fork", "prefork", "thread", "pool", "select", "poll", "epoll", "epoll-et", "loop", "loop-pool",
          "cluster"]
# Enough for fifty clients at once, and not as many as the models have by themselves: they take long to begin under a sanitizer.
WORKERS = {"prefork": "60", "pool": "60", "cluster": "2"}
SERIAL = {"iterative"}  # one client at a time: that is its result
VARIANT = os.environ.get("VARIANT", "")


class Files:
    """Made once, for all tests."""
    directory = None


class Server:
    def __init__(self, model, *args, limit=None, workers=None):
        if Files.directory is None:
            Files.directory = tempfile.TemporaryDirectory(prefix="rondo-compare-")
            make_files(Files.directory.name)
        self.model = model
        self.stderr = tempfile.TemporaryFile("w+")
        workers = workers or WORKERS.get(model)
        self.process = subprocess.Popen(
            [RONDO, "compare", "--serve", model, "--files", Files.directory.name,
             *(["--workers", workers] if workers else []), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr, text=True,
            # A family of its own where the model doesn't make one, so that what is left can be looked for.
            preexec_fn=lambda: (os.setpgid(0, 0), limit and resource.setrlimit(*limit)))
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), (model, line, self.said())
        self.port = int(line.split(":")[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        finally:
            self.process.stdout.close()
        if kind is not None:
            print(f"  {self.model}: {self.said()}")
        else:
            assert self.process.returncode in (0, -signal.SIGTERM), (self.model, self.process.returncode, self.said())
            assert not self.left(), f"{self.model} left processes"
        self.stderr.close()

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def connect(self):
        return Client(self.port)

    def left(self):
        """Its processes: they are a group."""
        return processes("group", self.process.pid)


def each(models=tuple(MODELS), **how):
    for model in models:
        with Server(model, **how) as server:
            yield server


def expect_hello(client, model):
    status, _, body = client.get("/hello")
    assert (status, body) == (200, HELLO), (model, status, body)


def test_names():
    listed = subprocess.run([RONDO, "compare", "--list"], capture_output=True, text=True, check=True).stdout
    lines = listed.partition("models:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == MODELS, listed


def test_each_kind_of_work_on_one_connection():
    for server in each():
        with server.connect() as client:
            expect_hello(client, server.model)
            begin = time.monotonic()
            status, _, body = client.get("/wait?ms=60")
            assert (status, body) == (200, HELLO) and time.monotonic() - begin >= 0.06, server.model
            status, head, body = client.get("/cpu?n=1000")
            assert (status, body) == (200, HELLO) and b"\r\nResult: 3743007946\r\n" in head, (server.model, head)
            for name, size in SIZES.items():
                status, _, body = client.get(f"/file?name={name}")
                with open(os.path.join(Files.directory.name, name), "rb") as file:
                    assert status == 200 and body == file.read(), (server.model, name, len(body), size)
            for target in ("/", "/file?name=none", "/file?name=../x", "/wait?ms=x"):
                assert client.get(target)[0] == 404, (server.model, target)
            expect_hello(client, server.model)
            client.ask("/hello", "Connection: close\r\n")
            assert client.answer()[0] == 200 and client.at_end(), server.model


def test_pipelining():
    """Twenty at once, among them those that take longer than what is behind them: in order."""
    targets = ["/hello", "/wait?ms=20", "/file?name=ten", "/cpu?n=10", "/none", "/file?name=64k", "/hello",
               "/wait?ms=0", "/file?name=1m", "/hello"] * 2
    want = [SIZES[target[11:]] if "name" in target else 13 if "none" in target else 14 for target in targets]
    for server in each():
        with server.connect() as client:
            client.send(b"".join(f"GET {target} HTTP/1.1\r\n\r\n".encode() for target in targets))
            got = [len(client.answer()[2]) for _ in targets]
            assert got == want, (server.model, got)
            expect_hello(client, server.model)


def test_many_pipelined_at_once():
    """More than any buffer: what is not answered yet waits, and nothing is lost."""
    count = 20000
    for server in each():
        with server.connect() as client:
            request = memoryview(b"GET /hello HTTP/1.1\r\n\r\n" * count)
            client.socket.setblocking(False)
            sent, got = 0, b""
            deadline = time.monotonic() + LIMIT_S
            while got.count(HELLO) < count and time.monotonic() < deadline:
                # Reads nothing until nothing more can be sent, so that the server can't send either.
                _, writable, _ = select.select([], [client.socket] if sent < len(request) else [], [], 0.05)
                if writable:
                    sent += client.socket.send(request[sent:])
                    continue
                if select.select([client.socket], [], [], 1)[0]:
                    got += client.socket.recv(1 << 20)
            assert got.count(HELLO) == count, (server.model, got.count(HELLO))


def test_split_requests():
    for server in each():
        with server.connect() as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in b"GET /wait?ms=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\n\r\n":
                client.send(bytes([octet]))
            assert client.answer()[2] == client.answer()[2] == HELLO, server.model


def test_errors_close():
    for server in each():
        for text, status in ((b"nonsense\r\n\r\n", 501), (b"GET / HTTP/1.1\nx\n\n", 400), (b"GET /x HTTP/9.9\r\n\r\n", 505),
                             (b"POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 501),
                             (b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n\r\n", 414),
                             (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000, 431)):
            with server.connect() as client:
                client.send(b"GET /hello HTTP/1.1\r\n\r\n" + text)
                assert client.answer()[0] == 200, server.model
                assert client.answer()[0] == status and client.at_end(), (server.model, text)


def test_fifty_at_once():
    """All of them have asked before any of them is answered: none waits for another."""
    for server in each([model for model in MODELS if model not in SERIAL]):
        clients = [server.connect() for _ in range(50)]
        for client in clients:
            client.ask("/wait?ms=200")
        for client in clients:
            assert client.answer()[2] == HELLO, server.model
        for client in clients:
            expect_hello(client, server.model)
        for client in clients:
            client.socket.close()


def test_one_at_a_time():
    """Its second client waits for the first to leave."""
    with Server("iterative") as server:
        first, second = server.connect(), server.connect()
        expect_hello(first, "iterative")
        second.ask("/hello")
        assert select.select([second.socket], [], [], 0.2)[0] == []
        first.socket.close()
        assert second.answer()[2] == HELLO
        second.socket.close()


def test_clients_that_vanish():
    """In the middle of a request, of an answer, of a wait; orderly and with a reset."""
    for server in each():
        for text in (b"GET /hel", b"GET /wait?ms=50 HTTP/1.1\r\n\r\n", b"GET /file?name=1m HTTP/1.1\r\n\r\n" * 4,
                     b"GET /cpu?n=100 HTTP/1.1\r\n\r\n", b"GET /wait?ms=10 HTTP/1.1\r\n\r\n" * 3, b""):
            for reset in (False, True):
                client = server.connect()
                client.send(text)
                if reset:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.socket.close()
        with server.connect() as client:
            expect_hello(client, server.model)


def test_no_descriptor_stays_open():
    """What a client leaves behind is given back, also when it goes at a bad moment."""
    for server in each(["thread", "pool", "select", "poll", "epoll", "epoll-et", "loop", "loop-pool", "iterative"]):
        def count():
            return len(os.listdir(f"/proc/{server.process.pid}/fd"))
        with server.connect() as client:  # what is made at the first use
            client.get("/wait?ms=1"), client.get("/file?name=ten"), client.get("/cpu?n=1")
        before = count() + 3  # a loop makes some for itself, later
        for _ in range(40):
            client = server.connect()
            client.send(b"GET /file?name=1m HTTP/1.1\r\n\r\nGET /wait?ms=1 HTTP/1.1\r\n\r\n" * 2)
            client.socket.close()
        with server.connect() as client:
            client.get("/hello")  # so those before it have been accepted
        deadline = time.monotonic() + LIMIT_S
        while (there := count()) > before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert there <= before, (server.model, there, before)


def test_no_memory_stays_with_those_who_left():
    """Each leaves while its request waits, with 15 KiB of further ones that are kept for it."""
    if VARIANT:
        print("# skipped: memory that stays: a sanitizer keeps what is freed")
        return

    def resident(server):
        with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def come_and_go(server, count):
        for _ in range(count):
            client = server.connect()
            client.send(b"GET /wait?ms=60000 HTTP/1.1\r\n\r\n" + b"GET /hello HTTP/1.1\r\n\r\n" * 600)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.socket.close()
            with server.connect() as client:
                expect_hello(client, server.model)

    for server in each(["poll", "epoll", "epoll-et", "loop"]):
        come_and_go(server, 50)
        before = resident(server)
        come_and_go(server, 400)
        assert resident(server) - before < 3 << 20, (server.model, resident(server) - before)


def test_a_queue_goes_round():
    """More connections, one after another, than the pool's queue has places."""
    for server in each(["pool"], workers="2"):
        for i in range(1100):
            with server.connect() as client:
                status, _, body = client.get("/hello")
            assert (status, body) == (200, HELLO), i


def test_who_does_not_read_is_not_read_from():
    """Or the answers would pile up in the server: it takes what the kernel's buffers hold, and no more."""
    most, batch = 64 << 20, b"GET /hello HTTP/1.1\r\n\r\n" * 2000
    for server in each(["thread", "poll", "epoll", "loop", "loop-pool"]):
        with server.connect() as client:
            client.socket.settimeout(0.5)
            taken = 0
            try:
                while taken < most:
                    taken += client.socket.send(batch)
            except TimeoutError:
                pass
            assert taken < most, server.model
            with server.connect() as other:
                expect_hello(other, server.model)


def test_half_closed():
    """A client that says that it will send no more gets its answers."""
    for server in each():
        with server.connect() as client:
            client.send(b"GET /hello HTTP/1.1\r\n\r\nGET /wait?ms=30 HTTP/1.1\r\n\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            assert client.answer()[2] == client.answer()[2] == HELLO, server.model
            assert client.at_end(), server.model


def test_few_descriptors():
    """It says why, once, and goes on."""
    limit = (resource.RLIMIT_NOFILE, (40, 40))
    # The parent of these has the same few descriptors, and their children none too many.
    for server in each([model for model in MODELS if model not in ("iterative", "prefork", "cluster", "fork")], limit=limit):
        clients = [server.connect() for _ in range(80)]
        for client in clients:
            client.ask("/hello")
        answered, refused = [], 0
        for client in clients:
            try:
                assert client.answer()[2] == HELLO, server.model
                answered.append(client)
            except (EOFError, ConnectionResetError):
                refused += 1
        assert answered and refused, (server.model, len(answered), refused)
        for client in answered[:10]:
            client.socket.close()
        for _ in range(1000):  # those that left are seen to have left some time later
            with server.connect() as client:
                try:
                    expect_hello(client, server.model)
                    break
                except (EOFError, ConnectionResetError, BrokenPipeError):
                    time.sleep(0.02)
        else:
            raise AssertionError(f"{server.model} does not serve any more")
        for client in clients:
            client.socket.close()
        said = server.said()
        assert said.count("\n") == 1 and "too many open files" in said.lower(), (server.model, said)


def test_select_says_where_it_ends():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1400:
        print("# skipped: select's limit: not enough descriptors here")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (1400, hard))
    with Server("select") as server:
        clients = [server.connect() for _ in range(1100)]
        for client in clients:
            client.ask("/hello")
        answered = 0
        for client in clients:
            try:
                answered += client.answer()[2] == HELLO
            except (EOFError, ConnectionResetError):
                pass
        assert 1000 < answered < 1024, answered
        assert "select(2) watches no descriptors above 1023" in server.said(), server.said()
        assert server.said().count("\n") == 1, server.said()
        expect_hello(clients[0], "select")
        for client in clients:
            client.socket.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pool_refuses_what_does_not_fit():
    """One thread that is busy, and a queue of 1024: the 1026th is told."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1400:
        print("# skipped: the queue of the pool: not enough descriptors here")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (1400, hard))
    with Server("pool", workers="1") as server:
        first = server.connect()
        expect_hello(first, "pool")
        clients = [server.connect() for _ in range(1024)]
        with server.connect() as client:
            status, _, _ = client.answer()
            assert status == 503 and client.at_end(), status
        assert server.said().count("\n") == 1 and "all 1 threads" in server.said(), server.said()
        first.socket.close()
        expect_hello(clients[0], "pool")
        for client in clients:
            client.socket.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_threads_left():
    """A thread that can't be started is a connection less, not a server less."""
    if VARIANT:
        print("# skipped: no thread can be started: a sanitizer needs more memory than the test leaves")
        return
    limit = (resource.RLIMIT_AS, (64 << 20, 64 << 20))  # root has no limit of threads
    with Server("thread", limit=limit) as server:
        clients = []
        for _ in range(1500):
            clients.append(server.connect())
            try:
                expect_hello(clients[-1], "thread")
            except (EOFError, ConnectionResetError, BrokenPipeError):
                break
        assert "pthread_create" in server.said() and server.said().count("\n") == 1, (len(clients), server.said())
        expect_hello(clients[0], "thread")
        for client in clients:
            client.socket.close()


def test_sigterm_ends_everything():
    """While clients are connected, wait and are half answered; __exit__ looks for what is left."""
    for server in each():
        clients = [server.connect() for _ in range(5)]
        for client in clients:
            client.ask("/wait?ms=60000")
        if server.model not in SERIAL:
            with server.connect() as client:
                expect_hello(client, server.model)
        server.process.terminate()
        server.process.wait(LIMIT_S)
        for client in clients:
            assert client.at_end(), server.model
            client.socket.close()


def test_children_die_with_their_parent():
    """However it dies."""
    for model in ("fork", "prefork", "cluster"):
        with Server(model) as server:
            with server.connect() as client:
                expect_hello(client, model)
                assert len(server.left()) > 1
                server.process.kill()
                server.process.wait()
                deadline = time.monotonic() + LIMIT_S
                while server.left() and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert not server.left(), model
            server.process.returncode = 0  # as it should be for __exit__


def test_children_are_replaced_or_reaped():
    for model in ("prefork", "cluster"):
        with Server(model, workers="2") as server:
            with server.connect() as client:
                expect_hello(client, model)
            deadline = time.monotonic() + LIMIT_S
            while len(server.left()) != 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            children = [pid for pid in server.left() if pid != server.process.pid]
            assert len(children) == 2, (model, children)
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + LIMIT_S
            while len([pid for pid in server.left() if pid not in children]) < 3:
                assert time.monotonic() < deadline, model
                time.sleep(0.01)
            for _ in range(8):
                with server.connect() as client:
                    expect_hello(client, model)
    with Server("fork") as server:
        for _ in range(20):
            with server.connect() as client:
                expect_hello(client, "fork")
        deadline = time.monotonic() + LIMIT_S
        while len(server.left()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = processes("parent", server.process.pid, zombies=True)
        assert not children, children


def test_fixed_numbers():
    """As many processes and threads as it is told, and as the model says."""
    for model, processes, threads in (("prefork", 8, 1), ("pool", 1, 8), ("cluster", 4, 1), ("epoll", 1, 1)):
        workers = "7" if model != "cluster" else "3"
        with Server(model, workers=workers) as server:
            with server.connect() as client:
                expect_hello(client, model)
                deadline = time.monotonic() + LIMIT_S
                while len(server.left()) != processes and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert len(server.left()) == processes, (model, server.left())
                extra = len(os.listdir(f"/proc/{server.process.pid}/task")) - threads
                assert extra == 0 or VARIANT, (model, extra)


def test_port_in_use():
    with Server("epoll") as server:
        for model in MODELS:
            process = subprocess.run([RONDO, "compare", "--serve", model, "--port", str(server.port)], check=False,
                                     capture_output=True, text=True, timeout=LIMIT_S)
            assert process.returncode == 1 and "Address already in use" in process.stderr, (model, process)


if __name__ == "__main__":
    raise SystemExit(run_tests(globals()))
