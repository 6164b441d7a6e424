#!/usr/bin/env python3
"""TLS with peers of other makes: the examples tls_echo and hello_https against OpenSSL's programs,
Python, curl and Node.

    test/tls_test.py [WORD...]    only the tests with a WORD in their name
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from running import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
LIMIT_S = 60
DIR = tempfile.TemporaryDirectory(prefix="rondo-tls-")


class Skip(Exception):
    pass


def path(name):
    return os.path.join(DIR.name, name)


def make_certificate(name, subject):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", path(name + ".key"), "-out", path(name + ".pem"), "-days", "2",
         "-subj", "/CN=" + subject, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True)


class Server:
    """An example that serves while a with statement lasts. It must end well by SIGINT."""

    def __init__(self, name, certificate="one"):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "examples", name), path(certificate + ".pem"),
             path(certificate + ".key"), "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert " listening on port " in line, line + self.process.stderr.read()
        self.port = int(line.split()[-1])
        self.err = ""

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGINT)
        try:
            _, self.err = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert kind or self.process.returncode == 0, (self.process.returncode, self.err)


def run(*command, stdin="", status=0):
    """What it prints, on both outputs; node warns of certificates of the environment's that aren't there."""
    environment = {name: value for name, value in os.environ.items() if name != "NODE_EXTRA_CA_CERTS"}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    assert status is None or done.returncode == status, (command, done)
    return done.stdout + done.stderr


def talk_python(port, authority="one", version=None, half=False):
    """Sends 102,400 bytes, which must come back: the version of TLS."""
    context = ssl.create_default_context(cafile=path(authority + ".pem"))
    if version:
        context.minimum_version = context.maximum_version = version
    sent = bytes(range(256)) * 400
    with socket.create_connection(("127.0.0.1", port), LIMIT_S) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            # Not in a thread of its own: OpenSSL's connections are not for two at a time. The
            # kernel's buffers have room for all of it.
            connection.sendall(sent)
            got = b""
            while len(got) < len(sent):
                chunk = connection.recv(65536)
                assert chunk, len(got)
                got += chunk
            assert got == sent
            version = connection.version()
            if half:
                connection.unwrap()  # waits for the answer to our close_notify
            return version


# --- Rondo as the server ---------------------------------------------------------------------------

def test_python_talks_to_the_server():
    with Server("tls_echo") as server:
        assert talk_python(server.port) == "TLSv1.3"
        assert talk_python(server.port, version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        talk_python(server.port, half=True)
    assert server.err == "", server.err


def test_s_client_talks_to_the_server():
    for version in "-tls1_2", "-tls1_3":
        with Server("tls_echo") as server:
            client = subprocess.Popen(
                ["openssl", "s_client", "-quiet", "-no_ign_eof", version, "-CAfile", path("one.pem"),
                 "-verify_return_error", "-connect", f"127.0.0.1:{server.port}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for line in b"one\n", b"two\n":
                client.stdin.write(line)
                client.stdin.flush()
                assert client.stdout.readline() == line
            client.stdin.close()
            assert client.wait(LIMIT_S) == 0
            client.stdout.close()


def test_s_client_asks_for_key_updates():
    """K: a new key of ours; k would be the same without the question for one of theirs."""
    with Server("tls_echo") as server:
        client = subprocess.Popen(
            ["openssl", "s_client", "-tls1_3", "-CAfile", path("one.pem"),
             "-connect", f"127.0.0.1:{server.port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for word in b"before\n", b"after\n", b"again\n":
            client.stdin.write(word)
            client.stdin.flush()
            for line in client.stdout:
                if line == word:
                    break
            else:
                raise AssertionError("no echo of %r" % word)
            client.stdin.write(b"K\n")
            client.stdin.flush()
            for line in client.stdout:
                if b"KEYUPDATE" in line:
                    break
        client.stdin.write(b"Q\n")
        client.stdin.close()
        client.stdout.read()
        client.wait(LIMIT_S)
        client.stdout.close()
    assert server.err == "", server.err


def test_old_versions_are_refused():
    with Server("tls_echo") as server:
        for version in "-tls1", "-tls1_1":
            text = run("openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0",
                       "-connect", f"127.0.0.1:{server.port}", status=None)
            assert "alert protocol version" in text, text
    assert server.err.count("unsupported protocol") == 2, server.err


def test_plain_http_is_refused_in_words():
    with Server("hello_https") as https, Server("tls_echo") as server:
        text = run("curl", "-sS", "-m", str(LIMIT_S), f"http://127.0.0.1:{server.port}/", status=None)
        assert "curl:" in text, text
        url = f"http://127.0.0.1:{https.port}/"
        for more in [], ["-H", "A: " + "a" * 30000], ["-d", "a" * 10000]:
            text = run("curl", "-sS", "-i", "-m", str(LIMIT_S), *more, url)
            assert text.startswith("HTTP/1.1 400 ") and "Connection: close" in text and "https://" in text, text
        assert run("curl", "-sS", "--cacert", path("one.pem"), f"https://localhost:{https.port}/").strip()
    assert "the peer speaks HTTP without TLS" in server.err, server.err


def test_a_certificate_is_read_again():
    shutil.copy(path("one.pem"), path("live.pem"))
    shutil.copy(path("one.key"), path("live.key"))
    with Server("tls_echo", "live") as server:
        talk_python(server.port)
        shutil.copy(path("two.pem"), path("live.pem"))
        server.process.send_signal(signal.SIGHUP)
        assert "private key mismatch" in server.process.stderr.readline()
        talk_python(server.port)
        shutil.copy(path("two.key"), path("live.key"))
        server.process.send_signal(signal.SIGHUP)
        for _ in range(200):
            try:
                talk_python(server.port, "two")
                return
            except ssl.SSLError:
                pass
        raise AssertionError("the new certificate is not in use")


def test_curl_gets_a_page():
    with Server("hello_https") as server:
        url = f"https://localhost:{server.port}/"
        assert run("curl", "-sS", "-k", url) == "hello over TLS\n"
        text = run("curl", "-sSv", "--cacert", path("one.pem"), "--http1.1", url, url)
        assert text.count("hello over TLS") == 2 and "ALPN" in text, text
        text = run("curl", "-sS", "--cacert", path("two.pem"), url, status=60)
        assert "certificate" in text, text


NODE_CLIENT = """
const tls = require('tls'), fs = require('fs');
const ca = fs.readFileSync(process.argv[2]), port = +process.argv[3];
const sent = Buffer.alloc(300000, 'node');
let got = 0, reused;
function talk(session, done) {
  got = 0;
  let ticket = session;
  const s = tls.connect({port, host: '127.0.0.1', servername: 'localhost', ca, session},
                        () => { reused = s.isSessionReused(); s.write(sent); });
  s.on('session', (one) => { ticket = one; });
  s.on('data', (d) => { got += d.length; if (got === sent.length) s.end(); });
  s.on('end', () => console.log('end', got, reused));
  s.on('error', (e) => console.log(e.message));
  s.on('close', () => done(ticket));
}
talk(undefined, (ticket) => talk(ticket, () => {}));
"""


def node(script, *args):
    if not shutil.which("node"):
        raise Skip("no node")
    with open(path("script.js"), "w", encoding="utf-8") as file:
        file.write(script)
    return ["node", path("script.js"), *args]


def test_node_talks_to_the_server_and_resumes():
    with Server("tls_echo") as server:
        text = run(*node(NODE_CLIENT, path("one.pem"), str(server.port)))
        assert text == "end 300000 false\nend 300000 true\n", text


# --- Rondo as the client ---------------------------------------------------------------------------

def connect_rondo(port, authority="one", host="localhost", status=0):
    return run(os.path.join(BUILD, "examples", "tls_echo"), "connect", host, str(port),
               path(authority + ".pem"), status=status)


def serve_python(handler):
    """One connection of a server of Python's, in a thread: its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path("one.pem"), path("one.key"))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT_S)

    def work():
        with listener:
            plain, _ = listener.accept()
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        handler(connection)
                except OSError:
                    pass  # the client tells

    threading.Thread(target=work, daemon=True).start()
    return listener.getsockname()[1]


def echo_once(connection):
    connection.sendall(connection.recv(1000))
    while connection.recv(1000):
        pass
    connection.unwrap()  # close() alone says no goodbye


def test_the_client_talks_to_python():
    assert "hello over TLS" in connect_rondo(serve_python(echo_once))
    assert "hello over TLS" in connect_rondo(serve_python(echo_once), host="127.0.0.1")
    text = connect_rondo(serve_python(echo_once), "two", status=1)
    assert "self-signed certificate" in text, text


def test_the_client_notices_a_cut_connection():
    def cut(connection):
        connection.recv(1000)
        os.close(connection.detach())

    text = connect_rondo(serve_python(cut), status=1)
    assert "the connection ended without close_notify" in text, text


def test_the_client_talks_to_s_server():
    port = free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-quiet", "-rev", "-naccept", "1", "-cert", path("one.pem"), "-key",
         path("one.key"), "-accept", f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT_S
        while "connection refused" in (text := connect_rondo(port, status=None)) and time.monotonic() < end:
            time.sleep(0.02)
        assert "SLT revo olleh" in text, text
    finally:
        server.kill()
        server.wait()


NODE_SERVER = """
const tls = require('tls'), fs = require('fs');
const s = tls.createServer({cert: fs.readFileSync(process.argv[2]),
                            key: fs.readFileSync(process.argv[3])}, (c) => { c.pipe(c); });
s.listen(0, '127.0.0.1', () => console.log(s.address().port));
"""


def test_the_client_talks_to_node():
    with subprocess.Popen(node(NODE_SERVER, path("one.pem"), path("one.key")),
                          stdout=subprocess.PIPE, text=True) as server:
        try:
            assert "hello over TLS" in connect_rondo(int(server.stdout.readline()))
        finally:
            server.kill()


# --- The rest --------------------------------------------------------------------------------------

def main():
    words = sys.argv[1:]
    if not os.path.exists(os.path.join(BUILD, "examples", "tls_echo")):
        print("tls_echo is not built")
    probe = subprocess.run([os.path.join(BUILD, "examples", "tls_echo"), "a", "b"],
                           capture_output=True, text=True, check=False)
    if "not built in" in probe.stderr:
        print("ok all # skipped: built without OpenSSL\n1 passed, 0 failed")
        return 0
    make_certificate("one", "one")
    make_certificate("two", "two")
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (words and not any(word in name for word in words)):
            continue
        try:
            test()
            passed += 1
            print(f"ok {name[5:]}")
        except Skip as why:
            passed += 1
            print(f"ok {name[5:]} # skipped: {why}")
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"FAIL {name[5:]}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
