#!/usr/bin/env python3
"""The `rondo` command from the outside: what it prints, what it answers, how it ends.

    test/serve_test.py [WORD...]    only the tests with a WORD in their name
"""

import html
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
RONDO = os.path.join(BUILD, "rondo")
LIMIT_S = 30 if os.environ.get("VARIANT") else 5
BIG = 32 << 20  # more than the socket buffers of both ends hold


# --- The command ---------------------------------------------------------------------------------

class Served:
    """`rondo serve` while a with statement lasts, on a free port, with its output in a pipe."""

    def __init__(self, *args, lines=3, cwd=None):
        self.process = subprocess.Popen(
            [RONDO, "serve", "--port", "0", *args], cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.intro = [self.line() for _ in range(lines)]
        url = re.fullmatch(r"listening on http://(.*):(\d+)/", self.intro[0])
        assert url, self.intro
        self.host, self.port = url[1].strip("[]"), int(url[2])

    def line(self):
        line = self.process.stdout.readline().decode()
        assert line, "it has ended: " + self.process.stderr.read().decode()
        return line.rstrip("\n")

    def wait_for(self, words):
        while words not in self.line():
            pass

    def end(self, signum=signal.SIGINT):
        """Sends a signal; returns (exit status, rest of stdout, stderr)."""
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, (out or b"").decode(), err.decode()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in (self.process.stdout, self.process.stderr):
            if file:
                file.close()

    def connect(self, receive_buffer=None):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(LIMIT_S)
        connection.connect((self.host, self.port))
        return connection

    def get(self, target, *fields, method="GET"):
        """One request on a connection of its own; returns (status, {field: value}, body)."""
        with self.connect() as connection:
            request = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost",
                                   "Connection: close", *fields, "", ""])
            connection.sendall(request.encode("latin-1"))
            return parse(read_all(connection))


def read_all(connection):
    data = bytearray()
    while chunk := connection.recv(262144):
        data += chunk
    return bytes(data)


def parse(data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in
              (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), fields, body


def rondo(*args, **options):
    """Runs the command to its end; returns (exit status, stdout, stderr)."""
    run = subprocess.run([RONDO, *args], capture_output=True, timeout=LIMIT_S,
                         stdin=subprocess.DEVNULL, **options)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def refused(status, words, *args):
    """The command ends with status and says words in one line on stderr."""
    code, out, err = rondo(*args)
    assert (code, out) == (status, ""), (code, out, err)
    assert err.startswith("rondo: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert words in err, err


def same(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


def make_site():
    site = tempfile.TemporaryDirectory()
    root = os.path.join(site.name, "root")
    os.makedirs(os.path.join(root, "dir"))
    for name, content in (("root/index.html", b"index\n"), ("root/a.txt", b"0123456789"),
                          ("root/dir/index.html", b"dir\n"), ("secret.txt", b"secret")):
        with open(os.path.join(site.name, name), "wb") as file:
            file.write(content)
    with open(os.path.join(root, "big.bin"), "wb") as file:
        file.truncate(BIG)
    return site, root


# --- Tests ---------------------------------------------------------------------------------------

def test_help_and_version(_):
    code, out, err = rondo("--help")
    assert code == 0 and "usage: rondo" in out and "serve" in out and err == "", (code, out, err)
    same(rondo("-h")[1], out)
    same(rondo("help")[1], out)
    code, text, err = rondo("help", "serve")
    assert code == 0 and "--port" in text and "130" in text and err == "", (code, text, err)
    same(rondo("serve", "--help")[1], text)
    assert all(len(line) <= 92 for line in (out + text).split("\n"))
    code, out, err = rondo("--version")
    assert code == 0 and re.fullmatch(r"rondo \d+\.\d+\.\d+\n", out), (code, out, err)


def test_wrong_usage(root):
    refused(2, "rondo serve")
    refused(2, "'frobnicate'", "frobnicate")
    refused(2, "'--frobnicate'", "--frobnicate")
    refused(2, "'frobnicate'", "help", "frobnicate")
    refused(2, "'--frobnicate'", "serve", "--frobnicate")
    refused(2, "'-x'", "serve", "-x")
    refused(2, "'--ports'", "serve", "--ports", "1")
    refused(2, "--port needs a value", "serve", "--port")
    refused(2, "--host needs a value", "serve", root, "--host")
    for port in ("65536", "-1", "http", "", "80x", " 80", "99999999999999999999", "+1"):
        refused(2, f"'{port}'", "serve", "--port", port)
        refused(2, f"'{port}'", "serve", "--port=" + port)
    refused(2, "'localhost:80'", "serve", root, "--host", "localhost:80")
    refused(2, "one directory", "serve", "a", "b")
    refused(2, "one command", "help", "a", "b")


def test_what_can_not_run(root):
    refused(1, "no directory", "serve", os.path.join(root, "nothing"))
    refused(1, "not a directory", "serve", os.path.join(root, "a.txt"))
    refused(1, "no directory '--quiet'", "serve", "--", "--quiet")
    refused(1, "no address 192.0.2.1", "serve", root, "--host", "192.0.2.1", "--port", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(1, f"port {port} of 127.0.0.1 is in use", "serve", root, "--port", port)


def catches(process, signum):
    """Whether it has a handler for the signal, as it has before it opens its sockets."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", file.read(), re.MULTILINE)
    return bool(int(caught[1], 16) >> (signum - 1) & 1) if caught else False


def test_standard_output_that_is_full_or_closed(root):
    with open("/dev/full", "w") as full:
        for args in (["--version"], ["--help"], ["help", "serve"], ["serve", root, "--port=0"]):
            run = subprocess.run([RONDO, *args], stdout=full, stderr=subprocess.PIPE,
                                 timeout=LIMIT_S)
            same(run.returncode, 1)
            assert b"standard output" in run.stderr, run.stderr
    # Closed: not even a socket gets the place of the standard output.
    for fds in (">&-", "<&- >&-", "<&- >&- 2>&-"):
        process = subprocess.Popen(["sh", "-c", f"exec {RONDO} serve {root} --port 0 {fds}"],
                                   stderr=subprocess.DEVNULL)
        try:
            while not catches(process, signal.SIGTERM):
                same(process.poll(), None)
                time.sleep(0.01)
            process.terminate()
            same(process.wait(timeout=LIMIT_S), 0)
        finally:
            process.kill()
            process.wait()


def test_answers(root):
    with Served(root) as served:
        assert served.intro[1].startswith(f"serving '{root}'; try: curl -i http://127.0.0.1:")
        status, fields, body = served.get("/")
        same((status, body), (200, b"index\n"))
        same(fields["content-type"], "text/html; charset=utf-8")
        same(served.get("/dir/")[2], b"dir\n")
        status, fields, body = served.get("/dir")
        same((status, fields["location"]), (301, "./dir/"))
        status, fields, body = served.get("/a.txt", "Range: bytes=3-5")
        same((status, body, fields["content-range"]), (206, b"345", "bytes 3-5/10"))
        same(served.get("/a.txt", "Range: bytes=10-")[0], 416)
        status, head, body = served.get("/a.txt", method="HEAD")
        same((status, body, head["content-length"]), (200, b"", "10"))
        status, fields, body = served.get("/a.txt", "If-None-Match: " + head["etag"])
        same((status, body), (304, b""))
        status, fields, body = served.get("/a.txt", method="POST")
        same((status, fields["allow"]), (405, "GET, HEAD"))
        status, fields, body = served.get("/big.bin")
        same((status, len(body)), (200, BIG))
        for target in ("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd",
                       "/%252e%252e/secret.txt", "/dir/../../secret.txt", "/..%5csecret.txt"):
            status, fields, body = served.get(target)
            assert status in (400, 404) and b"secret" not in body, (target, status)
        same(served.end()[0], 0)


def test_access_log(root):
    with Served(root) as served:
        served.get("/a.txt?q=1")
        assert re.fullmatch(r"GET /a.txt\?q=1 200 10 \d+\.\d ms", line := served.line()), line
        served.get("/nothing")
        assert re.fullmatch(r"GET /nothing 404 \d+ \d+\.\d ms", line := served.line()), line
        served.get("/a.txt", method="HEAD")
        assert re.fullmatch(r"HEAD /a.txt 200 0 \d+\.\d ms", line := served.line()), line
        served.get("/%1b[31m\\" + "x" * 500)
        line = served.line()
        assert re.match(r"GET /%1b\[31m\\x5cx{190,}\.\.\. 404 ", line), line
        assert "\x1b" not in line


def test_log_that_nobody_reads(root):
    with Served(root) as served:
        served.process.stdout.close()
        served.process.stdout = None
        for _ in range(3):
            same(served.get("/a.txt")[0], 200)
        code, out, err = served.end()
        same(code, 0)
        same(err.count("can't write the log"), 1)


def test_quiet(root):
    with Served(root, "--quiet", lines=1) as served:
        same(served.get("/a.txt")[0], 200)
        same(served.end(signal.SIGTERM), (0, "", ""))


def test_hosts(root):
    with Served(root, "--host=localhost") as served:
        same(served.host, "127.0.0.1")
        same(served.get("/a.txt")[0], 200)
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        return  # no IPv6 here
    with Served(root, "--host", "::1") as served:
        assert served.intro[0].startswith("listening on http://[::1]:")
        same(served.get("/a.txt")[0], 200)


def get_by_path(path):
    """The status of a request on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT_S)
        connection.connect(path)
        connection.sendall(b"GET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return parse(read_all(connection))[0]


def start(*args, **options):
    """A server that does not listen on TCP; returns it and the line that says where it does."""
    process = subprocess.Popen([RONDO, "serve", "--quiet", *args], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **options)
    return process, process.stdout.readline().decode().rstrip("\n")


def stop(process, signum=signal.SIGINT):
    process.send_signal(signum)
    process.communicate(timeout=LIMIT_S)
    return process.returncode


def test_unix_socket(root):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "x.sock")
        process, intro = start(root, "--unix", path)
        same(intro, "listening on unix:" + path)
        same(get_by_path(path), 200)
        refused(1, "in use", "serve", root, "--unix", path)
        same(stop(process, signal.SIGKILL), -signal.SIGKILL)
        assert os.path.exists(path)
        process, _ = start(root, "--unix=" + path)  # takes the place of the dead one
        same(get_by_path(path), 200)
        same(stop(process), 0)
        same(os.listdir(directory), [])
        with open(path, "w"):
            pass
        refused(1, "in use", "serve", root, "--unix", path)
        assert os.path.exists(path)
        refused(1, "can't listen", "serve", root, "--unix", os.path.join(directory, "a", "b"))
    name = f"rondo-test-{os.getpid()}"
    process, intro = start(root, "--unix", "@" + name)
    same(intro, "listening on unix:@" + name)
    same(get_by_path("\0" + name), 200)
    same(stop(process), 0)


def test_unix_socket_wrong_usage(root):
    refused(2, "no path", "serve", root, "--unix", "")
    refused(2, "too long", "serve", root, "--unix", "x" * 200)
    refused(2, "--unix needs a value", "serve", root, "--unix")
    refused(2, "only one of them", "serve", root, "--unix", "x", "--port", "80")
    refused(2, "only one of them", "serve", root, "--host", "::1", "--unix", "x")


ACTIVATE = """
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
os.dup2(listener.detach(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_socket_activation(root):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        host, port = listener.getsockname()
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(fd), RONDO, "serve", "--quiet", root],
            pass_fds=[fd], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        same(process.stdout.readline().decode(), f"listening on http://{host}:{port}/\n")
        with socket.create_connection((host, port), LIMIT_S) as connection:
            connection.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
            same(parse(read_all(connection))[0], 200)
        same(stop(process), 0)


def test_current_directory(root):
    with Served("--quiet", lines=1, cwd=root) as served:
        same(served.get("/a.txt")[2], b"0123456789")
        same(served.end()[0], 0)


def start_download(served):
    connection = served.connect(receive_buffer=65536)
    connection.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    start = connection.recv(1000)
    assert start.startswith(b"HTTP/1.1 200 OK\r\n"), start
    return connection, start


def test_stop_finishes_downloads(root):
    for signum in (signal.SIGINT, signal.SIGTERM):
        with Served(root) as served:
            connection, data = start_download(served)
            idle = served.connect()
            idle.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.recv(1000)
            served.process.send_signal(signum)
            served.wait_for("stopping")
            same(idle.recv(1), b"")  # what is idle is closed soon
            idle.close()
            try:
                served.connect().close()
                raise AssertionError("it still accepts")
            except ConnectionRefusedError:
                pass
            same(served.process.poll(), None)
            data += read_all(connection)
            connection.close()
            same(len(data.partition(b"\r\n\r\n")[2]), BIG)
            same(served.process.wait(timeout=LIMIT_S), 0)


def test_stop_twice_ends_at_once(root):
    for second in (signal.SIGINT, signal.SIGTERM):
        with Served(root) as served:
            connection, _ = start_download(served)
            served.process.send_signal(signal.SIGINT)
            served.wait_for("stopping")
            same(served.end(second)[0], 128 + second)
            connection.close()


def test_welcome_page(_):
    with Served(os.path.join(ROOT, "share/welcome")) as served:
        status, fields, body = served.get("/")
        same((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
        page = body.decode()
        for link in re.findall(r'(?:href|src)="([^"]+)"', page):
            assert served.get("/" + link)[0] == 200, link
    # The program that it shows is one that compiles.
    code = html.unescape(re.search(r'<pre id="hello">(.*?)</pre>', page, re.DOTALL)[1])
    command = shlex.split(os.environ.get("CC", "cc")) + [
        "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fsyntax-only",
        "-I" + os.path.join(ROOT, "include"), "-x", "c", "-"]
    subprocess.run(command, input=code.encode(), check=True, timeout=60)


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")
             and (len(sys.argv) < 2 or any(word in name for word in sys.argv[1:]))]
    failed = 0
    site, root = make_site()
    for name, test in tests:
        try:
            test(root)
            print("ok " + name)
        except Exception:  # whatever it was, it is that test's failure
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}")
    site.cleanup()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
