#!/usr/bin/env python3
"""The example http_echo against the raw requests of test/http_cases, whole and octet by octet: as it
is, and behind TLS. Where a sanitizer or another compiler looks for other things, only as it is.

    test/http_cases_test.py [WORD...]    only the tests with a WORD in their name
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

from running import IS_PLAIN, ROOT, Example, run_tests

CASES = os.path.join(ROOT, "test/http_cases")
VARIANT = os.environ.get("VARIANT", "")
WITH_TLS = "-lssl" in os.environ.get("LIBS", "-lssl")
# llhttp 8.1.0 refuses these though they are valid; later versions don't.
GRAMMAR = {"cl-tabs", "te-trail-sp", "ch-ext-multi", "ch-ext-escape"}


def check(port, slow):
    """Runs all cases; the slow ones too, which wait for the server's own timeouts of 10 s."""
    with tempfile.NamedTemporaryFile("r") as rows:
        subprocess.run(
            [sys.executable, os.path.join(CASES, "run_http_cases.py"), "127.0.0.1", str(port), "--echo",
             "--json", rows.name, *(["--slow", "12"] if slow else []),
             # A busy machine's answer is late, not missing. Those that wait, wait together.
             "--timeout", "12", *(["--grace", "1"] if VARIANT else []), "-j", "32" if slow else "16"],
            check=False, stdout=subprocess.DEVNULL, timeout=400)
        results = json.load(rows)
    assert len(results) > 290, len(results)
    failed = {row["id"]: row for row in results if not row["ok"]}
    unexpected = [row for name, row in failed.items() if name not in GRAMMAR]
    assert not unexpected, json.dumps(unexpected, indent=1)


def test_as_it_is():
    if VARIANT not in ("", "asan"):
        return  # those look for other things
    with Example("http_echo") as server:
        check(server.port, slow=IS_PLAIN)


# ---- TLS ----

class TlsSide:
    """A TLS connection whose two directions end one by one, which ssl.SSLSocket can't."""

    def __init__(self, port):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.lock = threading.Lock()  # one TLS connection is not for two threads at once
        while not self.attempt(self.tls.do_handshake):
            self.receive()

    def attempt(self, call, *args):
        """(result,) or None when octets must arrive first. Sends what that has made."""
        with self.lock:
            try:
                return (call(*args),)
            except ssl.SSLWantReadError:
                return None
            finally:
                if data := self.outgoing.read():
                    self.socket.sendall(data)

    def receive(self):
        data = self.socket.recv(65536)
        with self.lock:
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()
        return bool(data)

    def read(self):
        while (got := self.attempt(self.tls.read, 65536)) is None:
            self.receive()
        return got[0]


def forward(client, port):
    try:
        server = TlsSide(port)
    except OSError:
        client.close()
        return

    def there():
        try:
            while data := client.recv(65536):
                server.attempt(server.tls.write, data)
            server.attempt(server.tls.unwrap)  # our goodbye; theirs comes when it comes
        except OSError:
            server.socket.close()

    threading.Thread(target=there, daemon=True).start()
    try:
        while data := server.read():
            client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        client.close()


def test_behind_tls():
    if VARIANT or not WITH_TLS:
        return
    with tempfile.TemporaryDirectory(prefix="rondo-cases-") as place:
        key, certificate = os.path.join(place, "key"), os.path.join(place, "certificate")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"],
            check=True, capture_output=True)
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        with Example("http_echo", certificate, key) as server:

            def serve():
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=forward, args=(client, server.port), daemon=True).start()

            threading.Thread(target=serve, daemon=True).start()
            check(listener.getsockname()[1], slow=False)


if __name__ == "__main__":
    sys.exit(run_tests(globals()))
