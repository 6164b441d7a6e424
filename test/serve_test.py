#!/usr/bin/env python3
"""The `rondo` command from the outside: what it prints, what it answers, how it ends.

    test/serve_test.py [WORD...]    only the tests with a WORD in their name
"""

import fcntl
import gzip
import html
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
RONDO = os.path.join(BUILD, "rondo")
LIMIT_S = 60  # for a machine that does other things
BIG = 32 << 20  # more than the socket buffers of both ends hold


# --- The command ---------------------------------------------------------------------------------

class Served:
    """`rondo serve` while a with statement lasts, on a free port, with its output in a pipe."""

    def __init__(self, *args, lines=3, cwd=None, scheme="http"):
        self.process = subprocess.Popen(
            [RONDO, "serve", "--port", "0", *args], cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.intro = [self.line() for _ in range(lines)]
        url = next(filter(None, (re.fullmatch(scheme + r"://(.*):(\d+)/", line[13:])
                                 for line in self.intro)), None)
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
        assert re.match(r"GET /%1b\[31m\\x5cx{500} 404 ", line), line
        assert "\x1b" not in line


def test_access_log_in_another_format(root):
    with Served(root, "--log-format", "common") as served:
        served.get("/a.txt")
        assert re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET /a.txt HTTP/1.1" 200 10', line := served.line()), line


def test_the_log_has_what_was_really_sent(root):
    with Served(root) as served:
        connection, _ = start_download(served)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        got = re.fullmatch(r"GET /big.bin 200 (\d+) \d+\.\d ms", line := served.line())
        assert got and 0 < int(got[1]) < BIG, line
        start_download(served)[0].close()
        served.line()
        connection, _ = start_download(served)
        served.process.send_signal(signal.SIGINT)
        served.wait_for("stopping")
        read_all(connection)
        connection.close()
        got = re.fullmatch(r"GET /big.bin 200 (\d+) \d+\.\d ms", line := served.line())
        same(int(got[1]), BIG)
        same(served.process.wait(timeout=LIMIT_S), 0)


def test_output_that_takes_nothing_holds_up_nothing(root):
    """A full pipe: lines beyond the bound are dropped and counted, requests are answered."""
    with Served(root) as served:
        client = http.client.HTTPConnection(served.host, served.port, timeout=LIMIT_S)
        for number in range(800):
            client.request("GET", f"/{number}" + "x" * 1900)
            response = client.getresponse()
            same(response.status, 404)
            response.read()
        client.close()
        lines, lost = 0, 0
        while not lost:
            line = served.line()
            if line.startswith("GET"):
                same(int(re.match(r"GET /(\d+)", line)[1]), lines)
                lines += 1
            else:
                lost = int(re.fullmatch(r"# \[.*\] lines lost because the log could not be written: (\d+)",
                                        line)[1])
        assert lost > 50 and lines > 500, (lines, lost)
        same(served.get("/a.txt")[0], 200)
        while "/a.txt" not in (line := served.line()):
            lines += 1
        same(lines + lost, 800)
        same(served.end()[0], 0)


def test_a_terminal_that_is_stopped_holds_up_nothing(root):
    """Ctrl-S, then requests, then Ctrl-C: it ends, and says that the last lines are lost."""
    master, slave = os.openpty()
    process = subprocess.Popen([RONDO, "serve", root, "--port", "0"], stdin=slave, stdout=slave,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        text = b""
        while b"Ctrl-C stops it" not in text:
            text += os.read(master, 4096)
        port = int(re.search(rb"listening on http://127.0.0.1:(\d+)/", text)[1])
        termios.tcflow(slave, termios.TCOOFF)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), LIMIT_S) as connection:
                connection.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
                same(parse(read_all(connection))[0], 200)
        process.terminate()
        _, err = process.communicate(timeout=LIMIT_S)
        same(process.returncode, 0)
        assert b"the last lines of the log are lost" in err, err
    finally:
        process.kill()
        process.communicate()
        os.close(slave)
        os.close(master)


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
    refused(2, "no more", "serve", root, *["--unix", "x"] * 17)


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
        process = subprocess.run(
            [sys.executable, "-c", ACTIVATE, str(fd), RONDO, "serve", "--show-config", root],
            pass_fds=[fd], capture_output=True, timeout=LIMIT_S)
        same([line.split()[1] for line in process.stdout.decode().splitlines()
              if line.startswith("listen ")], [f"{host}:{port}"])


def test_several_sockets_of_a_service_manager(root):
    with socket.socket() as one, socket.socket() as two:
        ports = []
        for listener in (one, two):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            ports.append(listener.getsockname()[1])
        activate = ACTIVATE.replace("sys.argv[1])", "sys.argv[1].split(',')[0])").replace(
            'os.dup2(listener.detach(), 3)',
            'fds = [os.dup(int(fd)) for fd in sys.argv[1].split(",")]; listener.detach()\n'
            'for i, fd in enumerate(fds): os.dup2(fd, 3 + i) if fd != 3 + i else os.set_inheritable(fd, True)'
        ).replace('LISTEN_FDS="1", LISTEN_FDNAMES="web"', 'LISTEN_FDS="2"')
        # Where the two are out of the way of 3 and 4.
        high = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 20) for listener in (one, two)]
        process = subprocess.Popen(
            [sys.executable, "-c", activate, ",".join(map(str, high)), RONDO, "serve", "--quiet", root],
            pass_fds=high, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for fd in high:
            os.close(fd)
        for port in ports:
            same(process.stdout.readline().decode(), f"listening on http://127.0.0.1:{port}/\n")
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), LIMIT_S) as connection:
                connection.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
                same(parse(read_all(connection))[0], 200)
        same(stop(process), 0)


def test_several_addresses(root):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "x.sock")
        with Served(root, "--port", "0", "--host", "127.0.0.1", "--host=127.0.0.2", "--unix", path,
                    lines=7) as served:
            urls = [re.fullmatch(r"listening on http://(127\.0\.0\.[12]):(\d+)/", line)
                    for line in served.intro[1:5]]
            same([url[1] for url in urls], ["127.0.0.1"] * 2 + ["127.0.0.2"] * 2)
            same(len({(url[1], url[2]) for url in urls}), 4)
            for url in urls:
                served.host, served.port = url[1], int(url[2])
                same(served.get("/a.txt")[2], b"0123456789")
            same(get_by_path(path), 200)
            same(served.end()[0], 0)
        same(os.listdir(directory), [])
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        # One that can't be had is the end, whatever the others are.
        refused(1, f"port {port} of 127.0.0.2 is in use", "serve", root, "--host", "127.0.0.2",
                "--port", "0", "--port", port)


def test_listing(root):
    with Served(root, "--list") as served:
        os.makedirs(os.path.join(root, "list"), exist_ok=True)
        with open(os.path.join(root, "list", "a<b>.txt"), "w") as file:
            file.write("x")
        status, fields, body = served.get("/list/")
        same((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
        assert b"a&lt;b&gt;.txt" in body and b"a<b>" not in body, body
        same(served.get("/")[2], b"index\n")
    with Served(root) as served:
        same(served.get("/list/")[0], 404)


def test_spa(root):
    with Served(root, "--spa") as served:
        same(served.get("/a/view/of/the/application")[2], b"index\n")
        same(served.get("/a.txt")[2], b"0123456789")
        same(served.get("/missing.js")[0], 404)


def test_gzip(root):
    with open(os.path.join(root, "page.html"), "w") as file:
        file.write("<p>" + "page " * 500)
    with gzip.open(os.path.join(root, "page.html.gz"), "wb") as file:
        file.write(("<p>" + "page " * 500).encode())
    for name in ("page.html", "page.html.gz"):
        os.utime(os.path.join(root, name), (1600000000, 1600000000))
    with Served(root, "--gzip") as served:
        status, fields, body = served.get("/page.html", "Accept-Encoding: gzip")
        same((status, fields["content-encoding"]), (200, "gzip"))
        same(gzip.decompress(body)[:8], b"<p>page ")
        assert "accept-encoding" in fields["vary"].lower(), fields
        status, fields, body = served.get("/page.html")
        assert "content-encoding" not in fields and body.startswith(b"<p>page "), fields
        with open(os.path.join(root, "live.txt"), "w") as file:
            file.write("live " * 1000)
        client = http.client.HTTPConnection(served.host, served.port, timeout=LIMIT_S)
        client.request("GET", "/live.txt", headers={"Accept-Encoding": "gzip"})
        response = client.getresponse()
        body = response.read()
        client.close()
        if response.getheader("Content-Encoding"):
            same((response.status, gzip.decompress(body)), (200, b"live " * 1000))
        else:
            print("    ok test_gzip of what is not compressed # skipped: built without zlib")
            same(body, b"live " * 1000)
    with Served(root) as served:
        assert "content-encoding" not in served.get("/page.html", "Accept-Encoding: gzip")[1]


def test_cors(root):
    with Served(root, "--cors") as served:
        status, fields, _ = served.get("/a.txt", "Origin: http://elsewhere.example")
        same((status, fields["access-control-allow-origin"]), (200, "*"))
        assert "Content-Range" in fields["access-control-expose-headers"]
        status, fields, body = served.get("/a.txt", "Access-Control-Request-Method: GET",
                                          method="OPTIONS")
        same((status, body, fields["access-control-allow-methods"]), (204, b"", "GET, HEAD"))
        assert "Range" in fields["access-control-allow-headers"]
        same(served.get("/a.txt", method="OPTIONS")[0], 405)
        same(served.get("/nothing")[1]["access-control-allow-origin"], "*")
    with Served(root) as served:
        assert "access-control-allow-origin" not in served.get("/a.txt")[1]
        same(served.get("/a.txt", "Access-Control-Request-Method: GET", method="OPTIONS")[0], 405)


def test_header(root):
    with Served(root, "--header", "X-Frame-Options: DENY", "--header=Cache-Control:  no-cache ",
                "--header", "X-Empty:") as served:
        for target in ("/a.txt", "/nothing"):
            _, fields, _ = served.get(target)
            same((fields["x-frame-options"], fields["cache-control"], fields["x-empty"]),
                 ("DENY", "no-cache", ""))
    for field in ("X", "", ": x", "X Y: z", "X\n: y", "X: a\nY: b", "X: a\rb", "X : y"):
        refused(2, "is no field", "serve", root, "--header", field)
    for field in ("Content-Length: 1", "date: x", "Transfer-Encoding: chunked", "ETag: x"):
        refused(2, "sets by itself", "serve", root, "--header", field)
    refused(2, "no more", "serve", root, *["--header", "X: y"] * 17)
    long = "X: " + "y" * 4091  # 4,096 octets as it is sent
    refused(2, "too long", "serve", root, *["--header", long] * 2, "--header", "X: y")
    with Served(root, *["--header", long] * 2, "--cors", "--list") as served:
        for target in ("/a.txt", "/nothing", "/"):
            _, fields, _ = served.get(target)
            assert fields["x-content-type-options"] if target == "/a.txt" else True
            assert "y" * 4091 in fields["x"], target
    refused(2, "--header needs a value", "serve", root, "--header")


def test_max_connections(root):
    with Served(root, "--max-connections", "2") as served:
        with served.connect() as one, served.connect() as two:
            for connection in (one, two):  # both are taken
                connection.sendall(b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b" 200 " in connection.recv(1000)
            with served.connect() as three:
                try:
                    three.sendall(b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert b" 200 " not in read_all(three)
                except ConnectionError:
                    pass
    for value in ("0", "", "-1", "x", "1e3", "99999999999999999999"):
        refused(2, "connections", "serve", root, "--max-connections", value)


def test_drain_timeout(root):
    with Served(root, "--drain-timeout", "1") as served:
        connection, _ = start_download(served)
        same(served.end()[0], 0)  # though nobody has read it
        connection.close()
    for value in ("-1", "", "x", "86401", "1.5"):
        refused(2, "is no time", "serve", root, "--drain-timeout", value)


def test_show_config(root):
    code, out, err = rondo("serve", root, "--host", "::1", "--host", "127.0.0.1", "--port", "80",
                           "--unix", "@x", "--spa", "--header", "A: b", "--max-connections", "7",
                           "--drain-timeout", "3", "--show-config")
    same((code, err), (0, ""))
    lines = [tuple(line.split(None, 1)) for line in out.splitlines()]
    for line in (("directory", root), ("listen", "unix:@x"), ("listen", "[::1]:80"),
                 ("listen", "127.0.0.1:80"), ("spa", "on"), ("list", "off"), ("header", "A: b"),
                 ("limit", "connections 7"), ("drain-timeout", "3"), ("tls-cert", "off")):
        assert line in lines, (line, out)
    # Every limit that there is, with its default.
    with open(os.path.join(ROOT, "include/rondo/http_server.h"), encoding="utf-8") as file:
        limits = re.findall(r"X\((\w+), \w+, (\d+),", file.read())
    assert len(limits) > 10
    for name, value in limits:
        assert name == "connections" or ("limit", f"{name} {value}") in lines, (name, out)


def make_certificate(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=" + name,
                    "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    os.path.join(directory, "key.pem"), "-out", os.path.join(directory, "one.pem")],
                   check=True, capture_output=True, timeout=60)


def common_name(served):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(served.connect(), server_hostname="localhost") as connection:
        connection.sendall(b"GET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        same(parse(read_all(connection))[2], b"0123456789")
        pem = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    text = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem.encode(),
                          capture_output=True, check=True, timeout=60).stdout.decode()
    return text.split("=")[-1].strip()


def test_tls(root):
    refused(2, "go together", "serve", root, "--tls-cert", "x")
    refused(2, "go together", "serve", root, "--tls-key", "x")
    code, _, err = rondo("serve", root, "--port", "0", "--tls-cert", "nothing", "--tls-key", "nothing")
    if "there is no TLS" in err:
        print("    ok test_tls # skipped: built without OpenSSL")
        return
    assert code == 1 and "nothing" in err, (code, err)
    with tempfile.TemporaryDirectory() as directory:
        pem, key = os.path.join(directory, "one.pem"), os.path.join(directory, "key.pem")
        make_certificate(directory, "first")
        with Served(root, "--tls-cert", pem, "--tls-key", key, scheme="https") as served:
            assert "curl -ki https://127.0.0.1:" in served.intro[1], served.intro
            same(common_name(served), "first")
            make_certificate(directory, "second")
            same(common_name(served), "first")
            served.process.send_signal(signal.SIGHUP)
            until(lambda: common_name(served) == "second")
            with open(pem, "w") as file:
                file.write("no certificate")
            served.process.send_signal(signal.SIGHUP)
            assert "stays as it was" in served.process.stderr.readline().decode()
            same(common_name(served), "second")
            same(served.end()[0], 0)


def test_log(root):
    refused(1, "can't open the log", "serve", root, "--port", "0", "--log", "/nowhere/x.log")
    refused(2, "is no format", "serve", root, "--log", "x", "--log-format", "xml")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "access.log")
        os.mkfifo(path)  # nobody reads it: to wait would be deaf to signals
        refused(1, "nobody reads it", "serve", root, "--port", "0", "--log", path)
        os.remove(path)

        def lines(name=path):
            with open(name, encoding="utf-8") as file:
                return file.read().splitlines()
        with Served(root, "--log", path) as served:
            served.get("/a.txt?q=1", "Referer: http://x/", 'User-Agent: "me"')
            until(lambda: len(lines()) == 1)
            assert re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET /a.txt\?q=1 HTTP/1.1" 200 10 "http://x/" '
                                r'"\S*me\S*"', lines()[0]), lines()
            os.rename(path, path + ".1")
            served.get("/a.txt")
            until(lambda: len(lines(path + ".1")) == 2)  # still the file that it was
            served.process.send_signal(signal.SIGHUP)
            until(lambda: os.path.exists(path))
            served.get("/nothing")
            code, out, err = served.end()
            same((code, err), (0, ""))
            assert "GET" not in out, out
        same(len(lines(path + ".1")), 2)
        assert [line for line in lines() if " 404 " in line], lines()
        with Served(root, "--log", path, "--log-format=json") as served:
            served.get("/a.txt")
            same(served.end()[0], 0)
        same(json.loads(lines()[-1])["status"], 200)


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_hangup_without_anything_to_read_again_ends_it(root):
    with Served(root) as served:
        same(served.end(signal.SIGHUP)[0], -signal.SIGHUP)


def test_the_manual_has_every_option(_):
    with open(os.path.join(ROOT, "docs/man/rondo-serve.1"), encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    text = rondo("help", "serve")[1]
    options = set(re.findall(r"--[a-z][a-z-]+", text))
    assert len(options) > 10
    same(options - set(re.findall(r"--[a-z][a-z-]+", manual)), set())
    same(set(re.findall(r"^\.B[RI]? (--[a-z-]+)", manual, re.MULTILINE)) - options, set())
    if not shutil.which("mandoc") and not shutil.which("man"):
        print("    ok the manual's form # skipped: there is neither man nor mandoc")
    for command in (["mandoc", "-T", "lint", "-W", "warning"], ["man", "--warnings", "-E", "UTF-8", "-l"]):
        if not shutil.which(command[0]):
            continue
        run = subprocess.run([*command, os.path.join(ROOT, "docs/man/rondo-serve.1")],
                             capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                             env={**os.environ, "MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
        same(run.stderr, b"")
        if command[0] == "mandoc":
            same((run.returncode, run.stdout), (0, b""))


def test_current_directory(root):
    with Served("--quiet", lines=1, cwd=root) as served:
        same(served.get("/a.txt")[2], b"0123456789")
        same(served.end()[0], 0)


def start_download(served):
    connection = served.connect(receive_buffer=65536)
    connection.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    start = b""
    while not start.partition(b"\r\n\r\n")[2]:  # something of the body, too
        start += (more := connection.recv(1000))
        assert more, start
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
