"""For tests of the servers of `rondo compare`: a client of theirs, the files that they serve, and the processes that they are."""

import os
import re
import socket

LIMIT_S = 60
SIZES = {"empty": 0, "ten": 10, "4k": 4096, "64k": 65536, "1m": 1048576}
HELLO = b"Hello, world!\n"


def make_files(directory):
    for name, size in SIZES.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(os.urandom(size))


FIELDS = {"parent": 1, "group": 2, "session": 3}  # of /proc/PID/stat, behind the name


def processes(kind, leader, zombies=False):
    """The processes of a parent, a group or a session that live; zombies, which somebody has to reap still, if asked for."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[FIELDS[kind]]) == leader and (zombies or fields[0] not in "ZX"):
            found.append(int(pid))
    return found


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text)

    def ask(self, target, fields=""):
        self.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())

    def more(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise EOFError(self.rest)
        self.rest += chunk

    def answer(self):
        """(status, head, body) of the next one."""
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"\r\nContent-Length: (\d+)", head)[1])
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(head.split()[1]), head, body

    def get(self, target):
        self.ask(target)
        return self.answer()

    def at_end(self):
        try:
            return self.rest == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
