#!/usr/bin/env python3
"""`rondo compare` from the outside: tiny runs, servers that fail in each way, ends of each kind.

    test/compare_test.py [WORD...]    only the tests with a WORD in their name

What a run finds is not compared with any clock: the machine may be busy.
"""
import contextlib
import ctypes
import fcntl
import glob
import itertools
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from running import BUILD, IS_PLAIN, run_tests

RONDO = os.path.join(BUILD, "rondo")
LIMIT_S = 300 if os.environ.get("VARIANT") else 90
NUMBERS = itertools.count()

SERVER = """
import os, signal, socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=1000)
OK = b"HTTP/1.1 200 OK\\r\\nContent-Length: 14\\r\\n\\r\\nHello, world!\\n"
def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while connection.recv(4096):
            if not answer(connection): break
    except OSError: pass
    connection.close()
def accept():
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""


def left(mark):
    """Processes that a run has started and that are still there: they have its mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"RONDO_COMPARE_TEST={mark}".encode() in file.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def wait_until(true, what=lambda: ""):
    end = time.monotonic() + LIMIT_S
    while not (found := true()):
        assert time.monotonic() < end, what()
        time.sleep(0.02)
    return found


class Comparison:
    """A run, whose files are all in a folder of its own: what is written in it, what it makes for itself in tmp/ there."""

    def __init__(self, *args, servers=None, anyway=True, before=(), **how):
        self.folder = tempfile.mkdtemp(prefix="rondo-compare-test-")
        self.tmp = tempfile.mkdtemp(prefix="rondo-compare-test-")
        self.mark = f"{os.getpid()}-{next(NUMBERS)}"
        for name, code in (servers or {}).items():
            path = os.path.join(self.folder, name + ".py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(code)
            args += ("--server", f"{name}=exec {sys.executable} {path}")
        more = how.pop("environ", {})
        self.process = subprocess.Popen(
            [*before, RONDO, "compare", *(["--anyway"] if anyway else []), "--out", self.folder, *args],
            env=dict(os.environ, RONDO_COMPARE_TEST=self.mark, **{"TMPDIR": self.tmp, **more}), text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how})

    def left(self):
        return left(self.mark)

    def wait_until_none_is_left(self):
        wait_until(lambda: not self.left(), lambda: [open(f"/proc/{pid}/cmdline").read() for pid in self.left()])

    def end(self, status=0):
        out, err = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == status, (self.process.returncode, out, err)
        self.wait_until_none_is_left()
        return out, err

    def kill(self):
        """As nobody can help."""
        self.process.kill()
        self.process.communicate(timeout=LIMIT_S)
        self.wait_until_none_is_left()

    def wait_for(self, text):
        """Until standard error has a line with the text."""
        for line in self.process.stderr:
            if text in line:
                return
        assert False, f"no '{text}'"

    def find(self, true):
        """The process that this is true of: (pid, its parent, its name)."""
        def look():
            for pid in self.left():
                try:
                    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                        name, _, rest = file.read().partition("(")[2].rpartition(") ")
                except OSError:
                    continue
                if true(pid, int(rest.split()[1]), name):
                    return pid
            return 0
        return wait_until(look)

    def keeper(self):
        return self.find(lambda pid, parent, name: name == "compare-keeper")

    def generator(self):
        keeper = self.keeper()  # which has that name only once it runs
        return self.find(lambda pid, parent, name: parent == self.process.pid and pid != keeper)

    def points(self):
        with open(os.path.join(self.folder, "compare.json"), encoding="utf-8") as file:
            self.json = json.load(file)
        return self.json["points"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        shutil.rmtree(self.folder)
        shutil.rmtree(self.tmp)


def short(*args, seconds=0.3):
    return ["--duration", str(seconds), "--rounds", "1", *args]


def of(points, subject):
    found = [point for point in points if point["subject"] == subject]
    assert found, (subject, points)
    return found


def test_a_small_run():
    with Comparison(*short("--models", "loop,epoll", "--workload", "hello,file-64k,idle", "--rate", "300"),
                    "--rounds", "2", "--connections", "4", "--idle", "50") as run:
        out, _ = run.end()
        points = run.points()
        assert "hello" in out and "loop" in out, out
        for name in "compare.html", "compare.csv":
            assert os.path.getsize(os.path.join(run.folder, name)) > 100
        assert [(p["workload"], p["subject"], p["round"]) for p in points[:4]] == [
            ("hello", "epoll", 0), ("hello", "loop", 0), ("file-64k", "epoll", 0), ("file-64k", "loop", 0)], points
        # In the second round the other one is first.
        second = [p["subject"] for p in points if p["round"] == 1]
        assert second[:2] == ["loop", "epoll"], second
        for point in points:
            assert point["reason"] is None, point
            assert point["done"] + point["late"] == 90 and point["done"] > 0, point
            assert point["errors"] == point["refused"] == 0, point
            assert 0 < point["p50_us"] <= point["p99_us"] <= point["max_us"], point
            assert point["processes"] == point["threads"] == 1 or point["workload"] == "file-64k", point
            assert point["idle_connections"] == (50 if point["workload"] == "idle" else 0), point
            assert point["fds"] >= 4 + point["idle_connections"], point
            assert point["cpu_us_per_request"] > 0 and point["total_resident_bytes"] > 100000, point
            assert point["voluntary_switches_per_request"] > 0, point
        names = sorted(os.listdir(run.folder))
        assert names == ["compare.csv", "compare.html", "compare.json"], names


def test_a_closed_loop_is_the_most_and_a_sweep_is_of_it():
    with Comparison(*short("--models", "epoll", "--workload", "hello", seconds=0.2)) as run:
        run.end()
        points = run.points()
        assert points[0]["asked_per_s"] is None and points[0]["done"] > 0 and points[0]["reason"] is None, points[0]
        asked = [p["asked_per_s"] for p in points[1:]]
        most = points[0]["rate_per_s"]
        assert asked[0] == 1000 and len(set(asked)) == len(asked), asked
        assert all(0.25 * most < rate < 1.3 * most for rate in asked[1:]), (most, asked)


def test_models_of_many_processes_are_counted_whole():
    with Comparison(*short("--models", "fork,thread", "--workload", "hello", "--rate", "200", "--connections", "10")) as run:
        run.end()
        fork, thread = run.points()
        assert (fork["processes"], fork["threads"]) == (11, 11), fork
        assert (thread["processes"], thread["threads"]) == (1, 11), thread
        assert fork["done"] > 0 and thread["done"] > 0, (fork, thread)
        # Each request wakes its process up.
        assert 0.5 < fork["voluntary_switches_per_request"] < 3, fork
        assert fork["cpu_us_per_request"] > 0


WAITS = SERVER + """
def answer(connection):
    time.sleep(0.04)
    connection.sendall(OK)
    return True
accept()
"""


def test_a_known_latency_is_measured():
    """Each answer takes 40 ms at least, and each connection sends when it has its answer: 25/s at most."""
    with Comparison(*short("--workload", "hello", "--models", "iterative", "--rate", "0", "--connections", "5", seconds=1),
                    servers={"waits": WAITS}) as run:
        run.end()
        point = of(run.points(), "waits")[0]
        assert 40000 <= point["p50_us"] <= point["p99_us"], point
        assert 0 < point["done"] <= 5 * 25 + 5, point
        # Closed loop: so many are under way all the time (Little's law).
        assert point["rate_per_s"] * point["p50_us"] / 1e6 < 6, point


STALLS = SERVER + """
def answer(connection):
    # Half of each 0.8 s nobody is answered.
    now = time.monotonic() % 0.8
    if now < 0.4: time.sleep(0.4 - now)
    connection.sendall(OK)
    return True
accept()
"""


def test_a_server_that_stalls_is_seen_to_delay_all_that_arrive():
    """Of all arrivals a quarter come in the first half of a stall, and wait 200 ms or longer. Were latency counted from when a
    connection was free, 4 connections would show 4 slow requests in each stall, of 80."""
    with Comparison(*short("--workload", "hello", "--models", "iterative", "--rate", "200", "--connections", "4", seconds=2.4),
                    servers={"stalls": STALLS}) as run:
        run.end()
        point = of(run.points(), "stalls")[0]
        assert point["done"] + point["late"] == 480, point
        assert point["p75_us"] > 150000, point
        assert point["max_us"] > 300000, point


LIES = SERVER + """
count = 0
def answer(connection):
    global count
    count += 1
    connection.sendall(OK.replace(b"world", b"wor1d") if count % 2 else OK.replace(b"200", b"503"))
    return True
accept()
"""
CLOSES = SERVER + """
def answer(connection): return False
accept()
"""
CLOSES_WELL = SERVER + """
def answer(connection):
    connection.sendall(OK.replace(b"\\r\\n\\r\\n", b"\\r\\nConnection: close\\r\\n\\r\\n"))
    return False
accept()
"""
SILENT = SERVER + """
def answer(connection): return True
accept()
"""


def test_answers_that_are_none():
    with Comparison(*short("--workload", "hello", "--models", "iterative", "--rate", "100", "--connections", "2"),
                    servers={"lies": LIES, "closes": CLOSES, "silent": SILENT, "well": CLOSES_WELL}) as run:
        run.end()
        points = run.points()
        lies, closes = of(points, "lies")[0], of(points, "closes")[0]
        silent, well = of(points, "silent")[0], of(points, "well")[0]
        assert lies["done"] == 0 and lies["errors"] == lies["wrong"] > 0 and "answered with" in lies["reason"], lies
        assert closes["done"] == 0 and closes["errors"] > 0 and "break off" in closes["reason"], closes
        assert silent["done"] == 0 and silent["late"] == 30, silent
        assert silent["p50_us"] >= 250000, silent  # what is late counts with the time that it has waited
        assert well["done"] > 0 and well["errors"] == 0, well
        # The models are measured whatever the others do.
        assert of(points, "iterative")[0]["done"] > 0


STUBBORN = SERVER + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(1000)
    os._exit(0)
time.sleep(1000)
"""
DIES = SERVER + """
def answer(connection):
    print("first line\\nit can't go on", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
accept()
"""


def test_servers_that_fail_have_that_as_their_result():
    with Comparison(*short("--workload", "hello", "--models", "loop", "--rate", "100", "--connections", "2"),
                    "--server", "absent=exec /nonexistent/server", "--server", "ends=echo why not >&2; exit 3",
                    "--server", "quiet=exit 4", "--server", "crashes=kill -SEGV $$",
                    servers={"stubborn": STUBBORN, "dies": DIES}) as run:
        out, _ = run.end()
        reasons = {point["subject"]: point["reason"] for point in run.points()}
        assert "/nonexistent/server" in reasons["absent"], reasons
        assert reasons["ends"] == "why not", reasons
        assert "status 4" in reasons["quiet"], reasons
        assert "signal 11" in reasons["crashes"], reasons
        assert reasons["dies"] == "it can't go on", reasons
        assert reasons["stubborn"], reasons
        assert reasons["loop"] is None and of(run.points(), "loop")[0]["done"] > 0, reasons
        assert "dies" in out, out


FULL = SERVER + """
print("rondo: full: there is no room", file=sys.stderr, flush=True)
def answer(connection): return False
accept()
"""


def test_what_a_server_says_is_the_reason():
    with Comparison(*short("--workload", "hello", "--models", "epoll", "--rate", "100", "--connections", "2"),
                    servers={"full": FULL}) as run:
        run.end()
        reasons = {point["subject"]: point["reason"] for point in run.points()}
        assert reasons == {"full": "there is no room (connections break off before their answer)", "epoll": None}, reasons


def test_what_the_generator_lacks_is_not_the_server_s_fault():
    with Comparison(*short("--workload", "hello", "--models", "iterative", "--rate", "100", "--connections", "60"),
                    before=["prlimit", "--nofile=40"]) as run:
        run.end()
        assert of(run.points(), "iterative")[0]["reason"].startswith("the generator: connect: too many open files"), run.json


def test_a_port_that_was_taken_is_not_the_server_s_fault():
    with Comparison(*short("--workload", "hello", "--models", "epoll", "--rate", "100", "--connections", "2"),
                    "--server", "late=test -e $TMPDIR/tried || { touch $TMPDIR/tried; echo bind: Address already in use >&2; exit 1; }; "
                    f"exec {RONDO} compare --serve poll --port $PORT --files $FILES") as run:
        run.end()
        late = of(run.points(), "late")[0]
        assert late["reason"] is None and late["done"] > 0, late


def test_two_do_not_measure_at_once():
    path = f"/tmp/rondo-compare-{os.geteuid()}.lock"
    with open(path, "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # there is another one in fact
        with Comparison(anyway=False) as run:
            run.wait_for("another comparison")
            run.process.send_signal(signal.SIGINT)
            run.end(130)
            assert os.listdir(run.folder) == os.listdir(run.tmp) == []


def end_by(signum, status):
    with Comparison("--workload", "hello", "--models", "loop,fork", "--duration", "0.2", "--rounds", "200") as run:
        run.wait_for("loop")
        run.wait_for("fork")
        run.process.send_signal(signum)
        run.end(status)
        points = run.points()
        assert points and run.json["settings"]["interrupted"] is True, run.json["settings"]
        assert points[0]["done"] > 0, points


def test_ctrl_c_keeps_what_was_measured():
    end_by(signal.SIGINT, 130)


def test_sigterm_does_too():
    end_by(signal.SIGTERM, 143)


def test_ctrl_c_does_not_take_away_the_curves():
    """All that was measured is drawn, also by who presses it once more while that is done."""
    if not shutil.which("gnuplot"):
        print("# skipped: Ctrl-C while curves are drawn: gnuplot is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="rondo-compare-test-") as folder:
        with open(os.path.join(folder, "gnuplot"), "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ntouch {folder}/begun\nwhile ! test -e {folder}/go; do sleep 0.02; done\n"
                       f"exec {shutil.which('gnuplot')} \"$@\"\n")
        os.chmod(file.name, 0o755)
        with Comparison(*short("--models", "epoll", "--workload", "hello", seconds=0.05), start_new_session=True,
                        environ={"PATH": folder + ":" + os.environ["PATH"]}) as run:
            threading.Thread(target=run.process.stderr.read).start()  # nobody else reads it meanwhile
            wait_until(lambda: os.path.exists(f"{folder}/begun"))
            os.killpg(run.process.pid, signal.SIGINT)
            with open(f"{folder}/go", "w", encoding="utf-8"):
                pass
            assert run.process.wait(LIMIT_S) == 0
            with open(os.path.join(run.folder, "compare.html"), encoding="utf-8") as file:
                assert '<figure class="curves">' in file.read()


def test_kill_9_leaves_nothing_running():
    """Of the processes nothing; its directory is removed by the next run, and no other's is."""
    with tempfile.TemporaryDirectory(prefix="rondo-compare-test-") as kept:
        with Comparison("--workload", "hello", "--models", "fork", "--duration", "30",
                        servers={"stubborn": STUBBORN}) as run:
            run.wait_for("stubborn")
            wait_until(lambda: len(run.left()) >= 5)  # runner, keeper, server, two of its children
            run.kill()
            was_left = os.listdir(run.tmp)
            assert len(was_left) == 1 and was_left[0].startswith("rondo-compare-run-"), was_left
            os.rename(os.path.join(run.tmp, was_left[0]), os.path.join(kept, was_left[0]))
        os.mkdir(os.path.join(kept, "rondo-compare-run-locked"))
        os.mkdir(os.path.join(kept, "rondo-compare-run-another"))
        locked = os.open(os.path.join(kept, "rondo-compare-run-locked"), os.O_RDONLY)
        fcntl.flock(locked, fcntl.LOCK_EX)
        with Comparison(*short("--workload", "hello", "--models", "epoll", "--rate", "50"), environ={"TMPDIR": kept}) as run:
            run.end()
        assert sorted(os.listdir(kept)) == ["rondo-compare-run-another", "rondo-compare-run-locked"], os.listdir(kept)
        os.close(locked)


def resident(path):
    """Whether anything of the file is in memory: mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    size = os.path.getsize(path)
    pages = ctypes.create_string_buffer((size + mmap.PAGESIZE - 1) // mmap.PAGESIZE)
    with open(path, "rb") as file:
        at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    assert libc.mincore(at, size, pages) == 0, os.strerror(ctypes.get_errno())
    libc.munmap(at, size)
    return any(page & 1 for page in pages.raw)


@contextlib.contextmanager
def folder_in(parent, in_memory):
    """Gives a new folder there, or None, and says so, where that file system is not in memory, or is, against what is wanted."""
    with tempfile.TemporaryDirectory(prefix="rondo-compare-test-", dir=parent) as folder:
        kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout
        if (kind.strip() in ("tmpfs", "ramfs")) == in_memory:
            yield folder
        else:
            print(f"# skipped: {parent} is {'not ' if in_memory else ''}in memory")
            yield None


def test_a_cold_file_is_cold():
    with folder_in("/var/tmp", in_memory=False) as disk:
        if not disk:
            return
        with Comparison("--workload", "file-cold", "--models", "epoll", "--duration", "30", environ={"TMPDIR": disk}) as run:
            run.wait_for("epoll")
            found = wait_until(lambda: glob.glob(os.path.join(disk, "*/files/1m")))[0]
            for _ in range(3):
                with open(found, "rb") as file:
                    file.read()
                wait_until(lambda: not resident(found))
            run.process.terminate()
            run.end(128 + signal.SIGTERM)


def test_a_file_that_was_just_sent_can_be_cold():
    """Though sockets keep some of its pages for a while."""
    with folder_in("/var/tmp", in_memory=False) as disk:
        if not disk:
            return
        with Comparison(*short("--workload", "file-1m,file-cold", "--models", "epoll", "--rate", "50"), environ={"TMPDIR": disk}) as run:
            run.end()
            with open(os.path.join(run.folder, "compare.json"), encoding="utf-8") as file:
                points = [p for p in json.load(file)["points"] if p["workload"] == "file-cold"]
        assert points and all("TMPDIR" not in (p["reason"] or "") for p in points), points


def test_where_no_file_can_be_cold_none_is_said_to_be():
    with folder_in("/dev/shm", in_memory=True) as memory:
        if not memory:
            return
        with Comparison(*short("--workload", "file-cold", "--models", "epoll", "--rate", "50"), environ={"TMPDIR": memory}) as run:
            out, _ = run.end()
            with open(os.path.join(run.folder, "compare.json"), encoding="utf-8") as file:
                points = json.load(file)["points"]
        assert "stay in memory" in out, out
        assert points and all(p["done"] == 0 and "TMPDIR" in p["reason"] for p in points), points


def test_kill_9_by_name_leaves_nothing_running():
    """As pkill -9 rondo does it."""
    with Comparison("--workload", "hello", "--models", "fork", "--duration", "30", servers={"stubborn": STUBBORN}) as run:
        run.wait_for("stubborn")
        wait_until(lambda: len(run.left()) >= 5)
        run.keeper()
        for pid in run.left():
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if "rondo" in file.read():
                    os.kill(pid, signal.SIGKILL)
        run.kill()


def test_a_keeper_that_is_killed_leaves_nothing_either():
    with Comparison("--workload", "hello", "--duration", "0.5", "--rounds", "1", "--models", "fork", "--rate", "100") as run:
        run.wait_for("fork")
        os.kill(run.keeper(), signal.SIGKILL)
        run.end()


def test_a_generator_that_is_killed_is_not_the_server_s_fault():
    with Comparison("--workload", "hello", "--duration", "20", "--rounds", "1", "--models", "epoll", "--rate", "100") as run:
        run.wait_for("epoll")
        os.kill(run.generator(), signal.SIGKILL)
        run.end()
        assert of(run.points(), "epoll")[0]["reason"] == "the generator has ended before its time", run.json["points"]


def test_connections_that_nobody_serves_are_told():
    """One client at a time, and four that stay: it does not keep up with four."""
    with Comparison(*short("--models", "iterative", "--workload", "hello", "--rate", "200", "--connections", "4")) as run:
        out, _ = run.end()
        point = of(run.points(), "iterative")[0]
        assert point["reason"] == "only 1 of 4 connections were served", point
        assert run.json["summary"][0]["verdicts"][0]["kept_up_per_s"]["median"] == 0, run.json["summary"]
        assert "only 1 of 4 connections were served" in out, out


def test_one_request_blocks_however_few_there_are():
    for _ in range(10):  # a machine that stands still where it begins has nobody come before it
        with Comparison(*short("--models", "epoll", "--workload", "blocker", "--rate", "100", "--connections", "4")) as run:
            run.end()
            point = of(run.points(), "epoll")[0]
        # A third of them come before it; the others find nobody: it computes for longer than all the time there is.
        assert point["done"] <= 10 and point["late"] >= 20, point
        if point["done"]:
            return
    assert False, point


def test_what_can_not_be_written_is_kept_elsewhere():
    """compare.json is a directory, so that no file can take its name."""
    with Comparison(*short("--models", "epoll", "--workload", "hello", "--rate", "50")) as run:
        os.mkdir(os.path.join(run.folder, "compare.json"))
        _, err = run.end(1)
        assert "can't write" in err and "Is a directory" in err, err
        kept = os.listdir(run.tmp)
        assert len(kept) == 1 and f"what was measured is in {run.tmp}/{kept[0]}\n" in err, (kept, err)
        assert sorted(os.listdir(os.path.join(run.tmp, kept[0]))) == ["compare.csv", "compare.html", "compare.json"]
        assert os.listdir(run.folder) == ["compare.json"], os.listdir(run.folder)


def test_a_table_that_nobody_can_read_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        with Comparison(*short("--models", "epoll", "--workload", "hello", "--rate", "50"), stdout=full) as run:
            _, err = run.end(1)
            assert "can't write to the standard output: No space left" in err, err
            assert of(run.points(), "epoll")[0]["done"] > 0


def test_wrong_usage():
    for args, says in [(["--models", "nope"], "no model 'nope'"), (["--workload", "hello,nope"], "no workload 'nope'"),
                       (["--rate", "-1"], "'-1' will not do for --rate"), (["--rate", "nan"], "will not do"),
                       (["--connections", "1.5"], "whole number"), (["--connections", "0"], "from 1 to"),
                       (["--duration"], "needs a value"), (["--out", ""], "not empty"), (["--what"], "no option '--what'"),
                       (["what"], "takes options only"), (["--server", "x"], "NAME=COMMAND"),
                       (["--server", "a b=c"], "NAME=COMMAND"), (["--models="], "not empty"), (["--models", ",epoll"], "no model ''"),
                       (["--models", "epoll,"], "no model ''")]:
        done = subprocess.run([RONDO, "compare", *args], capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode == 2 and says in done.stderr, (args, done)
    done = subprocess.run([RONDO, "compare", "--out", "/nonexistent"], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 1 and "/nonexistent" in done.stderr, done


def test_lists():
    done = subprocess.run([RONDO, "compare", "--list"], capture_output=True, text=True, timeout=LIMIT_S)
    for name in "iterative", "loop-pool", "blocker", "nginx":
        assert name in done.stdout, done.stdout
    done = subprocess.run([RONDO, "help", "compare"], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0 and "--quick" in done.stdout


# TSan has threads of its own, which are counted; without the optional libraries nothing is different here.
HERE = IS_PLAIN or os.environ.get("VARIANT") == "asan"
# What is measured is not compared with a clock, so that they may run at once: most of their time is a load's, which waits.
sys.exit(run_tests(globals(), "" if HERE else "finds nothing here that it does not find elsewhere", at_once=6))
