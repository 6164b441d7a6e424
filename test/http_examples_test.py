#!/usr/bin/env python3
"""The larger examples of HTTP, as their users would try them.

    test/http_examples_test.py [WORD...]    only the tests with a WORD in their name
"""

import http.client
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from running import BUILD, Example, LIMIT_S, read_to_end, run_tests  # noqa: E402


def ask(example, method, path, body=None, headers=None):
    """Returns (status, fields in lower case, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", example.port, timeout=LIMIT_S)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def until(condition, what):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def same(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


# --- notes: a REST service on SQLite ---------------------------------------------------------------

HAVE_NOTES = os.path.exists(os.path.join(BUILD, "examples", "notes"))


def with_notes(test):
    def run():
        if not HAVE_NOTES:
            print(f"    ok {test.__name__} # skipped: there is no SQLite")
            return
        with tempfile.TemporaryDirectory() as directory:
            test(os.path.join(directory, "notes.db"))
    return run


def add(notes, value):
    status, fields, body = ask(notes, "POST", "/notes", json.dumps(value))
    return status, fields, json.loads(body)


@with_notes
def test_notes_are_added_listed_shown_and_removed(path):
    with Example("notes", path) as notes:
        same(ask(notes, "GET", "/notes")[2], b"[]")
        status, fields, note = add(notes, {"text": "buy milk", "more": [1, 2]})
        same((status, fields["location"], note), (201, "/notes/1", {"id": 1, "text": "buy milk"}))
        same(fields["content-type"], "application/json")
        same(add(notes, {"text": "x"})[2], {"id": 2, "text": "x"})
        status, _, body = ask(notes, "GET", "/notes")
        same((status, json.loads(body)),
             (200, [{"id": 1, "text": "buy milk"}, {"id": 2, "text": "x"}]))
        same(json.loads(ask(notes, "GET", "/notes/2")[2]), {"id": 2, "text": "x"})
        same(ask(notes, "DELETE", "/notes/1")[::2], (204, b""))
        same(ask(notes, "DELETE", "/notes/1")[0], 404)
        same(ask(notes, "GET", "/notes/1")[0], 404)
        for wrong in ("0", "-1", "x", "1x", "99999999999999999999", "%31%30", "1%00"):
            assert ask(notes, "GET", "/notes/" + wrong)[0] in (400, 404), wrong
        status, fields, _ = ask(notes, "PUT", "/notes")
        same((status, fields["allow"]), (405, "GET, HEAD, OPTIONS, POST"))
    with Example("notes", path) as notes:  # they are still there
        same(json.loads(ask(notes, "GET", "/notes")[2]), [{"id": 2, "text": "x"}])
        same(add(notes, {"text": "new"})[2]["id"], 3)  # a number is never used again


@with_notes
def test_notes_of_every_kind_of_text_come_back_as_they_were(path):
    texts = ['"', "\\", "\\\\u0000", "\n\t\r\b\f", "\x01\x1f", "</script>", "äöü€𝄞", "\u2028", "'; DROP TABLE notes;--",
             "x" * 10000, "{}", "\\u0041", "\x7f", " "]
    with Example("notes", path) as notes:
        for text in texts:
            status, _, note = add(notes, {"text": text})
            same((status, note["text"]), (201, text))
        raw = '{"text":"\\u00e4\\ud834\\udd1e\\/"}'
        same(json.loads(ask(notes, "POST", "/notes", raw)[2])["text"], "ä𝄞/")
        same([note["text"] for note in json.loads(ask(notes, "GET", "/notes")[2])], texts + ["ä𝄞/"])


@with_notes
def test_notes_refuse_what_is_none(path):
    with Example("notes", path) as notes:
        for body in (b"", b"{", b"nothing", b'{"text":"x"', b'{"text":"x"}x', b'{"text":"\xff"}',
                     b'{"text":"\xc0\xaf"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"x\x00"}', b"\x00",
                     b'{"text":"a\\u0000"}', b"[" * 5000):
            same((ask(notes, "POST", "/notes", body)[0], body), (400, body))
        for value in ({}, {"text": 1}, {"text": None}, {"text": ""}, {"text": ["x"]}, "x", 1, None,
                      {"text": "half \ud800 a character"}, [{"text": "x"}, {"text": "\udc00"}],
                      {"text": "x" * 10001}, {"Text": "x"}, [[]], [{"text": "x"}, 1]):
            status, _, body = ask(notes, "POST", "/notes", json.dumps(value))
            same((status, value), (422, value))
            assert "error" in json.loads(body)
        same(ask(notes, "POST", "/notes", b" " * 70000)[0], 413)
        same(ask(notes, "GET", "/notes")[2], b"[]")


@with_notes
def test_notes_are_added_all_or_none(path):
    with Example("notes", path) as notes:
        status, fields, added = add(notes, [{"text": str(i)} for i in range(250)])
        same((status, len(added), "location" in fields), (201, 250, False))
        same(add(notes, [{"text": "good"}] * 100 + [{"text": ""}])[0], 422)
        same(add(notes, [])[::2], (201, []))
        first = json.loads(ask(notes, "GET", "/notes")[2])
        second = json.loads(ask(notes, "GET", f"/notes?after={first[-1]['id']}")[2])
        third = json.loads(ask(notes, "GET", f"/notes?after={second[-1]['id']}")[2])
        same([len(first), len(second), len(third)], [100, 100, 50])
        same([note["text"] for note in first + second + third], [str(i) for i in range(250)])


@with_notes
def test_notes_of_many_clients_at_once(path):
    def client(notes, number, errors):
        try:
            for i in range(20):
                status, _, note = add(notes, {"text": f"{number}/{i}"})
                same((status, note["text"]), (201, f"{number}/{i}"))
                if i % 2:
                    same(ask(notes, "DELETE", f"/notes/{note['id']}")[0], 204)
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    with Example("notes", path) as notes:
        errors = []
        threads = [threading.Thread(target=client, args=(notes, n, errors)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        same(len(json.loads(ask(notes, "GET", "/notes")[2])), 80)


@with_notes
def test_notes_of_clients_that_vanish(path):
    with Example("notes", path) as notes:
        for sent in (b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
                     b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"text\":\"x\"}"):
            connection = notes.connect()
            connection.sendall(sent)
            reset(connection)
        same(ask(notes, "GET", "/nothing")[0], 404)


# --- upload: straight to disk, with backpressure ---------------------------------------------------

def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def begin_upload(example, name, length):
    connection = example.connect()
    connection.sendall(f"PUT /{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
    return connection


def test_upload_comes_back_as_it_was():
    with tempfile.TemporaryDirectory() as directory, Example("upload", directory) as upload:
        for size in (0, 1, 100000, 5 << 20):
            body = os.urandom(size)
            same(ask(upload, "PUT", "/file.bin", body)[0], 201)
            same(ask(upload, "GET", "/file.bin")[2], body)
            same(os.listdir(directory), ["file.bin"])
        pieces = (bytes([i]) * 7000 for i in range(100))  # chunked
        same(ask(upload, "PUT", "/chunks", pieces)[0], 201)
        same(os.path.getsize(os.path.join(directory, "chunks")), 700000)


def test_upload_refuses_what_is_no_name():
    with tempfile.TemporaryDirectory() as directory, Example("upload", directory) as upload:
        for name in ("a%2Fb", ".hidden", "%2e%2e", "a%00", "a%20b", "a%5cb", "x" * 101, "%C3%A4"):
            same((ask(upload, "PUT", "/" + name, b"x")[0], name), (400, name))
        assert ask(upload, "PUT", "/a/b", b"x")[0] == 405
        same(os.listdir(directory), [])


def test_upload_nobody_sees_a_half():
    with tempfile.TemporaryDirectory() as directory, Example("upload", directory) as upload:
        connection = begin_upload(upload, "half", 100)
        connection.sendall(b"x" * 50)
        until(lambda: os.listdir(directory), "the file is there by its other name")
        same(ask(upload, "GET", "/half")[0], 404)
        same(ask(upload, "GET", "/" + os.listdir(directory)[0])[0], 404)
        connection.sendall(b"x" * 50)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")
        connection.close()
        same(ask(upload, "GET", "/half")[2], b"x" * 100)


def test_upload_of_a_client_that_vanishes_leaves_nothing():
    with tempfile.TemporaryDirectory() as directory, Example("upload", directory) as upload:
        for end in (reset, lambda connection: connection.close()):
            for sent in (0, 1, 3 << 20):
                connection = begin_upload(upload, "gone", 4 << 20)
                connection.sendall(b"x" * sent)
                if sent:
                    until(lambda: os.listdir(directory), "it has begun")
                end(connection)
                same(ask(upload, "GET", "/gone")[0], 404)
                until(lambda: not os.listdir(directory), "it is gone")


def test_upload_that_is_too_long_leaves_nothing():
    with tempfile.TemporaryDirectory() as directory, Example("upload", directory, "100000") as upload:
        same(ask(upload, "PUT", "/exact", b"x" * 100000)[0], 201)
        os.remove(os.path.join(directory, "exact"))
        connection = begin_upload(upload, "long", 100001)  # refused by its length
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        connection.close()
        connection = upload.connect()  # without one, when it is too much
        connection.sendall(b"PUT /long HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            connection.sendall(b"ea60\r\n" + b"x" * 60000 + b"\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 413 ")
        connection.close()
        until(lambda: not os.listdir(directory), "it is gone")


def memory_of(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_upload_costs_no_memory():
    if os.environ.get("VARIANT"):
        print("    ok test_upload_costs_no_memory # skipped: a sanitizer's memory is its own")
        return
    with tempfile.TemporaryDirectory() as directory, Example("upload", directory) as upload:
        same(ask(upload, "PUT", "/warm", b"x" * (1 << 20))[0], 201)
        before = memory_of(upload.process)
        same(ask(upload, "PUT", "/big", b"x" * (64 << 20))[0], 201)
        assert memory_of(upload.process) - before < 8192, (before, memory_of(upload.process))


# --- clock: server-sent events ---------------------------------------------------------------------

class Listener:
    """A client of the clock's events."""

    def __init__(self, clock, last_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", clock.port, timeout=LIMIT_S)
        self.connection.request("GET", "/events", headers={"Last-Event-ID": last_id} if last_id else {})
        self.response = self.connection.getresponse()
        same((self.response.status, self.response.getheader("Content-Type")), (200, "text/event-stream"))

    def next(self, kind):
        """The next event of that type, as {field: value}."""
        while True:
            event = {}
            while (line := self.response.readline()) not in (b"\n", b"\r\n"):
                assert line, "the stream has ended"
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                event[name] = value.removeprefix(" ")
            if event.get("event") == kind:
                return event

    def close(self):
        self.response.close()
        self.connection.close()


def test_clock_ticks_for_all_and_says_who_listens():
    with Example("clock", "20") as clock:
        assert b"new EventSource('/events')" in ask(clock, "GET", "/")[2]
        one = Listener(clock)
        same(one.next("clients")["data"], "1")
        two = Listener(clock)
        same(one.next("clients")["data"], "2")
        same(two.next("clients")["data"], "2")
        first, second = one.next("tick"), one.next("tick")
        same(int(second["id"]), int(first["id"]) + 1)
        same(len(first["data"].split(":")), 3)
        same(two.next("tick")["event"], "tick")
        two.close()
        same(one.next("clients")["data"], "1")
        # One that comes back gets what it has missed.
        again = Listener(clock, first["id"])
        same(again.next("tick")["id"], second["id"])
        one.close()
        again.close()


def test_clock_stops_while_somebody_listens():
    with Example("clock", "20") as clock:
        listener = Listener(clock)
        listener.next("tick")
    listener.response.read()  # would raise if the last chunk were missing
    listener.close()


sys.exit(run_tests(globals()))
