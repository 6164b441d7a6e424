#!/usr/bin/env python3
"""`rondo get` from the outside: against servers of its own kind, and of Python's.

    test/get_test.py [WORD...]    only the tests with a WORD in their name
"""

import fcntl
import os
import select
import pty
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading

from running import BUILD, refusing_port, run_tests

RONDO = os.path.join(BUILD, "rondo")
LIMIT_S = 120 if os.environ.get("VARIANT") else 30


class Server:
    """Connections are answered by `script(connection, number)`, one after another, on a thread."""

    def __init__(self, script):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.script, self.asked = script, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(LIMIT_S)
                try:
                    self.asked.append(self.read_head(connection))
                    self.script(connection, number)
                except OSError:
                    pass
            number += 1

    @staticmethod
    def read_head(connection):
        head = b""
        while b"\r\n\r\n" not in head:
            got = connection.recv(4096)
            if not got:
                break
            head += got
        return head.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(LIMIT_S)  # or it would accept for whoever gets the number of this descriptor next
        self.listener.close()


def says(text):
    return lambda connection, number: connection.sendall(text if isinstance(text, bytes) else text.encode())


def ok(body, fields=""):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n{body}"


# What this machine's environment says about proxies is not for the tests.
PLAIN = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def get(*args, given=None, **environment):
    done = subprocess.run([RONDO, "get", *args], input=given, capture_output=True, timeout=LIMIT_S,
                          env={**PLAIN, **environment})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def same(got, want):
    assert got == want, f"{got!r} is not {want!r}"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_what_a_url_names_comes_out():
    with Server(says(ok("hello"))) as server:
        same(get(server.url + "/x?y"), (0, "hello", ""))
        assert server.asked[0].startswith("GET /x?y HTTP/1.1\r\n"), server.asked


def test_the_head_comes_first_when_asked_for():
    with Server(says(ok("hello", "X-A: b\r\n"))) as server:
        same(get("-i", server.url), (0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", ""))


def test_what_is_sent():
    with Server(says(ok(""))) as server:
        get("-X", "PUT", "-d", "abc", "-H", "X-A: b", "--user", "a:b", server.url)
        get("-d", "@-", server.url, given=b"from stdin")
        get("--method=DELETE", server.url)
        assert server.asked[0].startswith("PUT / HTTP/1.1"), server.asked
        for part in "X-A: b\r\n", "Authorization: Basic YTpi\r\n", "Content-Length: 3\r\n":
            assert part in server.asked[0], server.asked[0]
        assert server.asked[1].startswith("POST ") and "Content-Length: 10\r\n" in server.asked[1]
        assert server.asked[2].startswith("DELETE ")


def test_an_error_of_the_server_is_an_exit_status():
    with tempfile.TemporaryDirectory() as folder, \
            Server(says("HTTP/1.1 404 Not Here\r\nContent-Length: 2\r\n\r\nno")) as server:
        status, out, err = get(server.url)
        same((status, out), (4, "no"))
        assert "404 Not Here" in err, err
        path = os.path.join(folder, "kept")
        with open(path, "w") as file:
            file.write("before")
        same(get("-q", "-o", path, server.url), (4, "", ""))
        same(read(path), b"before")


def test_what_can_not_be_got():
    with refusing_port() as port:
        status, out, err = get(f"http://127.0.0.1:{port}/")
    same((status, out), (1, ""))
    assert "refused" in err, err
    with Server(says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")) as server:
        status, out, err = get(server.url)
        same((status, out), (1, "hello"))
        assert "aborted" in err, err
    with Server(says("nonsense\r\n\r\n")) as server:
        same(get(server.url)[0], 4)
    with Server(lambda connection, number: connection.recv(1)) as server:
        for seconds in 0.2, 1, 5, 25:  # a busy machine may not get as far in less
            status, _, err = get("--max-time", str(seconds), server.url)
            same(status, 1)
            if "(while awaiting the answer)" in err:
                break
        assert "the call was not over in time (while awaiting the answer)" in err, err


def test_wrong_usage():
    for args in [], ["a", "b"], ["--no-such", "a"], ["-o"], ["-C", "http://a/"], ["ftp://a/"], ["a b"], \
            ["--max-time", "x", "http://a/"], ["-H", "no colon", "http://a/"], ["-X", "G T", "http://a/"], \
            ["--proxy", "ftp://x", "http://a/"]:
        status, out, err = get(*args)
        same((status, out), (2, ""))
        assert err.startswith("rondo: ") and err.count("\n") == 1, (args, err)
    status, out, _ = get("--help")
    assert status == 0 and out.startswith("usage: rondo get"), out


def test_redirects():
    def script(connection, number):
        connection.sendall(b"HTTP/1.1 302 F\r\nLocation: /there\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhere"
                           if number % 2 == 0 else ok("there").encode())
    with Server(script) as server:
        same(get(server.url), (0, "there", ""))
    with Server(script) as server:
        same(get("--no-follow", server.url), (0, "here", ""))


def ranged(content, etag, cut=None):
    """A server of one file that understands Range and If-Range; its first answer breaks off at `cut`."""
    def script(connection, number):
        fields = dict(line.split(": ", 1) for line in server.asked[-1].split("\r\n")[1:] if ": " in line)
        start = 0
        if "Range" in fields and fields.get("If-Range", etag) == etag:
            start = int(fields["Range"][6:-1])
        if start >= len(content):
            connection.sendall(f"HTTP/1.1 416 No\r\nContent-Range: bytes */{len(content)}\r\n"
                               "Content-Length: 0\r\n\r\n".encode())
            return
        status = f"206 P\r\nContent-Range: bytes {start}-{len(content) - 1}/{len(content)}" if start else "200 OK"
        body = content[start:]
        connection.sendall(f"HTTP/1.1 {status}\r\nETag: {etag}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                           + (body[:cut] if number == 0 and cut else body))
    server = Server(script)
    return server


def test_going_on_with_a_file():
    content = bytes(range(256)) * 1000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with ranged(content, '"one"', cut=100000) as server:
            same(get("-q", "-C", "-o", path, server.url)[0], 1)
            same(read(path), content[:100000])
            same(get("-C", "-o", path, server.url), (0, "", ""))
            same(read(path), content)
            assert "Range: bytes=100000-\r\n" in server.asked[1], server.asked[1]
            status, _, err = get("-C", "-o", path, server.url)
            assert status == 0 and "complete already" in err, err


def test_a_file_that_has_changed_is_got_anew():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with ranged(b"a" * 1000, '"one"', cut=100) as server:
            get("-q", "-o", path, server.url)
            same(read(path), b"a" * 100)
        try:
            os.getxattr(path, "user.rondo.etag")
        except OSError:
            print("  (no extended attributes here: skipped)")
            return
        with ranged(b"b" * 500, '"two"') as server:
            same(get("-C", "-o", path, server.url)[0], 0)
            assert 'If-Range: "one"\r\n' in server.asked[0], server.asked[0]
        same(read(path), b"b" * 500)
        assert "user.rondo.etag" not in os.listxattr(path)


def test_another_part_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            file.write(b"12345")
        with Server(says("HTTP/1.1 206 P\r\nContent-Range: bytes 3-9/10\r\nContent-Length: 7\r\n\r\n3456789")) as server:
            same(get("-C", "-o", path, server.url)[0], 4)
        same(read(path), b"12345")


def test_parts_that_do_not_fit():
    """None of these may be put behind what is there."""
    for content_range in ["bytes 5-9/9", "bytes 5-8/10", "bytes 5-4/10", "bytes 5-x/10", "bytes 5-9", "bytes 5-9/",
                          "bytes 5-9/10 ", "bytes 5-9/10,", "bytes 0-4/10", "bytes 05x-9/10", "items 5-9/10",
                          "bytes 5-9/99999999999999999999", ""]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            with open(path, "wb") as file:
                file.write(b"01234")
            field = f"Content-Range: {content_range}|" if content_range else ""
            answer = f"HTTP/1.1 206 P\r\n{field}Content-Length: 5\r\n\r\n56789".replace("|", "\r\n")
            with Server(says(answer)) as server:
                status, _, err = get("-C", "-o", path, server.url)
            if content_range == "bytes 5-9/10 ":  # what is around a value is not of it
                same((status, read(path)), (0, b"0123456789"))
            else:
                same((status, read(path)), (4, b"01234"))
                assert "another part" in err, err


def test_a_part_of_the_rest_is_not_the_end():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")

        def script(connection, number):
            first = 5 + 2 * number
            connection.sendall(f"HTTP/1.1 206 P\r\nContent-Range: Bytes {first}-{first + 1}/9\r\n"
                               f"Content-Length: 2\r\nETag: \"e\"\r\n\r\n{first}{first + 1}".encode())
        with open(path, "wb") as file:
            file.write(b"01234")
        with Server(script) as server:
            status, _, err = get("-C", "-o", path, server.url)
            same((status, read(path)), (4, b"0123456"))
            assert "2 octets are missing" in err, err
            same(get("-C", "-o", path, server.url), (0, "", ""))
            same(read(path), b"012345678")


def test_parts_of_two_versions_are_not_mixed():
    """RFC 9110 section 15.3.7: a server may not look at If-Range."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with ranged(b"a" * 1000, '"one"', cut=100) as server:
            get("-q", "-o", path, server.url)
        try:
            os.getxattr(path, "user.rondo.etag")
        except OSError:
            print("  (no extended attributes here: skipped)")
            return
        with Server(says('HTTP/1.1 206 P\r\nContent-Range: bytes 100-104/105\r\nETag: "two"\r\n'
                         "Content-Length: 5\r\n\r\nbbbbb")) as server:
            status, _, err = get("-C", "-o", path, server.url)
            same((status, read(path)), (4, b"a" * 100))
            assert "has changed" in err, err


def test_a_dash_is_the_standard_output():
    with tempfile.TemporaryDirectory() as folder, Server(says(ok("here"))) as server:
        done = subprocess.run([RONDO, "get", "-o", "-", server.url], cwd=folder, env=PLAIN, capture_output=True,
                              timeout=LIMIT_S)
        same((done.returncode, done.stdout, os.listdir(folder)), (0, b"here", []))
    same(get("-C", "-o", "-", "http://127.0.0.1/")[0], 2)


def test_a_fifo_takes_what_is_read():
    with tempfile.TemporaryDirectory() as folder, Server(says(ok("here" * 100000))) as server:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        code, _, err = get("-o", path, server.url)  # to wait for a reader would be deaf to Ctrl-C
        assert (code, "nobody reads it" in err) == (1, True), (code, err)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        with subprocess.Popen([RONDO, "get", "-q", "-o", path, server.url], env=PLAIN) as process:
            select.select([reader], [], [], LIMIT_S)
            with os.fdopen(reader, "rb") as file:
                same(len(file.read()), 400000)
            same(process.wait(LIMIT_S), 0)


def test_what_is_closed_is_not_taken_for_a_sink():
    with Server(says(ok("here"))) as server:
        for line, words in ("get {} >&-", b"can't write"), ("get -d @- {} <&-", b"can't read"), ("--version >&-", b"can't write"):
            done = subprocess.run(["sh", "-c", f"exec {RONDO} " + line.format(server.url)], env=PLAIN, capture_output=True,
                                  timeout=LIMIT_S)
            same(done.returncode, 1)
            assert words in done.stderr and b"ad file descriptor" in done.stderr, done.stderr


def test_a_server_does_not_command_the_terminal():
    reason = b"\x9b31m \xc2\x9b2J gr\xc3\x9f \xe2\x80\x93 \xf0\x9f\x98\x80"
    with Server(says(b"HTTP/1.1 404 " + reason + b"\r\nContent-Length: 0\r\n\r\n")) as server:
        done = subprocess.run([RONDO, "get", server.url], env=PLAIN, capture_output=True, timeout=LIMIT_S)
    assert done.stderr.endswith(b"404 ?31m \xc2?2J gr\xc3\x9f \xe2\x80\x93 \xf0\x9f\x98\x80\n"), done.stderr


def test_ctrl_c_leaves_what_has_come():
    came = threading.Event()

    def script(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000)
        came.set()
        connection.recv(1)
    with tempfile.TemporaryDirectory() as folder, Server(script) as server:
        path = os.path.join(folder, "file")
        process = subprocess.Popen([RONDO, "get", "-o", path, server.url], stderr=subprocess.PIPE)
        assert came.wait(LIMIT_S)
        while not os.path.exists(path) or os.path.getsize(path) < 5000:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
        same(process.returncode, 130)
        same(read(path), b"x" * 5000)


def test_a_reader_that_has_seen_enough():
    with Server(says(ok("x" * 1000000))) as server:
        process = subprocess.Popen([RONDO, "get", server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        same(process.stderr.read(), b"")
        process.wait(timeout=LIMIT_S)
        process.stderr.close()


def test_a_slow_reader_slows_the_server_down():
    sent = []

    def script(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.settimeout(1)
        try:
            for _ in range(2000):
                connection.sendall(b"x" * 65536)
                sent.append(65536)
        except socket.timeout:
            pass
    with Server(script) as server:
        process = subprocess.Popen([RONDO, "get", server.url], stdout=subprocess.PIPE)
        server.thread.join(0.1)
        while len(server.asked) == 0:
            server.thread.join(0.1)
        # It can't send all: the pipe is full, and so is what lies between.
        for _ in range(600):
            before = len(sent)
            server.thread.join(0.1)
            if len(sent) == before and before > 0:
                break
        assert sum(sent) < 2000 * 65536, sum(sent)
        with open(f"/proc/{process.pid}/status") as status:
            resident = [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]
        if not os.environ.get("VARIANT"):
            assert resident < 50000, resident
        process.kill()
        process.communicate(timeout=LIMIT_S)


def shown_on_terminal(columns=None):
    """(what it prints there about a body whose second half comes once it has said that half is there, its status)"""
    half = threading.Event()

    def script(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1000)
        assert half.wait(LIMIT_S)
        connection.sendall(b"x" * 1000)
    with tempfile.TemporaryDirectory() as folder, Server(script) as server:
        main, other = pty.openpty()
        if columns:
            fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([RONDO, "get", "-o", os.path.join(folder, "f"), server.url], stderr=other)
        os.close(other)
        shown = b""
        while b"50%" not in shown:
            shown += os.read(main, 1000)
        half.set()
        try:
            while more := os.read(main, 1000):
                shown += more
        except OSError:
            pass
        os.close(main)
        return shown, process.wait(timeout=LIMIT_S)


def test_progress_is_for_terminals():
    shown, status = shown_on_terminal()
    same(status, 0)
    assert b"50% [" in shown and b"100% [" in shown, shown


def test_a_bar_fits_its_terminal():
    for columns in (10, 30, 60, 200):
        shown, status = shown_on_terminal(columns)
        same(status, 0)
        widest = max(len(line.removesuffix(b"\x1b[K")) for line in shown.strip().split(b"\r"))
        assert widest < columns, (columns, shown)
        same(b"[" in shown.replace(b"\x1b[K", b""), columns == 200)


def test_a_redirect_that_is_not_followed_is_no_success():
    def script(connection, number):
        connection.sendall(b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 4\r\n\r\nmove")
    with tempfile.TemporaryDirectory() as folder, Server(script) as server:
        path = os.path.join(folder, "file")
        status, out, err = get("-o", path, server.url)
        same((status, out, os.path.exists(path)), (4, "", False))
        assert "too many redirects" in err, err
        same(len(server.asked), 11)
        same(get("--no-follow", server.url), (0, "move", ""))
    answer = "HTTP/1.1 302 F\r\nLocation: ftp://x/\r\nContent-Length: 4\r\n\r\nmove"
    with Server(says(answer)) as server:
        status, out, err = get(server.url)
        assert (status, out) == (4, "move") and "not followed to 'ftp://x/'" in err, (status, out, err)


def test_a_proxy():
    with Server(says(ok("from the proxy"))) as server:
        same(get("--proxy", server.url.replace("//", "//a:b@"), "http://no.such.test/x"), (0, "from the proxy", ""))
        assert server.asked[0].startswith("GET http://no.such.test/x HTTP/1.1\r\nHost: no.such.test\r\n")
        assert "Proxy-Authorization: Basic YTpi\r\n" in server.asked[0]


def test_proxies_of_the_environment():
    def way(*args, **environment):
        """Who was asked, and for what, by a URL of http."""
        with Server(says(ok("proxy"))) as proxy, Server(says(ok("other"))) as other:
            environment = {name: value.format(proxy=proxy.url, other=other.url, port=proxy.port)
                           for name, value in environment.items()}
            args = [arg.format(proxy=proxy.url, other=other.url) for arg in args]
            status, out, err = get(*args, **environment)
            return out or err, (proxy.asked + other.asked + [""])[0].split("\r\n")[0]

    url, through = "http://one.test/x", "GET http://one.test/x HTTP/1.1"
    same(way(url, http_proxy="{proxy}"), ("proxy", through))
    same(way(url, http_proxy="127.0.0.1:{port}"), ("proxy", through))
    same(way("-x", "{proxy}", url), ("proxy", through))
    same(way("--proxy={proxy}", url, http_proxy="{other}"), ("proxy", through))
    same(way("{other}", http_proxy="{proxy}", no_proxy="127.0.0.0/8")[0], "other")
    same(way("{other}", http_proxy="{proxy}", NO_PROXY="a.test, 127.0.0.1")[0], "other")
    same(way("{other}", http_proxy="{proxy}", no_proxy="", NO_PROXY="*")[0], "other")
    same(way("-x", "{proxy}", "--no-proxy", "127.0.0.1", "{other}")[0], "other")
    same(way("--no-proxy", "one.test", "{other}", http_proxy="{proxy}", no_proxy="*")[0], "proxy")
    same(way("-x", "", "{other}", http_proxy="{proxy}")[0], "other")
    # A CGI program's client would say where its secrets go.
    same(way("{other}", HTTP_PROXY="{proxy}")[0], "other")
    same(way("{other}", https_proxy="{proxy}")[0], "other")
    for name in "https_proxy", "HTTPS_PROXY":
        same(way("https://one.test/", **{name: "{proxy}"})[1], "CONNECT one.test:443 HTTP/1.1")
    status, out, err = get(url, http_proxy="ftp://a:secret@b")
    same((status, out), (2, ""))
    assert "http_proxy" in err and "secret" not in err, err


sys.exit(run_tests(globals()))
