#!/usr/bin/env python3
"""WebSockets with peers of other makes, both ways: examples/ws_echo against Python's websockets and Node's
ws, plain and compressed.

    test/websocket_test.py [WORD...]    only the tests with a WORD in their name
"""

import asyncio
import contextlib
import functools
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import running  # noqa: E402

try:
    import websockets
    from websockets.extensions.permessage_deflate import (ClientPerMessageDeflateFactory,
                                                          ServerPerMessageDeflateFactory)
except ImportError:
    if os.path.exists("/usr/bin/python3") and "WEBSOCKETS_TRIED" not in os.environ:
        os.environ["WEBSOCKETS_TRIED"] = "1"  # Debian's package is there for Debian's Python
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    websockets = None

NODE = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}
ECHO = os.path.join(running.BUILD, "examples", "ws_echo")


@functools.lru_cache(maxsize=None)
def has_node_ws():
    return shutil.which("node") is not None and subprocess.run(
        ["node", "-e", "require('ws')"], env=NODE, capture_output=True).returncode == 0


def needs(present, what):
    """A test that is skipped, and says so, where something is not installed."""
    def decorate(test):
        @functools.wraps(test)
        def run():
            if present():
                return test()
            print(f"    ok {test.__name__} # skipped: there is no {what}")
            return None
        return run
    return decorate


needs_python = needs(lambda: websockets is not None, "python3-websockets")
needs_node = needs(has_node_ws, "node-ws")


def server(context=False):
    if context:
        os.environ["WS_ECHO_CONTEXT"] = "1"
    else:
        os.environ.pop("WS_ECHO_CONTEXT", None)
    return running.Example("ws_echo")


# Messages at every change of form: lengths, types, what compresses and what doesn't.
MESSAGES = ["", "a", "\u00e9\u20ac\U0001f600" * 30, "x" * 125, "x" * 126, "y" * 65535, "z" * 65536,
            b"", bytes(range(256)), os.urandom(70000), "compress me " * 20000, "a" * 1000000]

# ---- Python's websockets ----


async def python_talks(port, extensions):
    async with websockets.connect(f"ws://127.0.0.1:{port}/", subprotocols=["none", "echo"],
                                  extensions=extensions, compression=None,
                                  max_size=None) as socket:
        assert socket.subprotocol == "echo"
        assert len(socket.extensions) == len(extensions), socket.extensions
        for message in MESSAGES * 2:
            await socket.send(message)
            answer = await socket.recv()
            assert answer == message, (len(answer), len(message))
        # In fragments, which come back as one
        await socket.send(["one, ", "two, ", "three" * 1000])
        assert await socket.recv() == "one, two, " + "three" * 1000
        await asyncio.wait_for(await socket.ping(b"are you there"), running.LIMIT_S)
        # All at once
        for number in range(500):
            await socket.send(f"message {number} " * 30)
        for number in range(500):
            assert await socket.recv() == f"message {number} " * 30
        await socket.close(4321, "bye")
        assert socket.close_code == 4321, socket.close_code


def client_offer(**parameters):
    return [ClientPerMessageDeflateFactory(**parameters)]


@needs_python
def test_python_client():
    offers = [[], client_offer(), client_offer(client_max_window_bits=9),
              client_offer(server_max_window_bits=9),
              client_offer(server_no_context_takeover=True, client_no_context_takeover=True)]
    for context in (False, True):
        with server(context) as echo:
            for offer in offers:
                asyncio.run(python_talks(echo.port, offer))


async def python_breaks(port):
    """What it does wrong is answered with the code for it."""
    for send, code in ((b"\xff\xfe", 1007), (None, 1006)):
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/", compression=None)
        if send:
            await socket.write_frame(True, 1, send)
        else:
            socket.transport.abort()
        await asyncio.wait_for(socket.wait_closed(), running.LIMIT_S)
        assert socket.close_code == code, socket.close_code


@needs_python
def test_python_client_that_breaks_rules():
    with server() as echo:
        asyncio.run(python_breaks(echo.port))
        asyncio.run(python_talks(echo.port, []))


async def wait_for_end(port, echo):
    async with websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send("a")
        assert await socket.recv() == "a"
        echo.process.send_signal(2)
        await asyncio.wait_for(socket.wait_closed(), running.LIMIT_S)
        assert (socket.close_code, socket.close_reason) == (1001, "going away")


@needs_python
def test_the_server_says_that_it_goes():
    with server() as echo:
        asyncio.run(wait_for_end(echo.port, echo))
        echo.process.wait(running.LIMIT_S)  # a second signal would end it at once


async def python_serves(extensions):
    """An echo server for one run of the example as a client, and what that printed."""
    async def echo(socket):
        try:
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass

    lines = [f"line {number} " * (number % 300 + 1) for number in range(300)] + ["\u20ac" * 1000]
    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["echo"],
                                extensions=extensions, compression=None) as serving:
        port = serving.sockets[0].getsockname()[1]
        client = await asyncio.create_subprocess_exec(
            ECHO, f"ws://127.0.0.1:{port}/", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(client.communicate("\n".join(lines).encode()),
                                        running.LIMIT_S)
        assert client.returncode == 0, client.returncode
        assert out.decode().split("\n")[:-1] == lines


@needs_python
def test_python_server():
    for extensions in ([], [ServerPerMessageDeflateFactory()],
                       [ServerPerMessageDeflateFactory(server_max_window_bits=10)]):
        asyncio.run(python_serves(extensions))


# ---- Node's ws ----

NODE_CLIENT = r"""
const WebSocket = require('ws'), crypto = require('crypto');
const [port, deflate] = [process.argv[1], JSON.parse(process.argv[2])];
const messages = ['', 'a', '\u00e9\u20ac'.repeat(40), 'x'.repeat(125), 'x'.repeat(126),
    'y'.repeat(65536), Buffer.alloc(0), crypto.randomBytes(70000), 'compress me '.repeat(20000)];
const all = [...messages, ...messages];
const socket = new WebSocket(`ws://127.0.0.1:${port}/`, ['echo'], {perMessageDeflate: deflate});
let next = 0;
const fail = (why) => { console.error(why); process.exit(1); };
socket.on('error', fail);
socket.on('open', () => {
    for (const message of all) socket.send(message);
    socket.send('first ', {fin: false});
    socket.ping('in between');
    socket.send('second', {fin: true});
});
socket.on('message', (data, binary) => {
    const want = next < all.length ? all[next] : 'first second';
    next++;
    if (binary !== Buffer.isBuffer(want)) fail('type of ' + next);
    if (!Buffer.from(want).equals(data)) fail('message ' + next);
    if (next === all.length + 1) socket.close(1000, 'bye');
});
socket.on('pong', (data) => { if (data.toString() !== 'in between') fail('pong'); });
socket.on('close', (code) => {
    if (code !== 1000 || next !== all.length + 1) fail(`code ${code} after ${next}`);
    console.log(socket.extensions);
});
"""


def run_node_client(port, deflate):
    done = subprocess.run(["node", "-e", NODE_CLIENT, str(port), json.dumps(deflate)], env=NODE,
                          capture_output=True, text=True, timeout=running.LIMIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_node
def test_node_client():
    for context in (False, True):
        with server(context) as echo:
            assert run_node_client(echo.port, False) == ""
            assert run_node_client(echo.port, True) == "permessage-deflate"
            run_node_client(echo.port, {"serverMaxWindowBits": 10, "threshold": 0})
            run_node_client(echo.port, {"serverNoContextTakeover": True,
                                        "clientNoContextTakeover": True, "threshold": 0})


NODE_SERVER = r"""
const WebSocket = require('ws');
const server = new WebSocket.Server({port: 0, host: '127.0.0.1',
    perMessageDeflate: JSON.parse(process.argv[1]), handleProtocols: () => 'echo'});
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket) =>
    socket.on('message', (data, binary) => socket.send(data, {binary})));
"""


def talk_to_node(deflate):
    lines = [f"line {number} " * (number % 300 + 1) for number in range(300)]
    node = subprocess.Popen(["node", "-e", NODE_SERVER, json.dumps(deflate)], env=NODE,
                            stdout=subprocess.PIPE, text=True)
    try:
        port = int(node.stdout.readline())
        client = subprocess.run([ECHO, f"ws://127.0.0.1:{port}/"], input="\n".join(lines),
                                capture_output=True, text=True, timeout=running.LIMIT_S)
        assert client.returncode == 0, client.stderr
        assert client.stdout.split("\n")[:-1] == lines
    finally:
        node.kill()
        node.communicate()


@needs_node
def test_node_server():
    talk_to_node(False)
    talk_to_node(True)
    talk_to_node({"threshold": 0, "serverMaxWindowBits": 9})
    talk_to_node({"threshold": 0, "serverNoContextTakeover": True})


# ---- over TLS, and through a proxy ----


def has_tls():
    return shutil.which("openssl") is not None and "-lssl" in os.environ.get("LIBS", "-lssl")


needs_tls = needs(has_tls, "TLS")


@contextlib.contextmanager
def certificate():
    """A file with a certificate for 127.0.0.1, which is its own authority, and its key."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "both.pem")
        parts = [os.path.join(folder, name) for name in ("certificate.pem", "key.pem")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-out", parts[0], "-keyout", parts[1]],
                       check=True, capture_output=True)
        with open(path, "wb") as both:
            for part in parts:
                with open(part, "rb") as file:
                    both.write(file.read())
        yield path


@contextlib.contextmanager
def environment(**values):
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


class Tunnels:
    """A proxy that knows CONNECT and nothing else."""

    def __init__(self):
        self.asked, self.listener = [], socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        head = b""
        while b"\r\n\r\n" not in head:
            head += (more := one.recv(4096))
            if not more:
                return
        self.asked.append(head.split(b"\r\n")[0].decode())
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        with socket.create_connection((host, int(port))) as other:
            one.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
            back = threading.Thread(target=self.relay, args=(other, one), daemon=True)
            back.start()
            self.relay(one, other)
            back.join()
        one.close()

    @staticmethod
    def relay(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


async def python_talks_tls(port, pem):
    context = ssl.create_default_context(cafile=pem)
    async with websockets.connect(f"wss://127.0.0.1:{port}/", ssl=context, max_size=None) as client:
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message, len(message)
        await client.close(4321, "bye")
        assert client.close_code == 4321, client.close_code


@needs_tls
@needs_python
def test_python_client_over_tls():
    with certificate() as pem, environment(WS_ECHO_CERTIFICATE=pem), server() as echo:
        asyncio.run(python_talks_tls(echo.port, pem))


async def python_serves_tls(pem, proxy):
    """An echo server of wss for one run of the example as a client."""
    async def echo(client):
        try:
            async for message in client:
                await client.send(message)
        except websockets.ConnectionClosed:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    lines = [f"line {number} " * (number % 300 + 1) for number in range(300)]
    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["echo"], ssl=context) as serving:
        url = f"wss://127.0.0.1:{serving.sockets[0].getsockname()[1]}/"
        client = await asyncio.create_subprocess_exec(
            ECHO, url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "WS_ECHO_TRUST": pem, **({"WS_ECHO_PROXY": proxy} if proxy else {})})
        out, _ = await asyncio.wait_for(client.communicate("\n".join(lines).encode()), running.LIMIT_S)
        assert client.returncode == 0, client.returncode
        assert out.decode().split("\n")[:-1] == lines
        return url


@needs_tls
@needs_python
def test_python_server_over_tls_and_through_a_proxy():
    with certificate() as pem:
        asyncio.run(python_serves_tls(pem, None))
        with Tunnels() as proxy:
            url = asyncio.run(python_serves_tls(pem, proxy.url))
            assert proxy.asked == [f"CONNECT {url[6:-1]} HTTP/1.1"], proxy.asked


NODE_TLS = r"""
const WebSocket = require('ws'), https = require('https'), fs = require('fs');
const pem = fs.readFileSync(process.argv[2]);
if (process.argv[1] === 'server') {
    const web = https.createServer({cert: pem, key: pem});
    new WebSocket.Server({server: web, handleProtocols: () => 'echo'}).on('connection', (socket) =>
        socket.on('message', (data, binary) => socket.send(data, {binary})));
    web.listen(0, '127.0.0.1', () => console.log(web.address().port));
} else {
    const socket = new WebSocket(`wss://127.0.0.1:${process.argv[3]}/`, ['echo'], {ca: pem});
    const text = 'y'.repeat(300000);
    socket.on('open', () => socket.send(text));
    socket.on('message', (data) => { if (data.toString() === text) socket.close(1000); });
    socket.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
}
"""


@needs_tls
@needs_node
def test_node_over_tls_both_ways():
    with certificate() as pem:
        with environment(WS_ECHO_CERTIFICATE=pem), server() as echo:
            subprocess.run(["node", "-e", NODE_TLS, "client", pem, str(echo.port)], env=NODE, check=True,
                           timeout=running.LIMIT_S)
        node = subprocess.Popen(["node", "-e", NODE_TLS, "server", pem], env=NODE, stdout=subprocess.PIPE, text=True)
        try:
            port = int(node.stdout.readline())
            lines = [f"line {number} " * 50 for number in range(300)]
            client = subprocess.run([ECHO, f"wss://127.0.0.1:{port}/"], input="\n".join(lines), text=True,
                                    capture_output=True, timeout=running.LIMIT_S,
                                    env={**os.environ, "WS_ECHO_TRUST": pem})
            assert client.returncode == 0, client.stderr
            assert client.stdout.split("\n")[:-1] == lines
            client = subprocess.run([ECHO, f"wss://127.0.0.1:{port}/"], input="", text=True, capture_output=True,
                                    timeout=running.LIMIT_S)  # believes whom the system believes
            assert client.returncode == 1 and "certificate" in client.stderr, client.stderr
        finally:
            node.kill()
            node.communicate()


# ---- what a client is told ----


def test_a_client_that_is_refused():
    def connect(url):
        return subprocess.run([ECHO, url], input="", text=True, capture_output=True,
                              timeout=running.LIMIT_S)

    with running.Example("http_echo") as hello:
        client = connect(f"ws://127.0.0.1:{hello.port}/")
        assert client.returncode == 1 and "(status 200)" in client.stderr, client.stderr
    with running.refusing_port() as port:
        client = connect(f"ws://127.0.0.1:{port}/")
    assert client.returncode == 1 and "connection refused" in client.stderr, client.stderr
    client = connect("ws:/nowhere")
    assert client.returncode == 1 and "invalid argument" in client.stderr, client.stderr


if __name__ == "__main__":
    if "-lwslay" not in os.environ.get("LIBS", "-lwslay"):
        print("    ok all # skipped: built without wslay\n0 passed, 0 failed")
        sys.exit(0)
    sys.exit(running.run_tests(globals()))
