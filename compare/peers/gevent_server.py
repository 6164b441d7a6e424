"""Python gevent: one thread, a greenlet per connection, its own WSGI server.

    gevent_server.py PORT FILES
"""
import os
import re
import socket
import sys

import gevent
import gevent.socket
from gevent.pywsgi import WSGIServer

PORT, FILES = int(sys.argv[1]), sys.argv[2]
NAME = re.compile(r"name=([a-z0-9]{1,15})\Z")
WAIT = re.compile(r"ms=(\d{1,5})\Z")
PIECE = 65536


def pieces(file):
    with file:
        while piece := file.read(PIECE):
            yield piece


def send_file(name, start):
    try:
        file = open(os.path.join(FILES, name), "rb")
    except OSError:
        start("404 Not Found", [("Content-Length", "0")])
        return [b""]
    size = os.fstat(file.fileno()).st_size
    start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    return pieces(file)


def application(environ, start):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    wait, name = WAIT.match(query), NAME.match(query)
    if path == "/file" and name:
        return send_file(name[1], start)
    if path == "/wait" and wait:
        gevent.sleep(int(wait[1]) / 1000)
    elif path != "/hello":
        start("404 Not Found", [("Content-Length", "0")])
        return [b""]
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "14")])
    return [b"Hello, world!\n"]


listener = gevent.socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
listener.bind(("127.0.0.1", PORT))
listener.listen(4096)
WSGIServer(listener, application, log=None, error_log=None).serve_forever()
